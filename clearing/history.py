"""Card state and the standing transactions of earlier runs (DESIGN §8, "per card and counter kind").

A verified row strictly above its card's last counter and last time is new; anything else looks into the standing
transactions of its card. Both are caches of the segments, private to ``work/``: losing them costs a rebuild, never a
decision. Cost per run is that of the rows that look back, not of the history.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import LOAD_TYPES, NULL, Columns
from clearing import grouping, kernels
from clearing.cache_files import STAGED, KeyRange, KeyRangeFiles, mapped, packed, places_of, save, taken, wanted
from clearing.durable import WriteBehind
from clearing.identity import NO_KEY
from clearing.key_index import ascending
from clearing.records import Rows
from clearing.replay import COMPETITOR_COLUMNS, Competitors, join
from clearing.status import ClearingStatus

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_STATE_COLUMNS: Final = ("card_id", "debit_counter", "load_counter", "last_time")
_STATES: Final = "states"
_SORTED_CARDS: Final = "sorted_card_id"
_ORDER: Final = "order"
_PACKED: Final = tuple(name for name in COMPETITOR_COLUMNS if name != "card_id")


@dataclass(frozen=True, slots=True)
class CardStates:
    """Last verified counters and time per card, sorted by card; −1 and NULL = never seen."""

    card_id: Keys
    debit_counter: Ints
    load_counter: Ints
    last_time: Ints

    @classmethod
    def empty(cls) -> CardStates:
        """No card seen yet."""
        none = np.empty(0, np.int64)
        return cls(np.empty(0, np.uint64), none, none, none)

    def surely_new(self, rows: Competitors, load: npt.NDArray[np.bool_], order: Ints) -> npt.NDArray[np.bool_]:
        """bool[n]: strictly above the card's last counter of its kind and its last time, and without service key.

        Args:
            rows: n rows.
            load: bool[n], whether a row moved the online counter.
            order: int64[n], positions that sort the rows by card.
        """
        plain = (rows.service_key == NO_KEY) & (rows.card_counter != NULL) & (rows.multiplicity == 1)
        if not len(self.card_id):
            return np.asarray(plain)
        above = np.empty(len(rows), bool)
        kernels.rise_above(*_read_only(*_moves(rows, load, order), *self.columns()), above)
        return np.asarray(plain & above)

    @classmethod
    def of(cls, rows: Competitors, load: npt.NDArray[np.bool_], order: Ints) -> CardStates:
        """The states of the cards of standing rows: maxima per card.

        Args:
            rows: n rows.
            load: bool[n], whether a row moved the online counter.
            order: positions of the rows that stand, sorted by card.
        """
        found = cls._room(len(order))
        return found._first(kernels.last_states(*_read_only(*_moves(rows, load, order)), *found.columns()))

    def advanced(self, fresh: CardStates) -> CardStates:
        """State after the cards of ``fresh`` moved on: maxima, and the cards not seen before."""
        if not len(self.card_id) or not len(fresh.card_id):
            return self if len(self.card_id) else fresh
        merged = self._room(len(self.card_id) + len(fresh.card_id))
        both = _read_only(*self.columns(), *fresh.columns())
        return merged._first(kernels.merge_states(*both, *merged.columns()))

    def columns(self) -> tuple[Keys, Ints, Ints, Ints]:
        """Cards, debit counters, load counters and times."""
        return self.card_id, self.debit_counter, self.load_counter, self.last_time

    @classmethod
    def _room(cls, cards: int) -> CardStates:
        """Columns for so many cards, contents undefined."""
        debit, load, time = np.empty((3, cards), np.int64)
        return cls(np.empty(cards, np.uint64), debit, load, time)

    def _first(self, count: int) -> CardStates:
        return CardStates(
            self.card_id[:count], self.debit_counter[:count], self.load_counter[:count], self.last_time[:count]
        )


def _moves(rows: Competitors, load: npt.NDArray[np.bool_], order: Ints) -> tuple[npt.NDArray[Any], ...]:
    """What moves the states of cards, as kernels read it."""
    return order, rows.card_id, load, rows.card_counter, rows.txn_time


def _read_only(*arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [kernels.read_only(array) for array in arrays]


def competitors_of(rows: Rows) -> Competitors:
    """The replay columns of resolved rows."""
    columns = {**rows.columns, "content": rows["content_lo"], "stood": np.zeros(len(rows), np.int16)}
    return Competitors(*(columns[name] for name in COMPETITOR_COLUMNS))


def by_card(rows: Competitors) -> Ints:
    """int64[n]: positions that sort the rows by card."""
    return ascending(rows.card_id)


def stands(stood: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """bool[n]: by what competition made of a row, it stands or is in conflict: it meets whatever comes."""
    return grouping.among(stood, (0, ClearingStatus.CONFLICT))


def is_load(rows: Rows) -> npt.NDArray[np.bool_]:
    """bool[n]: the row moved the online counter."""
    return grouping.among(rows["txn_type"], LOAD_TYPES)


class History:
    """The caches of one centre: card states, and per batch and partition the standing transactions."""

    def __init__(self, folder: Path, last_batch: int, disk: WriteBehind) -> None:
        """Open the caches if they are those of journal entry ``last_batch``; ``stale`` tells otherwise."""
        self.folder, self._behind = folder, disk.few()
        for path in folder.glob(f"*{STAGED}"):
            # Of a batch that did not commit.
            path.unlink()
        mark = folder / "batch"
        self.stale = not (mark.exists() and mark.read_text() == _mark(last_batch)) and last_batch > 0
        self._ends: dict[Path, tuple[np.uint64, np.uint64]] = {}
        self._states = KeyRangeFiles(folder, _STATES, "card_id")

    def clear(self) -> None:
        """Forget everything: the start of a rebuild."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.stale, self._ends = False, {}

    def states(self, key_range: KeyRange) -> CardStates:
        """The states of some cards; from any thread."""
        columns = self._states.read(key_range)
        return CardStates.empty() if columns is None else CardStates(*(columns[name] for name in _STATE_COLUMNS))

    def standing(self, cards: Keys) -> Competitors | None:
        """Standing transactions of the given cards (sorted, unique) from all earlier batches; None if there are none.

        Where a later batch decided a transaction again, its newest record counts.
        """
        found = []
        for path in sorted(self.folder.glob("standing-*.arrow")) if len(cards) else ():
            # A run asks for each partition, and few files of earlier batches hold cards of it.
            lowest, highest = self._ends.get(path, (cards[0], cards[-1]))
            if highest < cards[0] or cards[-1] < lowest:
                continue
            table = mapped(path)
            ids = table.column(_SORTED_CARDS).to_numpy()
            if not len(ids):
                continue
            self._ends[path] = ids[0], ids[-1]
            places = places_of(ids, cards)
            if len(places):
                table = wanted(path, table, places)
                columns = taken(table, _PACKED, table.column(_ORDER).to_numpy()[places])
                columns["card_id"] = ids[places]
                found.append(Competitors(*(columns[name] for name in COMPETITOR_COLUMNS)))
        if not found:
            return None
        known = join(found)
        newest = len(known) - 1 - np.unique(known.txn_id[::-1], return_index=True)[1]
        return known.take(newest[stands(known.stood[newest])])

    def stage(self, name: str, rows: Competitors, order: Ints) -> None:
        """Begin to write what became of the rows of a partition for :meth:`take_over`.

        They lie as they came, beside the positions that sort them by card (``order``): a look-up gathers few rows,
        sorting every column here would gather all. They are packed: fewer bytes are written, and read whole.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        columns: Columns = {column: getattr(rows, column) for column in _PACKED}
        looked_up: Columns = {_SORTED_CARDS: rows.card_id[order], _ORDER: order.astype(np.int32)}
        self._behind.begin(save, self.folder / f"{name}{STAGED}", *packed(looked_up, columns))

    def stage_states(self, key_range: KeyRange, states: CardStates) -> None:
        """Begin to write the states of some cards after the batch for :meth:`take_over`; from any thread."""
        self._behind.begin(self._states.stage, key_range, {name: getattr(states, name) for name in _STATE_COLUMNS})

    def take_over(self, last_batch: int) -> None:
        """What was staged is true after this committed batch; the mark is written last."""
        self._behind.wait()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._states.take_over()
        for path in self.folder.glob(f"*{STAGED}"):
            path.replace(self.folder / f"standing-{last_batch:08d}-{path.name.removesuffix(STAGED)}.arrow")
        (self.folder / "batch").write_text(_mark(last_batch))
        self.stale = False


def _mark(last_batch: int) -> str:
    """Of which batch the caches are, and in which form: those of an engine with another form are made again."""
    return f"{last_batch} by key range"
