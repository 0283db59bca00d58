"""Matching what a bank says with the payment book (docs/clearing-rules.md §13). Pure: nothing is read or written.

First the file as a whole: a wrong one is refused and moves nothing. Then each line: only what names an ordered
payment with its amount, its direction, its accounts changes that payment. A movement that fits nothing is booked
against ``bank_difference`` and stays open for a person; an answer that fits nothing changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from clearing.agreements import SourceAccount
from clearing.bank.messages import Answer, Answers, BankFile, BankFileError, Line, Statement
from clearing.config import Settings
from clearing.ledger.journal import Entry
from clearing.payments.book import SENT, TRANSFERS, Amounts, Payment, PaymentBook
from clearing.payments.pain001 import payment_informations
from clearing.payments.pain008 import SUFFIX, debit_informations, debited

OPEN_OUTCOMES: Final = frozenset(
    {
        "unknown_payment", "wrong_amount", "wrong_party", "wrong_account", "before_order", "paid_twice",
        "superseded", "after_settled", "not_settled", "opening_balance",
    }
)  # fmt: skip
"""Outcomes that a person has to look at."""

_NUMBER: Final = re.compile(r"(?<![\w-])\d{8}-\d+-\d+(?:-[AR])?(?![\w-])")


@dataclass
class Judgement:
    """What a bank file does.

    Attributes:
        outcome: ``taken``, or why the file was refused whole.
        reason: in words.
        lines: rows of the entry: payment, what became of the line, the event it is for the payment.
        statements: rows of the entry: balances of each statement.
        postings: fen per account.
    """

    outcome: str = "taken"
    reason: str = ""
    lines: list[dict[str, Any]] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)
    postings: Amounts = field(default_factory=Amounts)


def refused(exc: BankFileError) -> Judgement:
    """A file that cannot be read moves nothing."""
    return Judgement(exc.code, exc.what)


def judge(file: BankFile, book: PaymentBook, settings: Settings) -> Judgement:
    """What a readable file does; the book's payments take on their new status on the way."""
    judge_file = _Judge(book, settings, file.format == "camt.054")
    try:
        judge_file.refuse_repeated(file)
        for answers in file.answers:
            judge_file.refuse_answers(answers)
        for statement in file.statements:
            judge_file.refuse_statement(statement)
    except BankFileError as exc:
        return refused(exc)
    for answers in file.answers:
        judge_file.take_answers(answers)
    for statement in file.statements:
        judge_file.take_statement(statement)
    return judge_file.result


def _single(answer: Answer, order: Entry) -> list[Answer]:
    """An answer about a whole payment information as one for each of its payments."""
    if not answer.information:
        return [answer]
    informations = [*payment_informations(order), *debit_informations(order)]
    rows = [row for name, _, group in informations if name == answer.information for row in group]
    return [replace(answer, payment=row["payment"], information="") for row in rows] or [answer]


def _carried(order: Entry, original: str) -> list[dict[str, Any]]:
    """The instructions of an order that a message of it carried: its direct debits, or all others."""
    debits = debited(order)
    if original != order.body["message"]:
        return debits
    named = {row["payment"] for row in debits}
    return [row for row in order.body["instructions"] if row["payment"] not in named]


