/* barid.conf. One table says everything about a key: where it lands, what it may be, what it is by default and what it means; reading,
 * `config show`, `config explain` and the nearest-key hint all use it. */
#include "server/core/config.h"

#include "base/arena.h"
#include "base/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum key_kind {
    KEY_TEXT,   /* no controls */
    KEY_PATH,   /* absolute */
    KEY_HOST,   /* letters, digits, '-', '.' */
    KEY_SWITCH, /* on or off */
    KEY_NUMBER, /* min .. max */
    KEY_SIZE,   /* bytes with K, M or G; min .. max */
    KEY_WORD,   /* one of `words` */
    KEY_LISTEN, /* addresses */
};

struct key {
    const char *name; /* "section.key" */
    enum key_kind kind;
    size_t offset; /* in struct config */
    size_t size;   /* of the field, for texts */
    uint64_t min, max;
    const char *words; /* "a b c" */
    const char *value; /* default, as it would be written */
    const char *help;
};

#define FIELD(f) offsetof(struct config, f), sizeof(((struct config *)0)->f)
#define LISTEN(i)                                                                                  \
    offsetof(struct config, listen_text[i]), sizeof(((struct config *)0)->listen_text[i])

/* Order of the listen keys in listen_text. */
static const struct {
    enum protocol protocol;
    bool implicit_tls;
    int port;
} listen_kinds[LISTEN_KEYS] = {
    { PROTOCOL_IMAP, false, 143 },
    { PROTOCOL_IMAP, true, 993 },
    { PROTOCOL_POP3, false, 110 },
    { PROTOCOL_POP3, true, 995 },
    { PROTOCOL_SMTP, false, 25 },
    { PROTOCOL_SUBMISSION, false, 587 },
    { PROTOCOL_SUBMISSION, true, 465 },
    { PROTOCOL_LMTP, false, 24 },
};

static const struct key keys[] = {
    { "server.hostname", KEY_HOST, FIELD(hostname), 0, 0, NULL, "",
        "Name of this server in greetings, Received fields and Message-IDs. Default: the system's "
        "host name." },
    { "server.data", KEY_PATH, FIELD(data_dir), 0, 0, NULL, "/var/lib/barid",
        "Folder with all mail, the directory of users and the control socket. Belongs to Barid "
        "alone." },
    { "server.user", KEY_TEXT, FIELD(run_user), 0, 0, NULL, "barid",
        "System user to become after the ports are bound, when started as root. Empty: stay as "
        "started." },
    { "server.log_level", KEY_WORD, FIELD(log_level), 0, 0, "error warn info debug", "info",
        "How much is logged on standard error." },
    { "tls.certificate", KEY_PATH, FIELD(cert_file), 0, 0, NULL, "",
        "PEM file with the certificate and its chain. Empty: a self-signed one is made in the data "
        "folder." },
    { "tls.key", KEY_PATH, FIELD(key_file), 0, 0, NULL, "",
        "PEM file with the private key; readable by Barid alone (mode 0600)." },
    { "imap.listen", KEY_LISTEN, LISTEN(0), 0, 0, NULL, "*:143",
        "Where IMAP with STARTTLS listens." },
    { "imap.listen_tls", KEY_LISTEN, LISTEN(1), 0, 0, NULL, "*:993",
        "Where IMAP over TLS listens." },
    { "pop3.listen", KEY_LISTEN, LISTEN(2), 0, 0, NULL, "*:110", "Where POP3 with STLS listens." },
    { "pop3.listen_tls", KEY_LISTEN, LISTEN(3), 0, 0, NULL, "*:995",
        "Where POP3 over TLS listens." },
    { "smtp.listen", KEY_LISTEN, LISTEN(4), 0, 0, NULL, "*:25",
        "Where mail from other servers comes in." },
    { "submission.listen", KEY_LISTEN, LISTEN(5), 0, 0, NULL, "*:587",
        "Where users send mail, with STARTTLS." },
    { "submission.listen_tls", KEY_LISTEN, LISTEN(6), 0, 0, NULL, "*:465",
        "Where users send mail over TLS." },
    { "lmtp.listen", KEY_LISTEN, LISTEN(7), 0, 0, NULL, "off",
        "Where another mail server hands mail over (LMTP). No password is asked: a Unix socket or "
        "loopback only." },
    { "login.plain_on_loopback", KEY_SWITCH, FIELD(plain_login_on_loopback), 0, 0, NULL, "off",
        "Whether passwords may come without TLS from this machine itself." },
    { "quota.full", KEY_WORD, FIELD(quota_full), 0, 0, "later refuse", "later",
        "What a server that sends mail to a full mailbox is told: to try again later (452), or "
        "that it "
        "cannot be delivered (552)." },
    { "quota.warn_percent", KEY_NUMBER, FIELD(quota_warn_percent), 0, 99, NULL, "80",
        "How full a mailbox is when its owner gets a message about it, once. 0: never." },
    { "limits.message_bytes", KEY_SIZE, FIELD(message_bytes_max), 65536, (uint64_t)4 << 30, NULL,
        "50M", "Largest message that is accepted." },
    { "limits.connections", KEY_NUMBER, FIELD(connections_max), 10, 1000000, NULL, "19000",
        "Connections at one time, all protocols together." },
    { "limits.connections_per_address", KEY_NUMBER, FIELD(connections_per_address_max), 1, 1000000,
        NULL, "200",
        "Connections at one time from one address (IPv6: from one /64). Loopback is exempt." },
    { "limits.threads", KEY_NUMBER, FIELD(threads), 4, 1024, NULL, "64",
        "Threads that serve connections." },
    { "limits.accounts_open", KEY_NUMBER, FIELD(accounts_open_max), 10, 100000, NULL, "1000",
        "Mailboxes kept open at one time; each holds two file descriptors." },
};

