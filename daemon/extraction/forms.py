"""The forms of English verbs: base, third person, past, participle, gerund."""

__all__ = ["conjugated"]


def conjugated(verbs: frozenset[str], irregular_verbs: str) -> dict[str, tuple[str, str]]:
    """Each form of each verb: the verb, and `b` for its base, `s` third person, `d` past, `n` participle, `g` gerund."""
    table: dict[str, tuple[str, str]] = {}
    irregular: set[str] = set()
    for line in irregular_verbs.replace("\n", "").split(";"):
        base, *others = line.split()
        irregular.add(base)
        for word, form in zip(others, "sdng", strict=True):
            table.setdefault(word, (base, form))
        table[base] = (base, "b")
    for verb in sorted(verbs - irregular):
        stem = verb[:-1] if verb.endswith("e") else verb
        third = verb + ("es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")
        past, gerund = stem + "ed", stem + "ing"
        if verb.endswith("y") and verb[-2] not in "aeiou":
            third, past = verb[:-1] + "ies", verb[:-1] + "ied"
        table[verb] = (verb, "b")
        for word, form in ((third, "s"), (past, "d"), (gerund, "g")):
            table.setdefault(word, (verb, form))
        if verb[-1] in "bdgklmnprtv" and verb[-2] in "aeiou" and verb[-3:-2] not in "aeiou":
            doubled = verb + verb[-1]
            table.setdefault(doubled + "ed", (verb, "d"))
            table.setdefault(doubled + "ing", (verb, "g"))
    return table
