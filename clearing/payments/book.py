"""The payment book: every payment with its one live status, folded from the journal (docs/clearing-rules.md §12).

Payment events are journal entries with postings like every other. The book says which account each payment still
holds or has on the way, so that nothing is proposed, ordered or settled twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from clearing.ledger.journal import Entry

Status = Literal["proposed", "approved", "ordered", "accepted", "settled", "rejected", "returned", "withdrawn"]

HOLDING: Final[frozenset[Status]] = frozenset({"proposed", "approved", "rejected", "returned"})
"""Not on the way, but spoken for: its money is not proposed again."""

SENT: Final[frozenset[Status]] = frozenset({"ordered", "accepted"})
"""At the bank: the answer is awaited."""

FINAL: Final[frozenset[Status]] = frozenset({"settled", "withdrawn"})

Account = tuple[str, int, int]
"""(account kind, participant, source of money)."""

Amounts = Counter[Account]
"""Fen per account, credit positive."""


@dataclass
class Payment:
    """One payment: what its close proposed, what was approved of it, where it stands."""

    proposed: dict[str, Any]
    entry: int
    """Sequence of the close entry."""
    proposer: str | None = None
    status: Status = "proposed"
    approvals: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Person → digest of the instruction they signed and the sequence of their entry, of this round."""
    instruction: dict[str, Any] | None = None
    """As last ordered."""
    matched: bool = False
    """Two persons settled it with a bank line of another amount, or one that did not name it."""
    messages: list[str] = field(default_factory=list)
    """Every message that ordered it, oldest first; answers to any but the newest come too late."""

    @property
    def number(self) -> str:
        """Its name, which is also the EndToEndId."""
        return str(self.proposed["payment"])

    @property
    def due_by(self) -> dict[str, Any]:
        """The instruction in force: as ordered, else as proposed."""
        return self.instruction or self.proposed

    def order_postings(self, centre: int) -> Amounts:
        """What ordering posts: the accounts it settles → in transit; under an advance the centre's own money is."""
        row, postings = self.proposed, Amounts()
        who, source, fen = row["participant"], row["source"], row["fen"]
        for kind, amount in row["legs"]:
            postings[kind, who, source] -= amount
        if row["direction"] == "collect":
            postings["collection_in_transit", who, source] -= fen
            return postings
        if row["purpose"] == "advance":
            postings["fund_advance", centre, source] += fen
            postings["fund_advance", centre, centre] -= fen
        postings["payment_in_transit", who, row["from_source"]] += fen
        return postings

    def settle_postings(self, centre: int) -> Amounts:
        """What a booked bank line posts: in transit → bank; a transfer arrives on the centre's other account."""
        row, postings = self.due_by, Amounts()
        who, fen = row["participant"], row["fen"]
        if row["direction"] == "collect":
            postings["collection_in_transit", who, row["source"]] += fen
            postings["bank_account", row["bank"], row["source"]] -= fen
            return postings
        postings["payment_in_transit", who, row["from_source"]] -= fen
        postings["bank_account", row["bank"], row["from_source"]] += fen
        if row["purpose"] in TRANSFERS:
            target = row["to_source"]
            postings["bank_account", row["to_bank"], target] -= fen
            postings[TRANSFERS[row["purpose"]], centre, target] += fen
        return postings

    def reversal_postings(self, centre: int) -> Amounts:
        """What rejecting (not settled yet) or returning (settled) posts: all of it taken back."""
        taken = self.order_postings(centre)
        if self.status == "settled":
            taken = _sum(taken, self.settle_postings(centre))
        return Amounts({account: -fen for account, fen in taken.items() if fen})


TRANSFERS: Final = {"sweep": "own_funds", "repayment": "fund_advance", "transfer": "between_sources"}
"""Purposes whose payee is the centre itself, with the account that stands between the two sources."""


def _sum(*parts: Amounts) -> Amounts:
    total = Amounts()
    for part in parts:
        total.update(part)
    return total


def as_postings(amounts: Amounts, window: int) -> list[list[Any]]:
    """Postings of a journal entry, sorted, without zeros."""
    assert sum(amounts.values()) == 0, "payment postings balance"
    return [[window, *account, fen] for account, fen in sorted(amounts.items()) if fen]


