#!/usr/bin/env python3
"""Checks a Suxin evidence bundle (suxin-evidence/1) offline, with Python's standard library alone.

    python3 -I verify_bundle.py BUNDLE.json [--key VKEY] [--policy FILE] [--json] [--lang zh|en]

Copy this one file anywhere; it needs Python 3.9 or later, asks no network and trusts no server. VKEY
is the log's public key as text, or a file that holds it, and must come from somewhere else than the
bundle: a bundle that brings its own key only agrees with itself. Where the log went on under another
name and key, the key of any of its logs will do: each hands over to the next by records of its own.
FILE is a policy file: keys of logs that are believed, and of witnesses, of whom a quorum must have
cosigned each checkpoint.

Exit code: 0 it matches the record; 1 it does not, and the first broken place is named; 2 it cannot
be read; 3 it agrees with itself, but no key was given to check it against.

What it follows: RFC 8032 (Ed25519), RFC 9162 section 2.1.3.2 (inclusion), c2sp.org/signed-note and
c2sp.org/tlog-checkpoint, -cosignature (Ed25519) and -policy, RFC 8785 (canonical JSON) within Suxin's
subset.

The times of two streams tell an order only to 5 s, by which a stream may be ahead of the log's clock:
a signing key counts as in force from 5 s before its registration until 5 s after its revocation.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import sys
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

FORMAT = "suxin-evidence/1"
ZIP = b"PK\x03\x04"  # what zip files begin with
MATCHES, DIFFERS, UNREADABLE, UNANCHORED = "matches", "differs", "unreadable", "unanchored"
EXIT_CODES = {MATCHES: 0, DIFFERS: 1, UNREADABLE: 2, UNANCHORED: 3}

TEXT = {
    "en": {
        "verdict_matches": "It matches the record.",
        "verdict_differs": "It does NOT match the record.",
        "verdict_unreadable": "It cannot be read as evidence.",
        "verdict_unanchored": "It agrees with itself, but no key was given to check it against.",
        "heading_broken": "Broken, first place first:",
        "heading_checked": "Checked:",
        "heading_unchecked": "Not checked:",
        "heading_pending": "Not proven yet, since no signed checkpoint covers them:",
        "heading_steps": "The four steps, since the unit was issued or last came back:",
        "step_listing": "Listing",
        "step_sale": "Sale",
        "step_dispatch": "Dispatch",
        "step_signature": "Signature",
        "step_is_there": "{step}: recorded at {at} ({stream}, record {seq})",
        "step_is_pending": "{step}: not proven yet ({stream}, record {seq})",
        "step_is_missing": "{step}: missing, although what is recorded presupposes it",
        "step_is_unneeded": "{step}: none needed, for the goods were fetched",
        "step_is_none": "{step}: not recorded",
        "steps_quote": "“{step}”",
        "steps_join": ", ",
        "steps_whole": "No step is missing.",
        "steps_missing": "The record is not complete; missing: {steps}.",
        "steps_pending": "Not proven yet: {steps}.",
        "steps_none": "Not recorded: {steps}.",
        "pending_record": "{stream}, record {seq}",
        "file_missing": "{name}: there is no such file; give the path of one that was downloaded.",
        "file_unreadable": "{name}: it is there, but cannot be read (a folder, or not yours to read?).",
        "key_missing": "{name}: there is no such file, and it is not a verifier key (vkey) itself.",
        "not_json": "This is not JSON text in UTF-8.",
        "zip": "This is a zip file, as an evidence package is. Unpack it, then check the bundle.json in it,"
        " or the whole folder by verify_proof.py.",
        "format": "This is no evidence bundle of format {expected}.",
        "shape": "The bundle is not built as its format says.",
        "key_given": "The key that was given is not a verifier key (vkey).",
        "policy_given": "The policy that was given cannot be read; line {line} is wrong.",
        "policy_logs": "The policy that was given names no log.",
        "key_form": "The key of checkpoint {origin} is not a verifier key (vkey).",
        "key_differs": "The bundle's key of checkpoint {origin} is not the one that was given.",
        "checkpoint_signature": "Checkpoint {origin} is not signed by its key.",
        "checkpoint_form": "The signed text of checkpoint {origin} is not a checkpoint.",
        "checkpoint_origin": "The checkpoint filed under {origin} is that of another log.",
        "checkpoint_twice": "There are two checkpoints of {origin}.",
        "quorum_missing": "Checkpoint {origin} lacks cosignatures of the witnesses that the policy asks"
        " for.",
        "body_form": "A record's text is not canonical JSON.",
        "record_form": "A record lacks a proper `{field}`.",
        "hash_mismatch": "{stream}, record {seq}: the hash is not that of the body.",
        "stream_mismatch": "{stream}: record {seq} belongs to another stream.",
        "seq_gap": "{stream}: record {expected} should stand here, record {seq} does.",
        "seq_order": "{stream}: record {seq} is out of order.",
        "record_fork": "{stream}: there are two different records {seq}.",
        "prev_mismatch": "{stream}, record {seq}: it does not follow from the record before it.",
        "time_falls": "{stream}, record {seq}: recorded before the record that it follows.",
        "index_missing": "{stream}, record {seq}: it has no place in the log.",
        "checkpoint_missing": "{stream}, record {seq}: its log has no checkpoint in the bundle.",
        "not_included": "{stream}, record {seq}: the log does not hold it at place {index}.",
        "ref_missing": "{stream}, record {seq}: it relies on record {ref_seq} of {ref}, which is"
        " not in the bundle.",
        "ref_mismatch": "{stream}, record {seq}: it relies on another record {ref_seq} of {ref}"
        " than the one in the bundle.",
        "signature_wrong": "{stream}, record {seq}: {actor} did not sign this.",
        "signature_early": "{stream}, record {seq}: {actor} registered the key that signed it only"
        " afterwards.",
        "signature_revoked": "{stream}, record {seq}: {actor} had revoked the key that signed it.",
        "heads_record_missing": "Record {seq} of log/heads, a map of all chains' ends, is not in the bundle.",
        "heads_record_form": "Record {seq} of log/heads is not the root of a map of all chains' ends.",
        "heads_unproven": "Record {seq} of log/heads, a map of all chains' ends, is not in the log yet.",
        "heads_proof": "The proof of the chain's end does not lead to the map in record {seq} of log/heads.",
        "tail_hidden": "{stream}: the end of the chain is missing. On {at} it ended with record"
        " {seq}, which is not here.",
        "subject_missing": "There is no record of {subject}.",
        "nothing_proven": "No record of {subject} is in the log yet; ask for the evidence again.",
        "checked_key": "checkpoints signed with the key that was given: {count}",
        "checked_handovers": "checkpoints of further logs, whose keys the log itself hands over:"
        " {count}",
        "checked_checkpoints": "checkpoints signed with the bundle's own key: {count}",
        "checked_witnesses": "checkpoints cosigned by the witnesses that the policy asks for: {count}",
        "checked_records": "records whose text, hash, number, link and time fit: {count}",
        "checked_inclusions": "records proven to be in the signed log: {count}",
        "checked_refs": "references between records: {count}",
        "checked_signatures": "signatures of those responsible: {count}",
        "checked_completeness": "the chain's end: up to record {seq} nothing was left out as of {at},"
        " when the log had {size} records",
        "unchecked_key": "who signed the log: no key was given",
        "unchecked_pending": "records not proven yet: {count}",
        "unchecked_refs": "references to records that are not in the bundle: {count}",
        "unchecked_signatures": "signatures whose key is not proven by the bundle: {count}",
        "unchecked_revocation": "whether a signing key was revoked by a record that is not here",
        "unchecked_sealed": "records with sealed sections, whose contents are not here: {count}",
        "unchecked_overdue": "whether a step that is not recorded is overdue: how long each may take is the"
        " service's to say",
        "unchecked_completeness": "whether records were left out at the chain's end: no map of all"
        " chains' ends is here",
        "unchecked_later": "whether more was recorded after the last record shown",
        "unchecked_view": "whether the log shows everybody the same",
        "unchecked_truth": "whether what was recorded was true when it was recorded",
    },
    "zh": {
        "verdict_matches": "与记录相符。",
        "verdict_differs": "与记录不符！",
        "verdict_unreadable": "无法作为证据读取。",
        "verdict_unanchored": "前后一致，但没有给出可供核对的公钥。",
        "heading_broken": "不符之处（从第一处起）：",
        "heading_checked": "已核对：",
        "heading_unchecked": "未核对：",
        "heading_pending": "尚未获得证明（没有签名的检查点覆盖）：",
        "heading_steps": "四个环节（自发码或最近一次退回以来）：",
        "step_listing": "上架",
        "step_sale": "销售",
        "step_dispatch": "配送",
        "step_signature": "签收",
        "step_is_there": "{step}：{at} 记录（{stream} 第 {seq} 条）",
        "step_is_pending": "{step}：尚未获得证明（{stream} 第 {seq} 条）",
        "step_is_missing": "{step}：缺失，而已有的记录以它为前提",
        "step_is_unneeded": "{step}：无需，商品为自提",
        "step_is_none": "{step}：没有记录",
        "steps_quote": "“{step}”",
        "steps_join": "、",
        "steps_whole": "没有缺少环节。",
        "steps_missing": "记录不完整：缺少{steps}。",
        "steps_pending": "尚未获得证明：{steps}。",
        "steps_none": "没有{steps}的记录。",
        "pending_record": "{stream} 第 {seq} 条",
        "file_missing": "{name}：没有这个文件，请给出已下载文件的路径。",
        "file_unreadable": "{name}：读不出来（可能是文件夹，或没有读取权限）。",
        "key_missing": "{name}：没有这个文件，它本身也不是有效的 vkey。",
        "not_json": "不是 UTF-8 编码的 JSON 文本。",
        "zip": "这是一个 zip 压缩文件，例如整个证据包。请先解压，再核对其中的 bundle.json，"
        "或用 verify_proof.py 核对整个文件夹。",
        "format": "不是 {expected} 格式的证据包。",
        "shape": "证据包的结构不符合其格式。",
        "key_given": "给出的公钥不是有效的 vkey。",
        "policy_given": "给出的策略文件无法读取：第 {line} 行有误。",
        "policy_logs": "给出的策略文件没有列出任何日志。",
        "key_form": "检查点 {origin} 的公钥不是有效的 vkey。",
        "key_differs": "证据包中检查点 {origin} 的公钥与给出的公钥不同。",
        "checkpoint_signature": "检查点 {origin} 没有其公钥的有效签名。",
        "checkpoint_form": "检查点 {origin} 的签名文本不是检查点。",
        "checkpoint_origin": "列在 {origin} 名下的检查点属于另一个日志。",
        "checkpoint_twice": "{origin} 有两个检查点。",
        "quorum_missing": "检查点 {origin} 缺少策略要求的见证方联署。",
        "body_form": "一条记录的正文不是规范 JSON。",
        "record_form": "一条记录缺少合规的 {field}。",
        "hash_mismatch": "{stream} 第 {seq} 条：哈希值与正文不符。",
        "stream_mismatch": "{stream}：第 {seq} 条记录属于另一条链。",
        "seq_gap": "{stream}：此处应为第 {expected} 条，实为第 {seq} 条。",
        "seq_order": "{stream}：第 {seq} 条次序不对。",
        "record_fork": "{stream}：第 {seq} 条有两个不同的版本。",
        "prev_mismatch": "{stream} 第 {seq} 条：与前一条记录衔接不上。",
        "time_falls": "{stream} 第 {seq} 条：记录时间早于前一条。",
        "index_missing": "{stream} 第 {seq} 条：没有它在日志中的位置。",
        "checkpoint_missing": "{stream} 第 {seq} 条：证据包中没有其日志的检查点。",
        "not_included": "{stream} 第 {seq} 条：日志第 {index} 位没有它。",
        "ref_missing": "{stream} 第 {seq} 条：所依据的 {ref} 第 {ref_seq} 条不在证据包中。",
        "ref_mismatch": "{stream} 第 {seq} 条：所依据的 {ref} 第 {ref_seq} 条与证据包中的不同。",
        "signature_wrong": "{stream} 第 {seq} 条：不是 {actor} 的签名。",
        "signature_early": "{stream} 第 {seq} 条：签名时 {actor} 尚未登记该密钥。",
        "signature_revoked": "{stream} 第 {seq} 条：签名时 {actor} 已撤销该密钥。",
        "heads_record_missing": "log/heads 第 {seq} 条（各链末端总图）不在证据包中。",
        "heads_record_form": "log/heads 第 {seq} 条不是各链末端总图的根。",
        "heads_unproven": "log/heads 第 {seq} 条（各链末端总图）尚未获证写入日志。",
        "heads_proof": "链末端的证明与 log/heads 第 {seq} 条中的总图不符。",
        "tail_hidden": "{stream}：链的末端缺失。{at} 时其末条为第 {seq} 条，证据包中没有。",
        "subject_missing": "没有 {subject} 的记录。",
        "nothing_proven": "{subject} 的记录均尚未写入日志，请稍后重新获取证据。",
        "checked_key": "由给出的公钥签名的检查点：{count}",
        "checked_handovers": "由日志自身移交其公钥的其他日志的检查点：{count}",
        "checked_checkpoints": "由证据包自带公钥签名的检查点：{count}",
        "checked_witnesses": "有策略要求的见证方联署的检查点：{count}",
        "checked_records": "正文、哈希、序号、衔接与时间均相符的记录：{count}",
        "checked_inclusions": "已证明在签名日志中的记录：{count}",
        "checked_refs": "记录之间的引用：{count}",
        "checked_signatures": "责任方的签名：{count}",
        "checked_completeness": "链的末端：截至 {at}（日志共 {size} 条时），到第 {seq} 条为止没有遗漏",
        "unchecked_key": "日志由谁签名：没有给出公钥",
        "unchecked_pending": "尚未获得证明的记录：{count}",
        "unchecked_refs": "指向证据包之外记录的引用：{count}",
        "unchecked_signatures": "证据包未能证明其密钥的签名：{count}",
        "unchecked_revocation": "签名密钥是否已被证据包之外的记录撤销",
        "unchecked_sealed": "含密封内容的记录（内容不在证据包中）：{count}",
        "unchecked_overdue": "没有记录的环节是否已经逾期：各环节的期限由服务方规定",
        "unchecked_completeness": "链的末端是否遗漏了记录：没有各链末端总图",
        "unchecked_later": "最后一条之后是否还有记录",
        "unchecked_view": "日志对所有人显示的是否相同",
        "unchecked_truth": "所记录的内容在记录时是否属实",
    },
}


# ------------------------------------------------------------------------ Ed25519, RFC 8032 5.1

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER_Y = {0, 1, P - 1, Y_OF_ORDER_8, P - Y_OF_ORDER_8}

Point = tuple[int, int, int, int]
"""X, Y, Z, T of extended coordinates: x = X/Z, y = Y/Z, x·y = T/Z."""

NEUTRAL: Point = (0, 1, 1, 0)


def decode_point(raw: bytes) -> Point:
    """Returns the point that 32 bytes name in canonical form; raises ValueError."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * SQRT_M1 % P
    if y >= P or v * x * x % P != u or (x == 0 and sign):
        raise ValueError
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def encode_point(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def add_points(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def double_point(p: Point) -> Point:
    a, b, c = p[0] * p[0], p[1] * p[1], 2 * p[2] * p[2]
    h = a + b
    e = (h - (p[0] + p[1]) ** 2) % P
    g = (a - b) % P
    f = (c + g) % P
    return (e * f % P, g * h % P, f * g % P, e * h % P)


BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def multiply_both(s: int, k: int, point: Point) -> Point:
    """Returns s·BASE + k·point, two bits of both at a time."""
    table = [NEUTRAL]
    for n in range(1, 16):
        table.append(add_points(table[n - 1], BASE) if n % 4 else add_points(table[n - 4], point))
    found = NEUTRAL
    for shift in range(252, -1, -2):
        found = double_point(double_point(found))
        digits = (s >> shift & 3) | (k >> shift & 3) << 2
        if digits:
            found = add_points(found, table[digits])
    return found


def is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the signature is true. Strict: S < L, canonical points, no key of small order."""
    if len(public_key) != 32 or len(signature) != 64 or is_weak_key(public_key):
        return False
    try:
        x, y, _, t = decode_point(public_key)
    except ValueError:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    k = int.from_bytes(digest, "little") % L
    # R = s·B − k·A. Comparing encodings also refuses an R that is not canonical.
    return encode_point(multiply_both(s, k, (P - x, y, 1, P - t))) == signature[:32]


def is_weak_key(public_key: bytes) -> bool:
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    return y >= P or y in SMALL_ORDER_Y


# ------------------------------------------------------------------- signed notes, the log's tree

Key = tuple[str, bytes, bytes]
"""A verifier key: name, key id (4 bytes), Ed25519 public key (32 bytes)."""

MAX_TIME_S = 253_402_300_799  # a cosignature's time: until the end of the year 9999
CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


def decode_base64(text: str) -> bytes:
    """Returns the bytes of canonical base64; raises ValueError."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError
    return raw


def is_key_name(name: str) -> bool:
    spaced = any(char.isspace() for char in name)
    return name != "" and "+" not in name and not spaced and not CONTROL.search(name)


def parse_vkey(text: str, kind: int = 1) -> Key:
    """Returns the key of a vkey text; raises ValueError. kind: 1 of a log, 4 of a witness."""
    name, key_id, encoded = text.split("+", 2)  # no further: base64 holds `+` itself
    key = decode_base64(encoded)
    digest = hashlib.sha256(name.encode() + b"\n" + key).digest()
    if not is_key_name(name) or key_id != digest[:4].hex() or len(key) != 33 or key[0] != kind:
        raise ValueError
    if is_weak_key(key[1:]):
        raise ValueError
    decode_point(key[1:])
    return name, digest[:4], key[1:]


def split_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Returns text and (name, key id, signature) of each line under it; raises ValueError."""
    text, blank, signatures = note.rpartition("\n\n")  # the last empty line parts them
    lines = signatures.split("\n")
    if not blank or lines.pop() != "" or len(lines) > 100:
        raise ValueError
    if len(note) > 1_000_000 or CONTROL.search(note):
        raise ValueError
    found = []
    for line in lines:
        mark, name, encoded = line.split(" ", 2)
        blob = decode_base64(encoded)
        if mark != "\u2014" or not is_key_name(name) or len(blob) <= 4:
            raise ValueError
        found.append((name, blob[:4], blob[4:]))
    return text + "\n", found


def open_note(note: str, key: Key) -> str:
    """Returns the text that `key` signed; raises ValueError."""
    text, lines = split_note(note)
    own = [signature for name, key_id, signature in lines if (name, key_id) == key[:2]]
    if not own or not all(is_signed(key[2], signature, text.encode()) for signature in own):
        raise ValueError
    return text


def cosigners_of(note: str, keys: list[Key]) -> set[Key]:
    """Returns which witnesses cosigned; raises ValueError where a line of one of them is wrong."""
    text, lines = split_note(note)
    found = set()
    for name, key_id, signature in lines:
        for key in keys:
            if (name, key_id) != key[:2]:
                continue
            at = int.from_bytes(signature[:8], "big")
            message = f"cosignature/v1\ntime {at}\n{text}".encode()
            if at > MAX_TIME_S or not is_signed(key[2], signature[8:], message):
                raise ValueError
            found.add(key)
    return found


def parse_checkpoint(text: str) -> tuple[str, int, bytes]:
    """Returns origin, size and root of a checkpoint; raises ValueError."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:
        raise ValueError
    if not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]) or int(lines[1]) >= 2**63:
        raise ValueError
    root = decode_base64(lines[2])
    if len(root) != 32 or (lines[1] == "0" and root != hashlib.sha256(b"").digest()):
        raise ValueError
    return lines[0], int(lines[1]), root


