"""MEMORY_FILE_PATH: each file a world of its own, taken in once before the first answer, whatever state it is in."""

import asyncio
import json
import os
import re
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import FastMCPTransport

from enhanced_memory.client import AsyncMemory, Settings
from enhanced_memory.mcp_server import official_file
from enhanced_memory.mcp_server.arrival import Arrivals
from enhanced_memory.mcp_server.official_file import file_meant, old_places, space_of
from enhanced_memory.mcp_server.profiles import COMPAT, CORE, Profile
from enhanced_memory.mcp_server.server import build
from enhanced_memory.mcp_server.session import Launch

ADA = {"type": "entity", "name": "Ada", "entityType": "person", "observations": ["likes tea", "ünï ☃"]}
KNOWS = {"type": "relation", "from": "Ada", "to": "Bob", "relationType": "knows"}

Open = Callable[..., Client[FastMCPTransport]]


def lines(*records: Any) -> str:
    return "".join(
        (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)) + "\n" for record in records
    )


@pytest.fixture
async def opening(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Open]:
    """A client of a new session that was launched with a file."""
    memories: list[AsyncMemory] = []

    def opening(
        file: Path | str = "",
        *,
        mode: Any = "auto",
        profile: Profile = CORE,
        space: str = "",
        folder: str = "",
        **more: Any,
    ) -> Client[FastMCPTransport]:
        settings = Settings.load({**({"space": space} if space else {}), **more.pop("settings", {})}, environment)
        memories.append(AsyncMemory(settings, client="tests", channel="mcp"))
        memory = memories[-1]
        launch = Launch(folder or str(tmp_path), str(file), bool(space), str(tmp_path / "home"))
        arrivals = Arrivals(more.pop("wait_s", 60.0))
        return Client(build(lambda: memory, profile, lambda: launch, arrivals=arrivals), mode=mode, **more)

    yield opening
    for memory in memories:
        await memory.close()


def data(result: CallToolResult) -> Any:
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def names(client: Client[FastMCPTransport]) -> list[str]:
    return [entity["name"] for entity in data(await client.call_tool("read_graph"))["entities"]]


async def imported(client: Client[FastMCPTransport]) -> dict[str, Any]:
    found: dict[str, Any] = data(await client.call_tool("get_memory_status")).get("imported", {})
    return found


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_file_is_there_in_the_first_answer_and_is_a_world_of_its_own(
    opening: Open, tmp_path: Path, mode: str
) -> None:
    file, other = tmp_path / f"{mode}.jsonl", tmp_path / f"other-{mode}.jsonl"
    file.write_text(lines(ADA, KNOWS))
    async with opening(file, mode=mode, profile=COMPAT) as client:
        shown = data(await client.call_tool("read_graph"))
        assert shown == {
            "entities": [{key: ADA[key] for key in ("name", "entityType", "observations")}],
            "relations": [{key: KNOWS[key] for key in ("from", "to", "relationType")}],
        }
        data(
            await client.call_tool(
                "create_entities", {"entities": [{"name": "New", "entityType": "x", "observations": []}]}
            )
        )
    async with opening(other, mode=mode) as client:
        assert await names(client) == []
    async with opening(file, mode=mode) as client:
        assert await names(client) == ["Ada", "New"]
        assert data(await client.call_tool("read_graph"))["space"] == space_of(file)
    assert file.read_text() == lines(ADA, KNOWS)


async def test_two_names_of_one_file_are_one_world(opening: Open, tmp_path: Path) -> None:
    file, link = tmp_path / "one.jsonl", tmp_path / "link.jsonl"
    file.write_text(lines(ADA))
    link.symlink_to(file)
    async with opening(file) as client:
        data(await client.call_tool("delete_entities", {"entityNames": ["Ada"]}))
    async with opening(link) as client:
        assert await names(client) == []


async def test_a_space_that_was_chosen_is_the_one_that_the_file_comes_into(opening: Open, tmp_path: Path) -> None:
    file = tmp_path / "chosen.jsonl"
    file.write_text(lines(ADA))
    async with opening(file, space="chosen-space") as client:
        shown = data(await client.call_tool("read_graph"))
    assert (shown["space"], [entity["name"] for entity in shown["entities"]]) == ("chosen-space", ["Ada"])


async def test_lines_that_cannot_be_used_are_named_and_foreign_ones_kept(
    opening: Open, tmp_path: Path, environment: dict[str, str]
) -> None:
    file = tmp_path / "odd.jsonl"
    foreign = '{"type":"note","text":"mine"}'
    file.write_text(
        lines(ADA, "garbage", foreign, {"type": "entity", "name": "Half"}, "", KNOWS) + '{"type":"entity","na'
    )
    async with opening(file) as client:
        assert await names(client) == ["Ada"]
        [report] = (await imported(client)).values()
    assert (report["entities"], report["relations"], report["bad"]) == (1, 1, 3)
    assert [line.split(":")[0] for line in report["bad_lines"]] == ["line 2", "line 4", "line 7"]
    kept = Path(report["kept_aside"]["file"])
    assert kept.parent == Path(environment["ENHANCED_MEMORY_STORE"]).parent
    assert kept.read_text() == foreign + "\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not list(kept.parent.glob("*.tmp"))


