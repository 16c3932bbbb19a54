"""Parties, their verification, API keys, signing keys and mandates."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Response

from app.kit.clock import from_ms
from app.parties.identity import uscc_warnings
from app.parties.registration import LicenceGiven, read_registration
from app.parties.service import PartyView
from app.web.api.party_bodies import (
    KeyIn,
    KeyOut,
    KeysOut,
    LicenceOut,
    MandateIn,
    MandateOut,
    MandatesOut,
    MeasureOut,
    NewKeyOut,
    NewMandateOut,
    NewSigningKeyOut,
    PartyIn,
    PartyOut,
    SigningKeyIn,
    SigningKeyOut,
    SigningKeysOut,
    VerificationIn,
)
from app.web.body import api_router
from app.web.deps import Caller, InRooms, Viewer
from app.web.openapi import problems

router = api_router(tag="parties")

PartyId = Annotated[
    str,
    Path(
        description="USCC, or EX… of an exempt person.",
        examples=["91441200MA4TE5T00Q"],
        max_length=64,
    ),
]

_REPEATED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PartyOut,
        "description": "It was there, with the same content: the first answer.",
    }
}
_KEY_REPEATED: dict[int | str, dict[str, Any]] = {
    200: {"model": NewSigningKeyOut, "description": "The party has this key."}
}
_GUARDED = problems("unauthenticated", "forbidden", "not-found")


@router.post(
    "/parties",
    status_code=201,
    summary="Register a party",
    responses={**_REPEATED, **problems("unauthenticated", "forbidden", "id-conflict")},
)
def register_party(rooms: InRooms, caller: Caller, body: PartyIn, response: Response) -> PartyOut:
    """Merchants and suppliers by the operator or a platform, all others by the operator.

    Repeating the same content is safe.
    """
    told = read_registration(
        uscc=body.uscc,
        exempt=body.exempt,
        name=body.name,
        roles=body.roles,
        region=body.region,
        licences=[LicenceGiven(**dict(licence)) for licence in body.licences],
    )
    view, replayed = rooms.parties.register(caller, told)
    if replayed:
        response.status_code = 200
    response.headers["Location"] = f"/api/v1/parties/{view.id}"
    return _party_out(view)


@router.get("/parties/{party}", summary="A party", responses=problems("not-found"))
def read_party(rooms: InRooms, viewer: Viewer, party: PartyId) -> PartyOut:
    """Public facts; all of them for the party itself, the operator and regulators."""
    return _party_out(rooms.parties.get(party, viewer))


@router.post(
    "/parties/{party}/verification",
    status_code=201,
    summary="Record that a party was verified, or rejected",
    responses={**_GUARDED, **problems("forbidden", "party-unverified")},
)
def verify_party(rooms: InRooms, caller: Caller, party: PartyId, body: VerificationIn) -> PartyOut:
    """By a regulator, the operator, or a platform for its sellers; nobody verifies itself."""
    view = rooms.parties.verify(
        caller, party, status=body.status, evidence=body.evidence, next_check=body.next_check
    )
    return _party_out(view)


@router.post(
    "/parties/{party}/keys", status_code=201, summary="Make an API key", responses=_GUARDED
)
def create_key(rooms: InRooms, caller: Caller, party: PartyId, body: KeyIn) -> NewKeyOut:
    """By the operator or a key of the party. The token is shown this once."""
    made = rooms.keys.create(caller, party, scopes=body.scopes, label=body.label)
    return NewKeyOut(
        key_id=made.key_id, token=made.token, scopes=list(made.scopes), label=made.label
    )


@router.get("/parties/{party}/keys", summary="A party's API keys", responses=_GUARDED)
def list_keys(rooms: InRooms, caller: Caller, party: PartyId) -> KeysOut:
    """Without their secrets; revoked ones too."""
    found = rooms.keys.list_of(caller, party)
    return KeysOut(
        items=[
            KeyOut(
                key_id=key.key_id,
                scopes=list(key.scopes),
                label=key.label,
                created_at=key.created_at,
                revoked_at=key.revoked_at,
                region=key.region,
            )
            for key in found
        ]
    )


@router.delete(
    "/parties/{party}/keys/{key_id}",
    status_code=204,
    summary="Revoke an API key",
    responses=_GUARDED,
)
def revoke_key(rooms: InRooms, caller: Caller, party: PartyId, key_id: str) -> None:
    """Refused everywhere within a second. Revoking again is no harm."""
    rooms.keys.revoke(caller, key_id, party=party)


@router.post(
    "/parties/{party}/signing-keys",
    status_code=201,
    summary="Add a signing key",
    responses={
        **_KEY_REPEATED,
        **_GUARDED,
        **problems("already-exists", "invalid", "signature-invalid"),
    },
)
def add_signing_key(
    rooms: InRooms, caller: Caller, party: PartyId, body: SigningKeyIn, response: Response
) -> NewSigningKeyOut:
    """`proof` signs three lines: `suxin-key/1`, the party's id, `public_key` as sent."""
    key_id, replayed = rooms.powers.add_signing_key(
        caller, party, public_key=body.public_key, proof=body.proof
    )
    if replayed:
        response.status_code = 200
    return NewSigningKeyOut(key_id=key_id)