def is_included(entry: bytes, index: int, proof: list[bytes], size: int, root: bytes) -> bool:
    """Whether the log of `size` entries with `root` holds `entry` at `index`."""
    if not 0 <= index < size:
        return False
    node = hashlib.sha256(b"\x00" + entry).digest()
    last = size - 1
    for sibling in proof:
        if last == 0 or len(sibling) != 32:
            return False
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def is_head_in_map(stream: str, head: dict[str, Any], siblings: list[bytes], root: bytes) -> bool:
    """Whether the map of all chains' ends with `root` says that `stream` ended with `head`."""
    if not stream.isascii() or head["seq"] >= 2**64 or len(siblings) > 256:
        return False
    if any(len(sibling) != 32 for sibling in siblings) or siblings[:1] == [bytes(32)]:
        return False  # a leaf beside nothing stands higher up
    key = hashlib.sha256(b"suxin-stream/1\n" + stream.encode()).digest()
    told = key + head["seq"].to_bytes(8, "big") + bytes.fromhex(head["hash"])
    node = hashlib.sha256(b"\x00" + told).digest()
    path = int.from_bytes(key, "big") >> (256 - len(siblings))
    for n, sibling in enumerate(siblings):
        pair = sibling + node if path >> n & 1 else node + sibling
        node = hashlib.sha256(b"\x01" + pair).digest()
    return node == root