#define KEY_COUNT (sizeof keys / sizeof keys[0])
_Static_assert(KEY_COUNT <= sizeof(((struct config *)0)->set_by_file), "set_by_file is too small");

struct config_shared {
    struct config config; /* first, so that the two pointers are one */
    atomic_int refs;
};

const char *protocol_name(enum protocol protocol)
{
    static const char *const names[PROTOCOL_COUNT] = { "imap", "pop3", "smtp", "submission",
        "lmtp" };
    return (unsigned)protocol < PROTOCOL_COUNT ? names[protocol] : "unknown";
}

/* ---- values ---- */

static enum err parse_size(struct slice s, const struct key *key, uint64_t *out)
{
    uint64_t n;
    TRY(slice_to_size(s, UINT64_MAX, &n));
    if (n < key->min || n > key->max)
        return ERR_LIMIT;
    *out = n;
    return ERR_OK;
}

static bool word_in(struct slice value, const char *words)
{
    struct slice rest = slice_of(words), word;
    while (slice_cut(&rest, ' ', &word))
        if (slice_eq(word, value))
            return true;
    return false;
}

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (slice_at(s, i) < 0x20 || slice_at(s, i) == 0x7F)
            return true;
    return false;
}

static bool host_ok(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = ascii_lower(s.ptr[i]);
        bool inner = i > 0 && i + 1 < s.len;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                (inner && (c == '-' || c == '.'))))
            return false;
    }
    return true;
}

/* The range in words, for messages and `explain`. */
static void range_text(const struct key *key, char *out, size_t size)
{
    switch (key->kind) {
    case KEY_SWITCH:
        (void)snprintf(out, size, "%s", err_in("on or off"));
        break;
    case KEY_NUMBER:
        (void)snprintf(out, size, err_in("%llu to %llu"), (unsigned long long)key->min,
            (unsigned long long)key->max);
        break;
    case KEY_SIZE:
        (void)snprintf(out, size, err_in("%lluK to %lluM, with K, M or G after the number"),
            (unsigned long long)(key->min >> 10), (unsigned long long)(key->max >> 20));
        break;
    case KEY_WORD:
        (void)snprintf(out, size, err_in("one of: %s"), key->words);
        break;
    case KEY_PATH:
        (void)snprintf(
            out, size, err_in("a path that begins with /, up to %zu bytes"), key->size - 1);
        break;
    case KEY_HOST:
        (void)snprintf(out, size, err_in("a host name, up to %zu bytes"), key->size - 1);
        break;
    case KEY_LISTEN:
        (void)snprintf(out, size, "%s",
            err_in(
                "off, or addresses with commas between: *:143, 192.0.2.1:143, [2001:db8::1]:143, "
                "/a/path"));
        break;
    case KEY_TEXT:
        (void)snprintf(out, size, err_in("text up to %zu bytes"), key->size - 1);
        break;
    }
}

