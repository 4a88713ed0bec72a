"""Running a skill: its code is fetched, its arguments and grants are checked, it is run, and the run is noted.

A skill says what grants it needs. It never gets them from there: whoever runs it must have given every one of them, and
more than it needs it is not given.
"""

from collections.abc import Hashable, Iterable
from typing import Any

import msgspec

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Denied, Invalid, NotFound
from enhanced_memory.client.operations.skills import ListSkills, Skill
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import REQUESTS
from enhanced_memory.client.values import MessageInput
from enhanced_memory.mcp_server.sandbox import api
from enhanced_memory.mcp_server.sandbox.broker import Sandbox
from enhanced_memory.mcp_server.sandbox.values import Limits, Ran

__all__ = ["SkillRan", "run_skill"]

ERROR_CHARS = 500


class SkillRan(msgspec.Struct, frozen=True):
    """What came of a run of a skill."""

    skill: str
    version: int
    ran: Ran
    noted: bool
    """Whether the run was added to the skill's stream; not where the caller may not write."""


async def run_skill(
    sandbox: Sandbox,
    memory: AsyncMemory,
    name: str,
    arguments: dict[str, Any] | None = None,
    *,
    grants: Iterable[str] = (),
    limits: Limits | None = None,
    confirm: bool = False,
    tool: str = "run_skill",
    key: str = "",
    who: Hashable = None,
) -> SkillRan:
    """Run the skill `name` with `arguments`, which its code finds in `context`.

    `NotFound` where there is no such skill, `Invalid` for arguments that it does not take, `Denied` where it needs a
    grant that was not given. Else as `Sandbox.run`.
    """
    skill = await _fetched(memory, name)
    context = _arguments(skill, arguments or {})
    _covered(skill, api.checked_grants(grants))
    ran = await sandbox.run(
        skill.code,
        memory,
        context=context,
        grants=skill.grants,
        limits=limits,
        confirm=confirm,
        tool=tool,
        key=key,
        who=who,
    )
    return SkillRan(skill.name, skill.version, ran, await _noted(memory, skill, ran, tool, key))


async def _fetched(memory: AsyncMemory, name: str) -> Skill:
    found = await memory.send(ListSkills(names=[name], code=True))
    if not found.skills:
        raise NotFound(f"There is no skill {name[:100]!r} in this space.", "list_skills says which there are")
    return found.skills[0]


def _arguments(skill: Skill, given: dict[str, Any]) -> dict[str, Any]:
    takes = ", ".join(skill.parameters) or "nothing"
    for name in given:
        if name not in skill.parameters:
            raise Invalid(f"The skill {skill.name[:100]!r} does not take {name[:100]!r}.", f"it takes {takes}")
    for name, usual in skill.parameters.items():
        if usual is None and name not in given:
            raise Invalid(f"The skill {skill.name[:100]!r} needs {name[:100]!r}.", f"it takes {takes}")
    return skill.parameters | given


def _covered(skill: Skill, given: frozenset[str]) -> None:
    for need in sorted(api.checked_grants(skill.grants)):
        if need in given:
            continue
        group = None
        if need in REQUESTS:
            group = api.DELETE if api.deletes(REQUESTS[need]) else api.CHANGE
        if group not in given:
            raise Denied(
                f"The skill {skill.name[:100]!r} needs the grant {need!r}, which was not given.",
                f'run it with grants: ["{need}"]',
            )


async def _noted(memory: AsyncMemory, skill: Skill, ran: Ran, tool: str, key: str) -> bool:
    said = "" if ran.error is None else f"{ran.error.type}: {ran.error.message}"[:ERROR_CHARS]
    line = MessageInput(
        content=said,
        role="tool",
        kind="run",
        metadata={"ok": ran.ok, "ms": ran.ms, "calls": ran.calls, "run": ran.run, "version": skill.version},
    )
    try:
        await memory.send(AppendMessages(skill.id, [line]), tool=tool, run=ran.run, key=f"{key}:noted" if key else None)
    except Denied:
        return False
    return True
