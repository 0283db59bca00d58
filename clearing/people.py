"""People who act on the centre's money: who they are, their roles, and their own signatures (clearing-rules §11).

A person signs the digest of what they decide with their own Ed25519 key; the centre keeps public keys only. Nobody
decides alone: :func:`require_another` refuses a second signature by the first person.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

from pydantic import Field

from card_io.keys.errors import SignatureError
from card_io.keys.signature import SigningKey, VerifyKey
from clearing.errors import ConfigError, RefusedError
from clearing.strict import Strict

if TYPE_CHECKING:
    from clearing.config import Settings

Role = Literal["intake", "reconciler", "approver", "auditor", "key_officer"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)

_LABEL: Final = "citizen-card signature"
"""First line of what is signed: a signature given here is worth nothing elsewhere."""


class Person(Strict):
    """One person of the centre: roles and the public half of the key they sign with, both within dates."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,31}$")]
    name: str
    roles: tuple[Role, ...]
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Ed25519 public key, 64 hex digits."""
    valid_from: datetime.date = datetime.date(1970, 1, 1)
    valid_to: datetime.date = datetime.date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a person signed: ``subject`` says what kind of thing, ``digest`` (SHA-256 hex) which one exactly."""

    person: str
    role: Role
    subject: str
    digest: str
    signature: str
    """128 hex digits."""

    def as_json(self) -> dict[str, str]:
        """The signature as it stands in a journal entry."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Signature:
        """The signature of a journal entry."""
        return cls(**{name: document[name] for name in ("person", "role", "subject", "digest", "signature")})


def digest_of(document: object) -> str:
    """SHA-256 hex of a document's canonical JSON: what people sign."""
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def signed_bytes(person: str, role: Role, subject: str, digest: str) -> bytes:
    """The bytes a person signs: label, subject, digest, person and role, one a line."""
    return "\n".join((_LABEL, subject, digest, person, role)).encode()


def sign(settings: Settings, key: SigningKey, *, person: str, role: Role, subject: str, digest: str,
         on: datetime.date) -> Signature:  # fmt: skip
    """The signature of a person acting in a role on a date, checked before it is given out.

    Raises:
        RefusedError: see :func:`check_signature`.
    """
    given = key.sign(signed_bytes(person, role, subject, digest)).hex()
    signature = Signature(person, role, subject, digest, given)
    check_signature(settings, signature, on=on)
    return signature


def check_signature(settings: Settings, signature: Signature, *, on: datetime.date) -> Person:
    """The person behind a signature, who must hold the role on that date.

    Raises:
        RefusedError: nobody of that name, not in office on ``on``, without the role, or another key's signature.
    """
    person = next((each for each in settings.people if each.id == signature.person), None)
    if person is None:
        raise RefusedError(f"{signature.person!r} is nobody of this centre", remedy="list the person under people:")
    if not person.valid_from <= on <= person.valid_to:
        raise RefusedError(
            f"{person.id} acts from {person.valid_from} to {person.valid_to}, not on {on}",
            remedy="another person acts, or the dates are corrected",
        )
    if signature.role not in person.roles:
        raise RefusedError(
            f"{person.id} does not hold the role {signature.role} (has {', '.join(person.roles) or 'none'})",
            remedy="a person with that role acts",
        )
    message = signed_bytes(signature.person, signature.role, signature.subject, signature.digest)
    try:
        VerifyKey.from_hex(person.key).verify(bytes.fromhex(signature.signature), message)
    except (SignatureError, ValueError):
        raise RefusedError(
            f"the signature is not by the key of {person.id}", remedy=f"sign with the key of {person.id}"
        ) from None
    return person


def require_another(person: str, earlier: Iterable[str], *, what: str) -> None:
    """Two persons decide: refuse ``person`` who has already acted on ``what``.

    Raises:
        RefusedError: naming the person and what they did.
    """
    if person in set(earlier):
        raise RefusedError(f"{person} has already acted on {what}", remedy="a second person decides")


def load_key(path: Path) -> SigningKey:
    """The private key of a person: a file with 64 hex digits.

    Raises:
        ConfigError: the file cannot be read as a key.
    """
    try:
        return SigningKey.from_hex(path.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError, SignatureError) as exc:
        raise ConfigError(
            "no signing key there (64 hex digits)", where=path, remedy="make one: clearing person FILE"
        ) from exc


def write_key(path: Path, key: SigningKey) -> None:
    """Write a person's private key, readable by its owner only.

    Raises:
        RefusedError: a file lies there already.
    """
    if path.exists():
        raise RefusedError("a file lies there already", where=path, remedy="name a new file")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(key.to_hex() + "\n", "ascii")
