/* THREAD REFERENCES as RFC 5256 §3 tells it, step by step, with trees and recursion: what the tests and the fuzz target compare with. For a few
 * messages only. */
#ifndef MESSAGE_THREAD_SLOW_TEST_H
#define MESSAGE_THREAD_SLOW_TEST_H

#include "base/buf.h"
#include "message/sort.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_MESSAGES_MAX 64
#define SLOW_IDS_MAX      32
#define SLOW_NODES        (2 * SLOW_MESSAGES_MAX + SLOW_IDS_MAX + 1)

struct slow {
    const struct thread_input *input;
    int nodes;
    int parent[SLOW_NODES];
    int kids[SLOW_NODES][SLOW_NODES], kid_count[SLOW_NODES]; /* the last node is the root of all */
    int id_node[SLOW_IDS_MAX + 1];
    int table[SLOW_MESSAGES_MAX + 1];
};
#define SLOW_ROOT (SLOW_NODES - 1)

static inline bool slow_is_dummy(const struct slow *s, int node)
{
    return (size_t)node >= s->input->count;
}

static inline void slow_remove_kid(struct slow *s, int parent, int kid)
{
    int *kids = s->kids[parent], at = 0;
    while (kids[at] != kid)
        at++;
    s->kid_count[parent]--;
    memmove(kids + at, kids + at + 1, (size_t)(s->kid_count[parent] - at) * sizeof *kids);
}

static inline void slow_add_kid(struct slow *s, int parent, int kid)
{
    s->kids[parent][s->kid_count[parent]++] = kid;
    s->parent[kid] = parent;
}

static inline bool slow_is_above(const struct slow *s, int above, int node)
{
    for (; node >= 0; node = s->parent[node])
        if (node == above)
            return true;
    return false;
}

static inline int slow_node(struct slow *s, uint32_t id)
{
    if (s->id_node[id] < 0)
        s->id_node[id] = s->nodes++;
    return s->id_node[id];
}

static inline void slow_link(struct slow *s)
{
    for (int i = 0; (size_t)i < s->input->count; i++) {
        const struct thread_message *m = &s->input->messages[i];
        int last = -1;
        for (size_t k = 0; k < m->reference_count; k++) {
            int next = slow_node(s, m->references[k]);
            if (last >= 0 && s->parent[next] < 0 && !slow_is_above(s, next, last))
                slow_add_kid(s, last, next);
            last = next;
        }
        if (s->parent[i] >= 0)
            slow_remove_kid(s, s->parent[i], i);
        s->parent[i] = -1;
        if (last >= 0 && !slow_is_above(s, i, last))
            slow_add_kid(s, last, i);
    }
}

static inline void slow_prune(struct slow *s, int parent)
{
    int before[SLOW_NODES], count = s->kid_count[parent];
    memcpy(before, s->kids[parent], sizeof before);
    for (int i = 0; i < count; i++) {
        int node = before[i];
        slow_prune(s, node);
        if (!slow_is_dummy(s, node) || (parent == SLOW_ROOT && s->kid_count[node] > 1))
            continue;
        slow_remove_kid(s, parent, node);
        for (int k = 0; k < s->kid_count[node]; k++)
            slow_add_kid(s, parent, s->kids[node][k]);
    }
}

static inline const struct thread_message *slow_head(const struct slow *s, int node)
{
    return &s->input->messages[slow_is_dummy(s, node) ? s->kids[node][0] : node];
}

static inline void slow_sort(struct slow *s, int parent, bool deep)
{
    int *kids = s->kids[parent];
    for (int i = 0; i < s->kid_count[parent]; i++)
        if (deep || slow_is_dummy(s, kids[i]))
            slow_sort(s, kids[i], deep);
    for (int i = 1; i < s->kid_count[parent]; i++)
        for (int k = i; k > 0; k--) {
            const struct thread_message *a = slow_head(s, kids[k - 1]), *b = slow_head(s, kids[k]);
            if (a->date_s < b->date_s || (a->date_s == b->date_s && a < b))
                break;
            int swap = kids[k];
            kids[k] = kids[k - 1];
            kids[k - 1] = swap;
        }
}

