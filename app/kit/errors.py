"""The kinds of refusal, and the faults that carry them.

A rule raises a Fault; it knows no status code and no sentence. The edges (web, cli) turn the fault
into a problem document or a line of text in the reader's language: `key` names the sentence
`fault.<key>` in the locales, `params` fill it in, and each FieldFault names `field.<kind>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# More than this is wrong by one mistake, made again and again: then what was met first is answer enough. To
# look further, and to word it all, would cost more than was sent.
MOST_BESIDE = 20


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One wrong place in an input.

    loc: path from the body's root, as in `("events", 3, "data", "carrier")`.
    kind: a stable word of the contract (`check_digit`, `charset`, `unknown_field`, `missing`, …).
    params: what the sentence `field.<kind>` needs, such as `expected` and `got`. A time is a datetime, a
    bound is written as app.i18n.in_words reads it: `1..64`, `≥ 1`, `≤ 64`.
    sentence: the sentence `field.<sentence>` in its place, where one kind has several reasons.
    words: as of a Fault, below.
    """

    loc: tuple[str | int, ...]
    kind: str
    params: Mapping[str, object] = field(default_factory=dict)
    sentence: str = ""
    words: Mapping[str, str] = field(default_factory=dict)


class Fault(Exception):
    """Base of every refusal that a caller can understand and act on.

    slug: the problem type of the contract, `/problems/<slug>`; never changes for a cause.
    words: of params that are words of ours, or several with ", " between: the family of sentences,
    `<family>.<word>`, by which they are told to people. left_out: how many fields more are wrong than
    `errors` tells of.
    """

    slug = "internal"
    words: Mapping[str, str] = {}
    left_out = 0

    def __init__(
        self,
        key: str,
        *,
        errors: tuple[FieldFault, ...] = (),
        reason: str | None = None,
        retry_after_s: int | None = None,
        **params: object,
    ) -> None:
        super().__init__(key)
        self.key = key
        self.errors = errors
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.params = params

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.params.items())
        places = "; ".join(
            f"{'.'.join(map(str, e.loc))}: {e.kind} {dict(e.params)}" for e in self.errors
        )
        return " ".join(part for part in (self.key, f"({shown})" if shown else "", places) if part)


class Malformed(Fault):
    """The bytes are not what they claim to be: not JSON, not UTF-8, duplicate keys."""

    slug = "malformed"


class Unauthenticated(Fault):
    """Nobody known is asking, or the key is wrong or revoked."""

    slug = "unauthenticated"


class Denied(Fault):
    """Known, but not allowed: role, scope, a foreign object."""

    slug = "forbidden"


class NotFound(Fault):
    """There is no such thing."""

    slug = "not-found"


class Conflict(Fault):
    """True on its own, impossible together with what is already recorded."""

    slug = "already-exists"


class TooLarge(Fault):
    """More bytes or items than the contract allows."""

    slug = "too-large"


class UnsupportedMedia(Fault):
    """A body of a media type that this call does not take."""

    slug = "unsupported-media-type"


class Invalid(Fault):
    """Readable, but some field is not what it must be; `errors` says which and why."""

    slug = "invalid"


class TooMany(Fault):
    """Asked more often than the limit."""

    slug = "too-many-requests"


class Unavailable(Fault):
    """Not now; nothing was done, try again after `retry_after_s`."""

    slug = "unavailable"


class Overloaded(Unavailable):
    """The queue is full; nothing was done."""

    slug = "overloaded"


def invalid(*errors: FieldFault) -> Invalid:
    """Returns the usual refusal of one or more wrong fields."""
    return Invalid("invalid", errors=errors)


def not_of_type(loc: tuple[str | int, ...], expected: str) -> FieldFault:
    """Returns what is said of a value of another type. expected: a sentence `shape.<expected>`."""
    params = {"expected": expected}
    return FieldFault(loc, "type", params, sentence="type_of", words={"expected": "shape"})


def faults_of(check: Callable[[], object]) -> tuple[FieldFault, ...]:
    """Returns what a check finds wrong, () for nothing. Raises what is no Invalid."""
    try:
        check()
    except Invalid as refused:
        return refused.errors
    return ()


def read_all(*reads: Callable[[], Any]) -> list[Any]:
    """Returns what each read gives, in order. Raises one Invalid with the faults of all.

    So a form is refused once, for everything that is wrong with it.
    """
    given: list[Any] = []
    faults: list[FieldFault] = []
    key = ""
    for read in reads:
        try:
            given.append(read())
        except Invalid as refused:
            faults += refused.errors
            key = "invalid" if key else refused.key
    if faults:
        raise Invalid(key, errors=tuple(faults))
    return given
