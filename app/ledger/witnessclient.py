"""Asking one witness (c2sp.org/tlog-witness): add-checkpoint, and what it has last seen.

A witness is somebody else's machine. It may be down, slow, wrong or hostile, and none of that may
cost more than a few bounded requests: each answer is read to a limit and a deadline, a witness that
names another size each time is left after `_TRIES`, and what it signed is verified before it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from app.kit.errors import Fault
from app.ledger.checkpoint import MAX_SIZE, Checkpoint, open_checkpoint
from app.ledger.cosign import Cosignature, read_answer
from app.ledger.note import VerifierKey, encode_base64
from app.ledger.policy import PolicyMalformed, PolicyWitness

SIZE_TYPE = "text/x.tlog.size"

Prove = Callable[[int, Checkpoint], Sequence[bytes]]
"""Returns the consistency proof between a size of a log and its signed checkpoint, 0 < size < its size."""

_TRIES = 3  # a size that we guess, the one it tells, and once more where both of us moved
_MAX_ANSWER = 64 * 1024  # a cosignature is some 150 bytes
_SIZE_LINE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class WitnessFailed(Exception):
    """The witness gave no cosignature. `why` is a word for logs."""

    def __init__(self, why: str, **told: object) -> None:
        super().__init__(why)
        self.why = why
        self.told = told


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    media_type: str
    body: bytes


class WitnessClient:
    """One witness as we know it. Not for two threads at once.

    http: shared with others, follows no redirects. timeout_s: until when its last word on one request
    must have come.
    """

    def __init__(self, witness: PolicyWitness, http: httpx.Client, *, timeout_s: float) -> None:
        url = (witness.url or "").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PolicyMalformed("policy_url", line=witness.line)
        self.witness = witness
        self._url = url
        self._timeout_s = timeout_s
        self._http = http
        self._sizes: dict[str, int] = {}  # by origin: what it has last seen, as far as we know

    def add_checkpoint(
        self, note: str, text: str, checkpoint: Checkpoint, prove: Prove
    ) -> Cosignature:
        """Returns the witness's cosignature under the checkpoint. Raises WitnessFailed.

        note, text, checkpoint: the same one as it was signed, as its text, as it was read.
        """
        origin, size = checkpoint.origin, checkpoint.size
        for _ in range(_TRIES):
            # From nothing: its 409 tells where it is.
            old = self._sizes.get(origin, 0)
            if old > size:
                # It saw a tree of ours that is larger: the next checkpoint, or a fork.
                del self._sizes[origin]
                raise WitnessFailed("ahead", theirs=old, ours=size)
            proof = prove(old, checkpoint) if 0 < old < size else ()
            lines = "".join(f"{encode_base64(part)}\n" for part in proof)
            request = f"old {old}\n{lines}\n{note}".encode()
            answer = self._ask("POST", "add-checkpoint", request, timeout_s=self._timeout_s)
            if answer.status == 200:
                cosignature = self._read(text, answer)
                self._sizes[origin] = size
                return cosignature
            theirs = _SIZE_LINE.fullmatch(answer.body)
            if answer.status != 409 or answer.media_type != SIZE_TYPE or theirs is None:
                self._sizes.pop(origin, None)
                raise WitnessFailed("refused", status=answer.status)
            if (told := int(theirs[1])) > MAX_SIZE or told == old:
                raise WitnessFailed("size_garbled")
            self._sizes[origin] = told
        self._sizes.pop(origin, None)
        raise WitnessFailed("slippery", tries=_TRIES)

    def last_seen(self, log_key: VerifierKey, *, timeout_s: float) -> Checkpoint | None:
        """Returns the last checkpoint of this log that the witness has, None where it offers none.

        It is signed by the log itself, so that it tells the truth whoever hands it over. Raises
        WitnessFailed.
        """
        place = sha256(log_key.name.encode()).hexdigest()
        answer = self._ask("GET", f"{place}/checkpoint", timeout_s=timeout_s)
        if answer.status != 200:
            return None
        try:
            seen = open_checkpoint(answer.body, [log_key], origin=log_key.name)
        except Fault as err:
            raise WitnessFailed("checkpoint_garbled") from err
        self._sizes[log_key.name] = seen.size
        return seen

    def _read(self, text: str, answer: _Answer) -> Cosignature:
        try:
            found = read_answer(text, answer.body.decode(), [self.witness.key])
        except (Fault, UnicodeDecodeError) as err:
            raise WitnessFailed("cosignature_wrong") from err
        if not found:
            raise WitnessFailed("cosignature_missing")
        return found[0]

    def _ask(
        self, method: str, path: str, content: bytes | None = None, *, timeout_s: float
    ) -> _Answer:
        url = f"{self._url}/{path}"
        plain = {"Accept-Encoding": "identity"}  # nothing to unpack, so no bomb
        try:
            with self._http.stream(
                method, url, content=content, headers=plain, timeout=timeout_s,
                extensions={"deadline_s": timeout_s},
            ) as answer:  # fmt: skip
                body = bytearray()
                for part in answer.iter_raw():
                    body += part
                    if len(body) > _MAX_ANSWER:
                        _give_up("answer_too_long")
                media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
                return _Answer(answer.status_code, media_type.lower(), bytes(body))
        except httpx.TimeoutException as err:
            raise WitnessFailed("timed_out") from err
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RuntimeError) as err:
            # RuntimeError: the client was closed, since the service ends.
            raise WitnessFailed("unreachable", error=type(err).__name__) from err


def _give_up(why: str, **told: Any) -> NoReturn:
    raise WitnessFailed(why, **told)
