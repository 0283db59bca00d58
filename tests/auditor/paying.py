"""What is paid, collected, kept and left at every close (rules §9 and §12)."""

from __future__ import annotations

import calendar
import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from auditor.books import BETWEEN, RESERVE, Amounts, Books, Payment, legs_of
from auditor.centre import ALWAYS, Centre
from auditor.closing import largest_remainder
from auditor.times import day_of

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
    account: str
    """Its number, empty when none is agreed."""


@dataclass(frozen=True)
class Advance:
    """An agreement of the centre to pay a fund's shares before the fund does."""

    fund: int
    days: tuple[int, int]
    limit: int | None


@dataclass(frozen=True)
class OwnAccount:
    """An account of the centre at a bank, for one source of money."""

    bank: int
    number: str


@dataclass
class Agreed:
    """All that is agreed on settlement: terms of participants, advances, own accounts by source of money."""

    terms: list[Terms]
    advances: list[Advance]
    accounts: dict[int, OwnAccount]

    def of(self, participant: int, day: int) -> Terms | None:
        """The agreement in force on a day."""
        found = [each for each in self.terms if each.participant == participant and _within(day, each.days)]
        return found[0] if found else None

    def advance(self, fund: int, day: int) -> Advance | None:
        found = [each for each in self.advances if each.fund == fund and _within(day, each.days)]
        return found[0] if found else None

    def source_of(self, number: str) -> tuple[int, int] | None:
        """Bank and source of money of an account of ours."""
        found = [(own.bank, source) for source, own in self.accounts.items() if own.number == number]
        return found[0] if found else None


def _within(day: int, days: tuple[int, int]) -> bool:
    return days[0] <= day <= days[1]


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


def read_agreed(settings: dict[str, Any]) -> Agreed:
    """What a parsed centre.yaml agrees on settlement."""
    agreements = settings.get("agreements") or {}
    terms = []
    for entry in agreements.get("settlement") or []:
        hold = entry.get("hold_back") or {"bps": 0, "release_days": 0}
        terms.append(
            Terms(
                entry["participant"], _period(entry), entry["cycle"], entry.get("minimum_payout", 0), hold["bps"],
                hold["release_days"], entry.get("debts") == "carry", (entry.get("account") or {}).get("number", ""),
            )
        )  # fmt: skip
    advances = [Advance(each["fund"], _period(each), each.get("limit")) for each in agreements.get("advances") or ()]
    accounts = {
        account["source"]: OwnAccount(bank["id"], account["number"])
        for bank in settings["participants"]
        for account in bank.get("accounts", ())
    }
    return Agreed(terms, advances, accounts)


def _period(entry: dict[str, Any]) -> tuple[int, int]:
    return day_of(entry["from"]), day_of(entry["to"]) if "to" in entry else ALWAYS[1]


