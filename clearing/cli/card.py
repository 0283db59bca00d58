"""Card accounts: the citizen's statement, states, blacklist hits; a card number never stands on the line."""

from __future__ import annotations

import datetime
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.table import Table

from card_io.keys.passphrase import passphrase_from
from clearing.accounts import ACCOUNT_KINDS
from clearing.cli.app import (
    AsJson,
    Directory,
    Language,
    Now,
    PassphraseFd,
    PassphraseFile,
    Wait,
    app,
    language_of,
    show_or_json,
    show_text,
    stdout,
    wall_seconds,
    yuan,
)
from clearing.cli.corrections import By, Key, Reason, card_number, needed, signer
from clearing.status import STATUS_TEXT, ClearingStatus

if TYPE_CHECKING:
    from clearing.card_accounts.statement import CardStatement
    from clearing.card_accounts.states import StateRow

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
    "household": ("家庭合并账单", "Combined household bill"), "total": ("合计(元)", "Total"),
    "water": ("水费", "water"), "electricity": ("电费", "electricity"), "gas": ("燃气费", "gas"),
    "own": ("本卡缴费", "this card"), "other": ("家庭其他卡缴费", "another card of the household"),
    "deposit": ("卡押金(元)", "Deposit"), "refund": ("应退(元)", "Refunds due"),
    "issued": ("正常", "issued"), "lost": ("挂失", "lost"), "replaced": ("已补换", "replaced"),
    "closed": ("已销户", "closed"), "unknown": ("未登记", "not registered"),
}  # fmt: skip


@app.command()
def card(
    directory: Directory,
    action: Annotated[
        str, typer.Argument(metavar="[ACTION]", help="statement, state, approve or hits")
    ] = "statement",
    proposal: Annotated[str | None, typer.Argument(metavar="[PROPOSAL]", help="state to approve")] = None,
    state: Annotated[str | None, typer.Option(help="new state: issued, lost, replaced, closed")] = None,
    on: Annotated[datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="day of the new state")] = None,
    since: Annotated[datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="first day listed")] = None,
    until: Annotated[datetime.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="last day listed")] = None,
    reason: Reason = "",
    by: By = None,
    key: Key = None,
    now: Now = None,
    pdf: Annotated[Path | None, typer.Option(metavar="FILE", help="the statement typeset as PDF, too")] = None,
    language: Language = "zh",
    wait: Wait = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """A citizen's statement, its number from a prompt or standard input; states by two persons; blacklist hits."""
    from clearing.card_accounts.change import approve_state, propose_state
    from clearing.card_accounts.hits import blacklist_hits
    from clearing.card_accounts.statement import card_statement

    chosen = language_of(language)
    if action == "hits":
        hits = blacklist_hits(directory)
        show_or_json({"hits": hits}, as_json, lambda: _show_hits(hits))
        return
    passphrase = passphrase_from(file=passphrase_file, descriptor=passphrase_fd)
    moment = wall_seconds(now)
    if action == "state":
        if state is None or on is None:
            raise typer.BadParameter("a new state needs --state and --on", param_hint="state")
        change = _asked_state(directory, passphrase, state, on.date())
        told = propose_state(
            directory, change, reason=reason, passphrase=passphrase, by=signer(by, key), now=moment, wait=wait
        )
        show_or_json(asdict(told), as_json, lambda: _show_change(asdict(told)))
        return
    if action == "approve":
        named = needed(proposal, "PROPOSAL")
        told = approve_state(directory, named, passphrase=passphrase, by=signer(by, key), now=moment, wait=wait)
        show_or_json(asdict(told), as_json, lambda: _show_change(asdict(told)))
        return
    if action != "statement":
        raise typer.BadParameter("write statement, state, approve or hits", param_hint="ACTION")
    account = card_statement(
        directory,
        card_number(),
        passphrase=passphrase,
        since=None if since is None else since.date(),
        until=None if until is None else until.date(),
    )
    if pdf is not None:
        _typeset(account, directory, chosen, pdf)
    show_or_json(asdict(account), as_json, lambda: _show_statement(asdict(account), 0 if chosen == "zh" else 1))


def _typeset(told: CardStatement, directory: Path, language: Literal["zh", "en"], path: Path) -> None:
    from clearing.config import load_settings
    from clearing.durable import write_durably
    from clearing.report.citizen import citizen_document
    from clearing.report.typeset import pdf

    write_durably(path, pdf(citizen_document(told, load_settings(directory), language)))


def _asked_state(directory: Path, passphrase: str, state: str, day: datetime.date) -> StateRow:
    """The state that a command line asks for; a replaced card's successor is the second number."""
    from clearing.calendar import day_number
    from clearing.card_accounts.number import card_id_from
    from clearing.card_accounts.states import StateRow

    card_id = card_id_from(directory, passphrase, card_number())
    replaced_by = card_id_from(directory, passphrase, card_number()) if state == "replaced" else None
    return StateRow(card_id, state, day_number(day), replaced_by)


def _show_change(told: dict[str, Any]) -> None:
    for each in told["states"]:
        show_text(f"{each['card_id']}: {each['state']} {each['since']}  {each['reason']}")
    if told["entry"] is not None:
        show_text(f"journal entry {told['entry']}")
    else:
        show_text(
            f"proposed as {told['proposal']}; next, another person: clearing card DIR approve {told['proposal']}"
        )


def _show_statement(told: dict[str, Any], at: int) -> None:
    def word(name: str) -> str:
        return _WORDS[name][at]

    show_text(f"{word('card')} {told['card']}  {word('state')} {word(told['state'])}")
    for each in told["states"]:
        persons = " / ".join(each["persons"])
        show_text(f"  {word(each['state'])} {each['since']}  {each['reason']}  ({persons}; {each['entry']})")
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
    for month in told["household"]:
        show_text(f"{word('household')} {month['period']}: {word('total')} {yuan(month['total_fen'])}")
        for bill in month["bills"]:
            paid = word("own" if bill["own"] else "other")
            show_text(f"  {word(bill['commodity'])} {bill['account']}: {yuan(bill['fen'])}  {paid}")
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
