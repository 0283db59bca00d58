"""The ladder: ordered record checks → status, first failure decides (docs/clearing-rules.md §4).

Each check is a small function from columns to "fails here"; :data:`EARLY` decides who may compete for identity,
:data:`LATE` judges what stands. Order in the tuples is order of precedence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from card_io.records import LOAD_TYPES, NULL, PURCHASE_TYPES, Mode, RecordState, Service, TxnType
from clearing import grouping
from clearing.calendar import NO_DAY
from clearing.config import Settings
from clearing.mac import TacVerdict
from clearing.records import Rows, row_money
from clearing.registers import Registers
from clearing.status import ClearingStatus

Mask = npt.NDArray[np.bool_]

AMOUNT_MAX: Final = 2**40
"""Fen; beyond it a sum of a day's rows could leave int64."""

_TYPES: Final[dict[Service, tuple[TxnType, ...]]] = {
    Service.TRANSIT: PURCHASE_TYPES,
    Service.UTILITY: PURCHASE_TYPES,
    Service.RETAIL: PURCHASE_TYPES,
    Service.MEDICAL: (*PURCHASE_TYPES, TxnType.NO_PURSE),
    Service.LOAD: LOAD_TYPES,
    Service.BENEFIT: (TxnType.NO_PURSE,),
}

