/* accounts.conf as text: one table says which keywords there are, and both the parser and the writer follow it. */
#include "base/arena.h"
#include "base/utf8.h"
#include "client/core/account_int.h"
#include "client/oauth/oauth_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    KIND_TEXT,
    KIND_ADDRESS,
    KIND_PATH,   /* absolute, or "~/" and the rest */
    KIND_URL,    /* of an authorization server; max 1: an issuer */
    KIND_WORDS,  /* one or more */
    KIND_PAIRS,  /* two words; may be repeated */
    KIND_NUMBER, /* 1 to max */
    KIND_SIZE,   /* bytes, or a number with K, M, G */
    KIND_SERVER,
    KIND_CHOICE,
    KIND_FLAG, /* no value */
    KIND_KEEP,
    KIND_LMTP, /* host:port or a path */
};

#define FIELD(name) offsetof(struct client_account, name)

static const char *const receive_names[] = { "imap", "pop3", NULL };
static const char *const layout_names[] = { "nested", "maildir++", NULL };
static const char *const sent_names[] = { "append", "server", "none", NULL };
static const char *const compress_names[] = { "auto", "yes", "no", NULL };
static const char *const security_names[] = { "tls", "starttls", "none", NULL };
static const char *const keep_names[] = { "keep", "delete", "delete-after", NULL };

/* In the order in which a block is written. */
static const struct keyword {
    const char *name;
    enum kind kind;
    size_t field;
    const char *const *choices; /* in the order of the enum */
    unsigned max;
} keywords[] = {
    { "address", KIND_ADDRESS, FIELD(address), NULL, 0 },
    { "real-name", KIND_TEXT, FIELD(real_name), NULL, 0 },
    { "receive", KIND_CHOICE, FIELD(receive), receive_names, 0 },
    { "imap", KIND_SERVER, FIELD(imap), NULL, 0 },
    { "pop3", KIND_SERVER, FIELD(pop3), NULL, 0 },
    { "smtp", KIND_SERVER, FIELD(smtp), NULL, 0 },
    { "user", KIND_TEXT, FIELD(user), NULL, 0 },
    { "password-command", KIND_WORDS, FIELD(password_command), NULL, 0 },
    { "password-file", KIND_PATH, FIELD(password_file), NULL, 0 },
    { "secret-service", KIND_FLAG, FIELD(secret_service), NULL, 0 },
    { "token-command", KIND_WORDS, FIELD(token_command), NULL, 0 },
    { "oauth-issuer", KIND_URL, FIELD(oauth_issuer), NULL, 1 },
    { "oauth-authorization-url", KIND_URL, FIELD(oauth_authorization_url), NULL, 0 },
    { "oauth-token-url", KIND_URL, FIELD(oauth_token_url), NULL, 0 },
    { "oauth-device-url", KIND_URL, FIELD(oauth_device_url), NULL, 0 },
    { "oauth-client-id", KIND_TEXT, FIELD(oauth_client_id), NULL, 0 },
    { "oauth-client-secret-command", KIND_WORDS, FIELD(oauth_client_secret_command), NULL, 0 },
    { "oauth-client-secret-file", KIND_PATH, FIELD(oauth_client_secret_file), NULL, 0 },
    { "oauth-scope", KIND_WORDS, FIELD(oauth_scope), NULL, 0 },
    { "ca-file", KIND_PATH, FIELD(ca_file), NULL, 0 },
    { "maildir", KIND_PATH, FIELD(maildir), NULL, 0 },
    { "layout", KIND_CHOICE, FIELD(layout), layout_names, 0 },
    { "folders", KIND_WORDS, FIELD(folders), NULL, 0 },
    { "days", KIND_NUMBER, FIELD(days), NULL, CLIENT_DAYS_MAX },
    { "message-size-max", KIND_SIZE, FIELD(message_bytes_max), NULL, 0 },
    { "after-fetch", KIND_KEEP, FIELD(keep), keep_names, CLIENT_DAYS_MAX },
    { "server-size-max", KIND_SIZE, FIELD(server_bytes_max), NULL, 0 },
    { "skip-header", KIND_PAIRS, FIELD(skip_headers), NULL, 0 },
    { "deliver-mbox", KIND_PATH, FIELD(deliver_mbox), NULL, 0 },
    { "deliver-lmtp", KIND_LMTP, FIELD(deliver_lmtp), NULL, 0 },
    { "deliver-command", KIND_WORDS, FIELD(deliver_command), NULL, 0 },
    { "sent-copy", KIND_CHOICE, FIELD(sent_copy), sent_names, 0 },
    { "compress", KIND_CHOICE, FIELD(compress), compress_names, 0 },
};

