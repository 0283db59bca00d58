"""The shadow balance of a purse: what its records add up to, beside what the card itself says (rules §16).

Pure: movements in, account out. Only records that the card proved, or that were accepted, move the shadow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Movement:
    """One record of a purse: fen, counters as delivered (None = missing), time in wall seconds."""

    txn_id: int
    time: int | None
    loads: bool
    counter: int | None
    amount: int
    before: int | None
    after: int | None
    overdraft_limit: int = 0

    @property
    def signed(self) -> int:
        """Fen that the record put on the purse."""
        return self.amount if self.loads else -self.amount


@dataclass(frozen=True, slots=True)
class Gap:
    """Counters between two known records that nobody delivered: ``first`` to ``last``, both missing."""

    loads: bool
    first: int
    last: int

    @property
    def missing(self) -> int:
        """How many records are missing."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Impossible:
    """A balance that cannot be: below what overdraft allows, or not before ± amount."""

    txn_id: int
    reason: str
    fen: int


@dataclass(frozen=True, slots=True)
class PurseAccount:
    """What the records of one purse say together.

    ``opening`` is the balance before the first, ``card`` after the last one by the card's own word, ``shadow`` the
    opening with every record added; None where no record tells. ``unseen`` = card − shadow: what moved unseen.
    """

    opening: int | None
    loads: int
    debits: int
    card: int | None
    shadow: int | None
    gaps: tuple[Gap, ...]
    impossible: tuple[Impossible, ...]

    @property
    def unseen(self) -> int | None:
        """Fen by which the card's own balance differs from the shadow."""
        return None if self.card is None or self.shadow is None else self.card - self.shadow


def account_of(movements: list[Movement]) -> PurseAccount:
    """The account of one purse's movements, oldest first."""
    told = [each for each in movements if each.before is not None]
    loads = sum(each.amount for each in movements if each.loads)
    debits = sum(each.amount for each in movements if not each.loads)
    opening = shadow = card = None
    if told:
        first = movements.index(told[0])
        opening = (told[0].before or 0) - sum(each.signed for each in movements[:first])
        shadow = opening + loads - debits
        after = [each for each in movements if each.after is not None]
        card = after[-1].after if after else None
    return PurseAccount(
        opening, loads, debits, card, shadow, tuple(gaps_of(movements)), tuple(_impossible(movements))
    )


def gaps_of(movements: Iterable[Movement]) -> list[Gap]:
    """Missing counters by kind; loads and debits count apart."""
    found = []
    listed = list(movements)
    for loads in (False, True):
        counters = sorted({each.counter for each in listed if each.loads is loads and each.counter is not None})
        found += [
            Gap(loads, before + 1, after - 1) for before, after in itertools.pairwise(counters) if after - before > 1
        ]
    return found


def _impossible(movements: list[Movement]) -> list[Impossible]:
    found = []
    for each in movements:
        if each.after is not None and each.after < -each.overdraft_limit:
            found.append(Impossible(each.txn_id, "below_overdraft_limit", each.after))
        if each.before is not None and each.after is not None and each.before + each.signed != each.after:
            found.append(Impossible(each.txn_id, "balance_break", each.after - each.before - each.signed))
    return found
