#!/usr/bin/env python3
"""Make the small store that is kept of this version of the schema: `tests/store/kept/schema-N.db.zst`, and beside it what it
answered on the day it was made.

Run it once whenever `schema.sql` has a new `user_version`, and commit both files; `test_kept_stores.py` opens every one of them
for as long as files of that version may be about. Every table must hold a row; the script refuses to keep less. A file that is
there already is never made anew.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw
import msgspec
import zstandard

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.operations.entities import AddObservations, ObservationsDeletion, ObservationsInput
from enhanced_memory.client.operations.service import Behalf, Hello
from enhanced_memory.client.request import REQUESTS
from enhanced_memory.client.values import (
    EntityInput,
    MessageInput,
    ObservationInput,
    OriginInput,
    RelationInput,
)
from enhanced_memory.daemon.store.sqlite.file import schema_version

KEY = "a key that is kept"
KEPT = Path(__file__).parent / "kept"
EMPTY = {"merges": "", "words_past": ""}
"""Tables that may be empty."""

QUESTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("default", "open_nodes", {"names": ["Ada", "Engine", "Bob", "Old name", "New name"], "details": True}),
    ("default", "open_nodes", {"names": ["Ada"], "at": "first light", "details": True}),
    ("default", "list_entities", {"limit": 12, "details": True}),
    ("default", "list_entities", {"deleted": True, "details": True}),
    ("default", "list_entities", {"tags": ["pioneer"]}),
    ("default", "memory_history", {"entity": "Ada", "limit": 100}),
    ("default", "memory_diff", {"entity": "Ada", "old": 1, "new": 3}),
    ("default", "read_graph", {"limit": 12}),
    ("default", "find_related", {"entity": "Ada", "depth": 2}),
    ("default", "recent_messages", {"stream": "talk", "limit": 100}),
    ("default", "recent_messages", {"stream": "put away", "limit": 100}),
    ("default", "list_branches", {"discarded": True}),
    ("default", "diff_branch", {"branch": "idea"}),
    ("default", "list_snapshots", {}),
    ("default", "list_spaces", {"deleted": True}),
    ("default", "list_conflicts", {"status": "any"}),
    ("default", "list_skills", {}),
    ("default", "journal", {"limit": 200}),
    ("idea", "open_nodes", {"names": ["Ada", "Only in the idea"], "details": True}),
    ("project", "open_nodes", {"names": ["Ada", "Engine"], "details": True}),
    ("default", "graph_at", {"at": 12, "limit": 12}),
]
"""Asked when the store is made and whenever it is opened: (space, operation, arguments)."""

SEARCHES = ["analytical engine", "brass wheels", "lighthouse", "Grüße aus München", "雪が降る"]
"""What they find is noted by name: the order may become a better one."""

PASSING = frozenset(("access_count", "compressed_size", "last_accessed", "relevance_score", "score", "seconds"))
"""Parts of answers that asking itself, time alone or packing anew changes."""


def asked(memory: Memory, questions: list[tuple[str, str, dict[str, Any]]] = QUESTIONS) -> list[dict[str, Any]]:
    """The answer to each question, and what each of `SEARCHES` finds."""
    told: list[dict[str, Any]] = []
    for space, op, args in questions:
        memory.switch(space)
        answer = memory.send(msgspec.convert(args, REQUESTS[op]))
        told.append({"space": space, "op": op, "args": args, "answer": lasting(msgspec.to_builtins(answer))})
    memory.switch("default")
    wait_for_vectors(memory)
    for query in SEARCHES:
        found = memory.search_nodes(query, limit=5)
        told.append({"query": query, "found": sorted(hit.entity.name for hit in found.hits)})
    return told


def lasting(value: Any) -> Any:
    """`value` without what asking changes."""
    if isinstance(value, dict):
        return {key: lasting(part) for key, part in value.items() if key not in PASSING}
    if isinstance(value, list):
        return [lasting(part) for part in value]
    return value


def fill(memory: Memory) -> None:
    """Remember something of every kind, and let some of it become past."""

    def add(entity: str, text: str) -> None:
        memory.add_observations([ObservationsInput(entity, [text])])

    memory.send(Hello(client="keep", agent="archivist", session="s1", behalf=Behalf(user="ada@example.org")))
    memory.create_entities(
        [
            EntityInput(
                "Ada", "person", ["wrote notes on the analytical engine", "born in 1815"],
                properties={"age": 36, "city": "London", "languages": ["English", "French"], "nested": {"a": [1, None, 2.5]}},
                tags=["pioneer", "mathematics"],
            ),
            EntityInput("Engine", "machine", ["has brass wheels", "Grüße aus München", "雪が降る"]),
            EntityInput("Bob", "person", ["keeps the lighthouse"]),
            EntityInput("Old name", "thing", ["will be called otherwise"]),
            EntityInput("Doomed", "thing", ["will be deleted"]),
            EntityInput("Gone", "thing", ["will be purged without a trace"]),
        ]
    )  # fmt: skip
    memory.send(AddObservations([ObservationsInput("Ada", ["likes tea"])]), key=KEY)
    for year in range(1835, 1843):
        add("Ada", f"was busy in {year}")
    memory.memory_commit("first light", message="before the changes")
    memory.update_entity(
        "Ada", properties={"age": 37, "city": None}, tier="semantic", priority=9, message="a year later"
    )
    memory.delete_observations([ObservationsDeletion("Ada", ["likes tea"])])
    memory.rename_entity("Old name", "New name")
    memory.create_relations(
        [
            RelationInput("Ada", "Engine", "describes", 0.9, {"since": 1842}),
            RelationInput("Bob", "Nobody yet", "waits_for"),
            RelationInput("Bob", "Ada", "admires"),
        ]
    )
    memory.delete_relations([RelationInput("Bob", "Ada", "admires")])
    memory.tag(["Bob"], ["keeper"])
    memory.untag(["Ada"], ["mathematics"])
    memory.pin(["Ada"])
    memory.confirm(["Bob"])
    memory.quarantine(["Engine"])
    memory.delete_entities(["Doomed"])
    memory.purge_entities(["Gone"], confirm=True)
    memory.create_entities(
        [EntityInput("Dated", "thing", [ObservationInput("was true for a while", origin=OriginInput(trust="import"))])]
    )
    memory.append_messages(
        "talk",
        [
            MessageInput("hello there", role="user", speaker="Bob", tick=1, importance=3.5),
            MessageInput("good evening", role="assistant", kind="dialogue", tokens=2, metadata={"mood": "calm"}),
        ],
    )
    memory.start_session("put away", title="What was archived", user="ada")
    memory.append_messages("put away", [MessageInput(f"line {n} of a finished conversation") for n in range(20)])
    memory.archive_session("put away")
    memory.create_entities([EntityInput("Was away", "thing", ["lay in cold storage for a while"])])
    memory.archive_entities(["Was away"])
    memory.restore_entities(["Was away"])
    memory.save_skill("double", "result = context['n'] * 2", "twice a number", {"n": 1})
    memory.create_space("project", parent="default")
    memory.switch("project")
    add("Engine", "here it is made of steel")
    memory.switch("default")
    memory.memory_branch("idea", message="what if")
    memory.memory_branch("dropped")
    memory.switch("idea")
    memory.create_entities([EntityInput("Only in the idea", "thing", ["a thought"])])
    add("Ada", "an idea about her")
    memory.append_messages("talk", [MessageInput("said in the idea")])
    memory.switch("default")
    memory.merge_branch("idea")
    memory.switch("idea")
    add("Ada", "one more idea")
    memory.switch("default")
    memory.discard_branch("dropped")
    memory.create_entities(
        [EntityInput("Ada twin", "person", ["wrote notes on the analytical engine", "born in 1816"])]
    )
    memory.scan_conflicts(wait_s=10)
    found = memory.list_conflicts().conflicts
    if found:
        memory.resolve_conflict(found[0].id, "ignore", notes="they are two")
    add("Bob", "a mistake")
    memory.undo(dry_run=False)
    memory.create_entities(
        [EntityInput(f"filler {n}", "note", [f"note number {n} about shelves and ropes"]) for n in range(140)]
    )
    memory.search_nodes("lighthouse")


def full(path: Path) -> dict[str, int]:
    """How many rows each table of a store has."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    tables = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite_%'"
        )
    ]
    counts = {name: next(iter(connection.execute(f'SELECT count(*) FROM "{name}"')))[0] for name in tables}
    connection.close()
    return counts