class PaymentBook:
    """All payments of a journal and what they hold."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Fold the entries in order."""
        self.payments: dict[str, Payment] = {}
        self.orders: dict[str, Entry] = {}
        """Order entries by message identification."""
        self.bank_entries: list[Entry] = []
        for entry in entries:
            for event in events_of(entry):
                self._take(entry, event)
            if entry.kind == "order":
                self.orders[entry.body["message"]] = entry
            elif entry.kind == "bank":
                self.bank_entries.append(entry)

    def _take(self, entry: Entry, event: dict[str, Any]) -> None:
        name = event["event"]
        if name == "proposed":
            row = next(row for row in entry.body["payments"] if row["payment"] == event["payment"])
            proposer = (entry.body.get("proposer") or {}).get("person")
            self.payments[event["payment"]] = Payment(row, entry.sequence, proposer)
            return
        payment = self.payments[event["payment"]]
        if name == "approved":
            payment.approvals[entry.body["person"]] = (event["reference"], entry.sequence)
        if name == "ordered":
            instruction = next(i for i in entry.body["instructions"] if i["payment"] == payment.number)
            payment.instruction, payment.approvals = instruction, {}
            payment.messages.append(entry.body["message"])
        if name in ("rejected", "returned"):
            payment.approvals = {}
        if name != "confirmed":
            payment.status = name
            payment.matched = entry.kind == "adjustment"

    def live(self) -> Iterator[Payment]:
        """Payments that hold money which is not on the way."""
        return (payment for payment in self.payments.values() if payment.status in HOLDING)

    def held(self) -> Amounts:
        """What live payments hold of each account: neither owed freely nor on the way."""
        held = Amounts()
        for payment in self.live():
            row = payment.proposed
            for kind, fen in row["legs"]:
                held[kind, row["participant"], row["source"]] += fen
        return held

    def cash_held(self, source: int) -> int:
        """Fen of a source's bank account that live payments will take."""
        return sum(
            int(payment.proposed["fen"])
            for payment in self.live()
            if payment.proposed["direction"] == "pay" and payment.proposed["from_source"] == source
        )

    def advances_held(self, source: int) -> int:
        """Fen of advances for a fund that live payments will make."""
        return sum(
            int(payment.proposed["fen"])
            for payment in self.live()
            if payment.proposed["purpose"] == "advance" and payment.proposed["source"] == source
        )


def events_of(entry: Entry) -> list[dict[str, Any]]:
    """What happened to payments in an entry: payment, event, fen, reason, reference; in order."""
    body = entry.body
    if entry.kind == "close":
        return [
            _event(row["payment"], "proposed", row["fen"], reference=row.get("pay_date", ""))
            for row in body["payments"]
            if "legs" in row
        ]
    if entry.kind == "approval":
        event = {"approve": "approved", "withdraw": "withdrawn"}[body["action"]]
        return [
            _event(row["payment"], event, row["fen"], reason=body["reason"], reference=row["digest"])
            for row in body["payments"]
        ]
    if entry.kind == "order":
        return [_event(i["payment"], "ordered", i["fen"], reference=body["message"]) for i in body["instructions"]]
    if entry.kind == "adjustment":
        return [
            _event(
                item["payment"], "settled", _settled_fen(item), reason=item["reason"], reference=item["adjustment"]
            )
            for item in body["items"]
            if item.get("payment") and item["template"] != "UNDO"
        ]
    if entry.kind == "bank":
        return [
            _event(line["payment"], line["event"], line["fen"], reason=line["reason"], reference=line["reference"])
            for line in body["lines"]
            if line["event"]
        ]
    return []


def _settled_fen(item: dict[str, Any]) -> int:
    """What a correction took off the way to the bank or from it: the payment's own amount."""
    return sum(abs(leg[5]) for leg in item["legs"] if leg[2] in ("payment_in_transit", "collection_in_transit"))


def _event(payment: str, event: str, fen: int, *, reason: str = "", reference: str = "") -> dict[str, Any]:
    return {"payment": payment, "event": event, "fen": fen, "reason": reason, "reference": reference}


PAYMENT_KINDS: Final = frozenset({"order", "bank"})
"""Journal entries that move money that is due; they count whatever their window, or it would be paid twice."""


def explains_bank_lines(entry: Entry) -> bool:
    """Whether an entry is a correction of bank lines: money moved at the bank, no position of its window."""
    return entry.kind == "adjustment" and any(item.get("bank_line") for item in entry.body["items"])


def cumulative(entries: Iterable[Entry], window: int) -> Amounts:
    """Σ credits − Σ debits per account: all windows up to ``window``, and every payment ordered or answered since."""
    total = Amounts()
    for entry in entries:
        for day, kind, participant, source, fen in entry.body.get("postings", ()):
            if day <= window or entry.kind in PAYMENT_KINDS:
                total[kind, participant, source] += fen
    return total


def open_window(entries: Iterable[Entry], received: int) -> int:
    """The window in which something that happens now posts: its received window, never one that is closed."""
    closed = [int(entry.body["window"]) for entry in entries if entry.kind == "close"]
    return max([received, *(window + 1 for window in closed)])
