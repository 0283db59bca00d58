"""The batch MAC engine against published vectors, the scalar twin, and itself on two backends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import config
from vectors import DES_CIPHER_VECTORS, evaluate, load_des_vectors

from card_io import mac
from clearing.kernel_cache import kernel_sources
from clearing.mac import (
    Backend,
    TacInput,
    TacVerdict,
    compute_tac,
    decrypt_blocks,
    diversify_issuer_keys,
    encrypt_blocks,
    tdes_decrypt_blocks,
    tdes_encrypt_blocks,
    verify_tac,
)
from clearing.mac.circuit import best_order, compile_tables
from clearing.mac.des_circuit import VARIABLE_ORDERS, sbox_tables, sboxes
from clearing.mac.machine import for_spans

BACKENDS: tuple[Backend, ...] = ("numpy",) if config.DISABLE_JIT else ("llvm", "numpy")
GROUP = 512
LENGTHS = (1, 511, 512, 513, 1500)

each_backend = pytest.mark.parametrize("backend", BACKENDS)


# --- circuits ---------------------------------------------------------------------------


@pytest.mark.parametrize("box", range(8))
def test_sbox_circuits_compute_their_tables(box: int) -> None:
    tables = sbox_tables(box)
    circuit = sboxes()[box].circuit
    for x in range(64):
        assert circuit.evaluate(x) == sum(tables[k][x] << k for k in range(4))


@pytest.mark.parametrize("box", range(8))
def test_no_exchange_of_two_variables_makes_an_sbox_cheaper(box: int) -> None:
    """The stored orders are the best of all 720, which takes minutes to see; their neighbours, seconds."""
    tables, circuit = sbox_tables(box), sboxes()[box].circuit
    order = VARIABLE_ORDERS[box]
    for i, j in combinations(range(6), 2):
        neighbour = list(order)
        neighbour[i], neighbour[j] = neighbour[j], neighbour[i]
        assert compile_tables(tables, neighbour).cost >= circuit.cost
    assert circuit.nodes <= 64
    assert len(circuit.gates) <= 100


def test_best_order() -> None:
    """A multiplexer of two variables is one node when the choosing variable is decided first."""
    table = [x >> 1 & 1 if x >> 2 & 1 else x & 1 for x in range(8)]
    order = best_order([table], 3)
    assert order[0] == 2
    assert compile_tables([table], order).nodes == 1


def test_circuits_of_all_three_variable_functions() -> None:
    """Every shape of node, with constant, equal and complementary branches."""
    for number in range(1, 255):
        table = [number >> x & 1 for x in range(8)]
        circuit = compile_tables([table], (2, 0, 1))
        assert [circuit.evaluate(x) for x in range(8)] == table


@pytest.mark.parametrize(
    ("tables", "order"), [([[0, 0, 0, 0]], (0, 1)), ([[0, 1]], (0, 1)), ([[0, 1, 1, 0]], (0, 0))]
)
def test_circuits_of_wrong_shape_are_refused(tables: list[list[int]], order: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        compile_tables(tables, order)


# --- blocks -----------------------------------------------------------------------------


class EveryLane:
    """The batch kernels as primitives of `vectors.evaluate`, tried in every lane position.

    One call takes two groups of 512 rows. The block asked for stands in every lane position
    of one group or the other, between rows of random blocks and keys; all must agree.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        random = np.random.default_rng(20260302)
        self._blocks = random.integers(0, 2**64, 2 * GROUP, dtype=np.uint64)
        self._keys = random.integers(0, 256, (2 * GROUP, 16), dtype=np.uint8)
        first = random.integers(0, 2, GROUP).astype(bool)
        self._mine = np.concatenate([first, ~first])

    def _run(self, function: Any, key: bytes, block: bytes) -> bytes:
        blocks, keys = self._blocks.copy(), self._keys[:, : len(key)].copy()
        blocks[self._mine] = int.from_bytes(block, "big")
        keys[self._mine] = np.frombuffer(key, dtype=np.uint8)
        (result,) = np.unique(function(blocks, keys, backend=self.backend)[self._mine])
        return int(result).to_bytes(8, "big")

    def encrypt(self, key8: bytes, block: bytes) -> bytes:
        return self._run(encrypt_blocks, key8, block)

    def decrypt(self, key8: bytes, block: bytes) -> bytes:
        return self._run(decrypt_blocks, key8, block)

    def triple_encrypt(self, key16: bytes, block: bytes) -> bytes:
        return self._run(tdes_encrypt_blocks, key16, block)


