"""Beijing subway band edges, to the metre, against a rule file nobody here wrote."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import tariffs
from tariffs import TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

LIBRARY = Path(tariffs.__file__).parent / "library"


def test_band_edges(shared_data: Path) -> None:
    text = (shared_data / "tariffs/beijing-taipei-rules/beijing_fare_rules.json5").read_text(encoding="utf-8")
    main_network = text.split("name:")[1]
    bands = re.findall(r"\{fare: (\d+)(?:, start: (\d+))?(?:, end: (\d+))?\}", main_network)
    assert len(bands) == 8
    distances, fares = [], []
    for fare, start, end in bands:
        # The file's last band is open because the network ends there; the published rule goes on by 20 km.
        edges = (int(start or 0), int(end or int(start) + 19_999))
        distances += edges
        fares += [int(fare) * 100] * 2
    compiled = compile_tariff(load_tariff(LIBRARY / "beijing.subway.yaml"), date(2026, 3, 2))
    prices = price_transit(compiled, TransitJourneys.of(len(distances), distance_m=distances))
    assert {6_099, 6_100, 12_099, 12_100, 32_099, 32_100, 92_100} <= set(distances)
    np.testing.assert_array_equal(prices.gross, fares)
    assert prices.priced.all()
