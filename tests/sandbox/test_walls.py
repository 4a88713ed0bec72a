"""Attacks on the system with the language's filter switched off: plain Python behind the walls, with ctypes at hand.

`bare` is an engine that a sandbox has only if a test asks for it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory.client import AsyncMemory
from enhanced_memory.client.errors import Invalid
from enhanced_memory.mcp_server.sandbox import Limits, Sandbox
from enhanced_memory.mcp_server.sandbox.pipe import pack, unpack
from enhanced_memory.mcp_server.sandbox.syscalls import (
    ALLOWED,
    MACHINES,
    NO_EXEC,
    REFUSED,
    filter_for,
    machine,
)

from .conftest import LIMITS, Run, snippets

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIBC = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"


URETPROBE, UPROBE = 335, 336
"""The kernel answers these two before it asks a filter: whoever is not on a probe's trampoline is ended, or told ENXIO."""

OPEN = """
import os
found = []
for n in range(64):
    try:
        os.lseek(n, 0, os.SEEK_CUR)
    except OSError as problem:
        if problem.errno == 9:
            continue
    found.append(n)
result = [dict(os.environ), found]
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that everybody may read and no worker may."""
    tmp_path.chmod(0o755)
    file = tmp_path / "secret"
    file.write_text("the secret")
    file.chmod(0o644)
    return file


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[str]:
    """A Unix socket that anybody may connect to, as the daemon's might be."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        os.chmod(path, 0o777)
        listening.listen()
        yield path


async def test_plain_python_runs_here_so_that_what_fails_fails_at_a_wall(run: Run) -> None:
    ran = await run("import os, ctypes\nresult = [os.getpid() > 0, ctypes.sizeof(ctypes.c_int)]", engine="bare")
    assert ran.result == [True, 4]


@pytest.mark.parametrize("code", snippets("attacks.txt"))
async def test_it_does_not_get_out(
    code: str, run: Run, secret: Path, listener: str, sandbox: Sandbox, memory: AsyncMemory
) -> None:
    assert memory.welcome is not None
    context = {
        "secret": str(secret),
        "listener": listener,
        "host": os.getpid(),
        "zygote": sandbox.zygote,
        "daemon": memory.welcome.pid,
        "store": memory.welcome.store,
    }
    ran = await run(LIBC + "import os\n" + code + "\nresult = 'ESCAPED'\n", engine="bare", context=context)
    assert not ran.ok
    assert ran.result != "ESCAPED"
    assert ran.error is not None
    assert ran.error.type in ("Forbidden", "PermissionError", "OSError", "BlockingIOError", "FileNotFoundError",
        "MemoryError", "SystemError", "AssertionError", "AttributeError", "ValueError", "RuntimeError", "Killed", "Crashed",
        "TimeLimit"), ran.error  # fmt: skip
    assert "the secret" not in str(ran)
    assert secret.read_text() == "the secret"
    assert sorted(path.name for path in secret.parent.iterdir()) == ["s", "secret"]


async def test_no_system_call_beside_those_of_the_table_is_answered(sandbox: Sandbox, memory: AsyncMemory) -> None:
    """Every number there is, and some that there are not: refused, or the end of the worker."""
    here = machine()
    assert here is not None
    free = {row[here.column] for row in (ALLOWED | NO_EXEC).values()}
    answered: list[int] = []
    for number in (*range(470), 512, 547, 1000, 0x40000000, 0x40000000 + 1, 0x40000000 + 520):
        if number in free:
            continue
        code = f"{LIBC}got = libc.syscall(ctypes.c_long({number}), 0, 0, 0, 0, 0, 0)\n"
        code += "result = [got, ctypes.get_errno()]"
        ran = await sandbox.run(code, memory, engine="bare", limits=LIMITS)
        if ran.ok:
            if ran.result != [-1, 1] and [number, *ran.result] != [UPROBE, -1, 6]:
                answered.append(number)
        else:
            assert ran.error is not None
            expected = ("Forbidden", "Crashed") if number == URETPROBE else ("Forbidden",)
            assert ran.error.type in expected, (number, ran.error)
    assert answered == []


async def test_forks_that_get_through_are_none(run: Run) -> None:
    """A bomb leaves no process behind."""
    before = len(os.listdir("/proc"))
    await run(LIBC + "while True:\n    libc.syscall(ctypes.c_long(57))", engine="bare")
    assert len(os.listdir("/proc")) < before + 20


async def test_nothing_of_the_server_is_in_the_worker(run: Run) -> None:
    """No environment, no descriptor beside the channel and the null device."""
    ran = await run(OPEN, engine="bare")
    assert ran.result == [{}, [0, 1, 2, 3]], ran


async def test_handlers_and_ignored_signals_do_not_keep_it_alive(run: Run) -> None:
    ran = await run(
        "import signal\nfor n in range(1, 65):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass\nwhile True:\n    pass",
        engine="bare",
    )
    assert ran.error is not None
    assert ran.error.type == "TimeLimit"


async def test_memory_taken_by_the_kernel_is_counted_too(run: Run) -> None:
    ran = await run(
        "import mmap\nheld = []\nwhile True:\n    m = mmap.mmap(-1, 1 << 24)\n    m.write(bytes(1 << 24))\n    held.append(m)",
        engine="bare",
    )
    assert ran.error is not None
    assert ran.error.type in ("OSError", "MemoryError", "Killed", "PermissionError")


async def test_the_engine_without_a_filter_is_not_there_unless_asked_for(memory: AsyncMemory) -> None:
    async with Sandbox() as sandbox:
        with pytest.raises(Invalid, match="no engine"):
            await sandbox.run("result = 1", memory, engine="bare")


async def test_where_nothing_filters_calls_code_is_not_run_unless_a_setting_says_so(memory: AsyncMemory) -> None:
    from dataclasses import replace

    from enhanced_memory.client.errors import Denied

    async with Sandbox(without=["seccomp"]) as sandbox:
        assert (await sandbox.isolation()).level == "C"
        with pytest.raises(Denied, match="filters no system calls"):
            await sandbox.run("result = 1", memory)
        bold = AsyncMemory(replace(memory.settings, sandbox="insecure"))
        ran = await sandbox.run("result = 1", bold)
        assert (ran.ok, ran.isolation.level) == (True, "C")
        assert "seccomp" in ran.isolation.missing


async def test_code_is_not_run_where_it_is_switched_off(memory: AsyncMemory) -> None:
    from dataclasses import replace

    from enhanced_memory.client.errors import Denied

    async with Sandbox() as sandbox:
        with pytest.raises(Denied, match="switched off"):
            await sandbox.run("result = 1", AsyncMemory(replace(memory.settings, sandbox="off")))


@pytest.mark.parametrize("name", sorted(MACHINES))
async def test_the_filter_of_every_machine_is_one_that_the_kernel_would_take(name: str) -> None:
    """Of aarch64 this is all that is tested: the form, not the numbers."""
    steps = filter_for(MACHINES[name])
    assert len(steps) % 8 == 0
    count = len(steps) // 8
    assert count < 256
    for place in range(count):
        code, yes, no = steps[place * 8], steps[place * 8 + 2], steps[place * 8 + 3]
        if code & 7 == 5:  # a jump stays inside
            assert place + 1 + max(yes, no) < count
    names = [row[MACHINES[name].column] for table in (ALLOWED, NO_EXEC, REFUSED) for row in table.values()]
    numbers = [number for number in names if number is not None]
    assert len(numbers) == len(set(numbers))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="whoever is not root proves it anyway")
async def test_none_of_it_needs_root(tmp_path: Path) -> None:
    # The interpreter may lie where only root reads: that one right is kept, and none that the walls could use.
    tmp_path.chmod(0o777)
    keep = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *keep]
    program = [sys.executable, "-m", "enhanced_memory.mcp_server", "check", "--json"]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    ran = subprocess.run([*nobody, *program], capture_output=True, timeout=60, check=False, env=environment)
    told = json.loads(ran.stdout)
    assert told["level"] in ("A", "B"), ran.stderr
    assert {"seccomp", "rlimits"} <= set(told["layers"])


async def test_a_worker_ends_with_its_zygote(sandbox: Sandbox, memory: AsyncMemory) -> None:
    # Never 0: that would be this process and its whole group.
    def end() -> None:
        while not sandbox.zygote:
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(sandbox.zygote, signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    ran = await sandbox.run("print(1)\nwhile True:\n    pass", memory, limits=Limits(seconds=20))
    assert ran.error is not None
    assert ran.error.type == "Killed"
    again = await sandbox.run("result = 1", memory)
    assert again.result == 1


async def test_a_zygote_whose_broker_has_gone_leaves_without_a_word() -> None:
    """The broker may go between asking for a worker and hearing of it: nobody is left to read a traceback."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-I", "-m", "enhanced_memory.mcp_server.sandbox.zygote", str(theirs.fileno())]
    with subprocess.Popen(
        command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as zygote:
        theirs.close()
        assert "ready" in unpack(ours.recv(4096))
        ours.send(pack({"make": 1, "layers": [], "memory": 1 << 28, "cpu": 5}))
        ours.close()
        _, said = zygote.communicate(timeout=30)
    assert (zygote.returncode, said) == (0, b"")
