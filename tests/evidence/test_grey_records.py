"""Grey records at the centre: decided by later verified records of the card, or open; not guessed, not doubled."""

from __future__ import annotations

import datetime

import pytest

from clearing import explain as explaining
from clearing.calendar import seconds_of
from clearing.ledger.journal import Journal
from clearing.settlement import close_window
from clearing.status import ClearingStatus
from clearing.verify import verify, verify_by_recomputing
from evidence.centres import PASSPHRASE
from evidence.handmade import Cases, Centre

TABLE = """
# its own record came later, with its TAC
retail  record_state=1 tac=-                                                                     REPLAY
 retail received=03-03T10:00:00                                                                  ACCEPTED
# another transaction has its counter
retail  record_state=1 tac=-                                                                     GREY_DISPROVEN
 retail terminal_counter=+5 time=12:00:30 received=03-03T10:00:00                                ACCEPTED
# the next counter begins where it would have ended
retail  record_state=1 tac=-                                                                     GREY_PROVEN
 retail card_counter=+1 terminal_counter=+5 time=13:00:00 balance_before=+-200 received=03-03T10:00:00  ACCEPTED
# the next counter begins elsewhere: nobody knows
retail  record_state=1 tac=-                                                                     GREY_RECORD
 retail card_counter=+1 terminal_counter=+5 time=13:00:00 balance_before=+-300 received=03-03T10:00:00  ACCEPTED
# nothing came after it
retail  record_state=1 tac=-                                                                     GREY_RECORD
# two in a row
retail  record_state=1 tac=-                                                                     GREY_PROVEN
 retail record_state=1 tac=- card_counter=+1 terminal_counter=+1 time=12:30:00 balance_before=+-200  GREY_PROVEN
 retail card_counter=+2 terminal_counter=+5 time=13:00:00 balance_before=+-400 received=03-03T10:00:00  ACCEPTED
# a counter between them is missing
retail  record_state=1 tac=-                                                                     GREY_RECORD
 retail card_counter=+2 terminal_counter=+5 time=13:00:00 balance_before=+-200 received=03-03T10:00:00  ACCEPTED
# a load lay between
retail  record_state=1 tac=-                                                                     GREY_PROVEN
 load   amount=1000 time=12:30:00 balance_before=+-200 card_counter=3 received=03-03T10:00:00    ACCEPTED
 retail card_counter=+1 terminal_counter=+5 time=13:00:00 balance_before=+800 received=03-03T10:00:00   ACCEPTED
# told twice: one of them counts
retail  record_state=1 tac=-                                                                     GREY_PROVEN
 retail record_state=1 tac=- file=b                                                              REPLAY
 retail card_counter=+1 terminal_counter=+5 time=13:00:00 balance_before=+-200 received=03-03T10:00:00  ACCEPTED
# a forged witness proves nothing
retail  record_state=1 tac=-                                                                     GREY_RECORD
 retail card_counter=+1 terminal_counter=+5 tac=wrong balance_before=+-200 received=03-03T10:00:00  TAC_FAILED
# some later day's ordinary business
retail  date=2026-03-04 time=09:00:00 received=03-04T10:00:00          ACCEPTED
retail  date=2026-04-01 time=09:00:00 received=04-01T10:00:00          ACCEPTED
retail  date=2026-04-02 time=09:00:00 received=04-02T10:00:00          ACCEPTED
"""
AT_ONCE = {ClearingStatus.REPLAY.name, ClearingStatus.GREY_DISPROVEN.name}


@pytest.fixture(scope="module")
def cleared(tmp_path_factory: pytest.TempPathFactory):
    """The table cleared and closed window by window; what each row was after each close."""
    centre = Centre.create(tmp_path_factory.mktemp("grey") / "centre")
    lines = Cases(centre).read(TABLE)
    centre.deliver(lines)
    after = {}
    for moment in sorted({line.received for line in lines}):
        centre.run(moment)
        window = datetime.date.fromisoformat(moment[:10])
        now = seconds_of(f"{window + datetime.timedelta(days=1)}T05:00:00")
        close_window(centre.directory, window, passphrase=PASSPHRASE, now=now)
        after[moment] = centre.decisions()
    return centre, lines, after


def test_each_ends_where_the_card_says(cleared) -> None:
    _, lines, after = cleared
    last = after[max(after)]
    assert [(line.text, last[line.place]) for line in lines] == [(line.text, line.expected) for line in lines]


def test_nothing_is_decided_early(cleared) -> None:
    """What contradicts is decided by the next close, what proves only when no late record can come any more."""
    _, lines, after = cleared
    grey = [line for line in lines if line.values["record_state"] == 1]
    day_after, before_deadline = after["2026-03-04T10:00:00"], after["2026-04-01T10:00:00"]
    for line in grey:
        expected = line.expected if line.expected in AT_ONCE else "GREY_RECORD"
        assert day_after[line.place] == before_deadline[line.place] == expected, line.text


def test_a_closed_window_is_not_touched_and_the_card_has_paid(cleared) -> None:
    """The money of proved records goes from stored value to the merchant's suspense, in a window still open."""
    centre, lines, _ = cleared
    proved = sum(line.values["amount"] for line in lines if line.expected == "GREY_PROVEN")
    booked = dict(centre.query(
        "SELECT kind, SUM(fen)::BIGINT FROM postings WHERE \"window\" > DATE '2026-03-03' "
        "AND kind IN ('suspense_payable', 'held_memo') GROUP BY ALL"
    ))  # fmt: skip
    assert proved == 1_000
    assert abs(booked["suspense_payable"]) == proved
    closed: set[int] = set()
    for entry in Journal(centre.directory / "journal"):
        if entry.kind == "batch":
            assert not {posting[0] for posting in entry.body["postings"]} & closed
        elif entry.kind == "close":
            closed.add(entry.body["window"])
    assert len(closed) == 5


def test_each_decision_names_its_witness(cleared) -> None:
    """Explain tells both decisions and the record that decided."""
    centre, lines, _ = cleared
    [proved] = [line for line in lines[:6] if line.expected == "GREY_PROVEN"]
    [witness] = [lines[lines.index(proved) + 1]]
    ids = centre.decisions("txn_id, linked_txn_id")
    assert ids[proved.place][1] == ids[witness.place][0]
    told = explaining.explain(centre.directory, str(ids[proved.place][0]), passphrase=PASSPHRASE, language="en")
    assert [decision.status for decision in told.decisions if decision.sign > 0] == ["GREY_RECORD", "GREY_PROVEN"]
    assert told.ladder is not None
    assert told.ladder.reproduced


def test_the_ledger_is_sound_and_comes_out_again(cleared) -> None:
    centre, _, _ = cleared
    assert verify(centre.directory, PASSPHRASE) == []
    assert verify_by_recomputing(centre.directory, PASSPHRASE) == []
