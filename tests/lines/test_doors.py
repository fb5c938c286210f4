"""The one mask: every secret through every exit and every fault, with real processes against hostile hosts."""

from __future__ import annotations

import base64
import html
import http.server
import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
import traceback
import urllib.request
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.cli import main
from queuetick.daemon.systemd import LONGEST_STATUS, notifier
from queuetick.exit_codes import ExitCode
from queuetick.lines.redaction import MASK, Redaction, environment_secrets, spelled
from support.processes import QUEUETICK, clean_environment, until

CLIENT_ID = "0c1b2a3d-aaaa-4bbb-8ccc-0123456789ab"
SECRET = 's3cr/et+"<>&=\\xyz'
TOKEN = "tok_en-0123456789/abcdefghij+xyz=="
PASSWORD = "p@ss/w#rd+ü"
QUEUE = "e8963ace-0000-4000-8000-000000000001"


def spellings(secret: str) -> set[str]:
    """What must not be found, as others spell it."""
    octets = secret.encode()
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret, safe="!'()*~"),
        re.sub("%..", lambda octet: octet[0].lower(), quote(secret, safe="")),
        quote(quote(secret, safe=""), safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        json.dumps(json.dumps(secret))[3:-3],
        html.escape(secret),
        repr(secret)[1:-1],
        base64.b64encode(octets).decode().rstrip("="),
        base64.urlsafe_b64encode(octets).decode().rstrip("="),
        quote(base64.b64encode(octets).decode(), safe=""),
    }


FORBIDDEN = {
    name: spellings(secret)
    for name, secret in {
        "client id": CLIENT_ID,
        "client secret": SECRET,
        "Basic": f"{CLIENT_ID}:{SECRET}",
        "token": TOKEN,
        "proxy password": PASSWORD,
        "proxy login": f"proxyuser:{PASSWORD}",
    }.items()
}


def leaks(text: str) -> list[tuple[str, str]]:
    return [(name, form) for name, forms in FORBIDDEN.items() for form in forms if form in text]


# The mask itself


@pytest.mark.parametrize("form", sorted(spellings(SECRET)))
@pytest.mark.parametrize("around", ["{}", "before {} after", "x={}&y=1", '{{"a":"{}"}}'])
def test_each_spelling_is_masked(form, around):
    shown = Redaction([SECRET]).mask(around.format(form))
    assert MASK in shown
    assert form not in shown


@given(st.text(min_size=4, max_size=30), st.sampled_from(range(16)), st.text(max_size=5), st.text(max_size=5))
def test_no_spelling_of_any_secret_passes(secret, at, before, after):
    try:
        forms = sorted(spellings(secret))
    except UnicodeEncodeError:
        return  # a lone surrogate cannot be a secret: it cannot be sent
    form = forms[at % len(forms)]
    shown = Redaction([secret]).mask(f"{before}{form}{after}")
    # Two characters that the encoding of the neighbours decides may stay of base64, fewer than a secret has.
    assert form not in shown or len(form) < 4


@given(st.text("abc %+&", max_size=50))
def test_text_without_a_secret_stays_as_it_is(text):
    assert Redaction([SECRET, CLIENT_ID, TOKEN]).mask(text) == text


@pytest.mark.parametrize("run", ["\\", '"', " ", "\n", " \n", "\\n", "\\ ", " \\n ", "a ", "a\n"])
def test_a_long_run_of_one_thing_takes_no_quadratic_time(run):
    redaction = Redaction(['a\\"b"c\\d', "aaaa"])
    redaction.mask(run * 200_000 + '"' * 200_000)


def test_secrets_that_two_threads_add_at_once_are_both_masked(monkeypatch):
    """A token is renewed while a reload adds its secrets: the pattern that is made last must have both."""
    redaction = Redaction()
    renewal = threading.Thread(target=redaction.add, args=([TOKEN],), kwargs={"passing": True})

    def slowly(secret: str) -> str:
        if renewal.ident is None:
            renewal.start()
            renewal.join(0.1)  # ends at once where nothing holds it
        return spelled(secret)

    monkeypatch.setattr("queuetick.lines.redaction.spelled", slowly)
    redaction.add([SECRET])
    renewal.join(10)
    assert f"{MASK} {MASK}" == redaction.mask(f"{SECRET} {TOKEN}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", f"http://proxyuser:{quote(PASSWORD, safe='')}@proxy.example:3128"),
        ("https_proxy", f"http://proxyuser:{PASSWORD}@proxy.example:3128"),
        ("ALL_PROXY", f"proxyuser:{PASSWORD}@proxy.example"),
        ("HTTP_PROXY", f"http://proxyuser:{PASSWORD}@[::1"),
        ("GENESYS_CLIENT_SECRET", PASSWORD),
        ("GENESYS_CLIENT_ID", PASSWORD),
    ],
)
def test_what_the_environment_holds_is_known_before_the_configuration_is_read(name, value):
    redaction = Redaction(environment_secrets({name: value}))
    assert redaction.mask(f"it is {PASSWORD}, {quote(PASSWORD, safe='')}") == f"it is {MASK}, {MASK}"


