"""An index that the store has itself: nothing of it is in memory but how many vectors there are."""

from collections.abc import Sequence

from enhanced_memory.daemon.embedding.index import Floats, Ids, Index, Matrix
from enhanced_memory.daemon.store import Held

__all__ = ["StoredIndex"]


class _Elsewhere(Matrix):
    """Vectors that lie in the store: how many, as far as this daemon has heard."""

    def __init__(self, dimension: int, vectors: int, entities: int = 0) -> None:
        super().__init__(dimension, exact=0)
        self._vectors, self._of_entities = vectors, entities

    def __len__(self) -> int:
        return self._vectors

    @property
    def entities(self) -> int:
        """How many entities have one, once for each space, when they were counted."""
        return self._of_entities

    def heard(self, more: int) -> None:
        """There are so many more."""
        self._vectors += more

    def cosines(self, query: Floats, passages: Ids) -> None:
        """None: the vectors are not here."""


class StoredIndex(Index):
    """What `Index` is, of vectors that are searched where they are stored. Adding and dropping are the store's own affair."""

    stored = True

    def __init__(self, model: int, dimension: int, held: Held) -> None:
        self.model = model
        self.dimension = dimension
        self.of_entities = self._entities = _Elsewhere(dimension, held.of_entities, held.entities)
        self.of_messages = self._messages = _Elsewhere(dimension, held.of_messages)
        self._said = held.arm

    def add(self, rows: Sequence[tuple[int, bytes, int, int, bool]]) -> None:
        """Count vectors that the store took in."""
        messages = sum(row[4] for row in rows)
        self._messages.heard(messages)
        self._entities.heard(len(rows) - messages)

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
