/* The facts of a table. */
#include "message/sort_int.h"

#include "base/arena.h"
#include "base/limits.h"
#include "message/address.h"
#include "message/envelope.h"
#include "message/text.h"
#include "message/thread.h"

#include <stdlib.h>
#include <string.h>

unsigned sort_facts_of(const struct sort_criterion *criteria, size_t count)
{
    static const unsigned facts[] = {
        [SORT_ARRIVAL] = SORT_FACT_ARRIVAL,
        [SORT_CC] = SORT_FACT_ADDRESSES,
        [SORT_DATE] = SORT_FACT_DATE,
        [SORT_FROM] = SORT_FACT_ADDRESSES,
        [SORT_SIZE] = SORT_FACT_ARRIVAL,
        [SORT_SUBJECT] = SORT_FACT_SUBJECT,
        [SORT_TO] = SORT_FACT_ADDRESSES,
        [SORT_DISPLAYFROM] = SORT_FACT_ADDRESSES,
        [SORT_DISPLAYTO] = SORT_FACT_ADDRESSES,
    };
    unsigned all = 0;
    for (size_t i = 0; i < count; i++)
        all |= facts[criteria[i].key];
    return all;
}

unsigned thread_facts_of(enum thread_algorithm algorithm)
{
    unsigned facts = SORT_FACT_DATE | SORT_FACT_SUBJECT;
    return algorithm == THREAD_REFERENCES ? facts | SORT_FACT_IDS : facts;
}

/* ---- life ---- */

static void init(struct sort_table *table, size_t bytes_max)
{
    *table = (struct sort_table){ .bytes_max = bytes_max };
    for (size_t i = 0; i < SORT_KINDS; i++)
        table->filled[i] = 1;
    pool_init(&table->subjects);
    pool_init(&table->texts);
    pool_init(&table->id_names);
    for (size_t i = 0; i < SORT_FIELDS; i++)
        pool_init(&table->field_texts[i]);
    buf_init(&table->scratch, 0);
    buf_init(&table->decoded, 0);
    buf_init(&table->folded, 0);
}

static void done(struct sort_table *table)
{
    free(table->uids);
    free(table->have);
    free(table->arrival);
    free(table->date);
    free(table->subject);
    free(table->is_reply);
    free(table->addresses);
    free(table->ids);
    free(table->references);
    pool_done(&table->subjects);
    pool_done(&table->texts);
    pool_done(&table->id_names);
    for (size_t i = 0; i < SORT_FIELDS; i++) {
        free(table->fields[i]);
        pool_done(&table->field_texts[i]);
    }
    buf_done(&table->scratch);
    buf_done(&table->decoded);
    buf_done(&table->folded);
    for (size_t i = 0; i < SORT_ORDERS_KEPT; i++) {
        free(table->orders[i].criteria);
        free(table->orders[i].order);
    }
    for (size_t i = 0; i < SORT_THREADS; i++) {
        free(table->threads[i].tokens);
        uidset_done(&table->threads[i].uids);
    }
}

struct sort_table *sort_table_new(size_t bytes_max)
{
    struct sort_table *table = mem_alloc(sizeof *table);
    init(table, bytes_max);
    return table;
}

void sort_table_free(struct sort_table *table)
{
    if (!table)
        return;
    done(table);
    free(table);
}

void sort_table_clear(struct sort_table *table)
{
    size_t bytes_max = table->bytes_max;
    done(table);
    init(table, bytes_max);
}

static size_t row_bytes(unsigned kinds)
{
    return sizeof(uint32_t) + sizeof(uint16_t) +
           (size_t)__builtin_popcount(kinds / SORT_FACT_FIELD) * sizeof(uint32_t) +
           (kinds & SORT_FACT_ARRIVAL ? sizeof(struct sort_arrival) : 0) +
           (kinds & SORT_FACT_DATE ? sizeof(int64_t) : 0) +
           (kinds & SORT_FACT_SUBJECT ? sizeof(uint32_t) + 1 : 0) +
           (kinds & SORT_FACT_ADDRESSES ? sizeof(struct sort_addresses) : 0) +
           (kinds & SORT_FACT_IDS ? sizeof(struct sort_ids) : 0);
}

