"""Choosing a backend, and splitting rows among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from numba import config

Backend = Literal["llvm", "numpy"]

DEFAULT_BACKEND: Backend = "numpy" if config.DISABLE_JIT else "llvm"

NUMPY_ROWS = 1 << 15
"""Rows the numpy backend advances together: its temporary planes then stay in the CPU's caches."""


def require_backend(backend: Backend) -> None:
    """Raise ValueError for an unknown backend, RuntimeError for one that cannot run here."""
    if backend not in ("llvm", "numpy"):
        raise ValueError(f"unknown MAC backend {backend!r}")
    if backend == "llvm" and config.DISABLE_JIT:
        raise RuntimeError("the llvm backend needs numba's JIT, and NUMBA_DISABLE_JIT is set")


def for_spans(rows: int, group: int, threads: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(start, stop)`` for `threads` spans that cover ``range(rows)``.

    Spans start on multiples of `group`, so only the last group of all can be ragged. With
    one thread or one span, `work` runs in the calling thread. Raises ValueError when
    `threads` is not positive, and whatever `work` raises.
    """
    if threads < 1:
        raise ValueError(f"threads must be positive, not {threads}")
    length = -(-rows // (group * threads)) * group
    spans = [(start, min(start + length, rows)) for start in range(0, rows, length)] if rows else []
    if len(spans) < 2:
        for start, stop in spans:
            work(start, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        for task in [pool.submit(work, start, stop) for start, stop in spans]:
            task.result()
