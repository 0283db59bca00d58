"""``clearing dispute``: moves of disputes, decided by the flow, proposed and posted with two signatures."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from clearing.calendar import date_of, day_number
from clearing.centre import Centre
from clearing.config import RESERVE
from clearing.corrections.commit import drop, open_window, post, refuse_posted
from clearing.corrections.dispute_flow import NEW, SURPLUS, Move, Moved, Standing, moved
from clearing.corrections.persons import Signer, check_signed, signed
from clearing.corrections.proposals import read_proposal, write_proposal
from clearing.corrections.rules import RULES
from clearing.corrections.subject import Subject, reference_of, subjects_of
from clearing.corrections.templates import Legs, Parties, held_on, joined, legs_of, taken
from clearing.engine import declared_now, opened
from clearing.errors import ClearingError, RefusedError
from clearing.interchange.received import read_feedback
from clearing.status import ClearingStatus, Disposition
from clearing.store import Store, sql_text

_TAC_CODES: Final = frozenset({f"{int(ClearingStatus.TAC_FAILED):06d}", "000001"})
"""Error codes by which a feedback says that a TAC is wrong: this project's, and the card companies'."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A move as a person asks for it: of a dispute by name, or of a new one about a transaction."""

    reason: str
    actor: str
    action: str
    dispute: str | None = None
    txn_id: int | None = None
    code: str = ""
    fen: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A move that may be posted."""

    asked: Asked
    txn_id: int
    step: int
    moved: Moved
    template: str | None
    legs: Legs


@dataclass(frozen=True, slots=True)
class DisputeOutcome:
    """What a command did or would do; JSON-able. ``entry`` is None while nothing is posted."""

    proposal: str | None
    window: str
    entry: int | None
    moves: list[dict[str, Any]]


def judge_moves(centre: Centre, store: Store, asked: list[Asked], window: int) -> list[Made]:
    """Every move decided, in order.

    Raises:
        RefusedError, ClearingError: the first one that cannot be.
    """
    standing = {
        name: (txn_id, step, Standing(state, fen, None if deadline is None else day_number(deadline)))
        for name, txn_id, step, state, fen, deadline in store.run(sql_text("corrections/standing"))
    }
    txns = [standing[each.dispute][0] for each in asked if each.dispute in standing]
    txns += [each.txn_id for each in asked if each.txn_id is not None]
    subjects = subjects_of(centre, store, txns, window) if txns else {}
    open_about = {txn_id for txn_id, _, each in standing.values() if not each.closed}
    found = []
    for each in asked:
        txn_id, step, where = _standing_of(each, standing, open_about)
        if txn_id not in subjects:
            raise ClearingError(
                "no decided transaction", where=reference_of(txn_id), remedy="see it: clearing explain"
            )
        made = _made(centre, subjects[txn_id], each, step, where, window)
        subjects[txn_id] = replace(subjects[txn_id], accounts=joined([subjects[txn_id].accounts, made.legs]))
        if each.dispute is not None:
            standing[each.dispute] = (txn_id, step, made.moved.standing)
        else:
            open_about.add(txn_id)
        found.append(made)
    return found


def _standing_of(
    asked: Asked, standing: dict[str, tuple[int, int, Standing]], open_about: set[int]
) -> tuple[int, int, Standing]:
    if not asked.reason.strip():
        raise RefusedError("no reason", remedy="say why: --reason")
    if asked.dispute is not None:
        if asked.dispute not in standing:
            raise ClearingError("no such dispute", where=asked.dispute, remedy="see them: clearing dispute DIR list")
        txn_id, step, where = standing[asked.dispute]
        return txn_id, step + 1, where
    if asked.txn_id is None:
        raise ClearingError("a new dispute is about a transaction", remedy="name it as FILE_NO:ROW")
    if asked.txn_id in open_about:
        raise RefusedError(
            "a dispute about it is open", where=reference_of(asked.txn_id), remedy="go on with that one"
        )
    return asked.txn_id, 1, Standing()


def _made(centre: Centre, subject: Subject, asked: Asked, step: int, where: Standing, window: int) -> Made:
    named = asked.dispute or reference_of(subject.txn_id)
    fen = asked.fen
    if where.state == NEW:
        _check_opening(subject, asked, centre)
        fen = subject.amount if fen is None else fen
        if fen > subject.amount:
            raise RefusedError(f"{fen} fen are more than the transaction's {subject.amount}", where=named)
    try:
        after = moved(where, Move(asked.actor, asked.action, asked.code, fen), window)
    except RefusedError as exc:
        raise RefusedError(exc.what, where=named, remedy=exc.remedy) from exc
    template = _template(after.posts, subject)
    if template is None:
        return Made(asked, subject.txn_id, step, after, None, Counter())
    merchant = _holder(subject)
    parties = Parties(subject.issuer, merchant, 0, merchant)
    legs = legs_of(template, parties, after.fen, centre.chart)
    for account, out in taken(legs).items():
        if held_on(subject.accounts, account) < out:
            raise RefusedError(
                f"{account[0]} {account[1]} has {held_on(subject.accounts, account)} fen of it, not {out}",
                where=named,
                remedy="see what corrections moved: clearing explain",
            )
    if where.state == NEW and subject.accounts["merchant_payable", merchant, RESERVE] < after.fen:
        # Whoever loses, the money has to be there at the end; no adjustment moves it meanwhile.
        raise RefusedError("the merchant no longer has that much of it", where=named, remedy="dispute what is left")
    return Made(asked, subject.txn_id, step, after, template, legs)


def _holder(subject: Subject) -> int:
    """Whose money the dispute is about: who was paid out of the reserve, else the merchant of the row."""
    paid = sorted(
        {o for (kind, o, s), fen in subject.accounts.items() if kind == "merchant_payable" and not s and fen > 0}
    )
    return paid[0] if len(paid) == 1 else subject.merchant


def _check_opening(subject: Subject, asked: Asked, centre: Centre) -> None:
    """Who may dispute what: the issuer trades that were paid, the acquirer those that were not."""
    where = reference_of(subject.txn_id)
    accepted = subject.disposition == Disposition.ACCEPTED
    if subject.service in ("load", "benefit"):
        raise RefusedError("only purchases are disputed", where=where, remedy="correct it: clearing adjust")
    if subject.undecided is not None:
        raise RefusedError(subject.undecided, where=where, remedy="wait for it")
    if asked.actor == "issuer" and not accepted:
        raise RefusedError("an issuer disputes successful trades only", where=where, remedy="nothing was paid for it")
    if asked.actor == "acquirer" and subject.disposition not in (Disposition.HELD, Disposition.REJECTED):
        raise RefusedError("only a held or rejected trade was not paid", where=where, remedy="it is paid already")
    if asked.actor == "acquirer":
        _check_payable(subject, where)
    if asked.action != "report":
        return
    if subject.verified:
        raise RefusedError(
            "we verified its TAC ourselves", where=where, remedy="its issuer opens a query: 1001, 1005"
        )
    if subject.issuer in centre.chart.own_issuers:
        raise RefusedError("the card is our own", where=where, remedy="its TAC is ours to verify")


def _check_payable(subject: Subject, where: str) -> None:
    """A dispute pays nothing that an adjustment could not: a wrong TAC, a repeat, the other side of a conflict."""
    status = ClearingStatus(subject.status).name
    allowed = RULES[_template(SURPLUS, subject) or ""].statuses
    if status not in allowed:
        raise RefusedError(
            f"a row that is {status} is never paid", where=where, remedy=f"only {', '.join(sorted(allowed))}"
        )
    if subject.rival is not None:
        raise RefusedError(f"{reference_of(subject.rival)} is paid; only one of the two can be", where=where)
    if not subject.merchant:
        raise RefusedError("nobody registered is its payee", where=where, remedy="release it to one: clearing adjust")


def _template(posts: str, subject: Subject) -> str | None:
    """The template of a transition; what a surplus is paid from depends on where the row's money lies."""
    if posts != SURPLUS:
        return posts or None
    lies = {kind for (kind, _, _), fen in subject.accounts.items() if fen}
    if "suspense_payable" in lies:
        return "RELEASE"
    return "RELEASE_UNPROVEN" if "held_memo" in lies else "RELEASE_REJECTED"


