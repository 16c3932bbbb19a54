"""Rows of reviews and complaints: what records in any order of kinds make of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.kit.clock import format_time, to_ms
from app.trace.voices import told_rows

SHOP, PLATFORM = "91441200MA4TE5T00Q", "91441204MA4TE5T02Q"
UNIT, LOT = "01/06901234567892/21/8F3K2M9QZ7AB", "01/06901234567892/10/A1"
START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
GTIN = "06901234567892"


class Chain:
    """Records of one stream, an hour apart."""

    def __init__(self, stream: str = UNIT) -> None:
        self.stream = stream
        self.records: list[dict] = []

    def add(self, type_: str, actor: str = SHOP, source: str = "merchant", **data) -> str:
        n = len(self.records)
        at = format_time(START + timedelta(hours=n))
        id_ = f"0192f3a0-0000-7000-8000-{n:012x}"
        if "from_" in data:
            data["from"] = data.pop("from_")
        self.records.append(
            {"stream": self.stream, "seq": n, "id": id_, "type": type_, "actor": actor,
             "source": source, "data": data, "occurred_at": at, "recorded_at": at}
        )  # fmt: skip
        return id_

    def rows(self) -> list[dict]:
        return told_rows(self.stream, GTIN, self.records)


def at(hours: int) -> int:
    return to_ms(START + timedelta(hours=hours))


def sold(**sale) -> Chain:
    chain = Chain()
    chain.add("registration", "system", "system", issuer=SHOP)
    chain.add("sale", **({"platform": PLATFORM} | sale))
    return chain


def complain(chain: Chain, **data) -> str:
    return chain.add("complaint", "consumer", "consumer", category="quality", **data)


def test_a_complaint_is_the_sellers_and_the_platforms_of_the_sale():
    chain = sold()
    complain(chain)
    (row,) = chain.rows()
    assert (row["seller"], row["platform"], row["kind"]) == (SHOP, PLATFORM, "complaint")
    assert (row["at"], row["answered_at"], row["ended_at"]) == (at(2), None, None)
    by_name = sold(platform="某商城")
    complain(by_name)
    assert by_name.rows()[0]["platform"] is None


def test_a_reply_answers_and_with_an_outcome_proposes_once():
    chain = sold()
    of = complain(chain)
    chain.add("reply", of=of)
    chain.add("reply", of=of, outcome="accepted")
    chain.add("reply", of=of, outcome="refused")
    (row,) = chain.rows()
    assert (row["answered_at"], row["proposed_at"]) == (at(3), at(4))


def test_a_reply_to_a_message_answers_its_complaint():
    chain = sold()
    of = complain(chain)
    said = chain.add("message", "consumer", "consumer", of=of)
    assert chain.rows()[0]["answered_at"] is None
    chain.add("reply", of=said)
    assert chain.rows()[0]["answered_at"] == at(4)


def test_the_sellers_message_answers_and_the_buyers_settles_and_takes_it_back():
    chain = sold()
    of = complain(chain)
    chain.add("message", of=of)
    chain.add("message", "consumer", "consumer", of=of, settled=True)
    (row,) = chain.rows()
    assert (row["answered_at"], row["settled_at"], row["proposed_at"]) == (at(3), at(4), None)
    chain.add("message", "consumer", "consumer", of=of, rating=1)
    assert chain.rows()[0]["settled_at"] is None


def test_a_return_ends_what_was_before_it_and_nothing_after():
    chain = sold()
    first = complain(chain)
    chain.add("return", reason="x")
    chain.add("sale", platform="another place")
    second = complain(chain)
    before, after = chain.rows()
    assert (before["id"], before["ended_at"], before["answered_at"]) == (first, at(3), at(3))
    assert (after["id"], after["ended_at"], after["platform"]) == (second, None, None)


def test_a_referral_says_to_whom_it_went_last():
    chain = sold()
    of = complain(chain)
    chain.add("referral", of=of, to="platform")
    chain.add("referral", PLATFORM, "platform", of=of, to="regulator")
    (row,) = chain.rows()
    assert (row["referred_to"], row["referred_at"], row["answered_at"]) == (
        "regulator", at(4), None,
    )  # fmt: skip


def test_consignments_of_a_lot_are_told_apart():
    chain = Chain(LOT)
    chain.add("registration", "system", "system", issuer=SHOP)
    for name in ("1", "2"):
        chain.add("sale", consignment=name, platform=PLATFORM)
    one, two = complain(chain, consignment="1"), complain(chain, consignment="2")
    chain.add("return", consignment="1", reason="x")
    chain.add("reply", of=two)
    rows = {row["id"]: row for row in chain.rows()}
    assert rows[one]["ended_at"] == at(5)
    assert rows[two]["ended_at"] is None
    assert rows[two]["answered_at"] == at(6)


def test_a_review_and_its_follow_up_wait_each_for_itself():
    chain = sold()
    review = chain.add("review", "consumer", "consumer", rating=2, proof="platform")
    later = chain.add("follow_up", "consumer", "consumer", rating=4, proof="platform")
    chain.add("reply", of=review)
    rows = {row["id"]: row for row in chain.rows()}
    assert (rows[review]["answered_at"], rows[later]["answered_at"]) == (at(4), None)
    assert (rows[review]["rating"], rows[later]["kind"]) == (2, "follow_up")


def test_most_chains_hold_nothing():
    assert sold().rows() == []
