# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""What a salvaged store needs so that it verifies: whatever refers to something lost is put right, or let go and counted."""

from contextlib import suppress

import apsw

from enhanced_memory.client.errors import Error
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, State, built_in, crc, undelta
from enhanced_memory.daemon.store.sqlite.rows import dictionaries, each

__all__ = ["mended"]


def mended(target: apsw.Connection) -> tuple[dict[str, int], list[str]]:
    """Let go of, or put right, what refers to something that was lost; what was done, and which entities are lost."""
    done: dict[str, int] = {}

    def run(says: str, text: str) -> None:
        before = target.total_changes()
        target.execute(text)
        if changed := target.total_changes() - before:
            done[says] = done.get(says, 0) + changed

    target.execute("BEGIN")
    lost = _lost(target)
    run("the first space put back", "INSERT OR IGNORE INTO spaces (id, name, began) VALUES (1, 'default', 0)")
    run(
        "spaces put back that something lies in",
        """INSERT OR IGNORE INTO spaces (id, name, began) SELECT DISTINCT x.space, 'salvaged ' || x.space, 0 FROM
             (SELECT space FROM entities UNION SELECT space FROM messages UNION SELECT space FROM relations) x
           WHERE x.space NOT IN (SELECT id FROM spaces)""",
    )
    run(
        "spaces set free of a parent that is lost",
        "UPDATE spaces SET parent = 0, pinned = 0, kind = 'space' WHERE parent > 0 AND (parent >= id OR parent NOT IN (SELECT id FROM spaces))",
    )
    run(
        "changes put back without what they were",
        """INSERT OR IGNORE INTO changes (number, at, space, origin, op, message)
           SELECT DISTINCT x.number, coalesce((SELECT c.at FROM changes c WHERE c.number < x.number ORDER BY c.number DESC LIMIT 1), 0), 1, 0, 'lost', ''
           FROM (SELECT number FROM journal UNION SELECT began FROM entities UNION SELECT began FROM messages UNION SELECT began FROM versions
                 UNION SELECT began FROM merges UNION SELECT pinned FROM spaces) x WHERE x.number > 0 AND x.number NOT IN (SELECT number FROM changes)""",
    )
    run(
        "an origin put back for changes whose own is lost",
        """INSERT OR IGNORE INTO origins (id, channel, client, agent, session, tool, run, user, method, trust)
           SELECT DISTINCT c.origin, 'import', 'salvage', '', '', '', 'lost ' || c.origin, '', 'manual', 'import' FROM changes c
           WHERE c.origin NOT IN (SELECT id FROM origins)""",
    )
    run(
        "archived messages of lost blocks let go",
        "DELETE FROM messages WHERE block > 0 AND block NOT IN (SELECT id FROM blocks)",
    )
    _streams(target, done)
    _names(target, done)
    _versions(target, done)
    alive = "EXISTS (SELECT 1 FROM entities e WHERE e.space = x.space AND e.id = x.entity AND e.deleted = 0)"
    there = "EXISTS (SELECT 1 FROM entities e WHERE e.space = x.space AND e.id = x.entity)"
    for table in ("names", "tags", "properties"):
        run(
            f"{table} of lost entities let go",
            f"DELETE FROM {table} AS x WHERE NOT {there} OR (x.ended = 0 AND NOT {alive})",
        )
    run(
        "passages of lost entities and messages let go",
        f"""DELETE FROM passages AS x WHERE (message = 0 AND (NOT {there} OR (ended = 0 AND NOT {alive})))
            OR (message > 0 AND message NOT IN (SELECT id FROM messages))""",
    )
    run(
        "vectors of lost passages let go",
        "DELETE FROM vectors WHERE key >> 6 NOT IN (SELECT id FROM passages) OR key & 63 NOT IN (SELECT id FROM models)",
    )
    for end in ("from", "to"):
        run(
            "relations to lost entities kept by a name that says so",
            f"""UPDATE relations SET {end}_name = 'lost entity ' || {end}_id, {end}_id = 0
                WHERE {end}_id > 0 AND {end}_id NOT IN (SELECT id FROM entities)""",
        )
    run(
        "notes of merges let go",
        "DELETE FROM merges WHERE branch NOT IN (SELECT id FROM spaces) OR target NOT IN (SELECT id FROM spaces)",
    )
    run(
        "conflicts between lost entities let go",
        "DELETE FROM conflicts WHERE entity NOT IN (SELECT id FROM entities) OR other NOT IN (SELECT id FROM entities)",
    )
    target.execute("COMMIT")
    return done, lost


