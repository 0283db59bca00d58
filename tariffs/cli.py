"""``tariff``: what an analyst does with rule files, without Python.

Every command takes ``--lang zh|en`` (or TARIFF_LANG) and ``--json`` (one document on stdout), and exits 0 done,
1 findings (a refused file, a failed test, rows without a price, a difference), 2 usage.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from tariffs.analyst.charts import moved_svg, moved_text
from tariffs.analyst.check import check_file, run_file_tests
from tariffs.analyst.diff import Difference, change_columns, diff, difference_columns, first_moved
from tariffs.analyst.edge_tests import inline_tests
from tariffs.analyst.edges import Edge, edge_columns, edge_document, edges_of, event_text, point_value, run_time
from tariffs.analyst.explain import explain, read_event
from tariffs.analyst.json_schema import json_schema
from tariffs.analyst.messages import Language, Messages
from tariffs.analyst.price import REASONS, answer_columns, price_file, reasons_of
from tariffs.analyst.row_files import read_rows, write_table
from tariffs.analyst.runs import Run, run_document, runs_of
from tariffs.analyst.services import SERVICES, is_money, sums
from tariffs.analyst.steps import FILE, meaning_of, parameters_of, step_model, steps_of
from tariffs.errors import TariffError
from tariffs.tariff import Tariff, load_tariff
from tariffs.trace import StepTaken
from tariffs.vocabulary import STEPS_OF_KIND

app = typer.Typer(
    help="Tariff files (票价/待遇/价目规则文件): check, test, price, explain, compare.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
WIDTH = 110
stdout = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
stderr = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH, highlight=False, markup=False)

File = Annotated[Path, typer.Argument(metavar="FILE", help="tariff file (YAML)")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="tariff files (YAML)")]
Lang = Annotated[str, typer.Option("--lang", envvar="TARIFF_LANG", help="zh or en")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Day = Annotated[
    datetime.datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="day of every row, for rows without dates"),
]
Keep = Annotated[list[str], typer.Option("--keep", help="column that only travels along (may be repeated)")]


def main() -> NoReturn:
    """Entry point: a refusal that stops a command becomes one clear message and exit code 2."""
    try:
        app(standalone_mode=True)
    except TariffError as error:
        # Options are parsed by then, but not here: the language of the refusal is read once more.
        words = sys.argv[1:]
        given = words[words.index("--lang") + 1] if "--lang" in words[:-1] else "en"
        _show_error(Messages("zh" if given == "zh" else "en"), error)
        sys.exit(2)
    sys.exit(0)


@app.command()
def check(files: Files, lang: Lang = "en", as_json: AsJson = False) -> None:
    """Load files, compile every dated segment and read the examples; exit 1 when one is refused."""
    messages = _messages(lang)
    checked = [check_file(file) for file in files]
    document = [
        {"file": str(each.file), "error": messages.error(each.error)}
        if each.error is not None
        else {
            "file": str(each.file),
            "error": None,
            "load_ms": each.load_ms,
            "left_out": [vars(note) for note in each.left_out],
        }
        for each in checked
    ]

    def text() -> None:
        for each in checked:
            if each.tariff is None:
                _show_error(messages, cast(TariffError, each.error), stdout)
                continue
            tariff = each.tariff
            facts = {"file": each.file, "id": tariff.id, "kind": tariff.kind, "ms": each.load_ms}
            facts |= {"first": tariff.first_day, "last": tariff.last_day}
            facts |= {"segments": len(tariff.segments), "tests": len(tariff.tests)}
            stdout.print(messages("check_passed", **facts), soft_wrap=True)
            for note in each.left_out:
                stdout.print(messages("left_out", step=note.step, classes=", ".join(note.classes)), soft_wrap=True)

    _print({"files": document}, as_json, text)
    raise typer.Exit(1 if any(each.error for each in checked) else 0)


@app.command(name="test")
def run_tests(files: Files, lang: Lang = "en", as_json: AsJson = False) -> None:
    """Run the inline tests of files; exit 1 when an answer differs or a file is refused."""
    messages = _messages(lang)
    tested = [run_file_tests(file) for file in files]
    document = [
        {
            "file": str(each.file),
            "tests": each.tests,
            "answers": each.answers,
            "failures": [vars(failure) for failure in each.failures],
            "error": None if each.error is None else messages.error(each.error),
        }
        for each in tested
    ]

    def text() -> None:
        for each in tested:
            if each.error is not None:
                _show_error(messages, each.error, stdout)
            elif each.failures:
                table = Table(*(messages(key) for key in ("test", "row", "column", "expected", "actual", "rule")))
                for failure in each.failures:
                    row = (failure.row + 1, failure.column, failure.expected, failure.actual, failure.rule)
                    table.add_row(failure.test, *(str(cell) for cell in row))
                stdout.print(table)
                counts = {"answers": each.answers, "failures": len(each.failures)}
                stdout.print(messages("tests_failed", file=each.file, **counts), soft_wrap=True)
            else:
                counts = {"tests": each.tests, "answers": each.answers}
                stdout.print(messages("tests_passed", file=each.file, **counts), soft_wrap=True)

    _print({"files": document}, as_json, text)
    raise typer.Exit(1 if any(each.error or each.failures for each in tested) else 0)


@app.command()
def price(
    file: File,
    rows: Annotated[Path, typer.Option("--in", help="rows, CSV or Parquet, columns by name")],
    out: Annotated[Path, typer.Option("--out", help="rows with their prices, CSV or Parquet")],
    day: Day = None,
    keep: Keep = [],  # noqa: B006 (typer reads the default)
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Price a file of rows; rows without a price stay in it with the reason, exit 1."""
    messages = _messages(lang)
    tariff = load_tariff(file)
    given = read_rows(rows, tariff, keep=keep, day=None if day is None else day.date())
    result = price_file(tariff, given)
    reasons = reasons_of(tariff, result, {name: messages.name("reasons", name) for name in REASONS})
    write_table(out, answer_columns(tariff, result, reasons))
    counts = {"rows": len(given), "priced": int(result.priced.priced.sum())}
    counts["unpriced"] = counts["rows"] - counts["priced"]
    totals = sums(result.priced)
    why = Counter(reason for reason in reasons if reason)

    def text() -> None:
        stdout.print(messages("priced_rows", **counts, out=out), soft_wrap=True)
        _show_totals(messages, totals, tariff.currency)
        for reason, count in why.items():
            stdout.print(f"{count:,} × {reason}", soft_wrap=True)

    _print({**counts, "totals_fen": totals, "reasons": why, "out": str(out)}, as_json, text)
    raise typer.Exit(1 if counts["unpriced"] else 0)


