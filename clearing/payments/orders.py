"""Orders: what two persons have approved alike becomes a journal entry with its postings (clearing-rules §12)."""

from __future__ import annotations

import datetime
from typing import Any, Final

from clearing import calendar
from clearing.centre import Centre
from clearing.config import Settings
from clearing.ledger.journal import Entry
from clearing.payments.book import Amounts, Payment, PaymentBook, as_postings, open_window
from clearing.payments.due import account_document, mandate_document
from clearing.people import digest_of

SUBJECT: Final = {"approve": "payments", "withdraw": "withdrawal"}
"""What a person's signature is for, by what they do."""


def instruction_of(payment: Payment, settings: Settings, on: datetime.date) -> dict[str, Any]:
    """What the bank will be told. A payment that came back goes to the account agreed today, else as proposed."""
    row = {name: payment.proposed[name] for name in _INSTRUCTION}
    agreement = settings.settlement(row["participant"], on)
    came_back = payment.instruction is not None
    mandate = payment.proposed.get("mandate")
    if came_back and row["to_source"] is None and agreement is not None and agreement.account is not None:
        row["theirs"] = account_document(agreement.account)
        mandate = mandate_document(agreement) if row["direction"] == "collect" else None
    return row if mandate is None else {**row, "mandate": mandate}


_INSTRUCTION: Final = (
    "payment", "participant", "source", "direction", "fen", "purpose", "pay_date", "bank", "from_source", "ours",
    "theirs", "to_source", "to_bank",
)  # fmt: skip


def complete_orders(centre: Centre) -> Entry | None:
    """Order what two persons have approved alike and no order holds yet: the approval's second half.

    The first half may have survived a crash alone; then the next command completes it here.
    """
    book = PaymentBook(centre.journal)
    agreed = [payment for payment in book.live() if _agreed(payment) is not None]
    if not agreed:
        return None
    approved = {entry.sequence: entry for entry in centre.journal.of_kind("approval")}
    instructions: list[dict[str, Any]] = []
    postings, signed = Amounts(), dict[str, list[int]]()
    for payment in agreed:
        entries = [sequence for _, sequence in payment.approvals.values()]
        on = calendar.date_of(approved[max(entries)].at // calendar.SECONDS_PER_DAY)
        instruction = instruction_of(payment, centre.settings, on)
        if digest_of(instruction) != _agreed(payment):
            continue  # The account agreed has changed since they signed: they sign again.
        instructions.append(instruction)
        signed[payment.number] = sorted(entries)
        postings.update(payment.order_postings(centre.settings.centre.id))
    if not instructions:
        return None
    at = max(approved[sequence].at for sequences in signed.values() for sequence in sequences)
    received = int(calendar.received_window(at, centre.settings.calendar))
    body = {
        "message": message_number(centre.settings, len(centre.journal.entries) + 1),
        "instructions": instructions,
        "approvals": signed,
        "postings": as_postings(postings, open_window(centre.journal, received)),
    }
    return centre.journal.append("order", body, at=at, key=centre.signing)


def _agreed(payment: Payment) -> str | None:
    """The digest that two persons have signed, if there is one."""
    digests = [digest for digest, _ in payment.approvals.values()]
    return next((digest for digest in digests if digests.count(digest) > 1), None)


def message_number(settings: Settings, sequence: int) -> str:
    """MsgId of the order in a journal entry: centre and sequence, so no two orders share one."""
    return f"C{settings.centre.id:06d}-{sequence:08d}"
