"""Checks over few rows read them into memory once, over many each check reads for itself: both find the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearing.calendar import seconds_of
from clearing.config import load_settings
from clearing.ledger.projection import PRIVATE_NAME
from clearing.reconcile import scope as scopes
from clearing.reconcile.checks import CheckResult, run_checks
from clearing.reconcile.scope import WHOLE, newest_day
from clearing.settlement import close_window
from clearing.store import Store
from evidence.centres import DAY, PASSPHRASE, WINDOW_ENDS, clear, copy_of


@pytest.fixture(scope="module")
def two_days(heavy_day: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day that closed, and rows after it."""
    centre = copy_of(heavy_day, tmp_path_factory.mktemp("days") / "centre")
    close_window(centre, DAY, passphrase=PASSPHRASE, now=seconds_of(WINDOW_ENDS[0]))
    clear(centre, WINDOW_ENDS[1:])
    return centre


@pytest.mark.parametrize("day", [False, True], ids=["everything", "the newest day"])
def test_few_rows_in_memory(two_days: Path, day: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load_settings(two_days).reconciliation
    found: dict[int, list[CheckResult]] = {}
    with Store(two_days / PRIVATE_NAME, two_days, read_only=True) as store:
        scope = newest_day(store) if day else WHOLE
        assert (scope == WHOLE) is not day
        [(rows,)] = store.run("SELECT SUM(rows) FROM segments WHERE entry > $after", {"after": scope.after})
        for few in (rows - 1, rows):
            monkeypatch.setattr(scopes, "FEW_ROWS", few)
            found[few] = run_checks(store, policy, directory=two_days, scope=scope, kept=50)
    assert found[rows - 1] == found[rows]
    wrong = {each.check.name: each.rows for each in found[rows] if each.failed}
    assert "card_balance_continuity" in wrong, wrong
