"""A change is applied once, however often it is sent and whatever becomes of its answers."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.client.errors import Closed, Conflict, NotFound, TimedOut
from enhanced_memory.client.operations.entities import AddObservations, CreateEntities, ObservationsInput, RenameEntity
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import Request
from enhanced_memory.client.values import EntityInput, MessageInput

Face = Callable[..., Any]


class Eater:
    """A socket in front of the daemon's that passes everything on, until it is told to eat the next answer and hang up."""

    def __init__(self, path: Path, daemon: Path) -> None:
        self.hungry = 0
        self.eaten = 0
        self._daemon = daemon
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(os.fspath(self._daemon))
            threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if answers and self.hungry:
                    self.hungry -= 1
                    self.eaten += 1
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def eater(memory: Memory, home: Path) -> Iterator[Eater]:
    made = Eater(home / "eater.sock", Settings.load().socket_path)
    yield made
    made.close()


@pytest.fixture
def eaten(face: Face, eater: Eater, home: Path) -> Any:
    """A client whose answers pass the eater."""
    client = face(socket=str(home / "eater.sock"), autostart=False)
    client.call("ping")
    return client


def append(text: str) -> Request[Any]:
    return AppendMessages("stream", [MessageInput(text)])


def test_a_change_whose_answer_was_lost_is_applied_once(eaten: Any, eater: Eater, memory: Memory) -> None:
    eater.hungry = 1
    appended = eaten.send(append("once"))
    assert eater.eaten == 1
    assert appended.ids == [1]
    assert [one.content for one in memory.recent_messages("stream").messages] == ["once"]


def test_many_changes_whose_answers_were_lost_are_each_applied_once(eaten: Any, eater: Eater, memory: Memory) -> None:
    eater.hungry = 1
    answers = eaten.send_all([append(f"m{n}") for n in range(200)])
    assert eater.eaten == 1
    assert sorted(one.ids[0] for one in answers) == list(range(1, 201))
    assert sorted(one.content for one in memory.recent_messages("stream", limit=1000).messages) == sorted(
        f"m{n}" for n in range(200)
    )


def test_an_answer_lost_twice_is_told_as_closed_and_the_change_is_there_once(
    eaten: Any, eater: Eater, memory: Memory
) -> None:
    eater.hungry = 2  # the second time the greeting is eaten or the answer is
    try:
        eaten.send(append("once"))
    except Closed:
        pass
    assert [one.content for one in memory.recent_messages("stream").messages] == ["once"]


def test_without_keys_a_change_whose_answer_was_lost_is_not_sent_again(
    face: Face, eater: Eater, memory: Memory, home: Path
) -> None:
    client = face(socket=str(home / "eater.sock"), autostart=False, retry_changes=False)
    client.call("ping")
    eater.hungry = 1
    with pytest.raises(Closed):
        client.send(append("maybe"))
    eater.hungry = 1
    assert client.call("ping").at  # a question is asked again
    assert eater.eaten == 2


def test_the_same_key_twice_applies_once_across_programs(face: Face, memory: Memory) -> None:
    first = memory.send(append("once"), key="k1")
    again = face().send(append("once"), key="k1")
    assert again.ids == first.ids
    assert len(memory.recent_messages("stream").messages) == 1


def test_a_key_used_for_another_operation_is_a_conflict(face: Face) -> None:
    client = face()
    client.send(append("x"), key="k1")
    with pytest.raises(Conflict):
        client.send(CreateEntities([EntityInput("y", "t")]), key="k1")
    assert client.call("open_nodes", ["y"]).missing == ["y"]


def test_a_change_that_failed_may_be_sent_again_under_its_key(face: Face) -> None:
    client = face()
    for _ in range(2):
        with pytest.raises(NotFound):
            client.send(RenameEntity("later", "now"), key="k1")
    client.call("create_entities", [EntityInput("later", "t")])
    assert client.send(RenameEntity("later", "now"), key="k1").name == "now"


def test_the_same_key_many_times_at_once_applies_once(face: Face) -> None:
    client = face()
    client.call("create_entities", [EntityInput("a", "t")])
    ask = AddObservations([ObservationsInput("a", ["said"])])
    answers = client.send_all([append("once")] * 50 + [ask] * 50)  # each with a key of its own
    assert len({one.ids[0] for one in answers[:50]}) == 50
    clients = [Memory() for _ in range(8)]
    threads = [
        threading.Thread(target=one.send, args=(append("together"),), kwargs={"key": "shared"}) for one in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    contents = [one.content for one in client.call("recent_messages", "stream", limit=1000).messages]
    assert contents.count("together") == 1
    for one in clients:
        one.close()


@pytest.mark.parametrize("key", ["k" * 201, ""])
def test_a_key_has_bounds(face: Face, key: str) -> None:
    """An empty key is no key: the client gives one of its own."""
    client = face()
    if key:
        with pytest.raises(Exception, match="1 to 200"):
            client.send(append("x"), key=key)
    else:
        client.send(append("x"), key=key)
        client.send(append("x"), key=key)
        assert len(client.call("recent_messages", "stream").messages) == 2


def test_a_daemon_that_does_not_answer_is_given_up_at_the_deadline(face: Face, home: Path) -> None:
    """It takes the connection, greets, and then is silent."""
    client = face()
    client.call("ping")
    pid = int((home / "memory.db.lock").read_text())
    os.kill(pid, 19)
    try:
        began = time.monotonic()
        with pytest.raises(TimedOut):
            client.send(append("late"), timeout_s=0.3)
        assert 0.25 < time.monotonic() - began < 5
    finally:
        os.kill(pid, 18)
    assert client.call("ping").at
