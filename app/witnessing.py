"""`suxin witness`: a witness of other people's logs, in a folder of its own, without a deployment."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.config import load_settings
from app.kit.clock import SystemClock
from app.kit.errors import Fault
from app.ledger.anchor import create_file
from app.ledger.cosign import Cosigner, make_cosigner_skey, parse_cosigner_skey
from app.ledger.note import VerifierKey, is_key_name, parse_vkey
from app.ledger.policy import parse_policy
from app.ledger.witness import Heads, Witness
from app.terminal import ERR, OUT, fail

witness_cli = typer.Typer(
    help="A witness: cosigns other people's logs as long as they only grow.", no_args_is_help=True
)

_KEY, _HEADS = "witness.key", "heads"

Folder = Annotated[Path, typer.Option("--dir", help="The witness's folder: its key, its memory.")]


@witness_cli.command("init")
def witness_init(
    folder: Folder,
    name: Annotated[str, typer.Option(help="Its public name, as in witness.example/w1; for life.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Create a witness's folder and key; print the key. Running it twice changes nothing."""
    if not is_key_name(name):
        fail("a witness's name has no spaces and no '+'; take a schema-less address", code=2)
    if not (folder / _KEY).exists():
        # The memory first: a key without one is a witness that forgot what it cosigned.
        (folder / _HEADS).mkdir(parents=True, exist_ok=True, mode=0o700)
        if any((folder / _HEADS).iterdir()):
            fail(f"{folder} has cosigned before, and its key is gone; begin another", code=2)
        skey = f"{make_cosigner_skey(name, secrets.token_bytes(32))}\n"
        create_file(folder / _KEY, skey.encode())
    signer = _load_key(folder)
    if signer.vkey.name != name:
        fail(f"{folder} is the witness {signer.vkey.name} already", code=2)
    if as_json:
        OUT.print_json(json.dumps({"name": name, "key": str(signer.vkey), "dir": str(folder)}))
        return
    OUT.print(f"witness key   {signer.vkey}", markup=False)
    OUT.print(f"policy line   witness {name} {signer.vkey} https://ADDRESS", markup=False)


@witness_cli.command("serve")
def witness_serve(
    folder: Folder,
    log: Annotated[
        list[str] | None, typer.Option(help="Key (vkey) of a log to watch; several times.")
    ] = None,
    logs: Annotated[
        Path | None, typer.Option(help="A file of `log <vkey>` lines, as in a policy.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8090,
) -> None:
    """Cosign what these logs publish, as long as each goes on from what was cosigned before."""
    import uvicorn  # noqa: PLC0415 - needed by this command alone, as are the next

    from app.main import configure_logs  # noqa: PLC0415
    from app.serving import listen  # noqa: PLC0415
    from app.web.witness import create_witness_app  # noqa: PLC0415

    signer = _load_key(folder)
    keys = _load_logs(log or (), logs)
    if not keys:
        fail("there is no log to watch; name one by --log VKEY or --logs FILE", code=2)
    configure_logs(load_settings().log_level)
    listening = listen(host, port)
    with contextlib.closing(Heads(folder / _HEADS)) as heads:
        app = create_witness_app(Witness(signer, keys, heads, clock=SystemClock()))
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
        at = f"http://{host}:{listening.getsockname()[1]}"
        ERR.print(f"witness {signer.vkey.name} listens at {at}", markup=False)
        uvicorn.Server(config).run([listening])


def _load_key(folder: Path) -> Cosigner:
    path = folder / _KEY
    try:
        return parse_cosigner_skey(path.read_text("ascii").strip())
    except FileNotFoundError:
        fail(f"{path} is not there; `suxin witness init` makes it", code=2)
    except (ValueError, Fault):
        fail(f"{path} is no witness's key; put the true one back", code=2)


def _load_logs(given: Sequence[str], path: Path | None) -> list[VerifierKey]:
    keys = [parse_vkey(text.strip()) for text in given]
    if path is not None:
        keys += parse_policy(path.read_bytes(), whole=False).log_keys
    return list(dict.fromkeys(keys))
