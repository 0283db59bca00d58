"""What an audit looks at in entries of corrections: signatures, what was proposed and posted, states in order."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Final

from clearing.archive import file_sha256
from clearing.card_accounts.states import StateRow, refuse_first, refuse_later, state_row
from clearing.centre import Centre
from clearing.config import Settings, parse_settings
from clearing.corrections.opening import TEMPLATE, opening_fen
from clearing.corrections.persons import check_pair
from clearing.corrections.proposals import CORRECTION_KINDS
from clearing.corrections.templates import Legs, nonzero
from clearing.errors import ClearingError, RefusedError
from clearing.ledger.journal import Entry
from clearing.people import Signature, digest_of

Report = Callable[[str, str], None]

_ASKED: Final = {
    "adjustment": (
        *("reason", "template", "txn_id", "card_id", "linked_txn_id", "undoes"),
        *("fen", "merchant", "payer", "payee", "source", "bank_line", "linked_line", "payment"),
    ),
    "dispute": ("reason", "actor", "action", "code"),
    "card_state": ("reason", "card_id", "state", "since", "replaced_by"),
}
"""What of a posted correction must be as it was proposed."""


def check_corrections(centre: Centre, report: Report) -> None:
    """Report every correction that two persons did not sign as it stands, or whose legs are not its postings."""
    seen: set[str] = set()
    for kind in CORRECTION_KINDS:
        for entry in centre.journal.of_kind(kind):
            where = f"journal/{entry.sequence:08d}.json"
            if entry.body["proposal"] in seen:
                report(where, "its proposal was posted before: one decision, money twice")
            seen.add(entry.body["proposal"])
            try:
                _check_signatures(centre, entry)
            except ClearingError as exc:
                report(where, exc.what)
            _check_legs(entry, functools.partial(report, where))
            _check_opening(centre, entry, functools.partial(report, where))
    _check_states(centre, report)


def _check_opening(centre: Centre, entry: Entry, report: Callable[[str], None]) -> None:
    """Opening stored value is what the archived file of every card sums to."""
    items = [item for item in entry.body["items"] if item.get("template") == TEMPLATE]
    path = centre.archive.folder / "config" / str(entry.body.get("sheet"))
    if items and (not path.exists() or opening_fen(path) != sum(item["fen"] for item in items)):
        report("the opening stored value is not what its archived file sums to")


def _check_states(centre: Centre, report: Report) -> None:
    """Every card went from state to state as cards may."""
    newest: dict[int, StateRow] = {}
    for entry in centre.journal.of_kind("card_state"):
        for item in entry.body["items"]:
            change = state_row(item)
            before = newest.get(change.card_id)
            try:
                if before is None:
                    refuse_first(change)
                else:
                    refuse_later(before, change)
            except RefusedError as exc:
                report(f"journal/{entry.sequence:08d}.json", f"state of card {item['card_id']}: {exc.what}")
            newest[change.card_id] = change


def _check_signatures(centre: Centre, entry: Entry) -> None:
    body = entry.body
    signatures = [Signature.from_json(each) for each in body["signatures"]]
    if digest_of(body["proposed"]) != body["proposal"] or len(signatures) != 2:
        raise ClearingError("the proposal is not the one its two persons signed")
    check_pair(_settings_then(centre, entry), signatures, body["proposed"], entry.at)
    asked, made = body["proposed"]["items"], body["items"]
    same = _ASKED[entry.kind]
    if len(asked) != len(made) or any(
        one.get(name) != other.get(name) for one, other in zip(asked, made, strict=True) for name in same
    ):
        raise ClearingError("what was posted is not what was proposed")


def _settings_then(centre: Centre, entry: Entry) -> Settings:
    """The settings, and so the people, as they were archived with the entry."""
    digest = entry.body["configuration"]["centre.yaml"]
    path = centre.archive.folder / "config" / digest
    if not path.exists() or file_sha256(path) != digest:
        raise ClearingError("the archived centre.yaml is missing or changed")
    return parse_settings(path.read_text("utf-8"), path)


def _check_legs(entry: Entry, report: Callable[[str], None]) -> None:
    posted: Legs = Counter()
    for _, kind, participant, source, fen in entry.body["postings"]:
        posted[kind, participant, source] += fen
    legs: Legs = Counter()
    for item in entry.body["items"]:
        for _, _, kind, participant, source, fen in item.get("legs", ()):
            legs[kind, participant, source] += fen
    if nonzero(legs) != nonzero(posted):
        report("the legs of its corrections are not its postings")
