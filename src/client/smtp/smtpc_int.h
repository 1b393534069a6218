/* What the files of an SMTP session share. */
#ifndef CLIENT_SMTP_SMTPC_INT_H
#define CLIENT_SMTP_SMTPC_INT_H

#include "base/arena.h"
#include "client/smtp/smtpc.h"
#include "proto/smtp/smtp_reply.h"

struct smtpc {
    struct dial *dial;              /* owned */
    struct client_failure *failure; /* borrowed; of the call that runs */
    bool lmtp;
    bool is_open; /* a transaction that did not end with a message taken: RSET before the next */
    bool has_starttls, has_pipelining, has_8bit, has_utf8, has_dsn, has_chunking, has_size;
    uint64_t size_max;              /* 0: the server does not say */
    unsigned mechanisms, mechanism; /* offered; the one that worked */
    int timeout_ms;
};

struct smtpc_reply {
    int code;
    char text[SMTPC_TEXT_BYTES_MAX +
              1]; /* of all its lines; an enhanced code that each repeats stands once */
};

/* One reply, all its lines. each (may be NULL) gets the text of every line but the first. */
typedef void smtpc_line_fn(struct smtpc *smtpc, struct slice text);
enum err MUST_USE smtpc_reply(
    struct smtpc *smtpc, struct smtpc_reply *out_reply, smtpc_line_fn *each);
enum err MUST_USE smtpc_say(struct smtpc *smtpc, struct slice bytes);
/* The failure for a reply that ends the session. */
enum err smtpc_failed(struct smtpc *smtpc, const struct smtpc_reply *reply, enum client_why usual);

#endif
