"""The ledger for other systems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from card_io.keys.passphrase import passphrase_from
from clearing.cli.app import AsJson, Directory, PassphraseFd, PassphraseFile, app, show_or_json, show_text


@app.command()
def export(
    directory: Directory,
    form: Annotated[
        str, typer.Option("--format", help="hledger, beancount, tides, gbt24589 or open-data", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="file to write; stdout without it", dir_okay=False)
    ] = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """The ledger for other systems: plain-text journals, TIDES fares, accounting data, open data."""
    from clearing.export.write import FORMATS, NEEDS_KEYS, Format, export_centre

    if form not in FORMATS:
        raise typer.BadParameter(f"write one of {', '.join(get_args(Format))}", param_hint="--format")
    if as_json and out is None:
        raise typer.BadParameter("the export itself goes to stdout; name a file", param_hint="--out")
    passphrase = None
    if form in NEEDS_KEYS:
        passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    if out is None:
        export_centre(directory, form, sys.stdout, passphrase=passphrase)
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        export_centre(directory, form, file, passphrase=passphrase)
    show_or_json({"format": form, "out": str(out)}, as_json, lambda: show_text(str(out)))
