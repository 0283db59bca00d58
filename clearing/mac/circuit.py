"""Boolean circuits as data, and the compiler from truth tables to circuits.

A bitsliced cipher holds bit *b* of many blocks in one machine word and computes with
whole words, so a table look-up has to become a formula. This module finds the formula:
it builds a decision diagram of the table over one variable order, with nodes shared between
outputs and complemented edges. A node decides its variable by a multiplexer (Shannon's
expansion) or by an exclusive or with a masked difference (Davio's two), whichever adds
least to what is there. Nodes are lowered to two-input gates at once, so a backend only has
to know the four kinds of `GateKind`; where there are ternary instructions, LLVM fuses most
nodes back into one each.

Signals are numbered: the inputs first, then one for each gate. A *literal* is
``2 * signal + complemented``, as in the AIGER format; `FALSE` and `TRUE` stand outside
that numbering, so that ``literal ^ 1`` complements every literal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import permutations

FALSE = -2
TRUE = -1

_GATE_WEIGHT = 2
_NODE_WEIGHT = 3

_Expansion = Callable[[int, int, int, int], int]
"""(select variable, number of variables after it, values for 0, values for 1) to literal."""


class GateKind(IntEnum):
    """What a gate computes from its operands ``a`` and ``b``."""

    AND = 0
    AND_NOT = 1  # a & ~b
    OR = 2
    XOR = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """A two-input gate; the operands are signals computed before it."""

    kind: GateKind
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Circuit:
    """A straight-line Boolean program.

    `outputs` are literals, none of them constant: the reader of an output applies the
    complement (it is going to combine the value anyway, so it seldom costs a gate).
    `nodes` counts the decisions, each of them one ternary function.
    """

    inputs: int
    gates: tuple[Gate, ...]
    outputs: tuple[int, ...]
    nodes: int

    @property
    def cost(self) -> int:
        """What the compiler minimises: gates for CPUs without ternary logic, nodes for those with."""
        return _GATE_WEIGHT * len(self.gates) + _NODE_WEIGHT * self.nodes

    def evaluate(self, assignment: int) -> int:
        """Return the outputs (bit *k* = output *k*) for one assignment (bit *v* = input *v*)."""
        values = [assignment >> v & 1 for v in range(self.inputs)]
        for gate in self.gates:
            a, b = values[gate.a], values[gate.b]
            match gate.kind:
                case GateKind.AND:
                    values.append(a & b)
                case GateKind.AND_NOT:
                    values.append(a & ~b & 1)
                case GateKind.OR:
                    values.append(a | b)
                case GateKind.XOR:
                    values.append(a ^ b)
        bits = (values[literal >> 1] ^ literal & 1 for literal in self.outputs)
        return sum(bit << k for k, bit in enumerate(bits))


class _DiagramCompiler:
    """Builds gates for decision diagrams over one variable order, sharing equal subfunctions.

    A function of the last *w* variables of the order is ``(w, values)``: bit *i* of `values`
    is its value at *i*, the earliest variable being the most significant bit of *i*. Every
    stored function is 0 at 0; its complement is the same signal behind a complemented literal.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order
        self._literals: dict[tuple[int, int], int] = {}
        self._signals: dict[Gate, int] = {}
        self.nodes = 0

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gates so far; a gate's signal is the number of inputs plus its place here."""
        return tuple(self._signals)

    def literal(self, width: int, values: int) -> int:
        """Return the literal of a function, adding the gates it still lacks."""
        if values & 1:
            return self.literal(width, values ^ _ones(width)) ^ 1
        if not values:
            return FALSE
        known = self._literals.get((width, values))
        if known is None:
            known = self._literals[width, values] = self._expand(width, values)
        return known

    def _expand(self, width: int, values: int) -> int:
        """Decide the function's first variable, in whichever of three ways adds least.

        The first variable of all is always a multiplexer: a choice there would make the
        search six times as long and saves next to nothing.
        """
        rest = width - 1
        low, high = values & _ones(rest), values >> (1 << rest)
        if low == high:
            return self.literal(rest, low)
        select = self._order[-width]
        if width == len(self._order):
            return self._shannon(select, rest, low, high)
        expansions = (self._shannon, self._davio_low, self._davio_high)
        cheapest = min(expansions, key=lambda expansion: self._trial(expansion, select, rest, low, high))
        return cheapest(select, rest, low, high)

    def _trial(self, expansion: _Expansion, select: int, rest: int, low: int, high: int) -> int:
        """Return what an expansion would add, and leave everything as it was."""
        literals, gates, nodes = len(self._literals), len(self._signals), self.nodes
        expansion(select, rest, low, high)
        cost = _GATE_WEIGHT * (len(self._signals) - gates) + _NODE_WEIGHT * (self.nodes - nodes)
        while len(self._literals) > literals:
            self._literals.popitem()
        while len(self._signals) > gates:
            self._signals.popitem()
        self.nodes = nodes
        return cost

    def _shannon(self, select: int, rest: int, low: int, high: int) -> int:
        """Multiplexer: `high` where the variable is 1, else `low`."""
        zero, one = self.literal(rest, low), self.literal(rest, high)
        return self._node(zero, 2 * select, self._xor(zero, one))

    def _davio_low(self, select: int, rest: int, low: int, high: int) -> int:
        """`low`, changed where the variable is 1; the difference is a function in its own right."""
        return self._node(self.literal(rest, low), 2 * select, self.literal(rest, low ^ high))

    def _davio_high(self, select: int, rest: int, low: int, high: int) -> int:
        """`high`, changed where the variable is 0; the difference is a function in its own right."""
        return self._node(self.literal(rest, high), 2 * select + 1, self.literal(rest, low ^ high))

    def _node(self, base: int, mask: int, difference: int) -> int:
        """Return ``base ^ (mask & difference)`` of three literals, and count it if it takes a gate."""
        gates = len(self._signals)
        result = self._xor(base, self._and(mask, difference))
        self.nodes += len(self._signals) > gates
        return result

    def _and(self, a: int, b: int) -> int:
        """Return the literal of ``a & b``, with complements absorbed; `a` is not constant."""
        if b in (FALSE, TRUE):
            return a if b == TRUE else FALSE
        if a & b & 1:
            return self._gate(GateKind.OR, *sorted((a >> 1, b >> 1))) ^ 1
        if a & 1:
            return self._gate(GateKind.AND_NOT, b >> 1, a >> 1)
        if b & 1:
            return self._gate(GateKind.AND_NOT, a >> 1, b >> 1)
        return self._gate(GateKind.AND, *sorted((a >> 1, b >> 1)))

    def _xor(self, a: int, b: int) -> int:
        """Return the literal of ``a ^ b``, with complements moved to the result."""
        if a in (FALSE, TRUE) or b in (FALSE, TRUE):
            constant, other = (a, b) if a in (FALSE, TRUE) else (b, a)
            return other ^ (constant == TRUE)
        return self._gate(GateKind.XOR, *sorted((a >> 1, b >> 1))) ^ (a ^ b) & 1

    def _gate(self, kind: GateKind, a: int, b: int) -> int:
        signal = self._signals.setdefault(Gate(kind, a, b), len(self._order) + len(self._signals))
        return 2 * signal


