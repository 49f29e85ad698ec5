"""What a playbook's step may say about its tries."""

from __future__ import annotations

import pytest

from rota.actions.playbook_file import read_playbook
from rota.domain.errors import InvalidInput
from rota.domain.playbook import Playbook
from rota.domain.step import Backoff, OnLost

PLAYBOOK = """\
name: poll
steps:
  - name: ask
    shell: ./ask
"""


def a_playbook(*words: str) -> Playbook:
    return read_playbook(PLAYBOOK + "".join(f"    {word}\n" for word in words))


def test_a_step_says_when_and_how_it_is_tried_again() -> None:
    [step] = a_playbook(
        "retries: 3", "retry_delay_ms: 2000", "retry_backoff: exponential", "retry_max_delay_ms: 60000",
        "retry_jitter: 0.1", "retry_on: [exit:75, timed_out]", "idempotent: true", "on_lost: retry",
        "total_timeout_ms: 900000",
    ).steps  # fmt: skip
    assert (step.retries, step.retry_delay_seconds, step.retry_backoff) == (3, 2.0, Backoff.EXPONENTIAL)
    assert (step.retry_max_delay_seconds, step.retry_jitter) == (60.0, 0.1)
    assert (step.retry_on, step.on_lost, step.total_timeout_seconds) == (
        ("exit:75", "timed_out"), OnLost.RETRY, 900.0,
    )  # fmt: skip


def test_one_end_needs_no_list() -> None:
    assert a_playbook("retries: 1", "retry_on: failed").steps[0].retry_on == ("failed",)


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["retry_backoff: slowly"], ["retry_backoff"]),
        (["retry_on: [1, 2]"], ["retry_on"]),
        (["retries: 1", "retry_on: [often]", "retry_jitter: much"], ["retry_jitter", "retry_on"]),
        (["retry_max_delay_ms: 60000"], ["retry_max_delay_ms"]),
        (["on_lost: retry"], ["on_lost"]),
        (["timeout_ms: 5000", "total_timeout_ms: 100"], ["total_timeout_ms"]),
    ],
)
def test_all_that_is_wrong_is_told_by_the_names_of_the_file(words: list[str], fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        a_playbook(*words)
    assert sorted(fault.field.rpartition(".")[2] for fault in refused.value.errors) == sorted(fields)


def test_a_playbook_that_says_none_of_it_keeps_its_digest() -> None:
    """Stored playbooks are compared by it: the digest is that of the release before there were such words."""
    assert a_playbook().digest == "e0ee18aec540328ab91a5e2fb5eb44966ade6e127f4fdff150ec960edcfc1d13"
