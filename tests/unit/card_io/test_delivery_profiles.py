"""Profiles: strict YAML, exact conversions, and every malformed line of CSV and JSON with its outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from card_io.delivery import (
    DeliveryFormatError,
    EmptyDeliveryError,
    Manifest,
    ManifestError,
    ProfileError,
    code_of,
    load_profile,
    profile_of,
    read_delivery,
)
from card_io.delivery.delimited import read_delimited
from card_io.delivery.pattern import DatePattern
from card_io.delivery.profile import Delimited
from card_io.records import NULL, RecordBlock, UnreadableRow, bcd_to_int

HEADER = "card,when,yuan,after,psam,kind,shop,note"
GOOD = "0310477,2026-03-01T08:30:05,12.34,100,A1B2C3D4E5F6,吃饭,食堂,x"

PROFILE: dict[str, Any] = {
    "description": "a canteen",
    "service": "retail",
    "encoding": "utf-8",
    "identity": "replay",
    "card_counter": "after",
    "balances": "unsigned",
    "tac": "none",
    "layout": {"format": "csv", "delimiter": ",", "quote": '"', "header": True},
    "missing": ["", "NULL"],
    "constants": {
        "issuer_id": 1,
        "purse_kind": 1,
        "record_state": 0,
        "test_flag": 0,
        "key_version": 0,
        "key_index": 0,
        "algorithm": 240,
        "merchant_id": 9,
    },
    "columns": [
        {"source": "card", "kind": "card"},
        {"source": "when", "kind": "datetime", "pattern": "YYYY-MM-DDThh:mm:ss"},
        {"source": "yuan", "kind": "int", "field": "amount", "unit": "yuan"},
        {"source": "after", "kind": "int", "field": "card_counter"},
        {"source": "psam", "kind": "hex", "field": "terminal_id"},
        {"source": "kind", "kind": "map", "field": "txn_type", "values": {"吃饭": 6, "退款": 1}},
        {
            "source": "shop",
            "kind": "code",
            "field": "terminal_counter",
            "when": {"source": "kind", "values": ["never"]},
        },
        {"source": "note", "kind": "dropped", "reason": "free text"},
    ],
}


def _read(tmp_path: Path, data: str | bytes, **changes: Any) -> tuple[list[RecordBlock], list[UnreadableRow]]:
    (tmp_path / "canteen.yaml").write_text(yaml.safe_dump({**PROFILE, **changes}, allow_unicode=True), "utf-8")
    path = tmp_path / "day.txt"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    decoded = list(read_delivery(path, _manifest("canteen", "retail"), [tmp_path]))
    return [block for block, _ in decoded], [row for _, rows in decoded for row in rows]


def _manifest(delivery_format: str, service: str) -> Manifest:
    return Manifest.model_validate(
        {
            "format_version": 1,
            "sender": 1,
            "service": service,
            "file_date": "2026-03-01",
            "sequence": 1,
            "file": "day.txt",
            "format": delivery_format,
            "rows": 1,
            "amount_fen": None,
            "sha256": "0" * 64,
            "sent_at": "2026-03-01T00:00:00",
        }
    )


def _line(**changes: str) -> str:
    return ",".join((dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | changes).values())


def _csv(*lines: str) -> str:
    return "\n".join([HEADER, *lines]) + "\n"


def test_a_good_row_is_converted_exactly(tmp_path: Path) -> None:
    (block,), unreadable = _read(tmp_path, _csv(GOOD))
    assert unreadable == []
    assert (block.card_number.tolist(), block.card_digits.tolist(), block.card_text) == ([310477], [7], {})
    assert bcd_to_int(block.columns["date4"], 8).tolist() == [20260301]
    assert bcd_to_int(block.columns["time3"], 6).tolist() == [83005]
    assert block.columns["amount"].tolist() == [1234]
    assert block.columns["card_counter"].tolist() == [99], "the value before, from a source that writes after"
    assert block.columns["terminal_id"].tolist() == [0xA1B2C3D4E5F6]
    assert block.columns["txn_type"].tolist() == [6]
    assert block.columns["terminal_counter"].tolist() == [NULL]
    assert block.columns["merchant_id"].dtype == np.uint32


@pytest.mark.parametrize(
    ("text", "fen"), [("0", 0), ("7", 700), ("7.5", 750), ("0.07", 7), ("0.29", 29), ("00012.30", 1230)]
)
def test_yuan_become_fen_without_floats(tmp_path: Path, text: str, fen: int) -> None:
    (block,), _ = _read(tmp_path, _csv(_line(yuan=text)))
    assert block.columns["amount"].tolist() == [fen]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("when", "2026-03-01 08:30:05"),
        ("when", "2026-3-1T08:30:05"),
        ("when", "２０２６-03-01T08:30:05"),
        ("when", "2026-03-01T08:30:05Z"),
        ("when", "NULL"),
        ("yuan", "1.234"),
        ("yuan", "1e3"),
        ("yuan", "+1"),
        ("yuan", " 1"),
        ("yuan", "-1"),
        ("yuan", "1."),
        ("yuan", "99999999999999999999"),
        ("yuan", "42949672.96"),
        ("after", "1.0"),
        ("after", "0"),
        ("after", "0x10"),
        ("psam", "A1B2C3D4E5F6A"),
        ("psam", "0xA1"),
        ("psam", "12345678901234567"),
        ("kind", "睡觉"),
        ("kind", ""),
    ],
)
def test_a_text_that_does_not_fit_costs_its_row(tmp_path: Path, column: str, text: str) -> None:
    (block,), unreadable = _read(tmp_path, _csv(GOOD, _line(**{column: text}), GOOD))
    assert block.source_row.tolist() == [1, 3]
    assert [(row.source_row, row.field, row.value) for row in unreadable] == [(2, column, text)]
    assert unreadable[0].remedy


def test_an_impossible_date_that_fits_the_pattern_stays_raw(tmp_path: Path) -> None:
    (block,), unreadable = _read(tmp_path, _csv(_line(when="2026-02-30T25:61:99")))
    assert unreadable == []
    assert block.columns["date4"].tolist() == [0x20260230]
    assert block.columns["time3"].tolist() == [0x256199]


def test_missing_card_text_is_unreadable_and_not_repeated(tmp_path: Path) -> None:
    _, unreadable = _read(tmp_path, _csv(_line(card="NULL"), _line(card='"31\n04"')))
    assert [(row.source_row, row.field) for row in unreadable] == [(1, "card_no"), (2, "card_no")]


def test_malformed_lines_keep_their_row_numbers_and_lose_nothing(tmp_path: Path) -> None:
    data = _csv("short", GOOD, GOOD + ",more", "", _line(note='"a ""quoted"", field\nof two lines"'), "1,2", "1,2,3")
    (block,), unreadable = _read(tmp_path, data)
    assert block.source_row.tolist() == [2, 4]
    assert [(row.source_row, row.field, row.value) for row in unreadable] == [
        (1, "the row", "1 fields"),
        (3, "the row", "9 fields"),
        (5, "the row", "2 fields"),
        (6, "the row", "3 fields"),
    ]


def test_row_numbers_continue_over_blocks(tmp_path: Path) -> None:
    lines = [_line(after=str(row)) if row % 7 else "malformed" for row in range(1, 101)]
    _read(tmp_path, _csv(*lines))
    profile = load_profile("canteen", [tmp_path])
    assert isinstance(profile.layout, Delimited)
    decoded = list(read_delimited(tmp_path / "day.txt", profile, profile.layout, block_bytes=500))
    assert len(decoded) > 5
    good = [row for block, _ in decoded for row in block.source_row.tolist()]
    counters = [value for block, _ in decoded for value in block.columns["card_counter"].tolist()]
    bad = [row.source_row for _, rows in decoded for row in rows]
    assert counters == [row - 1 for row in good]
    assert bad == list(range(7, 101, 7))
    assert sorted(good + bad) == list(range(1, 101))


def test_only_malformed_lines_still_give_a_block(tmp_path: Path) -> None:
    blocks, unreadable = _read(tmp_path, _csv("1", "2"))
    assert [len(block) for block in blocks] == [0]
    assert [row.source_row for row in unreadable] == [1, 2]


def test_a_header_without_rows_is_one_empty_block(tmp_path: Path) -> None:
    blocks, unreadable = _read(tmp_path, HEADER + "\n")
    assert ([len(block) for block in blocks], unreadable) == ([0], [])


def test_a_byte_order_mark_and_crlf_are_no_content(tmp_path: Path) -> None:
    (block,), _ = _read(tmp_path, b"\xef\xbb\xbf" + _csv(GOOD).replace("\n", "\r\n").encode(), encoding="utf-8-sig")
    assert block.card_number.tolist() == [310477]


def test_a_file_without_header_line_takes_the_names_of_the_profile(tmp_path: Path) -> None:
    layout = {"format": "csv", "delimiter": "|", "quote": None, "header": HEADER.split(",")}
    (block,), unreadable = _read(tmp_path, (GOOD + "\n" + "1,2\n").replace(",", "|"), layout=layout)
    assert block.source_row.tolist() == [1]
    assert [row.source_row for row in unreadable] == [2]


def test_bytes_of_another_encoding_cost_their_row_in_utf8(tmp_path: Path) -> None:
    data = _csv(GOOD).encode() + _line(kind="吃饭").encode("gbk") + b"\n"
    (block,), unreadable = _read(tmp_path, data)
    assert block.source_row.tolist() == [1]
    assert [(row.source_row, row.field) for row in unreadable] == [(2, "kind")]


def test_gbk_equals_utf8_and_broken_gbk_refuses_the_file(tmp_path: Path) -> None:
    (utf8,), _ = _read(tmp_path, _csv(GOOD))
    (gbk,), _ = _read(tmp_path, _csv(GOOD).encode("gbk"), encoding="gbk")
    assert {name: values.tolist() for name, values in gbk.columns.items()} == {
        name: values.tolist() for name, values in utf8.columns.items()
    }
    with pytest.raises(DeliveryFormatError, match="not gbk text"):
        _read(tmp_path, _csv(GOOD).encode("gbk") + b"\xff\xff\n", encoding="gbk")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("yuan,", ""), "lacks column yuan"),
        (HEADER + ",extra", "must not have column extra"),
        (HEADER + ",note", "has column note twice"),
    ],
)
def test_wrong_headers_refuse_the_file(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DeliveryFormatError, match=message):
        _read(tmp_path, header + "\n")


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_empty_files_are_named_as_such(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(EmptyDeliveryError):
        _read(tmp_path, b"", encoding=encoding)


def test_a_file_without_any_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryFormatError, match="layout of its profile"):
        _read(tmp_path, b"\n\n")


JSON_LAYOUT = {"format": "json", "records": ["page", "rows"]}
RECORD: dict[str, Any] = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))


def _page(*records: object) -> str:
    return json.dumps({"total": 1, "page": {"rows": records}})


def test_json_records_equal_the_csv_rows(tmp_path: Path) -> None:
    (from_csv,), _ = _read(tmp_path, _csv(GOOD))
    (from_json,), unreadable = _read(tmp_path, _page({**RECORD, "after": 100}), layout=JSON_LAYOUT)
    assert unreadable == []
    for name, values in from_csv.columns.items():
        assert from_json.columns[name].tolist() == values.tolist(), name


def test_a_json_number_never_passes_through_a_float(tmp_path: Path) -> None:
    page = _page({**RECORD, "yuan": 0}).replace('"yuan": 0', '"yuan": 0.29')
    (block,), _ = _read(tmp_path, page, layout=JSON_LAYOUT)
    assert block.columns["amount"].tolist() == [29]


def test_absent_keys_and_null_are_missing(tmp_path: Path) -> None:
    absent = {key: value for key, value in RECORD.items() if key not in ("after", "note")}
    (block,), unreadable = _read(tmp_path, _page(absent, {**RECORD, "after": None}), layout=JSON_LAYOUT)
    assert unreadable == []
    assert block.columns["card_counter"].tolist() == [NULL, NULL]


def test_records_that_are_not_flat_objects_cost_their_row(tmp_path: Path) -> None:
    page = _page(RECORD, 7, {**RECORD, "kind": ["吃饭"]}, {**RECORD, "yuan": True}, {**RECORD, "kind": "\ud800"})
    (block,), unreadable = _read(tmp_path, page, layout=JSON_LAYOUT)
    assert block.source_row.tolist() == [1]
    assert [(row.source_row, row.field, row.value) for row in unreadable] == [
        (2, "the record", "str"),
        (3, "kind", "list"),
        (4, "yuan", "bool"),
        (5, "kind", "str"),
    ]


def test_an_empty_page_is_one_empty_block(tmp_path: Path) -> None:
    blocks, unreadable = _read(tmp_path, _page(), layout=JSON_LAYOUT)
    assert ([len(block) for block in blocks], unreadable) == ([0], [])


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", EmptyDeliveryError, "empty"),
        (b'{"page": {"rows": [', DeliveryFormatError, "not a JSON document"),
        (b'{"page": {"rows": 3}}', DeliveryFormatError, r"no list of records at page\.rows"),
        (b'{"page": []}', DeliveryFormatError, "no list of records"),
        (b'{"page": {"rows": [{"extra": 1}]}}', DeliveryFormatError, "a record has key extra"),
        (b'{"page": {"rows": [{"yuan": 1, "yuan": 2}]}}', DeliveryFormatError, "a key stands twice"),
        (b'{"page": "\xff"}', DeliveryFormatError, "not a JSON document in utf-8"),
        (b"[" * 100_000, DeliveryFormatError, "not a JSON document"),
    ],
)
def test_documents_that_are_refused(tmp_path: Path, data: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _read(tmp_path, data, layout=JSON_LAYOUT)


def test_codes_are_stable_normalised_and_untrimmed() -> None:
    assert code_of("布吉") == 7819134598352775811
    assert code_of("e\u0301") == code_of("\u00e9")
    assert code_of(" 布吉") != code_of("布吉")
    assert all(0 <= code_of(str(number)) < 2**63 for number in range(1000))


def test_a_name_with_a_line_break_is_the_trace_of_an_open_quote(tmp_path: Path) -> None:
    columns = [column for column in PROFILE["columns"] if column["source"] != "shop"]
    columns.append({"source": "shop", "kind": "code", "field": "tac"})
    _, unreadable = _read(tmp_path, _csv(_line(shop='"食堂\n二楼"')), columns=columns, tac="present")
    assert [(row.source_row, row.field) for row in unreadable] == [(1, "shop")]


def test_patterns_give_date_time_or_both() -> None:
    assert DatePattern("YYYYMMDD").fields == ["date4"]
    assert DatePattern("hh:mm:ss").fields == ["time3"]
    assert DatePattern("DD.MM.YYYY at hh:mm:ss").fields == ["date4", "time3"]
    for wrong in ("", "YYYY-MM", "YYYY-MM-DD hh", "YYYYMMDD YYYYMMDD", "hh:mm"):
        with pytest.raises(ValueError, match="must have each of"):
            DatePattern(wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unknown": 1}, "unknown"),
        ({"encoding": "latin-1"}, "encoding"),
        ({"identity": "guess"}, "identity"),
        ({"multiplicity": 0}, "multiplicity"),
        ({"tac": "present"}, "tac: present goes with a column"),
        ({"constants": {**PROFILE["constants"], "amount": 1}}, "field amount has two sources"),
        ({"constants": {**PROFILE["constants"], "colour": 1}}, "no field colour"),
        ({"constants": {**PROFILE["constants"], "algorithm": 256}}, "256 is outside of algorithm: 0 to 255"),
        ({"constants": {}}, "field issuer_id, .* has no source"),
        ({"columns": PROFILE["columns"][1:]}, "exactly one of kind card or text_card"),
        ({"columns": [{"source": "card", "kind": "guess"}]}, "columns"),
        (
            {"columns": [{"source": "a", "kind": "map", "field": "txn_type", "values": {"a": 256}}]},
            "field",
        ),
        ({"layout": {"format": "csv", "delimiter": ";;", "quote": None, "header": True}}, "layout"),
        ({"layout": {"format": "csv", "delimiter": ";", "quote": None, "header": ["card"]}}, "does not name when"),
        ({"columns": [{**PROFILE["columns"][1], "pattern": "YYYY"}]}, "pattern"),
    ],
)
def test_a_wrong_profile_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        _read(tmp_path, _csv(GOOD), **changes)


@pytest.mark.parametrize("text", ["[]", "a: [", "constants: {a: 1, a: 2}", "base: nowhere"])
def test_a_profile_that_is_not_one_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ProfileError):
        load_profile("own", [tmp_path])


def test_unknown_formats_and_foreign_services_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="format is 'nothing'"):
        profile_of("nothing", [tmp_path])
    with pytest.raises(ManifestError, match="format szt-json-page carries transit rows"):
        list(read_delivery(tmp_path / "day.txt", _manifest("szt-json-page", "retail")))


def test_rules_of_the_ready_formats() -> None:
    parquet = profile_of("parquet")
    assert (parquet.identity, parquet.multiplicity, parquet.tac) == ("replay", 1, "present")
    for name in ("szt-csv-10000", "szt-csv-25000", "szt-json-page"):
        rules = profile_of(name)
        assert (rules.identity, rules.multiplicity, rules.tac) == ("whole_row", 1, "none")
