"""Plain-text accounting journals of all postings: one for hledger and Ledger, one for beancount.

Both name accounts alike: ``Class:Kind:Participant:Source``, for instance ``Liabilities:Merchant-payable:211:Reserve``
or ``…:211:Fund-901``. Our credits are positive, theirs negative. One transaction is one journal entry in one window,
dated by the window; what only records stands in transactions of its own, under ``Memo`` (beancount knows five roots:
``Equity:Memo``).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TextIO

from clearing.config import RESERVE, Settings
from clearing.payments.money_text import yuan_of
from clearing.store import Store, sql_text

COMMODITY: Final = "CNY"

_ROOTS: Final = {
    "asset": "Assets", "liability": "Liabilities", "income": "Income", "expense": "Expenses", "memo": "Memo",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transaction:
    """The legs of one journal entry in one window: (account, fen with debits positive), which sum to zero."""

    date: datetime.date
    entry: int
    what: str
    memo: bool
    legs: tuple[tuple[str, int], ...]


def account_name(account_class: str, kind: str, participant: int, source: int) -> str:
    """Name of an account in both journals; :data:`RESERVE` is the reserve, others the fund's number."""
    money = "Reserve" if source == RESERVE else f"Fund-{source}"
    return f"{_ROOTS[account_class]}:{kind.capitalize().replace('_', '-')}:{participant}:{money}"


def transactions(store: Store) -> Iterator[Transaction]:
    """Every journal entry's postings by window, memo accounts apart; each transaction sums to zero."""

    def together(row: dict[str, Any]) -> tuple[datetime.date, int, str, bool]:
        return row["window"], row["entry"], row["entry_kind"], bool(row["memo"])

    for (date, entry, what, memo), rows in groupby(store.records(sql_text("export/postings")), key=together):
        legs = tuple(
            (account_name(row["class"], row["kind"], row["participant"], row["source"]), -row["fen"]) for row in rows
        )
        yield Transaction(date, entry, what, memo, legs)


def write_hledger(store: Store, settings: Settings, out: TextIO) -> None:
    """A journal that hledger (``check``, ``balance``) and Ledger read alike."""
    out.write(f"; {_title(settings)}\ncommodity 1000.00 {COMMODITY}\n\n")
    for account in store.records(sql_text("export/accounts")):
        out.write(f"account {_name_of(account)}\n    ; {_description(account)}\n")
    for each in transactions(store):
        memo = " (memo)" if each.memo else ""
        out.write(f"\n{each.date} * ({each.entry}) {each.what}{memo}\n")
        for leg, fen in each.legs:
            out.write(f"    {leg}  {yuan_of(fen)} {COMMODITY}\n")


def write_beancount(store: Store, settings: Settings, out: TextIO) -> None:
    """A journal that ``bean-check`` takes: accounts are opened on their first window."""
    title = _title(settings).replace('"', "'")
    out.write(f'option "title" "{title}"\noption "operating_currency" "{COMMODITY}"\n\n')
    for account in store.records(sql_text("export/accounts")):
        out.write(
            f"{account['first_window']} open {_rooted(_name_of(account))} {COMMODITY} ; {_description(account)}\n"
        )
    for each in transactions(store):
        memo = " (memo)" if each.memo else ""
        out.write(f'\n{each.date} * "{each.what}{memo}"\n  entry: {each.entry}\n')
        for leg, fen in each.legs:
            out.write(f"  {_rooted(leg)}  {yuan_of(fen)} {COMMODITY}\n")


def _rooted(account: str) -> str:
    """The account under one of beancount's five roots."""
    return f"Equity:{account}" if account.startswith("Memo:") else account


def _name_of(account: dict[str, Any]) -> str:
    return account_name(account["class"], account["kind"], account["participant"], account["source"])


def _description(account: dict[str, Any]) -> str:
    """Names in both languages on one line; participant 0 is a payee nobody registered."""
    whose = f"{account['name_zh'] or '-'} / {account['name_en'] or '-'}"
    return " ".join(f"{account['zh']} / {account['en']} — {whose}".split())


def _title(settings: Settings) -> str:
    name = settings.centre.name
    simulated = " (模拟 simulated)" if settings.centre.simulated else ""
    return " ".join(f"{name.zh} / {name.en}{simulated}".split())