@pytest.mark.external
@each_backend
def test_published_vectors_in_every_lane(
    backend: Backend, shared_data: Path, answered: Callable[[int], None]
) -> None:
    vectors = load_des_vectors(shared_data)
    assert len(vectors) == DES_CIPHER_VECTORS
    cipher = EveryLane(backend)
    wrong = [v.name for v in vectors if evaluate(v, cipher) != v.output]
    assert not wrong
    answered(len(vectors))


def random_blocks(n: int, key_bytes: int, seed: int = 1) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 2**64, n, dtype=np.uint64)
    return blocks, random.integers(0, 256, (n, key_bytes), dtype=np.uint8)


@each_backend
@pytest.mark.parametrize("n", LENGTHS)
def test_blocks_match_the_scalar_twin(backend: Backend, n: int) -> None:
    blocks, keys = random_blocks(n, 16)
    pairs = [(key.tobytes(), int(block).to_bytes(8, "big")) for key, block in zip(keys, blocks, strict=True)]

    def expected(function: Any, size: int) -> list[int]:
        return [int.from_bytes(function(key[:size], block), "big") for key, block in pairs]

    single = keys[:, :8].copy()
    assert encrypt_blocks(blocks, single, backend=backend).tolist() == expected(mac.des_encrypt_block, 8)
    assert decrypt_blocks(blocks, single, backend=backend).tolist() == expected(mac.des_decrypt_block, 8)
    assert tdes_encrypt_blocks(blocks, keys, backend=backend).tolist() == expected(mac.tdes_encrypt_block, 16)
    assert tdes_decrypt_blocks(blocks, keys, backend=backend).tolist() == expected(mac.tdes_decrypt_block, 16)


@each_backend
def test_one_key_for_all_blocks(backend: Backend) -> None:
    """As a keyed permutation of numbers: key as bytes, two threads, and back again."""
    numbers = np.arange(1500, dtype=np.uint64)
    key = bytes(range(16))
    hidden = tdes_encrypt_blocks(numbers, key, backend=backend, threads=2)
    every = np.tile(np.frombuffer(key, dtype=np.uint8), (1500, 1))
    assert np.array_equal(hidden, tdes_encrypt_blocks(numbers, every, backend=backend))
    assert np.array_equal(tdes_decrypt_blocks(hidden, key, backend=backend), numbers)


@each_backend
def test_equal_key_halves_give_single_des(backend: Backend) -> None:
    blocks, keys = random_blocks(3, 8)
    doubled = np.concatenate([keys, keys], axis=1)
    expected = encrypt_blocks(blocks, keys, backend=backend)
    assert np.array_equal(tdes_encrypt_blocks(blocks, doubled, backend=backend), expected)


@each_backend
def test_no_blocks(backend: Backend) -> None:
    blocks, keys = random_blocks(0, 8)
    assert len(encrypt_blocks(blocks, keys, backend=backend)) == 0


def test_block_arguments_are_checked() -> None:
    blocks, keys = random_blocks(3, 8)
    with pytest.raises(ValueError, match="blocks must be"):
        encrypt_blocks(blocks.astype(np.int64), keys)
    with pytest.raises(ValueError, match="keys must be"):
        encrypt_blocks(blocks, keys[:2])
    with pytest.raises(ValueError, match="keys must be"):
        tdes_encrypt_blocks(blocks, bytes(8))
    with pytest.raises(ValueError, match="threads"):
        encrypt_blocks(blocks, keys, threads=0)
    with pytest.raises(ValueError, match="backend"):
        encrypt_blocks(blocks, keys, backend="cuda")  # type: ignore[arg-type]


# --- TAC --------------------------------------------------------------------------------


def random_rows(n: int, *, loads: float = 0.3, keys: int = 7, seed: int = 1) -> tuple[TacInput, Any]:
    """Return rows with every field over its whole range, and a master key table."""
    random = np.random.default_rng(seed)

    def column(stop: int, dtype: type[np.generic]) -> Any:
        return random.integers(0, stop, n, dtype=dtype)

    inputs = TacInput(
        amount=column(2**32, np.int64),
        txn_type=np.where(
            random.random(n) < loads, random.choice([1, 2], n), random.choice([0, 3, 5, 6, 9, 255], n)
        ).astype(np.uint8),
        terminal_id=column(2**48, np.uint64),
        terminal_counter=column(2**32, np.uint32),
        date4=column(2**32, np.uint32),
        time3=column(2**24, np.uint32),
        new_balance=column(2**32, np.uint32),
        online_counter=column(2**16, np.uint16),
        factor=column(2**64, np.uint64),
        key_row=column(keys, np.int32),
    )
    return inputs, random.integers(0, 256, (keys, 16), dtype=np.uint8)


