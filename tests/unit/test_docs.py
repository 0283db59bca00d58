"""The documents say what the program does: SQL runs, words are explained, commands exist, links resolve."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from clearing import calendar
from clearing.cli import app
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.intake import Outcome
from clearing.mac import TacVerdict
from clearing.metrics import write_metrics
from clearing.posting import LEGS, Chart, PostingTemplate
from clearing.reconcile.checks import CHECKS
from clearing.settlement import close_window
from clearing.simulate import simulate_day
from clearing.status import ClearingStatus, Disposition, PriceVerdict

ROOT = Path(__file__).resolve().parents[2]
LEDGER, GLOSSARY, RUNBOOK, ARCHITECTURE, README = (
    (ROOT / name).read_text("utf-8")
    for name in ("docs/ledger.md", "docs/GLOSSARY.md", "docs/runbook.md", "docs/ARCHITECTURE.md", "README.md")
)
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SQL = re.findall(r"```sql\n(.*?)```", LEDGER, re.DOTALL)
EMPTY_WHEN_WELL = "-- empty when all is well"
DATE = datetime.date(2026, 3, 2)
PASSPHRASE = "documents"

ASK = """
import duckdb, json, sys
ledger = duckdb.connect("ledger.duckdb", read_only=True)
def rows(sql):
    return [[str(value) for value in row] for row in ledger.execute(sql).fetchall()]
relations = [name for (name,) in ledger.execute(
    "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"
).fetchall()]
columns = {name: [row[:2] for row in rows(f'DESCRIBE "{name}"')] for name in relations}
json.dump({"answers": [rows(sql) for sql in json.load(sys.stdin)], "columns": columns}, sys.stdout)
"""
"""What a person does by hand: a plain client, started in the centre's folder."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Answers to every question of ledger.md in a small simulated centre, and its relations."""
    centre = tmp_path_factory.mktemp("docs") / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    simulate_day(centre, date=DATE, transactions=5000, seed=2, faults="default", passphrase=PASSPHRASE)
    for date in (DATE, DATE + datetime.timedelta(days=1)):
        now = calendar.day_number(date + datetime.timedelta(days=1)) * 86400 + 5 * 3600
        summary = run_centre(centre, passphrase=PASSPHRASE, now=now)
        close_window(centre, date, passphrase=PASSPHRASE, now=now)
    metrics = write_metrics(centre, summary).read_text()
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=centre, input=json.dumps(SQL), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "metrics": re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE)}


@pytest.mark.parametrize("number", range(len(SQL)))
def test_every_question_of_the_ledger_is_answered(asked: dict[str, Any], number: int) -> None:
    answer = asked["answers"][number]
    if SQL[number].startswith(EMPTY_WHEN_WELL):
        assert answer == []
    else:
        assert answer


def test_there_are_ten_questions_and_two_checks() -> None:
    numbered = re.findall(r"^\*\*(\d+)\. ", LEDGER, re.MULTILINE)

    assert numbered == [str(number) for number in range(1, 11)]
    assert len(SQL) == 12
    assert sum(sql.startswith(EMPTY_WHEN_WELL) for sql in SQL) == 2


def test_the_trial_balance_of_the_document_ends_with_zero(asked: dict[str, Any]) -> None:
    [balance] = [answer for answer in asked["answers"] if answer and answer[-1][0] == "all accounts"]

    assert balance[-1][-1] == "0"
    assert sum(int(row[-1]) for row in balance[:-1]) == 0


def test_ledger_md_names_every_relation_and_column(asked: dict[str, Any]) -> None:
    words = set(re.findall(r"`([a-z0-9_]+)`", LEDGER))
    missing = {
        f"{relation}.{column}"
        for relation, columns in asked["columns"].items()
        for column, _ in columns
        if column not in words or relation not in words
    }

    assert missing == set()


