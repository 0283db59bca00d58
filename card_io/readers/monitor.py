"""Watch readers: cards that come and go, readers plugged and unplugged, the daemon ending and coming back.

One thread, which survives the daemon: when it goes, watchers are told so, and it is looked for until it is back; then
everything present is announced anew, because nobody knows what happened meanwhile.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from card_io.readers.faults import ReaderFault
from card_io.readers.pcsc import PcscContext, SlotState

_POLL: Final = 0.5
_RETRY: Final = 0.2


class Happening(StrEnum):
    """What a watcher is told."""

    READER_ADDED = "reader_added"
    READER_REMOVED = "reader_removed"
    CARD_INSERTED = "card_inserted"
    CARD_REMOVED = "card_removed"
    DAEMON_LOST = "daemon_lost"
    DAEMON_BACK = "daemon_back"


@dataclass(frozen=True, slots=True)
class Event:
    """One happening; `reader` is empty for those of the daemon."""

    happening: Happening
    reader: str = ""


class ReaderMonitor:
    """Puts events on `events` from its start until `stop`; begins with what is there already."""

    def __init__(self) -> None:
        """Start watching; needs no daemon yet, but pyscard (`ReaderFault`)."""
        self.events: queue.Queue[Event] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reader monitor", daemon=True)
        self._known: dict[str, SlotState] = {}
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for it, at most one poll."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        lost = False
        while not self._stop.is_set():
            try:
                context = PcscContext()
            except ReaderFault:
                if not lost:
                    self._lose()
                    lost = True
                self._stop.wait(_RETRY)
                continue
            if lost:
                self._tell(Happening.DAEMON_BACK)
                lost = False
            try:
                while not self._stop.is_set():
                    self._look(context)
            except ReaderFault:
                if _is_gone(context):
                    self._lose()
                    lost = True
            finally:
                context.close()

    def _look(self, context: PcscContext) -> None:
        """One wait; raises `ReaderFault` when the daemon or a watched reader has gone."""
        names = context.names()
        for name in self._known.keys() - set(names):
            if self._known.pop(name).present:
                self._tell(Happening.CARD_REMOVED, name)
            self._tell(Happening.READER_REMOVED, name)
        for name in names:
            if name not in self._known:
                self._known[name] = SlotState()
                self._tell(Happening.READER_ADDED, name)
        if not self._known:
            self._stop.wait(_POLL)
            return
        found = context.wait(self._known, _POLL)
        for name, state in found.items():
            before = self._known[name]
            swapped = state.present and before.present and state.events != before.events
            if before.present and (not state.present or swapped):
                self._tell(Happening.CARD_REMOVED, name)
            if state.present and (not before.present or swapped):
                self._tell(Happening.CARD_INSERTED, name)
        self._known = found

    def _lose(self) -> None:
        for name, state in self._known.items():
            if state.present:
                self._tell(Happening.CARD_REMOVED, name)
            self._tell(Happening.READER_REMOVED, name)
        self._known = {}
        self._tell(Happening.DAEMON_LOST)

    def _tell(self, happening: Happening, reader: str = "") -> None:
        self.events.put(Event(happening, reader))


def _is_gone(context: PcscContext) -> bool:
    try:
        context.names()
    except ReaderFault:
        return True
    return False
