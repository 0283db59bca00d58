"""The ladder of rules §4: the checks in order, one small function each; the first that applies decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from auditor.centre import Centre
from auditor.columns import FUND_COLUMNS
from auditor.model import Row
from auditor.times import received_window

AMOUNT_MAX = 2**40
ALLOWED_TYPES = {
    "transit": (0x05, 0x06, 0x09),
    "retail": (0x05, 0x06, 0x09),
    "utility": (0x05, 0x06, 0x09),
    "medical": (0x05, 0x06, 0x09, 0x00),
    "load": (0x01, 0x02),
    "benefit": (0x00,),
}
TRANSIT_MODES = (1, 2, 4, 6, 7)
PURSE_KINDS = (1, 2)

REJECTED_DEBITS = (
    "FORM_INVALID",
    "TIME_IMPOSSIBLE",
    "ALGORITHM_NOT_PERMITTED",
    "TAC_FAILED",
    "CARD_BLACKLISTED",
    "GREY_DISPROVEN",
)
FIXED_DISPOSITIONS = {
    "ACCEPTED": "ACCEPTED",
    "UNREADABLE": "UNREADABLE",
    "DUPLICATE": "DUPLICATE",
    "REPLAY": "DUPLICATE",
}
NEVER_PAYABLE = ("TAC_FAILED", "DUPLICATE", "REPLAY", "CONFLICT", "TEST_RECORD", "GREY_PROVEN", "GREY_DISPROVEN")


@dataclass
class Context:
    """What checks look up besides the row."""

    centre: Centre
    issuers_with_keys: set[int]
    grants: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """(benefit id, card id, fen) of the accepted grants → received window of the first."""


def form_invalid(row: Row, _context: Context) -> bool:
    value = row.value
    no_purse = value["txn_type"] == 0x00
    return (
        not 0 <= value["amount"] <= AMOUNT_MAX
        or value["txn_type"] not in ALLOWED_TYPES[row.service]
        or value["purse_kind"] not in PURSE_KINDS
        or value["record_state"] > 2
        or value["test_flag"] > 1
        or (no_purse and value["amount"] != 0)
        or not SERVICE_FORM[row.service](row)
    )


def _medical_form(row: Row) -> bool:
    """The four identities of rules §8."""
    v = row.value
    return bool(
        v["medfee_sumamt"] == v["fulamt_ownpay_amt"] + v["overlmt_selfpay"] + v["preselfpay_amt"] + v["inscp_scp_amt"]
        and v["fund_pay_sumamt"] == sum(v[name] for name in FUND_COLUMNS)
        and v["medfee_sumamt"] == v["fund_pay_sumamt"] + v["psn_part_amt"] + v["hosp_part_amt"]
        and v["psn_part_amt"] == v["acct_pay"] + v["acct_mulaid_pay"] + v["psn_cash_pay"]
        and v["amount"] <= v["psn_cash_pay"]
    )


def _utility_form(row: Row) -> bool:
    return bool(row.bills) and all(bill["bill_amount"] >= 0 for bill in row.bills)


def _benefit_form(row: Row) -> bool:
    return row.value["granted"] > 0 and row.value["benefit_id"] is not None


SERVICE_FORM: dict[str, Callable[[Row], bool]] = {
    "transit": lambda row: row.value["mode"] in TRANSIT_MODES,
    "medical": _medical_form,
    "utility": _utility_form,
    "retail": lambda _row: True,
    "load": lambda _row: True,
    "benefit": _benefit_form,
}


def unknown_merchant(row: Row, context: Context) -> bool:
    merchant = context.centre.participants.get(row.value["merchant_id"])
    if merchant is None or row.operating_day is None:
        return True
    return merchant.sender != row.sender or not merchant.valid_on(row.operating_day)


def unknown_terminal(row: Row, context: Context) -> bool:
    merchant = context.centre.participants[row.value["merchant_id"]]
    if not row.has_purse or not merchant.terminals_registered:
        return False
    day = row.operating_day
    registered = context.centre.terminals.get((row.value["terminal_id"], merchant.id), ())
    return not any(day is not None and first <= day <= last for first, last in registered)


def unknown_issuer(row: Row, context: Context) -> bool:
    return row.value["issuer_id"] not in context.centre.issuers


def algorithm_not_permitted(row: Row, context: Context) -> bool:
    """Rows without purse carry no MAC, so there is no algorithm to permit."""
    if not row.has_purse:
        return False
    return row.value["algorithm"] not in context.centre.issuers[row.value["issuer_id"]].algorithms


def _agreed(allow: str, row: Row, context: Context) -> bool:
    issuer = context.centre.issuers[row.value["issuer_id"]]
    return context.centre.agreed(allow, row.sender, row.service, issuer.id, row.operating_day)


def key_unknown(row: Row, context: Context) -> bool:
    if row.tac_verdict != "KEY_UNKNOWN":
        return False
    no_key_of_issuer = row.value["issuer_id"] not in context.issuers_with_keys
    return not (no_key_of_issuer and _agreed("clear_first", row, context))


def tac_missing(row: Row, context: Context) -> bool:
    return row.tac_verdict == "MISSING" and not _agreed("unverified", row, context)


def card_unknown(row: Row, context: Context) -> bool:
    if context.centre.issuers[row.value["issuer_id"]].cards != "register":
        return False
    return context.centre.card_class(row.card_id, row.operating_day) is None


def card_blacklisted(row: Row, context: Context) -> bool:
    time, grace = row.txn_time, context.centre.grace
    return any(
        time is not None and published + grace <= time < removed
        for published, removed in context.centre.blacklist.get(row.card_id, ())
    )


def balance_break(row: Row, _context: Context) -> bool:
    before, after, amount = (row.value[name] for name in ("balance_before", "balance_after", "amount"))
    if before is None or after is None:
        return False
    moved = amount if row.service == "load" else -amount
    return bool(before + moved != after)


def bills_exceed_payment(row: Row, _context: Context) -> bool:
    return row.service == "utility" and sum(bill["bill_amount"] for bill in row.bills) > row.value["amount"]


def benefit_unmatched(row: Row, context: Context) -> bool:
    if row.service != "load" or row.value["benefit_id"] is None:
        return False
    granted_in = context.grants.get((row.value["benefit_id"], row.card_id, row.value["amount"]))
    return granted_in is None or granted_in > row.received_window


def amount_over_limit(row: Row, context: Context) -> bool:
    amount = row.value["granted"] if row.service == "benefit" else row.value["amount"]
    return bool(amount > context.centre.limits[row.service])


def time_in_future(row: Row, context: Context) -> bool:
    tolerance = context.centre.calendar.future_tolerance_seconds
    return row.txn_time is not None and row.txn_time > row.received_at + tolerance


def too_old(row: Row, context: Context) -> bool:
    calendar, day = context.centre.calendar, row.operating_day
    return day is not None and received_window(row.received_at, calendar) - day > calendar.late_days_max


Check = Callable[[Row, Context], bool]

BEFORE_REPLAY: list[tuple[str, Check]] = [
    ("UNREADABLE", lambda row, _context: row.unreadable),
    ("FORM_INVALID", form_invalid),
    ("TIME_IMPOSSIBLE", lambda row, _context: row.txn_time is None),
    ("TEST_RECORD", lambda row, _context: bool(row.value["test_flag"] == 1)),
    ("GREY_RECORD", lambda row, _context: bool(row.value["record_state"] == 1)),
    ("LOCKED_RECORD", lambda row, _context: bool(row.value["record_state"] == 2)),
    ("UNKNOWN_MERCHANT", unknown_merchant),
    ("UNKNOWN_TERMINAL", unknown_terminal),
    ("UNKNOWN_ISSUER", unknown_issuer),
    ("ALGORITHM_NOT_PERMITTED", algorithm_not_permitted),
    ("KEY_UNKNOWN", key_unknown),
    ("TAC_MISSING", tac_missing),
    ("TAC_FAILED", lambda row, _context: row.tac_verdict == "FAILED"),
]
AFTER_REPLAY: list[tuple[str, Check]] = [
    ("CARD_UNKNOWN", card_unknown),
    ("CARD_BLACKLISTED", card_blacklisted),
    ("BALANCE_BREAK", balance_break),
    ("BILLS_EXCEED_PAYMENT", bills_exceed_payment),
    ("BENEFIT_UNMATCHED", benefit_unmatched),
    ("AMOUNT_OVER_LIMIT", amount_over_limit),
    ("TIME_IN_FUTURE", time_in_future),
    ("TOO_OLD", too_old),
]
"""All but NO_TARIFF, which pricing decides."""


def first_failure(row: Row, checks: list[tuple[str, Check]], context: Context) -> str:
    """The status of the first check that applies; empty when none does."""
    for status, applies in checks:
        if applies(row, context):
            return status
    return ""


def disposition(status: str, direction: str, policy: dict[str, dict[str, str]]) -> str:
    """Where a row ends, the centre's policy included as far as the rules let it."""
    if status in FIXED_DISPOSITIONS:
        return FIXED_DISPOSITIONS[status]
    wanted = policy.get(status, {}).get(direction, "").upper()
    if wanted and not (wanted == "ACCEPTED" and status in NEVER_PAYABLE):
        return wanted
    if status == "TEST_RECORD" or (direction == "debit" and status in REJECTED_DEBITS):
        return "REJECTED"
    return "HELD"
