/* Slices: every function is total, also for NULL pointers of length 0. */
#include "base/slice.h"

#include "base/arena.h"

#include <string.h>

bool slice_eq_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && slice_cmp_nocase(a, b) == 0;
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq_nocase(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_ends_nocase(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len &&
           slice_eq_nocase(slice_sub(s, s.len - suffix.len, suffix.len), suffix);
}

int slice_cmp(struct slice a, struct slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

int slice_cmp_nocase(struct slice a, struct slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < shorter; i++) {
        unsigned char x = (unsigned char)ascii_lower(a.ptr[i]);
        unsigned char y = (unsigned char)ascii_lower(b.ptr[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

size_t slice_index(struct slice s, char c)
{
    if (s.len == 0)
        return 0;
    const char *hit = memchr(s.ptr, c, s.len);
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

size_t slice_find(struct slice s, struct slice needle)
{
    if (needle.len == 0)
        return 0;
    if (s.len < needle.len)
        return SIZE_MAX;
    const char *hit = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

size_t slice_find_nocase(struct slice s, struct slice needle)
{
    for (size_t i = 0; i + needle.len <= s.len; i++)
        if (slice_starts_nocase(slice_from_index(s, i), needle))
            return i;
    return SIZE_MAX;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = slice_from_index(s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool slice_cut(struct slice *s, char c, struct slice *out_head)
{
    if (s->len == 0)
        return false;
    size_t at = slice_index(*s, c);
    *out_head = slice_sub(*s, 0, at);
    *s = slice_from_index(*s, at + 1);
    return true;
}

enum err slice_to_u64(struct slice s, uint64_t max, uint64_t *out_number)
{
    if (s.len == 0)
        return ERR_SYNTAX;
    uint64_t n = 0;
    bool over = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return ERR_SYNTAX;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (over || __builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, digit, &n))
            over = true;
    }
    if (over || n > max || s.len > 20)
        return ERR_LIMIT;
    *out_number = n;
    return ERR_OK;
}

enum err slice_to_size(struct slice s, uint64_t max, uint64_t *out_bytes)
{
    static const char units[] = "kmgt";
    const char *unit = s.len ? memchr(units, ascii_lower(s.ptr[s.len - 1]), 4) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    uint64_t number;
    TRY(slice_to_u64(unit ? slice_sub(s, 0, s.len - 1) : s, max >> shift, &number));
    *out_bytes = number << shift;
    return ERR_OK;
}

struct slice slice_dup(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.len ? s.len : 1);
    if (!copy)
        return (struct slice){ NULL, 0 };
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct slice){ copy, s.len };
}

char *slice_cstr(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);
    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = 0;
    return copy;
}
