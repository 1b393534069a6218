/* What providers publish for programs over HTTPS. Each method builds a URL, fetches it, and has it read. */
#include "discover/run.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#define ISPDB_URL      "https://autoconfig.thunderbird.net/v1.1/"
#define DNS_NAME_BYTES 300u
#define URL_BYTES_MAX  2000u

/* ---- URLs ---- */

/* As a value in a query (RFC 3986 §2.3): everything but what is unreserved. */
static void add_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], lower = ascii_lower(c);
        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c)))
            buf_addc(out, c);
        else
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static const char *make_url(struct run *run, const char *start, struct slice domain,
    const char *path, bool with_address, struct arena *scratch)
{
    struct buf url;
    buf_init(&url, URL_BYTES_MAX);
    buf_adds(&url, start);
    buf_add(&url, domain);
    buf_adds(&url, path);
    if (with_address) {
        buf_adds(&url, "?emailaddress=");
        add_escaped(&url, run_name(run)->address);
    }
    const char *text = buf_err(&url) == ERR_OK ? slice_cstr(scratch, buf_slice(&url)) : NULL;
    buf_done(&url);
    return text;
}

/* ---- fetching ---- */

static enum discover_why why_of_fetch(const struct fetch_answer *answer)
{
    static const enum discover_why whys[] = {
        [FETCH_DONE] = DISCOVER_FOUND,
        [FETCH_NO_NAME] = DISCOVER_NOT_THERE,
        [FETCH_UNREACHABLE] = DISCOVER_UNREACHABLE,
        [FETCH_LATE] = DISCOVER_LATE,
        [FETCH_FORGED] = DISCOVER_FORGED,
        [FETCH_CERTIFICATE] = DISCOVER_BAD_CERTIFICATE,
        [FETCH_PRIVATE] = DISCOVER_PRIVATE,
        [FETCH_TOO_BIG] = DISCOVER_TOO_BIG,
        [FETCH_REDIRECT_PLAIN] = DISCOVER_REDIRECT_PLAIN,
        [FETCH_REDIRECT_PRIVATE] = DISCOVER_REDIRECT_PRIVATE,
        [FETCH_REDIRECTS] = DISCOVER_REDIRECTS,
        [FETCH_BAD_URL] = DISCOVER_BAD_NAME,
    };
    if (answer->end != FETCH_DONE)
        return whys[answer->end];
    if (answer->status == 401 || answer->status == 403)
        return DISCOVER_WANTS_PASSWORD;
    if (answer->status == 404 || answer->status == 410)
        return DISCOVER_NOT_THERE;
    return answer->status == 200 ? DISCOVER_FOUND : DISCOVER_HTTP_STATUS;
}

/* Servers inside a private network are reached only under the address's own name: elsewhere a stranger would choose where we knock. */
static bool get(struct run *run, const char *url, struct slice host, const char *post,
    struct arena *scratch, struct fetch_answer *out_answer)
{
    struct fetch_request request = { .url = url,
        .post = post,
        .content_type = post ? "text/xml; charset=utf-8" : NULL,
        .ca_file = run_ca_file(run),
        .bytes_max = SETTINGS_BYTES_MAX,
        .until_ms = run_until_ms(run),
        .private_ok = slice_eq(name_base(host), run_name(run)->base) };
    return url && fetch(run_dns(run), &request, scratch, out_answer) == ERR_OK;
}

typedef enum discover_why (*read_fn)(struct slice bytes, const struct name *name,
    struct arena *arena, struct settings *out_settings);

static void try_document(struct run *run, enum discover_method method, const char *url,
    struct slice host, const char *post, read_fn read, struct arena *scratch)
{
    struct fetch_answer answer;
    struct settings settings = { .provider = SLICE_EMPTY, .switch_on = SLICE_EMPTY };
    if (!get(run, url, host, post, scratch, &answer))
        return;
    enum discover_why why = why_of_fetch(&answer);
    if (why == DISCOVER_FOUND) {
        why = read(answer.body, run_name(run), scratch, &settings);
        run_settings(run, method, why, &settings, slice_of(url));
        return;
    }
    char status[24];
    (void)snprintf(status, sizeof status, "HTTP %d", answer.status);
    bool by_status = answer.end == FETCH_DONE;
    run_step(run, method, why, slice_of(url), slice_of(by_status ? status : answer.why));
}

/* ---- autoconfig ---- */

static void autoconfig_of(
    struct run *run, enum discover_method method, struct slice domain, struct arena *scratch)
{
    const char *url =
        make_url(run, "https://autoconfig.", domain, "/mail/config-v1.1.xml", true, scratch);
    try_document(run, method, url, domain, NULL, autoconfig_read, scratch);
}

void method_autoconfig(struct run *run, void *arg, struct arena *scratch)
{
    (void)arg;
    autoconfig_of(run, DISCOVER_AUTOCONFIG, run_name(run)->domain, scratch);
}

void method_mx_autoconfig(struct run *run, void *arg, struct arena *scratch)
{
    autoconfig_of(run, DISCOVER_MX_AUTOCONFIG, slice_of(arg), scratch);
}

