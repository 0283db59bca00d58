"""PIN, challenge, blocking and unblocking of the application, and the MAC of secure messaging."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from card_io.apdu import Command
from card_io.purse.algorithm import CIPHERS
from card_io.records import Algorithm
from card_io.virtual_card.memory import MAINTENANCE_TRIES, PIN_TRIES, Block, KeySet
from card_io.virtual_card.work import Refused, Work, require

_MAC: Final = 4
_SEPARATOR: Final = b"\xff"


def verify_pin(work: Work, command: Command) -> bytes:
    """VERIFY: a wrong PIN costs a try before the answer leaves the card (63Cx), the third locks it (6983)."""
    require(work.selected, 0x6985)
    require((command.p1, command.p2) == (0, 0), 0x6A86)
    _check_pin(work, command.data)
    work.pin_verified = True
    return b""


def change_pin(work: Work, command: Command) -> bytes:
    """CHANGE PIN (80 5E 01): old PIN, FF, new PIN. RELOAD PIN (80 5E 00): new PIN under a MAC of the issuer."""
    work.require_purse()
    if (command.p1, command.p2) == (0x01, 0x00):
        old, separator, new = command.data.partition(_SEPARATOR)
        require(separator == _SEPARATOR and 2 <= len(new) <= 6, 0x6A80)
        _check_pin(work, old)
    else:
        require((command.p1, command.p2) == (0x00, 0x00), 0x6A86)
        new, code = command.data[:-_MAC], command.data[-_MAC:]
        require(2 <= len(new) <= 6, 0x6700)
        _check_maintenance(work, CIPHERS[Algorithm(_keys(work).algorithm)].tac(_keys(work).pin, new) == code, 0x9302)
    work.memory = replace(work.memory, pin=new, pin_tries=PIN_TRIES)
    return b""


def get_challenge(work: Work, command: Command) -> bytes:
    """GET CHALLENGE: 4 or 8 random bytes, good for the next command only."""
    require((command.p1, command.p2) == (0, 0), 0x6A86)
    require(command.le in (4, 8), 0x6700)
    work.challenge = work.random(command.le or 0)
    return work.challenge


def block(work: Work, command: Command) -> bytes:
    """APPLICATION BLOCK (84 1E): P1 names the cipher (00 DES, 01 SM4), P2 00 for a time, 01 for ever."""
    require(work.selected, 0x6985)
    require(command.p1 in (0, 1) and command.p2 in (0, 1), 0x6A86)
    require(work.memory.block is not Block.PERMANENT, 0x9303)
    require(check_maintenance_mac(work, command) == b"", 0x6700)
    work.memory = replace(work.memory, block=Block.PERMANENT if command.p2 else Block.TEMPORARY)
    return b""


def unblock(work: Work, command: Command) -> bytes:
    """APPLICATION UNBLOCK (84 18): undoes a temporary block."""
    require(work.selected, 0x6985)
    require(command.p1 in (0, 1) and command.p2 == 0, 0x6A86)
    require(work.memory.block is Block.TEMPORARY, 0x6985)
    require(check_maintenance_mac(work, command) == b"", 0x6700)
    work.memory = replace(work.memory, block=Block.NONE)
    return b""


def check_maintenance_mac(work: Work, command: Command) -> bytes:
    """Return the data before the MAC; 6984 without a fresh challenge, 6988 for a wrong MAC.

    The third wrong MAC blocks the application for ever (JR/T 0025.1), and the card answers 9303.
    """
    require(bool(work.challenge), 0x6984)
    require(len(command.data) >= _MAC, 0x6987)
    challenge, work.challenge = work.challenge, b""
    payload, code = command.data[:-_MAC], command.data[-_MAC:]
    header = bytes((command.cla, command.ins, command.p1, command.p2, len(command.data)))
    keys = _keys(work)
    due = CIPHERS[Algorithm(keys.algorithm)].maintenance_mac(keys.maintenance, challenge, header + payload)
    _check_maintenance(work, due == code, 0x6988)
    return payload


def _check_maintenance(work: Work, right: bool, status: int) -> None:
    if right:
        work.memory = replace(work.memory, maintenance_tries=MAINTENANCE_TRIES)
        return
    left = work.memory.maintenance_tries - 1
    work.memory = replace(work.memory, maintenance_tries=left)
    if left == 0:
        work.memory = replace(work.memory, block=Block.PERMANENT)
        raise Refused(0x9303)
    raise Refused(status)


def _check_pin(work: Work, given: bytes) -> None:
    memory = work.memory
    require(bool(memory.pin), 0x6A88)
    require(memory.pin_tries > 0, 0x6983)
    if given != memory.pin:
        work.pin_verified = False
        work.memory = replace(memory, pin_tries=memory.pin_tries - 1)
        raise Refused(0x63C0 | memory.pin_tries - 1)
    work.memory = replace(memory, pin_tries=PIN_TRIES)


def _keys(work: Work) -> KeySet:
    """Keys that are not named by an index belong to the card's first key set."""
    return work.memory.keys[min(work.memory.keys)]
