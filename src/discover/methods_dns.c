/* What DNS, our table and common names tell. */
#include "discover/run.h"

#include "base/rand.h"
#include "discover/rank.h"
#include "discover/table.h"

#include <stdio.h>
#include <string.h>

#define SRV_SERVERS_MAX 3u /* of one service that are called up; the rest are spares */
#define DNS_NAME_BYTES  300u

/* ---- our table ---- */

static void add_table_servers(struct run *run, const struct table_provider *provider,
    enum discover_method method, bool is_signed)
{
    struct settings settings = { .provider = provider->name };
    struct table_server row;
    struct arena scratch;
    size_t cursor = 0;
    arena_init(&scratch, 64u << 10);
    while (table_server(provider, &cursor, &row)) {
        char port[8];
        struct settings_server server = { .protocol = row.protocol,
            .security = row.security,
            .host = row.host,
            .user = row.user,
            .auth = row.auth };
        (void)snprintf(port, sizeof port, "%d", row.port);
        if (!row.plain)
            settings_add(&settings, &server, slice_of(port), run_name(run), &scratch);
    }
    run_step(run, method, settings.count ? DISCOVER_FOUND : DISCOVER_NO_SERVERS, provider->id,
        provider->name);
    for (size_t i = 0; i < settings.count; i++)
        run_candidate(run, &settings.servers[i], method, is_signed);
    arena_done(&scratch);
}

static void use_provider(struct run *run, const struct table_provider *provider,
    enum discover_method method, bool is_signed)
{
    struct discover_note notes[DISCOVER_NOTES];
    size_t count = table_notes(provider, notes);
    run_provider(run, method, provider->id, provider->name, table_fact(provider, "files-sent"));
    for (size_t i = 0; i < count; i++)
        run_note(run, method, notes[i].id, notes[i].url);
    /* a bridge runs on this machine with a certificate of its own, which nothing here can check */
    if (!table_fact(provider, "bridge"))
        add_table_servers(run, provider, method, is_signed);
}

bool method_table(struct run *run, bool *out_closed, bool *out_has_pop3)
{
    struct table_provider provider;
    *out_closed = false;
    if (!table_by_domain(run_name(run)->domain, &provider)) {
        run_step(run, DISCOVER_TABLE, DISCOVER_NOT_THERE, run_name(run)->domain, SLICE_EMPTY);
        return false;
    }
    use_provider(run, &provider, DISCOVER_TABLE, false);
    *out_has_pop3 = !table_fact(&provider, "pop-none");
    *out_closed = table_fact(&provider, "bridge") || table_fact(&provider, "no-access");
    return true;
}

/* ---- MX ---- */

/* The best one; of equals the first, so that the same question gets the same answer. */
static const struct dns_record *best_mx(const struct dns_answer *answer)
{
    const struct dns_record *best = &answer->records[0];
    for (size_t i = 1; i < answer->count; i++)
        if (answer->records[i].priority < best->priority)
            best = &answer->records[i];
    return best;
}

static enum discover_why why_of_dns(const struct dns_answer *answer)
{
    switch (answer->status) {
    case DNS_FOUND:
        return DISCOVER_FOUND;
    case DNS_NO_NAME:
    case DNS_NO_RECORD:
        return answer->broken ? DISCOVER_BAD_NAME : DISCOVER_NOT_THERE;
    case DNS_LATE:
        return DISCOVER_LATE;
    case DNS_FORGED:
        return DISCOVER_FORGED;
    case DNS_FAILED:
        break;
    }
    return DISCOVER_UNREACHABLE;
}

static void ask_provider_of(struct run *run, struct slice host, bool is_signed)
{
    struct table_provider provider;
    struct slice base = name_base(host);
    if (run_wants(run, DISCOVER_MX_TABLE) && table_by_mx(host, &provider)) {
        use_provider(run, &provider, DISCOVER_MX_TABLE, is_signed);
        return;
    }
    if (run_wants(run, DISCOVER_MX_PACC))
        run_start(run, method_mx_pacc, run_copy(run, host));
    if (slice_eq(base, run_name(run)->domain))
        return; /* it was asked under its own name */
    if (run_wants(run, DISCOVER_MX_AUTOCONFIG))
        run_start(run, method_mx_autoconfig, run_copy(run, base));
    if (run_wants(run, DISCOVER_MX_ISPDB))
        run_start(run, method_mx_ispdb, run_copy(run, base));
}

/* A domain may have no MX and still be there; that its name does not exist is final (RFC 8020). */
void method_mx(struct run *run, void *arg, struct arena *scratch)
{
    struct dns_answer answer = { .status = DNS_FAILED };
    struct slice domain = run_name(run)->domain;
    const char *name = slice_cstr(scratch, domain);
    (void)arg;
    if (!name || dns_lookup(run_dns(run), name, DNS_MX, run_until_ms(run), scratch, &answer))
        return;
    bool exists = answer.status != DNS_NO_NAME;
    run_domain(run, exists, answer.status != DNS_FAILED && answer.status != DNS_LATE);
    if (!exists)
        run_step(run, DISCOVER_DOMAIN, DISCOVER_NO_DOMAIN, domain, SLICE_EMPTY);
    if (answer.status != DNS_FOUND) {
        run_step(run, DISCOVER_MX, why_of_dns(&answer), domain, SLICE_EMPTY);
        return;
    }
    const struct dns_record *mx = best_mx(&answer);
    struct slice host = SLICE_EMPTY;
    if (mx->text[0] == '\0') {
        run_note(run, DISCOVER_MX, DISCOVER_NULL_MX, SLICE_EMPTY);
        run_step(run, DISCOVER_MX, DISCOVER_NOT_OFFERED, domain, SLICE_EMPTY);
    } else if (name_host(slice_of(mx->text), scratch, &host) != ERR_OK) {
        run_step(run, DISCOVER_MX, DISCOVER_BAD_NAME, slice_of(mx->text), SLICE_EMPTY);
    } else {
        run_step(
            run, DISCOVER_MX, DISCOVER_FOUND, host, answer.secure ? SLICE("DNSSEC") : SLICE_EMPTY);
        ask_provider_of(run, host, answer.secure);
    }
}

