"""From a card number to the engine's name of the card; a number never stays."""

from __future__ import annotations

from pathlib import Path

from card_io.keys.keystore import KeyStore
from clearing.cards import CardKeys
from clearing.errors import ClearingError
from clearing.initialise import KEYSTORE


def card_id_from(directory: Path, passphrase: str, number: str) -> int:
    """card_id of a card number.

    Raises:
        ClearingError: no number was given (it is not repeated in the message).
    """
    if not number:
        raise ClearingError("no card number", remedy="type it at the prompt, or write it on standard input")
    store = KeyStore.unlock(directory / KEYSTORE, passphrase)
    return CardKeys.from_store(store).card_id_of_text(number)
