"""Shadow balances by hand: gaps, unseen movements, impossible balances."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clearing.card_accounts.shadow import Gap, Impossible, Movement, account_of


def purchase(counter: int | None, before: int | None, amount: int, **given_: int) -> Movement:
    after = None if before is None else before - amount
    return Movement(counter or 0, counter, False, counter, amount, before, given_.pop("after", after), **given_)


def load(counter: int, before: int, amount: int) -> Movement:
    return Movement(1000 + counter, None, True, counter, amount, before, before + amount)


def test_whole_history_has_no_difference() -> None:
    account = account_of([purchase(10, 5000, 200), load(3, 4800, 1000), purchase(11, 5800, 300)])

    assert (account.opening, account.loads, account.debits) == (5000, 1000, 500)
    assert (account.card, account.shadow, account.unseen) == (5500, 5500, 0)
    assert account.gaps == account.impossible == ()


def test_a_missing_record_is_a_gap_and_an_unseen_movement() -> None:
    account = account_of([purchase(10, 5000, 200), purchase(13, 4500, 300), load(3, 4200, 100), load(5, 4800, 100)])

    assert account.gaps == (Gap(False, 11, 12), Gap(True, 4, 4))
    assert [gap.missing for gap in account.gaps] == [2, 1]
    assert (account.card, account.shadow, account.unseen) == (4900, 4700, 200)


def test_impossible_balances_are_named() -> None:
    account = account_of(
        [purchase(10, 100, 300), purchase(11, -200, 100, overdraft_limit=500), purchase(12, 50, 20, after=40)]
    )
    assert account.impossible == (
        Impossible(10, "below_overdraft_limit", -200),
        Impossible(12, "balance_break", 10),
    )


def test_without_balances_nothing_is_made_up() -> None:
    account = account_of([purchase(10, None, 200)])
    assert (account.opening, account.card, account.shadow, account.unseen) == (None, None, None, None)


def test_a_balance_that_comes_later_tells_the_opening() -> None:
    account = account_of([purchase(10, None, 200), purchase(11, 4800, 100)])
    assert (account.opening, account.shadow, account.unseen) == (5000, 4700, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 500)), min_size=2, max_size=20), st.data())
def test_what_is_left_out_is_what_is_unseen(moves: list[tuple[bool, int]], data: st.DataObject) -> None:
    balance, counters, history = 10_000, {False: 1, True: 1}, []
    for loads, amount in moves:
        after = balance + amount if loads else balance - amount
        history.append(Movement(len(history), None, loads, counters[loads], amount, balance, after, 20_000))
        counters[loads] += 1
        balance = after
    lost = data.draw(st.sets(st.integers(1, len(history) - 1)))
    known = [each for at, each in enumerate(history) if at not in lost]

    account = account_of(known)

    last = max(at for at in range(len(history)) if at not in lost)
    assert account.unseen == sum(history[at].signed for at in lost if at < last)
    assert account.impossible == ()
