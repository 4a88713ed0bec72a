"""Embedders: text in, vectors out. What the daemon asks of one, whichever it is.

The default is `static.StaticEmbedder`, which ships with the package. Importing this module costs nothing:
numpy is loaded by the embedder that is used.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder"]


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
