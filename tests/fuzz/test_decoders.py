"""Every fuzz harness on its seeds and on small random inputs; what fuzzing finds becomes a seed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.decoders import DECODERS


@pytest.mark.parametrize("name", DECODERS)
def test_seeds_and_their_beginnings(name: str) -> None:
    decoder = DECODERS[name]
    seeds = decoder.seeds()
    assert seeds
    for seed in seeds:
        decoder.run(seed)
        for cut in range(0, len(seed), max(1, len(seed) // 40)):
            decoder.run(seed[:cut])


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_random_bytes(name: str, data: bytes) -> None:
    DECODERS[name].run(data)
