"""The manifest: a small signed JSON file beside every data file, written last.

It says whose file it is, how many rows and how much money it carries and what its bytes hash to. A data file
counts as complete only once its manifest is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic import Field as Constrained

from card_io.delivery.errors import ManifestError
from card_io.delivery.json_file import write_json_atomically
from card_io.records import Service

MANIFEST_SUFFIX: Final = ".manifest.json"
CLASSES_SUFFIX: Final = ".classes.csv"
PARQUET: Final = "parquet"

_MAX_MANIFEST_BYTES: Final = 65_536
_MAX_NAME_BYTES: Final = 200


def _existing_date(text: str) -> str:
    date.fromisoformat(text)
    return text


def _existing_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _bare_name(text: str) -> str:
    if text.startswith(".") or any(mark in text for mark in "/\\:") or not text.isprintable():
        raise ValueError("not a bare, visible file name")
    # Room for the companions' suffixes within the 255 bytes a file system allows.
    if len(text.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"longer than {_MAX_NAME_BYTES} bytes")
    return text


_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Constrained(ge=0, le=2**63 - 1)]


class RegisterKind(BaseModel):
    """Rows of one transaction type in a file: count and fen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    txn_type: Annotated[int, Constrained(ge=0, le=255)]
    rows: _Count
    fen: _Count


class TerminalRegister(BaseModel):
    """Register totals of one terminal for one file: what its counters say, against which the rows are held.

    Attributes:
        terminal_id: 12 hex digits.
        counter_start: lowest terminal transaction number drawn since the file before; None = none was drawn.
        counter_end: highest one.
        drawn: transaction numbers drawn since the file before.
        refused: of those, numbers behind which no money moved (refused, not debited, taps without a row).
        kinds: rows in this file by transaction type.
        grey_rows: torn transactions that nobody could decide so far and no file holds.
        grey_fen: fen they would have moved.
        journal_sequence: number of the capture journal's last entry before this file.
        journal_digest: SHA-256 of that entry, hex; it stands for the whole chain before it.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    terminal_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    counter_start: _Count | None
    counter_end: _Count | None
    drawn: _Count
    refused: _Count
    kinds: list[RegisterKind]
    grey_rows: _Count
    grey_fen: _Count
    journal_sequence: _Count
    journal_digest: _Sha256


Identity = tuple[int, str, int]
"""Of a delivery: sender, file date, sequence."""


class Manifest(BaseModel):
    """One delivery, as its sender declares it; money in fen, times are the sender's wall time.

    Attributes:
        format_version: of this manifest, 1.
        sender: participant number.
        service: name of the :class:`~card_io.records.Service` of all rows, lower case.
        file_date: the sender's business date, YYYY-MM-DD.
        sequence: number of the file among those of (sender, file_date), from 1.
        file: bare name of the data file.
        format: "parquet" or the name of a delivery profile.
        rows: data rows in the file.
        amount_fen: control total of column ``amount``; None = the source has none.
        sha256: of the data file's bytes, lower-case hex.
        sent_at: YYYY-MM-DDTHH:MM:SS.
        classes_sha256: of the fare-class sidecar's bytes, if there is one.
        registers: register totals per terminal, where the sender's terminals keep them.
        signature: Ed25519 over :meth:`signing_bytes`, lower-case hex; None while unsigned.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format_version: Literal[1]
    sender: Annotated[int, Constrained(ge=1, le=2**32 - 1)]
    service: Literal["transit", "medical", "utility", "retail", "load", "benefit"]
    file_date: Annotated[
        str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_existing_date)
    ]
    sequence: Annotated[int, Constrained(ge=1, le=2**63 - 1)]
    file: Annotated[str, StringConstraints(min_length=1), AfterValidator(_bare_name)]
    format: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    rows: _Count
    amount_fen: _Count | None
    sha256: _Sha256
    sent_at: Annotated[
        str,
        StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$"),
        AfterValidator(_existing_time),
    ]
    classes_sha256: _Sha256 | None = None
    registers: list[TerminalRegister] | None = None
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")] | None = None

    @model_validator(mode="after")
    def _registers_agree(self) -> Self:
        if self.registers is not None:
            kinds = [kind for register in self.registers for kind in register.kinds]
            if (rows := sum(kind.rows for kind in kinds)) != self.rows:
                raise ValueError(f"the registers count {rows} rows, the manifest {self.rows}")
            if self.amount_fen is not None and (fen := sum(kind.fen for kind in kinds)) != self.amount_fen:
                raise ValueError(f"the registers count {fen} fen, the manifest {self.amount_fen}")
        return self

    @property
    def identity(self) -> Identity:
        """What makes it this delivery and no other."""
        return self.sender, self.file_date, self.sequence

    @property
    def record_service(self) -> Service:
        """`service` as the enum of the record schema."""
        return Service[self.service.upper()]

    def signing_bytes(self) -> bytes:
        """What the signature covers: every key present but ``signature``; sorted, no spaces, UTF-8."""
        content = self.model_dump(exclude={"signature"}, exclude_unset=True)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def with_signature(self, sign: Callable[[bytes], bytes]) -> Manifest:
        """A signed copy; `sign` maps a message to its 64-byte Ed25519 signature."""
        return self.model_copy(update={"signature": sign(self.signing_bytes()).hex()})

    def verify_with(self, verify: Callable[[bytes, bytes], None]) -> None:
        """Check the signature by `verify(signature, message)`, which raises if it does not fit.

        Raises:
            ManifestError: the manifest is not signed. What `verify` raises passes through.
        """
        if self.signature is None:
            raise ManifestError(
                manifest_name(self.file), "signature", "missing", "sign the manifest with the sender's key"
            )
        verify(bytes.fromhex(self.signature), self.signing_bytes())


def manifest_name(data_file: str) -> str:
    """Name of the manifest of a data file."""
    return data_file + MANIFEST_SUFFIX


def load_manifest(path: Path) -> Manifest:
    """Read and validate a manifest; its signature is not checked here.

    Raises:
        ManifestError: not JSON, a key twice, a field missing, unknown or wrong, or a name that is not the
            data file's.
    """
    raw = path.read_bytes()
    if len(raw) > _MAX_MANIFEST_BYTES:
        raise ManifestError(path.name, "the file", f"{len(raw)} bytes long", "a manifest has few hundred bytes")
    try:
        content = json.loads(raw, object_pairs_hook=_unique_keys)
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise _first_problem(path.name, error) from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(path.name, "the file", f"not a JSON object ({error})", "send valid JSON") from None
    if manifest_name(manifest.file) != path.name:
        raise ManifestError(
            path.name, "file", repr(manifest.file), f"name the manifest {manifest_name(manifest.file)}"
        )
    return manifest


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Two readers could pick different ones of two equal keys, and both would see a valid signature.
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands twice")
    return content


def _first_problem(file: str, error: ValidationError) -> ManifestError:
    problem = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "the file"
    missing = problem["type"] == "missing"
    value = "missing" if missing else repr(problem["input"])[:80]
    return ManifestError(file, field, value, f"correct it: {problem['msg']}")


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest beside its data file, whole or not at all; returns its path.

    Write it after the data file is complete: its presence is what releases the delivery.
    """
    path = folder / manifest_name(manifest.file)
    write_json_atomically(path, manifest.model_dump(exclude_unset=True))
    return path