def propose_moves(
    directory: Path,
    asked: list[Asked],
    *,
    passphrase: str,
    by: Signer,
    now: int | None = None,
    wait: float = 60.0,
) -> DisputeOutcome:
    """Decide moves and leave them, signed by one person, for another; nothing is posted."""
    with opened(directory, passphrase, wait=wait, purpose="clearing dispute") as (centre, projection):
        at = declared_now(centre, now)
        window = open_window(centre, at)
        projection.refresh_if_stale(centre.journal)
        made = judge_moves(centre, projection.store, asked, window)
        if not made:
            return DisputeOutcome(None, date_of(window).isoformat(), None, [])
        after = len(centre.journal.entries)
        content = {"kind": "dispute", "at": at, "after": after, "items": [asdict(each) for each in asked]}
        proposal = signed(centre, content, by, at)
        write_proposal(directory, proposal)
    return DisputeOutcome(proposal.name, date_of(window).isoformat(), None, [_shown(each) for each in made])


def approve_moves(
    directory: Path, name: str, *, passphrase: str, by: Signer, now: int | None = None, wait: float = 60.0
) -> DisputeOutcome:
    """Post proposed moves with the signature of a second person."""
    with opened(directory, passphrase, wait=wait, purpose="clearing dispute") as (centre, projection):
        at = declared_now(centre, now)
        window = open_window(centre, at)
        proposal = read_proposal(directory, name)
        if proposal.kind != "dispute":
            raise RefusedError("the proposal is no dispute", where=name, remedy="approve it by its own command")
        signatures = check_signed(centre, proposal, by, at)
        refuse_posted(centre, proposal)
        projection.refresh_if_stale(centre.journal)
        asked = [Asked(**document) for document in proposal.content["items"]]
        made = judge_moves(centre, projection.store, asked, window)
        sequence = len(centre.journal.entries) + 1
        body = {
            "proposal": proposal.digest,
            "proposed": proposal.content,
            "items": [_item(each, f"D{sequence}-{number}") for number, each in enumerate(made, 1)],
            "signatures": signatures,
        }
        entry = post(centre, projection, "dispute", body, [each.legs for each in made], window, at)
        drop(directory, proposal)
    return DisputeOutcome(proposal.name, date_of(window).isoformat(), entry.sequence, [_shown(each) for each in made])


