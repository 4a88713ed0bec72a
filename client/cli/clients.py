"""The MCP clients that are known: one table of where each keeps its servers, and in which form.

The page beside each is the documentation that its form was taken from. A client that is not documented is not here.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

__all__ = ["CLIENTS", "Client", "Launch", "Scope", "known", "launch", "project_root"]

Scope = Literal["user", "project"]
MCP_SERVERS = ("mcpServers",)
OFFICIAL = re.compile(r"@modelcontextprotocol/server-memory(?:@[^/]*)?")


@dataclass(frozen=True)
class Launch:
    """How a client starts a server."""

    command: str
    args: list[str] = field(default_factory=list[str])
    env: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def official(self) -> bool:
        """Whether this is the official memory server, by npx or any other way to run its package."""
        words = (self.command, *self.args)
        return any(OFFICIAL.fullmatch(word) for word in words) or Path(self.command).name == "mcp-server-memory"

    @property
    def ours(self) -> bool:
        """Whether this is `memory-mcp`."""
        return Path(self.command).name == "memory-mcp" or "enhanced_memory.mcp_server" in self.args


@dataclass(frozen=True)
class Hooks:
    """Where a client's hooks are kept, and under which names."""

    user: str
    project: str
    path: tuple[str, ...]
    recall: str
    recall_on: str
    capture: str


@dataclass(frozen=True)
class Client:
    """One client: its files by scope, what they are written in, where in them servers stand, and what an entry is.

    Several files are several places of which the first that is there is meant, else the first. `{NAME|PLACE}` is what
    the variable NAME says, else PLACE.
    """

    name: str
    title: str
    page: str
    form: Literal["json", "jsonc", "toml", "yaml"]
    entry: Callable[[Launch, str], dict[str, Any]]
    user: tuple[str, ...]
    mac: tuple[str, ...] = ()
    """Where the user's file is on macOS, if it is elsewhere."""
    project: tuple[str, ...] = ()
    path: tuple[str, ...] = MCP_SERVERS
    newer_path: tuple[str, ...] = ()
    """Where servers stand in a file that has this key; a second form that the client reads."""
    listed: bool = False
    """Whether servers are items of a list that carry their names."""
    server: str = "memory"
    """What the server is called there unless told otherwise."""
    start: str = ""
    """What a new file begins with, or a new file of a project."""
    project_start: str = ""
    mark: str = ""
    """A folder that shows that the client is there, if its file's folder does not."""
    program: str = ""
    hooks: Hooks | None = None

    def file(self, scope: Scope) -> Path | None:
        """The file of that scope; None where there is none for it."""
        user = self.mac if self.mac and sys.platform == "darwin" else self.user
        files = self.project if scope == "project" else user
        places = [_place(each, scope) for each in files]
        return next((place for place in places if place.exists()), places[0] if places else None)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that have a file of their own here: in the home folder, both may mean the same."""
        return ("user", "project") if self.file("project") not in (None, self.file("user")) else ("user",)

    @property
    def found(self) -> bool:
        """Whether the client seems to be on this machine."""
        if self.program and shutil.which(self.program):
            return True
        file = cast(Path, self.file("user"))
        return file.exists() or (_place(self.mark, "user").is_dir() if self.mark else file.parent.is_dir())


def _place(text: str, scope: Scope) -> Path:
    def said(found: re.Match[str]) -> str:
        return os.environ.get(found[1]) or found[2]

    path = Path(re.sub(r"\{(\w+)\|([^}]*)\}", said, text)).expanduser()
    return path if path.is_absolute() else (project_root() if scope == "project" else Path.home()) / path


def project_root() -> Path:
    """The folder that a project's files lie in: the nearest one above with `.git`, else the working directory."""
    here = Path.cwd()
    return next((place for place in (here, *here.parents) if (place / ".git").exists()), here)


def launch(entry: Any) -> Launch | None:
    """How the server of an entry is started, whatever the client; None where it is not started but reached."""
    if not isinstance(entry, dict):
        return None
    said = cast("dict[str, Any]", entry)
    command = said.get("command", said.get("cmd"))
    args: Any = said.get("args") or []
    if isinstance(command, list):
        command, args = (cast("list[Any]", command) or [None])[0], cast("list[Any]", command)[1:]
    env: Any = said.get("env") or said.get("envs") or said.get("environment")
    if not isinstance(command, str) or not isinstance(args, list):
        return None
    words = [str(word) for word in cast("list[Any]", args)]
    more = cast("dict[Any, Any]", env) if isinstance(env, dict) else {}
    return Launch(command, words, {str(key): str(value) for key, value in more.items()})


def _usual(launch: Launch, name: str) -> dict[str, Any]:
    del name
    env = {"env": launch.env} if launch.env else {}
    return {"command": launch.command, "args": launch.args, **env}


def _typed(launch: Launch, name: str) -> dict[str, Any]:
    return {"type": "stdio", **_usual(launch, name)}


def _zed(launch: Launch, name: str) -> dict[str, Any]:
    return {"source": "custom", **_usual(launch, name)}


def _named(launch: Launch, name: str) -> dict[str, Any]:
    return {"name": name, **_usual(launch, name)}


