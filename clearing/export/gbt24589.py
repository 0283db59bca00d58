"""Accounting data in the manner of GB/T 24589.1 (会计核算软件数据接口 第1部分：企业), as one XML document.

Parts 会计科目, 科目余额及发生额, 记账凭证, with the element names of the 2010 edition as accounting software
writes them. Unproven: neither the text nor a schema of the standard was at hand, and no auditor's program has read
the document (docs/exports.md). Amounts are yuan with two decimals; one voucher is one journal entry in one window.
"""

from __future__ import annotations

import datetime
from itertools import groupby
from typing import Any, Final, TextIO
from xml.sax.saxutils import escape

from clearing import __version__
from clearing.accounts import ACCOUNT_KINDS
from clearing.config import RESERVE, Settings
from clearing.payments.money_text import yuan_of
from clearing.store import Store, sql_text

CURRENCY: Final = "人民币"

NOTICE: Final = (
    "GB/T 24589.1 式会计核算数据：元素名称未经官方模式验证，交付前须与审计方要求的版本核对。"
    " In the manner of GB/T 24589.1: element names are unproven, no public schema was at hand;"
    " compare with the edition the auditor asks for."
)
"""Stands at the head of every document."""

_CLASSES: Final = {"asset": "资产", "liability": "负债", "income": "损益", "expense": "损益", "memo": "表外"}
_DEBIT, _CREDIT, _EVEN = "借", "贷", "平"
_DEBIT_CLASSES: Final = ("asset", "expense")
_VOUCHER: Final = {"memo": "备", "ledger": "记"}


def write(store: Store, settings: Settings, out: TextIO) -> None:
    """Write the document; 科目编号 is the account kind, which never changes its name."""
    out.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {NOTICE} -->\n<会计核算数据>\n')
    _element(out, "电子账簿", _book(store, settings))
    for kind in ACCOUNT_KINDS.values():
        _element(
            out,
            "会计科目",
            {
                "科目编号": kind.kind,
                "科目名称": kind.zh,
                "科目级次": 1,
                "科目类型": _CLASSES[kind.account_class],
                "余额方向": _DEBIT if kind.account_class in _DEBIT_CLASSES else _CREDIT,
            },
        )
    for row in store.records(sql_text("export/months")):
        _element(out, "科目余额及发生额", _month(row))
    _write_vouchers(store, out)
    out.write("</会计核算数据>\n")


def _book(store: Store, settings: Settings) -> dict[str, object]:
    days = [row["window"] for row in store.records(sql_text("export/postings"))]
    return {
        "电子账簿编号": settings.centre.id,
        "电子账簿名称": settings.centre.name.zh,
        "会计核算单位": settings.centre.name.zh,
        "本位币": CURRENCY,
        "会计年度": min(days, default=datetime.date(1970, 1, 1)).year,
        "开发单位": "citizen-card clearing",
        "版本号": __version__,
    }


def _auxiliary(row: dict[str, Any]) -> dict[str, object]:
    """辅助项: whose account, and out of which money."""
    return {
        "辅助项1名称": "参与方",
        "辅助项1编号": row["participant"],
        "辅助项2名称": "资金来源",
        "辅助项2编号": "备付金" if row["source"] == RESERVE else row["source"],
    }


def _month(row: dict[str, Any]) -> dict[str, object]:
    return {
        "科目编号": row["kind"],
        **_auxiliary(row),
        "会计年度": row["month"].year,
        "会计期间号": row["month"].month,
        "币种": CURRENCY,
        "期初余额方向": _direction(row["opening"]),
        "期初本币余额": yuan_of(abs(row["opening"])),
        "借方本币发生额": yuan_of(row["debit"]),
        "贷方本币发生额": yuan_of(row["credit"]),
        "期末余额方向": _direction(row["closing"]),
        "期末本币余额": yuan_of(abs(row["closing"])),
    }


def _write_vouchers(store: Store, out: TextIO) -> None:
    def together(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["window"], row["entry"], row["entry_kind"], row["memo"]

    for (date, entry, what, memo), rows in groupby(store.records(sql_text("export/postings")), key=together):
        for line, row in enumerate(rows, 1):
            _element(
                out,
                "记账凭证",
                {
                    "记账凭证日期": f"{date:%Y%m%d}",
                    "会计年度": date.year,
                    "会计期间号": date.month,
                    "记账凭证类型编号": _VOUCHER["memo" if memo else "ledger"],
                    "记账凭证编号": f"{entry}-{date:%Y%m%d}",
                    "记账凭证行号": line,
                    "记账凭证摘要": what,
                    "科目编号": row["kind"],
                    **_auxiliary(row),
                    "币种": CURRENCY,
                    "借方本币金额": yuan_of(max(-row["fen"], 0)),
                    "贷方本币金额": yuan_of(max(row["fen"], 0)),
                    "记账标志": 1,
                    "作废标志": 0,
                },
            )


def _direction(fen: int) -> str:
    return _EVEN if fen == 0 else _CREDIT if fen > 0 else _DEBIT


def _element(out: TextIO, name: str, fields: dict[str, object]) -> None:
    inner = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in fields.items())
    out.write(f"<{name}>{inner}</{name}>\n")
