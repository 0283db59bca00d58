"""The daily reconciliation report: ``reports/<date>/reconciliation.<zh|en>.html``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final, Literal

from markupsafe import Markup

from clearing.accounts import MEMO_KINDS
from clearing.durable import write_durably
from clearing.reconcile.checks import CheckResult
from clearing.reconcile.latest import latest_checks
from clearing.report import charts
from clearing.report.facts import Facts, Row, published_ledger, read_facts
from clearing.report.messages import Language, Messages
from clearing.report.pages import render, total
from clearing.report.text import FEN_PER_YUAN, count, yuan

RELATIONS: Final = (
    "files", "refused", "bridge", "statuses", "services", "merchants", "payables", "fund_claims", "trial_balance",
    "late", "held", "verdicts", "recomputed", "uncovered", "mismatches", "hours",
)  # fmt: skip
ENDS: Final = ("accepted", "held", "rejected", "duplicate", "unreadable")
"""Where a row can end, in the order of every table."""

_COLOURS: Final = dict(
    zip(ENDS, (charts.BLUE, charts.ORANGE, charts.VERMILION, charts.PURPLE, charts.GREY), strict=True)
)


def write_daily_report(
    directory: Path, date: datetime.date, *, language: Literal["zh", "en", "both"] = "both"
) -> list[Path]:
    """Write the report of a business date from the published projection; the same ledger gives the same bytes.

    Args:
        directory: the centre.
        date: business date, open or closed.
        language: one document per language.

    Raises:
        ConfigError: ``centre.yaml`` cannot be used.
        ClearingError: the projection is missing or damaged.
    """
    with published_ledger(directory) as store:
        facts = read_facts(store, directory, date, RELATIONS)
        checks = latest_checks(store, directory, facts.settings.reconciliation, date)
    languages: tuple[Language, ...] = ("zh", "en") if language == "both" else (language,)
    paths = []
    for each in languages:
        path = directory / "reports" / date.isoformat() / f"reconciliation.{each}.html"
        write_durably(path, daily_html(facts, checks, each).encode())
        paths.append(path)
    return paths


def daily_html(facts: Facts, checks: list[CheckResult], language: Language) -> str:
    """The report as one self-contained document."""
    messages = Messages(language)
    return render(
        "reconciliation.html.j2",
        facts,
        language,
        checks=checks,
        ends=ENDS,
        problems=problems(facts, checks),
        bridge=bridge(facts),
        parts=trial_balance_parts(facts["trial_balance"]),
        figures={
            "hours": hour_charts(facts, messages),
            "services": service_charts(facts["services"], messages),
            "statuses": status_charts(facts["statuses"], messages),
        },
    )


def problems(facts: Facts, checks: list[CheckResult]) -> dict[str, int]:
    """Number of lines that do not tie, by the section that shows them."""
    files, balance = facts["files"], trial_balance_parts(facts["trial_balance"])
    return {
        "files": sum(1 for file in files if file["difference_rows"] or file["difference_fen"]),
        "bridge": int(any(bridge(facts)["difference"].values())),
        "merchants": sum(1 for payee in facts["merchants"] if payee["difference"]),
        "fund_claims": sum(1 for claim in facts["fund_claims"] if claim["difference"]),
        "trial_balance": sum(1 for rows in balance.values() if total(rows, "closing")),
        "checks": sum(1 for each in checks if each.failed and each.check.severity == "blocks"),
    }


def bridge(facts: Facts) -> dict[str, dict[str, int]]:
    """From the rows received for the date to the rows of its window, step by step, with what is left over.

    The steps ``pending``, ``unreadable`` and ``settles_later`` leave, ``received_before`` joins; ``window`` is
    counted on its own from the statuses, and ``difference`` is what the steps do not explain: always 0. Without the
    control total of some file its fen cannot be known and count as explained.
    """
    steps = {row["step"]: {"rows": row["rows"], "fen": row["fen"] or 0} for row in facts["bridge"]}
    decided = [row for row in facts["statuses"] if row["disposition"] != "UNREADABLE"]
    pending = [file for file in facts["files"] if not file["cleared"]]
    steps["received"] = {"rows": total(facts["files"], "rows_in"), "fen": total(facts["files"], "fen_in")}
    steps["pending"] = {"rows": total(pending, "rows_in"), "fen": total(pending, "fen_in")}
    steps["window"] = {"rows": total(decided, "rows"), "fen": total(decided, "fen")}
    none = {"rows": 0, "fen": 0}
    steps = {
        step: steps.get(step, none)
        for step in ("received", "pending", "unreadable", "settles_later", "received_before", "window")
    }
    signs = {"received": 1, "pending": -1, "unreadable": -1, "settles_later": -1, "received_before": 1, "window": -1}
    steps["difference"] = {
        unit: sum(sign * steps[step][unit] for step, sign in signs.items()) for unit in ("rows", "fen")
    }
    if any(file["fen_in"] is None for file in facts["files"]):
        steps["difference"]["fen"] = 0
    return steps


def trial_balance_parts(rows: list[Row]) -> dict[str, list[Row]]:
    """Accounts that owe somebody, and memo accounts that only record; each part balances by itself."""
    return {
        "accounts": [row for row in rows if row["kind"] not in MEMO_KINDS],
        "memo": [row for row in rows if row["kind"] in MEMO_KINDS],
    }


def hour_charts(facts: Facts, messages: Messages) -> list[Markup]:
    """Rows and yuan by hour of the operating day, purchases and loads told apart."""
    first = facts.settings.calendar.day_cut // 3600
    hours = [(first + at) % 24 for at in range(24)]
    labels = [f"{hour:02d}" for hour in hours]

    def chart(column: str, show: charts.Format, unit: int) -> Markup:
        found = {(row["hour"], row["side"]): row[column] for row in facts["hours"]}
        series = [
            charts.Series(messages(f"side.{side}"), colour, [max(found.get((hour, side), 0), 0) for hour in hours])
            for side, colour in (("purchase", charts.BLUE), ("load", charts.ORANGE))
        ]
        return charts.column_chart(messages(f"chart.hours.{column}"), labels, series, show, unit)

    return [chart("rows", count, 1), chart("fen", yuan, FEN_PER_YUAN)]


def service_charts(services: list[Row], messages: Messages) -> list[Markup]:
    """Accepted rows by service, and yuan by who pays."""
    rows = [charts.Series(messages("column.accepted_rows"), charts.BLUE, [row["accepted_rows"] for row in services])]
    earning = [row for row in services if row["gross"]]
    money = [
        charts.Series(messages(f"column.{column}"), colour, [max(row[column], 0) for row in earning])
        for column, colour in (
            ("card_paid", charts.BLUE),
            ("fund_paid", charts.GREEN),
            ("operator_borne", charts.ORANGE),
        )
    ]

    def labels(listed: list[Row]) -> list[str]:
        return [messages.name("service", row["service"]) for row in listed]

    return [
        charts.bar_chart(messages("chart.services.rows"), labels(services), rows, count),
        charts.bar_chart(messages("chart.services.fen"), labels(earning), money, yuan),
    ]


def status_charts(statuses: list[Row], messages: Messages) -> list[Markup]:
    """The window's rows by disposition, and the rows that were not accepted by status."""
    shares = [
        charts.Series(
            messages(f"disposition.{end}"),
            _COLOURS[end],
            [total([row for row in statuses if row["disposition"] == end.upper()], "rows")],
        )
        for end in ENDS
    ]
    others = [row for row in statuses if row["rows"] and row["disposition"] != "ACCEPTED"]
    names = list(dict.fromkeys(row["name"] for row in others))
    series = [
        charts.Series(
            messages(f"disposition.{end}"),
            _COLOURS[end],
            [
                total([row for row in others if row["name"] == name and row["disposition"] == end.upper()], "rows")
                for name in names
            ],
        )
        for end in ENDS[1:]
    ]
    return [
        charts.share_bar(messages("chart.dispositions"), shares, count),
        charts.bar_chart(messages("chart.statuses"), names, series, count),
    ]
