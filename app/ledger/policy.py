"""Policy files: which logs are believed, and whose cosignatures suffice (c2sp.org/tlog-policy).

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> <k|any|all> <name>...
    quorum <name|none>

A line names only what stands above it, so that there are no circles; a name is a member once, so
that nobody counts twice. Names are octets: what is no UTF-8 stands as surrogates and is only compared.

What it does not do: read files, ask witnesses. Keys of other kinds than Ed25519 are refused with
their line: a witness that we cannot verify must not silently be one that never signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from app.kit.errors import Fault, Invalid
from app.ledger.cosign import CosignerKey, parse_cosigner_vkey, read_cosignatures
from app.ledger.note import VerifierKey, parse_vkey

MAX_BYTES = 1_000_000
NONE = "none"

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT = re.compile("[1-9][0-9]{0,5}")
_Key = TypeVar("_Key", VerifierKey, CosignerKey)


class PolicyMalformed(Invalid):
    """This is no policy file. The sentence says why, `line` where; lines count from 1."""

    @property
    def line(self) -> int:
        return int(str(self.params["line"]))


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log that is believed; its key's name is its origin."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness. name: as the file calls it, known nowhere else. line: where it stands."""

    name: str
    key: CosignerKey
    url: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Group:
    """So many of these, witnesses or groups, must have witnessed. 1 <= threshold <= members."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as read. quorum: a name, or "none" where no cosignature is asked for."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: Mapping[str, Group]
    quorum: str

    @property
    def log_keys(self) -> list[VerifierKey]:
        return [log.key for log in self.logs]

    @property
    def witness_keys(self) -> list[CosignerKey]:
        return [witness.key for witness in self.witnesses]

    def is_met(self, cosigners: Collection[CosignerKey]) -> bool:
        """Whether cosignatures of these witnesses are enough."""
        met = {NONE: True}
        met |= {witness.name: witness.key in cosigners for witness in self.witnesses}
        for name, group in self.groups.items():  # in the file's order: members first
            met[name] = sum(met[member] for member in group.members) >= group.threshold
        return met[self.quorum]

    def is_unmet_without(self, cosigners: Collection[CosignerKey]) -> bool:
        """Whether these are in every quorum: what was ever served, one of them has cosigned."""
        return not self.is_met([key for key in self.witness_keys if key not in cosigners])

    @property
    def quorums_meet(self) -> bool:
        """Whether any two quorums share a witness, so that one that is honest keeps the log one."""
        # Of each name: whether two halves of the witnesses could both have it. None is below two
        # names, so each member goes to either half, or, where it can be had twice, to both.
        twice = {NONE: True} | {witness.name: False for witness in self.witnesses}
        for name, group in self.groups.items():  # in the file's order: members first
            had = len(group.members) + sum(twice[member] for member in group.members)
            twice[name] = had >= 2 * group.threshold
        return not twice[self.quorum]

    def accepts(self, note: str) -> bool:
        """Whether enough witnesses cosigned a note. A wrong line of one of them makes it false."""
        try:
            found = read_cosignatures(note, self.witness_keys)
        except Fault:
            return False
        return self.is_met([one.key for one in found])


def parse_policy(raw: bytes, *, whole: bool = True) -> Policy:
    """Returns the policy of a file's bytes. Raises PolicyMalformed, with the line.

    whole: whether it must have its quorum line; a list of logs to be watched has none.
    """
    reading = _Reading()
    lines = raw[:MAX_BYTES].split(b"\n")
    for number, octets in enumerate(lines, 1):
        if _FORBIDDEN.search(octets):
            _refuse("control", number)
        words = re.split("[ \t]+", octets.decode("utf-8", "surrogateescape").strip(" \t"))
        if words[0] and not words[0].startswith("#"):
            reading.take(words, number)
    if len(raw) > MAX_BYTES:
        _refuse("size", len(lines), expected=MAX_BYTES)
    if whole and reading.quorum is None:
        _refuse("quorum_none", len(lines))
    return reading.policy()


class _Reading:
    """One walk through a file."""

    def __init__(self) -> None:
        self.quorum: str | None = None
        self._logs: list[PolicyLog] = []
        self._witnesses: dict[str, PolicyWitness] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._keys: set[bytes] = set()

    def policy(self) -> Policy:
        return Policy(
            tuple(self._logs),
            tuple(self._witnesses.values()),
            self._groups,
            NONE if self.quorum is None else self.quorum,
        )

    def take(self, words: list[str], line: int) -> None:
        match words:
            case ["log", vkey, *url] if len(url) < 2:
                key = self._read(parse_vkey, vkey, line)
                if any(log.key.public_key == key.public_key for log in self._logs):
                    _refuse("key_twice", line)
                self._logs.append(PolicyLog(key, url[0] if url else None))
            case ["witness", name, vkey, *url] if len(url) < 2:
                self._check_free(name, line)
                cosigner = self._read(parse_cosigner_vkey, vkey, line)
                if cosigner.public_key in self._keys:
                    _refuse("key_twice", line)
                self._keys.add(cosigner.public_key)
                self._witnesses[name] = PolicyWitness(name, cosigner, url[0] if url else None, line)
            case ["group", name, threshold, *members] if members:
                self._check_free(name, line)
                self._take_group(name, threshold, members, line)
            case ["quorum", name]:
                if self.quorum is not None:
                    _refuse("quorum_twice", line)
                if name != NONE:
                    self._check_known(name, line)
                self.quorum = name
            case ["log" | "witness" | "group" | "quorum" as word, *_]:
                _refuse("words", line, got=word)
            case _:
                _refuse("word", line, got=_shown(words[0]))

    def _take_group(self, name: str, threshold: str, members: list[str], line: int) -> None:
        for member in members:
            self._check_known(member, line)
            if member in self._members:
                _refuse("member_twice", line, got=_shown(member))
            self._members.add(member)
        count = {"any": 1, "all": len(members)}.get(threshold, 0)
        if _COUNT.fullmatch(threshold):
            count = int(threshold)
        if not 1 <= count <= len(members):
            _refuse("threshold", line, expected=f"1..{len(members)}", got=_shown(threshold))
        self._groups[name] = Group(count, tuple(members))

    def _read(self, parse: Callable[[str], _Key], vkey: str, line: int) -> _Key:
        try:
            return parse(vkey)
        except Fault as err:
            raise PolicyMalformed("policy_key", line=line) from err

    def _check_free(self, name: str, line: int) -> None:
        if name == NONE or name in self._witnesses or name in self._groups:
            _refuse("name_taken", line, got=_shown(name))

    def _check_known(self, name: str, line: int) -> None:
        if name not in self._witnesses and name not in self._groups:
            _refuse("name_unknown", line, got=_shown(name))


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:80])


def _refuse(why: str, line: int, **params: Any) -> NoReturn:
    raise PolicyMalformed(f"policy_{why}", line=line, **params)
