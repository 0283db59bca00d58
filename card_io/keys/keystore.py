"""The key store: one JSON file in which every secret is sealed under a key from a passphrase.

    scrypt(passphrase) -> store key -> AES-256-GCM of each secret, associated data = its public attributes,
                                       and a seal over the whole file

Attributes can therefore be read without the passphrase but not changed, and entries can be neither exchanged,
added nor removed. What the seal cannot see is an older, complete copy of the file put back in its place.

One process writes at a time: the centre's lock (DESIGN §8) is the caller's.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from card_io.keys.algorithm import KeyAlgorithm, check_value
from card_io.keys.entry import (
    NO_ISSUER,
    TAC_KINDS,
    KeyAttributes,
    KeyKind,
    KeyScheme,
    StoredKey,
    check_secret_length,
)
from card_io.keys.errors import KeyStoreError
from card_io.keys.tac_keys import TacKeyTable, build_tac_key_table

DEFAULT_SCRYPT_N = 1 << 15
_NONCE_BYTES = 12  # random: the store key seals far fewer than 2**32 secrets (SP 800-38D §8.3)
_SALT_BYTES = 16
_PASSPHRASE_LABEL = b"citizen-card key store: passphrase"
_FILE_LABEL = b"citizen-card key store: file"
_RESTORE = "restore keys/keystore.json from the last backup and find out who changed it"

# Hexadecimal of nonce, ciphertext and 16-byte tag.
_Sealed = Annotated[str, Field(pattern=r"^([0-9a-f]{2}){28,}$")]


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("scrypt's n is a power of two")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Scrypt(_Strict):
    """RFC 7914 parameters; the bounds keep a planted file from asking for more than 1 GiB of memory."""

    name: Literal["scrypt"] = "scrypt"
    n: Annotated[int, Field(ge=2, le=1 << 20), AfterValidator(_power_of_two)]
    r: Literal[8] = 8
    p: Literal[1] = 1
    salt: str = Field(pattern=r"^[0-9a-f]{32}$")

    def derive(self, passphrase: str) -> AESGCM:
        """Return the store cipher; composed and decomposed spellings of a passphrase are the same."""
        kdf = Scrypt(salt=bytes.fromhex(self.salt), length=32, n=self.n, r=self.r, p=self.p)
        return AESGCM(kdf.derive(unicodedata.normalize("NFC", passphrase).encode()))


class _SealedEntry(_Strict):
    attributes: KeyAttributes
    sealed: _Sealed


class _Body(_Strict):
    format: Literal["citizen-card key store"] = "citizen-card key store"
    version: Literal[1] = 1
    kdf: _Scrypt
    passphrase_check: _Sealed
    entries: tuple[_SealedEntry, ...] = ()

    def associated_data(self) -> bytes:
        """Return canonical JSON: what the file's seal covers."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return _FILE_LABEL + content.encode()


class _StoreFile(_Strict):
    body: _Body
    seal: _Sealed


