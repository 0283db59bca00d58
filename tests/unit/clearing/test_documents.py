"""Workbooks, typeset documents, tables and signatures say what the ledger says; equal ledgers give equal bytes."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from card_io.keys.errors import SignatureError
from clearing.centre import Centre
from clearing.cli import app
from clearing.reconcile.checks import CHECKS
from clearing.report import write_reports
from clearing.report.capitals import capitals
from clearing.report.sheets import EXACT, Column, Sheet, workbook
from clearing.report.text import yuan
from clearing.report.typeset import Document, Section, pdf
from clearing.report.write import TABLES
from clearing.store import Store

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed (extra dev)")


@pytest.mark.parametrize(
    ("fen", "written"),
    [
        (0, "人民币零元整"),
        (5, "人民币伍分"),
        (50, "人民币伍角整"),
        (168_032, "人民币壹仟陆佰捌拾元叁角贰分"),
        (10_700_053, "人民币壹拾万柒仟元伍角叁分"),
        (1_640_902, "人民币壹万陆仟肆佰零玖元零贰分"),
        (325_04, "人民币叁佰贰拾伍元零肆分"),
        (60_070_14, "人民币陆万零柒拾元壹角肆分"),
        (1_000_500, "人民币壹万零伍元整"),
        (100_001_000_00, "人民币壹亿零壹仟元整"),
        (100_010_000_00, "人民币壹亿零壹万元整"),
        (-100, "人民币负壹元整"),
    ],
)
def test_capitals_are_written_as_the_rules_show(fen: int, written: str) -> None:
    assert capitals(fen) == written


def read_capitals(text: str) -> int:
    """Fen of an amount in capitals, by another way than it is written."""
    digits, places = "零壹贰叁肆伍陆柒捌玖", {"拾": 10, "佰": 100, "仟": 1000}
    sign = -1 if "负" in text else 1
    total = section = digit = fen = 0
    for letter in text.removeprefix("人民币").removeprefix("负"):
        if letter in digits:
            digit = digits.index(letter)
        elif letter in places:
            section, digit = section + digit * places[letter], 0
        elif letter == "万":
            total, section, digit = total + (section + digit) * 10_000, 0, 0
        elif letter == "亿":
            total, section, digit = (total + section + digit) * 100_000_000, 0, 0
        elif letter == "元":
            total, section, digit = total + section + digit, 0, 0
        elif letter in "角分":
            fen, digit = fen + digit * (10 if letter == "角" else 1), 0
    return sign * (total * 100 + fen)


@given(st.integers(-(10**14), 10**14))
def test_capitals_read_back(fen: int) -> None:
    assert read_capitals(capitals(fen)) == fen
    assert "零零" not in capitals(fen)


def cells(content: bytes) -> dict[str, list[list[object]]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return {page.title: [[cell.value for cell in row] for row in page.iter_rows()] for page in book}


def test_fen_beyond_a_double_stay_exact_as_text() -> None:
    rows = [{"fen": EXACT}, {"fen": EXACT + 1}, {"fen": None}, {"fen": -5}]
    [page] = cells(workbook([Sheet("s", [Column("fen", "Amount", fen=True)], rows)], title="t")).values()

    assert page[0] == ["Amount (fen)", "Amount"]
    assert page[1] == [EXACT, "=A2/100"]
    assert page[2] == [str(EXACT + 1), f"{(EXACT + 1) // 100}.{(EXACT + 1) % 100:02d}"]
    assert page[3:] == [[None, None], [-5, "=A5/100"]]


def test_text_of_others_is_no_formula_and_carries_no_card_number() -> None:
    rows = [{"name": "=HYPERLINK(1)"}, {"name": "card 3104770000000001234"}]
    [page] = cells(workbook([Sheet("s", [Column("name", "Name")], rows)], title="t")).values()

    assert page[1:] == [["=HYPERLINK(1)"], ["card …1234"]]
    book = openpyxl.load_workbook(io.BytesIO(workbook([Sheet("s", [Column("name", "Name")], rows)], title="t")))
    assert book["s"]["A2"].data_type == "s" or book["s"]["A2"].value == "=HYPERLINK(1)"


@pytest.fixture(scope="module")
def written(city: Path, city_day: datetime.date, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A copy of the city with every format of its first day."""
    centre = Path(shutil.copytree(city, tmp_path_factory.mktemp("documents") / "centre"))
    return centre, write_reports(centre, city_day, formats=("xlsx", "pdf", "csv", "parquet"))


