"""Processes beside the daemon that answer searches while many ask at once: one process of Python uses little more than one core."""
