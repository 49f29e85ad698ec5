"""English that leaves nothing open: two expressions are told in the same words only if they mean the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.trigger.days import days_of_year
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.explain import describe_cron
from rota.domain.trigger.fields import CronFields
from rota.domain.trigger.wall import SHAPES


def a_field(low: int, high: int, *special: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.integers(2, max(2, min(20, high - low))).map(lambda step: f"*/{step}")
    item = st.one_of(number.map(str), span, st.sampled_from([*special, "*"]))
    return st.one_of(st.just("*"), step, item, st.lists(item, min_size=2, max_size=4).map(",".join))


EXPRESSIONS = st.tuples(
    st.one_of(st.just(""), a_field(0, 59)),
    a_field(0, 59),
    a_field(0, 23),
    a_field(1, 31, "L", "LW", "15W", "1W", "L-2"),
    a_field(1, 12),
    a_field(0, 6, "1#1", "5L", "3#3"),
).map(lambda fields: " ".join(filter(None, fields)))


def meaning(fields: CronFields) -> tuple[object, ...]:
    days = tuple(days_of_year(fields, shape) for shape in SHAPES)
    return fields.second.mask, fields.minute.mask, fields.hour.mask, days


@settings(max_examples=120, deadline=None)
@given(st.lists(EXPRESSIONS, min_size=2, max_size=12, unique=True))
def test_the_same_english_is_the_same_meaning(expressions: list[str]) -> None:
    told: dict[str, tuple[object, ...]] = {}
    for expression in expressions:
        try:
            fields = read_cron(expression)
        except InvalidInput:  # what can never fire
            continue
        assert told.setdefault(describe_cron(expression), meaning(fields)) == meaning(fields)
