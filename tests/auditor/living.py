"""What people and banks did, one thing after the other, on the books of the rows (rules §11 to §16).

The simulated office writes it down as it acts (``happenings.jsonl`` in the truth folder): closes, approvals, files of
the bank as the bank meant them, adjustments and moves of disputes. A centre without any closes every window in turn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.banking import Bank, BankFile
from auditor.books import AT_THE_BANK, WAITING, Books
from auditor.correcting import Corrections, ObjectionError
from auditor.disputing import Disputes
from auditor.paying import Closer
from auditor.times import Calendar, received_window

HAPPENINGS = "happenings.jsonl"


@dataclass
class Life:
    """Everything that acts on the books."""

    books: Books
    closer: Closer
    bank: Bank
    corrections: Corrections
    disputes: Disputes
    calendar: Calendar
    objections: list[str] = field(default_factory=list)
    """What was done that the rules forbid, in words."""
    _unnamed: list[set[str]] = field(default_factory=list)
    """Payments of orders whose message the bank has not told yet."""

    def live(self, happenings: list[dict[str, Any]]) -> None:
        """Go through everything that happened, in order."""
        for one in happenings:
            window = received_window(one["at"], self.calendar)
            try:
                self._happen(one, window)
            except ObjectionError as objection:
                self.objections.append(str(objection))
        for names in self._unnamed:
            self.objections.append(f"ordered and never sent: {sorted(names)}")

    def _happen(self, one: dict[str, Any], window: int) -> None:
        match one["what"]:
            case "close":
                self.closer.close(one["window"], one["by"])
            case "approve":
                self._approve(one["payments"], one["person"], one["at"])
            case "withdraw":
                for name in one["payments"]:
                    self._waiting(name).status = "withdrawn"
            case "order":
                self._sent(one)
            case "bank":
                file = BankFile(
                    one["file"], one["notice"], one["message"], one["digest"], one["answers"], one["statements"]
                )
                self.bank.take(file, one["at"], self.books.open_window(window))
            case "adjust":
                for asked in one["corrections"]:
                    self.corrections.adjust(asked, window)
            case "dispute":
                for asked in one["moves"]:
                    self.disputes.move(asked, window)
            case other:
                raise ValueError(f"nobody knows what {other} is")

    def _waiting(self, name: str) -> Any:
        payment = self.books.payments.get(name)
        if payment is None or payment.status not in WAITING:
            raise ObjectionError(f"payment {name} is not waiting: {payment and payment.status}")
        return payment

    def _approve(self, names: list[str], person: str, at: int) -> None:
        ordered = set()
        for name in names:
            payment = self._waiting(name)
            if person in payment.approvers or person == payment.proposer:
                raise ObjectionError(f"{person} may not approve {name}")
            payment.approvers.append(person)
            payment.status = "approved"
            if len(payment.approvers) == 2:
                ordered.add(name)
        window = self.books.open_window(received_window(at, self.calendar))
        for name in sorted(ordered):
            payment = self.books.payments[name]
            self.books.move(window, payment.ordering(self.books.centre))
            payment.status = "ordered"
            payment.approvers = []
            terms = self.closer.agreed.of(payment.participant, at // 86_400)
            if payment.messages and payment.their_source is None and terms is not None:
                payment.their_account = terms.account
        if ordered:
            self._unnamed.append(ordered)

    def _sent(self, one: dict[str, Any]) -> None:
        """The order as the bank has read it: it must be what was approved, payment by payment."""
        names = self._unnamed.pop(0) if self._unnamed else set()
        told = {each["payment"]: each for each in one["payments"]}
        for name in names:
            payment = self.books.payments[name]
            payment.messages.append(one["message"])
            mine = [payment.direction, payment.fen, payment.their_account]
            if name not in told or mine != [told[name][key] for key in ("direction", "fen", "account")]:
                self.objections.append(f"{one['message']} says of {name} {told.get(name)}, approved was {mine}")
        for name in told.keys() - names:
            self.objections.append(f"{one['message']} orders {name}, which two persons have not approved")

    def close_everything(self) -> None:
        """Close every window from the first to the last with money, nothing happening in between."""
        for window in range(min(self.books.windows), max(self.books.windows) + 1) if self.books.windows else ():
            self.closer.close(window)

    def unsettled(self) -> list[Any]:
        """Payments somebody waits for: at the bank, rejected or returned."""
        open_statuses = AT_THE_BANK | {"rejected", "returned"}
        return [each for each in self.books.payments.values() if each.status in open_statuses]


def read_happenings(truth: Path) -> list[dict[str, Any]]:
    """What happened, in order; nothing where nobody wrote anything down."""
    path = truth / HAPPENINGS
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
