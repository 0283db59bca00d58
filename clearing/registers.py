"""Registers by validity: participants, terminals, senders, cards, blacklist (docs/clearing-rules.md §1).

Each register is looked up column-wise at transaction time. Nothing here decides; the ladder does.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from card_io.keys.errors import SignatureError
from card_io.keys.signature import VerifyKey
from clearing import kernels
from clearing.calendar import day_number
from clearing.config import Settings
from clearing.errors import ConfigError
from clearing.key_index import KeyIndex, slots_of
from clearing.regions import load_regions
from clearing.register_rows import DATE, register_rows

_NO_OWNER: Final = -1
"""What :meth:`Validities.at` says where it finds nothing; no ``owner_id`` has these bits."""

STILL_LISTED: Final = 2**63 - 1
"""``removed_at`` of a blacklist entry that has not been removed."""

Int32s = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Parties:
    """Participants as columns, sorted by number; ``position`` arrays index these columns, −1 = unknown."""

    number: npt.NDArray[np.int64]
    sender: npt.NDArray[np.int64]
    valid_from: Int32s
    valid_to: Int32s
    terminals_registered: Mask

    def position(self, numbers: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        """int64[n] row of each participant number, −1 where there is none."""
        wanted = numbers.astype(np.int64)
        at = np.searchsorted(self.number, wanted)
        at = np.minimum(at, len(self.number) - 1)
        return np.where(self.number[at] == wanted, at, -1)


def parties_of(settings: Settings) -> Parties:
    """The participants of a centre as columns."""
    listed = sorted(settings.participants, key=lambda participant: participant.id)
    own_sender = [p.sender if p.sender is not None else (p.id if p.services else -1) for p in listed]
    return Parties(
        number=np.array([p.id for p in listed], np.int64),
        sender=np.array(own_sender, np.int64),
        valid_from=np.array([day_number(p.valid_from) for p in listed], np.int32),
        valid_to=np.array([day_number(p.valid_to) for p in listed], np.int32),
        terminals_registered=np.array([p.terminals == "registered" for p in listed]),
    )


class Validities:
    """Rows (key, value, valid_from, valid_to) sorted by (key, valid_from); days inclusive, ranges disjoint."""

    def __init__(self, rows: npt.NDArray[np.int64]) -> None:
        """From int64[n, 4]: the key's bits, value, first and last day."""
        self._rows, self._slots = rows, slots_of(np.ascontiguousarray(rows[:, 0].view(np.uint64)))

    def having(self, value: int) -> npt.NDArray[np.uint64]:
        """The keys that ever have a value, ascending."""
        return np.unique(self._rows[self._rows[:, 1] == value, 0].view(np.uint64))

    def at(self, keys: npt.NDArray[np.uint64], days: Int32s) -> npt.NDArray[np.int64]:
        """int64[n] value valid for each key on each day, −1 where none is."""
        found = np.empty(len(keys), np.int64)
        kernels.find_valid(self._rows, self._slots, np.ascontiguousarray(keys), np.ascontiguousarray(days), found)
        return found


class Blacklist:
    """Entries (card, published_at, removed_at) sorted by card; seconds of wall time."""

    def __init__(
        self,
        card_id: npt.NDArray[np.uint64],
        published_at: npt.NDArray[np.int64],
        removed_at: npt.NDArray[np.int64],
    ) -> None:
        """From columns of one length."""
        self._index = KeyIndex(card_id)
        self._card_id, self._published_at, self._removed_at = card_id, published_at, removed_at

    def listed(self, at: int) -> npt.NDArray[np.uint64]:
        """uint64[m] cards on the list at a moment, each once, sorted."""
        return np.unique(self._card_id[(self._published_at <= at) & (at < self._removed_at)])

    def entries_of(self, card_id: int) -> list[tuple[int, int]]:
        """(published_at, removed_at) of every entry of a card, oldest first."""
        at = np.flatnonzero(self._card_id == np.uint64(card_id))
        return [(int(self._published_at[row]), int(self._removed_at[row])) for row in at]

    def every_entry(self) -> Iterator[tuple[int, int, int]]:
        """(card, published_at, removed_at) of every entry, by card."""
        columns = (self._card_id, self._published_at, self._removed_at)
        yield from zip(*(column.tolist() for column in columns), strict=True)

    def active(self, card_id: npt.NDArray[np.uint64], txn_time: npt.NDArray[np.int64], grace_seconds: int) -> Mask:
        """bool[n]: some entry of the card had to be active at the terminal at that time."""
        listed = np.zeros(len(card_id), bool)
        for asked, row in self._index.rows(card_id):
            time = txn_time[asked]
            listed[asked] |= (self._published_at[row] + grace_seconds <= time) & (time < self._removed_at[row])
        return listed


