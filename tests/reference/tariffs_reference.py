"""Exact plain-Python twins of tariff pricing: one row at a time, fractions instead of scaled integers.

They read the validated steps of a segment (the parameters as they stand in the file), never the compiled arrays,
and share no arithmetic with the package.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

LARGEST = 1_000_000_000
"""Above this a fare, distance, duration or amount has no price."""

CLASSES = ("adult", "student", "elderly", "disabled", "veteran", "staff", "half", "free", "none")


def rounded(value: Fraction, mode: str) -> int:
    """``value`` ≥ 0 as an integer, by the named rounding."""
    whole = math.floor(value)
    rest = value - whole
    match mode:
        case "down":
            return whole
        case "up":
            return whole + (rest > 0)
        case "half_up":
            return whole + (rest >= Fraction(1, 2))
        case "half_even":
            return round(value)
    raise AssertionError(mode)


@dataclass
class Ride:
    """A journey in evaluation."""

    row: Mapping[str, int]
    gross: int | None = None
    fare: int = 0
    conceded: int = 0
    open: bool = True
    covered: bool = True

    @property
    def card_class(self) -> str:
        """Class by name; unknown codes have none of the known names."""
        code = self.row["card_class"]
        return CLASSES[code] if code < len(CLASSES) else f"code {code}"


def price_journey(
    steps: Iterable[tuple[str, Any]], tables: Mapping[str, Any], row: Mapping[str, int]
) -> dict[str, Any]:
    """Amounts of one journey; all zero with ``priced`` False when the steps do not cover it."""
    ride = Ride(row)
    fund, fund_pays = 0, 0
    for name, step in steps:
        if name in _GROSS:
            _find_gross(name, step, tables, ride)
        elif ride.gross is not None and name == "split":
            share = step.funds.get(ride.card_class)
            if share is not None:
                conceded = min(ride.conceded, ride.gross - ride.fare)
                fund_pays = rounded(Fraction(conceded * share.per_10000, 10_000), "half_up")
                fund = share.fund if fund_pays else 0
        elif ride.gross is not None:
            _reduce(name, step, tables, ride)
    if ride.gross is None or not ride.covered:
        return dict.fromkeys(("gross", "card_pays", "fund_pays", "fund", "operator_bears"), 0) | {"priced": False}
    return {
        "gross": ride.gross,
        "card_pays": ride.fare,
        "fund_pays": fund_pays,
        "fund": fund,
        "operator_bears": ride.gross - ride.fare - fund_pays,
        "priced": True,
    }


_GROSS = ("flat", "gross", "lookup", "bands", "duration_blocks", "max_fare")


def _find_gross(name: str, step: Any, tables: Mapping[str, Any], ride: Ride) -> None:
    if name == "max_fare":
        if ride.row["incomplete"]:
            ride.gross = ride.fare = step.fare
            ride.open = ride.open and step.discounts
        return
    if ride.gross is not None:
        return
    fare = _full_fare(name, step, tables, ride)
    if fare is not None:
        ride.gross = ride.fare = fare


def _full_fare(name: str, step: Any, tables: Mapping[str, Any], ride: Ride) -> int | None:
    if name == "flat":
        return step.fare if step.classes is None or ride.card_class in step.classes else None
    if name == "lookup":
        column = step.columns.get("all", step.columns.get(ride.card_class))
        return None if column is None else _pair_fare(tables[step.table], column, step.directed, ride.row)
    quantity = ride.row[{"gross": "gross_fare", "duration_blocks": "duration_s"}.get(name) or step.of]
    if not 0 <= quantity <= LARGEST:
        return None
    if name == "gross":
        return quantity
    if name == "duration_blocks":
        return _stay(step, quantity)
    if step.classes is not None and ride.card_class not in step.classes:
        return None
    return _marginal(step.bands, quantity) if step.mode == "marginal" else _stepped(step, quantity)


def _pair_fare(table: Any, column: str, directed: bool, row: Mapping[str, int]) -> int | None:
    pairs = zip(table.column("entry"), table.column("exit"), table.column(column), strict=True)
    asked = (row["entry_station"], row["exit_station"])
    for entry, exit_, fare in pairs:
        if asked == (entry, exit_) or (not directed and asked == (exit_, entry)):
            return int(fare)
    return None


def _stepped(step: Any, quantity: int) -> int:
    for band in step.bands:
        if band.up_to is None or quantity <= band.up_to:
            return int(band.fare)
    last = step.bands[-1]
    return int(last.fare + step.beyond.add * math.ceil(Fraction(quantity - last.up_to, step.beyond.per_started)))


def _marginal(bands: Iterable[Any], quantity: int) -> int:
    total = lower = 0
    for band in bands:
        upper = quantity if band.up_to is None else min(quantity, band.up_to)
        if upper > lower:
            total += band.add * math.ceil(Fraction(upper - lower, band.per_started))
        lower = band.up_to or lower
    return total


def _stay(step: Any, seconds: int) -> int:
    if seconds <= step.free:
        return 0
    if step.charge_from == "free_end":
        seconds -= step.free
    if step.at_most is None:
        return _marginal(step.blocks, seconds)
    total = 0
    while seconds > 0:
        period = min(seconds, step.at_most.per_started)
        total += min(_marginal(step.blocks, period), step.at_most.fare)
        seconds -= period
    return total


def _reduce(name: str, step: Any, tables: Mapping[str, Any], ride: Ride) -> None:
    gross = ride.gross
    assert gross is not None
    if name == "round":
        ride.fare = min(gross, step.to * rounded(Fraction(ride.fare, step.to), step.mode))
    elif name == "concession":
        term = step.classes.get(ride.card_class)
        if term is None:
            ride.covered = ride.covered and step.others == "full_fare"
        elif ride.open:
            part = term.fare if term.fare is not None else Fraction(gross * term.per_10000, 10_000)
            _concede(ride, min(gross, rounded(Fraction(part), step.rounding)), final=term.final)
    elif not ride.open:
        return
    elif name == "concession_lookup":
        column = step.columns.get(ride.card_class)
        fare = None if column is None else _pair_fare(tables[step.table], column, step.directed, ride.row)
        if fare is not None:
            _concede(ride, min(gross, fare), final=True)
    elif name == "discount":
        paid, lower = Fraction(0), 0
        for band in step.bands:
            upper = gross if band.up_to is None else min(gross, band.up_to)
            paid += Fraction(max(upper - lower, 0) * band.per_10000, 10_000)
            lower = band.up_to or lower
        ride.fare = rounded(paid, step.rounding)
    elif name == "factor":
        ride.fare = rounded(Fraction(ride.fare * step.per_10000, 10_000), step.rounding)
    elif name == "transfer":
        if ride.row["transfer"] and ride.card_class in step.classes:
            ride.fare = min(ride.fare, max(ride.fare - step.minus, step.floor))
    else:
        raise AssertionError(name)


def _concede(ride: Ride, fare: int, *, final: bool) -> None:
    assert ride.gross is not None
    ride.fare = fare
    ride.conceded = ride.gross - fare
    ride.open = not final


Counters = dict[tuple[int, int], list[int]]
"""(owner, year) → counters of a state."""


def _year(day: int) -> int:
    return (date(1970, 1, 1) + timedelta(days=day)).year


def settle_visits(steps: Mapping[str, Any], visits: list[dict[str, int]], state: Counters) -> list[dict[str, Any]]:
    """Settle visits in the order given, moving ``state`` (deductible, fund consumed); None = not priced."""
    share_of = {(cell.insured, cell.level): cell.per_10000 for cell in steps["share"].by}
    deductible_of = {(cell.insured, cell.level): cell.amount for cell in steps["deductible"].by}
    cap_of = {cell.insured: cell.amount for cell in steps["annual_cap"].by}
    answers: list[dict[str, Any]] = []
    for visit in visits:
        key = (visit["insured"], visit["level"])
        counters = state.setdefault((visit["person"], _year(visit["settle_day"])), [0, 0])
        if key not in share_of:
            answers.append({"priced": False})
            continue
        prepay = steps["prepay"]
        own = rounded(Fraction(visit["category_b"] * prepay.category_b_per_10000, 10_000), prepay.rounding)
        scope = visit["category_a"] + visit["category_b"] - own
        deductible = min(scope, max(0, deductible_of[key] - counters[0]))
        fund = rounded(Fraction((scope - deductible) * share_of[key], 10_000), steps["share"].rounding)
        fund = min(fund, max(0, cap_of[visit["insured"]] - counters[1]))
        counters[0] += deductible
        counters[1] += fund
        total = visit["category_a"] + visit["category_b"] + visit["category_c"] + visit["over_limit"]
        left = total - fund
        paid = {"account": 0, "purse": 0}
        for payer in steps["waterfall"].order[:-1]:
            paid[payer] = min(left, visit[f"{payer}_available"])
            left -= paid[payer]
        answers.append(
            {
                "priced": True,
                "medfee_sumamt": total,
                "preselfpay_amt": own,
                "inscp_scp_amt": scope,
                "act_pay_dedc": deductible,
                "hifp_pay": fund,
                "fund_pay_sumamt": fund,
                "psn_part_amt": total - fund,
                "acct_pay": paid["account"],
                "purse_pay": paid["purse"],
                "psn_cash_pay": total - fund - paid["account"],
            }
        )
    return answers


def price_usages(steps: Mapping[str, Any], usages: list[dict[str, int]], state: Counters) -> list[dict[str, int]]:
    """Fen per component of each usage in the order given, moving ``state`` (usage in thousandths)."""
    tiers, household = steps["tiers"], steps.get("household")
    answers = []
    for usage in usages:
        counters = state.setdefault((usage["account"], _year(usage["period_day"])), [0])
        before = counters[0]
        counters[0] += usage["usage_milli"]
        extra = 0
        if household is not None:
            extra = min(max(usage["household"] - household.base_persons, 0), household.extra_persons_max)
        widths = household.units_per_extra_person if household is not None else []
        edges = [
            tier.up_to + extra * (widths[index] if widths else 0)
            for index, tier in enumerate(tiers.tiers)
            if tier.up_to is not None
        ]
        bill = {}
        for name in tiers.tiers[0].prices:
            low, high = (_cumulated(tiers.tiers, edges, name, at) for at in (before, counters[0]))
            if tiers.rounding_of == "bill":
                bill[name] = rounded(high - low, tiers.rounding)
            else:
                bill[name] = rounded(high, tiers.rounding) - rounded(low, tiers.rounding)
        answers.append(bill)
    return answers


def _cumulated(tiers: list[Any], edges: list[int], component: str, usage_milli: int) -> Fraction:
    """Fen for a year's usage, exact."""
    units, total, lower = Fraction(usage_milli, 1000), Fraction(0), Fraction(0)
    for tier, edge in zip(tiers, [*edges, None], strict=True):
        upper = units if edge is None else min(units, Fraction(edge))
        if upper > lower:
            total += (upper - lower) * tier.prices[component] / 100
            lower = upper
    return total
