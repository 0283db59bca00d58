"""A training issuer per session, and what the batch engine says of the codes its cards make."""

from __future__ import annotations

import pytest

from card_io.apdu import CardChannel
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.reader import VirtualReader
from card_io.virtual_card.training import TrainingIssuer


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> TrainingIssuer:
    """An issuer with random 3DES masters."""
    return TrainingIssuer.create(tmp_path_factory.mktemp("issuer") / "keystore.json", "training", scrypt_n=2)


def channel_to(card: VirtualCard) -> CardChannel:
    """A channel to `card` in a fresh reader."""
    return CardChannel(VirtualReader(card).connect())
