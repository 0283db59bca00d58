"""What purse commands carry and answer (JR/T 0025 ED/EP set; `card-standards.md` §2, §2.4)."""

from __future__ import annotations

from typing import ClassVar, Final

from card_io.layouts.layout import Layout, Vector, date4, hexa, time3, uint

_RELAY: Final = "relay trace of a real card, §2.4"


class Balance(Layout, name="balance", zh="余额应答", en="answer to GET BALANCE", source="§2 [V]"):
    """Four bytes, fen."""

    balance: int = uint(4, "fen")

    VECTORS: ClassVar = (Vector("00000AC3", {"balance": 2755}, "T-Union_Master, card_data_format.md"),)


class TransactionInit(
    Layout,
    name="transaction_init",
    zh="交易初始化数据",
    en="data of INITIALIZE FOR PURCHASE, LOAD, UNLOAD",
    source="§2",
):
    """What the terminal announces."""

    key_index: int = uint(1, "key index")
    amount: int = uint(4, "fen")
    terminal: str = hexa(6, "PSAM number")

    VECTORS: ClassVar = (
        Vector("01000000C8000041599997", {"key_index": 1, "amount": 200, "terminal": "000041599997"}, _RELAY),
    )


class PurchaseInitAnswer(
    Layout, name="purchase_init_answer", zh="消费初始化应答", en="answer to INITIALIZE FOR PURCHASE", source="§2 [V]"
):
    """Also of a composite purchase and of INITIALIZE FOR CASH WITHDRAW and UNLOAD."""

    balance: int = uint(4, "purse balance before, fen")
    offline_counter: int = uint(2, "offline counter before")
    overdraft_limit: int = uint(3, "fen")
    key_version: int = uint(1, "version of the purchase key")
    algorithm: int = uint(1, "00 and 01 seen on 3DES cards, 04 SM4")
    random: str = hexa(4, "the card's random number")

    VECTORS: ClassVar = (
        Vector(
            "000162AF00360003200100" + "84176AD7",
            {
                "balance": 90799,
                "offline_counter": 0x36,
                "overdraft_limit": 800,
                "key_version": 1,
                "random": "84176AD7",
            },
            _RELAY,
        ),
        Vector("00015A1700410003200100F8ADA62B", {"balance": 88599, "offline_counter": 0x41}, _RELAY),
    )


class DebitData(
    Layout, name="debit_data", zh="消费数据", en="data of DEBIT FOR PURCHASE, CASH WITHDRAW, UNLOAD", source="§2 [V]"
):
    """What the terminal sends with its MAC1."""

    terminal_counter: int = uint(4, "terminal transaction number")
    date4: int = date4("date")
    time3: int = time3("time")
    mac1: str = hexa(4, "MAC1")

    VECTORS: ClassVar = (
        Vector(
            "000000572018031316432966CBC863",
            {"terminal_counter": 0x57, "date4": 0x20180313, "time3": 0x164329, "mac1": "66CBC863"},
            _RELAY,
        ),
    )


class DebitAnswer(Layout, name="debit_answer", zh="消费应答", en="answer to DEBIT FOR PURCHASE", source="§2 [V]"):
    """The proof of the purchase."""

    tac: str = hexa(4, "TAC")
    mac2: str = hexa(4, "MAC2")

    VECTORS: ClassVar = (Vector("C630C2C8ABCC913B", {"tac": "C630C2C8", "mac2": "ABCC913B"}, _RELAY),)


class ProveAnswer(
    Layout,
    name="prove_answer",
    zh="交易认证应答",
    en="answer to GET TRANSACTION PROVE",
    source="§2 [2+]; one blog differs",
):
    """MAC2 of a purchase (MAC of a load), then the TAC of the last such transaction."""

    mac: str = hexa(4, "MAC")
    tac: str = hexa(4, "TAC")

    VECTORS: ClassVar = (Vector("0410385D807979F8", {"mac": "0410385D", "tac": "807979F8"}, "ETC trace, §2.4"),)


