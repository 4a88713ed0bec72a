"""TinyWorld's acceptance list, one test for each line, and the weaknesses that are not inherited."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.tinyworld import (
    ConsciousWorkflow,
    DatabaseConfig,
    EnhancedMemoryManager,
    MemoryConfig,
    MemoryRepository,
    TinyWorldVectorStore,
    get_db,
)
from enhanced_memory.client.adapters.tinyworld_models import CharacterState, Engine, Message, Session
from enhanced_memory.client.errors import Invalid, TooLarge

MESSAGE = [
    "id", "character_id", "character_name", "content", "tick_count", "timestamp", "message_type", "importance", "metadata",
]  # fmt: skip
STATE = ["character_id", "character_name", "current_tick", "last_decision_time", "personality", "beliefs", "goals"]


@pytest.fixture
def repository(apart: Memory) -> MemoryRepository:
    """A repository on a space of its own that keeps five messages for each character."""
    return MemoryRepository(apart, MemoryConfig(max_stored_messages_per_character=5))


def contents(rows: list[dict[str, Any]]) -> list[str]:
    return [row["content"] for row in rows]


# The acceptance list


def test_saving_returns_the_new_id_and_the_message_is_the_last_of_the_recent(repository: MemoryRepository) -> None:
    first = repository.save_message("socrates_001", "Socrates", "I know nothing.", 1)
    second = repository.save_message("socrates_001", "Socrates", "Nothing at all.", 2, metadata={"place": "agora"})
    rows = repository.get_recent_messages("socrates_001")
    assert [row["id"] for row in rows] == [first, second]
    assert list(rows[-1]) == MESSAGE
    assert rows[-1] == rows[-1] | {
        "character_id": "socrates_001", "character_name": "Socrates", "content": "Nothing at all.", "tick_count": 2,
        "message_type": "reflection", "importance": 5.0, "metadata": {"place": "agora"},
    }  # fmt: skip
    assert rows[0]["metadata"] == {}


def test_the_recent_list_is_limited_oldest_first_and_of_one_character(apart: Memory) -> None:
    repository = MemoryRepository(apart, MemoryConfig(max_recent_messages=3))
    for tick in range(5):
        repository.save_message("a", "Ada", f"a{tick}", tick)
        repository.save_message("b", "Bob", f"b{tick}", tick)
    assert contents(repository.get_recent_messages("a", 2)) == ["a3", "a4"]
    assert contents(repository.get_recent_messages("a")) == contents(repository.get_recent_messages("a", 0))
    assert contents(repository.get_recent_messages("b")) == ["b2", "b3", "b4"]
    assert repository.get_recent_messages("nobody") == []


def test_by_type_is_newest_first_and_a_tick_range_is_inclusive_and_ascending(apart: Memory) -> None:
    repository = MemoryRepository(apart)
    for tick, kind in enumerate(("action", "dialogue", "action", None, "action")):
        repository.save_message("a", "Ada", f"line {tick}", tick, kind)
    assert contents(repository.get_messages_by_type("a", "action")) == ["line 4", "line 2", "line 0"]
    assert contents(repository.get_messages_by_type("a", "action", 1)) == ["line 4"]
    assert contents(repository.get_messages_by_tick_range("a", 1, 3)) == ["line 1", "line 2", "line 3"]
    assert repository.get_messages_by_tick_range("a", 9, 1) == []
    assert repository.get_messages_by_tick_range("a", 3, 3)[0]["message_type"] is None


def test_after_one_more_than_the_limit_exactly_the_newest_remain(repository: MemoryRepository, apart: Memory) -> None:
    repository.save_message("b", "Bob", "untouched", 0)
    for tick in range(6):
        repository.save_message("a", "Ada", f"line {tick}", tick)
    expected = [f"line {tick}" for tick in range(1, 6)]
    assert contents(repository.get_recent_messages("a", 100)) == expected
    assert contents(repository.get_messages_by_tick_range("a", 0, 100)) == expected
    assert contents(repository.get_messages_by_type("a", "reflection", 100)) == expected[::-1]
    assert contents(repository.get_recent_messages("b", 100)) == ["untouched"]
    (character,) = apart.open_nodes(["a"], scope="tinyworld").entities
    assert apart.recent_messages(character.id, 100, archived=True).messages[0].content == "line 0", "archived, not lost"


def test_a_state_is_one_for_each_character_and_none_for_one_that_is_absent(
    repository: MemoryRepository, apart: Memory
) -> None:
    assert repository.get_character_state("a") is None
    repository.save_message("a", "Ada", "hello", 1)
    assert repository.get_character_state("a") is None, "who has spoken has no state yet"
    with pytest.raises(TypeError, match="mood"):
        repository.update_character_state("a", "Ada", 1, 10.5, mood="calm")
    repository.update_character_state("a", "Ada", 1, 10.5, personality={"calm": 1}, goals=["know"])
    repository.update_character_state("a", "Ada Lovelace", 2, 11.5, beliefs={"tea": "good"}, mood="passed over")
    state = repository.get_character_state("a")
    assert state is not None
    assert list(state) == STATE
    assert state == {
        "character_id": "a", "character_name": "Ada Lovelace", "current_tick": 2, "last_decision_time": 11.5,
        "personality": {"calm": 1}, "beliefs": {"tea": "good"}, "goals": ["know"],
    }  # fmt: skip
    assert len(apart.list_entities(types=["character"]).entities) == 1
    assert contents(repository.get_recent_messages("a")) == ["hello"]


def test_the_context_has_its_three_parts_also_without_a_situation(apart: Memory) -> None:
    manager = EnhancedMemoryManager("a", apart)
    assert manager.get_context_for_prompt() == {"recent_context": [], "relevant_memories": [], "character_state": None}
    for tick in range(12):
        manager.memory_repo.save_message("a", "Ada", f"The lighthouse lamp {tick} is lit.", tick)
    manager.memory_repo.save_message("b", "Bob", "The lighthouse lamp is a secret of mine.", 1)
    manager.memory_repo.update_character_state("a", "Ada", 11, 1.0)
    context = manager.get_context_for_prompt("Who lit the lighthouse lamp 3?")
    assert list(context) == ["recent_context", "relevant_memories", "character_state"]
    assert contents(context["recent_context"]) == [f"The lighthouse lamp {tick} is lit." for tick in range(2, 12)]
    assert len(context["relevant_memories"]) == 5
    assert "The lighthouse lamp 3 is lit." in context["relevant_memories"]
    assert not any("secret" in one for one in context["relevant_memories"]), "nobody recalls another's memories"
    assert context["character_state"]["current_tick"] == 11


async def test_a_failing_vector_store_never_breaks_a_step(apart: Memory) -> None:
    flow = ConsciousWorkflow("a", {"name": "Ada", "personality": "calm", "goals": ["know"]}, apart)
    state = {"character_id": "a", "character_message": "I think.", "tick_count": 4, "other": 1}
    assert await flow.save_memory(state) is state
    assert flow._get_recent_memories() == ["I think."]
    saved = flow.memory_repo.get_character_state("a")
    assert saved is not None
    assert (saved["current_tick"], saved["goals"], saved["beliefs"]) == (4, ["know"], {})

    class Broken(TinyWorldVectorStore):
        def add_memory(self, *_: Any, **__: Any) -> int:
            raise RuntimeError("the index burns")

    flow.vector_store = Broken(apart)
    later = state | {"character_message": "I still think.", "tick_count": 5}
    assert await flow.save_memory(later) is later
    assert flow._get_recent_memories() == ["I think.", "I still think."]
    assert await flow.save_memory({}) == {}


# What is not inherited


def test_a_message_and_its_meaning_are_one_thing(apart: Memory) -> None:
    repository, store = MemoryRepository(apart), TinyWorldVectorStore(apart, "a")
    number = repository.save_message("a", "Ada", "The harbour froze in January.", 1)
    assert store.add_memory("characters", "The harbour froze in January.", metadata={"message_id": number}) == number
    assert [one["id"] for one in store.similarity_search("frozen harbour")] == [number], "once, not twice"
    beside = store.add_memory("a", "Ships wait outside the harbour.", "tales", metadata={"place": "pier"})
    found = store.similarity_search("ships outside the harbour", 1, collection_name="tales")
    assert [(one["id"], one["content"], one["metadata"]) for one in found] == [
        (beside, "Ships wait outside the harbour.", {"place": "pier"})
    ]
    assert store.similarity_search("harbour", character_id="b") == []
    apart.delete_entities([apart.open_nodes(["a"], scope="tinyworld").entities[0].id])
    assert store.similarity_search("harbour") == []
    assert repository.save_message("a", "Ada", "I am back.", 1) > number
    assert contents(repository.get_recent_messages("a")) == ["I am back."]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"tick_count": 2}, Invalid),
        ({"importance": 10.5}, Invalid),
        ({"importance": -1.0}, Invalid),
        ({"metadata": {"what": object()}}, Invalid),
        ({"metadata": ["what"]}, Invalid),
        ({"metadata": {1: "what"}}, Invalid),
        ({"tick_count": None}, Invalid),
        ({"character_name": "n" * 1_000_000}, TooLarge),
        ({"content": "\0"}, Invalid),
    ],
    ids=["tick", "high", "low", "no json", "no map", "no text", "no tick", "name", "nul"],
)
def test_what_cannot_be_saved_is_refused_and_nothing_is_lost(
    repository: MemoryRepository, given: dict[str, Any], error: type[Exception]
) -> None:
    repository.save_message("a", "Ada", "first", 3)
    with pytest.raises(error):
        repository.save_message(
            **({"character_id": "a", "character_name": "Ada", "content": "second", "tick_count": 3} | given)
        )
    assert contents(repository.get_recent_messages("a")) == ["first"]


def test_settings_are_read_under_every_spelling() -> None:
    assert MemoryConfig.from_env({}) == MemoryConfig(10, 1000, 24, "tinyworld-memories")
    for name in ("MAX_STORED_MESSAGES", "MAX_STORED_MESSAGES_PER_CHARACTER"):
        assert MemoryConfig.from_env({name: "7"}).max_stored_messages_per_character == 7
    both = {"MAX_STORED_MESSAGES": "7", "MAX_STORED_MESSAGES_PER_CHARACTER": "8", "MAX_RECENT_MESSAGES": "3"}
    assert MemoryConfig.from_env(both) == MemoryConfig(3, 7)
    with pytest.raises(Invalid, match="MAX_RECENT_MESSAGES is 'many'"):
        MemoryConfig.from_env({"MAX_RECENT_MESSAGES": "many"})


def test_the_database_url_leaves_out_an_empty_password_and_escapes_another() -> None:
    assert DatabaseConfig.from_env({}).database_url == "postgresql://tinyworld_user@localhost:5432/tinyworld"
    given = {"DB_PASSWORD": "p@ss/word", "DB_HOST": "db", "DB_PORT": "1", "DB_ECHO": "TRUE", "DB_POOL_SIZE": "2"}
    config = DatabaseConfig.from_env(given)
    assert config.database_url == "postgresql://tinyworld_user:p%40ss%2Fword@db:1/tinyworld"
    assert (config.echo, config.pool_size, config.max_overflow) == (True, 2, 10)
    assert DatabaseConfig.from_env({"DB_ECHO": "1"}).echo is False


def test_a_lower_limit_holds_for_characters_that_were_there_before(apart: Memory) -> None:
    before = MemoryRepository(apart, MemoryConfig(max_stored_messages_per_character=9))
    for tick in range(9):
        before.save_message("a", "Ada", f"line {tick}", tick)
    after = MemoryRepository(apart, MemoryConfig(max_stored_messages_per_character=3))
    after.save_message("a", "Ada", "line 9", 9)
    assert contents(after.get_recent_messages("a", 100)) == ["line 7", "line 8", "line 9"]
    lower = MemoryRepository(apart, MemoryConfig(max_stored_messages_per_character=2))
    with get_db() as db:
        lower._cleanup_old_messages(db, "a")
    assert contents(lower.get_recent_messages("a", 100)) == ["line 8", "line 9"]


def test_the_script_and_the_tables_names_work_as_their_users_know_them(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`create`, a session's rows, `show-messages` oldest first, `drop` only after a yes."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "db_management.py"))["main"]
    with Memory() as memory:
        bound = Engine(memory)
        assert script(["create"], bound) == 0
        made = Session(bound)
        first = Message("socrates_001", "Socrates", "I know nothing.", 1, metadata={"mood": "calm"})
        made.add_all([first, Message("socrates_001", "Socrates", "Do you?", 2)])
        made.add(CharacterState("socrates_001", "Socrates", 2, 1.5, goals={"find": "truth"}))
        assert MemoryRepository(memory).get_recent_messages("socrates_001") == []
        made.commit()
        made.refresh(first)
        assert list(first.to_dict()) == MESSAGE
        (row, _) = MemoryRepository(memory).get_recent_messages("socrates_001")
        assert first.to_dict() == row
        assert (
            MemoryRepository(memory).get_character_state("socrates_001")
            == CharacterState("socrates_001", "Socrates", 2, 1.5, goals={"find": "truth"}).to_dict()
        )
        capsys.readouterr()
        assert script(["show-messages", "--limit", "5"], bound) == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.split("] ")[1] for line in said] == ["Socrates: I know nothing.", "Socrates: Do you?"]
        for answer, left in (("no", 2), ("YES", 0)):
            monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
            assert script(["drop"], bound) == 0
            assert len(MemoryRepository(memory).get_recent_messages("socrates_001")) == left
