"""barid demo as a person starts it: ports moved, data kept, and the addresses that refuse on purpose."""
import os
import select
import signal
import smtplib
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from server import barid_program, free_port  # noqa: E402


def free_base():
    """A base from which the demo's eight ports (base + 24 to base + 995) are free now."""
    while True:
        base = free_port()
        if all(is_free(base + port - 1000) for port in (1024, 1025, 1110, 1143, 1465, 1587, 1993, 1995)):
            return base


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def test_demo(tmp_path):
    base, kept = free_base(), tmp_path / "kept"
    demo = subprocess.Popen([barid_program(), "demo", "--keep", str(kept), "--port-base", str(base)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        told = ""
        while "Ctrl-C" not in told:
            line = demo.stdout.readline()
            assert line, told
            told += line
        assert f"IMAP {base + 143}" in told and told.count("curl ") == 3
        with smtplib.SMTP("127.0.0.1", base + 25, timeout=30) as c:
            c.ehlo("client.test")
            c.mail("noor@example.org")
            code, text = c.rcpt("omar+tempfail@barid.test")
            assert 400 <= code < 500, text
            code, text = c.rcpt("omar+permfail@barid.test")
            assert 500 <= code < 600, text
            c.putcmd("RCPT TO:<omar+slow@barid.test>")
            assert select.select([c.sock], [], [], 0.5)[0] == []  # it takes its time
            assert c.getreply()[0] == 250
            assert c.data(b"Subject: slow\r\n\r\ntext\r\n")[0] == 250
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    finally:
        demo.kill()
        demo.wait()
    assert (kept / "accounts").is_dir()
