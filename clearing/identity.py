"""Replay identity, variant and exclusive keys of rows as hashes (docs/clearing-rules.md §5).

What a record *is*, apart from how it was sent: the identity is what the TAC covers plus the card; the variant adds
the money columns; an exclusive key is something that two different transactions may never share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import LOAD_TYPES, NULL, Columns, Service, TxnType
from clearing import grouping
from clearing.content import RowHashes, hash_rows
from clearing.records import BILL_NAMES, source_names

Column = npt.NDArray[Any]
NO_KEY: Final = np.uint64(0)
"""Exclusive key of a row that has none."""

PURCHASE_IDENTITY: Final = (
    "issuer_id", "card_id", "purse_kind", "txn_type", "terminal_id", "terminal_counter", "date4", "time3", "amount",
)  # fmt: skip
LOAD_IDENTITY: Final = ("issuer_id", "card_id", "purse_kind", "card_counter")
MEDICAL_IDENTITY: Final = ("region", "institution", "settlement_id", "cancel", "card_id")
BENEFIT_IDENTITY: Final = ("merchant_id", "list_id", "list_line", "card_id")

MONEY_COLUMNS: Final = (
    "amount", "balance_before", "balance_after", "overdraft_used", "merchant_id", "terminal_id", "terminal_counter",
    "txn_type", "date4", "time3", "gross_fare", "granted", "benefit_id",
    "mode", "line", "entry_station", "exit_station", "entry_time", "transfer_flag", "incomplete", "distance_m",
    "duration_s",
    "medfee_sumamt", "fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt", "act_pay_dedc",
    "hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay", "hosp_part_amt",
    "fund_pay_sumamt", "psn_part_amt", "acct_pay", "acct_mulaid_pay", "psn_cash_pay",
)  # fmt: skip
"""Columns whose difference under one identity is a conflict; a service has those it declares, and its bills."""

_PURCHASE, _LOAD, _MEDICAL, _BENEFIT, _WHOLE_ROW, _GRANT, _ALONE = range(1, 8)
"""First word of every hash, so that kinds of identity never meet."""


_SERVICE_KEYS: Final[dict[Service, tuple[int, tuple[str, ...]]]] = {
    Service.MEDICAL: (_MEDICAL, ("institution", "settlement_id", "cancel", "card_id")),
    Service.LOAD: (_LOAD, ("benefit_id", "card_id")),
    Service.BENEFIT: (_GRANT, ("benefit_id", "card_id")),
}


@dataclass(frozen=True, slots=True)
class Identities:
    """Hashes per row: content, identity (128 bits), variant (64 bits), two exclusive keys (64 bits, 0 = none)."""

    content: RowHashes
    identity: RowHashes
    variant: npt.NDArray[np.uint64]
    counter_key: npt.NDArray[np.uint64]
    service_key: npt.NDArray[np.uint64]


def content_hashes(service: Service, columns: Columns, bills: Columns) -> RowHashes:
    """Content of each row: card and all source columns, a payment's bills included (in bill order of the row)."""
    rows = len(columns["card_id"])
    names = ["card_id", *source_names(service)]
    hashed = [columns[name] for name in names]
    if service is Service.UTILITY:
        hashed.extend(_bill_sums(bills, rows))
    return hash_rows(hashed, rows)


def identities_of(service: Service, columns: Columns, bills: Columns, *, whole_row: bool) -> Identities:
    """Identities of rows of one service.

    Args:
        service: of all rows.
        columns: source columns, ``card_id`` and ``txn_id`` of n rows.
        bills: child table of a utility service.
        whole_row: the sender's profile declares the whole row its identity (there null equals null).
    """
    rows = len(columns["card_id"])
    content = content_hashes(service, columns, bills)
    if whole_row:
        identity = hash_rows([_word(rows, _WHOLE_ROW), content.lo, content.hi], rows)
    else:
        identity = _service_identity(service, columns, rows)
    money = [columns[name] for name in MONEY_COLUMNS if name in columns]
    if service is Service.UTILITY:
        money.extend(_bill_sums(bills, rows))
    return Identities(
        content=content,
        identity=identity,
        variant=hash_rows(money, rows).lo,
        counter_key=_counter_keys(columns, rows),
        service_key=_service_keys(service, columns, rows),
    )


def _word(rows: int, value: int) -> npt.NDArray[np.uint8]:
    return np.full(rows, value, np.uint8)


def _service_identity(service: Service, columns: Columns, rows: int) -> RowHashes:
    purse = columns["txn_type"] != TxnType.NO_PURSE
    if service is Service.LOAD:
        return _hashed(columns, LOAD_IDENTITY, _LOAD, rows)
    if service is Service.BENEFIT:
        return _hashed(columns, BENEFIT_IDENTITY, _BENEFIT, rows)
    identity = _hashed(columns, PURCHASE_IDENTITY, _PURCHASE, rows)
    if service is Service.MEDICAL:
        without_purse = _hashed(columns, MEDICAL_IDENTITY, _MEDICAL, rows)
        identity = RowHashes(
            np.where(purse, identity.lo, without_purse.lo), np.where(purse, identity.hi, without_purse.hi)
        )
    return identity


def _hashed(columns: Columns, names: tuple[str, ...], kind: int, rows: int) -> RowHashes:
    """Identity over ``names``; a row with a missing column competes alone: nulls never match."""
    hashed = hash_rows([_word(rows, kind), *(columns[name] for name in names)], rows)
    missing = np.zeros(rows, bool)
    for name in names:
        if columns[name].dtype == np.int64:
            missing |= columns[name] == NULL
    if missing.any():
        alone = hash_rows([_word(rows, _ALONE), columns["txn_id"]], rows)
        hashed = RowHashes(np.where(missing, alone.lo, hashed.lo), np.where(missing, alone.hi, hashed.hi))
    return hashed


def _counter_keys(columns: Columns, rows: int) -> npt.NDArray[np.uint64]:
    """One purse counter value belongs to one transaction: (issuer, card, purse, load or debit, counter)."""
    is_load = grouping.among(columns["txn_type"], LOAD_TYPES).view(np.uint8)
    hashed = hash_rows(
        [columns["issuer_id"], columns["card_id"], columns["purse_kind"], is_load, columns["card_counter"]], rows
    )
    has_key = (columns["txn_type"] != TxnType.NO_PURSE) & (columns["card_counter"] != NULL)
    return np.where(has_key, hashed.lo | np.uint64(1), NO_KEY)


def _service_keys(service: Service, columns: Columns, rows: int) -> npt.NDArray[np.uint64]:
    """One settlement of one card, one benefit: what two different records may not both claim."""
    kind, names = _SERVICE_KEYS.get(service, (0, ()))
    if not names:
        return np.zeros(rows, np.uint64)
    has_key = np.ones(rows, bool)
    for name in names:
        has_key &= (columns[name] != NULL) if columns[name].dtype == np.int64 else True
    hashed = hash_rows([_word(rows, kind), *(columns[name] for name in names)], rows)
    return np.where(has_key, hashed.lo | np.uint64(1), NO_KEY)


def _bill_sums(bills: Columns, rows: int) -> list[Column]:
    """Two uint64[rows] columns that stand for a payment's bills: sums of bill hashes, independent of bill order."""
    parent = bills["bill_row"].astype(np.int64)
    hashed = hash_rows([bills[name] for name in BILL_NAMES], len(parent))
    low, high = np.zeros(rows, np.uint64), np.zeros(rows, np.uint64)
    np.add.at(low, parent, hashed.lo)
    np.add.at(high, parent, hashed.hi)
    return [low, high]
