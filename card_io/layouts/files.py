"""The files of a purse card: application data (15), holder (16), region (17), log (18), industry (1A), journeys (1E).

Sources: `card-standards.md` §3, which were checked against real cards; JT/T 978.2 and JR/T 0025.1 name the fields.
"""

from __future__ import annotations

from typing import ClassVar, Final

from card_io.layouts.layout import Layout, Vector, date4, hexa, moment7, text, time3, uint, uint_le

_EMULATOR: Final = "domosekai/cardemulator, HCEService.kt (Unlicense)"
_NFC: Final = "CoreExtendedNFC, TUnionTests.swift (MIT)"


class TUnionApplication(
    Layout, name="tunion_15", zh="交通联合公共应用信息", en="T-Union application data, file 15", source="§3.2 [V]"
):
    """File 15 of a T-Union purse, also tag 9F0C of its FCI."""

    issuer_id: str = hexa(8, "issuer: eight bytes, national institution number first")
    application_type: int = uint(1, "01 without PIN, 02 with PIN, 03 e-cash …")
    application_version: int = uint(1, "version of the application")
    serial: str = hexa(10, "application serial: a 0 and the 19 digits of the card number")
    valid_from: int = date4("first day of validity")
    valid_to: int = date4("last day of validity")
    issuer_fci: str = hexa(2, "the issuer's own FCI data", default="0000")

    VECTORS: ClassVar = (
        Vector(
            "01011000FFFFFFFF02010310517005678901234520190806204012310000",
            {
                "issuer_id": "01011000FFFFFFFF",
                "application_type": 2,
                "application_version": 1,
                "serial": "03105170056789012345",
                "valid_from": 0x20190806,
                "valid_to": 0x20401231,
                "issuer_fci": "0000",
            },
            _EMULATOR,
        ),
    )


class CityUnionApplication(
    Layout,
    name="cityunion_15",
    zh="城市一卡通公共应用信息",
    en="CityUnion application data, file 15",
    source="§3.2 [1]",
):
    """File 15 of a CJ/T 166 purse in its form of 30 bytes with a serial of 8."""

    issuer: str = hexa(2, "issuer code")
    city: str = hexa(2, "city code")
    industry: str = hexa(2, "industry code")
    reserved: str = hexa(2, "reserved", default="FFFF")
    enabled: int = uint(1, "application enabled flag")
    application_version: int = uint(1, "version of the application")
    interop: str = hexa(2, "mutual recognition flag")
    serial: str = hexa(8, "application serial")
    valid_from: int = date4("first day of validity")
    valid_to: int = date4("last day of validity")
    issuer_fci: str = hexa(2, "the issuer's own FCI data", default="0000")

    VECTORS: ClassVar = (
        Vector(
            "869820007590FFFF820520007D93847E0526E0B820180724202410160214",
            {
                "issuer": "8698",
                "city": "2000",
                "industry": "7590",
                "enabled": 0x82,
                "interop": "2000",
                "serial": "7D93847E0526E0B8",
                "valid_from": 0x20180724,
                "valid_to": 0x20241016,
            },
            _EMULATOR,
        ),
    )


class ShenzhenApplication(
    Layout,
    name="shenzhen_15",
    zh="深圳通公共应用信息",
    en="Shenzhen Tong application data, file 15",
    source="§3.2 [2+]",
):
    """File 15 of a Shenzhen Tong, 32 bytes; the card number printed on it is the serial read little endian."""

    head: str = hexa(8, "not known", default="00" * 8)
    issuer: str = hexa(8, "issuer bytes, city code 5180 inside")
    serial: int = uint_le(4, "serial; its decimal form is the number printed on the card")
    valid_from: int = date4("first day of validity")
    valid_to: int = date4("last day of validity")
    reserved: str = hexa(4, "not known")

    VECTORS: ClassVar = (
        Vector(
            "0000000000000000FD44000051800000E63C1D29201712012027120110100000",
            {
                "issuer": "FD44000051800000",
                "serial": 0x291D3CE6,
                "valid_from": 0x20171201,
                "valid_to": 0x20271201,
                "reserved": "10100000",
            },
            _EMULATOR,
        ),
    )


class Holder(Layout, name="holder_16", zh="持卡人基本信息", en="card holder, file 16", source="§3.3; JR/T 0025.1"):
    """File 16. Personal data: it never enters a clearing table, a story or a message."""

    card_type: int = uint(1, "kind of card")
    staff: int = uint(1, "staff of the issuer")
    holder_name: str = text(20, "name", personal=True)
    document_number: str = text(32, "number of the identity document", personal=True)
    document_type: int = uint(1, "00 identity card, 01 officer, 02 passport, 03 entry permit, 04 temporary, 05 other")

    VECTORS: ClassVar = (
        Vector(
            "0100" + "B3D6BFA8C8CB".ljust(40, "0") + "00" * 32 + "05",
            {"card_type": 1, "staff": 0, "holder_name": "持卡人", "document_number": "", "document_type": 5},
            "made up",
        ),
    )


