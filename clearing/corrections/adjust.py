"""``clearing adjust``: decide corrections against the ledger, propose them, post them with a second signature."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from clearing.calendar import date_of
from clearing.card_accounts.account import card_subject
from clearing.centre import Centre
from clearing.config import load_settings
from clearing.corrections.bank_lines import BankBooks, bank_lines_of
from clearing.corrections.commit import drop, open_window, post, refuse_posted
from clearing.corrections.opening import TEMPLATE, read_opening, refuse_card_again
from clearing.corrections.persons import Signer, check_signed, signed
from clearing.corrections.proposals import posted_sheets, read_proposal, write_proposal
from clearing.corrections.rules import (
    RULES,
    Decided,
    Item,
    check_card_undo,
    check_undo,
    decide_card,
    decide_participants,
    decide_transaction,
    refused,
)
from clearing.corrections.subject import CardSubject, Subject, reference_of, subjects_of
from clearing.corrections.templates import Legs, joined
from clearing.engine import declared_now, opened
from clearing.errors import ClearingError, RefusedError
from clearing.ledger.projection import PRIVATE_NAME
from clearing.payments.book import PaymentBook
from clearing.store import Store, sql_text

Attributed = tuple[int | None, str | None, str, int, int, int]
"""A leg with the transaction or card (hex) whose money it moves: txn_id, card, kind, participant, source, fen."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One asked correction with what became of it: decided, or refused with the reason."""

    item: Item
    decided: Decided | None
    refusal: RefusedError | None = None


def open_bank_lines(directory: Path) -> list[dict[str, Any]]:
    """Lines of bank files that wait for a person, oldest first, from the published ledger."""
    threads = load_settings(directory).centre.threads
    with Store(directory / PRIVATE_NAME, directory, read_only=True, threads=threads) as ledger:
        rows = ledger.records(sql_text("corrections/open_bank_lines"))
    return [{**row, "since": row["since"].isoformat()} for row in rows]


def item_document(item: Item) -> dict[str, Any]:
    """An item as a proposal names it; a card by its id in hex."""
    return {**asdict(item), "card_id": None if item.card_id is None else f"{item.card_id:016x}"}


def item_of(document: dict[str, Any]) -> Item:
    """The item of a document (raises ClearingError for one that is none)."""
    names = {each.name for each in fields(Item)}
    if set(document) != names or document["template"] not in RULES:
        raise ClearingError("the document holds no correction", remedy="propose it again")
    card = document["card_id"]
    return Item(**{**document, "card_id": None if card is None else int(card, 16)})


def judge(centre: Centre, store: Store, items: list[Item], window: int) -> list[Judged]:
    """Every item decided or refused, in order: each sees what the ones before it in the list move.

    Args:
        centre: the centre.
        store: its projection, caught up.
        items: what is asked.
        window: in which it would post.
    """
    undoable = dict(_undoable(store)) if any(item.template == "UNDO" for item in items) else {}
    about = [*items, *(undoable[i.undoes][0] for i in items if i.undoes in undoable)]
    lines = {name for item in about for name in (item.bank_line, item.linked_line) if name is not None}
    txns = [txn for item in about for txn in (item.txn_id, item.linked_txn_id) if txn is not None]
    cards = {item.card_id for item in about if item.card_id is not None}
    books = _Books(
        centre,
        subjects_of(centre, store, txns, window) if txns else {},
        {card: card_subject(centre, store, card, window) for card in cards},
        undoable,
        BankBooks(bank_lines_of(store, lines, window), PaymentBook(centre.journal).payments)
        if lines
        else BankBooks(),
    )
    found = []
    for item in items:
        try:
            decided = books.decide(item)
        except RefusedError as exc:
            found.append(Judged(item, None, exc))
        else:
            books.move(decided)
            found.append(Judged(item, decided))
    return found


