"""A daemon is started when nobody answers: one, whoever asks, and apart from whoever asked."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from enhanced_memory.client import AsyncMemory, Memory, Settings
from enhanced_memory.client.errors import Denied, Invalid, StoreDamaged, StoreRefused, Unavailable, WrongStore
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine

Face = Callable[..., Any]

PROGRAM = "from enhanced_memory.client import Memory\nmemory = Memory()\n"


def program(body: str, **how: Any) -> "subprocess.Popen[bytes]":
    """A program of somebody's that uses the client."""
    return subprocess.Popen([sys.executable, "-c", PROGRAM + body], stdout=subprocess.PIPE, **how)


def daemons(home: Path) -> list[int]:
    """The daemons that serve this home's store."""
    found: list[int] = []
    for process in psutil.process_iter(["cmdline", "pid"]):
        if "enhanced_memory.daemon" in (process.info["cmdline"] or []):
            try:
                if process.environ().get("HOME") == str(home):
                    found.append(process.pid)
            except psutil.Error:
                continue
    return found


def test_twenty_programs_at_once_start_one_daemon(home: Path) -> None:
    programs = [program("print(memory.welcome.pid)") for _ in range(20)]
    pids = {one.communicate(timeout=60)[0].strip() for one in programs}
    assert [one.returncode for one in programs] == [0] * 20
    assert len(pids) == 1
    assert daemons(home) == [int(pids.pop())]


def test_what_the_first_run_makes_nobody_else_can_look_into(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PREFIX + "SOCKET", raising=False)
    monkeypatch.delenv(PREFIX + "STORE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    before = os.umask(0o022)
    try:
        with Memory(store="~/.memories/deep/memory.db", socket="~/.memories/run/memory-db.sock", timeout_s=20.0):
            made = {one: one.stat().st_mode & 0o777 for one in (home / ".memories").rglob("*") if one.is_dir()}
            [pid] = daemons(home)
        started = psutil.Process(pid)
        started.terminate()
        started.wait(20)
    finally:
        os.umask(before)
    made[home / ".memories"] = (home / ".memories").stat().st_mode & 0o777
    assert set(made.values()) == {0o700}, made


def test_settings_that_were_given_by_name_reach_the_daemon_that_is_started(home: Path) -> None:
    given = {"max_text_chars": 40, "max_name_chars": 30, "access_log": False, "embedder": "none", "log_level": "DEBUG"}
    with Memory(**given, space="mine", timeout_s=20.0) as memory:
        limits = memory.welcome.limits
        assert (limits["max_text_chars"], limits["max_name_chars"]) == (40, 30)
        [pid] = daemons(home)
        environment = psutil.Process(pid).environ()
    said = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    assert said[PREFIX + "ACCESS_LOG"] == "False"
    assert (said[PREFIX + "EMBEDDER"], said[PREFIX + "LOG_LEVEL"]) == ("none", "DEBUG")
    # What is one client's own is not everybody's.
    assert {PREFIX + "SPACE", PREFIX + "TIMEOUT_S"}.isdisjoint(said)


def test_a_daemon_is_started_with_what_its_client_means_and_not_with_what_the_environment_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + "MAX_TEXT_CHARS", "50")
    monkeypatch.setenv(PREFIX + "SERVE_USERS", "somebody")
    monkeypatch.setenv(PREFIX + "AGENT", "planner")
    settings = Settings.load({"max_text_chars": 60, "serve_users": ""})
    started = Settings.load(environment=settings.environment(dict(os.environ)))
    assert (started.max_text_chars, started.serve_users, started.agent) == (60, "", "")
    assert (started.store_path, started.socket_path) == (settings.store_path, settings.socket_path)


def test_forty_threads_at_once_start_one_daemon(home: Path) -> None:
    pids: set[int] = set()

    def ask() -> None:
        with Memory() as memory:
            pids.add(memory.welcome.pid)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert daemons(home) == list(pids)


