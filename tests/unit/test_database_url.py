"""The URL of a database: told without its password, and completed by what the environment names."""

import pytest

from enhanced_memory.client.database_url import completed, from_environment, meant_for, without_password
from enhanced_memory.client.settings import PREFIX, Settings

THEIRS = {"DB_HOST": "db.example", "DB_PORT": "5433", "DB_NAME": "world", "DB_USER": "ada", "DB_PASSWORD": "s3cret"}


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        (THEIRS, "postgresql://ada@db.example:5433/world"),
        ({"POSTGRES_HOST": "h", "POSTGRES_USER": "a@b"}, "postgresql://a%40b@h/"),
        ({"POSTGRES_DB": "memorizz", "POSTGRES_USER": "postgres"}, "postgresql://postgres@localhost/memorizz"),
        ({"DB_HOST": "/run/postgresql", "DB_NAME": "m", "DB_PORT": "5433"}, "postgresql:///m?host=/run/postgresql&port=5433"),
        ({"DB_HOST": "::1", "DB_PORT": "5433"}, "postgresql://[::1]:5433/"),
        (THEIRS | {"POSTGRES_HOST": "nearer"}, "postgresql://nearer/"),
        (THEIRS | {"PGHOST": "libpq knows"}, "postgresql://"),
        (THEIRS | {"PGSERVICE": "libpq knows"}, "postgresql://"),
        ({"DB_USER": "ada", "DB_PASSWORD": "s3cret"}, "postgresql://"),
        ({}, "postgresql://"),
    ],
    ids=["all", "quoted", "localhost", "socket", "six", "nearest", "host", "service", "nowhere", "nothing"],
)  # fmt: skip
def test_a_url_that_names_no_place_means_the_one_that_the_environment_names(
    environment: dict[str, str], url: str
) -> None:
    assert completed("postgresql://", environment) == url
    assert "s3cret" not in Settings.load({"store": "postgresql://"}, environment).store


def test_what_a_url_says_beside_the_place_is_kept() -> None:
    assert (
        completed("postgresql://?sslmode=require", THEIRS) == "postgresql://ada@db.example:5433/world?sslmode=require"
    )


@pytest.mark.parametrize(
    "url",
    ["postgresql://h/m", "postgresql:///m", "postgresql://me@/", "postgresql://?service=s", "postgresql://?host=/run", "/a/file.db"],
)  # fmt: skip
def test_a_store_that_is_named_is_that_one_whatever_the_environment_says(url: str) -> None:
    assert completed(url, THEIRS) == url
    settings = Settings.load({"store": url}, THEIRS | {"DB_POOL_SIZE": "7"})
    assert (settings.store, settings.readers) == (url, 2)


def test_without_a_setting_a_file_is_the_store_whatever_the_environment_says() -> None:
    assert not Settings.load({}, THEIRS).database


def test_the_pool_is_as_large_as_the_environment_says_unless_a_setting_does() -> None:
    pool = THEIRS | {"DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "10"}
    settings = Settings.load({"store": "postgresql://"}, pool)
    assert (settings.readers, settings.pool_overflow) == (5, 10)
    assert Settings.load({"store": "postgresql://", "readers": 3}, pool).readers == 3
    assert settings.environment({})[PREFIX + "READERS"] == "5"


def test_a_url_is_told_without_its_password_and_else_as_it_is() -> None:
    for url in ("postgresql:///m?host=/run", "postgresql://h", "postgres://ada@h:1/m?sslmode=require"):
        assert without_password(url) == url
    assert without_password("postgresql://:s3cret@/m?host=/run&password=s3cret") == "postgresql://@/m?host=/run"


def test_a_password_is_given_to_the_place_that_it_is_named_with() -> None:
    named = from_environment(THEIRS)
    assert named is not None
    assert named.password == "s3cret"
    assert meant_for("postgresql://ada@db.example:5433/world?sslmode=require", named)
    for other in (
        "postgresql://ada@elsewhere:5433/world",
        "postgresql://bob@db.example:5433/world",
        "postgresql://ada@db.example:5433/other",
    ):
        assert not meant_for(other, named)
