"""Exact plain-Python twins of tariff pricing: one row at a time, fractions instead of scaled integers.

They read the validated steps of a segment (the parameters as they stand in the file), never the compiled arrays,
and share no arithmetic with the package.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
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
    refused: bool = False

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
        if name == "apportion":
            continue
        holds = when_holds(step.when, row)
        if holds is None and ride.open:
            ride.gross, ride.refused = None, True
        if not holds:
            continue
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


def when_holds(when: Any, row: Mapping[str, int]) -> bool | None:
    """Whether a condition holds; None when only a calendar that does not reach the day could tell."""
    if when is None:
        return True
    card_class = CLASSES[row["card_class"]] if row["card_class"] < len(CLASSES) else None
    lists = (
        (when.classes, card_class),
        (when.modes, row["mode"]),
        (when.lines, row["line"]),
        (when.operators, row["operator"]),
        (when.entry_stations, row["entry_station"]),
        (when.exit_stations, row["exit_station"]),
    )
    if any(asked is not None and value not in asked for asked, value in lists):
        return False
    entry, exit_ = row["entry_station"], row["exit_station"]
    if when.same_station is not None and (MISSING in (entry, exit_) or (entry == exit_) != when.same_station):
        return False
    if when.concession_valid is not None:
        last, time = row["concession_last_day"], max(row["entry_time"], -1)
        time = row["exit_time"] if time < 0 else time
        if last != MISSING and time < 0:
            return False
        if (last == MISSING or time // 86_400 <= last) != when.concession_valid:
            return False
    for name in ("age", "distance_m", "duration_s"):
        asked = getattr(when, name)
        if asked is not None:
            top = math.inf if asked.at_most is None else asked.at_most
            if not (asked.at_least or 0) <= row[name] <= top:
                return False
    for name in ("transfer", "incomplete"):
        asked = getattr(when, name)
        if asked is not None and bool(row[name]) != asked:
            return False
    if when.timeframe is None:
        return True
    return inside_timeframe(when.timeframe, row[f"{when.timeframe.at}_time"])


MISSING = -(2**63)


def inside_timeframe(frame: Any, time: int) -> bool | None:
    """Whether a local time in seconds falls into a window of the time frame; None = the calendar ends before."""
    if time < 0:
        return False
    moment = datetime(1970, 1, 1) + timedelta(seconds=time)
    answers = [_inside_window(window, frame.calendar, moment) for window in frame.windows]
    return True if True in answers else None if None in answers else False


def _inside_window(window: Any, calendar: Any, moment: datetime) -> bool | None:
    clock = moment.strftime("%H:%M:%S")
    start, end = f"{window.start}:00"[:8], f"{window.end}:00"[:8]
    day = moment.date()
    if start < end:
        inside = start <= clock < end
    else:
        inside = clock >= start or clock < end
        if clock < end:
            day -= timedelta(days=1)
    if not inside or window.days is None:
        return inside
    names = {("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.weekday()]}
    if {"workday", "weekend", "holiday"} & set(window.days):
        notice = calendar.get(day.year)
        if notice is None:
            return None
        if day in notice.holidays:
            names.add("holiday")
        elif day in notice.workdays or day.weekday() < 5:
            names.add("workday")
        else:
            names.add("weekend")
    return bool(names & set(window.days))


_GROSS = (
    "flat", "gross", "lookup", "zones", "bands", "duration_blocks", "timed_blocks", "surcharge", "max_fare",
)  # fmt: skip


def _find_gross(name: str, step: Any, tables: Mapping[str, Any], ride: Ride) -> None:
    if name == "max_fare":
        if ride.row["incomplete"]:
            ride.gross = ride.fare = _highest_fare(step, tables, ride.row)
            ride.open = ride.open and step.discounts
            ride.refused = False
        return
    if name == "surcharge":
        if ride.gross is not None:
            ride.gross += _surcharge(step, ride)
            ride.fare = ride.gross
        return
    if ride.gross is not None or ride.refused:
        return
    fare = _full_fare(name, step, tables, ride)
    if fare is not None:
        ride.gross = ride.fare = fare


def _highest_fare(step: Any, tables: Mapping[str, Any], row: Mapping[str, int]) -> int:
    if step.highest is None:
        return int(step.fare)
    table = tables[step.highest.table]
    columns = (table.column(name).tolist() for name in ("entry", "exit", step.highest.column))
    trips = [(entry, exit_, fare) for entry, exit_, fare in zip(*columns, strict=True)]
    if not step.highest.directed:
        trips += [(exit_, entry, fare) for entry, exit_, fare in trips]
    known = {station for trip in trips for station in trip[:2]}
    if row["entry_station"] in known:
        fares = [fare for entry, _, fare in trips if entry == row["entry_station"]]
    else:
        fares = [fare for _, exit_, fare in trips if exit_ == row["exit_station"]]
    return max(fares, default=step.fare)


def _surcharge(step: Any, ride: Ride) -> int:
    if step.add is not None:
        return int(step.add)
    if step.per_10000 is not None:
        return step.to * rounded(Fraction((ride.gross or 0) * step.per_10000, 10_000 * step.to), step.rounding)
    quantity = ride.row[step.of]
    return _marginal(step.blocks, quantity) if 0 <= quantity <= LARGEST else 0


def _full_fare(name: str, step: Any, tables: Mapping[str, Any], ride: Ride) -> int | None:
    if name == "flat":
        return step.fare if step.classes is None or ride.card_class in step.classes else None
    if name == "lookup":
        asked = (ride.row["entry_station"], ride.row["exit_station"])
        return _cell(step, tables, ride, asked)
    if name == "zones":
        return _zone_fare(step, tables, ride)
    if name == "timed_blocks":
        return _timed_stay(step, ride.row["entry_time"], ride.row["exit_time"])
    quantity = ride.row[{"gross": "gross_fare", "duration_blocks": "duration_s"}.get(name) or step.of]
    if not 0 <= quantity <= LARGEST:
        return None
    if name == "gross":
        return quantity
    if name == "duration_blocks":
        return _stay(step, quantity)
    if step.classes is not None and ride.card_class not in step.classes:
        return None
    return _marginal(step.bands, quantity) if step.mode == "marginal" else _stepped(step, quantity, ride.card_class)


def _cell(terms: Any, tables: Mapping[str, Any], ride: Ride, pair: tuple[int, int]) -> int | None:
    """The fare of a pair in the column of the card's class."""
    column = terms.columns.get("all", terms.columns.get(ride.card_class))
    return None if column is None else _pair_fare(tables[terms.table], column, terms.directed, pair)


