"""Prices against tariffs, and the balanced legs of every row (rules §6 and §7)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from auditor.centre import Centre, Participant
from auditor.columns import FUND_COLUMNS
from auditor.fares import Price, Tariff
from auditor.model import Leg, Row

MEMO_KINDS = frozenset({"operator_borne", "memo_contra", "load_claim", "held_memo", "rejected_memo"})
RESERVE = 0


def move(debit: tuple[str, int, int], credit: tuple[str, int, int], amount: int) -> list[Leg]:
    """Two legs of ``amount``, none of 0."""
    return [(debit, -amount), (credit, amount)] if amount else []


def price(row: Row, centre: Centre, tariffs: dict[str, Tariff]) -> bool:
    """Fill the payer columns of a transit row; False when no tariff prices it."""
    value, day = row.value, row.operating_day
    operator = centre.participants[value["merchant_id"]]
    tariff_id = operator.tariffs.get(value["mode"], "")
    if day is None or tariff_id not in tariffs:
        return False
    tariff = tariffs[tariff_id]
    card_class = 0
    if centre.issuers[value["issuer_id"]].cards == "register":
        card_class = centre.card_class(row.card_id, day) or 0
    priced = tariff.price(value, day, card_class, transfer=value["transfer_flag"] != 0)
    if priced is None:
        return False
    charged = value["amount"]
    charge(row, priced, centre)
    if row.price_verdict == "MATCH":
        return True
    flagged = tariff.price(value, day, card_class, transfer=True)
    could_be_flagged = value["transfer_flag"] == 0 and flagged is not None
    if could_be_flagged and abs(charged - flagged.card_pays) <= operator.price_tolerance:
        row.price_verdict = "UNFLAGGED_TRANSFER"
    elif value["card_class"] != card_class:
        row.price_verdict = "CLASS_MISMATCH"
    return True


def charge(row: Row, priced: Price, centre: Centre) -> None:
    """Who pays what, given what the card was charged."""
    charged = row.value["amount"]
    row.gross = priced.gross
    row.card_paid = min(charged, priced.card_pays)
    row.overcharge = max(charged - priced.card_pays, 0)
    row.fund_paid = priced.fund_pays
    row.fund = centre.fund_of_code[priced.fund_code] if priced.fund_pays else 0
    row.operator_borne = priced.gross - row.card_paid - priced.fund_pays
    row.price_verdict = "MATCH"
    if abs(charged - priced.card_pays) > centre.participants[row.value["merchant_id"]].price_tolerance:
        row.price_verdict = "OVERCHARGE" if charged > priced.card_pays else "UNDERCHARGE"


def unpriced(row: Row) -> None:
    """Payer columns of services whose amount is not ours to price."""
    row.gross = row.card_paid = row.value["amount"]


class Poster:
    """Legs of rows; it remembers which bills are paid and which fund granted which benefit."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._paid_bills: set[tuple[int, int]] = set()
        self._granted_by: dict[tuple[int | None, int], int] = {}

    def post(self, rows: list[Row]) -> None:
        """Post all rows. The order matters for bills and benefits only."""
        for row in sorted((row for row in rows if not row.unreadable), key=_payment_order):
            self._post_row(row)

    def decisions(self, row: Row) -> list[Row]:
        """The row as often as it was decided, and reversed in between; most rows are decided once."""
        if len(row.history) < 2:
            return [row]
        decided = [replace(row, window=window, **payers) for window, payers in row.history]
        for each in decided:
            _, each.legs = self._purchase(each)
        events = decided[:1]
        for before, after in pairwise(decided):
            taken_back = [(account, -amount) for account, amount in before.legs]
            events += [replace(before, window=after.window, legs=taken_back, reversal=True), after]
        return events

    def _post_row(self, row: Row) -> None:
        is_test = row.value["test_flag"] == 1
        if is_test or row.disposition in ("DUPLICATE", "UNREADABLE"):
            return
        template, legs = self._accepted(row) if row.disposition == "ACCEPTED" else self._not_accepted(row)
        if legs:
            row.template, row.legs = template, legs

    def _accepted(self, row: Row) -> tuple[str, list[Leg]]:
        if row.service in ("transit", "retail"):
            return self._purchase(row)
        if row.service == "medical":
            return self._medical(row)
        if row.service == "utility":
            return self._utility(row)
        if row.service == "load":
            return self._load(row)
        fund = row.value["merchant_id"]
        self._granted_by[row.value["benefit_id"], row.card_id] = fund
        granted = row.value["granted"]
        return "BENEFIT_GRANT", move(("fund_receivable", fund, fund), ("pending_load", fund, fund), granted)

    def _purchase(self, row: Row) -> tuple[str, list[Leg]]:
        merchant = row.value["merchant_id"]
        legs = self._card_payment(row)
        fund = row.fund
        legs += move(("fund_receivable", fund, fund), ("merchant_payable", merchant, fund), row.fund_paid)
        legs += self._memo("operator_borne", merchant, row.operator_borne)
        return "PURCHASE_FOREIGN" if self._foreign(row) else "PURCHASE", legs

    def _card_payment(self, row: Row) -> list[Leg]:
        """From the card to merchant and, for an overcharge, back to the cardholder."""
        payer, issuer = self._payer(row), self._issuer(row)
        legs = move(payer, ("merchant_payable", row.value["merchant_id"], RESERVE), row.card_paid)
        return legs + move(payer, ("cardholder_payable", issuer, RESERVE), row.overcharge)

    def _medical(self, row: Row) -> tuple[str, list[Leg]]:
        merchant = row.value["merchant_id"]
        insurer = self._centre.insurer_of_region.get(row.value["region"], Participant(0, "insurer"))
        legs = self._card_payment(row)
        for column in FUND_COLUMNS:
            fund = insurer.funds.get(column, 0)
            fund_leg = ("fund_receivable", fund, fund)
            legs += move(fund_leg, ("merchant_payable", merchant, fund), row.value[column])
        accounts = row.value["acct_pay"] + row.value["acct_mulaid_pay"]
        insurer_leg = ("insurer_receivable", insurer.id, insurer.id)
        legs += move(insurer_leg, ("merchant_payable", merchant, insurer.id), accounts)
        return "MEDICAL", [(account, row.sign * amount) for account, amount in legs]

    def _utility(self, row: Row) -> tuple[str, list[Leg]]:
        payer, suspense = self._payer(row), ("cardholder_suspense", self._issuer(row), RESERVE)
        legs: list[Leg] = []
        rest = row.value["amount"]
        for bill in row.bills:
            number = (bill["utility_id"], bill["bill_id"])
            if number not in self._paid_bills:
                self._paid_bills.add(number)
                row.paid_bills.append(bill)
                payee = ("merchant_payable", bill["utility_id"], RESERVE)
                legs += move(payer, payee, bill["bill_amount"])
                rest -= bill["bill_amount"]
        row.suspense = rest
        return "UTILITY", legs + move(payer, suspense, rest)

    def _load(self, row: Row) -> tuple[str, list[Leg]]:
        issuer = self._issuer(row)
        card = ("counterparty_payable" if self._foreign(row) else "stored_value", issuer, RESERVE)
        amount = row.value["amount"]
        fund = self._granted_by.get((row.value["benefit_id"], row.card_id))
        if fund is not None:
            row.fund = fund
            return "BENEFIT_PICKUP", move(("pending_load", fund, fund), card, amount)
        return "LOAD", move(("agent_receivable", row.value["merchant_id"], RESERVE), card, amount)

    def _not_accepted(self, row: Row) -> tuple[str, list[Leg]]:
        payee = row.value["merchant_id"] if row.value["merchant_id"] in self._centre.participants else 0
        amount = row.value["amount"]
        if row.disposition == "REJECTED":
            return "MEMO_REJECTED", self._memo("rejected_memo", payee, amount)
        if row.service == "load":
            return "HELD_CREDIT", self._memo("load_claim", payee, amount)
        if row.direction == "debit" and row.tac_verdict == "VERIFIED":
            return "HELD_DEBIT", move(self._payer(row), ("suspense_payable", payee, RESERVE), amount)
        return "MEMO_HELD", self._memo("held_memo", payee, amount)

    def _memo(self, kind: str, participant: int, amount: int) -> list[Leg]:
        return move((kind, participant, RESERVE), ("memo_contra", self._centre.id, RESERVE), amount)

    def _payer(self, row: Row) -> tuple[str, int, int]:
        kind = "counterparty_receivable" if self._foreign(row) else "stored_value"
        return (kind, self._issuer(row), RESERVE)

    def _issuer(self, row: Row) -> int:
        issuer = self._centre.issuers.get(row.value["issuer_id"])
        return issuer.id if issuer else 0

    def _foreign(self, row: Row) -> bool:
        issuer = self._centre.issuers.get(row.value["issuer_id"])
        return issuer is not None and issuer.kind == "counterparty"


def _payment_order(row: Row) -> tuple[object, ...]:
    """Grants before pick-ups; bills by received window, then by the events' own order, missing values first."""
    counters = (row.value["card_counter"], row.value["terminal_id"], row.value["terminal_counter"])
    columns = (row.txn_time, *counters)
    in_order = tuple(-1 if value is None else value for value in columns)
    return (row.service != "benefit", row.received_window, *in_order)
