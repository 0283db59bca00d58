"""Other cards a counter meets, read-only: T-money, EasyCard, Opal, HSL. Their layouts are known from public readers.

Each was checked against one dump and what another program (Metrodroid) says it contains.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from card_io.layouts.layout import Layout, bits, date4, hexa, moment7, uint, uint_le


class TMoneyPurse(
    Layout, name="tmoney_purse", zh="T-money 钱包信息", en="T-money purse, FCI tag B0", source="KSX 6924 [V]"
):
    """Value of tag B0 in the answer to SELECT, and record 1 of file 2."""

    card_type: int = uint(1, "00 prepaid, 10 postpaid, 15 mobile …")
    algorithm: int = uint(1, "00 SEED, 10 3DES")
    key_version: int = uint(1, "version of the key")
    issuer: int = uint(1, "08 Korea Smart Card Corporation …")
    serial: str = hexa(8, "card number")
    authentication_id: str = hexa(5, "authentication id, BCD")
    issued: int = date4("day of issue")
    expires: int = date4("last day of validity")
    user_code: int = uint(1, "ticket type of the holder")
    discount: int = uint(1, "discount type")
    balance_limit: int = uint(4, "won")
    branch: str = hexa(2, "branch")
    transaction_limit: int = uint(4, "won")
    carrier: int = uint(1, "mobile carrier")
    financial_institution: int = uint(1, "financial institution")
    reserved: str = hexa(8, "reserved")


class TMoneyRecord(
    Layout, name="tmoney_record", zh="T-money 交易记录", en="T-money record, file 4", source="KSX 6924 [V]"
):
    """One record of the balance log. Records of a load carry FF in place of a time."""

    kind: int = uint(1, "01 use, 02 load")
    length: int = uint(1, "length of the rest")
    balance: int = uint(4, "won after")
    counter: int = uint(4, "transaction counter")
    amount: int = uint(4, "won")
    terminal: str = hexa(8, "security module")
    terminal_counter: int = uint(4, "transaction number of the security module")
    time: int = moment7("time")
    reserved: str = hexa(13, "not read")


class EasyCardRecord(
    Layout, name="easycard_record", zh="悠游卡记录", en="EasyCard trip or load, Mifare block", source="Metrodroid [V]"
):
    """Blocks of sectors 3 to 5 (trips) and block 2 of sector 2 (last load)."""

    kind: int = uint(1, "not read")
    time: int = uint_le(4, "seconds since 1970, UTC")
    process: int = uint(1, "00 entry or bus, 11 exit, 30 load")
    amount: int = uint_le(2, "New Taiwan dollars")
    balance: int = uint_le(2, "New Taiwan dollars after")
    route: int = uint(1, "kind of line or place")
    station: int = uint(1, "station")
    machine: int = uint_le(3, "machine")
    reserved: int = uint(1, "not read")


class EasyCardPurse(
    Layout,
    name="easycard_purse",
    zh="悠游卡余额",
    en="EasyCard value block, sector 2",
    source="Mifare value block [V]",
):
    """Block 0 of sector 2."""

    balance: int = uint_le(4, "New Taiwan dollars")
    reserved: str = hexa(12, "complement and address as the operator keeps them")


class OpalCard(
    Layout, name="opal", zh="Opal 卡", en="Opal, DESFire file 7 (little endian bits)", source="Metrodroid [V]"
):
    """The one file of an Opal card that anyone may read."""

    BYTE_ORDER: ClassVar[Literal["little"]] = "little"

    checksum: int = bits(16, "check code")
    weekly_trips: int = bits(4, "paid trips of this week")
    auto_top_up: int = bits(1, "1 = loads itself")
    action: int = bits(4, "what the last transaction was; 7 journey completed, distance fare")
    vehicle: int = bits(3, "0 rail, 1 ferry or light rail, 2 bus")
    minute: int = bits(11, "minute of the day of the last transaction")
    day: int = bits(15, "days since 1980-01-01 of the last transaction")
    balance_bits: int = bits(21, "cents after, two's complement")
    counter: int = bits(16, "transaction number")
    blocked: int = bits(1, "1 = blocked")
    check_digit: int = bits(4, "last digit of the number")
    serial: int = bits(32, "number without head and check digit")

    @property
    def balance_cents(self) -> int:
        """The balance in Australian cents, negative when in debt."""
        return self.balance_bits - ((self.balance_bits & (1 << 20)) << 1)


class HslSerial(
    Layout, name="hsl_serial", zh="HSL 卡号", en="HSL card number, DESFire file 8", source="Metrodroid [V]"
):
    """File 8."""

    head: str = hexa(1, "version")
    serial: str = hexa(9, "card number")
    reserved: str = hexa(1, "reserved")


class HslValue(
    Layout, name="hsl_value", zh="HSL 储值", en="HSL stored value, DESFire file 2", source="Metrodroid [V]"
):
    """Balance and the last load."""

    balance: int = bits(20, "cents")
    load_day: int = bits(14, "days since 1997-01-01 of the last load")
    load_minute: int = bits(11, "minute of that day")
    load_amount: int = bits(20, "cents")
    organisation: int = bits(14, "who loaded")
    device: int = bits(14, "machine")
    reserved: int = bits(11, "reserved")