@app.command(name="explain")
def explain_event(
    file: File,
    event: Annotated[list[str], typer.Option("--event", metavar="KEY=VALUE", help="column of the event, repeated")],
    history: Annotated[Path | None, typer.Option(help="the owner's rows before it, CSV or Parquet")] = None,
    day: Day = None,
    keep: Keep = [],  # noqa: B006 (typer reads the default)
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """One event step by step: what it cost before and after each step, by which rule, and who pays."""
    messages = _messages(lang)
    tariff = load_tariff(file)
    explained = explain(
        tariff,
        read_event(tariff.kind, event),
        history=None if history is None else read_rows(history, tariff, keep=keep).dated,
        day=None if day is None else day.date(),
    )

    def text() -> None:
        stdout.print(messages("explain_title", id=explained.tariff_id, title=explained.title), soft_wrap=True)
        stdout.print(f"{messages('source')}: {explained.source}", soft_wrap=True)
        stdout.print(f"{messages('segment')}: {explained.segment}")
        if explained.assumed:
            stdout.print(f"{messages('assumed')}: {event_text(explained.assumed)}", soft_wrap=True)
        table = Table(*(messages(key) for key in ("step", "rule")), "", messages("before"), messages("after"))
        table.columns[0].max_width = table.columns[1].max_width = 32
        table.columns[3].justify = table.columns[4].justify = "right"
        for step in explained.steps:
            _add_step(messages, table, step)
        stdout.print(table)

    steps = [vars(step) for step in explained.steps]
    _print({**vars(explained), "steps": steps}, as_json, text)
    raise typer.Exit(0 if explained.last.priced else 1)


@app.command(name="diff")
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="tariff file as it is")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="tariff file as it would be")],
    on: Annotated[Path, typer.Option("--on", help="rows to compare on, CSV or Parquet")],
    out: Annotated[Path | None, typer.Option(help="the rows that differ, CSV or Parquet")] = None,
    summary: Annotated[Path | None, typer.Option(help="the table by group, CSV or Parquet")] = None,
    chart: Annotated[Path | None, typer.Option(help="the bars as SVG")] = None,
    day: Day = None,
    keep: Keep = [],  # noqa: B006 (typer reads the default)
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """The same rows under two files: rows and money moved by class and operator; exit 1 when any differ."""
    messages = _messages(lang)
    before, after = load_tariff(old), load_tariff(new)
    given = read_rows(on, before, keep=keep, day=None if day is None else day.date())
    difference = diff(before, after, given)
    if out is not None:
        write_table(out, difference_columns(given, difference))
    if summary is not None:
        write_table(summary, change_columns([difference.total, *difference.groups]))
    bars = [
        (f"{messages.name('columns', each.column)} {each.value}", first_moved(each)) for each in difference.groups
    ]
    payer = next(iter(difference.total.moved))
    title = messages("chart", payer=messages.name("columns", payer), currency=before.currency)
    if chart is not None:
        chart.write_text(moved_svg(title, bars, signed_yuan), encoding="utf-8")

    document = {
        **vars(difference.total),
        "moved": difference.total.moved,
        "gained": difference.gained,
        "lost": difference.lost,
        "groups": [{**vars(each), "moved": each.moved} for each in difference.groups],
    }
    _print(document, as_json, lambda: _show_difference(messages, difference, title))
    raise typer.Exit(1 if difference.total.differ else 0)


