"""Compile the kernels of a whole day into the cache, once: workers that start cold would all compile them.

python tests/compile_kernels.py
"""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path

from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()

from clearing.calendar import day_number  # noqa: E402 - the cache is named before a kernel is defined
from clearing.engine import run_centre  # noqa: E402
from clearing.initialise import initialise_centre  # noqa: E402
from clearing.settlement import close_window  # noqa: E402
from clearing.simulate import simulate_day  # noqa: E402

DAY = datetime.date(2026, 3, 2)
PASSPHRASE = "kernels"


def main() -> None:
    """Clear and close a small day of every service."""
    now = (day_number(DAY) + 2) * 86_400
    with tempfile.TemporaryDirectory() as folder:
        centre = Path(folder) / "centre"
        initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
        simulate_day(centre, date=DAY, transactions=1_000, seed=1, faults="heavy", passphrase=PASSPHRASE)
        run_centre(centre, passphrase=PASSPHRASE, now=now)
        close_window(centre, DAY, passphrase=PASSPHRASE, now=now)


if __name__ == "__main__":
    main()
