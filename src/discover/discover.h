/* Finds the servers of a mailbox from its address alone: IMAP, POP3 and submission.
 *
 * All methods ask at once: our own table, autoconfig, SRV, PACC, the host of the MX, Autodiscover, common names. What they name is then called up: a server
 * counts as *settled* only when its certificate fits its name, and it greets as its protocol does and lets somebody log in. No password is known here,
 * none is sent, and nothing is written. No answer of a stranger can make anything but TLS come out.
 *
 *   named → settled   the check succeeded
 *   named → unsettled the server did not answer in time, or at all: perhaps it does tomorrow, from another network
 *   named → refused   it answered, and wrongly (certificate, protocol, no TLS): left out; the trail says why */
#ifndef DISCOVER_DISCOVER_H
#define DISCOVER_DISCOVER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

#define DISCOVER_TIMEOUT_MS 5000 /* of all together; nobody waits longer before typing it in */

enum discover_protocol {
    DISCOVER_IMAP,
    DISCOVER_POP3,
    DISCOVER_SMTP, /* submission */
    DISCOVER_PROTOCOLS
};

enum discover_security {
    DISCOVER_TLS,
    DISCOVER_STARTTLS, /* the connection must not go on without it */
};

/* Bits: how one may log in, as the source or, for a settled server, the server itself says. */
enum discover_auth {
    DISCOVER_PASSWORD = 1,
    DISCOVER_OAUTH2   = 2,
};

/* Best first: of two servers that are equal otherwise, the one of the earlier source is better. */
enum discover_method {
    DISCOVER_TABLE,         /* our own, by the address's domain */
    DISCOVER_PACC,          /* draft-bucksch-mailmaint-pacc */
    DISCOVER_AUTOCONFIG,    /* https://autoconfig.DOMAIN/ */
    DISCOVER_WELL_KNOWN,    /* https://DOMAIN/.well-known/autoconfig/ */
    DISCOVER_SRV,           /* RFC 6186, RFC 8314 */
    DISCOVER_ISPDB,         /* Thunderbird's database */
    DISCOVER_MX_TABLE,      /* our own, by the provider that the MX shows */
    DISCOVER_MX_PACC,
    DISCOVER_MX_AUTOCONFIG, /* of the provider that the MX shows */
    DISCOVER_MX_ISPDB,
    DISCOVER_AUTODISCOVER,  /* Exchange's, first version, without a password */
    DISCOVER_GUESS,         /* imap.DOMAIN and the like, by trying */
    DISCOVER_MX,            /* these four name no server; they stand in the trail only */
    DISCOVER_JMAP,
    DISCOVER_CHECK,         /* a server was called up */
    DISCOVER_DOMAIN,        /* whether the domain is there at all */
    DISCOVER_METHODS
};
#define DISCOVER_ALL_METHODS ((1u << DISCOVER_METHODS) - 1)

/* Why something came out as it did: what the trail says. */
enum discover_why {
    DISCOVER_FOUND,          /* servers were named; subject: the first */
    DISCOVER_SETTLED,        /* the server is what it should be */
    DISCOVER_NOT_THERE,      /* no such host, record, page or row */
    DISCOVER_NOT_OFFERED,    /* the domain says that it does not offer this (SRV ".") */
    DISCOVER_NOT_NEEDED,     /* our table had it all */
    DISCOVER_NO_DOMAIN,
    DISCOVER_UNREACHABLE,
    DISCOVER_LATE,
    DISCOVER_HTTP_STATUS,    /* detail: the number */
    DISCOVER_WANTS_PASSWORD, /* HTTP 401 or 403: nothing is sent */
    DISCOVER_BAD_CERTIFICATE,
    DISCOVER_FORGED,         /* DNSSEC */
    DISCOVER_PRIVATE,        /* leads into a private network */
    DISCOVER_TOO_BIG,
    DISCOVER_REDIRECT_PLAIN,
    DISCOVER_REDIRECT_PRIVATE,
    DISCOVER_REDIRECTS,
    DISCOVER_GARBAGE,        /* not the document that was asked for */
    DISCOVER_ENTITIES,       /* XML that brings definitions of its own */
    DISCOVER_NO_SERVERS,     /* a document without a server of use */
    DISCOVER_BAD_NAME,       /* a host or user name that is none */
    DISCOVER_PLAIN_ONLY,     /* offers no TLS */
    DISCOVER_NOT_PROTOCOL,   /* greets like something else */
    DISCOVER_PREAUTH,        /* wants to be used without a login */
    DISCOVER_INJECTED,       /* words before TLS that would count after it */
    DISCOVER_NO_LOGIN,       /* a server where nobody can log in */
    DISCOVER_TOO_MANY,       /* over our limits, left out */
    DISCOVER_WHYS
};

