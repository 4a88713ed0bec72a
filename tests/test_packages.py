"""What ships: every folder of the package is listed, every file in it goes along, every command has its function."""

import ast
import os
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
SHIPPED: list[str] = SETUPTOOLS["package-data"]["*"]
NOT_PACKAGES = {"tests", "bench", "docs", "scripts", "build", "dist", "examples", "__pycache__"}


def package_folders(root: Path) -> Iterator[Path]:
    """The folders of the package below `root`, itself included: those that hold something that ships."""
    for place, folders, files in os.walk(root):
        folder = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and not name.endswith(".egg-info")
            and not (folder == root and name in NOT_PACKAGES)
            and name != "__pycache__"
            and not (folder / name / "pyvenv.cfg").exists()
        )
        if any(ships(name) for name in files):
            yield folder


def ships(name: str) -> bool:
    return name.endswith(".py") or any(fnmatch(name, pattern) for pattern in SHIPPED)


def dotted(folder: Path, root: Path) -> str:
    return ".".join(("enhanced_memory", *folder.relative_to(root).parts))


def module_file(dotted_name: str) -> Path:
    return ROOT.joinpath(*dotted_name.split(".")[1:]).with_suffix(".py")


def test_the_list_of_packages_is_the_folders_of_the_tree() -> None:
    """A folder that is not listed is missing from the wheel; one that is listed but empty breaks the build."""
    assert sorted(SETUPTOOLS["packages"]) == sorted(dotted(folder, ROOT) for folder in package_folders(ROOT))


def test_a_folder_that_was_forgotten_is_seen(tmp_path: Path) -> None:
    for path in ("schema.sql", "client/new/thing.py", "tests/unit/test_it.py", ".venv/a.py", "client/__pycache__/a.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = [dotted(folder, tmp_path) for folder in package_folders(tmp_path)]
    assert found == ["enhanced_memory", "enhanced_memory.client.new"]


def test_whatever_lies_in_a_package_ships() -> None:
    left_out = [
        str(path.relative_to(ROOT))
        for folder in package_folders(ROOT)
        if folder != ROOT
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".") and not ships(path.name)
    ]
    assert left_out == []


def test_no_module_lies_at_the_root() -> None:
    """It would ship, as a module of everybody's environment's package that nobody meant to write."""
    assert [path.name for path in ROOT.glob("*.py")] == []


@pytest.mark.parametrize("package", ["client", "daemon", "mcp_server"])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("command", sorted(PROJECT["project"]["scripts"]))
def test_every_command_has_its_function(command: str) -> None:
    module, function = PROJECT["project"]["scripts"][command].split(":")
    tree = ast.parse(module_file(module).read_text())
    assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("name", ["fastmcp", "mcp"])
def test_what_moves_fast_is_pinned_exactly(name: str) -> None:
    pins = [line for line in PROJECT["project"]["dependencies"] if line.startswith(f"{name}==")]
    assert len(pins) == 1


def test_the_test_extra_is_part_of_the_dev_extra() -> None:
    assert "enhanced-memory[test]" in PROJECT["project"]["optional-dependencies"]["dev"]
