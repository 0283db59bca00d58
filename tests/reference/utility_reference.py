"""Exact plain-Python twin of utility pricing: one reading at a time in reading order, fractions throughout.

It reads the validated steps of a segment (the parameters as they stand in the file), never the compiled arrays, and
shares no arithmetic with the package. Rows are dictionaries of all columns of ``UtilityUsages``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from reference.tariffs_reference import rounded

NULL = -(2**63)
Row = dict[str, int]
Steps = list[tuple[str, Any]]


@dataclass
class Account:
    """Counters by period key: usage, days, extra person-days; peaks by (charge, period key)."""

    usage: dict[int, int] = field(default_factory=dict)
    days: dict[int, int] = field(default_factory=dict)
    person_days: dict[int, int] = field(default_factory=dict)
    peaks: dict[tuple[int, int], int] = field(default_factory=dict)


def price_usages(
    steps: Steps, rows: list[Row], accounts: dict[int, Account], first: date, last: date
) -> list[dict[str, Any]]:
    """Components, units and tier of each row; {} for a row without a price. Moves ``accounts``."""
    answers: list[dict[str, Any]] = [{} for _ in rows]
    order = sorted(range(len(rows)), key=lambda i: (rows[i]["account"], rows[i]["sequence"]))
    listed = [i for i in order if _admitted(steps, rows[i])]
    rows = [row | {"usage_milli": _read(steps, row)} if i in listed else row for i, row in enumerate(rows)]
    bills: dict[tuple[int, int, int], list[int]] = {}
    for i in listed:
        alone = rows[i]["bill"] == NULL
        bills.setdefault((rows[i]["account"], rows[i]["bill"], i if alone else -1), []).append(i)
    members = {i: bill for bill in bills.values() for i in bill}
    for i in listed:
        account = accounts.setdefault(rows[i]["account"], Account())
        bill = [rows[j] for j in members[i]]
        at = members[i].index(i)
        before = [answers[j] for j in members[i][:at]]
        answers[i] = _Reading(steps, rows[i], bill, at, before, account, first, last).answer()
    for bill_rows in bills.values():
        _close_bill(steps, rows, bill_rows, answers)
    return answers


def _read(steps: Steps, row: Row) -> int:
    """Usage in the whole steps it is read in."""
    for _, step in steps:
        if type(step).__name__ == "Reading":
            return rounded(Fraction(row["usage_milli"], step.round_to_milli), step.rounding) * int(
                step.round_to_milli
            )
    return row["usage_milli"]


def _close_bill(steps: Steps, rows: list[Row], bill: list[int], answers: list[dict[str, Any]]) -> None:
    """Round each component once, then what is due once per bill."""
    running: dict[str, Fraction] = {}
    modes = _modes(steps)
    for i in bill:
        for name, exact in answers[i].pop("exact").items():
            earlier = running.get(name, Fraction(0))
            running[name] = earlier + exact
            answers[i][name] += rounded(running[name], modes[name]) - rounded(earlier, modes[name])
    last = answers[bill[-1]]
    for _, step in steps:
        if type(step).__name__ == "Prepaid":
            for i in bill:
                if rows[i]["purchase"] > 0:
                    answers[i][step.remainder_to] += rows[i]["purchase"] - _sum(answers[i], modes)
        if type(step).__name__ == "Minimum" and _fits(step.only, rows[bill[-1]]):
            last[step.component] += max(step.amount - sum(_sum(answers[i], modes) for i in bill), 0)
        if type(step).__name__ == "LateFee":
            principal = sum(_sum(answers[i], modes) for i in bill)
            days = max(rows[i]["days_overdue"] for i in bill)
            fee = rounded(Fraction(principal * days * step.per_day_per_10000, 10_000), step.rounding)
            last[step.component] += min(max(fee, step.at_least), principal) if days else 0


def _sum(answer: dict[str, Any], modes: dict[str, str]) -> int:
    return sum(int(answer[name]) for name in modes)


def _modes(steps: Steps) -> dict[str, str]:
    """Component → rounding."""
    modes = {}
    for _, step in steps:
        if type(step).__name__ == "Tiers":
            modes |= dict.fromkeys(step.tiers[0].prices, step.rounding)
        elif hasattr(step, "component"):
            modes[step.component] = getattr(step, "rounding", "down")
    return modes


def _fits(only: Any, row: Row) -> bool:
    return (only.customer_class is None or row["customer_class"] in only.customer_class) and (
        only.meter_size is None or row["meter_size"] in only.meter_size
    )


def _day(row: Row) -> date:
    return date(1970, 1, 1) + timedelta(days=row["period_day"])


def _kind(day: date, calendar: Any) -> str | None:
    """What a calendar says of a day, None where it does not list the year or there is none."""
    notice = (calendar or {}).get(day.year)
    if notice is None:
        return None
    if day in notice.holidays:
        return "holiday"
    return "workday" if day.weekday() < 5 or day in notice.workdays else "weekend"


def _holds(window: Any, row: Row, calendar: Any) -> bool:
    day = _day(row)
    if row["minute"] == NULL or (window.months is not None and day.month not in window.months):
        return False
    kind = _kind(day, calendar)
    if calendar is not None and kind is None:
        return False
    weekday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.weekday()]
    if window.days is not None and not {kind, weekday} & set(window.days):
        return False
    start, end = (int(t[:2]) * 60 + int(t[3:]) for t in (window.start, window.end))
    return start <= row["minute"] < end


def _use(steps: Steps, row: Row) -> str | None:
    """Name of the time of use; "" when the tariff has none."""
    for _, step in steps:
        if type(step).__name__ == "TimeOfUse":
            for period in step.periods:
                if row["register"] != NULL:
                    if period.register_code == row["register"]:
                        return str(period.name)
                elif any(_holds(window, row, step.calendar) for window in period.when or []):
                    return str(period.name)
            return None
    return ""


def _selected(steps: Steps, row: Row) -> Steps:
    """The tiers steps a row is priced by: of those with the same components the first."""
    use, chosen, taken = _use(steps, row), [], set()
    for name, step in steps:
        if type(step).__name__ != "Tiers" or not _fits(step.only, row):
            continue
        periods = [set(p) for tier in step.tiers for p in tier.prices.values() if isinstance(p, dict)]
        covered = use is not None and all(use in p for p in periods)
        components = tuple(step.tiers[0].prices)
        if components not in taken and (covered or row["usage_milli"] == 0):
            taken.add(components)
            chosen.append((name, step))
    return chosen


def _admitted(steps: Steps, row: Row) -> bool:
    kinds = {type(step).__name__ for _, step in steps}
    if "Tiers" in kinds and not _selected(steps, row):
        return False
    for _, step in steps:
        if type(step).__name__ == "Fixed" and not any(_fits(entry.only, row) for entry in step.prices):
            return False
    if row["purchase"] and "Prepaid" not in kinds:
        return False
    quantities = ("usage_milli", "allowance_milli", "demand_milli", "days_overdue", "purchase")
    return row["household"] > 0 and 0 <= row["days"] <= 3660 and all(0 <= row[q] <= 10**9 for q in quantities)


class _Reading:
    """One reading in the light of its bill and its account."""

    def __init__(
        self,
        steps: Steps,
        row: Row,
        bill: list[Row],
        at: int,
        before: list[dict[str, Any]],
        account: Account,
        first: date,
        last: date,
    ) -> None:
        self.steps, self.row, self.bill, self.at, self.account = steps, row, bill, at, account
        self.bill_units_before = sum(answer["units"] for answer in before)
        self.first, self.last = first, last
        self.one = {type(step).__name__: step for _, step in steps}

    def answer(self) -> dict[str, Any]:
        modes = _modes(self.steps)
        answer: dict[str, Any] = dict.fromkeys(modes, 0) | {"exact": dict.fromkeys(modes, Fraction(0))}
        answer |= {"units": self.row["usage_milli"], "rule": "not covered"}
        if "Tiers" in self.one:
            self._tiers(answer)
        if "Demand" in self.one:
            answer["exact"][self.one["Demand"].component] = self._demand(self.one["Demand"])
        for _, step in self.steps:
            if type(step).__name__ == "Fixed":
                price = next(entry.price for entry in step.prices if _fits(entry.only, self.row))
                times = self.row["days"] if step.per == "day" else self.at == 0
                answer["exact"][step.component] = Fraction(price * times * 100, step.price_scale)
        return answer

    def _tiers(self, answer: dict[str, Any]) -> None:
        frame = self.one["Tiers"]
        key = self._key(frame)
        before = self.bill_units_before if key is None else self.account.usage.get(key, 0)
        extra = self._extra(key)
        if self.row["purchase"] > 0:
            answer["units"] = self._bought(frame, self._edges(frame, extra), before)
        after = before + answer["units"]
        for _, step in _selected(self.steps, self.row):
            edges = self._edges(step, extra)
            if answer["rule"] == "not covered":
                answer["rule"] = f"{step.name}[{1 + sum(edge < after for edge in edges)}]"
            for component in step.tiers[0].prices:
                prices = [self._price(tier.prices[component], step.price_scale) for tier in step.tiers]
                low, high = _cumulated(edges, prices, before), _cumulated(edges, prices, after)
                if step.rounding_of == "running_total":
                    answer[component] = rounded(high, step.rounding) - rounded(low, step.rounding)
                elif step.fill == "in_proportion":
                    answer["exact"][component] = self._shared(edges, prices, before, answer["units"])
                else:
                    answer["exact"][component] = high - low
        if key is not None:
            self.account.usage[key] = after
            if "Household" in self.one and self.one["Household"].on_change == "prorate_by_days":
                persons = self._extra_now() * self.row["days"]
                self.account.days[key] = self.account.days.get(key, 0) + self.row["days"]
                self.account.person_days[key] = self.account.person_days.get(key, 0) + persons

    def _price(self, price: Any, scale: int) -> Fraction:
        """Fen per thousandth of a unit."""
        use = _use(self.steps, self.row)
        value = price if isinstance(price, int) else price.get(use, 0)
        return Fraction(value * 100, scale * 1000)

    def _shared(self, edges: list[int], prices: list[Fraction], before: int, units: int) -> Fraction:
        """Tiers shared by the rows of the bill, in whole thousandths added up row by row."""
        total = sum(row["usage_milli"] for row in self.bill)
        until = sum(row["usage_milli"] for row in self.bill[: self.at])
        below = []
        for edge in edges:
            filled = min(max(edge - (before - until), 0), total)
            shares = [math.floor(Fraction(filled * x, max(total, 1))) for x in (until, until + units)]
            below.append(shares[1] - shares[0])
        amount = units * prices[-1]
        return amount + sum(
            (part * (p - q) for part, p, q in zip(below, prices, prices[1:], strict=False)), Fraction(0)
        )

    def _months(self, frame: Any) -> tuple[date, date]:
        """First day of the tariff period and of the next."""
        day = _day(self.row)
        length = {"calendar_year": 12, "calendar_two_months": 2, "calendar_month": 1}[frame.period]
        month = (day.month - 1) // length * length + 1
        end = (day.year + (month + length > 12), (month + length - 1) % 12 + 1)
        return date(day.year, month, 1), date(end[0], end[1], 1)

    def _piece(self, frame: Any) -> tuple[date, date]:
        begin, end = self._months(frame)
        if frame.on_price_change == "prorate":
            return max(begin, self.first), min(end, self.last + timedelta(days=1))
        return begin, end

    def _key(self, frame: Any) -> int | None:
        if frame.period == "bill":
            return None
        begin, end = self._months(frame)
        if frame.on_price_change == "prorate" and (begin, end) != self._piece(frame):
            begin = self._piece(frame)[0]
            return begin.year * 10_000 + begin.month * 100 + begin.day
        return begin.year if frame.period == "calendar_year" else begin.year * 100 + begin.month

    def _extra_now(self) -> int:
        household = self.one.get("Household")
        if household is None:
            return 0
        return int(min(max(self.row["household"] - household.base_persons, 0), household.extra_persons_max))

    def _extra(self, key: int | None) -> Fraction:
        now = self._extra_now()
        household = self.one.get("Household")
        if household is None or household.on_change == "keep_cumulated_usage" or key is None:
            return Fraction(now)
        begin, end = self._months(self.one["Tiers"])
        length = (end - begin).days
        left = max(length - self.account.days.get(key, 0), 0)
        return Fraction(self.account.person_days.get(key, 0) + now * left, length)

    def _edges(self, step: Any, extra: Fraction) -> list[int]:
        """Tier edges in thousandths."""
        household = self.one.get("Household")
        days = sum(row["days"] for row in self.bill)
        if step.period != "bill":
            begin, end = self._piece(step)
            days = (end - begin).days
        edges = []
        for index, tier in enumerate(step.tiers[:-1]):
            if tier.up_to is not None:
                widened = math.floor(extra * (household.units_per_extra_person[index] * 1000 if household else 0))
                edge = tier.up_to * 1000 + widened
                if step.on_price_change == "prorate":
                    begin, end = self._months(step)
                    edge = math.floor(Fraction(edge * days, (end - begin).days))
            elif tier.up_to_per_day_milli is not None:
                edge = tier.up_to_per_day_milli * days
            elif tier.up_to_per_kw_milli is not None:
                edge = tier.up_to_per_kw_milli * max(row["demand_milli"] for row in self.bill) // 1000
            elif tier.up_to_per_kw_day_milli is not None:
                edge = tier.up_to_per_kw_day_milli * max(row["demand_milli"] for row in self.bill) * days // 1000
            else:
                edge = self._budget(step.budget, tier.up_to_budget, days)
            edges.append(edge)
        return edges

    def _budget(self, budget: Any, share: Any, days: int) -> int:
        step, mode = budget.round_to_milli, budget.rounding
        each = budget.per_person_milli + budget.per_person_day_milli * days
        persons = rounded(Fraction(self.row["household"] * each, step), mode) * step
        allowance = rounded(Fraction(self.row["allowance_milli"], step), mode) * step
        both = persons * share.persons_per_10000 + allowance * share.allowance_per_10000
        return rounded(Fraction(both, 10_000 * step), mode) * step

    def _bought(self, frame: Any, edges: list[int], before: int) -> int:
        """Most units the money pays for, found step by step of the tiers."""
        step = self.one["Prepaid"].unit_step_milli
        prices = [sum(self._price(p, frame.price_scale) for p in tier.prices.values()) for tier in frame.tiers]
        low, high = 0, self.row["purchase"] * 10**9
        while low < high:
            middle = (low + high + 1) // 2
            cost = _cumulated(edges, prices, before + middle) - _cumulated(edges, prices, before)
            low, high = (middle, high) if cost <= self.row["purchase"] else (low, middle - 1)
        return low // step * step

    def _demand(self, step: Any) -> Fraction:
        day, exact = _day(self.row), Fraction(0)
        for index, charge in enumerate(step.charges):
            key = day.year * 100 + day.month
            if step.assessed == "daily":
                key = key * 100 + day.day
            holds = not charge.when or any(_holds(window, self.row, step.calendar) for window in charge.when)
            demand = self.row["demand_milli"] if holds else 0
            known = self.account.peaks.get((index, key))
            after = max(known or 0, demand)
            self.account.peaks[index, key] = after
            floor = self._floor(step.ratchet, index, day)
            prices = [Fraction(tier.price * 100, step.price_scale * 1000) for tier in charge.tiers]
            edges = [tier.up_to * 1000 for tier in charge.tiers[:-1]]
            exact += _cumulated(edges, prices, max(after, floor))
            exact -= _cumulated(edges, prices, max(known, floor)) if known is not None else 0
        return exact

    def _floor(self, ratchet: Any, index: int, day: date) -> int:
        if ratchet is None:
            return 0
        now = day.year * 12 + day.month
        earlier = [
            peak
            for (charge, key), peak in self.account.peaks.items()
            if charge == index and 0 < now - (key // 100 * 12 + key % 100) <= ratchet.months
        ]
        return rounded(Fraction(max(earlier, default=0) * ratchet.per_10000, 10_000), ratchet.rounding)


def _cumulated(edges: list[int], prices: list[Fraction], usage: int) -> Fraction:
    """Exact amount for a period's usage in thousandths."""
    total, lower = Fraction(0), 0
    for edge, price in zip([*edges, usage], prices, strict=True):
        upper = min(max(edge, lower), usage)
        total += max(upper - lower, 0) * price
        lower = max(lower, upper)
    return total
