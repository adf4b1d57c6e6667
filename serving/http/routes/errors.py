"""Errors of the routes that FastAPI serves, in OpenAI's shape."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from highwayman.env.errors import HighwaymanError
from highwayman.serving.http.errors import OnError, RouteNotFound, error_response, internal_error, retry_headers
from highwayman.serving.http.routes.unserved import not_served
from highwayman.serving.http.validation import BadRequest


def add_errors(rest: FastAPI, on_error: OnError) -> None:
    """Answer every error in OpenAI's shape; OPTIONS is told what a path takes."""

    def told(error: HighwaymanError, headers: Mapping[str, str] | None = None) -> Response:
        status, body, code = error_response(error)
        on_error(code)
        return Response(body, status, headers=headers, media_type="application/json")

    @rest.exception_handler(HighwaymanError)
    async def on_domain_error(_: Request, error: HighwaymanError) -> Response:
        return told(error, {name.decode(): value.decode() for name, value in retry_headers(error)})

    @rest.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(status_code=204, headers=error.headers)
        message = not_served(request.method, request.url.path)
        return told(RouteNotFound(message, status=error.status_code), error.headers)

    @rest.exception_handler(RequestValidationError)
    async def on_unreadable_request(_: Request, error: RequestValidationError) -> Response:
        problems = [
            f"{'.'.join(map(str, problem['loc'][1:])) or 'body'}: {problem['msg']}" for problem in error.errors()
        ]
        return told(BadRequest("; ".join(problems)))

    @rest.exception_handler(Exception)
    async def on_unexpected_error(_: Request, error: Exception) -> Response:
        on_error("internal_error")
        return Response(internal_error(), 500, media_type="application/json")
