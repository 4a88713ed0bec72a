"""The compose file that is shipped for a database says what the program needs of one, and gives nothing away."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PATH = ROOT / "compose.yaml"

KNOWN = {
    "services": {
        "image", "restart", "environment", "secrets", "ports", "command", "shm_size", "volumes", "healthcheck", "stop_grace_period",
        "security_opt", "mem_limit",
    },
}  # fmt: skip
"""Keys of the Compose Specification that the file may use: what is misspelt, Compose refuses or ignores."""


class Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently keep the last."""


def _mapping(loader: Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]  # type: ignore[no-untyped-call]
    assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
    return dict(loader.construct_pairs(node, deep=True))  # type: ignore[no-untyped-call]


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(PATH.read_text("utf-8"), Strict)
    return found


@pytest.fixture
def database(compose: dict[str, Any]) -> dict[str, Any]:
    (service,) = compose["services"].values()
    assert set(service) <= KNOWN["services"]
    return service


def test_it_has_one_service_and_only_what_compose_knows(compose: dict[str, Any], database: dict[str, Any]) -> None:
    assert set(compose) == {"services", "secrets", "volumes"}
    assert set(database["healthcheck"]) == {"test", "interval", "timeout", "retries", "start_period"}


def test_the_server_is_new_enough_and_has_pgvector(database: dict[str, Any]) -> None:
    match = re.fullmatch(r"pgvector/pgvector:(\d+)\.(\d+)\.\d+-pg(\d+)", database["image"])
    assert match is not None, "an image of a version that is named, and not whatever is newest"
    assert (int(match[1]), int(match[2])) >= (0, 7)
    assert int(match[3]) >= 16


def test_the_password_stands_in_no_file_that_is_kept(compose: dict[str, Any], database: dict[str, Any]) -> None:
    assert "POSTGRES_PASSWORD" not in database["environment"]
    (name,) = database["secrets"]
    assert database["environment"]["POSTGRES_PASSWORD_FILE"] == f"/run/secrets/{name}"
    file = compose["secrets"][name]["file"].removeprefix("./")
    ignored = subprocess.run(["git", "check-ignore", "-q", file], cwd=ROOT, check=False)
    assert ignored.returncode == 0 or not (ROOT / ".git").exists()


def test_it_is_reached_from_this_machine_alone(database: dict[str, Any]) -> None:
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:5432", port) for port in database["ports"])


def test_what_is_stored_outlives_the_container(compose: dict[str, Any], database: dict[str, Any]) -> None:
    (volume,) = database["volumes"]
    name, place = volume.split(":")
    assert name in compose["volumes"]
    assert place == "/var/lib/postgresql/data"


def test_texts_are_kept_as_the_program_wants_them_and_settings_are_those_of_the_server(
    database: dict[str, Any],
) -> None:
    assert "--encoding=UTF8" in database["environment"]["POSTGRES_INITDB_ARGS"].split()
    program, *arguments = database["command"]
    assert program == "postgres"
    assert set(arguments[::2]) == {"-c"}
    said = dict(one.split("=", 1) for one in arguments[1::2])
    assert int(said["max_connections"]) >= 100
    user, name = (database["environment"][key] for key in ("POSTGRES_USER", "POSTGRES_DB"))
    assert f"--username={user} --dbname={name}" in database["healthcheck"]["test"][1]


def test_a_linter_finds_nothing_grave() -> None:
    """compose-lint, where it is installed."""
    if find_spec("compose_lint") is None:
        pytest.skip("compose-lint is not installed")
    ran = subprocess.run([sys.executable, "-m", "compose_lint", str(PATH)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
