"""What an audit looks at in adjustment and dispute entries: signatures, what was proposed, what was posted."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Final

from clearing.archive import file_sha256
from clearing.centre import Centre
from clearing.config import Settings, parse_settings
from clearing.corrections.persons import check_pair
from clearing.corrections.templates import Legs, nonzero
from clearing.errors import ClearingError
from clearing.ledger.journal import Entry
from clearing.people import Signature, digest_of

Report = Callable[[str, str], None]

_ASKED: Final = {
    "adjustment": (
        *("reason", "template", "txn_id", "card_id", "linked_txn_id", "undoes"),
        *("fen", "merchant", "payer", "payee", "source"),
    ),
    "dispute": ("reason", "actor", "action", "code"),
}
"""What of a posted correction must be as it was proposed."""


def check_corrections(centre: Centre, report: Report) -> None:
    """Report every correction that two persons did not sign as it stands, or whose legs are not its postings."""
    seen: set[str] = set()
    for kind in ("adjustment", "dispute"):
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


def _check_signatures(centre: Centre, entry: Entry) -> None:
    body = entry.body
    signatures = [Signature.from_json(each) for each in body["signatures"]]
    if digest_of(body["proposed"]) != body["proposal"] or len(signatures) != 2:
        raise ClearingError("the proposal is not the one its two persons signed")
    check_pair(_settings_then(centre, entry), signatures, body["proposed"], entry.at)
    asked, made = body["proposed"]["items"], body["items"]
    same = _ASKED[entry.kind]
    if len(asked) != len(made) or any(
        one[name] != other[name] for one, other in zip(asked, made, strict=True) for name in same
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
        for _, _, kind, participant, source, fen in item["legs"]:
            legs[kind, participant, source] += fen
    if nonzero(legs) != nonzero(posted):
        report("the legs of its corrections are not its postings")
