"""Delivery files in the inbox: cut by sender and hour, signed, and some of them faulty as files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from card_io.delivery.manifest import Manifest, write_manifest
from card_io.keys.signature import SigningKey
from card_io.records import Service
from clearing.calendar import date_of, text_of
from clearing.simulate.keyring import Secrets
from clearing.simulate.table import Ints, Table, group_starts

MAX_FILE_ROWS: Final = 250_000


@dataclass(frozen=True)
class Parcel:
    """Rows that go into one file."""

    sender: int
    service: Service
    slot: int
    rows: Ints


@dataclass(frozen=True)
class Sent:
    """A delivery as it lies in the inbox."""

    manifest: Manifest
    service: Service
    intact: bool
    """Whether every row of it can be decoded."""


def parcels(rows: Table) -> Iterator[Parcel]:
    """Cut rows into files by sender, service and slot; inside a file they stand in order of time."""
    order = np.lexsort((rows["time"], rows["slot"], rows["service"], rows["sender"]))
    group = (rows["sender"] * 8 + rows["service"]) * 16 + rows["slot"]
    starts = group_starts(group[order])
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
        first = order[start]
        for cut in range(start, end, MAX_FILE_ROWS):
            yield Parcel(
                int(rows["sender"][first]),
                Service(int(rows["service"][first])),
                int(rows["slot"][first]),
                order[cut : min(cut + MAX_FILE_ROWS, end)],
            )


class Inbox:
    """Writes a day's deliveries; numbers the files of each sender."""

    def __init__(self, folder: Path, day: int, secrets: Secrets) -> None:
        self._folder = folder
        self._date = date_of(day).isoformat()
        self._secrets = secrets
        self._sequence: dict[int, int] = {}

    def send(self, parcel: Parcel, table: pa.Table, amount_fen: int, sent_at: int, intact: bool) -> Sent:
        """Write a data file and its manifest; ``amount_fen`` is the sender's own control total."""
        name, sequence = self.next_name(parcel.sender, parcel.service)
        pq.write_table(table, self._folder / name, compression="zstd", compression_level=1)
        manifest = Manifest(
            format_version=1,
            sender=parcel.sender,
            service=parcel.service.name.lower(),  # type: ignore[arg-type]
            file_date=self._date,
            sequence=sequence,
            file=name,
            format="parquet",
            rows=table.num_rows,
            amount_fen=amount_fen,
            sha256=_sha256(self._folder / name),
            sent_at=text_of(sent_at),
        )
        return self.sign(Sent(manifest, parcel.service, intact))

    def next_name(self, sender: int, service: Service) -> tuple[str, int]:
        """Name and sequence number of a sender's next file."""
        sequence = self._sequence[sender] = self._sequence.get(sender, 0) + 1
        return f"{sender:04d}-{service.name.lower()}-{self._date}-{sequence:05d}.parquet", sequence

    def sign(self, sent: Sent, key: SigningKey | None = None) -> Sent:
        """Sign a manifest with its sender's key, or another one, and write it."""
        signer = key or self._secrets.sender_key(sent.manifest.sender)
        signed = sent.manifest.model_copy(update={"signature": None}).with_signature(signer.sign)
        write_manifest(self._folder, signed)
        return replace(sent, manifest=signed)

    def read(self, sent: Sent) -> bytes:
        """The bytes of a sent data file."""
        return (self._folder / sent.manifest.file).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Put a data file into the inbox as it is."""
        (self._folder / name).write_bytes(content)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
