"""An explanation tells what was delivered, decided, posted and sealed; never a card number unasked."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from card_io.delivery.manifest import Manifest, write_manifest
from card_io.keys.signature import SigningKey
from clearing.calendar import seconds_of
from clearing.engine import receive_centre, run_centre
from clearing.errors import ClearingError, EvidenceError, RefusedError
from clearing.explain import Explanation, explain, render_text
from clearing.initialise import initialise_centre
from clearing.ledger.journal import Journal
from clearing.settlement import close_window
from clearing.simulate import simulate_day
from clearing.store import Store

DAY = datetime.date(2026, 3, 2)
PASSPHRASE = "explain"
FORGED_SEQUENCE, CSV_SEQUENCE = 901, 902
CSV = """card_no,deal_date,deal_type,deal_money,deal_value,equ_no,company_name,station,car_no,conn_mark,close_date
CBJFFHIGG,2026-03-02 07:11:40,地铁出站,190,200,262017105,地铁一号线,大剧院,OGT-105,1,2026-03-03 00:00:00
"""


@dataclass(frozen=True)
class City:
    """A centre after three runs, its inbox as delivered, and a copy that was never run."""

    centre: Path
    inbox: Path
    fresh: Path
    reversed_txn: int

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with Store(self.centre / "ledger.duckdb", self.centre, read_only=True) as store:
            return store.run(sql)

    def first(self, condition: str) -> int:
        """The first transaction that fulfils an SQL condition on its decision and status name."""
        found = self.ask(
            f"SELECT txn_id FROM decisions t JOIN statuses s USING (status) WHERE {condition} ORDER BY 1 LIMIT 1"
        )
        return int(found[0][0])

    def explain(self, txn: int | str) -> Explanation:
        return explain(self.centre, str(txn), passphrase=PASSPHRASE, language="en")

    def delivered(self, told: Explanation) -> dict[str, Any]:
        """The row as the sender wrote it."""
        table = pq.read_table(self.inbox / told.origin.file)
        row: dict[str, Any] = table.slice(told.origin.row - 1, 1).to_pylist()[0]
        return row


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    folder = tmp_path_factory.mktemp("explain")
    centre, inbox, fresh = folder / "centre", folder / "inbox", folder / "fresh"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    simulate_day(centre, date=DAY, transactions=3000, seed=1, faults="heavy", passphrase=PASSPHRASE)
    _deliver(centre, 230, CSV_SEQUENCE, "szt-csv-10000", "2026-03-02T19:30:00", CSV.encode(), rows=1, fen=190)
    shutil.copytree(centre / "inbox", inbox)
    shutil.copytree(centre, fresh)
    run_centre(centre, passphrase=PASSPHRASE, now=seconds_of("2026-03-02T18:30:00"))
    city = City(centre, inbox, fresh, 0)
    accepted = city.first("t.service = 'transit' AND s.name = 'ACCEPTED' AND t.merchant_id = 201 AND t.amount > 0")
    _contradict(city, accepted)
    for now in ("2026-03-03T05:00:00", "2026-03-04T05:00:00"):
        run_centre(centre, passphrase=PASSPHRASE, now=seconds_of(now))
    return City(centre, inbox, fresh, accepted)


def _contradict(city: City, txn_id: int) -> None:
    """Deliver the same transaction again, later in its received window, with balances that differ."""
    told = city.explain(txn_id)
    table = pq.read_table(city.inbox / told.origin.file).slice(told.origin.row - 1, 1)
    for name in ("balance_before", "balance_after"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pc.add(table.column(name), pa.scalar(100)))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    fen = table.column("amount")[0].as_py()
    content = sink.getvalue().to_pybytes()
    _deliver(city.centre, 200, FORGED_SEQUENCE, "parquet", "2026-03-02T19:00:00", content, rows=1, fen=fen)


def _deliver(
    centre: Path,
    sender: int,
    sequence: int,
    delivery_format: str,
    sent_at: str,
    content: bytes,
    *,
    rows: int,
    fen: int,
) -> None:
    name = f"{sender:04d}-{sequence}.data"
    (centre / "inbox" / name).write_bytes(content)
    manifest = Manifest(
        format_version=1,
        sender=sender,
        service="transit",
        file_date=DAY.isoformat(),
        sequence=sequence,
        file=name,
        format=delivery_format,
        rows=rows,
        amount_fen=fen,
        sha256=hashlib.sha256(content).hexdigest(),
        sent_at=sent_at,
    )
    seed = bytes.fromhex(json.loads((centre.with_name("centre.truth") / "keys.json").read_text())["sender_seed"])
    key = SigningKey(hashlib.sha256(seed + sender.to_bytes(4, "big")).digest())
    write_manifest(centre / "inbox", manifest.with_signature(key.sign))


def _balanced(told: Explanation) -> bool:
    return sum(leg.debit for leg in told.legs) == sum(leg.credit for leg in told.legs)


def _fen(told: Explanation) -> dict[tuple[str, int, int], int]:
    """Legs as credit − debit by account, participant and source."""
    return {(leg.account, leg.participant.number, leg.source.number): leg.credit - leg.debit for leg in told.legs}


def test_a_transit_row_is_told_from_bytes_to_legs(city: City) -> None:
    told = city.explain(
        city.first("t.service = 'transit' AND s.name = 'ACCEPTED' AND fund_paid > 0 AND card_paid > 0")
    )
    delivered = city.delivered(told)
    assert told.source is not None
    assert told.price is not None
    assert told.tac is not None
    values = {column.name: column.value for column in told.source.columns}
    assert values["amount"] == delivered["amount"]
    assert values["terminal_id"] == f"{delivered['terminal_id']:012x}"
    assert values["tac"] == f"{delivered['tac']:08x}"
    assert set(values) == set(delivered) - {"card_no"}
    assert told.source.card == f"{delivered['card_no'][:6]}****{delivered['card_no'][-4:]}"
    assert told.tac.covered is not None
    assert told.tac.covered.startswith(f"{delivered['amount']:08x}{delivered['txn_type']:02x}{values['terminal_id']}")
    assert (told.tac.recomputed, told.tac.agrees) == ("VERIFIED", True)
    assert {rung.outcome for rung in told.ladder.rungs} == {"pass"}
    assert told.ladder.reproduced
    price = told.price
    assert price.gross == price.card_paid + price.fund_paid + price.operator_borne
    assert price.charged == price.card_paid + price.overcharge == delivered["amount"]
    assert price.file is not None
    assert price.file.sha256 == hashlib.sha256((city.centre / price.file.name).read_bytes()).hexdigest()
    assert price.fund is not None
    fen = _fen(told)
    assert fen["merchant_payable", delivered["merchant_id"], 0] == price.card_paid
    assert fen["merchant_payable", delivered["merchant_id"], price.fund.number] == price.fund_paid
    assert _balanced(told)


def test_the_seals_are_checked_against_the_files_as_they_are_now(city: City) -> None:
    told = city.explain(city.first("t.service = 'transit' AND s.name = 'ACCEPTED'"))
    origin = told.origin
    segment = (city.centre / "segments" / told.segment.name).read_bytes()
    assert told.segment.sha256 == hashlib.sha256(segment).hexdigest()
    entry = (city.centre / "journal" / f"{origin.entry.sequence:08d}.json").read_bytes()
    assert origin.entry.sha256 == hashlib.sha256(entry).hexdigest()
    assert origin.delivery.sha256 == hashlib.sha256((city.inbox / origin.file).read_bytes()).hexdigest()
    assert all((told.segment.intact, origin.delivery.intact, origin.entry.signature_ok, told.batch.signature_ok))


def test_a_duplicate_and_the_row_that_stands_name_each_other(city: City) -> None:
    told = city.explain(city.first("s.name = 'DUPLICATE' AND t.service <> 'utility'"))
    (link,) = told.links
    assert link.relation == "stands_for_it"
    standing = city.explain(link.reference)
    assert ("yielded_to_it", told.origin.txn_id) in [(each.relation, each.txn_id) for each in standing.links]
    assert told.content_hash == standing.content_hash
    assert told.legs == ()


def test_rows_in_conflict_name_each_other_and_what_they_share(city: City) -> None:
    told = city.explain(city.first("s.name = 'CONFLICT' AND event = 0"))
    assert told.links
    for link in told.links:
        assert link.relation == "conflicts"
        assert link.shared in ("identity", "counter_key", "service_key")
        assert told.origin.txn_id in [each.txn_id for each in city.explain(link.txn_id).links]
    assert _balanced(told)


def test_a_wrong_tac_fails_again_and_later_rungs_are_not_reached(city: City) -> None:
    told = city.explain(city.first("t.service = 'transit' AND s.name = 'TAC_FAILED' AND t.amount > 0"))
    assert told.tac is not None
    assert (told.tac.recomputed, told.tac.agrees) == ("FAILED", True)
    outcomes = {rung.status: rung.outcome for rung in told.ladder.rungs}
    assert [status for status, outcome in outcomes.items() if outcome == "fail"] == ["TAC_FAILED"]
    assert outcomes["TAC_MISSING"] == "pass"
    assert outcomes["DUPLICATE"] == outcomes["NO_TARIFF"] == "not_reached"
    assert {leg.account for leg in told.legs} == {"rejected_memo", "memo_contra"}


def test_a_held_load_is_a_claim_that_no_payment_carries(city: City) -> None:
    told = city.explain(city.first("t.service = 'load' AND t.disposition = 2 AND s.name = 'TAC_FAILED'"))
    assert {leg.account for leg in told.legs} == {"load_claim", "memo_contra"}
    assert all(leg.memo for leg in told.legs)
    assert told.tac is not None
    assert told.tac.covered is not None
    assert len(bytes.fromhex(told.tac.covered)) == 24
    assert told.settlement is not None
    assert told.settlement.payments == ()


def test_a_medical_settlement_posts_every_payer(city: City) -> None:
    paid = city.ask("SELECT txn_id FROM medical WHERE disposition = 1 AND hifp_pay > 0 AND cancel = 0 LIMIT 1")
    told = city.explain(paid[0][0])
    delivered = city.delivered(told)
    fen = _fen(told)
    assert fen["merchant_payable", delivered["merchant_id"], 411] == delivered["hifp_pay"]
    assert fen["fund_receivable", 411, 411] == -delivered["hifp_pay"]
    payable = sum(amount for (account, _, _), amount in fen.items() if account == "merchant_payable")
    account_pay = delivered["acct_pay"] + delivered["acct_mulaid_pay"]
    assert payable == delivered["fund_pay_sumamt"] + account_pay + delivered["amount"]
    assert _balanced(told)


def test_every_step_of_the_tariff_is_told_and_ends_with_the_price(city: City) -> None:
    student = city.explain(
        city.first("t.service = 'transit' AND s.name = 'ACCEPTED' AND register_class = 1 AND t.merchant_id = 211")
    )
    assert student.price is not None
    assert [each.step for each in student.price.steps] == ["flat", "concession", "transfer", "split"]
    last = {change.column: change.after for step in student.price.steps for change in step.changes}
    assert last["card_pays"] == student.price.expected
    assert last["gross"] == student.price.gross
    assert student.recomputed == ()
    for language, words in (("en", ("Steps of the tariff", "card pays")), ("zh", ("计价步骤", "卡付"))):
        text = render_text(student, language)
        assert all(word in text for word in words)


def test_a_settlement_is_told_again_by_the_tariff_with_what_differs(city: City) -> None:
    truth = json.loads((city.centre.with_name("centre.truth") / DAY.isoformat() / "truth.json").read_text())
    mistaken = {(each["file"], each["source_row"]) for each in truth["findings"] if each["field"] == "hifp_pay"}
    settled = city.ask(
        """SELECT txn_id, file, txn_id & 4294967295 FROM medical JOIN files ON file_no = txn_id >> 32
           WHERE disposition = 1 AND cancel = 0 GROUP BY ALL HAVING SUM(sign) > 0 ORDER BY 1"""
    )
    wrong = [txn for txn, file, row in settled if (file, row) in mistaken][:3]
    right = [txn for txn, file, row in settled if (file, row) not in mistaken][:3]
    told = [city.explain(txn).recomputed[0] for txn in (*wrong, *right)]
    assert {each.uncovered for each in told} == {None}
    assert {each.tariff for each in told} == {"demo.medical"}
    keys = ["prepay", "deductible", "share", "annual_cap", "waterfall"]
    assert all([step.step for step in each.steps] == keys for each in told)
    assert [bool(each.differences) for each in told] == [True] * 3 + [False] * 3
    for each in told:
        last = {change.column: change.after for step in each.steps for change in step.changes}
        for difference in each.differences:
            assert last.get(difference.field, 0) == difference.recomputed != difference.delivered


def test_each_bill_of_a_payment_is_told_again(city: City) -> None:
    (txn,) = city.ask(
        """SELECT txn_id FROM bills WHERE bill_paid = 1 GROUP BY txn_id
           HAVING SUM(sign) = 3 AND COUNT(DISTINCT utility_id) = 3 ORDER BY 1 LIMIT 1"""
    )[0]
    told = {each.participant.number: each for each in city.explain(txn).recomputed}
    assert sorted(told) == [611, 612, 613]
    assert told[613].uncovered == "no_tariff"
    assert told[613].steps == ()
    water = told[611].steps[-1]
    assert {change.column for change in water.changes} >= {"gross", "water", "resource", "sewage"}
    assert "Computed again by tariff" in render_text(city.explain(txn), "en")


def test_a_bill_paid_twice_names_its_first_payment_and_goes_to_the_cardholder(city: City) -> None:
    txn_id, bill, fen = city.ask(
        "SELECT b.txn_id, b.bill_id, b.bill_amount FROM bills b JOIN utility u USING (txn_id)"
        " JOIN bills f USING (utility_id, bill_id)"
        " WHERE u.disposition = 1 AND b.bill_paid = 0 AND f.bill_paid = 1 ORDER BY 1 LIMIT 1"
    )[0]
    told = city.explain(txn_id)
    (payer,) = [link for link in told.links if link.relation == "paid_the_bill" and link.shared.endswith(f"/{bill}")]
    first = city.explain(payer.txn_id)
    assert first.source is not None
    assert bill in [column.value for each in first.source.bills for column in each]
    suspense = sum(amount for (account, _, _), amount in _fen(told).items() if account == "cardholder_suspense")
    assert suspense >= fen
    assert _balanced(told)


def test_an_unreadable_row_tells_field_value_and_remedy(city: City) -> None:
    for txn_id, field in city.ask("SELECT MIN(txn_id), field FROM unreadable GROUP BY field"):
        told = city.explain(txn_id)
        assert told.unreadable is not None
        assert told.unreadable.field == field
        assert told.unreadable.remedy
        assert (told.ladder.status, told.source, told.legs) == ("UNREADABLE", None, ())
        assert told.segment.intact
        if field == "card_no":
            assert told.unreadable.value == "****"


def test_a_later_contradiction_shows_the_decision_its_reversal_and_the_new_one(city: City) -> None:
    told = city.explain(city.reversed_txn)
    assert [(each.status, each.sign) for each in told.decisions] == [
        ("ACCEPTED", 1),
        ("ACCEPTED", -1),
        ("CONFLICT", 1),
    ]
    first, reversal, now = told.decisions
    assert first.batch.sequence < reversal.batch.sequence == now.batch.sequence
    assert {(leg.account, leg.debit) for leg in reversal.legs} == {(leg.account, leg.credit) for leg in first.legs}
    assert told.legs == now.legs
    assert told.ladder.status == "CONFLICT"
    (link,) = told.links
    assert (link.relation, link.shared) == ("conflicts", "identity")


def test_a_csv_row_with_a_masked_card_is_told_too(city: City) -> None:
    told = city.explain(city.ask("SELECT file_no * 4294967296 + 1 FROM files WHERE file LIKE '%-902.data'")[0][0])
    assert told.source is not None
    assert told.register is not None
    assert told.origin.format == "szt-csv-10000"
    assert told.source.card == "C****"
    assert {c.name: c.value for c in told.source.columns}["date4"] == "20260302"
    assert told.register.merchant.name.en == "not registered"
    assert told.ladder.status == "UNKNOWN_MERCHANT"


def test_every_status_is_reproduced_balanced_and_masked_in_both_languages(city: City) -> None:
    statuses = city.ask("SELECT MIN(txn_id) FROM decisions GROUP BY status")
    assert len(statuses) > 20
    for (txn_id,) in statuses:
        told = city.explain(txn_id)
        assert told.ladder.reproduced, told.ladder.status
        assert told.tac is not None
        assert told.tac.agrees, told.ladder.status
        assert _balanced(told), told.ladder.status
        texts = (json.dumps(told.to_json()), render_text(told, "zh"), render_text(told, "en"))
        if told.origin.format == "parquet":
            card = city.delivered(told)["card_no"]
            assert not any(card in text or card[-10:] in text for text in texts), told.ladder.status
        assert told.ladder.text.zh in texts[1]
        assert told.ladder.text.en in texts[2]


def test_what_changed_since_does_not_change_the_story(city: City, tmp_path: Path) -> None:
    centre = _copy(city.centre, tmp_path)
    txn_id = city.first("t.service = 'transit' AND s.name = 'ACCEPTED' AND t.merchant_id = 201")
    (centre / "registers" / "terminals.csv").write_text("terminal_id,merchant_id,valid_from,valid_to\n")
    (centre / "tariffs" / "demo.metro.yaml").unlink()
    told = explain(centre, str(txn_id), passphrase=PASSPHRASE, language="en")
    assert told == city.explain(txn_id)
    entry = next(iter(Journal(centre / "journal").of_kind("batch")))
    (centre / "archive" / "config" / entry.body["configuration"]["centre.yaml"]).write_text("centre: {}")
    with pytest.raises(EvidenceError, match=r"archived centre\.yaml"):
        explain(centre, str(txn_id), passphrase=PASSPHRASE, language="en")


def test_a_closed_window_names_fee_position_and_payment(city: City, tmp_path: Path) -> None:
    centre = _copy(city.centre, tmp_path)
    txn_id = city.first(
        "t.service = 'transit' AND s.name = 'ACCEPTED' AND fund_paid > 0 AND t.\"window\" = '2026-03-02'"
    )
    closed = close_window(centre, DAY, passphrase=PASSPHRASE, now=seconds_of("2026-03-04T06:00:00"))
    told = explain(centre, str(txn_id), passphrase=PASSPHRASE, language="zh")
    assert told.settlement is not None
    assert told.settlement.entry is not None
    assert told.settlement.entry.sequence == closed.entry
    assert told.register is not None
    merchant = told.register.merchant.number
    (fee,) = told.settlement.fees
    assert fee.fee == sum(row["fen"] for row in closed.fees if row["merchant"] == merchant)
    proposed = [row["payment"] for row in closed.payments if row["participant"] == merchant]
    assert sorted(payment.payment for payment in told.settlement.payments) == sorted(proposed)
    assert proposed[0] in render_text(told)


def test_a_card_is_unmasked_only_for_a_recorded_reason(city: City, tmp_path: Path) -> None:
    centre = _copy(city.centre, tmp_path)
    txn_id = city.first("t.service = 'transit' AND s.name = 'ACCEPTED'")
    with pytest.raises(RefusedError, match="for a reason only"):
        explain(centre, str(txn_id), passphrase=PASSPHRASE, unmask=True, reason=" ", language="en")
    assert not list(Journal(centre / "journal").of_kind("unmask"))
    told = explain(centre, str(txn_id), passphrase=PASSPHRASE, unmask=True, reason="dispute 7", language="en")
    assert told.source is not None
    assert told.source.card == city.delivered(told)["card_no"]
    (entry,) = Journal(centre / "journal").of_kind("unmask")
    assert entry.body == {"txn_id": txn_id, "reason": "dispute 7"}
    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        assert store.run("SELECT MAX(sequence) FROM journal")[0][0] == entry.sequence


@pytest.mark.parametrize(
    ("txn", "what"),
    [
        ("a card", "no name of a transaction"),
        ("7:0", "no name of a transaction"),
        ("17", "no name of a transaction"),
        ("99999:1", "there is no file 99999"),
    ],
)
def test_an_unknown_transaction_is_refused_with_a_remedy(city: City, txn: str, what: str) -> None:
    with pytest.raises(ClearingError, match=what) as refused:
        city.explain(txn)
    assert refused.value.remedy
    assert refused.value.where == txn


def test_rows_that_are_no_transactions_say_why(city: City) -> None:
    refused = city.ask("SELECT file_no FROM files WHERE outcome = 'bad_signature'")[0][0]
    with pytest.raises(ClearingError, match="was not received \\(bad_signature\\)"):
        city.explain(f"{refused}:1")
    received = city.ask("SELECT MIN(file_no) FROM files WHERE outcome = 'received'")[0][0]
    with pytest.raises(ClearingError, match="has no row 99999999"):
        city.explain(f"{received}:99999999")
    receive_centre(city.fresh, passphrase=PASSPHRASE, now=seconds_of("2026-03-02T12:00:00"))
    with pytest.raises(ClearingError, match="not cleared yet"):
        explain(city.fresh, f"{received}:1", passphrase=PASSPHRASE, language="en")


def _copy(centre: Path, folder: Path) -> Path:
    return Path(shutil.copytree(centre, folder / "centre"))
