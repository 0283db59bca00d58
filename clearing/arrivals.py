"""Which deliveries a run takes now, in which order, and which of them go through the row-local stages together.

Nothing is checked here: what a manifest says decides only when its file is taken and beside which others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from card_io.delivery.errors import ManifestError
from card_io.delivery.inbox import Delivery, waiting_deliveries
from card_io.delivery.manifest import Identity, Manifest, load_manifest
from clearing.calendar import received_window, seconds_of
from clearing.centre import Centre

LOT_ROWS: Final = 1 << 17
"""Rows aimed at per lot. A stage costs some hundred calls whatever the rows, and operators send many small files."""

LOT_BYTES: Final = 1 << 25
LOT_FILES: Final = 256
"""What a lot is at most whatever its manifests announce, for nobody has checked those yet."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery to take now, when it was received, the bytes of its data, and its manifest if it could be read."""

    delivery: Delivery
    received_at: int
    size: int
    manifest: Manifest | None

    @property
    def rows(self) -> int:
        """Rows the manifest announces."""
        return self.manifest.rows if self.manifest is not None else 0

    @property
    def identity(self) -> Identity | None:
        """What the delivery says it is."""
        return self.manifest.identity if self.manifest is not None else None

    @property
    def meaning(self) -> tuple[int, str, str, int] | None:
        """What its rows mean to the row-local stages; None when that is theirs alone."""
        manifest = self.manifest
        if manifest is None or self.delivery.classes is not None:
            return None
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
        arrival = Arrival(delivery, _received_at(centre, manifest, now), delivery.data.stat().st_size, manifest)
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


def lots_of(arrivals: list[Arrival], known: Collection[Identity] = ()) -> Iterator[list[Arrival]]:
    """Runs of neighbours whose rows mean the same, within the limits of a lot; a larger file is alone.

    So is one whose identity is ``known`` or came before: it will be refused as a repetition or a clash, and must not
    cost its neighbours their lot.
    """
    seen = set(known)
    lot: list[Arrival] = []
    meaning, rows, size = None, 0, 0
    for arrival in arrivals:
        alone = arrival.meaning is None or arrival.identity in seen
        rows, size = rows + arrival.rows, size + arrival.size
        fits = rows <= LOT_ROWS and size <= LOT_BYTES and len(lot) < LOT_FILES
        if lot and (alone or arrival.meaning != meaning or not fits):
            yield lot
            lot, rows, size = [], arrival.rows, arrival.size
        lot.append(arrival)
        meaning = None if alone else arrival.meaning
        if arrival.identity is not None:
            seen.add(arrival.identity)
    if lot:
        yield lot
