"""Every outcome at the door (docs/clearing-rules.md §10): acknowledged, in the journal, and nothing lost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from card_io.delivery.manifest import Manifest, load_manifest, manifest_name, write_manifest
from clearing import engine
from clearing.arrivals import due_arrivals, lots_of
from clearing.calendar import seconds_of
from clearing.centre import Centre as OpenCentre
from clearing.engine import receive_centre
from clearing.intake import Outcome
from clearing.ledger.journal import Entry
from clearing.run_summary import RunSummary
from clearing.verify import verify, verify_by_recomputing
from evidence.centres import PASSPHRASE, entries
from evidence.handmade import Cases, Centre, sender_signing_key

NOW = "2026-03-02T23:00:00"
LATER = "2026-03-02T21:00:00"


@dataclass
class Door:
    """A centre with one sound delivery in its inbox, and ways to put another beside it."""

    centre: Centre
    cases: Cases
    first: Manifest
    name: str = "another.parquet"
    """Name of the next delivery put beside the first."""

    @property
    def inbox(self) -> Path:
        return self.centre.directory / "inbox"

    def content(self) -> bytes:
        return (self.inbox / self.first.file).read_bytes()

    def table(self) -> pa.Table:
        return pq.read_table(self.inbox / self.first.file)

    def put(self, content: bytes | pa.Table, *, key: int | None = None, **changes: Any) -> str:
        """Another delivery like the first, arriving later, signed by its sender unless ``key`` names another."""
        name = changes.setdefault("file", self.name)
        if isinstance(content, pa.Table):
            pq.write_table(content, self.inbox / name, compression=changes.pop("compression", "zstd"))
            changes.setdefault("rows", len(content))
        else:
            (self.inbox / name).write_bytes(content)
        written = (self.inbox / name).read_bytes()
        changes = {"sha256": hashlib.sha256(written).hexdigest(), "sent_at": LATER, "signature": None} | changes
        manifest = self.first.model_copy(update=changes)
        write_manifest(self.inbox, manifest.with_signature(sender_signing_key(key or manifest.sender).sign))
        return name


def open_door(folder: Path) -> Door:
    centre = Centre.create(folder / "centre")
    cases = Cases(centre)
    first = centre.send([cases.line("retail", amount=100 + n) for n in range(5)])
    return Door(centre, cases, first)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return open_door(tmp_path)


# --- the deliveries, each with the outcome it must have -------------------------------------


def same_again(door: Door) -> str:
    return door.put(door.content(), sequence=door.first.sequence)


def recompressed(door: Door) -> str:
    return door.put(door.table(), compression="gzip")


def resorted(door: Door) -> str:
    return door.put(door.table().take([4, 2, 0, 1, 3]))


def renamed(door: Door) -> str:
    return door.put(door.content(), sequence=77)


def other_day(door: Door) -> str:
    return door.put(door.table().take([4, 2, 0, 1, 3]), file_date="2026-03-01")


def same_name_other_rows(door: Door) -> str:
    return door.put(door.table().slice(0, 4), amount_fen=100 + 101 + 102 + 103)


def one_row_too_many(door: Door) -> str:
    return door.put(door.content(), sequence=2, rows=6)


def one_row_too_few(door: Door) -> str:
    return door.put(door.content(), sequence=2, rows=4)


def one_fen_too_much(door: Door) -> str:
    return door.put(door.content(), sequence=2, amount_fen=(door.first.amount_fen or 0) + 1)


def one_fen_too_little(door: Door) -> str:
    return door.put(door.content(), sequence=2, amount_fen=(door.first.amount_fen or 0) - 1)


def signed_by_another(door: Door) -> str:
    return door.put(door.content(), sequence=2, key=210)


def unsigned(door: Door) -> str:
    name = door.put(door.content(), sequence=2)
    path = door.inbox / manifest_name(name)
    document = json.loads(path.read_bytes())
    del document["signature"]
    path.write_text(json.dumps(document))
    return name


def changed_after_signing(door: Door) -> str:
    name = door.put(door.content(), sequence=2)
    path = door.inbox / manifest_name(name)
    path.write_text(path.read_text().replace('"rows": 5', '"rows": 6').replace('"rows":5', '"rows":6'))
    return name


def from_nobody(door: Door) -> str:
    return door.put(door.content(), sequence=2, sender=99_998)


def from_a_participant_without_key(door: Door) -> str:
    return door.put(door.content(), sequence=2, sender=240)


def of_a_service_not_agreed(door: Door) -> str:
    return door.put(door.content(), sequence=2, service="transit")


def in_no_known_format(door: Door) -> str:
    return door.put(door.content(), sequence=2, format="punched-cards")


def truncated(door: Door) -> str:
    name = door.put(door.content(), sequence=2)
    path = door.inbox / name
    path.write_bytes(path.read_bytes()[:-100])
    return name


def cut_before_it_was_signed(door: Door) -> str:
    return door.put(door.content()[:-100], sequence=2)


def no_bytes(door: Door) -> str:
    return door.put(b"", sequence=2, rows=0, amount_fen=0)


def amounts_as_text(door: Door) -> str:
    table = door.table()
    at = table.column_names.index("amount")
    return door.put(table.set_column(at, "amount", table["amount"].cast(pa.string())), sequence=2)


def amounts_as_floats(door: Door) -> str:
    table = door.table()
    at = table.column_names.index("amount")
    return door.put(table.set_column(at, "amount", table["amount"].cast(pa.float64())), sequence=2)


def a_column_missing(door: Door) -> str:
    return door.put(door.table().drop_columns(["tac"]), sequence=2)


def a_column_too_many(door: Door) -> str:
    return door.put(door.table().append_column("remark", pa.array(["?"] * 5)), sequence=2)


def header_only(door: Door) -> str:
    return door.put(door.table().slice(0, 0), sequence=3, amount_fen=0)


def manifest_is_not_json(door: Door) -> str:
    name = door.put(door.content(), sequence=2)
    (door.inbox / manifest_name(name)).write_text("{")
    return name


def manifest_of_another_file(door: Door) -> str:
    name = door.put(door.content(), sequence=2)
    path = door.inbox / manifest_name(name)
    path.write_text(path.read_text().replace(name, "elsewhere.parquet"))
    return name


def manifest_with_an_unknown_key(door: Door) -> str:
    name = door.put(door.content(), sequence=2)
    path = door.inbox / manifest_name(name)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"priority": 1}))
    return name


EXPECTED: dict[Callable[[Door], str], str] = {
    same_again: "repeated",
    recompressed: "repeated",
    resorted: "repeated",
    renamed: "content_clash",
    other_day: "content_clash",
    same_name_other_rows: "identity_clash",
    one_row_too_many: "count_mismatch",
    one_row_too_few: "count_mismatch",
    one_fen_too_much: "total_mismatch",
    one_fen_too_little: "total_mismatch",
    signed_by_another: "bad_signature",
    unsigned: "bad_signature",
    changed_after_signing: "bad_signature",
    from_nobody: "unknown_sender",
    from_a_participant_without_key: "unknown_sender",
    of_a_service_not_agreed: "service_not_agreed",
    in_no_known_format: "unknown_profile",
    truncated: "hash_mismatch",
    cut_before_it_was_signed: "wrong_columns",
    no_bytes: "empty_file",
    amounts_as_text: "wrong_columns",
    amounts_as_floats: "wrong_columns",
    a_column_missing: "wrong_columns",
    a_column_too_many: "wrong_columns",
    header_only: "received",
    manifest_is_not_json: "bad_manifest",
    manifest_of_another_file: "bad_manifest",
    manifest_with_an_unknown_key: "bad_manifest",
}


def test_every_outcome_of_the_rules_has_a_case() -> None:
    assert set(EXPECTED.values()) == set(Outcome)


@dataclass
class Crowd:
    """All cases at one door and one run: what was sent by case, and the journal afterwards."""

    door: Door
    sent: dict[str, tuple[bytes, bytes]]
    summary: RunSummary
    opened: OpenCentre

    def entry(self, name: str) -> Entry:
        (found,) = (e for e in self.opened.journal.of_kind("intake") if e.body["file"] == name)
        return found


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    door = open_door(tmp_path_factory.mktemp("crowd"))
    sent = {}
    for arrive in EXPECTED:
        door.name = f"{arrive.__name__}.parquet"
        assert arrive(door) == door.name
        sent[door.name] = tuple((door.inbox / each).read_bytes() for each in (door.name, manifest_name(door.name)))
    summary = door.centre.run(NOW)
    return Crowd(door, sent, summary, OpenCentre.open(door.centre.directory, PASSPHRASE))


def test_a_manifest_that_announces_more_than_a_centre_can_hold_stops_nobody(tmp_path: Path) -> None:
    """What it announces decides where rows wait, before anybody has checked who signed it."""
    door = open_door(tmp_path)
    door.name = "endless.parquet"
    door.put(door.content(), sequence=2, rows=2**62)
    outcomes = {each["file"]: each["outcome"] for each in door.centre.run(NOW).received}
    assert outcomes.pop("endless.parquet") == "count_mismatch"
    assert set(outcomes.values()) == {"received"}
    assert door.centre.query("SELECT COUNT(*) FROM transactions WHERE disposition = 1") == [(5,)]


@pytest.mark.parametrize("arrive", EXPECTED, ids=lambda arrive: arrive.__name__)
def test_outcome(crowd: Crowd, arrive: Callable[[Door], str]) -> None:
    name, outcome = f"{arrive.__name__}.parquet", EXPECTED[arrive]
    body = crowd.entry(name).body
    assert body["outcome"] == outcome, body["reason"]
    assert (body["reason"] is None) == (body["remedy"] is None) == (outcome == "received")

    data, manifest = crowd.sent[name]
    file_no, archive = body["file_no"], crowd.opened.archive
    assert archive.load(file_no) == data, "the archived bytes decrypt to what was sent"
    assert archive.path_of(file_no, "manifest").read_bytes() == manifest

    answers = list((crowd.door.centre.directory / "outbox").glob(f"*/{file_no:08d}.*"))
    if outcome == "bad_manifest":
        assert answers == [], "nobody knows whom to answer"
        return
    (path,) = (path for path in answers if path.name.endswith(".acknowledgement.json"))
    answer = json.loads(path.read_bytes())
    assert path.parent.name == str(body["sender"])
    assert (answer["outcome"], answer["reason"]) == (outcome, body["reason"])
    assert (len(answers) > 1) == (outcome == "received"), "only a cleared file has a receipt"


def test_nothing_is_lost_in_the_crowd(crowd: Crowd) -> None:
    """One entry a delivery, an empty inbox, and the rows of the sound file alone."""
    listed = [entry.body["file"] for entry in crowd.opened.journal.of_kind("intake")]
    assert sorted(listed) == sorted([crowd.door.first.file, *crowd.sent])
    assert list(crowd.door.inbox.iterdir()) == []
    assert crowd.summary.rows == 5
    assert set(crowd.door.centre.decisions().values()) == {"ACCEPTED"}
    assert verify(crowd.door.centre.directory, PASSPHRASE) == []


@pytest.mark.parametrize("command", ["run", "receive and run"])
@pytest.mark.parametrize(
    "arrive", [arrive for arrive, outcome in EXPECTED.items() if outcome != "received"], ids=lambda a: a.__name__
)
def test_a_refused_file_between_others_takes_nothing_from_them(
    door: Door, arrive: Callable[[Door], str], command: str
) -> None:
    """Files of one sender and one moment are prepared together (:mod:`clearing.prepare`), whatever becomes of one."""
    for number, name in ((2, "a.parquet"), (3, "z.parquet")):
        table = door.table().set_column(
            door.table().column_names.index("amount"), "amount", pa.array([number * 1_000 + n for n in range(5)])
        )
        door.name = name
        door.put(table, sequence=number * 10, amount_fen=5 * number * 1_000 + 10)
    door.name = "m.parquet"
    arrive(door)
    if command != "run":
        receive_centre(door.centre.directory, passphrase=PASSPHRASE, now=seconds_of(NOW))
    summary = door.centre.run(NOW)
    found = {entry.body["file"]: entry.body["outcome"] for entry in entries(door.centre.directory, "intake")}
    assert found.pop("m.parquet") == EXPECTED[arrive]
    assert found == dict.fromkeys([door.first.file, "a.parquet", "z.parquet"], "received")
    assert summary.rows == 15
    rows = door.centre.query(
        "SELECT file, COUNT(*), SUM(amount) FROM transactions t "
        "JOIN files f ON f.file_no = t.txn_id >> 32 GROUP BY file ORDER BY file"
    )
    assert {name: (count, fen) for name, count, fen in rows} == {
        door.first.file: (5, 510),
        "a.parquet": (5, 10_010),
        "z.parquet": (5, 15_010),
    }
    assert verify(door.centre.directory, PASSPHRASE) == []


@pytest.mark.parametrize("command", ["run", "receive and run"])
def test_a_batch_may_begin_with_a_file_without_rows(door: Door, command: str) -> None:
    """Alone, and before others: no row says yet which cards there are."""
    table, centre = door.table(), door.centre
    for path in door.inbox.iterdir():
        path.unlink()
    for batch, rows in enumerate(((0,), (0, 5))):
        for number, count in enumerate(rows):
            door.name = f"{batch}-{number}.parquet"
            door.put(table.slice(0, count), sequence=10 * batch + number, amount_fen=510 if count else 0)
        if command != "run":
            receive_centre(centre.directory, passphrase=PASSPHRASE, now=seconds_of(NOW))
        assert centre.run(NOW).rows == sum(rows)
    assert verify(centre.directory, PASSPHRASE) == []
    assert verify_by_recomputing(centre.directory, PASSPHRASE) == []


def test_a_delivery_replaced_after_the_lots_were_formed_is_what_it_is_by_then(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of two services never get into one block."""
    settings = door.centre.directory / "centre.yaml"
    text = settings.read_text("utf-8")
    start = text.index("services:", text.index("id: 500"))
    settings.write_text(text[:start] + "services: [retail, transit]" + text[text.index("]", start) + 1 :], "utf-8")
    ride = door.centre.send([door.cases.line("transit") for _ in range(3)])
    rides = pq.read_table(door.inbox / ride.file)
    for name in (ride.file, manifest_name(ride.file)):
        (door.inbox / name).unlink()
    together: dict[str, Any] = {"sequence": 2, "sent_at": door.first.sent_at}
    door.put(door.table(), **together)

    def listed(*arguments: Any) -> Any:
        found, waiting = due_arrivals(*arguments)
        assert len(list(lots_of(found))) == 1
        door.put(rides, service="transit", amount_fen=None, **together)
        return found, waiting

    monkeypatch.setattr(engine, "due_arrivals", listed)
    door.centre.run(NOW)
    bodies = [(e.body["service"], e.body["outcome"]) for e in entries(door.centre.directory, "intake")]
    assert sorted(bodies) == [("retail", "received"), ("transit", "received")]
    found = door.centre.query("SELECT service, COUNT(*) FROM decisions GROUP BY service ORDER BY service")
    assert found == [("retail", 5), ("transit", 3)]
    assert verify(door.centre.directory, PASSPHRASE) == []


