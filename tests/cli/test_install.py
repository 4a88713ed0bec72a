"""install and uninstall for every client: what is added is what is taken out, and nothing else is touched."""

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from enhanced_memory.client.cli.changing import servers
from enhanced_memory.client.cli.clients import CLIENTS, Client, Scope, known
from enhanced_memory.client.cli.installed import state_file

from .conftest import Ctl

PLACES = [(client, scope) for client in CLIENTS for scope in ("user", "project") if scope == "user" or client.project]

JSON = """{
  "theme": "dark",
  "%s": {
    "files": {"command": "npx", "args": ["-y", "some-server"]}
  },
  "last": [1, 2,
    3]
}
"""
JSONC = """// mine
{
\t/* keep this */
\t"%s": {
\t\t// one server
\t\t"files": { "command": "npx", "args": ["-y"], }, // and why
\t},
\t"last": "// no comment",
}
"""
TOML = """# my settings
model = "x"
notify = [
  "[mcp_servers.memory]",
]

[mcp_servers.files]  # one server
command = "npx"
args = ["-y"]

# for work
[profiles.work]
model = "y"
"""
YAML = """# my settings
GOOSE_MODE: "smart"  # why not
extensions:
  developer:
    enabled: true
    # with care
    type: builtin

# the end
LAST: |
  extensions:
    memory: no
"""
LIST = """name: Mine
version: 1.0.0
schema: v1
mcpServers:
- name: files  # one server
  command: npx
  args:
  - "-y"
# models
models: []
"""


def sample(client: Client, scope: Scope) -> str:
    """A file of the client as people have it, with another server and with comments where they are allowed."""
    if client.form == "toml":
        return TOML
    if client.form == "yaml":
        return LIST if client.listed else YAML
    return (JSONC if client.form == "jsonc" else JSON) % client.path[0]


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that is worked in."""
    folder = home / "work"
    (folder / ".git").mkdir(parents=True)
    (folder / "src").mkdir()
    monkeypatch.chdir(folder / "src")
    return folder


Where = Callable[[Client, Scope], Path]


@pytest.fixture
def where(project: Path) -> Where:
    def file(client: Client, scope: Scope) -> Path:
        found = client.file(scope)
        assert found is not None
        assert found.is_relative_to(project if scope == "project" else project.parent)
        return found

    return file


def place(file: Path, text: str) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file.read_bytes()


def entries(client: Client, scope: Scope) -> dict[str, Any]:
    found = servers(client, scope)
    assert found is not None
    return found.named


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder but the notes of what was installed."""
    state = state_file().parent
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if not path.is_relative_to(state) and path not in state.parents
    }


each_place = pytest.mark.parametrize(
    ("client", "scope"), PLACES, ids=[f"{client.name}-{scope}" for client, scope in PLACES]
)


@each_place
def test_a_client_without_a_file_gets_one_and_loses_it_again(
    ctl: Ctl, home: Path, where: Where, client: Client, scope: Scope
) -> None:
    before = snapshot(home)
    ran = ctl("install", client.name, "--scope", scope)
    assert (ran.code, ran.err) == (0, "")
    assert list(entries(client, scope)) == [client.server]
    assert stat.S_IMODE(where(client, scope).stat().st_mode) == 0o600
    assert ctl("uninstall", client.name, "--scope", scope).code == 0
    assert snapshot(home) == before


@each_place
def test_what_others_wrote_keeps_its_place_and_comes_back_byte_for_byte(
    ctl: Ctl, home: Path, where: Where, client: Client, scope: Scope
) -> None:
    file = where(client, scope)
    raw = place(file, sample(client, scope))
    file.chmod(0o640)
    before = snapshot(home)
    assert ctl("install", client.name, "--scope", scope).code == 0
    now = file.read_text()
    added = [line for line in now.splitlines() if line not in raw.decode().splitlines()]
    lost = [line for line in raw.decode().splitlines() if line not in now.splitlines()]
    assert added
    assert all(line + "," in now.splitlines() or line.replace(" //", ", //") in now for line in lost), lost
    assert client.server in entries(client, scope)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    (backup,) = file.parent.glob("*.backup")
    assert backup.read_bytes() == raw
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    assert ctl("uninstall", client.name, "--scope", scope).code == 0
    assert snapshot(home) == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@each_place
