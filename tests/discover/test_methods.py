"""Each method, alone in the world, finds the account: what it names is called up, and comes out settled."""
import pytest
from world import Mail, Page, Web, World, ascii_name

HOST = "198.51.100.10"
SITE = "198.51.100.80"
EVERY = [("imap", 993), ("pop3", 995), ("smtp", 465)]


def servers(name, address=HOST):
    return [Mail(protocol, address, name) for protocol, _ in EVERY]


def autoconfig(host, user="%EMAILADDRESS%", socket_type="SSL", name="The Firm", extra=""):
    rows = "".join(f'<{tag} type="{protocol}"><hostname>{host}</hostname><port>{port}</port><socketType>{socket_type}</socketType>'
                   f"<username>{user}</username><authentication>password-cleartext</authentication></{tag}>"
                   for tag, protocol, port in (("incomingServer", "imap", 993), ("incomingServer", "pop3", 995),
                                               ("outgoingServer", "smtp", 465)))
    return (f'<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="x"><displayName>{name}</displayName>'
            f"{rows}{extra}</emailProvider></clientConfig>")


def autodiscover(host):
    rows = "".join(f"<Protocol><Type>{kind}</Type><Server>{host}</Server><Port>{port}</Port><SSL>on</SSL></Protocol>"
                   for kind, port in (("IMAP", 993), ("POP3", 995), ("SMTP", 465)))
    return f"<Autodiscover><Response><Account>{rows}</Account></Response></Autodiscover>"


def all_settled(out, method, host, foreign=False):
    assert out.code == 0, out.stderr
    assert out.places() == [(p, host, port, "tls", method) for p, port in EVERY]
    assert all(s["foreign"] == foreign and s["auth"] == ["password"] for s in out.result["servers"])


def srv(domain, host):
    return {f"_{service}._tcp.{domain}": {"SRV": [(0, 1, port, host)]}
            for service, port in (("imaps", 993), ("pop3s", 995), ("submissions", 465))}


def test_srv(discover):
    zone = {"firm.example": {}, "m1.firm.example": {"A": [HOST]}, **srv("firm.example", "m1.firm.example")}
    out = discover(World(zone, servers("m1.firm.example")), "salma@firm.example", "--json", "--explain")
    all_settled(out, "srv", "m1.firm.example")
    assert {s["user"] for s in out.result["servers"]} == {"salma@firm.example"}
    assert not any(s["dnssec"] for s in out.result["servers"])


def test_srv_with_starttls(discover):
    zone = {"m1.firm.example": {"A": [HOST]}}
    zone.update({f"_{service}._tcp.firm.example": {"SRV": [(0, 1, port, "m1.firm.example")]}
                 for service, port in (("imap", 143), ("pop3", 110), ("submission", 587))})
    mail = [Mail(p, HOST, "m1.firm.example", how="starttls", mechanisms="PLAIN XOAUTH2") for p, _ in EVERY]
    out = discover(World(zone, mail), "salma@firm.example", "--json", "--explain")
    assert out.places() == [("imap", "m1.firm.example", 143, "starttls", "srv"), ("pop3", "m1.firm.example", 110, "starttls", "srv"),
                            ("smtp", "m1.firm.example", 587, "starttls", "srv")]
    assert all(s["auth"] == ["password", "oauth2"] for s in out.result["servers"])


def test_srv_with_a_port_and_by_priority(discover):
    zone = {"m1.firm.example": {"A": [HOST]}, "m2.firm.example": {"A": [HOST]},
            "_imaps._tcp.firm.example": {"SRV": [(20, 1, 993, "m1.firm.example"), (10, 1, 4993, "m2.firm.example")]}}
    mail = [Mail("imap", HOST, "m1.firm.example"), Mail("imap", HOST, "m2.firm.example", port=4993)]
    out = discover(World(zone, mail), "salma@firm.example", "--json", "--explain")
    assert [p[1:3] for p in out.places()] == [("m2.firm.example", 4993), ("m1.firm.example", 993)]


