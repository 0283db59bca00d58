"""Exact plain-Python twin of medical settlement: one visit at a time, fractions instead of scaled integers.

It reads the validated steps of a segment, never the compiled arrays, and shares no arithmetic with the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from reference.tariffs_reference import LARGEST, rounded

ABSENT = -(2**63)
FUNDS = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")
KEYS = ("insured", "person_type", "level", "visit_kind", "relation", "aid")
AMOUNTS = (
    "category_a",
    "category_b",
    "category_b_service",
    "category_b_material",
    "category_c",
    "over_limit",
    "account_available",
    "family_available",
    "purse_available",
    "program_limit",
)


@dataclass
class Settled:
    """A settlement with what it moved: (fund, person, year) or (program, owner, month) → counters."""

    answer: dict[str, int]
    funds: dict[tuple[int, int, int], tuple[int, int, int]] = field(default_factory=dict)
    months: dict[tuple[int, int, int], tuple[int, int, int, int]] = field(default_factory=dict)
    owner: int | None = None
    day: date = date(1970, 1, 1)
    cancelled_by: int | None = None

    @property
    def reached(self) -> bool:
        """Whether a limit was reached: the last counter of a month."""
        return any(move[3] for move in self.months.values())


@dataclass
class Books:
    """Counters and past settlements; moved by :func:`settle`."""

    funds: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    months: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    settled: dict[tuple[int, int], Settled] = field(default_factory=dict)
    reviews: set[tuple[int, int, int, int, int]] = field(default_factory=set)


def settle(
    steps: Iterable[tuple[str, Any]], visits: Iterable[Mapping[str, int]], books: Books, prepay: Any = None
) -> list[dict[str, Any]]:
    """Settle visits given in settlement order; ``prepay`` is that of the place of care if not home's."""
    listed = list(steps)
    limit = dict(listed).get("monthly_limit")
    return [
        _settle(listed, visit, books, prepay) if visit["cancels"] < 0 else _cancel(visit, books, limit)
        for visit in visits
    ]


def _cancel(visit: Mapping[str, int], books: Books, limit: Any) -> dict[str, Any]:
    within = limit.repeat.within_months if limit is not None and limit.repeat is not None else 1
    taken = books.settled.get((visit["person"], visit["cancels"]))
    if taken is None or taken.cancelled_by is not None or visit["cancels"] >= visit["sequence"]:
        return {"priced": False}
    taken.cancelled_by = visit["sequence"]
    for book, moves in ((books.funds, taken.funds), (books.months, taken.months)):
        for key, move in moves.items():
            book[key] = [old - given for old, given in zip(book[key], move, strict=True)]
    for (person, sequence), other in books.settled.items():
        same_year = person == visit["person"] and other.day.year == taken.day.year
        later = (other.day.year - taken.day.year) * 12 + other.day.month - taken.day.month
        same_limit = (
            taken.owner is not None and other.owner == taken.owner and 0 <= later < (within if taken.reached else 1)
        )
        if not same_year and not same_limit:
            continue
        if visit["cancels"] < sequence < visit["sequence"] and other.cancelled_by is None:
            books.reviews.add((visit["sequence"], person, sequence, visit["person"], visit["cancels"]))
    return {"priced": True} | {name: -amount for name, amount in taken.answer.items()}


def _fits(cell: Any, visit: Mapping[str, int]) -> bool:
    return all(getattr(cell, key) in (None, visit[key]) for key in KEYS)


def _cell(table: Iterable[Any], visit: Mapping[str, int]) -> Any:
    return next((cell for cell in table if _fits(cell, visit)), None)


