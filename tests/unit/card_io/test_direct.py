"""Direct I/O leaves the same bytes as any other way of writing, on disks and in memory."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io import direct
from card_io.direct import BLOCK, DirectFile, aligned, read_all, read_file, rounded_up, set_direct, write_all
from card_io.durable import durable_file

SIZES = st.sampled_from((0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7, 5 * BLOCK))


@pytest.fixture(params=["/var/tmp", "/dev/shm"], ids=["disk", "memory"])
def path(request: pytest.FixtureRequest) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=request.param) as folder:
        yield Path(folder) / "file"


@settings(deadline=None, max_examples=60)
@given(st.lists(SIZES, max_size=6), st.booleans(), st.sampled_from((BLOCK, 2 * BLOCK, 1 << 20)))
def test_what_is_written_is_there(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], flushed: bool, gathered: int
) -> None:
    """In pieces of any sizes, flushed between or not, through buffers smaller and larger than the pieces."""
    pieces = [bytes(np.random.default_rng(size).integers(0, 256, size, np.uint8)) for size in sizes]
    path = tmp_path_factory.mktemp("direct") / "file"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "_GATHERED", gathered)
        with DirectFile(path) as file:
            for piece in pieces:
                assert file.write(memoryview(piece)) == len(piece)
                if flushed:
                    file.flush()
    assert path.read_bytes() == b"".join(pieces)
    assert read_file(path).tobytes() == b"".join(pieces)


def test_disk_and_memory_hold_the_same(path: Path) -> None:
    content = bytes(range(256)) * 50
    with DirectFile(path) as file:
        file.write(content)
    assert file.closed
    assert path.read_bytes() == read_file(path).tobytes() == content


@pytest.mark.parametrize("call", ["pwrite", "preadv"])
def test_a_file_system_that_wants_larger_blocks_gets_ordinary_ones(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is, refused = getattr(os, call), []

    def refusing(descriptor: int, *rest: Any) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            refused.append(call)
            raise OSError(errno.EINVAL, "Invalid argument")
        return int(as_it_is(descriptor, *rest))

    monkeypatch.setattr(os, call, refusing)
    content = bytes(range(256)) * 50
    with DirectFile(tmp_path / "file") as file:
        file.write(content)
    assert read_file(tmp_path / "file").tobytes() == content
    with (tmp_path / "file").open("rb") as file:
        set_direct(file.fileno(), True)
        takes_the_flag = bool(fcntl.fcntl(file.fileno(), fcntl.F_GETFL) & os.O_DIRECT)
    assert refused == [call] * takes_the_flag


def test_an_error_that_blocks_do_not_explain_is_raised(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    with (tmp_path / "file").open("rb") as file, pytest.raises(OSError, match="Bad file descriptor"):
        write_all(file.fileno(), aligned(BLOCK), 0)


def test_arrays_begin_at_blocks() -> None:
    for size in (1, BLOCK, 10 * BLOCK):
        assert len(aligned(size)) == size
        assert aligned(size).ctypes.data % BLOCK == 0
    assert [rounded_up(size) for size in (0, 1, BLOCK, BLOCK + 1)] == [0, BLOCK, BLOCK, 2 * BLOCK]


def test_a_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        write_all(file.fileno(), np.arange(10, dtype=np.uint8), 0)
        into = aligned(12)
        with pytest.raises(EOFError, match="2 bytes early"):
            read_all(file.fileno(), into, 0)


@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_fails_never_appears(tmp_path: Path, large: bool) -> None:
    path = tmp_path / "file"
    with pytest.raises(ZeroDivisionError), durable_file(path, large=large) as file:
        file.write(bytes(100 // int(path.exists())))
    assert list(tmp_path.iterdir()) == []
    with durable_file(path, large=large) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
