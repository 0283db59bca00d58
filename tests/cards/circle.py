"""A centre and terminals that belong to it: registers, keys and parameter files as the centre gives them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from card_io.capture.deliver import DeliveryReport, deliver
from card_io.keys.entry import KeyKind
from card_io.keys.keystore import KeyStore
from card_io.keys.signature import SigningKey
from card_io.terminals.station import Station, signing_key
from card_io.virtual_card.training import TrainingIssuer, add_masters
from clearing.calendar import seconds_of
from clearing.cards import CardKeys
from clearing.engine import run_centre
from clearing.initialise import CARDS_SCHEMA, KEYSTORE, initialise_centre
from clearing.parameters import publish_parameters
from clearing.run_summary import RunSummary

from .terminals import T0, Clock

PASSPHRASE = "circle"
ISSUER = "3104770000000001"
SENDERS = (200, 210, 600, 701)


@dataclass
class Circle:
    """One centre, one issuer, terminals of its operators."""

    folder: Path
    issuer: TrainingIssuer
    clock: Clock = field(default_factory=lambda: Clock(T0))

    @property
    def centre(self) -> Path:
        return self.folder / "centre"

    @classmethod
    def create(cls, folder: Path) -> Circle:
        """A new centre; the training issuer has the centre's own TAC masters."""
        centre = folder / "centre"
        initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
        store = KeyStore.unlock(centre / KEYSTORE, PASSPHRASE)
        on = date(2026, 1, 1)
        tac = {
            kind: store.find(kind, ISSUER, 1, 1, on_date=on).secret
            for kind in (KeyKind.TAC_PURCHASE, KeyKind.TAC_LOAD)
        }
        masters = KeyStore.create(folder / "issuer.json", PASSPHRASE, scrypt_n=2)
        add_masters(masters, ISSUER, secrets=tac)
        masters.save()
        keys = [SigningKey(sender.to_bytes(32, "big")) for sender in SENDERS]
        lines = [
            f"{sender},{key.verify_key.to_hex()},2020-01-01,2099-12-31\n"
            for sender, key in zip(SENDERS, keys, strict=True)
        ]
        senders = centre / "registers" / "senders.csv"
        senders.write_text(senders.read_text() + "".join(lines))
        [signing] = store.stored(KeyKind.CENTRE_SIGNING)
        (folder / "centre.key").write_text(SigningKey(signing.secret).verify_key.to_hex())
        return cls(folder, TrainingIssuer(masters, ISSUER))

    def register(self, numbers: Sequence[int]) -> None:
        """Put the cards 310…n of the training issuer into the centre's register, class adult."""
        keys = CardKeys.from_store(KeyStore.unlock(self.centre / KEYSTORE, PASSPHRASE))
        ids = sorted(keys.card_id_of_text(f"310{number:016d}") for number in numbers)
        days = (date(2020, 1, 1) - date(1970, 1, 1)).days
        columns = [ids, [0] * len(ids), [days] * len(ids), [days * 2] * len(ids)]
        arrays = [pa.array(values, each.type) for values, each in zip(columns, CARDS_SCHEMA, strict=True)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=CARDS_SCHEMA), self.centre / "registers" / "cards.parquet")

    def publish(self) -> None:
        """Have the centre write its parameter files."""
        publish_parameters(self.centre, passphrase=PASSPHRASE, now=self.now)

    @property
    def now(self) -> int:
        return self.clock.ns // 10**9

    def station(self, number: str, merchant: int, sender: int, services: list[str], **more: object) -> Station:
        """A terminal of a merchant, registered with the centre."""
        folder = self.folder / number
        folder.mkdir()
        settings = {
            "terminal_id": number,
            "merchant_id": merchant,
            "sender": sender,
            "services": services,
            "drop": str(self.centre / "inbox"),
            "answers": str(self.centre / "outbox" / str(sender)),
            "signing_key": "sender.key",
            "centre_key": "../centre.key",
            "parameters": str(self.centre / "outbox" / str(sender) / "parameters"),
            "keystore": "../issuer.json",
            **more,
        }
        (folder / "terminal.json").write_text(json.dumps(settings))
        (folder / "sender.key").write_text(SigningKey(sender.to_bytes(32, "big")).to_hex())
        terminals = self.centre / "registers" / "terminals.csv"
        terminals.write_text(terminals.read_text() + f"{number},{merchant},2020-01-01,2099-12-31\n")
        return Station(folder, PASSPHRASE, clock=self.clock)

    def deliver(self, station: Station) -> DeliveryReport:
        """What a terminal delivers now."""
        return deliver(station.point, station.settings, signing_key(station.settings), self.clock.ns)

    def run(self, now: str | None = None) -> RunSummary:
        """Clear what has arrived."""
        return run_centre(self.centre, passphrase=PASSPHRASE, now=self.now if now is None else seconds_of(now))
