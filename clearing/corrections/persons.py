"""The two signatures under a correction: a reconciler proposes, an approver approves, never one person twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from card_io.keys.signature import SigningKey
from clearing.calendar import SECONDS_PER_DAY, date_of
from clearing.centre import Centre
from clearing.config import Settings
from clearing.corrections.proposals import Proposal
from clearing.errors import RefusedError
from clearing.people import Signature, check_signature, digest_of, require_another, sign


@dataclass(frozen=True, slots=True)
class Signer:
    """A person with the key to sign for it."""

    person: str
    key: SigningKey


def signed(centre: Centre, content: dict[str, Any], by: Signer, at: int) -> Proposal:
    """A proposal of a person who is a reconciler at that time (raises RefusedError)."""
    signature = sign(
        centre.settings,
        by.key,
        person=by.person,
        role="reconciler",
        subject=content["kind"],
        digest=digest_of(content),
        on=date_of(at // SECONDS_PER_DAY),
    )
    return Proposal(content, signature.as_json())


def check_signed(centre: Centre, proposal: Proposal, by: Signer, at: int) -> list[dict[str, str]]:
    """Both signatures, the second by another person who is an approver at that time (raises RefusedError)."""
    first = Signature.from_json(proposal.proposer)
    approval = sign(
        centre.settings,
        by.key,
        person=by.person,
        role="approver",
        subject=proposal.kind,
        digest=proposal.digest,
        on=date_of(at // SECONDS_PER_DAY),
    )
    signatures = [first, approval]
    check_pair(centre.settings, signatures, proposal.content, at)
    return [each.as_json() for each in signatures]


def check_pair(settings: Settings, signatures: list[Signature], content: dict[str, Any], at: int) -> None:
    """Refuse anything but a reconciler's and another person's approver signature over a content.

    Args:
        settings: the centre's people.
        signatures: the proposer's, then the approver's.
        content: what both signed.
        at: wall seconds of the approval.

    Raises:
        RefusedError: naming who or what is wrong.
    """
    first, second = signatures
    check_signature(settings, first, on=date_of(content["at"] // SECONDS_PER_DAY))
    check_signature(settings, second, on=date_of(at // SECONDS_PER_DAY))
    digest, kind = digest_of(content), content["kind"]
    require_another(second.person, [first.person], what=f"the {kind} {digest[:12]}")
    for signature, role in ((first, "reconciler"), (second, "approver")):
        check_meant(signature, role, kind, digest)


def check_meant(signature: Signature, role: str, subject: str, digest: str) -> None:
    """Refuse a signature given for something else.

    Raises:
        RefusedError: naming the person.
    """
    if (signature.role, signature.subject, signature.digest) != (role, subject, digest):
        raise RefusedError(f"{signature.person} signed something else", remedy="propose and approve it again")
