"""What is due at a close: payments, collections, and what is not paid yet and why (docs/clearing-rules.md §12).

A pure function of cumulative balances, what live payments hold, agreements and calendar. Per (participant, source of
money); never set off across sources; a fund's shares go out of the fund's own account or as an advance, never out of
the reserve.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from clearing import calendar
from clearing.accounts import ACCOUNT_KINDS, MEMO_KINDS, SETTLED_KINDS
from clearing.agreements import BankAccount, Settlement, SourceAccount
from clearing.allotment import largest_remainder
from clearing.calendar import BusinessDays
from clearing.config import RESERVE, Settings
from clearing.payments.book import Amounts, PaymentBook

_ORDER: Final = {kind: at for at, kind in enumerate(ACCOUNT_KINDS)}


@dataclass
class Due:
    """What a close proposes.

    Attributes:
        payments: rows of the close entry's ``payments``.
        unpaid: participant, source, fen (positive is owed to it), reason.
        over_cap: participant, source, fen owed, cap.
    """

    payments: list[dict[str, Any]] = field(default_factory=list)
    unpaid: list[dict[str, Any]] = field(default_factory=list)
    over_cap: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Books:
    """What the rules look at; amounts credit positive."""

    settings: Settings
    days: BusinessDays
    window: int
    earlier: int
    balances: Amounts
    book: PaymentBook
    free: dict[tuple[int, int], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """(participant, source) → account kind → what is not spoken for."""

    @property
    def date(self) -> datetime.date:
        return calendar.date_of(self.window)

    @property
    def own(self) -> int:
        return self.settings.centre.id

    def total(self, kind: str, source: int) -> int:
        """Balance of a kind in one source of money, over all participants."""
        return sum(fen for (name, _, money), fen in self.balances.items() if name == kind and money == source)

    def account_of(self, source: int) -> tuple[int, SourceAccount] | None:
        """Bank and account that hold a source's money."""
        return next((each for each in self.settings.bank_accounts() if each[1].source == source), None)


def due_at_close(
    balances: Amounts, book: PaymentBook, settings: Settings, days: BusinessDays, *, window: int, earlier: int
) -> Due:
    """What is to be paid and collected at the close of a window.

    Args:
        balances: cumulative, fees and hold-backs of this close included.
        book: payments so far.
        settings: agreements and accounts in force.
        days: the business calendar.
        window: day number.
        earlier: the window closed before, or the one before this.

    Raises:
        ConfigError: a pay day would fall into a year without official holidays.
    """
    books = _Books(settings, days, window, earlier, balances, book)
    held = book.held()
    for account in balances.keys() | held.keys():
        kind, participant, source = account
        if fen := balances[account] - held[account]:
            books.free[participant, source][kind] = fen
    due = Due()
    shares: dict[int, list[_Claim]] = defaultdict(list)
    for (participant, source), amounts in sorted(books.free.items()):
        claim = _claim(books, participant, source, amounts, due)
        if claim is None:
            continue
        if claim.fen < 0 or source == RESERVE:
            _pay(books, due, claim, -claim.fen if claim.fen < 0 else claim.fen)
        else:
            shares[source].append(claim)
    for source in sorted({*shares, *_sources(books)}):
        _fund_shares(books, due, source, shares.get(source, []))
    due.payments.sort(key=lambda row: (row["participant"], row["source"], row["payment"]))
    due.unpaid.sort(key=lambda row: (row["participant"], row["source"], row["reason"]))
    return due


@dataclass(frozen=True)
class _Claim:
    """What one participant has to get (or, below 0, to give) of one source of money now."""

    participant: int
    source: int
    fen: int
    amounts: dict[str, int]
    agreement: Settlement
    pay_day: int


def _claim(books: _Books, participant: int, source: int, amounts: dict[str, int], due: Due) -> _Claim | None:
    """The claim of a pair, None (and a line of ``unpaid``) when nothing is to be done about it at this close."""
    amounts = _settled_amounts(books, participant, source, amounts)
    fen = sum(amounts.values())
    if not fen:
        return None
    agreement = books.settings.settlement(participant, books.date)
    if agreement is None:
        if participant != books.own:
            _leave(due, participant, source, fen, "no_agreement")
        return None
    if agreement.debit_cap is not None and -fen > agreement.debit_cap:
        due.over_cap.append({"participant": participant, "source": source, "fen": -fen, "cap": agreement.debit_cap})
    pay_day = books.days.pay_day_at_close(books.window, books.earlier, agreement.when)
    reason = (
        "not_due"
        if pay_day is None
        else "carried"
        if fen < 0 and agreement.debts == "carry"
        else "below_minimum"
        if 0 < fen < agreement.minimum_payout
        else "no_account"
        if agreement.account is None and participant != books.own
        else ""
    )
    if reason or pay_day is None:
        _leave(due, participant, source, fen, reason)
        return None
    return _Claim(participant, source, fen, amounts, agreement, pay_day)