def test_a_daemon_outlives_the_process_group_of_its_starter(home: Path, face: Face) -> None:
    starter = program("print(memory.welcome.pid, flush=True)\nimport time\ntime.sleep(60)", start_new_session=True)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    os.killpg(starter.pid, signal.SIGINT)
    os.killpg(starter.pid, signal.SIGHUP)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    assert face(autostart=False).call("get_memory_status").pid == pid
    assert psutil.Process(pid).ppid() != starter.pid
    assert os.getsid(pid) != starter.pid


def test_a_daemon_imports_nothing_from_the_folder_its_starter_stands_in(home: Path) -> None:
    trap = home / "project"
    trap.mkdir()
    for name in ("apsw", "msgpack", "random", "zstandard"):
        (trap / f"{name}.py").write_text(f"open({str(home / 'sprung')!r}, 'w')\nraise SystemExit(3)\n")
    body = "import sys\nfrom enhanced_memory.client import Memory\nprint(Memory().ping().at)"
    done = subprocess.run([sys.executable, "-P", "-c", body], cwd=trap, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    assert not (home / "sprung").exists()


def test_a_program_that_ignores_its_children_can_start_a_daemon(home: Path) -> None:
    done = program("import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nprint(memory.ping().at)")
    assert done.communicate(timeout=30)[0]
    assert done.returncode == 0


def test_a_daemon_hears_signals_that_its_starter_blocked(home: Path, face: Face) -> None:
    body = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\nprint(memory.welcome.pid)"
    pid = int(program(body).communicate(timeout=30)[0])
    daemon = psutil.Process(pid)
    daemon.terminate()
    daemon.wait(20)


def test_a_program_without_standard_streams_can_start_a_daemon(home: Path) -> None:
    body = f"import os\nfor n in (0, 1, 2): os.close(n)\nat = memory.ping().at\nopen({str(home / 'said')!r}, 'w').write(str(at))"
    done = program(body)
    done.communicate(timeout=30)
    assert done.returncode == 0
    assert (home / "said").read_text()


@pytest.mark.parametrize("kind", ["stale", "silent file"])
def test_what_lies_where_the_socket_belongs(face: Face, home: Path, kind: str) -> None:
    """A socket that nobody answers on is replaced; a file is nobody's to remove."""
    path = Settings.load().socket_path
    path.parent.mkdir(mode=0o700)
    if kind == "stale":
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(os.fspath(path))
        assert face().call("ping").at
    else:
        path.write_text("somebody's notes")
        with pytest.raises(Denied, match="is not a socket"):
            face().call("ping")
        assert path.read_text() == "somebody's notes"


def test_a_folder_that_others_may_write_is_refused(face: Face, home: Path) -> None:
    folder = Settings.load().socket_path.parent
    folder.mkdir()
    for mode in (0o777, 0o770, 0o702):
        folder.chmod(mode)
        with pytest.raises(Denied, match="written to by others"):
            face().call("ping")
    folder.chmod(0o700)
    assert face().call("ping").at


def test_a_folder_that_is_a_link_is_refused(face: Face, home: Path) -> None:
    (home / "elsewhere").mkdir(mode=0o700)
    Settings.load().socket_path.parent.symlink_to(home / "elsewhere")
    with pytest.raises(Denied):
        face().call("ping")


def test_a_path_too_long_for_a_socket_is_told(face: Face, home: Path) -> None:
    with pytest.raises(Invalid, match="107"):
        face(socket=str(home / ("s" * 120))).call("ping")


def test_without_autostart_nobody_is_started(face: Face, home: Path) -> None:
    with pytest.raises(Unavailable, match="No daemon listens"):
        face(autostart=False).call("ping")
    assert not Settings.load().socket_path.parent.exists()


def test_socket_and_store_are_their_owners_alone(memory: Memory, home: Path) -> None:
    memory.create_entities([{"name": "x", "type": "t"}])  # type: ignore[list-item]
    for path in (Settings.load().socket_path, home / "memory.db", home / "memory.db-wal", home / "memory.db.lock"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert Settings.load().socket_path.parent.stat().st_mode & 0o777 == 0o700


def test_a_daemon_of_another_store_is_refused(face: Face, memory: Memory, home: Path) -> None:
    with pytest.raises(WrongStore) as caught:
        face(store=str(home / "another.db")).call("ping")
    assert str(home / "memory.db") in str(caught.value)
    assert not (home / "another.db").exists()


def foreign(store: Path) -> None:
    store.write_text("these are my notes, not a database\n" * 10)


def others(store: Path) -> None:
    import sqlite3

    with sqlite3.connect(store) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()


def newer(store: Path) -> None:
    with Memory() as memory:
        memory.ping()
        os.kill(memory.welcome.pid, signal.SIGTERM)
        psutil.Process(memory.welcome.pid).wait(20)
    with open(store, "r+b") as file:
        file.seek(60)
        file.write((9999).to_bytes(4, "big"))


def torn(store: Path) -> None:
    store.write_bytes(b"SQLite format 3\0" + b"\0" * 20)


def folder(store: Path) -> None:
    store.mkdir()


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (foreign, StoreRefused, "not an SQLite file"),
        (others, StoreRefused, "another program"),
        (newer, StoreRefused, "schema 9999"),
        (torn, StoreDamaged, "header"),
        (folder, StoreRefused, "is not a file"),
    ],
    ids=["foreign", "another program's", "newer", "torn", "folder"],
)
def test_a_store_that_cannot_be_opened_is_told_to_whoever_waits(
    face: Face, home: Path, make: Callable[[Path], None], kind: type[Exception], says: str
) -> None:
    """At once, with the reason, instead of at the deadline; and the file is left as it was."""
    store = home / "memory.db"
    make(store)
    before = store.read_bytes() if store.is_file() else b""
    began = time.monotonic()
    with pytest.raises(kind, match=says) as caught:
        face().call("ping")
    assert time.monotonic() - began < 8
    assert getattr(caught.value, "hint", "")
    assert (store.read_bytes() if store.is_file() else b"") == before


