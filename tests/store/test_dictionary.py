"""A store learns early how its own text is packed, and reads what was packed before."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.store import intake
from enhanced_memory.daemon.store.bodies import BUILT_IN, Codec, Line, Noted, State, built_in
from enhanced_memory.daemon.store.training import STAGES

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, Reopen, World


pytestmark = pytest.mark.engines("sqlite")


def about(number: int) -> EntityInput:
    said = f"Shift supervisor {number % 7} signed the furnace protocol of kiln {number % 11} at the Ostrava works."
    return EntityInput(f"protocol {number}", "record", [said, f"Slag sample {number * 37} went to the laboratory."])


PACKED_WITH = "SELECT hex(substr(body, 1, 1)), count(*), avg(length(body)) FROM entities GROUP BY 1 ORDER BY 1"


async def test_from_some_entities_on_a_store_packs_with_a_dictionary_of_its_own(default: Place, world: World) -> None:
    await default.do(CreateEntities([about(number) for number in range(STAGES[0])]))
    async with asyncio.timeout(20):
        while not await world.rows("SELECT 1 FROM dictionaries"):
            await asyncio.sleep(0.01)
    await default.do(CreateEntities([about(number) for number in range(500, 600)]))
    own = {dictionary: taken for dictionary, _, taken in await world.rows(PACKED_WITH)}["02"]
    shipped = Codec({BUILT_IN: built_in()})
    before = [len(shipped.pack(State(one.name, one.type, [Noted(1, 1, text) for text in one.observations]))[1])
              for one in map(about, range(500, 600))]  # fmt: skip
    assert own < sum(before) / len(before) * 0.8
    assert await default.says("protocol 3") == about(3).observations
    assert await default.says("protocol 503") == about(503).observations
    await world.sound()


async def test_a_store_of_conversations_learns_from_what_is_said(default: Place, world: World) -> None:
    said = [str(about(number).observations[0]) for number in range(2 * STAGES[1])]
    for start in range(0, STAGES[1], 100):
        await default.say(f"talk {start}", *said[start : start + 100])
    async with asyncio.timeout(30):
        while not await world.rows("SELECT 1 FROM meta WHERE key = 'learnt' AND value = 2"):
            await default.create(f"note {random.random()}", "x")
            await asyncio.sleep(0.1)
    await default.say("later", *said[STAGES[1] :])
    ((taken,),) = await world.rows("SELECT avg(length(body)) FROM messages WHERE id > ?", STAGES[1])
    shipped = Codec({BUILT_IN: built_in()})
    before = [len(shipped.pack(Line(text))[1]) for text in said[STAGES[1] :]]
    assert taken < sum(before) / len(before) * 0.6
    await world.sound()


async def test_entities_that_say_little_do_not_spoil_how_lines_are_packed(default: Place, world: World) -> None:
    await default.do(CreateEntities([EntityInput(f"talk {number}", "stream") for number in range(STAGES[1] + 200)]))
    chance = random.Random(3)
    said = [
        " ".join("".join(chance.choices("aeioubdgklmnprst", k=chance.randint(3, 9))) for _ in range(25))
        for _ in range(400)
    ]
    await default.say("talk 1", *said)
    async with asyncio.timeout(30):
        while not await world.rows("SELECT 1 FROM meta WHERE key = 'learnt' AND value = 3"):
            await default.create(f"note {random.random()}", "x")
            await asyncio.sleep(0.1)
    await default.say("talk 2", *said[::-1])
    ((taken,),) = await world.rows("SELECT sum(length(body)) FROM messages WHERE id > ?", len(said))
    shipped = Codec({BUILT_IN: built_in()})
    assert taken < 1.02 * sum(len(shipped.pack(Line(text))[1]) for text in said)


async def test_what_was_packed_before_follows_in_idle_moments(default: Place, world: World) -> None:
    await default.do(CreateEntities([about(number) for number in range(STAGES[0] + 150)]))
    async with asyncio.timeout(30):
        while [row[0] for row in await world.rows(PACKED_WITH)] != ["02"]:
            await asyncio.sleep(0.05)
        while await world.rows("SELECT 1 FROM meta WHERE key = 'repack_due'"):
            await asyncio.sleep(0.05)
    assert await default.says("protocol 3") == about(3).observations
    await world.sound()


async def test_a_store_that_was_closed_before_goes_on_with_it(reopen: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(intake, "IDLE_S", 60.0)
        async with reopen() as world:
            await world.default.do(CreateEntities([about(number) for number in range(STAGES[0] + 150)]))
            async with asyncio.timeout(20):
                while not await world.rows("SELECT 1 FROM dictionaries"):
                    await asyncio.sleep(0.01)
            assert {row[0] for row in await world.rows(PACKED_WITH)} == {"01"}
    async with reopen() as world, asyncio.timeout(30):
        while [row[0] for row in await world.rows(PACKED_WITH)] != ["02"]:
            await asyncio.sleep(0.05)
        assert await world.default.says("protocol 3") == about(3).observations
        await world.sound()


async def test_it_learns_once_more_when_there_is_more_to_learn_from(default: Place, world: World) -> None:
    for start in range(0, STAGES[1] + 1, 334):
        await default.do(CreateEntities([about(number) for number in range(start, start + 334)]))
    async with asyncio.timeout(30):
        while len(await world.rows("SELECT 1 FROM dictionaries")) < 2:
            await default.do(CreateEntities([about(5000)]))
            await asyncio.sleep(0.01)
    assert await default.says("protocol 1000") == about(1000).observations
    await world.sound()
