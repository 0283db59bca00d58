"""Durable files written behind the work, and the centre's one lock."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from card_io.durable import durable_file, fsync_folder, whole_file, write_durably
from clearing.errors import CentreBusyError

__all__ = ["LOCK_NAME", "FewBehind", "WriteBehind", "centre_lock", "durable_file", "fsync_folder", "write_durably"]

LOCK_NAME = "lock"

_WRITERS: Final = 8
"""Writes that wait for the disk at once: a file system puts waiting fsyncs into one of its own transactions."""

_LARGE: Final = 1 << 18
"""Bytes from which a file is worth direct I/O."""

_UNDER_WAY: Final = 4
"""Writes under way of :class:`FewBehind`."""


class FewBehind:
    """Writes that nothing waits for yet, few at a time: on a slow disk, memory would fill with what is to be written.

    They need not be durable: what is written so is spilled, or a cache.
    """

    def __init__(self, pool: concurrent.futures.Executor) -> None:
        """On somebody's threads."""
        self._pool = pool
        self._begun: list[concurrent.futures.Future[object]] = []
        self._together = threading.Lock()

    def begin(self, write: Callable[..., object], *arguments: object) -> None:
        """Begin a write, once few are under way; from any thread.

        Raises:
            OSError: of an earlier write that failed.
        """
        with self._together:
            self._begun.append(self._pool.submit(write, *arguments))
            oldest = self._begun[0] if len(self._begun) > _UNDER_WAY else None
        if oldest is not None:
            oldest.result()
            with self._together, contextlib.suppress(ValueError):  # another thread may have waited for it, too
                self._begun.remove(oldest)

    def wait(self) -> None:
        """Wait until everything begun is written; from any thread, and as often as one likes.

        Raises:
            OSError: of the first write that failed.
        """
        with self._together:
            begun = tuple(self._begun)
        for each in begun:
            each.result()


class WriteBehind:
    """Files written durably beside the work: the disk is waited for where something depends on it, not before.

    A file is whole or absent at any moment; it is sure to be there after :meth:`settle`.
    """

    def __init__(self) -> None:
        """Nothing to wait for."""
        self._pool = concurrent.futures.ThreadPoolExecutor(_WRITERS)
        self._pending: dict[Path, concurrent.futures.Future[None]] = {}

    def write(self, path: Path, content: bytes | memoryview) -> None:
        """Begin to write ``content`` under ``path``; from any thread."""
        self._pending[path] = self._pool.submit(_write_whole, path, content)

    def settle(self, *paths: Path) -> None:
        """Wait until the given files (none named: all begun so far) are on disk under their names.

        Raises:
            OSError: of the first write that failed.
        """
        awaited = list(paths) or list(self._pending)
        for path in awaited:
            self._pending.pop(path).result()
        for folder in {path.parent for path in awaited}:
            fsync_folder(folder)

    def few(self) -> FewBehind:
        """Other writes on the same threads; nobody settles them but who begins them."""
        return FewBehind(self._pool)

    def close(self) -> None:
        """End the writing threads; what was not settled may or may not be there."""
        self._pool.shutdown(cancel_futures=True)


def _write_whole(path: Path, content: bytes | memoryview) -> None:
    with whole_file(path, large=len(content) >= _LARGE) as file:
        file.write(content)


@contextlib.contextmanager
def centre_lock(directory: Path, *, wait_seconds: float, purpose: str) -> Iterator[None]:
    """The one writer of a centre, from claim to commit; a dead holder's lock is free at once (``flock``).

    Raises:
        CentreBusyError: naming the holder, when the lock is not free within ``wait_seconds``.
    """
    path = directory / "work" / LOCK_NAME
    path.parent.mkdir(exist_ok=True)
    with path.open("a+") as file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    holder = file.read().strip() or "unknown"
                    raise CentreBusyError(
                        f"the centre is in use by {holder}",
                        where=directory,
                        remedy="wait, or give --wait SECONDS",
                    ) from exc
                time.sleep(0.05)
        file.truncate(0)
        file.write(f"{purpose} (pid {os.getpid()})")
        file.flush()
        yield
