"""Ed25519 signatures (RFC 8032) for journal entries, deliveries and registers.

Keys are stored and shown as 64 lower-case hex digits (the raw 32 bytes), signatures are 64 raw bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from card_io.keys.errors import SignatureError

KEY_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """The public half of a signing key: 32 raw bytes, safe to publish."""

    raw: bytes

    def __post_init__(self) -> None:
        _check_length(self.raw)

    @classmethod
    def from_hex(cls, text: str) -> VerifyKey:
        """Read 64 hex digits; raises `SignatureError` for anything else."""
        return cls(_parse_hex(text))

    def to_hex(self) -> str:
        """Return the key as 64 lower-case hex digits."""
        return self.raw.hex()

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise `SignatureError` unless `signature` (64 bytes) is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            raise SignatureError(
                f"the signature is not key {self.to_hex()}'s over these {len(message)} bytes",
                "compare the file with its sender's copy and the public key with the register",
            ) from None

    def __repr__(self) -> str:
        return f"VerifyKey({self.to_hex()})"


class SigningKey:
    """An Ed25519 private key; its `repr` names the public half only."""

    __slots__ = ("_private", "verify_key")

    def __init__(self, seed: bytes) -> None:
        """Take the 32-byte private seed (RFC 8032 §5.1.5); raises `SignatureError` for another length."""
        _check_length(seed)
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verify_key = VerifyKey(self._private.public_key().public_bytes_raw())

    @classmethod
    def from_hex(cls, text: str) -> SigningKey:
        """Read a seed stored by `to_hex`; raises `SignatureError` for anything but 64 hex digits."""
        return cls(_parse_hex(text))

    def to_bytes(self) -> bytes:
        """Return the secret seed (32 bytes), for the key store."""
        return self._private.private_bytes_raw()

    def to_hex(self) -> str:
        """Return the secret seed as 64 hex digits, for a simulated sender's key file."""
        return self.to_bytes().hex()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`; the same message always gives the same signature."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public {self.verify_key.to_hex()})"


def generate_signing_key() -> SigningKey:
    """Return a fresh key from the operating system's random source."""
    return SigningKey(Ed25519PrivateKey.generate().private_bytes_raw())


def _check_length(raw: bytes) -> None:
    if len(raw) != KEY_BYTES:
        raise SignatureError(
            f"an Ed25519 key has {KEY_BYTES} bytes, this one {len(raw)}", "give the raw key as 64 hex digits"
        )


def _parse_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        # The text may be a mistyped private key, so it is not repeated here.
        raise SignatureError("the key is not hexadecimal", "give the raw key as 64 hex digits") from None
