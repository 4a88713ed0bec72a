"""Bad values at every place of every request, found from the request classes themselves."""

import types
import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from enhanced_memory.client.operations import Operations
from enhanced_memory.client.request import REQUESTS, method
from enhanced_memory.client.values import EntityInput

OFFERED = sorted(name for name, value in vars(Operations).items() if isinstance(value, method))

FEARSOME = {
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈",
    "right to left": "שלום \u202eعالم\u202c",
    "quotes": "'\"`´“”„",
    "sql": "'; DROP TABLE entities; --",
    "fts": 'a" OR "b* NEAR(c d) ^e col:f -g AND NOT (',
    "percent": "100%_\\%s{}%(x)s",
    "newlines": "a\r\nb\tc\u2028d\x7f\x01",
    "combining": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A",
    "json": '{"a": [1, null]}',
    "path": "../../etc/passwd",
    "not a character": "\ufffe\uffff\U0010ffff",
}


def sample(kind: Any) -> Any:
    """A value of a type, as it travels."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return sample(parts[0])
    if origin is Literal:
        return parts[0]
    if origin in (typing.Union, types.UnionType):
        return sample(next(part for part in parts if part not in (type(None), msgspec.UnsetType)))
    if origin is list:
        return [sample(parts[0])]
    if origin is dict:
        return {"k": sample(parts[1])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name: sample(field.type) for field in msgspec.structs.fields(kind) if field.required}
    if kind is Any:
        return "any"
    return {int: 1, str: "ghost", bool: True, float: 0.5, datetime: "2026-01-01T00:00:00Z", type(None): None}[kind]


def places(kind: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a value of this type, and the type that stands there."""
    yield path, kind
    origin, parts = get_origin(kind), get_args(kind)
    if origin is typing.Annotated or origin in (typing.Union, types.UnionType):
        for part in parts if origin is not typing.Annotated else parts[:1]:
            yield from (found for found in places(part, path) if found[0] != path)
    elif origin is list:
        yield from places(parts[0], (*path, 0))
    elif origin is dict:
        yield from places(parts[1], (*path, "k"))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            yield from places(field.type, (*path, field.encode_name))


def kinds_at(kind: Any) -> set[Any]:
    """The plain types that a type takes."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return kinds_at(parts[0])
    if origin in (typing.Union, types.UnionType):
        return set().union(*(kinds_at(part) for part in parts))
    return {str} if origin is Literal else {origin or kind}


def filled(kind: type[msgspec.Struct], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The request's smallest arguments with `value` at `path`."""
    args = sample(kind)
    here: Any = args
    inner: Any = kind
    for step, following in zip(path, [*path[1:], None], strict=True):
        if following is None:
            if isinstance(here, list):
                here[:] = [value]
            else:
                here[step] = value
            break
        if isinstance(here, list):
            here[:] = here or [None]
            if not isinstance(here[0], dict | list):
                here[0] = {}
            here = here[0]
            continue
        inside = here.get(step)
        if isinstance(following, int):
            here[step] = inside if isinstance(inside, list) else [None]
        elif not isinstance(inside, dict):
            here[step] = {}
        struct = struct_at(inner, (*path[: path.index(step)], step))
        if isinstance(here[step], dict) and struct is not None:
            here[step] = sample(struct) | here[step]
        here = here[step]
        if isinstance(here, list):
            found = struct_at(inner, (*path[: path.index(step) + 1], 0))
            here[:] = [sample(found)] if found is not None else (here or [None])
    return args


def struct_at(kind: Any, path: tuple[Any, ...]) -> Any:
    """The struct type that stands at `path`, if one does."""
    for place, found in places(kind):
        if place == path:
            todo = [found]
            while todo:
                one = todo.pop()
                if isinstance(one, type) and issubclass(one, msgspec.Struct):
                    return one
                todo += get_args(one) if get_origin(one) is not list else []
    return None


