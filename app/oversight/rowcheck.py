"""Rows beside the records that pages, credit and ranking read, against what the records say.

Products, lots, parties, credit entries, holds, what was decided on findings and what other credit
stores sent are kept as rows so that they can be found and added up; each follows from records of one
stream. Whoever changes a row changes no record: what was proven stays proven and nobody is charged,
but what is shown or counted would be false. So it is a finding of its own (`index.row_mismatch`), at
the stream whose records contradict it.

In which case goods are (`case_unit`) is checked at their holder's stream, for most units say nothing of it;
see `placecheck`. What was sold is checked where the goods are, and where their seller is; see `salescheck`.

Documents that a party handed in are opened and held against their digests; by the walk in the background a
few at a time, see `documentwalk`.

Not checked: rows that follow from several streams or from none (offers, due steps, API keys).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.credit import (
    alerts,
    documents,
    documentstore,
    exchangestore,
    matterstore,
    rankstore,
    snapshots,
)
from app.credit import store as credit_store
from app.credit.alerts import warning_row
from app.credit.document_uses import told_uses
from app.credit.matters import replay_matters
from app.credit.orders import fact_key, told_rows
from app.credit.rows import replay
from app.credit.snapshots import snapshot_row
from app.kit.clock import parse_time, to_ms
from app.ledger.record import stream_key
from app.ledger.store import as_bytes
from app.ledger.vault import Vault
from app.ledger.verifier import Problem
from app.oversight import movestore
from app.oversight.finding_rows import DOCUMENT
from app.oversight.placecheck import lacks_case, misplaced_rows
from app.oversight.salescheck import baseless_sales, wrong_sales
from app.parties import licence_book, licencestore, measures, measurestore
from app.parties import store as party_store
from app.trace import ratings, ratingstore, voices, voicestore
from app.trace import store as trace_store
from app.trace.catalogue import lot_facts, product_facts
from app.trace.gaps import Graces
from app.trace.wordstore import missing_words

Fields = Mapping[str, Any]
# At most a few a month: a bound that no party's life reaches.
_ALL_WARNINGS = 100_000
_DECISIONS = ("attribution", "dismissal")


def check_rows(
    connection: Connection,
    stream: str,
    records: Sequence[Fields],
    *,
    graces: Graces,
    vault: Vault | None = None,
    only: Collection[str] | None = None,
) -> Iterator[Problem]:
    """Yields the rows that do not follow from a sound stream's records, all of them given. Read-only.

    vault: opens documents; without it they are not. only: digests of those that it opens, None for all.
    """
    wrong: list[str] = []
    find: Callable[[], Any]
    first = next((fields for fields in records if fields["type"] == "registration"), None)
    match stream.split("/"):
        case ["01", gtin] if first is not None:
            find = partial(trace_store.find_product, connection, gtin)
            wrong = _differing("product", _told_product(first, records), find)
            if not wrong:  # else its words are somebody else's
                wrong = _missing_words(connection, find())
        case ["01", gtin, "10", _]:
            if first is not None:
                told = {"party": first["actor"], "facts": lot_facts(first["data"])}
                find = partial(trace_store.find_lot, connection, stream)
                wrong = _differing("lot", told, find)
            wrong += _wrong_ratings(connection, stream, gtin, records)
            wrong += _wrong_voices(connection, stream, gtin, records)
            wrong += wrong_sales(connection, stream, records, graces)
        case ["01", gtin, "21", _]:
            wrong = _wrong_ratings(connection, stream, gtin, records)
            packed = any(fields["type"] == "pack" for fields in records)
            if packed and lacks_case(connection, stream):
                wrong.append("case_unit")
            wrong += _wrong_voices(connection, stream, gtin, records)
            wrong += wrong_sales(connection, stream, records, graces)
        case ["party", party]:
            if first is not None:
                find = partial(party_store.find_party, connection, party)
                wrong = _differing("party", _told_party(first["data"], records), find)
                wrong += _wrong_licences(connection, party, records)
                wrong += _wrong_measures(connection, party, records)
            wrong += _wrong_credit(connection, party, records)
            wrong += _wrong_decisions(connection, party, records)
            wrong += _wrong_orders(connection, party, records)
            wrong += _wrong_documents(connection, party, records)
            if vault is not None:
                altered = documents.unsound(connection, vault, party, only=only)
                yield from (altered_document(party, digest) for digest in altered)
            wrong += [
                f"rating.{seq}" for _, seq in ratingstore.unfounded(connection, party, limit=20)
            ]
            wrong += misplaced_rows(connection, party)
            wrong += baseless_sales(connection, party)
            wrong += [
                f"voice.{seq}" for _, seq in voicestore.unfounded(connection, party, limit=20)
            ]
        case ["store", sender]:
            wrong = _wrong_sender(connection, sender, records)
        case ["store", sender, party]:
            wrong = _wrong_received(connection, sender, party, records)
        case _:
            pass
    if wrong:
        evidence = {"column": " ".join(wrong[:20])}
        yield Problem("index.row_mismatch", stream, None, None, evidence)


def altered_document(party: str, digest: str) -> Problem:
    """Returns what is said of a document that is not what was handed in; each is a finding of its own."""
    evidence = {"column": f"{DOCUMENT}{digest}"}
    return Problem("index.row_mismatch", f"party/{party}", None, None, evidence)


def _told_product(first: Fields, records: Sequence[Fields]) -> dict[str, Any]:
    owners = [f["data"]["party"] for f in records if f["type"] == "brand_owner"]
    return {
        "name": first["data"]["name"],
        "category": first["data"]["category"],
        "facts": product_facts(first["data"]),
        "registrant": first["actor"],
        "brand_owner": owners[-1] if owners else None,
    }


def _told_party(data: Fields, records: Sequence[Fields]) -> dict[str, Any]:
    verified = [f["data"]["status"] for f in records if f["type"] == "verification"]
    told: dict[str, Any] = {
        "roles": tuple(data["roles"]),
        "region": data.get("region"),
        "status": verified[-1] if verified else "pending",
        "exempt": data.get("exempt", False),
        "licences": licence_book.replay(records)[0],
    }
    if "name" in data:  # an exempt person's is only committed to
        told["name"] = data["name"]
    return told


def _wrong_licences(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the rows by which a party's licences are found that are not as recorded."""
    told = {
        row["licence"]: row for row in licence_book.index_rows(party, *licence_book.replay(records))
    }
    kept = {row.licence: row for row in licencestore.rows_of(connection, party)}
    return sorted(f"licence.{one}" for one in _apart(told, kept, _same))