class Region(
    Layout, name="tunion_17", zh="交通联合管理信息", en="T-Union region and kind, file 17", source="§3.4 [2+]"
):
    """File 17 of a T-Union purse."""

    country: str = hexa(4, "international code")
    province: str = hexa(2, "province code")
    city: str = hexa(2, "city code")
    interop: str = hexa(2, "0000 local only, 0001 mutual recognition")
    card_kind: int = uint(1, "kind of card: 00 ordinary, others by the issuer")
    reserved: str = hexa(49, "reserved", default="00" * 49)

    VECTORS: ClassVar = (
        Vector(
            "00000156" + "3100" + "2900" + "0001" + "00" + "00" * 49,
            {"country": "00000156", "province": "3100", "city": "2900", "interop": "0001", "card_kind": 0},
            "made up; China is 0156 (ISO 3166), Shanghai 2900",
        ),
    )


class LogRecord(
    Layout, name="log_18", zh="交易明细", en="transaction log record, file 18 (cyclic, 10 records)", source="§3.1 [V]"
):
    """One record of the cyclic log; unused slots are all 00 or all FF."""

    counter: int = uint(2, "offline counter of a debit, online counter of a load; value after the transaction")
    overdraft_limit: int = uint(3, "overdraft limit, fen")
    amount: int = uint(4, "amount, fen")
    txn_type: int = uint(1, "01 02 load, 03 unload, 05 06 purchase, 07 limit change, 09 composite purchase")
    terminal: str = hexa(6, "PSAM number; Shenzhen: its first digit is the mode (3 bus, 6 metro)")
    date4: int = date4("date")
    time3: int = time3("time")

    VECTORS: ClassVar = (
        Vector(
            "0002000000000000000220009999004020200115151321",
            {
                "counter": 2,
                "overdraft_limit": 0,
                "amount": 0,
                "txn_type": 2,
                "terminal": "200099990040",
                "date4": 0x20200115,
                "time3": 0x151321,
            },
            _NFC,
        ),
        Vector(
            "0002000000000001F40941310617074320210509112135",
            {"counter": 2, "amount": 500, "txn_type": 9, "terminal": "413106170743", "date4": 0x20210509},
            _EMULATOR,
        ),
    )

    @property
    def is_empty(self) -> bool:
        """The slot holds nothing."""
        return (self.txn_type, self.date4) in ((0, 0), (0xFF, 0xFFFFFFFF))


class IndustryRecord(
    Layout, name="industry_1a", zh="行业应用记录", en="industry record, file 1A (tags 2701 … 2712)", source="§3.5 [V]"
):
    """One slot of the composite-purchase file: the last entry and exit of one industry."""

    tag: str = hexa(2, "2701 metro, 2702 bus … 2712")
    length: int = uint(1, "length of the rest that is used", default=0x7D)
    valid: int = uint(1, "01 valid", default=1)
    txn_flag: int = uint(1, "01 composite purchase, 02 pre-authorisation", default=1)
    locked: int = uint(1, "01 locked: no composite purchase on this slot", default=0)
    serial: str = hexa(8, "serial of the industry transaction")
    state: int = uint(1, "00 initial, 01 on (entered), 02 off (left)")
    entry_city: str = hexa(2, "entry: city code")
    entry_institution: str = hexa(8, "entry: institution")
    entry_operator: str = hexa(2, "entry: operator")
    entry_line: str = hexa(2, "entry: line")
    entry_station: int = uint(1, "entry: station")
    entry_bus: str = hexa(8, "entry: vehicle")
    entry_terminal: str = hexa(8, "entry: terminal")
    entry_time: int = moment7("entry: time")
    maximum_fare: int = uint(4, "entry: fare to take when the exit is missing, fen")
    direction: int = uint(1, "entry: direction")
    exit_city: str = hexa(2, "exit: city code")
    exit_institution: str = hexa(8, "exit: institution")
    exit_operator: str = hexa(2, "exit: operator")
    exit_line: str = hexa(2, "exit: line")
    exit_station: int = uint(1, "exit: station")
    exit_bus: str = hexa(8, "exit: vehicle")
    exit_terminal: str = hexa(8, "exit: terminal")
    exit_time: int = moment7("exit: time")
    amount: int = uint(4, "exit: fare taken, fen")
    mileage: int = uint(2, "exit: distance")
    reserved: str = hexa(26, "reserved; some cards keep a check code in its end", default="00" * 26)

    VECTORS: ClassVar = (
        Vector(
            "27027D01010000000000000770850210001101" + "1000FFFFFFFF" + "00010029103030303332383435"
            "000000100900759720191129132545" + "0000012CAB" + "100011011000FFFFFFFF" + "000100290D3030303332383435"
            "000000100900759820191129133046" + "0000006400C8" + "00" * 24 + "DDF3",
            {
                "tag": "2702",
                "state": 2,
                "entry_city": "1000",
                "entry_institution": "11011000FFFFFFFF",
                "entry_line": "0029",
                "entry_station": 0x10,
                "entry_time": 0x20191129132545,
                "maximum_fare": 300,
                "exit_station": 0x0D,
                "exit_time": 0x20191129133046,
                "amount": 100,
                "mileage": 200,
            },
            _EMULATOR,
        ),
    )


