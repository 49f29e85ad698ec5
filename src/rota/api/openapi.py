"""The OpenAPI document: FastAPI's, with the bodies that `Reads` takes and the one shape of all errors put in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from rota.api.bodies import Reads
from rota.api.routing import Route
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
        routes = [route for router in routers for route in router.routes if isinstance(route, Route)]
        shapes = _schemas_of([*(route.shape for route in routes), Problem], schemas)
        for route in routes:
            for method in route.methods or ():
                _complete(document["paths"][prefix + route.path][method.lower()], route, shapes, schemas)
        app.openapi_schema = document
    return app.openapi_schema


def _schemas_of(shapes: Iterable[Any], schemas: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    """The schema of each shape, mostly a reference to what is added to `schemas`."""
    kind: Literal["serialization"] = "serialization"
    wanted = [(shape, kind, TypeAdapter(shape)) for shape in dict.fromkeys(shapes) if shape is not None]
    found, definitions = TypeAdapter.json_schemas(wanted, ref_template=_REF)
    schemas |= definitions.get("$defs", {})
    return {shape: schema for (shape, _), schema in found.items()}


def _complete(
    operation: dict[str, Any], route: Route, shapes: dict[Any, dict[str, Any]], schemas: dict[str, Any]
) -> None:
    if route.shape is not None:
        good = operation["responses"][str(route.status_code or 200)]
        good["content"] = {"application/json": {"schema": shapes[route.shape]}}
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