def test_a_damaged_file_after_an_empty_day_is_not_a_repetition(door: Door) -> None:
    door.name = "a_quiet_day.parquet"
    header_only(door)
    door.name = "damaged.parquet"
    door.put(door.table().drop_columns(["tac"]), sequence=3)
    outcomes = {file["file"]: file["outcome"] for file in door.centre.run(NOW).received}
    assert outcomes["damaged.parquet"] == "wrong_columns"


def test_a_refused_delivery_may_be_corrected_under_its_own_number(door: Door) -> None:
    """What never was received blocks neither its number nor its content."""
    path = door.inbox / door.first.file
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    door.centre.run(NOW)
    door.put(content, file=door.first.file)
    door.centre.run(NOW)
    assert [e.body["outcome"] for e in entries(door.centre.directory, "intake")] == ["hash_mismatch", "received"]


def test_the_same_file_is_repeated_in_a_later_run_too(door: Door) -> None:
    content = door.content()
    door.centre.run(NOW)
    door.put(content)
    summary = door.centre.run(NOW)
    assert ([file["outcome"] for file in summary.received], summary.rows, summary.batch) == (["repeated"], 0, None)


# --- what must not be read yet ---------------------------------------------------------------


@pytest.mark.parametrize("missing", ["data", "manifest"])
def test_half_a_delivery_waits(door: Door, missing: str) -> None:
    name = door.put(door.content(), sequence=2)
    gone = door.inbox / (name if missing == "data" else manifest_name(name))
    kept = gone.read_bytes()
    gone.unlink()
    summary = door.centre.run(NOW)
    assert [Path(file["file"]).name for file in summary.waiting] == [
        manifest_name(name) if missing == "data" else name
    ]
    gone.write_bytes(kept)
    assert [file["outcome"] for file in door.centre.run(NOW).received] == ["content_clash"]


