"""A worker that lies: what it says on its channel is checked as if it were an enemy, and so are the calls it makes."""

import pytest

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.values import EntityInput

from .conftest import LIMITS, Run

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIES = {
    "it ends with a result that is no data": "channel.send({'done': True, 'result': b'x', 'error': None})",
    "a number that is none": "channel.send({'done': True, 'result': float('nan'), 'error': None})",
    "a result that is too large": "channel.send({'done': True, 'result': 'x' * ((1 << 20) + 100), 'error': None})",
    "a result that is nested": "x = 1\nfor _ in range(500):\n    x = [x]\nchannel.send({'done': True, 'result': x, 'error': None})",
    "an error that is none": "channel.send({'done': True, 'result': None, 'error': 7})",
    "an error of lists": "channel.send({'done': True, 'error': {'type': [], 'message': {}, 'line': 1, 'hint': ''}})",
    "an error whose line is text": "channel.send({'done': True, 'error': {'type': '', 'message': '', 'line': 'x', 'hint': ''}})",
    "output that is no text": "channel.send({'out': 5})",
    "output that is bytes": "channel.send({'out': b'x'})",
    "nothing that is known": "channel.send({'hello': 1})",
    "an empty map": "channel.send({})",
    "a second standing": "channel.send({'standing': 1})",
    "a list": "import os\nos.write(3, b'\\0\\0\\0\\x01\\x90')",
    "garbage": "import os\nos.write(3, b'\\0\\0\\0\\x04' + b'\\xc1' * 4)",
    "an extension type": "import os\nos.write(3, b'\\0\\0\\0\\x07\\x81\\xa1a\\xd4\\x05\\x00\\x00')",
    "a key that is no text": "import os\nos.write(3, b'\\0\\0\\0\\x03\\x81\\x01\\x01')",
    "text that is no Unicode": "import os\nos.write(3, b'\\0\\0\\0\\x07\\x81\\xa3out\\xa1\\xff')",
    "a frame of four gigabytes": "import os\nos.write(3, b'\\xff\\xff\\xff\\xff')",
    "a frame just above what is read": "import os\nos.write(3, (1 << 22).to_bytes(4, 'big'))",
    "a frame that is deep": "import os\nos.write(3, (100004).to_bytes(4, 'big') + b'\\x81\\xa1a' + b'\\x91' * 100000 + b'\\xc0')",
    "a call out of turn": "channel.send({'call': 5, 'op': 'search_nodes', 'args': {'query': 'x'}})",
    "a call without a number": "channel.send({'call': None, 'op': 'search_nodes', 'args': {'query': 'x'}})",
    "calls beyond the budget": "n = 0\nwhile True:\n    n += 1\n    channel.send({'call': n, 'op': 'x', 'args': {}})\n    channel.receive()",
    "messages without end": "while True:\n    channel.send({'out': ''})",
}

ENDS = {
    "it closes the channel and goes on": ("import os\nos.close(3)\nwhile True:\n    pass", "Violation"),
    "it says half a frame and waits": (
        "import os\nos.write(3, b'\\0\\0\\1\\0half')\nwhile True:\n    pass",
        "TimeLimit",
    ),
    "it says half a frame and leaves": ("import os\nos.write(3, b'\\0\\0\\1\\0half')\nos._exit(0)", "Crashed"),
    "it leaves": ("import os\nos._exit(0)", "Crashed"),
    "it waits for an answer to nothing": ("channel.receive()", "TimeLimit"),
    "it asks and does not listen": (
        "n = 0\nwhile True:\n    n += 1\n    channel.send({'call': n, 'op': 'search_nodes', 'args': {'query': ''}})",
        "TimeLimit",
    ),
    "it dies while it is being answered": (
        "import os\nchannel.send({'call': 1, 'op': 'search_nodes', 'args': {'query': ''}})\nos._exit(3)",
        "Crashed",
    ),
}

