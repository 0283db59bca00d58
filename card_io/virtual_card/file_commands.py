"""Commands on files: SELECT, READ, UPDATE under secure messaging, and the cache of a composite purchase."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from card_io.apdu import Command
from card_io.layouts.applications import AID, APPLICATION_VERSION, DF_NAME, DIRECTORY_ENTRY, FCI, ISSUER_DATA
from card_io.layouts.files import IndustryRecord, JourneyRecord
from card_io.layouts.tlv import make_tlv
from card_io.records import TxnType
from card_io.virtual_card.memory import JOURNEY_RECORDS, LOG_RECORDS, Block
from card_io.virtual_card.security_commands import check_maintenance_mac
from card_io.virtual_card.work import Refused, Work, require

DIRECTORY: Final = b"2PAY.SYS.DDF01"
_BY_NAME: Final = 0x04
_LOG, _INDUSTRY, _JOURNEYS = 0x18, 0x1A, 0x1E
_EMPTY_LOG: Final = bytes(23)
_EMPTY_JOURNEY: Final = bytes(JourneyRecord.LENGTH)
_LOCK_FLAG: Final = 5
_CURRENT_SLOT: Final = 0


def select(work: Work, command: Command) -> bytes:
    """SELECT by name: the purse (its FCI carries file 15) or the payment directory."""
    require((command.p1, command.p2) == (_BY_NAME, 0), 0x6A86)
    if command.data == DIRECTORY:
        work.selected = False
        return _directory(work)
    require(command.data == work.memory.aid, 0x6A82)
    require(work.memory.block is not Block.PERMANENT, 0x9303)
    work.selected, work.pin_verified = True, False
    version = make_tlv(APPLICATION_VERSION, value=b"\x02")
    proprietary = make_tlv(0xA5, children=(version, make_tlv(ISSUER_DATA, value=work.memory.file_15)))
    fci = make_tlv(FCI, children=(make_tlv(DF_NAME, value=work.memory.aid), proprietary)).encode()
    if work.memory.block is Block.TEMPORARY:
        raise Refused(0x6283, fci)
    return fci


def _directory(work: Work) -> bytes:
    label = make_tlv(0x50, value=b"MOT_T_EP")
    entry = make_tlv(DIRECTORY_ENTRY, children=(make_tlv(AID, value=work.memory.aid), label))
    issuer = make_tlv(0xBF0C, children=(entry,))
    fci = (make_tlv(DF_NAME, value=DIRECTORY), make_tlv(0xA5, children=(issuer,)))
    return make_tlv(FCI, children=fci).encode()


def read_binary(work: Work, command: Command) -> bytes:
    """READ BINARY by short file identifier: 15, 16, 17 and the extension files 06, 07."""
    require(work.selected, 0x6985)
    content = _transparent(work, command)
    require(command.p2 < len(content), 0x6B00)
    rest = content[command.p2 :]
    wanted = command.le or 0x100
    if wanted == 0x100:
        return rest
    if wanted > len(rest):
        raise Refused(0x6C00 | len(rest))
    return rest[:wanted]


def read_record(work: Work, command: Command) -> bytes:
    """READ RECORD by number: 18 and 1E newest first, 1A in order of its slots."""
    require(work.selected, 0x6985)
    require(command.p2 & 0x07 == 0x04, 0x6A86)
    records = _records(work, command.p2 >> 3)
    require(1 <= command.p1 <= len(records), 0x6A83)
    record = records[command.p1 - 1]
    if command.le not in (None, 0x100, len(record)):
        raise Refused(0x6C00 | len(record))
    return record


def update_binary(work: Work, command: Command) -> bytes:
    """UPDATE BINARY (04 D6) with a secure messaging MAC: files 15, 16, 17, 06, 07."""
    work.require_purse()
    payload = check_maintenance_mac(work, command)
    content = _transparent(work, command)
    require(command.p2 + len(payload) <= len(content), 0x6A84)
    changed = content[: command.p2] + payload + content[command.p2 + len(payload) :]
    file = command.p1 & 0x1F
    memory = work.memory
    match file:
        case 0x15:
            work.memory = replace(memory, file_15=changed)
        case 0x16:
            work.memory = replace(memory, file_16=changed)
        case 0x17:
            work.memory = replace(memory, file_17=changed)
        case _:
            work.memory = replace(memory, extensions={**memory.extensions, file: changed})
    return b""


def update_record(work: Work, command: Command) -> bytes:
    """UPDATE RECORD (04 DC) with a secure messaging MAC: a slot of 1A; the log is the card's alone."""
    work.require_purse()
    payload = check_maintenance_mac(work, command)
    require(command.p2 >> 3 == _INDUSTRY, 0x6981)
    require(len(payload) == IndustryRecord.LENGTH, 0x6700)
    require(payload[:2] in work.memory.industry, 0x6A83)
    work.memory = work.memory.with_industry(payload)
    return b""


def update_cache(work: Work, command: Command) -> bytes:
    """UPDATE CAPP DATA CACHE (80 DC): keeps a record of 1A or 1E until the debit writes it.

    P1 00: the slot of 1A that the record's own tag names, or a new record of 1E (T-Union form). Status 6974 for a
    slot that is locked.
    """
    pending = work.pending
    if pending is None or pending.txn_type is not TxnType.COMPOSITE_PURCHASE:
        raise Refused(0x6901)
    require(command.p1 == _CURRENT_SLOT and command.p2 & 0x07 == 0, 0x6A86)
    record = command.data
    match command.p2 >> 3:
        case 0x1A:
            require(len(record) == IndustryRecord.LENGTH, 0x6700)
            slot = work.memory.industry.get(record[:2])
            if slot is None:
                raise Refused(0x6A83)
            require(slot[_LOCK_FLAG] == 0, 0x6974)
        case 0x1E:
            require(len(record) == JourneyRecord.LENGTH, 0x6700)
        case _:
            raise Refused(0x6A82)
    work.pending = replace(pending, cache=(*pending.cache, record))
    return b""


def _transparent(work: Work, command: Command) -> bytes:
    require(command.p1 & 0xE0 == 0x80, 0x6A86)
    memory = work.memory
    files = {0x15: memory.file_15, 0x16: memory.file_16, 0x17: memory.file_17, **memory.extensions}
    file = command.p1 & 0x1F
    require(file not in (_LOG, _INDUSTRY, _JOURNEYS), 0x6981)
    if file not in files:
        raise Refused(0x6A82)
    return files[file]


def _records(work: Work, file: int) -> tuple[bytes, ...]:
    memory = work.memory
    match file:
        case 0x18:
            return memory.log + (_EMPTY_LOG,) * (LOG_RECORDS - len(memory.log))
        case 0x1A:
            return tuple(memory.industry.values())
        case 0x1E:
            return memory.journeys + (_EMPTY_JOURNEY,) * (JOURNEY_RECORDS - len(memory.journeys))
        case 0x15 | 0x16 | 0x17:
            raise Refused(0x6981)
        case _:
            raise Refused(0x6A82)
