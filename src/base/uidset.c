/* Runs are ascending and separated by at least one number that is no member: run[i].last + 1 < run[i+1].first. */
#include "base/uidset.h"

#include "base/arena.h"
#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void uidset_init(struct uidset *set)
{
    *set = (struct uidset){ 0 };
}

void uidset_done(struct uidset *set)
{
    if (!set)
        return;
    free(set->runs);
    free(set->before);
    *set = (struct uidset){ 0 };
}

void uidset_clear(struct uidset *set)
{
    set->count = 0;
    set->ranked = false;
}

static void reserve(struct uidset *set, size_t need)
{
    if (need <= set->cap)
        return;
    size_t cap = set->cap ? set->cap * 2 : 4;
    if (cap < need)
        cap = need;
    set->runs = mem_realloc(set->runs, cap * sizeof *set->runs);
    free(set->before);
    set->before = NULL;
    set->cap = cap;
}

void uidset_copy(struct uidset *to, const struct uidset *from)
{
    if (to == from)
        return;
    reserve(to, from->count);
    if (from->count)
        memcpy(to->runs, from->runs, from->count * sizeof *from->runs);
    to->count = from->count;
    to->ranked = false;
}

void uidset_swap(struct uidset *a, struct uidset *b)
{
    struct uidset t = *a;
    *a = *b;
    *b = t;
}

bool uidset_empty(const struct uidset *set)
{
    return set->count == 0;
}

uint64_t uidset_members(const struct uidset *set)
{
    uint64_t n = 0;
    for (size_t i = 0; i < set->count; i++)
        n += (uint64_t)set->runs[i].last - set->runs[i].first + 1;
    return n;
}

/* Index of the first run whose last is >= n; set->count when none. */
static size_t run_at(const struct uidset *set, uint32_t n)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (set->runs[mid].last < n)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool uidset_has(const struct uidset *set, uint32_t n)
{
    size_t i = run_at(set, n);
    return i < set->count && set->runs[i].first <= n;
}

uint32_t uidset_min(const struct uidset *set)
{
    return set->count ? set->runs[0].first : 0;
}

uint32_t uidset_max(const struct uidset *set)
{
    return set->count ? set->runs[set->count - 1].last : 0;
}

void uidset_add(struct uidset *set, uint32_t n)
{
    uidset_add_run(set, n, n);
}

void uidset_add_run(struct uidset *set, uint32_t first, uint32_t last)
{
    if (first == 0 || first > last)
        return;
    set->ranked = false;
    if (set->count == 0 || set->runs[set->count - 1].last < first - 1) {
        reserve(set, set->count + 1);
        set->runs[set->count++] = (struct uid_run){ first, last };
        return;
    }
    size_t from = run_at(set, first > 1 ? first - 1 : first); /* first run that touches or follows */
    size_t to = from;
    while (to < set->count && (last == UINT32_MAX || set->runs[to].first <= last + 1)) {
        if (set->runs[to].first < first)
            first = set->runs[to].first;
        if (set->runs[to].last > last)
            last = set->runs[to].last;
        to++;
    }
    if (from == to)
        reserve(set, set->count + 1);
    memmove(set->runs + from + 1, set->runs + to, (set->count - to) * sizeof *set->runs);
    set->count = set->count - (to - from) + 1;
    set->runs[from] = (struct uid_run){ first, last };
}

void uidset_remove(struct uidset *set, uint32_t n)
{
    size_t i = run_at(set, n);
    if (i == set->count || set->runs[i].first > n)
        return;
    set->ranked = false;
    struct uid_run *run = &set->runs[i];
    if (run->first == n && run->last == n) {
        memmove(run, run + 1, (set->count - i - 1) * sizeof *run);
        set->count--;
    } else if (run->first == n) {
        run->first++;
    } else if (run->last == n) {
        run->last--;
    } else {
        reserve(set, set->count + 1);
        run = &set->runs[i];
        memmove(run + 1, run, (set->count - i) * sizeof *run);
        set->count++;
        run[0].last = n - 1;
        run[1].first = n + 1;
    }
}

void uidset_union(struct uidset *set, const struct uidset *other)
{
    if (other->count == 0 || set == other)
        return;
    struct uidset out = { 0 };
    reserve(&out, set->count + other->count);
    size_t i = 0, k = 0;
    while (i < set->count || k < other->count) {
        bool mine = k == other->count ||
                    (i < set->count && set->runs[i].first <= other->runs[k].first);
        struct uid_run run = mine ? set->runs[i++] : other->runs[k++];
        uidset_add_run(&out, run.first, run.last);
    }
    uidset_swap(set, &out);
    uidset_done(&out);
}

