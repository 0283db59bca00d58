"""What ``verify`` asks of payments: two persons signed what was ordered, and files say what the entries give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clearing import calendar
from clearing.centre import Centre
from clearing.errors import RefusedError
from clearing.ledger.journal import Entry
from clearing.payments.book import PaymentBook
from clearing.payments.files import order_documents, order_files
from clearing.payments.orders import SUBJECT
from clearing.people import Signature, check_signature, digest_of

Report = Callable[[str, str], None]


def check_payments(centre: Centre, report: Report) -> None:
    """Report every approval, order and file that is not as the rules of §11 and §12 ask for."""
    for close in centre.journal.of_kind("close"):
        if close.body.get("proposer"):
            _check_signed(centre, close, close.body["proposer"], "proposal", report)
    approvals = {entry.sequence: entry for entry in centre.journal.of_kind("approval")}
    for entry in approvals.values():
        _check_signed(centre, entry, entry.body, SUBJECT[entry.body["action"]], report)
    proposers = {number: each.proposer for number, each in PaymentBook(centre.journal).payments.items()}
    for order in centre.journal.of_kind("order"):
        _check_order(order, approvals, proposers, report)
    _check_files(centre, report)


def _check_signed(centre: Centre, entry: Entry, signed: dict[str, Any], subject: str, report: Report) -> None:
    """The payments listed in an entry are what a person in office signed for, and for nothing else."""
    where = f"journal/{entry.sequence:08d}.json"
    if (signed["digest"], signed["subject"]) != (digest_of(entry.body["payments"]), subject):
        report(where, f"what was signed is not the {subject} of the payments listed")
    try:
        check_signature(
            centre.settings,
            Signature.from_json(signed),
            on=calendar.date_of(entry.at // calendar.SECONDS_PER_DAY),
        )
    except RefusedError as exc:
        report(where, f"{subject}: {exc.what}")


def _check_order(order: Entry, approvals: dict[int, Entry], proposers: dict[str, str | None], report: Report) -> None:
    where = f"journal/{order.sequence:08d}.json"
    for instruction in order.body["instructions"]:
        number, digest = instruction["payment"], digest_of(instruction)
        signed = [approvals.get(sequence) for sequence in order.body["approvals"][number]]
        persons = {
            entry.body["person"]
            for entry in signed
            if entry is not None
            and entry.body["action"] == "approve"
            and any(row["payment"] == number and row["digest"] == digest for row in entry.body["payments"])
        }
        if len(persons - {proposers.get(number)}) < 2:
            report(where, f"payment {number} was ordered without two persons' approval of this instruction")


def _check_files(centre: Centre, report: Report) -> None:
    expected: dict[str, bytes] = {}
    for order in centre.journal.of_kind("order"):
        expected |= order_documents(order, centre.settings)
    for path in order_files(centre.directory):
        name = f"payments/{path.name}"
        if path.name not in expected:
            report(name, "the journal knows no such order: the newest entry was removed")
        elif path.read_bytes() != expected[path.name]:
            report(name, "the file is not the one the order entry gives")
