# apsw's stubs leave parts of their types open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""When a store in a file learns to pack its own text, and from what: entities and messages, which say things differently."""

from pathlib import Path

import apsw

from enhanced_memory.daemon.store.sqlite import file
from enhanced_memory.daemon.store.sqlite.rows import each, translated
from enhanced_memory.daemon.store.sqlite.sealing import Key
from enhanced_memory.daemon.store.training import SAMPLES, STAGES

__all__ = ["learnt", "newest", "note", "stage"]

_LEARNT = "learnt"
"""The note in `meta` of the stage up to which the store has learnt."""

_NEWEST = (
    "SELECT crc, body FROM entities ORDER BY row DESC LIMIT ?",
    "SELECT crc, body FROM messages WHERE block = 0 ORDER BY id DESC LIMIT ?",
)


def stage(entities: int, messages: int) -> int:
    """How often a store that has given out so many numbers should have learnt: a conversation is no set of entities."""
    return sum(count >= least for least in STAGES for count in (entities, messages))


def learnt(connection: apsw.Connection, dictionaries: int) -> int:
    """How often it has; a store of an older program, which noted nothing, as often as it has `dictionaries` of its own."""
    noted = list(each(connection, "SELECT value FROM meta WHERE key = ?", (_LEARNT,)))
    return int(noted[0][0]) if noted else dictionaries


def note(connection: apsw.Connection, stage: int) -> None:
    """Note it."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_LEARNT, stage))


def newest(path: Path, key: Key | None) -> list[tuple[int, bytes]]:
    """The newest bodies with their checksums, half of them of entities and half of messages where there are as many."""
    with translated():
        connection = file.connect(path, readonly=True, key=key)
        try:
            entities, messages = ([(row[0], row[1]) for row in each(connection, told, (SAMPLES,))] for told in _NEWEST)
        finally:
            connection.close()
    half = SAMPLES // 2
    return entities[: max(half, SAMPLES - len(messages))] + messages[: max(half, SAMPLES - len(entities))]
