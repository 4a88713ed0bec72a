"""What follows from the code is in the manual, and is what the code says today."""

import subprocess
import sys
from dataclasses import fields

import pytest

from enhanced_memory.client import errors
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.request import REQUESTS, method
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import ROOT, VERSION
from enhanced_memory.daemon.kinds import KINDS
from enhanced_memory.mcp_server.profiles import CORE

OPERATIONS = [name for name, value in vars(Operations).items() if isinstance(value, method)]


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def codes(kind: type[errors.Error] = errors.Error) -> list[str]:
    return [kind.code, *(code for below in kind.__subclasses__() for code in codes(below))]


def test_generated_parts_are_fresh() -> None:
    """`make docs` would change nothing."""
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_docs.py", "--check"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, f"run `make docs`: {ran.stdout}{ran.stderr}"


def test_every_operation_is_offered_to_clients() -> None:
    assert sorted(OPERATIONS) == sorted(REQUESTS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_an_entry_with_all_its_parameters(name: str) -> None:
    assert f"\n### {name}\n" in page("docs/operations.md")
    entry = page("docs/operations.md").split(f"\n### {name}\n")[1].split("\n##")[0]
    for field in REQUESTS[name].__struct_encode_fields__:
        assert f"| `{field}` |" in entry


@pytest.mark.parametrize("name", [one.name for one in fields(Settings)])
def test_a_setting_has_a_row_and_stands_in_the_example_file(name: str) -> None:
    assert f"| `{name}` |" in page("docs/configuration.md")
    assert f"\n# {name} = " in page("docs/configuration.md")


@pytest.mark.parametrize("code", codes())
def test_an_error_code_has_a_row(code: str) -> None:
    assert f"`{code}` | `" in page("docs/protocol.md")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_row(kind: str) -> None:
    assert f"| `{kind}` |" in page("docs/kinds.md")


@pytest.mark.parametrize("tool", [tool.name for tool in CORE.tools])
def test_a_tool_has_a_row(tool: str) -> None:
    assert f"| `{tool}` |" in page("docs/running.md")


def test_the_version_has_an_entry_in_the_changelog() -> None:
    assert f"\n## {VERSION} " in page("CHANGELOG.md")
