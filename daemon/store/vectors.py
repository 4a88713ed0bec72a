"""Vectors: what passages mean to a model. Derived from their owners; made after the change that wrote those, and removed with them.

A message has a vector of its own. An entity's passages that began with one change share vectors, each for up to `SHARED_CHARS`
of text: one of them leads, and what is stored under it speaks for those after it too (docs/decisions/0022-vectors.md).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from enhanced_memory.client.errors import Invalid, NotFound
from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import NOW, View
from enhanced_memory.daemon.store.words import Candidate
from enhanced_memory.daemon.text import check_name

__all__ = ["MAX_MODELS", "SHARED_CHARS", "Lead", "Model", "Vectors", "Waiting"]

SHARED_CHARS = 400
"""Characters of observations that share a vector. Measured: docs/decisions/0022-vectors.md."""

SHARED_PASSAGES = 32
"""How many passages may share one: as far back one has to look for the one that leads."""

EMBEDDED_CHARS = 8000
"""What of a text is embedded: more says no more, and costs as much again."""

MAX_MODELS = 63
MAX_DIMENSION = 8192
MAX_NAME = 200

OWN = "own:"
"""Before the name of a caller's own model in its fingerprint."""


class Model(msgspec.Struct):
    """A model whose vectors the store keeps."""

    id: int
    name: str
    fingerprint: str
    dimension: int
    source: str
    """The setting `embedder` that runs it; empty for a caller's own model."""
    serves: bool
    embedded: int
    """Every passage up to this id has been seen to."""


class Lead(msgspec.Struct):
    """Passages that share a vector, and what they say together."""

    passage: int
    """The first of them, under which it is stored."""
    members: list[int]
    text: str
    space: int
    entity: int
    """The stream, for a message."""
    message: bool


class Waiting(msgspec.Struct):
    """What has no vector yet."""

    upto: int
    """The last passage that was looked at, whether anything is left of it or not."""
    leads: list[Lead]


