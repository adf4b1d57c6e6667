"""Errors of the routes that FastAPI serves, in OpenAI's shape."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from highwayman.env.errors import HighwaymanError
from highwayman.serving.http.errors import RouteNotFound, error_response, internal_error
from highwayman.serving.http.routes.unserved import not_served
from highwayman.serving.http.validation import BadRequest


def add_errors(rest: FastAPI) -> None:
    """Answer every error in OpenAI's shape; OPTIONS is told what a path takes."""

    @rest.exception_handler(HighwaymanError)
    async def on_domain_error(_: Request, error: HighwaymanError) -> Response:
        status, body, _code = error_response(error)
        retry = {"retry-after": "1"} if status == 503 else None
        return Response(body, status, headers=retry, media_type="application/json")

    @rest.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(status_code=204, headers=error.headers)
        message = not_served(request.method, request.url.path)
        status, body, _code = error_response(RouteNotFound(message, status=error.status_code))
        return Response(body, status, headers=error.headers, media_type="application/json")

    @rest.exception_handler(RequestValidationError)
    async def on_unreadable_request(_: Request, error: RequestValidationError) -> Response:
        problems = [
            f"{'.'.join(map(str, problem['loc'][1:])) or 'body'}: {problem['msg']}" for problem in error.errors()
        ]
        status, body, _code = error_response(BadRequest("; ".join(problems)))
        return Response(body, status, media_type="application/json")

    @rest.exception_handler(Exception)
    async def on_unexpected_error(_: Request, error: Exception) -> Response:
        return Response(internal_error(), 500, media_type="application/json")
