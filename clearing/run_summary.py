"""What one run did, for people and machines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[str, int, int], None]
"""(stage, done, total): what a progress bar shows."""


@dataclass
class RunSummary:
    """What one run did; JSON-able."""

    received: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, str]] = field(default_factory=list)
    rows: int = 0
    results: list[list[int | None]] = field(default_factory=list)
    batch: int | None = None
    content_roots: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall seconds of a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
