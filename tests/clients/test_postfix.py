"""Postfix hands mail over by LMTP: an instance of its own, on loopback, beside whatever the system runs."""
import os
import shutil
import smtplib
import subprocess
import tempfile
import time

import pytest
import server as lib
from conftest import arrived, assert_same_with_trace, messages, need


@pytest.fixture
def postfix(server):
    need("postfix")
    if os.geteuid() != 0:
        pytest.skip("postfix starts as root only")
    daemons = next((d for d in ("/usr/lib/postfix/sbin", "/usr/libexec/postfix") if os.path.isdir(d)), None)
    if not daemons:
        pytest.skip("postfix's daemons are not where this test looks")
    top = tempfile.mkdtemp(prefix="barid-postfix-")
    os.chmod(top, 0o755)
    port = lib.free_port()
    for name in ("etc", "queue", "data"):
        os.mkdir(os.path.join(top, name))
    shutil.chown(os.path.join(top, "data"), "postfix")
    with open(os.path.join(top, "etc", "main.cf"), "w", encoding="utf-8") as f:
        f.write(f"""
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {top}/log
maillog_file_prefixes = {top}
myhostname = postfix.client.test
myorigin = client.test
mydestination =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relay_domains = {lib.DOMAIN}
relay_transport = lmtp:inet:[127.0.0.1]:{server.port("lmtp")}
default_transport = error:this instance only hands over by LMTP
disable_dns_lookups = yes
smtpd_relay_restrictions = permit_mynetworks, reject
minimal_backoff_time = 1s
queue_run_delay = 1s
""")
    services = ["pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                "tlsmgr unix - - n 1000? 1 tlsmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
                "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp",
                "lmtp unix - - n - - lmtp", "error unix - - n - - error", "retry unix - - n - - error",
                "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd",
                f"127.0.0.1:{port} inet n - n - - smtpd"]
    with open(os.path.join(top, "etc", "master.cf"), "w", encoding="utf-8") as f:
        f.write("\n".join(services) + "\n")
    command = [need("postfix"), "-c", os.path.join(top, "etc")]
    started = subprocess.run([*command, "start"], capture_output=True, text=True, timeout=60)

    def log():
        try:
            with open(os.path.join(top, "log"), encoding="utf-8", errors="replace") as f:
                return f.read()[-4000:]
        except OSError:
            return started.stdout + started.stderr

    try:
        assert started.returncode == 0, log()
        yield port, log
    finally:
        subprocess.run([*command, "stop"], capture_output=True, timeout=60)
        shutil.rmtree(top, ignore_errors=True)


def test_lmtp(server, user, other, postfix):
    port, log = postfix
    for _ in range(100):
        try:
            c = smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=20)
            break
        except OSError:
            time.sleep(0.1)
    else:
        pytest.fail(log())
    sent = messages("noor@example.org", user.address)
    for m in sent:
        assert c.sendmail("noor@example.org", [user.address, other.address], m, mail_options=["BODY=8BITMIME"]) == {}
    # a recipient that Barid refuses comes back as a bounce of Postfix, and holds nobody up
    c.sendmail("noor@example.org", ["nobody-here@barid.test", user.address], sent[0])
    c.quit()
    try:
        assert_same_with_trace(arrived(server, user, len(sent) + 1, timeout=40), [*sent, sent[0]])
        assert_same_with_trace(arrived(server, other, len(sent), timeout=40), sent)
    except AssertionError as e:
        raise AssertionError(f"{e}\n{log()}") from None