def _lost(target: apsw.Connection) -> list[str]:
    """Entities that names or the journal speak of and that are not there, nor were purged."""
    rows = each(
        target,
        """SELECT m.id, (SELECT n.name FROM names n WHERE n.entity = m.id ORDER BY n.began DESC LIMIT 1) FROM
             (SELECT entity AS id FROM names UNION SELECT id FROM journal WHERE subject = 'entity'
              UNION SELECT entity FROM versions) m
           WHERE m.id NOT IN (SELECT id FROM entities)
             AND m.id NOT IN (SELECT id FROM journal WHERE subject = 'entity' AND act = 'purge') ORDER BY m.id""",
    )
    return [f"{number}" + (f" {name!r}" if name else "") for number, name in rows]


def _streams(target: apsw.Connection, done: dict[str, int]) -> None:
    """Messages whose stream is lost lie in an empty one of a name that says so."""
    codec = Codec({BUILT_IN: built_in()})
    rows = list(
        each(
            target,
            """SELECT m.stream, min(m.space), min(m.began) FROM messages m
               WHERE m.stream NOT IN (SELECT id FROM entities) GROUP BY m.stream""",
        )
    )
    for stream, space, began in rows:
        raw, body = codec.pack(State(f"salvaged stream {stream}", "session"))
        target.execute(
            """INSERT INTO entities (space, id, type, version, first, began, text_bytes, crc, body)
               VALUES (?, ?, 'session', 1, ?, ?, ?, ?, ?)""",
            (space, stream, began, began, len(raw), crc(raw), body),
        )
        target.execute("DELETE FROM versions WHERE space = ? AND entity = ?", (space, stream))
    if rows:
        done["streams put back as empty ones"] = len(rows)


def _names(target: apsw.Connection, done: dict[str, int]) -> None:
    """A living entity without a living name gets the one that its body says, or one that is free."""
    codec = Codec(dictionaries(target))
    rows = list(
        each(
            target,
            """SELECT space, id, scope, began, crc, body FROM entities WHERE deleted = 0
               AND (space, id) NOT IN (SELECT space, entity FROM names WHERE ended = 0)""",
        )
    )
    for space, number, scope, began, checksum, body in rows:
        name = codec.state(body, checksum).name
        for tried in (name, f"{name} ({number})"):
            with suppress(apsw.ConstraintError):
                target.execute(
                    "INSERT INTO names (space, name, scope, began, entity) VALUES (?, ?, ?, ?, ?)",
                    (space, tried, scope, began, number),
                )
                break
    if rows:
        done["names put back from bodies"] = len(rows)


def _versions(target: apsw.Connection, done: dict[str, int]) -> None:
    """Older versions that cannot be undone from the newer ones any more are let go."""
    codec = Codec(dictionaries(target))
    going: list[tuple[int, int, int]] = []
    whose: tuple[int, int] | None = None
    raw, broken = b"", False
    for space, entity, version, whole, checksum, body, head_checksum, head in each(
        target,
        """SELECT v.space, v.entity, v.version, v.whole, v.crc, v.body, e.crc, e.body FROM versions v
           LEFT JOIN entities e ON e.space = v.space AND e.id = v.entity ORDER BY v.space, v.entity, v.version DESC""",
    ):
        try:
            if (space, entity) != whose:
                whose, broken = (space, entity), head is None
                raw = codec.plain(head, head_checksum) if head is not None else b""
            if head is None or (broken and not whole):
                going.append((space, entity, version))
                continue
            raw = codec.plain(body, checksum) if whole else undelta(body, raw, checksum)
            broken = False
        except Error:
            broken = True
            going.append((space, entity, version))
    target.executemany("DELETE FROM versions WHERE space = ? AND entity = ? AND version = ?", going)
    if going:
        done["older versions let go"] = len(going)
