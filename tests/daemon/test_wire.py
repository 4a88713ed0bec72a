"""Bad frames: a clear error where the frame could be read, a closed connection where not, and never a harmed daemon."""

import random
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Serve = Callable[..., Any]


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest) -> Any:
    """Whatever a test did to it, the daemon serves the next one, and logged nothing that it did not foresee."""
    yield
    if "house" in request.fixturenames:
        assert request.getfixturevalue("house").fine()


def test_nobody_is_served_before_hello(house: Any) -> None:
    peer = house.peer(greeted=False)
    assert peer.ask("read_graph")["error"]["code"] == "denied"
    assert "hello" in peer.ask("create_entities", entities=[{"name": "x", "type": "t"}])["error"]["hint"]
    assert "ok" in peer.ask("ping")  # asking who is there is allowed
    assert "ok" in peer.hello().ask("read_graph")


def test_a_client_of_another_protocol_is_told(house: Any) -> None:
    peer = house.peer(greeted=False)
    for protocol in (0, 2, -1, 2**64 - 1):
        error = peer.ask("hello", protocol=protocol)["error"]
        assert (error["code"], "protocol" in error["message"] or "64" in error["hint"]) == ("invalid", True)
    assert peer.ask("read_graph")["error"]["code"] == "denied"


def test_answers_bear_the_ids_of_their_requests_whatever_the_order(house: Any) -> None:
    peer = house.peer()
    ids: list[Any] = [*range(500), *(f"id-{n}" for n in range(500)), -1, 2**62]
    ops = ["ping", "search_nodes", "read_graph", "create_entities"]
    for place, number in enumerate(ids):
        op = ops[place % 4]
        args: dict[str, Any] = {
            "search_nodes": {"query": "x"},
            "create_entities": {"entities": [{"name": f"o{place}", "type": "t"}]},
        }.get(op, {})
        peer.say({"id": number, "op": op, "args": args})
    answers = [peer.hear() for _ in ids]
    assert sorted(map(str, (one["id"] for one in answers))) == sorted(map(str, ids))
    assert all("ok" in one for one in answers)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"op": "ping"},
        {"id": None, "op": "ping"},
        {"id": True, "op": "ping"},
        {"id": 1.5, "op": "ping"},
        {"id": [1], "op": "ping"},
        {"id": "i" * 101, "op": "ping"},
        {"id": 1},
        {"id": 1, "op": 7},
        {"id": 1, "op": None},
        {"id": 1, "op": "no_such_operation"},
        {"id": 1, "op": "__init__"},
        {"id": 1, "op": "o" * 100_000},
        {"id": 1, "op": "ping", "args": []},
        {"id": 1, "op": "ping", "args": "x"},
        {"id": 1, "op": "ping", "key": 7},
        {"id": 1, "op": "create_space", "args": {"name": "s"}, "key": "k" * 201},
        {"id": 1, "op": "create_space", "args": {"name": "s"}, "key": ""},
        {"id": 1, "op": "ping", "run": 1},
        {"id": 1, "op": "ping", "tool": "t" * 201},
        {"id": 1, "op": "ping", "deadline_ms": "soon"},
        {"id": 1, "op": "ping", "deadline_ms": True},
    ],
    ids=lambda message: str(message)[:40],
)
def test_a_message_that_is_no_request_is_answered_with_an_error(house: Any, message: dict[str, Any]) -> None:
    peer = house.peer()
    peer.say(message)
    answer = peer.hear()
    number = message.get("id")
    assert answer["id"] == (number if number in (1,) and not isinstance(number, bool) else None)
    assert answer["error"]["code"] in ("invalid", "unknown_operation")
    assert answer["error"]["message"]
    assert "ok" in peer.ask("ping")  # the frame was whole, so the connection goes on


@pytest.mark.parametrize("deadline", [-1, -(2**60), 0, -1e300, float("-inf")])
def test_a_deadline_that_has_passed_is_told(house: Any, deadline: float) -> None:
    peer = house.peer()
    assert peer.ask("list_spaces", {"deadline_ms": deadline})["error"]["code"] == "timed_out"


@pytest.mark.parametrize("deadline", [1e300, float("inf"), float("nan"), 2**64 - 1])
def test_a_deadline_without_end_is_none(house: Any, deadline: float) -> None:
    assert "ok" in house.peer().ask("list_spaces", {"deadline_ms": deadline})


