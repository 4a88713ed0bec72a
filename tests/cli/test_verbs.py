"""Looking and writing: what a person types and what comes back."""

from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import MessageInput

from .conftest import Ctl, eventually


@pytest.fixture
def ada(ctl: Ctl) -> int:
    """Somebody to ask about; her id."""
    ran = ctl(
        "add",
        "Ada",
        "--type",
        "person",
        "likes tea",
        "plays chess",
        "-p",
        "age=36",
        "-p",
        "city=London",
        "--tag",
        "friend",
        "--json",
    )
    assert ran.code == 0
    return ran.json["results"][0]["id"]


def entity(ctl: Ctl, name: str) -> dict[str, Any]:
    return ctl("show", name, "--json").json["entities"][0]


# Writing


def test_what_is_added_is_shown(ctl: Ctl, ada: int) -> None:
    found = entity(ctl, "Ada")
    assert (found["id"], found["type"], found["observations"]) == (ada, "person", ["likes tea", "plays chess"])
    assert found["properties"] == {"age": 36, "city": "London"}
    assert found["tags"] == ["friend"]
    said = ctl("show", "Ada").out
    assert all(
        word in said for word in ("Ada", f"#{ada}", "person", "- likes tea", "- plays chess", "London", "friend")
    )


def test_options_of_add_reach_the_entity(ctl: Ctl) -> None:
    ran = ctl(
        "add",
        "P",
        "-t",
        "rule",
        "--tier",
        "procedural",
        "--priority",
        "9",
        "--pin",
        "--confidence",
        "0.5",
        "--expires",
        "30d",
        "obs",
    )
    assert ran.code == 0
    found = ctl("show", "P", "--details", "--json").json["entities"][0]
    assert (found["tier"], found["priority"], found["always_include"]) == ("procedural", 9, True)
    assert found["expires_at"] is not None
    assert found["details"][0]["confidence"] == 0.5


def test_add_without_a_type_adds_to_what_exists(ctl: Ctl, ada: int) -> None:
    ran = ctl("add", f"id:{ada}", "sings", "likes tea", "--json")
    assert ran.code == 0
    assert ran.json["results"][0]["added"] == ["sings"]
    assert entity(ctl, "Ada")["observations"] == ["likes tea", "plays chess", "sings"]


def test_add_without_a_type_to_what_does_not_exist_says_what_is_missing(ctl: Ctl) -> None:
    ran = ctl("add", "Nobody", "sings")
    assert ran.code == 4
    assert "--type" in ran.err


def test_add_reads_lines_from_stdin(ctl: Ctl) -> None:
    ctl("add", "Notes", "--type", "list", "first", "-", stdin="second\n\nthird\n")
    assert entity(ctl, "Notes")["observations"] == ["first", "second", "third"]


def test_add_can_refuse_what_exists(ctl: Ctl, ada: int) -> None:
    ran = ctl("add", "Ada", "--type", "person", "--on-existing", "error", "--json")
    assert ran.code == 4
    assert ran.json["error"]["code"] == "conflict"


def test_forget_can_be_undone(ctl: Ctl, ada: int) -> None:
    ran = ctl("forget", "Ada", "-m", "moved away")
    assert ran.code == 0
    assert f"memoryctl restore id:{ada}" in ran.out
    assert ctl("show", "Ada").code == 1
    assert [each["name"] for each in ctl("list", "--deleted", "--json").json["entities"]] == ["Ada"]
    assert ctl("restore", f"id:{ada}").code == 0
    assert entity(ctl, "Ada")["observations"] == ["likes tea", "plays chess"]


def test_forget_names_what_is_not_there_and_ends_with_1(ctl: Ctl, ada: int) -> None:
    ran = ctl("forget", "Ada", "Nobody", "--json")
    assert ran.code == 1
    assert ran.json["ids"] == [ada]
    assert ran.json["missing"] == ["Nobody"]


def test_restore_under_a_taken_name_needs_another(ctl: Ctl, ada: int) -> None:
    ctl("forget", "Ada")
    ctl("add", "Ada", "--type", "ship")
    assert ctl("restore", f"id:{ada}").code == 4
    assert ctl("restore", f"id:{ada}", "--as", "Ada L.").code == 0
    assert entity(ctl, "Ada L.")["id"] == ada


