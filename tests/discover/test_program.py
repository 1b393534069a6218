"""What a person and a program read: the table, the next steps, both languages, exit codes."""
import subprocess

import pytest
from test_methods import HOST, SITE, autoconfig, provider_world, servers, srv
from world import BARID, Mail, Page, Web, World


def plain(*words):
    return subprocess.run([BARID, "discover", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env={"BARID_LANG": "en", "PATH": "/usr/bin"})


@pytest.mark.parametrize("words, code, text", [
    ((), 64, "address"), (("salma",), 64, "not a mail address"), (("@firm.example",), 64, "not a mail address"),
    (("salma@[192.0.2.1]",), 64, "not a mail address"), (("salma@localhost",), 64, "not a mail address"),
    (("s" * 65 + "@firm.example",), 64, "not a mail address"), (("a@b.example", "c@d.example"), 64, "c@d.example"),
    (("a@b.example", "--fast"), 64, "--fast"), (("a@b.example", "--resolver"), 64, "--resolver"),
    (("a@b.example", "--resolver", "dns.example"), 64, "--resolver"), (("a@b.example", "--resolver", "192.0.2.1@0"), 64, "--resolver"),
    (("a@b.example", "--resolver", "192.0.2.1@65536"), 64, "--resolver"), (("a@b.example", "--ca-file", "/nowhere.pem"), 66, "/nowhere.pem"),
])
def test_wrong_use(words, code, text):
    done = plain(*words)
    assert (done.returncode, done.stdout) == (code, "") and text in done.stderr and done.stderr.startswith("barid: ")


def test_the_table(discover):
    zone = {"firm.example": {}, "m1.firm.example": {"A": [HOST]}, **srv("firm.example", "m1.firm.example")}
    out = discover(World(zone, servers("m1.firm.example")), "salma@firm.example")
    assert out.code == 0 and out.stderr == ""
    assert out.stdout == ("Mail servers for salma@firm.example\n"
                          "    IMAP  m1.firm.example    993  TLS\n"
                          "    POP3  m1.firm.example    995  TLS\n"
                          "    SMTP  m1.firm.example    465  TLS\n"
                          "User name: salma@firm.example\n")


def test_the_table_in_arabic(discover):
    """The rows that are copied are the same; all else is Arabic."""
    zone = {"xn--ngbof4h.xn--kgbechtv": {}, "imap.xn--ngbof4h.xn--kgbechtv": {"A": [HOST]}}
    out = discover(World(zone, [Mail("imap", HOST, "imap.xn--ngbof4h.xn--kgbechtv")]), "سلمى@بريد.إختبار", lang="ar")
    assert out.code == 0
    assert "    IMAP  imap.بريد.إختبار    993  TLS\n" in out.stdout
    assert "خوادم البريد للعنوان سلمى@بريد.إختبار" in out.stdout and "لم يُعثر على خادم POP3." in out.stdout


def test_what_comes_first(discover):
    out = discover(provider_world(), "salma@fastmail.com")
    assert "Provider: Fastmail\n" in out.stdout and "Make an app password" in out.stdout
    out = discover(World(), "salma@gmail.com")
    assert out.code == 75 and "POP3 is off until you switch it on" in out.stdout and "https://mail.google.com/" in out.stdout
    assert "https://myaccount.google.com/apppasswords" in out.stdout


@pytest.mark.parametrize("address, code, text", [
    ("salma@tutanota.com", 69, "lets no mail program in"), ("salma@proton.me", 69, "bridge program"), ("salma@nifty.com", None, "do not encrypt"),
    ("salma@stc.com.sa", None, None),
])
def test_providers_without_servers_of_use(discover, address, code, text):
    out = discover(World({address.split("@")[1]: {}}), address)
    assert out.code == (code or 69)
    assert (text or "No mail server was found") in out.stdout + out.stderr


def test_user_names_that_differ(discover):
    zone = {"firm.example": {}, "autoconfig.firm.example": {"A": [SITE]}, "m1.firm.example": {"A": [HOST]},
            "smtp.firm.example": {"A": [HOST]}}
    document = autoconfig("m1.firm.example", "%EMAILLOCALPART%").replace("outgoingServer", "x")
    web = Web(SITE, {"autoconfig.firm.example": {"/mail/config-v1.1.xml": Page(document)}})
    mail = [Mail("imap", HOST, "m1.firm.example"), Mail("smtp", HOST, "smtp.firm.example", how="starttls")]
    out = discover(World(zone, mail, [web]), "salma@firm.example")
    assert "    SMTP  smtp.firm.example    587  STARTTLS\n" in out.stdout
    assert "User name for IMAP: salma\n" in out.stdout and "User name for SMTP: salma@firm.example\n" in out.stdout
    assert "POP3 at m1.firm.example did not answer" in out.stdout


def test_a_switch_of_the_providers_own(discover):
    zone = {"firm.example": {}, "autoconfig.firm.example": {"A": [SITE]}, "m1.firm.example": {"A": [HOST]}}
    extra = '<enable visiturl="https://www.firm.example/settings"><instruction>Click here</instruction></enable>'
    web = Web(SITE, {"autoconfig.firm.example": {"/mail/config-v1.1.xml": Page(autoconfig("m1.firm.example", extra=extra))}})
    out = discover(World(zone, servers("m1.firm.example"), [web]), "salma@firm.example")
    assert "has to be switched on first" in out.stdout and "    https://www.firm.example/settings\n" in out.stdout


def test_the_trail(discover):
    zone = {"firm.example": {}, "imap.firm.example": {"A": [HOST]}}
    out = discover(World(zone, [Mail("imap", HOST, "imap.firm.example", cert="other.example")]), "salma@firm.example", "--explain")
    assert out.code == 69 and "Ask your provider" in out.stderr and "--explain" not in out.stderr
    assert "check: refused: its certificate does not fit its name" in out.stdout
    assert "imap imap.firm.example:993 tls" in out.stdout
    assert "SRV records: nothing there\n         _imaps._tcp.firm.example\n" in out.stdout


def test_json_without_a_trail(discover):
    out = discover(World({"firm.example": {}}), "salma@firm.example", "--json")
    assert set(out.result) == {"address", "domain", "domain_exists", "network_down", "provider", "files_sent_copy", "servers", "notes",
                               "oauth"}
    assert "barid discover salma@firm.example --explain" in out.stderr


def test_files_sent_copy(discover):
    zone = {n: {"A": [HOST]} for n in ("imap.gmail.com", "pop.gmail.com", "smtp.gmail.com")}
    mail = [Mail("imap", HOST, "imap.gmail.com"), Mail("pop3", HOST, "pop.gmail.com"), Mail("smtp", HOST, "smtp.gmail.com")]
    out = discover(World(zone, mail), "salma@gmail.com", "--json")
    assert out.code == 0 and out.result["files_sent_copy"] is True
    assert out.result["oauth"]["token_url"].startswith("https://") and out.result["oauth"]["issuer"] == ""
    assert "pop-off" in out.note_ids()


def test_a_firm_that_keeps_its_mail_elsewhere(discover):
    """Its MX is a provider's, its own documents name other servers: what we know of the provider does not concern it."""
    what = provider_world(**{"firm.example": {"MX": [(10, "in1-smtp.messagingengine.com")]}, "m1.firm.example": {"A": ["198.51.100.20"]},
                             **srv("firm.example", "m1.firm.example")})
    what.mail += servers("m1.firm.example", "198.51.100.20")
    out = discover(what, "salma@firm.example", "--json", "--explain")
    assert {s["host"] for s in out.result["servers"][:1]} == {"m1.firm.example"}
    assert out.result["provider"]["id"] == "" and out.note_ids() == []
