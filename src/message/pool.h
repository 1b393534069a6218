/* Texts as numbers: each text stands once and has a number that stays; 0 is the empty text. Private to message/. */
#ifndef MESSAGE_POOL_H
#define MESSAGE_POOL_H

#include "base/slice.h"

struct pool {
    uint64_t key[2], second_key[2]; /* peers choose texts */
    char *bytes;                    /* owned; all texts, one behind the other */
    size_t bytes_len, bytes_cap;
    struct pool_text {
        uint32_t at, len; /* in bytes */
        uint32_t hash;
    } * texts; /* owned; by number */
    uint32_t count, cap;
    uint32_t *slots; /* owned; numbers, 0 = free */
    size_t slot_cap; /* a power of two, or 0 */
};

void pool_init(struct pool *pool);
void pool_done(struct pool *pool);
/* Memory in use. */
size_t pool_bytes(const struct pool *pool);
/* The number of a text, made when it has none; UINT32_MAX when that would make more than bytes_max bytes of text. */
uint32_t pool_number(struct pool *pool, struct slice text, size_t bytes_max);
/* 16 bytes that stand for a text: two keyed hashes, so that whoever chooses texts cannot choose two with the same. They differ from pool to pool. */
#define POOL_DIGEST_BYTES 16u
void pool_digest(const struct pool *pool, struct slice text, char out[POOL_DIGEST_BYTES]);
/* Borrowed until the next pool_number. */
static inline struct slice pool_text(const struct pool *pool, uint32_t number)
{
    if (!number)
        return SLICE_EMPTY;
    return slice_from(pool->bytes + pool->texts[number].at, pool->texts[number].len);
}

#endif