class Closer:
    """Closes windows one after the other: what it keeps, what it proposes, what it leaves."""

    def __init__(self, books: Books, agreed: Agreed, days: Days, centre: Centre) -> None:
        self.books, self.agreed, self.days, self.centre = books, agreed, days, centre
        self.unpaid: dict[tuple[int, int, int], tuple[int, str]] = {}
        """(window, participant, source) → (fen, reason)."""
        self._held: list[tuple[int, int, int]] = []
        """(window of release, participant, fen)."""
        self._free: Amounts = {}

    def close(self, window: int, proposer: str = "") -> None:
        """Close a window in which everything but hold-backs is posted; ``proposer`` signs what is proposed."""
        before = window - 1 if self.books.closed is None else self.books.closed
        self._hold(window, before)
        free = self.books.up_to(window)
        for account, fen in self.books.spoken_for().items():
            free[account] -= fen
        self._free = {account: fen for account, fen in free.items() if fen}
        shares: dict[int, list[tuple[int, int, Terms, int]]] = defaultdict(list)
        for participant, source in sorted({(who, money) for _, who, money in self._free}):
            claim = self._claim(window, before, participant, source)
            if claim is not None:
                fen, terms, pay_day = claim
                if source == RESERVE or fen < 0:
                    self._propose(window, participant, source, fen, terms, pay_day, proposer)
                else:
                    shares[source].append((participant, fen, terms, pay_day))
        for source in sorted({money for _, _, money in self._free} - {RESERVE, self.centre.id}):
            self._share_out(window, source, shares[source], proposer)
        self.books.close(window)

    def _hold(self, window: int, before: int) -> None:
        added = {
            participant: fen
            for (kind, participant, source), fen in self.books.windows[window].items()
            if (kind, source) == ("merchant_payable", RESERVE)
        }
        for until, participant, fen in self._held:
            if before < until <= window:
                self._keep(window, participant, -fen)
        for participant, fen in added.items():
            terms = self.agreed.of(participant, window)
            part = (fen * terms.bps + 5000) // 10_000 if terms is not None and fen > 0 else 0
            if terms is not None and part:
                self._held.append((window + terms.release, participant, part))
                self._keep(window, participant, part)

    def _keep(self, window: int, participant: int, fen: int) -> None:
        self.books.post(window, ("merchant_payable", participant, RESERVE), -fen)
        self.books.post(window, ("held_back", participant, RESERVE), fen)

    def _amounts(self, participant: int, source: int) -> dict[str, int]:
        """What a payment can settle of a participant's accounts in one source of money."""
        own = participant == self.centre.id
        if own:
            fees = self._free.get(("fee_income", participant, source), 0)
            fees += self._free.get(("own_funds", participant, source), 0)
            return {"own_funds": fees} if fees > 0 and source == RESERVE else {}
        return {
            kind: fen
            for (kind, who, money), fen in self._free.items()
            if (who, money) == (participant, source) and kind in SETTLED
        }

    def _claim(self, window: int, before: int, participant: int, source: int) -> tuple[int, Terms, int] | None:
        fen = sum(self._amounts(participant, source).values())
        if fen == 0:
            return None
        terms, own = self.agreed.of(participant, window), participant == self.centre.id
        if terms is None:
            if not own:
                self.unpaid[window, participant, source] = (fen, "no_agreement")
            return None
        paid_on = self.days.paid_on(window, before, terms.cycle)
        reason = ""
        if paid_on is None:
            reason = "not_due"
        elif fen < 0 and terms.carry:
            reason = "carried"
        elif 0 < fen < terms.minimum:
            reason = "below_minimum"
        elif not terms.account and not own:
            reason = "no_account"
        elif (source == RESERVE or fen < 0) and source not in self.agreed.accounts:
            reason = "no_bank_account"
        if reason or paid_on is None:
            self.unpaid[window, participant, source] = (fen, reason)
            return None
        return fen, terms, day_of(paid_on)

    def _propose(
        self, window: int, participant: int, source: int, fen: int, terms: Terms, pay_day: int, proposer: str,
        purpose: str = "", from_source: int | None = None,
    ) -> None:  # fmt: skip
        own = participant == self.centre.id
        purpose = purpose or ("sweep" if own else "settlement")
        to_source = {"sweep": self.centre.id, "repayment": self.centre.id, "transfer": RESERVE}.get(purpose)
        suffix = {"transfer": "-R", "repayment": "-A"}.get(purpose, "")
        date = EPOCH + timedelta(window)
        ours = source if from_source is None else from_source
        amounts = {BETWEEN[purpose]: fen} if purpose in BETWEEN else self._amounts(participant, source)
        payment = Payment(
            name=f"{date:%Y%m%d}-{participant}-{source}{suffix}",
            window=window,
            participant=participant,
            source=source,
            direction="collect" if fen < 0 else "pay",
            fen=abs(fen),
            purpose=purpose,
            pay_day=pay_day,
            legs=legs_of(amounts, fen),
            bank=self.agreed.accounts[ours].bank,
            our_source=ours,
            their_source=to_source,
            their_account=terms.account if to_source is None else self.agreed.accounts[to_source].number,
            proposer=proposer,
        )
        self.books.payments[payment.name] = payment

    def _share_out(self, window: int, source: int, claims: list[tuple[int, int, Terms, int]], proposer: str) -> None:
        """What a fund brought: to the reserve for its benefits, to the centre for advances, then to the payees."""
        stands, own = self.books.up_to(window), self.centre.id

        def total(kind: str) -> int:
            return sum(fen for (name, _, money), fen in stands.items() if (name, money) == (kind, source))

        cash = -total("bank_account") - total("payment_in_transit") - total("bank_difference")
        cash -= sum(
            each.fen for each in self.books.waiting() if each.direction == "pay" and each.our_source == source
        )
        to_reserve = max(self._picked_up(source, window) - self._brought(source), 0)
        self._between(window, source, "transfer", RESERVE, min(max(cash, 0), to_reserve), proposer)
        cash -= to_reserve
        cash -= max(total("pending_load"), 0)
        advanced = max(self._free.get(("fund_advance", own, source), 0), 0)
        self._between(window, source, "repayment", own, min(max(cash, 0), advanced), proposer)
        cash -= advanced
        whole = sum(fen for _, fen, _, _ in claims)
        advance = self.agreed.advance(source, window)
        if advance is not None and whole:
            outstanding = total("fund_advance") + sum(
                each.fen for each in self.books.waiting() if each.purpose == "advance" and each.source == source
            )
            if advance.limit is None or outstanding + whole <= advance.limit:
                for participant, fen, terms, pay_day in claims:
                    self._propose(window, participant, source, fen, terms, pay_day, proposer, "advance", own)
                return
        parts = largest_remainder(min(max(cash, 0), whole), [fen for _, fen, _, _ in claims]) if claims else []
        for (participant, fen, terms, pay_day), part in zip(claims, parts, strict=True):
            if part and source not in self.agreed.accounts:
                self.unpaid[window, participant, source] = (fen, "no_bank_account")
                continue
            if part:
                self._propose(window, participant, source, part, terms, pay_day, proposer)
            if part < fen:
                self.unpaid[window, participant, source] = (fen - part, "awaiting_fund")

    def _picked_up(self, source: int, window: int) -> int:
        """Benefits of a fund on cards: only these leave its accounts without anything coming in."""
        return -sum(
            fen
            for day, amounts in self.books.windows.items()
            for (_, _, money), fen in amounts.items()
            if money == source and day <= window
        )

    def _brought(self, source: int) -> int:
        """What transfers have brought, or will bring, to the reserve out of a source."""
        return sum(
            each.fen
            for each in self.books.payments.values()
            if each.purpose == "transfer" and each.source == source and each.status != "withdrawn"
        )

    def _between(self, window: int, source: int, purpose: str, target: int, fen: int, proposer: str) -> None:
        """A payment of the centre to itself, where it has an agreement and both accounts."""
        terms = self.agreed.of(self.centre.id, window)
        if fen > 0 and terms is not None and {source, target} <= self.agreed.accounts.keys():
            pay_day = day_of(self.days.next(EPOCH + timedelta(window + 1)))
            self._propose(window, self.centre.id, source, fen, terms, pay_day, proposer, purpose)
