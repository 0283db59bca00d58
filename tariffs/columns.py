"""The tables that go into pricing and come out of it: frozen records of equal-length numpy columns.

Money is int64 fen, time is int64 local seconds since 1970, days are int32 since 1970. A missing int64 value
is :data:`NULL`; there are no floats and no masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Self, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

NULL = int(np.iinfo(np.int64).min)
"""The missing value of every nullable int64 column."""

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint16]
Days = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]


class CardClass(IntEnum):
    """Fare class of the card holder at the time of the journey (from the register, not the terminal)."""

    ADULT = 0
    STUDENT = 1
    ELDERLY = 2
    DISABLED = 3
    VETERAN = 4
    STAFF = 5
    HALF = 6
    FREE = 7
    NONE = 8
    """A card that takes no discount at all, not even the adult one."""


@dataclass(frozen=True)
class Column:
    """dtype of one column and the value :meth:`Columns.of` fills in when it is not given.

    ``default=None`` marks a column that must be given.
    """

    dtype: type[np.generic]
    default: int | None = None


@dataclass(frozen=True, eq=False)
class Columns:
    """Equal-length columns; every field is declared as ``Annotated[array type, Column(...)]``.

    Records have no ``==``: arrays have none that is a single truth.
    """

    SPECS: ClassVar[Mapping[str, Column]] = {}
    """Declaration of each column, in order."""

    def __init_subclass__(cls) -> None:
        """Collect the declarations of a new kind of record."""
        hints = get_type_hints(cls, include_extras=True)
        cls.SPECS = {name: get_args(hint)[1] for name, hint in hints.items() if name != "SPECS"}

    def __post_init__(self) -> None:
        """Refuse a wrong dtype (TypeError) or unequal lengths (ValueError): a programmer's mistake."""
        lengths = set()
        for name, spec in self.SPECS.items():
            column = getattr(self, name)
            if not isinstance(column, np.ndarray) or column.dtype != spec.dtype:
                found = getattr(column, "dtype", type(column).__name__)
                raise TypeError(f"{type(self).__name__}.{name}: {found}, expected {spec.dtype.__name__}")
            lengths.add(len(column))
        if len(lengths) != 1:
            raise ValueError(f"{type(self).__name__}: columns of unequal length {sorted(lengths)}")

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.SPECS))))

    @classmethod
    def of(cls, length: int, **columns: npt.ArrayLike) -> Self:
        """Build ``length`` rows from the columns at hand; scalars are repeated, the rest takes its default.

        Contiguous arrays of the declared dtype are used as they are, not copied.

        Raises TypeError for an unknown column, a missing one without default or values that are no integers,
        ValueError for integers that do not fit the column.
        """
        specs = cls.SPECS
        if unknown := columns.keys() - specs.keys():
            raise TypeError(f"{cls.__name__} has no column {', '.join(sorted(unknown))}")
        built: dict[str, npt.NDArray[Any]] = {}
        for name, spec in specs.items():
            value = columns.get(name, spec.default)
            if value is None:
                raise TypeError(f"{cls.__name__}.{name} must be given")
            given = np.asarray(value)
            if given.size and given.dtype.kind not in "iub":
                raise TypeError(f"{cls.__name__}.{name}: {given.dtype} values are not integers")
            column = given.astype(spec.dtype, copy=False)
            if column is not given and not np.array_equal(column, given):
                raise ValueError(f"{cls.__name__}.{name}: values do not fit {spec.dtype.__name__}")
            built[name] = np.ascontiguousarray(np.broadcast_to(column, length))
        return cls(**built)

    @classmethod
    def zeros(cls, length: int) -> Self:
        """``length`` rows of zeros, to be filled by a pricing function."""
        return cls(**{name: np.zeros(length, spec.dtype) for name, spec in cls.SPECS.items()})

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """The rows of all ``parts`` in order; at least one part is needed."""
        listed = list(parts)
        return cls(**{name: np.concatenate([getattr(p, name) for p in listed]) for name in cls.SPECS})

    def take(self, rows: slice | Ints | Bools) -> Self:
        """The rows chosen by a slice (a view), an index array or a mask (copies)."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.SPECS})


@dataclass(frozen=True, eq=False)
class TransitJourneys(Columns):
    """One journey, rental or parking stay per row."""

    mode: Annotated[Bytes, Column(np.uint8, 0)]
    line: Annotated[Ints, Column(np.int64, NULL)]
    entry_station: Annotated[Ints, Column(np.int64, NULL)]
    exit_station: Annotated[Ints, Column(np.int64, NULL)]
    entry_time: Annotated[Ints, Column(np.int64, NULL)]
    exit_time: Annotated[Ints, Column(np.int64, NULL)]
    distance_m: Annotated[Ints, Column(np.int64, NULL)]
    duration_s: Annotated[Ints, Column(np.int64, NULL)]
    card_class: Annotated[Bytes, Column(np.uint8, CardClass.ADULT)]
    transfer: Annotated[Bytes, Column(np.uint8, 0)]
    """1 = this leg is a flagged transfer from an earlier one."""
    gross_fare: Annotated[Ints, Column(np.int64, NULL)]
    """Full fare in fen as the terminal saw it, before any discount."""
    incomplete: Annotated[Bytes, Column(np.uint8, 0)]
    """1 = entry or exit is missing."""


@dataclass(frozen=True, eq=False)
class TransitPrices(Columns):
    """Answer per journey; on priced rows gross = card_pays + fund_pays + operator_bears, else all are 0."""

    gross: Annotated[Ints, Column(np.int64)]
    card_pays: Annotated[Ints, Column(np.int64)]
    fund_pays: Annotated[Ints, Column(np.int64)]
    fund: Annotated[Codes, Column(np.uint16)]
    """Code of the fund behind ``fund_pays``; 0 = none."""
    operator_bears: Annotated[Ints, Column(np.int64)]
    rule: Annotated[Codes, Column(np.uint16)]
    """The last rule that set what the card pays; its name is ``compiled.rule_names[rule]``."""
    segment: Annotated[Codes, Column(np.uint16)]
    """Index of the dated segment of the tariff that priced the row."""
    priced: Annotated[Bools, Column(np.bool_)]
    """False = the tariff does not cover the row."""


@dataclass(frozen=True, eq=False)
class MedicalVisits(Columns):
    """One outpatient settlement per row; money in fen, the four category amounts are disjoint."""

    person: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    """Settlement order within a person; unique per person in a batch."""
    settle_day: Annotated[Days, Column(np.int32)]
    insured: Annotated[Ints, Column(np.int64)]
    """Insured type (310 employees, 390 residents in the national code list)."""
    level: Annotated[Ints, Column(np.int64)]
    """Institution level."""
    category_a: Annotated[Ints, Column(np.int64, 0)]
    """甲: fully in scope."""
    category_b: Annotated[Ints, Column(np.int64, 0)]
    """乙: in scope after the person's own share."""
    category_c: Annotated[Ints, Column(np.int64, 0)]
    """丙: out of the list."""
    over_limit: Annotated[Ints, Column(np.int64, 0)]
    """Part of the bill above a price ceiling."""
    account_available: Annotated[Ints, Column(np.int64, 0)]
    """What the personal account can pay towards this bill."""
    purse_available: Annotated[Ints, Column(np.int64, 0)]
    """What the card's purse can pay towards this bill."""


