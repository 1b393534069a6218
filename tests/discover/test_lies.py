"""Every lie in every method: refused in words, within bounds, and nothing but TLS comes out."""
import time

import pytest
from test_methods import HOST, SITE, autoconfig, autodiscover, servers, srv
from world import Mail, Page, Web, World

ADDRESS = ("salma@firm.example", "--json", "--explain")
CONFIG = "/mail/config-v1.1.xml"
GOOD = {"m1.firm.example": {"A": [HOST]}}


def nothing(out, code=69):
    assert out.code == code and out.places() == [], out.stdout
    assert all(s["security"] in ("tls", "starttls") for s in out.result["servers"])


def site(page, name="autoconfig.firm.example", path=CONFIG, **more):
    return [Web(SITE, {name: {path: page}}, **more)]


def autoconfig_world(page, zone=None, mail=None, **more):
    return World({"firm.example": {}, "autoconfig.firm.example": {"A": [SITE]}, **GOOD, **(zone or {})},
                 servers("m1.firm.example") if mail is None else mail, site(page, **more))


# ---- mail servers ----

@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
@pytest.mark.parametrize("how, why", [
    ("tls-other", "bad-certificate"), ("tls-self", "bad-certificate"), ("starttls-other", "bad-certificate"), ("plain", "plain-only"),
    ("plain-first", "not-protocol"), ("inject", "injected"), ("garbage", "not-protocol"), ("no-login", "no-login"),
])
def test_a_bad_mail_server(discover, protocol, how, why):
    kind = how.split("-")[0] if how[:3] in ("tls", "sta") else how
    server = Mail(protocol, HOST, "m1.firm.example", how=kind, cert="other.example" if "other" in how else None, trusted="self" not in how)
    service = {"imap": "imap", "pop3": "pop3", "smtp": "submission"}[protocol] + ("" if server.starttls else "s")
    zone = {**GOOD, f"_{service}._tcp.firm.example": {"SRV": [(0, 1, server.port, "m1.firm.example")]}}
    out = discover(World(zone, [server]), *ADDRESS)
    nothing(out)
    assert out.why("check", f"{protocol} m1.firm.example:") == [why]


@pytest.mark.parametrize("how, why, code", [("preauth", "preauth", 69), ("endless", "not-protocol", 69), ("silent", "late", 75), ("drip", "late", 75)])
def test_a_strange_imap_server(discover, how, why, code):
    zone = {**GOOD, "_imaps._tcp.firm.example": {"SRV": [(0, 1, 993, "m1.firm.example")]}}
    out = discover(World(zone, [Mail("imap", HOST, "m1.firm.example", how=how)]), *ADDRESS)
    nothing(out, code)
    assert out.why("check", "imap m1") == [why]


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_a_busy_server_is_worth_another_try(discover, protocol):
    mail = [Mail(protocol, HOST, "m1.firm.example", how="busy")]
    out = discover(World({**GOOD, **srv("firm.example", "m1.firm.example")}, mail), *ADDRESS)
    nothing(out, 75)
    assert out.why("check", f"{protocol} m1") == ["unreachable"]


def test_another_protocol_at_the_port(discover):
    zone = {**GOOD, "_imaps._tcp.firm.example": {"SRV": [(0, 1, 465, "m1.firm.example")]}}
    out = discover(World(zone, [Mail("smtp", HOST, "m1.firm.example")]), *ADDRESS)
    nothing(out)
    assert out.why("check", "imap m1") == ["not-protocol"]


def test_nobody_answers(discover):
    """Known by name but not reachable: worth another try."""
    out = discover(World({**GOOD, **srv("firm.example", "m1.firm.example")}), *ADDRESS)
    nothing(out, 75)
    assert [p[0] for p in out.places(settled=False)] == ["imap", "pop3", "smtp"]


def test_one_bad_server_does_not_hide_the_good_one(discover):
    zone = {**GOOD, "imap.firm.example": {"A": ["198.51.100.11"]}, "_imaps._tcp.firm.example": {"SRV": [(0, 1, 993, "m1.firm.example")]}}
    mail = [Mail("imap", HOST, "m1.firm.example", cert="other.example"), Mail("imap", "198.51.100.11", "imap.firm.example")]
    out = discover(World(zone, mail), *ADDRESS)
    assert out.places() == [("imap", "imap.firm.example", 993, "tls", "guess")]


# ---- DNS ----

@pytest.mark.parametrize("record, why", [
    ((0, 0, 0, ""), "not-offered"), (b"\0\0\0\1\3\341\0\0", "bad-name"),
    ((0, 1, 993, (b"..",)), "bad-name"),
    ((0, 1, 993, (b"a\x1b[31m", b"example")), "bad-name"), ((0, 1, 993, (b"a.b\0c", b"example")), "bad-name"),
    ((0, 1, 0, "m1.firm.example"), "bad-name"), ((0, 1, 993, "localhost"), "bad-name"), (b"\0\1\0\1\3", "unreachable"),
    ((0, 1, 993, "127.0.0.1"), "bad-name"),
])
def test_a_bad_srv_record(discover, record, why):
    zone = {**GOOD, "_imaps._tcp.firm.example": {"SRV": [record]}}
    out = discover(World(zone, servers("m1.firm.example")), *ADDRESS)
    nothing(out)
    assert out.why("srv", "_imaps") == [why]


def test_unsigned_srv_to_a_stranger_has_to_be_confirmed(discover):
    zone = {"m1.stranger.example": {"A": [HOST]}, **srv("firm.example", "m1.stranger.example")}
    out = discover(World(zone, servers("m1.stranger.example")), *ADDRESS)
    assert out.code == 0 and all(s["foreign"] and s["settled"] for s in out.result["servers"])
    out = discover(World(zone, servers("m1.stranger.example")), "salma@firm.example")
    assert "m1.stranger.example does not belong to firm.example" in out.stdout


def test_srv_into_a_private_network(discover):
    zone = {"m1.stranger.example": {"A": ["10.0.0.5"]}, "_imaps._tcp.firm.example": {"SRV": [(0, 1, 993, "m1.stranger.example")]}}
    out = discover(World(zone, [Mail("imap", "10.0.0.5", "m1.stranger.example")]), *ADDRESS)
    nothing(out)
    assert out.why("check", "imap m1") == ["private"] and out.received == b""


def test_forged_signatures(discover):
    zone = {**GOOD, **srv("firm.example", "m1.firm.example")}
    out = discover(World(zone, servers("m1.firm.example"), signed=True, forged=["_imaps._tcp.firm.example"]), *ADDRESS)
    assert out.why("srv", "_imaps") == ["forged"]
    assert [p[0] for p in out.places()] == ["pop3", "smtp"]


def test_a_forged_address(discover):
    zone = {**GOOD, **srv("firm.example", "m1.firm.example")}
    out = discover(World(zone, servers("m1.firm.example"), signed=True, forged=["m1.firm.example"]), *ADDRESS)
    nothing(out)
    assert out.why("check", "imap m1") == ["forged"] and out.received == b""


def test_a_hundred_srv_records(discover):
    """Long answers come by TCP; three of them are called up."""
    zone = {f"m{i}.firm.example": {"A": [HOST]} for i in range(100)}
    zone["_imaps._tcp.firm.example"] = {"SRV": [(i, 1, 993, f"m{i}.firm.example") for i in range(100)]}
    out = discover(World(zone, [Mail("imap", HOST, "m0.firm.example")]), *ADDRESS)
    assert out.places() == [("imap", "m0.firm.example", 993, "tls", "srv")]
    assert len([s for s in out.result["trail"] if s["method"] == "check"]) == 3


def test_no_domain(discover):
    out = discover(World({"other.example": {}}), *ADDRESS)
    nothing(out, 68)
    assert not out.result["domain_exists"] and "no domain firm.example" in out.stderr


@pytest.mark.parametrize("mode", ["dead", "broken", "absent"])
def test_no_network(discover, mode):
    out = discover(World({}, dns_mode=mode), *ADDRESS)
    nothing(out, 75)
    assert out.result["network_down"] and "No DNS server answered" in out.stderr


def test_null_mx(discover):
    out = discover(World({"firm.example": {"MX": [(0, "")]}}), *ADDRESS)
    nothing(out)
    assert "null-mx" in out.note_ids()


def test_an_mx_that_looks_like_a_provider(discover):
    zone = {"firm.example": {"MX": [(10, "aspmx.l.google.com.evil.example")]}, "imap.gmail.com": {"A": [HOST]}}
    out = discover(World(zone, [Mail("imap", HOST, "imap.gmail.com")]), *ADDRESS)
    nothing(out)
    assert out.result["provider"]["id"] == ""


# ---- documents ----

def bomb():
    rows = "".join(f'<!ENTITY a{i} "{"&a%d;" % (i - 1) * 10}">' for i in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "haha">{rows}]><clientConfig>&a9;</clientConfig>'


def endless(peer):
    while True:
        peer.send(b"<!-- and so on, and so on, and so on -->" * 1000)


def slow(peer):
    peer.drip(autoconfig("m1.firm.example").encode(), 0.2)


@pytest.mark.parametrize("page, why", [
    (Page(bomb()), "entities"),
    (Page('<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><clientConfig>&f;</clientConfig>'), "entities"),
    (Page("<x>" * 100000), "too-big"), (Page("<x>" * 10000), "garbage"), (Page(b"\0\1\2\xff" * 1000), "garbage"),
    (Page("<html><body>Welcome</body></html>"), "garbage"), (Page(""), "garbage"), (Page(endless), "too-big"), (Page(slow), "late"),
    (Page(b"x" * (10 << 20)), "too-big"), (Page("", 401), "wants-password"), (Page("", 500), "http-status"),
    (Page("", 404), "not-there"), (Page("", 200, {f"X-{i}": "y" * 1000 for i in range(100)}), "too-big"),
    (Page("", 200, {"X-Long": "y" * 200000}), "unreachable"),
    (Page(autoconfig("m1.firm.example", socket_type="plain")), "plain-only"),
    (Page(autoconfig("127.0.0.1")), "bad-name"), (Page(autoconfig("m1&#10;.firm.example")), "bad-name"),
    (Page(autoconfig("m1.firm.example", user="a&#13;&#10;b LOGIN x y")), "bad-name"), (Page(autoconfig("..")), "bad-name"),
    (Page(autoconfig("m1.firm\x1b[2J.example")), "garbage"),
], ids=str)
def test_a_bad_document(discover, page, why):
    out = discover(autoconfig_world(page), *ADDRESS)
    nothing(out)
    assert out.why("autoconfig") [:1] == [why]


@pytest.mark.parametrize("location, why", [
    ("http://autoconfig.firm.example/c.xml", "redirect-plain"), ("https://autoconfig.firm.example:8443/", "redirect-plain"),
    ("ftp://x.example/", "redirect-plain"), ("file:///etc/passwd", "redirect-plain"), ("https://127.0.0.1/c.xml", "redirect-private"),
    ("https://[::1]/c.xml", "redirect-private"), ("https://198.51.100.80/c.xml", "redirect-private"),
    ("https://inside.stranger.example/c.xml", "redirect-private"), ("https://inside.firm.example/c.xml", "redirect-private"),
    (CONFIG, "redirects"), ("https://u:p@www.firm.example/", "bad-name"), ("https://nowhere.example/", "not-there"),
])
def test_a_bad_redirect(discover, location, why):
    zone = {"inside.stranger.example": {"A": ["10.0.0.5"]}, "inside.firm.example": {"A": ["127.0.0.1"]}}
    out = discover(autoconfig_world(Page("", 302, {"Location": location}), zone), *ADDRESS)
    nothing(out)
    assert out.why("autoconfig") == [why]
    assert len(out.requests) == (4 if why == "redirects" else 1)


@pytest.mark.parametrize("over", [0, 1])
def test_the_largest_document(discover, over):
    document = autoconfig("m1.firm.example")
    size = (256 << 10) + over
    out = discover(autoconfig_world(Page(document + "\n" * (size - len(document)))), *ADDRESS)
    assert out.why("autoconfig") == (["too-big"] if over else ["found"]) and out.code == (69 if over else 0)


@pytest.mark.parametrize("hops", [3, 4])
def test_the_most_redirects(discover, hops):
    pages = {f"/{i}": Page("", 301 + i % 2, {"Location": f"/{i + 1}"}) for i in range(1, hops)}
    pages[CONFIG] = Page("", 307, {"Location": "/1"})
    pages[f"/{hops}"] = Page(autoconfig("m1.firm.example"))
    zone = {"firm.example": {}, "autoconfig.firm.example": {"A": [SITE]}, **GOOD}
    out = discover(World(zone, servers("m1.firm.example"), [Web(SITE, {"autoconfig.firm.example": pages})]), *ADDRESS)
    assert out.why("autoconfig") == (["found"] if hops == 3 else ["redirects"])
    assert len(out.requests) == 4


@pytest.mark.parametrize("more", [{"bad": ["autoconfig.firm.example"]}, {"own": ["autoconfig.firm.example"]}])
def test_a_document_behind_a_bad_certificate(discover, more):
    out = discover(autoconfig_world(Page(autoconfig("m1.firm.example")), **more), *ADDRESS)
    nothing(out)
    assert out.why("autoconfig") == ["bad-certificate"] and out.requests == [] and b"salma" not in out.received


def test_a_document_that_names_a_stranger(discover):
    out = discover(autoconfig_world(Page(autoconfig("m1.stranger.example")), {"m1.stranger.example": {"A": [HOST]}},
                                    servers("m1.stranger.example")), *ADDRESS)
    assert out.code == 0 and all(s["foreign"] for s in out.result["servers"])


def test_a_document_that_names_hundreds(discover):
    row = ('<incomingServer type="imap"><hostname>h{}.firm.example</hostname><port>993</port><socketType>SSL</socketType></incomingServer>')
    document = "<clientConfig><emailProvider>" + "".join(row.format(i) for i in range(300)) + "</emailProvider></clientConfig>"
    out = discover(autoconfig_world(Page(document)), *ADDRESS)
    nothing(out)
    assert out.why("autoconfig") == ["found", "too-many"]
    assert len([s for s in out.result["trail"] if s["method"] == "check"]) == 8


def test_names_for_a_terminal(discover):
    """What a stranger writes does not steer the terminal."""
    page = Page(autoconfig("m1.firm.example", name="Evil\u202eltd&#155;31m\u009b"))
    out = discover(autoconfig_world(page), "salma@firm.example", "--explain")
    assert out.code == 0
    assert not any(c < " " and c != "\n" or "\x7f" <= c < "\xa0" or "\u202a" <= c <= "\u202e" for c in out.stdout)


def test_bad_autodiscover(discover):
    for page, why in ((Page("", 401), "wants-password"), (Page(autodiscover("127.0.0.1")), "bad-name"), (Page(bomb()), "entities"),
                      (Page("", 302, {"Location": "http://autodiscover.firm.example/x"}), "redirect-plain")):
        zone = {"firm.example": {}, "autodiscover.firm.example": {"A": [SITE]}}
        out = discover(World(zone, web=site(page, "autodiscover.firm.example", "/autodiscover/autodiscover.xml")), *ADDRESS)
        nothing(out)
        assert out.why("autodiscover", "https://autodiscover.") == [why]


def test_bad_pacc(discover):
    zone = {"_pacc._https.firm.example": {"SRV": [(0, 0, 443, "pacc.firm.example")]}, "pacc.firm.example": {"A": [SITE]}}
    for document, why in (('{"servers":{"imap":{"url":"imap://m1.firm.example"}}}', "plain-only"), ("[" * 100000, "garbage"), ("{", "garbage"),
                          ('{"servers":{"imap":{"url":"imaps://127.0.0.1"}}}', "bad-name")):
        out = discover(World(zone, web=site(Page(document), "pacc.firm.example", "/.well-known/pacc.json")), *ADDRESS)
        nothing(out)
        assert out.why("pacc") == [why]
    zone["_pacc._https.firm.example"] = {"SRV": [(0, 0, 8443, "pacc.firm.example")]}
    assert discover(World(zone), *ADDRESS).why("pacc") == ["bad-name"]


def test_everything_hangs(discover):
    """Slow everywhere: DNS answers, and then nobody says anything. The program ends by itself."""
    def hang(peer):
        peer.hang()
    names = ["autoconfig.firm.example", "firm.example", "autodiscover.firm.example", "autoconfig.thunderbird.net"]
    zone = {n: {"A": [SITE]} for n in names}
    zone.update({f"{n}.firm.example": {"A": [HOST]} for n in ("imap", "mail", "pop", "pop3", "smtp", "submission")})
    paths = [CONFIG, "/.well-known/autoconfig/mail/config-v1.1.xml", "/autodiscover/autodiscover.xml", "/v1.1/firm.example",
             "/.well-known/jmap"]
    mail = [Mail(p, HOST, "mail.firm.example", how="silent") for p in ("imap", "pop3", "smtp")]
    began = time.monotonic()
    out = discover(World(zone, mail, [Web(SITE, {n: {p: Page(hang) for p in paths} for n in names})]), *ADDRESS)
    nothing(out)
    print(f"all hangs: {time.monotonic() - began:.1f} s with the world around it")

