"""The fare-class sidecar: its rows, and every line it may not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from card_io.delivery import ClassesError, FareClass, read_classes

DIGEST = "ab" * 32
HEADER = "file_sha256,row,class\n"


def _sidecar(folder: Path, text: str | bytes) -> Path:
    path = folder / "day.csv.classes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_listed_rows_come_in_row_order(tmp_path: Path) -> None:
    words = ["unflagged_transfer", "free", "half", "none"]
    lines = "".join(f"{DIGEST},{row},{word}\n" for row, word in zip((9, 7, 3, 1), words, strict=True))
    classes = read_classes(_sidecar(tmp_path, HEADER + lines), data_sha256=DIGEST, rows=9)
    assert classes.source_row.tolist() == [1, 3, 7, 9]
    assert classes.fare_class.dtype == np.uint8
    assert classes.fare_class.tolist() == [
        FareClass.NONE,
        FareClass.HALF,
        FareClass.FREE,
        FareClass.UNFLAGGED_TRANSFER,
    ]


def test_a_sidecar_may_list_nothing(tmp_path: Path) -> None:
    assert len(read_classes(_sidecar(tmp_path, HEADER), data_sha256=DIGEST, rows=0).source_row) == 0


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "line 1"),
        ("row,class\n", "line 1"),
        (HEADER + f"{DIGEST},1,student\n", "line 2, class"),
        (HEADER + f"{DIGEST},1,HALF\n", "line 2, class"),
        (HEADER + f"{DIGEST},1,half\n{DIGEST},2,\n", "line 3, class"),
        (HEADER + f"{DIGEST},0,half\n", "line 2, row"),
        (HEADER + f"{DIGEST},10,half\n", "line 2, row"),
        (HEADER + f"{DIGEST},１,half\n", "line 2, row"),
        (HEADER + f"{DIGEST},{'9' * 5000},half\n", "line 2, row"),
        (HEADER + f"{DIGEST},1,half\n{DIGEST},1,free\n", "line 3, row"),
        (HEADER + f"{'cd' * 32},1,half\n", "line 2, file_sha256"),
        (HEADER + f"{DIGEST},1\n", "line 2"),
        (HEADER.encode() + b"\xff\n", "the file"),
        (HEADER + '"', "the file"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str | bytes, field: str) -> None:
    with pytest.raises(ClassesError) as caught:
        read_classes(_sidecar(tmp_path, text), data_sha256=DIGEST, rows=9)
    assert (caught.value.file, caught.value.field) == ("day.csv.classes.csv", field)
    assert caught.value.remedy
