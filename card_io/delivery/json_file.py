"""Small JSON files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def write_json_atomically(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON document so that no reader and no crash ever meets half of it.

    Written to a dot file in the same folder, fsynced, renamed over `path`, the folder fsynced. Keys keep
    their order; the same content gives the same bytes.
    """
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
