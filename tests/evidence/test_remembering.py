"""A bus whose tariff remembers, by hand: what a late, reversed or reopened tap changes, and where."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clearing.explain import explain, render_text
from clearing.verify import rebuild, verify, verify_by_recomputing
from evidence.centres import PASSPHRASE, copy_of, entries, ledger_of
from evidence.handmade import Cases, Centre, Line

BUS = "transit merchant=221 sender=220"
DAY_2, DAY_3, DAY_4, DAY_5 = (f"03-0{day}T22:00:00" for day in (2, 3, 4, 5))
"""Times of receipt, each in the window of its day."""

Priced = tuple[int, int, int]
"""Gross, card_paid and overcharge of a newest decision, fen."""


def taps(*given: str) -> str:
    """Taps of one card, each with a later counter than the one before: ``TIME AMOUNT [changes]``, all accepted."""
    lines = []
    for number, text in enumerate(given):
        time, amount, *changes = text.split()
        own = [f"line={number + 1}", f"card_counter=+{number}", f"terminal_counter=+{number}"]
        indent = "  " if number else ""
        lines.append(" ".join([indent + BUS, f"time={time}", f"amount={amount}", *own, *changes, "ACCEPTED"]))
    return "\n".join(lines)


def centre_with(folder: Path, text: str, *, late: str | None = None) -> tuple[Centre, list[Line]]:
    centre = Centre.create(folder)
    if late is not None:
        set_late(centre.directory, late)
    lines = Cases(centre).read(text)
    centre.deliver(lines)
    return centre, lines


def set_late(directory: Path, policy: str) -> None:
    path = directory / "tariffs" / "demo.bus_transfer.yaml"
    path.write_text(path.read_text("utf-8").replace("{grace_days: 3, after_grace: forward}", policy), "utf-8")


def prices(centre: Centre, lines: list[Line]) -> list[Priced]:
    found = centre.decisions("gross, card_paid, overcharge")
    return [found[line.place] for line in lines]


def events(centre: Centre, line: Line) -> list[tuple[Any, ...]]:
    """(event, sign, window, card_paid) of a line's decisions."""
    file, row = line.place
    return centre.query(
        f"""SELECT event, sign, "window"::VARCHAR, card_paid FROM transit JOIN files f ON f.file_no = txn_id >> 32
        WHERE file = '{file}' AND txn_id & 4294967295 = {row} ORDER BY event, sign"""
    )


def test_taps_of_one_run_transfer_and_stop_at_the_cap(tmp_path: Path) -> None:
    centre, lines = centre_with(tmp_path / "c", taps("08:00:00 200", "09:30:00 100", "11:00:00 150", "11:10:00 200"))
    centre.run()
    assert prices(centre, lines) == [(200, 200, 0), (200, 100, 0), (200, 100, 50), (200, 0, 200)]
    assert centre.query("SELECT COUNT(*) FROM transit WHERE event > 0") == [(0,)]
    assert verify(centre.directory, PASSPHRASE) == []


def test_memory_goes_on_from_window_to_window(tmp_path: Path) -> None:
    """The snapshot of the first run opens the second; a tap of the night belongs to the day before."""
    centre, lines = centre_with(
        tmp_path / "c",
        taps(
            "08:00:00 200",
            "14:00:00 200",
            f"02:00:00 0 date=2026-03-03 received={DAY_3}",
            f"03:10:00 100 date=2026-03-03 received={DAY_3}",
        ),
    )
    centre.run_apart(lines)
    assert len(entries(centre.directory, "batch")) == 2
    assert prices(centre, lines) == [(200, 200, 0), (200, 200, 0), (200, 0, 0), (200, 100, 0)]
    assert verify_by_recomputing(centre.directory, PASSPHRASE) == []


def test_a_late_tap_corrects_the_earlier_window_in_the_current_one(tmp_path: Path) -> None:
    text = taps("09:00:00 200", f"08:00:00 200 received={DAY_3}")
    centre, (second, first) = centre_with(tmp_path / "c", text)
    centre.run_apart([second, first])
    assert prices(centre, [first, second]) == [(200, 200, 0), (200, 100, 100)]
    assert events(centre, second) == [
        (0, 1, "2026-03-02", 200),
        (1, -1, "2026-03-03", 200),
        (1, 1, "2026-03-03", 100),
    ]
    balances = ledger_of(centre.directory).balances
    day = 20_514
    payable = {window: balances[day + window, "merchant_payable", 221, 0] for window in (0, 1)}
    assert payable == {0: 200, 1: 200 - 100}
    owed = balances[day + 1, "cardholder_payable", 10, 0]
    assert owed == 100
    assert verify(centre.directory, PASSPHRASE) == []
    assert verify_by_recomputing(centre.directory, PASSPHRASE) == []