def test_installing_twice_changes_nothing_the_second_time(
    ctl: Ctl, home: Path, where: Where, client: Client, scope: Scope
) -> None:
    place(where(client, scope), sample(client, scope))
    ctl("install", client.name, "--scope", scope)
    once = snapshot(home)
    ran = ctl("install", client.name, "--scope", scope, "--json")
    assert (ran.code, ran.json["changes"], ran.json["written"]) == (0, [], False)
    assert snapshot(home) == once


@each_place
def test_a_file_that_others_changed_since_keeps_their_change(
    ctl: Ctl, where: Where, client: Client, scope: Scope
) -> None:
    file = where(client, scope)
    raw = place(file, sample(client, scope))
    ctl("install", client.name, "--scope", scope)
    changed = {"toml": ("model =", "other ="), "yaml": ("GOOSE_MODE", "OTHER")}.get(client.form, ("last", "least"))
    if client.listed:
        changed = ("schema", "scheme")
    file.write_text(file.read_text().replace(*changed))
    assert ctl("uninstall", client.name, "--scope", scope).code == 0
    assert file.read_text() == raw.decode().replace(*changed)


@each_place
def test_a_dry_run_shows_the_change_and_makes_none(
    ctl: Ctl, home: Path, where: Where, client: Client, scope: Scope
) -> None:
    file = where(client, scope)
    place(file, sample(client, scope))
    before = snapshot(home)
    ran = ctl("install", client.name, "--scope", scope, "--dry-run")
    assert ran.out.startswith(f"--- {file}\n+++ {file}\n@@ ")
    assert "memory-mcp" in ran.out
    assert ran.out.endswith("Nothing was written (--dry-run).\n")
    assert snapshot(home) == before


@each_place
def test_a_malformed_file_is_named_and_left_alone(
    ctl: Ctl, home: Path, where: Where, client: Client, scope: Scope
) -> None:
    file = where(client, scope)
    broken = {"toml": '[mcp_servers\nx = "', "yaml": "extensions: [1\nmcpServers: {"}.get(
        client.form, '{"a": 1,\n "b" 2}'
    )
    place(file, broken)
    before = snapshot(home)
    for verb in ("install", "uninstall"):
        ran = ctl(verb, client.name, "--scope", scope)
        assert ran.code == 4
        assert f"{file} is malformed" in ran.err
    assert snapshot(home) == before


@each_place
def test_the_entry_is_launched_with_what_was_given(ctl: Ctl, where: Where, client: Client, scope: Scope) -> None:
    ctl("install", client.name, "--scope", scope, "--space", "auto", "--profile", "full", "--name", "mine")
    found = servers(client, scope)
    assert found is not None
    how = found.launches()["mine"]
    assert how.args == ["--profile", "full"]
    assert how.env["ENHANCED_MEMORY_SPACE"] == "auto"
    if scope == "project":  # a file that is shared holds nothing of one machine
        assert (how.command, list(how.env)) == ("memory-mcp", ["ENHANCED_MEMORY_SPACE"])
    else:
        assert os.access(how.command, os.X_OK)
        assert how.env["ENHANCED_MEMORY_STORE"] == os.environ["ENHANCED_MEMORY_STORE"]


def test_a_second_install_with_other_options_replaces_the_first_and_still_comes_undone(ctl: Ctl, where: Where) -> None:
    for client in CLIENTS:
        file = where(client, "user")
        raw = place(file, sample(client, "user"))
        ctl("install", client.name)
        assert ctl("install", client.name, "--profile", "compat").code == 0
        assert len([how for how in entries(client, "user").values() if "compat" in json.dumps(how)]) == 1
        assert ctl("uninstall", client.name).code == 0
        assert file.read_bytes() == raw, client.name


