"""Card layouts, declared once: decoding, encoding, numpy columns and documentation follow from each declaration."""

from __future__ import annotations

from typing import Final

from card_io.layouts import japan_ic, octopus, overseas
from card_io.layouts.applications import (
    APPLICATIONS,
    CITY_UNION_PURSE,
    T_UNION_PURSE,
    Application,
    Family,
    Selected,
    algorithm_of,
    application,
    directory_entries,
    read_fci,
)
from card_io.layouts.commands import (
    Balance,
    CreditAnswer,
    CreditData,
    DebitAnswer,
    DebitData,
    LoadInitAnswer,
    OverdrawLimitData,
    ProveAnswer,
    PurchaseInitAnswer,
    PurseLimits,
    SamFile17,
    TransactionInit,
)
from card_io.layouts.errors import ContentError, LayoutError, LengthError, RoutingError, TlvError
from card_io.layouts.files import (
    JOURNEY_KINDS,
    MODES,
    TXN_TYPES,
    CityUnionApplication,
    Holder,
    IndustryRecord,
    JourneyRecord,
    LogRecord,
    Region,
    ShenzhenApplication,
    TUnionApplication,
)
from card_io.layouts.layout import KIND_MEANING, FieldSpec, Kind, Layout, Vector
from card_io.layouts.status_words import STATUS_WORDS, Outcome, StatusWord, status_word
from card_io.layouts.tlv import FILLER, Tlv, make_tlv, parse_tlv

PURSE_FILES: Final[tuple[type[Layout], ...]] = (
    TUnionApplication,
    CityUnionApplication,
    ShenzhenApplication,
    Holder,
    Region,
    LogRecord,
    IndustryRecord,
    JourneyRecord,
)
COMMANDS: Final[tuple[type[Layout], ...]] = (
    Balance,
    TransactionInit,
    PurchaseInitAnswer,
    DebitData,
    DebitAnswer,
    ProveAnswer,
    LoadInitAnswer,
    CreditData,
    CreditAnswer,
    OverdrawLimitData,
    SamFile17,
    PurseLimits,
)
READ_ONLY: Final[tuple[type[Layout], ...]] = (
    japan_ic.HistoryBlock,
    japan_ic.BalanceBlock,
    octopus.BalanceBlock,
    overseas.TMoneyPurse,
    overseas.TMoneyRecord,
    overseas.EasyCardRecord,
    overseas.EasyCardPurse,
    overseas.OpalCard,
    overseas.HslSerial,
    overseas.HslValue,
)
LAYOUTS: Final = (*PURSE_FILES, *COMMANDS, *READ_ONLY)
"""Every layout there is, in the order of the documentation page."""

__all__ = [
    "APPLICATIONS",
    "CITY_UNION_PURSE",
    "COMMANDS",
    "FILLER",
    "JOURNEY_KINDS",
    "KIND_MEANING",
    "LAYOUTS",
    "MODES",
    "PURSE_FILES",
    "READ_ONLY",
    "STATUS_WORDS",
    "TXN_TYPES",
    "T_UNION_PURSE",
    "Application",
    "Balance",
    "CityUnionApplication",
    "ContentError",
    "CreditAnswer",
    "CreditData",
    "DebitAnswer",
    "DebitData",
    "Family",
    "FieldSpec",
    "Holder",
    "IndustryRecord",
    "JourneyRecord",
    "Kind",
    "Layout",
    "LayoutError",
    "LengthError",
    "LoadInitAnswer",
    "LogRecord",
    "Outcome",
    "OverdrawLimitData",
    "ProveAnswer",
    "PurchaseInitAnswer",
    "PurseLimits",
    "Region",
    "RoutingError",
    "SamFile17",
    "Selected",
    "ShenzhenApplication",
    "StatusWord",
    "TUnionApplication",
    "Tlv",
    "TlvError",
    "TransactionInit",
    "Vector",
    "algorithm_of",
    "application",
    "directory_entries",
    "make_tlv",
    "parse_tlv",
    "read_fci",
    "status_word",
]