MEDICAL_FUND_COLUMNS: Final = (
    "hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a check may look at besides the rows: settings, registers, and facts of the delivery."""

    settings: Settings
    registers: Registers
    sender: int
    received_at: int
    received_window: int


@dataclass(frozen=True, slots=True)
class Check:
    """One rung: the status it gives, and which rows fail it (bool[n])."""

    status: ClearingStatus
    fails: Callable[[Rows, Context], Mask]


def climb(
    checks: tuple[Check, ...], rows: Rows, context: Context, *, disabled: frozenset[str] = frozenset()
) -> npt.NDArray[np.int16]:
    """int16[n] status of the first check each row fails, 0 = none.

    ``disabled`` names statuses whose check is left out: the tests prove with it that every rung matters.
    """
    status = np.zeros(len(rows), np.int16)
    for check in checks:
        if check.status.name not in disabled:
            fails = check.fails(rows, context)
            # Most checks fail no row of a block at all.
            if fails.any():
                status[(status == 0) & fails] = check.status
    return status


def is_purse(rows: Rows) -> Mask:
    """bool[n]: the row moved a purse, so the card's TAC must vouch for it."""
    return np.asarray(rows["txn_type"] != TxnType.NO_PURSE)


def _form_invalid(rows: Rows, context: Context) -> Mask:
    amount = rows["amount"]
    bad = (amount < 0) | (amount > AMOUNT_MAX)
    bad |= ~grouping.among(rows["txn_type"], _TYPES[rows.service])
    bad |= (rows["purse_kind"] < 1) | (rows["purse_kind"] > 2)
    bad |= (rows["record_state"] > RecordState.LOCKED) | (rows["test_flag"] > 1)
    bad |= ~is_purse(rows) & (amount != 0)
    bad |= _SERVICE_FORM[rows.service](rows)
    return np.asarray(bad, bool)


def _form_transit(rows: Rows) -> Mask:
    return ~grouping.among(rows["mode"], Mode)


def _form_medical(rows: Rows) -> Mask:
    """The four identities every settlement row satisfies (docs/clearing-rules.md §8)."""
    funds = sum(rows[name] for name in MEDICAL_FUND_COLUMNS)
    scope = rows["fulamt_ownpay_amt"] + rows["overlmt_selfpay"] + rows["preselfpay_amt"] + rows["inscp_scp_amt"]
    person = rows["acct_pay"] + rows["acct_mulaid_pay"] + rows["psn_cash_pay"]
    bad = rows["medfee_sumamt"] != scope
    bad |= rows["fund_pay_sumamt"] != funds
    bad |= rows["medfee_sumamt"] != rows["fund_pay_sumamt"] + rows["psn_part_amt"] + rows["hosp_part_amt"]
    bad |= (rows["psn_part_amt"] != person) | (rows["amount"] > rows["psn_cash_pay"])
    return np.asarray(bad, bool)


def _form_utility(rows: Rows) -> Mask:
    parent = rows.bills["bill_row"].astype(np.int64)
    bad = np.bincount(parent, minlength=len(rows)) == 0
    negative = rows.bills["bill_amount"] < 0
    bad[parent[negative]] = True
    return np.asarray(bad)


def _form_benefit(rows: Rows) -> Mask:
    return np.asarray((rows["granted"] <= 0) | (rows["granted"] > AMOUNT_MAX) | (rows["benefit_id"] == NULL))


def _form_plain(rows: Rows) -> Mask:
    return np.zeros(len(rows), bool)


_SERVICE_FORM: Final[dict[Service, Callable[[Rows], Mask]]] = {
    Service.TRANSIT: _form_transit,
    Service.MEDICAL: _form_medical,
    Service.UTILITY: _form_utility,
    Service.RETAIL: _form_plain,
    Service.LOAD: _form_plain,
    Service.BENEFIT: _form_benefit,
}


def _time_impossible(rows: Rows, context: Context) -> Mask:
    return np.asarray(rows["txn_time"] == NULL)


def _test_record(rows: Rows, context: Context) -> Mask:
    return np.asarray(rows["test_flag"] == 1)


def _grey_record(rows: Rows, context: Context) -> Mask:
    return np.asarray(rows["record_state"] == RecordState.GREY)


def _locked_record(rows: Rows, context: Context) -> Mask:
    return np.asarray(rows["record_state"] == RecordState.LOCKED)


def _unknown_merchant(rows: Rows, context: Context) -> Mask:
    parties = context.registers.parties
    at, day = rows["party"].astype(np.int64), rows["operating_day"]
    known = (at >= 0) & (parties.sender[at] == context.sender)
    return np.asarray(~(known & (parties.valid_from[at] <= day) & (day <= parties.valid_to[at])))


def _unknown_terminal(rows: Rows, context: Context) -> Mask:
    at = rows["party"].astype(np.int64)
    asked = np.flatnonzero((at >= 0) & context.registers.parties.terminals_registered[at] & is_purse(rows))
    unknown = np.zeros(len(rows), bool)
    owner = context.registers.terminals.at(
        rows["terminal_id"][asked].astype(np.uint64), rows["operating_day"][asked].astype(np.int32)
    )
    unknown[asked] = owner != rows["merchant_id"][asked]
    return unknown


def _unknown_issuer(rows: Rows, context: Context) -> Mask:
    return np.asarray(rows["issuer"] == 0)


def _algorithm_not_permitted(rows: Rows, context: Context) -> Mask:
    permitted = np.zeros(len(rows), bool)
    for participant in context.settings.participants:
        if participant.issuer_id is not None:
            fits = grouping.among(rows["algorithm"], participant.algorithm_codes)
            permitted |= (rows["issuer"] == participant.id) & fits
    return np.asarray(is_purse(rows) & ~permitted)


def _key_unknown(rows: Rows, context: Context) -> Mask:
    return np.asarray((rows["tac_verdict"] == TacVerdict.KEY_UNKNOWN) & (rows["clear_first"] == 0))


def _tac_missing(rows: Rows, context: Context) -> Mask:
    return np.asarray((rows["tac_verdict"] == TacVerdict.MISSING) & (rows["unverified"] == 0))


def _tac_failed(rows: Rows, context: Context) -> Mask:
    return np.asarray(rows["tac_verdict"] == TacVerdict.FAILED)


EARLY: Final[tuple[Check, ...]] = (
    Check(ClearingStatus.FORM_INVALID, _form_invalid),
    Check(ClearingStatus.TIME_IMPOSSIBLE, _time_impossible),
    Check(ClearingStatus.TEST_RECORD, _test_record),
    Check(ClearingStatus.GREY_RECORD, _grey_record),
    Check(ClearingStatus.LOCKED_RECORD, _locked_record),
    Check(ClearingStatus.UNKNOWN_MERCHANT, _unknown_merchant),
    Check(ClearingStatus.UNKNOWN_TERMINAL, _unknown_terminal),
    Check(ClearingStatus.UNKNOWN_ISSUER, _unknown_issuer),
    Check(ClearingStatus.ALGORITHM_NOT_PERMITTED, _algorithm_not_permitted),
    Check(ClearingStatus.KEY_UNKNOWN, _key_unknown),
    Check(ClearingStatus.TAC_MISSING, _tac_missing),
    Check(ClearingStatus.TAC_FAILED, _tac_failed),
)
"""Form, parties and authenticity: what a row must pass before it may compete for identity."""


def _card_unknown(rows: Rows, context: Context) -> Mask:
    return np.asarray((rows["card_registered"] == 1) & (rows["card_known"] == 0))


def _card_blacklisted(rows: Rows, context: Context) -> Mask:
    return context.registers.blacklist.active(
        rows["card_id"].astype(np.uint64),
        rows["txn_time"].astype(np.int64),
        context.settings.blacklist_grace_seconds,
    )


def _balance_break(rows: Rows, context: Context) -> Mask:
    before, after = rows["balance_before"], rows["balance_after"]
    present = (before != NULL) & (after != NULL) & is_purse(rows)
    moved = np.where(grouping.among(rows["txn_type"], LOAD_TYPES), rows["amount"], -rows["amount"])
    return np.asarray(present & (np.where(present, before, 0) + moved != after))


def _bills_exceed_payment(rows: Rows, context: Context) -> Mask:
    if rows.service is not Service.UTILITY:
        return np.zeros(len(rows), bool)
    return np.asarray(bill_totals(rows) > rows["amount"])


def bill_totals(rows: Rows) -> npt.NDArray[np.int64]:
    """int64[n] fen: Σ bills of each utility payment."""
    total = np.zeros(len(rows), np.int64)
    np.add.at(total, rows.bills["bill_row"].astype(np.int64), rows.bills["bill_amount"].astype(np.int64))
    return total


def _amount_over_limit(rows: Rows, context: Context) -> Mask:
    return np.asarray(row_money(rows.service, rows.columns) > context.settings.limit(rows.service))


def _time_in_future(rows: Rows, context: Context) -> Mask:
    tolerance = context.settings.calendar.future_tolerance_seconds
    return np.asarray(rows["txn_time"] > context.received_at + tolerance)


def _too_old(rows: Rows, context: Context) -> Mask:
    day = rows["operating_day"]
    age = context.received_window - day.astype(np.int64)
    return np.asarray((day != NO_DAY) & (age > context.settings.calendar.late_days_max))


def _no_tariff(rows: Rows, context: Context) -> Mask:
    return np.asarray(rows["priced"] == 0)


BEFORE_BENEFIT: Final[tuple[Check, ...]] = (
    Check(ClearingStatus.CARD_UNKNOWN, _card_unknown),
    Check(ClearingStatus.CARD_BLACKLISTED, _card_blacklisted),
    Check(ClearingStatus.BALANCE_BREAK, _balance_break),
    Check(ClearingStatus.BILLS_EXCEED_PAYMENT, _bills_exceed_payment),
)
"""Card state and arithmetic. ``BENEFIT_UNMATCHED`` follows them; it needs other rows' decisions (engine)."""

AFTER_BENEFIT: Final[tuple[Check, ...]] = (
    Check(ClearingStatus.AMOUNT_OVER_LIMIT, _amount_over_limit),
    Check(ClearingStatus.TIME_IN_FUTURE, _time_in_future),
    Check(ClearingStatus.TOO_OLD, _too_old),
    Check(ClearingStatus.NO_TARIFF, _no_tariff),
)
"""Limits, dates and price."""
