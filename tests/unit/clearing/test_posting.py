"""Posting templates: what each transaction posts, that every row balances, and that no template is idle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from evidence.centres import PASSPHRASE
from evidence.handmade import Cases, Centre, Line

from card_io.records import Service
from clearing.accounts import MEMO_KINDS
from clearing.caches import batch_rows
from clearing.centre import Centre as OpenCentre
from clearing.posting import LEGS, Balances, Chart, PostingTemplate, post
from clearing.records import Rows

CASES = Path(__file__).resolve().parents[2] / "cases" / "clearing"

EXPECTED: dict[str, dict[str, int]] = {
    "retail": {"stored_value 10": -200, "merchant_payable 501": 200},
    "retail card=foreign": {"counterparty_receivable 20": -200, "merchant_payable 501": 200},
    "transit amount=260": {"stored_value 10": -260, "merchant_payable 211": 200, "cardholder_payable 10": 60},
    "transit amount=150": {
        "stored_value 10": -150, "merchant_payable 211": 150, "operator_borne 211": -50, "memo_contra 1": 50
    },
    "transit card=student amount=100": {
        "stored_value 10": -100, "merchant_payable 211": 100, "fund_receivable 903 from 903": -50,
        "merchant_payable 211 from 903": 50, "operator_borne 211": -50, "memo_contra 1": 50,
    },
    "transit card=elderly amount=0": {"fund_receivable 901 from 901": -200, "merchant_payable 211 from 901": 200},
    "medical": {
        "stored_value 10": -200, "merchant_payable 301": 200,
        "fund_receivable 411 from 411": -500, "merchant_payable 301 from 411": 500,
        "insurer_receivable 400 from 400": -300, "merchant_payable 301 from 400": 300,
    },
    "medical txn_type=0 amount=0 acct_pay=0 psn_cash_pay=500 hifp_pay=100 hifmi_pay=400": {
        "fund_receivable 411 from 411": -100, "merchant_payable 301 from 411": 100,
        "fund_receivable 414 from 414": -400, "merchant_payable 301 from 414": 400,
    },
    "medical txn_type=0 amount=0 cancel=1": {
        "fund_receivable 411 from 411": 500, "merchant_payable 301 from 411": -500,
        "insurer_receivable 400 from 400": 300, "merchant_payable 301 from 400": -300,
    },
    "utility amount=500 bills=611:1:100,612:2:300": {
        "stored_value 10": -500, "merchant_payable 611": 100, "merchant_payable 612": 300,
        "cardholder_suspense 10": 100,
    },
    "load": {"agent_receivable 701": -200, "stored_value 10": 200},
    "load card=foreign": {"agent_receivable 701": -200, "counterparty_payable 20": 200},
    "benefit": {"fund_receivable 901 from 901": -200, "pending_load 901 from 901": 200},
    "retail balance_after=1": {"stored_value 10": -200, "suspense_payable 501": 200},
    "retail card=foreign balance_after=1": {"counterparty_receivable 20": -200, "suspense_payable 501": 200},
    "retail terminal=2": {"stored_value 10": -200, "suspense_payable 501": 200},
    "retail merchant=999": {"stored_value 10": -200, "suspense_payable 0": 200},
    "retail key_version=3": {"held_memo 501": -200, "memo_contra 1": 200},
    "retail merchant=999 key_version=3": {"held_memo 0": -200, "memo_contra 1": 200},
    "retail tac=wrong": {"rejected_memo 501": -200, "memo_contra 1": 200},
    "load tac=wrong": {"load_claim 701": -200, "memo_contra 1": 200},
    "load balance_after=1": {"load_claim 701": -200, "memo_contra 1": 200},
    "load test_flag=1": {},
    "retail test_flag=1": {},
    "retail amount=0": {},
    "retail amount=0 tac=wrong": {},
    "benefit granted=5000001": {},
    "medical txn_type=0 amount=0 medfee_sumamt=+1": {},
}  # fmt: skip
"""What one transaction posts: account kind, participant, and the source of money unless it is the reserve."""


@dataclass
class Cleared:
    """Decided rows of hand-made transactions, read back from the segments."""

    centre: Centre
    lines: list[Line]
    rows: list[Rows]
    chart: Chart

    def row(self, line: Line) -> Rows:
        """The one decided row of a line."""
        ((file_no,),) = self.centre.query(f"SELECT file_no FROM files WHERE file = '{line.place[0]}'")
        txn_id = (file_no << 32) + line.place[1]
        ((rows, at),) = ((rows, at) for rows in self.rows for at in np.flatnonzero(rows["txn_id"] == txn_id))
        return rows.take(np.array([at]))

    def each(self) -> Iterator[Rows]:
        """Every decided row by itself."""
        for rows in self.rows:
            for at in range(len(rows)):
                yield rows.take(np.array([at]))


def cleared(folder: Path, text: str) -> Cleared:
    centre = Centre.create(folder / "centre")
    lines = Cases(centre).read(text)
    centre.deliver(lines)
    centre.run()
    opened = OpenCentre.open(centre.directory, PASSPHRASE)
    parties = opened.registers.parties
    rows = [
        rows.with_columns(party=parties.position(rows["merchant_id"]).astype(np.int32))
        for entry in opened.journal.of_kind("batch")
        for rows in batch_rows(opened, entry, tuple(Service))
    ]
    return Cleared(centre, lines, rows, opened.chart)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Cleared:
    return cleared(tmp_path_factory.mktemp("by_hand"), "\n".join(f"{text} -" for text in EXPECTED))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Cleared:
    """All hand-written cases of ladder and replay: every status, service and template."""
    text = "\n".join((CASES / f"{name}.table").read_text("utf-8") for name in ("ladder", "replay"))
    return cleared(tmp_path_factory.mktemp("everything"), text)


def shown(balances: Balances) -> dict[str, int]:
    return {
        f"{kind} {owner}" + (f" from {source}" if source else ""): fen
        for (_, kind, owner, source), fen in balances.items()
    }


@pytest.mark.parametrize("number", range(len(EXPECTED)), ids=lambda n: list(EXPECTED)[n])
def test_what_a_transaction_posts(by_hand: Cleared, number: int) -> None:
    found = post([by_hand.row(by_hand.lines[number])], by_hand.chart)
    assert shown(found) == list(EXPECTED.values())[number]


def test_every_row_sums_to_zero_with_and_without_memos(everything: Cleared) -> None:
    rows = 0
    for row in everything.each():
        balances = post([row], everything.chart)
        memo = sum(fen for (_, kind, _, _), fen in balances.items() if kind in MEMO_KINDS)
        assert (sum(balances.values()), memo) == (0, 0), shown(balances)
        rows += bool(balances)
    assert rows > 100


def test_rows_together_post_what_they_post_alone(everything: Cleared) -> None:
    together, alone = Balances(), Balances()
    for rows in everything.rows:
        together.update(post([rows], everything.chart))
    for row in everything.each():
        alone.update(post([row], everything.chart))
    assert {k: v for k, v in together.items() if v} == {k: v for k, v in alone.items() if v}


def test_a_reversal_posts_the_opposite(everything: Cleared) -> None:
    for rows in everything.rows:
        reversed_rows = rows.with_columns(sign=-rows["sign"])
        assert post([reversed_rows], everything.chart) == {k: -v for k, v in post([rows], everything.chart).items()}


@pytest.mark.parametrize("template", [each.name for each in PostingTemplate if each])
def test_no_template_is_idle(everything: Cleared, template: str) -> None:
    all_of_them = [post([rows], everything.chart) for rows in everything.rows]
    without = [post([rows], everything.chart, disabled=frozenset({template})) for rows in everything.rows]
    assert all_of_them != without


@pytest.mark.parametrize("template", [each for each in PostingTemplate if each], ids=lambda t: t.name)
def test_every_template_has_both_sides(template: PostingTemplate) -> None:
    assert {leg.credit for leg in LEGS if leg.template == template} == {True, False}


def test_a_cancelled_settlement_posts_all_its_legs_negated(tmp_path: Path) -> None:
    found = cleared(tmp_path, "medical -\nmedical cancel=1 -")
    settled, cancelled = (shown(post([found.row(line)], found.chart)) for line in found.lines)
    assert cancelled == {account: -fen for account, fen in settled.items()}
