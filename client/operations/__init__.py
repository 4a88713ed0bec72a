"""The table of contents: every operation, lent to `Memory` and `AsyncMemory` under its own name."""

from enhanced_memory.client.operations import (
    branches,
    cold,
    conflicts,
    curation,
    entities,
    facts,
    relations,
    search,
    service,
    sessions,
    skills,
    spaces,
    streams,
    summaries,
    versions,
)
from enhanced_memory.client.operations.journal import Journal, Redo, Undo
from enhanced_memory.client.request import method

__all__ = ["Operations"]


class Operations:
    """What can be asked of the daemon, chapter by chapter."""

    create_entities = method(entities.CreateEntities)
    add_observations = method(entities.AddObservations)
    update_entity = method(entities.UpdateEntity)
    rename_entity = method(entities.RenameEntity)
    delete_entities = method(entities.DeleteEntities)
    restore_entities = method(entities.RestoreEntities)
    delete_observations = method(entities.DeleteObservations)
    purge_entities = method(entities.PurgeEntities)
    open_nodes = method(entities.OpenNodes)
    list_entities = method(entities.ListEntities)
    tag = method(entities.Tag)
    untag = method(entities.Untag)
    pin = method(entities.Pin)
    confirm = method(entities.Confirm)
    quarantine = method(entities.Quarantine)

    create_relations = method(relations.CreateRelations)
    delete_relations = method(relations.DeleteRelations)
    read_graph = method(relations.ReadGraph)
    find_related = method(relations.FindRelated)
    find_path = method(relations.FindPath)

    create_space = method(spaces.CreateSpace)
    update_space = method(spaces.UpdateSpace)
    list_spaces = method(spaces.ListSpaces)
    delete_space = method(spaces.DeleteSpace)
    switch = method(spaces.Switch)

    memory_branch = method(branches.MemoryBranch)
    list_branches = method(branches.ListBranches)
    diff_branch = method(branches.DiffBranch)
    merge_branch = method(branches.MergeBranch)
    discard_branch = method(branches.DiscardBranch)

    append_messages = method(streams.AppendMessages)
    recent_messages = method(streams.RecentMessages)
    messages_by = method(streams.MessagesBy)
    get_window = method(streams.GetWindow)
    set_retention = method(streams.SetRetention)
    archive_messages = method(streams.ArchiveMessages)
    archive_entities = method(cold.ArchiveEntities)
    list_archived = method(cold.ListArchived)
    vacuum = method(cold.Vacuum)
    keep_summary = method(streams.KeepSummary)

    start_session = method(sessions.StartSession)
    end_session = method(sessions.EndSession)
    archive_session = method(sessions.ArchiveSession)
    delete_session = method(sessions.DeleteSession)
    list_sessions = method(sessions.ListSessions)

    search_nodes = method(search.SearchNodes)
    search_messages = method(search.SearchMessages)
    search_streams = method(search.SearchStreams)
    get_context = method(search.GetContext)

    memory_history = method(versions.MemoryHistory)
    memory_commit = method(versions.MemoryCommit)
    list_snapshots = method(versions.ListSnapshots)
    delete_snapshot = method(versions.DeleteSnapshot)
    memory_diff = method(versions.MemoryDiff)
    memory_revert = method(versions.MemoryRevert)
    graph_at = method(versions.GraphAt)

    journal = method(Journal)
    undo = method(Undo)
    redo = method(Redo)

    detect_conflicts = method(conflicts.DetectConflicts)
    scan_conflicts = method(conflicts.ScanConflicts)
    list_conflicts = method(conflicts.ListConflicts)
    resolve_conflict = method(conflicts.ResolveConflict)

    auto_extract_facts = method(facts.AutoExtractFacts)
    store_facts = method(facts.StoreFacts)
    summarize_entity = method(summaries.SummarizeEntity)
    store_summary = method(summaries.StoreSummary)
    promote_to_tier = method(curation.PromoteToTier)
    autonomous_curation = method(curation.AutonomousCuration)
    expire = method(curation.Expire)

    save_skill = method(skills.SaveSkill)
    list_skills = method(skills.ListSkills)

    hello = method(service.Hello)
    ping = method(service.Ping)
    get_memory_status = method(service.GetMemoryStatus)
    health = method(service.Health)
    metrics = method(service.Metrics)
    backup = method(service.Backup)
    reindex = method(service.Reindex)
    verify = method(service.Verify)
    access_log = method(service.AccessLog)
    note_access = method(service.NoteAccess)
    export_data = method(service.ExportData)
    import_data = method(service.ImportData)
    subscribe = method(service.Subscribe)
    unsubscribe = method(service.Unsubscribe)
