"""Evidence bundles (`suxin-evidence/1`): whether what one hands over matches the signed log.

The same checks in the same order, with the same words, as `scripts/verify_bundle.py`, which people
run without us; that one shares no line with the service, this one uses its modules. A test compares
their reports over many manipulated bundles. What a bundle cannot show (what came later, whether the
recorded was true) is listed as not checked, never passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.kit.canonical import parse_json
from app.kit.clock import parse_time
from app.kit.errors import Fault
from app.ledger.bundle_heads import HeadsRefused, check_heads
from app.ledger.bundle_logs import ClaimedLog, read_logs
from app.ledger.bundle_report import BundleReport, Remark, Verdict, remark, shown
from app.ledger.bundle_shape import (
    canonical_fields,
    is_map_root,
    misshapen_place,
    wrong_record_field,
)
from app.ledger.bundle_steps import tell_steps
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from app.ledger.note import VerifierKey, decode_base64, parse_vkey
from app.ledger.policy import NONE, Policy, PolicyMalformed, parse_policy
from app.ledger.record import ZERO_HASH, claim_message, record_hash
from app.ledger.signatures import judge_time, verify_signature

FORMAT = "suxin-evidence/1"
ZIP = b"PK\x03\x04"  # what zip files begin with

CHECKED = (
    "key",
    "handovers",
    "checkpoints",
    "witnesses",
    "records",
    "inclusions",
    "refs",
    "signatures",
)
UNCHECKED = (
    "pending",
    "refs",
    "signatures",
    "sealed",
    "key",
    "revocation",
    "overdue",
    "completeness",
    "later",
    "view",
    "truth",
)


def verify_bundle_bytes(
    raw: bytes, *, vkey: str | None, policy: bytes | None = None
) -> BundleReport:
    """Returns the report on a bundle as it was received. vkey, policy as in `verify_bundle`."""
    try:
        bundle = parse_json(raw)
    except Fault:
        return _unreadable("zip" if raw.startswith(ZIP) else "not_json")
    return verify_bundle(bundle, vkey=vkey, policy=policy)


def verify_bundle(bundle: object, *, vkey: str | None, policy: bytes | None = None) -> BundleReport:
    """Returns the report on a bundle that was parsed by `parse_json`. Never raises.

    vkey: the log's key from elsewhere, or several, one a line; None if there is none, and then the
    best verdict is "unanchored". policy: a policy file (app.ledger.policy), whose logs are believed
    beside vkey, and whose quorum each checkpoint must bear.
    """
    if not isinstance(bundle, dict) or bundle.get("format") != FORMAT:
        return _unreadable("format", "format", expected=FORMAT)
    if misshapen := misshapen_place(bundle):
        return _unreadable("shape", misshapen)
    try:
        keys = [parse_vkey(line.strip()) for line in (vkey or "").splitlines() if line.strip()]
    except Fault:
        return _unreadable("key_given")
    if vkey is not None and not keys:
        return _unreadable("key_given")
    asked = None
    if policy is not None:
        try:
            asked = parse_policy(policy)
        except PolicyMalformed as err:
            return _unreadable("policy_given", line=err.line)
        keys += asked.log_keys
        if not keys:
            return _unreadable("policy_logs")
    return _Verification(bundle, keys, asked).report()


def _unreadable(key: str, place: str = "", **params: str | int) -> BundleReport:
    return BundleReport("unreadable", "", broken=(remark(key, place, **params),))


@dataclass(slots=True)
class _Record:
    """A record of the bundle. hash: computed, 32 bytes. proven: the signed log holds it.

    pending: no signed checkpoint covers it, so anybody may have made it up. It must fit what is
    there, and counts as nothing that was checked.
    """

    place: str
    stream: str
    seq: int
    hash: bytes
    fields: dict[str, Any]
    proven: bool = False
    pending: bool = False

    @property
    def recorded_at(self) -> datetime:
        return parse_time(self.fields["recorded_at"])

    def named(self) -> dict[str, str | int]:
        return {"stream": self.stream, "seq": self.seq}


class _Verification:
    """One walk through a bundle. What is broken does not end it: all broken places are named."""

    def __init__(
        self, bundle: Mapping[str, Any], keys: Sequence[VerifierKey], policy: Policy | None
    ) -> None:
        self._bundle = bundle
        self._policy = policy
        self._subject: str = bundle["subject"]
        self._keys = keys
        self._broken: list[Remark] = []
        self._pending: list[Remark] = []
        self._counts: Counter[str] = Counter()
        self._checkpoints: dict[str, Checkpoint | None] = {}  # None where it is broken
        self._records: dict[tuple[str, int], _Record] = {}
        self._last: dict[str, _Record] = {}
        self._key_records: dict[tuple[str, str, str], list[_Record]] = {}
        self._complete: Remark | None = None

    def report(self) -> BundleReport:
        for log in read_logs(self._bundle, self._keys, canonical_fields):
            self._check_checkpoint(log)
        for n, stream in enumerate(self._bundle["streams"]):
            for m, item in enumerate(stream["records"]):
                self._check_record(item, stream["stream"], f"streams[{n}].records[{m}]")
        for n, item in enumerate(self._bundle.get("pending", ())):
            self._check_record(item, None, f"pending[{n}]")
        for record in self._records.values():
            self._check_refs(record)
        for record in self._records.values():
            self._check_signature(record)
        self._check_heads()
        if self._subject not in self._last:
            self._break("subject_missing", "subject", subject=self._subject)
        elif not self._broken and not self._is_proven():
            self._break("nothing_proven", "subject", subject=self._subject)
        return self._conclude()

    def _conclude(self) -> BundleReport:
        # Nothing follows from records that are not what was signed.
        steps = None if self._broken else tell_steps(self._subject, self._records.values())
        always = {"later", "view", "truth"}
        if any(one.status == "none" for one in steps or ()):
            always.add("overdue")
        if not self._keys:
            always.add("key")
        if self._counts["checked_signatures"]:
            always.add("revocation")
        if self._complete is None:
            always.add("completeness")
        complete = () if self._complete is None else (self._complete,)
        verdict: Verdict = "matches" if self._keys else "unanchored"
        return BundleReport(
            "differs" if self._broken else verdict,
            str(shown(self._subject)),
            broken=tuple(self._broken),
            checked=self._counted("checked", CHECKED) + complete,
            unchecked=self._counted("unchecked", UNCHECKED, always),
            pending=tuple(self._pending),
            steps=steps,
        )

    def _counted(
        self, kind: str, names: Sequence[str], always: Collection[str] = ()
    ) -> tuple[Remark, ...]:
        counts = ((name, f"{kind}_{name}", self._counts[f"{kind}_{name}"]) for name in names)
        return tuple(
            remark(key, count=count) if count else remark(key)
            for name, key, count in counts
            if count or name in always
        )

    def _break(self, key: str, place: str, **params: str | int) -> None:
        self._broken.append(remark(key, place, **params))

    def _is_proven(self) -> bool:
        return any(r.proven for r in self._records.values() if r.stream == self._subject)

    # ------------------------------------------------------------------------- checkpoints

    def _check_checkpoint(self, log: ClaimedLog) -> None:
        if log.wrong == "checkpoint_twice":
            self._break(log.wrong, log.place, origin=log.origin)
            return
        self._checkpoints[log.origin] = None
        # Whoever's key this is comes first: what somebody else signs is nothing here.
        wrong = log.wrong if log.key is None or log.trust else "key_differs"
        if wrong:
            self._break(wrong, log.place, origin=log.origin)
            return
        if self._policy is not None:
            if not self._policy.accepts(log.note):
                self._break("quorum_missing", log.place, origin=log.origin)
                return
            self._counts["checked_witnesses"] += self._policy.quorum != NONE
        self._checkpoints[log.origin] = log.checkpoint
        kind = "handovers" if log.trust == "handed" else "key" if self._keys else "checkpoints"
        self._counts[f"checked_{kind}"] += 1

    # ----------------------------------------------------------------------------- records

    def _check_record(self, item: Mapping[str, Any], stream: str | None, place: str) -> None:
        """Checks one record by itself and after the one before it. stream: None if pending."""
        body = item["body"].encode(errors="surrogatepass")  # and then it is no UTF-8, refused below
        fields = canonical_fields(body)
        if fields is None:
            self._break("body_form", place)
            return
        if wrong := wrong_record_field(fields):
            self._break("record_form", place, field=wrong)
            return
        name = fields["stream"] if stream is None else stream
        record = _Record(place, name, fields["seq"], record_hash(body), fields)
        known = self._records.get((name, record.seq))
        if (
            stream is None
            and known is not None
            and known.hash.hex() == record.hash.hex() == item["hash"]
        ):
            return  # it got its place in the log while the bundle was being made
        broken_before = len(self._broken)
        self._check_place(record, item["hash"])
        if stream is None:
            record.pending = True
            self._pending.append(remark("pending_record", place, **record.named()))
            self._counts["unchecked_pending"] += 1
        else:
            self._counts["checked_records"] += len(self._broken) == broken_before
            self._check_inclusion(record, item)
        self._counts["unchecked_sealed"] += "sealed" in fields
        self._records.setdefault((name, record.seq), record)
        self._last[name] = record
        if isinstance(key_id := fields["data"].get("key_id"), str):
            self._key_records.setdefault((name, fields["type"], key_id), []).append(record)

    def _check_place(self, record: _Record, stated_hash: str) -> None:
        place, fields, named = record.place, record.fields, record.named()
        last = self._last.get(record.stream)
        known = self._records.get((record.stream, record.seq))
        expected = last.seq + 1 if last else 0
        if stated_hash != record.hash.hex():
            self._break("hash_mismatch", place, **named)
        if fields["stream"] != record.stream:
            self._break("stream_mismatch", place, **named)
        if known is not None and known.hash != record.hash:
            self._break("record_fork", place, **named)
        elif record.stream == self._subject and record.seq != expected:
            self._break("seq_gap", place, expected=expected, **named)
        elif last and record.seq < expected:
            self._break("seq_order", place, **named)
        before = self._records.get((record.stream, record.seq - 1))
        # Where the record before it is not in the bundle, the log alone proves this one.
        if record.seq == 0:
            follows = fields["prev"] == ZERO_HASH.hex()
        else:
            follows = before is None or fields["prev"] == before.hash.hex()
        if not follows:
            self._break("prev_mismatch", place, **named)
        if last and fields["recorded_at"] < last.fields["recorded_at"]:
            self._break("time_falls", place, **named)

    def _check_inclusion(self, record: _Record, item: Mapping[str, Any]) -> None:
        if item.get("leaf_index") is None:
            # Else whoever takes an index away could pass a made-up record off as a late one.
            self._break("index_missing", record.place, **record.named())
            return
        if item.get("log") not in self._checkpoints:
            self._break("checkpoint_missing", record.place, **record.named())
            return
        checkpoint = self._checkpoints[item["log"]]
        if checkpoint is None:
            return  # already named
        try:
            verify_inclusion(
                index=item["leaf_index"],
                size=checkpoint.size,
                leaf_hash=leaf_hash(record.hash),
                proof=[decode_base64(part) for part in item.get("inclusion") or ()],
                root=checkpoint.root,
            )
        except (ProofError, ValueError):
            index = item["leaf_index"]
            self._break("not_included", record.place, index=index, **record.named())
            return
        record.proven = True
        self._counts["checked_inclusions"] += 1

    def _check_heads(self) -> None:
        heads = self._bundle.get("heads")
        if heads is None:
            return
        try:
            complete = check_heads(
                heads, self._subject, lambda *place: self._records.get(place), is_map_root
            )
        except HeadsRefused as refused:
            # What spoils the proof of the map's record was named where it stands.
            if refused.key != "heads_unproven" or not self._broken:
                self._break(refused.key, "heads", **refused.params)
            return
        self._complete = remark("checked_completeness", "", **complete)

    # --------------------------------------------------------------- references, signatures

    def _check_refs(self, record: _Record) -> None:
        for n, ref in enumerate(record.fields.get("refs", ())):
            target = self._records.get((ref["stream"], ref["seq"]))
            if target is not None and target.hash.hex() == ref["hash"]:
                self._counts["checked_refs"] += not record.pending
            elif target is None and record.stream != self._subject:
                self._counts["unchecked_refs"] += 1
            else:
                self._break(
                    "ref_missing" if target is None else "ref_mismatch",
                    f"{record.place}.refs[{n}]",
                    ref=ref["stream"],
                    ref_seq=ref["seq"],
                    **record.named(),
                )

    def _check_signature(self, record: _Record) -> None:
        fields = record.fields
        signed = fields.get("signed")
        if signed is None:
            return
        party = f"party/{fields['actor']}"
        # Only what the log proves counts: else whoever hands over the bundle could add a key or a
        # revocation.
        registered = self._key_records.get((party, "signing_key", signed["key"]), ())
        keys = [key for key in registered if key.proven]
        if not keys:
            self._counts["unchecked_signatures"] += 1
            return
        revoked = self._key_records.get((party, "signing_key_revoked", signed["key"]), ())
        revoked = [record for record in revoked if record.proven]
        place, named = f"{record.place}.signed", {"actor": fields["actor"], **record.named()}
        message = claim_message(fields)
        keys = [key for key in keys if _is_signed_by(key, signed["value"], message)]
        if not keys:
            self._break("signature_wrong", place, **named)
            return
        since = min(key.recorded_at for key in keys)
        ended = min((r.recorded_at for r in revoked), default=None)
        # `signature_early` or `signature_revoked`; app.ledger.signatures says what the times can tell.
        if (wrong := judge_time(record.recorded_at, since=since, revoked=ended)) is not None:
            self._break(f"signature_{wrong}", place, **named)
        else:
            self._counts["checked_signatures"] += not record.pending


def _is_signed_by(key_record: _Record, signature: str, message: bytes) -> bool:
    public_key = key_record.fields["data"].get("public_key")
    if not isinstance(public_key, str):
        return False
    try:
        verify_signature(
            public_key=decode_base64(public_key),
            signature=decode_base64(signature),
            message=message,
        )
    except (Fault, ValueError):
        return False
    return True