# ---------------------------------------------------------------------------------- the policy


class PolicyError(ValueError):
    """No policy file; `line` says where, counted from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class Policy:
    """A policy file (c2sp.org/tlog-policy): logs, witnesses, groups of them, the quorum."""

    def __init__(self, raw: bytes) -> None:
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum = ""
        self.members: set[str] = set()
        lines = raw[:1_000_000].split(b"\n")
        for number, octets in enumerate(lines, 1):
            try:
                if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", octets):
                    raise ValueError
                text = octets.decode("utf-8", "surrogateescape").strip(" \t")
                if text and not text.startswith("#"):
                    self.take(re.split("[ \t]+", text))
            except ValueError as err:
                raise PolicyError(number) from err
        if len(raw) > 1_000_000 or not self.quorum:
            raise PolicyError(len(lines))

    def take(self, words: list[str]) -> None:
        """Takes one line; raises ValueError."""
        word, count = words[0], len(words)
        if word == "log" and count in (2, 3):
            key = parse_vkey(words[1])
            self.check_new(key, self.logs)
            self.logs.append(key)
        elif word == "witness" and count in (3, 4) and self.is_free(words[1]):
            key = parse_vkey(words[2], kind=4)
            self.check_new(key, list(self.witnesses.values()))
            self.witnesses[words[1]] = key
        elif word == "group" and count > 3 and self.is_free(words[1]):
            members = words[3:]
            for name in members:
                if not self.is_known(name) or name in self.members:
                    raise ValueError
                self.members.add(name)
            least = {"any": 1, "all": len(members)}.get(words[2], 0)
            if re.fullmatch("[1-9][0-9]{0,5}", words[2]):
                least = int(words[2])
            if not 1 <= least <= len(members):
                raise ValueError
            self.groups[words[1]] = (least, members)
        elif word == "quorum" and count == 2 and not self.quorum:
            if words[1] != "none" and not self.is_known(words[1]):
                raise ValueError
            self.quorum = words[1]
        else:
            raise ValueError

    def check_new(self, key: Key, known: list[Key]) -> None:
        if any(key[2] == other[2] for other in known):
            raise ValueError

    def is_known(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups

    def is_free(self, name: str) -> bool:
        return name != "none" and not self.is_known(name)

    def is_met(self, cosigners: set[Key]) -> bool:
        """Whether cosignatures of these are enough."""
        met = {"none": True}
        met.update((name, key in cosigners) for name, key in self.witnesses.items())
        for name, (least, members) in self.groups.items():  # members stand before their groups
            met[name] = sum(met[member] for member in members) >= least
        return met[self.quorum]


# ------------------------------------------------------------------------------- canonical JSON


def parse_json(raw: bytes) -> Any:
    """Returns the value of strict JSON in UTF-8; raises ValueError."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    text = raw.decode("utf-8")
    try:
        value = json.loads(text, object_pairs_hook=without_duplicates, parse_constant=refuse)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate fails here
    except RecursionError as err:
        raise ValueError from err
    return value