@pytest.mark.parametrize(
    ("policy", "second", "late"),
    [
        ("{grace_days: 0, after_grace: reprice}", 100, (200, 200, 0)),
        ("{grace_days: 1, after_grace: reject}", 100, (200, 200, 0)),
        ("{grace_days: 0, after_grace: reject}", 200, (200, 200, 0)),
        ("{grace_days: 0, after_grace: forward}", 200, (200, 200, 0)),
    ],
)
def test_late_policies(tmp_path: Path, policy: str, second: int, late: Priced) -> None:
    text = taps("09:00:00 200", f"08:00:00 200 received={DAY_3}")
    centre, lines = centre_with(tmp_path / "c", text, late=policy)
    centre.run_apart(lines)
    assert prices(centre, lines) == [(200, second, 200 - second), late]


def test_forward_counts_on_the_day_of_receipt(tmp_path: Path) -> None:
    """It opens a window at 03:00 of that day and uses up the day's cap."""
    text = taps(
        "09:00:00 200",
        f"08:00:00 200 received={DAY_3}",
        f"04:00:00 100 date=2026-03-03 received={DAY_3}",
        f"12:00:00 100 date=2026-03-03 received={DAY_3}",
    )
    centre, lines = centre_with(tmp_path / "c", text, late="{grace_days: 0, after_grace: forward}")
    centre.run_apart(lines)
    assert prices(centre, lines) == [(200, 200, 0), (200, 200, 0), (200, 100, 0), (200, 100, 0)]


REOPENED = {
    "a tap before": taps("09:00:00 200", "08:00:00 200 received=03-02T21:00:00"),
    "a tap between": taps("08:00:00 200", "12:00:00 200", "11:00:00 200 received=03-02T21:00:00"),
    "a tap in conflict": taps("08:00:00 200", "09:00:00 100")
    + f"\n  {BUS} time=08:00:00 amount=200 line=1 balance_before=60000 received=03-02T21:00:00 CONFLICT",
}
"""Runs of one window: the second changes what the first decided."""


@pytest.mark.parametrize("name", REOPENED)
def test_two_runs_of_a_window_end_like_one(tmp_path: Path, name: str) -> None:
    twice, _ = centre_with(tmp_path / "twice", REOPENED[name])
    once = Centre(copy_of(twice.directory, tmp_path / "once"), twice.masters)
    for clock in ("2026-03-02T20:30:00", "2026-03-02T21:30:00"):
        twice.run(clock)
    once.run("2026-03-02T21:30:00")
    columns = 'status, gross, card_paid, overcharge, rule, price_verdict, "window"'
    assert twice.decisions(columns) == once.decisions(columns)
    assert ledger_of(twice.directory).money == ledger_of(once.directory).money
    assert twice.query("SELECT COUNT(*) > 0 FROM transit WHERE event > 0") == [(True,)]
    for centre in (twice, once):
        assert verify(centre.directory, PASSPHRASE) == []
        assert verify_by_recomputing(centre.directory, PASSPHRASE) == []


def test_a_tap_that_stands_again_counts_again(tmp_path: Path) -> None:
    """Two taps with one counter are held; a copy of one with a lower counter takes its place and frees the other."""
    text = f"""
{BUS} time=08:00:00 line=1 amount=200 card_counter=12 ACCEPTED
  {BUS} time=08:30:00 line=2 amount=200 terminal_counter=+1 card_counter=12 REPLAY
  {BUS} time=08:30:00 line=2 amount=200 terminal_counter=+1 card_counter=11 received=03-02T21:00:00 ACCEPTED
  {BUS} time=09:30:00 line=3 amount=200 terminal_counter=+2 card_counter=13 received=03-02T21:00:00 ACCEPTED
"""
    twice, lines = centre_with(tmp_path / "twice", text)
    once = Centre(copy_of(twice.directory, tmp_path / "once"), twice.masters)
    twice.run("2026-03-02T20:30:00")
    assert [twice.decisions()[line.place] for line in lines[:2]] == ["CONFLICT", "CONFLICT"]
    twice.run("2026-03-02T21:30:00")
    once.run("2026-03-02T21:30:00")
    found = twice.decisions()
    assert [found[line.place] for line in lines] == [line.expected for line in lines]
    assert prices(twice, lines) == [(200, 200, 0), (0, 0, 0), (200, 100, 100), (200, 100, 100)]
    assert prices(once, lines) == prices(twice, lines)
    assert ledger_of(twice.directory).money == ledger_of(once.directory).money
    assert verify_by_recomputing(twice.directory, PASSPHRASE) == []


def test_what_does_not_count_is_not_remembered(tmp_path: Path) -> None:
    text = (
        taps("08:00:00 200 tac=wrong", "08:10:00 200 balance_after=1", "08:20:00 200")
        .replace("ACCEPTED", "TAC_FAILED", 1)
        .replace("ACCEPTED", "BALANCE_BREAK", 1)
    )
    centre, lines = centre_with(tmp_path / "c", text)
    centre.run()
    found = centre.decisions()
    assert [found[line.place] for line in lines] == ["TAC_FAILED", "BALANCE_BREAK", "ACCEPTED"]
    assert prices(centre, lines)[2] == (200, 200, 0)


