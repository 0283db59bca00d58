"""DES and two-key triple DES in electronic-codebook mode, over columns of blocks.

Blocks are uint64, the eight bytes read big-endian. These are the machine's block kernels
with nothing around them: for keyed permutations of numbers, and for proving the cipher
against published vectors.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from clearing.kernels import read_only
from clearing.mac import llvm, numpy_backend
from clearing.mac.machine import DEFAULT_BACKEND, NUMPY_ROWS, Backend, for_spans, require_backend
from clearing.mac.program import (
    Op,
    Program,
    Step,
    Words,
    assemble,
    transpose,
    triple_decrypt,
    triple_encrypt,
)

_BLOCK, _LEFT, _RIGHT = 0, 1, 2

_ENCRYPT = assemble(transpose(_BLOCK, _LEFT), [Step(Op.ENCRYPT, _BLOCK, _LEFT)], transpose(_BLOCK))
_DECRYPT = assemble(transpose(_BLOCK, _LEFT), [Step(Op.DECRYPT, _BLOCK, _LEFT)], transpose(_BLOCK))
_TRIPLE_ENCRYPT = assemble(transpose(_BLOCK, _LEFT, _RIGHT), triple_encrypt(_BLOCK, _LEFT, _RIGHT), transpose(_BLOCK))
_TRIPLE_DECRYPT = assemble(transpose(_BLOCK, _LEFT, _RIGHT), triple_decrypt(_BLOCK, _LEFT, _RIGHT), transpose(_BLOCK))

Keys = NDArray[np.uint8]


def encrypt_blocks(blocks: Words, keys: Keys, *, backend: Backend = DEFAULT_BACKEND, threads: int = 1) -> Words:
    """Encrypt each block with DES.

    Args:
        blocks: uint64[n].
        keys: uint8[n, 8], one key a block, or uint8[1, 8], one key for all; parity bits are ignored.
        backend: "llvm", or "numpy" for the slow twin.
        threads: number of threads that share the rows.

    Returns:
        uint64[n], in the order of `blocks`.

    Raises:
        ValueError: a shape does not fit, or `backend` or `threads` makes no sense.
        RuntimeError: the llvm backend was asked for while numba's JIT is off.
    """
    return _apply(_ENCRYPT, blocks, keys, 8, backend, threads)


def decrypt_blocks(blocks: Words, keys: Keys, *, backend: Backend = DEFAULT_BACKEND, threads: int = 1) -> Words:
    """Invert `encrypt_blocks`; same arguments, result and errors."""
    return _apply(_DECRYPT, blocks, keys, 8, backend, threads)


def tdes_encrypt_blocks(
    blocks: Words, keys: Keys | bytes, *, backend: Backend = DEFAULT_BACKEND, threads: int = 1
) -> Words:
    """Encrypt each block with two-key triple DES (encrypt, decrypt, encrypt).

    `keys` is uint8[n, 16], uint8[1, 16], or sixteen bytes for all blocks; otherwise like
    `encrypt_blocks`. Equal key halves are accepted and give single DES.
    """
    return _apply(_TRIPLE_ENCRYPT, blocks, _as_rows(keys), 16, backend, threads)


def tdes_decrypt_blocks(
    blocks: Words, keys: Keys | bytes, *, backend: Backend = DEFAULT_BACKEND, threads: int = 1
) -> Words:
    """Invert `tdes_encrypt_blocks`; same arguments, result and errors."""
    return _apply(_TRIPLE_DECRYPT, blocks, _as_rows(keys), 16, backend, threads)


def key_words(keys: Keys) -> Words:
    """Return keys uint8[k, 8 * halves] as words uint64[k, halves], big-endian halves."""
    return np.ascontiguousarray(keys).view(">u8").astype(np.uint64)


def _as_rows(keys: Keys | bytes) -> Keys:
    return np.frombuffer(keys, dtype=np.uint8).reshape(1, -1) if isinstance(keys, bytes) else keys


def _apply(program: Program, blocks: Words, keys: Keys, key_bytes: int, backend: Backend, threads: int) -> Words:
    """Run `program` with the blocks in register 0 and the key halves in the registers after it."""
    require_backend(backend)
    if blocks.ndim != 1 or blocks.dtype != np.uint64:
        raise ValueError(f"blocks must be uint64[n], not {blocks.dtype}{list(blocks.shape)}")
    if keys.dtype != np.uint8 or keys.shape not in ((1, key_bytes), (len(blocks), key_bytes)):
        wanted = f"uint8[1 or {len(blocks)}, {key_bytes}]"
        raise ValueError(f"keys must be {wanted}, not {keys.dtype}{list(keys.shape)}")
    words = key_words(keys)
    result = np.empty(len(blocks), dtype=np.uint64)
    source = np.ascontiguousarray(blocks)
    work = _apply_llvm if backend == "llvm" else _apply_numpy

    def span(start: int, stop: int) -> None:
        span_keys = words if len(words) == 1 else words[start:stop]
        work(program, read_only(source[start:stop]), read_only(span_keys), result[start:stop])

    for_spans(len(result), llvm.ROWS, threads, span)
    return result


def _apply_llvm(program: Program, blocks: Words, keys: Words, result: Words) -> None:
    _kernel(program, blocks, keys, llvm.aligned_registers(1 + keys.shape[1]), result)


def _apply_numpy(program: Program, blocks: Words, keys: Words, result: Words) -> None:
    for start in range(0, len(blocks), NUMPY_ROWS):
        stop = min(start + NUMPY_ROWS, len(blocks))
        registers = numpy_backend.registers(1 + keys.shape[1], stop - start)
        _fill(blocks, keys, start, stop, registers)
        numpy_backend.run(program, registers)
        result[start:stop] = registers[_BLOCK, : stop - start]


@njit(nogil=True, cache=True)
def _kernel(program: Program, blocks: Words, keys: Words, registers: Words, result: Words) -> None:
    """Fill `result` from `blocks`, `llvm.ROWS` rows at a time."""
    for start in range(0, len(blocks), llvm.ROWS):
        stop = min(start + llvm.ROWS, len(blocks))
        _fill(blocks, keys, start, stop, registers)
        llvm.run(program, registers)
        for row in range(start, stop):
            result[row] = registers[_BLOCK, row - start]


@njit(nogil=True, cache=True)
def _fill(blocks: Words, keys: Words, start: int, stop: int, registers: Words) -> None:
    """Write rows start..stop to the registers; registers are at least that long.

    A ragged group leaves old words behind its last row. They are computed with and dropped.
    """
    each = 0 if len(keys) == 1 else 1
    for row in range(start, stop):
        registers[_BLOCK, row - start] = blocks[row]
        for half in range(keys.shape[1]):
            registers[_LEFT + half, row - start] = keys[row * each, half]
