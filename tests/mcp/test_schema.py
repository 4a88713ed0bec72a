"""Types become schemas that clients understand, and what clients send is judged in words that they understand."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.request import REQUESTS
from enhanced_memory.mcp_server.tools.declaration import as_json
from enhanced_memory.mcp_server.tools.schema import form, pruned, read, schema_of


class Inner(msgspec.Struct):
    """Described for programmers, not for clients."""

    name: Annotated[str, Meta(description="a name")]
    size: Annotated[int, Meta(ge=1)] | None = None


class Outer(msgspec.Struct):
    """Described for programmers, not for clients."""

    items: list[Inner]
    mode: Literal["fast", "slow"] = "slow"
    either: int | str = ""


def test_a_schema_holds_no_reference_and_no_word_about_our_classes() -> None:
    assert schema_of(Outer) == {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "description": "a name"},
                        "size": {"type": "integer", "minimum": 1},
                    },
                    "required": ["name"],
                },
            },
            "mode": {"enum": ["fast", "slow"], "default": "slow"},
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "required": ["items"],
    }


def test_a_closed_schema_is_closed_at_every_level() -> None:
    schema = schema_of(Outer, closed=True)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["items"]["items"]["additionalProperties"] is False


@pytest.mark.parametrize("op", sorted(REQUESTS))
def test_every_operation_has_a_schema_without_references(op: str) -> None:
    schema = schema_of(REQUESTS[op])
    assert schema["type"] == "object"
    assert "$ref" not in repr(schema)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "missing items"),
        ({"items": "[]"}, "items: expected array, got string"),
        ({"items": [{}]}, "items[0]: missing name"),
        ({"items": [{"name": "a"}, {"name": 1}]}, "items[1].name: expected string, got integer"),
        ({"items": [{"name": None}]}, "items[0].name: expected string, got null"),
        ({"items": [{"name": "a", "size": 0}]}, "items[0].size: expected integer >= 1"),
        ({"items": [], "mode": "odd"}, "mode: invalid enum value 'odd'"),
        ({"items": [], "either": 1.5}, "either: expected integer or string, got number"),
        ({"items": [], "either": True}, "either: expected integer or string, got boolean"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_in_words_of_json(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(Outer, arguments)
    assert caught.value.message == said


def test_unknown_keys_and_null_for_an_optional_one_are_accepted() -> None:
    found = read(Outer, {"items": [{"name": "a", "size": None, "colour": "red"}], "more": {"deep": [1]}})
    assert found == Outer(items=[Inner("a")])


def test_the_form_shows_a_caller_what_to_send() -> None:
    assert form(schema_of(Outer)) == (
        '{"items": [{"name": string, "size"?: integer}], "mode"?: "fast" or "slow", "either"?: integer or string}'
    )
    assert form(schema_of(SearchNodes)).startswith('{"query": string, "limit"?: integer,')


def test_pruning_drops_what_the_schema_does_not_name_at_any_depth() -> None:
    value = {"items": [{"name": "a", "id": 1}, {"name": "b", "extra": {"x": 1}}], "mode": "fast", "space": "default"}
    assert pruned(value, schema_of(Outer)) == {"items": [{"name": "a"}, {"name": "b"}], "mode": "fast"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_text_is_what_javascript_would_write(value: Any) -> None:
    """Two spaces of indent, empty lists and maps closed at once, every character as itself."""
    import json

    assert as_json(value) == json.dumps(value, indent=2, ensure_ascii=False)
