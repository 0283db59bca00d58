"""Direct I/O: large files written and read past the page cache, which costs a copy and a new page for every 4 KiB.

What a run writes by the hundreds of megabytes (segments, archive, caches, what waits between the passes) it reads
once or not at all; the pages that it would fill are missing elsewhere. Where a file system knows no ``O_DIRECT``, the
same bytes go the ordinary way.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Bytes = npt.NDArray[np.uint8]

BLOCK: Final = 4096
"""Offsets, lengths and addresses of direct I/O are multiples of this: the largest logical block in use."""

_GATHERED: Final = 1 << 20
"""Bytes that are gathered for one write: as many as stay in a core's cache."""


def rounded_up(size: int) -> int:
    """The next multiple of :data:`BLOCK`."""
    return -(-size // BLOCK) * BLOCK


def aligned(size: int) -> Bytes:
    """uint8[size] that begins at a multiple of :data:`BLOCK`, contents undefined."""
    room = np.empty(size + BLOCK, np.uint8)
    start = -room.ctypes.data % BLOCK
    return room[start : start + size]


def set_direct(descriptor: int, direct: bool) -> None:
    """Let an open file be written and read past the page cache from now on, if its file system can; or no longer."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if direct else flags & ~os.O_DIRECT)
    except OSError:
        if not direct:
            raise


@contextlib.contextmanager
def _ordinary_if_refused(descriptor: int) -> Iterator[None]:
    """Go on the ordinary way where the file system took the flag, and now wants larger blocks than ours."""
    try:
        yield
    except OSError as exc:
        if exc.errno != errno.EINVAL or not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise
        set_direct(descriptor, False)


def write_all(descriptor: int, content: Bytes, offset: int) -> None:
    """Write at ``offset``; direct I/O asks for an aligned array and whole blocks."""
    rest = content.data
    while rest:
        with _ordinary_if_refused(descriptor):
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written


def read_all(descriptor: int, into: Bytes, offset: int) -> None:
    """Read as many bytes from ``offset`` as ``into`` holds; direct I/O asks for an aligned array and whole blocks.

    Raises:
        EOFError: the file ends before.
    """
    rest = into.data
    while rest:
        with _ordinary_if_refused(descriptor):
            read = os.preadv(descriptor, [rest], offset)
            if not read:
                raise EOFError(f"the file ends {len(rest)} bytes early")
            rest, offset = rest[read:], offset + read


def read_file(path: Path) -> Bytes:
    """uint8[n]: all bytes of a file, read past the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        content = aligned(rounded_up(size))
        set_direct(descriptor, True)
        read_all(descriptor, content[: size // BLOCK * BLOCK], 0)
        set_direct(descriptor, False)
        read_all(descriptor, content[size // BLOCK * BLOCK : size], size // BLOCK * BLOCK)
        return content[:size]
    finally:
        os.close(descriptor)


class DirectFile(io.RawIOBase):
    """A new file, written from its beginning to its end, past the page cache but for its last block."""

    def __init__(self, path: Path) -> None:
        """Create or empty the file."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        set_direct(self._descriptor, True)
        self._gathered, self._filled, self._end = aligned(_GATHERED), 0, 0

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The open file."""
        return self._descriptor

    def write(self, content: ReadableBuffer, /) -> int:
        """Take all of the content."""
        rest = np.frombuffer(memoryview(content), np.uint8)
        taken = len(rest)
        while len(rest):
            piece = rest[: _GATHERED - self._filled]
            self._gathered[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            rest = rest[len(piece) :]
            if self._filled == _GATHERED:
                self._write(_GATHERED)
        return taken

    def flush(self) -> None:
        """Hand on all that was written; what is not a whole block goes the ordinary way, and so does what follows."""
        if not self.closed:
            self._write(self._filled // BLOCK * BLOCK)
            set_direct(self._descriptor, False)
            self._write(self._filled)

    def close(self) -> None:
        """Flush and close."""
        if not self.closed:
            try:
                super().close()
            finally:
                os.close(self._descriptor)

    def _write(self, size: int) -> None:
        """Write the first bytes gathered; less than a block may stay behind them."""
        write_all(self._descriptor, self._gathered[:size], self._end)
        self._gathered[: self._filled - size] = self._gathered[size : self._filled].copy()
        self._end, self._filled = self._end + size, self._filled - size
