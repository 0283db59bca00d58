"""Writes that go on beside the work: few at a time, none lost, none that fails unheard."""

from __future__ import annotations

import concurrent.futures
import threading
from pathlib import Path

import pytest

from clearing.durable import FewBehind, WriteBehind


def test_few_are_under_way_and_all_are_done() -> None:
    """Whoever would begin one too many waits for the first."""
    gates = [threading.Event() for _ in range(20)]
    done: list[int] = []
    begun = threading.Semaphore(0)

    def write(number: int) -> None:
        gates[number].wait()
        done.append(number)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        behind = FewBehind(pool)

        def begin_all() -> None:
            for number in range(20):
                behind.begin(write, number)
                begun.release()

        beginning = threading.Thread(target=begin_all)
        beginning.start()
        for _ in range(4):
            assert begun.acquire(timeout=10)
        assert not begun.acquire(timeout=0.05), "the fifth waits for the first"
        for gate in gates:
            gate.set()
        beginning.join()
        behind.wait()
    assert sorted(done) == list(range(20))


def test_a_write_that_fails_is_heard_of(tmp_path: Path) -> None:
    disk = WriteBehind()
    behind = disk.few()
    behind.begin((tmp_path / "missing" / "file").write_text, "lost")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            behind.wait()
    disk.close()


def test_everyone_waits_for_what_is_under_way() -> None:
    """Also who comes when others wait for it already."""
    gate, waited = threading.Event(), threading.Semaphore(0)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        behind = FewBehind(pool)
        for _ in range(4):
            behind.begin(gate.wait)

        def wait() -> None:
            behind.wait()
            waited.release()

        waiting = [threading.Thread(target=wait) for _ in range(3)]
        waiting.append(threading.Thread(target=behind.begin, args=(gate.wait,)))
        for each in waiting:
            each.start()
        assert not waited.acquire(timeout=0.1)
        gate.set()
        for each in waiting:
            each.join()
        assert all(waited.acquire(timeout=0) for _ in range(3))