def settled(folder: Path, store: str | Path) -> Settings:
    """Settings, for the daemon too, of a store that is served from a folder of its own."""
    given = {"store": store, "socket": folder / "db.sock", "log_file": folder / "log", "backup_folder": folder / "b"}
    os.environ |= {f"ENHANCED_MEMORY_{name.upper()}": str(value) for name, value in given.items()}
    return Settings.load()


def wait_for_vectors(memory: Memory) -> None:
    """Wait until all that is remembered has its vector, and is found by it."""
    for _ in range(600):
        fares = memory.get_memory_status().meaning
        if fares and fares.state != "waiting" and fares.vectors and not fares.backlog:
            return
        time.sleep(0.1)
    raise RuntimeError(f"vectors are not done: {fares}")


def end(pid: int) -> None:
    """End the daemon, and wait until it is gone."""
    os.kill(pid, 15)
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.05)


def main() -> int:
    """Make the store of the present schema, unless it is there."""
    version = schema_version()
    packed = KEPT / f"schema-{version}.db.zst"
    if packed.exists():
        print(f"{packed} is there already")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    pid = 0
    try:
        with Memory(settled(folder, folder / "memory.db")) as memory:
            pid = memory.get_memory_status().pid
            fill(memory)
            while not full(folder / "memory.db")["dictionaries"]:  # trained in the background
                time.sleep(0.1)
            memory.create_entities([EntityInput("Late", "note", ["packed with the store's own dictionary"])])
            wait_for_vectors(memory)
            memory.backup(str(folder / "b"))
            told = asked(memory)
        end(pid)
        pid = 0
        counts = full(folder / "memory.db")
        lacking = [name for name, rows in counts.items() if not rows and "words" not in name and name not in EMPTY]
        if lacking:
            print(f"nothing was remembered in {', '.join(lacking)}: add to `fill`", file=sys.stderr)
            return 1
        KEPT.mkdir(exist_ok=True)
        packed.write_bytes(zstandard.ZstdCompressor(19).compress((folder / "memory.db").read_bytes()))
        known = {"rows": counts, "answers": told}
        packed.with_name(f"schema-{version}.json").write_text(
            json.dumps(known, ensure_ascii=False, separators=(",", ":")) + "\n"
        )
        print(f"{packed}: {packed.stat().st_size} bytes")
    finally:
        if pid:
            end(pid)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
