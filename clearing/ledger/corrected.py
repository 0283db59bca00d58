"""What the entry of an adjustment, a dispute or a card's state says in the projection's tables."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from clearing.calendar import date_of
from clearing.ledger.journal import Entry
from clearing.ledger.payments import event_rows


def correction_rows(entry: Entry) -> dict[str, list[dict[str, Any]]]:
    """Rows by table: the corrections of one entry and their legs."""
    body = entry.body
    proposer, approver = (each["person"] for each in body["signatures"])
    common = {
        "entry": entry.sequence,
        "window": date_of(body["window"]),
        "proposer": proposer,
        "approver": approver,
    }
    items = body["items"]
    if entry.kind == "adjustment":
        named = [
            {**common, **_without_legs(item), "card_id": _card(item["card_id"]), "sheet": body.get("sheet")}
            for item in items
        ]
        legs = _legs(entry, "adjustment")
        return {"adjustments": named, "correction_legs": legs, "payment_events": event_rows(entry)}
    if entry.kind == "card_state":
        return {"card_states": [{**common, **_state(item)} for item in items]}
    moves = [{**common, **_without_legs(item), "deadline": _date(item["deadline"])} for item in items]
    return {"disputes": moves, "correction_legs": _legs(entry, "dispute")}


def _state(item: dict[str, Any]) -> dict[str, Any]:
    cards = {name: _card(item[name]) for name in ("card_id", "replaced_by")}
    return {**item, **cards, "since": _date(item["since"])}


def _without_legs(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "legs"}


def _card(text: str | None) -> np.uint64 | None:
    """A card id as its own type: half of them do not fit a signed integer."""
    return None if text is None else np.uint64(int(text, 16))


def _date(day: int | None) -> datetime.date | None:
    return None if day is None else date_of(day)


def _legs(entry: Entry, named: str) -> list[dict[str, Any]]:
    return [
        {
            "entry": entry.sequence,
            "correction": item[named],
            "txn_id": txn_id,
            "card_id": _card(card),
            "kind": kind,
            "participant": participant,
            "source": source,
            "fen": fen,
        }
        for item in entry.body["items"]
        for txn_id, card, kind, participant, source, fen in item["legs"]
    ]
