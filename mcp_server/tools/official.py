"""The nine tools of the official memory server: its names, arguments, answers and rules, in our words and its order.

What they do better hurts no client of it: the search ranks, nothing acknowledged is lost, every change is a version.
"""

from dataclasses import replace

from enhanced_memory.mcp_server.tools import contract, reading, shapes, writing
from enhanced_memory.mcp_server.tools.declaration import Tool

__all__ = ["GENEROUS", "OFFICIAL"]

_CREATE_ENTITIES = Tool(
    name="create_entities",
    title="Create entities",
    description="Remember new entities (people, projects, things) with observations. "
    "A name that exists is left as it is; use add_observations for it.",
    takes=contract.Entities,
    gives=contract.Entities,
    ask=writing.create_entities,
    shows=shapes.items("entities"),
)

OFFICIAL = (
    _CREATE_ENTITIES,
    Tool(
        name="create_relations",
        title="Create relations",
        description="Relate entities by name, in active voice: Ada works_at Acme. The ends need not exist yet.",
        takes=contract.Relations,
        gives=contract.Relations,
        ask=writing.create_relations,
        shows=shapes.items("relations"),
    ),
    Tool(
        name="add_observations",
        title="Add observations",
        description="Add observations to entities that exist, all or nothing. Text already there is not added twice.",
        takes=contract.AddArguments,
        gives=contract.AddAnswer,
        ask=writing.add_observations,
        shows=shapes.items("results"),
    ),
    Tool(
        name="delete_entities",
        title="Delete entities",
        description="Delete (forget) entities and the relations that touch them. Unknown names are passed over.",
        takes=contract.DeleteEntitiesArguments,
        gives=contract.Done,
        ask=writing.delete_entities,
        shows=shapes.message,
        more=frozenset({"confirm"}),
        question=writing.ask_before_deleting,
        destroys=True,
        repeatable=True,
    ),
    Tool(
        name="delete_observations",
        title="Delete observations",
        description="Delete (forget) observations of entities by their exact text.",
        takes=contract.DeleteObservationsArguments,
        gives=contract.Done,
        ask=writing.delete_observations,
        shows=shapes.message,
        destroys=True,
        repeatable=True,
    ),
    Tool(
        name="delete_relations",
        title="Delete relations",
        description="Delete relations by their exact from, to and relationType.",
        takes=contract.Relations,
        gives=contract.Done,
        ask=writing.delete_relations,
        shows=shapes.message,
        destroys=True,
        repeatable=True,
    ),
    Tool(
        name="read_graph",
        title="Read graph",
        description="Read everything remembered: all entities and relations. Prefer search_nodes; this can be long.",
        takes=contract.GraphArguments,
        gives=contract.Shown,
        more=frozenset({"limit", "cursor", "detail", "at", "valid_at"}),
        ask=reading.read_graph,
        reads=True,
        repeatable=True,
    ),
    Tool(
        name="search_nodes",
        title="Search nodes",
        description="Search memory (recall): entities by words in names, types and observations, best first, "
        "with their relations.",
        takes=contract.Query,
        gives=contract.Shown,
        more=frozenset({"limit", "cursor", "detail", "at", "valid_at"}),
        ask=reading.search_nodes,
        reads=True,
        repeatable=True,
    ),
    Tool(
        name="open_nodes",
        title="Open nodes",
        description="Open entities by exact name, with their relations. Unknown names are passed over.",
        takes=contract.Names,
        gives=contract.Shown,
        more=frozenset({"cursor", "detail", "at", "valid_at"}),
        ask=reading.open_nodes,
        reads=True,
        repeatable=True,
    ),
)
"""In the official order, with the official rule for names that exist."""

GENEROUS = (
    replace(
        _CREATE_ENTITIES,
        description="Remember entities (people, projects, things) with observations. "
        "One whose name exists gains the observations that are new; each answer says what happened.",
    ),
    *OFFICIAL[1:],
)
"""The same with the rule that loses nothing of what is said about a name that exists."""
