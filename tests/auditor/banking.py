"""What bank files do (rules §13), told by the bank as what it meant: answers to messages, lines of statements."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from auditor.books import AT_THE_BANK, BETWEEN, Amounts, Books, Payment
from auditor.paying import Agreed

OPEN = frozenset(
    {
        "unknown_payment", "wrong_amount", "wrong_party", "wrong_account", "before_order", "paid_twice", "superseded",
        "after_settled", "not_settled", "opening_balance",
    }
)  # fmt: skip


@dataclass
class BankFile:
    """A file as the bank wrote it.

    ``answers``: original message, payment → result. ``statements``: account, number, opening, closing and lines of
    direction, fen, payment, account, reference.
    """

    name: str
    notice: bool
    message: str
    digest: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Line:
    """What became of one line."""

    file: str
    number: int
    payment: str
    direction: str
    fen: int
    outcome: str
    open: bool
    at: int
    place: tuple[int, int] = (0, 0)
    event: str = ""
    reference: str = ""
    notice: bool = False


class Bank:
    """Judges bank files one after the other and books what they prove."""

    def __init__(self, books: Books, agreed: Agreed) -> None:
        self.books, self.agreed = books, agreed
        self.outcomes: dict[str, str] = {}
        """Outcome by file."""
        self.lines: list[Line] = []
        self._digests: set[str] = set()
        self._messages: set[str] = set()
        self._statements: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
        """Number and closing balance of the statements taken, by bank and source of money."""
        self._numbers: Counter[str] = Counter()
        self._about: dict[str, list[Line]] = defaultdict(list)
        """Lines by payment."""

    def take(self, file: BankFile, at: int, window: int) -> None:
        """Take a file that arrives now; what it proves posts in ``window``."""
        outcome = self._refusal(file)
        self.outcomes[file.name] = outcome or "taken"
        if outcome:
            return
        self._digests.add(file.digest)
        self._messages.add(file.message)
        posted: Amounts = defaultdict(int)
        for answers in file.answers:
            for payment, result in answers["results"].items():
                self._answer(file, answers["original"], payment, result, at, posted)
        for statement in file.statements:
            self._statement(file, statement, at, posted)
        self.books.move(window, posted)

    def _refusal(self, file: BankFile) -> str:
        if file.digest in self._digests:
            return "repeated"
        if file.message in self._messages:
            return "duplicate_message"
        known = {message for each in self.books.payments.values() for message in each.messages}
        if any(answers["original"] not in known for answers in file.answers):
            return "unknown_message"
        for statement in file.statements:
            place = self.agreed.source_of(statement["account"])
            if place is None:
                return "unknown_account"
            earlier = self._statements[place]
            if not file.notice and any(number == statement["number"] for number, _ in earlier):
                return "duplicate_statement"
            if file.notice:
                continue
            moved = sum(each["fen"] if each["direction"] == "credit" else -each["fen"] for each in statement["lines"])
            if statement["opening"] + moved != statement["closing"]:
                return "sum_mismatch"
            if earlier and earlier[-1][1] != statement["opening"]:
                return "statement_gap"
        return ""

    def _answer(self, file: BankFile, original: str, name: str, result: str, at: int, posted: Amounts) -> None:
        payment = self.books.payments.get(name)
        if payment is None:
            outcome = "unknown_payment"
        elif original not in payment.messages:
            outcome = "superseded" if payment.messages else "before_order"
        elif original != payment.messages[-1]:
            outcome = "superseded"
        elif payment.status == "settled":
            outcome = "after_settled" if result == "rejected" else "repeated_answer"
        elif payment.status not in AT_THE_BANK or payment.status == result:
            outcome = "repeated_answer"
        else:
            outcome = result
        if payment is not None and outcome == result:
            if result == "rejected":
                self._take_back(payment, posted)
                payment.approvers.clear()
            payment.status = result
        self._note(file, name, "", payment.fen if payment else 0, outcome, at)

    def _statement(self, file: BankFile, statement: dict[str, Any], at: int, posted: Amounts) -> None:
        place = self.agreed.source_of(statement["account"])
        assert place is not None
        if not file.notice:
            first = not self._statements[place]
            self._statements[place].append((statement["number"], statement["closing"]))
            if first and statement["opening"]:
                self._differ(place, statement["opening"], posted)
                self._note(file, "", "credit", statement["opening"], "opening_balance", at, place)
        for line in statement["lines"]:
            payment = self.books.payments.get(line["payment"])
            outcome = self._outcome(file, line, payment, place)
            incoming = line["fen"] if line["direction"] == "credit" else -line["fen"]
            if outcome == "settled" and payment is not None:
                for account, fen in payment.settling(self.books.centre).items():
                    posted[account] += fen
                payment.status = "settled"
            elif outcome == "returned" and payment is not None:
                self._take_back(payment, posted)
                payment.status = "returned"
                payment.approvers.clear()
            elif outcome in OPEN and not file.notice:
                self._differ(place, incoming, posted)
            name = payment.name if payment is not None else line["payment"]
            self._note(
                file, name, line["direction"], line["fen"], outcome, at, place, line.get("reference", ""),
                known=payment is not None,
            )  # fmt: skip

    def _outcome(self, file: BankFile, line: dict[str, Any], payment: Payment | None, place: tuple[int, int]) -> str:
        if payment is None:
            return "unknown_payment"
        if not payment.messages:
            return "before_order"
        settled = payment.status == "settled"
        arrives = line["direction"] == "credit" and place[1] == payment.their_source
        if payment.purpose in BETWEEN and settled and arrives:
            return "confirmed" if line["fen"] == payment.fen else "wrong_amount"
        if line["fen"] != payment.fen:
            return "wrong_amount"
        if place != (payment.bank, payment.our_source):
            return "wrong_account"
        if line.get("account") and line["account"] != payment.their_account:
            return "wrong_party"
        if self._told(file, line, payment, place):
            return "confirmed"
        as_ordered = (line["direction"] == "debit") == (payment.direction == "pay")
        if not as_ordered:
            return "returned" if settled else "not_settled"
        if payment.status in AT_THE_BANK:
            return "settled"
        return "paid_twice" if settled else "before_order"

    def _told(self, file: BankFile, line: dict[str, Any], payment: Payment, place: tuple[int, int]) -> bool:
        """Whether an earlier file has this movement: a notice before its statement, or any before a notice."""
        same = [
            each
            for each in self._about[payment.name]
            if each.file != file.name
            and (each.place, each.direction, each.fen) == (place, line["direction"], line["fen"])
            and (not each.reference or not line.get("reference") or each.reference == line["reference"])
        ]
        if file.notice:
            return any(each.event for each in same)
        noticed = [each for each in same if each.notice and each.event in ("settled", "returned")]
        confirmed = [each for each in same if not each.notice and each.event == "confirmed"]
        return len(noticed) > len(confirmed)

    def _take_back(self, payment: Payment, posted: Amounts) -> None:
        """The order's postings, and the settlement's where there was one, negated."""
        for account, fen in payment.ordering(self.books.centre).items():
            posted[account] -= fen
        if payment.status == "settled":
            for account, fen in payment.settling(self.books.centre).items():
                posted[account] -= fen

    @staticmethod
    def _differ(place: tuple[int, int], incoming: int, posted: Amounts) -> None:
        bank, source = place
        posted["bank_account", bank, source] -= incoming
        posted["bank_difference", bank, source] += incoming

    def _note(
        self, file: BankFile, payment: str, direction: str, fen: int, outcome: str, at: int,
        place: tuple[int, int] = (0, 0), reference: str = "", *, known: bool = True,
    ) -> None:  # fmt: skip
        self._numbers[file.name] += 1
        event = outcome if known and outcome in ("accepted", "rejected", "settled", "returned", "confirmed") else ""
        line = Line(
            file.name, self._numbers[file.name], payment, direction, fen, outcome,
            outcome in OPEN and not file.notice, at, place, event, reference, file.notice,
        )  # fmt: skip
        self.lines.append(line)
        self._about[payment].append(line)
