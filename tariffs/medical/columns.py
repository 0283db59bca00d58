"""Visits, their settlements, and the counters of a person's year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tariffs.columns import Bools, Codes, Column, Columns, Days, Ints


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
