"""The daemon among many: who is let in, what it tells to whom, what it bears, and how it leaves."""

import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.errors import Denied
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.spaces import Switch
from enhanced_memory.client.values import EntityInput
from enhanced_memory.daemon.store.sqlite.file import Owned

Serve = Callable[..., Any]
ROOT = pytest.mark.skipif(os.getuid() != 0, reason="root alone can act as another user")


def until(condition: Callable[[], Any], wait_s: float = 10) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        time.sleep(0.005)


def create(peer: Any, *names: str) -> dict[str, Any]:
    return peer.ask("create_entities", entities=[{"name": name, "type": "t"} for name in names])["ok"]


# Subscriptions


def test_every_subscriber_hears_of_a_change_and_nobody_else(house: Any) -> None:
    writer, stranger = house.peer(space="told"), house.peer(space="told")
    subscribers = [house.peer(space="told") for _ in range(5)]
    for one in subscribers:
        assert "ok" in one.ask("subscribe")
    (made,) = create(writer, "x")["results"]
    for one in subscribers:
        event = one.hear()
        assert (event["event"], event["op"], event["space"], event["entities"]) == (
            "changed",
            "create_entities",
            "told",
            [made["id"]],
        )
    assert "ok" in stranger.ask("ping")  # `ask` passes events over; so look at the bare frames
    stranger.say({"id": 1, "op": "ping"})
    assert stranger.hear()["id"] == 1


def test_what_changed_nothing_is_not_told(house: Any) -> None:
    writer, subscriber = house.peer(space="quiet"), house.peer(space="quiet")
    create(writer, "x")
    subscriber.ask("subscribe")
    create(writer, "x")  # there already
    writer.ask("create_entities", entities=[{"name": "", "type": "t"}])
    create(writer, "y")
    assert len(subscriber.hear()["entities"]) == 1
    subscriber.ask("unsubscribe")
    create(writer, "z")
    subscriber.say({"id": 1, "op": "ping"})
    assert subscriber.hear()["id"] == 1


def test_a_subscriber_may_watch_some_entities_alone(house: Any) -> None:
    writer, subscriber = house.peer(space="watched"), house.peer(space="watched")
    ids = {one["name"]: one["id"] for one in create(writer, "a", "b")["results"]}
    assert subscriber.ask("subscribe", entities=["nobody"])["error"]["code"] == "not_found"
    subscriber.ask("subscribe", entities=["a"])
    writer.ask("tag", entities=["b"], tags=["x"])
    writer.ask("tag", entities=["a"], tags=["x"])
    assert subscriber.hear()["entities"] == [ids["a"]]


def test_an_overlay_hears_of_its_parent_and_not_the_other_way_round(house: Any) -> None:
    setup = house.peer()
    setup.ask("create_space", name="parent")
    setup.ask("create_space", name="overlay", parent="parent")
    below, above = house.peer(space="parent"), house.peer(space="overlay")
    below.ask("subscribe")
    above.ask("subscribe")
    create(house.peer(space="parent"), "p")
    create(house.peer(space="overlay"), "o")
    create(house.peer(space="elsewhere"), "e")
    create(house.peer(space="parent"), "q")
    assert [above.hear()["space"] for _ in range(3)] == ["parent", "overlay", "parent"]
    assert [below.hear()["space"] for _ in range(2)] == ["parent", "parent"]


def test_a_subscriber_that_switches_hears_of_its_new_space(house: Any) -> None:
    peer = house.peer(space="first")
    create(house.peer(space="first"), "x")
    create(house.peer(space="second"), "x")
    peer.ask("subscribe")
    peer.ask("switch", space="second")
    create(house.peer(space="first"), "y")
    create(house.peer(space="second"), "y")
    assert peer.hear()["space"] == "second"


