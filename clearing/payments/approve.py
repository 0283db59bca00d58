"""Approving payments: two persons sign, the second signature orders (docs/clearing-rules.md §12).

A person signs the digest of the instructions exactly as they will go to the bank. Who proposed cannot approve, nobody
approves twice; two signatures of the same instruction make the order entry, from which the files are written.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clearing import calendar
from clearing.config import Settings
from clearing.engine import declared_now, opened, project
from clearing.errors import RefusedError
from clearing.payments.book import HOLDING, Payment, PaymentBook
from clearing.payments.files import write_order_files
from clearing.payments.orders import SUBJECT, complete_orders, instruction_of
from clearing.people import digest_of, load_key, require_another, sign
from clearing.run_summary import RunSummary

Action = Literal["approve", "withdraw"]


@dataclass
class ApprovalSummary:
    """What an approval did; JSON-able."""

    person: str
    action: str
    entry: int
    digest: str
    payments: list[str]
    fen: int
    message: str | None = None
    ordered: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def approve(
    directory: Path,
    payments: Iterable[str],
    *,
    person: str,
    key: Path,
    passphrase: str,
    window: datetime.date | None = None,
    action: Action = "approve",
    reason: str = "",
    now: int | None = None,
    wait: float = 60.0,
) -> ApprovalSummary:
    """Approve (or withdraw) payments as one person; the second approval orders them.

    Args:
        directory: the centre.
        payments: their numbers.
        person: who acts, by the id under ``people:``.
        key: file with the private key of that person.
        passphrase: of the key store.
        window: all payments of this window that can be approved, besides those named.
        action: ``withdraw`` takes back what is not on the way; its money falls due again at the next close.
        reason: why; a withdrawal needs one.
        now: declared clock of a simulated centre.
        wait: seconds to wait for the centre's lock.

    Raises:
        RefusedError: naming the payment and the rule.
        ConfigError: no key in the file.
    """
    signing = load_key(key)
    if action == "withdraw" and not reason:
        raise RefusedError("a withdrawal needs a reason", remedy="give --reason")
    with opened(directory, passphrase, wait=wait, purpose="clearing approve") as (centre, projection):
        at = declared_now(centre, now)
        date = calendar.date_of(at // calendar.SECONDS_PER_DAY)
        book = PaymentBook(centre.journal)
        chosen = [*payments, *(_of_window(book, window, person, action) if window else ())]
        rows = _to_sign(book, chosen, person if action == "approve" else None, centre.settings, date)
        signature = sign(
            centre.settings,
            signing,
            person=person,
            role="approver",
            subject=SUBJECT[action],
            digest=digest_of(rows),
            on=date,
        )
        body = {"action": action, "reason": reason, "payments": rows, **signature.as_json()}
        entry = centre.journal.append("approval", body, at=at, key=centre.signing)
        ordered = complete_orders(centre) if action == "approve" else None
        project(centre, projection, RunSummary())
        files = write_order_files(directory, ordered, centre.settings) if ordered is not None else []
    return ApprovalSummary(
        person=person,
        action=action,
        entry=entry.sequence,
        digest=signature.digest,
        payments=[row["payment"] for row in rows],
        fen=sum(row["fen"] for row in rows),
        message=None if ordered is None else ordered.body["message"],
        ordered=[] if ordered is None else [each["payment"] for each in ordered.body["instructions"]],
        files=[str(path.relative_to(directory)) for path in files],
    )


def _to_sign(
    book: PaymentBook, chosen: list[str], approver: str | None, settings: Settings, date: datetime.date
) -> list[dict[str, Any]]:
    """What a person signs: payment, fen and the digest of its instruction, each payment once."""
    if not chosen:
        raise RefusedError("no payment is named or waits there", remedy="see the proposal in payments/")
    rows = []
    for number in dict.fromkeys(chosen):
        payment = _holding(book, number)
        instruction = instruction_of(payment, settings, date)
        digest = digest_of(instruction)
        if approver is not None:
            _refuse_person(payment, approver, digest)
        rows.append({"payment": number, "fen": instruction["fen"], "digest": digest})
    return rows


def _of_window(book: PaymentBook, window: datetime.date, person: str, action: Action) -> list[str]:
    """Payments of a window that the person can act on; a payment they have approved already waits for another."""
    prefix = f"{window:%Y%m%d}-"
    return [
        number
        for number, payment in book.payments.items()
        if number.startswith(prefix)
        and payment.status in HOLDING
        and (action == "withdraw" or person not in payment.approvals)
    ]


def _holding(book: PaymentBook, number: str) -> Payment:
    payment = book.payments.get(number)
    if payment is None:
        raise RefusedError(f"there is no payment {number}", remedy="see the proposals in payments/")
    if payment.status not in HOLDING:
        raise RefusedError(
            f"payment {number} is {payment.status}",
            remedy="only what is proposed, rejected or returned can be approved or withdrawn",
        )
    return payment


def _refuse_person(payment: Payment, person: str, digest: str) -> None:
    """Nobody approves the same instruction twice; one whose account has changed since is signed again."""
    signed = [who for who, (earlier, _) in payment.approvals.items() if earlier == digest]
    require_another(person, signed, what=f"payment {payment.number}")
    if payment.proposer is not None:
        require_another(person, [payment.proposer], what=f"payment {payment.number} (proposed it)")
