"""`memoryctl backup` and `memoryctl backups`: a store goes, and comes back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Ctl


def test_a_restored_store_serves_at_once_and_says_where_the_other_one_lies(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    made = ctl("backup", "--json").json
    ctl("add", "Bob", "--type", "person", "came later")
    assert [Path(one["path"]) for one in ctl("backups", "list", "--json").json["backups"]] == [Path(made["path"])]
    pid = ctl("status", "--json").json["pid"]
    done = ctl("backups", "restore", "latest", "--json").json
    assert (done["ended"], done["change"]) == (pid, made["change"])
    assert Path(done["replaced"]).parent == home
    assert ctl("show", "Ada").code == 0
    assert ctl("show", "Bob").code == 1
    again = ctl("backups", "restore", done["replaced"])
    assert again.code == 0
    assert "without a manifest" in again.out
    assert ctl("show", "Bob").code == 0


def test_a_drill_says_whether_the_backup_is_any_good(ctl: Ctl) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    path = Path(ctl("backup", "--json").json["path"])
    assert ctl("backups", "drill").code == 0
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ran = ctl("backups", "drill", "latest")
    assert ran.code == 1
    assert "no good" in ran.out


def test_what_is_not_there_is_told_with_what_to_do(ctl: Ctl, home: Path) -> None:
    ran = ctl("backups", "restore", "latest")
    assert (ran.code, "no good backup" in ran.err) == (4, True)
    assert ctl("backups", "restore").code == 2
    assert ctl("backups", "list").out.startswith("No backups")
    assert not os.path.exists(home / "memory.db")


def test_what_the_settings_let_go_is_deleted_when_asked(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    made = Path(ctl("backup", "--json").json["path"])
    old = home / "backups" / "memory_20200101_000000.db.zst"
    made.rename(old)
    said = (made.parent / (made.name + ".json")).read_text()
    (made.parent / (made.name + ".json")).unlink()
    year = said.index('"made_at": "') + len('"made_at": "')
    (old.parent / (old.name + ".json")).write_text(said[:year] + "2020" + said[year + 4 :])
    kept = ctl("backup", "--json").json
    assert (kept["pruned"], old.exists()) == ([], True)
    pruned = ctl("backup", "--to", str(home / "backups") + "/", "--prune", "--json")
    assert pruned.json["pruned"] == [str(old)]
    assert not old.exists()
