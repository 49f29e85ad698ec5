from __future__ import annotations

import logging

import pytest

from rota.api.app import create_app
from rota.api.bodies import MOST_BYTES
from rota.domain.errors import Unavailable
from rota.ports import Tx
from tests.support.asgi import AsgiClient
from tests.support.builders import Rota


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{nope", "not JSON"),
        (b"[1]", "not an object"),
        (b'"text"', "not an object"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"name": NaN}', "name"),
        (b'{"name": "\\ud800"}', "not JSON"),
    ],
)
async def test_a_body_that_is_no_json_object_is_a_fault(rota: Rota, raw: bytes, said: str) -> None:
    answer = await rota.api.request("POST", "/jobs", raw=raw)
    assert (answer.status, answer.json["code"]) == (422, "invalid_input")
    assert said in answer.json["message"]


async def test_a_body_that_is_too_long_is_a_fault(rota: Rota) -> None:
    answer = await rota.api.request("POST", "/jobs", raw=b" " * (MOST_BYTES + 1))
    assert (answer.status, answer.json["expected"]) == (422, "at most 4 MiB")


async def test_a_body_where_none_is_read_is_a_fault(rota: Rota) -> None:
    await rota.a_job()
    answer = await rota.api.post("/jobs/daily-backup/enable", {"force": True})
    assert answer.status == 422
    assert (await rota.api.post("/jobs/daily-backup/enable", {})).status == 200


async def test_an_unknown_parameter_is_a_fault_with_a_near_name(rota: Rota) -> None:
    answer = await rota.api.get("/jobs", feilds="list")
    (fault,) = answer.json["errors"]
    assert fault["field"] == "feilds"
    assert fault["hint"] == 'did you mean "fields"?'


async def test_all_faulty_parameters_are_told_at_once(rota: Rota) -> None:
    answer = await rota.api.get("/jobs", limit=0, fields="lst")
    assert [fault["field"] for fault in answer.json["errors"]] == ["limit", "fields"]


async def test_an_unknown_path_is_not_found(rota: Rota) -> None:
    answer = await rota.api.get("/jbos")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_a_method_that_is_not_possible_says_so(rota: Rota) -> None:
    answer = await rota.api.request("PUT", "/jobs/x")
    assert answer.status == 405
    assert "PUT is not possible on /api/v1/jobs/x" in answer.json["message"]


async def test_who_has_no_account_is_refused(rota: Rota) -> None:
    stranger = AsgiClient(create_app(rota.ctx), client=("192.0.2.7", 4711))
    answer = await stranger.get("/jobs")
    assert (answer.status, answer.json["code"]) == (403, "refused")


async def test_the_account_at_the_other_end_of_the_socket_is_who_acts(rota: Rota) -> None:
    somebody = AsgiClient(create_app(rota.ctx), client=("uid:54321", 99))
    job = (await somebody.post("/jobs", {"name": "web", "do": "noop"})).json
    assert job["created_by"] == "uid-54321"


async def test_a_bug_is_a_500_whose_id_is_in_the_log(
    rota: Rota, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(tx: Tx) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("rota.storage.jobs.list_jobs", lambda *_, **__: broken)
    with caplog.at_level(logging.ERROR, "rota.api"):
        answer = await rota.api.get("/jobs")
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert answer.json["request_id"] in caplog.text


async def test_a_store_that_does_not_answer_is_a_503(rota: Rota, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full", hint="free some space")

    monkeypatch.setattr("rota.storage.jobs.list_jobs", full)
    answer = await rota.api.get("/jobs")
    assert (answer.status, answer.json["code"], answer.json["hint"]) == (503, "unavailable", "free some space")


async def test_a_version_that_is_none_is_a_fault_of_if_match(rota: Rota) -> None:
    await rota.a_job()
    answer = await rota.api.request("PATCH", "/jobs/daily-backup", {}, headers={"If-Match": '"latest"'})
    assert [fault["field"] for fault in answer.json["errors"]] == ["If-Match"]
