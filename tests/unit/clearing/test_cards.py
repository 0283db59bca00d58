"""Card identity and the vault: a permutation, sealed chunks, and clashes that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io import mac
from card_io.keys.aead import KeyEncryptionKey
from card_io.keys.errors import SealedFileError
from card_io.records import mask_card
from clearing.archive import file_sha256
from clearing.cards import CardKeys, CardRows, Newcomers, Vault
from clearing.errors import ClearingError, EvidenceError

KEYS = CardKeys({digits: bytes([digits]) * 15 + b"\x01" for digits in (0, 16, 17, 18, 19)})
KEK = KeyEncryptionKey(bytes(range(32)))
CARDS = [
    (11, 3104770000000000, 16, ""),
    (12, 9_999_999_999_999_999_999, 19, ""),
    (13, 1, 19, ""),
    (2**64 - 1, 0, 0, "M+abc*19/x"),
]


def rows(cards: list[tuple[int, int, int, str]]) -> CardRows:
    """Cards of one block."""
    ids, numbers, digits, texts = zip(*cards, strict=True)
    return CardRows(
        np.array(ids, np.uint64),
        np.full(len(ids), 0x3104770000000001, np.uint64),
        np.array(numbers, np.uint64),
        np.array(digits, np.uint8),
        {card: text for card, text in zip(ids, texts, strict=True) if text},
    )


def met(*blocks: CardRows) -> Newcomers:
    """The cards of some blocks that a run met."""
    newcomers = Newcomers(Path("vault"))
    for block in blocks:
        newcomers.add(block)
    return newcomers


# --- identity ------------------------------------------------------------------------------


@given(st.text("0123456789", min_size=16, max_size=19))
@settings(deadline=None)
def test_a_number_is_enciphered_under_the_key_of_its_length(text: str) -> None:
    key = bytes([len(text)]) * 15 + b"\x01"
    expected = int.from_bytes(mac.tdes_encrypt_block(key, int(text).to_bytes(8, "big")), "big")
    assert KEYS.card_id_of_text(text) == expected


def test_columns_and_single_texts_agree() -> None:
    texts = ["3104770000000000", "0000000000000001", "9" * 19, "0" * 17, "M+abc*19/x", "3104770000000000"]
    number = np.array([int(t) if t.isdigit() else 0 for t in texts], np.uint64)
    digits = np.array([len(t) if t.isdigit() else 0 for t in texts], np.uint8)
    ids = KEYS.permute(number, digits, {4: texts[4]})
    assert ids.tolist() == [KEYS.card_id_of_text(text) for text in texts]
    assert ids[0] == ids[5]
    assert len(set(ids.tolist())) == 5


@pytest.mark.parametrize("text", ["1" * 20, "１２３", "", "12 34"])
def test_what_is_no_number_of_19_digits_is_opaque(text: str) -> None:
    assert 0 <= KEYS.card_id_of_text(text) < 2**64
    assert KEYS.card_id_of_text(text) != KEYS.card_id_of_text(text + "x")


@pytest.mark.parametrize("text", ["000000000000001", "1", "12345678901234"])
def test_a_number_of_an_odd_length_is_hashed_with_its_zeros(text: str) -> None:
    ids = KEYS.permute(np.array([int(text)], np.uint64), np.array([len(text)], np.uint8), {})
    assert ids.tolist() == [KEYS.card_id_of_text(text)]
    assert KEYS.card_id_of_text("0" + text) != KEYS.card_id_of_text(text)


def test_opaque_texts_without_their_key_are_refused_with_the_remedy() -> None:
    with pytest.raises(ClearingError, match="no card_id key") as refusal:
        CardKeys({19: bytes(16)}).card_id_of_text("opaque")
    assert "card_id key of version 0" in refusal.value.remedy


# --- vault ---------------------------------------------------------------------------------


def test_cards_come_back_as_they_were_written(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEK, [])
    chunk = vault.add("1.cards", met(rows(CARDS)))
    assert chunk == ("1.cards", file_sha256(tmp_path / "1.cards"))
    again = Vault(tmp_path, KEK, ["1.cards"])
    texts = [again.card_text(card) for card, *_ in CARDS]
    assert texts == ["3104770000000000", "9999999999999999999", "0000000000000000001", "M+abc*19/x"]
    assert again.card_text(14) is None


def test_no_card_number_stands_in_a_chunk(tmp_path: Path) -> None:
    Vault(tmp_path, KEK, []).add("1.cards", met(rows(CARDS)))
    sealed = (tmp_path / "1.cards").read_bytes()
    for _, number, _, text in CARDS:
        assert number < 2**32 or number.to_bytes(8, "little") not in sealed
        assert not text or text.encode() not in sealed


def test_a_chunk_holds_each_new_card_once_and_none_twice(tmp_path: Path) -> None:
    vault = Vault(tmp_path, KEK, [])
    vault.add("1.cards", met(rows(CARDS[:2]), rows(CARDS[1:3])))
    again = Vault(tmp_path, KEK, ["1.cards"])
    assert again.unknown(rows(CARDS)).card_id.tolist() == [CARDS[3][0]]
    assert again.add("2.cards", met(rows(CARDS[:3]))) is None
    assert again.add("2.cards", met(rows(CARDS))) is not None
    for vault in (again, Vault(tmp_path, KEK, ["1.cards", "2.cards"])):
        assert len(vault.unknown(rows(CARDS)).card_id) == 0


@pytest.mark.parametrize("announced", [0, 1, 2**62])
def test_what_is_announced_costs_no_card_and_no_memory(announced: int) -> None:
    newcomers = Newcomers(Path("vault"), announced)
    for block in (CARDS[:3], CARDS[1:]):
        newcomers.add(rows(block))
    assert sorted(newcomers.cards().card_id.tolist()) == sorted(card for card, *_ in CARDS)


def test_a_day_brings_a_card_many_times(tmp_path: Path) -> None:
    """In any order, in blocks of any size: the vault has each once."""
    rng = np.random.default_rng(20261128)
    cards = [(int(card), int(card) % 1000, 16, "") for card in rng.integers(0, 2**63, 900)]
    blocks = [[cards[i] for i in rng.integers(0, len(cards), size)] for size in (3, 0, 1, 700, 2_000, 40)]
    vault = Vault(tmp_path, KEK, [])
    vault.add("1.cards", met(*(rows(block) if block else rows(cards[:1]).take(slice(0, 0)) for block in blocks)))
    brought = {card for block in blocks for card, *_ in block}
    again = Vault(tmp_path, KEK, ["1.cards"])
    assert set(again.unknown(rows(cards)).card_id.tolist()) == {card for card, *_ in cards} - brought
    texts = again.card_texts(np.array(sorted(brought), np.uint64))
    assert texts == {card: f"{number:016d}" for card, number, *_ in cards if card in brought}


@pytest.mark.parametrize("known", [True, False], ids=["against the vault", "within one batch"])
def test_two_cards_with_one_id_are_refused(tmp_path: Path, known: bool) -> None:
    vault = Vault(tmp_path, KEK, [])
    other = [(11, 3104770000000001, 16, "")]
    parts = [rows(CARDS), rows(other)]
    if known:
        vault.add("1.cards", met(*parts[:1]))
        vault, parts = Vault(tmp_path, KEK, ["1.cards"]), parts[1:]
    with pytest.raises(ClearingError, match="two different cards have the same card_id"):
        vault.add("2.cards", met(*parts))
    assert not (tmp_path / "2.cards").exists()


@pytest.mark.parametrize(
    "other",
    [(13, 1, 18, ""), (2**64 - 1, 0, 0, "another text"), (13, 0, 0, "opaque")],
    ids=["another length", "another text", "a text for a number"],
)
def test_clashes_of_other_kinds_are_refused(tmp_path: Path, other: tuple[int, int, int, str]) -> None:
    vault = Vault(tmp_path, KEK, [])
    known = CARDS if other[1:] != (0, 0, "opaque") else [*CARDS[:2], (13, 0, 19, ""), CARDS[3]]
    with pytest.raises(ClearingError, match="same card_id"):
        vault.add("1.cards", met(rows(known), rows([other])))


def test_a_missing_or_harmed_chunk_is_not_read(tmp_path: Path) -> None:
    Vault(tmp_path, KEK, []).add("1.cards", met(rows(CARDS)))
    with pytest.raises(EvidenceError, match="vault chunk is missing"):
        Vault(tmp_path, KEK, ["1.cards", "2.cards"]).unknown(rows(CARDS))
    sealed = bytearray((tmp_path / "1.cards").read_bytes())
    sealed[-1] ^= 1
    (tmp_path / "1.cards").write_bytes(sealed)
    with pytest.raises(SealedFileError):
        Vault(tmp_path, KEK, ["1.cards"]).add("2.cards", met(rows(CARDS)))
    assert not (tmp_path / "2.cards").exists()


def test_the_vault_of_another_centre_stays_closed(tmp_path: Path) -> None:
    Vault(tmp_path, KEK, []).add("1.cards", met(rows(CARDS)))
    with pytest.raises(SealedFileError):
        Vault(tmp_path, KeyEncryptionKey(bytes(32)), ["1.cards"]).unknown(rows(CARDS))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("3104770000005201", "310477****5201"), ("12345678901", "123456****8901"), ("123456", "1****"), ("", "****")],
)
def test_masks_hide_the_middle(text: str, shown: str) -> None:
    assert mask_card(text) == shown
