"""The columns of delivery files and the values they may hold; a row with another value is unreadable.

Names and meanings are those of the transaction schema; widths are those of the wire where the TAC covers them.
"""

from __future__ import annotations

Range = tuple[int, int]
"""Least and greatest value."""

UINT8: Range = (0, 2**8 - 1)
UINT24: Range = (0, 2**24 - 1)
UINT32: Range = (0, 2**32 - 1)
UINT48: Range = (0, 2**48 - 1)
UINT64: Range = (0, 2**64 - 1)
COUNT: Range = (0, 2**63 - 1)
SIGNED: Range = (1 - 2**63, 2**63 - 1)

COMMON: dict[str, Range] = {
    "issuer_id": UINT64,
    "purse_kind": UINT8,
    "record_state": UINT8,
    "test_flag": UINT8,
    "card_counter": UINT32,
    "txn_type": UINT8,
    "terminal_id": UINT48,
    "terminal_counter": UINT32,
    "date4": UINT32,
    "time3": UINT24,
    "amount": UINT32,
    "balance_before": SIGNED,
    "balance_after": SIGNED,
    "overdraft_limit": COUNT,
    "overdraft_used": COUNT,
    "key_version": UINT8,
    "key_index": UINT8,
    "algorithm": UINT8,
    "tac": UINT32,
    "merchant_id": UINT32,
}
TRANSIT: dict[str, Range] = {
    "mode": UINT8,
    "line": COUNT,
    "entry_station": COUNT,
    "exit_station": COUNT,
    "entry_time": COUNT,
    "vehicle": COUNT,
    "direction": UINT8,
    "transfer_flag": UINT8,
    "incomplete": UINT8,
    "card_class": UINT8,
    "gross_fare": COUNT,
    "distance_m": COUNT,
    "duration_s": COUNT,
}
CATEGORY_AMOUNTS = ("category_a_amt", "category_b_amt", "category_c_amt")
"""甲, 乙, 丙: what a settlement is recomputed from; content, no money columns."""
FUND_COLUMNS = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")
MEDICAL_AMOUNTS = (
    "medfee_sumamt",
    "fulamt_ownpay_amt",
    "overlmt_selfpay",
    "preselfpay_amt",
    "inscp_scp_amt",
    "act_pay_dedc",
    *FUND_COLUMNS,
    "hosp_part_amt",
    "fund_pay_sumamt",
    "psn_part_amt",
    "acct_pay",
    "acct_mulaid_pay",
    "psn_cash_pay",
)
MEDICAL_OPTIONAL = (
    *("person_type", "relation", "aid", "category_b_service_amt", "category_b_material_amt", "household", "program"),
    *("program_limit", "income_class", "income", "income_exempt"),
)
BILL_OPTIONAL = (
    *("usage_register_1", "usage_register_2", "usage_register_3", "usage_register_4", "demand", "days"),
    *("customer_class", "meter_size", "allowance", "days_overdue"),
)
OPTIONAL = frozenset(MEDICAL_OPTIONAL + BILL_OPTIONAL)
"""Columns a delivery may leave out; they are missing then."""

MEDICAL: dict[str, Range] = {
    "region": COUNT,
    "institution": COUNT,
    "institution_level": UINT8,
    "insured_type": UINT8,
    "visit_kind": UINT8,
    "settlement_id": COUNT,
    "cancel": UINT8,
    **dict.fromkeys(CATEGORY_AMOUNTS, COUNT),
    **dict.fromkeys(MEDICAL_AMOUNTS, SIGNED),
    **dict.fromkeys(MEDICAL_OPTIONAL, COUNT),
}
LOAD: dict[str, Range] = {"benefit_id": COUNT}
BENEFIT: dict[str, Range] = {"benefit_id": COUNT, "list_id": COUNT, "list_line": COUNT, "granted": COUNT}
BILL: dict[str, Range] = {
    "utility_id": UINT32,
    "bill_id": COUNT,
    "commodity": UINT8,
    "account": COUNT,
    "period": UINT32,
    "household_size": UINT8,
    "usage": SIGNED,
    "bill_amount": SIGNED,
    **dict.fromkeys(BILL_OPTIONAL, COUNT),
}

OF_SERVICE: dict[str, dict[str, Range]] = {
    "transit": COMMON | TRANSIT,
    "medical": COMMON | MEDICAL,
    "utility": COMMON,
    "retail": COMMON,
    "load": COMMON | LOAD,
    "benefit": COMMON | BENEFIT,
}

NULLABLE = frozenset(
    {"card_counter", "terminal_counter", "tac"}
    | {"balance_before", "balance_after", "overdraft_limit", "overdraft_used"}
    | {"line", "entry_station", "exit_station", "entry_time", "vehicle"}
    | {"gross_fare", "distance_m", "duration_s"}
    | {"region", "institution", "settlement_id", *CATEGORY_AMOUNTS}
    | {"benefit_id", "list_id", "list_line"}
    | OPTIONAL
)

MONEY = (
    "amount",
    "balance_before",
    "balance_after",
    "overdraft_used",
    "merchant_id",
    "terminal_id",
    "terminal_counter",
    "date4",
    "time3",
    "txn_type",
    "gross_fare",
    "mode",
    "line",
    "entry_station",
    "exit_station",
    "entry_time",
    "transfer_flag",
    "incomplete",
    "distance_m",
    "duration_s",
    *MEDICAL_AMOUNTS,
    "granted",
    "benefit_id",
)
"""The money columns of rules §5, the bills aside."""
