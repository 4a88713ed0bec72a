"""What MCP clients talk to. Imports nothing: the command must start fast, and FastMCP takes its time."""
