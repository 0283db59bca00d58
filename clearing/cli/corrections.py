"""Corrections by two persons: adjust transactions, cards and accounts; disputes."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

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
    stdout,
    wall_seconds,
    yuan,
)

if TYPE_CHECKING:
    from clearing.corrections.persons import Signer

By = Annotated[str | None, typer.Option("--by", help="the person who acts")]
Key = Annotated[Path | None, typer.Option("--key", help="file with that person's signing key", dir_okay=False)]
Reason = Annotated[str, typer.Option("--reason", help="why; it stays in the journal")]
Action = Annotated[
    str,
    typer.Argument(
        metavar="ACTION", help="list, bank-lines, approve, sheet, upload, expire-benefits, or a correction"
    ),
]
Subject = Annotated[
    str | None,
    typer.Argument(metavar="[SUBJECT]", help="FILE_NO:ROW, ENTRY:LINE of a bank file, adjustment, proposal or file"),
]
Opening = Annotated[
    Path | None, typer.Option("--opening", help="Parquet of card_id and balance: opening stored value")
]
Fen = Annotated[int | None, typer.Option("--fen", min=1, help="amount; all there is when left out")]


@app.command()
def adjust(
    directory: Directory,
    action: Action,
    subject: Subject = None,
    fen: Fen = None,
    merchant: Annotated[int, typer.Option(help="whose money, where several hold it")] = 0,
    payer: Annotated[int, typer.Option(help="who gives, between participants")] = 0,
    payee: Annotated[int, typer.Option(help="who gets; the merchant when left out")] = 0,
    source: Annotated[int, typer.Option(help="source of money: a fund or insurer; 0 the reserve")] = 0,
    linked: Annotated[str | None, typer.Option(help="FILE_NO:ROW whose refund a load pays")] = None,
    card: Annotated[bool, typer.Option("--card", help="read a card number from standard input")] = False,
    payment: Annotated[str | None, typer.Option(help="payment that a bank line is")] = None,
    returns: Annotated[str | None, typer.Option(help="ENTRY:LINE of the receipt that goes back")] = None,
    opening: Opening = None,
    reason: Reason = "",
    by: By = None,
    key: Key = None,
    out: Annotated[Path | None, typer.Option("--out", help="where the exception sheet goes")] = None,
    apply: Annotated[bool, typer.Option("--apply/--preview", help="propose what the sheet decides")] = False,
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Correct transactions, cards and accounts: one person proposes, another approves. Exit 1 when refused."""
    from clearing.corrections import adjust as adjusting
    from clearing.corrections import sheet as sheets

    if action in ("list", "bank-lines"):
        _show_waiting(directory, action, as_json)
        return
    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    moment = wall_seconds(now)
    amounts: dict[str, Any] = {"fen": fen, "merchant": merchant, "payer": payer, "payee": payee, "source": source}
    amounts |= {"payment": payment, "linked_line": returns}
    outcome: Any
    if action == "sheet":
        path = needed(out, "--out")
        rows = sheets.write_exceptions(directory, path, passphrase=passphrase, now=moment, wait=wait)
        show_or_json({"sheet": str(path), "rows": rows}, as_json, lambda: show_text(f"{path}: {rows} rows"))
        return
    if action == "upload":
        file = Path(needed(subject, "SUBJECT"))
        who = signer(by, key) if apply else None
        outcome = sheets.upload(directory, file, passphrase=passphrase, by=who, now=moment, wait=wait)
    elif action == "approve":
        name = needed(subject, "SUBJECT")
        outcome = adjusting.approve(directory, name, passphrase=passphrase, by=signer(by, key), now=moment, wait=wait)
    else:
        items = _asked_items(directory, passphrase, action, subject, reason, card, linked, amounts, moment, wait)
        outcome = adjusting.propose(
            directory,
            items,
            passphrase=passphrase,
            by=signer(by, key),
            now=moment,
            wait=wait,
            opening=opening,
        )
    document = asdict(outcome)
    show_or_json(document, as_json, lambda: _show_outcome(document, "adjust"))
    if document["refused"]:
        raise typer.Exit(1)


