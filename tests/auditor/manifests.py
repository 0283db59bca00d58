"""The manifest of a delivery: its checks, its signature, and the file outcomes of rules §10 that need it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from auditor.columns import OF_SERVICE
from auditor.times import seconds_of

SUFFIX = ".manifest.json"
CLASSES_SUFFIX = ".classes.csv"

_REQUIRED = (
    "format_version",
    "sender",
    "service",
    "file_date",
    "sequence",
    "file",
    "format",
    "rows",
    "amount_fen",
    "sha256",
    "sent_at",
)
_OPTIONAL = ("classes_sha256", "signature")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_HEX_128 = re.compile(r"[0-9a-f]{128}")
_FORMAT = re.compile(r"[a-z0-9][a-z0-9-]*")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")


@dataclass(frozen=True)
class Manifest:
    """A manifest that passed its own checks; ``content`` is the document as it was signed."""

    content: dict[str, Any]

    @property
    def file(self) -> str:
        return str(self.content["file"])

    @property
    def sender(self) -> int:
        return int(self.content["sender"])

    @property
    def service(self) -> str:
        return str(self.content["service"])

    @property
    def sent_at(self) -> int:
        return seconds_of(self.content["sent_at"])

    @property
    def identity(self) -> tuple[int, str, int]:
        return (self.sender, self.content["file_date"], self.content["sequence"])

    def signed_by(self, public_key: bytes) -> bool:
        """Ed25519 over the document without its signature: keys sorted, no spaces, UTF-8."""
        unsigned = {key: value for key, value in self.content.items() if key != "signature"}
        message = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        signature = self.content.get("signature")
        if signature is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(signature), message)
        except InvalidSignature:
            return False
        return True


def read_manifest(path: Path) -> Manifest | None:
    """The manifest, or None when it is a bad one."""
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_unique_keys)
    except ValueError:
        return None
    if not isinstance(content, dict) or not _well_formed(content) or content["file"] + SUFFIX != path.name:
        return None
    return Manifest(content)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _well_formed(m: dict[str, Any]) -> bool:
    if set(m) - set(_REQUIRED) - set(_OPTIONAL) or set(_REQUIRED) - set(m):
        return False
    return (
        m["format_version"] == 1
        and _integer(m["format_version"], 1)
        and _integer(m["sender"], 1)
        and m["sender"] < 2**32
        and m["service"] in OF_SERVICE
        and _matches(_DATE, m["file_date"])
        and _exists(date, m["file_date"])
        and _integer(m["sequence"], 1)
        and isinstance(m["file"], str)
        and _matches(_FORMAT, m["format"])
        and _integer(m["rows"], 0)
        and (m["amount_fen"] is None or _integer(m["amount_fen"], 0))
        and _matches(_HEX_64, m["sha256"])
        and _matches(_TIME, m["sent_at"])
        and _exists(datetime, m["sent_at"])
        and (m.get("classes_sha256") is None or _matches(_HEX_64, m["classes_sha256"]))
        and (m.get("signature") is None or _matches(_HEX_128, m["signature"]))
    )


def _integer(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _exists(kind: type[date], text: str) -> bool:
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True
