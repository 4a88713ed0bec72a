"""The operation that CONTRIBUTING.md adds, step by step, added to a copy of the package: it works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from enhanced_memory.daemon import ROOT

PROGRAM = """
from enhanced_memory.client import Memory
from enhanced_memory.client.values import EntityInput

with Memory() as memory:
    memory.create_entities(
        [EntityInput("a", "x", tags=["t", "u"]), EntityInput("b", "x", tags=["t"]), EntityInput("c", "x", tags=["v"])]
    )
    memory.delete_entities(["c"])
    print(memory.count_tags().counts, memory.count_tags(limit=1).counts)
    memory.create_space("over", "default")
    memory.switch("over")
    memory.untag(["a"], ["t"])
    print(memory.count_tags().counts)
"""


def steps() -> list[str]:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    return re.findall(r"^```(?:python|sql)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def put(file: Path, text: str, before: str | None = None) -> None:
    """Add `text` at the end of a file, or in front of a mark that it must have."""
    old = file.read_text("utf-8")
    if before is None:
        file.write_text(f"{old}\n\n{text}", "utf-8")
        return
    assert before in old
    file.write_text(old.replace(before, f"{text}\n{before}", 1), "utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, copied to where it can be changed."""
    package = tmp_path / "enhanced_memory"
    package.mkdir()
    for name in ("client", "daemon"):
        shutil.copytree(ROOT / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "schema.sql", package)
    return package


def test_the_operation_that_contributing_adds_works(copy: Path, home: Path) -> None:
    declared, lent, query, verb, handler = steps()
    put(copy / "client" / "operations" / "entities.py", declared)
    put(copy / "client" / "operations" / "__init__.py", lent, before="    create_relations = ")
    put(copy / "daemon" / "store" / "sqlite" / "queries.sql", query)
    put(copy / "daemon" / "store" / "known.py", verb.partition("\n")[2], before="    def _hidden(")
    # The reader adds the names to the import that is there.
    wanted = "from enhanced_memory.client.operations.entities import CountTags, TagCounts"
    put(copy / "daemon" / "handlers" / "reading.py", f"{wanted}\n\n\n{handler}")
    environment = os.environ | {"PYTHONPATH": str(copy.parent)}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, cwd=home, env=environment
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["{'t': 2, 'u': 1} {'t': 2}", "{'t': 1, 'u': 1}"]
