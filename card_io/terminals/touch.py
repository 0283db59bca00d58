"""One touch of a card: select, settle its grey records, then debits and loads, each journaled before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from card_io import grey
from card_io.apdu import OK, CardChannel
from card_io.capture.journal import Clock, wall_clock_ns
from card_io.capture.settings import TerminalSettings
from card_io.capture.transactions import CapturePoint, State, Transaction
from card_io.layouts.files import IndustryRecord, JourneyRecord, LogRecord
from card_io.parameters import Parameters
from card_io.purse import online, proof, purchase
from card_io.purse.application import PurseCard, read_log, select_purse
from card_io.readers.exchange import Exchange
from card_io.readers.faults import CardFault, DialogueFault, RefusedFault
from card_io.readers.port import Reader
from card_io.records import LOAD_TYPES, PurseKind, Service, TxnType
from card_io.sam.port import IssuerHost, Sam

_DEBIT, _CREDIT, _GET_RESPONSE = 0x54, 0x52, 0xC0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a card is turned away, for the cardholder."""

    zh: str
    en: str


REASONS: Final[dict[str, Reason]] = {
    "blacklisted": Reason("黑名单卡,请联系客服", "The card is on the blacklist; contact customer service"),
    "blocked": Reason("应用已锁定,请联系客服", "The card is blocked; contact customer service"),
    "expired": Reason("卡片不在有效期内", "The card is not valid today"),
    "key_version": Reason("密钥版本不被受理", "The card's key version is not accepted here"),
    "no_fare": Reason("无适用票价,请到人工窗口", "No fare for this journey; see the staff"),
    "already_inside": Reason("已有进站记录,请到人工窗口", "The card is inside already; see the staff"),
    "nothing_due": Reason("没有应付款项", "Nothing is due"),
    "over_own_part": Reason("扣款不得大于个人应付", "More than the person's own part cannot be taken"),
    "not_started": Reason("终端没有有效的参数文件", "The terminal has no active parameter file"),
    "insufficient": Reason("余额不足", "Not enough money on the card"),
    "refused": Reason("卡片拒绝了交易", "The card refused the transaction"),
}