/* One address of a listen key. */
static enum err listener_add(
    struct config *config, int kind, struct slice text, struct err_note *note)
{
    struct listener base = { .protocol = listen_kinds[kind].protocol,
        .implicit_tls = listen_kinds[kind].implicit_tls };
    const char *hosts[2] = { NULL, NULL };
    char host[128];
    if (text.len > 0 && text.ptr[0] == '/') {
        if (text.len >= 100) /* sun_path has 108 bytes */
            return err_noted(
                note, ERR_LIMIT, "the path \"%.*s\" is too long for a socket", SLICE_FMT(text));
        if (base.implicit_tls)
            return err_noted(
                note, ERR_SYNTAX, "a Unix socket takes no TLS: \"%.*s\"", SLICE_FMT(text));
        (void)snprintf(host, sizeof host, "%.*s", SLICE_FMT(text));
        hosts[0] = host;
    } else {
        size_t colon = text.len;
        while (colon > 0 && text.ptr[colon - 1] != ':')
            colon--;
        uint64_t port;
        if (colon == 0 || slice_to_u64(slice_from_index(text, colon), 65535, &port) != ERR_OK)
            return err_noted(note, ERR_SYNTAX, "\"%.*s\" is no address with a port, such as *:%d",
                SLICE_FMT(text), listen_kinds[kind].port);
        base.port = (int)port;
        struct slice name = slice_sub(text, 0, colon - 1);
        if (slice_eq(name, SLICE("*"))) {
            hosts[0] = "0.0.0.0";
            hosts[1] = "::";
        } else {
            if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
                name = slice_sub(name, 1, name.len - 2);
            unsigned char binary[16];
            (void)snprintf(host, sizeof host, "%.*s", SLICE_FMT(name));
            if (name.len >= sizeof host ||
                (inet_pton(AF_INET, host, binary) != 1 && inet_pton(AF_INET6, host, binary) != 1))
                return err_noted(note, ERR_SYNTAX, "\"%.*s\" is no IP address", SLICE_FMT(name));
            hosts[0] = host;
        }
    }
    if (base.protocol == PROTOCOL_LMTP && hosts[0][0] != '/' &&
        !slice_starts(slice_of(hosts[0]), SLICE("127.")) && strcmp(hosts[0], "::1") != 0)
        return err_noted(note, ERR_DENIED,
            "LMTP asks for no password: listen on a Unix socket or loopback, not on \"%.*s\"",
            SLICE_FMT(text));
    for (int i = 0; i < 2 && hosts[i]; i++) {
        if (config->listener_count == LISTENERS_MAX)
            return err_noted(note, ERR_LIMIT, "more than %d addresses to listen on", LISTENERS_MAX);
        struct listener *l = &config->listeners[config->listener_count++];
        *l = base;
        (void)snprintf(l->address, sizeof l->address, "%s", hosts[i]);
    }
    return ERR_OK;
}

enum err config_parse_listeners(struct config *config, struct err_note *note)
{
    config->listener_count = 0;
    for (int kind = 0; kind < LISTEN_KEYS; kind++) {
        struct slice rest = slice_of(config->listen_text[kind]), part;
        if (slice_eq(slice_trim(rest), SLICE("off")))
            continue;
        while (slice_cut(&rest, ',', &part))
            TRY(listener_add(config, kind, slice_trim(part), note));
    }
    return ERR_OK;
}

static enum err key_set(struct config *config, const struct key *key, struct slice value)
{
    char *field = (char *)config + key->offset;
    uint64_t number;
    if (has_controls(value))
        return ERR_SYNTAX;
    switch (key->kind) {
    case KEY_SWITCH: {
        bool on = slice_eq_nocase(value, SLICE("on")) || slice_eq_nocase(value, SLICE("yes"));
        if (!on && !slice_eq_nocase(value, SLICE("off")) && !slice_eq_nocase(value, SLICE("no")))
            return ERR_SYNTAX;
        memcpy(field, &on, sizeof on);
        return ERR_OK;
    }
    case KEY_NUMBER: {
        TRY(slice_to_u64(value, key->max, &number));
        if (number < key->min)
            return ERR_LIMIT;
        unsigned n = (unsigned)number;
        memcpy(field, &n, sizeof n);
        return ERR_OK;
    }
    case KEY_SIZE:
        TRY(parse_size(value, key, &number));
        memcpy(field, &number, sizeof number);
        return ERR_OK;
    case KEY_WORD:
        if (!word_in(value, key->words))
            return ERR_SYNTAX;
        break;
    case KEY_PATH:
        if (value.len > 0 && value.ptr[0] != '/')
            return ERR_SYNTAX;
        break;
    case KEY_HOST:
        if (!host_ok(value))
            return ERR_SYNTAX;
        break;
    case KEY_TEXT:
        break;
    case KEY_LISTEN:
        if (value.len == 0)
            return ERR_SYNTAX;
        break;
    }
    if (value.len >= key->size)
        return ERR_LIMIT;
    if (value.len)
        memcpy(field, value.ptr, value.len);
    field[value.len] = 0;
    return ERR_OK;
}

