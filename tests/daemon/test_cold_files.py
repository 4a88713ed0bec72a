"""Files of cold storage while they are written, replaced and swept: none is lost that any store may need."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from enhanced_memory.client.errors import Conflict, Invalid
from enhanced_memory.client.operations.cold import ArchiveEntities, ListArchived
from enhanced_memory.client.operations.entities import CreateEntities, PurgeEntities, Receipt, RestoreEntities
from enhanced_memory.client.operations.journal import Undo
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.operations.streams import AppendMessages, MessagesBy
from enhanced_memory.client.request import HANDLERS, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.daemon import archiving, handlers
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.metrics import Metrics
from enhanced_memory.daemon.service import Service
from enhanced_memory.daemon.store import Tx, cold_files
from enhanced_memory.daemon.store.cold_files import Group

from ..asking import asked

if TYPE_CHECKING:
    from pathlib import Path

    from enhanced_memory.daemon.store import Engine

assert handlers.__all__

OLD_S = 400 * 86_400


class Keeper:
    """A store with three people, and the service that archives and purges them, without a daemon around it."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.service = Service(engine, Metrics(), settings)
        self.cold = self.service.cold
        self.folder = settings.cold_path

    async def ask(self, request: Request[Any]) -> Any:
        """The answer to a request."""
        return await asked(self.engine, self.service, request)

    async def say(self, text: str, **vectors: list[float]) -> int:
        """Append a message to the stream `talk`; the change that did it."""
        ask = AppendMessages("talk", [MessageInput(text, vectors=vectors)])

        def work(tx: Tx) -> int:
            HANDLERS[ask.op](tx, ask)
            return tx.number

        return await self.engine.write(work, Call(Peer(greeted=True), ask))

    async def archive(self, *names: str) -> Path:
        """Archive entities; their file."""
        done = await self.ask(ArchiveEntities(list(names)))
        return self.folder / done.files[0]

    async def purge(self, *names: str) -> Receipt:
        """Purge entities."""
        return await self.ask(PurgeEntities(list(names), confirm=True))

    async def archived(self) -> list[str]:
        """Whose contents can be read in cold storage."""
        page = await self.ask(ListArchived(contents=True))
        return [one.name for one in page.entities if not one.problem]

    def left(self) -> list[Path]:
        """The files that lie there."""
        return sorted(self.folder.glob("cold_*"))


@pytest.fixture
async def keeper(engine: Engine, settings: Settings) -> Keeper:
    """Ada, Bob and Cyd, all hot."""
    made = Keeper(engine, settings)
    await made.ask(CreateEntities([EntityInput(name, "person", [f"{name} sails"]) for name in ("Ada", "Bob", "Cyd")]))
    return made


def aged(path: Path) -> Path:
    """The file, as if it had lain there for more than a year."""
    when = path.stat().st_mtime - OLD_S
    os.utime(path, (when, when))
    return path


def begun(keeper: Keeper, store_id: str) -> Path:
    """A file that a store wrote and did not come to name."""
    written = cold_files.write(keeper.folder, store_id, [Group(1, 1, [])])
    return keeper.folder / (written.name + cold_files.PARTIAL)


async def test_a_file_that_the_store_does_not_know_is_never_deleted(keeper: Keeper) -> None:
    """It may be another store's in the same folder, or what a newer backup needs."""
    await keeper.archive("Ada")
    other = cold_files.write(keeper.folder, "another store", [Group(1, 1, [])])
    cold_files.named(keeper.folder, other.name)
    aged(keeper.folder / other.name)
    await keeper.cold.look_after()
    assert (keeper.folder / other.name).exists()
    assert (await keeper.cold.verify(quick=True))[1]["cold_files_of_others"] == 1
    assert (await keeper.purge("Bob")).files == [str(keeper.folder / other.name)]


async def test_only_this_stores_own_old_leftovers_are_swept(keeper: Keeper) -> None:
    fresh, mine, theirs, torn = (
        begun(keeper, of) for of in (keeper.engine.store_id, keeper.engine.store_id, "another", "another")
    )
    torn.write_bytes(torn.read_bytes()[:-3])
    for path in (mine, theirs, torn):
        aged(path)
    assert len((await keeper.purge("Bob")).files) == 4, "until then a purge names them"
    await keeper.cold.look_after()
    assert keeper.left() == sorted([fresh, theirs])


