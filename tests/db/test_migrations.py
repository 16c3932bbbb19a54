"""The schema goes forward only, step by step, and the release before goes on beside it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from alembic import command

from app.db import schema
from app.db.engine import Database, sqlite_url
from app.db.schema import (
    DatabaseBehind,
    DatabaseNewer,
    MigrationStopped,
    check_current,
    is_served,
    migrate,
    missing_steps,
    revision_of,
)
from tests.databases import DATABASES, opened

VERSIONS = sorted((schema.MIGRATIONS / "versions").glob("0*.py"))
NEWEST = VERSIONS[-1].name[:4]


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    """A database that stands at the second revision."""
    url = DATABASES.empty(tmp_path, kind=request.param)
    database = Database(url)
    command.upgrade(schema._config(database, (4, 60)), "0002")
    yield database
    database.close()
    DATABASES.drop(url)


# --- doing it ------------------------------------------------------------------------------------


def test_migrating_twice_changes_nothing(database):
    assert is_served(database)
    assert migrate(database) == []
    check_current(database)
    assert revision_of(database) == NEWEST


def test_an_empty_database_is_served_only_once_it_is_migrated(tmp_path):
    database = Database(sqlite_url(tmp_path / "new.db"))
    assert not is_served(database)
    assert [step.revision for step in migrate(database)] == [path.name[:4] for path in VERSIONS]
    assert is_served(database)
    database.close()


def test_what_would_be_done_is_told_and_not_done(old):
    steps = missing_steps(old)
    assert [step.revision for step in steps] == [path.name[:4] for path in VERSIONS[2:]]
    assert all(step.title for step in steps)
    assert revision_of(old) == "0002"


def test_a_database_that_is_behind_is_refused_until_it_is_migrated(old):
    with pytest.raises(DatabaseBehind) as found:
        check_current(old)
    assert found.value.params == {"revision": "0002", "newest": NEWEST}
    assert migrate(old)
    check_current(old)


def test_a_database_of_a_later_release_is_served_and_never_migrated(database):
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    check_current(database)
    for act in (missing_steps, migrate):
        with pytest.raises(DatabaseNewer) as found:
            act(database)
        assert found.value.params == {"revision": "9999", "newest": NEWEST}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_index_that_is_gone_stays_so(kind, tmp_path):
    url = DATABASES.empty(tmp_path, kind=kind)
    database = Database(url)
    command.upgrade(schema._config(database, (4, 60)), "0027")
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX side_index_digest")
    migrate(database)
    assert is_served(database)
    database.close()
    DATABASES.drop(url)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_step_waits_for_a_lock_no_longer_than_it_is_told(kind, tmp_path):
    """Behind a long reader it would stop every writer behind itself."""
    url = DATABASES.empty(tmp_path, kind=kind)
    database, reader = Database(url), Database(url)
    command.upgrade(schema._config(database, (4, 60)), "0002")
    with reader.read() as connection:
        connection.exec_driver_sql("SELECT * FROM log_state")
        with pytest.raises(MigrationStopped) as found:
            migrate(database, lock_timeout_s=0.2)
    assert found.value.key == "migration_waited"
    assert not is_served(database)
    migrate(database, lock_timeout_s=0.2)  # the turn was given back, too
    assert is_served(database)
    for one in (database, reader):
        one.close()
    DATABASES.drop(url)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_statement_runs_no_longer_than_it_is_told(kind, tmp_path, monkeypatch):
    url = DATABASES.empty(tmp_path, kind=kind)
    database = Database(url)
    migrate(database)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
        connection.exec_driver_sql(
            "CREATE FUNCTION slowly() RETURNS event_trigger LANGUAGE plpgsql "
            "AS $$BEGIN PERFORM pg_sleep(5); END$$"
        )
        connection.exec_driver_sql(
            "CREATE EVENT TRIGGER slow ON ddl_command_start EXECUTE FUNCTION slowly()"
        )
    with pytest.raises(MigrationStopped) as found:
        migrate(database, statement_timeout_s=0.2)
    assert (found.value.key, found.value.params["at"]) == ("migration_too_long", "0002")
    database.close()
    DATABASES.drop(url)


# --- the release before goes on ------------------------------------------------------------------

# Made before anything was released: no program in use knows the keys that these change.
EXCUSED = {"0003": "tile and checkpoint get the log's number into their keys"}

_TAKES_AWAY = {"drop_table", "drop_column", "drop_constraint", "rename_table"}
_NARROWS = {"create_unique_constraint", "create_foreign_key", "create_check_constraint"}
_SQL = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|CONSTRAINT|VIEW|FUNCTION)|\bRENAME\b|\bSET\s+NOT\s+NULL"
    r"|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE|\bTRUNCATE\b",
    re.IGNORECASE,
)


def harm(source: str) -> list[str]:
    """Returns what in a migration the release before could not bear: it must only add."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    new = {first(call) for call in calls if name_of(call) == "create_table"}
    found = []
    for call in calls:
        name, given = name_of(call), {word.arg: word.value for word in call.keywords}
        if name in _TAKES_AWAY:
            found.append(f"{name} {first(call)}")
        elif name == "alter_column" and set(given) & {"new_column_name", "type_"}:
            found.append(f"alter_column {first(call)}")
        elif name == "alter_column" and is_constant(given.get("nullable"), False):
            found.append(f"not null {first(call)}")
        elif name in _NARROWS or (
            name == "create_index" and is_constant(given.get("unique"), True)
        ):
            table = call.args[1] if len(call.args) > 1 else None
            if getattr(table, "value", None) not in new:
                found.append(f"{name} {first(call)}")
        elif name == "add_column":
            column = next(a for a in ast.walk(call) if name_of(a) == "Column")
            told = {word.arg: word.value for word in column.keywords}
            if is_constant(told.get("nullable"), False) and "server_default" not in told:
                found.append(f"add_column {first(call)}: not null without a default")
        elif name in ("execute", "exec_driver_sql", "text"):
            text = " ".join(
                node.value
                for node in ast.walk(call)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )
            found += [f"{name}: {match.group()}" for match in _SQL.finditer(text)]
    return found