size_t sort_table_bytes(const struct sort_table *table)
{
    size_t bytes = sizeof *table + table->cap * row_bytes(table->kinds) +
                   table->reference_cap * sizeof *table->references + pool_bytes(&table->subjects) +
                   pool_bytes(&table->texts) + pool_bytes(&table->id_names) + table->scratch.cap +
                   table->folded.cap;
    for (size_t i = 0; i < SORT_FIELDS; i++)
        bytes += pool_bytes(&table->field_texts[i]);
    for (size_t i = 0; i < SORT_ORDERS_KEPT; i++)
        bytes += table->orders[i].rows * sizeof *table->orders[i].order;
    for (size_t i = 0; i < SORT_THREADS; i++)
        bytes += table->threads[i].count * sizeof *table->threads[i].tokens +
                 table->threads[i].uids.cap * sizeof *table->threads[i].uids.runs;
    return bytes;
}

size_t sort_table_rows(const struct sort_table *table)
{
    return table->rows;
}

/* ---- rows ---- */

/* A column with room for cap rows; new ones are cleared. */
static void *column(void *at, size_t old_cap, size_t cap, size_t element)
{
    char *grown = mem_realloc(at, cap * element);
    memset(grown + old_cap * element, 0, (cap - old_cap) * element);
    return grown;
}

/* Columns of the kinds in add, which have room for old_cap rows, get room for cap. */
static void columns(struct sort_table *table, unsigned add, size_t old_cap, size_t cap)
{
    if (add & SORT_FACT_ARRIVAL)
        table->arrival = column(table->arrival, old_cap, cap, sizeof *table->arrival);
    if (add & SORT_FACT_DATE)
        table->date = column(table->date, old_cap, cap, sizeof *table->date);
    if (add & SORT_FACT_SUBJECT) {
        table->subject = column(table->subject, old_cap, cap, sizeof *table->subject);
        table->is_reply = column(table->is_reply, old_cap, cap, sizeof *table->is_reply);
    }
    if (add & SORT_FACT_ADDRESSES)
        table->addresses = column(table->addresses, old_cap, cap, sizeof *table->addresses);
    if (add & SORT_FACT_IDS)
        table->ids = column(table->ids, old_cap, cap, sizeof *table->ids);
    for (size_t i = 0; i < SORT_FIELDS; i++)
        if (add & (unsigned)SORT_FACT_FIELD << i)
            table->fields[i] = column(table->fields[i], old_cap, cap, sizeof *table->fields[i]);
}

/* Room for another row, with columns for the facts. */
static enum err reserve(struct sort_table *table, unsigned facts)
{
    unsigned missing = facts & ~table->kinds;
    size_t cap = table->cap;
    if (table->rows == cap)
        cap = cap ? cap + cap / 2 : 64;
    else if (!missing && table->rows % 64) /* texts are counted now and then */
        return ERR_OK;
    size_t bytes = sort_table_bytes(table);
    size_t more = cap * row_bytes(table->kinds | missing) - table->cap * row_bytes(table->kinds);
    if (bytes > table->bytes_max || more > table->bytes_max - bytes)
        return ERR_LIMIT;
    if (missing && table->cap)
        columns(table, missing, 0, table->cap);
    table->kinds |= missing;
    if (cap == table->cap)
        return ERR_OK;
    columns(table, table->kinds, table->cap, cap);
    table->uids = column(table->uids, table->cap, cap, sizeof *table->uids);
    table->have = column(table->have, table->cap, cap, sizeof *table->have);
    table->cap = cap;
    return ERR_OK;
}

