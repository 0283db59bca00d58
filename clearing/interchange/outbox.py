"""Where interchange files lie and how one is cut when it has more records than a header can count."""

from __future__ import annotations

import datetime
from pathlib import Path

from card_io.delivery.jtt978_frame import RECORDS_MAX, Header, write_frame
from clearing.centre import Centre
from clearing.config import Participant
from clearing.durable import write_durably


def partners(centre: Centre) -> list[Participant]:
    """The participants that get interchange files."""
    return [each for each in centre.settings.participants if each.interchange == "jtt978"]


def first_part(centre: Centre, participant: int, sequence: int, kind: str) -> Path:
    """Path of the first part of a file; it is written last, so its presence means that all parts are there."""
    return _part(centre, participant, sequence, kind, 1)


def _part(centre: Centre, participant: int, sequence: int, kind: str, part: int) -> Path:
    return centre.directory / "outbox" / str(participant) / f"{sequence:08d}.{kind}.{part:02d}.txt"


def send(
    centre: Centre, participant: int, sequence: int, kind: str, records: list[bytes], date: datetime.date, length: int
) -> None:
    """Write all parts of a file; an empty one has a header and no record.

    Args:
        sequence: of the journal entry the file follows from.
        kind: two letters of the standard.
        records: lines without line ends, ``length`` bytes before their TLV part.
    """
    header = Header(date, str(participant), length)
    starts = range(0, max(len(records), 1), RECORDS_MAX)
    for part, start in reversed(list(enumerate(starts, 1))):
        path = _part(centre, participant, sequence, kind, part)
        write_durably(path, write_frame(header, records[start : start + RECORDS_MAX]))
