"""What can go wrong with a tariff, said so that the analyst who wrote the file can mend it."""

from __future__ import annotations

from datetime import date
from pathlib import Path


class TariffError(Exception):
    """Parent of every refusal of this package."""


class TariffFileError(TariffError):
    """A tariff file is refused: which file, where in it, what stands there, what to write instead."""

    def __init__(self, file: Path, path: str, value: object, remedy: str) -> None:
        self.file = file
        self.path = path
        self.value = value
        self.remedy = remedy
        super().__init__(f"{file}: {path or 'file'}: {value!r}: {remedy}")


class ParameterError(TariffError):
    """A parameter is refused; the loader adds the file and the place of the step around it."""

    def __init__(self, path: str, value: object, remedy: str) -> None:
        self.path = path
        self.value = value
        self.remedy = remedy
        super().__init__(f"{path}: {value!r}: {remedy}")


class TariffDateError(TariffError):
    """A date outside the published range of a tariff: nothing is extrapolated."""

    def __init__(self, tariff_id: str, day: date, first: date, last: date) -> None:
        self.tariff_id = tariff_id
        self.day = day
        super().__init__(f"{tariff_id}: no price published for {day}; the file covers {first} to {last}")


class TariffStateError(TariffError):
    """A tariff that remembers what a card did before was asked to price rows one by one."""

    def __init__(self, tariff_id: str) -> None:
        super().__init__(f"{tariff_id} remembers what a card did before: price it with price_journeys and a state")


class TariffKindError(TariffError):
    """A tariff of one kind was asked to price rows of another."""

    def __init__(self, tariff_id: str, kind: str, asked: str) -> None:
        super().__init__(f"{tariff_id} is a {kind} tariff and cannot price {asked} rows")
