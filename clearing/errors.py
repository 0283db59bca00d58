"""Operating faults: what happened, where, and what to do next. Business rejections are status columns instead."""

from __future__ import annotations

from pathlib import Path


class ClearingError(Exception):
    """An operating fault of the centre. ``remedy`` tells the operator the next step."""

    def __init__(self, what: str, *, where: str | Path = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        super().__init__(" — ".join(part for part in (self.where, what, remedy) if part))


class ConfigError(ClearingError):
    """``centre.yaml`` or a register cannot be used as it is (exit code 2)."""


class CentreBusyError(ClearingError):
    """Another command holds the centre's lock."""


class EvidenceError(ClearingError):
    """Journal, segment, archive or vault are not what was sealed."""


class RefusedError(ClearingError):
    """The command is understood and refused by a rule of the centre (exit code 1)."""