def test_purge_leaves_nothing_and_gives_a_receipt(ctl: Ctl, ada: int) -> None:
    ran = ctl("purge", "Ada", "--yes", "--json")
    assert ran.code == 0
    assert ran.json["ids"] == [ada]
    assert len(ran.json["sha256"]) == 64
    assert ctl("restore", f"id:{ada}").code == 4


def test_rename_keeps_the_id(ctl: Ctl, ada: int) -> None:
    assert ctl("rename", "Ada", "Ada Lovelace").code == 0
    assert entity(ctl, "Ada Lovelace")["id"] == ada


def test_tags_come_and_go(ctl: Ctl, ada: int) -> None:
    assert ctl("tag", "Ada", "-t", "vip", "-t", "chess").code == 0
    assert set(entity(ctl, "Ada")["tags"]) == {"friend", "vip", "chess"}
    assert ctl("untag", "Ada", "--tag", "vip").code == 0
    assert set(entity(ctl, "Ada")["tags"]) == {"friend", "chess"}


def test_relations_come_and_go(ctl: Ctl, ada: int) -> None:
    assert (
        ctl("relate", "Ada", "works_at", "Analytical Engines").out == "created: Ada → works_at → Analytical Engines\n"
    )
    assert ctl("relate", "Ada", "works_at", "Analytical Engines").out.startswith("there already")
    assert "Ada → works_at → Analytical Engines" in ctl("show", "Ada").out
    assert ctl("unrelate", "Ada", "works_at", "Analytical Engines").code == 0
    assert ctl("unrelate", "Ada", "works_at", "Analytical Engines").code == 1


def test_spaces_keep_things_apart(ctl: Ctl, ada: int) -> None:
    assert ctl("spaces", "create", "work").code == 0
    assert ctl("spaces", "create", "over", "--parent", "default").code == 0
    listed = ctl("spaces", "--json").json
    assert listed["current"] == "default"
    assert {"default", "work", "over"} <= {each["name"] for each in listed["spaces"]}
    assert ctl("show", "Ada", "--space", "work").code == 1
    assert ctl("show", "Ada", "--space", "over").code == 0
    assert ctl("spaces", "delete", "work").code == 0
    assert "work" not in {each["name"] for each in ctl("spaces", "--json").json["spaces"]}
    assert "work" in {each["name"] for each in ctl("spaces", "--deleted", "--json").json["spaces"]}
    assert "* " in ctl("spaces").out


# Looking


def test_show_ends_with_1_where_something_is_missing_and_shows_the_rest(ctl: Ctl, ada: int) -> None:
    ran = ctl("show", "Ada", "Nobody", "#99999", "--json")
    assert ran.code == 1
    assert [each["name"] for each in ran.json["entities"]] == ["Ada"]
    assert ran.json["missing"] == ["Nobody", 99999]
    said = ctl("show", "Nobody", "#99999").out
    assert said == "not there: Nobody\nnot there: #99999\n"


def test_a_name_that_looks_like_an_id_can_be_shown(ctl: Ctl) -> None:
    ctl("add", "#7", "--by-name", "--type", "issue", "broken")
    assert ctl("show", "#7", "--by-name", "--json").json["entities"][0]["name"] == "#7"


def test_show_tells_the_provenance_where_asked(ctl: Ctl) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea", "--agent", "planner")
    assert "planner/memoryctl" in ctl("show", "Ada", "--details").out


def test_search_finds_by_words(ctl: Ctl, ada: int) -> None:
    ctl("add", "Bob", "--type", "person", "likes coffee")
    found = ctl("search", "tea", "--json").json
    assert [hit["entity"]["name"] for hit in found["hits"]] == ["Ada"]
    assert found["space"] == "default"
    assert "likes tea" in ctl("search", "tea").out
    ran = ctl("search", "submarine")
    assert (ran.code, ran.out) == (0, "Nothing found.\n")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["--type", "person"], {"Ada"}),
        (["--type", "person", "--type", "ship"], {"Ada", "Nautilus"}),
        (["--tag", "friend"], {"Ada"}),
        (["--where", "age>=36"], {"Ada"}),
        (["--where", "age>=37"], set()),
        (["--where", "city in Paris,London"], {"Ada"}),
        (["--where", "!age"], {"Nautilus"}),
        (["--since", "1h"], {"Ada", "Nautilus"}),
        (["--until", "1h"], set()),
        (["--tier", "working"], {"Ada", "Nautilus"}),
    ],
)
def test_filters_narrow_search_and_list_alike(ctl: Ctl, ada: int, filters: list[str], names: set[str]) -> None:
    ctl("add", "Nautilus", "--type", "ship", "drinks tea")
    assert {each["name"] for each in ctl("list", *filters, "--json").json["entities"]} == names
    assert {hit["entity"]["name"] for hit in ctl("search", "tea", *filters, "--json").json["hits"]} == names


