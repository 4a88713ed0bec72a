"""The units: systemd accepts them in both managers, and every hardening directive says why it stands there."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from enhanced_memory.mcp_server import door

UNITS = Path(__file__).parents[1] / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
DROP_INS = sorted(UNITS.glob("*.system.conf"))
HARDENED = [*SERVICES, *(path for path in DROP_INS if ".service." in path.name)]
RULE = "# --- hardening"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="SYSTEMD-ANALYZE IS NOT HERE: nothing but systemd itself can say whether the units are right",
)


def lay_out(folder: Path, *, system: bool) -> list[Path]:
    """Copy the units as they would be installed, their commands made to exist: `verify` looks for them."""
    command = folder / "command"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    laid: list[Path] = []
    for unit in (*SERVICES, *UNITS.glob("*.socket"), *UNITS.glob("*.timer")):
        copy = folder / unit.name
        copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={command}", unit.read_text()))
        laid.append(copy)
    if system:
        for drop_in in DROP_INS:
            beside = folder / (drop_in.name.removesuffix(".system.conf") + ".d")
            beside.mkdir()
            shutil.copy(drop_in, beside / "system.conf")
    return laid


def analyze(*arguments: str | Path, runtime: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime), "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "cat"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def hardening(unit: Path) -> Iterator[tuple[str, str]]:
    """Each directive of the hardening block, with the line before it."""
    lines = unit.read_text().splitlines()
    block = lines[next(number for number, line in enumerate(lines) if line.startswith(RULE)) :]
    for before, line in pairwise(block):
        if line and not line.startswith("#"):
            yield line, before


def unexplained(unit: Path) -> list[str]:
    return [line for line, before in hardening(unit) if not re.match(r"# \S+", before) or before.startswith(RULE)]


@needs_systemd
@pytest.mark.parametrize("manager", ["user", "system"])
def test_systemd_accepts_the_units_without_a_word(manager: str, tmp_path: Path) -> None:
    """`verify` warns of an unknown directive and of a missing unit; silence is what passes."""
    units = lay_out(tmp_path, system=manager == "system")
    said = analyze(f"--{manager}", "verify", *units, runtime=tmp_path)
    assert (said.stdout + said.stderr, said.returncode) == ("", 0)


@needs_systemd
def test_systemd_would_complain_of_a_directive_that_it_does_not_know(tmp_path: Path) -> None:
    units = lay_out(tmp_path, system=False)
    with (tmp_path / "memory-db.service").open("a") as service:
        service.write("ProtectEverything=yes\n")
    said = analyze("--user", "verify", *units, runtime=tmp_path)
    assert "ProtectEverything" in said.stderr


@needs_systemd
@pytest.mark.parametrize("name", [path.name for path in SERVICES])
def test_the_system_form_is_exposed_no_more_than_half_a_point(name: str, tmp_path: Path) -> None:
    """systemd's own measure, 0 to 10; most packaged services are above 2."""
    lay_out(tmp_path, system=True)
    said = analyze("security", "--offline=true", "--threshold=5", "--no-pager", tmp_path / name, runtime=tmp_path)
    assert said.returncode == 0, said.stdout[-400:] + said.stderr


@pytest.mark.parametrize("unit", HARDENED, ids=lambda unit: unit.name)
def test_every_hardening_directive_says_why(unit: Path) -> None:
    assert list(hardening(unit)), f"{unit.name} has no hardening block"
    assert unexplained(unit) == []


def test_a_directive_without_a_reason_is_seen(tmp_path: Path) -> None:
    unit = tmp_path / "bare.service"
    unit.write_text(f"[Service]\n{RULE} ---\nUMask=0077\n# why\nLockPersonality=yes\nPrivateTmp=yes\n")
    assert unexplained(unit) == ["UMask=0077", "PrivateTmp=yes"]


@pytest.mark.parametrize("unit", HARDENED, ids=lambda unit: unit.name)
def test_nothing_hides_from_the_daemon_who_its_peer_is(unit: Path) -> None:
    """PrivateUsers shows every foreign user as nobody."""
    assert not re.search(r"(?m)^PrivateUsers=", unit.read_text())


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_the_user_form_holds_nothing_that_would_turn_on_private_users(unit: Path) -> None:
    """Newer releases of systemd imply PrivateUsers in the user manager wherever a namespace is asked for."""
    namespaced = r"(?m)^(Private\w+|Protect\w+|ReadOnlyPaths|ReadWritePaths|InaccessiblePaths|BindPaths)="
    assert re.findall(namespaced, unit.read_text()) == []


def test_the_socket_lies_where_clients_look() -> None:
    assert "ListenStream=%t/enhanced-memory/memory-db.sock\n" in (UNITS / "memory-db.socket").read_text()


def test_the_host_s_socket_lies_where_relays_look(tmp_path: Path) -> None:
    assert "ListenStream=%t/enhanced-memory/mcp.sock\n" in (UNITS / "memory-mcp.socket").read_text()
    runtime = str(tmp_path)  # what %t stands for in the user manager
    assert door.place({"XDG_RUNTIME_DIR": runtime}) == f"{runtime}/enhanced-memory/mcp.sock"


def test_the_host_is_started_by_its_socket_and_starts_no_daemon_inside_itself() -> None:
    service = (UNITS / "memory-mcp.service").read_text()
    for line in ("ExecStart=memory-mcp host", "Requires=memory-mcp.socket", "Wants=memory-db.socket"):
        assert f"\n{line}\n" in service
    assert "[Install]" not in service


def test_the_daemon_is_started_by_its_socket_and_says_when_it_is_ready() -> None:
    service = (UNITS / "memory-db.service").read_text()
    for line in ("Type=notify", "ExecStart=memory-db serve", "Requires=memory-db.socket"):
        assert f"\n{line}\n" in service
    assert re.search(r"(?m)^WatchdogSec=\d+$", service)
    assert "[Install]" not in service


def test_a_night_when_the_machine_was_off_is_made_up() -> None:
    assert "\nPersistent=yes\n" in (UNITS / "memory-backup.timer").read_text()
