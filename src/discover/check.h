/* Calls a server up: does its certificate fit its name, does it speak the protocol, can one log in? Waits. Says hello and goodbye; never a user's name, never a
 * password. */
#ifndef DISCOVER_CHECK_H
#define DISCOVER_CHECK_H

#include "discover/discover.h"
#include "net/dns.h"

struct check {
    enum discover_protocol protocol;
    enum discover_security security;
    const char *host; /* A-labels */
    int port;
    const char *ca_file; /* NULL: the system's */
    bool private_ok;     /* the host may lie inside a private network */
    int64_t until_ms;    /* clock_mono_ms */
};

/* DISCOVER_SETTLED, and *out_auth says how the server lets people log in; DISCOVER_NOT_THERE, DISCOVER_UNREACHABLE, DISCOVER_LATE: it could not be asked;
 * else what is wrong with it. note gets a technical word about it. */
enum discover_why check_server(struct dns *dns, const struct check *check, struct arena *arena, unsigned *out_auth,
        struct err_note *note);

/* Lines of capabilities, pure; for check_server and its tests. Each adds to *auth (enum discover_auth bits). */
struct capabilities {
    unsigned auth;
    bool starttls;       /* STARTTLS, STLS */
    bool no_plain_login; /* IMAP LOGINDISABLED */
};
void check_imap_capabilities(struct slice line, struct capabilities *capabilities); /* after "* CAPABILITY " */
void check_pop3_capability(struct slice line, struct capabilities *capabilities);   /* one line of CAPA */
void check_smtp_keyword(struct slice line, struct capabilities *capabilities);      /* after "250-" */

#endif
