"""The parts that relay and host are made of, without a process: lines, hello, where the socket lies, what is remembered."""

import json
import os
import re
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from enhanced_memory.client.settings import MAX_SOCKET_BYTES, runtime_folder, socket_path
from enhanced_memory.client.settings import PREFIX as SETTINGS_PREFIX
from enhanced_memory.mcp_server import door
from enhanced_memory.mcp_server.door import NoHost, folder, place, private
from enhanced_memory.mcp_server.hello import LENGTH, VERSION, decoded, encoded, ordered
from enhanced_memory.mcp_server.ledger import BYTES, LINES, Ledger, answered_id
from enhanced_memory.mcp_server.lines import Lines

# Lines


@given(some.lists(some.binary(max_size=30).map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))), some.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: some.DataObject) -> None:
    text = b"".join(line + data.draw(some.sampled_from([b"\n", b"\r\n"])) for line in lines) + b"rest"
    cuts = sorted(data.draw(some.lists(some.integers(0, len(text)), max_size=8)))
    assembled, found = Lines(31), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        found += assembled.feed(text[start:end])
    assert found == lines
    assert assembled.rest() == b"rest"


@given(some.integers(1, 20), some.integers(1, 50))
def test_a_line_over_the_limit_is_told_of_once_as_soon_as_it_is_over(limit: int, piece: int) -> None:
    assembled = Lines(limit)
    text = b"x" * (limit + 30) + b"\nnext"[:limit] + b"\n"
    found = [line for at in range(0, len(text), piece) for line in assembled.feed(text[at : at + piece])]
    assert found == [None, b"next"[: limit - 1] if limit < 5 else b"next"]


def test_a_long_line_is_searched_once() -> None:
    assembled = Lines(1 << 30)
    for _ in range(2000):
        assert assembled.feed(b"x" * 10_000) == []
    [line] = assembled.feed(b"\n")
    assert line is not None
    assert len(line) == 20_000_000


# Hello


@given(
    some.dictionaries(
        some.sampled_from([b"a", b"b", b"HOME"]), some.binary().map(lambda value: value.replace(b"\0", b""))
    )
)
def test_a_hello_is_read_as_it_was_said(pairs: dict[bytes, bytes]) -> None:
    said = encoded(pairs)
    assert int.from_bytes(said[:LENGTH], "big") == len(said) - LENGTH
    assert decoded(said[LENGTH:]) == pairs


def test_the_version_that_a_relay_says_is_the_package_s() -> None:
    assert version("enhanced-memory") == VERSION


def test_versions_are_ordered_by_their_numbers() -> None:
    assert ordered("0.10.0") > ordered("0.9.9") > ordered("0.9") > ordered("")


# Where the socket lies

CASES: list[dict[str, str]] = [
    {},
    {"XDG_RUNTIME_DIR": "{mine}"},
    {"XDG_RUNTIME_DIR": "/nowhere"},
    {"XDG_RUNTIME_DIR": "{file}"},
    {"XDG_RUNTIME_DIR": ""},
    {"HOME": "{mine}/other"},
    {"HOME": ""},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_host_and_daemon_lie_in_one_folder(case: dict[str, str], home: Path) -> None:
    (home / "file").touch()
    environment = {"HOME": str(home)} | {
        name: value.format(mine=home, file=home / "file") for name, value in case.items()
    }
    assert folder(environment) == str(runtime_folder(environment))
    assert place(environment) == folder(environment) + "/mcp.sock"


@pytest.mark.parametrize("given", ["{home}/d.sock", "~/run/d.sock", "relative.sock", "{home}/not/there/d.sock"])
def test_host_and_daemon_lie_in_the_folder_that_is_set(given: str, home: Path) -> None:
    setting = given.format(home=home)
    environment = {"HOME": str(home), "ENHANCED_MEMORY_SOCKET": setting}
    assert folder(environment) == str(socket_path(setting).parent)


def test_beside_a_daemon_of_somebody_else_the_host_lies_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "service").mkdir()
    environment = {"HOME": str(home), "ENHANCED_MEMORY_SOCKET": str(home / "service" / "d.sock")}
    assert folder(environment) == str(home / "service")
    real = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: real + 1)
    assert folder(environment) == str(home / ".memories" / "run")


