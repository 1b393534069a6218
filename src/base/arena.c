/* Arena of doubling blocks. Always true: used <= budget; every pointer handed out lies in one of the blocks. */
#include "base/arena.h"

#include "base/log.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES_FIRST 2048u
#define BLOCK_BYTES_MAX   (1u << 20)

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(16) char bytes[];
};

void arena_init(struct arena *arena, size_t budget_bytes)
{
    *arena = (struct arena){ .budget = budget_bytes };
}

void arena_done(struct arena *arena)
{
    if (!arena)
        return;
    for (struct arena_block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *arena = (struct arena){ .budget = arena->budget };
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks; /* the newest, and so the largest or as large as any may be kept */
    while (kept && kept->next && kept->size > BLOCK_BYTES_MAX) {
        struct arena_block *next = kept->next;
        free(kept);
        kept = next;
    }
    for (struct arena_block *b = kept ? kept->next : NULL, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    if (kept)
        kept->next = NULL;
    arena->blocks = kept;
    arena->free_ptr = kept ? kept->bytes : NULL;
    arena->free_len = kept ? kept->size : 0;
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - 15)
        return NULL;
    size_t rounded = (bytes + 15) & ~(size_t)15;
    if (rounded == 0)
        rounded = 16;
    if (rounded > arena->budget - arena->used)
        return NULL;
    if (rounded > arena->free_len) {
        size_t size = arena->blocks ? arena->blocks->size * 2 : BLOCK_BYTES_FIRST;
        if (size > BLOCK_BYTES_MAX)
            size = BLOCK_BYTES_MAX;
        if (size < rounded)
            size = rounded;
        struct arena_block *block = mem_alloc(sizeof *block + size);
        block->size = size;
        block->next = arena->blocks;
        arena->blocks = block;
        arena->free_ptr = block->bytes;
        arena->free_len = size;
    }
    void *p = arena->free_ptr;
    arena->free_ptr += rounded;
    arena->free_len -= rounded;
    arena->used += rounded;
    assert(arena->used <= arena->budget);
    return p;
}

void *arena_zalloc(struct arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    void *p = arena_alloc(arena, total);
    if (p)
        memset(p, 0, total);
    return p;
}

void *arena_grow(struct arena *arena, void *old, size_t *cap, size_t need, size_t element_bytes)
{
    if (old && need <= *cap)
        return old;
    size_t new_cap = *cap ? *cap * 2 : 8;
    if (new_cap < need)
        new_cap = need;
    size_t total;
    if (__builtin_mul_overflow(new_cap, element_bytes, &total))
        return NULL;
    void *p = arena_alloc(arena, total);
    if (!p)
        return NULL;
    if (old)
        memcpy(p, old, *cap * element_bytes);
    *cap = new_cap;
    return p;
}

static void *checked(void *p, size_t bytes)
{
    if (!p) {
        log_event(LOG_ERROR, "memory.out", "bytes=%zu next=abort", bytes);
        abort();
    }
    return p;
}

void *mem_alloc(size_t bytes)
{
    return checked(malloc(bytes ? bytes : 1), bytes);
}

void *mem_zalloc(size_t count, size_t bytes)
{
    return checked(calloc(count ? count : 1, bytes ? bytes : 1), bytes);
}

void *mem_realloc(void *old, size_t bytes)
{
    return checked(realloc(old, bytes ? bytes : 1), bytes);
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len)
        memcpy(copy, s, len);
    copy[len] = 0;
    return copy;
}