async def test_a_file_is_taken_in_once_and_a_later_change_of_it_is_told(opening: Open, tmp_path: Path) -> None:
    file = tmp_path / "once.jsonl"
    file.write_text(lines(ADA))
    async with opening(file) as client:
        data(await client.call_tool("delete_entities", {"entityNames": ["Ada"]}))
        assert "changedSince" not in (await imported(client))[str(file)]
    with file.open("a") as more:
        more.write(lines(ADA | {"name": "Later"}))
    async with opening(file) as client:
        assert await names(client) == []
        assert (await imported(client))[str(file)]["changedSince"] is True


async def test_sessions_that_come_together_take_it_in_once(opening: Open, tmp_path: Path) -> None:
    file = tmp_path / "together.jsonl"
    file.write_text(lines(*(ADA | {"name": f"n{number}"} for number in range(700)), KNOWS))

    async def session() -> int:
        async with opening(file, profile=COMPAT) as client:
            return len(await names(client))

    assert await asyncio.gather(*(session() for _ in range(4))) == [700] * 4
    async with opening(file) as client:
        assert data(await client.call_tool("memory_history", {"entity": "n1"}))["versions"][0]["version"] == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_folder_is_a_clear_error_once_and_the_next_call_works(opening: Open, tmp_path: Path, mode: str) -> None:
    folder = tmp_path / f"folder-{mode}"
    folder.mkdir()
    async with opening(folder, mode=mode) as client:
        first = await client.call_tool("read_graph", raise_on_error=False)
        assert first.is_error
        assert f"{folder} is a folder" in first.content[0].text
        data(
            await client.call_tool(
                "create_entities", {"entities": [{"name": "New", "entityType": "x", "observations": []}]}
            )
        )
        assert await names(client) == ["New"]


