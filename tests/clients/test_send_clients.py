"""msmtp and neomutt."""
import os
import pty
import select
import subprocess
import time

import pytest
from conftest import arrived, assert_same_with_trace, messages, need


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "starttls"])
def test_msmtp(server, user, other, tmp_path, tls):
    need("msmtp")
    rc = tmp_path / "msmtprc"
    rc.write_text(f"""
account default
host localhost
port {server.port("submissions" if tls else "submission")}
tls on
tls_starttls {"off" if tls else "on"}
tls_trust_file {server.ca}
auth on
user {user.address}
password "{user.password}"
from {user.address}
""")
    rc.chmod(0o600)
    sent = messages(user.address, other.address)
    for m in sent:
        done = subprocess.run(["msmtp", "-C", str(rc), other.address], input=m.replace(b"\r\n", b"\n"),
                              capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
    assert_same_with_trace(arrived(server, other, len(sent)), sent)
    done = subprocess.run(["msmtp", "-C", str(rc), "nobody-here@barid.test"], input=sent[0], capture_output=True, timeout=60)
    assert done.returncode != 0


def neomutt_rc(server, user, path):
    # Debian 12's neomutt picks SCRAM-SHA-256-PLUS because it is offered, then has no channel binding to give and stops;
    # who sends with it names the mechanism (docs/programs.md)
    rc = path / "muttrc"
    rc.write_text(f"""
set from="{user.address}" realname="Salma" use_from=yes
set smtp_url="smtps://{user.address.replace("@", "%40")}@localhost:{server.port("submissions")}/"
set smtp_pass="{user.password}" smtp_authenticators="plain" imap_user="{user.address}" imap_pass="{user.password}"
set folder="imaps://localhost:{server.port("imaps")}/" record="+Sent" spoolfile="+INBOX"
set ssl_ca_certificates_file="{server.ca}" certificate_file="{server.ca}" ssl_verify_host=yes
set header_cache="" message_cachedir="" mbox_type=Maildir
set copy=yes confirmappend=no confirmcreate=no delete=no move=no quit=yes sleep_time=0 wait_key=no
""")
    return str(rc)


def test_neomutt_sends(server, user, other, tmp_path):
    need("neomutt")
    done = subprocess.run(["neomutt", "-n", "-F", neomutt_rc(server, user, tmp_path), "-s", "من الطرفية", "--", other.address],
                          input="مرحبًا يا عمر\n.\nنقطة\n".encode(), capture_output=True, timeout=60,
                          env=dict(os.environ, HOME=str(tmp_path), LC_ALL="C.UTF-8", TERM="xterm"))
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    got = arrived(server, other, 1)[0]
    assert "مرحبًا يا عمر\r\n.\r\nنقطة\r\n".encode() in got
    # Sent holds it once, though the client files it a second time
    arrived(server, user, 1, "Sent")


def run_in_terminal(command, env, timeout_s):
    """A full-screen program needs a terminal; nobody looks at what it draws."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, env)
    drawn, deadline = b"", time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            drawn += piece
    else:
        os.kill(pid, 9)
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn


def test_neomutt_reads(server, user, tmp_path):
    need("neomutt")
    sent = messages("noor@example.org", user.address)
    for m in sent:
        server.append(user, m)
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/copies<enter><quit>"
    status, drawn = run_in_terminal(
        ["neomutt", "-n", "-F", neomutt_rc(server, user, tmp_path), "-e", f'push "{keys}"'],
        dict(os.environ, HOME=str(tmp_path), LC_ALL="C.UTF-8", TERM="xterm", LINES="40", COLUMNS="120"), 40)
    assert status == 0, drawn[-2000:]
    copies = [f for sub in ("cur", "new") for f in (tmp_path / "copies" / sub).iterdir()]
    got = sorted(f.read_bytes() for f in copies)

    def without_status(data):  # neomutt writes fields of its own into a copy
        return b"\n".join(line for line in data.split(b"\n") if not line.startswith((b"Status: ", b"X-Status: ", b"Lines: ",
                                                                                    b"Content-Length: ")))

    assert sorted(map(without_status, got)) == sorted(m.replace(b"\r\n", b"\n") for m in sent)
