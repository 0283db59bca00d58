"""The capture journal: what is whole stays, a torn tail is cut and kept, a break is never taken for one."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.records import CARD, exchange, purchase, retail
from card_io.capture import (
    CapturePoint,
    CaptureStateError,
    Journal,
    JournalBrokenError,
    JournalBusyError,
    JournalFailedError,
    JournalFullError,
    State,
    read_entries,
    read_state,
)
from card_io.capture.journal import MARK, MAX_BODY_BYTES, ROOM_STEP
from card_io.records import Service


def written(path: Path, entries: int = 4) -> bytes:
    """A journal of some entries without the room allocated behind them; returns its bytes."""
    with Journal.open(path) as journal:
        for number in range(entries):
            journal.append("note", {"what": "x" * 40, "number": number})
    content = path.read_bytes().rstrip(b"\0")
    # The last digest may end in zeros of its own.
    end = last_entry(path) + entry_bytes(path)
    return content.ljust(end, b"\0")


def last_entry(path: Path) -> int:
    return read_entries(path)[-1].offset


def entry_bytes(path: Path) -> int:
    first, second = read_entries(path)[:2]
    return second.offset - first.offset


def numbers(path: Path) -> list[int]:
    return [entry.body["number"] for entry in read_entries(path) if entry.kind == "note"]


def test_entries_come_back_in_order_with_their_bodies(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path)
    with Journal.open(path) as journal:
        assert [entry.sequence for entry in journal.entries] == [1, 2, 3, 4]
        assert [entry.body["number"] for entry in journal.entries] == [0, 1, 2, 3]
        assert journal.torn is None
        assert journal.append("note", {"number": 4}).sequence == 5


@pytest.mark.parametrize("room", [False, True], ids=["short file", "zeros behind"])
def test_a_tail_torn_at_any_byte_is_cut_kept_and_noted(tmp_path: Path, room: bool) -> None:
    whole = written(tmp_path / "whole")
    start = last_entry(tmp_path / "whole")
    for end in range(start, len(whole)):
        path = tmp_path / f"j{end}"
        path.write_bytes(whole[:end] + (bytes(5000) if room else b""))
        torn = whole[start:end].rstrip(b"\0")
        with Journal.open(path) as journal:
            assert numbers(path) == [0, 1, 2]
            if torn:
                assert journal.torn is not None
                assert journal.torn.kept.read_bytes() == torn
                assert journal.entries[-1].body["bytes"] == len(torn)
            else:
                assert journal.torn is None
            journal.append("note", {"number": 9})
        with Journal.open(path) as journal:
            assert journal.torn is None
            assert numbers(path) == [0, 1, 2, 9]


def test_a_tail_of_which_pages_are_missing_is_torn(tmp_path: Path) -> None:
    """Power loss may leave any part of the last write; nothing else is touched."""
    whole = bytearray(written(tmp_path / "whole"))
    start = last_entry(tmp_path / "whole")
    whole[start : start + 20] = bytes(20)
    path = tmp_path / "j"
    path.write_bytes(whole + bytes(100))
    with Journal.open(path) as journal:
        assert journal.torn is not None
        assert numbers(path) == [0, 1, 2]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_break_before_the_last_entry_is_never_taken_for_a_torn_tail(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("break")
    whole = bytearray(written(folder / "whole"))
    start = last_entry(folder / "whole")
    at = data.draw(st.integers(0, start - 1))
    length = data.draw(st.sampled_from([1, 2, 4, 40]))
    damage = data.draw(st.binary(min_size=length, max_size=length))
    before = bytes(whole)
    whole[at : min(at + length, start)] = damage[: start - at]
    if bytes(whole) == before:
        return
    path = folder / "j"
    path.write_bytes(whole)
    with pytest.raises(JournalBrokenError, match="byte"):
        Journal.open(path)
    assert path.read_bytes() == bytes(whole)
    with pytest.raises(JournalBrokenError):
        read_entries(path)


def test_an_entry_taken_out_or_put_elsewhere_is_a_break(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole")
    size = entry_bytes(tmp_path / "whole")
    for name, content in {
        "out": whole[:size] + whole[2 * size :],
        "swapped": whole[:size] + whole[2 * size : 3 * size] + whole[size : 2 * size] + whole[3 * size :],
        "first out": whole[size:],
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(JournalBrokenError):
            Journal.open(path)


def test_more_rubbish_than_one_entry_could_leave_is_a_break(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(written(tmp_path / "whole") + b"\x07" * (MAX_BODY_BYTES * 2))
    with pytest.raises(JournalBrokenError):
        Journal.open(path)


def test_the_mark_cannot_stand_in_a_body(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal.open(path) as journal:
        journal.append("note", {"what": MARK.decode("latin-1"), "number": 1})
    assert path.read_bytes().count(MARK) == 1


def test_a_clock_that_jumps_changes_no_order(tmp_path: Path) -> None:
    times = iter([5, 9, 2, 2, 11])
    path = tmp_path / "j"
    with Journal.open(path, clock=lambda: next(times)) as journal:
        for number in range(5):
            journal.append("note", {"number": number})
        assert journal.clock_jumps() == [(3, 7)]
    assert numbers(path) == [0, 1, 2, 3, 4]
    assert [entry.wall_ns for entry in read_entries(path)] == [5, 9, 2, 2, 11]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j"), pytest.raises(JournalBusyError):
        Journal.open(tmp_path / "j")


def test_an_entry_too_long_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j") as journal:
        with pytest.raises(JournalFullError):
            journal.append("note", {"what": "x" * MAX_BODY_BYTES})
        journal.append("note", {"number": 1})
    assert numbers(tmp_path / "j") == [1]


FULL = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.path.insert(0, sys.argv[2])
from capture.records import CARD, exchange, retail
from card_io.capture import CapturePoint, JournalFullError
from card_io.records import Service
point = CapturePoint.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
gates = 0
try:
    for counter in range(10_000):
        number = point.intend(Service.RETAIL, CARD, retail(counter))
        point.debited(number, {"tac": counter, "balance_after": 1}, exchange(counter))
        gates += 1
except JournalFullError as error:
    print(gates, len(point.state.grey()), error)
"""


