"""The law of the house. Each rule says why it is one; a bug that could return becomes a rule here.

A rule about something that does not exist yet is skipped, visibly, and holds from the moment that
its file appears.
"""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import string
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "app"

MAX_LINES = 400
# A longer file needs a reason that a reader would accept.
LONGER = {
    "app/rooms.py": "joins every room; to join some elsewhere would be worse",
    "app/db/tables.py": "every table in one place, until that hurts",
    "app/web/pages/views.py": "one dataclass a thing on the pages; cut it when a second page comes",
}

# Plain values in, plain values out. What a chain means must be readable, testable and portable
# without a database, a network or a framework.
PURE = {
    "app.kit",
    "app.ledger.record",
    "app.ledger.merkle",
    "app.ledger.note",
    "app.ledger.signatures",
    "app.ledger.checkpoint",
    "app.ledger.cosign",
    "app.ledger.policy",
    "app.ledger.tiles",
    "app.ledger.bundle",
    "app.ledger.bundle_heads",
    "app.ledger.bundle_shape",
    "app.ledger.bundle_steps",
    "app.ledger.headmap",
    "app.ledger.headpages",
    "app.ledger.submission",
    "app.trace.gtin",
    "app.trace.code",
    "app.trace.identifiers",
    "app.trace.fields",
    "app.trace.events",
    "app.trace.life_facts",
    "app.trace.life_table",
    "app.trace.sides",
    "app.trace.spoken",
    "app.trace.gaps",
    "app.trace.lifecycle",
    "app.trace.replay",
    "app.trace.voices",
    "app.trace.detectors",
    "app.parties.account_rules",
    "app.parties.identity",
    "app.parties.licences",
    "app.parties.roles",
    "app.parties.registration",
    "app.parties.standing",
    "app.credit.rules",
    "app.credit.fields",
    "app.credit.document_kinds",
    "app.credit.loader",
    "app.credit.history",
    "app.credit.policy",
    "app.credit.workdays",
    "app.credit.ranking",
    "app.credit.advice",
    "app.credit.raising",
    "app.credit.months",
    "app.trace.words",
    "app.trace.typos",
    "app.exchange.breaker",
    "app.exchange.change",
    "app.exchange.package",
    "app.labels",
    "app.i18n",
}
# The entries: they may read settings, and join rooms into a program.
ENTRIES = {
    "app.cli",
    "app.demo",
    "app.bench",
    "app.main",
    "app.rooms",
    "app.worker",
    "app.setup",
    "app.opening",
    "app.terminal",
    "app.serving",
    "app.forked",
    "app.rotating",
    "app.exchanging",
    "app.joining",
    "app.witnessing",
    "app.crediting",
    "app.labelling",
    "app.admitting",
    "app.importing",
    "app.upkeep",
}
PRINTERS = ("app/cli", "app/demo", "app/bench")

# Declared, but reached in another way than by an import of ours.
USED_WITHOUT_IMPORT = {
    "python-multipart": "FastAPI parses forms with it",
    "psycopg": "SQLAlchemy loads it by the database's URL",
    "uvicorn": "may be started by name",
}


