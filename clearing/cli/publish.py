"""What the centre publishes to terminals."""

from __future__ import annotations

from dataclasses import asdict
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
    stdout,
    wall_seconds,
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
    summary = publish_parameters(
        directory, passphrase=passphrase, now=wall_seconds(now), active_in=active_in, wait=wait
    )
    show_or_json(asdict(summary), as_json, lambda: _show_parameters(asdict(summary)))


def _show_parameters(summary: dict[str, Any]) -> None:
    for sender, names in summary["published"].items():
        stdout.print(f"{sender}: {', '.join(names)}", highlight=False, soft_wrap=True)
    for tariff, reason in summary["without_table"].items():
        stdout.print(f"{tariff}: no table, {reason}", highlight=False, soft_wrap=True)
    if summary["listed_unknown"]:
        stdout.print(f"{summary['listed_unknown']} listed cards are in no delivery so far: their numbers are unknown")
    stdout.print(f"{summary['unchanged']} documents unchanged")