def test_a_full_disk_is_met_before_the_debit_and_never_after_it(tmp_path: Path) -> None:
    """The limit on file size stands for the disk; every intended transaction still gets its outcome."""
    limit = ROOM_STEP + 100_000
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(Path(__file__).parents[1]), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    gates, grey, *message = done.stdout.split(maxsplit=2)
    assert int(gates) > 100
    assert int(grey) == 0
    assert "no room left" in message[0]
    state = read_state(tmp_path)
    assert [each.state for each in state.transactions.values()] == [State.DEBITED] * int(gates)


def fill(ballast: Path) -> None:
    """Take all the room there is."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.close(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_file_system(tmp_path: Path) -> None:
    """A real one, filled by somebody else between two transactions."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        with CapturePoint.open(disk / "t") as point:
            purchase(point, 1)
            number = point.intend(Service.RETAIL, CARD, retail(2))
            fill(disk / "ballast")
            point.debited(number, {"tac": 2}, exchange(2))
            with pytest.raises(JournalFullError):
                [purchase(point, counter) for counter in range(3, 10_000)]
            assert point.state.grey() == []
            (disk / "ballast").unlink()
            purchase(point, 10_000)
        assert all(each.state is State.DEBITED for each in read_state(disk / "t").transactions.values())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_after_a_failed_write_the_journal_asks_to_be_opened_again(tmp_path: Path) -> None:
    point = CapturePoint.open(tmp_path)
    purchase(point, 1)
    os.close(point.journal._descriptor)
    with pytest.raises(JournalFailedError):
        point.note("nothing")
    with pytest.raises(JournalFailedError, match="earlier write"):
        point.note("nothing")
    point.journal._descriptor = -1
    with CapturePoint.open(tmp_path) as again:
        assert len(again.state.transactions) == 1


def test_what_was_intended_when_the_process_died_is_grey(tmp_path: Path) -> None:
    point = CapturePoint.open(tmp_path)
    number = point.intend(Service.RETAIL, CARD, retail(1))
    point.close()
    with CapturePoint.open(tmp_path) as again:
        assert again.state.transactions[number].state is State.TORN
        again.decide(number, State.DEBITED, "prove", {"tac": 7}, exchange(1))
        with pytest.raises(CaptureStateError):
            again.decide(number, State.NOT_DEBITED, "prove", {}, None)
    assert read_state(tmp_path).transactions[number].columns["tac"] == 7


def test_a_record_that_could_not_be_delivered_never_becomes_a_debit(tmp_path: Path) -> None:
    with CapturePoint.open(tmp_path) as point:
        with pytest.raises(CaptureStateError, match="lacks merchant_id"):
            point.intend(Service.RETAIL, CARD, {**retail(1), "merchant_id": None})
        with pytest.raises(CaptureStateError, match="no column benefit"):
            point.intend(Service.RETAIL, CARD, {**retail(1), "benefit": 1})
        assert point.journal.entries == []


def test_limits_are_those_of_this_process_only() -> None:
    """The test above must not have changed what the next ones may write."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_nothing_is_said_to_be_written_before_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power loss leaves is what stood in the file at the last fdatasync: every returned entry is in it."""
    durable = bytearray()
    sync = os.fdatasync

    def synced(descriptor: int) -> None:
        sync(descriptor)
        durable[:] = (tmp_path / "capture.journal").read_bytes()

    monkeypatch.setattr("card_io.capture.journal.os.fdatasync", synced)
    lost = tmp_path / "after power loss"
    lost.mkdir()
    with CapturePoint.open(tmp_path) as point:
        for counter in range(20):
            number = point.intend(Service.RETAIL, CARD, retail(counter))
            (lost / "capture.journal").write_bytes(durable)
            assert read_state(lost).transactions[number].state is State.INTENDED
            point.debited(number, {"tac": counter}, exchange(counter))
            (lost / "capture.journal").write_bytes(durable)
            assert read_state(lost).transactions[number].state is State.DEBITED
