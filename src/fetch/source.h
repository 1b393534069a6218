/* Where a run takes mail from: a session with a mailbox, by POP3 or by IMAP, as far as the run sees it. What the functions promise is in client/pop3/popc.h. */
#ifndef FETCH_SOURCE_H
#define FETCH_SOURCE_H

#include "client/core/connect.h"
#include "client/core/maildrop.h"
#include "fetch/fetch.h"

struct fetch_source {
    const char *protocol; /* for client_remembered */
    const struct client_server *(*server)(const struct client_account *account);
    /* *out_session is closed with close, which takes NULL too; *out_mechanism: what worked. */
    enum err (*open)(const struct fetch_options *options, unsigned weakest, void **out_session,
        unsigned *out_mechanism, struct client_failure *failure);
    void (*close)(void *session);
    enum err (*list)(void *session, const struct client_message **out_messages, size_t *out_count,
        struct client_failure *failure);
    /* How many more the server says that it has than it listed; NULL: it cannot say. */
    size_t (*unlisted)(const void *session);
    bool (*has_top)(const void *session);
    enum err (*top)(void *session, const struct client_message *const *messages, size_t count,
        const struct client_sink *sink, struct client_failure *failure);
    enum err (*retrieve)(void *session, const struct client_message *const *messages, size_t count,
        const struct client_sink *sink, struct client_failure *failure);
    /* Nothing is gone before quit has returned ERR_OK. */
    enum err (*delete)(void *session, const struct client_message *const *messages, size_t count,
        bool *out_marked, struct client_failure *failure);
    enum err (*quit)(void *session, struct client_failure *failure);
};

extern const struct fetch_source fetch_source_pop3, fetch_source_imap;

#endif
