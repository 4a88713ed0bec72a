"""How a tool is declared: once, as data, from which every profile takes what it shows.

A tool's answer is one value, its structured content, and the text is a function of that value: the two cannot differ.
An exact profile drops from the value whatever the tool's contract does not name, before the text is made, and knows no
aliases. Any other escapes in the text what a reader would not see.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import msgspec

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.request import Change, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.mcp_server.fencing import json_text
from enhanced_memory.mcp_server.sandbox.broker import Sandbox
from enhanced_memory.mcp_server.tools.aliases import meant
from enhanced_memory.mcp_server.tools.schema import form, pruned, read, schema_of

__all__ = ["Call", "Choice", "Structured", "Tool", "as_is", "as_json"]

A = TypeVar("A")

Structured: TypeAlias = dict[str, Any]
"""An answer as plain JSON data."""

EXACT_BYTES = 4 * 1024 * 1024
CORE_BYTES = 64 * 1024
"""How long an answer's text may be where the setting `reply_bytes` says nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with several answers, put to a person."""

    question: str
    argument: str
    """The argument that the answer gives."""
    options: Mapping[str, Any]
    """Its values by what a person chooses."""


async def _untold(done: int, total: int, says: str) -> None:
    """Where nobody listens."""


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call under way: whose memory it is for, and which tool the changes are noted under."""

    memory: AsyncMemory
    tool: str
    exact: bool = False
    key: str = ""
    """What makes a repeat of this very call known as one; empty where the client's side repeats nothing."""
    progress: Callable[[int, int, str], Awaitable[None]] = _untold
    """Tells the client how far a long call is."""
    sandbox: Sandbox | None = None
    """Where code is run; none where it is not."""
    changes: Counter[str] = field(default_factory=Counter[str], repr=False)
    """How many changes of each operation the call has made: a repeat makes them in the same order."""

    async def ask(self, request: Request[A]) -> A:
        """The daemon's answer to `request`, or its error. A change that a client's side repeats is applied once."""
        key = None
        if self.key and isinstance(request, Change):
            self.changes[request.op] += 1
            key = f"{self.key}:{request.op}:{self.changes[request.op]}"
        return await self.memory.send(request, tool=self.tool, key=key)

    @property
    def settings(self) -> Settings:
        """The settings of whoever calls."""
        return self.memory.settings

    @property
    def budget(self) -> int:
        """Bytes of text that the answer may have."""
        return self.settings.reply_bytes or (EXACT_BYTES if self.exact else CORE_BYTES)


def as_json(value: Any) -> str:
    """JSON with two spaces of indent and every character as itself, as `JSON.stringify(value, null, 2)` writes it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def as_is(structured: Structured) -> Any:
    """The whole answer."""
    return structured


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as data."""

    name: str
    title: str
    description: str
    takes: type[msgspec.Struct]
    """The arguments. Keys that it does not name are accepted."""
    ask: Callable[[Call, Any], Awaitable[Structured]]
    """Puts the arguments to the daemon and shapes its answer."""
    gives: type[msgspec.Struct] | None = None
    """What the answer holds by contract; it may hold more, but not in an exact profile."""
    more: frozenset[str] = frozenset()
    """Arguments beyond the contract, which an exact profile neither shows nor reads."""
    hidden: frozenset[str] = frozenset()
    """Arguments of the request that no client is shown, nor may give."""
    shows: Callable[[Structured], Any] = as_is
    """What of the answer its text tells: plain text as it is, anything else as JSON."""
    question: Callable[[Any, Settings], str] | None = None
    """What a person should be asked before the tool is carried out with these arguments; empty: nothing."""
    chooses: Callable[[AsyncMemory, Any], Awaitable[Choice | None]] | None = None
    """What a person should choose before the tool is carried out with these arguments; None: nothing."""
    needs_sandbox: bool = False
    """Whether it runs code, and so is offered only where something holds that."""
    whole: bool = False
    """Whether its answer takes more of `Call` than the memory (the sandbox, progress), so that no call of it is plain."""
    reads: bool = False
    destroys: bool = False
    repeatable: bool = False
    """Whether calling again with the same arguments changes nothing further."""

    def parameters(self, *, exact: bool = False) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        schema = schema_of(self.takes)
        dropped = self.hidden | self.more if exact else self.hidden
        if not dropped:
            return schema
        return schema | {
            "properties": {name: part for name, part in schema["properties"].items() if name not in dropped}
        }

    def output(self) -> dict[str, Any] | None:
        """The JSON schema of the answer by contract, closed at every level."""
        return None if self.gives is None else schema_of(self.gives, closed=True)

    def given(self, arguments: dict[str, Any], *, exact: bool = False) -> Any:
        """The arguments as the tool takes them. `Invalid` says which is wrong, and what the tool takes."""
        dropped = self.hidden | self.more if exact else self.hidden
        known = {name: value for name, value in arguments.items() if name not in dropped}
        try:
            return read(self.takes, known if exact else meant(self.name, known))
        except Invalid as problem:
            takes = form(self.parameters(exact=exact))
            raise Invalid(f"{self.name} cannot use these arguments: {problem.message}.", f"it takes {takes}") from None

    async def answer(self, call: Call, arguments: dict[str, Any], *, exact: bool = False) -> tuple[str, Structured]:
        """The answer as text and as data. `Invalid` says which argument is wrong; the daemon's errors pass through."""
        structured = await self.ask(replace(call, exact=exact), self.given(arguments, exact=exact))
        if exact and self.gives is not None:
            structured = pruned(structured, schema_of(self.gives))
        return self.told(structured, exact=exact), structured

    def told(self, structured: Structured, *, exact: bool = False) -> str:
        """The text of an answer."""
        shown = self.shows(structured)
        if isinstance(shown, str):
            return shown
        return as_json(shown) if exact else json_text(shown)
