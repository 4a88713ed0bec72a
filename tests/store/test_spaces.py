"""Spaces: made, retired, brought back; a space that others read through stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from enhanced_memory.client.errors import Conflict, Denied, Invalid, NotFound
from enhanced_memory.client.operations.spaces import CreateSpace, DeleteSpace, ListSpaces, Switch

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place, World


async def test_spaces_without_a_parent_know_nothing_of_each_other(default: Place, world: World) -> None:
    await default.do(CreateSpace("one", metadata={"why": "test"}))
    one = world.place("one")
    await one.create("Ada", "engine")
    assert await default.listed() == []
    assert await default.found("engine") == []
    first, second = await default.create("Ada"), await one.entity("Ada")
    assert second is not None
    assert first != second.id
    told = (await default.do(ListSpaces())).spaces
    assert [(space.name, space.parent, space.metadata) for space in told] == [
        ("default", None, {}),
        ("one", None, {"why": "test"}),
    ]


async def test_a_space_made_again_alike_is_answered_and_otherwise_refused(default: Place, world: World) -> None:
    made = await default.do(CreateSpace("one", "default"))
    before = await world.last_change()
    assert await default.do(CreateSpace("one", "default")) == made
    assert await world.last_change() == before
    with pytest.raises(Conflict, match="over 'default'"):
        await default.do(CreateSpace("one"))
    with pytest.raises(NotFound):
        await default.do(CreateSpace("two", "nowhere"))


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (CreateSpace(""), Invalid),
        (CreateSpace("auto"), Invalid),
        (CreateSpace("x", "x"), Invalid),
        (CreateSpace("a\0b"), Invalid),
    ],
    ids=str,
)
async def test_what_is_no_space_is_refused(default: Place, ask: CreateSpace, error: type[Exception]) -> None:
    with pytest.raises(error):
        await default.do(ask)


async def test_a_retired_space_is_empty_takes_nothing_and_comes_back_whole(default: Place, world: World) -> None:
    await default.do(CreateSpace("one"))
    one = world.place("one")
    await one.create("Ada", "engine")
    await default.do(DeleteSpace("one"))
    assert await one.listed() == []
    with pytest.raises(NotFound, match="deleted"):
        await one.create("Bob")
    assert [space.name for space in (await default.do(ListSpaces())).spaces] == ["default"]
    assert [space.deleted for space in (await default.do(ListSpaces(deleted=True))).spaces] == [False, True]
    with pytest.raises(NotFound):
        await default.do(DeleteSpace("one"))
    await default.do(CreateSpace("one"))
    assert await one.says("Ada") == ["engine"]


async def test_a_space_in_use_is_not_deleted(default: Place, world: World) -> None:
    await default.do(CreateSpace("one", "default"))
    await default.do(CreateSpace("two", "one"))
    with pytest.raises(Conflict, match="two"):
        await default.do(DeleteSpace("one"))
    with pytest.raises(Denied):
        await default.do(DeleteSpace("default"))
    with pytest.raises(Denied, match="switch"):
        await world.place("two").do(DeleteSpace("two"))


async def test_switching_is_into_spaces_that_there_are(default: Place, world: World) -> None:
    with pytest.raises(NotFound):
        await default.do(Switch("nowhere"))
    await default.do(CreateSpace("one"))
    assert (await default.do(Switch("one"))).name == "one"


async def test_a_connection_may_bring_back_the_retired_space_that_it_stands_in(default: Place, world: World) -> None:
    await default.do(CreateSpace("one"))
    await default.do(DeleteSpace("one"))
    one = world.place("one")
    await one.do(CreateSpace("one"))
    await one.create("Ada")
    assert await one.listed() == ["Ada"]


async def test_a_parent_that_is_not_there_is_named(world: World) -> None:
    lost = world.place("lost", parent="nowhere")
    for work in (lost.listed(), lost.create("Ada")):
        with pytest.raises(NotFound, match="'nowhere'"):
            await work


async def test_spaces_that_read_through_each_other_are_read_to_a_stated_depth(default: Place, world: World) -> None:
    await default.create("Ada")
    parent = "default"
    for number in range(20):
        await world.overlay(f"s{number}", parent)
        parent = f"s{number}"
    assert await world.place(parent).listed() == ["Ada"]