size_t sort_table_row_at(const struct sort_table *table, uint32_t uid)
{
    size_t low = 0, high = table->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->uids[middle] < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The row of a uid, new when it is the highest. False for one that has none and is not: it could not be read when those behind it were, and is not
 * there until the table is made anew. */
static bool row_of(struct sort_table *table, uint32_t uid, size_t *out_row)
{
    size_t row = table->cursor + 1;
    if (row >= table->rows || table->uids[row] != uid)
        row = sort_table_row_at(table, uid);
    if (row == table->rows) {
        table->uids[row] = uid;
        table->have[row] = 0;
        table->rows++;
    }
    table->cursor = row;
    *out_row = row;
    return table->uids[row] == uid;
}

/* ---- facts ---- */

static enum err number_of(
    struct sort_table *table, struct pool *pool, struct slice text, uint32_t *out_number)
{
    *out_number = pool_number(pool, text, table->bytes_max);
    return *out_number == UINT32_MAX ? ERR_LIMIT : ERR_OK;
}

/* A text in UTF-8, as a number of what the collation makes of it. A long one is kept as its start and a digest of all of it: nobody fills a table with
 * a few messages, and texts are still the same text only when they are. How long ones with one start are ordered: sort_order.c. */
static enum err collate(
    struct sort_table *table, struct pool *pool, struct slice utf8, uint32_t *out_number)
{
    buf_clear(&table->folded);
    text_casemap(utf8, &table->folded);
    if (buf_len(&table->folded) > SORT_TEXT_BYTES_MAX) {
        char digest[POOL_DIGEST_BYTES];
        pool_digest(pool, buf_slice(&table->folded), digest);
        buf_truncate(&table->folded, SORT_TEXT_BYTES_MAX);
        buf_add(&table->folded, slice_from(digest, sizeof digest));
    }
    return number_of(table, pool, buf_slice(&table->folded), out_number);
}

/* Adds to what is decoded, as RFC 5255 §4.6 wants it: encoded-words too, wherever they stand. */
static void decode(struct sort_table *table, const struct envelope_string *string)
{
    if (!string->bytes.len)
        return;
    buf_clear(&table->scratch);
    if (string->escaped)
        envelope_text(string, &table->scratch);
    msg_decode_words(string->escaped ? buf_slice(&table->scratch) : string->bytes, &table->decoded);
}

static enum err add_mailbox(
    struct sort_table *table, const struct envelope_address *address, uint32_t *out_number)
{
    buf_clear(&table->decoded);
    decode(table, &address->mailbox);
    return collate(table, &table->texts, buf_slice(&table->decoded), out_number);
}

/* RFC 5957 §3. */
static enum err add_display(
    struct sort_table *table, const struct envelope_address *address, uint32_t *out_number)
{
    buf_clear(&table->decoded);
    decode(table, &address->name);
    if (!buf_len(&table->decoded)) {
        decode(table, &address->mailbox);
        if (address->mailbox.bytes.ptr && address->host.bytes.ptr) {
            buf_addc(&table->decoded, '@');
            decode(table, &address->host);
        }
    }
    return collate(table, &table->texts, buf_slice(&table->decoded), out_number);
}

static enum err add_addresses(
    struct sort_table *table, const struct msg_summary *summary, struct sort_addresses *out)
{
    struct envelope_address firsts[ENVELOPE_FIRSTS];
    *out = (struct sort_addresses){ 0 };
    if (!summary)
        return ERR_OK;
    envelope_firsts(msg_envelope(summary), firsts);
    TRY(add_mailbox(table, &firsts[ENVELOPE_FROM], &out->texts[TEXT_FROM]));
    TRY(add_mailbox(table, &firsts[ENVELOPE_TO], &out->texts[TEXT_TO]));
    TRY(add_mailbox(table, &firsts[ENVELOPE_CC], &out->texts[TEXT_CC]));
    TRY(add_display(table, &firsts[ENVELOPE_FROM], &out->texts[TEXT_DISPLAYFROM]));
    return add_display(table, &firsts[ENVELOPE_TO], &out->texts[TEXT_DISPLAYTO]);
}

static enum err add_reference(struct sort_table *table, uint32_t number)
{
    if (table->reference_count == table->reference_cap) {
        size_t cap = table->reference_cap ? table->reference_cap + table->reference_cap / 2 : 256;
        if (cap > UINT32_MAX || cap * sizeof number > table->bytes_max)
            return ERR_LIMIT;
        table->references = mem_realloc(table->references, cap * sizeof number);
        table->reference_cap = cap;
    }
    table->references[table->reference_count++] = number;
    return ERR_OK;
}

/* Ids are only asked whether they are the same, and a message may name 200 of 1000 bytes: those that are not shorter than a digest are one. */
static enum err number_of_id(struct sort_table *table, struct slice id, uint32_t *out_number)
{
    char digest[POOL_DIGEST_BYTES];
    if (id.len >= sizeof digest) {
        pool_digest(&table->id_names, id, digest);
        id = slice_from(digest, sizeof digest);
    }
    return number_of(table, &table->id_names, id, out_number);
}

static enum err add_ids(struct sort_table *table, struct slice header, struct sort_ids *out)
{
    buf_clear(&table->scratch);
    msg_thread_ids(header, &table->scratch);
    struct slice rest = buf_slice(&table->scratch), id;
    struct sort_ids ids = { .references = (uint32_t)table->reference_count };
    (void)slice_cut(&rest, '\n', &id);
    TRY(number_of_id(table, id, &ids.own));
    while (slice_cut(&rest, '\n', &id)) {
        uint32_t number;
        TRY(number_of_id(table, id, &number));
        TRY(add_reference(table, number));
        ids.count++;
    }
    *out = ids;
    return ERR_OK;
}

/* RFC 5256 §2.2: INTERNALDATE when there is no sent date, midnight when only its time is invalid. The summary has no date then either way, so the day
 * is read from the field. */
static int64_t sent_date(
    struct sort_table *table, const struct sort_message *message, const struct msg_facts *about)
{
    struct envelope_string field;
    int64_t day_s;
    if (about->date_s != INT64_MIN || !message->summary)
        return about->date_s == INT64_MIN ? message->received_s : about->date_s;
    envelope_date(msg_envelope(message->summary), &field);
    buf_clear(&table->scratch);
    envelope_text(&field, &table->scratch);
    return msg_date_day(buf_slice(&table->scratch), &day_s) ? day_s : message->received_s;
}

static enum err add_facts(
    struct sort_table *table, unsigned facts, const struct sort_message *message, size_t row)
{
    struct msg_facts about = { .date_s = INT64_MIN };
    if (message->summary && facts & (SORT_FACT_DATE | SORT_FACT_SUBJECT))
        msg_facts(message->summary, &about);
    if (facts & SORT_FACT_ARRIVAL)
        table->arrival[row] =
            (struct sort_arrival){ .received_s = message->received_s, .size = message->size };
    if (facts & SORT_FACT_DATE)
        table->date[row] = sent_date(table, message, &about);
    if (facts & SORT_FACT_SUBJECT) {
        table->is_reply[row] = about.is_reply;
        TRY(collate(table, &table->subjects, about.base_subject, &table->subject[row]));
    }
    if (facts & SORT_FACT_ADDRESSES)
        TRY(add_addresses(table, message->summary, &table->addresses[row]));
    if (facts & SORT_FACT_IDS)
        TRY(add_ids(table, message->header, &table->ids[row]));
    TRY(sort_table_add_fields(table, facts, message, row));
    table->have[row] |= (uint16_t)facts;
    return ERR_OK;
}

enum err sort_table_add(
    struct sort_table *table, unsigned facts, const struct sort_message *message)
{
    size_t row;
    TRY(reserve(table, facts));
    if (!row_of(table, message->uid, &row))
        return ERR_OK;
    facts &= ~(unsigned)table->have[row];
    sort_table_drop_orders(table, facts, row);
    sort_table_drop_threads(table, facts, message->uid);
    return add_facts(table, facts, message, row);
}

uint32_t sort_table_lacks_from(const struct sort_table *table, unsigned facts)
{
    uint32_t from = UINT32_MAX;
    for (size_t i = 0; i < SORT_KINDS; i++)
        if (facts & 1u << i && table->filled[i] < from)
            from = table->filled[i];
    return from;
}

/* Once summaries are read, these cost little more, and a program that asks for one soon asks for another. */
#define WITH_SUMMARY (SORT_FACT_ARRIVAL | SORT_FACT_DATE | SORT_FACT_SUBJECT)

unsigned sort_table_along(const struct sort_table *table, unsigned facts)
{
    bool reads_summaries = facts & (SORT_FACT_FIELD - 1u) & ~(unsigned)SORT_FACT_ARRIVAL;
    uint32_t lacks_from = sort_table_lacks_from(table, facts);
    return reads_summaries && sort_table_lacks_from(table, WITH_SUMMARY) >= lacks_from
               ? facts | WITH_SUMMARY
               : facts;
}

void sort_table_filled(struct sort_table *table, unsigned facts, uint32_t uidnext)
{
    for (size_t i = 0; i < SORT_KINDS; i++)
        if (facts & 1u << i && table->filled[i] < uidnext)
            table->filled[i] = uidnext;
}

uint32_t *sort_table_pick(
    const struct sort_table *table, unsigned facts, const struct uidset *uids, size_t *out_count)
{
    uint32_t *rows = mem_alloc((table->rows + 1) * sizeof *rows);
    size_t count = 0, row = 0;
    for (size_t i = 0; i < uids->count && row < table->rows; i++) {
        if (table->uids[row] < uids->runs[i].first)
            row = sort_table_row_at(table, uids->runs[i].first);
        for (; row < table->rows && table->uids[row] <= uids->runs[i].last; row++)
            if ((table->have[row] & facts) == facts)
                rows[count++] = (uint32_t)row;
    }
    *out_count = count;
    return rows;
}
