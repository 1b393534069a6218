/* Linear probing with backward-shift deletion: no tombstones, so a map that lives for years does not fill up with them. */
#include "base/map.h"

#include "base/arena.h"
#include "base/rand.h"

#include <stdlib.h>
#include <string.h>

struct map_slot {
    char *key; /* owned; NULL = free */
    size_t key_len;
    uint64_t hash;
    void *value;
};

void map_init(struct map *map)
{
    *map = (struct map){ 0 };
    rand_bytes(map->key, sizeof map->key);
}

void map_done(struct map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->cap; i++)
        free(map->slots[i].key);
    free(map->slots);
    *map = (struct map){ .key = { map->key[0], map->key[1] } };
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* SipHash-1-3: fast, and its key keeps a peer from choosing names that collide. */
uint64_t map_hash(const uint64_t key[2], struct slice s)
{
    uint64_t v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d;
    uint64_t v2 = key[0] ^ 0x6c7967656e657261, v3 = key[1] ^ 0x7465646279746573;
#define ROUND()                                                                                    \
    do {                                                                                           \
        v0 += v1, v1 = rotate(v1, 13) ^ v0, v0 = rotate(v0, 32);                                   \
        v2 += v3, v3 = rotate(v3, 16) ^ v2;                                                        \
        v0 += v3, v3 = rotate(v3, 21) ^ v0;                                                        \
        v2 += v1, v1 = rotate(v1, 17) ^ v2, v2 = rotate(v2, 32);                                   \
    } while (0)
    size_t at = 0;
    for (; at + 8 <= s.len; at += 8) {
        uint64_t word;
        memcpy(&word, s.ptr + at, 8);
        v3 ^= word;
        ROUND();
        v0 ^= word;
    }
    uint64_t last = (uint64_t)s.len << 56;
    for (size_t i = 0; at + i < s.len; i++)
        last |= (uint64_t)slice_at(s, at + i) << (8 * i);
    v3 ^= last;
    ROUND();
    v0 ^= last;
    v2 ^= 0xff;
    ROUND();
    ROUND();
    ROUND();
#undef ROUND
    return v0 ^ v1 ^ v2 ^ v3;
}

/* The slot that holds key, or the free one where it belongs. cap > count. */
static size_t find(const struct map *map, struct slice key, uint64_t hash)
{
    size_t i = hash & (map->cap - 1);
    while (map->slots[i].key) {
        const struct map_slot *slot = &map->slots[i];
        if (slot->hash == hash && slice_eq(slice_from(slot->key, slot->key_len), key))
            break;
        i = (i + 1) & (map->cap - 1);
    }
    return i;
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->cap = old.cap ? old.cap * 2 : 16;
    map->slots = mem_zalloc(map->cap, sizeof *map->slots);
    for (size_t i = 0; i < old.cap; i++) {
        if (!old.slots[i].key)
            continue;
        size_t k = old.slots[i].hash & (map->cap - 1);
        while (map->slots[k].key)
            k = (k + 1) & (map->cap - 1);
        map->slots[k] = old.slots[i];
    }
    free(old.slots);
}

void *map_get(const struct map *map, struct slice key)
{
    if (map->count == 0)
        return NULL;
    return map->slots[find(map, key, map_hash(map->key, key))].value;
}

void *map_put(struct map *map, struct slice key, void *value)
{
    if ((map->count + 1) * 4 > map->cap * 3)
        grow(map);
    uint64_t hash = map_hash(map->key, key);
    struct map_slot *slot = &map->slots[find(map, key, hash)];
    void *before = slot->value;
    if (!slot->key) {
        slot->key = mem_strndup(key.ptr, key.len);
        slot->key_len = key.len;
        slot->hash = hash;
        map->count++;
    }
    slot->value = value;
    return before;
}

void *map_remove(struct map *map, struct slice key)
{
    if (map->count == 0)
        return NULL;
    size_t i = find(map, key, map_hash(map->key, key));
    if (!map->slots[i].key)
        return NULL;
    void *value = map->slots[i].value;
    free(map->slots[i].key);
    map->count--;
    size_t mask = map->cap - 1;
    for (size_t k = (i + 1) & mask; map->slots[k].key; k = (k + 1) & mask) {
        size_t home = map->slots[k].hash & mask;
        if (((k - home) & mask) >= ((k - i) & mask)) {
            map->slots[i] = map->slots[k];
            i = k;
        }
    }
    map->slots[i] = (struct map_slot){ 0 };
    return value;
}

bool map_next(const struct map *map, size_t *cursor, struct slice *out_key, void **out_value)
{
    for (; *cursor < map->cap; (*cursor)++) {
        const struct map_slot *slot = &map->slots[*cursor];
        if (!slot->key)
            continue;
        *out_key = slice_from(slot->key, slot->key_len);
        *out_value = slot->value;
        (*cursor)++;
        return true;
    }
    return false;
}