async def test_nothing_is_swept_while_a_purge_writes(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await keeper.archive("Ada", "Bob")
    monkeypatch.setattr(archiving, "OLD_PARTIAL_S", -1.0)
    loop, write = asyncio.get_running_loop(), cold_files.write
    sweeping: list[Any] = []

    def slow(*given: Any) -> cold_files.Written:
        written = write(*given)
        sweep = asyncio.run_coroutine_threadsafe(keeper.cold.look_after(), loop)
        sweeping.append(sweep)
        try:
            sweep.result(0.3)
        except TimeoutError:
            pass
        return written

    monkeypatch.setattr(cold_files, "write", slow)
    assert (await keeper.purge("Ada")).files == []
    await asyncio.wrap_future(sweeping[0])
    assert await keeper.archived() == ["Bob"]
    assert not first.exists()
    assert (await keeper.cold.verify(quick=False))[0] == []


async def test_a_file_stays_until_what_replaces_it_has_its_name(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await keeper.archive("Ada", "Bob")
    whole, named = first.read_bytes(), cold_files.named

    def lost(folder: Path, name: str) -> None:
        cold_files.discard(folder, name)
        named(folder, name)

    monkeypatch.setattr(cold_files, "named", lost)
    assert (await keeper.purge("Ada")).files == [str(first)], "what still holds it is named"
    monkeypatch.setattr(cold_files, "named", named)
    await keeper.cold.look_after()
    assert first.read_bytes() == whole
    assert "not in" in keeper.cold.problems()[0]
    assert len((await keeper.cold.verify(quick=True))[0]) == 1


async def test_a_file_whose_transaction_may_stand_is_kept(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    write = keeper.engine.write

    async def unheard(work: Any, call: Call) -> Any:
        await write(work, call)
        raise ConnectionError("the answer was lost")

    monkeypatch.setattr(keeper.engine, "write", unheard)
    with pytest.raises(ConnectionError):
        await keeper.archive("Ada")
    monkeypatch.setattr(keeper.engine, "write", write)
    assert await keeper.archived() == ["Ada"]
    await keeper.cold.look_after()
    assert [path.suffix for path in keeper.left()] == [".zst"]
    await keeper.ask(RestoreEntities(["Ada"]))
    assert await keeper.archived() == []


@pytest.mark.parametrize("harm", ["altered", "missing"])
async def test_a_purge_passes_over_a_damaged_file_and_names_it_while_others_lie_there(
    keeper: Keeper, harm: str
) -> None:
    first = await keeper.archive("Ada", "Bob")
    if harm == "altered":
        first.write_bytes(first.read_bytes()[:-1])
    else:
        first.unlink()
    receipt = await keeper.purge("Ada")
    assert (len(receipt.ids), receipt.files) == (1, [str(first)] if harm == "altered" else [])
    assert len((await keeper.cold.verify(quick=False))[0]) == 1, "Bob is still in it"
    assert (await keeper.purge("Bob")).files == []
    assert keeper.left() == []
    assert (await keeper.cold.verify(quick=False))[0] == []


async def test_a_purge_that_was_carried_out_twice_leaves_the_second_ones_files_alone(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another change of its group fails half way, so that the group is carried out anew."""
    await keeper.archive("Ada", "Bob")
    written: list[str] = []
    write, going_on = cold_files.write, threading.Event()

    def noted(*given: Any) -> cold_files.Written:
        one = write(*given)
        written.append(one.name)
        return one

    def fails(tx: Tx) -> None:
        HANDLERS[CreateEntities.op](tx, CreateEntities([EntityInput("Dan", "person", ["rows"])]))
        raise Invalid("half way")

    monkeypatch.setattr(cold_files, "write", noted)
    held = asyncio.ensure_future(
        keeper.engine.write(lambda tx: going_on.wait(20), Call(Peer(greeted=True), PurgeEntities([])))
    )
    purging = asyncio.ensure_future(keeper.purge("Ada"))
    failing = asyncio.ensure_future(keeper.engine.write(fails, Call(Peer(greeted=True), CreateEntities([]))))
    await asyncio.sleep(0)
    going_on.set()
    assert (await purging).files == []
    with pytest.raises(Invalid, match="half way"):
        await failing
    await held
    assert len(written) == 2
    assert keeper.left() == [keeper.folder / written[1]]
    assert await keeper.archived() == ["Bob"]
    assert keeper.cold.problems() == []


async def test_undoing_what_was_said_in_a_stream_that_is_cold_is_refused(keeper: Keeper) -> None:
    said = await keeper.say("of fog")
    second = await keeper.say("of rain")
    await keeper.archive("talk")
    for change in (said, second):
        refused = (await keeper.ask(Undo(change))).conflicts
        assert any("restore_entities" in one.reason for one in refused)
    await keeper.ask(RestoreEntities(["talk"]))
    assert (await keeper.ask(Undo(second, dry_run=True))).conflicts == []


async def test_what_is_withdrawn_while_its_file_is_written_is_withdrawn_when_it_comes_back(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keeper.say("of fog")
    second = await keeper.say("of rain")
    loop, write = asyncio.get_running_loop(), cold_files.write

    def slow(*given: Any) -> cold_files.Written:
        monkeypatch.setattr(cold_files, "write", write)
        asyncio.run_coroutine_threadsafe(keeper.ask(Undo(second, dry_run=False)), loop).result(20)
        return write(*given)

    monkeypatch.setattr(cold_files, "write", slow)
    await keeper.archive("talk")
    await keeper.ask(RestoreEntities(["talk"]))
    said = (await keeper.ask(MessagesBy("talk"))).messages
    assert [one.content for one in said] == ["of fog"]


async def test_a_vector_that_is_given_while_the_file_is_written_goes_and_comes_back(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, loop = cold_files.write, asyncio.get_running_loop()
    given = CreateEntities([EntityInput("Ada", "person", vectors={"mine": [1.0, 0.5]})])

    def slow(*args: Any) -> cold_files.Written:
        monkeypatch.setattr(cold_files, "write", write)
        asyncio.run_coroutine_threadsafe(keeper.ask(given), loop).result(20)
        return write(*args)

    monkeypatch.setattr(cold_files, "write", slow)
    await keeper.archive("Ada")
    await keeper.ask(RestoreEntities(["Ada"]))
    found = await keeper.ask(SearchNodes("", vector=[1.0, 0.5], model="mine"))
    assert [one.entity.name for one in found.hits] == ["Ada"]


async def test_an_archiving_that_is_sent_again_gets_the_first_ones_answer_and_moves_no_more(keeper: Keeper) -> None:
    ask = ArchiveEntities(types=["person"], limit=1)
    calls = [Call(Peer(greeted=True), ask, key="once") for _ in range(2)]
    first, second = await asyncio.gather(*(keeper.cold.archive(call) for call in calls))
    assert first == second
    assert await keeper.archived() == ["Ada"]
    with pytest.raises(Conflict, match="used for"):
        await keeper.service.attended["purge_entities"](Call(Peer(), PurgeEntities(["Bob"], confirm=True), key="once"))
