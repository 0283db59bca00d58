"""Journeys of tariffs that remember: which count, in which order, and what later receipts change (rules §6).

Pure: journeys and the owners' memory in, prices and memory out. A journey's price depends on the journeys of its
owner before it, so an owner whose journeys all come after what is remembered goes on from there; any other owner is
priced anew from its first journey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Columns, Service
from clearing.checks import AMOUNT_MAX
from clearing.config import Settings
from clearing.decide import dispositions
from clearing.pricing import (
    MEMORY_JOURNEY_COLUMNS,
    Memory,
    Ordered,
    PriceBook,
    StepTaken,
    counting,
    price_in_order,
    trace_last,
)
from clearing.records import Rows
from clearing.registers import Registers
from clearing.status import ClearingStatus, Disposition

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ORDER: Final = ("content_lo", "amount", "card_id", "terminal_counter", "terminal_id", "card_counter")
"""What orders journeys of one owner at one time, the last first; missing values are lowest."""

JOURNEY_COLUMNS: Final = tuple(
    dict.fromkeys((*MEMORY_JOURNEY_COLUMNS, *_ORDER, "txn_id", "received_window", "owner"))
)


@dataclass(frozen=True, slots=True)
class Journeys:
    """Journeys of one or several tariffs as columns of one length: :data:`JOURNEY_COLUMNS`, perhaps more."""

    columns: Columns

    def __len__(self) -> int:
        return len(self.columns["owner"])

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    def take(self, rows: Ints | Mask | slice) -> Journeys:
        """The journeys at the given positions."""
        if isinstance(rows, slice):
            return Journeys({name: column[rows] for name, column in self.columns.items()})
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Journeys({name: column.take(at) for name, column in self.columns.items()})

    @classmethod
    def joined(cls, parts: list[Journeys]) -> Journeys:
        """The journeys of all parts (at least one, with the same columns) in order."""
        if len(parts) == 1:
            return parts[0]
        return cls({name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns})

    def narrow(self) -> Journeys:
        """With :data:`JOURNEY_COLUMNS` only."""
        return Journeys({name: self.columns[name] for name in JOURNEY_COLUMNS})

    @property
    def owner(self) -> Ints:
        """int64[n]: the owners as tariffs number them."""
        return np.asarray(self.columns["owner"]).view(np.int64)


def countable(rows: Rows, book: PriceBook, registers: Registers, settings: Settings) -> tuple[Journeys, Ints] | None:
    """The rows of tariffs that remember whose disposition is accepted if they stand, and where they are.

    Args:
        rows: laddered rows of one block.
        book: the centre's tariffs.
        registers: the owners.
        settings: dispositions.
    """
    if rows.service is not Service.TRANSIT or not book.remembering:
        return None
    at = np.flatnonzero(np.isin(rows["tariff"], book.remembering))
    status = np.zeros(len(at), np.int16)
    for rung in ("status_early", "status_card", "status_limits"):
        status = np.where(status == 0, rows[rung][at], status)
    status[status == 0] = ClearingStatus.ACCEPTED
    at = at[dispositions(rows.service, status, settings) == Disposition.ACCEPTED]
    if not len(at):
        return None
    return journeys_of(rows, at, registers), at


def journeys_of(rows: Rows, at: Ints, registers: Registers) -> Journeys:
    """The journeys at some positions of resolved and priced rows."""
    columns = {name: rows[name].take(at) for name in (*JOURNEY_COLUMNS, "tariff") if name != "owner"}
    return Journeys({**columns, "owner": registers.owner_of(columns["card_id"], rows["operating_day"][at])})


@dataclass(frozen=True, slots=True)
class Priced:
    """txn_id and price columns of journeys that the tariff covers."""

    txn_id: Ints
    prices: Columns


@dataclass(frozen=True, slots=True)
class Change:
    """Prices that receipts of a window give to journeys decided before; ``own``: of the same received window."""

    window: int
    own: Mask
    priced: Priced


@dataclass
class Outcome:
    """What a batch makes of some owners' journeys: first prices, changes in the order of windows, memory after."""

    first: list[Priced] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    memory: Memory = field(default_factory=lambda: Memory.zeros(0))


@dataclass(frozen=True)
class Known:
    """What is known of a tariff's owners before a batch, and what competition changed of it.

    ``memory``: as of the last batch. ``earlier``: counting journeys of given owners (sorted, unique). ``gone``:
    txn_id of those that no longer count; ``came``: journeys decided before that count only now.
    """

    memory: Memory
    earlier: Callable[[Ints], Journeys | None]
    gone: Ints
    came: Journeys | None
    touched: Ints
    """Owners of ``gone`` and ``came``, sorted and unique."""


