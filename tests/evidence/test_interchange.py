"""JT/T 978.4 between centres: a day delivered as CD, and FB, CL, LD, CR, BP that say what the ledger says."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from published import ask

from card_io.delivery import DeliveryError, load_manifest, load_profile, read_delivery, write_manifest
from card_io.delivery.fixed_width_writer import write_fixed_width
from card_io.delivery.jtt978_frame import Header
from card_io.delivery.jtt978_records import RECORDS, Reading, read_records
from card_io.delivery.manifest import Manifest, manifest_name
from card_io.keys.errors import SignatureError
from clearing.calendar import seconds_of
from clearing.interchange.after_run import clearing_serial, txn_id_of
from clearing.interchange.received import read_feedback
from clearing.settlement import close_window
from evidence.centres import DAY, PASSPHRASE, WINDOW_ENDS, clear, copy_of, ledger_of, sender_key
from evidence.handmade import Cases, Centre, sender_signing_key

PARTNERS = (10, 20, 200, 210, 300, 500, 510, 600)


def _converted(inbox: Path, key_of: Any) -> Counter[str]:
    """Turn every transit and retail delivery without an unreadable row into CD; returns files by service."""
    formats, done = {"transit": "jtt978-cd", "retail": "jtt978-cd-retail"}, Counter[str]()
    for path in sorted(inbox.glob("*.manifest.json")):
        try:
            manifest = load_manifest(path)
            data = inbox / manifest.file
            if manifest.service not in formats:
                continue
            if hashlib.sha256(data.read_bytes()).hexdigest() != manifest.sha256:
                continue
            [(block, unreadable)] = read_delivery(data, manifest)
            manifest.verify_with(key_of(manifest.sender).verify_key.verify)
        except (DeliveryError, SignatureError):
            continue  # a fault of the simulator: the file stays as it is
        if unreadable:
            continue
        chosen = formats[manifest.service]
        text = write_fixed_width(block, load_profile(chosen), Header(DAY, "1", 0))
        data.write_bytes(text)
        changed = manifest.model_copy(
            update={"signature": None, "format": chosen, "sha256": hashlib.sha256(text).hexdigest()}
        )
        write_manifest(inbox, changed.with_signature(key_of(manifest.sender).sign))
        done[manifest.service] += 1
    return done


def test_a_day_delivered_as_cd_clears_like_parquet(heavy_day: Path, cleared: Path, tmp_path: Path) -> None:
    centre = copy_of(heavy_day, tmp_path / "centre")
    done = _converted(centre / "inbox", lambda sender: sender_key(heavy_day, sender))
    assert done["transit"] >= 10
    assert done["retail"] >= 2
    clear(centre)

    by_cd, by_parquet = ledger_of(centre), ledger_of(cleared)
    assert by_cd.money == by_parquet.money
    assert by_cd.statuses == by_parquet.statuses
    assert by_cd.feedback == by_parquet.feedback


def _with_partners(centre: Path, partners: tuple[int, ...] = PARTNERS) -> None:
    path = centre / "centre.yaml"
    text = path.read_text("utf-8")
    for partner in partners:
        text, found = re.subn(rf"(\{{id: {partner}, )", r"\1interchange: jtt978, ", text)
        assert found == 1, partner
    path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def partnered(heavy_day: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The heavy day with interchange agreements, cleared and closed. Read only."""
    centre = copy_of(heavy_day, tmp_path_factory.mktemp("partnered") / "centre")
    _with_partners(centre)
    clear(centre)
    for day in (DAY, DAY + datetime.timedelta(days=1)):
        close_window(centre, day, passphrase=PASSPHRASE, now=seconds_of(WINDOW_ENDS[1]))
    return centre


def _files(centre: Path, kind: str) -> dict[int, list[Reading]]:
    found: dict[int, list[Reading]] = {}
    for path in sorted((centre / "outbox").glob(f"*/*.{kind}.*.txt")):
        reading = read_records(path.read_bytes(), path.name, RECORDS[kind])
        assert reading.faults == []
        assert reading.header.receiver == path.parent.name
        found.setdefault(int(path.parent.name), []).append(reading)
    return found


def test_feedback_counts_what_the_ledger_counts(partnered: Path) -> None:
    by_status = {
        (sender, status): (rows, fen)
        for sender, status, rows, fen in ask(
            partnered,
            """SELECT sender, r.status, SUM(r.rows)::BIGINT, SUM(r.fen)::BIGINT
               FROM file_results r JOIN files f USING (file_no)
               WHERE service NOT IN ('load', 'benefit') GROUP BY ALL""",
        )
    }
    checked = 0
    for sender, readings in _files(partnered, "FB").items():
        found: Counter[int] = Counter()
        fen: Counter[int] = Counter()
        for reading in readings:
            for _, row in reading.rows:
                code = int(row["error_code"] or 0) or 1
                found[code] += 1
                fen[code] += int(row["amount"] or 0)
        expected = {status: rows for (who, status), (rows, _) in by_status.items() if who == sender}
        assert found == expected
        for status, total in fen.items():
            if status != 10:
                assert total == by_status[sender, status][1], (sender, status)
        checked += len(expected)
    assert checked > 20


