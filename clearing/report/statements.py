"""Participant statements of a business date: ``outbox/<participant>/<date>.statement.html`` and ``.csv``."""

from __future__ import annotations

import csv
import datetime
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearing.accounts import MEMO_KINDS
from clearing.durable import write_durably
from clearing.report.facts import Facts, Row, published_ledger, read_facts
from clearing.report.pages import render

RELATIONS: Final = ("statement_statuses", "statement_accounts", "statement_fees")
CSV_COLUMNS: Final = ("record", "code", "disposition", "source", "rows", "fen")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a participant is told of one window.

    Attributes:
        participant: whose.
        statuses: its rows by status and disposition.
        accounts: the window's movement on its accounts that owe or are owed, by source of money.
        memo: the movement on accounts that only record.
        fees: its fee and the base it was taken from; empty before the close and without a fee schedule.
        positions: net by source of money; empty before the close.
        payments: what is proposed to be paid or collected; empty before the close.
    """

    participant: int
    statuses: list[Row]
    accounts: list[Row]
    memo: list[Row]
    fees: list[Row]
    positions: list[Row]
    payments: list[Row]


def write_statements(directory: Path, date: datetime.date) -> list[Path]:
    """Write a statement as HTML (language of the centre) and CSV for every participant with money in the window.

    Merchants, utilities, load agents and granting funds get one; before the close it says so and shows no net.

    Raises:
        ConfigError: ``centre.yaml`` cannot be used.
        ClearingError: the projection is missing or damaged.
    """
    with published_ledger(directory) as store:
        facts = read_facts(store, directory, date, RELATIONS)
    paths = []
    for statement in statements_of(facts):
        stem = directory / "outbox" / str(statement.participant) / f"{date}.statement"
        html = render("statement.html.j2", facts, facts.settings.centre.locale, statement=statement)
        for suffix, content in ((".html", html), (".csv", statement_csv(statement))):
            path = stem.with_name(stem.name + suffix)
            write_durably(path, content.encode())
            paths.append(path)
    return paths


def statements_of(facts: Facts) -> list[Statement]:
    """Statements of all participants whose accounts moved or whose rows were decided in the window."""
    everyone = {row["participant"] for name in ("statement_statuses", "statement_accounts") for row in facts[name]}
    return [_statement(facts, participant) for participant in sorted(everyone)]


def _statement(facts: Facts, participant: int) -> Statement:
    def mine(relation: str) -> list[Row]:
        return [row for row in facts[relation] if row["participant"] == participant]

    accounts = mine("statement_accounts")
    return Statement(
        participant=participant,
        statuses=mine("statement_statuses"),
        accounts=[row for row in accounts if row["kind"] not in MEMO_KINDS],
        memo=[row for row in accounts if row["kind"] in MEMO_KINDS],
        fees=mine("statement_fees"),
        positions=mine("positions"),
        payments=mine("payments"),
    )


def statement_csv(statement: Statement) -> str:
    """The statement as records: codes and fen only, empty where a column does not apply."""
    records: list[dict[str, object]] = [
        {"record": "status", "code": row["name"], **_only(row, "disposition", "rows", "fen")}
        for row in statement.statuses
    ]
    for record, rows in (("account", statement.accounts), ("memo", statement.memo)):
        records += [{"record": record, "code": row["kind"], **_only(row, "source", "fen")} for row in rows]
    for row in statement.fees:
        records += [
            {"record": "fee", "code": "base", "source": 0, "fen": row["base"]},
            {"record": "fee", "code": "fee", "source": 0, "fen": row["fen"]},
        ]
    records += [{"record": "position", **_only(row, "source", "fen")} for row in statement.positions]
    records += [
        {
            "record": "payment" if row["payment"] else "unpaid",
            "code": f"{row['direction']}:{row['state']}",
            **_only(row, "source", "fen"),
        }
        for row in statement.payments
    ]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue()


def _only(row: Row, *columns: str) -> Row:
    return {column: row[column] for column in columns}
