"""The centre's one lock; the files that survive power loss are those of :mod:`card_io.durable`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from card_io.durable import durable_file, fsync_folder, write_durably
from clearing.errors import CentreBusyError

__all__ = ["LOCK_NAME", "centre_lock", "durable_file", "fsync_folder", "write_durably"]

LOCK_NAME = "lock"


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
