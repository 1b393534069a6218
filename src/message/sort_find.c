/* Texts of header fields, and the search in them. Each text stands once in its pool, so the pool is searched, and the rows ask whether theirs is among those found. */
#include "message/sort_int.h"

#include "base/arena.h"
#include "base/limits.h"
#include "message/text.h"

#include <stdlib.h>
#include <string.h>

static struct slice name_of(enum sort_field field)
{
    static const char *const names[] = { [SORT_FIELD_SUBJECT] = "Subject",
        [SORT_FIELD_FROM] = "From",
        [SORT_FIELD_TO] = "To",
        [SORT_FIELD_CC] = "Cc",
        [SORT_FIELD_MESSAGE_ID] = "Message-ID" };
    return slice_of(names[field]);
}

bool sort_field_of(struct slice name, enum sort_field *out_field)
{
    for (enum sort_field field = 0; field < SORT_FIELDS; field++)
        if (slice_eq_nocase(name, name_of(field))) {
            *out_field = field;
            return true;
        }
    return false;
}

/* What is wrong with a message is said by the search that reads it. */
static enum err add_field(struct sort_table *table, enum sort_field field,
    const struct sort_message *message, uint32_t *out_number)
{
    size_t fields;
    *out_number = 0;
    if (!message->summary)
        return ERR_OK;
    buf_clear(&table->folded);
    if (msg_field_text(
            message->summary, message->source, name_of(field), &table->folded, &fields) != ERR_OK ||
        buf_len(&table->folded) > SORT_FIELD_BYTES_MAX) {
        *out_number = SORT_UNSURE;
        return ERR_OK;
    }
    *out_number =
        pool_number(&table->field_texts[field], buf_slice(&table->folded), table->bytes_max);
    return *out_number == UINT32_MAX ? ERR_LIMIT : ERR_OK;
}

enum err sort_table_add_fields(
    struct sort_table *table, unsigned facts, const struct sort_message *message, size_t row)
{
    for (enum sort_field field = 0; field < SORT_FIELDS; field++)
        if (facts & (unsigned)SORT_FACT_FIELD << field)
            TRY(add_field(table, field, message, &table->fields[field][row]));
    return ERR_OK;
}

/* The text that a byte of the pool belongs to. Texts lie in the order of their numbers. */
static uint32_t text_with(const struct pool *pool, size_t byte)
{
    uint32_t low = 1, high = pool->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (pool->texts[middle].at <= byte)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* For each text whether it has the needle; by number, owned by the caller. */
static bool *texts_with(const struct pool *pool, struct slice needle)
{
    bool *has = mem_zalloc(pool->count, sizeof *has);
    if (needle.len > SORT_FIELD_BYTES_MAX)
        return has;
    struct slice all = slice_from(pool->bytes, pool->bytes_len);
    for (size_t at = 0; at < all.len;) {
        size_t found = slice_find(slice_from_index(all, at), needle);
        if (found == SIZE_MAX)
            break;
        at += found;
        uint32_t number = text_with(pool, at);
        size_t end = (size_t)pool->texts[number].at + pool->texts[number].len;
        has[number] = has[number] || at + needle.len <= end;
        at = has[number] ? end : at + 1; /* it may have begun in one text and ended in the next */
    }
    return has;
}

void sort_table_find(const struct sort_table *table, enum sort_field field, struct slice needle,
    const struct uidset *uids, struct uidset *out_found, struct uidset *out_unsure)
{
    bool *has = texts_with(&table->field_texts[field], needle);
    size_t count;
    uint32_t *rows = sort_table_pick(table, (unsigned)SORT_FACT_FIELD << field, uids, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t number = table->fields[field][rows[i]];
        if (number == SORT_UNSURE)
            uidset_add(out_unsure, table->uids[rows[i]]);
        else if (has[number])
            uidset_add(out_found, table->uids[rows[i]]);
    }
    free(rows);
    free(has);
}