def name_of(node: ast.AST) -> str:
    return (
        node.func.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        else ""
    )


def first(call: ast.Call) -> str:
    return str(getattr(call.args[0], "value", "?")) if call.args else "?"


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("path", VERSIONS[2:], ids=lambda path: path.name[:4])
def test_a_migration_only_adds(path: Path):
    found = harm(path.read_text("utf-8"))
    if path.name[:4] in EXCUSED:
        assert found, "it is excused and needs no excuse"
        pytest.skip(f"{EXCUSED[path.name[:4]]}: {found}")
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'op.drop_table("scan")',
        'op.drop_column("head", "state")',
        'op.rename_table("head", "heads")',
        'op.alter_column("head", "seq", new_column_name="place")',
        'op.alter_column("head", "seq", type_=sa.Text())',
        'op.alter_column("offer", "title", nullable=False)',
        'op.add_column("head", sa.Column("x", sa.Text(), nullable=False))',
        'op.create_unique_constraint("u", "head", ["name"])',
        'op.create_index("u", "head", ["name"], unique=True)',
        'op.execute("ALTER TABLE head DROP COLUMN state")',
        'op.execute("ALTER TABLE offer ALTER COLUMN title SET NOT NULL")',
        'with op.batch_alter_table("head") as batch:\n    batch.drop_column("state")',
    ],
)
def test_what_the_release_before_could_not_bear_is_seen(line):
    assert harm(line)


@pytest.mark.parametrize(
    "line",
    [
        'op.add_column("head", sa.Column("x", sa.Text(), nullable=True))',
        'op.add_column("head", sa.Column("x", sa.BigInteger(), nullable=False, server_default="0"))',
        'op.create_table("t", sa.Column("a", sa.Text(), nullable=False))\n'
        'op.create_index("u", "t", ["a"], unique=True)',
        'op.create_index("i", "head", ["name"])',
        'op.alter_column("head", "name", nullable=True)',
        'op.execute("UPDATE head SET state = state")',
    ],
)
def test_what_only_adds_is_let_through(line):
    assert harm(line) == []


def test_the_release_before_writes_on_with_a_column_that_it_does_not_know(old):
    """In the words of the release before: an INSERT that names the columns it knows."""
    with opened(old.url) as run:
        run("INSERT INTO log_state (id, origin, size, root, edge) VALUES (1, 'o', 0, x'00', x'')")
    migrate(old)
    with opened(old.url) as run:
        assert [tuple(row) for row in run("SELECT epoch, anchor FROM log_state")] == [(0, None)]
