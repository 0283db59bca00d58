"""Accounts and payments while the days go by (rules §12): what is posted when, what each payment holds and moves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from auditor.model import Account

RESERVE = 0
Amounts = dict[Account, int]
"""Fen per (kind, participant, source), credit positive."""

Balances = dict[tuple[int, str, int, int], int]
"""Fen per (window, kind, participant, source)."""

ORDER_OF_KINDS = (
    "stored_value", "pending_load", "merchant_payable", "counterparty_receivable", "counterparty_payable",
    "agent_receivable", "fund_receivable", "insurer_receivable", "fee_income", "fund_advance", "own_funds",
    "between_sources",
)  # fmt: skip
"""In which order a payment takes from the accounts of one participant and source."""

WAITING = frozenset({"proposed", "approved", "rejected", "returned"})
"""Live: the money is spoken for, and not on its way."""
AT_THE_BANK = frozenset({"ordered", "accepted"})
BETWEEN = {"sweep": "own_funds", "repayment": "fund_advance", "transfer": "between_sources"}
"""Payments from the centre to itself, with the account between the two sources of money."""


@dataclass
class Payment:
    """A payment or a collection, from its proposal on."""

    name: str
    window: int
    participant: int
    source: int
    direction: str
    fen: int
    purpose: str
    pay_day: int
    legs: dict[str, int]
    bank: int
    our_source: int
    their_source: int | None
    their_account: str
    status: str = "proposed"
    approvers: list[str] = field(default_factory=list)
    proposer: str = ""
    messages: list[str] = field(default_factory=list)

    def ordering(self, centre: int) -> Amounts:
        """What the order posts."""
        moved: Amounts = defaultdict(int)
        for kind, fen in self.legs.items():
            moved[kind, self.participant, self.source] -= fen
        if self.direction == "collect":
            moved["collection_in_transit", self.participant, self.source] -= self.fen
            return moved
        if self.purpose == "advance":
            moved["fund_advance", centre, self.source] += self.fen
            moved["fund_advance", centre, centre] -= self.fen
        moved["payment_in_transit", self.participant, self.our_source] += self.fen
        return moved

    def settling(self, centre: int) -> Amounts:
        """What the booked line of the bank posts."""
        moved: Amounts = defaultdict(int)
        if self.direction == "collect":
            moved["collection_in_transit", self.participant, self.source] += self.fen
            moved["bank_account", self.bank, self.source] -= self.fen
            return moved
        moved["payment_in_transit", self.participant, self.our_source] -= self.fen
        moved["bank_account", self.bank, self.our_source] += self.fen
        if self.purpose in BETWEEN:
            assert self.their_source is not None
            moved["bank_account", self.bank, self.their_source] -= self.fen
            moved[BETWEEN[self.purpose], centre, self.their_source] += self.fen
        return moved


class Books:
    """Everything that stands on accounts at one moment, and every payment."""

    def __init__(self, centre: int) -> None:
        self.centre = centre
        self.windows: dict[int, Amounts] = defaultdict(lambda: defaultdict(int))
        """Postings by window, those about payments left out."""
        self.on_the_way: Balances = defaultdict(int)
        """Postings of orders and bank lines by window; they count whatever the window."""
        self.payments: dict[str, Payment] = {}
        self.closed: int | None = None
        self._until_closed: Amounts = defaultdict(int)
        self._moved: Amounts = defaultdict(int)

    def post(self, window: int, account: Account, fen: int) -> None:
        """A transaction's, a fee's, a hold-back's or a correction's posting, in an open window."""
        assert self.closed is None or window > self.closed, f"window {window} is closed"
        self.windows[window][account] += fen

    def move(self, window: int, amounts: Amounts) -> None:
        """Postings of an order or of a bank line."""
        assert sum(amounts.values()) == 0
        for account, fen in amounts.items():
            self.on_the_way[(window, *account)] += fen
            self._moved[account] += fen

    def open_window(self, received: int) -> int:
        """In which window something of now posts: its received window, never a closed one."""
        return received if self.closed is None else max(received, self.closed + 1)

    def up_to(self, window: int) -> Amounts:
        """What stands on every account when ``window`` closes, all movements of payments included."""
        total = defaultdict(int, self._until_closed)
        for day, amounts in self.windows.items():
            if (self.closed is None or day > self.closed) and day <= window:
                for account, fen in amounts.items():
                    total[account] += fen
        for account, fen in self._moved.items():
            total[account] += fen
        return total

    def close(self, window: int) -> None:
        """Nothing posts in ``window`` or an earlier one any more."""
        for day, amounts in self.windows.items():
            if (self.closed is None or day > self.closed) and day <= window:
                for account, fen in amounts.items():
                    self._until_closed[account] += fen
        self.closed = window

    def waiting(self) -> list[Payment]:
        return [each for each in self.payments.values() if each.status in WAITING]

    def spoken_for(self) -> Amounts:
        """What waiting payments hold of each account."""
        held: Amounts = defaultdict(int)
        for each in self.waiting():
            for kind, fen in each.legs.items():
                held[kind, each.participant, each.source] += fen
        return held

    def balances(self) -> Balances:
        """Every account by window, credit positive."""
        found = defaultdict(int, self.on_the_way)
        for window, amounts in self.windows.items():
            for account, fen in amounts.items():
                found[(window, *account)] += fen
        return dict(found)


def legs_of(amounts: dict[str, int], fen: int) -> dict[str, int]:
    """What a payment of ``fen`` takes: all that stands against it, then the others in their order, up to ``fen``."""
    legs = {kind: have for kind, have in amounts.items() if have * fen < 0}
    rest = fen - sum(legs.values())
    for kind in sorted(amounts.keys() - legs.keys(), key=ORDER_OF_KINDS.index):
        part = min(amounts[kind], rest) if fen > 0 else max(amounts[kind], rest)
        rest -= part
        legs[kind] = part
    assert rest == 0
    return {kind: part for kind, part in legs.items() if part}
