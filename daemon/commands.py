"""The verbs of `memory-db` beside `serve`: what needs the file itself and no daemon. `memoryctl backups` executes them."""

import argparse
import os
from pathlib import Path
from typing import Any, cast

import msgspec

from enhanced_memory.client.errors import Error, StoreRefused
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import backups
from enhanced_memory.daemon.store.bodies import BUILT_IN, built_in

__all__ = ["declare", "run"]

_GENTLE = 10
"""How much a check gives way to other processes."""


def declare(verbs: Any) -> None:
    """Make the command line know them."""
    for name, says in (
        ("check", "check a store that no daemon has open, or a backup's file"),
        ("backups", "list the backups in a folder, newest first"),
        ("restore", "put a backup in the store's place; what was there is kept beside it"),
        ("drill", "restore a backup into a folder of its own, and use it"),
        ("salvage", "save what can be read of a broken store into a new one"),
    ):
        verb = verbs.add_parser(name, help=says, description=says)
        verb.add_argument("--json", action="store_true", help="print one JSON document")
        verb.add_argument("--store", help="the SQLite file; default: the setting")
        if name == "check":
            verb.add_argument("--quick", action="store_true", help="leave out the bodies of older versions")
            verb.add_argument("file", nargs="?", help="the file; default: the store")
        elif name == "salvage":
            verb.add_argument("file", nargs="?", help="the broken file, which is not touched; default: the store")
            verb.add_argument("--to", required=True, help="the new store")
        else:
            verb.add_argument("--from", dest="folder", help="where backups lie; default: the setting backup_folder")
        if name in ("restore", "drill"):
            verb.add_argument("which", nargs="?", default="latest", help="latest, a name, a path, or a time")
        if name == "restore":
            verb.add_argument("--stop", action="store_true", help="end a daemon that has the store open")


def run(given: argparse.Namespace) -> int:
    """Carry the verb out and print what came of it; the exit code: 0, or 1 where something is wrong."""
    settings = Settings.load({"store": given.store})
    try:
        if settings.database and given.verb != "backups":
            raise StoreRefused(
                f"`memory-db {given.verb}` works on a file, and the store is {settings.store_name}.",
                "use the server's own tools (pg_dump, pg_restore); `memoryctl verify` checks the store through the daemon",
            )
        said, code = _VERBS[given.verb](given, settings)
    except Error as problem:
        if not given.json:
            raise
        said, code = {"error": problem.to_wire()}, 1
    document = msgspec.json.format(msgspec.json.encode(said), indent=2).decode()
    if given.json:
        print(document)
    else:
        for line in _lines(msgspec.to_builtins(said)):
            print(line)
    return code


def _check(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.store.sqlite import verifying

    os.nice(_GENTLE)
    path = Path(given.file).absolute() if given.file else settings.store_path
    if not path.is_file():
        raise StoreRefused(f"{path} is not a file.", "name the store's file")
    health = verifying.check(path, {BUILT_IN: built_in()}, given.quick)
    return health, 1 if health.problems else 0


def _folder(given: argparse.Namespace, settings: Settings) -> Path:
    return Path(given.folder or settings.backup_folder).expanduser().absolute()


def _backups(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    found = backups.kept(_folder(given, settings))
    told = [
        {
            "path": str(one.path),
            "made_at": one.made_at,
            "bytes": one.bytes,
            "good": one.good,
            "problem": one.problem,
            "change": one.manifest.change if one.manifest else None,
            "entities": one.manifest.counts.get("entities") if one.manifest else None,
            "schema": one.manifest.schema if one.manifest else None,
            "store_id": one.manifest.store_id if one.manifest else "",
        }
        for one in found
    ]
    return {"folder": str(_folder(given, settings)), "backups": told}, 0


def _restore(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.store.sqlite.restore import restore

    one = backups.choose(_folder(given, settings), given.which)
    return restore(settings.store_path, one, given.stop), 0


def _drill(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.drill import drill

    drilled = drill(backups.choose(_folder(given, settings), given.which))
    return drilled, 0 if drilled.ok else 1


def _salvage(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.store.sqlite.salvage import salvage

    path = Path(given.file).absolute() if given.file else settings.store_path
    if not path.is_file():
        raise StoreRefused(f"{path} is not a file.", "name the broken store's file")
    saved = salvage(path, Path(given.to).absolute())
    return saved, 1 if saved.problems else 0


_VERBS = {"check": _check, "backups": _backups, "restore": _restore, "drill": _drill, "salvage": _salvage}


def _lines(value: dict[str, Any], indent: int = 0) -> list[str]:
    """A document as lines for a person."""
    pad, lines = " " * indent, list[str]()
    for key, part in value.items():
        if isinstance(part, dict):
            lines += [f"{pad}{key}:", *_lines(cast("dict[str, Any]", part), indent + 2)]
        elif isinstance(part, list):
            listed = cast("list[Any]", part)
            lines.append(f"{pad}{key}: {len(listed)}")
            for one in listed:
                lines += (
                    [f"{pad}  -", *_lines(cast("dict[str, Any]", one), indent + 4)]
                    if isinstance(one, dict)
                    else [f"{pad}  - {one}"]
                )
        else:
            lines.append(f"{pad}{key}: {part}")
    return lines