def _wrong_measures(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the rows of measures, and of where they were published, that are not as recorded."""
    kept = {row.id: row for row in measurestore.rows_of(connection, party)}
    return sorted(
        f"measure.{one}" for one in _apart(measures.told_rows(party, records), kept, _same)
    )


def _wrong_credit(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the rows of entries, steps and holds that are missing, invented, or say something else."""
    told = replay(records)
    steps = {(step["entry"], step["seq"]): step for step in told.steps}
    kept_steps = {(row.entry, row.seq): row for row in credit_store.step_rows(connection, party)}
    kept = {row.id: row for row in credit_store.entry_rows(connection, party)}
    holds = {row.finding: row for row in credit_store.hold_rows(connection, party)}
    wrong = {f"credit_entry.{entry}" for entry in _apart(told.entries, kept, _same_entry)}
    wrong |= {f"credit_step.{entry}.{seq}" for entry, seq in _apart(steps, kept_steps, _same)}
    wrong |= {f"credit_hold.{finding}" for finding in _apart(told.holds, holds, _same)}
    return sorted(wrong) + _wrong_matters(connection, party, records)


def _wrong_matters(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the rows of commitments, listings, monthly grades and warnings that are not as recorded."""
    told = replay_matters(records)
    steps = {(step["matter"], step["seq"]): step for step in told.steps}
    kept_steps = {(row.matter, row.seq): row for row in matterstore.steps_of(connection, party)}
    kept = {row.id: row for row in matterstore.matters_of(connection, party)}
    made = [(f, to_ms(parse_time(f["recorded_at"]))) for f in records]
    grades = {
        f["data"]["month"]: snapshot_row(f["data"], party=party, seq=f["seq"], at_ms=at_ms)
        for f, at_ms in made
        if f["type"] == snapshots.TYPE
    }
    warned = {
        f["id"]: warning_row(f["data"], party=party, identifier=f["id"], seq=f["seq"], at_ms=at_ms)
        for f, at_ms in made
        if f["type"] == alerts.TYPE
    }
    kept_grades = {row.month: row for row in matterstore.snapshots_of(connection, party)}
    kept_warned = {
        row.id: row for row in matterstore.warnings_of(connection, party, limit=_ALL_WARNINGS)
    }
    wrong = {f"matter.{matter}" for matter in _apart(told.rows, kept, _same)}
    wrong |= {f"matter_step.{matter}.{seq}" for matter, seq in _apart(steps, kept_steps, _same)}
    wrong |= {f"credit_snapshot.{month}" for month in _apart(grades, kept_grades, _same)}
    wrong |= {f"credit_warning.{one}" for one in _apart(warned, kept_warned, _same)}
    return sorted(wrong)


def _apart(
    told: Mapping[Any, Fields], kept: Mapping[Any, Any], same: Callable[[Fields, Fields], bool]
) -> list[Any]:
    """Returns the keys that only one side has, or whose rows differ."""
    return [
        key
        for key in told.keys() | kept.keys()
        if key not in told or key not in kept or not same(told[key], kept[key]._mapping)
    ]


def _wrong_sender(connection: Connection, sender: str, records: Sequence[Fields]) -> list[str]:
    key, ended = "", True
    for fields in records:
        ended = fields["type"] == "store_sender_ended"
        key = key if ended else fields["data"]["key"]
    rows = {row.name: row for row in exchangestore.list_senders(connection)}
    row = rows.get(sender)
    if row is None or (row.vkey, row.ended_at_ms is not None) != (key, ended):
        return ["credit_sender"]
    return []


def _wrong_received(
    connection: Connection, sender: str, party: str, records: Sequence[Fields]
) -> list[str]:
    told = {}
    for fields in records:
        if fields["type"] == "store_received":
            record = fields["data"]["record"]
            hash_ = bytes.fromhex(fields["data"]["hash"])
            told[record["seq"]] = (
                stream_key(record["stream"]),
                record["type"],
                hash_,
                fields["seq"],
            )
    kept = {
        row.seq: (row.source, row.type, as_bytes(row.hash), row.place)
        for row in exchangestore.received_rows(connection, sender, party)
    }
    return [
        f"credit_received.{seq}"
        for seq in sorted(told.keys() | kept.keys())
        if told.get(seq) != kept.get(seq)
    ]


def _same(told: Fields, kept: Fields) -> bool:
    return all(kept[name] == value for name, value in told.items())


def _same_entry(told: Fields, kept: Fields) -> bool:
    # The buyer stands in no record. Rows made before `actor` was kept have none.
    unknown = {"buyer"} | ({"actor"} if kept["actor"] is None else set())
    return _same({name: value for name, value in told.items() if name not in unknown}, kept)


def _wrong_decisions(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the findings whose row and whose record tell a regulator's decision differently.

    A decision that stands on another party's stream is compared there.
    """
    told: dict[str, dict[str, str]] = {}
    for fields in records:
        if fields["type"] in _DECISIONS:
            decided = told.setdefault(fields["data"]["finding"], {})
            decided[fields["type"]] = fields["data"].get("to", "dismissed")
    rows = movestore.find_some(connection, sorted(told))
    own = {row.id: row for row in movestore.decided_on(connection, party)}
    wrong = []
    for finding in sorted(told.keys() | own.keys()):
        row = rows.get(finding) or own.get(finding)
        said = told.get(finding, {})
        if (
            row is None
            or said.get("attribution") != row.attributed_to
            or ("dismissal" in said) != (row.status == "dismissed")
        ):
            wrong.append(f"finding.{finding}")
    return wrong


def _wrong_documents(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the rows of documents that records name which are not as recorded."""
    kept = {
        place: row._mapping for place, row in documentstore.uses_about(connection, party).items()
    }
    told = told_uses(party, records)
    apart = {place for place in told.keys() | kept.keys() if told.get(place) != kept.get(place)}
    return sorted(f"document_use.{seq}" for _, _, _, seq in apart)


def _wrong_orders(connection: Connection, party: str, records: Sequence[Fields]) -> list[str]:
    """Returns the months of order counts whose row is missing, invented, or says something else."""
    told = told_rows(party, records)
    kept = {
        fact_key(row.seller, row.gtin, row.month): dict(row._mapping)
        for row in rankstore.order_rows(connection, party)
    }
    return [
        f"order_month.{key}"
        for key in sorted(told.keys() | kept.keys())
        if told.get(key) != kept.get(key)
    ]


def _wrong_ratings(
    connection: Connection, stream: str, gtin: str, records: Sequence[Fields]
) -> list[str]:
    """Returns the ratings of a stream whose row is missing or says something else.

    A row that no record gives is found at the party that it speaks of, or most chains would be asked
    for nothing.
    """
    if not any(fields["type"] in ratings.TYPES for fields in records):
        return []
    kept = {row.seq: row._mapping for row in ratingstore.rows_of(connection, stream)}
    return [
        f"rating.{told['seq']}"
        for told in ratings.told_rows(stream, gtin, records)
        if told["seq"] not in kept or not _same_rating(told, kept[told["seq"]])
    ]


def _same_rating(told: Fields, kept: Fields) -> bool:
    # The waybill stands in no record.
    return _same({name: value for name, value in told.items() if name != "parcel"}, kept)


def _wrong_voices(
    connection: Connection, stream: str, gtin: str, records: Sequence[Fields]
) -> list[str]:
    """Returns the reviews and complaints whose row is missing or says something else; as `_wrong_ratings`."""
    told = voices.told_rows(stream, gtin, records)
    if not told:
        return []
    kept = {row.seq: row._mapping for row in voicestore.rows_of(connection, stream_key(stream))}
    return [
        f"voice.{row['seq']}"
        for row in told
        if row["seq"] not in kept or not _same(row, kept[row["seq"]])
    ]


def _missing_words(connection: Connection, product: Any) -> list[str]:
    """Returns the words of a product that the index lacks; what should be a number may be none."""
    try:
        return [f"search_word.{word}" for word in missing_words(connection, product)]
    except (TypeError, ValueError):
        return ["product"]


def _differing(table: str, told: Mapping[str, Any], find: Callable[[], Any]) -> list[str]:
    """Returns the columns that say something else, the table's name where no row can be read."""
    try:
        row = find()
    except (ValueError, TypeError):  # what should be JSON is none
        return [table]
    if row is None:
        return [table]
    return [f"{table}.{name}" for name, value in told.items() if getattr(row, name) != value]
