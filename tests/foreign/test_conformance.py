"""The conformance suite of the protocol, against fixed tools behind our own transport, tokens and subscriptions."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Node = Callable[..., subprocess.CompletedProcess[str]]
Serving = Any
"""A process that serves: its `url`, and `token(name)`."""

BASELINE = Path(__file__).with_name("conformance_baseline.yml")
CHECKS = 44
"""That pass in version 0.1.16. More is better; fewer is a check that was lost."""


def test_the_suite_finds_nothing_that_is_not_known(node: Node, fixture_server: Serving, tmp_path: Path) -> None:
    """What is known not to hold stands in the baseline, with its reason; what holds again must leave it."""
    ran = node(
        "@modelcontextprotocol/conformance/dist/index.js",
        "server", "--url", fixture_server.url, "--suite", "all",
        "--expected-failures", str(BASELINE), "-o", str(tmp_path / "results"),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    found = re.search(r"Total: (\d+) passed, (\d+) failed", ran.stdout)
    assert found is not None, ran.stdout[-2000:]
    assert int(found[1]) >= CHECKS
    assert int(found[2]) == 0
