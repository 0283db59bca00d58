"""A closed window of hand-made transactions to correct, and the two persons who do it."""

from __future__ import annotations

import datetime
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearing.calendar import seconds_of
from clearing.card_accounts.change import StateChange, approve_state, propose_state
from clearing.card_accounts.states import StateRow
from clearing.corrections.adjust import Outcome, approve, propose
from clearing.corrections.disputes import Asked, DisputeOutcome, approve_moves, propose_moves
from clearing.corrections.persons import Signer
from clearing.corrections.rules import Item
from clearing.initialise import people_folder
from clearing.people import load_key
from clearing.settlement import close_window
from evidence.centres import PASSPHRASE
from evidence.handmade import Cases, Centre, Line

WINDOW = datetime.date(2026, 3, 2)
AFTER_CLOSE = "2026-03-03T05:00:00"
NEXT_NOON, NEXT_EVENING = "2026-03-03T12:00:00", "2026-03-03T18:00:00"

LINES = """
retail                                          ACCEPTED
transit amount=260                              ACCEPTED
retail balance_after=1                          BALANCE_BREAK
retail key_version=3                            KEY_UNKNOWN
retail tac=wrong                                TAC_FAILED
utility amount=500 bills=611:1:100,612:2:300    ACCEPTED
load tac=-                                      TAC_MISSING
retail card=foreign                             ACCEPTED
medical                                         ACCEPTED
load                                            ACCEPTED
retail card=blacklisted                         CARD_BLACKLISTED
benefit                                         ACCEPTED
benefit                                         ACCEPTED
  load benefit_id=BENEFIT                       ACCEPTED
retail card=keyless sender=510 merchant=511     ACCEPTED
transit card=student amount=100                 ACCEPTED
medical txn_type=0 amount=0 cancel=1            ACCEPTED
retail record_state=1                           GREY_RECORD
retail merchant=999                             UNKNOWN_MERCHANT
retail                                          CONFLICT
  retail amount=300                             CONFLICT
"""
NAMES = (
    "retail", "overcharged", "suspense", "unproven", "tac_failed", "utility", "load_held", "foreign", "medical",
    "load", "blacklisted", "grant", "grant_taken", "pickup", "keyless", "student", "cancelled", "grey",
    "unknown_merchant", "one", "other",
)  # fmt: skip
"""What tests call the lines above."""


@dataclass
class Corrected:
    """A centre to correct; transactions by name."""

    centre: Centre
    txn: dict[str, int]
    lines: dict[str, Line]

    @property
    def directory(self) -> Path:
        return self.centre.directory

    def signer(self, person: str) -> Signer:
        return Signer(person, load_key(people_folder(self.directory) / f"{person}.key"))

    def adjust(
        self, *items: Item, by: str = "reconciler", and_by: str = "approver.a", now: str = NEXT_NOON
    ) -> Outcome:
        """Propose and approve."""
        clock = seconds_of(now)
        asked = propose(self.directory, list(items), passphrase=PASSPHRASE, by=self.signer(by), now=clock)
        assert asked.proposal is not None
        return approve(self.directory, asked.proposal, passphrase=PASSPHRASE, by=self.signer(and_by), now=clock)

    def item(self, template: str, name: str, **given: Any) -> Item:
        return Item(template, "test", txn_id=self.txn[name], **given)

    def state(
        self, change: StateRow, *, by: str = "reconciler", and_by: str = "approver.a", now: str = NEXT_NOON
    ) -> StateChange:
        """Propose and approve a card's state."""
        clock, at = seconds_of(now), self.directory
        asked = propose_state(at, change, reason="test", passphrase=PASSPHRASE, by=self.signer(by), now=clock)
        return approve_state(at, asked.proposal, passphrase=PASSPHRASE, by=self.signer(and_by), now=clock)

    def move(self, *asked: Asked, now: str = NEXT_NOON) -> DisputeOutcome:
        """Propose and approve moves of disputes."""
        clock = seconds_of(now)
        outcome = propose_moves(
            self.directory, list(asked), passphrase=PASSPHRASE, by=self.signer("reconciler"), now=clock
        )
        assert outcome.proposal is not None
        return approve_moves(
            self.directory, outcome.proposal, passphrase=PASSPHRASE, by=self.signer("approver.b"), now=clock
        )

    def trial_balance(self) -> Counter[str]:
        """Fen by account over all windows, as "kind participant" or "kind participant from source"."""
        return Counter(
            {account_text(kind, participant, source): fen
             for kind, participant, source, fen in self.centre.query("FROM trial_balance")}
        )  # fmt: skip


def account_text(kind: str, participant: int, source: int) -> str:
    return f"{kind} {participant}" + (f" from {source}" if source else "")


def moved_between(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """What changed on the accounts."""
    change = {account: after[account] - before[account] for account in before.keys() | after.keys()}
    return {account: fen for account, fen in change.items() if fen}


def closed_centre(folder: Path, partners: tuple[int, ...] = ()) -> Corrected:
    """The lines cleared and their window closed; ``partners`` get JT/T 978.4 files."""
    centre = Centre.create(folder)
    path = folder / "centre.yaml"
    text = path.read_text("utf-8")
    for number in partners:
        text = text.replace(f"{{id: {number}, kind", f"{{id: {number}, interchange: jtt978, kind", 1)
    path.write_text(text, "utf-8")
    lines = Cases(centre).read(LINES)
    centre.deliver(lines)
    centre.run(AFTER_CLOSE)
    close_window(centre.directory, WINDOW, passphrase=PASSPHRASE, now=seconds_of(AFTER_CLOSE))
    found = centre.decisions()
    assert [found[line.place] for line in lines] == [line.expected for line in lines]
    files = dict(centre.query("SELECT file, file_no FROM files"))
    txns = [(files[line.place[0]] << 32) + line.place[1] for line in lines]
    return Corrected(centre, dict(zip(NAMES, txns, strict=True)), dict(zip(NAMES, lines, strict=True)))


def copied(original: Corrected, folder: Path) -> Corrected:
    """The same centre to be changed, with its people beside it."""
    target = Path(shutil.copytree(original.directory, folder))
    shutil.copytree(people_folder(original.directory), people_folder(target), dirs_exist_ok=True)
    return Corrected(Centre(target, original.centre.masters), original.txn, original.lines)
