"""The vectors of this folder, held against both of Python's verifiers."""

from __future__ import annotations

import base64
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.ledger.bundle import verify_bundle_bytes
from tests.vectors.make import FOLDER, KINDS, read, text_of
from tests.vectors.reasons import reason

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "verify_bundle.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_bundle_of_vectors", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


script = load()

SINGLE = [
    pytest.param(kind, vector, id=f"{kind}: {vector['name']}")
    for kind in KINDS
    if kind != "bundles"
    for vector in read(kind)
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_committed_is_what_the_maker_makes(kind):
    assert (FOLDER / f"{kind}.json").read_text("ascii") == text_of(kind), (
        "python -m tests.vectors.make"
    )


@pytest.mark.parametrize(("kind", "vector"), SINGLE)
def test_our_modules_accept_or_refuse_it_for_the_reason_given(kind, vector):
    assert reason(kind, vector) == vector["refused"]


def judge(kind: str, vector: dict[str, Any]) -> bool:
    """Whether the stand-alone script takes a vector; it names no reasons."""
    decode = base64.b64decode
    if kind == "vkeys":
        script.parse_vkey(vector["vkey"])
    elif kind == "notes":
        script.open_note(vector["note"], script.parse_vkey(vector["vkey"]))
    elif kind == "checkpoints":
        script.parse_checkpoint(vector["text"])
    else:
        script.parse_body(decode(vector["body"]).decode("utf-8"))
    return True


# It knows neither consistency nor tiles, and inclusion by the entry, not by the leaf's hash.
OF_THE_SCRIPT = [one for one in SINGLE if one.values[0] not in ("proofs", "tile_paths")]


@pytest.mark.parametrize(("kind", "vector"), OF_THE_SCRIPT)
def test_the_script_accepts_and_refuses_the_same(kind, vector):
    if vector["refused"]:
        with pytest.raises(ValueError):
            judge(kind, vector)
    else:
        assert judge(kind, vector)


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["name"]) for v in read("bundles")])
def test_both_verifiers_report_on_a_bundle_what_stands_beside_it(vector):
    raw = vector["bundle"].encode()
    assert verify_bundle_bytes(raw, vkey=vector["vkey"]).as_json() == vector["report"]
    assert script.verify(raw, vector["vkey"]) == vector["report"]
