"""Whose call this is: one value for each MCP session, which every handler of its connection finds by `current()`.

The host sets it for each connection that it accepts; a process that serves its own stdio sets it once.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from enhanced_memory.client.aio import AsyncMemory

__all__ = ["SESSION", "Session", "current", "memory", "request_key"]


@dataclass(slots=True, eq=False)
class Session:
    """One client's session: what its launch said of it, what the kernel says of it, and its own way to the memory."""

    memory: AsyncMemory
    """Opens its connection to the daemon at the first call; its `settings` are those of the client's own environment."""
    profile: str = "core"
    """The name of the profile, or a list of toolsets with commas."""
    cwd: str = ""
    """The folder that the client stands in."""
    home: str = ""
    memory_file: str = ""
    """`MEMORY_FILE_PATH` as it was given; empty: none."""
    space: str = ""
    """The space that the client's environment chose, `auto` included; empty: none was chosen."""
    session_id: str = ""
    """Random; lives as long as the client's own process, and so longer than a host."""
    pid: int = 0
    uid: int = 0
    arrived: bool = False
    """Whether nothing is left to be done before its calls can be answered."""


SESSION: ContextVar[Session] = ContextVar("session")

request_key: ContextVar[str] = ContextVar("request_key", default="")
"""What makes a repeat of the request that is being answered known as one; empty where nobody repeats."""


def current() -> Session:
    """The session whose request is being answered. `LookupError` outside of one."""
    return SESSION.get()


def memory() -> AsyncMemory:
    """The memory of the current session."""
    return SESSION.get().memory
