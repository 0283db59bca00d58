"""Which application an identifier selects, and which algorithm its MACs use (`card-standards.md` §1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from card_io.layouts.errors import RoutingError, TlvError
from card_io.layouts.files import CityUnionApplication, ShenzhenApplication, TUnionApplication
from card_io.layouts.layout import Layout
from card_io.layouts.tlv import Tlv, parse_tlv
from card_io.records import Algorithm, PurseKind

FCI: Final = 0x6F
FCI_PROPRIETARY: Final = 0xA5
DF_NAME: Final = 0x84
ISSUER_DATA: Final = 0x9F0C
"""Issuer discretionary data of the FCI: file 15 without another command."""
APPLICATION_VERSION: Final = 0x9F08
DIRECTORY_ENTRY: Final = 0x61
AID: Final = 0x4F


class Family(StrEnum):
    """Whose rules the files follow."""

    T_UNION = "t_union"
    CITY_UNION = "city_union"
    SHENZHEN = "shenzhen"
    CITY = "city"
    """A city's own older application."""
    DIRECTORY = "directory"
    DEBIT = "debit"
    ETC = "etc"
    PSAM = "psam"
    KSX6924 = "ksx6924"


@dataclass(frozen=True, slots=True)
class Application:
    """One row of the table.

    Attributes:
        aid: upper-case hexadecimal of the name given to SELECT.
        algorithms: what its MACs may use; two entries mean that the card says which in its INITIALIZE answer;
            empty means that it is no purse or that nothing is known.
        proof: [2+] several sources, [1] one.
    """

    aid: str
    family: Family
    purse: PurseKind | None
    algorithms: tuple[Algorithm, ...]
    zh: str
    en: str
    proof: str


_BOTH: Final = (Algorithm.TDES, Algorithm.SM4)
_3DES: Final = (Algorithm.TDES,)
_SM4: Final = (Algorithm.SM4,)
_PURSE: Final = PurseKind.PURSE
_CASH: Final = PurseKind.E_CASH

_ROWS: Final = (
    ("A000000632010105", Family.T_UNION, _PURSE, _BOTH, "交通联合电子钱包", "T-Union purse", "[2+]"),
    ("A000000632010106", Family.T_UNION, _CASH, _BOTH, "交通联合电子现金", "T-Union e-cash", "[2+]"),
    ("A000000632010107", Family.T_UNION, _PURSE, _SM4, "交通联合电子钱包（国密）", "T-Union purse, SM4", "[1]"),
    ("A000000632010108", Family.T_UNION, _CASH, _SM4, "交通联合电子现金（国密）", "T-Union e-cash, SM4", "[1]"),
    ("A000000632101002", Family.T_UNION, _CASH, _SM4, "交通联合电子现金（试行）", "T-Union e-cash, trial", "[1]"),
    ("A000000632101004", Family.T_UNION, _PURSE, _SM4, "交通联合电子钱包（试行）", "T-Union purse, trial", "[1]"),
    ("A00000000386980701", Family.CITY_UNION, _PURSE, _3DES, "城市一卡通", "CityUnion purse", "[2+]"),
    ("A00000000386980702", Family.CITY_UNION, _PURSE, _3DES, "城市一卡通（二）", "CityUnion purse 2", "[2+]"),
    ("A00000000386980703", Family.CITY_UNION, _PURSE, _3DES, "城市一卡通（三）", "CityUnion purse 3", "[2+]"),
    ("5041592E535A54", Family.SHENZHEN, _PURSE, _3DES, "深圳通", "Shenzhen Tong", "[2+]"),
    ("4150312E5748435443", Family.CITY, _PURSE, _3DES, "武汉通", "Wuhan", "[1]"),
    ("91560000144D4F542E424D4143303031", Family.CITY, _PURSE, _3DES, "北京一卡通（旧）", "Beijing, old", "[2+]"),
    ("5041592E41505059", Family.CITY, _PURSE, _3DES, "岭南通", "Lingnan Tong", "[2+]"),
    ("5041592E5449434C", Family.CITY, _PURSE, _3DES, "羊城通", "Yang Cheng Tong", "[2+]"),
    ("535558494E2E4444463031", Family.CITY, _PURSE, _3DES, "苏州市民卡", "Suzhou", "[1]"),
    ("A0000053425748544B", Family.CITY, _PURSE, _3DES, "武汉手机卡", "Wuhan mobile", "[1]"),
    ("4351515041592E5359533331", Family.CITY, _PURSE, _3DES, "重庆手机卡", "Chongqing mobile", "[1]"),
    ("325041592E5359532E4444463031", Family.DIRECTORY, None, (), "近距离支付目录", "PPSE directory", "[2+]"),
    ("315041592E5359532E4444463031", Family.DIRECTORY, None, (), "支付系统目录", "PSE directory", "[2+]"),
    ("315055422E5359532E4444463031", Family.DIRECTORY, None, (), "公共应用目录", "PUB directory", "[1]"),
    ("A000000333010101", Family.DEBIT, None, (), "银联借记", "PBOC debit", "[2+]"),
    ("5041592E4554432E4E4D", Family.ETC, None, (), "ETC 用户卡", "ETC user card", "[2+]"),
    ("4D4F542E435053414D3031", Family.PSAM, None, _BOTH, "交通联合 PSAM", "T-Union PSAM", "[2+]"),
    ("D4100000030001", Family.KSX6924, None, (), "T-money（韩国）", "T-money (Korea)", "[2+]"),
    ("D4100000140001", Family.KSX6924, None, (), "Cashbee（韩国）", "Cashbee (Korea)", "[2+]"),
)

