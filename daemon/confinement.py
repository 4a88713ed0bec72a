"""What a connection may ask that is confined to spaces: what sees and changes the space it works in, and nothing else.

An operation that stands in neither list is refused; a test wants every one of them in one of the two.
"""

from enhanced_memory.client.errors import Denied
from enhanced_memory.client.operations.conflicts import ResolveConflict
from enhanced_memory.client.operations.service import Hello
from enhanced_memory.client.operations.spaces import Switch
from enhanced_memory.daemon.call import Call, Peer

__all__ = ["BEYOND", "WITHIN", "keep_within", "narrow"]

# fmt: off
WITHIN = frozenset((
    "create_entities", "add_observations", "update_entity", "rename_entity", "delete_entities", "restore_entities", "list_archived",
    "delete_observations", "purge_entities", "open_nodes", "list_entities", "tag", "untag", "pin", "confirm", "quarantine", "promote_to_tier",
    "create_relations", "delete_relations", "read_graph", "find_related", "find_path",
    "append_messages", "recent_messages", "messages_by", "get_window", "set_retention", "archive_messages", "keep_summary",
    "start_session", "end_session", "archive_session", "delete_session", "list_sessions",
    "search_nodes", "search_messages", "search_streams", "get_context", "memory_history", "memory_diff", "memory_revert", "graph_at",
    "memory_commit", "list_snapshots", "delete_snapshot", "journal", "undo", "redo",
    "save_skill", "list_skills", "auto_extract_facts", "store_facts", "summarize_entity", "store_summary",
    "detect_conflicts", "list_conflicts", "resolve_conflict",
    "hello", "ping", "get_memory_status", "subscribe", "unsubscribe", "list_spaces", "switch", "note_access",
))
"""These know nothing but the connection's space, or (the last line) tell a confined caller of its own spaces only."""

BEYOND = frozenset((
    "create_space", "update_space", "delete_space",
    "memory_branch", "list_branches", "diff_branch", "merge_branch", "discard_branch", "scan_conflicts",
    "autonomous_curation", "expire", "archive_entities", "vacuum",
    "health", "metrics", "backup", "verify", "reindex", "access_log", "export_data", "import_data",
))
"""These reach the whole store, files, or other spaces; or nobody has shown yet that they do not."""
# fmt: on


def narrow(peer: Peer, hello: Hello) -> frozenset[str]:
    """The spaces that a greeting confines the connection to. `Denied` where it works in another, or reads through to one.

    Rights are only ever narrowed: what was confined before stays so.
    """
    asked = frozenset(hello.behalf.spaces) if hello.behalf is not None else frozenset[str]()
    if not asked and not peer.confined:
        return asked
    allowed = asked & peer.confined if asked and peer.confined else asked or peer.confined
    if hello.space not in allowed or (hello.parent is not None and hello.parent not in allowed):
        raise _denied(f"this connection may not work in {hello.space!r}")
    return allowed


def keep_within(call: Call) -> None:
    """Let a confined call pass. `Denied` where it reaches beyond the spaces of its connection."""
    if call.ask.op not in WITHIN:
        raise _denied(f"{call.ask.op} reaches beyond the space that this connection is confined to")
    if isinstance(call.ask, Switch) and call.ask.space not in call.peer.confined:
        # Said of every other space, so that it does not tell which there are.
        raise _denied(f"this connection may not work in {call.ask.space!r}")
    if isinstance(call.ask, ResolveConflict) and call.ask.action == "branch":
        raise _denied("a branch is a space of its own, which this connection may not make")


def _denied(what: str) -> Denied:
    return Denied(f"{what[0].upper()}{what[1:]}.", "whoever runs the memory can: `memoryctl`, or MCP on stdio")
