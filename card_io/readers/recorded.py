"""Replay of a recorded dialogue: the same commands get the same answers, so that a day can be run again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from card_io.readers.exchange import Exchange
from card_io.readers.scripted import ScriptedReader


def replay(exchanges: Iterable[Exchange], *, name: str = "recording") -> ScriptedReader:
    """A reader that plays the dialogues one after the other, one per connection.

    A dialogue that broke tears the card out at the same command. A command that was not recorded there raises
    `ProtocolFault`.
    """
    return ScriptedReader(*(exchange.steps for exchange in exchanges), name=name)


def replay_files(paths: Iterable[Path]) -> ScriptedReader:
    """Replay dialogues stored as canonical bytes, one per file; ValueError names a file that is none."""
    exchanges = []
    for path in paths:
        try:
            exchanges.append(Exchange.from_bytes(path.read_bytes()))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return replay(exchanges)