@app.command(name="edges")
def list_edges(
    file: File,
    as_tests: Annotated[bool, typer.Option("--as-tests", help="print inline tests (YAML) to paste")] = False,
    out: Annotated[Path | None, typer.Option(help="the table as CSV or Parquet")] = None,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Every threshold of a file, one unit, second and day around it, with the prices: a table to sign off."""
    messages = _messages(lang)
    tariff = load_tariff(file)
    edges, runs = edges_of(tariff), runs_of(tariff)
    if out is not None:
        write_table(out, edge_columns(tariff, edges, runs))
    document = {
        "id": tariff.id,
        "edges": [edge_document(edge) for edge in edges],
        "runs": [run_document(run) for run in runs],
    }

    def text() -> None:
        if as_tests:
            sys.stdout.write(inline_tests(tariff, edges, runs))
        else:
            _show_edges(messages, tariff, edges)
            for run in runs:
                _show_run(messages, tariff, run)

    _print(document, as_json, text)


@app.command()
def steps(
    key: Annotated[str | None, typer.Argument(metavar="[STEP]", help="a step's key; all steps without it")] = None,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """The closed list of step types, or every key of one of them (`when`: what all transit steps share; `file`)."""
    messages = _messages(lang)
    if key is None:
        listed = {kind: steps_of(kind) for kind in STEPS_OF_KIND}
        _print(listed, as_json, lambda: _show_steps(messages, listed))
        return
    common = key == "when"
    model = step_model("flat" if common else key)
    if model is None:
        known = ", ".join([FILE, "when", *(name for registry in STEPS_OF_KIND.values() for name in registry)])
        raise typer.BadParameter(messages("no_step", step=key, known=known), param_hint="STEP")
    parameters = parameters_of("flat" if common else key, messages, common=common)

    def text() -> None:
        stdout.print(f"{key}: {messages.name('steps', key)}")
        if not common:
            stdout.print(meaning_of(model))
        table = Table(*(messages(name) for name in ("parameter", "needed", "says", "key_meaning")))
        table.columns[0].max_width, table.columns[2].max_width = 36, 30
        for column in table.columns:
            # Chinese has no blanks to break at.
            column.overflow = "fold"
        for each in parameters:
            needed = "×" if each.needed else ""
            if each.ways:
                needed = f"{needed} {messages('way', ways=', '.join(map(str, each.ways)))}".strip()
            table.add_row(each.path, needed, each.says, each.meaning)
        stdout.print(table)
        if key in STEPS_OF_KIND["transit"]:
            stdout.print(messages("common"))
        stdout.print(messages("use"), soft_wrap=True)

    _print({"step": key, "parameters": [vars(each) for each in parameters]}, as_json, text)


@app.command()
def schema(out: Annotated[Path | None, typer.Option(help="file to write; stdout without it")] = None) -> None:
    """JSON schema of tariff files, for editors that check and complete while one types."""
    text = json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


def _messages(lang: str) -> Messages:
    if lang not in ("zh", "en"):
        raise typer.BadParameter("write zh or en", param_hint="--lang")
    return Messages(cast(Language, lang))


def _print(document: Mapping[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        text()


def _show_error(messages: Messages, error: TariffError, console: Console = stderr) -> None:
    told = messages.error(error)
    file = told.pop("file", None)
    console.print(messages("refused") if file is None else f"{file}: {messages('refused')}", soft_wrap=True)
    for key, value in told.items():
        console.print(f"  {messages('at' if key == 'path' else key)}: {value}", soft_wrap=True)


def _show_totals(messages: Messages, totals: Mapping[str, int], currency: str) -> None:
    table = Table(messages("totals"), currency)
    table.columns[1].justify = "right"
    for name, fen in totals.items():
        if fen:
            table.add_row(messages.name("columns", name), yuan(fen))
    stdout.print(table)


def _add_step(messages: Messages, table: Table, step: StepTaken) -> None:
    rule = step.rule if step.priced else messages("not_priced")
    if not step.changed:
        table.add_row(step.step, rule, messages("no_change"), "", "")
    for number, name in enumerate(step.changed):
        show = yuan if is_money(name) else str
        cells = (messages.name("columns", name), show(step.before.get(name, 0)), show(step.after[name]))
        table.add_row(*((step.step, rule) if number == 0 else ("", "")), *cells)
    table.add_section()


def _show_steps(messages: Messages, listed: Mapping[str, Mapping[str, str]]) -> None:
    for kind, registry in listed.items():
        table = Table(messages("step"), "", messages("meaning"), title=kind)
        for name, meaning in registry.items():
            table.add_row(name, messages.name("steps", name), meaning)
        stdout.print(table)


def _show_difference(messages: Messages, difference: Difference, title: str) -> None:
    total = difference.total
    stdout.print(messages("diff_title", rows=total.rows, changed=total.differ))
    if difference.gained or difference.lost:
        stdout.print(f"{messages('gained')}: {difference.gained}  {messages('lost')}: {difference.lost}")
    money = Table("", messages("old"), messages("new"), messages("difference"))
    for column in money.columns[1:]:
        column.justify = "right"
    for name in total.old:
        row = (yuan(total.old[name]), yuan(total.new[name]), signed_yuan(total.moved[name]))
        money.add_row(messages.name("columns", name), *row)
    stdout.print(money)
    if difference.groups:
        heads = ("rows", "changed", "dearer", "cheaper", "difference")
        table = Table("", *(messages(key) for key in heads), title)
        for column in table.columns[1:6]:
            column.justify = "right"
        highest = max(abs(first_moved(each)) for each in difference.groups)
        for each in difference.groups:
            counts = (f"{count:,}" for count in (each.rows, each.differ, each.dearer, each.cheaper))
            fen = first_moved(each)
            label = f"{messages.name('columns', each.column)} {each.value}"
            table.add_row(label, *counts, signed_yuan(fen), moved_text(fen, highest))
        stdout.print(table)


def _show_edges(messages: Messages, tariff: Tariff, edges: Sequence[Edge]) -> None:
    shown = SERVICES[tariff.kind].shown
    points = sum(len(edge.points) for edge in edges)
    stdout.print(messages("edges_title", id=tariff.id, edges=len(edges), points=points))
    if repeated := sum(edge.repeated for edge in edges):
        stdout.print(messages("edges_repeated", repeated=repeated))
    for scenario, group in groupby(edges, key=lambda edge: edge.scenario):
        behind = messages("behind", events=len(scenario.history)) if scenario.history else ""
        stdout.print(f"\n{scenario.day} {event_text(scenario.event)}{behind}", soft_wrap=True)
        heads = [messages("edge_column"), messages("edge"), *(messages.name("columns", name) for name in shown)]
        table = Table(*heads, messages("rule"))
        for column in table.columns[2:-1]:
            column.justify = "right"
        for edge in group:
            for number, point in enumerate(edge.points):
                prices = [yuan(point.amounts[name]) for name in shown] if point.priced else ["—"] * len(shown)
                rule = point.rule if point.priced else messages("not_priced")
                name = messages.name("columns", edge.column) if number == 0 else ""
                table.add_row(name, point_value(edge, point), *prices, rule)
            table.add_section()
        stdout.print(table)


def _show_run(messages: Messages, tariff: Tariff, run: Run) -> None:
    shown = SERVICES[tariff.kind].shown
    stdout.print("\n" + messages("run_title", step=run.step, journey=event_text(run.event)), soft_wrap=True)
    heads = [messages("journey"), messages("time"), *(messages.name("columns", name) for name in shown)]
    table = Table(*heads, messages("rule"))
    for column in (table.columns[0], *table.columns[2:-1]):
        column.justify = "right"
    for met in run.met:
        prices = [yuan(met.amounts[name]) for name in shown] if met.priced else ["—"] * len(shown)
        table.add_row(str(met.number), run_time(met), *prices, met.rule if met.priced else messages("not_priced"))
    stdout.print(table)


def signed_yuan(fen: int) -> str:
    """As :func:`yuan`, with a plus where more is paid."""
    return f"+{yuan(fen)}" if fen > 0 else yuan(fen)


def yuan(fen: int) -> str:
    """Fen as yuan (or whatever the tariff's currency is), two decimals."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"
