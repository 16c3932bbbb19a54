"""What is asked of the index of words costs what it asks about, not what the index holds."""

from __future__ import annotations

from types import SimpleNamespace

import orjson
from sqlalchemy import create_engine, insert

from app.trace import wordstore


def test_what_is_missing_of_a_product_is_looked_up_and_not_searched_for():
    """The audit asks of every product; reading all words for each takes the square of a shop's size."""
    engine = create_engine("sqlite://")
    product = SimpleNamespace(
        gtin="06901234567892", name="香米 rice", category="food",
        facts=orjson.dumps({}).decode(), created_at=1,
    )  # fmt: skip
    asked = []
    with engine.begin() as connection:
        wordstore.WORD.create(connection)
        first, *others = wordstore.word_rows(vars(product))
        connection.execute(insert(wordstore.WORD), others)
        driver = connection.connection.driver_connection
        driver.set_trace_callback(asked.append)
        assert wordstore.missing_words(connection, product) == [first["word"]]
        driver.set_trace_callback(None)
        plans = [
            row[3]
            for statement in asked
            for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    engine.dispose()
    assert plans
    assert all(plan.startswith("SEARCH search_word USING PRIMARY KEY (word=?") for plan in plans)
