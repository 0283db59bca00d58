"""Rule files written at test time, outside the project, from published tables."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

FRAME = {
    "kind": "transit",
    "source": "written at test time from the table named in the test",
    "policy": "terminal_priced",
    "late": {"grace_days": 0, "after_grace": "forward"},
    "tests": [{"name": "nothing", "date": "@", "rows": [{"transfer": 0}], "expect": [{"segment": 0}]}],
}


def write_table(folder: Path, name: str, columns: Mapping[str, Iterable[int]]) -> dict[str, str]:
    """Write a CSV of integers and return its entry under ``tables``."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    content = "\n".join(lines) + "\n"
    (folder / f"{name}.csv").write_text(content)
    return {"file": f"{name}.csv", "sha256": hashlib.sha256(content.encode()).hexdigest()}


def write_tariff(
    folder: Path,
    tariff_id: str,
    currency: str,
    published: tuple[str, str],
    steps: Sequence[object],
    tables: Mapping[str, object] | None = None,
    values: Mapping[str, object] | None = None,
) -> Path:
    """Write ``tariff_id``.yaml; every value of ``values`` holds from the first published day.

    A date inside a value is written as text with an @ in front.
    """
    first, last = published
    content = FRAME | {
        "id": tariff_id,
        "title": tariff_id,
        "money": {"currency": currency, "unit": "fen"},
        "published": {"first": f"@{first}", "last": f"@{last}"},
        "tables": dict(tables or {}),
        "values": {name: {f"@{first}": value} for name, value in (values or {}).items()},
        "steps": list(steps),
    }
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=10_000)
    # Dates stand unquoted in a tariff file, and the one inline test lies on the first day.
    text = re.sub(r"'@(\d{4}-\d{2}-\d{2})'", r"\1", text.replace("'@'", first))
    file = folder / f"{tariff_id}.yaml"
    file.write_text(text, encoding="utf-8")
    return file
