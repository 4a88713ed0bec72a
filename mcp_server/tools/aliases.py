"""Other names for arguments, because models guess: one table, tool by tool. An exact profile does not know them.

A path says where the names stand: `""` for the arguments themselves, `observations[]` for each item of that list, `entity_data` for that map. A
name
that the tool has is never replaced, nor is one that was given beside its alias.
"""

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["ALIASES", "meant"]

Names = Mapping[str, tuple[str, ...]]
"""The real name, and what is taken for it."""

_ENTITY: Names = {
    "name": ("entityName", "entity_name", "title"),
    "entityType": ("entity_type", "type", "kind"),
    "observations": ("observation", "contents", "facts", "notes"),
}
_RELATION: Names = {
    "from": ("source", "from_entity", "fromEntity", "subject"),
    "to": ("target", "to_entity", "toEntity", "object"),
    "relationType": ("relation_type", "type", "relation", "predicate"),
}
_ENTITY_NAME: tuple[str, ...] = ("entity_name", "name", "entity")
_QUERY: Names = {"query": ("q", "text", "search", "keywords"), "limit": ("top_k", "max_results", "n")}
_NAMES: tuple[str, ...] = ("entityNames", "entity_names", "entities", "name")
_STREAM: tuple[str, ...] = ("session", "session_id", "sessionId", "stream_id")

ALIASES: Mapping[str, Mapping[str, Names]] = {
    "create_entities": {"": {"entities": ("nodes", "items")}, "entities[]": _ENTITY},
    "create_relations": {"": {"relations": ("edges", "links")}, "relations[]": _RELATION},
    "add_observations": {
        "": {"observations": ("additions", "items", "entities")},
        "observations[]": {"entityName": _ENTITY_NAME, "contents": ("observations", "content", "facts", "texts")},
    },
    "delete_entities": {"": {"entityNames": ("names", "entity_names", "entities")}},
    "delete_observations": {
        "": {"deletions": ("observations", "items")},
        "deletions[]": {"entityName": _ENTITY_NAME, "observations": ("contents", "content", "facts")},
    },
    "delete_relations": {"": {"relations": ("edges", "links")}, "relations[]": _RELATION},
    "search_nodes": {"": _QUERY},
    "open_nodes": {"": {"names": _NAMES}},
    "append_messages": {
        "": {"stream": _STREAM, "messages": ("items", "lines")},
        "messages[]": {"content": ("text", "message"), "role": ("author",)},
    },
    "search_messages": {"": {**_QUERY, "stream": _STREAM}},
    "recent_messages": {"": {"stream": _STREAM, "limit": ("n", "count")}},
    "messages_by": {"": {"stream": _STREAM}},
    "get_window": {"": {"stream": _STREAM}},
    "memory_history": {"": {"entity": ("name", "entityName", "entity_name", "id")}},
    "memory_revert": {
        "": {
            "entity": ("name", "entityName", "entity_name", "id"),
            "to": ("version", "version_number", "at", "snapshot"),
        }
    },
    "memory_diff": {
        "": {
            "entity": ("name", "entityName", "entity_name", "id"),
            "old": ("from", "version1", "v1", "from_version", "a"),
            "new": ("to", "version2", "v2", "to_version", "b"),
        }
    },
    "memory_commit": {"": {"name": ("snapshot", "tag", "label"), "message": ("commit_message",)}},
    "graph_at": {"": {"at": ("time", "timestamp", "as_of", "snapshot", "change")}},
    "journal": {"": {"of": ("entity", "entityName", "entity_name"), "limit": ("n", "count")}},
    "undo": {"": {"change": ("number", "id"), "dry_run": ("dryRun",)}},
    "redo": {"": {"change": ("number", "id"), "dry_run": ("dryRun",)}},
    "detect_conflicts": {"": {"entity_data": ("entity", "entityData", "data")}, "entity_data": _ENTITY},
    "resolve_conflict": {"": {"conflict": ("id", "conflict_id"), "action": ("resolution", "strategy")}},
    "autonomous_curation": {"": {"dry_run": ("dryRun",)}},
    "promote_to_tier": {
        "": {"entity": ("entity_id", "name", "entityName", "entity_name", "id"), "tier": ("new_tier", "newTier", "to")}
    },
    "update_entity": {
        "": {"entity": ("name", "entityName", "entity_name", "id"), "type": ("entityType", "entity_type")}
    },
    "rename_entity": {"": {"entity": ("old_name", "oldName", "from"), "name": ("new_name", "newName", "to")}},
    "restore_entities": {"": {"entities": ("names", "entityNames", "entity_names")}},
    "tag": {"": {"entities": ("names", "entityNames", "entity_names")}},
    "untag": {"": {"entities": ("names", "entityNames", "entity_names")}},
    "pin": {"": {"entities": ("names", "entityNames", "entity_names")}},
    "confirm": {"": {"entities": ("names", "entityNames", "entity_names")}},
    "quarantine": {"": {"entities": ("names", "entityNames", "entity_names")}},
    "switch": {"": {"space": ("name", "space_name")}},
    "create_space": {"": {"name": ("space", "space_name")}},
    "memory_branch": {
        "": {"name": ("branch", "branch_name", "branchName"), "entity": ("entity_name", "entityName", "entity_id")}
    },
    "diff_branch": {"": {"branch": ("name", "branch_name", "branchName")}},
    "merge_branch": {
        "": {"branch": ("name", "source", "branch_name", "branchName"), "into": ("target",), "dry_run": ("dryRun",)}
    },
    "discard_branch": {"": {"branch": ("name", "branch_name", "branchName")}},
}


def meant(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """`arguments` under the names that `tool` knows them by. What is given is left unchanged."""
    for path, names in ALIASES.get(tool, {}).items():
        key = path.removesuffix("[]")
        if not path:
            arguments = _renamed(arguments, names)
        elif isinstance(arguments.get(key), list):
            items = cast("list[Any]", arguments[key])
            told = [_renamed(cast("dict[str, Any]", item), names) if isinstance(item, dict) else item for item in items]
            arguments = arguments | {key: told}
        elif isinstance(arguments.get(key), dict):
            arguments = arguments | {key: _renamed(cast("dict[str, Any]", arguments[key]), names)}
    return arguments


def _renamed(given: dict[str, Any], names: Names) -> dict[str, Any]:
    for real, others in names.items():
        if real not in given:
            alias = next((other for other in others if other in given), None)
            if alias is not None:
                given = {real if key == alias else key: value for key, value in given.items()}
    return given
