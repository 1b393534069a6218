/* What all sessions share: configuration, store, directory, login, counters, and the list of sessions. */
#ifndef SERVER_CORE_SERVER_H
#define SERVER_CORE_SERVER_H

#include "auth/auth.h"
#include "net/net.h"
#include "server/core/config.h"
#include "server/core/sort_cache.h"
#include "store/store.h"

#include <stdatomic.h>

struct outbox; /* deliver/outbox.h */
struct devices; /* server/core/devices.h */
struct expire; /* server/core/expire.h */

struct server_counters {
    atomic_ullong logins, logins_failed, messages_in, messages_delivered, messages_submitted, messages_refused;
};

/* Who a bearer token belongs to. While check is NULL, OAUTHBEARER and XOAUTH2 are neither offered nor taken.
 * LATER: a key of [login] in barid.conf names an issuer, whose keys net fetches over HTTPS. Nothing sets it before, for a program that is run is out of the question. */
struct server_tokens {
    auth_token_fn *check;
    void *check_arg;
    struct slice scope, configuration; /* for a client whose token is refused (RFC 7628 §3.2.2); "" for none */
};

struct server {
    struct store *store;
    struct directory *directory;
    struct auth *auth;
    struct net *net;
    struct outbox *outbox;
    struct devices *devices;
    struct expire *expire;
    struct sort_cache *sorts;
    struct server_tokens tokens;
    struct server_counters counters;
    int64_t started_s;
    /* private to server.c */
    struct server_private *private;
};

/* What a user needs to be allowed to log in there. */
static inline enum user_service protocol_service(enum protocol protocol)
{
    return protocol == PROTOCOL_IMAP   ? USER_IMAP
           : protocol == PROTOCOL_POP3 ? USER_POP3
                                       : USER_SUBMISSION;
}

/* The configuration of this moment, with a reference (SIGHUP may replace it). */
struct config *server_config(struct server *server);

/* Opens the user's account and sets its quota. The reference is the caller's. */
enum err MUST_USE server_account(struct server *server, const struct user *user, struct account **out_account);

/* A logged-in session, for `barid status` and for ending sessions of a user who was disabled, removed or got another password, or of an app password
 * that was revoked. Registered after login, which counts as a use of the device, and removed before the session is freed. */
struct server_session;
struct server_session *server_session_add(struct server *server, struct conn *conn, enum protocol protocol,
        const struct user *user);
/* POP3: the maildrop, for this session alone or beside others. False: another session has it alone, or this one wants it alone and there are others. */
bool server_session_claim(struct server_session *session, bool alone);
/* Gives it back, before the end of the session is told to the client: it may come again at once. */
void server_session_release(struct server_session *session);
/* So many messages were taken by POP3. Call it before server_session_remove. */
void server_session_retrieved(struct server_session *session, uint64_t count);
void server_session_remove(struct server_session *session);

#endif
