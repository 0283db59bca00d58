"""What goes back to a sender: the acknowledgement at arrival, the result receipt after clearing.

Both are pure functions of what was sealed, so a lost answer is written again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from card_io.delivery.manifest import Manifest

DISPOSITIONS: Final = ("accepted", "held", "rejected", "duplicate", "unreadable")
"""Where an input row can end; every row ends in exactly one."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows of one disposition and their fen; fen None = unknown (unreadable rows, no control total)."""

    rows: int
    fen: int | None


def acknowledgement(
    manifest: Manifest, *, received_at: str, outcome: str, reason: str | None = None, remedy: str | None = None
) -> dict[str, object]:
    """The answer to a delivery's arrival.

    Args:
        manifest: of the delivery.
        received_at: the centre's sealed arrival time, YYYY-MM-DDTHH:MM:SS.
        outcome: the intake's outcome code.
        reason: why it was refused; None if it was not.
        remedy: what the sender should do; None if nothing.
    """
    return {
        "document": "acknowledgement",
        "format_version": 1,
        **_identity(manifest),
        "received_at": received_at,
        "outcome": outcome,
        "reason": reason,
        "remedy": remedy,
        "rows": manifest.rows,
        "amount_fen": manifest.amount_fen,
    }


def result_receipt(
    manifest: Manifest, *, received_at: str, outcome: str, dispositions: Mapping[str, Tally]
) -> dict[str, object]:
    """The account of every row of a cleared delivery, in count and in fen.

    Args:
        manifest: of the delivery.
        received_at: the centre's sealed arrival time, YYYY-MM-DDTHH:MM:SS.
        outcome: the run's outcome code.
        dispositions: tally of each of :data:`DISPOSITIONS`.

    Raises:
        ValueError: a disposition is missing or unknown, or the tallies do not add up to the manifest's rows
            or, where it has one, to its control total.
    """
    if set(dispositions) != set(DISPOSITIONS):
        raise ValueError(f"tallies for {sorted(dispositions)}, wanted {sorted(DISPOSITIONS)}")
    rows = sum(tally.rows for tally in dispositions.values())
    if rows != manifest.rows:
        raise ValueError(f"{manifest.file}: the dispositions add up to {rows} rows of {manifest.rows}")
    known_fen = [tally.fen for tally in dispositions.values() if tally.fen is not None]
    complete = len(known_fen) == len(DISPOSITIONS)
    if complete and manifest.amount_fen is not None and sum(known_fen) != manifest.amount_fen:
        raise ValueError(f"{manifest.file}: the dispositions add up to {sum(known_fen)} fen of {manifest.amount_fen}")
    return {
        "document": "result_receipt",
        "format_version": 1,
        **_identity(manifest),
        "received_at": received_at,
        "outcome": outcome,
        "rows": manifest.rows,
        "amount_fen": manifest.amount_fen,
        "dispositions": {
            name: {"rows": dispositions[name].rows, "fen": dispositions[name].fen} for name in DISPOSITIONS
        },
    }


def _identity(manifest: Manifest) -> dict[str, object]:
    return {
        "sender": manifest.sender,
        "service": manifest.service,
        "file_date": manifest.file_date,
        "sequence": manifest.sequence,
        "file": manifest.file,
        "sha256": manifest.sha256,
    }
