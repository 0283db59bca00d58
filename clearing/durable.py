"""Files that survive power loss: write beside, fsync, rename, fsync the folder; and the centre's one lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from clearing.errors import CentreBusyError

LOCK_NAME = "lock"


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
    fsync_folder(path.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` is either absent (or its old self) or complete and on disk."""
    with durable_file(path) as file:
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
