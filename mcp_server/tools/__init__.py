"""The tools, as data: what each is called, takes, asks of the daemon and answers. Knows nothing of FastMCP."""
