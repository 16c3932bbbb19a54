"""What the pages on credit, policy and zone show, as plain values; see `views` for what may be in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from app.credit.history import Course
from app.credit.rules import Grade, Policy
from app.credit.steps import Step, Who
from app.parties.roles import OFFICIAL_ROLES
from app.web.pages.views import Frame, Licence


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose dossier it is. measures: kinds of measures in force."""

    name: str
    id: str
    exempt: bool
    verified: bool
    roles: tuple[str, ...]
    region: str
    licences: tuple[Licence, ...]
    measures: tuple[str, ...] = ()

    @property
    def in_office(self) -> bool:
        """Whether it is an authority, whose place is no private person's and may be told exactly."""
        return bool(OFFICIAL_ROLES & set(self.roles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What an entry rests on. kind: of a finding; page: of the product concerned, never of a unit.

    A unit's page is for who holds its label: a dossier must not list a shop's units.
    """

    title: str = ""
    number: str = ""
    issuer: str = ""
    url: str = ""
    record: str = ""
    finding: str = ""
    kind: str = ""
    page: str = ""
    product: str = ""
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A step that was taken with an entry. decide_by: until when it is to be decided."""

    step: str
    at: datetime
    decide_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry in public view.

    number: as in the picture, 0 for points earned. points, weight: signed, entered and now. why: a
    Reason. without: the score of now if this entry were not there, None where it was not asked.
    repair_from: None where there is nothing to repair. repair_open: it can be asked for now.
    """

    id: str
    rule: str
    title: str
    text: str
    rule_class: str
    class_title: str
    points: int
    weight: int
    why: str
    status: str
    policy: int
    day: date
    effective_at: datetime
    proof: Proof
    number: int = 0
    repair_from: datetime | None = None
    repair_open: bool = False
    expires_at: datetime | None = None
    object_until: datetime | None = None
    approximate: bool = False
    forces: str = ""
    without: int | None = None
    deeds: tuple[Deed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """Points earned by one rule. shown: the newest entries; count, points: all of it."""

    title: str
    text: str
    count: int
    points: int
    shown: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What one rule makes of the score now."""

    title: str
    count: int
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A provisional hold in force, and the product that it is about."""

    finding: str
    points: int
    since: datetime
    lifts_at: datetime
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A happening in words' parts: what (an Event), of which title, how often, points, number."""

    event: str
    title: str
    count: int
    points: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table that says what the picture shows."""

    at: datetime
    score: int
    without_holds: int
    grade: str
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What one side says of the party in one role. stars: one star first. inner_only: counted apart."""

    kind: str
    side: str
    stars: tuple[int, ...]
    count: int
    mean: float | None
    at_least: float | None
    inner_only: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A commitment as the public sees it."""

    title: str
    status: str
    signed_at: datetime
    until: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list that the party is on now: `red` or `black`. text: the criterion."""

    list: str
    title: str
    text: str
    listed_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """The grade at the end of a month, YYYY-MM."""

    month: str
    score: int
    grade: str
    data_enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierView:
    """The public dossier of a party (`/credit/{party}`).

    earned counts up to the policy's cap, lost is >= 0. more_losses: entries that are not on the page,
    only in the JSON. numbers: id of an entry -> its number in the picture. rated: only those sides that
    said something in rated_days. grades: the newest months, the newest first.
    """

    frame: Frame
    holder: Holder
    policy: Policy
    score: int
    without_holds: int
    grade: Grade
    grade_without_holds: Grade
    as_of: datetime
    data_enough: bool
    completed_chains: int
    earned: int
    lost: int
    sums: tuple[Sum, ...]
    holds: tuple[Held, ...]
    losses: tuple[Line, ...]
    more_losses: int
    gains: tuple[Gains, ...]
    course: Course
    numbers: Mapping[str, int]
    past: tuple[Row, ...]
    coming: tuple[Row, ...]
    base_url: str
    script: str
    rated: tuple[Rated, ...] = ()
    rated_days: int = 0
    promises: tuple[Promise, ...] = ()
    listings: tuple[Listing, ...] = ()
    grades: tuple[Graded, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A day of the worked example. earned, lost: what counts, both >= 0."""

    at: datetime
    event: str
    title: str
    count: int
    points: int
    earned: int
    lost: int
    score: int
    grade: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLine:
    """Who may take which step. to: "" goes back to where time has brought the entry."""

    step: Step
    who: tuple[Who, ...]
    origins: tuple[str, ...]
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of the policy. state: `past`, `in_force` or `announced`."""

    number: int
    effective_on: date
    announced_on: date
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """A version of the policy, to be read by a shop owner (`/policy`)."""

    frame: Frame
    policy: Policy
    state: str
    scenes: tuple[Scene, ...]
    moves: tuple[MoveLine, ...]
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneOffer:
    """One seller's offer in the zone, by its numbers."""

    seller: str
    name: str
    grade: str
    score: int
    sold: int
    whole: int
    steps: int
    independent: int
    dossier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneProduct:
    """A product of the zone."""

    name: str
    brand: str
    category: str
    gtin: str
    url: str
    offers: tuple[ZoneOffer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneView:
    """The zone (`/zone`). chosen: a category, "" for all."""

    frame: Frame
    categories: tuple[str, ...]
    chosen: str
    products: tuple[ZoneProduct, ...]
    policy: Policy
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchView:
    """What was found (`/search`). codes: full codes that exist and were typed or meant."""

    frame: Frame
    query: str
    sort: str
    codes: tuple[str, ...]
    products: tuple[ZoneProduct, ...]
    policy: Policy