def _ones(width: int) -> int:
    """Return the values of the constant true function of so many variables."""
    return (1 << (1 << width)) - 1


def compile_tables(tables: Sequence[Sequence[int]], order: Sequence[int]) -> Circuit:
    """Compile truth tables over common inputs to one circuit.

    `tables[k][x]` is output *k* (0 or 1) when input *v* carries bit *v* of *x*; all tables
    have 2^n entries and none is constant. `order` names the inputs from the one decided
    first to the one decided last.

    Raises ValueError when the sizes do not match or a table is constant.
    """
    n = len(order)
    if sorted(order) != list(range(n)) or any(len(table) != 1 << n for table in tables):
        raise ValueError("order must name each input once, and each table have 2^n entries")
    compiler = _DiagramCompiler(order)
    indices = [
        sum((position >> (n - 1 - depth) & 1) << v for depth, v in enumerate(order)) for position in range(1 << n)
    ]
    outputs = tuple(
        compiler.literal(n, sum(table[x] << position for position, x in enumerate(indices))) for table in tables
    )
    if FALSE in outputs or TRUE in outputs:
        raise ValueError("a constant table has no circuit")
    return Circuit(n, compiler.gates, outputs, compiler.nodes)


def best_order(tables: Sequence[Sequence[int]], inputs: int) -> tuple[int, ...]:
    """Return the variable order whose circuit costs least; ties go to the first.

    Tries all ``inputs!`` orders: up to half a minute for six inputs and four outputs, so
    `des_circuit` keeps the result.
    """
    return min(permutations(range(inputs)), key=lambda order: compile_tables(tables, order).cost)
