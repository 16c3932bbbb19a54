"""What people wrote, taken off the page: hidden with a reason, or erased because its author wishes it.

Both are records of the goods' own stream that only this service can make, and neither changes what was
recorded. Hidden is what may be read no more by the public: the text is kept, the reason stands in its
place (E-commerce Law art. 39; only the reasons below). Erased is a text of which key and content are
gone (PIPL art. 47): the commitment stays, so every hash holds and the page says "erased".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID, uuid5

from app.db.engine import Database
from app.kit.clock import Clock, parse_time, to_ms
from app.kit.errors import Denied, NotFound
from app.ledger import sealstore, store
from app.ledger.reading import each_of
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
_SOLD = frozenset({"sale", "signature"})
_PROVING = _SOLD | _ENDS
MOST_TEXTS: Final = 200
"""So many of a page's goods are shown: what somebody has filled with words stays a page."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicText:
    """A text that the public reads, or would. text: None where it is hidden or was erased.

    seq: of its record, by which older ones are asked for. hidden: why it is, "" where it is not.
    by: `consumer`, or the party that replied.
    """

    id: str
    seq: int
    type: str
    at: datetime
    by: str
    text: str | None
    hidden: str


@dataclass(frozen=True, slots=True)
class PublicTexts:
    """Texts of some goods, oldest first. is_more: whether there are older ones."""

    texts: Sequence[PublicText]
    is_more: bool


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
        fields = self._find(code, of, _PUBLIC)
        if "text" not in fields.get("sealed", {}):
            raise TextUnknown("text_unknown", of=of)
        actor = SYSTEM if principal.party is None else principal.party
        source = SYSTEM if principal.party is None else REGULATOR
        data = {"of": fields["id"], "reason": reason} | ({"shown": True} if shown else {})
        claim = self._claim(code, record_id(id_), "hiding", data | _subject(fields), actor)
        submission = Submission(claim, source, _decide, time_given=False)
        (recorded,) = all_recorded(self._recorder.submit_and_wait([submission]))
        return recorded

    def public(self, principal: Principal, code: Code, *, before: int | None = None) -> PublicTexts:
        """Returns the texts of a unit or lot that may be hidden, or shown again.

        The newest MOST_TEXTS of them, before: of those whose seq is less. What is hidden is not opened:
        that is a look at sealed data, and asks for a purpose. Raises what `check_may` raises, CodeUnknown,
        OutsideRegion. Read-only.
        """
        self._check_may(principal, code)
        newest, hidings = deque[Fields](maxlen=MOST_TEXTS + 1), list[Fields]()
        for fields in self._read(code, _PUBLIC | {"hiding"}):
            if fields["type"] == "hiding":
                hidings.append(fields)
            elif "text" in fields.get("sealed", {}) and (before is None or fields["seq"] < before):
                newest.append(fields)
        hidden, is_more = hidden_texts(hidings), len(newest) > MOST_TEXTS
        if is_more:
            newest.popleft()
        shown = [
            PublicText(
                id=fields["id"],
                seq=fields["seq"],
                type=fields["type"],
                at=parse_time(fields["recorded_at"]),
                by=fields["actor"],
                text=None if fields["id"] in hidden else self.open_said(code, fields),
                hidden=hidden.get(fields["id"], ""),
            )
            for fields in newest
        ]
        return PublicTexts(shown, is_more)

    def written(self, code: Code, proof: ConsumerProof) -> list[Fields]:
        """Returns the records that whoever has this proof wrote about a unit or lot, oldest first.

        The newest MOST_TEXTS of them. Raises ProofInvalid for a proof that proves none of them. Read-only.
        """
        author = self._author(code, proof)
        mine, belongs = deque[Fields](maxlen=MOST_TEXTS), False
        for fields in self._read(code, _ERASABLE | _PROVING):
            author.pass_by(fields)
            if fields["type"] in _ENDS and author.is_by_inner:
                mine.clear()  # the code goes to the next buyer with the goods
            if author.wrote(fields):
                belongs = True
                if fields["type"] in _ERASABLE and fields["source"] == CONSUMER:
                    mine.append(fields)
        if not mine and not belongs:
            # So that nobody tries them out; the code inside the pack proves something by itself.
            author.check_any()
        return list(mine)

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
        """Returns the `erasure` records of a text, of a complaint with what its author said on in its matter.

        What the other side said there is its own, and part of how it answered: it stays, sealed as it was.
        A second time it is answered as before. Raises TextUnknown, CodeUnknown and ProofInvalid.
        """
        named = self._find(code, of, _ERASABLE)
        told, recorded = self._own_words(code, named, proof), list[Recorded]()
        while len(recorded) < len(told):
            submissions = [self._erasure(code, one, sorted(one["sealed"])) for one in told]
            recorded = all_recorded(self._recorder.submit_and_wait(submissions, atomic=True))
            # A message may have come in between; once the text is erased its author adds no more.
            told = self._own_words(code, named, proof)
        if not recorded:
            raise TextUnknown("text_unknown", of=of)
        # SQLite's log holds what was overwritten until it is emptied; a reader in the way only delays it.
        self._database.truncate_log()
        return recorded

    def _own_words(self, code: Code, named: Fields, proof: ConsumerProof) -> list[Fields]:
        """Returns the records with what an author said in a text and its matter. Raises ProofInvalid."""
        author, told, ended = self._author(code, proof), list[Fields](), False
        for fields in self._read(code, _ERASABLE | _PROVING):
            if not told:
                author.pass_by(fields)
                if fields["seq"] == named["seq"]:
                    told.append(fields)
            elif fields["type"] in _ENDS:
                ended = True
            elif fields["data"].get("of") == named["id"] and _goes_on(fields):
                told.append(fields)
        author.check_wrote(named, ended=ended)
        return [fields for fields in told if fields.get("sealed")]

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

    def _author(self, code: Code, proof: ConsumerProof) -> _Author:
        # Now, and not while records are read: who holds a reader waits for no second one.
        with self._database.read() as connection:
            kept = find_inner(connection, code.stream)
        return _Author(code, proof, self._proofs, kept)

    def _find(self, code: Code, of: str, types: frozenset[str]) -> Fields:
        """Returns the named record. Raises TextUnknown, and what `_read` raises."""
        self._check_there(code)
        place = (code.stream, of.lower())
        try:
            with self._database.read() as connection:
                found = store.find_by_id(connection, [place]).get(place)
            fields = {} if found is None else store.StoredRecord(code.stream, *found, None).fields
        except ValueError:  # no UUID; or altered bytes, which say nothing
            fields = {}
        if fields.get("type") not in types or fields["id"] != of.lower():
            raise TextUnknown("text_unknown", of=of[:80])
        return fields

    def _read(self, code: Code, types: frozenset[str]) -> Iterator[Fields]:
        """Yields the records of these types, in order. Raises Denied, CodeUnknown."""
        self._check_there(code)
        with self._database.read() as connection:
            yield from each_of(connection, code.stream, types)

    def _check_there(self, code: Code) -> None:
        if code.level == "product":
            raise Denied("text_on_product")
        with self._database.read() as connection:
            if not store.load_heads(connection, [code.stream])[code.stream].exists:
                raise CodeUnknown("code_unknown", code=code.stream)


