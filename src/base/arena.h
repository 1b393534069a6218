/* Memory of one lifetime: handed out in pieces, released at once.
 *
 * Each arena has a byte budget. Over it arena_alloc returns NULL and the caller returns ERR_LIMIT; when the system
 * itself has no memory the process ends with a log line (CODE: out of memory aborts, out of budget answers).
 * Not thread-safe. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* owned; newest first */
    char *free_ptr;
    size_t free_len;
    size_t used;   /* bytes handed out, rounding included */
    size_t budget; /* bytes_max */
};

void arena_init(struct arena *arena, size_t budget_bytes);
void arena_done(struct arena *arena);
/* Gives back everything but one block, the largest of at most 1 MiB, for the next command. */
void arena_reset(struct arena *arena);

/* 16-byte aligned, not cleared. NULL when over budget. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* Cleared; count * bytes is checked. NULL when over budget. */
void *arena_zalloc(struct arena *arena, size_t count, size_t bytes);
/* Grows an array of *cap elements so that it holds at least `need`; copies the old content. NULL when over budget. */
void *arena_grow(struct arena *arena, void *old, size_t *cap, size_t need, size_t element_bytes);

/* malloc family that never returns NULL: it logs and aborts. */
void *mem_alloc(size_t bytes);
void *mem_zalloc(size_t count, size_t bytes);
void *mem_realloc(void *old, size_t bytes);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);

#endif
