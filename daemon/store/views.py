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
    only: int = 0
    """In a branch of one entity: that one, which alone may be changed in it."""

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
        return View(tuple(Layer(layer.space, min(layer.at, number)) for layer in self.layers), self.names, self.only)

    def above(self, depth: int) -> "View":
        """The nearest `depth` layers alone."""
        return View(self.layers[:depth], self.names[:depth], self.only)

    def below(self, depth: int) -> "View":
        """What is seen beneath the nearest `depth` layers."""
        return View(self.layers[depth:], self.names[depth:])

    @property
    def live(self) -> frozenset[str]:
        """The spaces whose next change shows here: not those that are seen as they were."""
        return frozenset(name for layer, name in zip(self.layers, self.names, strict=True) if layer.at >= NOW)

    def name_of(self, space: int) -> str:
        """A layer's name by its space's id."""
        for layer, name in zip(self.layers, self.names, strict=True):
            if layer.space == space:
                return name
        return ""