def test_signed_srv_may_lead_elsewhere(discover):
    zone = {"m1.hoster.example": {"A": [HOST]}, **srv("firm.example", "m1.hoster.example")}
    out = discover(World(zone, servers("m1.hoster.example"), signed=True), "salma@firm.example", "--json", "--explain")
    all_settled(out, "srv", "m1.hoster.example")
    assert all(s["dnssec"] for s in out.result["servers"])


@pytest.mark.parametrize("method, name, path", [
    ("autoconfig", "autoconfig.firm.example", "/mail/config-v1.1.xml"),
    ("well-known", "firm.example", "/.well-known/autoconfig/mail/config-v1.1.xml"),
    ("ispdb", "autoconfig.thunderbird.net", "/v1.1/firm.example"),
])
def test_autoconfig(discover, method, name, path):
    zone = {"firm.example": {}, "m1.firm.example": {"A": [HOST]}, name: {"A": [SITE]}}
    web = Web(SITE, {name: {path: Page(autoconfig("m1.%EMAILDOMAIN%", "%EMAILLOCALPART%"))}})
    out = discover(World(zone, servers("m1.firm.example"), [web]), "salma+tag@firm.example", "--json", "--explain")
    all_settled(out, method, "m1.firm.example")
    assert {s["user"] for s in out.result["servers"]} == {"salma+tag"}
    assert out.result["provider"] == {"id": "", "name": "The Firm"}
    request = next(r for r in out.requests if r[0] == name and r[1].split(" ")[1].startswith(path))
    told = "?emailaddress=salma%2Btag%40firm.example" if method != "ispdb" else ""
    assert request[1] == f"GET {path}{told} HTTP/1.1"


def test_the_database_is_told_the_domain_only(discover):
    zone = {"firm.example": {}, "autoconfig.thunderbird.net": {"A": [SITE]}}
    out = discover(World(zone, web=[Web(SITE, {"autoconfig.thunderbird.net": {}})]), "salma@firm.example", "--json", "--explain")
    assert out.code == 69 and [r[1] for r in out.requests] == ["GET /v1.1/firm.example HTTP/1.1"]
    assert b"salma" not in out.received


def test_pacc(discover):
    zone = {"_pacc._https.firm.example": {"SRV": [(0, 0, 443, "pacc.hoster.example")]}, "pacc.hoster.example": {"A": [SITE]},
            "m1.firm.example": {"A": [HOST]}}
    document = ('{"servers":{"imap":{"url":"imaps://m1.firm.example","authentication":["sasl-PLAIN"]},"pop3":{"url":'
                '"pop3s://m1.firm.example"},"smtp":{"url":"submissions://m1.firm.example"}},"provider":{"name":"The Firm"}}')
    web = Web(SITE, {"pacc.hoster.example": {"/.well-known/pacc.json": Page(document)}})
    out = discover(World(zone, servers("m1.firm.example"), [web]), "salma@firm.example", "--json", "--explain")
    all_settled(out, "pacc", "m1.firm.example")


@pytest.mark.parametrize("name", ["autodiscover.firm.example", "firm.example"])
def test_autodiscover(discover, name):
    zone = {"firm.example": {}, "m1.firm.example": {"A": [HOST]}, name: {"A": [SITE]}}
    web = Web(SITE, {name: {"/autodiscover/autodiscover.xml": Page(autodiscover("m1.firm.example"))}})
    out = discover(World(zone, servers("m1.firm.example"), [web]), "salma@firm.example", "--json", "--explain")
    all_settled(out, "autodiscover", "m1.firm.example")
    assert b"<EMailAddress>salma@firm.example</EMailAddress>" in out.received


@pytest.mark.parametrize("name", ["mail.firm.example", "firm.example"])
def test_common_names(discover, name):
    out = discover(World({name: {"A": [HOST]}}, servers(name)), "salma@firm.example", "--json", "--explain")
    all_settled(out, "guess", name)


