"""What is open at the last close, and since when (rules §4, §12 to §17)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from auditor.times import DAY_SECONDS

if TYPE_CHECKING:
    from auditor.living import Life
    from auditor.model import AuditResult

ACCOUNTS = {
    "suspense_payable": "suspense",
    "cardholder_suspense": "suspense",
    "cardholder_payable": "refund",
    "pending_load": "pending_load",
    "agent_receivable": "load_in_transit",
    "fund_receivable": "claim",
    "insurer_receivable": "claim",
}
"""Accounts on which money waits for somebody."""

OpenItems = dict[tuple[str, str, int, int], tuple[int, int]]


def open_items(result: AuditResult, life: Life) -> OpenItems:
    """(item, cause, participant, since) → rows (0 for accounts) and fen."""
    books, last = life.books, life.books.closed
    assert last is not None
    found: dict[tuple[str, str, int, int], list[int]] = defaultdict(lambda: [0, 0])

    def add(item: str, cause: str, participant: int, since: int, rows: int, fen: int) -> None:
        entry = found[item, cause, participant, since]
        entry[0] += rows
        entry[1] += fen

    for row in result.rows.values():
        if row.unreadable:
            continue
        waits_as = row.status if row.disposition == "HELD" and row.window <= last else ""
        if row.later_status and row.moved_to > last:
            waits_as = "GREY_RECORD"
        left = row.value["amount"] - life.corrections.moved_on(row.key, last)
        if waits_as and (left or not row.value["amount"]):
            item = "grey" if waits_as == "GREY_RECORD" else "held"
            add(item, waits_as, row.value["merchant_id"], row.received_window, 1, left)
    for payment in life.unsettled():
        sign = 1 if payment.direction == "pay" else -1
        add("payment", payment.status, payment.participant, payment.window, 1, sign * payment.fen)
    for line in life.bank.lines:
        if line.open:
            fen = line.fen if line.direction == "credit" else -line.fen
            add("bank_line", line.outcome, line.place[0], line.at // DAY_SECONDS, 1, fen)
    moved: dict[tuple[str, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for (window, kind, participant, _), fen in books.balances().items():
        if kind in ACCOUNTS and window <= last:
            moved[kind, participant][window] += fen
    for (kind, participant), by_window in moved.items():
        stands = sum(by_window.values())
        if stands:
            add(ACCOUNTS[kind], kind, participant, _since(by_window, stands), 0, stands)
    return {key: (rows, fen) for key, (rows, fen) in found.items()}


def _since(by_window: dict[int, int], stands: int) -> int:
    """Since when money stands on an account where what came first went first."""
    sign = 1 if stands > 0 else -1
    covered = 0
    for window in sorted(by_window, reverse=True):
        covered += max(sign * by_window[window], 0)
        if covered >= abs(stands):
            return window
    raise AssertionError("what stands was posted at some time")
