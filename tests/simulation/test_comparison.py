"""The comparison itself: silent on equal findings, one readable line for each kind of difference."""

from __future__ import annotations

from collections import Counter

import pytest
from auditor import AuditResult
from auditor.samples import audited, row

from simulation.comparison import DECIDED, PAYERS, READABLE, TEMPLATE, EngineResult, differences, report

COLUMNS = DECIDED + READABLE + PAYERS + TEMPLATE


@pytest.fixture
def audit() -> AuditResult:
    result = audited([row("retail", amount=1000, balance_before=None), row("transit", tac=None), row("benefit")])
    result.files = {"file": "received"}
    result.payments = {"19700102-501-0": ("pay", 1000, 2, "settled")}
    result.unpaid = {(1, 211, 901): (50, "awaiting_fund")}
    result.bank_files = {"statement.xml": "taken"}
    result.bank_lines = {("statement.xml", 1): ("19700102-501-0", "debit", 1000, "settled", False)}
    result.disputes = Counter({(("file", 1), "QUERIED", 1000, 17): 1})
    result.open_items = {("held", "BALANCE_BREAK", 211, 1): (1, 100)}
    return result


def engine_like(audit: AuditResult) -> EngineResult:
    return EngineResult(
        files=dict(audit.files),
        rows={key: {name: getattr(one, name) for name in COLUMNS} for key, one in audit.rows.items()},
        balances=dict(audit.closed_balances),
        fees={key: sum(shares.values()) for key, shares in audit.fees.items()},
        positions=dict(audit.positions),
        payments=dict(audit.payments),
        unpaid=dict(audit.unpaid),
        bank_files=dict(audit.bank_files),
        bank_lines=dict(audit.bank_lines),
        disputes=Counter(audit.disputes),
        open_items=dict(audit.open_items),
        findings=set(audit.findings),
        not_compared=dict(audit.not_compared),
    )


def test_equal_findings_have_no_difference(audit: AuditResult) -> None:
    assert list(differences(engine_like(audit), audit)) == []


@pytest.mark.parametrize(
    "name",
    [
        "files",
        "balances",
        "fees",
        "positions",
        "payments",
        "unpaid",
        "bank_files",
        "bank_lines",
        "disputes",
        "open_items",
    ],
)
def test_every_part_is_compared(audit: AuditResult, name: str) -> None:
    engine = engine_like(audit)
    part = getattr(engine, name)
    part[next(iter(part))] = "other" if name in ("files", "bank_files") else 12345
    lines = list(differences(engine, audit))
    assert len(lines) == 1
    assert "engine" in lines[0]
    assert "auditor" in lines[0]


def test_what_the_rules_forbid_is_told(audit: AuditResult) -> None:
    audit.objections.append("approver.a may not approve 19700102-501-0")
    assert list(differences(engine_like(audit), audit)) == [
        "the rules do not allow it: approver.a may not approve 19700102-501-0"
    ]


def test_findings_are_compared(audit: AuditResult) -> None:
    engine = engine_like(audit)
    engine.findings.add((1, ("file", 1), None, "hifp_pay", "FUND_OVERPAID", 2, 1))
    engine.not_compared[1, "medical", 400, "no_terms", ""] = 3
    assert ["engine" in line for line in differences(engine, audit)] == [True, True]


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_compared(audit: AuditResult, column: str) -> None:
    engine = engine_like(audit)
    next(iter(engine.rows.values()))[column] = "other"
    assert [column in line for line in differences(engine, audit)] == [True]


def test_missing_and_surplus_rows(audit: AuditResult) -> None:
    engine = engine_like(audit)
    engine.rows["other", 1] = engine.rows.pop(next(iter(engine.rows)))
    lines = list(differences(engine, audit))
    assert ["no such row" in line for line in lines] == [True, True]
    assert report(lines, 7, shown=1).splitlines() == ["seed 7: 2 differences", lines[0], "… and 1 more"]


def test_of_interchangeable_rows_either_may_stand() -> None:
    first, second = row("retail", key_index=1), row("retail", overdraft_limit=5)
    result = audited([first, second])
    engine = engine_like(result)
    engine.rows[first.key], engine.rows[second.key] = engine.rows[second.key], engine.rows[first.key]
    assert list(differences(engine, result)) == []
    engine.rows[first.key]["status"] = engine.rows[second.key]["status"] = "ACCEPTED"
    assert len(list(differences(engine, result))) == 1
