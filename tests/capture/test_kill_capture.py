"""kill -9 during capture and delivery at random moments: no opened gate is lost, no row is delivered twice.

A few moments by default; ``CAPTURE_KILLS`` and ``KILL_SEED`` for more and for others (scripts/campaign: 500).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from capture.records import KEY, terminal
from card_io.capture import CapturePoint, Journal, State, deliver, load_settings, wall_clock_ns
from card_io.capture.transactions import JOURNAL
from card_io.delivery import load_manifest, read_parquet
from card_io.delivery.acknowledgement import acknowledgement
from card_io.records import Service

SEED = int(os.environ.get("KILL_SEED", "20260302"))
MOMENTS = int(os.environ.get("CAPTURE_KILLS", "6"))
LONGEST_S = 0.15
PROGRAM = Path(__file__).with_name("capturing.py")


def run_and_kill(folder: Path, first: int, what: str, seconds: float) -> tuple[set[int], set[int]]:
    """Terminal counters whose debit was sent and whose gate opened before the process was killed."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), str(first), what], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.kill()
    said = process.stdout.read().split("\n")
    process.wait()
    # The last line may be half a line.
    lines = [line.split() for line in said[:-1]]
    return ({int(n) for word, n in lines if word == "debit"}, {int(n) for word, n in lines if word == "gate"})


def delivered(folder: Path) -> Counter[int]:
    """How often each card counter stands in a delivery that is complete."""
    found: Counter[int] = Counter()
    for path in sorted((folder / "drop").glob("*.manifest.json")):
        manifest = load_manifest(path)
        manifest.verify_with(KEY.verify_key.verify)
        for block, unreadable in read_parquet(folder / "drop" / manifest.file, Service.RETAIL):
            assert unreadable == []
            assert len(block) == manifest.rows
            found.update(block.columns["card_counter"].tolist())
    return found


@pytest.mark.timeout(0)
@pytest.mark.parametrize("what", ["capture", "deliver"])
def test_killed_at_random_moments(tmp_path: Path, what: str) -> None:
    drawn = random.Random(f"{SEED} {what}")
    terminal(tmp_path)
    debits: set[int] = set()
    gates: set[int] = set()
    for moment in range(MOMENTS):
        sent, opened = run_and_kill(tmp_path, moment * 100_000, what, drawn.uniform(0, LONGEST_S))
        debits |= sent
        gates |= opened
        with Journal.open(tmp_path / JOURNAL):
            pass
    with CapturePoint.open(tmp_path) as point:
        state = point.state
        by_counter = {each.columns["card_counter"]: each for each in state.transactions.values()}
        assert len(by_counter) == len(state.transactions)
        assert all(by_counter[counter].state is State.DEBITED for counter in gates)
        assert debits <= by_counter.keys()
        # At most one transaction a kill is grey, and its gate stayed shut.
        assert len(state.grey()) <= MOMENTS
        assert not {each.columns["card_counter"] for each in state.grey()} & gates
        deliver(point, load_settings(tmp_path), KEY, wall_clock_ns())
        debited = {c for c, each in by_counter.items() if each.state is State.DEBITED}
    assert len(gates) >= MOMENTS
    assert delivered(tmp_path) == Counter(debited), f"KILL_SEED={SEED} CAPTURE_KILLS={MOMENTS}"


def test_the_centre_closes_a_delivery_and_a_refused_one_goes_again(tmp_path: Path) -> None:
    from capture.records import purchase

    settings = terminal(tmp_path)
    with CapturePoint.open(tmp_path) as point:
        purchase(point, 1)
        first = deliver(point, settings, KEY, wall_clock_ns())
        [manifest_path] = (tmp_path / "drop").glob("*.manifest.json")
        manifest = load_manifest(manifest_path)
        assert [each.file for each in first.waiting] == [manifest.file]

        answer(tmp_path, 1, acknowledgement(manifest, received_at="2026-03-02T09:00:00", outcome="bad_signature"))
        refused = deliver(point, settings, KEY, wall_clock_ns())
        assert [each.refusal for each in refused.waiting] == ["bad_signature: None"]
        assert refused.sent == []

        manifest_path.unlink()
        again = deliver(point, settings, KEY, wall_clock_ns(), again=True)
        assert again.sent == [manifest.file]
        assert load_manifest(manifest_path) == manifest

        answer(tmp_path, 2, acknowledgement(manifest, received_at="2026-03-02T09:05:00", outcome="received"))
        closed = deliver(point, settings, KEY, wall_clock_ns(), again=True)
        assert (closed.closed, closed.waiting, closed.sent) == ([manifest.file], [], [])
        assert deliver(point, settings, KEY, wall_clock_ns()).closed == []


def answer(folder: Path, number: int, document: dict[str, object]) -> None:
    (folder / "answers" / f"{number:08d}.acknowledgement.json").write_text(json.dumps(document))


def test_a_grey_record_waits_then_goes_as_grey_then_as_what_it_was(tmp_path: Path) -> None:
    from capture.records import CARD, exchange, purchase, retail

    settings = terminal(tmp_path, grey_hold_seconds=3600)
    now = wall_clock_ns()
    with CapturePoint.open(tmp_path, clock=lambda: now) as point:
        purchase(point, 1)
        number = point.intend(Service.RETAIL, CARD, retail(2))
        point.tear(number, exchange(2))
        first = deliver(point, settings, KEY, now)
        [register] = load_manifest(tmp_path / "drop" / f"{first.sent[0]}.manifest.json").registers or []
        assert (register.counter_start, register.counter_end, register.drawn) == (1001, 1002, 2)
        assert (register.grey_rows, register.grey_fen, register.kinds[0].rows) == (1, 200, 1)
        assert first.grey[0]["delivered_as_grey"] is False

        later = deliver(point, settings, KEY, now + 3601 * 10**9)
        [block] = [b for b, _ in read_parquet(tmp_path / "drop" / later.sent[0], Service.RETAIL)]
        assert block.columns["record_state"].tolist() == [1]
        assert later.grey[0]["delivered_as_grey"] is True
        content = (tmp_path / "drop" / later.sent[0]).read_bytes()

        point.decide(number, State.DEBITED, "prove", {"tac": 2, "balance_after": 99_800}, exchange(3))
        last = deliver(point, settings, KEY, now + 3602 * 10**9, again=True)
        assert len(last.sent) == 3
        # What was delivered as grey is written again as it was.
        assert (tmp_path / "drop" / later.sent[0]).read_bytes() == content
        [block] = [b for b, _ in read_parquet(tmp_path / "drop" / last.sent[2], Service.RETAIL)]
        assert (block.columns["record_state"].tolist(), block.columns["tac"].tolist()) == ([0], [2])
        assert last.grey == []
