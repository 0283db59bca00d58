"""Adjustments (rules §14): legs by template, from what the transaction has on its accounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from auditor.books import RESERVE, Amounts, Books
from auditor.centre import Centre
from auditor.model import Account, Row, RowKey
from auditor.posting import MEMO_KINDS

PURCHASES = ("transit", "retail", "utility", "medical")
REFUND = "card_refund"
CARD_SIDE, CARD_SIDE_OF_LOADS = "card_side", "card_side_load"

TEMPLATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "REFUND": (("merchant_payable merchant",), ("card_refund issuer",)),
    "REFUND_OVERCHARGE": (("cardholder_payable issuer",), ("card_refund issuer",)),
    "REFUND_EXCESS": (("cardholder_suspense issuer",), ("card_refund issuer",)),
    "REFUND_SUSPENSE": (("suspense_payable merchant",), ("card_refund issuer",)),
    "RELEASE": (("suspense_payable merchant",), ("merchant_payable payee",)),
    "RELEASE_UNPROVEN": (
        ("memo_contra centre", "card_side issuer"),
        ("held_memo merchant", "merchant_payable payee"),
    ),
    "RELEASE_REJECTED": (
        ("memo_contra centre", "card_side issuer"),
        ("rejected_memo merchant", "merchant_payable payee"),
    ),
    "RELEASE_LOAD": (
        ("memo_contra centre", "agent_receivable merchant"),
        ("load_claim merchant", "card_side_load issuer"),
    ),
    "PAY_BILL": (("cardholder_suspense issuer",), ("merchant_payable payee",)),
    "TRANSFER": (("merchant_payable merchant given",), ("merchant_payable payee given",)),
    "WRITE_OFF_SUSPENSE": (("suspense_payable merchant",), ("written_off centre",)),
    "WRITE_OFF_EXCESS": (("cardholder_suspense issuer",), ("written_off centre",)),
    "WRITE_OFF_OVERCHARGE": (("cardholder_payable issuer",), ("written_off centre",)),
    "BENEFIT_EXPIRED": (("pending_load merchant merchant",), ("fund_receivable merchant merchant",)),
    "REFUND_LOADED": (("refund_payable issuer",), ("agent_receivable merchant",)),
    "REFUND_CASH": (("refund_payable issuer",), ("agent_receivable payer",)),
    "FEE_RETURN": (("fee_income payer",), ("merchant_payable payee",)),
    "CLAIM": (("merchant_payable payer given",), ("merchant_payable payee given",)),
    "CARD_DEPOSIT": (("agent_receivable payer",), ("card_deposit issuer",)),
    "CARD_DEPOSIT_BACK": (("card_deposit issuer",), ("refund_payable issuer",)),
    "CARD_REFUND_CASH": (("refund_payable issuer",), ("agent_receivable payer",)),
    # Moves of disputes (rules §15).
    "PROVISIONAL_CREDIT": (("dispute_receivable merchant",), ("provisional_credit issuer",)),
    "PROVISIONAL_CONFIRMED": (
        ("provisional_credit issuer", "merchant_payable merchant"),
        ("card_refund issuer", "dispute_receivable merchant"),
    ),
    "PROVISIONAL_TAKEN_BACK": (("provisional_credit issuer",), ("dispute_receivable merchant",)),
    "CREDIT_ADJUSTMENT": (("merchant_payable merchant",), ("card_refund issuer",)),
    "VERIFICATION_DOUBTED": (("provisional_receivable issuer",), ("counterparty_receivable issuer",)),
    "VERIFICATION_CONFIRMED": (("counterparty_receivable issuer",), ("provisional_receivable issuer",)),
    "VERIFICATION_CHARGED": (("merchant_payable merchant",), ("provisional_receivable issuer",)),
}
"""Debits and credits, all of one amount: account kind, whose it is, out of which source (else the reserve)."""

FOR: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "REVERSE": (("ACCEPTED",), (*PURCHASES, "load")),
    "REFUND": (("ACCEPTED", "HELD", "REJECTED"), PURCHASES),
    "REFUND_OVERCHARGE": (("ACCEPTED",), ("transit",)),
    "REFUND_EXCESS": (("ACCEPTED",), ("utility",)),
    "REFUND_SUSPENSE": (("HELD",), PURCHASES),
    "RELEASE": (("HELD",), PURCHASES),
    "RELEASE_UNPROVEN": (("HELD",), PURCHASES),
    "RELEASE_REJECTED": (("REJECTED",), PURCHASES),
    "RELEASE_LOAD": (("HELD",), ("load",)),
    "PAY_BILL": (("ACCEPTED",), ("utility",)),
    "TRANSFER": (("ACCEPTED", "HELD", "REJECTED"), PURCHASES),
    "WRITE_OFF_SUSPENSE": (("HELD",), PURCHASES),
    "WRITE_OFF_EXCESS": (("ACCEPTED",), ("utility",)),
    "WRITE_OFF_OVERCHARGE": (("ACCEPTED",), ("transit",)),
    "BENEFIT_EXPIRED": (("ACCEPTED",), ("benefit",)),
    "REFUND_LOADED": (("ACCEPTED",), ("load",)),
    "REFUND_CASH": (("ACCEPTED", "HELD", "REJECTED"), PURCHASES),
}
"""Of which rows a template may be about."""

ONLY_STATUSES = {
    "RELEASE": (
        "GREY_PROVEN LOCKED_RECORD UNKNOWN_MERCHANT UNKNOWN_TERMINAL CONFLICT CARD_UNKNOWN CARD_BLACKLISTED "
        "BALANCE_BREAK BILLS_EXCEED_PAYMENT AMOUNT_OVER_LIMIT TIME_IN_FUTURE TOO_OLD NO_TARIFF"
    ),
    "RELEASE_UNPROVEN": "GREY_RECORD LOCKED_RECORD KEY_UNKNOWN TAC_MISSING",
    "RELEASE_REJECTED": "CARD_BLACKLISTED TIME_IMPOSSIBLE",
    "RELEASE_LOAD": (
        "KEY_UNKNOWN TAC_MISSING UNKNOWN_TERMINAL CONFLICT CARD_UNKNOWN CARD_BLACKLISTED BALANCE_BREAK "
        "AMOUNT_OVER_LIMIT TIME_IN_FUTURE TOO_OLD"
    ),
}
TAKEN_BACK = (
    "merchant_payable", "cardholder_payable", "cardholder_suspense", "fund_receivable", "insurer_receivable",
    "operator_borne", "memo_contra",
)  # fmt: skip
ASSETS = frozenset(
    {
        "counterparty_receivable", "agent_receivable", "fund_receivable", "insurer_receivable", "dispute_receivable",
        "provisional_receivable", "overdraft",
    }
) | (MEMO_KINDS - {"memo_contra"})  # fmt: skip
POOLS = ("stored_value", "counterparty_payable", "memo_contra", "fee_income", "written_off")


class ObjectionError(Exception):
    """What was done is nothing the rules allow."""


@dataclass(frozen=True)
class Parties:
    """Who stands behind the names of a template; 0 = nobody named."""

    issuer: int = 0
    merchant: int = 0
    payer: int = 0
    payee: int = 0
    given: int = RESERVE


class Corrections:
    """What persons correct, and what stands on each transaction and card because of it."""

    def __init__(self, books: Books, centre: Centre, rows: dict[RowKey, Row], decided: Iterable[Row]) -> None:
        self.books, self.centre, self.rows = books, centre, rows
        self._events: dict[RowKey, list[Row]] = defaultdict(list)
        for event in decided:
            if event is not rows[event.key]:
                self._events[event.key].append(event)
        self._corrected: dict[object, Amounts] = defaultdict(lambda: defaultdict(int))
        """By row, or by the name of a card."""
        self._made: dict[str, tuple[object, Amounts]] = {}
        """What each adjustment moved, by the label that the office gave it."""
        self._moved_on: dict[RowKey, list[tuple[int, int]]] = defaultdict(list)
        """Window and fen of what left suspense, or the memo of what was not proven, by held row."""

    def standing(self, row: Row, window: int) -> Amounts:
        """What a transaction has on its accounts once ``window`` is being cleared, corrections included."""
        found: Amounts = defaultdict(int, self._corrected[row.key])
        for event in self._events.get(row.key) or [row]:
            if event.window <= window:
                for account, fen in event.legs:
                    found[account] += fen
        for day, (account, fen) in row.reversed:
            if day <= window:
                found[account] += fen
        return found

    def adjust(self, asked: dict[str, Any], window: int) -> None:
        """Post one adjustment in ``window``.

        Raises:
            ObjectionError: the rules do not allow it.
        """
        template = asked["template"]
        if template == "UNDO":
            subject, legs = self._made.pop(asked["undoes"])
            moved = {account: -fen for account, fen in legs.items()}
        elif asked.get("row") is None:
            subject, moved = self._of_card_or_parties(asked)
        else:
            row = self.rows[tuple(asked["row"])]
            subject, moved = row.key, self._of_row(template, asked, row, window)
        self._keep(subject, asked, moved, window)

    def _of_card_or_parties(self, asked: dict[str, Any]) -> tuple[object, Amounts]:
        own = next(each.id for each in self.centre.participants.values() if each.kind == "issuer")
        parties = Parties(own, 0, asked.get("payer", 0), asked.get("payee", 0), asked.get("source", RESERVE))
        if asked["fen"] is None or asked["fen"] <= 0:
            raise ObjectionError(f"{asked}: no amount")
        card = asked.get("card")
        moved = self.legs(asked["template"], parties, asked["fen"])
        if card is not None:
            self._refuse_below_zero(asked, moved, self._corrected[card], {parties.payer})
        return card, moved

    def _of_row(self, template: str, asked: dict[str, Any], row: Row, window: int) -> Amounts:
        dispositions, services = FOR[template]
        if row.disposition not in dispositions or row.service not in services:
            raise ObjectionError(f"{template} is not for {row.key}, {row.service} {row.disposition}")
        if template in ONLY_STATUSES and row.status not in ONLY_STATUSES[template].split():
            raise ObjectionError(f"{template} is not for {row.key}, {row.status}")
        if self.books.closed is None or row.received_window > self.books.closed:
            raise ObjectionError(f"{row.key}: its window is not closed")
        stands = self.standing(row, window)
        issuer = self.issuer(row)
        if template == "REVERSE":
            return self._reversal(row, stands, issuer)
        parties = Parties(
            issuer,
            asked.get("merchant") or self.holder(template, row, stands),
            asked.get("payer", 0),
            asked.get("payee") or asked.get("merchant") or self.holder(template, row, stands),
            asked.get("source", RESERVE),
        )
        first = self.account(TEMPLATES[template][0][0], parties)
        if template in ("RELEASE_UNPROVEN", "RELEASE_REJECTED", "RELEASE_LOAD"):
            first = self.account(TEMPLATES[template][1][0], parties)
        fen = asked["fen"] if asked["fen"] is not None else abs(stands[first])
        money = row.value["granted"] if row.service == "benefit" else row.value["amount"]
        if not 0 < fen <= money:
            raise ObjectionError(f"{template} {row.key}: {fen} fen of {money}")
        moved = self.legs(template, parties, fen)
        self._refuse_below_zero(asked, moved, stands, {parties.payer})
        return moved

    def _reversal(self, row: Row, stands: Amounts, issuer: int) -> Amounts:
        moved: Amounts = defaultdict(int)
        if row.service == "load":
            for account, fen in stands.items():
                moved[account] -= fen
            return moved
        for account, fen in stands.items():
            if account[0] in TAKEN_BACK:
                moved[account] -= fen
        refund = self.account(f"{REFUND} issuer", Parties(issuer))
        moved[refund] -= sum(moved.values())
        return moved

    def holder(self, template: str, row: Row, stands: Amounts) -> int:
        """Who holds the money a template takes: the one participant that has some, else the row's merchant."""
        kind, party, *_ = TEMPLATES[template][0][0].split()
        if template in ("RELEASE_UNPROVEN", "RELEASE_REJECTED", "RELEASE_LOAD"):
            kind, party, *_ = TEMPLATES[template][1][0].split()
        registered = row.value["merchant_id"] if row.value["merchant_id"] in self.centre.participants else 0
        if party != "merchant":
            return registered
        source = RESERVE if template != "BENEFIT_EXPIRED" else registered
        holders = {who for (name, who, money), fen in stands.items() if (name, money) == (kind, source) and fen}
        if len(holders) > 1:
            raise ObjectionError(f"{template} {row.key}: several hold its money")
        return holders.pop() if holders else registered

    def issuer(self, row: Row) -> int:
        issuer = self.centre.issuers.get(row.value["issuer_id"])
        return issuer.id if issuer else 0

    def legs(self, template: str, parties: Parties, fen: int) -> Amounts:
        """What ``fen`` post by a template."""
        moved: Amounts = defaultdict(int)
        for sign, lines in zip((-1, 1), TEMPLATES[template], strict=True):
            for line in lines:
                moved[self.account(line, parties)] += sign * fen
        return {account: amount for account, amount in moved.items() if amount}

    def account(self, line: str, parties: Parties) -> Account:
        """The account that a line of a template names."""
        kind, party, *money = line.split()
        who = self.centre.id if party == "centre" else getattr(parties, party)
        source = getattr(parties, money[0]) if money else RESERVE
        own = who in self.centre.participants and self.centre.participants[who].kind == "issuer"
        if kind == REFUND:
            kind = "refund_payable" if own else "counterparty_payable"
        elif kind == CARD_SIDE:
            kind = "stored_value" if own else "counterparty_receivable"
        elif kind == CARD_SIDE_OF_LOADS:
            kind = "stored_value" if own else "counterparty_payable"
        return kind, who, source

    @staticmethod
    def _refuse_below_zero(asked: dict[str, Any], moved: Amounts, stands: Amounts, cash: set[int]) -> None:
        for (kind, who, source), fen in moved.items():
            side = -1 if kind in ASSETS else 1
            taken = -side * fen
            if kind in POOLS or taken <= 0 or (kind == "agent_receivable" and who in cash):
                continue
            if side * stands.get((kind, who, source), 0) < taken:
                raise ObjectionError(
                    f"{asked}: {kind} {who} has {side * stands.get((kind, who, source), 0)}, not {taken}"
                )

    def _keep(self, subject: object, asked: dict[str, Any], moved: Amounts, window: int) -> None:
        assert sum(moved.values()) == 0
        if asked.get("label"):
            self._made[asked["label"]] = (subject, moved)
        self.post(subject, moved, window)

    def post(self, subject: object, moved: Amounts, window: int) -> None:
        """Post what a correction of a row (or of a card) moves."""
        for account, fen in moved.items():
            self.books.post(window, account, fen)
            if subject is not None:
                self._corrected[subject][account] += fen
            if isinstance(subject, tuple) and account[0] in ("suspense_payable", "held_memo", "load_claim"):
                self._moved_on[subject].append((window, -fen if account[0] == "suspense_payable" else fen))

    def moved_on(self, row: RowKey, window: int) -> int:
        """What corrections up to a window have moved on of a held row."""
        return sum(fen for day, fen in self._moved_on.get(row, ()) if day <= window)
