/* One hop after another: take the URL apart, look the host up, ask, look where it sends us. */
#include "net/fetch.h"

#include "base/buf.h"
#include "base/clock.h"
#include "net/curl_calls.h"
#include "net/reach.h"
#include "net/tls_int.h"

#include <stdio.h>
#include <string.h>

#define URL_BYTES_MAX    2048u
#define HEADER_BYTES_MAX 65536u /* all header lines of one answer; curl itself stops at 300 KiB */
#define ADDRESSES_MAX    8u     /* that are tried */

struct hop {
    const struct curl_calls *curl;
    CURL *easy;
    size_t bytes_max, header_bytes;
    struct buf body;
    bool too_big, secret;
    bool loopback; /* curl knows the way to this machine without a lookup */
    char error[CURL_ERROR_SIZE];
};

/* ---- URLs ---- */

static char *url_part(CURLU *url, CURLUPart part, struct arena *arena)
{
    char *text = NULL, *copy = NULL;
    if (curl_calls()->url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
        copy = slice_cstr(arena, slice_of(text));
    curl_calls()->free(text);
    return copy;
}

/* By the names that mean it everywhere (RFC 6761 §6.3, RFC 8252 §7.3). */
static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
           strcmp(host, "[::1]") == 0;
}

static bool is_host_name(char *host)
{
    for (char *c = host; *c; c++) {
        *c = ascii_lower(*c);
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9') && *c != '-' && *c != '.')
            return false;
    }
    return true;
}

/* A URL that may be asked: https, port 443, a host name and nobody's name or password in it; or what the request allows beyond that. */
static enum fetch_end check_url(CURLU *url, const struct fetch_request *request, bool redirect,
    struct arena *arena, const char **out_host, bool *out_loopback)
{
    enum fetch_end other = redirect ? FETCH_REDIRECT_PLAIN : FETCH_BAD_URL;
    const char *scheme = url_part(url, CURLUPART_SCHEME, arena);
    const char *port = url_part(url, CURLUPART_PORT, arena);
    char *host = url_part(url, CURLUPART_HOST, arena);
    bool loopback = !redirect && request->loopback_ok && host && is_loopback(host);
    if (scheme && strcmp(scheme, "https") != 0 && !(loopback && strcmp(scheme, "http") == 0))
        return other;
    if (!scheme || !port || !host)
        return FETCH_BAD_URL;
    if (strcmp(port, "443") != 0 && !loopback && (redirect || !request->any_port))
        return other;
    if (url_part(url, CURLUPART_USER, arena) || url_part(url, CURLUPART_PASSWORD, arena))
        return FETCH_BAD_URL;
    *out_host = host;
    *out_loopback = loopback;
    if (loopback)
        return FETCH_DONE;
    if (host[0] == '[' || reach_is_address(host))
        return redirect ? FETCH_REDIRECT_PRIVATE : FETCH_BAD_URL;
    return is_host_name(host) ? FETCH_DONE : FETCH_BAD_URL;
}

/* ---- one hop ---- */

static enum fetch_end end_of_dns(enum dns_status status)
{
    switch (status) {
    case DNS_FOUND:
        return FETCH_DONE;
    case DNS_NO_RECORD:
    case DNS_NO_NAME:
        return FETCH_NO_NAME;
    case DNS_LATE:
        return FETCH_LATE;
    case DNS_FORGED:
        return FETCH_FORGED;
    case DNS_FAILED:
        break;
    }
    return FETCH_UNREACHABLE;
}

/* "host:port:address,address" for curl, which then looks nothing up. */
static enum fetch_end place_of(const char *host, const char *port, const struct dns_answer *found,
    bool private_ok, bool redirect, struct buf *out)
{
    buf_addf(out, "%s:%s:", host, port);
    for (size_t i = 0; i < found->count && i < ADDRESSES_MAX; i++) {
        const char *address = found->records[i].text;
        if (!private_ok && !reach_is_public(address))
            return redirect ? FETCH_REDIRECT_PRIVATE : FETCH_PRIVATE;
        buf_addf(out, strchr(address, ':') ? "%s[%s]" : "%s%s", i ? "," : "", address);
    }
    buf_addc(out, '\0');
    return FETCH_DONE;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct hop *hop = arg;
    size_t len = size * count;
    if (buf_len(&hop->body) + len > hop->bytes_max) {
        hop->too_big = true;
        return 0;
    }
    buf_add(&hop->body, slice_from(bytes, len));
    return len;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct hop *hop = arg;
    (void)bytes;
    hop->header_bytes += size * count;
    hop->too_big = hop->too_big || hop->header_bytes > HEADER_BYTES_MAX;
    return hop->too_big ? 0 : size * count;
}

