"""The command line itself: every verb declared once, errors told one way, exit codes kept."""

import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from enhanced_memory.client import errors
from enhanced_memory.client.cli import arguments
from enhanced_memory.client.cli.commandline import CHAPTERS, every_name, find_verb, read, verb_parser
from enhanced_memory.client.cli.declare import VERBS
from enhanced_memory.client.cli.exits import MEANINGS, exit_code
from enhanced_memory.client.request import REQUESTS
from enhanced_memory.client.values import Filter

from .conftest import Ctl


def test_the_table_of_verbs_says_where_each_is_declared() -> None:
    for chapter in CHAPTERS:
        import_module(f"enhanced_memory.client.cli.{chapter}")
    declared = {chapter: tuple(name for name, verb in VERBS.items() if verb.chapter == chapter) for chapter in CHAPTERS}
    assert {chapter: set(names) for chapter, names in declared.items()} == {
        c: set(names) for c, names in CHAPTERS.items()
    }
    assert set(VERBS) == set(every_name())


@pytest.mark.parametrize("name", every_name())
def test_every_verb_has_a_manual_and_takes_json(name: str, ctl: Ctl) -> None:
    ran = ctl(name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"usage: memoryctl {name}")
    verb = find_verb(name)
    assert verb is not None
    assert verb.says in " ".join(ran.out.split())
    assert "--json" in verb_parser(verb).format_help()


def test_the_manual_names_every_verb_and_exit_code(ctl: Ctl) -> None:
    ran = ctl("--help")
    assert ran.code == 0
    assert all(f"\n  {name} " in ran.out for name in every_name())
    assert all(f"\n  {code}  {meaning}" in ran.out for code, meaning in MEANINGS.items())


def test_every_error_has_a_documented_exit_code() -> None:
    def tree(kind: type[errors.Error]) -> list[type[errors.Error]]:
        return [kind, *(deeper for each in kind.__subclasses__() for deeper in tree(each))]

    codes = {kind.code: exit_code(kind()) for kind in tree(errors.Error)}
    assert set(codes.values()) <= set(MEANINGS)
    assert codes["closed"] == codes["timed_out"] == codes["wrong_store"] == 3
    assert codes["denied"] == codes["not_found"] == codes["conflict"] == 4
    assert codes["store_full"] == codes["store_damaged"] == 5


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "VERB"),
        (["shwo"], "did you mean show?"),
        (["show"], "NAME"),
        (["list", "--since", "tomorrowish"], "is not a time"),
        (["list", "--where", "<3"], "is not a condition"),
        (["list", "--limit", "0"], "above zero"),
        (["status", "--jsno"], "--jsno"),
        (["status", "--timeout", "soon"], "timeout"),
        (["purge", "Ada"], "not confirmed"),
        (["spaces", "create"], "takes a name"),
        (["search", "x", "--stream", "s"], "add --messages"),
        (["search", "x", "--messages", "--tag", "t"], "filter on entities"),
        (["add", "Ada", "--tag", "t"], "--type is missing"),
        (["messages", "s", "--before", "3", "--tick", "4"], "--before"),
        (["export", "-", "--json"], "both want stdout"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(ctl: Ctl, argv: list[str], said: str) -> None:
    ran = ctl(*argv)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert said in ran.err


def test_a_wrong_command_line_is_json_where_json_is_asked_for(ctl: Ctl) -> None:
    ran = ctl("list", "--json", "--where", "<")
    assert ran.code == 2
    assert ran.json["error"]["code"] == "usage"
    assert ran.err.startswith("error: ")


def test_a_wrong_settings_file_is_refused_with_its_path(ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / "config.toml"
    file.write_text("stroe = 'x'\n")
    monkeypatch.setenv("ENHANCED_MEMORY_CONFIG", str(file))
    ran = ctl("status")
    assert ran.code == 4
    assert f"{file} names a setting that does not exist: stroe" in ran.err


@pytest.mark.parametrize("place", ["before", "after", "between"])
def test_options_of_every_verb_may_stand_anywhere(ctl: Ctl, place: str) -> None:
    words = {
        "before": ["--json", "config", "space"],
        "after": ["config", "space", "--json"],
        "between": ["config", "--json", "space"],
    }
    assert ctl(*words[place]).json["value"] == "default"


def test_what_follows_two_dashes_is_no_option(ctl: Ctl) -> None:
    ran = ctl("config", "--", "--json")
    assert ran.code == 4
    assert ran.out == ""
    assert "There is no setting --json" in ran.err


def test_a_dash_alone_is_a_word(ctl: Ctl) -> None:
    assert "There is no setting -." in ctl("config", "-").err


def test_words_may_stand_on_both_sides_of_an_option() -> None:
    call, verb = read(["add", "Ada", "--type", "person", "likes tea", "--", "-x"])
    assert (verb.name, call.given.name, call.given.observations) == ("add", "Ada", ["likes tea", "-x"])


# Help


def test_help_of_a_verb_is_its_manual(ctl: Ctl) -> None:
    assert ctl("help", "search").out.strip() == ctl("search", "--help").out.strip()


@pytest.mark.parametrize("op", list(REQUESTS))
def test_help_of_an_operation_names_every_parameter(ctl: Ctl, op: str) -> None:
    ran = ctl("help", op)
    assert ran.code == 0
    assert f"operation {op} " in ran.out
    for field in REQUESTS[op].__struct_encode_fields__:
        assert f"\n  {field}: " in ran.out


def test_help_of_nothing_lists_the_operations(ctl: Ctl) -> None:
    ran = ctl("help", "--json")
    assert all(f"\n  {op}\n" in ran.json["text"] for op in REQUESTS)


def test_help_of_what_does_not_exist_suggests_what_does(ctl: Ctl) -> None:
    ran = ctl("help", "serch_nodes")
    assert ran.code == 4
    assert "search_nodes" in ran.err


# What people write


@pytest.mark.parametrize(
    ("text", "meant"), [("#12", 12), ("id:12", 12), ("Ada", "Ada"), ("#12a", "#12a"), ("12", "12"), ("#", "#")]
)
def test_an_id_is_written_with_a_mark(text: str, meant: int | str) -> None:
    assert arguments.ref(text) == meant


def test_a_name_that_looks_like_an_id_can_be_meant() -> None:
    assert arguments.ref("#12", by_name=True) == "#12"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("age=42", Filter("age", equal=42)),
        ('age="42"', Filter("age", equal="42")),
        ("name=a=b", Filter("name", equal="a=b")),
        ("age>=3", Filter("age", at_least=3.0)),
        ("at<=2026-01-01", Filter("at", at_most="2026-01-01")),
        ("state in open,7", Filter("state", any_of=["open", 7])),
        ("state", Filter("state", exists=True)),
        ("!state", Filter("state", exists=False)),
    ],
)
def test_a_condition_reads_as_it_is_written(text: str, meant: Filter) -> None:
    assert arguments.condition(text) == meant


