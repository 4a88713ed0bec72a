"""Embedders: text in, vectors out. What the daemon asks of one, whichever it is.

The default is `static.StaticEmbedder`, which ships with the package and runs here (`here.HereEmbedder`); any other runs in a
child process (`child.ChildEmbedder`). Importing this module costs nothing: numpy is loaded by the embedder that is used.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["STATIC", "STORED", "Embedder", "Runner"]

STATIC = "static"
"""What the setting `embedder` calls the model that ships."""
STORED = 144
"""Of its 192 components, those that new stores keep, the first, which matter most: what is found stays the same, and a file of conversations is
a twelfth smaller (docs/decisions/0029-components.md)."""


class Embedder(Protocol):
    """Turns text into vectors that lie near each other where the meaning does.

    Vectors are comparable only within one `fingerprint`: it stands beside every stored vector.
    """

    @property
    def name(self) -> str:
        """What people call the model."""
        ...

    @property
    def dimension(self) -> int:
        """The length of each vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that decides a vector: two embedders with one fingerprint give the same vectors."""
        ...

    def embed(self, texts: "Sequence[str]") -> "NDArray[np.float32]":
        """One row of unit length for each text, in their order.

        A text that says nothing to the model gets a row of zeros, which is near nothing.
        """
        ...


class Runner(Protocol):
    """An embedder as the daemon's loop asks it: wherever it runs, it may take its time, or fail for a while."""

    source: str
    """The setting `embedder` that names it."""
    batch: int
    """How many texts it is best given at a time."""
    name: str
    dimension: int
    fingerprint: str
    problem: str
    """What keeps it from answering just now, or nothing."""
    hint: str

    @property
    def running(self) -> bool:
        """Whether it can answer at once."""
        ...

    async def ready(self) -> None:
        """Have it loaded: name, dimension and fingerprint are known then. `Unavailable` or `Broken` say why it cannot be."""
        ...

    async def embed(self, texts: "Sequence[str]", query: bool = False) -> "NDArray[np.float32]":
        """One row of unit length for each text, zeros where it says nothing. `Unavailable` where it fails."""
        ...

    async def stop(self) -> None:
        """Let go of it."""
        ...
