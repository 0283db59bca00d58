"""Files that survive power loss: write beside, fsync, rename, fsync the folder; and the centre's one lock."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from clearing.errors import CentreBusyError

LOCK_NAME = "lock"

_WRITERS: Final = 8
"""Writes that wait for the disk at once: a file system puts waiting fsyncs into one of its own transactions."""


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def durable_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` whole and durable, or not at all."""
    with _whole_file(path) as file:
        yield file
    fsync_folder(path.parent)


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` whole, or not at all; its name is durable once the folder is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_durably(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` is either absent (or its old self) or complete and on disk."""
    with durable_file(path) as file:
        file.write(content)


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

    def close(self) -> None:
        """End the writing threads; what was not settled may or may not be there."""
        self._pool.shutdown(cancel_futures=True)


def _write_whole(path: Path, content: bytes | memoryview) -> None:
    with _whole_file(path) as file:
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
