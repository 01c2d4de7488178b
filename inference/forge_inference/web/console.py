"""GET /console: a page for people who would rather look. It loads nothing from elsewhere, and keeps nothing."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

FILES = Path(__file__).parent / "console"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# What a manuscript or a model says is shown as text by the page's scripts; this keeps it text should one of them fail:
# no script, style or request but our own, and no string becomes markup (trusted types).
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",  # another version of the server has other files by the same names
}


def router() -> APIRouter:
    """The page and its files, read once: a path that names none of them reaches no file."""
    routes = APIRouter(prefix="/console")
    files = {file.name: (file.read_bytes(), _TYPES[file.suffix]) for file in FILES.iterdir()}

    def answer(name: str) -> Response:
        content, media_type = files[name]
        return Response(content, headers=HEADERS, media_type=media_type)

    @routes.get("", response_class=Response)
    async def console() -> Response:
        """A page to ask about genes, to analyse papers, and to compare the adapter with its base model."""
        return answer("index.html")

    @routes.get("/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return answer(name)

    return routes
