"""The OpenAPI document: FastAPI's, with the bodies that `Reads` takes and the one shape of all errors put in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from rota.api.bodies import Reads
from rota.usecases.shapes import Problem

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "403": "Refused by policy, or nobody knows who asks",
    "404": "There is no such thing; the hint has near names",
    "409": "The state moved on, or a policy decided not to run (code `skipped`)",
    "412": "The job is no longer at the version of If-Match",
    "422": "The words are wrong; `errors` has every fault",
    "503": "The store or the disk said no; trying again may help",
}


def describe(app: FastAPI, routers: Iterable[APIRouter], prefix: str) -> dict[str, Any]:
    """The document, made once. `routers` are those that the application includes under `prefix`."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
            for method in route.methods or ():
                _complete(document["paths"][prefix + route.path][method.lower()], route, schemas)
        _add(schemas, "Problem", TypeAdapter(Problem).json_schema(ref_template=_REF))
        app.openapi_schema = document
    return app.openapi_schema


def _complete(operation: dict[str, Any], route: APIRoute, schemas: dict[str, Any]) -> None:
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Reads):
            model = dependency.call.model
            _add(schemas, model.__name__, model.model_json_schema(ref_template=_REF))
            operation["requestBody"] = {
                "content": {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
            }
    for status, text in _ERRORS.items():
        content = {"application/json": {"schema": {"$ref": _REF.format(model="Problem")}}}
        operation["responses"][status] = {"description": text, "content": content}


def _add(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    schemas |= schema.pop("$defs", {})
    schemas[name] = schema
