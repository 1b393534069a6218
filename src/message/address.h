/* Address lists of RFC 5322 §3.4, obsolete and broken forms included. */
#ifndef MESSAGE_ADDRESS_H
#define MESSAGE_ADDRESS_H

#include "base/arena.h"
#include "base/slice.h"

struct msg_address {
    struct slice name;    /* display name, unquoted, encoded-words kept; ptr NULL when none */
    struct slice route;   /* "@a,@b" of obs-route; ptr NULL when none */
    struct slice mailbox; /* local part, unquoted; for a group start the group's name; ptr NULL at a group's end */
    bool empty_mailbox;   /* the local part is there, as "" */
    struct slice host;    /* ptr NULL for group start and end (RFC 3501 §7.4.2) */
};

/* Parses a raw field value. At most addresses_max are given. Never fails on content; ERR_LIMIT only over the arena. */
enum err MUST_USE msg_addresses(struct arena *arena, struct slice value, size_t addresses_max,
        struct msg_address **out_list, size_t *out_count);

/* Date-time of RFC 5322 §3.3 and obsolete forms. False when it is none. */
bool msg_date(struct slice value, int64_t *out_s, int32_t *out_tz_min);
/* Its day at 00:00:00 UTC, whatever stands behind it: for those that are no date only because of their time. False when there is no day. */
bool msg_date_day(struct slice value, int64_t *out_s);
/* "Wed, 25 Nov 2026 04:45:01 +0000" for new header fields. out has 32 bytes of room; the length is returned. */
size_t msg_date_write(int64_t utc_s, char *out);

#endif
