"""Which deliveries a run takes now, in which order, and which of them go through the row-local stages together.

Nothing is checked here: what a manifest says decides only when its file is taken and beside which others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from card_io.delivery.errors import ManifestError
from card_io.delivery.inbox import Delivery, waiting_deliveries
from card_io.delivery.manifest import Manifest, load_manifest
from clearing.calendar import received_window, seconds_of
from clearing.centre import Centre

LOT_ROWS: Final = 1 << 17
"""Rows aimed at per lot. A stage costs some hundred calls whatever the rows, and operators send many small files."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery to take now, when it was received, and its manifest if it could be read."""

    delivery: Delivery
    received_at: int
    manifest: Manifest | None

    @property
    def rows(self) -> int:
        """Rows the manifest announces."""
        return self.manifest.rows if self.manifest is not None else 0

    def joins(self, other: Arrival) -> bool:
        """Whether the rows of both mean the same to the row-local stages but for the file they came in."""
        if self.manifest is None or other.manifest is None or self.delivery.classes or other.delivery.classes:
            return False
        return self._meaning(self.manifest) == other._meaning(other.manifest)

    def _meaning(self, manifest: Manifest) -> tuple[int, str, str, int]:
        return manifest.sender, manifest.service, manifest.format, self.received_at


def due_arrivals(centre: Centre, now: int) -> tuple[list[Arrival], list[dict[str, str]]]:
    """Deliveries to take now, in order; and the files that wait, with the reason.

    A simulated centre lives on a declared clock: a delivery arrives at its manifest's ``sent_at``.
    """
    listing = waiting_deliveries(centre.directory / "inbox")
    waiting = [{"file": each.path.name, "reason": each.reason} for each in listing.incomplete]
    due: list[Arrival] = []
    for delivery in listing.deliveries:
        try:
            manifest = load_manifest(delivery.manifest)
        except ManifestError:
            manifest = None
        arrival = Arrival(delivery, _received_at(centre, manifest, now), manifest)
        if arrival.received_at <= now:
            due.append(arrival)
    due.sort(key=lambda each: (each.received_at, each.delivery.data.name))
    return due, waiting


def _received_at(centre: Centre, manifest: Manifest | None, now: int) -> int:
    """Now; in a simulated centre as the manifest says, but never in a window that is closed."""
    if manifest is None or not centre.settings.centre.simulated:
        return now
    sent_at = seconds_of(manifest.sent_at)
    closed = max((entry.body["window"] for entry in centre.journal.of_kind("close")), default=None)
    if closed is not None and received_window(sent_at, centre.settings.calendar) <= closed:
        return now
    return sent_at


def lots_of(arrivals: list[Arrival]) -> Iterator[list[Arrival]]:
    """Runs of neighbours that join each other, of :data:`LOT_ROWS` at most; a larger file is alone."""
    lot: list[Arrival] = []
    for arrival in arrivals:
        if lot and not (arrival.joins(lot[0]) and sum(each.rows for each in lot) + arrival.rows <= LOT_ROWS):
            yield lot
            lot = []
        lot.append(arrival)
    if lot:
        yield lot
