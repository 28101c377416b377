"""`/openapi.json`, printed from the route table and the Structs, so that it cannot say what is not served."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from api.route import JSON, Route
from api.schemas import MicrophoneFrame, MicrophoneStart, Problem
from opentalking import __version__

REASONS = {
    101: "A WebSocket from here on",
    200: "Success",
    400: "The request is wrong; `detail` names the field",
    403: "Not allowed",
    404: "There is no such thing",
    409: "Not in this state",
    413: "The body is too large",
    415: "Another media type than the one described",
    422: "The body has another shape; `detail` names the field",
    500: "The server is at fault",
    502: "A worker refused",
    503: "Nobody can take it now",
    504: "A worker did not answer",
    507: "No room for it",
}
_FRAMES = (MicrophoneStart, MicrophoneFrame)  # of a WebSocket; OpenAPI has no place for them but the components
_PARAMETER = re.compile(r"{(?P<name>\w+)(?::[^}]*)?}")


def public_path(path: str) -> str:
    """The path as OpenAPI writes it: `{path:.+}` -> `{path}`."""
    return _PARAMETER.sub(r"{\g<name>}", path)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a route table."""
    routes = list(routes)
    types = [kind for route in routes for kind in (route.body, route.answer) if kind is not None]
    types += [route.form.fields for route in routes if route.form is not None]
    unique = list(dict.fromkeys([*types, *_FRAMES, Problem]))
    schemas, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(public_path(route.path), {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenTalking",
            "version": __version__,
            "description": "Every path but the page's is also served under /api.",
        },
        "paths": paths,
        "components": {"schemas": dict(components)},
    }


def _operation(route: Route, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if route.answer is not None:
        content = {"schema": schema_of[route.answer]}
    responses: dict[str, Any] = {str(route.status): {"description": REASONS[route.status]}}
    if route.status == 200:
        responses["200"]["content"] = {route.answer_type: content}
    for status in route.errors:
        problem = {JSON: {"schema": schema_of[Problem]}}
        responses[str(status)] = {"description": REASONS[status], "content": problem}
    string = {"type": "string"}
    parameters = [
        {"name": match["name"], "in": "path", "required": True, "schema": string}
        for match in _PARAMETER.finditer(route.path)
    ]
    parameters += [
        {"name": query.name, "in": "query", "required": False, "description": query.description, "schema": string}
        for query in route.query
    ]
    operation: dict[str, Any] = {"summary": route.summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema_of[route.body]}}}
    if route.form is not None:
        names = [name for name in (route.form.file, route.form.instead) if name]
        files = [
            {"type": "object", "properties": {name: {"type": "string", "format": "binary"}}, "required": [name]}
            for name in names
        ]
        file = files[0] if len(files) == 1 else {"oneOf": files}
        whole = {"allOf": [file, schema_of[route.form.fields]]}
        operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": whole}}}
    return operation
