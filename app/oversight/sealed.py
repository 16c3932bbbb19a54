"""Looking at sealed sections: a sender sees its own, an authority all of them, for a stated purpose.

Every look at what somebody else sealed is logged before the content is handed out.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock
from app.ledger import sealstore
from app.ledger import store as ledger_store
from app.ledger.note import encode_base64
from app.ledger.vault import SealBroken, Vault
from app.parties.looking import log_look, read_purpose
from app.parties.principal import Principal
from app.parties.roles import reach
from app.trace.code import Code
from app.trace.decide import CodeUnknown
from app.trace.offices import check_goods


class SealedAccess:
    """Opens sealed sections for those entitled."""

    def __init__(self, database: Database, *, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    def read(
        self, principal: Principal, code: Code, *, purpose: str | None
    ) -> list[dict[str, Any]]:
        """Returns {seq, id, type, sections} of the code's own records, content or how it is missing.

        Raises CodeUnknown; OutsideRegion; Invalid where an authority states no purpose. Writes
        `access_log`.
        """
        shown = self._read(principal, code, purpose)
        for _, sections in shown:
            for section in sections.values():
                section.pop("salt", None)
        return [{**head, "sections": sections} for head, sections in shown]

    def open_with_salts(
        self, principal: Principal, code: Code, *, purpose: str | None
    ) -> list[dict[str, Any]]:
        """Returns {stream, seq, section, content, salt} of what `read` opens; raises and writes as that.

        salt: base64. With it anybody can hold the content against the record's commitment.
        """
        return [
            {"stream": code.stream, "seq": head["seq"], "section": name,
             "content": section["content"], "salt": section["salt"]}
            for head, sections in self._read(principal, code, purpose)
            for name, section in sections.items()
            if section["standing"] == "sealed"
        ]  # fmt: skip

    def _read(
        self, principal: Principal, code: Code, purpose: str | None
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        principal.check_may("sealed.read")
        sees_all = reach(principal.roles, "sealed.read") == "any"
        if sees_all:
            purpose = read_purpose(purpose, loc=("query", "purpose"))
        with self._database.read() as connection:
            records = ledger_store.load_stream(connection, code.stream)
            if not records:
                raise CodeUnknown("code_unknown", code=code.stream)
            if sees_all:
                check_goods(connection, principal, code.stream)
            shown = []
            for record in records:
                try:
                    fields = record.fields
                except ValueError:
                    continue
                # Not the actor: what a platform sealed for a shop (the buyer) it tells the shop itself.
                own = principal.party == fields.get("via", fields["actor"])
                if "sealed" in fields and (own or sees_all):
                    sections = self._open(connection, code.stream, fields)
                    shown.append((own, {n: fields[n] for n in ("seq", "id", "type")}, sections))
        foreign = [(head["seq"], name) for own, head, parts in shown if not own for name in parts]
        log_look(self._database, principal, code.stream, foreign, purpose or "", clock=self._clock)
        return [(head, sections) for _, head, sections in shown]

    def _open(self, connection: Connection, stream: str, fields: Any) -> dict[str, Any]:
        rows = sealstore.sealed_sections(connection, stream, fields["id"])
        found: dict[str, Any] = {}
        for name in fields["sealed"]:
            row = rows.get(name)
            if row is None or row.sealed is None or row.wrapped_key is None:
                found[name] = {"standing": "erased"}
                continue
            try:
                salt, content = self._vault.open(
                    place=(stream, fields["id"], name),
                    sealed=row.sealed,
                    wrapped_key=row.wrapped_key,
                )
            except SealBroken:
                found[name] = {"standing": "altered"}
            else:
                found[name] = {"standing": "sealed", "content": json.loads(content),
                               "salt": encode_base64(salt)}  # fmt: skip
        return found
