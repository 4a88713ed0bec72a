"""The examples of the orchestrator, of LangChain and of the providers run, and say what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SAYS = {
    "orchestrator": [
        "words: ['tea-at-nine']", "part of a document: ['tea-at-nine']", "nearest: ['tea-at-nine']", "state: {'step': 2}",
        "deleted with its session: 2", "who did what: ['delete', 'search', 'search', 'search', 'create']",
    ],
    "memory_provider": [
        "nearest: tea", "by words: ['cat']", "changed: Ada likes black tea", "deleted: True", "left: ['cat']",
    ],
    "langgraph_store": [
        "history: ['I like green tea', 'Noted.']", "found: ['drink']", "filtered: ['drink']", "namespaces: [('users', 'ada')]",
    ],
    "memorizz_agent": ["history: [('user', 'I like green tea'), ('user', 'What do I like?')]", "forgotten: True"],
}  # fmt: skip
NEEDS = {"langgraph_store": ("langgraph", "langchain"), "memorizz_agent": ("memorizz", "memorizz")}


@pytest.mark.parametrize("name", list(SAYS))
def test_the_example_runs_and_says_what_it_promises(name: str, there: str) -> None:
    package, extra = NEEDS.get(name, ("enhanced_memory", ""))
    if find_spec(package) is None:
        pytest.skip(f"LEFT OUT: the extra {extra} is not installed (scripts/test --adapters)")
    program = ROOT / "examples" / f"{name}.py"
    environment = os.environ | {"ENHANCED_MEMORY_CONNECT_TIMEOUT_S": "120", "ENHANCED_MEMORY_TIMEOUT_S": "120"}
    ran = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert [
        line for line in ran.stdout.splitlines() if line.split(":")[0] in {one.split(":")[0] for one in SAYS[name]}
    ] == SAYS[name]
