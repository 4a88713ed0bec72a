"""`memory-mcp`: what an MCP client launches. Imports nothing that a relay does not need, for every session starts here."""

import os
import sys

__all__ = ["main"]

EPILOG = """\
An MCP client runs it with no arguments and talks to it on stdio. It copies what is said to and from a host, one process
that all sessions share and that is started when it is first needed. Settings come from ENHANCED_MEMORY_* variables and
the configuration file (`memoryctl config` lists them): ENHANCED_MEMORY_SPACE is the space to work in,
ENHANCED_MEMORY_STORE the file that holds everything, ENHANCED_MEMORY_PROFILE what `--profile` would say.
MEMORY_FILE_PATH is read as the official memory server reads it.

`memory-mcp host` is the host itself, for systemd; relays start it by themselves.

`memory-mcp run FILE` runs Python over the memory, in the sandbox of execute_code; `memory-mcp check` says what holds it.

`memory-mcp http` serves HTTP to this machine, for those who have a token from `memory-mcp token`.
"""


def main() -> int:
    """Serve until the client closes stdin; 2 where the settings cannot be used."""
    given = sys.argv[1:]
    if not given:
        return _relayed(os.environ.get("ENHANCED_MEMORY_PROFILE") or "core")
    if len(given) == 2 and given[0] == "--profile":
        return _relayed(given[1])
    if given[0] in ("http", "--http", "token"):
        return _http(given[0], given[1:])
    if given[0] in ("run", "check"):
        from enhanced_memory.mcp_server.sandbox import command

        return command.run(given[1:]) if given[0] == "run" else command.check(given[1:])
    return _told(given)


def _http(verb: str, given: list[str]) -> int:
    if verb == "token":
        from enhanced_memory.mcp_server import tokens

        return tokens.command(given)
    from enhanced_memory.mcp_server import quiet

    quiet.isolate()
    from enhanced_memory.mcp_server import http

    return http.command(given)


def _relayed(profile: str) -> int:
    from enhanced_memory.mcp_server.relay import relay

    if os.isatty(0):
        print("memory-mcp: waiting for an MCP client on stdin; Ctrl-D ends, --help says more", file=sys.stderr)
    relay(profile)
    # Not in this process: it may have been started without the packages that a relay does not need.
    # -P: the folder that the client stands in is no place to import from.
    module = ["-P", "-m", "enhanced_memory.mcp_server", "--no-relay", "--profile", profile]
    os.execv(sys.executable, [sys.executable, *module])


def _told(given: list[str]) -> int:
    """What the arguments ask for, where they ask for more than a relay."""
    import argparse
    from importlib.metadata import version

    parser = argparse.ArgumentParser(
        prog="memory-mcp",
        description="Serve enhanced-memory to an MCP client on stdio.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"memory-mcp {version('enhanced-memory')}")
    parser.add_argument(
        "--profile", default=os.environ.get("ENHANCED_MEMORY_PROFILE") or "core", help="which tools are shown"
    )
    parser.add_argument("--no-relay", action="store_true", help="serve in this process, without a host")
    verbs = parser.add_subparsers(dest="verb")
    host = verbs.add_parser(
        "host", help="serve the sessions of relays on the socket that systemd or a relay hands over"
    )
    host.add_argument("--on-demand", action="store_true", help="leave after `idle_exit_s` without a session")
    parsed = parser.parse_args(given)
    if parsed.verb == "host":
        return _host(parsed.on_demand)
    return _alone(parsed.profile) if parsed.no_relay else _relayed(parsed.profile)


def _host(on_demand: bool) -> int:
    import asyncio

    from enhanced_memory.client.errors import Error
    from enhanced_memory.client.settings import Settings
    from enhanced_memory.mcp_server import quiet

    os.chdir("/")
    os.umask(0o077)
    quiet.isolate()
    # Imported only now: FastMCP reads the environment while it is imported.
    from enhanced_memory.client.launch import inherited
    from enhanced_memory.mcp_server import host

    listener = inherited()
    if listener is None:
        print(
            "memory-mcp: a host is handed its socket by systemd or by a relay; run `memory-mcp` instead",
            file=sys.stderr,
        )
        return 2
    try:
        settings = Settings.load()
    except Error as problem:
        print(f"memory-mcp: {problem}", file=sys.stderr)
        asyncio.run(host.refuse(listener, owns_socket=on_demand))
        return 2

    async def serve() -> None:
        await host.Host(settings, listener, on_demand=on_demand, owns_socket=on_demand).run()

    asyncio.run(serve())
    return 0


def _alone(profile: str) -> int:
    import asyncio
    import signal

    from enhanced_memory.client.errors import Error
    from enhanced_memory.mcp_server import quiet

    quiet.isolate()
    # A thread blocks on stdin: Python's own Ctrl-C would wait for it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from enhanced_memory.mcp_server import alone

    try:
        asyncio.run(alone.serve(profile))
    except Error as problem:
        print(f"memory-mcp: {problem}", file=sys.stderr)
        return 2
    sys.stderr.flush()
    os._exit(0)  # the thread on stdin is not waited for


if __name__ == "__main__":
    sys.exit(main())
