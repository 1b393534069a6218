/* The way to a server of an account, and why a session with one failed: for POP3 and SMTP alike, so that a person reads the same words. */
#ifndef CLIENT_CORE_CONNECT_H
#define CLIENT_CORE_CONNECT_H

#include "client/core/account.h"
#include "client/core/login.h"
#include "net/dial.h"

#define CLIENT_TIMEOUT_MS     60000
#define CLIENT_SAID_BYTES_MAX 300u

/* Each is one sentence with the next step, and one exit code. */
enum client_why {
    CLIENT_WHY_NONE,
    CLIENT_WHY_UNREACHABLE, /* no network, no such host, nobody listens */
    CLIENT_WHY_SILENT,      /* a deadline passed */
    CLIENT_WHY_CLOSED,      /* the server went away */
    CLIENT_WHY_CERTIFICATE,
    CLIENT_WHY_TLS,
    CLIENT_WHY_NO_STARTTLS, /* not offered, or refused */
    CLIENT_WHY_INJECTED,    /* more than the answer came before TLS began */
    CLIENT_WHY_NOT_PRIVATE,
    CLIENT_WHY_PASSWORD,   /* refused by the server */
    CLIENT_WHY_NOT_SERVER, /* it did not prove that it knows the password */
    CLIENT_WHY_NO_MECHANISM,
    CLIENT_WHY_WEAKER,      /* than before */
    CLIENT_WHY_SECRET,      /* none could be had */
    CLIENT_WHY_TOKEN,       /* refused, or over, and there is no other */
    CLIENT_WHY_TOKEN_LATER, /* refused, and whoever gives another one is away */
    CLIENT_WHY_IN_USE,
    CLIENT_WHY_LOGIN_DELAY,
    CLIENT_WHY_SYS_TEMP,
    CLIENT_WHY_SYS_PERM,
    CLIENT_WHY_REFUSED,    /* a command, for no reason that we know */
    CLIENT_WHY_NONSENSE,   /* the server does not speak the protocol */
    CLIENT_WHY_LIMIT,      /* the server says more than anybody should */
    CLIENT_WHY_NO_IDS,     /* POP3: messages cannot be told apart, and are to be kept */
    CLIENT_WHY_NO_TARGET,  /* POP3: nowhere to put mail */
    CLIENT_WHY_RUNNING,    /* another of us works on the account */
    CLIENT_WHY_HERE_GONE,  /* sync: none of the folders that were here is here */
    CLIENT_WHY_THERE_GONE, /* sync: none of those that were there is there */
    CLIENT_WHY_DISK,
    CLIENT_WHY_QUEUE, /* what is to be sent cannot be read or recorded */
    CLIENT_WHY_STATE, /* what we keep about the account cannot be used */
    CLIENT_WHYS,
};

struct client_failure {
    enum client_why why;
    enum err err;
    char said[CLIENT_SAID_BYTES_MAX +
              1];         /* what the server said, as it came; "" when it said nothing */
    struct err_note note; /* details for a person; "" when there are none */
};

/* Fills it and returns err. */
enum err client_failed(struct client_failure *failure, enum client_why why, enum err err);
enum err client_failed_said(
    struct client_failure *failure, enum client_why why, enum err err, struct slice said);
/* What an error of a dial call means: closed, silent, too much, nonsense. */
enum err client_failed_dial(struct client_failure *failure, enum err err);

/* Connects as the account says; with CLIENT_TLS the handshake is done too. With CLIENT_PLAIN the connection has to be private. */
enum err MUST_USE client_connect(const struct client_account *account,
    const struct client_server *server, int timeout_ms, struct dial **out_dial,
    struct client_failure *failure);
/* After the server's go-ahead. */
enum err MUST_USE client_starttls(struct dial *dial, struct client_failure *failure);

/* One login: everything that does not depend on the protocol. */
struct client_login_state {
    struct client_login_options options;
    struct buf binding; /* owned */
};
/* weakest as remembered. Afterwards client_login_prepared_done. */
void client_login_prepare(struct client_login_state *state, struct dial *dial,
    const struct client_account *account, const struct client_server *server, struct slice secret,
    bool token, unsigned offered, unsigned weakest);
void client_login_prepared_done(struct client_login_state *state);
/* After a refused SCRAM, once: whether the same password may be sent as PLAIN. Some servers know SCRAM but have of older users only a hash that it
 * cannot use. Only where PLAIN would have been taken had SCRAM not been offered, and nothing stronger ever worked here. */
bool client_login_again(struct client_login_state *state, const struct client_login *login);

#endif