#define KEYWORDS (sizeof keywords / sizeof *keywords)
_Static_assert(KEYWORDS <= 64, "parser.seen has a bit for each");

static void *field_of(struct client_account *account, const struct keyword *keyword)
{
    return (char *)account + keyword->field;
}

static const void *field_in(const struct client_account *account, const struct keyword *keyword)
{
    return (const char *)account + keyword->field;
}

/* ---- reading ---- */

struct parser {
    const char *file, *home;
    int line;
    uint64_t seen; /* keywords of this block */
    struct arena arena;
    struct client_accounts accounts;
    struct client_word words[CLIENT_WORDS_MAX];
    size_t count;
    struct err_note *note;
};

static enum err bad(struct parser *p, const char *format, ...) PRINTF(2, 3);
static enum err bad(struct parser *p, const char *format, ...)
{
    char text[384];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, err_in(format), args);
    va_end(args);
    return err_noted(p->note, ERR_SYNTAX, "%s:%d: %s", p->file, p->line, text);
}

static struct slice word(const struct parser *p, size_t i)
{
    return p->words[i].text;
}

static bool is_word(const struct parser *p, size_t i, const char *text)
{
    return i < p->count && slice_eq(word(p, i), slice_of(text));
}

static char *word_copy(const struct parser *p, size_t i)
{
    return mem_strndup(word(p, i).ptr, word(p, i).len);
}

static enum err one_word(struct parser *p)
{
    if (p->count == 2 && word(p, 1).len > 0)
        return ERR_OK;
    return bad(p,
        p->count > 2 ? "%.*s takes one word; one with blanks stands in \"...\""
                     : "%.*s needs a value",
        SLICE_FMT(word(p, 0)));
}

static enum err read_path(struct parser *p, char **field)
{
    TRY(one_word(p));
    struct slice path = word(p, 1);
    if (!p->words[1].quoted && slice_starts(path, SLICE("~/"))) {
        if (!p->home)
            return bad(p, "HOME is not set, so \"~\" means nothing");
        if (asprintf(field, "%s/%.*s", p->home, (int)path.len - 2, path.ptr + 2) < 0)
            return ERR_IO;
        return ERR_OK;
    }
    if (path.ptr[0] != '/')
        return bad(p, "%.*s needs a path that begins with / or ~/", SLICE_FMT(word(p, 0)));
    *field = word_copy(p, 1);
    return ERR_OK;
}

static enum err read_url(struct parser *p, bool issuer, char **field)
{
    TRY(one_word(p));
    if (!(issuer ? oauth_issuer_ok : oauth_url_ok)(word(p, 1)))
        return bad(p, "%.*s takes an address that begins with https://", SLICE_FMT(word(p, 0)));
    *field = word_copy(p, 1);
    return ERR_OK;
}

/* Appends the words from the second on to what the list has. */
static void add_words(const struct parser *p, char ***list)
{
    size_t have = client_strings_count(*list), more = p->count - 1;
    *list = mem_realloc(*list, (have + more + 1) * sizeof **list);
    for (size_t i = 0; i < more; i++)
        (*list)[have + i] = word_copy(p, i + 1);
    (*list)[have + more] = NULL;
}

static enum err read_words(struct parser *p, char ***list)
{
    if (p->count < 2 || word(p, 1).len == 0)
        return bad(p, "%.*s needs a value", SLICE_FMT(word(p, 0)));
    add_words(p, list);
    return ERR_OK;
}