def _settle(steps: list[tuple[str, Any]], visit: Mapping[str, int], books: Books, catalogue: Any) -> dict[str, Any]:
    named = {name: step for name, step in steps if name != "supplement"}
    share_cell = _cell(named["share"].by, visit)
    abroad = _relation(named.get("out_of_region"), visit, share_cell)
    limit = named.get("monthly_limit")
    terms, owner = _limit_terms(limit, visit)
    if share_cell is None or abroad is None or terms is None or not all(0 <= visit[n] <= LARGEST for n in AMOUNTS):
        return {"priced": False}
    day = date(1970, 1, 1) + timedelta(days=visit["settle_day"])
    record = Settled({}, owner=owner, day=day)
    bill = record.answer
    prepay = catalogue or named["prepay"]
    own = scope = 0
    for column, ratio in (
        ("category_b", prepay.category_b_per_10000),
        ("category_b_service", prepay.service_per_10000),
        ("category_b_material", prepay.material_per_10000),
    ):
        part = prepay.category_b_per_10000 if ratio is None else ratio
        paid = rounded(Fraction(visit[column] * part, 10_000), prepay.rounding)
        own += paid
        scope += visit[column] - paid
    scope += visit["category_a"]
    first = rounded(Fraction(scope * abroad[0], 10_000), abroad[2])
    bill["preselfpay_amt"], bill["inscp_scp_amt"] = own + first, scope - first
    bill["fulamt_ownpay_amt"], bill["overlmt_selfpay"] = visit["category_c"], visit["over_limit"]
    bill["medfee_sumamt"] = own + scope + visit["category_c"] + visit["over_limit"]
    bill |= dict.fromkeys(FUNDS, 0)
    _basic(named, share_cell, visit, abroad[1], record, books)
    for name, step in steps:
        if name == "supplement":
            _supplement(step, visit, record, books)
    if limit is not None:
        _month(limit, terms, visit, record, books)
    bill["fund_pay_sumamt"] = sum(bill[fund] for fund in FUNDS)
    bill["psn_part_amt"] = bill["medfee_sumamt"] - bill["fund_pay_sumamt"]
    _waterfall(named["waterfall"], visit, bill)
    books.settled[visit["person"], visit["sequence"]] = record
    return {"priced": True} | bill


def _relation(step: Any, visit: Mapping[str, int], cell: Any) -> tuple[int, int, str] | None:
    """Self-pay ratio, share factor and rounding for the place of care."""
    if visit["relation"] == 0:
        return 0, 10_000, "down"
    for term in step.by if step else ():
        if term.relation == visit["relation"]:
            return term.self_pay_per_10000, term.share_factor_per_10000, step.rounding
    return (0, 10_000, "down") if cell is not None and cell.relation is not None else None


def _basic(
    named: Mapping[str, Any], cell: Any, visit: Mapping[str, int], factor: int, record: Settled, books: Books
) -> None:
    step, share, cap = named["deductible"], named["share"], _cell(named["annual_cap"].by, visit)
    key = (0, visit["person"], record.day.year)
    used = books.funds.setdefault(key, [0, 0, 0])
    amount = record.answer["inscp_scp_amt"]
    left = _cell(step.by, visit).amount - (0 if step.period == "visit" else used[0])
    own = min(amount, max(left, 0))
    above = amount > _cell(step.by, visit).amount
    if step.form == "franchise":
        own = 0 if above else amount
    if step.form == "reverse_franchise":
        own = amount if above else 0
    if _cell(step.by, visit).year_max is not None:
        own = min(own, max(_cell(step.by, visit).year_max - used[0], 0))
    paid = rounded(_shared(cell, share.bands, used, own, amount - own) * Fraction(factor, 10_000), share.rounding)
    paid = min(paid, max(cap.amount - used[2], 0))
    if cap.per_visit is not None:
        paid = min(paid, cap.per_visit)
    if cap.per_visit_per_10000 is not None:
        paid = min(paid, rounded(Fraction(amount * cap.per_visit_per_10000, 10_000), share.rounding))
    record.answer["hifp_pay"], record.answer["act_pay_dedc"] = paid, own
    _move(record.funds, books.funds, key, (own, amount - own, paid))


def _shared(cell: Any, counted: Any, used: list[int], own: int, shared: int) -> Fraction:
    """The fund's part of ``shared`` fen by the marginal bands."""
    if cell.bands is None:
        return Fraction(shared * cell.per_10000, 10_000)
    low = used[1] if counted.period == "calendar_year" else 0
    if counted.counted_from == "zero":
        low += own + (used[0] if counted.period == "calendar_year" else 0)
    total, begin = Fraction(0), 0
    for band in cell.bands:
        end = low + shared if band.up_to is None else min(band.up_to, low + shared)
        total += Fraction(max(end - max(begin, low), 0) * band.per_10000, 10_000)
        begin = band.up_to or 0
    return total


def _supplement(step: Any, visit: Mapping[str, int], record: Settled, books: Books) -> None:
    cell = _cell(step.by, visit)
    if cell is None:
        return
    bill = record.answer
    counting = {
        "in_scope": bill["inscp_scp_amt"],
        "in_scope_and_prepaid": bill["inscp_scp_amt"] + bill["preselfpay_amt"],
        "person_part": bill["medfee_sumamt"],
    }[step.of]
    amount = max(counting - sum(bill[fund] for fund in FUNDS), 0)
    key = (FUNDS.index(step.fund), visit["person"], record.day.year)
    used = books.funds.setdefault(key, [0, 0, 0])
    own = min(amount, max(cell.deductible - used[0], 0))
    paid = rounded(_shared(cell, step.bands, used, own, amount - own), step.rounding)
    bill[step.fund] = paid = min(paid, max(cell.cap - used[2], 0))
    _move(record.funds, books.funds, key, (own, amount - own, paid))


