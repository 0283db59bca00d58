"""Visits, their settlements, and what is carried between batches: counters of years and months, past settlements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Self

import numpy as np

from tariffs.columns import NULL, Bools, Codes, Column, Columns, Days, Ints

FUND_FIELDS = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")
"""Interface fields of the funds; the position of a field is the fund's number in every state."""


@dataclass(frozen=True, eq=False)
class MedicalVisits(Columns):
    """One outpatient settlement per row; money in fen, the category amounts are disjoint."""

    person: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    """Settlement order within a person (and a household, where a step counts one); unique there."""
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
    visit_kind: Annotated[Ints, Column(np.int64, 0)]
    """Kind of visit (ordinary, chronic disease, emergency ...) in the codes of the tariff file."""
    person_type: Annotated[Ints, Column(np.int64, 0)]
    """Class of person (11 working, 12 retired in the national code list)."""
    relation: Annotated[Ints, Column(np.int64, 0)]
    """Place of care against home: 0 at home, other codes as the tariff file names them (异地就医)."""
    aid: Annotated[Ints, Column(np.int64, 0)]
    """Class of civil assistance (救助对象), 0 = none."""
    category_b_service: Annotated[Ints, Column(np.int64, 0)]
    """乙 of the catalogue of services (诊疗项目), where it has a share of its own."""
    category_b_material: Annotated[Ints, Column(np.int64, 0)]
    """乙 of the catalogue of materials (医用耗材), where it has a share of its own."""
    household: Annotated[Ints, Column(np.int64, NULL)]
    """Household on the day; needed only by a limit per household."""
    family_available: Annotated[Ints, Column(np.int64, 0)]
    """What relatives' accounts can pay towards this bill (家庭共济)."""
    cancels: Annotated[Ints, Column(np.int64, NULL)]
    """Sequence of the person's settlement that this row takes back, below 0 = none; a cancelling row's own amounts
    are not read."""
    program: Annotated[Ints, Column(np.int64, 0)]
    """Public programme that is second payer of this bill, 0 = none."""
    program_limit: Annotated[Ints, Column(np.int64, 0)]
    """Most the person pays in a month under the programme, as the certificate says."""
    income_class: Annotated[Ints, Column(np.int64, 0)]
    """Income class of the monthly limit, where the file does not derive it."""
    income: Annotated[Ints, Column(np.int64, 0)]
    """Monthly income from which the file derives the class."""
    income_exempt: Annotated[Ints, Column(np.int64, 0)]
    """1 when the household pays no income tax."""
    home_region: Annotated[Ints, Column(np.int64, 0)]
    """Region whose funds pay; copied to the settlement."""


@dataclass(frozen=True, eq=False)
class MedicalSettlements(Columns):
    """National interface fields per visit, in fen (transaction 2207); zero on rows that are not priced.

    medfee_sumamt = fulamt_ownpay_amt + overlmt_selfpay + preselfpay_amt + inscp_scp_amt
                  = fund_pay_sumamt + psn_part_amt + hosp_part_amt;
    fund_pay_sumamt = hifp_pay + cvlserv_pay + hifes_pay + hifmi_pay + hifob_pay + maf_pay + oth_pay;
    psn_part_amt = acct_pay + acct_mulaid_pay + psn_cash_pay, and purse_pay is the part of psn_cash_pay that the
    purse bears. A cancelling row (transaction 2208) has the amounts of the cancelled one with a minus.
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
    acct_mulaid_pay: Annotated[Ints, Column(np.int64)]
    psn_cash_pay: Annotated[Ints, Column(np.int64)]
    purse_pay: Annotated[Ints, Column(np.int64)]
    payer_region: Annotated[Ints, Column(np.int64)]
    rule: Annotated[Codes, Column(np.uint16)]
    segment: Annotated[Codes, Column(np.uint16)]
    priced: Annotated[Bools, Column(np.bool_)]


def paid_by_funds(settlements: MedicalSettlements) -> Ints:
    """Sum of all fund fields, int64 of shape (rows,)."""
    paid = np.zeros(len(settlements), np.int64)
    for name in FUND_FIELDS:
        paid += getattr(settlements, name)
    return paid


AMOUNT_FIELDS = tuple(
    name for name, spec in MedicalSettlements.SPECS.items() if spec.dtype is np.int64 and name != "payer_region"
)
"""The money columns of a settlement."""


def _left_out() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class MedicalState(Columns):
    """What a person has consumed of a fund's terms in a calendar year, in fen; one row per (fund, person, year).

    Rows are sorted by these three. A caller that knows only the basic fund's two counters may leave the others
    out.
    """

    person: Annotated[Ints, Column(np.int64)]
    year: Annotated[Ints, Column(np.int64)]
    deductible_consumed: Annotated[Ints, Column(np.int64)]
    fund_consumed: Annotated[Ints, Column(np.int64)]
    scope_consumed: Annotated[Ints, Column(np.int64, 0)] = field(default_factory=_left_out)
    """What came to the fund's shares above the deductible: the position in cumulated bands."""
    fund: Annotated[Ints, Column(np.int64, 0)] = field(default_factory=_left_out)
    """Position in :data:`FUND_FIELDS`; 0 is the basic pooled fund."""

    def __post_init__(self) -> None:
        """Zeros for what was left out."""
        for name in ("scope_consumed", "fund"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(len(self.person), np.int64))
        super().__post_init__()


