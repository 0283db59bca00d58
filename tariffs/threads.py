"""Work on parts of a batch side by side: kernels give the interpreter's lock back while they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tariffs.columns import Ints

CHUNK_ROWS = 16_384
"""Rows whose columns stay in the cache together."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def run_all(work: Callable[[Item], Answer], items: Sequence[Item], threads: int) -> list[Answer]:
    """Answers in the order of the items, from a pool of threads or, with one, here; the first error is raised."""
    if threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    answers: dict[int, Answer] = {}
    errors: dict[int, BaseException] = {}
    left = iter(range(len(items)))

    def take() -> None:
        # Each thread takes the next item until none is left: a task of the pool per item costs more than some do.
        for number in left:
            if errors:
                return
            try:
                answers[number] = work(items[number])
            except BaseException as error:
                errors[number] = error

    with ThreadPoolExecutor(threads) as pool:
        for running in [pool.submit(take) for _ in range(min(threads, len(items)))]:
            running.result()
    if errors:
        raise errors[min(errors)]
    return [answers[number] for number in range(len(items))]


def over_runs(begins: Ints, walk: Callable[[int, int], object], threads: int, rows: int = 0) -> None:
    """``walk(first, last)`` for ranges of the runs between ``begins`` (which end with the end of the last run).

    Ranges are balanced by rows, for runs may be of very different length: of about ``rows``, 0 = a few per thread.
    """
    runs, length = len(begins) - 1, int(begins[-1])
    ranges = length // rows + 1 if rows else 4 * threads if threads > 1 else 1
    wanted = np.linspace(0, length, ranges + 1)
    cuts = np.unique(np.append(np.searchsorted(begins[:-1], wanted), runs))
    in_threads(walk, cuts[:-1], cuts[1:], threads)


def in_threads(
    work: Callable[[int, int], Answer], first: npt.ArrayLike, last: npt.ArrayLike, threads: int
) -> list[Answer]:
    """``work(first[i], last[i])`` for all i on a pool of threads, or here when there is one thread."""
    pairs = list(zip(np.asarray(first).tolist(), np.asarray(last).tolist(), strict=True))
    return run_all(lambda pair: work(*pair), pairs, threads)


def in_ranges(length: int, work: Callable[[int, int], Answer], threads: int) -> list[Answer]:
    """``work(first, last)`` for ranges that together are ``length`` rows, one per thread."""
    bounds = np.linspace(0, length, threads + 1).astype(np.int64)
    return in_threads(work, bounds[:-1], bounds[1:], threads)


def each_chunk(length: int, work: Callable[[slice], object], threads: int) -> None:
    """``work(rows)`` for slices of ``length`` rows that fit into the cache, on a pool of threads."""
    starts = np.arange(0, length, CHUNK_ROWS)
    in_threads(lambda first, last: work(slice(first, last)), starts, np.minimum(starts + CHUNK_ROWS, length), threads)