def canonical(value: Any) -> bytes:
    """Returns the canonical bytes of a value that is in the subset."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def is_in_subset(value: Any, depth: int = 0) -> bool:
    if isinstance(value, (dict, list)):
        parts = value.values() if isinstance(value, dict) else value
        keys = value if isinstance(value, dict) else ()
        return (
            depth < 8
            and all(key.isascii() and key.isprintable() for key in keys)
            and all(is_in_subset(part, depth + 1) for part in parts)
        )
    if isinstance(value, str):
        if value.isascii():
            return value.isprintable()
        categories = {unicodedata.category(char) for char in value}
        # Of a text with characters that this Python's Unicode does not know nobody can tell whether
        # it is in NFC; the service takes none in records.
        known = "Cn" not in categories
        return not categories & {"Cc", "Cs"} and (
            not known or unicodedata.is_normalized("NFC", value)
        )
    return isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53)


def parse_body(body: str) -> dict[str, Any]:
    """Returns the fields of a record's body; raises ValueError unless it is canonical."""
    raw = body.encode("utf-8")
    fields = parse_json(raw)
    if not isinstance(fields, dict) or not is_in_subset(fields) or canonical(fields) != raw:
        raise ValueError
    return fields


# ---------------------------------------------------------------------------- shape of a bundle

HASH = re.compile("[0-9a-f]{64}")
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def is_seq(value: Any) -> bool:
    return is_integer(value) and value >= 0


def is_hash(value: Any) -> bool:
    return is_text(value) and HASH.fullmatch(value) is not None


def is_time(value: Any) -> bool:
    try:
        return is_text(value) and TIME.fullmatch(value) is not None and bool(read_time(value))
    except ValueError:  # there is no such day
        return False


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text[:-1])  # UTC, all of them


def is_ref(value: Any) -> bool:
    return not wrong_field(value, {"hash": is_hash, "seq": is_seq, "stream": is_text})


def is_heads(value: Any) -> bool:
    parts = {"seq": is_seq, "head": is_head, "siblings": is_list}
    return not wrong_field(value, parts) and all(map(is_text, value["siblings"]))


def is_head(value: Any) -> bool:
    return not wrong_field(value, {"seq": is_seq, "hash": is_hash})


RECORD = {
    "v": lambda value: is_integer(value) and value == 1,
    "stream": is_text,
    "seq": is_seq,
    "prev": is_hash,
    "recorded_at": is_time,
    "type": is_text,
    "actor": is_text,
    "data": is_object,
}
RECORD_OPTIONAL = {
    "refs": lambda value: is_list(value) and all(map(is_ref, value)),
    "signed": lambda value: not wrong_field(value, {"key": is_text, "value": is_text}),
    "sealed": is_object,
}
CHECKPOINT_ITEM = {"origin": is_text, "key": is_text, "note": is_text}
STREAM_ITEM = {"stream": is_text, "records": is_list}
MAP_ROOT = {"log": is_text, "root": is_hash, "size": is_seq, "streams": is_seq}
RECORD_ITEM = {"body": is_text, "hash": is_text}
RECORD_ITEM_OPTIONAL = {
    "leaf_index": lambda value: value is None or is_integer(value),
    "log": lambda value: value is None or is_text(value),
    "inclusion": lambda value: value is None or (is_list(value) and all(map(is_text, value))),
}


def wrong_field(value: Any, needed: dict[str, Any], optional: dict[str, Any] | None = None) -> str:
    """Returns the first field that is not as it must be ("" if all are)."""
    if not isinstance(value, dict):
        return next(iter(needed))
    for name, fits in needed.items():
        if not fits(value.get(name)):
            return name
    for name, fits in (optional or {}).items():
        if name in value and not fits(value[name]):
            return name
    return ""


def misshapen_place(bundle: dict[str, Any]) -> str:
    """Returns the first place where the bundle is not built as its format says ("" if none)."""
    wrong = wrong_field(
        bundle,
        {"subject": is_text, "streams": is_list, "checkpoints": is_list},
        {"pending": is_list, "heads": is_heads},
    )
    if wrong:
        return wrong
    for n, item in enumerate(bundle["checkpoints"]):
        if wrong_field(item, CHECKPOINT_ITEM):
            return f"checkpoints[{n}]"
    for n, stream in enumerate(bundle["streams"]):
        if wrong_field(stream, STREAM_ITEM):
            return f"streams[{n}]"
        for m, item in enumerate(stream["records"]):
            if wrong_field(item, RECORD_ITEM, RECORD_ITEM_OPTIONAL):
                return f"streams[{n}].records[{m}]"
    for n, item in enumerate(bundle.get("pending", [])):
        if wrong_field(item, RECORD_ITEM, RECORD_ITEM_OPTIONAL):
            return f"pending[{n}]"
    return ""


