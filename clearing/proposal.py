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


def write_proposal(directory: Path, entry: Entry, settings: Settings) -> Path:
    """Write ``payments/<date>.proposal.csv`` and return its path."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["payment", "participant", "name_zh", "name_en", "source", "direction", "fen", "state"])
    for row in entry.body["payments"]:
        name = settings.participant(row["participant"]).name
        writer.writerow(
            [row["payment"], row["participant"], name.zh, name.en]
            + [row[column] for column in ("source", "direction", "fen", "state")]
        )
    path = proposal_path(directory, entry)
    write_durably(path, buffer.getvalue().encode("utf-8-sig"))
    return path