def test_list_goes_page_by_page_or_all_at_once(ctl: Ctl) -> None:
    for name in ("c", "a", "b"):
        ctl("add", name, "--type", "letter")
    first = ctl("list", "--order", "name", "--limit", "2", "--json").json
    assert [each["name"] for each in first["entities"]] == ["a", "b"]
    rest = ctl("list", "--order", "name", "--limit", "2", "--cursor", first["cursor"], "--json").json
    assert [each["name"] for each in rest["entities"]] == ["c"]
    assert rest["cursor"] is None
    backwards = ctl("list", "--order", "name", "--reverse", "--all", "--json").json
    assert [each["name"] for each in backwards["entities"]] == ["c", "b", "a"]
    assert "There are more" in ctl("list", "--limit", "1").out


def test_a_limit_beyond_what_is_allowed_is_refused(ctl: Ctl) -> None:
    ran = ctl("list", "--limit", "1000000000000", "--json")
    assert ran.code == 4
    assert ran.json["error"]["code"] == "invalid"


def test_history_tells_what_came_and_went(ctl: Ctl, ada: int) -> None:
    ctl("add", "Ada", "sings", "-m", "heard her")
    ctl("add", "Ada", "--type", "person", "retired", "--on-existing", "replace")
    found = ctl("history", "Ada", "--json").json
    assert found["entity"] == ada
    assert [each["version"] for each in found["versions"]] == [3, 2, 1]
    said = ctl("history", f"#{ada}").out
    assert "heard her" in said
    assert "+ sings" in said
    assert "+ retired" in said
    assert "- likes tea" in said
    assert ctl("history", "Ada", "--limit", "1", "--before", "2", "--json").json["versions"][0]["version"] == 1


def test_history_of_what_never_was_is_refused(ctl: Ctl) -> None:
    ran = ctl("history", "Nobody", "--json")
    assert ran.code == 4
    assert ran.json["error"]["code"] == "not_found"


@pytest.fixture
def stream(ctl: Ctl) -> str:
    """A conversation of six messages."""
    with Memory() as memory:
        lines = [
            MessageInput(
                f"line {tick}",
                role="user" if tick % 2 else "assistant",
                tick=tick,
                kind="reflection" if tick == 4 else "dialogue",
                speaker="Ada",
            )
            for tick in range(6)
        ]
        memory.send(AppendMessages("talk", lines))
    return "talk"


@pytest.mark.parametrize(
    ("filters", "ticks"),
    [
        ([], [0, 1, 2, 3, 4, 5]),
        (["--limit", "2"], [4, 5]),
        (["--limit", "2", "--from-start"], [0, 1]),
        (["--role", "user"], [1, 3, 5]),
        (["--kind", "reflection"], [4]),
        (["--tick", "2..3"], [2, 3]),
        (["--tick", "4.."], [4, 5]),
        (["--tick", "1..4", "--role", "assistant"], [2, 4]),
        (["--speaker", "Nobody"], []),
        (["--since", "1h"], [0, 1, 2, 3, 4, 5]),
        (["--until", "1h"], []),
    ],
)
def test_messages_come_oldest_first_by_tick_kind_role_and_time(
    ctl: Ctl, stream: str, filters: list[str], ticks: list[int]
) -> None:
    ran = ctl("messages", stream, *filters, "--json")
    assert ran.code == 0
    assert [each["tick"] for each in ran.json["messages"]] == ticks


def test_messages_are_told_with_who_and_when(ctl: Ctl, stream: str) -> None:
    said = ctl("messages", stream, "--limit", "1").out
    assert "user Ada" in said
    assert "tick 5" in said
    assert "  line 5" in said