# The exits


def test_status_is_one_masked_line_that_is_cut_last(tmp_path):
    """A line of its own in a reason would be a state of its own: MAINPID=1, STOPPING=1."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        notify = notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}, Redaction([SECRET]).mask)
        notify("READY=1\nSTATUS=" + "x" * (LONGEST_STATUS - 5) + f"{SECRET}\nMAINPID=1 \udcff")
        head, status = systemd.recv(65536).decode().split("\n")
    assert (head, len(status)) == ("READY=1", len("STATUS=") + LONGEST_STATUS)
    assert SECRET[:3] not in status and "***" in status


@pytest.mark.parametrize("command", main.COMMANDS)
def test_each_command_masks_what_it_writes_tracebacks_included(command, monkeypatch, capsys):
    """At one place: a command cannot forget it. The credentials on stdout of `simulate` are there to be used."""

    def run(_):
        sys.stdout.write(f"{SECRET}\n")
        raise ValueError(f"the proxy said {SECRET}")

    monkeypatch.setattr(main.COMMANDS[command], "run", run)
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", SECRET)
    try:
        main.main([command])
    except ValueError:
        traceback.print_exc()
    out, err = capsys.readouterr()
    assert "ValueError: the proxy said ***" in err
    assert not leaks(err)
    assert bool(leaks(out)) == (command == "simulate")


PLAIN = SECRET.replace("\\", "")
"""A backslash of the secret before a spelled line break cannot be told from one of the break."""


@given(
    st.sampled_from(
        [PLAIN, TOKEN, CLIENT_ID, quote(PLAIN, safe=""), base64.b64encode(PLAIN.encode()).decode()]
    ),
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.sampled_from(["\n", "\r\n", "\n    ", "\\n", "\\r\\n", "\n\n"]),
    st.text("ab \n", max_size=8),
)
def test_a_secret_that_is_broken_over_lines_is_masked(spelling, places, line_break, around):
    broken = spelling
    for place in sorted({place % (len(spelling) - 2) + 1 for place in places}, reverse=True):
        broken = broken[:place] + line_break + broken[place:]
    shown = Redaction([PLAIN, TOKEN, CLIENT_ID]).mask(f"x{around}<{broken}>{around}y")
    kept = broken[-3:] if spelling.endswith("=") else ">"  # the end of base64 is not the secret's alone
    assert shown.startswith(f"x{around}<***"), shown
    assert shown.endswith(f"{kept}{around}y" if kept == ">" else f">{around}y")
    assert len(shown) <= len(f"x{around}<***>{around}y") + 4 + 4 * len(line_break)


def test_lines_without_a_secret_stay_as_they_are():
    text = "one\n  two\\nthree\r\n" * 1000
    assert Redaction([SECRET]).mask(text) == text


def test_a_usage_error_is_masked(monkeypatch, capsys):
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", SECRET)
    assert main.main(["run", SECRET]) == ExitCode.USAGE
    assert not leaks(capsys.readouterr().err)


def echo(headers, body: bytes) -> str:
    """All that the request brought along, in several spellings."""
    authorization = headers.get("Authorization", "") + " " + headers.get("Proxy-Authorization", "")
    said = [authorization, body.decode(errors="replace"), SECRET, CLIENT_ID, quote(SECRET, safe="")]
    for word in authorization.split():
        try:
            said.append(base64.b64decode(word).decode())
        except ValueError:
            continue
    return " ".join(said)


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers one kind of request with an error that repeats what it was sent; all else as the API does."""

    protocol_version = "HTTP/1.1"
    fault = ""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        kind = {"/oauth/token": "login", "/api/v2/routing/queues": "listing"}.get(path, "query")
        where, _, how = self.fault.partition(" ")
        said = echo(self.headers, body)
        if where != kind:
            return self._send(200, self._good(kind, body, said if where == "names" else "Support"))
        padding = "x" * 280  # a cut at 300 characters falls into the secret
        errors = {
            "oauth": (
                400,
                {"error": "invalid_client", "description": padding + said, "error_description": said},
            ),
            "401": (401, {"message": said, "code": "bad.credentials", "status": 401, "contextId": said[:60]}),
            "403": (403, {"message": padding + said, "code": "missing.permission", "status": 403}),
            "400": (400, {"message": padding + said, "code": "bad.request", "status": 400}),
            "tokenless": (200, {"message": said}),
            "500": (500, {"message": said * 50, "code": said, "status": 500, "contextId": SECRET}),
        }
        if how in errors:
            status, document = errors[how]
            return self._send(status, json.dumps(document).encode())
        return self._send(403 if how == "page" else 200, f"<html>{html.escape(said)}{said}</html>".encode())

    def _good(self, kind: str, body: bytes, name: str) -> bytes:
        if kind == "login":
            return json.dumps({"access_token": TOKEN, "expires_in": 86400, "token_type": "bearer"}).encode()
        queue = {"id": QUEUE, "name": name, "division": {"id": "d", "name": name}, "mediaSettings": {}}
        if kind == "listing":
            page = {"entities": [queue], "pageSize": 500, "pageNumber": 1, "total": 1, "pageCount": 1}
            return json.dumps(page).encode()
        data = [{"metric": "oWaiting", "stats": {"count": 3}}]
        return json.dumps(
            {"results": [{"group": {"queueId": QUEUE, "mediaType": name}, "data": data}]}
        ).encode()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ININ-Correlation-Id", quote(SECRET, safe=""))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None: ...


