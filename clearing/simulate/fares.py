"""What a journey costs, by plain column code over the centre's tariff files.

This is the simulator's own reading of the tariff pages, deliberately apart from the engine's `tariffs` package:
the two must agree. It knows the steps that the demo tariffs use and refuses any other.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from clearing.errors import RefusedError
from clearing.simulate.table import Bools, Ints, Table, length

CLASS_CODES: Final = {
    name: code
    for code, name in enumerate(
        ("adult", "student", "elderly", "disabled", "veteran", "staff", "half", "free", "none")
    )
}
REMEMBERING: Final = ("transfer_window", "cap", "cumulative", "pass")
"""Steps that look at what the card did before (:mod:`clearing.simulate.memory`)."""

_ONE: Final = 10_000


@dataclass
class Fares:
    """Prices of n journeys in fen: gross = card + fund_paid + what the operator bears; ``fund`` is its code.

    What a card did before is left out: of a tariff that remembers, ``card`` is the fare of a first journey.
    """

    gross: Ints
    card: Ints
    fund_paid: Ints
    fund: Ints
    closed: Bools
    """Takes no further discount."""


@dataclass
class _Working:
    """A journey table between two steps; ``closed`` rows take no further discount."""

    journeys: Mapping[str, npt.NDArray[Any]]
    card_class: Ints
    gross: Ints
    card: Ints
    conceded: Ints
    fund_paid: Ints
    fund: Ints
    priced: Bools
    closed: Bools

    def set_gross(self, rows: Bools, fare: npt.ArrayLike) -> None:
        np.copyto(self.gross, fare, where=rows)
        np.copyto(self.card, fare, where=rows)
        self.priced |= rows


class FareBook:
    """The transit tariffs of a centre on one date."""

    def __init__(self, folder: Path, date: datetime.date) -> None:
        self._folder = folder
        self._date = date
        self._files: dict[str, Any] = {}

    def price(self, tariff: str, journeys: Table, card_class: npt.NDArray[Any]) -> Fares:
        """Price journeys of one tariff.

        Args:
            tariff: its id, also the file's name.
            journeys: columns ``entry_station``, ``exit_station``, ``duration_s``, ``gross_fare``,
                ``transfer_flag``, ``incomplete``.
            card_class: fare class per row.

        Raises:
            RefusedError: the tariff has a step or a date the simulator does not know, or leaves a row unpriced.
        """
        rows = length(journeys)
        work = _Working(
            journeys,
            card_class.astype(np.int64),
            gross=np.zeros(rows, np.int64),
            card=np.zeros(rows, np.int64),
            conceded=np.zeros(rows, np.int64),
            fund_paid=np.zeros(rows, np.int64),
            fund=np.zeros(rows, np.int64),
            priced=np.zeros(rows, np.bool_),
            closed=np.zeros(rows, np.bool_),
        )
        for step in self._file(tariff)["steps"]:
            ((name, terms),) = step.items()
            apply = _STEPS.get(name)
            if name in REMEMBERING:
                continue
            if apply is None:
                raise self.refuse(tariff, f"step {name!r} is unknown to the simulator")
            apply(work, self._resolved(tariff, terms), self)
        if not work.priced.all():
            raise self.refuse(tariff, "a journey has no price")
        return Fares(work.gross, work.card, work.fund_paid, work.fund, work.closed)

    def stations(self, tariff: str) -> Ints:
        """Station codes of a tariff's station pairs."""
        pairs = self.table(tariff, "fares")
        return np.unique(np.concatenate([pairs["entry"], pairs["exit"]]))

    def table(self, tariff: str, name: str) -> Table:
        """The CSV a tariff declares under ``name``, as columns."""
        path = self._folder / self._file(tariff)["tables"][name]["file"]
        with path.open(encoding="utf-8", newline="") as stream:
            header, *lines = list(csv.reader(stream))
        values = np.array(lines, np.int64)
        return {column: values[:, index] for index, column in enumerate(header)}

    def _file(self, tariff: str) -> Any:
        if tariff not in self._files:
            path = self._folder / f"{tariff}.yaml"
            content = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
            published = content["published"]
            if not published["first"] <= self._date <= published["last"]:
                raise self.refuse(tariff, f"{self._date} is outside the published dates")
            self._files[tariff] = content
        return self._files[tariff]

    def _resolved(self, tariff: str, terms: dict[str, Any]) -> dict[str, Any]:
        """Terms with ``{use: name}`` replaced by the dated value in force, and the tariff's own name."""
        resolved = {"tariff": tariff, **terms}
        for key, value in terms.items():
            if isinstance(value, dict) and value.keys() == {"use"}:
                dated = self._file(tariff)["values"][value["use"]]
                resolved[key] = dated[max(day for day in dated if day <= self._date)]
        return resolved

    def steps(self, tariff: str) -> dict[str, dict[str, Any]]:
        """Terms by step, of a tariff that has each step once."""
        return {name: terms for step in self._file(tariff)["steps"] for name, terms in step.items()}

    def clock(self, tariff: str) -> str:
        """When the tariff's day begins, HH:MM."""
        return str(self._file(tariff).get("clock", {}).get("day_starts", "00:00"))

    def refuse(self, tariff: str, what: str) -> RefusedError:
        """The error that says what of a tariff the simulator cannot do."""
        return RefusedError(what, where=self._folder / f"{tariff}.yaml", remedy="simulate with the demo tariffs")


