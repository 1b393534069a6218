/* Linear probing over numbers; the texts themselves are one block of bytes, so a text costs its length and 20 bytes or so. */
#include "message/pool.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/rand.h"

#include <stdlib.h>
#include <string.h>

void pool_init(struct pool *pool)
{
    *pool = (struct pool){ .count = 1 };
    rand_bytes(pool->key, sizeof pool->key);
    rand_bytes(pool->second_key, sizeof pool->second_key);
}

void pool_done(struct pool *pool)
{
    free(pool->bytes);
    free(pool->texts);
    free(pool->slots);
}

size_t pool_bytes(const struct pool *pool)
{
    return pool->bytes_cap + pool->cap * sizeof *pool->texts + pool->slot_cap * sizeof *pool->slots;
}

static void grow_slots(struct pool *pool)
{
    free(pool->slots);
    pool->slot_cap = pool->slot_cap ? pool->slot_cap * 2 : 64;
    pool->slots = mem_zalloc(pool->slot_cap, sizeof *pool->slots);
    for (uint32_t number = 1; number < pool->count; number++) {
        size_t i = pool->texts[number].hash & (pool->slot_cap - 1);
        while (pool->slots[i])
            i = (i + 1) & (pool->slot_cap - 1);
        pool->slots[i] = number;
    }
}

static uint32_t add(struct pool *pool, struct slice text, uint32_t hash)
{
    if (pool->count >= pool->cap) {
        pool->cap = pool->cap ? pool->cap * 2 : 32;
        pool->texts = mem_realloc(pool->texts, pool->cap * sizeof *pool->texts);
    }
    if (text.len > pool->bytes_cap - pool->bytes_len) {
        pool->bytes_cap += pool->bytes_cap / 2 + text.len + 1024;
        pool->bytes = mem_realloc(pool->bytes, pool->bytes_cap);
    }
    memcpy(pool->bytes + pool->bytes_len, text.ptr, text.len);
    pool->texts[pool->count] = (struct pool_text){
        .at = (uint32_t)pool->bytes_len, .len = (uint32_t)text.len, .hash = hash
    };
    pool->bytes_len += text.len;
    return pool->count++;
}

void pool_digest(const struct pool *pool, struct slice text, char out[POOL_DIGEST_BYTES])
{
    uint64_t hashes[2] = { map_hash(pool->key, text), map_hash(pool->second_key, text) };
    memcpy(out, hashes, POOL_DIGEST_BYTES);
}

uint32_t pool_number(struct pool *pool, struct slice text, size_t bytes_max)
{
    if (!text.len)
        return 0;
    if ((size_t)pool->count * 2 > pool->slot_cap)
        grow_slots(pool);
    uint32_t hash = (uint32_t)map_hash(pool->key, text);
    size_t i = hash & (pool->slot_cap - 1);
    for (; pool->slots[i]; i = (i + 1) & (pool->slot_cap - 1)) {
        if (pool->texts[pool->slots[i]].hash == hash &&
            slice_eq(pool_text(pool, pool->slots[i]), text))
            return pool->slots[i];
    }
    if (bytes_max > UINT32_MAX)
        bytes_max = UINT32_MAX;
    if (pool->bytes_len > bytes_max || text.len > bytes_max - pool->bytes_len ||
        pool->count >= INT32_MAX)
        return UINT32_MAX;
    return pool->slots[i] = add(pool, text, hash);
}
