"""Threads that feed one file's rows back: one of them answers it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from clearing.batch import Batch


class Overtaken:
    """A lock behind whose back, the first time it is let go, another thread does something."""

    def __init__(self) -> None:
        self.other: Any = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        other, self.other = self.other, None
        if other is not None:
            other()


class Counting:
    """Feedback of a file of two rows."""

    def __init__(self) -> None:
        self.taken = 0

    @property
    def complete(self) -> bool:
        return self.taken == 2

    def take(self, rows: list[int], part: slice) -> None:
        self.taken += len(rows[part])


def test_a_file_whose_last_rows_overtake_is_answered_once() -> None:
    answered: list[int] = []
    batch: Any = SimpleNamespace(
        _together=Overtaken(),
        feedback={7: Counting()},
        done=0,
        progress=lambda *_: None,
        summary=SimpleNamespace(rows=2),
        _answer_ready=lambda file_no, _: answered.append(file_no),
    )
    batch._together.other = lambda: Batch._feed_back(batch, ((7, 1),), [2])  # type: ignore[arg-type]

    Batch._feed_back(batch, ((7, 1),), [1])  # type: ignore[arg-type]

    assert answered == [7]
    assert batch.feedback == {}
