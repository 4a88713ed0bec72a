"""The client that an adapter works with: one that it was given, and leaves open, or one of its own."""

from typing import Any

from enhanced_memory.client.closing import Closing
from enhanced_memory.client.sync import Memory

__all__ = ["Lent"]


class Lent(Closing):
    """A `with` block that ends an adapter's own client, and none that it was given."""

    def __init__(self, memory: Memory | None, client: str, settings: dict[str, Any]) -> None:
        self.memory = memory or Memory(client=client, **settings)
        self._own = memory is None

    def close(self) -> None:
        """End the connection, unless it was given."""
        if self._own:
            self.memory.close()
