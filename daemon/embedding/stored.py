"""An index that the store has itself: nothing of it is in memory but how many vectors there are."""

from collections.abc import Sequence

from enhanced_memory.daemon.embedding.index import Index
from enhanced_memory.daemon.store import Held

__all__ = ["StoredIndex"]


class _Count:
    """How many vectors lie in the store, as far as this daemon has heard."""

    def __init__(self, vectors: int, entities: int = 0) -> None:
        self.vectors, self.entities = vectors, entities

    def __len__(self) -> int:
        return self.vectors

    def cosines(self, *_: object) -> None:
        """None: the vectors are not here."""


class StoredIndex(Index):
    """What `Index` is, of vectors that are searched where they are stored. Adding and dropping are the store's own affair."""

    stored = True

    def __init__(self, model: int, dimension: int, held: Held) -> None:
        self.model = model
        self.dimension = dimension
        self.of_entities = _Count(held.of_entities, held.entities)  # pyright: ignore[reportAttributeAccessIssue]
        self.of_messages = _Count(held.of_messages)  # pyright: ignore[reportAttributeAccessIssue]
        self._said = held.arm

    def add(self, rows: Sequence[tuple[int, bytes, int, int, bool]]) -> None:
        """Count vectors that the store took in."""
        for _, _, _, _, message in rows:
            (self.of_messages if message else self.of_entities).vectors += 1  # pyright: ignore[reportAttributeAccessIssue]

    def drop(self, passages: Sequence[int]) -> None:
        """Nothing: the store's questions leave out what has ended."""

    def compact(self) -> None:
        """Nothing: the store looks after its own index."""

    @property
    def wasted(self) -> bool:
        """Never."""
        return False

    @property
    def arm(self) -> str:
        """How the nearest are found."""
        return self._said