APPLICATIONS: Final = {row[0]: Application(*row) for row in _ROWS}
"""The table by application identifier."""

T_UNION_PURSE: Final = APPLICATIONS["A000000632010105"]
CITY_UNION_PURSE: Final = APPLICATIONS["A00000000386980701"]

_FILE_15: Final[dict[Family, type[Layout]]] = {
    Family.T_UNION: TUnionApplication,
    Family.CITY_UNION: CityUnionApplication,
    Family.SHENZHEN: ShenzhenApplication,
}


def application(aid: bytes) -> Application:
    """The application that a name selects; a longer name selects the longest row it begins with.

    Raises:
        RoutingError: when no row fits.
    """
    name = aid.hex().upper()
    fitting = [row for row in APPLICATIONS if name.startswith(row)]
    if not fitting:
        raise RoutingError(
            "application identifier", f"{name or 'no bytes'} is in no row", "add it to applications.py"
        )
    return APPLICATIONS[max(fitting, key=len)]


def algorithm_of(found: Application, card_algorithm: int | None = None) -> Algorithm:
    """Which algorithm the purse's MACs use.

    Args:
        found: the selected application.
        card_algorithm: the algorithm byte of the INITIALIZE answer, 00 or 01 for 3DES and 04 for SM4. 01 was seen on
            3DES cards in the relay trace of §2.4.

    Raises:
        RoutingError: when a dual card has not said it, or says one that its application does not have.
    """
    where = f"algorithm of {found.aid}"
    if card_algorithm is None:
        if len(found.algorithms) == 1:
            return found.algorithms[0]
        raise RoutingError(where, "the card has not said which", "ask INITIALIZE FOR PURCHASE first")
    said = {0: Algorithm.TDES, 1: Algorithm.TDES, 4: Algorithm.SM4}.get(card_algorithm)
    if said is None or said not in found.algorithms:
        raise RoutingError(where, f"the card says {card_algorithm:02X}", "give the card to its issuer")
    return said


@dataclass(frozen=True, slots=True)
class Selected:
    """What SELECT answered: the application, its file 15 when the FCI carries it, and the whole object."""

    application: Application
    issuer_data: bytes
    file_15: Layout | None
    fci: Tlv


def read_fci(answer: bytes) -> Selected:
    """Read the answer to SELECT, without its status word.

    File 15 is decoded when the family has a layout and the FCI carries as many bytes; other issuer data stays raw.

    Raises:
        TlvError: when it is no file control information.
        RoutingError: when its name is in no row of the table.
    """
    objects = parse_tlv(answer)
    if len(objects) != 1 or objects[0].tag != FCI:
        raise TlvError("answer to SELECT", "no single object 6F", "select the application again")
    [fci] = objects
    name = fci.find(DF_NAME)
    if name is None:
        raise TlvError("answer to SELECT", "no name (tag 84)", "select the application again")
    found = application(name.value)
    data = fci.find(ISSUER_DATA)
    raw = data.value if data else b""
    layout = _FILE_15.get(found.family)
    return Selected(found, raw, layout.decode(raw) if layout and len(raw) == layout.LENGTH else None, fci)


def directory_entries(answer: bytes) -> tuple[bytes, ...]:
    """The identifiers a payment directory (PPSE) lists, in its order.

    Raises:
        TlvError: when the answer is no TLV data.
    """
    entries = [each for top in parse_tlv(answer) for each in top.walk() if each.tag == DIRECTORY_ENTRY]
    return tuple(aid.value for entry in entries if (aid := entry.find(AID)))
