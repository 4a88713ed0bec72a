"""An agent of MemoRizz that remembers in the daemon (extra `memorizz`). Run it: `python examples/memorizz_agent.py`.

The model is a stub, so that nothing is asked of the network; give the agent a real one, and it is an agent.
"""

from typing import Any

from memorizz.memagent.core import MemAgent

from enhanced_memory.client.adapters.memorizz import EnhancedMemoryProvider


class Echo:
    """Says how many messages it was sent."""

    model = "echo"
    client = None

    def generate(
        self, messages: list[dict[str, Any]], tools: Any = None, tool_choice: str = "auto", **more: Any
    ) -> str:
        """An answer to a conversation."""
        said = [one["content"] for one in messages if one["role"] == "user"]
        return f"I remember {len(said)} of your lines."

    def get_config(self) -> dict[str, Any]:
        """What is saved of the model."""
        return {"provider": "echo", "model": "echo"}


def main() -> None:
    """Saved, loaded elsewhere, and nothing is forgotten."""
    provider = EnhancedMemoryProvider()
    agent = MemAgent(model=Echo(), memory_provider=provider, instruction="Be brief.", memory_ids=["example"])
    agent.save()
    agent.run("I like green tea", memory_id="example")

    again = MemAgent.load(agent.agent_id, memory_provider=EnhancedMemoryProvider(), model=Echo())
    again.run("What do I like?", memory_id="example")
    history = provider.retrieve_conversation_history_ordered_by_timestamp("example")
    print("history:", [(one["role"], one["content"]) for one in history if one["role"] == "user"])
    print("forgotten:", provider.delete_memagent(agent.agent_id, cascade=True))
    provider.close()


if __name__ == "__main__":
    main()
