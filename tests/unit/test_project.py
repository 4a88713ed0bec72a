"""The space of a project: one per repository, worktrees folded, nothing guessed outside of one."""

import subprocess
from pathlib import Path

import pytest

from enhanced_memory.client.project import project_of, space_name


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=folder, check=True, capture_output=True
    )


@pytest.fixture
def repository(home: Path) -> Path:
    """A git repository with one commit."""
    folder = home / "project"
    folder.mkdir()
    git(folder, "init")
    git(folder, "commit", "--allow-empty", "-m", "first")
    return folder


def test_every_folder_of_a_repository_is_one_project(repository: Path) -> None:
    deep = repository / "a" / "b"
    deep.mkdir(parents=True)
    assert project_of(repository) == project_of(deep) == str(repository)


def test_worktrees_of_one_repository_are_one_project(repository: Path, home: Path) -> None:
    git(repository, "worktree", "add", "--detach", str(home / "other tree"))
    assert project_of(home / "other tree") == str(repository)


def test_a_submodule_is_a_project_of_its_own(repository: Path, home: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    git(inner, "init")
    git(inner, "commit", "--allow-empty", "-m", "first")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", str(inner), "sub")
    assert project_of(repository / "sub") == str(repository / "sub")


def test_outside_a_repository_nothing_is_guessed(home: Path) -> None:
    assert project_of(home) is None
    assert space_name("auto", str(home)) == ("default", None)


def test_a_mark_that_cannot_be_read_still_marks_its_folder(home: Path) -> None:
    for text in (b"gitdir: /nowhere/at/all", b"\xff\xfe", b""):
        (home / ".git").write_bytes(text)
        assert project_of(home) == str(home)


def test_a_space_is_what_the_setting_says_and_auto_is_the_projects_over_default(repository: Path) -> None:
    assert space_name("mine", str(repository)) == ("mine", None)
    assert space_name("", str(repository)) == ("default", None)
    assert space_name("auto", str(repository)) == (f"project:{repository}", "default")


def test_without_a_folder_the_one_at_hand_counts(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert space_name("auto") == (f"project:{repository}", "default")
