"""Parquet deliveries: what comes back unchanged, what costs a row, what costs the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from card_io.delivery import (
    DeliveryFormatError,
    EmptyDeliveryError,
    parquet_schema,
    read_parquet,
    write_parquet,
)
from card_io.records import BILL_FIELDS, MEDICAL_FIELDS, NULL, Columns, RecordBlock, Service, UnreadableRow, fields_of

CARDS = ["3104770000012345", "0000000000000000012", "9999999999999999999", "CBEHFCFCG", "00000000000000000000"]


def _columns(service: Service, rows: int) -> Columns:
    columns: Columns = {}
    for index, field in enumerate(fields_of(service)):
        columns[field.name] = (np.arange(rows) + index).astype(field.dtype)
        if field.nullable:
            columns[field.name][index % rows] = NULL
    return columns


def _bills() -> Columns:
    columns: Columns = {field.name: np.arange(1, 4).astype(field.dtype) for field in BILL_FIELDS}
    columns["demand"][1] = NULL
    return {**columns, "bill_row": np.array([0, 0, 3])}


def _table(rows: int = 3) -> pa.Table:
    """A transit table of cards "1" and ones, every column nullable so that tests can break it."""
    schema = parquet_schema(Service.TRANSIT)
    arrays = [pa.array(["1"] * rows if field.type == pa.string() else [1] * rows, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, names=schema.names)


def _utility_table(bills: list[Any], bills_type: pa.DataType | None = None) -> pa.Table:
    schema = parquet_schema(Service.UTILITY)
    arrays = [
        pa.array(["1"] * len(bills) if field.type == pa.string() else [1] * len(bills), field.type)
        for field in schema
        if field.name != "bills"
    ]
    return pa.Table.from_arrays(
        [*arrays, pa.array(bills, bills_type or schema.field("bills").type)], names=schema.names
    )


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _file(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


def _one(source: Path | bytes, service: Service = Service.TRANSIT) -> tuple[RecordBlock, list[UnreadableRow]]:
    (decoded,) = read_parquet(source, service)
    return decoded


@pytest.mark.parametrize("service", list(Service))
def test_every_service_comes_back_unchanged(tmp_path: Path, service: Service) -> None:
    path, columns = tmp_path / "day.parquet", _columns(service, 5)
    bills = _bills() if service is Service.UTILITY else None
    write_parquet(path, service, CARDS, columns, bills)

    block, unreadable = _one(path, service)

    assert unreadable == []
    assert block.service is service
    assert block.source_row.tolist() == [1, 2, 3, 4, 5]
    assert block.card_number.tolist() == [3104770000012345, 12, 10**19 - 1, 0, 0]
    assert block.card_digits.tolist() == [16, 19, 19, 0, 0]
    assert block.card_text == {3: "CBEHFCFCG", 4: "0" * 20}
    assert list(block.columns) == [field.name for field in fields_of(service)]
    for field in fields_of(service):
        assert block.columns[field.name].dtype == field.dtype
        assert block.columns[field.name].tolist() == columns[field.name].tolist()
    if bills is not None:
        assert {name: values.tolist() for name, values in block.bills.items()} == {
            name: values.tolist() for name, values in bills.items()
        }
    else:
        assert len(block.bills["bill_row"]) == 0


def test_row_groups_become_blocks_numbered_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    write_parquet(path, Service.RETAIL, CARDS, _columns(Service.RETAIL, 5), row_group_rows=2)
    blocks = [block for block, _ in read_parquet(path, Service.RETAIL)]
    assert [block.source_row.tolist() for block in blocks] == [[1, 2], [3, 4], [5]]
    assert blocks[1].card_text == {1: "CBEHFCFCG"}
    chosen = [block for block, _ in read_parquet(path.read_bytes(), Service.RETAIL, row_groups=[2], threads=True)]
    assert [block.source_row.tolist() for block in chosen] == [[5]]


def test_a_file_of_zero_rows_is_one_empty_block(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    write_parquet(path, Service.UTILITY, [], _columns(Service.UTILITY, 1) | _no_rows(Service.UTILITY))
    block, unreadable = _one(path, Service.UTILITY)
    assert (len(block), unreadable) == (0, [])
    assert block.columns["tac"].dtype == np.int64
    no_group = _file(parquet_schema(Service.TRANSIT).empty_table())
    assert len(_one(no_group)[0]) == 0


def _no_rows(service: Service) -> Columns:
    return {field.name: np.empty(0, field.dtype) for field in fields_of(service)}


def test_terminal_numbers_use_all_six_bytes_and_impossible_dates_stay_raw() -> None:
    table = _with(_table(), "terminal_id", pa.array([0xA1B2C3D4E5F6, 0xFFFFFFFFFFFF, 0], pa.uint64()))
    table = _with(table, "date4", pa.array([0x20260230, 0xFFFFFFFF, 0], pa.uint32()))
    table = _with(table, "time3", pa.array([0x996199, 0xFFFFFF, 0], pa.uint32()))
    block, unreadable = _one(_file(table))
    assert unreadable == []
    assert block.columns["terminal_id"].tolist() == [0xA1B2C3D4E5F6, 0xFFFFFFFFFFFF, 0]
    assert block.columns["date4"].tolist() == [0x20260230, 0xFFFFFFFF, 0]
    assert block.columns["time3"].tolist() == [0x996199, 0xFFFFFF, 0]


@pytest.mark.parametrize("width", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64()])
def test_any_integer_width_is_accepted_where_the_value_fits(width: pa.DataType) -> None:
    table = _with(_table(), "mode", pa.array([1, 2, 7], width))
    table = _with(table, "tac", pa.array([1, None, 7], width))
    block, unreadable = _one(_file(table))
    assert unreadable == []
    assert block.columns["mode"].tolist() == [1, 2, 7]
    assert block.columns["mode"].dtype == np.uint8
    assert block.columns["tac"].tolist() == [1, NULL, 7]


@pytest.mark.parametrize(
    ("column", "values", "shown"),
    [
        ("mode", pa.array([1, 256, 1], pa.int64()), "256"),
        ("mode", pa.array([1, -1, 1], pa.int8()), "-1"),
        ("mode", pa.array([1, None, 1], pa.uint8()), "null"),
        ("amount", pa.array([1, -5, 1], pa.int64()), "-5"),
        ("amount", pa.array([1, 2**32 + 5, 1], pa.int64()), "4294967301"),
        ("tac", pa.array([None, 2**32, 1], pa.int64()), "4294967296"),
        ("card_counter", pa.array([1, -1, None], pa.int64()), "-1"),
        ("terminal_id", pa.array([1, 2**48, 1], pa.uint64()), "281474976710656"),
        ("issuer_id", pa.array([1, -1, 1], pa.int64()), "-1"),
        ("time3", pa.array([1, 2**24, 1], pa.uint32()), "16777216"),
        ("gross_fare", pa.array([1, 2**63, None], pa.uint64()), "9223372036854775808"),
        ("balance_after", pa.array([-100, NULL, 1], pa.int64()), str(NULL)),
    ],
)
def test_a_value_its_column_cannot_hold_costs_its_row(column: str, values: pa.Array, shown: str) -> None:
    block, unreadable = _one(_file(_with(_table(), column, values)))
    assert block.source_row.tolist() == [1, 3]
    assert {name: len(values) for name, values in block.columns.items() if len(values) != 2} == {}
    (row,) = unreadable
    assert (row.source_row, row.field, row.value) == (2, column, shown)
    assert row.remedy.startswith("give an integer from ")


def test_a_row_with_several_faults_is_reported_once_by_its_first_field() -> None:
    table = _with(_table(), "amount", pa.array([1, -5, -6], pa.int64()))
    table = _with(table, "mode", pa.array([1, None, 1], pa.uint8()))
    _, unreadable = _one(_file(table))
    assert [(row.source_row, row.field) for row in unreadable] == [(2, "amount"), (3, "amount")]


@pytest.mark.parametrize("card", [None, "", "12\n34", "a\x00b"])
def test_a_row_without_a_usable_card_text_is_unreadable(card: str | None) -> None:
    block, unreadable = _one(_file(_with(_table(), "card_no", pa.array(["77", card, "OPAQUE"]))))
    assert block.source_row.tolist() == [1, 3]
    assert block.card_text == {1: "OPAQUE"}
    assert [(row.source_row, row.field) for row in unreadable] == [(2, "card_no")]
    assert "12" not in unreadable[0].value, "what stands in a card column is never repeated"


def test_card_bytes_that_are_not_utf8_cost_their_row() -> None:
    raw = pa.array([b"77", b"\xff\xfe", b"A"], pa.binary())
    damaged = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    block, unreadable = _one(_file(_with(_table(), "card_no", damaged)))
    assert block.source_row.tolist() == [1, 3]
    assert unreadable[0].value == "2 bytes"


@pytest.mark.parametrize("text", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_every_arrow_text_type_carries_cards(text: pa.DataType) -> None:
    cards = pa.array(["0012", "AB", "0012"]).cast(text)
    block, unreadable = _one(_file(_with(_table(), "card_no", cards)))
    assert unreadable == []
    assert block.card_number.tolist() == [12, 0, 12]
    assert block.card_digits.tolist() == [4, 0, 4]
    assert block.card_text == {1: "AB"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (_with(_table(), "amount", pa.array([1.0, 2.0, 3.0])), "column amount has type double, expected int64"),
        (_with(_table(), "amount", pa.array(["1", "2", "3"])), "column amount has type string"),
        (
            _with(_table(), "amount", pa.array([1, 2, 3]).cast(pa.decimal128(21, 2))),
            "column amount has type decimal128",
        ),
        (_with(_table(), "test_flag", pa.array([True, False, True])), "column test_flag has type bool"),
        (_with(_table(), "tac", pa.nulls(3)), "column tac has type null"),
        (_with(_table(), "card_no", pa.array([1, 2, 3])), "column card_no has type int64, expected string"),
        (_with(_table(), "card_no", pa.array([b"1"] * 3)), "column card_no has type binary"),
        (_table().drop_columns(["date4", "tac"]), "a transit file lacks column date4, tac"),
        (_table().append_column("holder", pa.array([1, 2, 3])), "must not have column holder"),
        (_table().append_column("amount", pa.array([1, 2, 3])), "has column amount twice"),
    ],
)
def test_wrong_columns_refuse_the_file(table: pa.Table, message: str) -> None:
    with pytest.raises(DeliveryFormatError, match=message) as caught:
        list(read_parquet(_file(table), Service.TRANSIT, name="day.parquet"))
    assert caught.value.file == "day.parquet"
    assert caught.value.remedy


def test_an_empty_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    path.touch()
    with pytest.raises(EmptyDeliveryError, match=r"day\.parquet: the file is empty"):
        _one(path)


def test_a_missing_file_is_not_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _one(tmp_path / "day.parquet")


def test_every_cut_of_a_file_is_refused() -> None:
    whole = _file(_table())
    for length in range(1, len(whole), 97):
        with pytest.raises(DeliveryFormatError, match="not a whole Parquet file"):
            _one(whole[:length])


def test_altered_bytes_never_escape_as_another_exception() -> None:
    whole, random = _file(_table(50), compression="zstd"), np.random.default_rng(7)
    refused = 0
    for _ in range(300):
        altered = bytearray(whole)
        for position in random.integers(0, len(whole), 3):
            altered[position] ^= int(random.integers(1, 256))
        try:
            _one(bytes(altered))
        except DeliveryFormatError:
            refused += 1
    assert refused > 0


BILL = {field.name: 1 for field in BILL_FIELDS}


def test_bills_keep_their_parents_when_rows_drop_out() -> None:
    lists = [[BILL], [BILL, {**BILL, "period": -1}], [], [BILL, {**BILL, "usage": -5}], None]
    table = _utility_table(lists, _signed_bills())
    block, unreadable = _one(_file(table), Service.UTILITY)
    assert block.source_row.tolist() == [1, 3, 4]
    assert block.bills["bill_row"].tolist() == [0, 2, 2]
    assert block.bills["usage"].tolist() == [1, 1, -5]
    assert [(row.source_row, row.field, row.value) for row in unreadable] == [
        (2, "bills.period", "-1"),
        (5, "bills", "null"),
    ]


def _signed_bills() -> pa.DataType:
    return pa.list_(pa.struct([pa.field(field.name, pa.int64()) for field in BILL_FIELDS]))


def test_columns_that_only_some_tariffs_ask_for_may_be_left_out(tmp_path: Path) -> None:
    """Of the rows and of their bills; given, a missing value is missing and a wrong one costs the row."""
    path = tmp_path / "day.parquet"
    write_parquet(path, Service.MEDICAL, CARDS[:2], _columns(Service.MEDICAL, 2))
    table = pq.read_table(path).drop_columns([f.name for f in MEDICAL_FIELDS if f.optional and f.name != "relation"])
    block, unreadable = _one(_file(table), Service.MEDICAL)
    assert unreadable == []
    assert block.columns["household"].tolist() == [NULL, NULL]
    assert NULL in block.columns["relation"].tolist() != [NULL, NULL]

    bare = {name: 1 for name in BILL if name in {field.name for field in BILL_FIELDS if not field.optional}}
    asked = {**bare, "demand": 5}
    kind = pa.list_(pa.struct([pa.field(name, pa.int64()) for name in asked]))
    lists = [[asked], [bare], [{**asked, "demand": -1}]]
    block, unreadable = _one(_file(_utility_table(lists, kind)), Service.UTILITY)
    assert block.bills["demand"].tolist() == [5, NULL]
    assert block.bills["days"].tolist() == [NULL, NULL]
    assert [(row.source_row, row.field) for row in unreadable] == [(3, "bills.demand")]


def test_a_missing_bill_or_bill_field_costs_the_payment() -> None:
    table = _utility_table([[BILL, None], [{**BILL, "bill_id": None}], [BILL]], _signed_bills())
    block, unreadable = _one(_file(table), Service.UTILITY)
    assert block.source_row.tolist() == [3]
    assert [(row.source_row, row.field) for row in unreadable] == [(1, "bills.utility_id"), (2, "bills.bill_id")]


@pytest.mark.parametrize(
    ("bills", "bills_type", "message"),
    [
        ([1], pa.int64(), "column bills has type int64, expected list<struct"),
        ([[1]], pa.list_(pa.int64()), "column bills has type list"),
        ([[{"bill_id": 1}]], pa.list_(pa.struct([("bill_id", pa.int64())])), "column bills lacks column utility_id"),
        (
            [[BILL]],
            pa.list_(pa.struct([(field.name, pa.float64()) for field in BILL_FIELDS])),
            r"column bills\.utility_id has type double",
        ),
    ],
)
def test_wrong_bills_refuse_the_file(bills: list[Any], bills_type: pa.DataType, message: str) -> None:
    with pytest.raises(DeliveryFormatError, match=message):
        _one(_file(_utility_table(bills, bills_type)), Service.UTILITY)


def test_bills_in_any_order_are_written_with_their_parents(tmp_path: Path) -> None:
    path, bills = tmp_path / "day.parquet", _bills()
    bills["bill_row"] = np.array([4, 0, 4])
    write_parquet(path, Service.UTILITY, pa.array(CARDS), _columns(Service.UTILITY, 5), bills)
    block, _ = _one(path, Service.UTILITY)
    assert block.bills["bill_row"].tolist() == [0, 4, 4]
    assert block.bills["bill_id"].tolist() == [2, 1, 3]


def test_writing_refuses_what_the_column_cannot_hold(tmp_path: Path) -> None:
    columns = {**_columns(Service.RETAIL, 5), "merchant_id": np.array([1, 2, 3, 4, 2**32])}
    with pytest.raises(OverflowError, match="merchant_id has 1 … 4294967296"):
        write_parquet(tmp_path / "day.parquet", Service.RETAIL, CARDS, columns)
