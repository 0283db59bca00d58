"""The commands that prove: explain one transaction, verify the truth, make the projection again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from card_io.keys.passphrase import passphrase_from
from clearing.cli.app import (
    AsJson,
    Directory,
    Language,
    PassphraseFd,
    PassphraseFile,
    app,
    language_of,
    show_or_json,
    stdout,
)


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
    chosen = language_of(language)
    explanation = explaining.explain(
        directory, txn, passphrase=passphrase, unmask=unmask, reason=reason, language=chosen
    )
    show_or_json(
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

    show_or_json({"findings": [finding.as_json() for finding in findings]}, as_json, text)
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
    show_or_json({"entries": entries}, as_json, lambda: stdout.print(f"{entries} journal entries projected"))
