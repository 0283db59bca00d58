"""``card``: readers, cards, capture and delivery at a terminal (DESIGN §10).

Every command takes ``--json`` (one document on stdout, everything else on stderr) and exits 0 done, 1 refused or
something is open, 2 usage or settings error.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from card_io.apdu import CardChannel
from card_io.capture.deliver import DeliveryReport, deliver, report_only
from card_io.capture.errors import CaptureError
from card_io.capture.journal import wall_clock_ns
from card_io.capture.settings import SettingsError, load_settings
from card_io.capture.transactions import CapturePoint, exchanges
from card_io.keys.errors import KeysError, KeyStoreError
from card_io.keys.passphrase import passphrase_from
from card_io.layouts.files import JOURNEY_KINDS, TXN_TYPES
from card_io.live import View
from card_io.messages import Language, Messages
from card_io.parameters import ParameterError
from card_io.readers.faults import DialogueFault, NoCardFault
from card_io.readers.port import Reader
from card_io.reading import CardReading, read_card
from card_io.records import Service, mask_card
from card_io.story import yuan
from card_io.terminals.quotes import BillQuote, MedicalQuote
from card_io.terminals.station import Service as Served
from card_io.terminals.station import Station, Wanted, signing_key
from card_io.terminals.touch import REASONS, Receipt, TurnedAway

app = typer.Typer(
    help="Card readers and terminals of a citizen card (市民卡/一卡通): read, capture, deliver.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
stderr = Console(stderr=True)
stdout = Console(width=None if sys.stdout.isatty() else 140)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder of the terminal")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Lang = Annotated[str, typer.Option("--lang", help="zh or en")]
ReaderName = Annotated[str | None, typer.Option("--reader", help="name of the reader; the first one without it")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="file with the key store's passphrase", dir_okay=False)
]
PassphraseFd = Annotated[int | None, typer.Option("--passphrase-fd", help="inherited descriptor with the passphrase")]

_POLL_SECONDS = 0.2


def main() -> NoReturn:
    """Entry point: errors become one clear line and an exit code."""
    try:
        app(standalone_mode=True)
    except (SettingsError, KeyStoreError, ParameterError) as exc:
        _fail(exc, 2)
    except (CaptureError, DialogueFault, KeysError, OSError) as exc:
        _fail(exc, 1)
    sys.exit(0)


def _fail(exc: Exception, code: int) -> NoReturn:
    stderr.print(f"[bold red]{type(exc).__name__}[/]: {exc}", highlight=False, soft_wrap=True)
    sys.exit(code)


def _print(document: Any, as_json: bool, text: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        text()


def _messages(lang: str) -> Messages:
    if lang not in ("zh", "en"):
        raise typer.BadParameter("write zh or en", param_hint="--lang")
    return Messages(cast(Language, lang))


def _pcsc() -> ModuleType:
    """The PC/SC adapter, the only part that needs pyscard."""
    try:
        return importlib.import_module("card_io.readers.pcsc")
    except ImportError:
        raise SettingsError("pyscard is not installed", "run: scripts/setup --readers") from None


def _reader(name: str | None) -> Reader:
    """The named PC/SC reader, or the first there is."""
    pcsc = _pcsc()
    if name is None:
        names = pcsc.reader_names()
        if not names:
            raise SettingsError("no reader", "check that pcscd runs and the reader is plugged in: card readers")
        name = names[0]
    return cast(Reader, pcsc.PcscReader(name))


@app.command()
def readers(lang: Lang = "zh", as_json: AsJson = False) -> None:
    """The readers of this machine; exit 1 when there is none."""
    messages, names = _messages(lang), _pcsc().reader_names()
    lines = names or (messages("no_readers"),)
    _print({"readers": list(names)}, as_json, lambda: stdout.print(*lines, sep="\n", highlight=False))
    raise typer.Exit(0 if names else 1)


@app.command()
def read(
    reader: ReaderName = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for a card")] = 10.0,
    lang: Lang = "zh",
    as_json: AsJson = False,
) -> None:
    """What a card says of itself: issuer, balance, log, journeys, gaps in its counters. The number is masked."""
    messages = _messages(lang)
    session = _reader(reader).connect(wait)
    try:
        found = read_card(CardChannel(session))
    finally:
        session.disconnect()
    _print(found.as_json(), as_json, lambda: _show_card(found, messages))


@app.command()
def capture(
    folder: Folder,
    service: Annotated[str, typer.Option(help="transit, medical, utility or load")],
    tap: Annotated[str, typer.Option(help="transit: in, out or ride")] = "ride",
    amount: Annotated[
        int | None, typer.Option(min=0, help="fen: to load, or of a medical bill from the purse")
    ] = None,
    quote: Annotated[Path | None, typer.Option(help="medical, utility: the quote, JSON", dir_okay=False)] = None,
    benefits: Annotated[Path | None, typer.Option(help="load: grants to write down, JSON", dir_okay=False)] = None,
    count: Annotated[int | None, typer.Option(min=1, help="end after so many cards")] = None,
    reader: ReaderName = None,
    lang: Lang = "zh",
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Serve cards: each is on disk before the gate opens. Ctrl-C ends it; --json prints what was taken."""
    messages = _messages(lang)
    if tap not in ("in", "out", "ride"):
        raise typer.BadParameter("write in, out or ride", param_hint="--tap")
    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    place = _reader(reader)
    with Station(folder, passphrase) as station:
        title = f"{service} {station.settings.terminal_id}"
        console = stderr if as_json else stdout
        with View(console, messages, station.point, title) as view:
            served = station.service(
                Wanted(service, tap, quote, amount, benefits),
                show=lambda quoted: _show_split(view, messages, quoted),
                show_bills=lambda quoted: _show_bills(view, messages, quoted),
            )
            for refused in station.parameters(wall_clock_ns() // 10**9).refused:
                view.say(messages("rejected_parameter", reason=refused), "red")
            receipts = _serve(station, served, place, view, messages, count)
    _print({"taken": [_receipt(each) for each in receipts]}, as_json, lambda: None)


def _serve(
    station: Station, served: Served, reader: Reader, view: View, messages: Messages, count: int | None
) -> list[Receipt]:
    """Serve one card after another until ``count`` were or Ctrl-C."""
    receipts: list[Receipt] = []
    try:
        while count is None or view.tally.taps < count:
            try:
                with station.purse.touch(reader, timeout=1.0) as touch:
                    view.tally.taps += 1
                    for number, verdict in touch.settled:
                        key = "still_open" if verdict.state is None else "settled"
                        view.say(messages(key, number=number, verdict=verdict.state, by=verdict.by), "yellow")
                    for receipt in served(touch):
                        receipts.append(receipt)
                        view.tally.fen += receipt.amount
                        key = "loaded" if receipt.service is Service.LOAD else "taken"
                        said = messages(key, yuan=yuan(receipt.amount), balance=yuan(receipt.balance_after))
                        view.say(f"{mask_card(receipt.card_no)}  {said}", "green")
            except TurnedAway as away:
                view.tally.taps += 1 if away.code in ("blacklisted", "blocked", "expired") else 0
                view.tally.away += 1
                reason = REASONS[away.code]
                view.say(messages("turned_away", reason=getattr(reason, messages.language)), "red")
            except NoCardFault:
                continue
            except DialogueFault as fault:
                view.say(messages("disturbed", reason=fault.what), "yellow")
            _wait_for_removal(reader)
    except KeyboardInterrupt:
        pass
    return receipts


def _wait_for_removal(reader: Reader) -> None:
    """A card left on the reader is served once."""
    while True:
        try:
            reader.connect().disconnect()
        except DialogueFault:
            return
        time.sleep(_POLL_SECONDS)


@app.command(name="deliver")
def deliver_files(
    folder: Folder,
    again: Annotated[bool, typer.Option(help="send once more what was refused or has no answer")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="only say what is open; write nothing")] = False,
    lang: Lang = "zh",
    as_json: AsJson = False,
) -> None:
    """Journal to signed delivery files, each row once; takes the centre's answers. Exit 1 while anything is open."""
    messages, settings = _messages(lang), load_settings(folder)
    with CapturePoint.open(folder) as point:
        if list_only:
            report = report_only(point)
        else:
            report = deliver(point, settings, signing_key(settings), wall_clock_ns(), again=again)
    open_rows = bool(report.waiting or report.unsent_rows or report.grey)
    _print(asdict(report), as_json, lambda: _show_delivery(report, messages))
    raise typer.Exit(1 if open_rows else 0)


