"""Audit: is the ledger what was sealed, and does the projection say what the journal says? (DESIGN §8)

:func:`verify` checks chain, signatures, archive, vault, segments, content roots, invariants and both copies of the
projection. :func:`verify_by_recomputing` runs the stages again from the raw archive and reports what differs.
Nothing is repaired here and nothing is written.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from card_io.keys.errors import KeysError
from card_io.records import Service
from clearing import __version__
from clearing.archive import file_sha256
from clearing.batch import Batch
from clearing.caches import batch_rows
from clearing.centre import Centre
from clearing.config import load_settings
from clearing.corrections.audit import check_corrections
from clearing.decide import decision_roots, merge_roots, roots_text
from clearing.durable import centre_lock
from clearing.errors import ClearingError, EvidenceError
from clearing.ledger.journal import Entry, Journal
from clearing.ledger.projection import PRIVATE_NAME, Projection
from clearing.participant_files import (
    acknowledgement_document,
    feedback_agrees,
    feedback_path,
    receipt_document,
)
from clearing.payments.audit import check_payments
from clearing.pricing import PriceBook
from clearing.proposal import proposal_document, proposal_path
from clearing.reconcile.checks import run_checks
from clearing.reconcile.day_switch import check_override
from clearing.recover import feedback_from_segments
from clearing.registers import load_registers
from clearing.run_summary import RunSummary
from clearing.store import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as sealed: where, and what."""

    where: str
    what: str

    def as_json(self) -> dict[str, str]:
        """The finding as JSON values."""
        return asdict(self)


Report = Callable[[str, str], None]

_DIFFERENCES_SHOWN: Final = 20
_DECISIVE: Final = (
    "status", "gross", "card_paid", "overcharge", "fund", "fund_paid", "operator_borne", "tariff", "segment", "rule",
    "price_verdict", "posting_template",
)  # fmt: skip


def verify(directory: Path, passphrase: str) -> list[Finding]:
    """Every deviation of the centre's evidence from what its journal sealed; empty = all is well.

    Raises:
        ConfigError, KeyStoreError: the centre cannot be opened at all.
    """
    findings: list[Finding] = []

    def report(where: str, what: str) -> None:
        findings.append(Finding(where, what))

    try:
        centre = Centre.open(directory, passphrase, audit=True)
    except EvidenceError as exc:
        return [Finding(str(exc.where), exc.what)]
    centre.journal.check_chain(centre.signing.verify_key, report)
    _check_archive(centre, report)
    _check_vault(centre, report)
    check_corrections(centre, report)
    whole = _check_segments(centre, report)
    for entry in centre.journal.of_kind("override"):
        if (wrong := check_override(centre, entry.body, entry.at)) is not None:
            report(f"journal/{entry.sequence:08d}.json", f"override: {wrong}")
    _check_answers(centre, report)
    check_payments(centre, report)
    if whole:
        _check_feedback(centre, report)
        _check_content(centre, report)
        _check_projections(centre, report)
    return findings


def _compare_hash(path: Path, name: str, sha256: str, report: Report) -> bool:
    if not path.exists():
        report(name, "the file is missing")
        return False
    if file_sha256(path) != sha256:
        report(name, "the bytes are not those the journal sealed")
        return False
    return True


def _check_archive(centre: Centre, report: Report) -> None:
    """Every archived delivery and configuration copy is the one an entry names, and no other lies there."""
    named = set()
    for entry in centre.journal.of_kind("intake"):
        for kind, sha256 in entry.body["archived"].items():
            path = centre.archive.path_of(entry.body["file_no"], kind)
            named.add(path.name)
            _compare_hash(path, f"archive/{path.name}", sha256, report)
    for path in sorted(centre.archive.folder.glob("*.*")):
        if path.name not in named:
            report(f"archive/{path.name}", "the journal knows no such delivery: an entry was removed, or a run died")
    for sha256 in {each for entry in centre.journal for each in _kept_by_hash(entry)}:
        _compare_hash(centre.archive.folder / "config" / sha256, f"archive/config/{sha256}", sha256, report)


