"""Logging in at a provider's page: an authorization server that does its part or lies, and mail servers that take its tokens."""
import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pty
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

import client as lib
from server import barid_program

TOKENS = re.compile(rb"auth=Bearer ([!-~]+)\x01")
FAST = {"interval": 1}


class Issuer:
    """https://localhost:PORT. `hooks` has, by path, what is said instead: (status, body, headers), a list of such (one for each time), or a function
    of the form; None is the usual. Tokens are at-N and rt-N; a refresh token is good once unless `rotate` is off."""

    def __init__(self, cert, hooks=None, tls=True, **metadata):
        self.hooks, self.metadata, self.rotate, self.expires_in = dict(hooks or {}), metadata, True, 3600
        self.number, self.valid, self.refresh_tokens = 0, set(), set()
        self.asked, self.codes, self.long = [], {}, 0
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self, {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.answer(self, json.loads(body) if body.startswith("{") else dict(urllib.parse.parse_qsl(body, strict_parsing=True)))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'s' if tls else ''}://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request, form):
        path = request.path.split("?")[0]
        with self.lock:
            self.asked.append((path, form, request.headers.get("Authorization")))
            hook = self.hooks.get(path)
            if isinstance(hook, list):
                hook = hook.pop(0) if hook else None
        if callable(hook):
            hook = hook(form)
        if hook is None:
            with self.lock:
                hook = self.usual(path, form)
        status, body, headers = (*hook, {})[:3]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.suppress(OSError):
            request.send_response(status)
            request.send_header("Content-Length", str(headers.pop("Content-Length", len(data))))
            for key, value in headers.items():
                request.send_header(key, value)
            request.end_headers()
            request.wfile.write(data)

    def usual(self, path, form):
        if path == "/.well-known/oauth-authorization-server":
            every = {"issuer": self.url, "authorization_endpoint": self.url + "/authorize", "token_endpoint": self.url + "/token",
                     "device_authorization_endpoint": self.url + "/device", "registration_endpoint": self.url + "/register",
                     "scopes_supported": ["openid", "urn:x:imap", "urn:x:smtp", "offline_access"],
                     "code_challenge_methods_supported": ["S256"], **self.metadata}
            return 200, {k: v for k, v in every.items() if v is not None}
        if path == "/register":
            return 201, {"client_id": "dyn-1", "token_endpoint_auth_method": "none"}
        if path == "/device":
            return 200, {"device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": self.url + "/go", "expires_in": 60, **FAST}
        if path == "/token":
            return self.token(form)
        return 404, b"no"

    def token(self, form):
        grant = form["grant_type"]
        if grant == "refresh_token" and form["refresh_token"] not in self.refresh_tokens:
            return 400, {"error": "invalid_grant"}
        if grant == "refresh_token" and self.rotate:
            self.refresh_tokens.discard(form["refresh_token"])
        if grant == "authorization_code":
            challenge, redirect = self.codes.pop(form["code"], (None, None))
            digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
            if challenge != digest or redirect != form["redirect_uri"] or len(form["code_verifier"]) < 43:
                return 400, {"error": "invalid_grant", "error_description": "PKCE"}
        return 200, self.grant(grant != "refresh_token" or self.rotate)

    def grant(self, with_refresh=True):
        self.number += 1
        access = f"at-{self.number}" + "x" * self.long
        self.valid = {access}
        out = {"access_token": access, "token_type": "bearer", "expires_in": self.expires_in}
        if with_refresh:
            out["refresh_token"] = f"rt-{self.number}"
            self.refresh_tokens.add(out["refresh_token"])
        return out

    def count(self, path):
        return sum(1 for asked in self.asked if asked[0] == path)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def bearer(issuer, message):
    found = TOKENS.search(base64.b64decode(message))
    return bool(found) and found.group(1).decode() in issuer.valid


class Pop(lib.FakePop):
    def __init__(self, issuer, mechanism="OAUTHBEARER"):
        self.logins = 0
        super().__init__([("u1", b"Subject: one\r\n\r\nhello\r\n")], capa=("TOP", "UIDL", f"SASL {mechanism}"),
                         hooks={"AUTH": lambda lines, rest: self.auth(issuer, lines, rest)})

    def auth(self, issuer, lines, rest):
        words = rest.split()
        self.logins += 1
        if len(words) == 1:
            lines.send(b"+ \r\n")
            words.append(lines.line())
        if bearer(issuer, words[1]):
            return b"+OK in\r\n"
        lines.send(b"+ " + base64.b64encode(b'{"status":"invalid_token"}') + b"\r\n")
        lines.line()
        return b"-ERR [AUTH] no\r\n"