@dataclass(frozen=True, eq=False)
class MedicalSettlements(Columns):
    """National interface fields per visit, in fen (transaction 2207); zero on rows that are not priced.

    medfee_sumamt = fulamt_ownpay_amt + overlmt_selfpay + preselfpay_amt + inscp_scp_amt
                  = fund_pay_sumamt + psn_part_amt + hosp_part_amt;
    fund_pay_sumamt = hifp_pay + cvlserv_pay + hifes_pay + hifmi_pay + hifob_pay + maf_pay + oth_pay;
    psn_part_amt = acct_pay + psn_cash_pay, and purse_pay is the part of psn_cash_pay that the purse bears.
    """

    medfee_sumamt: Annotated[Ints, Column(np.int64)]
    fulamt_ownpay_amt: Annotated[Ints, Column(np.int64)]
    overlmt_selfpay: Annotated[Ints, Column(np.int64)]
    preselfpay_amt: Annotated[Ints, Column(np.int64)]
    inscp_scp_amt: Annotated[Ints, Column(np.int64)]
    act_pay_dedc: Annotated[Ints, Column(np.int64)]
    hifp_pay: Annotated[Ints, Column(np.int64)]
    cvlserv_pay: Annotated[Ints, Column(np.int64)]
    hifes_pay: Annotated[Ints, Column(np.int64)]
    hifmi_pay: Annotated[Ints, Column(np.int64)]
    hifob_pay: Annotated[Ints, Column(np.int64)]
    maf_pay: Annotated[Ints, Column(np.int64)]
    oth_pay: Annotated[Ints, Column(np.int64)]
    hosp_part_amt: Annotated[Ints, Column(np.int64)]
    fund_pay_sumamt: Annotated[Ints, Column(np.int64)]
    psn_part_amt: Annotated[Ints, Column(np.int64)]
    acct_pay: Annotated[Ints, Column(np.int64)]
    psn_cash_pay: Annotated[Ints, Column(np.int64)]
    purse_pay: Annotated[Ints, Column(np.int64)]
    rule: Annotated[Codes, Column(np.uint16)]
    segment: Annotated[Codes, Column(np.uint16)]
    priced: Annotated[Bools, Column(np.bool_)]


@dataclass(frozen=True, eq=False)
class MedicalState(Columns):
    """What a person has consumed in a calendar year, in fen; one row per (person, year), sorted."""

    person: Annotated[Ints, Column(np.int64)]
    year: Annotated[Ints, Column(np.int64)]
    deductible_consumed: Annotated[Ints, Column(np.int64)]
    fund_consumed: Annotated[Ints, Column(np.int64)]


@dataclass(frozen=True, eq=False)
class UtilityUsages(Columns):
    """One reading period of one account per row."""

    account: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    """Reading order within an account; unique per account in a batch."""
    period_day: Annotated[Days, Column(np.int32)]
    """Day that decides the tariff year the usage counts to."""
    usage_milli: Annotated[Ints, Column(np.int64)]
    """Thousandths of the unit: litres of m³, Wh of kWh."""
    household: Annotated[Ints, Column(np.int64, 1)]
    """Registered persons of the household."""


@dataclass(frozen=True, eq=False)
class UtilityPrices(Columns):
    """Answer per usage row; gross is the sum of the row of ``components``, all in fen."""

    gross: Annotated[Ints, Column(np.int64)]
    components: Annotated[Ints, Column(np.int64)]
    """Shape (rows, components), in the order of ``compiled.component_names``."""
    rule: Annotated[Codes, Column(np.uint16)]
    """The tier in which the cumulated usage ends."""
    segment: Annotated[Codes, Column(np.uint16)]
    priced: Annotated[Bools, Column(np.bool_)]


@dataclass(frozen=True, eq=False)
class UtilityState(Columns):
    """Cumulated usage of an account in a calendar year; one row per (account, year), sorted."""

    account: Annotated[Ints, Column(np.int64)]
    year: Annotated[Ints, Column(np.int64)]
    usage_milli: Annotated[Ints, Column(np.int64)]