def test_a_subscriber_that_never_reads_harms_nobody(serve: Serve) -> None:
    daemon = serve(max_unsent_bytes=50_000, unsent_timeout_s=60)
    deaf, awake = daemon.peer(), daemon.peer()
    deaf.ask("subscribe")
    awake.ask("subscribe")
    with daemon.memory() as memory:
        before = daemon.memory_mb
        answers = memory.send_all(
            [CreateEntities([EntityInput(f"n{n}", "t") for n in range(k, k + 2)]) for k in range(0, 4_000, 2)],
            timeout_s=100,
        )
        assert len(answers) == 2000
    for _ in range(100):
        assert awake.hear()["event"] == "changed"
    assert daemon.memory_mb < before + 150
    assert daemon.fine()


# Spaces


def test_switching_holds_for_one_connection(house: Any) -> None:
    one, other = house.peer(space="mine"), house.peer(space="mine")
    create(one, "x")
    create(house.peer(space="yours"), "y")
    assert one.ask("switch", space="yours")["ok"]["name"] == "yours"
    assert one.ask("list_entities")["ok"]["entities"][0]["name"] == "y"
    assert other.ask("list_entities")["ok"]["entities"][0]["name"] == "x"
    assert one.ask("switch", space="nowhere")["error"]["code"] == "not_found"
    assert one.ask("list_spaces")["ok"]["current"] == "yours"


def test_what_was_sent_before_a_switch_belongs_to_the_space_before(house: Any) -> None:
    """However long it waits for the writer."""
    house.peer().ask("create_space", name="after")
    with house.memory(space="before") as memory:
        asks: list[Any] = [CreateEntities([EntityInput(f"n{n}", "t")]) for n in range(50)]
        answers = memory.send_all([*asks, Switch("after"), CreateEntities([EntityInput("last", "t")])])
    assert {one.space for one in answers[:50]} == {"before"}
    assert answers[51].space == "after"


# Who is let in


@ROOT
def test_another_user_is_refused(serve: Serve) -> None:
    """The kernel says who is there; what the folder's permissions would have prevented is prevented again."""
    daemon = serve()
    path = daemon.settings.socket_path
    for folder in (daemon.folder, path.parent):
        folder.chmod(0o755)
    path.chmod(0o666)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            peer = daemon.peer(greeted=False)
            peer.say({"id": 1, "op": "hello"})
            told = peer.hear()
            try:
                Memory(daemon.settings).ping()
            except Denied as problem:
                os.write(writing, msgpack.packb([told, peer.closed(), problem.message]))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said, closed, caught = msgpack.unpackb(pipe.read())
    assert caught == said["error"]["message"]
    assert (said["error"]["code"], "65534" in said["error"]["message"], closed) == ("denied", True, True)
    assert daemon.fine()


@ROOT
def test_the_account_is_what_the_system_proves(serve: Serve) -> None:
    daemon = serve()
    with daemon.memory() as memory:
        memory.create_entities([EntityInput("x", "t", ["y"])])
        assert memory.open_nodes(["x"], details=True).entities[0].details[0].origin.user == "root"


def test_whoever_asks_for_somebody_else_is_kept_beside_what_the_channel_proves(house: Any) -> None:
    peer = house.peer(space="behalf", behalf={"user": "somebody else"})
    peer.ask("create_entities", entities=[{"name": "x", "type": "t", "observations": ["y"]}])
    (entity,) = peer.ask("open_nodes", names=["x"], details=True)["ok"]["entities"]
    assert entity["details"][0]["origin"]["user"] != "somebody else"


def test_rights_once_narrowed_are_not_widened_again(house: Any) -> None:
    peer = house.peer(space="narrow", behalf={"scopes": ["read"]})
    assert peer.ask("create_entities", entities=[{"name": "x", "type": "t"}])["error"]["code"] == "denied"
    peer.ask("hello", space="narrow", behalf={"scopes": ["write"]})
    assert peer.ask("create_entities", entities=[{"name": "x", "type": "t"}])["error"]["code"] == "denied"


# Bounds