def _settled_amounts(books: _Books, participant: int, source: int, amounts: dict[str, int]) -> dict[str, int]:
    """The balances that payments settle; the centre itself gets its fees swept and its advances back."""
    if participant != books.own:
        return {kind: fen for kind, fen in amounts.items() if kind in SETTLED_KINDS and kind != "fund_advance"}
    if source == books.own:
        return {}
    if source == RESERVE:
        fees = amounts.get("fee_income", 0) + amounts.get("own_funds", 0)
        return {"own_funds": fees} if fees > 0 else {}
    return {}


def _leave(due: Due, participant: int, source: int, fen: int, reason: str) -> None:
    due.unpaid.append({"participant": participant, "source": source, "fen": fen, "reason": reason})


def _sources(books: _Books) -> set[int]:
    """Sources of money besides the reserve and the centre's own in which anything stands."""
    return {source for _, source in books.free} - {RESERVE, books.own}


def _fund_shares(books: _Books, due: Due, source: int, claims: list[_Claim]) -> None:
    """What a fund has paid goes first to the reserve for picked-up benefits, then to the centre for its advances,
    then to the payees of its shares; benefits not yet picked up stay. An advance agreement pays payees at once.
    """
    cash = (
        -books.total("bank_account", source)
        - books.total("payment_in_transit", source)
        - books.total("bank_difference", source)
        - books.book.cash_held(source)
    )
    cash -= _own_claim(books, due, source, cash, "transfer", RESERVE, _owed_to_reserve(books, source))
    cash -= max(books.total("pending_load", source), 0)
    advanced = books.free.get((books.own, source), {}).get("fund_advance", 0)
    cash -= _own_claim(books, due, source, cash, "repayment", books.own, advanced)
    whole = sum(claim.fen for claim in claims)
    advance = books.settings.advance(source, books.date)
    if advance is not None and whole:
        outstanding = books.total("fund_advance", source) + books.book.advances_held(source)
        if advance.limit is None or outstanding + whole <= advance.limit:
            for claim in claims:
                _pay(books, due, claim, claim.fen, advance=True)
            return
    parts = largest_remainder(min(max(cash, 0), whole), [claim.fen for claim in claims]) if claims else []
    for claim, part in zip(claims, parts, strict=True):
        if part and not _pay(books, due, claim, part):
            part = claim.fen
        if part < claim.fen:
            _leave(due, claim.participant, source, claim.fen - part, "awaiting_fund")


def _owed_to_reserve(books: _Books, source: int) -> int:
    """What a source owes the reserve for benefits picked up onto cards: its accounts do not sum to zero any more.

    A transfer that was ordered has left ``between_sources`` and stands in transit or as paid: it lessens the sum.
    """
    kinds = MEMO_KINDS | {"between_sources"}
    own = sum(fen for (kind, _, money), fen in books.balances.items() if money == source and kind not in kinds)
    waiting = sum(
        int(payment.proposed["fen"])
        for payment in books.book.live()
        if payment.proposed["purpose"] == "transfer" and payment.proposed["source"] == source
    )
    return max(-own - waiting, 0)


def _own_claim(books: _Books, due: Due, source: int, cash: int, purpose: str, target: int, owed: int) -> int:
    """A transfer between the centre's accounts, as far as the money is there; returns what is spoken for."""
    fen = min(max(cash, 0), owed)
    accounts = books.account_of(source), books.account_of(target)
    agreement = books.settings.settlement(books.own, books.date)
    if fen <= 0 or agreement is None or accounts[0] is None or accounts[1] is None:
        return owed
    kind = "between_sources" if purpose == "transfer" else "fund_advance"
    claim = _Claim(books.own, source, fen, {kind: fen}, agreement, books.days.first_from(books.window + 1))
    suffix = "R" if purpose == "transfer" else "A"
    due.payments.append(_row(books, claim, fen, accounts[0], purpose, accounts[1], suffix))
    return owed


