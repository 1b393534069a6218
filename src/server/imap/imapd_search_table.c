/* Header keys of a SEARCH, answered by the table that SORT keeps of the mailbox: the texts of all its messages stand there together, decoded and folded. */
#include "server/imap/imapd_sort_int.h"

#include <string.h>

static bool in_table(const struct search_key *key, enum sort_field *out_field)
{
    return key->kind == IMAP_SEARCH_HEADER && sort_field_of(key->field, out_field) &&
           key->text.len && !memchr(key->text.ptr, 0, key->text.len);
}

static unsigned facts_of(const struct search_key *key)
{
    enum sort_field field;
    unsigned facts = in_table(key, &field) ? (unsigned)SORT_FACT_FIELD << field : 0;
    for (const struct search_key *child = key->list; child; child = child->next)
        facts |= facts_of(child);
    return facts;
}

static enum err ask(struct imapd_search *q, const struct sort_table *table, struct search_key *key)
{
    enum sort_field field;
    if (in_table(key, &field)) {
        TRY(imapd_search_set(q, &key->uids));
        TRY(imapd_search_set(q, &key->unsure));
        sort_table_find(table, field, key->text, &q->candidates, key->uids, key->unsure);
        TRY(imapd_search_set_made(q, key->uids));
        TRY(imapd_search_set_made(q, key->unsure));
        if (uidset_empty(key->unsure)) {
            key->unsure = NULL;
            key->cost = COST_UID;
        }
    }
    if (!key->list)
        return ERR_OK;
    key->cost = COST_UID;
    for (struct search_key *child = key->list; child; child = child->next) {
        TRY(ask(q, table, child));
        if (child->cost > key->cost)
            key->cost = child->cost;
    }
    return ERR_OK;
}

/* Only those with the flags that are wanted: of a few unread messages no table of the mailbox is made. */
static enum err narrow(struct imapd_search *q)
{
    struct imapd_session *s = q->s;
    struct uidset with;
    uidset_init(&with);
    struct store_read_args read = { .mailbox = s->view.mailbox,
        .uids = &q->candidates,
        .flags_all = q->flags_all,
        .flags_none = q->flags_none };
    struct store_rows rows = { 0 };
    enum err e = ERR_OK;
    do {
        arena_reset(&s->rows);
        e = account_read(s->account, &read, &s->rows, &rows);
        for (size_t i = 0; e == ERR_OK && i < rows.count; i++)
            uidset_add(&with, rows.at[i].uid);
        read.from_uid = rows.next_uid;
    } while (e == ERR_OK && rows.next_uid);
    if (e == ERR_OK)
        uidset_swap(&q->candidates, &with);
    q->flags_all = q->flags_none = 0;
    uidset_done(&with);
    return e;
}

enum err imapd_search_ask_table(struct imapd_search *q)
{
    unsigned facts = facts_of(q->root);
    struct imapd_table table;
    if (!facts || q->nothing)
        return ERR_OK;
    if (q->flags_all || q->flags_none)
        TRY(narrow(q));
    if (uidset_empty(&q->candidates))
        return ERR_OK;
    enum err e = imapd_table_open(q->s, facts, &q->candidates, &table);
    if (e == ERR_LIMIT) /* too many, or too long: each is asked itself */
        return ERR_OK;
    TRY(e);
    e = ask(q, table.table, q->root);
    imapd_table_close(q->s, &table);
    TRY(e);
    imapd_search_choose(q);
    return ERR_OK;
}
