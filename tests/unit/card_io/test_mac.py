"""MACs and keys of single cards against published vectors and by hand-computable cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from vectors import DES_CIPHER_VECTORS, evaluate, load_des_vectors

from card_io import mac

PURSE_KEY = bytes.fromhex("11223344556677888877665544332211")
CARD_RANDOM = bytes.fromhex("11223344")
TERMINAL = 0x001122334455


class ScalarCipher:
    """`card_io.mac` as the primitives of `vectors.evaluate`."""

    encrypt = staticmethod(mac.des_encrypt_block)
    decrypt = staticmethod(mac.des_decrypt_block)
    triple_encrypt = staticmethod(mac.tdes_encrypt_block)


@pytest.mark.external
def test_block_primitives_reproduce_every_published_vector(
    shared_data: Path, answered: Callable[[int], None]
) -> None:
    vectors = load_des_vectors(shared_data)
    assert len(vectors) == DES_CIPHER_VECTORS
    wrong = [v.name for v in vectors if evaluate(v, ScalarCipher()) != v.output]
    assert not wrong
    answered(len(vectors))


@pytest.mark.external
def test_mac_functions_reproduce_the_iso_vectors(shared_data: Path, answered: Callable[[int], None]) -> None:
    checked = 0
    for vector in load_des_vectors(shared_data):
        if not vector.operation.startswith("ISO9797-1"):
            continue
        padded = (mac.pad_zeros if "pad1" in vector.operation else mac.pad_marked)(vector.data)
        if "alg1" in vector.operation:
            assert mac.cbc_mac(vector.key[:8], padded) == vector.output, vector.name
        else:
            assert mac.retail_mac(vector.key, padded) == vector.output, vector.name
        checked += 1
    assert checked == 8
    answered(checked)


def test_purchase_chain() -> None:
    """Published chain, card-standards.md §4.5."""
    session = mac.purchase_session_key(PURSE_KEY, CARD_RANDOM, 0, 1)
    assert session.hex().upper() == "003238ABC57659DD"
    mac1 = mac.purchase_mac1(session, 0x1000, 0x06, TERMINAL, 0x20120229, 0x135100)
    assert mac1.hex().upper() == "F15CAB75"
    assert mac.purchase_mac2(session, 0x1000).hex().upper() == "56988A13"


def test_purchase_session_key_takes_the_low_half_of_the_terminal_counter() -> None:
    low = mac.purchase_session_key(PURSE_KEY, CARD_RANDOM, 7, 0x0001)
    assert mac.purchase_session_key(PURSE_KEY, CARD_RANDOM, 7, 0xABCD0001) == low


def test_load_chain() -> None:
    """Published chain, card-standards.md §4.5."""
    session = mac.load_session_key(PURSE_KEY, CARD_RANDOM, 0)
    assert session.hex().upper() == "9B1D924E05595603"
    assert mac.load_mac1(session, 0, 0x1000, 0x01, TERMINAL).hex().upper() == "2988AE5A"
    mac2 = mac.load_mac2(session, 0x1000, 0x01, TERMINAL, 0x20111221, 0x214822)
    assert mac2.hex().upper() == "3A845BF0"


def test_diversification() -> None:
    """Published value, card-standards.md §4.5."""
    master = bytes.fromhex("C4D689158AD9FB9D23105B91CE046D0E")
    derived = mac.diversify_key(master, bytes.fromhex("2011000270735501"))
    assert derived.hex().upper() == "B8A15DA5F7043C317D9FD8F8DFE2BD75"


def test_tac_key_is_the_exclusive_or_of_the_halves() -> None:
    assert mac.tac_key(bytes.fromhex("00112233445566778899AABBCCDDEEFF")) == b"\x88" * 8


def test_tac_messages() -> None:
    purchase = mac.purchase_tac_data(0x01020304, 0x06, 0x112233445566, 0x0A0B0C0D, 0x20260302, 0x221450)
    assert purchase.hex() == "01020304061122334455660a0b0c0d20260302221450"
    load = mac.load_tac_data(0x0000ABCD, 0x0102, 0x01020304, 0x02, 0x112233445566, 0x20260302, 0x221450)
    assert load.hex() == "0000abcd0102010203040211223344556620260302221450"


def test_tacs_are_single_des_macs_of_their_messages() -> None:
    fields = (0x01020304, 0x06, TERMINAL, 5, 0x20260302, 0x221450)
    key = mac.tac_key(PURSE_KEY)
    expected = mac.cbc_mac(key, mac.purchase_tac_data(*fields) + b"\x80\x00")[:4]
    assert mac.purchase_tac(PURSE_KEY, *fields) == expected
    load = (0xABCD, 3, 0x01020304, 0x02, TERMINAL, 0x20260302, 0x221450)
    expected = mac.cbc_mac(key, mac.load_tac_data(*load) + b"\x80" + bytes(7))[:4]
    assert mac.load_tac(PURSE_KEY, *load) == expected


def test_triple_des_accepts_equal_halves() -> None:
    block = bytes(range(8))
    assert mac.tdes_encrypt_block(PURSE_KEY[:8] * 2, block) == mac.des_encrypt_block(PURSE_KEY[:8], block)


def test_triple_des_inverts() -> None:
    block = bytes(range(8))
    assert mac.tdes_decrypt_block(PURSE_KEY, mac.tdes_encrypt_block(PURSE_KEY, block)) == block


def test_triple_des_of_several_blocks() -> None:
    one, two = bytes(range(8)), bytes(range(8, 16))
    expected = mac.tdes_encrypt_block(PURSE_KEY, one) + mac.tdes_encrypt_block(PURSE_KEY, two)
    assert mac.tdes_encrypt(PURSE_KEY, one + two) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [("0123456789ABCDEF", "D5D44F"), ("0123456789ABCDEFFEDCBA9876543210", "08D7B4")],
)
def test_key_check_value(key: str, expected: str) -> None:
    """Widely published check values of the two textbook keys."""
    assert mac.kcv(bytes.fromhex(key)).hex().upper() == expected


@pytest.mark.parametrize(("length", "zeros", "marked"), [(0, 8, 8), (1, 8, 8), (7, 8, 8), (8, 8, 16), (9, 16, 16)])
def test_padding(length: int, zeros: int, marked: int) -> None:
    data = b"\xaa" * length
    assert mac.pad_zeros(data) == data + bytes(zeros - length)
    assert mac.pad_marked(data) == data + b"\x80" + bytes(marked - length - 1)


def test_cbc_mac_starts_from_the_iv() -> None:
    key, iv, block = PURSE_KEY[:8], b"\x5a" * 8, bytes(range(8))
    assert mac.cbc_mac(key, block, iv) == mac.des_encrypt_block(key, mac.xor(iv, block))


@pytest.mark.parametrize("length", [0, 7, 9])
def test_lengths_are_checked(length: int) -> None:
    wrong = bytes(length)
    with pytest.raises(ValueError):
        mac.des_encrypt_block(PURSE_KEY[:8], wrong)
    with pytest.raises(ValueError):
        mac.des_encrypt_block(wrong, bytes(8))
    with pytest.raises(ValueError):
        mac.tdes_encrypt_block(wrong, bytes(8))
    with pytest.raises(ValueError):
        mac.cbc_mac(PURSE_KEY[:8], bytes(8), wrong)
    with pytest.raises(ValueError):
        mac.tdes_encrypt(PURSE_KEY, bytes(8) + b"\x00")


def test_fields_must_fit() -> None:
    with pytest.raises(OverflowError):
        mac.purchase_tac_data(1 << 32, 6, 0, 0, 0, 0)
    with pytest.raises(OverflowError):
        mac.purchase_tac_data(0, 6, 1 << 48, 0, 0, 0)
