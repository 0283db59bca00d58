"""The house rules that tools do not check: one home per outside package, no stray idioms, every kernel cached."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("card_io", "tariffs", "clearing")

HOMES = {
    "duckdb": ("clearing/store.py",),
    "prometheus_client": ("clearing/metrics.py",),
    "typer": ("clearing/cli/", "tariffs/cli.py", "card_io/cli.py"),
    "rich": (
        "clearing/cli/",
        "clearing/explain/terminal.py",
        "tariffs/cli.py",
        "card_io/cli.py",
        "card_io/live.py",
    ),
    "mt940": ("clearing/bank/statements.py",),
    "jinja2": ("clearing/report/",),
    "typst": ("clearing/report/typeset.py",),
    "Crypto": ("card_io/mac.py",),
    "cryptography": ("card_io/keys/",),
    "xlsxwriter": ("clearing/corrections/sheet.py", "clearing/report/sheets.py"),
    "openpyxl": ("clearing/corrections/sheet.py",),
    "smartcard": ("card_io/readers/pcsc.py",),
    "pkcs11": ("card_io/sam/pkcs11.py",),
    "llvmlite": ("clearing/mac/llvm.py", "clearing/kernel_cache.py"),
    "yaml": ("card_io/delivery/profile.py", "tariffs/strict_yaml.py", "clearing/config.py", "clearing/"),
}
"""Where each package with an outside face may be imported (a folder ends with a slash)."""


@functools.cache
def python_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@functools.cache
def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", sorted(HOMES))
def test_each_outside_package_has_one_home(package: str) -> None:
    strangers = [
        name
        for path in python_files()
        if package in imports_of(path) and not (name := str(path.relative_to(ROOT))).startswith(HOMES[package])
    ]
    assert strangers == []


def test_only_pricing_imports_tariffs() -> None:
    """Errors of the package may be named at the command line; prices are asked for in one place."""
    importers = {
        str(path.relative_to(ROOT)) for path in (ROOT / "clearing").rglob("*.py") if "tariffs" in imports_of(path)
    }
    homes = ("clearing/pricing/", "clearing/explain/", "clearing/cli/")
    assert {name for name in importers if not name.startswith(homes)} == set()


def test_simulator_knows_no_stage() -> None:
    """The simulator is a witness: it may use keys, MAC generation and settings, never the stages it tests."""
    names = "checks|pricing|posting|decide|replay|engine|intake|resolve|settlement|identity"
    stages = re.compile(rf"from clearing(?:\.| import )(?:{names})\b")
    for path in (ROOT / "clearing" / "simulate").rglob("*.py"):
        text = path.read_text("utf-8")
        assert not stages.search(text), path
        assert "tariffs" not in imports_of(path), path


def test_auditor_imports_nothing_of_the_project() -> None:
    for path in (ROOT / "tests" / "auditor").rglob("*.py"):
        if not path.name.startswith("test_"):
            assert not imports_of(path) & set(PACKAGES), path


def test_no_function_outgrows_a_screen() -> None:
    """70 lines, as a ratchet: the list may only shrink."""
    longer = {
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 70
    }
    assert longer == set()


def test_no_leftovers() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "X" * 3, "NotImplemented" + "Error")  # split, so that this file passes too
    banned = re.compile(rf"\b({'|'.join(words)})\b|(?<![\w.])print\(")
    for path in python_files():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assert not banned.search(line), f"{path}:{number}: {line.strip()}"


def test_register_classes_are_the_tariffs_classes() -> None:
    """The sidecar's class codes are those of ``tariffs.CardClass``, which clearing does not import there."""
    from card_io.delivery.classes import FareClass
    from clearing.resolve import SIDECAR_CLASS
    from tariffs import CardClass

    assert SIDECAR_CLASS[FareClass.HALF] == CardClass.HALF
    assert SIDECAR_CLASS[FareClass.FREE] == CardClass.FREE
    assert SIDECAR_CLASS[FareClass.NONE] == CardClass.NONE
    assert SIDECAR_CLASS[FareClass.UNFLAGGED_TRANSFER] == CardClass.ADULT
