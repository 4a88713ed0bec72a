# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Copies and checks: a backup that was opened and counted before it is called one, and a look at every row."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import apsw
import msgspec

from enhanced_memory.client.errors import Broken, Conflict, Error, Invalid, StoreDamaged, StoreFull
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.bodies import Codec, crc, undelta
from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.rows import each, translated

__all__ = ["Copy", "backup", "check"]

PROBLEMS = 100
"""How many problems are named; more are counted."""


class Copy(msgspec.Struct):
    """A verified copy of the store."""

    path: str
    bytes: int
    sha256: str
    entities: int
    messages: int
    change: int
    seconds: float


def backup(store: Path, to: Path, dictionaries: Mapping[int, bytes], own: Path) -> Copy:
    """Copy the store while it is in use, check the copy, and only then give it its name.

    `to` is a folder (the copy is named `memory_<time>.db` in it) or a file that must not exist yet. `Conflict` where it does.
    """
    began = time.monotonic()
    to = _target(to, own)
    partial = to.with_name(to.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with translated():
            source = file.connect(store, readonly=True)
            try:
                # One snapshot, written compactly; writers go on meanwhile.
                source.execute("PRAGMA query_only = OFF")
                source.execute("VACUUM INTO ?", (os.fspath(partial),))
            finally:
                source.close()
        health = check(partial, dictionaries, quick=True)
        if health.problems:
            raise StoreDamaged(
                f"The copy has {len(health.problems)} problems: {health.problems[0]}",
                "run `memoryctl verify` on the store itself",
            )
        digest = _digest(partial)
        _sync(partial)
        os.rename(partial, to)
        _sync(to.parent)
    except OSError as problem:
        if problem.errno == 28:
            raise StoreFull(f"There is no space left at {to.parent}.") from None
        raise Broken(f"{to} cannot be written: {problem.strerror}.", "choose another folder") from None
    finally:
        partial.unlink(missing_ok=True)
        for end in ("-wal", "-shm", "-journal"):
            partial.with_name(partial.name + end).unlink(missing_ok=True)
    checked = health.checked
    return Copy(
        str(to),
        to.stat().st_size,
        digest,
        checked["entities"],
        checked["messages"],
        checked["last_change"],
        time.monotonic() - began,
    )


def _target(to: Path, own: Path) -> Path:
    """The file that a backup to `to` is written to; its folder is made if need be."""
    if "\0" in os.fspath(to):
        raise Invalid("The backup's path holds a NUL character.", "remove it")
    try:
        to = to.expanduser().absolute()
        if to.is_dir() or (to.suffix == "" and not to.exists()):
            to = to / f"memory_{datetime.now(UTC):%Y%m%d_%H%M%S}.db"
        if to.exists() or to == own:
            raise Conflict(f"{to} exists.", "name a folder, or a file that does not exist yet")
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as problem:
        raise Invalid(
            f"A backup cannot be written there: {getattr(problem, 'strerror', None) or problem}.",
            "choose another folder",
        ) from None
    return to


def check(store: Path, dictionaries: Mapping[int, bytes], quick: bool) -> Health:
    """Look for damage: in the file's structure, in every body's checksum, and in every index against what it was derived from.

    `quick` leaves out the bodies of older versions and the comparison of passages with their owners.
    """
    health = Health([], {})
    with translated():
        connection = file.connect(store, readonly=True)
        try:
            connection.execute("BEGIN")
            for (line,) in each(connection, "PRAGMA integrity_check" if not quick else "PRAGMA quick_check"):
                if line != "ok":
                    _found(health, f"file: {line}")
            known = dict(dictionaries) | {
                row[0]: row[1] for row in each(connection, "SELECT id, bytes FROM dictionaries")
            }
            codec = Codec(known)
            _bodies(connection, codec, health)
            if not quick:
                _versions(connection, codec, health)
            for problem in _indexes(connection, quick):
                _found(health, problem)
            health.checked["last_change"] = next(each(connection, "SELECT coalesce(max(number), 0) FROM changes"))[0]
        finally:
            connection.close()
    return health


def _found(health: Health, problem: str) -> None:
    if len(health.problems) < PROBLEMS:
        health.problems.append(problem)
    elif len(health.problems) == PROBLEMS:
        health.problems.append("… and more")


def _bodies(connection: apsw.Connection, codec: Codec, health: Health) -> None:
    entities = messages = 0
    for space, entity, checksum, body in each(connection, "SELECT space, id, crc, body FROM entities"):
        entities += 1
        try:
            codec.state(body, checksum)
        except Error as problem:
            _found(health, f"entity {entity} in space {space}: {problem.message}")
    for number, checksum, body in each(connection, "SELECT id, crc, body FROM messages WHERE block = 0"):
        messages += 1
        try:
            codec.line(body, checksum)
        except Error as problem:
            _found(health, f"message {number}: {problem.message}")
    messages += _blocks(connection, codec, health)
    health.checked |= {"entities": entities, "messages": messages}


def _blocks(connection: apsw.Connection, codec: Codec, health: Health) -> int:
    """Look for every archived message in its block; how many there are."""
    messages = 0
    opened, held = 0, dict[int, bytes]()
    rows = each(
        connection,
        """SELECT m.id, m.crc, m.block, b.crc, b.body FROM messages m LEFT JOIN blocks b ON b.id = m.block
           WHERE m.block > 0 ORDER BY m.stream, m.id""",
    )
    for number, checksum, block, block_checksum, body in rows:
        messages += 1
        try:
            if block != opened:
                opened, held = block, {}
                if body is None:
                    raise StoreDamaged("Its block is not there.")
                held = {crc(raw): raw for raw in codec.unbundle(body, block_checksum)}
            if checksum not in held:
                raise StoreDamaged("It is not in its block.")
            codec.said(held[checksum])
        except Error as problem:
            _found(health, f"message {number}: {problem.message}")
    return messages


def _versions(connection: apsw.Connection, codec: Codec, health: Health) -> None:
    """Undo every delta from the head backwards, entity by entity."""
    count = 0
    raw = b""
    whose: tuple[int, int] | None = None
    rows = each(
        connection,
        """SELECT v.space, v.entity, v.version, v.whole, v.crc, v.body, e.crc, e.body FROM versions v
           LEFT JOIN entities e ON e.space = v.space AND e.id = v.entity ORDER BY v.space, v.entity, v.version DESC""",
    )
    broken = False
    for space, entity, version, whole, checksum, body, head_checksum, head in rows:
        count += 1
        try:
            if (space, entity) != whose:
                whose, broken = (space, entity), False
                if head is None:
                    raise StoreDamaged("has versions but no entity.")
                raw = codec.plain(head, head_checksum)
            if broken and not whole:
                continue
            raw = codec.plain(body, checksum) if whole else undelta(body, raw, checksum)
            broken = False
        except Error as problem:
            broken = True
            _found(health, f"entity {entity} in space {space}, version {version}: {problem.message}")
    health.checked["versions"] = count


def _indexes(connection: apsw.Connection, quick: bool) -> Iterator[str]:
    """What every index says that its owner does not, and the other way round."""

    def count(says: str, sql: str) -> Iterator[str]:
        number = next(each(connection, sql))[0]
        if number:
            yield f"{number} {says}"

    alive = "EXISTS (SELECT 1 FROM entities e WHERE e.space = x.space AND e.id = x.entity AND e.deleted = 0)"
    yield from count(
        "living names without a living entity", f"SELECT count(*) FROM names x WHERE ended = 0 AND NOT {alive}"
    )
    yield from count(
        "living entities without a name",
        "SELECT count(*) FROM entities WHERE deleted = 0 AND (space, id) NOT IN (SELECT space, entity FROM names WHERE ended = 0)"
        if not quick
        else """SELECT (SELECT count(*) FROM entities WHERE deleted = 0) <> (SELECT count(*) FROM names WHERE ended = 0)""",
    )
    yield from count(
        "living tags without a living entity", f"SELECT count(*) FROM tags x WHERE ended = 0 AND NOT {alive}"
    )
    yield from count(
        "living properties without a living entity",
        f"SELECT count(*) FROM properties x WHERE ended = 0 AND NOT {alive}",
    )
    yield from count(
        "living passages without a living entity",
        f"SELECT count(*) FROM passages x WHERE message = 0 AND ended = 0 AND NOT {alive}",
    )
    yield from count(
        "passages without their message",
        "SELECT count(*) FROM passages p WHERE message > 0 AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = p.message)",
    )
    yield from count(
        "relations to entities that are nowhere",
        """SELECT count(*) FROM relations r WHERE ended = 0 AND deleted = 0 AND (
             (from_id > 0 AND NOT EXISTS (SELECT 1 FROM entities e WHERE e.id = r.from_id))
             OR (to_id > 0 AND NOT EXISTS (SELECT 1 FROM entities e WHERE e.id = r.to_id)))"""
        if quick
        else """WITH known AS (SELECT DISTINCT id FROM entities)
           SELECT count(*) FROM relations r WHERE ended = 0 AND deleted = 0
             AND ((from_id > 0 AND from_id NOT IN known) OR (to_id > 0 AND to_id NOT IN known))""",
    )
    yield from count(
        "spaces over one that is not there, or that came later",
        "SELECT count(*) FROM spaces s WHERE parent > 0 AND NOT EXISTS (SELECT 1 FROM spaces p WHERE p.id = s.parent AND p.id < s.id)",
    )
    yield from count(
        "branches pinned at a change that is not there",
        "SELECT count(*) FROM spaces s WHERE pinned > 0 AND pinned > (SELECT coalesce(max(number), 0) FROM changes)",
    )
    yield from count(
        "notes of merges between spaces, or at changes, that are not there",
        """SELECT count(*) FROM merges m WHERE NOT EXISTS (SELECT 1 FROM spaces s WHERE s.id = m.branch)
           OR NOT EXISTS (SELECT 1 FROM spaces s WHERE s.id = m.target) OR NOT EXISTS (SELECT 1 FROM changes c WHERE c.number = m.began)""",
    )
    yield from count(
        "journal entries without their change",
        "SELECT count(*) FROM journal j WHERE NOT EXISTS (SELECT 1 FROM changes c WHERE c.number = j.number)",
    )
    if not quick:
        nowhere = "NOT EXISTS (SELECT 1 FROM entities e WHERE e.space = x.space AND e.id = x.entity)"
        for table in ("names", "tags", "properties"):
            yield from count(f"{table} of entities that are nowhere", f"SELECT count(*) FROM {table} x WHERE {nowhere}")
        yield from count(
            "passages of entities that are nowhere", f"SELECT count(*) FROM passages x WHERE message = 0 AND {nowhere}"
        )
        yield from count(
            "messages in streams that are nowhere",
            "WITH known AS (SELECT DISTINCT id FROM entities) SELECT count(*) FROM messages WHERE stream NOT IN known",
        )
        yield from count(
            "vectors without their passage or model",
            """SELECT count(*) FROM vectors v WHERE NOT EXISTS (SELECT 1 FROM passages p WHERE p.id = v.key >> 6)
                 OR NOT EXISTS (SELECT 1 FROM models m WHERE m.id = v.key & 63)""",
        )
        yield from count(
            "living passages whose words are not in the index",
            "SELECT count(*) FROM passages p WHERE ended = 0 AND NOT EXISTS (SELECT 1 FROM words_docsize d WHERE d.id = p.id)",
        )
    for table, ended in (("words", "ended = 0"), ("words_past", "ended > 0")):
        yield from count(
            f"passages missing from the {table} index, or words there without a passage",
            f"""SELECT (SELECT count(*) FROM passages WHERE {ended})
                     - (SELECT count(*) FROM {table}_docsize)"""
            if table == "words"
            else f"SELECT count(*) FROM {table}_docsize d WHERE NOT EXISTS (SELECT 1 FROM passages p WHERE p.id = d.id AND {ended})",
        )


def _digest(path: Path) -> str:
    with open(path, "rb") as file_:
        return hashlib.file_digest(file_, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
