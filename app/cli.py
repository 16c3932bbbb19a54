"""The `suxin` command. Errors are one sentence and the next step, never a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from app import __version__, upkeep
from app.admitting import accounts_cli
from app.config import PREFIX, Settings, load_settings
from app.credit.graces import graces_in_force
from app.db.engine import Database
from app.exchanging import credit_cli
from app.i18n import Lang
from app.importing import import_file
from app.labelling import print_labels
from app.ledger.anchor import Anchor
from app.ledger.bundle import verify_bundle_bytes
from app.ledger.fsck import LogCheck
from app.ledger.handover import check_handovers
from app.ledger.headcheck import check_heads
from app.ledger.keyring import Keyring, load_keys
from app.ledger.note import encode_base64
from app.ledger.places import tell_places
from app.ledger.served import signed_checkpoints
from app.opening import opened_rooms
from app.oversight.whole_audit import AuditPlan, WholeAudit, audit_stream
from app.parties.principal import OPERATOR
from app.setup import check_set_up, serving_alone, set_up
from app.terminal import (
    ERR,
    OUT,
    UNEXPECTED,
    Commands,
    asked_lang,
    count_findings,
    ending_at_once,
    fail,
    findings_as_json,
    lowest,
    print_audit,
    print_problems,
    print_report,
    read_file,
    read_key,
    refusal_of,
    say_count,
    show_progress,
    stream_name,
)
from app.witnessing import witness_cli

cli = typer.Typer(
    name="suxin",
    cls=Commands,
    help="Suxin 溯信: product traceability whose history nobody can rewrite unseen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
log_cli = typer.Typer(help="The transparency log.", no_args_is_help=True)
keys_cli = typer.Typer(help="API keys.", no_args_is_help=True)
cli.add_typer(log_cli, name="log")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(accounts_cli, name="accounts")
cli.add_typer(witness_cli, name="witness")
cli.add_typer(credit_cli, name="credit")

AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@cli.command()
def init(*, as_json: AsJSON = False) -> None:
    """Create data folder, keys folder, database and log. Running it twice changes nothing."""
    done = set_up(load_settings())
    if as_json:
        told = {
            "admin_key": done.admin_key,
            "log_key": done.log_key,
            "data_dir": str(done.data_dir),
            "keys_dir": str(done.keys_dir),
        }
        OUT.print_json(json.dumps(told))
        return
    OUT.print(f"data folder   {done.data_dir}")
    OUT.print(f"keys folder   {done.keys_dir}")
    OUT.print(f"log key       {done.log_key}")
    if done.admin_key is None:
        OUT.print("everything was there already; nothing was changed")
    else:
        OUT.print(f"admin key     {done.admin_key}")
        OUT.print("The admin key is shown this once. Keep it. `suxin serve` starts the service.")


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Serve the API and the pages; the worker's loops run inside unless SUXIN_WORKER=external."""
    from app.serving import run_service  # noqa: PLC0415 - needed by this command alone

    given: dict[str, Any] = {}
    if host is not None:
        given["host"] = host
    if port is not None:
        given["port"] = port
    settings = load_settings(**given)
    check_set_up(settings)
    run_service(settings)


@cli.command()
def worker() -> None:
    """Run the loops alone, beside API processes that were started with SUXIN_WORKER=external.

    Several may run on PostgreSQL: one leads, the others wait to take over.
    """
    from app.serving import run_worker  # noqa: PLC0415 - needed by this command alone

    settings = load_settings(worker="embedded")  # whatever is set for the API processes beside it
    check_set_up(settings)
    with serving_alone(settings):
        run_worker(settings)


@cli.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    seed: Annotated[int, typer.Option(help="Same seed, same data.")] = 1,
    *,
    data_only: Annotated[
        bool, typer.Option("--data-only", help="Make the data, print what to open, and end.")
    ] = False,
) -> None:
    """Serve a throw-away, realistic data set: three merchants, one of them with an altered chain."""
    from app.demo import demo_deployment  # noqa: PLC0415 - needed by this command alone
    from app.main import configure_logs  # noqa: PLC0415
    from app.serving import check_port, run_server  # noqa: PLC0415

    configure_logs("warning")  # until it serves, what is printed is for a newcomer
    if port and not data_only:
        check_port(load_settings().host, port)
    with demo_deployment(port=port, seed=seed, console=ERR) as (settings, guide):
        OUT.print(guide, markup=False)
        if not data_only:
            run_server(settings)


