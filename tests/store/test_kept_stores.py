"""A store made by any version of the schema opens, and says what it said on the day it was made."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.entities import AddObservations, ObservationsInput
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.embedding import STORED
from enhanced_memory.daemon.store.sqlite import file

from .keep_store import KEPT, KEY, asked, full, lasting, wait_for_vectors

VERSIONS = sorted(int(path.name.removeprefix("schema-").removesuffix(".db.zst")) for path in KEPT.glob("*.db.zst"))


def lacking(wanted: Any, found: Any, place: str = "") -> list[str]:
    """What `wanted` says that `found` does not; what newer programs say beside it is welcome."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [line for key, part in wanted.items() for line in lacking(part, found.get(key), f"{place}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for at, part in enumerate(wanted) for line in lacking(part, found[at], f"{place}[{at}]")]
    return [] if wanted == found else [f"{place}: {str(wanted)[:200]} became {str(found)[:200]}"]


def test_a_store_of_every_version_is_kept() -> None:
    """A new `user_version` brings its store: run tests/store/keep_store.py and commit what it makes."""
    assert list(range(1, file.schema_version() + 1)) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_an_older_version_says_what_it_said(home: Path, version: int) -> None:
    store = home / "memory.db"
    store.write_bytes(zstandard.ZstdDecompressor().decompress((KEPT / f"schema-{version}.db.zst").read_bytes()))
    known = json.loads((KEPT / f"schema-{version}.json").read_text("utf-8"))
    rows = full(store)
    assert rows == known["rows"]
    then = [(one["space"], one["op"], one["args"]) for one in known["answers"] if "op" in one]
    with Memory() as memory:
        while "meaning" not in memory.get_memory_status().search:  # it was there when the answers were noted
            time.sleep(0.02)
        assert [
            line
            for was, now in zip(known["answers"], asked(memory, then), strict=True)
            for line in lacking(lasting(was), now)
        ] == []
        checked = memory.verify()
        assert checked.ok, checked.problems
        before = memory.open_nodes(["Ada"]).entities[0]
        again = memory.send(AddObservations([ObservationsInput("Ada", ["likes tea"])]), key=KEY)
        assert again.results[0].action == "updated", "a change made by the older program is answered, not applied again"
        assert memory.open_nodes(["Ada"]).entities[0].observations == before.observations
        memory.create_entities([EntityInput("Newcomer", "thing", ["came after the upgrade"])])
        assert memory.search_nodes("upgrade").hits[0].entity.name == "Newcomer"
    copies = list(home.glob("memory.db.before-schema-*"))
    if version == file.schema_version():
        assert copies == []
    else:
        (copy,) = copies
        with apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY) as kept:
            assert next(iter(kept.execute("PRAGMA user_version"))) == (version,)
            assert full(copy) == rows


def test_the_words_of_an_older_store_are_laid_out_anew_by_reindexing(home: Path) -> None:
    store = home / "memory.db"
    store.write_bytes(zstandard.ZstdDecompressor().decompress((KEPT / "schema-6.db.zst").read_bytes()))
    known = json.loads((KEPT / "schema-6.json").read_text("utf-8"))
    then = [(one["space"], one["op"], one["args"]) for one in known["answers"] if "op" in one]
    with Memory() as memory:
        while "meaning" not in memory.get_memory_status().search:
            time.sleep(0.02)
        before = asked(memory, then)
        memory.reindex("words")
        while (status := memory.get_memory_status()).reindexing and status.reindexing.state == "running":
            time.sleep(0.02)
        assert list(map(lasting, asked(memory, then))) == list(map(lasting, before))
    with apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY) as file_:
        assert [row[0] for row in file_.execute("SELECT name FROM pragma_table_info('words')")] == [
            "body",
            "name",
            "dates",
        ]
        assert list(file_.execute("SELECT count(*) FROM pragma_table_info('words_past')")) == [(4,)], (
            "is asked as it is"
        )


def test_vectors_of_an_older_store_serve_with_all_their_components_until_reindexing(home: Path) -> None:
    store = home / "memory.db"
    store.write_bytes(zstandard.ZstdDecompressor().decompress((KEPT / "schema-7.db.zst").read_bytes()))

    def told(memory: Memory) -> tuple[str, int, bool]:
        wait_for_vectors(memory)
        meaning = memory.get_memory_status().meaning
        assert meaning is not None
        return meaning.state, meaning.dimension, "meaning" in memory.search_nodes("reading", limit=1).arms

    with Memory() as memory:
        assert told(memory) == ("ready", 192, True)
        memory.create_entities([EntityInput("Newcomer", "thing", ["came after the upgrade"])])
        assert told(memory)[:2] == ("ready", 192)
        memory.reindex("meaning")
        while (status := memory.get_memory_status()).reindexing and status.reindexing.state == "running":
            time.sleep(0.02)
        assert told(memory) == ("ready", STORED, True)
        assert memory.verify().ok
