# The packages of the extra `langchain` may not be there, and leave parts of their types open:
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUntypedBaseClass=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
"""What a batch of LangGraph's operations asks of the daemon, worked out once for both faces.

A batch is a generator: it yields requests, or texts to be embedded, and is given the answers. Who waits for them is
`langgraph_store`'s affair.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from langgraph.store.base import (
    GetOp,
    ListNamespacesOp,
    PutOp,
    SearchItem,
    SearchOp,
    get_text_at_path,
    validate_op_namespace,
)

from enhanced_memory.client.adapters.containment import facets, text_of
from enhanced_memory.client.adapters.store_filters import matches, namespace_matches, narrowing
from enhanced_memory.client.errors import Error, Invalid, NotFound
from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
    EntityPage,
    ListEntities,
    OpenNodes,
    UpdateEntity,
)
from enhanced_memory.client.operations.search import SearchNodes, SearchResult
from enhanced_memory.client.request import Request
from enhanced_memory.client.values import Entity, EntityInput, Filter, ObservationInput

__all__ = ["Steps", "StoreSteps", "Texts"]

ITEM = "store_item"
NAMESPACE = "store_namespace"
PAGE = 1000
TOUCH_SHARE = 0.01
"""By which share of an item's time reading has to prolong it before that is written: reading stays reading."""


@dataclass(frozen=True)
class Texts:
    """Texts to be embedded on the way."""

    texts: list[str]
    query: bool = False


Asked = list[Request[Any]] | Texts
Steps = Generator[Asked, list[Any], Any]