def price_owners(
    book: PriceBook, tariff_id: str, fresh: Journeys | None, known: Known, windows: list[int]
) -> Outcome:
    """Price the counting journeys of some owners, received window by received window.

    Args:
        book: the centre's tariffs.
        tariff_id: a tariff that remembers.
        fresh: the journeys of the batch, None for none.
        known: what earlier batches left.
        windows: received windows of the batch, ascending.
    """
    outcome = Outcome()
    arrived = [part for part in (fresh, known.came) if part is not None]
    queue = _Queue.of(book, tariff_id, Journeys.joined(arrived)) if arrived else None
    replayed = known.touched
    if queue is not None:
        if len(queue.uncounted):
            outcome.first.append(alone(book, tariff_id, queue.uncounted))
        replayed = np.union1d(replayed, queue.owners_to_replay(known.memory))
    _, memory = _split(known.memory, replayed)
    again = None
    if queue is not None:
        replays = np.isin(queue.journeys.owner, replayed)
        again = queue.take(replays).journeys
        straight = queue.take(~replays)
        if len(straight.journeys):
            before, memory = _split(memory, np.unique(straight.journeys.owner))
            covered, prices, after = _price(book, tariff_id, straight, before)
            outcome.first.append(Priced(covered["txn_id"], prices))
            memory = _merged(memory, after)
    if len(replayed):
        replay = _Replay(book, tariff_id, known, replayed, again)
        memory = _merged(memory, replay.run(windows, outcome))
    outcome.memory = memory
    return outcome


@dataclass(frozen=True)
class _Queue:
    """Counting journeys in the order in which they count, owner by owner, and those that do not count."""

    journeys: Journeys
    counted_at: Ints
    time: Ints
    uncounted: Journeys

    @classmethod
    def of(cls, book: PriceBook, tariff_id: str, journeys: Journeys) -> _Queue:
        counts, counted_at = counting(book, tariff_id, journeys.columns, journeys["received_window"])
        time = np.where(journeys["entry_time"] == NULL, journeys["txn_time"], journeys["entry_time"])
        time = np.where(counted_at == NULL, time, counted_at)
        order = _in_order(journeys, time)
        order = order[counts[order]]
        return cls(journeys.take(order), counted_at[order], time[order], journeys.take(np.flatnonzero(~counts)))

    def take(self, rows: Mask) -> _Queue:
        return _Queue(self.journeys.take(rows), self.counted_at[rows], self.time[rows], self.uncounted)

    def ordered(self) -> Ordered:
        """As tariffs take them."""
        return Ordered(self.journeys.columns, self.journeys.owner, np.arange(len(self.journeys)), self.counted_at)

    def owners_to_replay(self, memory: Memory) -> Ints:
        """Owners with a journey not after all they remember, or not received in the order in which they count."""
        owner, window = self.journeys.owner, self.journeys["received_window"]
        late = np.zeros(len(owner), np.bool_)
        late[1:] = (owner[1:] == owner[:-1]) & (window[1:] < window[:-1])
        clock = memory.take(memory.accumulator == 0)
        if len(clock) and len(owner):
            at = np.minimum(np.searchsorted(clock.card, owner), len(clock) - 1)
            late |= (clock.card[at] == owner) & (self.time <= clock.since[at])
        return np.unique(owner[late])


def _in_order(journeys: Journeys, time: Ints) -> Ints:
    """int64[n]: owner by owner, by time; :data:`_ORDER` is asked only of those that share both with another."""
    order = np.lexsort((time, journeys.owner))
    same = (np.diff(journeys.owner[order]) == 0) & (np.diff(time[order]) == 0)
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        rows = order[tied]
        keys = (*(journeys[name][rows] for name in _ORDER), time[rows], journeys.owner[rows])
        order[tied] = rows[np.lexsort(keys)]
    return order


def _price(book: PriceBook, tariff_id: str, queue: _Queue, memory: Memory | None) -> tuple[Journeys, Columns, Memory]:
    """The journeys that the tariff covers, their prices, and the memory after them."""
    journeys = queue.journeys
    prices, covered, after = price_in_order(book, tariff_id, queue.ordered(), memory)
    if covered.all():
        return journeys, prices, after
    kept = np.flatnonzero(covered)
    return journeys.take(kept), {name: column[kept] for name, column in prices.items()}, after


def alone(book: PriceBook, tariff_id: str, journeys: Journeys) -> Priced:
    """Each journey priced as the first one of a card."""
    prices, covered, _ = price_in_order(book, tariff_id, Ordered.alone(journeys.columns), None)
    kept = np.flatnonzero(covered)
    return Priced(journeys["txn_id"][kept], {name: column[kept] for name, column in prices.items()})


@dataclass(frozen=True, slots=True)
class Told:
    """One journey among those of its owner: its price, and the memory before and after it."""

    prices: Columns
    card_pays: int
    """What the tariff asks of the card, fen."""
    counts: bool
    journeys_before: int
    before: Memory
    after: Memory
    steps: tuple[StepTaken, ...]


