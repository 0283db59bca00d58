"""The kinds of accounts: what the ledger can owe, own, earn and note (``account_kinds.csv``, DESIGN §8).

An account is (kind, participant, source of money) within a window; balances are Σ credits − Σ debits in fen.
The class says on which side of a trial balance a kind stands; memo accounts record and owe nobody.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Literal, cast

AccountClass = Literal["asset", "liability", "income", "expense", "memo"]


@dataclass(frozen=True, slots=True)
class AccountKind:
    """One kind of account: its class, whether payments and collections settle it, and its names."""

    kind: str
    account_class: AccountClass
    settled: bool
    zh: str
    en: str


def _load() -> dict[str, AccountKind]:
    with files("clearing").joinpath("account_kinds.csv").open(encoding="utf-8") as file:
        return {
            row["kind"]: AccountKind(
                row["kind"], cast(AccountClass, row["class"]), row["settled"] == "1", row["zh"], row["en"]
            )
            for row in csv.DictReader(file)
        }


ACCOUNT_KINDS: Final = _load()
"""Account kind by name, in the order in which documents list them."""

MEMO_KINDS: Final = frozenset(kind for kind, each in ACCOUNT_KINDS.items() if each.account_class == "memo")
"""Kinds that record and owe nobody; left out of net positions."""

SETTLED_KINDS: Final = frozenset(kind for kind, each in ACCOUNT_KINDS.items() if each.settled)
"""Kinds that a payment or a collection settles."""
