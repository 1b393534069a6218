/* Which messages of the source are in the target already. Pure but for the bytes that it asks for.
 *
 * Each message of the target is one of the source at most, so that what is there twice stays there twice. Pairs are made of what agrees in
 *     1. Message-ID, size and date     2. Message-ID and size     3. Message-ID and date: servers exist that change a message when they take it
 *     4. without a Message-ID: size, date, and the bytes     5. the same without the date, which not every server keeps
 * Where more messages of the source agree with fewer of the target in 1 and 2, the bytes say which these are. */
#ifndef COPY_MATCH_H
#define COPY_MATCH_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct copy_message {
    uint32_t uid;
    uint32_t mate; /* its UID on the other side; 0: none is known */
    uint64_t bytes;
    int64_t received_s;
    uint64_t message_id; /* a keyed hash; 0: it has none */
    uint32_t flags;      /* what to write for them, an index of the run */
    int16_t zone_min;    /* of the date */
    bool recorded;       /* it was copied, and only its UID is not known */
    bool missing;        /* it was asked for and did not come */
    bool plain, again;   /* it goes without keywords; it is to be sent once more, so */
};

struct copy_list {
    struct copy_message *at; /* owned; by UID */
    size_t count, cap;
};
/* Borrowed until the next. */
struct copy_message *copy_list_add(struct copy_list *list, const struct copy_message *message);
void copy_list_done(struct copy_list *list);

#define COPY_HASH_BYTES 32
/* Of the bytes of a message. ERR_NOT_FOUND: it cannot be had (any more), so it is no pair of any. */
typedef enum err (*copy_hash_fn)(void *arg, bool of_source, const struct copy_message *message,
    unsigned char out_hash[COPY_HASH_BYTES]);

/* Sets mate on both sides where it is 0. Returns an error of hash. */
enum err MUST_USE copy_match(
    struct copy_list *news, struct copy_list *there, copy_hash_fn hash, void *arg);

#endif