class Smtp(lib.FakeSmtp):
    def __init__(self, issuer):
        super().__init__(ehlo=("SIZE 50000000", "8BITMIME", "AUTH XOAUTH2"), hooks={"AUTH": lambda lines, rest: self.auth(issuer, lines, rest)})

    @staticmethod
    def auth(issuer, lines, rest):
        words = rest.split()
        if len(words) == 1:
            lines.send(b"334 \r\n")
            words.append(lines.line())
        if bearer(issuer, words[1]):
            return b"235 in\r\n"
        lines.send(b"334 " + base64.b64encode(b'{"status":"401"}') + b"\r\n")
        lines.line()
        return b"535 5.7.8 no\r\n"


class Imap(lib.Fake):
    """An INBOX without messages. IDLE ends with the connection when `hang_up` says so, after `before` ran."""

    def __init__(self, issuer):
        self.issuer, self.logins, self.good, self.hang_up = issuer, 0, 0, []
        super().__init__()

    def serve(self, lines):
        lines.send(b"* OK [CAPABILITY IMAP4rev1 IDLE AUTH=OAUTHBEARER SASL-IR] hi\r\n")
        while True:
            tag, _, rest = lines.line().partition(b" ")
            verb, _, rest = rest.partition(b" ")
            verb = verb.upper()
            if verb == b"AUTHENTICATE":
                words = rest.split()
                self.logins += 1
                if len(words) == 1:
                    lines.send(b"+ \r\n")
                    words.append(lines.line())
                if not bearer(self.issuer, words[1]):
                    lines.send(b"+ " + base64.b64encode(b'{"status":"invalid_token"}') + b"\r\n")
                    lines.line()
                    lines.send(tag + b" NO [AUTHENTICATIONFAILED] no\r\n")
                    continue
                self.good += 1
            elif verb == b"LIST":
                lines.send(b'* LIST () "/" INBOX\r\n')
            elif verb == b"STATUS":
                lines.send(b"* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 UNSEEN 0)\r\n")
            elif verb in (b"SELECT", b"EXAMINE"):
                lines.send(b"* FLAGS (\\Seen)\r\n* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 1] x\r\n")
            elif verb == b"IDLE":
                lines.send(b"+ idling\r\n")
                if self.hang_up:
                    self.hang_up.pop(0)()
                    return
                lines.line()
            elif verb == b"CAPABILITY":
                lines.send(b"* CAPABILITY IMAP4rev1 IDLE AUTH=OAUTHBEARER SASL-IR\r\n")
            lines.send(tag + b" OK done\r\n")
            if verb == b"LOGOUT":
                return


@pytest.fixture
def issuer(cert):
    with Issuer(cert) as one:
        yield one


def account(home, cert, issuer, **lines):
    home.account(password_file=None, ca_file=cert[0], oauth_issuer=issuer.url if isinstance(issuer, Issuer) else issuer,
                 **{"pop3": "127.0.0.1 1 none", **lines})


def login(home, *words, **more):
    return home.barid("account", "login", "a", *words, **more)


def record(home):
    path = os.path.join(home.state, "a", "oauth")
    if not os.path.exists(path):
        return None
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path, encoding="ascii") as f:
        lines = f.read().splitlines()
    assert lines[0] == "barid-oauth 1" and lines[-1] == "end", "whole"
    return dict(line.partition(" ")[::2] for line in lines[1:-1])


# ---- the device flow ----

