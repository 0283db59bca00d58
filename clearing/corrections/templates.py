"""What a correction posts: templates as data (``correction_templates.csv``), balanced line by line.

Every leg moves the same fen, so a template balances when its debit and credit lines do; REVERSE and UNDO have
no lines, they take back what is there.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from clearing.accounts import ACCOUNT_KINDS, MEMO_KINDS
from clearing.config import RESERVE
from clearing.posting import Chart

Account = tuple[str, int, int]
"""(account kind, participant, source of money)."""

Legs = Counter[Account]
"""Σ credits − Σ debits in fen per account."""

CARD_REFUND: Final = "card_refund"
"""What is owed to a cardholder: by the centre to its own, through the counterparty to a foreign one."""


@dataclass(frozen=True, slots=True)
class TemplateLeg:
    """One line: account kind, by which name its participant and source of money go, and the side."""

    kind: str
    party: str
    source: str
    credit: bool


def _load() -> dict[str, tuple[TemplateLeg, ...]]:
    found: dict[str, tuple[TemplateLeg, ...]] = {}
    with files("clearing").joinpath("correction_templates.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            leg = TemplateLeg(row["kind"], row["party"], row["source"], row["side"] == "credit")
            found[row["template"]] = (*found.get(row["template"], ()), leg)
    return found


TEMPLATES: Final = _load()
"""Legs by template name, in file order."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Who stands behind the names of a template; 0 = nobody named."""

    issuer: int = 0
    merchant: int = 0
    payer: int = 0
    payee: int = 0
    source: int = RESERVE
    bank: int = 0

    def participant(self, name: str, chart: Chart) -> int:
        """The participant a template calls ``name``."""
        return chart.centre if name == "centre" else int(getattr(self, name))

    def money(self, name: str, chart: Chart) -> int:
        """The source of money a template calls ``name``."""
        if name == "reserve":
            return RESERVE
        if name == "own":
            return chart.centre
        return self.source if name == "given" else int(getattr(self, name))


def legs_of(template: str, parties: Parties, fen: int, chart: Chart) -> Legs:
    """What ``fen`` post by a template; sums to zero."""
    assert fen > 0, "a correction moves money"
    legs: Legs = Counter()
    for leg in TEMPLATES[template]:
        account = account_of(leg, parties, chart)
        legs[account] += fen if leg.credit else -fen
    assert sum(legs.values()) == 0, f"template {template} balances"
    return nonzero(legs)


def account_of(leg: TemplateLeg, parties: Parties, chart: Chart) -> Account:
    """The account of one line."""
    owner = parties.participant(leg.party, chart)
    kind = leg.kind
    if kind == CARD_REFUND:
        kind = "refund_payable" if owner in chart.own_issuers else "counterparty_payable"
    return chart.kind(kind, owner), owner, parties.money(leg.source, chart)


def reversal_of(posted: Legs, issuer: int, chart: Chart) -> Legs:
    """Legs that take back what is left of a purchase: payees, payers and memo to zero, the card's part to its holder.

    The purse cannot be filled from here, so what it gave is owed as a refund; what was refunded, paid out or written
    off before stays as it is.

    Args:
        posted: what the purchase has on the accounts, earlier corrections included.
        issuer: of the card.
        chart: the centre's accounts.
    """
    legs: Legs = Counter({account: -fen for account, fen in posted.items() if account[0] in _TAKEN_BACK and fen})
    refund = TemplateLeg(CARD_REFUND, "issuer", "reserve", credit=True)
    legs[account_of(refund, Parties(issuer), chart)] -= sum(legs.values())
    return nonzero(legs)


_TAKEN_BACK: Final = frozenset(
    {
        "merchant_payable", "cardholder_payable", "cardholder_suspense", "fund_receivable", "insurer_receivable",
        "operator_borne", "memo_contra",
    }
)  # fmt: skip


def nonzero(legs: Legs) -> Legs:
    """The accounts that move."""
    return Counter({account: fen for account, fen in legs.items() if fen})


def joined(parts: list[Legs]) -> Legs:
    """The sum of several corrections' legs."""
    total: Legs = Counter()
    for part in parts:
        total.update(part)
    return nonzero(total)


def taken(legs: Legs) -> dict[Account, int]:
    """Fen taken out of each account that holds money on its own side: credits of liabilities, debits of assets.

    Stored value and card-side receivables are pools of many cards and not looked at here; memo accounts are.
    """
    found = {}
    for (kind, participant, source), fen in legs.items():
        if kind in _POOLED:
            continue
        out = fen if _debit_side(kind) else -fen
        if out > 0:
            found[kind, participant, source] = out
    return found


def held_on(accounts: Legs, account: Account) -> int:
    """Fen that lie on an account on its own side."""
    return -accounts[account] if _debit_side(account[0]) else accounts[account]


_POOLED: Final = frozenset({"stored_value", "memo_contra", "counterparty_payable"})


def _debit_side(kind: str) -> bool:
    if kind in MEMO_KINDS:
        return True
    return ACCOUNT_KINDS[kind].account_class in ("asset", "expense")
