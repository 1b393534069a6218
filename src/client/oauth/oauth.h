/* Logging in at a provider's own page instead of by a password (OAuth 2.0: RFC 6749, RFC 8414, RFC 8628, RFC 8252, RFC 7636, RFC 7591, RFC 9207), and
 * new access tokens afterwards. Blocking; every request ends in OAUTH_REQUEST_MS, goes to https (or this machine) with a checked certificate, and follows no
 * redirect. Knows nothing of accounts: where tokens are kept is the caller's. Tokens pass through memory that is wiped. */
#ifndef CLIENT_OAUTH_OAUTH_H
#define CLIENT_OAUTH_OAUTH_H

#include "client/oauth/oauth_text.h"

#define OAUTH_REQUEST_MS 20000 /* in all, however slowly a server goes on */
#define OAUTH_BROWSER_S  600   /* how long somebody may take to log in on a page */

/* Each is one sentence with the next step. */
enum oauth_why {
    OAUTH_NONE,
    OAUTH_UNREACHABLE, /* no network, no such host, the server is down or busy: later */
    OAUTH_CERTIFICATE,
    OAUTH_NONSENSE, /* the answer is not what it should be */
    OAUTH_TOO_BIG,
    OAUTH_REDIRECTED,  /* a request with a secret was to go elsewhere */
    OAUTH_INSECURE,    /* an address of the server's is not https */
    OAUTH_NO_METADATA, /* the issuer does not say where to log in */
    OAUTH_ISSUER,      /* what it says is of another issuer */
    OAUTH_NO_CLIENT,   /* a client id is needed, and the server gives none */
    OAUTH_CLIENT,      /* it refused the client id or its secret */
    OAUTH_SCOPE,       /* it does not know the scope */
    OAUTH_NO_WAY,      /* it knows neither a code for devices nor a page with PKCE */
    OAUTH_NO_PORT,     /* no port of this machine to come back to */
    OAUTH_DENIED,      /* the person, or their administrator, said no */
    OAUTH_EXPIRED,     /* nobody logged in in time */
    OAUTH_FORGED,      /* the answer on this machine is of another server (RFC 9207) */
    OAUTH_GRANT,       /* what was granted is no longer: log in anew */
    OAUTH_TOKEN_TYPE,  /* the token is none that mail servers take */
    OAUTH_REFUSED,     /* for a reason that it tells */
    OAUTH_WHYS
};

struct oauth_failure {
    enum oauth_why why;
    enum err err;
    struct err_note
        note; /* details, also words of strangers: escape them. No secrets. "" when there are none */
};

/* Who asks. One thread. */
struct oauth_ask {
    const char *ca_file;          /* PEM; NULL: the system's */
    struct oauth_failure failure; /* of the last call that failed */
    struct dns *dns;              /* private; opened when it is needed */
};
void oauth_ask_done(struct oauth_ask *ask);

struct oauth_client { /* borrowed */
    struct slice id,
        secret; /* secret "": none, as it should be for a program that anybody can read */
    bool secret_in_header;
};

/* Finds out where to log in. server->issuer is the one asked for, byte for byte (RFC 8414 §3.3). All in the arena. */
enum err MUST_USE oauth_find(struct oauth_ask *ask, struct slice issuer, struct arena *arena,
    struct oauth_server *out_server);
/* A client id of our own from the server (RFC 7591). In the arena. */
enum err MUST_USE oauth_register(struct oauth_ask *ask, const struct oauth_server *server,
    struct slice scope, struct arena *arena, struct oauth_client *out_client);
/* A new access token. tokens->refresh empty: the old one stays. After an error the old one may be used again, but for OAUTH_GRANT. */
enum err MUST_USE oauth_refresh(struct oauth_ask *ask, struct slice token_url,
    const struct oauth_client *client, struct slice refresh, struct oauth_tokens *out_tokens);

/* What the person is told, and does. */
struct oauth_person {
    /* A page to open; code: to type there, or "" where the page is all. complete: the page with the code in it, or "". */
    void (*show)(void *arg, struct slice page, struct slice code, struct slice complete);
    void *arg;
    struct slice page_done, page_failed; /* HTML that the browser gets when it comes back */
    int input_fd; /* where an address may be typed that a browser on another machine ended at; -1: nowhere */
};
/* The device authorization grant (RFC 8628): the person may log in on any machine. */
enum err MUST_USE oauth_login_device(struct oauth_ask *ask, const struct oauth_server *server,
    const struct oauth_client *client, struct slice scope, const struct oauth_person *person,
    struct oauth_tokens *out_tokens);
/* The page of the provider, which sends the browser back to a port of this machine (RFC 8252 §7.3), with PKCE (RFC 7636). */
enum err MUST_USE oauth_login_browser(struct oauth_ask *ask, const struct oauth_server *server,
    const struct oauth_client *client, struct slice scope, const struct oauth_person *person,
    struct oauth_tokens *out_tokens);

#endif
