"""The commands of a day: make a centre, take files in, clear, close, report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from card_io.keys.passphrase import passphrase_from
from clearing.cli.app import (
    AsJson,
    Bar,
    Date,
    Directory,
    Now,
    PassphraseFd,
    PassphraseFile,
    Wait,
    app,
    show_or_json,
    show_text,
    stdout,
    wall_seconds,
    yuan,
)
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition


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
    show_or_json(
        {"directory": str(directory), "simulated": simulated},
        as_json,
        lambda: show_text(
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
    show_or_json(document, as_json, lambda: stdout.print(f"{document['rows']} rows in {document['files']} files"))


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
    summary = receive_centre(directory, passphrase=passphrase, now=wall_seconds(now), wait=wait)
    show_or_json(asdict(summary), as_json, lambda: _show_run(asdict(summary)))


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
    with Bar() as bar:
        summary = run_centre(directory, passphrase=passphrase, now=wall_seconds(now), wait=wait, progress=bar)
    write_metrics(directory, summary)
    show_or_json(asdict(summary), as_json, lambda: _show_run(asdict(summary)))


@app.command()
def close(
    directory: Directory,
    date: Date,
    by: Annotated[str | None, typer.Option(metavar="PERSON", help="who proposes the payments (reconciler)")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="the private key of that person")] = None,
    override: Annotated[
        str | None, typer.Option(metavar="REASON", help="close although a check fails: why (with --by and --key)")
    ] = None,
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Close a window after its cut-off: fees, net positions, claims, payment proposal, statements."""
    from clearing.metrics import write_metrics
    from clearing.report import write_statements
    from clearing.settlement import Proposer, close_window

    if (by is None) != (key is None):
        raise typer.BadParameter("give --by and --key together", param_hint="--by")
    if override is not None and by is None:
        raise typer.BadParameter("an override is signed: give --by and --key", param_hint="--override")
    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    with Bar() as bar:
        summary = close_window(
            directory,
            date.date(),
            passphrase=passphrase,
            now=wall_seconds(now),
            wait=wait,
            progress=bar,
            proposer=Proposer(by, key) if by and key else None,
            override=override,
        )
    write_statements(directory, date.date())
    write_metrics(directory, summary.run)
    show_or_json(asdict(summary), as_json, lambda: _show_close(asdict(summary)))


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
    show_or_json(summary.as_json(), as_json, lambda: _show_feedback(summary.as_json()))
    if summary.findings:
        raise typer.Exit(1)


@app.command()
def report(
    directory: Directory,
    date: Date,
    language: Annotated[str, typer.Option("--language", help="zh, en or both")] = "both",
    form: Annotated[str, typer.Option("--format", help="any of html,xlsx,pdf,csv,parquet, by commas")] = "html",
    sign: Annotated[bool, typer.Option("--sign", help="a detached signature of the centre beside each file")] = False,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Reconciliation report, workbook, statements, invoices, claims, reserve proof, month; Chinese and English."""
    from clearing.centre import Centre
    from clearing.report import FORMATS, write_reports
    from clearing.report.signing import CentreSigner

    if language not in ("zh", "en", "both"):
        raise typer.BadParameter("write zh, en or both", param_hint="--language")
    formats = tuple(dict.fromkeys(form.split(",")))
    if not set(formats) <= set(FORMATS):
        raise typer.BadParameter(f"write any of {','.join(FORMATS)}", param_hint="--format")
    signer = None
    if sign:
        passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
        signer = CentreSigner(Centre.open(directory, passphrase, audit=True).signing)
    paths = write_reports(
        directory,
        date.date(),
        formats=formats,  # type: ignore[arg-type]
        languages=("zh", "en") if language == "both" else (language,),  # type: ignore[arg-type]
        signer=signer,
    )
    show_or_json(
        {"reports": [str(path) for path in paths]}, as_json, lambda: stdout.print(*paths, sep="\n", soft_wrap=True)
    )


@app.command()
def demo(
    transactions: Annotated[int, typer.Option(min=100)] = 1_000_000,
    seed: Annotated[int, typer.Option()] = 20260302,
    directory: Annotated[Path, typer.Option("--dir", help="folder of the demo centre")] = Path("demo-centre"),
    as_json: AsJson = False,
) -> None:
    """The whole story on a simulated city day; engine and truth side by side. Exit 1 if they differ."""
    from clearing.demo import run_demo

    with Bar() as bar:
        summary = run_demo(directory, transactions=transactions, seed=seed, progress=bar)
    show_or_json(summary.as_json(), as_json, lambda: _show_demo(summary.as_json()))
    raise typer.Exit(0 if summary.all_equal else 1)


def _show_run(summary: dict[str, Any]) -> None:
    table = Table("status", "disposition", "rows", "yuan", "", title="rows cleared")
    for status, disposition, rows, fen in summary["results"]:
        name = ClearingStatus(status)
        table.add_row(name.name, Disposition(disposition).name.lower(), f"{rows:,}", yuan(fen), STATUS_TEXT[name].zh)
    if summary["results"]:
        stdout.print(table)
    for each in summary["received"]:
        if each["outcome"] != "received":
            stdout.print(f"{each['file']}: {each['outcome']}", highlight=False)
    for each in summary["waiting"]:
        stdout.print(f"{each['file']} waits: {each['reason']}", highlight=False)
    stdout.print(f"{len(summary['received'])} deliveries, {summary['rows']:,} rows")


def _show_feedback(document: dict[str, Any]) -> None:
    show_text(f"{document['file']}: {document['records']} records of {document['clearing_date']}")
    table = Table("error code", "records", "fen")
    for code, (rows, fen) in document["codes"].items():
        table.add_row(code, f"{rows:,}", f"{fen:,}")
    stdout.print(table)
    for each in document["findings"]:
        show_text(f"line {each['line']}: {each['kind']} {each['code']} {each['text']} (transaction {each['txn_id']})")


def _show_close(summary: dict[str, Any]) -> None:
    table = Table(
        "payment", "participant", "source", "direction", "yuan", "pay date", title=f"window {summary['window']}"
    )
    for row in summary["payments"]:
        table.add_row(
            row["payment"],
            str(row["participant"]),
            str(row["source"]),
            row["direction"],
            yuan(row["fen"]),
            row["pay_date"],
        )
    stdout.print(table)
    for row in summary["unpaid"]:
        show_text(f"unpaid: {row['participant']} source {row['source']} {yuan(row['fen'])} {row['reason']}")
    for row in summary["over_cap"]:
        show_text(f"over its debit cap: {row['participant']} source {row['source']} {yuan(row['fen'])}")
    stdout.print(f"proposal: {summary['proposal']}", highlight=False)


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
            f"window {window['window']}: fees {yuan(window['fees_fen'])}, to pay {yuan(window['pay_fen'])}, "
            f"to collect {yuan(window['collect_fen'])}, claims on funds {yuan(window['claims_fen'])} yuan",
            highlight=False,
        )
    for order in summary["orders"]:
        text = f"order {order['message']}: {order['payments']} payments approved by two persons, {order['files'][0]}"
        stdout.print(text, highlight=False)
    verdict = "engine and truth agree, verify is clean" if summary["all_equal"] else "ENGINE AND TRUTH DIFFER"
    stdout.print(f"{summary['rows']:,} rows, {sum(summary['files'].values())} deliveries: {verdict}", highlight=False)
    for finding in summary["findings"][:10]:
        stdout.print(f"{finding['where']}: {finding['what']}", highlight=False)
    stdout.print(f"report: {summary['directory']}/{summary['reports'][0]}", highlight=False, soft_wrap=True)
