"""The lives that are told in one go are those that the fold tells, byte for byte, or none at all."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.db.tables import SoldUnit
from app.kit.canonical import canonical_bytes_unchecked
from app.kit.clock import format_time, from_ms
from app.ledger.frame import FrameReader, name_part
from app.ledger.record import ZERO_HASH
from app.trace.gaps import Graces
from app.trace.identifiers import parse_code
from app.trace.plainlife import PlainLife, PlainLives
from app.trace.replay import replay
from app.trace.soldrows import sold_row
from tests.trace.lives import CARRIER, GRACES, PLATFORM, SHOP

UNIT = "01/06901234567892/21/A1"
PLACE = ("stream", "subject", "cycle", "gtin")
AT = 1_795_636_900_000
TYPES = ["sale", "dispatch", "transit", "signature", "review", "return", "refusal", "void"]
TYPES += [
    "transfer",
    "complaint",
    "listing",
    "recall",
    "correction",
    "registration",
    "pack",
    "unpack",
]
STRAIGHT = ["registration", "sale", "dispatch", "transit", "transit", "signature", "transit"]
PARTIES = st.sampled_from([SHOP, CARRIER, PLATFORM, "system", ""])
SOURCES = st.sampled_from(["merchant", "platform", "carrier", "consumer", "system", "regulator"])
TIMES = st.sampled_from([0, 1, 1_000, 3_600_000, 9 * 86_400_000, 20 * 86_400_000])
TEXTS = st.one_of(
    st.sampled_from(["", "440100", "示例平台（虚构）", 'a "b" \\ c', "x" * 64, "x" * 65, "inner"]),
    st.integers(0, 1), st.booleans(),
    st.text(max_size=5),
)  # fmt: skip
NAMES = ["platform", "region", "carrier", "from", "to", "waybill_tail", "kind", "proof", "issuer"]
NAMES += ["lot", "brand_owner", "seller", "tail", "ended", "changes", "case"]
LISTINGS = {
    0: {"type": "listing", "actor": SHOP, "source": "merchant"},
    1: {"type": "listing", "actor": SHOP, "source": "platform", "via": PLATFORM},
    2: {"type": "registration", "actor": SHOP, "source": "merchant"},
}
REFS = st.lists(
    st.sampled_from([0, 1, 2, 3]).map(
        lambda seq: {"hash": "0" * 64, "seq": seq, "stream": "01/06901234567892"}
    ),
    max_size=2,
)


@st.composite
def records(draw):
    """A life from its first record on: what is common more often than not, and anything beside it."""
    straight = draw(st.integers(0, len(STRAIGHT)))
    types = STRAIGHT[:straight] if draw(st.booleans()) else draw(
        st.lists(st.sampled_from(STRAIGHT + TYPES), max_size=7)
    )  # fmt: skip
    if not types or draw(st.booleans()):
        types = ["registration", *types[1:]]
    at, made = AT, []
    for seq, type_ in enumerate(types):
        at += draw(TIMES)
        fields = {
            "actor": draw(PARTIES) if draw(st.integers(0, 3)) == 0 else SHOP,
            "data": draw(st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=4)),
            "id": f"00000000-0000-7000-8000-{seq:012d}",
            "occurred_at": format_time(from_ms(at - draw(TIMES))),
            "prev": "ab" * 32 if seq else ZERO_HASH.hex(),
            "recorded_at": format_time(from_ms(at)),
            "seq": seq,
            "source": draw(SOURCES),
            "stream": UNIT,
            "type": type_,
            "v": 1,
        }
        if draw(st.integers(0, 3)) == 0:
            fields["via"] = draw(PARTIES)
        if type_ == "sale" and (refs := draw(REFS)):
            fields["refs"] = refs
        made.append((fields, at))
    return made


def find(stream, seq):
    return LISTINGS.get(seq)


def framed(made):
    reader = FrameReader(lambda _: True)
    for fields, at in made:
        frame = reader.read(
            canonical_bytes_unchecked(fields), name_part(UNIT), fields["seq"],
            bytes.fromhex(fields["id"].replace("-", "")), fields["type"], fields["actor"], at,
            fields["prev"].encode("ascii"),
        )  # fmt: skip
        assert frame is not None, fields
        yield frame


def lives(graces=GRACES, kept=lambda _: ()) -> PlainLives:
    return PlainLives(find, kept, graces)


def sale_of(life) -> tuple | None:
    """Returns the row of a life's sale behind its GTIN, as whoever records a step writes it."""
    row = sold_row(parse_code(UNIT), UNIT, "", {}, life)
    if row is None:
        return None
    return tuple(row[name] for name in SoldUnit.model_fields if name not in PLACE)