class TurnedAway(Exception):  # noqa: N818 - a business outcome on its way to the cardholder, not an operating fault
    """No money moved, and the gate stays shut; ``code`` is one of :data:`REASONS`."""

    def __init__(self, code: str) -> None:
        super().__init__(REASONS[code].en)
        self.code = code


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a cardholder has in hand: number in the journal, masked by whoever shows it; fen."""

    number: int
    service: Service
    card_no: str
    amount: int
    balance_after: int
    terminal_counter: int | None
    tac: bytes | None
    exchange_sha256: str | None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Touch:
    """A card while it lies on the reader; ``settled`` are its grey records that this touch decided."""

    channel: CardChannel
    card: PurseCard
    now: int
    settled: list[tuple[int, grey.Verdict]] = field(default_factory=list)

    @property
    def date4(self) -> int:
        """BCD date of the touch."""
        return int(self.moment.strftime("%Y%m%d"), 16)

    @property
    def time3(self) -> int:
        """BCD time of the touch."""
        return int(self.moment.strftime("%H%M%S"), 16)

    @property
    def moment7(self) -> int:
        """BCD date and time as one integer of 14 digits."""
        return self.date4 << 24 | self.time3

    @property
    def moment(self) -> datetime:
        """Wall time of the touch."""
        return datetime.fromtimestamp(self.now, UTC).replace(tzinfo=None)


class PurseTerminal:
    """What every service terminal does with a purse."""

    def __init__(
        self,
        point: CapturePoint,
        settings: TerminalSettings,
        sam: Sam,
        parameters: Callable[[int], Parameters] = lambda now: Parameters(),
        *,
        clock: Clock = wall_clock_ns,
    ) -> None:
        """``parameters`` gives what is active at a moment (seconds of wall time)."""
        if int.from_bytes(sam.terminal, "big") != settings.terminal_number:
            raise ValueError(f"the SAM is {sam.terminal.hex()}, the terminal {settings.terminal_id}")
        self.point = point
        self.settings = settings
        self.sam = sam
        self._parameters = parameters
        self._clock = clock

    @contextmanager
    def touch(self, reader: Reader, *, timeout: float = 0.0) -> Iterator[Touch]:
        """Open the card in ``reader`` for this terminal alone, settle what is grey of it, and check it.

        Raises:
            TurnedAway: blacklisted, blocked or outside its validity.
            DialogueFault: of the dialogue; no money moved unless a transaction says so.
        """
        session = reader.connect(timeout)
        try:
            channel = CardChannel(session)
            with channel.transaction():
                touch = Touch(channel, select_purse(channel), self._clock() // 10**9)
                self._settle(touch)
                self._check(touch)
                yield touch
        finally:
            session.disconnect()

    def parameters(self, touch: Touch) -> Parameters:
        """The parameters active at the touch."""
        return self._parameters(touch.now)

    def debit(
        self,
        touch: Touch,
        service: Service,
        amount: int,
        columns: Mapping[str, int | None],
        *,
        cache: Iterable[IndustryRecord | JourneyRecord] | None = None,
        bills: Sequence[Mapping[str, int]] = (),
        delivered: bool = True,
    ) -> Receipt:
        """Take ``amount`` fen: initialise, journal, debit, journal. On return the gate may open.

        Args:
            touch: the card.
            service: what it is for.
            amount: fen, 0 for a tap that only writes records.
            columns: the service's own columns of the record.
            cache: records a composite purchase writes; None = a plain purchase.
            bills: bills of a utility payment.
            delivered: False for a tap the centre does not clear.

        Raises:
            TurnedAway: the card refused, or its key is not accepted; nothing moved.
            JournalFullError, JournalFailedError: not journaled, so not sent; or not journaled after it, so the gate
                stays shut and the record is grey.
            DialogueFault: the outcome is in the journal (refused, or grey).
        """
        channel = touch.channel
        composite = cache is not None
        try:
            started = purchase.initialise(channel, touch.card, self.sam.terminal, amount, composite=composite)
            purchase.write_cache(channel, cache or ())
        except RefusedFault as fault:
            raise _turned_away(fault) from fault
        self._check_key(touch, started.reference.algorithm, started.key_version, started.key_index, load=False)
        with channel.explained():
            pending = purchase.authorise(self.sam, started, touch.date4, touch.time3)
        record = self._record(touch, started.txn_type, amount, columns) | {
            "card_counter": started.offline_counter,
            "terminal_counter": pending.terminal_counter,
            "balance_before": started.balance_before,
            "overdraft_limit": started.overdraft_limit,
            "key_version": started.key_version,
            "key_index": started.key_index,
            "algorithm": int(started.algorithm),
        }
        number = self.point.intend(service, touch.card.card_number, record, bills, delivered=delivered)
        with self._outcome(number, _DEBIT):
            done = purchase.debit(channel, self.sam, pending)
        exchange = channel.exchange
        known = {"tac": int.from_bytes(done.tac, "big"), "balance_after": started.balance_after}
        self.point.debited(number, known, exchange)
        return Receipt(
            number=number,
            service=service,
            card_no=touch.card.card_number,
            amount=amount,
            balance_after=started.balance_after,
            terminal_counter=pending.terminal_counter,
            tac=done.tac,
            exchange_sha256=exchange.sha256,
        )

    def load(self, touch: Touch, host: IssuerHost, amount: int, columns: Mapping[str, int | None]) -> Receipt:
        """Put ``amount`` fen on the purse: initialise, ask the host, journal, credit, journal.

        Raises:
            As :meth:`debit`.
        """
        channel = touch.channel
        try:
            started = online.initialise_load(channel, touch.card, self.sam.terminal, amount)
        except RefusedFault as fault:
            raise _turned_away(fault) from fault
        self._check_key(touch, started.algorithm, started.key_version, started.key_index, load=True)
        with channel.explained():
            pending = online.authorise(host, started, touch.date4, touch.time3)
        record = self._record(touch, started.txn_type, amount, columns) | {
            "card_counter": started.online_counter,
            "balance_before": started.balance_before,
            # The TAC of a load covers it, so a load that is proved later needs it.
            "balance_after": started.balance_after,
            "key_version": started.key_version,
            "key_index": started.key_index,
            "algorithm": int(started.algorithm),
        }
        number = self.point.intend(Service.LOAD, touch.card.card_number, record)
        with self._outcome(number, _CREDIT):
            done = online.credit(channel, pending)
        exchange = channel.exchange
        self.point.debited(number, {"tac": int.from_bytes(done.tac, "big")}, exchange)
        return Receipt(
            number=number,
            service=Service.LOAD,
            card_no=touch.card.card_number,
            amount=amount,
            balance_after=started.balance_after,
            terminal_counter=None,
            tac=done.tac,
            exchange_sha256=exchange.sha256,
        )

    def _record(
        self, touch: Touch, txn_type: TxnType, amount: int, columns: Mapping[str, int | None]
    ) -> dict[str, int | None]:
        return {
            **columns,
            "issuer_id": int.from_bytes(touch.card.issuer_id, "big"),
            "purse_kind": int(PurseKind.PURSE),
            "test_flag": int(self.settings.test),
            "txn_type": int(txn_type),
            "terminal_id": self.settings.terminal_number,
            "date4": touch.date4,
            "time3": touch.time3,
            "amount": amount,
            "merchant_id": self.settings.merchant_id,
        }

    @contextmanager
    def _outcome(self, number: int, instruction: int) -> Iterator[None]:
        """Put on disk what became of a debit that did not come back with its proof."""
        try:
            yield
        except DialogueFault as fault:
            if _was_sent(fault.exchange, instruction):
                self.point.tear(number, fault.exchange)
            else:
                self.point.refused(number, fault.exchange)
            if isinstance(fault, RefusedFault):
                raise _turned_away(fault) from fault
            raise

    def _check(self, touch: Touch) -> None:
        parameters = self.parameters(touch)
        code = None
        if touch.card.card_number in parameters.blacklist:
            code = "blacklisted"
        elif touch.card.blocked:
            code = "blocked"
        elif not touch.card.valid_from <= touch.date4 <= touch.card.valid_to:
            code = "expired"
        if code is not None:
            self.point.note("turned_away", why=code, blacklist=parameters.versions.get("blacklist", 0))
            raise TurnedAway(code)

    def _check_key(self, touch: Touch, algorithm: int, version: int, index: int, *, load: bool) -> None:
        keys = self.parameters(touch).keys
        issuer = int.from_bytes(touch.card.issuer_id, "big")
        day = touch.moment.date().isoformat()
        if (
            keys is not None
            and keys.permits(issuer, load=load, version=version, index=index, algorithm=int(algorithm), day=day)
            is False
        ):
            raise TurnedAway("key_version")

    def _settle(self, touch: Touch) -> None:
        """Decide the card's grey records as far as it can say; a card that will not say leaves them open."""
        for transaction in self.point.of_card(touch.card.card_number):
            verdict = grey.decide(transaction.columns, self._evidence(touch, transaction))
            touch.settled.append((transaction.number, verdict))
            if verdict.state is None:
                continue
            known: dict[str, int | None] = {}
            if verdict.state is State.DEBITED:
                known["balance_after"] = _balance_after(transaction)
                known["tac"] = None if verdict.tac is None else int.from_bytes(verdict.tac, "big")
            self.point.decide(transaction.number, verdict.state, verdict.by, known, touch.channel.exchange)

    def _evidence(self, touch: Touch, transaction: Transaction) -> grey.Evidence:
        """Prove, log, counter, in this order: INITIALIZE begins a new transaction, so it comes last."""
        channel, txn_type = touch.channel, TxnType(int(transaction.columns["txn_type"] or 0))
        is_load = txn_type in LOAD_TYPES
        began = int(transaction.columns["card_counter"] or 0)
        found = _asked(lambda: proof.prove(channel, txn_type, began))
        log = _asked(lambda: read_log(channel))
        same_counter = None if log is None else [each for each in log if _moves_online(each) == is_load]
        if is_load:
            counter = _asked(lambda: online.initialise_load(channel, touch.card, self.sam.terminal, 0).online_counter)
        else:
            counter = _asked(lambda: purchase.initialise(channel, touch.card, self.sam.terminal, 0).offline_counter)
        if counter is None and same_counter:
            counter = same_counter[0].counter
        return grey.Evidence(counter, None if found is None else found.tac, same_counter)