static bool set_options(struct hop *hop, const struct fetch_request *request, CURLU *url,
    struct curl_slist *place, struct curl_slist *headers, long left_ms)
{
    CURL *easy = hop->easy;
    unsigned bad = 0;
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_CURLU, url);
    bad |= (unsigned)hop->curl->setopt(
        easy, CURLOPT_PROTOCOLS_STR, hop->loopback ? "http,https" : "https");
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_RESOLVE, place);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_HTTPHEADER, headers);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_PROXY, ""); /* mail itself goes by none */
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_TIMEOUT_MS, left_ms);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, left_ms);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_ERRORBUFFER, hop->error);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_WRITEDATA, hop);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_HEADERDATA, hop);
    bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_USERAGENT, "Barid");
    if (request->ca_file)
        bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_CAINFO, request->ca_file);
    if (request->post)
        bad |= (unsigned)hop->curl->setopt(easy, CURLOPT_POSTFIELDS, request->post); /* borrowed */
    return bad == 0;
}

static enum fetch_end end_of_curl(CURLcode code, const struct hop *hop)
{
    if (hop->too_big)
        return FETCH_TOO_BIG;
    switch (code) {
    case CURLE_OK:
        return FETCH_DONE;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_LATE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return FETCH_CERTIFICATE;
    default:
        return FETCH_UNREACHABLE;
    }
}

/* NULL when there is no memory. */
static struct curl_slist *make_headers(
    const struct curl_calls *curl, const struct fetch_request *request)
{
    const char *type = request->content_type ? request->content_type : "text/plain";
    struct buf line;
    buf_init(&line, 0);
    struct curl_slist *all = curl->append(NULL, "Accept: */*");
    /* without a wait for "100 Continue", which few servers give */
    struct curl_slist *last = all ? curl->append(all, "Expect:") : NULL;
    if (last && request->post) {
        buf_addf(&line, "Content-Type: %s%c", type, '\0');
        last = curl->append(all, buf_slice(&line).ptr);
        buf_clear(&line);
    }
    if (last && request->authorization) {
        buf_addf(&line, "Authorization: %s%c", request->authorization, '\0');
        last = curl->append(all, buf_slice(&line).ptr);
    }
    if (line.mem)
        explicit_bzero(line.mem, line.cap);
    buf_done(&line);
    if (!last)
        curl->free_all(all);
    return last ? all : NULL;
}

static void free_headers(const struct curl_calls *curl, struct curl_slist *headers, bool secret)
{
    for (struct curl_slist *one = headers; secret && one; one = one->next)
        explicit_bzero(one->data, strlen(one->data));
    curl->free_all(headers);
}

static enum fetch_end perform(struct hop *hop, const struct fetch_request *request, CURLU *url,
    const char *place, struct fetch_answer *answer)
{
    int64_t left_ms = request->until_ms - clock_mono_ms();
    if (left_ms <= 0)
        return FETCH_LATE;
    struct curl_slist *places = hop->loopback ? NULL : hop->curl->append(NULL, place);
    struct curl_slist *headers = make_headers(hop->curl, request);
    enum fetch_end end = FETCH_UNREACHABLE;
    if ((places || hop->loopback) && headers &&
        set_options(hop, request, url, places, headers, (long)left_ms)) {
        end = end_of_curl(hop->curl->perform(hop->easy), hop);
        long status = 0;
        (void)hop->curl->getinfo(hop->easy, CURLINFO_RESPONSE_CODE, &status);
        answer->status = (int)status;
        if (end != FETCH_DONE && !hop->too_big)
            (void)snprintf(answer->why, sizeof answer->why, "%s", hop->error);
    }
    free_headers(hop->curl, headers, request->secret);
    hop->curl->free_all(places);
    return end;
}

/* Where the answer sends us, or NULL. */
static char *redirected_to(const struct hop *hop, int status, struct arena *arena)
{
    char *target = NULL;
    if (status < 300 || status > 399 || status == 304)
        return NULL;
    if (hop->curl->getinfo(hop->easy, CURLINFO_REDIRECT_URL, &target) != CURLE_OK || !target)
        return NULL;
    return slice_cstr(arena, slice_of(target));
}

