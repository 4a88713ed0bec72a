"""Verbs about copies to go back to: making one, listing them, restoring one, and the drill.

What needs files and no daemon are verbs of `memory-db`, which is executed for them.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.cli.declare import LONG_S, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM, Usage
from enhanced_memory.client.cli.output import Paper, moment, size, warn
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.errors import Broken, Conflict, Invalid, NotFound, StoreDamaged, StoreHeld, StoreRefused
from enhanced_memory.client.operations.service import Backup
from enhanced_memory.client.settings import PREFIX, Settings

__all__ = ["PROGRAM", "document", "executed", "probed"]

PROGRAM = [sys.executable, "-P", "-m", "enhanced_memory.daemon"]
DOES = ("list", "restore", "drill")


@verb(
    "backup",
    "Write a copy of the store while it is in use, and check the copy.",
    argument(
        "--to", metavar="PATH", help="a folder, or a file that does not exist yet (default: the setting backup_folder)"
    ),
    argument("--prune", action="store_true", help="then delete the backups there that the settings let go"),
)
def backup(call: Call) -> Answer:
    """The copy is opened, checked and counted before the answer comes. In a folder it is packed and named by its time. The exit
    code is 1 where the copy into the second folder, or a deletion, failed.
    """
    # The daemon has a working directory and a HOME of its own, so it is told the whole path.
    to = str(Path(call.given.to or call.settings.backup_folder).expanduser().absolute())
    if call.given.to and call.given.to.endswith("/"):
        to += "/"
    memory = call.memory
    with progress("backing up"):
        made = memory.send(Backup(to, call.given.prune), timeout_s=max(LONG_S, call.settings.timeout_s))

    def tell(paper: Paper) -> None:
        paper.line(made.path)
        facts = [
            ("size", f"{size(made.bytes)}, unpacked {size(made.store_bytes)}"),
            ("holds", f"{made.entities:,} entities, {made.messages:,} messages, up to change {made.change}"),
            ("sha256", made.sha256),
            ("took", f"{made.seconds:.1f} s"),
        ]
        facts += [("second copy", made.second)] if made.second else []
        facts += [("deleted", f"{len(made.pruned)} older")] if made.pruned else []
        if made.cold_files:
            facts += [
                ("not in it", f"{made.cold_files} files of cold storage, {size(made.cold_bytes)}: {made.cold_folder}")
            ]
        paper.facts(facts)
        if made.problem:
            warn(made.problem)

    return Answer(made, tell, PROBLEM if made.problem else OK)


@verb(
    "backups",
    "List backups, restore one, or try whether that would work.",
    argument("does", choices=DOES, metavar="list|restore|drill", help="what to do"),
    argument(
        "which",
        nargs="?",
        metavar="WHICH",
        help="restore, drill: latest, a name, a path, or a time: the newest one that is not newer",
    ),
    argument("--from", dest="folder", metavar="FOLDER", help="where they lie (default: the setting backup_folder)"),
)
def backups(call: Call) -> Answer:
    """`restore` checks the backup first, ends a daemon that has the store open, and keeps the store that it replaces beside the
    restored one. Clients start the daemon again, or systemd does. `drill` restores into a folder of its own, opens the store
    there as a daemon does, finds, writes and verifies, and exits with 1 where that fails.
    """
    given = call.given
    words = [f"--from={Path(given.folder).expanduser().absolute()}"] if given.folder else []
    if given.does == "list":
        if given.which:
            raise Usage("list takes no name", "name the folder with --from")
        found, _ = executed(call, "backups", *words)
        return Answer(found, lambda paper: _tell_list(paper, found))
    if given.does == "restore" and not given.which:
        raise Usage("restore wants to be told which", "latest, a name, a path, or a time")
    words += ["--stop"] if given.does == "restore" else []
    with progress("restoring" if given.does == "restore" else "trying"):
        found, code = executed(call, given.does, *words, "--", given.which or "latest")
    tell = _tell_restored if given.does == "restore" else _tell_drilled
    return Answer(found, lambda paper: tell(paper, found), code)


@verb(
    "salvage",
    "Save what can be read of a broken store into a new one, with a report.",
    argument("file", nargs="?", metavar="FILE", help="the broken file, which is not touched (default: the store)"),
    argument("--to", required=True, metavar="NEW", help="the new store; it must not exist yet"),
)
def salvage(call: Call) -> Answer:
    """For when there is no good backup. Stop the daemon first. Put the new store in place with `memoryctl backups restore NEW`."""
    words = [f"--to={Path(call.given.to).expanduser().absolute()}"]
    words += ["--", str(Path(call.given.file).expanduser().absolute())] if call.given.file else []
    with progress("salvaging"):
        found, code = executed(call, "salvage", *words)
    # A socket of its own, where the folder is ours alone: the daemon's refuses another store, and /tmp is everybody's.
    look = call.settings.socket_path.with_name("look.sock")
    return Answer(found, lambda paper: _tell_salvaged(paper, found, look), code)


def executed(call: Call, verb: str, *words: str) -> tuple[dict[str, Any], int]:
    """What `memory-db VERB --json` says, and its exit code. Raises what it failed with."""
    said = {PREFIX + name.upper(): str(value) for name, value in call.overrides.items()}
    ran = subprocess.run(
        [*PROGRAM, verb, "--json", *words], capture_output=True, env={**os.environ, **said}, check=False
    )
    return document(verb, ran.stdout, ran.stderr), ran.returncode


def probed(settings: Settings) -> list[dict[str, Any]]:
    """What `memory-db probe` finds about the database that the settings name."""
    ran = subprocess.run(
        [*PROGRAM, "probe", "--json"], capture_output=True, env=settings.environment(dict(os.environ)), check=False
    )
    return document("probe", ran.stdout, ran.stderr)["findings"]


def document(verb: str, said: bytes, complaint: bytes) -> dict[str, Any]:
    """What `memory-db VERB` said as JSON, or else complained of. Raises what it failed with."""
    try:
        found = msgspec.json.decode(said, type=dict[str, Any])
    except msgspec.DecodeError:
        says = complaint.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"memory-db {verb} said nothing."]
        raise Broken(says[0].removeprefix("memory-db: "), "see `memory-db --help`") from None
    if (error := found.get("error")) is not None:
        kind = _ERRORS.get(error["code"], Broken)
        raise kind(error["message"], error.get("hint", ""))
    return found


_ERRORS = {kind.code: kind for kind in (Conflict, Invalid, NotFound, StoreDamaged, StoreHeld, StoreRefused)}


def _tell_list(paper: Paper, found: dict[str, Any]) -> None:
    if not found["backups"]:
        paper.line(f"No backups in {found['folder']}.")
        return
    paper.table(
        ("backup", "made", "size", "entities", "change", ""),
        [
            (
                Path(one["path"]).name,
                moment(_time(one["made_at"])),
                size(one["bytes"]),
                "–" if one["entities"] is None else f"{one['entities']:,}",
                "–" if one["change"] is None else str(one["change"]),
                one["problem"],
            )
            for one in found["backups"]
        ],
    )


def _tell_restored(paper: Paper, found: dict[str, Any]) -> None:
    paper.line(
        f"Restored {found['store']} as it was on {moment(_time(found['made_at']))}, at change {found['change']}."
    )
    paper.facts(
        [
            ("from", found["backup"] + ("" if found["manifest"] else " (without a manifest: checked, not compared)")),
            ("holds", ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in found["counts"].items())),
            ("replaced", found["replaced"] or "nothing was there"),
            ("took", f"{found['seconds']:.1f} s"),
        ]
    )


def _tell_drilled(paper: Paper, found: dict[str, Any]) -> None:
    paper.line(found["backup"])
    for step in found["steps"]:
        mark = "ok   " if step["ok"] else "WRONG"
        paper.line(f"{mark} {step['what']} ({step['seconds']:.1f} s): {step['says']}", "" if step["ok"] else "red")
    paper.line("The backup can be restored." if found["ok"] else "The backup is no good.", "bold")


def _tell_salvaged(paper: Paper, found: dict[str, Any], look: Path) -> None:
    paper.line(found["store"])
    paper.table(
        ("table", "kept", "damaged", "read to its end"),
        [
            (name, f"{one['kept']:,}", f"{one['damaged']:,}", "yes" if one["complete"] else "NO")
            for name, one in found["tables"].items()
            if one["kept"] or one["damaged"] or not one["complete"]
        ],
    )
    paper.facts([(name, f"{count:,}") for name, count in found["mended"].items()])
    if found["lost"]:
        paper.line(f"Lost entities: {', '.join(found['lost'])}", "yellow")
    for problem in found["problems"]:
        paper.line(f"still wrong: {problem}", "red")
    store = shlex.quote(found["store"])
    paper.line(f"Look into it: memoryctl list --store {store} --socket {shlex.quote(str(look))}")
    paper.line(f"Put it in place: memoryctl backups restore {store}")


def _time(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)
