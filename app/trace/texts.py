"""What people wrote, taken off the page: hidden with a reason, or erased because its author wishes it.

Both are records of the goods' own stream that only this service can make, and neither changes what was
recorded. Hidden is what may be read no more by the public: the text is kept, the reason stands in its
place (E-commerce Law art. 39; only the reasons below). Erased is a text of which key and content are
gone (PIPL art. 47): the commitment stays, so every hash holds and the page says "erased".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID, uuid5

from app.db.engine import Database
from app.kit.clock import Clock, parse_time, to_ms
from app.kit.errors import Denied, NotFound
from app.ledger import sealstore, store
from app.ledger.record import Claim, id_bytes, stream_key
from app.ledger.recorder import Recorder
from app.ledger.submission import Draft, Effect, Recorded, Submission, View, all_recorded
from app.ledger.vault import Vault
from app.parties.identity import CONSUMER, SYSTEM
from app.parties.principal import Principal
from app.parties.roles import REGULATOR
from app.trace.claims import record_id
from app.trace.code import Code
from app.trace.decide import CodeUnknown, token_subject
from app.trace.offices import check_goods
from app.trace.proof import ProofInvalid, Proofs, check_inner, token_kind
from app.trace.requests import ConsumerProof
from app.trace.store import find_inner

HidingReason = Literal["off_topic", "advertising", "personal_data", "insult", "illegal"]
REASONS: Final[tuple[str, ...]] = get_args(HidingReason)

_PUBLIC = frozenset({"review", "follow_up", "reply"})
_ERASABLE = frozenset({"review", "follow_up", "complaint", "message"})
_ENDS = frozenset({"return", "refusal"})

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicText:
    """A text that the public reads, or would. text: None where it is hidden or was erased.

    hidden: why it is, "" where it is not. by: `consumer`, or the party that replied.
    """

    id: str
    type: str
    at: datetime
    by: str
    text: str | None
    hidden: str


class TextUnknown(NotFound):
    """The goods have no such record, or none with a text of this kind."""


class Texts:
    """Hides and erases. Owns no transaction: the recorder does."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        *,
        clock: Clock,
        proofs: Proofs,
        vault: Vault,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._clock = clock
        self._proofs = proofs
        self._vault = vault

    def hide(
        self,
        principal: Principal,
        code: Code,
        of: str,
        reason: HidingReason,
        *,
        shown: bool = False,
        id_: str | None = None,
    ) -> Recorded:
        """Returns the `hiding` record of a public text; shown: it is to be read again.

        An authority with a region hides those about goods of that region. The same id and content again is
        answered as before. Raises TextUnknown, CodeUnknown, OutsideRegion.
        """
        self._check_may(principal, code)
        until, _ = self._split(code, of, _PUBLIC)
        fields = until[-1]
        if "text" not in fields.get("sealed", {}):
            raise TextUnknown("text_unknown", of=of)
        actor = SYSTEM if principal.party is None else principal.party
        source = SYSTEM if principal.party is None else REGULATOR
        data = {"of": fields["id"], "reason": reason} | ({"shown": True} if shown else {})
        claim = self._claim(code, record_id(id_), "hiding", data | _subject(fields), actor)
        submission = Submission(claim, source, _decide, time_given=False)
        (recorded,) = all_recorded(self._recorder.submit_and_wait([submission]))
        return recorded

    def public(self, principal: Principal, code: Code) -> list[PublicText]:
        """Returns the texts of a unit or lot that may be hidden, or shown again, oldest first.

        What is hidden is not opened: that is a look at sealed data, and asks for a purpose. Raises what
        `check_may` raises, CodeUnknown, OutsideRegion. Read-only.
        """
        self._check_may(principal, code)
        records = self._load(code)
        hidden = hidden_texts(records)
        return [
            PublicText(
                id=fields["id"],
                type=fields["type"],
                at=parse_time(fields["recorded_at"]),
                by=fields["actor"],
                text=None if fields["id"] in hidden else self.open_said(code, fields),
                hidden=hidden.get(fields["id"], ""),
            )
            for fields in records
            if fields["type"] in _PUBLIC and "text" in fields.get("sealed", {})
        ]

    def written(self, code: Code, proof: ConsumerProof) -> list[Fields]:
        """Returns the records that whoever has this proof wrote about a unit or lot, oldest first.

        Raises ProofInvalid for a proof that proves none of them. Read-only.
        """
        records = self._load(code)
        mine = []
        for n, fields in enumerate(records):
            if fields["type"] in _ERASABLE and fields["source"] == CONSUMER:
                try:
                    self._check_author(code, records[: n + 1], records[n + 1 :], proof)
                except ProofInvalid:
                    continue
                mine.append(fields)
        if not mine:
            self._check_any(code, records, proof)
        return mine

    def open_said(self, code: Code, fields: Fields) -> str | None:
        """Returns the words of a record to who may read them, None where there are none left. Read-only."""
        for section in fields.get("sealed", ()):
            with self._database.read() as connection:
                told = sealstore.open_words(
                    connection, self._vault, (code.stream, fields["id"], section)
                )
            if told is not None:
                return told
        return None

    def erase(self, code: Code, of: str, proof: ConsumerProof) -> list[Recorded]:
        """Returns the `erasure` records of a text and of what was said on in its matter.

        A second time it is answered as before. Raises TextUnknown, CodeUnknown and ProofInvalid.
        """
        until, after = self._split(code, of, _ERASABLE)
        self._check_author(code, until, after, proof)
        told = [until[-1]]
        if told[0]["type"] == "complaint":
            told += [
                f for f in after if f["type"] == "message" and f["data"]["of"] == told[0]["id"]
            ]
        submissions = [
            self._erasure(code, fields, sorted(fields["sealed"]))
            for fields in told
            if fields.get("sealed")
        ]
        if not submissions:
            raise TextUnknown("text_unknown", of=of)
        recorded = all_recorded(self._recorder.submit_and_wait(submissions, atomic=True))
        # SQLite's log holds what was overwritten until it is emptied; a reader in the way only delays it.
        self._database.truncate_log()
        return recorded

    def _check_may(self, principal: Principal, code: Code) -> None:
        principal.check_may("text.hide")
        with self._database.read() as connection:
            if store.load_heads(connection, [code.stream])[code.stream].exists:
                check_goods(connection, principal, code.stream)

    def _erasure(self, code: Code, fields: Fields, sections: Sequence[str]) -> Submission:
        data = {"of": fields["id"], "sections": list(sections)} | _subject(fields)
        id_ = str(uuid5(UUID(fields["id"]), "erasure"))
        claim = self._claim(code, id_, "erasure", data, SYSTEM)

        def decide(claim: Claim, view: View) -> Draft:
            draft = _decide(claim, view)
            place = {"of_stream": stream_key(claim.stream), "of_record": id_bytes(fields["id"])}
            at = to_ms(view.now)
            return draft._replace(
                effects=tuple(
                    Effect("section_erased", {**place, "of_name": name, "at": at})
                    for name in sections
                )
            )

        return Submission(claim, SYSTEM, decide, time_given=False)

    def _claim(self, code: Code, id_: str, type_: str, data: dict[str, Any], actor: str) -> Claim:
        now = self._clock.now()
        return Claim(code.stream, id_, type_, actor, now, data, {})

    def _check_author(
        self, code: Code, until: Sequence[Fields], after: Sequence[Fields], proof: ConsumerProof
    ) -> None:
        """Raises ProofInvalid unless this proof is that of who wrote the last of `until`.

        A token stays its author's after a return has ended it for everything new: what was written with it
        is theirs. The code inside the pack goes to the next buyer with the goods, and proves nothing then.
        """
        fields = until[-1]
        if fields["type"] == "message" and fields["source"] != CONSUMER:
            raise ProofInvalid("query_code")  # the other side's words are its own
        if proof.query is not None:
            of = fields["data"]["of"] if fields["type"] == "message" else fields["id"]
            self._proofs.check_query(proof.query, stream=code.stream, record_id=str(of))
            return
        if proof.token is not None:
            step = "sale" if token_kind(proof.token) == "platform" else "signature"
            told = [
                one for one in until if one["type"] == step and _subject(one) == _subject(fields)
            ]
            consignment = fields["data"].get("consignment")
            subject = token_subject(
                code, "" if consignment is None else f"consignment/{consignment}"
            )
            record = told[-1]["id"] if told else None
            self._proofs.check_token(proof.token, subject=subject, record_id=record)
            return
        by_inner = fields["data"].get("proof") == "inner"
        if not by_inner or any(one["type"] in _ENDS for one in after):
            raise ProofInvalid("inner_code")
        self._check_inner(code, proof)

    def _check_any(self, code: Code, records: Sequence[Fields], proof: ConsumerProof) -> None:
        """Raises ProofInvalid for a proof that belongs to nothing here, so that nobody tries them out."""
        if proof.inner is not None:
            self._check_inner(code, proof)
            return
        for n in range(len(records)):
            try:
                self._check_author(code, records[: n + 1], (), proof)
            except ProofInvalid:
                continue
            return
        raise ProofInvalid("claim_token")

    def _check_inner(self, code: Code, proof: ConsumerProof) -> None:
        with self._database.read() as connection:
            kept = find_inner(connection, code.stream)
        check_inner(kept, proof.inner)

    def _split(
        self, code: Code, of: str, types: frozenset[str]
    ) -> tuple[list[Fields], list[Fields]]:
        """Returns the records up to the named one, and those after it."""
        records = self._load(code)
        for n, fields in enumerate(records):
            if fields["id"] == of.lower() and fields["type"] in types:
                return records[: n + 1], records[n + 1 :]
        raise TextUnknown("text_unknown", of=of[:80])

    def _load(self, code: Code) -> list[Fields]:
        if code.level == "product":
            raise Denied("text_on_product")
        with self._database.read() as connection:
            records = store.load_stream(connection, code.stream)
        if not records:
            raise CodeUnknown("code_unknown", code=code.stream)
        found: list[Fields] = []
        for record in records:
            try:
                found.append(record.fields)
            except ValueError:
                continue  # altered bytes say nothing; the audit tells of them
        return found


def hidden_texts(records: Sequence[Fields]) -> dict[str, str]:
    """Returns by the id of a record why its text is hidden now. records: those whose bytes are sound."""
    found: dict[str, str] = {}
    for fields in records:
        if fields["type"] == "hiding" and fields["source"] in (REGULATOR, SYSTEM):
            data = fields["data"]
            if data.get("shown"):
                found.pop(data["of"], None)
            else:
                found[data["of"]] = data["reason"]
    return found


def _subject(fields: Fields) -> dict[str, str]:
    consignment = fields["data"].get("consignment")
    return {} if consignment is None else {"consignment": consignment}


def _decide(claim: Claim, view: View) -> Draft:
    """Changes nothing about the life of the goods. Raises CodeUnknown."""
    head = view.heads[claim.stream]
    if not head.exists:
        raise CodeUnknown("code_unknown", code=claim.stream)
    return Draft(state=head.state)