def _move(moves: dict[Any, Any], book: dict[Any, list[int]], key: Any, move: tuple[int, ...]) -> None:
    moves[key] = move
    book[key] = [old + new for old, new in zip(book[key], move, strict=True)]


def _limit_terms(step: Any, visit: Mapping[str, int]) -> tuple[Any, int | None]:
    """Terms of the visit's income class (None = unknown) and the owner of the month."""
    if step is None:
        return (None if visit["program"] else True), None
    owner = visit["household"] if step.per == "household" else visit["person"]
    programmes = [p.program for p in step.second_payer.by] if step.second_payer else []
    if owner == ABSENT or visit["program"] not in (0, *programmes):
        return None, None
    code = visit["income_class"]
    if step.classes is not None:
        bands = step.classes.bands
        code = next(b.income_class for b in bands if b.up_to is None or visit["income"] <= b.up_to)
        code = step.classes.exempt if visit["income_exempt"] else code
    return next((terms for terms in step.by if terms.income_class == code), None), owner


def _month(step: Any, terms: Any, visit: Mapping[str, int], record: Settled, books: Books) -> None:
    bill, owner = record.answer, record.owner
    assert owner is not None
    month = record.day.year * 12 + record.day.month - 1
    cost = bill["inscp_scp_amt"]
    own = max(cost - sum(bill[fund] for fund in FUNDS), 0)
    repeated = False
    if step.repeat is not None:
        before = range(month - step.repeat.within_months + 1, month)
        reached = sum(books.months.get((0, owner, m), [0] * 4)[3] > 0 for m in before)
        repeated = reached >= step.repeat.months

    def limit(of: Any, medical: int, flat: bool) -> int:
        if flat:
            return int(of.repeated)
        over = Fraction(max(medical - of.threshold, 0) * of.per_10000, 10_000)
        return int(of.base + step.to * rounded(over / step.to, step.rounding))

    if visit["program"]:
        general = next(t for t in step.by if t.income_class == step.second_payer.income_class)
        left = min(own, limit(general, cost, False))
    else:
        left = min(own, limit(terms, cost, repeated))
    alone, second = own - left, 0
    if visit["program"]:
        programme = next(p for p in step.second_payer.by if p.program == visit["program"])
        key = (visit["program"], visit["person"], month)
        used = books.months.setdefault(key, [0, 0, 0, 0])
        most = visit["program_limit"]
        if programme.person_pays == "ratio":
            part = Fraction((used[0] + cost) * programme.per_10000, 10_000)
            most = step.to * rounded(part / step.to, step.rounding)
        second = min(max(used[1] + left - most - used[2], 0), left)
        _move(record.months, books.months, key, (cost, left, second, 0))
        bill[step.second_payer.fund] = second
        left -= second
    key = (0, owner, month)
    used = books.months.setdefault(key, [0, 0, 0, 0])
    together, counted = 0, own >= step.counted_from
    if counted:
        over = used[1] + left - limit(terms, used[0] + cost, repeated) - used[2]
        together = min(max(over, 0), left)
    bill[step.fund] = alone + together
    counts = (cost, left, together) if counted else (0, 0, 0)
    _move(record.months, books.months, key, (*counts, int(alone + together > 0)))


def _waterfall(step: Any, visit: Mapping[str, int], bill: dict[str, int]) -> None:
    left = covered = bill["psn_part_amt"]
    if step.accounts_cover == "in_scope":
        covered = max(bill["inscp_scp_amt"] - bill["fund_pay_sumamt"], 0)
    paid = {"account": 0, "family": 0, "purse": 0}
    for payer in step.order[:-1]:
        most = left if payer == "purse" else min(left, covered)
        paid[payer] = min(most, visit[f"{payer}_available"])
        left -= paid[payer]
        covered -= 0 if payer == "purse" else paid[payer]
    bill["acct_pay"], bill["acct_mulaid_pay"], bill["purse_pay"] = paid["account"], paid["family"], paid["purse"]
    bill["psn_cash_pay"] = bill["psn_part_amt"] - paid["account"] - paid["family"]
