"""Thunderbird by POP3: keeping and deleting, each twice and with a new start in between; no message comes twice, none is missed."""
import re
import subprocess

import pytest
import server as lib
from conftest import message, messages, need
from thunderbird import Thunderbird


def ids(sent):
    return sorted(re.search(rb"Message-ID: <([^>]+)>", m).group(1).decode() for m in sent)


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """An authority, and a server's certificate that it has signed: Thunderbird takes no authority for a server."""
    path = tmp_path_factory.mktemp("authority")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    ca, ca_key, key, request, leaf, extensions = (str(path / name) for name in ("ca.pem", "ca.key", "key.pem", "csr.pem", "cert.pem", "ext"))
    openssl("req", "-x509", *new, "-days", "30", "-subj", "/CN=Barid test authority", "-keyout", ca_key, "-out", ca)
    openssl("req", *new, "-subj", "/CN=localhost", "-keyout", key, "-out", request)
    with open(extensions, "w", encoding="ascii") as f:
        f.write("basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", leaf)
    return ca, leaf, key


@pytest.fixture(scope="module")
def server(signed):
    _, leaf, key = signed
    with lib.Server(config={"tls.certificate": leaf, "tls.key": key}) as running:
        yield running


@pytest.fixture
def mail(signed, tmp_path):
    need("thunderbird")
    with Thunderbird(str(tmp_path), signed[0]) as tb:
        yield tb


@pytest.mark.parametrize("policy", [["dele=trash"], ["dele=expunge", "list=device"], ["dele=hide", "after=quit", "unread=stays"]],
                         ids=["trash", "device", "hide"])
def test_keeping_and_deleting_twice(server, user, mail, policy):
    server.run("pop", user.address, *policy)
    sent = messages("noor@example.org", user.address)
    for m in sent:
        server.append(user, m)
    mail.add(user, server.port("pop3s"))
    mail.fetch()
    assert sorted(mail.message_ids()) == ids(sent)
    mail.fetch()
    assert sorted(mail.message_ids()) == ids(sent)
    mail.stop()  # what it has downloaded it knows by a file from now on
    mail.start()
    late = [message("noor@example.org", user.address, "arabic", 40 + n) for n in range(2)]
    for m in late:
        server.append(user, m)
    mail.fetch(keep=False)
    assert sorted(mail.message_ids()) == ids(sent + late)
    mail.fetch(keep=False)
    assert sorted(mail.message_ids()) == ids(sent + late)
    c = server.pop3(user)
    left = c.stat()[0]
    c.quit()
    assert left == 0
    if "dele=trash" in policy:
        assert len(server.bodies(user, "Trash")) == len(sent + late)
