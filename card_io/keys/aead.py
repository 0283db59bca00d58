"""Sealed files: the encrypted container of archive and vault (DESIGN §8).

Each file has its own random 256-bit data key, wrapped by a key-encryption key (KEK) with AES-KW
(NIST SP 800-38F, RFC 3394). All numbers are big endian:

    header   64 bytes   magic "CCSEAL", version u16, KEK id 16 bytes, wrapped data key 40 bytes
    chunk i             AES-256-GCM of 1 MiB of plain bytes (the last chunk may be shorter) + 16-byte tag
    footer   24 bytes   AES-256-GCM of the plain length u64 + 16-byte tag

Every record's nonce is (final flag u32, index u64): 0 and i for chunk i, 1 and the number of chunks for the
footer. The data key serves one file, so counter nonces never repeat under a key; and since GCM authenticates
its nonce, a moved chunk, a missing tail and a footer passed off as a chunk all fail. The header is the
associated data of every record and contains the wrapped key, so records cannot change files or headers.

The chunk positions follow from the file's size, so a range is read without decrypting what lies before it;
the footer is checked first, so a cut or extended file is refused whichever range is asked for.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from card_io.keys.errors import SealedFileError

MAGIC = b"CCSEAL"
VERSION = 1
CHUNK_BYTES = 1 << 20
KEY_BYTES = 32
TAG_BYTES = 16
HEADER = struct.Struct(">6sH16s40s")
FOOTER_BYTES = 8 + TAG_BYTES

_SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
_RESTORE = "restore the file from a backup and run `clearing verify`"


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A 32-byte random key that wraps data keys; it is named by its 16-byte `id`, never shown."""

    key: bytes
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Derive the id; a hash of a uniformly random 256-bit key reveals nothing about the key."""
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a key-encryption key has {KEY_BYTES} bytes, this one {len(self.key)}")
        name = hashlib.sha256(b"card_io.keys.aead key id" + self.key).digest()[:16]
        object.__setattr__(self, "id", name)

    @classmethod
    def generate(cls) -> KeyEncryptionKey:
        """Return a fresh key from the operating system's random source."""
        return cls(os.urandom(KEY_BYTES))

    def __repr__(self) -> str:
        return f"KeyEncryptionKey(id {self.id.hex()})"


@dataclass(frozen=True, slots=True)
class SealDigest:
    """What one sealing pass saw: SHA-256 (hex) and size of the plain and of the sealed bytes."""

    plain_sha256: str
    cipher_sha256: str
    plain_bytes: int
    cipher_bytes: int


def encrypt_file(source: BinaryIO, target: BinaryIO, kek: KeyEncryptionKey) -> SealDigest:
    """Seal everything left in `source` into `target`, in one pass; neither stream needs to seek.

    The caller owns durability: nothing is flushed or fsynced here.
    """
    data_key = os.urandom(KEY_BYTES)
    header = HEADER.pack(MAGIC, VERSION, kek.id, aes_key_wrap(kek.key, data_key))
    cipher = AESGCM(data_key)
    plain_hash, cipher_hash = hashlib.sha256(), hashlib.sha256(header)
    target.write(header)
    plain_bytes, index = 0, 0
    sealed = memoryview(bytearray(_SEALED_CHUNK_BYTES))
    while chunk := _read_up_to(source, CHUNK_BYTES):
        record = sealed[: len(chunk) + TAG_BYTES]
        cipher.encrypt_into(_nonce(index), chunk, header, record)
        plain_hash.update(chunk)
        cipher_hash.update(record)
        target.write(record)
        plain_bytes += len(chunk)
        index += 1
    footer = cipher.encrypt(_nonce(index, final=True), plain_bytes.to_bytes(8, "big"), header)
    cipher_hash.update(footer)
    target.write(footer)
    return SealDigest(
        plain_sha256=plain_hash.hexdigest(),
        cipher_sha256=cipher_hash.hexdigest(),
        plain_bytes=plain_bytes,
        cipher_bytes=HEADER.size + plain_bytes + index * TAG_BYTES + FOOTER_BYTES,
    )


def decrypt_file(source: BinaryIO, target: BinaryIO, kek: KeyEncryptionKey) -> int:
    """Open the sealed `source` (seekable, at any position) into `target`; return the number of plain bytes.

    Raises `SealedFileError`; by then `target` may hold the chunks before the damaged one, so discard it.
    """
    reader = SealedReader(source, kek)
    for chunk in reader.chunks():
        target.write(chunk)
    return reader.size


def read_range(path: Path, kek: KeyEncryptionKey, start: int, length: int) -> bytes:
    """Return plain bytes `start` to `start + length` of the file, decrypting only the chunks they touch.

    Raises `SealedFileError` for a damaged file or another KEK, `ValueError` for a range outside the file.
    """
    with path.open("rb") as source:
        return SealedReader(source, kek).read(start, length)