# ---------------------------------------------------------------------------------- verification

# By how much a stream may be ahead of the clock: the times of two streams tell no more.
MAX_AHEAD = timedelta(seconds=5)
HEADS = "log/heads"
NOT_CLAIMED = ("prev", "recorded_at", "refs", "seq", "signed", "source", "via")
CHECKED = (
    "key",
    "handovers",
    "checkpoints",
    "witnesses",
    "records",
    "inclusions",
    "refs",
    "signatures",
)
UNCHECKED = (
    "pending",
    "refs",
    "signatures",
    "sealed",
    "key",
    "revocation",
    "overdue",
    "completeness",
    "later",
    "view",
    "truth",
)


@dataclass
class Record:
    """One record of the bundle; `hash` is computed, `proven` says that the signed log holds it.

    `pending`: no signed checkpoint covers it, so anybody may have made it up. It must fit what is
    there, and counts as nothing that was checked.
    """

    place: str
    stream: str
    seq: int
    hash: str
    fields: dict[str, Any]
    proven: bool = False
    pending: bool = False

    def recorded_at(self) -> datetime:
        return read_time(self.fields["recorded_at"])


@dataclass
class ClaimedLog:
    """A checkpoint of the bundle, opened with the key that it brings along.

    `wrong`: why it is none. `trust`: "given" by who asks, "handed" over by another log, or "".
    """

    place: str
    origin: str
    vkey: str
    key: Key | None = None
    note: str = ""
    head: tuple[int, bytes] | None = None  # size and root
    wrong: str = ""
    trust: str = ""

    def open(self, note: str) -> None:
        self.note = note
        self.wrong = "key_form"
        try:
            self.key = parse_vkey(self.vkey)
            self.wrong = "checkpoint_signature"
            text = open_note(note, self.key)
            self.wrong = "checkpoint_form"
            said, size, root = parse_checkpoint(text)
        except ValueError:
            return
        self.wrong = "" if said == self.origin else "checkpoint_origin"
        if not self.wrong:
            self.head = (size, root)

    def holds(self, item: dict[str, Any]) -> bool:
        """Whether the checkpoint proves an item's record."""
        if self.head is None or item.get("leaf_index") is None:
            return False
        entry = hashlib.sha256(item["body"].encode("utf-8")).digest()
        try:
            proof = [decode_base64(part) for part in item.get("inclusion") or []]
        except ValueError:
            return False
        return is_included(entry, item["leaf_index"], proof, *self.head)


def read_logs(bundle: dict[str, Any], keys: list[Key]) -> list[ClaimedLog]:
    """Returns the bundle's checkpoints, each with whether it is to be believed.

    A log is believed whose key was given. So is one that a proven `rotated` record of a believed log
    names, and one that a proven `continued` record names with exactly this size and root.
    """
    logs: dict[str, ClaimedLog] = {}
    found = []
    for n, item in enumerate(bundle["checkpoints"]):
        log = ClaimedLog(f"checkpoints[{n}]", item["origin"], item["key"])
        found.append(log)
        if log.origin in logs:
            log.wrong = "checkpoint_twice"
            continue
        logs[log.origin] = log
        log.open(item["note"])
        if not keys or log.key in keys:
            log.trust = "given"
    handovers = []
    for stream in bundle["streams"]:
        for item in stream["records"] if stream["stream"] == HEADS else []:
            try:
                fields = parse_body(item["body"])
            except ValueError:
                continue
            if not wrong_field(fields, RECORD, RECORD_OPTIONAL) and fields["stream"] == HEADS:
                handovers.append((item, fields["type"], fields["data"]))
    more = True
    while more:
        more = False
        for item, kind, data in handovers:
            origin, holder = data.get("origin"), logs.get(item.get("log") or "")
            log_named = logs.get(origin) if is_text(origin) else None
            if log_named is None or log_named.trust or log_named.key is None:
                continue
            if log_named.vkey != data.get("key"):
                continue
            if holder is None or not holder.trust or not holder.holds(item):
                continue
            if kind == "rotated" or (kind == "continued" and is_final(log_named.head, data)):
                log_named.trust = "handed"
                more = True
    return found


def is_final(head: tuple[int, bytes] | None, data: dict[str, Any]) -> bool:
    """Whether a checkpoint is the one at which a log ended, as the next one says."""
    size = data.get("size")
    return (
        head is not None
        and is_integer(size)
        and (size, data.get("root"))
        == (
            head[0],
            head[1].hex(),
        )
    )


