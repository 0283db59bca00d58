"""The `tariff` command: exit codes, JSON, both languages, refusals on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tariffs
from tariffs.cli import app, signed_yuan, yuan

LIBRARY = Path(tariffs.__file__).parent / "library"
BUS = str(LIBRARY / "demo.bus.yaml")
DONE, FINDINGS, USAGE = 0, 1, 2


@pytest.fixture
def broken(tmp_path: Path) -> str:
    file = tmp_path / "broken.yaml"
    file.write_text((LIBRARY / "demo.bus.yaml").read_text("utf-8").replace("floor: 0", "flor: 0"), encoding="utf-8")
    return str(file)


@pytest.fixture
def rides(tmp_path: Path) -> str:
    file = tmp_path / "rides.csv"
    file.write_text("date,card_class,transfer\n2026-03-02,adult,1\n2026-03-02,student,0\n", encoding="utf-8")
    return str(file)


def answer(*words: str, code: int = DONE) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    return result.output


def test_check_says_good_or_what_to_mend(broken: str) -> None:
    assert "demo.bus (transit)" in answer("check", BUS)
    assert "note: transfer does not name these card classes" in answer("check", BUS)
    told = answer("check", BUS, broken, code=FINDINGS)
    assert "steps[2].transfer.floor" in told
    assert "this key is missing" in told
    assert "缺少这个键" in answer("check", broken, "--lang", "zh", code=FINDINGS)
    document = json.loads(answer("check", BUS, broken, "--json", code=FINDINGS))
    assert document["files"][0]["error"] is None
    assert set(document["files"][1]["error"]) == {"file", "path", "value", "remedy"}


def test_test_shows_expected_and_actual(tmp_path: Path, broken: str) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        (LIBRARY / "demo.bus.yaml").read_text("utf-8").replace("minus: 40", "minus: 50"), encoding="utf-8"
    )
    assert "30" in answer("test", BUS)
    told = answer("test", BUS, str(wrong), broken, code=FINDINGS)
    assert "160" in told
    assert "150" in told
    failures = json.loads(answer("test", str(wrong), "--json", code=FINDINGS))["files"][0]["failures"]
    assert {key: failures[0][key] for key in ("row", "column", "expected", "actual", "rule")} == {
        "row": 1,
        "column": "card_pays",
        "expected": 160,
        "actual": 150,
        "rule": "transfer",
    }


def test_price_counts_rows_and_money(tmp_path: Path, rides: str) -> None:
    out = str(tmp_path / "out.parquet")
    document = json.loads(answer("price", BUS, "--in", rides, "--out", out, "--json"))
    assert document["rows"] == document["priced"] == 2
    assert document["totals_fen"] == {"gross": 400, "card_pays": 260, "fund_pays": 50, "operator_bears": 90}
    Path(rides).write_text("date,card_class,transfer\n1999-01-01,adult,0\n", encoding="utf-8")
    assert "1 × 日期不在公布的范围内" in answer(
        "price", BUS, "--in", rides, "--out", out, "--lang", "zh", code=FINDINGS
    )


def test_explain_as_text_and_json() -> None:
    event = ("--event", "card_class=student", "--date", "2026-03-02")
    told = answer("explain", BUS, *event, "--lang", "zh")
    assert "资金方付" in told
    steps = json.loads(answer("explain", BUS, *event, "--json"))["steps"]
    assert [step["step"] for step in steps] == ["flat", "concession", "transfer", "split"]
    assert steps[-1]["after"]["fund_pays"] == 50
    metro = str(LIBRARY / "demo.metro.yaml")
    answer("explain", metro, "--event", "entry_station=1", "--event", "exit_station=2", *event[2:], code=FINDINGS)


def test_explain_keeps_columns_of_the_history(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text(
        "mine,card,card_class,mode,line,entry_time\nx,M-1,adult,1,1,2023-09-06T08:00\n", encoding="utf-8"
    )
    words = ("explain", str(LIBRARY / "newyork.omny.yaml"), "--history", str(history), "--keep", "mine")
    event = ("--event", "mode=1", "--event", "line=2", "--event", "entry_time=2023-09-06T09:00:00")
    told = answer(*words, *event)
    assert "transfer_window.free_transfer" in told
    assert "not given, taken as: card_class=adult" in told
    refused = CliRunner().invoke(app, [*words[:-2], *event])
    assert "--keep" in str(refused.exception)


def test_diff_draws_and_writes(tmp_path: Path, rides: str) -> None:
    new = tmp_path / "new.yaml"
    new.write_text((LIBRARY / "demo.bus.yaml").read_text("utf-8").replace("minus: 40", "minus: 50"), encoding="utf-8")
    chart, summary, out = (str(tmp_path / name) for name in ("moved.svg", "summary.csv", "rows.csv"))
    words = ("diff", BUS, str(new), "--on", rides, "--chart", chart, "--summary", summary, "--out", out)
    told = answer(*words, code=FINDINGS)
    assert "-0.10" in told
    assert "█" in told
    assert Path(chart).read_text("utf-8").startswith("<svg")
    assert Path(summary).read_text("utf-8").count("\n") == 4
    assert Path(out).read_text("utf-8").count("\n") == 2
    document = json.loads(answer(*words, "--json", code=FINDINGS))
    assert document["moved"] == {"card_pays": -10, "fund_pays": 0, "operator_bears": 10}
    assert [each["value"] for each in document["groups"]] == ["adult", "student"]
    answer("diff", BUS, BUS, "--on", rides)


def test_edges_as_table_tests_and_json(tmp_path: Path) -> None:
    file = str(LIBRARY / "demo.parking.yaml")
    assert "900" in answer("edges", file)
    assert "rows:" in answer("edges", file, "--as-tests")
    points = json.loads(answer("edges", file, "--json"))["edges"][0]["points"]
    assert [(point["value"], point["amounts"]["gross"]) for point in points] == [("899", 0), ("900", 0), ("901", 250)]
    answer("edges", file, "--out", str(tmp_path / "edges.csv"))
    assert (
        (tmp_path / "edges.csv").read_text("utf-8").startswith('"column","value","gross","card_pays","rule","with"')
    )


def test_steps_and_schema_are_the_vocabulary(tmp_path: Path) -> None:
    assert set(json.loads(answer("steps", "--json"))) == {"transit", "medical", "utility"}
    assert "阶梯" in answer("steps", "--lang", "zh")
    parameters = {
        each["path"]: each["needed"] for each in json.loads(answer("steps", "bands", "--json"))["parameters"]
    }
    assert parameters["of"] is True
    assert parameters["beyond.per_started"] is True
    assert parameters["beyond"] is False
    assert len([path for path in parameters if path == "bands[].up_to"]) == 1
    ways = {each["path"]: each["ways"] for each in json.loads(answer("steps", "bands", "--json"))["parameters"]}
    assert [ways[f"bands[].{name}"] for name in ("up_to", "fare", "fares", "add")] == [[], [1], [2], [3]]
    told = answer("steps", "bands")
    assert "× way 2" in told
    assert "{use: name}" in told
    assert "写法 3" in answer("steps", "bands", "--lang", "zh")
    assert "timeframe" in answer("steps", "when")
    assert "externally_settled" in answer("steps", "file")
    answer("steps", "magic", code=USAGE)
    answer("schema", "--out", str(tmp_path / "schema.json"))
    assert json.loads((tmp_path / "schema.json").read_text("utf-8")) == json.loads(answer("schema"))


def test_a_command_that_cannot_start_exits_2(broken: str, rides: str) -> None:
    """In a process of its own: refusals go to stderr, in the language asked for."""
    command = [sys.executable, "-c", "from tariffs.cli import main; main()"]
    words = ["price", broken, "--in", rides, "--out", "out.csv", "--lang", "zh"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert done.stdout == ""
    assert "不予接受" in done.stderr
    assert "改法" in done.stderr
    words = ["explain", BUS, "--event", "mode=bus"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert done.stderr.startswith(
        "refused\n  at: --event mode\n  value: 'bus'\n  remedy: write a number: codes of mode"
    )
    answer("check", BUS, "--lang", "fr", code=USAGE)


def test_money_is_written_with_two_decimals() -> None:
    assert [yuan(fen) for fen in (0, 5, -5, 123_456)] == ["0.00", "0.05", "-0.05", "1,234.56"]
    assert [signed_yuan(fen) for fen in (5, 0, -105)] == ["+0.05", "0.00", "-1.05"]
