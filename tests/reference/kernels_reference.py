"""Exact twins of ``clearing.kernels`` in plain Python integers."""

from __future__ import annotations

from collections.abc import Sequence

MASK = 2**64 - 1
SEED = (0x243F6A8885A308D3, 0x13198A2E03707344)


def absorb(lo: int, hi: int, value: int) -> tuple[int, int]:
    """Both lanes of one row's hash after one more column."""
    word = value & MASK
    x = (lo ^ word) * 0x9E3779B97F4A7C15 & MASK
    y = (hi + word & MASK) * 0xC2B2AE3D27D4EB4F & MASK
    return x ^ x >> 29, (y << 23 & MASK | y >> 41) ^ y >> 33


def finish(lo: int, hi: int) -> tuple[int, int]:
    """Both lanes after the last column."""
    x = lo ^ hi >> 32
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & MASK
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    x ^= x >> 33
    y = hi + x & MASK
    y = (y ^ y >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    y = (y ^ y >> 33) * 0xFF51AFD7ED558CCD & MASK
    return x, y ^ y >> 33


def row_hash(values: Sequence[int], start: tuple[int, int] = SEED) -> tuple[int, int]:
    """Hash of one row over its column values."""
    lo, hi = start
    for value in values:
        lo, hi = absorb(lo, hi, value)
    return finish(lo, hi)


def root(hashes: Sequence[tuple[int, int]], keep: Sequence[bool]) -> int:
    """Sum of the kept 128-bit hashes."""
    return sum((hi << 64) + lo for (lo, hi), kept in zip(hashes, keep, strict=True) if kept) % 2**128


def sums(group: Sequence[int], amount: Sequence[int], groups: int) -> tuple[list[int], list[int]]:
    """Rows and fen per group."""
    chosen = [[fen for at, fen in zip(group, amount, strict=True) if at == each] for each in range(groups)]
    return [len(fens) for fens in chosen], [sum(fens) for fens in chosen]


def first_positions(keys: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """First position of each wanted key, −1 where there is none."""
    return [keys.index(key) if key in keys else -1 for key in wanted]


def order(keys: Sequence[int]) -> list[int]:
    """Positions that sort the keys, equal ones as they came."""
    return sorted(range(len(keys)), key=lambda at: keys[at])


def shared(keys: Sequence[int]) -> list[bool]:
    """Whether a key stands there more than once; 0 is no key."""
    return [key != 0 and keys.count(key) > 1 for key in keys]


def numbers_of(keys: Sequence[int]) -> list[int]:
    """Each key's number in the order of first appearance."""
    distinct = list(dict.fromkeys(keys))
    return [distinct.index(key) for key in keys]


def valid(rows: Sequence[tuple[int, int, int, int]], wanted: Sequence[tuple[int, int]]) -> list[int]:
    """Value of the (key, value, first day, last day) of each wanted (key, day), −1 where there is none."""
    return [
        next((value for of, value, first, last in rows if of == key and first <= day <= last), -1)
        for key, day in wanted
    ]


State = tuple[int, int, int]
"""Highest debit counter and load counter of a card (−1 = none), and highest time."""


def states(moves: Sequence[tuple[int, bool, int, int]], before: dict[int, State] | None = None) -> dict[int, State]:
    """The states of cards after moves (card, load, counter, time)."""
    found = dict(before or {})
    for card, load, counter, time in moves:
        debit, loaded, last = found.get(card, (-1, -1, time))
        debit, loaded = (debit, max(loaded, counter)) if load else (max(debit, counter), loaded)
        found[card] = (debit, loaded, max(last, time))
    return found


def rises(moves: Sequence[tuple[int, bool, int, int]], states: dict[int, State]) -> list[bool]:
    """Whether each move is above the state of its card, by its own kind of counter and by time."""
    return [
        card not in states or (counter > states[card][1 if load else 0] and time > states[card][2])
        for card, load, counter, time in moves
    ]