class KeyStore:
    """An unlocked key store. Secrets stay sealed in memory until `find` or `stored` takes one out."""

    def __init__(self, path: Path, cipher: AESGCM, body: _Body) -> None:
        """Use `create` or `unlock`."""
        self._path = path
        self._cipher = cipher
        self._body = body

    @classmethod
    def create(cls, path: Path, passphrase: str, *, scrypt_n: int = DEFAULT_SCRYPT_N) -> KeyStore:
        """Write an empty store to `path` and return it; `KeyStoreError` if the file exists already."""
        if path.exists():
            raise KeyStoreError(f"{path} exists already", "unlock it, or move it away first")
        kdf, cipher, check = _protection(passphrase, scrypt_n)
        store = cls(path, cipher, _Body(kdf=kdf, passphrase_check=check))
        store.save()
        return store

    @classmethod
    def unlock(cls, path: Path, passphrase: str) -> KeyStore:
        """Open the store at `path`; `KeyStoreError` for a wrong passphrase or a file altered since `save`."""
        try:
            file = _StoreFile.model_validate_json(path.read_bytes())
        except OSError as error:
            raise KeyStoreError(
                f"{path} cannot be read ({error.strerror})", "check the path, or run `clearing init`"
            ) from None
        except ValidationError as error:
            raise KeyStoreError(f"{path} is not a key store ({error.error_count()} faults)", _RESTORE) from None
        cipher = file.body.kdf.derive(passphrase)
        try:
            _open(cipher, file.body.passphrase_check, _PASSPHRASE_LABEL)
        except InvalidTag:
            raise KeyStoreError(f"the passphrase does not open {path}", "give the right passphrase") from None
        try:
            _open(cipher, file.seal, file.body.associated_data())
        except InvalidTag:
            raise KeyStoreError(f"{path} was altered outside this program", _RESTORE) from None
        return cls(path, cipher, file.body)

    def save(self) -> None:
        """Replace the file atomically and durably, readable by its owner only."""
        seal = _seal(self._cipher, b"", self._body.associated_data())
        file = _StoreFile(body=self._body, seal=seal)
        _replace_file(self._path, (file.model_dump_json(indent=2) + "\n").encode())

    def change_passphrase(self, passphrase: str, *, scrypt_n: int = DEFAULT_SCRYPT_N) -> None:
        """Seal every secret anew under `passphrase`; the file changes on `save`."""
        kdf, cipher, check = _protection(passphrase, scrypt_n)
        entries = tuple(_seal_entry(cipher, self._take_out(entry)) for entry in self._body.entries)
        self._body = _Body(kdf=kdf, passphrase_check=check, entries=entries)
        self._cipher = cipher

    def add(
        self,
        kind: KeyKind,
        secret: bytes,
        *,
        algorithm: KeyAlgorithm,
        valid_from: date,
        valid_to: date = date.max,
        issuer_id: str = NO_ISSUER,
        key_version: int = 0,
        key_index: int = 0,
        scheme: KeyScheme = KeyScheme.ONE_LEVEL,
    ) -> KeyAttributes:
        """Add a key (raw bytes; the seed for `centre_signing`) and return its attributes with the KCV.

        The file changes on `save`. Raises `ValueError` for attributes or a length that do not go together,
        `KeyStoreError` when another key of the same slot is valid on one of the days.
        """
        check_secret_length(kind, secret)
        attributes = KeyAttributes(
            kind=kind,
            issuer_id=issuer_id,
            key_version=key_version,
            key_index=key_index,
            algorithm=algorithm,
            scheme=scheme,
            valid_from=valid_from,
            valid_to=valid_to,
            kcv=check_value(algorithm, secret),
        )
        self._replace_entries(self._body.entries, StoredKey(attributes, secret))
        return attributes

    def retire(self, attributes: KeyAttributes, last_day: date) -> KeyAttributes:
        """Set the last valid day of a stored key, as listed; the file changes on `save`."""
        entry = next((entry for entry in self._body.entries if entry.attributes == attributes), None)
        if entry is None:
            raise KeyStoreError(f"the key store does not hold {attributes}", "list the keys")
        changed = KeyAttributes.model_validate(attributes.model_dump() | {"valid_to": last_day})
        others = tuple(other for other in self._body.entries if other is not entry)
        self._replace_entries(others, StoredKey(changed, self._take_out(entry).secret))
        return changed

    def list(self) -> tuple[KeyAttributes, ...]:
        """Return the attributes of all keys, without secrets, in the order in which they were added."""
        return tuple(entry.attributes for entry in self._body.entries)

    def find(
        self,
        kind: KeyKind,
        issuer_id: str = NO_ISSUER,
        version: int = 0,
        index: int = 0,
        *,
        on_date: date,
        algorithm: KeyAlgorithm | None = None,
    ) -> StoredKey:
        """Return the one key of that slot valid on `on_date`.

        Raises `KeyStoreError` when there is none, or when `algorithm` is left out and more than one fits.
        """
        found = [
            entry
            for entry in self._body.entries
            if entry.attributes.slot[:4] == (kind, issuer_id.upper(), version, index)
            and algorithm in (None, entry.attributes.algorithm)
            and entry.attributes.covers(on_date)
        ]
        if len(found) != 1:
            remedy = "name the algorithm" if found else "import the key, or correct its validity"
            raise KeyStoreError(
                f"{len(found)} keys for {kind} {issuer_id} version {version} index {index} on {on_date}",
                remedy,
            )
        return self._take_out(found[0])

    def stored(self, *kinds: KeyKind) -> Iterator[StoredKey]:
        """Yield all keys of the given kinds with their secrets, whatever their validity.

        An archive is opened this way: its files name their key-encryption key, which may have been retired.
        """
        return (self._take_out(entry) for entry in self._body.entries if entry.attributes.kind in kinds)

    def tac_key_table(self, on_date: date | None = None) -> TacKeyTable:
        """Return the issuer-level TAC masters as columns: all of them, or those valid on `on_date`."""
        return build_tac_key_table(
            key for key in self.stored(*TAC_KINDS) if on_date is None or key.attributes.covers(on_date)
        )

    def __repr__(self) -> str:
        return f"KeyStore({str(self._path)!r}, {len(self._body.entries)} keys)"

    def _replace_entries(self, others: tuple[_SealedEntry, ...], added: StoredKey) -> None:
        for other in others:
            if other.attributes.collides_with(added.attributes):
                raise KeyStoreError(
                    f"{added.attributes} meets {other.attributes}",
                    "retire the older key on the day before the newer one begins",
                )
        entries = (*others, _seal_entry(self._cipher, added))
        self._body = self._body.model_copy(update={"entries": entries})

    def _take_out(self, entry: _SealedEntry) -> StoredKey:
        secret = _open(self._cipher, entry.sealed, entry.attributes.associated_data())
        return StoredKey(entry.attributes, secret)


def _protection(passphrase: str, scrypt_n: int) -> tuple[_Scrypt, AESGCM, str]:
    """Return fresh parameters, the cipher they give and the text that later recognises the passphrase."""
    if not passphrase:
        raise KeyStoreError("the passphrase is empty", "choose one")
    kdf = _Scrypt(n=scrypt_n, salt=os.urandom(_SALT_BYTES).hex())
    cipher = kdf.derive(passphrase)
    return kdf, cipher, _seal(cipher, b"", _PASSPHRASE_LABEL)


def _seal_entry(cipher: AESGCM, key: StoredKey) -> _SealedEntry:
    sealed = _seal(cipher, key.secret, key.attributes.associated_data())
    return _SealedEntry(attributes=key.attributes, sealed=sealed)


def _seal(cipher: AESGCM, plain: bytes, associated_data: bytes) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return (nonce + cipher.encrypt(nonce, plain, associated_data)).hex()


def _open(cipher: AESGCM, sealed: str, associated_data: bytes) -> bytes:
    """Return what `_seal` sealed; raises `InvalidTag`."""
    raw = bytes.fromhex(sealed)
    return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], associated_data)


def _replace_file(path: Path, content: bytes) -> None:
    """Write `content` so that after a crash at any moment `path` is the old file or the new one, whole."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    # O_EXCL with mode 0600: the file never exists with wider rights, and a planted link is not followed.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