class Vectors:
    """Reads and writes vectors."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    # Models

    def models(self) -> list[Model]:
        """Every model, in the order of their ids."""
        return [
            Model(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6])
            for row in self._ground.rows.all("models")
        ]

    def add_model(self, name: str, fingerprint: str, dimension: int, source: str, serves: bool = False) -> Model:
        """Note a model, or find it by its fingerprint. `Invalid` where there are too many."""
        known = self.models()
        found = next((model for model in known if model.fingerprint == fingerprint), None)
        if found is None:
            free = set(range(1, MAX_MODELS + 1)) - {model.id for model in known}
            if not free:
                raise Invalid(
                    f"The store keeps vectors of {MAX_MODELS} models already.",
                    "use one of those, or a store of its own",
                )
            # No id once more while there are others: an index of the model that had it may still be there.
            last = max((model.id for model in known), default=0)
            found = Model(last + 1 if last + 1 in free else min(free), name, fingerprint, dimension, source, serves, 0)
            self._ground.rows.run("add_model", **msgspec.structs.asdict(found))
        elif source and found.source != source:
            self._ground.rows.run("set_source", model=found.id, source=source, name=name)
            found.source, found.name = source, name
        if serves and not found.serves:
            self.serve(found.id)
            found.serves = True
        return found

    def serve(self, model: int) -> None:
        """Answer queries with this model from now on."""
        self._ground.rows.run("serve_model", model=model)

    def see_to(self, model: int, upto: int) -> None:
        """Note that every passage up to `upto` has been seen to, and no more."""
        self._ground.rows.run("set_embedded", model=model, passage=upto)

    def drop_some(self, model: int, after: int, step: int) -> int | None:
        """Remove a model's vectors of the next `step` passages; where to go on, None once the model itself is gone."""
        upto = after + step
        self._ground.rows.run("drop_vectors_between", model=model, after=after, upto=upto)
        row = self._ground.rows.one("last_vector")
        if row is not None and row[0] >= upto:
            return upto
        self._ground.rows.run("drop_model", model=model)
        return None

    # The queue

    def last_passage(self) -> int:
        """The newest passage's id."""
        row = self._ground.rows.one("last_passage")
        return row[0] if row else 0

    def waiting(self, after: int, limit: int) -> Waiting | None:
        """The next passages in the order of their ids; None where there are none."""
        rows = self._ground.rows.all("passages_after", after=after, limit=limit)
        if not rows:
            return None
        if len(rows) == limit:
            # What belongs together is not cut by the end of the page, unless it fills the page.
            whole = [row for row in rows if _together(row) != _together(rows[-1])]
            rows = whole or rows
        ground = self._ground
        lines = {row[4]: row for row in rows if row[4]}
        leads = [
            Lead(
                row[0],
                [row[0]],
                (f"{speaker}: {content}" if speaker else content)[:EMBEDDED_CHARS],
                row[1],
                row[2],
                True,
            )
            for number, speaker, checksum, body in (ground.rows.all("lines", ids=_json(lines)) if lines else [])
            for row, content in ((lines[number], ground.line(body, checksum).content),)
        ]
        for space in {row[1] for row in rows if not row[4]}:
            here = [row for row in rows if row[1] == space and not row[4]]
            states: dict[int, State] = {
                entity: ground.codec.state(body, checksum)
                for entity, checksum, body in ground.rows.all("heads", space=space, ids=_json(row[2] for row in here))
            }
            for (_, entity, *_), run in groupby(here, key=_together):
                if entity in states:
                    leads += shared(states[entity], [(row[0], row[3]) for row in run], space, entity)
        return Waiting(rows[-1][0], sorted(leads, key=lambda lead: lead.passage))

    def keep(self, model: int, upto: int, leads: Sequence[Lead], vectors: Sequence[bytes]) -> tuple[int, list[int]]:
        """Write vectors of what is still as it was read; up to where all has been seen to, and which of them were written.

        A purge or a deletion that came in between leaves no vector behind; what shared one with a deleted passage is seen to again.
        """
        rows = self._ground.rows
        ids = _json(passage for lead in leads for passage in lead.members)
        living = {row[0] for row in rows.all("passages_ended", ids=ids) if not row[1]}
        kept: list[int] = []
        written: list[dict[str, Any]] = []
        led: list[dict[str, Any]] = []
        """What had a vector of its own, when passages were shared out otherwise."""
        for place, (lead, vector) in enumerate(zip(leads, vectors, strict=True)):
            if living.issuperset(lead.members):
                kept.append(place)
                written.append({"model": model, "passage": lead.passage, "vector": vector})
                led += [{"model": model, "passage": passage} for passage in lead.members[1:]]
            elif not living.isdisjoint(lead.members):
                upto = min(upto, lead.passage - 1)
        rows.many("add_vector", written)
        rows.many("drop_vector", led)
        self.see_to(model, upto)
        return upto, kept

    def owed(self, upto: int) -> tuple[int, int]:
        """How many messages, and how many entities, have living passages up to `upto`: each should have a vector at least."""
        row = self._ground.rows.one("lacking", upto=upto)
        return (row[0], row[1]) if row else (0, 0)

    # Callers' own

    def own_model(self, name: str, dimension: int | None = None) -> Model | None:
        """A caller's own model; made where a `dimension` is given, else None where there is none of that name."""
        name = check_name(name, "The model's name", MAX_NAME)
        found = next((model for model in self.models() if model.fingerprint == OWN + name), None)
        if found is None and dimension is not None:
            found = self.add_model(name, OWN + name, dimension, "")
        return found

    def checked(self, name: str, vector: Sequence[float], make: bool = False) -> tuple[Model, bytes]:
        """A caller's vector as it is kept, and its model. `Invalid` says what is wrong with it, `NotFound` that nothing of the model is kept."""
        kept = _kept(vector)
        model = self.own_model(name, len(vector) if make else None)
        if model is None:
            known = ", ".join(repr(one.name) for one in self.models() if not one.source) or "none yet"
            raise NotFound(
                f"No vectors of a model {name[:100]!r} are stored.",
                f"models stored with memories: {known}; leave `model` out to search by the daemon's own",
            )
        self._fits(model, vector)
        return model, kept

    def fitting(self, model: Model, vector: Sequence[float]) -> bytes:
        """A vector as a model's are kept. `Invalid` where it is none of that model's."""
        kept = _kept(vector)
        self._fits(model, vector)
        return kept

    def _fits(self, model: Model, vector: Sequence[float]) -> None:
        if model.dimension != len(vector):
            raise Invalid(
                f"Vectors of the model {model.name[:100]!r} have {model.dimension:,} numbers here, this one {len(vector):,}.",
                "another model needs another name",
            )

    def give(self, passage: int, vectors: Mapping[str, Sequence[float]]) -> None:
        """Store a caller's vectors for a passage, by the names of their models."""
        for name, vector in vectors.items():
            model, kept = self.checked(name, vector, make=True)
            self._ground.number  # noqa: B018 - a vector alone is a change too
            self._ground.rows.many("add_vector", [{"model": model.id, "passage": passage, "vector": kept}])
            self._ground.given.append(passage)

    def give_entity(self, entity: int, vectors: Mapping[int, Mapping[str, Sequence[float]]]) -> None:
        """Store a caller's vectors for an entity: by part, 0 for the entity as a whole."""
        ground = self._ground
        if ground.begun[:2] == (ground.space, entity):
            # Asking would have what was put off be written for each entity anew.
            passages = ground.begun[2]
        else:
            rows = ground.rows.all("entity_passages", space=ground.space, entity=entity)
            passages = {row[1]: row[0] for row in rows}
        for part, given in vectors.items():
            if part not in passages:
                raise Invalid(
                    "A vector can be given to what this space holds itself, and it sees this entity in its parent.",
                    "change the entity here first, or give the vector in the parent's space",
                )
            self.give(passages[part], given)

    def give_messages(self, vectors: Mapping[int, Mapping[str, Sequence[float]]]) -> None:
        """Store a caller's vectors for messages, by their ids."""
        for message, passage in self._ground.rows.all("message_passages", ids=_json(vectors)):
            self.give(passage, vectors[message])

    # Reading

    def page(self, model: int, after: int, limit: int) -> list[tuple[int, bytes, int, int, bool]]:
        """Vectors in the order of their passages, those of ended passages left out: `(passage, vector, space, entity, message)`."""
        rows = self._ground.rows.all("vectors_after", model=model, after=after, limit=limit)
        return [(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]

    def given(self, passages: Iterable[int]) -> list[tuple[int, int, bytes, int, int, bool]]:
        """The callers' own vectors of passages: `(model, passage, vector, space, entity, message)`."""
        rows = self._ground.rows.all("own_vectors", ids=_json(passages))
        return [(row[0], row[1], row[2], row[3], row[4], bool(row[5])) for row in rows]

    def of(self, model: int, passages: Iterable[int]) -> dict[int, bytes]:
        """The vectors stored under passages."""
        return {row[0]: row[1] for row in self._ground.rows.all("vectors_of", model=model, ids=_json(passages))}

    def of_entities(self, model: int, after: int, upto: int) -> list[tuple[int, bytes]]:
        """The vectors of what the living entities of the caller's spaces say, with whose they are, for ids in a range."""
        spaces = _json(layer.space for layer in self._ground.view.layers)
        return [
            (row[0], row[1])
            for row in self._ground.rows.all("vectors_of_entities", model=model, after=after, upto=upto, spaces=spaces)
        ]

    def for_each(self, model: int, passages: Iterable[int]) -> dict[int, tuple[int, bytes]]:
        """For each of the passages the vector that speaks for it, its own or a shared one, and the passage that has it."""
        rows = self._ground.rows.all("vectors_for", model=model, ids=_json(passages), reach=SHARED_PASSAGES)
        return {row[0]: (row[1], row[2]) for row in rows}

    def nearest(self, model: int, query: bytes, passages: Iterable[int], limit: int) -> list[tuple[int, float]] | None:
        """Of the passages given, those whose vectors are nearest, exactly; None where the store cannot compare."""
        if not self._ground.rows.compares:
            return None
        rows = self._ground.rows.all("nearest_among", model=model, query=query, ids=_json(passages), limit=limit)
        return [(row[0], row[1] or 0.0) for row in rows]

    def near(
        self, model: int, dimension: int, query: bytes, count: int, view: View, messages: bool, stream: int
    ) -> list[tuple[int, float]]:
        """The passages that last and whose vectors are nearest, found by the store itself: where `Engine.counts_of` says it does."""
        spaces = _json(layer.space for layer in view.layers)
        return self._ground.rows.near(model, dimension, query, count, spaces, messages, stream)

    def past(self, model: int, view: View, messages: bool | None, stream: int) -> dict[int, bytes]:
        """The vectors of passages that have ended since, and that `view` sees."""
        found: dict[int, bytes] = {}
        for layer in {layer for layer in view.layers if layer.at < NOW}:
            rows = self._ground.rows.all(
                "past_vectors", model=model, space=layer.space, at=layer.at, stream=stream,
                messages=-1 if messages is None else int(messages),
            )  # fmt: skip
            found |= {row[0]: row[1] for row in rows}
        return found

    def past_nearest(
        self, model: int, query: bytes, view: View, messages: bool | None, stream: int, limit: int
    ) -> list[tuple[int, float]] | None:
        """The same, compared where it is stored: the nearest of them; None where the store cannot compare."""
        if not self._ground.rows.compares:
            return None
        found: list[tuple[int, float]] = []
        for layer in {layer for layer in view.layers if layer.at < NOW}:
            rows = self._ground.rows.all(
                "past_nearest", model=model, query=query, space=layer.space, at=layer.at, stream=stream,
                messages=-1 if messages is None else int(messages), limit=limit,
            )  # fmt: skip
            found += [(row[0], row[1] or 0.0) for row in rows]
        return sorted(found, key=lambda one: -one[1])[:limit]

    def passages(self, ids: Iterable[int]) -> list[Candidate]:
        """Passages by their ids, as candidates without a score."""
        return [Candidate(*row) for row in self._ground.rows.all("passages_of", ids=_json(ids))]


def shared(state: State, run: list[tuple[int, int]], space: int, entity: int) -> list[Lead]:
    """The vectors that an entity's passages of one change get, each `(passage, part)` in the order of their ids.

    What the entity is called goes with its first observations; where its properties say something, it stands alone.
    """
    said = derived.texts(state)
    known = [(passage, part) for passage, part in run if part in said]
    found: list[Lead] = []
    chars = room = 0
    for passage, part in known:
        name, text = said[part]
        if not part:
            found.append(Lead(passage, [passage], f"{name}\n{text}".strip(), space, entity, False))
            room, chars = (0 if text else 1), 0
            continue
        last = found[-1] if found else None
        if (
            last is not None
            and room
            and (chars == 0 or chars + len(text) <= SHARED_CHARS)
            and len(last.members) < SHARED_PASSAGES
        ):
            last.text += (": " if chars == 0 and last.members == [last.passage] else "\n") + text
            last.members.append(passage)
        else:
            found.append(Lead(passage, [passage], f"{state.name}: {text}", space, entity, False))
            room, chars = 1, 0
        chars += len(text)
    for lead in found:
        lead.text = lead.text[:EMBEDDED_CHARS]
    return found


def _kept(vector: Sequence[float]) -> bytes:
    """A caller's vector as int8, scaled so that its largest component is 127. `Invalid` for what is none."""
    import numpy as np  # a store without vectors does without it

    if not 0 < len(vector) <= MAX_DIMENSION:
        raise Invalid(f"A vector has 1 to {MAX_DIMENSION:,} numbers, this one {len(vector):,}.")
    numbers = np.array(vector, dtype=np.float64)
    # One that is not finite makes the largest one so, too.
    largest = float(np.abs(numbers).max())
    if not math.isfinite(largest):
        raise Invalid("A vector holds something that is not a finite number (NaN or infinity).", "check what made it")
    if not largest:
        raise Invalid("A vector of zeros is near nothing.", "leave it out")
    return np.rint(numbers / largest * 127.0).astype(np.int8).tobytes()


def _together(row: tuple[Any, ...]) -> tuple[int, ...]:
    """What passages that may share a vector have in common: space, entity, message and the change they began with."""
    return row[1], row[2], row[4], row[5]


def _json(ids: Iterable[int]) -> str:
    return msgspec.json.encode(sorted(set(ids))).decode()
