"""Kernels are compiled by a day of their own, and only once."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearing import warm_up


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
