"""The people of a simulated centre: they approve, order again, correct and dispute, and write down what they did.

Seeded. What they look at is the published ledger, as people would; what they do goes through the same functions as
the commands, two persons each. ``happenings.jsonl`` in the truth folder is the auditor's account of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.living import HAPPENINGS
from published import ask

from clearing.bank.take import BankSummary, take_bank_file
from clearing.calendar import date_of
from clearing.corrections import adjust, disputes
from clearing.corrections.disputes import Asked
from clearing.corrections.expiry import expired_benefits
from clearing.corrections.persons import Signer
from clearing.corrections.rules import Item
from clearing.initialise import people_folder
from clearing.payments.approve import Action, approve
from clearing.people import load_key
from clearing.settlement import CloseSummary, Proposer, close_window
from simulation.adapter import PASSPHRASE
from simulation.bank import Bank, Written

AGED = 8
"""Days after which the office looks at what it has left."""

SOONEST_DEADLINE = 15
"""Days that a dispute gives its parties at least."""

WITHDRAWN = 0.1
"""Of the payments that came back, those that are withdrawn, not ordered again."""

CANDIDATES = """
    SELECT t.txn_id, t.service, s.name AS status, t.disposition, t.issuer, t.merchant_id,
        t.card_id, t.amount, t.overcharge, t.cardholder_suspense, t.tac_verdict = 1 AS verified
    FROM transactions t JOIN statuses s USING (status)
    WHERE t.received_window = $window AND t.test_flag = 0 AND t.amount > 0
    QUALIFY COUNT(*) OVER (PARTITION BY t.txn_id) = 1
    ORDER BY hash(t.txn_id, $seed) LIMIT 4000
