"""`memoryctl install-service`: what is written and run, said before it is done; and nothing of somebody else's is touched.

systemctl is a stand-in here, which notes what it is asked; tests/lab does all of it with a real systemd.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Ctl


@pytest.fixture
def systemctl(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that writes its arguments into a file."""
    (home / "bin").mkdir()
    said = home / "systemctl.said"
    program = home / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")
    return said


def test_a_dry_run_says_everything_and_does_nothing(ctl: Ctl, home: Path, systemctl: Path) -> None:
    ran = ctl("install-service", "--dry-run", "--json")
    assert (ran.code, ran.json["done"]) == (0, False)
    folder = home / ".config" / "systemd" / "user"
    assert {Path(path).name for path in ran.json["files"] if Path(path).parent == folder} >= {
        "memory-db.socket", "memory-db.service", "memory-mcp.socket", "memory-mcp.service", "memory-backup.timer", "memory-backup.service",
        "memory-embed.socket", "memory-embed@.service",
    }  # fmt: skip
    assert not folder.exists()
    assert not systemctl.exists()


def test_what_is_installed_is_this_installation_and_is_taken_away_whole(ctl: Ctl, home: Path, systemctl: Path) -> None:
    ran = ctl("install-service", "--json")
    assert ran.code == 0, ran.err
    folder = home / ".config" / "systemd" / "user"
    assert "bin:/usr/local/bin" in (folder / "memory-db.service.d" / "where.conf").read_text()
    assert not list(folder.glob("*/system.conf"))
    assert systemctl.read_text().splitlines() == [
        "--user show --property=Version",
        "--user daemon-reload",
        "--user enable --now memory-db.socket memory-mcp.socket memory-embed.socket memory-backup.timer",
    ]
    assert any("ENHANCED_MEMORY_STORE" in note for note in ran.json["notes"]), "the service would serve another store"
    assert ctl("install-service").code == 0, "twice is as good as once"
    own = folder / "memory-db.service.d" / "mine.conf"
    own.write_text("[Service]\nNice=5\n")
    assert ctl("uninstall-service").code == 0
    assert [path for path in folder.rglob("*") if path.is_file()] == [own]
    assert "disable --now memory-db.socket" in systemctl.read_text()
    assert "no units of ours" in ctl("uninstall-service").out


def test_a_unit_of_somebody_else_is_not_replaced(ctl: Ctl, home: Path, systemctl: Path) -> None:
    unit = home / ".config" / "systemd" / "user" / "memory-db.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    ran = ctl("install-service")
    assert (ran.code, "not put there by us" in ran.err) == (4, True)
    assert [path.name for path in unit.parent.rglob("*")] == ["memory-db.service"]
    assert not systemctl.exists()


def test_where_systemd_does_not_answer_nothing_is_changed_and_what_helps_is_said(
    ctl: Ctl, home: Path, systemctl: Path
) -> None:
    assert ctl("add", "Ada", "--type", "person").code == 0
    (home / "bin" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n")
    ran = ctl("install-service")
    assert (ran.code, "No medium found" in ran.err, "log in as this user" in ran.err) == (4, True, True)
    assert not (home / ".config" / "systemd").exists()
    assert ctl("--no-start", "status").code == 0, "the daemon that ran was not ended"


def test_the_system_form_has_its_drop_ins_and_an_account(ctl: Ctl, systemctl: Path) -> None:
    ran = ctl("install-service", "--system", "--dry-run", "--json")
    assert "/etc/systemd/system/memory-db.service.d/system.conf" in ran.json["files"]
    assert ran.json["commands"][0][0] == "useradd"
    assert ran.json["commands"][-1][:3] == ["systemctl", "enable", "--now"]
