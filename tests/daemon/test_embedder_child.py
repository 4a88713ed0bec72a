"""A model in a child process: it may be missing, broken, slow or dead, and words answer all the same."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.errors import Invalid, Unavailable
from enhanced_memory.client.operations.service import Meaning
from enhanced_memory.client.settings import PREFIX, Settings
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.daemon.embedding.child import DOOR

from ..conftest import rows_of
from ..databases import url_of

FAKES = Path(__file__).parent / "fakes"


def model(folder: Path, dimension: int = 64, fault: str = "") -> Path:
    """A folder that the stand-in takes for a model."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"dimension": dimension}))
    (folder / "model.safetensors").write_bytes(bytes(dimension))
    if fault:
        (folder / "fault").write_text(fault)
    return folder


Start = Callable[..., Memory]


@pytest.fixture
def start(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a daemon with an embedder, as often as it is asked to; the one before is ended."""
    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    held: list[Memory] = []

    def started(embedder: str | Path, **settings: object) -> Memory:
        if held:
            stop(held.pop())
        for name, value in {"embedder": embedder, "embedder_answer_s": 30, **settings}.items():
            monkeypatch.setenv(PREFIX + name.upper(), str(value))
        held.append(Memory())
        return held[0]

    yield started
    if held:
        stop(held.pop())


def stop(memory: Memory) -> None:
    pid = memory.welcome.pid
    memory.close()
    if psutil.pid_exists(pid):
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGTERM)
        process.wait(20)


def eventually(memory: Memory, holds: Callable[[Meaning], bool], wait_s: float = 30) -> Meaning:
    """Wait until the status says so."""
    end = time.monotonic() + wait_s
    while True:
        found = memory.get_memory_status().meaning
        assert found is not None
        if holds(found):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.02)


def caught_up(memory: Memory, vectors: int = 1) -> Meaning:
    return eventually(memory, lambda told: told.vectors >= vectors and not told.backlog and told.state != "failing")


def children(memory: Memory) -> list[psutil.Process]:
    found = psutil.Process(memory.welcome.pid).children(recursive=True)
    return [one for one in found if one.status() != psutil.STATUS_ZOMBIE]


def remember(memory: Memory) -> None:
    memory.create_entities(
        [EntityInput("Alice", "person", ["grows red roses"]), EntityInput("Bob", "person", ["fixes bikes"])]
    )


def names(memory: Memory, query: str) -> list[str]:
    return [hit.entity.name for hit in memory.search_nodes(query).hits]


def test_a_model_in_a_folder_answers_by_meaning(start: Start, home: Path) -> None:
    memory = start(model(home / "m"))
    remember(memory)
    told = caught_up(memory, 2)
    assert (told.state, told.dimension, told.embedder) == ("ready", 64, str(home / "m"))
    found = memory.search_nodes("who grows roses")
    assert "meaning" in found.arms
    assert found.hits[0].entity.name == "Alice"
    assert found.note == ""


def test_an_empty_store_starts_no_child_and_one_thread_is_the_default(start: Start, home: Path) -> None:
    memory = start(model(home / "m"))
    memory.search_nodes("roses")
    assert children(memory) == []
    remember(memory)
    caught_up(memory)
    environment = children(memory)[0].environ()
    assert environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_child_ends_with_the_daemon_however_that_ends(start: Start, home: Path, number: signal.Signals) -> None:
    memory = start(model(home / "m"))
    remember(memory)
    caught_up(memory)
    child = children(memory)[0]
    psutil.Process(memory.welcome.pid).send_signal(number)
    child.wait(20)


@pytest.fixture
def door(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A socket where each connection gets a process, as systemd's `Accept=yes` has it; the processes that were started."""
    path = Settings.load().socket_path.with_name(DOOR)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    started: list[subprocess.Popen[bytes]] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    command = [sys.executable, "-P", "-m", "enhanced_memory.daemon", "embed"]
                    started.append(subprocess.Popen(command, stdin=peer, stdout=peer))
                    peer.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield started
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for one in started:
        one.wait(20)


def test_a_process_of_systemd_s_holds_the_model_where_one_is_offered(
    door: list[subprocess.Popen[bytes]], start: Start, home: Path
) -> None:
    memory = start(model(home / "m"))
    remember(memory)
    assert caught_up(memory, 2).state == "ready"
    assert "meaning" in memory.search_nodes("who grows roses").arms
    assert children(memory) == []
    assert len(door) == 1
    door[0].kill()
    eventually(memory, lambda told: "meaning" in memory.search_nodes("who grows roses").arms and len(door) == 2)
    stop(memory)
    assert door[1].wait(20) == 0


def test_an_idle_child_ends_and_comes_back_for_a_question(start: Start, home: Path) -> None:
    memory = start(model(home / "m"), embedder_idle_s=0.5)
    remember(memory)
    caught_up(memory)
    eventually(memory, lambda told: not children(memory))
    eventually(memory, lambda told: "meaning" in memory.search_nodes("red roses please").arms)


@pytest.mark.parametrize("fault", ["encode crash", "encode hang", "encode error", "encode nan", "encode short"])
def test_a_model_that_fails_at_work_leaves_words_answering_and_is_tried_again(
    fault: str, start: Start, home: Path
) -> None:
    folder = model(home / "m", fault=fault)
    memory = start(folder, embedder_answer_s=1)
    remember(memory)
    told = eventually(memory, lambda told: told.state == "failing")
    assert told.problem
    assert told.hint
    assert names(memory, "roses") == ["Alice"]
    assert memory.search_nodes("roses").note.startswith("keywords only: ")
    assert told.problem in memory.get_memory_status().search
    (folder / "fault").unlink()
    caught_up(memory, 2)
    found = memory.search_nodes("roses")
    assert "meaning" in found.arms
    assert not found.note


@pytest.mark.parametrize("fault", ["load crash", "load hang", "load error"])
def test_a_model_that_cannot_be_loaded_is_said_and_tried_again(fault: str, start: Start, home: Path) -> None:
    folder = model(home / "m", fault=fault)
    memory = start(folder, embedder_load_s=3)
    remember(memory)
    eventually(memory, lambda told: told.state == "failing")
    assert names(memory, "bikes") == ["Bob"]
    (folder / "fault").unlink()
    caught_up(memory, 2)


@pytest.mark.parametrize(
    ("named", "says"),
    [("/nowhere/at/all", "no folder"), ("empty", "holds no model"), ("broken", "cannot be loaded")],
)
def test_a_folder_that_is_missing_or_broken_is_named_and_words_answer(
    named: str, says: str, start: Start, home: Path
) -> None:
    (home / "empty").mkdir()
    (home / "broken").mkdir()
    (home / "broken" / "config.json").write_text("{")
    memory = start(named if named.startswith("/") else home / named)
    remember(memory)
    told = eventually(memory, lambda told: told.state == "failing")
    assert says in told.problem
    assert told.hint
    assert names(memory, "roses") == ["Alice"]


def test_a_child_that_is_killed_is_started_again(start: Start, home: Path) -> None:
    memory = start(model(home / "m"))
    remember(memory)
    caught_up(memory, 2)
    children(memory)[0].kill()
    memory.create_entities([EntityInput("Carol", "person", ["sails boats"])])
    caught_up(memory, 3)
    assert "Carol" in names(memory, "sails boats")


def test_what_a_crash_kept_waiting_is_embedded_by_the_next_daemon(start: Start, home: Path) -> None:
    folder = model(home / "m", fault="load error")
    remember(start(folder))
    (folder / "fault").unlink()
    caught_up(start(folder), 2)


def test_another_model_than_the_stored_one_is_said_and_the_stored_one_goes_on_serving(start: Start, home: Path) -> None:
    memory = start(model(home / "one"))
    remember(memory)
    first = caught_up(memory, 2)
    memory = start(model(home / "two", dimension=32))
    told = eventually(memory, lambda told: told.state == "mismatch")
    assert told.fingerprint == first.fingerprint
    assert "reindex" in told.hint
    assert "memoryctl reindex" in memory.get_memory_status().search
    eventually(memory, lambda told: "meaning" in memory.search_nodes("grows roses").arms)
    memory.create_entities([EntityInput("Carol", "person", ["sails boats"])])
    eventually(memory, lambda told: told.vectors == 3)
    assert vectors_by_size(home) == {64: 3}


def test_reindex_changes_to_the_model_that_the_settings_name(start: Start, home: Path) -> None:
    memory = start(model(home / "one"))
    remember(memory)
    caught_up(memory, 2)
    memory = start(model(home / "two", dimension=32))
    eventually(memory, lambda told: told.state == "mismatch")
    memory.reindex()
    eventually(memory, lambda told: told.state == "ready" and told.dimension == 32 and told.vectors == 2)
    reindexed(memory)
    assert vectors_by_size(home) == {32: 2}
    assert "meaning" in memory.search_nodes("grows roses").arms
    assert names(memory, "grows roses")[0] == "Alice"


def test_where_the_stored_model_is_gone_words_answer_and_say_what_helps(start: Start, home: Path) -> None:
    memory = start(model(home / "one"))
    remember(memory)
    caught_up(memory, 2)
    (home / "one").rename(home / "elsewhere")
    memory = start("static")
    told = eventually(memory, lambda told: bool(memory.search_nodes("grows roses").note) and told.state == "failing")
    assert "no folder" in told.problem
    assert names(memory, "roses") == ["Alice"]
    memory.reindex()
    eventually(memory, lambda told: told.state == "ready" and told.model == "minilm-static" and told.vectors == 2)


def test_a_folder_whose_model_was_replaced_is_not_mixed_with_what_is_stored(start: Start, home: Path) -> None:
    memory = start(model(home / "m"))
    remember(memory)
    caught_up(memory, 2)
    memory = start(model(home / "m", dimension=48))
    memory.create_entities([EntityInput("Carol", "person", ["sails boats"])])
    told = eventually(memory, lambda told: told.state == "failing")
    assert "another model" in told.problem
    assert "reindex" in told.hint
    note = memory.search_nodes("sails boats").note
    assert "reindex" in note
    assert vectors_by_size(home) == {64: 2}
    memory.reindex()
    eventually(memory, lambda told: told.state == "ready" and told.dimension == 48 and told.vectors == 3)
    reindexed(memory)
    assert vectors_by_size(home) == {48: 3}


def test_a_reindexing_to_a_model_that_cannot_be_loaded_is_refused_and_changes_nothing(start: Start, home: Path) -> None:
    memory = start(model(home / "one"))
    remember(memory)
    caught_up(memory, 2)
    memory = start("/nowhere")
    eventually(memory, lambda told: told.state == "mismatch")
    with pytest.raises(Unavailable, match="no folder"):
        memory.reindex("meaning")
    assert vectors_by_size(home) == {64: 2}
    assert memory.get_memory_status().reindexing is None


def test_without_a_model_there_is_nothing_to_reindex_by_meaning(start: Start) -> None:
    memory = start("none")
    remember(memory)
    with pytest.raises(Invalid, match="none"):
        memory.reindex("meaning")
    found = memory.search_nodes("roses")
    assert "meaning" not in found.arms
    assert found.note == ""  # it was chosen


def test_a_child_says_onnx_where_the_model_has_such_a_file_and_the_packages_are_there(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnxruntime", "optimum"):
        (home / "more" / name).mkdir(parents=True)
        (home / "more" / name / "__init__.py").write_text("")
    folder = model(home / "m")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"-")
    monkeypatch.setenv("PYTHONPATH", f"{FAKES}{os.pathsep}{home / 'more'}")
    memory = start(folder)
    remember(memory)
    caught_up(memory, 2)
    assert (folder / "backend").read_text() == "onnx"


def test_the_daemon_itself_loads_neither_torch_nor_the_library(start: Start, home: Path) -> None:
    memory = start(model(home / "m"))
    remember(memory)
    caught_up(memory, 2)
    mapped = Path(f"/proc/{memory.welcome.pid}/maps").read_text()
    assert "torch" not in mapped


def test_messages_are_found_by_a_child_s_meaning_too(start: Start, home: Path) -> None:
    memory = start(model(home / "m"))
    memory.append_messages(
        "chat", [MessageInput("the puppy sleeps", speaker="Ann"), MessageInput("rain", speaker="Tom")]
    )
    caught_up(memory, 3)
    assert memory.search_messages("puppy sleeps").hits[0].message.content == "the puppy sleeps"


def reindexed(memory: Memory) -> None:
    end = time.monotonic() + 20
    while (told := memory.get_memory_status().reindexing) is None or told.state != "done":
        assert time.monotonic() < end, told
        time.sleep(0.02)


def vectors_by_size(home: Path) -> dict[int, int]:
    """How many stored vectors have how many bytes."""
    size = "length" if url_of(home / "memory.db") is None else "vector_dims"  # one byte each, or two
    return dict(rows_of(home / "memory.db", f"SELECT {size}(vector), count(*) FROM vectors GROUP BY 1"))  # type: ignore[arg-type]
