"""Secrets are masked, each counted under its sort; what only looks like one is left."""

import pytest

from enhanced_memory.daemon.extraction.secrets import masked

# Put together here, so that no scanner takes this file for a leak.
KEYS = {
    "AWS key": "AKIA" + "IOSFODNN7EXAMPLE",
    "GitHub token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "GitLab token": "glpat-" + "abcDEF123456ghiJKL78",
    "Slack token": "xoxb-" + "123456789012-abcdefABCDEF",
    "Stripe key": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "Anthropic key": "sk-ant-" + "api03-abcdefghijklmnopqrstuvwxyz",
    "OpenAI key": "sk-proj-" + "abcdefghijklmnopqrstuvwx1234",
    "Google key": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
    "bearer token": "Authorization: Bearer " + "abcdef0123456789abcdef",
}


@pytest.mark.parametrize("sort", sorted(KEYS))
def test_a_key_of_a_known_format_is_masked_and_counted(sort: str) -> None:
    text, found = masked(f"It is {KEYS[sort]}, keep it safe.")
    assert found == {sort: 1}
    assert KEYS[sort].split()[-1] not in text
    assert text.startswith("It is ")
    assert text.endswith(", keep it safe.")


@pytest.mark.parametrize(
    "text",
    [
        "My password is hunter2.",
        'password: "correct-horse7"',
        "export DB_PASSWORD=s3cr3tpw",
        "api_key = 9f8e7d6c5b4a",
        "The client secret is Zx9-Qw3-Rt7.",
        "my pin is 4711",
        "postgres://admin:pa55w0rd@db.example/app",
        "use the token 'abc123def456' with it: token=abc123def456",
    ],
)
def test_what_follows_the_word_for_a_secret_is_masked(text: str) -> None:
    clean, found = masked(text)
    assert sum(found.values()) >= 1
    for secret in (
        "hunter2",
        "correct-horse7",
        "s3cr3tpw",
        "9f8e7d6c5b4a",
        "Zx9-Qw3-Rt7",
        "4711",
        "pa55w0rd",
        "=abc123def456",
    ):
        assert secret not in clean


@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"])
def test_a_number_that_passes_the_check_of_cards_is_masked(number: str) -> None:
    assert masked(f"Pay with {number} please.") == ("Pay with [masked: card number] please.", {"card number": 1})


@pytest.mark.parametrize(
    "text",
    [
        "The password is expired.",
        "The token was invalid, so I asked for another.",
        "My secret is that I like pineapple.",
        "Order 4111 1111 1111 1112 has no card's number in it.",
        "Commit 3f786850e387550fdab836ed7e6dc881de23001b broke it.",
        "Call me at +44 20 7946 0958 on 2026-11-21.",
        "The passwords have to be hashed with Argon2.",
        "password: ${DB_PASSWORD}",
        "https://example.org/a/very/long/path/with/many/parts/and/a-slug-of-some-length",
        "this_is_a_very_long_function_name_that_says_what_it_does_in_words",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert masked(text) == (text, {})


def test_masking_twice_masks_nothing_more() -> None:
    for secret in KEYS.values():
        once, _ = masked(f"key {secret}")
        assert masked(once) == (once, {})
