/* Checking who somebody is: passwords, SCRAM, throttling, and a short-lived cache. Thread-safe; a password check may take tens of
 * milliseconds (argon2id) and at most `hash_threads` run at once. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "auth/directory.h"
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

/* The user is given by address (canonicalised; a bare name works when there is exactly one domain).
 *
 * ERR_AUTH    unknown user, wrong password or disabled: never told apart, in the same time
 * ERR_BUSY    throttled: too many failures lately; the password was not looked at
 * ERR_DENIED  the password is right but the service is switched off for this user
 * out_delay_ms (never NULL): how long the answer should be held back; 0 mostly */
enum err MUST_USE auth_password(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
        struct slice password, struct user *out_user, int *out_delay_ms);

/* SCRAM: a secret for any name; unknown ones get a stable invented one, so that they cannot be told apart. ERR_BUSY when throttled. */
struct auth_scram {
    struct scram_secret secret;
    bool exists;
    struct user user;
};
enum err MUST_USE auth_scram_begin(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
        struct auth_scram *out_scram);
/* After the proof was checked: counts the failure or clears the counters; ERR_OK, ERR_AUTH, ERR_DENIED as above. */
enum err MUST_USE auth_scram_end(struct auth *auth, const struct auth_peer *peer, struct slice user_name,
        const struct auth_scram *scram, bool proof_ok, int *out_delay_ms);

#endif
