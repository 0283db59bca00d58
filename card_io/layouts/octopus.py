"""Octopus (Hong Kong, FeliCa system 8008): read-only, for inspection (`card-standards.md` §3.7)."""

from __future__ import annotations

from typing import ClassVar, Final

from card_io.layouts.layout import Layout, Vector, hexa, uint

_OFFSET: Final = 350
"""The stored number of a card with nothing on it: Octopus lends up to 35 HKD."""


class BalanceBlock(
    Layout, name="octopus_balance", zh="八达通余额", en="Octopus balance block, service 0117", source="§3.7 [V]"
):
    """Block 0 of the service."""

    raw: int = uint(4, "balance in 0.1 HKD plus 350")
    reserved: str = hexa(12, "not read")

    VECTORS: ClassVar = (
        Vector("00000398000000000000000000000003", {"raw": 920}, "CoreExtendedNFC, Octopus tests (MIT)"),
    )

    @property
    def hong_kong_cents(self) -> int:
        """The balance, negative when the card is in debt."""
        return (self.raw - _OFFSET) * 10
