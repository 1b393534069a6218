/* Orders. A table remembers the last few as lists of all of its rows, so that the same question again is a walk; new rows are sorted and merged in. */
#include "message/sort_int.h"

#include "base/arena.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A row with what its first criterion compares, as far as that fits: equal keys of texts say nothing yet. */
struct item {
    uint64_t key;
    uint32_t row;
};

struct comparing {
    const struct sort_table *table;
    const struct sort_criterion *criteria;
    size_t count;
};

static bool is_text(enum sort_key key)
{
    return key != SORT_ARRIVAL && key != SORT_DATE && key != SORT_SIZE;
}

static uint64_t number_at(const struct sort_table *table, enum sort_key key, uint32_t row)
{
    const uint64_t bias = (uint64_t)1 << 63; /* what is below zero comes first */
    switch (key) {
    case SORT_ARRIVAL:
        return (uint64_t)table->arrival[row].received_s ^ bias;
    case SORT_DATE:
        return (uint64_t)table->date[row] ^ bias;
    default:
        assert(key == SORT_SIZE);
        return table->arrival[row].size;
    }
}

/* The text's number, and the pool it is one of. */
static uint32_t text_at(
    const struct sort_table *table, enum sort_key key, uint32_t row, const struct pool **out_pool)
{
    static const unsigned char addresses[] = {
        [SORT_CC] = TEXT_CC,
        [SORT_FROM] = TEXT_FROM,
        [SORT_TO] = TEXT_TO,
        [SORT_DISPLAYFROM] = TEXT_DISPLAYFROM,
        [SORT_DISPLAYTO] = TEXT_DISPLAYTO,
    };
    *out_pool = key == SORT_SUBJECT ? &table->subjects : &table->texts;
    return key == SORT_SUBJECT ? table->subject[row] : table->addresses[row].texts[addresses[key]];
}

static uint64_t first_bytes(struct slice text)
{
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof key; i++)
        key = key << 8 | (i < text.len ? slice_at(text, i) : 0);
    return key;
}

static struct item item_of(const struct comparing *c, uint32_t row)
{
    struct item item = { .row = row };
    enum sort_key key = c->criteria[0].key;
    if (is_text(key)) {
        const struct pool *pool;
        uint32_t text = text_at(c->table, key, row, &pool);
        item.key = first_bytes(pool_text(pool, text));
    } else {
        item.key = number_at(c->table, key, row);
    }
    if (c->criteria[0].reverse)
        item.key = ~item.key;
    return item;
}

/* Two texts of a pool. Long ones with the same start go by which came first into the table, which is older mail mostly: all messages of one still stand
 * together, so that the next criterion orders them, and not as the digests behind the start, which are new in each table, would have it. */
static int compare_texts(const struct pool *pool, uint32_t a, uint32_t b)
{
    if (a == b)
        return 0;
    struct slice text_a = pool_text(pool, a), text_b = pool_text(pool, b);
    if (text_a.len <= SORT_TEXT_BYTES_MAX || text_b.len <= SORT_TEXT_BYTES_MAX)
        return slice_cmp(text_a, text_b);
    int order = slice_cmp(
        slice_sub(text_a, 0, SORT_TEXT_BYTES_MAX), slice_sub(text_b, 0, SORT_TEXT_BYTES_MAX));
    return order ? order : (a > b) - (a < b);
}

static int compare_by(const struct comparing *c, struct sort_criterion by, uint32_t a, uint32_t b)
{
    int order;
    if (is_text(by.key)) {
        const struct pool *pool;
        uint32_t text_a = text_at(c->table, by.key, a, &pool);
        uint32_t text_b = text_at(c->table, by.key, b, &pool);
        order = compare_texts(pool, text_a, text_b);
    } else {
        uint64_t number_a = number_at(c->table, by.key, a);
        uint64_t number_b = number_at(c->table, by.key, b);
        order = (number_a > number_b) - (number_a < number_b);
    }
    return by.reverse ? -order : order;
}

/* Never 0 for two rows: what all criteria leave equal goes by the place in the mailbox, which REVERSE does not turn (RFC 5256 §3). */
static int compare(const void *left, const void *right, void *compare_arg)
{
    const struct item *a = left, *b = right;
    const struct comparing *c = compare_arg;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    for (size_t i = is_text(c->criteria[0].key) ? 0 : 1; i < c->count; i++) {
        int order = compare_by(c, c->criteria[i], a->row, b->row);
        if (order)
            return order;
    }
    return (a->row > b->row) - (a->row < b->row);
}

