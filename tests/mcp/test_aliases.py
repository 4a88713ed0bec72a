"""Where models guess a name, the tool understands; where they use its own, nothing is touched."""

from typing import Any

import pytest

from enhanced_memory.client.errors import Invalid
from enhanced_memory.mcp_server.profiles import COMPAT, FULL
from enhanced_memory.mcp_server.tools.aliases import ALIASES, meant

TOOLS = {tool.name: tool for tool in FULL.tools}


def real_names(tool: str, path: str) -> set[str]:
    """The names that the tool itself takes at a path."""
    schema = TOOLS[tool].parameters()
    part = schema["properties"][path.removesuffix("[]")] if path else schema
    part = part["items"] if path.endswith("[]") else part
    return set(part["properties"])


CASES = [
    (tool, path, real, alias)
    for tool, paths in ALIASES.items()
    for path, names in paths.items()
    for real, aliases in names.items()
    for alias in aliases
]


@pytest.mark.parametrize(("tool", "path", "real", "alias"), CASES)
def test_an_alias_stands_for_a_name_that_the_tool_has_and_is_none_itself(
    tool: str, path: str, real: str, alias: str
) -> None:
    known = real_names(tool, path)
    assert real in known
    assert alias not in known


@pytest.mark.parametrize(("tool", "path", "real", "alias"), CASES)
def test_an_alias_is_read_as_the_name_it_stands_for(tool: str, path: str, real: str, alias: str) -> None:
    value: Any = ["x"]
    key = path.removesuffix("[]")
    guessed: dict[str, Any] = {key: [{alias: value}]} if path else {alias: value}
    wanted: dict[str, Any] = {key: [{real: value}]} if path else {real: value}
    assert meant(tool, guessed) == wanted
    both: dict[str, Any] = {key: [{alias: 1, real: value}]} if path else {alias: 1, real: value}
    assert meant(tool, both) == both


@pytest.mark.parametrize("tool", ALIASES)
def test_no_two_names_claim_one_alias(tool: str) -> None:
    for names in ALIASES[tool].values():
        every = [alias for aliases in names.values() for alias in aliases]
        assert len(every) == len(set(every))


def test_what_the_caller_sent_is_left_as_it_was() -> None:
    sent = {"observations": [{"name": "Ada", "facts": ["sings"]}]}
    assert meant("add_observations", sent) == {"observations": [{"entityName": "Ada", "contents": ["sings"]}]}
    assert sent == {"observations": [{"name": "Ada", "facts": ["sings"]}]}


def test_an_exact_profile_knows_no_alias() -> None:
    [search] = [tool for tool in COMPAT.tools if tool.name == "search_nodes"]
    assert search.given({"q": "tea"}).query == "tea"
    with pytest.raises(Invalid, match="missing query"):
        search.given({"q": "tea"}, exact=True)
