"""The worker: behind its walls it reads one job, runs it, and ends. Nothing in it is trusted by anybody.

It parses, compiles, runs and encodes, because each of these is where hostile code strikes; the broker reads plain data
from it and no more. The engine is a choice: a function from a job and the calls it may make to what code left as `result`.
"""

import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

from enhanced_memory.mcp_server.sandbox import plain, probes
from enhanced_memory.mcp_server.sandbox.calls import Calls, Problem
from enhanced_memory.mcp_server.sandbox.dialect import FILE, NotAllowed, compiled
from enhanced_memory.mcp_server.sandbox.guards import Printed, guards
from enhanced_memory.mcp_server.sandbox.library import surroundings
from enhanced_memory.mcp_server.sandbox.pipe import Pipe, pack

__all__ = ["ENGINES", "Engine", "Output", "allow_bare", "serve"]

FLUSH_S = 0.05
FLUSH_CHARS = 4096
COMPILING_DEPTH = 4000
"""Python frames for the compiler's visitors; the code itself has Python's usual thousand."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Output:
    """What code prints: sent on in pieces, so that it is there even if the code never ends; cut at a limit."""

    def __init__(self, pipe: Pipe, limit: int) -> None:
        self._pipe = pipe
        self._room = limit
        self._held: list[str] = []
        self._size = 0
        self._sent = 0.0
        self.cut = False

    def write(self, text: str) -> None:
        """Take a piece of text."""
        if self.cut:
            return
        data = text.encode("utf-8", "backslashreplace")
        if len(data) > self._room:
            data = data[: self._room]
            self.cut = True
        self._room -= len(data)
        self._held.append(data.decode("utf-8", "ignore"))
        self._size += len(data)
        if self.cut or self._size >= FLUSH_CHARS or time.monotonic() - self._sent >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self._pipe.send({"out": _ADDRESS.sub("", "".join(self._held)), "cut": self.cut})
            self._held.clear()
            self._size = 0
            self._sent = time.monotonic()


Engine = Callable[[dict[str, Any], Calls, Output], Any]
"""Runs a job's code and gives back what it left as `result`. What it raises becomes the answer's error."""


def restricted(job: dict[str, Any], calls: Calls, output: Output) -> Any:
    """The dialect of `dialect.py`, by RestrictedPython."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(COMPILING_DEPTH)
    try:
        code = compiled(job["code"])
    finally:
        sys.setrecursionlimit(usual)
    builtins, collections = surroundings()
    inside = guards(Printed(output.write), collections)
    inside["__builtins__"] = builtins | calls.functions()
    inside |= {"context": job["context"], "result": None}
    exec(code, inside)
    return inside["result"]


def bare(job: dict[str, Any], calls: Calls, output: Output) -> Any:
    """Plain Python without any filter: for tests of the walls. A zygote has it only if it was started with `--bare`."""
    inside: dict[str, Any] = {"context": job["context"], "result": None, **calls.functions()}
    inside["print"] = Printed(output.write)._call_print  # pyright: ignore[reportPrivateUsage]
    inside["channel"] = calls.pipe
    exec(compile(job["code"], FILE, "exec"), inside)
    return inside["result"]


ENGINES: dict[str, Engine] = {"restricted": restricted}
"""By the name that the setting `sandbox_engine` gives."""


def allow_bare() -> None:
    """Let this process, and those that it forks, run code without the language's filter, with every tool at hand."""
    for name in ("_posixsubprocess", "mmap", "resource", "select", "socket", "subprocess"):
        import_module(name)
    ENGINES["bare"] = bare


def serve(pipe: Pipe) -> NoReturn:
    """Run one job and end."""
    try:
        pipe.send({"standing": os.getpid()})
        job = pipe.receive()
        if "probe" in job:
            pipe.send({"probed": probes.ATTEMPTS[job["probe"]](job)})
        else:
            pipe.send(_done(pipe, job))
    except BaseException:
        # Memory may be gone, or the broker: there is nobody to tell, and the exit code tells it.
        os._exit(71)
    os._exit(0)


def _done(pipe: Pipe, job: dict[str, Any]) -> dict[str, Any]:
    output = Output(pipe, job["output_bytes"])
    calls = Calls(pipe, output.flush, job["operations"], job["calls"])
    try:
        result = plain.checked(ENGINES[job["engine"]](job, calls, output), job["result_bytes"])
        size = len(pack(result))
        if size > job["result_bytes"]:
            raise Problem(
                "TooLarge", f"The result has {size:,} bytes; {job['result_bytes']:,} are allowed.", plain.SMALLER
            )
        told: dict[str, Any] = {"result": result, "error": None}
    except BaseException as problem:
        told = {"result": None, "error": _said(problem)}
    output.flush()
    return {"done": True, **told}


def _said(problem: BaseException) -> dict[str, Any]:
    """An error as plain text: its kind, what it says, the line of the code, and what may help."""
    if isinstance(problem, NotAllowed):
        return _error(problem.kind, problem.message, problem.line, problem.hint)
    line = None
    for frame, number in traceback.walk_tb(problem.__traceback__):
        if frame.f_code.co_filename == FILE:
            line = number
    # What the problem holds on to may be what fills the memory.
    problem.__traceback__ = problem.__context__ = None
    if isinstance(problem, Problem):
        return _error(problem.kind, problem.message, line, problem.hint)
    kind = type(problem).__name__
    try:
        message = str(problem)
    except BaseException:
        message = ""
    if isinstance(problem, KeyError) and len(problem.args) == 1:
        message = f"there is no key {message}"
    return _error(kind, message or HINTS_ALONE.get(kind, "it says no more"), line, HINTS.get(kind, ""))


HINTS_ALONE = {"MemoryError": "the code needs more memory than it may have"}
HINTS = {
    "MemoryError": "work in smaller pieces: pages, generators",
    "RecursionError": "use a loop",
    "NameError": "api() lists the functions that there are; imports are limited to those of docs/sandbox.md",
}


def _error(kind: str, message: str, line: int | None, hint: str) -> dict[str, Any]:
    text = _ADDRESS.sub("", message.encode("utf-8", "backslashreplace").decode())
    return {"type": kind[:100], "message": text[:2000], "line": line, "hint": hint}
