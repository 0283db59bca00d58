"""Settlements and bills computed again by tariff (rules §9), one by one in plain Python.

Only the steps of a new centre's medical and utility tariffs are here; another one is an error, not a guess.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from auditor.centre import Centre, Participant
from auditor.columns import FUND_COLUMNS
from auditor.fares import divide, resolved
from auditor.model import Row
from auditor.times import date_of

Finding = tuple[int, tuple[str, int], int | None, str, str, int, int]
"""(window, row, bill id, amount, class, delivered, recomputed)."""

NotCompared = tuple[int, str, int, str, str]
"""(window, service, who settled or billed, reason, column)."""

INSURED_CODES = {1: 310, 2: 390}
CLASS_OF = {
    "act_pay_dedc": ("DEDUCTIBLE", "DEDUCTIBLE"),
    "psn_cash_pay": ("OVERCHARGE", "UNDERCHARGE"),
    "bill_amount": ("OVERCHARGE", "UNDERCHARGE"),
    "hifp_pay": ("FUND_OVERPAID", "FUND_UNDERPAID"),
    "acct_pay": ("ACCOUNT_OVERPAID", "ACCOUNT_UNDERPAID"),
}
"""Class of an amount delivered too high, too low; those of a bill's parts are SCOPE."""


@dataclass
class Recomputed:
    """What the closes must find."""

    findings: set[Finding]
    not_compared: Counter[NotCompared]


def read_contents(folder: Path) -> dict[str, dict[str, Any]]:
    """Every medical and utility tariff of a folder as it is written, by id."""
    contents = (yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) for path in sorted(folder.glob("*.yaml")))
    return {content["id"]: content for content in contents if content["kind"] != "transit"}


def recompute(rows: list[Row], centre: Centre, tariffs: dict[str, dict[str, Any]]) -> Recomputed:
    """Compare every accepted settlement and paid bill with the tariff of who settled or billed it."""
    found = Recomputed(set(), Counter())
    _settlements(
        [row for row in rows if row.service == "medical" and row.disposition == "ACCEPTED"], centre, tariffs, found
    )
    _bills([(row, bill) for row in rows for bill in row.paid_bills], centre, tariffs, found)
    return found


def _steps(content: dict[str, Any], when: date) -> dict[str, Any] | None:
    """Steps in force on a day by name; None outside the published days."""
    if not content["published"]["first"] <= when <= content["published"]["last"]:
        return None
    return {name: resolved(content, step, when) for entry in content["steps"] for name, step in entry.items()}


def _settlements(rows: list[Row], centre: Centre, tariffs: dict[str, dict[str, Any]], found: Recomputed) -> None:
    by_person: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        by_person[row.card_id, row.value["region"]].append(row)
    for (_, region), visits in by_person.items():
        visits.sort(key=lambda row: (row.txn_time, row.value["settlement_id"], row.value["cancel"]))
        insurer = centre.insurer_of_region.get(region)
        for row in visits:
            if row.value["cancel"] == 0:
                earlier = [each for each in visits[: visits.index(row)] if each.window <= row.window]
                _settlement(row, earlier, insurer, tariffs, found)


def _settlement(
    row: Row, earlier: list[Row], insurer: Participant | None, tariffs: dict[str, dict[str, Any]], found: Recomputed
) -> None:
    content = tariffs.get(insurer.tariff) if insurer is not None else None
    number = insurer.id if insurer is not None else 0
    if content is None or insurer is None:
        found.not_compared[row.window, "medical", number, "no_tariff", ""] += 1
        return
    lacks = [name for name in ("category_a_amt", "category_b_amt", "category_c_amt") if row.value[name] is None]
    assert row.operating_day is not None
    when = date_of(row.operating_day)
    steps = _steps(content, when)
    cell = {"insured": INSURED_CODES.get(row.value["insured_type"]), "level": row.value["institution_level"]}
    share = _cell(steps["share"]["by"], cell) if steps is not None else None
    if lacks or steps is None or share is None:
        reason = ("lacks", lacks[0]) if lacks else ("outside" if steps is None else "no_terms", "")
        found.not_compared[row.window, "medical", number, *reason] += 1
        return
    year = [
        each for each in earlier if each.operating_day is not None and date_of(each.operating_day).year == when.year
    ]
    expected = _settle(row.value, steps, cell, share["per_10000"], *_consumed(year, earlier))
    for name, amount in expected.items():
        _compare(found, row, None, insurer, name, row.value[name], amount)


def _consumed(year: list[Row], earlier: list[Row]) -> tuple[int, int]:
    """Deductible and fund of the year so far as delivered; what a cancellation takes back is off."""
    cancelled = {_settlement_number(row) for row in earlier if row.value["cancel"] == 1}
    standing = [row for row in year if row.value["cancel"] == 0 and _settlement_number(row) not in cancelled]
    return sum(r.value["act_pay_dedc"] for r in standing), sum(r.value["hifp_pay"] for r in standing)


def _settlement_number(row: Row) -> tuple[int, int]:
    return row.value["institution"], row.value["settlement_id"]


def _cell(cells: list[dict[str, int]], visit: dict[str, int | None]) -> dict[str, int] | None:
    """The cell of a table that speaks of a visit; keys it leaves out mean any."""
    return next((c for c in cells if all(c[key] == code for key, code in visit.items() if key in c)), None)


