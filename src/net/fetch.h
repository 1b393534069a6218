/* One document over HTTPS from a server that nobody trusts yet: libcurl, without what makes libcurl powerful. Thread-safe: threads fetch at once.
 *
 * Only https, port 443, certificates checked; no cookies, no proxy, no compression, and no credentials but those of the request. Names are looked up
 * by the caller's resolver and the connection goes to those addresses and no others. Redirects are followed here, at most three, never to anything
 * but https on the public network. All is bounded by bytes and by one deadline, however slowly the server goes on. */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include "base/limits.h"
#include "net/dns.h"

enum fetch_end {
    FETCH_DONE,             /* an answer came; see its status */
    FETCH_NO_NAME,          /* the host does not exist */
    FETCH_UNREACHABLE,      /* DNS or the server failed, or the connection broke */
    FETCH_LATE,
    FETCH_FORGED,           /* DNSSEC refused the host's address */
    FETCH_CERTIFICATE,      /* does not fit the host, or nobody known vouches for it */
    FETCH_PRIVATE,          /* the host lies inside a private network and may not */
    FETCH_TOO_BIG,
    FETCH_REDIRECT_PLAIN,   /* to something that is not https on port 443 */
    FETCH_REDIRECT_PRIVATE,
    FETCH_REDIRECTS,        /* too many */
    FETCH_BAD_URL,          /* the caller's, or a redirect's */
};

struct fetch_request {
    const char *url;
    const char *post;         /* body of a POST in UTF-8; NULL: GET */
    const char *content_type; /* of it */
    const char *authorization; /* of RFC 9110 §11.6.2, such as "Basic ..."; NULL: none. Never with redirects */
    const char *ca_file;      /* PEM; NULL: the system's */
    size_t bytes_max;         /* of the body */
    int64_t until_ms;         /* clock_mono_ms */
    bool private_ok;          /* the first host may lie inside a private network; those of redirects never */
    bool any_port;            /* the first host may be asked on another port than 443 */
    bool loopback_ok;         /* the first host may be this machine (localhost, 127.0.0.1, [::1]): on any port, also by http */
    bool no_redirects;        /* one is given back as any other answer: what is sent is for this server alone */
    bool secret;              /* what is sent or comes is: our copies of it are wiped, but for body, which the caller wipes */
};

struct fetch_answer {
    enum fetch_end end;
    int status;        /* HTTP */
    struct slice body; /* in the arena, NUL behind it */
    const char *host;  /* in the arena: who answered last, or was asked in vain; "" when the URL has none */
    char why[256];     /* a technical word about a failure, for those who want to know; may be empty */
};

/* ERR_LIMIT: the arena's budget. */
enum err MUST_USE fetch(
        struct dns *dns, const struct fetch_request *request, struct arena *arena, struct fetch_answer *out_answer);

#endif
