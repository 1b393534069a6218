"""fetchmail and mpop: downloads that keep, and downloads that delete."""
import os
import subprocess

import pytest
from conftest import messages, need


def lf(data):
    return data.replace(b"\r\n", b"\n")


def fill(server, user):
    sent = messages("noor@example.org", user.address)
    for m in sent:
        server.append(user, m)
    return sorted(map(lf, sent))


def fetchmail(server, user, path, protocol, listener, keep):
    out = path / "out"
    out.mkdir(exist_ok=True)
    rc = path / "fetchmailrc"
    rc.write_text(f"""
set invisible
poll localhost protocol {protocol} port {server.port(listener)}
  user "{user.address}" password "{user.password}"
  {"ssl" if listener.endswith("s") else ""} sslcertck sslcertfile "{server.ca}"
  {"keep" if keep else "no keep"} no rewrite fetchall
  mda "sh -c 'cat > $(mktemp {out}/XXXXXXXX)'"
""".replace("fetchall", "" if keep else "fetchall") + ("" if protocol == "imap" else ""))
    rc.chmod(0o700)
    env = dict(os.environ, FETCHMAILHOME=str(path), HOME=str(path), LC_ALL="C")
    done = subprocess.run([need("fetchmail"), "-f", str(rc), "--nosyslog", "--nodetach", "-i", str(path / "ids"),
                           "--pidfile", str(path / "pid")] + (["--uidl"] if protocol == "pop3" else []),
                          capture_output=True, text=True, env=env, timeout=60, stdin=subprocess.DEVNULL)
    got = sorted(f.read_bytes() for f in out.iterdir())
    for f in out.iterdir():
        f.unlink()
    return done.returncode, got, done.stdout + done.stderr


@pytest.mark.parametrize("protocol,listener", [("pop3", "pop3"), ("pop3", "pop3s"), ("imap", "imap"), ("imap", "imaps")])
def test_fetchmail(server, user, tmp_path, protocol, listener):
    need("fetchmail")
    sent = fill(server, user)
    status, got, log = fetchmail(server, user, tmp_path, protocol, listener, keep=True)
    assert status == 0, log
    assert got == sent
    assert len(server.bodies(user)) == len(sent)
    status, got, log = fetchmail(server, user, tmp_path, protocol, listener, keep=True)
    assert (status, got) == (1, []), log  # 1: nothing new
    status, got, log = fetchmail(server, user, tmp_path, protocol, listener, keep=False)
    assert status == 0, log
    assert got == sent
    assert server.bodies(user) == {}


def mpop(server, user, path, tls, keep):
    for sub in ("cur", "new", "tmp"):
        (path / "mail" / sub).mkdir(parents=True, exist_ok=True)
    rc = path / "mpoprc"
    rc.write_text(f"""
account default
host localhost
port {server.port("pop3s" if tls else "pop3")}
user {user.address}
password "{user.password}"
tls on
tls_starttls {"off" if tls else "on"}
tls_trust_file {server.ca}
delivery maildir {path}/mail
uidls_file {path}/uidls
received_header off
keep {"on" if keep else "off"}
""")
    rc.chmod(0o600)
    done = subprocess.run([need("mpop"), "-C", str(rc)], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, HOME=str(path)))
    assert done.returncode == 0, done.stdout + done.stderr
    new = list((path / "mail" / "new").iterdir())
    got = sorted(f.read_bytes() for f in new)
    for f in new:
        f.unlink()
    return got


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "stls"])
def test_mpop(server, user, tmp_path, tls):
    need("mpop")
    sent = fill(server, user)
    assert mpop(server, user, tmp_path, tls, keep=True) == sent
    assert mpop(server, user, tmp_path, tls, keep=True) == []
    assert len(server.bodies(user)) == len(sent)
    (tmp_path / "uidls").unlink()
    assert mpop(server, user, tmp_path, tls, keep=False) == sent
    assert server.bodies(user) == {}
