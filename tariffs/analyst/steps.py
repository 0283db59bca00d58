"""``tariff steps``: the vocabulary as the models declare it, so that the list is never older than the program."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tariffs.parameters import Strict
from tariffs.vocabulary import STEPS_OF_KIND

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


def steps_of(kind: str) -> dict[str, str]:
    """Key of each step of a kind of tariff, in the order a file writes them, with what it does."""
    return {key: meaning_of(model).split("\n")[0] for key, model in STEPS_OF_KIND[kind].items()}


def meaning_of(model: type[Strict]) -> str:
    """What a step does, in the words of its model."""
    return inspect.cleandoc(model.__doc__ or "").replace("``", "`")


def step_model(key: str) -> type[Strict] | None:
    """Parameters of the step with this key, whatever its kind; None when there is none."""
    found = (registry[key] for registry in STEPS_OF_KIND.values() if key in registry)
    return next(found, None)


def parameters_of(model: type[Strict], *, common: bool = False) -> list[Parameter]:
    """Every parameter of a step; those all transit steps share (``common``) only when asked for."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    listed = _parameters(schema, "", definitions)
    return [each for each in listed if (each.path.split(".")[0] in _COMMON) == common]


def _parameters(schema: Mapping[str, Any], path: str, definitions: Mapping[str, Any]) -> Iterator[Parameter]:
    needed = set(schema.get("required", ()))
    for name, value in schema.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        if place != "when" and _WHEN in str(value):
            yield Parameter(place, "all, or conditions as in `when`", name in needed)
            continue
        yield Parameter(place, _says(value, definitions), name in needed)
        for deeper, inner in _inside(value, place, definitions):
            yield from _parameters(inner, deeper, definitions)


def _inside(
    value: Mapping[str, Any], place: str, definitions: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The mappings of named parameters inside a value, and where they stand."""
    if "$ref" in value:
        target = definitions[value["$ref"].removeprefix("#/$defs/")]
        yield from _inside(target, place, definitions)
    elif "anyOf" in value:
        for alternative in value["anyOf"]:
            yield from _inside(alternative, place, definitions)
    elif value.get("type") == "array":
        yield from _inside(value["items"], f"{place}[]", definitions)
    elif "properties" in value:
        yield place, value
    elif isinstance(value.get("additionalProperties"), dict):
        yield from _inside(value["additionalProperties"], f"{place}.<key>", definitions)


def _says(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return _says(definitions[value["$ref"].removeprefix("#/$defs/")], definitions)
    if "anyOf" in value:
        options = [_says(option, definitions) for option in value["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(options))
    if "const" in value:
        return str(value["const"])
    if "enum" in value:
        return " | ".join(str(option) for option in value["enum"])
    if value.get("type") == "integer":
        low, high = value.get("minimum"), value.get("maximum")
        return "integer" if low is None else f"integer from {low}" + ("" if high is None else f" to {high:,}")
    if value.get("type") == "array":
        return f"list of {_says(value['items'], definitions)}"
    if value.get("type") == "object" and "properties" not in value:
        keys = value.get("propertyNames", {}).get("enum")
        return "mapping" if keys is None else f"mapping by {' | '.join(keys)}"
    plain = {"string": "text", "boolean": "true | false", "object": "parameters"}
    return plain.get(str(value.get("type")), "anything")
