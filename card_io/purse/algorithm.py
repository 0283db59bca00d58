"""The ciphers of a purse: how card keys, session keys, MACs and the TAC are made, once per algorithm.

Triple DES is proven by published vectors up to the TAC (`card-standards.md` §4.5). The SM4 profile is **unproven**:
no text or vector of an SM4 purse is public (§4.4, §9). It reads the standard the natural way and is one object to
replace.
"""

from __future__ import annotations

from typing import Final, Protocol

from card_io import mac
from card_io.keys.algorithm import sm4_encrypt
from card_io.records import Algorithm


class PurseCipher(Protocol):
    """What both sides of a purse dialogue compute; keys have 16 bytes, MACs and TACs 4."""

    algorithm: Algorithm
    proven: bool

    def diversify(self, master: bytes, factor: bytes) -> bytes:
        """The card's key, from a master and an 8-byte factor (§4.1)."""
        ...

    def session_key(self, key: bytes, data: bytes) -> bytes:
        """The session key from 8 bytes of `mac.purchase_session_data` or `mac.load_session_data`."""
        ...

    def session_mac(self, session_key: bytes, data: bytes) -> bytes:
        """MAC1 and MAC2."""
        ...

    def tac(self, key: bytes, data: bytes) -> bytes:
        """TAC under the card's TAC key."""
        ...

    def maintenance_mac(self, key: bytes, challenge: bytes, data: bytes) -> bytes:
        """MAC of secure messaging under the card's maintenance key."""
        ...


class TripleDes:
    """JR/T 0025 with two-key triple DES."""

    algorithm = Algorithm.TDES
    proven = True

    def diversify(self, master: bytes, factor: bytes) -> bytes:
        """Encrypted factor, then encrypted complement."""
        return mac.diversify_key(master, factor)

    def session_key(self, key: bytes, data: bytes) -> bytes:
        """One encrypted block, 8 bytes."""
        return mac.tdes_encrypt_block(key, data)

    def session_mac(self, session_key: bytes, data: bytes) -> bytes:
        """CBC-MAC with single DES."""
        return mac.short_mac(session_key, data)

    def tac(self, key: bytes, data: bytes) -> bytes:
        """CBC-MAC with single DES under the exclusive or of the key's halves."""
        return mac.short_mac(mac.tac_key(key), data)

    def maintenance_mac(self, key: bytes, challenge: bytes, data: bytes) -> bytes:
        """ISO/IEC 9797-1 algorithm 3."""
        return mac.maintenance_mac(key, challenge, data)


class UnprovenSm4:
    """SM4 read the natural way; every step of it is a guess until a specification or a card shows otherwise."""

    algorithm = Algorithm.SM4
    proven = False
    _BLOCK = 16

    def diversify(self, master: bytes, factor: bytes) -> bytes:
        """SM4 of factor and complement, one block (§4.1, one source)."""
        return sm4_encrypt(master, factor + mac.xor(factor, b"\xff" * len(factor)))

    def session_key(self, key: bytes, data: bytes) -> bytes:
        """SM4 of the eight bytes and their complement."""
        return self.diversify(key, data)

    def session_mac(self, session_key: bytes, data: bytes) -> bytes:
        """CBC-MAC over blocks of 16 bytes, padded 80 00…, leftmost four bytes."""
        return self._cbc_mac(session_key, bytes(self._BLOCK), data)

    def tac(self, key: bytes, data: bytes) -> bytes:
        """The same under the TAC key itself: there are no halves to combine."""
        return self._cbc_mac(key, bytes(self._BLOCK), data)

    def maintenance_mac(self, key: bytes, challenge: bytes, data: bytes) -> bytes:
        """The same with the challenge as initial value."""
        return self._cbc_mac(key, challenge.ljust(self._BLOCK, b"\x00"), data)

    def _cbc_mac(self, key: bytes, state: bytes, data: bytes) -> bytes:
        padded = data + b"\x80" + bytes(-(len(data) + 1) % self._BLOCK)
        for start in range(0, len(padded), self._BLOCK):
            state = sm4_encrypt(key, mac.xor(state, padded[start : start + self._BLOCK]))
        return state[:4]


TDES: Final = TripleDes()
SM4: Final = UnprovenSm4()
CIPHERS: Final[dict[Algorithm, PurseCipher]] = {Algorithm.TDES: TDES, Algorithm.SM4: SM4}
"""By the algorithm byte of records and INITIALIZE answers."""
