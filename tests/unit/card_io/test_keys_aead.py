"""Sealed files: round trips at every chunk edge, ranges, and every kind of tampering."""

import hashlib
import io
import os
from pathlib import Path

import pytest

from card_io.keys.aead import (
    CHUNK_BYTES,
    FOOTER_BYTES,
    HEADER,
    TAG_BYTES,
    KeyEncryptionKey,
    decrypt_bytes,
    decrypt_file,
    encrypt_bytes,
    encrypt_file,
    read_range,
)
from card_io.keys.errors import SealedFileError

KEK = KeyEncryptionKey(bytes(range(32)))
SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
EDGES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 5]


class Dripping(io.RawIOBase):
    """A source that, like a pipe, answers in pieces of up to 100 000 bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        piece = self._content.read(min(len(buffer), 100_000))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.fixture(scope="module")
def plain() -> bytes:
    return os.urandom(3 * CHUNK_BYTES + 1000)


@pytest.fixture(scope="module")
def sealed(plain: bytes) -> bytes:
    return encrypt_bytes(plain, KEK)


def refuses(sealed: bytes, kek: KeyEncryptionKey = KEK) -> str:
    with pytest.raises(SealedFileError) as caught:
        decrypt_bytes(sealed, kek)
    return str(caught.value)


def chunk(sealed: bytes, index: int) -> slice:
    start = HEADER.size + index * SEALED_CHUNK
    return slice(start, min(start + SEALED_CHUNK, len(sealed) - FOOTER_BYTES))


@pytest.mark.parametrize("size", EDGES)
def test_round_trip_at_chunk_edges(size: int, plain: bytes) -> None:
    part = plain[:size]
    target = io.BytesIO()
    digest = encrypt_file(io.BytesIO(part), target, KEK)
    sealed = target.getvalue()
    assert (digest.plain_bytes, digest.cipher_bytes) == (size, len(sealed))
    assert digest.plain_sha256 == hashlib.sha256(part).hexdigest()
    assert digest.cipher_sha256 == hashlib.sha256(sealed).hexdigest()
    assert decrypt_bytes(sealed, KEK) == part
    opened = io.BytesIO()
    assert decrypt_file(io.BytesIO(sealed), opened, KEK) == size
    assert opened.getvalue() == part


def test_a_source_that_answers_in_pieces_is_sealed_the_same(plain: bytes) -> None:
    target = io.BytesIO()
    digest = encrypt_file(Dripping(plain), target, KEK)  # type: ignore[arg-type]
    assert digest.plain_bytes == len(plain)
    assert decrypt_bytes(target.getvalue(), KEK) == plain


def test_the_same_plain_bytes_never_seal_alike() -> None:
    first, second = encrypt_bytes(b"310477", KEK), encrypt_bytes(b"310477", KEK)
    assert first[HEADER.size :] != second[HEADER.size :]


def test_ranges(tmp_path: Path, plain: bytes, sealed: bytes) -> None:
    path = tmp_path / "day.sealed"
    path.write_bytes(sealed)
    for start, length in [
        (0, 0), (0, 1), (0, len(plain)), (CHUNK_BYTES - 1, 2), (CHUNK_BYTES, CHUNK_BYTES),
        (2 * CHUNK_BYTES + 7, CHUNK_BYTES), (len(plain) - 1, 1), (len(plain), 0),
    ]:  # fmt: skip
        assert read_range(path, KEK, start, length) == plain[start : start + length]
    for start, length in [(-1, 1), (0, -1), (0, len(plain) + 1), (len(plain), 1)]:
        with pytest.raises(ValueError, match="outside"):
            read_range(path, KEK, start, length)


def test_a_range_needs_only_its_own_chunks(tmp_path: Path, plain: bytes, sealed: bytes) -> None:
    damaged = bytearray(sealed)
    damaged[chunk(sealed, 0).start] ^= 1
    path = tmp_path / "day.sealed"
    path.write_bytes(damaged)
    assert read_range(path, KEK, CHUNK_BYTES, 10) == plain[CHUNK_BYTES : CHUNK_BYTES + 10]
    with pytest.raises(SealedFileError, match=r"day\.sealed: chunk 0"):
        read_range(path, KEK, CHUNK_BYTES - 1, 2)


@pytest.mark.parametrize("size", [0, 100])
def test_every_flipped_byte_of_a_small_file(size: int) -> None:
    sealed = encrypt_bytes(bytes(size), KEK)
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 0x80
        refuses(bytes(altered))


@pytest.mark.parametrize("size", [0, 100])
def test_every_cut_of_a_small_file(size: int) -> None:
    sealed = encrypt_bytes(bytes(size), KEK)
    for length in range(len(sealed)):
        refuses(sealed[:length])
        refuses(sealed[:length] + sealed[length + 1 :])
    refuses(sealed + b"\0")


@pytest.mark.parametrize("index", range(4))
def test_each_damaged_chunk_is_named(sealed: bytes, index: int) -> None:
    for position in (chunk(sealed, index).start, chunk(sealed, index).stop - 1):
        altered = bytearray(sealed)
        altered[position] ^= 1
        assert f"chunk {index} " in refuses(bytes(altered))


@pytest.mark.parametrize("kept", range(4))
def test_cuts_at_chunk_edges(sealed: bytes, kept: int) -> None:
    body = sealed[: chunk(sealed, kept).start]
    refuses(body)
    refuses(body + sealed[-FOOTER_BYTES:])


def test_reordered_and_repeated_chunks(sealed: bytes) -> None:
    first, second = sealed[chunk(sealed, 0)], sealed[chunk(sealed, 1)]
    rest = sealed[chunk(sealed, 1).stop :]
    refuses(sealed[: HEADER.size] + second + first + rest)
    refuses(sealed[: HEADER.size] + first + first + rest)
    refuses(sealed[: HEADER.size] + first + first + second + rest)


def test_parts_of_another_file_under_the_same_kek(plain: bytes, sealed: bytes) -> None:
    other = encrypt_bytes(plain, KEK)
    for part in (slice(0, HEADER.size), chunk(sealed, 1), slice(len(sealed) - FOOTER_BYTES, len(sealed))):
        mixed = bytearray(sealed)
        mixed[part] = other[part]
        refuses(bytes(mixed))


def test_another_kek_is_named_and_nothing_secret_is_shown(sealed: bytes) -> None:
    other = KeyEncryptionKey.generate()
    message = refuses(sealed, other)
    assert KEK.id.hex() in message
    assert other.id.hex() in message
    for text in (message, repr(KEK), str(KEK)):
        assert KEK.key.hex() not in text
        assert repr(KEK.key) not in text


def test_a_file_that_claims_another_kek_does_not_open(sealed: bytes) -> None:
    other = KeyEncryptionKey.generate()
    renamed = bytearray(sealed)
    renamed[8:24] = other.id
    assert "wrapped data key" in refuses(bytes(renamed), other)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_kek_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyEncryptionKey(bytes(size))
