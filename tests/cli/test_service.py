"""stop, doctor and what happens where no daemon is, or where what is there is wrong."""

import os
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enhanced_memory.client.cli import surroundings
from enhanced_memory.client.launch import dial
from enhanced_memory.client.settings import Settings

from .conftest import Ctl, eventually


def findings(ctl: Ctl, *argv: str) -> tuple[int, dict[str, dict[str, str]]]:
    ran = ctl("doctor", "--json", *argv)
    return ran.code, {each["check"]: each for each in ran.json["findings"]}


def listening(path: Path) -> bool:
    peer = dial(path, 2)
    if peer is None:
        return False
    peer.close()
    return True


def ended(pid: int) -> bool:
    """Whether the process is no more; its entry may still wait for init to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith(("Z", "X"))
    except OSError:
        return True


# Where no daemon is


def test_a_question_where_none_may_be_started_ends_with_3(ctl: Ctl) -> None:
    ran = ctl("status", "--no-start", "--json")
    assert ran.code == 3
    assert ran.json["error"]["code"] == "unavailable"
    assert ran.json["error"]["hint"]
    assert ran.err.startswith("error: No daemon listens")
    assert "\nhint: " in ran.err


def test_stop_without_a_daemon_says_so_and_starts_none(ctl: Ctl, home: Path) -> None:
    ran = ctl("stop")
    assert (ran.code, ran.out) == (0, "No daemon runs.\n")
    assert ctl("stop", "--json").json["stopped"] is False
    assert not (home / "run").exists()
    assert not (home / "memory.db").exists()


def test_doctor_on_an_empty_home_finds_nothing_wrong_and_makes_nothing(ctl: Ctl, home: Path) -> None:
    code, found = findings(ctl)
    assert code == 0
    assert not [each for each in found.values() if each["state"] == "wrong"]
    assert {
        "python",
        "apsw",
        "sqlite-vec",
        "settings",
        "store folder",
        "store",
        "disk",
        "clock",
        "socket",
        "daemon",
        "ownership",
    } <= set(found)
    assert list(home.iterdir()) == []


def test_doctor_takes_the_build_that_can_encrypt_for_the_driver_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    from enhanced_memory.client.cli import doctor

    def version(name: str) -> str:
        if name == "apsw":
            raise doctor.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(doctor.metadata, "version", version)
    look = doctor._packages  # pyright: ignore[reportPrivateUsage]
    assert [each.state for each in look()] == ["ok"]
    monkeypatch.setattr(doctor, "STAND_INS", {})
    assert [(each.state, "apsw" in each.says) for each in look()] == [("wrong", True)]


def test_doctor_tells_a_person_how_to_mend(ctl: Ctl, home: Path) -> None:
    (home / "memory.db").write_bytes(b"something else entirely")
    ran = ctl("doctor")
    assert ran.code == 1
    assert "WRONG" in ran.out
    assert f"store: mv {home}/memory.db" in ran.out
    assert ran.out.endswith("Something is wrong: see above.\n")


def test_doctor_names_a_file_in_the_socket_s_place(ctl: Ctl, home: Path) -> None:
    (home / "run").mkdir(mode=0o700)
    (home / "run" / "db.sock").write_text("")
    code, found = findings(ctl)
    assert code == 1
    assert found["socket"]["state"] == "wrong"
    assert found["socket"]["mend"].startswith(f"mv {home}/run/db.sock")


def test_doctor_names_a_stale_socket(ctl: Ctl, home: Path) -> None:
    (home / "run").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home / "run" / "db.sock"))
    code, found = findings(ctl)
    assert code == 0
    assert found["socket"]["state"] == "warning"
    assert "stale" in found["socket"]["says"]
    assert found["socket"]["mend"] == f"rm {home}/run/db.sock"


def test_doctor_names_a_socket_folder_that_others_may_write_in(ctl: Ctl, home: Path) -> None:
    (home / "run").mkdir()
    (home / "run").chmod(0o777)
    code, found = findings(ctl)
    assert code == 1
    assert found["socket folder"]["mend"] == f"chmod go-w {home}/run"


def test_doctor_names_a_store_that_others_can_read(ctl: Ctl, home: Path) -> None:
    (home / "memory.db").write_bytes(b"")
    (home / "memory.db").chmod(0o644)
    _, found = findings(ctl)
    assert found["store"]["mend"] == f"chmod 600 {home}/memory.db"


@pytest.mark.parametrize(("at", "word"), [(60, "a newer one has written it"), (68, "another program's")])
def test_doctor_names_a_store_that_is_not_for_this_program(ctl: Ctl, home: Path, at: int, word: str) -> None:
    """No daemon runs that could say so: it would refuse to start."""
    assert ctl("add", "Ada", "--type", "person").code == 0
    assert ctl("stop").code == 0
    store = home / "memory.db"
    held = bytearray(store.read_bytes())
    held[at : at + 4] = b"\0\0\0\x63"
    store.write_bytes(held)
    code, found = findings(ctl)
    assert (code, found["store"]["state"]) == (1, "wrong")
    assert word in found["store"]["says"]


def test_doctor_tells_a_disk_that_is_mounted_read_only_from_wrong_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.statvfs(tmp_path)
    flags = found.f_flag | os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*found[:8], flags, found[9])))
    [told] = surroundings.folder_findings("store folder", tmp_path, private=True)
    assert (told.state, "read-only" in told.says, "remount,rw" in told.mend) == ("wrong", True, True)


def test_doctor_tells_of_backups_where_no_daemon_runs(ctl: Ctl, home: Path) -> None:
    def told() -> tuple[str, str]:
        (found,) = (one for one in ctl("doctor", "--json").json["findings"] if one["check"] == "backup")
        return found["state"], found["says"]

    folder = Path(Settings.load().backup_folder).expanduser()
    store = Settings.load().store_path
    store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    store.touch(mode=0o600)
    assert told() == ("warning", f"none lies in {folder}")
    folder.mkdir()
    for name in ("memory_20200101_000000.db.zst", "memory_20210203_040506.db", "memory_20209901_000000.db", "other"):
        (folder / name).touch()
    state, says = told()
    assert (state, "2021-02-03" in says) == ("warning", True)
    (folder / f"memory_{datetime.now(UTC):%Y%m%d_%H%M%S}.db.zst").touch()
    assert told()[0] == "ok"


def test_doctor_names_a_clock_that_went_back(ctl: Ctl, home: Path) -> None:
    store = home / "memory.db"
    store.write_bytes(b"")
    store.chmod(0o600)
    os.utime(store, (4_000_000_000, 4_000_000_000))
    code, found = findings(ctl)
    assert code == 1
    assert "timedatectl" in found["clock"]["mend"]


def test_doctor_names_a_wrong_setting_and_goes_on_without_it(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENHANCED_MEMORY_READERS", "many")
    code, found = findings(ctl)
    assert code == 1
    assert "ENHANCED_MEMORY_READERS" in found["settings"]["says"]
    assert found["apsw"]["state"] == "ok"


def test_doctor_names_a_socket_path_that_is_too_long(ctl: Ctl, home: Path) -> None:
    code, found = findings(ctl, "--socket", str(home / ("x" * 120)))
    assert code == 1
    assert any("a Unix socket may have" in each["says"] for each in found.values())


def test_doctor_names_a_listener_that_does_not_answer(ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENHANCED_MEMORY_CONNECT_TIMEOUT_S", "0.3")
    (home / "run").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(home / "run" / "db.sock"))
        mute.listen(10)
        code, found = findings(ctl)
        assert ctl("stop").code == 3
    assert code == 1
    assert found["daemon"]["state"] == "wrong"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_doctor_names_a_folder_that_cannot_be_written_to(ctl: Ctl, home: Path) -> None:
    home.chmod(0o500)
    try:
        code, found = findings(ctl)
    finally:
        home.chmod(0o700)
    assert code == 1
    assert found["store folder"]["state"] == "wrong"


def test_doctor_names_a_process_that_holds_the_store_behind_the_daemon_s_back(ctl: Ctl, home: Path) -> None:
    hold = (
        "import apsw, sys; store = apsw.Connection(sys.argv[1]);"
        "list(store.execute('pragma journal_mode=wal; create table t(a)'));"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(home / "memory.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        code, found = findings(ctl)
        holder.communicate(b"")
    assert code == 1
    assert f"pid {holder.pid}" in found["ownership"]["says"]
    assert f"kill {holder.pid}" in found["ownership"]["mend"]


# With a daemon


def test_the_first_question_starts_a_daemon_and_stop_ends_it(ctl: Ctl, home: Path) -> None:
    path = home / "run" / "db.sock"
    pid = ctl("status", "--json").json["pid"]
    assert listening(path)
    ran = ctl("stop", "--json")
    assert ran.code == 0
    assert (ran.json["stopped"], ran.json["pid"]) == (True, pid)
    assert not listening(path)
    assert ended(pid)
    assert ctl("stop").out == "No daemon runs.\n"


def test_what_was_remembered_is_there_after_a_stop(ctl: Ctl) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    assert ctl("stop").code == 0
    ran = ctl("show", "Ada", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["entities"][0]["observations"] == ["likes tea"]


def test_doctor_finds_a_running_daemon_well(ctl: Ctl) -> None:
    pid = ctl("status", "--json").json["pid"]
    code, found = findings(ctl)
    assert code == 0
    assert f"pid {pid}" in found["socket"]["says"]
    assert found["daemon"]["state"] in ("ok", "warning")
    assert f"pid {pid}" in found["daemon"]["says"]
    assert found["ownership"]["says"] == f"pid {pid} holds the store"


def test_doctor_finds_the_daemon_of_another_store(ctl: Ctl, home: Path) -> None:
    ctl("status")
    code, found = findings(ctl, "--store", str(home / "other.db"))
    assert code == 1
    assert "serves" in found["daemon"]["says"]


def test_a_daemon_of_another_store_is_not_asked_and_not_stopped(ctl: Ctl, home: Path) -> None:
    ctl("status")
    for argv in (["status", "--json"], ["stop", "--json"]):
        ran = ctl(*argv, "--store", str(home / "other.db"))
        assert ran.code == 3
        assert ran.json["error"]["code"] == "wrong_store"
    assert ctl("status", "--no-start").code == 0


def test_a_file_that_is_not_ours_cannot_be_used_and_stays_as_it_was(
    ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENHANCED_MEMORY_CONNECT_TIMEOUT_S", "5")
    (home / "memory.db").write_bytes(b"something else entirely")
    ran = ctl("status", "--json")
    assert ran.code in (3, 5)
    assert ran.json["error"]["message"]
    assert (home / "memory.db").read_bytes() == b"something else entirely"


def test_status_tells_the_same_to_people_and_programs(ctl: Ctl) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    status = ctl("status", "--json").json
    assert status["total_entities"] == 1
    assert status["by_type"] == {"person": 1}
    said = ctl("status").out
    assert "1 here, 1 in all" in said
    assert "person 1" in said
    assert status["store"] in said


def test_verify_finds_a_sound_store_sound(ctl: Ctl) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    for more in ([], ["--quick"]):
        ran = ctl("verify", "--json", *more)
        assert ran.code == 0
        assert ran.json["ok"] is True
        assert ran.json["problems"] == []
    assert ctl("verify").out.startswith("All is well")


def test_verify_finds_damage_and_ends_with_1(ctl: Ctl, home: Path) -> None:
    for number in range(300):
        if number % 100 == 0:
            ctl("add", f"Entity {number}", "--type", "thing", "x" * 2000)
    ctl("stop")
    store = home / "memory.db"
    content = bytearray(store.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 40 * 4096] = os.urandom(len(content[middle : middle + 40 * 4096]))
    store.write_bytes(content)
    ran = ctl("verify", "--json", "--timeout", "20")
    assert ran.code in (1, 3, 5)
    assert ran.code != 1 or ran.json["problems"]


def test_a_backup_goes_into_the_folder_named_and_is_printed_first(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    target = home / "copies"
    target.mkdir()
    ran = ctl("backup", "--to", str(target))
    assert ran.code == 0
    path = Path(ran.out.splitlines()[0])
    assert path.parent == target
    assert path.is_file()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_backup_without_a_place_goes_where_the_setting_says(ctl: Ctl, home: Path) -> None:
    ran = ctl("backup", "--json")
    assert ran.code == 0
    assert Path(ran.json["path"]).parent == home / "backups"
    assert len(ran.json["sha256"]) == 64
    assert eventually(lambda: ctl("status", "--json").json["last_backup"] is not None)


def test_a_backup_to_a_relative_place_is_made_beside_the_caller(ctl_process: Ctl, home: Path) -> None:
    ran = ctl_process("backup", "--to", "copy.db", "--json")
    assert ran.code == 0
    assert ran.json["path"].startswith(str(home / "copy.db"))


def test_a_backup_does_not_replace_a_file(ctl: Ctl, home: Path) -> None:
    (home / "mine").write_text("mine")
    ran = ctl("backup", "--to", str(home / "mine"))
    assert ran.code == 4
    assert (home / "mine").read_text() == "mine"


def test_reindex_waits_for_its_end_and_says_so(ctl: Ctl) -> None:
    ctl("add", "tea", "--type", "drink", "green leaves")
    ran = ctl("reindex", "--json")
    assert ran.code == 0
    assert (ran.json["state"], ran.json["what"]) == ("done", "all")
    assert ctl("reindex", "words").out.strip().endswith("was reindexed.")
    assert "tea" in ctl("search", "green").out


def test_reindex_may_be_left_to_the_background_and_the_status_tells_of_it(ctl: Ctl) -> None:
    ctl("add", "tea", "--type", "drink")
    ran = ctl("reindex", "meaning", "--no-wait", "--json")
    assert ran.json["state"] in ("running", "done")
    assert eventually(lambda: ctl("status", "--json").json["reindexing"]["state"] == "done")


def test_reindex_to_a_model_that_is_not_there_says_what_is_missing(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENHANCED_MEMORY_EMBEDDER", "/nowhere/model")
    ran = ctl("reindex", "meaning")
    assert ran.code != 0
    assert "/nowhere/model" in ran.err
