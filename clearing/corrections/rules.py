"""What may be corrected how (``correction_rules.csv``), and why not: pure functions over one subject."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Final

from clearing.calendar import date_of
from clearing.config import RESERVE, Settings, WriteOff
from clearing.corrections.subject import CardSubject, Subject, reference_of
from clearing.corrections.templates import (
    TEMPLATES,
    Account,
    Legs,
    Parties,
    TemplateLeg,
    account_of,
    held_on,
    legs_of,
    nonzero,
    reversal_of,
    taken,
)
from clearing.errors import RefusedError
from clearing.posting import Chart
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition


@dataclass(frozen=True, slots=True)
class Rule:
    """Which subjects a template is for, and by what its amount is limited.

    Of a bank line, dispositions are its direction (none: an answer), services the source of money, statuses outcomes.
    """

    template: str
    subject: str
    dispositions: frozenset[str]
    services: frozenset[str]
    statuses: frozenset[str]
    limit: str
    zh: str
    en: str


def _load() -> dict[str, Rule]:
    with files("clearing").joinpath("correction_rules.csv").open(encoding="utf-8") as file:
        return {
            row["template"]: Rule(
                row["template"],
                row["subject"],
                frozenset(row["dispositions"].split()),
                frozenset(row["services"].split()),
                frozenset(row["statuses"].split()),
                row["limit"],
                row["zh"],
                row["en"],
            )
            for row in csv.DictReader(file)
        }


RULES: Final = _load()
"""Rule by template, in the order documents list them."""


@dataclass(frozen=True, slots=True)
class Item:
    """One correction as persons ask for it. ``fen`` None = all there is; 0 as a party = nobody named.

    ``linked_txn_id`` is the transaction whose money this one moves on (a refund that a load pays). ``bank_line`` is
    ``ENTRY:LINE`` of a bank file, ``linked_line`` the receipt that leaves again with it, ``payment`` the one it is.
    """

    template: str
    reason: str
    txn_id: int | None = None
    card_id: int | None = None
    linked_txn_id: int | None = None
    undoes: str | None = None
    fen: int | None = None
    merchant: int = 0
    payer: int = 0
    payee: int = 0
    source: int = RESERVE
    bank_line: str | None = None
    linked_line: str | None = None
    payment: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A correction that may be posted: the item with every party and amount named, and its legs."""

    item: Item
    issuer: int
    legs: Legs

    @property
    def parties(self) -> Parties:
        """Who stands behind the names of the template."""
        each = self.item
        return Parties(self.issuer, each.merchant, each.payer, each.payee, each.source)


def allowed_for(subject: Subject) -> list[str]:
    """Templates that the rules allow for a transaction with money on the account they take it from."""
    disposition = Disposition(subject.disposition).name.lower()
    status = ClearingStatus(subject.status).name
    lies = {kind for (kind, _, _), fen in subject.accounts.items() if fen}
    return [
        rule.template
        for rule in RULES.values()
        if rule.subject == "transaction"
        and subject.service in rule.services
        and disposition in rule.dispositions
        and (not rule.statuses or status in rule.statuses)
        and (rule.template == "REVERSE" or TEMPLATES[rule.template][0].kind in lies)
    ]


def refused(item: Item, what: str, remedy: str) -> RefusedError:
    """A refusal that names the correction it is about."""
    where = item.undoes or "card"
    if item.txn_id is not None:
        where = reference_of(item.txn_id)
    elif item.bank_line is not None:
        where = item.bank_line
    elif item.card_id is None and item.undoes is None:
        where = f"{item.payer} → {item.payee}"
    return RefusedError(what, where=f"{item.template} {where}", remedy=remedy)


