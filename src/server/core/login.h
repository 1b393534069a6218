/* Logging in, once for all protocols: SASL exchanges and plain user/password, TLS rules, throttling, service switches.
 *
 * A protocol asks for the mechanisms to advertise, starts one, and feeds the client's lines until it is done. PLAIN, LOGIN, tokens and plain
 * passwords need TLS, unless the peer is on loopback and the configuration says plain_on_loopback. */
#ifndef SERVER_CORE_LOGIN_H
#define SERVER_CORE_LOGIN_H

#include "server/core/server.h"

struct login;

struct login *login_new(struct server *server, struct conn *conn, enum protocol protocol);
void login_free(struct login *login);

/* Whether passwords may be sent now (IMAP: else LOGINDISABLED; POP3: USER hidden). */
bool login_plain_allowed(struct login *login);
/* Appends the mechanisms allowed now, each preceded by prefix ("AUTH=" for IMAP) and separated by blanks; nothing when none. */
void login_mechanisms(struct login *login, const char *prefix, struct buf *out);

enum login_state {
    LOGIN_CHALLENGE, /* send challenge (base64 text, maybe empty) and call login_continue with the client's line */
    LOGIN_DONE,      /* login_user is set; for SCRAM the server's final data went out as a challenge before */
    LOGIN_FAILED,    /* login_error says how */
};

/* initial: base64 text of the initial response, "=" for an empty one; ptr NULL for none. */
enum login_state login_begin(struct login *login, struct slice mechanism, struct slice initial, struct buf *out_challenge);
/* line: base64 text, or "*" to cancel. */
enum login_state login_continue(struct login *login, struct slice line, struct buf *out_challenge);
/* IMAP LOGIN, POP3 USER/PASS. */
enum login_state login_password(struct login *login, struct slice user, struct slice password);

const struct user *login_user(const struct login *login);

enum login_error {
    LOGIN_ERROR_NONE,
    LOGIN_ERROR_CREDENTIALS,  /* IMAP [AUTHENTICATIONFAILED], POP3 [AUTH], SMTP 535 5.7.8 */
    LOGIN_ERROR_NEEDS_TLS,    /* IMAP [PRIVACYREQUIRED], SMTP 538 5.7.11 */
    LOGIN_ERROR_MECHANISM,    /* unknown: IMAP NO [CANNOT]/BAD, SMTP 504 5.5.4 */
    LOGIN_ERROR_SYNTAX,       /* bad base64 or message: BAD, SMTP 501 5.5.2 */
    LOGIN_ERROR_CANCELED,     /* the client sent "*" */
    LOGIN_ERROR_SERVICE_OFF,  /* IMAP NO [CONTACTADMIN]; POP3 [SYS/PERM]; SMTP 535 5.7.8: text says where it is switched on */
    LOGIN_ERROR_BUSY,         /* throttled or the store fails: [UNAVAILABLE], [SYS/TEMP], 454 4.7.0 */
};
enum login_error login_error(const struct login *login);
/* One sentence in English for the reply, without a response code. Static. */
const char *login_error_text(const struct login *login);
/* Milliseconds the answer should be held back (failures grow it). The session calls conn_pause after putting the answer in conn_out. */
int login_delay_ms(const struct login *login);

#endif