struct discover_server {
    enum discover_protocol protocol;
    enum discover_security security;
    enum discover_method method;
    int port;
    unsigned auth;       /* enum discover_auth bits; 0: not known */
    struct slice host;   /* A-labels, lower case: for connecting */
    struct slice shown;  /* U-labels: for people */
    struct slice user;   /* what to log in as */
    bool settled;        /* its certificate was checked just now and fits; else there was no answer */
    bool foreign;        /* in another registrable domain than the address, and only unsigned answers say so: show it, and ask, before a password goes there */
    bool dnssec;         /* found by signed SRV records */
};

/* Where somebody logs in at the provider's page (OAuth 2.0); "" for what is not known. Of another domain than address and servers it comes out of our own table
 * alone: a document could otherwise have the tokens of a large provider sent to a server of its own. */
struct discover_oauth {
    struct slice issuer; /* names where its endpoints are (RFC 8414); else these two, or three */
    struct slice authorization_url, token_url, device_url;
    struct slice scope; /* blanks between */
};

/* What the person has to know or do; the caller has the sentences. url is "" or an https page. */
enum discover_note_id {
    DISCOVER_POP_OFF,          /* has to be switched on first */
    DISCOVER_IMAP_OFF,
    DISCOVER_BOTH_OFF,
    DISCOVER_POP_ADMIN,        /* an administrator decides */
    DISCOVER_IMAP_ADMIN,
    DISCOVER_BOTH_ADMIN,
    DISCOVER_POP_PAID,         /* may cost money, and has to be switched on */
    DISCOVER_IMAP_PAID,
    DISCOVER_BOTH_PAID,
    DISCOVER_NO_POP,           /* the provider has no POP3 */
    DISCOVER_OAUTH_ONLY,       /* passwords are not taken */
    DISCOVER_APP_PASSWORD,     /* the usual password is not taken, an app password is */
    DISCOVER_OAUTH_OR_APP,     /* the same, or OAuth2 */
    DISCOVER_MAYBE_APP,        /* with two-step verification an app password */
    DISCOVER_BRIDGE,           /* only through a program of the provider */
    DISCOVER_NO_ACCESS,        /* mail programs are not let in at all */
    DISCOVER_ONLY_PLAIN_KNOWN, /* servers are known, but none with TLS */
    DISCOVER_UNPUBLISHED,      /* a known provider that publishes no servers */
    DISCOVER_NO_INCOMING,      /* our table knows no server to read mail from */
    DISCOVER_NO_OUTGOING,      /* none to send by */
    DISCOVER_SWITCH_ON,        /* an autoconfig answer says that something is to be switched on at url */
    DISCOVER_HAS_JMAP,
    DISCOVER_NULL_MX,          /* the domain takes no mail (RFC 7505) */
    DISCOVER_NOTES
};

struct discover_note {
    enum discover_note_id id;
    struct slice url;
};

struct discover_step {
    int at_ms; /* since the beginning */
    enum discover_method method;
    enum discover_why why;
    struct slice subject; /* what was asked: a URL, a DNS name, HOST:PORT. Bytes of strangers: escape before showing */
    struct slice detail;  /* technical, may be empty; as strange */
};

struct discover_result {
    struct slice address, domain; /* the domain as A-labels */
    struct slice provider_id, provider_name; /* empty: not in our table. The name may be a stranger's */
    bool domain_exists;    /* false: DNS says that there is no such domain */
    bool network_down;     /* no question of DNS was answered at all */
    bool files_sent_copy;  /* its SMTP files what is sent into Sent: do not append */
    struct discover_oauth oauth;
    struct discover_server *servers; /* by protocol, then best first */
    size_t server_count;
    struct discover_note *notes;
    size_t note_count;
    struct discover_step *trail; /* in time order */
    size_t step_count;
};

struct discover_options {
    const char *resolver; /* "ADDRESS" or "ADDRESS@PORT"; NULL: /etc/resolv.conf */
    const char *ca_file;  /* PEM; NULL: the system's */
    int timeout_ms;       /* 0: DISCOVER_TIMEOUT_MS */
    unsigned methods;     /* bits 1u << DISCOVER_...; 0: all. With fewer than all the table does not make the others unneeded */
};

/* Waits, and ends within the timeout (a little more when the machine is busy). ERR_OK also when nothing was found; then out->servers is empty.
 * ERR_SYNTAX: no address, or options->resolver is none (dns_is_resolver); ERR_LIMIT: the arena; ERR_IO: no resolver can be used. note says why, in technical
 * words. */
enum err MUST_USE discover(const struct discover_options *options, struct slice address, struct arena *arena,
        struct discover_result *out_result, struct err_note *note);

/* The best server of the protocol, or NULL; settled ones only when only_settled. */
const struct discover_server *discover_best(
        const struct discover_result *result, enum discover_protocol protocol, bool only_settled);

/* Small words for programs: "imap", "tls", "mx-table", "bad-certificate", "pop-off". */
const char *discover_protocol_name(enum discover_protocol protocol);
const char *discover_security_name(enum discover_security security);
const char *discover_method_name(enum discover_method method);
const char *discover_why_name(enum discover_why why);
const char *discover_note_name(enum discover_note_id id);

#endif
