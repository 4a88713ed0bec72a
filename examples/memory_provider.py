"""Records by memory type, without any framework: store, find, change, delete. Run it: `python examples/memory_provider.py`."""

from enhanced_memory.client.adapters.provider import MemoryProvider


def main() -> None:
    """An embedding is of whatever model you use; all of one model have one length."""
    with MemoryProvider(model="demo-provider") as provider:
        tea = provider.store(
            {"name": "tea", "content": "Ada likes green tea", "memory_id": "ada", "embedding": [1.0, 0.0]},
            "long_term_memory",
        )
        provider.store(
            {"name": "cat", "content": "the cat sleeps", "memory_id": "ada", "embedding": [0.0, 1.0]},
            "long_term_memory",
        )

        nearest = provider.retrieve_by_query({"embedding": [0.9, 0.2], "memory_id": "ada"}, "long_term_memory", limit=1)
        print("nearest:", nearest[0]["name"])
        print("by words:", [one["name"] for one in provider.retrieve_by_query("sleeps", "long_term_memory")])

        provider.update(tea, {"content": "Ada likes black tea"}, "long_term_memory")
        print("changed:", (provider.retrieve_by_id(tea, "long_term_memory") or {})["content"])
        print("deleted:", provider.delete(tea, "long_term_memory"))
        print("left:", [one["name"] for one in provider.list_all("long_term_memory")])


if __name__ == "__main__":
    main()
