"""The client that an adapter works with: one that it was given, and leaves open, or one of its own."""

from types import TracebackType
from typing import Any, Self

from enhanced_memory.client.sync import Memory

__all__ = ["Lent"]


class Lent:
    """A `with` block that ends an adapter's own client, and none that it was given."""

    def __init__(self, memory: Memory | None, client: str, settings: dict[str, Any]) -> None:
        self.memory = memory or Memory(client=client, **settings)
        self._own = memory is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, unless it was given."""
        if self._own:
            self.memory.close()
