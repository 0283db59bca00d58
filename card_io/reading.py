"""A card read from outside: who issued it, what is on it, what it did, and which transactions its log lacks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from card_io.apdu import CardChannel, Command
from card_io.layouts.applications import read_fci
from card_io.layouts.errors import LayoutError
from card_io.layouts.files import JourneyRecord, LogRecord, Region
from card_io.purse.application import (
    PurseCard,
    read_balance,
    read_binary,
    read_journeys,
    read_log,
    select_purse,
)
from card_io.readers.faults import RefusedFault
from card_io.records import TxnType, mask_card
from card_io.story import CardFiles, Sentence, story

_ONLINE = (TxnType.DEPOSIT_LOAD, TxnType.PURSE_LOAD, TxnType.UNLOAD, TxnType.OVERDRAFT_LIMIT)


@dataclass(frozen=True, slots=True)
class CardReading:
    """What a card says of itself; fen."""

    card: PurseCard
    balance: int
    log: tuple[LogRecord, ...]
    journeys: tuple[JourneyRecord, ...]
    story: tuple[Sentence, ...]

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Pairs of neighbouring offline counters in the log between which transactions are missing, oldest first."""
        counters = sorted(each.counter for each in self.log if each.txn_type not in _ONLINE)
        return [(a, b) for a, b in pairwise(counters) if b > a + 1]

    def as_json(self) -> dict[str, Any]:
        """JSON values; the card number masked."""
        card = self.card
        return {
            "card": mask_card(card.card_number),
            "issuer_id": card.issuer_id.hex(),
            "application": card.application.en,
            "valid_from": f"{card.valid_from:08x}",
            "valid_to": f"{card.valid_to:08x}",
            "blocked": card.blocked,
            "balance_fen": self.balance,
            "story": [{"zh": each.zh, "en": each.en} for each in self.story],
            "log": [
                {
                    "counter": each.counter,
                    "txn_type": each.txn_type,
                    "amount_fen": each.amount,
                    "terminal": each.terminal.lower(),
                    "time": f"{each.date4:08x}T{each.time3:06x}",
                }
                for each in self.log
            ],
            "journeys": [
                {
                    "kind": each.kind,
                    "mode": each.mode,
                    "line": each.line,
                    "site": each.site,
                    "amount_fen": each.amount,
                    "balance_fen": each.balance,
                    "time": f"{each.time:014x}",
                }
                for each in self.journeys
            ],
            "gaps": [list(pair) for pair in self.gaps],
        }


def read_card(channel: CardChannel) -> CardReading:
    """Read a purse card. Raises `DialogueFault`."""
    card = select_purse(channel)
    again = Command(0x00, 0xA4, 0x04, 0x00, bytes.fromhex(card.application.aid), 0x100, "SELECT")
    files = CardFiles(
        selected=read_fci(channel.send(again).data),
        balance=read_balance(channel),
        region=_region(channel),
        log=read_log(channel),
        journeys=read_journeys(channel),
    )
    return CardReading(card, files.balance or 0, files.log, files.journeys, story(files))


def _region(channel: CardChannel) -> Region | None:
    """File 17; None on a card that keeps none."""
    try:
        return Region.decode(read_binary(channel, 0x17))
    except (RefusedFault, LayoutError):
        return None
