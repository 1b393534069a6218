/* A mailbox as a list of messages to be taken from it, whatever protocol shows it. */
#ifndef CLIENT_CORE_MAILDROP_H
#define CLIENT_CORE_MAILDROP_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct client_message {
    uint32_t number; /* of the session */
    uint64_t bytes;  /* as the list says */
    const char *
        id; /* names it in later sessions: POP3's UIDL. Borrowed from the session; NULL: none that can be used */
    bool shared; /* another message has the same: it names neither */
};

/* Where messages go, one by one: `begin`, then `put` piece by piece as it comes (CRLF line ends), then `ended`, which says which one it was; or `ended` alone with
 * ok false, when the server did not give it. They may come in another order than they were asked for. An error of one of them ends the transfer and is given back; the failure is then theirs. */
struct client_sink {
    enum err (*begin)(void *arg);
    enum err (*put)(void *arg, struct slice piece);
    enum err (*ended)(void *arg, const struct client_message *message, bool ok);
    void *arg;
};

#endif
