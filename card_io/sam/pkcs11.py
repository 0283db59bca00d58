"""Keys of a security module behind PKCS#11 (an HSM, or SoftHSM2); the only home of python-pkcs11.

Masters never leave the token, and neither do card and session keys: each is derived inside it from the one before
with CKM_DES3_ECB_ENCRYPT_DATA. A card key is the encryption of X ‖ ~X under the master; a session key K is made as
K ‖ K, the encryption of seed ‖ seed, under which triple DES is single DES. The last block of an algorithm 3 MAC
needs no single DES either: E₁(D₂(E₁(x))) is triple DES of x. Parity bits that the token sets do not change DES.

Triple DES only. RELOAD PIN combines the halves of a key, which no PKCS#11 mechanism does: that stays with the key
store. Sessions of a token do not survive a fork: open one per process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from card_io import mac
from card_io.keys.algorithm import KeyAlgorithm
from card_io.keys.entry import KeyKind, KeyScheme, StoredKey
from card_io.records import Algorithm
from card_io.sam.port import CardReference, SamFault

try:
    import pkcs11
    from pkcs11.constants import DEFAULT
except ImportError:  # python-pkcs11 is an extra: everything but this module works without it
    pkcs11 = None

_MASTER_BITS: Final = 128


class TokenKeys:
    """Implements `card_io.sam.keys.ModuleKeys` on a token. Close it, or use it as a context."""

    def __init__(self, library: Path, token: str, pin: str, *, writable: bool = False) -> None:
        """Log in to the token labelled `token`.

        Args:
            library: the PKCS#11 library, for SoftHSM2 `libsofthsm2.so`.
            writable: allow `store` (key officer only).

        Raises:
            SamFault: no python-pkcs11, no such token, or a wrong PIN.
        """
        if pkcs11 is None:
            raise SamFault("python-pkcs11 is not installed", "install the extra 'hsm'")
        try:
            self._session = pkcs11.lib(str(library)).get_token(token_label=token).open(user_pin=pin, rw=writable)
        except (pkcs11.exceptions.PKCS11Error, RuntimeError) as error:
            raise SamFault(f"token {token!r}: {type(error).__name__}", "check library, token and PIN") from None

    def close(self) -> None:
        """Log out; derived keys go with the session."""
        self._session.close()

    def __enter__(self) -> TokenKeys:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def store(self, key: StoredKey) -> None:
        """Put a master into the token: sensitive, not extractable, good for deriving only.

        Its validity stays with the key store: the key officer puts keys in and takes them out by date.

        Raises:
            SamFault: for a key that is no triple DES master, or one that is there already.
        """
        attributes = key.attributes
        if attributes.algorithm is not KeyAlgorithm.TDES:
            raise SamFault(f"{attributes} is no triple DES key", "keep it in the key store")
        label = _label(attributes.kind, attributes.issuer_id, attributes.key_version, attributes.key_index)
        if self._find(label) is not None:
            raise SamFault(f"the token holds {label} already", "take the old one out first")
        attribute = pkcs11.Attribute
        self._session.create_object(
            {
                attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                attribute.KEY_TYPE: pkcs11.KeyType.DES2,
                attribute.VALUE: key.secret,
                attribute.LABEL: f"{label} {attributes.scheme}",
                attribute.TOKEN: True,
                attribute.PRIVATE: True,
                attribute.SENSITIVE: True,
                attribute.EXTRACTABLE: False,
                attribute.ENCRYPT: False,
                attribute.DERIVE: True,
            }
        )

    def session_mac(self, kind: KeyKind, card: CardReference, date4: int, seed: bytes, data: bytes) -> bytes:
        """See `ModuleKeys`."""
        with self._card_key(kind, card) as key:
            return session_mac_under(key, seed, data)

    def maintenance_mac(self, card: CardReference, date4: int, challenge: bytes, data: bytes) -> bytes:
        """See `ModuleKeys`."""
        initial = challenge.ljust(mac.BLOCK, b"\x00")
        with (
            self._issuer_key(KeyKind.PURSE_MAINTENANCE, card) as issuer,
            derived_key(issuer, card.factor * 2) as left,
            derived_key(issuer, _with_complement(card.factor)) as whole,
        ):
            return retail_mac_under(left, whole, mac.pad_marked(data), initial)[:4]

    def pin_mac(self, card: CardReference, date4: int, pin: bytes) -> bytes:
        """Always `SamFault`: see above."""
        raise SamFault("a token does not combine the halves of a PIN key", "reload PINs with the key store")

    @contextmanager
    def _card_key(self, kind: KeyKind, card: CardReference) -> Iterator[Any]:
        with self._issuer_key(kind, card) as issuer, derived_key(issuer, _with_complement(card.factor)) as key:
            yield key

    @contextmanager
    def _issuer_key(self, kind: KeyKind, card: CardReference) -> Iterator[Any]:
        if card.algorithm != Algorithm.TDES:
            raise SamFault(f"algorithm {card.algorithm:02X} is not offered by the token", "use the key store")
        label = _label(kind, card.issuer_id.hex().upper(), card.key_version, card.key_index)
        master = self._find(label)
        if master is None:
            raise SamFault(f"the token holds no {label}", "put the key in, or correct the key index")
        if master.label.endswith(f" {KeyScheme.ONE_LEVEL}"):
            yield master
            return
        with derived_key(master, _with_complement(card.issuer_id)) as issuer:
            yield issuer

    def _find(self, label: str) -> Any | None:
        for scheme in KeyScheme:
            wanted = {pkcs11.Attribute.LABEL: f"{label} {scheme}"}
            found = next(iter(self._session.get_objects(wanted)), None)
            if found is not None:
                return found
        return None


def session_mac_under(key: Any, seed: bytes, data: bytes) -> bytes:
    """MAC1 or MAC2, 4 bytes, under the session key that the token's card key `key` makes of `seed`."""
    with derived_key(key, seed + seed) as session_key:
        return _last_block(session_key, mac.pad_marked(data), bytes(mac.BLOCK))[:4]


