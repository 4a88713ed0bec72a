"""Code over memory, held by the operating system: `Sandbox` runs it, `execute` is one run for a program without a loop.

Nothing is loaded before it is asked for: the zygote, which lies in this package too, must stay small.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enhanced_memory.mcp_server.sandbox.broker import Sandbox
    from enhanced_memory.mcp_server.sandbox.command import execute
    from enhanced_memory.mcp_server.sandbox.skills import SkillRan, run_skill
    from enhanced_memory.mcp_server.sandbox.values import Fault, Isolation, Limits, Ran

__all__ = ["Fault", "Isolation", "Limits", "Ran", "Sandbox", "SkillRan", "execute", "run_skill"]

_WHERE = {"Sandbox": "broker", "SkillRan": "skills", "execute": "command", "run_skill": "skills"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"{__name__} has no {name}")
    return getattr(import_module(f"{__name__}.{_WHERE.get(name, 'values')}"), name)