def framed(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def with_id(args: bytes) -> bytes:
    """A request for `ping` with id 5, its arguments given as bytes."""
    return b"\x83\xa2id\x05\xa2op\xa4ping\xa4args" + args


UNREADABLE = {
    "empty": b"",
    "not msgpack": b"\xc1",
    "text": b"\xa5hello",
    "number": b"\x07",
    "nil": b"\xc0",
    "list": b"\x93\x01\x02\x03",
    "half a map": b"\x82\xa2ab\x01",
    "two messages in one frame": b"\x80\x80",
    "json": b'{"id": 1, "op": "ping"}',
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "number as key": b"\x81\x01\x02",
    "nil as key": b"\x81\xc0\x02",
    "map as key": b"\x81\x80\x02",
    "map that says it has 4 billion entries": b"\xdf\xff\xff\xff\xff",
    "list that says it has 4 billion entries": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "text that says it has 4 billion bytes": b"\x81\xa1a\xdb\xff\xff\xff\xff",
    "deep": b"\x91" * 100_000,
    "deep map": b"\x81\xa1a" * 100_000,
}

BY_ID = {
    "invalid UTF-8": b"\x81\xa1a\xa2\xff\xfe",
    "invalid UTF-8 as key": b"\x81\xa2\xff\xfe\x01",
    "lone surrogate": b"\x81\xa1a\xa3\xed\xa0\x80",
    "overlong": b"\x81\xa1a\xa2\xc0\x80",
    "extension": b"\x81\xa1a\xd4\x05\x00",
    "timestamp": b"\x81\xa1a\xd6\xff\x00\x00\x00\x01",
    "large extension": b"\x81\xa1a\xc7\x40\x05" + b"x" * 64,
    "number as key": b"\x81\x01\x02",
    "bytes as key": b"\x81\xc4\x01a\x02",
    "list as key": b"\x81\x91\x01\x02",
    "deep": b"\x81\xa1a" + b"\x91" * 100_000 + b"\x01",
    "cut short": b"\x81\xa1a",
    "huge list": b"\x81\xa1a\xdd\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_frame_that_holds_no_message_is_told(house: Any, name: str) -> None:
    peer = house.peer()
    peer.frame(UNREADABLE[name])
    answer = peer.hear()
    assert (answer["id"], answer["error"]["code"]) == (None, "invalid")
    assert "ok" in peer.ask("ping")


@pytest.mark.parametrize("name", BY_ID)
def test_a_message_with_something_unreadable_in_it_is_answered_by_its_id(house: Any, name: str) -> None:
    """Its sender waits for that id; whoever else shares the connection is not troubled."""
    peer = house.peer()
    peer.frame(with_id(BY_ID[name]))
    answer = peer.hear()
    assert (answer["id"], answer["error"]["code"]) == (5, "invalid")
    assert "ok" in peer.ask("ping")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x80000000, 16 * 1024 * 1024 + 1])
def test_a_length_over_the_limit_ends_the_connection_with_a_reason(house: Any, length: int) -> None:
    peer = house.peer()
    before = house.memory_mb
    peer.write(struct.pack(">I", length) + b"x" * 1000)
    assert peer.hear()["error"]["code"] == "too_large"
    assert peer.closed()
    assert house.memory_mb < before + 20


def test_what_came_before_a_bad_length_is_answered(house: Any) -> None:
    peer = house.peer()
    peer.write(framed(msgpack.packb({"id": 1, "op": "ping"})) + b"\xff\xff\xff\xff")
    assert peer.hear()["id"] == 1
    assert peer.hear()["error"]["code"] == "too_large"
    assert peer.closed()


def test_frames_come_in_any_pieces(house: Any) -> None:
    peer = house.peer()
    data = framed(*(msgpack.packb({"id": n, "op": "ping"}) for n in range(40)))
    for at in range(0, len(data), 3):
        peer.write(data[at : at + 3])
    assert [peer.hear()["id"] for _ in range(40)] == list(range(40))


def test_a_client_that_hangs_up_after_writing_harms_nobody(house: Any) -> None:
    for _ in range(50):
        peer = house.peer()
        for number in range(20):
            peer.say(
                {"id": number, "op": "create_entities", "args": {"entities": [{"name": f"h{number}", "type": "t"}]}}
            )
        peer.socket.close()
    peer = house.peer()
    assert "ok" in peer.ask("ping")


def test_a_client_that_ends_its_sending_side_is_let_go(house: Any) -> None:
    peer = house.peer()
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.closed()


def test_an_answer_over_the_limit_is_an_error_in_its_place(house: Any) -> None:
    peer = house.peer()
    for number in range(20):
        text = f"{number}" + "x" * 999_000
        assert "ok" in peer.ask(
            "create_entities", entities=[{"name": f"large{number}", "type": "t", "observations": [text]}]
        )
    error = peer.ask("open_nodes", names=[f"large{n}" for n in range(20)])["error"]
    assert (error["code"], bool(error["hint"])) == ("too_large", True)
    assert "ok" in peer.ask("open_nodes", names=["large1"])


