"""Bank files that are not ISO 20022: the answer to a payment list (回盘), MT940, and CSV statements by profile."""

from __future__ import annotations

import csv
import datetime
import io
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import mt940
import yaml
from pydantic import ValidationError

from clearing.bank.messages import Answer, Answers, BankFile, BankFileError, Line, Statement
from clearing.errors import ConfigError
from clearing.payments.bank_text import PROFILE
from clearing.payments.money_text import fen_of
from clearing.strict import Strict


def read_list_answer(content: bytes) -> BankFile:
    """The bank's answer to a payment list, by the profile the list was written with.

    Raises:
        BankFileError: ``unreadable`` naming the line; ``wrong_count``, ``wrong_sum`` against the header.
    """
    try:
        lines = content.decode(PROFILE.encoding).splitlines()
        message, _, rows, total = lines[0].split(PROFILE.separator)
        answers = [_answer(number, line) for number, line in enumerate(lines[1:], 2) if line]
        count, fen = int(rows), fen_of(total)
    except (UnicodeDecodeError, ValueError, IndexError) as exc:
        raise BankFileError("unreadable", f"not an answer to a payment list: {exc}") from exc
    if count != len(answers):
        raise BankFileError("wrong_count", f"the header says {count} lines, there are {len(answers)}")
    if fen != sum(answer.fen or 0 for answer in answers):
        raise BankFileError("wrong_sum", f"the header says {total}, the lines sum to something else")
    return BankFile("list", "", answers=(Answers(message, tuple(answers)),))


def _answer(number: int, line: str) -> Answer:
    fields = line.split(PROFILE.separator)
    if len(fields) != len(PROFILE.answer):
        raise ValueError(f"line {number} has {len(fields)} fields, not {len(PROFILE.answer)}")
    value = dict(zip(PROFILE.answer, fields, strict=True))
    result = PROFILE.results.get(value["result"])
    if result is None:
        raise ValueError(f"line {number}: result {value['result']!r} is none of {', '.join(PROFILE.results)}")
    return Answer(value["payment"], result, value["reason"], fen_of(value["amount"]), value["account_number"])


_CREDITS: Final = frozenset({"C", "RD"})
"""A reversed debit comes in; RC, a reversed credit, goes out (the library leaves the sign of both to us)."""

_NUMBER_IN_TEXT: Final = re.compile(r"/EREF/([^/]+)")


def read_mt940(content: bytes) -> BankFile:
    """Statements in MT940, one block each (library ``mt-940``).

    Raises:
        BankFileError: ``unreadable``, ``wrong_currency``.
    """
    try:
        blocks = mt940.parse_statements(content, encoding="utf-8")
    except Exception as exc:  # the library raises errors of many kinds for a file it cannot read
        raise BankFileError("unreadable", f"not MT940: {exc}") from exc
    statements = tuple(_mt940_statement(block) for block in blocks)
    if not statements:
        raise BankFileError("unreadable", "the file holds no statement")
    return BankFile("mt940", "", statements=statements)


def _mt940_statement(block: mt940.models.Transactions) -> Statement:
    data = block.data
    opening, closing = data.get("final_opening_balance"), data.get("final_closing_balance")
    account = str(data.get("account_identification", "")).split("/")[-1].strip()
    if opening is None or closing is None or not account:
        raise BankFileError("unreadable", "a statement without :25:, :60F: or :62F:")
    if {opening.amount.currency, closing.amount.currency} != {"CNY"}:
        raise BankFileError("wrong_currency", f"account {account} is not kept in CNY")
    number = f"{data.get('transaction_reference', '')}/{data.get('statement_number', '')}"
    lines = tuple(_mt940_line(transaction.data) for transaction in block)
    dated = datetime.date(closing.date.year, closing.date.month, closing.date.day)
    return Statement(account, number, lines, _fen(opening), _fen(closing), dated)


def _fen(balance: Any) -> int:
    return fen_of(str(balance.amount.amount))


