"""Rows that the projection takes from the entries about payments: close, approval, order, bank (docs/ledger.md)."""

from __future__ import annotations

from typing import Any

from clearing.calendar import date_of
from clearing.ledger.journal import Entry
from clearing.payments.book import events_of
from clearing.store import timestamp

Tables = dict[str, list[dict[str, Any]]]


def payment_rows(entry: Entry) -> Tables:
    """Rows by table. Proposals of closes older than the payment rule hold no money and are left out."""
    tables: Tables = {"payment_events": event_rows(entry)}
    if entry.kind == "close":
        tables |= _proposal(entry)
    elif entry.kind == "approval":
        body = entry.body
        tables["approvals"] = [
            {
                "entry": entry.sequence,
                "subject": row["payment"],
                "person": body["person"],
                "role": body["role"],
                "digest": row["digest"],
            }
            for row in body["payments"]
        ]
    elif entry.kind == "order":
        tables["orders"] = [_order(entry)]
    elif entry.kind == "bank":
        tables |= _bank(entry)
    return tables


def event_rows(entry: Entry) -> list[dict[str, Any]]:
    """What happened to payments in an entry, in order."""
    common = {"entry": entry.sequence, "at": timestamp(entry.at)}
    return [{**common, "number": number, **event} for number, event in enumerate(events_of(entry), 1)]


def _proposal(entry: Entry) -> Tables:
    body = entry.body
    common = {"entry": entry.sequence, "window": date_of(body["window"])}
    plain = (
        "payment", "participant", "source", "direction", "fen", "purpose", "pay_date", "bank", "from_source",
        "to_source",
    )  # fmt: skip
    return {
        "payments": [
            {
                **common,
                **{name: row[name] for name in plain},
                "account_number": row["theirs"]["number"],
                "account_bank": row["theirs"]["bank_code"],
                "account_name": row["theirs"]["name"],
            }
            for row in body["payments"]
            if "legs" in row
        ],
        "unpaid": [{**common, **row} for row in body.get("unpaid", ())],
        "over_cap": [{**common, **row} for row in body.get("over_cap", ())],
        "held": [{**common, **row, "until": date_of(row["until"])} for row in body.get("held", ())],
    }


def _order(entry: Entry) -> dict[str, Any]:
    instructions = entry.body["instructions"]
    fen = {
        direction: sum(each["fen"] for each in instructions if each["direction"] == direction)
        for direction in ("pay", "collect")
    }
    return {
        "entry": entry.sequence,
        "message": entry.body["message"],
        "payment_count": len(instructions),
        "pay_fen": fen["pay"],
        "collect_fen": fen["collect"],
    }


def _bank(entry: Entry) -> Tables:
    body = entry.body
    common = {"entry": entry.sequence}
    file = {name: body[name] for name in ("file", "format", "sha256", "message", "outcome", "reason")}
    return {
        "bank_files": [{**common, **file}],
        "bank_statements": [{**common, **row} for row in body["statements"]],
        "bank_lines": [{**common, "line": number, **row} for number, row in enumerate(body["lines"], 1)],
    }
