"""What a correction is about: a transaction or a card as it stands, earlier corrections included."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from clearing.calendar import date_of, day_number
from clearing.centre import Centre
from clearing.corrections.templates import Legs
from clearing.grey import LOOKED_AT
from clearing.status import ClearingStatus, Disposition
from clearing.store import Store, sql_text

_ROWS: Final = 2**32


@dataclass(frozen=True, slots=True)
class Subject:
    """One transaction: its newest decision and what it has on the accounts, fen, credits positive.

    ``undecided`` says what may still change the decision, None when nothing will; ``age_days`` counts from the window
    it was received in; ``picked_up`` is the load that took a granted benefit, ``rival`` the paid row in conflict.
    """

    txn_id: int
    service: str
    status: int
    disposition: int
    issuer: int
    merchant: int
    card_id: int
    amount: int
    window: int
    age_days: int
    accounts: Legs
    cancels: bool = False
    undecided: str | None = None
    picked_up: int | None = None
    verified: bool = False
    rival: int | None = None


@dataclass(frozen=True, slots=True)
class CardSubject:
    """One card: issuer, state with its age, balances as clearing knows them, and what corrections did to it (fen)."""

    card_id: int
    issuer: int
    state: str
    state_days: int
    balance: int | None
    shadow: int | None
    window: int
    accounts: Legs = field(default_factory=Counter)

    def available(self, limit: str) -> int:
        """Fen that a correction of a kind may move at most."""
        if limit == "deposit":
            return self._sum("card_deposit")
        if limit == "refund":
            return self._sum("refund_payable")
        if limit == "owed":
            return -self._sum("overdraft")
        known = [each for each in (self.balance, self.shadow) if each is not None]
        least = min(known, default=0) + self._sum("stored_value")
        if limit == "overdraft":
            return max(-least, 0)
        return max(least, 0)

    def _sum(self, kind: str) -> int:
        return sum(fen for (name, _, _), fen in self.accounts.items() if name == kind)


def reference_of(txn_id: int) -> str:
    """``FILE_NO:ROW`` of a handle."""
    return f"{txn_id // _ROWS}:{txn_id % _ROWS}"


def subjects_of(centre: Centre, store: Store, txn_ids: list[int], now_window: int) -> dict[int, Subject]:
    """The transactions of some handles as they stand; those that nobody knows are missing.

    Args:
        centre: the centre.
        store: its projection, caught up with the journal.
        txn_ids: handles.
        now_window: the window that takes receipts now.
    """
    wanted = {"txns": sorted(set(txn_ids))}
    accounts: dict[int, Legs] = {txn: Counter() for txn in txn_ids}
    for txn, kind, participant, source, fen in store.run(sql_text("corrections/accounts"), wanted):
        accounts[txn][kind, participant, source] = fen
    disputed = {txn for (txn,) in store.run(sql_text("corrections/disputed"), wanted)}
    rows = store.records(sql_text("corrections/subjects"), wanted)
    conflict = any(row["status"] == ClearingStatus.CONFLICT for row in rows)
    rivals = dict(store.run(sql_text("corrections/rivals"), wanted)) if conflict else {}
    granted = any(row["service"] == "benefit" for row in rows)
    picked = dict(store.run(sql_text("corrections/picked_up"), wanted)) if granted else {}
    known = {p.id for p in centre.settings.participants}
    closed = max((entry.body["window"] for entry in centre.journal.of_kind("close")), default=-1)
    found = {}
    for row in rows:
        txn = row["txn_id"]
        received = day_number(row["received_window"])
        found[txn] = Subject(
            txn_id=txn,
            service=row["service"],
            status=row["status"],
            disposition=row["disposition"],
            issuer=row["issuer"],
            merchant=row["merchant_id"] if row["merchant_id"] in known else 0,
            card_id=row["card_id"],
            amount=row["money"],
            window=now_window,
            age_days=now_window - received,
            accounts=accounts[txn],
            cancels=bool(row["cancels"]),
            undecided=_undecided(centre, row, received, closed, now_window, disputed),
            picked_up=picked.get(txn),
            verified=bool(row["verified"]),
            rival=rivals.get(txn),
        )
    return found


def _undecided(
    centre: Centre, row: dict[str, Any], received: int, closed: int, now_window: int, disputed: set[int]
) -> str | None:
    """What may still decide the row: its own window, a deadline for grey records, a dispute."""
    if received > closed:
        return f"window {date_of(received)} is not closed"
    deadline = received + centre.settings.calendar.late_days_max + LOOKED_AT + 1
    if row["status"] == ClearingStatus.GREY_RECORD and now_window <= deadline:
        return f"later records may decide the grey record until {date_of(deadline)}"
    if row["txn_id"] in disputed:
        return "a dispute about it is open"
    return None


def is_open_exception(subject: Subject) -> bool:
    """A person can do something about it: it is held, or a cardholder's money lies on it."""
    if subject.disposition == Disposition.HELD:
        return any(fen for (kind, _, _), fen in subject.accounts.items() if kind in _EXCEPTION_KINDS)
    return any(fen > 0 for (kind, _, _), fen in subject.accounts.items() if kind in _OWED_KINDS)


_EXCEPTION_KINDS: Final = ("suspense_payable", "held_memo", "load_claim")
_OWED_KINDS: Final = ("cardholder_payable", "cardholder_suspense")
