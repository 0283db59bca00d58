"""Records as delivery columns: what a sender's file says of the rows in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io.delivery.parquet import parquet_schema
from card_io.records import BILL_FIELDS, NULL, SERVICE_FIELDS, Service, fields_of, int_to_bcd
from clearing.simulate.keyring import Secrets, authenticate
from clearing.simulate.population import Population
from clearing.simulate.spoil import MANGLINGS
from clearing.simulate.table import Ints, Table, length

_IMPOSSIBLE_DATE: Final = 0x20260230
_TOO_WIDE: Final = 1 << 40


@dataclass(frozen=True)
class Details:
    """Service columns by service, addressed by the rows' ``detail``; and the bills of utility rows."""

    by_service: dict[Service, Table]
    bills: Table


def render(
    service: Service,
    rows: Table,
    details: Details,
    population: Population,
    secrets: Secrets,
    rng: np.random.Generator,
) -> pa.Table:
    """The Arrow table of one delivery file, faults of its bytes included."""
    columns = _common_columns(rows, population, secrets, rng)
    columns |= _service_columns(service, rows, details)
    arrays = {"card_no": _card_texts(population, rows["card"])}
    for field in fields_of(service):
        if field.optional and field.name not in columns:
            continue
        values = columns[field.name].astype(field.dtype, copy=False)
        arrays[field.name] = pa.array(values, mask=values == NULL if field.nullable else None)
    if service is Service.UTILITY:
        arrays["bills"] = _bill_lists(rows["detail"], details)
    _mangle(arrays, rows["mangling"])
    return pa.table(arrays)


def _common_columns(rows: Table, population: Population, secrets: Secrets, rng: np.random.Generator) -> Table:
    moment = rows["time"].astype("datetime64[s]")
    month = moment.astype("datetime64[M]")
    months = month.astype(np.int64)
    day_of_month = (moment.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64) + 1
    date = (1970 + months // 12) * 10_000 + (months % 12 + 1) * 100 + day_of_month
    second = rows["time"] % 86400
    time = second // 3600 * 10_000 + second // 60 % 60 * 100 + second % 60
    date4 = int_to_bcd(date, 8).astype(np.uint32)
    date4[rows["date_broken"]] = _IMPOSSIBLE_DATE
    time3 = int_to_bcd(time, 6).astype(np.uint32)
    purse = rows["txn_type"] != 0

    def of_purse(column: Ints) -> Ints:
        return np.where(purse, column, NULL)

    null = np.full(length(rows), NULL, np.int64)
    return {
        "issuer_id": rows["issuer_id"],
        "purse_kind": rows["purse_kind"],
        "record_state": rows["record_state"],
        "test_flag": rows["test_flag"],
        "card_counter": of_purse(rows["counter"]),
        "txn_type": rows["txn_type"],
        "terminal_id": rows["terminal_id"],
        "terminal_counter": of_purse(rows["terminal_counter"]),
        "date4": date4,
        "time3": time3,
        "amount": rows["amount"],
        "balance_before": of_purse(rows["before"]),
        "balance_after": of_purse(rows["after"]),
        "overdraft_limit": null,
        "overdraft_used": null,
        "key_version": rows["key_version"],
        "key_index": rows["key_index"],
        "algorithm": rows["algorithm"],
        "tac": authenticate(rows, date4, time3, population, secrets, rng),
        "merchant_id": rows["merchant"],
    }


def _service_columns(service: Service, rows: Table, details: Details) -> Table:
    detail = details.by_service.get(service, {})
    columns: Table = {}
    for field in SERVICE_FIELDS[service]:
        if field.name == "benefit_id":
            columns["benefit_id"] = np.where(rows["benefit_id"] == 0, NULL, rows["benefit_id"])
        elif not field.optional or field.name in detail:
            columns[field.name] = detail[field.name][rows["detail"]]
    if service is Service.TRANSIT:
        columns["mode"] = np.where(rows["mode"] == 0, columns["mode"], rows["mode"])
    return columns


def _card_texts(population: Population, card: Ints) -> pa.Array:
    """Card numbers as text; all digits are computed at once instead of formatting each number."""
    number, digits = population.cards["number"][card], population.cards["digits"][card].astype(np.int64)
    width = int(digits.max(initial=0))
    text = np.empty((len(card), width), np.uint8)
    rest = number.copy()
    for position in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, np.uint64(10))
        text[:, position] = digit + np.uint64(ord("0"))
    kept = text[np.arange(width) >= (width - digits)[:, None]]
    offsets = np.concatenate([[0], np.cumsum(digits)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(card), pa.py_buffer(offsets), pa.py_buffer(kept))


def _bill_lists(detail: Ints, details: Details) -> pa.Array:
    utility = details.by_service[Service.UTILITY]
    first, count = utility["first_bill"][detail], utility["bill_count"][detail]
    offsets = np.concatenate([[0], np.cumsum(count)])
    chosen = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], count)
    said = [field for field in BILL_FIELDS if not field.optional or field.name in details.bills]
    types = parquet_schema(Service.UTILITY).field("bills").type.value_type
    columns = [details.bills[field.name][chosen].astype(field.dtype, copy=False) for field in said]
    children = pa.StructArray.from_arrays(
        [
            pa.array(column, mask=column == NULL if field.nullable else None)
            for column, field in zip(columns, said, strict=True)
        ],
        fields=[types.field(field.name) for field in said],
    )
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), children)


def _mangle(arrays: dict[str, pa.Array], mangling: npt.NDArray[np.uint8]) -> None:
    """Take away or break one column of the rows that are to be unreadable."""
    for kind, name in enumerate(MANGLINGS, start=1):
        hit = mangling == kind
        if not hit.any():
            continue
        values: list[Any] | npt.NDArray[Any]
        if name == "card_no":
            arrays[name] = pa.array(
                [None if bad else text for bad, text in zip(hit.tolist(), arrays[name].to_pylist(), strict=True)]
            )
            continue
        values = arrays[name].to_numpy().astype(np.int64)
        if name == "date4":
            values[hit] = _TOO_WIDE
            arrays[name] = pa.array(values)
        else:
            arrays[name] = pa.array(values, mask=hit)