def test_a_client_that_never_reads_is_bounded_and_then_cut_off(serve: Serve) -> None:
    """Requests by the thousand in one piece, each with a large answer."""
    daemon = serve(max_unsent_bytes=1_000_000, unsent_timeout_s=0.5)
    daemon.peer().ask("create_entities", entities=[{"name": "large", "type": "t", "observations": ["x" * 200_000]}])
    peer = daemon.peer()
    before = daemon.memory_mb
    payload = msgpack.packb({"id": 1, "op": "open_nodes", "args": {"names": ["large"]}})
    data = (struct.pack(">I", len(payload)) + payload) * 3000
    peer.socket.settimeout(0.2)
    highest = before
    try:
        peer.socket.sendall(data)
    except OSError:
        pass
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        highest = max(highest, daemon.memory_mb)
        assert "ok" in daemon.peer().ask("ping")
    assert highest < before + 60
    waiting = select.poll()
    waiting.register(peer.socket, 0)  # the end of the connection alone, not what could be read
    assert waiting.poll(10_000)
    assert daemon.fine()


def test_requests_that_came_in_one_piece_are_all_answered_once_answers_are_read(serve: Serve) -> None:
    daemon = serve(max_unsent_bytes=100_000, max_pending=4)
    daemon.peer().ask("create_entities", entities=[{"name": "large", "type": "t", "observations": ["x" * 50_000]}])
    peer = daemon.peer()
    ops = [
        ("open_nodes", {"names": ["large"]}),
        ("search_nodes", {"query": "x"}),
        ("create_entities", {"entities": [{"name": "n", "type": "t"}]}),
    ]
    frames = [msgpack.packb({"id": n, "op": ops[n % 3][0], "args": ops[n % 3][1]}) for n in range(600)]
    writing = threading.Thread(target=peer.write, args=(b"".join(struct.pack(">I", len(one)) + one for one in frames),))
    writing.start()
    assert sorted(peer.hear()["id"] for _ in range(600)) == list(range(600))
    writing.join()
    assert daemon.fine()


def test_waiting_for_its_turn_is_not_a_frame_that_never_ends(serve: Serve) -> None:
    """A half-sent message stays half read while the daemon itself reads no further."""
    daemon = serve(max_unsent_bytes=100_000, frame_timeout_s=0.3, unsent_timeout_s=60)
    daemon.peer().ask("create_entities", entities=[{"name": "large", "type": "t", "observations": ["x" * 900_000]}])
    peer = daemon.peer()
    frames = [msgpack.packb({"id": n, "op": "open_nodes", "args": {"names": ["large"]}}) for n in range(20)]
    data = b"".join(struct.pack(">I", len(one)) + one for one in frames)
    peer.write(data[:-5])
    time.sleep(1)  # three times the time that a half-sent message may take
    peer.write(data[-5:])
    assert sorted(peer.hear()["id"] for _ in range(20)) == list(range(20))


def test_a_flood_of_connections_ends_the_idle_ones(serve: Serve) -> None:
    daemon = serve(max_connections=30)
    flood = [daemon.peer() for _ in range(100)]
    assert daemon.fine()
    assert sum(one.closed(0.2) for one in flood[:60]) == 60
    assert "ok" in flood[-1].ask("ping")