def test_a_replaced_card_goes_on_with_its_memory(tmp_path: Path) -> None:
    text = taps("08:00:00 200") + "\n" + f"{BUS} time=08:30:00 amount=100 line=2 ACCEPTED"
    alone, lines = centre_with(tmp_path / "alone", text)
    shared = Centre(copy_of(alone.directory, tmp_path / "shared"), alone.masters, itertools.count(10))
    alone.run()
    cards = [card for (card,) in alone.query("SELECT card_id FROM transit ORDER BY txn_time")]
    register = shared.directory / "registers" / "cards.parquet"
    table = pq.read_table(register)
    card_id = table.column("card_id").to_numpy()
    owner = pa.array(np.where(card_id == cards[1], np.uint64(cards[0]), card_id), mask=card_id != cards[1])
    pq.write_table(table.append_column("owner_id", owner), register)
    shared.run()
    assert prices(alone, lines) == [(200, 200, 0), (200, 100, 0)], (
        "an undercharge leaves the card what it was charged"
    )
    verdicts = [centre.decisions("price_verdict")[lines[1].place] for centre in (alone, shared)]
    assert verdicts == [(3,), (1,)]
    # The second card's tap comes late: the memory is found under the first one.
    shutil.rmtree(shared.directory / "work" / "cache")
    late = Cases(shared).read(f"{BUS} time=07:30:00 amount=200 line=9 received={DAY_3} card_counter=+5 ACCEPTED")
    shared.deliver(late)
    shared.run("2026-03-03T23:00:00")
    assert prices(shared, [*late, *lines]) == [(200, 200, 0), (200, 100, 100), (200, 100, 0)]
    assert verify_by_recomputing(shared.directory, PASSPHRASE) == []


def test_caches_lost_and_rebuilt_change_nothing(tmp_path: Path) -> None:
    text = taps(
        "09:00:00 200",
        "10:00:00 200",
        f"08:00:00 200 received={DAY_3}",
        f"08:40:00 200 received={DAY_4}",
        f"11:00:00 200 received={DAY_5}",
    )
    kept, lines = centre_with(tmp_path / "kept", text)
    lost = Centre(copy_of(kept.directory, tmp_path / "lost"), kept.masters)
    for moment in sorted({line.received for line in lines}):
        shutil.rmtree(lost.directory / "work" / "cache", ignore_errors=True)
        kept.run(moment)
        lost.run(moment)
    sealed = [[entry.body for entry in entries(centre.directory, "batch")] for centre in (kept, lost)]
    assert len(sealed[0]) == 4
    for ours, theirs in zip(*sealed, strict=True):
        assert ours["content_roots"] == theirs["content_roots"]
        assert ours["segments"] == theirs["segments"]
    rebuild(lost.directory, PASSPHRASE)
    assert verify(lost.directory, PASSPHRASE) == []


def test_explain_tells_the_memory_before_and_after(tmp_path: Path) -> None:
    centre, lines = centre_with(tmp_path / "c", taps("09:00:00 200", f"08:00:00 200 received={DAY_3}"))
    centre.run_apart(lines)
    txn_id = centre.query("SELECT txn_id FROM decisions WHERE hour(txn_time) = 9")[0][0]
    told = explain(centre.directory, str(txn_id), passphrase=PASSPHRASE, language="en")
    assert told.price is not None
    assert (told.price.rule, told.price.expected, told.price.card_paid) == ("transfer_window.transfer", 100, 100)
    assert told.memory is not None
    assert (told.memory.agrees, told.memory.counts, told.memory.journeys_before) == (True, True, 1)
    held = {each.name: each for each in told.memory.accumulators}
    assert held["transfer"].before is not None
    assert held["transfer"].before.since == "2026-03-02T08:00:00"
    assert held["transfer"].after is not None
    assert (held["transfer"].after.since, held["transfer"].after.count) == ("2026-03-02T09:00:00", 1)
    assert held["day"].before is not None
    assert held["day"].after is not None
    assert (held["day"].before.value, held["day"].after.value) == (200, 300)
    paid = [(step.step, change.before, change.after) for step in told.price.steps
            for change in step.changes if change.column == "card_pays"]  # fmt: skip
    assert paid == [("flat", 0, 200), ("transfer_window (transfer)", 200, 100)]
    assert [step.step for step in told.price.steps][-1] == "split"
    assert "transfer" in render_text(told)
    first = centre.query("SELECT txn_id FROM decisions WHERE hour(txn_time) = 8")[0][0]
    told = explain(centre.directory, str(first), passphrase=PASSPHRASE, language="zh")
    assert told.memory is not None
    assert (told.memory.agrees, told.memory.journeys_before) == (True, 0)
    assert "乘车记忆" in render_text(told)
