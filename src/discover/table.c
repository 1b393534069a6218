/* Reads data/providers.txt out of the program.
 *
 * Fields between tabs, one provider after another:
 *
 *     P TAB id TAB name TAB facts             facts with commas: how one logs in (oauth2-only, oauth2-or-app-password, app-password,
 *                                             password-or-app-password, oauth2-or-password, password); no-access, bridge, unverified;
 *                                             imap-off, imap-admin, imap-paid, the same for pop, pop-none; files-sent
 *     D TAB domains                           of addresses; blanks between
 *     X TAB suffixes                          of MX hosts
 *     S TAB i|p|s TAB tls|starttls TAB host TAB port TAB user TAB auth
 *     S TAB i|p|s TAB plain                   there is a server, without TLS
 *     O TAB authorization url TAB token url TAB device url, or nothing TAB scope     OAuth 2.0
 *     U TAB switch|app|help TAB url
 *
 * Some 60 kB are searched from the beginning each time: that takes 0.06 ms by domain and 0.3 ms by MX, and nothing has to be kept.
 * A text that does not fit this grammar is our own mistake; the test walks all of it. */
#include "discover/table.h"

#include "discover/name.h"

#include <string.h>

/* The assembler puts the file into the read-only data as it is; building needs no other tool. */
__asm__(".section .rodata\n"
        ".global barid_providers\n"
        "barid_providers:\n"
        ".incbin \"data/providers.txt\"\n"
        ".global barid_providers_end\n"
        "barid_providers_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char barid_providers[];
extern const char barid_providers_end[];

/* ---- lines ---- */

static struct slice field(struct slice *line)
{
    struct slice head = SLICE_EMPTY;
    (void)slice_cut(line, '\t', &head);
    return head;
}

bool table_next(size_t *cursor, struct table_provider *out_provider)
{
    struct slice all = slice_from(barid_providers, (size_t)(barid_providers_end - barid_providers));
    struct slice rest = slice_from_index(all, *cursor), line = SLICE_EMPTY;
    if (!slice_cut(&rest, '\n', &line))
        return false;
    (void)field(&line);
    out_provider->id = field(&line);
    out_provider->name = field(&line);
    out_provider->facts = field(&line);
    size_t end = slice_find(rest, SLICE("\nP\t"));
    out_provider->rows = slice_sub(rest, 0, end == SIZE_MAX ? rest.len : end + 1);
    *cursor = all.len - rest.len + out_provider->rows.len;
    return true;
}

/* The next line of that kind; *out_line is what follows the kind. */
static bool next_row(
    const struct table_provider *provider, size_t *cursor, char kind, struct slice *out_line)
{
    struct slice rest = slice_from_index(provider->rows, *cursor), line = SLICE_EMPTY;
    while (slice_cut(&rest, '\n', &line)) {
        if (line.len < 2 || line.ptr[0] != kind)
            continue;
        *cursor = provider->rows.len - rest.len;
        *out_line = slice_from_index(line, 2);
        return true;
    }
    *cursor = provider->rows.len;
    return false;
}

static bool has_word(struct slice words, char separator, struct slice wanted)
{
    struct slice word = SLICE_EMPTY;
    while (slice_cut(&words, separator, &word))
        if (slice_eq(word, wanted))
            return true;
    return false;
}

bool table_fact(const struct table_provider *provider, const char *word)
{
    return has_word(provider->facts, ',', slice_of(word));
}

/* ---- finding ---- */

bool table_by_id(struct slice id, struct table_provider *out_provider)
{
    size_t cursor = 0;
    while (table_next(&cursor, out_provider))
        if (slice_eq(out_provider->id, id))
            return true;
    return false;
}

bool table_by_domain(struct slice domain, struct table_provider *out_provider)
{
    struct table_provider provider;
    size_t cursor = 0;
    while (table_next(&cursor, &provider)) {
        struct slice domains = SLICE_EMPTY;
        size_t row = 0;
        if (!next_row(&provider, &row, 'D', &domains) || !has_word(domains, ' ', domain))
            continue;
        *out_provider = provider;
        return true;
    }
    return false;
}

static bool is_below(struct slice host, struct slice suffix)
{
    return slice_ends_nocase(host, suffix) &&
           (host.len == suffix.len || host.ptr[host.len - suffix.len - 1] == '.');
}

static bool by_suffix(struct slice host, struct table_provider *out_provider)
{
    struct table_provider provider;
    size_t cursor = 0;
    while (table_next(&cursor, &provider)) {
        struct slice suffixes = SLICE_EMPTY, suffix = SLICE_EMPTY;
        size_t row = 0;
        (void)next_row(&provider, &row, 'X', &suffixes);
        while (slice_cut(&suffixes, ' ', &suffix))
            if (is_below(host, suffix)) {
                *out_provider = provider;
                return true;
            }
    }
    return false;
}

static bool has_server_in(const struct table_provider *provider, struct slice base)
{
    struct table_server server;
    size_t cursor = 0;
    while (table_server(provider, &cursor, &server))
        if (!server.plain && is_below(server.host, base) && slice_eq(name_base(server.host), base))
            return true;
    return false;
}

static bool by_servers(struct slice base, struct table_provider *out_provider)
{
    struct table_provider provider;
    size_t cursor = 0;
    unsigned found = 0;
    while (table_next(&cursor, &provider))
        if (has_server_in(&provider, base)) {
            found++;
            *out_provider = provider;
        }
    return found == 1; /* of two, none is sure */
}

bool table_by_mx(struct slice host, struct table_provider *out_provider)
{
    struct slice base = name_base(host);
    return by_suffix(host, out_provider) || table_by_domain(base, out_provider) ||
           by_servers(base, out_provider);
}

/* ---- servers and pages ---- */

static unsigned auth_of(struct slice words)
{
    unsigned auth = has_word(words, ',', SLICE("oauth2")) ? DISCOVER_OAUTH2 : 0;
    if (has_word(words, ',', SLICE("password")) || has_word(words, ',', SLICE("cram")))
        auth |= DISCOVER_PASSWORD;
    return auth;
}

bool table_server(
    const struct table_provider *provider, size_t *cursor, struct table_server *out_server)
{
    struct table_server server = { .port = 0 };
    struct slice line = SLICE_EMPTY;
    uint64_t port = 0;
    if (!next_row(provider, cursor, 'S', &line))
        return false;
    struct slice protocol = field(&line), security = field(&line);
    server.protocol = slice_eq(protocol, SLICE("i"))   ? DISCOVER_IMAP
                      : slice_eq(protocol, SLICE("p")) ? DISCOVER_POP3
                                                       : DISCOVER_SMTP;
    server.plain = slice_eq(security, SLICE("plain"));
    server.security = slice_eq(security, SLICE("tls")) ? DISCOVER_TLS : DISCOVER_STARTTLS;
    server.host = field(&line);
    if (!server.plain && slice_to_u64(field(&line), 65535, &port) != ERR_OK)
        return false;
    server.port = (int)port;
    server.user = field(&line);
    server.auth = auth_of(field(&line));
    *out_server = server;
    return true;
}

bool table_oauth(const struct table_provider *provider, struct discover_oauth *out_oauth)
{
    struct slice line = SLICE_EMPTY;
    size_t cursor = 0;
    if (!next_row(provider, &cursor, 'O', &line))
        return false;
    *out_oauth = (struct discover_oauth){ .issuer = SLICE_EMPTY };
    out_oauth->authorization_url = field(&line);
    out_oauth->token_url = field(&line);
    out_oauth->device_url = field(&line);
    out_oauth->scope = line;
    return true;
}

struct slice table_page(const struct table_provider *provider, const char *kind)
{
    struct slice line = SLICE_EMPTY;
    size_t cursor = 0;
    while (next_row(provider, &cursor, 'U', &line))
        if (slice_eq(field(&line), slice_of(kind)))
            return line;
    return SLICE_EMPTY;
}

/* ---- what has to be said ---- */

struct notes {
    struct discover_note *at;
    size_t count;
};

static void add(struct notes *notes, enum discover_note_id id, struct slice url)
{
    notes->at[notes->count++] = (struct discover_note){ id, url };
}

static struct slice first_page(const struct table_provider *provider, const char *kind)
{
    struct slice url = table_page(provider, kind);
    return url.len ? url : table_page(provider, "help");
}

static void add_access(struct notes *notes, const struct table_provider *p)
{
    bool in = false, out = false, plain = false;
    struct table_server server;
    size_t cursor = 0;
    while (table_server(p, &cursor, &server)) {
        plain = plain || server.plain;
        in = in || (!server.plain && server.protocol != DISCOVER_SMTP);
        out = out || (!server.plain && server.protocol == DISCOVER_SMTP);
    }
    struct slice help = table_page(p, "help");
    if (table_fact(p, "no-access"))
        add(notes, DISCOVER_NO_ACCESS, help);
    else if (table_fact(p, "bridge"))
        add(notes, DISCOVER_BRIDGE, help);
    else if (plain && (!in || !out))
        add(notes, DISCOVER_ONLY_PLAIN_KNOWN, help);
    else if (!in && !out)
        add(notes, DISCOVER_UNPUBLISHED, help);
    else if (!in)
        add(notes, DISCOVER_NO_INCOMING, help);
    else if (!out)
        add(notes, DISCOVER_NO_OUTGOING, help);
}

static void add_switches(struct notes *notes, const struct table_provider *p)
{
    static const struct {
        const char *imap, *pop;
        enum discover_note_id for_imap, for_pop, for_both;
    } rows[] = {
        { "imap-off", "pop-off", DISCOVER_IMAP_OFF, DISCOVER_POP_OFF, DISCOVER_BOTH_OFF },
        { "imap-admin", "pop-admin", DISCOVER_IMAP_ADMIN, DISCOVER_POP_ADMIN, DISCOVER_BOTH_ADMIN },
        { "imap-paid", "pop-paid", DISCOVER_IMAP_PAID, DISCOVER_POP_PAID, DISCOVER_BOTH_PAID },
    };
    struct slice page = first_page(p, "switch");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool imap = table_fact(p, rows[i].imap), pop = table_fact(p, rows[i].pop);
        if (imap || pop)
            add(notes,
                imap && pop ? rows[i].for_both
                : imap      ? rows[i].for_imap
                            : rows[i].for_pop,
                page);
    }
    if (table_fact(p, "pop-none"))
        add(notes, DISCOVER_NO_POP, SLICE_EMPTY);
}

static void add_logins(struct notes *notes, const struct table_provider *p)
{
    static const struct {
        const char *fact;
        enum discover_note_id id;
    } rows[] = {
        { "oauth2-only", DISCOVER_OAUTH_ONLY },
        { "app-password", DISCOVER_APP_PASSWORD },
        { "oauth2-or-app-password", DISCOVER_OAUTH_OR_APP },
        { "password-or-app-password", DISCOVER_MAYBE_APP },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (table_fact(p, rows[i].fact))
            add(notes, rows[i].id,
                rows[i].id == DISCOVER_OAUTH_ONLY ? SLICE_EMPTY : first_page(p, "app"));
}

size_t table_notes(const struct table_provider *provider, struct discover_note *out_notes)
{
    struct notes notes = { .at = out_notes };
    add_access(&notes, provider);
    add_switches(&notes, provider);
    add_logins(&notes, provider);
    return notes.count;
}
