"""What the tables that go into pricing and come out of it are made of: frozen records of equal-length columns.

Money is int64 fen, time is int64 local seconds since 1970, days are int32 since 1970. A missing int64 value
is :data:`NULL`; there are no floats and no masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

NULL = int(np.iinfo(np.int64).min)
"""The missing value of every nullable int64 column."""

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint16]
Days = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]


def read_only(*columns: Ints) -> tuple[Ints, ...]:
    """Views that cannot be written: a tuple of columns that is of one type for a kernel, whatever they were."""
    views = tuple(column.view() for column in columns)
    for view in views:
        view.setflags(write=False)
    return views


@dataclass(frozen=True)
class Column:
    """dtype of one column and the value :meth:`Columns.of` fills in when it is not given.

    ``default=None`` marks a column that must be given.
    """

    dtype: type[np.generic]
    default: int | None = None

    @cached_property
    def layout(self) -> np.dtype[Any]:
        """The dtype as arrays carry it: mostly the very object, which is seen at once."""
        return np.dtype(self.dtype)


@dataclass(frozen=True, eq=False)
class Columns:
    """Equal-length columns; every field is declared as ``Annotated[array type, Column(...)]``.

    Records have no ``==``: arrays have none that is a single truth.
    """

    SPECS: ClassVar[Mapping[str, Column]] = {}
    """Declaration of each column, in order."""

    def __init_subclass__(cls) -> None:
        """Collect the declarations of a new kind of record."""
        hints = get_type_hints(cls, include_extras=True)
        cls.SPECS = {name: get_args(hint)[1] for name, hint in hints.items() if name != "SPECS"}

    def __post_init__(self) -> None:
        """Refuse a wrong dtype (TypeError) or unequal lengths (ValueError): a programmer's mistake."""
        lengths = set()
        for name, spec in self.SPECS.items():
            column = getattr(self, name)
            given = column.dtype if isinstance(column, np.ndarray) else None
            if given is not spec.layout and given != spec.layout:
                found = getattr(column, "dtype", type(column).__name__)
                raise TypeError(f"{type(self).__name__}.{name}: {found}, expected {spec.dtype.__name__}")
            lengths.add(len(column))
        if len(lengths) != 1:
            raise ValueError(f"{type(self).__name__}: columns of unequal length {sorted(lengths)}")

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.SPECS))))

    @classmethod
    def of(cls, length: int, **columns: npt.ArrayLike) -> Self:
        """Build ``length`` rows from the columns at hand; scalars are repeated, the rest takes its default.

        Contiguous arrays of the declared dtype are used as they are, not copied.

        Raises TypeError for an unknown column, a missing one without default or values that are no integers,
        ValueError for integers that do not fit the column.
        """
        specs = cls.SPECS
        if unknown := columns.keys() - specs.keys():
            raise TypeError(f"{cls.__name__} has no column {', '.join(sorted(unknown))}")
        built: dict[str, npt.NDArray[Any]] = {}
        for name, spec in specs.items():
            value = columns.get(name, spec.default)
            if value is None:
                raise TypeError(f"{cls.__name__}.{name} must be given")
            given = np.asarray(value)
            if given.size and given.dtype.kind not in "iub":
                raise TypeError(f"{cls.__name__}.{name}: {given.dtype} values are not integers")
            column = given.astype(spec.dtype, copy=False)
            if column is not given and not np.array_equal(column, given):
                raise ValueError(f"{cls.__name__}.{name}: values do not fit {spec.dtype.__name__}")
            whole = column if column.shape == (length,) else np.broadcast_to(column, length)
            built[name] = np.ascontiguousarray(whole)
        return cls(**built)

    @classmethod
    def zeros(cls, length: int) -> Self:
        """``length`` rows of zeros, to be filled by a pricing function."""
        return cls(**{name: np.zeros(length, spec.dtype) for name, spec in cls.SPECS.items()})

    @classmethod
    def blank(cls, length: int) -> Self:
        """``length`` rows that hold nothing yet: each is cleared (:meth:`clear`) while it is in the cache anyway."""
        return cls(**{name: np.empty(length, spec.dtype) for name, spec in cls.SPECS.items()})

    def clear(self) -> Self:
        """The same rows, all zeros now."""
        for name in self.SPECS:
            getattr(self, name).fill(0)
        return self

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """The rows of all ``parts`` in order; at least one part is needed."""
        listed = list(parts)
        return cls(**{name: np.concatenate([getattr(p, name) for p in listed]) for name in cls.SPECS})

    def take(self, rows: slice | Ints | Bools) -> Self:
        """The rows chosen by a slice (a view), an index array or a mask (copies)."""
        # Not looked over anew: parts of sound columns are sound, and a batch is taken apart into thousands.
        taken = object.__new__(type(self))
        vars(taken).update({name: getattr(self, name)[rows] for name in self.SPECS})
        return taken
