"""The region tree (行政区划): city, county, town and village by validity, and where participants and terminals stand.

``registers/regions.csv`` is optional. Regions decide nothing: reports roll money up by them (rules §18).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearing.config import Settings
from clearing.errors import ConfigError
from clearing.register_rows import RegisterRow, register_rows

REGIONS_FILE: Final = Path("registers", "regions.csv")
COLUMNS: Final = ("region", "parent", "level", "zh", "en", "valid_from", "valid_to")
LEVELS: Final = ("city", "county", "town", "village")
"""From the widest to the narrowest; a parent stands at a wider level."""


@dataclass(frozen=True, slots=True)
class Region:
    """One region in force between two dates, both included; ``parent`` is None at the top."""

    region: int
    parent: int | None
    level: str
    zh: str
    en: str
    valid_from: datetime.date
    valid_to: datetime.date


def load_regions(directory: Path, settings: Settings) -> list[Region]:
    """The regions of a centre by number and date, none without the register.

    Raises:
        ConfigError: naming line or region: a level, date or number that is wrong, validities of one region that
            overlap, a parent that is missing, not wider, or not in force as long, a participant's region not listed.
    """
    path = directory / REGIONS_FILE
    if not path.exists():
        return []
    listed = [_region(row) for row in register_rows(path, COLUMNS)]
    listed.sort(key=lambda each: (each.region, each.valid_from))
    _refuse_wrong_tree(listed, path)
    known = {each.region for each in listed}
    for participant in settings.participants:
        if participant.region is not None and participant.region not in known:
            raise ConfigError(
                f"participant {participant.id} is in region {participant.region}, which is not listed",
                where=path,
                remedy="add the region, or correct the participant in centre.yaml",
            )
    return listed


def _region(row: RegisterRow) -> Region:
    level = row.cells["level"]
    if level not in LEVELS:
        raise row.wrong("level", f"{level!r} is none of {', '.join(LEVELS)}")
    return Region(
        row.integer("region"),
        row.integer("parent") if row.cells["parent"] else None,
        level,
        row.cells["zh"],
        row.cells["en"],
        row.date("valid_from"),
        row.date("valid_to"),
    )


def _refuse_wrong_tree(listed: list[Region], path: Path) -> None:
    versions: dict[int, list[Region]] = {}
    for each in listed:
        before = versions.setdefault(each.region, [])
        if each.valid_to < each.valid_from or (before and each.valid_from <= before[-1].valid_to):
            raise ConfigError(
                f"region {each.region} has validities that overlap or end before they begin",
                where=path,
                remedy="end the first before the second",
            )
        before.append(each)
    for each in listed:
        if each.parent is None:
            continue
        parents = [
            parent
            for parent in versions.get(each.parent, ())
            if parent.valid_from <= each.valid_to and each.valid_from <= parent.valid_to
        ]
        wider = all(LEVELS.index(parent.level) < LEVELS.index(each.level) for parent in parents)
        if not wider or not _cover(parents, each):
            raise ConfigError(
                f"region {each.region}: parent {each.parent} is no wider region in force from {each.valid_from} to "
                f"{each.valid_to}",
                where=path,
                remedy="list the parent for the same dates, at a wider level",
            )


def _cover(parents: list[Region], child: Region) -> bool:
    """Whether the parent's versions, by date, leave no day of the child out."""
    day = child.valid_from
    for parent in parents:
        if parent.valid_from > day:
            return False
        if parent.valid_to >= child.valid_to:
            return True
        day = parent.valid_to + datetime.timedelta(days=1)
    return False
