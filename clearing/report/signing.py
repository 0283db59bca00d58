"""A detached signature beside each document: Ed25519 with the centre's key, over the file's bytes as they are.

Any program that knows Ed25519 checks it, for instance ``openssl pkeyutl -verify -rawin``. Another scheme (SM2, an
e-seal) is another :class:`DocumentSigner`; its suffix tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from card_io.keys.signature import SigningKey
from clearing.durable import write_durably


class DocumentSigner(Protocol):
    """What signs documents."""

    @property
    def suffix(self) -> str:
        """Added to the document's name, for instance ``.ed25519``."""

    def sign(self, content: bytes) -> bytes:
        """The signature of a document's bytes, as it is stored."""


class CentreSigner:
    """Ed25519 with the centre's signing key: 64 raw bytes."""

    suffix = ".ed25519"

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def sign(self, content: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(content)


def sign_documents(paths: Iterable[Path], signer: DocumentSigner) -> list[Path]:
    """Write a signature beside each document; returns their paths."""
    signed = []
    for path in paths:
        signature = path.with_name(path.name + signer.suffix)
        write_durably(signature, signer.sign(path.read_bytes()))
        signed.append(signature)
    return signed
