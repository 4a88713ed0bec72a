"""A character that acts tick by tick, with TinyWorld's classes. Run it: `python examples/tinyworld.py`."""

from enhanced_memory.client.adapters.tinyworld import EnhancedMemoryManager, MemoryConfig, MemoryRepository


def main() -> None:
    """What is older than the newest twenty is archived: not recalled, and not lost."""
    repository = MemoryRepository(config=MemoryConfig(max_stored_messages_per_character=20))
    for tick in range(1, 31):
        repository.save_message(
            "socrates_001", "Socrates", f"At tick {tick} I asked what virtue is.", tick, "dialogue", importance=6.0
        )
    repository.update_character_state("socrates_001", "Socrates", 30, 0.0, goals={"know": "thyself"})

    print("last:", repository.get_recent_messages("socrates_001", 2)[-1]["content"])
    print("kept:", len(repository.get_messages_by_tick_range("socrates_001", 1, 30)))

    context = EnhancedMemoryManager("socrates_001").get_context_for_prompt("What did you ask at tick 27?")
    print("recent:", len(context["recent_context"]), "relevant:", len(context["relevant_memories"]))
    print("goals:", context["character_state"]["goals"])


if __name__ == "__main__":
    main()
