"""The bitsliced machine in LLVM vector code: 512 rows with 512 different keys at a time.

Each circuit is emitted once as straight-line IR on ``<8 x i64>`` values, inside a loop over
the sixteen rounds (unrolling the whole cipher would compile for minutes). LLVM legalises
the vector type on any CPU and, where there is AVX-512, fuses the gates to ternary logic.
The code has no table look-up and no branch that depends on a key or a block.

The emitted functions are private to the calling kernel's module, so numba's disk cache
keeps them with the kernel; `clearing.kernel_cache` takes care of changed sources.

This module needs a running JIT: with NUMBA_DISABLE_JIT it imports, but `run` fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from clearing.mac.circuit import Circuit, GateKind
from clearing.mac.des_circuit import ROUNDS, SCHEDULES, STATE_PLANES, sboxes
from clearing.mac.program import BUTTERFLIES, Op, Program, Words

LANES = 8
ROWS = 64 * LANES
"""Rows that advance together; a register is uint64[ROWS], row ``i * LANES + g`` in word i, lane g."""

_VECTOR = ir.VectorType(ir.IntType(64), LANES)
_POINTER = ir.PointerType()
_BYTE = ir.IntType(8)
_INDEX = ir.IntType(64)
_ALIGN = 8  # of a numpy array; whole cache lines are faster, see `aligned_registers`

_TRANSPOSE, _COPY, _INVERT, _XOR, _ENCRYPT = (
    int(op) for op in (Op.TRANSPOSE, Op.COPY, Op.INVERT, Op.XOR, Op.ENCRYPT)
)  # numba freezes plain integers, not enumeration members


def aligned_registers(count: int) -> Words:
    """Return uninitialised registers, uint64[count, ROWS], starting on a cache line."""
    line = 64
    memory = np.empty(count * ROWS * 8 + line, dtype=np.uint8)
    start = -memory.ctypes.data % line
    return memory[start : start + count * ROWS * 8].view(np.uint64).reshape(count, ROWS)


@intrinsic
def _des(typing_context: Any, registers: Any, state: Any, key: Any, direction: Any) -> Any:
    """Run DES on register `state` under register `key`; `direction` is ENCRYPT or DECRYPT."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, state, key, direction = arguments
        data = _data_pointer(context, builder, signature, array)
        function = _once(builder.module, "bitsliced_des", 3, _emit_des)
        schedule = builder.gep(
            _schedules(builder.module), [builder.mul(direction, _INDEX(ROUNDS * 48))], source_etype=_BYTE
        )
        builder.call(function, [_register(builder, data, state), _register(builder, data, key), schedule])
        return context.get_dummy_value()

    return types.void(registers, types.intp, types.intp, types.intp), codegen


@intrinsic
def _transpose(typing_context: Any, registers: Any, register: Any) -> Any:
    """Transpose the 64 x 64 bit matrix in every lane of `register`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, register = arguments
        data = _data_pointer(context, builder, signature, array)
        function = _once(builder.module, "bitsliced_transpose", 1, _emit_transpose)
        builder.call(function, [_register(builder, data, register)])
        return context.get_dummy_value()

    return types.void(registers, types.intp), codegen


@njit(nogil=True, cache=True)
def run(program: Program, registers: Words) -> None:
    """Run `program` in place on `registers`, uint64[registers, ROWS] in C order and writable.

    Register numbers are not checked: programs come from `assemble`, not from data.
    """
    for step in range(len(program)):
        op, target, source = program[step, 0], program[step, 1], program[step, 2]
        if op == _TRANSPOSE:
            _transpose(registers, target)
        elif op == _COPY:  # by hand: numba compiles an assignment of slices with its error texts, for seconds
            for row in range(ROWS):
                registers[target, row] = registers[source, row]
        elif op == _INVERT:
            for row in range(ROWS):
                registers[target, row] = ~registers[target, row]
        elif op == _XOR:
            for row in range(ROWS):
                registers[target, row] ^= registers[source, row]
        else:  # ENCRYPT and DECRYPT follow each other, in the order of the schedules
            _des(registers, target, source, op - _ENCRYPT)


def _data_pointer(context: Any, builder: ir.IRBuilder, signature: Any, array: ir.Value) -> ir.Value:
    """Return the address of a numba array's first element."""
    return context.make_array(signature.args[0])(context, builder, array).data


def _register(builder: ir.IRBuilder, data: ir.Value, number: ir.Value) -> ir.Value:
    """Return the address of a register's first plane."""
    return _plane(builder, data, builder.mul(number, _INDEX(64)))


def _plane(builder: ir.IRBuilder, base: ir.Value, number: ir.Value | int) -> ir.Value:
    index = _INDEX(number) if isinstance(number, int) else number
    return builder.gep(base, [index], source_etype=_VECTOR)


def _load(builder: ir.IRBuilder, base: ir.Value, number: ir.Value | int) -> ir.Value:
    return builder.load(_plane(builder, base, number), align=_ALIGN, typ=_VECTOR)


def _store(builder: ir.IRBuilder, value: ir.Value, base: ir.Value, number: ir.Value | int) -> None:
    builder.store(value, _plane(builder, base, number), align=_ALIGN)


