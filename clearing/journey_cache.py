"""What tariffs that remember know of earlier batches: the journeys that count, and each owner's memory after them.

Both are caches of the segments, private to ``work/cache/journeys``: losing them costs a rebuild, never a decision.
Journeys lie in a file per batch, partition and tariff, sorted by owner; the memory in one file per tariff, which says
of which tariff file it is: under another one it is made again from the journeys. Accumulators go by their names, so
one that stays would find its memory under the new file too; but one that is new has to count the journeys before it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io.records import Columns, Service
from clearing.cache_files import ALL, STAGED, KeyRange, KeyRangeFiles, mapped, packed, places_of, save, taken, wanted
from clearing.caches import batch_rows
from clearing.centre import Centre
from clearing.journeys import JOURNEY_COLUMNS, Journeys, Known, journeys_of, price_owners
from clearing.ledger.journal import Entry
from clearing.pricing import MEMORY_COLUMNS, Memory
from clearing.records import concatenate, newest_decisions
from clearing.registers import load_cards
from clearing.status import Disposition

Ints = npt.NDArray[np.int64]

_COLUMNS: Final = (*JOURNEY_COLUMNS, "counts")
_TARIFF: Final = "accumulators_of_tariff_sha256"
_REMADE_ROWS: Final = 1 << 21
"""Journeys priced at a time when a memory is made again."""


class JourneyCache:
    """Counting journeys and memories of one centre as of its newest batch."""

    def __init__(self, centre: Centre) -> None:
        """Open the cache; made again from the segments when it is not that of the newest batch."""
        self._centre, self.folder = centre, centre.directory / "work" / "cache" / "journeys"
        self._behind = centre.disk.few()
        for path in self.folder.glob(f"*{STAGED}"):
            # Of a batch that did not commit.
            path.unlink()
        batches = list(centre.journal.of_kind("batch"))
        mark = self.folder / "batch"
        if batches and not (mark.exists() and mark.read_text() == str(batches[-1].sequence)):
            shutil.rmtree(self.folder, ignore_errors=True)
            for entry in batches:
                self._rebuild(entry)
            self.take_over(batches[-1].sequence)

    def memory(self, tariff_id: str) -> Callable[[KeyRange], Memory]:
        """What owners of a tariff remember after the newest batch, by key range; to be asked from any thread."""
        files = self._memory(tariff_id)
        if files.metadata(_TARIFF) == self._centre.prices.book[tariff_id].sha256:
            return lambda key_range: self._remembered(files, key_range)
        remade = [self._remade(tariff_id, journeys) for journeys in self._by_owners(tariff_id)]
        whole = Memory.concatenate([Memory.zeros(0), *remade])
        return lambda key_range: whole.take(key_range.slice(whole.card))

    def earlier(self, tariff_id: str, owners: Ints, key_range: KeyRange = ALL) -> Journeys | None:
        """The counting journeys of some owners (int64, ascending, unique), all in a range; None without any."""
        found = []
        for path in self._files(tariff_id, key_range):
            table = mapped(path)
            rows = places_of(_owner(table), owners)
            if len(rows):
                found.append(taken(wanted(path, table, rows), _COLUMNS, rows))
        return _newest(found)

    def owners(self, tariff_id: str, txn_id: Ints, since: int) -> Ints:
        """int64[m]: the owners of those of the given journeys that batches from entry ``since`` on counted."""
        found = [np.empty(0, np.int64)]
        for path in self._files(tariff_id):
            if len(txn_id) and int(path.name[:8]) >= since:
                table = mapped(path)
                listed = taken(table, ("txn_id",), np.arange(len(table)))["txn_id"]
                found.append(_owner(table)[np.isin(listed, txn_id)])
        return np.unique(np.concatenate(found))

    def stage(self, tariff_id: str, key_range: KeyRange, counting: Journeys, gone: Journeys | None = None) -> None:
        """Begin to write journeys of owners that count now, and those that no longer do, for :meth:`take_over`."""
        parts = [{**counting.narrow().columns, "counts": np.ones(len(counting), np.uint8)}]
        if gone is not None:
            parts.append({**gone.narrow().columns, "counts": np.zeros(len(gone), np.uint8)})
        columns = {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
        order = np.argsort(columns["owner"].view(np.int64), kind="stable")
        columns = {column: values[order] for column, values in columns.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{key_range.name}-{tariff_id}.arrow{STAGED}"
        self._behind.begin(save, path, *packed({"owner": columns.pop("owner")}, columns))

    def stage_memory(self, tariff_id: str, key_range: KeyRange, memory: Memory) -> None:
        """Begin to write what owners remember after the batch for :meth:`take_over`; all key ranges, or none."""
        metadata = {_TARIFF: self._centre.prices.book[tariff_id].sha256}
        columns = {name: getattr(memory, name) for name in MEMORY_COLUMNS}
        self._behind.begin(self._memory(tariff_id).stage, key_range, columns, metadata)

    def take_over(self, batch: int) -> None:
        """What was staged is true after this committed batch; the mark is written last."""
        self._behind.wait()
        self.folder.mkdir(parents=True, exist_ok=True)
        for tariff_id in self._centre.prices.ids:
            self._memory(tariff_id).take_over()
        for path in self.folder.glob(f"*{STAGED}"):
            path.replace(self.folder / f"{batch:08d}-{path.name.removesuffix(STAGED)}")
        (self.folder / "batch").write_text(str(batch))

    def _remembered(self, files: KeyRangeFiles, key_range: KeyRange) -> Memory:
        columns = files.read(key_range)
        assert columns is not None, "the files of a memory hold every owner"
        return Memory(**columns)

    def _memory(self, tariff_id: str) -> KeyRangeFiles:
        return KeyRangeFiles(self.folder, f"{tariff_id}.memory", "card")

    def _files(self, tariff_id: str, key_range: KeyRange = ALL) -> list[Path]:
        """Files with journeys of owners of a range under a tariff, batch by batch."""
        named = sorted(self.folder.glob(f"????????-??-????-{tariff_id}.arrow"))
        return [path for path in named if KeyRange.named(path.name[9:16]).meets(key_range)]

    def _by_owners(self, tariff_id: str) -> Iterator[Journeys]:
        """All counting journeys of a tariff, some owners at a time, in the order of owners."""
        files = [mapped(path) for path in self._files(tariff_id)]
        slices = 1 + sum(len(table) for table in files) // _REMADE_ROWS
        bounds = [-(2**63) + 2**64 * number // slices for number in range(1, slices)]
        for first, last in zip([None, *bounds], [*bounds, None], strict=True):
            found = []
            for table in files:
                owner = _owner(table)
                start = 0 if first is None else int(np.searchsorted(owner, first))
                stop = len(owner) if last is None else int(np.searchsorted(owner, last))
                found.append(taken(table, _COLUMNS, np.arange(start, stop)))
            journeys = _newest(found)
            if journeys is not None:
                yield journeys

    def _remade(self, tariff_id: str, journeys: Journeys) -> Memory:
        none = np.empty(0, np.int64)
        known = Known(Memory.zeros(0), lambda owners: None, none, None, none)
        windows = np.unique(journeys["received_window"]).tolist()
        return price_owners(self._centre.prices, tariff_id, journeys, known, windows[-1:]).memory

    def _rebuild(self, entry: Entry) -> None:
        """The journeys that one batch counted, or no longer counts, from its segments and archived register."""
        numbers = {entry.body["tariffs"].index(each) + 1: each for each in entry.body.get("remembering", ())}
        if not numbers:
            return
        cards = self._centre.archive.folder / "config" / entry.body["configuration"]["registers/cards.parquet"]
        registers = replace(self._centre.registers, owners=load_cards(cards)[1])
        parts = [rows.take(np.flatnonzero(np.isin(rows["tariff"], list(numbers))))
                 for rows in batch_rows(self._centre, entry, (Service.TRANSIT,))]  # fmt: skip
        rows = newest_decisions(concatenate(parts))
        accepted = rows["disposition"] == Disposition.ACCEPTED
        for number, tariff_id in numbers.items():
            of_tariff = rows["tariff"] == number
            counting = journeys_of(rows, np.flatnonzero(of_tariff & accepted), registers)
            gone = journeys_of(rows, np.flatnonzero(of_tariff & ~accepted & (rows["event"] > 0)), registers)
            self.stage(tariff_id, ALL, counting, gone)
        self.take_over(entry.sequence)


def _owner(table: pa.Table) -> Ints:
    """int64[n]: the owners of a file's journeys, ascending."""
    return np.asarray(table.column("owner").to_numpy()).view(np.int64)


def _newest(found: list[Columns]) -> Journeys | None:
    """Of journeys in the order recorded, each by its newest record, if it counts; None when none does."""
    if not found:
        return None
    columns = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    txn_id = columns["txn_id"]
    newest = len(txn_id) - 1 - np.unique(txn_id[::-1], return_index=True)[1]
    newest = newest[columns.pop("counts")[newest] == 1]
    return Journeys({name: column[newest] for name, column in columns.items()}) if len(newest) else None
