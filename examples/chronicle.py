"""A story with Chronicle Weaver's classes: a conversation, a character, a prop, and what bears on a question.
Run it: `python examples/chronicle.py`.
"""

from enhanced_memory.client.adapters.chronicle import MemoryManager


def main() -> None:
    """The same calls as before; the store is the one that the settings name."""
    manager = MemoryManager()

    number, talk = manager.start_new_conversation("The lighthouse")
    talk.add_user_message("Who keeps the lamp?")
    talk.add_assistant_message("Mara does. She found the brass key.", agent_name="narrator")
    print("window:", talk.get_context_messages())

    manager.save_character_state({"name": "Mara", "conversation_id": number, "current_mood": "calm"})
    key = manager.save_prop_item({"name": "brass key", "category": "tool", "description": "opens the lamp room"})
    manager.persistent_memory.increment_prop_usage(key)

    context = manager.get_relevant_context("What does Mara do with the brass key?", number)
    print("characters:", [one["name"] for one in context["characters"]])
    print("props:", [(one["name"], one["usage_count"]) for one in context["props"]])

    talk.update_conversation_summary("Mara keeps the lamp and has the brass key.")
    manager.archive_conversation(number)
    print("found again:", [one["title"] for one in manager.persistent_memory.search_conversations("brass key")])
    manager.close()


if __name__ == "__main__":
    main()