def test_messages_are_found_by_words(ctl: Ctl, stream: str) -> None:
    found = ctl("search", "--messages", "--stream", stream, "line 3", "--role", "user", "--json").json
    assert found["hits"][0]["stream"] == stream
    assert all(hit["message"]["role"] == "user" for hit in found["hits"])


def test_the_access_log_says_who_asked(ctl: Ctl, ada: int) -> None:
    ctl("show", "Ada", "--agent", "planner")
    ctl("history", "Nobody")

    def rows(*filters: str) -> list[dict[str, Any]]:
        return ctl("access", *filters, "--json").json["rows"]

    assert eventually(lambda: [row["origin"]["agent"] for row in rows("--op", "open_nodes")] == ["planner"])
    assert eventually(lambda: [row["op"] for row in rows("--failed")] == ["memory_history"])
    assert {row["op"] for row in rows("--by-agent", "planner")} == {"open_nodes"}
    assert "not_found" in ctl("access", "--failed").out


# Whatever was remembered


HOSTILE = "a\x1b[2Jb\u202ec\x9bd"


def test_hostile_text_is_remembered_exactly_and_shown_harmlessly(ctl: Ctl, ada: int) -> None:
    assert (
        ctl(
            "add",
            f"Mallory {HOSTILE}",
            "--type",
            "person",
            f"says {HOSTILE}\nand more",
            "-p",
            f"k={HOSTILE}",
            "--tag",
            f"t{HOSTILE}",
        ).code
        == 0
    )
    ctl("relate", f"Mallory {HOSTILE}", f"knows {HOSTILE}", "Ada")
    found = entity(ctl, f"Mallory {HOSTILE}")
    assert found["name"] == f"Mallory {HOSTILE}"
    assert found["observations"] == [f"says {HOSTILE}\nand more"]
    name = f"Mallory {HOSTILE}"
    for argv in (
        ["show", name],
        ["show", name, "--details"],
        ["search", "Mallory"],
        ["list"],
        ["history", name],
        ["forget", name],
        ["show", name],
    ):
        ran = ctl(*argv)
        assert not [c for c in ran.out + ran.err if c != "\n" and not c.isprintable()], argv
        assert argv == ["forget", name] or "a\\x1b[2Jb\\u202ec\\x9bd" in ran.out


@pytest.mark.parametrize(
    "name",
    [
        "日本語",
        "שלום עולם",
        "👩‍👩‍👧",
        'it\'s "quoted"',
        "Robert'); DROP TABLE entities;--",
        "NEAR(a OR b)",
        "-dash",
        "a\nb",
    ],
)
def test_any_name_is_remembered_and_found(ctl: Ctl, name: str) -> None:
    assert ctl("add", "--type", "thing", "--", name, "an observation").code == 0
    assert ctl("show", "--json", "--", name).json["entities"][0]["name"] == name
    assert ctl("search", "--json", "--", name).code == 0


def test_text_that_is_no_unicode_is_refused_with_a_clear_word(ctl_process: Ctl) -> None:
    ran = ctl_process("add", b"caf\xe9", "--type", "place", "--json")
    assert ran.code == 4
    assert "surrogate" in ran.json["error"]["message"]


# As a program of its own


def test_the_program_prints_one_document_and_exits_by_its_code(ctl_process: Ctl) -> None:
    assert ctl_process("add", "Ada", "--type", "person", "likes tea").out.startswith("created: #")
    found = ctl_process("show", "Ada", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.json["entities"][0]["name"] == "Ada"
    assert ctl_process("show", "Nobody").code == 1
    assert ctl_process("shwo").code == 2
    assert ctl_process("spaces", "delete", "default").code == 4


def test_the_program_prints_any_text_in_any_locale(ctl_process: Ctl, home: Path) -> None:
    import os

    ctl_process("add", "Zoë 日本", "--type", "person")
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONIOENCODING": "latin-1",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    ran = ctl_process("list", "--json", env=environment)
    assert ran.json["entities"][0]["name"] == "Zoë 日本"
    assert "\\u65e5" in ctl_process("list", env=environment).out


def test_a_reader_that_goes_away_is_no_error(ctl: Ctl, home: Path) -> None:
    import subprocess
    import sys

    ctl("add", "Big", "--type", "thing", "x" * 500_000)
    command = f"{sys.executable} -m enhanced_memory.client.cli show Big | head -c 10"
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == b""
    assert ran.stdout.rstrip().endswith(b"141")
