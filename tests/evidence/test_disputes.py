"""Disputes end to end: money while they are open and when they end, feedback of other issuers, two persons."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from clearing.calendar import seconds_of
from clearing.corrections.disputes import Asked, lapsed, reported_tac_failures
from clearing.errors import RefusedError
from clearing.verify import rebuild, verify
from evidence.centres import PASSPHRASE
from evidence.corrected import Corrected, account_text, closed_centre, copied, moved_between


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Corrected:
    """Read only."""
    return closed_centre(tmp_path_factory.mktemp("closed") / "centre", partners=(510,))


@pytest.fixture
def fresh(closed: Corrected, tmp_path: Path) -> Corrected:
    return copied(closed, tmp_path / "centre")


def play(fresh: Corrected, name: str, moves: str, day: int = 3) -> list[dict[str, int]]:
    """What each move of a dispute about a transaction posts: "actor action code [fen]", by commas.

    The first opens it, the others come together: in one proposal each sees what the ones before it did.
    """
    asked, posted = [_asked(words) for words in moves.split(",")], []
    before = fresh.trial_balance()
    first = replace(asked[0], txn_id=fresh.txn[name])
    posted += fresh.move(first, now=f"2026-03-{day:02d}T12:00:00").moves
    if len(asked) > 1:
        [(dispute,)] = fresh.centre.query(f"SELECT dispute FROM dispute_status WHERE txn_id = {fresh.txn[name]}")
        rest = [replace(each, dispute=dispute) for each in asked[1:]]
        posted += fresh.move(*rest, now=f"2026-03-{day:02d}T13:00:00").moves
    legs = [
        {account_text(leg["account"], leg["participant"], leg["source"]): leg["fen"] for leg in each["legs"]}
        for each in posted
    ]
    total: Counter[str] = Counter()
    for each in legs:
        total.update(each)
    assert moved_between(before, fresh.trial_balance()) == {account: fen for account, fen in total.items() if fen}
    return legs


def _asked(words: str) -> Asked:
    actor, action, *rest = words.split()
    code = rest[0] if rest and rest[0] != "-" else ""
    return Asked("test", actor, action, code=code, fen=int(rest[1]) if len(rest) > 1 else None)


def state_of(fresh: Corrected, name: str) -> tuple[str, int]:
    [found] = fresh.centre.query(f"SELECT state, fen FROM dispute_status WHERE txn_id = {fresh.txn[name]}")
    return found


def test_own_card_charged_back_and_accepted(fresh: Corrected) -> None:
    moves = "issuer open 1001,issuer query 1002,acquirer answer 03,issuer chargeback -,acquirer answer 01"

    assert play(fresh, "retail", moves) == [
        {"dispute_receivable 501": -200, "provisional_credit 10": 200},
        {}, {}, {},
        {"dispute_receivable 501": 200, "merchant_payable 501": -200, "provisional_credit 10": -200,
         "refund_payable 10": 200},
    ]  # fmt: skip
    assert state_of(fresh, "retail") == ("CLOSED_RETURNED", 0)
    assert verify(fresh.directory, PASSPHRASE) == []
    count = fresh.centre.query("SELECT COUNT(*) FROM disputes")
    rebuild(fresh.directory, PASSPHRASE)
    assert fresh.centre.query("SELECT COUNT(*) FROM disputes") == count == [(5,)]
    assert verify(fresh.directory, PASSPHRASE) == []


def test_foreign_card_credit_adjusted_in_part(fresh: Corrected) -> None:
    moves = "issuer open 1005,issuer query 1006,acquirer answer 02,acquirer adjust 2001 120"
    moves += ",issuer negotiate 4006,acquirer answer 02"

    assert play(fresh, "foreign", moves) == [
        {"dispute_receivable 501": -200, "provisional_credit 20": 200},
        {}, {},
        {"dispute_receivable 501": 120, "merchant_payable 501": -120, "provisional_credit 20": -120,
         "counterparty_payable 20": 120},
        {},
        {"dispute_receivable 501": 80, "provisional_credit 20": -80},
    ]  # fmt: skip


def test_abnormal_trade_brings_the_merchant_its_money(fresh: Corrected) -> None:
    moves = "acquirer open 6001,issuer answer 02,acquirer negotiate 4007,issuer answer 01,issuer adjust 5005"

    assert play(fresh, "suspense", moves)[-1] == {"suspense_payable 501": -200, "merchant_payable 501": 200}
    assert play(fresh, "unproven", moves, day=4)[-1] == {
        "stored_value 10": -200, "merchant_payable 501": 200, "held_memo 501": 200, "memo_contra 1": -200,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "move", "why"),
    [
        ("suspense", "issuer open 1001", "an issuer disputes successful trades only"),
        ("retail", "acquirer open 6001", "only a held or rejected trade"),
        ("tac_failed", "acquirer open 6001", "a row that is TAC_FAILED is never paid"),
        ("unknown_merchant", "acquirer open 6001", "nobody registered is its payee"),
        ("load", "issuer open 1001", "only purchases are disputed"),
        ("foreign", "issuer report TAC", "we verified its TAC ourselves"),
        ("retail", "issuer open 1001 201", "201 fen are more than"),
        ("retail", "issuer open 6001", "not possible in a new dispute"),
    ],
)
def test_who_may_open_what(closed: Corrected, name: str, move: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        play(closed, name, move)


def test_one_dispute_at_a_time_and_no_adjustment_meanwhile(fresh: Corrected) -> None:
    play(fresh, "retail", "issuer open 1001")

    with pytest.raises(RefusedError, match="a dispute about it is open"):
        fresh.move(Asked("again", "issuer", "open", txn_id=fresh.txn["retail"], code="1001"))
    with pytest.raises(RefusedError, match="a dispute about it is open"):
        fresh.adjust(fresh.item("REFUND", "retail"))


def test_no_dispute_about_money_that_is_refunded(fresh: Corrected) -> None:
    fresh.adjust(fresh.item("REFUND", "retail", fen=150))

    with pytest.raises(RefusedError, match="no longer has that much"):
        play(fresh, "retail", "issuer open 1001")
    assert play(fresh, "retail", "issuer open 1001 50") == [
        {"dispute_receivable 501": -50, "provisional_credit 10": 50}
    ]


def test_deadlines_lapse_once(fresh: Corrected) -> None:
    play(fresh, "retail", "issuer open 1001")
    in_time, too_late = seconds_of("2026-03-19T03:59:59"), seconds_of("2026-03-19T04:00:00")

    assert lapsed(fresh.directory, PASSPHRASE, in_time) == []
    due = lapsed(fresh.directory, PASSPHRASE, too_late)
    assert [(each.action, each.reason) for each in due] == [("lapse", "no answer until 2026-03-18")]
    before = fresh.trial_balance()
    fresh.move(*due, now="2026-03-19T05:00:00")
    assert moved_between(before, fresh.trial_balance()) == {
        "dispute_receivable 501": 200,
        "provisional_credit 10": -200,
    }
    assert lapsed(fresh.directory, PASSPHRASE, too_late) == []


def feedback_about_the_keyless_card(fresh: Corrected, folder: Path, code: bytes) -> Path:
    """The FB its issuer's centre would send of the purchase this centre cleared first: refused there."""
    [path] = (fresh.directory / "outbox" / "510").glob("*.FB.01.txt")
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 4, "head, header, one purchase, end"
    lines[2] = lines[2][:162] + code + "TAC验证失败".encode("gbk").ljust(40) + lines[2][208:]
    other = folder / "fb.txt"
    other.write_bytes(b"\n".join(lines))
    return other