def test_a_request_over_its_clients_limit_is_not_sent(house: Any) -> None:
    from enhanced_memory.client.errors import TooLarge
    from enhanced_memory.client.values import EntityInput

    with house.memory() as memory:
        memory.ping()
        with pytest.raises(TooLarge):
            memory.create_entities([EntityInput("x", "t", ["y" * 900_000 for _ in range(19)])])
        assert memory.ping()


def test_unknown_parameters_are_named_wherever_they_stand(house: Any) -> None:
    answer = house.peer().ask(
        "create_entities",
        entities=[
            {
                "name": "ig",
                "type": "t",
                "foo": 1,
                "observations": ["a", {"text": "b", "bar": 2, "origin": {"baz": 3}}],
                "properties": {"mine": 1},
            }
        ],
        quux=4,
    )
    assert "ok" in answer
    assert sorted(answer["ignored"]) == [
        "entities[0].foo",
        "entities[0].observations[1].bar",
        "entities[0].observations[1].origin.baz",
        "quux",
    ]


def test_unknown_parameters_do_not_choose_the_answers_size(house: Any) -> None:
    peer = house.peer()
    answer = peer.ask("ping", **{f"unknown_{n}_{'x' * 100}": n for n in range(50_000)})
    assert len(answer["ignored"]) <= 101
    assert len(msgpack.packb(answer)) < 100_000


def test_random_bytes_harm_nobody(house: Any) -> None:
    """As whole frames, and as a stream that is none."""
    chance = random.Random(7)
    peer = house.peer()
    for _ in range(1000):
        payload = chance.randbytes(chance.choice([0, 1, 2, 5, 20, 200]))
        peer.frame(payload)
        answer = peer.hear()
        assert "error" in answer, (payload, answer)
    for _ in range(100):
        stray = house.peer(greeted=False)
        stray.write(chance.randbytes(chance.randrange(1, 5000)))
        stray.socket.close()


REQUEST = msgpack.packb(
    {
        "id": 1,
        "op": "create_entities",
        "args": {"entities": [{"name": "mutant", "type": "t", "observations": ["x"], "tags": ["y"]}]},
    }
)


def test_requests_with_changed_bytes_harm_nobody(house: Any) -> None:
    chance = random.Random(11)
    peer = house.peer()
    for _ in range(1000):
        payload = bytearray(REQUEST)
        for _ in range(chance.randrange(1, 4)):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        peer.frame(bytes(payload))
        answer = peer.hear()
        assert ("ok" in answer) != ("error" in answer)
    assert "ok" in peer.ask("ping")


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    message=st.dictionaries(
        st.sampled_from(["id", "op", "args", "key", "run", "tool", "deadline_ms"]), DATA, max_size=7
    )
)
def test_any_map_is_answered(house: Any, message: dict[str, Any]) -> None:
    peer = house.peer()
    peer.say(message | {"op": "ping"} if isinstance(message.get("op"), int) else message)
    answer = peer.hear()
    assert ("ok" in answer) != ("error" in answer)
    peer.socket.close()


def test_a_frame_that_never_ends_is_given_up(serve: Serve) -> None:
    daemon = serve(frame_timeout_s=0.3)
    peers = [daemon.peer() for _ in range(3)]
    peers[0].write(struct.pack(">I", 1000) + b"half")
    peers[1].write(b"\0")
    began = time.monotonic()
    for peer in peers[:2]:
        assert "half sent" in peer.hear()["error"]["message"]
        assert peer.closed()
    assert time.monotonic() - began < 5
    assert "ok" in peers[2].ask("ping")  # silence between frames is nobody's concern
    assert daemon.fine()


def test_a_frame_that_comes_drop_by_drop_is_given_up(serve: Serve) -> None:
    daemon = serve(frame_timeout_s=0.4)
    peer = daemon.peer()
    peer.write(struct.pack(">I", 1_000_000))
    began = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - began < 10:
            peer.write(b"x")
            time.sleep(0.01)  # the pace is the test
    assert time.monotonic() - began < 5
    assert daemon.fine()


def test_a_steady_stream_of_frames_cut_anywhere_is_no_frame_that_never_ends(serve: Serve) -> None:
    daemon = serve(frame_timeout_s=0.3)
    peer = daemon.peer()
    data = framed(msgpack.packb({"id": 1, "op": "ping"}))
    began = time.monotonic()
    peer.write(data[:5])
    while time.monotonic() - began < 1.0:
        peer.write(data[5:] + data[:5])
        assert "ok" in peer.hear()
    peer.write(data[5:])
    assert "ok" in peer.hear()