static inline void slow_populate(struct slow *s)
{
    for (int i = 0; i < s->kid_count[SLOW_ROOT]; i++) {
        int node = s->kids[SLOW_ROOT][i];
        uint32_t subject = slow_head(s, node)->subject;
        int there = s->table[subject];
        if (!subject)
            continue;
        if (there < 0)
            s->table[subject] = node;
        else if (!slow_is_dummy(s, there) &&
                 (slow_is_dummy(s, node) ||
                     (slow_head(s, there)->is_reply && !slow_head(s, node)->is_reply)))
            s->table[subject] = node;
    }
}

static inline void slow_merge_one(struct slow *s, int node, int there, uint32_t subject)
{
    slow_remove_kid(s, SLOW_ROOT, node);
    if (slow_is_dummy(s, node) && slow_is_dummy(s, there)) {
        for (int k = 0; k < s->kid_count[node]; k++)
            slow_add_kid(s, there, s->kids[node][k]);
    } else if (slow_is_dummy(s, there) ||
               (slow_head(s, node)->is_reply && !slow_head(s, there)->is_reply)) {
        slow_add_kid(s, there, node);
    } else {
        int dummy = s->nodes++;
        slow_remove_kid(s, SLOW_ROOT, there);
        slow_add_kid(s, SLOW_ROOT, dummy);
        slow_add_kid(s, dummy, there);
        slow_add_kid(s, dummy, node);
        s->table[subject] = dummy;
    }
}

static inline void slow_merge(struct slow *s)
{
    int before[SLOW_NODES], count = s->kid_count[SLOW_ROOT];
    memcpy(before, s->kids[SLOW_ROOT], sizeof before);
    for (int i = 0; i < count; i++) {
        uint32_t subject = slow_head(s, before[i])->subject;
        if (subject && s->table[subject] != before[i])
            slow_merge_one(s, before[i], s->table[subject], subject);
    }
}

static inline void slow_write(const struct slow *s, int node, struct buf *out)
{
    if (!slow_is_dummy(s, node)) {
        buf_addu(out, s->input->messages[node].uid);
        if (s->kid_count[node])
            buf_addc(out, ' ');
        if (s->kid_count[node] == 1) {
            slow_write(s, s->kids[node][0], out);
            return;
        }
    }
    for (int i = 0; i < s->kid_count[node]; i++) {
        buf_addc(out, '(');
        slow_write(s, s->kids[node][i], out);
        buf_addc(out, ')');
    }
}

/* Appends the threads as IMAP writes them. */
static inline void slow_thread(const struct thread_input *input, struct buf *out)
{
    struct slow *s = calloc(1, sizeof *s);
    assert(s);
    assert(input->count <= SLOW_MESSAGES_MAX && input->id_max <= SLOW_IDS_MAX);
    assert(input->subject_max <= SLOW_MESSAGES_MAX);
    s->input = input;
    s->nodes = (int)input->count;
    memset(s->parent, -1, sizeof s->parent);
    memset(s->id_node, -1, sizeof s->id_node);
    memset(s->table, -1, sizeof s->table);
    for (int i = (int)input->count; i-- > 0;)
        if (input->messages[i].id)
            s->id_node[input->messages[i].id] = i;
    slow_link(s);
    for (int i = 0; i < s->nodes; i++)
        if (s->parent[i] < 0)
            slow_add_kid(s, SLOW_ROOT, i);
    slow_prune(s, SLOW_ROOT);
    slow_sort(s, SLOW_ROOT, false);
    slow_populate(s);
    slow_merge(s);
    slow_sort(s, SLOW_ROOT, true);
    slow_write(s, SLOW_ROOT, out);
    free(s);
}

/* Appends tokens the same way. */
static inline void show_tokens(const uint32_t *tokens, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        bool is_number = tokens[i] != THREAD_OPEN && tokens[i] != THREAD_CLOSE;
        bool after_number = i && tokens[i - 1] != THREAD_OPEN && tokens[i - 1] != THREAD_CLOSE;
        if (after_number && tokens[i] != THREAD_CLOSE)
            buf_addc(out, ' ');
        if (is_number)
            buf_addu(out, tokens[i]);
        else
            buf_addc(out, tokens[i] == THREAD_OPEN ? '(' : ')');
    }
}

#endif
