"""Faulty files: each is a variation of a small sound delivery and leaves that one untouched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from card_io.keys.signature import SigningKey
from clearing.simulate.deliver import Inbox, Sent
from clearing.simulate.faults import FaultLevel

_CASES_PER_KIND: Final = 2
_CANDIDATES: Final = 60
_NOBODY: Final = 99_998
_FIRST_KEY: Final = bytes(31) + b"\x01"

FileFault = Callable[[Inbox, Sent, Sent], tuple[str, str]]
"""From the inbox, a delivery and another of the same sender to (file name, outcome of rules §10)."""


def misdeliver(inbox: Inbox, sent: list[Sent], level: FaultLevel) -> dict[str, str]:
    """Add faulty files to the inbox; returns the expected outcome by file name."""
    if level == "none":
        return {}
    small = sorted((s for s in sent if s.intact), key=lambda s: (s.manifest.rows, s.manifest.file))[:_CANDIDATES]
    pairs = [
        (first, second)
        for first in small
        for second in small
        if first.manifest.sender == second.manifest.sender
        and first.service is second.service
        and first.manifest.sent_at < second.manifest.sent_at
    ]
    outcomes: dict[str, str] = {}
    for number, fault in enumerate(FILE_FAULTS * _CASES_PER_KIND):
        if not pairs:
            break
        name, outcome = fault(inbox, *pairs[number % len(pairs)])
        outcomes[name] = outcome
    return outcomes


def _variant(inbox: Inbox, sent: Sent, content: bytes, minutes: int, **changes: Any) -> Sent:
    """A delivery like ``sent`` under a new name and number, some minutes later or earlier."""
    name, sequence = inbox.next_name(sent.manifest.sender, sent.service)
    inbox.write(name, content)
    moment = datetime.fromisoformat(sent.manifest.sent_at) + timedelta(minutes=minutes)
    update = {"file": name, "sequence": sequence, "sent_at": moment.isoformat()} | changes
    return Sent(sent.manifest.model_copy(update=update), sent.service, sent.intact)


def _repeated(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    again = _variant(inbox, sent, inbox.read(sent), 5, sequence=sent.manifest.sequence)
    return inbox.sign(again).manifest.file, "repeated"


def _truncated(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    content = inbox.read(sent)
    cut = _variant(inbox, sent, content[: len(content) * 3 // 5], -1)
    return inbox.sign(cut).manifest.file, "hash_mismatch"


def _badly_signed(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    forged = _variant(inbox, sent, inbox.read(sent), -1)
    return inbox.sign(forged, SigningKey(_FIRST_KEY)).manifest.file, "bad_signature"


def _miscounted(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    wrong = _variant(inbox, sent, inbox.read(sent), -1, rows=sent.manifest.rows + 1)
    return inbox.sign(wrong).manifest.file, "count_mismatch"


def _mistotalled(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    total = (sent.manifest.amount_fen or 0) + 1
    wrong = _variant(inbox, sent, inbox.read(sent), -1, amount_fen=total)
    return inbox.sign(wrong).manifest.file, "total_mismatch"


def _same_identity(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    content = inbox.read(other)
    changes = {
        "sequence": sent.manifest.sequence,
        "rows": other.manifest.rows,
        "amount_fen": other.manifest.amount_fen,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return inbox.sign(_variant(inbox, sent, content, 10, **changes)).manifest.file, "identity_clash"


def _same_content(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    return inbox.sign(_variant(inbox, sent, inbox.read(sent), 15)).manifest.file, "content_clash"


def _from_nobody(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    stranger = _variant(inbox, sent, inbox.read(sent), -1, sender=_NOBODY)
    return inbox.sign(stranger).manifest.file, "unknown_sender"


def _empty(inbox: Inbox, sent: Sent, other: Sent) -> tuple[str, str]:
    nothing = _variant(inbox, sent, b"", -1, sha256=hashlib.sha256(b"").hexdigest())
    return inbox.sign(nothing).manifest.file, "empty_file"


FILE_FAULTS: Final[tuple[FileFault, ...]] = (
    _repeated,
    _truncated,
    _badly_signed,
    _miscounted,
    _mistotalled,
    _same_identity,
    _same_content,
    _from_nobody,
    _empty,
)
