"""The transaction record: one schema shared by terminals, delivery files and the clearing engine.

The column names are the schema. Money is int64 fen, times are seconds of the centre's wall time since
1970-01-01, identifiers are integers. No floats, no Decimals.

Nullable columns are int64 and hold :data:`NULL` where the source has no value; every other column is
always present. Service columns follow the field's own terms: transit as JT/T 978 and GTFS Fares v2 name
them, medical as the national settlement interface 2207/2208 names them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NULL: Final = -(2**63)
"""The missing value of every nullable int64 column. Amount 0 stays 0."""

Columns = dict[str, npt.NDArray[Any]]
"""Equal-length 1-D arrays by column name."""


class Service(IntEnum):
    """What the cardholder did with the card."""

    TRANSIT = 1
    MEDICAL = 2
    UTILITY = 3
    RETAIL = 4
    LOAD = 5
    BENEFIT = 6


class TxnType(IntEnum):
    """PBOC transaction type identifiers (JR/T 0025; JT/T 978) and one own value for rows without purse."""

    NO_PURSE = 0x00
    DEPOSIT_LOAD = 0x01
    PURSE_LOAD = 0x02
    UNLOAD = 0x03
    DEPOSIT_PURCHASE = 0x05
    PURSE_PURCHASE = 0x06
    OVERDRAFT_LIMIT = 0x07
    COMPOSITE_PURCHASE = 0x09


LOAD_TYPES: Final = (TxnType.DEPOSIT_LOAD, TxnType.PURSE_LOAD)
PURCHASE_TYPES: Final = (TxnType.DEPOSIT_PURCHASE, TxnType.PURSE_PURCHASE, TxnType.COMPOSITE_PURCHASE)


class PurseKind(IntEnum):
    """Which money container on the card moved."""

    PURSE = 1
    E_CASH = 2


class RecordState(IntEnum):
    """How far the terminal got (grey: torn before the card's answer; locked: purse grey-locked)."""

    NORMAL = 0
    GREY = 1
    LOCKED = 2


class Algorithm(IntEnum):
    """MAC algorithm id of the record; 0x00 and 0x04 are PBOC's, 0xF0 and above are the centre's own."""

    TDES = 0x00
    SM4 = 0x04
    NONE = 0xF0


class Mode(IntEnum):
    """Transit mode, as byte 9 of a T-Union journey record (SFI 1E)."""

    METRO = 1
    BUS = 2
    TAXI = 4
    BIKE = 6
    PARKING = 7


class Commodity(IntEnum):
    """What a utility bill is for."""

    WATER = 1
    ELECTRICITY = 2
    GAS = 3


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its dtype, its meaning with unit, whether a value may be missing, or the whole column."""

    name: str
    dtype: str
    meaning: str
    nullable: bool = False
    optional: bool = False
    """A delivery may leave the column out; then it is missing throughout."""


def _null(name: str, meaning: str) -> Field:
    return Field(name, "int64", meaning, nullable=True)


def _optional(name: str, meaning: str) -> Field:
    return Field(name, "int64", meaning, nullable=True, optional=True)


CARD_NO: Final = Field("card_no", "text", "application serial / PAN; text at the edge only")

COMMON_FIELDS: Final[tuple[Field, ...]] = (
    Field("issuer_id", "uint64", "big-endian integer of the eight issuer bytes of file 15"),
    Field("purse_kind", "uint8", "PurseKind"),
    Field("record_state", "uint8", "RecordState"),
    Field("test_flag", "uint8", "1 = test row: counted, never posted"),
    _null("card_counter", "purse offline (debit) or online (load) counter, value before the transaction"),
    Field("txn_type", "uint8", "TxnType"),
    Field("terminal_id", "uint64", "big-endian integer of the six raw PSAM bytes"),
    _null("terminal_counter", "terminal transaction number"),
    Field("date4", "uint32", "transaction date, raw BCD YYYYMMDD as integer"),
    Field("time3", "uint32", "transaction time, raw BCD hhmmss as integer"),
    Field("amount", "int64", "fen moved on the purse"),
    _null("balance_before", "fen on the purse before"),
    _null("balance_after", "fen on the purse after"),
    _null("overdraft_limit", "fen"),
    _null("overdraft_used", "fen"),
    Field("key_version", "uint8", "version of the TAC key"),
    Field("key_index", "uint8", "index of the TAC key"),
    Field("algorithm", "uint8", "Algorithm"),
    _null("tac", "transaction authentication code, big endian; missing = the source carries none"),
    Field("merchant_id", "uint32", "participant number of the payee; for loads of the agent"),
)

TRANSIT_FIELDS: Final[tuple[Field, ...]] = (
    Field("mode", "uint8", "Mode"),
    _null("line", "line or route code"),
    _null("entry_station", "station code"),
    _null("exit_station", "station code"),
    _null("entry_time", "seconds of wall time"),
    _null("vehicle", "vehicle or gate code"),
    Field("direction", "uint8", "0 unknown, 1 up, 2 down"),
    Field("transfer_flag", "uint8", "1 = the terminal gave a transfer discount (联程标记)"),
    Field("incomplete", "uint8", "1 = one end of the journey is missing"),
    Field("card_class", "uint8", "concession class as the terminal saw it"),
    _null("gross_fare", "fen before discounts, as the terminal saw it"),
    _null("distance_m", "metres"),
    _null("duration_s", "seconds"),
)

MEDICAL_FIELDS: Final[tuple[Field, ...]] = (
    _null("region", "region of the insurer, GB/T 2260"),
    _null("institution", "institution code"),
    Field("institution_level", "uint8", "1, 2, 3"),
    Field("insured_type", "uint8", "1 employee, 2 resident"),
    Field("visit_kind", "uint8", "1 outpatient"),
    _null("settlement_id", "the insurer's settlement number"),
    Field("cancel", "uint8", "0 settle (2207), 1 cancel (2208)"),
    _null("category_a_amt", "category 甲, all of it in scope"),
    _null("category_b_amt", "category 乙, in scope after the person's own share"),
    _null("category_c_amt", "category 丙, out of the list"),
    Field("medfee_sumamt", "int64", "total fee"),
    Field("fulamt_ownpay_amt", "int64", "fully self-paid, 丙"),
    Field("overlmt_selfpay", "int64", "above the price ceiling, self-paid"),
    Field("preselfpay_amt", "int64", "乙 先行自付"),
    Field("inscp_scp_amt", "int64", "in policy scope"),
    Field("act_pay_dedc", "int64", "deductible used by this bill"),
    Field("hifp_pay", "int64", "basic pooled fund"),
    Field("cvlserv_pay", "int64", "civil-servant supplement"),
    Field("hifes_pay", "int64", "enterprise supplement"),
    Field("hifmi_pay", "int64", "resident serious illness"),
    Field("hifob_pay", "int64", "employee large amount"),
    Field("maf_pay", "int64", "medical assistance"),
    Field("oth_pay", "int64", "other funds"),
    Field("hosp_part_amt", "int64", "borne by the hospital"),
    Field("fund_pay_sumamt", "int64", "all funds"),
    Field("psn_part_amt", "int64", "person total"),
    Field("acct_pay", "int64", "personal account"),
    Field("acct_mulaid_pay", "int64", "family shared account"),
    Field("psn_cash_pay", "int64", "cash, the purse amount included"),
    # What only some tariffs ask for: without it a settlement cannot be recomputed by those.
    _optional("person_type", "class of person, 11 working, 12 retired in the national code list"),
    _optional("relation", "place of care against home, 0 at home, else as the tariff names it (异地就医)"),
    _optional("aid", "class of civil assistance (救助对象), 0 none"),
    _optional("category_b_service_amt", "category 乙 of services (诊疗项目), not in category_b_amt"),
    _optional("category_b_material_amt", "category 乙 of materials (医用耗材), not in category_b_amt"),
    _optional("household", "household of the insured person on the day"),
    _optional("program", "public programme that is second payer, 0 none"),
    _optional("program_limit", "most the person pays in a month under the programme"),
    _optional("income_class", "income class of a monthly limit"),
    _optional("income", "monthly income from which the class follows"),
    _optional("income_exempt", "1 = the household pays no income tax"),
)

LOAD_FIELDS: Final[tuple[Field, ...]] = (
    _null("benefit_id", "benefit picked up by this load; missing = an ordinary load"),
)

BENEFIT_FIELDS: Final[tuple[Field, ...]] = (
    _null("benefit_id", "number of the grant, unique per fund"),
    _null("list_id", "disbursement list"),
    _null("list_line", "line of the list"),
    Field("granted", "int64", "fen granted to the card"),
)

SERVICE_FIELDS: Final[dict[Service, tuple[Field, ...]]] = {
    Service.TRANSIT: TRANSIT_FIELDS,
    Service.MEDICAL: MEDICAL_FIELDS,
    Service.UTILITY: (),
    Service.RETAIL: (),
    Service.LOAD: LOAD_FIELDS,
    Service.BENEFIT: BENEFIT_FIELDS,
}

BILL_FIELDS: Final[tuple[Field, ...]] = (
    Field("utility_id", "uint32", "participant number of the utility that issued the bill"),
    Field("bill_id", "int64", "the utility's bill number"),
    Field("commodity", "uint8", "Commodity"),
    Field("account", "int64", "the utility's customer account"),
    Field("period", "uint32", "billing period YYYYMM"),
    Field("household_size", "uint8", "persons"),
    Field("usage", "int64", "thousandths: litres, Wh"),
    Field("bill_amount", "int64", "fen"),
    # What only some tariffs ask for: without it a bill cannot be recomputed by those.
    _optional("usage_register_1", "part of usage read from register 1 of the meter, thousandths"),
    _optional("usage_register_2", "part of usage read from register 2"),
    _optional("usage_register_3", "part of usage read from register 3"),
    _optional("usage_register_4", "part of usage read from register 4"),
    _optional("demand", "highest power in the period, W"),
    _optional("days", "days of supply billed"),
    _optional("customer_class", "class of customer, as the tariff names it"),
    _optional("meter_size", "size of the meter, as the tariff names it"),
    _optional("allowance", "usage granted to the site beside that per person, thousandths"),
    _optional("days_overdue", "days from the due date to the payment"),
)
"""The bills of one combined payment (合并缴费): a child table of utility rows."""


def fields_of(service: Service) -> tuple[Field, ...]:
    """All engine columns of one service (without ``card_no``), common ones first."""
    return COMMON_FIELDS + SERVICE_FIELDS[service]


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Decoded rows of one delivery file, column-wise; what a codec hands to the engine.

    Attributes:
        service: the service all rows belong to.
        source_row: int64[n], 1-based data row in the delivery file.
        card_number: uint64[n], the number of an all-digit card text (≤ 19 digits), 0 for opaque texts.
        card_digits: uint8[n], count of digits with leading zeros, 0 for opaque texts.
        card_text: the opaque texts by position in this block (empty when all are numbers).
        columns: every column of :func:`fields_of`, each of length n with its declared dtype.
        bills: :data:`BILL_FIELDS` columns plus ``bill_row`` int64 (position of the parent in this block).
    """

    service: Service
    source_row: npt.NDArray[np.int64]
    card_number: npt.NDArray[np.uint64]
    card_digits: npt.NDArray[np.uint8]
    card_text: dict[int, str]
    columns: Columns
    bills: Columns

    def __len__(self) -> int:
        return len(self.source_row)

    @classmethod
    def joined(cls, parts: Sequence[RecordBlock]) -> RecordBlock:
        """The rows of several blocks of one service (at least one), one block after the other."""
        if len(parts) == 1:
            return parts[0]
        assert len({part.service for part in parts}) == 1, "rows of two services have no columns in common"
        starts = [0, *itertools.accumulate(map(len, parts))]
        placed = list(zip(parts, starts, strict=False))
        bill_row = np.concatenate([part.bills["bill_row"] + start for part, start in placed])
        bills = {name: np.concatenate([part.bills[name] for part in parts]) for name in parts[0].bills}
        return cls(
            service=parts[0].service,
            source_row=np.concatenate([part.source_row for part in parts]),
            card_number=np.concatenate([part.card_number for part in parts]),
            card_digits=np.concatenate([part.card_digits for part in parts]),
            card_text={start + row: text for part, start in placed for row, text in part.card_text.items()},
            columns={name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
            bills={**bills, "bill_row": bill_row},
        )


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A source row that could not be decoded: it is counted, shown and never guessed."""

    source_row: int
    field: str
    value: str
    remedy: str


_FOUR_DIGITS: Final = np.arange(10_000, dtype=np.int64)
_BCD_OF_FOUR: Final = sum(((_FOUR_DIGITS // 10**place % 10) << (4 * place)) for place in range(4)).astype(np.uint64)
"""uint64[10⁴]: packed BCD of the numbers of four digits."""

_FOUR_OF_BCD: Final = np.full(1 << 16, -1, np.int64)
"""int64[2¹⁶]: number of four packed BCD digits, −1 where a nibble is not a decimal digit."""
_FOUR_OF_BCD[_BCD_OF_FOUR.astype(np.int64)] = _FOUR_DIGITS


def bcd_to_int(bcd: npt.NDArray[np.generic], digits: int) -> npt.NDArray[np.int64]:
    """Decimal value of packed BCD integers; −1 where a nibble is not a decimal digit.

    Args:
        bcd: unsigned integers, shape (n,).
        digits: number of nibbles looked at, least significant first.
    """
    rest = bcd.astype(np.uint64) & np.uint64((1 << 4 * digits) - 1)
    value = np.zeros(len(rest), np.int64)
    valid = np.ones(len(rest), bool)
    for position in range(0, digits, 4):
        four = _FOUR_OF_BCD[(rest >> np.uint64(4 * position)) & np.uint64(0xFFFF)]
        valid &= four >= 0
        value += four * 10**position
    return np.where(valid, value, -1)


def int_to_bcd(value: npt.NDArray[np.generic], digits: int) -> npt.NDArray[np.uint64]:
    """Packed BCD of non-negative integers, the low ``digits`` decimal digits, shape kept."""
    rest = value.astype(np.uint64)
    bcd = np.zeros(rest.shape, np.uint64)
    for position in range(0, digits, 4):
        higher = rest // np.uint64(10_000)
        bcd |= _BCD_OF_FOUR[rest - higher * np.uint64(10_000)] << np.uint64(4 * position)
        rest = higher
    return bcd & np.uint64((1 << 4 * digits) - 1)


_IMPOSSIBLE: Final = np.iinfo(np.int32).min
_LEAP: Final = 1


def _year_table() -> npt.NDArray[np.int32]:
    """int32[2¹⁶] by BCD year: 2 · (days to 1 January) + (leap year); :data:`_IMPOSSIBLE` outside 2000–2099."""
    table = np.full(1 << 16, _IMPOSSIBLE, np.int32)
    years = np.arange(2000, 2100)
    first = (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    next_first = (years - 1969).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    table[int_to_bcd(years, 4).astype(np.int64)] = 2 * first + (next_first - first == 366)
    return table


def _day_table() -> npt.NDArray[np.int32]:
    """int32[2, 2¹⁶] by leap year and BCD month and day: days since 1 January, :data:`_IMPOSSIBLE` for no such day."""
    table = np.full((2, 1 << 16), _IMPOSSIBLE, np.int32)
    for leap, year in enumerate((2001, 2004)):
        days = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")
        month = days.astype("datetime64[M]")
        month_day = (month.astype(np.int64) % 12 + 1) * 100 + (days - month).astype(np.int64) + 1
        table[leap, int_to_bcd(month_day, 4).astype(np.int64)] = np.arange(len(days))
    return table


def _minute_table() -> npt.NDArray[np.int32]:
    """int32[2¹⁶] by BCD hour and minute: seconds since midnight, :data:`_IMPOSSIBLE` for no such minute."""
    table = np.full(1 << 16, _IMPOSSIBLE, np.int32)
    minutes = np.arange(24 * 60)
    table[int_to_bcd(minutes // 60 * 100 + minutes % 60, 4).astype(np.int64)] = minutes * 60
    return table


_YEARS: Final = _year_table()
_DAYS: Final = _day_table().reshape(-1)
_MINUTES: Final = _minute_table()
_SECONDS: Final = np.where(_FOUR_OF_BCD[:256] < 60, _FOUR_OF_BCD[:256], -1).astype(np.int32)


def wall_seconds(date4: npt.NDArray[np.generic], time3: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Seconds of wall time since 1970-01-01 of BCD date and time; :data:`NULL` where impossible.

    A date is possible from 2000-01-01 to 2099-12-31 and if it exists in the Gregorian calendar; a time is
    possible from 00:00:00 to 23:59:59. Nothing is guessed (JR/T 0025 keeps both as raw BCD).
    """
    date, time = date4.astype(np.uint32), time3.astype(np.uint32)
    year = _YEARS[date >> np.uint32(16)]
    day = _DAYS[((year & _LEAP).astype(np.uint32) << np.uint32(16)) | (date & np.uint32(0xFFFF))]
    minute = _MINUTES[(time >> np.uint32(8)) & np.uint32(0xFFFF)]
    second = _SECONDS[time & np.uint32(0xFF)]
    possible = (year != _IMPOSSIBLE) & (day >= 0) & (minute >= 0) & (second >= 0)
    seconds = ((year >> 1).astype(np.int64) + day) * 86400 + minute + second
    return np.where(possible, seconds, NULL)


def card_factor(card_number: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Diversification factor: the last 8 bytes (16 BCD digits) of the application serial, big endian."""
    return int_to_bcd(card_number % np.uint64(10**16), 16)


def mask_card(text: str) -> str:
    """A card number as reports show it: ``310477****5201``."""
    return f"{text[:6]}****{text[-4:]}" if len(text) > 10 else f"{text[:1]}****"