def test_a_length_of_time_counts_back_from_now_and_forward_where_an_end_is_meant() -> None:
    now = datetime.now(UTC)
    assert abs(arguments.since("2h") - (now - timedelta(hours=2))) < timedelta(seconds=5)
    assert abs(arguments.later("2h") - (now + timedelta(hours=2))) < timedelta(seconds=5)


def test_a_time_with_a_zone_keeps_it() -> None:
    assert arguments.since("2026-11-21T10:00:00+02:00") == datetime(2026, 11, 21, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"), [("5", (5, 5)), ("5..9", (5, 9)), ("5..", (5, None)), ("..9", (None, 9)), ("-3..-1", (-3, -1))]
)
def test_a_range_of_ticks_may_be_open(text: str, meant: tuple[int | None, int | None]) -> None:
    assert arguments.span(text) == meant


# Config


def test_config_says_where_each_setting_comes_from(ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / "config.toml"
    file.write_text("group_max = 256\nagent = 'file'\n")
    monkeypatch.setenv("ENHANCED_MEMORY_CONFIG", str(file))
    monkeypatch.setenv("ENHANCED_MEMORY_READERS", "3")
    found = {each["name"]: each for each in ctl("config", "--json", "--agent", "me", "--no-start").json["settings"]}
    assert (found["agent"]["value"], found["agent"]["source"]) == ("me", "--agent")
    assert (found["autostart"]["value"], found["autostart"]["source"]) == (False, "--no-start")
    assert (found["readers"]["value"], found["readers"]["source"]) == (3, "ENHANCED_MEMORY_READERS")
    assert (found["group_max"]["value"], found["group_max"]["source"]) == (256, str(file))
    assert (found["log_level"]["value"], found["log_level"]["source"]) == ("INFO", "default")
    assert all(each["help"] for each in found.values())


def test_the_printed_settings_file_is_read_back_as_the_defaults(
    ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "config.toml"
    text = ctl("config", "--toml").out
    file.write_text("\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()))
    monkeypatch.setenv("ENHANCED_MEMORY_CONFIG", str(file))
    found = ctl("config", "--json").json["settings"]
    from_file = [each for each in found if each["source"] == str(file)]
    assert len(from_file) >= len(found) - 5  # the five that the fixture sets in the environment
    assert all(each["value"] == each["default"] for each in from_file)


def test_one_setting_is_printed_bare(ctl: Ctl) -> None:
    ran = ctl("config", "max_name_chars")
    assert ran.out == "2000\n"


def test_json_output_holds_nothing_that_steers_a_terminal(ctl: Ctl) -> None:
    agent = "a\x1b[31m\x9b\u202eb\u2028"
    ran = ctl("config", "agent", "--json", "--agent", agent)
    assert json.loads(ran.out)["value"] == agent
    assert not set("\x1b\x9b\u202e\u2028") & set(ran.out)


def test_human_output_escapes_what_steers_a_terminal(ctl: Ctl) -> None:
    ran = ctl("config", "agent", "--agent", "a\x1b[31m\x9b\u202eb")
    assert ran.out == "a\\x1b[31m\\x9b\\u202eb\n"
