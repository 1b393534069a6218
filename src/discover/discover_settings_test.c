/* Documents of providers: as published, broken, and hostile. */
#include "discover/settings.h"

#include "base/buf.h"
#include "base/test.h"
#include "discover/xml.h"

#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct name name;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4u << 20);
    assert_ok(name_read(slice_of("salma@firm.example"), &arena, &name));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

#define CONFIG(inside)                                                                             \
    "<?xml version=\"1.0\"?><clientConfig version=\"1.1\"><emailProvider id=\"firm.example\">"     \
    "<domain>firm.example</domain><displayName>The Firm</displayName>" inside                      \
    "</emailProvider></clientConfig>"
#define IMAP(host, port, socket, user)                                                             \
    "<incomingServer type=\"imap\"><hostname>" host "</hostname><port>" port                       \
    "</port><socketType>" socket "</socketType><username>" user                                    \
    "</username><authentication>password-cleartext</authentication></incomingServer>"
#define GOOD IMAP("imap.firm.example", "993", "SSL", "%EMAILADDRESS%")

typedef enum discover_why (*read_fn)(
    struct slice, const struct name *, struct arena *, struct settings *);

struct row {
    const char *row, *document;
    enum discover_why why;
    const char *servers; /* when found */
};

/* "imap tls host:port user 1;" for each */
static const char *as_text(const struct settings *settings)
{
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < settings->count; i++) {
        const struct settings_server *s = &settings->servers[i];
        buf_addf(&out, "%s %s %.*s:%d %.*s %u;", discover_protocol_name(s->protocol),
            discover_security_name(s->security), SLICE_FMT(s->host), s->port, SLICE_FMT(s->user),
            s->auth);
    }
    const char *text = slice_cstr(&arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static void check_rows(read_fn read, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct settings settings = { .provider = SLICE_EMPTY };
        enum discover_why why = read(slice_of(rows[i].document), &name, &arena, &settings);
        if (why != rows[i].why)
            fail_msg("%s: %s, wanted %s", rows[i].row, discover_why_name(why),
                discover_why_name(rows[i].why));
        if (why == DISCOVER_FOUND)
            assert_slice(rows[i].row, slice_of(as_text(&settings)), slice_of(rows[i].servers));
    }
}

