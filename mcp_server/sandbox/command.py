"""`memory-mcp run` and `memory-mcp check`: the sandbox from a shell, and as one function for a program without a loop."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Error, Invalid
from enhanced_memory.client.settings import Settings
from enhanced_memory.mcp_server.sandbox.broker import Sandbox
from enhanced_memory.mcp_server.sandbox.offering import told_isolation
from enhanced_memory.mcp_server.sandbox.skills import run_skill
from enhanced_memory.mcp_server.sandbox.values import Limits, Ran

__all__ = ["check", "execute", "run"]

LIMITS = tuple(Limits.__struct_fields__)


def execute(
    code: str,
    *,
    context: Any = None,
    grants: Iterable[str] = (),
    limits: Limits | None = None,
    confirm: bool = False,
    settings: Settings | None = None,
    skill: str = "",
) -> Ran:
    """Run `code` once, or the skill of that name, over the memory that the settings name.

    As `Sandbox.run`, with a sandbox and a client of its own. For a skill, `context` is its arguments.
    """

    async def once() -> Ran:
        memory = AsyncMemory(settings, client="memory-mcp", channel="code")
        try:
            async with Sandbox() as sandbox:
                if skill:
                    done = await run_skill(
                        sandbox, memory, skill, context, grants=grants, limits=limits, confirm=confirm
                    )
                    return done.ran
                return await sandbox.run(code, memory, context=context, grants=grants, limits=limits, confirm=confirm)
        finally:
            await memory.close()

    return asyncio.run(once())


def run(given: list[str]) -> int:
    """Run a file and print what it printed, then its result as JSON; 1 where it failed, 2 where it could not be begun."""
    parser = argparse.ArgumentParser(
        prog="memory-mcp run",
        description="Run Python over the memory, in the sandbox of execute_code (docs/sandbox.md). `result` is printed as JSON.",
    )
    parser.add_argument("file", metavar="FILE", help="the code; - for standard input; with --skill the skill's name")
    parser.add_argument("--skill", action="store_true", help="run a skill that was saved; --context are its arguments")
    parser.add_argument("--context", metavar="JSON", default="{}", help="what the code finds as `context`")
    parser.add_argument(
        "--grant",
        metavar="GRANT",
        action="append",
        default=[],
        help="change, delete, or the name of an operation; may be repeated",
    )
    parser.add_argument("--confirm", action="store_true", help="let it delete many at once")
    parser.add_argument("--limit", metavar="NAME=N", action="append", default=[], help=f"one of {', '.join(LIMITS)}")
    parser.add_argument("--json", action="store_true", help="print the whole answer as one JSON document")
    parser.add_argument("--space", metavar="NAME", help="the space to work in")
    parsed = parser.parse_args(given)
    try:
        code = "" if parsed.skill else sys.stdin.read() if parsed.file == "-" else Path(parsed.file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        print(f"memory-mcp: {parsed.file} cannot be read: {problem}", file=sys.stderr)
        return 2
    try:
        ran = execute(
            code,
            skill=parsed.file if parsed.skill else "",
            context=_json(parsed.context),
            grants=parsed.grant,
            limits=_limits(parsed.limit),
            confirm=parsed.confirm,
            settings=Settings.load({"space": parsed.space}),
        )
    except Error as problem:
        print(f"memory-mcp: {problem}", file=sys.stderr)
        return 2
    _tell(ran, as_json=parsed.json)
    return 0 if ran.ok else 1


def _tell(ran: Ran, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(ran).decode())
        return
    sys.stdout.write(ran.stdout)
    sys.stdout.flush()
    if ran.truncated:
        print("memory-mcp: some of the output was left out", file=sys.stderr)
    if ran.isolation.level != "A":
        missing = ", ".join(f"{name} ({why})" for name, why in ran.isolation.missing.items())
        print(f"memory-mcp: held at level {ran.isolation.level}, without {missing}", file=sys.stderr)
    if ran.error is not None:
        line = f" in line {ran.error.line}" if ran.error.line else ""
        hint = f" ({ran.error.hint})" if ran.error.hint else ""
        print(f"memory-mcp: {ran.error.type}{line}: {ran.error.message}{hint}", file=sys.stderr)
    elif ran.result is not None:
        print(json.dumps(ran.result, ensure_ascii=False, indent=2))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise Invalid(f"The context is not JSON: {problem}.") from None


def _limits(given: list[str]) -> Limits:
    values: dict[str, Any] = {}
    for one in given:
        name, sign, number = one.partition("=")
        if not sign or name not in LIMITS:
            raise Invalid(f"{one[:100]!r} is no limit.", f"write NAME=N, NAME being one of {', '.join(LIMITS)}")
        values[name] = _json(number)
    try:
        return msgspec.convert(values, Limits)
    except msgspec.ValidationError as problem:
        raise Invalid(f"A limit cannot be used: {problem}.") from None


def check(given: list[str]) -> int:
    """Try the sandbox and say what holds; 1 where code would not be run though it should."""
    parser = argparse.ArgumentParser(prog="memory-mcp check", description="Try the sandbox, and say which layers hold.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parsed = parser.parse_args(given)

    async def look() -> dict[str, Any]:
        async with Sandbox() as sandbox:
            return await told_isolation(sandbox, Settings.load())

    try:
        told = asyncio.run(look())
    except Error as problem:
        print(f"memory-mcp: {problem}", file=sys.stderr)
        return 2
    if parsed.json:
        print(json.dumps(told))
    else:
        if "level" in told:
            print(f"level {told['level']}: {', '.join(told['layers'])}")
            for name, why in told.get("missing", {}).items():
                print(f"without {name}: {why}")
        if "off" in told:
            print(f"code is not run: {told['off']}")
    return 1 if "off" in told else 0
