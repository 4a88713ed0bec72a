"""Secrets in text: keys, tokens, passwords and card numbers, masked before anything is kept or sent. Pure.

The formats are those that issuers publish for secret scanners. A number is a card's where its digits pass Luhn's check. What
has no format of its own – a password – is known by the word in front of it.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable

__all__ = ["masked"]

_FORMATS: tuple[tuple[str, "re.Pattern[str]"], ...] = (
    ("private key", re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,20000}?"
        r"(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|\Z)"
    )),
    ("AWS key", re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b")),
    ("GitLab token", re.compile(r"\b(?:glpat|gldt|glrt|glcbt|glptt|glsoat)-[\w-]{20,64}")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[\w-]{10,250}|\bxapp-\d-[\w-]{10,250}|https://hooks\.slack\.com/(?:services|workflows)/[\w/+-]{20,200}")),
    ("Stripe key", re.compile(r"\b(?:sk|rk|pk|whsec)_(?:(?:live|test)_)?[0-9A-Za-z]{16,250}\b")),
    ("Anthropic key", re.compile(r"\bsk-ant-[\w-]{20,200}")),
    ("OpenAI key", re.compile(r"\bsk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,200}")),
    ("Google key", re.compile(r"\bAIza[\w-]{35}|\bya29\.[\w.-]{20,500}|\bGOCSPX-[\w-]{20,60}")),
    ("Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,64}\b")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("PyPI token", re.compile(r"\bpypi-[\w-]{50,400}")),
    ("SendGrid key", re.compile(r"\bSG\.[\w-]{16,40}\.[\w-]{16,80}")),
    ("Twilio key", re.compile(r"\b(?:SK|AC)[0-9a-f]{32}\b")),
    ("DigitalOcean token", re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}\b")),
    ("Telegram token", re.compile(r"\b\d{8,10}:AA[\w-]{33}\b")),
    ("age key", re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b")),
    ("JWT", re.compile(r"\beyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{8,4000}")),
    ("password in an address", re.compile(r"(?<=://)[^\s/:@]{1,200}:[^\s/@]{1,200}(?=@)")),
    ("bearer token", re.compile(r"(?<=\b[Bb]earer )[\w.~+/=-]{16,4000}")),
)  # fmt: skip
_NAMED = re.compile(
    r"(?P<what>\b(?:[\w-]{0,40}[_-])?(?:pass(?:word|wd|phrase|code)|pwd|secret(?:[ _-]?(?:access[ _-]?)?key)?|api[ _-]?key|"
    r"(?:access|auth|refresh|session|bot|api|bearer|security)[ _-]?token|token|private[ _-]?key|"
    r"client[ _-]?secret|encryption[ _-]?key|access[ _-]?key|recovery[ _-]?(?:code|phrase)|pin(?:[ _-]?(?:code|number))?|cvv2?|cvc2?|credentials?)s?)"
    r"(?P<between>[\"']?\s*(?:[:=]>?|\bis\b|\bwas\b|\bare\b|\bto\b)\s*(?:now |still |just |actually |called )?)(?P<quote>[\"'`“‘]?)(?P<value>[^\s\"'`”’,;]{3,400})",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?![\d-])")
_SOCIAL = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\d-])")
_RANDOM = re.compile(r"(?<![\w/+.=-])[A-Za-z0-9+_-]{36,400}={0,2}(?![\w/])")


def masked(text: str) -> tuple[str, dict[str, int]]:
    """`text` with a mark (`[masked: AWS key]`) in the place of every secret, and how many of each sort there were."""
    found: Counter[str] = Counter()

    def mark(sort: str) -> Callable[["re.Match[str]"], str]:
        def instead(_: "re.Match[str]") -> str:
            found[sort] += 1
            return f"[masked: {sort}]"

        return instead

    for sort, pattern in _FORMATS:
        text = pattern.sub(mark(sort), text)

    def named(match: "re.Match[str]") -> str:
        value = match["value"].rstrip(".!?)")
        strong = "=" in match["between"] or ":" in match["between"] or bool(match["quote"])
        if value.startswith("[masked") or not _secret_like(value, strong, match["what"]):
            return match[0]
        found["password" if match["what"].lower().endswith(("word", "wd", "phrase", "code")) else "secret"] += 1
        return f"{match['what']}{match['between']}{match['quote']}[masked: secret]{match['value'][len(value) :]}"

    text = _NAMED.sub(named, text)

    def card(match: "re.Match[str]") -> str:
        digits = re.sub(r"\D", "", match[0])
        if not 13 <= len(digits) <= 19 or not _luhn(digits) or len(set(digits)) < 2:
            return match[0]
        found["card number"] += 1
        return "[masked: card number]"

    text = _CARD.sub(card, text)
    text = _SOCIAL.sub(mark("social security number"), text)

    def random(match: "re.Match[str]") -> str:
        value = match[0]
        kinds = (any(map(str.islower, value)), any(map(str.isupper, value)), any(map(str.isdigit, value)))
        if not all(kinds) or _runs(value) * 3 < len(value):
            return value
        found["key"] += 1
        return "[masked: key]"

    return _RANDOM.sub(random, text), dict(found)


def _secret_like(value: str, strong: bool, what: str) -> bool:
    """Whether what stands behind `password is` may be one: `hunter2`, but not `expired`."""
    if (
        value.startswith(
            ("$", "{", "<", "%", "*", "•", "os.", "process.", "env", "config.", "None", "null", "true", "false")
        )
        or "(" in value
    ):
        return False
    low = what.lower()
    if low.startswith(("pin", "cvv", "cvc")):
        return value.isdigit() and 3 <= len(value) <= 8
    if low.rstrip("s") in ("token", "secret", "credential") and not strong and value.isalpha():
        return False
    mixed = (
        any(map(str.isdigit, value))
        or any(not char.isalnum() and char not in "-'" for char in value)
        or (value != value.lower() and not value.istitle() and not value.isupper())
    )
    return (mixed and len(value) >= 4) or (
        strong
        and len(value) >= 6
        and low.startswith(("pass", "pwd", "api", "client"))
        and value.lower()
        not in ("required", "optional", "string", "policy", "invalid", "incorrect", "missing", "changed")
    )


def _luhn(digits: str) -> bool:
    total = 0
    for place, char in enumerate(reversed(digits)):
        number = int(char)
        if place % 2:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0


def _runs(value: str) -> int:
    """How often letters, capitals and digits take turns: often in what a machine drew, seldom in what a person named."""
    sorts = ["a" if char.islower() else "A" if char.isupper() else "0" if char.isdigit() else "-" for char in value]
    return sum(1 for one, other in itertools.pairwise(sorts) if one != other)
