"""The guide's memory client: store, find, ask how it stands. Run it: `python examples/guide.py`."""

import asyncio

from enhanced_memory.client.adapters.enhanced import MemoryClient


async def main() -> None:
    """Each answer is a dictionary that says whether it went well."""
    client = MemoryClient()

    told = await client.create_entities(
        [{"name": "Ada", "entityType": "person", "observations": ["prefers tea", "writes programs"]}]
    )
    print("stored:", [(one["name"], one["action"]) for one in told["results"]])

    found = await client.search_nodes("tea", limit=5)
    print("found:", [one["name"] for one in found["results"]])

    facts = await client.auto_extract_facts("I always work at night.\nWhat do you use?", session_id="example")
    print("facts:", facts["facts"][0]["observations"])

    conflicts = await client.detect_conflicts(
        {"name": "Ada again", "entityType": "person", "observations": ["prefers tea", "writes programs"]}
    )
    print("conflicts:", [(one["existing_entity"], one["conflict_type"]) for one in conflicts["conflicts"]])
    print("all is well:", (await client.get_memory_status())["success"])
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