async def test_a_file_that_no_one_may_read_or_that_never_ends_is_a_clear_error(opening: Open, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    async with opening(pipe) as client:
        first = await client.call_tool("read_graph", raise_on_error=False)
        assert "no ordinary file" in first.content[0].text
        assert await names(client) == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_is_a_clear_error(opening: Open, tmp_path: Path) -> None:
    file = tmp_path / "secret.jsonl"
    file.write_text(lines(ADA))
    file.chmod(0)
    async with opening(file) as client:
        first = await client.call_tool("read_graph", raise_on_error=False)
        assert "cannot be read" in first.content[0].text
    file.chmod(0o600)
    async with opening(file) as client:
        assert await names(client) == ["Ada"]


async def test_a_file_that_is_not_there_yet_is_an_empty_world_and_is_taken_in_when_it_comes(
    opening: Open, tmp_path: Path
) -> None:
    file = tmp_path / "deep" / "later.jsonl"
    async with opening(file) as client:
        assert await names(client) == []
        assert await imported(client) == {}
    file.parent.mkdir()
    file.write_text(lines(ADA))
    async with opening(file) as client:
        assert await names(client) == ["Ada"]


async def test_a_file_that_is_written_meanwhile_is_read_again(
    opening: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official server writes beside it and renames, so what was opened first is the old one to its end."""
    file = tmp_path / "busy.jsonl"
    file.write_text(lines(ADA))
    original, times = official_file._batch, 0

    def meanwhile(reading: Any) -> Any:
        nonlocal times
        times += 1
        if times == 1:
            fresh = tmp_path / "busy.new"
            fresh.write_text(lines(ADA, ADA | {"name": "Second"}))
            os.rename(fresh, file)
        return original(reading)

    monkeypatch.setattr(official_file, "_batch", meanwhile)
    async with opening(file) as client:
        assert await names(client) == ["Ada", "Second"]


async def test_the_greeting_does_not_wait_for_the_file_and_progress_is_told(opening: Open, tmp_path: Path) -> None:
    file = tmp_path / "large.jsonl"
    file.write_text(lines(*(ADA | {"name": f"n{number}"} for number in range(3000))))
    told: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total))

    async with opening(file, progress_handler=progress) as client:
        assert len(await client.list_tools()) == len(CORE.tools)
        assert told == []
        status = data(await client.call_tool("get_memory_status"))
        assert status["entities"] == 3000
    assert len(told) >= 6
    assert told[-1][0] == told[-1][1] == file.stat().st_size


async def test_a_caller_who_gives_up_does_not_end_the_import(opening: Open, tmp_path: Path) -> None:
    file = tmp_path / "patience.jsonl"
    file.write_text(lines(*(ADA | {"name": f"n{number}"} for number in range(3000))))
    async with opening(file) as client:
        with pytest.raises(Exception, match=r"(?i)timed out"):
            await client.call_tool("read_graph", timeout=0.01)
        assert data(await client.call_tool("get_memory_status"))["entities"] == 3000


async def test_a_call_is_told_how_far_a_large_file_is_rather_than_kept_waiting(
    opening: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "huge.jsonl"
    file.write_text(lines(*(ADA | {"name": f"n{number}"} for number in range(600))))
    go_on = threading.Event()
    original, calls = official_file._batch, 0

    def held(reading: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            go_on.wait(30)
        return original(reading)

    monkeypatch.setattr(official_file, "_batch", held)
    async with opening(file, wait_s=0.3) as client:
        for _ in range(2):
            refused = await client.call_tool("read_graph", raise_on_error=False)
            assert refused.is_error
            while ": 0% is done" in refused.content[0].text:  # a slow machine is still at its beginning
                refused = await client.call_tool("read_graph", raise_on_error=False)
            assert re.search(r"huge\.jsonl is being taken into memory: (1|2|3|4|5)\d% is done", refused.content[0].text)
            assert "nothing is lost" in refused.content[0].text
        go_on.set()
        while (status := await client.call_tool("get_memory_status", raise_on_error=False)).is_error:
            assert "is being taken into memory" in status.content[0].text
        assert data(status)["entities"] == 600


# Which file


def test_a_relative_path_is_where_the_official_server_would_have_put_it_else_in_the_launch_folder(
    tmp_path: Path,
) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    assert file_meant("x.jsonl", str(folder), home) == folder / "x.jsonl"
    package = home / ".npm/_npx/abc/node_modules/@modelcontextprotocol/server-memory/dist"
    package.mkdir(parents=True)
    (package / "x.jsonl").write_text("")
    assert file_meant("x.jsonl", str(folder), home) == package / "x.jsonl"
    assert file_meant("/abs/../abs/y.jsonl", str(folder), home) == Path("/abs/y.jsonl")
    assert file_meant("~/z.jsonl", str(folder), home) == home / "z.jsonl"


def test_a_space_s_name_fits_however_long_the_path_is() -> None:
    one, other = Path("/" + "a" * 400 + "/x.jsonl"), Path("/b" + "a" * 400 + "/x.jsonl")
    assert len(space_of(one)) <= 200
    assert space_of(one) != space_of(other)


def test_only_memory_files_outside_of_projects_are_taken_from_the_launch_folder(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    folder.mkdir()
    (folder / "memory.json").write_text('{"settings": 1}')
    assert old_places(str(folder), home) == ([], [])
    (folder / "memory.jsonl").write_text(lines(ADA))
    assert old_places(str(folder), home) == ([folder / "memory.jsonl"], [])
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    assert old_places(str(folder), home) == ([], [folder / "memory.jsonl"])


async def test_old_default_places_come_into_the_default_space_once(opening: Open, tmp_path: Path) -> None:
    package = tmp_path / "home/.npm/_npx/abc/node_modules/@modelcontextprotocol/server-memory/dist"
    package.mkdir(parents=True)
    (package / "memory.jsonl").write_text(lines(ADA | {"name": "From npx"}))
    async with opening() as client:
        assert "From npx" in await names(client)
        data(await client.call_tool("delete_entities", {"entityNames": ["From npx"]}))
    async with opening() as client:
        assert "From npx" not in await names(client)
    async with opening(space="elsewhere") as client:
        assert await names(client) == []


# The mirror


async def test_a_mirror_on_the_same_file_keeps_the_old_version_and_follows(
    opening: Open, tmp_path: Path, until: Any
) -> None:
    file = tmp_path / "mirrored.jsonl"
    file.write_text(lines(ADA, "garbage"))
    async with opening(file, settings={"mirror": "on"}) as client:
        data(
            await client.call_tool(
                "create_entities", {"entities": [{"name": "New", "entityType": "x", "observations": ["y"]}]}
            )
        )
        await until(lambda: "New" in file.read_text())
        assert [json.loads(line)["name"] for line in file.read_text().splitlines()] == ["Ada", "New"]
        [kept] = tmp_path.glob("mirrored.kept-*.jsonl")
        assert kept.read_text() == lines(ADA, "garbage")
        status = data(await client.call_tool("get_memory_status"))
        assert status["mirror"] == str(file)
        assert any(str(kept) in problem for problem in status["problems"])
    async with opening(file, settings={"mirror": "off"}) as client:
        assert "mirror" not in data(await client.call_tool("get_memory_status"))


@pytest.fixture
def until() -> Any:
    """Wait until a condition holds."""

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    return until
