"""Status words of the purse commands, who acts on them, and how a terminal says it (`card-standards.md` §2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What a status word asks of the terminal."""

    DONE = "done"
    MORE = "more"
    """More data waits: GET RESPONSE (61xx)."""
    LENGTH = "length"
    """Send the command again with this length (6Cxx)."""
    WARNING = "warning"
    MONEY = "money"
    """The cardholder acts: load the card, use another."""
    CARD = "card"
    """The card is blocked, damaged or of another kind: its issuer acts."""
    SECURITY = "security"
    """A key, MAC or PIN was refused."""
    COMMAND = "command"
    """The terminal sent what the card does not take: its maker acts."""


@dataclass(frozen=True, slots=True)
class StatusWord:
    """One row of the table; ``pattern`` is four hexadecimal digits, x stands for any."""

    pattern: str
    name: str
    outcome: Outcome
    zh: str
    en: str


_ROWS: Final = (
    ("9000", "OK", Outcome.DONE, "成功", "done"),
    ("61xx", "MORE_DATA", Outcome.MORE, "还有 xx 字节应答数据", "xx more bytes wait"),
    ("6Cxx", "WRONG_LE", Outcome.LENGTH, "应答长度应为 xx", "the answer has xx bytes"),
    ("6283", "FILE_INVALIDATED", Outcome.CARD, "所选文件无效", "the selected file is invalidated"),
    ("6284", "APPLICATION_LOCKED", Outcome.CARD, "应用已锁定", "the application is locked"),
    ("6300", "AUTHENTICATION_FAILED", Outcome.SECURITY, "认证失败", "authentication failed"),
    ("63Cx", "PIN_WRONG", Outcome.SECURITY, "密码错误，还可试 x 次", "wrong PIN, x tries left"),
    ("6581", "WRITE_FAILED", Outcome.CARD, "写卡失败", "writing failed"),
    ("6700", "WRONG_LENGTH", Outcome.COMMAND, "长度错误", "wrong length"),
    ("6881", "CHANNEL_UNSUPPORTED", Outcome.COMMAND, "不支持逻辑通道", "logical channels are not supported"),
    ("6901", "WRONG_ORDER", Outcome.COMMAND, "命令顺序错误", "commands in the wrong order"),
    ("6974", "COMPOSITE_CACHE_FAILED", Outcome.COMMAND, "复合消费缓存失败", "the composite cache was refused"),
    ("6981", "FILE_TYPE", Outcome.COMMAND, "文件类型不符", "wrong type of file"),
    ("6982", "SECURITY_STATUS", Outcome.SECURITY, "不满足安全状态", "security status not satisfied"),
    ("6983", "KEY_LOCKED", Outcome.SECURITY, "密钥或密码已锁定", "the key or PIN is locked"),
    (
        "6984",
        "NO_RANDOM",
        Outcome.COMMAND,
        "引用数据无效（未取随机数）",
        "referenced data invalid (no random number)",
    ),
    ("6985", "CONDITIONS", Outcome.COMMAND, "不满足使用条件", "conditions of use not satisfied"),
    ("6986", "NO_FILE_SELECTED", Outcome.COMMAND, "未选择文件", "no file is selected"),
    ("6987", "MAC_MISSING", Outcome.SECURITY, "缺少安全报文", "the secure message is missing"),
    ("6988", "MAC_INCORRECT", Outcome.SECURITY, "安全报文错误", "the secure message is wrong"),
    ("6A80", "WRONG_DATA", Outcome.COMMAND, "数据域错误", "wrong data"),
    ("6A81", "UNSUPPORTED", Outcome.CARD, "功能不支持或卡已锁", "function not supported, or the card is locked"),
    ("6A82", "NO_SUCH_FILE", Outcome.CARD, "文件或应用不存在", "no such file or application"),
    ("6A83", "NO_SUCH_RECORD", Outcome.COMMAND, "记录不存在", "no such record"),
    ("6A84", "NO_SPACE", Outcome.CARD, "空间不足", "no space left"),
    ("6A86", "WRONG_P1_P2", Outcome.COMMAND, "P1 P2 错误", "wrong P1 or P2"),
    ("6A88", "NO_SUCH_KEY", Outcome.COMMAND, "密钥不存在", "no such key"),
    ("6B00", "WRONG_OFFSET", Outcome.COMMAND, "偏移地址错误", "wrong offset"),
    ("6D00", "INS_UNKNOWN", Outcome.COMMAND, "不支持该命令", "instruction not supported"),
    ("6E00", "CLA_UNKNOWN", Outcome.COMMAND, "不支持该类别", "class not supported"),
    ("6F00", "CARD_FAULT", Outcome.CARD, "卡内部错误", "the card reports an inner fault"),
    ("9301", "INSUFFICIENT_SOME", Outcome.MONEY, "余额不足（部分卡）", "insufficient balance (some cards)"),
    ("9302", "MAC_WRONG", Outcome.SECURITY, "MAC 错误", "the MAC is wrong"),
    ("9303", "APPLICATION_BLOCKED", Outcome.CARD, "应用永久锁定", "the application is locked for good"),
    ("9401", "INSUFFICIENT", Outcome.MONEY, "余额不足", "insufficient balance"),
    ("9402", "COUNTER_AT_MAXIMUM", Outcome.CARD, "交易计数器已达最大值", "the transaction counter is at its maximum"),
    ("9403", "KEY_INDEX", Outcome.COMMAND, "密钥索引不支持", "key index not supported"),
    ("9406", "NO_PROVE", Outcome.WARNING, "所需 MAC 不可用", "the MAC asked for is not available"),
    ("9407", "RECORD_LOCKED", Outcome.CARD, "记录已锁定", "the record is locked"),
    ("9408", "GREY_LOCKED", Outcome.CARD, "钱包已灰锁", "the purse is grey-locked"),
)

STATUS_WORDS: Final = {row[0]: StatusWord(*row) for row in _ROWS}
"""The table by pattern."""


def status_word(sw: int) -> StatusWord:
    """What a status word means; words nobody listed are a `COMMAND` outcome named UNKNOWN.

    Args:
        sw: both octets, 0 … FFFF; the pattern of the answer keeps the variable digits of the row it matched.
    """
    digits = f"{sw:04X}"
    for pattern in (digits, f"{digits[:3]}x", f"{digits[:2]}xx"):
        if pattern in STATUS_WORDS:
            return STATUS_WORDS[pattern]
    return StatusWord(digits, "UNKNOWN", Outcome.COMMAND, f"未知状态字 {digits}", f"unknown status word {digits}")
