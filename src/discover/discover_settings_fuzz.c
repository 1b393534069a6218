/* Documents of strangers. First byte: which reader. Oracles: what comes out is fit for use (host, port and user are what later code relies on); written
 * as autoconfig and read again it is the same; a tree written as XML and read again is the same tree. */
#include "discover/settings.h"

#include "base/buf.h"
#include "discover/xml.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void add_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        if (c < 0x20 || c == 0x7f || strchr("&<>\"'", c))
            buf_addf(out, "&#%u;", c);
        else
            buf_addc(out, (char)c);
    }
}

/* ---- trees ---- */

static void write_tree(struct buf *out, const struct xml_node *node)
{
    buf_addc(out, '<');
    buf_add(out, node->name);
    buf_addc(out, '>');
    add_escaped(out, node->text);
    for (const struct xml_node *child = node->first; child; child = child->next)
        write_tree(out, child);
    buf_adds(out, "</");
    buf_add(out, node->name);
    buf_addc(out, '>');
}

static void same_tree(const struct xml_node *a, const struct xml_node *b)
{
    assert(slice_eq(a->name, b->name));
    assert(slice_eq(a->text, b->text));
    const struct xml_node *one = a->first, *other = b->first;
    for (; one && other; one = one->next, other = other->next) {
        assert(one->parent == a);
        same_tree(one, other);
    }
    assert(!one);
    assert(!other);
}

static void try_tree(struct slice bytes, struct arena *arena)
{
    struct xml_node *root, *again;
    struct buf out;
    if (xml_read(bytes, arena, &root) != DISCOVER_FOUND)
        return;
    buf_init(&out, 0);
    write_tree(&out, root);
    enum discover_why why = xml_read(buf_slice(&out), arena, &again);
    if (why != DISCOVER_TOO_BIG) { /* two trees may not fit where one did */
        assert(why == DISCOVER_FOUND);
        same_tree(root, again);
    }
    buf_done(&out);
}

/* ---- settings ---- */

static void check_server(const struct settings_server *server, struct arena *arena)
{
    struct slice again = SLICE_EMPTY;
    assert(server->port >= 1);
    assert(server->port <= 65535);
    assert(name_is_user(server->user));
    enum err e = name_host(server->host, arena, &again);
    assert(e == ERR_OK || e == ERR_LIMIT);
    if (e == ERR_OK)
        assert(slice_eq(again, server->host));
}

static void write_server(struct buf *out, const struct settings_server *server)
{
    const char *tag = server->protocol == DISCOVER_SMTP ? "outgoingServer" : "incomingServer";
    buf_addf(out,
        "<%s type='%s'><hostname>%.*s</hostname><port>%d</port><socketType>%s</socketType>", tag,
        discover_protocol_name(server->protocol), SLICE_FMT(server->host), server->port,
        server->security == DISCOVER_TLS ? "SSL" : "STARTTLS");
    buf_adds(out, "<username>");
    add_escaped(out, server->user);
    buf_adds(out, "</username>");
    if (server->auth & DISCOVER_OAUTH2)
        buf_adds(out, "<authentication>OAuth2</authentication>");
    if (server->auth & DISCOVER_PASSWORD)
        buf_adds(out, "<authentication>password-cleartext</authentication>");
    buf_addf(out, "</%s>", tag);
}

/* Incoming servers are read before outgoing ones, whatever their order. */
static void write_settings(struct buf *out, const struct settings *settings)
{
    buf_adds(out, "<clientConfig><emailProvider>");
    for (size_t i = 0; i < settings->count; i++)
        write_server(out, &settings->servers[i]);
    buf_adds(out, "</emailProvider></clientConfig>");
}

static bool has_server(const struct settings *settings, const struct settings_server *wanted)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct settings_server *one = &settings->servers[i];
        if (one->protocol == wanted->protocol && one->security == wanted->security &&
            one->port == wanted->port && one->auth == wanted->auth &&
            slice_eq(one->host, wanted->host) && slice_eq(one->user, wanted->user))
            return true;
    }
    return false;
}

static void check_settings(
    const struct settings *settings, const struct name *name, struct arena *arena)
{
    struct settings again;
    struct buf out;
    bool percent = false; /* in a user name: it would be a placeholder when read again */
    assert(settings->count >= 1);
    assert(settings->count <= SETTINGS_SERVERS_MAX);
    assert(settings->switch_on.len == 0 || slice_starts(settings->switch_on, SLICE("https://")));
    for (size_t i = 0; i < settings->count; i++) {
        check_server(&settings->servers[i], arena);
        percent =
            percent || slice_index(settings->servers[i].user, '%') < settings->servers[i].user.len;
    }
    if (percent)
        return;
    buf_init(&out, 0);
    write_settings(&out, settings);
    enum discover_why why = autoconfig_read(buf_slice(&out), name, arena, &again);
    if (why != DISCOVER_TOO_BIG) {
        assert(why == DISCOVER_FOUND);
        assert(again.count == settings->count);
        for (size_t i = 0; i < settings->count; i++)
            assert(has_server(&again, &settings->servers[i]));
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena arena;
    struct name name;
    struct settings settings;
    if (len == 0)
        return 0;
    struct slice document = slice_from(bytes + 1, len - 1);
    arena_init(&arena, 4u << 20);
    enum err e = name_read(SLICE("salma@firm.example"), &arena, &name);
    assert(e == ERR_OK);
    enum discover_why why = DISCOVER_GARBAGE;
    switch (bytes[0] % 4) {
    case 0:
        why = autoconfig_read(document, &name, &arena, &settings);
        break;
    case 1:
        why = autodiscover_read(document, &name, &arena, &settings);
        break;
    case 2:
        why = pacc_read(document, &name, &arena, &settings);
        break;
    default:
        try_tree(document, &arena);
    }
    if (why == DISCOVER_FOUND)
        check_settings(&settings, &name, &arena);
    arena_done(&arena);
    return 0;
}