/* ---- the nearest key ---- */

/* Edits from a to b (Levenshtein); names are short. */
static size_t distance(struct slice a, struct slice b)
{
    enum {
        CELLS = 64
    };
    size_t row[CELLS + 1];
    if (a.len > CELLS || b.len > CELLS)
        return SIZE_MAX;
    for (size_t k = 0; k <= b.len; k++)
        row[k] = k;
    for (size_t i = 1; i <= a.len; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b.len; k++) {
            size_t best = corner + (a.ptr[i - 1] != b.ptr[k - 1]);
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            corner = row[k];
            row[k] = best;
        }
    }
    return row[b.len];
}

static const struct key *nearest_key(struct slice name)
{
    const struct key *best = &keys[0];
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t d = distance(name, slice_of(keys[i].name));
        if (d < best_distance) {
            best = &keys[i];
            best_distance = d;
        }
    }
    return best;
}

static const struct key *find_key(struct slice name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (slice_eq(slice_of(keys[i].name), name))
            return &keys[i];
    return NULL;
}

/* ---- reading ---- */

struct reading {
    struct config *config;
    struct err_note problem; /* of the first bad line */
    bool bad;
    int line, long_line; /* long_line: the first that is too long; 0: none */
};

struct lines {
    struct reading *reading; /* borrowed */
    FILE *file;
};
_Static_assert(INI_MAX_LINE == 200, "read_file tells how long a line may be");

/* inih calls this for each key; 0 marks the line as bad. */
static int on_value(void *reading_arg, const char *section, const char *name, const char *value)
{
    struct reading *reading = reading_arg;
    char full[128];
    (void)snprintf(full, sizeof full, "%s.%s", section, name);
    const struct key *key = find_key(slice_of(full));
    char range[200];
    if (!key) {
        const struct key *near = nearest_key(slice_of(full));
        if (!reading->bad)
            (void)err_noted(&reading->problem, ERR_SYNTAX,
                "there is no key \"%.100s\"; the nearest is \"%s\" (\"barid config show\" lists "
                "all)",
                full, near->name);
        reading->bad = true;
        return 0;
    }
    size_t index = (size_t)(key - keys);
    enum err e = key_set(reading->config, key, slice_of(value));
    if (e != ERR_OK) {
        range_text(key, range, sizeof range);
        if (!reading->bad)
            (void)err_noted(&reading->problem, e, "%s = %.80s is not accepted; it takes %s",
                key->name, value, range);
        reading->bad = true;
        return 0;
    }
    if (reading->config->set_by_file[index]) {
        if (!reading->bad)
            (void)err_noted(&reading->problem, ERR_EXISTS,
                "%s stands there a second time; keep one", key->name);
        reading->bad = true;
        return 0;
    }
    reading->config->set_by_file[index] = 1;
    return 1;
}

static enum err set_defaults(struct config *config, struct err_note *note)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (key_set(config, &keys[i], slice_of(keys[i].value)) != ERR_OK)
            return err_noted(note, ERR_CORRUPT, "the built-in value of %s is bad", keys[i].name);
    config->slow_ms = 5000;
    return ERR_OK;
}

/* For a file that says none, or an empty one. */
static void name_host(struct config *config)
{
    if (config->hostname[0])
        return;
    if (gethostname(config->hostname, sizeof config->hostname) != 0 || config->hostname[0] == 0 ||
        memchr(config->hostname, 0, sizeof config->hostname) == NULL ||
        !host_ok(slice_of(config->hostname)))
        (void)snprintf(config->hostname, sizeof config->hostname, "localhost");
}

/* As fgets, of whole lines: inih would take what does not fit into its buffer for a line of its own. The rest of a comment goes; anything else that
 * long is told, and an empty line stands for it. */
static char *read_line(char *out, int out_bytes, void *lines_arg)
{
    struct lines *lines = lines_arg;
    if (!fgets(out, out_bytes, lines->file))
        return NULL;
    lines->reading->line++;
    size_t len = strlen(out);
    if (len + 1 < (size_t)out_bytes || out[len - 1] == '\n')
        return out;
    struct slice text = slice_trim(slice_of(out));
    bool comment = text.len && (text.ptr[0] == ';' || text.ptr[0] == '#');
    int c;
    size_t more = 0;
    while ((c = getc(lines->file)) != EOF && c != '\n')
        more++;
    if (!comment && more && !lines->reading->long_line)
        lines->reading->long_line = lines->reading->line;
    if (comment || more)
        (void)snprintf(out, (size_t)out_bytes, "\n");
    return out;
}

