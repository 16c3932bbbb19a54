#!/usr/bin/env python3
"""Checks what a Suxin service signed, offline: an audit report, an evidence package, a trust badge.

    python3 -I verify_proof.py REPORT.json [REPORT.pdf …] [--key KEY] [--json] [--lang zh|en]
    python3 -I verify_proof.py FOLDER                     [--key KEY]     an unzipped evidence package
    python3 -I verify_proof.py BADGE.json --domain HOST   [--key KEY]

It needs verify_bundle.py beside it, Python 3.9 or later and nothing else; it asks no network and trusts
no server. KEY is a public key as text (vkey), or a file with one a line: the service's receipt key
signs reports, packages and badges, the log's key the checkpoints inside a package. They must come from
somewhere else than what is checked: what brings its own key only agrees with itself.

Exit code: 0 it is what was signed; 1 something is wrong: the first line says what (the text or a file was
altered, the signature is not valid or another's, or it is what was signed and its chain is altered), the
lines below name every wrong file or place; 2 it cannot be read; 3 it agrees with itself, but no key was
given to check it against.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # a package's folder must stay what it was

REPORTS = ("suxin-audit-report/1", "suxin-audit-report/2")  # the first lists no chains
PACKAGE, BADGE = "suxin-package/1", "suxin-badge/1"
MATCHES, DIFFERS, UNREADABLE, UNANCHORED = "matches", "differs", "unreadable", "unanchored"
EXIT_CODES = {MATCHES: 0, DIFFERS: 1, UNREADABLE: 2, UNANCHORED: 3}
MANIFEST = "MANIFEST.txt"
ZIP = b"PK\x03\x04"  # what zip files begin with
VERIFIER = "verify_bundle.py"
SEALED_PREFIX = b"suxin-sealed/1\n"
MAX_FILES = 1000

# The first line of what is wrong, by what stands below it: the first of these of which there is any.
HEADLINES = {
    "unsigned": ("signature",),
    "stranger": ("signer",),
    "altered": ("altered", "missing", "foreign", "either", "disagrees", "not_of_it"),
    "inside": ("bundle", "sealed", "state"),
    "strange_log": ("bundle_key",),
    "elsewhere": ("domain",),
    "outdated": ("expired",),
    "undecided": ("no_domain",),
}

TEXT = {
    "en": {
        "headline_matches": "It is what was signed.",
        "headline_altered": "It is NOT what was signed.",
        "headline_unsigned": "The signature is NOT valid: what was signed, or the signature, was altered.",
        "headline_stranger": "It is NOT signed by a key that was given; what was signed was not checked.",
        "headline_inside": "The signature is valid, but what is in it does NOT match the record.",
        "headline_strange_log": "The signature is valid, but the log in it is NOT of a key that was given.",
        "headline_elsewhere": "The signature is valid, but it is NOT for this domain.",
        "headline_outdated": "The signature is valid, but it has EXPIRED.",
        "headline_undecided": "The signature is valid, but for which domain was not checked.",
        "headline_unreadable": "It cannot be read.",
        "headline_unanchored": "It agrees with itself, but no key was given to check it against.",
        "broken": "Wrong:",
        "checked": "Checked:",
        "no_verifier": "verify_bundle.py is missing beside verify_proof.py.",
        "no_file": "{name}: it cannot be opened.",
        "not_json": "{name}: this is not JSON text in UTF-8.",
        "zip": "{name}: this is a zip file. Unpack it into an empty folder and give that folder.",
        "format": "{name}: this is nothing that verify_proof.py knows.",
        "key_missing": "{name}: there is no such file, and it is not a verifier key (vkey) itself.",
        "key_given": "The key that was given is not a verifier key (vkey).",
        "no_manifest": "{name}: the manifest is missing or cannot be read.",
        "papers": "{name} was not looked at: only beside an audit report's JSON are further files compared.",
        "missing": "{name}: the manifest names it, and it is not here.",
        "foreign": "{name}: it is here, and the manifest does not name it.",
        "altered": "{name}: it was altered; its SHA-256 is not that of the manifest.",
        "either": "{name} or {manifest} was altered; take both programs from elsewhere.",
        "signature": "{name}: the signature is not valid.",
        "signer": "{name}: it is not signed by the key that was given.",
        "disagrees": "{name}: it does not agree with what was signed ({field}).",
        "state": "{name}: the state {size} of {log} in it is not what the log signed.",
        "not_of_it": "{name}: this file is not of this report, or it was altered.",
        "sealed": "{name}: {section} of record {seq} of {stream} is not what was recorded.",
        "bundle": "{name}: the package is as it was signed, but the chain in it does not match the log:"
        " see below.",
        "bundle_key": "{name}: the package is as it was signed, but none of the keys given is the log's:"
        " see below.",
        "domain": "{name}: it is for {expected}, not for {got}.",
        "expired": "{name}: it expired at {at}.",
        "no_domain": "{name}: say by --domain where the badge was seen.",
        "checked_files": "files with the SHA-256 of the signed manifest: {count}",
        "checked_signature": "signature by {key}",
        "checked_own_signature": "signature by {key}, under the key that comes with it",
        "checked_report": "the report's content, made at {at}",
        "checked_records": "records listed in it by their hashes: {count}, of {chains} chains",
        "checked_states": "signed states of the log in it, under the log's own key: {count}",
        "checked_sealed": "sealed sections that are what was recorded: {count}",
        "checked_badge": "badge of {party} for {domain}, grade {grade} as of {at}",
    },
    "zh": {
        "headline_matches": "与所签名的一致。",
        "headline_altered": "与所签名的不一致！",
        "headline_unsigned": "签名无效！所签名的内容或签名本身已被改动。",
        "headline_stranger": "不是由给出的公钥签名！所签名的内容没有核对。",
        "headline_inside": "签名有效，但其中的内容与记录不符！",
        "headline_strange_log": "签名有效，但其中的日志不是由给出的公钥签名！",
        "headline_elsewhere": "签名有效，但不是给这个域名的！",
        "headline_outdated": "签名有效，但已经过期！",
        "headline_undecided": "签名有效，但没有核对是给哪个域名的。",
        "headline_unreadable": "无法读取。",
        "headline_unanchored": "前后一致，但没有给出可供核对的公钥。",
        "broken": "不符之处：",
        "checked": "已核对：",
        "no_verifier": "verify_proof.py 旁边缺少 verify_bundle.py。",
        "no_file": "{name}：无法打开。",
        "not_json": "{name}：不是 UTF-8 编码的 JSON 文本。",
        "zip": "{name}：这是一个 zip 压缩文件。请先解压到一个空文件夹，再给出那个文件夹。",
        "format": "{name}：不是 verify_proof.py 认得的格式。",
        "key_missing": "{name}：没有这个文件，它本身也不是有效的 vkey。",
        "key_given": "给出的公钥不是有效的 vkey。",
        "no_manifest": "{name}：清单缺失或无法读取。",
        "papers": "没有核对 {name}：只有核查报告的 JSON 才附带其他文件。",
        "missing": "{name}：清单中有，文件却不在。",
        "foreign": "{name}：文件在，清单中却没有。",
        "altered": "{name}：已被改动，SHA-256 与清单不符。",
        "either": "{name} 或 {manifest} 已被改动，请另行取得两个核对程序。",
        "signature": "{name}：签名无效。",
        "signer": "{name}：不是由给出的公钥签名。",
        "disagrees": "{name}：与所签名的内容不符（{field}）。",
        "state": "{name}：其中日志 {log} 的状态 {size} 与日志所签名的不符。",
        "not_of_it": "{name}：不是本报告的文件，或已被改动。",
        "sealed": "{name}：{stream} 第 {seq} 条的 {section} 与记录不符。",
        "bundle": "{name}：证据包与签名时一致，但其中的链与日志不符，见下。",
        "bundle_key": "{name}：证据包与签名时一致，但给出的公钥中没有这个日志的，见下。",
        "domain": "{name}：属于 {expected}，不属于 {got}。",
        "expired": "{name}：已于 {at} 过期。",
        "no_domain": "{name}：请用 --domain 指明在哪个域名看到的。",
        "checked_files": "与签名清单的 SHA-256 相符的文件：{count}",
        "checked_signature": "签名：{key}",
        "checked_own_signature": "签名：{key}（用的是自带的公钥）",
        "checked_report": "报告内容，生成于 {at}",
        "checked_records": "报告逐条列出的记录（哈希）：{count}，链：{chains}",
        "checked_states": "报告中由日志自己的公钥签名的状态：{count}",
        "checked_sealed": "与记录相符的密封内容：{count}",
        "checked_badge": "{party} 在 {domain} 的标识，等级 {grade}，截至 {at}",
    },
}


class Unreadable(Exception):
    """What is to be checked cannot be read. Carries the sentence and what fills it."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.remark = {"key": key, "params": params}


