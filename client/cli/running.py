"""`memoryctl run`, and what doctor says of the sandbox: both are verbs of `memory-mcp`, which is executed for them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, REFUSED
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.cli.surroundings import Finding, good, wary
from enhanced_memory.client.errors import Error, Invalid
from enhanced_memory.client.settings import PREFIX, Settings

__all__ = ["sandbox"]

PROGRAM = [sys.executable, "-P", "-m", "enhanced_memory.mcp_server"]
LOOK_S = 60.0
BESIDE_S = 120.0
"""What a run may take beside the code's own time: a daemon and a sandbox that start, a turn that is waited for."""


class SandboxFailed(Error, code="sandbox_failed"):
    """The code could not be run."""


class Fault(msgspec.Struct):
    """Why code did not come to its end."""

    type: str
    message: str
    line: int | None = None
    hint: str = ""


class Told(msgspec.Struct):
    """What `memory-mcp run --json` says, as far as a person is told."""

    ok: bool
    result: Any
    stdout: str
    truncated: bool
    error: Fault | None = None


@verb(
    "run",
    "Run Python over the memory, in the sandbox.",
    argument("file", metavar="FILE", help="the code; - for standard input; with --skill the skill's name"),
    argument("--skill", action="store_true", help="run a skill that was saved; --context are its arguments"),
    argument("--context", metavar="JSON", help="what the code finds as `context`"),
    argument("--grant", metavar="GRANT", action="append", default=[], help="change, delete, or an operation's name"),
    argument("--confirm", action="store_true", help="let it delete many at once"),
    argument("--limit", metavar="NAME=N", action="append", default=[], help="use less than the settings allow"),
)
def run(call: Call) -> Answer:
    """What the code assigns to `result` is printed as JSON. The exit code is 1 where the code failed. docs/sandbox.md says
    what code may do.
    """
    given = call.given
    words = [
        *PROGRAM,
        "run",
        "--json",
        *(["--skill"] if given.skill else []),
        *(["--confirm"] if given.confirm else []),
    ]
    words += [f"--context={given.context}"] if given.context is not None else []
    words += [f"--grant={one}" for one in given.grant] + [f"--limit={one}" for one in given.limit]
    allowed = call.settings.sandbox_seconds + BESIDE_S
    try:
        ran = subprocess.run(
            [*words, "--", given.file], capture_output=True, env=_environment(call), timeout=allowed, check=False
        )
    except subprocess.TimeoutExpired:
        raise SandboxFailed(f"memory-mcp run did not end within {allowed:g} s.", "see `memory-mcp check`") from None
    try:
        value = msgspec.json.decode(ran.stdout)
        told = msgspec.convert(value, Told)
    except (msgspec.DecodeError, msgspec.ValidationError):
        said = ran.stderr.decode("utf-8", "replace").strip().removeprefix("memory-mcp: ")
        raise Invalid(said or f"memory-mcp run ended with {ran.returncode} and said nothing.") from None
    return Answer(value, lambda paper: _tell(paper, told), OK if told.ok else REFUSED)


def _environment(call: Call) -> dict[str, str]:
    """Ours, with what the command line sets."""
    said = {PREFIX + name.upper(): str(value) for name, value in call.overrides.items()}
    return {**os.environ, **said}


def _tell(paper: Paper, told: Told) -> None:
    for line in told.stdout.splitlines():
        paper.line(line)
    if told.truncated:
        paper.line("(some of the output was left out)", "yellow")
    if told.error is not None:
        line = f" in line {told.error.line}" if told.error.line else ""
        hint = f" ({told.error.hint})" if told.error.hint else ""
        paper.line(f"{told.error.type}{line}: {told.error.message}{hint}", "red")
    elif told.result is not None:
        for line in msgspec.json.format(msgspec.json.encode(told.result), indent=2).decode().splitlines():
            paper.line(line)


class Looked(msgspec.Struct):
    """What `memory-mcp check --json` says."""

    level: str = ""
    layers: list[str] = []
    missing: dict[str, str] = {}
    off: str = ""


def sandbox(settings: Settings) -> Iterator[Finding]:
    """What holds the code of `execute_code` on this machine, found out by trying."""
    if settings.sandbox == "off":
        yield good("sandbox", "switched off by the setting sandbox")
        return
    try:
        looked = subprocess.run([*PROGRAM, "check", "--json"], capture_output=True, timeout=LOOK_S, check=False)
        found = msgspec.json.decode(looked.stdout, type=Looked)
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as problem:
        yield wary("sandbox", f"could not be tried: {type(problem).__name__}", "memory-mcp check")
        return
    lacking = "; ".join(f"without {name} ({why})" for name, why in found.missing.items())
    said = f"level {found.level}: {', '.join(found.layers)}" + (f"; {lacking}" if lacking else "")
    if found.off:
        yield wary(
            "sandbox", f"code is not run: {found.off}" + (f" ({lacking})" if lacking else ""), "memory-mcp check"
        )
    elif found.level == "A":
        yield good("sandbox", said)
    else:
        yield wary("sandbox", said, "docs/sandbox.md says what each layer needs")