@dataclass
class _Books:
    """Transactions, cards and earlier adjustments as they stand while a list of items is decided."""

    centre: Centre
    subjects: dict[int, Subject]
    cards: dict[int, CardSubject]
    undoable: dict[str, tuple[Item, int, list[Attributed]]]
    bank: BankBooks

    def decide(self, item: Item) -> Decided:
        if not item.reason.strip():
            raise refused(item, "no reason", "say why: --reason")
        if item.template not in RULES:
            raise refused(item, "no such correction", f"one of {', '.join(RULES)}")
        about = RULES[item.template].subject
        if about == "adjustment":
            return self._undo(item)
        if about == "participants":
            return decide_participants(item, self.centre.settings)
        if about == "bank_line":
            return self.bank.decide(item, self.centre.settings)
        if about == "card":
            if item.card_id is None:
                raise refused(item, "no card", "give its number on standard input: --card")
            return decide_card(item, self.cards[item.card_id], self.centre.settings)
        return self._transaction(item)

    def _transaction(self, item: Item) -> Decided:
        if item.txn_id is None:
            raise refused(item, "no transaction", "name it as FILE_NO:ROW")
        subject = self.subjects.get(item.txn_id)
        if subject is None:
            raise refused(item, "no decided transaction of that name", "see it: clearing explain")
        linked = None
        if item.template == "REFUND_LOADED":
            linked = self._owed(item)
        return decide_transaction(item, subject, linked, self.centre.settings)

    def _owed(self, item: Item) -> Subject:
        """Whose refund a load pays: another transaction's or a card's."""
        assert item.txn_id is not None
        if item.linked_txn_id is not None and item.linked_txn_id in self.subjects:
            return self.subjects[item.linked_txn_id]
        if item.card_id is not None:
            card = self.cards[item.card_id]
            return replace(self.subjects[item.txn_id], issuer=card.issuer, accounts=card.accounts)
        raise refused(item, "whose refund does the load pay?", "name the transaction: --linked, or the card: --card")

    def _undo(self, item: Item) -> Decided:
        if item.undoes is None or item.undoes not in self.undoable:
            raise refused(item, "no such adjustment, or undone already", "see them: SELECT * FROM adjustments")
        original, issuer, legs = self.undoable[item.undoes]
        backwards: Legs = Counter()
        for _, _, kind, participant, source, fen in legs:
            backwards[kind, participant, source] -= fen
        item = replace(original, template="UNDO", reason=item.reason, undoes=item.undoes)
        if original.txn_id is not None:
            check_undo(item, backwards, self.subjects[original.txn_id])
        elif original.card_id is not None:
            check_card_undo(item, backwards, self.cards[original.card_id])
        elif original.bank_line is not None:
            self.bank.check_undo(item, backwards)
        return Decided(item, issuer, backwards)

    def move(self, decided: Decided) -> None:
        """Let later items see this one."""
        for txn_id, card, kind, participant, source, fen in attributed(decided):
            legs: Legs = Counter({(kind, participant, source): fen})
            if txn_id is not None and txn_id in self.subjects:
                subject = self.subjects[txn_id]
                self.subjects[txn_id] = replace(subject, accounts=joined([subject.accounts, legs]))
            elif card is not None and int(card, 16) in self.cards:
                subject_card = self.cards[int(card, 16)]
                self.cards[int(card, 16)] = replace(subject_card, accounts=joined([subject_card.accounts, legs]))
        self.bank.move(decided)
        self.undoable.pop(decided.item.undoes or "", None)


def attributed(decided: Decided) -> list[Attributed]:
    """The legs of a correction with the transaction or card they belong to, by account."""
    item = decided.item
    card = None if item.card_id is None else f"{item.card_id:016x}"
    found: list[Attributed] = []
    for (kind, participant, source), fen in sorted(decided.legs.items()):
        txn_id, owner = item.txn_id, None if item.txn_id is not None else card
        if item.linked_txn_id is not None and kind == "refund_payable":
            txn_id = item.linked_txn_id
        elif card is not None and item.txn_id is not None and kind == "refund_payable":
            txn_id, owner = None, card
        found.append((txn_id, owner, kind, participant, source, fen))
    return found


