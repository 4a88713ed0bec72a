"""A context holds what is pinned, the state asked for, what the query finds and what was said last: each once, within the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.entities import CreateEntities, OpenNodes, Pin, Quarantine
from enhanced_memory.client.operations.search import Context, GetContext
from enhanced_memory.client.operations.summaries import SummarizeEntity
from enhanced_memory.client.values import EntityInput, ObservationInput, OriginInput
from enhanced_memory.daemon.tokens import estimated

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


def told(context: Context, part: str) -> list[str]:
    return [item.text for item in context.items if item.part == part]


@pytest.fixture
async def busy(default: Place) -> Place:
    """Somebody with something of everything."""
    await default.create("Rules", "never deploy on Fridays", always_include=True)
    await default.create(
        "Ada", "likes the analytical engine", "lives in London", properties={"mood": "calm", "level": 3}
    )
    await default.create("Bob", "repairs the steam engine")
    await default.say("talk", "hello there", speaker="Ada")
    await default.say("talk", "the engine is broken", speaker="Bob")
    await default.say("other", "an engine needs oil", speaker="Cleo")
    return default


async def test_every_part_is_there_and_says_where_it_is_from(busy: Place) -> None:
    found = await busy.do(GetContext("engine", stream="talk", entities=["Ada"]))
    assert told(found, "pinned") == ["never deploy on Fridays"]
    assert set(told(found, "state")) == {
        "mood = calm; level = 3",
        "lives in London",
        "likes the analytical engine",
        "session_type = conversation",
    }
    assert told(found, "recent") == ["hello there", "the engine is broken"]
    assert set(told(found, "relevant")) == {"repairs the steam engine", "an engine needs oil"}
    for item in found.items:
        assert item.entity or item.message
        if item.observation or item.message:
            assert item.at is not None
            assert item.origin is not None
            assert item.origin.user == "tester"
    assert found.text.splitlines()[0] == "## pinned"
    assert found.text.startswith("## pinned\n- Rules: never deploy on Fridays (")
    assert found.left_off == 0
    assert found.tokens == estimated(found.text) <= 2000
    assert found.counted_by.startswith("estimate")


async def test_nothing_is_told_twice(busy: Place) -> None:
    await busy.do(Pin(["Bob"]))
    found = await busy.do(GetContext("engine steam repairs", stream="talk", entities=["Bob"]))
    texts = [item.text for item in found.items]
    assert len(texts) == len(set(texts))
    assert "repairs the steam engine" in told(found, "pinned")
    again = await busy.do(GetContext("engine", stream="talk"))
    assert [item.message for item in again.items if item.message].count(2) == 1


@pytest.mark.parametrize("budget", [20, 25, 40, 60, 100, 1000])
async def test_the_budget_is_kept_and_what_did_not_fit_is_counted(busy: Place, budget: int) -> None:
    await busy.do(
        CreateEntities([EntityInput(f"engine {number}", "thing", ["an engine " * 20]) for number in range(10)])
    )
    found = await busy.do(GetContext("engine", stream="talk", entities=["Ada"], tokens=budget))
    assert found.tokens <= budget
    assert found.tokens == estimated(found.text)
    assert (found.left_off > 0) is (budget < 1000)
    if budget >= 25:
        assert found.items


async def test_no_part_starves_another(default: Place) -> None:
    for number in range(30):
        await default.create(f"rule {number}", f"rule number {number} is to be followed always", always_include=True)
        await default.create(f"fact {number}", f"engine fact number {number}")
        await default.say("talk", f"line number {number} of the talk that goes on")
    found = await default.do(GetContext("engine", stream="talk", entities=["fact 3"], tokens=400))
    parts = {item.part for item in found.items}
    assert parts == {"pinned", "state", "relevant", "recent"}
    assert told(found, "recent")[-1] == "line number 29 of the talk that goes on"


async def test_room_that_one_part_leaves_is_anothers(default: Place) -> None:
    for number in range(60):
        await default.create(f"rule {number}", f"rule number {number} is to be followed", always_include=True)
    found = await default.do(GetContext(tokens=500))
    assert 400 < found.tokens <= 500


async def test_without_a_query_the_last_message_is_what_is_looked_for(busy: Place) -> None:
    found = await busy.do(GetContext(stream="talk"))
    assert "repairs the steam engine" in told(found, "relevant")
    assert told(await busy.do(GetContext()), "relevant") == []


async def test_what_is_hidden_stays_hidden(busy: Place, world: World) -> None:
    await busy.do(Quarantine(["Bob", "Rules"]))
    await busy.create("Milk", "an engine oil that went off", ttl_s=1.0)
    world.clock.ms += 2000
    found = await busy.do(GetContext("engine analytical", entities=["Bob", "Milk", "Ada"], stream="talk"))
    assert {item.name for item in found.items} == {"Ada", "talk", "other"}


async def test_less_trusted_things_are_left_out_where_asked(default: Place) -> None:
    await default.do(
        CreateEntities(
            [
                EntityInput("engine", "thing", [
                    ObservationInput("engine by a tool", origin=OriginInput(trust="tool")), "engine by an agent",
                ])
            ]
        )
    )  # fmt: skip
    assert set(told(await default.do(GetContext("engine")), "relevant")) == {"engine by a tool", "engine by an agent"}
    assert told(await default.do(GetContext("engine", minimum_trust="agent")), "relevant") == ["engine by an agent"]


async def test_a_branch_has_a_context_of_its_own(busy: Place, world: World) -> None:
    branch = await world.branch("try")
    await busy.create("Later", "an engine that came later", always_include=True)
    await branch.create("Here", "an engine of the branch")
    texts: list[Any] = [item.text for item in (await branch.do(GetContext("engine"))).items]
    assert "an engine of the branch" in texts
    assert "an engine that came later" not in texts
    assert "an engine of the branch" not in [item.text for item in (await busy.do(GetContext("engine"))).items]


async def test_one_thing_that_is_too_long_is_shortened(default: Place) -> None:
    await default.create("Long", "word " * 5000, always_include=True)
    found = await default.do(GetContext(tokens=100))
    assert [item.text.endswith("…") for item in found.items] == [True]
    assert found.tokens <= 100


async def test_a_stream_or_entity_that_is_not_there_is_named(default: Place) -> None:
    for ask in (GetContext(stream="nowhere"), GetContext(entities=["nobody"])):
        with pytest.raises(NotFound):
            await default.do(ask)


async def test_a_context_of_then_knows_nothing_of_later(busy: Place, world: World) -> None:
    before = await world.last_change()
    await busy.create("Later", "an engine that came later", always_include=True)
    await busy.say("talk", "said later about the engine")
    texts = [item.text for item in (await busy.do(GetContext("engine", stream="talk", at=before))).items]
    assert "the engine is broken" in texts
    assert not [text for text in texts if "later" in text]


async def test_a_single_observation_that_is_quarantined_is_told_nowhere(busy: Place) -> None:
    [rules, ada] = [(await busy.do(OpenNodes([name], details=True))).entities[0] for name in ("Rules", "Ada")]
    await busy.do(Quarantine(["Rules"], observations=[rules.details[0].id]))
    await busy.do(Quarantine(["Ada"], observations=[ada.details[0].id]))
    found = await busy.do(GetContext("never deploy the analytical engine", entities=["Ada"]))
    assert "lives in London" in told(found, "state")
    assert not {"never deploy on Fridays", "likes the analytical engine"} & {item.text for item in found.items}
    assert "analytical" not in (await busy.do(SummarizeEntity("Ada"))).text
