"""Kernels are compiled by a day of their own, and only once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clearing import kernel_cache, warm_up
from clearing.kernel_cache import whole_day_mark


def test_a_small_day_is_lived_once_for_a_state_of_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived: list[str] = []
    monkeypatch.setattr(warm_up, "_live_a_small_day", lambda: lived.append("a day"))
    monkeypatch.setattr(warm_up, "whole_day_mark", lambda: tmp_path / "cache" / "whole-day")
    for _ in range(2):
        warm_up.warm_up()
        assert lived == ["a day"]


def test_a_day_that_breaks_off_leaves_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(warm_up, "_live_a_small_day", break_off)
    monkeypatch.setattr(warm_up, "whole_day_mark", lambda: tmp_path / "whole-day")
    with pytest.raises(KeyboardInterrupt):
        warm_up.warm_up()
    assert not (tmp_path / "whole-day").exists()


def test_the_mark_is_of_the_very_files_that_numba_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sources elsewhere, or written again, are compiled again."""
    marks = set()
    for checkout, time in (("one", 1), ("other", 1), ("other", 2)):
        source = tmp_path / checkout / "clearing" / "kernel_cache.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("the same")
        os.utime(source, (time, time))
        monkeypatch.setattr(kernel_cache, "__file__", str(source))
        assert whole_day_mark() == whole_day_mark()
        marks.add(whole_day_mark())
    assert len(marks) == 3
