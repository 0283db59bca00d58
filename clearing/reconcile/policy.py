"""What a centre says of its own checks: limits, deadlines, and what is switched off and why."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Reconciliation(BaseModel):
    """The ``reconciliation`` part of ``centre.yaml``.

    Attributes:
        uses: uses of one card at one terminal, or bad rows of one terminal and day, that are doubtful.
        seconds: time within which those uses lie.
        deadline_days: days after which what is expected is missing, and what is held is overdue.
        disabled: check → reason. It stays visible everywhere and never counts as passed; checks that block cannot be
            switched off, a person overrides them with a reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    uses: Annotated[int, Field(ge=2)] = 5
    seconds: Annotated[int, Field(ge=1)] = 600
    deadline_days: Annotated[int, Field(ge=0)] = 3
    disabled: dict[str, Annotated[str, Field(min_length=1)]] = {}
