/* Threads (RFC 5256 §3). Messages and dummies are nodes, 0 to count - 1 and from there on; links are one parent for each node.
 *
 * Links are made and cut as step 1 says, and none may close a circle. The node that is to get a parent has none at that moment, so the question is
 * whether it is the root of the other's tree. That is answered by walking up as long as the way is short; the first long way puts all nodes
 * into a link-cut tree (Sleator and Tarjan), which answers in O(log nodes) on average, so that chains made to be long cost little more than others.
 *
 * The steps after that need no tree at all: a dummy in the middle vanishes, so each message needs its next real ancestor, or else the dummy on
 * top; and siblings come out sorted when messages are handed to their parents in the order of their dates. */
#include "message/sort_int.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define NONE     UINT32_MAX
#define WALK_MAX 64u /* links that are walked up before the tree is made */

/* ---- link-cut tree ---- */

/* A path from some node up to an ancestor is a splay tree, the ancestor leftmost; the tree's own up leads to the path's parent. */
struct paths {
    uint32_t *left, *right, *up; /* owned; NULL: not needed so far */
};

static bool is_path_root(const struct paths *p, uint32_t x)
{
    uint32_t up = p->up[x];
    return up == NONE || (p->left[up] != x && p->right[up] != x);
}

static void rotate(struct paths *p, uint32_t x)
{
    uint32_t y = p->up[x], z = p->up[y];
    if (!is_path_root(p, y)) {
        if (p->left[z] == y)
            p->left[z] = x;
        else
            p->right[z] = x;
    }
    uint32_t *from = p->left[y] == x ? p->left : p->right;
    uint32_t *to = p->left[y] == x ? p->right : p->left;
    uint32_t inner = to[x];
    from[y] = inner;
    if (inner != NONE)
        p->up[inner] = y;
    to[x] = y;
    p->up[y] = x;
    p->up[x] = z;
}

static void splay(struct paths *p, uint32_t x)
{
    while (!is_path_root(p, x)) {
        uint32_t y = p->up[x];
        if (!is_path_root(p, y)) {
            uint32_t z = p->up[y];
            rotate(p, (p->left[y] == x) == (p->left[z] == y) ? y : x);
        }
        rotate(p, x);
    }
}

/* Makes the way from x to its root one path, x on top of it and last. */
static void expose(struct paths *p, uint32_t x)
{
    uint32_t last = NONE;
    for (uint32_t y = x; y != NONE; y = p->up[y]) {
        splay(p, y);
        p->right[y] = last;
        last = y;
    }
    splay(p, x);
}

static uint32_t root_of(struct paths *p, uint32_t x)
{
    expose(p, x);
    while (p->left[x] != NONE)
        x = p->left[x];
    splay(p, x);
    return x;
}

/* ---- step 1: links ---- */

struct forest {
    const struct thread_input *input;
    size_t capacity;    /* nodes there may be */
    uint32_t nodes;     /* messages and dummies so far */
    uint32_t *parent;   /* owned */
    uint32_t *children; /* owned; how many */
    uint32_t *id_node;  /* owned; by id, NONE as long as nobody has named it */
    struct paths paths;
};

static uint32_t *filled(size_t count, uint32_t value)
{
    uint32_t *at = mem_alloc((count + 1) * sizeof *at);
    for (size_t i = 0; i < count; i++)
        at[i] = value;
    return at;
}

static void forest_init(struct forest *f, const struct thread_input *input)
{
    *f = (struct forest){ .input = input, .nodes = (uint32_t)input->count };
    /* a dummy for each id, and in step 5 one for two messages at most */
    f->capacity = input->count + input->id_max + input->count / 2 + 1;
    f->parent = filled(f->capacity, NONE);
    f->children = mem_zalloc(f->capacity, sizeof *f->children);
    f->id_node = filled((size_t)input->id_max + 1, NONE);
    for (uint32_t i = 0; i < input->count; i++) { /* of messages with one id the first has it */
        uint32_t id = input->messages[i].id;
        if (id && f->id_node[id] == NONE)
            f->id_node[id] = i;
    }
}

static void forest_done(struct forest *f)
{
    free(f->parent);
    free(f->children);
    free(f->id_node);
    free(f->paths.left);
    free(f->paths.right);
    free(f->paths.up);
}

static uint32_t node_of(struct forest *f, uint32_t id)
{
    if (f->id_node[id] == NONE)
        f->id_node[id] = f->nodes++;
    return f->id_node[id];
}

