"""Check values against published vectors; dual-control components; nothing secret in what they show."""

import os
from dataclasses import replace

import pytest

from card_io.keys.algorithm import KeyAlgorithm, check_value, sm4_encrypt
from card_io.keys.components import Component, join, split
from card_io.keys.errors import ComponentError

KEK = bytes(range(32))


@pytest.mark.parametrize(
    ("algorithm", "key", "expected"),
    [
        (KeyAlgorithm.TDES, "0123456789ABCDEFFEDCBA9876543210", "08D7B4"),
        # SM4 and AES by `openssl enc -sm4-ecb` and `openssl mac CMAC`.
        (KeyAlgorithm.SM4, "0123456789ABCDEFFEDCBA9876543210", "2677F4"),
        (KeyAlgorithm.AES, "2B7E151628AED2A6ABF7158809CF4F3C", "7AD386C376"),
        # RFC 8032 §7.1, TEST 2: the public key.
        (
            KeyAlgorithm.ED25519,
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3D4017C3E8",
        ),
    ],
)
def test_check_values(algorithm: KeyAlgorithm, key: str, expected: str) -> None:
    assert check_value(algorithm, bytes.fromhex(key)) == expected


def test_sm4_vector() -> None:
    """GB/T 32907-2016 annex A.1: the key encrypts itself."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    assert sm4_encrypt(key, key).hex().upper() == "681EDF34D206965E86B3E94F536E4246"


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_no_check_value_for_a_wrong_length(algorithm: KeyAlgorithm) -> None:
    with pytest.raises(ValueError, match="no key of 8 bytes"):
        check_value(algorithm, bytes(8))


@pytest.mark.parametrize("count", [2, 3, 9])
@pytest.mark.parametrize(
    ("algorithm", "size"), [(KeyAlgorithm.AES, 32), (KeyAlgorithm.TDES, 16), (KeyAlgorithm.SM4, 16)]
)
def test_split_sheets_and_join(algorithm: KeyAlgorithm, size: int, count: int) -> None:
    key = os.urandom(size)
    components = split(algorithm, key, count)
    typed = [Component.from_text(f"  {c.to_text().lower()}\n") for c in reversed(components)]
    assert join(typed) == key
    assert {c.key_kcv for c in components} == {check_value(algorithm, key)}
    assert key not in {c.value for c in components}


@pytest.mark.parametrize("count", [-1, 0, 1, 10])
def test_dual_control_needs_two_to_nine(count: int) -> None:
    with pytest.raises(ValueError, match="components"):
        split(KeyAlgorithm.AES, KEK, count)


def test_incomplete_repeated_and_mixed_sets_are_refused() -> None:
    first, second, third = split(KeyAlgorithm.AES, KEK, 3)
    stranger = split(KeyAlgorithm.AES, bytes(32), 3)[2]
    other_ceremony = split(KeyAlgorithm.AES, KEK, 3)[2]
    for given in [[], [first], [first, second], [first, second, second], [first, second, stranger],
                  [first, second, other_ceremony]]:  # fmt: skip
        with pytest.raises(ComponentError):
            join(given)
    with pytest.raises(ComponentError, match="check value"):
        join([first, second, replace(third, value=first.value)])


def test_a_mistyped_digit_is_found_at_once() -> None:
    line = split(KeyAlgorithm.AES, KEK, 2)[0].to_text()
    start = line.index("AES ") + 4
    for position in range(start, line.index(" KCV")):
        if line[position] != " ":
            wrong = "1" if line[position] == "0" else "0"
            with pytest.raises(ComponentError) as caught:
                Component.from_text(line[:position] + wrong + line[position + 1 :])
            assert line[start : start + 9] not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    ["", "hello", "1 of 2 RSA 00 KCV 00 KEY 00", "1 of 2 AES 0 KCV 00 KEY 00", "1 of 2 AES 00 KCV 00 KEY 00"],
)
def test_lines_that_are_no_component(line: str) -> None:
    with pytest.raises(ComponentError):
        Component.from_text(line)


def test_representation_shows_check_values_only() -> None:
    component = split(KeyAlgorithm.AES, KEK, 2)[0]
    assert component.kcv in repr(component)
    assert component.value.hex() not in repr(component).lower()
    assert repr(component.value) not in repr(component)