class Run:
    """One check: what was found wrong, and what was found right."""

    def __init__(self, verifier: Any, key_text: str | None) -> None:
        self.vb = verifier
        self.key_text = key_text
        self.broken: list[dict[str, Any]] = []
        self.checked: list[dict[str, Any]] = []
        self.bundle_report: dict[str, Any] | None = None
        self.anchored = key_text is not None
        try:
            lines = (line.strip() for line in (key_text or "").splitlines())
            self.keys = [verifier.parse_vkey(line) for line in lines if line]
        except ValueError as err:
            raise Unreadable("key_given") from err
        if key_text is not None and not self.keys:
            raise Unreadable("key_given")

    def wrong(self, key: str, name: str, /, **params: Any) -> None:
        self.broken.append({"key": key, "params": {"name": name, **params}})

    def right(self, key: str, /, **params: Any) -> None:
        self.checked.append({"key": key, "params": params})

    def open_note(self, note: str, name: str, own_key: str) -> str | None:
        """Returns the text that was signed, None where it was not; own_key: what it brings along."""
        try:
            if self.anchored:
                signers = {line[:2] for line in self.vb.split_note(note)[1]}
                keys = [key for key in self.keys if key[:2] in signers]
                if not keys:
                    self.wrong("signer", name)
                    return None
            else:
                keys = [self.vb.parse_vkey(own_key.strip())]
            text = ""
            for key in keys:
                text = self.vb.open_note(note, key)
                own = "" if self.anchored else "own_"
                self.right(f"checked_{own}signature", key=key[0])
        except (ValueError, AttributeError):
            self.wrong("signature", name)
            return None
        return text

    def report(self) -> dict[str, Any]:
        verdict = DIFFERS if self.broken else MATCHES if self.anchored else UNANCHORED
        found = make_report(verdict, self.broken, self.checked)
        if self.bundle_report is not None:
            found["bundle"] = self.bundle_report
        return found

    # ------------------------------------------------------------------- an audit report

    def check_report(self, told: dict[str, Any], name: str, papers: list[Path]) -> None:
        text = self.open_note(str(told.get("note")), name, str(told.get("key")))
        if text is None:
            return
        lines = text.split("\n")
        content = told.get("report")
        if not isinstance(content, dict) or len(lines) != 7 or lines[0] != told["format"]:
            self.wrong("disagrees", name, field="format")
            return
        signed = dict(line.split(" ", 1) for line in lines[3:6] if " " in line)
        digest = sha256(self.vb.canonical(content))
        stated = told.get("pdf") if isinstance(told.get("pdf"), dict) else {}
        for field, given, wanted in (
            ("id", content.get("id"), lines[1]),
            ("made_at", content.get("made_at"), lines[2]),
            ("report", digest, signed.get("report")),
            ("report_sha256", told.get("report_sha256"), signed.get("report")),
            *(
                ("pdf", dict(stated.get(lang) or {}).get("sha256"), signed.get(lang))
                for lang in ("zh", "en")
            ),
        ):
            if given != wanted:
                self.wrong("disagrees", name, field=field)
                return
        self.right("checked_report", at=lines[2])
        chains = content.get("chains", [])
        if chains:
            count = sum(len(one["records"]) for one in chains)
            self.right("checked_records", count=count, chains=len(chains))
        self.check_states(content, name)
        matching = 0
        for paper in papers:
            if sha256(read(paper)) in (signed.get("zh"), signed.get("en")):
                matching += 1
            else:
                self.wrong("not_of_it", paper.name)
        if matching:
            self.right("checked_files", count=matching)

    def check_states(self, content: dict[str, Any], name: str) -> None:
        """Holds the log's states in a report against their signed notes, where the log's key was given."""
        keys = {key[0]: key for key in self.keys}
        count = 0
        for one in [*content.get("logs", ()), *content.get("anchors", ())]:
            key = keys.get(one["origin"])
            if key is None:
                continue
            try:
                said = self.vb.open_note(one["note"], key).split("\n")[:3]
            except ValueError:
                said = []
            if said != [one["origin"], str(one["size"]), one["root"]]:
                self.wrong("state", name, size=one["size"], log=one["origin"])
                return
            count += 1
        if count:
            self.right("checked_states", count=count)

    # --------------------------------------------------------------- an evidence package

    def check_package(
        self, folder: Path, note: str, count: int, broken: list[dict[str, Any]]
    ) -> None:
        """Checks a package. broken: what of its files is not as the manifest says."""
        own = folder / "keys" / "receipt.vkey"
        own_key = own.read_text("utf-8", "replace") if own.is_file() else ""
        if self.open_note(note, MANIFEST, own_key) is None:
            return  # then what it says of the files means nothing
        self.broken += broken
        if broken:
            return
        self.right("checked_files", count=count)
        raw = read(folder / "bundle.json")
        report = self.vb.verify(raw, self.key_text)
        self.bundle_report = report
        if report["verdict"] not in (MATCHES, UNANCHORED):
            # What was stored is what is packed: an altered chain is evidence too, and is told as one.
            is_key_alone = {one["key"] for one in report["broken"]} == {"key_differs"}
            self.wrong("bundle_key" if is_key_alone else "bundle", "bundle.json")
        if (folder / "sealed.json").is_file():
            self.check_sealed(folder, json.loads(raw))

    def check_sealed(self, folder: Path, bundle: dict[str, Any]) -> None:
        """Holds opened sections against the commitments in the records."""
        placed = [(one["stream"], item) for one in bundle["streams"] for item in one["records"]]
        placed += [(item["stream"], item) for item in bundle.get("pending", ())]
        records = {}
        for stream, item in placed:
            fields = json.loads(item["body"])
            records[(stream, fields["seq"])] = fields
        count = 0
        for one in self.vb.parse_json(read(folder / "sealed.json"))["sections"]:
            fields = records.get((one["stream"], one["seq"]), {})
            commitment = fields.get("sealed", {}).get(one["section"])
            content = self.vb.canonical(one["content"])
            opened = (
                SEALED_PREFIX + one["section"].encode() + b"\x00"
                + self.vb.decode_base64(one["salt"]) + content
            )  # fmt: skip
            if commitment != sha256(opened):
                params = {name: one[name] for name in ("section", "seq", "stream")}
                self.wrong("sealed", "sealed.json", **params)
            else:
                count += 1
        self.right("checked_sealed", count=count)

    # ------------------------------------------------------------------------- a badge

    def check_badge(self, told: dict[str, Any], name: str, domain: str | None) -> None:
        text = self.open_note(str(told.get("note")), name, str(told.get("key")))
        if text is None:
            return
        lines = text.split("\n")
        try:
            if lines[0] != BADGE or len(lines) != 3:
                raise ValueError
            claim = self.vb.parse_json(lines[1].encode())
            if not self.vb.is_time(claim["expires_at"]):
                raise ValueError
            expires = self.vb.read_time(claim["expires_at"]).replace(tzinfo=timezone.utc)  # noqa: UP017 - Python 3.9
        except (ValueError, KeyError, AttributeError):
            self.wrong("disagrees", name, field="format")
            return
        if told.get("badge") != claim:
            self.wrong("disagrees", name, field="badge")
        if domain is None:
            self.wrong("no_domain", name)
        elif domain.lower() != claim["domain"]:
            self.wrong("domain", name, expected=claim["domain"], got=domain[:200])
        if expires <= datetime.now(timezone.utc):  # noqa: UP017 - Python 3.9
            self.wrong("expired", name, at=claim["expires_at"])
        shown = {key: claim.get(key) for key in ("party", "domain", "grade")}
        self.right("checked_badge", at=claim.get("as_of"), **shown)


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise Unreadable("no_file", name=path.name) from err