class Run:
    """One verification: walks the bundle once and notes what it finds."""

    def __init__(self, bundle: dict[str, Any], keys: list[Key], policy: Policy | None) -> None:
        self.bundle = bundle
        self.policy = policy
        self.keys = keys
        self.broken: list[dict[str, Any]] = []
        self.pending: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}
        # origin -> size and root, or None where the checkpoint is broken
        self.checkpoints: dict[str, tuple[int, bytes] | None] = {}
        self.records: dict[tuple[str, int], Record] = {}
        self.last: dict[str, Record] = {}
        self.key_records: dict[tuple[str, str, str], list[Record]] = {}
        self.complete: list[dict[str, Any]] = []

    def report(self) -> dict[str, Any]:
        subject = self.bundle["subject"]
        for log in read_logs(self.bundle, self.keys):
            self.check_checkpoint(log)
        for n, stream in enumerate(self.bundle["streams"]):
            for m, item in enumerate(stream["records"]):
                self.check_record(item, stream["stream"], f"streams[{n}].records[{m}]")
        for n, item in enumerate(self.bundle.get("pending", [])):
            self.check_record(item, None, f"pending[{n}]")
        for record in self.records.values():
            self.check_refs(record)
        for record in self.records.values():
            self.check_signature(record)
        if "heads" in self.bundle:
            self.check_heads(self.bundle["heads"], subject)
        proven = any(r.proven for r in self.records.values() if r.stream == subject)
        if subject not in self.last:
            self.note_break("subject_missing", "subject", subject=subject)
        elif not self.broken and not proven:
            self.note_break("nothing_proven", "subject", subject=subject)
        # Nothing follows from records that are not what was signed.
        steps = None if self.broken else tell_steps(subject, [*self.records.values()])
        always = {"later", "view", "truth"}
        if any(one["status"] == "none" for one in steps or ()):
            always.add("overdue")
        if not self.keys:
            always.add("key")
        if "checked_signatures" in self.counts:
            always.add("revocation")
        if not self.complete:
            always.add("completeness")
        return make_report(
            DIFFERS if self.broken else MATCHES if self.keys else UNANCHORED,
            subject=subject,
            broken=self.broken,
            checked=self.counted("checked", CHECKED) + self.complete,
            unchecked=self.counted("unchecked", UNCHECKED, always),
            pending=self.pending,
            steps=steps,
        )

    def note_break(self, key: str, place: str, **params: Any) -> None:
        self.broken.append(remark(key, place, **params))

    def count(self, key: str) -> None:
        self.counts[key] = self.counts.get(key, 0) + 1

    def counted(self, kind: str, names: tuple[str, ...], always: Any = ()) -> list[dict[str, Any]]:
        found = []
        for key in (f"{kind}_{name}" for name in names):
            if key in self.counts:
                found.append(remark(key, count=self.counts[key]))
            elif key.partition("_")[2] in always:
                found.append(remark(key))
        return found

    def check_checkpoint(self, log: ClaimedLog) -> None:
        if log.wrong == "checkpoint_twice":
            self.note_break(log.wrong, log.place, origin=log.origin)
            return
        self.checkpoints[log.origin] = None
        # Whoever's key this is comes first: what somebody else signs is nothing here.
        wrong = log.wrong if log.key is None or log.trust else "key_differs"
        if not wrong and not self.is_witnessed(log.note):
            wrong = "quorum_missing"
        if wrong:
            self.note_break(wrong, log.place, origin=log.origin)
            return
        self.checkpoints[log.origin] = log.head
        kind = "handovers" if log.trust == "handed" else "key" if self.keys else "checkpoints"
        self.count(f"checked_{kind}")

    def is_witnessed(self, note: str) -> bool:
        """Whether the policy, if there is one, is content with a note."""
        if self.policy is None:
            return True
        try:
            found = cosigners_of(note, list(self.policy.witnesses.values()))
        except ValueError:
            return False
        if self.policy.is_met(found) and self.policy.quorum != "none":
            self.count("checked_witnesses")
        return self.policy.is_met(found)

    def check_record(self, item: dict[str, Any], stream: str | None, place: str) -> None:
        """Checks one record by itself and after the one before it. stream: None if pending."""
        try:
            fields = parse_body(item["body"])
        except ValueError:
            self.note_break("body_form", place)
            return
        wrong = wrong_field(fields, RECORD, RECORD_OPTIONAL)
        if wrong:
            self.note_break("record_form", place, field=wrong)
            return
        name = fields["stream"] if stream is None else stream
        digest = hashlib.sha256(item["body"].encode("utf-8")).hexdigest()
        record = Record(place, name, fields["seq"], digest, fields)
        known = self.records.get((name, record.seq))
        if stream is None and known is not None and known.hash == digest == item["hash"]:
            return  # it got its place in the log while the bundle was being made
        broken_before = len(self.broken)
        self.check_place(record, item["hash"])
        if stream is None:
            record.pending = True
            self.pending.append(remark("pending_record", place, stream=name, seq=record.seq))
            self.count("unchecked_pending")
        else:
            if len(self.broken) == broken_before:
                self.count("checked_records")
            self.check_inclusion(record, item)
        if "sealed" in fields:
            self.count("unchecked_sealed")
        self.records.setdefault((name, record.seq), record)
        self.last[name] = record
        key_id = fields["data"].get("key_id")
        if is_text(key_id):
            self.key_records.setdefault((name, fields["type"], key_id), []).append(record)

    def check_place(self, record: Record, stated_hash: str) -> None:
        place, fields = record.place, record.fields
        named = {"stream": record.stream, "seq": record.seq}
        last = self.last.get(record.stream)
        known = self.records.get((record.stream, record.seq))
        expected = last.seq + 1 if last else 0
        if stated_hash != record.hash:
            self.note_break("hash_mismatch", place, **named)
        if fields["stream"] != record.stream:
            self.note_break("stream_mismatch", place, **named)
        if known is not None and known.hash != record.hash:
            self.note_break("record_fork", place, **named)
        elif record.stream == self.bundle["subject"] and record.seq != expected:
            self.note_break("seq_gap", place, expected=expected, **named)
        elif last and record.seq < expected:
            self.note_break("seq_order", place, **named)
        previous = self.records.get((record.stream, record.seq - 1))
        # Where the record before it is not in the bundle, the log alone proves this one.
        link = previous.hash if previous else fields["prev"]
        if fields["prev"] != ("0" * 64 if record.seq == 0 else link):
            self.note_break("prev_mismatch", place, **named)
        if last and fields["recorded_at"] < last.fields["recorded_at"]:
            self.note_break("time_falls", place, **named)

    def check_inclusion(self, record: Record, item: dict[str, Any]) -> None:
        named = {"stream": record.stream, "seq": record.seq}
        if item.get("leaf_index") is None:
            # Else whoever takes an index away could pass a made-up record off as a late one.
            self.note_break("index_missing", record.place, **named)
            return
        if item.get("log") not in self.checkpoints:
            self.note_break("checkpoint_missing", record.place, **named)
            return
        checkpoint = self.checkpoints[item["log"]]
        if checkpoint is None:
            return  # already named
        index = item["leaf_index"]
        try:
            proof = [decode_base64(part) for part in item.get("inclusion") or []]
            if not is_included(bytes.fromhex(record.hash), index, proof, *checkpoint):
                raise ValueError
        except ValueError:
            self.note_break("not_included", record.place, index=index, **named)
            return
        record.proven = True
        self.count("checked_inclusions")

    def check_heads(self, heads: dict[str, Any], subject: str) -> None:
        """Checks that the chain holds what stood last when the map in log/heads was made."""
        head = heads["head"]
        record = self.records.get(("log/heads", heads["seq"]))
        wrong = self.wrong_with_map(record, heads, subject)
        if wrong == "heads_unproven" and self.broken:
            return  # what spoils that proof was named where it stands
        if wrong or record is None:
            self.note_break(wrong, "heads", seq=heads["seq"])
            return
        last = self.records.get((subject, head["seq"]))
        at = record.fields["recorded_at"]
        if last is None or last.hash != head["hash"]:
            self.note_break("tail_hidden", "heads", stream=subject, seq=head["seq"], at=at)
            return
        told = {"seq": head["seq"], "at": at, "size": record.fields["data"]["size"]}
        self.complete = [remark("checked_completeness", **told)]

    def wrong_with_map(self, record: Record | None, heads: dict[str, Any], subject: str) -> str:
        """Returns what is wrong with the map's record and the proof against it ("" if nothing)."""
        if record is None:
            return "heads_record_missing"
        data = record.fields["data"]
        by_us = (record.fields["type"], record.fields["actor"]) == ("map_root", "system")
        if not by_us or wrong_field(data, MAP_ROOT):
            return "heads_record_form"
        if not record.proven:
            return "heads_unproven"
        try:
            siblings = [decode_base64(sibling) for sibling in heads["siblings"]]
        except ValueError:
            return "heads_proof"
        root = bytes.fromhex(data["root"])
        return "" if is_head_in_map(subject, heads["head"], siblings, root) else "heads_proof"

    def check_refs(self, record: Record) -> None:
        for n, ref in enumerate(record.fields.get("refs", [])):
            target = self.records.get((ref["stream"], ref["seq"]))
            if target is not None and target.hash == ref["hash"]:
                if not record.pending:
                    self.count("checked_refs")
            elif target is None and record.stream != self.bundle["subject"]:
                self.count("unchecked_refs")
            else:
                self.note_break(
                    "ref_missing" if target is None else "ref_mismatch",
                    f"{record.place}.refs[{n}]",
                    stream=record.stream,
                    seq=record.seq,
                    ref=ref["stream"],
                    ref_seq=ref["seq"],
                )

    def check_signature(self, record: Record) -> None:
        fields = record.fields
        signed = fields.get("signed")
        if signed is None:
            return
        party = f"party/{fields['actor']}"
        # Only what the log proves counts: else whoever hands over the bundle could add a key or a
        # revocation.
        keys = [k for k in self.keys_named(party, "signing_key", signed["key"]) if k.proven]
        if not keys:
            self.count("unchecked_signatures")
            return
        revoked = self.keys_named(party, "signing_key_revoked", signed["key"])
        revoked = [record for record in revoked if record.proven]
        claim = {name: value for name, value in fields.items() if name not in NOT_CLAIMED}
        message = b"suxin-claim/1\n" + canonical(claim)
        wrong = ""
        at = record.recorded_at()
        keys = [key for key in keys if is_signed_by(key, signed["value"], message)]
        if not keys:
            wrong = "signature_wrong"
        elif all(key.recorded_at() - at > MAX_AHEAD for key in keys):
            wrong = "signature_early"
        elif any(at - r.recorded_at() > MAX_AHEAD for r in revoked):
            wrong = "signature_revoked"
        if not wrong:
            if not record.pending:
                self.count("checked_signatures")
            return
        named = {"stream": record.stream, "seq": record.seq, "actor": fields["actor"]}
        self.note_break(wrong, f"{record.place}.signed", **named)

    def keys_named(self, party: str, kind: str, key_id: str) -> list[Record]:
        return self.key_records.get((party, kind, key_id), [])


