"""The residents' cards: who they are and what their purses hold, kept between simulated days.

One population belongs to one district, so that a large city is simulated district by district in bounded memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from clearing.simulate.city import KEYED, OWN, UNKEYED
from clearing.simulate.table import Ints, Table, concatenate, length

NEVER: Final = 2**63 - 1

_ISSUER_SHARES: Final = ((OWN, 0.92), (KEYED, 0.05), (UNKEYED, 0.03))
_CLASS_SHARES: Final = (0.62, 0.11, 0.13, 0.02, 0.02, 0.02, 0.03, 0.02, 0.03)
"""Share of each fare class, by its code (adult, student, elderly, disabled, veteran, staff, half, free, none)."""

_PREFIXES: Final = (310477, 215000, 584000)
_SHORT_SHARE: Final = 0.1
_SERIAL_STEP: Final = 7919
"""Coprime to 10, so that serial · step mod 10^k visits every number once."""

_ACTIVE_CARDS_PER_ROW: Final = 0.4
_NEW_SHARE: Final = 0.02
_DISTRICT_CARDS: Final = 10_000_000


@dataclass
class Population:
    """Cards of one district, one entry per card.

    uint8 columns: ``digits``, ``issuer`` (position in City.issuers), ``card_class``, ``key_version``,
    ``key_index``, ``insured``; uint64: ``number``; all others int64: ``balance`` (fen), ``debits`` and ``loads``
    (counters before the next transaction), ``home`` and ``work`` (random numbers that choose stations),
    ``first_day`` and ``valid_from`` (days), ``published_at`` and ``removed_at`` of a blacklist entry
    (:data:`NEVER` = none), ``latest`` (time in any record), ``deductible_used`` and ``fund_used`` (fen) in
    ``medical_year``.
    """

    cards: Table

    def __len__(self) -> int:
        return length(self.cards)

    def usable(self, day: int) -> Ints:
        """Cards that residents use on ``day``: those that are not blacklisted."""
        listed = (self.cards["published_at"] != NEVER) & (self.cards["removed_at"] == NEVER)
        return np.flatnonzero(~listed & (self.cards["valid_from"] <= day))

    def save(self, path: Path) -> None:
        """Write the cards, one array per column."""
        np.savez(path, **self.cards)  # type: ignore[arg-type]


def read_population(path: Path) -> Population:
    """The population that :meth:`Population.save` wrote."""
    with np.load(path) as saved:
        return Population({name: saved[name] for name in saved.files})


def grow(population: Population | None, district: int, rows: int, day: int, rng: np.random.Generator) -> Population:
    """The population of a day with ``rows`` transactions: a few new cards daily, more when the city grows."""
    have = 0 if population is None else len(population)
    wanted = max(60, int(rows * _ACTIVE_CARDS_PER_ROW), have + int(have * _NEW_SHARE) + 1)
    issued = _issue(np.arange(have, wanted, dtype=np.uint64), district, day, rng)
    if population is None:
        return Population(issued)
    cards = concatenate([population.cards, issued])
    _use_elsewhere(cards, rng)
    return Population(cards)


def _issue(serial: npt.NDArray[np.uint64], district: int, day: int, rng: np.random.Generator) -> Table:
    count = len(serial)
    issuers, shares = zip(*_ISSUER_SHARES, strict=True)
    issuer = rng.choice(np.array(issuers, np.uint8), count, p=shares)
    short = rng.random(count) < _SHORT_SHARE
    card_class = rng.choice(len(_CLASS_SHARES), count, p=_CLASS_SHARES).astype(np.uint8)
    card_class[issuer != OWN] = 0
    return {
        "number": _numbers(serial + np.uint64(district * _DISTRICT_CARDS), issuer, short),
        "digits": np.where(short, 16, 19).astype(np.uint8),
        "issuer": issuer,
        "card_class": card_class,
        "key_version": rng.integers(1, 3, count).astype(np.uint8),
        "key_index": rng.integers(1, 3, count).astype(np.uint8),
        "insured": np.where(rng.random(count) < 0.6, 1, 2).astype(np.uint8),
        "balance": rng.integers(500, 20_000, count),
        "debits": rng.integers(0, 20_000, count),
        "loads": rng.integers(0, 500, count),
        "home": rng.integers(0, 1 << 30, count),
        "work": rng.integers(0, 1 << 30, count),
        "first_day": np.full(count, day, np.int64),
        "valid_from": np.full(count, day - 400, np.int64),
        "published_at": np.full(count, NEVER, np.int64),
        "removed_at": np.full(count, NEVER, np.int64),
        "latest": np.zeros(count, np.int64),
        "medical_year": np.zeros(count, np.int64),
        "deductible_used": np.zeros(count, np.int64),
        "fund_used": np.zeros(count, np.int64),
    }


def _numbers(
    serial: npt.NDArray[np.uint64], issuer: npt.NDArray[np.uint8], short: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint64]:
    """Card numbers of 16 or 19 digits that look random and are unique over districts and days."""
    span = np.where(short, np.uint64(10**10), np.uint64(10**13))
    prefix = np.array(_PREFIXES, np.uint64)[issuer]
    return prefix * span + (serial * np.uint64(_SERIAL_STEP) + np.uint64(123_457)) % span


def _use_elsewhere(cards: Table, rng: np.random.Generator) -> None:
    """Foreign cards spend and load at home too: we see their counters and balances jump."""
    foreign = np.flatnonzero(cards["issuer"] != OWN)
    cards["balance"][foreign] = rng.integers(20_000, 60_000, len(foreign))
    cards["debits"][foreign] += rng.integers(0, 5, len(foreign))
    cards["loads"][foreign] += rng.integers(0, 2, len(foreign))
