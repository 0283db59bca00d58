"""Key algorithms, their key lengths and check values (KCV): what may be shown of a key."""

from __future__ import annotations

from enum import IntEnum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from card_io import mac
from card_io.keys.signature import SigningKey


class KeyAlgorithm(IntEnum):
    """What a key is for; 0 and 4 are the `algorithm` values of transaction records, the others are ours."""

    TDES = 0
    SM4 = 4
    AES = 0x80
    ED25519 = 0x81


KEY_LENGTHS = {
    KeyAlgorithm.TDES: (16,),
    KeyAlgorithm.SM4: (16,),
    KeyAlgorithm.AES: (16, 24, 32),
    KeyAlgorithm.ED25519: (32,),
}


def check_value(algorithm: KeyAlgorithm, key: bytes) -> str:
    """Return the key check value of `key` as upper-case hex, safe to show and to compare by telephone.

    3DES and SM4: 3 bytes of the encrypted zero block (ANSI X9.24-1 annex A). AES: 5 bytes of the CMAC of
    16 zero bytes (X9.24-1:2017). Ed25519: 5 bytes of the public key. Raises `ValueError` for a key length
    that the algorithm does not have.
    """
    if len(key) not in KEY_LENGTHS[algorithm]:
        raise ValueError(f"{algorithm.name} has no key of {len(key)} bytes")
    match algorithm:
        case KeyAlgorithm.TDES:
            value = mac.kcv(key)
        case KeyAlgorithm.SM4:
            value = sm4_encrypt(key, bytes(16))[:3]
        case KeyAlgorithm.AES:
            cmac = CMAC(algorithms.AES(key))
            cmac.update(bytes(16))
            value = cmac.finalize()[:5]
        case KeyAlgorithm.ED25519:
            value = SigningKey(key).verify_key.raw[:5]
    return value.hex().upper()


def sm4_encrypt(key: bytes, block: bytes) -> bytes:
    """Return one 16-byte block encrypted by SM4 (GB/T 32907) under a 16-byte key."""
    encryptor = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()
