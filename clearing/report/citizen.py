"""The citizen's statement, typeset: movements, the combined household bill with its total in capitals, purses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clearing import __version__
from clearing.config import Settings
from clearing.report.capitals import capitals
from clearing.report.messages import Language, Messages
from clearing.report.text import count, yuan
from clearing.report.typeset import Document, Section
from clearing.status import STATUS_TEXT, ClearingStatus

if TYPE_CHECKING:
    from clearing.card_accounts.statement import CardStatement


def citizen_document(told: CardStatement, settings: Settings, language: Language) -> Document:
    """One card's statement as a document; the number stays masked, money is in yuan."""
    t = Messages(language)
    names = {each.id: each.name.zh if language == "zh" else each.name.en for each in settings.participants}

    def table(
        name: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[int, ...]
    ) -> Section:
        return Section(t(f"title.{name}"), [t(f"column.{each}") for each in columns], rows, right)

    moves = [
        (
            str(row["txn_time"] or ""),
            t.name("service", row["service"]),
            names.get(row["merchant_id"], str(row["merchant_id"])),
            yuan(row["amount"] if row["loads"] else -row["amount"]),
            "" if row["balance_after"] is None else yuan(row["balance_after"]),
            getattr(STATUS_TEXT[ClearingStatus[row["status"]]], language),
        )
        for row in told.transactions
    ]
    sections = [table("citizen_moves", ("time", "service", "payee", "yuan", "balance", "status"), moves, (3, 4))]
    for month in told.household:
        bills = [
            (
                t(f"commodity.{bill['commodity']}"),
                names.get(bill["utility"], str(bill["utility"])),
                str(bill["account"]),
                t("paid.own" if bill["own"] else "paid.household"),
                yuan(bill["fen"]),
            )
            for bill in month["bills"]
        ]
        sums = [f"{t(f'commodity.{name}')} {yuan(fen)}" for name, fen in month["commodities"].items()]
        sections.append(
            Section(
                f"{t('title.household')} {month['period']}",
                [t(f"column.{name}") for name in ("commodity", "utility", "account_number", "paid_by", "yuan")],
                bills,
                (4,),
                note=t("column.by_commodity") + ": " + ", ".join(sums),
                total=("Σ", count(len(bills)), "", "", yuan(month["total_fen"])),
                capitals=capitals(month["total_fen"]) if language == "zh" else "",
            )
        )
    purses = [
        (
            t.name("purse", str(each["purse_kind"])),
            *(yuan(each[name]) for name in ("loads", "debits", "shadow", "card", "unseen")),
        )
        for each in told.purses
    ]
    columns = ("purse", "loads", "debits", "shadow_balance", "balance", "difference")
    sections.append(table("citizen_purses", columns, purses, (1, 2, 3, 4, 5)))
    centre = settings.centre
    return Document(
        language=language,
        title=t("title.citizen"),
        centre=centre.name.zh if language == "zh" else centre.name.en,
        simulated=t("simulated", clock=told.drawn_at) if centre.simulated else "",
        facts=[
            (t("column.card"), told.card),
            (t("column.period"), f"{told.since or ''} – {told.until or ''}"),
            (t("column.deposit"), yuan(told.deposit_fen)),
            (t("column.refund_due"), yuan(told.refund_due_fen)),
        ],
        sections=sections,
        signatures=[],
        footer=t("footer.citizen", at=told.drawn_at, engine=__version__),
    )