def is_signed_by(key_record: Record, signature: str, message: bytes) -> bool:
    public_key = key_record.fields["data"].get("public_key")
    try:
        return is_text(public_key) and is_signed(
            decode_base64(public_key), decode_base64(signature), message
        )
    except ValueError:
        return False


# ------------------------------------------------------------------------- the steps of a unit

STEPS = ("listing", "sale", "dispatch", "signature")
UNIT = re.compile("(01/[0-9]{14})/21/[!-~]{1,60}")
SHELF = re.compile("(01/[0-9]{14})(?:/10/[!-~]{1,60})?")
# What moves a life, from where to where; anything else leaves it where it is. Goods signed for take the
# carrier's own word after the seller's, and the later signature stands: who may say so the service judged.
MOVES = {
    "sale": {"registered": "sold", "returned": "sold"},
    "dispatch": dict.fromkeys(("registered", "sold", "returned"), "in_transit"),
    "signature": dict.fromkeys(("registered", "sold", "in_transit", "signed"), "signed"),
    "refusal": dict.fromkeys(("in_transit", "signed"), "returned"),
    "return": dict.fromkeys(("sold", "in_transit", "signed"), "returned"),
    "void": {"registered": "void", "returned": "void"},
}


def tell_steps(subject: str, records: list[Record]) -> list[dict[str, Any]] | None:
    """Returns the four steps of a unit since it was issued or last came back, None of anything else.

    `there`; `pending`, there but not proven yet; `missing`, what is recorded presupposes it; `unneeded`,
    a dispatch of goods that were fetched; `none`, and whether it is due cannot be told from evidence.
    """
    unit = UNIT.fullmatch(subject)
    if unit is None:
        return None
    chain = [r for r in records if r.stream == subject]
    shelf = []
    for record in records:
        above = SHELF.fullmatch(record.stream)
        if above and above[1] == unit[1] and record.fields["type"] == "listing":
            shelf.append(record)
    proven = Life([r for r in chain if r.proven], [r for r in shelf if r.proven])
    whole = Life(chain, shelf)
    told = []
    for step in STEPS:
        known, seen = proven.there.get(step), whole.there.get(step)
        found = known or seen
        status = "pending" if found and not known else proven.status(step)
        one: dict[str, Any] = {"step": step, "status": status}
        if found:
            at = found.fields["recorded_at"]
            one.update({"stream": found.stream, "seq": found.seq, "at": at})
        told.append(one)
    return told


class Life:
    """The present life of a unit, told by its records and by listings of its product and lot.

    `closed`: what the last life lacked, with the latest moment it can be of.
    """

    def __init__(self, chain: list[Record], shelf: list[Record]) -> None:
        self.shelf = shelf
        self.state, self.holder = "registered", ""
        self.listed: Record | None = None
        self.there: dict[str, Record] = {}
        self.missing: set[str] = set()
        self.closed: dict[str, str] = {}
        for record in chain:
            self.take(record)
        self.look_up()

    def status(self, step: str) -> str:
        if step in self.there:
            return "there"
        if step in self.missing:
            return "missing"
        signature = self.there.get("signature")
        fetched = signature is not None and signature.fields["data"].get("kind") == "pickup"
        return "unneeded" if step == "dispatch" and fetched else "none"

    def take(self, record: Record) -> None:
        kind, data = record.fields["type"], record.fields["data"]
        to = MOVES.get(kind, {}).get(self.state)
        if self.state == "void":
            return
        if kind == "registration" and record.seq == 0:
            self.holder = data.get("issuer", record.fields["actor"])
        elif kind == "acceptance":
            self.holder = record.fields["actor"]
        elif kind == "listing":
            self.take_listing(record)
        elif kind == "transit" and self.state in ("registered", "sold"):
            self.need("dispatch")
        elif kind in self.closed and said_at(record) <= self.closed[kind]:
            del self.closed[kind]  # the last life's, told late
        elif kind in self.missing and self.state in ("in_transit", "signed"):
            if said_at(record) <= self.latest(kind):
                self.note(kind, record)
        elif to is not None:
            self.move(kind, record, to)

    def take_listing(self, record: Record) -> None:
        if is_ended(record):
            if self.listed and self.listed.fields["actor"] == record.fields["actor"]:
                self.listed = None
            return
        self.listed = record
        if "listing" in self.missing and offers(record, self.there["sale"]):
            self.note("listing", record)

    def move(self, kind: str, record: Record, to: str) -> None:
        if kind in ("dispatch", "signature"):
            self.need("sale")
        if kind == "signature" and record.fields["data"].get("kind") != "pickup":
            self.need("dispatch")
        if kind in STEPS:
            self.closed = {}
            self.note(kind, record)
        else:
            at = said_at(record)
            lacked = self.missing & {"sale", "dispatch"}
            bounds = {step: min(at, self.latest(step) or at) for step in lacked}
            self.closed = bounds if to == "returned" else {}
            self.there, self.missing = {}, set()
        self.state = to

    def note(self, step: str, record: Record) -> None:
        self.there[step] = record
        self.missing.discard(step)
        if step != "sale":
            return
        listing = self.listing_of(record)
        if listing is not None:
            self.there["listing"] = listing
        else:
            self.need("listing")

    def need(self, step: str) -> None:
        if step not in self.there:
            self.missing.add(step)

    def listing_of(self, sale: Record) -> Record | None:
        """Returns the listing that a sale refers to, else the seller's in the unit's own chain."""
        refs = {(ref["stream"], ref["seq"]) for ref in sale.fields.get("refs", ())}
        referred = [one for one in self.shelf if (one.stream, one.seq) in refs]
        if referred:
            return referred[-1]
        own = self.listed
        return own if own is not None and own.fields["actor"] == sale.fields["actor"] else None

    def look_up(self) -> None:
        """Looks for a listing told late, or by which goods are offered that nobody bought yet."""
        sale = self.there.get("sale")
        if sale is not None and "listing" in self.missing:
            for record in self.shelf:
                late = record.fields["recorded_at"] >= sale.fields["recorded_at"]
                if late and offers(record, sale):
                    self.note("listing", record)
        if self.state in ("registered", "returned"):
            live: dict[tuple[str, str], Record] = {}
            for record in self.shelf + ([self.listed] if self.listed else []):
                if record.fields["actor"] != self.holder:
                    continue
                data = record.fields["data"]
                place = (record.stream, str(data.get("platform") or data.get("url")))
                live.pop(place, None)
                if not is_ended(record):
                    live[place] = record
            newest = [*live.values()][-1:]
            self.there = {"listing": newest[0]} if newest else {}

    def latest(self, step: str) -> str:
        """Returns when a missing step must have occurred by, "" if nothing after it is known."""
        later = ("dispatch", "signature") if step == "sale" else ("signature",)
        return min((said_at(self.there[name]) for name in later if name in self.there), default="")


