"""What the key store says about a key in the open, and which keys it accepts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from card_io.keys.algorithm import KeyAlgorithm

NO_ISSUER = "-"


class KeyKind(StrEnum):
    """What a key is for; the text is what the key store file and the command line say."""

    TAC_PURCHASE = "tac_purchase"
    TAC_LOAD = "tac_load"
    PURSE_PURCHASE = "purse_purchase"
    PURSE_LOAD = "purse_load"
    PURSE_UNLOAD = "purse_unload"
    PURSE_OVERDRAFT = "purse_overdraft"
    PURSE_MAINTENANCE = "purse_maintenance"
    PURSE_PIN = "purse_pin"
    CARD_ID = "card_id"
    ARCHIVE_KEK = "archive_kek"
    VAULT_KEK = "vault_kek"
    CENTRE_SIGNING = "centre_signing"
    EXPORT_TOKEN = "export_token"
    TRANSPORT = "transport"


class KeyScheme(StrEnum):
    """How card keys come from a master: by issuer and then card (DESIGN §6), or by card alone."""

    TWO_LEVEL = "two_level"
    ONE_LEVEL = "one_level"


@dataclass(frozen=True, slots=True)
class _Rule:
    algorithms: tuple[KeyAlgorithm, ...]
    lengths: tuple[int, ...]


_ISSUER_RULE = _Rule((KeyAlgorithm.TDES, KeyAlgorithm.SM4), (16,))
_KEK_RULE = _Rule((KeyAlgorithm.AES,), (32,))
_RULES = {
    KeyKind.TAC_PURCHASE: _ISSUER_RULE,
    KeyKind.TAC_LOAD: _ISSUER_RULE,
    KeyKind.PURSE_PURCHASE: _ISSUER_RULE,
    KeyKind.PURSE_LOAD: _ISSUER_RULE,
    KeyKind.PURSE_UNLOAD: _ISSUER_RULE,
    KeyKind.PURSE_OVERDRAFT: _ISSUER_RULE,
    KeyKind.PURSE_MAINTENANCE: _ISSUER_RULE,
    KeyKind.PURSE_PIN: _ISSUER_RULE,
    KeyKind.CARD_ID: _Rule((KeyAlgorithm.TDES, KeyAlgorithm.AES), (16, 32)),
    KeyKind.ARCHIVE_KEK: _KEK_RULE,
    KeyKind.VAULT_KEK: _KEK_RULE,
    KeyKind.CENTRE_SIGNING: _Rule((KeyAlgorithm.ED25519,), (32,)),
    KeyKind.EXPORT_TOKEN: _KEK_RULE,
    KeyKind.TRANSPORT: _Rule((KeyAlgorithm.AES,), (16, 24, 32)),
}
TAC_KINDS = (KeyKind.TAC_PURCHASE, KeyKind.TAC_LOAD)
PURSE_KINDS = (
    KeyKind.PURSE_PURCHASE,
    KeyKind.PURSE_LOAD,
    KeyKind.PURSE_UNLOAD,
    KeyKind.PURSE_OVERDRAFT,
    KeyKind.PURSE_MAINTENANCE,
    KeyKind.PURSE_PIN,
)
"""Masters of the other card keys: DPK, DLK, DULK, DUK, DAMK and DRPK of JR/T 0025."""
ISSUER_KINDS = TAC_KINDS + PURSE_KINDS
"""Keys that belong to an issuer and are diversified per card."""


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class KeyAttributes(BaseModel):
    """Everything public about a stored key; both validity dates are inclusive.

    `issuer_id` is the eight issuer bytes of file 15 as 16 upper-case hex digits, or "-" for the centre's own
    keys. Constructing one with values that do not go together raises pydantic's `ValidationError`, a
    `ValueError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: KeyKind
    issuer_id: Annotated[str, BeforeValidator(_upper), Field(pattern=r"^(-|[0-9A-F]{16})$")] = NO_ISSUER
    key_version: int = Field(default=0, ge=0, le=255)
    key_index: int = Field(default=0, ge=0, le=255)
    algorithm: KeyAlgorithm
    scheme: KeyScheme = KeyScheme.ONE_LEVEL
    valid_from: date
    valid_to: date = date.max
    kcv: str

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.algorithm not in _RULES[self.kind].algorithms:
            raise ValueError(f"a {self.kind} key is not for {self.algorithm.name}")
        if (self.kind in ISSUER_KINDS) == (self.issuer_id == NO_ISSUER):
            raise ValueError("TAC and purse keys name their issuer, other keys have none")
        if self.kind not in ISSUER_KINDS and self.scheme is not KeyScheme.ONE_LEVEL:
            raise ValueError("only TAC and purse keys have two levels")
        if self.valid_from > self.valid_to:
            raise ValueError(f"validity ends {self.valid_to}, before it begins {self.valid_from}")
        return self

    def covers(self, day: date) -> bool:
        """Say whether the key is valid on `day`."""
        return self.valid_from <= day <= self.valid_to

    def collides_with(self, other: KeyAttributes) -> bool:
        """Say whether a transaction of some day could mean either key."""
        return self.slot == other.slot and self.valid_from <= other.valid_to and other.valid_from <= self.valid_to

    @property
    def slot(self) -> tuple[KeyKind, str, int, int, KeyAlgorithm]:
        """What a record names its key by; at most one key per slot is valid on a day."""
        return self.kind, self.issuer_id, self.key_version, self.key_index, self.algorithm

    def associated_data(self) -> bytes:
        """Return the canonical JSON of all attributes: what the sealed secret is bound to."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()

    def __str__(self) -> str:
        slot = f"{self.kind} {self.issuer_id} version {self.key_version} index {self.key_index}"
        return f"{slot} {self.algorithm.name} ({self.valid_from} to {self.valid_to}, KCV {self.kcv})"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key taken out of the store; `repr` shows the attributes only."""

    attributes: KeyAttributes
    secret: bytes = field(repr=False)


def check_secret_length(kind: KeyKind, secret: bytes) -> None:
    """Raise `ValueError` unless `secret` has a length that keys of `kind` have."""
    lengths = _RULES[kind].lengths
    if len(secret) not in lengths:
        raise ValueError(f"a {kind} key has {' or '.join(map(str, lengths))} bytes, this one {len(secret)}")
