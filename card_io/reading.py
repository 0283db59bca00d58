"""A card read from outside: who issued it, what is on it, what it did, and which transactions its log lacks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from card_io.apdu import CardChannel
from card_io.layouts.files import JourneyRecord, LogRecord
from card_io.purse.application import PurseCard, read_balance, read_journeys, read_log, select_purse
from card_io.records import TxnType, mask_card

_ONLINE = (TxnType.DEPOSIT_LOAD, TxnType.PURSE_LOAD, TxnType.UNLOAD, TxnType.OVERDRAFT_LIMIT)


@dataclass(frozen=True, slots=True)
class CardReading:
    """What a card says of itself; fen."""

    card: PurseCard
    balance: int
    log: tuple[LogRecord, ...]
    journeys: tuple[JourneyRecord, ...]

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
    return CardReading(card, read_balance(channel), read_log(channel), read_journeys(channel))
