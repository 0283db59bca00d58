"""What the ``card`` command says, in Chinese and English."""

from __future__ import annotations

from typing import Final, Literal

Language = Literal["zh", "en"]

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "no_readers": ("没有读卡器;请检查 pcscd 与连接", "No reader; check pcscd and the cable"),
    "balance": ("余额", "balance"),
    "log": ("交易明细", "transaction log"),
    "journeys": ("行程记录", "journeys"),
    "counter": ("计数器", "counter"),
    "type": ("类型", "type"),
    "amount": ("金额", "amount"),
    "terminal": ("终端", "terminal"),
    "time": ("时间", "time"),
    "touch_card": ("请刷卡", "touch your card"),
    "taken": ("已扣款 {yuan} 元,余额 {balance} 元", "{yuan} yuan taken, {balance} left"),
    "loaded": ("已充值 {yuan} 元,余额 {balance} 元", "{yuan} yuan loaded, {balance} on the card"),
    "turned_away": ("未放行:{reason}", "turned away: {reason}"),
    "disturbed": ("交易中断,请重新刷卡:{reason}", "disturbed, touch again: {reason}"),
    "settled": ("灰记录 {number} 已判定:{verdict}", "grey record {number} decided: {verdict}"),
    "still_open": ("灰记录 {number} 未决({by})", "grey record {number} stays open ({by})"),
    "taps": ("刷卡", "taps"),
    "money": ("金额", "yuan"),
    "away": ("拒绝", "turned away"),
    "grey": ("灰记录", "grey"),
    "unsent": ("未报送", "not delivered"),
    "waiting": ("待确认", "unanswered"),
    "sent": ("已写出 {file}", "written: {file}"),
    "closed": ("中心已确认 {file}", "acknowledged by the centre: {file}"),
    "waits": ("{file} 待中心确认({rows} 笔,{yuan} 元)", "{file} waits for the centre ({rows} rows, {yuan} yuan)"),
    "refused": (
        "{file} 被中心拒收:{reason};更正后加 --again 重送",
        "{file} was refused: {reason}; correct it, then --again",
    ),
    "unsent_rows": ("未报送 {rows} 笔,{yuan} 元", "{rows} rows, {yuan} yuan not delivered"),
    "grey_open": (
        "未决灰记录:卡 {card},终端流水 {terminal_counter},{yuan} 元",
        "open grey record: card {card}, terminal number {terminal_counter}, {yuan} yuan",
    ),
    "torn_tails": (
        "日志尾部曾被截断 {count} 次,残片已保留",
        "the journal's tail was cut {count} times; the pieces are kept",
    ),
    "clock_jumps": ("时钟曾回拨 {count} 次", "the clock jumped back {count} times"),
    "all_delivered": ("全部已报送并确认", "everything is delivered and acknowledged"),
    "no_exchange": ("日志中没有此哈希的交互", "the journal has no exchange with this hash"),
    "exchange_of": ("交易 {number} 的卡片交互", "exchange of transaction {number}"),
    "split": ("分摊", "split"),
    "bills": ("账单", "bills"),
    "passed": ("通过", "passed"),
    "failed": ("失败", "FAILED"),
    "check": ("检查", "check"),
    "result": ("结果", "result"),
    "rejected_parameter": ("参数文件被拒:{reason}", "parameter file refused: {reason}"),
}


class Messages:
    """Texts of one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._at = 0 if language == "zh" else 1

    def __call__(self, key: str, **facts: object) -> str:
        """The text of ``key`` with its facts."""
        return _TEXTS[key][self._at].format(**facts)
