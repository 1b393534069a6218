/* An SMTP session from the client's side (RFC 5321, RFC 6409, RFC 4954), and LMTP (RFC 2033), which differs in its greeting and in the number of
 * replies to a message. Functions that read top to bottom; blocking.
 *
 *     smtpc_open ─► smtpc_send* ─► smtpc_quit ─► smtpc_close
 *
 * What a server answers to one message is data (struct smtpc_outcome), not an error; an error ends the session. */
#ifndef CLIENT_SMTP_SMTPC_H
#define CLIENT_SMTP_SMTPC_H

#include "client/core/connect.h"

#define SMTPC_REPLY_LINES_MAX 200u
#define SMTPC_TEXT_BYTES_MAX  300u             /* kept of a reply */
#define SMTPC_FINAL_MS        (10 * 60 * 1000) /* RFC 5321 §4.5.3.2.6: the answer to the final dot */

struct smtpc; /* opaque */

struct smtpc_options {
    const struct client_account *account; /* borrowed until smtpc_close, as server and secret */
    const struct client_server *server;
    bool lmtp; /* no login */
    struct slice secret;
    bool token;
    unsigned weakest; /* client_remembered */
    int timeout_ms;   /* 0: CLIENT_TIMEOUT_MS */
};

/* Connects, secures the connection, greets and logs in. */
enum err MUST_USE smtpc_open(
    const struct smtpc_options *options, struct smtpc **out_smtpc, struct client_failure *failure);
void smtpc_close(struct smtpc *smtpc);
/* QUIT; nothing depends on the answer. */
void smtpc_quit(struct smtpc *smtpc);
/* The enum client_mechanism bit that worked; 0: no login. */
unsigned smtpc_mechanism(const struct smtpc *smtpc);
bool smtpc_has_dsn(const struct smtpc *smtpc);

enum smtpc_fate {
    SMTPC_WAITS,   /* not tried, or to be tried again */
    SMTPC_SENT,    /* the server has it and answers for it */
    SMTPC_REFUSED, /* for good */
};

/* Refused by us, or by nobody: in the place of a reply code. */
enum smtpc_code {
    SMTPC_CODE_DOUBT = 1,   /* the answer to the whole message was lost twice */
    SMTPC_CODE_EXPIRED = 2, /* SMTPC_QUEUE_DAYS went by; text: the last answer */
    SMTPC_CODE_SIZE = 3,    /* text: the bytes that the server takes */
    SMTPC_CODE_UTF8 =
        4, /* the server does not know SMTPUTF8; text: the address that needs it, "" for the header */
    SMTPC_CODE_8BIT = 5, /* the server takes ASCII only */
};

/* What became of one recipient. */
struct smtpc_outcome {
    enum smtpc_fate fate;
    int code; /* 0: no answer; up to 9: enum smtpc_code */
    char text[SMTPC_TEXT_BYTES_MAX + 1];
};

struct smtpc_message {
    const char *from; /* "": the null sender. Checked by smtpc_address_ok, as the recipients */
    const char *const *recipients;
    size_t count;
    int fd; /* read from its beginning; CRLF line ends, no bare CR or LF, no NUL */
    uint64_t bytes;
    bool has_8bit;      /* in the body */
    bool needs_utf8;    /* non-ASCII in the header, or in an address */
    const char *envid;  /* DSN (RFC 3461), where the server knows it; NULL */
    const char *ret;    /* "FULL", "HDRS"; NULL */
    const char *notify; /* "NEVER", or "SUCCESS,FAILURE,DELAY"; NULL */
};

/* Sends it to the recipients; out_outcomes has room for count. On an error every outcome that is not SMTPC_REFUSED is SMTPC_WAITS, and *out_doubt says that
 * the whole message was sent but the answer is missing: the server may have it. */
enum err MUST_USE smtpc_send(struct smtpc *smtpc, const struct smtpc_message *message,
    struct smtpc_outcome *out_outcomes, bool *out_doubt, struct client_failure *failure);

/* Whether the text is a mailbox that can stand in MAIL and RCPT; *out_utf8: it needs SMTPUTF8. */
bool smtpc_address_ok(const char *address, bool *out_utf8);

#endif