class StoreSteps:
    """The steps of batches on items of one index, or none."""

    def __init__(self, model: str, index: dict[str, Any] | None) -> None:
        self._model = model
        self._indexed = index is not None
        self._dims: int | None = index.get("dims") if index else None
        self._fields: list[str] = list(index.get("fields") or ["$"]) if index else ["$"]

    def batch(self, ops: list[Any]) -> Steps:
        """Reads first, as it was before the batch; then the last put of each key."""
        results: list[Any] = [None] * len(ops)
        puts: dict[tuple[tuple[str, ...], str], PutOp] = {}
        for place, op in enumerate(ops):
            validate_op_namespace(op)
            if isinstance(op, GetOp):
                results[place] = yield from self._get(op)
            elif isinstance(op, SearchOp):
                results[place] = yield from self._search(op)
            elif isinstance(op, ListNamespacesOp):
                results[place] = yield from self._namespaces(op)
            elif isinstance(op, PutOp):
                puts[op.namespace, op.key] = op
            else:
                raise ValueError(f"Unknown operation: {type(op).__name__}")
        yield from self._put(list(puts.values()))
        return results

    def _get(self, op: Any) -> Steps:
        (graph,) = yield from _answers([OpenNodes([op.key], scope=_scope(op.namespace), relations=False)])
        living = [one for one in graph.entities if not _expired(one)]
        if not living:
            return None
        if op.refresh_ttl:
            yield from self._touch(living)
        return _item(living[0])

    def _touch(self, read: Sequence[Entity]) -> Steps:
        """Let items that were read last as long again."""
        now = datetime.now(UTC)
        prolonged: list[Request[Any]] = []
        for one in read:
            ttl = one.properties.get("ttl")
            if ttl and one.expires_at is not None:
                until = now + timedelta(minutes=ttl)
                if until - one.expires_at > timedelta(minutes=ttl * TOUCH_SHARE):
                    prolonged.append(UpdateEntity(one.id, expires_at=until))
        if prolonged:
            yield from _answers(prolonged)
        return None

    # Putting

    def _put(self, puts: list[Any]) -> Steps:
        for begin in range(0, len(puts), PAGE):
            yield from self._put_some(puts[begin : begin + PAGE])
        return None

    def _put_some(self, puts: list[Any]) -> Steps:
        gone = [op for op in puts if op.value is None]
        kept = [op for op in puts if op.value is not None]
        texts = {id(op): self._texts(op) for op in kept}
        vectors: dict[str, Any] = {}
        if self._indexed:
            each = list(dict.fromkeys(text for found in texts.values() for text in found))
            if each:
                made = yield Texts(each)
                pairs = zip(each, (self._checked(one) for one in made), strict=True)
                vectors = {text: vector for text, vector in pairs if any(vector)}  # zeros are near nothing
        if kept:
            places = {op.namespace for op in kept}
            entities = [self._entity(op, texts[id(op)], vectors) for op in kept]
            registered = [
                EntityInput(".".join(place), NAMESPACE, properties={"namespace": list(place)}, scope=NAMESPACE)
                for place in places
            ]
            # The namespaces first: one that is listed for nothing is passed over, one that is not listed would be lost.
            yield from _answers([CreateEntities(registered), CreateEntities(entities, on_existing="replace")])
        if gone:
            asked = [OpenNodes([op.key], scope=_scope(op.namespace), relations=False) for op in gone]
            graphs = yield from _answers(asked)
            ids = [one.id for graph in graphs for one in graph.entities]
            if ids:
                yield from _answers([DeleteEntities(list(ids))])
        return None

    def _texts(self, op: Any) -> list[str]:
        if op.index is False:
            return []
        if not self._indexed and op.index is None:
            text = text_of(dict(op.value))
            return [text] if text else []
        paths = self._fields if op.index is None else op.index
        found = [text for path in paths for text in get_text_at_path(dict(op.value), path)]
        return list(dict.fromkeys(text for text in found if text))

    def _checked(self, vector: Any) -> list[float]:
        numbers = [float(one) for one in vector]
        if self._dims is not None and len(numbers) != self._dims:
            raise Invalid(
                f"The embedding function gave {len(numbers)} numbers; the index says that it gives {self._dims}.",
                "give the index the dims of its function",
            )
        return numbers

    def _entity(self, op: Any, texts: list[str], vectors: dict[str, Any]) -> EntityInput:
        value = dict(op.value)
        said: dict[str, Any] = {"value": value, "namespace": list(op.namespace), "within": _prefixes(op.namespace)}
        said |= {"facets": facets(value)}
        if op.ttl is not None:
            said["ttl"] = float(op.ttl)
        return EntityInput(
            op.key,
            ITEM,
            [ObservationInput(text, vectors={self._model: vectors[text]} if text in vectors else {}) for text in texts],
            properties=said,
            scope=_scope(op.namespace),
            expires_at=None if op.ttl is None else datetime.now(UTC) + timedelta(minutes=op.ttl),
        )

    # Searching

    def _search(self, op: Any) -> Steps:
        where = [Filter("within", equal=_prefix(op.namespace_prefix))] if op.namespace_prefix else []
        where += narrowing(op.filter or {})

        def fits(one: Entity) -> bool:
            said = one.properties
            inside = tuple(said["namespace"])[: len(op.namespace_prefix)] == tuple(op.namespace_prefix)
            return inside and matches(said["value"], op.filter or {})

        if op.query:
            found = yield from self._ranked(op, where, fits)
        else:
            listed = yield from self._listed(where, fits, op.offset + op.limit)
            found = [(one, None) for one in listed[op.offset :]]
        if op.refresh_ttl:
            yield from self._touch([one for one, _ in found])
        return [_item(one, score) for one, score in found]

    def _ranked(self, op: Any, where: list[Filter], fits: Callable[[Entity], bool]) -> Steps:
        """The best, and where fewer are found than asked for, what the search cannot judge: items without embeddings."""
        asked = SearchNodes(op.query, types=[ITEM], where=where)
        if self._indexed:
            (made,) = yield Texts([op.query], query=True)
            vector = self._checked(made)
            if not any(vector):
                listed = yield from self._listed(where, fits, op.offset + op.limit)
                return [(one, None) for one in listed[op.offset :]]
            asked = SearchNodes("", types=[ITEM], where=where, vector=vector, model=self._model)
        wanted = op.offset + op.limit
        best: list[tuple[Entity, float | None]] = []
        known: set[int] = set()
        offset = 0
        while len(best) < wanted:
            (answer,) = yield [msgspec.structs.replace(asked, limit=min(PAGE, max(wanted * 2, 20)), offset=offset)]
            if isinstance(answer, NotFound):
                break  # nothing was embedded yet
            if isinstance(answer, Error):
                raise answer
            result = cast("SearchResult", answer)
            fresh = [hit for hit in result.hits if hit.entity.id not in known]
            known |= {hit.entity.id for hit in fresh}
            best += [(hit.entity, hit.score) for hit in fresh if fits(hit.entity)]
            offset += len(result.hits)
            if not result.cut or not result.hits:
                break
        chosen = best[op.offset : wanted]
        if len(chosen) < op.limit and self._indexed:
            others = yield from self._listed(
                where,
                lambda one: one.id not in known and fits(one),
                op.limit - len(chosen),
            )
            chosen += [(one, None) for one in others]
        return chosen

    def _listed(self, where: list[Filter], fits: Callable[[Entity], bool], wanted: int) -> Steps:
        """What meets the conditions, the one changed last first, `wanted` at the most."""
        found: list[Entity] = []
        asked = ListEntities(types=[ITEM], where=where, order_by="updated", descending=True)
        while len(found) < wanted:
            (page,) = yield from _answers([msgspec.structs.replace(asked, limit=min(PAGE, max(wanted, 20)))])
            found += [one for one in page.entities if fits(one)]
            if page.cursor is None:
                break
            asked = msgspec.structs.replace(asked, cursor=page.cursor)
        return found[:wanted]

    def keys(self, namespace: tuple[str, ...]) -> Steps:
        """The keys of exactly this namespace."""
        found: list[str] = []
        asked = ListEntities(types=[ITEM], scope=_scope(namespace), limit=PAGE)
        while True:
            (page,) = yield from _answers([asked])
            found += [one.name for one in page.entities]
            if page.cursor is None:
                return found
            asked = msgspec.structs.replace(asked, cursor=page.cursor)

    # Namespaces

    def _namespaces(self, op: Any) -> Steps:
        known: list[tuple[str, ...]] = []
        asked = ListEntities(types=[NAMESPACE], limit=PAGE)
        while True:
            (page,) = yield from _answers([asked])
            known += [tuple(one.properties["namespace"]) for one in cast("EntityPage", page).entities]
            if page.cursor is None:
                break
            asked = msgspec.structs.replace(asked, cursor=page.cursor)
        wanted = sorted(
            place
            for place in known
            if all(namespace_matches(one.match_type, one.path, place) for one in op.match_conditions or ())
        )
        if op.max_depth is None:
            told = wanted
        else:
            told = sorted({place[: op.max_depth] for place in wanted})
        found: list[tuple[str, ...]] = []
        upto = op.offset + op.limit
        for begin in range(0, len(told), PAGE):
            some = told[begin : begin + PAGE]
            # Registered for ever, told while something is in it.
            pages = yield from _answers([self._any_in(place, op.max_depth) for place in some])
            found += [place for place, page in zip(some, pages, strict=True) if page.entities]
            if len(found) >= upto:
                break
        return found[op.offset : upto]

    def _any_in(self, place: tuple[str, ...], depth: int | None) -> Request[Any]:
        if depth is not None and len(place) == depth:
            return ListEntities(types=[ITEM], where=[Filter("within", equal=_prefix(place))], limit=1)
        return ListEntities(types=[ITEM], scope=_scope(place), limit=1)


def _answers(asked: list[Any]) -> Steps:
    """Ask, and raise the first error among the answers."""
    answers = yield asked
    for one in answers:
        if isinstance(one, BaseException):
            raise one
    return answers


def _scope(namespace: Sequence[str]) -> str:
    """Where an item's key is unique. Labels hold no period."""
    return f"{ITEM}/" + ".".join(namespace)


def _prefix(namespace: Sequence[str]) -> str:
    return ".".join(namespace)


def _prefixes(namespace: Sequence[str]) -> list[str]:
    return [".".join(namespace[:length]) for length in range(1, len(namespace) + 1)]


def _expired(one: Entity) -> bool:
    return one.expires_at is not None and one.expires_at <= datetime.now(UTC)


def _item(one: Entity, score: float | None = None) -> Any:
    said = one.properties
    return SearchItem(
        value=said["value"],
        key=one.name,
        namespace=tuple(said["namespace"]),
        created_at=cast("datetime", one.created_at),
        updated_at=cast("datetime", one.updated_at),
        score=score,
    )