def test_connections_leave_descriptors_to_the_store(serve: Serve) -> None:
    """With fewer files allowed than connections: the flood may not keep anybody out, nor the store from its files."""
    daemon = serve(options={"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))})
    flood = [daemon.peer(greeted=False) for _ in range(300)]
    with daemon.memory() as memory:
        assert memory.create_entities([EntityInput("x", "t")])
        assert memory.verify().ok
        assert memory.backup(str(daemon.folder / "backups")).entities == 1
    assert flood
    assert daemon.fine()


def test_peers_that_say_nothing_harm_nobody(serve: Serve) -> None:
    daemon = serve(frame_timeout_s=0.5)
    silent = [daemon.peer(greeted=False) for _ in range(100)]
    half = [daemon.peer(greeted=False) for _ in range(100)]
    before = daemon.memory_mb
    for one in half:
        one.write(struct.pack(">I", 16 * 1024 * 1024) + b"x" * 1000)
    assert daemon.fine()
    assert daemon.memory_mb < before + 50
    assert all(one.closed() for one in half)
    assert "ok" in silent[0].hello().ask("ping")


# Leaving


def test_a_daemon_told_to_stop_answers_what_it_took(serve: Serve) -> None:
    """Everything answered is kept; what was not taken is asked of the next daemon, and nothing is applied twice."""
    daemon = serve()
    peers = [daemon.peer() for _ in range(10)]
    for who, peer in enumerate(peers):
        for number in range(100):
            peer.say(
                {
                    "id": number,
                    "op": "create_entities",
                    "args": {"entities": [{"name": f"{who}/{number}", "type": "t"}]},
                }
            )
    until(lambda: daemon.peer().ask("get_memory_status")["ok"]["total_entities"] > 50)
    daemon.process.send_signal(signal.SIGTERM)
    answered: list[str] = []
    for peer in peers:
        try:
            while True:
                answered.append(peer.hear()["ok"]["results"][0]["name"])
        except EOFError:
            pass
    assert daemon.end() == 0
    assert not daemon.settings.socket_path.exists()
    again = serve(folder=daemon.folder)
    with again.memory() as memory:
        for at in range(0, len(answered), 500):
            assert memory.open_nodes(list(answered[at : at + 500])).missing == []
        assert memory.verify().ok
    assert len(answered) > 50


def test_a_client_that_comes_while_the_daemon_leaves_does_not_hold_it_up(serve: Serve) -> None:
    daemon = serve()
    stop = threading.Event()

    def come() -> None:
        while not stop.is_set():
            try:
                daemon.peer(greeted=False)
            except OSError:
                return

    visitors = [threading.Thread(target=come) for _ in range(8)]
    for one in visitors:
        one.start()
    began = time.monotonic()
    assert daemon.end() == 0
    stop.set()
    for one in visitors:
        one.join()
    assert time.monotonic() - began < 10


def test_a_daemon_on_demand_leaves_once_nobody_is_there(serve: Serve) -> None:
    daemon = serve("--on-demand", idle_exit_s=0.5)
    peer = daemon.peer()
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(daemon.process.pid).wait(1.0)
    assert "ok" in peer.ask("ping")  # somebody was there
    peer.socket.close()
    assert daemon.process.wait(10) == 0
    assert not daemon.settings.socket_path.exists()


def test_a_daemon_that_was_asked_to_serve_stays(serve: Serve) -> None:
    daemon = serve(idle_exit_s=0.1)
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(daemon.process.pid).wait(0.6)
    assert daemon.fine()


def test_a_second_daemon_on_the_same_socket_is_refused(serve: Serve) -> None:
    daemon = serve()
    second = serve(folder=daemon.folder, wait=False)
    assert second.process.wait(20) == 5
    assert "Another daemon listens" in daemon.log.read_text()
    assert daemon.fine()


@pytest.mark.engines("sqlite", why="several daemons share a database")
def test_a_second_daemon_on_the_same_store_is_refused(serve: Serve) -> None:
    daemon = serve()
    second = serve(folder=daemon.folder, wait=False, socket=daemon.folder / "run" / "other.sock", connect_timeout_s=1)
    assert second.process.wait(20) == 5
    assert f"process {daemon.process.pid}" in daemon.log.read_text()
    assert not (daemon.folder / "run" / "other.sock").exists()
    assert daemon.fine()


@pytest.mark.engines("sqlite", why="several daemons share a database")
def test_a_store_that_will_be_free_soon_is_waited_for(serve: Serve) -> None:
    """One that answers what it took may take longer than anybody waits for a daemon that is there to stay."""
    folder = Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))
    held = Owned(folder / "memory.db")
    held.leave()
    second = serve(folder=folder, wait=False, connect_timeout_s=0.4)
    with pytest.raises(subprocess.TimeoutExpired):
        second.process.wait(2)  # ten times what it would wait otherwise
    held.release()
    second.ready()
    assert second.fine()


