"""``clearing``: the command line of a card centre (DESIGN §10).

Every command takes ``--json`` (one document on stdout, everything else on stderr) and exits 0 done, 1 findings or
refused, 2 usage or configuration error.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from card_io.delivery.errors import DeliveryError
from card_io.keys.errors import KeysError, KeyStoreError
from card_io.keys.passphrase import passphrase_from
from clearing.allocator import keep_freed_memory
from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()
keep_freed_memory()

from clearing import calendar  # noqa: E402 - the kernel cache must be named before any kernel is imported
from clearing.errors import ClearingError, ConfigError  # noqa: E402
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition  # noqa: E402
from tariffs import TariffError  # noqa: E402

app = typer.Typer(
    help="Clearing engine of a citizen card (市民卡/一卡通): files in, money out, every fen explained.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
stderr = Console(stderr=True)
stdout = Console(width=None if sys.stdout.isatty() else 140)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="folder of the centre")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="file with the key store's passphrase", dir_okay=False)
]
PassphraseFd = Annotated[int | None, typer.Option("--passphrase-fd", help="inherited descriptor with the passphrase")]
Now = Annotated[
    str | None, typer.Option("--now", metavar="YYYY-MM-DDTHH:MM:SS", help="declared clock of a simulated centre")
]
Wait = Annotated[float, typer.Option("--wait", help="seconds to wait while another command holds the centre")]
Date = Annotated[datetime.datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="business date")]
Language = Annotated[str, typer.Option("--language", help="zh or en")]


def main() -> NoReturn:
    """Entry point: errors become one clear line and an exit code."""
    try:
        app(standalone_mode=True)
    except (ConfigError, KeyStoreError, TariffError) as exc:
        _fail(exc, 2)
    except (ClearingError, KeysError, DeliveryError) as exc:
        _fail(exc, 1)
    sys.exit(0)


def _fail(exc: Exception, code: int) -> NoReturn:
    stderr.print(f"[bold red]{type(exc).__name__}[/]: {exc}", highlight=False, soft_wrap=True)
    sys.exit(code)


def _print(document: dict[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        text()


def _seconds(now: str | None) -> int | None:
    try:
        return None if now is None else calendar.seconds_of(now)
    except ValueError as exc:
        raise typer.BadParameter("write YYYY-MM-DDTHH:MM:SS", param_hint="--now") from exc


class _Bar:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=max(total, done))


@app.command()
def init(
    directory: Directory,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    simulated: Annotated[
        bool, typer.Option(help="a training centre on a declared clock, with TAC test keys")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new centre: commented centre.yaml, registers, sample tariffs, key store."""
    from clearing.initialise import initialise_centre

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    initialise_centre(directory, simulated=simulated, passphrase=passphrase)
    _print(
        {"directory": str(directory), "simulated": simulated},
        as_json,
        lambda: _show_text(
            f"centre made in {directory}; edit centre.yaml next\n"
            f"give the two sheets in {directory}.key-backup to two custodians, then delete them here"
        ),
    )