def test_a_store_that_another_daemon_holds_is_told_to_whoever_waits(
    face: Face, memory: Memory, home: Path, monkeypatch: Any
) -> None:
    memory.ping()
    monkeypatch.setenv(PREFIX + "SOCKET", str(home / "run" / "second.sock"))
    monkeypatch.setenv(PREFIX + "CONNECT_TIMEOUT_S", "4")
    with pytest.raises(StoreRefused, match=f"process {memory.welcome.pid}"):
        face().call("ping")
    assert memory.ping().at
    assert memory.verify().ok


@pytest.mark.skipif(os.getuid() != 0, reason="root alone can act as another user")
def test_a_store_in_a_folder_of_somebody_else_is_refused_with_a_reason(home: Path) -> None:
    home.chmod(0o755)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            asyncio.run(SqliteEngine.open(Settings.load()))
        except StoreRefused as problem:
            os.write(writing, json.dumps([problem.message, problem.hint]).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading) as said:
        message, hint = json.loads(said.read())
    assert (str(home) in message, bool(hint)) == (True, True)
    assert os.listdir(home) == []


@pytest.fixture
def crowded(home: Path) -> Iterator[socket.socket]:
    """A listener with a backlog that is full."""
    path = Settings.load().socket_path
    path.parent.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    listener.listen(0)
    waiting: list[socket.socket] = []
    while True:
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        waiting.append(one)
        try:
            one.connect(os.fspath(path))
        except BlockingIOError:
            break
    yield listener
    for one in [listener, *waiting]:
        one.close()


def test_a_full_backlog_is_waited_for_no_longer_than_the_deadline(face: Face, crowded: socket.socket) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        face(connect_timeout_s=0.5).call("ping")
    assert 0.3 < time.monotonic() - began < 5


async def test_both_clients_give_up_on_a_daemon_that_hangs(crowded: socket.socket) -> None:
    """The socket is somebody's: no second daemon is started over it."""
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await AsyncMemory(connect_timeout_s=0.3).ping()
    assert Settings.load().socket_path.exists()
    assert not Settings.load().store_path.exists()
