"""The commands as people type them: adjust, dispute, card; one JSON document, exit codes, both languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clearing.cli import app
from clearing.errors import RefusedError
from clearing.initialise import people_folder
from evidence.centres import PASSPHRASE
from evidence.corrected import NEXT_NOON, Corrected, closed_centre
from evidence.paying import Move, camt


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Corrected:
    """Changed by the tests below, each about transactions of its own."""
    return closed_centre(tmp_path_factory.mktemp("closed") / "centre")


def call(closed: Corrected, command: str, *words: str, by: str = "", stdin: str = "", code: int = 0) -> str:
    """Standard output of a command that ends with an exit code."""
    secret = closed.directory.parent / "passphrase"
    secret.write_text(PASSPHRASE)
    arguments = [command, str(closed.directory), *words, "--passphrase-file", str(secret)]
    if by:
        arguments += ["--by", by, "--key", str(people_folder(closed.directory) / f"{by}.key")]
    if command != "card" or by:
        arguments += ["--now", NEXT_NOON]
    result = CliRunner().invoke(app, arguments, input=stdin)
    if isinstance(result.exception, RefusedError):
        raise result.exception
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def reference(closed: Corrected, name: str) -> str:
    return f"{closed.txn[name] >> 32}:{closed.txn[name] & 0xFFFFFFFF}"


def document(text: str) -> Any:
    return json.loads(text)


def test_refund_by_two_persons(closed: Corrected) -> None:
    words = ("refund", reference(closed, "retail"), "--fen", "50", "--reason", "broken cup")
    asked = document(call(closed, "adjust", *words, "--json", by="reconciler"))
    assert asked["entry"] is None
    assert asked["items"][0]["legs"][0] == {
        "account": "merchant_payable",
        "participant": 501,
        "source": 0,
        "fen": -50,
    }
    listed = document(call(closed, "adjust", "list", "--json"))
    assert [each["proposal"] for each in listed["proposals"]] == [asked["proposal"]]

    shown = call(closed, "adjust", "approve", asked["proposal"], by="approver.a")

    assert "posted in window 2026-03-03, journal entry" in shown
    assert document(call(closed, "adjust", "list", "--json")) == {"proposals": []}
    told = document(call(closed, "card", "--json", stdin=closed.lines["retail"].card + "\n"))
    assert (told["refund_due_fen"], told["corrections"][0]["reason"]) == (50, "broken cup")


def test_a_refusal_names_row_rule_and_remedy(closed: Corrected) -> None:
    words = ("release-rejected", reference(closed, "tac_failed"), "--reason", "appeal")
    with pytest.raises(
        RefusedError, match=r"RELEASE_REJECTED \d+:\d+ — a row held as TAC_FAILED is never paid so — "
    ):
        call(closed, "adjust", *words, by="reconciler")


@pytest.mark.parametrize(
    "words",
    [("refnud", "3:1"), ("refund",), ("approve",), ("sheet",), ("refund", "3:1")],
    ids=lambda words: "-".join(words),
)
def test_wrong_words_are_a_usage_error(closed: Corrected, words: tuple[str, ...]) -> None:
    call(closed, "adjust", *words, code=2)


def test_open_bank_lines_are_listed_with_their_age(closed: Corrected) -> None:
    path = closed.directory.parent / "statement.xml"
    path.write_text(camt([Move("debit", 500, text="fee")], opening=0), "utf-8")
    call(closed, "bank", str(path), code=1)
    [line] = document(call(closed, "adjust", "bank-lines", "--json"))["bank_lines"]
    assert (line["open_fen"], line["outcome"], line["age_days"]) == (-500, "unknown_payment", 0)
    words = ("bank-charge", line["name"], "--reason", "monthly fee", "--json")
    asked = document(call(closed, "adjust", *words, by="reconciler"))
    shown = call(closed, "adjust", "approve", asked["proposal"], by="approver.a")
    assert line["name"] in shown
    assert document(call(closed, "adjust", "bank-lines", "--json")) == {"bank_lines": []}


def test_sheet_down_and_up(closed: Corrected, tmp_path: Path) -> None:
    path = tmp_path / "exceptions.xlsx"
    assert document(call(closed, "adjust", "sheet", "--out", str(path), "--json"))["rows"] > 5
    assert "预览,未提交 / preview: nothing is proposed" in call(closed, "adjust", "upload", str(path))


def test_a_dispute_from_query_to_credit_adjustment(closed: Corrected) -> None:
    def move(*words: str) -> Any:
        asked = document(call(closed, "dispute", *words, "--reason", "why", "--json", by="reconciler"))
        document(call(closed, "dispute", "approve", asked["proposal"], "--json", by="approver.a"))
        return document(call(closed, "dispute", "list", "--json"))["disputes"]

    [opened] = move("open", reference(closed, "foreign"), "--actor", "issuer", "--code", "1001")
    assert (opened["state"], opened["fen"], opened["deadline"]) == ("QUERIED", 200, "2026-03-18")
    for words in (("query", "issuer", "1002"), ("answer", "acquirer", "02")):
        action, actor, code = words
        move(action, opened["dispute"], "--actor", actor, "--code", code)
    assert "CREDIT_OWED" in call(closed, "dispute", "list")
    assert move("adjust", opened["dispute"], "--actor", "acquirer", "--code", "2001") == []


def test_a_statement_in_both_languages_never_shows_the_number(closed: Corrected) -> None:
    number = closed.lines["overcharged"].card
    for language, words in (("zh", "影子余额"), ("en", "Shadow balance")):
        shown = call(closed, "card", "--language", language, stdin=number + "\n")
        assert words in shown
        assert number not in shown
        assert number[:6] + "****" + number[-4:] in shown


def test_a_card_is_reported_lost(closed: Corrected) -> None:
    number = closed.lines["medical"].card
    words = ("state", "--state", "lost", "--on", "2026-03-03", "--reason", "hotline", "--json")
    asked = document(call(closed, "card", *words, by="reconciler", stdin=number + "\n"))
    assert (asked["entry"], document(call(closed, "card", "--json", stdin=number + "\n"))["state"]) == (
        None,
        "issued",
    )
    shown = call(closed, "card", "approve", asked["proposal"], by="approver.a")
    assert "lost 2026-03-03  hotline" in shown
    told = document(call(closed, "card", "--json", stdin=number + "\n"))
    [state] = told["states"]
    assert (told["state"], state["state"], state["since"]) == ("lost", "lost", "2026-03-03")
    assert f"挂失 2026-03-03  hotline  (reconciler / approver.a; {state['entry']})" in call(
        closed, "card", stdin=number + "\n"
    )
    assert document(call(closed, "card", "hits", "--json"))["hits"][0]["disposition"] == "rejected"
