"""The published contract of enhanced-memory and the two faces that speak it: `Memory` and `AsyncMemory`."""

from typing import TYPE_CHECKING, Any

from enhanced_memory.client import errors, values
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.sync import Memory

if TYPE_CHECKING:
    from enhanced_memory.client.aio import AsyncMemory

__all__ = ["AsyncMemory", "Memory", "Settings", "errors", "values"]


def __getattr__(name: str) -> Any:
    """`AsyncMemory` when it is asked for: asyncio costs a command line half of its start."""
    if name == "AsyncMemory":
        from enhanced_memory.client.aio import AsyncMemory

        return AsyncMemory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