def UNCHECKED(*values: Any) -> Any:
    """What is kept although nobody looked at it."""
    return pytest.param(*values)


PLACES = [(op, path, kind) for op in OFFERED for path, kind in places(REQUESTS[op]) if path]
TEXTS = [(op, path) for op, path, kind in PLACES if str in kinds_at(kind) and get_origin(kind) is not Literal]


@pytest.fixture
def ask(house: Any) -> Iterator[Callable[..., dict[str, Any]]]:
    """Asks on a connection of the test's own, in a space of its own."""
    peer = house.peer(space="values")
    yield peer.ask
    assert house.fine()


def understood(answer: dict[str, Any]) -> bool:
    """Whether an answer is one that somebody foresaw."""
    return "ok" in answer or answer["error"]["code"] not in ("broken", "error", "store_damaged", "store_full")


@pytest.mark.parametrize("op", OFFERED)
def test_a_wrong_type_at_any_place_is_refused_by_its_path(house: Any, op: str) -> None:
    peer = house.peer(space="values")
    wrong: dict[Any, Any] = {
        int: 1,
        str: "text",
        bool: True,
        float: 1.5,
        list: [1],
        dict: {"a": 1},
        type(None): None,
        bytes: b"x",
    }
    for path, kind in (found for found in places(REQUESTS[op]) if found[0]):
        takes = kinds_at(kind)
        if Any in takes:
            continue
        for type_, value in wrong.items():
            if (
                type_ in takes
                or (type_ is int and float in takes)
                or (type_ is dict and any(isinstance(one, type) and issubclass(one, msgspec.Struct) for one in takes))
            ):
                continue
            answer = peer.ask(op, **filled(REQUESTS[op], path, value))
            where = f"{op} {path} = {value!r}: {answer}"
            assert answer.get("error", {}).get("code") == "invalid", where
            assert all(str(step) in answer["error"]["message"] for step in path if step != "k"), where
            assert answer["error"]["hint"], where
    assert house.fine()


@pytest.mark.parametrize("op", OFFERED)
def test_numbers_without_measure_are_refused_or_understood(house: Any, op: str) -> None:
    peer = house.peer(space="values")
    for path, kind in (found for found in places(REQUESTS[op]) if found[0]):
        if kinds_at(kind) & {int, float, Any}:
            for value in (
                10**12,
                2**63 - 1,
                2**63,
                2**64 - 1,
                -1,
                -(2**63),
                float("nan"),
                float("inf"),
                float("-inf"),
                1e308,
                5e-324,
            ):
                answer = peer.ask(op, **filled(REQUESTS[op], path, value))
                assert understood(answer), f"{op} {path} = {value!r}: {answer}"
                if path[-1] == "limit" and op != "export_data":
                    assert answer["error"]["code"] == "invalid"
    assert house.fine()


@pytest.mark.parametrize("op", OFFERED)
@pytest.mark.parametrize("name", FEARSOME)
def test_any_text_at_any_place_is_understood(house: Any, op: str, name: str) -> None:
    peer = house.peer(space="values")
    for path in (path for which, path in TEXTS if which == op):
        if op == "backup":
            continue
        answer = peer.ask(op, **filled(REQUESTS[op], path, FEARSOME[name]))
        assert understood(answer), f"{op} {path} = {name}: {answer}"


@pytest.mark.parametrize("op", OFFERED)
def test_a_nul_in_any_text_is_refused_or_finds_nothing(house: Any, op: str) -> None:
    peer = house.peer(space="values")
    for path in (path for which, path in TEXTS if which == op and op != "backup"):
        answer = peer.ask(op, **filled(REQUESTS[op], path, "a\0b"))
        assert understood(answer), f"{op} {path}: {answer}"
        if "error" not in answer and op != "hello":
            assert "a\0b" not in str(answer["ok"].get("results", "")), f"{op} {path}: {answer}"


