/* All of the table: every provider gives a whole account with TLS, or a sentence that says what the person must do. */
#include "discover/table.h"

#include "base/test.h"
#include "discover/name.h"

#include <string.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* What replaces servers. */
static bool says_what_to_do(const struct discover_note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        switch (notes[i].id) {
        case DISCOVER_BRIDGE:
        case DISCOVER_NO_ACCESS:
        case DISCOVER_ONLY_PLAIN_KNOWN:
        case DISCOVER_UNPUBLISHED:
        case DISCOVER_NO_INCOMING:
        case DISCOVER_NO_OUTGOING:
            return true;
        default:
            break;
        }
    return false;
}

static struct slice first_domain(const struct table_provider *provider)
{
    struct slice rows = provider->rows, line = SLICE_EMPTY, domain = SLICE("firm.example");
    while (slice_cut(&rows, '\n', &line))
        if (slice_starts(line, SLICE("D\t"))) {
            line = slice_from_index(line, 2);
            (void)slice_cut(&line, ' ', &domain);
        }
    return domain;
}

static void check_server_row(const struct table_provider *provider,
    const struct table_server *server, const struct name *name)
{
    struct slice host = SLICE_EMPTY, checked = SLICE_EMPTY, user = SLICE_EMPTY;
    const char *id = slice_cstr(&arena, provider->id);
    if (server->port < 1 || server->port > 65535)
        fail_msg("%s: port %d", id, server->port);
    if (table_fact(provider, "bridge"))
        return; /* 127.0.0.1, which is never shown */
    if (name_expand(name, server->host, true, &arena, &host) || name_host(host, &arena, &checked))
        fail_msg("%s: host %.*s", id, SLICE_FMT(server->host));
    if (name_expand(name, server->user, false, &arena, &user) || !name_is_user(user))
        fail_msg("%s: user %.*s", id, SLICE_FMT(server->user));
}

static void every_provider(void **state)
{
    struct table_provider provider;
    size_t cursor = 0, providers = 0, whole = 0, with_oauth = 0;
    (void)state;
    while (table_next(&cursor, &provider)) {
        struct discover_note notes[DISCOVER_NOTES];
        struct table_server server;
        struct name name;
        bool in = false, out = false;
        const char *id = slice_cstr(&arena, provider.id);
        char address[300];
        (void)snprintf(address, sizeof address, "salma@%.*s", SLICE_FMT(first_domain(&provider)));
        assert_ok(name_read(slice_of(address), &arena, &name));
        for (size_t row = 0; table_server(&provider, &row, &server);) {
            if (server.plain)
                continue;
            check_server_row(&provider, &server, &name);
            in = in || server.protocol != DISCOVER_SMTP;
            out = out || server.protocol == DISCOVER_SMTP;
        }
        struct discover_oauth oauth;
        if (table_oauth(&provider, &oauth)) {
            assert_true(slice_starts(oauth.authorization_url, SLICE("https://")));
            assert_true(slice_starts(oauth.token_url, SLICE("https://")));
            assert_true(
                oauth.device_url.len == 0 || slice_starts(oauth.device_url, SLICE("https://")));
            assert_true(oauth.scope.len > 0);
            with_oauth++;
        }
        size_t count = table_notes(&provider, notes);
        assert_in_range(count, 0, DISCOVER_NOTES);
        if (!(in && out) && !says_what_to_do(notes, count))
            fail_msg("%s: neither servers nor a sentence", id);
        for (size_t i = 0; i < count; i++)
            if (notes[i].url.len && !slice_starts(notes[i].url, SLICE("https://")))
                fail_msg("%s: %.*s", id, SLICE_FMT(notes[i].url));
        assert_true(provider.name.len > 0);
        providers++;
        whole += in && out;
    }
    assert_int_equal(providers, 287); /* all of data/providers.json */
    assert_int_equal(whole, 240);     /* the rest has sentences */
    assert_int_equal(with_oauth, 10);
}

/* Each domain finds its own provider: no name stands twice. */
static void every_domain(void **state)
{
    struct table_provider provider, found;
    size_t cursor = 0, domains = 0;
    (void)state;
    while (table_next(&cursor, &provider)) {
        struct slice rows = provider.rows, line = SLICE_EMPTY, domain = SLICE_EMPTY;
        while (slice_cut(&rows, '\n', &line)) {
            if (!slice_starts(line, SLICE("D\t")))
                continue;
            line = slice_from_index(line, 2);
            while (slice_cut(&line, ' ', &domain)) {
                assert_true(table_by_domain(domain, &found));
                assert_slice("the provider of a domain", found.id, provider.id);
                domains++;
            }
        }
    }
    assert_int_equal(domains, 1419);
}

