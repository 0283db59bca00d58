"""Select the purse of a card and read what it says about itself, its money and its past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from card_io.apdu import OK, CardChannel, Command
from card_io.layouts.applications import T_UNION_PURSE, Application, Family, algorithm_of, read_fci
from card_io.layouts.commands import Balance, PurseLimits
from card_io.layouts.errors import LayoutError
from card_io.layouts.files import CityUnionApplication, IndustryRecord, JourneyRecord, LogRecord, TUnionApplication
from card_io.readers.faults import ProtocolFault, RefusedFault
from card_io.records import Algorithm

LOG_FILE: Final = 0x18
INDUSTRY_FILE: Final = 0x1A
JOURNEY_FILE: Final = 0x1E
_BLOCKED: Final = 0x6283
_NO_RECORD: Final = 0x6A83
_INDUSTRY_SLOTS: Final = 18
_LOG_RECORDS: Final = 10
_JOURNEY_RECORDS: Final = 30
_PURSE: Final = 0x02
_FILE_15: Final[dict[Family, type[TUnionApplication] | type[CityUnionApplication]]] = {
    Family.T_UNION: TUnionApplication,
    Family.CITY_UNION: CityUnionApplication,
}


@dataclass(frozen=True, slots=True)
class PurseCard:
    """A selected purse.

    Attributes:
        issuer_id: eight issuer bytes of file 15.
        serial: application serial as hexadecimal digits; of T-Union a 0 and the 19 digits of the card number.
        valid_from, valid_to: BCD dates as integers.
        blocked: the card said 6283: its application is blocked for a time.
    """

    application: Application
    issuer_id: bytes
    serial: str
    valid_from: int
    valid_to: int
    blocked: bool
    file_15: bytes

    @property
    def card_number(self) -> str:
        """The number as records carry it: the last 19 digits of a T-Union serial, else the whole serial."""
        return self.serial[1:] if len(self.serial) == 20 and self.serial[0] == "0" else self.serial

    @property
    def factor(self) -> bytes:
        """What master keys are diversified by: the last eight bytes of the serial."""
        return bytes.fromhex(self.serial)[-8:]

    def algorithm(self, said: int) -> Algorithm:
        """The algorithm an INITIALIZE answer names; `ProtocolFault` for one this application cannot have."""
        try:
            return algorithm_of(self.application, said)
        except LayoutError as error:
            raise ProtocolFault(str(error), "give the card to its issuer") from None


def select_purse(channel: CardChannel, aid: str = T_UNION_PURSE.aid) -> PurseCard:
    """Select the purse `aid` (hexadecimal) and read file 15 from its FCI, or by READ BINARY where the FCI lacks it.

    A blocked application is returned with `blocked` set.

    Raises:
        RefusedFault: no such application, or blocked for ever (9303).
        ProtocolFault: file 15 is of no family that purse dialogues know.
    """
    command = Command(0x00, 0xA4, 0x04, 0x00, bytes.fromhex(aid), 0x100, "SELECT")
    response = channel.send(command)
    if response.status not in (OK, _BLOCKED):
        with channel.explained():
            raise RefusedFault(command.name, response.status)
    with channel.explained():
        try:
            selected = read_fci(response.data)
            raw = selected.issuer_data or read_binary(channel, 0x15)
            layout = _FILE_15.get(selected.application.family)
            if layout is None:
                raise ProtocolFault(f"{selected.application.en} is read only here", "use a T-Union or CityUnion card")
            file_15 = layout.decode(raw)
        except LayoutError as error:
            raise ProtocolFault(f"SELECT: {error}", "use a card of the city or of T-Union") from None
    return PurseCard(
        application=selected.application,
        issuer_id=raw[:8],
        serial=file_15.serial,
        valid_from=file_15.valid_from,
        valid_to=file_15.valid_to,
        blocked=response.status == _BLOCKED,
        file_15=raw,
    )


def read_binary(channel: CardChannel, file: int) -> bytes:
    """A whole transparent file by its short identifier (15, 16, 17, 06, 07). Raises `RefusedFault`."""
    return channel.ask(Command(0x00, 0xB0, 0x80 | file, 0x00, le=0x100, name=f"READ BINARY {file:02X}"))


def read_record(channel: CardChannel, file: int, number: int) -> bytes | None:
    """A record by number, from 1; None past the last one. Raises `RefusedFault` for other refusals."""
    command = Command(0x00, 0xB2, number, file << 3 | 0x04, le=0x100, name=f"READ RECORD {file:02X}/{number}")
    response = channel.send(command)
    if response.status == _NO_RECORD:
        return None
    if response.status != OK:
        with channel.explained():
            raise RefusedFault(command.name, response.status)
    return response.data


def read_balance(channel: CardChannel) -> int:
    """What can be spent, fen: the balance of all answers of the card."""
    raw = channel.ask(Command(0x80, 0x5C, 0x00, _PURSE, le=4, name="GET BALANCE"), Balance.LENGTH)
    return Balance.decode(raw).balance


def read_limits(channel: CardChannel) -> PurseLimits:
    """Overdraft limit, overdraft used, actual balance and cap by four extended GET BALANCE (T-Union)."""
    limit, used, actual, cap = (
        int.from_bytes(channel.ask(Command(0x80, 0x5C, p1, _PURSE, le=4, name=f"GET BALANCE {p1:02X}"), 4), "big")
        for p1 in (1, 2, 3, 4)
    )
    return PurseLimits(cap=cap, balance=actual, overdraft_limit=limit, overdraft_used=used)


def read_log(channel: CardChannel) -> tuple[LogRecord, ...]:
    """The transaction log, newest first, without empty slots (at most ten)."""
    records = (LogRecord.decode(raw) for raw in _all_records(channel, LOG_FILE, _LOG_RECORDS))
    return tuple(record for record in records if not record.is_empty)


def read_journeys(channel: CardChannel) -> tuple[JourneyRecord, ...]:
    """The journey records, newest first, without empty slots (at most thirty)."""
    records = (JourneyRecord.decode(raw) for raw in _all_records(channel, JOURNEY_FILE, _JOURNEY_RECORDS))
    return tuple(record for record in records if not record.is_empty)


def read_industry(channel: CardChannel, tag: str) -> tuple[int, IndustryRecord] | None:
    """Slot number and record of the industry `tag` (2701 metro, 2702 bus …); None when the card has no such slot."""
    for number, raw in enumerate(_all_records(channel, INDUSTRY_FILE, _INDUSTRY_SLOTS), 1):
        if raw[:2].hex().upper() == tag:
            return number, IndustryRecord.decode(raw)
    return None


def _all_records(channel: CardChannel, file: int, most: int) -> Iterator[bytes]:
    for number in range(1, most + 1):
        raw = read_record(channel, file, number)
        if raw is None:
            return
        yield raw