def test_issuers_get_every_cleared_purchase_once(partnered: Path) -> None:
    expected = {
        issuer: (rows, fen)
        for issuer, rows, fen in ask(
            partnered,
            """SELECT issuer, COUNT(*)::BIGINT, SUM(amount)::BIGINT FROM decisions
               WHERE disposition = 1 AND txn_type IN (5, 6, 9) GROUP BY ALL""",
        )
    }
    for issuer, readings in _files(partnered, "CL").items():
        net = Counter[str]()
        standing = Counter[str]()
        for reading in readings:
            for _, row in reading.rows:
                sign = -1 if str(row["transaction_type"]).startswith("9") else 1
                net["fen"] += sign * int(row["amount"] or 0)
                standing[str(row["clearing_serial"])] += sign
                assert len(str(row["card_no"])) in (16, 19)
        assert set(standing.values()) <= {0, 1}
        assert (sum(standing.values()), net["fen"]) == expected[issuer]
    assert set(_files(partnered, "CL")) == {10, 20}


def test_closing_files_say_what_the_close_sealed(partnered: Path) -> None:
    results, payments = _files(partnered, "CR"), _files(partnered, "BP")
    fees = ask(partnered, """SELECT merchant, participant, share, SUM(fen)::BIGINT FROM fees GROUP BY ALL""")
    senders = {200: (201,), 210: (211,), 500: (501, 502), 510: (511, 512, 513), 600: (601, 611, 612, 613)}
    for sender, merchants in senders.items():
        rows = [row for reading in results[sender] for _, row in reading.rows]
        shares = Counter[tuple[int, int, str]]()
        for row in rows:
            if row["record_kind"] == "F":
                key = (int(str(row["acquirer_id"])), int(str(row["counterpart"])), str(row["share"]))
                shares[key] += int(row["fen"] or 0)
        assert shares == {(m, p, share): fen for m, p, share, fen in fees if m in merchants}
        paid = sum(int(row["card_paid"] or 0) for row in rows if row["record_kind"] == "T")
        [(expected,)] = ask(
            partnered,
            f"""SELECT COALESCE(SUM(card_paid), 0)::BIGINT FROM decisions
                WHERE disposition = 1 AND merchant_id IN {(*merchants, -1)}""",
        )
        assert paid == expected
        positions = Counter[tuple[int, int]]()
        for reading in payments[sender]:
            for _, row in reading.rows:
                if row["record_kind"] == "P":
                    sign = 1 if row["direction"] == "credit" else -1
                    positions[int(str(row["participant"])), int(str(row["source"]))] += sign * int(row["amount"] or 0)
        sealed = ask(partnered, "SELECT participant, source, SUM(fen)::BIGINT FROM positions GROUP BY ALL")
        mine = {(p, s): fen for p, s, fen in sealed if p in (sender, *merchants)}
        assert {key: fen for key, fen in positions.items() if fen} == {key: fen for key, fen in mine.items() if fen}


def test_processed_files_add_up(partnered: Path) -> None:
    listed = _files(partnered, "LD")
    for sender in (200, 210, 500):
        rows = [row for reading in listed[sender] for _, row in reading.rows]
        found = {row["file_no"]: (row["outcome"], row["rows"], row["accepted_amount"]) for row in rows}
        expected = {
            number: (outcome, rows or 0, fen or 0)
            for number, outcome, rows, fen in ask(
                partnered,
                f"""SELECT file_no, outcome, SUM(r.rows)::BIGINT,
                        SUM(r.fen) FILTER (r.disposition = 1)::BIGINT
                    FROM files LEFT JOIN file_results r USING (file_no) WHERE sender = {sender} GROUP BY ALL""",
            )
        }
        assert found == expected
    for issuer in (10, 20):
        announced = [row for reading in listed[issuer] for _, row in reading.rows if row["direction"] == "CL"]
        closed = DAY + datetime.timedelta(days=1)  # a later run's CL is listed when its own window closes
        sent = [each for each in _files(partnered, "CL")[issuer] if each.header.clearing_date <= closed]
        assert sum(int(row["rows"] or 0) for row in announced) == sum(len(reading.rows) for reading in sent)


