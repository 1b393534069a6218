"""POP3 programs that keep and then delete, each twice: no message comes twice, none is missed, and what was deleted is in Trash."""
import base64
import json
import os
import subprocess

import pytest
from conftest import message, messages, need
from test_curl import curl, url
from test_pop_clients import fetchmail, mpop
from test_send_clients import run_in_terminal

HERE = os.path.dirname(os.path.abspath(__file__))


def lf(data):
    return data.replace(b"\r\n", b"\n")


def with_fetchmail(server, user, path, keep):
    status, got, log = fetchmail(server, user, path, "pop3", "pop3s", keep)
    assert status in (0, 1), log  # 1: nothing new
    return got


def with_mpop(server, user, path, keep):
    return mpop(server, user, path, True, keep)


def with_getmail(server, user, path, keep):
    mail = path / "mail"
    for sub in ("cur", "new", "tmp"):
        (mail / sub).mkdir(parents=True, exist_ok=True)
    rc = path / "getmailrc"
    rc.write_text(f"""
[retriever]
type = SimplePOP3SSLRetriever
server = localhost
port = {server.port("pop3s")}
username = {user.address}
password = {user.password}
ca_certs = {server.ca}
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat > $(mktemp {mail}/new/XXXXXXXX)")
unixfrom = false
allow_root_commands = true
[options]
read_all = false
delete = {"false" if keep else "true"}
delivered_to = false
received = false
""")
    done = subprocess.run([need("getmail"), "--getmaildir", str(path), "--rcfile", str(rc)], capture_output=True, text=True,
                          timeout=60, env=dict(os.environ, HOME=str(path)))
    assert done.returncode == 0, done.stdout + done.stderr
    new = list((mail / "new").iterdir())
    got = [f.read_bytes().removeprefix(b"Return-Path: <unknown>\n") for f in new]
    for f in new:
        f.unlink()
    return got


def remembered(path):
    file = path / "uidls"
    return file, json.loads(file.read_text()) if file.exists() else []


def with_node_pop3(server, user, path, keep):
    need("node")
    if not os.path.isdir(os.path.join(HERE, "node_modules", "node-pop3")):
        pytest.skip("node-pop3 is not installed (tools/deps check)")
    file, seen = remembered(path)
    with open(server.ca, encoding="ascii") as f:
        order = {"user": user.address, "password": user.password, "port": server.port("pop3s"), "ca": f.read(), "seen": seen,
                 "delete": not keep}
    done = subprocess.run(["node", "pop.mjs"], cwd=HERE, input=json.dumps(order), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    file.write_text(json.dumps(seen + [m["uidl"] for m in got]))
    # it leaves the dots doubled
    return [base64.b64decode(m["message"]).replace(b"\r\n..", b"\r\n.") for m in got]


def with_curl(server, user, path, keep):
    file, seen = remembered(path)
    got = []

    def listed():  # each call is a session of its own, after which the numbers may be others
        words = curl(server, "-X", "UIDL", url(server, "pop3s", "pop3s"), user=user).decode().split()
        return dict(zip(words[1::2], words[::2]))

    while new := [u for u in listed() if u not in seen]:
        got.append(curl(server, url(server, "pop3s", "pop3s", listed()[new[0]]), user=user))
        seen.append(new[0])
    while not keep and listed():
        curl(server, "-X", "DELE", "-I", url(server, "pop3s", "pop3s", "1"), user=user)
    file.write_text(json.dumps(seen))
    return got


def with_poplib(server, user, path, keep):
    file, seen = remembered(path)
    got = []
    c = server.pop3(user, tls=True)
    for line in c.uidl()[1]:
        number, uidl = line.decode().split()
        if uidl not in seen:
            got.append(b"".join(part + b"\r\n" for part in c.retr(number)[1]))
            seen.append(uidl)
        if not keep:
            c.dele(number)
    c.quit()
    file.write_text(json.dumps(seen))
    return got


@pytest.mark.parametrize("program", [with_fetchmail, with_mpop, with_getmail, with_node_pop3, with_curl, with_poplib],
                         ids=lambda f: f.__name__[5:])
@pytest.mark.parametrize("policy", [["dele=trash"], ["dele=expunge", "list=device"], ["dele=hide", "after=quit", "unread=stays"]],
                         ids=["trash", "device", "hide"])
def test_keeping_and_deleting_twice(server, user, tmp_path, program, policy):
    server.run("pop", user.address, *policy)
    sent = [lf(m) for m in messages("noor@example.org", user.address)]
    for m in sent:
        server.append(user, m.replace(b"\n", b"\r\n"))

    def fetch(keep):
        return sorted(lf(m).rstrip(b"\n") for m in program(server, user, tmp_path, keep))

    assert fetch(True) == sorted(m.rstrip(b"\n") for m in sent)
    assert fetch(True) == []
    late = [lf(message("noor@example.org", user.address, "arabic", 40 + n)) for n in range(2)]
    for m in late:
        server.append(user, m.replace(b"\n", b"\r\n"))
    got = fetch(False)
    if program is with_fetchmail and "list=device" not in policy:  # "no keep" goes with "fetchall" there
        got = [m for m in got if m in [x.rstrip(b"\n") for x in late]]
    assert got == sorted(m.rstrip(b"\n") for m in late)
    fetch(False)
    c = server.pop3(user)
    left = c.stat()[0]
    c.quit()
    assert left == 0
    # each program deletes what it sees: on a list of its own the new ones alone, and curl, which ends a session after each, not even those
    wanted = 6 if "dele=expunge" in policy and program is not with_curl else 8
    assert len(server.bodies(user)) + len(server.bodies(user, "Trash")) == wanted


def test_neomutt_copies_and_deletes(server, user, tmp_path):
    need("neomutt")
    sent = messages("noor@example.org", user.address)
    for m in sent:
        server.append(user, m)
    rc = tmp_path / "muttrc"
    address = user.address.replace("@", "%40")
    rc.write_text(f"""
set spoolfile="pops://{address}@localhost:{server.port("pop3s")}/" pop_pass="{user.password}" pop_authenticators="user"
set ssl_ca_certificates_file="{server.ca}" certificate_file="{server.ca}" ssl_verify_host=yes folder="{tmp_path}"
set header_cache="" message_cachedir="" mbox_type=Maildir
set confirmappend=no confirmcreate=no move=no quit=yes sleep_time=0 wait_key=no delete=yes pop_delete=yes
""")

    def run(keys):
        status, drawn = run_in_terminal(
            ["neomutt", "-n", "-F", str(rc), "-e", f'push "{keys}"'],
            dict(os.environ, HOME=str(tmp_path), LC_ALL="C.UTF-8", TERM="xterm", LINES="40", COLUMNS="120"), 40)
        assert status == 0, drawn[-2000:]

    run(f"<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/copies<enter><quit>")
    assert len(server.bodies(user)) == len(sent)
    run(f"<tag-pattern>~A<enter><tag-prefix><save-message>{tmp_path}/saved<enter><quit>")
    for folder in ("copies", "saved"):
        files = [f for sub in ("cur", "new") for f in (tmp_path / folder / sub).iterdir()]
        assert len(files) == len(sent), folder
    assert server.bodies(user) == {}
    assert len(server.bodies(user, "Trash")) == len(sent)
