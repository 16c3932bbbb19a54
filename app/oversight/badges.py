"""Trust badges: this service's signed word on a shop, for one domain and a short while.

The party names a domain and puts a file with a token there; this service reads it. So what is shown is
that who controls the party's account here and who could write to that site that day are the same. It is
looked at again every week, and what was not found for 30 days has no badge any more. DNS is not asked.

A badge is a signed note (by the key of `/log/receipt-key`) whose second line is what it says, as JSON:

    suxin-badge/1
    {"domain":…,"party":…,"grade":…,"as_of":…,"expires_at":…}

Nobody can be kept from copying a picture. What a copy cannot do is pass the check: the domain is signed,
the time is short, and the picture and its page compare where they were asked from.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import orjson

from app.credit.service import Credit
from app.db.engine import Database
from app.kit.clock import Clock, format_time, from_ms, to_ms
from app.kit.errors import Conflict, FieldFault, NotFound, TooMany, invalid
from app.ledger.note import NoteSigner, sign_note
from app.oversight import badgestore, store
from app.oversight.hookclient import Undeliverable, check_url, fetch, new_client
from app.parties.principal import Principal
from app.parties.rules import PartyUnknown
from app.parties.service import Parties

FORMAT: Final = "suxin-badge/1"
FILE: Final = "/.well-known/suxin-badge.txt"
VALID_FOR: Final = timedelta(hours=24)
VERIFIED_FOR: Final = timedelta(days=30)
MOST_DOMAINS: Final = 20

_CHECK_EVERY = timedelta(days=7)
_PAUSE = timedelta(seconds=10)
_MOST_FILE = 4_096
_TOKEN_DIGITS = 40
_USUAL_PORTS = ("443", "80")
# A host name (RFC 1123) in ASCII, with a port where it is not the usual one.
_DOMAIN = re.compile(
    r"(?=.{1,253}(?::|$))[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::[1-9][0-9]{0,4})?",
    re.ASCII,
)


class DomainUnknown(NotFound):
    """The party has no such domain."""


class BadgeUnknown(NotFound):
    """There is no badge for this party on this domain."""


class DomainsFull(Conflict):
    """The party has as many domains as it may have."""

    slug = "domains-full"


class CheckedJustNow(TooMany):
    """The domain was looked at a moment ago."""


@dataclass(frozen=True, slots=True)
class Place:
    """A domain. token: the line that its file must hold. error: why it was not found, "" where it was.

    verified_at: when it was last found; None: never. valid: whether a badge may stand there now.
    """

    domain: str
    token: str
    url: str
    created_at: datetime
    checked_at: datetime | None
    verified_at: datetime | None
    valid: bool
    error: str


@dataclass(frozen=True, slots=True)
class Badge:
    """A badge as it is given out."""

    claim: dict[str, Any]
    note: str
    expires_at: datetime


class Badges:
    """Gives badges out and looks after their domains; `recheck` is a loop of the worker."""

    def __init__(
        self,
        database: Database,
        parties: Parties,
        credit: Credit,
        signer: NoteSigner,
        *,
        clock: Clock,
        key: bytes,
        base_url: str,
        private: bool,
    ) -> None:
        self._database = database
        self._parties = parties
        self._credit = credit
        self._signer = signer
        self._clock = clock
        self._key = key
        self._base_url = base_url
        self._private = private
        self._http = new_client()

    @property
    def key(self) -> str:
        """The key (vkey) that badges verify with."""
        return str(self._signer.vkey)

    def close(self) -> None:
        """Closes the connections to domains."""
        self._http.close()

    # --- domains -----------------------------------------------------------------------------

    def places(self, principal: Principal) -> list[Place]:
        """Returns the domains of the principal's party. Read-only."""
        principal.check_may("badge.manage")
        party = principal.own_party()
        with self._database.read() as connection:
            rows = badgestore.domains_of(connection, party)
        return [self._place(row) for row in rows]

    def add(self, principal: Principal, domain: str) -> Place:
        """Returns the domain, named now or before. Raises Invalid (`domain`), DomainsFull."""
        principal.check_may("badge.manage")
        party, domain = principal.own_party(), read_domain(domain)
        if wrong := check_url(self._url(domain), private=self._private):
            params = {"got": domain[:80], "why": wrong}
            raise invalid(FieldFault(("domain",), "domain", params, sentence="domain_private"))
        with self._database.write() as connection:
            # Two at once would each be the last that is allowed.
            store.lock_party(connection, party)
            known = badgestore.find_domain(connection, party, domain)
            if known is None and badgestore.count_domains(connection, party) >= MOST_DOMAINS:
                raise DomainsFull("domains_full", limit=MOST_DOMAINS)
            row = {
                "party": party,
                "domain": domain,
                "created_at": to_ms(self._clock.now()),
                "checked_at": 0,
                "verified_at": None,
                "error": None,
            }
            badgestore.insert_domain(connection, row)
        return self._own(party, domain)

    def check(self, principal: Principal, domain: str) -> Place:
        """Looks for the token at the domain, and returns what came of it.

        Raises DomainUnknown, CheckedJustNow.
        """
        principal.check_may("badge.manage")
        party, domain = principal.own_party(), read_domain(domain)
        self._own(party, domain)
        now = self._clock.now()
        with self._database.write() as connection:
            begun = badgestore.begin_check(
                connection, party, domain, at_ms=to_ms(now), before_ms=to_ms(now - _PAUSE)
            )
        if not begun:
            wait = int(_PAUSE.total_seconds())
            raise CheckedJustNow("domain_checked", retry_after_s=wait, seconds=wait)
        self._look(party, domain)
        return self._own(party, domain)

    def drop(self, principal: Principal, domain: str) -> None:
        """Takes a domain away; its badge ends at once. Raises DomainUnknown."""
        principal.check_may("badge.manage")
        party, domain = principal.own_party(), read_domain(domain)
        with self._database.write() as connection:
            if not badgestore.drop_domain(connection, party, domain):
                raise DomainUnknown("domain_unknown", domain=domain)

    def recheck(self) -> bool:
        """Looks at the domain that waits longest, a week after the last time; whether there was one."""
        before = to_ms(self._clock.now() - _CHECK_EVERY)
        with self._database.write() as connection:
            row = badgestore.next_to_check(connection, before_ms=before)
            if row is None:
                return False
            # Noted first: a domain that never answers must not keep the others from their turn.
            at = to_ms(self._clock.now())
            badgestore.begin_check(connection, row.party, row.domain, at_ms=at, before_ms=before)
        self._look(row.party, row.domain)
        return True

    def _look(self, party: str, domain: str) -> None:
        """Reads the file and notes what was found. No transaction is open while it waits."""
        found: str | None = None
        try:
            raw = fetch(self._http, self._url(domain), private=self._private, most=_MOST_FILE)
        except Undeliverable as err:
            found = err.why
        else:
            lines = raw.decode("ascii", "replace").split()
            if self._token(party, domain) not in lines:
                found = "token"
        now = to_ms(self._clock.now())
        values: dict[str, Any] = {"checked_at": now, "error": found}
        if found is None:
            values["verified_at"] = now
        with self._database.write() as connection:
            badgestore.note_check(connection, party, domain, **values)

    def _own(self, party: str, domain: str) -> Place:
        with self._database.read() as connection:
            row = badgestore.find_domain(connection, party, domain)
        if row is None:
            raise DomainUnknown("domain_unknown", domain=domain)
        return self._place(row)

    def _place(self, row: Any) -> Place:
        return Place(
            domain=row.domain,
            token=self._token(row.party, row.domain),
            url=self._url(row.domain),
            created_at=from_ms(row.created_at),
            checked_at=from_ms(row.checked_at) if row.checked_at else None,
            verified_at=None if row.verified_at is None else from_ms(row.verified_at),
            valid=self._is_valid(row),
            error=row.error or "",
        )

    def _is_valid(self, row: Any) -> bool:
        since = to_ms(self._clock.now() - VERIFIED_FOR)
        return row.verified_at is not None and row.verified_at >= since

    def _url(self, domain: str) -> str:
        scheme = "http" if self._private else "https"
        return f"{scheme}://{domain}{FILE}"

    def _token(self, party: str, domain: str) -> str:
        digest = hmac.new(self._key, f"{party}\n{domain}".encode(), sha256).hexdigest()
        return f"suxin-badge={digest[:_TOKEN_DIGITS]}"

    # --- badges ------------------------------------------------------------------------------

    def domains_shown(self, party: str) -> Sequence[str]:
        """Returns the domains on which a party's badge may stand now. Read-only."""
        with self._database.read() as connection:
            rows = badgestore.domains_of(connection, party)
        return [row.domain for row in rows if self._is_valid(row)]

    def give(self, party: str, domain: str) -> Badge:
        """Returns a fresh badge. Raises BadgeUnknown: no such party, not verified, not its domain."""
        domain = domain.lower()
        with self._database.read() as connection:
            row = badgestore.find_domain(connection, party, domain)
        try:
            view = self._parties.get(party)
        except PartyUnknown as err:
            raise BadgeUnknown("badge_unknown", domain=domain[:80]) from err
        if row is None or not self._is_valid(row) or view.status != "verified":
            raise BadgeUnknown("badge_unknown", domain=domain[:80])
        card = self._credit.card(party)
        now = self._clock.now()
        claim = {
            "domain": domain,
            "party": party,
            "name": view.name,
            "grade": card.grade,
            "score": card.score,
            "data_enough": card.data_enough,
            "policy": card.policy_version,
            "domain_verified_at": format_time(from_ms(row.verified_at)),
            "as_of": format_time(now),
            "expires_at": format_time(now + VALID_FOR),
            "page": f"{self._base_url}/badge/{party}",
        }
        line = orjson.dumps(claim, option=orjson.OPT_SORT_KEYS).decode()
        note = sign_note(f"{FORMAT}\n{line}\n", self._signer)
        return Badge(claim, note, now + VALID_FOR)


def without_usual_port(site: str) -> str:
    """Returns host and port as browsers say them: without the port of HTTPS or HTTP."""
    host, _, port = site.rpartition(":")
    return host if host and port in _USUAL_PORTS else site


def read_domain(given: str) -> str:
    """Returns a domain in its one spelling: of an address the host, in ASCII (IDNA), lower case.

    With a port where it is not a usual one. Raises Invalid, kind `domain`.
    """
    text = given.strip().lower().removeprefix("https://").removeprefix("http://")
    text = without_usual_port(text.partition("/")[0]).rstrip(".")
    host, colon, port = text.partition(":")
    try:
        if not host.isascii():
            text = host.encode("idna").decode("ascii") + colon + port
    except UnicodeError:
        text = ""
    if not _DOMAIN.fullmatch(text) or ("." not in text and not text.startswith("localhost")):
        raise invalid(FieldFault(("domain",), "domain", {"got": given[:80]}))
    return text
