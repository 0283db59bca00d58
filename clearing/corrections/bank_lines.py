"""Statement lines that fit no payment: what may be done about each, by two persons (docs/clearing-rules.md §14).

A line that no payment explains was booked against ``bank_difference``, so that our books say what the bank says. It
is open until corrections have moved all of that to where it belongs; one without money, until it was looked at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Final

from clearing.calendar import date_of, day_number
from clearing.config import RESERVE, Settings
from clearing.corrections.rules import RULES, Decided, Item, Rule, check_write_off, refused, require_participant
from clearing.corrections.templates import TEMPLATES, Legs, Parties, legs_of, nonzero
from clearing.payments.book import SENT, Payment
from clearing.posting import Chart
from clearing.store import Store, sql_text

_PAYERS: Final = {"BANK_FROM_AGENT": "agent", "BANK_FROM_COUNTERPARTY": "counterparty"}
"""Of which kind the participant is whose money came (or went) by templates that name one."""


@dataclass(frozen=True, slots=True)
class BankLine:
    """One line of a taken bank file as it stands.

    ``direction`` is empty for an answer, which moves nothing. ``open_fen`` of its difference nothing explains yet
    (above 0: money came in); ``returning_fen`` of what is to go back has not left; ``noted``: somebody looked at it.
    """

    name: str
    bank: int
    source: int
    direction: str
    fen: int
    outcome: str
    payment: str
    age_days: int
    window: int
    open_fen: int
    returning_fen: int = 0
    noted: bool = False


def bank_lines_of(store: Store, names: set[str], window: int) -> dict[str, BankLine]:
    """The open-ended lines of some names (``ENTRY:LINE``); a line that fitted a payment is none.

    Args:
        store: the projection, caught up with the journal.
        names: as people write them.
        window: in which corrections post now.
    """
    rows = store.records(sql_text("corrections/bank_lines"), {"names": sorted(names)})
    return {row["name"]: _line(row, window) for row in rows}


def _line(row: dict[str, Any], window: int) -> BankLine:
    plain = {name: row[name] for name in ("name", "direction", "fen", "outcome", "payment", "open_fen", "noted")}
    return BankLine(
        **plain,
        bank=row["bank"] or 0,
        source=row["source"] or 0,
        age_days=window - day_number(row["since"]),
        window=window,
        returning_fen=row["returning_fen"],
    )


@dataclass
class BankBooks:
    """Lines and payments as they stand while a list of items is decided."""

    lines: dict[str, BankLine] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)

    def decide(self, item: Item, settings: Settings) -> Decided:
        """A correction of a line with everything named, or why not (raises RefusedError)."""
        line = self._named(item, item.bank_line)
        rule = RULES[item.template]
        _check_line(item, rule, line, settings)
        if rule.limit == "noted":
            return _noted(item, line)
        if not line.open_fen:
            raise refused(item, "nothing of the line is open", "see them: clearing adjust DIR bank-lines")
        if rule.limit == "payment":
            return self._matched(item, line, settings)
        if rule.limit == "returned":
            _check_returned(item, line, self._named(item, item.linked_line))
        return _plain(item, rule, line, settings)

    def _named(self, item: Item, name: str | None) -> BankLine:
        line = None if name is None else self.lines.get(name)
        if line is None:
            raise refused(item, f"no open line {name or 'is named'}", "see them: clearing adjust DIR bank-lines")
        return line

    def _matched(self, item: Item, line: BankLine, settings: Settings) -> Decided:
        """A payment that the line is about: settled, whatever the line names and by how much it differs."""
        name = item.payment or line.payment
        payment = self.payments.get(name)
        if payment is None:
            raise refused(item, f"there is no payment {name or 'named'}", "name it: --payment")
        if payment.status not in SENT:
            raise refused(item, f"payment {name} is {payment.status}", "only what is at the bank can be settled")
        row, chart = payment.due_by, Chart.of(settings)
        if (line.bank, line.source) != (row["bank"], row["from_source"]):
            raise refused(
                item, "the line is of another account", f"the payment is out of source {row['from_source']}"
            )
        if line.direction != ("debit" if row["direction"] == "pay" else "credit"):
            raise refused(item, f"a {line.direction} settles no {row['direction']}", "return it, or assign it")
        if line.open_fen != _signed(line):
            raise refused(item, "a part of the line is explained already", "undo that first")
        legs = Counter(payment.settle_postings(chart.centre))
        # The bank line posted the money at the bank against the difference; now that goes.
        legs["bank_account", line.bank, line.source] -= _signed_settlement(payment)
        legs["bank_difference", line.bank, line.source] -= line.open_fen
        rest = -sum(legs.values())
        if rest:
            legs.update(_rest(item, payment, rest, chart))
        return Decided(replace(item, fen=line.fen, payment=name, source=line.source), 0, nonzero(legs))

    def move(self, decided: Decided) -> None:
        """Let later items see this one."""
        item = decided.item
        if item.bank_line is None or item.bank_line not in self.lines:
            return
        line = self.lines[item.bank_line]
        moved = sum(fen for (kind, _, _), fen in decided.legs.items() if kind == "bank_difference")
        returning = sum(fen for (kind, _, _), fen in decided.legs.items() if kind == "bank_return")
        self.lines[line.name] = replace(
            line, open_fen=line.open_fen + moved, noted=line.noted or item.template == "BANK_NOTED"
        )
        of = self.lines.get(item.linked_line or line.name, line).name
        self.lines[of] = replace(self.lines[of], returning_fen=self.lines[of].returning_fen + returning)
        if item.payment in self.payments and RULES[item.template].limit == "payment":
            self.payments[item.payment].status = "settled"

    def check_undo(self, item: Item, backwards: Legs) -> None:
        """Refuse to take back what has moved on: a settled payment, money that has left (raises RefusedError)."""
        if item.payment is not None:
            raise refused(item, f"payment {item.payment} is settled", "what it still owes is a claim")
        returning = sum(fen for (kind, _, _), fen in backwards.items() if kind == "bank_return")
        name = item.linked_line or item.bank_line
        if name in self.lines and self.lines[name].returning_fen + returning < 0:
            raise refused(item, "the money has gone back", "undo that first")


def _signed(line: BankLine) -> int:
    return line.fen if line.direction == "credit" else -line.fen


def _signed_settlement(payment: Payment) -> int:
    """What settling posts to our account at the bank, credit positive."""
    fen = int(payment.due_by["fen"])
    return fen if payment.due_by["direction"] == "pay" else -fen


def _check_line(item: Item, rule: Rule, line: BankLine, settings: Settings) -> None:
    """Direction, source of money and outcome."""
    directions = rule.dispositions
    if (line.direction or "none") not in directions:
        raise refused(
            item, f"the line is {line.direction or 'an answer'}", f"it is for {' or '.join(sorted(directions))}"
        )
    kinds: dict[int, str] = {p.id: p.kind for p in settings.participants}
    source = "reserve" if line.source == RESERVE else kinds[line.source]
    source = "own" if source == "centre" else source
    if source not in rule.services:
        raise refused(item, f"the account holds money of {source}", f"it is for {', '.join(sorted(rule.services))}")
    if rule.statuses and line.outcome not in rule.statuses:
        raise refused(item, f"the line is {line.outcome}", f"it is for {', '.join(sorted(rule.statuses))}")


def _noted(item: Item, line: BankLine) -> Decided:
    if line.noted:
        raise refused(item, "somebody has looked at it already", "nothing is left to do")
    return Decided(replace(item, fen=0), 0, Counter())


def _plain(item: Item, rule: Rule, line: BankLine, settings: Settings) -> Decided:
    """What the template says of so many fen; its sides are those of money that came in, else they change."""
    chart = Chart.of(settings)
    fen = abs(line.open_fen) if item.fen is None else item.fen
    if not 0 < fen <= abs(line.open_fen):
        raise refused(item, f"{fen} fen, where {abs(line.open_fen)} are open", "take at most that, above zero")
    item = replace(item, fen=fen, source=line.source, payment=None)
    if any(leg.party == "payer" for leg in TEMPLATES[item.template]):
        _require_kind(item, _PAYERS[item.template], settings)
    if any(leg.party == "payee" for leg in TEMPLATES[item.template]):
        require_participant(item, item.payee, settings)
    issuer = _issuer(item, settings) if rule.limit == "opening" else 0
    if rule.limit == "aged":
        check_write_off(item, "bank_difference", line.age_days, settings.policy.write_offs, line.window)
    if rule.limit == "ruled" and not any(each.covers(date_of(line.window)) for each in settings.policy.bank_interest):
        raise refused(
            item,
            "no rule of the day gives the reserve's interest to own money",
            "policy.bank_interest in centre.yaml",
        )
    parties = Parties(issuer, 0, item.payer, item.payee, line.source, line.bank)
    legs = legs_of(item.template, parties, fen, chart)
    if line.open_fen < 0:
        legs = Counter({account: -moved for account, moved in legs.items()})
    return Decided(item, issuer, legs)


def _issuer(item: Item, settings: Settings) -> int:
    """Whose cards an opening file lists: the only own issuer, or the one named as payer."""
    own = sorted(each.id for each in settings.participants if each.kind == "issuer")
    if item.payer in own or (not item.payer and len(own) == 1):
        return item.payer or own[0]
    raise refused(item, "whose cards are they?", f"name one of {own}: --payer")


def _require_kind(item: Item, kind: str, settings: Settings) -> None:
    if item.payer not in {each.id for each in settings.participants if each.kind == kind}:
        raise refused(item, f"{item.payer} is no {kind}", "name whose money it is: --payer")


def _check_returned(item: Item, line: BankLine, returned: BankLine) -> None:
    if (line.bank, line.source) != (returned.bank, returned.source):
        raise refused(item, "the money came to another account", "name the line that it goes back from: --returns")
    fen = abs(line.open_fen) if item.fen is None else item.fen
    if fen > returned.returning_fen:
        raise refused(item, f"{fen} fen, where {returned.returning_fen} are to go back", "return it first")


def _rest(item: Item, payment: Payment, rest: int, chart: Chart) -> Legs:
    """Who bears what the bank moved too little or too much: the participant it is settled with, or own money."""
    row = payment.due_by
    if row["purpose"] != "settlement":
        raise refused(item, f"a {row['purpose']} of another amount", "the bank corrects it; then match what is right")
    if item.template == "MATCH_PAYMENT":
        kind = payment.proposed["legs"][-1][0]
        return Counter({(kind, row["participant"], row["source"]): rest})
    if rest > 0:
        raise refused(item, "the bank charged nothing", "match it without a charge: match-payment")
    source, own = row["from_source"], chart.centre
    legs: Legs = Counter({("own_funds", own, source): rest})
    legs["own_funds", own, own] -= rest
    legs["bank_charges", own, own] += rest
    return legs