@pytest.mark.parametrize(
    ("op", "args"),
    [
        UNCHECKED("create_entities", {"entities": [{"name": "nul", "type": "t"}], "message": "a\0b"}),
        UNCHECKED(
            "create_entities",
            {
                "entities": [
                    {"name": "nul", "type": "t", "observations": [{"text": "x", "origin": {"session": "a\0b"}}]}
                ]
            },
        ),
        UNCHECKED(
            "create_entities",
            {"entities": [{"name": "nul", "type": "t", "observations": [{"text": "x", "origin": {"agent": "a\0b"}}]}]},
        ),
        UNCHECKED(
            "create_entities",
            {"entities": [{"name": "nul", "type": "t", "observations": [{"text": "x", "origin": {"method": "a\0b"}}]}]},
        ),
        ("hello", {"behalf": {"user": "a\0b"}}),
        ("hello", {"client": "a\0b"}),
        ("hello", {"agent": "a\0b"}),
        ("hello", {"session": "a\0b"}),
        ("hello", {"channel": "a\0b"}),
        ("hello", {"space": "a\0b"}),
        ("create_space", {"name": "a\0b"}),
        ("create_space", {"name": "nul", "metadata": {"k": "a\0b"}}),
        ("create_entities", {"entities": [{"name": "a\0b", "type": "t"}]}),
        ("create_entities", {"entities": [{"name": "nul", "type": "a\0b"}]}),
        ("create_entities", {"entities": [{"name": "nul", "type": "t", "tags": ["a\0b"]}]}),
        ("create_entities", {"entities": [{"name": "nul", "type": "t", "scope": "a\0b"}]}),
        ("create_entities", {"entities": [{"name": "nul", "type": "t", "observations": ["a\0b"]}]}),
        ("create_entities", {"entities": [{"name": "nul", "type": "t", "properties": {"a\0b": 1}}]}),
        ("create_entities", {"entities": [{"name": "nul", "type": "t", "properties": {"k": ["a\0b"]}}]}),
        ("create_relations", {"relations": [{"from": "a\0b", "to": "x", "type": "t"}]}),
        ("create_relations", {"relations": [{"from": "x", "to": "y", "type": "a\0b"}]}),
        ("create_relations", {"relations": [{"from": "x", "to": "y", "type": "t", "metadata": {"k": "a\0b"}}]}),
        ("append_messages", {"stream": "a\0b", "messages": [{"content": "x"}]}),
        ("append_messages", {"stream": "nul", "messages": [{"content": "a\0b"}]}),
        ("append_messages", {"stream": "nul", "messages": [{"content": "x", "role": "a\0b"}]}),
        ("append_messages", {"stream": "nul", "messages": [{"content": "x", "kind": "a\0b"}]}),
        ("append_messages", {"stream": "nul", "messages": [{"content": "x", "speaker": "a\0b"}]}),
        ("append_messages", {"stream": "nul", "messages": [{"content": "x", "provider": "a\0b"}]}),
        ("append_messages", {"stream": "nul", "stream_type": "a\0b", "messages": [{"content": "x"}]}),
        ("append_messages", {"stream": "nul", "messages": [{"content": "x", "metadata": {"k": "a\0b"}}]}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:70],
)
def test_a_nul_in_what_would_be_kept_is_refused_with_a_clear_word(house: Any, op: str, args: dict[str, Any]) -> None:
    peer = house.peer(space="values")
    error = peer.ask(op, **args).get("error", {})
    assert error.get("code") == "invalid"
    assert "NUL" in error["message"]


@pytest.mark.parametrize("place", ["run", "tool"])
def test_a_nul_in_what_is_kept_beside_is_refused(house: Any, place: str) -> None:
    answer = house.peer(space="values").ask(
        "create_entities", {place: "a\0b"}, entities=[{"name": "beside", "type": "t"}]
    )
    assert answer.get("error", {}).get("code") == "invalid"


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u2003"])
@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("create_entities", lambda name: {"entities": [{"name": name, "type": "t"}]}),
        ("create_entities", lambda name: {"entities": [{"name": "x", "type": name}]}),
        ("rename_entity", lambda name: {"entity": "named", "name": name}),
        ("tag", lambda name: {"entities": ["named"], "tags": [name]}),
        ("create_space", lambda name: {"name": name}),
        ("append_messages", lambda name: {"stream": name, "messages": [{"content": "x"}]}),
        ("hello", lambda name: {"space": name}),
    ],
    ids=["name", "type", "rename", "tag", "space", "stream", "hello"],
)
def test_a_blank_name_is_refused(ask: Any, op: str, args: Callable[[str], dict[str, Any]], name: str) -> None:
    ask("create_entities", entities=[{"name": "named", "type": "t"}])
    error = ask(op, **args(name))["error"]
    assert (error["code"], "empty" in error["message"]) == ("invalid", True)


