"""The settings of a deployment: `SUXIN_*` in the environment or in `.env`, read once, then frozen.

Read only by the entries (cli, main, worker); rooms are handed plain values. A variable that starts
with SUXIN_ and names no setting is refused: a mistyped limit that does nothing is found too late.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "SUXIN_"
ENV_FILE = ".env"

_ENV_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
# A note's key name holds neither spaces nor '+' (c2sp.org/signed-note).
_ORIGIN = re.compile(r"[!-*,-~]{1,200}", re.ASCII)


class SettingsError(ValueError):
    """A setting is unknown or has a value that it cannot have.

    key: `settings.…`, a sentence of the locales; params fill it in.
    """

    def __init__(self, key: str, message: str, **params: str) -> None:
        super().__init__(message)
        self.key = key
        self.params = params


def _beside(data: dict[str, Any]) -> Path:
    return Path(f"{Path(data.get('data_dir', 'data'))}-keys")


def _keys_in(data: dict[str, Any]) -> Path:
    return Path(data["keys_dir"]) if "keys_dir" in data else _beside(data)


def _sqlite_in(data: dict[str, Any]) -> str:
    return f"sqlite:///{Path(data.get('data_dir', 'data')) / 'suxin.db'}"


def _origin_of(data: dict[str, Any]) -> str:
    return f"{urlsplit(data.get('base_url', '')).netloc or 'localhost'}/log/1"


class Settings(BaseSettings):
    """Everything an operator may choose. Each description says meaning, unit, default and trust."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    data_dir: Path = Field(
        default=Path("data"),
        description="Folder of the database and of exported files. Default ./data. Trust: who can "
        "write it can alter records, which the audit then finds; who can read it reads what is "
        "not sealed.",
    )
    keys_dir: Path = Field(
        default_factory=_beside,
        description="Folder of the log key, receipt key, key-encryption key, index key and the "
        "anchor. Default <data dir>-keys. Trust: who can read it can sign for the log and open "
        "sealed sections. Keep it out of the database's backups.",
    )
    anchor_dir: Path = Field(
        default_factory=_keys_in,
        description="Folder of the anchor, the last signed checkpoint. Default the keys folder. Where "
        "several hosts may lead: one folder on a file system that all of them share, with working "
        "locks (NFSv4 has them). Trust: who can write it can let a forked log start.",
    )
    anchor_shared: bool = Field(
        default=True,
        description="Whether all hosts that may lead share the anchor folder. Default true. false: each "
        "has its own; then SUXIN_WITNESS_POLICY must have a quorum any two of which share a witness, "
        "and whoever begins to lead signs nothing before enough witnesses said what they last saw. "
        "PostgreSQL only. Trust: with false, the witnesses alone keep a restored database from forking "
        "the log.",
    )
    database_url: str = Field(
        default_factory=_sqlite_in,
        description="Where records are kept: sqlite:///PATH or postgresql://…. Default suxin.db "
        "in the data folder. Trust: may hold a password; it is never shown or logged.",
    )
    base_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Public address, printed into every label and so chosen for life: scheme and "
        "a host of one's own, no path. Default http://127.0.0.1:8000, which no phone can open.",
    )
    log_origin: str = Field(
        default_factory=_origin_of,
        description="The log's name in checkpoints: a schema-less address without spaces or '+'. "
        "Default <host of the base URL>/log/1. Used by `suxin init` alone; afterwards the log "
        "keeps its name.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Default 127.0.0.1: only this machine. Trust: the "
        "service speaks plain HTTP; put a proxy with TLS before it when others can reach it.",
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="Port to listen on. Default 8000; 0 takes a free one.",
    )
    worker: Literal["embedded", "external"] = Field(
        default="embedded",
        description="Whether `suxin serve` runs the worker's loops itself. Default embedded; "
        "external for API processes beside one `suxin worker` or several, of which one leads.",
    )
    processes: int = Field(
        default=0,
        ge=0,
        le=64,
        description="How many processes of `suxin serve` answer requests; where it is more than one, "
        "another one beside them records and runs the worker's loops. Default 0: as many as there are "
        "usable cores, at most 4. 1: everything in one process.",
    )
    lease_s: int = Field(
        default=10,
        ge=1,
        le=600,
        description="Seconds after which another process takes over where the leading one is not "
        "heard of any more. Default 10. PostgreSQL only.",
    )
    webhook_private: bool = Field(
        default=False,
        description="Whether webhooks, and the look at a badge's domain, may go to private addresses and "
        "by plain HTTP. Default false: https to public addresses alone. Trust: with true, whoever may "
        "register a webhook or a domain can let this service ask machines of your own network.",
    )
    credit_store: str = Field(
        default="local",
        description="Where credit is kept besides here. Default local: nowhere else. https://… is "
        "another Suxin or a platform that speaks as docs/credit-store.md says (http:// for this machine "
        "alone), file:///FOLDER a folder of packages and receipts. Trust: the store is told all of the "
        "credit ledger, announced entries too, and what it says of a score is shown as its word.",
    )
    credit_store_key: str | None = Field(
        default=None,
        description="Key (vkey) of the store behind file:///FOLDER, whose receipts count. Default none; "
        "needed with a folder. Trust: whoever has the key can have changes taken for stored.",
    )
    policy_dir: Path | None = Field(
        default=None,
        description="Folder of further versions of the credit policy (2.json and so on), which follow "
        "those of the release. Default none. A version that is not announced 7 days before it is in "
        "force, or takes back what the one before promised, keeps the service from starting. Trust: "
        "who can write it decides what credit costs from some later day on, which the API shows.",
    )
    sequence_interval_ms: int = Field(
        default=200,
        ge=10,
        le=60_000,
        description="Longest pause in milliseconds before committed records get their index in "
        "the log. Default 200.",
    )
    publish_interval_ms: int = Field(
        default=500,
        ge=10,
        le=60_000,
        description="Longest pause in milliseconds before a grown log is signed and published. "
        "Default 500.",
    )
    publish_promise_s: int = Field(
        default=60,
        ge=2,
        le=86_400,
        description="Seconds from a record's commit within which receipts promise that a signed "
        "checkpoint covers it. Default 60. Trust: a receipt past this time is proof against the "
        "operator.",
    )
    witness_policy: Path | None = Field(
        default=None,
        description="Policy file (c2sp.org/tlog-policy) of the witnesses that cosign checkpoints, "
        "with their URLs. Default none. With a quorum, no checkpoint is served that it has not "
        "cosigned. Trust: who can write the file chooses who watches the log.",
    )
    heads_interval_s: int = Field(
        default=3_600,
        ge=1,
        le=604_800,
        description="Seconds from one map over all streams' last records to the next, whose root is "
        "recorded in the log. Default 3600. Trust: what was hidden of a chain's end since the last "
        "map shows in no evidence.",
    )
    documents_mb: int = Field(
        default=200,
        ge=1,
        le=1_000_000,
        description="How many MB of documents each party may have here, which go with objections, wishes "
        "for repair, decisions and entries. Default 200.",
    )
    audit_records_per_s: int = Field(
        default=2_000,
        ge=1,
        le=10_000_000,
        description="How many records a second the audit in the background re-reads at most. "
        "Default 2000.",
    )
    font: Path | None = Field(
        default=None,
        description="TrueType font (glyf outlines, .ttf or .ttc) with Chinese characters for "
        "label sheets. Default: .cache/fonts, then the system's WenQuanYi Micro Hei.",
    )
    anonymous_per_second: int = Field(
        default=500,
        ge=0,
        le=1_000_000,
        description="Requests a second that one address may make without a key, twice that at "
        "once. Default 500; 0 means no limit, and less than 100 is refused.",
    )
    key_per_second: int = Field(
        default=5_000,
        ge=0,
        le=1_000_000,
        description="Requests a second that one API key may make of each process, twice that at once. "
        "Default 5000; 0 means no limit, and less than 10 is refused.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of our own reverse proxies, separated by commas. "
        "Default none. Trust: their X-Forwarded-For is believed; everybody else's is ignored.",
    )
    region_header: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9-]{0,64}$",
        description="Header by which a trusted proxy tells the city of a client (GB/T 2260, six "
        "digits). Default none. Trust: believed of trusted proxies alone; the city of a scan is kept, "
        "nothing finer, so that copied labels are noticed in several cities.",
    )
    session_idle_min: int = Field(
        default=60,
        ge=5,
        le=1_440,
        description="Minutes without a request after which somebody who signed in is signed out. "
        "Default 60.",
    )
    session_hours: int = Field(
        default=24,
        ge=1,
        le=720,
        description="Hours after which somebody who signed in must do so again, however busy. "
        "Default 24. Trust: until then a stolen cookie is worth as much as the password.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe event that is logged. Default info."
    )

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str) -> str:
        if not re.match(r"(sqlite|postgres|postgresql|postgresql\+psycopg)://", value):
            raise ValueError("sqlite:///PATH or postgresql://…")
        return value

    @field_validator("base_url")
    @classmethod
    def _check_base(cls, value: str) -> str:
        value = value.rstrip("/")
        parts = urlsplit(value)
        plain = f"{parts.scheme}://{parts.netloc}" == value and value.isascii()
        if parts.scheme not in ("http", "https") or not parts.hostname or not plain or "@" in value:
            raise ValueError("http(s)://HOST[:PORT] without a path")
        return value.lower()

    @field_validator("log_origin")
    @classmethod
    def _check_origin(cls, value: str) -> str:
        if not _ORIGIN.fullmatch(value) or "://" in value:
            raise ValueError("a schema-less address without spaces or '+'")
        return value

    @field_validator("credit_store")
    @classmethod
    def _check_credit(cls, value: str) -> str:
        parts = urlsplit(value)
        near = parts.hostname in _THIS_MACHINE
        plain = not (parts.query or parts.fragment or "@" in parts.netloc) and value.isascii()
        over_http = bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and near)
        )
        in_folder = parts.scheme == "file" and not parts.netloc and len(parts.path) > 1
        if value != "local" and not (plain and (over_http or in_folder)):
            raise ValueError("local, https://HOST[/PATH], http://127.0.0.1:PORT or file:///FOLDER")
        return value

    @field_validator("anonymous_per_second")
    @classmethod
    def _check_limit(cls, value: int) -> int:
        if 0 < value < 100:
            raise ValueError("0, or at least 100")
        return value

    @field_validator("key_per_second")
    @classmethod
    def _check_key_limit(cls, value: int) -> int:
        if 0 < value < 10:
            raise ValueError("0, or at least 10")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: object) -> object:
        return tuple(filter(None, re.split(r"[,\s]+", value))) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value