@app.command()
def dispute(
    directory: Directory,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="list, approve, lapse, feedback, or a move")],
    subject: Annotated[
        str | None, typer.Argument(metavar="[SUBJECT]", help="FILE_NO:ROW, dispute, proposal or FB file")
    ] = None,
    actor: Annotated[str, typer.Option(help="issuer or acquirer: whose move it is")] = "",
    code: Annotated[str, typer.Option(help="reason or answer code")] = "",
    fen: Fen = None,
    reason: Reason = "",
    by: By = None,
    key: Key = None,
    now: Now = None,
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Disputes: open, answer, negotiate, adjust, lapse; TAC failures that another centre's feedback reports."""
    from clearing.config import load_settings
    from clearing.corrections import disputes
    from clearing.explain.evidence import txn_id_of
    from clearing.ledger.projection import PRIVATE_NAME
    from clearing.store import Store

    if action == "list":
        threads = load_settings(directory).centre.threads
        with Store(directory / PRIVATE_NAME, directory, read_only=True, threads=threads) as ledger:
            listed = [{name: _plain(v) for name, v in row.items()} for row in disputes.list_disputes(ledger)]
        show_or_json({"disputes": listed}, as_json, lambda: _show_disputes(listed))
        return
    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    moment = wall_seconds(now)
    others: list[dict[str, Any]] = []
    if action == "approve":
        name = needed(subject, "SUBJECT")
        outcome = disputes.approve_moves(
            directory, name, passphrase=passphrase, by=signer(by, key), now=moment, wait=wait
        )
    else:
        if action == "lapse":
            asked = disputes.lapsed(directory, passphrase, moment, wait)
        elif action == "feedback":
            file = Path(needed(subject, "SUBJECT"))
            asked, others = disputes.reported_tac_failures(directory, file, passphrase)
        else:
            named = needed(subject, "SUBJECT")
            txn_id = txn_id_of(named) if ":" in named else None
            asked = [
                disputes.Asked(
                    reason, actor, action, dispute=None if txn_id else named, txn_id=txn_id, code=code, fen=fen
                )
            ]
        outcome = disputes.propose_moves(
            directory, asked, passphrase=passphrase, by=signer(by, key), now=moment, wait=wait
        )
    document = {**asdict(outcome), "findings": others}
    show_or_json(document, as_json, lambda: _show_moves(document))
    if others:
        raise typer.Exit(1)


def _show_waiting(directory: Path, action: str, as_json: bool) -> None:
    """Proposals that wait for a second person, or bank lines that wait for the first."""
    from clearing.corrections.adjust import open_bank_lines
    from clearing.corrections.proposals import open_proposals

    if action == "list":
        listed = [{"proposal": each.name, **each.content} for each in open_proposals(directory)]
        show_or_json({"proposals": listed}, as_json, lambda: _show_proposals(listed))
        return
    lines = open_bank_lines(directory)
    show_or_json({"bank_lines": lines}, as_json, lambda: _show_bank_lines(lines))


def _asked_items(
    directory: Path,
    passphrase: str,
    action: str,
    subject: str | None,
    reason: str,
    card: bool,
    linked: str | None,
    amounts: dict[str, Any],
    now: int | None,
    wait: float,
) -> list[Any]:
    """The corrections that a command line asks for."""
    from clearing.corrections.expiry import expired_benefits
    from clearing.corrections.rules import RULES, Item
    from clearing.explain.evidence import txn_id_of

    if action == "expire-benefits":
        return list(expired_benefits(directory, passphrase=passphrase, now=now, wait=wait))
    template = action.upper().replace("-", "_")
    if template not in RULES:
        known = ", ".join(name.lower().replace("_", "-") for name in RULES)
        raise typer.BadParameter(
            f"list, bank-lines, approve, sheet, upload, expire-benefits, or one of {known}", param_hint="ACTION"
        )
    about = RULES[template].subject
    item = Item(
        template,
        reason,
        txn_id=txn_id_of(needed(subject, "SUBJECT")) if about == "transaction" else None,
        card_id=_card_id(directory, passphrase) if card or about == "card" else None,
        linked_txn_id=None if linked is None else txn_id_of(linked),
        undoes=subject if about == "adjustment" else None,
        bank_line=needed(subject, "SUBJECT") if about == "bank_line" else None,
        **amounts,
    )
    return [item]


