/* Borrowed bytes: a pointer and a length, passed by value. No NUL promise; the owner is somebody else.
 *
 * Helpers compare ASCII only; they know no locale. Nothing here allocates except slice_dup and slice_cstr. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
#define SLICE_CONST(literal)                                                                       \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    } /* for static initialisers */
#define SLICE_EMPTY  ((struct slice){ "", 0 })
#define SLICE_FMT(s) (int)(s).len, (s).ptr /* for "%.*s" */

/* The short ones are inline: parsers call little else. */
static inline struct slice slice_from(const void *ptr, size_t len)
{
    return (struct slice){ ptr ? (const char *)ptr : "", ptr ? len : 0 };
}

static inline struct slice slice_of(const char *cstr) /* NULL gives the empty slice */
{
    return slice_from(cstr, cstr ? strlen(cstr) : 0);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends_nocase(struct slice s, struct slice suffix);
int slice_cmp(struct slice a, struct slice b);        /* bytes, as memcmp; shorter first */
int slice_cmp_nocase(struct slice a, struct slice b); /* ASCII case ignored */

/* Index of c, or s.len when it is not there. */
size_t slice_index(struct slice s, char c);
/* Index of the first occurrence of needle, or SIZE_MAX. */
size_t slice_find(struct slice s, struct slice needle);
size_t slice_find_nocase(struct slice s, struct slice needle);

/* Part of s; both ends are clipped to it. */
static inline struct slice slice_sub(struct slice s, size_t from, size_t len)
{
    if (from > s.len)
        from = s.len;
    if (len > s.len - from)
        len = s.len - from;
    return (struct slice){ s.ptr + from, len };
}

static inline struct slice slice_from_index(struct slice s, size_t from)
{
    return slice_sub(s, from, SIZE_MAX);
}

/* Without blanks (space, tab, CR, LF) at both ends. */
struct slice slice_trim(struct slice s);
/* Cuts s at the first c: *out_head is what stood before, *s what stands after. False when s is empty. Without a c
 * the head is all of s. */
bool slice_cut(struct slice *s, char c, struct slice *out_head);

/* The one checked number parser: 1 to 20 decimal digits, nothing else. ERR_SYNTAX, or ERR_LIMIT over max. */
enum err MUST_USE slice_to_u64(struct slice s, uint64_t max, uint64_t *out_number);
/* The same in bytes: "500", or with a unit of 1,024 and more behind it, "500K", "20m", "2G", "1T". */
enum err MUST_USE slice_to_size(struct slice s, uint64_t max, uint64_t *out_bytes);

/* Copies into the arena; the second adds a NUL. NULL ptr only when the arena's budget is used up. */
struct slice slice_dup(struct arena *arena, struct slice s);
char *slice_cstr(struct arena *arena, struct slice s);

static inline unsigned char slice_at(struct slice s, size_t i)
{
    return (unsigned char)s.ptr[i];
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

#endif