def told(book: PriceBook, tariff_id: str, journeys: Journeys, txn_id: int) -> Told:
    """How the price of one of an owner's journeys comes about; the tariff covers it."""
    queue = _Queue.of(book, tariff_id, journeys)
    place = np.flatnonzero(queue.journeys["txn_id"] == txn_id)
    nothing = Memory.zeros(0)
    if not len(place):
        own = journeys.take(journeys["txn_id"] == txn_id)
        asked = alone(book, tariff_id, _charged_too_much(own)).prices["card_paid"]
        prices = alone(book, tariff_id, own).prices
        steps = trace_last(book, tariff_id, int(prices["segment"][0]), Ordered.alone(own.columns))
        return Told(prices, int(asked[0]), False, 0, nothing, nothing, steps)
    at = np.arange(len(queue.journeys))
    _, _, before = _price(book, tariff_id, queue.take(at < place[0]), nothing)
    here = queue.take(at == place[0])
    _, prices, after = _price(book, tariff_id, here, before)
    _, ceiling, _ = _price(book, tariff_id, replace(here, journeys=_charged_too_much(here.journeys)), before)
    so_far = queue.take(at <= place[0]).ordered()
    steps = trace_last(book, tariff_id, int(prices["segment"][0]), so_far)
    return Told(prices, int(ceiling["card_paid"][0]), True, int(place[0]), before, after, steps)


def _charged_too_much(journeys: Journeys) -> Journeys:
    """Charged more than any fare, a card pays all that the tariff asks."""
    return Journeys({**journeys.columns, "amount": np.full(len(journeys), AMOUNT_MAX, np.int64)})


def _split(memory: Memory, owners: Ints) -> tuple[Memory, Memory]:
    """The memory of the given owners (ascending), and that of all others."""
    if not len(owners) or not len(memory):
        return memory.take(slice(0, 0)), memory
    at = np.minimum(np.searchsorted(owners, memory.card), len(owners) - 1)
    theirs = owners[at] == memory.card
    return memory.take(theirs), memory.take(~theirs)


def _merged(memory: Memory, other: Memory) -> Memory:
    """The memory of owners that are in one of both."""
    if not len(memory) or not len(other):
        return memory if len(memory) else other
    both = type(memory).concatenate([memory, other])
    # Two ascending runs without an owner in common: a stable sort merges them.
    return both.take(np.argsort(both.card, kind="stable"))


class _Replay:
    """Owners priced anew from their first journey, once per received window of the batch."""

    def __init__(self, book: PriceBook, tariff_id: str, known: Known, owners: Ints, arrived: Journeys | None) -> None:
        """Of ``owners`` (sorted, unique) with the counting journeys that came with the batch."""
        self._book, self._tariff_id = book, tariff_id
        earlier = known.earlier(owners)
        parts = [part for part in (earlier, arrived) if part is not None]
        self._all = Journeys.joined([part.narrow() for part in parts]) if parts else None
        self._decided = 0 if earlier is None else len(earlier)
        self._gone = known.gone

    def run(self, windows: list[int], outcome: Outcome) -> Memory:
        """First prices and changes into ``outcome``; returns the memory after all windows."""
        memory = Memory.zeros(0)
        if self._all is None:
            return memory
        prices = _Prices(len(self._all))
        decided = np.arange(len(self._all)) < self._decided
        prices.put(*self._priced(self._all, np.flatnonzero(decided))[:2])
        stays = ~np.isin(self._all["txn_id"], self._gone)
        for window in windows:
            rows = np.flatnonzero(stays & (decided | (self._all["received_window"] <= window)))
            at, columns, memory = self._priced(self._all, rows)
            known = prices.known[at]
            moved = known & prices.differ(at, columns)
            outcome.first.append(_chosen(self._all, at, columns, ~known))
            own = self._all["received_window"][at[moved]] >= window
            outcome.changes.append(Change(window, own, _chosen(self._all, at, columns, moved)))
            prices.put(at, columns)
        return memory

    def _priced(self, everything: Journeys, rows: Ints) -> tuple[Ints, Columns, Memory]:
        """(where, prices) of the covered journeys among those at ``rows``, and the memory after them."""
        chosen = Journeys({**everything.take(rows).columns, "place": rows})
        queue = _Queue.of(self._book, self._tariff_id, chosen)
        covered, prices, memory = _price(self._book, self._tariff_id, queue, None)
        return covered["place"], prices, memory


def _chosen(journeys: Journeys, at: Ints, prices: Columns, mask: Mask) -> Priced:
    return Priced(journeys["txn_id"][at[mask]], {name: column[mask] for name, column in prices.items()})


class _Prices:
    """The newest price of each of n journeys."""

    def __init__(self, n: int) -> None:
        self.known = np.zeros(n, np.bool_)
        self._columns: Columns = {}

    def put(self, at: Ints, prices: Columns) -> None:
        for name, column in prices.items():
            self._columns.setdefault(name, np.zeros(len(self.known), column.dtype))[at] = column
        self.known[at] = True

    def differ(self, at: Ints, prices: Columns) -> Mask:
        changed = np.zeros(len(at), np.bool_)
        for name, column in prices.items():
            if name in self._columns:
                changed |= self._columns[name][at] != column
        return changed


def by_tariff(journeys: Journeys) -> Iterator[tuple[int, Journeys]]:
    """(tariff number, its journeys), numbers ascending."""
    for number in np.unique(journeys["tariff"]):
        yield int(number), journeys.take(np.flatnonzero(journeys["tariff"] == number))
