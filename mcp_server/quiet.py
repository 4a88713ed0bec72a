"""What FastMCP may read and say in our processes. Call `isolate` before anything imports it."""

import logging
import os
import sys

__all__ = ["isolate"]


def isolate() -> None:
    """Keep FastMCP to our settings and stderr to our words.

    It would read `.env` in the working directory, which is somebody's project, ask a package index for updates, and log
    every refused call. The SDK logs messages that it cannot read, memories and all. Standard error is kept for faults.
    """
    for name in [name for name in os.environ if name.startswith("FASTMCP_")]:
        del os.environ[name]
    os.environ["FASTMCP_ENV_FILE"] = os.devnull
    os.environ["FASTMCP_LOG_ENABLED"] = "false"
    os.environ["FASTMCP_CHECK_FOR_UPDATES"] = "off"
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="memory-mcp: %(message)s")
    for name in ("fastmcp", "mcp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
