"""Skills as memory: tagged, found by what they do, and listed with how they fared."""

from typing import Any

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.skills import ListSkills, SaveSkill
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.values import MessageInput
from enhanced_memory.daemon import handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Engine

assert handlers.__all__  # importing the chapters registers them


async def do(engine: Engine, ask: Any) -> Any:
    call = Call(Peer(client="test", user="tester", greeted=True), ask)
    run = engine.read if isinstance(ask, ListSkills) else engine.write
    return await run(lambda tx: HANDLERS[ask.op](tx, ask), call)


async def listed(engine: Engine, **asked: Any) -> list[str]:
    return [one.name for one in (await do(engine, ListSkills(**asked))).skills]


async def test_skills_are_found_by_what_they_do_and_by_their_tags(engine: Engine) -> None:
    await do(engine, SaveSkill("count quokkas", "result = 1", "counts quokkas by burrow", tags=["animals", "counting"]))
    await do(engine, SaveSkill("weigh bread", "result = 2", "weighs loaves of bread", tags=["counting"]))
    assert await listed(engine, query="burrows of quokkas") == ["count quokkas"]
    assert await listed(engine, tags=["counting"]) == ["count quokkas", "weigh bread"]
    assert await listed(engine, tags=["counting", "animals"]) == ["count quokkas"]
    assert await listed(engine, query="quokkas", tags=["bread"]) == []
    assert await listed(engine, query="nothing that anybody wrote") == []
    with pytest.raises(Invalid):
        await listed(engine, query="quokkas", names=["weigh bread"])


async def test_tags_stay_unless_others_are_given(engine: Engine) -> None:
    await do(engine, SaveSkill("s", "result = 1", tags=["a"]))
    await do(engine, SaveSkill("s", "result = 2"))
    assert (await do(engine, ListSkills())).skills[0].tags == ["a"]
    await do(engine, SaveSkill("s", "result = 2", tags=["b"]))
    assert (await do(engine, ListSkills())).skills[0].tags == ["b"]
    assert (await do(engine, SaveSkill("s", "result = 2", tags=["b"]))).action == "unchanged"


async def test_a_skill_says_how_often_it_ran_how_long_it_took_and_what_went_wrong_last(engine: Engine) -> None:
    made = await do(engine, SaveSkill("s", "result = 1"))
    runs = [(True, 10.0, ""), (False, 30.0, "ValueError: no"), (True, 20.0, "")]
    lines = [MessageInput(said, kind="run", metadata={"ok": ok, "ms": ms}) for ok, ms, said in runs]
    await do(engine, AppendMessages(made.id, lines))
    [one] = (await do(engine, ListSkills(["s"]))).skills
    assert (one.runs, one.failures, one.mean_ms, one.slowest_ms, one.last_error) == (3, 1, 20.0, 30.0, "ValueError: no")
    assert one.last_run is not None