def decide_transaction(item: Item, subject: Subject, linked: Subject | None, settings: Settings) -> Decided:
    """A correction of a transaction with everything named, or why not.

    Args:
        item: what is asked.
        subject: the transaction as it stands, earlier corrections included.
        linked: the other transaction, when the item names one.
        settings: participants and dated policy.

    Raises:
        RefusedError: naming the rule and what to do.
    """
    rule, chart = RULES[item.template], Chart.of(settings)
    _check_subject(item, rule, subject, settings)
    if item.template == "REVERSE":
        return _reversal(item, subject, chart)
    accounts = subject.accounts if linked is None else _together(subject.accounts, linked.accounts)
    issuer = linked.issuer if linked is not None else subject.issuer
    item = _with_parties(item, subject, accounts, settings)
    parties = Parties(issuer, item.merchant, item.payer, item.payee, item.source)
    first = account_of(_taken_leg(item.template), parties, chart)
    available = held_on(accounts, first)
    fen = available if item.fen is None else item.fen
    if fen <= 0:
        why = "nothing is left on it" if available <= 0 else "an amount is above zero"
        raise refused(item, f"{_named(first)}: {why}", "see the transaction: clearing explain")
    item = replace(item, fen=fen)
    _check_limit(item, rule, subject, settings)
    legs = legs_of(item.template, parties, fen, chart)
    if not legs:
        raise refused(item, "who gives and who gets are one: it would move nothing", "name another payee: --payee")
    own = {account_of(leg, parties, chart) for leg in TEMPLATES[item.template] if leg.party != "payer"}
    _check_taken(item, Counter({account: moved for account, moved in legs.items() if account in own}), accounts)
    return Decided(item, issuer, legs)


def _check_subject(item: Item, rule: Rule, subject: Subject, settings: Settings) -> None:
    """Service, disposition and status; and whether the engine may still decide the row itself."""
    if subject.service not in rule.services:
        raise refused(item, f"not for service {subject.service}", f"it is for {', '.join(sorted(rule.services))}")
    disposition = Disposition(subject.disposition).name.lower()
    status = ClearingStatus(subject.status)
    if disposition not in rule.dispositions:
        raise refused(
            item,
            f"the row is {disposition}, {status.name}: {STATUS_TEXT[status].zh} / {STATUS_TEXT[status].en}",
            f"only rows that are {' or '.join(sorted(rule.dispositions))} can be corrected so",
        )
    if rule.statuses and status.name not in rule.statuses:
        raise refused(
            item, f"a row held as {status.name} is never paid so", f"statuses: {', '.join(sorted(rule.statuses))}"
        )
    if subject.rival is not None and item.template in ("RELEASE", "RELEASE_LOAD"):
        raise refused(item, f"{reference_of(subject.rival)} is paid; only one of the two can be", "undo that first")
    if subject.cancels:
        raise refused(item, "the row is itself a cancellation", "correct the settlement it cancels")
    if subject.undecided is not None:
        raise refused(item, subject.undecided, "wait: until then the row may still be decided otherwise")


def _reversal(item: Item, subject: Subject, chart: Chart) -> Decided:
    if subject.service == "load":
        legs = nonzero(Counter({account: -fen for account, fen in subject.accounts.items()}))
        if sum(legs.values()):
            raise refused(item, "the load has paid a refund", "undo that first")
    else:
        legs = reversal_of(subject.accounts, subject.issuer, chart)
    if not legs:
        raise refused(item, "the transaction is reversed already", "see it: clearing explain")
    fen = sum(amount for amount in legs.values() if amount > 0)
    if item.fen not in (None, fen):
        raise refused(item, f"a reversal takes back everything, {fen} fen", "leave the amount out, or refund a part")
    return Decided(replace(item, fen=fen, merchant=subject.merchant), subject.issuer, legs)


