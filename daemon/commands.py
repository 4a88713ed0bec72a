"""The verbs of `memory-db` beside `serve`: what needs the file itself and no daemon. `memoryctl backups` executes them."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from enhanced_memory.client.errors import Error, Invalid, StoreRefused
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import backups

if TYPE_CHECKING:
    from enhanced_memory.daemon.store.sqlite.sealing import Key

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
        ("key", "make a key that a store can be encrypted with"),
        ("rekey", "encrypt the store, change its key, or (--plain) take encryption away"),
        ("migrate", "move the store from a file into a PostgreSQL database, or back; the old one is left as it is"),
        ("probe", "look whether a daemon could serve the store in a database"),
    ):
        verb = verbs.add_parser(name, help=says, description=says)
        verb.add_argument("--json", action="store_true", help="print one JSON document")
        if name == "key":
            verb.add_argument("file", help="where it is written; it must not exist yet")
            continue
        verb.add_argument("--store", help="the SQLite file, or postgresql://…; default: the setting")
        if name == "probe":
            continue
        verb.add_argument("--key-file", help="the key of what is read; default: the setting key_file")
        if name == "rekey":
            verb.add_argument("--to", help="the file of the new key; it is made where there is none")
            verb.add_argument("--plain", action="store_true", help="no key any more")
        elif name == "check":
            verb.add_argument(
                "--with-parent", action="store_true", help=argparse.SUPPRESS
            )  # a daemon's own: it ends with it
            verb.add_argument("--quick", action="store_true", help="leave out the bodies of older versions")
            verb.add_argument("file", nargs="?", help="the file; default: the store")
        elif name == "salvage":
            verb.add_argument("file", nargs="?", help="the broken file, which is not touched; default: the store")
            verb.add_argument("--to", required=True, help="the new store")
        elif name == "migrate":
            verb.add_argument("--to", required=True, help="where: postgresql://…, or a file that does not exist yet")
            verb.add_argument("--anew", action="store_true", help="do not go on with what an earlier run has begun")
            verb.add_argument("--progress", action="store_true", help="print how far it is, a line of JSON each time")
        elif name != "rekey":
            verb.add_argument("--from", dest="folder", help="where backups lie; default: the setting backup_folder")
        if name in ("restore", "drill"):
            verb.add_argument("which", nargs="?", default="latest", help="latest, a name, a path, or a time")
        if name in ("restore", "rekey", "migrate"):
            verb.add_argument("--stop", action="store_true", help="end a daemon that has the store open")
    says = "list the months of a store in PostgreSQL, or set one of messages aside"
    verb = verbs.add_parser("months", help=says, description=says)
    verb.add_argument("--json", action="store_true", help="print one JSON document")
    verb.add_argument("--store", help="postgresql://…; default: the setting")
    which = verb.add_mutually_exclusive_group()
    which.add_argument("--detach", metavar="YYYY-MM", help="messages of this month are kept, and asked by nothing")
    which.add_argument("--attach", metavar="YYYY-MM", help="a month that was set aside is as it was")
    says = "print the statements that spread a store in PostgreSQL over a Citus cluster, for psql"
    verbs.add_parser("spread", help=says, description=says)


def run(given: argparse.Namespace) -> int:
    """Carry the verb out and print what came of it; the exit code: 0, or 1 where something is wrong."""
    if given.verb == "spread":
        print((Path(__file__).parent / "store" / "postgres" / "citus.sql").read_text("utf-8"), end="")
        return 0
    settings = Settings.load({"store": getattr(given, "store", None)})
    try:
        if settings.database and given.verb in ("salvage", "rekey"):
            raise StoreRefused(
                f"`memory-db {given.verb}` works on a file, and the store is {settings.store_name}.",
                "`memory-db restore` puts a backup in its place; a database is encrypted by its server",
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
    from enhanced_memory.daemon.piped import end_with_parent
    from enhanced_memory.daemon.store.sqlite import sealing, verifying

    if given.with_parent:
        end_with_parent()
    with suppress(OSError):  # within the unit's walls no priority is changed
        os.nice(_GENTLE)
    if settings.database and not given.file:
        health = _databases().check(settings, given.quick)
        return health, 1 if health.problems else 0
    path = Path(given.file).absolute() if given.file else settings.store_path
    if not path.is_file():
        raise StoreRefused(f"{path} is not a file.", "name the store's file")
    key = _theirs(given, settings) if sealing.sealed(path) else None
    health = verifying.check(path, given.quick, key)
    return health, 1 if health.problems else 0


def _theirs(given: argparse.Namespace, settings: Settings) -> "Key | None":
    """The key of what is read: the one that is named, else the store's."""
    from enhanced_memory.daemon.store.sqlite import sealing

    if given.key_file:
        return sealing.read(Path(given.key_file).expanduser().absolute())
    return sealing.key_of(settings)


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
    from enhanced_memory.daemon.store.sqlite import sealing
    from enhanced_memory.daemon.store.sqlite.restore import restore

    one = backups.choose(_folder(given, settings), given.which)
    key = sealing.key_of(settings)
    if settings.database:
        return _databases().restore(settings, one, given.stop, key, _theirs(given, settings)), 0
    return restore(settings.store_path, one, given.stop, key=key, theirs=_theirs(given, settings)), 0