def sources() -> list[Path]:
    return sorted(APP.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    return f"{path.relative_to(ROOT)}" + (f":{node.lineno}" if node is not None else "")


def exists(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def rooms() -> set[str]:
    names = {f"app.{path.stem}" for path in APP.glob("*.py") if path.stem != "__init__"}
    return names | {f"app.{path.name}" for path in APP.iterdir() if (path / "__init__.py").exists()}


def need(path: str) -> Path:
    if not (ROOT / path).exists():
        pytest.skip(f"{path} does not exist yet")
    return ROOT / path


@cache
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def contract(name: str) -> dict:
    (found,) = [c for c in pyproject()["tool"]["importlinter"]["contracts"] if c["name"] == name]
    return found


@cache
def documentation() -> str:
    pages = [need("README.md"), *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text("utf-8") for page in pages)


@cache
def import_everything() -> tuple[str, ...]:
    import app

    names = [found.name for found in pkgutil.walk_packages(app.__path__, "app.")]
    names = [name for name in names if ".migrations" not in name and not name.endswith("__main__")]
    for name in names:
        importlib.import_module(name)
    return tuple(names)


# ---------------------------------------------------------------- floors


def test_imports_keep_their_floors():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_a_floor_and_none_is_excused_once_it_exists():
    # A room that no layer names may import whatever it likes, and nothing says so.
    named = re.findall(r"\(?[\w.]+\)?", " ".join(contract_layers()))
    unplaced = rooms() - {name.strip("()") for name in named} - {"app.config"}
    assert not unplaced, f"no floor in pyproject.toml: {sorted(unplaced)}"
    excused = {name.strip("()") for name in named if name.startswith("(")}
    assert not {name for name in excused if exists(name)}, "exists: take its parentheses away"


def contract_layers() -> list[str]:
    return contract("floors: a room imports only from below")["layers"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pure rules touch no framework, SQL, network or settings", lambda: PURE),
        ("HTTP lives in web", lambda: rooms() - ENTRIES - {"app.web", "app.config"}),
        ("settings are read at the entries", lambda: rooms() - ENTRIES - {"app.config"}),
    ],
)
def test_a_contract_names_all_whom_it_binds(name, expected):
    # A module that a contract forgets is bound by nothing.
    if name.startswith("settings"):
        need("app/config.py")
        assert (
            "app.config"
            in contract("pure rules touch no framework, SQL, network or settings")[
                "forbidden_modules"
            ]
        )
    bound = {module for module in expected() if exists(module)}
    assert bound
    assert set(contract(name)["source_modules"]) == bound


def test_api_and_pages_do_not_lean_on_each_other():
    if not (exists("app.web.api") and exists("app.web.pages")):
        pytest.skip("app/web/api and app/web/pages are not both there yet")
    kept_apart = contract("API and pages do not lean on each other")
    assert kept_apart["type"] == "independence"
    assert set(kept_apart["modules"]) == {"app.web.api", "app.web.pages"}


# Build statements outside a store, and why they may.
STATEMENTS_ELSEWHERE = {
    "app/ledger/audit.py": "re-reads stored bytes by a path that shares nothing with the writer's",
    "app/ledger/treecheck.py": "the same, for the tree",
}


def test_sql_statements_stay_in_stores():
    # Everything that is asked of a table stands in one place a room, so that a table can change.
    # A connection may be handed on, and its errors caught, without knowing SQL.
    stores = re.compile(r"app/(db/.*|outbox\.py|\w+/\w*store\.py|\w+/store/.*)")
    harmless = {"Connection", "Engine", "Row"}
    found = {
        place(path)
        for path in sources()
        if not stores.fullmatch(place(path))
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in imported(node)
        if name.split(".")[0] in ("sqlalchemy", "sqlmodel") and name != "sqlalchemy.exc"
        if {alias.name for alias in node.names} - harmless
    }
    assert found == set(STATEMENTS_ELSEWHERE)


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if node.module and not node.level else []


def test_dependencies_are_declared_and_used():
    # An undeclared one works by accident, an unused one is somebody's open door.
    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    declared = {
        normal(re.match(r"[\w.-]+", line)[0]) for line in pyproject()["project"]["dependencies"]
    }
    owners = packages_distributions()
    used = {
        normal(owner)
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in imported(node)
        if (top := name.split(".")[0]) not in sys.stdlib_module_names and top != "app"
        for owner in owners.get(top, [f"nobody's module {top}"])
    }
    # Each comes with a declared one, which is built on it and sets its version.
    carried = {"click", "markupsafe", "psycopg-pool", "pydantic", "pydantic-core"}
    carried |= {"sqlalchemy", "starlette"}
    assert used - declared - carried == set()
    if not (APP / "cli.py").exists():
        pytest.skip("app/cli.py does not exist yet: rooms that use the rest are still missing")
    assert declared - used - set(USED_WITHOUT_IMPORT) == set()


# ---------------------------------------------------------------- what code may do


def test_only_programs_for_a_terminal_print():
    found = [
        place(path, node)
        for path in sources()
        if not place(path).startswith(PRINTERS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not found, found


def test_tables_are_written_in_one_way():
    # A table of evidence once had cells that a spreadsheet takes for formulas, beside one that had not.
    found = [
        place(path, node)
        for path in sources()
        if place(path) != "app/kit/tables.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("writer", "DictWriter")
        and ast.unparse(node) in ("csv.writer", "csv.DictWriter")
    ]
    assert not found, found


def test_only_the_clock_knows_the_time():
    # Time is an argument: a test, the demo and an audit of an old score bring their own.
    asks = re.compile(
        r"(.*\.)?(datetime|date)\.(now|utcnow|today)|(.*\.)?time\.(time|time_ns|gmtime|localtime)"
        r"|(.*\.)?func\.(now|current_timestamp)"
    )
    last = {"now", "utcnow", "today", "time", "time_ns", "gmtime", "localtime", "current_timestamp"}
    seen = 0
    found = []
    for path in sources():
        for node in ast.walk(tree(path)):
            # To write a name out costs more than all else here.
            named = isinstance(node, ast.Attribute) and node.attr in last
            named = named and asks.fullmatch(ast.unparse(node))
            bare = isinstance(node, ast.ImportFrom) and node.module == "time"
            bare = bare and {"time", "time_ns", "gmtime", "localtime"} & {
                a.name for a in node.names
            }
            if path == APP / "kit" / "clock.py":
                seen += bool(named)
            elif named or bare:
                found.append(place(path, node))
    assert seen, "the rule no longer recognises the clock itself"
    assert not found, found


def test_a_file_has_one_idea():
    long = {
        place(path): lines
        for path in sources()
        if "migrations" not in path.parts  # written once, by a generator
        and (lines := len(path.read_text("utf-8").splitlines())) > MAX_LINES
    }
    assert not {name: lines for name, lines in long.items() if name not in LONGER}
    assert set(LONGER) <= set(long), "an exception that is no longer needed"


def test_a_script_of_the_pages_has_one_idea_too_and_writes_no_markup():
    # What a bundle or a log says may be a forger's: it becomes text, never elements.
    scripts = sorted((ROOT / "static" / "verify").glob("*.js"))
    assert len(scripts) > 10
    markup = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
    )
    for script in scripts:
        written = script.read_text("utf-8")
        assert len(written.splitlines()) <= MAX_LINES, place(script)
        assert not markup.search(written), place(script)


def test_a_script_says_only_what_the_locales_have():
    # Otherwise a person is told the name of a key.
    said = {key for name in locale_files() for key in texts("zh", name)}
    written = "".join(f.read_text("utf-8") for f in (ROOT / "static" / "verify").glob("*.js"))
    wanted = set(re.findall(r'"((?:verify|bundle)\.[a-z0-9_.]+)"', written))
    assert len(wanted) > 20
    assert wanted <= said
    # Names that are put together: each beginning must have sentences, and each kind its own.
    begun = set(re.findall(r"`((?:verify|bundle)\.[a-z0-9_.]+)\$", written))
    assert begun
    assert not [start for start in begun if not any(key.startswith(start) for key in said)]
    for kind in re.findall(r'alarm\("(\w+)"', written):
        assert {f"verify.watch.{kind}", f"verify.watch.{kind}.means"} <= said
    unsaid = {key for key in said if key.startswith("verify.")} - wanted
    assert not [key for key in unsaid if not key.startswith(tuple(begun))]


def test_no_words_that_the_law_forbids():
    # A record is matched, goods are never vouched for: such a promise is an offence, denied or not.
    words = "正品" + "保证"
    files = [*APP.rglob("*"), *(ROOT / "static").rglob("*"), *ROOT.glob("*.md")]
    files += (ROOT / "docs").rglob("*")
    texts = [f for f in files if f.is_file() and f.suffix in TEXT_SUFFIXES]
    assert texts
    assert not [place(f) for f in texts if words in f.read_text("utf-8")]


TEXT_SUFFIXES = {".py", ".json", ".html", ".md", ".js", ".css", ".svg", ".txt", ".xml"}


def test_no_committed_file_names_a_registry_or_this_workplace():
    # Whoever clones has another mirror, and another home.
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    hosts = re.compile(
        rb"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian|/(?:work|root)/(?:main|shared|\.)"
    )
    files = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    assert len(files) > 20
    found = [
        place(f)
        for f in files
        if f != Path(__file__) and f.is_file() and hosts.search(f.read_bytes())
    ]
    assert not found, found


def test_a_program_that_checks_is_run_in_one_way_wherever_that_is_told():
    """`-I` keeps what lies beside a package out of Python; a page told people to run it without."""
    run = re.compile(
        r"\bpython[\d.]*((?: -\S+)*) (?:scripts/)?(?:verify_|replay_|recompute_)\w+\.py"
    )
    files = [*APP.rglob("*"), *(ROOT / "docs").rglob("*"), *(ROOT / "scripts").glob("*.py")]
    files = [f for f in (*files, ROOT / "README.md") if f.is_file() and f.suffix in TEXT_SUFFIXES]
    told = [(place(f), one[0]) for f in files for one in run.finditer(f.read_text("utf-8"))]
    assert len(told) > 10
    assert [one for one in told if not one[1].startswith("python3 -I ")] == []


# ---------------------------------------------------------------- routes


def test_a_route_is_made_once():
    """Included, each was made again by the first request that came so far: half a second for who sent it."""
    from app.config import Settings
    from app.main import ROUTERS, create_app

    served = set(map(id, create_app(Settings()).routes))
    ours = [route for router in ROUTERS for route in router.routes]
    assert len(ours) > 100
    assert [route.path for route in ours if id(route) not in served] == []


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_table_has_its_migration(kind, request, databases):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlmodel import SQLModel

    import app.db.tables
    from app.db.engine import Database

    assert app.db.tables
    database = Database(request.getfixturevalue(f"{kind}_database_url"))
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, SQLModel.metadata)
    database.close()
    assert len(SQLModel.metadata.tables) > 5
    assert not differences, differences


# ---------------------------------------------------------------- words


def locale_files() -> list[str]:
    names = {path.name for path in (APP / "locales").glob("*/*.json")}
    if not names:
        pytest.skip("app/locales is empty yet")
    return sorted(names)


def texts(language: str, name: str) -> dict[str, str]:
    path = APP / "locales" / language / name
    assert path.exists(), f"{place(path)} is missing: each file has its twin"

    def refuse_twice(pairs: list[tuple[str, str]]) -> dict[str, str]:
        assert len(dict(pairs)) == len(pairs), f"{place(path)}: a key stands twice"
        return dict(pairs)

    return json.loads(path.read_text("utf-8"), object_pairs_hook=refuse_twice)


def test_both_languages_say_the_same_things():
    for name in locale_files():
        zh, en = texts("zh", name), texts("en", name)
        assert zh, f"{name} is empty"
        assert set(zh) == set(en), f"{name}: {sorted(set(zh) ^ set(en))}"
        for key in zh:
            assert zh[key].strip(), f"{name}: {key} is blank in zh"
            assert en[key].strip(), f"{name}: {key} is blank in en"
            assert gaps(zh[key]) == gaps(en[key]), f"{name}: {key} is filled in differently"


def test_no_english_sentence_says_a_word_twice():
    # "What is due first first": right by its grammar, and read as a slip.
    for name in locale_files():
        for key, said in texts("en", name).items():
            assert not re.search(r"\b(\w+)\s+\1\b", said, re.IGNORECASE), f"{name}: {key}"


def gaps(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def test_what_was_expected_is_written_in_one_way():
    # `i18n.in_words` says bounds in the reader's language; "8-32" and ">= 1" it took for words, and
    # people read them as they stood.
    wrong = []
    for path in sources():
        for node in ast.walk(tree(path)):
            pairs: list[tuple[object, ast.expr]] = []
            if isinstance(node, ast.Dict):
                pairs = [
                    (key.value, value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                ]
            elif isinstance(node, ast.keyword):
                pairs = [(node.arg, node.value)]
            wrong += [
                f"{place(path)}:{value.lineno}: {written}"
                for name, value in pairs
                if name == "expected" and _is_loose_bound(written := _written(value))
            ]
    assert not wrong, "\n".join(wrong)


def _written(value: ast.expr) -> str:
    """Returns a text as it will stand, with 1 in place of what is filled in."""
    match value:
        case ast.Constant(value=str(said)):
            return said
        case ast.JoinedStr():
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "1" for part in value.values
            )
        case _:
            return ""


def _is_loose_bound(written: str) -> bool:
    return bool(re.match(r"<=|>=|\d+ ?[-–…]|[≥≤<>](?! \d)", written))


def test_a_text_stands_in_one_file():
    owner: dict[str, str] = {}
    for name in locale_files():
        for key in texts("zh", name):
            assert owner.setdefault(key, name) == name, f"{key} stands in {owner[key]} and {name}"


def test_every_fault_has_its_sentence():
    # Otherwise a person is told the name of a key.
    import app.kit.errors as kinds

    if not (APP / "cli.py").exists():
        pytest.skip("app/cli.py does not exist yet: sentences are still being written")
    said = {key for name in locale_files() for key in texts("zh", name)}
    import_everything()
    every = {kind.__name__: kind for kind in descendants(kinds.Fault)}
    # A fault with a constructor of its own names its sentence there.
    plain = {name for name, kind in every.items() if kind.__init__ is kinds.Fault.__init__}
    wanted: dict[str, str] = {}
    for path in sources():
        for call, owner in calls_and_their_class(tree(path)):
            name = ast.unparse(call.func).split(".")[-1]
            if name in plain or (name == "__init__" and owner in every):
                wanted |= {f"fault.{key}": place(path, call) for key in literals(call.args[:1])}
            if name == "FieldFault":
                wanted |= {f"field.{key}": place(path, call) for key in literals(call.args[1:2])}
    assert wanted
    missing = {key: where for key, where in wanted.items() if key not in said}
    assert not missing, missing


def calls_and_their_class(module: ast.Module) -> list[tuple[ast.Call, str]]:
    owners = {
        call: kind.name
        for kind in ast.walk(module)
        if isinstance(kind, ast.ClassDef)
        for call in ast.walk(kind)
    }
    return [(n, owners.get(n, "")) for n in ast.walk(module) if isinstance(n, ast.Call)]


def literals(nodes: list[ast.expr]) -> list[str]:
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def descendants(kind: type) -> set[type]:
    return {below for child in kind.__subclasses__() for below in (child, *descendants(child))}


# ---------------------------------------------------------------- what is written down


def test_every_setting_is_documented():
    need("app/config.py")
    from app.config import Settings

    names = [f"SUXIN_{name.upper()}" for name in Settings.model_fields]
    assert names
    missing = [name for name in names if not re.search(rf"\b{name}\b", documentation())]
    assert not missing, missing


def test_every_command_is_documented():
    need("app/cli.py")
    import click
    import typer

    import app.cli

    (program,) = {v for v in vars(app.cli).values() if isinstance(v, typer.Typer) and is_root(v)}

    def paths(command: click.Command, *above: str) -> list[str]:
        below = getattr(command, "commands", {})
        if not below:
            return [" ".join(above)]
        return [path for name, child in below.items() for path in paths(child, *above, name)]

    names = paths(typer.main.get_command(program))
    assert len(names) > 3
    missing = [
        name for name in names if not re.search(rf"suxin {re.escape(name)}\b", documentation())
    ]
    assert not missing, missing


def is_root(program) -> bool:
    import app.cli

    others = [v for v in vars(app.cli).values() if hasattr(v, "registered_groups")]
    return not any(g.typer_instance is program for v in others for g in v.registered_groups)


def test_every_page_of_who_signs_in_is_documented():
    """Recalls and reports had pages for weeks that the table of pages did not know."""
    from app.web.pages.signed.routers import SIGNED_ROUTERS

    told = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")
    pages = {
        re.match(r"/[^/]+(/[a-z-]+)?", route.path)[0]
        for router in SIGNED_ROUTERS
        for route in router.routes
        if "GET" in route.methods
    }
    assert sorted(page for page in pages - {"/sign-out"} if f"`{page}" not in told) == []


def test_every_problem_type_is_documented():
    from app.kit.errors import Fault

    need("README.md")
    import_everything()
    slugs = {kind.slug for kind in descendants(Fault)} | {Fault.slug}
    assert len(slugs) > 10
    missing = sorted(slug for slug in slugs if f"`{slug}`" not in documentation())
    assert not missing, missing
