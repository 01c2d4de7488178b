"""The console's files as they are served: headers, types, and that nothing leads elsewhere."""

import re
from pathlib import Path

import httpx
import pytest

from forge_inference.web.console import FILES

_LONGEST = 300  # lines
_NAMESPACE = "http://www.w3.org/2000/svg"  # a name that nobody fetches
NAMES = sorted(file.name for file in FILES.iterdir())


def _path(name: str) -> str:
    return "/console" if name == "index.html" else f"/console/{name}"


@pytest.mark.parametrize("name", NAMES)
async def test_every_file_is_served_as_what_it_is_under_a_strict_policy(api: httpx.AsyncClient, name: str) -> None:
    answer = await api.get(_path(name))
    assert answer.status_code == 200
    assert answer.content == (FILES / name).read_bytes()
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    assert answer.headers["content-type"].split(";")[0] == kinds[Path(name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy.pop("img-src") == "'self' data:"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert {kind: value for kind, value in policy.items() if value != "'none'"} == dict.fromkeys(
        ("script-src", "style-src", "connect-src"), "'self'"
    )
    assert {"default-src", "base-uri", "form-action", "frame-ancestors"} <= policy.keys()


@pytest.mark.parametrize(
    "path",
    ["nothing.js", "console.py", "%2e%2e", "..%2fconsole.py", "..%2f..%2fsettings.py",
     "%2fetc%2fpasswd", "index.html%00.js", ".%2e/app.py"],
)  # fmt: skip
async def test_a_path_that_names_no_file_of_it_reaches_none(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(httpx.URL(f"http://api/console/{path}"))
    assert answer.status_code == 404
    assert b"import" not in answer.content


async def test_the_page_may_only_be_looked_at(api: httpx.AsyncClient) -> None:
    assert (await api.post("/console")).status_code == 405


async def test_the_way_there_is_told(api: httpx.AsyncClient) -> None:
    assert "/console" in (await api.get("/")).json()["paths"]
    assert (await api.get("/console/")).headers["location"].endswith("/console")


@pytest.mark.parametrize("name", NAMES)
def test_no_file_leads_elsewhere_or_writes_markup(name: str) -> None:
    content = (FILES / name).read_text()
    assert re.findall(r"(?:\w+:)?//[\w.]+", content.replace(_NAMESPACE, "")) == []
    for risky in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert risky not in content
    assert "localStorage" not in content
    assert "sessionStorage" not in content
    assert len(content.splitlines()) <= _LONGEST


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = (FILES / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page) == []
    forms = re.findall(r"<form[^>]*>", page)
    assert len(forms) == 3
    assert all('autocomplete="off"' in form for form in forms)
