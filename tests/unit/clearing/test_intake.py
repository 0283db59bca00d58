"""Repetitions and clashes: what the journal's knowledge of files makes of the next one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io.delivery.manifest import Manifest
from card_io.records import UnreadableRow
from clearing.content import root_text
from clearing.intake import KnownFiles, Outcome, Prepared

R, X = Outcome.RECEIVED, Outcome.COUNT_MISMATCH


def prepared(
    *, sender: int = 500, date: str = "2026-03-02", sequence: int = 1, sha: int = 1, root: int = 1,
    outcome: Outcome = R, file_no: int = 1, rows: int = 5,
) -> Prepared:  # fmt: skip
    manifest = Manifest(
        format_version=1,
        sender=sender,
        service="retail",
        file_date=date,
        sequence=sequence,
        file=f"{file_no}.parquet",
        format="parquet",
        rows=rows,
        amount_fen=0,
        sha256=f"{sha:064x}",
        sent_at="2026-03-02T20:00:00",
    )
    return Prepared(file_no, 0, manifest, root=root, outcome=outcome, name=manifest.file)


def body(each: Prepared) -> dict[str, object]:
    assert each.manifest is not None
    return {
        **each.manifest.model_dump(mode="json"),
        "file_no": each.file_no,
        "outcome": str(each.outcome),
        "content_root": root_text(each.root),
    }


def judged(known: Prepared, following: Prepared) -> Outcome:
    files = KnownFiles()
    files.add(body(known))
    files.judge(following)
    return following.outcome


# The first file is (500, 2026-03-02, 1), bytes 1, content 1, received.
NEXT: dict[str, tuple[dict[str, object], Outcome]] = {
    "the same": ({}, Outcome.REPEATED),
    "other bytes, same rows": ({"sha": 2}, Outcome.REPEATED),
    "same bytes announced, damaged on the way": (
        {"root": 0, "outcome": Outcome.HASH_MISMATCH}, Outcome.REPEATED
    ),
    "same identity, other rows": ({"sha": 2, "root": 2}, Outcome.IDENTITY_CLASH),
    "same identity, other rows, wrong count": ({"sha": 2, "root": 2, "outcome": X}, X),
    "other number, same rows": ({"sequence": 2}, Outcome.CONTENT_CLASH),
    "other date, same rows": ({"date": "2026-03-03"}, Outcome.CONTENT_CLASH),
    "other sender, same rows": ({"sender": 510}, Outcome.CONTENT_CLASH),
    "other number, same rows, wrong count": ({"sequence": 2, "outcome": X}, X),
    "another file": ({"sequence": 2, "sha": 2, "root": 2}, R),
    "the same, forged": ({"outcome": Outcome.BAD_SIGNATURE}, Outcome.BAD_SIGNATURE),
    "the same, of nobody": ({"outcome": Outcome.UNKNOWN_SENDER}, Outcome.UNKNOWN_SENDER),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "outcome"), NEXT.values(), ids=NEXT)
def test_the_next_file(changes: dict[str, object], outcome: Outcome) -> None:
    following = prepared(file_no=2, **changes)  # type: ignore[arg-type]
    assert judged(prepared(), following) is outcome


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not R])
def test_what_was_refused_is_not_known(outcome: Outcome) -> None:
    assert judged(prepared(outcome=outcome), prepared(file_no=2)) is R


def test_a_manifest_that_cannot_be_read_is_compared_with_nothing() -> None:
    nameless = Prepared(2, 0, None, outcome=Outcome.BAD_MANIFEST)
    assert judged(prepared(), nameless) is Outcome.BAD_MANIFEST


def test_files_without_rows_do_not_clash() -> None:
    """Two quiet days have the same content: none."""
    assert judged(prepared(rows=0, root=0), prepared(sequence=2, sha=2, rows=0, root=0, file_no=2)) is R


def test_a_clash_takes_nothing_of_the_file() -> None:
    following = prepared(file_no=2, sequence=2)
    following.unreadable, following.readable, following.readable_fen = [UnreadableRow(1, "tac", "?", "give it")], 5, 7
    judged(prepared(), following)
    assert (following.unreadable, following.readable, following.readable_fen) == ([], 0, 0)
    assert "file 1" in (following.reason or "")
    assert following.remedy


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=12))
@settings(deadline=None)
def test_no_identity_and_no_content_is_received_twice(files: list[tuple[int, int]]) -> None:
    known, received = KnownFiles(), []
    for number, (sequence, root) in enumerate(files, 1):
        each = prepared(sequence=sequence, sha=root, root=root, file_no=number)
        known.judge(each)
        known.add(body(each))
        if each.outcome is R:
            received.append((sequence, root))
    assert len({sequence for sequence, _ in received}) == len({root for _, root in received}) == len(received)