class JourneyRecord(
    Layout, name="journey_1e", zh="行程记录", en="journey record, file 1E (30 records)", source="§3.6 [V]"
):
    """One entry, exit or single ride; written by composite purchases and by free entries."""

    kind: int = uint(
        1, "01 02 e-cash in out, 03 04 purse in out, 05 06 e-cash, purse single, 07 08 top-up, 09 0A load"
    )
    terminal: str = hexa(8, "terminal")
    mode: int = uint(1, "01 metro, 02 bus, 03 water, 04 taxi, 05 rental, 06 bicycle, 07 parking, 08 coach …")
    line: str = hexa(4, "line")
    site: str = hexa(3, "station or vehicle")
    amount: int = uint(4, "amount, fen")
    balance: int = uint(4, "balance after, fen")
    time: int = moment7("time")
    city: str = hexa(2, "city code")
    institution: str = hexa(8, "acquiring institution")
    tail: str = hexa(6, "reserved; some cities keep the fare and minutes of an incomplete journey", default="00" * 6)

    VECTORS: ClassVar = (
        Vector(
            "0303224219000000000103221900000000000000000000044C20210501154509690011656900FFFFFFFF000000000000",
            {
                "kind": 3,
                "terminal": "0322421900000000",
                "mode": 1,
                "line": "03221900",
                "site": "000000",
                "amount": 0,
                "balance": 1100,
                "time": 0x20210501154509,
                "city": "6900",
                "institution": "11656900FFFFFFFF",
                "tail": "000000000000",
            },
            _EMULATOR,
        ),
    )

    @property
    def is_empty(self) -> bool:
        """The slot holds nothing."""
        return (self.kind, self.time) in ((0, 0), (0xFF, 0xFFFFFFFFFFFFFF))


JOURNEY_KINDS: Final = {
    0x01: ("电子现金进站", "e-cash entry"),
    0x02: ("电子现金出站", "e-cash exit"),
    0x03: ("电子钱包进站", "purse entry"),
    0x04: ("电子钱包出站", "purse exit"),
    0x05: ("电子现金单次", "e-cash single ride"),
    0x06: ("电子钱包单次", "purse single ride"),
    0x07: ("电子现金补票", "e-cash fare adjustment"),
    0x08: ("电子钱包补票", "purse fare adjustment"),
    0x09: ("电子现金充值", "e-cash load"),
    0x0A: ("电子钱包充值", "purse load"),
}
"""Kinds of journey records in Chinese and English; other bytes occur and mean nothing that is published."""

MODES: Final = {
    0x01: ("地铁", "metro"),
    0x02: ("公交", "bus"),
    0x03: ("水上交通", "water"),
    0x04: ("出租车", "taxi"),
    0x05: ("租车", "car rental"),
    0x06: ("自行车", "bicycle"),
    0x07: ("停车", "parking"),
    0x08: ("长途客运", "coach"),
    0x09: ("轮渡", "ferry"),
    0x0A: ("城际铁路", "intercity rail"),
    0x0B: ("民航", "air"),
    0x0C: ("高速公路", "expressway"),
    0x0E: ("市郊铁路", "suburban rail"),
}
"""Modes of byte 9 of a journey record."""

TXN_TYPES: Final = {
    0x01: ("存折圈存", "deposit load"),
    0x02: ("钱包圈存", "purse load"),
    0x03: ("圈提", "unload"),
    0x04: ("存折取款", "deposit cash"),
    0x05: ("存折消费", "deposit purchase"),
    0x06: ("钱包消费", "purse purchase"),
    0x07: ("修改透支限额", "overdraft limit change"),
    0x08: ("信用消费", "credit purchase"),
    0x09: ("复合消费", "composite purchase"),
}
"""PBOC transaction type identifiers (§2.1)."""