def _pay(books: _Books, due: Due, claim: _Claim, fen: int, *, advance: bool = False) -> bool:
    """Propose a payment or collection of ``fen``; without an account of the centre to use it stays unpaid."""
    sweep = claim.participant == books.own
    ours = books.account_of(books.own if advance else claim.source)
    theirs = books.account_of(books.own) if sweep else None
    if ours is None or (sweep and theirs is None):
        _leave(due, claim.participant, claim.source, claim.fen, "no_bank_account")
        return False
    purpose = "advance" if advance else "sweep" if sweep else "settlement"
    due.payments.append(_row(books, claim, fen, ours, purpose, theirs))
    return True


def _row(
    books: _Books,
    claim: _Claim,
    fen: int,
    ours: tuple[int, SourceAccount],
    purpose: str,
    theirs: tuple[int, SourceAccount] | None = None,
    suffix: str = "",
) -> dict[str, Any]:
    """A payment as it stands in the close entry: all that approval, files and answers need."""
    collect = claim.fen < 0
    name = f"{books.date:%Y%m%d}-{claim.participant}-{claim.source}"
    account: BankAccount | None = theirs[1] if theirs is not None else claim.agreement.account
    assert account is not None, "claims without an account were left out"
    return {
        "payment": f"{name}-{suffix}" if suffix else name,
        "participant": claim.participant,
        "source": claim.source,
        "direction": "collect" if collect else "pay",
        "fen": fen,
        "purpose": purpose,
        "pay_date": calendar.date_of(claim.pay_day).isoformat(),
        "legs": legs_of(claim.amounts, -fen if collect else fen),
        "bank": ours[0],
        "from_source": ours[1].source,
        "ours": account_document(ours[1]),
        "theirs": account_document(account),
        "to_source": None if theirs is None else theirs[1].source,
        "to_bank": None if theirs is None else theirs[0],
        "mandate": mandate_document(claim.agreement) if collect else None,
    }


def mandate_document(agreement: Settlement) -> dict[str, str] | None:
    """The mandate of an agreement as entries and files name it."""
    mandate = agreement.mandate
    return None if mandate is None else {"id": mandate.id, "signed": mandate.signed.isoformat()}


def account_document(account: BankAccount) -> dict[str, str]:
    """An account as entries and files name it."""
    return {"number": account.number, "bank_code": account.bank_code, "name": account.name}


def legs_of(amounts: dict[str, int], fen: int) -> list[list[Any]]:
    """What a payment of ``fen`` takes of each account kind: all that stands against it, then kinds in their order."""
    against = {kind: have for kind, have in amounts.items() if have * fen < 0}
    legs = dict(against)
    rest = fen - sum(against.values())
    for kind in sorted(amounts.keys() - against.keys(), key=_ORDER.__getitem__):
        part = min(amounts[kind], rest) if fen > 0 else max(amounts[kind], rest)
        legs[kind] = part
        rest -= part
    assert rest == 0, "a payment is at most what is due"
    return [[kind, legs[kind]] for kind in sorted(legs, key=_ORDER.__getitem__) if legs[kind]]


def hold_backs(
    net: Counter[tuple[int, int]], earlier: list[dict[str, Any]], settings: Settings, *, window: int, after: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What a close keeps of each payee's window and what it releases of earlier ones.

    Args:
        net: (participant, source) → what the window adds to what it is owed, after fees.
        earlier: rows that earlier closes kept (``held``).
        settings: agreements in force.
        window: day number.
        after: the window closed before; what was to be released up to then has been.

    Returns:
        Rows kept (participant, source, fen, until) and rows released (participant, source, fen).
    """
    date, kept = calendar.date_of(window), []
    for (participant, source), fen in sorted(net.items()):
        agreement = settings.settlement(participant, date)
        if source != RESERVE or fen <= 0 or agreement is None or agreement.hold_back is None:
            continue
        part = (fen * agreement.hold_back.bps + 5000) // 10000
        if part:
            until = window + agreement.hold_back.release_days
            kept.append({"participant": participant, "source": source, "fen": part, "until": until})
    released: Counter[tuple[int, int]] = Counter()
    for row in earlier:
        if after < row["until"] <= window:
            released[row["participant"], row["source"]] += row["fen"]
    rows = [{"participant": who, "source": source, "fen": fen} for (who, source), fen in sorted(released.items())]
    return kept, rows