@pytest.mark.parametrize(
    ("end", "change", "state"),
    [
        (
            "issuer withdraw",
            {"counterparty_receivable 21": -200, "provisional_receivable 21": 200},
            "CLOSED_CONFIRMED",
        ),
        ("acquirer answer 01", {"merchant_payable 511": -200, "provisional_receivable 21": 200}, "CLOSED_RETURNED"),
    ],
)
def test_cleared_first_verified_later(
    fresh: Corrected, tmp_path: Path, end: str, change: dict[str, int], state: str
) -> None:
    file = feedback_about_the_keyless_card(fresh, tmp_path, b"000032")
    moves, others = reported_tac_failures(fresh.directory, file, PASSPHRASE)
    assert [(each.txn_id, each.action, each.code) for each in moves] == [(fresh.txn["keyless"], "report", "TAC")]
    assert others == []
    assert moves[0].reason == "fb.txt line 3: 000032 TAC验证失败"

    before = fresh.trial_balance()
    fresh.move(*moves)
    assert moved_between(before, fresh.trial_balance()) == {
        "counterparty_receivable 21": 200, "provisional_receivable 21": -200,
    }  # fmt: skip
    with pytest.raises(RefusedError, match="a dispute about it is open"):
        fresh.move(*moves)
    [(name,)] = fresh.centre.query("SELECT dispute FROM dispute_status")
    before = fresh.trial_balance()
    actor, action, *code = end.split()
    fresh.move(Asked("decided", actor, action, dispute=name, code="".join(code)))
    assert moved_between(before, fresh.trial_balance()) == change
    assert state_of(fresh, "keyless") == (state, 0)
    assert verify(fresh.directory, PASSPHRASE) == []


def test_other_refusals_of_a_feedback_are_for_a_person(closed: Corrected, tmp_path: Path) -> None:
    moves, others = reported_tac_failures(
        closed.directory, feedback_about_the_keyless_card(closed, tmp_path, b"000041"), PASSPHRASE
    )
    assert moves == []
    assert [(each["kind"], each["code"]) for each in others] == [("refused_there", "000041")]


def test_balances_of_disputes_are_zero_when_all_are_closed(fresh: Corrected) -> None:
    play(fresh, "retail", "issuer open 1001,acquirer answer 01,issuer withdraw -")
    play(fresh, "keyless", "issuer report TAC,issuer withdraw -", day=4)
    kinds = ("provisional_credit", "dispute_receivable", "provisional_receivable")
    left: Counter[str] = Counter(
        {account: fen for account, fen in fresh.trial_balance().items() if account.startswith(kinds)}
    )
    assert not left