static void autoconfig(void **state)
{
    static const struct row rows[] = {
        { "one server", CONFIG(GOOD), DISCOVER_FOUND,
            "imap tls imap.firm.example:993 salma@firm.example 1;" },
        { "all three",
            CONFIG(GOOD "<incomingServer type='pop3'><hostname>pop.%EMAILDOMAIN%</hostname>"
                        "<port>110</port><socketType>STARTTLS</socketType><username>"
                        "%EMAILLOCALPART%</username><authentication>OAuth2</authentication>"
                        "<authentication>password-encrypted</authentication></incomingServer>"
                        "<outgoingServer type='smtp'><hostname>smtp.firm.example</hostname>"
                        "<port>465</port><socketType>SSL</socketType></outgoingServer>"),
            DISCOVER_FOUND,
            "imap tls imap.firm.example:993 salma@firm.example 1;"
            "pop3 starttls pop.firm.example:110 salma 3;"
            "smtp tls smtp.firm.example:465 salma@firm.example 0;" },
        { "unknown elements, an IDN host",
            CONFIG("<x><y/></x><incomingServer type='exchange'/>" IMAP(
                "بريد.إختبار", " 993 ", "SSL", "x")),
            DISCOVER_FOUND, "imap tls xn--ngbof4h.xn--kgbechtv:993 x 1;" },
        { "no TLS", CONFIG(IMAP("imap.firm.example", "143", "plain", "x")), DISCOVER_PLAIN_ONLY,
            NULL },
        { "nothing said of TLS", CONFIG(IMAP("imap.firm.example", "143", "", "x")),
            DISCOVER_PLAIN_ONLY, NULL },
        { "one without, one with TLS", CONFIG(IMAP("a.firm.example", "143", "plain", "x") GOOD),
            DISCOVER_FOUND, "imap tls imap.firm.example:993 salma@firm.example 1;" },
        { "port 0", CONFIG(IMAP("imap.firm.example", "0", "SSL", "x")), DISCOVER_BAD_NAME, NULL },
        { "port 65536", CONFIG(IMAP("a.firm.example", "65536", "SSL", "x")), DISCOVER_BAD_NAME,
            NULL },
        { "port -1", CONFIG(IMAP("a.firm.example", "-1", "SSL", "x")), DISCOVER_BAD_NAME, NULL },
        { "no port", CONFIG(IMAP("a.firm.example", "", "SSL", "x")), DISCOVER_BAD_NAME, NULL },
        { "no host", CONFIG(IMAP("", "993", "SSL", "x")), DISCOVER_BAD_NAME, NULL },
        { "an address", CONFIG(IMAP("127.0.0.1", "993", "SSL", "x")), DISCOVER_BAD_NAME, NULL },
        { "localhost", CONFIG(IMAP("localhost", "993", "SSL", "x")), DISCOVER_BAD_NAME, NULL },
        { "dots", CONFIG(IMAP("..", "993", "SSL", "x")), DISCOVER_BAD_NAME, NULL },
        { "a line end in the host", CONFIG(IMAP("a.firm&#10;.example", "993", "SSL", "x")),
            DISCOVER_BAD_NAME, NULL },
        { "a line end in the user", CONFIG(IMAP("a.firm.example", "993", "SSL", "x&#13;&#10;y")),
            DISCOVER_BAD_NAME, NULL },
        { "U+009B in the user", CONFIG(IMAP("a.firm.example", "993", "SSL", "x&#155;y")),
            DISCOVER_BAD_NAME, NULL },
        { "U+202E in the user", CONFIG(IMAP("a.firm.example", "993", "SSL", "x&#8238;y")),
            DISCOVER_BAD_NAME, NULL },
        { "a control character", CONFIG(IMAP("a\x1b.example", "993", "SSL", "x")), DISCOVER_GARBAGE,
            NULL },
        { "its reference", CONFIG(IMAP("a&#27;.example", "993", "SSL", "x")), DISCOVER_GARBAGE,
            NULL },
        { "an unknown placeholder", CONFIG(IMAP("a.firm.example", "993", "SSL", "%REALNAME%")),
            DISCOVER_BAD_NAME, NULL },
        { "an unknown entity", CONFIG(IMAP("&host;", "993", "SSL", "x")), DISCOVER_GARBAGE, NULL },
        { "a document type", "<!DOCTYPE clientConfig>" CONFIG(GOOD), DISCOVER_ENTITIES, NULL },
        { "a bomb of entities",
            "<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]>"
            "<clientConfig>&b;</clientConfig>",
            DISCOVER_ENTITIES, NULL },
        { "an external entity",
            "<!DOCTYPE x [<!ENTITY f SYSTEM "
            "\"file:///etc/passwd\">]><clientConfig>&f;</clientConfig>",
            DISCOVER_ENTITIES, NULL },
        { "no servers", CONFIG(""), DISCOVER_NO_SERVERS, NULL },
        { "empty", "", DISCOVER_GARBAGE, NULL },
        { "a page", "<html><body><p>Not found</body></html>", DISCOVER_GARBAGE, NULL },
        { "XHTML", "<html xmlns='http://www.w3.org/1999/xhtml'><body/></html>", DISCOVER_GARBAGE,
            NULL },
        { "cut", "<clientConfig><emailProvider>" GOOD, DISCOVER_GARBAGE, NULL },
        { "two roots", CONFIG(GOOD) "<x/>", DISCOVER_GARBAGE, NULL },
        { "not UTF-8", CONFIG(IMAP("a\xff.example", "993", "SSL", "x")), DISCOVER_GARBAGE, NULL },
    };
    (void)state;
    check_rows(autoconfig_read, rows, sizeof rows / sizeof rows[0]);
}

