"""What a command left complete: while nothing of it has moved, the next one has nothing to recover.

Recovery looks for an answer to every file ever received and for the projection of every entry. A command that ended
well has left all of that behind; it notes how files and folders lay there then, and the next one compares. The mark
is taken away while a command works, so a crash leaves none, and whatever else touches the centre (a receipt deleted,
a database put back) changes a time that no program can set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from clearing import __version__
from clearing.centre import Centre
from clearing.ledger.projection import PRIVATE_NAME
from clearing.store import sql_text

MARK: Final = Path("work", "completed.json")

_FOLDERS: Final = ("segments", "outbox")
"""Folders whose folders hold what recovery looks for."""

_PLACES: Final = (
    "vault",
    "payments",
    PRIVATE_NAME,
    f"work/{PRIVATE_NAME}",
    f"work/{PRIVATE_NAME}.wal",
    "centre.yaml",
)


def nothing_moved(centre: Centre) -> bool:
    """Whether all lies as the last command left it; takes the mark away."""
    path = centre.directory / MARK
    try:
        left = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    path.unlink()
    return bool(left == _lying(centre))


def mark_completed(centre: Centre) -> None:
    """Note that nothing is left to do; the database is closed."""
    (centre.directory / MARK).write_text(json.dumps(_lying(centre)))


def _lying(centre: Centre) -> dict[str, Any]:
    """How everything lies that recovery looks at, or by which it made what lies there."""
    made_by = hashlib.sha256((__version__ + sql_text("schema") + sql_text("views")).encode()).hexdigest()
    newest = centre.journal.entries[-1].digest if centre.journal.entries else ""
    places = {str(path.relative_to(centre.directory)): _seen(path) for path in _places(centre.directory)}
    return {"engine": made_by, "entry": newest, "places": places}


def _places(directory: Path) -> Iterator[Path]:
    for name in _PLACES:
        yield directory / name
    yield from sorted((directory / "registers").iterdir())
    for name in _FOLDERS:
        yield directory / name
        yield from sorted(path for path in (directory / name).iterdir() if path.is_dir())


def _seen(path: Path) -> list[int] | None:
    """Inode, size, times of change; None when nothing is there."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