class _Judge:
    def __init__(self, book: PaymentBook, settings: Settings, notice: bool) -> None:
        self.book, self.settings, self.notice = book, settings, notice
        self.accounts = {account.number: (bank, account) for bank, account in settings.bank_accounts()}
        self.result = Judgement()
        taken = [entry.body for entry in book.bank_entries if entry.body["outcome"] == "taken"]
        self.messages = {body["message"] for body in taken if body["message"]}
        self.statements = [row for body in taken for row in body["statements"]]
        self.known = {(row["bank"], row["source"]) for row in self.statements}
        self.lines = [(body["format"] == "camt.054", row) for body in taken for row in body["lines"]]
        """Lines of earlier files, each with whether a notice held it."""

    # --- the file as a whole ------------------------------------------------------------

    def refuse_repeated(self, file: BankFile) -> None:
        if file.message and file.message in self.messages:
            raise BankFileError("duplicate_message", f"message {file.message} was taken before")

    def refuse_answers(self, answers: Answers) -> None:
        order = self._order_of(answers.original)
        listed = [] if order is None else _carried(order, answers.original)
        if not listed:
            raise BankFileError("unknown_message", f"message {answers.original} is none of ours")
        ordered = [row for row in listed if row["direction"] == "pay"]
        counts = {len(ordered), len(listed), len(listed) - len(ordered)}
        sums = {
            sum(row["fen"] for row in rows)
            for rows in (ordered, listed, [row for row in listed if row["direction"] == "collect"])
        }
        if answers.rows is not None and answers.rows not in counts:
            raise BankFileError("wrong_count", f"{answers.original} has not {answers.rows} payments")
        if answers.fen is not None and answers.fen not in sums:
            raise BankFileError("wrong_sum", f"{answers.original} does not sum to what the bank says")

    def refuse_statement(self, statement: Statement) -> None:
        if statement.account not in self.accounts:
            raise BankFileError("unknown_account", f"account {statement.account} is none of the centre's")
        bank, account = self.accounts[statement.account]
        earlier = [row for row in self.statements if (row["bank"], row["source"]) == (bank, account.source)]
        if any(row["statement"] == statement.number for row in earlier) and not statement.notice:
            raise BankFileError("duplicate_statement", f"statement {statement.number} was taken before")
        if statement.opening is None or statement.closing is None:
            return
        moved = sum(line.fen if line.direction == "credit" else -line.fen for line in statement.lines)
        if statement.opening + moved != statement.closing:
            raise BankFileError(
                "sum_mismatch",
                f"statement {statement.number}: opening and movements give {statement.opening + moved} fen, "
                f"closing is {statement.closing} fen",
            )
        if earlier and earlier[-1]["closing"] != statement.opening:
            raise BankFileError(
                "statement_gap",
                f"statement {statement.number} opens with {statement.opening} fen, "
                f"{earlier[-1]['statement']} closed with {earlier[-1]['closing']} fen: one in between is missing",
            )
        self.statements.append(self._statement_row(statement, bank, account))

    def _statement_row(self, statement: Statement, bank: int, account: SourceAccount) -> dict[str, Any]:
        return {
            "bank": bank,
            "source": account.source,
            "statement": statement.number,
            "opening": statement.opening,
            "closing": statement.closing,
            "dated": None if statement.dated is None else statement.dated.isoformat(),
        }

    # --- answers to an order --------------------------------------------------------------

    def take_answers(self, answers: Answers) -> None:
        order = self._order_of(answers.original)
        assert order is not None, "a message that is none of ours was refused"
        carried = _carried(order, answers.original)
        listed = [each for answer in answers.listed for each in _single(answer, order)]
        if answers.rejected is not None and not listed:
            debits = answers.original != order.body["message"]
            rows = [row for row in carried if debits or row["direction"] == "pay"]
            listed = [Answer(row["payment"], "rejected", answers.rejected) for row in rows]
        others = {row["payment"] for row in order.body["instructions"]} - {row["payment"] for row in carried}
        for answer in listed:
            self._take_answer(order.body["message"], answer, answer.payment in others)

    def _order_of(self, original: str) -> Entry | None:
        """The order that a message of ours carried: its own MsgId, or that of its direct debits."""
        return self.book.orders.get(original) or self.book.orders.get(original.removesuffix(SUFFIX))

    def _take_answer(self, message: str, answer: Answer, elsewhere: bool) -> None:
        """One answer; ``elsewhere``: the order carried the payment in its other message."""
        payment = None if elsewhere else self.book.payments.get(answer.payment)
        outcome = self._answer_outcome(message, answer, payment)
        event = answer.result if outcome == answer.result else ""
        if payment is not None and event == "rejected":
            self.result.postings.update(payment.reversal_postings(self.settings.centre.id))
        if payment is not None and event:
            payment.status = answer.result
        fen = answer.fen if answer.fen is not None else payment.proposed["fen"] if payment else 0
        self._note(answer.payment, "", fen, outcome, event, answer.reason)

    def _answer_outcome(self, message: str, answer: Answer, payment: Payment | None) -> str:
        if payment is None:
            return "unknown_payment"
        if message not in payment.messages:
            return "before_order" if not payment.messages else "superseded"
        if message != payment.messages[-1]:
            return "superseded"
        row = payment.due_by
        if answer.fen is not None and answer.fen != row["fen"]:
            return "wrong_amount"
        if answer.account is not None and answer.account != row["theirs"]["number"]:
            return "wrong_party"
        if payment.status == "settled":
            return "after_settled" if answer.result == "rejected" else "repeated_answer"
        if payment.status not in SENT or payment.status == answer.result:
            return "repeated_answer"
        return answer.result

    # --- statements -----------------------------------------------------------------------

    def take_statement(self, statement: Statement) -> None:
        bank, account = self.accounts[statement.account]
        if statement.opening is not None:
            first = (bank, account.source) not in self.known
            self.known.add((bank, account.source))
            self.result.statements.append(self._statement_row(statement, bank, account))
            if first and statement.opening:
                self._difference(bank, account.source, statement.opening)
                self._note("", "credit", statement.opening, "opening_balance", "", "", place=(bank, account.source))
        for line in statement.lines:
            self._take_line(line, bank, account.source)

    def _take_line(self, line: Line, bank: int, source: int) -> None:
        payment = self._named(line)
        outcome = self._line_outcome(line, payment, bank, source)
        event = {"settled": "settled", "returned": "returned", "confirmed": "confirmed"}.get(outcome, "")
        centre = self.settings.centre.id
        if payment is not None and outcome == "settled":
            self.result.postings.update(payment.settle_postings(centre))
            payment.status = "settled"
        elif payment is not None and outcome == "returned":
            self.result.postings.update(payment.reversal_postings(centre))
            payment.status = "returned"
        elif outcome in OPEN_OUTCOMES and not self.notice:
            self._difference(bank, source, line.fen if line.direction == "credit" else -line.fen)
        name = payment.number if payment is not None else line.payment
        event = event if payment is not None else ""
        self._note(
            name, line.direction, line.fen, outcome, event, line.reason or line.text[:140],
            place=(bank, source), reference=line.reference,
            booked=None if line.booked is None else line.booked.isoformat(),
        )  # fmt: skip

    def _named(self, line: Line) -> Payment | None:
        """The payment a line names: its EndToEndId, else the one number that stands in its text."""
        if line.payment in self.book.payments:
            return self.book.payments[line.payment]
        found = {name for name in _NUMBER.findall(f"{line.payment} {line.text}") if name in self.book.payments}
        return self.book.payments[found.pop()] if len(found) == 1 else None

    def _line_outcome(self, line: Line, payment: Payment | None, bank: int, source: int) -> str:
        if payment is None:
            return "unknown_payment"
        if not payment.messages:
            return "before_order"
        row = payment.due_by
        outgoing = row["direction"] == "pay"
        arrived = (bank, source, line.direction) == (row["to_bank"], row["to_source"], "credit")
        if row["purpose"] in TRANSFERS and arrived and payment.status == "settled":
            return "confirmed" if line.fen == row["fen"] else "wrong_amount"
        if line.fen != row["fen"]:
            return "wrong_amount"
        if (bank, source) != (row["bank"], row["from_source"]):
            return "wrong_account"
        if line.account is not None and line.account != row["theirs"]["number"]:
            return "wrong_party"
        if self._reported(payment, line, bank, source):
            return "confirmed"
        forward = (line.direction == "debit") == outgoing
        if not forward:
            return "returned" if payment.status == "settled" and not payment.matched else "not_settled"
        if payment.status in SENT:
            return "settled"
        return "paid_twice" if payment.status == "settled" else "before_order"

    def _reported(self, payment: Payment, line: Line, bank: int, source: int) -> bool:
        """Whether an earlier file has booked this movement: a notice before its statement, or the other way round.

        A statement's line confirms each movement a notice booked once; a notice repeats what any file has booked.
        Where both give the bank's own number of the movement, the numbers have to be equal.
        """
        same = [
            (notice, row)
            for notice, row in self.lines
            if (row["payment"], row["bank"], row["source"]) == (payment.number, bank, source)
            and (row["direction"], row["fen"]) == (line.direction, line.fen)
            and (not row["reference"] or not line.reference or row["reference"] == line.reference)
        ]
        if self.notice:
            return any(row["event"] for _, row in same)
        booked = sum(notice and row["event"] in ("settled", "returned") for notice, row in same)
        return bool(booked > sum(not notice and row["event"] == "confirmed" for notice, row in same))

    def _difference(self, bank: int, source: int, came_in: int) -> None:
        self.result.postings["bank_account", bank, source] -= came_in
        self.result.postings["bank_difference", bank, source] += came_in

    def _note(
        self,
        payment: str,
        direction: str,
        fen: int,
        outcome: str,
        event: str,
        reason: str,
        *,
        place: tuple[int, int] | None = None,
        reference: str = "",
        booked: str | None = None,
    ) -> None:
        bank, source = place or (None, None)
        self.result.lines.append(
            {
                "bank": bank,
                "source": source,
                "payment": payment,
                "direction": direction,
                "fen": fen,
                "outcome": outcome,
                "event": event,
                "reason": reason,
                "reference": reference,
                "booked": booked,
                "open": outcome in OPEN_OUTCOMES and not self.notice,
            }
        )