@settings(max_examples=600, deadline=None)
@given(records(), st.sampled_from([GRACES, Graces(*[timedelta(0)] * 3)]))
def test_what_is_told_is_what_the_fold_tells(made, graces):
    told = lives(graces).tell(list(framed(made)))
    folded = replay([fields for fields, _ in made], find, graces)
    assert told in (None, PlainLife(canonical_bytes_unchecked(folded), sale_of(folded)))


def common(data, *, listed=True, until=7):
    for seq, type_ in enumerate(STRAIGHT[:until]):
        at = AT + seq * 60_000
        yield (
            {
                "actor": CARRIER if type_ in ("transit", "signature") else SHOP,
                "data": data.get(type_, {}),
                "id": f"00000000-0000-7000-8000-{seq:012d}",
                "occurred_at": format_time(from_ms(at - 1_000)),
                "prev": "ab" * 32,
                "recorded_at": format_time(from_ms(at)),
                **(
                    {"refs": [{"hash": "0" * 64, "seq": 1, "stream": "01/06901234567892"}]}
                    if type_ == "sale" and listed
                    else {}
                ),
                "seq": seq,
                "source": "carrier" if type_ in ("transit", "signature") else "merchant",
                "stream": UNIT,
                "type": type_,
                "v": 1,
            },
            at,
        )


def test_the_common_lives_are_told_at_every_length():
    """Else an audit would be right and slow, and nobody would see it."""
    data = {
        "registration": {"issuer": SHOP, "brand_owner": True, "lot": "L1"},
        "sale": {"platform": "示例", "region": "440100"},
        "dispatch": {"carrier": CARRIER, "from": "441200", "to": "440100", "waybill_tail": "01"},
        "signature": {"kind": "in_person"},
    }
    states = []
    for listed in (True, False):
        for until in range(1, len(STRAIGHT) + 1):
            made = list(common(data, listed=listed, until=until))
            told = lives().tell(list(framed(made)))
            folded = replay([fields for fields, _ in made], find, GRACES)
            assert told == PlainLife(canonical_bytes_unchecked(folded), sale_of(folded))
            states.append(json.loads(told.state))
    assert "completed" in states[6]
    assert "completed" not in states[-1]
    assert {state["state"] for state in states} == {"registered", "sold", "in_transit", "signed"}


def held(*kept, data=None, name=UNIT, state=None) -> bool:
    """Whether a common life is held, with these rows kept of it beside its state, or another state."""
    frames = list(framed(list(common(data or {}))))
    told = lives().tell(frames)
    return lives(kept=lambda key: kept if key == 7 else ()).holds(
        7, name, frames, told.state if state is None else state
    )


def kept_row() -> tuple:
    made = list(common({}))
    sale = sale_of(replay([fields for fields, _ in made], find, GRACES))
    return ("", 1, "06901234567892", *sale)


def test_an_altered_state_is_not_held():
    state = lives().tell(list(framed(list(common({}))))).state
    row = kept_row()
    assert held(row)
    assert not held(row, name="01/06901234567892")
    for at in range(len(state)):
        assert not held(row, state=state[:at] + b"0" + state[at + 1 :]) or (
            state[at : at + 1] == b"0"
        )


def test_a_sale_that_is_kept_otherwise_is_not_held():
    row = kept_row()
    assert not held()
    assert not held(row, row)
    assert not held(row, ("", 2, *row[2:]))
    for at, value in enumerate(row):
        for other in (None, 5, "x"):
            if value != other:
                assert not held((*row[:at], other, *row[at + 1 :]))
    unsold = list(framed(list(common({}, until=1))))
    state = lives().tell(unsold).state
    assert lives().holds(7, UNIT, unsold, state)
    assert not lives(kept=lambda _: [row]).holds(7, UNIT, unsold, state)
