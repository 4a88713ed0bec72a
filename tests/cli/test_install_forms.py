"""Changing files as text: whatever is put in is read back, and taken out again leaves what was there."""

import json
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from enhanced_memory.client.cli.formats import (
    Malformed,
    Unsafe,
    form,
    with_entry,
    with_item,
    without_entry,
    without_item,
)

JSON, JSONC, TOML, YAML = (form(name) for name in ("json", "jsonc", "toml", "yaml"))
ENTRY = {"command": "/bin/memory-mcp", "args": ["--profile", "core"], "env": {"A": 'x"\\ü\n'}}

NAMES = st.text('abcm "\\ü\n', min_size=1, max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab{}[]/*,"\\ü', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
SERVERS = st.dictionaries(NAMES.filter(lambda name: name != "memory"), VALUES, max_size=3)
LAYOUTS = st.sampled_from([None, 1, 2, 4, "\t"])


@given(DOCUMENTS, st.none() | SERVERS, LAYOUTS, st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_json_file_says_what_it_said_and_the_entry_and_then_not_the_entry(
    document: dict[str, Any], servers: dict[str, Any] | None, indent: Any, newline: str, marked: bool
) -> None:
    document = {**document, **({} if servers is None else {"servers": servers})}
    text = ("\ufeff" if marked else "") + json.dumps(document, indent=indent, ensure_ascii=False).replace("\n", newline)
    if servers is None and "servers" in document:
        return
    put = with_entry(JSON, text, ("servers",), "memory", ENTRY)
    assert json.loads(put.removeprefix("\ufeff")) == {**document, "servers": {**(servers or {}), "memory": ENTRY}}
    gone = without_entry(JSON, put, ("servers",), "memory", 0 if servers is not None else 1)
    assert json.loads(gone.removeprefix("\ufeff")) == document
    assert gone == text


@pytest.mark.parametrize(
    "text",
    [
        '{"servers": {"a": 1}}',
        '{ "servers": { "a": 1, }, }',
        '{\n  "servers": {\n    "a": 1 // one\n  }\n}',
        '{\n  "servers": {\n    "a": 1, // one\n  }\n}\n',
        '{\n  "servers": {\n    // none yet\n  }\n}\n',
        '// first\n{\n\t"servers": {\n\t\t"a": /* in */ 1 /* behind */ // and more\n\t\t// last\n\t}\n}\n// end',
        '{"servers": {"a": "}\\" // no"}}',
    ],
)
def test_comments_stay_where_they_are(text: str) -> None:
    put = with_entry(JSONC, text, ("servers",), "memory", ENTRY)
    for comment in ("// one", "// none yet", "// first", "/* in */", "/* behind */ // and more", "// last", "// end"):
        assert (comment in text) == (comment in put)
    before, _, _ = put.partition('"memory"')
    if "// one" in text:
        assert "// one" in before, "a comment belongs to what it stands behind"
    assert without_entry(JSONC, put, ("servers",), "memory", 0) == text


def test_an_entry_in_the_middle_is_taken_out_alone() -> None:
    text = '{\n  "servers": {\n    "memory": {"x": 1}, // ours\n    // theirs\n    "b": 2\n  }\n}'
    assert json.loads(
        without_entry(JSONC, text, ("servers",), "memory", 0).replace("// ours", "").replace("// theirs", "")
    ) == {"servers": {"b": 2}}
    assert "// theirs" in without_entry(JSONC, text, ("servers",), "memory", 0)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"a" 1}',
        '{"a": 1,,}',
        '{"a": 01}',
        '{"a": tru}',
        '{"a": "x\ny"}',
        '{"a": "\\q"}',
        "{'a': 1}",
        '{"a": 1} x',
        "[]",
        '"text"',
        '{"a": /* }',
        '{"a": [1}',
        "nul",
        '{"a": ' + "[" * 5000,
    ],
)
def test_what_is_no_json_is_malformed_with_its_line(text: str) -> None:
    with pytest.raises(Malformed):
        JSONC.parse(text)


@pytest.mark.parametrize("text", ['{"a": 1,}', '{"a": 1 /* x */}', '// x\n{"a": 1}'])
def test_comments_and_last_commas_are_for_those_who_read_them(text: str) -> None:
    assert JSONC.parse(text) == {"a": 1}
    with pytest.raises(Malformed):
        JSON.parse(text)