def read_key(given: str) -> str:
    """Returns the text of a key that was given itself, or as the file that holds it. Raises Unreadable."""
    try:
        return Path(given).read_bytes().decode("utf-8", "replace")
    except OSError as err:
        # A vkey has two plus signs at least: what has fewer can only be a file.
        if given.count("+") > 1:
            return given
        is_missing = isinstance(err, (FileNotFoundError, NotADirectoryError))
        raise Unreadable("key_missing" if is_missing else "no_file", name=given) from err


def files_below(folder: Path) -> list[str]:
    """Returns the files of a folder, by their paths with `/`; a link is named and never followed."""
    found = []
    for place, folders, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        links = [name for name in folders if Path(place, name).is_symlink()]
        found += [(inside / name).as_posix() for name in [*names, *links]]
        if len(found) > MAX_FILES:
            raise Unreadable("no_manifest", name=folder.name)
    return found


def read_manifest(folder: Path) -> tuple[str, dict[str, str]]:
    """Returns the manifest's note and the SHA-256 by file. Not believed before its signature is."""
    try:
        note = (folder / MANIFEST).read_bytes().decode("utf-8")
        text, blank, _ = note.rpartition("\n\n")
        first, _, _, *lines = text.split("\n")
        if first != PACKAGE or not blank:
            raise ValueError
        listed = {}
        for line in lines:
            found = re.fullmatch(r"([0-9a-f]{64})  ([A-Za-z0-9_./-]+)", line)
            if found is None or ".." in found[2] or found[2] in listed:
                raise ValueError
            listed[found[2]] = found[1]
    except (OSError, ValueError) as err:
        raise Unreadable("no_manifest", name=MANIFEST) from err
    return note, listed