def scalar_tac(inputs: TacInput, master_keys: Any, row: int) -> int:
    """Compute one row with `card_io.mac`."""
    master = master_keys[inputs.key_row[row]].tobytes()
    card_key = mac.diversify_key(master, int(inputs.factor[row]).to_bytes(8, "big"))
    amount, kind = int(inputs.amount[row]), int(inputs.txn_type[row])
    terminal, date, time = (int(c[row]) for c in (inputs.terminal_id, inputs.date4, inputs.time3))
    if kind in (1, 2):
        balance, counter = int(inputs.new_balance[row]), int(inputs.online_counter[row])
        code = mac.load_tac(card_key, balance, counter, amount, kind, terminal, date, time)
    else:
        counter = int(inputs.terminal_counter[row])
        code = mac.purchase_tac(card_key, amount, kind, terminal, counter, date, time)
    return int.from_bytes(code, "big")


@pytest.mark.parametrize("loads", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", LENGTHS)
def test_tac_matches_the_scalar_twin(n: int, loads: float) -> None:
    inputs, master_keys = random_rows(n, loads=loads)
    expected = [scalar_tac(inputs, master_keys, row) for row in range(n)]
    for backend in BACKENDS:
        assert compute_tac(inputs, master_keys, backend=backend).tolist() == expected, backend


@pytest.mark.skipif(config.DISABLE_JIT, reason="the llvm backend needs the JIT")
@pytest.mark.parametrize("seed", range(3))
def test_backends_agree_bit_for_bit(seed: int) -> None:
    inputs, master_keys = random_rows(40_000, keys=300, seed=seed)
    assert np.array_equal(
        compute_tac(inputs, master_keys, backend="llvm"), compute_tac(inputs, master_keys, backend="numpy")
    )


@each_backend
def test_threads_do_not_change_anything(backend: Backend) -> None:
    inputs, master_keys = random_rows(3 * GROUP + 3)
    one = compute_tac(inputs, master_keys, backend=backend)
    for threads in (2, 3, 16):
        assert np.array_equal(compute_tac(inputs, master_keys, backend=backend, threads=threads), one)


@each_backend
def test_verdicts(backend: Backend) -> None:
    inputs, master_keys = random_rows(1500)
    tac = compute_tac(inputs, master_keys).astype(np.int64)
    key_row, amount, terminal, time = (
        c.copy() for c in (inputs.key_row, inputs.amount, inputs.terminal_id, inputs.time3)
    )
    expected = np.full(1500, TacVerdict.VERIFIED, dtype=np.uint8)
    tac[3] ^= 1
    tac[4] ^= 1 << 31
    tac[5] += 1 << 32  # equal in its low four bytes only
    amount[6] += 1 << 32
    amount[7] = -1
    terminal[8] += np.uint64(1 << 48)
    time[9] += np.uint32(1 << 24)
    expected[3:10] = TacVerdict.FAILED
    tac[10], tac[11] = -1, np.iinfo(np.int64).min
    expected[10:12] = TacVerdict.MISSING
    key_row[12] = key_row[13] = -1
    tac[13] = -1
    expected[12:14] = TacVerdict.KEY_UNKNOWN
    changed = replace(inputs, key_row=key_row, amount=amount, terminal_id=terminal, time3=time)
    assert np.array_equal(verify_tac(changed, tac, master_keys, backend=backend, threads=2), expected)


@each_backend
def test_rows_without_a_key_compute_to_zero(backend: Backend) -> None:
    inputs, master_keys = random_rows(600)
    expected = compute_tac(inputs, master_keys, backend=backend)
    key_row = inputs.key_row.copy()
    key_row[::7] = -1
    expected[::7] = 0
    assert np.array_equal(compute_tac(replace(inputs, key_row=key_row), master_keys, backend=backend), expected)


@each_backend
def test_no_rows_and_no_keys(backend: Backend) -> None:
    inputs, master_keys = random_rows(0)
    assert len(verify_tac(inputs, np.empty(0, dtype=np.int64), master_keys, backend=backend)) == 0
    inputs, _ = random_rows(5)
    inputs = replace(inputs, key_row=np.full(5, -1, dtype=np.int32))
    verdicts = verify_tac(inputs, np.zeros(5, dtype=np.int64), np.empty((0, 16), dtype=np.uint8), backend=backend)
    assert verdicts.tolist() == [TacVerdict.KEY_UNKNOWN] * 5


def test_strided_and_read_only_columns() -> None:
    inputs, master_keys = random_rows(100)
    strided = np.repeat(inputs.factor, 2)[::2]
    frozen = inputs.date4.copy()
    frozen.setflags(write=False)
    same = replace(inputs, factor=strided, date4=frozen)
    assert np.array_equal(compute_tac(same, master_keys), compute_tac(inputs, master_keys))


def test_tac_arguments_are_checked() -> None:
    inputs, master_keys = random_rows(10)
    with pytest.raises(ValueError, match="date4 must be uint32"):
        replace(inputs, date4=inputs.date4.astype(np.int64))
    with pytest.raises(ValueError, match="factor must have shape"):
        replace(inputs, factor=inputs.factor[1:])
    with pytest.raises(ValueError, match="key_row"):
        compute_tac(inputs, master_keys[: inputs.key_row.max()])
    with pytest.raises(ValueError, match="key_row"):
        compute_tac(replace(inputs, key_row=inputs.key_row - np.int32(9)), master_keys)
    with pytest.raises(ValueError, match="master_keys"):
        compute_tac(inputs, master_keys[:, :8])
    with pytest.raises(ValueError, match="tac must be"):
        verify_tac(inputs, np.zeros(9, dtype=np.int64), master_keys)
    amount = inputs.amount.copy()
    amount[4] = -5
    with pytest.raises(ValueError, match="row 4"):
        compute_tac(replace(inputs, amount=amount), master_keys)


def test_issuer_keys() -> None:
    _, roots = random_rows(0, keys=3)
    issuers = np.array([1, 2**63, 0x0102030405060708], dtype=np.uint64)
    derived = diversify_issuer_keys(roots, issuers)
    assert derived.dtype == np.uint8
    assert derived.shape == (3, 16)
    assert derived[2].tobytes() == mac.diversify_key(roots[2].tobytes(), bytes(range(1, 9)))


# --- spans and the kernel cache ---------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 512, 513, 5000])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_spans_cover_the_rows_once(rows: int, threads: int) -> None:
    spans: list[tuple[int, int]] = []
    for_spans(rows, GROUP, threads, lambda start, stop: spans.append((start, stop)))
    covered = [row for start, stop in sorted(spans) for row in range(start, stop)]
    assert covered == list(range(rows))
    assert all(start % GROUP == 0 for start, _ in spans)
    assert len(spans) <= threads


def cache_directory(**settings: str) -> str:
    """Ask a fresh process, which has numba imported already, for its kernel cache directory."""
    program = (
        "import numba\n"
        "from clearing.kernel_cache import set_kernel_cache\n"
        "directory = set_kernel_cache()\n"
        "assert numba.config.CACHE_DIR == str(directory)\n"
        "print(directory)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_kernel_cache_directory_follows_base_and_cpu(tmp_path: Path) -> None:
    native = cache_directory(CLEARING_KERNEL_CACHE=str(tmp_path))
    assert Path(native).parent == tmp_path
    assert cache_directory(CLEARING_KERNEL_CACHE=str(tmp_path)) == native
    restricted = cache_directory(CLEARING_KERNEL_CACHE=str(tmp_path), NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="")
    assert restricted != native


def test_kernel_sources_are_what_kernels_import(tmp_path: Path) -> None:
    files = {
        "clearing/__init__.py": "",
        "clearing/kernels.py": "from numba import njit\nfrom clearing import (\n  masks as m,  # why\n  tables,\n)\n",
        "clearing/masks.py": "",
        "clearing/tables.py": "import card_io.records\nimport os\n",
        "clearing/report.py": "from clearing.kernels import run\n",
        "card_io/records.py": "",
        "tariffs/kernels.py": "import numba\nfrom .constants import LIMIT\n",
        "tariffs/constants.py": "LIMIT = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = {str(path.relative_to(tmp_path)) for path in kernel_sources(tmp_path).values()}
    assert found == set(files) - {"clearing/report.py"}


def test_kernel_sources_reach_the_circuits() -> None:
    root = Path(__file__).resolve().parents[3]
    assert {"clearing.mac.tac", "clearing.mac.llvm", "clearing.mac.circuit"} <= set(kernel_sources(root))