def _moves_online(record: LogRecord) -> bool:
    return record.txn_type in (TxnType.DEPOSIT_LOAD, TxnType.PURSE_LOAD, TxnType.UNLOAD, TxnType.OVERDRAFT_LIMIT)


def _asked(question: Callable[[], Any]) -> Any:
    """The card's answer, or None where it refuses to give one; a card that leaves is nobody's answer."""
    try:
        return question()
    except RefusedFault:
        return None


def _balance_after(transaction: Transaction) -> int | None:
    before = transaction.columns.get("balance_before")
    if before is None:
        return None
    return before + transaction.amount * (1 if transaction.columns["txn_type"] in LOAD_TYPES else -1)


def _was_sent(exchange: Exchange, instruction: int) -> bool:
    """Whether the card may have carried the instruction out: its last such command has no answer, or a good one."""
    sent = [step for step in exchange.steps if step.command[1] == instruction]
    if not sent:
        return False
    response = sent[-1].response
    if response is None or len(response) < 2:
        return True
    status = int.from_bytes(response[-2:], "big")
    return status == OK or status >> 8 == 0x61


def _turned_away(fault: CardFault) -> TurnedAway:
    status = fault.status if isinstance(fault, RefusedFault) else 0
    return TurnedAway({0x9401: "insufficient", 0x9301: "insufficient", 0x9303: "blocked"}.get(status, "refused"))
