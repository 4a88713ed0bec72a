"""The Memory Orchestrator's tables as calls: a session, memories, a state, and who looked at what. Run it: `python examples/orchestrator.py`."""

from enhanced_memory.client.adapters.orchestrator import MemoryOrchestrator


def main() -> None:
    """Ids are the caller's own; the store is the one that the settings name."""
    with MemoryOrchestrator() as orchestrator:
        orchestrator.create_session("evening", "ada", "conversation", {"device": "kitchen"})
        orchestrator.create_memory(
            {"text": "Ada wants green tea at nine", "drink": {"kind": "tea", "hot": True}},
            "user_preference",
            memory_id="tea-at-nine",
            session_id="evening",
            source_agent="listener",
            priority=8,
            tags=["drinks"],
            embeddings={"demo-model": [0.9, 0.1, 0.0]},
        )
        orchestrator.create_memory(
            {"text": "The lamp in the hall is on"}, "context", memory_id="lamp", session_id="evening"
        )
        orchestrator.add_relationship("lamp", "tea-at-nine", "follow-up")

        print("words:", [one["memory_id"] for one in orchestrator.search("green tea", tags=["drinks"])])
        print(
            "part of a document:", [one["memory_id"] for one in orchestrator.search(content={"drink": {"hot": True}})]
        )
        print("nearest:", [one["memory_id"] for one in orchestrator.search(embedding=[1, 0, 0], model="demo-model")])

        orchestrator.save_agent_state("planner", {"step": 2}, "evening")
        print("state:", (orchestrator.get_agent_state("planner", "evening") or {})["state_data"])

        print("deleted with its session:", orchestrator.delete_session("evening"))
        print("who did what:", [one["operation"] for one in orchestrator.access_log("tea-at-nine")])


if __name__ == "__main__":
    main()
