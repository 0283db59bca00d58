"""The commit of a correction: one journal entry in the window that takes what happens now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clearing.calendar import date_of, received_window
from clearing.centre import Centre
from clearing.corrections.proposals import FOLDER, Proposal, posted_digests
from clearing.corrections.templates import Legs, joined
from clearing.errors import RefusedError
from clearing.ledger.journal import Entry
from clearing.ledger.projection import Projection


def open_window(centre: Centre, at: int) -> int:
    """The window that takes what happens now.

    Raises:
        RefusedError: it is closed: the declared clock stands before a close.
    """
    window = int(received_window(at, centre.settings.calendar))
    if any(entry.body["window"] >= window for entry in centre.journal.of_kind("close")):
        raise RefusedError(
            f"window {date_of(window)} is closed", remedy="a correction posts in an open window: move --now on"
        )
    return window


def post(
    centre: Centre,
    projection: Projection,
    kind: str,
    body: dict[str, Any],
    legs: list[Legs],
    window: int,
    at: int,
    files: dict[str, str] | None = None,
) -> Entry:
    """Append the entry and project it; what it posts is the sum of its corrections' legs.

    ``files`` are archived copies, SHA-256 by name, that it was decided by besides the configuration.
    """
    total = joined(legs)
    assert sum(total.values()) == 0, "corrections balance"
    # Policy and registers decided it too: they are archived like those of a batch.
    postings = [[window, *account, fen] for account, fen in sorted(total.items())]
    entry = centre.journal.append(
        kind,
        {
            **body,
            "window": window,
            "postings": postings,
            "configuration": {**centre.archive_configuration(), **(files or {})},
        },
        at=at,
        key=centre.signing,
    )
    projection.catch_up(centre.journal)
    projection.publish(centre.journal)
    return entry


def drop(directory: Path, proposal: Proposal) -> None:
    """A posted proposal waits for nobody."""
    (directory / FOLDER / f"{proposal.name}.json").unlink(missing_ok=True)


def refuse_posted(centre: Centre, proposal: Proposal) -> None:
    """Refuse a proposal that is an entry already."""
    if proposal.digest in posted_digests(centre.journal):
        raise RefusedError("the proposal is posted already", where=proposal.name, remedy="nothing is left to do")
