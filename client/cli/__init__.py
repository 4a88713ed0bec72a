"""memoryctl: the memory from a shell. `__main__` reads the command line; the chapters hold the verbs."""