static enum err read_pairs(struct parser *p, char ***list)
{
    if (p->count != 3 || word(p, 1).len == 0 || word(p, 2).len == 0)
        return bad(p,
            "%.*s takes the name of a header field and a text, as: %.*s Subject \"[ads]\"",
            SLICE_FMT(word(p, 0)), SLICE_FMT(word(p, 0)));
    for (size_t i = 0; i < word(p, 1).len; i++)
        if (slice_at(word(p, 1), i) <= ' ' || slice_at(word(p, 1), i) > '~' ||
            word(p, 1).ptr[i] == ':')
            return bad(p, "%.*s is no name of a header field", SLICE_FMT(word(p, 1)));
    add_words(p, list);
    return ERR_OK;
}

static enum err read_number(struct parser *p, size_t at, unsigned max, int *field)
{
    uint64_t number = 0;
    if (at >= p->count || slice_to_u64(word(p, at), max, &number) || number == 0)
        return bad(p, "%.*s takes a number from 1 to %u", SLICE_FMT(word(p, 0)), max);
    *field = (int)number;
    return ERR_OK;
}

static enum err read_size(struct parser *p, uint64_t *field)
{
    TRY(one_word(p));
    uint64_t bytes;
    if (slice_to_size(word(p, 1), INT64_MAX, &bytes) || bytes == 0)
        return bad(p, "%.*s takes a size such as 500K, 20M or 2G", SLICE_FMT(word(p, 0)));
    *field = bytes;
    return ERR_OK;
}

static enum err read_choice(
    struct parser *p, size_t at, const char *const *choices, unsigned *out_choice)
{
    for (unsigned i = 0; choices[i]; i++)
        if (is_word(p, at, choices[i])) {
            *out_choice = i;
            return ERR_OK;
        }
    return bad(p, "%.*s takes %s, %s%s%s", SLICE_FMT(word(p, 0)), choices[0], choices[1],
        choices[2] ? " or " : "", choices[2] ? choices[2] : "");
}

static enum err read_keep(struct parser *p, struct client_account *account)
{
    unsigned choice = 0;
    TRY(read_choice(p, 1, keep_names, &choice));
    if (choice == CLIENT_DELETE_AFTER)
        TRY(read_number(p, 2, CLIENT_DAYS_MAX, &account->keep_days));
    if (p->count != (choice == CLIENT_DELETE_AFTER ? 3u : 2u))
        return bad(p, "after-fetch takes keep, delete or delete-after DAYS");
    account->keep = (enum client_keep)choice;
    return ERR_OK;
}

static enum err read_lmtp(struct parser *p, char **field)
{
    TRY(one_word(p));
    struct slice text = word(p, 1);
    size_t colon = text.len;
    uint64_t port = 0;
    if (text.ptr[0] != '/') {
        while (colon > 0 && text.ptr[colon - 1] != ':')
            colon--;
        char *host = NULL;
        if (colon < 2 || slice_to_u64(slice_from_index(text, colon), 65535, &port) || port == 0 ||
            client_host_canonical(slice_sub(text, 0, colon - 1), &host))
            return bad(p, "deliver-lmtp takes host:port or the path of a socket");
        bool local = client_host_is_local(host);
        enum err e = asprintf(field, "%s:%" PRIu64, host, port) < 0 ? ERR_IO : ERR_OK;
        free(host);
        return e == ERR_OK && !local
                   ? bad(p, "deliver-lmtp is for this machine only: mail would travel unprotected")
                   : e;
    }
    *field = word_copy(p, 1);
    return ERR_OK;
}

/* ---- servers ---- */

static const struct service {
    const char *name;
    int port[3]; /* by enum client_security; plain: as for STARTTLS */
} services[] = {
    { "imap", { 993, 143, 143 } },
    { "pop3", { 995, 110, 110 } },
    { "smtp", { 465, 587, 587 } },
};

static const struct service *service_of(const char *name)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    return NULL;
}

/* A port alone says which kind it is where that is settled (RFC 8314 §3.2, §3.3). */
static enum client_security security_of(const struct service *service, int port)
{
    return port == service->port[CLIENT_STARTTLS] || port == 25 ? CLIENT_STARTTLS : CLIENT_TLS;
}

