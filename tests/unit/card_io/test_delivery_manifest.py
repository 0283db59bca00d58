"""Manifest, inbox, answers to the sender: what is complete, what is signed, what is refused and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from card_io.delivery import (
    DISPOSITIONS,
    Manifest,
    ManifestError,
    Tally,
    acknowledgement,
    load_manifest,
    manifest_name,
    result_receipt,
    waiting_deliveries,
    write_json_atomically,
    write_manifest,
)
from card_io.keys.errors import SignatureError
from card_io.keys.signature import SigningKey
from card_io.records import Service

CONTENT: dict[str, object] = {
    "format_version": 1,
    "sender": 7001,
    "service": "transit",
    "file_date": "2026-03-01",
    "sequence": 3,
    "file": "7001-20260301-3.parquet",
    "format": "parquet",
    "rows": 10,
    "amount_fen": 1900,
    "sha256": "ab" * 32,
    "sent_at": "2026-03-01T23:59:59",
}
MANIFEST = Manifest.model_validate(CONTENT)
KEY = SigningKey(bytes(range(32)))


def _stored(folder: Path, content: object) -> Path:
    path = folder / manifest_name(str(CONTENT["file"]))
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_manifest_round_trip_keeps_its_signature(tmp_path: Path) -> None:
    signed = MANIFEST.with_signature(KEY.sign)
    loaded = load_manifest(write_manifest(tmp_path, signed))
    assert loaded == signed
    assert loaded.record_service is Service.TRANSIT
    loaded.verify_with(KEY.verify_key.verify)


def test_signing_bytes_are_sorted_compact_utf8_without_the_signature() -> None:
    manifest = Manifest.model_validate({**CONTENT, "file": "巴士.parquet"}).with_signature(KEY.sign)
    assert (
        manifest.signing_bytes()
        == (
            '{"amount_fen":1900,"file":"巴士.parquet","file_date":"2026-03-01","format":"parquet",'
            '"format_version":1,"rows":10,"sender":7001,"sent_at":"2026-03-01T23:59:59","sequence":3,'
            '"service":"transit","sha256":"' + "ab" * 32 + '"}'
        ).encode()
    )


def test_a_null_the_sender_wrote_is_part_of_what_was_signed(tmp_path: Path) -> None:
    loaded = load_manifest(_stored(tmp_path, {**CONTENT, "classes_sha256": None}))
    assert b'"classes_sha256":null' in loaded.signing_bytes()


def test_an_altered_manifest_fails_its_signature() -> None:
    altered = MANIFEST.with_signature(KEY.sign).model_copy(update={"amount_fen": 1901})
    with pytest.raises(SignatureError):
        altered.verify_with(KEY.verify_key.verify)


def test_an_unsigned_manifest_is_refused() -> None:
    with pytest.raises(ManifestError, match="signature is missing"):
        MANIFEST.verify_with(KEY.verify_key.verify)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format_version", 2),
        ("sender", 0),
        ("sender", "7001"),
        ("sender", True),
        ("service", "TRANSIT"),
        ("file_date", "2026-02-30"),
        ("file_date", "20260301"),
        ("file_date", "２０２６-03-01"),
        ("sequence", 0),
        ("file", "../a.parquet"),
        ("file", "a/b.parquet"),
        ("file", ".hidden"),
        ("file", ""),
        ("file", "a\nb"),
        ("file", "长" * 100),
        ("format", "../profile"),
        ("rows", -1),
        ("rows", 1.0),
        ("amount_fen", -1),
        ("amount_fen", 12.5),
        ("amount_fen", 2**63),
        ("sha256", "AB" * 32),
        ("sha256", "ab" * 32 + "\n"),
        ("sent_at", "2026-03-01T24:00:01"),
        ("sent_at", "2026-03-01 10:00:00"),
        ("signature", "00"),
        ("unknown", 1),
    ],
)
def test_a_wrong_field_is_named_with_its_value(tmp_path: Path, field: str, value: object) -> None:
    path = _stored(tmp_path, {**CONTENT, field: value})
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    assert (caught.value.file, caught.value.field) == (path.name, field)
    assert caught.value.value == repr(value)[:80]
    assert caught.value.remedy


@pytest.mark.parametrize("field", ["sha256", "amount_fen"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    content = {name: value for name, value in CONTENT.items() if name != field}
    with pytest.raises(ManifestError, match=f"{field} is missing"):
        load_manifest(_stored(tmp_path, content))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"rows": 1, "rows": 2}', "[" * 30000, "\ud83d"[:0] + "\x00"]
)
def test_what_is_not_one_json_object_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ManifestError, match="the file"):
        load_manifest(_stored(tmp_path, text))


def test_an_oversized_manifest_is_not_parsed(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="bytes long"):
        load_manifest(_stored(tmp_path, " " * 70_000))


def test_a_manifest_beside_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet.manifest.json"
    path.write_text(json.dumps(CONTENT))
    with pytest.raises(ManifestError, match=r"name the manifest 7001-20260301-3\.parquet\.manifest\.json"):
        load_manifest(path)


def test_inbox_lists_complete_deliveries_and_why_the_rest_waits(tmp_path: Path) -> None:
    for name in (
        "b.csv",
        "b.csv.manifest.json",
        "b.csv.classes.csv",
        "a.parquet",
        "a.parquet.manifest.json",
        "growing.parquet",
        "gone.parquet.manifest.json",
        "gone.csv.classes.csv",
        "half.part",
        "half.tmp",
        ".hidden",
        "odd.classes.csv",
        "odd.classes.csv.manifest.json",
    ):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.parquet").symlink_to(tmp_path / "a.parquet")

    listing = waiting_deliveries(tmp_path)

    assert [
        (delivery.data.name, delivery.manifest.name, delivery.classes and delivery.classes.name)
        for delivery in listing.deliveries
    ] == [
        ("a.parquet", "a.parquet.manifest.json", None),
        ("b.csv", "b.csv.manifest.json", "b.csv.classes.csv"),
        ("odd.classes.csv", "odd.classes.csv.manifest.json", None),
    ]
    assert {file.path.name: file.reason.split(":")[0] for file in listing.incomplete} == {
        ".hidden": "still being written",
        "folder": "not a plain file",
        "gone.csv.classes.csv": "fare-class sidecar without its data file gone.csv",
        "gone.parquet.manifest.json": "manifest without its data file gone.parquet",
        "growing.parquet": "data without its manifest growing.parquet.manifest.json",
        "half.part": "still being written",
        "half.tmp": "still being written",
        "link.parquet": "not a plain file",
    }


def test_an_unfinished_data_file_keeps_its_manifest_waiting(tmp_path: Path) -> None:
    for name in ("a.part", "a.part.manifest.json"):
        (tmp_path / name).touch()
    listing = waiting_deliveries(tmp_path)
    assert listing.deliveries == []
    assert [file.path.name for file in listing.incomplete] == ["a.part", "a.part.manifest.json"]


def test_acknowledgement_repeats_the_identity_of_the_delivery() -> None:
    document = acknowledgement(MANIFEST, received_at="2026-03-02T00:10:00", outcome="received")
    assert document == {
        "document": "acknowledgement",
        "format_version": 1,
        "sender": 7001,
        "service": "transit",
        "file_date": "2026-03-01",
        "sequence": 3,
        "file": "7001-20260301-3.parquet",
        "sha256": "ab" * 32,
        "received_at": "2026-03-02T00:10:00",
        "outcome": "received",
        "reason": None,
        "remedy": None,
        "rows": 10,
        "amount_fen": 1900,
    }


def _tallies(**changed: Tally) -> dict[str, Tally]:
    tallies = {name: Tally(0, 0) for name in DISPOSITIONS}
    return {**tallies, "accepted": Tally(8, 1600), "unreadable": Tally(2, 300), **changed}


def test_result_receipt_accounts_for_every_row_and_fen() -> None:
    receipt = result_receipt(MANIFEST, received_at="2026-03-02T00:10:00", outcome="cleared", dispositions=_tallies())
    assert receipt["dispositions"] == {
        "accepted": {"rows": 8, "fen": 1600},
        "held": {"rows": 0, "fen": 0},
        "rejected": {"rows": 0, "fen": 0},
        "duplicate": {"rows": 0, "fen": 0},
        "unreadable": {"rows": 2, "fen": 300},
    }


@pytest.mark.parametrize(
    ("tallies", "message"),
    [
        (_tallies(accepted=Tally(7, 1600)), "9 rows of 10"),
        (_tallies(accepted=Tally(8, 1601)), "1901 fen of 1900"),
        (_tallies(lost=Tally(0, 0)), "tallies for"),
        ({}, "tallies for"),
    ],
)
def test_a_receipt_that_loses_rows_or_money_is_never_written(tallies: dict[str, Tally], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        result_receipt(MANIFEST, received_at="2026-03-02T00:10:00", outcome="cleared", dispositions=tallies)


def test_unreadable_fen_are_unknown_without_a_control_total() -> None:
    manifest = MANIFEST.model_copy(update={"amount_fen": None})
    tallies = _tallies(unreadable=Tally(2, None))
    receipt = result_receipt(manifest, received_at="2026-03-02T00:10:00", outcome="cleared", dispositions=tallies)
    assert receipt["amount_fen"] is None


def test_json_is_written_whole_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    write_json_atomically(path, {"b": 1})
    write_json_atomically(path, {"b": "市民卡", "a": None})
    assert path.read_text("utf-8") == '{\n  "b": "市民卡",\n  "a": null\n}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["answer.json"]