static void autoconfig_besides_servers(void **state)
{
    static const struct {
        const char *url, *page;
    } rows[] = {
        { "https://firm.example/on", "https://firm.example/on" },
        { "http://firm.example/on", "" },
        { "javascript:alert(1)", "" },
        { "https://firm.example/&#10;x", "" },
        { "https://firm.example/&quot;", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings settings;
        struct buf document;
        buf_init(&document, 0);
        buf_adds(&document, "<clientConfig><emailProvider><displayName>The Firm</displayName>"
                            "<enable visiturl=\"");
        buf_adds(&document, rows[i].url);
        buf_adds(&document,
            "\"><instruction>x</instruction></enable>" GOOD "</emailProvider></clientConfig>");
        assert_int_equal(
            autoconfig_read(buf_slice(&document), &name, &arena, &settings), DISCOVER_FOUND);
        buf_done(&document);
        assert_slice(rows[i].url, settings.switch_on, slice_of(rows[i].page));
        assert_slice(rows[i].url, settings.provider, SLICE("The Firm"));
    }
}

static void issuers(void **state)
{
    static const struct {
        const char *issuer, *wanted;
    } rows[] = {
        { "login.firm.example", "https://login.firm.example" },
        { "https://login.firm.example/x", "https://login.firm.example/x" },
        { "http://login.firm.example", "" },
        { "a\\b", "" },
        { "a b", "" },
        { "", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings settings;
        struct buf document;
        buf_init(&document, 0);
        buf_adds(&document, "<clientConfig><emailProvider>" GOOD "</emailProvider>");
        buf_addf(&document, "<oAuth2><issuer>%s</issuer><scope>imap smtp</scope></oAuth2>",
            rows[i].issuer);
        buf_adds(&document, "</clientConfig>");
        assert_int_equal(
            autoconfig_read(buf_slice(&document), &name, &arena, &settings), DISCOVER_FOUND);
        assert_slice(rows[i].issuer, settings.oauth_issuer, slice_of(rows[i].wanted));
        assert_slice(
            rows[i].issuer, settings.oauth_scope, slice_of(rows[i].wanted[0] ? "imap smtp" : ""));
        buf_clear(&document);
        buf_addf(&document,
            "{\"servers\":{\"imap\":{\"url\":\"imaps://imap.firm.example\"}},"
            "\"oAuth2\":{\"issuer\":\"%s\"}}",
            i == 3 ? "a\\\\b" : rows[i].issuer);
        assert_int_equal(pacc_read(buf_slice(&document), &name, &arena, &settings), DISCOVER_FOUND);
        assert_slice(rows[i].issuer, settings.oauth_issuer, slice_of(rows[i].wanted));
        buf_done(&document);
    }
}

static void as_many_as_fit(void **state)
{
    struct buf document;
    (void)state;
    for (size_t count = SETTINGS_SERVERS_MAX; count <= SETTINGS_SERVERS_MAX + 1; count++) {
        struct settings settings;
        buf_init(&document, 0);
        buf_adds(&document, "<clientConfig><emailProvider>");
        for (size_t i = 0; i < count; i++)
            buf_adds(&document, GOOD);
        buf_adds(&document, "</emailProvider></clientConfig>");
        assert_int_equal(
            autoconfig_read(buf_slice(&document), &name, &arena, &settings), DISCOVER_FOUND);
        assert_int_equal(settings.count, SETTINGS_SERVERS_MAX);
        assert_int_equal(settings.too_many, count - SETTINGS_SERVERS_MAX);
        buf_done(&document);
    }
}

/* At each limit of the tree, and one over. */
static void limits_of_xml(void **state)
{
    struct xml_node *root;
    struct buf document;
    (void)state;
    for (unsigned depth = XML_DEPTH_MAX; depth <= XML_DEPTH_MAX + 1; depth++) {
        buf_init(&document, 0);
        for (unsigned i = 0; i < depth; i++)
            buf_adds(&document, "<a>");
        for (unsigned i = 0; i < depth; i++)
            buf_adds(&document, "</a>");
        assert_int_equal(xml_read(buf_slice(&document), &arena, &root),
            depth > XML_DEPTH_MAX ? DISCOVER_GARBAGE : DISCOVER_FOUND);
        buf_done(&document);
    }
    for (unsigned nodes = XML_NODES_MAX; nodes <= XML_NODES_MAX + 1; nodes++) {
        buf_init(&document, 0);
        buf_adds(&document, "<a>");
        for (unsigned i = 1; i < nodes; i++)
            buf_adds(&document, "<b/>");
        buf_adds(&document, "</a>");
        assert_int_equal(xml_read(buf_slice(&document), &arena, &root),
            nodes > XML_NODES_MAX ? DISCOVER_GARBAGE : DISCOVER_FOUND);
        buf_done(&document);
    }
    for (unsigned len = XML_TEXT_BYTES_MAX; len <= XML_TEXT_BYTES_MAX + 1; len++) {
        buf_init(&document, 0);
        buf_adds(&document, "<a>");
        for (unsigned i = 0; i < len; i++)
            buf_adds(&document, "x");
        buf_adds(&document, "</a>");
        assert_int_equal(xml_read(buf_slice(&document), &arena, &root),
            len > XML_TEXT_BYTES_MAX ? DISCOVER_GARBAGE : DISCOVER_FOUND);
        buf_done(&document);
    }
    struct arena small;
    arena_init(&small, 100);
    assert_int_equal(xml_read(SLICE("<a><b/><c/></a>"), &small, &root), DISCOVER_TOO_BIG);
    arena_done(&small);
}

#define ANSWER(inside)                                                                             \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover "                                     \
    "xmlns=\"http://schemas.microsoft.com/"                                                        \
    "exchange/autodiscover/responseschema/2006\"><Response xmlns=\"http://schemas.microsoft.com/"  \
    "exchange/autodiscover/outlook/responseschema/2006a\"><Account><AccountType>email</"           \
    "AccountType>"                                                                                 \
    "<Action>settings</Action>" inside "</Account></Response></Autodiscover>"
#define PROTOCOL(type, port, more)                                                                 \
    "<Protocol><Type>" type "</Type><Server>mail.firm.example</Server><Port>" port "</Port>"       \
    "<LoginName>salma</LoginName>" more "</Protocol>"

static void autodiscover(void **state)
{
    static const struct row rows[] = {
        { "TLS", ANSWER(PROTOCOL("IMAP", "993", "<SSL>on</SSL>")), DISCOVER_FOUND,
            "imap tls mail.firm.example:993 salma 0;" },
        { "nothing said", ANSWER(PROTOCOL("POP3", "995", "")), DISCOVER_FOUND,
            "pop3 tls mail.firm.example:995 salma 0;" },
        { "Encryption TLS is STARTTLS",
            ANSWER(PROTOCOL("SMTP", "587", "<Encryption>TLS</Encryption>")), DISCOVER_FOUND,
            "smtp starttls mail.firm.example:587 salma 0;" },
        { "SSL on at a port of STARTTLS", ANSWER(PROTOCOL("IMAP", "143", "<SSL>on</SSL>")),
            DISCOVER_FOUND, "imap starttls mail.firm.example:143 salma 0;" },
        { "SSL off", ANSWER(PROTOCOL("IMAP", "143", "<SSL>off</SSL>")), DISCOVER_PLAIN_ONLY, NULL },
        { "Encryption None",
            ANSWER(PROTOCOL("IMAP", "993", "<SSL>on</SSL><Encryption>None</Encryption>")),
            DISCOVER_PLAIN_ONLY, NULL },
        { "Exchange only", ANSWER("<Protocol><Type>EXCH</Type><Server>x</Server></Protocol>"),
            DISCOVER_NO_SERVERS, NULL },
        { "a redirect", ANSWER("<RedirectUrl>https://evil.example/</RedirectUrl>"),
            DISCOVER_NO_SERVERS, NULL },
        { "an error",
            "<Autodiscover><Response><Error><ErrorCode>600</ErrorCode></Error></Response></"
            "Autodiscover>",
            DISCOVER_NO_SERVERS, NULL },
        { "another document", CONFIG(GOOD), DISCOVER_GARBAGE, NULL },
        { "a document type", "<!DOCTYPE a [<!ENTITY b 'c'>]>" ANSWER(""), DISCOVER_ENTITIES, NULL },
        { "prefixes",
            "<a:Autodiscover xmlns:a='x'><a:Response><a:Account><a:Protocol><a:Type>IMAP</a:Type>"
            "<a:Server>i.firm.example</a:Server><a:Port>993</a:Port></a:Protocol></a:Account>"
            "</a:Response></a:Autodiscover>",
            DISCOVER_FOUND, "imap tls i.firm.example:993 salma@firm.example 0;" },
    };
    (void)state;
    check_rows(autodiscover_read, rows, sizeof rows / sizeof rows[0]);
}

static void pacc(void **state)
{
    static const struct row rows[] = {
        { "all three",
            "{\"servers\":{\"imap\":{\"url\":\"imaps://imap.firm.example\",\"authentication\":"
            "[\"OAuth2\",\"sasl-PLAIN\"]},\"pop3\":{\"url\":\"pop3s://pop.firm.example:1995/\"},"
            "\"smtp\":{\"url\":\"submissions://smtp.firm.example\"},\"jmap\":{\"url\":\"https://"
            "x\"}},"
            "\"version\":\"1.0\"}",
            DISCOVER_FOUND,
            "imap tls imap.firm.example:993 salma@firm.example 3;"
            "pop3 tls pop.firm.example:1995 salma@firm.example 0;"
            "smtp tls smtp.firm.example:465 salma@firm.example 0;" },
        { "another scheme", "{\"servers\":{\"imap\":{\"url\":\"imap://imap.firm.example\"}}}",
            DISCOVER_PLAIN_ONLY, NULL },
        { "a path", "{\"servers\":{\"imap\":{\"url\":\"imaps://imap.firm.example/x\"}}}",
            DISCOVER_BAD_NAME, NULL },
        { "a user", "{\"servers\":{\"imap\":{\"url\":\"imaps://u@imap.firm.example\"}}}",
            DISCOVER_BAD_NAME, NULL },
        { "an address", "{\"servers\":{\"imap\":{\"url\":\"imaps://[::1]\"}}}", DISCOVER_BAD_NAME,
            NULL },
        { "NUL in the host",
            "{\"servers\":{\"imap\":{\"url\":\"imaps://imap\\u0000.firm.example\"}}}",
            DISCOVER_GARBAGE, NULL },
        { "no servers", "{\"servers\":{}}", DISCOVER_NO_SERVERS, NULL },
        { "servers are a list", "{\"servers\":[]}", DISCOVER_GARBAGE, NULL },
        { "a server is a list", "{\"servers\":{\"imap\":[]}}", DISCOVER_PLAIN_ONLY, NULL },
        { "a url is a number", "{\"servers\":{\"imap\":{\"url\":1}}}", DISCOVER_PLAIN_ONLY, NULL },
        { "a key twice", "{\"servers\":{},\"servers\":{}}", DISCOVER_GARBAGE, NULL },
        { "keys without quotes", "{servers:{}}", DISCOVER_GARBAGE, NULL },
        { "empty", "", DISCOVER_GARBAGE, NULL },
        { "more behind it", "{\"servers\":{}} {}", DISCOVER_GARBAGE, NULL },
    };
    (void)state;
    check_rows(pacc_read, rows, sizeof rows / sizeof rows[0]);
}

/* Deep nesting costs an error, not the stack. */
static void deep_json(void **state)
{
    size_t len = 200000;
    char *deep = malloc(len);
    struct settings settings;
    (void)state;
    assert_non_null(deep);
    memset(deep, '[', len);
    assert_int_equal(pacc_read(slice_from(deep, len), &name, &arena, &settings), DISCOVER_GARBAGE);
    free(deep);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
TEST_MAIN(T(autoconfig), T(autoconfig_besides_servers), T(issuers), T(as_many_as_fit),
    T(limits_of_xml), T(autodiscover), T(pacc), T(deep_json))
