"""The bitsliced machine on numpy: the plain twin of `llvm`, for coverage and comparison.

A register is uint64[64, lanes]; word *i* of lane *g* belongs to row ``i * lanes + g``, so
flattening a register by row is a view. All rows advance together, whatever their number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clearing.mac.circuit import Circuit, GateKind
from clearing.mac.des_circuit import DECRYPT, ENCRYPT, ROUNDS, SCHEDULES, STATE_PLANES, sboxes
from clearing.mac.program import BUTTERFLIES, Op, Program, Words


def registers(count: int, rows: int) -> Words:
    """Return zeroed registers for `rows` rows, uint64[count, 64 * lanes]."""
    return np.zeros((count, -(-rows // 64) * 64), dtype=np.uint64)


def run(program: Program, registers: Words) -> None:
    """Run `program` in place on `registers`, uint64[registers, 64 * lanes] in C order."""
    planes = registers.reshape(len(registers), 64, -1)
    for op, target, source in program.tolist():
        match op:
            case Op.TRANSPOSE:
                _transpose(planes[target])
            case Op.COPY:
                planes[target] = planes[source]
            case Op.INVERT:
                np.invert(planes[target], out=planes[target])
            case Op.XOR:
                planes[target] ^= planes[source]
            case Op.ENCRYPT:
                _des(planes[target], planes[source], SCHEDULES[ENCRYPT])
            case Op.DECRYPT:
                _des(planes[target], planes[source], SCHEDULES[DECRYPT])


def _transpose(register: Words) -> None:
    """Transpose the 64 x 64 bit matrix of every lane in place."""
    for distance, mask in BUTTERFLIES:
        pairs = register.reshape(-1, 2, distance, register.shape[1])
        upper, lower = pairs[:, 0], pairs[:, 1]
        exchange = (upper >> np.uint64(distance) ^ lower) & mask
        lower ^= exchange
        upper ^= exchange << np.uint64(distance)


def _des(state: Words, key: Words, schedule: NDArray[np.uint8]) -> None:
    """Run the sixteen rounds on `state` in place; `schedule` is uint8[16, 48] of key planes."""
    work = state[list(STATE_PLANES)]
    target, source = work[:32], work[32:]
    for r in range(ROUNDS):
        for box, sbox in enumerate(sboxes()):
            round_key = key[schedule[r, 6 * box : 6 * box + 6]]
            outputs = _evaluate(sbox.circuit, source[list(sbox.sources)] ^ round_key)
            for plane, output in zip(sbox.targets, outputs, strict=True):
                target[plane] ^= output
        target, source = source, target
    for i, plane in enumerate(STATE_PLANES):
        state[plane] = work[i ^ 32]


def _evaluate(circuit: Circuit, inputs: Words) -> list[Words]:
    """Return the circuit's outputs for `inputs`, uint64[circuit.inputs, lanes]."""
    values = list(inputs)
    for gate in circuit.gates:
        a, b = values[gate.a], values[gate.b]
        match gate.kind:
            case GateKind.AND:
                values.append(a & b)
            case GateKind.AND_NOT:
                values.append(a & ~b)
            case GateKind.OR:
                values.append(a | b)
            case GateKind.XOR:
                values.append(a ^ b)
    return [~values[literal >> 1] if literal & 1 else values[literal >> 1] for literal in circuit.outputs]
