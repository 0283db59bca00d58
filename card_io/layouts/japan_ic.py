"""Japan IC (Suica family, FeliCa system 0003): read-only, for inspection (`card-standards.md` §3.7).

Serial numbers step by one or two, because gate entries take one without a stored block: a gap is not a loss there.
"""

from __future__ import annotations

import datetime
from typing import ClassVar, Final

from card_io.layouts.errors import ContentError
from card_io.layouts.layout import Layout, Vector, hexa, uint, uint_le

_NFC: Final = "CoreExtendedNFC, JapanICTests.swift (MIT)"


class HistoryBlock(
    Layout,
    name="japan_ic_history",
    zh="日本交通 IC 履历",
    en="Japan IC history block, service 090F",
    source="§3.7 [V]",
):
    """One of twenty blocks, newest first; all-zero blocks are unused."""

    terminal: int = uint(1, "kind of terminal: 16 gate, 05 vehicle, 07 08 machine, C7 C8 shop")
    process: int = uint(1, "kind of process: 01 exit, 02 charge, 07 issue, 0F bus, 46 sale")
    payment: int = uint(1, "kind of payment")
    entry_kind: int = uint(1, "kind of entry and exit")
    date: int = uint(2, "day: year since 2000 in 7 bits, month in 4, day in 5")
    entry_line: int = uint(1, "entry: line (sales: time)")
    entry_station: int = uint(1, "entry: station")
    exit_line: int = uint(1, "exit: line")
    exit_station: int = uint(1, "exit: station")
    balance: int = uint_le(2, "yen after")
    serial: int = uint(3, "serial number")
    region: int = uint(1, "region of the stations")

    VECTORS: ClassVar = (
        Vector(
            "1601001730B5D470FABBA80500006AA0",
            {
                "terminal": 0x16,
                "process": 1,
                "date": 0x30B5,
                "entry_line": 0xD4,
                "exit_station": 0xBB,
                "balance": 1448,
                "serial": 0x6A,
                "region": 0xA0,
            },
            _NFC,
        ),
    )

    @property
    def is_empty(self) -> bool:
        """The block holds no event."""
        return self.date == 0

    def day(self) -> datetime.date:
        """The day of the event.

        Raises:
            ContentError: when the bits are no day.
        """
        try:
            return datetime.date(2000 + (self.date >> 9), self.date >> 5 & 15, self.date & 31)
        except ValueError:
            raise ContentError("japan_ic_history.date", f"{self.date:04X} is no day", "read the card again") from None


class BalanceBlock(
    Layout,
    name="japan_ic_balance",
    zh="日本交通 IC 余额",
    en="Japan IC balance block, service 008B",
    source="§3.7 [V]",
):
    """Balance and the newest serial number."""

    reserved: str = hexa(8, "not read")
    card_kind: int = uint(1, "kind of card in the first digit")
    reserved_2: str = hexa(2, "not read")
    balance: int = uint_le(2, "yen")
    reserved_3: str = hexa(1, "not read")
    serial: int = uint(2, "newest serial number")

    VECTORS: ClassVar = (Vector("00000000000000002000001B0000006F", {"balance": 27, "serial": 0x6F}, _NFC),)
