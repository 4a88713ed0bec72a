"""Verbs about systemd: putting the units in place for the user or the system, and taking them away again."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.output import Paper, warn
from enhanced_memory.client.errors import Broken, Denied, Invalid
from enhanced_memory.client.launch import dial
from enhanced_memory.client.settings import PERSONAL, PREFIX, Settings

__all__ = ["UNITS"]

UNITS = Path(__file__).parents[2] / "systemd"
MARK = "# Put here by `memoryctl install-service`; `memoryctl uninstall-service` takes it away.\n"
ENABLED = ("memory-db.socket", "memory-mcp.socket", "memory-embed.socket", "memory-backup.timer")
ACCOUNT = "enhanced-memory"
HOME = "/var/lib/enhanced-memory"
SYSTEM_FOLDER = Path("/etc/systemd/system")


@dataclass
class Plan:
    """What is written, what is run, and what stays to be done by hand."""

    manager: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    commands: list[list[str]] = field(default_factory=list[list[str]])
    notes: list[str] = field(default_factory=list[str])
    done: bool = False


@verb(
    "install-service",
    "Put the systemd units in place and start them: socket, MCP socket, nightly backup.",
    argument("--system", action="store_true", help="for the whole machine, as an account of its own (needs root)"),
    argument("--dry-run", action="store_true", help="only say what would be written and run"),
)
def install_service(call: Call) -> Answer:
    """Without --system, for the user who asks: memories stay where they are, and the daemon is systemd's. What runs is this
    installation. A daemon that was started on demand is ended first. Files that somebody else put there are not replaced.
    """
    plan = _planned(call.given.system, call.settings)
    if not call.given.dry_run:
        _check(plan, call.given.system)
        _end_on_demand(call.settings)
        for name, text in plan.files.items():
            path = Path(name)
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        _run(plan.commands)
        plan.done = True
    return Answer(msgspec.to_builtins(plan), lambda paper: _tell(paper, plan))


@verb(
    "uninstall-service",
    "Stop the systemd units and take them away; memories and backups stay.",
    argument("--system", action="store_true", help="those of the whole machine (needs root)"),
    argument("--dry-run", action="store_true", help="only say what would be run and deleted"),
)
def uninstall_service(call: Call) -> Answer:
    """Only files that `install-service` wrote are deleted. The account of the system form stays, for it owns the memories."""
    system = call.given.system
    ours = [path for path in map(Path, _planned(system, call.settings).files) if _ours(path)]
    control = _control(system)
    services = [name.replace(".socket", ".service").replace(".timer", ".service") for name in ENABLED]
    # One for each connection: a pattern, which may match none.
    services = [name.replace("memory-embed.", "memory-embed@*.") for name in services]
    plan = Plan("system" if system else "user", {str(path): "" for path in ours})
    if ours:
        # An installation of before may have had fewer: one that is not there cannot be stopped.
        enabled = [name for name in ENABLED if any(path.name == name for path in ours)]
        plan.commands = [
            [*control, "disable", "--now", *enabled],
            [*control, "stop", *services],
            [*control, "daemon-reload"],
        ]
    if ours and not call.given.dry_run:
        _check(plan, system, writing=False)
        _run(plan.commands[:2])
        for path in ours:
            path.unlink(missing_ok=True)
            if path.parent.name.endswith(".d") and not any(path.parent.iterdir()):
                path.parent.rmdir()
        _run(plan.commands[2:])
        plan.done = True

    def tell(paper: Paper) -> None:
        if not ours:
            paper.line("There are no units of ours.")
            return
        for path in ours:
            paper.line(f"{'deleted' if plan.done else 'would delete'} {path}")
        for command in plan.commands:
            paper.line(f"{'ran' if plan.done else 'would run'} {' '.join(command)}")

    return Answer(msgspec.to_builtins(plan), tell)


def _planned(system: bool, settings: Settings) -> Plan:
    plan = Plan("system" if system else "user")
    folder = SYSTEM_FOLDER if system else _user_folder()
    commands = Path(sys.executable).parent
    for unit in sorted(UNITS.iterdir()):
        if unit.suffix in (".service", ".socket", ".timer"):
            plan.files[str(folder / unit.name)] = MARK + unit.read_text("utf-8")
        elif system and unit.name.endswith(".system.conf"):
            name = unit.name.removesuffix(".system.conf")
            plan.files[str(folder / f"{name}.d" / "system.conf")] = MARK + unit.read_text("utf-8")
    for name in ("memory-db", "memory-mcp", "memory-backup", "memory-embed@"):
        # The installation that asks is the one that runs. Later than system.conf by the alphabet.
        text = f"{MARK}[Service]\nExecSearchPath=\nExecSearchPath={commands}:/usr/local/bin:/usr/bin:/bin\n"
        plan.files[str(folder / f"{name}.service.d" / "where.conf")] = text
    control = _control(system)
    if system:
        plan.commands.append(
            ["useradd", "--system", "--user-group", "--home-dir", HOME, "--shell", "/usr/sbin/nologin", ACCOUNT]
        )
        plan.notes.append(f"Let people in: usermod -aG {ACCOUNT} NAME; they are clients from their next login on.")
        if _beneath_home(commands):
            plan.notes.append(
                f"{commands} cannot be seen by a system unit (ProtectHome=): install beneath /opt or /usr."
            )
    else:
        plan.notes.append("To keep it running while you are logged out: loginctl enable-linger")
    plan.commands += [[*control, "daemon-reload"], [*control, "enable", "--now", *ENABLED]]
    said = [name for name in _in_environment(settings) if name not in PERSONAL]
    if said:
        plan.notes.append(
            f"{', '.join(PREFIX + name.upper() for name in said)} hold here and not for the service: put them into the settings file."
        )
    return plan


def _in_environment(settings: Settings) -> list[str]:
    del settings
    return sorted(
        name.removeprefix(PREFIX).lower() for name in os.environ if name.startswith(PREFIX) and os.environ[name]
    )


def _user_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path("~/.config").expanduser()) / "systemd" / "user"


def _control(system: bool) -> list[str]:
    return ["systemctl"] if system else ["systemctl", "--user"]


def _beneath_home(folder: Path) -> bool:
    return any(folder.is_relative_to(home) for home in ("/home", "/root", "/run/user"))


def _ours(path: Path) -> bool:
    try:
        return path.read_text("utf-8").startswith(MARK)
    except (OSError, UnicodeDecodeError):
        return False


def _check(plan: Plan, system: bool, *, writing: bool = True) -> None:
    """Refuse before anything is changed what would fail half way."""
    if system and os.getuid() != 0:
        raise Denied("The system's units are root's affair.", "sudo, or leave out --system")
    if shutil.which("systemctl") is None:
        raise Invalid(
            "There is no systemctl here.", "without systemd the daemon is started on demand; nothing is needed"
        )
    if not writing:
        _reach(_control(system), system)
        return
    foreign = [path for path in map(Path, plan.files) if path.exists() and not _ours(path)]
    if foreign:
        raise Invalid(f"{foreign[0]} is there and was not put there by us.", "move it away, and run this again")
    commands = Path(sys.executable).parent
    missing = [
        name for name in ("memory-db", "memory-mcp", "memoryctl", "backup_memory.sh") if not (commands / name).exists()
    ]
    if missing:
        raise Invalid(
            f"{commands} has no {missing[0]}.", "install the package, and run the memoryctl of that installation"
        )
    if system and _beneath_home(commands):
        raise Invalid(f"{commands} cannot be seen by a system unit.", "install beneath /opt or /usr")
    _reach(_control(system), system)


def _reach(control: list[str], system: bool) -> None:
    """Refuse where the manager that is to take the units does not answer."""
    asked = subprocess.run([*control, "show", "--property=Version"], capture_output=True, text=True, check=False)
    if asked.returncode:
        said = asked.stderr.strip().rstrip(".") or f"it ended with {asked.returncode}"
        raise Invalid(
            f"systemd does not answer: {said}.",
            "boot with systemd, or let clients start the daemon on demand"
            if system
            else "log in as this user (by ssh, at the console, with `machinectl shell`; `su` and `sudo` do not reach its manager), "
            "or use --system; without systemd the daemon is started on demand and nothing is needed",
        )


def _end_on_demand(settings: Settings) -> None:
    """End a daemon that holds the socket's place; the units take over."""
    peer = dial(settings.socket_path, settings.connect_timeout_s)
    if peer is not None:
        peer.close()
        subprocess.run(
            [sys.executable, "-P", "-m", "enhanced_memory.client.cli", "stop"], check=False, capture_output=True
        )


def _run(commands: list[list[str]]) -> None:
    for command in commands:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode and not (command[0] == "useradd" and ran.returncode == 9):  # 9: it is there already
            if command[1:2] == ["stop"] or "stop" in command:
                warn(ran.stderr.strip())
                continue
            raise Broken(
                f"`{' '.join(command)}` failed: {ran.stderr.strip() or ran.returncode}.", "see `systemctl status`"
            )


def _tell(paper: Paper, plan: Plan) -> None:
    for name in plan.files:
        paper.line(f"{'wrote' if plan.done else 'would write'} {name}")
    for command in plan.commands:
        paper.line(f"{'ran' if plan.done else 'would run'} {' '.join(command)}")
    for note in plan.notes:
        paper.line(note, "yellow")
    if plan.done:
        paper.line("The daemon starts with the first connection: try `memoryctl health`.")
