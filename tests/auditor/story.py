"""The story: read, verify, climb the ladder, decide replays, price, post, close."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from auditor import closing, grey, memory, paying, posting, replay
from auditor.banking import Bank
from auditor.books import Books
from auditor.centre import Centre, read_centre
from auditor.cipher import Cipher
from auditor.correcting import Corrections
from auditor.disputing import Disputes
from auditor.fares import Tariff, read_tariffs
from auditor.keys import read_cipher
from auditor.ladder import AFTER_REPLAY, BEFORE_REPLAY, Context, disposition, first_failure
from auditor.living import Life, read_happenings
from auditor.model import AuditResult, Row
from auditor.open_items import open_items
from auditor.reading import read_deliveries
from auditor.recomputing import read_contents, recompute
from auditor.times import operating_day, received_window, wall_time, window


def audit(centre: Path, deliveries: Path, truth: Path) -> AuditResult:
    """Audit a simulated centre from its folder, copies of its deliveries and its plain keys.

    Args:
        centre: the centre folder; settings, registers, tariffs and the list of held keys are read.
        deliveries: a folder with every data file and manifest as they were put in the inbox.
        truth: the folder with ``keys.json`` and, where anything happened between closes, ``happenings.jsonl``.
    """
    happenings = read_happenings(truth)
    closed = max((one["window"] for one in happenings if one["what"] == "close"), default=None)
    return audit_days(audit_deliveries(centre, deliveries, truth, closed), happenings)


@dataclass(frozen=True)
class Cleared:
    """What the deliveries alone say: rows decided, priced and posted, fees, findings."""

    centre: Path
    settings: Centre
    result: AuditResult
    events: list[Row]


def audit_deliveries(centre: Path, deliveries: Path, truth: Path, closed: int | None) -> Cleared:
    """Audit what was delivered; ``closed`` is the last window that is closed, None when all are."""
    settings = read_centre(centre)
    delivered = read_deliveries(deliveries, settings)
    cipher = read_cipher(centre, truth)
    result, events = _decide(delivered.rows, settings, cipher, read_tariffs(centre / "tariffs"), closed)
    result.files = delivered.outcomes
    again = recompute(delivered.rows, settings, read_contents(centre / "tariffs"))
    result.findings = {each for each in again.findings if closed is None or each[0] <= closed}
    result.not_compared = {key: n for key, n in again.not_compared.items() if closed is None or key[0] <= closed}
    return Cleared(centre, settings, result, events)


def audit_days(cleared: Cleared, happenings: list[dict[str, Any]]) -> AuditResult:
    """Go through what people and bank did about what was cleared; without anything every window closes in turn."""
    agreed = paying.read_agreed(yaml.load((cleared.centre / "centre.yaml").read_text("utf-8"), yaml.CSafeLoader))
    result = replace(cleared.result)
    life = _begin(result, cleared.events, cleared.settings, agreed, paying.Days(cleared.centre))
    if happenings:
        life.live(happenings)
    else:
        life.close_everything()
    _tell(result, life)
    return result


def _begin(
    result: AuditResult, events: list[Row], settings: Centre, agreed: paying.Agreed, days: paying.Days
) -> Life:
    """The books with everything that transactions and fees post."""
    books = Books(settings.id)
    for (day, kind, participant, source), fen in result.closed_balances.items():
        books.windows[day][kind, participant, source] += fen
    corrections = Corrections(books, settings, result.rows, events)
    return Life(
        books,
        paying.Closer(books, agreed, days, settings),
        Bank(books, agreed),
        corrections,
        Disputes(corrections),
        settings.calendar,
    )


def _tell(result: AuditResult, life: Life) -> None:
    """What the days have left behind."""
    books = life.books
    assert books.closed is not None, "no window was closed"
    result.closed_balances = books.balances()
    # What is held back stays with the payee in the same source of money: it nets out of its position.
    closed = {key: fen for key, fen in closing.by_window(books.windows).items() if key[0] <= books.closed}
    result.positions = closing.positions_of(closed)
    result.payments = {
        name: (one.direction, one.fen, one.pay_day, one.status) for name, one in books.payments.items()
    }
    result.unpaid = life.closer.unpaid
    result.bank_files = life.bank.outcomes
    result.bank_lines = {
        (line.file, line.number): (line.payment, line.direction, line.fen, line.outcome, line.open)
        for line in life.bank.lines
    }
    result.disputes = Counter((one.row, one.state, one.fen, one.deadline) for one in life.disputes.all.values())
    result.open_items = open_items(result, life)
    result.objections = life.objections


def audit_rows(rows: list[Row], centre: Centre, cipher: Cipher, tariffs: dict[str, Tariff]) -> AuditResult:
    """Decide, price, post and close rows given in the order they were received in."""
    return _decide(rows, centre, cipher, tariffs, None)[0]


def _decide(
    rows: list[Row], centre: Centre, cipher: Cipher, tariffs: dict[str, Tariff], closed: int | None
) -> tuple[AuditResult, list[Row]]:
    """The rows decided and posted, their fees, and every event of theirs; ``closed`` is the last closed window."""
    context = Context(centre, cipher.issuers_with_keys)
    for row in rows:
        _resolve(row, centre, cipher)
        row.status = first_failure(row, BEFORE_REPLAY, context)
    replayed = replay.decide([row for row in rows if not row.status])
    _decide_the_rest(rows, context, tariffs)
    poster = posting.Poster(centre)
    poster.post(rows)
    last = max((row.window for row in rows), default=0) if closed is None else closed
    _decide_grey(rows, replayed, centre, last)
    events = [event for row in rows for event in poster.decisions(row)]
    balances = closing.balances_of(events)
    if closed is None:
        last = max((window for window, *_ in balances), default=0)
    result = AuditResult(
        rows={row.key: row for row in rows},
        interchangeable=replayed.interchangeable,
        balances=balances,
        fees=closing.fees_of(events, centre, last),
    )
    result.closed_balances = closing.close(result.balances, result.fees)
    result.positions = closing.positions_of(result.closed_balances)
    return result, events


def _decide_grey(rows: list[Row], replayed: replay.Memory, centre: Centre, last: int) -> None:
    """Later decisions of grey rows: the first one is reversed where the new one posts."""
    decided = grey.decide(rows, replayed, last)
    for row in decided:
        row.reversed += [(row.window, leg) for leg in row.legs]
        row.reversed += [(row.moved_to, (account, -amount)) for account, amount in row.legs]
        row.status, row.window, row.template, row.legs = row.later_status, row.moved_to, "NONE", []
        row.disposition = disposition(row.status, row.direction, centre.policy)
    posting.Poster(centre).post(decided)


def _resolve(row: Row, centre: Centre, cipher: Cipher) -> None:
    """Card id, times, windows and the TAC verdict, whatever decides the status later."""
    row.received_window = received_window(row.received_at, centre.calendar)
    if not row.unreadable:
        row.card_id = cipher.card_id(row.card_no)
        row.txn_time = wall_time(row.value["date4"], row.value["time3"])
        row.operating_day = operating_day(row.txn_time, centre.calendar)
        row.tac_verdict = cipher.verdict(row)
    row.window = window(row.txn_time, row.received_at, centre.calendar)


def _decide_the_rest(rows: list[Row], context: Context, tariffs: dict[str, Tariff]) -> None:
    """The checks after replay, price and disposition; grants first, since loads look for accepted ones."""
    centre = context.centre
    remembered = []
    for row in sorted(rows, key=lambda row: row.service != "benefit"):
        if not row.status:
            row.status = first_failure(row, AFTER_REPLAY, context)
        payable = disposition(row.status or "ACCEPTED", row.direction, centre.policy) == "ACCEPTED"
        remembering = memory.tariff_of(row, centre, tariffs) if payable and row.service == "transit" else ""
        if payable and row.service != "transit":
            posting.unpriced(row)
        elif remembering and memory.covered(row, centre, tariffs[remembering]):
            remembered.append(row)
        elif payable and not posting.price(row, centre, tariffs):
            row.status = row.status or "NO_TARIFF"
        row.status = row.status or "ACCEPTED"
        row.disposition = disposition(row.status, row.direction, centre.policy)
        if row.service == "benefit" and row.disposition == "ACCEPTED":
            grant = (row.value["benefit_id"], row.card_id, row.value["granted"])
            first = context.grants.get(grant, row.received_window)
            context.grants[grant] = min(first, row.received_window)
    memory.settle(remembered, centre, tariffs)
