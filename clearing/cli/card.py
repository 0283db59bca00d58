"""Card accounts: the citizen's statement, states, blacklist hits; a card number never stands on the line."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from card_io.keys.passphrase import passphrase_from
from clearing.accounts import ACCOUNT_KINDS
from clearing.cli.app import (
    AsJson,
    Directory,
    Language,
    PassphraseFd,
    PassphraseFile,
    Wait,
    app,
    language_of,
    show_or_json,
    show_text,
    stdout,
    yuan,
)
from clearing.cli.corrections import card_number
from clearing.status import STATUS_TEXT, ClearingStatus

_WORDS: Final = {
    "card": ("卡号", "Card"), "state": ("状态", "State"), "listed": ("黑名单", "Blacklisted"),
    "transactions": ("交易明细", "Transactions"), "time": ("时间", "Time"), "service": ("业务", "Service"),
    "merchant": ("商户", "Merchant"), "amount": ("金额(元)", "Yuan"), "balance": ("卡余额(元)", "Card balance"),
    "result": ("结果", "Result"), "benefits": ("补贴", "Benefits"), "granted": ("发放(元)", "Granted"),
    "picked_up": ("已领取", "picked up"), "waiting": ("待领取", "waiting"),
    "corrections": ("更正与退款", "Corrections"),
    "purse": ("钱包", "Purse"), "shadow": ("影子余额(元)", "Shadow balance"), "unseen": ("差额(元)", "Unseen"),
    "loads": ("充值", "Loads"), "debits": ("消费", "Debits"), "gap": ("缺号", "Missing records"),
    "impossible": ("不可能余额", "Impossible balance"), "open": ("未结事项", "Open items"),
    "deposit": ("卡押金(元)", "Deposit"), "refund": ("应退(元)", "Refunds due"),
    "issued": ("正常", "issued"), "lost": ("挂失", "lost"), "replaced": ("已补换", "replaced"),
    "closed": ("已销户", "closed"), "unknown": ("未登记", "not registered"),
}  # fmt: skip


@app.command()
def card(
    directory: Directory,
    action: Annotated[str, typer.Argument(metavar="[ACTION]", help="statement, state or hits")] = "statement",
    state: Annotated[str | None, typer.Option(help="new state: issued, lost, replaced, closed")] = None,
    on: Annotated[datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="day of the new state")] = None,
    since: Annotated[datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="first day listed")] = None,
    until: Annotated[datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="last day listed")] = None,
    language: Language = "zh",
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """A citizen's statement, its number from a prompt or standard input; card states; blacklist hits by terminal."""
    from clearing.card_accounts.hits import blacklist_hits
    from clearing.card_accounts.statement import card_statement

    chosen = language_of(language)
    if action == "hits":
        hits = blacklist_hits(directory)
        show_or_json({"hits": hits}, as_json, lambda: _show_hits(hits))
        return
    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    if action == "state":
        if state is None or on is None:
            raise typer.BadParameter("a new state needs --state and --on", param_hint="state")
        document = _new_state(directory, passphrase, state, on.date(), wait)
        show_or_json(document, as_json, lambda: show_text(f"{document['card']}: {state} {on.date()}"))
        return
    if action != "statement":
        raise typer.BadParameter("write statement, state or hits", param_hint="ACTION")
    told = card_statement(
        directory,
        card_number(),
        passphrase=passphrase,
        since=None if since is None else since.date(),
        until=None if until is None else until.date(),
    )
    show_or_json(asdict(told), as_json, lambda: _show_statement(asdict(told), 0 if chosen == "zh" else 1))


def _new_state(directory: Path, passphrase: str, state: str, day: datetime.date, wait: float) -> dict[str, Any]:
    from card_io.records import mask_card
    from clearing.calendar import day_number
    from clearing.card_accounts.number import card_id_from
    from clearing.card_accounts.states import StateRow, add_state
    from clearing.engine import opened

    number = card_number()
    card_id = card_id_from(directory, passphrase, number)
    replaced_by = card_id_from(directory, passphrase, card_number()) if state == "replaced" else None
    with opened(directory, passphrase, wait=wait, purpose="clearing card") as (centre, _):
        add_state(directory, centre.registers, StateRow(card_id, state, day_number(day), replaced_by))
    return {"card": mask_card(number), "state": state, "since": day.isoformat()}


def _show_statement(told: dict[str, Any], at: int) -> None:
    def word(name: str) -> str:
        return _WORDS[name][at]

    show_text(f"{word('card')} {told['card']}  {word('state')} {word(told['state'])}")
    for entry in told["blacklisted"]:
        show_text(f"{word('listed')} {entry['published_at']} – {entry['removed_at'] or ''}")
    table = Table(
        *(word(n) for n in ("time", "service", "merchant", "amount", "balance", "result")), title=word("transactions")
    )
    for row in told["transactions"]:
        fen = row["amount"] if row["loads"] else -row["amount"]
        status = STATUS_TEXT[ClearingStatus[row["status"]]]
        balance = "" if row["balance_after"] is None else yuan(row["balance_after"])
        cells = (row["txn_time"] or "", row["service"], str(row["merchant_id"]), yuan(fen), balance)
        table.add_row(*cells, (status.zh, status.en)[at])
    stdout.print(table)
    for row in told["benefits"]:
        picked = word("picked_up" if row["picked_up"] else "waiting")
        show_text(f"{word('benefits')} {row['benefit_id']}: {word('granted')} {yuan(row['granted'])}, {picked}")
    for row in told["corrections"]:
        show_text(f"{word('corrections')} {row['adjustment']}: {row['template']} {yuan(row['fen'])}  {row['reason']}")
    for purse in told["purses"]:
        show_text(
            f"{word('purse')} {purse['purse_kind']}: {word('loads')} {yuan(purse['loads'])}, {word('debits')} "
            f"{yuan(purse['debits'])}, {word('shadow')} {yuan(purse['shadow'])}, {word('balance')} "
            f"{yuan(purse['card'])}, {word('unseen')} {yuan(purse['unseen'])}"
        )
        for gap in purse["gaps"]:
            show_text(f"  {word('gap')} {word('loads' if gap['loads'] else 'debits')} {gap['first']}–{gap['last']}")
        for each in purse["impossible"]:
            show_text(f"  {word('impossible')} {each['reason']} {yuan(each['fen'])}")
    for row in told["open_items"]:
        kind = ACCOUNT_KINDS[row["kind"]]
        show_text(f"{word('open')} {_reference(row['txn_id'])}: {(kind.zh, kind.en)[at]} {yuan(abs(row['fen']))}")
    show_text(f"{word('deposit')} {yuan(told['deposit_fen'])}  {word('refund')} {yuan(told['refund_due_fen'])}")


def _reference(txn_id: int) -> str:
    return f"{txn_id >> 32}:{txn_id & 0xFFFFFFFF}"


def _show_hits(hits: list[dict[str, Any]]) -> None:
    table = Table("merchant", "terminal", "grace", "disposition", "uses", "cards", "yuan", "first", "last")
    for row in hits:
        grace = "宽限期内 within" if row["within_grace"] else "宽限期后 after"
        counts = (str(row["uses"]), str(row["cards"]), yuan(row["fen"]))
        table.add_row(
            str(row["merchant"]),
            row["terminal_id"],
            grace,
            row["disposition"],
            *counts,
            row["first_use"],
            row["last_use"],
        )
    stdout.print(table)