def needed(value: Any, name: str) -> Any:
    """A word of the command line that this action cannot do without."""
    if value is None:
        raise typer.BadParameter("is needed here", param_hint=name)
    return value


def signer(by: str | None, key: Path | None) -> Signer:
    """Who acts, with the key in the file named."""
    from clearing.corrections.persons import Signer
    from clearing.people import load_key

    return Signer(needed(by, "--by"), load_key(needed(key, "--key")))


def _card_id(directory: Path, passphrase: str) -> int:
    """The id of a card whose number comes by prompt or standard input, never by the command line."""
    from clearing.card_accounts.number import card_id_from

    return card_id_from(directory, passphrase, card_number())


def card_number() -> str:
    """A card number from a hidden prompt, or a line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("卡号 / card number", hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str) else str(value)


def _show_proposals(listed: list[dict[str, Any]]) -> None:
    table = Table("proposal", "kind", "items", title="待复核 / waiting for a second person")
    for each in listed:
        table.add_row(each["proposal"], each["kind"], str(len(each["items"])))
    stdout.print(table)


def _show_outcome(document: dict[str, Any], command: str) -> None:
    table = Table("correction", "subject", "yuan", "account", "participant", "legs (yuan)")
    for item in document["items"]:
        for at, leg in enumerate(item["legs"]):
            about = item["transaction"] or item["card_id"] or item["bank_line"] or ""
            head = (item["template"], about, yuan(item["fen"])) if at == 0 else ("", "", "")
            table.add_row(*head, leg["account"], str(leg["participant"]), yuan(leg["fen"]))
    stdout.print(table)
    for each in document["refused"]:
        show_text(f"{each['row']}  {each['field']}: {each['what']} — {each['remedy']}")
    _show_end(document, command)


def _show_bank_lines(lines: list[dict[str, Any]]) -> None:
    table = Table("line", "days", "bank", "source", "payment", "outcome", "open yuan", "to return", "reference")
    for each in lines:
        cells = (each["name"], str(each["age_days"]), str(each["bank"] or ""), str(each["source"] or 0))
        money = (yuan(each["open_fen"]), yuan(each["returning_fen"]))
        table.add_row(*cells, each["payment"], each["outcome"], *money, each["reference"])
    stdout.print(table)


def _show_moves(document: dict[str, Any]) -> None:
    table = Table("dispute", "transaction", "move", "state", "open yuan", "deadline")
    for each in document["moves"]:
        cells = (each["dispute"] or "new", each["transaction"], each["move"], each["state"])
        table.add_row(*cells, yuan(each["open_fen"]), each["deadline"] or "")
    stdout.print(table)
    for each in document["findings"]:
        show_text(f"line {each['line']}: {each['kind']} {each['code']} {each['text']}")
    _show_end(document, "dispute")


def _show_disputes(listed: list[dict[str, Any]]) -> None:
    table = Table("dispute", "transaction", "state", "yuan", "opened", "days", "deadline")
    for each in listed:
        reference = f"{each['txn_id'] >> 32}:{each['txn_id'] & 0xFFFFFFFF}"
        cells = (each["dispute"], reference, each["state"], yuan(each["fen"]), each["opened"])
        table.add_row(*cells, str(each["age_days"]), each["deadline"] or "")
    stdout.print(table)


def _show_end(document: dict[str, Any], command: str) -> None:
    if document["entry"] is not None:
        show_text(f"posted in window {document['window']}, journal entry {document['entry']}")
    elif document["proposal"] is None:
        show_text("预览,未提交 / preview: nothing is proposed")
    else:
        name = document["proposal"]
        show_text(f"proposed as {name}; next, another person: clearing {command} DIR approve {name}")