def _mt940_line(data: dict[str, Any]) -> Line:
    text = " ".join(str(data.get(name) or "") for name in ("transaction_details", "extra_details")).strip()
    named = _NUMBER_IN_TEXT.search(text)
    reference = str(data.get("customer_reference") or "").strip()
    booked = data["date"]
    assert isinstance(booked, datetime.date)
    return Line(
        direction="credit" if data["status"] in _CREDITS else "debit",
        fen=abs(fen_of(str(data["amount"].amount))),
        payment=named[1].strip() if named else "" if reference == "NONREF" else reference,
        text=text,
        reference=str(data.get("bank_reference") or "").strip(),
        booked=datetime.date(booked.year, booked.month, booked.day),
    )


Field = Literal[
    "account", "booked", "debit", "credit", "balance", "party_account", "payment", "text", "reference"
]  # fmt: skip


class CsvProfile(Strict):
    """Columns of a bank's CSV statement."""

    encoding: str
    separator: str
    date: str
    """Format of dates, as ``strptime`` has it."""
    columns: dict[Field, str]
    """Our field → the bank's heading. account, booked, debit, credit and balance are needed."""


def load_csv_profile(folders: list[Path], name: str) -> CsvProfile:
    """A profile of the centre's own folders, else a packaged one.

    Raises:
        BankFileError: there is none of that name.
        ConfigError: it is no profile.
    """
    packaged = files("clearing.bank").joinpath("profiles")
    found = [path for folder in (*folders, packaged) if (path := folder.joinpath(f"{name}.yaml")).is_file()]
    if not found:
        raise BankFileError("unknown_profile", f"there is no profile {name} for statements")
    try:
        return CsvProfile.model_validate(yaml.load(found[0].read_text("utf-8"), Loader=yaml.CSafeLoader))
    except (ValidationError, yaml.YAMLError) as exc:
        raise ConfigError(f"not a profile of statements: {exc}", where=str(found[0]), remedy="correct it") from exc


def read_csv_statement(content: bytes, profile: CsvProfile) -> BankFile:
    """One account's statement with a running balance on every line.

    Raises:
        BankFileError: ``unreadable`` naming line and field; ``sum_mismatch`` when the running balance breaks.
    """
    try:
        text = content.decode(profile.encoding)
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=profile.separator))
        lines, balances, accounts = [], [], set()
        for row in rows:
            value = {field: (row[heading] or "").strip() for field, heading in profile.columns.items()}
            accounts.add(value["account"])
            balances.append(fen_of(value["balance"].replace(",", "")))
            lines.append(_csv_line(value, profile))
        if len(accounts) != 1:
            raise ValueError(f"{len(accounts)} accounts in one statement")
    except (UnicodeDecodeError, ValueError, KeyError) as exc:
        raise BankFileError("unreadable", f"not this profile's statement: {exc}") from exc
    moved = [line.fen if line.direction == "credit" else -line.fen for line in lines]
    for number in range(1, len(lines)):
        if balances[number] != balances[number - 1] + moved[number]:
            raise BankFileError("sum_mismatch", f"line {number + 2}: the running balance does not follow")
    days = [line.booked for line in lines if line.booked is not None]
    name = f"{min(days)}/{max(days)}"
    statement = Statement(accounts.pop(), name, tuple(lines), balances[0] - moved[0], balances[-1], max(days))
    return BankFile("csv", "", statements=(statement,))


def _csv_line(value: dict[Field, str], profile: CsvProfile) -> Line:
    debit, credit = (fen_of(value[name].replace(",", "") or "0") for name in ("debit", "credit"))
    if (debit == 0) == (credit == 0):
        raise ValueError(f"{value['booked']}: a line is either debit or credit")
    return Line(
        direction="credit" if credit else "debit",
        fen=credit or debit,
        payment=value.get("payment", ""),
        text=value.get("text", ""),
        reference=value.get("reference", ""),
        account=value.get("party_account") or None,
        booked=datetime.datetime.strptime(value["booked"], profile.date).date(),
    )