@app.command()
def exchange(
    folder: Folder,
    sha256: Annotated[str, typer.Argument(metavar="HASH", help="as `clearing explain` shows it")],
    lang: Lang = "zh",
    as_json: AsJson = False,
) -> None:
    """The APDU exchange behind a delivered row, from the capture journal, by its hash."""
    messages = _messages(lang)
    kept = next(((number, found) for number, found in exchanges(folder) if found.sha256 == sha256.lower()), None)
    if kept is None:
        stderr.print(messages("no_exchange"))
        raise typer.Exit(1)
    number, found = kept
    steps = [[step.command.hex(), None if step.response is None else step.response.hex()] for step in found.steps]

    def text() -> None:
        stdout.print(messages("exchange_of", number=number), style="bold")
        stdout.print(str(found), highlight=False, soft_wrap=True)

    _print({"transaction": number, "sha256": found.sha256, "steps": steps}, as_json, text)


@app.command(name="self-test")
def self_test(lang: Lang = "zh", as_json: AsJson = False) -> None:
    """The whole terminal on a virtual card in a temporary folder: keys, purse, tear, journal, delivery."""
    from card_io.self_test import run_self_test

    messages, results = _messages(lang), run_self_test()

    def text() -> None:
        table = Table(messages("check"), messages("result"))
        for each in results:
            outcome = messages("passed") if each.error is None else f"{messages('failed')}: {each.error}"
            table.add_row(getattr(each.name, messages.language), outcome)
        stdout.print(table)

    document = [{"check": each.name.en, "zh": each.name.zh, "error": each.error} for each in results]
    _print({"checks": document}, as_json, text)
    raise typer.Exit(1 if any(each.error for each in results) else 0)


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "number": receipt.number,
        "service": receipt.service.name.lower(),
        "card": mask_card(receipt.card_no),
        "amount_fen": receipt.amount,
        "balance_fen": receipt.balance_after,
        "terminal_counter": receipt.terminal_counter,
        "tac": None if receipt.tac is None else receipt.tac.hex(),
        "exchange_sha256": receipt.exchange_sha256,
        **receipt.facts,
    }