@dataclass(frozen=True, eq=False)
class MedicalMonths(Columns):
    """What counts towards monthly limits, in fen; one row per (program, owner, month), sorted by these three."""

    program: Annotated[Ints, Column(np.int64)]
    """0: the household's or person's own limit; otherwise the second payer's programme, owned by a person."""
    owner: Annotated[Ints, Column(np.int64)]
    month: Annotated[Ints, Column(np.int64)]
    """Months since January of year 0."""
    medical: Annotated[Ints, Column(np.int64)]
    """In-scope cost of the bills that count."""
    burden: Annotated[Ints, Column(np.int64)]
    """What the person would pay of them without this limit."""
    relief: Annotated[Ints, Column(np.int64)]
    """What was paid of the burden because of this limit."""
    reached: Annotated[Ints, Column(np.int64)]
    """Bills on which the limit was reached, alone or together."""


MONTH_MOVES = 7
"""Counters a settlement can move in months, in the order of ``kernels.settle_months``."""


@dataclass(frozen=True, eq=False)
class MedicalSettled(MedicalSettlements):
    """Settlements of the past with what each of them moved, so that a later cancellation can give it back."""

    person: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    settle_day: Annotated[Days, Column(np.int32)]
    program: Annotated[Ints, Column(np.int64)]
    limit_owner: Annotated[Ints, Column(np.int64)]
    """Person or household whose month the settlement counted in, NULL where the tariff limits no month."""
    cancelled_by: Annotated[Ints, Column(np.int64)]
    """Sequence of the row that took this settlement back, NULL when none did."""
    fund_moves: Annotated[Ints, Column(np.int64)]
    """(rows, funds, 3): deductible, scope above it and payment of each fund of :data:`FUND_FIELDS`."""
    month_moves: Annotated[Ints, Column(np.int64)]
    """(rows, :data:`MONTH_MOVES`)."""

    @classmethod
    def zeros(cls, length: int) -> Self:
        """``length`` rows of zeros, taken back by nobody."""
        columns = {name: np.zeros(length, spec.dtype) for name, spec in cls.SPECS.items()}
        columns["fund_moves"] = np.zeros((length, len(FUND_FIELDS), 3), np.int64)
        columns["month_moves"] = np.zeros((length, MONTH_MOVES), np.int64)
        columns["cancelled_by"] = np.full(length, NULL, np.int64)
        return cls(**columns)


@dataclass(frozen=True, eq=False)
class MedicalReviews(Columns):
    """Settlements that stand although an earlier one was taken back after them: a person should look at each.

    One row per settlement and cancellation, in the order of (cancelled_by, person, sequence).
    """

    person: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    cancelled_person: Annotated[Ints, Column(np.int64)]
    cancelled_sequence: Annotated[Ints, Column(np.int64)]
    cancelled_by: Annotated[Ints, Column(np.int64)]


@dataclass(frozen=True)
class MedicalLedger:
    """Everything one batch hands to the next."""

    years: MedicalState
    months: MedicalMonths
    settled: MedicalSettled

    @classmethod
    def empty(cls) -> MedicalLedger:
        """The ledger before the first visit."""
        return cls(MedicalState.zeros(0), MedicalMonths.zeros(0), MedicalSettled.zeros(0))


@dataclass(frozen=True)
class MedicalRun:
    """What settling a batch gives."""

    settlements: MedicalSettlements
    """In the order of the visits."""
    ledger: MedicalLedger
    reviews: MedicalReviews
