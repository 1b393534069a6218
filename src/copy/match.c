/* Pairs of two lists: both are sorted by what has to agree, and walked side by side. */
#include "copy/match.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum pass {
    PASS_EXACT,
    PASS_SIZE,
    PASS_DATE,
    PASS_BYTES,
    PASS_BYTES_ALONE,
    PASSES
};

struct entry {
    uint64_t key[3];
    struct copy_message *message;
    unsigned char hash[COPY_HASH_BYTES];
};

struct side {
    struct entry *entries; /* owned */
    size_t count;
};

struct matching {
    copy_hash_fn hash;
    void *arg;
    enum pass pass;
};

struct copy_message *copy_list_add(struct copy_list *list, const struct copy_message *message)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        list->at = mem_realloc(list->at, list->cap * sizeof *list->at);
    }
    list->at[list->count] = *message;
    return &list->at[list->count++];
}

void copy_list_done(struct copy_list *list)
{
    free(list->at);
    *list = (struct copy_list){ .at = NULL };
}

/* ---- what has to agree ---- */

static bool takes_part(enum pass pass, const struct copy_message *m)
{
    if (m->mate || (m->message_id == 0) != (pass >= PASS_BYTES))
        return false;
    return pass != PASS_DATE || m->received_s != 0;
}

static void make_key(enum pass pass, const struct copy_message *m, uint64_t key[3])
{
    key[0] = m->message_id;
    key[1] = pass == PASS_DATE ? 0 : m->bytes;
    key[2] = pass == PASS_SIZE || pass == PASS_BYTES_ALONE ? 0 : (uint64_t)m->received_s;
}

static int compare_keys(const struct entry *a, const struct entry *b)
{
    for (size_t i = 0; i < 3; i++)
        if (a->key[i] != b->key[i])
            return a->key[i] < b->key[i] ? -1 : 1;
    return 0;
}

/* Those that agree stand in the order of their UIDs, which is that in which they were sent. */
static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_keys(x, y);
    if (order == 0 && x->message->uid != y->message->uid)
        order = x->message->uid < y->message->uid ? -1 : 1;
    return order;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(
        ((const struct entry *)a)->hash, ((const struct entry *)b)->hash, COPY_HASH_BYTES);
}

static void collect(enum pass pass, struct copy_list *list, struct side *side)
{
    side->entries = mem_zalloc(list->count + 1, sizeof *side->entries);
    side->count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!takes_part(pass, &list->at[i]))
            continue;
        struct entry *entry = &side->entries[side->count++];
        entry->message = &list->at[i];
        make_key(pass, entry->message, entry->key);
    }
    qsort(side->entries, side->count, sizeof *side->entries, by_key);
}

/* ---- those that agree ---- */

static void pair(struct entry *news, struct entry *there)
{
    news->message->mate = there->message->uid;
    there->message->mate = news->message->uid;
}

/* Hashes what can be had of entries[0 .. *count) and sorts it to the front. */
static enum err hash_all(
    const struct matching *m, bool of_source, struct entry *entries, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        enum err e = m->hash(m->arg, of_source, entries[i].message, entries[i].hash);
        if (e == ERR_NOT_FOUND)
            continue;
        TRY(e);
        struct entry first = entries[kept];
        entries[kept++] = entries[i];
        if (kept <= i)
            entries[i] = first;
    }
    qsort(entries, kept, sizeof *entries, by_hash);
    *count = kept;
    return ERR_OK;
}

static enum err pair_by_bytes(const struct matching *m, struct entry *news, size_t news_count,
    struct entry *there, size_t there_count)
{
    TRY(hash_all(m, false, there, &there_count));
    if (there_count == 0)
        return ERR_OK;
    TRY(hash_all(m, true, news, &news_count));
    for (size_t i = 0, k = 0; i < news_count && k < there_count;) {
        int order = by_hash(&news[i], &there[k]);
        if (order == 0)
            pair(&news[i++], &there[k++]);
        else if (order < 0)
            i++;
        else
            k++;
    }
    return ERR_OK;
}

static enum err pair_group(const struct matching *m, struct entry *news, size_t news_count,
    struct entry *there, size_t there_count)
{
    bool unclear = news_count > there_count && m->pass != PASS_DATE;
    if (unclear || m->pass >= PASS_BYTES)
        return pair_by_bytes(m, news, news_count, there, there_count);
    for (size_t i = 0; i < news_count && i < there_count; i++)
        pair(&news[i], &there[i]);
    return ERR_OK;
}

static size_t group_end(const struct side *side, size_t from)
{
    size_t end = from + 1;
    while (end < side->count && compare_keys(&side->entries[from], &side->entries[end]) == 0)
        end++;
    return end;
}

static enum err walk(const struct matching *m, struct side *news, struct side *there)
{
    for (size_t i = 0, k = 0; i < news->count && k < there->count;) {
        int order = compare_keys(&news->entries[i], &there->entries[k]);
        if (order == 0) {
            size_t news_end = group_end(news, i), there_end = group_end(there, k);
            TRY(pair_group(m, &news->entries[i], news_end - i, &there->entries[k], there_end - k));
            i = news_end;
            k = there_end;
        } else if (order < 0) {
            i++;
        } else {
            k++;
        }
    }
    return ERR_OK;
}

enum err copy_match(struct copy_list *news, struct copy_list *there, copy_hash_fn hash, void *arg)
{
    enum err e = ERR_OK;
    for (enum pass pass = PASS_EXACT; e == ERR_OK && pass < PASSES; pass++) {
        struct matching m = { .hash = hash, .arg = arg, .pass = pass };
        struct side ours, theirs;
        collect(pass, news, &ours);
        collect(pass, there, &theirs);
        e = walk(&m, &ours, &theirs);
        free(ours.entries);
        free(theirs.entries);
    }
    return e;
}
