"""The stand-alone verifier: nothing but Python, and the same verdict as the service's own."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import cli
from app.i18n import LANGUAGES, text
from app.ledger.bundle import verify_bundle_bytes
from app.ledger.bundle_report import EXIT_CODES
from app.terminal import print_report
from tests.ledger.bundles import (
    ACCEPTED,
    LIVES,
    MANIPULATIONS,
    OTHER_LOG_KEY,
    UNIT,
    VKEY,
    intact,
    mapped,
    sold_unit,
)

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verify_bundle.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_bundle_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


script = load()


def encode(bundle: object) -> bytes:
    return json.dumps(bundle, ensure_ascii=False).encode()


def both(raw: bytes, vkey: str | None) -> dict:
    """The report of both verifiers, which must be one and the same."""
    theirs = script.verify(raw, vkey)
    assert theirs == verify_bundle_bytes(raw, vkey=vkey).as_json()
    return theirs


# ------------------------------------------------------------------------ the same verdict


@pytest.mark.parametrize("case", MANIPULATIONS, ids=lambda case: case.name)
def test_both_verifiers_name_the_same_places_in_the_same_words(case, capsys):
    report = both(encode(case.build()), case.vkey)
    for lang in LANGUAGES:
        print_report(verify_bundle_bytes(encode(case.build()), vkey=case.vkey), lang)
        assert capsys.readouterr().out == script.render(report, lang) + "\n"
    first = report["broken"][0]
    assert (report["exit_code"], first["key"], first["place"]) == (
        case.exit_code,
        case.key,
        case.place,
    )


@pytest.mark.parametrize("build", [a[1] for a in ACCEPTED], ids=[a[0] for a in ACCEPTED])
def test_both_verifiers_believe_the_same_evidence(build):
    assert both(encode(build()), VKEY)["exit_code"] == 0
    assert both(encode(build()), None)["exit_code"] == 3


# How the lives of LIVES are summed up, beside the verdict: in English and Chinese.
SUMMED_UP = {
    "whole": ("No step is missing.", "没有缺少环节。"),
    "fetched": ("No step is missing.", "没有缺少环节。"),
    "signed for and never sent": (
        "The record is not complete; missing: “Dispatch”.",
        "记录不完整：缺少“配送”。",
    ),
    "signed for alone": (
        "The record is not complete; missing: “Sale”, “Dispatch”.",
        "记录不完整：缺少“销售”、“配送”。",
    ),
    "on its way": (
        "Not recorded: “Signature”.",
        "没有“签收”的记录。",
    ),
    "signed for, not proven yet": (
        "Not proven yet: “Signature”.",
        "尚未获得证明：“签收”。",
    ),
}


@pytest.mark.parametrize(("name", "build", "statuses"), LIVES, ids=[name for name, *_ in LIVES])
def test_both_verifiers_tell_the_same_steps_in_the_headline(name, build, statuses, capsys):
    raw = encode(build())
    report = both(raw, VKEY)
    assert tuple(one["status"] for one in report["steps"]) == statuses
    heads = [script.render(report, lang).splitlines()[1] for lang in ("en", "zh")]
    if name in SUMMED_UP:
        assert heads == [*SUMMED_UP[name]]
    for lang in LANGUAGES:
        print_report(verify_bundle_bytes(raw, vkey=VKEY), lang)
        assert capsys.readouterr().out == script.render(report, lang) + "\n"
    whole = not {"missing", "pending", "none"} & {*statuses}
    assert (heads[0] == "No step is missing.") == whole
    # Of what only agrees with itself it is not said that nothing is missing.
    assert "No step is missing." not in script.render(both(raw, None), "en")


def test_the_steps_have_the_names_of_the_pages():
    for lang in LANGUAGES:
        for step in script.STEPS:
            assert text(lang, f"bundle.step_{step}") == text(lang, f"page.step.{step}")


def _made_up() -> dict:
    """An honest bundle to which somebody added a record that no log holds."""
    log = sold_unit()
    log.add(UNIT, "review", {"rating": 5}, actor="consumer", sequenced=False)
    return log.bundle()


def test_what_no_checkpoint_covers_is_said_to_be_not_proven_yet(tmp_path, capsys):
    report = both(encode(_made_up()), VKEY)
    counted = {r["key"]: r["params"].get("count") for r in report["checked"]}
    assert (report["exit_code"], counted["checked_records"]) == (0, 9)
    assert [r["place"] for r in report["pending"]] == ["pending[0]"]
    path = tmp_path / "bundle.json"
    path.write_bytes(encode(_made_up()))
    for lang, heading in (("en", "Not proven yet,"), ("zh", "没有签名的检查点覆盖")):
        said = script.render(report, lang)
        below = said.split(heading)[1].splitlines()
        assert UNIT in below[1], said
    assert script.main([str(path), "--key", VKEY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pending"] == report["pending"]
    print_report(verify_bundle_bytes(encode(_made_up()), vkey=VKEY), "en")
    assert capsys.readouterr().out == script.render(report, "en") + "\n"


def test_the_command_speaks_the_language_that_is_asked_for_else_the_terminals(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_bytes(RAW)
    report = both(RAW, VKEY)
    said = {lang: script.render(report, lang) + "\n" for lang in LANGUAGES}
    for options, env, lang in (
        (["--lang", "zh"], {"LANG": "C"}, "zh"),
        (["--lang", "en"], {"LC_ALL": "zh_CN.UTF-8"}, "en"),
        ([], {"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
    ):
        asked = ["verify", str(path), "--key", VKEY, *options]
        done = CliRunner().invoke(cli, asked, env=env)
        assert (done.exit_code, done.stdout) == (0, said[lang])


def test_a_choice_that_there_is_not_is_refused_without_words_of_the_library():
    for asked in (["verify", "x", "--lang", "xx"], ["labels", "x", "--symbol", "xx"]):
        done = CliRunner().invoke(cli, asked)
        assert done.exit_code == 2
        assert "'xx' is not one of" in done.stderr
        assert "Value error" not in done.stderr


RAW = encode(mapped().bundle())


@given(st.integers(0, len(RAW) * 8 - 1))
@settings(max_examples=60)
def test_both_verifiers_agree_on_any_flipped_bit(bit):
    flipped = bytearray(RAW)
    flipped[bit // 8] ^= 1 << bit % 8
    both(bytes(flipped), VKEY)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**64) | st.floats() | st.text(max_size=4),
    lambda part: (
        st.lists(part, max_size=2) | st.dictionaries(st.text(max_size=3), part, max_size=2)
    ),
    max_leaves=4,
)


def paths(value: object, at: tuple = ()) -> list[tuple]:
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else ())
    )
    return [at, *[path for key, part in parts for path in paths(part, (*at, key))]]


@given(path=st.sampled_from(paths(mapped().bundle())[1:]), odd=ODD)
@settings(max_examples=150)
def test_both_verifiers_agree_on_any_odd_member(path, odd):
    bundle = mapped().bundle()
    inside = bundle
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = odd
    both(json.dumps(bundle).encode(), VKEY)


HEADS = mapped().bundle()


@given(path=st.sampled_from(paths(HEADS["heads"])), odd=ODD | st.sampled_from(["", 0, 1, 2**64]))
@settings(max_examples=150)
def test_both_verifiers_agree_on_any_odd_proof_of_the_head(path, odd):
    bundle = json.loads(json.dumps(HEADS))
    inside, last = bundle, "heads"
    for step in path:
        inside, last = inside[last], step
    inside[last] = odd
    both(json.dumps(bundle).encode(), VKEY)


FIELDS = json.loads(intact()["streams"][0]["records"][2]["body"])


@given(path=st.sampled_from(paths(FIELDS)[1:]), odd=ODD)
@settings(max_examples=150)
def test_both_verifiers_agree_on_any_odd_field_of_a_record(path, odd):
    fields = json.loads(json.dumps(FIELDS))
    inside = fields
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = odd
    bundle = intact()
    body = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    bundle["streams"][0]["records"][2]["body"] = body
    both(json.dumps(bundle).encode(), VKEY)


@pytest.mark.parametrize(
    "body",
    [
        '{"a":"\\u00e9"}',  # an escape where the character itself should stand
        '{"a":"e\u0301"}',  # not NFC
        '{"a":"\u0378e\u0301"}',  # not NFC, but nobody can tell of what is not assigned
        '{"a":"\u0378\u0085"}',
        '{"a":"\u0085"}',
        '{"a":"\u2028"}',
        '{"a":"\x7f"}',
        '{"é":1}',
        '{"a":9007199254740992}',
        '{"a":-0}',
        '{"a":1E2}',
        '{"a":null}',
        '{"b":1,"a":1}',
        '{"a":1,"a":1}',
        '{"a":[[[[[[[[1]]]]]]]]}',
        '{"a":[[[[[[[1]]]]]]]}',
        '{"a":' + "9" * 5000 + "}",
        "[" * 100_000,
        "",
        "{}",
        '{"v":1}\n',
    ],
)
def test_both_verifiers_agree_on_what_is_canonical(body):
    bundle = intact()
    bundle["streams"][0]["records"][2]["body"] = body
    both(encode(bundle), VKEY)


# Said by the page alone, which remembers what this device saw.
ON_A_DEVICE = {"other_log"}


def test_both_verifiers_know_the_same_verdicts_and_words():
    assert dict(EXIT_CODES) == script.EXIT_CODES
    for lang, sentences in script.TEXT.items():
        located = json.loads((ROOT / "app" / "locales" / lang / "ledger.json").read_text("utf-8"))
        ours = {
            key.removeprefix("bundle."): said
            for key, said in located.items()
            if key.startswith("bundle.")
        }
        assert ours.keys() >= ON_A_DEVICE
        assert sentences == {key: said for key, said in ours.items() if key not in ON_A_DEVICE}


# ------------------------------------------------------------------------------- Ed25519

# RFC 8032 section 7.1, tests 1 to 3 and the 1023-byte one is left to the comparison below.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b4"
            "6bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d"
            "8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6"
            "594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_signatures_of_the_rfc_verify(key, message, signature):
    parts = [bytes.fromhex(part) for part in (key, signature, message)]
    assert script.is_signed(*parts)
    assert not script.is_signed(parts[0], parts[1], parts[2] + b"x")


def library_says(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=1100), data=st.data())
@settings(max_examples=40)
def test_our_ed25519_agrees_with_the_librarys_on_true_and_damaged_signatures(seed, message, data):
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert script.is_signed(key, signature, message)
    bit = data.draw(st.integers(0, 96 * 8 - 1))
    damaged = bytearray(key + signature)
    damaged[bit // 8] ^= 1 << bit % 8
    key, signature = bytes(damaged[:32]), bytes(damaged[32:])
    assert not script.is_signed(key, signature, message)
    assert not library_says(key, signature, message)


def test_ed25519_is_strict():
    private = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
    key, signature = private.public_key().public_bytes_raw(), private.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    shifted = signature[:32] + (s + script.L).to_bytes(32, "little")
    assert script.is_signed(key, signature, b"m")
    assert not script.is_signed(key, shifted, b"m")  # S >= L: the same signature, spelt anew
    assert not script.is_signed(key, signature[:-1], b"m")
    assert not script.is_signed(key + b"\x00", signature, b"m")
    identity = b"\x01" + bytes(31)
    assert not script.is_signed(identity, identity + bytes(32), b"fits every message")
    assert not script.is_signed(b"\xee" + b"\xff" * 30 + b"\x7f", identity + bytes(32), b"m")


# ----------------------------------------------------------------------------- the program


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs a copy of the script in an empty folder with no site-packages and no environment."""
    shutil.copy(SCRIPT, folder / "verify_bundle.py")
    return subprocess.run(
        [sys.executable, "-S", "-E", "-I", "verify_bundle.py", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_it_imports_the_standard_library_alone():
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("bundle", "arguments", "exit_code", "said"),
    [
        (intact(), ("--key", VKEY), 0, "It matches the record."),
        (intact(), (), 3, "no key was given"),
        (
            intact(),
            ("--key", str(OTHER_LOG_KEY.vkey)),
            1,
            "is not the one that was given.  [checkpoints[0]]",
        ),
        (intact(), ("--key", "non+sen+se"), 2, "not a verifier key"),
        ({"format": "?"}, ("--key", VKEY), 2, "suxin-evidence/1"),
    ],
)
def test_exit_code_and_first_words_are_those_of_the_contract(
    tmp_path, bundle, arguments, exit_code, said
):
    (tmp_path / "bundle.json").write_bytes(encode(bundle))
    done = run(tmp_path, "bundle.json", *arguments)
    assert (done.returncode, done.stderr) == (exit_code, b"")
    assert said in done.stdout.decode()


def test_the_key_may_stand_in_a_file(tmp_path):
    (tmp_path / "bundle.json").write_bytes(RAW)
    (tmp_path / "log.vkey").write_text(f"{VKEY}\n", encoding="utf-8")
    assert run(tmp_path, "bundle.json", "--key", "log.vkey").returncode == 0


def test_it_speaks_chinese_on_a_terminal_that_cannot(tmp_path):
    (tmp_path / "bundle.json").write_bytes(RAW)
    done = run(tmp_path, "bundle.json", "--key", VKEY, "--lang", "zh", LC_ALL="C")
    assert done.returncode == 0
    assert done.stdout.decode().startswith("与记录相符。\n")
    assert run(tmp_path, "bundle.json", LANG="zh_CN.UTF-8").stdout.decode().startswith("前后一致")


def test_json_is_the_same_report(tmp_path):
    case = MANIPULATIONS[0]
    (tmp_path / "bundle.json").write_bytes(encode(case.build()))
    done = run(tmp_path, "bundle.json", "--key", VKEY, "--json")
    assert json.loads(done.stdout) == both(encode(case.build()), VKEY)
    assert done.returncode == 1


def test_a_file_that_is_not_there_or_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle.json").write_bytes(RAW)
    (tmp_path / "latin").write_bytes(b"cl\xe9")
    missing, folder = tmp_path / "none" / "log.vkey", tmp_path
    for asked, en, zh in (
        (["absent.json"], "there is no such file", "没有这个文件"),
        (["bundle.json", "--policy", missing], "there is no such file", "没有这个文件"),
        (["bundle.json", "--key", missing], "no such file, and it is not", "没有这个文件，它本身也"),
        (["bundle.json", "--key", "./nokey"], "./nokey: there is no such file", "./nokey：没有这个文件"),
        (["bundle.json", "--key", folder], "cannot be read", "读不出来"),
        ([folder], "cannot be read", "读不出来"),
    ):  # fmt: skip
        for lang, said in (("en", en), ("zh", zh)):
            done = run(tmp_path, *map(str, asked), "--lang", lang)
            assert (done.returncode, done.stdout) == (2, b"")
            told = done.stderr.decode()
            assert (said in told, told.count("\n")) == (True, 1)
            ours = CliRunner().invoke(cli, ["verify", *map(str, asked), "--lang", lang])
            assert (ours.exit_code, ours.stderr) == (2, told.replace("verify_bundle.py:", "suxin:"))
    for key in ("latin", f"{VKEY}\n" * 5):
        done = run(tmp_path, "bundle.json", "--key", key)
        assert done.returncode == (2 if key == "latin" else 0)
        assert b"Traceback" not in done.stderr


def test_what_it_prints_promises_nothing():
    for lang in script.TEXT:
        for build in [case.build for case in MANIPULATIONS] + [a[1] for a in ACCEPTED]:
            said = script.render(script.verify(encode(build()), VKEY), lang)
            assert "正品" not in said
            assert "genuine" not in said.lower()
