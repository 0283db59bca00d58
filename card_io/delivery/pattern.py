"""Date and time patterns of profiles: ``YYYY MM DD hh mm ss`` between literal characters."""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_PARTS: Final = {"date4": ("YYYY", "MM", "DD"), "time3": ("hh", "mm", "ss")}
_PART: Final = re.compile("(YYYY|MM|DD|hh|mm|ss)")


class DatePattern:
    """A fixed-width pattern with a whole date, a whole time, or both.

    Attributes:
        text: the pattern as written.
        regex: what a matching text looks like, anchored; digits are ASCII digits.
        fields: the engine columns it gives, of ``date4`` and ``time3``.
    """

    def __init__(self, text: str) -> None:
        pieces = _PART.split(text)
        # A split on one group alternates literals and parts.
        literals, parts = pieces[0::2], pieces[1::2]
        self.text = text
        self.fields = [field for field, wanted in _PARTS.items() if set(wanted) <= set(parts)]
        if not parts or sorted(parts) != sorted(part for field in self.fields for part in _PARTS[field]):
            raise ValueError(f"{text!r} must have each of YYYY MM DD, or each of hh mm ss, or all six, once")
        digits = [f"[0-9]{{{len(part)}}}" for part in parts]
        escaped = [re.escape(literal) for literal in literals]
        self.regex = "^" + "".join(map("".join, zip(escaped, [*digits, ""], strict=True))) + "$"
        self._starts = {part: text.index(part) for part in parts}

    def bcd(self, field: str, texts: pa.Array) -> pa.Array:
        """Packed BCD of one of `fields`, uint32 Arrow array; null stays null.

        Args:
            field: ``date4`` or ``time3``.
            texts: string array whose values all match `regex`.
        """
        digits = [
            pc.utf8_slice_codeunits(texts, self._starts[part], self._starts[part] + len(part))
            for part in _PARTS[field]
        ]
        # Packed BCD of decimal digits is those digits read as hexadecimal.
        return pc.cast(pc.binary_join_element_wise("0x", *digits, ""), pa.uint32())