def test_lost_files_are_written_again_byte_for_byte(partnered: Path, tmp_path: Path) -> None:
    centre = copy_of(partnered, tmp_path / "centre")
    before = {path: path.read_bytes() for path in sorted((centre / "outbox").glob("*/*.??.??.txt"))}
    assert {path.name.split(".")[1] for path in before} == {"FB", "CL", "LD", "CR", "BP"}
    for path in before:
        path.unlink()
    clear(centre, WINDOW_ENDS[1:])

    assert {path: path.read_bytes() for path in sorted((centre / "outbox").glob("*/*.??.??.txt"))} == before


def test_without_an_agreement_nobody_gets_card_numbers(cleared: Path) -> None:
    assert list((cleared / "outbox").glob("*/*.txt")) == []


@pytest.mark.parametrize("txn_id", [1, (7 << 32) + 12, (1 << 60) - 1])
def test_the_serial_leads_back_to_the_transaction(txn_id: int) -> None:
    assert len(clearing_serial(txn_id)) == 12
    assert txn_id_of(clearing_serial(txn_id)) == txn_id


PURCHASES = """
retail                     ACCEPTED
retail     amount=300      ACCEPTED
retail     amount=0        ACCEPTED
retail     tac=wrong       TAC_FAILED
retail     card=foreign    ACCEPTED
"""


def _neighbours(tmp_path: Path) -> tuple[Centre, Centre, str]:
    """Two centres under the same keys: one clears purchases of the other's cards; returns them and the CL file."""
    other = Centre.create(tmp_path / "other")
    with (other.directory / "registers" / "senders.csv").open("a") as file:
        file.write(f"20,{sender_signing_key(20).verify_key.to_hex()},2020-01-01,2099-12-31\n")
    own = Centre(copy_of(other.directory, tmp_path / "own"), other.masters)
    _with_partners(other.directory, (10,))
    path = own.directory / "centre.yaml"
    text = path.read_text("utf-8").replace(
        "{id: 20, kind: counterparty,", "{id: 20, services: [retail], kind: counterparty,"
    )
    text = text.replace("{id: 501, kind: merchant, sender: 500,", "{id: 501, kind: merchant, sender: 20,")
    path.write_text(text, "utf-8")
    other.deliver(Cases(other).read(PURCHASES))
    other.run()
    [found] = (other.directory / "outbox" / "10").glob("*.CL.01.txt")
    return other, own, found.read_text("ascii")


def _deliver(centre: Centre, text: str, delivery_format: str, rows: int) -> Manifest:
    name = "0020-retail-2026-03-02-00001.txt"
    (centre.directory / "inbox" / name).write_text(text, "ascii")
    manifest = Manifest(
        format_version=1,
        sender=20,
        service="retail",
        file_date="2026-03-02",
        sequence=1,
        file=name,
        format=delivery_format,
        rows=rows,
        amount_fen=500,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        sent_at="2026-03-02T20:00:00",
    ).with_signature(sender_signing_key(20).sign)
    write_manifest(centre.directory / "inbox", manifest)
    return manifest


def test_an_issuer_reads_cl_and_verifies_its_tacs(tmp_path: Path) -> None:
    other, own, text = _neighbours(tmp_path)
    rows = len(text.splitlines()) - 2
    assert rows == 3
    _deliver(own, text, "jtt978-cl", rows)
    own.run()

    assert sorted(own.decisions().values()) == ["ACCEPTED"] * 3
    mine, theirs = (
        """SELECT card_id, amount, card_counter, balance_before, terminal_id, terminal_counter, tac, date4,
        time3, merchant_id FROM decisions WHERE issuer = 10 AND status = 1 ORDER BY ALL""",
    ) * 2
    assert own.query(mine) == other.query(theirs)


def test_a_tac_changed_on_the_way_is_found(tmp_path: Path) -> None:
    _, own, text = _neighbours(tmp_path)
    lines = text.splitlines()
    lines[2] = lines[2][:147] + "000000000201" + lines[2][159:]  # the amount, one fen more
    _deliver(own, "\n".join(lines) + "\n", "jtt978-cl", 3)
    (own.directory / "inbox" / manifest_name("0020-retail-2026-03-02-00001.txt")).unlink()
    manifest = _deliver(own, "\n".join(lines) + "\n", "jtt978-cl", 3)
    changed = manifest.model_copy(update={"signature": None, "amount_fen": 501})
    write_manifest(own.directory / "inbox", changed.with_signature(sender_signing_key(20).sign))
    own.run()

    assert sorted(own.decisions().values()) == ["ACCEPTED", "ACCEPTED", "TAC_FAILED"]


