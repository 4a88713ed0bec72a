"""Curation by rules: told before it is done, held back by a cap, taken back whole, and not done twice."""

from __future__ import annotations

import hashlib
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from enhanced_memory.client.errors import Conflict, Invalid
from enhanced_memory.client.operations.curation import AutonomousCuration, Curated, PromoteToTier
from enhanced_memory.client.operations.entities import (
    Confirm,
    CreateEntities,
    DeleteEntities,
    ListEntities,
    OpenNodes,
    Pin,
    Quarantine,
    UpdateEntity,
)
from enhanced_memory.client.operations.journal import Journal, Redo, Undo
from enhanced_memory.client.operations.service import GetMemoryStatus
from enhanced_memory.client.operations.spaces import CreateSpace, UpdateSpace
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, ObservationInput, OriginInput
from enhanced_memory.daemon.curation.steadiness import Steadiness, due
from enhanced_memory.daemon.curation.tending import Tending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from enhanced_memory.tests.store.conftest import Place, World

DAY = 86_400_000


class Curator:
    """Curation of the stores' spaces, as the daemon would do it."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        # Here time passes as the clock says.
        self.tending = Tending(
            world.engine, Settings(**settings), Steadiness(world.clock, lambda: world.clock.ms / 1000)
        )

    async def __call__(self, place: Place, **ask: Any) -> Curated:
        self.world.clock.ms += 1000
        done = await self.tending.curate(
            place.call(AutonomousCuration(**{"wait_s": 20.0, "cap": 1.0, "limit": 1000} | ask))
        )
        assert (done.state, done.problem) == ("done", "")
        return done

    async def apply(self, place: Place, **ask: Any) -> Curated:
        return await self(place, dry_run=False, **ask)


@pytest.fixture
async def curate(world: World) -> AsyncIterator[Curator]:
    curator = Curator(world, embedder="none")
    yield curator
    await curator.tending.stop()


async def read(world: World, entity: int, count: int = 1) -> None:
    world.engine.note("add_use", [{"entity": entity, "count": count, "last": world.clock.ms}])
    await world.engine.write(lambda tx: None, world.default.call())


async def state(place: Place) -> str:
    """A digest of all that a space says, history aside."""
    told: list[Any] = []
    for one in (await place.do(ListEntities(limit=1000, details=True))).entities:
        said = [(noted.id, noted.text, msgspec.to_builtins(noted.origin), noted.sources) for noted in one.details]
        told.append(
            (one.id, one.name, one.type, said, one.properties, sorted(one.tags), one.tier, one.priority, one.importance,
             one.always_include, one.quarantined, one.expires_at, one.last_confirmed, one.relevance_score)
        )  # fmt: skip
    told.append(sorted(await place.related()))
    return hashlib.sha256(msgspec.msgpack.encode(told)).hexdigest()


async def tier(place: Place, name: str | int) -> str:
    found = await place.entity(name)
    assert found is not None
    return found.tier


async def episodes(place: Place, *said: str, type: str = "episode") -> list[int]:
    """Entities of the tier episodic, one for each text; several observations with a bar between."""
    made = await place.do(
        CreateEntities(
            [
                EntityInput(f"on day {number} {said[0][:5]}", type, list(text.split("|")), tier="episodic")
                for number, text in enumerate(said)
            ]
        )
    )
    return [one.id for one in made.results]


# Working to episodic


async def test_what_has_settled_becomes_episodic_and_a_dry_run_only_says_so(
    default: Place, world: World, curate: Curator
) -> None:
    for name in ("quiet", "read thrice", "read lately", "changed lately"):
        await default.create(name, "said")
    ids = {name: (await default.entity(name)).id for name in ("read thrice", "read lately")}  # type: ignore[union-attr]
    await read(world, ids["read thrice"], 3)
    world.clock.ms += 29 * DAY
    assert (await curate(default)).counts == {}
    await read(world, ids["read lately"])
    await default.add("changed lately", "more")
    world.clock.ms += 2 * DAY
    await default.create("new", "said")
    told = await curate(default)
    assert (told.counts, told.dry_run, told.changes, told.session) == ({"to_episodic": 1}, True, [], "")
    [act] = told.acts
    assert (act.rule, act.act, act.name, act.before, act.tier) == (
        "to_episodic",
        "promote",
        "quiet",
        "working",
        "episodic",
    )
    assert act.reason == "made 31 days ago, never read"
    assert await tier(default, "quiet") == "working"
    done = await curate.apply(default)
    assert (done.counts, len(done.changes), done.skipped) == ({"to_episodic": 1}, 1, 0)
    assert [act.name for act in done.acts] == ["quiet"]
    assert await default.listed(tiers=["episodic"]) == ["quiet"]
    entry = (await default.do(Journal(change=done.changes[0]))).entries[0]
    assert (entry.op, entry.origin.session, [deed.act for deed in entry.deeds]) == (
        "autonomous_curation",
        done.session,
        ["promote"],
    )
    assert "older than 30 days" in entry.message
    world.clock.ms += 6 * DAY
    assert {act.name for act in (await curate(default)).acts} == {"read lately", "changed lately"}


async def test_a_second_run_changes_nothing(default: Place, world: World, curate: Curator) -> None:
    for number in range(30):
        await default.create(f"old {number}", f"said {number}")
    await episodes(default, *["The user drinks green tea"] * 4)
    world.clock.ms += 31 * DAY
    first = await curate.apply(default)
    assert first.counts == {"to_episodic": 30, "repeated_episodes": 1}
    before, last = await state(default), await world.last_change()
    again = await curate.apply(default)
    assert (again.counts, again.changes, again.left) == ({}, [], 0)
    assert (await state(default), await world.last_change()) == (before, last)


SUBJECTS = ("The user", "Ada", "The broker")
SAID = (
    "drinks green tea", "drinks black tea", "restarts after a deploy", "prefers the dark theme", "prefers dark themes",
    "lives in Ghent", "has 3 spare keys", "has 4 spare keys",
)  # fmt: skip
LONG = "Look through every one of the files that were changed since the last release of the broker"


@pytest.mark.parametrize("model", [False, True], ids=["words", "model"])
@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_left_to_do_in_any_store_once_it_was_curated_without_a_cap(
    seed: int, model: bool, default: Place, world: World
) -> None:
    chance = random.Random(seed)
    curate = Curator(world, embedder="static" if model else "none")
    made: list[int] = []
    for begin in range(0, 60, 20):
        entities = [
            EntityInput(
                f"e{number}", chance.choice(("note", "Note", "action", "preference")),
                [f"{chance.choice(SUBJECTS)} {said}" for said in chance.sample(SAID, chance.randint(1, 4))],
                tier=chance.choice((None, None, "episodic", "episodic", "semantic")), priority=chance.randint(1, 10),
            )
            for number in range(begin, begin + 20)
        ]  # fmt: skip
        made += [one.id for one in (await default.do(CreateEntities(entities))).results]
        for session in range(5):  # alike in the beginning that they are called by
            steps = [LONG, *chance.sample(("run the tests", "push the branch", "tell the others"), 2)]
            await default.say(f"session {session}", *steps, kind="action")
        world.clock.ms += 20 * DAY
    for entity in chance.sample(made, 20):
        await read(world, entity, chance.randint(1, 6))
        if chance.random() < 0.5:
            await default.do(Confirm([entity]))
    if seed % 2:
        limit = {"max_entities": 50} if seed % 4 == 1 else {"max_text_bytes": 5000}
        await default.do(UpdateSpace("default", limit))
    told = await curate(default)
    first = await curate.apply(default)
    assert (first.counts, first.left, first.skipped) == (told.counts, 0, 0)
    assert first.counts["repeated_episodes"] > 0 < first.counts["repeated_actions"]
    before, last = await state(default), await world.last_change()
    again = await curate.apply(default)
    assert (again.counts, [act.name for act in again.acts], again.left) == ({}, [], 0)
    assert (await state(default), await world.last_change()) == (before, last)
    await curate.tending.stop()


async def test_what_settles_and_says_the_same_becomes_knowledge_in_the_same_run(
    default: Place, world: World, curate: Curator
) -> None:
    for name in ("one", "other", "third"):
        await default.create(name, "The user drinks green tea", type="note")
    world.clock.ms += 31 * DAY
    assert (await curate(default)).counts == {"to_episodic": 3, "repeated_episodes": 1}
    assert (await curate.apply(default)).counts == {"to_episodic": 3, "repeated_episodes": 1}
    assert await default.listed(tiers=["semantic"]) == ["The user drinks green tea"]


async def test_knowledge_that_somebody_deleted_is_not_made_again(default: Place, curate: Curator) -> None:
    await episodes(default, *["The user drinks green tea"] * 3)
    await curate.apply(default)
    await default.do(DeleteEntities(["The user drinks green tea"]))
    assert (await curate(default)).counts == {}
    await episodes(default, *["Ada lives in Ghent"] * 3)
    await default.create("Ada lives in Ghent", "a title")  # so it gets another name, under which it is taken back
    done = await curate.apply(default)
    assert [act.name for act in done.acts] == ["Ada lives in Ghent (2)"]
    await default.do(Undo(session=done.session, dry_run=False))
    assert (await curate(default)).counts == {}


async def test_procedures_that_begin_alike_are_each_made_once(default: Place, world: World, curate: Curator) -> None:
    for number in range(3):
        for step in ("run the tests", "push the branch"):
            await default.say(f"session {number} {step}", LONG, step, kind="action")
    assert (await curate.apply(default)).counts == {"repeated_actions": 2}
    assert len(await default.listed(tiers=["procedural"])) == 2
    assert (await curate(default)).counts == {}


async def test_curation_and_undoing_it_leave_all_as_it_was(default: Place, world: World, curate: Curator) -> None:
    for number in range(20):
        await default.create(f"old {number}", f"said {number}", tags=["t"], properties={"n": number})
    await default.relate("old 1", "likes", "old 2")
    await episodes(default, *["The user drinks green tea|Rain all day"] * 4)
    await default.say("work", *["open the file", "run the tests"], kind="action")
    for _ in range(3):
        world.clock.ms += DAY
        await default.say("work", "open the file", "run the tests", "push the branch", kind="action")
    world.clock.ms += 40 * DAY
    before = await state(default)
    done = await curate.apply(default)
    assert done.counts == {"to_episodic": 20, "repeated_episodes": 1, "repeated_actions": 1}
    assert await state(default) != before
    undone = await default.do(Undo(session=done.session, dry_run=False))
    assert sorted(undone.changes) == done.changes
    assert await state(default) == before
    await world.sound()
    again = await curate.apply(default)
    assert again.counts == {}  # what somebody has taken back is not done again
    assert await state(default) == before
    await default.do(Redo(dry_run=False))
    assert len(await default.listed(tiers=["episodic"])) == 24
    await world.sound()


async def test_what_was_undone_is_curated_again_once_somebody_has_changed_it(
    default: Place, world: World, curate: Curator
) -> None:
    await default.create("old", "said")
    world.clock.ms += 40 * DAY
    done = await curate.apply(default)
    await default.do(Undo(change=done.changes[0], dry_run=False))
    world.clock.ms += 40 * DAY
    assert (await curate(default)).counts == {}
    await default.add("old", "more")
    world.clock.ms += 8 * DAY
    assert (await curate(default)).counts == {"to_episodic": 1}


async def test_curation_makes_a_memory_no_younger(default: Place, world: World, curate: Curator) -> None:
    await default.create("old", "said")
    world.clock.ms += 90 * DAY
    before = await default.entity("old")
    await curate.apply(default)
    after = await default.entity("old")
    assert before is not None
    assert after is not None
    assert (before.relevance_score, after.relevance_score, after.tier) == (0.5, 0.5, "episodic")
    await default.add("old", "more")
    found = await default.entity("old")
    assert found is not None
    assert found.relevance_score == 1.0


# The cap


async def test_a_run_keeps_to_its_cap_and_says_what_is_left_for_another_day(
    default: Place, world: World, curate: Curator
) -> None:
    for number in range(40):
        await default.create(f"old {number}", f"said {number}")
    world.clock.ms += 31 * DAY
    told = await curate(default, cap=None)
    assert (told.cap, told.counts, told.left) == (10, {"to_episodic": 10}, 30)
    done = await curate.apply(default, cap=None)
    assert [act.name for act in done.acts] == [f"old {number}" for number in range(10)]
    again = await curate.apply(default, cap=None)
    assert (again.counts, again.left) == ({}, 30)
    world.clock.ms += DAY
    assert (await curate.apply(default, cap=None)).counts == {"to_episodic": 10}
    assert (await curate(default, cap=0.5)).counts == {"to_episodic": 10}
    nothing = await curate.apply(default, cap=0.0)
    assert (nothing.counts, nothing.left) == ({}, 20)


async def test_what_changes_between_thought_and_deed_is_left_alone(
    default: Place, world: World, curate: Curator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other", "read"):
        await default.create(name, "said")
    world.clock.ms += 31 * DAY
    from enhanced_memory.daemon.curation.curating import Curating

    thought_of = Curating._thought_of

    async def disturbed(self: Curating) -> Any:
        plans = await thought_of(self)
        await default.add("one", "more")
        await read(world, (await default.entity("read")).id)  # type: ignore[union-attr]
        return plans

    monkeypatch.setattr(Curating, "_thought_of", disturbed)
    done = await curate.apply(default)
    assert (done.counts, done.skipped) == ({"to_episodic": 1}, 2)
    assert await default.listed(tiers=["episodic"]) == ["other"]


# Episodic to semantic


async def test_what_three_episodes_say_becomes_knowledge_that_names_its_sources(
    default: Place, world: World, curate: Curator
) -> None:
    ids = await episodes(
        default,
        "The user drinks green tea|It rained",
        "the user drinks green tea.|The train was late",
        "The user drinks green tea|Lunch was soup",
        "The user drinks black tea|A call with Bob",
    )
    told = await curate(default)
    [act] = told.acts
    assert (act.rule, act.act, act.entity, act.tier) == ("repeated_episodes", "create", None, "semantic")
    assert (act.observations, act.sources, act.reason) == (
        ["The user drinks green tea"],
        ids[:3],
        "3 similar episodes say it",
    )
    assert await default.entity("The user drinks green tea") is None
    done = await curate.apply(default)
    made = (await default.do(OpenNodes(["The user drinks green tea"], details=True))).entities[0]
    assert (made.id, made.type, made.tier) == (done.acts[0].entity, "episode", "semantic")
    [said] = made.details
    assert (said.text, sorted(source[0] for source in said.sources), said.origin.method) == (
        "The user drinks green tea",
        ids[:3],
        "curation",
    )
    assert {edge for edge in await default.related() if edge[1] == "derived_from"} == {
        (made.name, "derived_from", f"on day {number} The u") for number in range(3)
    }
    assert [await tier(default, number) for number in ids] == ["episodic"] * 4
    await world.sound()


async def test_knowledge_is_trusted_no_more_than_the_least_of_its_sources(default: Place, curate: Curator) -> None:
    said = ["deploys go out on friday"] * 3
    await episodes(default, *said)
    await default.create(
        "told by a page", ObservationInput(said[0], origin=OriginInput(trust="tool")), type="episode", tier="episodic"
    )  # type: ignore[arg-type]
    await curate.apply(default)
    [made] = (await default.do(OpenNodes([said[0]], details=True))).entities
    assert [noted.origin.trust for noted in made.details] == ["tool"]


@pytest.mark.parametrize(
    "said",
    [
        ["The user drinks tea"] * 2,
        ["ok", "ok", "ok", "ok"],
        ["Met Ada", "Met Bob", "Met Eve"],
        ["The build took 5 minutes", "The build took 6 minutes", "The build took 7 minutes"],
        ["The user likes tea", "The user does not like tea", "The user never liked tea"],
        ["The sky was blue|" + "|".join(f"something else {number} {other}" for other in range(9)) for number in range(3)],
    ],
    ids=["two", "saying nothing", "different", "numbers", "denials", "mostly other things"],
)  # fmt: skip
async def test_what_is_not_said_by_three_similar_episodes_becomes_nothing(
    said: list[str], default: Place, curate: Curator
) -> None:
    await episodes(default, *said)
    assert (await curate(default)).counts == {}


async def test_what_is_set_aside_over_or_known_already_becomes_no_knowledge(
    default: Place, world: World, curate: Curator
) -> None:
    first = await episodes(default, *["The user drinks tea"] * 3)
    await default.do(Quarantine([first[0]]))
    assert (await curate(default)).counts == {}
    await default.do(Quarantine([first[0]], quarantined=False))
    assert (await curate(default)).counts == {"repeated_episodes": 1}
    await default.create("known", "the user drinks TEA", tier="semantic")
    assert (await curate(default)).counts == {}


async def test_episodes_of_actions_become_procedural(default: Place, curate: Curator) -> None:
    await episodes(default, *["restart the broker after a deploy"] * 3, type="action")
    await curate.apply(default)
    assert await default.listed(tiers=["procedural"]) == ["restart the broker after a deploy"]


async def test_other_words_for_the_same_are_the_same_where_there_is_a_model(default: Place, world: World) -> None:
    curate = Curator(world)
    await episodes(default, "Ada prefers the dark theme", "Ada prefers dark themes", "Ada prefers a dark theme")
    assert (await curate(default)).counts == {"repeated_episodes": 1}
    await curate.tending.stop()


async def test_what_was_confirmed_and_read_often_is_knowledge(default: Place, world: World, curate: Curator) -> None:
    for name in ("asked for", "confirmed", "both"):
        number = await default.create(name, "said", tier="episodic")
        if name != "confirmed":
            await read(world, number, 5)
        if name != "asked for":
            await default.do(Confirm([name]))
    told = await curate.apply(default)
    assert [(act.rule, act.name, act.tier) for act in told.acts] == [("to_semantic", "both", "semantic")]


# Actions


async def test_actions_repeated_in_order_become_a_procedure(default: Place, world: World, curate: Curator) -> None:
    steps = ["Open the file", "Run the tests", "Push the branch"]
    for number in range(3):
        await default.say(f"session {number}", "hello", *[])
        await default.say(f"session {number}", "something of this day alone " + "xyz"[number], *steps, kind="action")
        await default.say(f"session {number}", *steps, kind="dialogue")
    told = await curate(default)
    [act] = told.acts
    assert (act.rule, act.type, act.tier, act.observations) == ("repeated_actions", "workflow", "procedural", steps)
    assert act.reason == "done in this order in 3 episodes"
    await curate.apply(default)
    found = await default.entity("Open the file → Run the tests → Push the branch")
    assert found is not None
    assert (found.type, found.tier, found.properties) == ("workflow", "procedural", {"steps": steps, "times": 3})
    assert {edge[2] for edge in await default.related()} == {f"session {number}" for number in range(3)}
    await world.sound()


# Limits


async def test_a_space_over_its_limit_lets_go_of_what_is_least(default: Place, world: World, curate: Curator) -> None:
    await default.do(CreateEntities([EntityInput(f"e{number}", "thing", ["said"], priority=5) for number in range(8)]))
    await default.do(UpdateEntity("e7", priority=1))
    await default.do(UpdateEntity("e6", importance=0.0))
    await default.do(Pin(["e0"]))
    await read(world, 2, 10)
    await default.relate("e3", "knows", "e2")
    await default.create("profile", "kept", type="user_profile", priority=1)
    assert (await curate(default)).counts == {}
    await default.do(UpdateSpace("default", {"max_entities": 6}))
    told = await curate(default, cap=0.0)
    assert [(act.rule, act.act, act.name) for act in told.acts] == [
        ("size_limit", "delete", "e7"), ("size_limit", "delete", "e6"), ("size_limit", "delete", "e4"),
    ]  # fmt: skip
    assert "max_entities 6" in told.acts[0].reason
    assert told.acts[0].reason.startswith("priority 1")
    before = await state(default)
    done = await curate.apply(default, cap=0.0)
    assert await default.listed() == ["e0", "e1", "e2", "e3", "e5", "profile"]
    assert (await curate.apply(default)).counts == {}
    await default.do(Undo(session=done.session, dry_run=False))
    assert await state(default) == before
    await default.do(UpdateSpace("default", {"max_entities": None, "max_text_bytes": 1}))
    assert len((await curate(default)).acts) == 7  # but for what is pinned and what tells how things are


# What is passed over


async def test_what_tells_how_things_are_stays_in_its_tier(default: Place, world: World, curate: Curator) -> None:
    for type in ("user_profile", "preference", "agent_state", "persona", "session"):
        await default.create(f"a {type}", "said", type=type)
    await default.create("quarantined", "said")
    await default.do(Quarantine(["quarantined"]))
    world.clock.ms += 400 * DAY
    assert (await curate(default)).counts == {}


async def test_each_space_is_curated_for_itself(default: Place, project: Place, world: World, curate: Curator) -> None:
    await default.create("shared", "said")
    await project.create("own", "said")
    world.clock.ms += 40 * DAY
    assert [act.name for act in (await curate(project)).acts] == ["own"]
    assert [act.name for act in (await curate(default)).acts] == ["shared"]
    assert (await curate(world.place("never written to", parent="default"))).counts == {}


async def test_a_clock_that_was_set_back_curates_nothing_too_early(
    default: Place, world: World, curate: Curator
) -> None:
    world.clock.ms += 400 * DAY
    await default.create("made by a wrong clock", "said")
    world.clock.ms -= 400 * DAY
    await default.create("made by the right one", "said")
    world.clock.ms += 31 * DAY
    assert [act.name for act in (await curate.apply(default)).acts] == ["made by the right one"]


async def test_only_the_rules_asked_for_are_followed(default: Place, world: World, curate: Curator) -> None:
    await default.create("old", "said")
    await episodes(default, *["The user drinks tea"] * 3)
    world.clock.ms += 31 * DAY
    assert (await curate(default, rules=["to_episodic"])).counts == {"to_episodic": 1}
    assert (await curate(default, rules=["repeated_episodes"])).counts == {"repeated_episodes": 1}


async def test_a_second_run_is_not_begun_while_one_is_under_way(default: Place, world: World, curate: Curator) -> None:
    await default.create("old", "said")
    first = await curate.tending.curate(default.call(AutonomousCuration(wait_s=0.0)))
    assert first.state == "running"
    with pytest.raises(Conflict, match="under way, a dry run"):
        await curate.tending.curate(default.call(AutonomousCuration()))
    ended = await curate.tending.curate(default.call(AutonomousCuration(start=False, wait_s=20.0)))
    assert ended.state == "done"
    nobody = await curate.tending.curate(world.place("other").call(AutonomousCuration(start=False)))
    assert nobody.state == "none"


# By itself


async def test_curation_comes_by_itself_once_a_day_in_every_space(default: Place, project: Place, world: World) -> None:
    curate = Curator(world, embedder="none")
    made_at = int((await world.rows("SELECT value FROM meta WHERE key = 'made_at'"))[0][0])
    world.clock.ms = made_at
    await default.create("old", "said")
    await project.create("own", "said")
    await default.do(PromoteToTier("old", "working"))
    assert await curate.tending._due() == []
    world.clock.ms += 40 * DAY
    assert await curate.tending._due() == ["default", "project"]
    await curate.tending.look_after()
    assert (await tier(default, "old"), await tier(project, "own")) == ("episodic", "episodic")
    entry = (await default.do(Journal(limit=1))).entries[0]
    assert (entry.origin.client, entry.origin.agent) == ("memory-db", "curation")
    assert await curate.tending._due() == []
    await curate.tending.stop()


@pytest.mark.parametrize(("mode", "after"), [("apply", "episodic"), ("propose", "working"), ("off", "working")])
async def test_curation_by_itself_can_be_switched_off_or_to_propose(
    mode: str, after: str, default: Place, world: World
) -> None:
    curate = Curator(world, embedder="none", curation=mode)
    await default.create("old", "said")
    world.clock.ms += 40 * DAY
    await curate.tending.look_after()
    assert await tier(default, "old") == after
    mark = await default.read(lambda tx: tx.tended.mark())
    assert (mark.counts if mark else None) == ({"to_episodic": 1} if mode != "off" else None)
    await curate.tending.stop()


def test_a_run_is_due_after_its_hours_and_where_the_last_one_was_of_the_future() -> None:
    now = 1_800_000_000_000
    assert not due(now - DAY + 1, now, 24)
    assert due(now - DAY, now, 24)
    assert not due(now + 1000, now, 24)
    assert due(now + 400 * DAY, now, 24)


# What status tells


async def test_status_tells_ages_spaces_what_expires_and_what_curation_did_and_has_before_it(
    default: Place, project: Place, world: World, curate: Curator
) -> None:
    world.clock.ms = int((await world.rows("SELECT value FROM meta WHERE key = 'made_at'"))[0][0])
    begin = world.clock.ms

    async def status(place: Place = default) -> Any:
        return await place.do(GetMemoryStatus())

    ages = {"older": 400, "year": 100, "month": 20, "week": 3, "day": 0}
    for age, days in ages.items():
        world.clock.ms = begin + (400 - days) * DAY
        await default.create(age, "said", ttl_s=86400.0 * 401 if age == "older" else None)
    await project.create("own", "said")
    await default.create("gone", "said", ttl_s=60.0)
    await default.create("soon", "said", ttl_s=3 * 86400.0)
    world.clock.ms += 61_000
    told = await status()
    assert told.by_age == {"older": 1, "year": 1, "month": 1, "week": 1, "day": 3}
    assert (await status(project)).by_age == told.by_age | {"day": 4}
    assert told.by_space == {"default": 7, "project": 1}
    assert told.expiring == {"expired": 1, "day": 1, "week": 1}
    before = told.curation
    assert (before.mode, before.last_at, before.last, before.next) == ("apply", None, {}, {"to_episodic": 2})
    told = await curate(default)
    assert told.counts == {"to_episodic": 2}
    proposed = (await status()).curation
    assert (proposed.last_dry_run, proposed.last, proposed.next) == (True, {"to_episodic": 2}, {"to_episodic": 2})
    done = await curate.apply(default, cap=None)
    after = (await status()).curation
    assert (after.last_dry_run, after.last, after.left, after.session, after.next) == (
        False,
        {"to_episodic": 2},
        0,
        done.session,
        {},
    )
    assert after.next_at - after.last_at == timedelta(hours=24)
    await default.do(UpdateSpace("default", {"max_entities": 4}))
    assert (await status()).curation.next == {"size_limit": 3}


async def test_a_confined_caller_is_told_of_its_own_spaces_alone(default: Place, project: Place, world: World) -> None:
    await default.create("shared", "said")
    await project.create("own", "said")
    told = await world.place("project", confined=frozenset(["project"])).do(GetMemoryStatus())
    assert told.by_space == {"project": 1}


@pytest.mark.parametrize("limit", [0, -1, 1.5, "ten", True, [3]])
async def test_a_limit_that_is_none_is_refused(limit: Any, default: Place) -> None:
    for name in ("max_entities", "max_text_bytes"):
        with pytest.raises(Invalid, match=name):
            await default.do(UpdateSpace("default", {name: limit}))
        with pytest.raises(Invalid, match=name):
            await default.do(CreateSpace("limited", metadata={name: limit}))