def _pair_fare(table: Any, column: str, directed: bool, asked: tuple[int, int]) -> int | None:
    pairs = zip(table.column("entry"), table.column("exit"), table.column(column), strict=True)
    for entry, exit_, fare in pairs:
        if asked == (entry, exit_) or (not directed and asked == (exit_, entry)):
            return int(fare)
    return None


def _zone_fare(step: Any, tables: Mapping[str, Any], ride: Ride) -> int | None:
    stations = (ride.row["entry_station"], ride.row["exit_station"])
    if step.zone_of is not None:
        table = tables[step.zone_of]
        zone_of = dict(zip(table.column("station").tolist(), table.column("zone").tolist(), strict=True))
        zones = [zone_of.get(station) for station in stations]
    else:
        between = step.zones_between
        zones = [
            _pair_fare(tables[between.table], column, between.directed, stations)
            for column in ("zone_low", "zone_high")
        ]
    first, second = zones
    if first is None or second is None:
        return None
    if step.by_count is not None:
        count = abs(first - second) + 1
        return step.by_count[count - 1] if count <= len(step.by_count) else None
    return None if step.fares is None else _cell(step.fares, tables, ride, (first, second))


def _stepped(step: Any, quantity: int, card_class: str) -> int | None:
    def fare_of(band: Any) -> int | None:
        return band.fares.get(card_class) if hasattr(band, "fares") else band.fare

    for band in step.bands:
        if band.up_to is None or quantity <= band.up_to:
            return fare_of(band)
    last = step.bands[-1]
    fare = fare_of(last)
    if fare is None:
        return None
    return fare + int(step.beyond.add * math.ceil(Fraction(quantity - last.up_to, step.beyond.per_started)))


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


