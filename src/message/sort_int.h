/* The inside of a table. Private to message/. */
#ifndef MESSAGE_SORT_INT_H
#define MESSAGE_SORT_INT_H

#include "base/buf.h"
#include "message/pool.h"
#include "message/sort.h"

#define SORT_KINDS       (5 + SORT_FIELDS)
#define SORT_ORDERS_KEPT 4
#define SORT_THREADS     2 /* algorithms */

struct sort_arrival {
    int64_t received_s;
    uint64_t size;
};

/* What FROM, TO, CC and their display forms compare: numbers into texts. */
enum {
    TEXT_FROM,
    TEXT_TO,
    TEXT_CC,
    TEXT_DISPLAYFROM,
    TEXT_DISPLAYTO,
    TEXT_ADDRESSES,
};
struct sort_addresses {
    uint32_t texts[TEXT_ADDRESSES];
};

struct sort_ids {
    uint32_t own;        /* 0 = none */
    uint32_t references; /* where they start in table->references */
    uint32_t count;
};

#define SORT_UNSURE UINT32_MAX /* no text has this number */

/* Rows 0 to rows - 1. (T-4) What has not got its facts yet is in none: an order ends where they may be missing, and goes when a row inside it gets them
 * all the same. The same holds for threads and the uids they are of. */
struct sort_kept_order {
    struct sort_criterion *criteria; /* owned; NULL = free */
    size_t count;
    uint32_t *order; /* owned */
    size_t rows;
    uint64_t used;
};

struct sort_kept_thread {
    struct uidset uids;
    uint32_t *tokens; /* owned; NULL = free */
    size_t count;
};

struct sort_table {
    size_t bytes_max;
    /* columns; each owned, and NULL as long as nobody asked for its kind */
    uint32_t *uids; /* T-1 */
    uint16_t *have; /* kinds of facts that are there */
    struct sort_arrival *arrival;
    int64_t *date;
    uint32_t *subject; /* into subjects */
    unsigned char *is_reply;
    struct sort_addresses *addresses;
    struct sort_ids *ids;
    uint32_t *fields[SORT_FIELDS]; /* into field_texts; or SORT_UNSURE */
    size_t rows, cap;
    unsigned kinds;              /* whose columns are there */
    uint32_t filled[SORT_KINDS]; /* T-3; 1 at first */
    size_t cursor;               /* where the last uid that was added stands */

    struct pool subjects, texts, id_names, field_texts[SORT_FIELDS];
    uint32_t *references; /* owned; numbers of ids */
    size_t reference_count, reference_cap;
    struct buf scratch, decoded, folded; /* of the fact in question */

    struct sort_kept_order orders[SORT_ORDERS_KEPT];
    struct sort_kept_thread threads[SORT_THREADS];
    uint64_t uses;
};

/* Makes the texts of the fields among the facts for a row that has its columns. */
enum err MUST_USE sort_table_add_fields(
    struct sort_table *table, unsigned facts, const struct sort_message *message, size_t row);
/* Row of the first uid that is not lower. */
size_t sort_table_row_at(const struct sort_table *table, uint32_t uid);
/* Forgets what is kept and was made without the facts that a row, or a uid, has got now (T-4). */
void sort_table_drop_orders(struct sort_table *table, unsigned facts, size_t row);
void sort_table_drop_threads(struct sort_table *table, unsigned facts, uint32_t uid);
/* Rows of those of uids that have the facts, ascending; freed by the caller. */
uint32_t *sort_table_pick(
    const struct sort_table *table, unsigned facts, const struct uidset *uids, size_t *out_count);

#endif