def test_ledger_md_gives_columns_their_types(asked: dict[str, Any]) -> None:
    declared = dict(re.findall(r"^\| `([a-z0-9_]+)` \| ([A-Z]+) \|", LEDGER, re.MULTILINE))
    relations = ("journal", "files", "file_results", "postings", "transit", "medical", "benefit", "bills")
    actual = {column: dtype for name in relations for column, dtype in asked["columns"][name]}
    shared = declared.keys() & actual.keys()

    assert len(shared) > 100
    assert {column: actual[column] for column in shared} == {column: declared[column] for column in shared}


@pytest.mark.parametrize("status", ClearingStatus, ids=lambda status: status.name)
def test_every_status_is_in_the_glossary(status: ClearingStatus) -> None:
    assert re.search(rf"\| {int(status)} \| `{status.name}` \|", GLOSSARY)


def test_every_account_kind_and_template_is_explained() -> None:
    chart = Chart(1, frozenset({10}), {}, {})
    kinds = {chart.kind(leg.kind, participant) for leg in LEGS for participant in (10, 20)} | {"fee_income"}

    assert {kind for kind in kinds if f"| `{kind}` |" not in LEDGER} == set()
    assert {each.name for each in PostingTemplate if f"| {int(each)} | `{each.name}` |" not in LEDGER} == set()


def test_the_codes_of_ledger_md_are_those_of_the_program() -> None:
    codes = [f"{int(each)} {each.name}" for enum in (TacVerdict, PriceVerdict, Disposition) for each in enum]

    assert [code for code in codes if code not in LEDGER] == []


def test_the_runbook_explains_every_outcome_and_check() -> None:
    assert {outcome for outcome in Outcome if f"| `{outcome}` |" not in RUNBOOK} == set()
    assert {check for check in CHECKS if f"`{check}`" not in RUNBOOK} == set()


def test_the_glossary_has_every_metric(asked: dict[str, Any]) -> None:
    assert {name for name in asked["metrics"] if f"`{name}`" not in GLOSSARY} == set()


def test_the_readme_lists_the_commands_there_are() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    listed = re.findall(r"^\| `clearing ([a-z]+)[ `]", README, re.MULTILINE)

    assert set(listed) == set(commands)


def test_options_in_the_documents_exist() -> None:
    """Every option behind a `clearing` command in a code block or in backquotes is one of that command."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    wrong = []
    for document in DOCUMENTS:
        for line in re.findall(r"clearing ([a-z]+\b[^`\n]*)", document.read_text("utf-8")):
            name, *rest = line.split()
            if name not in commands:
                continue
            known = {option for parameter in commands[name].params for option in parameter.opts}
            options = [re.match(r"--[a-z-]+", word) for word in rest]
            wrong += [f"{document.name}: {name} {o[0]}" for o in options if o and o[0] not in known]

    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_resolves(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if re.match(r"[a-z]+://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


def anchors(document: Path) -> set[str]:
    """Names of a document's headings as links write them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_documents_name_files_that_exist() -> None:
    """Paths of the repository in backquotes: a module that moved must be renamed here too."""
    folders = ("clearing", "card_io", "tariffs", "tests", "scripts", "benchmarks", "docs")
    wrong = [
        f"{document.name}: {path}"
        for document in DOCUMENTS
        for path in re.findall(rf"`((?:{'|'.join(folders)})/[\w./-]+)`", document.read_text("utf-8"))
        if not (ROOT / path).exists()
    ]

    assert wrong == []


def test_the_checklist_has_sixty_lines_and_names_checks_and_tests_that_exist() -> None:
    text = (ROOT / "docs" / "checklist.md").read_text("utf-8")
    numbers = re.findall(r"^\| (\d+) \| ", text, re.MULTILINE)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    checks = re.findall(r"check `(\w+)`", text)
    wrong = [f"{path}::{name}" for path, name in tests if f"def {name}(" not in (ROOT / path).read_text("utf-8")]

    assert numbers == [str(number) for number in range(1, 61)]
    assert wrong == []
    assert set(checks) <= set(CHECKS)
    assert len(tests) > 60
    assert all("`" in line or "**missing**" in line for line in text.splitlines() if re.match(r"\| \d", line))
