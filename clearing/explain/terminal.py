"""An explanation as aligned plain text for a terminal, in Chinese or English."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from clearing.explain.model import (
    Decision,
    Difference,
    Explanation,
    Language,
    Leg,
    Memory,
    Party,
    Recomputed,
    SealedEntry,
    SealedFile,
    SourceColumn,
    Step,
)
from clearing.explain.words import ACCOUNTS, WORDS

Cells = Sequence[str]


def render_text(explanation: Explanation, language: Language | None = None) -> str:
    """The story of one transaction; in the explanation's own language unless told otherwise."""
    story = _Story(explanation, language or explanation.language)
    return "\n\n".join("\n".join(section) for section in story.sections()) + "\n"


class _Story:
    """Sections of one explanation in one language; what does not apply is left out."""

    def __init__(self, told: Explanation, language: Language) -> None:
        self.told, self.language = told, language

    def sections(self) -> Iterator[list[str]]:
        """Title line and body of each section, in the order of the transaction's life."""
        told = self.told
        yield self._section("transaction", self._origin())
        yield self._section("decision", self._decision())
        if told.unreadable is not None:
            reason = told.unreadable
            pairs = [("field", reason.field), ("value", reason.value), ("remedy", reason.remedy)]
            yield self._section("unreadable", self._labelled(pairs))
        if told.source is not None:
            yield self._section("source", self._source())
        if told.tac is not None:
            yield self._section("tac", self._tac())
        yield self._section("ladder", self._ladder())
        if told.links:
            yield self._section("links", self._links())
        if told.register is not None:
            yield self._section("register", self._register())
        if told.price is not None:
            yield self._section("price", self._price())
            if told.price.steps:
                yield self._section("steps", self._steps(told.price.steps))
        if told.memory is not None:
            yield self._section("memory", self._memory(told.memory))
        for each in told.recomputed:
            yield self._section("recomputation", self._recomputed(each))
        if told.decisions:
            yield self._section("legs", self._legs(told.legs))
        if len(told.decisions) > 1:
            yield self._section("events", self._events(told.decisions))
        yield self._section("seals", self._seals())
        if told.settlement is not None:
            yield self._section("settlement", self._settlement())

    def _origin(self) -> list[str]:
        origin = self.told.origin
        return self._labelled(
            [
                ("reference", f"{origin.reference}  (txn_id {origin.txn_id}, {origin.service})"),
                ("file", f"{origin.file}  ({origin.format})"),
                ("delivery_sha256", self._file_state(origin.delivery)),
                ("sender", self._party(origin.sender)),
                ("file_date", f"{origin.file_date} / {origin.sequence}"),
                ("received_at", origin.received_at),
                ("intake_entry", self._entry(origin.entry)),
            ]
        )

    def _decision(self) -> list[str]:
        ladder = self.told.ladder
        return self._labelled(
            [
                ("status", f"{ladder.number} {ladder.status}"),
                ("disposition", ladder.disposition),
                ("meaning", ladder.text.in_language(self.language)),
                ("reproduced", self._yes(ladder.reproduced)),
            ]
        )

    def _source(self) -> list[str]:
        source = self.told.source
        assert source is not None
        named = [("exchange", source.exchange_sha256)] if source.exchange_sha256 is not None else []
        lines = self._labelled([("card", source.card), ("card_id", source.card_id), *named])
        lines += _table([self._column(column) for column in source.columns])
        for number, bill in enumerate(source.bills, 1):
            lines.append(f"  {self._word('bill')} {number}")
            lines += _table([self._column(column) for column in bill])
        return lines

    def _column(self, column: SourceColumn) -> Cells:
        value = self._word("none") if column.value is None else str(column.value)
        return column.name, f"{value} {column.label}" if column.label else value, column.meaning

    def _tac(self) -> list[str]:
        tac = self.told.tac
        assert tac is not None
        return self._labelled(
            [
                ("covered", tac.covered),
                ("given", tac.given),
                ("key", tac.key),
                ("recomputed", tac.recomputed),
                ("recorded", tac.recorded),
            ]
        )

    def _ladder(self) -> list[str]:
        return _table(
            [
                (
                    str(rung.number),
                    rung.status,
                    self._word(rung.outcome),
                    self._word(rung.by) if rung.outcome != "not_reached" else "",
                    rung.text.in_language(self.language) if rung.outcome == "fail" else "",
                )
                for rung in self.told.ladder.rungs
            ]
        )

    def _links(self) -> list[str]:
        return _table(
            [(self._word(link.relation), link.reference, link.status, link.shared) for link in self.told.links]
        )

    def _register(self) -> list[str]:
        facts = self.told.register
        assert facts is not None
        registered = None if facts.card_registered is None else self._yes(facts.card_registered)
        sender = None if facts.merchant_sender is None else str(facts.merchant_sender)
        terminal_class = self._word("none") if facts.terminal_class is None else str(facts.terminal_class)
        return self._labelled(
            [
                ("operating_day", facts.operating_day),
                ("merchant", self._party(facts.merchant)),
                ("merchant_sender", sender),
                ("terminal_owner", self._party(facts.terminal_owner)),
                ("issuer", self._party(facts.issuer)),
                ("card_registered", registered),
                ("card_class", f"{facts.register_class} / {terminal_class}"),
                ("agreement", facts.agreement),
            ]
        )

    def _price(self) -> list[str]:
        price = self.told.price
        assert price is not None
        named: list[tuple[str, str | None]] = [("tariff", price.tariff)]
        if price.tariff is not None:
            named += [
                ("tariff_sha256", self._file_state(price.file)),
                ("segment", f"{price.segment}: {price.first_day} – {price.last_day}"),
                ("rule", price.rule),
            ]
        fund = f"{_yuan(price.fund_paid)}  {self._party(price.fund)}" if price.fund else _yuan(price.fund_paid)
        return self._labelled(
            [
                *named,
                ("charged", _yuan(price.charged)),
                ("expected", None if price.expected is None else _yuan(price.expected)),
                ("tolerance", _yuan(price.tolerance)),
                ("gross", _yuan(price.gross)),
                ("card_paid", _yuan(price.card_paid)),
                ("overcharge", _yuan(price.overcharge)),
                ("fund_paid", fund),
                ("operator_borne", _yuan(price.operator_borne)),
                ("verdict", price.verdict),
                ("posted", self._yes(price.posted)),
            ]
        )

    def _steps(self, steps: Sequence[Step]) -> list[str]:
        """Every step with what it changed; as ``tariff explain`` tells it."""
        rows: list[Cells] = [[self._word(name) for name in ("step", "rule", "amount", "before", "after")]]
        for step in steps:
            rule = step.rule if step.priced else self._word("not_priced")
            if not step.changes:
                rows.append((step.step, rule, self._word("no_change"), "", ""))
            for number, change in enumerate(step.changes):
                show = _yuan if change.money else str
                cells = (change.name.in_language(self.language), show(change.before), show(change.after))
                rows.append((*((step.step, rule) if number == 0 else ("", "")), *cells))
        return _table(rows, right=frozenset({3, 4}))

    def _recomputed(self, told: Recomputed) -> list[str]:
        pairs: list[tuple[str, str | None]] = [
            ("bill", None if told.bill_no is None else str(told.bill_no)),
            ("settled_by", self._party(told.participant)),
            ("tariff", told.tariff),
            ("segment", told.segment),
            ("rule", told.rule),
        ]
        lines = self._labelled([pair for pair in pairs if pair[0] != "bill" or told.bill_no is not None])
        if told.uncovered is not None:
            reason, _, column = told.uncovered.partition(" ")
            return lines + self._labelled([("uncovered", f"{self._word(f'uncovered.{reason}')} {column}".strip())])
        lines += self._steps(told.steps)
        if not told.differences:
            return lines + self._labelled([("difference", self._word("no_difference"))])
        head = [self._word(name) for name in ("field", "difference", "delivered", "by_tariff")]
        found = [(each.field, self._word(f"mismatch.{each.mismatch}"), *_amounts(each)) for each in told.differences]
        return lines + _table([head, *found], right=frozenset({2, 3}))

    def _memory(self, memory: Memory) -> list[str]:
        lines = self._labelled(
            [
                ("owner", memory.owner),
                ("counts", self._yes(memory.counts)),
                ("journeys_before", str(memory.journeys_before)),
                ("reproduced", self._yes(memory.agrees)),
            ]
        )
        names = ("accumulator", "moment", "since", "held", "count")
        rows: list[Cells] = [[self._word(name) for name in names]]
        for each in memory.accumulators:
            for moment, held in (("before", each.before), ("after", each.after)):
                cells = (held.since, str(held.value), str(held.count)) if held else (self._word("none"), "", "")
                rows.append((each.name, self._word(moment), *cells))
        return lines + (_table(rows, right=frozenset({3, 4})) if memory.accumulators else [])

    def _legs(self, legs: Sequence[Leg]) -> list[str]:
        if not legs:
            return [f"  {self._word('no_legs')}"]
        names = ("account", "participant", "money_source", "debit", "credit")
        rows: list[Cells] = [[self._word(name) for name in names]]
        for leg in legs:
            account = ACCOUNTS[leg.account].in_language(self.language)
            rows.append(
                (
                    f"{account} ({self._word('memo')})" if leg.memo else account,
                    self._party(leg.participant) or "",
                    self._party(leg.source) or "",
                    _yuan(leg.debit) if leg.debit else "",
                    _yuan(leg.credit) if leg.credit else "",
                )
            )
        totals = (sum(leg.debit for leg in legs), sum(leg.credit for leg in legs))
        rows.append((self._word("total"), "", "", *map(_yuan, totals)))
        return _table(rows, right=frozenset({3, 4}))

    def _events(self, decisions: Sequence[Decision]) -> list[str]:
        lines = []
        for decision in decisions:
            word = self._word("decided" if decision.sign > 0 else "reversed")
            entry = f"{self._word('batch')} {decision.batch.sequence}"
            lines.append(f"  {word}  {decision.status}  {decision.template}  {decision.batch.at}  {entry}")
            lines += self._legs(decision.legs)
        return lines

    def _seals(self) -> list[str]:
        told = self.told
        pairs = [("batch", self._entry(told.batch)), ("segment_file", self._file(told.segment))]
        if told.decisions:
            pairs += [("content_hash", told.content_hash), ("decision_hash", told.decisions[-1].decision_hash)]
        return self._labelled(pairs)

    def _settlement(self) -> list[str]:
        settlement = self.told.settlement
        assert settlement is not None
        closed = f"{settlement.closed_at}  {self._entry(settlement.entry)}" if settlement.closed_at else None
        pairs: list[tuple[str, str | None]] = [
            ("window", settlement.window),
            ("received_window", settlement.received_window),
            ("closed", closed or self._word("open")),
        ]
        pairs += [
            ("fee", f"{_yuan(fee.fee)}  {self._party(fee.merchant)}  ({self._word('fee_base')} {_yuan(fee.base)})")
            for fee in settlement.fees
        ]
        pairs += [
            ("position", f"{_yuan(each.fen)}  {self._party(each.participant)}  {self._party(each.source)}")
            for each in settlement.positions
        ]
        for each in settlement.payments:
            amount = f"{each.direction} {_yuan(each.fen)}  {self._party(each.source)}"
            order = f"  {each.order}" if each.order else ""
            pairs.append(("payment", f"{each.payment}  {amount}  {each.pay_date}  {each.state}{order}"))
            pairs += [
                (
                    "bank",
                    f"{line.outcome} {_yuan(line.fen)}  {line.booked or ''} {line.reference}  {line.format} "
                    f"{line.sha256[:12]}  {self._entry(line.entry)}",
                )
                for line in each.bank
            ]
        return self._labelled(pairs)

    def _section(self, title: str, body: list[str]) -> list[str]:
        return [self._word(title), *body]

    def _labelled(self, pairs: Sequence[tuple[str, str | None]]) -> list[str]:
        return _table([(self._word(label), value or self._word("none")) for label, value in pairs])

    def _word(self, name: str) -> str:
        return WORDS[name].in_language(self.language)

    def _yes(self, value: bool) -> str:
        return self._word("yes" if value else "no")

    def _party(self, party: Party | None) -> str | None:
        return None if party is None else f"{party.number} {party.name.in_language(self.language)}"

    def _entry(self, entry: SealedEntry | None) -> str | None:
        if entry is None:
            return None
        state = self._word("signature_ok" if entry.signature_ok else "signature_bad")
        return f"{entry.sequence}  {entry.sha256}  {state}"

    def _file(self, file: SealedFile) -> str:
        return f"{file.name}  {self._file_state(file)}"

    def _file_state(self, file: SealedFile | None) -> str | None:
        if file is None:
            return None
        return f"{file.sha256}  {self._word('intact' if file.intact else 'changed')}"


def _amounts(difference: Difference) -> tuple[str, str]:
    """Delivered and recomputed; a usage is no money."""
    show = str if difference.field == "usage" else _yuan
    return show(difference.delivered), show(difference.recomputed)


def _yuan(fen: int) -> str:
    """Fen as yuan with two decimals, exact."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole}.{rest:02d}"


def _table(rows: Sequence[Cells], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Lines of cells in columns as wide as their widest cell; Chinese characters take two places."""
    if not rows:
        return []
    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (width - cell_len(cell))
            cells.append(padding + cell if at in right else cell + padding)
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines
