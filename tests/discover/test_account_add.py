"""barid account add: from an address to a block of accounts.conf, with the servers that the search finds."""
import os

import pytest
from test_methods import HOST, SITE, autoconfig, servers, srv
from world import Mail, Page, Web, World

PASSWORD = b"correct horse 7"
OWN = {"firm.example": {}, "m1.firm.example": {"A": [HOST]}, **srv("firm.example", "m1.firm.example")}
ELSEWHERE = {"firm.example": {}, "m1.provider.example": {"A": [HOST]}, **srv("firm.example", "m1.provider.example")}


def add(discover, world, home, *words, **how):
    return discover(world, "salma@firm.example", *words, verb=("account", "add"), stdin=PASSWORD + b"\n", home=str(home), **how)


def conf(home):
    path = home / ".config/barid/accounts.conf"
    return path.read_text() if path.exists() else None


def logged_in(out):
    return b"AUTHENTICATE" in out.received


@pytest.mark.parametrize("receive", ["imap", "pop3"])
def test_found_and_tried(discover, tmp_path, receive):
    out = add(discover, World(OWN, servers("m1.firm.example")), tmp_path, "--receive", receive)
    assert out.code == 0, out.stderr
    assert "The login works" in out.stdout and ("barid sync salma" if receive == "imap" else "barid fetch salma") in out.stdout
    text = conf(tmp_path)
    assert "account salma\n" in text and f"receive {receive}" in " ".join(text.split()) or receive == "imap"
    for line in ("imap m1.firm.example 993 tls", "pop3 m1.firm.example 995 tls", "smtp m1.firm.example 465 tls"):
        assert line in " ".join(text.split()), text
    assert PASSWORD.decode() not in text
    assert os.stat(tmp_path / ".config/barid/accounts.conf").st_mode & 0o777 == 0o600
    secret = tmp_path / ".config/barid/secrets/salma"
    assert secret.read_bytes() == PASSWORD + b"\n" and secret.stat().st_mode & 0o777 == 0o600


def test_another_domain_wants_a_yes(discover, tmp_path):
    """No password goes to a server of another domain before the person said so."""
    world = World(ELSEWHERE, servers("m1.provider.example"))
    out = add(discover, world, tmp_path, "--receive", "imap")
    assert out.code == 77 and "--yes" in out.stderr
    assert not logged_in(out) and conf(tmp_path) is None
    out = add(discover, World(ELSEWHERE, servers("m1.provider.example")), tmp_path, "--receive", "imap", "--yes")
    assert out.code == 0 and logged_in(out)


def test_nothing_found(discover, tmp_path):
    out = add(discover, World({"firm.example": {}}), tmp_path)
    assert out.code == 69 and conf(tmp_path) is None
    assert not (tmp_path / ".config").exists()


def test_no_such_protocol(discover, tmp_path):
    zone = {"firm.example": {}, "m1.firm.example": {"A": [HOST]}, **srv("firm.example", "m1.firm.example")}
    world = World(zone, [s for s in servers("m1.firm.example") if s.protocol != "pop3"])
    out = add(discover, world, tmp_path, "--receive", "pop3")
    assert out.code == 69 and "No POP3 server was found" in out.stderr and conf(tmp_path) is None


def with_issuer(host, issuer):
    """autoconfig of firm.example: servers at host, a login at the issuer."""
    zone = {"firm.example": {}, host: {"A": [HOST]}, "autoconfig.firm.example": {"A": [SITE]}}
    text = autoconfig(host).replace("</clientConfig>", f"<oAuth2><issuer>{issuer}</issuer><scope>imap</scope></oAuth2></clientConfig>")
    return World(zone, servers(host), web=[Web(SITE, {"autoconfig.firm.example": {"/mail/config-v1.1.xml": Page(text)}})])


@pytest.mark.parametrize("host, issuer, fits", [
    ("m1.firm.example", "login.firm.example", True), ("m1.hoster.example", "login.firm.example", True),
    ("m1.hoster.example", "login.hoster.example", True), ("m1.firm.example", "accounts.google.com", False),
    ("m1.hoster.example", "accounts.google.com", False), ("m1.firm.example", "firm.example.evil.example", False)])
def test_whose_page(discover, host, issuer, fits):
    """A document sends nobody to the page of a stranger, whose tokens its servers would then get."""
    out = discover(with_issuer(host, issuer), "salma@firm.example", "--json", "--explain")
    assert out.code == 0
    assert (out.result["oauth"] is not None) == fits
    assert not fits or (out.result["oauth"]["issuer"], out.result["oauth"]["scope"]) == ("https://" + issuer, "imap")


def test_page_without_an_answer(discover, tmp_path):
    """The issuer cannot be reached: nothing is written, and no server was logged in to."""
    out = add(discover, with_issuer("m1.firm.example", "login.firm.example"), tmp_path, "--receive", "imap", "--oauth")
    assert out.code == 75 and "login.firm.example" in out.stderr, out.stderr
    assert not logged_in(out) and conf(tmp_path) is None


def test_no_page_known(discover, tmp_path):
    out = add(discover, World(OWN, servers("m1.firm.example")), tmp_path, "--receive", "imap", "--oauth")
    assert out.code == 78 and "--oauth-issuer" in out.stderr
    assert not logged_in(out) and conf(tmp_path) is None


def test_only_registered_programs(discover, tmp_path):
    """A large provider that takes no passwords: no password is asked for, and what is missing is said."""
    world = World({"outlook.com": {}, "outlook.office365.com": {"A": [HOST]}, "smtp-mail.outlook.com": {"A": [HOST]}},
                  [Mail("imap", HOST, "outlook.office365.com"), Mail("pop3", HOST, "outlook.office365.com"),
                   Mail("smtp", HOST, "smtp-mail.outlook.com", how="starttls")])
    out = discover(world, "salma@outlook.com", "--receive", "imap", verb=("account", "add"), stdin=PASSWORD + b"\n", home=str(tmp_path))
    assert out.code == 78 and "--oauth-client-id" in out.stderr, out.stderr
    assert not logged_in(out) and conf(tmp_path) is None
