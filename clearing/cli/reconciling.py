"""Does everything tie? Checks with their rows, open items, trust horizon."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from clearing.cli.app import (
    AsJson,
    Date,
    Directory,
    Language,
    app,
    language_of,
    show_or_json,
    show_text,
    stdout,
    yuan,
)
from clearing.report.messages import Messages


@app.command()
def reconcile(
    directory: Directory,
    date: Date,
    whole: Annotated[bool, typer.Option("--all", help="over the whole ledger, not the newest day alone")] = False,
    language: Language = "zh",
    as_json: AsJson = False,
) -> None:
    """Every check with the rows that are wrong, open items by age, trust horizon. Exit 1 with findings."""
    from clearing.reconcile.day import reconcile as reconcile_day

    chosen = language_of(language)
    found = reconcile_day(directory, date.date(), whole=whole)
    show_or_json(found.as_json(), as_json, lambda: _show(found.as_json(), Messages(chosen)))
    raise typer.Exit(1 if found.failed else 0)


_MARKS = {"passed": "✓", "failed": "✗", "disabled": "—"}
_ROWS_SHOWN = 3


def _show(document: dict[str, Any], t: Messages) -> None:
    table = Table("", t("column.check"), t("column.severity"), t("column.owner"), t("column.wrong_rows"))
    for check in document["checks"]:
        table.add_row(
            _MARKS[check["state"]],
            f"{check[t.language]} ({check['name']})",
            t(f"severity.{check['severity']}"),
            t(f"role.{check['owner']}"),
            check["reason"] if check["rows"] is None else f"{check['rows']:,}",
        )
    stdout.print(table)
    for check in document["checks"]:
        for row in check["findings"][:_ROWS_SHOWN]:
            show_text(f"{check['name']}: " + ", ".join(f"{name} {value}" for name, value in row.items()))
    items = Table(
        *(t(f"column.{name}") for name in ("item", "cause", "owner", "participant", "age_days", "rows", "yuan"))
    )
    for row in document["open_items"]:
        items.add_row(
            t(f"item.{row['item']}"),
            row["cause"],
            t(f"role.{row['owner']}"),
            str(row["participant"]),
            str(row["age_days"]),
            f"{row['rows']:,}",
            yuan(row["fen"]),
        )
    stdout.print(items)
    show_text(f"{t('column.horizon')}: {document['horizon']['horizon']}")
