"""Ed25519: an RFC 8032 vector, round trips, and what must be refused."""

import pytest

from card_io.keys.errors import SignatureError
from card_io.keys.signature import SigningKey, VerifyKey, generate_signing_key

# RFC 8032 §7.1, TEST 2.
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_rfc_8032_vector() -> None:
    key = SigningKey.from_hex(SEED)
    assert key.verify_key.to_hex() == PUBLIC
    assert key.sign(b"\x72").hex() == SIGNATURE
    assert key.to_hex() == SEED


def test_round_trip_and_every_flipped_signature_byte() -> None:
    key = generate_signing_key()
    public = VerifyKey.from_hex(key.verify_key.to_hex())
    signature = key.sign(b"entry 7")
    public.verify(signature, b"entry 7")
    for position in range(len(signature)):
        forged = bytearray(signature)
        forged[position] ^= 1
        with pytest.raises(SignatureError):
            public.verify(bytes(forged), b"entry 7")


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), bytes(65)])
def test_malformed_signatures_are_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError):
        generate_signing_key().verify_key.verify(signature, b"")


def test_other_message_and_other_key_are_refused() -> None:
    key = generate_signing_key()
    with pytest.raises(SignatureError):
        key.verify_key.verify(key.sign(b"a"), b"b")
    with pytest.raises(SignatureError):
        generate_signing_key().verify_key.verify(key.sign(b"a"), b"a")


def test_a_public_key_that_is_no_curve_point_verifies_nothing() -> None:
    for raw in (b"\xff" * 32, b"\x02" + bytes(31)):
        with pytest.raises(SignatureError):
            VerifyKey(raw).verify(bytes.fromhex(SIGNATURE), b"\x72")


@pytest.mark.parametrize("text", ["", "zz" * 32, SEED[:-2], SEED + "00"])
def test_malformed_keys_are_refused_without_repeating_them(text: str) -> None:
    for read in (SigningKey.from_hex, VerifyKey.from_hex):
        with pytest.raises(SignatureError) as caught:
            read(text)
        assert not text or text not in str(caught.value)


def test_representation_shows_the_public_half_only() -> None:
    key = SigningKey.from_hex(SEED)
    assert PUBLIC in repr(key)
    assert SEED not in repr(key) + str(key) + repr(vars(SigningKey))
