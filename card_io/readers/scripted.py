"""A scripted card: it answers the commands that a script foresees, in its order, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from card_io.readers.exchange import Step
from card_io.readers.faults import NoCardFault, ProtocolFault, TornFault


class ScriptedSession:
    """Session with a scripted card; a step whose response is ``None`` tears the card out."""

    def __init__(self, steps: Iterable[Step], atr: bytes) -> None:
        self.atr = atr
        self._left = list(steps)
        self._gone = False

    @property
    def unused(self) -> tuple[Step, ...]:
        """Steps that were never asked for."""
        return tuple(self._left)

    def transmit(self, command: bytes) -> bytes:
        """Answer as the script says; `ProtocolFault` for a command that is not the script's next."""
        if self._gone:
            raise NoCardFault("the scripted card was torn out", "begin a new session")
        expected = self._left[0] if self._left else None
        if expected is None or expected.command != command:
            due = expected.command.hex().upper() if expected else "nothing more"
            raise ProtocolFault(
                f"the script does not foresee {command.hex().upper()}: {due} is next", "correct script or dialogue"
            )
        del self._left[0]
        if expected.response is None:
            self._gone = True
            raise TornFault(f"the card left during {command[:4].hex().upper()}", "ask for the card again")
        return expected.response

    def begin_transaction(self) -> None:
        """Nobody else talks to a script."""

    def end_transaction(self) -> None:
        """Nobody else talks to a script."""

    def disconnect(self) -> None:
        """Nothing is held."""
        self._gone = True


class ScriptedReader:
    """A reader whose next card follows the next script: one script per connection."""

    def __init__(self, *scripts: Iterable[Step], name: str = "script", atr: bytes = b"\x3b\x80\x80\x01\x01") -> None:
        self.name = name
        self._atr = atr
        self._scripts = list(scripts)

    def connect(self, timeout: float = 0.0) -> ScriptedSession:
        """Open a session on the next script; `NoCardFault` when none is left."""
        if not self._scripts:
            raise NoCardFault("no further card is scripted", "add a script")
        return ScriptedSession(self._scripts.pop(0), self._atr)
