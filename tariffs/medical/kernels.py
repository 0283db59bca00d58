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
MEDICAL, BURDEN, RELIEF, REACHED = 0, 1, 2, 3
VISIT_RELIEF, PROGRAM_MEDICAL, PROGRAM_BURDEN, PROGRAM_RELIEF = 3, 4, 5, 6
BASE, THRESHOLD, RATE, REPEATED = 0, 1, 2, 3
NO_PROGRAM, CERTIFICATE = -1, -2


@njit(cache=True, nogil=True)
def divide_rounded(numerator: int, denominator: int, rounding: int) -> int:
    """``numerator / denominator`` for ``numerator`` ≥ 0, by the named rounding."""
    quotient = numerator // denominator
    rest = numerator - quotient * denominator
    if rounding == HALF_UP:
        quotient += 2 * rest >= denominator
    elif rounding == HALF_EVEN:
        quotient += 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)
    elif rounding == UP:
        quotient += rest > 0
    return quotient


@njit(cache=True, nogil=True)
def settle_years(
    order: Ints,
    source: Ints,
    group: Ints,
    amount: Ints,
    cell: Ints,
    factor: Ints,
    deductible: Ints,
    cap: Ints,
    visit_cap: Ints,
    visit_ratio: Ints,
    deductible_year: Ints,
    band_first: Ints,
    band_edge: Ints,
    band_share: Ints,
    deductible_per_visit: bool,
    form: int,
    bands_per_visit: bool,
    bands_from_zero: bool,
    rounding: int,
    counters: Ints,
    moved: Ints,
    capped: Bools,
) -> None:
    """Walk one fund's part of the visits in settlement order: deductible, shares by band, caps.

    ``order`` lists row numbers. Per row: ``source`` (row of ``moved`` that this one takes back, −1 = none),
    ``group``, ``amount`` (fen that come to the fund), ``cell`` (−1 = no terms, skipped), ``factor`` (1/10,000 of
    the share). Per cell: ``deductible``, ``cap`` of the year and ``visit_cap`` (fen), ``visit_ratio`` (1/10,000 of
    the amount, likewise a cap), ``deductible_year`` (most owed of it in a year, fen) and bands
    ``band_first[cell]`` to ``band_first[cell + 1]`` with upper ``band_edge`` (fen) and ``band_share`` (1/10,000).
    ``counters`` (groups, 3) is moved in place; fills ``moved`` (rows and past rows, 3) and ``capped``. This is a
    loop because what a visit consumes depends on what earlier ones were paid.
    """
    for position in range(len(order)):
        row = order[position]
        owner = group[row]
        if source[row] >= 0:
            for kind in range(3):
                moved[row, kind] = -moved[source[row], kind]
                counters[owner, kind] += moved[row, kind]
            continue
        terms = cell[row]
        if terms < 0:
            continue
        consumed = 0 if deductible_per_visit else counters[owner, DEDUCTIBLE]
        own = min(amount[row], max(deductible[terms] - consumed, 0))
        if form != ORDINARY:
            own = amount[row] if (amount[row] > deductible[terms]) == (form == REVERSE_FRANCHISE) else 0
        own = min(own, max(deductible_year[terms] - counters[owner, DEDUCTIBLE], 0))
        shared = amount[row] - own
        low = 0 if bands_per_visit else counters[owner, SCOPE]
        if bands_from_zero:
            low += own + (0 if bands_per_visit else counters[owner, DEDUCTIBLE])
        product, at = 0, low
        for band in range(band_first[terms], band_first[terms + 1]):
            part = min(low + shared, band_edge[band]) - at
            if part > 0:
                product += part * band_share[band]
                at += part
        paid = divide_rounded(product * factor[row], RATIO_ONE * RATIO_ONE, rounding)
        room = min(max(cap[terms] - counters[owner, FUND], 0), visit_cap[terms])
        room = min(room, divide_rounded(amount[row] * visit_ratio[terms], RATIO_ONE, rounding))
        capped[row] = paid > room
        moved[row, DEDUCTIBLE] = own
        moved[row, SCOPE] = shared
        moved[row, FUND] = min(paid, room)
        for kind in range(3):
            counters[owner, kind] += moved[row, kind]


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
