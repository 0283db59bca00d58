"""Keep freed memory in the process: a batch frees and asks for the same large arrays thousands of times.

glibc maps every block above 128 KiB by itself, returns it to the kernel when it is freed and faults it in again page
by page; for column batches that costs more than the arithmetic. So do the arenas it gives to threads, as soon as they
are empty, and Arrow's own allocator. Entry points call :func:`keep_freed_memory` once; elsewhere it does nothing.
"""

from __future__ import annotations

import ctypes
from typing import Final

import pyarrow as pa

_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_MAX: Final = -4
_M_ARENA_MAX: Final = -8


def keep_freed_memory() -> None:
    """Serve all arrays, Arrow's too, from one heap that is not trimmed by itself (glibc only; harmless elsewhere)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)
    mallopt(_M_TOP_PAD, 1 << 26)
    mallopt(_M_ARENA_MAX, 1)
    pa.set_memory_pool(pa.system_memory_pool())
