"""What two statements, and two entities, are to each other. Pure: no store, and where nothing else is said no model."""

import math
from collections.abc import Sequence

import pytest

from enhanced_memory.daemon.conflicts.comparing import LEXICAL, compare
from enhanced_memory.daemon.conflicts.entities import MOST_TOLD, Told, judge, judge_alone, overlap
from enhanced_memory.daemon.conflicts.meaning import static_meaning
from enhanced_memory.daemon.conflicts.names import name_key
from enhanced_memory.daemon.conflicts.statements import LONGEST, plain, read


def kind(older: str, newer: str, name: str = "Ada") -> str | None:
    found = compare(read(older, name), read(newer, name), static_meaning())
    return found.kind if found else None


def types(
    one: Sequence[str], other: Sequence[str], names: tuple[str, str] = ("Ada", "Ada"), **more: float
) -> list[str]:
    found = judge(Told(names[0], "person", one), Told(names[1], "person", other), **more, meaning=static_meaning())
    return [each.type for each in found]


# Names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada Lovelace", "ada lovelace"),
        ("kick-off", "Kick Off"),
        ("São Paulo", "Sao Paulo"),
        ("Günther Weiß", "Gunther Weiss"),
        ("Dr. Ada Lovelace", "Ada Lovelace"),
        ("Globex Corporation", "Globex Corp."),
    ],
)
def test_a_name_written_otherwise_is_the_same_name(one: str, other: str) -> None:
    assert name_key(one) == name_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("Jan Meyer", "Jon Meyer"), ("web-01", "web-02"), ("Anna Klein", "Anna Kleine"), ("K5", "K7")]
)
def test_one_letter_or_digit_makes_another_name(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


def test_a_name_of_signs_alone_is_no_name() -> None:
    assert name_key("!!! ???") == ""


# Statements


def test_case_accents_and_punctuation_say_nothing_and_numbers_say_all() -> None:
    assert plain("  It's  Café, NO. 5! ") == plain("it s cafe no 5")
    assert plain("1,200 units") == plain("1200 units")
    assert plain("version 1.2") != plain("version 12")
    assert plain("-5 degrees") != plain("5 degrees")
    assert plain("a > b") != plain("a < b")


def test_a_text_without_a_word_says_nothing() -> None:
    assert read("").words == ()
    assert read("... !!! ???").words == ()
    assert kind("...", "is tall") is None


def test_a_document_is_compared_by_its_beginning_and_known_again_whole() -> None:
    long = "word " * 200_000
    assert len(read(long).text) <= LONGEST
    assert kind(long, long) == "duplicate"
    assert compare(read(long + "a"), read(long + "b")) is None or kind(long + "a", long + "b") == "duplicate"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("The release needs the approval of the owner", "Release needs approval of owner"),
        ("Has a peanut allergy", "Is allergic to peanuts"),
        ("The deadline is 15 May", "Deadline: 15 May"),
        ("Has two kids", "Has 2 children"),
        ("Does not like meetings", "Dislikes meetings"),
        ("Runs with 16 GB of RAM", "Runs with 16GB RAM"),
    ],
)
def test_the_same_in_other_words_is_a_duplicate(older: str, newer: str) -> None:
    assert kind(older, newer) == "duplicate"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("Is vegan", "Is not vegan"),
        ("Can swim", "Can't swim"),
        ("Always works at night", "Never works at night"),
        ("Likes coffee", "Hates coffee"),
        ("Caching is enabled", "Caching is disabled"),
        ("Debug mode is on", "Debug mode is off"),
        ("The branch is protected", "The branch is unprotected"),
        ("Listens on port 80", "Listens on port 443"),
        ("Was born in 1984", "Was born in 1989"),
        ("The meeting is on Monday", "The meeting is on Friday"),
        ("The release is in May", "The release is in June"),
        ("Lives in Prague", "Lives in Vienna"),
        ("Her manager is Hanna", "Her manager is Omar"),
        ("Has two children", "Has no children"),
        ("Happens only on Windows", "Happens only on Linux"),
        ("Felix is a cat", "Felix is a dog"),
    ],
)
def test_what_cannot_both_be_true_is_a_contradiction(older: str, newer: str) -> None:
    assert kind(older, newer) == "contradiction"
    assert kind(newer, older) == "contradiction"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("Speaks Czech", "Speaks German"),
        ("Likes tea", "Likes coffee"),
        ("Has a dog called Rex", "Has a cat called Mia"),
        ("Visited Japan in 2019", "Visited Peru in 2022"),
        ("The first disk has 500 GB", "The second disk has 2000 GB"),
        ("The connect timeout is 5 seconds", "The read timeout is 30 seconds"),
        ("The backend is written in Go", "The frontend is written in Python"),
        ("Sales in March were 1,200 units", "Sales in April were 1,450 units"),
        ("Does not eat meat", "Does not drink alcohol"),
        ("Is allergic to nuts", "Is not allergic to cats"),
        ("Worked at Sony from 2005 to 2010", "Worked at Hooli from 2011 to 2019"),
        ("The disk is full", "The disk is encrypted"),
    ],
)
def test_two_facts_that_go_together_are_no_conflict(older: str, newer: str) -> None:
    assert kind(older, newer) is None
    assert kind(newer, older) is None


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("Works at Globex", "Left Globex and now works at Initech"),
        ("Lives in Prague", "Moved to Vienna in March"),
        ("Smokes ten cigarettes a day", "No longer smokes"),
        ("The price is 39 euros", "The price was raised to 45 euros"),
        ("Is an assistant professor", "Became a full professor"),
    ],
)
def test_a_sentence_that_tells_of_a_change_brings_the_older_one_up_to_date(older: str, newer: str) -> None:
    assert kind(older, newer) == "update"