def _goose(launch: Launch, name: str) -> dict[str, Any]:
    return {
        "enabled": True,
        "type": "stdio",
        "name": name,
        "description": "Memory that lasts",
        "cmd": launch.command,
        "args": launch.args,
        "envs": launch.env,
        "timeout": 300,
    }


def _opencode(launch: Launch, name: str) -> dict[str, Any]:
    del name
    env = {"environment": launch.env} if launch.env else {}
    return {"type": "local", "command": [launch.command, *launch.args], **env}


CLIENTS: tuple[Client, ...] = (
    Client(
        "claude-code",
        "Claude Code",
        "https://code.claude.com/docs/en/mcp",
        "json",
        _typed,
        user=("~/.claude.json",),
        project=(".mcp.json",),
        mark="~/.claude",
        program="claude",
        # https://code.claude.com/docs/en/hooks: what SessionStart prints becomes context; input is JSON on stdin.
        hooks=Hooks(
            "~/.claude/settings.json",
            ".claude/settings.json",
            ("hooks",),
            recall="SessionStart",
            recall_on="startup|clear|compact",
            capture="SessionEnd",
        ),
    ),
    Client(
        "claude-desktop",
        "Claude Desktop",
        "https://modelcontextprotocol.io/quickstart/user",
        "json",
        _usual,
        user=("~/.config/Claude/claude_desktop_config.json",),
        mac=("~/Library/Application Support/Claude/claude_desktop_config.json",),
    ),
    Client(
        "cursor",
        "Cursor",
        "https://cursor.com/docs/mcp",
        "json",
        _usual,
        user=("~/.cursor/mcp.json",),
        project=(".cursor/mcp.json",),
        program="cursor",
    ),
    Client(
        "vscode",
        "VS Code",
        # The folder of a user's files: https://code.visualstudio.com/docs/configure/settings
        "https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
        "jsonc",
        _typed,
        user=("~/.config/Code/User/mcp.json",),
        mac=("~/Library/Application Support/Code/User/mcp.json",),
        project=(".vscode/mcp.json",),
        path=("servers",),
        program="code",
    ),
    Client(
        "windsurf",
        "Windsurf",
        "https://docs.windsurf.com/windsurf/cascade/mcp",
        "json",
        _usual,
        user=("~/.codeium/windsurf/mcp_config.json",),
        program="windsurf",
    ),
    Client(
        "gemini-cli",
        "Gemini CLI",
        # Its files: https://geminicli.com/docs/cli/configuration
        "https://geminicli.com/docs/tools/mcp-server",
        "jsonc",
        _usual,
        user=("~/.gemini/settings.json",),
        project=(".gemini/settings.json",),
        program="gemini",
    ),
    Client(
        "zed",
        "Zed",
        # Its files: https://zed.dev/docs/configuring-zed
        "https://zed.dev/docs/ai/mcp",
        "jsonc",
        _zed,
        user=("{XDG_CONFIG_HOME|~/.config}/zed/settings.json",),
        mac=("~/.config/zed/settings.json",),
        path=("context_servers",),
        program="zed",
    ),
    Client(
        "goose",
        "goose",
        "https://block.github.io/goose/docs/guides/config-files",
        "yaml",
        _goose,
        user=("~/.config/goose/config.yaml",),
        path=("extensions",),
        server="enhanced-memory",  # `memory` is an extension of its own there
        program="goose",
    ),
    Client(
        "codex",
        "Codex",
        "https://developers.openai.com/codex/mcp",
        "toml",
        _usual,
        user=("{CODEX_HOME|~/.codex}/config.toml",),
        project=(".codex/config.toml",),
        path=("mcp_servers",),
        program="codex",
    ),
    Client(
        "cline",
        "Cline",
        "https://docs.cline.bot/mcp/mcp-overview",
        "json",
        _usual,
        user=("{CLINE_MCP_SETTINGS_PATH|~/.cline/data/settings/cline_mcp_settings.json}",),
        mark="~/.cline",
        program="cline",
    ),
    Client(
        "continue",
        "Continue",
        "https://docs.continue.dev/customize/deep-dives/mcp",
        "yaml",
        _named,
        user=("~/.continue/config.yaml",),
        project=(".continue/mcpServers/enhanced-memory.yaml",),
        listed=True,
        start="name: Local Config\nversion: 1.0.0\nschema: v1\n",
        project_start="name: enhanced-memory\nversion: 0.0.1\nschema: v1\n",
    ),
    Client(
        "opencode",
        "OpenCode",
        # Servers stand in `mcp` in its first form, which https://opencode.ai/docs/migrate-v1 says goes on being read,
        # and in `mcp.servers` in its second: https://opencode.ai/v2/docs/mcp-servers
        "https://opencode.ai/v1/docs/mcp-servers",
        "jsonc",
        _opencode,
        user=("~/.config/opencode/opencode.json", "~/.config/opencode/opencode.jsonc"),
        project=("opencode.json", "opencode.jsonc"),
        path=("mcp",),
        newer_path=("mcp", "servers"),
        program="opencode",
    ),
)


def known(name: str) -> Client | None:
    """The client of that name."""
    return next((client for client in CLIENTS if client.name == name), None)
