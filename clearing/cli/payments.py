"""Money out: approve payments, take the bank's answers."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from card_io.keys.passphrase import passphrase_from
from clearing.cli.app import (
    AsJson,
    Directory,
    Now,
    PassphraseFd,
    PassphraseFile,
    Wait,
    app,
    show_or_json,
    show_text,
    wall_seconds,
    yuan,
)

Payments = Annotated[list[str] | None, typer.Argument(metavar="[PAYMENT]…", help="numbers of payments")]
By = Annotated[str, typer.Option("--by", metavar="PERSON", help="who acts, an id under people:")]
Key = Annotated[Path, typer.Option("--key", metavar="FILE", help="the private key of that person", dir_okay=False)]


@app.command()
def approve(
    directory: Directory,
    by: By,
    key: Key,
    payments: Payments = None,
    date: Annotated[str | None, typer.Option(metavar="DATE", help="all payments of this window")] = None,
    withdraw: Annotated[bool, typer.Option(help="take back instead; it falls due again")] = False,
    reason: Annotated[str, typer.Option(help="why; a withdrawal needs one")] = "",
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Approve payments with your own signature; the second person's orders them and writes pain.001 and 报盘."""
    from clearing.payments import approve as approving

    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    try:
        window = None if date is None else datetime.date.fromisoformat(date)
    except ValueError as exc:
        raise typer.BadParameter("write YYYY-MM-DD", param_hint="--date") from exc
    summary = approving.approve(
        directory,
        payments or (),
        person=by,
        key=key,
        passphrase=passphrase,
        window=window,
        action="withdraw" if withdraw else "approve",
        reason=reason,
        now=wall_seconds(now),
        wait=wait,
    )
    show_or_json(asdict(summary), as_json, lambda: _show_approval(asdict(summary)))


def _show_approval(summary: dict[str, Any]) -> None:
    done = "withdrawn" if summary["action"] == "withdraw" else "approved"
    show_text(f"{len(summary['payments'])} payments, {yuan(summary['fen'])} yuan {done} by {summary['person']}")
    if summary["message"] is None and summary["action"] == "approve":
        show_text("a second person approves next")
    for path in summary["files"]:
        show_text(path)


@app.command()
def bank(
    directory: Directory,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="what the bank sent", dir_okay=False)],
    form: Annotated[str, typer.Option("--format", help="auto, iso20022, mt940, list or csv")] = "auto",
    profile: Annotated[str, typer.Option(help="profile of a CSV statement")] = "statement-csv",
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Take a bank's answer or statement: pain.002, camt.053/054, 回盘, MT940, CSV. Exit 1: refused or open lines."""
    from clearing.bank.take import take_bank_file

    if form not in ("auto", "iso20022", "mt940", "list", "csv"):
        raise typer.BadParameter("write auto, iso20022, mt940, list or csv", param_hint="--format")
    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    summary = take_bank_file(
        directory,
        file,
        passphrase=passphrase,
        form=form,  # type: ignore[arg-type]
        profile=profile,
        now=wall_seconds(now),
        wait=wait,
    )
    show_or_json(asdict(summary), as_json, lambda: _show_bank(asdict(summary)))
    raise typer.Exit(0 if summary.clean else 1)


def _show_bank(summary: dict[str, Any]) -> None:
    show_text(f"{summary['file']} ({summary['format']}): {summary['outcome']} {summary['reason']}".rstrip())
    for line in summary["lines"]:
        mark = "OPEN " if line["open"] else ""
        show_text(f"{mark}{line['payment'] or '-'} {yuan(line['fen'])} {line['outcome']} {line['reason']}".rstrip())