def _half_up(numerator: Ints, denominator: int) -> Ints:
    return (2 * numerator + denominator) // (2 * denominator)


def _flat(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    work.set_gross(~work.priced, terms["fare"])


def _gross(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    work.set_gross(~work.priced, work.journeys["gross_fare"])


def _lookup(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    """Fares by station pair, the pair standing once for both ways; ends that are missing match nothing."""
    pairs = book.table(terms["tariff"], terms["table"])
    stations = book.stations(terms["tariff"])
    size = len(stations)
    square = np.full((size, size), -1, np.int64)
    entry, exit_ = np.searchsorted(stations, pairs["entry"]), np.searchsorted(stations, pairs["exit"])
    square[entry, exit_] = square[exit_, entry] = pairs[terms["columns"]["all"]]
    known = np.ones(len(work.gross), np.bool_)
    position = []
    for end in ("entry_station", "exit_station"):
        index = np.minimum(np.searchsorted(stations, work.journeys[end]), size - 1)
        known &= stations[index] == work.journeys[end]
        position.append(index)
    fare = square[position[0], position[1]]
    work.set_gross(known & (fare >= 0) & ~work.priced, fare)


def _duration_blocks(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    """Free seconds, then started blocks, beginning anew in each period that has a cap."""
    stay = work.journeys["duration_s"]
    charged = np.where(stay > terms["free"], stay, 0)
    if terms["charge_from"] == "free_end":
        charged = np.maximum(charged - terms["free"], 0)
    cap = terms.get("at_most")
    if cap is None:
        fare = _started_blocks(charged, terms["blocks"])
    else:
        periods, rest = np.divmod(charged, cap["per_started"])
        full = min(int(_started_blocks(np.array([cap["per_started"]]), terms["blocks"])[0]), cap["fare"])
        fare = periods * full + np.minimum(_started_blocks(rest, terms["blocks"]), cap["fare"])
    work.set_gross((stay >= 0) & ~work.priced, fare)


def _started_blocks(seconds: Ints, blocks: list[dict[str, int]]) -> Ints:
    fare = np.zeros(len(seconds), np.int64)
    lower = 0
    for block in blocks:
        upper = block.get("up_to", int(seconds.max(initial=0)) + 1)
        inside = np.clip(seconds, lower, max(upper, lower)) - lower
        fare += -(-inside // block["per_started"]) * block["add"]
        lower = upper
    return fare


def _max_fare(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    rows = work.journeys["incomplete"] == 1
    work.set_gross(rows, terms["fare"])
    if not terms["discounts"]:
        work.closed |= rows


def _concession(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    for name, term in terms["classes"].items():
        rows = (work.card_class == CLASS_CODES[name]) & ~work.closed
        reduced = (
            _half_up(work.gross * term["per_10000"], _ONE)
            if "per_10000" in term
            else np.minimum(work.gross, term["fare"])
        )
        work.card[rows] = reduced[rows]
        work.conceded[rows] = (work.gross - reduced)[rows]
        if term["final"]:
            work.closed |= rows


def _transfer(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    entitled = np.isin(work.card_class, [CLASS_CODES[name] for name in terms["classes"]])
    rows = (work.journeys["transfer_flag"] == 1) & entitled & ~work.closed
    reduced = np.minimum(work.card, np.maximum(work.card - terms["minus"], terms["floor"]))
    work.card[rows] = reduced[rows]


def _split(work: _Working, terms: dict[str, Any], book: FareBook) -> None:
    for name, term in terms["funds"].items():
        rows = work.card_class == CLASS_CODES[name]
        share = _half_up(work.conceded * term["per_10000"], _ONE)
        work.fund_paid[rows] = share[rows]
        work.fund[rows] = np.where(share[rows] > 0, term["fund"], 0)


_STEPS: Final = {
    "flat": _flat,
    "gross": _gross,
    "lookup": _lookup,
    "duration_blocks": _duration_blocks,
    "max_fare": _max_fare,
    "concession": _concession,
    "transfer": _transfer,
    "split": _split,
}