@cli.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="An evidence bundle, as downloaded.")],
    key: Annotated[
        str | None, typer.Option(help="The log's key (vkey), or a file that holds it.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="A policy file: the logs' keys, and the witnesses who must cosign."),
    ] = None,
    lang: Annotated[
        Lang | None, typer.Option(help="Of the report; else as LC_ALL or LANG say.")
    ] = None,
    *,
    as_json: AsJSON = False,
) -> None:
    """Check an evidence bundle offline. Exit: 0 true, 1 false, 2 not readable, 3 no key given."""
    speaks = asked_lang(lang)
    raw = read_file(bundle, speaks)
    vkey = None if key is None else read_key(key, speaks)
    asked = None if policy is None else read_file(policy, speaks)
    report = verify_bundle_bytes(raw, vkey=vkey, policy=asked)
    if as_json:
        OUT.print_json(json.dumps(report.as_json()))
    else:
        print_report(report, speaks)
    raise typer.Exit(report.exit_code)


@cli.command()
def audit(
    stream: Annotated[
        str | None, typer.Option(help="One stream only, as in 01/06901234567892/21/….")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Share the work out; one for each core is the most.")
    ] = 1,
    *,
    as_json: AsJSON = False,
) -> None:
    """Re-verify chains, index columns and the whole log from stored bytes. Reads only.

    Exit: 0 clean, 1 integrity findings.
    """
    settings = load_settings()
    check_set_up(settings)
    keys = load_keys(settings.keys_dir)
    plan = AuditPlan(
        settings.database_url,
        keys.vault_key,
        keys.logs,
        # Read before any snapshot begins: one that is behind what was anchored is an old copy.
        Anchor(settings.anchor_dir).read_all(),
        graces_in_force(),
    )
    if stream is None:
        whole = WholeAudit(plan, processes=processes)
        with (
            contextlib.closing(whole),
            ending_at_once(whole.stop),
            show_progress("records") as advance,
        ):
            audited = whole.run(advance)
    else:
        audited = audit_stream(plan, stream_name(stream))
        if not audited.streams and not audited.problems:
            fail(f"nothing is recorded under {stream}; compare it with the label", code=2)
    print_audit(audited.streams, audited.records, lowest(audited.problems), as_json=as_json)
    raise typer.Exit(1 if audited.problems else 0)