MB = "n" * 1_000_000


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("create_entities", {"entities": [{"name": MB, "type": "t"}]}),
        ("create_entities", {"entities": [{"name": "x", "type": MB}]}),
        ("create_entities", {"entities": [{"name": "x", "type": "t", "tags": [MB]}]}),
        UNCHECKED("create_entities", {"entities": [{"name": "x", "type": "t"}], "message": MB}),
        ("create_entities", {"entities": [{"name": "x", "type": "t", "observations": [MB + "more"]}]}),
        UNCHECKED(
            "create_entities",
            {"entities": [{"name": "x", "type": "t", "observations": [{"text": "x", "origin": {"agent": MB}}]}]},
        ),
        ("create_relations", {"relations": [{"from": MB, "to": "x", "type": "t"}]}),
        ("create_space", {"name": MB}),
        ("append_messages", {"stream": MB, "messages": [{"content": "x"}]}),
        ("append_messages", {"stream": "x", "messages": [{"content": "x", "role": MB}]}),
        ("hello", {"agent": MB}),
        ("hello", {"space": MB}),
        ("hello", {"behalf": {"user": MB}}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value).replace(MB, "MB")[:70],
)
def test_a_megabyte_where_a_name_belongs_is_refused(ask: Any, op: str, args: dict[str, Any]) -> None:
    error = ask(op, **args).get("error", {})
    assert error.get("code") == "too_large"
    assert error["hint"]


@pytest.mark.parametrize("op", OFFERED)
def test_a_megabyte_at_any_place_harms_nobody(house: Any, op: str) -> None:
    peer = house.peer(space="values")
    for path in (path for which, path in TEXTS if which == op and op != "backup"):
        assert understood(peer.ask(op, **filled(REQUESTS[op], path, MB))), path
    assert house.fine()


QUERIES = [
    '"', '""', '"unclosed', "'", "*", "a*", "**", "NEAR(", "NEAR(a b, 2)", "^a", "name:a", "name : a", "-a", "a OR", "OR", "AND NOT", "(((", "a)", "+a", "{name} : a",
    "a\0b", "\0", "", " ", "the of and", "👩‍👩‍👧", "日本", "日", "שלום", "'; DROP TABLE words; --", "%", "_", "\\", "words MATCH 'x'",
    "a" * 90_000, "a " * 45_000, "\ufffe",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: repr(query)[:24])
@pytest.mark.parametrize("op", ["search_nodes", "search_messages"])
def test_any_query_is_answered(ask: Any, op: str, query: str) -> None:
    ask("create_entities", entities=[{"name": "a", "type": "t", "observations": ["b 日本語"]}])
    ask("append_messages", stream="s", messages=[{"content": "a b"}])
    answer = ask(op, query=query)
    assert "ok" in answer or "NUL" in answer["error"]["message"], answer


