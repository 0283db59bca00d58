"""A centre that takes over cards with money on them: the bank's opening balance is explained by a signed file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clearing.calendar import seconds_of
from clearing.corrections.adjust import Outcome, approve, open_bank_lines, propose
from clearing.corrections.opening import SCHEMA
from clearing.corrections.rules import Item
from clearing.errors import ClearingError, RefusedError
from clearing.verify import verify
from evidence.centres import PASSPHRASE
from evidence.paying import OWN_ACCOUNT, Paying, camt

NOON = seconds_of("2026-03-03T12:00:00")
OPENING = 10_000_000
WINDOW = 20515
"""2026-03-03."""


def cards(centre: Paying) -> list[int]:
    """Cards that are registered on the day."""
    rows = pq.read_table(centre.directory / "registers" / "cards.parquet").to_pylist()
    return [row["card_id"] for row in rows if row["valid_from"] <= WINDOW <= row["valid_to"]]


def opening_file(path: Path, balances: dict[int, Any]) -> Path:
    columns = {"card_id": list(balances), "balance": list(balances.values())}
    pq.write_table(pa.table(columns, schema=SCHEMA), path)
    return path


def take_over(centre: Paying, item: Item, opening: Path | None) -> Outcome:
    """Propose and approve."""
    at = centre.directory
    asked = propose(at, [item], passphrase=PASSPHRASE, by=centre.signer("reconciler"), now=NOON, opening=opening)
    assert asked.proposal is not None
    return approve(at, asked.proposal, passphrase=PASSPHRASE, by=centre.signer("approver.a"), now=NOON)


def covered(centre: Paying) -> bool:
    """What the check ``stored_value_covered`` asks."""
    return centre.balance("stored_value", 10) >= 0


def test_stored_value_is_taken_over_once_and_can_be_undone(paying: Paying, tmp_path: Path) -> None:
    line = f"{paying.bank(camt([])).entry}:1"
    before = paying.balance("stored_value", 10)
    assert not covered(paying), "cards spent what nobody told the ledger they had"
    first, second, third, *_ = cards(paying)
    path = opening_file(tmp_path / "opening.parquet", {first: 9_000_000, second: 0, third: 41})
    item = Item("OPENING_VALUE", "migration of 2026-03-02", bank_line=line)

    outcome = take_over(paying, item, path)

    assert paying.balance("stored_value", 10) - before == 9_000_041
    assert covered(paying)
    [left] = open_bank_lines(paying.directory)
    assert (left["name"], left["open_fen"]) == (line, OPENING - 9_000_041)
    path.unlink()
    assert verify(paying.directory, PASSPHRASE) == [], "its copy is archived"

    # The same file, and one with a card of it, are refused; what is left of the line goes elsewhere.
    again = opening_file(tmp_path / "again.parquet", {third: 7})
    with pytest.raises(RefusedError, match=f"card {third:016x} is taken over already"):
        take_over(paying, item, again)
    take_over(paying, Item("BANK_FROM_PAYEE", "owed before", bank_line=line, payee=501, fen=59), None)
    undo = Item("UNDO", "another day's file", undoes=f"A{outcome.entry}-1")
    take_over(paying, undo, None)
    assert paying.balance("stored_value", 10) == before
    take_over(paying, item, again)
    assert paying.balance("stored_value", 10) - before == 7
    assert verify(paying.directory, PASSPHRASE) == []


@pytest.mark.parametrize(
    ("balances", "fen", "why"),
    [
        ({0: -1}, None, "holds an impossible balance"),
        ({0: 2**40 + 1}, None, "holds an impossible balance"),
        ({0: None}, None, "a balance is missing"),
        ({-1: 5}, None, "is not registered"),
        ({0: 5}, 4, "the file sums to 5 fen, not 4"),
        ({0: OPENING + 1}, None, "10000001 fen, where 10000000 are open"),
    ],
)
def test_a_wrong_file_is_refused(
    paying: Paying, tmp_path: Path, balances: dict[int, Any], fen: int | None, why: str
) -> None:
    line = f"{paying.bank(camt([])).entry}:1"
    known = cards(paying)
    path = opening_file(tmp_path / "o.parquet", {known[at] if at >= 0 else 77: fen_ for at, fen_ in balances.items()})
    with pytest.raises(ClearingError, match=why):
        take_over(paying, Item("OPENING_VALUE", "test", bank_line=line, fen=fen), path)


def test_a_card_twice_no_file_and_a_changed_copy_are_refused(paying: Paying, tmp_path: Path) -> None:
    line = f"{paying.bank(camt([])).entry}:1"
    card, item = cards(paying)[0], Item("OPENING_VALUE", "test", bank_line=line)
    twice = tmp_path / "twice.parquet"
    pq.write_table(pa.table({"card_id": [card, card], "balance": [1, 2]}, schema=SCHEMA), twice)
    with pytest.raises(ClearingError, match="stands twice"):
        take_over(paying, item, twice)
    with pytest.raises(RefusedError, match="an opening is one correction with its file"):
        take_over(paying, item, None)
    path = opening_file(tmp_path / "o.parquet", {card: 5})
    at = paying.directory
    asked = propose(at, [item], passphrase=PASSPHRASE, by=paying.signer("reconciler"), now=NOON, opening=path)
    [copy] = [each for each in (at / "archive" / "config").iterdir() if each.read_bytes() == path.read_bytes()]
    opening_file(copy, {card: 6})
    with pytest.raises(RefusedError, match="the file sums to 6 fen, not 5"):
        approve(at, str(asked.proposal), passphrase=PASSPHRASE, by=paying.signer("approver.a"), now=NOON)
    opening_file(copy, {card: 5})
    pq.write_table(pq.read_table(copy), copy, compression="none")
    with pytest.raises(RefusedError, match="is not the one that was proposed"):
        approve(at, str(asked.proposal), passphrase=PASSPHRASE, by=paying.signer("approver.a"), now=NOON)


def test_own_money_is_taken_over_without_a_file(paying: Paying) -> None:
    line = f"{paying.bank(camt([], account=OWN_ACCOUNT, opening=700)).entry}:1"
    take_over(paying, Item("OPENING_OWN", "own money", bank_line=line), None)
    assert paying.balance("own_capital", 1, source=1) == 700
    assert open_bank_lines(paying.directory) == []
