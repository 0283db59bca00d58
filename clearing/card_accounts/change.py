"""``clearing card DIR state``: a card changes its state by two persons, as a journal entry without money (rules §16).

The same proposal, signatures and entry as corrections have (``clearing.corrections``); what is decided is the step
from the state the card is in when the entry is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clearing.calendar import date_of
from clearing.card_accounts.states import StateRow, refuse_change, state_document, state_row, states_of
from clearing.centre import Centre
from clearing.corrections.commit import drop, open_window, post, refuse_posted
from clearing.corrections.persons import Signer, check_signed, signed
from clearing.corrections.proposals import read_proposal, write_proposal
from clearing.engine import declared_now, opened
from clearing.errors import RefusedError
from clearing.store import Store

KIND: Final = "card_state"
"""Kind of the proposal, of its journal entry, and what the signatures are for."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a command did; JSON-able. ``entry`` is None while a second person is waited for."""

    proposal: str
    entry: int | None
    states: list[dict[str, Any]]


def propose_state(
    directory: Path,
    change: StateRow,
    *,
    reason: str,
    passphrase: str,
    by: Signer,
    now: int | None = None,
    wait: float = 60.0,
) -> StateChange:
    """Leave a change of state, signed by one person, for another; the card stays as it is.

    Raises:
        RefusedError: no reason, a step no card takes, or a later state on record.
    """
    if not reason.strip():
        raise RefusedError("no reason", remedy="say why: --reason")
    with opened(directory, passphrase, wait=wait, purpose="clearing card") as (centre, projection):
        at = declared_now(centre, now)
        open_window(centre, at)
        projection.refresh_if_stale(centre.journal)
        _refuse(centre, projection.store, change)
        content: dict[str, Any] = {
            "kind": KIND,
            "at": at,
            "after": len(centre.journal.entries),
            "items": [{**state_document(change), "reason": reason}],
        }
        proposal = signed(centre, content, by, at)
        write_proposal(directory, proposal)
    return StateChange(proposal.name, None, [_shown(each) for each in content["items"]])


def approve_state(
    directory: Path, name: str, *, passphrase: str, by: Signer, now: int | None = None, wait: float = 60.0
) -> StateChange:
    """Record a proposed state with the signature of a second person.

    Raises:
        RefusedError: one person twice, a role missing, recorded already, or a step the card cannot take any more.
    """
    with opened(directory, passphrase, wait=wait, purpose="clearing card") as (centre, projection):
        at = declared_now(centre, now)
        window = open_window(centre, at)
        proposal = read_proposal(directory, name)
        if proposal.kind != KIND:
            raise RefusedError("the proposal is no card's state", where=name, remedy="approve it by its own command")
        signatures = check_signed(centre, proposal, by, at)
        refuse_posted(centre, proposal)
        projection.refresh_if_stale(centre.journal)
        items = proposal.content["items"]
        for item in items:
            _refuse(centre, projection.store, state_row(item))
        named = f"S{len(centre.journal.entries) + 1}"
        body = {
            "proposal": proposal.digest,
            "proposed": proposal.content,
            "items": [{"change": f"{named}-{number}", **item} for number, item in enumerate(items, 1)],
            "signatures": signatures,
        }
        entry = post(centre, projection, KIND, body, [], window, at)
        drop(directory, proposal)
    return StateChange(proposal.name, entry.sequence, [_shown(each) for each in items])


def _refuse(centre: Centre, store: Store, change: StateRow) -> None:
    rows = [each.row for each in states_of(store, change.card_id)]
    refuse_change(rows, centre.registers, change)


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "since": date_of(item["since"]).isoformat()}
