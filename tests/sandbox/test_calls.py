"""What code may ask of the memory: questions freely, changes with a grant, all of it counted and traced."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import psutil
import pytest

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.errors import Busy, Invalid, TooLarge
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.request import REQUESTS, Change, method
from enhanced_memory.client.values import EntityInput
from enhanced_memory.mcp_server.sandbox import Limits, Sandbox, api
from enhanced_memory.mcp_server.sandbox.turns import Turns

from .conftest import CONTROL, Run

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = "result = create_entities([{'name': 'made', 'type': 'thing', 'observations': ['by code']}])"


async def test_every_question_about_memories_is_offered_and_nothing_about_the_service() -> None:
    lent = {one.request.op: one.request for one in vars(Operations).values() if isinstance(one, method)}
    offered = set(api.offered())
    assert {"search_nodes", "open_nodes", "read_graph", "memory_history", "recent_messages"} <= offered
    assert offered == {
        op for op, request in lent.items() if not request.__module__.endswith(".service") and op != "switch"
    }


async def test_answers_hold_every_field(run: Run) -> None:
    ran = await run(
        "found = search_nodes('tea')\nresult = [found['hits'][0]['entity'][k] for k in ('name', 'tags', 'tier', 'space')]"
    )
    assert ran.result == ["Ada", [], "working", "default"]
    assert ran.calls == 1


async def test_arguments_go_by_place_or_by_name(run: Run) -> None:
    ran = await run("result = [len(search_nodes('a', 1)['hits']), len(search_nodes(query='a', limit=1)['hits'])]")
    assert ran.result == [1, 1]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("search_nodes('a', nonsense=1)", "does not take nonsense"),
        ("search_nodes('a', query='b')", "query twice"),
        ("list_spaces(False, 1)", "takes deleted"),
    ],
    ids=["unknown", "twice", "too many"],
)
async def test_a_wrong_argument_is_told_with_the_right_ones(code: str, message: str, run: Run) -> None:
    ran = await run("x = 1\n" + code)
    assert ran.error is not None
    assert (ran.error.type, ran.error.line) == ("TypeError", 2)
    assert message in ran.error.message


async def test_the_memorys_errors_can_be_caught_by_name(run: Run) -> None:
    ran = await run(
        "try:\n    memory_history('nobody at all')\nexcept NotFound as problem:\n    result = [str(problem) != '', problem.hint]"
    )
    assert ran.ok
    assert ran.result[0] is True


async def test_an_error_that_is_not_caught_is_the_runs(run: Run) -> None:
    ran = await run("x = 1\n\nmemory_history('nobody at all')")
    assert ran.error is not None
    assert (ran.error.type, ran.error.line) == ("NotFound", 3)


async def test_a_change_needs_its_grant(run: Run, memory: AsyncMemory) -> None:
    refused = await run(CREATE)
    assert refused.error is not None
    assert (refused.error.type, refused.error.hint) == ("Denied", 'run it with grants: ["change"]')
    for grants in (["delete"], ["delete_entities"]):
        assert not (await run(CREATE, grants=grants)).ok
    for grants in (["change"], ["create_entities"]):
        assert (await run(CREATE, grants=grants)).ok
    [found] = (await memory.open_nodes(["made"], details=True)).entities
    assert found.details[0].origin.channel == "code"
    assert found.details[0].origin.tool == "execute_code"
    assert found.details[0].origin.trust == "import"


async def test_a_deletion_needs_one_of_its_own(run: Run, memory: AsyncMemory) -> None:
    await memory.create_entities([EntityInput("short-lived", "thing")])
    code = "result = delete_entities(['short-lived'])['missing']"
    refused = await run(code, grants=["change"])
    assert refused.error is not None
    assert refused.error.hint == 'run it with grants: ["delete"]'
    assert (await run(code, grants=["delete"])).result == []


async def test_which_operations_delete_follows_from_their_names() -> None:
    found = {op for op in api.offered() if issubclass(REQUESTS[op], Change) and api.deletes(REQUESTS[op])}
    assert found >= {"delete_entities", "delete_observations", "delete_relations", "delete_space", "purge_entities"}


async def test_deleting_many_needs_agreement(run: Run, memory: AsyncMemory) -> None:
    names = [f"one of many {number}" for number in range(25)]
    await memory.create_entities([EntityInput(name, "thing") for name in names])
    code = "for n in context['names']:\n    delete_entities([n])"
    refused = await run(code, grants=["delete"], context={"names": names})
    assert refused.error is not None
    assert refused.error.type == "Denied"
    assert len((await memory.open_nodes(names)).entities) == 5
    assert (await run(code, grants=["delete"], context={"names": names[20:]}, confirm=True)).ok


async def test_every_change_of_a_run_carries_its_id(run: Run, memory: AsyncMemory) -> None:
    ran = await run(
        "create_entities([{'name': context['name'], 'type': 'thing'}])\n"
        "add_observations([{'entity': context['name'], 'contents': ['x']}])",
        grants=["change"],
        context={"name": (name := f"traced {uuid4()}")},
        tool="a tool",
    )
    assert ran.run.startswith("run-")
    versions = (await memory.memory_history(name)).versions
    assert {(one.origin.run, one.origin.tool) for one in versions} == {(ran.run, "a tool")}


async def test_a_repeat_under_the_same_key_changes_nothing_more(run: Run, memory: AsyncMemory) -> None:
    code = "append_messages('log of repeats', [{'content': 'once'}])"
    for _ in range(2):
        assert (await run(code, grants=["change"], key="the same")).ok
    assert len((await memory.recent_messages("log of repeats")).messages) == 1


async def test_calls_are_counted_and_end_at_the_budget(run: Run) -> None:
    code = "n = 0\ntry:\n    while True:\n        list_spaces()\n        n += 1\nexcept TooLarge as problem:\n    result = n"
    ran = await run(code, limits=Limits(calls=7))
    assert (ran.result, ran.calls) == (7, 7)


async def test_a_call_that_sends_too_much_is_refused(run: Run) -> None:
    ran = await run("search_nodes('a' * (1 << 21))", limits=Limits(seconds=5, memory_mb=128))
    assert ran.error is not None
    assert ran.error.type in ("TooLarge", "Invalid")


@pytest.mark.parametrize("grant", ["everything", "", "search_nodes", "backup"])
async def test_a_grant_that_there_is_not_is_refused(grant: str, sandbox: Sandbox, memory: AsyncMemory) -> None:
    with pytest.raises(Invalid, match="no grant"):
        await sandbox.run("result = 1", memory, grants=[grant])


@pytest.mark.parametrize("name", ["seconds", "memory_mb", "result_bytes", "output_bytes", "calls"])
async def test_a_limit_above_its_setting_is_refused(name: str, sandbox: Sandbox, memory: AsyncMemory) -> None:
    cap = getattr(memory.settings, f"sandbox_{name}")
    with pytest.raises(Invalid, match=f"limits.{name}"):
        await sandbox.run("result = 1", memory, limits=Limits(**{name: cap + 1}))


async def test_code_and_context_have_a_size(sandbox: Sandbox, memory: AsyncMemory) -> None:
    with pytest.raises(TooLarge, match="The code has"):
        await sandbox.run("x = 1\n" * 200_000, memory)
    with pytest.raises((TooLarge, Invalid)):
        await sandbox.run("x = 1", memory, context={"x": "a" * (1 << 23)})
    with pytest.raises(Invalid, match="context"):
        await sandbox.run("x = 1", memory, context={"x": object()})
    with pytest.raises(Invalid, match="surrogate"):
        await sandbox.run("x = '\ud800'", memory)


# Many at once, and ends in between


async def test_sixteen_at_once_are_all_answered_with_few_workers(sandbox: Sandbox, memory: AsyncMemory) -> None:
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(psutil.Process(sandbox.zygote).children()))
            await asyncio.sleep(0.005)

    watching = asyncio.get_running_loop().create_task(watch())
    code = "x = 'a' * 10**7\nresult = len(search_nodes('a')['hits']) > 0"
    rans = await asyncio.gather(*(sandbox.run(code, memory, who=number % 4) for number in range(16)))
    watching.cancel()
    assert [ran.result for ran in rans] == [True] * 16
    assert 0 < most <= 4 + 4 + 2  # at a time, those just ended, and spares


async def test_turns_go_round_by_session() -> None:
    turns = Turns(1, 100)
    came: list[str] = []

    async def one(who: str, label: str) -> None:
        async with turns.turn(who, 10):
            came.append(label)
            await asyncio.sleep(0)

    async with turns.turn("first", 10):
        tasks = [asyncio.create_task(one("greedy", f"g{number}")) for number in range(4)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(one("modest", "m")))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert came == ["g0", "m", "g1", "g2", "g3"]


async def test_who_cannot_wait_any_longer_is_told_and_costs_nobody_a_turn() -> None:
    turns = Turns(1, 1)
    async with turns.turn("a", 10):
        with pytest.raises(Busy):
            async with turns.turn("b", 0.01):
                pass
        waiting = asyncio.create_task(_once(turns))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="Too many"):
            async with turns.turn("d", 10):
                pass
        waiting.cancel()
    async with turns.turn("e", 1):
        pass


async def _once(turns: Turns) -> None:
    async with turns.turn("c", 10):
        pass


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_run_that_is_not_wanted_any_more_ends(sandbox: Sandbox, memory: AsyncMemory) -> None:
    running = asyncio.create_task(sandbox.run("while True:\n    pass", memory))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    ran = await sandbox.run(CONTROL, memory, context={"n": 1})
    assert ran.ok
    await until(lambda: len(psutil.Process(sandbox.zygote).children()) <= 2)  # the spares


async def test_the_zygote_may_be_killed_between_runs(sandbox: Sandbox, memory: AsyncMemory) -> None:
    assert (await sandbox.run("result = 1", memory)).ok
    for number in range(3):
        while not (zygote := sandbox.zygote):  # a spare worker of the one that was killed may have answered
            assert (await sandbox.run("result = 1", memory)).ok
        os.kill(zygote, signal.SIGKILL)
        assert (await sandbox.run(f"result = {number}", memory)).result == number


async def test_a_daemon_that_is_stopped_during_a_run_comes_back_for_its_next_call(
    sandbox: Sandbox, memory: AsyncMemory
) -> None:
    assert memory.welcome is not None
    pid = memory.welcome.pid
    code = (
        "first = len(search_nodes('tea')['hits'])\nn = 0\nwhile len(list_spaces()['spaces']) and n < 300:\n    n += 1\n"
    )
    code += "result = [first, len(search_nodes('tea')['hits'])]"
    running = asyncio.create_task(sandbox.run(code, memory, limits=Limits(seconds=25)))
    await asyncio.sleep(0.05)
    psutil.Process(pid).send_signal(signal.SIGKILL)
    ran = await running
    assert ran.error is None or ran.error.type in ("Closed", "Unavailable"), ran.error
    again = await sandbox.run("result = len(search_nodes('tea')['hits'])", memory)
    assert again.result == 1


async def test_a_daemon_that_is_not_there_is_an_error_of_the_call(sandbox: Sandbox, memory: AsyncMemory) -> None:
    nobody = AsyncMemory(replace(memory.settings, socket="/tmp/nobody-listens.sock", autostart=False))
    ran = await sandbox.run("try:\n    list_spaces()\nexcept Unavailable as e:\n    result = e.hint != ''", nobody)
    assert ran.result is True
