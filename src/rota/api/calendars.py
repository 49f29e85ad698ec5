"""/calendars."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from rota.api.answers import answer
from rota.api.bodies import Body, Given, Line, Reads, Word
from rota.api.routing import By, Route
from rota.domain.calendars import Effect
from rota.domain.errors import FieldError
from rota.usecases import calendars, shapes
from rota.usecases.calendars import CalendarDraft

router = APIRouter(route_class=Route, tags=["calendars"])


class CalendarBody(Body):
    """`rules`: windows such as "mon-fri 08:00-18:00". `applies_to`: "all", "tag:k=v" or "group:g", perhaps ":defer"."""

    name: Word | None = None
    description: Line | None = None
    effect: Effect | None = None
    timezone: Word | None = None
    rules: Annotated[list[Line], Field(max_length=5000)] | None = None
    applies_to: Annotated[list[Word], Field(max_length=500)] | None = None


class ImportBody(Body):
    """`ics`: the text of an iCalendar file, whose events become the calendar's rules."""

    name: Word | None = None
    ics: str | None = None
    description: Line | None = None
    effect: Effect | None = None
    timezone: Word | None = None
    applies_to: Annotated[list[Word], Field(max_length=500)] | None = None


Calendar = Annotated[Given[CalendarBody], Depends(Reads(CalendarBody))]
Import = Annotated[Given[ImportBody], Depends(Reads(ImportBody))]


@router.get("/calendars", response_model=shapes.Calendars)
async def list_calendars(by: By) -> Response:
    return answer(await calendars.list_all(by.ctx, by.principal))


@router.post("/calendars", status_code=201, response_model=shapes.Calendar)
async def add_calendar(by: By, given: Calendar, dry_run: bool = False) -> Response:
    name = given.body.name or ""
    made = await calendars.add(by.ctx, by.principal, name, _draft(given), dry_run=dry_run)
    return answer(made, status=200 if dry_run else 201)


@router.post("/calendars:import", status_code=201, response_model=shapes.Calendar)
async def import_calendar(by: By, given: Import) -> Response:
    given.require(name="a name for the calendar", ics="the text of an iCalendar file")
    body = given.body
    draft = CalendarDraft(**body.model_dump(include={"description", "effect", "timezone", "applies_to"}))
    made = await calendars.import_ics(by.ctx, by.principal, body.name or "", body.ics or "", draft)
    return answer(made, status=201)


@router.get("/calendars/{ref}", response_model=shapes.Calendar)
async def show_calendar(by: By, ref: str) -> Response:
    return answer(await calendars.show(by.ctx, by.principal, ref))


@router.patch("/calendars/{ref}", response_model=shapes.Calendar)
async def update_calendar(by: By, ref: str, given: Calendar, dry_run: bool = False) -> Response:
    draft = _draft(given)
    if given.body.name is not None:
        fault = FieldError(field="name", message="a calendar keeps its name", expected="no such field")
        draft = replace(draft, faults=(*draft.faults, fault))
    return answer(await calendars.change(by.ctx, by.principal, ref, draft, dry_run=dry_run))


@router.delete("/calendars/{ref}", response_model=shapes.Removed)
async def remove_calendar(by: By, ref: str) -> Response:
    return answer(await calendars.remove(by.ctx, by.principal, ref))


def _draft(given: Given[CalendarBody]) -> CalendarDraft:
    return CalendarDraft(**given.body.model_dump(exclude={"name"}), faults=given.faults)
