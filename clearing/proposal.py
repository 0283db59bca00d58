"""The payment proposal of a closed window as a file: a pure function of its close entry, written again when lost."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from clearing import calendar
from clearing.config import Settings
from clearing.durable import write_durably
from clearing.ledger.journal import Entry


def proposal_path(directory: Path, entry: Entry) -> Path:
    """Where the proposal of a close entry lies."""
    return directory / "payments" / f"{calendar.date_of(entry.body['window'])}.proposal.csv"


def proposal_document(entry: Entry, settings: Settings) -> bytes:
    """The proposal as CSV with a byte-order mark, which spreadsheet programs need for Chinese names."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["payment", "participant", "name_zh", "name_en", "source", "direction", "fen", "state", "pay_date", "account"]
    )
    names = {participant.id: participant.name for participant in settings.participants}
    unpaid = [
        {**row, "payment": "", "direction": "pay" if row["fen"] > 0 else "collect", "state": row["reason"]}
        for row in entry.body.get("unpaid", ())
    ]
    for row in [*entry.body["payments"], *unpaid]:
        name = names.get(row["participant"])
        account = row.get("theirs")
        writer.writerow(
            [
                row["payment"],
                row["participant"],
                name.zh if name else "",
                name.en if name else "",
                row["source"],
                row["direction"],
                abs(row["fen"]),
                row.get("state", "proposed"),
                row.get("pay_date", ""),
                f"{account['bank_code']} {account['number']}" if account else "",
            ]
        )
    return buffer.getvalue().encode("utf-8-sig")


def write_proposal(directory: Path, entry: Entry, settings: Settings) -> Path:
    """Write ``payments/<date>.proposal.csv`` and return its path."""
    path = proposal_path(directory, entry)
    write_durably(path, proposal_document(entry, settings))
    return path
