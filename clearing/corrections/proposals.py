"""A correction between two persons: proposed by one as a signed document, posted when another signs it too.

A proposal lies in ``corrections/`` of the centre and moves nothing. Approving decides it again against the ledger of
that moment, posts it as one journal entry and removes the document; its digest in the journal refuses a second time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clearing.durable import write_durably
from clearing.errors import ClearingError
from clearing.ledger.journal import Journal
from clearing.people import digest_of

FOLDER: Final = "corrections"
CORRECTION_KINDS: Final = ("adjustment", "dispute", "card_state")
"""Kinds of the journal entries that a reconciler proposed and an approver signed too."""

_SHOWN: Final = 12
"""Digits of a digest by which people name a proposal."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one person asks for. ``content`` is what both sign: kind, time, the last entry
    its proposer saw (so that the same correction can be proposed again later), items, and the sheet it came from."""

    content: dict[str, Any]
    proposer: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 hex of the content: what is signed."""
        return digest_of(self.content)

    @property
    def name(self) -> str:
        """How people name it."""
        return self.digest[:_SHOWN]

    @property
    def kind(self) -> str:
        """The journal kind it becomes."""
        return str(self.content["kind"])

    def to_bytes(self) -> bytes:
        """The document."""
        document = {"content": self.content, "proposer": self.proposer}
        return json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def write_proposal(directory: Path, proposal: Proposal) -> Path:
    """Put a proposal into the centre."""
    path = directory / FOLDER / f"{proposal.name}.json"
    write_durably(path, proposal.to_bytes())
    return path


def read_proposal(directory: Path, name: str) -> Proposal:
    """The proposal of that name.

    Raises:
        ClearingError: there is none, or it is not what its name says.
    """
    path = directory / FOLDER / f"{Path(name).name}.json"
    try:
        document = json.loads(path.read_bytes())
        proposal = Proposal(document["content"], document["proposer"])
    except FileNotFoundError as exc:
        raise ClearingError("no such proposal", where=name, remedy="see them: clearing adjust DIR list") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ClearingError("the proposal cannot be read", where=path, remedy="propose it again") from exc
    if proposal.name != path.stem:
        raise ClearingError("the proposal was changed", where=path, remedy="delete it and propose again")
    return proposal


def open_proposals(directory: Path) -> list[Proposal]:
    """All proposals that wait for a second person, by name; what a crash left of a posted one is no such."""
    posted = posted_digests(Journal(directory / "journal"))
    listed = [read_proposal(directory, path.stem) for path in sorted((directory / FOLDER).glob("*.json"))]
    return [each for each in listed if each.digest not in posted]


def posted_digests(journal: Journal) -> set[str]:
    """Digests of the proposals that are entries already."""
    return {str(e.body["proposal"]) for kind in CORRECTION_KINDS for e in journal.of_kind(kind)}


def posted_sheets(journal: Journal) -> set[str]:
    """Digests of the exception sheets that are entries already."""
    return {str(e.body["sheet"]) for e in journal.of_kind("adjustment") if e.body.get("sheet")}
