"""What an operation costs goes by what it changes, not by what else hangs on the entities that it touches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.operations.branches import DiffBranch, MergeBranch
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.relations import CreateRelations
from enhanced_memory.client.values import EntityInput, RelationInput
from enhanced_memory.daemon.store.relations import Relations

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, where: type, name: str) -> Iterator[list[Any]]:
    """What a method answered each time that it was called meanwhile."""
    answers: list[Any] = []
    method = getattr(where, name)

    def noted(*given: Any, **named: Any) -> Any:
        answers.append(method(*given, **named))
        return answers[-1]

    with monkeypatch.context() as patched:
        patched.setattr(where, name, noted)
        yield answers


async def spokes(place: Place, count: int, type: str = "knows", begin: int = 0) -> list[RelationInput]:
    """Entities that are related to a hub; the relations."""
    names = [f"n{number}" for number in range(begin, begin + count)]
    await place.do(CreateEntities([EntityInput(name, "thing") for name in names]))
    asked = [RelationInput("hub", name, type) for name in names]
    await place.do(CreateRelations(asked))
    return asked


@pytest.mark.parametrize("kind", ["overlay", "branch"])
async def test_a_relation_of_a_hub_is_compared_without_reading_the_others(
    default: Place, world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Each was first changed by another change, and is compared with what stood before that one."""
    changes = 6
    await default.create("hub")
    read: list[int] = []
    for others in (20, 80):
        await spokes(default, others, begin=10 * others)
        over = await (world.overlay(f"o{others}") if kind == "overlay" else world.branch(f"o{others}"))
        for number in range(changes):
            await over.relate("hub", f"since {others}", f"n{10 * others + number}")
        with counted(monkeypatch, Relations, "_edge") as edges:
            shown = await over.do(DiffBranch())
            merged = await default.do(MergeBranch(f"o{others}", into="default"))
        assert [one.action for one in shown.relations] == ["added"] * changes
        assert merged.relations_added == changes
        read.append(len(edges))
    assert read[0] == read[1]
    await world.sound()