def _once(
    module: ir.Module, name: str, pointers: int, emit: Callable[[ir.IRBuilder, Sequence[ir.Value]], None]
) -> ir.Function:
    """Return the module's private function `name` of so many pointers, emitting it on first use."""
    if name not in module.globals:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER] * pointers), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        emit(builder, function.args)
        builder.ret_void()
    return module.globals[name]


def _schedules(module: ir.Module) -> ir.GlobalVariable:
    """Return the module's private copy of `SCHEDULES`, flattened."""
    name = "bitsliced_des_schedules"
    if name not in module.globals:
        data = bytearray(SCHEDULES.tobytes())
        variable = ir.GlobalVariable(module, ir.ArrayType(_BYTE, len(data)), name)
        variable.linkage = "internal"
        variable.global_constant = True
        variable.initializer = ir.Constant(variable.value_type, data)
    return module.globals[name]


def _emit_des(builder: ir.IRBuilder, arguments: Sequence[ir.Value]) -> None:
    """Emit DES on the state planes, given the key planes and one direction of the schedule."""
    state, key, schedule = arguments
    work = builder.alloca(_VECTOR, 64)
    for i, plane in enumerate(STATE_PLANES):
        _store(builder, _load(builder, state, plane), work, i)
    with cgutils.for_range(builder, _INDEX(ROUNDS)) as loop:
        target_half = builder.shl(builder.and_(loop.index, _INDEX(1)), _INDEX(5))
        target = _plane(builder, work, target_half)
        source = _plane(builder, work, builder.xor(target_half, _INDEX(32)))
        round_schedule = builder.gep(schedule, [builder.mul(loop.index, _INDEX(48))], source_etype=_BYTE)
        _emit_round(builder, target, source, key, round_schedule)
    for i, plane in enumerate(STATE_PLANES):
        _store(builder, _load(builder, work, i ^ 32), state, plane)


def _emit_round(builder: ir.IRBuilder, target: ir.Value, source: ir.Value, key: ir.Value, schedule: ir.Value) -> None:
    """Emit ``target ^= f(source, round key)``; `schedule` addresses the round's 48 key planes."""
    for box, sbox in enumerate(sboxes()):
        inputs = []
        for v, plane in enumerate(sbox.sources):
            entry = builder.gep(schedule, [_INDEX(6 * box + v)], source_etype=_BYTE)
            key_plane = builder.zext(builder.load(entry, typ=_BYTE), _INDEX)
            inputs.append(builder.xor(_load(builder, source, plane), _load(builder, key, key_plane)))
        outputs = _emit_circuit(builder, sbox.circuit, inputs)
        for plane, output in zip(sbox.targets, outputs, strict=True):
            _store(builder, builder.xor(_load(builder, target, plane), output), target, plane)


def _emit_circuit(builder: ir.IRBuilder, circuit: Circuit, inputs: Sequence[ir.Value]) -> list[ir.Value]:
    """Emit the gates of a circuit and return its outputs, complements applied."""
    values = list(inputs)
    for gate in circuit.gates:
        a, b = values[gate.a], values[gate.b]
        match gate.kind:
            case GateKind.AND:
                values.append(builder.and_(a, b))
            case GateKind.AND_NOT:
                values.append(builder.and_(a, builder.not_(b)))
            case GateKind.OR:
                values.append(builder.or_(a, b))
            case GateKind.XOR:
                values.append(builder.xor(a, b))
    return [
        builder.not_(values[literal >> 1]) if literal & 1 else values[literal >> 1] for literal in circuit.outputs
    ]


def _emit_transpose(builder: ir.IRBuilder, arguments: Sequence[ir.Value]) -> None:
    """Emit the bit transposition in two passes, each over eight groups of eight vectors.

    Eight vectors take three of the six butterfly stages without leaving the CPU's registers.
    """
    (register,) = arguments
    for stride, stages in ((8, BUTTERFLIES[:3]), (1, BUTTERFLIES[3:])):
        with cgutils.for_range(builder, _INDEX(8)) as loop:
            group = _plane(builder, register, builder.mul(loop.index, _INDEX(8 // stride)))
            values = [_load(builder, group, stride * i) for i in range(8)]
            for distance, mask in stages:
                _emit_butterflies(builder, values, distance // stride, distance, mask)
            for i, value in enumerate(values):
                _store(builder, value, group, stride * i)


def _emit_butterflies(
    builder: ir.IRBuilder, values: list[ir.Value], step: int, distance: int, mask: np.uint64
) -> None:
    """Exchange bits between the values `step` apart, which are planes `distance` apart."""
    shift, low = (ir.Constant(_VECTOR, [int(constant)] * LANES) for constant in (distance, mask))
    for i in range(len(values)):
        if not i & step:
            upper, lower = values[i], values[i + step]
            exchange = builder.and_(builder.xor(builder.lshr(upper, shift), lower), low)
            values[i] = builder.xor(upper, builder.shl(exchange, shift))
            values[i + step] = builder.xor(lower, exchange)
