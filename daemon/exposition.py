"""What is measured, as Prometheus reads it (text format 0.0.4)."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from enhanced_memory.client.operations.service import Status, Wellness
from enhanced_memory.daemon.metrics import BUCKETS_MS, Metrics

__all__ = ["exposition"]

PREFIX = "enhanced_memory_"


def exposition(metrics: Metrics, status: Status, health: Wellness, waiting: int, commits: int, kept: int) -> str:
    """Every figure, with its type and what it is."""
    return "\n".join([*_requests(metrics), *_store(status, waiting, commits), *_health(health), *_process(kept)]) + "\n"


def _metric(name: str, kind: str, says: str, *samples: tuple[str, float]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {says}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, value in samples:
        yield f"{PREFIX}{name}{labels} {_number(value)}"


def _requests(metrics: Metrics) -> Iterator[str]:
    yield from _metric(
        "requests_total", "counter", "Requests answered, failed ones included.",
        *((_labels(op=op), count) for op, count in sorted(metrics.calls.items())),
    )  # fmt: skip
    yield from _metric(
        "request_errors_total", "counter", "Requests answered with an error, by its code.",
        *((_labels(op=op, code=code), count) for (op, code), count in sorted(metrics.errors.items())),
    )  # fmt: skip
    yield f"# HELP {PREFIX}request_seconds How long requests took, from being read to being answered."
    yield f"# TYPE {PREFIX}request_seconds histogram"
    for op, count in sorted(metrics.calls.items()):
        so_far = 0
        for bound in BUCKETS_MS:
            so_far += metrics.within[op, bound]
            yield f"{PREFIX}request_seconds_bucket{_labels(op=op, le=f'{bound / 1000:g}')} {so_far}"
        yield f"{PREFIX}request_seconds_bucket{_labels(op=op, le='+Inf')} {count}"
        yield f"{PREFIX}request_seconds_sum{_labels(op=op)} {_number(metrics.seconds[op])}"
        yield f"{PREFIX}request_seconds_count{_labels(op=op)} {count}"


def _store(status: Status, waiting: int, commits: int) -> Iterator[str]:
    for name, says, value in (
        ("entities", "Entities that live, in all spaces.", status.total_entities),
        ("relations", "Relations that last.", status.relations),
        ("messages", "Messages in streams.", status.messages),
        ("versions", "Versions of entities.", status.versions),
        ("changes", "The number of the last change.", status.changes),
        ("store_bytes", "The store's file.", status.file_bytes),
        ("log_bytes", "SQLite's write-ahead log beside it.", status.wal_bytes),
        ("connections", "Clients connected.", status.connections),
        ("waiting_changes", "Changes that wait for the writer.", waiting),
        ("uptime_seconds", "Since the daemon started.", status.uptime_s),
        ("disk_free_bytes", "Where the store lies.", _free(status.store)),
    ):
        yield from _metric(name, "gauge", says, ("", value))
    yield from _metric("commits_total", "counter", "Transactions written to the disk.", ("", commits))
    if status.last_backup is not None:
        at = status.last_backup.timestamp()
        yield from _metric(
            "last_backup_timestamp_seconds", "gauge", "When the last verified backup was made.", ("", at)
        )
    if status.meaning is not None:
        yield from _metric("embedding_backlog", "gauge", "Passages without a vector.", ("", status.meaning.backlog))
        yield from _metric(
            "embedding_lag_seconds", "gauge", "For how long the oldest of them waits.", ("", status.meaning.lag_s)
        )


def _free(store: str) -> float:
    try:
        return shutil.disk_usage(Path(store).parent).free
    except OSError:
        return 0


def _health(health: Wellness) -> Iterator[str]:
    yield from _metric(
        "health", "gauge", "1 for the state that the daemon is in.",
        *((_labels(state=state), float(health.state == state)) for state in ("healthy", "degraded", "failing")),
    )  # fmt: skip
    yield from _metric(
        "ailment", "gauge", "1 for everything that is not well, by its name (docs/running.md).",
        *((_labels(name=one.name, state=one.state), 1) for one in health.ailments),
    )  # fmt: skip
    if health.proven_at is not None:
        yield from _metric(
            "last_proof_timestamp_seconds", "gauge", "When a write was last made and read back.",
            ("", health.proven_at.timestamp()),
        )  # fmt: skip


def _process(kept: int) -> Iterator[str]:
    process = psutil.Process(os.getpid())
    with process.oneshot():
        spent, held = process.cpu_times(), process.memory_info()
        for name, kind, says, value in (
            ("process_cpu_seconds_total", "counter", "Processor time.", spent.user + spent.system),
            ("process_resident_memory_bytes", "gauge", "Memory in use.", held.rss),
            (
                "process_own_memory_bytes",
                "gauge",
                "Of it what is no page of a file, which the system takes back when it wants it.",
                held.rss - held.shared,
            ),
            (
                "sqlite_memory_bytes",
                "gauge",
                "Of that what SQLite holds: pages, of which each connection keeps so many at the most.",
                kept,
            ),
            ("process_open_fds", "gauge", "Open files.", process.num_fds()),
            ("process_threads", "gauge", "Threads.", process.num_threads()),
        ):
            yield from _metric(name, kind, says, ("", value))


def _labels(**labels: str) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + inside + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.6f}"