void uidset_intersect(struct uidset *set, const struct uidset *other)
{
    if (set == other)
        return;
    struct uidset out = { 0 };
    for (size_t i = 0, k = 0; i < set->count && k < other->count;) {
        uint32_t first = set->runs[i].first > other->runs[k].first ? set->runs[i].first
                                                                   : other->runs[k].first;
        uint32_t last = set->runs[i].last < other->runs[k].last ? set->runs[i].last
                                                                : other->runs[k].last;
        if (first <= last)
            uidset_add_run(&out, first, last);
        if (set->runs[i].last < other->runs[k].last)
            i++;
        else
            k++;
    }
    uidset_swap(set, &out);
    uidset_done(&out);
}

void uidset_subtract(struct uidset *set, const struct uidset *other)
{
    if (other->count == 0)
        return;
    struct uidset out = { 0 };
    size_t k = 0;
    for (size_t i = 0; i < set->count; i++) {
        uint64_t first = set->runs[i].first, last = set->runs[i].last;
        while (k < other->count && other->runs[k].last < first)
            k++;
        for (size_t j = k; j < other->count && other->runs[j].first <= last; j++) {
            if (other->runs[j].first > first)
                uidset_add_run(&out, (uint32_t)first, other->runs[j].first - 1);
            first = (uint64_t)other->runs[j].last + 1;
            if (first > last)
                break;
        }
        if (first <= last)
            uidset_add_run(&out, (uint32_t)first, (uint32_t)last);
    }
    uidset_swap(set, &out);
    uidset_done(&out);
}

static void rank_all(struct uidset *set)
{
    if (set->ranked)
        return;
    if (!set->before)
        set->before = mem_alloc((set->cap ? set->cap : 1) * sizeof *set->before);
    uint32_t n = 0;
    for (size_t i = 0; i < set->count; i++) {
        set->before[i] = n;
        n += set->runs[i].last - set->runs[i].first + 1;
    }
    set->ranked = true;
}

uint32_t uidset_at(struct uidset *set, uint32_t n)
{
    if (n == 0 || set->count == 0)
        return 0;
    rank_all(set);
    size_t low = 0, high = set->count; /* last run with before < n */
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (set->before[mid] < n)
            low = mid;
        else
            high = mid;
    }
    const struct uid_run *run = &set->runs[low];
    uint32_t offset = n - set->before[low] - 1;
    return offset <= run->last - run->first ? run->first + offset : 0;
}

uint32_t uidset_rank(struct uidset *set, uint32_t uid)
{
    size_t i = run_at(set, uid);
    if (i == set->count || set->runs[i].first > uid)
        return 0;
    rank_all(set);
    return set->before[i] + (uid - set->runs[i].first) + 1;
}

void uidset_write(const struct uidset *set, struct buf *out)
{
    for (size_t i = 0; i < set->count; i++) {
        if (i)
            buf_addc(out, ',');
        buf_addu(out, set->runs[i].first);
        if (set->runs[i].last != set->runs[i].first) {
            buf_addc(out, ':');
            buf_addu(out, set->runs[i].last);
        }
    }
}

enum err uidset_read(struct uidset *set, struct slice text, size_t runs_max)
{
    struct uidset out = { 0 };
    /* slice_cut shows no empty part after the last comma */
    enum err e = text.len && slice_at(text, text.len - 1) != ',' ? ERR_OK : ERR_SYNTAX;
    size_t runs = 0;
    struct slice part;
    while (e == ERR_OK && slice_cut(&text, ',', &part)) {
        uint64_t first = 0, last = 0;
        size_t colon = slice_index(part, ':');
        if (++runs > runs_max)
            e = ERR_LIMIT;
        if (e == ERR_OK)
            e = slice_to_u64(slice_sub(part, 0, colon), UINT32_MAX, &first);
        last = first;
        if (e == ERR_OK && colon < part.len)
            e = slice_to_u64(slice_from_index(part, colon + 1), UINT32_MAX, &last);
        if (e == ERR_OK && (first == 0 || last == 0))
            e = ERR_SYNTAX;
        if (e == ERR_OK)
            uidset_add_run(&out, (uint32_t)(first < last ? first : last),
                    (uint32_t)(first < last ? last : first));
    }
    if (e == ERR_OK)
        uidset_swap(set, &out);
    uidset_done(&out);
    return e;
}
