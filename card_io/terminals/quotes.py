"""Ports through which a terminal learns what is due: the insurer's settlement, the utilities' bills, benefits.

A terminal knows no tariff. Whoever stands behind a port answers; :class:`QuoteFile` answers from a JSON file, which
is what a hospital's or a hall's own system writes for a terminal beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from card_io.capture.errors import CaptureError
from card_io.records import BILL_FIELDS, MEDICAL_FIELDS, NULL


@dataclass(frozen=True, slots=True)
class MedicalQuote:
    """A settlement the insurer has computed (interface 2207): columns by the names of the record, fen."""

    columns: Mapping[str, int | None]

    @property
    def own_part(self) -> int:
        """What is left to the person in cash, the most the purse may pay."""
        return int(self.columns["psn_cash_pay"] or 0)

    def split(self) -> list[tuple[str, int]]:
        """(column, fen) of everything that pays a part, in the order of the record, for the display."""
        payers = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")
        shown = ("medfee_sumamt", *payers, "hosp_part_amt", "acct_pay", "acct_mulaid_pay", "psn_cash_pay")
        return [(name, int(self.columns.get(name) or 0)) for name in shown if self.columns.get(name)]


@dataclass(frozen=True, slots=True)
class BillQuote:
    """Bills due, each by the names of :data:`card_io.records.BILL_FIELDS`."""

    bills: Sequence[Mapping[str, int]]

    @property
    def total(self) -> int:
        """Fen."""
        return sum(bill["bill_amount"] for bill in self.bills)


@dataclass(frozen=True, slots=True)
class Benefit:
    """A grant that waits for its card: number and fen."""

    benefit_id: int
    amount: int


class MedicalQuotes(Protocol):
    """The insurer's settlement service behind a hospital."""

    def quote(self, card_no: str) -> MedicalQuote:
        """The settlement of the card's holder that waits for payment."""
        ...

    def cancel(self, quote: MedicalQuote) -> None:
        """Nothing was paid: the settlement is given up (2208)."""
        ...


class BillQuotes(Protocol):
    """The utilities' billing services behind a payment hall."""

    def quote(self, card_no: str) -> BillQuote:
        """The bills the card's holder wants to pay together."""
        ...


class BenefitQuotes(Protocol):
    """The centre's list of grants behind a load terminal."""

    def due(self, card_no: str) -> Sequence[Benefit]:
        """Grants that wait for this card."""
        ...


class QuoteError(CaptureError):
    """A quote is malformed: nothing was taken."""


class QuoteFile:
    """Answers from a JSON file: ``{"medical": {...}}``, ``{"bills": [...]}`` or ``{"benefits": {card: [...]}}``."""

    def __init__(self, path: Path) -> None:
        """Raises QuoteError when the file is no JSON object."""
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise QuoteError(f"{path} is no quote ({error})", "have it written again") from None
        if not isinstance(content, dict):
            raise QuoteError(f"{path} is no JSON object", "have it written again")
        self._path = path
        self._content: dict[str, Any] = content

    def medical(self) -> MedicalQuote:
        """The settlement in the file."""
        known = {field.name: field for field in MEDICAL_FIELDS}
        columns = self._integers(self._content.get("medical"), set(known))
        if missing := [each.name for each in known.values() if not each.nullable and each.name not in columns]:
            raise QuoteError(f"{self._path}: medical lacks {', '.join(missing)}", "have it written again")
        return MedicalQuote(columns)

    def quote(self, card_no: str) -> BillQuote:
        """The bills in the file, whoever's card it is."""
        missing = {field.name: NULL for field in BILL_FIELDS if field.optional}
        names = {field.name for field in BILL_FIELDS}
        bills = [{**missing, **self._integers(bill, names)} for bill in self._content.get("bills") or ()]
        if wrong := [at for at, bill in enumerate(bills, 1) if set(bill) != names]:
            needed = ", ".join(sorted(names - missing.keys()))
            raise QuoteError(f"{self._path}: bill {wrong[0]} needs {needed}", "have it written again")
        return BillQuote(bills)

    def due(self, card_no: str) -> Sequence[Benefit]:
        """The grants the file lists for the card."""
        listed = (self._content.get("benefits") or {}).get(card_no, ())
        found = [self._integers(each, {"benefit_id", "amount"}) for each in listed]
        return [Benefit(each["benefit_id"], each["amount"]) for each in found]

    def _integers(self, content: object, names: set[str]) -> dict[str, int]:
        if not isinstance(content, dict):
            raise QuoteError(f"{self._path} has no such quote", "have it written again")
        for name, value in content.items():
            if name not in names or not isinstance(value, int) or isinstance(value, bool):
                raise QuoteError(
                    f"{self._path}: {name} is {value!r:.40}", f"give integers for {', '.join(sorted(names))}"
                )
        return dict(content)


class FileMedicalQuotes:
    """:class:`MedicalQuotes` from a file; a settlement given up is the hospital system's to cancel."""

    def __init__(self, path: Path) -> None:
        self._file = QuoteFile(path)
        self.cancelled = False

    def quote(self, card_no: str) -> MedicalQuote:
        """The settlement in the file, whoever's card it is."""
        return self._file.medical()

    def cancel(self, quote: MedicalQuote) -> None:
        """Remember it for the program's exit status."""
        self.cancelled = True