def _settle(
    v: dict[str, Any], steps: dict[str, Any], cell: dict[str, int | None], ratio: int, deducted: int, paid: int
) -> dict[str, int]:
    """The amounts of one settlement by the tariff."""
    unknown = set(steps) - {"prepay", "deductible", "share", "annual_cap", "waterfall"}
    if unknown:
        raise ValueError(f"steps {unknown}: the auditor does not know them")
    prepaid = divide(
        v["category_b_amt"] * steps["prepay"]["category_b_per_10000"], 10_000, steps["prepay"]["rounding"]
    )
    scope = v["category_a_amt"] + v["category_b_amt"] - prepaid
    owed, cap = _cell(steps["deductible"]["by"], cell), _cell(steps["annual_cap"]["by"], cell)
    assert owed is not None
    assert cap is not None
    deductible = min(scope, max(owed["amount"] - deducted, 0))
    fund = divide((scope - deductible) * ratio, 10_000, steps["share"]["rounding"])
    fund = min(fund, max(cap["amount"] - paid, 0))
    whole = v["category_c_amt"] + v["overlmt_selfpay"] + prepaid + scope
    account = v["acct_pay"]
    if "account" in steps["waterfall"]["order"]:
        account = min(account, whole - fund)
    others = sum(v[name] for name in FUND_COLUMNS if name != "hifp_pay")
    cash = whole - fund - others - v["hosp_part_amt"] - account - v["acct_mulaid_pay"]
    return {
        "medfee_sumamt": whole,
        "fulamt_ownpay_amt": v["category_c_amt"],
        "preselfpay_amt": prepaid,
        "inscp_scp_amt": scope,
        "act_pay_dedc": deductible,
        "hifp_pay": fund,
        "acct_pay": account,
        "psn_cash_pay": cash,
    }


def _compare(
    found: Recomputed, row: Row, bill: int | None, party: Participant, name: str, delivered: int, expected: int
) -> None:
    if abs(delivered - expected) > party.price_tolerance:
        too_much, too_little = CLASS_OF.get(name, ("SCOPE", "SCOPE"))
        mismatch = too_much if delivered > expected else too_little
        found.findings.add((row.window, row.key, bill, name, mismatch, delivered, expected))


def _bills(
    paid: list[tuple[Row, dict[str, Any]]], centre: Centre, tariffs: dict[str, dict[str, Any]], found: Recomputed
) -> None:
    by_account: dict[tuple[int, int], list[tuple[Row, dict[str, Any]]]] = defaultdict(list)
    for row, bill in paid:
        by_account[bill["utility_id"], bill["account"]].append((row, bill))
    for (number, _), bills in by_account.items():
        utility = centre.participants.get(number)
        if utility is None or utility.kind != "utility" or utility.tariff not in tariffs:
            known = utility.id if utility is not None and utility.kind == "utility" else 0
            for row, _bill in bills:
                found.not_compared[row.window, "utility", known, "no_tariff", ""] += 1
            continue
        bills.sort(key=lambda pair: (pair[1]["period"], pair[1]["bill_id"]))
        for window in sorted({row.window for row, _ in bills}):
            _account(window, bills, utility, tariffs[utility.tariff], found)


def _account(
    window: int,
    bills: list[tuple[Row, dict[str, Any]]],
    utility: Participant,
    content: dict[str, Any],
    found: Recomputed,
) -> None:
    """One account at the close of a window: its bills in order, those the window paid are compared."""
    first_year = min(bill["period"] // 100 for row, bill in bills if row.window == window)
    used: Counter[int] = Counter()
    behind = False
    for row, bill in bills:
        year = bill["period"] // 100
        if row.window > window or year < first_year:
            continue
        reason, expected = _bill(bill, used[year], content)
        if not reason and behind:
            reason = ("behind", "")
        if row.window == window and reason:
            found.not_compared[window, "utility", utility.id, *reason] += 1
        elif row.window == window:
            _compare(found, row, bill["bill_id"], utility, "bill_amount", bill["bill_amount"], expected)
        behind |= bool(reason)
        used[year] += 0 if reason else bill["usage"]


def _bill(bill: dict[str, Any], used: int, content: dict[str, Any]) -> tuple[tuple[str, str] | tuple[()], int]:
    """Why a bill has no price, and the price of one that has."""
    year, month = divmod(bill["period"], 100)
    if not (1970 <= year <= 9999 and 1 <= month <= 12):
        return ("lacks", "period"), 0
    steps = _steps(content, date(year, month, 1))
    if steps is None:
        return ("outside", ""), 0
    if set(steps) - {"household", "tiers"} or steps["tiers"]["rounding_of"] != "running_total":
        raise ValueError(f"steps {set(steps)}: the auditor does not know them")
    if bill["usage"] < 0 or bill["usage"] > 10**9 or bill["household_size"] < 1:
        return ("no_terms", ""), 0
    edges = list(_edges(steps, bill["household_size"]))
    tiers = steps["tiers"]["tiers"]
    price = 0
    for component in tiers[0]["prices"]:
        prices = [tier["prices"][component] for tier in tiers]
        after, before = (_value(edges, prices, at, steps["tiers"]["rounding"]) for at in (used + bill["usage"], used))
        price += after - before
    return (), price


def _edges(steps: dict[str, Any], persons: int) -> Iterator[int]:
    """Upper edges of the finite tiers in thousandths of a unit."""
    household = steps.get("household")
    for place, tier in enumerate(steps["tiers"]["tiers"][:-1]):
        more = 0
        if household is not None:
            extra = min(max(persons - household["base_persons"], 0), household["extra_persons_max"])
            more = extra * household["units_per_extra_person"][place]
        yield (tier["up_to"] + more) * 1000


def _value(edges: list[int], prices: list[int], usage: int, rounding: str) -> int:
    """Fen of a year's usage; prices are 1/10 000 yuan per unit, usage is in thousandths of it."""
    exact, lower = 0, 0
    for upper, price in zip([*edges, max(usage, *edges)], prices, strict=True):
        exact += max(min(usage, upper) - lower, 0) * price
        lower = upper
    return divide(exact, 100_000, rounding)
