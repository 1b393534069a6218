/* Ordering and threading of the messages of one mailbox: SORT and THREAD (RFC 5256), DISPLAYFROM and DISPLAYTO (RFC 5957); and which of them have a
 * text in one of the header fields that people search.
 *
 * A table holds of each message what the orders compare, made once from its summary: numbers, and texts as numbers into a pool in which each text
 * stands once, ready for bytewise comparison (text_casemap), as far as SORT_TEXT_BYTES_MAX. Facts come in kinds, and only those that somebody asked for are made. The table
 * also keeps the orders and threads it has computed: an order is extended when messages are added, threads hold for one set of messages.
 *
 *     lacks_from? ──uid──► read rows from there ──► sort_table_add each ──► sort_table_filled ──► sort_table_order, sort_table_thread
 *
 * Rules: (T-1) rows stand in ascending uid; (T-2) a fact of a row never changes, since a uid names one message for ever (S-5); (T-3) below the uid that
 * was given to sort_table_filled, a message without those facts is gone, or could not be read. So messages that are expunged need no word: callers ask
 * for the uids they want, and what the table has beside them, or has never seen, is not in the result.
 *
 * Pure: no I/O, no clock, no lock; one thread at a time. Memory is counted, and past bytes_max the answer is ERR_LIMIT. */
#ifndef MESSAGE_SORT_H
#define MESSAGE_SORT_H

#include "base/uidset.h"
#include "message/summary.h"

enum sort_key {
    SORT_ARRIVAL,
    SORT_CC,
    SORT_DATE,
    SORT_FROM,
    SORT_SIZE,
    SORT_SUBJECT,
    SORT_TO,
    SORT_DISPLAYFROM,
    SORT_DISPLAYTO,
};

struct sort_criterion {
    enum sort_key key;
    bool reverse;
};

/* Kinds of facts. */
enum {
    SORT_FACT_ARRIVAL = 1 << 0, /* INTERNALDATE and size: no summary is needed */
    SORT_FACT_DATE = 1 << 1,    /* sent date */
    SORT_FACT_SUBJECT = 1 << 2,
    SORT_FACT_ADDRESSES = 1 << 3,
    SORT_FACT_IDS = 1 << 4,   /* message ids */
    SORT_FACT_FIELD = 1 << 5, /* the text of a field, shifted by enum sort_field */
};

unsigned sort_facts_of(const struct sort_criterion *criteria, size_t count);

/* Fields whose texts are searched. */
enum sort_field {
    SORT_FIELD_SUBJECT,
    SORT_FIELD_FROM,
    SORT_FIELD_TO,
    SORT_FIELD_CC,
    SORT_FIELD_MESSAGE_ID,
    SORT_FIELDS,
};
/* False: not one of them. */
bool sort_field_of(struct slice name, enum sort_field *out_field);

enum thread_algorithm {
    THREAD_ORDEREDSUBJECT,
    THREAD_REFERENCES,
};
unsigned thread_facts_of(enum thread_algorithm algorithm);

/* One message on its way into a table; all borrowed. */
struct sort_message {
    uint32_t uid;
    int64_t received_s;
    uint64_t size;
    const struct msg_summary *summary; /* NULL: cannot be read, all of its texts are empty */
    const struct msg_source
        *source;         /* for SORT_FACT_FIELD: read when the summary does not keep the field */
    struct slice header; /* for SORT_FACT_IDS: holds at least the fields of msg_thread_ids */
};

struct sort_table;
struct sort_table *sort_table_new(size_t bytes_max);
void sort_table_free(struct sort_table *table);
/* Messages it knows, those that are gone by now among them. */
size_t sort_table_rows(const struct sort_table *table);
/* Memory in use. */
size_t sort_table_bytes(const struct sort_table *table);
/* Forgets everything. */
void sort_table_clear(struct sort_table *table);

/* The lowest uid of which facts may be missing. */
uint32_t sort_table_lacks_from(const struct sort_table *table, unsigned facts);
/* Those facts, and what may be filled in with them for next to nothing: not what older rows lack, too, for they would all be read again. */
unsigned sort_table_along(const struct sort_table *table, unsigned facts);
/* Adds what is missing of those facts. Uids ascend from sort_table_lacks_from on; one that is there already may come again. */
enum err MUST_USE sort_table_add(
    struct sort_table *table, unsigned facts, const struct sort_message *message);
/* All messages below uidnext that exist have been added. */
void sort_table_filled(struct sort_table *table, unsigned facts, uint32_t uidnext);

/* Those of uids that are there, in the order of the criteria, then of their uids. The list is the caller's, to be freed. */
void sort_table_order(struct sort_table *table, const struct sort_criterion *criteria, size_t count,
    const struct uidset *uids, uint32_t **out_uids, size_t *out_count);

/* Those of uids whose field has the folded needle, which is not empty, as msg_field_contains finds it; and those that must be asked themselves, because the
 * text is too long to be kept or could not be read. Both sets are initialised. */
void sort_table_find(const struct sort_table *table, enum sort_field field, struct slice needle,
    const struct uidset *uids, struct uidset *out_found, struct uidset *out_unsure);

/* Threads as they are written: uids, and between them where a list begins and ends. No uid has these values. */
#define THREAD_OPEN  0u
#define THREAD_CLOSE UINT32_MAX
/* Threads of those of uids that are there. The list is the caller's, to be freed; depth has no limit but their number. */
void sort_table_thread(struct sort_table *table, enum thread_algorithm algorithm,
    const struct uidset *uids, uint32_t **out_tokens, size_t *out_count);

/* ---- threads of messages that are at hand ---- */

struct thread_message {
    uint32_t uid;
    int64_t date_s;   /* sent date */
    uint32_t subject; /* number of the base subject, ready for comparison; 0 = empty */
    bool is_reply;
    uint32_t id;                /* number of its message id; 0 = none */
    const uint32_t *references; /* numbers of ids, oldest first */
    size_t reference_count;
};

struct thread_input {
    const struct thread_message *messages; /* in the order of the mailbox */
    size_t count;
    uint32_t subject_max, id_max; /* the highest numbers */
};

/* RFC 5256 §3, the one and the other. Time and memory grow with count, references and the highest numbers, times a logarithm at most, whatever the
 * references say; no recursion. The tokens are the caller's, to be freed; NULL for none. */
void thread_by_subject(const struct thread_input *input, uint32_t **out_tokens, size_t *out_count);
void thread_by_references(
    const struct thread_input *input, uint32_t **out_tokens, size_t *out_count);

#endif
