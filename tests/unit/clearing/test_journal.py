"""The signed chain: what appending writes, and which breaks are told apart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from card_io.keys.signature import SigningKey, generate_signing_key
from clearing.errors import EvidenceError
from clearing.ledger import journal as journal_module
from clearing.ledger.journal import GENESIS, Journal

KEY = SigningKey(bytes(range(32)))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append("intake", {"file_no": number, "名": "一"}, at=100 + number, key=KEY)
    return journal


def breaks(folder: Path, key: SigningKey = KEY) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    Journal(folder).check_chain(key.verify_key, lambda where, what: found.append((where, what)))
    return found


def edit(path: Path, **changes: object) -> None:
    """Change an entry and keep its canonical form."""
    document = json.loads(path.read_bytes()) | changes
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", "utf-8")


def test_entries_come_back_as_they_were_appended(journal: Journal) -> None:
    again = Journal(journal.folder)
    assert again.entries == journal.entries
    assert [entry.previous for entry in again] == [GENESIS, *(entry.digest for entry in journal.entries[:2])]
    assert breaks(journal.folder) == []


def test_of_kind_keeps_the_order(journal: Journal) -> None:
    journal.append("batch", {}, at=7, key=KEY)
    assert [entry.at for entry in journal.of_kind("intake")] == [100, 101, 102]
    assert [entry.sequence for entry in journal.of_kind("batch")] == [4]


def test_an_entry_is_one_line_of_canonical_json(journal: Journal) -> None:
    raw = (journal.folder / "00000001.json").read_bytes()
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    assert "名" in raw.decode()
    assert raw == journal.entries[0].to_bytes()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_changed_body_breaks_its_signature_and_the_next_link(journal: Journal, number: int) -> None:
    edit(journal.folder / f"{number:08d}.json", body={"file_no": 99})
    expected = [(f"journal/{number:08d}.json", "signature")]
    expected += [(f"journal/{number + 1:08d}.json", "does not follow")] if number < 3 else []
    found = breaks(journal.folder)
    assert [(where, word in what) for (where, what), (_, word) in zip(found, expected, strict=True)] == [
        (where, True) for where, _ in expected
    ]


@pytest.mark.parametrize(("field", "value"), [("at", 1), ("kind", "batch"), ("engine", "9"), ("previous", "f" * 64)])
def test_every_field_is_signed(journal: Journal, field: str, value: object) -> None:
    edit(journal.folder / "00000003.json", **{field: value})
    assert any("signature" in what for _, what in breaks(journal.folder))


def test_a_foreign_key_signed_nothing_here(journal: Journal) -> None:
    assert len(breaks(journal.folder, generate_signing_key())) == 3


def test_another_way_to_write_the_same_entry_is_a_finding(journal: Journal) -> None:
    path = journal.folder / "00000003.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1), "utf-8")
    assert [what for _, what in breaks(journal.folder)] == ["the bytes are not the canonical form of the entry"]


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda folder: (folder / "00000002.json").unlink(), "entry 00000002.json is missing"),
        (lambda folder: (folder / "00000003.json").rename(folder / "9.json"), "9.json is there instead"),
        (lambda folder: (folder / "00000003.json").write_bytes(b""), "cannot be read"),
        (lambda folder: (folder / "00000003.json").write_bytes(b"[]"), "cannot be read"),
        (lambda folder: (folder / "00000003.json").write_bytes(b'{"sequence": 3}'), "cannot be read"),
        (lambda folder: edit(folder / "00000003.json", sequence=4), "carries sequence 4"),
    ],
)
def test_what_is_no_journal_is_not_opened(journal: Journal, harm: object, what: str) -> None:
    harm(journal.folder)  # type: ignore[operator]
    with pytest.raises(EvidenceError, match=what):
        Journal(journal.folder)


def test_a_half_written_entry_is_not_there_yet(journal: Journal) -> None:
    (journal.folder / "00000004.json.tmp").write_bytes(b'{"sequ')
    assert len(Journal(journal.folder).entries) == 3
    assert Journal(journal.folder).append("intake", {}, at=1, key=KEY).sequence == 4


def test_entries_are_read_again_only_where_their_file_was_touched(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same length and same settable times: the time nobody can set gives it away. Without ``again`` all are read."""
    read: list[int] = []
    original = journal_module._read
    monkeypatch.setattr(journal_module, "_read", lambda path, number: read.append(number) or original(path, number))
    Journal(journal.folder, again=True)
    assert (read.copy(), read.clear()) == ([1, 2, 3], None)
    journal.append("intake", {"file_no": 3}, at=103, key=KEY)
    assert [entry.at for entry in Journal(journal.folder, again=True)] == [100, 101, 102, 103]
    assert (read.copy(), read.clear()) == ([4], None)
    path = journal.folder / "00000002.json"
    stat = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"at":101', b'"at":107'))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [entry.at for entry in Journal(journal.folder, again=True)] == [100, 107, 102, 103]
    assert (read.copy(), read.clear()) == ([2], None)
    assert len(Journal(journal.folder).entries) == len(read) == 4
    path.unlink()
    with pytest.raises(EvidenceError, match="is missing"):
        Journal(journal.folder, again=True)
