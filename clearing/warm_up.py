"""Compile every kernel a day uses before the day begins, so that compiling can be told from clearing."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from clearing import kernels, mac
from clearing.calendar import SECONDS_PER_DAY, day_number
from clearing.content import hash_rows
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.kernel_cache import whole_day_mark
from clearing.key_index import KeyIndex, ascending
from clearing.settlement import close_window
from clearing.simulate import simulate_day

_DAY: Final = datetime.date(2026, 3, 2)
_PASSPHRASE: Final = "warm-up"


def warm_up() -> None:
    """Compile what the cache does not hold yet, once for a state of the sources; then load what every run needs."""
    mark = whole_day_mark()
    if not mark.exists():
        _live_a_small_day()
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    _load_kernels()


def _live_a_small_day() -> None:
    """Simulate, clear and close a day of every service in a folder that goes away again."""
    now = (day_number(_DAY) + 2) * SECONDS_PER_DAY
    with tempfile.TemporaryDirectory() as folder:
        centre = Path(folder) / "centre"
        initialise_centre(centre, simulated=True, passphrase=_PASSPHRASE, scrypt_n=2)
        simulate_day(centre, date=_DAY, transactions=1_000, seed=1, faults="heavy", passphrase=_PASSPHRASE)
        run_centre(centre, passphrase=_PASSPHRASE, now=now)
        close_window(centre, _DAY, passphrase=_PASSPHRASE, now=now)


def _load_kernels() -> None:
    """Run the kernels of every file once for every column type they meet."""
    rows = 4
    types = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64)
    hashes = hash_rows([np.zeros(rows, dtype) for dtype in types], rows)
    hashes.root()
    group = np.zeros(rows, np.int64)
    kernels.sum_by_group(group, group, np.zeros(1, np.int64), np.zeros(1, np.int64))
    kernels.mark_shared(np.ones(rows, np.uint64), np.full(rows * 2, -1, np.int32), np.zeros(rows, bool))
    KeyIndex(np.zeros(rows, np.uint64)).first(np.zeros(rows, np.uint64))
    ascending(np.zeros(rows, np.uint64))
    mac.tdes_encrypt_blocks(np.zeros(rows, np.uint64), bytes(16))
    for txn_type in (2, 6):
        inputs = mac.TacInput(
            amount=np.zeros(rows, np.int64),
            txn_type=np.full(rows, txn_type, np.uint8),
            terminal_id=np.zeros(rows, np.uint64),
            terminal_counter=np.zeros(rows, np.uint32),
            date4=np.zeros(rows, np.uint32),
            time3=np.zeros(rows, np.uint32),
            new_balance=np.zeros(rows, np.uint32),
            online_counter=np.zeros(rows, np.uint16),
            factor=np.zeros(rows, np.uint64),
            key_row=np.zeros(rows, np.int32),
        )
        mac.verify_tac(inputs, np.zeros(rows, np.int64), np.zeros((1, 16), np.uint8))
