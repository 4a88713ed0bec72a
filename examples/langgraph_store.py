"""LangChain's history and LangGraph's store in the daemon (extra `langchain`). Run it: `python examples/langgraph_store.py`."""

import asyncio

from langchain_core.messages import AIMessage, HumanMessage

from enhanced_memory.client.adapters.langchain import EnhancedChatMessageHistory, EnhancedStore


async def main() -> None:
    """Both faces of both; a graph takes the store with `compile(store=EnhancedStore())`."""
    history = EnhancedChatMessageHistory("langchain example")
    history.add_messages([HumanMessage("I like green tea"), AIMessage("Noted.")])
    print("history:", [one.content for one in await history.aget_messages()])
    history.clear()
    await history.aclose()

    store = EnhancedStore()
    store.put(("users", "ada"), "drink", {"text": "likes green tea", "sure": True})
    await store.aput(("users", "ada"), "pet", {"text": "has a cat"})
    print("found:", [one.key for one in await store.asearch(("users",), query="tea")])
    print("filtered:", [one.key for one in store.search(("users",), filter={"sure": True})])
    print("namespaces:", store.list_namespaces(prefix=("users",)))
    for key in ("drink", "pet"):
        store.delete(("users", "ada"), key)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main())
