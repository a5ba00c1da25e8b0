"""The server: where it listens, who may ask, and what it survives."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import webbrowser
from pathlib import Path
from queue import Queue
from types import SimpleNamespace

import pytest
from conftest import Command
from web_page import DRAWING, Page, drawn, serving

from digits.config.commands import DrawConfig
from digits.files import ROOT
from digits.web import app, server
from digits.web.app import MAX_PICTURE, SIDE
from digits.web.server import draw, show

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what a user may ask for

READ, SAVE = "/read", "/save?label=7&digit=0"


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "src" / "draw.py"),
            "open=false",
            f"own_digits={folder / 'own_digits'}",
            *arguments,
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_serves_until_ctrl_c(tmp_path: Path) -> None:
    process = started(tmp_path, "port=0", "run=shipped")
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.fullmatch(r"draw at http://127\.0\.0\.1:(\d+) \(Ctrl-C ends\); \S*shipped\.onnx reads it\n", said)
    assert found is not None, said
    page = Page(int(found[1]), tmp_path / "own_digits")
    assert json.loads(page.ask(READ, drawn("7"), DRAWING).content)["answer"] == "7"
    with socket.create_connection(("127.0.0.1", int(found[1]))) as slow:  # whose body never comes
        slow.sendall(b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
        slow.sendall(b"Content-Length: 9\r\n\r\n")
        page.ask(READ, drawn("7"), DRAWING)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_one_line(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = command("draw", f"port={port}", "open=false", code=2)
    assert outcome.err == f"error: port={port}: is taken; give another, or port=0 for a free one\n"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "127.0.0.1:80:80", "192.168.0.1", "local host"],
)
@pytest.mark.parametrize("path", ["/", READ, SAVE])
def test_other_names_are_refused(web: Page, host: str, path: str) -> None:
    assert web.ask(path, None if path == "/" else drawn("7"), {**DRAWING, "Host": host}).status == 400
    assert web.saved() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "localhost:9000"])  # the last one by a tunnel
def test_its_own_names_are_good(web: Page, host: str) -> None:
    assert web.ask("/", headers={"Host": host}).status == 200


def test_another_site_may_not_use_it(web: Page) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = web.ask(SAVE, headers={**asked, "Access-Control-Request-Headers": "content-type"}, method="OPTIONS")
    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):  # which need none
        assert web.ask(SAVE, drawn("7"), {"Content-Type": kind, "Origin": "http://evil.example"}).status == 415
    assert web.saved() == []


def test_a_page_for_the_network_takes_any_name(tmp_path: Path) -> None:
    with serving(tmp_path, EVERYWHERE) as page:
        assert page.ask("/", headers={"Host": f"{socket.gethostname()}:8000"}).status == 200


def test_a_body_too_large_is_refused_before_it_comes(web: Page) -> None:
    for kind, most in (("application/octet-stream", SIDE * SIDE), ("image/png", MAX_PICTURE)):
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
        connection.putrequest("POST", READ)
        connection.putheader("Content-Type", kind)
        connection.putheader("Content-Length", str(most + 1))
        connection.endheaders()  # and nothing more
        answer = connection.getresponse()
        assert (answer.status, answer.read().decode()) == (413, f"at most {most} bytes are taken")
        connection.close()


def test_a_body_of_unknown_size_is_refused_when_it_is_too_large(web: Page) -> None:
    assert web.ask(READ, iter(2 * [b"x" * 0x8000]), DRAWING).status == 413  # sent in chunks


def test_a_body_that_never_comes_is_not_waited_for(web: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PATIENCE", 0.2)
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    connection.request("POST", READ, b"x", {**DRAWING, "Content-Length": "38416"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (408, b"the request did not arrive within 0.2 seconds")
    connection.close()


def test_it_says_where_to_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda *_: None)
    monkeypatch.setattr(server, "show", lambda _: False)
    draw(DrawConfig("shipped", EVERYWHERE, 0, True, str(tmp_path), str(tmp_path)))
    said = capsys.readouterr().out
    assert re.match(
        r"draw at http://[^:]+:\d+ \(Ctrl-C ends\); .*\nwhoever can reach this machine can draw there too", said
    )
    assert said.endswith("open that address in a browser\n")


def test_the_browser_is_opened_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Queue[str] = Queue()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "get", lambda: SimpleNamespace(open=opened.put))
    assert show("http://here")
    assert opened.get(timeout=10) == "http://here"
    monkeypatch.setattr(sys, "platform", "linux")
    for screen in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(screen, raising=False)
    assert not show("http://here")
