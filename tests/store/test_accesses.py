"""Accesses that callers note themselves: kept beside the daemon's own, without what was said, longer than what they are about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Invalid, NotFound
from enhanced_memory.client.operations.entities import CreateEntities, DeleteEntities, PurgeEntities
from enhanced_memory.client.operations.service import AccessInput, AccessLog, NoteAccess
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.handlers.accesses import scrubbed, unquoted

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import World


async def test_a_noted_access_says_who_where_and_what_came_of_it(world: World) -> None:
    me = world.place("default", agent="planner", session="s1", user="ada")
    (made,) = (await me.do(CreateEntities([EntityInput("Ada", "person")]))).results
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    rows = [
        AccessInput("read", "Ada", agent="reader", session="s2", address="10.0.0.7", at=at),
        AccessInput("search", error="timeout", says="no answer within 5 s", request={"limit": 5}),
    ]
    assert (await me.do(NoteAccess(rows))).rows == 2
    failed, read = (await me.do(AccessLog(ops=["read", "search"]))).rows
    assert (read.op, read.ok, read.entity, read.address, read.at) == ("read", True, made.id, "10.0.0.7", at)
    assert (read.origin.agent, read.origin.session, read.origin.user) == ("reader", "s2", "ada")
    assert (failed.ok, failed.error, failed.says, failed.request) == (
        False,
        "timeout",
        "no answer within 5 s",
        {"limit": 5},
    )
    assert (failed.origin.agent, failed.origin.session, failed.entity) == ("planner", "s1", None)
    assert [row.op for row in (await me.do(AccessLog(entity=made.id))).rows] == ["read"]
    assert [row.op for row in (await me.do(AccessLog(session="s2"))).rows] == ["read"]


async def test_a_noted_access_outlives_what_it_is_about_and_a_purge_takes_its_words(world: World) -> None:
    me = world.default
    (made,) = (await me.do(CreateEntities([EntityInput("Ada", "person")]))).results
    await me.do(NoteAccess([AccessInput("update", "Ada", request={"text": "tea", "n": 1}, error="x", says="bad")]))
    await me.do(DeleteEntities(["Ada"]))
    (row,) = (await me.do(AccessLog(entity=made.id))).rows
    assert row.request == {"text": "<3 characters>", "n": 1}
    await me.do(PurgeEntities([made.id], confirm=True))
    (row,) = (await me.do(AccessLog(entity=made.id))).rows
    assert (row.op, row.error, row.request, row.says) == ("update", "x", {}, "")


async def test_noting_an_access_changes_nothing_that_is_remembered(world: World) -> None:
    me = world.default
    before = (await me.do(CreateEntities([EntityInput("Ada", "person")]))).results[0]
    await me.do(NoteAccess([AccessInput("read", "Ada")]))
    after = (await me.do(CreateEntities([EntityInput("Bob", "person")]))).results[0]
    numbers = [row[0] for row in await world.rows("SELECT number FROM changes ORDER BY number")]
    assert (before.version, after.version, numbers) == (1, 1, [1, 2])


REFUSED: list[tuple[AccessInput, type[Exception]]] = [
    (AccessInput("read", "Nobody"), NotFound),
    (AccessInput(" "), Invalid),
    (AccessInput("read", session="a\0b"), Invalid),
    (AccessInput("read", request={"n": float("nan")}), Invalid),
]


@pytest.mark.parametrize(("row", "error"), REFUSED, ids=["nobody", "blank", "nul", "nan"])
async def test_what_cannot_be_noted_is_refused_and_nothing_of_it_kept(
    world: World, row: AccessInput, error: type[Exception]
) -> None:
    me = world.default
    with pytest.raises(error):
        await me.do(NoteAccess([AccessInput("read"), row]))
    assert (await me.do(AccessLog(ops=["read", " "]))).rows == []


SECRETS: list[tuple[Any, Any]] = [
    ({"query": "my password is hunter2", "limit": 3}, {"query": "<22 characters>", "limit": 3}),
    (
        {"content": {"text": "tea", "ok": True, "none": None}},
        {"content": {"text": "<3 characters>", "ok": True, "none": None}},
    ),
    ({"embedding": [0.25, 0.5]}, {"embedding": "<2 items>"}),
    ({"tags": ["a", "bc"]}, {"tags": ["<1 characters>", "<2 characters>"]}),
    ({"a": {"b": {"c": {"d": "deep"}}}}, {"a": {"b": {"c": "<1 items>"}}}),
]


@pytest.mark.parametrize(("asked", "kept"), SECRETS, ids=["text", "map", "vector", "list", "deep"])
def test_no_text_that_was_asked_is_kept(asked: Any, kept: Any) -> None:
    assert scrubbed(asked) == kept


def test_many_keys_are_counted() -> None:
    assert scrubbed({f"k{n}": n for n in range(40)}) == {f"k{n}": n for n in range(32)} | {"…": 8}


def test_what_is_quoted_is_taken_out() -> None:
    assert (
        unquoted("The name 'Ada\nLovelace' is \"taken\" by `x` in “default”.") == "The name '…' is '…' by '…' in '…'."
    )
    assert len(unquoted("x" * 1000)) == 300