def _kept_by_hash(entry: Entry) -> list[str]:
    """What an entry names of the archive's copies: the configuration it decided by, a bank's file."""
    return [*entry.body.get("configuration", {}).values(), *([entry.body["sha256"]] if entry.kind == "bank" else [])]


def _check_vault(centre: Centre, report: Report) -> None:
    named = {c["name"]: c["sha256"] for e in centre.journal.of_kind("batch") for c in e.body["vault"]}
    for name, sha256 in named.items():
        _compare_hash(centre.vault.folder / name, f"vault/{name}", sha256, report)
    for path in sorted(centre.vault.folder.glob("*.cards")):
        if path.name not in named:
            report(f"vault/{path.name}", "no batch entry names this chunk: an entry was removed, or a run died")


def _check_segments(centre: Centre, report: Report) -> bool:
    """Seal of every segment; returns whether all of them can be read."""
    folder, whole = centre.directory / "segments", True
    named = {s["name"]: s["sha256"] for e in centre.journal.of_kind("batch") for s in e.body["segments"]}
    for name, sha256 in named.items():
        whole &= _compare_hash(folder / name, f"segments/{name}", sha256, report)
    for path in sorted(folder.glob("*/*.parquet")):
        name = str(path.relative_to(folder))
        if name not in named:
            report(f"segments/{name}", "no batch entry names this segment: an entry was removed, or a run died")
    return whole


def _check_answers(centre: Centre, report: Report) -> None:
    """Answers are pure functions of the journal; one the journal does not know is ahead of it."""
    outbox = centre.directory / "outbox"
    intake = {entry.body["file_no"]: entry for entry in centre.journal.of_kind("intake")}
    results = {f["file_no"]: f["results"] for e in centre.journal.of_kind("batch") for f in e.body["files"]}
    expected: dict[str, Callable[[int], bytes | None]] = {
        "acknowledgement": lambda no: acknowledgement_document(intake[no]) if no in intake else None,
        "receipt": lambda no: receipt_document(intake[no], results[no]) if no in results else None,
    }
    for kind, document_of in expected.items():
        for path in sorted(outbox.glob(f"*/*.{kind}.json")):
            name, document = f"outbox/{path.parent.name}/{path.name}", document_of(int(path.name.split(".")[0]))
            if document is None:
                report(name, f"the journal does not know this {kind}: the newest entry was removed")
            elif path.read_bytes() != document:
                report(name, f"the {kind} is not the one the journal gives")
    closed = {proposal_path(centre.directory, entry): entry for entry in centre.journal.of_kind("close")}
    for path in sorted((centre.directory / "payments").glob("*.proposal.csv")):
        if path not in closed:
            report(f"payments/{path.name}", "the journal knows no such close: the newest entry was removed")
        elif path.read_bytes() != proposal_document(closed[path], centre.settings):
            report(f"payments/{path.name}", "the proposal is not the one the close entry gives")


def _check_feedback(centre: Centre, report: Report) -> None:
    """Record-level feedback against the segments it was made from."""
    outbox = centre.directory / "outbox"
    intake = {entry.body["file_no"]: entry for entry in centre.journal.of_kind("intake")}
    for batch in centre.journal.of_kind("batch"):
        files = {file["file_no"]: intake[file["file_no"]] for file in batch.body["files"]}
        for file_no, feedback in feedback_from_segments(centre, batch, files).items():
            path = feedback_path(outbox, files[file_no].body["sender"], file_no)
            if path.exists() and not feedback_agrees(path, feedback):
                report(f"outbox/{path.parent.name}/{path.name}", "the feedback is not what the segments say")


def _check_content(centre: Centre, report: Report) -> None:
    """Content roots and row counts of each batch, computed again from its segments."""
    for entry in centre.journal.of_kind("batch"):
        roots: dict[int, int] = {}
        for rows in batch_rows(centre, entry, tuple(Service)):
            roots = merge_roots(roots, decision_roots(rows))
        if roots_text(roots) != entry.body["content_roots"]:
            report(f"journal/{entry.sequence:08d}.json", "the segments' content root is not the sealed one")


