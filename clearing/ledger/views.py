"""SQL over some of the segments: what a text reads of the views, for those who look at a day or a window alone.

The views of the projection read every segment. A day's checks and a window's figures are those of few, and a query
that opens a file per day of history would cost more every day.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable
from typing import Final

from clearing.ledger.projection import segment_view, segments_by_service
from clearing.store import Store, sql_text

_VIEWS: Final = dict(re.findall(r"CREATE OR REPLACE VIEW (\w+) AS\n(.*?);\n", sql_text("views"), re.DOTALL))
"""Query of each view over the views of segments, in an order in which each reads only those before it."""

_LEADING: Final = re.compile(r"(?:--[^\n]*\n)*(?P<with>WITH\s)?")


@functools.cache
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", re.sub(r"--[^\n]*", "", text)))


def views_read(texts: Iterable[str], segments: Iterable[str]) -> dict[str, str]:
    """Views that some SQL texts name, and those that these read, each with its query over the given segments.

    Args:
        texts: SQL; whatever looks like the name of a view counts.
        segments: names of the segments to be seen.
    """
    words = set().union(*map(_words, texts))
    for view, sql in reversed(_VIEWS.items()):
        if view in words:
            words |= _words(sql)
    over = {view: segment_view(view, names) for view, names in segments_by_service(segments).items()}
    return {view: sql for view, sql in (over | _VIEWS).items() if view in words}


def over_segments(text: str, segments: Iterable[str]) -> str:
    """A query that sees some segments alone: its views stand before it and hide those of the database."""
    views = ", ".join(f"{view} AS NOT MATERIALIZED ({sql})" for view, sql in views_read([text], segments).items())
    start = _LEADING.match(text)
    assert start is not None, "it matches nothing, too"
    return f"WITH {views}{',' if start['with'] else ''} {text[start.end() :]}" if views else text


def segments_of_window(store: Store, window: datetime.date) -> list[str]:
    """Names of the segments with rows of a window: those of the batches that gave it a content root."""
    found = store.run(
        """SELECT name FROM segments WHERE entry IN (SELECT entry FROM content_roots WHERE "window" = $window)
           ORDER BY name""",
        {"window": window},
    )
    return [name for (name,) in found]


def of_window(store: Store, name: str, window: datetime.date) -> str:
    """The SQL file ``ledger/sql/<name>.sql``, which asks for rows of one window, over the segments that have some."""
    return over_segments(sql_text(name), segments_of_window(store, window))
