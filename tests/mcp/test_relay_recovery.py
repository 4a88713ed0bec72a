"""A host may die, be replaced or leave at any moment: the client need not notice, and no write is lost or done twice."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import Memory, Settings
from enhanced_memory.mcp_server.door import place
from enhanced_memory.mcp_server.relay import RESTARTS

Environment = dict[str, str]
Hosts = Callable[[Environment], list[int]]
Kill = Callable[[int, int], None]

GRAPH = "memory://knowledge-graph"


def until(condition: Callable[[], bool], wait_s: float = 20.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "the condition never came to hold"
        time.sleep(0.005)


@contextmanager
def still(environment: Environment) -> Iterator[None]:
    """The daemon does not answer meanwhile: what is asked of it is under way."""
    with Memory(Settings.load({"autostart": False}, environment)) as memory:
        assert memory.welcome is not None
        pid = memory.welcome.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def names(environment: Environment) -> list[str]:
    with Memory(Settings.load(environment=environment)) as memory:
        return [entity.name for entity in memory.read_graph(limit=1000).entities]


def history(environment: Environment, name: str) -> list[str]:
    with Memory(Settings.load(environment=environment)) as memory:
        [found] = memory.open_nodes([name]).entities
        return found.observations


def test_an_idle_session_outlives_its_host(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    session = launch(own_environment)
    session.greet()
    session.create("before")
    [host] = hosts_of(own_environment)
    kill(host, signal.SIGKILL)
    session.create("after")
    assert names(own_environment) == ["before", "after"]
    assert len(session.answers) == 3
    assert session.end() == (0, "")


def test_a_newer_session_outlives_it_too(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    from enhanced_memory.mcp_server.warming import ENVELOPE

    session = launch(own_environment)
    assert "result" in session.ask("tools/list", {"_meta": ENVELOPE})
    kill(*hosts_of(own_environment), signal.SIGKILL)
    answer = session.ask("tools/call", {"name": "read_graph", "arguments": {}, "_meta": ENVELOPE})
    assert answer["result"]["resultType"] == "complete"


def test_a_change_under_way_is_made_once_and_answered_once(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    session = launch(own_environment)
    session.greet()
    session.create("keeper")
    [host] = hosts_of(own_environment)
    arguments = {"observations": [{"entityName": "keeper", "contents": ["seen"]}]}
    with still(own_environment):
        number = session.begin("tools/call", {"name": "add_observations", "arguments": arguments})
        time.sleep(
            0.3
        )  # until the host has passed it on, which nothing outside shows; if it has not, the law holds as well
        kill(host, signal.SIGKILL)
        until(lambda: bool(hosts_of(own_environment)))
    answer = session.answer(number)["result"]["structuredContent"]
    # The first one's answer, not that of a second that would have found nothing new.
    assert answer["results"][0]["addedObservations"] == ["seen"]
    assert history(own_environment, "keeper") == ["o", "seen"]
    assert session.end() == (0, "")


def test_a_session_whose_input_has_ended_is_still_answered(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    session = launch(own_environment)
    session.greet()
    session.create("keeper")
    [host] = hosts_of(own_environment)
    with still(own_environment):
        number = session.begin("tools/call", {"name": "read_graph", "arguments": {}})
        session.process.stdin.close()
        kill(host, signal.SIGKILL)
        until(lambda: bool(hosts_of(own_environment)))
    assert session.answer(number)["result"]["structuredContent"]["entities"][0]["name"] == "keeper"
    assert session.process.wait(20) == 0


def test_hundreds_of_calls_under_way_are_each_answered_once(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    session = launch(own_environment)
    session.greet()
    entity = {"entityType": "t", "observations": []}
    for turn in range(300):
        name = {"entities": [entity | {"name": f"e{turn}"}]}
        session.begin("tools/call", {"name": "create_entities", "arguments": name})
        if turn == 150:
            kill(*hosts_of(own_environment), signal.SIGKILL)
    session.wait(lambda: len(session.answers) == 301, 60)
    assert all(len(found) == 1 and "result" in found[0] for found in session.answers.values())
    assert Counter(names(own_environment)) == Counter(f"e{turn}" for turn in range(300))


def test_a_request_that_two_hosts_died_of_is_an_error_and_not_sent_again(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    session = launch(own_environment)
    session.greet()
    session.create("keeper")
    with still(own_environment):
        number = session.begin("tools/call", {"name": "create_entities", "arguments": {"entities": []}})
        for _ in range(2):
            until(lambda: bool(hosts_of(own_environment)))
            [host] = hosts_of(own_environment)
            # Answered only by a host that greeted us: its death counts.
            assert "result" in session.ask("ping")
            kill(host, signal.SIGKILL)
    answer = session.answer(number)
    assert answer["error"]["code"] == -32000
    assert "twice" in answer["error"]["message"]
    assert session.create("next")["isError"] is False


def test_too_many_deaths_in_a_minute_end_the_session_with_one_line(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    session = launch(own_environment)
    session.greet()
    for _ in range(RESTARTS + 1):
        assert "result" in session.ask("ping")
        kill(*hosts_of(own_environment), signal.SIGKILL)
    assert session.process.wait(20) == 1
    assert len(session.errors().splitlines()) == 1


@pytest.mark.slow
def test_hosts_killed_at_random_under_eight_busy_sessions_lose_and_repeat_nothing(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    chance = random.Random(7)
    sessions = [launch(own_environment) for _ in range(8)]
    for session in sessions:
        session.greet()
    over = threading.Event()
    acknowledged: list[list[str]] = [[] for _ in sessions]
    unsure: list[str] = []

    def work(place: int) -> None:
        turn = 0
        while not over.is_set():
            name = f"s{place} e{turn}"
            turn += 1
            entity = {"name": name, "entityType": "t", "observations": ["o"]}
            answer = sessions[place].ask("tools/call", {"name": "create_entities", "arguments": {"entities": [entity]}})
            if "error" in answer:
                unsure.append(name)
                continue
            result = answer["result"]
            assert result["isError"] is False
            # A repeat that was carried out twice would have found it there.
            assert result["structuredContent"]["entities"][0]["action"] == "created"
            acknowledged[place].append(name)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        before = sum(map(len, acknowledged))
        until(lambda before=before: sum(map(len, acknowledged)) > before + 40)
        time.sleep(chance.random() * 0.3)
        for host in hosts_of(own_environment):
            kill(host, signal.SIGKILL)
    before = sum(map(len, acknowledged))
    until(lambda: sum(map(len, acknowledged)) > before + 40)
    over.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    with Memory(Settings.load(environment=own_environment)) as memory:
        found: Counter[str] = Counter()
        cursor: Any = None
        while True:
            page = memory.read_graph(limit=500, cursor=cursor)
            found.update(entity.name for entity in page.entities)
            cursor = page.cursor
            if cursor is None:
                break
    kept = [name for names in acknowledged for name in names]
    assert all(found[name] == 1 for name in kept)
    assert set(found) - set(kept) <= set(unsure)
    assert all(len(answers) == 1 for session in sessions for answers in session.answers.values())


@contextmanager
def host_of_version(
    version: str, environment: Environment, *, by_systemd: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A host of another version, handed its socket."""
    path = place(environment)
    Path(path).parent.mkdir(exist_ok=True, mode=0o700)
    said = "LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'" if by_systemd else "ENHANCED_MEMORY_LISTEN_FD='3'"
    program = (
        f"import os, sys; os.dup2(int(sys.argv[1]), 3); os.close(int(sys.argv[1])); os.environ.update({said});"
        f"from enhanced_memory.mcp_server import hello; hello.VERSION = {version!r};"
        "sys.argv = ['memory-mcp', 'host', *sys.argv[2:]];"
        "from enhanced_memory.mcp_server.__main__ import main; sys.exit(main())"
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(64)
        number = listener.fileno()
        command = [sys.executable, "-c", program, str(number), *([] if by_systemd else ["--on-demand"])]
        process = subprocess.Popen(command, env=environment, pass_fds=[number])
        if not by_systemd:
            listener.close()
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def test_a_newer_relay_retires_an_older_host_and_no_session_is_lost(
    own_environment: Environment, launch: Any, hosts_of: Hosts
) -> None:
    relay = "from enhanced_memory.mcp_server import hello; hello.VERSION = '0.0.1'; from enhanced_memory.mcp_server.relay import relay; relay('core')"
    with host_of_version("0.0.1", own_environment) as old:
        session = launch(own_environment, by=[sys.executable, "-c", relay])
        session.greet()
        session.create("kept")
        with still(own_environment):
            number = session.begin("tools/call", {"name": "read_graph", "arguments": {}})
            assert "result" in session.ask("ping")
            newer = launch(own_environment)
            assert "result" in newer.greet()
            assert len(hosts_of(own_environment)) == 1
        # What the older host had taken it still answers; then its session goes on with the newer one.
        assert "result" in session.answer(number)
        assert old.wait(20) == 0
        assert session.create("later")["isError"] is False
    assert names(own_environment) == ["kept", "later"]
    assert session.end() == (0, "")


def test_a_host_that_is_told_to_stop_answers_what_it_has_taken_and_its_sessions_go_on(
    own_environment: Environment, launch: Any, hosts_of: Hosts
) -> None:
    session = launch(own_environment)
    session.greet()
    session.create("kept")
    [host] = hosts_of(own_environment)
    with still(own_environment):
        number = session.begin("tools/call", {"name": "read_graph", "arguments": {}})
        assert "result" in session.ask("ping")
        os.kill(host, signal.SIGTERM)
        until(lambda: not Path(place(own_environment)).exists())
    assert "result" in session.answer(number)
    until(lambda: host not in hosts_of(own_environment))
    assert session.create("later")["isError"] is False
    assert session.end() == (0, "")


def test_a_socket_of_systemd_s_serves_the_same_and_is_left_where_it_is(
    own_environment: Environment, launch: Any
) -> None:
    with host_of_version("0.1.0", own_environment, by_systemd=True) as host:
        session = launch(own_environment)
        session.greet()
        assert session.create("a")["isError"] is False
        assert session.end() == (0, "")
        host.send_signal(signal.SIGTERM)
        assert host.wait(20) == 0
        assert Path(place(own_environment)).is_socket()


def test_subscriptions_outlive_the_host_unless_they_were_ended(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    listening, silent, writer = (launch(own_environment) for _ in range(3))
    for session in (listening, silent, writer):
        session.greet()
    for session in (listening, silent):
        assert "result" in session.ask("resources/subscribe", {"uri": GRAPH})
    assert "result" in silent.ask("resources/unsubscribe", {"uri": GRAPH})
    kill(*hosts_of(own_environment), signal.SIGKILL)
    assert "result" in silent.ask("ping")
    assert "result" in listening.ask("ping")
    # What changed while no host listened is told of, once.
    listening.wait(lambda: len(listening.told) == 1)
    writer.create("news")
    listening.wait(lambda: [one["method"] for one in listening.told] == ["notifications/resources/updated"] * 2)
    assert "result" in silent.ask("ping")
    assert silent.told == []


def test_the_log_level_outlives_the_host(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    session = launch(own_environment)
    session.greet()
    level = session.ask("logging/setLevel", {"level": "error"})
    assert level["result"] == {}
    kill(*hosts_of(own_environment), signal.SIGKILL)
    assert "result" in session.ask("ping")
    assert all(len(found) == 1 for found in session.answers.values())


def test_a_session_of_thousands_of_calls_is_remembered_in_little_and_survives(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    import psutil

    session = launch(own_environment)
    session.greet()
    for _ in range(40):
        session.raw(
            b"".join(
                json.dumps({"jsonrpc": "2.0", "id": f"{_}:{n}", "method": "ping"}).encode() + b"\n" for n in range(100)
            )
        )
    session.wait(lambda: len(session.answers) == 4001)
    assert psutil.Process(session.process.pid).memory_info().rss < 25_000_000
    kill(*hosts_of(own_environment), signal.SIGKILL)
    assert "result" in session.ask("ping")
    assert all(len(found) == 1 for found in session.answers.values())


def test_a_stream_of_the_newer_era_goes_on_and_tells_of_what_may_be_missing(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    from enhanced_memory.mcp_server.warming import ENVELOPE

    session, writer = launch(own_environment), launch(own_environment)
    writer.greet()
    writer.create("before")
    number = session.begin(
        "subscriptions/listen", {"notifications": {"resourceSubscriptions": [GRAPH]}, "_meta": ENVELOPE}
    )

    def updated() -> int:
        return sum(one["method"] == "notifications/resources/updated" for one in session.told)

    session.wait(lambda: bool(session.told))
    for turn in (1, 3):
        kill(*hosts_of(own_environment), signal.SIGKILL)
        session.wait(lambda turn=turn: updated() == turn)
        writer.create(f"after {turn}")
        session.wait(lambda turn=turn: updated() == turn + 1)
    assert number not in session.answers


def test_a_session_that_has_switched_goes_on_in_that_space_with_the_next_host(
    own_environment: Environment, launch: Any, hosts_of: Hosts, kill: Kill
) -> None:
    """The host keeps nothing that it could lose, the space of a session neither."""
    with Memory(Settings.load(environment=own_environment)) as memory:
        memory.create_space("elsewhere, \n ünï")
    session = launch(own_environment, "--profile", "core,spaces")
    session.greet()
    session.create("before")
    session.call("switch", space="elsewhere, \n ünï")
    session.create("after the switch")
    for number in range(2):
        [host] = hosts_of(own_environment)
        kill(host, signal.SIGKILL)
        session.create(f"after host {number}")
    assert names(own_environment) == ["before"]
    there = Settings.load({"space": "elsewhere, \n ünï"}, own_environment)
    with Memory(there) as memory:
        found = [entity.name for entity in memory.read_graph().entities]
    assert found == ["after the switch", "after host 0", "after host 1"]
    assert session.end() == (0, "")
