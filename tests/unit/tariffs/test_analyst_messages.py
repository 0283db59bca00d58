"""Every refusal of the package is told in Chinese and English; the catalogues are complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import tariffs
from tariffs import TariffFileError, load_tariff
from tariffs.analyst.messages import Messages, knows_remedy
from tariffs.analyst.services import SERVICES
from tariffs.analyst.steps import parameters_of
from tariffs.vocabulary import STEPS_OF_KIND

PACKAGE = Path(tariffs.__file__).parent
CASES = Path(__file__).resolve().parents[2] / "cases" / "tariffs"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
REFUSALS = {"ParameterError", "TariffFileError"}
FILES = sorted(PACKAGE.rglob("*.py"))


def written_remedies(file: Path) -> dict[str, int]:
    """Texts that a module passes on as remedies, with `…` for what varies, and their lines."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        texts: list[ast.expr] = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in REFUSALS:
            texts = [node.args[-1]]
        elif isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["remedy"]:
            texts = [node.value]
        for text in texts:
            for each in (text.body, text.orelse) if isinstance(text, ast.IfExp) else (text,):
                if (words := template(each)) is not None:
                    found[words] = node.lineno
    return found


def template(node: ast.expr) -> str | None:
    """A text with `…` for its placeholders; None for an expression that is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_remedy_is_told_in_chinese(file: Path) -> None:
    """A new remedy needs its line in tariffs/analyst/remedies.yaml."""
    remedies = written_remedies(file)
    assert {text: line for text, line in remedies.items() if not knows_remedy(text)} == {}


def refused_cases() -> list[Any]:
    return [
        pytest.param(group["base"], case, id=f"{file.stem}-{case['name']}")
        for file in sorted(CASES.glob("refused_*.yaml"))
        for group in [yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)]
        for case in group["cases"]
    ]


@pytest.mark.parametrize(("base", "case"), refused_cases())
def test_refusals_have_file_path_value_and_remedy(tmp_path: Path, base: str, case: dict[str, str]) -> None:
    file = tmp_path / "refused.yaml"
    file.write_text(base.replace(case["replace"], case["by"]), encoding="utf-8")
    with pytest.raises(TariffFileError) as refusal:
        load_tariff(file)
    for language in ("zh", "en"):
        told = Messages(language).error(refusal.value)
        assert set(told) == {"file", "path", "value", "remedy"}
        assert all(told.values())
    assert CHINESE.search(Messages("zh").error(refusal.value)["remedy"]), refusal.value.remedy


def test_remedies_keep_what_varies() -> None:
    remedy = "table fares has the columns entry, exit"
    assert Messages("en").remedy(remedy) == remedy
    assert Messages("zh").remedy(remedy) == "表 fares 有这些列:entry, exit"
    assert Messages("zh").remedy("nobody knows this one") == "nobody knows this one"
    assert Messages("en").remedy("Extra inputs are not permitted").startswith("unknown key")


@pytest.mark.parametrize("key", ["file", *(key for registry in STEPS_OF_KIND.values() for key in registry)])
def test_every_key_of_a_file_is_told_in_both_languages(key: str) -> None:
    """A new parameter needs its sentence in tariffs/analyst/keys.yaml."""
    for common in (False, True):
        for language in ("zh", "en"):
            told = parameters_of(key, Messages(language), common=common)
            assert all(each.meaning for each in told)
            assert all(CHINESE.search(each.meaning) for each in told if language == "zh")


def test_every_column_has_a_name_in_both_languages() -> None:
    columns = {
        name for service in SERVICES.values() for kind in (service.rows, service.answers) for name in kind.SPECS
    }
    english, chinese = Messages("en"), Messages("zh")
    unnamed = {
        name
        for name in columns - {"rule", "segment", "priced", "components"}
        if chinese.name("columns", name) == name
    }
    assert unnamed == set()
    assert english.name("columns", "card_pays") == "card pays"