/* Sorts rows where they stand. */
static void sort_rows(struct comparing *c, uint32_t *rows, size_t count)
{
    struct item *items = mem_alloc((count + 1) * sizeof *items);
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        items[i] = item_of(c, rows[i]);
        sorted = sorted && (i == 0 || compare(&items[i - 1], &items[i], c) < 0);
    }
    if (!sorted) /* mail that comes in is mostly in the order of its dates */
        qsort_r(items, count, sizeof *items, compare, c);
    for (size_t i = 0; i < count; i++)
        rows[i] = items[i].row;
    free(items);
}

/* ---- orders that are kept ---- */

static bool same(const struct sort_kept_order *kept, const struct comparing *c)
{
    if (!kept->criteria || kept->count != c->count)
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (kept->criteria[i].key != c->criteria[i].key ||
            kept->criteria[i].reverse != c->criteria[i].reverse)
            return false;
    return true;
}

/* The one of these criteria; else a free one, or the one that was not used for longest, emptied. */
static struct sort_kept_order *find(struct sort_table *table, const struct comparing *c)
{
    struct sort_kept_order *oldest = &table->orders[0];
    for (size_t i = 0; i < SORT_ORDERS_KEPT; i++) {
        struct sort_kept_order *kept = &table->orders[i];
        if (same(kept, c)) {
            kept->used = ++table->uses;
            return kept;
        }
        if (kept->used < oldest->used)
            oldest = kept;
    }
    free(oldest->criteria);
    free(oldest->order);
    *oldest = (struct sort_kept_order){ .count = c->count, .used = ++table->uses };
    oldest->criteria = mem_alloc(c->count * sizeof *c->criteria);
    memcpy(oldest->criteria, c->criteria, c->count * sizeof *c->criteria);
    return oldest;
}

/* Takes the rows in that came since it was made, T-4. */
static void extend(struct sort_kept_order *kept, struct comparing *c)
{
    uint32_t lacks_from = sort_table_lacks_from(c->table, sort_facts_of(c->criteria, c->count));
    size_t rows = sort_table_row_at(c->table, lacks_from), old = kept->rows;
    if (rows <= old)
        return;
    size_t fresh = rows - old;
    uint32_t *order = mem_alloc(rows * sizeof *order);
    uint32_t *added = mem_alloc(fresh * sizeof *added);
    for (size_t i = 0; i < fresh; i++)
        added[i] = (uint32_t)(old + i);
    sort_rows(c, added, fresh);
    size_t from_old = 0, from_new = 0;
    for (size_t i = 0; i < rows; i++) {
        bool take_old = from_new == fresh;
        if (!take_old && from_old < old) {
            struct item a = item_of(c, kept->order[from_old]), b = item_of(c, added[from_new]);
            take_old = compare(&a, &b, c) < 0;
        }
        order[i] = take_old ? kept->order[from_old++] : added[from_new++];
    }
    free(added);
    free(kept->order);
    kept->order = order;
    kept->rows = rows;
}

/* The rows wanted in the order of all. */
static void walk(const struct sort_table *table, const struct sort_kept_order *kept, uint32_t *rows,
    size_t count)
{
    if (count == kept->rows) {
        memcpy(rows, kept->order, count * sizeof *rows);
        return;
    }
    unsigned char *wanted = mem_zalloc(table->rows, 1);
    for (size_t i = 0; i < count; i++)
        wanted[rows[i]] = 1;
    size_t at = 0;
    for (size_t i = 0; i < kept->rows; i++)
        if (wanted[kept->order[i]])
            rows[at++] = kept->order[i];
    free(wanted);
}

void sort_table_drop_orders(struct sort_table *table, unsigned facts, size_t row)
{
    for (size_t i = 0; i < SORT_ORDERS_KEPT; i++) {
        struct sort_kept_order *kept = &table->orders[i];
        if (row < kept->rows && facts & sort_facts_of(kept->criteria, kept->count)) {
            free(kept->order);
            kept->order = NULL;
            kept->rows = 0;
        }
    }
}

void sort_table_order(struct sort_table *table, const struct sort_criterion *criteria, size_t count,
    const struct uidset *uids, uint32_t **out_uids, size_t *out_count)
{
    struct comparing c = { .table = table, .criteria = criteria, .count = count };
    assert(count > 0);
    size_t found;
    uint32_t *rows = sort_table_pick(table, sort_facts_of(criteria, count), uids, &found);
    size_t order_bytes = table->rows * sizeof *rows;
    bool keeps =
        found >= table->rows / 4 &&
        order_bytes <= table->bytes_max / 4; /* few are sorted faster than all are walked */
    keeps = keeps && found;
    if (keeps) {
        struct sort_kept_order *kept = find(table, &c);
        extend(kept, &c);
        keeps = rows[found - 1] < kept->rows;
        if (keeps)
            walk(table, kept, rows, found);
    }
    if (!keeps)
        sort_rows(&c, rows, found);
    for (size_t i = 0; i < found; i++)
        rows[i] = table->uids[rows[i]];
    *out_uids = rows;
    *out_count = found;
}