class _Author:
    """Whether a proof is that of who wrote a record; records are passed by in their order.

    A token stays its author's after a return has ended it for everything new: what was written with it is
    theirs. The code inside the pack goes to the next buyer with the goods, and proves nothing then.
    """

    def __init__(
        self, code: Code, proof: ConsumerProof, proofs: Proofs, kept_inner: bytes | None
    ) -> None:
        self._code = code
        self._proof = proof
        self._proofs = proofs
        self._kept_inner = kept_inner
        self._sold: dict[tuple[str, str | None], str] = {}

    @property
    def is_by_inner(self) -> bool:
        """Whether it is the code inside the pack that is to prove it."""
        return self._proof.query is None and self._proof.token is None

    def pass_by(self, fields: Fields) -> None:
        """Notes the sale and the signature that a token is of."""
        if fields["type"] in _SOLD:
            self._sold[fields["type"], fields["data"].get("consignment")] = fields["id"]

    def wrote(self, fields: Fields) -> bool:
        """Whether the record that was passed by last is of this proof's author."""
        try:
            self.check_wrote(fields, ended=False)
        except ProofInvalid:
            return False
        return True

    def check_wrote(self, fields: Fields, *, ended: bool) -> None:
        """Raises ProofInvalid unless it is. ended: whether the goods went back since."""
        if fields["type"] == "message" and not _goes_on(fields):
            raise ProofInvalid("query_code")  # the other side's words are its own
        stream, proof = self._code.stream, self._proof
        if proof.query is not None:
            of = fields["data"]["of"] if fields["type"] == "message" else fields["id"]
            self._proofs.check_query(proof.query, stream=stream, record_id=str(of))
            return
        if proof.token is not None:
            step = "sale" if token_kind(proof.token) == "platform" else "signature"
            consignment = fields["data"].get("consignment")
            subject = token_subject(
                self._code, "" if consignment is None else f"consignment/{consignment}"
            )
            record = self._sold.get((step, consignment))
            self._proofs.check_token(proof.token, subject=subject, record_id=record)
            return
        if fields["data"].get("proof") != "inner" or ended:
            raise ProofInvalid("inner_code")
        check_inner(self._kept_inner, proof.inner)

    def check_any(self) -> None:
        """Raises ProofInvalid for a proof that belonged to nothing that was passed by."""
        if self.is_by_inner:
            check_inner(self._kept_inner, self._proof.inner)
            return
        raise ProofInvalid("claim_token")


def _goes_on(fields: Fields) -> bool:
    """Whether who complained says on in the matter: by query code, and no seller has one."""
    return bool(fields["type"] == "message" and fields["source"] == CONSUMER)


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