def encrypt_bytes(plain: bytes, kek: KeyEncryptionKey) -> bytes:
    """Return `plain` in the same sealed format, in memory."""
    target = io.BytesIO()
    encrypt_file(io.BytesIO(plain), target, kek)
    return target.getvalue()


def decrypt_bytes(sealed: bytes, kek: KeyEncryptionKey) -> bytes:
    """Return the plain bytes of an `encrypt_bytes` or `encrypt_file` result; raises `SealedFileError`."""
    return b"".join(SealedReader(io.BytesIO(sealed), kek).chunks())


class SealedReader:
    """Authenticated reading of a sealed file at any position; `size` is the number of plain bytes.

    Opening checks header, file length and footer, so that every later answer is about a complete file.
    The caller keeps `source` (seekable) open for as long as the reader is used.
    """

    def __init__(self, source: BinaryIO, kek: KeyEncryptionKey) -> None:
        """Raise `SealedFileError` unless `source` is a complete file sealed under `kek`."""
        self._source = source
        self._path = str(getattr(source, "name", "<memory>"))
        file_bytes = source.seek(0, io.SEEK_END)
        if file_bytes < HEADER.size + FOOTER_BYTES:
            raise self._error(f"{file_bytes} bytes are too few for a sealed file", _RESTORE)
        self._header = self._read_at(0, HEADER.size)
        self._cipher = AESGCM(self._unwrap_data_key(kek))
        body_bytes = file_bytes - HEADER.size - FOOTER_BYTES
        self._chunk_count = -(-body_bytes // _SEALED_CHUNK_BYTES)
        self.size = body_bytes - self._chunk_count * TAG_BYTES
        footer = self._read_at(file_bytes - FOOTER_BYTES, FOOTER_BYTES)
        stated = self._open_record(_nonce(self._chunk_count, final=True), footer, "footer")
        if int.from_bytes(stated, "big") != self.size:
            raise self._error("the stated length is not the file's", _RESTORE)

    def read(self, start: int, length: int) -> bytes:
        """Return plain bytes `start` to `start + length`, decrypting only the chunks they touch.

        Raises `ValueError` for a range outside the file, `SealedFileError` for a damaged chunk.
        """
        if start < 0 or length < 0 or start + length > self.size:
            raise ValueError(f"range {start}+{length} lies outside the {self.size} bytes of {self._path}")
        if length == 0:
            return b""
        first, last = start // CHUNK_BYTES, (start + length - 1) // CHUNK_BYTES
        plain = b"".join(self._chunk(index) for index in range(first, last + 1))
        offset = start - first * CHUNK_BYTES
        return plain[offset : offset + length]

    def chunks(self) -> Iterator[bytes]:
        """Yield the plain bytes in order, at most 1 MiB at a time; raises `SealedFileError` on damage."""
        for index in range(self._chunk_count):
            yield self._chunk(index)

    def _chunk(self, index: int) -> bytes:
        plain_bytes = min(CHUNK_BYTES, self.size - index * CHUNK_BYTES)
        record = self._read_at(HEADER.size + index * _SEALED_CHUNK_BYTES, plain_bytes + TAG_BYTES)
        return self._open_record(_nonce(index), record, f"chunk {index}")

    def _open_record(self, nonce: bytes, record: bytes, label: str) -> bytes:
        try:
            return self._cipher.decrypt(nonce, record, self._header)
        except InvalidTag:
            raise self._error(f"{label} is not what was sealed (altered, moved or cut)", _RESTORE) from None

    def _unwrap_data_key(self, kek: KeyEncryptionKey) -> bytes:
        magic, version, kek_id, wrapped = HEADER.unpack(self._header)
        if magic != MAGIC:
            raise self._error("this is not a sealed file", "check the path")
        if version != VERSION:
            raise self._error(f"format version {version} is unknown", "open it with a newer release")
        if kek_id != kek.id:
            raise self._error(
                f"sealed under key {kek_id.hex()}, not under the given key {kek.id.hex()}",
                "unlock the key store that holds that key-encryption key",
            )
        try:
            return aes_key_unwrap(kek.key, wrapped)
        except InvalidUnwrap:
            raise self._error("the wrapped data key is damaged", _RESTORE) from None

    def _read_at(self, position: int, length: int) -> bytes:
        self._source.seek(position)
        return _read_up_to(self._source, length)

    def _error(self, what: str, remedy: str) -> SealedFileError:
        return SealedFileError(self._path, what, remedy)


def _nonce(index: int, *, final: bool = False) -> bytes:
    return struct.pack(">IQ", final, index)


def _read_up_to(source: BinaryIO, length: int) -> bytes:
    """Read `length` bytes, fewer only at the end of the stream: a pipe or raw file may answer in pieces."""
    first = source.read(length)
    if len(first) == length or not first:
        return first
    pieces = [first]
    missing = length - len(first)
    while missing and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
