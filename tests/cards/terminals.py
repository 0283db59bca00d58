"""Terminals with virtual cards in this process, and a fare table as the centre would write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capture.records import terminal as write_settings

from card_io.capture import CapturePoint
from card_io.parameters import Calendar, Fares, FareTable, Parameters
from card_io.records import Mode
from card_io.terminals.touch import PurseTerminal
from card_io.virtual_card.training import TrainingIssuer

TERMINAL = "310400000001"
T0 = 1_772_438_400 * 10**9
"""2026-03-02T08:00:00 in nanoseconds of wall time."""


@dataclass
class Clock:
    """A hand-moved clock."""

    ns: int = T0

    def __call__(self) -> int:
        return self.ns

    def forward(self, seconds: int) -> None:
        self.ns += seconds * 10**9


def metro() -> FareTable:
    """Stations 101 and 105: 3 yuan between them, 2 within, 9 where an end is missing; class 2 rides free."""
    pairs = [200, 300, 900, 300, 200, 900, 900, 900, -1]
    return FareTable(
        mode=Mode.METRO, tariff="t.metro", first_day="2026-01-01", last_day="2026-12-31", classes=[0, 1, 2],
        lines=[], stations=[101, 105], quantity=None, edges=[], group=[[0, 0], [0, 0], [1, 1]],
        card_pays=[pairs, [0 if fare >= 0 else -1 for fare in pairs]], gross=[pairs, pairs],
    )  # fmt: skip


def bus() -> FareTable:
    """2 yuan, 1.60 on a transfer."""
    return FareTable(
        mode=Mode.BUS, tariff="t.bus", first_day="2026-01-01", last_day="2026-12-31", classes=[0],
        lines=[], stations=[], quantity=None, edges=[], group=[[0, 1]],
        card_pays=[[200], [160]], gross=[[200], [200]],
    )  # fmt: skip


def parameters(*, blacklist: frozenset[str] = frozenset()) -> Parameters:
    """What the terminal has active."""
    return Parameters(
        fares=Fares(merchant_id=201, transfer_window_seconds=3600, tables=[metro(), bus()]),
        calendar=Calendar(day_cut_seconds=3 * 3600, days=[]),
        blacklist=blacklist,
    )


def purse_terminal(
    folder: Path, issuer: TrainingIssuer, clock: Clock, *, number: str = TERMINAL, active: Parameters | None = None
) -> PurseTerminal:
    """A terminal in ``folder`` with a SAM of its own."""
    settings = write_settings(folder, terminal_id=number, services=["transit", "load"])
    known = active or parameters()
    point = CapturePoint.open(folder, clock=clock)
    sam = issuer.sam(number, folder / "sam")
    return PurseTerminal(point, settings, sam, lambda now: known, clock=clock)