@app.command()
def simulate(
    directory: Directory,
    date: Date,
    transactions: Annotated[int, typer.Option(min=1)] = 100_000,
    seed: Annotated[int, typer.Option()] = 1,
    faults: Annotated[str, typer.Option(help="none, default or heavy")] = "default",
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Put a simulated city day into the inbox; its truth lies beside the centre."""
    from clearing.simulate import simulate_day

    if faults not in ("none", "default", "heavy"):
        raise typer.BadParameter("write none, default or heavy", param_hint="--faults")
    summary = simulate_day(
        directory,
        date=date.date(),
        transactions=transactions,
        seed=seed,
        faults=faults,  # type: ignore[arg-type]
        passphrase=passphrase_from(file=passphrase_file, descriptor=passphrase_fd),
    )
    document = summary.as_json()
    _print(document, as_json, lambda: stdout.print(f"{document['rows']} rows in {document['files']} files"))


@app.command()
def receive(
    directory: Directory,
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Intake only: archive, sealed entry and acknowledgement of every complete delivery."""
    from clearing.engine import receive_centre

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    summary = receive_centre(directory, passphrase=passphrase, now=_seconds(now), wait=wait)
    _print(asdict(summary), as_json, lambda: _show_run(asdict(summary)))


@app.command()
def run(
    directory: Directory,
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Receive and clear everything pending; result receipts and feedback go to the outbox."""
    from clearing.engine import run_centre
    from clearing.metrics import write_metrics

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    with _Bar() as bar:
        summary = run_centre(directory, passphrase=passphrase, now=_seconds(now), wait=wait, progress=bar)
    write_metrics(directory, summary)
    _print(asdict(summary), as_json, lambda: _show_run(asdict(summary)))


@app.command()
def close(
    directory: Directory,
    date: Date,
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Close a window after its cut-off: fees, net positions, claims, payment proposal, statements."""
    from clearing.metrics import write_metrics
    from clearing.report import write_statements
    from clearing.settlement import close_window

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    with _Bar() as bar:
        summary = close_window(
            directory, date.date(), passphrase=passphrase, now=_seconds(now), wait=wait, progress=bar
        )
    write_statements(directory, date.date())
    write_metrics(directory, summary.run)
    _print(asdict(summary), as_json, lambda: _show_close(asdict(summary)))


@app.command()
def feedback(
    directory: Directory,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="FB file of another centre (JT/T 978.4)", dir_okay=False)
    ],
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Compare another centre's feedback with the ledger: what it refused or does not know. Exit 1 with findings."""
    from clearing.interchange.received import read_feedback

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    summary = read_feedback(directory, file, passphrase=passphrase)
    _print(summary.as_json(), as_json, lambda: _show_feedback(summary.as_json()))
    if summary.findings:
        raise typer.Exit(1)


@app.command()
def explain(
    directory: Directory,
    txn: Annotated[str, typer.Argument(metavar="TXN", help="FILE_NO:ROW or transaction id")],
    unmask: Annotated[bool, typer.Option(help="show the card number; is recorded in the journal")] = False,
    reason: Annotated[str | None, typer.Option(help="why the card number is needed")] = None,
    language: Language = "zh",
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """One transaction from card bytes to payment: checks, tariff rule, legs, window, hashes."""
    from clearing import explain as explaining

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    chosen = _language(language)
    explanation = explaining.explain(
        directory, txn, passphrase=passphrase, unmask=unmask, reason=reason, language=chosen
    )
    _print(
        asdict(explanation),
        as_json,
        lambda: stdout.print(
            explaining.render_text(explanation, chosen), markup=False, highlight=False, soft_wrap=True
        ),
    )


@app.command()
def verify(
    directory: Directory,
    recompute: Annotated[bool, typer.Option(help="run every batch again from the raw archive")] = False,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Audit: chain, signatures, archive, vault, segments, invariants, projection. Exit 1 on findings."""
    from clearing import verify as auditing

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    findings = auditing.verify(directory, passphrase)
    if recompute:
        findings += auditing.verify_by_recomputing(directory, passphrase)

    def text() -> None:
        for finding in findings:
            stdout.print(f"[red]{finding.where}[/]: {finding.what}", highlight=False, soft_wrap=True)
        stdout.print("clean" if not findings else f"{len(findings)} findings")

    _print({"findings": [finding.as_json() for finding in findings]}, as_json, text)
    raise typer.Exit(1 if findings else 0)


@app.command()
def rebuild(
    directory: Directory,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Recreate ledger.duckdb from the journal; no pricing runs."""
    from clearing.verify import rebuild as recreate

    entries = recreate(directory, passphrase_from(file=passphrase_file, descriptor=passphrase_fd))
    _print({"entries": entries}, as_json, lambda: stdout.print(f"{entries} journal entries projected"))


@app.command()
def report(
    directory: Directory,
    date: Date,
    language: Annotated[str, typer.Option("--language", help="zh, en or both")] = "both",
    as_json: AsJson = False,
) -> None:
    """Daily reconciliation report as HTML, in Chinese and English."""
    from clearing.report import write_daily_report

    if language not in ("zh", "en", "both"):
        raise typer.BadParameter("write zh, en or both", param_hint="--language")
    paths = write_daily_report(directory, date.date(), language=language)  # type: ignore[arg-type]
    _print(
        {"reports": [str(path) for path in paths]}, as_json, lambda: stdout.print(*paths, sep="\n", soft_wrap=True)
    )


@app.command()
def parameters(
    directory: Directory,
    now: Now = None,
    active_in: Annotated[int, typer.Option(min=0, help="seconds until terminals use what is published")] = 0,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Terminals' files, signed and versioned: priced tables, blacklist, key versions, calendar."""
    from clearing.parameters import publish_parameters

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    summary = publish_parameters(directory, passphrase=passphrase, now=_seconds(now), active_in=active_in, wait=wait)
    _print(asdict(summary), as_json, lambda: _show_parameters(asdict(summary)))


@app.command()
def demo(
    transactions: Annotated[int, typer.Option(min=100)] = 1_000_000,
    seed: Annotated[int, typer.Option()] = 20260302,
    directory: Annotated[Path, typer.Option("--dir", help="folder of the demo centre")] = Path("demo-centre"),
    as_json: AsJson = False,
) -> None:
    """The whole story on a simulated city day; engine and truth side by side. Exit 1 if they differ."""
    from clearing.demo import run_demo

    with _Bar() as bar:
        summary = run_demo(directory, transactions=transactions, seed=seed, progress=bar)
    _print(summary.as_json(), as_json, lambda: _show_demo(summary.as_json()))
    raise typer.Exit(0 if summary.all_equal else 1)


def _language(language: str) -> Any:
    if language not in ("zh", "en"):
        raise typer.BadParameter("write zh or en", param_hint="--language")
    return language


def _show_text(text: str) -> None:
    stdout.print(text, markup=False, highlight=False, soft_wrap=True)


def _show_run(summary: dict[str, Any]) -> None:
    table = Table("status", "disposition", "rows", "yuan", "", title="rows cleared")
    for status, disposition, rows, fen in summary["results"]:
        name = ClearingStatus(status)
        table.add_row(name.name, Disposition(disposition).name.lower(), f"{rows:,}", _yuan(fen), STATUS_TEXT[name].zh)
    if summary["results"]:
        stdout.print(table)
    for each in summary["received"]:
        if each["outcome"] != "received":
            stdout.print(f"{each['file']}: {each['outcome']}", highlight=False)
    for each in summary["waiting"]:
        stdout.print(f"{each['file']} waits: {each['reason']}", highlight=False)
    stdout.print(f"{len(summary['received'])} deliveries, {summary['rows']:,} rows")


def _show_feedback(document: dict[str, Any]) -> None:
    _show_text(f"{document['file']}: {document['records']} records of {document['clearing_date']}")
    table = Table("error code", "records", "fen")
    for code, (rows, fen) in document["codes"].items():
        table.add_row(code, f"{rows:,}", f"{fen:,}")
    stdout.print(table)
    for each in document["findings"]:
        _show_text(
            f"line {each['line']}: {each['kind']} {each['code']} {each['text']} (transaction {each['txn_id']})"
        )


def _show_close(summary: dict[str, Any]) -> None:
    table = Table(
        "payment", "participant", "source", "direction", "yuan", "state", title=f"window {summary['window']}"
    )
    for row in summary["payments"]:
        table.add_row(
            row["payment"],
            str(row["participant"]),
            str(row["source"]),
            row["direction"],
            _yuan(row["fen"]),
            row["state"],
        )
    stdout.print(table)
    stdout.print(f"proposal: {summary['proposal']}", highlight=False)


def _show_parameters(summary: dict[str, Any]) -> None:
    for sender, names in summary["published"].items():
        stdout.print(f"{sender}: {', '.join(names)}", highlight=False, soft_wrap=True)
    for tariff, reason in summary["without_table"].items():
        stdout.print(f"{tariff}: no table, {reason}", highlight=False, soft_wrap=True)
    if summary["listed_unknown"]:
        stdout.print(f"{summary['listed_unknown']} listed cards are in no delivery so far: their numbers are unknown")
    stdout.print(f"{summary['unchanged']} documents unchanged")


def _show_demo(summary: dict[str, Any]) -> None:
    table = Table("status", "disposition", "engine rows", "truth rows", "engine fen", "truth fen", "")
    for row in summary["statuses"]:
        table.add_row(
            row["status"],
            row["disposition"],
            *(f"{row[name]:,}" for name in ("engine_rows", "truth_rows", "engine_fen", "truth_fen")),
            "=" if row["equal"] else "DIFFERS",
        )
    stdout.print(table)
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in summary["seconds"].items())
    stdout.print(f"seconds: {seconds}", highlight=False)
    stages = ", ".join(f"{stage} {value:.1f}" for stage, value in summary["clearing_stages"].items())
    stdout.print(f"clearing: {stages}", highlight=False)
    for window in summary["windows"]:
        stdout.print(
            f"window {window['window']}: fees {_yuan(window['fees_fen'])}, to pay {_yuan(window['pay_fen'])}, "
            f"to collect {_yuan(window['collect_fen'])}, claims on funds {_yuan(window['claims_fen'])} yuan",
            highlight=False,
        )
    verdict = "engine and truth agree, verify is clean" if summary["all_equal"] else "ENGINE AND TRUTH DIFFER"
    stdout.print(f"{summary['rows']:,} rows, {sum(summary['files'].values())} deliveries: {verdict}", highlight=False)
    for finding in summary["findings"][:10]:
        stdout.print(f"{finding['where']}: {finding['what']}", highlight=False)
    stdout.print(f"report: {summary['directory']}/{summary['reports'][0]}", highlight=False, soft_wrap=True)


def _yuan(fen: int | None) -> str:
    if fen is None:
        return "?"
    sign, value = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{value // 100:,}.{value % 100:02d}"