/* host [port] [tls | starttls | none] */
static enum err read_server(
    struct parser *p, const struct service *service, struct client_server *server)
{
    size_t at = 2;
    unsigned security = CLIENT_TLS;
    uint64_t port = 0;
    if (p->count < 2)
        return bad(p, "%s needs the name of a server", service->name);
    if (at < p->count && slice_to_u64(word(p, at), 65535, &port) == ERR_OK)
        at++;
    if (port)
        security = security_of(service, (int)port);
    if (at < p->count) {
        TRY(read_choice(p, at, security_names, &security));
        at++;
    }
    if (at != p->count || (p->count > 2 && is_word(p, 2, "0")))
        return bad(p, "%s takes: host [port] [tls | starttls | none]", service->name);
    if (client_host_canonical(word(p, 1), &server->host))
        return bad(p, "%s: this is no name of a server", service->name);
    if (security == CLIENT_PLAIN && !client_host_is_local(server->host))
        return bad(p,
            "%s %s: without TLS the password could be read on the way; use tls or starttls",
            service->name, server->host);
    server->port = port ? (int)port : service->port[security];
    server->security = (enum client_security)security;
    return ERR_OK;
}

/* ---- lines and blocks ---- */

static struct client_account *last_block(struct parser *p)
{
    return p->accounts.count ? &p->accounts.all[p->accounts.count - 1] : NULL;
}

/* What a login at a provider's page needs. */
static enum err check_oauth(struct parser *p, const struct client_account *account)
{
    bool page = account->oauth_authorization_url || account->oauth_device_url;
    bool secret = account->oauth_client_secret_command || account->oauth_client_secret_file;
    bool more = page || secret || account->oauth_client_id || account->oauth_scope;
    if (!account->oauth_issuer && !account->oauth_token_url)
        return more ? bad(p, "the account %s needs oauth-issuer, or oauth-token-url", account->name)
                    : ERR_OK;
    if (!account->oauth_issuer && !page)
        return bad(p,
            "the account %s needs oauth-authorization-url or oauth-device-url with oauth-token-url",
            account->name);
    if (account->oauth_client_secret_command && account->oauth_client_secret_file)
        return bad(p,
            "the account %s has both oauth-client-secret-command and oauth-client-secret-file",
            account->name);
    if (secret && !account->oauth_client_id)
        return bad(
            p, "the account %s has the secret of a client without oauth-client-id", account->name);
    return ERR_OK;
}

/* What a block as a whole must have. Errors name the line where it begins. */
static enum err finish_block(struct parser *p)
{
    struct client_account *account = last_block(p);
    if (!account)
        return ERR_OK;
    bool oauth = account->oauth_issuer || account->oauth_token_url;
    /* the key ring may hold the tokens of a login */
    int secrets = (account->password_command != NULL) + (account->password_file != NULL) +
                  (account->secret_service || oauth) + (account->token_command != NULL);
    int targets = (account->deliver_mbox != NULL) + (account->deliver_lmtp != NULL) +
                  (account->deliver_command != NULL);
    p->line = account->line;
    if (!account->address)
        return bad(p, "the account %s has no address", account->name);
    if (secrets > 1)
        return bad(p,
            "the account %s says more than once where its password is: one of password-command,"
            " password-file, secret-service, token-command, oauth-issuer",
            account->name);
    TRY(check_oauth(p, account));
    if (targets > 1)
        return bad(p,
            "the account %s has more than one of deliver-mbox, deliver-lmtp, deliver-command",
            account->name);
    for (size_t i = 0; i + 1 < p->accounts.count; i++)
        if (strcmp(p->accounts.all[i].name, account->name) == 0)
            return bad(p, "there is an account %s already, in line %d", account->name,
                p->accounts.all[i].line);
    if (!account->user)
        account->user = mem_strdup(account->address);
    return ERR_OK;
}

static enum err begin_block(struct parser *p)
{
    int line = p->line;
    TRY(finish_block(p));
    p->line = line;
    if (p->count != 2 || !client_account_name_ok(word(p, 1)))
        return bad(p, "account needs a name: one word without / that does not begin with . or -");
    if (p->accounts.count == CLIENT_ACCOUNTS_MAX)
        return bad(p, "more than %u accounts", CLIENT_ACCOUNTS_MAX);
    p->accounts.all =
        mem_realloc(p->accounts.all, (p->accounts.count + 1) * sizeof *p->accounts.all);
    p->accounts.all[p->accounts.count++] = (struct client_account){
        .name = word_copy(p, 1),
        .line = line,
        .line_end = line,
    };
    p->seen = 0;
    return ERR_OK;
}

