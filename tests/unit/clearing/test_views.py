"""Figures of a window from the segments that have rows of it are those from all segments."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearing.ledger.projection import segment_view, segments_by_service
from clearing.ledger.views import of_window, over_segments, segments_of_window, views_read
from clearing.store import Store, sql_text

ASKED = {
    "settlement/takings": {},
    "settlement/equal_takings": {"merchants": [211, 501]},
    "settlement/claims": {},
}


@pytest.mark.parametrize("name", ASKED)
def test_a_window_by_its_segments_is_the_window_by_all(city: Path, name: str) -> None:
    with Store(city / "ledger.duckdb", city, read_only=True) as store:
        windows = [window for (window,) in store.run('SELECT DISTINCT "window" FROM transactions ORDER BY 1')]
        listed = {name for (name,) in store.run("SELECT name FROM segments")}
        assert len(windows) > 1
        found = [store.run(of_window(store, name, w), {"window": w, **ASKED[name]}) for w in windows]
        assert found == [store.run(sql_text(name), {"window": w, **ASKED[name]}) for w in windows]
        assert any(found)
        for window in windows:
            mine = segments_of_window(store, window)
            others = over_segments('SELECT COUNT(*) FROM transactions WHERE "window" = $window', listed - set(mine))
            assert store.run(others, {"window": window}) == [(0,)]


def test_a_view_with_nothing_to_read_has_the_columns_of_one_with_segments(city: Path) -> None:
    """Views that look through it need not be made again when the first segment of a service comes."""
    with Store(city / "ledger.duckdb", city, read_only=True) as store:
        listed = segments_by_service(name for (name,) in store.run("SELECT name FROM segments"))
        assert all(listed.values()), "the day has rows of every service"
        for view, names in listed.items():
            columns = [store.run(f"DESCRIBE {segment_view(view, read)}") for read in (names, [])]
            assert [column[:2] for column in columns[0]] == [column[:2] for column in columns[1]], view


@pytest.mark.parametrize(
    ("text", "views"),
    [
        ("SELECT 1 -- from legs", []),
        ("SELECT * FROM picked_up", ["load", "picked_up"]),
        ("SELECT * FROM bill_of_posted", ["utility", "bills", "bill_of_posted"]),
        ("SELECT * FROM reserve_terms", ["load", "picked_up", "reserve_terms"]),
    ],
)
def test_only_what_a_text_reads_stands_before_it(text: str, views: list[str]) -> None:
    assert sorted(views_read([text], [])) == sorted(views)
    assert (over_segments(text, []) == text) is not bool(views)
