"""What leaves for other systems is the ledger to the fen, says nothing of single people, and other programs agree."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from clearing.export import FORMATS, Format, export_centre
from clearing.export.journals import account_name
from clearing.export.open_data import SMALLEST_CELL
from clearing.payments.money_text import yuan_of
from clearing.store import Store, sql_text


@pytest.fixture(scope="module")
def exported(city: Path, city_passphrase: str, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """One file per format."""
    folder = tmp_path_factory.mktemp("exports")
    for form in FORMATS:
        with (folder / form).open("w", encoding="utf-8", newline="") as file:
            export_centre(city, form, file, passphrase=city_passphrase)
    return {form: folder / form for form in FORMATS}


@pytest.fixture(scope="module")
def trial_balance(city: Path) -> dict[str, int]:
    """The ledger's own trial balance by the exported name of the account, debits positive."""
    with Store(city / "ledger.duckdb", city, read_only=True) as store:
        rows = store.run(
            "SELECT class, t.kind, participant, source, -fen FROM trial_balance t JOIN account_kinds k USING (kind)"
        )
    return {account_name(*row[:4]): row[4] for row in rows}


def fen(text: str) -> int:
    assert re.fullmatch(r"-?\d+\.\d\d", text), text
    return int(text.replace(".", ""))