@log_cli.command("fsck")
def log_fsck(*, as_json: AsJSON = False) -> None:
    """Derive every leaf, tile and the root once more from the stored records. Reads only.

    Exit: 0 it is the log that was signed, 1 it is not.
    """
    with _at_rest() as (keys, anchored, connection), show_progress("leaves") as advance:
        signed, foreign = signed_checkpoints(connection, keys.logs, anchored)
        check = LogCheck(connection, signed, progress=advance)
        problems = [*check.check(), *foreign, *check_heads(connection)]
        problems += check_handovers(connection, keys.logs, signed)
        problems = tell_places(connection, problems)
    if as_json:
        told = {
            "leaves": check.leaves,
            "tiles": check.tiles,
            "root": encode_base64(check.logs[-1].root) if check.logs else None,
            "logs": [
                {"origin": one.origin, "size": one.size, "root": encode_base64(one.root)}
                for one in check.logs
            ],
            "findings": findings_as_json(problems),
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        print_problems(problems)
        counted = f"{say_count(check.leaves, 'leaf', 'leaves')}, {say_count(check.tiles, 'tile')}"
        OUT.print(f"{counted}: {count_findings(problems)}")
    raise typer.Exit(1 if problems else 0)


@log_cli.command("rotate")
def log_rotate(
    origin: Annotated[
        str | None, typer.Option(help="The new log's name; by default the next yearly one.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJSON = False,
) -> None:
    """End the log and let the next one go on from it, under a new name and key. Stop the service first.

    Interrupted, it is completed by running it again; until then nothing serves.
    """
    from app.rotating import rotate_log  # noqa: PLC0415 - needed by this command alone

    settings = load_settings() if origin is None else load_settings(log_origin=origin)
    check_set_up(settings)
    rotate_log(settings, origin, yes=yes, as_json=as_json)


cli.command("import")(import_file)
cli.command()(upkeep.migrate)
cli.command()(upkeep.reindex)
cli.command("labels")(print_labels)
log_cli.command("adopt-anchor")(upkeep.adopt_anchor)


@cli.command()
def settings(*, as_json: AsJSON = False) -> None:
    """Show every setting with its default and meaning."""
    now = load_settings()
    rows = []
    for name, field in Settings.model_fields.items():
        shown = str(getattr(now, name))
        if name == "database_url" and "@" in shown:
            shown = "(set)"
        rows.append(
            {"name": f"{PREFIX}{name.upper()}", "value": shown, "meaning": field.description}
        )
    if as_json:
        OUT.print_json(json.dumps(rows))
        return
    for row in rows:
        OUT.print(f"{row['name']} = {row['value']}", markup=False)
        OUT.print(f"    {row['meaning']}", markup=False)


@cli.command()
def openapi() -> None:
    """Print the description of the API (OpenAPI 3.1)."""
    from app.main import create_app  # noqa: PLC0415 - needed by this command alone

    OUT.print_json(json.dumps(create_app(load_settings()).openapi()))


@cli.command()
def bench(
    scale: Annotated[float, typer.Option(help="Times the usual number of records.")] = 1.0,
    only: Annotated[str | None, typer.Option(help="One figure, as in single_post.")] = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="A PostgreSQL, as in postgresql://me@host/postgres: databases are made on it, and dropped."
        ),
    ] = None,
    *,
    as_json: AsJSON = False,
) -> None:
    """Measure the figures of this machine against ceilings of the same run."""
    if database is not None and not database.startswith("postgresql://"):
        raise typer.BadParameter("expected postgresql://…", param_hint="--database")
    from app.bench.run import run_bench  # noqa: PLC0415 - needed by this command alone

    run_bench(scale=scale, only=only, server=database, as_json=as_json, out=OUT, err=ERR)


@cli.command()
def version() -> None:
    """Print the version."""
    OUT.print(__version__)


@keys_cli.command("create")
def keys_create(
    party: Annotated[str, typer.Option(help="The party's id.")],
    scope: Annotated[list[str], typer.Option(help="May be given several times.")],
    label: Annotated[str | None, typer.Option(help="A word of yours for it.")] = None,
    *,
    as_json: AsJSON = False,
) -> None:
    """Create an API key of a party; its token is shown this once."""
    with opened_rooms(load_settings()) as rooms:
        key = rooms.keys.create(OPERATOR, party, scopes=scope, label=label)
    if as_json:
        OUT.print_json(json.dumps({"key_id": key.key_id, "token": key.token}))
    else:
        OUT.print(key.token)


@keys_cli.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """Revoke an API key; it is refused within a second."""
    with opened_rooms(load_settings()) as rooms:
        rooms.keys.revoke(OPERATOR, key_id)
    OUT.print(f"key {key_id} is revoked")


def main() -> None:
    """Runs the command and turns refusals into one sentence."""
    try:
        cli()
    except Exception as err:
        sentence, code = refusal_of(err)
        if code == UNEXPECTED and os.environ.get(f"{PREFIX}LOG_LEVEL", "").lower() == "debug":
            raise
        fail(sentence, code=code)


@contextlib.contextmanager
def _at_rest() -> Iterator[tuple[Keyring, list[str], Connection]]:
    """Yields the keys, the anchored notes and a snapshot, for a command that only reads.

    In this order: what is anchored was committed before, so a snapshot that is behind is an old copy.
    """
    settings = load_settings()
    check_set_up(settings)
    keys = load_keys(settings.keys_dir)
    database = Database(settings.database_url)
    anchored = Anchor(settings.anchor_dir).read_all()
    try:
        with ending_at_once(), database.read() as connection:
            yield keys, anchored, connection
    finally:
        database.close()


if __name__ == "__main__":
    main()