static enum err read_value(
    struct parser *p, const struct keyword *keyword, struct client_account *account)
{
    void *field = field_of(account, keyword);
    switch (keyword->kind) {
    case KIND_ADDRESS:
        if (p->count != 2 || !client_address_ok(word(p, 1)))
            return bad(p, "address needs one such as salma@example.org");
        *(char **)field = word_copy(p, 1);
        return ERR_OK;
    case KIND_TEXT:
        TRY(one_word(p));
        *(char **)field = word_copy(p, 1);
        return ERR_OK;
    case KIND_PATH:
        return read_path(p, field);
    case KIND_URL:
        return read_url(p, keyword->max == 1, field);
    case KIND_WORDS:
        return read_words(p, field);
    case KIND_PAIRS:
        return read_pairs(p, field);
    case KIND_NUMBER:
        TRY(one_word(p));
        return read_number(p, 1, keyword->max, field);
    case KIND_SIZE:
        return read_size(p, field);
    case KIND_SERVER:
        return read_server(p, service_of(keyword->name), field);
    case KIND_CHOICE:
        TRY(one_word(p));
        return read_choice(p, 1, keyword->choices, field);
    case KIND_FLAG:
        if (p->count != 1)
            return bad(p, "%s takes no value", keyword->name);
        *(bool *)field = true;
        return ERR_OK;
    case KIND_KEEP:
        return read_keep(p, account);
    case KIND_LMTP:
        return read_lmtp(p, field);
    }
    return ERR_SYNTAX;
}

static enum err read_line(struct parser *p, struct slice line)
{
    struct err_note note = { "" };
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    enum err e = client_words(&p->arena, line, p->words, &p->count, &note);
    if (e)
        return bad(p, "%s", note.text[0] ? note.text : err_name(e));
    if (p->count == 0)
        return ERR_OK;
    if (is_word(p, 0, "account"))
        return begin_block(p);
    struct client_account *account = last_block(p);
    if (!account)
        return bad(p, "the first line of an account is: account NAME");
    if (is_word(p, 0, "password"))
        return bad(
            p, "a password does not stand in this file; use password-command or password-file");
    for (size_t i = 0; i < KEYWORDS; i++) {
        if (!is_word(p, 0, keywords[i].name))
            continue;
        if ((p->seen >> i & 1) && keywords[i].kind != KIND_PAIRS)
            return bad(p, "%s stands twice in the account %s", keywords[i].name, account->name);
        p->seen |= UINT64_C(1) << i;
        account->line_end = p->line;
        return read_value(p, &keywords[i], account);
    }
    return bad(p, "unknown keyword %.*s", SLICE_FMT(slice_sub(word(p, 0), 0, 60)));
}

enum err client_accounts_parse(struct slice text, const char *file, const char *home,
    struct client_accounts *out_accounts, struct err_note *note)
{
    struct parser p = { .file = file, .home = home, .note = note };
    struct slice line;
    enum err e = ERR_OK;
    if (text.len > CLIENT_ACCOUNTS_BYTES_MAX)
        return err_noted(note, ERR_LIMIT, "%s is over %u bytes", file, CLIENT_ACCOUNTS_BYTES_MAX);
    if (slice_starts(text, SLICE("\xef\xbb\xbf"))) /* some editors begin UTF-8 with it */
        text = slice_from_index(text, 3);
    arena_init(&p.arena, 4 * CLIENT_ACCOUNTS_BYTES_MAX);
    while (!e && slice_cut(&text, '\n', &line)) {
        p.line++;
        e = read_line(&p, line);
        arena_reset(&p.arena);
    }
    if (!e)
        e = finish_block(&p);
    arena_done(&p.arena);
    if (e) {
        client_accounts_done(&p.accounts);
        return e;
    }
    *out_accounts = p.accounts;
    return ERR_OK;
}

/* ---- writing ---- */

static void begin_line(struct buf *out, const char *name)
{
    buf_addf(out, "  %s", name);
}

static void add_word(struct buf *out, const char *text)
{
    buf_addc(out, ' ');
    client_word_write(slice_of(text), out);
}

