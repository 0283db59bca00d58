"""The message catalogue: every sentence and label of the documents in Chinese and English (``messages.yaml``)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from typing import Literal

import yaml

from clearing.accounts import ACCOUNT_KINDS
from clearing.reconcile.checks import CHECKS

Language = Literal["zh", "en"]


class Messages:
    """The texts of one language by key."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._texts = {key: texts[language] for key, texts in catalogue().items()}

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its ``{placeholders}`` filled; KeyError when the catalogue lacks it."""
        return self._texts[key].format(**values)

    def name(self, group: str, code: str) -> str:
        """The name of a code of an open list (account kinds, checks …); the code itself when it has none."""
        return self._texts.get(f"{group}.{code}", code)


@functools.cache
def catalogue() -> Mapping[str, Mapping[Language, str]]:
    """All texts by key and language."""
    text = files("clearing.report").joinpath("messages.yaml").read_text("utf-8")
    loaded: dict[str, dict[Language, str]] = yaml.load(text, yaml.CSafeLoader)
    accounts: dict[str, dict[Language, str]] = {
        f"account.{kind}": {"zh": each.zh, "en": each.en} for kind, each in ACCOUNT_KINDS.items()
    }
    checks: dict[str, dict[Language, str]] = {
        f"check.{name}": {"zh": each.zh, "en": each.en} for name, each in CHECKS.items()
    }
    return loaded | accounts | checks
