"""Coverage-guided fuzzing of one decoder (Atheris, libFuzzer): `python -m fuzz.run NAME CORPUS [libFuzzer options]`.

Inputs that raise what a decoder may not raise are written beside the corpus; seeds are vectors and packaged files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["card_io"]):
    from fuzz.decoders import DECODERS


def main() -> None:
    """Fuzz until the time is over or a finding stops it."""
    name, corpus = sys.argv[1], Path(sys.argv[2])
    decoder = DECODERS[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(decoder.seeds()):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    options = [f"-artifact_prefix={corpus.parent}/{name}-", "-timeout=10", "-max_len=4096", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *options, *sys.argv[3:]], decoder.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