def _with_parties(item: Item, subject: Subject, accounts: Legs, settings: Settings) -> Item:
    """The item with merchant and payee named: whoever holds the money, where that is one."""
    leg, merchant = _taken_leg(item.template), item.merchant or subject.merchant
    if leg.party == "merchant" and not item.merchant:
        owners = sorted(
            {owner for (kind, owner, source), fen in accounts.items()
             if kind == leg.kind and fen and source == (item.source if leg.source == "given" else RESERVE)}
        )  # fmt: skip
        if len(owners) > 1:
            raise refused(item, f"several hold its money: {owners}", "name one of them: --merchant")
        merchant = owners[0] if owners else subject.merchant
    if any(each.party == "payer" for each in TEMPLATES[item.template]):
        require_agent(item, settings)
    if not any(each.party == "payee" for each in TEMPLATES[item.template]):
        return replace(item, merchant=merchant, payee=0)
    payee = item.payee or merchant
    require_participant(item, payee, settings)
    return replace(item, merchant=merchant, payee=payee)


def require_participant(item: Item, number: int, settings: Settings) -> None:
    """Refuse a payee that nobody registered, or that money cannot be owed to."""
    kinds = {each.id: each.kind for each in settings.participants}
    if kinds.get(number) not in ("operator", "merchant", "hospital", "utility"):
        raise refused(
            item, f"participant {number} takes no payments", "name an operator, merchant, hospital or utility"
        )


def require_agent(item: Item, settings: Settings) -> None:
    """Refuse a payer that is no load agent: who else takes and gives cash?"""
    if item.payer not in {each.id for each in settings.participants if each.kind == "agent"}:
        raise refused(item, f"{item.payer} is no load agent", "name who took or gave the cash: --payer")


def _taken_leg(template: str) -> TemplateLeg:
    """The line whose account gives the money: the first."""
    return TEMPLATES[template][0]


def _check_limit(item: Item, rule: Rule, subject: Subject, settings: Settings) -> None:
    assert item.fen is not None
    if item.fen > subject.amount and rule.limit == "taken":
        raise refused(
            item, f"{item.fen} fen are more than the transaction's {subject.amount}", "correct at most that"
        )
    if rule.limit == "aged":
        account = _taken_leg(item.template).kind
        check_write_off(item, account, subject.age_days, settings.policy.write_offs, subject.window)
    if rule.limit == "expired":
        _check_expiry(item, subject, settings)


def check_write_off(item: Item, kind: str, age_days: int, policy: tuple[WriteOff, ...], window: int) -> None:
    """Refuse a write-off that no policy of the day allows."""
    assert item.fen is not None
    terms = [each for each in policy if each.account == kind and each.covers(date_of(window))]
    if not terms:
        raise refused(item, f"no policy of the day writes off {kind}", "policy.write_offs in centre.yaml")
    if age_days < terms[0].after_days:
        raise refused(item, f"open for {age_days} days, not {terms[0].after_days}", "wait, or decide it otherwise")
    if item.fen > terms[0].max_fen:
        raise refused(item, f"{item.fen} fen are above {terms[0].max_fen}", "decide it otherwise")


def _check_expiry(item: Item, subject: Subject, settings: Settings) -> None:
    terms = [each for each in settings.policy.benefit_expiry if each.covers(date_of(subject.window))]
    if not terms:
        raise refused(item, "benefits do not expire on that date", "policy.benefit_expiry in centre.yaml")
    if subject.age_days <= terms[0].after_days:
        raise refused(item, f"open for {subject.age_days} days of {terms[0].after_days}", "wait for the deadline")
    if subject.picked_up is not None:
        raise refused(item, f"picked up by {reference_of(subject.picked_up)}", "nothing is left to expire")


def _check_taken(item: Item, legs: Legs, accounts: Legs) -> None:
    """Nothing leaves an account of the transaction that the transaction did not put there."""
    for account, fen in taken(legs).items():
        there = held_on(accounts, account)
        if account[0] in _DRAWN_ON and there < fen:
            raise refused(
                item, f"{fen} fen of {_named(account)}, where the transaction has {there}", "take at most that"
            )


def check_undo(item: Item, backwards: Legs, subject: Subject) -> None:
    """Refuse to take back what has moved on since, or what a dispute is about."""
    if subject.undecided is not None:
        raise refused(item, subject.undecided, "wait: until then the row may still be decided otherwise")
    _check_taken(item, backwards, subject.accounts)


