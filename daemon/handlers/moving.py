"""Moving in and out: the official memory server's file, and our own lossless export (`docs/export.md`)."""

from itertools import groupby
from typing import Any

import msgspec

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.relations import CreateRelations
from enhanced_memory.client.operations.service import ExportData, Exported, ImportData, Imported
from enhanced_memory.client.values import EntityInput, RelationInput
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.entities import create_entities
from enhanced_memory.daemon.handlers.merging import Merging
from enhanced_memory.daemon.handlers.relations import create_relations
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.imports import ImportJob, Report
from enhanced_memory.daemon.store.records import HeaderRecord, Record, read
from enhanced_memory.daemon.store.restoring import Restoring
from enhanced_memory.daemon.store.transfer import Place


@ExportData.handler
def export_data(tx: Tx, ask: ExportData) -> Exported:
    """A page of records in the format asked for."""
    if ask.format == "official":
        return _official_page(tx, ask)
    return _full_page(tx, ask)


def _full_page(tx: Tx, ask: ExportData) -> Exported:
    """The store as it was after the change that the first page names."""
    if ask.cursor:
        change, total, *place = cursors.read(ask.cursor, int, int, int, int, int, int)
        if ask.change not in (None, change):
            raise Invalid(
                f"The cursor belongs to an export at change {change}.",
                "give the change that the first page named, or none",
            )
        after = Place(*place)
    else:
        last = tx.log.last_change()
        change = last if ask.change is None else ask.change
        if not 0 <= change <= last:
            raise Invalid(
                f"There is no change {change}; the newest is {last}.", "give none to export what is there now"
            )
        total, after = tx.transfer.total(change), Place()
    records, following = tx.transfer.page(change, after, ask.limit)
    cursor = None if following is None else cursors.write(change, total, *msgspec.structs.astuple(following))
    return Exported(records, change, cursor, total)


def _official_page(tx: Tx, ask: ExportData) -> Exported:
    """All entities first, then all relations, each in the order of its making: the order of the official file."""
    view = tx.view if ask.change is None else tx.view.until(ask.change)
    change = tx.log.last_change() if ask.change is None else ask.change
    phase, after = cursors.read(ask.cursor, str, int) if ask.cursor else ("entities", 0)
    conditions = ["after_id"] if after else []
    found = tx.entities.page(*conditions, limit=ask.limit, view=view, **({"after": after} if after else {}))
    if phase == "entities":
        records: list[dict[str, Any]] = [
            {
                "type": "entity",
                "name": one.state.name,
                "entityType": one.state.type,
                "observations": [noted.text for noted in one.state.observations],
            }
            for one in found
        ]
        following = ("entities", found[-1].id) if len(found) == ask.limit else ("relations", 0)
        return Exported(records, change, cursors.write(*following))
    edges = tx.relations.touching([one.id for one in found], outgoing=True, view=view)
    if len(found) < ask.limit:
        edges += tx.relations.loose(view)
    told = [
        {"type": "relation", "from": edge.from_, "to": edge.to, "relationType": edge.type}
        for edge in tx.relations.told(edges)
    ]
    return Exported(told, change, cursors.write("relations", found[-1].id) if len(found) == ask.limit else None)


@ImportData.handler
def import_data(tx: Tx, ask: ImportData) -> Imported:
    """What can be used is kept; what cannot is named."""
    if ask.format == "official":
        return _official(tx, ask)
    return _full(tx, ask)


def _full(tx: Tx, ask: ImportData) -> Imported:
    """Into a store without any change everything comes as it was; into any other it is merged."""
    report = Report()
    job = ImportJob(tx, ask.job)
    records: list[tuple[int, Record]] = []
    for place, record in enumerate(ask.records):
        try:
            records.append((place, read(record)))
        except Invalid as problem:
            report.problem(place, problem.message)
    taking = Restoring(tx, report) if job.exact else Merging(tx, job, ask.on_existing == "skip", report)
    for kind, run in groupby(records, key=lambda one: type(one[1])):
        if kind is not HeaderRecord:
            taking.take(list(run))
    if isinstance(taking, Restoring):
        taking.finish()
    job.finish()
    problems = sorted(report.problems, key=lambda says: int(says.split(":", 1)[0].removeprefix("record ")))
    return Imported([] if isinstance(taking, Restoring) else taking.results, report.counts, problems)


class _OfficialEntity(msgspec.Struct):
    name: str
    entityType: str
    observations: list[str] = []


class _OfficialRelation(msgspec.Struct):
    from_: str = msgspec.field(name="from")
    to: str
    relationType: str


def _official(tx: Tx, ask: ImportData) -> Imported:
    entities: list[EntityInput] = []
    relations: list[RelationInput] = []
    problems: list[str] = []
    for place, record in enumerate(ask.records):
        try:
            if record.get("type") == "entity":
                one = msgspec.convert(record, _OfficialEntity)
                entities.append(EntityInput(one.name, one.entityType, list(one.observations)))
            elif record.get("type") == "relation":
                edge = msgspec.convert(record, _OfficialRelation)
                relations.append(RelationInput(edge.from_, edge.to, edge.relationType))
            else:
                problems.append(f"record {place + 1}: its type is neither entity nor relation")
        except msgspec.ValidationError as problem:
            problems.append(f"record {place + 1}: {problem}")
    created = create_entities(tx, CreateEntities(entities, on_existing=ask.on_existing))
    related = create_relations(tx, CreateRelations(relations))
    counts: dict[str, int] = {}
    for outcome in created.results:
        counts[outcome.action] = counts.get(outcome.action, 0) + 1
    counts["relations"] = len(related.created)
    return Imported(created.results, counts, problems)