class HostileProxy(socketserver.StreamRequestHandler):
    """Refuses every CONNECT, and repeats the login in the reason and in the body."""

    def handle(self) -> None:
        headers = {}
        self.rfile.readline()
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name] = value
        said = echo({"Proxy-Authorization": headers.get("Proxy-Authorization", "")}, b"") + " " + PASSWORD
        body = said.encode()
        reason = said.encode("latin-1", "replace").decode("latin-1")
        head = f"HTTP/1.1 407 {reason}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode("latin-1") + body)


@pytest.fixture
def serve():
    servers = []

    def start(handler, server_class=http.server.ThreadingHTTPServer):
        server = server_class(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def home(tmp_path):
    (tmp_path / "config.toml").write_text(
        '[poll]\ninterval = 0.5\n[genesys]\ntimeout = 2\n[log]\nlevel = "debug"\n'
    )
    return tmp_path


def environment_for(home, **more):
    return {
        **clean_environment(home),
        "GENESYS_CLIENT_ID": CLIENT_ID,
        "GENESYS_CLIENT_SECRET": SECRET,
        "LANG": "C.UTF-8",
        **more,
    }


class Systemd(threading.Thread):
    """A notify socket; keeps the states."""

    def __init__(self, path) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.states: list[str] = []
        self.start()

    def run(self) -> None:
        while (state := self.socket.recv(65536)) != b"end":
            self.states.append(state.decode())


COMMANDS = ("once", "queues", "queues --json", "check", "check --json", "check --report")
FAULTS = {
    "login": ("oauth", "401", "page", "500", "tokenless"),
    "listing": ("403", "page", "200"),
    "query": ("403", "400", "page", "500", "200"),
    "names": ("",),
}


def found_by_every_command(environment, home):
    """What each command, and `run`, leaked."""
    found = {}
    for command in COMMANDS:
        done = subprocess.run(
            [*QUEUETICK, *command.split()], env=environment, cwd=home, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        text = (done.stdout + done.stderr).decode()
        assert done.returncode != 78 and "Traceback" not in text, text
        found[command] = leaks(text)
    found["run"] = leaks(poll_until_it_says_something(environment, home))
    return {command: leak for command, leak in found.items() if leak}


def poll_until_it_says_something(environment, home, pages=None):
    """`run`, with systemd and a scraper beside it, until it ended or wrote STATUS twice; all that came out."""
    (home / "notify").unlink(missing_ok=True)
    systemd = Systemd(home / "notify")
    with (home / "out").open("wb") as out, (home / "err").open("wb") as err:
        process = subprocess.Popen(
            [*QUEUETICK, "run"],
            env={**environment, "NOTIFY_SOCKET": str(home / "notify")},
            cwd=home,
            stdout=out,
            stderr=err,
        )
        try:
            until(
                lambda: (
                    process.poll() is not None or sum("STATUS=" in state for state in systemd.states) >= 2
                ),
                40,
            )
            page = ""
            if pages and process.poll() is None:
                page = pages()
        finally:
            process.terminate()
            process.wait(20)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.sendto(b"end", str(home / "notify"))
    systemd.join(5.0)
    systemd.socket.close()
    return (home / "out").read_text() + (home / "err").read_text() + "\n".join(systemd.states) + page


@pytest.mark.parametrize("fault", [f"{where} {how}" for where, hows in FAULTS.items() for how in hows])
def test_no_exit_shows_a_secret_that_a_hostile_host_repeats(serve, home, fault):
    port = serve(type("One", (Hostile,), {"fault": fault}))
    environment = environment_for(home, GENESYS_API_URL=f"http://127.0.0.1:{port}")
    assert found_by_every_command(environment, home) == {}


def test_no_exit_shows_the_password_that_a_proxy_repeats(serve, home):
    port = serve(HostileProxy, socketserver.ThreadingTCPServer)
    login = f"proxyuser:{quote(PASSWORD, safe='')}"
    environment = environment_for(home, HTTPS_PROXY=f"http://{login}@127.0.0.1:{port}")
    assert found_by_every_command(environment, home) == {}


def test_no_label_of_a_metric_shows_a_secret(serve, home):
    port = serve(type("One", (Hostile,), {"fault": "names"}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        metrics = free.getsockname()[1]
    with (home / "config.toml").open("a") as config:
        config.write(f'[metrics]\nlisten = "127.0.0.1:{metrics}"\n')

    def pages():
        texts = []
        for path in ("metrics", "healthz"):
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/{path}") as answer:
                texts.append(answer.read().decode())
        assert "genesys_queue_waiting" in texts[0]
        return "".join(texts)

    environment = environment_for(home, GENESYS_API_URL=f"http://127.0.0.1:{port}")
    assert leaks(poll_until_it_says_something(environment, home, pages)) == []
