/* SASL mechanisms as pure functions (RFC 4422, RFC 4616, RFC 5802, RFC 7677): bytes in, bytes out. No I/O, no lookups, no clock.
 * Messages here are the decoded ones; base64 is the protocols' wrapping. */
#ifndef PROTO_SASL_SASL_H
#define PROTO_SASL_SASL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

/* PLAIN: [authzid] NUL authcid NUL password. Borrowed slices. ERR_SYNTAX; ERR_LIMIT over USER_NAME_BYTES_MAX, PASSWORD_BYTES_MAX. */
struct sasl_plain {
    struct slice authzid, authcid, password;
};
enum err MUST_USE sasl_plain_parse(struct slice message, struct sasl_plain *out_plain);
void sasl_plain_write(const struct sasl_plain *plain, struct buf *out);

#define SCRAM_KEY_BYTES       32
#define SCRAM_SALT_BYTES      16
#define SCRAM_ITERATIONS      4096u     /* stored for new passwords: RFC 7677 §4 minimum; argon2id guards the stored hash */
#define SCRAM_ITERATIONS_MAX  10000000u /* what a client accepts from a server */
#define SCRAM_NONCE_BYTES_MAX 128

/* A password in the form that is hashed: OpaqueString (RFC 8265 §4.2). Every non-ASCII blank becomes U+0020, then NFC; appended to out.
 * ERR_SYNTAX for an empty one, bytes that are no UTF-8, controls and what FreeformClass (RFC 8264 §4.3) refuses. */
enum err MUST_USE sasl_opaque_string(struct slice password, struct buf *out);
/* Overwrites the whole memory of a buffer that held a secret, then releases it. */
void sasl_buf_wipe(struct buf *buf);

/* What the directory keeps for SCRAM-SHA-256; from it the password cannot be had back cheaply, and it is as secret as a hash. */
struct scram_secret {
    unsigned char salt[SCRAM_SALT_BYTES];
    unsigned iterations;
    unsigned char stored_key[SCRAM_KEY_BYTES], server_key[SCRAM_KEY_BYTES];
};
/* password: UTF-8; prepared by SASLprep's successor (OpaqueString: NFC, other spaces to space) inside. ERR_SYNTAX for one with controls. */
enum err MUST_USE scram_secret_make(struct slice password, const unsigned char salt[SCRAM_SALT_BYTES],
        unsigned iterations, struct scram_secret *out_secret);

/* Server side, SCRAM-SHA-256 and -PLUS. */
struct scram_server {
    bool plus;                /* mechanism name ended in -PLUS */
    bool plus_offered;        /* we advertise -PLUS: a client saying "y" was tampered with (RFC 5802 §6) */
    struct buf client_first_bare, server_first, gs2_header, user; /* owned */
    struct buf binding_name;  /* "tls-exporter", ... of a "p=" header */
    struct buf authzid;       /* who the client wants to act as; empty = the user. The caller compares */
    char nonce[64 + SCRAM_NONCE_BYTES_MAX];
    const char *error;        /* server-error-value (RFC 5802 §7) of the last failure, for the log; NULL before one */
};
void scram_server_init(struct scram_server *scram, bool plus, bool plus_offered);
void scram_server_done(struct scram_server *scram);
/* Parses client-first. Afterwards scram->user, authzid and binding_name are known and the caller looks up the secret. server_nonce:
 * printable ASCII without a comma, at most 63 bytes. ERR_SYNTAX, ERR_LIMIT; ERR_AUTH when the channel binding flag does not fit the
 * mechanism or tells of a downgrade (RFC 5802 §6). */
enum err MUST_USE scram_server_first(struct scram_server *scram, struct slice client_first, const char *server_nonce);
/* Appends server-first for that secret. */
void scram_server_challenge(struct scram_server *scram, const struct scram_secret *secret, struct buf *out);
/* Checks client-final; channel_binding is the connection's data of that kind (empty for none). ERR_AUTH for a wrong proof, nonce or
 * binding; appends "v=..." else. Nothing is appended on failure: "e=" is optional and costs a round (RFC 5802 §5.1). */
enum err MUST_USE scram_server_final(struct scram_server *scram, const struct scram_secret *secret,
        struct slice client_final, struct slice channel_binding, struct buf *out);
/* The same for a user with several passwords, whose secrets share salt and iterations: the proof may belong to any of them, and how long
 * that takes does not tell to which. *out_which is the index of the keys that fit. */
struct scram_keys {
    unsigned char stored[SCRAM_KEY_BYTES], server[SCRAM_KEY_BYTES];
};
enum err MUST_USE scram_server_final_any(struct scram_server *scram, const struct scram_keys *keys, size_t count,
        struct slice client_final, struct slice channel_binding, struct buf *out, size_t *out_which);

/* Client side. binding_name empty = "n" (or "y" when the client could but the server does not offer it). */
struct scram_client {
    struct buf client_first_bare, gs2_header, auth_message; /* owned */
    unsigned char server_key[SCRAM_KEY_BYTES];
    char nonce[SCRAM_NONCE_BYTES_MAX];
};
void scram_client_init(struct scram_client *scram);
void scram_client_done(struct scram_client *scram);
/* ERR_SYNTAX for a user that is empty, no UTF-8 or holds NUL, and a nonce that is not printable; ERR_LIMIT. */
enum err MUST_USE scram_client_first(struct scram_client *scram, struct slice user, struct slice binding_name,
        bool could_bind, const char *client_nonce, struct buf *out);
/* ERR_SYNTAX; ERR_AUTH when the nonce is not an extension of ours; ERR_LIMIT for fewer than SCRAM_ITERATIONS or more than
 * SCRAM_ITERATIONS_MAX iterations (the first would make guessing cheap for whoever plays the server, the second burns our time). */
enum err MUST_USE scram_client_final(struct scram_client *scram, struct slice server_first, struct slice password,
        struct slice channel_binding, struct buf *out);
/* ERR_AUTH for "e=..." and for a server that does not know the secret. */
enum err MUST_USE scram_client_verify(struct scram_client *scram, struct slice server_final);

#endif