def _timed_stay(step: Any, entry: int, exit_: int) -> int | None:
    if entry < 0 or exit_ < 0 or not 0 <= exit_ - entry <= LARGEST:
        return None
    if exit_ - entry <= step.free:
        return 0
    seconds = [0] * len(step.periods)
    now = entry
    while now < exit_:
        midnight = now // 86_400 * 86_400
        clock = datetime.fromtimestamp(now, UTC).strftime("%H:%M:%S")
        for index, period in enumerate(step.periods):
            start, end = f"{period.start}:00"[:8], f"{period.end}:00"[:8]
            if start < end:
                inside, until = start <= clock < end, _clock_seconds(end)
            else:
                inside = clock >= start or clock < end
                until = _clock_seconds(end) if clock < end else 86_400
            if inside:
                after = min(exit_, midnight + until)
                seconds[index] += after - now
                now = after
                break
    return sum(_marginal(p.blocks, spent) for p, spent in zip(step.periods, seconds, strict=True))


def _clock_seconds(clock: str) -> int:
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


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
            if term.fare is not None:
                share = term.fare
            else:
                share = step.to * rounded(Fraction(gross * term.per_10000, 10_000 * step.to), step.rounding)
            _concede(ride, min(gross, max(share, term.at_least or 0)), final=term.final)
    elif not ride.open:
        return
    elif name == "concession_lookup":
        column = step.columns.get(ride.card_class)
        pair = (ride.row["entry_station"], ride.row["exit_station"])
        fare = None if column is None else _pair_fare(tables[step.table], column, step.directed, pair)
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
        share = step.to * rounded(Fraction(ride.fare * step.per_10000, 10_000 * step.to), step.rounding)
        ride.fare = min(ride.fare, share)
    elif name == "minus":
        ride.fare = min(ride.fare, max(ride.fare - step.amount, step.floor))
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


def apportion_journey(
    steps: Iterable[tuple[str, Any]], tables: Mapping[str, Any], row: Mapping[str, int], price: Mapping[str, Any]
) -> dict[int, int] | None:
    """Fen per operator of one priced journey; None when no apportion step covers it."""
    for name, step in steps:
        if name != "apportion" or not price["priced"] or not when_holds(step.when, row):
            continue
        whole = price["gross"] if step.of == "gross" else price["card_pays"]
        if step.of == "card_and_fund":
            whole += price["fund_pays"]
        if step.amounts is not None:
            return _fixed_parts(step, whole)
        if step.shares is not None:
            weights = dict(step.shares)
            if step.remainder is not None:
                parts = {party: math.floor(Fraction(whole * share, 10_000)) for party, share in weights.items()}
                return parts | {step.remainder: whole - sum(parts.values())}
        else:
            terms, pair = step.distance, (row["entry_station"], row["exit_station"])
            found = {p: _pair_fare(tables[terms.table], c, terms.directed, pair) for p, c in terms.columns.items()}
            weights = {party: metres for party, metres in found.items() if metres is not None}
            if len(weights) != len(found) or not sum(weights.values()):
                continue
        return _by_largest_remainder(weights, whole)
    return None


def _fixed_parts(step: Any, whole: int) -> dict[int, int]:
    parts = {}
    for party, amount in step.amounts.items():
        parts[party] = min(amount, whole - sum(parts.values()))
    return parts | {step.remainder: whole - sum(parts.values())}


def _by_largest_remainder(weights: Mapping[int, int], whole: int) -> dict[int, int]:
    exact = {party: Fraction(whole * weight, sum(weights.values())) for party, weight in weights.items()}
    parts = {party: math.floor(part) for party, part in exact.items()}
    neediest = sorted(parts, key=lambda party: parts[party] - exact[party])
    for party in neediest[: whole - sum(parts.values())]:
        parts[party] += 1
    return parts


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
