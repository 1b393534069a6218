/* Hash map from bytes to a pointer. Keys are copied. Open addressing, keyed hash (peers choose keys). Not thread-safe. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

struct map_slot;

struct map {
    struct map_slot *slots; /* owned */
    size_t cap;             /* power of two, or 0 */
    size_t count;
    uint64_t key[2];
};

void map_init(struct map *map);
/* Frees the table and keys; the values are the caller's. */
void map_done(struct map *map);
void *map_get(const struct map *map, struct slice key); /* NULL when not there */
/* Sets and returns the value that was there before, or NULL. value must not be NULL. */
void *map_put(struct map *map, struct slice key, void *value);
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *map, struct slice key);
/* Visits all in no order: start with *cursor = 0. False at the end. The map must not change meanwhile. */
bool map_next(const struct map *map, size_t *cursor, struct slice *out_key, void **out_value);

/* The keyed hash itself, for tables of another shape. The key is 16 random bytes that no peer knows. */
uint64_t map_hash(const uint64_t key[2], struct slice s);

#endif
