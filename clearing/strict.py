"""What all settings have in common: unknown keys are refused, values do not change, agreements have dates."""

from __future__ import annotations

import datetime

from pydantic import BaseModel, ConfigDict, model_validator


class Strict(BaseModel):
    """A part of ``centre.yaml``: every key is known, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Dated(Strict):
    """An agreement with its days, written ``from`` and ``to``, both inclusive."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    valid_from: datetime.date
    valid_to: datetime.date = datetime.date(9999, 12, 31)

    @model_validator(mode="before")
    @classmethod
    def _short_dates(cls, data: object) -> object:
        if isinstance(data, dict):
            return {{"from": "valid_from", "to": "valid_to"}.get(key, key): value for key, value in data.items()}
        return data

    def covers(self, date: datetime.date) -> bool:
        """Whether the agreement is in force on a date."""
        return self.valid_from <= date <= self.valid_to