def _check_projections(centre: Centre, report: Report) -> None:
    """Both copies of the database against a projection made afresh; then every check that blocks on the fresh one."""
    with _fresh_projection(centre) as fresh:
        expected = _database_content(fresh.store)
        published, private = (centre.directory / name for name in (PRIVATE_NAME, f"work/{PRIVATE_NAME}"))
        wrong = _differences(published, centre, expected)
        # A copy of the same bytes has the same content.
        copied = published.exists() and private.exists() and filecmp.cmp(published, private, shallow=False)
        again = wrong if copied else _differences(private, centre, expected)
        for name, found in ((f"work/{PRIVATE_NAME}", again), (PRIVATE_NAME, wrong)):
            for table, what in found:
                report(f"{name} {table}".rstrip(), what)
        for each in run_checks(fresh.store, centre.settings.reconciliation, ("blocks",), kept=1):
            if each.failed:
                report(f"check {each.check.name}", f"{each.rows} rows are wrong, the first: {each.findings[0]}")


def _differences(path: Path, centre: Centre, expected: dict[str, Any]) -> list[tuple[str, str]]:
    """Tables of a database, with what they have otherwise; one that is not there yet is made by the next run."""
    if not path.exists():
        return []
    try:
        with Store(path, centre.directory, read_only=True) as store:
            found = _database_content(store)
    except ClearingError as exc:
        return [("", exc.what)]
    differences = []
    for table in sorted(expected.keys() | found.keys()):
        right, here = expected.get(table), found.get(table)
        if right == here:
            continue
        if right is None or here is None:
            differences.append((table, "the table is there in one of projection and journal only"))
            continue
        wrong = [row for row in here if row not in right]
        missing = [row for row in right if row not in here]
        what = (
            f"{len(wrong)} rows the journal does not give, {len(missing)} missing; "
            f"here {wrong[:1] or '-'}, by the journal {missing[:1] or '-'}"
        )
        differences.append((table, what))
    return differences


@contextmanager
def _fresh_projection(centre: Centre) -> Iterator[Projection]:
    with tempfile.TemporaryDirectory() as folder:
        fresh = Projection(centre.directory, centre.settings, path=Path(folder) / "fresh.duckdb")
        try:
            fresh.catch_up(centre.journal)
            fresh.refresh(centre.journal)
            yield fresh
        finally:
            fresh.close()


def _database_content(store: Store) -> dict[str, Any]:
    """Every table's rows as a sorted list, and every view's definition."""
    tables = [name for (name,) in store.run("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")]
    content: dict[str, Any] = {name: sorted(store.run(f'SELECT * FROM "{name}"'), key=repr) for name in tables}
    views = store.run("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY 1")
    content["views"] = [(view, _EXCLUDED.sub(_in_order, sql)) for view, sql in views]
    return content


_EXCLUDED: Final = re.compile(r"EXCLUDE \(([^)]*)\)")


def _in_order(match: re.Match[str]) -> str:
    """DuckDB prints the columns of an EXCLUDE in no fixed order."""
    return f"EXCLUDE ({', '.join(sorted(match[1].split(', ')))})"


def verify_by_recomputing(directory: Path, passphrase: str) -> list[Finding]:
    """Run every batch again from the raw archive with its archived configuration; report what comes out otherwise."""
    findings: list[Finding] = []
    centre = Centre.open(directory, passphrase)
    with tempfile.TemporaryDirectory(dir=directory / "work") as folder:
        again = _empty_twin(centre, Path(folder))
        for entry in centre.journal:
            if entry.kind == "batch":
                _recompute_batch(centre, again, entry, findings)
            else:
                again.journal.append(entry.kind, entry.body, at=entry.at, key=again.signing)
    return findings


def _empty_twin(centre: Centre, folder: Path) -> Centre:
    """A centre with the same keys and archive and no ledger yet."""
    for name in ("work", "journal", "segments", "vault", "registers", "tariffs"):
        (folder / name).mkdir()
    return Centre(
        directory=folder,
        settings=centre.settings,
        registers=centre.registers,
        keys=centre.keys,
        signing=centre.signing,
        archive=centre.archive,
        vault=centre.vault.empty_at(folder / "vault"),
        journal=Journal(folder / "journal"),
        prices=centre.prices,
        chart=centre.chart,
        disk=centre.disk,
    )