def _show_split(view: View, messages: Messages, quote: MedicalQuote) -> None:
    parts = ", ".join(f"{name} {yuan(fen)}" for name, fen in quote.split())
    view.say(f"{messages('split')}: {parts}")


def _show_bills(view: View, messages: Messages, quote: BillQuote) -> None:
    parts = ", ".join(f"{bill['bill_id']} {yuan(bill['bill_amount'])}" for bill in quote.bills)
    view.say(f"{messages('bills')}: {parts}")


def _show_card(found: CardReading, messages: Messages) -> None:
    at = 0 if messages.language == "zh" else 1
    for sentence in found.story:
        stdout.print(getattr(sentence, messages.language), highlight=False, soft_wrap=True)
    log = Table(*(messages(key) for key in ("counter", "type", "amount", "terminal", "time")), title=messages("log"))
    for each in found.log:
        name = TXN_TYPES.get(each.txn_type, (f"{each.txn_type:02X}",) * 2)[at]
        log.add_row(str(each.counter), name, yuan(each.amount), each.terminal, f"{each.date4:08x} {each.time3:06x}")
    stdout.print(log)
    journeys = Table(*(messages(key) for key in ("type", "amount", "balance", "time")), title=messages("journeys"))
    for journey in found.journeys:
        name = JOURNEY_KINDS.get(journey.kind, (f"{journey.kind:02X}",) * 2)[at]
        journeys.add_row(name, yuan(journey.amount), yuan(journey.balance), f"{journey.time:014x}")
    stdout.print(journeys)


def _show_delivery(report: DeliveryReport, messages: Messages) -> None:
    lines = [messages("sent", file=file) for file in report.sent]
    lines += [messages("closed", file=file) for file in report.closed]
    for each in report.waiting:
        key = "waits" if each.refusal is None else "refused"
        lines.append(messages(key, file=each.file, rows=each.rows, yuan=yuan(each.fen), reason=each.refusal))
    if report.unsent_rows:
        lines.append(messages("unsent_rows", rows=report.unsent_rows, yuan=yuan(report.unsent_fen)))
    lines += [messages("grey_open", yuan=yuan(each["fen"]), **each) for each in report.grey]
    for key, count in (("torn_tails", report.torn_tails), ("clock_jumps", report.clock_jumps)):
        if count:
            lines.append(messages(key, count=count))
    if not (report.waiting or report.unsent_rows or report.grey):
        lines.append(messages("all_delivered"))
    stdout.print(*lines, sep="\n", highlight=False, soft_wrap=True)