static void by_domain(void **state)
{
    static const struct {
        const char *domain, *id; /* NULL: unknown */
    } rows[] = {
        { "gmail.com", "gmail" },
        { "hotmail.com", "outlook" },
        { "web.de", "web.de" },
        { "gmail.com.", NULL },
        { "mail.gmail.com", NULL },
        { "gmail", NULL },
        { "com", NULL },
        { "", NULL },
        { "gmail.com googlemail.com", NULL },
        { "S\ti", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct table_provider found;
        bool known = table_by_domain(slice_of(rows[i].domain), &found);
        if (known != (rows[i].id != NULL))
            fail_msg("%s", rows[i].domain);
        if (known)
            assert_slice(rows[i].domain, found.id, slice_of(rows[i].id));
    }
}

static void by_mx(void **state)
{
    static const struct {
        const char *host, *id;
    } rows[] = {
        { "aspmx.l.google.com", "gmail" },
        { "firm-com.mail.protection.outlook.com", "microsoft365" },
        { "hotmail-com.olc.protection.outlook.com", "outlook" },
        { "in1-smtp.messagingengine.com", "fastmail" },
        { "mx00.gmx.net", "gmx" },         /* a domain of the table */
        { "mx.123-reg.co.uk", "123-reg" }, /* where its servers are */
        { "evilgoogle.com", NULL },
        { "google.com.evil.example", NULL },
        { "mx.firm.example", NULL },
        { "co.uk", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct table_provider found;
        bool known = table_by_mx(slice_of(rows[i].host), &found);
        if (known != (rows[i].id != NULL))
            fail_msg("%s: %d", rows[i].host, known);
        if (known)
            assert_slice(rows[i].host, found.id, slice_of(rows[i].id));
    }
}

static bool has_note(const char *id, enum discover_note_id wanted)
{
    struct table_provider provider;
    struct discover_note notes[DISCOVER_NOTES];
    assert_true(table_by_id(slice_of(id), &provider));
    size_t count = table_notes(&provider, notes);
    for (size_t i = 0; i < count; i++)
        if (notes[i].id == wanted)
            return true;
    return false;
}

static void what_is_said(void **state)
{
    static const struct {
        const char *id;
        enum discover_note_id note;
    } rows[] = {
        { "gmail", DISCOVER_POP_OFF },
        { "gmail", DISCOVER_OAUTH_OR_APP },
        { "outlook", DISCOVER_OAUTH_ONLY },
        { "microsoft365", DISCOVER_BOTH_ADMIN },
        { "icloud", DISCOVER_NO_POP },
        { "icloud", DISCOVER_APP_PASSWORD },
        { "gmx", DISCOVER_BOTH_OFF },
        { "mail.com", DISCOVER_BOTH_PAID },
        { "zoho", DISCOVER_IMAP_PAID },
        { "proton", DISCOVER_BRIDGE },
        { "tuta", DISCOVER_NO_ACCESS },
        { "hey.com", DISCOVER_NO_ACCESS },
        { "nifty.com", DISCOVER_ONLY_PLAIN_KNOWN },
        { "sa-stc", DISCOVER_UNPUBLISHED },
        { "tn-topnet", DISCOVER_NO_INCOMING },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!has_note(rows[i].id, rows[i].note))
            fail_msg("%s: no %s", rows[i].id, discover_note_name(rows[i].note));
    assert_false(has_note("yahoo", DISCOVER_POP_OFF));
    assert_false(has_note("gmail", DISCOVER_IMAP_OFF));
}

static void pages(void **state)
{
    struct table_provider provider;
    (void)state;
    assert_true(table_by_id(SLICE("gmail"), &provider));
    assert_slice("where an app password is made", table_page(&provider, "app"),
        SLICE("https://myaccount.google.com/apppasswords"));
    assert_slice("no such kind", table_page(&provider, "nothing"), SLICE(""));
    assert_true(table_fact(&provider, "files-sent"));
    assert_false(table_fact(&provider, "files"));
    assert_false(table_by_id(SLICE("gmai"), &provider));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
TEST_MAIN(T(every_provider), T(every_domain), T(by_domain), T(by_mx), T(what_is_said), T(pages))
