"""Requests: declared once, parsed with a path to what is wrong, unknown parameters named."""

from typing import Any

import msgspec
import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.operations.entities import Created, CreateEntities, ListEntities, OpenNodes, UpdateEntity
from enhanced_memory.client.operations.relations import CreateRelations
from enhanced_memory.client.operations.search import SearchNodes, SearchResult
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.request import (
    HANDLERS,
    REQUESTS,
    Change,
    Question,
    Request,
    answer_type,
    method,
    parse,
    unknown,
)
from enhanced_memory.client.values import Filter, RelationInput
from enhanced_memory.daemon import handlers


def test_the_name_of_an_operation_is_its_class_in_snake_case() -> None:
    assert CreateEntities.op == "create_entities"
    assert REQUESTS["search_nodes"] is SearchNodes


def test_every_operation_reads_or_writes_and_says_what_its_answer_is() -> None:
    for request in REQUESTS.values():
        assert issubclass(request, Question) != issubclass(request, Change), request
        assert answer_type(request) is not None
        assert request.__doc__, request
    assert (answer_type(CreateEntities), answer_type(SearchNodes)) == (Created, SearchResult)


def test_every_operation_is_offered_to_clients_under_its_own_name() -> None:
    offered = {name for name, value in vars(Operations).items() if isinstance(value, method)}
    assert offered == set(REQUESTS)


def test_a_request_that_nothing_answers_stops_the_daemon() -> None:
    outside = {name for name in REQUESTS if name not in HANDLERS}
    handlers.complete(outside)
    with pytest.raises(TypeError, match="nothing answers"):
        handlers.complete(outside - {next(iter(sorted(outside)))})
    with pytest.raises(TypeError, match="no_such_operation"):
        handlers.complete(outside | {"no_such_operation"})


def test_a_request_has_one_handler() -> None:
    with pytest.raises(TypeError, match="handler already"):
        CreateEntities.handler(lambda tx, ask: Created([]))


@pytest.mark.parametrize(
    ("request_", "args", "path"),
    [
        (CreateEntities, {}, "entities"),
        (CreateEntities, {"entities": "x"}, r"\$\.entities"),
        (CreateEntities, {"entities": [1]}, r"\$\.entities\[0\]"),
        (CreateEntities, {"entities": [{"name": "a", "type": 5}]}, r"\$\.entities\[0\]\.type"),
        (
            CreateEntities,
            {"entities": [{"name": "a", "type": "t", "observations": [5]}]},
            r"observations\[0\]|observations\[\.\.\.\]",
        ),
        (CreateEntities, {"entities": [{"name": "a", "type": "t", "priority": 11}]}, r"\$\.entities\[0\]\.priority"),
        (CreateEntities, {"entities": [], "on_existing": "whatever"}, r"\$\.on_existing"),
        (SearchNodes, {"query": "x", "limit": 0}, r">= 1.*\$\.limit"),
        (SearchNodes, {"query": "x", "limit": 10**12}, r"<= 1000.*\$\.limit"),
        (SearchNodes, {"query": "x", "limit": "10"}, r"\$\.limit"),
        (SearchNodes, {"query": "x", "limit": 1.5}, r"\$\.limit"),
        (SearchNodes, {"query": None}, r"\$\.query"),
        (SearchNodes, {"query": "x", "minimum_trust": "god"}, r"\$\.minimum_trust"),
        (SearchNodes, {"query": "x" * 100_001}, r"\$\.query"),
        (OpenNodes, {"names": [None]}, r"\$\.names\[0\]"),
        (OpenNodes, {"names": [1.5]}, r"\$\.names\[0\]"),
        (ListEntities, {"where": [{"equal": 1}]}, "property"),
        (AppendMessages, {"stream": "s", "messages": []}, r"\$\.messages"),
        (AppendMessages, {"stream": "s", "messages": [{"content": "x", "tick": 2**63}]}, "tick|range"),
        (UpdateEntity, {"entity": "a", "expires_at": "tomorrow"}, r"\$\.expires_at"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(request_: type[Request[Any]], args: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid, match=path) as refused:
        parse(request_, args)
    assert request_.op in refused.value.hint


def test_a_request_parsed_is_what_was_meant_and_defaults_fill_the_rest() -> None:
    ask, ignored = parse(SearchNodes, {"query": "x", "where": [{"property": "p", "equal": 1}]})
    assert isinstance(ask, SearchNodes)
    assert (ask.query, ask.limit, ask.where, ignored) == ("x", 10, [Filter("p", equal=1)], [])
    ask, _ = parse(CreateRelations, {"relations": [{"from": "a", "to": 2, "type": "t"}]})
    assert isinstance(ask, CreateRelations)
    assert ask.relations == [RelationInput("a", 2, "t")]


def test_unknown_parameters_are_named_by_path_and_harm_nothing() -> None:
    ask, ignored = parse(
        CreateEntities,
        {
            "entities": [
                {
                    "name": "a",
                    "type": "t",
                    "observation": ["x"],
                    "observations": [{"text": "x", "sure": 1}, "y"],
                    "properties": {"any": {"thing": 1}},
                }
            ],
            "on_exist": "skip",
        },
    )
    assert isinstance(ask, CreateEntities)
    assert ignored == ["entities[0].observation", "entities[0].observations[0].sure", "on_exist"]
    assert unknown({}, CreateEntities) == []


def test_a_value_nested_too_deeply_is_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Invalid):
        parse(CreateEntities, {"entities": deep})


def test_every_answer_survives_its_way_over_the_wire_as_plain_data() -> None:
    for request in REQUESTS.values():
        kind = answer_type(request)
        assert msgspec.json.schema(kind), request
