"""Taking a bank file: archive it by hash, judge it, seal the judgement (docs/clearing-rules.md §13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clearing import calendar
from clearing.archive import file_sha256
from clearing.bank.iso20022 import read_iso20022
from clearing.bank.match import Judgement, judge, refused
from clearing.bank.messages import BankFile, BankFileError
from clearing.bank.statements import load_csv_profile, read_csv_statement, read_list_answer, read_mt940
from clearing.engine import declared_now, opened, project
from clearing.errors import ConfigError
from clearing.payments.book import PaymentBook, as_postings, open_window
from clearing.run_summary import RunSummary

Format = Literal["auto", "iso20022", "mt940", "list", "csv"]


@dataclass
class BankSummary:
    """What a bank file did; JSON-able."""

    file: str
    entry: int
    format: str
    outcome: str
    reason: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether the file was taken and leaves nothing open."""
        return self.outcome == "taken" and not any(line["open"] for line in self.lines)


def take_bank_file(
    directory: Path,
    path: Path,
    *,
    passphrase: str,
    form: Format = "auto",
    profile: str = "statement-csv",
    now: int | None = None,
    wait: float = 60.0,
) -> BankSummary:
    """Read a bank's answer, notice or statement and book what it proves; a wrong file moves nothing and is on record.

    Raises:
        ConfigError: the file cannot be opened.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot be read ({exc.strerror})", where=path, remedy="check the path") from exc
    with opened(directory, passphrase, wait=wait, purpose="clearing bank") as (centre, projection):
        at = declared_now(centre, now)
        book = PaymentBook(centre.journal)
        sha256 = file_sha256(path)
        read: BankFile | None = None
        try:
            _refuse_known(book, sha256)
            read = read_bank_file(content, form, [directory / "profiles" / "bank"], profile)
            judgement = judge(read, book, centre.settings)
        except BankFileError as exc:
            judgement = refused(exc)
        centre.archive.store_config(path)
        window = open_window(centre.journal, int(calendar.received_window(at, centre.settings.calendar)))
        body = _body(path.name, sha256, read, judgement, window)
        entry = centre.journal.append("bank", body, at=at, key=centre.signing)
        project(centre, projection, RunSummary())
    return BankSummary(
        path.name, entry.sequence, body["format"], judgement.outcome, judgement.reason, judgement.lines
    )


def read_bank_file(content: bytes, form: Format, folders: list[Path], profile: str) -> BankFile:
    """A bank file of a named format, or of the one it looks like.

    Raises:
        BankFileError: it cannot be read as that.
    """
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:64]
    if form == "auto":
        first = start.splitlines()[0] if start else b""
        form = (
            "iso20022"
            if start.startswith(b"<")
            else "mt940"
            if start.startswith((b":20:", b"{1:"))
            else "list"
            if first.count(b"|") == 3
            else "csv"
        )
    if form == "iso20022":
        return read_iso20022(content)
    if form == "mt940":
        return read_mt940(content)
    if form == "list":
        return read_list_answer(content)
    return read_csv_statement(content, load_csv_profile(folders, profile))


def _refuse_known(book: PaymentBook, sha256: str) -> None:
    for entry in book.bank_entries:
        if entry.body["sha256"] == sha256 and entry.body["outcome"] == "taken":
            raise BankFileError("repeated", f"the same file was taken in journal entry {entry.sequence}")


def _body(name: str, sha256: str, read: BankFile | None, judgement: Judgement, window: int) -> dict[str, Any]:
    return {
        "file": name,
        "sha256": sha256,
        "format": read.format if read is not None else "unread",
        "message": read.message if read is not None else "",
        "outcome": judgement.outcome,
        "reason": judgement.reason,
        "statements": judgement.statements,
        "lines": judgement.lines,
        "postings": as_postings(judgement.postings, window),
    }