static void write_words(struct buf *out, const struct keyword *keyword, char *const *list)
{
    size_t step = keyword->kind == KIND_PAIRS ? 2 : SIZE_MAX;
    for (size_t i = 0; list && list[i]; i++) {
        if (i == 0 || (step == 2 && i % 2 == 0)) {
            if (i)
                buf_addc(out, '\n');
            begin_line(out, keyword->name);
        }
        add_word(out, list[i]);
    }
    if (list && list[0])
        buf_addc(out, '\n');
}

static void write_line(struct buf *out, const char *name, const char *value)
{
    begin_line(out, name);
    add_word(out, value);
    buf_addc(out, '\n');
}

static void write_size(struct buf *out, const char *name, uint64_t bytes)
{
    static const struct {
        unsigned shift;
        const char *unit;
    } units[] = { { 30, "G" }, { 20, "M" }, { 10, "K" }, { 0, "" } };
    size_t i = 0;
    while ((bytes & ((UINT64_C(1) << units[i].shift) - 1)) != 0)
        i++;
    begin_line(out, name);
    buf_addf(out, " %" PRIu64 "%s\n", bytes >> units[i].shift, units[i].unit);
}

static void write_server(struct buf *out, const char *name, const struct client_server *server)
{
    begin_line(out, name);
    add_word(out, server->host);
    buf_addf(out, " %d %s\n", server->port, security_names[server->security]);
}

static void write_keep(struct buf *out, const struct client_account *account)
{
    if (account->keep == CLIENT_DELETE_AFTER)
        buf_addf(out, "  after-fetch delete-after %d\n", account->keep_days);
    else if (account->keep == CLIENT_DELETE)
        buf_adds(out, "  after-fetch delete\n");
}

static void write_keyword(
    struct buf *out, const struct keyword *keyword, const struct client_account *account)
{
    const void *field = field_in(account, keyword);
    switch (keyword->kind) {
    case KIND_TEXT:
    case KIND_ADDRESS:
    case KIND_PATH:
    case KIND_URL:
    case KIND_LMTP: {
        const char *text = *(char *const *)field;
        bool is_default = keyword->field == FIELD(user) && text && account->address &&
                          strcmp(text, account->address) == 0;
        if (text && !is_default)
            write_line(out, keyword->name, text);
        return;
    }
    case KIND_WORDS:
    case KIND_PAIRS:
        write_words(out, keyword, *(char **const *)field);
        return;
    case KIND_NUMBER: {
        int number = *(const int *)field;
        if (number)
            buf_addf(out, "  %s %d\n", keyword->name, number);
        return;
    }
    case KIND_SIZE:
        if (*(const uint64_t *)field)
            write_size(out, keyword->name, *(const uint64_t *)field);
        return;
    case KIND_SERVER:
        if (((const struct client_server *)field)->host)
            write_server(out, keyword->name, field);
        return;
    case KIND_CHOICE:
        if (*(const unsigned *)field)
            write_line(out, keyword->name, keyword->choices[*(const unsigned *)field]);
        return;
    case KIND_FLAG:
        if (*(const bool *)field)
            buf_addf(out, "  %s\n", keyword->name);
        return;
    case KIND_KEEP:
        write_keep(out, account);
        return;
    }
}

enum err client_account_write(
    const struct client_account *account, struct buf *out, struct err_note *note)
{
    struct buf text;
    struct client_accounts again = { 0 };
    buf_init(&text, CLIENT_ACCOUNTS_BYTES_MAX);
    buf_adds(&text, "account");
    add_word(&text, account->name);
    buf_addc(&text, '\n');
    for (size_t i = 0; i < KEYWORDS; i++)
        write_keyword(&text, &keywords[i], account);
    enum err e = buf_err(&text);
    /* whatever was put together elsewhere: a block that cannot be read again never reaches the file */
    if (!e)
        e = client_accounts_parse(buf_slice(&text), account->name, NULL, &again, note);
    if (!e && again.count != 1)
        e = err_noted(note, ERR_SYNTAX, "the account %s has a line end in a value", account->name);
    if (!e)
        buf_add(out, buf_slice(&text));
    client_accounts_done(&again);
    buf_done(&text);
    return e;
}