class LoadInitAnswer(
    Layout, name="load_init_answer", zh="圈存初始化应答", en="answer to INITIALIZE FOR LOAD", source="§2 [2+]"
):
    """What the host needs to authorise a load."""

    balance: int = uint(4, "balance before, fen")
    online_counter: int = uint(2, "online counter before")
    key_version: int = uint(1, "version of the load key")
    algorithm: int = uint(1, "00 3DES, 04 SM4")
    random: str = hexa(4, "the card's random number")
    mac1: str = hexa(4, "MAC1 of the card")

    VECTORS: ClassVar = (
        Vector(
            "00002A26" + "0007" + "01" + "00" + "11223344" + "2988AE5A",
            {"balance": 10790, "online_counter": 7, "key_version": 1, "random": "11223344", "mac1": "2988AE5A"},
            "made up from the fields of §2",
        ),
    )


class CreditData(Layout, name="credit_data", zh="圈存数据", en="data of CREDIT FOR LOAD", source="§2 [2+]"):
    """The host's authorisation."""

    date4: int = date4("date")
    time3: int = time3("time")
    mac2: str = hexa(4, "MAC2 of the host")

    VECTORS: ClassVar = (
        Vector("201112212148223A845BF0", {"date4": 0x20111221, "time3": 0x214822, "mac2": "3A845BF0"}, "§4.5"),
    )


class CreditAnswer(Layout, name="credit_answer", zh="圈存应答", en="answer to CREDIT FOR LOAD", source="§2 [2+]"):
    """The proof of the load."""

    tac: str = hexa(4, "TAC")

    VECTORS: ClassVar = (Vector("01020304", {"tac": "01020304"}, "made up"),)


class OverdrawLimitData(
    Layout, name="overdraw_limit_data", zh="修改透支限额数据", en="data of UPDATE OVERDRAW LIMIT", source="§2 [1]"
):
    """The host's authorisation of a new limit."""

    overdraft_limit: int = uint(3, "new limit, fen")
    date4: int = date4("date")
    time3: int = time3("time")
    mac2: str = hexa(4, "MAC2 of the host")

    VECTORS: ClassVar = (
        Vector(
            "00032020180313164329AABBCCDD",
            {"overdraft_limit": 800, "date4": 0x20180313, "time3": 0x164329, "mac2": "AABBCCDD"},
            "made up",
        ),
    )


class SamFile17(Layout, name="sam_17", zh="PSAM应用公共信息", en="PSAM application data, file 17", source="§2 [2+]"):
    """Who issued the security module and for whom."""

    key_index: int = uint(1, "key index")
    issuer: str = hexa(8, "issuer")
    acceptor: str = hexa(8, "acceptor")
    valid_from: int = date4("first day of validity")
    valid_to: int = date4("last day of validity")

    VECTORS: ClassVar = (
        Vector(
            "01" + "11012900FFFFFFFF" + "11012900FFFFFFFF" + "20200101" + "20401231",
            {"key_index": 1, "issuer": "11012900FFFFFFFF", "valid_from": 0x20200101, "valid_to": 0x20401231},
            "made up from the fields of §2",
        ),
    )


class PurseLimits(
    Layout,
    name="purse_limits",
    zh="钱包限额特征值",
    en="calibration values of a purse",
    source="§2.3; JT/T 1356.1 K1",
):
    """Cap A, actual balance B, overdraft limit C and overdraft used D, three bytes each."""

    cap: int = uint(3, "A: most that the actual balance may be, fen")
    balance: int = uint(3, "B: actual balance, fen")
    overdraft_limit: int = uint(3, "C: overdraft limit, fen")
    overdraft_used: int = uint(3, "D: overdraft used, fen")

    VECTORS: ClassVar = (
        Vector(
            "FFFF88FFFF00000077000000",
            {"cap": 0xFFFF88, "balance": 0xFFFF00, "overdraft_limit": 0x77, "overdraft_used": 0},
            "tulab, carddata1.rst case 103",
        ),
    )

    @property
    def shown_balance(self) -> int:
        """What a cardholder sees, fen: the actual balance less the overdraft used (§2.3)."""
        return self.balance - self.overdraft_used

    def violations(self) -> tuple[str, ...]:
        """Which rules of JT/T 1356.1 the values break; empty for a sound purse."""
        rules = {
            "A + C ≤ FFFFFF": self.cap + self.overdraft_limit <= 0xFFFFFF,
            "B ≤ A": self.balance <= self.cap,
            "D ≤ C": self.overdraft_used <= self.overdraft_limit,
            "B = 0 or D = 0": self.balance == 0 or self.overdraft_used == 0,
        }
        return tuple(rule for rule, holds in rules.items() if not holds)
