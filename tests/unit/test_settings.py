"""Settings: argument before environment before file before default, and sockets by one rule."""

import os
import socket
from dataclasses import fields
from pathlib import Path

import pytest

from enhanced_memory.client import settings as module
from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.settings import PREFIX, Settings, runtime_folder, socket_path


@pytest.fixture
def toml(home: Path) -> Path:
    """The file of settings of this home."""
    path = home / ".config" / "enhanced-memory" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def test_what_is_nearer_decides(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().agent == ""
    toml.write_text('agent = "file"\nreaders = 5\n')
    assert (Settings.load().agent, Settings.load().readers) == ("file", 5)
    monkeypatch.setenv(PREFIX + "AGENT", "environment")
    assert Settings.load().agent == "environment"
    assert Settings.load({"agent": "argument"}).agent == "argument"
    assert Settings.load({"agent": None}).agent == "environment"
    monkeypatch.setenv(PREFIX + "AGENT", "")
    assert Settings.load().agent == "file"


def test_a_file_elsewhere_is_named_by_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mine.toml").write_text('agent = "mine"')
    monkeypatch.setenv(PREFIX + "CONFIG", str(home / "mine.toml"))
    assert Settings.load().agent == "mine"
    monkeypatch.setenv(PREFIX + "CONFIG", str(home / "none.toml"))
    with pytest.raises(Invalid, match=r"none\.toml"):
        Settings.load()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense = 1", "nonsense"),
        ("agent = 5", "agent must be text"),
        ("agent = [", "cannot be read"),
        pytest.param("readers = 1.5", "readers"),
        ("readers = true", "readers"),
        ("\xff", "cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(toml: Path, text: str, says: str) -> None:
    toml.write_bytes(text.encode("latin-1"))
    with pytest.raises(Invalid, match=says) as refused:
        Settings.load()
    assert refused.value.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("READERS", "many"),
        ("READERS", "-1"),
        ("READERS", "1.5"),
        ("TIMEOUT_S", "soon"),
        ("AUTOSTART", "maybe"),
        ("TIMEOUT_S", "-0.1"),
        pytest.param("TIMEOUT_S", "nan"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(PREFIX + name, text)
    with pytest.raises(Invalid, match=PREFIX + name):
        Settings.load()


def test_an_argument_that_is_no_setting_is_refused() -> None:
    with pytest.raises(Invalid, match="no setting nonsense"):
        Settings.load({"nonsense": 1})


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), (" on ", True), ("false", False), ("OFF", False), ("0", False)]
)
def test_true_and_false_have_several_spellings(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv(PREFIX + "AUTOSTART", text)
    assert Settings.load().autostart is value


def test_every_setting_says_what_it_is_and_has_a_default_of_its_type() -> None:
    for entry in fields(Settings):
        assert entry.metadata["help"].strip(), entry.name
        assert entry.type in ("str", "int", "float", "bool") or entry.type in (str, int, float, bool)


def test_the_store_is_absolute_with_links_resolved(home: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    assert Settings.load({"store": "~/link/m.db"}).store_path == home / "real" / "m.db"


def test_a_system_services_folder_holds_its_store_unless_told_otherwise(home: Path) -> None:
    assert (
        Settings.load(environment={"STATE_DIRECTORY": "/var/lib/em:/other", "HOME": str(home)}).store
        == "/var/lib/em/memory.db"
    )
    assert Settings.load({"store": "/x.db"}, environment={"STATE_DIRECTORY": "/var/lib/em"}).store == "/x.db"


# The socket rule


@pytest.fixture
def no_system(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A machine without run folders and without a system service, whatever this one has."""
    there: dict[str, bool] = {}
    mine, is_socket = module._mine, module._is_socket
    monkeypatch.setattr(
        module, "_mine", lambda folder: mine(folder) if not folder.startswith("/run/") else there.get(folder, False)
    )
    monkeypatch.setattr(
        module, "_is_socket", lambda path: is_socket(path) if not path.startswith("/run/") else there.get(path, False)
    )
    return there


def test_sockets_lie_where_the_one_rule_says(home: Path, no_system: dict[str, bool]) -> None:
    given = home / "runtime"
    environment = {"HOME": str(home)}
    assert runtime_folder(environment) == home / ".memories" / "run"
    no_system["/run/enhanced-memory/memory-db.sock"] = True
    assert runtime_folder(environment) == Path("/run/enhanced-memory")
    no_system[f"/run/user/{os.getuid()}"] = True
    assert runtime_folder(environment) == Path(f"/run/user/{os.getuid()}/enhanced-memory")
    assert runtime_folder(environment | {"XDG_RUNTIME_DIR": str(given)}) == Path(
        f"/run/user/{os.getuid()}/enhanced-memory"
    )
    given.mkdir()
    assert runtime_folder(environment | {"XDG_RUNTIME_DIR": str(given)}) == given / "enhanced-memory"
    assert socket_path("", environment | {"XDG_RUNTIME_DIR": str(given)}).parent == given / "enhanced-memory"


def test_a_run_folder_that_is_another_users_or_a_file_is_passed_over(home: Path, no_system: dict[str, bool]) -> None:
    (home / "file").touch()
    assert runtime_folder({"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "file")}) == home / ".memories" / "run"
    if os.getuid() == 0:
        (home / "theirs").mkdir()
        os.chown(home / "theirs", 65534, 65534)
        assert (
            runtime_folder({"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "theirs")}) == home / ".memories" / "run"
        )


def test_only_a_socket_counts_as_a_system_service(home: Path) -> None:
    (home / "file").touch()
    assert not module._is_socket(str(home / "file"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "sock"))
        assert module._is_socket(str(home / "sock"))


def test_a_path_too_long_for_a_socket_is_refused_and_the_longest_that_fits_is_not() -> None:
    assert len(os.fsencode(socket_path("/" + "x" * 106))) == 107
    for path in ("/" + "x" * 107, "/" + "é" * 54):
        with pytest.raises(Invalid, match="107") as refused:
            socket_path(path)
        assert PREFIX + "SOCKET" in refused.value.hint
