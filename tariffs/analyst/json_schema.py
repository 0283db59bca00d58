"""JSON schema of tariff files, exported from the models that check them."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from tariffs.parameters import Strict
from tariffs.schema import TariffFile
from tariffs.vocabulary import STEPS_OF_KIND

_REF = "#/$defs/{model}"


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a whole file: the frame, and per kind of tariff its closed set of steps.

    Wherever a step has a parameter, a file may also write ``{use: name}``; the schema allows that for the
    parameters themselves, not inside them.
    """
    models: list[type[Strict]] = [TariffFile]
    for registry in STEPS_OF_KIND.values():
        models += [model for model in registry.values() if model not in models]
    keys, document = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    definitions = document["$defs"]
    named = {model: keys[model, "validation"]["$ref"].removeprefix("#/$defs/") for model in models}
    for model in models[1:]:
        _allow_use(definitions[named[model]])
    definitions["Use"] = {
        "type": "object",
        "description": "a dated value declared under `values`",
        "properties": {"use": {"type": "string"}},
        "required": ["use"],
        "additionalProperties": False,
    }
    frame = definitions.pop(named[TariffFile])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **frame,
        "allOf": [_steps_of(kind, registry, named) for kind, registry in STEPS_OF_KIND.items()],
        "$defs": definitions,
    }


def _steps_of(kind: str, registry: Any, named: dict[type[Strict], str]) -> dict[str, Any]:
    """If the file is of this kind, each of its steps is one of these."""
    steps = {
        "type": "object",
        "properties": {
            key: {"anyOf": [{"$ref": _REF.format(model=named[model])}, {"$ref": _REF.format(model="Use")}]}
            for key, model in registry.items()
        },
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"properties": {"steps": {"items": steps}}},
    }


def _allow_use(step: dict[str, Any]) -> None:
    for name, parameter in step.get("properties", {}).items():
        step["properties"][name] = {"anyOf": [parameter, {"$ref": _REF.format(model="Use")}]}
