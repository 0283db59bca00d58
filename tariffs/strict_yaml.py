"""YAML as tariff files use it: no duplicate keys, no floats, no times read as numbers, no surprises.

YAML 1.1 reads ``04:30`` as 270, ``no`` as false and keeps the last of two equal keys. In a price file each
of these is a wrong price nobody sees, so this reader knows only null, true/false, decimal integers, ISO dates
and text, and refuses the rest.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from tariffs.errors import TariffFileError


class _StrictLoader(yaml.CSafeLoader):
    """SafeLoader with its own short list of plain scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's hook)


def _refuse_float(loader: _StrictLoader, node: yaml.ScalarNode) -> None:
    raise yaml.constructor.ConstructorError(
        None, None, f"{node.value} is not an integer: write fen, or 1/10,000 for ratios", node.start_mark
    )


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            mark = node.value[index][0].start_mark
            raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", mark)
    return loader.construct_mapping(node, deep=True)


_PLAIN_SCALARS = (
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", list("tf")),
    ("tag:yaml.org,2002:int", r"^-?(?:0|[1-9][0-9]*(?:_[0-9]{3})*)$", list("-0123456789")),
    ("tag:yaml.org,2002:float", r"^-?[0-9]+\.[0-9]*$|^-?[0-9.]+[eE][-+]?[0-9]+$", list("-0123456789.")),
    ("tag:yaml.org,2002:timestamp", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", list("0123456789")),
)
for _tag, _pattern, _first in _PLAIN_SCALARS:
    _StrictLoader.add_implicit_resolver(_tag, re.compile(_pattern), _first)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _refuse_float)
_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(file: Path, text: bytes) -> dict[str, Any]:
    """Parse the bytes of one tariff file to plain Python values (int, str, bool, None, date, list, dict).

    Raises TariffFileError with the line for anything that is not strict YAML with a mapping on top.
    """
    try:
        content = yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise TariffFileError(file, place, error.problem, "write strict YAML") from error
    except (yaml.YAMLError, ValueError) as error:
        raise TariffFileError(file, "", str(error), "write strict YAML in UTF-8") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise TariffFileError(file, "", type(content).__name__, "a tariff file is a mapping of named parts")
    return content
