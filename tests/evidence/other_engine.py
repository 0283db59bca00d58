"""An engine of another version that prices every paid journey one fen higher: audits a centre, prints JSON.

Run as a script: ``other_engine.py CENTRE PASSPHRASE``.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

import clearing.verify
import tariffs
from tariffs import CompiledTariff, TransitJourneys, TransitPrices

VERSION = "99.0"

_honest = tariffs.price_transit


def _dearer(compiled: CompiledTariff, journeys: TransitJourneys) -> TransitPrices:
    prices = _honest(compiled, journeys)
    more = (prices.card_pays > 0).astype(np.int64)
    return dataclasses.replace(prices, gross=prices.gross + more, card_pays=prices.card_pays + more)


def main(centre: Path, passphrase: str) -> None:
    """Rebuild, verify and recompute with the changed engine."""
    clearing.verify.__version__ = VERSION
    tariffs.price_transit = _dearer
    answer = {
        "entries": clearing.verify.rebuild(centre, passphrase),
        "verify": [finding.as_json() for finding in clearing.verify.verify(centre, passphrase)],
        "recompute": [finding.as_json() for finding in clearing.verify.verify_by_recomputing(centre, passphrase)],
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
