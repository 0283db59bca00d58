"""DES (FIPS 46-3) as a circuit on bit planes.

Bit numbers in the standard's tables run from 1, the most significant bit of a block.
Plane *p* of a bitsliced register holds bit *p* counted from the least significant one, so
that plane ``64 - n`` is the standard's bit *n*. Permutations cost no gate: they are
folded into the plane numbers below, and a backend reads and writes planes by number.

The two halves of the state sit in a work area of 64 planes, L in 0..31 and R in 32..63.
A round combines the target half with f(source half, round key); the halves then swap
roles instead of places, and because sixteen is even, the exchange of halves that the
standard asks for at the end is ``STATE_PLANES[i] <- work[i ^ 32]``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clearing.mac.circuit import Circuit, compile_tables

ROUNDS = 16

# fmt: off
_INITIAL_PERMUTATION = (
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4,
    62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
    57, 49, 41, 33, 25, 17,  9, 1, 59, 51, 43, 35, 27, 19, 11, 3,
    61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
)
_P = (
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
    2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
)
_PC1 = (
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
    63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
)
_PC2 = (
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
)
_SHIFTS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)

# One hexadecimal digit an entry: four rows of sixteen columns.
_SBOXES = (
    "E4D12FB83A6C59070F74E2D1A6CB9538" "41E8D62BFC973A50FC8249175B3EA06D",
    "F18E6B34972DC05A3D47F28EC01A69B5" "0E7BA4D158C6932FD8A13F42B67C05E9",
    "A09E63F51DC7B428D709346A285ECBF1" "D6498F30B12C5AE71AD069874FE3B52C",
    "7DE3069A1285BC4FD8B56F03472C1AE9" "A690CB7DF13E52843F06A1D8945BC72E",
    "2C417AB6853FD0E9EB2C47D150FA3986" "421BAD78F9C5630EB8C71E2D6F09A453",
    "C1AF92680D34E75BAF427C9561DE0B38" "9EF528C3704A1DB6432C95FABE17608D",
    "4B2EF08D3C975A61D0B7491AE35C2F86" "14BDC37EAF6805926BD814A7950FE23C",
    "D2846FB1A93E50C71FD8A374C56B0E92" "7B419CE206ADF35821E74A8DFC90356B",
)
# fmt: on

# Found by `circuit.best_order`; variable 0 is the first (most significant) of the six input bits.
VARIABLE_ORDERS = (
    (0, 1, 2, 4, 3, 5),
    (0, 4, 5, 3, 1, 2),
    (0, 2, 1, 5, 3, 4),
    (5, 3, 1, 0, 2, 4),
    (4, 1, 3, 0, 2, 5),
    (2, 3, 4, 1, 5, 0),
    (0, 5, 1, 4, 2, 3),
    (5, 4, 3, 1, 0, 2),
)


@dataclass(frozen=True, slots=True)
class SBox:
    """One S-box with its wiring; plane numbers are relative to the half concerned (0..31).

    `sources` are the six planes of the source half that the expansion E brings here;
    input *v* of the circuit is ``source[sources[v]] ^ key[schedule[round, 6 * box + v]]``.
    Output *k* of the circuit (a literal) is exclusive-ored into ``target[targets[k]]``.
    """

    circuit: Circuit
    sources: tuple[int, ...]
    targets: tuple[int, ...]


def sbox_tables(box: int) -> list[list[int]]:
    """Return the four truth tables of S-box `box` (0..7), each 64 long.

    Index bit *v* is the *v*-th of the six input bits; table 0 is the most significant
    output bit. The first and last input bit choose the row, the others the column.
    """
    values = []
    for x in range(64):
        b = [x >> v & 1 for v in range(6)]
        row, column = 2 * b[0] + b[5], 8 * b[1] + 4 * b[2] + 2 * b[3] + b[4]
        values.append(int(_SBOXES[box][16 * row + column], 16))
    return [[value >> (3 - k) & 1 for value in values] for k in range(4)]


def _sbox(box: int) -> SBox:
    return SBox(
        circuit=compile_tables(sbox_tables(box), VARIABLE_ORDERS[box]),
        sources=tuple((4 * box + v - 1) % 32 for v in range(6)),
        targets=tuple(_P.index(4 * box + k + 1) for k in range(4)),
    )


def _encryption_schedule() -> NDArray[np.uint8]:
    """Return the plane of the key for each of the 48 round-key bits, uint8[16, 48]."""
    c: tuple[int, ...] = _PC1[:28]
    d: tuple[int, ...] = _PC1[28:]
    rounds = []
    for shift in _SHIFTS:
        c, d = c[shift:] + c[:shift], d[shift:] + d[:shift]
        rounds.append([64 - (c + d)[position - 1] for position in _PC2])
    return np.array(rounds, dtype=np.uint8)


@functools.cache
def sboxes() -> tuple[SBox, ...]:
    """All eight. Only who compiles or interprets the circuit needs them: cached machine code does not."""
    return tuple(_sbox(box) for box in range(8))


STATE_PLANES = tuple(64 - n for n in _INITIAL_PERMUTATION)
"""Plane of the block that enters ``work[i]``; the output leaves from ``work[i ^ 32]`` to the same plane."""

ENCRYPT = 0
DECRYPT = 1
SCHEDULES: NDArray[np.uint8] = np.stack([_encryption_schedule(), _encryption_schedule()[::-1]])
"""uint8[2, 16, 48]: plane of the key for round-key bit *j* of round *r*, by `ENCRYPT` or `DECRYPT`."""
