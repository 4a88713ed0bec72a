"""What outlives a conversation: characters, props, agents, preferences, and the conversations themselves."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from enhanced_memory.client.adapters.chronicle.conversations import PAGE, SESSION_TYPE, Conversations
from enhanced_memory.client.adapters.chronicle.database_manager import DatabaseManager
from enhanced_memory.client.adapters.chronicle.failing import Row, loud, quiet, row, rows
from enhanced_memory.client.adapters.outbox import deferred
from enhanced_memory.client.adapters.records import Records
from enhanced_memory.client.errors import Invalid, NotFound
from enhanced_memory.client.values import Entity, Filter

__all__ = ["SESSION_TYPE", "PersistentMemory"]

CHARACTER: Row = {
    "description": None, "personality_traits": [], "background": None, "current_mood": None, "current_location": None,
    "relationships": {}, "inventory": [], "stats": {},
}  # fmt: skip
CHARACTER_FIELDS = (*CHARACTER, "is_active", "metadata", "last_seen")
PROP: Row = {
    "category": None, "subcategory": None, "description": None, "image_path": None, "tags": [], "rarity": "common",
    "properties": {}, "usage_count": 0, "is_favorite": False,
}  # fmt: skip
AGENT: Row = {
    "display_name": None, "system_prompt": None, "enabled": True, "llm_provider": None, "temperature": 0.7,
    "max_tokens": 2048, "capabilities": [], "metadata": {},
}  # fmt: skip
"""What a record's dictionary has beside `id` and `name`, in order, and what stands where nothing was said."""
NEEDED = frozenset(("category", "system_prompt"))
"""What a new prop and a new agent cannot be without."""


