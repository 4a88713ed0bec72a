"""Vectors: what passages mean to a model. Derived from their owners; made after the change that wrote those, and removed with them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.errors import Broken
from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.words import Candidate

__all__ = ["Model", "Vectors", "Waiting"]


class Model(msgspec.Struct):
    """A model whose vectors the store keeps."""

    id: int
    name: str
    dimension: int
    embedded: int
    """Every passage up to this id has its vector."""


class Waiting(msgspec.Struct):
    """Passages that have no vector yet, and what they say."""

    upto: int
    """The last passage that was looked at, whether anything is left of it or not."""
    passages: list[int]
    texts: list[str]


class Vectors:
    """Reads and writes vectors."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def model(self, name: str, fingerprint: str, dimension: int) -> Model:
        """The model with a fingerprint, noted when it is met for the first time."""
        row = self._ground.rows.one("model", fingerprint=fingerprint)
        if row is None:
            self._ground.rows.run("add_model", name=name, fingerprint=fingerprint, dimension=dimension)
            row = self._ground.rows.one("model", fingerprint=fingerprint)
        if row is None:
            raise Broken("A model was written and is not there.")
        return Model(*row)

    def last_passage(self) -> int:
        """The newest passage's id."""
        row = self._ground.rows.one("last_passage")
        return row[0] if row else 0

    def waiting(self, after: int, limit: int) -> Waiting | None:
        """The next passages in the order of their ids; None where there are none."""
        rows = self._ground.rows.all("passages_after", after=after, limit=limit)
        if not rows:
            return None
        texts = self._texts(rows)
        kept = [(row[0], texts[row[0]]) for row in rows if row[0] in texts]
        return Waiting(rows[-1][0], [passage for passage, _ in kept], [text for _, text in kept])

    def _texts(self, rows: list[tuple[Any, ...]]) -> dict[int, str]:
        """What passages say, each with whom it is about or who said it in front: a model cannot know that otherwise."""
        ground = self._ground
        texts: dict[int, str] = {}
        lines = {row[4]: row[0] for row in rows if row[4]}
        if lines:
            for number, speaker, checksum, body in ground.rows.all("lines", ids=_json(lines)):
                content = ground.codec.line(body, checksum).content
                texts[lines[number]] = f"{speaker}: {content}" if speaker else content
        for space in {row[1] for row in rows if not row[4]}:
            parts: dict[int, list[tuple[int, int]]] = {}
            for passage, within, entity, part, message in rows:
                if within == space and not message:
                    parts.setdefault(entity, []).append((passage, part))
            for entity, checksum, body in ground.rows.all("heads", space=space, ids=_json(parts)):
                state = ground.codec.state(body, checksum)
                said = derived.texts(state)
                for passage, part in parts[entity]:
                    if part in said:  # otherwise it has ended since
                        name, text = said[part]
                        texts[passage] = f"{name}\n{text}".strip() if not part else f"{state.name}: {text}"
        return texts

    def keep(self, model: int, upto: int, rows: list[tuple[int, bytes]]) -> None:
        """Write vectors, and that every passage up to `upto` has been seen to."""
        self._ground.rows.many(
            "add_vector", [{"model": model, "passage": passage, "vector": vector} for passage, vector in rows]
        )
        self._ground.rows.run("set_embedded", model=model, passage=upto)

    def page(self, model: int, after: int, limit: int) -> list[tuple[int, bytes, int]]:
        """Vectors in the order of their passages, each with the change that ended its passage (0: none)."""
        return [
            (row[0], row[1], row[2])
            for row in self._ground.rows.all("vectors_after", model=model, after=after, limit=limit)
        ]

    def of(self, model: int, passages: Iterable[int]) -> dict[int, bytes]:
        """The vectors of passages."""
        return {row[0]: row[1] for row in self._ground.rows.all("vectors_of", model=model, ids=_json(passages))}

    def of_entities(self, model: int, after: int, upto: int) -> list[tuple[int, bytes]]:
        """The vectors of what the living entities of the caller's spaces say, with whose they are, for ids in a range."""
        spaces = _json(layer.space for layer in self._ground.view.layers)
        return [
            (row[0], row[1])
            for row in self._ground.rows.all("vectors_of_entities", model=model, after=after, upto=upto, spaces=spaces)
        ]

    def passages(self, ids: Iterable[int]) -> list[Candidate]:
        """Passages by their ids, as candidates without a score."""
        return [Candidate(*row) for row in self._ground.rows.all("passages_of", ids=_json(ids))]


def _json(ids: Iterable[int]) -> str:
    return msgspec.json.encode(sorted(set(ids))).decode()
