"""What is paid, collected, kept and left at every close (rules §9 and §12), for a centre without bank answers."""

from __future__ import annotations

import calendar
import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from auditor.centre import ALWAYS, Centre
from auditor.times import day_of

Balances = dict[tuple[int, str, int, int], int]
RESERVE = 0
SETTLED = {
    "merchant_payable", "counterparty_receivable", "counterparty_payable", "agent_receivable", "fund_receivable",
    "insurer_receivable", "fee_income",
}  # fmt: skip
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Terms:
    """A settlement agreement."""

    participant: int
    days: tuple[int, int]
    cycle: str
    minimum: int
    bps: int
    release: int
    carry: bool
    account: bool


@dataclass
class Closing:
    """Every close of the audited windows.

    Attributes:
        payments: (window, participant, source) → (direction, fen, pay day).
        unpaid: (window, participant, source) → (fen, reason).
        balances: with what was kept and released.
    """

    payments: dict[tuple[int, int, int], tuple[str, int, int]] = field(default_factory=dict)
    unpaid: dict[tuple[int, int, int], tuple[int, str]] = field(default_factory=dict)
    balances: Balances = field(default_factory=dict)


class Days:
    """Business days by the centre's table."""

    def __init__(self, folder: Path) -> None:
        self.off: set[date] = set()
        self.on: set[date] = set()
        years: dict[int, set[str]] = defaultdict(set)
        with (folder / "registers" / "holidays.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                day = date.fromisoformat(row["date"])
                (self.off if row["kind"] == "holiday" else self.on).add(day)
                years[day.year].add(row["status"])
        self.known = {year for year, status in years.items() if status == {"official"}}

    def next(self, day: date) -> date:
        """The first business day from ``day`` on."""
        while True:
            if day.year not in self.known:
                raise ValueError(f"nobody knows the holidays of {day.year}")
            if day in self.on or (day.weekday() < 5 and day not in self.off):
                return day
            day += timedelta(1)

    def paid_on(self, window: int, before: int, cycle: str) -> date | None:
        """Pay day of a close, None when no period ends in it."""
        if cycle.startswith("T+"):
            day = EPOCH + timedelta(window)
            for _ in range(int(cycle[2:])):
                day = self.next(day + timedelta(1))
            return day
        last = None
        for number in range(before + 1, window + 1):
            following = EPOCH + timedelta(number + 1)
            if cycle.startswith("weekly-"):
                ends = WEEK[following.weekday()] == cycle[7:]
            else:
                length = calendar.monthrange(following.year, following.month)[1]
                ends = following.day == min(int(cycle[8:]), length)
            if ends:
                last = following
        return None if last is None else self.next(last)


def read_terms(settings: dict[str, object]) -> list[Terms]:
    """The settlement agreements of a parsed centre.yaml."""
    agreements = settings.get("agreements") or {}
    assert isinstance(agreements, dict)
    if agreements.get("advances"):
        raise ValueError("advances are not audited here")
    terms = []
    for entry in agreements.get("settlement") or []:
        hold = entry.get("hold_back") or {"bps": 0, "release_days": 0}
        first = day_of(entry["from"])
        last = day_of(entry["to"]) if "to" in entry else ALWAYS[1]
        terms.append(
            Terms(
                entry["participant"], (first, last), entry["cycle"], entry.get("minimum_payout", 0), hold["bps"],
                hold["release_days"], entry.get("debts") == "carry", "account" in entry,
            )
        )  # fmt: skip
    return terms


def close_all(balances: Balances, terms: list[Terms], days: Days, banked: set[int], centre: Centre) -> Closing:
    """Close every window from the first to the last with money; ``banked`` are the sources with an account."""
    result = Closing(balances=defaultdict(int, balances))
    windows = [window for window, *_ in balances]
    if not windows:
        return result
    spoken: dict[tuple[int, int], int] = defaultdict(int)
    held: list[tuple[int, int, int]] = []
    for window in range(min(windows), max(windows) + 1):
        _hold(result, terms, window, held)
        owed: dict[tuple[int, int], int] = defaultdict(int)
        for (day, kind, participant, source), fen in result.balances.items():
            own = participant == centre.id
            if day <= window and kind in SETTLED and not (own and (kind != "fee_income" or source != RESERVE)):
                owed[participant, source] += fen
        for (participant, source), whole in sorted(owed.items()):
            fen = whole - spoken[participant, source]
            if fen == 0 or (participant == centre.id and fen < 0):
                continue
            agreed = _terms(terms, participant, window)
            if agreed is None:
                if participant != centre.id:
                    result.unpaid[window, participant, source] = (fen, "no_agreement")
                continue
            paid_on = days.paid_on(window, window - 1, agreed.cycle)
            reason = _left(agreed, fen, source, paid_on, own=participant == centre.id, banked=banked)
            if reason:
                result.unpaid[window, participant, source] = (fen, reason)
                continue
            assert paid_on is not None
            direction = "collect" if fen < 0 else "pay"
            result.payments[window, participant, source] = (direction, abs(fen), day_of(paid_on))
            spoken[participant, source] += fen
    return result


def _left(agreed: Terms, fen: int, source: int, paid_on: date | None, *, own: bool, banked: set[int]) -> str:
    """Why a pair stays unpaid, empty when it does not."""
    if paid_on is None:
        return "not_due"
    if fen < 0:
        return "carried" if agreed.carry else "no_account" if not agreed.account else _unbanked(source, banked)
    if fen < agreed.minimum:
        return "below_minimum"
    if not agreed.account and not own:
        return "no_account"
    # No bank has told of any money of a fund.
    return _unbanked(source, banked) if source == RESERVE else "awaiting_fund"


def _unbanked(source: int, banked: set[int]) -> str:
    return "" if source in banked else "no_bank_account"


def _hold(result: Closing, terms: list[Terms], window: int, held: list[tuple[int, int, int]]) -> None:
    """Keep part of what the window adds to what payees are owed; let go what was kept long enough."""
    added = {
        participant: fen
        for (day, kind, participant, source), fen in result.balances.items()
        if (day, kind, source) == (window, "merchant_payable", RESERVE)
    }
    for until, participant, fen in list(held):
        if until <= window:
            held.remove((until, participant, fen))
            _move(result, window, participant, -fen)
    for participant, fen in added.items():
        agreed = _terms(terms, participant, window)
        part = (fen * agreed.bps + 5000) // 10_000 if agreed is not None and fen > 0 else 0
        if part and agreed is not None:
            held.append((window + agreed.release, participant, part))
            _move(result, window, participant, part)


def _move(result: Closing, window: int, participant: int, fen: int) -> None:
    result.balances[window, "merchant_payable", participant, RESERVE] -= fen
    result.balances[window, "held_back", participant, RESERVE] += fen


def _terms(terms: list[Terms], participant: int, window: int) -> Terms | None:
    found = [each for each in terms if each.participant == participant and each.days[0] <= window <= each.days[1]]
    return found[0] if found else None
