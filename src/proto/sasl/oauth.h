/* OAUTHBEARER (RFC 7628) and XOAUTH2, which came before it: a bearer token (RFC 6750) in the place of a password. Pure.
 *
 *     client                              server
 *     user, token             ──────►     right: the login is done
 *                             ◄──────     else an error in JSON, as a challenge
 *     %x01 (XOAUTH2: nothing) ──────►     the login has failed (RFC 7628 §3.2.3) */
#ifndef PROTO_SASL_OAUTH_H
#define PROTO_SASL_OAUTH_H

#include "proto/sasl/sasl.h"

struct sasl_oauth {
    char authzid[USER_NAME_BYTES_MAX + 1]; /* who the client wants to be; "" = whoever the token is of */
    struct slice token;                    /* borrowed; "" when another scheme than Bearer, or none, was used: never right */
    struct slice host;                     /* borrowed: where the client thinks it is; "" = it does not say */
    unsigned port;                         /* 0 = it does not say */
};

/* OAUTHBEARER (RFC 7628 §3.1). Unknown keys are passed over. ERR_SYNTAX, also for a second "auth", a token that has other characters than
 * RFC 6750 §2.1, and channel binding; ERR_LIMIT over USER_NAME_BYTES_MAX. */
enum err MUST_USE sasl_oauthbearer_parse(struct slice message, struct sasl_oauth *out_oauth);
void sasl_oauthbearer_write(const struct sasl_oauth *oauth, struct buf *out);

/* XOAUTH2: "user=" name %x01 "auth=Bearer " token %x01 %x01. The same errors. */
enum err MUST_USE sasl_xoauth2_parse(struct slice message, struct sasl_oauth *out_oauth);
void sasl_xoauth2_write(const struct sasl_oauth *oauth, struct buf *out);

/* What the client is told (RFC 7628 §3.2.2): status as "invalid_token"; scope and configuration (a URL) "" where there is none. */
struct sasl_oauth_error {
    struct slice status, scope, configuration;
};
void sasl_oauth_error_write(const struct sasl_oauth_error *error, struct buf *out);

#endif