def said_by(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install {program}")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


def test_hledger_finds_the_ledgers_trial_balance(exported: dict[Format, Path], trial_balance: dict[str, int]) -> None:
    said_by("hledger", "-f", str(exported["hledger"]), "check")
    answer = said_by("hledger", "-f", str(exported["hledger"]), "balance", "--flat", "--no-total", "-O", "csv")
    balances = {
        row["account"]: fen(row["balance"].removesuffix(" CNY")) for row in csv.DictReader(io.StringIO(answer))
    }

    assert len(balances) > 40
    assert balances == trial_balance


def test_ledger_finds_the_ledgers_trial_balance(exported: dict[Format, Path], trial_balance: dict[str, int]) -> None:
    answer = said_by("ledger", "-f", str(exported["hledger"]), "balance", "--flat", "--no-total")
    lines = re.findall(r"^\s*(-?[\d.]+) CNY  (\S+)$", answer, re.MULTILINE)

    assert {account: fen(amount) for amount, account in lines} == trial_balance


def test_beancount_takes_the_journal_and_finds_the_trial_balance(
    exported: dict[Format, Path], trial_balance: dict[str, int]
) -> None:
    loader = pytest.importorskip("beancount.loader", reason="beancount is not installed (extra dev)")
    realization = pytest.importorskip("beancount.core.realization")
    entries, errors, _ = loader.load_file(str(exported["beancount"]))
    balances = {
        account.account.removeprefix("Equity:") if ":Memo:" in account.account else account.account: sum(
            int(position.units.number * 100) for position in account.balance
        )
        for account in realization.iter_children(realization.realize(entries), leaf_only=True)
    }

    assert errors == []
    assert {account: amount for account, amount in balances.items() if amount} == trial_balance


def test_an_unbalanced_journal_is_refused(exported: dict[Format, Path], tmp_path: Path) -> None:
    """The witnesses can say no: one fen more on one leg."""
    text = exported["hledger"].read_text("utf-8")
    leg = re.search(r"^    \S+  (-?\d+\.\d\d) CNY$", text, re.MULTILINE)
    assert leg is not None
    spoiled = tmp_path / "spoiled.journal"
    spoiled.write_text(text[: leg.start(1)] + yuan_of(fen(leg[1]) + 1) + text[leg.end(1) :], "utf-8")
    for program, arguments in (("hledger", ["check"]), ("ledger", ["balance"])):
        with pytest.raises(subprocess.CalledProcessError):
            said_by(program, "-f", str(spoiled), *arguments)


def test_memo_accounts_stand_in_transactions_of_their_own(exported: dict[Format, Path]) -> None:
    blocks = exported["hledger"].read_text("utf-8").split("\n\n")[1:]
    mixed = [
        b for b in blocks if re.search(r"^\d{4}-", b) and "  Memo:" in b and re.search(r"^    (?!Memo)", b, re.M)
    ]

    assert any("(memo)" in block.splitlines()[0] for block in blocks)
    assert mixed == []


def test_tides_amounts_are_the_cleared_net_of_transit(city: Path, exported: dict[Format, Path]) -> None:
    rows = list(csv.DictReader(exported["tides"].open(encoding="utf-8", newline="")))
    with Store(city / "ledger.duckdb", city, read_only=True) as store:
        [(cleared, journeys)] = store.run(
            "SELECT SUM(sign * amount)::BIGINT, SUM(sign)::BIGINT FROM transit WHERE disposition = 1"
        )

    assert sum(fen(row["amount"]) for row in rows) == cleared
    assert len(rows) == journeys > 500


def test_tokens_name_cards_without_telling_them(
    city: Path, exported: dict[Format, Path], city_passphrase: str
) -> None:
    with Store(city / "ledger.duckdb", city, read_only=True) as store:
        cards = Counter(
            n for (n,) in store.run("SELECT SUM(sign) FROM transit WHERE disposition = 1 GROUP BY card_id")
        )
        ids = {str(card) for (card,) in store.run("SELECT DISTINCT card_id FROM transit")}
    text = exported["tides"].read_text("utf-8")
    tokens = Counter(row["token_id"] for row in csv.DictReader(io.StringIO(text)))

    assert Counter(tokens.values()) == Counter({int(n): cards[n] for n in cards if n})
    assert not ids & set(re.findall(r"\d+", text))


def test_capped_fares_are_told_by_the_rule_that_decided() -> None:
    from clearing.export.tides import _capped

    class Book:
        ids = ("a.tariff",)

        def compiled(self, tariff: str, segment: int) -> Book:
            assert (tariff, segment) == ("a.tariff", 3)
            return self

        rule_names = ("not covered", "flat", "cap.daily")

    assert [_capped(Book(), 1, 3, rule) for rule in range(3)] == [False, False, True]  # type: ignore[arg-type]
    assert _capped(Book(), 0, 3, 2) is False  # type: ignore[arg-type]


def test_accounting_data_ties_voucher_to_balance_to_ledger(
    exported: dict[Format, Path], trial_balance: dict[str, int]
) -> None:
    text = exported["gbt24589"].read_text("utf-8")
    assert "元素名称未经官方模式验证" in text
    assert "element names are unproven" in text
    root = ET.fromstring(text)
    assert {part.tag for part in root} == {"电子账簿", "会计科目", "科目余额及发生额", "记账凭证"}
    vouchers: Counter[str | None] = Counter()
    classes = {e.findtext("科目编号"): e.findtext("科目类型") for e in root.iter("会计科目")}
    moved: Counter[tuple[str | None, ...]] = Counter()
    for line in root.iter("记账凭证"):
        key = tuple(line.findtext(name) for name in ("科目编号", "辅助项1编号", "辅助项2编号"))
        debit, credit = (fen(line.findtext(name) or "") for name in ("借方本币金额", "贷方本币金额"))
        moved[key] += debit - credit
        vouchers[line.findtext("记账凭证编号")] += debit - credit
    assert len(vouchers) > 1
    assert set(vouchers.values()) == {0}
    closing: dict[tuple[str | None, ...], int] = {}
    for each in root.iter("科目余额及发生额"):
        key = tuple(each.findtext(name) for name in ("科目编号", "辅助项1编号", "辅助项2编号"))
        sign = {"借": 1, "贷": -1, "平": 0}[each.findtext("期末余额方向") or ""]
        closing[key] = sign * fen(each.findtext("期末本币余额") or "")

    assert {key: value for key, value in closing.items() if value} == {k: v for k, v in moved.items() if v}
    assert sorted(v for v in closing.values() if v) == sorted(trial_balance.values())
    assert classes.keys() >= {key[0] for key in closing}


def test_months_carry_their_balances_forward(tmp_path: Path) -> None:
    with Store(tmp_path / "small.duckdb", tmp_path) as store:
        store.script("schema")
        store.run("INSERT INTO account_kinds VALUES ('stored_value', 'liability', false, '', '')")
        store.run(
            """INSERT INTO postings VALUES (1, '2026-01-31', 'stored_value', 10, 0, 500),
               (2, '2026-02-01', 'stored_value', 10, 0, -200), (3, '2026-02-28', 'stored_value', 11, 0, 7),
               (4, '2026-03-01', 'stored_value', 11, 0, 1)"""
        )
        rows = [(str(row[0])[:7], *row[3:]) for row in store.run(sql_text("export/months")) if row[3] in (10, 11)]

    assert rows == [
        ("2026-01", 10, 0, 0, 0, 500, 500),
        ("2026-02", 10, 0, 500, 200, 0, 300),
        ("2026-02", 11, 0, 0, 0, 7, 7),
        ("2026-03", 10, 0, 300, 0, 0, 300),
        ("2026-03", 11, 0, 7, 0, 1, 8),
    ]


def test_open_data_hides_small_and_dominated_cells(city: Path, exported: dict[Format, Path]) -> None:
    published = {
        (row["operating_day"], row["service"], int(row["participant"]), int(row["hour"]))
        for row in csv.DictReader(exported["open-data"].open(encoding="utf-8", newline=""))
    }
    with Store(city / "ledger.duckdb", city, read_only=True) as store:
        rows = store.run(
            """SELECT operating_day, service, merchant_id, date_part('hour', txn_time)::INTEGER, card_id, amount
               FROM decisions WHERE disposition = 1 AND service IN ('transit', 'retail', 'load')"""
        )
    cells: dict[tuple[str, str, int, int], Counter[int]] = {}
    for day, service, merchant, hour, card, amount in rows:
        cells.setdefault((str(day), service, merchant, hour), Counter())[card] += amount
    large = {
        cell
        for cell, cards in cells.items()
        if len(cards) >= SMALLEST_CELL and 2 * max(cards.values()) <= sum(cards.values())
    }

    assert published == large
    assert 0 < len(large) < len(cells)