def retail_mac_under(left: Any, whole: Any, padded: bytes, initial: bytes) -> bytes:
    """ISO/IEC 9797-1 algorithm 3, 8 bytes: `left` is the left half of `whole`, twice."""
    state = _last_block(left, padded[: -mac.BLOCK], initial) if len(padded) > mac.BLOCK else initial
    last = mac.xor(state, padded[-mac.BLOCK :])
    return bytes(whole.encrypt(last, mechanism=pkcs11.Mechanism.DES3_ECB))


def _label(kind: KeyKind, issuer_id: str, version: int, index: int) -> str:
    return f"{kind} {issuer_id} version {version} index {index}"


def _with_complement(factor: bytes) -> bytes:
    return factor + mac.xor(factor, b"\xff" * mac.BLOCK)


@contextmanager
def derived_key(key: Any, data: bytes) -> Iterator[Any]:
    """The key that is the encryption of 16 bytes under `key`; it lives in the token until the block ends."""
    # CK_KEY_DERIVATION_STRING_DATA {pData, ulLen}; python-pkcs11 builds it for AES only and passes bytes on unread.
    buffer = ctypes.create_string_buffer(data, len(data))
    parameter = bytes(_StringData(ctypes.addressof(buffer), len(data)))
    attribute = pkcs11.Attribute
    derived = key.derive_key(
        pkcs11.KeyType.DES2,
        _MASTER_BITS,
        mechanism=pkcs11.Mechanism.DES3_ECB_ENCRYPT_DATA,
        mechanism_param=parameter,
        template={
            attribute.VALUE_LEN: DEFAULT,  # DES keys have no such attribute
            attribute.SENSITIVE: True,
            attribute.EXTRACTABLE: False,
            attribute.ENCRYPT: True,
            attribute.DERIVE: True,
        },
    )
    try:
        yield derived
    finally:
        derived.destroy()


class _StringData(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_ulong))


def _last_block(key: Any, padded: bytes, initial: bytes) -> bytes:
    """Last block of CBC under a key whose halves are equal: a single-DES CBC-MAC."""
    encrypted = key.encrypt(padded, mechanism=pkcs11.Mechanism.DES3_CBC, mechanism_param=initial)
    return bytes(encrypted[-mac.BLOCK :])
