"""Days of one centre with bank and office, engine against auditor. A month: CAMPAIGN_MONTH_DAYS, CAMPAIGN_MONTH_ROWS.

The days begin before the Spring Festival of 2026: a worked Saturday, then nine days without banks.
"""

from __future__ import annotations

import csv
import datetime
import io
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from auditor import AuditResult, audit_days, audit_deliveries
from auditor.living import read_happenings
from auditor.story import Cleared
from published import ask

from clearing.calendar import day_number
from clearing.export import export_centre
from clearing.verify import verify
from simulation.adapter import PASSPHRASE, found_in
from simulation.comparison import EngineResult, differences, report
from simulation.month import Month, begin

FIRST = datetime.date(2026, 2, 12)
DAYS = int(os.environ.get("CAMPAIGN_MONTH_DAYS", "4"))
ROWS = int(os.environ.get("CAMPAIGN_MONTH_ROWS", "500"))
SEED = int(os.environ.get("CAMPAIGN_MONTH_SEED", "26"))

pytestmark = pytest.mark.timeout(900 if DAYS <= 5 else 0)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    """The days lived through; every close has passed every check that blocks, or it would have refused."""
    month = begin(tmp_path_factory.mktemp("month"), first=FIRST, days=DAYS, rows=ROWS, seed=SEED)
    month.live()
    return month


@pytest.fixture(scope="module")
def happenings(month: Month) -> list[dict[str, Any]]:
    return read_happenings(month.truth)


@pytest.fixture(scope="module")
def cleared(month: Month) -> Cleared:
    return audit_deliveries(month.centre, month.deliveries, month.truth, day_number(FIRST) + DAYS - 1)


@pytest.fixture(scope="module")
def audited(cleared: Cleared, happenings: list[dict[str, Any]]) -> AuditResult:
    return audit_days(cleared, happenings)


@pytest.fixture(scope="module")
def engine(month: Month) -> EngineResult:
    return found_in(month.centre)


def test_engine_and_auditor_agree(engine: EngineResult, audited: AuditResult) -> None:
    """Every row, balance, fee, position, payment, bank line, dispute and open item."""
    lines = list(differences(engine, audited))
    assert not lines, report(lines, SEED, shown=40)


def test_the_days_are_not_quiet(month: Month, audited: AuditResult, happenings: list[dict[str, Any]]) -> None:
    """What the comparison claims to cover has happened: late files, refusals, returns, disputes, corrections."""
    events = Counter(event for (event,) in ask(month.centre, "SELECT event FROM payment_events"))
    assert {"proposed", "approved", "ordered", "accepted", "rejected", "settled", "returned"} <= events.keys()
    assert {"pay", "collect"} <= {payment[0] for payment in audited.payments.values()}
    assert audited.disputes
    assert sum(len(one["corrections"]) for one in happenings if one["what"] == "adjust") > 5
    paid_on = {
        datetime.datetime.fromtimestamp(one["at"], datetime.UTC).date()
        for one in happenings
        if one["what"] == "approve"
    }
    assert datetime.date(2026, 2, 14) in paid_on, "a Saturday that is worked"
    assert not paid_on & {datetime.date(2026, 2, day) for day in range(15, 24)}, "nobody pays in the Spring Festival"
    late = ask(
        month.centre, "SELECT COUNT(*) FROM files WHERE outcome = 'received' AND received_window > file_date + 1"
    )
    assert late[0][0]


def test_the_reserve_proof_holds_every_day(month: Month) -> None:
    assert len(month.reserve) == DAYS
    assert all(owed == held for owed, held in month.reserve.values()), month.reserve


def test_a_fund_share_is_never_paid_out_of_the_reserve(month: Month) -> None:
    """Neither proposed so, nor booked so by the bank."""
    shares = ask(month.centre, "SELECT payment, from_source FROM payments WHERE source <> 0 AND direction = 'pay'")
    assert not [payment for payment, from_source in shares if from_source == 0]
    booked = ask(
        month.centre, "SELECT payment FROM bank_lines WHERE source = 0 AND direction = 'debit' AND payment <> ''"
    )
    assert booked
    assert not [payment for (payment,) in booked if payment.split("-")[2] != "0"]


@pytest.mark.skipif(DAYS <= 5, reason="evidence tests verify short days")
def test_verify_finds_nothing(month: Month) -> None:
    assert verify(month.centre, PASSPHRASE) == []


def test_hledger_and_ledger_find_the_auditors_trial_balance(
    month: Month, audited: AuditResult, tmp_path: Path
) -> None:
    """To the fen, account by account."""
    for program in ("hledger", "ledger"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install {program}")
    expected: Counter[str] = Counter()
    for (_, kind, participant, source), fen in audited.closed_balances.items():
        money = "Reserve" if source == 0 else f"Fund-{source}"
        expected[f"{kind.capitalize().replace('_', '-')}:{participant}:{money}"] -= fen
    expected = Counter({account: fen for account, fen in expected.items() if fen})
    journal = tmp_path / "month.journal"
    with journal.open("w", encoding="utf-8", newline="") as file:
        export_centre(month.centre, "hledger", file, passphrase=PASSPHRASE)
    told = _say("hledger", "-f", journal, "balance", "--flat", "--no-total", "-O", "csv")
    assert {
        row["account"].partition(":")[2]: _fen(row["balance"].removesuffix(" CNY"))
        for row in csv.DictReader(io.StringIO(told))
    } == expected
    lines = re.findall(
        r"^\s*(-?[\d.]+) CNY  (\S+)$", _say("ledger", "-f", journal, "balance", "--flat", "--no-total"), re.MULTILINE
    )
    assert {account.partition(":")[2]: _fen(amount) for amount, account in lines} == expected


def _say(program: str, *arguments: object) -> str:
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _fen(text: str) -> int:
    assert re.fullmatch(r"-?\d+\.\d\d", text), text
    return int(text.replace(".", ""))


def _without(happenings: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    """The days with one thing left out of what the auditor is told."""
    left_out = {
        "answer": lambda one: one["what"] == "bank" and "rejected" in str(one["answers"]),
        "statement": lambda one: one["what"] == "bank" and one["statements"] and not one["notice"],
        "notice": lambda one: one["what"] == "bank" and one["notice"],
        "dispute": lambda one: one["what"] == "dispute",
        "withdrawal or approval": lambda one: one["what"] == "approve",
    }
    if what in left_out:
        gone = next(one for one in happenings if left_out[what](one))
        return [one for one in happenings if one is not gone]
    changed = []
    for one in happenings:
        if one["what"] == "adjust":
            one = one | {"corrections": [each for each in one["corrections"] if each["template"] != what]}
        changed.append(one)
    return changed


@pytest.mark.skipif(DAYS > 5, reason="the short days show it")
@pytest.mark.parametrize(
    "what", ["answer", "statement", "notice", "dispute", "withdrawal or approval", "REFUND", "REVERSE", "TRANSFER"]
)
def test_what_is_left_out_is_seen(
    cleared: Cleared, engine: EngineResult, happenings: list[dict[str, Any]], what: str
) -> None:
    """An engine that had missed it would differ from the auditor in the same way."""
    fewer = _without(happenings, what)
    assert fewer != happenings
    assert list(differences(engine, audit_days(cleared, fewer)))
