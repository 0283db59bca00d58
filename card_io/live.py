"""The live view of a terminal: the last cards, sums, what is open; plain lines where stdout is no terminal."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from card_io.capture.transactions import CapturePoint
from card_io.messages import Messages
from card_io.story import yuan

_SHOWN = 8


@dataclass
class Tally:
    """What a session has seen; ``fen`` of all debits and loads."""

    taps: int = 0
    fen: int = 0
    away: int = 0
    lines: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_SHOWN))


class View:
    """Shows a session as it goes; a context manager."""

    def __init__(self, console: Console, messages: Messages, point: CapturePoint, title: str) -> None:
        self._console, self._messages, self._point, self._title = console, messages, point, title
        self.tally = Tally()
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
            self.refresh()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """A line about a card."""
        self.tally.lines.append((text, style))
        if self._live is None:
            self._console.print(text, style=style or None, highlight=False, soft_wrap=True)
        else:
            self.refresh()

    def refresh(self) -> None:
        """Draw what is known now."""
        if self._live is not None:
            self._live.update(self._drawn(), refresh=True)

    def _drawn(self) -> Panel:
        m, state, tally = self._messages, self._point.state, self.tally
        sums = Table.grid(padding=(0, 3))
        sums.add_row(*(m(key) for key in ("taps", "money", "away", "grey", "unsent", "waiting")))
        counts = (len(state.grey()), len(state.unsent()), len(state.open_deliveries()))
        sums.add_row(str(tally.taps), yuan(tally.fen), str(tally.away), *(str(count) for count in counts))
        lines = [Text(text, style=style) for text, style in tally.lines]
        return Panel(Group(sums, Text(), *lines, Text(m("touch_card"), style="bold")), title=self._title)
