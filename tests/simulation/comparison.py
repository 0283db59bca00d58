"""What the engine found against what the auditor found, as lines a person can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from auditor import AuditResult, Row
from auditor.model import RowKey

DECIDED = ("status", "disposition", "window")
READABLE = ("tac_verdict", "operating_day")
PAYERS = (
    "price_verdict",
    "card_paid",
    "overcharge",
    "fund",
    "fund_paid",
    "operator_borne",
    "suspense",
)
"""Compared on accepted rows: only those are priced."""
TEMPLATE = ("template",)
"""Not compared where there is no amount to post: which template such a row has says nothing."""


@dataclass
class EngineResult:
    """What one engine run left behind, as plain dictionaries.

    Attributes:
        files: outcome per data file name.
        rows: (file, source row) → the columns of DECIDED, READABLE, PAYERS and TEMPLATE; enums by name, days as
            integers, missing days None.
        balances: (window, kind, participant, source) → fen after the close of every window, credit positive.
        fees: (window, merchant) → fee in fen.
        positions: (window, participant, source) → net fen.
        payments: name → direction, fen, pay day, status.
        unpaid: (window, participant, source) → fen, reason.
        bank_files, bank_lines, disputes, open_items, findings, not_compared: as in :class:`auditor.AuditResult`.
    """

    files: dict[str, str] = field(default_factory=dict)
    rows: dict[RowKey, dict[str, Any]] = field(default_factory=dict)
    balances: dict[tuple[int, str, int, int], int] = field(default_factory=dict)
    fees: dict[tuple[int, int], int] = field(default_factory=dict)
    positions: dict[tuple[int, int, int], int] = field(default_factory=dict)
    payments: dict[str, tuple[str, int, int, str]] = field(default_factory=dict)
    unpaid: dict[tuple[int, int, int], tuple[int, str]] = field(default_factory=dict)
    bank_files: dict[str, str] = field(default_factory=dict)
    bank_lines: dict[Any, Any] = field(default_factory=dict)
    disputes: Counter[Any] = field(default_factory=Counter)
    open_items: dict[Any, Any] = field(default_factory=dict)
    findings: set[Any] = field(default_factory=set)
    not_compared: dict[Any, int] = field(default_factory=dict)


def differences(engine: EngineResult, audit: AuditResult) -> Iterator[str]:
    """One line per difference, files first, then rows, then money."""
    yield from _different("file", engine.files, audit.files)
    yield from _row_differences(engine, audit)
    fees = {key: sum(shares.values()) for key, shares in audit.fees.items()}
    yield from _different("fee (window, merchant)", _nonzero(engine.fees), _nonzero(fees))
    closed = _nonzero(audit.closed_balances)
    yield from _different("balance (window, kind, participant, source)", _nonzero(engine.balances), closed)
    positions = _nonzero(audit.positions)
    yield from _different("position (window, participant, source)", _nonzero(engine.positions), positions)
    yield from _different("payment", engine.payments, audit.payments)
    yield from _different("unpaid (window, participant, source)", engine.unpaid, audit.unpaid)
    yield from _different("bank file", engine.bank_files, audit.bank_files)
    yield from _different("bank line (file, number)", engine.bank_lines, audit.bank_lines)
    yield from _different("dispute (row, state, fen, deadline)", engine.disputes, audit.disputes)
    yield from _different("open item (item, cause, participant, since)", engine.open_items, audit.open_items)
    yield from (f"the rules do not allow it: {objection}" for objection in audit.objections)
    for finding in sorted(engine.findings ^ audit.findings, key=repr):
        yield f"finding {finding}: only {'engine' if finding in engine.findings else 'auditor'} has it"
    yield from _different("not compared", engine.not_compared, audit.not_compared)


def visible(engine: EngineResult) -> tuple[dict[RowKey, dict[str, Any]], dict[Any, int]]:
    """What :func:`differences` looks at before any window is closed: columns by row, and balances."""
    rows = {}
    for key, row in engine.rows.items():
        columns: tuple[str, ...] = DECIDED
        columns += READABLE if row["status"] != "UNREADABLE" else ()
        columns += PAYERS if row["disposition"] == "ACCEPTED" else ()
        rows[key] = {name: row[name] for name in columns}
    return rows, _nonzero(engine.balances)


def _row_differences(engine: EngineResult, audit: AuditResult) -> Iterator[str]:
    tied = {key for group in audit.interchangeable for key in group}
    for key, row in audit.rows.items():
        found = engine.rows.get(key)
        if found is None:
            yield f"row {key}: the engine has no such row, the auditor {row.status}"
        elif key not in tied:
            yield from _column_differences(key, found, row)
    for key in engine.rows.keys() - audit.rows.keys():
        yield f"row {key}: the auditor has no such row, the engine {engine.rows[key]['status']}"
    for group in audit.interchangeable:
        keys = [key for key in sorted(group) if key in engine.rows]
        ours = Counter(audit.rows[key].status for key in keys)
        theirs = Counter(engine.rows[key]["status"] for key in keys)
        if ours != theirs:
            yield f"rows {keys}, of which any may stand: engine {dict(theirs)}, auditor {dict(ours)}"


def _column_differences(key: RowKey, found: Mapping[str, Any], row: Row) -> Iterator[str]:
    columns: tuple[str, ...] = DECIDED
    if not row.unreadable:
        columns += READABLE
        if row.legs or row.value["amount"]:
            columns += TEMPLATE
    if row.disposition == "ACCEPTED":
        columns += PAYERS
    ours = {name: getattr(row, name) for name in columns}
    # The engine posts foreign cards by the same template with another account on the card's side.
    ours["template"] = row.template.removesuffix("_FOREIGN")
    wrong = [name for name in columns if found[name] != ours[name]]
    if wrong:
        sides = "; ".join(f"{name}: engine {found[name]}, auditor {ours[name]}" for name in wrong)
        yield f"row {key} ({row.service}, auditor's status {row.status}): {sides}"


def _nonzero(amounts: Mapping[Any, int]) -> dict[Any, int]:
    return {key: amount for key, amount in amounts.items() if amount}


def _different(what: str, engine: Mapping[Any, Any], audit: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted(engine.keys() | audit.keys(), key=repr):
        if engine.get(key) != audit.get(key):
            yield f"{what} {key}: engine {engine.get(key)}, auditor {audit.get(key)}"


def report(lines: list[str], seed: int, shown: int = 12) -> str:
    """The first differences under a headline with the seed."""
    rest = [f"… and {len(lines) - shown} more"] if len(lines) > shown else []
    return "\n".join([f"seed {seed}: {len(lines)} differences", *lines[:shown], *rest])
