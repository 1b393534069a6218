/* The client's half of a login, for IMAP, POP3 and SMTP alike: which mechanism, and what to say next (RFC 4422 §3).
 *
 * Strongest first: SCRAM-SHA-256-PLUS, SCRAM-SHA-256, then PLAIN, then LOGIN, which is PLAIN in two steps and all that some large providers' SMTP takes
 * from a password; a token: OAUTHBEARER, then XOAUTH2. A mechanism that sends the password itself (all but SCRAM) is used only where `secure` says
 * that nobody can read it. Pure: bytes in, bytes out; base64 and the protocol's
 * framing are the caller's. */
#ifndef CLIENT_CORE_LOGIN_H
#define CLIENT_CORE_LOGIN_H

#include "base/buf.h"
#include "base/err.h"
#include "proto/sasl/sasl.h"

#define CLIENT_LOGIN_STEPS_MAX 8 /* challenges of one login; SCRAM has 2 */

enum client_mechanism {
    CLIENT_SCRAM_PLUS = 1 << 0,
    CLIENT_SCRAM = 1 << 1,
    CLIENT_MECH_PLAIN = 1 << 2,
    CLIENT_OAUTHBEARER = 1 << 3,
    CLIENT_XOAUTH2 = 1 << 4,
    CLIENT_MECH_LOGIN = 1 << 5,
};

/* One bit for the name of a mechanism ("SCRAM-SHA-256"), 0 for those we do not speak. */
unsigned client_mechanism_bit(struct slice name);
/* Its name; NULL for 0 and sums. Static. */
const char *client_mechanism_name(unsigned bit);

struct client_login_options {
    const char *user; /* borrowed, as all here */
    struct slice secret;
    bool token;       /* secret is an access token */
    unsigned offered; /* enum client_mechanism bits */
    unsigned weakest; /* not weaker than this one was (remembered from earlier logins); 0: any */
    bool secure;      /* TLS with a checked certificate, loopback, or a Unix socket */
    struct slice binding_kind; /* "tls-exporter" with its data, or empty */
    struct slice binding;
    const char *host; /* for OAUTHBEARER */
    int port;
};

struct client_login {
    enum client_mechanism mechanism; /* chosen */
    const char *name;                /* of it, for AUTHENTICATE and AUTH */
    int step;
    bool waits; /* no initial response: the server speaks first (RFC 4422 §3) */
    bool
        done; /* the mechanism has nothing more to say; only a success of the server's may follow */
    struct scram_client scram;
    struct client_login_options options;
};

/* Chooses. ERR_NOT_FOUND: nothing fits; note says what was offered and what to do (an app password, OAuth2, TLS). ERR_DENIED: weaker than before. */
enum err MUST_USE client_login_begin(
    struct client_login *login, const struct client_login_options *options, struct err_note *note);
/* Appends the initial response; nothing where login->waits: then AUTH goes without one, and the server's first challenge is answered. */
enum err MUST_USE client_login_initial(struct client_login *login, struct buf *out);
/* Appends the answer to a challenge (decoded). ERR_AUTH: the server did not prove that it knows the secret, or told of a failure: answer "*" and
 * go. ERR_LIMIT over CLIENT_LOGIN_STEPS_MAX. */
enum err MUST_USE client_login_step(
    struct client_login *login, struct slice challenge, struct buf *out);
/* The same with the challenge as it came and the answer as it goes: in base64, without line ends; appended to out_line, which the caller wipes. The story of a
 * refused token is answered as RFC 7628 §3.2.3 wants: ERR_OK, and then the server refuses. On an error this server is not to be told more: out_line is
 * "*". */
enum err MUST_USE client_login_answer(
    struct client_login *login, struct slice challenge, struct buf *out_line);
/* Whether the server's success may be believed: SCRAM must have verified it. Call with the success's data (SMTP 235, IMAP OK have none). */
enum err MUST_USE client_login_finish(struct client_login *login);
/* Wipes. */
void client_login_done(struct client_login *login);

#endif
