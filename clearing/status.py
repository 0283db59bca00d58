"""Clearing statuses, dispositions and verdicts: the numbered outcomes of the ladder (docs/clearing-rules.md).

Numbers are append-only and never reused; 0 means *not processed*, so a zeroed array never reads as accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class ClearingStatus(IntEnum):
    """What decided a row, first failure wins (int16 in segments)."""

    NOT_PROCESSED = 0
    ACCEPTED = 1
    UNREADABLE = 10
    FORM_INVALID = 11
    TIME_IMPOSSIBLE = 12
    TEST_RECORD = 13
    GREY_RECORD = 14
    LOCKED_RECORD = 15
    GREY_PROVEN = 16
    GREY_DISPROVEN = 17
    UNKNOWN_MERCHANT = 20
    UNKNOWN_TERMINAL = 21
    UNKNOWN_ISSUER = 22
    ALGORITHM_NOT_PERMITTED = 23
    KEY_UNKNOWN = 30
    TAC_MISSING = 31
    TAC_FAILED = 32
    DUPLICATE = 40
    REPLAY = 41
    CONFLICT = 42
    CARD_UNKNOWN = 50
    CARD_BLACKLISTED = 51
    BALANCE_BREAK = 60
    BILLS_EXCEED_PAYMENT = 61
    BENEFIT_UNMATCHED = 62
    AMOUNT_OVER_LIMIT = 70
    TIME_IN_FUTURE = 71
    TOO_OLD = 72
    NO_TARIFF = 80


class Disposition(IntEnum):
    """Where a row ends; every row ends in exactly one (uint8 in segments)."""

    NONE = 0
    ACCEPTED = 1
    HELD = 2
    REJECTED = 3
    DUPLICATE = 4
    UNREADABLE = 5


class Direction(IntEnum):
    """Which side a failing row would hurt: debit rows cost the sender, credit rows would reward the agent."""

    DEBIT = 0
    CREDIT = 1


class PriceVerdict(IntEnum):
    """How the amount charged compares with the tariff (docs/clearing-rules.md §6)."""

    NOT_PRICED = 0
    MATCH = 1
    OVERCHARGE = 2
    UNDERCHARGE = 3
    CLASS_MISMATCH = 4
    UNFLAGGED_TRANSFER = 5


class Mismatch(StrEnum):
    """How a settled or billed amount differs from the tariff (docs/clearing-rules.md §9)."""

    OVERCHARGE = "OVERCHARGE"
    UNDERCHARGE = "UNDERCHARGE"
    FUND_OVERPAID = "FUND_OVERPAID"
    FUND_UNDERPAID = "FUND_UNDERPAID"
    ACCOUNT_OVERPAID = "ACCOUNT_OVERPAID"
    ACCOUNT_UNDERPAID = "ACCOUNT_UNDERPAID"
    DEDUCTIBLE = "DEDUCTIBLE"
    SCOPE = "SCOPE"
    USAGE = "USAGE"


@dataclass(frozen=True, slots=True)
class StatusText:
    """The sentence an operator reads, and what to do next."""

    zh: str
    en: str


STATUS_TEXT: Final[dict[ClearingStatus, StatusText]] = {
    ClearingStatus.NOT_PROCESSED: StatusText("尚未处理", "Not processed yet"),
    ClearingStatus.ACCEPTED: StatusText("已受理,应付商户", "Accepted, payable to the merchant"),
    ClearingStatus.UNREADABLE: StatusText(
        "该行无法解析;请按回执所列字段更正后重新报送",
        "The row could not be decoded; correct the named field and resend",
    ),
    ClearingStatus.FORM_INVALID: StatusText(
        "字段取值不合规;请核对交易类型、金额与业务字段",
        "A field has an impossible value; check type, amount and service fields",
    ),
    ClearingStatus.TIME_IMPOSSIBLE: StatusText(
        "交易日期或时间不存在;请检查终端时钟",
        "Transaction date or time does not exist; check the terminal clock",
    ),
    ClearingStatus.TEST_RECORD: StatusText("测试记录,只计数不入账", "Test record: counted, never posted"),
    ClearingStatus.GREY_RECORD: StatusText(
        "灰记录,等待交易证明后处理", "Grey record: held until the card proves the transaction"
    ),
    ClearingStatus.LOCKED_RECORD: StatusText("灰锁记录,等待解锁证明", "Purse was grey-locked: held until unlocked"),
    ClearingStatus.GREY_PROVEN: StatusText(
        "灰记录,卡片后续计数器与余额证明已扣款;记入商户待处理",
        "Grey record: later counters and balances of the card prove the debit; in the merchant's suspense",
    ),
    ClearingStatus.GREY_DISPROVEN: StatusText(
        "灰记录,该计数器属于另一笔交易,未扣款",
        "Grey record: another transaction has its counter, so the card was not debited",
    ),
    ClearingStatus.UNKNOWN_MERCHANT: StatusText(
        "商户未登记或不属于该报送方",
        "Merchant is not registered for this sender; register it or correct the number",
    ),
    ClearingStatus.UNKNOWN_TERMINAL: StatusText(
        "终端在交易日未登记于该商户", "Terminal is not registered for the merchant on the operating day"
    ),
    ClearingStatus.UNKNOWN_ISSUER: StatusText("发卡机构未登记", "Issuer is not registered"),
    ClearingStatus.ALGORITHM_NOT_PERMITTED: StatusText(
        "该发卡机构不允许此算法", "Algorithm is not permitted for this issuer"
    ),
    ClearingStatus.KEY_UNKNOWN: StatusText(
        "密钥版本未知,挂账待密钥导入", "Key version is unknown: held until the key is imported"
    ),
    ClearingStatus.TAC_MISSING: StatusText(
        "缺少 TAC,且无免验协议", "TAC is missing and no agreement allows unverified rows"
    ),
    ClearingStatus.TAC_FAILED: StatusText("TAC 验证失败", "TAC is wrong under the key we hold"),
    ClearingStatus.DUPLICATE: StatusText("与已有记录完全相同", "Equal to a record already known"),
    ClearingStatus.REPLAY: StatusText(
        "重放:同一交易以不同内容再次报送", "Replay: the same transaction sent again with other content"
    ),
    ClearingStatus.CONFLICT: StatusText(
        "冲突:同一身份或计数器对应不同交易,人工处理",
        "Conflict: one identity or counter with different content; a person decides",
    ),
    ClearingStatus.CARD_UNKNOWN: StatusText(
        "卡片未登记或不在有效期", "Card is not in the register on the operating day"
    ),
    ClearingStatus.CARD_BLACKLISTED: StatusText(
        "黑名单卡,终端应已生效拒绝", "Card was blacklisted and the list should have been active"
    ),
    ClearingStatus.BALANCE_BREAK: StatusText(
        "交易前后余额不符", "Balances before and after do not tie with the amount"
    ),
    ClearingStatus.BILLS_EXCEED_PAYMENT: StatusText(
        "账单合计大于支付金额", "The bills sum to more than the amount paid"
    ),
    ClearingStatus.BENEFIT_UNMATCHED: StatusText(
        "补贴圈存无对应发放记录", "No accepted grant matches this benefit load"
    ),
    ClearingStatus.AMOUNT_OVER_LIMIT: StatusText("金额超过业务限额", "Amount is over the service limit"),
    ClearingStatus.TIME_IN_FUTURE: StatusText(
        "交易时间晚于接收时间;请检查终端时钟",
        "Transaction is later than its receipt; check the terminal clock",
    ),
    ClearingStatus.TOO_OLD: StatusText("超过允许的迟报天数", "Transaction is older than late records may be"),
    ClearingStatus.NO_TARIFF: StatusText(
        "无适用票价规则", "No tariff of the merchant prices this journey on its date"
    ),
}
"""One Chinese and one English sentence per status; a test demands that none is missing."""

_REJECTED_DEBITS: Final = frozenset(
    {
        ClearingStatus.FORM_INVALID,
        ClearingStatus.TIME_IMPOSSIBLE,
        ClearingStatus.ALGORITHM_NOT_PERMITTED,
        ClearingStatus.TAC_FAILED,
        ClearingStatus.CARD_BLACKLISTED,
        ClearingStatus.GREY_DISPROVEN,
    }
)

NEVER_PAYABLE: Final = frozenset(
    {
        ClearingStatus.TAC_FAILED,
        ClearingStatus.DUPLICATE,
        ClearingStatus.REPLAY,
        ClearingStatus.CONFLICT,
        ClearingStatus.TEST_RECORD,
        ClearingStatus.UNREADABLE,
        ClearingStatus.GREY_PROVEN,
        ClearingStatus.GREY_DISPROVEN,
    }
)
"""Statuses that no policy in ``centre.yaml`` can make payable."""


def default_disposition(status: ClearingStatus, direction: Direction) -> Disposition:
    """The published disposition of a status before a centre's own policy (docs/clearing-rules.md §4)."""
    fixed = {
        ClearingStatus.NOT_PROCESSED: Disposition.NONE,
        ClearingStatus.ACCEPTED: Disposition.ACCEPTED,
        ClearingStatus.UNREADABLE: Disposition.UNREADABLE,
        ClearingStatus.TEST_RECORD: Disposition.REJECTED,
        ClearingStatus.DUPLICATE: Disposition.DUPLICATE,
        ClearingStatus.REPLAY: Disposition.DUPLICATE,
    }
    if status in fixed:
        return fixed[status]
    if direction is Direction.DEBIT and status in _REJECTED_DEBITS:
        return Disposition.REJECTED
    return Disposition.HELD
