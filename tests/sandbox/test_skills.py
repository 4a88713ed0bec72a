"""Skills: code under a name, with versions, arguments, grants and a record of how it fared."""

from uuid import uuid4

import pytest

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.errors import Conflict, Denied, Invalid, NotFound
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.sandbox import Sandbox, run_skill

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def name() -> str:
    return f"a skill {uuid4()}"


async def test_a_skill_is_run_with_its_arguments_over_its_defaults(
    sandbox: Sandbox, memory: AsyncMemory, name: str
) -> None:
    await memory.save_skill(name, "result = context['a'] * context['b']", parameters={"a": None, "b": 10})
    done = await run_skill(sandbox, memory, name, {"a": 4})
    assert (done.ran.result, done.version, done.noted) == (40, 1, True)
    assert (await run_skill(sandbox, memory, name, {"a": 4, "b": 2})).ran.result == 8


@pytest.mark.parametrize("arguments", [{}, {"a": 1, "c": 2}], ids=["missing", "unknown"])
async def test_arguments_that_it_does_not_take_are_refused(
    arguments: dict[str, int], sandbox: Sandbox, memory: AsyncMemory, name: str
) -> None:
    await memory.save_skill(name, "result = 1", parameters={"a": None})
    with pytest.raises(Invalid, match="a skill"):
        await run_skill(sandbox, memory, name, arguments)
    assert (await memory.list_skills(names=[name])).skills[0].runs == 0


async def test_a_skill_that_is_not_there_is_said_to_be(sandbox: Sandbox, memory: AsyncMemory) -> None:
    with pytest.raises(NotFound, match="no skill"):
        await run_skill(sandbox, memory, "nobody saved this")


async def test_an_ordinary_entity_is_no_skill(sandbox: Sandbox, memory: AsyncMemory, name: str) -> None:
    await memory.create_entities([EntityInput(name, "person", properties={"code": "result = 1"})])
    with pytest.raises(NotFound):
        await run_skill(sandbox, memory, name)
    assert (await memory.list_skills(names=[name])).missing == [name]


async def test_runs_are_counted_and_timed_and_the_last_error_is_kept(
    sandbox: Sandbox, memory: AsyncMemory, name: str
) -> None:
    await memory.save_skill(name, "result = 1 / context['by']", parameters={"by": 1})
    for by in (1, 0, 2):
        await run_skill(sandbox, memory, name, {"by": by})
    [skill] = (await memory.list_skills(names=[name])).skills
    assert (skill.runs, skill.failures, skill.last_error) == (3, 1, "ZeroDivisionError: division by zero")
    assert skill.mean_ms > 0
    assert skill.last_run is not None
    lines = (await memory.recent_messages(skill.id)).messages
    assert [line.metadata["ok"] for line in lines] == [True, False, True]
    assert all(line.metadata["run"].startswith("run-") for line in lines)


async def test_a_skill_has_versions_and_its_runs_make_none(sandbox: Sandbox, memory: AsyncMemory, name: str) -> None:
    first = await memory.save_skill(name, "result = 1", description="one")
    assert (await memory.save_skill(name, "result = 1", description="one")).action == "unchanged"
    await run_skill(sandbox, memory, name)
    second = await memory.save_skill(name, "result = 2", description="two", expected_version=1)
    assert (first.version, second.version, second.id) == (1, 2, first.id)
    with pytest.raises(Conflict):
        await memory.save_skill(name, "result = 3", expected_version=1)
    assert (await run_skill(sandbox, memory, name)).ran.result == 2
    versions = (await memory.memory_history(first.id)).versions
    assert [one.properties["code"] for one in versions] == ["result = 2", "result = 1"]
    assert (await memory.list_skills(names=[name])).skills[0].runs == 2


async def test_a_skill_is_found_by_what_it_is_said_to_do(memory: AsyncMemory, name: str) -> None:
    await memory.save_skill(name, "result = 1", description="counts quokkas by burrow")
    assert name in [hit.entity.name for hit in (await memory.search_nodes("quokkas")).hits]


async def test_a_skill_does_not_raise_its_own_grants(sandbox: Sandbox, memory: AsyncMemory, name: str) -> None:
    code = "create_entities([{'name': context['name'], 'type': 'thing'}])"
    await memory.save_skill(name, code, parameters={"name": None}, grants=["change"])
    made = f"made {name}"
    for grants in ([], ["delete"], ["tag"]):
        with pytest.raises(Denied, match="was not given"):
            await run_skill(sandbox, memory, name, {"name": made}, grants=grants)
    assert (await memory.open_nodes([made])).missing == [made]
    done = await run_skill(sandbox, memory, name, {"name": made}, grants=["change"])
    assert done.ran.ok


async def test_a_skill_gets_no_more_than_it_says_it_needs(sandbox: Sandbox, memory: AsyncMemory, name: str) -> None:
    """Code that was altered later does not profit from who runs it with generous grants."""
    await memory.save_skill(name, "delete_entities(['Ada'])", grants=["create_entities"])
    done = await run_skill(sandbox, memory, name, grants=["change", "delete"])
    assert done.ran.error is not None
    assert done.ran.error.type == "Denied"
    assert (await memory.open_nodes(["Ada"])).missing == []


async def test_a_skill_with_a_grant_that_there_is_not_is_not_run(
    sandbox: Sandbox, memory: AsyncMemory, name: str
) -> None:
    await memory.save_skill(name, "result = 1", grants=["everything"])
    with pytest.raises(Invalid, match="no grant"):
        await run_skill(sandbox, memory, name, grants=["change"])


async def test_skills_are_listed_by_name_page_by_page_without_their_code(memory: AsyncMemory) -> None:
    await memory.create_space("of skills")
    here = AsyncMemory(memory.settings, client="tests")
    await here.switch("of skills")
    for letter in "cab":
        await here.save_skill(f"skill {letter}", "result = 1")
    first = await here.list_skills(limit=2)
    second = await here.list_skills(limit=2, cursor=first.cursor)
    assert [one.name for one in first.skills + second.skills] == ["skill a", "skill b", "skill c"]
    assert second.cursor is None
    assert {one.code for one in first.skills} == {""}
    assert (await here.list_skills(code=True)).skills[0].code == "result = 1"
    await here.close()


async def test_properties_that_others_gave_a_skill_break_nothing(
    sandbox: Sandbox, memory: AsyncMemory, name: str
) -> None:
    await memory.create_entities(
        [EntityInput(name, "skill", properties={"code": 7, "parameters": [1], "grants": "change"})]
    )
    [skill] = (await memory.list_skills(names=[name], code=True)).skills
    assert (skill.code, skill.parameters, skill.grants) == ("7", {}, [])
    assert (await run_skill(sandbox, memory, name)).ran.ok