REFUSED = {
    "an operation that is not offered": ("'backup'", "{'to': '/tmp/x'}", "UnknownOperation"),
    "the greeting": ("'hello'", "{'space': 'other'}", "UnknownOperation"),
    "another space": ("'switch'", "{'space': 'other'}", "UnknownOperation"),
    "the whole store": ("'export_data'", "{}", "UnknownOperation"),
    "an import": ("'import_data'", "{'records': []}", "UnknownOperation"),
    "a subscription": ("'subscribe'", "{}", "UnknownOperation"),
    "a method of the client": ("'close'", "{}", "UnknownOperation"),
    "a dunder": ("'__class__'", "{}", "UnknownOperation"),
    "an operation that is a number": ("7", "{}", "UnknownOperation"),
    "an operation that is a list": ("['search_nodes']", "{}", "UnknownOperation"),
    "arguments that are a list": ("'search_nodes'", "[1]", "Invalid"),
    "no arguments": ("'search_nodes'", "None", "Invalid"),
    "an argument of the wrong type": ("'search_nodes'", "{'query': 1}", "Invalid"),
    "a limit that is too high": ("'search_nodes'", "{'query': '', 'limit': 10**9}", "Invalid"),
    "an argument that there is not": ("'search_nodes'", "{'query': '', 'nonsense': 1}", "Invalid"),
    "an argument within that there is not": (
        "'search_nodes'",
        "{'query': '', 'where': [{'property': 'a', 'x': 1}]}",
        "Invalid",
    ),
    "a change without a grant": ("'create_entities'", "{'entities': [{'name': 'x', 'type': 'y'}]}", "Denied"),
    "a deletion without a grant": ("'delete_entities'", "{'entities': ['Ada']}", "Denied"),
    "a purge without a grant": ("'purge_entities'", "{'entities': ['Ada'], 'confirm': True}", "Denied"),
}


@pytest.mark.parametrize("code", LIES.values(), ids=list(LIES))
async def test_a_lie_ends_the_worker(code: str, run: Run) -> None:
    ran = await run(code + "\nwhile True:\n    pass", engine="bare", limits=LIMITS)
    assert (ran.ok, ran.result) == (False, None)
    assert ran.error is not None
    assert ran.error.type == "Violation"


@pytest.mark.parametrize(("code", "kind"), ENDS.values(), ids=list(ENDS))
async def test_a_worker_that_does_not_go_on_is_an_error_in_time(code: str, kind: str, run: Run) -> None:
    ran = await run(code, engine="bare")
    assert ran.error is not None
    assert ran.error.type == kind


@pytest.mark.parametrize(("op", "args", "kind"), REFUSED.values(), ids=list(REFUSED))
async def test_a_call_is_checked_again_by_the_broker(
    op: str, args: str, kind: str, run: Run, memory: AsyncMemory
) -> None:
    """Past the functions that the worker has: straight through its channel."""
    before = (await memory.get_memory_status()).changes
    code = f"channel.send({{'call': 1, 'op': {op}, 'args': {args}}})\nresult = channel.receive()"
    ran = await run(code, engine="bare")
    assert ran.ok
    assert ran.result["error"]["type"] == kind
    assert (await memory.get_memory_status()).changes == before


async def test_a_result_that_came_twice_counts_once(run: Run) -> None:
    ran = await run(
        "channel.send({'done': True, 'result': 1, 'error': None})\n"
        "channel.send({'done': True, 'result': 2, 'error': None})",
        engine="bare",
    )
    assert (ran.ok, ran.result) == (True, 1)


async def test_output_is_cut_by_the_broker_too(run: Run) -> None:
    ran = await run("for _ in range(10):\n    channel.send({'out': 'x' * 60000})\nresult = 1", engine="bare")
    assert (ran.ok, ran.truncated, len(ran.stdout)) == (True, True, 64 * 1024)


async def test_another_runs_memory_is_not_reached(run: Run, memory: AsyncMemory) -> None:
    """What one run leaves in its process, the next one does not find: workers are used once."""
    await run("import builtins\nbuiltins.left = 'x'", engine="bare")
    ran = await run("import builtins\nresult = hasattr(builtins, 'left')", engine="bare")
    assert ran.result is False
    await memory.create_entities([EntityInput("Ada", "person")])