def test_items_of_lists_go_to_the_end_and_leave_alone() -> None:
    text = '{\n  "hooks": {\n    "Start": [\n      {"command": "theirs"}\n    ]\n  }\n}\n'
    put = with_item(JSON, text, ("hooks", "Start"), {"command": "ours"})
    assert [each["command"] for each in json.loads(put)["hooks"]["Start"]] == ["theirs", "ours"]
    assert without_item(JSON, put, ("hooks", "Start"), 1, 0) == text
    put = with_item(JSON, text, ("hooks", "End"), {"command": "ours"})
    assert without_item(JSON, put, ("hooks", "End"), 0, 1) == text


TOML_TEXTS = [
    "",
    'model = "x"',
    'model = "x"\n',
    '[mcp_servers.a]\ncommand = "x"\n\n[mcp_servers.a.env]\nK = "v"\n',
    'text = """\n[mcp_servers.memory]\n"""\n\n# end\n',
    'mcp_servers.a.command = "x"\n',
    "[[list]]\nx = [\n  [1],\n]\r\n",
]


@pytest.mark.parametrize("text", TOML_TEXTS)
def test_a_toml_file_says_what_it_said_and_the_entry_and_then_not_the_entry(text: str) -> None:
    before = tomllib.loads(text)
    put = with_entry(TOML, text, ("mcp_servers",), "memory", ENTRY)
    assert put.startswith(text)
    assert tomllib.loads(put)["mcp_servers"]["memory"] == ENTRY
    gone = without_entry(TOML, put, ("mcp_servers",), "memory", 1)
    assert gone.rstrip("\r\n") == text.rstrip("\r\n")
    assert tomllib.loads(gone) == before


@pytest.mark.parametrize(
    "text",
    ['mcp_servers = { a = { command = "x" } }\n', '[mcp_servers]\nmemory = { command = "x" }\n'],
)
def test_toml_in_braces_is_left_alone(text: str) -> None:
    with pytest.raises(Unsafe):
        with_entry(TOML, text, ("mcp_servers",), "memory", ENTRY)


YAML_TEXTS = [
    "",
    "# only a comment\n",
    "a: 1",
    "extensions:\n",
    "extensions: {}  # none yet\nb: 2\n",
    "extensions:\n    x:\n        y: 1\n    # last\n\n# end\nb: 2\n",
    'extensions:\n  "x":\n    text: |\n      extensions:\n\n      memory: 1\n',
    "---\nextensions:\n  x: {y: 1}\n",
    "a: 1\r\nextensions:\r\n  x: 1\r\n",
]


@pytest.mark.parametrize("text", YAML_TEXTS)
def test_a_yaml_file_says_what_it_said_and_the_entry_and_then_not_the_entry(text: str) -> None:
    before: Any = yaml.safe_load(text) or {}
    put = with_entry(YAML, text, ("extensions",), "memory", ENTRY)
    assert yaml.safe_load(put) == {**before, "extensions": {**(before.get("extensions") or {}), "memory": ENTRY}}
    gone = without_entry(YAML, put, ("extensions",), "memory", 0 if "extensions" in before else 1)
    if before.get("extensions") or "extensions" not in before:
        assert gone.rstrip("\r\n") == text.rstrip("\r\n")
    else:
        assert yaml.safe_load(gone) == {**before, "extensions": {}}


YAML_LISTS = [
    "mcpServers:\n- name: a\n  command: x\nb: 1\n",
    "mcpServers:\n  - name: a  # one\n    command: x\n\n  # two\n  - name: b\n    command: y\n",
    "mcpServers: []\n",
    "b: 1\n",
]


@pytest.mark.parametrize("text", YAML_LISTS)
def test_an_item_of_a_yaml_list_goes_to_the_end_and_leaves_alone(text: str) -> None:
    before: Any = yaml.safe_load(text)
    items = before.get("mcpServers", [])
    item = {"name": "memory", **ENTRY}
    put = with_item(YAML, text, ("mcpServers",), item)
    assert yaml.safe_load(put) == {**before, "mcpServers": [*items, item]}
    assert without_item(YAML, put, ("mcpServers",), len(items), 0 if "mcpServers" in before else 1) == text


@pytest.mark.parametrize("text", ["extensions: {a: 1}\n", "extensions: &x\n  a: 1\n", "? extensions\n: a: 1\n"])
def test_yaml_that_is_not_in_plain_blocks_is_left_alone(text: str) -> None:
    with pytest.raises(Unsafe):
        with_entry(YAML, text, ("extensions",), "memory", ENTRY)


@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "a\n\tb: 1", "- a\n", "a: 1\n---\nb: 2\n", "!!python/object:x {}"])
def test_what_is_no_yaml_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        YAML.parse(text)
