"""TR-31 version D key blocks against psec, an implementation by other people, in both directions."""

import os
import warnings
from dataclasses import replace
from typing import Any

import pytest

from card_io.keys.errors import KeyBlockError
from card_io.keys.key_block import KeyBlockHeader, unwrap_key_block, wrap_key_block

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # psec names deprecated ciphers when imported
    from psec import tr31

KBPK = bytes(range(32))
MASTER = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
TAC_MASTER = KeyBlockHeader(usage="E6", algorithm="T", mode="X")
BLOCKS = (("KS", "00604B120F9292800000"), ("TS", "2026-03-01T00:00:00Z"))

CASES = [
    (header, size, kbpk_size)
    for header, sizes in [
        (TAC_MASTER, (16, 24)),
        (replace(TAC_MASTER, key_version="07", exportability="N"), (16,)),
        (replace(TAC_MASTER, blocks=BLOCKS), (16,)),
        (replace(TAC_MASTER, blocks=(("LB", "x" * 300),)), (16,)),
        (replace(TAC_MASTER, blocks=(("LB", "x" * 12),)), (16,)),
        (replace(TAC_MASTER, blocks=(("LB", "x" * 8),)), (16,)),
        (KeyBlockHeader(usage="E6", algorithm="4", mode="X"), (16,)),
        (KeyBlockHeader(usage="K1", algorithm="A", mode="B"), (16,)),
        (KeyBlockHeader(usage="M3", algorithm="T", mode="C"), (16,)),
    ]
    for size in sizes
    for kbpk_size in (16, 24, 32)
] + [(KeyBlockHeader(usage="K0", algorithm="A", mode="D"), 32, 32)]


@pytest.mark.parametrize(("header", "size", "kbpk_size"), CASES)
def test_psec_opens_ours_and_we_open_psecs(header: KeyBlockHeader, size: int, kbpk_size: int) -> None:
    kbpk, key = KBPK[:kbpk_size], os.urandom(size)
    block = wrap_key_block(header, key, kbpk)
    theirs, opened = tr31.unwrap(kbpk, block)
    assert opened == key
    assert (theirs.key_usage, theirs.algorithm, theirs.mode_of_use) == (
        header.usage, header.algorithm, header.mode,
    )  # fmt: skip
    assert (theirs.version_num, theirs.exportability) == (header.key_version, header.exportability)
    assert tuple(theirs.blocks.items()) == header.blocks

    back = unwrap_key_block(tr31.wrap(kbpk, theirs, key), kbpk, usage=header.usage, mode=header.mode)
    assert (back.header, back.key) == (header, key)


def test_every_altered_character_is_refused() -> None:
    block = wrap_key_block(replace(TAC_MASTER, blocks=BLOCKS), MASTER, KBPK)
    for position, character in enumerate(block):
        for other in "0E":
            if other != character:
                with pytest.raises(KeyBlockError):
                    unwrap_key_block(block[:position] + other + block[position + 1 :], KBPK, usage="E6", mode="X")


def test_cut_extended_and_foreign_blocks_are_refused() -> None:
    block = wrap_key_block(TAC_MASTER, MASTER, KBPK)
    damaged = [block[:length] for length in range(len(block))]
    damaged += [block + "0", block.lower(), " " + block, "B" + block[1:], block.replace("E6", "\u0660\u0666")]
    for text in damaged:
        with pytest.raises(KeyBlockError):
            unwrap_key_block(text, KBPK, usage="E6", mode="X")
    with pytest.raises(KeyBlockError, match="not authentic") as caught:
        unwrap_key_block(block, KBPK[::-1], usage="E6", mode="X")
    assert MASTER.hex() not in str(caught.value).lower()


@pytest.mark.parametrize(("usage", "mode"), [("E0", "X"), ("E6", "E"), ("K1", "B"), ("E6", "")])
def test_a_key_for_another_use_is_refused(usage: str, mode: str) -> None:
    block = wrap_key_block(TAC_MASTER, MASTER, KBPK)
    with pytest.raises(KeyBlockError, match="the key is for usage E6 mode X"):
        unwrap_key_block(block, KBPK, usage=usage, mode=mode)


@pytest.mark.parametrize(
    ("mode", "wanted", "permitted"),
    [("B", "E", True), ("B", "D", True), ("E", "D", False), ("D", "B", False), ("E", "E", True)],
)
def test_two_way_modes_permit_each_direction(mode: str, wanted: str, permitted: bool) -> None:
    header = KeyBlockHeader(usage="K1", algorithm="A", mode=mode)
    assert header.permits(wanted) is permitted


@pytest.mark.parametrize(
    "change",
    [
        {"usage": "P0"}, {"usage": ""}, {"algorithm": "D"}, {"algorithm": ""}, {"mode": "B"}, {"mode": "N"},
        {"mode": ""}, {"exportability": "X"}, {"key_version": "1"}, {"blocks": (("PB", "0000"),)},
        {"blocks": (("k1", ""),)}, {"blocks": (("KS", "\n"),)},
    ],
)  # fmt: skip
def test_headers_outside_the_agreement_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(KeyBlockError):
        replace(TAC_MASTER, **change)


def test_psecs_block_for_a_usage_we_do_not_exchange_is_refused() -> None:
    block = tr31.wrap(KBPK, "D0000P0TE00N0000", MASTER)
    with pytest.raises(KeyBlockError, match="'P0'"):
        unwrap_key_block(block, KBPK, usage="P0", mode="E")


def test_lengths_that_do_not_go_together_are_refused() -> None:
    aes = KeyBlockHeader(usage="K1", algorithm="A", mode="B")
    for header, key, kbpk in [
        (TAC_MASTER, bytes(8), KBPK),
        (TAC_MASTER, MASTER, bytes(8)),
        (aes, KBPK, KBPK[:16]),
    ]:
        with pytest.raises(KeyBlockError):
            wrap_key_block(header, key, kbpk)
    with pytest.raises(KeyBlockError):
        wrap_key_block(replace(TAC_MASTER, blocks=(("LB", "x" * 9990),)), MASTER, KBPK)
    # psec does not check lengths, so it can send what we must refuse.
    with pytest.raises(KeyBlockError, match="64 bits"):
        unwrap_key_block(tr31.wrap(KBPK, "D0000E6TX00E0000", bytes(8)), KBPK, usage="E6", mode="X")


def test_representation_shows_the_header_only() -> None:
    key = unwrap_key_block(wrap_key_block(TAC_MASTER, MASTER, KBPK), KBPK, usage="E6", mode="X")
    assert "E6" in repr(key)
    assert repr(MASTER) not in repr(key)
    assert MASTER.hex() not in repr(key).lower()