static void paths_make(struct forest *f)
{
    f->paths.left = filled(f->capacity, NONE);
    f->paths.right = filled(f->capacity, NONE);
    f->paths.up = mem_alloc(f->capacity * sizeof *f->paths.up);
    memcpy(f->paths.up, f->parent,
        f->capacity * sizeof *f->paths.up); /* each node a path of its own */
}

/* Whether root, which has no parent, is above node. */
static bool is_above(struct forest *f, uint32_t root, uint32_t node)
{
    if (node == root)
        return true;
    if (!f->children[root])
        return false;
    for (unsigned i = 0; i < WALK_MAX; i++) {
        if (f->parent[node] == NONE)
            return node == root;
        node = f->parent[node];
    }
    if (!f->paths.up)
        paths_make(f);
    return root_of(&f->paths, node) == root;
}

static void link_nodes(struct forest *f, uint32_t parent, uint32_t child)
{
    f->parent[child] = parent;
    f->children[parent]++;
    if (f->paths.up) {
        expose(&f->paths, child);
        f->paths.up[child] = parent;
    }
}

static void cut_node(struct forest *f, uint32_t child)
{
    f->children[f->parent[child]]--;
    f->parent[child] = NONE;
    if (f->paths.up) {
        expose(&f->paths, child);
        uint32_t above = f->paths.left[child];
        f->paths.left[child] = NONE;
        f->paths.up[above] = NONE;
    }
}

static void link_references(struct forest *f, uint32_t node)
{
    const struct thread_message *message = &f->input->messages[node];
    uint32_t last = NONE;
    for (size_t i = 0; i < message->reference_count; i++) { /* (A) */
        uint32_t next = node_of(f, message->references[i]);
        if (last != NONE && f->parent[next] == NONE && !is_above(f, next, last))
            link_nodes(f, last, next);
        last = next;
    }
    if (f->parent[node] == last) /* (B) */
        return;
    if (f->parent[node] != NONE)
        cut_node(f, node);
    if (last != NONE && !is_above(f, node, last))
        link_nodes(f, last, node);
}

/* ---- steps 2 to 6 ---- */

struct tree {
    size_t count, nodes;
    const struct thread_message *messages;
    uint32_t *by_date;             /* owned; messages */
    uint32_t *up;                  /* owned; of messages: their parent, NONE on top */
    uint32_t *first, *last, *next; /* owned; children in order */
    uint32_t top_first, top_last;
};

static int compare_dates(const void *left, const void *right, void *messages_arg)
{
    const struct thread_message *messages = messages_arg;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (messages[a].date_s != messages[b].date_s)
        return messages[a].date_s < messages[b].date_s ? -1 : 1;
    return (a > b) - (a < b);
}

/* Messages by sent date, then by their place in the mailbox (RFC 5256 §2.2). */
static uint32_t *order_by_date(const struct thread_message *messages, size_t count)
{
    uint32_t *order = mem_alloc((count + 1) * sizeof *order);
    bool sorted = true;
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
        sorted = sorted && (i == 0 || messages[i - 1].date_s <= messages[i].date_s);
    }
    if (!sorted)
        qsort_r(order, count, sizeof *order, compare_dates, (void *)(uintptr_t)messages);
    return order;
}

static void tree_init(struct tree *t, const struct thread_input *input, size_t nodes)
{
    *t = (struct tree){ .count = input->count,
        .nodes = nodes,
        .messages = input->messages,
        .by_date = order_by_date(input->messages, input->count),
        .up = filled(input->count, NONE),
        .first = filled(nodes, NONE),
        .last = filled(nodes, NONE),
        .next = filled(nodes, NONE),
        .top_first = NONE,
        .top_last = NONE };
}

static void tree_done(struct tree *t)
{
    free(t->by_date);
    free(t->up);
    free(t->first);
    free(t->last);
    free(t->next);
}

/* Appends node to the children of parent, NONE for the root of all. */
static void append(struct tree *t, uint32_t parent, uint32_t node)
{
    uint32_t *first = parent == NONE ? &t->top_first : &t->first[parent];
    uint32_t *last = parent == NONE ? &t->top_last : &t->last[parent];
    if (*first == NONE)
        *first = node;
    else
        t->next[*last] = node;
    *last = node;
}

/* Hands every message to its parent, oldest first. A dummy is on top, at the place of its first child. */
static void hand_out(struct tree *t)
{
    for (size_t i = 0; i < t->nodes; i++)
        t->first[i] = t->last[i] = t->next[i] = NONE;
    t->top_first = t->top_last = NONE;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t node = t->by_date[i], parent = t->up[node];
        if (parent != NONE && parent >= t->count && t->first[parent] == NONE)
            append(t, NONE, parent);
        append(t, parent, node);
    }
}

