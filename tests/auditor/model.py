"""What the auditor works on: rows as they were delivered, and what became of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Account = tuple[str, int, int]
"""(account kind, participant, source of money); source 0 is the reserve."""

Leg = tuple[Account, int]
"""An account and its fen, credit positive."""

RowKey = tuple[str, int]
"""(file name, source row)."""

CREDIT_SERVICES = ("load", "benefit")
PAYERS = ("rule", "price_verdict", "gross", "card_paid", "overcharge", "fund", "fund_paid", "operator_borne")


@dataclass(slots=True)
class Row:
    """One delivered row.

    ``value`` holds the columns of the delivery by name, None where missing; it is empty on unreadable rows.
    """

    file: str
    source_row: int
    sender: int
    service: str
    received_at: int
    value: dict[str, Any] = field(default_factory=dict)
    card_no: str = ""
    card_id: int = 0
    bills: list[dict[str, Any]] = field(default_factory=list)
    unreadable: bool = False
    multiplicity: int = 0
    """0 = the row has an identity of its own columns; n = whole-row identity, n equal rows per file stand."""

    txn_time: int | None = None
    operating_day: int | None = None
    received_window: int = 0
    window: int = 0
    tac_verdict: str | None = None
    status: str = ""
    disposition: str = ""

    price_verdict: str = "NOT_PRICED"
    gross: int = 0
    card_paid: int = 0
    overcharge: int = 0
    fund: int = 0
    """Participant number of the fund behind ``fund_paid`` or a picked-up benefit; 0 = none."""
    fund_paid: int = 0
    operator_borne: int = 0
    suspense: int = 0
    rule: str = ""
    """What decided a fare of a tariff that remembers."""
    paid_bills: list[dict[str, Any]] = field(default_factory=list)
    """Bills that this payment was the first to pay."""
    template: str = "NONE"
    legs: list[Leg] = field(default_factory=list)
    history: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Of a tariff that remembers: window and payers of each decision; the row itself shows the last one."""
    reversal: bool = False

    def payers(self) -> dict[str, Any]:
        """What a decision says of the price."""
        return {name: getattr(self, name) for name in PAYERS}

    later_status: str = ""
    """What a close made of a grey row; "" = nothing."""
    moved_to: int = 0
    """Window in which that posts."""
    reversed: list[tuple[int, Leg]] = field(default_factory=list)
    """Legs of earlier decisions and of their reversals, each with its window."""

    @property
    def key(self) -> RowKey:
        return (self.file, self.source_row)

    @property
    def direction(self) -> str:
        return "credit" if self.service in CREDIT_SERVICES else "debit"

    @property
    def has_purse(self) -> bool:
        return bool(self.value["txn_type"] != 0)

    @property
    def sign(self) -> int:
        """−1 on a cancelled settlement and a reversed decision: its part of a fee base is negated."""
        return -1 if (self.value.get("cancel") == 1) != self.reversal else 1


@dataclass
class AuditResult:
    """Everything the engine must have found too.

    Attributes:
        files: outcome per data file name.
        rows: every row of the received files, by (file, source row).
        interchangeable: groups of rows that differ in content only, of which the rules let any one stand.
        balances: (window, kind, participant, source) → fen of the rows' legs, credit positive.
        fees: (window, merchant) → {(role, participant): fen}; roles issuer, acquirer, centre.
        closed_balances: balances with the fee legs of every window.
        positions: (window, participant, source) → net fen after fees, memo accounts excluded.
        payments: name → direction, fen, pay day and status of every payment that a close proposed.
        unpaid: (window, participant, source) → fen and reason of what a close leaves.
        bank_files: outcome per file of the bank.
        bank_lines: (file, number) → payment, direction, fen, outcome, whether somebody has to look at it.
        disputes: how many are about (row), in a state, with fen in dispute and deadline.
        open_items: (item, cause, participant, since) → rows and fen, at the last close.
        objections: what people or bank did that the rules forbid, in words.
        findings: amounts of settlements and bills that the closes find different from the tariff, as in
            :data:`auditor.recomputing.Finding`.
        not_compared: settlements and bills by window, service, participant, reason and column.
    """

    files: dict[str, str] = field(default_factory=dict)
    rows: dict[RowKey, Row] = field(default_factory=dict)
    interchangeable: list[frozenset[RowKey]] = field(default_factory=list)
    balances: dict[tuple[int, str, int, int], int] = field(default_factory=dict)
    fees: dict[tuple[int, int], dict[tuple[str, int], int]] = field(default_factory=dict)
    closed_balances: dict[tuple[int, str, int, int], int] = field(default_factory=dict)
    positions: dict[tuple[int, int, int], int] = field(default_factory=dict)
    payments: dict[str, tuple[str, int, int, str]] = field(default_factory=dict)
    unpaid: dict[tuple[int, int, int], tuple[int, str]] = field(default_factory=dict)
    bank_files: dict[str, str] = field(default_factory=dict)
    bank_lines: dict[tuple[str, int], tuple[str, str, int, str, bool]] = field(default_factory=dict)
    disputes: Counter[tuple[RowKey, str, int, int | None]] = field(default_factory=Counter)
    open_items: dict[tuple[str, str, int, int], tuple[int, int]] = field(default_factory=dict)
    objections: list[str] = field(default_factory=list)
    findings: set[Any] = field(default_factory=set)
    not_compared: dict[Any, int] = field(default_factory=dict)