"""

SCRIPTS: dict[str, list[tuple[str, str, str]]] = {
    "accepted": [("issuer", "open", "1001"), ("acquirer", "answer", "01"), ("issuer", "query", "1002"),
                 ("acquirer", "answer", "02"), ("acquirer", "adjust", "2001")],
    "found right": [("issuer", "open", "1005"), ("issuer", "query", "1006"), ("acquirer", "answer", "01"),
                    ("issuer", "negotiate", "4006"), ("acquirer", "answer", "02")],
    "withdrawn": [("issuer", "open", "1001"), ("acquirer", "answer", "03"), ("issuer", "withdraw", "")],
    "charged back": [("issuer", "open", "1001"), ("issuer", "query", "1002"), ("acquirer", "answer", "03"),
                     ("issuer", "chargeback", ""), ("acquirer", "answer", "01")],
    "represented": [("issuer", "open", "1001"), ("issuer", "query", "1002"), ("acquirer", "answer", "03"),
                    ("issuer", "chargeback", ""), ("acquirer", "answer", "02"), ("issuer", "negotiate", "4002"),
                    ("acquirer", "answer", "01"), ("acquirer", "adjust", "5002")],
    "lapses": [("issuer", "open", "1005")],
    "surplus": [("acquirer", "open", "6001"), ("issuer", "answer", "02"), ("acquirer", "negotiate", "4005"),
                ("issuer", "answer", "01"), ("issuer", "adjust", "5005")],
    "surplus refused": [("acquirer", "open", "6001"), ("issuer", "answer", "01")],
    "tac charged": [("issuer", "report", "TAC"), ("acquirer", "answer", "01")],
    "tac confirmed": [("issuer", "report", "TAC"), ("acquirer", "negotiate", "4005"), ("issuer", "answer", "01")],
    "tac withdrawn": [("issuer", "report", "TAC"), ("issuer", "withdraw", "")],
}  # fmt: skip
"""How disputes go, one move a business day."""


@dataclass
class _Case:
    """A dispute under way."""

    label: str
    name: str
    row: list[Any]
    moves: Iterator[tuple[str, str, str]]


@dataclass
class Office:
    """Everybody who acts in one centre."""

    centre: Path
    seed: int
    truth: Path
    happenings: list[dict[str, Any]] = field(default_factory=list)
    _cases: list[_Case] = field(default_factory=list)
    _follow_up: dict[int, list[Item]] = field(default_factory=dict)
    _labels: int = 0
    _first: int | None = None
    _undo: list[str] = field(default_factory=list)
    """Claims to be taken back."""
    _used: set[int] = field(default_factory=set)
    """Transactions that somebody has touched."""

    def key(self, person: str) -> Path:
        return people_folder(self.centre) / f"{person}.key"

    def signer(self, person: str) -> Signer:
        return Signer(person, load_key(self.key(person)))

    def tell(self, at: int, what: str, **more: Any) -> None:
        """Write down what was done."""
        one = {"at": at, "what": what, **more}
        self.happenings.append(one)
        with (self.truth / HAPPENINGS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(one, ensure_ascii=False) + "\n")

    def close(self, window: int, at: int) -> CloseSummary:
        """Close a window; the reconciler signs the proposal."""
        proposer = Proposer("reconciler", self.key("reconciler"))
        summary = close_window(self.centre, date_of(window), passphrase=PASSPHRASE, now=at, proposer=proposer)
        self.tell(at, "close", window=window, by="reconciler")
        return summary

    # --- payments ---------------------------------------------------------------------------

    def pay(self, today: int, at: int, bank: Bank, next_days: list[int]) -> None:
        """Two persons approve what is due; the bank reads the order and answers within the hour."""
        waiting = ask(
            self.centre,
            "SELECT payment, status FROM payment_status "
            "WHERE status IN ('proposed', 'rejected', 'returned') AND pay_date <= $today ORDER BY payment",
            {"today": date_of(today)},
        )
        chance = random.Random(f"{self.seed} pay {today}")
        dropped = [name for name, status in waiting if status != "proposed" and chance.random() < WITHDRAWN]
        due = [name for name, _ in waiting if name not in dropped]
        if dropped:
            self._sign(dropped, "approver.a", at, "withdraw")
        if due:
            self._sign(due, "approver.a", at + 60, "approve")
            self._sign(due, "approver.b", at + 600, "approve")
        for orders in bank.read(self.centre / "payments"):
            told = [
                {"payment": each.payment, "direction": each.direction, "fen": each.fen, "account": each.account}
                for each in orders
            ]
            self.tell(at + 700, "order", message=orders[0].message, payments=told)
            answer = bank.decide(orders, today, next_days)
            if answer is not None:
                self.take(answer, at + 3600)

    def _sign(self, payments: list[str], person: str, at: int, action: Action) -> None:
        approve(
            self.centre, payments, person=person, key=self.key(person), passphrase=PASSPHRASE, action=action,
            reason="" if action == "approve" else "the payee asks us to wait", now=at,
        )  # fmt: skip
        self.tell(at, action, person=person, payments=payments)

    def take(self, file: Written, at: int) -> BankSummary:
        """Take a file of the bank."""
        folder = self.truth / "bank"
        folder.mkdir(exist_ok=True)
        path = folder / file.name
        path.write_bytes(file.content)
        summary = take_bank_file(self.centre, path, passphrase=PASSPHRASE, now=at)
        self.tell(at, "bank", **file.meant)
        return summary

    # --- corrections and disputes -----------------------------------------------------------

    def correct(self, today: int, at: int) -> None:
        """The day's corrections and disputes about rows of the window closed last."""
        rows = ask(self.centre, CANDIDATES, {"window": date_of(today - 1), "seed": self.seed}, records=True)
        fresh = [row for row in rows if row["txn_id"] not in self._used]
        items = self._follow_up.pop(today, []) + list(self._items(today, fresh)) + self._aged(today, at)
        if items:
            self._adjust(items, at)
        self._dispute(today, fresh, at + 1200)

    def _take(self, rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any] | None:
        """The first row that nobody has touched with the wanted values (or one of them)."""
        for row in rows:
            if row["txn_id"] in self._used:
                continue
            if all(
                row[name] in each if isinstance(each, tuple) else row[name] == each for name, each in wanted.items()
            ):
                self._used.add(row["txn_id"])
                return row
        return None

    def _items(self, today: int, rows: list[dict[str, Any]]) -> Iterator[Item]:
        accepted, held, rejected = 1, 2, 3
        shop = self._take(rows, service="retail", disposition=accepted, issuer=10, merchant_id=(501, 502, 511, 512))
        if shop:
            yield Item("REFUND", "goods came back in part", shop["txn_id"], fen=max(shop["amount"] // 3, 1))
            self._later(today + 2, Item("REFUND_CASH", "paid out", shop["txn_id"], payer=702))
        whole = self._take(rows, service="retail", disposition=accepted, issuer=(10, 20))
        if whole:
            yield Item("REVERSE", "sold twice", whole["txn_id"])
        load = self._take(rows, service="load", disposition=accepted, status="ACCEPTED", issuer=10)
        if load and today % 3 == 0:
            yield Item("REVERSE", "the kiosk gave the money back", load["txn_id"])
        fare = self._positive(
            rows, "overcharge", service="transit", disposition=accepted, merchant_id=(201, 211, 251)
        )
        if fare:
            yield Item("REFUND_OVERCHARGE", "charged too much", fare["txn_id"])
        bill = self._positive(rows, "cardholder_suspense", service="utility", disposition=accepted)
        if bill:
            yield Item("REFUND_EXCESS", "paid twice", bill["txn_id"])
        for template, statuses, changes in (
            (
                "RELEASE",
                ("BALANCE_BREAK", "UNKNOWN_TERMINAL", "AMOUNT_OVER_LIMIT", "CARD_UNKNOWN"),
                {"verified": True},
            ),
            ("REFUND_SUSPENSE", ("BALANCE_BREAK", "UNKNOWN_TERMINAL"), {"verified": True}),
        ):
            row = self._take(rows, disposition=held, status=statuses, service=("retail", "transit"), **changes)
            if row:
                yield Item(template, "looked into it", row["txn_id"])
        unproven = self._take(
            rows, disposition=held, status=("TAC_MISSING", "KEY_UNKNOWN"), service=("retail", "transit")
        )
        if unproven:
            yield Item("RELEASE_UNPROVEN", "the reader proved it", unproven["txn_id"])
        listed = self._take(rows, disposition=rejected, status="CARD_BLACKLISTED", service=("retail", "transit"))
        if listed:
            yield Item("RELEASE_REJECTED", "listed by mistake", listed["txn_id"])
        claim = self._take(
            rows, disposition=held, service="load", status=("TAC_MISSING", "UNKNOWN_TERMINAL", "BALANCE_BREAK")
        )
        if claim:
            yield Item("RELEASE_LOAD", "the agent has shown it", claim["txn_id"])
        moved = self._take(rows, service="retail", disposition=accepted, merchant_id=501)
        if moved:
            yield Item("TRANSFER", "the stall belongs to the other canteen", moved["txn_id"], payee=502)
        if today % 4 == 0:
            yield Item("CLAIM", "shared till", payer=511, payee=512, fen=137)
        if today % 5 == 0:
            yield Item("FEE_RETURN", "fee of a test day", payer=1, payee=513, fen=11)
        card = self._take(rows, service="load", disposition=accepted, issuer=10)
        if card:
            yield Item("CARD_DEPOSIT", "deposit taken at issue", card_id=card["card_id"], payer=701, fen=2000)
            self._later(today + 3, Item("CARD_DEPOSIT_BACK", "card returned", card_id=card["card_id"], fen=2000))
            self._later(today + 4, Item("CARD_REFUND_CASH", "paid out", card_id=card["card_id"], payer=701, fen=2000))

    def _aged(self, today: int, at: int) -> list[Item]:
        """Benefits nobody picked up in a week, a small sum in suspense, and a claim that was none after all."""
        if self._first is None:
            self._first = today
        items = []
        if today - self._first >= AGED:
            items = expired_benefits(self.centre, passphrase=PASSPHRASE, now=at)
            old = ask(self.centre, CANDIDATES, {"window": date_of(today - AGED), "seed": self.seed}, records=True)
            small = [row for row in old if row["amount"] <= 5000 and row["verified"]]
            row = self._take(
                small, disposition=2, status=("BALANCE_BREAK", "UNKNOWN_TERMINAL"), service=("retail", "transit")
            )
            if row is not None:
                items.append(Item("WRITE_OFF_SUSPENSE", "nobody asked for it", row["txn_id"]))
        if self._undo:
            items.append(Item("UNDO", "there was no claim", undoes=self._undo.pop(0)))
        return items

    def _positive(self, rows: list[dict[str, Any]], column: str, **wanted: Any) -> dict[str, Any] | None:
        return self._take([row for row in rows if row[column] > 0], **wanted)

    def _later(self, day: int, item: Item) -> None:
        self._follow_up.setdefault(day, []).append(item)

    def carry_over(self, today: int) -> None:
        """What was to be done on a day when the office is closed waits for the next."""
        self._follow_up.setdefault(today + 1, [])[:0] = self._follow_up.pop(today, [])

    def _adjust(self, items: list[Item], at: int) -> None:
        asked = adjust.propose(self.centre, items, passphrase=PASSPHRASE, by=self.signer("reconciler"), now=at)
        assert asked.proposal is not None
        done = adjust.approve(
            self.centre, asked.proposal, passphrase=PASSPHRASE, by=self.signer("approver.a"), now=at + 300
        )
        files, labels = self._files(), [f"A{done.entry}-{number}" for number in range(1, len(items) + 1)]
        self._undo += [label for item, label in zip(items, labels, strict=True) if item.template == "CLAIM"]
        told = [
            {
                "template": item.template,
                "label": label,
                "undoes": item.undoes,
                "row": None if item.txn_id is None else [files[item.txn_id >> 32], item.txn_id & 0xFFFFFFFF],
                "card": None if item.card_id is None else f"{item.card_id:016x}",
                **{name: getattr(item, name) for name in ("fen", "merchant", "payer", "payee", "source")},
            }
            for item, label in zip(items, labels, strict=True)
        ]
        self.tell(at + 300, "adjust", corrections=told)

    def _files(self) -> dict[int, str]:
        return dict(ask(self.centre, "SELECT file_no, file FROM files"))

    def _dispute(self, today: int, rows: list[dict[str, Any]], at: int) -> None:
        asked: list[Asked] = []
        told: list[dict[str, Any]] = []
        opened: list[_Case] = []
        assert self._first is not None
        due = disputes.lapsed(self.centre, PASSPHRASE, now=at) if today - self._first > SOONEST_DEADLINE else []
        lapsed = {each.dispute: each for each in due}
        for case in list(self._cases):
            if case.name in lapsed:
                asked.append(lapsed[case.name])
                told.append(_told(case, "centre", "lapse", ""))
                continue
            move = next(case.moves, None)
            if move is not None:
                asked.append(Asked("as agreed", *move[:2], dispute=case.name, code=move[2]))
                told.append(_told(case, *move))
        files = self._files()
        for ending in self._endings(today):
            row = self._disputable(ending, rows)
            if row is None:
                continue
            self._labels += 1
            moves = iter(SCRIPTS[ending])
            actor, action, code = next(moves)
            case = _Case(
                f"{self._labels} {ending}", "", [files[row["txn_id"] >> 32], row["txn_id"] & 0xFFFFFFFF], moves
            )
            asked.append(Asked(ending, actor, action, txn_id=row["txn_id"], code=code))
            told.append(_told(case, actor, action, code))
            opened.append(case)
        if not asked:
            return
        proposed = disputes.propose_moves(
            self.centre, asked, passphrase=PASSPHRASE, by=self.signer("reconciler"), now=at
        )
        assert proposed.proposal is not None
        outcome = disputes.approve_moves(
            self.centre, proposed.proposal, passphrase=PASSPHRASE, by=self.signer("approver.b"), now=at + 300
        )
        for number, case in enumerate(opened, 1 + len(asked) - len(opened)):
            case.name = f"D{outcome.entry}-{number}"
        self._cases += opened
        self.tell(at + 300, "dispute", moves=told)

    def _endings(self, today: int) -> list[str]:
        """Which disputes are opened: three a day, in turn, so that even a short month sees several."""
        names = list(SCRIPTS)
        return [names[(3 * today + step + self.seed) % len(names)] for step in range(3)]

    def _disputable(self, ending: str, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
        if ending.startswith("surplus"):
            return self._take(
                rows, disposition=2, status=("BALANCE_BREAK", "UNKNOWN_TERMINAL"), service=("retail", "transit"),
                verified=True,
            )  # fmt: skip
        if ending.startswith("tac"):
            return self._take(
                rows, disposition=1, issuer=21, service=("retail", "transit"), merchant_id=(201, 211, 511, 512, 513)
            )
        return self._take(rows, disposition=1, issuer=(10, 20), service="retail")


def _told(case: _Case, actor: str, action: str, code: str) -> dict[str, Any]:
    return {"label": case.label, "row": case.row, "actor": actor, "action": action, "code": code, "fen": None}