def test_the_workbook_says_what_the_ledger_says(written: tuple[Path, list[Path]], city_day: datetime.date) -> None:
    centre, paths = written
    pages = cells(next(path for path in paths if path.name == "reconciliation.en.xlsx").read_bytes())
    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        positions = store.run(
            'SELECT participant, fen FROM positions WHERE "window" = $day ORDER BY participant, source',
            {"day": city_day},
        )

    assert [row[0] for row in pages["Checks"][1:]] == list(CHECKS)
    assert [(row[0], row[3]) for row in pages["Positions"][1:]] == positions
    ages = [row[6] for row in pages["Open items by age"][1:]]
    assert len(ages) > 20
    assert ages == sorted(ages, reverse=True)
    assert {row[0] for row in pages["Findings"][1:]} >= {"card_counter_gaps", "stored_value_covered"}


def test_the_same_ledger_gives_the_same_documents(written: tuple[Path, list[Path]], city_day: datetime.date) -> None:
    centre, paths = written
    before = {path: path.read_bytes() for path in paths if path.suffix != ".pdf" or "reserve" in path.name}
    write_reports(centre, city_day, formats=("xlsx", "csv", "parquet"))

    assert {path: path.read_bytes() for path in before} == before
    document = Document("zh", "题", "心", "", [], [Section("表", ["a"], [["1"]])], ["签"], "脚")
    assert pdf(document) == pdf(document)


def text_of(path: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: apt-get install poppler-utils")
    return subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True).stdout


def test_typeset_documents_carry_the_ledgers_figures(
    written: tuple[Path, list[Path]], city_day: datetime.date
) -> None:
    centre, paths = written
    by_name = {path.name: path for path in paths}
    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        [terms] = store.records("SELECT * FROM reserve_terms")
        [(fee,)] = store.run(
            'SELECT SUM(fen)::BIGINT FROM fees WHERE merchant = 201 AND "window" = $day', {"day": city_day}
        )
        [(claim,)] = store.run(
            'SELECT SUM(fen)::BIGINT FROM claims WHERE fund = 901 AND "window" = $day', {"day": city_day}
        )
    proof = text_of(by_name["reserve-proof.zh.pdf"])

    assert all(yuan(value) in proof for value in terms.values())
    assert capitals(terms["owed"]) in proof.replace("\n", "")
    assert yuan(fee) in text_of(by_name["fee-invoice.201.en.pdf"])
    assert yuan(claim) in text_of(by_name["fund-claim.901.zh.pdf"])
    assert capitals(claim) in text_of(by_name["fund-claim.901.zh.pdf"])
    month = text_of(by_name["month.en.pdf"])
    assert re.search(r"Σ\s.*\b0\.00$", month, re.MULTILINE)
    assert "-" in month


def test_chinese_glyphs_are_embedded(written: tuple[Path, list[Path]]) -> None:
    if shutil.which("pdffonts") is None:
        pytest.skip("pdffonts is not installed: apt-get install poppler-utils")
    _, paths = written
    path = next(path for path in paths if path.name == "reserve-proof.zh.pdf")
    fonts = subprocess.run(["pdffonts", str(path)], capture_output=True, text=True, check=True).stdout

    if "NotoSansCJK" not in fonts.replace("-", "").replace(" ", ""):
        pytest.skip("no CJK font on this machine: apt-get install fonts-noto-cjk")
    assert all(line.split()[-5] == "yes" for line in fonts.splitlines()[2:])


def test_tables_hold_codes_and_fen(written: tuple[Path, list[Path]], city_day: datetime.date) -> None:
    centre, _ = written
    folder = centre / "reports" / str(city_day)
    for name in TABLES:
        text = (folder / f"{name}.csv").read_text("utf-8")
        rows = list(csv.DictReader(io.StringIO(text)))
        table = pq.read_table(folder / f"{name}.parquet")
        assert len(rows) == table.num_rows
        if "fen" in table.column_names:
            assert sum(int(row["fen"]) for row in rows) == sum(table["fen"].to_pylist())


def test_each_document_has_the_centres_signature(
    city: Path, city_day: datetime.date, city_passphrase: str, tmp_path: Path
) -> None:
    centre = Path(shutil.copytree(city, tmp_path / "centre"))
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(city_passphrase)
    options = ["--format", "csv", "--sign", "--passphrase-file", str(passphrase), "--json"]
    answer = CliRunner().invoke(app, ["report", str(centre), "--date", str(city_day), *options])
    paths = [Path(path) for path in json.loads(answer.stdout)["reports"]]
    key = Centre.open(centre, city_passphrase, audit=True).signing.verify_key
    documents = [path for path in paths if path.suffix == ".csv"]

    assert len(documents) == len(TABLES)
    assert [f"{path}.ed25519" for path in documents] == [str(path) for path in paths[len(documents) :]]
    for path in documents:
        signature = path.with_name(path.name + ".ed25519").read_bytes()
        key.verify(signature, path.read_bytes())
        with pytest.raises(SignatureError):
            key.verify(signature, path.read_bytes() + b"1")


def test_an_unknown_format_is_a_usage_error(city: Path, city_day: datetime.date) -> None:
    answer = CliRunner().invoke(app, ["report", str(city), "--date", str(city_day), "--format", "html,doc"])

    assert answer.exit_code == 2
