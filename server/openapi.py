"""The OpenAPI 3.1 document, made from the declarations of the operations and the types that validate and render.

Nothing is written twice: what a request may hold is said by the model that reads it, what an answer holds by the shape
that its renderer returns, who may ask by the access that the guard enforces.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NotRequired

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from typing_extensions import TypedDict

from server.auth.identity import BOX_OFFICE, MANAGER, USHER
from server.errors import PROBLEM_TYPE
from server.idempotency import HEADER, KEY_LENGTH_MAX
from server.life import VERSION
from server.operations import Operation
from server.problems import PROBLEMS
from server.shapes import SeatLabel

Json = dict[str, Any]
Key = tuple[int, str]

API: Final = "/api/v1/"
WITH_SCOPE: Final = frozenset((USHER, BOX_OFFICE, MANAGER))
"""Roles that work for some theatres only."""

_REF: Final = "#/components/schemas/"
_name_of_path: Final = re.compile(r"\{(\w+)[^}]*\}")
_list_of: Final = re.compile(r"Listed\[(?:.*\.)?(\w+)\]").sub

_ABOUT: Final = """\
One actor per showtime owns its seat map; every answer about seats is on disk before you read it.

**Money** is `{amount, currency}` in minor units. **Times** are RFC 3339, UTC; `…_local` has the theatre's offset.
**Lists** are `{items, next_cursor}`: ask again with `cursor` until it is null. **Unknown fields** in a body are
refused; in answers there may be new ones any day, so ignore what you do not know.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; [all of them](/docs#problems) are listed.
**Retries**: send an `Idempotency-Key` with whatever changes something, and repeat the request with the same key until
there is an answer that is neither 429 nor 5xx. **Seat changes as they happen** come over WebSocket, described by
[asyncapi.json](/api/v1/asyncapi.json).
"""


class FieldError(TypedDict):
    """A field that is wrong."""

    path: str
    message: str
    code: NotRequired[str]


class SeatConflict(TypedDict):
    """A seat that is in the way, and why.

    `held`, `sold`, `blocked`; `channel`: allotted to a sales route; `accessible_only`: kept for those who need it;
    `orphan`: it would be left alone; `vanishes`: not in the other layout; `unknown`, `twice`, `not_in_hold`,
    `not_in_booking`: asked for wrongly.
    """

    seat: SeatLabel
    reason: str


class ProblemBody(TypedDict):
    """What went wrong (RFC 9457). `code` is for programs, `detail` for people. Some codes bring further members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: NotRequired[list[FieldError]]
    conflicts: NotRequired[list[SeatConflict]]


def document(operations: Sequence[Operation]) -> Json:
    """The whole document. KeyError for a problem code that the table of problems does not have."""
    shown = [operation for operation in operations if operation.path.startswith(API)]
    schemas, components = _schemas(shown)
    paths: dict[str, Json] = {}
    for operation in shown:
        path = _name_of_path.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas, components)
    for operation in shown:
        if operation.query is not None:
            components.pop(_name_in(schemas[id(operation.query), "validation"]), None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Marquee",
            "version": VERSION,
            "summary": "Real-time seats for cinemas.",
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "tags": list(_tags(shown)),
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


class Schemas(GenerateJsonSchema):
    """pydantic's generator, with plainer names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(_list_of(r"\1List", name))


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Key, Json], dict[str, Json]]:
    """The schema of each type by its identity and direction, and the named schemas that they refer to."""
    wanted: dict[Key, tuple[Key, JsonSchemaMode, TypeAdapter[Any]]] = {}

    def want(shape: Any, mode: JsonSchemaMode) -> None:
        key = (id(shape), mode)
        if shape is not None and key not in wanted:
            wanted[key] = (key, mode, TypeAdapter(shape))

    want(ProblemBody, "serialization")
    for operation in operations:
        want(operation.asks, "validation")
        want(operation.query, "validation")
        for shape in operation.answers.values():
            want(shape, "serialization")
    found, rest = TypeAdapter.json_schemas(
        wanted.values(),
        ref_template=f"{_REF}{{model}}",
        schema_generator=Schemas,
    )
    return {key: schema for (key, _), schema in found.items()}, rest["$defs"]


def _operation(operation: Operation, schemas: Mapping[Key, Json], components: Mapping[str, Json]) -> Json:
    told: Json = {
        "operationId": _id(operation),
        "summary": operation.summary,
        "tags": [_tag(operation)],
        "parameters": list(_parameters(operation, schemas, components)),
        "responses": dict(_responses(operation, schemas)),
        "security": _security(operation),
    }
    if about := inspect.getdoc(operation.handler):
        told["description"] = about
    if operation.access:
        told["x-roles"] = sorted(operation.access)
    if operation.asks is not None:
        schema = schemas[id(operation.asks), "validation"]
        told["requestBody"] = {
            "required": operation.body_required,
            "content": {operation.body_type: {"schema": schema}},
        }
    if operation.alias_of is not None:
        told["deprecated"] = True
        told["x-alias-of"] = operation.alias_of
    return told


def _parameters(operation: Operation, schemas: Mapping[Key, Json], components: Mapping[str, Json]) -> Iterator[Json]:
    for name in _name_of_path.findall(operation.path):
        leads_on = 308 in operation.answers  # and says nothing about what it is given
        kind = {"type": "string", "format": "uuid"} if name.endswith("id") and not leads_on else {"type": "string"}
        yield {"name": name, "in": "path", "required": True, "schema": kind}
    if operation.query is not None:
        schema = components[_name_in(schemas[id(operation.query), "validation"])]
        for name, value in schema.get("properties", {}).items():
            about = {"description": value["description"]} if "description" in value else {}
            required = name in schema.get("required", ())
            yield {
                "name": name,
                "in": "query",
                "required": required,
                "allowEmptyValue": True,  # and means that it is absent
                "schema": _without_null(value),
                **about,
            }
    if 304 in operation.answers:
        yield {"$ref": "#/components/parameters/IfNoneMatch"}
    if "precondition_failed" in operation.problems:
        yield {"$ref": "#/components/parameters/IfMatch"}
    if operation.key_required:
        yield {"$ref": "#/components/parameters/IdempotencyKeyRequired"}
    elif operation.takes_key:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}


def _responses(operation: Operation, schemas: Mapping[Key, Json]) -> Iterator[tuple[str, Json]]:
    for status, shape in operation.answers.items():
        told: Json = {"description": HTTPStatus(status).phrase, "headers": dict(_answer_headers(operation, status))}
        if shape is not None:
            kind = operation.text_type if shape is str else "application/json"
            told["content"] = {kind: {"schema": schemas[id(shape), "serialization"]}}
        yield str(status), told
    by_status: dict[int, list[str]] = {}
    for code in codes(operation):
        by_status.setdefault(PROBLEMS[code][0], []).append(code)
    problem = schemas[id(ProblemBody), "serialization"]
    for status, named in sorted(by_status.items()):
        yield (
            str(status),
            {
                "description": "\n".join(f"* `{code}`: {PROBLEMS[code][1]}" for code in named),
                "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _problem_headers(status)},
                "content": {PROBLEM_TYPE: {"schema": {**problem, "properties": {"code": {"enum": named}}}}},
            },
        )


def codes(operation: Operation) -> list[str]:
    """All problems that the operation can have, each once."""
    return list(dict.fromkeys((*operation.problems, *_usual_codes(operation))))


def _usual_codes(operation: Operation) -> Iterator[str]:
    if operation.access is not None:
        yield from ("auth_required", "token_expired", "token_revoked")
        if operation.access:
            yield "forbidden"
        if operation.access & WITH_SCOPE and "/admin/" in operation.path:
            yield "out_of_scope"
    for name in _name_of_path.findall(operation.path):
        thing = name.removesuffix("_id")
        if f"{thing}_not_found" in PROBLEMS:
            yield f"{thing}_not_found"
    if operation.asks is not None:
        yield from ("malformed_json", "unsupported_media_type", "validation_failed")
    if operation.query is not None:
        yield "validation_failed"
    if operation.key_required:
        yield "idempotency_key_required"
    if operation.takes_key:
        yield from ("idempotency_key_invalid", "idempotency_mismatch", "idempotency_in_progress")
    yield "malformed_request"
    if operation.method != "GET":
        yield from ("request_timeout", "body_too_large")
    yield from ("rate_limited", "busy", "draining")


def _answer_headers(operation: Operation, status: int) -> Iterator[tuple[str, Json]]:
    yield "X-Request-Id", {"$ref": "#/components/headers/X-Request-Id"}
    if 304 in operation.answers and status in (200, 304):
        yield "ETag", {"$ref": "#/components/headers/ETag"}
    if 300 < status < 304 or (status > 304 and status < 400):
        yield "Location", {"$ref": "#/components/headers/Location"}
    for name, about in operation.headers.items():
        yield "".join(name), {"description": about, "schema": {"type": "string"}}


def _security(operation: Operation) -> list[Json]:
    if operation.access is not None:
        return [{"token": []}]
    return [{}, {"token": []}] if "token_expired" in operation.problems else []


def _tags(operations: Iterable[Operation]) -> Iterator[Json]:
    modules = {_tag(operation): operation.handler.__module__ for operation in operations}
    for name, module in sorted(modules.items(), key=lambda named: named[0] == "aliases"):
        about = (sys.modules[module].__doc__ or "").partition("\n")[0]
        yield {"name": name, "description": about}


def _tag(operation: Operation) -> str:
    """The part of the house that answers."""
    module = operation.handler.__module__.rpartition(".")[2]
    return module.replace("_", " ")


def _id(operation: Operation) -> str:
    name = f"{operation.handler.__module__.rpartition('.')[2]}_{operation.handler.__name__}"
    if operation.alias_of is None:
        return name
    return f"{name}_{operation.method.lower()}_{re.sub(r'[^a-z]+', '_', operation.path.removeprefix(API)).strip('_')}"


def _without_null(schema: Json) -> Json:
    """A query parameter is absent, never null."""
    plain = {name: value for name, value in schema.items() if name not in ("anyOf", "default", "description")}
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        plain = {**plain, **options[0]}
    elif options:
        plain["anyOf"] = options
    if schema.get("default") is not None:
        plain["default"] = schema["default"]
    return plain


def _name_in(schema: Json) -> str:
    return str(schema["$ref"]).removeprefix(_REF)


def _problem_headers(status: int) -> tuple[str, ...]:
    return ("X-Request-Id", *{401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}.get(status, ()))


_KEY_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX, "pattern": "^[ -~]+$"}
_PARAMETERS: Final[Mapping[str, Json]] = {
    "IdempotencyKey": {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "The same key with the same request gets the same answer, for 24 hours.",
        "schema": _KEY_SCHEMA,
    },
    "IdempotencyKeyRequired": {
        "name": HEADER,
        "in": "header",
        "required": True,
        "description": "The same key with the same request gets the same answer, for 24 hours.",
        "schema": _KEY_SCHEMA,
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The ETag of what you have read: 412 when somebody has changed it since.",
        "schema": {"type": "string"},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The ETag of what you have: 304 when it is still so.",
        "schema": {"type": "string"},
    },
}
_HEADERS: Final[Mapping[str, Json]] = {
    "X-Request-Id": {"description": "Yours, or one that was made.", "schema": {"type": "string"}},
    "ETag": {"description": "Names this state of the thing.", "schema": {"type": "string"}},
    "Location": {"description": "Where it is now.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
}