OFFICIAL = {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"]}


@pytest.mark.parametrize("name", ["claude-desktop", "vscode", "codex", "goose", "continue", "opencode"])
def test_the_official_server_s_place_is_taken_with_its_file_and_given_back(ctl: Ctl, where: Where, name: str) -> None:
    client = known(name)
    assert client is not None
    file = where(client, "user")
    env = "environment" if name == "opencode" else "envs" if name == "goose" else "env"
    entry: dict[str, Any] = {**OFFICIAL, env: {"MEMORY_FILE_PATH": "/data/memory.jsonl"}}
    if name == "opencode":
        entry = {"type": "local", "command": ["npx", *OFFICIAL["args"]], env: entry[env]}
    if name == "codex":
        text = (
            f'model = "x"\n\n[mcp_servers.recall]\ncommand = "npx"\nargs = {json.dumps(OFFICIAL["args"])}\n\n'
            '[mcp_servers.recall.env]\nMEMORY_FILE_PATH = "/data/memory.jsonl"\n\n[other]\nx = 1\n'
        )
    elif client.form == "yaml":
        held = [{"name": "recall", **entry}] if client.listed else {"recall": entry}
        text = yaml.safe_dump({client.path[0]: held, "last": 1}, sort_keys=False)
    else:
        text = json.dumps({client.path[0]: {"recall": entry, "other": {"command": "x"}}}, indent=4)
    raw = place(file, text)

    refused = ctl("install", name)
    assert refused.code == 4
    assert "--replace-official" in refused.err
    assert file.read_bytes() == raw

    assert ctl("install", name, "--replace-official").code == 0
    found = servers(client, "user")
    assert found is not None
    assert [each.official for each in found.launches().values()].count(True) == 0
    assert found.launches()["recall"].ours
    assert found.launches()["recall"].env["MEMORY_FILE_PATH"] == "/data/memory.jsonl"
    file.write_text(file.read_text().replace("other", "third").replace("last", "final"))
    assert ctl("uninstall", name).code == 0
    found = servers(client, "user")
    assert found is not None
    assert found.named["recall"] == ({"name": "recall", **entry} if client.listed else entry)


def test_nothing_replaces_what_is_not_there(ctl: Ctl, home: Path) -> None:
    ran = ctl("install", "cursor", "--replace-official")
    assert ran.code == 4
    assert "no official memory server" in ran.err
    assert not (home / ".cursor").exists()


def test_another_s_server_of_that_name_is_not_overwritten(ctl: Ctl, home: Path) -> None:
    raw = place(home / ".cursor" / "mcp.json", '{"mcpServers": {"memory": {"command": "other"}}}')
    ran = ctl("install", "cursor")
    assert ran.code == 4
    assert "--name" in ran.err
    assert (home / ".cursor" / "mcp.json").read_bytes() == raw
    assert ctl("install", "cursor", "--name", "mine").code == 0
    assert json.loads((home / ".cursor" / "mcp.json").read_text())["mcpServers"]["memory"] == {"command": "other"}


def test_a_link_stays_a_link(ctl: Ctl, home: Path) -> None:
    raw = place(home / "dotfiles" / "mcp.json", JSON % "mcpServers")
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").symlink_to("../dotfiles/mcp.json")
    assert ctl("install", "cursor").code == 0
    assert (home / ".cursor" / "mcp.json").is_symlink()
    assert b"memory-mcp" in (home / "dotfiles" / "mcp.json").read_bytes()
    assert ctl("uninstall", "cursor").code == 0
    assert (home / ".cursor" / "mcp.json").is_symlink()
    assert (home / "dotfiles" / "mcp.json").read_bytes() == raw


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cursor", '{"mcpServers": ["a list"]}'),
        ("cursor", '{"mcpServers": {}, "mcpServers": {}}'),
        ("codex", 'mcp_servers = { files = { command = "x" } }\n'),
        ("goose", "extensions: {developer: {enabled: true}}\n"),
        ("goose", "extensions:\n  a: 1\n...\n---\n"),
        ("continue", "mcpServers: [{name: a, command: b}]\n"),
    ],
)
def test_what_cannot_be_changed_safely_is_shown_instead_of_written(
    ctl: Ctl, where: Where, name: str, text: str
) -> None:
    client = known(name)
    assert client is not None
    file = where(client, "user")
    raw = place(file, text)
    ran = ctl("install", name)
    if ran.code == 4:  # more than one document is no file of the client
        assert "is malformed" in ran.err
    else:
        assert ran.code == 1
        assert "memory-mcp" in ran.out
        assert "Nothing was written" in ran.out
    assert file.read_bytes() == raw
    assert list(file.parent.glob("*.backup")) == []