/* ---- SRV (RFC 6186 §3, RFC 8314 §5.1) ---- */

static const struct srv_service {
    const char *label;
    enum discover_protocol protocol;
    enum discover_security security;
} services[] = {
    { "_imaps._tcp.", DISCOVER_IMAP, DISCOVER_TLS },
    { "_imap._tcp.", DISCOVER_IMAP, DISCOVER_STARTTLS },
    { "_pop3s._tcp.", DISCOVER_POP3, DISCOVER_TLS },
    { "_pop3._tcp.", DISCOVER_POP3, DISCOVER_STARTTLS },
    { "_submissions._tcp.", DISCOVER_SMTP, DISCOVER_TLS },
    { "_submission._tcp.", DISCOVER_SMTP, DISCOVER_STARTTLS },
};

static uint32_t random_below(void *arg, uint32_t n)
{
    (void)arg;
    return rand_below(n);
}

static void add_srv_servers(struct run *run, const struct srv_service *service, struct slice asked,
    struct dns_answer *answer, struct arena *scratch)
{
    struct settings settings = { .provider = SLICE_EMPTY };
    rank_srv(answer->records, answer->count, random_below, NULL);
    for (size_t i = 0; i < answer->count && settings.count < SRV_SERVERS_MAX; i++) {
        const struct dns_record *record = &answer->records[i];
        char port[16];
        struct settings_server server = { .protocol = service->protocol,
            .security = service->security,
            .host = slice_of(record->text),
            .user = SLICE_EMPTY };
        (void)snprintf(port, sizeof port, "%u", record->port);
        settings_add(&settings, &server, slice_of(port), run_name(run), scratch);
    }
    struct slice detail = answer->secure ? SLICE("DNSSEC") : SLICE_EMPTY;
    run_step(run, DISCOVER_SRV, settings_end(&settings), asked, detail);
    for (size_t i = 0; i < settings.count; i++)
        run_candidate(run, &settings.servers[i], DISCOVER_SRV, answer->secure);
}

static const struct srv_service *service_of(const char *label)
{
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        if (strcmp(services[i].label, label) == 0)
            return &services[i];
    return NULL;
}

void method_srv(struct run *run, void *arg, struct arena *scratch)
{
    const struct srv_service *service = service_of(arg);
    struct dns_answer answer = { .status = DNS_FAILED };
    char name[DNS_NAME_BYTES];
    if (!service) /* the arena was used up: discover() says so */
        return;
    (void)snprintf(name, sizeof name, "%s%.*s", service->label, SLICE_FMT(run_name(run)->domain));
    if (dns_lookup(run_dns(run), name, DNS_SRV, run_until_ms(run), scratch, &answer) != ERR_OK)
        return;
    if (answer.status != DNS_FOUND)
        run_step(run, DISCOVER_SRV, why_of_dns(&answer), slice_of(name), SLICE_EMPTY);
    else if (answer.records[0].text[0] == '\0') /* "." (RFC 2782) */
        run_step(run, DISCOVER_SRV, DISCOVER_NOT_OFFERED, slice_of(name), SLICE_EMPTY);
    else
        add_srv_servers(run, service, slice_of(name), &answer, scratch);
}

/* ---- common names ---- */

void method_guess(struct run *run)
{
    static const struct {
        enum discover_protocol protocol;
        const char *hosts[4]; /* "": the domain itself */
        int tls_port, starttls_port;
    } rows[] = {
        { DISCOVER_IMAP, { "imap.", "mail.", "", NULL }, 993, 143 },
        { DISCOVER_POP3, { "pop.", "pop3.", "mail.", "" }, 995, 110 },
        { DISCOVER_SMTP, { "smtp.", "submission.", "mail.", "" }, 465, 587 },
    };
    struct slice domain = run_name(run)->domain;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t k = 0; k < 4 && rows[i].hosts[k]; k++) {
            char host[DNS_NAME_BYTES];
            (void)snprintf(host, sizeof host, "%s%.*s", rows[i].hosts[k], SLICE_FMT(domain));
            struct settings_server server = { .protocol = rows[i].protocol,
                .security = DISCOVER_TLS,
                .host = slice_of(host),
                .user = run_name(run)->address,
                .port = rows[i].tls_port };
            run_candidate(run, &server, DISCOVER_GUESS, false);
            server.security = DISCOVER_STARTTLS;
            server.port = rows[i].starttls_port;
            run_candidate(run, &server, DISCOVER_GUESS, false);
        }
}
