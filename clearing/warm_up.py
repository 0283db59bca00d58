"""Compile or load every kernel a run uses, on a handful of rows, so that start-up can be told from clearing."""

from __future__ import annotations

import numpy as np

from clearing import kernels, mac
from clearing.content import hash_rows
from clearing.key_index import KeyIndex


def warm_up() -> None:
    """Run each kernel once for every column type it meets."""
    rows = 4
    types = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64)
    hashes = hash_rows([np.zeros(rows, dtype) for dtype in types], rows)
    hashes.root()
    group = np.zeros(rows, np.int64)
    kernels.sum_by_group(group, group, np.zeros(1, np.int64), np.zeros(1, np.int64))
    KeyIndex(np.zeros(rows, np.uint64)).first(np.zeros(rows, np.uint64))
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
