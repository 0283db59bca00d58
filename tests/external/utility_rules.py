"""Utility rule files written at test time, outside the project, and priced from an empty state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy.typing as npt
import yaml

from tariffs import Tariff, UtilityPrices, UtilityState, UtilityUsages, compile_tariff, load_tariff, price_utility

EPOCH = date(1970, 1, 1)


def utility_tariff(
    folder: Path,
    steps: Sequence[Mapping[str, Any]],
    *,
    first: date = date(2010, 1, 1),
    last: date = date(2030, 12, 31),
    values: Mapping[str, Mapping[date, Any]] | None = None,
) -> Tariff:
    """Write the steps into a rule file and load it."""
    content = {
        "id": "test.utility",
        "kind": "utility",
        "title": "written by a test",
        "source": "the data set the test names",
        "money": {"currency": "CNY", "unit": "fen"},
        "policy": "engine_priced",
        "late": {"grace_days": 0, "after_grace": "forward"},
        "published": {"first": first, "last": last},
        "values": {name: dict(dated) for name, dated in (values or {}).items()},
        "steps": list(steps),
        "tests": [{"name": "nothing", "date": first, "rows": [{"usage_milli": 0}], "expect": [{"segment": 0}]}],
    }
    file = folder / "utility.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return load_tariff(file)


def price_on(
    tariff: Tariff, day: date, length: int, state: UtilityState | None = None, **columns: npt.ArrayLike
) -> tuple[UtilityPrices, dict[str, int]]:
    """Prices of ``length`` readings of one account on a day, and the sum of each component in fen."""
    given: dict[str, Any] = {"account": 1, "sequence": range(length), "period_day": (day - EPOCH).days}
    usages = UtilityUsages.of(length, **(given | columns))
    compiled = compile_tariff(tariff, day)
    prices, _ = price_utility(compiled, usages, state or UtilityState.zeros(0))
    assert prices.priced.all()
    return prices, dict(zip(compiled.component_names, prices.components.sum(axis=0).tolist(), strict=True))
