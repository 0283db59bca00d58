"""Programs for the bitsliced machine: what is computed, apart from how.

The machine has registers of one 64-bit word a row (a block, a key half, a message block)
and applies every step to all rows at once. Words enter and leave *by row*; TRANSPOSE
turns a register between that form and bit planes, and every other step expects planes.
Both backends run the same programs, so a scheme that authenticates other data or derives
keys another way is another program, not another kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Op(IntEnum):
    """What a step does to register `target`, given register `source`."""

    TRANSPOSE = 0  # target by row <-> in planes; source unused
    COPY = 1  # target = source
    INVERT = 2  # target = ~target; source unused
    XOR = 3  # target ^= source
    ENCRYPT = 4  # target = DES encryption of target under source
    DECRYPT = 5  # target = DES decryption of target under source


class Step(NamedTuple):
    """One instruction: operation and two register numbers."""

    op: Op
    target: int
    source: int = 0


Words = NDArray[np.uint64]

Program = NDArray[np.int64]
"""int64[n, 3]: steps in order, each (op, target register, source register)."""


BUTTERFLIES = (
    (32, np.uint64(0x00000000FFFFFFFF)),
    (16, np.uint64(0x0000FFFF0000FFFF)),
    (8, np.uint64(0x00FF00FF00FF00FF)),
    (4, np.uint64(0x0F0F0F0F0F0F0F0F)),
    (2, np.uint64(0x3333333333333333)),
    (1, np.uint64(0x5555555555555555)),
)
"""Stages of the 64 x 64 bit transposition: (distance of the two words, mask of the low bits).

A stage exchanges the high bits of a word with the low bits of the word `distance` after it,
for all pairs whose first index has no bit `distance`.
"""


def assemble(*parts: Sequence[Step]) -> Program:
    """Concatenate parts of a program into the array the backends run; it is read-only."""
    program = np.array([step for part in parts for step in part], dtype=np.int64)
    program.setflags(write=False)
    return program


def transpose(*registers: int) -> list[Step]:
    """Turn registers between rows and planes."""
    return [Step(Op.TRANSPOSE, register) for register in registers]


def triple_encrypt(block: int, left: int, right: int) -> list[Step]:
    """Two-key triple DES of `block`: encrypt under left, decrypt under right, encrypt under left."""
    return [Step(Op.ENCRYPT, block, left), Step(Op.DECRYPT, block, right), Step(Op.ENCRYPT, block, left)]


def triple_decrypt(block: int, left: int, right: int) -> list[Step]:
    """Invert `triple_encrypt`."""
    return [Step(Op.DECRYPT, block, left), Step(Op.ENCRYPT, block, right), Step(Op.DECRYPT, block, left)]