def offers(listing: Record, sale: Record) -> bool:
    """Whether a listing is the seller's and of a time not after the sale."""
    same = listing.fields["actor"] == sale.fields["actor"]
    return same and not is_ended(listing) and said_at(listing) <= said_at(sale)


def is_ended(listing: Record) -> bool:
    return listing.fields["data"].get("ended") is True


def said_at(record: Record) -> str:
    """Returns what the sender said; canonical times are in order as texts are."""
    told = record.fields.get("occurred_at")
    return told if isinstance(told, str) else ""


# ------------------------------------------------------------------------------------ the report


def remark(key: str, place: str = "", **params: Any) -> dict[str, Any]:
    """Returns one thing to say: which sentence, where in the bundle, and what fills it."""
    return {"key": key, "place": place, "params": {k: shown(v) for k, v in params.items()}}


def shown(value: Any) -> Any:
    """Returns what may stand in a message: no control characters, not too long."""
    if not isinstance(value, str):
        return value
    return "".join(char if char.isprintable() else "\ufffd" for char in value[:160])


def make_report(
    verdict: str,
    *,
    subject: str = "",
    steps: list[dict[str, Any]] | None = None,
    **parts: list[dict[str, Any]],
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "verdict": verdict,
        "exit_code": EXIT_CODES[verdict],
        "subject": shown(subject),
    }
    for name in ("broken", "checked", "unchecked", "pending"):
        report[name] = parts.get(name, [])
    report["steps"] = steps
    return report


def verify(
    raw: bytes, key_text: str | None = None, policy_raw: bytes | None = None
) -> dict[str, Any]:
    """Returns the report on a bundle's bytes. key_text: one vkey a line; policy_raw: a file's."""
    unreadable = None
    bundle: Any = None
    keys: list[Key] = []
    policy = None
    try:
        policy = None if policy_raw is None else Policy(policy_raw)
    except PolicyError as err:
        unreadable = remark("policy_given", line=err.line)
    try:
        keys = [parse_vkey(line.strip()) for line in (key_text or "").splitlines() if line.strip()]
        if key_text is not None and not keys:
            raise ValueError
    except ValueError:
        unreadable = remark("key_given")
    if policy is not None and not unreadable:
        keys += policy.logs
        if not keys:
            unreadable = remark("policy_logs")
    try:
        bundle = parse_json(raw)
    except ValueError:
        unreadable = remark("zip" if raw.startswith(ZIP) else "not_json")
    else:
        if not isinstance(bundle, dict) or bundle.get("format") != FORMAT:
            unreadable = remark("format", "format", expected=FORMAT)
        elif misshapen_place(bundle):
            unreadable = remark("shape", misshapen_place(bundle))
    if unreadable:
        return make_report(UNREADABLE, broken=[unreadable])
    return Run(bundle, keys, policy).report()


def sum_up(report: dict[str, Any], lang: str) -> list[str]:
    """Returns what stands beside the verdict. That no step is missing is said only of what matches."""
    text = TEXT[lang]
    said = []
    for status in ("missing", "pending", "none"):
        steps = [one["step"] for one in report["steps"] or () if one["status"] == status]
        if steps:
            quoted = [text["steps_quote"].format(step=text[f"step_{step}"]) for step in steps]
            said.append(text[f"steps_{status}"].format(steps=text["steps_join"].join(quoted)))
    whole = report["verdict"] == MATCHES and report["steps"] is not None and not said
    return [text["steps_whole"]] if whole else said


def render(report: dict[str, Any], lang: str) -> str:
    """Returns the report as text for people."""
    text = TEXT[lang]
    lines = [text[f"verdict_{report['verdict']}"], *sum_up(report, lang)]
    if report["subject"]:
        lines.append(report["subject"])
    if report["steps"]:
        lines += ["", text["heading_steps"]]
        for one in report["steps"]:
            told = {**one, "step": text[f"step_{one['step']}"]}
            lines.append(f"  - {text['step_is_' + one['status']].format(**told)}")
    for name in ("broken", "checked", "unchecked", "pending"):
        if report[name]:
            lines += ["", text[f"heading_{name}"]]
        for found in report[name]:
            place = f"  [{found['place']}]" if name == "broken" and found["place"] else ""
            lines.append(f"  - {text[found['key']].format(**found['params'])}{place}")
    return "\n".join(lines)


class Unread(Exception):
    """A file that was named cannot be read. key: of the sentence that says why."""

    def __init__(self, key: str, name: str) -> None:
        super().__init__(key)
        self.key, self.name = key, name


def read_file(name: str, missing: str = "file_missing") -> bytes:
    """Returns the bytes of a file. Raises Unread, with the key `missing` where there is none."""
    try:
        return Path(name).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as err:
        raise Unread(missing, name) from err
    except OSError as err:
        raise Unread("file_unreadable", name) from err


def read_key(given: str) -> str:
    """Returns the text of a key that was given itself, or as the file that holds it. Raises Unread."""
    try:
        return read_file(given, "key_missing").decode("utf-8", "replace")
    except Unread:
        # A vkey has two plus signs at least: what has fewer can only be a file.
        if given.count("+") > 1:
            return given
        raise


def main(arguments: list[str] | None = None) -> int:
    locale = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("bundle", metavar="BUNDLE.json")
    parser.add_argument("--key", metavar="VKEY", help="the log's public key, or a file holding it")
    parser.add_argument("--policy", metavar="FILE", help="a policy file: logs, witnesses, a quorum")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--lang", choices=TEXT, default="zh" if locale.startswith("zh") else "en")
    asked = parser.parse_args(arguments)
    try:
        raw = read_file(asked.bundle)
        key_text = None if asked.key is None else read_key(asked.key)
        policy_raw = None if asked.policy is None else read_file(asked.policy)
    except Unread as err:
        said = TEXT[asked.lang][err.key].format(name=err.name)
        sys.stderr.buffer.write(f"{parser.prog}: {said}\n".encode())
        return EXIT_CODES[UNREADABLE]
    report = verify(raw, key_text, policy_raw)
    said = json.dumps(report, ensure_ascii=False) if asked.json else render(report, asked.lang)
    sys.stdout.buffer.write(said.encode("utf-8") + b"\n")  # whatever the terminal's encoding is
    return int(report["exit_code"])


if __name__ == "__main__":
    sys.exit(main())