def test_a_daemon_that_is_still_opening_its_store_is_not_taken_for_a_stale_socket(serve: Serve, tmp_path: Path) -> None:
    """A client that comes meanwhile waits for it, and starts no other in its place."""
    holder = serve()
    opening = serve(folder=holder.folder, wait=False, socket=holder.folder / "run" / "b.sock", connect_timeout_s=20)
    until((holder.folder / "run" / "b.sock").exists)
    names: list[int] = []

    def ask() -> None:
        with opening.memory(autostart=True) as memory:
            names.append(memory.welcome.pid)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: asking.is_alive())
    holder.end()
    asking.join(20)
    assert names == [opening.process.pid]


# The service manager


class Manager:
    """What systemd is to a service: a socket that is handed over, and one that is told how the service fares."""

    def __init__(self, serve: Serve, folder: Path, **more: str) -> None:
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(os.fspath(folder / "notify"))
        self.told.settimeout(15)
        self.path = folder / "handed.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.fspath(self.path))
        self.listener.listen(16)
        number = self.listener.fileno()
        said = {"LISTEN_FDS": "1", "NOTIFY_SOCKET": str(folder / "notify")} | more
        # The process number is known to the process alone: it says so, and then becomes the daemon.
        become = f"import os, sys; os.dup2({number}, 3); os.environ |= {said!r} | {{'LISTEN_PID': str(os.getpid())}}; os.execv(sys.argv[1], sys.argv[1:])"
        self.daemon = serve(
            folder=folder,
            wait=False,
            through=(sys.executable, "-c", become),
            options={"pass_fds": (number,)},
            socket=self.path,
        )

    def hear(self, what: str) -> str:
        """Wait until `what` is told."""
        while what not in (said := self.told.recv(4096).decode()):
            pass
        return said

    def close(self) -> None:
        self.told.close()
        self.listener.close()


@pytest.fixture
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="em-", dir="/tmp"))


def test_a_service_takes_its_socket_and_says_when_it_is_ready_and_when_it_leaves(serve: Serve, folder: Path) -> None:
    manager = Manager(serve, folder)
    early = manager.daemon.peer(greeted=False)  # before it is ready: waits in the backlog
    manager.hear("READY=1")
    assert "ok" in early.hello().ask("ping")
    manager.daemon.process.send_signal(signal.SIGTERM)
    manager.hear("STOPPING=1")
    assert manager.daemon.end() == 0
    assert manager.path.exists()  # it is the service manager's
    manager.close()


def test_a_service_shows_signs_of_life_while_its_writer_works(serve: Serve, folder: Path) -> None:
    manager = Manager(serve, folder, WATCHDOG_USEC="200000")
    manager.hear("READY=1")
    for _ in range(3):
        manager.hear("WATCHDOG=1")
    manager.close()


@pytest.mark.engines("sqlite", why="it is about a file that is none of ours")
def test_a_service_that_cannot_serve_says_why(serve: Serve, folder: Path) -> None:
    (folder / "memory.db").write_text("notes of mine, and no database at all")
    manager = Manager(serve, folder)
    waiting = manager.daemon.peer(greeted=False)
    assert "not an SQLite file" in manager.hear("STATUS=")
    assert waiting.hear()["error"]["code"] == "store_refused"
    assert manager.daemon.process.wait(10) == 5
    assert manager.path.exists()
    manager.close()


def test_a_service_goes_on_without_its_manager(serve: Serve, folder: Path) -> None:
    manager = Manager(serve, folder, WATCHDOG_USEC="100000")
    manager.hear("WATCHDOG=1")
    manager.told.close()
    (folder / "notify").unlink()
    assert manager.daemon.fine()
    assert manager.daemon.end() == 0
    manager.close()