def _drill(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.drill import drill
    from enhanced_memory.daemon.store.sqlite import sealing

    one = backups.choose(_folder(given, settings), given.which)
    key, theirs = sealing.key_of(settings), _theirs(given, settings)
    drilled = _databases().tried(settings, one, key, theirs) if settings.database else drill(one, key, theirs)
    return drilled, 0 if drilled.ok else 1


def _salvage(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.store.sqlite.salvage import salvage

    path = Path(given.file).absolute() if given.file else settings.store_path
    if not path.is_file():
        raise StoreRefused(f"{path} is not a file.", "name the broken store's file")
    saved = salvage(path, Path(given.to).absolute(), _theirs(given, settings))
    return saved, 1 if saved.problems else 0


def _key(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.store.sqlite import sealing

    key = sealing.made(Path(given.file).expanduser().absolute())
    return {"key_file": str(key.path), "mark": key.mark}, 0


def _rekey(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.store.sqlite import sealing
    from enhanced_memory.daemon.store.sqlite.rekeying import rekey

    if bool(given.to) == given.plain:
        raise Invalid("It wants to know the new key, or --plain.", "memory-db rekey --to FILE")
    store = settings.store_path
    if not store.is_file():
        raise StoreRefused(f"{store} is not there.", "name the store with --store")
    new = None
    if given.to:
        path = Path(given.to).expanduser().absolute()
        new = sealing.read(path) if path.exists() else sealing.made(path)
    return rekey(store, _theirs(given, settings) if sealing.sealed(store) else None, new, given.stop), 0


def _months(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    if not settings.database:
        raise StoreRefused(
            "A file has no months: they are partitions in PostgreSQL.", "name a store: --store postgresql://…"
        )
    from enhanced_memory.daemon.store.postgres import database, months
    from enhanced_memory.daemon.store.postgres.failures import translated

    with translated(), database.ours(settings) as connection:
        if given.detach:
            months.detach(connection, given.detach)
        if given.attach:
            months.attach(connection, given.attach)
        return {"months": months.told(connection)}, 0


def _databases(name: str = "databases") -> ModuleType:
    """What is done for a store in a database; nothing of it is loaded where a file is served."""
    try:
        return import_module(f"enhanced_memory.daemon.{name}")
    except ImportError as problem:
        raise StoreRefused(
            f"A store in PostgreSQL needs the extra `postgres`: {problem}.", "pip install 'enhanced-memory[postgres]'"
        ) from None


def _probe(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    if not settings.database:
        raise StoreRefused(f"{settings.store_name} is a file.", "`memory-db check` looks at it")
    probed = _databases("probing").probe(settings)
    return probed, 0 if probed.ok else 1


def _migrate(given: argparse.Namespace, settings: Settings) -> tuple[Any, int]:
    from enhanced_memory.daemon.migrating import migrate

    migrated = migrate(settings, given.to, _telling(given), given.stop, given.anew)
    return migrated, 0 if migrated.ok else 1


def _telling(given: argparse.Namespace) -> Callable[[str, int, int], None]:
    """Says how far a long verb is: to programs a line each time, to people on a terminal one line that changes."""

    def tell(step: str, done: int, total: int) -> None:
        if given.progress:
            print(msgspec.json.encode({"step": step, "done": done, "total": total}).decode(), flush=True)
        elif sys.stderr.isatty():
            print(f"\r\033[K{step} {done:,} of {total:,}", end="", file=sys.stderr, flush=True)

    return tell


_VERBS = {
    "check": _check,
    "backups": _backups,
    "restore": _restore,
    "drill": _drill,
    "salvage": _salvage,
    "key": _key,
    "rekey": _rekey,
    "months": _months,
    "migrate": _migrate,
    "probe": _probe,
}


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