@pytest.mark.parametrize("name", FEARSOME)
def test_fearsome_text_comes_back_as_it_was(house: Any, name: str) -> None:
    text = FEARSOME[name]
    with house.memory(space=f"text {name}") as memory:
        (made,) = memory.create_entities([EntityInput(text, text, [text], {text: text}, [text])]).results
        (found,) = memory.open_nodes([text]).entities
        assert (found.id, found.name, found.type, found.observations, found.properties, found.tags) == (
            made.id,
            text,
            text,
            [text],
            {text: text},
            [text],
        )
        assert [
            one.id for one in memory.list_entities(tags=[text], types=[text], order_by=f"property:{text}").entities
        ] == [made.id]
        assert [one.entity.id for one in memory.search_nodes(text).hits][:1] == [made.id]
        assert memory.delete_entities([text]).ids == [made.id]


FAR = [
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=5))),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
]


@pytest.mark.parametrize("when", FAR, ids=["beyond 9999", "before 1"])
@pytest.mark.parametrize("what", ["message", "expires_at", "valid_from"])
def test_a_time_that_cannot_be_told_again_is_not_kept(ask: Any, what: str, when: datetime) -> None:
    """UTC puts it outside of the years 1 to 9999: whoever read it would fail, for ever."""
    at = when.isoformat()
    if what == "message":
        answer = ask("append_messages", stream=f"far {at}", messages=[{"content": "x", "at": at}])
        read = ask("recent_messages", stream=f"far {at}")
        assert (answer["error"]["code"], read["error"]["code"]) == ("invalid", "not_found")
    else:
        entity: dict[str, Any] = {"name": f"far {what} {at}", "type": "t"}
        entity |= {"expires_at": at} if what == "expires_at" else {"observations": [{"text": "x", what: at}]}
        assert ask("create_entities", entities=[entity])["error"]["code"] == "invalid"
        assert ask("open_nodes", names=[entity["name"]], details=True)["ok"]["missing"] == [entity["name"]]


def test_a_time_without_a_zone_is_refused(ask: Any) -> None:
    error = ask("append_messages", stream="s", messages=[{"content": "x", "at": datetime(2026, 1, 1).isoformat()}])[
        "error"
    ]
    assert (error["code"], "zone" in error["message"]) == ("invalid", True)
    assert "ok" in ask(
        "append_messages", stream="s", messages=[{"content": "x", "at": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}]
    )


@pytest.mark.parametrize("to", ["a\0b", "/proc/none/here", "/dev/null/here", "x" * 5000])
def test_a_backup_to_a_place_that_cannot_be_is_refused_with_a_reason(serve: Any, to: str) -> None:
    answer = serve().peer().ask("backup", to=to)
    assert "Error" not in answer["error"]["message"]
    assert answer["error"]["hint"]


def test_what_comes_twice_in_one_call_has_a_stated_answer(house: Any) -> None:
    with house.memory(space="twice") as memory:
        first, second = memory.create_entities(
            [EntityInput("a", "t", ["x"]), EntityInput("a", "t", ["x", "y"])]
        ).results
        assert (first.id, first.action, second.action, second.added) == (second.id, "created", "updated", ["y"])
        memory.create_entities([EntityInput("b", "t")])
        (found,) = memory.tag([first.id, "a", first.id], ["red", "red"]).results[:1]
        assert memory.open_nodes(["a", first.id, "a"]).entities[0].tags == ["red"]
        assert len(memory.open_nodes(["a", first.id, "a"]).entities) == 1
        edge: Any = {"from": "a", "to": "b", "type": "knows"}
        related = memory.create_relations([edge, edge])
        assert (len(related.created), len(related.existing)) == (1, 1)
        assert memory.delete_relations([edge, edge]).removed == 1
        removed = memory.delete_entities(["a", "a", first.id])
        assert (removed.ids, removed.missing) == ([first.id], ["a", first.id])
        assert memory.purge_entities([first.id, first.id], confirm=True).ids == [first.id]
        assert found.id == first.id
        assert memory.verify().ok


def test_after_all_that_the_store_is_whole(house: Any) -> None:
    with house.memory() as memory:
        assert memory.verify().problems == []
