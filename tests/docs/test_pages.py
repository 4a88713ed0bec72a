"""Pages lead where they say they lead, and every script says what it is for."""

import ast
import re
from pathlib import Path

import pytest

from enhanced_memory.daemon import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
SCRIPTS = [path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file() and path.suffix != ".txt"]


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have where Markdown is shown: lower case, words joined by dashes."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = 0
        while (name := f"{anchor}-{again}" if again else anchor) in found:
            again += 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    for link in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT.resolve()), f"{link} leads out of the tree"
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_pages_that_the_code_names_exist() -> None:
    """Hints and help lead to pages of the manual."""
    named: set[str] = set()
    for folder in ("client", "daemon", "mcp_server", "scripts", "systemd"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix not in (".pyc", ".zdict", ".txt", ".npy"):
                named |= set(re.findall(r"\bdocs/[\w/-]+\.md\b", file.read_text("utf-8")))
    assert "docs/operations.md" in named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_page_of_the_manual_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    left = [(ROOT / "README.md").resolve()]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in LINK.findall(page.read_text("utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.is_dir():
                left += sorted(target.glob("*.md"))
            elif target.suffix == ".md" and target.exists():
                left.append(target)
    assert {page.resolve() for page in PAGES} <= reached


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert 100 <= len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_what_it_is_for(script: Path) -> None:
    text = script.read_text("utf-8")
    if script.suffix == ".py":
        assert ast.get_docstring(ast.parse(text))
    else:
        first, second, *_ = text.splitlines()
        assert first.startswith("#!")
        assert re.match(r"# \w", second)


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.name)
def test_a_decision_says_the_question_the_choice_and_the_cost(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)
    for heading in ("## The question", "## The choice", "## What it costs"):
        assert f"\n{heading}\n" in text
