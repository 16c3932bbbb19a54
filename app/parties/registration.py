"""What a party says of itself when it is registered, checked and in its one spelling. Pure.

The same content in another spelling (spaces in a code, another order of roles) comes out the same,
so that a repeat can be told from a conflict. Whether any of it is true is a verification's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from app.kit.canonical import check_clear
from app.kit.errors import FieldFault, Invalid
from app.parties.identity import Loc, parse_region, parse_uscc, uscc_region, uscc_warnings
from app.parties.licences import parse_licence
from app.parties.roles import PARTY_ROLES, SELLER_ROLES

MAX_NAME = 120
MAX_LICENCES = 32
MAX_URL = 2048


@dataclass(frozen=True, slots=True)
class LicenceGiven:
    """A licence as sent."""

    kind: str
    number: str
    valid_until: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """A party as registered. uscc is None for an exempt natural person; roles are in table order.

    licences: as they stand in records, sorted by kind and number; absent fields are left out.
    region: as given, else the one inside the code.
    """

    uscc: str | None
    name: str
    roles: tuple[str, ...]
    region: str | None
    licences: tuple[Mapping[str, str], ...]

    @property
    def exempt(self) -> bool:
        """Whether this is a natural person who needs no registration (E-commerce Law art. 10)."""
        return self.uscc is None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks unusual and is no reason to refuse: words of identity.uscc_warnings."""
        return uscc_warnings(self.uscc) if self.uscc else ()

    def public(self) -> dict[str, Any]:
        """Returns what stands in the registration record; an exempt person's name does not."""
        facts: dict[str, Any] = {"roles": list(self.roles)}
        if self.uscc is None:
            facts["exempt"] = True
        else:
            facts |= {"uscc": self.uscc, "name": self.name}
        if self.region is not None:
            facts["region"] = self.region
        if self.licences:
            facts["licences"] = [dict(licence) for licence in self.licences]
        return facts


def read_registration(
    *,
    uscc: str | None,
    exempt: bool,
    name: str,
    roles: Sequence[str],
    region: str | None = None,
    licences: Sequence[LicenceGiven] = (),
    today: str | None = None,
) -> Registration:
    """Returns the registration that these inputs mean. Raises Invalid with every wrong field.

    today: in China, where a licence that is over by then is refused; None: a register may hold ended ones.
    """
    reader = _Reader()
    code = reader.identity(uscc, exempt=exempt)
    registration = Registration(
        uscc=code,
        name=reader.text(name, ("name",), MAX_NAME),
        roles=reader.roles(roles, exempt=exempt),
        region=reader.region(region, code),
        licences=reader.licences(licences, today),
    )
    reader.finish()
    return registration


def read_licence(given: LicenceGiven, *, valid_from: str | None, today: str) -> dict[str, str]:
    """Returns a licence that is told after a registration, as its record says it.

    valid_from: its first day. today: in China; what is over says nothing any more. Raises Invalid with
    every wrong field.
    """
    reader = _Reader()
    fields = reader.licence(given, ())
    if fields is not None:
        reader.days(fields, valid_from, today)
    reader.finish()
    assert fields is not None  # or it had a fault
    return fields


