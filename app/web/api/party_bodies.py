"""What the party routes take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from app.kit.clock import format_time
from app.web.body import Body, Day, Time

Role = Literal[
    "merchant",
    "supplier",
    "recall_agent",
    "platform",
    "carrier",
    "aggregator",
    "regulator",
    "customs",
]
Scope = Literal["parties", "products", "codes", "events", "credit", "ranking", "audit"]
Given = Annotated[str, Field(max_length=4_000)]
Moment = Annotated[
    datetime,
    PlainSerializer(format_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class LicenceIn(Body):
    """A licence. Its number is checked by its kind's rule."""

    kind: Given
    number: Given
    valid_until: Day | None = None
    url: Given | None = None


class PartyIn(Body):
    """Who is to be registered: `uscc`, or `exempt: true` for a natural person without one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "uscc": "91441200MA4TE5T00Q",
                    "name": "肇庆市示例农业有限公司（虚构）",
                    "roles": ["merchant"],
                    "region": "441200",
                    "licences": [
                        {
                            "kind": "business",
                            "number": "91441200MA4TE5T00Q",
                            "valid_until": "2030-12-31",
                        }
                    ],
                }
            ]
        }
    )

    uscc: Given | None = None
    exempt: bool = False
    name: Given
    roles: list[Role]
    region: Given | None = None
    licences: list[LicenceIn] = Field(default_factory=list)


class VerificationIn(Body):
    """What was found about a party's identity. `evidence` is sealed, the record commits to it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "verified",
                    "evidence": "business licence seen",
                    "next_check": "2027-11-01",
                }
            ]
        }
    )

    status: Literal["verified", "rejected"]
    evidence: Given
    next_check: Day | None = None


class KeyIn(Body):
    """What a new API key may do: no more than the key that asks for it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"scopes": ["events", "codes"], "label": "shop"}]}
    )

    scopes: list[Scope]
    label: Given | None = None


class SigningKeyIn(Body):
    """An Ed25519 public key, and by its own signature the proof that it is yours."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "public_key": "FpUA7Zo+3FeLYJ8QAqursKish7Wcv6KGOdpsXA3KnQQ=",
                    "proof": "RRKVKFHC9xCrOyWMEN2cnOk7G5sLN3xU8Npt8Nvy+yh6"
                    "lC3A5oOWc4xf5cAdEa4OqWeGJiI+Y4JaDxQxl9j9CQ==",
                }
            ]
        }
    )

    public_key: Given
    proof: Given


class MandateIn(Body):
    """Who may send which event types in your name, and until when (exclusive)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "agent": "91441204MA4TE5T02Q",
                    "types": ["sale", "dispatch"],
                    "until": "2030-01-01T00:00:00+08:00",
                }
            ]
        }
    )

    agent: Given
    types: list[Given]
    until: Time | None = None


class LicenceOut(BaseModel):
    """A period in which a licence counts, or did. `ended`: given up or struck out on its last day."""

    kind: str
    number: str
    valid_from: str | None = None
    valid_until: str | None = None
    url: str | None = None
    ended: bool | None = None


class MeasureOut(BaseModel):
    """A regulator's measure on the party, in force or to come."""

    id: str
    kind: str
    since: Moment
    until: Moment | None = None


class PartyOut(BaseModel):
    """A party. Of an exempt person the public sees a masked name."""

    id: str
    name: str
    roles: list[str]
    region: str | None
    status: str = Field(description="pending, verified or rejected")
    exempt: bool
    licences: list[LicenceOut]
    next_check: str | None
    created_at: Moment
    measures: list[MeasureOut]
    created_by: str | None = Field(
        default=None, description="The platform that registered it; shown to those concerned."
    )
    warnings: list[str] = Field(
        default=[], description="What looks unusual in a valid code, no reason to refuse it."
    )


class NewKeyOut(BaseModel):
    """A new API key. `token` is shown this once and stored nowhere."""

    key_id: str
    token: str
    scopes: list[str]
    label: str | None


class KeyOut(BaseModel):
    """An API key without its secret."""

    key_id: str
    scopes: list[str]
    label: str | None
    created_at: Moment
    revoked_at: Moment | None
    region: str | None = Field(
        default=None, description="Of an authority's key: the region in which it is in office."
    )


class SigningKeyOut(BaseModel):
    """A signing key. What it signed before it was revoked stays signed."""

    key_id: str
    public_key: str
    since: Moment
    revoked_at: Moment | None


class NewSigningKeyOut(BaseModel):
    """The id by which events name the key."""

    key_id: str


class NewMandateOut(BaseModel):
    """The id by which the mandate can be taken back."""

    mandate_id: str


class MandateOut(BaseModel):
    """A mandate."""

    mandate_id: str
    agent: str
    types: list[str]
    until: Moment | None
    revoked_at: Moment | None


class KeysOut(BaseModel):
    """All API keys of a party."""

    items: list[KeyOut]
    next: None = None


class SigningKeysOut(BaseModel):
    """All signing keys of a party."""

    items: list[SigningKeyOut]
    next: None = None


class MandatesOut(BaseModel):
    """The mandates a party gave."""

    items: list[MandateOut]
    next: None = None