@router.get(
    "/parties/{party}/signing-keys",
    summary="A party's signing keys",
    responses=problems("not-found"),
)
def list_signing_keys(rooms: InRooms, party: PartyId) -> SigningKeysOut:
    """Public: anyone may check a signature."""
    return SigningKeysOut(
        items=[
            SigningKeyOut(
                key_id=key.key_id,
                public_key=key.public_key,
                since=key.since,
                revoked_at=key.revoked_at,
            )
            for key in rooms.powers.signing_keys(party)
        ]
    )


@router.delete(
    "/parties/{party}/signing-keys/{key_id}",
    status_code=204,
    summary="Revoke a signing key",
    responses=_GUARDED,
)
def revoke_signing_key(rooms: InRooms, caller: Caller, party: PartyId, key_id: str) -> None:
    """What it signed before stays signed. Revoking again is no harm."""
    rooms.powers.revoke_signing_key(caller, party, key_id)


@router.post(
    "/parties/{party}/mandates", status_code=201, summary="Give a mandate", responses=_GUARDED
)
def grant_mandate(rooms: InRooms, caller: Caller, party: PartyId, body: MandateIn) -> NewMandateOut:
    """A record of the party's stream: who may speak for it."""
    mandate_id, _ = rooms.powers.grant_mandate(
        caller, party, agent=body.agent, types=body.types, until=body.until
    )
    return NewMandateOut(mandate_id=mandate_id)


@router.get("/parties/{party}/mandates", summary="Mandates given", responses=_GUARDED)
def list_mandates(rooms: InRooms, caller: Caller, party: PartyId) -> MandatesOut:
    """For the party itself."""
    return MandatesOut(
        items=[
            MandateOut(
                mandate_id=mandate.mandate_id,
                agent=mandate.agent,
                types=list(mandate.types),
                until=mandate.until,
                revoked_at=mandate.revoked_at,
            )
            for mandate in rooms.powers.mandates(caller, party)
        ]
    )


@router.delete(
    "/parties/{party}/mandates/{mandate_id}",
    status_code=204,
    summary="Take a mandate back",
    responses=_GUARDED,
)
def revoke_mandate(rooms: InRooms, caller: Caller, party: PartyId, mandate_id: str) -> None:
    """What the agent sent before stays. Taking it back again is no harm."""
    rooms.powers.revoke_mandate(caller, party, mandate_id)


def _party_out(view: PartyView) -> PartyOut:
    return PartyOut(
        id=view.id,
        name=view.name,
        roles=list(view.roles),
        region=view.region,
        status=view.status,
        exempt=view.exempt,
        licences=[LicenceOut(**licence) for licence in view.licences],
        next_check=view.next_check,
        created_at=view.created_at,
        measures=[
            MeasureOut(
                id=record_id,
                kind=measure["kind"],
                since=from_ms(measure["since_ms"]),
                until=from_ms(measure["until_ms"]) if "until_ms" in measure else None,
            )
            for record_id, measure in view.measures.items()
        ],
        created_by=view.created_by,
        warnings=[] if view.exempt else list(uscc_warnings(view.id)),
    )
