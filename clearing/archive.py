"""The raw archive: every delivered byte, encrypted, with its manifest; the first half of the truth (DESIGN §8).

``archive/<file_no>.data`` is the data file sealed by :mod:`card_io.keys.aead`, ``<file_no>.manifest.json`` the
manifest as sent, ``archive/<file_no>.classes`` an optional sealed sidecar; ``archive/config/<sha256>`` copies of the
settings, registers and tariffs that a batch used, by content.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

from card_io.keys import aead
from card_io.keys.aead import KeyEncryptionKey
from clearing.durable import WriteBehind, durable_file


class Archive:
    """The archive folder of one centre."""

    def __init__(self, folder: Path, kek: KeyEncryptionKey) -> None:
        self.folder, self._kek = folder, kek

    def path_of(self, file_no: int, kind: str = "data") -> Path:
        """Where a delivery's bytes lie; ``kind``: data, classes (both sealed) or manifest."""
        return self.folder / f"{file_no:08d}.{'manifest.json' if kind == 'manifest' else kind}"

    def store(self, file_no: int, content: bytes, disk: WriteBehind, *, kind: str = "data") -> str:
        """Seal ``content`` and give it to ``disk``; returns the SHA-256 hex of the sealed file."""
        sealed = io.BytesIO()
        digest = aead.encrypt_file(io.BytesIO(content), sealed, self._kek)
        disk.write(self.path_of(file_no, kind), sealed.getbuffer())
        return digest.cipher_sha256

    def store_manifest(self, file_no: int, content: bytes, disk: WriteBehind) -> str:
        """Keep the manifest as sent (it names no card); returns its SHA-256 hex."""
        disk.write(self.path_of(file_no, "manifest"), content)
        return hashlib.sha256(content).hexdigest()

    def load(self, file_no: int, *, kind: str = "data") -> bytes:
        """The bytes as delivered.

        Raises:
            SealedFileError: if the sealed file was changed.
        """
        return aead.decrypt_bytes(self.path_of(file_no, kind).read_bytes(), self._kek)

    def store_config(self, path: Path) -> str:
        """Keep a copy of a configuration file by its SHA-256, which is returned."""
        digest = file_sha256(path)
        target = self.folder / "config" / digest
        if not target.exists():
            with path.open("rb") as source, durable_file(target) as file:
                shutil.copyfileobj(source, file)
        return digest


def file_sha256(path: Path) -> str:
    """SHA-256 hex of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
