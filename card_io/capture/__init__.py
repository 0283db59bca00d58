"""What a terminal keeps: the capture journal, the transactions it adds up to, and the deliveries made from it."""

from card_io.capture.deliver import DeliveryReport, DeliveryState, deliver, report_only
from card_io.capture.errors import (
    CaptureError,
    CaptureStateError,
    DeliveryStateError,
    JournalBrokenError,
    JournalBusyError,
    JournalFailedError,
    JournalFullError,
)
from card_io.capture.journal import Entry, Journal, TornTail, read_entries, wall_clock_ns
from card_io.capture.settings import SettingsError, TerminalSettings, load_settings
from card_io.capture.transactions import (
    CapturePoint,
    CaptureState,
    State,
    Transaction,
    exchanges,
    read_state,
)

__all__ = [
    "CaptureError",
    "CapturePoint",
    "CaptureState",
    "CaptureStateError",
    "DeliveryReport",
    "DeliveryState",
    "DeliveryStateError",
    "Entry",
    "Journal",
    "JournalBrokenError",
    "JournalBusyError",
    "JournalFailedError",
    "JournalFullError",
    "SettingsError",
    "State",
    "TerminalSettings",
    "TornTail",
    "Transaction",
    "deliver",
    "exchanges",
    "load_settings",
    "read_entries",
    "read_state",
    "report_only",
    "wall_clock_ns",
]