@dataclass(frozen=True, slots=True)
class SenderKey:
    """A sender's public key and the dates between which it signs."""

    key: VerifyKey
    valid_from: datetime.date
    valid_to: datetime.date


@dataclass(frozen=True, slots=True)
class Registers:
    """All registers of a centre as loaded for one run."""

    parties: Parties
    terminals: Validities
    cards: Validities
    blacklist: Blacklist
    senders: dict[int, tuple[SenderKey, ...]]
    owners: Validities | None = None
    """The owner of each card's memory as the bits of an int64; None when every card owns its own."""

    def owner_of(self, card_id: npt.NDArray[np.uint64], days: Int32s) -> npt.NDArray[np.uint64]:
        """uint64[n] under which card the memory of each card is kept on each day."""
        if self.owners is None:
            return card_id
        found = self.owners.at(card_id, days)
        return np.where(found == _NO_OWNER, card_id, found.view(np.uint64))

    def cards_of(self, owner: np.uint64) -> npt.NDArray[np.uint64]:
        """The cards that ever kept their memory under a card, that card among them."""
        if self.owners is None:
            return np.array([owner], np.uint64)
        return np.union1d(self.owners.having(int(owner.view(np.int64))), np.array([owner], np.uint64))


_TERMINAL_COLUMNS: Final = ("terminal_id", "merchant_id", "valid_from", "valid_to")
_TERMINAL_REGION: Final = "region"
"""Optional column: where a terminal stands, when not where its merchant does."""

REGISTER_FILES: Final = ("terminals.csv", "senders.csv", "cards.parquet", "blacklist.parquet")


def load_registers(directory: Path, settings: Settings) -> Registers:
    """Load the registers of the centre in ``directory``.

    Raises:
        ConfigError: naming file, row and field.
    """
    folder = directory / "registers"
    load_regions(directory, settings)
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        # The one register that is long; the others are parsed meanwhile.
        loading = beside.submit(load_cards, folder / "cards.parquet")
        terminals = _load_terminals(folder / "terminals.csv")
        cards, owners = loading.result()
    return Registers(
        parties=parties_of(settings),
        terminals=terminals,
        cards=cards,
        blacklist=_load_blacklist(folder / "blacklist.parquet"),
        senders=_load_senders(folder / "senders.csv"),
        owners=owners,
    )


def _load_terminals(path: Path) -> Validities:
    rows = []
    # Thousands of terminals share a few dates.
    day_of = functools.cache(lambda text: day_number(datetime.date.fromisoformat(text)))
    for row in register_rows(path, _TERMINAL_COLUMNS, _TERMINAL_REGION):
        days = [row.parsed(name, day_of, DATE) for name in ("valid_from", "valid_to")]
        rows.append((row.integer("terminal_id", 16), row.integer("merchant_id"), *days))
        if row.cells.get(_TERMINAL_REGION):
            row.integer(_TERMINAL_REGION)
    return _sorted_validities(rows, path)


def terminal_regions(directory: Path) -> list[dict[str, object]]:
    """Terminals with a region of their own by validity (raises ConfigError)."""
    path = directory / "registers" / "terminals.csv"
    return [
        {
            "terminal_id": row.integer("terminal_id", 16),
            "region": row.integer(_TERMINAL_REGION),
            "valid_from": row.date("valid_from"),
            "valid_to": row.date("valid_to"),
        }
        for row in register_rows(path, _TERMINAL_COLUMNS, _TERMINAL_REGION)
        if row.cells.get(_TERMINAL_REGION)
    ]


def _sorted_validities(rows: list[tuple[int, ...]], path: Path) -> Validities:
    rows.sort(key=lambda row: (row[0], row[2]))
    for before, after in itertools.pairwise(rows):
        if before[0] == after[0] and after[2] <= before[3]:
            raise ConfigError(
                f"key {before[0]:x} has overlapping validities", where=path, remedy="end the first before the second"
            )
    keys = np.array([row[0] for row in rows], np.uint64)
    values = np.array([row[1:] for row in rows], np.int64).reshape(-1, 3)
    return Validities(np.concatenate([keys.view(np.int64)[:, None], values], axis=1))


