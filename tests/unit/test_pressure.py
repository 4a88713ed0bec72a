"""How near the limit of memory is, told by files of control groups as the kernel writes them."""

import resource
from pathlib import Path

import pytest

from enhanced_memory.daemon import pressure as under
from enhanced_memory.daemon.pressure import pressure

MB = 2**20


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(under.resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    path = tmp_path / "own"
    path.write_text("0::/user.slice/memory-db.service\n")
    return path


def group(folder: Path, most: str, used: int, files: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(most + "\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {files}\n")


def test_no_limit_is_no_pressure(tmp_path: Path, own: Path) -> None:
    group(tmp_path / "user.slice" / "memory-db.service", "max", 90 * MB)
    assert pressure(tmp_path, own) is None


def test_pages_of_files_count_as_free(tmp_path: Path, own: Path) -> None:
    group(tmp_path / "user.slice" / "memory-db.service", str(100 * MB), 95 * MB, 45 * MB)
    found = pressure(tmp_path, own)
    assert found is not None
    assert (found.share, found.by) == (0.5, "MemoryMax=")


def test_the_group_above_may_be_the_nearer_limit(tmp_path: Path, own: Path) -> None:
    group(tmp_path / "user.slice" / "memory-db.service", str(100 * MB), 50 * MB)
    group(tmp_path / "user.slice", str(200 * MB), 190 * MB)
    found = pressure(tmp_path, own)
    assert found is not None
    assert found.share == 0.95


def test_a_machine_without_such_groups_is_none(tmp_path: Path, own: Path) -> None:
    assert pressure(tmp_path / "nowhere", own) is None
    own.write_text("12:memory:/old\n")
    assert pressure(tmp_path, own) is None