def test_device(home, cert, issuer):
    issuer.hooks["/token"] = [(400, {"error": "authorization_pending"}), (400, {"error": "slow_down"}), (503, b"busy"), None]
    account(home, cert, issuer)
    done = login(home)
    assert done.returncode == 0, done.stderr
    assert "ABCD-EFGH" in done.stderr and issuer.url + "/go" in done.stderr
    kept = record(home)
    assert kept["access"] == "at-1" and kept["refresh"] == "rt-1" and kept["client-id"] == "dyn-1"
    assert "at-1" not in done.stdout + done.stderr and "rt-1" not in done.stderr
    register = [form for path, form, _ in issuer.asked if path == "/register"][0]
    assert register["token_endpoint_auth_method"] == "none" and register["redirect_uris"] == ["http://127.0.0.1/"]
    device = [form for path, form, _ in issuer.asked if path == "/device"][0]
    assert device == {"client_id": "dyn-1", "scope": "urn:x:imap urn:x:smtp offline_access"}
    with Pop(issuer) as pop:
        account(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none")
        assert home.barid("fetch").returncode == 0 and len(home.mail()) == 1
    assert login(home).returncode == 0 and issuer.count("/register") == 1, "the client id is remembered"


@pytest.mark.parametrize("error, code, says", [("access_denied", 77, "was refused"), ("expired_token", 77, "in time"), ("invalid_client", 78, "client id"),
                                               ("invalid_scope", 78, "oauth-scope"), ("what_is_this", 69, "what_is_this: why"), ("", 76, "no sense")])
def test_device_refused(home, cert, issuer, error, code, says):
    issuer.hooks["/token"] = (400, {"error": error, "error_description": "why\x1b[2J"} if error else {"x": 1})
    account(home, cert, issuer)
    done = login(home)
    assert done.returncode == code and says in done.stderr, done.stderr
    assert "\x1b" not in done.stderr and record(home) is None


def test_device_expires(home, cert, issuer):
    issuer.hooks["/device"] = (200, {"device_code": "dc", "user_code": "X", "verification_uri": issuer.url, "expires_in": 2, **FAST})
    issuer.hooks["/token"] = (400, {"error": "authorization_pending"})
    account(home, cert, issuer)
    done = login(home)
    assert done.returncode == 77 and "in time" in done.stderr and record(home) is None


# ---- answers of servers that lie ----

GOOD = {"access_token": "at", "token_type": "Bearer"}
BAD_TOKENS = {
    "other type": (200, {**GOOD, "token_type": "mac"}), "no type": (200, {"access_token": "at"}), "control": (200, {**GOOD, "access_token": "a\r\nb"}),
    "blank": (200, {**GOOD, "access_token": "a b"}), "number": (200, {**GOOD, "access_token": 5}), "page": (200, b"<html>hello</html>"),
    "nothing": (200, b""), "list": (200, b"[]"), "twice": (200, b'{"access_token":"a","access_token":"b","token_type":"Bearer"}'),
    "huge": (200, b'{"x":"' + b"x" * (3 << 20) + b'"}'), "deep": (200, b"[" * 100000), "long token": (200, {**GOOD, "access_token": "x" * 300000}),
    "redirect": (302, b"", {"Location": "https://localhost/token"}), "kept method": (307, b"", {"Location": "/elsewhere"}),
    "created": (201, GOOD), "refresh control": (200, {**GOOD, "refresh_token": "a\nb"}),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_bad_token_answers(home, cert, issuer, name):
    issuer.hooks["/token"] = BAD_TOKENS[name]
    account(home, cert, issuer)
    done = login(home)
    assert done.returncode == 76 and done.stderr.count("\n") > 1, done
    assert record(home) is None and issuer.count("/elsewhere") == 0


@pytest.mark.parametrize("metadata, code, says", [
    ({"issuer": "https://localhost:1"}, 77, "another issuer"), ({"token_endpoint": "http://login.example.org/token"}, 69, "https"),
    ({"device_authorization_endpoint": "http://192.0.2.1/d"}, 69, "https"), ({"authorization_endpoint": "javascript:alert(1)"}, 69, "https"),
    ({"token_endpoint": None}, 69, "where to log in"), ({"registration_endpoint": None}, 78, "oauth-client-id"),
    ({"device_authorization_endpoint": None, "code_challenge_methods_supported": ["plain"]}, 69, "PKCE"),
    ({"device_authorization_endpoint": None, "authorization_endpoint": None}, 69, "PKCE"),
    ({"token_endpoint": "https://a@localhost/x"}, 69, "https"), ({"token_endpoint": "https://localhost/x#y"}, 69, "https")])
def test_bad_metadata(home, cert, metadata, code, says):
    with Issuer(cert, **metadata) as issuer:
        account(home, cert, issuer)
        done = login(home)
        assert done.returncode == code and says in done.stderr, done.stderr
        assert issuer.count("/token") == 0 and record(home) is None


def test_metadata_elsewhere(home, cert, issuer):
    """Not there, or a page for people: then OpenID's place. Neither: the person is told what to do."""
    usual = issuer.usual("/.well-known/oauth-authorization-server", {})
    issuer.hooks["/.well-known/oauth-authorization-server"] = (200, b"<html>")
    issuer.hooks["/.well-known/openid-configuration"] = usual
    account(home, cert, issuer)
    assert login(home).returncode == 0
    issuer.hooks["/.well-known/openid-configuration"] = (404, b"")
    done = login(home)
    assert done.returncode == 69 and "oauth-token-url" in done.stderr
    assert record(home)["access"] == "at-1", "the old login stays"


def test_certificate(home, issuer, cert):
    account(home, ("/etc/ssl/certs/ca-certificates.crt",), issuer)
    done = login(home)
    assert done.returncode == 69 and "certificate" in done.stderr and issuer.asked == []


@pytest.mark.parametrize("url", ["http://login.example.org", "ftp://localhost", "https://", "https://x.example/?a=b", "https://a b/"])
def test_bad_issuer_in_the_file(home, cert, url):
    account(home, cert, f'"{url}"')
    done = login(home)
    assert done.returncode == 78 and "https://" in done.stderr, done.stderr


def test_plain_http_here(home, cert):
    with Issuer(cert, tls=False) as issuer:
        account(home, cert, issuer)
        assert login(home).returncode == 0


def test_slow_drip(home, cert, issuer):
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip():
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
            while not stop.wait(0.5):
                sock.sendall(b" ")
    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    account(home, cert, f"http://localhost:{listener.getsockname()[1]}")
    done = login(home, timeout=100)
    stop.set()
    thread.join(10)
    listener.close()
    assert done.returncode == 75 and "later" in done.stderr, done.stderr


# ---- the browser ----

class Browser:
    """Runs the login and knows the page that it shows."""

    def __init__(self, home, *words, env=None):
        self.process = subprocess.Popen([barid_program(), "account", "login", "a", "--browser", *words], env={**home.env, **(env or {})},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said, self.page = "", None
        while self.page is None:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
            found = re.search(r"https://\S+", line)
            self.page = found and found.group(0)
        self.query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.page).query))
        self.port = int(urllib.parse.urlsplit(self.query["redirect_uri"]).port)

    def get(self, target):
        """(status, body), or None when nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return None
        finally:
            connection.close()

    def come_back(self, **values):
        return self.get("/?" + urllib.parse.urlencode({"state": self.query["state"], **values}))

    def end(self):
        out, err = self.process.communicate(timeout=60)
        self.said += err
        return self.process.returncode


def agree(issuer, browser, code="code-1"):
    issuer.codes[code] = (browser.query["code_challenge"], browser.query["redirect_uri"])
    return code


def test_browser(home, cert):
    with Issuer(cert, authorization_response_iss_parameter_supported=True) as issuer:
        account(home, cert, issuer)
        browser = Browser(home)
        assert browser.query["response_type"] == "code" and browser.query["code_challenge_method"] == "S256"
        assert browser.query["redirect_uri"] == f"http://127.0.0.1:{browser.port}/" and len(browser.query["state"]) == 43
        idle = socket.create_connection(("127.0.0.1", browser.port))  # browsers open connections ahead
        assert browser.get("/favicon.ico")[0] == 404
        assert browser.get("/?state=wrong&code=evil")[0] == 400
        assert browser.come_back(code="evil", state="")[0] == 400
        assert browser.get(f"/?state={browser.query['state']}&code=a&code=b")[0] == 400
        status, page = browser.come_back(code=agree(issuer, browser), iss=issuer.url)
        assert status == 200 and 'dir="rtl"' in page and "logged in" in page
        assert browser.end() == 0, browser.said
        idle.close()
        assert browser.come_back(code="again") is None, "nobody listens any more"
        assert record(home)["access"] == "at-1"
        assert [form["code"] for path, form, _ in issuer.asked if path == "/token"] == ["code-1"]


@pytest.mark.parametrize("iss", ["https://evil.example", None])
def test_browser_wrong_issuer(home, cert, iss):
    with Issuer(cert, authorization_response_iss_parameter_supported=True) as issuer:
        account(home, cert, issuer)
        browser = Browser(home)
        status, _ = browser.come_back(code=agree(issuer, browser), **({"iss": iss} if iss else {}))
        assert status == 403 and browser.end() == 77 and "another server" in browser.said
        assert issuer.count("/token") == 0 and record(home) is None


def test_browser_refused(home, cert, issuer):
    account(home, cert, issuer)
    browser = Browser(home)
    assert browser.come_back(error="access_denied", error_description="not today")[0] == 403
    assert browser.end() == 77 and "not today" in browser.said


def test_browser_wrong_challenge(home, cert, issuer):
    """A code that was granted to another challenge than ours."""
    account(home, cert, issuer)
    browser = Browser(home)
    issuer.codes["stolen"] = ("x" * 43, browser.query["redirect_uri"])
    assert browser.come_back(code="stolen")[0] == 200
    assert browser.end() == 77 and record(home) is None


def test_browser_garbage(home, cert, issuer):
    """Whoever reaches the port: too much, no request, many at once."""
    account(home, cert, issuer)
    browser = Browser(home)
    many = [socket.create_connection(("127.0.0.1", browser.port)) for _ in range(20)]
    for data in (b"GET / HTTP/1.1\r\n" + b"a" * 40000, b"\0\xff\r\n\r\n", b"POST /?state=x HTTP/1.1\r\n\r\n", b"GET /?a=%zz HTTP/1.1\r\n\r\n"):
        with contextlib.suppress(OSError):
            sock = socket.create_connection(("127.0.0.1", browser.port), timeout=20)
            sock.sendall(data)
            assert not sock.recv(1000).startswith(b"HTTP/1.1 200")
            sock.close()
    assert browser.come_back(code=agree(issuer, browser))[0] == 200
    assert browser.end() == 0, browser.said
    for sock in many:
        sock.close()


def test_browser_elsewhere(home, cert, issuer):
    """The address that a browser on another machine cannot open, typed."""
    account(home, cert, issuer)
    master, slave = pty.openpty()
    run = subprocess.Popen([barid_program(), "account", "login", "a", "--browser"], env=home.env, stdin=slave, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    os.close(slave)
    said = ""
    while "paste" not in said:
        line = run.stderr.readline()
        assert line, said
        said += line
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(re.search(r"https://\S+", said).group(0)).query))
    issuer.codes["code-1"] = (query["code_challenge"], query["redirect_uri"])
    os.write(master, b"hello\n" + query["redirect_uri"].encode() + b"?code=code-1&state=wrong\n")
    os.write(master, query["redirect_uri"].encode() + b"?code=code-1&state=" + query["state"].encode() + b"\n")
    _, err = run.communicate(timeout=60)
    os.close(master)
    assert run.returncode == 0 and record(home)["access"] == "at-1", err


def test_browser_is_started(home, cert, issuer):
    account(home, cert, issuer)
    seen = os.path.join(home.folder, "seen")
    program = home.file("browser", f'#!/bin/sh\nprintf %s "$1" > {seen}.part && mv {seen}.part {seen}\n', mode=0o700)
    browser = Browser(home, env={"BROWSER": program})
    end = time.monotonic() + 30
    while not os.path.exists(seen) and time.monotonic() < end:
        time.sleep(0.02)
    with open(seen, encoding="ascii") as f:
        assert f.read() == browser.page
    browser.come_back(code=agree(issuer, browser))
    assert browser.end() == 0


# ---- client id and secret ----

@pytest.mark.parametrize("methods, in_header", [(["client_secret_post"], False), (["client_secret_basic"], True), (None, True)])
def test_own_client(home, cert, methods, in_header):
    with Issuer(cert, token_endpoint_auth_methods_supported=methods) as issuer:
        secret = home.file("client-secret", "s3cret:&/\n")
        account(home, cert, issuer, oauth_client_id="mine", oauth_client_secret_file=secret, oauth_scope="one two")
        done = login(home)
        assert done.returncode == 0, done.stderr
        assert issuer.count("/register") == 0 and "client-secret" not in record(home)
        _, form, header = [asked for asked in issuer.asked if asked[0] == "/token"][0]
        assert ("client_secret" in form) != in_header
        if in_header:
            assert base64.b64decode(header.split()[1]) == b"mine:s3cret%3A%26%2F"
        else:
            assert form["client_secret"] == "s3cret:&/" and form["client_id"] == "mine"
        assert [form["scope"] for path, form, _ in issuer.asked if path == "/device"] == ["one two"]


def test_explicit_endpoints(home, cert, issuer):
    home.account(password_file=None, ca_file=cert[0], pop3="127.0.0.1 1 none", oauth_device_url=issuer.url + "/device",
                 oauth_token_url=issuer.url + "/token", oauth_client_id="mine")
    assert login(home).returncode == 0
    assert {path for path, _, _ in issuer.asked} == {"/device", "/token"}


# ---- new tokens ----

def logged_in(home, cert, issuer, **lines):
    account(home, cert, issuer, **lines)
    done = login(home)
    assert done.returncode == 0, done.stderr
    issuer.asked.clear()


def test_not_logged_in(home, cert, issuer):
    account(home, cert, issuer)
    done = home.barid("fetch")
    assert done.returncode == 77 and "barid account login a" in done.stderr
    done = home.barid("--lang", "ar", "fetch")
    assert "barid account login a" in done.stderr and "ادخل" in done.stderr


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_renewed_before_it_ends(home, cert, issuer, mechanism):
    issuer.expires_in = 30  # under the two minutes that count as over
    with Pop(issuer, mechanism) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none")
        assert home.barid("fetch").returncode == 0
        assert issuer.count("/token") == 1 and pop.logins == 1 and record(home)["refresh"] == "rt-2"


def test_renewed_when_refused(home, cert, issuer):
    with Pop(issuer) as pop, Smtp(issuer) as smtp, Imap(issuer) as imap:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none", smtp=f"127.0.0.1 {smtp.port} none", imap=f"127.0.0.1 {imap.port} none")
        for words, more in ((["fetch", "--pop3"], {}), (["send", "x@y.test"], {"stdin": b"Subject: s\n\nhi\n"}), (["sync"], {})):
            issuer.valid = set()  # withdrawn, though it has an hour to go
            before = issuer.count("/token")
            done = home.barid(*words, **more)
            assert done.returncode == 0, (words, done)
            assert issuer.count("/token") == before + 1
        assert pop.logins == 2 and imap.logins >= 2 and len(smtp.taken) == 1


def test_refused_for_good(home, cert, issuer):
    """A server that takes no token at all is asked twice and no more."""
    with Pop(issuer) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none")
        pop.hooks["AUTH"] = lambda lines, rest: setattr(pop, "logins", pop.logins + 1) or b"-ERR [AUTH] no\r\n"
        done = home.barid("fetch")
        assert done.returncode == 77 and pop.logins == 2 and issuer.count("/token") == 1


def test_login_is_over(home, cert, issuer):
    with Pop(issuer) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none")
        issuer.valid, issuer.refresh_tokens = set(), set()
        done = home.barid("fetch")
        assert done.returncode == 77 and "barid account login a" in done.stderr, done.stderr
        assert login(home).returncode == 0 and home.barid("fetch").returncode == 0


def test_server_away(home, cert, issuer):
    issuer.expires_in = 30
    logged_in(home, cert, issuer)
    issuer.hooks["/token"] = (503, b"")
    done = home.barid("fetch")
    assert done.returncode == 75 and record(home)["refresh"] == "rt-1", done.stderr


def test_server_away_when_refused(home, cert, issuer):
    """That passes by itself: nobody is told to log in again."""
    with Pop(issuer) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none")
        issuer.valid = set()
        issuer.hooks["/token"] = [(503, b"")]
        done = home.barid("fetch")
        assert done.returncode == 75 and "account login" not in done.stderr, done.stderr
        assert home.barid("fetch").returncode == 0


def test_watch_waits_for_the_issuer(home, cert, issuer):
    with Imap(issuer) as imap:
        logged_in(home, cert, issuer, imap=f"127.0.0.1 {imap.port} none", pop3=None)
        issuer.valid = set()
        issuer.hooks["/token"] = [(503, b""), (200, b"", {"Content-Length": "5"})]
        run = subprocess.Popen([barid_program(), "watch"], env=home.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        end = time.monotonic() + 90
        while imap.good < 1 and time.monotonic() < end and run.poll() is None:
            time.sleep(0.05)
        run.terminate()
        said = run.communicate(timeout=30)[1].decode()
        assert imap.good >= 1 and issuer.count("/token") == 3, said


def test_token_command_is_run_again(home, issuer):
    issuer.grant()
    with Pop(issuer) as pop:
        program = home.file("token", f'#!/bin/sh\necho >> {home.folder}/runs\necho "at-$(wc -l < {home.folder}/runs)"\n', mode=0o700)
        home.account(password_file=None, token_command=program, pop3=f"127.0.0.1 {pop.port} none")
        issuer.valid = {"at-2"}
        assert home.barid("fetch").returncode == 0 and pop.logins == 2


def test_long_tokens(home, cert, issuer):
    issuer.long = 100000
    with Pop(issuer) as pop, Smtp(issuer) as smtp, Imap(issuer) as imap:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none", smtp=f"127.0.0.1 {smtp.port} none", imap=f"127.0.0.1 {imap.port} none")
        assert home.barid("fetch", "--pop3").returncode == 0
        assert home.barid("send", "x@y.test", stdin=b"Subject: s\n\nhi\n").returncode == 0 and len(smtp.taken) == 1
        done = home.barid("sync")
        assert done.returncode == 0, done.stderr


def test_two_at_once(home, cert, issuer):
    """One refresh token, two runs that need a new one."""
    def slow(_):
        time.sleep(1)
    with Pop(issuer) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none", imap="127.0.0.1 1 none")
        issuer.valid = set()
        path = os.path.join(home.state, "a", "oauth")
        with open(path, encoding="ascii") as f:
            text = re.sub(r"expires \d+", "expires 5", f.read())
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        issuer.hooks["/token"] = slow
        runs = [subprocess.Popen([barid_program(), *words], env=home.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for words in (["fetch", "--pop3"], ["sync"], ["fetch", "--pop3"])]
        said = [run.communicate(timeout=60)[1].decode() for run in runs]
        assert issuer.count("/token") == 1, said
        assert record(home)["access"] in issuer.valid and "account login" not in "".join(said)
        assert 0 in {run.returncode for run in runs}


def test_watch_reconnects(home, cert, issuer):
    """The connection is lost after hours, and the token with it."""
    with Imap(issuer) as imap:
        logged_in(home, cert, issuer, imap=f"127.0.0.1 {imap.port} none", pop3=None)
        imap.hang_up = [lambda: setattr(issuer, "valid", set())]
        run = subprocess.Popen([barid_program(), "watch"], env=home.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while imap.good < 2 and time.monotonic() < end and run.poll() is None:
            time.sleep(0.05)
        run.terminate()
        said = run.communicate(timeout=30)[1].decode()
        assert imap.good >= 2 and issuer.count("/token") == 1, said


@pytest.mark.parametrize("call", ["write", "sync", "open", "rename", "truncate", "unlink"])
@pytest.mark.parametrize("kind", [lib.KILL, lib.KILL_AFTER])
def test_killed_while_renewing(home, cert, issuer, shim, call, kind):
    """At each call that reaches the disk: what is kept is whole, and the old token or the new one."""
    with Pop(issuer) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none")
        for n in range(1, 30):
            old = record(home)
            issuer.valid, issuer.rotate = set(), True
            issuer.refresh_tokens = {old["refresh"]}
            subprocess.run([barid_program(), "fetch"], env={**home.env, **shim.arm(home, call, kind, n=n)}, capture_output=True, timeout=60, check=False)
            new = record(home)
            assert new["refresh"] in {old["refresh"], f"rt-{issuer.number}"}
            if new["refresh"] != old["refresh"]:
                assert new["access"] in issuer.valid
            if shim.hits() == 0:
                return


def test_full_disk_spends_no_token(home, cert, issuer, shim):
    with Pop(issuer) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none")
        issuer.valid = set()
        os.mkdir(os.path.join(home.state, "a", "oauth.new"))  # no new file can be made
        done = home.barid("fetch")
        assert done.returncode != 0 and issuer.count("/token") == 0 and record(home)["refresh"] == "rt-1"


def test_key_ring(home, cert, issuer):
    """secret-service: the tokens are there and in no file, and never among the words of a program."""
    tool = home.file("secret-tool", '#!/bin/sh\necho "$@" >> "$HOME/words"\ncase "$1" in\n  store) cat > "$HOME/ring";;\n'
                     '  lookup) cat "$HOME/ring" 2>/dev/null;;\n  clear) rm -f "$HOME/ring";;\nesac\n', mode=0o700)
    home.env["PATH"] = os.path.dirname(tool) + ":" + home.env["PATH"]
    with Pop(issuer) as pop:
        logged_in(home, cert, issuer, pop3=f"127.0.0.1 {pop.port} none", secret_service="")
        issuer.valid = set()
        assert home.barid("fetch").returncode == 0
        assert record(home) is None and "rt-2" in open(os.path.join(home.folder, "ring"), encoding="ascii").read()
        assert "rt-" not in open(os.path.join(home.folder, "words"), encoding="ascii").read()
        assert home.barid("account", "remove", "a").returncode == 0
        assert not os.path.exists(os.path.join(home.folder, "ring"))


def test_another_issuer(home, cert, issuer):
    """Tokens of one are never sent to another that accounts.conf names now."""
    logged_in(home, cert, issuer)
    account(home, cert, "https://localhost:1")
    done = home.barid("fetch")
    assert done.returncode == 77 and "account login" in done.stderr


@pytest.mark.parametrize("text", ["", "barid-oauth 1\nend\n", "barid-oauth 1\ntoken-url https://localhost/t\naccess at-1\n", "x" * 1000000])
def test_damaged_record(home, cert, issuer, text):
    logged_in(home, cert, issuer)
    with open(os.path.join(home.state, "a", "oauth"), "w", encoding="ascii") as f:
        f.write(text)
    done = home.barid("fetch")
    assert done.returncode == 77 and "account login" in done.stderr, done.stderr
    assert login(home).returncode == 0 and record(home)["access"] == "at-2"


def test_readable_by_others(home, cert, issuer):
    logged_in(home, cert, issuer)
    os.chmod(os.path.join(home.state, "a", "oauth"), 0o644)
    done = home.barid("fetch")
    assert done.returncode == 77 and "chmod 600" in done.stderr


# ---- accounts ----

def add(home, cert, issuer, imap, *words):
    return home.barid("account", "add", "salma@barid.test", "--name", "a", "--imap", f"127.0.0.1:{imap.port}:none", "--receive", "imap",
                      "--ca-file", cert[0], "--oauth-issuer", issuer.url, *words)


def test_account_add(home, cert, issuer):
    with Imap(issuer) as imap:
        done = add(home, cert, issuer, imap)
        assert done.returncode == 0 and "ABCD-EFGH" in done.stderr, done.stderr
        assert imap.good == 1 and home.barid("sync").returncode == 0
        listed = json.loads(home.barid("account", "list", "--json").stdout)
        assert listed[0]["login"] == "oauth"
        assert "OAuth2" in home.barid("account", "list").stdout
        assert home.barid("account", "remove", "a").returncode == 0 and record(home) is None


def test_account_add_with_odd_words(home, cert, issuer):
    """A quote, a backslash and a # in what goes into accounts.conf come out of it as they were."""
    secret = home.file('a "b" \\ #c', "s3cret\n")
    with Imap(issuer) as imap:
        done = add(home, cert, issuer, imap, "--oauth-client-id", "mine", "--oauth-client-secret-file", secret, "--oauth-scope", "one #two",
                   "--maildir", os.path.join(home.folder, 'Mail "x" #y'))
        assert done.returncode == 0, done.stderr
        assert "one #two" in str(issuer.asked)
        assert home.barid("sync").returncode == 0 and os.path.isdir(os.path.join(home.folder, 'Mail "x" #y', "INBOX"))


def test_account_add_refused_by_imap(home, cert, issuer):
    """The page agreed, the mail server does not: nothing stays."""
    with Imap(issuer) as imap:
        issuer.hooks["/token"] = (200, {"access_token": "other", "token_type": "Bearer"})
        done = add(home, cert, issuer, imap)
        assert done.returncode == 77 and not os.path.exists(home.conf) and record(home) is None


def test_login_of_a_password_account(home):
    home.account(pop3="127.0.0.1 1 none")
    done = login(home)
    assert done.returncode == 78 and "oauth-issuer" in done.stderr