def test_opencode_s_second_form_is_kept_where_it_is_used(ctl: Ctl, home: Path) -> None:
    place(home / ".config/opencode/opencode.jsonc", '{\n  "mcp": {\n    "servers": {},\n  },\n}\n')
    assert ctl("install", "opencode").code == 0
    said = (home / ".config/opencode/opencode.jsonc").read_text()
    assert '"servers": {\n      "memory": {\n' in said
    assert not (home / ".config/opencode/opencode.json").exists()


def test_a_file_that_is_not_text_or_no_file_is_refused(ctl: Ctl, home: Path) -> None:
    place(home / ".cursor" / "mcp.json", "").decode()
    (home / ".cursor" / "mcp.json").write_bytes(b'{"a": "\xff"}')
    assert "not UTF-8" in ctl("install", "cursor").err
    (home / ".claude.json").mkdir()
    assert "is a folder" in ctl("install", "claude-code").err
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").symlink_to("nowhere")
    assert "a link to nothing" in ctl("install", "gemini-cli").err


def test_an_unknown_client_is_named_with_the_nearest(ctl: Ctl) -> None:
    ran = ctl("install", "cursr")
    assert ran.code == 4
    assert "did you mean cursor?" in ran.err


def test_clients_lists_what_is_here_and_what_is_configured(ctl: Ctl, home: Path, project: Path) -> None:
    ctl("install", "cursor")
    ctl("install", "vscode", "--scope", "project")
    place(home / ".gemini" / "settings.json", "{")
    place(home / ".claude.json", json.dumps({"mcpServers": {"memory": OFFICIAL}}))
    listed = {each["name"]: each for each in ctl("clients", "--json").json}
    assert list(listed) == [client.name for client in CLIENTS]
    assert (listed["cursor"]["found"], listed["cursor"]["state"], listed["cursor"]["project_state"]) == (
        True,
        "memory-mcp",
        "",
    )
    assert listed["vscode"]["project_state"] == "memory-mcp"
    assert listed["gemini-cli"]["state"] == "malformed"
    assert listed["claude-code"]["state"] == "official"
    assert "cursor" in ctl("clients").out


def test_an_entry_written_by_hand_is_taken_out_too(ctl: Ctl, home: Path) -> None:
    file = home / ".codex" / "config.toml"
    place(file, TOML + '\n[mcp_servers.mine]\ncommand = "/usr/bin/memory-mcp"\n')
    assert ctl("uninstall", "codex").code == 0
    assert tomllib.loads(file.read_text()) == tomllib.loads(TOML)
    assert file.read_text() == TOML
    assert "nothing to do" in ctl("uninstall", "codex").out


def test_a_lost_note_or_backup_does_not_keep_the_entry_in(ctl: Ctl, home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    raw = place(file, JSON % "mcpServers")
    ctl("install", "cursor")
    for backup in file.parent.glob("*.backup"):
        backup.unlink()
    assert ctl("uninstall", "cursor").code == 0
    assert file.read_bytes() == raw
    ctl("install", "cursor")
    state_file().unlink()
    assert ctl("uninstall", "cursor").code == 0
    assert file.read_bytes() == raw