void method_well_known(struct run *run, void *arg, struct arena *scratch)
{
    struct slice domain = run_name(run)->domain;
    (void)arg;
    const char *url = make_url(
        run, "https://", domain, "/.well-known/autoconfig/mail/config-v1.1.xml", true, scratch);
    try_document(run, DISCOVER_WELL_KNOWN, url, domain, NULL, autoconfig_read, scratch);
}

/* The database is told the domain, never the address. */
static void ispdb_of(
    struct run *run, enum discover_method method, struct slice domain, struct arena *scratch)
{
    const char *url = make_url(run, ISPDB_URL, domain, "", false, scratch);
    try_document(
        run, method, url, SLICE("autoconfig.thunderbird.net"), NULL, autoconfig_read, scratch);
}

void method_ispdb(struct run *run, void *arg, struct arena *scratch)
{
    (void)arg;
    ispdb_of(run, DISCOVER_ISPDB, run_name(run)->domain, scratch);
}

void method_mx_ispdb(struct run *run, void *arg, struct arena *scratch)
{
    ispdb_of(run, DISCOVER_MX_ISPDB, slice_of(arg), scratch);
}

/* ---- PACC: an SRV record names the host of a document (draft-bucksch-mailmaint-pacc §3.1) ---- */

static void pacc_of(struct run *run, enum discover_method method, const char *service,
    struct slice domain, struct arena *scratch)
{
    struct dns_answer answer = { .status = DNS_FAILED };
    struct slice host = SLICE_EMPTY;
    char name[DNS_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s%.*s", service, SLICE_FMT(domain));
    if (dns_lookup(run_dns(run), name, DNS_SRV, run_until_ms(run), scratch, &answer) != ERR_OK)
        return;
    if (answer.status != DNS_FOUND || answer.records[0].text[0] == '\0') {
        run_step(run, method,
            answer.status == DNS_LATE     ? DISCOVER_LATE
            : answer.status == DNS_FORGED ? DISCOVER_FORGED
                                          : DISCOVER_NOT_THERE,
            slice_of(name), SLICE_EMPTY);
        return;
    }
    if (answer.records[0].port != 443 ||
        name_host(slice_of(answer.records[0].text), scratch, &host) != ERR_OK) {
        run_step(run, method, DISCOVER_BAD_NAME, slice_of(name), slice_of(answer.records[0].text));
        return;
    }
    const char *url = make_url(run, "https://", host, "/.well-known/pacc.json", false, scratch);
    try_document(run, method, url, host, NULL, pacc_read, scratch);
}

void method_pacc(struct run *run, void *arg, struct arena *scratch)
{
    (void)arg;
    pacc_of(run, DISCOVER_PACC, "_pacc._https.", run_name(run)->domain, scratch);
}

void method_mx_pacc(struct run *run, void *arg, struct arena *scratch)
{
    pacc_of(run, DISCOVER_MX_PACC, "_paccmx._https.", slice_of(arg), scratch);
}

/* ---- Autodiscover ---- */

static void add_xml(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("&<>\"'", text.ptr[i]))
            buf_addf(out, "&#%d;", text.ptr[i]);
        else
            buf_addc(out, text.ptr[i]);
    }
}

void method_autodiscover(struct run *run, void *arg, struct arena *scratch)
{
    struct slice domain = run_name(run)->domain;
    struct buf post;
    const char *url = make_url(run, arg, domain, "/autodiscover/autodiscover.xml", false, scratch);
    buf_init(&post, 4096);
    buf_adds(&post,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\""
        "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">"
        "<Request><EMailAddress>");
    add_xml(&post, run_name(run)->address);
    buf_adds(&post,
        "</EMailAddress><AcceptableResponseSchema>"
        "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
        "</AcceptableResponseSchema></Request></Autodiscover>\n");
    const char *body = slice_cstr(scratch, buf_slice(&post));
    buf_done(&post);
    if (body)
        try_document(run, DISCOVER_AUTODISCOVER, url, domain, body, autodiscover_read, scratch);
}

/* ---- JMAP (RFC 8620 §2.2): only whether it is there ---- */

void method_jmap(struct run *run, void *arg, struct arena *scratch)
{
    struct slice domain = run_name(run)->domain;
    struct fetch_answer answer;
    const char *url = make_url(run, "https://", domain, "/.well-known/jmap", false, scratch);
    (void)arg;
    if (!get(run, url, domain, NULL, scratch, &answer))
        return;
    bool session = answer.end == FETCH_DONE && answer.status == 200 &&
                   slice_find(answer.body, SLICE("\"capabilities\"")) != SIZE_MAX;
    bool asks = answer.end == FETCH_DONE && answer.status == 401;
    enum discover_why why = session || asks ? DISCOVER_FOUND : why_of_fetch(&answer);
    if (why == DISCOVER_FOUND && !session && !asks)
        why = DISCOVER_GARBAGE;
    if (session || asks)
        run_note(run, DISCOVER_JMAP, DISCOVER_HAS_JMAP, slice_of(url));
    run_step(run, DISCOVER_JMAP, why, slice_of(url), SLICE_EMPTY);
}
