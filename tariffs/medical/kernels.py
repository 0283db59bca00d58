"""Every jitted function of the package: arrays in, arrays out, nothing imported from other files.

Numba's disk cache does not notice changes elsewhere, so a kernel may use only what stands here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RATIO_ONE = 10_000
HALF_UP, HALF_EVEN, DOWN, UP = 0, 1, 2, 3
DEDUCTIBLE, SCOPE, FUND = 0, 1, 2
ORDINARY, FRANCHISE, REVERSE_FRANCHISE = 0, 1, 2
DEDUCTIBLE_AMOUNT, DEDUCTIBLE_YEAR, CAP, VISIT_CAP, VISIT_RATIO, TERMS = 0, 1, 2, 3, 4, 5
ACCOUNT, FAMILY, PURSE = 0, 1, 2
MEDICAL, BURDEN, RELIEF, REACHED = 0, 1, 2, 3
VISIT_RELIEF, PROGRAM_MEDICAL, PROGRAM_BURDEN, PROGRAM_RELIEF = 3, 4, 5, 6
BASE, THRESHOLD, RATE, REPEATED = 0, 1, 2, 3
NO_PROGRAM, CERTIFICATE = -1, -2


@njit(cache=True, nogil=True)
def divide_rounded(numerator: int, denominator: int, rounding: int) -> int:
    """``numerator / denominator`` for ``numerator`` ≥ 0, by the named rounding."""
    # Both are positive, and unsigned division needs no care for signs.
    quotient = np.int64(np.uint64(numerator) // np.uint64(denominator))
    rest = numerator - quotient * denominator
    if rounding == HALF_UP:
        quotient += 2 * rest >= denominator
    elif rounding == HALF_EVEN:
        quotient += 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)
    elif rounding == UP:
        quotient += rest > 0
    return int(quotient)


@njit(cache=True, nogil=True)
def find_cells(
    insured: Ints,
    person_type: Ints,
    level: Ints,
    visit_kind: Ints,
    relation: Ints,
    aid: Ints,
    keys: Ints,
    first: int,
    last: int,
    cell: Ints,
) -> None:
    """Cell of each row, −1 = none: ``keys`` (cells, 6) in this order, −1 fits every code; cells are disjoint."""
    for row in range(first, last):
        found = -1
        for index in range(len(keys)):
            if keys[index, 0] != insured[row] and keys[index, 0] != -1:
                continue
            fits = (keys[index, 1] == -1) | (keys[index, 1] == person_type[row])
            fits &= (keys[index, 2] == -1) | (keys[index, 2] == level[row])
            fits &= (keys[index, 3] == -1) | (keys[index, 3] == visit_kind[row])
            fits &= (keys[index, 4] == -1) | (keys[index, 4] == relation[row])
            fits &= (keys[index, 5] == -1) | (keys[index, 5] == aid[row])
            if fits:
                found = index
                break
        cell[row] = found


@njit(cache=True, nogil=True)
def fill_bills(
    first: int,
    last: int,
    rows: Bools,
    categories: tuple[Ints, Ints, Ints, Ints],
    ratios: tuple[int, int, int],
    rounding: int,
    relation: Ints,
    self_pay: Ints,
    abroad_rounding: int,
    out_of_list: Ints,
    over_limit: Ints,
    prepaid: Ints,
    scope: Ints,
    whole: Ints,
) -> None:
    """The bill of the ``rows`` that are settled: ``prepaid`` (先行自付), ``scope`` and ``whole``, fen.

    ``categories`` are 甲 and 乙 of drugs, services and materials, ``ratios`` (1/10,000) the own share of each 乙;
    ``self_pay`` (1/10,000, by ``relation``) of what is left is paid first away from home.
    """
    whole_a, drugs, services, materials = categories
    for row in range(first, last):
        if not rows[row]:
            continue
        own = divide_rounded(drugs[row] * ratios[0], RATIO_ONE, rounding)
        own += divide_rounded(services[row] * ratios[1], RATIO_ONE, rounding)
        own += divide_rounded(materials[row] * ratios[2], RATIO_ONE, rounding)
        inside = whole_a[row] + drugs[row] + services[row] + materials[row] - own
        abroad = divide_rounded(inside * self_pay[relation[row]], RATIO_ONE, abroad_rounding)
        prepaid[row] = own + abroad
        scope[row] = inside - abroad
        whole[row] = own + inside + out_of_list[row] + over_limit[row]


@njit(cache=True, nogil=True)
def settle_years(
    order: Ints,
    begins: Ints,
    group: Ints,
    first: int,
    last: int,
    source: Ints,
    amount: Ints,
    cell: Ints,
    factor: Ints,
    terms: Ints,
    band_first: Ints,
    band_edge: Ints,
    band_share: Ints,
    form: int,
    per_visit: bool,
    bands_per_visit: bool,
    bands_from_zero: bool,
    rounding: int,
    counters: Ints,
    moved: Ints,
    capped: Bools,
) -> None:
    """Walk one fund's part of the visits in settlement order: deductible, shares by band, caps.

    Run r of ``order``, from ``begins[r]`` to ``begins[r + 1]``, is the visits of ``group[r]``. Per row: ``source``
    (row of ``moved`` that this one takes back, −1 = none; without rows nothing is taken back), ``amount`` (fen that
    come to the fund), ``cell`` (−1 = no terms, skipped), ``factor`` (1/10,000 of the share; without rows 1).
    ``terms`` (cells, TERMS): deductible, most owed of it in a year, cap of the year and of a visit (fen) and as a
    ratio of the amount (1/10,000); bands ``band_first[cell]`` to ``band_first[cell + 1]`` with upper ``band_edge``
    (fen) and ``band_share`` (1/10,000). ``counters`` (groups, 3) is moved in place; fills ``moved`` (rows and past
    rows, 3) and ``capped``. This is a loop because what a visit consumes depends on what earlier ones were paid.
    """
    for run in range(first, last):
        owner = group[run]
        owed, before, paid_before = counters[owner, DEDUCTIBLE], counters[owner, SCOPE], counters[owner, FUND]
        for position in range(begins[run], begins[run + 1]):
            row = order[position]
            taken = source[row] if len(source) else -1
            index = cell[row]
            if taken < 0 and index < 0:
                continue
            if taken >= 0:
                own, shared, paid = -moved[taken, DEDUCTIBLE], -moved[taken, SCOPE], -moved[taken, FUND]
            else:
                come = amount[row]
                deductible, most = terms[index, DEDUCTIBLE_AMOUNT], terms[index, DEDUCTIBLE_YEAR]
                own = own_part(come, owed, deductible, most, form, per_visit)
                shared = come - own
                low = 0 if bands_per_visit else before
                if bands_from_zero:
                    low += own + (0 if bands_per_visit else owed)
                product, at = 0, low
                for band in range(band_first[index], band_first[index + 1]):
                    part = min(low + shared, band_edge[band]) - at
                    if part > 0:
                        product += part * band_share[band]
                        at += part
                whole = product * factor[row] if len(factor) else product * RATIO_ONE
                paid = divide_rounded(whole, RATIO_ONE * RATIO_ONE, rounding)
                room = min(max(terms[index, CAP] - paid_before, 0), terms[index, VISIT_CAP])
                if terms[index, VISIT_RATIO] != RATIO_ONE:
                    room = min(room, divide_rounded(come * terms[index, VISIT_RATIO], RATIO_ONE, rounding))
                capped[row] = paid > room
                paid = min(paid, room)
            moved[row, DEDUCTIBLE], moved[row, SCOPE], moved[row, FUND] = own, shared, paid
            owed, before, paid_before = owed + own, before + shared, paid_before + paid
        counters[owner, DEDUCTIBLE], counters[owner, SCOPE], counters[owner, FUND] = owed, before, paid_before


@njit(cache=True, nogil=True)
def put_back(rows: Ints, block: Ints, block_capped: Bools, moved: Ints, capped: Bools) -> None:
    """Results of a block of rows walked in order, each to its own row."""
    for at in range(len(rows)):
        row = rows[at]
        moved[row, DEDUCTIBLE] = block[at, DEDUCTIBLE]
        moved[row, SCOPE] = block[at, SCOPE]
        moved[row, FUND] = block[at, FUND]
        capped[row] = block_capped[at]


@njit(cache=True, nogil=True)
def own_part(come: int, owed: int, deductible: int, most: int, form: int, per_visit: bool) -> int:
    """What a visit owes of its deductible, ``owed`` fen of at ``most`` so many in the year being consumed.

    Numbers, not the table they stand in: a kernel that hands an array on counts its references, at every row, in a
    place that all threads share.
    """
    own = min(come, max(deductible - (0 if per_visit else owed), 0))
    if form != ORDINARY:
        own = come if (come > deductible) == (form == REVERSE_FRANCHISE) else 0
    return int(min(own, max(most - owed, 0)))


@njit(cache=True, nogil=True)
def fill_payers(
    first: int,
    last: int,
    rows: Bools,
    funds: Ints,
    whole: Ints,
    scope: Ints,
    available: tuple[Ints, Ints, Ints],
    order: tuple[int, int, int],
    scope_only: bool,
    person: Ints,
    paid: tuple[Ints, Ints, Ints],
    cash: Ints,
) -> None:
    """What funds leave of the ``rows`` is the person's: from account, family and purse as ``order`` says, then cash.

    ``order`` are places in ``available`` (fen) and ``paid``, −1 = none. With ``scope_only`` account and family do not
    pay for what is out of scope. ``cash`` includes what the purse pays.
    """
    account, family, purse = available
    of_account, of_family, of_purse = paid
    for row in range(first, last):
        if not rows[row]:
            continue
        left = whole[row] - funds[row]
        person[row] = left
        covered = max(scope[row] - funds[row], 0) if scope_only else left
        given = 0
        for payer in order:
            if payer < 0:
                continue
            if payer == PURSE:
                most = min(left, purse[row])
                of_purse[row] = most
            else:
                most = min(left, covered, account[row] if payer == ACCOUNT else family[row])
                covered -= most
                given += most
                if payer == ACCOUNT:
                    of_account[row] = most
                else:
                    of_family[row] = most
            left -= most
        cash[row] = person[row] - given


@njit(cache=True, nogil=True)
def limit_of(terms: Ints, medical: int, repeated: bool, unit: int, rounding: int) -> int:
    """Most a person pays of ``medical`` fen by one row of terms: base, threshold, rate, repeated amount.

    The part by rate is rounded to a multiple of ``unit`` fen.
    """
    if repeated:
        return int(terms[REPEATED])
    product = max(medical - terms[THRESHOLD], 0) * terms[RATE]
    return int(terms[BASE] + divide_rounded(product, RATIO_ONE * unit, rounding) * unit)


@njit(cache=True, nogil=True)
def months_reached(counters: Ints, month: Ints, first: int, group: int, within: int) -> int:
    """Months with reached limit among the ``within`` − 1 before that of ``group``; its owner begins at ``first``."""
    months = 0
    earlier = group - 1
    while earlier >= first and month[earlier] > month[group] - within:
        months += counters[earlier, REACHED] > 0
        earlier -= 1
    return months


@njit(cache=True, nogil=True)
def relief_above(consumed: Ints, burden: int, most: int) -> int:
    """Part of a new ``burden`` that lifts the month above ``most``, relief already given taken into account.

    Never negative: what was relieved stands when a later bill raises the limit.
    """
    over = consumed[BURDEN] + burden - most - consumed[RELIEF]
    return int(min(max(over, 0), burden))


@njit(cache=True, nogil=True)
def settle_months(
    order: Ints,
    source: Ints,
    group: Ints,
    program_group: Ints,
    medical: Ints,
    own: Ints,
    terms_of: Ints,
    program_rate: Ints,
    certificate: Ints,
    terms: Ints,
    program_terms: int,
    counted_from: int,
    repeat_after: int,
    repeat_within: int,
    unit: int,
    rounding: int,
    first_of_owner: Ints,
    month: Ints,
    counters: Ints,
    moved: Ints,
) -> None:
    """Walk visits in settlement order through the limit on one bill, the second payer and the month's limit.

    Per row: ``source`` as in :func:`settle_years`, ``group`` and ``program_group`` (rows of ``counters``),
    ``medical`` and ``own`` (fen in scope and what funds have left of them), ``terms_of`` (row of ``terms``, −1 =
    skipped), ``program_rate`` (1/10,000 of the cost that the person pays, CERTIFICATE = at most ``certificate``
    fen a month, NO_PROGRAM). ``terms`` (classes, 4) holds base, threshold, rate, repeated amount; bills of a
    second payer use row ``program_terms``. ``repeat_after`` months with a reached limit among the
    ``repeat_within`` − 1 before make the repeated amount hold (0 = never). Ratios are rounded to multiples of
    ``unit`` fen. Per group: ``first_of_owner`` (its owner's first group) and ``month``. ``counters`` (groups, 4) is
    moved in place; fills ``moved`` (rows and past rows, 7). Relief depends on relief already given: a loop.
    """
    for position in range(len(order)):
        row = order[position]
        owner, programme = group[row], program_group[row]
        if source[row] >= 0:
            before = moved[source[row]]
            counters[owner, REACHED] -= before[VISIT_RELIEF] + before[RELIEF] > 0
            for kind in range(moved.shape[1]):
                moved[row, kind] = -before[kind]
        else:
            if terms_of[row] < 0:
                continue
            months = months_reached(counters, month, first_of_owner[owner], owner, repeat_within)
            repeated = 0 < repeat_after <= months
            has_program = program_rate[row] != NO_PROGRAM
            own_terms = terms[terms_of[row]]
            bill_terms = terms[program_terms] if has_program else own_terms
            left = min(own[row], limit_of(bill_terms, medical[row], repeated and not has_program, unit, rounding))
            moved[row, VISIT_RELIEF] = own[row] - left
            if has_program:
                most = certificate[row]
                if program_rate[row] != CERTIFICATE:
                    cost = counters[programme, MEDICAL] + medical[row]
                    most = divide_rounded(cost * program_rate[row], RATIO_ONE * unit, rounding) * unit
                moved[row, PROGRAM_MEDICAL] = medical[row]
                moved[row, PROGRAM_BURDEN] = left
                moved[row, PROGRAM_RELIEF] = relief_above(counters[programme], left, most)
                left -= moved[row, PROGRAM_RELIEF]
            if own[row] >= counted_from:
                most = limit_of(own_terms, counters[owner, MEDICAL] + medical[row], repeated, unit, rounding)
                moved[row, MEDICAL] = medical[row]
                moved[row, BURDEN] = left
                moved[row, RELIEF] = relief_above(counters[owner], left, most)
            counters[owner, REACHED] += moved[row, VISIT_RELIEF] + moved[row, RELIEF] > 0
        for kind in range(3):
            counters[owner, kind] += moved[row, kind]
            if programme >= 0:
                counters[programme, kind] += moved[row, PROGRAM_MEDICAL + kind]
