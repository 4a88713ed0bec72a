"""What a check looks at in any engine's tables: every body's checksum, and every index against what it was derived from.

The statements are plain SQL that every engine understands; they are not among the named queries, for nothing else asks them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from enhanced_memory.client.errors import Error, StoreDamaged
from enhanced_memory.daemon.store import Health
from enhanced_memory.daemon.store.bodies import Codec, crc, undelta

__all__ = ["Each", "bodies", "found", "indexes", "versions"]

PROBLEMS = 100
"""How many problems are named; more are counted."""

Each = Callable[[str], Iterable[tuple[Any, ...]]]
"""The rows of a statement."""


def found(health: Health, problem: str) -> None:
    """Note a problem; a hundred of them by name."""
    if len(health.problems) < PROBLEMS:
        health.problems.append(problem)
    elif len(health.problems) == PROBLEMS:
        health.problems.append("… and more")


def bodies(each: Each, codec: Codec, health: Health) -> None:
    """Open every entity and every message."""
    entities = messages = 0
    for space, entity, checksum, body in each("SELECT space, id, crc, body FROM entities"):
        entities += 1
        try:
            codec.state(body, checksum)
        except Error as problem:
            found(health, f"entity {entity} in space {space}: {problem.message}")
    for number, checksum, body in each("SELECT id, crc, body FROM messages WHERE block = 0"):
        messages += 1
        try:
            codec.line(body, checksum)
        except Error as problem:
            found(health, f"message {number}: {problem.message}")
    messages += _archived(each, codec, health)
    health.checked |= {"entities": entities, "messages": messages}


def _archived(each: Each, codec: Codec, health: Health) -> int:
    """Look for every archived message in its block; how many there are."""
    messages = 0
    opened, held = 0, dict[int, bytes]()
    rows = each(
        """SELECT m.id, m.crc, m.block, b.crc, b.body FROM messages m LEFT JOIN blocks b ON b.id = m.block
           WHERE m.block > 0 ORDER BY m.stream, m.id"""
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
            found(health, f"message {number}: {problem.message}")
    return messages


def versions(each: Each, codec: Codec, health: Health) -> None:
    """Undo every delta from the head backwards, entity by entity."""
    count = 0
    raw = b""
    whose: tuple[int, int] | None = None
    rows = each(
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
            found(health, f"entity {entity} in space {space}, version {version}: {problem.message}")
    health.checked["versions"] = count


def indexes(each: Each, quick: bool, indexed: str, passage: str, model: str) -> Iterator[str]:
    """What every index says that its owner does not, and the other way round. `indexed` is what the tables of indexed
    passages are called after `words`; `passage` and `model` say of what a row `v` of `vectors` is."""

    def count(says: str, sql: str) -> Iterator[str]:
        number = next(iter(each(sql)))[0]
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
             AND ((from_id > 0 AND from_id NOT IN (SELECT id FROM known)) OR (to_id > 0 AND to_id NOT IN (SELECT id FROM known)))""",
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
            "WITH known AS (SELECT DISTINCT id FROM entities) SELECT count(*) FROM messages WHERE stream NOT IN (SELECT id FROM known)",
        )
        yield from count(
            "conflicts of entities, in spaces or at changes that are not there",
            """WITH known AS (SELECT DISTINCT id FROM entities)
               SELECT count(*) FROM conflicts k WHERE entity NOT IN (SELECT id FROM known) OR other NOT IN (SELECT id FROM known)
                 OR NOT EXISTS (SELECT 1 FROM spaces s WHERE s.id = k.space)
                 OR NOT EXISTS (SELECT 1 FROM changes c WHERE c.number = k.began)""",
        )
        yield from count(
            "vectors without their passage or model",
            f"""SELECT count(*) FROM vectors v WHERE NOT EXISTS (SELECT 1 FROM passages p WHERE p.id = {passage})
                 OR NOT EXISTS (SELECT 1 FROM models m WHERE m.id = {model})""",
        )
        yield from count(
            "living passages whose words are not in the index",
            f"SELECT count(*) FROM passages p WHERE ended = 0 AND NOT EXISTS (SELECT 1 FROM words{indexed} d WHERE d.id = p.id)",
        )
    for table, ended in (("words", "ended = 0"), ("words_past", "ended > 0")):
        yield from count(
            f"passages missing from the {table} index, or words there without a passage",
            f"""SELECT (SELECT count(*) FROM passages WHERE {ended})
                     - (SELECT count(*) FROM {table}{indexed})"""
            if table == "words"
            else f"SELECT count(*) FROM {table}{indexed} d WHERE NOT EXISTS (SELECT 1 FROM passages p WHERE p.id = d.id AND {ended})",
        )
