"""A context is packed within its budget, each thing once, every part with room of its own."""

from datetime import UTC, datetime
from typing import Any

import pytest

from enhanced_memory.client.operations.search import ContextItem, Part
from enhanced_memory.client.values import Origin
from enhanced_memory.daemon import tokens
from enhanced_memory.daemon.packing import SHOWN, line, packed
from enhanced_memory.daemon.tokens import ESTIMATE, estimated

WHEN = datetime(2024, 2, 28, tzinfo=UTC)


def items(part: Part, count: int, text: str = "some words to tell") -> list[ContextItem]:
    return [ContextItem(part, f"{text} {part} {number}", 0, entity=number, name="Ada") for number in range(count)]


@pytest.mark.parametrize("budget", [10, 30, 50, 100, 300, 1000, 5000])
def test_the_text_fits_the_budget_in_the_order_of_reading(budget: int) -> None:
    parts: dict[Part, list[ContextItem]] = {part: items(part, 40) for part in SHOWN}
    chosen, text, left_off = packed(parts, budget, estimated)
    assert estimated(text) <= budget
    assert len(chosen) + left_off == 160
    order = [SHOWN.index(item.part) for item in chosen]
    assert order == sorted(order)
    if budget >= 300:
        assert {item.part for item in chosen} == set(SHOWN)


def test_what_was_said_last_stands_last() -> None:
    chosen, _, _ = packed({"recent": items("recent", 3)}, 1000, estimated)
    assert [item.entity for item in chosen] == [2, 1, 0]


def test_the_most_wanted_are_the_last_to_go() -> None:
    chosen, _, left_off = packed({"relevant": items("relevant", 50)}, 100, estimated)
    assert left_off > 0
    assert [item.entity for item in chosen] == list(range(len(chosen)))


def test_the_same_words_are_told_once() -> None:
    twice = [ContextItem("pinned", "Tea  is hot", 0, name="x"), ContextItem("pinned", "tea is HOT", 0, name="x")]
    chosen, _, left_off = packed({"pinned": twice}, 100, estimated)
    assert (len(chosen), left_off) == (1, 0)


def test_a_line_says_whose_what_when_and_by_whom() -> None:
    said = ContextItem("relevant", "likes\ntea", 0, name="Ada", at=WHEN, origin=Origin(agent="planner"))
    assert line(said) == "- Ada: likes tea (2024-02-28, planner)"
    heard = ContextItem("relevant", "hello", 0, name="talk", message=3, speaker="Bob", at=WHEN, origin=Origin())
    assert line(heard) == "- Bob: hello (2024-02-28, talk)"
    assert line(ContextItem("state", "mood = calm", 0, name="Ada")) == "- Ada: mood = calm"


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("abcd", 1), ("abcde", 2), ("日本語", 3), ("hi 日本", 3), ("éé", 1), ("🙂", 1)]
)
def test_tokens_are_estimated_by_script(text: str, count: int) -> None:
    assert estimated(text) == count


def test_without_its_data_tiktoken_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """It would fetch it from the network."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tokens, "find_spec", lambda name: object())
    tokens.counter.cache_clear()
    assert tokens.counter() == (estimated, ESTIMATE)
    tokens.counter.cache_clear()


def test_tiktoken_counts_where_it_is_there_with_its_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    class Encoding:
        def encode(self, text: str, disallowed_special: tuple[str, ...]) -> list[str]:
            return text.split()

    class Module:
        @staticmethod
        def get_encoding(name: str) -> Encoding:
            return Encoding()

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790").touch()
    monkeypatch.setattr(tokens, "find_spec", lambda name: object())
    monkeypatch.setattr(tokens, "import_module", lambda name: Module)
    tokens.counter.cache_clear()
    count, by = tokens.counter()
    assert (count("three words here"), by) == (3, "tiktoken o200k_base")
    tokens.counter.cache_clear()