def test_a_system_host_is_found_by_the_account_that_it_serves_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = home / "system"
    system.mkdir()
    monkeypatch.setattr(door, "SYSTEM", str(system))
    monkeypatch.setattr(door.os, "getuid", lambda: 54321)  # an account without a runtime folder
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(system / "mcp.sock"))
        assert folder({"HOME": str(home)}) == f"{home}/.memories/run"
        monkeypatch.setattr(door.os, "getuid", lambda: (system / "mcp.sock").stat().st_uid)
        monkeypatch.setattr(door, "_mine", lambda path, kind=0o040000: kind == 0o140000 and Path(path).is_socket())
        assert folder({"HOME": str(home)}) == str(system)
        assert folder({"HOME": str(home), "ENHANCED_MEMORY_SOCKET": f"{home}/run/d.sock"}) == f"{home}/run"


def test_a_folder_of_root_s_is_trusted_where_nobody_else_may_write_to_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home / "made-by-root"
    place.mkdir(mode=0o755)
    owner = place.stat().st_uid
    monkeypatch.setattr(door.os, "getuid", lambda: owner + 1)
    if owner == 0:
        private(str(place))
    place.chmod(0o775)
    with pytest.raises(NoHost, match="by others"):
        private(str(place))


def test_the_relay_knows_the_daemon_s_names_by_heart() -> None:
    assert (door.PREFIX, door.MAX_SOCKET_BYTES) == (SETTINGS_PREFIX, MAX_SOCKET_BYTES)


@pytest.mark.parametrize("variable", ["STORE", "SOCKET", "CONFIG"])
def test_who_sets_what_decides_the_store_has_a_socket_of_that_name(variable: str, home: Path) -> None:
    base = {"HOME": str(home)}
    one, two = (place(base | {f"ENHANCED_MEMORY_{variable}": f"{home}/{name}"}) for name in "ab")
    assert one != two
    assert re.fullmatch(r"mcp-[0-9a-f]{16}\.sock", Path(one).name)
    assert one == place(base | {f"ENHANCED_MEMORY_{variable}": f"{home}/a", "ENHANCED_MEMORY_SPACE": "x"})
    assert place(base | {"ENHANCED_MEMORY_SPACE": "x"}) == place(base)


def test_a_path_too_long_for_a_socket_is_no_host(home: Path) -> None:
    with pytest.raises(NoHost, match="too long"):
        place({"HOME": str(home), "ENHANCED_MEMORY_SOCKET": str(home / ("x" * 100) / "d.sock")})


def test_a_folder_is_made_for_us_alone(home: Path) -> None:
    private(str(home / "new" / "run"))
    assert (home / "new" / "run").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_a_link_is_not_trusted(home: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    with pytest.raises(NoHost, match="not a folder of its own"):
        private(str(home / "link"))


# What is remembered


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{}}', b"7"),
        (b'{"jsonrpc":"2.0","id":-7,"error":{}}', b"-7"),
        (b'{"jsonrpc":"2.0","id":"a","result":{}}', b'"a"'),
        (b'{"jsonrpc":"2.0","id":"a\\"b","result":{}}', b'"a\\"b"'),
        (b'{"jsonrpc":"2.0","id":"a\\\\","result":{}}', b'"a\\\\"'),
        (b'{"jsonrpc":"2.0","id":"a,\\"result\\"","error":{}}', b'"a,\\"result\\""'),
        (b'{"jsonrpc":"2.0","id":7,"method":"elicitation/create"}', None),
        (b'{"jsonrpc":"2.0","id":"7","method":"roots/list"}', None),
        (b'{"jsonrpc":"2.0","method":"notifications/message"}', None),
        (b'{"jsonrpc":"2.0","id":"open', None),
        (b'{"jsonrpc":"2.0","id":7', None),
        (b"bye", None),
    ],
)
def test_the_id_that_is_answered_is_read_without_reading_json(line: bytes, number: bytes | None) -> None:
    assert answered_id(line) == number