def _item(made: Made, new_name: str) -> dict[str, Any]:
    after = made.moved.standing
    return {
        "dispute": made.asked.dispute or new_name,
        "step": made.step,
        "txn_id": made.txn_id,
        "actor": made.asked.actor,
        "action": made.asked.action,
        "code": made.asked.code,
        "state": after.state,
        "closed": after.closed,
        "fen": after.fen,
        "template": made.template,
        "deadline": after.deadline,
        "reason": made.asked.reason,
        "legs": [[made.txn_id, None, *account, fen] for account, fen in sorted(made.legs.items())],
    }


def _shown(made: Made) -> dict[str, Any]:
    after = made.moved.standing
    return {
        "dispute": made.asked.dispute,
        "transaction": reference_of(made.txn_id),
        "move": f"{made.asked.actor} {made.asked.action} {made.asked.code}".strip(),
        "state": after.state,
        "open_fen": after.fen,
        "deadline": None if after.deadline is None else date_of(after.deadline).isoformat(),
        "legs": [
            {"account": kind, "participant": participant, "source": source, "fen": fen}
            for (kind, participant, source), fen in sorted(made.legs.items())
        ],
    }


def lapsed(directory: Path, passphrase: str, now: int | None, wait: float = 60.0) -> list[Asked]:
    """A lapse for every open dispute whose deadline has passed."""
    with opened(directory, passphrase, wait=wait, purpose="clearing dispute") as (centre, projection):
        day = date_of(open_window(centre, declared_now(centre, now)))
        projection.refresh_if_stale(centre.journal)
        due = projection.store.run(sql_text("corrections/lapsed"), {"day": day})
    return [
        Asked(reason=f"no answer until {deadline}", actor="centre", action="lapse", dispute=name)
        for name, deadline in due
    ]


def reported_tac_failures(directory: Path, file: Path, passphrase: str) -> tuple[list[Asked], list[dict[str, Any]]]:
    """What another centre's feedback (FB) reports of purchases cleared first: moves to open, and lines that are none.

    A purchase that is refused there for its TAC opens a provisional receivable; any other line is for a person.
    """
    summary = read_feedback(directory, file, passphrase=passphrase)
    moves, others = [], []
    for finding in summary.findings:
        if finding.kind == "refused_there" and finding.code in _TAC_CODES and finding.txn_id is not None:
            reason = f"{summary.file} line {finding.line}: {finding.code} {finding.text}".strip()
            moves.append(Asked(reason, "issuer", "report", txn_id=finding.txn_id, code="TAC"))
        else:
            others.append(asdict(finding))
    return moves, others


def list_disputes(store: Store) -> list[dict[str, Any]]:
    """Open disputes, oldest first, with age by the newest window."""
    return store.records(sql_text("corrections/open_disputes"))
