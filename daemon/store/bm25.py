"""What words weigh: BM25's constants, and ours. (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009.)"""

from typing import NamedTuple

__all__ = ["BESIDE", "K1", "LONGEST_BESIDE", "OF_ENTITIES", "OF_MESSAGES", "B", "Weights"]


class Weights(NamedTuple):
    """What a word weighs by the column that it stands in."""

    name: float
    body: float
    dates: float

    def ranks(self) -> dict[str, str]:
        """FTS5's function for it, by the layout of the index: as files have it now, and as those of schema 6 and before."""
        return {
            "weights": f"bm25({self.body}, {self.name}, {self.dates})",
            "weights_before": f"bm25({self.name}, {self.body}, 0.0, {self.dates})",
        }

    @classmethod
    def told(cls, rank: str) -> "Weights":
        """The weights of `ranks()["weights"]`."""
        body, name, dates = (float(one) for one in rank.removeprefix("bm25(").removesuffix(")").split(","))
        return cls(name, body, dates)


OF_ENTITIES = Weights(2.0, 1.0, 0.0)
OF_MESSAGES = Weights(1.0, 1.0, 0.5)
"""Measured on conversations: docs/decisions/0021-ranking.md."""

BESIDE = 0.4
"""What a word weighs that is said just before or after a message: less than one of its own, even on both sides."""
K1, B = 1.2, 0.75
"""BM25's constants, as FTS5 has them: how soon more of a word says no more, and what length takes away."""

LONGEST_BESIDE = 80
"""Words of a message that stands on its own, whatever is said beside it."""
