"""Intake: from files in the inbox to archived, signed, acknowledged deliveries (docs/clearing-rules.md §10).

Two halves. The first is row-local and runs on many files at once (:mod:`clearing.prepare`); here are its checks of a
file as a whole. The second runs in order under the lock (:mod:`clearing.engine`): identity and content are compared
with what the journal knows (:class:`KnownFiles`), then signed entry and acknowledgement. Nothing is ever thrown away:
a refused file is archived like any other.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from card_io.delivery.errors import ManifestError
from card_io.delivery.inbox import Delivery
from card_io.delivery.manifest import Identity, Manifest, load_manifest
from card_io.delivery.profile import SourceRules
from card_io.keys.errors import SignatureError
from card_io.records import UnreadableRow
from clearing.calendar import date_of
from clearing.centre import Centre
from clearing.content import root_text
from clearing.ledger.journal import Entry


class Outcome(StrEnum):
    """What became of a delivery at the door."""

    RECEIVED = "received"
    REPEATED = "repeated"
    BAD_MANIFEST = "bad_manifest"
    UNKNOWN_SENDER = "unknown_sender"
    BAD_SIGNATURE = "bad_signature"
    SERVICE_NOT_AGREED = "service_not_agreed"
    UNKNOWN_PROFILE = "unknown_profile"
    HASH_MISMATCH = "hash_mismatch"
    EMPTY_FILE = "empty_file"
    WRONG_COLUMNS = "wrong_columns"
    COUNT_MISMATCH = "count_mismatch"
    TOTAL_MISMATCH = "total_mismatch"
    IDENTITY_CLASH = "identity_clash"
    CONTENT_CLASH = "content_clash"


class Refusal(Exception):  # noqa: N818 - a business outcome on its way to the sender, not an operating fault
    """A delivery cannot be taken: outcome, reason and what the sender should do."""

    def __init__(self, outcome: Outcome, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.remedy = outcome, reason, remedy


@dataclass
class Prepared:
    """One delivery after the row-local half.

    ``readable`` rows have money ``readable_fen`` (what the manifest's control total is about); ``root`` is the
    content root of the source rows.
    """

    file_no: int
    received_at: int
    manifest: Manifest | None
    rules: SourceRules | None = None
    unreadable: list[UnreadableRow] = field(default_factory=list)
    readable: int = 0
    readable_fen: int = 0
    root: int = 0
    outcome: Outcome = Outcome.RECEIVED
    reason: str | None = None
    remedy: str | None = None
    name: str = ""
    archived: dict[str, str] = field(default_factory=dict)
    """SHA-256 hex of each archived file by its kind."""

    def refuse(self, outcome: Outcome, reason: str, remedy: str) -> None:
        """Note what became of the delivery instead of being received; its rows go no further."""
        self.outcome, self.reason, self.remedy = outcome, reason, remedy
        self.unreadable, self.readable, self.readable_fen = [], 0, 0


def manifest_of(delivery: Delivery) -> Manifest:
    """The manifest of a delivery.

    Raises:
        Refusal: it cannot be read. So do the other checks of this module.
    """
    try:
        return load_manifest(delivery.manifest)
    except ManifestError as exc:
        raise Refusal(Outcome.BAD_MANIFEST, exc.what, exc.remedy) from exc


def check_sender(centre: Centre, prepared: Prepared) -> None:
    """Known, agreed for the service, and signed with a key of the sender valid on the day of receipt."""
    manifest = prepared.manifest
    assert manifest is not None
    keys = centre.registers.senders.get(manifest.sender, ())
    known = any(p.id == manifest.sender for p in centre.settings.participants)
    if not known or not keys:
        raise Refusal(Outcome.UNKNOWN_SENDER, f"sender {manifest.sender} is not registered", "register the sender")
    today = date_of(prepared.received_at // 86400)
    for key in keys:
        try:
            manifest.verify_with(key.key.verify)
        except (SignatureError, ManifestError):
            continue
        if key.valid_from <= today <= key.valid_to:
            break
    else:
        raise Refusal(Outcome.BAD_SIGNATURE, "no valid key of the sender fits the signature", "sign and send again")
    if manifest.service not in centre.settings.participant(manifest.sender).services:
        raise Refusal(
            Outcome.SERVICE_NOT_AGREED,
            f"sender {manifest.sender} delivers no {manifest.service}",
            "add the service to the sender in centre.yaml",
        )


def check_bytes(manifest: Manifest, content: bytes, classes: bytes | None) -> None:
    """Whole and as signed, data and sidecar."""
    if hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise Refusal(Outcome.HASH_MISMATCH, "the data is not what the manifest signed", "send the whole file again")
    found = hashlib.sha256(classes).hexdigest() if classes is not None else None
    if found != manifest.classes_sha256:
        raise Refusal(
            Outcome.HASH_MISMATCH,
            "the fare-class sidecar is not what the manifest signed",
            "send the sidecar with its hash in the manifest, or neither",
        )
    if not content:
        raise Refusal(Outcome.EMPTY_FILE, "the file has no bytes", "send a file with its header")


def check_totals(prepared: Prepared) -> None:
    """As many rows and as much money as the manifest says."""
    manifest = prepared.manifest
    assert manifest is not None
    found = prepared.readable + len(prepared.unreadable)
    if found != manifest.rows:
        raise Refusal(
            Outcome.COUNT_MISMATCH, f"{found} rows, the manifest says {manifest.rows}", "correct the manifest or file"
        )
    if manifest.amount_fen is not None:
        rest = manifest.amount_fen - prepared.readable_fen
        if rest < 0 or (rest and not prepared.unreadable):
            raise Refusal(
                Outcome.TOTAL_MISMATCH,
                f"{prepared.readable_fen} fen, the manifest says {manifest.amount_fen}",
                "correct the manifest or file",
            )


@dataclass
class KnownFiles:
    """What the journal knows of files: by identity and by content."""

    by_identity: dict[Identity, dict[str, Any]] = field(default_factory=dict)
    by_root: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterator[Entry]) -> KnownFiles:
        """From the intake entries of a journal."""
        known = cls()
        for entry in entries:
            known.add(entry.body)
        return known

    def add(self, body: dict[str, Any]) -> None:
        """Remember a received file."""
        if body["outcome"] == Outcome.RECEIVED:
            self.by_identity[body["sender"], body["file_date"], body["sequence"]] = body
            if body["rows"]:
                self.by_root[body["content_root"]] = body

    def judge(self, prepared: Prepared) -> None:
        """Turn a delivery the journal knows into ``repeated``, or a clash that goes to a person."""
        manifest = prepared.manifest
        if manifest is None or prepared.outcome in (Outcome.UNKNOWN_SENDER, Outcome.BAD_SIGNATURE):
            return
        root = root_text(prepared.root)
        same = self.by_identity.get(manifest.identity)
        decoded = prepared.outcome is Outcome.RECEIVED
        if same is not None and (same["sha256"] == manifest.sha256 or (decoded and same["content_root"] == root)):
            prepared.refuse(Outcome.REPEATED, f"file {same['file_no']} again", "nothing to do")
        elif same is not None and decoded:
            prepared.refuse(
                Outcome.IDENTITY_CLASH,
                f"file {same['file_no']} has this sender, date and sequence with other content",
                "a person compares both; a correction needs its own sequence",
            )
        elif decoded and (other := self.by_root.get(root)) is not None:
            prepared.refuse(
                Outcome.CONTENT_CLASH,
                f"the same rows as file {other['file_no']} under another identity",
                "a person decides which of the two is meant",
            )


def intake_body(prepared: Prepared) -> dict[str, Any]:
    """The body of a delivery's signed journal entry."""
    manifest = prepared.manifest
    described = manifest.model_dump(mode="json", exclude={"signature", "format_version"}) if manifest else {}
    rules = prepared.rules
    return {
        **described,
        "file": prepared.name,
        "file_no": prepared.file_no,
        "outcome": str(prepared.outcome),
        "reason": prepared.reason,
        "remedy": prepared.remedy,
        "content_root": root_text(prepared.root),
        "archived": prepared.archived,
        "readable_rows": prepared.readable,
        "readable_fen": prepared.readable_fen,
        "whole_row": bool(rules and rules.identity == "whole_row"),
        "multiplicity": rules.multiplicity if rules else 1,
    }


def manifest_of_entry(entry: Entry) -> Manifest | None:
    """The manifest as an intake entry describes it; None when it could not be read."""
    names = [name for name in Manifest.model_fields if name in entry.body]
    described = {name: entry.body[name] for name in names if entry.body[name] is not None or name == "amount_fen"}
    return Manifest.model_validate({"format_version": 1, **described}) if "sender" in entry.body else None


def bytes_of(document: dict[str, object]) -> bytes:
    """A document for a participant: UTF-8 JSON, indented, keys in their order."""
    buffer = io.StringIO()
    json.dump(document, buffer, ensure_ascii=False, indent=1)
    return buffer.getvalue().encode() + b"\n"
