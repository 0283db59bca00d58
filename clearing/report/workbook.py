"""The daily reconciliation as a workbook: checks with their rows, files, open items by age, balances, payments."""

from __future__ import annotations

from typing import Final

from clearing.reconcile.checks import CheckResult
from clearing.report.facts import Facts, Row
from clearing.report.messages import Language, Messages
from clearing.report.pages import Names
from clearing.report.sheets import Column, Sheet, workbook

RELATIONS: Final = ("files", "trial_balance", "fund_claims", "open_items", "regions", "region_claims")


def daily_workbook(facts: Facts, checks: list[CheckResult], language: Language) -> bytes:
    """The workbook of a business date; equal ledgers give equal bytes.

    Args:
        facts: with :data:`RELATIONS`.
        checks: results with the wrong rows they kept.
        language: of titles and names.
    """
    t = Messages(language)
    names = Names(facts, t)
    return workbook(
        [
            _checks(checks, t),
            _findings(checks, t),
            _sheet(t, "open_items", _named(facts["open_items"], names, t), _OPEN_ITEMS),
            _sheet(t, "files", _named(facts["files"], names, t), _FILES),
            _sheet(t, "trial_balance", _named(facts["trial_balance"], names, t), _BALANCE),
            _sheet(t, "fund_claims", _named(facts["fund_claims"], names, t), _CLAIMS),
            _sheet(t, "positions", _named(facts["positions"], names, t), ("participant", "name", "source", "fen")),
            _sheet(t, "payments", _named(facts["payments"], names, t), _PAYMENTS),
            _sheet(t, "regions", [row | {"name": row[language]} for row in facts["regions"]], _REGIONS),
            _sheet(t, "region_claims", facts["region_claims"], _REGION_CLAIMS),
        ],
        title=f"{t('title.reconciliation')} {facts.date}",
    )


_OPEN_ITEMS: Final = ("item", "cause", "owner", "participant", "name", "since", "age_days", "rows", "fen")
_FILES: Final = ("file_no", "file", "sender", "rows_in", "difference_rows", "fen_in", "difference_fen")
_BALANCE: Final = ("kind", "account", "source", "opening", "debit", "credit", "closing")
_CLAIMS: Final = ("participant", "name", "claim_fen", "evidence_fen", "difference")
_REGIONS: Final = ("level", "region", "name", "rows", "card_fen", "fund_fen", "payable_fen")
_REGION_CLAIMS: Final = ("fund", "home_region", "care_region", "out_of_region", "rows", "fen")
_PAYMENTS: Final = ("payment", "participant", "name", "source", "direction", "state", "fen")

_FEN: Final = frozenset(
    {
        "fen",
        "fen_in",
        "difference_fen",
        "opening",
        "debit",
        "credit",
        "closing",
        "claim_fen",
        "evidence_fen",
        "difference",
        "card_fen",
        "fund_fen",
        "payable_fen",
    }
)


def _named(rows: list[Row], names: Names, t: Messages) -> list[Row]:
    """Rows with names beside numbers: participant, source of money, account."""
    named = []
    for row in rows:
        more: Row = {}
        if "participant" in row:
            more["name"] = names.participant(row["participant"])
        if "kind" in row:
            more["account"] = t.name("account", row["kind"])
        if "source" in row:
            more["source"] = names.source(row["source"])
        if "owner" in row:
            more |= {"owner": t(f"role.{row['owner']}"), "item": t(f"item.{row['item']}")}
        named.append(row | more)
    return named


def _sheet(t: Messages, name: str, rows: list[Row], columns: tuple[str, ...]) -> Sheet:
    return Sheet(t(f"sheet.{name}"), [Column(each, t(f"column.{each}"), fen=each in _FEN) for each in columns], rows)


def _checks(checks: list[CheckResult], t: Messages) -> Sheet:
    columns = ("check", "name", "severity", "owner", "result", "wrong_rows", "reason")
    rows = [
        {
            "check": each.check.name,
            "name": t(f"check.{each.check.name}"),
            "severity": t(f"severity.{each.check.severity}"),
            "owner": t(f"role.{each.check.owner}"),
            "result": t(f"check_result.{state(each)}"),
            "wrong_rows": each.rows,
            "reason": each.reason,
        }
        for each in checks
    ]
    return _sheet(t, "checks", rows, columns)


def _findings(checks: list[CheckResult], t: Messages) -> Sheet:
    """Every wrong row that was kept, its columns as text: checks have columns of their own."""
    rows = [
        {
            "check": each.check.name,
            "owner": t(f"role.{each.check.owner}"),
            "finding": ", ".join(f"{name} {value}" for name, value in row.items()),
        }
        for each in checks
        for row in each.findings
    ]
    return _sheet(t, "findings", rows, ("check", "owner", "finding"))


def state(result: CheckResult) -> str:
    """How a result is told: off, good, warn or bad."""
    if result.rows is None:
        return "off"
    if not result.rows:
        return "good"
    return "bad" if result.check.severity == "blocks" else "warn"
