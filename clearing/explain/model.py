"""What an explanation says: frozen records of plain values, ready for JSON. Money is int fen, times are ISO texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Language = Literal["zh", "en"]
Outcome = Literal["pass", "fail", "not_reached"]


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence or name in both languages."""

    zh: str
    en: str

    def in_language(self, language: Language) -> str:
        """The text in one of them."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Party:
    """A participant by number and name; number 0 is the reserve as a source of money, else "nobody known"."""

    number: int
    name: Text


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """A journal entry: its place, the SHA-256 of its bytes, and whether the centre's signature fits."""

    sequence: int
    kind: str
    at: str
    sha256: str
    signature_ok: bool


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file the journal names, and whether it is still those bytes."""

    name: str
    sha256: str
    intact: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """Which row of which delivery this is. ``delivery`` is the data file as its sender signed it."""

    txn_id: int
    reference: str
    service: str
    file_no: int
    file: str
    format: str
    sender: Party
    file_date: str
    sequence: int
    row: int
    received_at: str
    entry: SealedEntry
    delivery: SealedFile


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One delivered value: an integer, hex text of an identifier, or None; ``label`` names an enumerated value."""

    name: str
    value: int | str | None
    label: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Source:
    """The row as decoded again from the archive; ``card`` is masked unless ``unmasked``.

    ``exchange_sha256`` names the exchange with the card in the terminal's capture journal, where the delivery carries
    it: `card exchange DIR HASH` at the terminal shows its commands and responses.
    """

    card: str
    unmasked: bool
    card_id: str
    exchange_sha256: str | None
    columns: tuple[SourceColumn, ...]
    bills: tuple[tuple[SourceColumn, ...], ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a row could not be decoded; digits that may be a card number are masked like one."""

    field: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class TacProof:
    """The TAC, computed again by the scalar twin of the batch engine; the right code of a wrong TAC is never told.

    ``covered`` is the hex of the bytes it covers, None when the row lacks one of them.
    """

    covered: str | None
    given: str | None
    key: str | None
    recomputed: str
    recorded: str
    agrees: bool


@dataclass(frozen=True, slots=True)
class Rung:
    """One check. ``by``: ``row`` was evaluated again, ``record`` depends on other rows and is as recorded."""

    number: int
    status: str
    outcome: Outcome
    by: Literal["row", "record"]
    text: Text


@dataclass(frozen=True, slots=True)
class Ladder:
    """All checks in order and what was recorded; ``reproduced`` tells whether climbing again ends there too."""

    rungs: tuple[Rung, ...]
    number: int
    status: str
    text: Text
    disposition: str
    reproduced: bool


@dataclass(frozen=True, slots=True)
class Link:
    """Another row this one met: ``stands_for_it``, ``yielded_to_it``, ``conflicts`` or ``paid_the_bill``."""

    relation: Literal["stands_for_it", "yielded_to_it", "conflicts", "paid_the_bill"]
    txn_id: int
    reference: str
    status: str
    shared: str


@dataclass(frozen=True, slots=True)
class RegisterFacts:
    """What the registers of the batch said on the operating day."""

    operating_day: str | None
    merchant: Party
    merchant_sender: int | None
    terminal_owner: Party | None
    issuer: Party
    card_registered: bool | None
    register_class: int
    terminal_class: int | None
    agreement: str | None


@dataclass(frozen=True, slots=True)
class StepChange:
    """An amount that a step of a tariff changed; fen where ``money``, else a quantity."""

    column: str
    name: Text
    before: int
    after: int
    money: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a tariff, as ``tariff explain`` shows it: what it changed, and the rule that decides after it."""

    step: str
    rule: str
    priced: bool
    changes: tuple[StepChange, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """An amount settled or billed otherwise than the tariff says, with its class (docs/clearing-rules.md §9)."""

    field: str
    mismatch: str
    delivered: int
    recomputed: int


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A settlement, or one bill of a payment, computed again by the tariff of who settled or billed it.

    ``uncovered`` says why there is nothing to compare with; ``bill_no`` as in the view ``bills``, None for medical.
    """

    bill_no: int | None
    participant: Party
    tariff: str | None
    segment: str | None
    rule: str | None
    uncovered: str | None
    steps: tuple[Step, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """How charged and computed fare compare, fen; ``tariff`` is None where no tariff prices the service or row.

    ``expected`` is what the tariff asks of the card, ``tolerance`` by how much the operator may differ from it,
    ``posted`` whether these amounts became legs.
    """

    tariff: str | None
    file: SealedFile | None
    segment: int | None
    first_day: str | None
    last_day: str | None
    rule: str | None
    charged: int
    expected: int | None
    tolerance: int
    gross: int
    card_paid: int
    overcharge: int
    fund: Party | None
    fund_paid: int
    operator_borne: int
    verdict: str
    posted: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """What an accumulator of a tariff holds: since when, its value (fen or journeys) and count."""

    since: str
    value: int
    count: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """One accumulator before and after a journey; None = nothing yet."""

    name: str
    before: Holding | None
    after: Holding | None


@dataclass(frozen=True, slots=True)
class Memory:
    """What the owner's memory was when a journey was priced, computed again from the owner's journeys.

    ``owner`` is the card_id it is kept under, ``counts`` whether the journey counts, ``journeys_before`` how many
    stand before it, ``agrees`` whether its price comes out as decided.
    """

    owner: str
    counts: bool
    journeys_before: int
    accumulators: tuple[Remembered, ...]
    agrees: bool


@dataclass(frozen=True, slots=True)
class Leg:
    """One line of the posting in fen, exactly one of ``debit`` and ``credit`` above zero."""

    account: str
    participant: Party
    source: Party
    debit: int
    credit: int
    memo: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """One recorded event of the transaction: decided (+1) or reversed (−1), where it is sealed, what it posted."""

    event: int
    sign: int
    status: str
    disposition: str
    template: str
    window: str
    batch: SealedEntry
    segment: SealedFile
    decision_hash: str
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """What persons corrected: an adjustment by its template, a move of a dispute, or the state of its card.

    ``fen`` is the amount moved, of a dispute what is still in dispute; ``legs`` are those on this transaction.
    """

    name: str
    kind: Literal["adjustment", "dispute", "card_state"]
    what: str
    meaning: Text
    state: str | None
    fen: int
    reason: str
    persons: tuple[str, str]
    window: str
    entry: SealedEntry
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class BankEntry:
    """What a bank said of a payment: outcome of the line, the bank's own number of it, the sealed file."""

    outcome: str
    fen: int
    reference: str
    booked: str | None
    format: str
    sha256: str
    entry: SealedEntry


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that carries the money: proposed, waiting for a fund, or further."""

    payment: str
    participant: Party
    source: Party
    direction: str
    fen: int
    state: str
    purpose: str
    pay_date: str
    order: str | None = None
    """Message that ordered it last."""
    bank: tuple[BankEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """Net position of a participant in one source of money, fen; positive is owed to it."""

    participant: Party
    source: Party
    fen: int


@dataclass(frozen=True, slots=True)
class Fee:
    """The fee of a merchant for the whole window, fen."""

    merchant: Party
    base: int
    fee: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """The window and, once it is closed, what its close says of those this transaction pays or collects from."""

    window: str
    received_window: str
    closed_at: str | None
    entry: SealedEntry | None
    fees: tuple[Fee, ...]
    positions: tuple[Position, ...]
    payments: tuple[Payment, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole story. An unreadable row has only origin, ladder, its reason and where it is sealed."""

    language: Language
    origin: Origin
    ladder: Ladder
    batch: SealedEntry
    segment: SealedFile
    unreadable: Unreadable | None = None
    source: Source | None = None
    content_hash: str | None = None
    tac: TacProof | None = None
    links: tuple[Link, ...] = ()
    register: RegisterFacts | None = None
    price: Price | None = None
    recomputed: tuple[Recomputed, ...] = ()
    memory: Memory | None = None
    legs: tuple[Leg, ...] = ()
    decisions: tuple[Decision, ...] = ()
    corrections: tuple[Correction, ...] = ()
    settlement: Settlement | None = None

    def to_json(self) -> dict[str, Any]:
        """The explanation as one JSON document."""
        return asdict(self)
