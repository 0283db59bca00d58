"""The dispute of one transaction as a pure state machine; its transitions are data (``dispute_flow.csv``).

Reason and answer codes are those of the T-Union interconnection test instructions (docs/clearing-rules.md §15); the
deadlines are this project's own, none were published.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from clearing.errors import RefusedError

NEW: Final = ""
"""The state before a dispute is opened."""

CLOSED: Final = "CLOSED_"
"""How the names of final states begin."""

SURPLUS: Final = "SURPLUS"
"""Pays what was never paid: out of suspense, or from the card's side where nothing was posted."""

_CONFIRMS: Final = "PROVISIONAL_CONFIRMED"


@dataclass(frozen=True, slots=True)
class Transition:
    """Who may do what in a state, with which codes, where it leads, what it posts, and the days for the next move."""

    state: str
    actor: str
    action: str
    codes: frozenset[str]
    next: str
    posts: str
    days: int | None


def _load() -> tuple[Transition, ...]:
    with files("clearing").joinpath("dispute_flow.csv").open(encoding="utf-8") as file:
        return tuple(
            Transition(
                row["state"],
                row["actor"],
                row["action"],
                frozenset(row["codes"].split()),
                row["next"],
                row["posts"],
                int(row["days"]) if row["days"] else None,
            )
            for row in csv.DictReader(file)
        )


FLOW: Final = _load()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a dispute stands: its state, the fen still in dispute, and the last day for the next move."""

    state: str = NEW
    fen: int = 0
    deadline: int | None = None

    @property
    def closed(self) -> bool:
        """Nothing can follow."""
        return self.state.startswith(CLOSED)


@dataclass(frozen=True, slots=True)
class Move:
    """What somebody does: ``fen`` None = all that is in dispute."""

    actor: str
    action: str
    code: str = ""
    fen: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move leads to: the new standing, and the fen it posts by a template ("" = none)."""

    standing: Standing
    posts: str
    fen: int


def moved(standing: Standing, move: Move, day: int) -> Moved:
    """The dispute after a move on a day.

    Raises:
        RefusedError: an illegal transition, naming what would be legal.
    """
    taken = next((each for each in FLOW if _fits(each, standing.state, move)), None)
    if taken is None:
        raise RefusedError(
            f"{move.actor} {move.action} {move.code} is not possible in {standing.state or 'a new dispute'}",
            remedy="possible: " + ("; ".join(_legal(standing.state)) or "nothing, it is closed"),
        )
    if move.action == "lapse" and (standing.deadline is None or day <= standing.deadline):
        raise RefusedError("the deadline has not passed", remedy="wait for it, or let the party answer")
    if move.action != "lapse" and standing.deadline is not None and day > standing.deadline:
        raise RefusedError("the deadline has passed", remedy="the centre lets it lapse: clearing dispute DIR lapse")
    fen = standing.fen if move.fen is None else move.fen
    in_dispute = fen if standing.state == NEW else standing.fen
    partial = taken.posts == _CONFIRMS and move.action == "adjust" and not taken.next.startswith(CLOSED)
    if fen <= 0 or fen > in_dispute or (fen < in_dispute and not partial):
        raise RefusedError(f"{fen} fen, where {in_dispute} are in dispute", remedy="leave the amount out")
    rest = in_dispute - fen if taken.posts == _CONFIRMS else in_dispute
    if rest == 0 and not taken.next.startswith(CLOSED):
        return Moved(Standing(f"{CLOSED}RETURNED", 0, None), taken.posts, fen)
    deadline = day + taken.days if taken.days is not None else None
    open_fen = 0 if taken.next.startswith(CLOSED) else rest
    return Moved(Standing(taken.next, open_fen, deadline), taken.posts, fen)


def _fits(each: Transition, state: str, move: Move) -> bool:
    if (each.state, each.actor, each.action) != (state, move.actor, move.action):
        return False
    return move.code in each.codes if each.codes else not move.code


def _legal(state: str) -> list[str]:
    return [f"{e.actor} {e.action} {'/'.join(sorted(e.codes))}".strip() for e in FLOW if e.state == state]
