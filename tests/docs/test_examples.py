"""The examples of the manual run, in a memory of their own, and print what the page says they print.

A block that begins with ```python test or ```sh test is run; the blocks of one language on one page are one program, as
a reader would type them. A block ```text output says what the one before it prints.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import ROOT

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SEPARATOR = {"python": "\nprint('\\x00', end='')\n", "sh": "\nprintf '\\0'\n"}
RUN = {"python": [sys.executable, "-c"], "sh": ["bash", "-euo", "pipefail", "-c"]}


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(found[1], found[2]) for found in BLOCK.finditer(page.read_text("utf-8"))]


def examples(page: Path, language: str) -> list[tuple[str, str | None]]:
    """The programs of a page, each with what it is said to print."""
    every = blocks(page)
    following = [*every[1:], ("", "")][: len(every)]
    return [
        (text, after if mark == "text output" else None)
        for (info, text), (mark, after) in zip(every, following, strict=True)
        if info == f"{language} test"
    ]


RUNNABLE = [(page, language) for page in PAGES for language in RUN if examples(page, language)]


def test_the_pages_that_teach_have_examples() -> None:
    assert {(page.name, language) for page, language in RUNNABLE} >= {
        ("README.md", "python"),
        ("README.md", "sh"),
        ("protocol.md", "python"),
        ("protocol.md", "sh"),
    }


@pytest.mark.parametrize(("page", "language"), RUNNABLE, ids=[f"{page.name}-{language}" for page, language in RUNNABLE])
def test_examples_run_and_print_what_the_page_says(page: Path, language: str, memory: Memory, home: Path) -> None:
    memory.ping()
    parts = examples(page, language)
    program = SEPARATOR[language].join(text for text, _ in parts)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        [*RUN[language], program], capture_output=True, text=True, timeout=120, cwd=home, env=environment
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.split("\0")
    assert len(printed) == len(parts)
    for (_, expected), found in zip(parts, printed, strict=True):
        if expected is not None:
            assert found == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_data_in_examples_can_be_read(page: Path) -> None:
    for language, text in blocks(page):
        if language == "json":
            json.loads(text)
        elif language == "toml":
            tomllib.loads(text)


def test_the_example_file_is_taken_once_its_lines_are_no_comments(tmp_path: Path) -> None:
    """Every default in it is a value that the setting accepts, and is its default."""
    (text,) = (text for language, text in blocks(ROOT / "docs" / "configuration.md") if language == "toml")
    file = tmp_path / "config.toml"
    file.write_text(re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE))
    assert len(tomllib.loads(file.read_text())) == len(Settings.__dataclass_fields__)
    assert Settings.load(environment={"ENHANCED_MEMORY_CONFIG": str(file)}) == Settings()
