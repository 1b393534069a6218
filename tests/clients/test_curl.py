"""curl, which speaks all three protocols with its own code."""
import subprocess

import pytest
from conftest import arrived, assert_same_with_trace, messages, need


def curl(server, *args, user=None, **kw):
    command = [need("curl"), "-sS", "-m", "30", "--cacert", server.ca, *args]
    if user:
        command += ["-u", f"{user.address}:{user.password}"]
    done = subprocess.run(command, capture_output=True, **kw)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def url(server, scheme, listener, path=""):
    return f"{scheme}://localhost:{server.port(listener)}/{path}"


@pytest.mark.parametrize("scheme,listener", [("imap", "imap"), ("imaps", "imaps")])
def test_imap(server, user, tmp_path, scheme, listener):
    tls = [] if scheme == "imaps" else ["--ssl-reqd"]
    sent = messages("noor@example.org", user.address)
    for m in sent:
        (tmp_path / "m").write_bytes(m)
        curl(server, *tls, "-T", str(tmp_path / "m"), url(server, scheme, listener, "INBOX"), user=user)
    for n, m in enumerate(sent, 1):
        assert curl(server, *tls, url(server, scheme, listener, f"INBOX;UID={n}"), user=user) == m
    listed = curl(server, *tls, url(server, scheme, listener), user=user)
    assert b"INBOX" in listed
    found = curl(server, *tls, url(server, scheme, listener, "INBOX?SUBJECT%20arabic"), user=user)
    assert found.strip() == b"* SEARCH 3"
    curl(server, *tls, url(server, scheme, listener, "INBOX"), "-X", "STORE 1 +FLAGS (\\Deleted)", user=user)
    curl(server, *tls, url(server, scheme, listener, "INBOX"), "-X", "EXPUNGE", user=user)
    assert sorted(server.bodies(user)) == list(range(2, len(sent) + 1))


@pytest.mark.parametrize("scheme,listener", [("pop3", "pop3"), ("pop3s", "pop3s")])
def test_pop3(server, user, scheme, listener):
    tls = [] if scheme == "pop3s" else ["--ssl-reqd"]
    sent = messages("noor@example.org", user.address)
    for m in sent:
        server.append(user, m)
    for n, m in enumerate(sent, 1):
        assert curl(server, *tls, url(server, scheme, listener, str(n)), user=user) == m
    sizes = curl(server, *tls, url(server, scheme, listener), user=user).decode().split()
    assert sizes == [t for n, m in enumerate(sent, 1) for t in (str(n), str(len(m)))]
    curl(server, *tls, "-X", "DELE", "-I", url(server, scheme, listener, "1"), user=user)
    assert len(server.bodies(user)) == len(sent) - 1


@pytest.mark.parametrize("scheme,listener", [("smtp", "submission"), ("smtps", "submissions")])
def test_smtp(server, user, other, tmp_path, scheme, listener):
    tls = [] if scheme == "smtps" else ["--ssl-reqd"]
    sent = messages(user.address, other.address)
    for m in sent:
        (tmp_path / "m").write_bytes(m)
        curl(server, *tls, "--mail-from", user.address, "--mail-rcpt", other.address, "-T", str(tmp_path / "m"),
             url(server, scheme, listener, "client.test"), user=user)
    assert_same_with_trace(arrived(server, other, len(sent)), sent)