class PersistentMemory(Conversations):
    """What outlives a conversation. Reads log errors and answer with nothing; saves log and raise them."""

    def __init__(self, database_manager: DatabaseManager) -> None:
        super().__init__(database_manager)
        self._props = Records(database_manager.memory, "prop")
        self._agents = Records(database_manager.memory, "agent_config")
        self._preferences = Records(database_manager.memory, "preference")

    # Characters

    @loud
    @deferred(told=True, inserts=(*CHARACTER_FIELDS, "conversation_id"))
    def save_character_state(self, character_data: Mapping[str, Any]) -> int:
        """Save a character, by its `id` where one is given; its id. Several may have one name."""
        return self._save(
            self._characters, character_data, CHARACTER_FIELDS,
            {"conversation_id": "conversation"}, {"last_seen": _now()},
        )  # fmt: skip

    @quiet(rows)
    def get_character_states(self, conversation_id: int | None = None, active_only: bool = True) -> list[Row]:
        """Characters, those seen last first."""
        return [
            _character(one) | {"last_seen": _time(one.properties.get("last_seen")), "is_active": _active(one)}
            for one in self._cast(conversation_id, active_only)
        ]

    def _cast(self, conversation_id: int | None = None, active_only: bool = True) -> list[Entity]:
        where = [Filter("conversation", equal=conversation_id)] if conversation_id is not None else []
        where += [Filter("is_active", equal=True)] if active_only else []
        return list(self._characters.every(*where, order_by="property:last_seen", descending=True))

    @quiet(row)
    def find_character_by_name(self, name: str) -> Row | None:
        """The first active character whose name holds the text, whatever its case."""
        sought = name.casefold()
        return next((_character(one) for one in self._cast() if sought in one.name.casefold()), None)

    @quiet(rows)
    def search_characters(self, query: str, limit: int = 3) -> list[Row]:
        """The active characters that answer a query best: by name, then by what is known of them."""
        known = {one.id: one for one in self._cast()}
        named = [one for one in known.values() if one.name.casefold() in query.casefold()]
        hits = self._memory.search_nodes(query, limit=100, types=["character"]).hits
        found = [*named, *(known[hit.entity.id] for hit in hits if hit.entity.id in known)]
        return [_character(one) for one in {one.id: one for one in found}.values()][:limit]

    @loud
    @deferred(True)
    def delete_character_state(self, character_id: int) -> bool:
        """Delete a character; False where there is none such."""
        return self._delete(self._characters, character_id)

    # Props

    @loud
    @deferred(told=True, inserts=(*PROP, "last_used"))
    def save_prop_item(self, prop_data: Mapping[str, Any]) -> int:
        """Save a prop, by its `id` where one is given; its id."""
        return self._save(self._props, prop_data, (*PROP, "last_used"), {}, {})

    @quiet(rows)
    def get_prop_items(
        self,
        category: str | None = None,
        search_term: str | None = None,
        favorites_only: bool = False,
        limit: int = 100,
    ) -> list[Row]:
        """Props, those used most first, then by name; the term is sought in name, description and tags, whatever its case."""
        where = [Filter("category", equal=category)] if category else []
        where += [Filter("is_favorite", equal=True)] if favorites_only else []
        sought = (search_term or "").casefold()
        found = [
            one
            for one in self._props.every(*where)
            if any(sought in text.casefold() for text in (one.name, one.properties.get("description") or "", *one.tags))
        ]
        found.sort(key=lambda one: (-one.properties.get("usage_count", 0), one.name))
        return [
            {"id": one.id, "name": one.name} | _filled(one.properties, PROP) | {"tags": one.tags}
            for one in found[:limit]
        ]

    @loud
    @deferred()
    def increment_prop_usage(self, prop_id: int) -> None:
        """Count one more use, also where several count at once. An id that there is not is passed over."""
        try:
            self._props.change(
                prop_id,
                lambda known: {"usage_count": known.properties.get("usage_count", 0) + 1, "last_used": _now()},
            )
        except NotFound:
            pass

    @loud
    @deferred(True)
    def delete_prop_item(self, prop_id: int) -> bool:
        """Delete a prop; False where there is none such."""
        return self._delete(self._props, prop_id)

    # Agents and preferences

    @loud
    @deferred(told=True, inserts=tuple(AGENT))
    def save_agent_configuration(self, agent_data: Mapping[str, Any]) -> int:
        """Save an agent's configuration, by `id` or else by `name`; its id."""
        given = dict(agent_data)
        if "id" not in given and isinstance(given.get("name"), str):
            known = self._agents.find(given["name"])
            if known is not None:
                given["id"] = known.id
        return self._save(self._agents, given, tuple(AGENT), {}, {})

    @quiet(rows)
    def get_agent_configurations(self, enabled_only: bool = False) -> list[Row]:
        """Agents' configurations by name."""
        where = [Filter("enabled", equal=True)] if enabled_only else []
        return [
            {"id": one.id, "name": one.name} | _filled(one.properties, AGENT)
            for one in self._agents.every(*where, order_by="name")
        ]

    @loud
    @deferred(True)
    def delete_agent_configuration(self, agent_id: int) -> bool:
        """Delete an agent's configuration; False where there is none such."""
        return self._delete(self._agents, agent_id)

    @loud
    @deferred(told=True)
    def set_preference(self, key: str, value: Any, category: str | None = None, description: str | None = None) -> int:
        """Keep a preference of the user; its id."""
        said = {"value": value, "category": category, "description": description}
        given = {name: one for name, one in said.items() if one is not None}
        known = self._preferences.find(key)
        if known is None:
            return self._preferences.add(key, given)
        self._preferences.change(known.id, lambda _: given)
        return known.id

    @quiet(lambda: None)
    def get_preference(self, key: str) -> Any:
        """What a preference says; None where there is none such."""
        known = self._preferences.find(key)
        return None if known is None else known.properties.get("value")

    @quiet(dict)
    def get_preferences(self, category: str | None = None) -> dict[str, Any]:
        """Preferences by key, all or those of a category."""
        where = [Filter("category", equal=category)] if category else []
        return {one.name: one.properties.get("value") for one in self._preferences.every(*where, order_by="name")}

    @loud
    @deferred(True)
    def delete_preference(self, key: str) -> bool:
        """Delete a preference; False where there is none such."""
        known = self._preferences.find(key)
        return known is not None and self._delete(self._preferences, known.id)

    @quiet(dict)
    def get_memory_stats(self) -> dict[str, int]:
        """How much there is."""
        sessions = self._sessions()
        since = datetime.now(UTC) - timedelta(days=7)
        week = sum(
            self._since(one["id"], since) for one in sessions if one["updated_at"] and one["updated_at"] >= since
        )
        cast = list(self._cast(active_only=False))
        agents = list(self._agents.every())
        return {
            "conversations": len(sessions),
            "active_conversations": sum(one["is_active"] for one in sessions),
            "total_messages": sum(one["message_count"] for one in sessions),
            "characters": len(cast),
            "active_characters": sum(map(_active, cast)),
            "prop_items": sum(1 for _ in self._props.every()),
            "agent_configs": len(agents),
            "enabled_agents": sum(bool(one.properties.get("enabled", True)) for one in agents),
            "messages_this_week": week,
        }

    def _sessions(self) -> list[Row]:
        return self.get_conversations(1 << 31, include_inactive=True)

    def _since(self, conversation_id: int, since: datetime) -> int:
        count, cursor = 0, None
        while True:
            page = self._memory.messages_by(conversation_id, since=since, limit=PAGE, cursor=cursor, archived=True)
            count += len(page.messages)
            cursor = page.cursor
            if cursor is None:
                return count

    # What saving and deleting share

    def _save(
        self, records: Records, data: Mapping[str, Any], known: tuple[str, ...], renamed: Mapping[str, str],
        always: Mapping[str, Any],
    ) -> int:  # fmt: skip
        """Update by `id`, or insert. Unknown keys are passed over in an update and a TypeError in an insert."""
        number = data.get("id")
        names = {*known, *renamed, "name"}
        tags = data.get("tags")
        # What lists are ordered and filtered by is never empty: a character saved with `last_seen` None would be in none of them.
        kept = {key for key in data if data[key] is not None or key not in {*always, "is_active"}}
        said = {renamed.get(key, key): _plain(data[key]) for key in data if key in names & kept - {"name", "tags"}}
        if number is None:
            for key in sorted(NEEDED & {*known}):
                if not isinstance(said.get(key), str):
                    raise Invalid(f"{data['name']!r} has no {key}.", f"give its {key}, a text")
            return records.add(data["name"], {**always, **said}, tags=tags)
        was = records.change(number, lambda _: {**always, **said})
        if isinstance(data.get("name"), str) and data["name"] != was.name:
            self._memory.rename_entity(number, data["name"])
        if tags is not None and set(tags) != set(was.tags):
            if gone := [one for one in was.tags if one not in tags]:
                self._memory.untag([number], gone)
            if tags:
                self._memory.tag([number], list(tags))
        return number

    def _delete(self, records: Records, number: int) -> bool:
        try:
            records.one(number)
        except NotFound:
            return False
        self._memory.delete_entities([number])
        return True


def _filled(properties: Mapping[str, Any], table: Mapping[str, Any]) -> Row:
    return {key: properties.get(key, empty) for key, empty in table.items()}


def _character(one: Entity) -> Row:
    return {"id": one.id, "name": one.name} | _filled(one.properties, CHARACTER)


def _active(one: Entity) -> bool:
    return bool(one.properties.get("is_active", True))


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _plain(value: Any) -> Any:
    """A value as the daemon keeps it: times as text, in UTC where they do not say."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value
