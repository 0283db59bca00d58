"""The dispute flow as a table: every path of the interconnection instructions, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.accounts import ACCOUNT_KINDS
from clearing.corrections.dispute_flow import CLOSED, FLOW, NEW, SURPLUS, Move, Standing, moved
from clearing.corrections.templates import TEMPLATES
from clearing.errors import RefusedError

DAY = 20_000

PATHS = {
    "abnormal trade, the issuer agrees": ("6001 i01", "CLOSED_NO_CHANGE", []),
    "abnormal trade, surplus returned": ("6001 i02 4007 i01 5008", "CLOSED_SURPLUS_RETURNED", ["SURPLUS"]),
    "abnormal trade, refused twice": ("6001 i02 4005 i02", "CLOSED_NO_CHANGE", []),
    "found right, and left there": (
        "1001 1002 a01 lapse", "CLOSED_NO_CHANGE", ["PROVISIONAL_CREDIT", "PROVISIONAL_TAKEN_BACK"]
    ),
    "found right, negotiated, returned": (
        "1005 a03 1006 a01 4006 a01 5006", "CLOSED_RETURNED", ["PROVISIONAL_CREDIT", "PROVISIONAL_CONFIRMED"]
    ),
    "negotiated, refused": (
        "1001 1002 a01 4007 a02", "CLOSED_NO_CHANGE", ["PROVISIONAL_CREDIT", "PROVISIONAL_TAKEN_BACK"]
    ),
    "credit adjustment": ("1001 1002 a02 2001", "CLOSED_RETURNED", ["PROVISIONAL_CREDIT", "PROVISIONAL_CONFIRMED"]),
    "credit adjustment in part, the rest negotiated": (
        "1001 1002 a02 2001=60 4006 a01 5007", "CLOSED_RETURNED",
        ["PROVISIONAL_CREDIT", "PROVISIONAL_CONFIRMED 60", "PROVISIONAL_CONFIRMED 40"],
    ),
    "charged back and accepted": (
        "1001 1002 a03 chargeback a01", "CLOSED_RETURNED", ["PROVISIONAL_CREDIT", "PROVISIONAL_CONFIRMED"]
    ),
    "no answer to the second query": (
        "1001 1002 lapse chargeback lapse", "CLOSED_RETURNED", ["PROVISIONAL_CREDIT", "PROVISIONAL_CONFIRMED"]
    ),
    "represented, and left there": (
        "1001 1002 a03 chargeback a02 lapse", "CLOSED_NO_CHANGE", ["PROVISIONAL_CREDIT", "PROVISIONAL_TAKEN_BACK"]
    ),
    "represented, negotiated, returned after all": (
        "1001 1002 a03 chargeback a02 4002 a01 5002", "CLOSED_RETURNED",
        ["PROVISIONAL_CREDIT", "PROVISIONAL_TAKEN_BACK", "CREDIT_ADJUSTMENT"],
    ),
    "TAC reported wrong, then confirmed": (
        "TAC withdraw", "CLOSED_CONFIRMED", ["VERIFICATION_DOUBTED", "VERIFICATION_CONFIRMED"]
    ),
    "TAC reported wrong, accepted": ("TAC a01", "CLOSED_RETURNED", ["VERIFICATION_DOUBTED", "VERIFICATION_CHARGED"]),
    "TAC reported wrong, no answer": (
        "TAC lapse", "CLOSED_RETURNED", ["VERIFICATION_DOUBTED", "VERIFICATION_CHARGED"]
    ),
    "TAC disputed, the issuer pays": (
        "TAC 4005 i01", "CLOSED_CONFIRMED", ["VERIFICATION_DOUBTED", "VERIFICATION_CONFIRMED"]
    ),
    "TAC disputed, the issuer insists": (
        "TAC 4007 i02", "CLOSED_RETURNED", ["VERIFICATION_DOUBTED", "VERIFICATION_CHARGED"]
    ),
}  # fmt: skip
"""Codes in order, ``i``/``a`` before an answer for issuer and acquirer; the last state; what was posted (100 fen)."""


def move_of(word: str, standing: Standing) -> Move:
    """The move a word of a path stands for."""
    code, _, fen = word.partition("=")
    amount = int(fen) if fen else (100 if standing.state == NEW else None)
    if code in ("lapse",):
        return Move("centre", "lapse")
    if code in ("chargeback", "withdraw"):
        return Move("issuer", code)
    if code[0] in "ia" and code[1:].isdigit():
        return Move("issuer" if code[0] == "i" else "acquirer", "answer", code[1:])
    [found] = [each for each in FLOW if each.state == standing.state and code in each.codes]
    return Move(found.actor, found.action, code, amount)


@pytest.mark.parametrize("name", PATHS)
def test_paths(name: str) -> None:
    words, last, expected = PATHS[name]
    standing, posted, day = Standing(), [], DAY
    for word in words.split():
        if word == "lapse":
            day = (standing.deadline or 0) + 1
        result = moved(standing, move_of(word, standing), day)
        if result.posts:
            posted.append(result.posts if result.fen == 100 else f"{result.posts} {result.fen}")
        standing = result.standing
    assert (standing.state, posted) == (last, expected)
    assert standing.closed
    assert standing.fen == 0


@pytest.mark.parametrize(
    ("state", "move", "why"),
    [
        ("", Move("acquirer", "open", "1001", 100), "possible: acquirer open 6001"),
        ("QUERIED", Move("acquirer", "answer", "04"), "not possible in QUERIED"),
        ("QUERIED", Move("issuer", "open", "1001"), "not possible in QUERIED"),
        ("CLOSED_RETURNED", Move("issuer", "open", "1001"), "nothing, it is closed"),
        ("CREDIT_OWED", Move("acquirer", "adjust", "2001", 101), "101 fen, where 100"),
        ("CREDIT_OWED", Move("acquirer", "adjust", "2001", 0), "0 fen"),
        ("RETURN_OWED", Move("acquirer", "adjust", "5006", 99), "99 fen, where 100"),
        ("QUERIED", Move("centre", "lapse"), "the deadline has not passed"),
    ],
)
def test_illegal_moves_are_refused(state: str, move: Move, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        moved(Standing(state, 100 if state else 0, DAY + 15), move, DAY)


def test_after_the_deadline_only_a_lapse_goes_on() -> None:
    standing = Standing("QUERIED", 100, DAY)
    with pytest.raises(RefusedError, match="the deadline has passed"):
        moved(standing, Move("issuer", "query", "1002"), DAY + 1)
    assert moved(standing, Move("issuer", "query", "1002"), DAY).standing.deadline == DAY + 15


def test_the_table_is_sound() -> None:
    states = {each.state for each in FLOW}
    nexts = {each.next for each in FLOW}
    assert {state for state in nexts if not state.startswith(CLOSED)} == states - {NEW}
    assert {each.posts for each in FLOW if each.posts} <= TEMPLATES.keys() | {SURPLUS}
    for state in states - {NEW}:
        assert sum(each.state == state and each.action == "lapse" for each in FLOW) == 1, state
    for each in FLOW:
        assert (each.days is None) == each.next.startswith(CLOSED), each
    keys = [(each.state, each.actor, each.action, code) for each in FLOW for code in each.codes or {""}]
    assert len(keys) == len(set(keys))
    assert {leg.kind for legs in TEMPLATES.values() for leg in legs} <= ACCOUNT_KINDS.keys() | {
        "card_refund", "card_side", "card_side_load",
    }  # fmt: skip


@given(st.data())
def test_provisional_money_is_always_given_back_or_confirmed(data: st.DataObject) -> None:
    """Whatever path: provisional − confirmed − taken back = 0 at its end, and never more than disputed."""
    standing, day = Standing(), DAY
    provisional = doubted = returned = 0
    for _ in range(30):
        if standing.closed:
            break
        each = data.draw(st.sampled_from([each for each in FLOW if each.state == standing.state]))
        if each.action == "lapse":
            day = (standing.deadline or 0) + 1
        code = data.draw(st.sampled_from(sorted(each.codes) or [""]))
        fen = 100 if standing.state == NEW else None
        if each.posts == "PROVISIONAL_CONFIRMED" and each.action == "adjust" and not each.next.startswith(CLOSED):
            fen = data.draw(st.integers(1, standing.fen))
        result = moved(standing, Move(each.actor, each.action, code, fen), day)
        provisional += {"PROVISIONAL_CREDIT": 1, "PROVISIONAL_CONFIRMED": -1, "PROVISIONAL_TAKEN_BACK": -1}.get(
            result.posts, 0
        ) * result.fen
        doubted += {"VERIFICATION_DOUBTED": 1, "VERIFICATION_CONFIRMED": -1, "VERIFICATION_CHARGED": -1}.get(
            result.posts, 0
        ) * result.fen
        returned += result.fen * (
            result.posts in ("PROVISIONAL_CONFIRMED", "CREDIT_ADJUSTMENT", "VERIFICATION_CHARGED")
        )
        assert 0 <= provisional <= 100
        assert 0 <= doubted <= 100
        standing = result.standing
    assert standing.closed, "no path goes round in circles"
    assert (provisional, doubted) == (0, 0)
    assert 0 <= returned <= 100
