"""Moving out and in: nothing that a store holds is lost on the way, and what cannot be used is named."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import apsw
import msgspec
import psutil
import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Conflict, Denied, Invalid, NotFound, TooLarge
from enhanced_memory.client.operations.branches import DiscardBranch, MemoryBranch, MergeBranch
from enhanced_memory.client.operations.conflicts import ListConflicts, ResolveConflict
from enhanced_memory.client.operations.entities import (
    AddObservations,
    Confirm,
    CreateEntities,
    DeleteEntities,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    Pin,
    PurgeEntities,
    RenameEntity,
    RestoreEntities,
    Tag,
    Untag,
    UpdateEntity,
)
from enhanced_memory.client.operations.relations import CreateRelations, DeleteRelations
from enhanced_memory.client.operations.service import ExportData, ImportData, Imported, Verify
from enhanced_memory.client.operations.spaces import CreateSpace, DeleteSpace
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.operations.versions import MemoryCommit
from enhanced_memory.client.request import HANDLERS, Change, Request
from enhanced_memory.client.values import EntityInput, MessageInput, ObservationInput, OriginInput, RelationInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.handlers.told import details_of
from enhanced_memory.daemon.store import Engine, transfer
from enhanced_memory.daemon.store.conflicts import Proposal
from enhanced_memory.daemon.store.keeping import KeptWords
from enhanced_memory.daemon.store.records import Attributes, Extra, NotedRecord, VersionRecord
from enhanced_memory.daemon.store.records import Record as Record_

from ..conftest import Stores, opened
from ..databases import connected

assert handlers.__all__  # importing the chapters registers them

ROOT = Path(__file__).parents[2]

Record = dict[str, Any]


# Of a state only the newest versions are kept, and what follows from them begins with the oldest of those.
KEPT = "entity NOT IN (SELECT id FROM entities WHERE type = 'agent_state')"
TABLES = (
    "SELECT * FROM spaces",
    "SELECT number, at, space, op, message FROM changes",
    "SELECT * FROM journal",
    "SELECT * FROM snapshots",
    "SELECT space, id, entity, other, part, other_part, type, confidence, reason, action, status, notes, found, began, ended FROM conflicts",
    "SELECT space, id, scope, type, version, first, began, deleted, tier, priority, pinned, quarantined, expires_at, text_bytes FROM entities",
    "SELECT space, entity, version, began, ended, deleted, whole FROM versions",
    f"SELECT * FROM names WHERE {KEPT}",
    f"SELECT * FROM tags WHERE {KEPT}",
    f"SELECT * FROM properties WHERE {KEPT}",
    f"SELECT space, entity, part, message, began, ended FROM passages WHERE ended <> began AND {KEPT}",
    "SELECT * FROM relations",
    "SELECT id, space, stream, role, kind, speaker, at, tick, importance, tokens, began, ended, crc FROM messages",
    "SELECT * FROM uses",
    "SELECT * FROM merges",
    "SELECT count(*) FROM words_docsize",
    "SELECT count(*) FROM words_past_docsize",
)


class Store:
    """An engine, and somebody who works in its spaces."""

    def __init__(self, engine: Engine, clock: Callable[[], int]) -> None:
        self.engine = engine
        self.clock = clock

    async def do(self, ask: Request[Any], space: str = "default", **peer: Any) -> Any:
        call = Call(Peer(**{"client": "test", "user": "tester", "space": space, "greeted": True} | peer), ask)
        handler = HANDLERS[ask.op]
        if isinstance(ask, Change):
            self.clock.ms += 1000
            return await self.engine.write(lambda tx: msgspec.to_builtins(handler(tx, ask)), call)
        return await self.engine.read(lambda tx: msgspec.to_builtins(handler(tx, ask)), call)

    async def export(self, limit: int = 500, **more: Any) -> list[Record]:
        """All records, as a file of lines gives them back."""
        records: list[Record] = []
        page: Record = {}
        while not page or page.get("cursor"):
            page = await self.do(
                ExportData(limit=limit, cursor=page.get("cursor"), **({"change": page["change"]} if page else more))
            )
            assert len(page["records"]) <= limit
            records += page["records"]
        return [msgspec.json.decode(msgspec.json.encode(record)) for record in records]

    async def take(self, records: list[Record], batch: int = 1000, job: str = "job", **more: Any) -> Imported:
        """Import in batches; the sum of what was told."""
        counts: dict[str, int] = {}
        problems: list[str] = []
        results: list[Any] = []
        for start in range(0, len(records), batch):
            took = await self.do(ImportData(records[start : start + batch], job=job, **more))
            for key, value in took["counts"].items():
                counts[key] = counts.get(key, 0) + value
            problems += took.get("problems", [])
            results += took["results"]
        return Imported(results, counts, problems)

    async def sound(self) -> None:
        health = await self.engine.check(quick=False)
        assert health.problems == []

    def tables(self) -> dict[str, list[Any]]:
        """Every row that an import has to make anew, without the numbers that are a file's own."""
        if self.engine.path.startswith("postgresql:"):
            with connected(self.engine.path) as database:
                return {sql: sorted(map(repr, database.execute(sql.replace("_docsize", "")))) for sql in TABLES}
        connection = apsw.Connection(self.engine.path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return {sql: sorted(map(repr, connection.execute(sql))) for sql in TABLES}
        finally:
            connection.close()

    async def seen(self, space: str, until: int) -> Any:
        """What a view of a space as it was after a change tells, by id, name, edge, message and word."""

        def look(tx: Any) -> Any:
            view = tx.view_of(space)
            if view is None:
                return None
            view = view.until(until)
            found = tx.entities.page(limit=1000, view=view)
            ids = [one.id for one in found]
            return (
                [(one.id, one.version, one.began, one.first, one.scope, told(tx, one.state)) for one in found],
                {one.state.name: tx.entities.named(one.state.name, one.scope, view) for one in found},
                [
                    (edge.id, edge.from_, edge.to, edge.type, edge.strength, edge.metadata, edge.began)
                    for edge in tx.relations.touching(ids, view=view)
                ],
                [[message for message in tx.streams.read(one, limit=1000, view=view)] for one in ids],
                sorted(
                    (one.entity, one.part, one.message, one.began, one.ended, round(one.score, 6))
                    for messages in (False, True)
                    for one in tx.words.matching("tea chess rain line version ünïcode 北京", 1000, view, messages)[0]
                ),
            )

        def told(tx: Any, state: Any) -> Any:
            plain = msgspec.to_builtins(state)
            for noted in plain["observations"]:
                for key in ("origin", "trusted"):
                    if noted["extra"] and key in noted["extra"]:
                        noted["extra"][key] = tx.log.origins([noted["extra"][key]])
                        noted["extra"][key] = list(noted["extra"][key].values())
            return plain

        return await self.engine.read(look, Call(Peer(greeted=True), ExportData()))


@pytest.fixture
def store(engine: Engine, clock: Any) -> Store:
    """A store."""
    return Store(engine, clock)


@pytest.fixture
async def other(home: Path, settings: Settings, clock: Any, stores: Stores) -> AsyncIterator[Store]:
    """A second store without any change."""
    made = await opened(replace(settings, store=stores(home / "other.db")), clock)
    yield Store(made, clock)
    await made.close()


WHEN = datetime(2024, 2, 28, 12, 0, 0, 123000, tzinfo=UTC)


async def fill(store: Store) -> None:
    """Something of everything that a store can hold."""
    do = store.do
    said = ObservationInput(
        "drinks tea ünïcode ☃ 北京", confidence=0.25, valid_from=WHEN, valid_to=WHEN.replace(year=2030),
        origin=OriginInput(session="s1", agent="planner", method="extraction", trust="tool", at=WHEN),
    )  # fmt: skip
    properties = {
        "n": 7, "big": 2**62, "x": 0.1, "whole": 1.0, "yes": True, "no": False, "text": "rain", "long": "r" * 400, "none": None,
        "list": [1, "two", 2.5, True], "map": {"a": {"b": []}}, "\u202eright": "to left", "'; DROP TABLE": "\"quoted\" \\u0000",
    }  # fmt: skip
    given = [
        EntityInput(
            "Ada",
            "person",
            [said, "plays chess", "plays chess"],
            properties,
            ["friend", "é"],
            importance=3.5,
            expires_at=WHEN.replace(year=2100),
        )
    ]
    await do(
        CreateEntities([*given, EntityInput("Bob", "person", ["hates rain"], tier="semantic", priority=9)]),
        agent="a1",
        session="s9",
    )
    await do(CreateEntities([EntityInput("Twin", "character", ["first"]), EntityInput("Gone", "thing", ["was tea"])]))
    await do(CreateEntities([EntityInput("Twin", "character", ["second"])]))
    await do(
        CreateRelations(
            [
                RelationInput("Ada", "Bob", "knows", 0.5, {"since": [2001, "x"]}),
                RelationInput("Ada", "Nobody yet", "awaits"),
                RelationInput("Ghost", "Bob", "haunts"),
            ]
        )
    )
    await do(RenameEntity("Bob", "Robert"))
    await do(CreateEntities([EntityInput("Bob", "thing", ["took the name"])]))
    await do(Tag(["Ada"], ["new"]))
    await do(Untag(["Ada"], ["friend"]))
    await do(Pin(["Ada"]))
    await do(Confirm(["Ada"], ["plays chess"]))
    await do(UpdateEntity("Ada", properties={"n": None, "x": 0.2, "text": 5}, relevance_score=0.5))
    await do(DeleteObservations([ObservationsDeletion("Ada", ["plays chess"])]))
    await do(DeleteEntities(["Gone", "Robert"]))
    await do(RestoreEntities(["Robert"], as_name="Bobby"))
    await do(CreateEntities([EntityInput("Nobody yet", "thing", ["came"])]))
    await do(CreateEntities([EntityInput("Counter", "thing", ["version 0"])]))
    for number in range(1, 100):
        await do(
            CreateEntities(
                [EntityInput("Counter", "thing", [f"version {number}"] if number % 3 else [], {"n": number})]
            )
        )
    await do(
        AppendMessages(
            "talk",
            [
                MessageInput(
                    f"line {n} ☂",
                    "user",
                    tick=n,
                    speaker="Ada",
                    importance=0.5,
                    tokens=3,
                    provider="p",
                    metadata={"n": n},
                )
                for n in range(30)
            ],
        )
    )
    await do(AppendMessages("talk", [MessageInput("line same", at=WHEN), MessageInput("line same", at=WHEN)]))
    # A space over the first one, that sees it changed.
    await do(CreateSpace("over", "default", {"why": ["x", 1]}))
    await do(AddObservations([ObservationsInput("Ada", ["sings in the rain"])]), space="over")
    await do(DeleteEntities(["Bob"]), space="over")
    await do(DeleteRelations([RelationInput("Ada", "Nobody yet", "awaits")]), space="over")
    await do(CreateEntities([EntityInput("Ghost", "thing", ["only here"])]), space="over")
    await do(CreateEntities([EntityInput("Ada", "person", ["later below"])]))
    await do(AppendMessages("talk", [MessageInput("line above")]), space="over")
    # Branches: one of everything, merged with a conflict left over and gone on; one of an entity; one discarded.
    await do(CreateEntities([EntityInput("Plan", "thing", ["tea"], {"n": 1})]))
    for name, more in (("what if", {}), ("of plan", {"entity": "Plan"}), ("gone", {})):
        await do(MemoryBranch(name, **more))
    for space, n in (("default", 2), ("what if", 3)):
        await do(UpdateEntity("Plan", properties={"n": n}), space=space)
    await do(AddObservations([ObservationsInput("Plan", ["chess"])]), space="what if")
    await do(MergeBranch("what if"))
    await do(AddObservations([ObservationsInput("Plan", ["rain"])]), space="what if")
    await do(AddObservations([ObservationsInput("Plan", ["line"])]), space="of plan")
    await do(DiscardBranch("gone"))
    await do(MemoryCommit("so far"))
    await do(CreateSpace("old"))
    await do(CreateEntities([EntityInput("Relic", "thing", ["chess"])]), space="old")
    await do(DeleteSpace("old"))
    for number in range(25):
        await do(CreateEntities([EntityInput("state", "agent_state", [], {"step": number})]))
    await do(PurgeEntities(["Relic"], True), space="default")
    store.engine.note("add_use", [{"entity": 1, "count": 3, "last": 1_800_000_000_000}])
    await do(Tag(["Ada"], ["last"]))


# Out and in again, as it was


async def test_an_export_restored_exports_the_same(store: Store, other: Store) -> None:
    await fill(store)
    records = await store.export()
    took = await other.take(records, batch=37)
    assert took.problems == []
    assert await other.export() == records
    await other.sound()
    await store.sound()
    for sql, rows in store.tables().items():
        assert other.tables()[sql] == rows, sql


async def test_a_restored_branch_goes_on_where_it_was(store: Store, other: Store) -> None:
    await fill(store)
    await other.take(await store.export())
    for one in (store, other):
        merged = await one.do(MergeBranch("what if"))
        assert ([clash["part"] for clash in merged["conflicts"]], merged["updated"]) == (["property:n"], 1)
        with pytest.raises(Denied, match="alone"):
            await one.do(CreateEntities([EntityInput("Other", "thing")]), space="of plan")
    for space in ("default", "what if", "of plan"):
        assert await living(other, space) == await living(store, space)


async def test_the_past_of_a_restored_store_is_the_past(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every moment of every space: states, names, relations, messages and words as the index on disk scores them."""
    monkeypatch.setattr(KeptWords, "worthwhile", False)
    await fill(store)
    records = await store.export()
    await other.take(records)
    last = records[0]["change"]
    assert last > 150
    for space in ("default", "over", "what if"):
        for number in [*range(1, last + 1, 7), *range(last - 45, last + 1)]:
            assert await other.seen(space, number) == await store.seen(space, number), (space, number)
        assert all(await other.seen(space, last))


async def test_an_export_holds_every_kind_and_every_version(store: Store) -> None:
    await fill(store)
    records = await store.export()
    assert {record["type"] for record in records} == {
        "export",
        "space",
        "change",
        "entity",
        "relation",
        "message",
        "journal",
        "use",
        "merge",
        "snapshot",
        "conflict",
    }
    [counter] = [one for one in records if one["type"] == "entity" and one["versions"][0]["name"] == "Counter"]
    assert [version["version"] for version in counter["versions"]] == list(range(1, 101))
    assert [one["name"] for one in records if one["type"] == "space" and one["ended"]] == ["gone", "old"]


async def test_what_is_written_next_gets_new_numbers(store: Store, other: Store) -> None:
    """Also where the highest ids were purged before the export."""
    await fill(store)
    made = (await store.do(CreateEntities([EntityInput("Brief", "thing")])))["results"][0]["id"]
    await store.do(PurgeEntities(["Brief"], True))
    await other.take(await store.export())
    then = store.clock.ms
    for each in (store, other):
        store.clock.ms = then
        assert (await each.do(CreateEntities([EntityInput("New", "thing", ["tea"])])))["results"][0]["id"] == made + 1
        await each.do(CreateRelations([RelationInput("New", "Ada", "likes")]))
        await each.do(AppendMessages("talk", [MessageInput("line new")]))
        await each.do(RestoreEntities(["Gone"]))
    ours, theirs = await store.export(), await other.export()
    assert theirs == ours
    await other.sound()


@pytest.mark.parametrize("limit", [1, 7])
async def test_pages_of_any_size_tell_the_same(store: Store, limit: int) -> None:
    await fill(store)
    assert await store.export(limit) == await store.export(2000)


async def test_a_page_is_bounded_by_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(store)
    whole = await store.export()
    monkeypatch.setattr(transfer, "PAGE_BYTES", 3000)
    page = await store.do(ExportData(limit=2000))
    assert len(msgspec.msgpack.encode(page["records"])) <= 3100
    assert page["total"] >= len(whole)
    assert await store.export(2000) == whole


async def test_an_entity_with_a_long_past_goes_into_several_records(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is put together again from them, whatever batches they come in."""
    await fill(store)
    whole = await store.export()
    monkeypatch.setattr(transfer, "PART_BYTES", 500)
    parts = await store.export(3)
    assert len(parts) > len(whole) + 10
    took = await other.take(parts, batch=11)
    assert took.problems == []
    await other.sound()
    monkeypatch.undo()
    assert await other.export() == whole
    for sql, rows in store.tables().items():
        assert other.tables()[sql] == rows, sql


async def test_what_no_message_can_hold_is_named(store: Store) -> None:
    await store.do(CreateEntities([EntityInput("Vast", "thing", ["x" * 900_000])]))
    store.engine.settings = replace(store.engine.settings, max_frame_bytes=500_000)
    with pytest.raises(TooLarge, match="entity 1"):
        await store.export()


async def test_what_is_written_during_an_export_is_not_in_it(store: Store, other: Store) -> None:
    """Heads that changed, spaces that came back, relations that ended: all told as they were at the first page."""
    await fill(store)
    before = await store.export()
    page = await store.do(ExportData(limit=5))
    records = list(page["records"])
    edits = iter((
        (RenameEntity("Ada", "Countess"), "default"), (DeleteEntities(["Countess"]), "default"), (CreateSpace("old"), "default"),
        (CreateEntities([EntityInput("Ada", "impostor", ["tea"])]), "default"), (CreateEntities([EntityInput("Fresh", "thing")]), "over"),
        (AppendMessages("talk", [MessageInput("late")]), "default"), (RestoreEntities(["Bob"]), "over"),
        (DeleteEntities(["talk"]), "default"), (CreateSpace("newer", "over"), "default"), (RestoreEntities(["Gone"]), "default"),
    ))  # fmt: skip
    while page.get("cursor"):
        edit = next(edits, None)
        if edit is not None:
            await store.do(*edit)
        page = await store.do(ExportData(limit=5, cursor=page["cursor"], change=page["change"]))
        records += page["records"]
    assert next(edits, None) is None
    assert [msgspec.json.decode(msgspec.json.encode(record)) for record in records] == before
    assert (await other.take(before)).problems == []


async def test_a_version_that_is_no_longer_kept_is_told_by_the_oldest_that_is(store: Store, other: Store) -> None:
    await store.do(CreateEntities([EntityInput("state", "agent_state", [], {"step": 0})]))
    page = await store.do(ExportData(limit=1))
    for number in range(1, 30):
        await store.do(CreateEntities([EntityInput("state", "agent_state", [f"o{number}"], {"step": number})]))
    rest = await store.do(ExportData(limit=100, cursor=page["cursor"]))
    records = page["records"] + rest["records"]
    [told] = [one for one in records if one["type"] == "entity"]
    assert [version["late"] for version in told["versions"]] == [True]
    assert told["versions"][0]["began"] == page["change"] == 1
    assert (await other.take(records)).problems == []
    await other.sound()


async def test_an_export_can_show_the_past(store: Store, other: Store) -> None:
    await store.do(CreateEntities([EntityInput("Ada", "person", ["one"])]))
    first = await store.export()
    await store.do(CreateEntities([EntityInput("Ada", "person", ["two"])]))
    assert await store.export(change=1) == first
    for change in (-1, 3):
        with pytest.raises(Invalid, match="no change"):
            await store.do(ExportData(change=change))
    page = await store.do(ExportData(limit=1))
    for cursor, change in ((page["cursor"], 1), ("nonsense", None)):
        with pytest.raises(Invalid):
            await store.do(ExportData(cursor=cursor, change=change))


async def test_random_histories_come_through(store: Store, other: Store) -> None:
    chance = random.Random(7)
    names = [f"n{number}" for number in range(8)]
    await store.do(CreateSpace("over", "default"))
    for _ in range(150):
        name, space = chance.choice(names), chance.choice(("default", "over"))
        ask = chance.choice((
            CreateEntities([EntityInput(name, "thing", [f"o{chance.randrange(9)}"], {"k": chance.choice([1, 1.0, True, "t", None])}, [chance.choice("ab")])]),
            DeleteEntities([name]), RestoreEntities([name]), RenameEntity(name, chance.choice(names)), Untag([name], ["a"]),
            CreateRelations([RelationInput(name, chance.choice(names), "r")]), DeleteRelations([RelationInput(name, chance.choice(names), "r")]),
        ))  # fmt: skip
        with suppress(Conflict, NotFound):
            await store.do(ask, space=space)
    records = await store.export()
    assert (await other.take(records, batch=50)).problems == []
    assert await other.export() == records
    await other.sound()
    for sql, rows in store.tables().items():
        assert "relations" in sql or other.tables()[sql] == rows, sql
    for number in range(1, records[0]["change"] + 1, 5):
        for space in ("default", "over"):
            assert await other.seen(space, number) == await store.seen(space, number)


async def test_the_example_in_the_manual_is_an_export(other: Store) -> None:
    page = (ROOT / "docs" / "export.md").read_text("utf-8")
    [lines] = [block for block in re.findall(r"```jsonl\n(.*?)```", page, re.DOTALL) if '"type": "export"' in block]
    records = [msgspec.json.decode(line) for line in lines.splitlines()]
    assert (await other.take(records)).problems == []
    assert await other.export() == records
    await other.sound()


async def test_the_manual_names_every_record_and_field() -> None:
    page = (ROOT / "docs" / "export.md").read_text("utf-8")
    structs = [*get_args(Record_), VersionRecord, NotedRecord, Extra, Attributes]
    names = {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)}
    names |= {struct.__struct_config__.tag for struct in get_args(Record_)}
    assert [name for name in sorted(names) if f"`{name}`" not in page and f'"{name}"' not in page] == []


# Exact or merged


async def test_something_else_written_during_a_restore_is_a_conflict(store: Store, other: Store) -> None:
    await fill(store)
    records = await store.export()
    await other.take(records[:50])
    await other.do(CreateEntities([EntityInput("Intruder", "thing")]))
    with pytest.raises(Conflict, match="written to the store while"):
        await other.take(records[50:])


async def test_a_batch_that_comes_twice_is_taken_once(store: Store, other: Store) -> None:
    await fill(store)
    records = await store.export()
    for start in range(0, len(records), 60):
        for _ in range(2):
            assert (await other.take(records[start : start + 60])).problems == []
    assert await other.export() == records
    await other.sound()


async def living(store: Store, space: str = "default") -> Any:
    """What a space shows, without the numbers that are a store's own."""

    def look(tx: Any) -> Any:
        found = tx.entities.page(limit=1000)
        edges = tx.relations.told(tx.relations.touching([one.id for one in found]) + tx.relations.loose())
        return (
            sorted(
                (one.state.name, one.state.type, one.scope if not one.scope.startswith("#") else "#", [noted.text for noted in one.state.observations],
                 repr(sorted(one.state.properties.items())), sorted(one.state.tags), one.created_at) for one in found),
            sorted({(edge.from_, edge.type, edge.to, edge.strength, repr(edge.metadata)) for edge in edges}),
            sorted((one.state.name, message.role, message.content, message.at, message.tick or 0) for one in found for message in tx.streams.read(one.id, limit=1000)),
        )  # fmt: skip

    return await store.engine.read(look, Call(Peer(greeted=True, space=space), ExportData()))


async def test_a_merge_brings_what_lives_into_every_space(store: Store, other: Store) -> None:
    await fill(store)
    await other.do(CreateEntities([EntityInput("Mine", "thing", ["stays"])]))
    before = await living(other)
    took = await other.take(await store.export(), batch=41)
    assert took.problems == []
    assert took.counts["versions_left_out"] > 90
    assert {
        "journal_left_out",
        "deleted_left_out",
        "retired_spaces_left_out",
        "ended_relations_left_out",
        "uses_left_out",
    } <= took.counts.keys()
    for space in ("default", "over"):
        ours, theirs = await living(store, space), await living(other, space)
        assert [one for one in theirs[0] if one not in before[0]] == ours[0]
        assert theirs[1:] == ours[1:]
    await other.sound()


async def test_a_merge_again_adds_nothing(store: Store, other: Store) -> None:
    await fill(store)
    await other.do(CreateEntities([EntityInput("Mine", "thing", ["stays"])]))
    records = await store.export()
    await other.take(records, batch=41, job="one")
    first = await other.export()
    for job, batch in (("two", 1000), ("two", 53), ("three", 30)):
        took = await other.take(records, batch=batch, job=job)
        assert took.problems == []
        assert not {"created", "updated", "messages", "relations", "spaces"} & took.counts.keys(), took.counts
    assert await other.export() == first


async def test_an_export_merged_into_its_own_store_adds_nothing(store: Store) -> None:
    await fill(store)
    records = await store.export()
    took = await store.take(records)
    assert took.problems == []
    assert await store.export() == records


async def test_what_exists_is_added_to_or_left(store: Store, other: Store) -> None:
    await store.do(CreateEntities([EntityInput("Ada", "person", ["tea", "both"], {"a": 1, "b": 2}, ["x"])]))
    records = await store.export()
    mine = EntityInput("Ada", "person", ["both", "chess"], {"b": 3, "c": 4}, ["y"])
    await other.do(CreateEntities([mine]))
    assert (await other.take(records, job="s", on_existing="skip")).counts["skipped"] == 1
    assert (await living(other))[0][0][3] == ["both", "chess"]
    assert (await other.take(records, job="m")).counts["updated"] == 1
    [(_, _, _, observations, properties, tags, _)] = (await living(other))[0]
    assert observations == ["both", "chess", "tea"]
    assert properties == repr([("a", 1), ("b", 2), ("c", 4)])
    assert tags == ["x", "y"]


async def test_a_merge_brings_conflicts_that_wait_or_were_ignored(store: Store, other: Store) -> None:
    """About the same observations, whatever their numbers are here; what was resolved is what the entities say."""
    says: list[str | ObservationInput] = ["Lives in Rome", "Lives in Oslo", "Is vegan", "Eats meat"]
    await store.do(CreateEntities([EntityInput("Ada", "person", says), EntityInput("Eve", "person", says)]))

    def record(tx: Any) -> None:
        for part in (1, 3):
            tx.conflicts.record(Proposal(1, 1, part, part + 1, "contradiction", 0.9, "a reason", "update"))
        tx.conflicts.record(Proposal(1, 2, 0, 0, "duplicate", 1.0, "the same", "merge"))

    await store.engine.write(record, Call(Peer(greeted=True), ExportData()))
    await store.do(ResolveConflict(2, "ignore", notes="a joke"))
    await store.do(ResolveConflict(3, "update"))
    records = await store.export()
    await other.do(CreateEntities([EntityInput("Mine", "thing"), EntityInput("Ada", "person", ["Is vegan", "Sings"])]))
    for job in ("one", "two"):
        took = await other.take(records, batch=4, job=job)
        assert (took.problems, took.counts["conflicts_left_out"]) == ([], 3)
    told = (await other.do(ListConflicts(status="any")))["conflicts"]
    assert [(one["entity"], one["entity_says"], one["conflicting_says"], one.get("status", "pending"), one.get("notes", "")) for one in told] == [
        ("Ada", "Is vegan", "Eats meat", "ignored", "a joke"), ("Ada", "Lives in Rome", "Lives in Oslo", "pending", ""),
    ]  # fmt: skip


async def test_a_merge_keeps_who_said_it_and_trusts_it_as_imported(store: Store, other: Store) -> None:
    """An exact restore keeps the trust too."""
    await fill(store)
    records = await store.export()
    await other.do(CreateEntities([EntityInput("Mine", "thing")]))
    await other.take(records)

    def details(tx: Any) -> Any:
        one = tx.entities.get("Ada")
        return details_of(tx, [one])[one.id]

    ours = await store.engine.read(details, Call(Peer(greeted=True), ExportData()))
    theirs = await other.engine.read(details, Call(Peer(greeted=True), ExportData()))
    assert {one.origin.trust for one in ours} == {"tool", "agent"}
    assert {one.origin.trust for one in theirs} == {"import"}
    for one, copied in zip(ours, theirs, strict=True):
        assert (one.text, one.at, one.confidence, one.valid_from, one.valid_to) == (
            copied.text,
            copied.at,
            copied.confidence,
            copied.valid_from,
            copied.valid_to,
        )
        assert (one.origin.agent, one.origin.session, one.origin.method) == (
            copied.origin.agent,
            copied.origin.session,
            copied.origin.method,
        )


# What cannot be used

GOOD: list[Record] = [
    {"type": "export", "version": 1, "change": 2},
    {"type": "space", "id": 1, "name": "default"},
    {"type": "change", "number": 1, "at": 1_700_000_000_000, "space": 1, "op": "create_entities"},
    {"type": "change", "number": 2, "at": 1_700_000_001_000, "space": 1, "op": "create_entities"},
    {
        "type": "entity",
        "space": 1,
        "id": 1,
        "first": 1,
        "head": 1,
        "versions": [{"version": 1, "began": 1, "name": "Ada", "type": "person"}],
    },
]


def entity(**more: Any) -> Record:
    version = {"version": 1, "began": 2, "name": "Bob", "type": "person"} | more.pop("version", {})
    return {"type": "entity", "space": 1, "id": 2, "first": 2, "head": 1, "versions": [version]} | more


OBSERVED = {"id": 1, "change": 2, "text": "tea"}
BAD: dict[str, Record] = {
    "no type": {},
    "a type that is no text": {"type": 5},
    "an unknown kind": {"type": "dream", "id": 1},
    "another version of the format": {"type": "export", "version": 99, "change": 2},
    "a name that is no text": entity(version={"name": 5}),
    "no versions": entity(versions=[]),
    "a field that is not known": entity(colour="red"),
    "a NUL in a name": entity(version={"name": "B\0b"}),
    "a NUL in a property": entity(version={"properties": {"a": ["\0"]}}),
    "a NUL in an observation": entity(version={"observations": [OBSERVED | {"text": "\0"}], "next_id": 2}),
    "a NUL in an origin": entity(version={"observations": [OBSERVED | {"extra": {"origin": {"agent": "\0"}}}], "next_id": 2}),
    "an unknown trust": entity(version={"observations": [OBSERVED | {"extra": {"origin": {"trust": "god"}}}], "next_id": 2}),
    "a tier that there is not": entity(version={"attributes": {"tier": 9}}),
    "an observation's id that would be given out again": entity(version={"observations": [OBSERVED], "next_id": 1}),
    "an observation of no version": entity(version={"observations": [7], "next_id": 8}),
    "two observations of one id": entity(version={"observations": [OBSERVED, OBSERVED], "next_id": 2}),
    "a number beyond 64 bits": entity(version={"properties": {"n": 2**70}}),
    "a number that is none": entity(version={"properties": {"n": float("nan")}}),
    "an unknown space": entity(space=9),
    "an unknown change": entity(version={"observations": [OBSERVED | {"change": 8}], "next_id": 2}),
    "a change from before the entity": entity(first=2, version={"began": 1}),
    "versions that do not follow": entity(head=3, versions=[{"version": 1, "began": 1, "name": "B", "type": "t"}, {"version": 3, "began": 2, "name": "B", "type": "t"}]),
    "a relation to nothing": {"type": "relation", "space": 1, "id": 1, "kind": "r", "began": 1, "from_id": 1, "to_id": 77},
    "a message in no stream": {"type": "message", "id": 1, "space": 1, "stream": 77, "role": "user", "kind": "dialogue", "content": "x", "at": 1, "began": 1},
    "a message of no time": {"type": "message", "id": 1, "space": 1, "stream": 1, "role": "user", "kind": "dialogue", "content": "x", "at": 2**60, "began": 1},
    "a conflict of an unknown kind": {"type": "conflict", "space": 1, "id": 1, "kind": "envy"},
    "a space over nothing": {"type": "space", "id": 2, "name": "over", "parent": 7},
}  # fmt: skip
CONFLICT: Record = {
    "type": "conflict", "space": 1, "id": 1, "kind": "duplicate", "entity": 1, "other": 1, "part": 0, "other_part": 0, "confidence": 0.9,
    "reason": "", "action": "merge", "status": "pending", "notes": "", "found": 1, "began": 1,
}  # fmt: skip
EXACTLY: dict[str, Record] = {
    "a merge of nothing": {
        "type": "merge",
        "branch": 77,
        "target": 1,
        "subject": "all",
        "id": 0,
        "part": "",
        "began": 1,
        "base": 1,
    },
    "a merge at nothing": {
        "type": "merge",
        "branch": 1,
        "target": 1,
        "subject": "all",
        "id": 0,
        "part": "",
        "began": 77,
        "base": 1,
    },
    "a conflict of nothing": CONFLICT | {"other": 77},
    "a conflict at nothing": CONFLICT | {"found": 77},
    "a name that is taken": entity(version={"name": "Ada"}),
    "a journal entry of no change": {
        "type": "journal",
        "number": 9,
        "seq": 0,
        "subject": "entity",
        "id": 1,
        "act": "create",
    },
    "a use of nothing": {"type": "use", "entity": 77, "count": 1, "last": 1},
    "a change in no space": {"type": "change", "number": 3, "at": 1, "space": 7, "op": "x"},
    "a space whose name is another's": {"type": "space", "id": 2, "name": "default"},
}


@pytest.mark.parametrize(("bad", "merged"), [(bad, False) for bad in (*BAD, *EXACTLY)] + [(bad, True) for bad in BAD])
async def test_a_bad_record_is_named_and_costs_no_other(store: Store, other: Store, bad: str, merged: bool) -> None:
    """Neither in an exact import nor in a merge."""
    after = {
        "type": "entity",
        "space": 1,
        "id": 3,
        "first": 2,
        "head": 1,
        "versions": [{"version": 1, "began": 2, "name": "Eve", "type": "person"}],
    }
    found: list[list[Record]] = []
    for each, more in ((store, [(BAD | EXACTLY)[bad]]), (other, [])):
        store.clock.ms = 1_800_000_000_000
        if merged:
            await each.do(CreateEntities([EntityInput("Mine", "thing")]))
        took = await each.take([*GOOD, *more, after])
        assert [problem.split(":")[0] for problem in took.problems] == [f"record {len(GOOD) + 1}"] * len(more)
        found.append(await each.export())
        await each.sound()
    assert found[0] == found[1]


async def test_a_merge_holds_to_the_limits_on_text(other: Store) -> None:
    await other.do(CreateEntities([EntityInput("Mine", "thing")]))
    took = await other.take([*GOOD, entity(version={"name": "n" * 5000})])
    assert len(took.problems) == 1
    assert "record 6" in took.problems[0]


# Through the daemon


def test_a_daemon_hands_out_and_takes_in(memory: Memory, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.send(CreateEntities([EntityInput("Ada", "person", ["tea"])]))
    records = memory.send(ExportData()).records
    monkeypatch.setenv("ENHANCED_MEMORY_STORE", str(home / "second.db"))
    monkeypatch.setenv("ENHANCED_MEMORY_SOCKET", str(home / "run" / "second.sock"))
    with Memory() as second:
        daemon = psutil.Process(second.welcome.pid)
        try:
            assert second.send(ImportData(records, job="x")).problems == []
            assert second.send(ExportData()).records == records
            assert second.send(Verify()).ok
        finally:
            daemon.terminate()
            daemon.wait(20)
