/* Checking who somebody is: passwords, SCRAM, throttling, and a short-lived cache. Thread-safe; a password check may take tens of
 * milliseconds (argon2id) and at most `hash_threads` run at once. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "auth/device.h"
#include "proto/sasl/sasl.h"

struct auth;

struct auth_options {
    unsigned hash_threads;         /* 0 = number of cores */
    unsigned cache_s;              /* how long a checked password stays in the keyed cache; 0 = 300 */
    unsigned failures_free;        /* failures per address and per user before delays start; 0 = 5 */
};

struct auth *auth_new(struct directory *directory, const struct auth_options *options);
void auth_free(struct auth *auth);

struct auth_peer {
    const char *address;        /* conn_peer */
    bool local;                 /* loopback: no throttling by address */
    enum user_service service;
};

/* The user is given by address (canonicalised; a bare name works when there is exactly one domain). The password is the main one or an app password;
 * out_user->device says which, and out_user->services are what both leave.
 *
 * ERR_AUTH    unknown user, wrong password or disabled; an app password that is revoked, expired or used from elsewhere than its networks:
 *             never told apart, in the same time
 * ERR_BUSY    throttled: too many failures lately; the password was not looked at
 * ERR_DENIED  the password is right but the service is switched off for this user or app password
 * out_delay_ms (never NULL): how long the answer should be held back; 0 mostly */
enum err MUST_USE auth_password(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
        struct slice password, struct user *out_user, int *out_delay_ms);

/* SCRAM, in three steps. What goes into the challenge, salt and iterations, is there for any name; unknown ones get a stable invented one, so that
 * they cannot be told apart. ERR_BUSY when throttled. */
enum err MUST_USE auth_scram_begin(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
        struct scram_secret *out_challenge);

#define AUTH_SCRAM_KEYS (1u + 2u * APP_PASSWORDS_PER_USER_MAX)

/* What a proof may belong to, for scram_server_final_any: the main password and the app passwords that this peer may use now, always
 * AUTH_SCRAM_KEYS of them; nobody has the password of the others. Read when the proof is there: what was changed since the challenge fits no longer.
 * To be wiped. */
struct auth_scram {
    struct scram_keys keys[AUTH_SCRAM_KEYS];
    struct {
        int64_t device;
        unsigned services;
    } of[AUTH_SCRAM_KEYS];
    struct user user;
};
enum err MUST_USE auth_scram_keys(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
        struct auth_scram *out_scram);
/* After the proof was checked: counts the failure or clears the counters; ERR_OK, ERR_AUTH, ERR_DENIED, ERR_BUSY as above. which: the keys that fit;
 * SIZE_MAX for none. */
enum err MUST_USE auth_scram_end(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
        const struct auth_scram *scram, size_t which, struct user *out_user, int *out_delay_ms);

/* Bearer tokens (OAUTHBEARER, XOAUTH2). Who a token belongs to is for others to say: check_fn is asked, and may wait. named: who the client wants to be, ""
 * where it does not say. ERR_OK and an address in out_user, NUL-terminated; ERR_AUTH when the token is not good, or not for the one who was named; ERR_BUSY
 * when that cannot be found out now. */
struct auth_token {
    struct slice token, named;
    struct slice host; /* "" and 0: the client does not say where it is */
    unsigned port;
};
typedef enum err auth_token_fn(
    void *check_arg, const struct auth_token *token, char out_user[USER_NAME_BYTES_MAX + 1]);
/* Counts attempts as auth_password does, and gives the same errors; the user's device is 0. */
enum err MUST_USE auth_token(struct auth *auth, const struct auth_peer *peer, const struct auth_token *token,
        auth_token_fn *check_fn, void *check_arg, struct user *out_user, int *out_delay_ms);

#endif
