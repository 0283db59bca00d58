"""Transaction authentication codes (TAC) over columns: compute, and verify.

The TAC of JR/T 0025 purses as `shared/reference/card-standards.md` §4.1 and §4.3 gives it:
the leftmost four bytes of a single-DES CBC-MAC (zero IV, padded 80 00 ..) under the
exclusive or of the halves of the card's TAC key; that key is the master key diversified
by the last eight bytes of the application serial. The key is derived again for every row:
six of the nine DES blocks of a purchase (ten of a load), and still cheaper than a cache.

No published TAC with a known key exists. The parts are proven against vectors; the order
of fields is what independent sources agree on (the load's comes from one source).

`card_io.mac` computes the same for one card, without sharing a line with this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

from card_io.mac import diversify_key
from clearing.kernels import read_only
from clearing.mac import llvm, numpy_backend
from clearing.mac.blocks import Keys, key_words
from clearing.mac.machine import DEFAULT_BACKEND, NUMPY_ROWS, Backend, for_spans, require_backend
from clearing.mac.program import Op, Program, Step, Words, assemble, transpose, triple_encrypt

Codes = NDArray[np.uint32]

# Registers. The message blocks stand in a row; a chained block stays where it was encrypted.
_LEFT, _RIGHT, _FACTOR, _TAC_KEY, _BLOCK = 0, 1, 2, 3, 4
_PURCHASE_MAC, _LOAD_MAC = _BLOCK + 2, _BLOCK + 3
_REGISTERS = _BLOCK + 4

_DERIVE_TAC_KEY = (
    Step(Op.COPY, _TAC_KEY, _FACTOR),
    *triple_encrypt(_TAC_KEY, _LEFT, _RIGHT),
    Step(Op.INVERT, _FACTOR),
    *triple_encrypt(_FACTOR, _LEFT, _RIGHT),
    Step(Op.XOR, _TAC_KEY, _FACTOR),
)

# Shift counts are uint64 so that numba, too, types the whole of an expression as uint64.
_8, _16, _24, _32, _40, _48, _56 = (np.uint64(bits) for bits in (8, 16, 24, 32, 40, 48, 56))
_PAD_TWO = np.uint64(0x8000)
_PAD_BLOCK = np.uint64(0x80 << 56)


def _chain(blocks: range) -> list[Step]:
    """Extend a CBC-MAC over message blocks; the first of all has nothing before it."""
    steps = []
    for block in blocks:
        if block > _BLOCK:
            steps.append(Step(Op.XOR, block, block - 1))
        steps.append(Step(Op.ENCRYPT, block, _TAC_KEY))
    return steps


_PURCHASES = assemble(
    transpose(_LEFT, _RIGHT, _FACTOR, *range(_BLOCK, _LOAD_MAC)),
    _DERIVE_TAC_KEY,
    _chain(range(_BLOCK, _LOAD_MAC)),
    transpose(_PURCHASE_MAC),
)
# A group with a load in it takes the fourth block for all its rows and keeps both results.
_MIXED = assemble(
    transpose(_LEFT, _RIGHT, _FACTOR, *range(_BLOCK, _LOAD_MAC + 1)),
    _DERIVE_TAC_KEY,
    _chain(range(_BLOCK, _LOAD_MAC + 1)),
    transpose(_PURCHASE_MAC, _LOAD_MAC),
)


class TacVerdict(IntEnum):
    """Outcome of verifying one row; the numbers are stored, so they only ever grow."""

    NOT_CHECKED = 0
    VERIFIED = 1
    FAILED = 2
    MISSING = 3
    KEY_UNKNOWN = 4


_VERIFIED, _FAILED, _MISSING, _KEY_UNKNOWN = (
    int(v) for v in (TacVerdict.VERIFIED, TacVerdict.FAILED, TacVerdict.MISSING, TacVerdict.KEY_UNKNOWN)
)


@dataclass(frozen=True, slots=True, eq=False)
class TacInput:
    """What a TAC covers, as columns: 1-D arrays of one length n and the dtypes given here.

    Transaction types 01 and 02 are loads, all others take the purchase form; a column the
    row's form does not cover is ignored in that row. Raises ValueError on construction
    when a dtype, a number of dimensions or a length differs.
    """

    amount: NDArray[np.int64]
    """Fen. The card sees four bytes; no TAC fits an amount outside them."""
    txn_type: NDArray[np.uint8]
    """PBOC transaction type."""
    terminal_id: NDArray[np.uint64]
    """The six raw bytes of the PSAM number as a big-endian integer."""
    terminal_counter: NDArray[np.uint32]
    """Terminal transaction number (purchase)."""
    date4: NDArray[np.uint32]
    """BCD digits YYYYMMDD as an integer, for example 0x20260302."""
    time3: NDArray[np.uint32]
    """BCD digits hhmmss as an integer, for example 0x221450."""
    new_balance: NDArray[np.uint32]
    """Fen on the purse after the load (load)."""
    online_counter: NDArray[np.uint16]
    """Online transaction counter before its increment (load)."""
    factor: NDArray[np.uint64]
    """Last eight bytes of the application serial, sixteen BCD digits, as a big-endian integer."""
    key_row: NDArray[np.int32]
    """Row of the master key table; -1 = we hold no key."""

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            if column.dtype != _DTYPES[field.name]:
                raise ValueError(f"{field.name} must be {_DTYPES[field.name]}, not {column.dtype}")
            if column.shape != (len(self.amount),):
                raise ValueError(f"{field.name} must have shape ({len(self.amount)},), not {column.shape}")

    def __len__(self) -> int:
        return len(self.amount)


_DTYPES = {
    "amount": np.dtype(np.int64),
    "txn_type": np.dtype(np.uint8),
    "terminal_id": np.dtype(np.uint64),
    "terminal_counter": np.dtype(np.uint32),
    "date4": np.dtype(np.uint32),
    "time3": np.dtype(np.uint32),
    "new_balance": np.dtype(np.uint32),
    "online_counter": np.dtype(np.uint16),
    "factor": np.dtype(np.uint64),
    "key_row": np.dtype(np.int32),
}


class _Columns(NamedTuple):
    """The same columns as the kernels take them: read-only, amounts as their 64 raw bits."""

    amount: Words
    txn_type: NDArray[np.uint8]
    terminal_id: Words
    terminal_counter: NDArray[np.uint32]
    date4: NDArray[np.uint32]
    time3: NDArray[np.uint32]
    new_balance: NDArray[np.uint32]
    online_counter: NDArray[np.uint16]
    factor: Words
    key_row: NDArray[np.int32]


def compute_tac(
    inputs: TacInput, master_keys: Keys, *, backend: Backend = DEFAULT_BACKEND, threads: int = 1
) -> Codes:
    """Compute the TAC of every row.

    Args:
        inputs: n rows, purchases and loads in any order.
        master_keys: uint8[k, 16], TAC master keys of the issuers (see `diversify_issuer_keys`).
        backend: "llvm", or "numpy" for the slow twin.
        threads: number of threads that share the rows.

    Returns:
        uint32[n], the four bytes read big-endian; 0 in rows without a key.

    Raises:
        ValueError: an amount, terminal or time does not fit its bytes; a key row or the key
            table is out of shape; `backend` or `threads` makes no sense.
        RuntimeError: the llvm backend was asked for while numba's JIT is off.
    """
    columns, keys = _prepare(inputs, master_keys, backend)
    unfit = np.flatnonzero(_unfit(columns.amount, columns.terminal_id, columns.time3))
    if len(unfit):
        raise ValueError(f"row {unfit[0]}: amount, terminal or time does not fit its bytes")
    codes = np.empty(len(inputs), dtype=np.uint32)
    span = _computes_span(columns, keys, codes, backend)
    for_spans(len(codes), llvm.ROWS, threads, span)
    codes[columns.key_row < 0] = 0
    return codes


def verify_tac(
    inputs: TacInput,
    tac: NDArray[np.int64],
    master_keys: Keys,
    *,
    backend: Backend = DEFAULT_BACKEND,
    threads: int = 1,
) -> NDArray[np.uint8]:
    """Compare every row's TAC with the one it came with.

    `tac` is int64[n], negative where the source carries none. A row whose amount, terminal
    or time does not fit its bytes has FAILED: no card can have authenticated it. Where two
    reasons meet, an unknown key comes before a missing code. Otherwise like `compute_tac`.

    Returns uint8[n] of `TacVerdict`, never NOT_CHECKED.
    """
    columns, keys = _prepare(inputs, master_keys, backend)
    if tac.dtype != np.int64 or tac.shape != (len(inputs),):
        raise ValueError(f"tac must be int64[{len(inputs)}], not {tac.dtype}{list(tac.shape)}")
    given = read_only(tac)
    codes = np.empty(len(inputs), dtype=np.uint32)
    verdicts = np.empty(len(inputs), dtype=np.uint8)
    compute_span = _computes_span(columns, keys, codes, backend)

    def span(start: int, stop: int) -> None:
        compute_span(start, stop)
        _judge(columns, given, codes, start, stop, verdicts)

    for_spans(len(codes), llvm.ROWS, threads, span)
    return verdicts


def diversify_issuer_keys(root_keys: Keys, issuer_ids: Words) -> Keys:
    """Run the first level of a two-level scheme: root key and issuer bytes to issuer key.

    `root_keys` is uint8[k, 16], `issuer_ids` uint64[k] (eight bytes of file 15, big-endian).
    Returns uint8[k, 16]. There are as many rows as issuer keys, so this is plain code.
    """
    pairs = zip(root_keys, issuer_ids.tolist(), strict=True)
    derived = b"".join(diversify_key(root.tobytes(), issuer.to_bytes(8, "big")) for root, issuer in pairs)
    return np.frombuffer(derived, dtype=np.uint8).reshape(-1, 16).copy()


def _prepare(inputs: TacInput, master_keys: Keys, backend: Backend) -> tuple[_Columns, Words]:
    """Check the arguments; return columns and key halves for the kernels.

    The key table, uint64[k + 1, 2], ends in a row of zeros: that is where a key row of -1
    points, so that rows without a key need no branch.
    """
    require_backend(backend)
    if master_keys.dtype != np.uint8 or master_keys.ndim != 2 or master_keys.shape[1] != 16:
        raise ValueError(f"master_keys must be uint8[k, 16], not {master_keys.dtype}{list(master_keys.shape)}")
    rows = inputs.key_row
    if len(rows) and not -1 <= rows.min() <= rows.max() < len(master_keys):
        raise ValueError(f"key_row must lie in -1..{len(master_keys) - 1}")
    keys = np.zeros((len(master_keys) + 1, 2), dtype=np.uint64)
    keys[:-1] = key_words(master_keys)
    columns = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    columns["amount"] = inputs.amount.view(np.uint64)
    return _Columns(**{name: read_only(column) for name, column in columns.items()}), read_only(keys)


def _computes_span(columns: _Columns, keys: Words, codes: Codes, backend: Backend) -> Callable[[int, int], None]:
    """Return the function that fills ``codes[start:stop]`` on the chosen backend."""
    if backend == "llvm":

        def compute(start: int, stop: int) -> None:
            registers = llvm.aligned_registers(_REGISTERS)
            _kernel(columns, keys, _PURCHASES, _MIXED, start, stop, registers, codes)
    else:

        def compute(start: int, stop: int) -> None:
            for first in range(start, stop, NUMPY_ROWS):
                _compute_numpy(columns, keys, first, min(first + NUMPY_ROWS, stop), codes)

    return compute


def _compute_numpy(columns: _Columns, keys: Words, start: int, stop: int, codes: Codes) -> None:
    registers = numpy_backend.registers(_REGISTERS, stop - start)
    mixed = _fill(columns, keys, start, stop, registers)
    numpy_backend.run(_MIXED if mixed else _PURCHASES, registers)
    _collect(columns, registers, start, stop, codes)


@njit(nogil=True, cache=True)
def _kernel(
    columns: _Columns,
    keys: Words,
    purchases: Program,
    mixed: Program,
    start: int,
    stop: int,
    registers: Words,
    codes: Codes,
) -> None:
    """Fill ``codes[start:stop]``, `llvm.ROWS` rows at a time."""
    for first in range(start, stop, llvm.ROWS):
        last = min(first + llvm.ROWS, stop)
        if _fill(columns, keys, first, last, registers):
            llvm.run(mixed, registers)
        else:
            llvm.run(purchases, registers)
        _collect(columns, registers, first, last, codes)


@njit(nogil=True, cache=True)
def _fill(columns: _Columns, keys: Words, start: int, stop: int, registers: Words) -> bool:
    """Write keys, factors and padded messages of the rows to the registers; tell whether any is a load.

    A ragged group leaves old words behind its last row. They are computed with and dropped.
    """
    any_load = False
    for row in range(start, stop):
        i = row - start
        key = columns.key_row[row]
        registers[_LEFT, i] = keys[key, 0]
        registers[_RIGHT, i] = keys[key, 1]
        registers[_FACTOR, i] = columns.factor[row]
        if _is_load(columns.txn_type[row]):
            any_load = True
            _fill_load(columns, row, registers, i)
        else:
            _fill_purchase(columns, row, registers, i)
    return any_load


@register_jitable
def _is_load(txn_type: int) -> bool:
    return (txn_type == 1) | (txn_type == 2)


@register_jitable
def _fill_purchase(columns: _Columns, row: int, registers: Words, i: int) -> None:
    """Write amount4 type1 terminal6 counter4 date4 time3 80 00, twenty-four bytes."""
    amount, kind, terminal = columns.amount[row], np.uint64(columns.txn_type[row]), columns.terminal_id[row]
    counter, date = np.uint64(columns.terminal_counter[row]), np.uint64(columns.date4[row])
    time = np.uint64(columns.time3[row])
    registers[_BLOCK, i] = amount << _32 | kind << _24 | terminal >> _24
    registers[_BLOCK + 1, i] = terminal << _40 | counter << _8 | date >> _24
    registers[_BLOCK + 2, i] = date << _40 | time << _16 | _PAD_TWO


@register_jitable
def _fill_load(columns: _Columns, row: int, registers: Words, i: int) -> None:
    """Write balance4 counter2 amount4 type1 terminal6 date4 time3 80 00.., thirty-two bytes."""
    amount, kind, terminal = columns.amount[row], np.uint64(columns.txn_type[row]), columns.terminal_id[row]
    balance, counter = np.uint64(columns.new_balance[row]), np.uint64(columns.online_counter[row])
    date, time = np.uint64(columns.date4[row]), np.uint64(columns.time3[row])
    registers[_BLOCK, i] = balance << _32 | counter << _16 | amount >> _16
    registers[_BLOCK + 1, i] = amount << _48 | kind << _40 | terminal >> _8
    registers[_BLOCK + 2, i] = terminal << _56 | date << _24 | time
    registers[_BLOCK + 3, i] = _PAD_BLOCK


@njit(nogil=True, cache=True)
def _collect(columns: _Columns, registers: Words, start: int, stop: int, codes: Codes) -> None:
    """Take the leftmost four bytes of each row's last block."""
    for row in range(start, stop):
        mac = _LOAD_MAC if _is_load(columns.txn_type[row]) else _PURCHASE_MAC
        codes[row] = registers[mac, row - start] >> _32


@register_jitable
def _unfit(amount: Words, terminal_id: Words, time3: Words) -> Words:
    """Return nonzero where a field has bits beyond its bytes; for one row or for columns."""
    beyond: Words = amount >> _32 | terminal_id >> _48 | time3 >> _24
    return beyond


@njit(nogil=True, cache=True)
def _judge(
    columns: _Columns,
    tac: NDArray[np.int64],
    codes: Codes,
    start: int,
    stop: int,
    verdicts: NDArray[np.uint8],
) -> None:
    """Fill ``verdicts[start:stop]`` from the given and the computed codes."""
    for row in range(start, stop):
        verdict = _VERIFIED
        if tac[row] != codes[row] or _unfit(columns.amount[row], columns.terminal_id[row], columns.time3[row]):
            verdict = _FAILED
        if tac[row] < 0:
            verdict = _MISSING
        if columns.key_row[row] < 0:
            verdict = _KEY_UNKNOWN
        verdicts[row] = verdict
