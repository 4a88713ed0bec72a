"""`memoryctl branch`: a line apart, seen, compared and brought back from a shell."""

import pytest

from .conftest import Ctl


@pytest.fixture
def branched(ctl: Ctl) -> None:
    """A branch that changed Ada, over a parent that changed her, too."""
    ctl("add", "Ada", "--type", "person", "likes tea", "-p", "age=36", "--tag", "x")
    ctl("add", "Bob", "--type", "person")
    assert ctl("branch", "create", "what/if", "-m", "why not").code == 0
    ctl("--space", "what/if", "add", "Ada", "--type", "person", "likes rum", "-p", "age=37", "--tag", "y")
    ctl("--space", "what/if", "forget", "Bob")
    ctl("--space", "what/if", "add", "Eve", "--type", "person", "new")
    ctl("--space", "what/if", "relate", "Eve", "knows", "Ada")
    ctl("add", "Ada", "--type", "person", "-p", "age=38")


def test_branches_are_listed(ctl: Ctl, branched: None) -> None:
    told = ctl("branch")
    assert told.code == 0
    line = next(line for line in told.out.splitlines() if "what/if" in line)
    assert "default at 3" in line
    assert "why not" in line
    (one,) = ctl("branch", "list", "--json").json["branches"]
    assert (one["name"], one["parent"], one["entities"], one["discarded"]) == ("what/if", "default", 3, False)


def test_a_diff_shows_what_came_and_went(ctl: Ctl, branched: None) -> None:
    told = ctl("branch", "diff", "what/if")
    assert told.code == 0
    said = [line.strip() for line in told.out.splitlines()]
    for line in (
        "~ #1 Ada",
        "+ likes rum",
        "+ tag y",
        "- property:age: 36",
        "+ property:age: 37",
        "- #2 Bob",
        "+ #3 Eve",
        "+ Eve → knows → Ada",
    ):
        assert line in said, line
    assert "- property:age: 38" in ctl("branch", "diff", "what/if", "--now").out
    assert ctl("--space", "what/if", "branch", "diff", "--json").json["branch"] == "what/if"
    assert len(ctl("branch", "diff", "what/if", "--limit", "2", "--json").json["entities"]) == 2


def test_a_merge_names_its_conflicts_and_ends_with_1_while_one_is_open(ctl: Ctl, branched: None) -> None:
    rehearsed = ctl("branch", "merge", "what/if", "--dry-run")
    assert (rehearsed.code, "a dry run" in rehearsed.out) == (1, True)
    assert ctl("show", "Eve").code == 1
    told = ctl("branch", "merge", "what/if")
    assert told.code == 1
    for text in (
        "1 created, 1 updated, 1 deleted",
        "1 added",
        "1 open",
        "property:age",
        "base: 36",
        "ours: 38",
        "theirs: 37",
    ):
        assert text in told.out, text
    assert ctl("show", "Eve").code == 0
    settled = ctl("branch", "merge", "what/if", "--strategy", "theirs", "--json")
    assert (settled.code, settled.json["settled"]) == (0, 1)
    assert ctl("show", "Ada", "--json").json["entities"][0]["properties"] == {"age": 37}
    again = ctl("branch", "merge", "what/if")
    assert (again.code, "was new" in again.out) == (0, True)


def test_switching_tells_a_shell_where_to_work(ctl: Ctl, branched: None) -> None:
    told = ctl("branch", "switch", "what/if")
    assert (told.code, told.out) == (0, "export ENHANCED_MEMORY_SPACE=what/if\n")
    odd = "a b'c"
    ctl("branch", "create", odd)
    assert ctl("branch", "switch", odd).out == "export ENHANCED_MEMORY_SPACE='a b'\"'\"'c'\n"
    assert ctl("branch", "switch", "nowhere").code == 4


def test_a_discarded_branch_can_be_brought_back(ctl: Ctl, branched: None) -> None:
    told = ctl("branch", "discard", "what/if")
    assert (told.code, "spaces create what/if --parent default" in told.out) == (0, True)
    assert "None." in ctl("branch").out
    assert ctl("branch", "list", "--discarded", "--json").json["branches"][0]["discarded"]
    assert ctl("spaces", "create", "what/if", "--parent", "default").code == 0
    assert ctl("--space", "what/if", "show", "Eve").code == 0


def test_a_branch_of_one_entity_or_of_the_past(ctl: Ctl, branched: None) -> None:
    made = ctl("branch", "create", "ada", "--entity", "Ada", "--at", "1", "--json").json
    assert (made["entity"], made["entity_name"], made["pinned_at"]) == (1, "Ada", 1)
    assert ctl("--space", "ada", "add", "Bob", "--type", "person").code == 4
    assert "#1 Ada" in ctl("branch").out
    assert ctl("branch", "create", "later", "--at", "999").code == 4
    assert ctl("branch", "create", "of", "--parent", "what/if", "--json").json["parent"] == "what/if"


@pytest.mark.parametrize(
    "words",
    [("create",), ("switch",), ("discard",), ("list", "x"), ("nonsense", "x"), ("merge", "x", "--strategy", "guess")],
    ids=" ".join,
)
def test_what_makes_no_sense_is_a_usage_error(ctl: Ctl, words: tuple[str, ...]) -> None:
    assert ctl("branch", *words).code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("diff", "default"),
        ("merge", "default"),
        ("merge", "x"),
        ("discard", "default"),
        ("create", "default"),
        ("create", "auto"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused(ctl: Ctl, words: tuple[str, ...]) -> None:
    assert ctl("branch", *words).code == 4