def _column(path: Path, table: object, name: str, dtype: type) -> npt.NDArray[np.generic]:
    try:
        return np.asarray(table.column(name).to_numpy(), dtype)  # type: ignore[attr-defined]
    except KeyError as exc:
        raise ConfigError(f"column {name} is missing", where=path, remedy="see docs/clearing-rules.md §1") from exc


def load_cards(path: Path) -> tuple[Validities, Validities | None]:
    """Class of each card, and the owner of its memory where the register names owners (raises ConfigError)."""
    rows, owner = _card_rows(path)
    key = rows[:, 0].view(np.uint64)
    if not np.all(key[1:] > key[:-1]):
        order = np.lexsort((rows[:, 2], key))
        rows, owner = rows[order], owner if owner is None else owner[order]
        key = rows[:, 0].view(np.uint64)
        overlap = (key[1:] == key[:-1]) & (rows[1:, 2] <= rows[:-1, 3])
        if overlap.any():
            card = int(key[1:][overlap][0])
            raise ConfigError(
                f"card {card:016x} has overlapping validities", where=path, remedy="end the first before the second"
            )
    owners = None
    if owner is not None:
        of_owners = rows.copy()
        of_owners[:, 1] = owner.view(np.int64)
        owners = Validities(of_owners)
    return Validities(rows), owners


def _card_rows(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64] | None]:
    """int64[n, 4] rows of :class:`Validities` and owners; read part by part: a city has millions of cards."""
    types = {"card_id": np.uint64, "card_class": np.int64, "valid_from": np.int32, "valid_to": np.int32}
    with pq.ParquetFile(path) as file:
        rows, stop = np.empty((file.metadata.num_rows, 4), np.int64), 0
        owners: list[npt.NDArray[np.uint64]] = []
        groups = (file.read_row_group(number) for number in range(file.num_row_groups))
        for table in itertools.chain([file.schema_arrow.empty_table()], groups):
            start, stop = stop, stop + len(table)
            columns = [_column(path, table, name, dtype) for name, dtype in types.items()]
            for at, column in enumerate(columns):
                rows[start:stop, at] = column.view(np.int64) if column.dtype == np.uint64 else column
            owner = _owners(path, table, rows[start:stop, 0].view(np.uint64))
            owners += [owner] if owner is not None else []
    return rows, np.concatenate(owners) if owners else None


def _owners(path: Path, table: pa.Table, card_id: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64] | None:
    """uint64[n] ``owner_id``, where missing the card itself; None when the register has no such column."""
    if "owner_id" not in table.column_names:
        return None
    owner = table.column("owner_id")
    if not pa.types.is_uint64(owner.type):
        raise ConfigError(f"owner_id is {owner.type}", where=path, remedy="make it uint64, the card_id of an owner")
    missing = np.asarray(owner.is_null().to_numpy())
    found = np.where(missing, card_id, np.asarray(owner.fill_null(0).to_numpy(), np.uint64))
    if (found.view(np.int64) == _NO_OWNER).any():
        raise ConfigError("owner_id 2⁶⁴ − 1 is no card", where=path, remedy="write the card_id of an owner")
    return found


def _load_blacklist(path: Path) -> Blacklist:
    table = pq.read_table(path)
    card_id = np.asarray(_column(path, table, "card_id", np.uint64), np.uint64)
    published = np.asarray(_column(path, table, "published_at", np.int64), np.int64)
    removed = np.asarray(_column(path, table, "removed_at", np.int64), np.int64)
    order = np.lexsort((published, card_id))
    return Blacklist(card_id[order], published[order], removed[order])


def _load_senders(path: Path) -> dict[int, tuple[SenderKey, ...]]:
    senders: dict[int, tuple[SenderKey, ...]] = {}
    for row in register_rows(path, ("sender", "public_key", "valid_from", "valid_to")):
        key = row.parsed("public_key", _verify_key, "Ed25519 public key in hexadecimal")
        sender = row.integer("sender")
        senders[sender] = (
            *senders.get(sender, ()),
            SenderKey(key, row.date("valid_from"), row.date("valid_to")),
        )
    return senders


def _verify_key(text: str) -> VerifyKey:
    try:
        return VerifyKey.from_hex(text)
    except SignatureError as exc:
        raise ValueError(str(exc)) from exc
