/* What the files of a POP3 session share. */
#ifndef CLIENT_POP3_POPC_INT_H
#define CLIENT_POP3_POPC_INT_H

#include "base/arena.h"
#include "client/pop3/popc.h"

struct popc {
    struct dial *dial;              /* owned */
    struct client_failure *failure; /* borrowed; of the call that runs */
    bool has_stls, has_top, has_uidl, has_pipelining, has_utf8, has_user, has_capa;
    unsigned mechanisms, mechanism;  /* offered; the one that worked */
    bool utf8_ahead;                 /* UTF8 is sent, its reply comes before the next */
    bool list_ahead, uidl_ahead;     /* so are LIST and UIDL */
    struct client_message *messages; /* owned */
    size_t count, cap;
    struct buf uidls; /* NUL-terminated, one after the other */
};

enum err MUST_USE popc_send(struct popc *popc, struct slice bytes);
/* Reads one reply line. Anything but +OK is an error: -ERR gives the reason that its code stands for. */
enum err MUST_USE popc_reply(struct popc *popc, struct pop_reply *out_reply);
/* A line of a multi-line answer with its dot taken off. *out_more false: it was the end. */
enum err MUST_USE popc_answer_line(struct popc *popc, struct slice *out_line, bool *out_more);
/* After an error of popc_reply: the server refused this command, and goes on. Forgets the failure then. */
bool popc_goes_on(struct popc *popc, enum err e);

#endif