def test_common_names_of_each_protocol(discover):
    zone = {f"{p}.firm.example": {"A": [f"198.51.100.{i}"]} for i, p in enumerate(("imap", "pop", "submission"))}
    mail = [Mail("imap", "198.51.100.0", "imap.firm.example"), Mail("pop3", "198.51.100.1", "pop.firm.example", how="starttls"),
            Mail("smtp", "198.51.100.2", "submission.firm.example", how="starttls")]
    out = discover(World(zone, mail), "salma@firm.example", "--json", "--explain")
    assert out.places() == [("imap", "imap.firm.example", 993, "tls", "guess"), ("pop3", "pop.firm.example", 110, "starttls", "guess"),
                            ("smtp", "submission.firm.example", 587, "starttls", "guess")]


def provider_world(**more):
    zone = {n: {"A": [HOST]} for n in ("imap.fastmail.com", "pop.fastmail.com", "smtp.fastmail.com")}
    mail = [Mail("imap", HOST, "imap.fastmail.com", mechanisms="PLAIN OAUTHBEARER"), Mail("pop3", HOST, "pop.fastmail.com"),
            Mail("smtp", HOST, "smtp.fastmail.com")]
    return World({**zone, **more}, mail)


def test_our_table_asks_nobody_else(discover):
    out = discover(provider_world(), "salma@fastmail.com", "--json", "--explain")
    assert out.code == 0 and out.result["provider"] == {"id": "fastmail", "name": "Fastmail"}
    assert [(p[0], p[1], p[4]) for p in out.places()] == [
        ("imap", "imap.fastmail.com", "table"), ("pop3", "pop.fastmail.com", "table"), ("smtp", "smtp.fastmail.com", "table")]
    assert out.why("domain") == ["not-needed"]
    # names of its servers and the root's keys: nothing that tells who asks, and no other server
    assert {name.split(b"\x08fastmail")[0] for name, _ in out.asked} == {b"\0", b"\4imap", b"\3pop", b"\4smtp"}
    assert "oauth-or-app-password" in out.note_ids()


@pytest.mark.parametrize("signed", [False, True])
def test_the_provider_that_the_mx_shows(discover, signed):
    what = provider_world(**{"firm.example": {"MX": [(20, "other.example"), (10, "in1-smtp.messagingengine.com")]}})
    what.signed = signed
    out = discover(what, "salma@firm.example", "--json", "--explain")
    assert out.code == 0 and out.result["provider"]["id"] == "fastmail"
    assert {(s["method"], s["foreign"]) for s in out.result["servers"]} == {("mx-table", not signed)}
    assert {s["user"] for s in out.result["servers"]} == {"salma@firm.example"}
    assert "oauth-or-app-password" in out.note_ids()


@pytest.mark.parametrize("method, name, path", [
    ("mx-autoconfig", "autoconfig.hoster.example", "/mail/config-v1.1.xml"),
    ("mx-ispdb", "autoconfig.thunderbird.net", "/v1.1/hoster.example"),
])
def test_documents_of_the_mx_domain(discover, method, name, path):
    zone = {"firm.example": {"MX": [(10, "mx7.in.hoster.example")]}, "m1.hoster.example": {"A": [HOST]}, name: {"A": [SITE]}}
    web = Web(SITE, {name: {path: Page(autoconfig("m1.hoster.example"))}})
    out = discover(World(zone, servers("m1.hoster.example"), [web]), "salma@firm.example", "--json", "--explain")
    all_settled(out, method, "m1.hoster.example", foreign=True)


def test_pacc_of_the_mx(discover):
    zone = {"firm.example": {"MX": [(10, "mx7.hoster.example")]}, "m1.hoster.example": {"A": [HOST]},
            "_paccmx._https.mx7.hoster.example": {"SRV": [(0, 0, 443, "pacc.hoster.example")]}, "pacc.hoster.example": {"A": [SITE]}}
    web = Web(SITE, {"pacc.hoster.example": {"/.well-known/pacc.json": Page(
        '{"servers":{"imap":{"url":"imaps://m1.hoster.example"}}}')}})
    out = discover(World(zone, servers("m1.hoster.example"), [web]), "salma@firm.example", "--json", "--explain")
    assert out.places() == [("imap", "m1.hoster.example", 993, "tls", "mx-pacc")]


