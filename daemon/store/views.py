"""What is seen: spaces layered over one another, each at a change number. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["NOW", "Layer", "View"]

NOW = 1 << 62
"""Later than every change."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A space as it was after change `at`."""

    space: int
    at: int = NOW


@dataclass(frozen=True, slots=True)
class View:
    """Layers, nearest first: the nearest that knows of a thing decides."""

    layers: tuple[Layer, ...] = ()
    names: tuple[str, ...] = ()
    """The spaces' names, layer by layer."""

    def __iter__(self) -> Iterator[tuple[int, Layer]]:
        return iter(enumerate(self.layers))

    @property
    def now(self) -> bool:
        """Whether every layer is seen as it is now."""
        return all(layer.at >= NOW for layer in self.layers)

    def nearer(self, depth: int) -> str:
        """The layers above `depth` as JSON, for queries that leave out what those hide."""
        return "[" + ",".join(f"[{layer.space},{layer.at}]" for layer in self.layers[:depth]) + "]"

    def until(self, number: int) -> "View":
        """The same view as it was after change `number`."""
        return View(tuple(Layer(layer.space, min(layer.at, number)) for layer in self.layers), self.names)

    def name_of(self, space: int) -> str:
        """A layer's name by its space's id."""
        for layer, name in zip(self.layers, self.names, strict=True):
            if layer.space == space:
                return name
        return ""