def _undoable(store: Store) -> list[tuple[str, tuple[Item, int, list[Attributed]]]]:
    """Adjustments that can be undone, by name: item, issuer, legs."""
    legs: dict[str, list[Attributed]] = {}
    for name, txn_id, card, *rest in store.run(sql_text("corrections/undoable_legs")):
        legs.setdefault(name, []).append((txn_id, None if card is None else f"{card:016x}", *rest))
    found = []
    for row in store.records(sql_text("corrections/undoable")):
        names = ("template", "reason", "txn_id", "card_id", "linked_txn_id", "undoes", "fen", "merchant", "payer")
        lines = ("bank_line", "linked_line", "payment")
        item = Item(**{name: row[name] for name in (*names, *lines, "payee", "source")})
        found.append((row["adjustment"], (item, row["issuer"], legs[row["adjustment"]])))
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command of corrections did or would do; JSON-able. ``entry`` is None while nothing is posted."""

    proposal: str | None
    window: str
    entry: int | None
    items: list[dict[str, Any]]
    refused: list[dict[str, Any]]


def propose(
    directory: Path,
    items: list[Item],
    *,
    passphrase: str,
    by: Signer,
    now: int | None = None,
    wait: float = 60.0,
    sheet: str | None = None,
    opening: Path | None = None,
) -> Outcome:
    """Decide corrections and leave them, signed by one person, for another; nothing is posted.

    ``opening`` is the file of an ``OPENING_VALUE``, ``sheet`` the digest of an exception sheet.

    Raises:
        RefusedError: the first item that the rules refuse, or a sheet that was applied already.
    """
    with opened(directory, passphrase, wait=wait, purpose="clearing adjust") as (centre, projection):
        at = declared_now(centre, now)
        window = open_window(centre, at)
        if opening is not None or any(each.template == TEMPLATE for each in items):
            items, sheet = _opened(centre, items, opening, window)
        _refuse_sheet_again(centre, sheet)
        projection.refresh_if_stale(centre.journal)
        decided = [_must(each) for each in judge(centre, projection.store, items, window)]
        if not decided:
            raise RefusedError("nothing to correct", remedy="name at least one correction")
        if len({each.item.bank_line is None for each in decided}) > 1:
            raise RefusedError("bank lines are explained in proposals of their own", remedy="propose them apart")
        content = {
            "kind": "adjustment",
            "at": at,
            "after": len(centre.journal.entries),
            "items": [item_document(each.item) for each in decided],
            "sheet": sheet,
        }
        proposal = signed(centre, content, by, at)
        write_proposal(directory, proposal)
    return Outcome(proposal.name, date_of(window).isoformat(), None, [shown(each) for each in decided], [])


def approve(
    directory: Path, name: str, *, passphrase: str, by: Signer, now: int | None = None, wait: float = 60.0
) -> Outcome:
    """Post a proposal with the signature of a second person.

    Raises:
        RefusedError: one person twice, a role missing, posted already, or an item that no longer holds.
    """
    with opened(directory, passphrase, wait=wait, purpose="clearing adjust") as (centre, projection):
        at = declared_now(centre, now)
        window = open_window(centre, at)
        proposal = read_proposal(directory, name)
        if proposal.kind != "adjustment":
            raise RefusedError("the proposal is no adjustment", where=name, remedy="approve it by its own command")
        signatures = check_signed(centre, proposal, by, at)
        refuse_posted(centre, proposal)
        _refuse_sheet_again(centre, proposal.content["sheet"])
        projection.refresh_if_stale(centre.journal)
        items = [item_of(document) for document in proposal.content["items"]]
        if any(each.template == TEMPLATE for each in items):
            archived = centre.archive.folder / "config" / str(proposal.content["sheet"])
            items, sheet = _opened(centre, items, archived, window)
            if sheet != proposal.content["sheet"]:
                raise RefusedError("the opening file is not the one that was proposed", remedy="propose it again")
        decided = [_must(each) for each in judge(centre, projection.store, items, window)]
        named = f"A{len(centre.journal.entries) + 1}"
        listed = [
            {
                "adjustment": f"{named}-{number}",
                **item_document(each.item),
                "issuer": each.issuer,
                "legs": attributed(each),
            }
            for number, each in enumerate(decided, 1)
        ]
        body = {
            "proposal": proposal.digest,
            "proposed": proposal.content,
            "items": listed,
            "sheet": proposal.content["sheet"],
            "signatures": signatures,
        }
        files = {"opening.parquet": body["sheet"]} if any(each.template == TEMPLATE for each in items) else {}
        entry = post(centre, projection, "adjustment", body, [each.legs for each in decided], window, at, files)
        drop(directory, proposal)
    return Outcome(proposal.name, date_of(window).isoformat(), entry.sequence, [shown(e) for e in decided], [])


def _opened(centre: Centre, items: list[Item], opening: Path | None, window: int) -> tuple[list[Item], str]:
    """An opening with the sum of its file, and the file's digest; a copy of the file is archived."""
    if opening is None or [each.template for each in items] != [TEMPLATE]:
        raise RefusedError("an opening is one correction with its file", remedy="opening-value, with --opening FILE")
    read = read_opening(opening, centre.registers, window)
    refuse_card_again(read, centre.journal, centre.archive)
    if items[0].fen not in (None, read.fen):
        raise RefusedError(
            f"the file sums to {read.fen} fen, not {items[0].fen}", where=opening, remedy="leave the amount out"
        )
    return [replace(items[0], fen=read.fen)], centre.archive.store_config(opening)


def _must(judged: Judged) -> Decided:
    if judged.refusal is not None:
        raise judged.refusal
    assert judged.decided is not None
    return judged.decided


def _refuse_sheet_again(centre: Centre, sheet: str | None) -> None:
    if sheet is not None and sheet in posted_sheets(centre.journal):
        raise RefusedError("the sheet was applied already", where=sheet[:12], remedy="download a fresh one")


def shown(decided: Decided) -> dict[str, Any]:
    """A decided correction for people and JSON."""
    item = decided.item
    return {
        "template": item.template,
        "transaction": None if item.txn_id is None else reference_of(item.txn_id),
        "card_id": None if item.card_id is None else f"{item.card_id:016x}",
        "bank_line": item.bank_line,
        "fen": item.fen,
        "reason": item.reason,
        "legs": [
            {"account": kind, "participant": participant, "source": source, "fen": fen}
            for (kind, participant, source), fen in sorted(decided.legs.items())
        ],
    }