def _recompute_batch(centre: Centre, again: Centre, entry: Entry, findings: list[Finding]) -> None:
    _restore_configuration(again, entry)
    if "grey_window" in entry.body:
        Batch(again, RunSummary()).decide_grey(entry.body["grey_window"], entry.at)
        _compare_batches(centre, again, entry, findings)
        return
    intake = {e.body["file_no"]: e for e in centre.journal.of_kind("intake")}
    files = [intake[file["file_no"]] for file in entry.body["files"]]
    batch = Batch(again, RunSummary())
    batch.expect(sum(file.body["rows"] for file in files))
    where = f"journal/{entry.sequence:08d}.json"
    try:
        for file in files:
            batch.take_again(file)
    except KeysError as exc:
        findings.append(Finding(where, f"a delivery cannot be read again: {exc}"))
        return
    batch.commit(entry.at)
    batch.close()
    _compare_batches(centre, again, entry, findings)


def _compare_batches(centre: Centre, again: Centre, entry: Entry, findings: list[Finding]) -> None:
    """What a batch that was just run again says otherwise than its sealed entry."""
    where = f"journal/{entry.sequence:08d}.json"
    recomputed = again.journal.entries[-1].body
    engines = f"sealed by engine {entry.engine}, recomputed by {__version__}"
    findings += [
        Finding(where, f"{name} differ ({engines})")
        for name in ("content_roots", "postings", "files")
        if recomputed[name] != entry.body[name]
    ]
    if recomputed["content_roots"] != entry.body["content_roots"]:
        findings += _row_differences(centre, again, entry)


def _restore_configuration(again: Centre, entry: Entry) -> None:
    """Put the configuration the batch was decided with into the twin's folder and load it."""
    shutil.rmtree(again.directory / "tariffs")
    shutil.rmtree(again.directory / "profiles", ignore_errors=True)
    for name, sha256 in entry.body["configuration"].items():
        target = again.directory / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(again.archive.folder / "config" / sha256, target)
    again.settings = load_settings(again.directory)
    again.registers = load_registers(again.directory, again.settings)
    again.prices = PriceBook.load(again.directory, again.settings)


def _row_differences(centre: Centre, again: Centre, entry: Entry) -> list[Finding]:
    """The first rows that were decided otherwise, by transaction, column, sealed and recomputed value."""
    findings: list[Finding] = []
    pairs = zip(
        batch_rows(centre, entry, tuple(Service)),
        batch_rows(again, again.journal.entries[-1], tuple(Service)),
        strict=True,
    )
    for sealed, recomputed in pairs:
        order = np.argsort(sealed["txn_id"], kind="stable"), np.argsort(recomputed["txn_id"], kind="stable")
        differs = {name: sealed[name][order[0]] != recomputed[name][order[1]] for name in _DECISIVE}
        for at in np.flatnonzero(np.logical_or.reduce(list(differs.values()))):
            txn_id = int(sealed["txn_id"][order[0][at]])
            changed = [
                f"{name} {sealed[name][order[0][at]]} → {recomputed[name][order[1][at]]}"
                for name in _DECISIVE
                if differs[name][at]
            ]
            findings.append(Finding(f"transaction {txn_id >> 32}:{txn_id & 0xFFFFFFFF}", ", ".join(changed)))
    shown = findings[:_DIFFERENCES_SHOWN]
    if len(findings) > len(shown):
        shown.append(Finding(f"journal/{entry.sequence:08d}.json", f"{len(findings)} rows differ in all"))
    return shown


def rebuild(directory: Path, passphrase: str) -> int:
    """Recreate the projection from the journal alone: no pricing runs, any engine version will do.

    Returns the number of entries projected.
    """
    with centre_lock(directory, wait_seconds=60, purpose="clearing rebuild"):
        centre = Centre.open(directory, passphrase)
        for path in (directory / "work").glob(f"{PRIVATE_NAME}*"):
            path.unlink()
        projection = Projection(directory, centre.settings)
        try:
            entries = projection.catch_up(centre.journal)
            projection.publish(centre.journal)
        finally:
            projection.close()
    return len(entries)
