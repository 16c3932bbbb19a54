"""Fills the scan page's view: what was verified, said in the page's terms, nothing more than public.

Names of parties come from the index; everything about the goods comes from their records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, cast

from app.i18n import Lang
from app.kit.clock import from_ms, parse_time
from app.kit.errors import Fault
from app.ledger.store import StoredRecord
from app.oversight.looks import Look
from app.parties.identity import is_party_id
from app.parties.roles import CARRIER
from app.parties.service import PartyView
from app.parties.standing import VERIFIED
from app.trace.code import Code
from app.trace.gtin import display_gtin
from app.trace.sides import outweighed, seller_of
from app.trace.texts import hidden_texts
from app.web.checks import check_detail
from app.web.deps import Rooms
from app.web.pages.facts import (
    actions_of,
    as_told,
    attributed_of,
    corrected_ids,
    decided_of,
    imported_of,
    is_signed,
    last_ending,
    level_of,
    licences_of,
    links_of,
    notices_of,
    parties_in,
    readable,
    registration_of,
    sent_after_signature,
)
from app.web.pages.views import (
    STAGES,
    Check,
    Credit,
    FormState,
    Frame,
    Inspection,
    Log,
    Notice,
    Obliged,
    Party,
    Product,
    Scans,
    ScanView,
    Sold,
    Source,
    Step,
    StepStatus,
    Verdict,
    WarningKind,
)


class Filler:
    """Fills the view of one look, asking for the parties that its records name at once."""

    def __init__(self, rooms: Rooms, frame: Frame) -> None:
        self._rooms = rooms
        self._frame = frame
        self._parties_seen: dict[str, PartyView | None] = {}
        self._now = rooms.clock.now()
        self._hidden: dict[str, str] = {}
        self._outweighed: frozenset[str] = frozenset()
        self._types: dict[str, str] = {}

    def scan_view(self, look: Look, *, form: FormState | None = None) -> ScanView:
        """Returns the view of a product, lot or unit, all of it as of one moment."""
        with self._rooms.database.one_snapshot():
            return self._scan_view(look, form)

    def _scan_view(self, look: Look, form: FormState | None) -> ScanView:
        code = look.story.code
        state = look.verification.state
        row = self._rooms.catalogue.product(code.gtin)
        named = {*parties_in(look), row.registrant, row.brand_owner}
        self._parties_seen |= self._rooms.parties.get_some(named - {None})
        steps = tuple(self._steps(look))
        path = f"/{code.stream}"
        count = self._rooms.scans.count(code.stream)
        return ScanView(
            frame=self._frame,
            level=code.level,
            code=code.stream,
            verdict=Verdict(
                kind=look.verdict,
                record_count=sum(step.hash != "" for step in steps),
                checked_at=self._now,
                total=0 if look.story.part is None else look.story.own_count,
                pending=sum(s.standing == "pending" for s in look.verification.in_log.values()),
                attributed_to=attributed_of(look),
                by_log=look.is_by_log,
            ),
            product=self._product(look, row),
            parties=tuple(self._parties(look, row)),
            steps=steps,
            sold=self._sold(state) if state else None,
            scans=Scans(count=count.loads, first_at=count.first_at, devices=count.devices)
            if code.level == "unit"
            else None,
            notices=tuple(self._notices(look)),
            warnings=cast("tuple[WarningKind, ...]", look.warnings),
            checks=tuple(
                Check(
                    name=check.name,
                    ok=check.ok,
                    detail=check_detail(self._lang, check.name, check.params, ok=check.ok),
                )
                for check in look.verification.checks
            ),
            log=self._log(look),
            actions=actions_of(path, state, look, carrier_signs=self._carrier_signs(state)),
            links=links_of(look.story),
            form=form,
        )

    @property
    def _lang(self) -> Lang:
        return self._frame.lang

    def _name(self, party: str) -> str:
        if not is_party_id(party):
            return "" if party in ("system", "consumer") else party
        view = self._party(party)
        return party if view is None else view.name

    def _party(self, party: str) -> PartyView | None:
        if party not in self._parties_seen:
            try:
                self._parties_seen[party] = self._rooms.parties.get(party)
            except Fault:
                self._parties_seen[party] = None
        return self._parties_seen[party]

    def _carrier_signs(self, state: Mapping[str, Any]) -> bool:
        named = str(state.get("dispatch", {}).get("carrier", ""))
        view = self._party(named) if is_party_id(named) else None
        return view is not None and view.status == VERIFIED and CARRIER in view.roles

    def _steps(self, look: Look) -> list[Step]:
        broken = {(p.stream, p.seq): p.kind.split(".", 1)[1] for p in look.verification.problems}
        records = look.story.records
        corrected, ended = corrected_ids(records), last_ending(look)
        self._types = {fields["id"]: fields["type"] for _, fields in readable(look)}
        told = [fields for _, fields in readable(look)]
        self._hidden, self._outweighed = hidden_texts(told), outweighed(told)
        own = look.story.code.stream
        steps = []
        for record in records:
            fault = broken.pop((record.stream, record.seq), "")
            earlier = record.stream == own and 0 < record.seq <= ended
            index = look.verification.in_log[(record.stream, record.seq)].index
            steps.append(
                self._step(
                    record, leaf_index=index, fault=fault, earlier=earlier, corrected=corrected
                )
            )
        for (stream, seq), kind in broken.items():
            if stream is not None:
                # A record that is gone still has its place in the chain.
                gone = Step(type="record", status="broken", on=level_of(stream), fault=kind)
                after = [
                    n for n, r in enumerate(records) if r.stream == stream and r.seq < (seq or 0)
                ]
                steps.insert(after[-1] + 1 if after else len(records), gone)
        if (sent_at := sent_after_signature(look)) is not None:
            steps = [replace(s, sent_at=sent_at) if is_signed(s) else s for s in steps]
        for step in self._owed(look):
            later = STAGES[STAGES.index(step.type) + 1 :]
            places = [n for n, s in enumerate(steps) if s.type in later and not s.earlier]
            steps.insert(places[0] if places else len(steps), step)
        return steps

    def _owed(self, look: Look) -> Iterator[Step]:
        state = look.verification.state
        for gap in look.owed:
            counts = gap.due_at <= self._now
            status: StepStatus = "missing" if counts else "due"
            obliged: Obliged = "merchant" if gap.party == seller_of(state) else "carrier"
            if counts or gap.kind == "late" or state.get("state") in ("sold", "in_transit"):
                yield Step(type=gap.step, status=status, due_at=gap.due_at, obliged=obliged)

    def _step(
        self,
        record: StoredRecord,
        *,
        leaf_index: int | None,
        fault: str,
        earlier: bool,
        corrected: frozenset[str],
    ) -> Step:
        hash_ = record.hash.hex()
        level = level_of(record.stream)
        try:
            fields = record.fields
            at = parse_time(fields["occurred_at"])
            recorded = parse_time(fields["recorded_at"])
        except (ValueError, KeyError, TypeError):
            return Step(
                type="record", status="broken", on=level, hash=hash_, fault=fault or "other"
            )
        if fault in ("hash_mismatch", "leaf_mismatch"):
            # What an altered record says now is not to be repeated.
            return Step(
                type=str(fields.get("type", "record")),
                status="broken",
                on=level,
                hash=hash_,
                leaf_index=leaf_index,
                fault=fault,
            )
        of, data = as_told(fields, self._types)
        status: StepStatus = "broken" if fault else "ok"
        if not fault and fields["id"] in corrected:
            status = "corrected"
        text = data.get("text", "")
        text_state = "shown"
        if "text" in fields.get("sealed", {}):
            with self._rooms.database.read() as connection:
                told = self._rooms.stories.open_text(connection, record)
            text, text_state = (told, "shown") if told is not None else ("", "erased")
        hidden = self._hidden.get(fields["id"], "")
        if hidden and text_state == "shown":
            text, text_state = "", "hidden"
        regions = tuple(
            data[name] for name in ("from", "to", "region") if isinstance(data.get(name), str)
        )
        kind = "ended" if data.get("ended") is True else str(data.get("kind", ""))
        return Step(
            type=fields["type"],
            status=status,
            on=level,
            earlier=earlier,
            occurred_at=at,
            recorded_at=recorded,
            source=cast("Source", fields["source"]),
            by=self._name(str(data.get("issuer", fields["actor"]))),
            platform=self._name(str(data.get("platform", ""))),
            carrier=self._name(str(data.get("carrier", ""))),
            regions=regions,
            kind=kind,
            category=str(data.get("category", "")) if fields["type"] == "complaint" else "",
            reason=str(data.get("reason", "")),
            transit=str(data.get("status", "")),
            result=str(data.get("result", "")),
            port=str(data.get("port", "")),
            rating=data.get("rating"),
            proof=str(data.get("proof", "")),
            text=str(text),
            text_state=cast("Any", text_state),
            hidden_reason=hidden,
            signed="signed" in fields,
            hash=hash_,
            leaf_index=leaf_index,
            fault=fault,
            tail=str(data.get("waybill_tail", "")) if of else "",
            of=of,
            outweighed=fields["id"] in self._outweighed,
        )

    def _sold(self, state: Mapping[str, Any]) -> Sold:
        life = state["state"]
        sale, dispatch = state.get("sale", {}), state.get("dispatch", {})
        seller = seller_of(state)
        if life == "void":
            return Sold(state="void")
        if life == "returned":
            at = state.get("closed", {}).get("at")
            return Sold(
                state="returned",
                times=state["cycle"],
                returned_at=None if at is None else from_ms(at),
                shop=self._name(seller),
            )
        if life == "registered" or not (sale or dispatch):
            return Sold(state="not_sold", times=max(0, state["cycle"] - 1))
        signed = state.get("signature", {}).get("at")
        return Sold(
            state="sold",
            times=max(1, state["cycle"]),
            # Sent before its sale was recorded: there is still a parcel to compare with.
            sold_at=from_ms(sale["at"]) if sale else None,
            shop=self._name(seller),
            platform=self._name(str(sale.get("platform", ""))),
            region=str(dispatch.get("to") or sale.get("region") or ""),
            carrier=self._name(str(dispatch.get("carrier", ""))),
            waybill_tail=str(dispatch.get("tail", ""))[-4:],
            signed_at=None if signed is None else from_ms(signed),
        )

    def _product(self, look: Look, row: Any) -> Product:
        code = look.story.code
        # From the record, where there is one to be read: a row can be changed and prove nothing.
        recorded = registration_of(look, Code(code.gtin).stream)
        facts = recorded or {**json.loads(row.facts), "name": row.name, "category": row.category}
        lot = code.lot or look.verification.state.get("lot") or ""
        lot_facts = registration_of(look, Code(code.gtin, lot=lot).stream) if lot else {}
        produced, expires = lot_facts.get("produced_on"), lot_facts.get("expires_on")
        return Product(
            name=facts["name"],
            gtin=display_gtin(row.gtin),
            own_code=row.item_code,
            serial=code.serial or "",
            lot=lot,
            category=facts["category"],
            brand=facts.get("brand", ""),
            spec=facts.get("spec", ""),
            origin=facts.get("origin", ""),
            standard=facts.get("standard", ""),
            licence=facts.get("licence", ""),
            produced_on=None if produced is None else date.fromisoformat(produced),
            expires_on=None if expires is None else date.fromisoformat(expires),
            expired="expired" in look.warnings,
            imported=imported_of(lot_facts),
            customs=decided_of(look),
            inspections=tuple(self._inspections(look)),
        )

    def _inspections(self, look: Look) -> Iterator[Inspection]:
        for record, fields in readable(look):
            if fields["type"] == "inspection":
                yield Inspection(
                    result=fields["data"]["result"],
                    by=self._name(fields["actor"]),
                    at=parse_time(fields["occurred_at"]),
                    on=level_of(record.stream),
                )

    def _parties(self, look: Look, row: Any) -> Iterator[Party]:
        state = look.verification.state
        roles: dict[str, Any] = {}
        if state:
            roles.setdefault(seller_of(state), "seller" if state.get("sale") else "issuer")
            roles.setdefault(state["issuer"], "issuer")
        if row.brand_owner is not None:
            roles.setdefault(row.brand_owner, "brand_owner")
        roles.setdefault(row.registrant, "registrant")
        views = {party: view for party in roles if (view := self._party(party)) is not None}
        heads = {party: view.head for party, view in views.items()}
        with self._rooms.database.read() as connection:
            cards = self._rooms.credit.kept_cards(connection, heads, self._now)
        for party, view in views.items():
            role, card = roles[party], cards[party]
            yield Party(
                role=role,
                name=view.name,
                id=party,
                verified=view.status == VERIFIED,
                exempt=view.exempt,
                region=view.region or "",
                licences=licences_of(view.licences, self._now),
                credit=Credit(
                    score=card.score,
                    score_without_holds=card.score_without_holds,
                    grade=card.grade,
                    data_enough=card.data_enough,
                    url=f"/credit/{party}",
                ),
            )

    def _notices(self, look: Look) -> Iterator[Notice]:
        for record, fields, data in notices_of(look):
            yield Notice(
                kind=fields["type"],
                on=level_of(record.stream),
                by=self._name(fields["actor"]),
                at=parse_time(fields["occurred_at"]),
                reason=str(data.get("reason") or data.get("text", "")),
                level=str(data.get("level", "")),
            )

    def _log(self, look: Look) -> Log | None:
        checkpoint = look.verification.checkpoint
        if checkpoint is None:
            return None
        return Log(
            origin=self._rooms.keyring.log.vkey.name,
            size=checkpoint.size,
            published_at=from_ms(checkpoint.published_at_ms),
        )
