"""Files that survive power loss: write beside, fsync, rename, fsync the folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from card_io.direct import DirectFile


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def durable_file(path: Path, *, large: bool = False) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` whole and durable, or not at all; a large one by direct I/O."""
    with whole_file(path, large=large) as file:
        yield file
    fsync_folder(path.parent)


@contextlib.contextmanager
def whole_file(path: Path, *, large: bool = False) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` whole, or not at all; its name is durable once the folder is.

    A large one is written past the page cache.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    try:
        with cast(BinaryIO, DirectFile(beside)) if large else beside.open("wb") as file:
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