@pytest.mark.parametrize(("agreed", "status"), [(False, "TAC_MISSING"), (True, "ACCEPTED")])
def test_without_verification_data_an_agreement_decides(tmp_path: Path, agreed: bool, status: str) -> None:
    _, own, text = _neighbours(tmp_path)
    path = own.directory / "centre.yaml"
    settings = path.read_text("utf-8")
    settings = re.sub(r"(\{id: 501, .*), terminals: registered", r"\1", settings)
    if agreed:
        agreement = "{sender: 20, service: retail, issuer: 10, from: 2026-01-01, to: 2099-12-31, allow: unverified}"
        settings = settings.replace("  verification:\n", f"  verification:\n    - {agreement}\n")
    path.write_text(settings, "utf-8")
    _deliver(own, text, "jtt978-cl-unverified", 3)
    own.run()

    assert sorted(own.decisions().values()) == [status] * 3


def test_a_malformed_line_is_an_unreadable_row_with_its_name(tmp_path: Path) -> None:
    _, own, text = _neighbours(tmp_path)
    lines = text.splitlines()
    lines[3] = lines[3][:147] + "0000000O0300" + lines[3][159:]
    _deliver(own, "\n".join(lines) + "\n", "jtt978-cl", 3)
    own.run()

    assert own.query("SELECT txn_id & 4294967295, field, value FROM unreadable") == [(2, "amount", "0000000O0300")]
    assert sorted(own.decisions().values()) == ["ACCEPTED", "ACCEPTED", "UNREADABLE"]


def test_a_wrong_count_refuses_the_file(tmp_path: Path) -> None:
    _, own, text = _neighbours(tmp_path)
    lines = text.splitlines()
    _deliver(own, "\n".join(lines[:-1]) + "\n", "jtt978-cl", 2)
    own.run()

    assert own.query("SELECT outcome, reason FROM files") == [
        ("wrong_columns", "0020-retail-2026-03-02-00001.txt: line 2, record_count is 3, 2 records follow")
    ]


# --- feedback of another centre ------------------------------------------------------------


FOREIGN = """
retail     card=foreign               ACCEPTED
retail     card=foreign amount=300    ACCEPTED
retail     card=foreign tac=wrong     TAC_FAILED
retail     test_flag=200              FORM_INVALID
"""


def _feedback_file(tmp_path: Path) -> tuple[Centre, Path]:
    """A centre as acquirer, and an FB about its foreign purchases as its own counterparty would write it."""
    centre = Centre.create(tmp_path / "centre")
    _with_partners(centre.directory, (500,))
    centre.deliver(Cases(centre).read(FOREIGN))
    centre.run()
    [path] = (centre.directory / "outbox" / "500").glob("*.FB.01.txt")
    return centre, path


REOPENED = """
retail     received=03-02T20:00:00                         CONFLICT
  retail   received=03-02T22:00:00 terminal_counter=+1     CONFLICT
"""


def test_a_purchase_that_no_longer_stands_is_reversed_towards_its_issuer(tmp_path: Path) -> None:
    centre = Centre.create(tmp_path / "centre")
    _with_partners(centre.directory, (10,))
    lines = Cases(centre).read(REOPENED)
    centre.deliver(lines)
    centre.run_apart(lines)
    assert set(centre.decisions().values()) == {"CONFLICT"}

    rows = [row for reading in _files(centre.directory, "CL")[10] for _, row in reading.rows]
    assert [(row["transaction_type"], row["amount"]) for row in rows] == [("0006", 200), ("9006", 200)]
    assert rows[0]["clearing_serial"] == rows[1]["clearing_serial"]
    assert rows[0]["tlv"] == rows[1]["tlv"]


def test_feedback_that_agrees_has_no_finding(tmp_path: Path) -> None:
    centre, path = _feedback_file(tmp_path)
    summary = read_feedback(centre.directory, path, passphrase=PASSPHRASE)

    assert summary.findings == []
    assert (summary.records, summary.codes) == (4, {"000000": [2, 500], "000011": [1, 200], "000032": [1, 200]})


def test_what_another_centre_decided_otherwise_is_found(tmp_path: Path) -> None:
    centre, path = _feedback_file(tmp_path)
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2][:162] + b"000041" + "重复交易".encode("gbk").ljust(40) + lines[2][208:]
    lines[3] = lines[3][:118] + b"000099" + lines[3][124:]
    lines[4] = lines[4][:162] + b"000000" + b" " * 40 + lines[4][208:]
    spoilt = lines[2][:136] + b"00000000020o" + lines[2][148:]
    lines[1] = b"000004" + lines[1][6:]
    other = tmp_path / "fb.txt"
    other.write_bytes(b"\n".join([*lines[:5], spoilt, b""]))
    summary = read_feedback(centre.directory, other, passphrase=PASSPHRASE)

    assert [(each.line, each.kind, each.fen) for each in summary.findings] == [
        (3, "refused_there", 200),
        (4, "unknown_here", 300),
        (5, "cleared_there_only", 200),
        (6, "unreadable", None),
    ]
    assert summary.findings[0].text == "重复交易"
    assert summary.findings[3].text.startswith("amount is '00000000020o'; write a decimal number")
    assert summary.records == 4
