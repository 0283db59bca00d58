"""PIN, blocking and unblocking, and file updates under secure messaging."""

from __future__ import annotations

from typing import Final

from card_io.apdu import CardChannel, Command
from card_io.purse.application import PurseCard
from card_io.records import Algorithm
from card_io.sam.port import CardReference, IssuerHost

_CHALLENGE: Final = 4
_MAC: Final = 4
_ALGORITHM_P1: Final = {Algorithm.TDES: 0x00, Algorithm.SM4: 0x01}


def verify_pin(channel: CardChannel, pin: bytes) -> None:
    """VERIFY. `RefusedFault`: 63Cx wrong, x tries left; 6983 locked; 6A88 the card has no PIN."""
    channel.ask(Command(0x00, 0x20, 0x00, 0x00, pin, name="VERIFY"), 0)


def change_pin(channel: CardChannel, old: bytes, new: bytes) -> None:
    """CHANGE PIN by its holder. `RefusedFault` as `verify_pin`, or 6A80 for a new PIN of a wrong length."""
    channel.ask(Command(0x80, 0x5E, 0x01, 0x00, old + b"\xff" + new, name="CHANGE PIN"), 0)


def reload_pin(channel: CardChannel, host: IssuerHost, key: CardReference, date4: int, new: bytes) -> None:
    """RELOAD PIN by the issuer, tries included. `RefusedFault` 9302 for a wrong MAC."""
    with channel.explained():
        code = host.pin_mac(key, date4, new)
    channel.ask(Command(0x80, 0x5E, 0x00, 0x00, new + code, name="RELOAD PIN"), 0)


def block(channel: CardChannel, host: IssuerHost, key: CardReference, date4: int, *, permanent: bool = False) -> None:
    """APPLICATION BLOCK, for a time or for ever. `RefusedFault`: 6988 wrong MAC, 9303 blocked for ever."""
    p1 = _ALGORITHM_P1[Algorithm(key.algorithm)]
    _secured(channel, host, key, date4, Command(0x84, 0x1E, p1, int(permanent), name="APPLICATION BLOCK"))


def unblock(channel: CardChannel, host: IssuerHost, key: CardReference, date4: int) -> None:
    """APPLICATION UNBLOCK. `RefusedFault`: 6985 not blocked for a time, 6988 wrong MAC."""
    p1 = _ALGORITHM_P1[Algorithm(key.algorithm)]
    _secured(channel, host, key, date4, Command(0x84, 0x18, p1, 0x00, name="APPLICATION UNBLOCK"))


def update_binary(
    channel: CardChannel, host: IssuerHost, key: CardReference, date4: int, file: int, offset: int, content: bytes
) -> None:
    """UPDATE BINARY of a transparent file. `RefusedFault`: 6988 wrong MAC, 6A84 past the end, 9303 blocked."""
    command = Command(0x04, 0xD6, 0x80 | file, offset, content, name=f"UPDATE BINARY {file:02X}")
    _secured(channel, host, key, date4, command)


def update_record(
    channel: CardChannel, host: IssuerHost, key: CardReference, date4: int, file: int, number: int, content: bytes
) -> None:
    """UPDATE RECORD by number. `RefusedFault`: 6988 wrong MAC, 6A83 no such record, 9303 blocked."""
    command = Command(0x04, 0xDC, number, file << 3 | 0x04, content, name=f"UPDATE RECORD {file:02X}/{number}")
    _secured(channel, host, key, date4, command)


def key_reference(card: PurseCard, version: int, index: int, algorithm: Algorithm) -> CardReference:
    """The card's maintenance keys, by the version and index that its INITIALIZE answers name."""
    return CardReference(card.issuer_id, card.factor, version, index, algorithm)


def _secured(channel: CardChannel, host: IssuerHost, key: CardReference, date4: int, command: Command) -> None:
    challenge = channel.ask(Command(0x00, 0x84, 0x00, 0x00, le=_CHALLENGE, name="GET CHALLENGE"), _CHALLENGE)
    header = bytes((command.cla, command.ins, command.p1, command.p2, len(command.data) + _MAC))
    with channel.explained():
        code = host.maintenance_mac(key, date4, challenge, header + command.data)
    secured = Command(command.cla, command.ins, command.p1, command.p2, command.data + code, name=command.name)
    channel.ask(secured, 0)