def load_settings(**given: Any) -> Settings:
    """Returns the settings of this process: `given`, over the environment, over `.env`.

    Raises SettingsError, naming the variable and, for an unknown one, the nearest that exists.
    """
    check_names(os.environ)
    if Path(ENV_FILE).is_file():
        check_names(_read_names(Path(ENV_FILE)))
    try:
        return Settings(**given)
    except ValidationError as err:
        fault = err.errors(include_url=False)[0]
        name = f"{PREFIX}{str(fault['loc'][0]).upper()}"
        why = str(fault["msg"]).removeprefix("Value error, ")
        raise SettingsError(
            "settings.value", f"{name} has a value it cannot have: {why}", name=name, expected=why
        ) from err


def _read_names(path: Path) -> list[str]:
    """Returns the names that an env file sets. Raises SettingsError for what would be passed over."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as err:
        raise SettingsError(
            "settings.env_file", f"{path} is not UTF-8; save it as UTF-8 text", path=str(path)
        ) from err
    names = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ENV_LINE.match(line)
        value = line.partition("=")[2].strip()
        if found is None or (value[:1] in ("'", '"') and value.find(value[0], 1) < 0):
            why = f"{path}, line {number} is no NAME=value; correct it or begin it with #"
            raise SettingsError("settings.env_line", why, path=str(path), line=str(number))
        names.append(found.group(1))
    return names


def check_names(variables: Iterable[str]) -> None:
    """Raises SettingsError for the first variable of ours that names no setting."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in variables:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known:
            near = difflib.get_close_matches(upper, known, n=1, cutoff=0.5)
            suggestion = near[0] if near else "suxin settings"
            raise SettingsError(
                "settings.unknown",
                f"there is no setting {name}; look at {suggestion}",
                name=name,
                suggestion=suggestion,
            )