class _Reader:
    """Gathers what is wrong instead of stopping at the first."""

    def __init__(self) -> None:
        self._faults: list[FieldFault] = []
        self._key = "invalid"

    def finish(self) -> None:
        if self._faults:
            # A wrong code is explained by its whole rule, unless there is more to say.
            key = self._key if len(self._faults) == 1 else "invalid"
            raise Invalid(key, errors=tuple(self._faults))

    def identity(self, uscc: str | None, *, exempt: bool) -> str | None:
        if uscc is not None and exempt:
            self._fault(("exempt",), "exempt_with_uscc")
        elif uscc is None and not exempt:
            self._fault(("uscc",), "missing", name="uscc")
        elif uscc is not None:
            try:
                return parse_uscc(uscc)
            except Invalid as refused:
                self._key = refused.key
                self._faults += refused.errors
        return None

    def text(self, given: str, loc: Loc, limit: int) -> str:
        text = given.strip()
        if not 1 <= len(text) <= limit:
            self._fault(loc, "length", expected=f"1..{limit}", got=len(text))
        try:
            check_clear(text, loc)
        except Invalid as refused:
            self._faults += refused.errors
        return text

    def roles(self, given: Sequence[str], *, exempt: bool) -> tuple[str, ...]:
        if not given:
            self._faults.append(FieldFault(("roles",), "length", sentence="none_chosen"))
        for index, role in enumerate(given):
            if role not in PARTY_ROLES:
                self._fault(
                    ("roles", index), "enum", expected=", ".join(PARTY_ROLES), got=role[:40]
                )
            elif role in given[:index]:
                self._fault(("roles", index), "duplicate", got=role)
            elif exempt and role not in SELLER_ROLES:
                self._fault(("roles", index), "exempt_role", got=role)
        return tuple(role for role in PARTY_ROLES if role in given)

    def region(self, given: str | None, uscc: str | None) -> str | None:
        try:
            if given is not None:
                return parse_region(given)
        except Invalid as refused:
            self._faults += refused.errors
            return None
        try:
            return parse_region(uscc_region(uscc)) if uscc else None
        except Invalid:  # 100000, the state's own, or a region of another time: no place to name
            return None

    def licences(
        self, given: Sequence[LicenceGiven], today: str | None
    ) -> tuple[Mapping[str, str], ...]:
        if len(given) > MAX_LICENCES:
            self._fault(("licences",), "length", expected=f"0..{MAX_LICENCES}", got=len(given))
            return ()
        read: dict[tuple[str, str], Mapping[str, str]] = {}
        for index, licence in enumerate(given):
            loc: Loc = ("licences", index)
            fields = self.licence(licence, loc)
            if fields is None:
                continue
            if today is not None:
                self.not_over(fields, today, loc)
            place = (fields["kind"], fields["number"])
            if place in read:
                self._fault((*loc, "number"), "duplicate", got=fields["number"])
            read[place] = fields
        return tuple(read[place] for place in sorted(read))

    def licence(self, given: LicenceGiven, loc: Loc) -> dict[str, str] | None:
        """Returns the licence as it stands in records, None where its kind or number is none."""
        fields = {"kind": given.kind}
        try:
            fields["number"] = parse_licence(given.kind, given.number, loc=loc)
            check_clear(fields, loc)
        except Invalid as refused:
            self._faults += refused.errors
            return None
        if given.valid_until is not None:
            fields["valid_until"] = self.date(given.valid_until, (*loc, "valid_until"))
        if given.url is not None:
            fields["url"] = self.url(given.url, (*loc, "url"))
        return fields

    def days(self, fields: dict[str, str], valid_from: str | None, today: str) -> None:
        """Adds the first day of a licence that is told, and checks that some day is left of it."""
        if valid_from is not None:
            fields["valid_from"] = self.date(valid_from, ("valid_from",))
        if not self._faults:
            self.not_over(fields, max(today, fields.get("valid_from", today)), ())

    def not_over(self, fields: Mapping[str, str], least: str, loc: Loc) -> None:
        """Checks that the last day of a licence, if it has one, is not before another day."""
        until, place = fields.get("valid_until"), (*loc, "valid_until")
        # One that is no day is told as that alone.
        if until is not None and until < least and all(one.loc != place for one in self._faults):
            self._fault(place, "range", expected=f"≥ {least}", got=until)

    def date(self, given: str, loc: Loc) -> str:
        try:
            return read_date(given, loc)
        except Invalid as refused:
            self._faults += refused.errors
            return given

    def url(self, given: str, loc: Loc) -> str:
        """A page shows it as a link: only http and https, and no user name to mislead by."""
        try:
            parts = urlsplit(given)
            sound = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        except ValueError:
            sound = False
        if not sound or not given.isascii() or not given.isprintable() or " " in given:
            self._fault(loc, "url", got=given[:80])
        elif len(given) > MAX_URL:
            self._fault(loc, "length", expected=f"1..{MAX_URL}", got=len(given))
        return given

    def _fault(self, loc: Loc, kind: str, **params: object) -> None:
        self._faults.append(FieldFault(loc, kind, params))


def read_date(given: str, loc: Loc) -> str:
    """Returns a calendar day `YYYY-MM-DD`. Raises Invalid, kind `date`."""
    try:
        # fromisoformat also takes 20261123 and week dates; one spelling is enough.
        if len(given) == 10 and date.fromisoformat(given).isoformat() == given:
            return given
    except ValueError:
        pass
    raise Invalid("invalid", errors=(FieldFault(loc, "date", {"got": given[:40]}),))