/* Step 3. The next message above a dummy, else the dummy on top of it; what was found is remembered for all on the way. */
static uint32_t above_dummy(struct forest *f, uint32_t *found, uint32_t dummy)
{
    size_t count = f->input->count;
    uint32_t node = dummy, result;
    while (node >= count && found[node - count] == NONE && f->parent[node] != NONE)
        node = f->parent[node];
    result = node < count || found[node - count] == NONE ? node : found[node - count];
    for (node = dummy; node >= count && found[node - count] == NONE;) {
        found[node - count] = result;
        node = f->parent[node];
        if (node == NONE)
            break;
    }
    return result;
}

static void prune(struct forest *f, struct tree *t)
{
    size_t count = f->input->count, dummies = f->nodes - count;
    uint32_t *found = filled(dummies, NONE);
    uint32_t *children = mem_zalloc(dummies + 1, sizeof *children);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t parent = f->parent[i];
        if (parent != NONE && parent >= count)
            parent = above_dummy(f, found, parent);
        if (parent != NONE && parent >= count)
            children[parent - count]++;
        t->up[i] = parent;
    }
    for (size_t i = 0; i < count; i++) /* a dummy with one child gives way to it */
        if (t->up[i] != NONE && t->up[i] >= count && children[t->up[i] - count] == 1)
            t->up[i] = NONE;
    free(found);
    free(children);
}

static const struct thread_message *head_of(const struct tree *t, uint32_t top)
{
    return &t->messages[top < t->count ? top : t->first[top]];
}

/* Step 5.B: whose subject a thread has, for each subject. */
static uint32_t *subject_table(const struct tree *t, uint32_t subject_max)
{
    uint32_t *table = filled((size_t)subject_max + 1, NONE);
    for (uint32_t top = t->top_first; top != NONE; top = t->next[top]) {
        uint32_t subject = head_of(t, top)->subject, there = table[subject];
        if (!subject)
            continue;
        bool is_dummy = top >= t->count;
        if (there == NONE || (there < t->count && (is_dummy || (t->messages[there].is_reply &&
                                                                   !t->messages[top].is_reply))))
            table[subject] = top;
    }
    return table;
}

/* Step 5.C. In the table a dummy stays, so a dummy that comes meets a dummy. */
static void merge_subjects(struct tree *t, uint32_t subject_max, uint32_t nodes)
{
    uint32_t *table = subject_table(t, subject_max);
    uint32_t *became = filled(t->nodes, NONE); /* of dummies: the one that has their children now */
    for (uint32_t top = t->top_first; top != NONE; top = t->next[top]) {
        uint32_t subject = head_of(t, top)->subject, there = table[subject];
        if (!subject || there == top)
            continue;
        if (top >= t->count) {
            became[top] = there;
        } else if (there >= t->count ||
                   (t->messages[top].is_reply && !t->messages[there].is_reply)) {
            t->up[top] = there;
        } else {
            t->up[top] = t->up[there] = nodes;
            table[subject] = nodes++;
        }
    }
    for (size_t i = 0; i < t->count; i++)
        if (t->up[i] != NONE && became[t->up[i]] != NONE)
            t->up[i] = became[t->up[i]];
    free(table);
    free(became);
}

/* ---- the answer ---- */

struct tokens {
    uint32_t *at;
    size_t count;
};

/* Where a thread forks, each branch is a list; where it does not, it goes on. */
static bool is_listed(const struct tree *t, uint32_t parent, uint32_t node)
{
    return parent == NONE || t->first[parent] != node || t->next[node] != NONE;
}

static uint32_t parent_of(const struct tree *t, uint32_t node)
{
    return node < t->count ? t->up[node] : NONE;
}

/* All threads, depth first, without recursion. */
static void write_tree(const struct tree *t, struct tokens *out)
{
    /* a message has at most one pair around it, a dummy another for two messages at least */
    out->at = mem_alloc((t->count * 4 + 1) * sizeof *out->at);
    uint32_t node = t->top_first;
    while (node != NONE) {
        if (is_listed(t, parent_of(t, node), node))
            out->at[out->count++] = THREAD_OPEN;
        if (node < t->count)
            out->at[out->count++] = t->messages[node].uid;
        if (t->first[node] != NONE) {
            node = t->first[node];
            continue;
        }
        for (; node != NONE; node = parent_of(t, node)) { /* up, to where something follows */
            if (is_listed(t, parent_of(t, node), node))
                out->at[out->count++] = THREAD_CLOSE;
            if (t->next[node] != NONE)
                break;
        }
        if (node != NONE)
            node = t->next[node];
    }
}

