"""``tariff steps``: the vocabulary as the models declare it, so that the list is never older than the program."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tariffs.analyst.messages import Messages
from tariffs.parameters import Strict
from tariffs.schema import TariffFile
from tariffs.vocabulary import STEPS_OF_KIND

FILE = "file"
"""Key under which the header of a file is told, as steps are."""

_COMMON = frozenset({"label", "when"})
"""Parameters every transit step has; shown once, under ``when``."""
_WHEN = "'#/$defs/When'"


@dataclass(frozen=True)
class Parameter:
    """One thing a step says."""

    path: str
    """Key, with ``[]`` for each of a list and ``.<key>`` for each of a mapping."""
    says: str
    """What may stand there."""
    needed: bool
    meaning: str = ""
    ways: tuple[int, ...] = ()
    """Where the mapping around it may be written in several ways: those that have it (from 1), none = all."""


def steps_of(kind: str) -> dict[str, str]:
    """Key of each step of a kind of tariff, in the order a file writes them, with what it does."""
    return {key: meaning_of(model).split("\n")[0] for key, model in STEPS_OF_KIND[kind].items()}


def meaning_of(model: type[Strict]) -> str:
    """What a step does, in the words of its model."""
    return inspect.cleandoc(model.__doc__ or "").replace("``", "`")


def step_model(key: str) -> type[Strict] | None:
    """Parameters of the step with this key, whatever its kind, or of the header; None when there is none."""
    if key == FILE:
        return TariffFile
    found = (registry[key] for registry in STEPS_OF_KIND.values() if key in registry)
    return next(found, None)


def parameters_of(key: str, messages: Messages, *, common: bool = False) -> list[Parameter]:
    """Every parameter of a step; those all transit steps share (``common``) only when asked for."""
    model = step_model(key)
    assert model is not None
    schema = model.model_json_schema()
    listed = _Listing(schema.get("$defs", {}), messages).parameters(schema, "")
    own = [each for each in listed if (each.path.split(".")[0] in _COMMON) == common]
    return [replace(each, meaning=key_meaning(messages, key, each.path)) for each in own]


def key_meaning(messages: Messages, step: str, path: str) -> str:
    """What a key says, by the longest entry of the catalogue that ends its place; KeyError when there is none."""
    parts = path.split(".")
    places = [".".join([step, *parts]), *(".".join(parts[at:]) for at in range(len(parts)))]
    if step in STEPS_OF_KIND["medical"]:
        places.insert(-1, f"medical.{parts[-1]}")
    told = (messages.key_meaning(place) for place in places)
    found = next((each for each in told if each is not None), None)
    if found is None:
        raise KeyError(f"{step}.{path}")
    return found


@dataclass(frozen=True)
class _Listing:
    """Parameters found in a JSON schema."""

    definitions: Mapping[str, Any]
    messages: Messages

    def parameters(self, schema: Mapping[str, Any], path: str) -> Iterator[Parameter]:
        needed = set(schema.get("required", ()))
        for name, value in schema.get("properties", {}).items():
            place = f"{path}.{name}" if path else name
            if place != "when" and _WHEN in str(value):
                yield Parameter(place, self.messages("says_when"), name in needed)
                continue
            inside: dict[str, list[Mapping[str, Any]]] = {}
            for deeper, inner in self._inside(value, place):
                inside.setdefault(deeper, []).append(inner)
            ways = max((len(each) for each in inside.values()), default=1)
            says = self._says(value) + (self.messages("says_ways", ways=ways) if ways > 1 else "")
            yield Parameter(place, says, name in needed)
            for deeper, alternatives in inside.items():
                yield from _merged([list(self.parameters(each, deeper)) for each in alternatives])

    def _inside(self, value: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The mappings of named parameters inside a value, and where they stand."""
        if "$ref" in value:
            yield from self._inside(self.definitions[value["$ref"].removeprefix("#/$defs/")], place)
        elif "anyOf" in value:
            for alternative in value["anyOf"]:
                yield from self._inside(alternative, place)
        elif value.get("type") == "array":
            yield from self._inside(value["items"], f"{place}[]")
        elif "properties" in value:
            yield place, value
        elif isinstance(value.get("additionalProperties"), dict):
            yield from self._inside(value["additionalProperties"], f"{place}.<key>")

    def _says(self, value: Mapping[str, Any]) -> str:
        say = self.messages
        if "$ref" in value:
            return self._says(self.definitions[value["$ref"].removeprefix("#/$defs/")])
        if "anyOf" in value:
            options = [self._says(option) for option in value["anyOf"] if option.get("type") != "null"]
            return say("says_or").join(dict.fromkeys(options))
        if "const" in value:
            return str(value["const"])
        if "enum" in value:
            return " | ".join(str(option) for option in value["enum"])
        if value.get("type") == "integer":
            low, high = value.get("minimum"), value.get("maximum")
            if low is None:
                return say("says_integer")
            return say("says_from", low=low) if high is None else say("says_range", low=low, high=high)
        if value.get("type") == "array":
            return say("says_list", what=self._says(value["items"]))
        if value.get("type") == "object" and "properties" not in value:
            keys = value.get("propertyNames", {}).get("enum")
            return say("says_mapping") if keys is None else say("says_mapping_by", keys=" | ".join(keys))
        if value.get("format") == "date":
            return say("says_date")
        plain = {"string": "says_text", "boolean": "says_flag", "object": "says_parameters"}
        return say(plain.get(str(value.get("type")), "says_anything"))


def _merged(alternatives: Sequence[Sequence[Parameter]]) -> Iterator[Parameter]:
    """The parameters of several ways to write one mapping, each once with the ways that have it."""
    if len(alternatives) == 1:
        yield from alternatives[0]
        return
    having: dict[str, list[tuple[int, Parameter]]] = {}
    for way, parameters in enumerate(alternatives, start=1):
        for each in parameters:
            having.setdefault(each.path, []).append((way, each))
    for found in having.values():
        everywhere = len(found) == len(alternatives)
        needed = all(each.needed for _, each in found)
        yield replace(found[0][1], needed=needed, ways=() if everywhere else tuple(way for way, _ in found))
