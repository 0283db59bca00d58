"""JT/T 978.4 files: the frame, fixed-width deliveries by profile, declared records; every fault has its name."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io.delivery import (
    DeliveryFormatError,
    EmptyDeliveryError,
    Manifest,
    ProfileError,
    load_profile,
    read_delivery,
)
from card_io.delivery.fixed_width_writer import NotWritableError, write_fixed_width
from card_io.delivery.jtt978_frame import Frame, Header, read_frame, write_frame
from card_io.delivery.jtt978_records import RECORDS, TextRecord, read_records, shortened
from card_io.delivery.profile import PACKAGED
from card_io.records import NULL, RecordBlock, Service, UnreadableRow, fields_of

DAY = datetime.date(2026, 3, 2)
HEADER = Header(DAY, "10", 4)
GOOD = write_frame(HEADER, [b"abcd", b"efgh"])
CD = load_profile("jtt978-cd")


def test_a_frame_reads_back() -> None:
    assert GOOD == b"01\n0000022026030210         0004FFFFFFFFFFFFFFFFFFFF\nabcd\nefgh\n"
    assert read_frame(GOOD, "f") == Frame(HEADER, [b"abcd", b"efgh"])
    assert read_frame(GOOD.replace(b"\n", b"\r\n"), "f") == Frame(HEADER, [b"abcd", b"efgh"])
    assert read_frame(GOOD[:-1], "f") == Frame(HEADER, [b"abcd", b"efgh"])
    assert read_frame(write_frame(HEADER, []), "f") == Frame(HEADER, [])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"02" + GOOD[2:], "f: line 1, version is b'02'; begin the file with 01"),
        (b"\n", "f: line 1, version is b''; begin"),
        (b"01\n", "f: line 2, the header is missing"),
        (GOOD.replace(b"FFFF\n", b"FFF\n"), "f: line 2, the header has 48 bytes; a header has 49"),
        (GOOD.replace(b"000002", b"00000x"), "f: line 2, record_count is '00000x'; write decimal digits"),
        (GOOD.replace(b"000002", b"000003"), "f: line 2, record_count is 3, 2 records follow; send the whole"),
        (GOOD.replace(b"20260302", b"20260230"), "f: line 2, clearing_date is '20260230'; write a day"),
        (GOOD.replace(b"20260302", b" 2026032"), "f: line 2, clearing_date is ' 2026032'; write a day"),
        (GOOD.replace(b"10         ", b"           "), "f: line 2, receiver is '           '"),
        (GOOD.replace(b"10         ", b"\xd6\xd0         "), "f: line 2, receiver is"),
        (GOOD.replace(b"0004F", b"-004F"), "f: line 2, record_length is '-004'"),
        (GOOD.replace(b"FFF\n", b"FF0\n"), "f: line 2, reserved is 'FFFFFFFFFFFFFFFFFFF0'"),
        (GOOD + b"\n", "f: line 2, record_count is 2, 3 records follow"),
        (GOOD.removesuffix(b"efgh\n"), "f: line 2, record_count is 2, 1 records follow"),
    ],
)
def test_a_wrong_head_refuses_the_file_and_says_where(raw: bytes, message: str) -> None:
    with pytest.raises(DeliveryFormatError) as caught:
        read_frame(raw, "f")
    assert str(caught.value).startswith(message)


def test_no_bytes_at_all() -> None:
    with pytest.raises(EmptyDeliveryError):
        read_frame(b"", "f")


# --- deliveries -------------------------------------------------------------------------


def block_of(rows: list[dict[str, int]], cards: list[str] | None = None) -> RecordBlock:
    """Transit records with these values, 0 or missing elsewhere."""
    columns = {
        field.name: np.array([row.get(field.name, NULL if field.nullable else 0) for row in rows], field.dtype)
        for field in fields_of(Service.TRANSIT)
    }
    cards = cards or ["3104770000000000001"] * len(rows)
    return RecordBlock(
        Service.TRANSIT,
        np.arange(1, len(rows) + 1, dtype=np.int64),
        np.array([int(card) if card.isdigit() else 0 for card in cards], np.uint64),
        np.array([len(card) if card.isdigit() else 0 for card in cards], np.uint8),
        {row: card for row, card in enumerate(cards) if not card.isdigit()},
        columns,
        {},
    )


def read(path: Path, raw: bytes, delivery_format: str = "jtt978-cd") -> tuple[RecordBlock, list[UnreadableRow]]:
    path.write_bytes(raw)
    manifest = Manifest(
        format_version=1,
        sender=1,
        service="retail" if "cl" in delivery_format else "transit",
        file_date="2026-03-02",
        sequence=1,
        file=path.name,
        format=delivery_format,
        rows=0,
        amount_fen=None,
        sha256="0" * 64,
        sent_at="2026-03-02T00:00:00",
    )
    [decoded] = read_delivery(path, manifest)
    return decoded


def _ranges() -> st.SearchStrategy[dict[str, int]]:
    """Whatever CD can hold; both ends of every column among it."""
    limits = {
        "card_counter": 10**6 - 1,
        "balance_before": 10**8 - 1,
        "balance_after": 10**8 - 1,
        "gross_fare": 10**8 - 1,
        "terminal_counter": 2**32 - 1,
        "tac": 2**32 - 1,
        "terminal_id": 2**48 - 1,
        "amount": 2**32 - 1,
        "time3": 2**24 - 1,
        "record_state": 2,
    }

    def values(name: str, dtype: str, nullable: bool) -> st.SearchStrategy[int]:
        most = limits.get(name, int(np.iinfo(dtype).max))
        least = -(10**7 - 1) if name.startswith("balance_") else 0
        numbers = st.integers(least, most)
        return st.just(NULL) | numbers if nullable else numbers

    return st.fixed_dictionaries({f.name: values(f.name, f.dtype, f.nullable) for f in fields_of(Service.TRANSIT)})


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(_ranges(), max_size=4), card=st.sampled_from(["3104770000000000001", "0000000000000017", "X-7"]))
def test_cd_reads_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, rows: Any, card: str) -> None:
    block = block_of(rows, [card] * len(rows))
    raw = write_fixed_width(block, CD, HEADER)
    found, unreadable = read(tmp_path_factory.getbasetemp() / "cd.txt", raw)

    assert unreadable == []
    assert {name: column.tolist() for name, column in found.columns.items()} == {
        name: column.tolist() for name, column in block.columns.items()
    }
    assert (found.card_number == block.card_number).all()
    assert (found.card_digits == block.card_digits).all()
    assert found.card_text == block.card_text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"card_counter": 10**6}, "row 2, offline_trade_no: '1000000' does not fit 6 characters"),
        ({"balance_before": -(10**8)}, "row 2, beforetrade_charge: '-100000000' does not fit 8 characters"),
        ({"record_state": 7}, "row 2, trade_state: '???' does not fit 2 characters"),
    ],
)
def test_what_cd_cannot_hold_is_named(values: dict[str, int], message: str) -> None:
    with pytest.raises(NotWritableError) as caught:
        write_fixed_width(block_of([{}, values]), CD, HEADER)
    assert str(caught.value).startswith(message)


def _line(**changes: str) -> bytes:
    """One CD line; changes by source name, `tail` replaces the TLV data."""
    raw = write_fixed_width(block_of([{"amount": 200, "mode": 2}]), CD, HEADER).split(b"\n")[2]
    layout: Any = CD.layout
    for name, start, end, _ in layout.places(260):
        if name in changes:
            raw = raw[:start] + changes[name].encode("gbk").ljust(end - start) + raw[end:]
    return raw[:260] + changes["tail"].encode() if "tail" in changes else raw


LENGTH = CD.layout.record_lengths[0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (_line()[: LENGTH - 1], "the line", f"{LENGTH - 1} bytes"),
        (b"", "the line", "0 bytes"),
        (_line() + b"0" * 600, "the line", None),
        (_line(trade_charge1="0000zz"), "trade_charge1", "0000zz"),
        (_line(trade_charge1=""), "trade_charge1", ""),
        (_line(beforetrade_charge="12.50"), "beforetrade_charge", "12.50"),
        (_line(trade_state="09"), "trade_state", "09"),
        (_line(recv_org_code="-1"), "recv_org_code", "-1"),
        (_line(card_no=""), "card_no", "0 bytes"),
        (_line(terminal_num="\t"), "terminal_num", "092020202020202020202020"),
        (_line().replace(b" " * 40, b"\x81" + b" " * 39, 1), None, None),
        (_line(tail="8001018"), "TLV", "7 characters"),
        (_line(tail="80010G"), "TLV", "6 characters"),
        (_line(tail="800101810100820102" + "850A01"), "TLV", "tag 85, 10 bytes"),
        (_line(tail="800101810100820102" + "8500"), "TLV", "tag 85, 0 bytes"),
        (_line(tail="800101810100820102" + "850301"), "TLV", "tag 85, 3 bytes"),
        (_line(tail="800101810100820102" + "85"), "TLV", None),
        (_line(tail="800101810100820102" + "9F0101"), "TLV", "tag 9F, 1 bytes"),
        (_line(tail="800101810100820102" + "820102"), "TLV", "tag 82, 1 bytes"),
        (_line(tail="800101810100"), "mode", "null"),
    ],
)
def test_a_malformed_line_costs_its_row_only(
    tmp_path: Path, line: bytes, field: str | None, value: str | None
) -> None:
    raw = write_frame(Header(DAY, "1", LENGTH), [_line(), line, _line()])
    block, unreadable = read(tmp_path / "cd.txt", raw)

    assert block.source_row.tolist() == [1, 3]
    [fault] = unreadable
    assert fault.source_row == 2
    assert fault.remedy
    assert field is None or fault.field == field
    assert value is None or fault.value == value


def test_chinese_text_is_read_and_a_broken_character_is_not_repeated(tmp_path: Path) -> None:
    raw = write_frame(Header(DAY, "1", LENGTH), [_line(cardholder_name="持卡人"), _line()])
    assert read(tmp_path / "cd.txt", raw)[1] == []
    broken = raw.replace("持卡人".encode("gbk"), b"\xb3\xd6\xbf\xa8\xff\xff")
    [fault] = read(tmp_path / "cd.txt", broken)[1]
    assert (fault.source_row, fault.field, fault.value) == (1, "cardholder_name", "40 bytes")


def test_another_record_length_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(
        DeliveryFormatError, match=f"line 2, record_length is 259; records of this profile have {LENGTH}"
    ):
        read(tmp_path / "cd.txt", write_frame(Header(DAY, "1", 259), []))


@pytest.mark.parametrize("length", [335, 325])
def test_the_header_says_where_the_tlv_of_cl_begins(tmp_path: Path, length: int) -> None:
    [fixed] = RECORDS["CL"].encode(_cl_columns())
    tail = b"8006000000C90001810400000064820831047700000000018301018401018504AABBCCDD"
    raw = write_frame(Header(DAY, "10", length), [fixed[:length] + tail])
    block, unreadable = read(tmp_path / "cl.txt", raw, "jtt978-cl")

    assert unreadable == []
    assert {name: block.columns[name].tolist() for name in ("amount", "tac", "terminal_id", "issuer_id")} == {
        "amount": [200],
        "tac": [0xAABBCCDD],
        "terminal_id": [0xC90001],
        "issuer_id": [0x3104770000000001],
    }
    bare, _ = read(tmp_path / "cl.txt", raw, "jtt978-cl-unverified")
    assert bare.columns["tac"].tolist() == [NULL]


def _cl_columns() -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        field.name: [0 if field.kind in ("number", "hex", "date", "time") else "1"] for field in RECORDS["CL"].fields
    }
    changed = {"amount": 200, "date": 0x20260302, "time": 0x120000, "card_no": "3104770000000000001"}
    return columns | {name: [value] for name, value in {**changed, "transaction_type": "0006"}.items()}


def test_a_profile_must_map_every_field_of_its_layout(tmp_path: Path) -> None:
    for name in ("jtt978-cd.yaml", "jtt978-cd.base.yaml"):
        text = re.sub(r"  - .source: card_org_id, .*\n", "", (PACKAGED / name).read_text("utf-8"))
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ProfileError, match="columns and layout differ in card_org_id"):
        load_profile("jtt978-cd", (tmp_path,))


# --- declared records -------------------------------------------------------------------


def _values(record: TextRecord) -> st.SearchStrategy[dict[str, list[Any]]]:
    kinds = {
        "number": lambda width: st.none() | st.integers(-(10 ** (width - 1)) + 1, 10**width - 1),
        "hex": lambda width: st.none() | st.integers(0, 16**width - 1),
        "date": lambda width: st.none() | st.integers(0, 16**width - 1),
        "time": lambda width: st.none() | st.integers(0, 16**width - 1),
        "code": lambda width: st.text(st.sampled_from("AZ az09-_."), max_size=width).map(str.rstrip),
        "text": lambda width: st.text(st.sampled_from("已清算挂起 a"), max_size=width // 2).map(str.rstrip),
    }
    row = st.fixed_dictionaries({field.name: kinds[field.kind](field.width) for field in record.fields})
    return st.lists(row, max_size=3).map(lambda rows: {f.name: [row[f.name] for row in rows] for f in record.fields})


@pytest.mark.parametrize("name", ["CL", "FB", "CR", "BP"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_records_read_back(name: str, data: st.DataObject) -> None:
    record = RECORDS[name]
    columns = data.draw(_values(record))
    lines = record.encode(columns)
    assert all(len(line) == record.length for line in lines)
    reading = read_records(write_frame(Header(DAY, "1", record.length), lines), "f", record)

    assert reading.faults == []
    assert [{**row, "tlv": ""} for _, row in reading.rows] == [
        {**{field: values[number] for field, values in columns.items()}, "tlv": ""} for number in range(len(lines))
    ]


def test_the_widths_are_the_recovered_ones() -> None:
    assert (RECORDS["CL"].length, RECORDS["FB"].length) == (335, 361)


@pytest.mark.parametrize(
    ("start", "text", "field", "value"),
    [
        (147, b"00000000o200", "amount", "'00000000o200'"),
        (182, b"\xff\xff", "error_text", "40 bytes"),
        (159, b"2026030g", "date", "'2026030g'"),
        (109, b"\xd6\xd0", "card_no", "20 bytes"),
        (109, b"\x01\x02", "card_no", None),
    ],
)
def test_every_malformed_record_is_named_and_kept(start: int, text: bytes, field: str, value: str | None) -> None:
    [line] = RECORDS["CL"].encode(_cl_columns())
    spoilt = line[:start] + text + line[start + len(text) :]
    reading = read_records(write_frame(Header(DAY, "1", 335), [line, spoilt, line[:300]]), "f", RECORDS["CL"])

    assert [number for number, _ in reading.rows] == [3]
    first, second = reading.faults
    assert (first.file, first.line, first.field) == ("f", 4, field)
    assert value is None or first.value == value
    assert (second.line, second.field, second.value, second.remedy) == (5, "the line", "300 bytes", "write 335 bytes")
    assert reading.total("amount") == 200


def test_a_sum_that_does_not_add_up_is_named() -> None:
    record = RECORDS["LD"]
    row: dict[str, list[Any]] = {f.name: [1 if f.kind in ("number", "date") else "x"] for f in record.fields}
    raw = write_frame(Header(DAY, "1", record.length), record.encode({**row, "rows": [6]}))
    [fault] = read_records(raw, "f", record).faults

    assert (fault.line, fault.field) == (3, "rows")
    assert fault.value.startswith("6 is not the sum of accepted_rows, held_rows")
    assert read_records(raw.replace(b"00000006", b"00000005"), "f", record).faults == []


def test_a_record_length_before_the_last_field_refuses_the_file() -> None:
    with pytest.raises(DeliveryFormatError, match="line 2, record_length is 100; a CL record has 335"):
        read_records(write_frame(Header(DAY, "1", 100), []), "f", RECORDS["CL"])


def test_a_value_that_does_not_fit_is_a_bug_with_a_name() -> None:
    with pytest.raises(ValueError, match=r"BP.amount, row 1: 10{16} does not fit"):
        RECORDS["BP"].encode({f.name: [10**16 if f.name == "amount" else ""] for f in RECORDS["BP"].fields})


@pytest.mark.parametrize(("width", "text"), [(6, "已清算"), (5, "已清"), (1, ""), (0, "")])
def test_a_text_is_cut_between_characters(width: int, text: str) -> None:
    assert shortened("已清算", width) == text
