"""The decided columns: what clearing adds to a transaction record (docs/clearing-rules.md §3–§7).

The source columns are declared in :mod:`card_io.records`; segments hold both, never a card number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import BILL_FIELDS, Columns, Field, Service, fields_of

NO_LINK: Final = -1
"""``linked_txn_id`` of a row that refers to no other."""

DECIDED_FIELDS: Final[tuple[Field, ...]] = (
    Field("txn_id", "int64", "file_no · 2³² + source row: a handle, never an input to a decision"),
    Field("card_id", "uint64", "keyed permutation of the card number"),
    Field("txn_time", "int64", "seconds of wall time, NULL when impossible"),
    Field("received_window", "int32", "business date whose cut-off followed the receipt, days"),
    Field("operating_day", "int32", "day of the transaction by the day cut, days"),
    Field("window", "int32", "business date the row settles in, days"),
    Field("issuer", "int64", "participant number of the issuer, 0 unknown"),
    Field("tac_verdict", "uint8", "TacVerdict"),
    Field("status", "int16", "ClearingStatus"),
    Field("disposition", "uint8", "Disposition"),
    Field("linked_txn_id", "int64", "the row that stands in place of a duplicate, −1 none"),
    Field("sign", "int8", "1 a decision, −1 its reversal by a linked event"),
    Field("event", "uint8", "0 the first decision (on the receipt), 1, 2 … later linked events"),
    Field("register_class", "uint8", "concession class of the register on the operating day"),
    Field("tariff", "uint16", "index into the batch's tariff list, 0 none"),
    Field("segment", "uint16", "dated segment of the tariff"),
    Field("rule", "uint16", "deciding rule of the segment"),
    Field("price_verdict", "uint8", "PriceVerdict"),
    Field("gross", "int64", "fen, full price by the tariff"),
    Field("card_paid", "int64", "fen the cardholder owes"),
    Field("overcharge", "int64", "fen payable back to the cardholder"),
    Field("fund", "int64", "participant number of the paying fund, 0 none"),
    Field("fund_paid", "int64", "fen the fund owes"),
    Field("operator_borne", "int64", "fen the operator bears (memo)"),
    Field("cardholder_suspense", "int64", "fen held for the cardholder: bills paid twice, excess"),
    Field("posting_template", "uint8", "PostingTemplate"),
)

_NOT_CONTENT: Final = frozenset({"txn_id", "sign", "event", "linked_txn_id", "received_window"})
"""Decided columns outside the content root: handles, arrival and links between handles."""

CONTENT_FIELDS: Final[tuple[Field, ...]] = tuple(f for f in DECIDED_FIELDS if f.name not in _NOT_CONTENT)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one service between decoding and the segment: equal-length columns and the bills' child table.

    ``bills`` carries ``bill_row``, the position of each bill's payment in these rows.
    """

    service: Service
    columns: Columns
    bills: Columns

    def __len__(self) -> int:
        return len(self.columns["card_id"])

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    def with_columns(self, **columns: npt.NDArray[Any]) -> Rows:
        """The same rows with columns added or replaced."""
        return replace(self, columns={**self.columns, **columns})

    def without(self, names: tuple[str, ...]) -> Rows:
        """The same rows without some columns."""
        return Rows(self.service, {n: c for n, c in self.columns.items() if n not in names}, self.bills)

    def only(self, names: list[str]) -> Rows:
        """The same rows with fewer columns."""
        return Rows(self.service, {name: self.columns[name] for name in names}, self.bills)

    def take(self, rows: npt.NDArray[np.int64]) -> Rows:
        """The rows at the positions ``rows``, each at most once, their bills with them."""
        position = np.full(len(self), -1, np.int64)
        position[rows] = np.arange(len(rows))
        parent = position[self.bills["bill_row"].astype(np.int64)]
        kept = parent >= 0
        bills = {name: column[kept] for name, column in self.bills.items()}
        bills["bill_row"] = parent[kept]
        return Rows(self.service, {name: column.take(rows) for name, column in self.columns.items()}, bills)


def newest_decisions(rows: Rows) -> Rows:
    """The last decision of each transaction by txn_id, of rows in the order written; reversals are gone.

    The bills of each payment stay in their order.
    """
    decisions = np.flatnonzero(rows["sign"] > 0)[::-1]
    newest = rows.take(decisions[np.unique(rows["txn_id"][decisions], return_index=True)[1]])
    order = np.argsort(newest.bills["bill_row"], kind="stable")
    return Rows(newest.service, newest.columns, {name: column[order] for name, column in newest.bills.items()})


def row_money(service: Service, columns: Columns) -> npt.NDArray[np.int64]:
    """int64[n] fen a row is about: what it moved on the purse, for a benefit grant what it grants."""
    return np.asarray(columns["granted"] if service is Service.BENEFIT else columns["amount"], np.int64)


def concatenate(parts: list[Rows]) -> Rows:
    """Rows of one service in the order of ``parts`` (at least one)."""
    if len(parts) == 1:
        return parts[0]
    offset, bills = 0, []
    for part in parts:
        bills.append({**part.bills, "bill_row": part.bills["bill_row"].astype(np.int64) + offset})
        offset += len(part)
    return Rows(
        parts[0].service,
        {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        {name: np.concatenate([each[name] for each in bills]) for name in bills[0]},
    )


def source_names(service: Service) -> list[str]:
    """Names of a service's source columns in schema order."""
    return [field.name for field in fields_of(service)]


BILL_NAMES: Final = [field.name for field in BILL_FIELDS]


def empty_bills() -> Columns:
    """The child table of rows without bills."""
    bills: Columns = {f.name: np.empty(0, f.dtype) for f in BILL_FIELDS}
    return {**bills, "bill_row": np.empty(0, np.int64), "bill_paid": np.empty(0, np.uint8)}
