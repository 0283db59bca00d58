"""One export: which format needs what, and where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TextIO, get_args

from card_io.keys.keystore import KeyStore
from clearing.cards import CardKeys
from clearing.config import load_settings
from clearing.export import gbt24589, journals, open_data, tides
from clearing.pricing import PriceBook
from clearing.report.facts import published_ledger

Format = Literal["hledger", "beancount", "tides", "gbt24589", "open-data"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

NEEDS_KEYS: Final = ("tides",)
"""Formats that carry keyed tokens of cards: the key store must be unlocked for them."""


def export_centre(directory: Path, form: Format, out: TextIO, *, passphrase: str | None = None) -> None:
    """Write the centre's ledger as ``form`` to ``out``; the same ledger gives the same bytes.

    Args:
        directory: the centre.
        form: one of :data:`FORMATS`.
        out: text stream, opened with ``newline=""``.
        passphrase: of the key store; needed by :data:`NEEDS_KEYS` only.

    Raises:
        ConfigError, KeyStoreError: the centre cannot be opened.
        ClearingError: the projection is missing or damaged.
    """
    settings = load_settings(directory)
    with published_ledger(directory) as store:
        if form == "hledger":
            journals.write_hledger(store, settings, out)
        elif form == "beancount":
            journals.write_beancount(store, settings, out)
        elif form == "gbt24589":
            gbt24589.write(store, settings, out)
        elif form == "open-data":
            open_data.write(store, out)
        else:
            assert passphrase is not None, "the command asks for it"
            keys = CardKeys.from_store(KeyStore.unlock(directory / "keys" / "keystore.json", passphrase))
            tides.write(store, PriceBook.load(directory, settings), keys, out)
