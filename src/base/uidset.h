/* A set of 32-bit numbers (UIDs or sequence numbers) as ordered runs. 100,000 consecutive UIDs are one run.
 *
 * Members are 1 .. 4294967295. Also the map between sequence number and UID of a session's view (RFC 3501 §2.3.1):
 * uidset_at(view, seq) and uidset_rank(view, uid), both O(log runs) after the first call following a change. */
#ifndef BASE_UIDSET_H
#define BASE_UIDSET_H

#include "base/err.h"
#include "base/slice.h"

struct buf;

struct uid_run {
    uint32_t first, last; /* both included; first <= last */
};

struct uidset {
    struct uid_run *runs; /* owned; ascending, never adjacent or overlapping */
    size_t count;         /* runs */
    size_t cap;
    uint32_t *before; /* owned; members before each run; valid when ranked */
    bool ranked;
};

void uidset_init(struct uidset *set);
void uidset_done(struct uidset *set);
void uidset_clear(struct uidset *set);
void uidset_copy(struct uidset *to, const struct uidset *from); /* `to` is initialised */
void uidset_swap(struct uidset *a, struct uidset *b);

bool uidset_empty(const struct uidset *set);
/* How many members; at most 2^32-1. */
uint64_t uidset_members(const struct uidset *set);
bool uidset_has(const struct uidset *set, uint32_t n);
uint32_t uidset_min(const struct uidset *set); /* 0 when empty */
uint32_t uidset_max(const struct uidset *set); /* 0 when empty */

/* Adding in ascending order is O(1); elsewhere O(runs). 0 and first > last are ignored. */
void uidset_add(struct uidset *set, uint32_t n);
void uidset_add_run(struct uidset *set, uint32_t first, uint32_t last);
void uidset_remove(struct uidset *set, uint32_t n);

/* set operations into `set`: O(runs of both) */
void uidset_union(struct uidset *set, const struct uidset *other);
void uidset_intersect(struct uidset *set, const struct uidset *other);
void uidset_subtract(struct uidset *set, const struct uidset *other);

/* The nth member, n from 1; 0 when there are fewer. */
uint32_t uidset_at(struct uidset *set, uint32_t n);
/* Position (from 1) of a member; 0 when it is none. */
uint32_t uidset_rank(struct uidset *set, uint32_t uid);

/* RFC 3501 sequence-set text: "1:3,7". Nothing for the empty set. */
void uidset_write(const struct uidset *set, struct buf *out);
/* As written by uidset_write; no "*". ERR_SYNTAX; ERR_LIMIT over runs_max. Replaces the content. */
enum err MUST_USE uidset_read(struct uidset *set, struct slice text, size_t runs_max);

#endif
