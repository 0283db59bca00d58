"""The cookbook keeps its word: its files are written, its commands run, its answers compared.

``COOKBOOK=rewrite`` puts the answers of this run into the document, to be read before they are committed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tariffs import cli
from tariffs.analyst.messages import Messages
from tariffs.analyst.services import SERVICES
from tariffs.vocabulary import STEPS_OF_KIND

COOKBOOK = Path(__file__).resolve().parents[3] / "docs" / "tariff-cookbook.md"
FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIMING = re.compile(r"[\d,]+ ms")


def answers(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with what stands below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, answer = part.partition("\n")
        yield command, answer


def run(command: str) -> str:
    """What a command answers; times are written as `n ms`."""
    program, *words = shlex.split(command)
    if program == "cat":
        return Path(words[0]).read_text(encoding="utf-8")
    if program == "sha256sum":
        return f"{hashlib.sha256(Path(words[0]).read_bytes()).hexdigest()}  {words[0]}\n"
    assert program == "tariff", command
    result = CliRunner().invoke(cli.app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), command
    return re.sub(r"[ \t]+$", "", TIMING.sub("n ms", result.output), flags=re.MULTILINE)


def write(name: str, content: str) -> None:
    """A file of the document, or one made from another by a change of one line."""
    target, _, source = name.partition(" from ")
    if source:
        [old] = re.findall(r"^-(.*\n)", content, re.MULTILINE)
        [new] = re.findall(r"^\+(.*\n)", content, re.MULTILINE)
        text = Path(source).read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        content = text.replace(old, new)
    Path(target).write_text(content, encoding="utf-8")


def test_every_answer_is_the_program_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("stdout", "stderr"):
        plain = Console(width=cli.WIDTH, highlight=False, markup=False, stderr=name == "stderr", color_system=None)
        monkeypatch.setattr(cli, name, plain)

    def worked(found: re.Match[str]) -> str:
        language, name, content = found.groups()
        if language != "console":
            write(name, content)
            return found[0]
        return "```console\n" + "".join(f"$ {command}\n{run(command)}" for command, _ in answers(content)) + "```"

    written = COOKBOOK.read_text(encoding="utf-8")
    worked_out = FENCE.sub(worked, written)
    if os.environ.get("COOKBOOK") == "rewrite":
        COOKBOOK.write_text(worked_out, encoding="utf-8")
    assert written == worked_out


@pytest.mark.parametrize("kind", STEPS_OF_KIND)
def test_every_column_of_rows_is_in_the_tables(kind: str) -> None:
    """With its Chinese name, whether it may be empty, and which steps read it."""
    text = COOKBOOK.read_text(encoding="utf-8")
    table = text.split(f"| {kind} | 中文 | type | may be empty | read by |\n")[1].split("\n\n")[0]
    told = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert told | {"date"} == {*SERVICES[kind].rows.SPECS, "date"}


@pytest.mark.parametrize("kind", STEPS_OF_KIND)
def test_every_step_type_is_in_the_glossary(kind: str) -> None:
    text = COOKBOOK.read_text(encoding="utf-8")
    chinese = Messages("zh")
    missing = {key for key in STEPS_OF_KIND[kind] if f"| `{key}` | {chinese.name('steps', key)} |" not in text}
    assert missing == set()
    assert {key for key in STEPS_OF_KIND[kind] if chinese.name("steps", key) == key} == set()