/* Whom to connect to: nothing for this machine, else what the resolver says. */
static enum err find_place(struct dns *dns, const struct fetch_request *request, CURLU *url,
    bool redirect, struct arena *arena, struct fetch_answer *answer, struct buf *place)
{
    struct dns_answer found = { .status = DNS_FAILED };
    const char *port = url_part(url, CURLUPART_PORT, arena);
    TRY(dns_addresses(dns, answer->host, request->until_ms, arena, &found));
    answer->end = end_of_dns(found.status);
    if (answer->end == FETCH_DONE)
        answer->end = place_of(answer->host, port ? port : "443", &found,
            request->private_ok && !redirect, redirect, place);
    return ERR_OK;
}

static void wipe(struct buf *buf)
{
    if (buf->mem)
        explicit_bzero(buf->mem, buf->cap);
    buf_done(buf);
}

static enum err ask(struct hop *hop, const struct fetch_request *request, CURLU *url,
    const char *place, struct arena *arena, struct fetch_answer *answer, char **out_next)
{
    hop->easy = hop->curl->easy_init();
    if (!hop->easy) {
        answer->end = FETCH_UNREACHABLE;
        return ERR_OK;
    }
    buf_init(&hop->body, 0);
    if (hop->secret) /* it never grows: no copy stays behind */
        (void)buf_room(&hop->body, hop->bytes_max + 1);
    answer->end = perform(hop, request, url, place, answer);
    if (answer->end == FETCH_DONE && !request->no_redirects)
        *out_next = redirected_to(hop, answer->status, arena);
    buf_addc(&hop->body, '\0');
    answer->body = slice_dup(arena, buf_slice(&hop->body));
    hop->curl->cleanup(hop->easy);
    if (hop->secret)
        wipe(&hop->body);
    buf_done(&hop->body);
    if (!answer->body.ptr)
        return ERR_LIMIT;
    answer->body.len--; /* the NUL */
    return ERR_OK;
}

/* Asks the host of url. *out_next: where it sends us. */
static enum err one_hop(struct dns *dns, const struct fetch_request *request, CURLU *url,
    bool redirect, struct arena *arena, struct fetch_answer *answer, char **out_next)
{
    struct hop hop = {
        .curl = curl_calls(), .bytes_max = request->bytes_max, .secret = request->secret
    };
    struct buf place;
    answer->end = check_url(url, request, redirect, arena, &answer->host, &hop.loopback);
    if (answer->end != FETCH_DONE)
        return ERR_OK;
    buf_init(&place, 0);
    enum err e =
        hop.loopback ? ERR_OK : find_place(dns, request, url, redirect, arena, answer, &place);
    if (e == ERR_OK && answer->end == FETCH_DONE)
        e = ask(&hop, request, url, buf_slice(&place).ptr, arena, answer, out_next);
    buf_done(&place);
    return e;
}

static enum err follow(struct dns *dns, const struct fetch_request *request, CURLU *url,
    struct arena *arena, struct fetch_answer *answer)
{
    const char *target = request->url;
    for (unsigned hops = 0;; hops++) {
        char *next = NULL;
        if (hops > FETCH_REDIRECTS_MAX) {
            answer->end = FETCH_REDIRECTS;
            return ERR_OK;
        }
        if (strlen(target) > URL_BYTES_MAX || curl_calls()->url_set(url, CURLUPART_URL, target,
                                                  CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
            answer->end = FETCH_BAD_URL;
            return ERR_OK;
        }
        TRY(one_hop(dns, request, url, hops > 0, arena, answer, &next));
        if (answer->end != FETCH_DONE || !next)
            return ERR_OK;
        target = next;
    }
}

enum err fetch(struct dns *dns, const struct fetch_request *request, struct arena *arena,
    struct fetch_answer *out_answer)
{
    struct fetch_answer answer = { .end = FETCH_BAD_URL, .body = SLICE_EMPTY, .host = "" };
    const struct curl_calls *curl = curl_calls();
    net_ignore_sigpipe();
    if (!curl) {
        answer.end = FETCH_UNREACHABLE;
        (void)snprintf(answer.why, sizeof answer.why, "%s is not on this machine", CURL_LIBRARY);
        *out_answer = answer;
        return ERR_OK;
    }
    CURLU *url = curl->url();
    if (!url)
        return ERR_LIMIT;
    enum err e = follow(dns, request, url, arena, &answer);
    curl->url_cleanup(url);
    if (e == ERR_OK)
        *out_answer = answer;
    return e;
}