@pytest.mark.parametrize("status, body, there", [(401, "", True), (200, '{"capabilities":{}}', True), (200, "<html>", False), (404, "", False)])
def test_jmap_is_a_note(discover, status, body, there):
    zone = {"firm.example": {"A": [SITE]}}
    web = Web(SITE, {"firm.example": {"/.well-known/jmap": Page(body, status)}})
    out = discover(World(zone, web=[web]), "salma@firm.example", "--json", "--explain")
    assert ("has-jmap" in out.note_ids()) == there and out.code == 69


def test_pop3_alone(discover):
    zone = {"pop3.firm.example": {"A": [HOST]}}
    out = discover(World(zone, [Mail("pop3", HOST, "pop3.firm.example")]), "salma@firm.example", "--json", "--explain")
    assert out.code == 0 and out.places() == [("pop3", "pop3.firm.example", 995, "tls", "guess")]


def test_idn(discover):
    """Native spelling for people, A-labels on the wire."""
    domain = ascii_name("بريد.إختبار")
    zone = {domain: {}, f"m1.{domain}": {"A": [HOST]}, **srv(domain, f"m1.{domain}")}
    out = discover(World(zone, servers(f"m1.{domain}")), "سلمى@بريد.إختبار", "--json", "--explain")
    all_settled(out, "srv", f"m1.{domain}")
    assert {s["host_shown"] for s in out.result["servers"]} == {"m1.بريد.إختبار"}
    assert {s["user"] for s in out.result["servers"]} == {"سلمى@بريد.إختبار"}
    assert out.result["domain"] == domain


def test_two_sources_agree(discover):
    """One server, one call; the better source is named."""
    zone = {"firm.example": {}, "imap.firm.example": {"A": [HOST]}, "autoconfig.firm.example": {"A": [SITE]},
            **srv("firm.example", "imap.firm.example")}
    web = Web(SITE, {"autoconfig.firm.example": {"/mail/config-v1.1.xml": Page(autoconfig("imap.firm.example", "%EMAILLOCALPART%"))}})
    out = discover(World(zone, servers("imap.firm.example"), [web]), "salma@firm.example", "--json", "--explain")
    all_settled(out, "autoconfig", "imap.firm.example")
    assert {s["user"] for s in out.result["servers"]} == {"salma"}


def test_a_redirect_to_https_is_followed(discover):
    zone = {"firm.example": {}, "autoconfig.firm.example": {"A": [SITE]}, "www.hoster.example": {"A": [SITE]},
            "m1.firm.example": {"A": [HOST]}}
    web = Web(SITE, {"autoconfig.firm.example": {"/mail/config-v1.1.xml": Page("", 302, {"Location": "https://www.hoster.example/c.xml"})},
                     "www.hoster.example": {"/c.xml": Page(autoconfig("m1.firm.example"))}})
    out = discover(World(zone, servers("m1.firm.example"), [web]), "salma@firm.example", "--json", "--explain")
    all_settled(out, "autoconfig", "m1.firm.example")


def test_own_servers_may_be_inside(discover):
    """A firm's mail server in its own network is reached under its own name."""
    zone = {"firm.example": {}, "imap.firm.example": {"A": ["10.1.2.3"]}}
    out = discover(World(zone, [Mail("imap", "10.1.2.3", "imap.firm.example")]), "salma@firm.example", "--json", "--explain")
    assert out.places() == [("imap", "imap.firm.example", 993, "tls", "guess")]


def test_the_next_address_when_the_first_is_dead(discover):
    zone = {"imap.firm.example": {"A": ["198.51.100.99", HOST], "AAAA": ["2001:db8::99"]}}
    out = discover(World(zone, [Mail("imap", HOST, "imap.firm.example")]), "salma@firm.example", "--json", "--explain")
    assert out.places() == [("imap", "imap.firm.example", 993, "tls", "guess")]


def test_a_resolver_that_is_named(discover):
    zone = {"imap.firm.example": {"A": [HOST]}}
    out = discover(World(zone, [Mail("imap", HOST, "imap.firm.example")]), "salma@firm.example", "--json", "--resolver", "127.0.0.53@53")
    assert out.code == 0
    out = discover(World(zone, [Mail("imap", HOST, "imap.firm.example")]), "salma@firm.example", "--json", "--resolver", "127.0.0.54")
    assert out.code == 75 and out.result["network_down"]