static enum err read_file(struct config *config, const char *file, struct err_note *note)
{
    struct reading reading = { .config = config };
    struct lines lines = { .reading = &reading, .file = fopen(file, "rce") };
    if (!lines.file)
        return err_noted(
            note, err_from_errno(errno), "%s cannot be read: %s", file, strerror(errno));
    int line = ini_parse_stream(read_line, &lines, on_value, &reading);
    int problem = ferror(lines.file) ? errno : 0; /* such as EISDIR */
    (void)fclose(lines.file);
    if (problem || line < 0)
        return err_noted(note, problem ? err_from_errno(problem) : ERR_IO, "%s cannot be read: %s",
            file, problem ? strerror(problem) : err_in("it is too large"));
    if (reading.long_line && (line == 0 || reading.long_line < line))
        return err_noted(note, ERR_LIMIT, "%s, line %d: %.300s", file, reading.long_line,
            err_in("the line is too long; it may have 199 bytes"));
    if (line > 0)
        return err_noted(note, ERR_SYNTAX, "%s, line %d: %.300s", file, line,
            reading.bad ? reading.problem.text
                        : err_in("this is neither [section] nor key = value"));
    return ERR_OK;
}

enum err config_load(const char *file, struct config **out_config, struct err_note *note)
{
    struct config_shared *shared = mem_zalloc(1, sizeof *shared);
    struct config *config = &shared->config;
    atomic_init(&shared->refs, 1);
    enum err e = set_defaults(config, note);
    if (e == ERR_OK && file) {
        (void)snprintf(config->file, sizeof config->file, "%s", file);
        e = read_file(config, file, note);
    }
    name_host(config);
    if (e == ERR_OK && config->data_dir[0] == 0)
        e = err_noted(
            note, ERR_SYNTAX, "server.data is empty; it takes a path, or leave the line out");
    if (e == ERR_OK)
        e = config_parse_listeners(config, note);
    if (e == ERR_OK && (config->cert_file[0] == 0) != (config->key_file[0] == 0))
        e = err_noted(
            note, ERR_SYNTAX, "tls.certificate and tls.key belong together: set both or none");
    if (e != ERR_OK) {
        config_unref(config);
        return e;
    }
    *out_config = config;
    return ERR_OK;
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add(&((struct config_shared *)config)->refs, 1);
    return config;
}

void config_unref(struct config *config)
{
    if (!config)
        return;
    struct config_shared *shared = (struct config_shared *)config;
    if (atomic_fetch_sub(&shared->refs, 1) == 1)
        free(shared);
}

/* ---- showing ---- */

static void write_value(const struct config *config, const struct key *key, struct buf *out)
{
    const char *field = (const char *)config + key->offset;
    switch (key->kind) {
    case KEY_SWITCH: {
        bool on;
        memcpy(&on, field, sizeof on);
        buf_adds(out, on ? "on" : "off");
        break;
    }
    case KEY_NUMBER: {
        unsigned n;
        memcpy(&n, field, sizeof n);
        buf_addu(out, n);
        break;
    }
    case KEY_SIZE: {
        uint64_t n;
        memcpy(&n, field, sizeof n);
        static const char units[] = "\0KMG";
        int unit = 0;
        while (unit < 3 && n && n % 1024 == 0) {
            n /= 1024;
            unit++;
        }
        buf_addu(out, n);
        if (unit)
            buf_addc(out, units[unit]);
        break;
    }
    default:
        buf_adds(out, field);
        break;
    }
}

void config_show(const struct config *config, struct buf *out)
{
    struct slice section = SLICE_EMPTY;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        struct slice name = slice_of(keys[i].name), head;
        (void)slice_cut(&name, '.', &head);
        if (!slice_eq(head, section)) {
            buf_addf(out, "%s[%.*s]\n", i ? "\n" : "", SLICE_FMT(head));
            section = head;
        }
        buf_addf(out, "%.*s = ", SLICE_FMT(name));
        write_value(config, &keys[i], out);
        buf_adds(out, config->set_by_file[i] ? "\n" : "   ; built-in\n");
    }
}

enum err config_explain(struct slice name, struct buf *out)
{
    const struct key *key = find_key(name);
    if (!key) {
        buf_addf(out, err_in("There is no key \"%.*s\". The nearest is %s.\n"), SLICE_FMT(name),
            nearest_key(name)->name);
        return ERR_NOT_FOUND;
    }
    char range[200];
    range_text(key, range, sizeof range);
    buf_addf(out, err_in("%s\n  %s\n  takes:   %s\n  default: %s\n"), key->name, err_in(key->help),
        range, key->value[0] ? key->value : err_in("(empty)"));
    return ERR_OK;
}
