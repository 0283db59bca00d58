"""Which corrections and disputes are about a transaction, with what each moved on it; the states of its card."""

from __future__ import annotations

from clearing.accounts import MEMO_KINDS
from clearing.centre import Centre
from clearing.corrections.rules import RULES
from clearing.explain.evidence import Evidence, money_source, party_of, sealed_entry
from clearing.explain.model import Correction, Leg, Text


def corrections_of(txn_id: int, centre: Centre, evidence: Evidence) -> tuple[Correction, ...]:
    """Adjustments of a transaction, moves of disputes about it, states of its card; in the journal's order."""
    wanted = {"txn": txn_id}
    legs: dict[tuple[int, str], list[Leg]] = {}
    for entry, name, kind, participant, source, fen in evidence.store.run(_LEGS, wanted):
        leg = Leg(
            account=kind,
            participant=party_of(centre, participant),
            source=money_source(centre, source),
            debit=max(-fen, 0),
            credit=max(fen, 0),
            memo=kind in MEMO_KINDS,
        )
        legs.setdefault((entry, name), []).append(leg)
    found = []
    for entry, name, kind, what, state, fen, reason, proposer, approver, window in evidence.store.run(_MOVES, wanted):
        rule = RULES.get(what)
        found.append(
            Correction(
                name=name,
                kind=kind,
                what=what,
                meaning=Text(rule.zh, rule.en) if rule is not None else Text("", ""),
                state=state,
                fen=fen,
                reason=reason,
                persons=(proposer, approver),
                window=window.isoformat(),
                entry=sealed_entry(centre, centre.journal.entries[entry - 1]),
                legs=tuple(legs.get((entry, name), ())),
            )
        )
    return tuple(found)


_LEGS = """
    SELECT entry, correction, kind, participant, source, SUM(fen)::BIGINT FROM correction_legs WHERE txn_id = $txn
    GROUP BY ALL ORDER BY ALL"""
_MOVES = """
    SELECT entry, adjustment, 'adjustment', template, NULL::VARCHAR, fen, reason, proposer, approver, "window"
    FROM adjustments WHERE $txn IN (txn_id, linked_txn_id)
    UNION ALL
    SELECT entry, dispute, 'dispute', trim(actor || ' ' || "action" || ' ' || code), state, fen, reason, proposer,
        approver, "window"
    FROM disputes WHERE txn_id = $txn
    UNION ALL
    SELECT entry, change, 'card_state', state, since::VARCHAR, 0, reason, proposer, approver, "window"
    FROM card_states WHERE card_id IN (SELECT card_id FROM decisions WHERE txn_id = $txn) ORDER BY 1, 2"""
