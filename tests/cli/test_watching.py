"""`memoryctl health`, `metrics` and `top`: what a monitor and a person are told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from enhanced_memory.client.cli.watching import rates, samples

if TYPE_CHECKING:
    from .conftest import Ctl


def test_a_healthy_daemon_has_written_and_read_back_and_ends_with_0(ctl: Ctl) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    ran = ctl("health", "--json")
    assert ran.code == 0
    assert (ran.json["state"], ran.json["ailments"]) == ("healthy", [])
    assert ran.json["proven_at"]
    figures = samples(ctl("metrics").out)
    assert figures["health", (("state", "healthy"),)] == 1
    assert figures["entities", ()] == 1
    assert figures["requests_total", (("op", "create_entities"),)] == 1
    assert figures["request_seconds_bucket", (("le", "+Inf"), ("op", "create_entities"))] == 1
    assert figures["process_resident_memory_bytes", ()] > 1e6
    seen = ctl("top", "--once", "--every", "0.1", "--json").json
    assert seen["state"] == "healthy"
    assert "metrics" in [row["op"] for row in seen["operations"]]


def test_a_store_that_is_gone_is_failing_and_can_still_be_saved(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    (home / "memory.db").unlink()
    assert ctl("add", "Bob", "--type", "person", "comes too late").code == 5
    ran = ctl("health", "--json")
    assert ran.code == 5
    assert {"file_replaced", "not_writing"} <= {one["name"] for one in ran.json["ailments"]}
    assert all(one["remedy"] for one in ran.json["ailments"])
    assert ctl("show", "Ada").code == 0
    saved = ctl("backup", "--to", str(home / "saved.db"), "--json").json
    assert saved["entities"] == 1
    ctl("stop")
    assert ctl("backups", "restore", str(home / "saved.db")).code == 0
    assert ctl("show", "Ada").code == 0
    assert ctl("health").code == 0


def test_a_backup_that_failed_is_told_until_one_is_made(ctl: Ctl, home: Path) -> None:
    ctl("add", "Ada", "--type", "person", "likes tea")
    (home / "backups").touch()
    assert ctl("backup").code == 4
    ran = ctl("health", "--json")
    assert ran.code == 1
    assert [one["name"] for one in ran.json["ailments"]] == ["backup_failed"]
    (home / "backups").unlink()
    assert ctl("backup").code == 0
    assert ctl("health").code == 0


def test_no_daemon_is_code_3(ctl: Ctl) -> None:
    assert ctl("health", "--no-start").code == 3


def test_rates_are_what_came_between_two_readings() -> None:
    before = 'enhanced_memory_requests_total{op="ping"} 5\nenhanced_memory_request_seconds_sum{op="ping"} 1\n'
    now = (
        'enhanced_memory_requests_total{op="ping"} 15\nenhanced_memory_requests_total{op="idle"} 3\n'
        'enhanced_memory_request_errors_total{op="ping",code="busy"} 2\nenhanced_memory_request_seconds_sum{op="ping"} 1.5\n'
        'enhanced_memory_request_seconds_bucket{op="ping",le="0.01"} 9\nenhanced_memory_request_seconds_bucket{op="ping",le="0.1"} 10\n'
        'enhanced_memory_request_seconds_bucket{op="ping",le="+Inf"} 10\n'
    )
    told = rates(samples(now), samples(before) | {("requests_total", (("op", "idle"),)): 3.0}, 2.0)
    assert told == [{"op": "ping", "per_s": 5.0, "errors_per_s": 1.0, "mean_ms": 50.0, "p50_ms": 10.0, "p99_ms": 100.0}]