def test_no_reason_repeats_what_was_said() -> None:
    """Reasons are kept with the conflict, and what is purged must not live on in them."""
    for older, newer in (("Lives in Prague", "Lives in Vienna"), ("Is vegan", "Is not vegan"), ("Is 3", "Is 4")):
        found = compare(read(older, "Ada"), read(newer, "Ada"), static_meaning())
        assert found is None or not {"prague", "vienna", "vegan", "3", "4"} & set(found.reason.lower().split())


def test_letters_alone_tell_much_where_there_is_no_model() -> None:
    def said(older: str, newer: str) -> str | None:
        found = compare(read(older, "Ada"), read(newer, "Ada"), LEXICAL)
        return found.kind if found else None

    assert said("Listens on port 80", "Listens on port 443") == "contradiction"
    assert said("Is vegan", "Is not vegan") == "contradiction"
    assert said("Works as a nurse in Brno.", "works as a nurse in Brno") == "duplicate"


@pytest.mark.parametrize(
    "text", ["\u202eevil", "🎉🎉", "(((((", "O(n log n)" * 50, "not not not not", "a" * 5000, "١٢٣ عربي", "日本語です"]
)
def test_any_text_can_be_read_and_compared(text: str) -> None:
    for other in ("Lives in Prague", text, text + " not"):
        found = judge(Told("x", "t", [other]), Told("x", "t", [text]), meaning=static_meaning())
        assert all(math.isfinite(one.confidence) and 0 <= one.confidence <= 1 for one in found)


# Entities, in the guide's terms


def test_overlap_is_what_is_shared_of_the_larger() -> None:
    assert overlap(["a", "b", "c"], ["C.", "b", "x", "y"]) == (2, 4)
    assert overlap([], []) == (0, 0)
    assert overlap(["a", "a"], ["a"]) == (1, 1)


LETTERS = [
    f"Fact number {word}"
    for word in ("alpha", "bravo", "carol", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet")
]


def test_both_comparisons_are_strict() -> None:
    names = ("One", "Two")
    assert types(LETTERS, LETTERS, names) == ["duplicate"]
    assert types(LETTERS, LETTERS[:9], names, threshold=0.9) == ["update"]
    assert types(LETTERS, LETTERS[:9], names, threshold=0.89) == ["duplicate"]
    assert types(LETTERS, LETTERS[:3], names) == []
    assert types(LETTERS, LETTERS[:4], names) == ["update"]


def test_the_confidence_of_an_overlap_is_the_overlap_and_says_how_it_came_about() -> None:
    [found] = judge(Told("One", "t", LETTERS), Told("Two", "t", LETTERS[:9]))
    assert (found.type, found.confidence, found.action) == ("duplicate", 0.9, "merge")
    assert found.reason == "9 of 10 observations are shared"


def test_another_type_is_another_thing() -> None:
    assert judge(Told("A", "person", ["x y z"]), Told("A", "company", ["x y z"])) == []
    assert judge(Told("A", "Person", ["x y z"]), Told("A", "person", ["x y z"])) != []


def test_a_contradiction_comes_before_the_likeness_around_it() -> None:
    one, other = [*LETTERS, "Listens on port 80"], [*LETTERS, "Listens on port 443"]
    assert types(one, other) == ["contradiction", "duplicate"]


def test_what_two_people_say_of_themselves_is_no_contradiction() -> None:
    assert types(["Lives in Ostrava"], ["Lives in Warsaw"], ("Jan Novak", "Jan Nowak")) == []


def test_what_only_one_thing_can_be_is_a_contradiction_under_two_names() -> None:
    said = (["Ankara is the capital of Turkey"], ["Istanbul is the capital of Turkey"])
    assert types(*said, ("Ankara", "Istanbul")) == ["contradiction"]
    assert types(said[0], ["Athens is the capital of Greece"], ("Ankara", "Athens")) == []


def test_an_entity_that_says_nothing_conflicts_with_nothing() -> None:
    assert types([], []) == []
    assert types(["Lives in Prague"], []) == []


def test_an_entity_can_contradict_itself_and_what_came_later_is_the_newer() -> None:
    told = Told("Ada", "person", ["Lives in Prague", "Speaks Czech", "Speaks German", "Lives in Vienna"])
    [found] = judge_alone(told, static_meaning())
    assert (found.type, found.one, found.other) == ("contradiction", 0, 3)
    assert judge_alone(Told("Ada", "person", ["Likes tea", "Likes coffee"]), static_meaning()) == []


def test_of_one_entity_a_few_conflicts_are_told_the_surest_first() -> None:
    told = Told("Ada", "person", [f"Listens on port {number}" for number in range(50)])
    found = judge_alone(told, static_meaning())
    assert len(found) == MOST_TOLD
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)
