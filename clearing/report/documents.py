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

RELATIONS: Final = (
    "fee_invoices", "claim_lines", "reserve", "month", "month_participants", "month_fees", "open_items", "regions",
    "region_claims",
)  # fmt: skip
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
        """Every document with its name: statements, fee invoices, claims, reserve proof, regions, month, its fees."""
        for statement in statements_of(self.facts):
            yield f"statement.{statement.participant}", self.statement(statement)
        for merchant in sorted({row["merchant"] for row in self.facts["fee_invoices"]}):
            yield f"fee-invoice.{merchant}", self.fee_invoice(merchant)
        for fund in sorted({row["fund"] for row in self.facts["claim_lines"]}):
            yield f"fund-claim.{fund}", self.fund_claim(fund)
        yield "reserve-proof", self.reserve_proof()
        if self.facts["regions"]:
            yield "regions", self.regions()
        yield "month", self.month()
        for merchant in sorted({row["merchant"] for row in self.facts["month_fees"]}):
            yield f"month-fee-invoice.{merchant}", self.month_fee_invoice(merchant)

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
        between = [row for row in self.facts["region_claims"] if row["fund"] == fund]
        flows = [
            (
                self._region(row["home_region"]),
                self._region(row["care_region"]),
                self.t(_OUT_OF_REGION[row["out_of_region"]]),
                count(row["rows"]),
                yuan(row["fen"]),
            )
            for row in between
        ]
        columns = ("home_region", "care_region", "out_of_region", "rows", "yuan")
        regions = self._section("region_claims", columns, flows, right=(3, 4), money=total(between, "fen"))
        return self._document("fund_claim", [section, *([regions] if between else [])], whose=fund)

    def regions(self) -> Document:
        """What payees of each region are owed for the window, level by level; every level sums to the whole."""
        sections = []
        for level in dict.fromkeys(row["level"] for row in self.facts["regions"]):
            rows = [row for row in self.facts["regions"] if row["level"] == level]
            lines = [
                (
                    self._region(row["region"]),
                    count(row["rows"]),
                    yuan(row["card_fen"]),
                    yuan(row["fund_fen"]),
                    yuan(row["payable_fen"]),
                )
                for row in rows
            ]
            columns = ("region", "rows", "card_fen", "fund_fen", "yuan")
            money = total(rows, "payable_fen")
            sections.append(self._section(f"regions_{level}", columns, lines, right=(1, 2, 3, 4), money=money))
        return self._document("regions", sections)

    def _region(self, number: int | None) -> str:
        """A region by number and name; None is what stands above the level, or in no region."""
        if number is None:
            return self.t("region.none")
        names = {row["region"]: row[self.language] for row in self.facts["regions"]}
        return f"{number} {names.get(number) or ''}".strip()

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
        """The month up to the date: trial balance, what each participant netted and was paid, open items by age."""
        lines = [
            (self.t.name("account", row["kind"]), self.names.source(row["source"]), *_figures(row))
            for row in self.facts["month"]
        ]
        totals = {name: total(self.facts["month"], name) for name in _BALANCE}
        section = self._section(
            "month_balance",
            ("account", "source", *_BALANCE),
            lines,
            right=(2, 3, 4, 5),
            sums=("Σ", "", *_figures(totals)),
        )
        participants = [
            (
                self.names.participant(row["participant"]),
                self.names.source(row["source"]),
                yuan(row["net_fen"]),
                yuan(row["settled_fen"]),
                yuan(row["waiting_fen"]),
            )
            for row in self.facts["month_participants"]
        ]
        sums = [yuan(total(self.facts["month_participants"], name)) for name in _PAID]
        netted = self._section(
            "month_participants",
            ("participant", "source", *_PAID),
            participants,
            right=(2, 3, 4),
            sums=("Σ", "", *sums),
        )
        items = [
            (
                self.t(f"item.{row['item']}"),
                self.names.participant(row["participant"]),
                self.t(f"role.{row['owner']}"),
                count(row["age_days"]),
                count(row["rows"]),
                yuan(row["fen"]),
            )
            for row in self.facts["open_items"]
        ]
        aged = self._section(
            "open_items", ("item", "participant", "owner", "age_days", "rows", "yuan"), items, right=(3, 4, 5)
        )
        return self._document("month", [section, netted, aged])

    def month_fee_invoice(self, merchant: int) -> Document:
        """The fees of one payee for the month up to the date, by window."""
        rows = [row for row in self.facts["month_fees"] if row["merchant"] == merchant]
        lines = [(row["window"].isoformat(), yuan(row["base"]), yuan(row["fen"])) for row in rows]
        section = self._section(
            "month_fee_invoice", ("business_date", "base", "yuan"), lines, right=(1, 2), money=total(rows, "fen")
        )
        return self._document("month_fee_invoice", [section], whose=merchant)

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


_OUT_OF_REGION: Final = {True: "region.outside", False: "region.inside", None: "region.unplaced"}
_PAID: Final = ("net_fen", "settled_fen", "waiting_fen")
_BALANCE: Final = ("opening", "debit", "credit", "closing")


def _figures(row: Row) -> list[str]:
    return [yuan(row[name]) for name in _BALANCE]