def compare_files(folder: Path, listed: dict[str, str]) -> list[dict[str, Any]]:
    """Returns what of a folder is not as its manifest says; before a program from it is run."""
    there = sorted(files_below(folder))
    broken = [("foreign", name) for name in there if name not in listed and name != MANIFEST]
    for name, digest in listed.items():
        if name not in there:
            broken.append(("missing", name))
        elif (folder / name).is_symlink() or not (folder / name).is_file():
            broken.append(("foreign", name))  # a link or a device, which is not opened
        elif sha256(read(folder / name)) != digest:
            broken.append(("altered", name))
    return [{"key": key, "params": {"name": name}} for key, name in broken]


def load_verifier() -> Any:
    """Returns verify_bundle.py as a module: it checks signatures and evidence."""
    path = Path(__file__).resolve().with_name(VERIFIER)
    if not path.is_file():
        raise Unreadable("no_verifier")
    spec = importlib.util.spec_from_file_location("verify_bundle", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018 - of a file that is there
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_bundle"] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as err:  # an altered program may be none any more
        raise Unreadable("altered", name=path.name) from err
    return module


def check(
    path: Path, papers: list[Path], key_text: str | None, domain: str | None
) -> dict[str, Any]:
    """Returns the report on a file or folder."""
    if path.is_dir():
        refuse_papers(papers)
        note, listed = read_manifest(path)
        broken = compare_files(path, listed)
        if any(one["params"]["name"] == VERIFIER for one in broken):
            # Which of the two was altered only a signature tells, and this program would check it.
            either = {"key": "either", "params": {"name": VERIFIER, "manifest": MANIFEST}}
            return make_report(DIFFERS, [either])
        run = Run(load_verifier(), key_text)
        run.check_package(path, note, len(listed), broken)
        return run.report()
    run = Run(load_verifier(), key_text)
    try:
        told = run.vb.parse_json(raw := read(path))
    except ValueError as err:
        raise Unreadable("zip" if raw.startswith(ZIP) else "not_json", name=path.name) from err
    kind = told.get("format") if isinstance(told, dict) else None
    if kind in REPORTS:
        run.check_report(told, path.name, papers)
    elif kind == BADGE:
        refuse_papers(papers)
        run.check_badge(told, path.name, domain)
    else:
        raise Unreadable("format", name=path.name)
    return run.report()


def make_report(
    verdict: str, broken: list[dict[str, Any]], checked: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "headline": headline_of(broken) if verdict == DIFFERS else verdict,
        "exit_code": EXIT_CODES[verdict],
        "broken": broken,
        "checked": checked or [],
    }


def headline_of(broken: list[dict[str, Any]]) -> str:
    """Returns the gravest of what is wrong: an altered chain that is whole as signed is no altered text."""
    met = {one["key"] for one in broken}
    return next(headline for headline, keys in HEADLINES.items() if not met.isdisjoint(keys))


def refuse_papers(papers: list[Path]) -> None:
    """Raises Unreadable for files that would not be looked at: only a report has papers."""
    if papers:
        raise Unreadable("papers", name=papers[0].name)


def render(report: dict[str, Any], lang: str, verifier: Any) -> str:
    """Returns the report as text for people."""
    text = TEXT[lang]
    lines = [text[f"headline_{report['headline']}"]]
    for name in ("broken", "checked"):
        if report[name]:
            lines += ["", text[name]]
        lines += [f"  - {text[one['key']].format(**one['params'])}" for one in report[name]]
    if "bundle" in report:
        lines += ["", "bundle.json", verifier.render(report["bundle"], lang)]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    locale = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("proof", metavar="REPORT.json|FOLDER|BADGE.json")
    parser.add_argument("papers", metavar="REPORT.pdf", nargs="*")
    parser.add_argument("--key", help="a public key, or a file with one a line")
    parser.add_argument("--domain", help="where a badge was seen")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--lang", choices=TEXT, default="zh" if locale.startswith("zh") else "en")
    asked = parser.parse_args(arguments)
    try:
        key_text = None if asked.key is None else read_key(asked.key)
        papers = [Path(one) for one in asked.papers]
        report = check(Path(asked.proof), papers, key_text, asked.domain)
    except Unreadable as err:
        report = make_report(UNREADABLE, [err.remark])
    if asked.json:
        said = json.dumps(report, ensure_ascii=False)
    else:
        said = render(report, asked.lang, sys.modules.get("verify_bundle"))
    sys.stdout.buffer.write(said.encode("utf-8") + b"\n")  # whatever the terminal's encoding is
    return int(report["exit_code"])


if __name__ == "__main__":
    sys.exit(main())