def kept(*messages: Any) -> Ledger:
    ledger = Ledger()
    for message in messages:
        ledger.keep(message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0"} | message).encode())
    return ledger


def again(ledger: Ledger) -> tuple[list[Any], list[int], dict[bytes, int]]:
    ledger.settle()
    lines, numbers, known = ledger.again()
    return [json.loads(line).get("id") or json.loads(line)["method"] for line in lines], numbers, known


def call(number: Any, method: str = "tools/call", **params: Any) -> dict[str, Any]:
    return {"id": number, "method": method, "params": params}


def test_what_is_answered_is_forgotten_and_the_rest_keeps_its_numbers() -> None:
    ledger = kept(call(1), call("2"), call(3), call(4))
    ledger.answered(b'"2"')
    ledger.answered(b"3")
    assert again(ledger) == ([1, 4], [0, 3], {})
    ledger.keep(b'{"id":5,"method":"x"}')
    assert again(ledger)[1] == [0, 3, 4]


def test_a_text_is_not_the_number_it_looks_like() -> None:
    ledger = kept(call(1), call("1"))
    ledger.answered(b'"1"')
    assert again(ledger)[1] == [0]


def test_an_id_that_is_used_twice_is_answered_twice() -> None:
    ledger = kept(call(1), call(1))
    ledger.answered(b"1")
    assert again(ledger)[1] == [1]


def test_a_new_host_is_told_the_opening_and_what_holds_but_not_what_was_ended() -> None:
    ledger = kept(
        call(1, "initialize"),
        {"method": "notifications/initialized"},
        call(2, "logging/setLevel", level="debug"),
        call(3, "logging/setLevel", level="error"),
        call(4, "resources/subscribe", uri="a"),
        call(5, "resources/subscribe", uri="b"),
        call(6, "resources/unsubscribe", uri="a"),
        call(7, "tools/list"),
        call(8),
    )
    for number in range(1, 8):
        ledger.answered(str(number).encode())
    told, numbers, known = again(ledger)
    assert told == [1, "notifications/initialized", 3, 5, 8]
    assert numbers == [0, 1, 3, 5, 8]
    assert known == {b"1": 1, b"3": 1, b"5": 1}
    ledger.settle()
    assert again(ledger)[0] == told


def test_an_opening_that_was_not_answered_comes_first_and_its_answer_is_wanted() -> None:
    ledger = kept(call(1, "initialize"), {"method": "notifications/initialized"}, call(2))
    assert again(ledger) == ([1, "notifications/initialized", 2], [0, 1, 2], {})


def test_cancelled_calls_answers_to_the_host_and_junk_are_not_sent_again() -> None:
    ledger = kept(
        call(1), call(2), {"method": "notifications/cancelled", "params": {"requestId": 1}},
        {"id": 9, "result": {"action": "accept"}}, b"junk", b"[1]", b"3", {"method": "notifications/progress"},
    )  # fmt: skip
    assert again(ledger)[0] == [2]


def test_a_call_that_two_hosts_died_of_is_an_error_but_a_subscription_is_not() -> None:
    ledger = kept(call(1), call("l", "subscriptions/listen"))
    assert ledger.died() == []
    ledger.keep(json.dumps(call(2)).encode())
    [error] = ledger.died()
    assert json.loads(error)["id"] == 1
    assert again(ledger)[0] == ["l", 2]
    assert ledger.waiting
    ledger.answered(b"2")
    ledger.settle()
    assert not ledger.waiting


def test_much_is_settled_and_little_is_not() -> None:
    ledger = kept(*(call(number) for number in range(LINES - 1)))
    assert not ledger.full
    ledger.keep(b'{"method":"notifications/progress"}')
    assert ledger.full
    ledger.settle()
    # What is left of it is looked at again when it has doubled.
    assert not ledger.full
    large = kept(call(1, text="x" * BYTES), call(2))
    assert not large.full
    large.answered(b"2")
    assert large.full
    large.settle()
    large.answered(b"9")
    assert not large.full
    silent = kept(*({"method": "notifications/x", "params": {"text": "x" * BYTES}} for _ in range(41)))
    assert silent.full
    silent.settle()
    assert silent.again()[0] == []


@settings(max_examples=50)
@given(some.lists(some.integers(0, 5), max_size=40), some.data())
def test_whatever_is_answered_in_whatever_order_what_is_left_is_what_was_not(
    ids: list[int], data: some.DataObject
) -> None:
    ledger, left = Ledger(), list[int]()
    for number in ids:
        ledger.keep(json.dumps(call(number)).encode())
        left.append(number)
        if left and data.draw(some.booleans()):
            answered = data.draw(some.sampled_from(left))
            left.remove(answered)
            ledger.answered(str(answered).encode())
        if data.draw(some.booleans()):
            ledger.settle()
    ledger.settle()
    lines, _, _ = ledger.again()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(left)
