"""Amounts in the capitals of Chinese accounting (大写), by 正确填写票据和结算凭证的基本规定 of 支付结算办法."""

from __future__ import annotations

from typing import Final

_DIGITS: Final = "零壹贰叁肆伍陆柒捌玖"
_PLACES: Final = ("", "拾", "佰", "仟")
_GROUPS: Final = ("", "万", "亿", "万亿", "亿亿")


def capitals(fen: int) -> str:
    """An amount in capitals: 人民币 first, 整 behind whole yuan and jiao, 负 before a negative amount."""
    yuan, rest = divmod(abs(fen), 100)
    jiao, cents = divmod(rest, 10)
    text = f"{_whole(yuan)}元" if yuan else ""
    if jiao:
        text += f"{_DIGITS[jiao]}角"
    elif cents and yuan:
        text += "零"
    text += f"{_DIGITS[cents]}分" if cents else "整" if text else "零元整"
    return f"人民币{'负' if fen < 0 else ''}{text}"


def _whole(yuan: int) -> str:
    """A positive number of yuan; one 零 stands for any run of zeros inside."""
    groups = []
    while yuan:
        yuan, group = divmod(yuan, 10_000)
        groups.append(group)
    text, zero = "", False
    for at in reversed(range(len(groups))):
        group = groups[at]
        if group == 0:
            zero = True
            continue
        zero = bool(text) and (zero or group < 1000)
        text += ("零" if zero else "") + _group(group) + _GROUPS[at]
        zero = False
    return text


def _group(group: int) -> str:
    """1 to 9999."""
    text, zero = "", False
    for at in (3, 2, 1, 0):
        digit = group // 10**at % 10
        if digit == 0:
            zero = bool(text)
            continue
        text += ("零" if zero else "") + _DIGITS[digit] + _PLACES[at]
        zero = False
    return text
