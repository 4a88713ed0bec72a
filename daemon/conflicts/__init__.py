"""Conflicts: what two memories are to each other, judged without a model of language and without I/O."""