static void give(const struct tree *t, uint32_t **out_tokens, size_t *out_count)
{
    struct tokens tokens = { 0 };
    write_tree(t, &tokens);
    *out_tokens = tokens.at;
    *out_count = tokens.count;
}

void thread_by_references(
    const struct thread_input *input, uint32_t **out_tokens, size_t *out_count)
{
    struct forest f;
    struct tree t;
    forest_init(&f, input);
    for (uint32_t i = 0; i < input->count; i++)
        link_references(&f, i);
    tree_init(&t, input, f.capacity);
    prune(&f, &t);
    hand_out(&t);
    merge_subjects(&t, input->subject_max, f.nodes);
    hand_out(&t);
    give(&t, out_tokens, out_count);
    tree_done(&t);
    forest_done(&f);
}

/* Of messages with the same subject the oldest is the parent of all others; threads go by their first message. So one walk by date does it. */
void thread_by_subject(const struct thread_input *input, uint32_t **out_tokens, size_t *out_count)
{
    struct tree t;
    tree_init(&t, input, input->count);
    uint32_t *oldest = filled((size_t)input->subject_max + 1, NONE);
    for (size_t i = 0; i < input->count; i++) {
        uint32_t node = t.by_date[i], subject = t.messages[node].subject;
        t.up[node] = oldest[subject];
        if (oldest[subject] == NONE)
            oldest[subject] = node;
    }
    hand_out(&t);
    give(&t, out_tokens, out_count);
    free(oldest);
    tree_done(&t);
}

/* ---- of a table ---- */

static void compute(const struct sort_table *table, enum thread_algorithm algorithm,
    const uint32_t *rows, size_t count, uint32_t **out_tokens, size_t *out_count)
{
    struct thread_message *messages = mem_alloc((count + 1) * sizeof *messages);
    for (size_t i = 0; i < count; i++) {
        uint32_t row = rows[i];
        messages[i] = (struct thread_message){ .uid = table->uids[row],
            .date_s = table->date[row],
            .subject = table->subject[row],
            .is_reply = table->is_reply[row] };
        if (algorithm != THREAD_REFERENCES)
            continue;
        messages[i].id = table->ids[row].own;
        messages[i].references = table->references + table->ids[row].references;
        messages[i].reference_count = table->ids[row].count;
    }
    struct thread_input input = { .messages = messages,
        .count = count,
        .subject_max = table->subjects.count - 1,
        .id_max = table->id_names.count - 1 };
    if (algorithm == THREAD_REFERENCES)
        thread_by_references(&input, out_tokens, out_count);
    else
        thread_by_subject(&input, out_tokens, out_count);
    free(messages);
}

static bool same_set(const struct uidset *a, const struct uidset *b)
{
    return a->count == b->count &&
           (!a->count || memcmp(a->runs, b->runs, a->count * sizeof *a->runs) == 0);
}

void sort_table_drop_threads(struct sort_table *table, unsigned facts, uint32_t uid)
{
    for (unsigned i = 0; i < SORT_THREADS; i++) {
        struct sort_kept_thread *kept = &table->threads[i];
        if (kept->tokens && facts & thread_facts_of(i) && uidset_has(&kept->uids, uid)) {
            free(kept->tokens);
            kept->tokens = NULL;
            kept->count = 0;
        }
    }
}

void sort_table_thread(struct sort_table *table, enum thread_algorithm algorithm,
    const struct uidset *uids, uint32_t **out_tokens, size_t *out_count)
{
    struct sort_kept_thread *kept = &table->threads[algorithm];
    size_t found;
    if (!kept->tokens || !same_set(&kept->uids, uids)) {
        uint32_t *rows = sort_table_pick(table, thread_facts_of(algorithm), uids, &found);
        free(kept->tokens);
        compute(table, algorithm, rows, found, &kept->tokens, &kept->count);
        uidset_copy(&kept->uids, uids);
        free(rows);
    }
    uint32_t *tokens = mem_alloc((kept->count + 1) * sizeof *tokens);
    memcpy(tokens, kept->tokens, kept->count * sizeof *tokens);
    *out_tokens = tokens;
    *out_count = kept->count;
}
