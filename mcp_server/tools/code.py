"""`execute_code`: one call instead of many. What the code may do is the sandbox's affair; here it is asked and answered."""

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from enhanced_memory.client.errors import Denied
from enhanced_memory.client.request import REQUESTS
from enhanced_memory.client.settings import Settings
from enhanced_memory.mcp_server.sandbox.api import DELETE, deletes
from enhanced_memory.mcp_server.sandbox.skills import run_skill
from enhanced_memory.mcp_server.sandbox.values import Limits, Ran
from enhanced_memory.mcp_server.tools.budget import first_that_fit, size_of
from enhanced_memory.mcp_server.tools.declaration import Call, Structured, Tool

__all__ = ["EXECUTE_CODE", "RUN_SKILL", "may_delete", "question", "told"]

Grants = Annotated[
    list[str], Meta(description="change: may write; delete: may delete; or names of operations. Empty: read-only")
]
Agreed = Annotated[bool, Meta(description="True where the user agreed to delete many")]


class CodeArguments(msgspec.Struct):
    """What `execute_code` takes."""

    code: Annotated[
        str,
        Meta(
            description="Python. search_nodes(query, limit=…), open_nodes, messages_by and others answer dicts; api() lists "
            "them. Also json, math, re, statistics, datetime, Counter, filter_by_type, top_n, aggregate_stats. "
            "Assign the answer to `result`."
        ),
    ]
    context: Annotated[dict[str, Any], Meta(description="Data that the code finds as `context`")] = {}
    grants: Grants = []
    limits: Annotated[Limits | None, Meta(description="To use less than the settings allow")] = None
    confirm: Agreed = False


async def execute_code(call: Call, given: CodeArguments) -> Structured:
    """Run the code for whoever calls."""
    if call.sandbox is None:
        raise Denied("Code is not run here.")
    ran = await call.sandbox.run(
        given.code,
        call.memory,
        context=given.context,
        grants=given.grants,
        limits=given.limits,
        confirm=given.confirm,
        tool=call.tool,
        key=call.key,
        who=id(call.memory),
    )
    return told(ran, call.budget)


def told(ran: Ran, budget: int) -> Structured:
    """A run's answer, its output and result cut to fit into the budget."""
    shown: Structured = msgspec.to_builtins(ran)
    if size_of(shown) <= budget:
        return shown
    note = "cut to fit: answer less, with top_n(…) or summarize_results(…)"
    shown |= {"truncated": True, "note": note}
    if len(shown["stdout"]) > budget // 4:
        shown["stdout"] = shown["stdout"][: budget // 4]
    room = budget - size_of(shown | {"result": None})
    if size_of(shown["result"]) > room:
        shown["result"] = _fitting(shown["result"], room)
    return shown


def _fitting(result: Any, room: int) -> Any:
    """As much from the beginning of `result` as fits."""
    if isinstance(result, str):
        return result[: max(0, room // 4)] if size_of(result[:room]) > room else result[:room]
    if isinstance(result, list):
        return first_that_fit(cast("list[Any]", result), room)
    if isinstance(result, dict):
        pairs = list(cast("dict[str, Any]", result).items())
        return dict(first_that_fit(pairs, room))
    return None


def may_delete(grants: list[str]) -> bool:
    """Whether a run with these grants may delete."""
    return any(grant == DELETE or (grant in REQUESTS and deletes(REQUESTS[grant])) for grant in grants)


def question(given: CodeArguments, settings: Settings) -> str:
    """What a person is asked before code that may delete is run."""
    del settings
    return "" if given.confirm or not may_delete(given.grants) else _QUESTION + given.code[:2000]


class SkillArguments(msgspec.Struct):
    """What `run_skill` takes."""

    name: Annotated[str, Meta(description="The skill's name")]
    arguments: Annotated[dict[str, Any], Meta(description="What it takes, by name; list_skills says what")] = {}
    grants: Grants = []
    limits: Annotated[Limits | None, Meta(description="To use less than the settings allow")] = None
    confirm: Agreed = False


async def run_kept(call: Call, given: SkillArguments) -> Structured:
    """Run a skill for whoever calls."""
    if call.sandbox is None:
        raise Denied("Code is not run here.")
    done = await run_skill(
        call.sandbox,
        call.memory,
        given.name,
        given.arguments,
        grants=given.grants,
        limits=given.limits,
        confirm=given.confirm,
        key=call.key,
        who=id(call.memory),
    )
    beside: Structured = {"skill": done.skill, "version": done.version, "noted": done.noted}
    return beside | told(done.ran, call.budget - size_of(beside))


def ask_before_skill(given: SkillArguments, settings: Settings) -> str:
    """What a person is asked before a skill that may delete is run."""
    del settings
    return (
        ""
        if given.confirm or not may_delete(given.grants)
        else f"The skill {given.name[:200]!r} may delete memories. Go ahead?"
    )


_QUESTION = "Code that may delete memories is to be run. Go ahead?\n\n"


EXECUTE_CODE = Tool(
    name="execute_code",
    title="Execute code",
    description="Execute Python over this memory in a sandbox: one call for what takes many. "
    "Read-only unless granted; no files, no network.",
    takes=CodeArguments,
    ask=execute_code,
    question=question,
    needs_sandbox=True,
    destroys=True,
)

RUN_SKILL = Tool(
    name="run_skill",
    title="Run skill",
    description="Run a skill: code that was saved under a name, with arguments. Read-only unless granted.",
    takes=SkillArguments,
    ask=run_kept,
    question=ask_before_skill,
    needs_sandbox=True,
    destroys=True,
)
