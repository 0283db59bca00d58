"""Every number, time of day and date that stands in the steps of a file: where a price may change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from tariffs.parameters import Strict

_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9]))?")
_PAIRED_MAX = 60
"""A step with more numbers is a table: their sums and differences would be noise."""


@dataclass(frozen=True)
class Thresholds:
    """Candidates for edges; which of them are one, the prices around them say."""

    numbers: tuple[int, ...]
    """Numbers of the steps, and sums and differences of two of one step (a first block and a further one)."""
    seconds: tuple[int, ...]
    """Times of day, in seconds after midnight."""
    days: tuple[date, ...]


def thresholds_of(steps: Sequence[tuple[str, Strict]]) -> Thresholds:
    """Candidates in the parameters of steps, whatever the steps are called."""
    numbers: set[int] = set()
    seconds: set[int] = set()
    days: set[date] = set()
    for _, step in steps:
        own: set[int] = set()
        for leaf in _leaves(step.model_dump()):
            if isinstance(leaf, date):
                days.add(leaf)
            elif isinstance(leaf, bool):
                continue
            elif isinstance(leaf, int):
                own.add(leaf)
            elif isinstance(leaf, str) and (match := _CLOCK.fullmatch(leaf)):
                hours, minutes, rest = (int(part or 0) for part in match.groups())
                seconds.add(hours * 3600 + minutes * 60 + rest)
        if len(own) <= _PAIRED_MAX:
            own |= {abs(one + sign * other) for one in own for other in own for sign in (1, -1)}
        numbers |= own
    return Thresholds(tuple(sorted(numbers)), tuple(sorted(seconds)), tuple(sorted(days)))


def _leaves(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from _leaves(value)
    elif isinstance(node, list | tuple | set | frozenset):
        for value in node:
            yield from _leaves(value)
    else:
        yield node
