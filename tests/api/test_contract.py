"""Every answer has the shape that `usecases.shapes` promises to clients, and the OpenAPI document says so."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from rota.api.app import create_app
from rota.usecases import shapes
from tests.support.builders import Rota
from tests.usecases.test_output import an_attempt


async def answers(rota: Rota) -> list[tuple[Any, Any]]:
    """One answer of each shape, as JSON."""
    await rota.a_playbook()
    await rota.a_job("by-playbook", playbook="backup", target="all", vars={"x": "1"})
    run, run_id = await an_attempt(rota)
    rota.output.write(run_id, 1, b"hello")
    await rota.api.post("/jobs/daily-backup/trigger")
    get, post = rota.api.get, rota.api.post
    return [
        (shapes.Instance, (await get("/instance")).json),
        (shapes.JobPage, (await get("/jobs")).json),
        (shapes.JobPage, (await get("/jobs", fields="list")).json),
        (shapes.Job, (await get("/jobs/by-playbook")).json),
        (shapes.Changed, (await rota.api.patch("/jobs/by-playbook", {"priority": 3})).json),
        (shapes.Preview, (await get("/preview", every="20s")).json),
        (shapes.RunPage, (await get("/runs")).json),
        (shapes.Run, (await get(f"/runs/{run['id']}")).json),
        (shapes.OutputPage, (await get(f"/runs/{run['id']}/output")).json),
        (shapes.History, (await get("/history")).json),
        (shapes.Why, (await get("/why/daily-backup")).json),
        (shapes.Planned, (await rota.api.post("/runs", {"do": "noop"}, dry_run="true")).json),
        (shapes.Hosts, (await get("/hosts")).json),
        (shapes.Host, (await post("/hosts", {"name": "web-1"})).json),
        (shapes.Group, (await post("/groups", {"name": "web"})).json),
        (shapes.Groups, (await get("/groups")).json),
        (shapes.Names, (await get("/hosts:match", selector="all")).json),
        (shapes.Playbooks, (await get("/playbooks")).json),
        (shapes.Playbook, (await get("/playbooks/backup")).json),
        (shapes.Validation, (await post("/playbooks:validate", {"text": "x"})).json),
        (shapes.Deleted, (await rota.api.delete("/jobs/by-playbook")).json),
        (shapes.Removed, (await rota.api.delete("/playbooks/backup")).json),
        (shapes.Problem, (await get("/jobs/nothing")).json),
        (shapes.Problem, (await get("/jobs", limit="x")).json),
    ]


async def test_every_answer_has_the_shape_it_says(rota: Rota) -> None:
    for shape, content in await answers(rota):
        TypeAdapter(shape).validate_python(content, strict=True)
        assert set(content) <= set(shape.__annotations__), shape.__name__


async def test_instants_end_in_z_and_ids_are_kind_and_sixteen_digits(rota: Rota) -> None:
    def check(key: str, value: object) -> None:
        if isinstance(value, dict):
            for inner, item in value.items():
                check(inner, item)
        elif isinstance(value, list):
            for item in value:
                check(key, item)
        elif isinstance(value, str) and (key.endswith("_at") or key == "at"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value), (key, value)
        elif isinstance(value, str) and key == "id":
            assert re.fullmatch(r"(sched|run|host|play|tgt|att)_[0-9a-f]{16}", value), (key, value)

    for _, content in await answers(rota):
        check("", content)


async def test_the_openapi_document_names_every_body_and_every_answer(rota: Rota) -> None:
    document = (await rota.api.get("/openapi.json")).json
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            success = next(status for status in operation["responses"] if status.startswith("2"))
            assert operation["responses"][success]["content"], (path, method)
            assert operation["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Problem")
    body = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "overlap_policy" in document["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]


async def test_every_reference_of_the_openapi_document_leads_somewhere(rota: Rota) -> None:
    document = create_app(rota.ctx).openapi()
    wanted = set(re.findall(r"#/components/schemas/([\w-]+)", str(document)))
    assert wanted <= set(document["components"]["schemas"])
