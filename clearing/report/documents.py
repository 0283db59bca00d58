"""The typeset documents of a business date: what each says, from the facts of the ledger, in one language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from clearing import __version__
from clearing.report.capitals import capitals
from clearing.report.facts import Facts, Row
from clearing.report.messages import Language, Messages
from clearing.report.pages import Names, moment, total
from clearing.report.statements import Statement, statements_of
from clearing.report.text import count, masked, yuan
from clearing.report.typeset import Document, Section

RELATIONS: Final = ("fee_invoices", "claim_lines", "reserve", "month")
"""What the documents need beside the statements' relations."""

OWED_TERMS: Final = (
    "stored_value", "payables", "suspense", "fees_not_swept", "cardholders", "payments_in_transit", "bank_over",
)  # fmt: skip
HELD_TERMS: Final = ("bank", "loads_in_transit", "due", "benefits_picked_up", "brought_by_funds")
"""Terms of the two sides of the reserve proof; ``brought_by_funds`` is taken off."""


class Writer:
    """Documents of one business date in one language."""

    def __init__(self, facts: Facts, language: Language) -> None:
        self.facts, self.language = facts, language
        self.t = Messages(language)
        self.names = Names(facts, self.t)

    def documents(self) -> Iterator[tuple[str, Document]]:
        """Every document with its name: statements, fee invoices, claims, reserve proof, month."""
        for statement in statements_of(self.facts):
            yield f"statement.{statement.participant}", self.statement(statement)
        for merchant in sorted({row["merchant"] for row in self.facts["fee_invoices"]}):
            yield f"fee-invoice.{merchant}", self.fee_invoice(merchant)
        for fund in sorted({row["fund"] for row in self.facts["claim_lines"]}):
            yield f"fund-claim.{fund}", self.fund_claim(fund)
        yield "reserve-proof", self.reserve_proof()
        yield "month", self.month()

    def statement(self, statement: Statement) -> Document:
        """What one participant is told of the window."""
        t = self.t
        statuses = [
            (row[self.language], t(f"disposition.{row['disposition'].lower()}"), count(row["rows"]), yuan(row["fen"]))
            for row in statement.statuses
        ]
        sections = [
            self._section("statement_statuses", ("status", "disposition", "rows", "yuan"), statuses, right=(2, 3)),
            self._section(
                "statement_accounts",
                ("account", "source", "yuan"),
                [
                    (t.name("account", row["kind"]), self.names.source(row["source"]), yuan(row["fen"]))
                    for row in statement.accounts
                ],
                right=(2,),
                money=total(statement.accounts, "fen"),
            ),
        ]
        if statement.fees:
            lines = [(yuan(row["base"]), yuan(row["fen"])) for row in statement.fees]
            sections.append(self._section("statement_fees", ("base", "fee"), lines, right=(0, 1)))
        if statement.positions:
            lines = [(self.names.source(row["source"]), yuan(row["fen"])) for row in statement.positions]
            sections.append(
                self._section(
                    "statement_settlement",
                    ("source", "yuan"),
                    lines,
                    right=(1,),
                    money=total(statement.positions, "fen"),
                )
            )
        return self._document("statement", sections, whose=statement.participant)

    def fee_invoice(self, merchant: int) -> Document:
        """The fee of one payee for the window, by share."""
        rows = [row for row in self.facts["fee_invoices"] if row["merchant"] == merchant]
        lines = [
            (self.t(f"share.{row['share']}"), self.names.participant(row["participant"]), yuan(row["fen"]))
            for row in rows
        ]
        section = self._section(
            "fee_invoice", ("share", "participant", "yuan"), lines, right=(2,), money=total(rows, "fen")
        )
        facts = [(self.t("column.base"), yuan(rows[0]["base"]))]
        return self._document("fee_invoice", [section], whose=merchant, more=facts)

    def fund_claim(self, fund: int) -> Document:
        """What one fund owes for the window, by payee, with the number of rows that prove it."""
        rows = [row for row in self.facts["claim_lines"] if row["fund"] == fund]
        lines = [
            (self.names.participant(row["merchant"]), count(row["rows"]), yuan(row["fen"]))
            for row in rows
        ]  # fmt: skip
        section = self._section(
            "fund_claim", ("participant", "rows", "yuan"), lines, right=(1, 2), money=total(rows, "fen")
        )
        return self._document("fund_claim", [section], whose=fund)

    def reserve_proof(self) -> Document:
        """Both sides of the reserve, term by term, as the ledger stands."""
        [terms] = self.facts["reserve"]
        held = {**terms, "brought_by_funds": -terms["brought_by_funds"]}
        sections = [
            self._section(
                f"reserve_{side}",
                ("term", "yuan"),
                [(self.t(f"term.{term}"), yuan(values[term])) for term in names],
                right=(1,),
                money=values[side],
            )
            for side, names, values in (("owed", OWED_TERMS, terms), ("held", HELD_TERMS, held))
        ]
        difference = (self.t("column.difference"), yuan(terms["owed"] - terms["held"]))
        return self._document("reserve_proof", sections, more=[difference])

    def month(self) -> Document:
        """The trial balance of the month up to the date."""
        lines = [
            (self.t.name("account", row["kind"]), self.names.source(row["source"]), *_figures(row))
            for row in self.facts["month"]
        ]
        totals = {name: total(self.facts["month"], name) for name in _BALANCE}
        section = self._section(
            "month", ("account", "source", *_BALANCE), lines, right=(2, 3, 4, 5), sums=("Σ", "", *_figures(totals))
        )
        return self._document("month", [section])

    def _section(
        self,
        name: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: Sequence[int],
        money: int | None = None,
        sums: Sequence[str] = (),
    ) -> Section:
        """A table; ``money`` (fen) is its total, written in capitals below where the language is Chinese."""
        if money is not None:
            sums = ["Σ", *[""] * (len(columns) - 2), yuan(money)]
        spelled = capitals(money) if money is not None and self.language == "zh" else ""
        return Section(
            self.t(f"title.{name}"),
            [self.t(f"column.{column}") for column in columns],
            [[str(masked(cell)) for cell in row] for row in rows],
            right,
            total=sums,
            capitals=spelled,
        )

    def _document(
        self,
        name: str,
        sections: Sequence[Section],
        *,
        whose: int | None = None,
        more: Sequence[tuple[str, str]] = (),
    ) -> Document:
        t, centre, entry = self.t, self.facts.settings.centre, self.facts.entry
        facts = [(t("column.business_date"), self.facts.date.isoformat())]
        if whose is not None:
            facts.append((t("column.participant"), str(masked(f"{whose} {self.names.participant(whose)}"))))
        clock = moment(entry["at"])
        return Document(
            language=self.language,
            title=t(f"title.{name}"),
            centre=centre.name.zh if self.language == "zh" else centre.name.en,
            simulated=t("simulated", clock=clock) if centre.simulated else "",
            facts=[*facts, *more],
            sections=sections,
            signatures=[t("sign.prepared"), t("sign.checked"), t("sign.approved")],
            footer=t("footer.drawn", sequence=entry["sequence"], at=clock, engine=__version__),
        )


_BALANCE: Final = ("opening", "debit", "credit", "closing")


def _figures(row: Row) -> list[str]:
    return [yuan(row[name]) for name in _BALANCE]
