"""Every text of the analyst commands in Chinese and English: labels and sentences (``messages.yaml``), refusals
(``remedies.yaml``), what the keys of a tariff file say (``keys.yaml``)."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any, Literal

from tariffs.errors import ParameterError, TariffDateError, TariffError, TariffFileError, TariffKindError
from tariffs.strict_yaml import read_yaml

Language = Literal["zh", "en"]


@dataclass(frozen=True)
class Refusal:
    """A remedy as the package words it, with ``{}`` for what varies, and how it is told to people."""

    pattern: re.Pattern[str]
    texts: Mapping[str, str]


class Messages:
    """The texts of one language by key."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its ``{placeholders}`` filled; KeyError when the catalogue lacks it."""
        text: str = _catalogue()["texts"][key][self.language]
        return text.format(**values)

    def name(self, group: str, code: str) -> str:
        """The name of a code of an open list (columns, reasons); the code itself when it has none."""
        named: Mapping[str, str] | None = _catalogue()[group].get(code)
        return code if named is None else named[self.language]

    def key_meaning(self, place: str) -> str | None:
        """What a key of a tariff file says, by its place (``keys.yaml``); None when nothing is said of it."""
        told: Mapping[str, str] | None = _keys().get(place)
        return None if told is None else told[self.language]

    def error(self, error: TariffError) -> dict[str, str]:
        """A refusal as file, path, value and remedy; what a kind of error does not have is left out."""
        if isinstance(error, TariffFileError):
            return {
                "file": str(error.file),
                "path": error.path or self("whole_file"),
                "value": self._shown(error.value),
                "remedy": self.remedy(error.remedy),
            }
        if isinstance(error, ParameterError):
            return {"path": error.path, "value": self._shown(error.value), "remedy": self.remedy(error.remedy)}
        if isinstance(error, TariffDateError):
            return {"path": error.tariff_id, "value": str(error.day), "remedy": self.remedy(str(error))}
        if isinstance(error, TariffKindError):
            return {"remedy": self.remedy(str(error))}
        return {"remedy": str(error)}

    def remedy(self, text: str) -> str:
        """A remedy in this language; one the catalogue does not know stays as the package wrote it."""
        for refusal in _refusals():
            if match := refusal.pattern.fullmatch(text):
                told = refusal.texts.get(self.language)
                return text if told is None else told.format(*match.groups())
        return text

    def _shown(self, value: object) -> str:
        """A value as a file has it; what is not there is said in words."""
        if value is None:
            return self("nothing")
        text = repr(value) if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)
        return text if len(text) <= 200 else f"{text[:197]}..."


def _plain(value: object) -> object:
    """A value of a file without anything of this program's language."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, int | str) else str(value)


def knows_remedy(text: str) -> bool:
    """Whether a remedy is told in Chinese too."""
    return any(refusal.pattern.fullmatch(text) for refusal in _refusals())


@functools.cache
def _catalogue() -> Mapping[str, Any]:
    return _read("messages.yaml")


@functools.cache
def _keys() -> Mapping[str, Mapping[str, str]]:
    keys: Mapping[str, Mapping[str, str]] = _read("keys.yaml")["keys"]
    return keys


@functools.cache
def _refusals() -> tuple[Refusal, ...]:
    refusals = []
    for entry in _read("remedies.yaml")["remedies"]:
        pattern = re.compile("(.*?)".join(re.escape(part) for part in entry["says"].split("{}")), re.DOTALL)
        refusals.append(Refusal(pattern, {key: entry[key] for key in ("zh", "en") if key in entry}))
    return tuple(refusals)


def _read(name: str) -> Mapping[str, Any]:
    with as_file(files("tariffs.analyst").joinpath(name)) as file:
        return read_yaml(file, file.read_bytes())
