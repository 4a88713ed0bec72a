"""Skills: entities whose properties are code, and whose stream is their runs."""

from typing import Any, cast

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import ListEntities
from enhanced_memory.client.operations.search import SearchNodes
from enhanced_memory.client.operations.skills import ListSkills, SaveSkill, Skill, SkillList
from enhanced_memory.client.values import Message, Outcome, Ref
from enhanced_memory.daemon.handlers.editing import checked_tags, copy, expect, put
from enhanced_memory.daemon.handlers.filters import as_json, of_kinds
from enhanced_memory.daemon.handlers.reading import list_entities
from enhanced_memory.daemon.handlers.search import search_nodes
from enhanced_memory.daemon.kinds import kind_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.known import TIERS, Stored
from enhanced_memory.daemon.text import check_data, check_name, check_text
from enhanced_memory.daemon.times import moment

TYPE = "skill"
RUN = "run"
LAST_RUNS = 50


@SaveSkill.handler
def save_skill(tx: Tx, ask: SaveSkill) -> Outcome:
    """The code is kept as it is; whether it is of the sandbox's language shows when it is run."""
    check_name(ask.name, "The skill's name", tx.settings.max_name_chars)
    check_text(ask.code, "The code", tx.settings.max_text_chars)
    properties: dict[str, Any] = {
        "code": ask.code,
        "description": ask.description,
        "parameters": ask.parameters,
        "grants": ask.grants,
    }
    check_data(properties, "A property", tx.settings.max_text_chars)
    tags = None if ask.tags is None else checked_tags(tx, ask.tags)
    known = tx.entities.find(ask.name, TYPE)
    if known is None:
        state = State(ask.name, TYPE, [], properties, tags or [], {"tier": TIERS.index(kind_of(TYPE).tier)})
        made = tx.entities.create(state)
        tx.relations.adopt(made.id, ask.name)
        return Outcome(made.id, ask.name, "created", made.version)
    expect(known, ask.expected_version)
    state = copy(known.state)
    state.properties |= properties
    if tags is not None:
        state.tags = tags
    return put(tx, known, state)


@ListSkills.handler
def list_skills(tx: Tx, ask: ListSkills) -> SkillList:
    """Those named in the order given, those found best first, else all by name."""
    if ask.query and (ask.names or ask.cursor):
        raise Invalid("Skills are named, or looked for.", "give names or a query")
    missing: list[Ref] = []
    cursor = None
    if ask.names:
        found: list[Stored] = []
        for ref in ask.names:
            known = tx.entities.find(ref, TYPE) if isinstance(ref, str) else tx.entities.find(ref)
            if known is None or known.state.type != TYPE:
                missing.append(ref)
            else:
                found.append(known)
    elif ask.query.strip():
        hits = search_nodes(tx, SearchNodes(ask.query, types=[TYPE], tags=ask.tags, limit=ask.limit)).hits
        found = [tx.entities.get(hit.entity.id) for hit in hits]
    else:
        asked = ListEntities(types=[TYPE], tags=ask.tags, order_by="name", limit=ask.limit, cursor=ask.cursor)
        page = list_entities(tx, asked)
        cursor = page.cursor
        found = [tx.entities.get(one.id) for one in page.entities]
    return SkillList([_told(tx, one, ask.code) for one in found], missing, cursor, tx.space_name)


def _told(tx: Tx, known: Stored, code: bool) -> Skill:
    said = known.state.properties
    runs = tx.streams.read(known.id, of_kinds([RUN]), down=True, limit=LAST_RUNS, kinds=as_json([RUN]))
    failed = [run for run in runs if run.metadata.get("ok") is not True]
    times = [ms for run in runs if (ms := _ms(run)) is not None]
    return Skill(
        known.id,
        known.state.name,
        str(said.get("description", "")),
        _map(said.get("parameters")),
        _list(said.get("grants")),
        known.version,
        str(said.get("code", "")) if code else "",
        moment(known.updated_at) if known.updated_at else None,
        tx.streams.count(known.id),
        len(failed),
        round(sum(times) / len(times), 2) if times else 0.0,
        runs[0].at if runs else None,
        failed[0].content if failed else "",
        known.state.tags,
        round(max(times), 2) if times else 0.0,
    )


# A skill is an entity like others, and anybody may have given it other properties.


def _ms(run: Message) -> float | None:
    ms = run.metadata.get("ms")
    return float(ms) if isinstance(ms, int | float) else None


def _map(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[str]:
    return [one for one in cast("list[Any]", value) if isinstance(one, str)] if isinstance(value, list) else []
