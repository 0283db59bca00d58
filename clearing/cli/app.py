"""What every command shares: the application, its options, how it speaks and how it fails."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from card_io.delivery.errors import DeliveryError
from card_io.keys.errors import KeysError, KeyStoreError
from clearing import calendar
from clearing.errors import ClearingError, ConfigError
from tariffs import TariffError

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


def run_app() -> NoReturn:
    """Run the application: errors become one clear line and an exit code."""
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


def show_or_json(document: dict[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    """One JSON document on stdout, or ``text()``."""
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        text()


def wall_seconds(now: str | None) -> int | None:
    """Wall seconds of ``--now``; None when it was not given."""
    try:
        return None if now is None else calendar.seconds_of(now)
    except ValueError as exc:
        raise typer.BadParameter("write YYYY-MM-DDTHH:MM:SS", param_hint="--now") from exc


class Bar:
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

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=max(total, done))


def language_of(language: str) -> Any:
    """``zh`` or ``en``; anything else is a usage error."""
    if language not in ("zh", "en"):
        raise typer.BadParameter("write zh or en", param_hint="--language")
    return language


def show_text(text: str) -> None:
    """Print text as it is, without markup."""
    stdout.print(text, markup=False, highlight=False, soft_wrap=True)


def yuan(fen: int | None) -> str:
    """Fen as yuan with two decimals; "?" when unknown."""
    if fen is None:
        return "?"
    sign, value = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{value // 100:,}.{value % 100:02d}"
