"""The tariffs of a centre, compiled on demand, with the numbers that segments store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tariffs
from clearing import grouping
from clearing.calendar import NO_DAY
from clearing.config import Settings
from clearing.records import Rows
from tariffs import CompiledTariff, Tariff, TariffBook

Array = npt.NDArray[Any]


@dataclass
class PriceBook:
    """The tariffs of a centre, compiled on demand, with the numbers that segments store.

    ``ids`` lists tariff ids; a row's ``tariff`` column is 1 + its index there, 0 = none.
    """

    book: TariffBook
    settings: Settings
    ids: list[str] = field(default_factory=list)
    remembering: list[int] = field(default_factory=list)
    """Numbers of the tariffs that remember."""

    def __post_init__(self) -> None:
        """Number the tariffs in the order of their ids, so that equal books give equal numbers."""
        self.ids = sorted(tariff.id for tariff in self.book)
        self.remembering = [n for n, each in enumerate(self.ids, 1) if _remembers(self.book[each])]
        self._funds = np.zeros(2**16, np.int64)
        for participant in self.settings.participants:
            if participant.fund is not None:
                self._funds[participant.fund] = participant.id

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> PriceBook:
        """The price book of the centre in ``directory`` (raises tariffs.TariffFileError)."""
        return cls(tariffs.load_tariff_book(directory / "tariffs"), settings)

    def compiled(self, tariff_id: str, segment: int) -> CompiledTariff:
        """One dated segment of a tariff."""
        return self.book[tariff_id].compiled[segment]

    def number(self, tariff_id: str) -> int:
        """What the ``tariff`` column says of a tariff of the book."""
        return self.ids.index(tariff_id) + 1

    def accumulators(self, tariff_id: str) -> dict[str, int]:
        """What a tariff that remembers keeps, by name: its number in a :data:`Memory`."""
        return {name: tariffs.accumulator_id(name) for name in tariffs.accumulator_names(self.book[tariff_id])}

    def groups(self, rows: Rows) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """(tariff id, positions) of transit rows with a time, by the tariff of their merchant and mode."""
        day = rows["operating_day"]
        for merchant in grouping.distinct(rows["merchant_id"]):
            participant = next((p for p in self.settings.participants if p.id == merchant), None)
            if participant is None:
                continue
            of_merchant = rows["merchant_id"] == merchant
            for mode, tariff_id in participant.tariff_by_mode.items():
                yield tariff_id, np.flatnonzero(of_merchant & (rows["mode"] == mode) & (day != NO_DAY))

    def dated(self, tariff_id: str, day: Array) -> Iterator[tuple[CompiledTariff, npt.NDArray[np.int64]]]:
        """(segment, positions) of the days some segment of a tariff covers; nothing for a tariff the book lacks."""
        if tariff_id in self.book:
            segment = self.book[tariff_id].segment_of(day.astype(np.int32))
            for each in grouping.distinct(segment[segment >= 0]):
                yield self.compiled(tariff_id, int(each)), np.flatnonzero(segment == each)

    def tolerance(self, number: int) -> int:
        """Fen by which an amount of this participant may differ from the tariff and still count as equal."""
        return self.settings.participant(int(number)).price_tolerance

    def funds(self, codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
        """Participant numbers of a tariff's fund codes."""
        return self._funds[codes]


def _remembers(tariff: Tariff) -> bool:
    return tariff.kind == "transit" and bool(tariffs.accumulator_names(tariff))
