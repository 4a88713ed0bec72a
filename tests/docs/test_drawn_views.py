"""The table of views in docs/architecture.md, row by row, on a real engine."""

from typing import Any

import pytest

from enhanced_memory.client.operations.entities import (
    CreateEntities,
    DeleteEntities,
)
from enhanced_memory.client.operations.spaces import CreateSpace
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon import ROOT, handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store.sqlite.engine import SqliteEngine
from enhanced_memory.daemon.store.tx import Tx
from enhanced_memory.daemon.store.views import NOW, Layer, View

assert handlers.__all__  # importing the chapters registers them

DEFAULT, PROJECT, BRANCH = 1, 2, 99

VIEWS = {
    "`default`, now": (Layer(DEFAULT),),
    "`default`, as of 3": (Layer(DEFAULT, 3),),
    "`project`, now": (Layer(PROJECT), Layer(DEFAULT)),
    "`project`, as of 2": (Layer(PROJECT, 2), Layer(DEFAULT, 2)),
    "a branch of `default`, pinned at 3": (Layer(BRANCH, NOW), Layer(DEFAULT, 3)),
}


def drawn() -> list[tuple[str, str, str]]:
    """The rows of the table: the view, what Ada likes in it, what Bob likes in it."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = text.split("| view | layers, nearest first | Ada | Bob |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return [(view, ada, bob) for view, _, ada, bob in rows]


@pytest.fixture
async def told(engine: SqliteEngine) -> SqliteEngine:
    """The five changes that the page draws."""

    async def do(ask: Any, space: str = "default") -> None:
        call = Call(Peer(space=space, user="tester", greeted=True), ask)
        await engine.write(lambda tx: HANDLERS[ask.op](tx, ask), call)

    async def prefers(space: str, drink: str) -> None:
        await do(CreateEntities([EntityInput("Ada", "person", [drink])], on_existing="replace"), space)

    await do(CreateEntities([EntityInput("Ada", "person", ["tea"]), EntityInput("Bob", "person", ["rum"])]))
    await do(CreateSpace("project", "default"))
    await prefers("project", "tea, no sugar")
    await prefers("default", "coffee")
    await do(DeleteEntities(["Bob"]), "project")
    return engine


def test_every_view_of_the_table_is_looked_at() -> None:
    assert [view for view, _, _ in drawn()] == list(VIEWS)


@pytest.mark.parametrize(("view", "ada", "bob"), drawn())
async def test_a_view_shows_what_the_table_says(told: SqliteEngine, view: str, ada: str, bob: str) -> None:
    layers = VIEWS[view]

    def look(tx: Tx) -> list[str]:
        seen = View(layers, tuple(str(layer.space) for layer in layers))
        found = (tx.entities.find(name, view=seen) for name in ("Ada", "Bob"))
        return ["–" if one is None else one.state.observations[0].text for one in found]

    assert await told.read(look, Call(Peer(user="tester", greeted=True), CreateSpace("unused"))) == [ada, bob]