@pytest.mark.parametrize("suffix", [".part", ".tmp"])
def test_a_file_still_being_written_waits(door: Door, suffix: str) -> None:
    path = door.inbox / f"another.parquet{suffix}"
    path.write_bytes(b"half")
    summary = door.centre.run(NOW)
    (waiting,) = summary.waiting
    assert waiting["file"] == path.name
    assert "still being written" in waiting["reason"]
    assert path.read_bytes() == b"half"


def test_a_delivery_is_invisible_before_it_is_sent(door: Door) -> None:
    door.put(door.table().slice(0, 1), sequence=2, amount_fen=100, sent_at="2026-03-02T23:00:01")
    assert [file["file"] for file in door.centre.run(NOW).received] == [door.first.file]
    assert (door.inbox / "another.parquet").exists()


# --- rows ------------------------------------------------------------------------------------


def set_row(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    values = table[column].to_pylist()
    values[row] = value
    at = table.column_names.index(column)
    kind = table[column].type
    return table.set_column(at, column, pa.array(values, pa.int64() if kind != pa.string() else kind))


BAD_ROWS: list[tuple[str, Any, str]] = [
    ("amount", -1, "UNREADABLE"),
    ("amount", None, "UNREADABLE"),
    ("purse_kind", 256, "UNREADABLE"),
    ("terminal_id", 2**48, "UNREADABLE"),
    ("card_no", "", "UNREADABLE"),
    ("date4", 0x20260230, "TIME_IMPOSSIBLE"),
    ("date4", 0, "TIME_IMPOSSIBLE"),
    ("date4", 0xFFFFFFFF, "TIME_IMPOSSIBLE"),
    ("time3", 0x236000, "TIME_IMPOSSIBLE"),
    ("terminal_id", 0xFEDCBA987654, "UNKNOWN_TERMINAL"),
]


@pytest.fixture(scope="module")
def bad_rows(tmp_path_factory: pytest.TempPathFactory) -> Door:
    """One delivery per case; its third row is the bad one, its control total that of the genuine rows."""
    door = open_door(tmp_path_factory.mktemp("bad_rows"))
    for number, (column, value, _) in enumerate(BAD_ROWS):
        name = f"bad{number}.parquet"
        lines = [door.cases.line("retail", amount=200 + n) for n in range(5)]
        sent = door.centre.send(lines, file=name)
        table = set_row(pq.read_table(door.inbox / name), column, 2, value)
        door.put(table, file=name, sequence=sent.sequence, amount_fen=sent.amount_fen)
    door.centre.run(NOW)
    return door


@pytest.mark.parametrize("number", range(len(BAD_ROWS)), ids=lambda n: f"{BAD_ROWS[n][0]}={BAD_ROWS[n][1]}")
def test_one_bad_row_does_not_hurt_the_others(bad_rows: Door, number: int) -> None:
    found, name = bad_rows.centre.decisions(), f"bad{number}.parquet"
    expected = ["ACCEPTED", "ACCEPTED", BAD_ROWS[number][2], "ACCEPTED", "ACCEPTED"]
    assert [found[name, row] for row in range(1, 6)] == expected
    ((file_no,),) = bad_rows.centre.query(f"SELECT file_no FROM files WHERE file = '{name}'")
    receipt = json.loads((bad_rows.centre.directory / "outbox" / "500" / f"{file_no:08d}.receipt.json").read_bytes())
    tallies = receipt["dispositions"].values()
    assert sum(tally["rows"] for tally in tallies) == 5
    assert sum(tally["fen"] for tally in tallies) == 200 + 201 + 202 + 203 + 204


def test_a_ledger_with_bad_rows_is_in_order(bad_rows: Door) -> None:
    assert verify(bad_rows.centre.directory, PASSPHRASE) == []


def test_cards_of_19_digits_keep_every_digit(door: Door) -> None:
    """Numbers beyond 2⁵³, leading zeros and opaque texts go into the vault as they came."""
    cards = ["9999999999999999999", "0000000000000000001", "3104770000000000", "M+abc*19/x", "3104770990000000001"]
    table = door.table()
    at = table.column_names.index("card_no")
    for path in list(door.inbox.iterdir()):
        path.unlink()
    name = door.put(table.set_column(at, "card_no", pa.array(cards)), file=door.first.file)
    door.centre.run(NOW)
    ids = door.centre.decisions("card_id")
    vault = OpenCentre.open(door.centre.directory, PASSPHRASE).vault
    assert [vault.card_text(ids[name, row][0]) for row in range(1, 6)] == cards


def test_manifests_are_kept_as_sent(door: Door) -> None:
    sent = load_manifest(door.inbox / manifest_name(door.first.file))
    door.centre.run(NOW)
    archived = door.centre.directory / "archive" / "00000001.manifest.json"
    assert Manifest.model_validate_json(archived.read_bytes()) == sent