def check_card_undo(item: Item, backwards: Legs, card: CardSubject) -> None:
    """Refuse to take back what the card no longer has: a refund that was paid, a deposit given back."""
    for account, fen in taken(backwards).items():
        there = held_on(card.accounts, account)
        if account[0] in ("refund_payable", "card_deposit", "overdraft") and there < fen:
            raise refused(
                item, f"{fen} fen of {_named(account)}, where the card has {there}", "undo what followed first"
            )


_DRAWN_ON: Final = frozenset(
    {
        "merchant_payable", "cardholder_payable", "cardholder_suspense", "suspense_payable", "pending_load",
        "refund_payable", "provisional_credit", "dispute_receivable", "provisional_receivable", "agent_receivable",
        "counterparty_receivable", "fund_receivable", "held_memo", "rejected_memo", "load_claim",
    }
)  # fmt: skip
"""Kinds of which a correction takes at most what its transaction has there."""


def _named(account: Account) -> str:
    kind, participant, source = account
    return f"{kind} {participant}" + ("" if source == RESERVE else f" from {source}")


def _together(one: Legs, other: Legs) -> Legs:
    both = one.copy()
    both.update(other)
    return both


def decide_participants(item: Item, settings: Settings) -> Decided:
    """An adjustment between participants: two different ones, a named amount."""
    known = {p.id: p.kind for p in settings.participants}
    for name in ("payer", "payee"):
        if getattr(item, name) not in known:
            raise refused(item, f"{name} {getattr(item, name)} is no participant", f"name one: --{name}")
    require_participant(item, item.payee, settings)
    if item.payer == item.payee:
        raise refused(item, "payer and payee are one", "name two")
    if item.fen is None or item.fen <= 0:
        raise refused(item, "no amount", "name one above zero: --fen")
    if item.source != RESERVE and known.get(item.source) not in ("fund", "insurer"):
        raise refused(item, f"{item.source} is no source of money", "name a fund, or leave it out for the reserve")
    parties = Parties(0, item.merchant, item.payer, item.payee, item.source)
    return Decided(item, 0, legs_of(item.template, parties, item.fen, Chart.of(settings)))


def decide_card(item: Item, card: CardSubject, settings: Settings) -> Decided:
    """A correction of a card's own money, within its balance, its state and the dated policy."""
    rule, chart = RULES[item.template], Chart.of(settings)
    if rule.statuses and card.state not in rule.statuses:
        raise refused(item, f"the card is {card.state}", f"only cards that are {' or '.join(sorted(rule.statuses))}")
    if card.issuer not in chart.own_issuers:
        raise refused(item, "the card is not ours", "its issuer keeps its balance")
    fen = card.available(rule.limit) if item.fen is None else item.fen
    if rule.limit != "free" and fen > card.available(rule.limit):
        raise refused(item, f"{fen} fen, where {card.available(rule.limit)} are there", "take at most that")
    if fen <= 0:
        raise refused(item, "there is nothing to move", "see the card: clearing card")
    item = replace(item, fen=fen)
    if any(leg.party == "payer" for leg in TEMPLATES[item.template]):
        require_agent(item, settings)
    if rule.limit in ("waited", "residue"):
        _check_waiting(item, card, settings)
    if rule.limit == "residue":
        check_write_off(item, "stored_value", card.state_days, settings.policy.write_offs, card.window)
    parties = Parties(card.issuer, item.merchant, item.payer, item.payee, RESERVE)
    return Decided(item, card.issuer, legs_of(item.template, parties, fen, chart))


def _check_waiting(item: Item, card: CardSubject, settings: Settings) -> None:
    terms = [each for each in settings.policy.card_refunds if each.covers(date_of(card.window))]
    if not terms:
        raise refused(item, "no policy of the day gives balances back", "policy.card_refunds in centre.yaml")
    if card.state_days < terms[0].after_days:
        raise refused(
            item,
            f"{card.state} for {card.state_days} days, not {terms[0].after_days}",
            "wait: uses may come in",
        )
