/* Flags of a mailbox's messages, kept in memory: clients ask for all of them, and search them, again and again.
 *
 * Always true: a list holds, in ascending order, the messages below next_uid with their flags and modseq as they were committed; those that are gone are
 * marked. No list is made when all lists of a store together would be more than FLAGS_KEPT_BYTES. */
#include "store/account.h"

#include <stdlib.h>
#include <string.h>

/* A list is made when at least one of so many of what it lacks is wanted. */
#define FEW 8

static void resize(struct account *account, struct flag_list *list, size_t cap)
{
    if (account->store) {
        atomic_fetch_add(&account->store->flags_kept_bytes, cap * sizeof *list->at);
        atomic_fetch_sub(&account->store->flags_kept_bytes, list->cap * sizeof *list->at);
    }
    list->cap = cap;
}

void flag_list_drop(struct account *account, struct flag_list *list)
{
    resize(account, list, 0);
    free(list->at);
    *list = (struct flag_list){ 0 };
}

size_t flag_list_at(const struct flag_list *list, uint32_t uid)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->at[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct flag_row *flag_list_next(
    const struct flag_list *list, struct uid_run range, size_t *at)
{
    while (*at < list->count && list->at[*at].uid <= range.last) {
        const struct flag_row *row = &list->at[(*at)++];
        if (row->modseq)
            return row;
    }
    return NULL;
}

void flag_list_apply(struct flag_list *list, const struct store_change *change)
{
    bool gone = change->kind == STORE_CHANGE_EXPUNGE;
    for (size_t i = 0; i < change->uids.count; i++) {
        const struct uid_run *run = &change->uids.runs[i];
        for (size_t at = flag_list_at(list, run->first);
             at < list->count && list->at[at].uid <= run->last; at++) {
            struct flag_row *row = &list->at[at];
            list->gone += gone && row->modseq;
            row->flags = (row->flags & ~change->clear) | change->set;
            row->modseq = gone ? 0 : change->modseq;
        }
    }
}

static void add(struct account *account, struct flag_list *list, const struct flag_row *row)
{
    if (list->count == list->cap) {
        size_t cap = list->cap + list->cap / 4 + 16;
        list->at = mem_realloc(list->at, cap * sizeof *list->at);
        resize(account, list, cap);
    }
    list->at[list->count++] = *row;
}

static enum err read_new(
    struct account *account, const struct mailbox_state *state, struct flag_list *list)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_ENTRIES, &statement));
    (void)sqlite3_bind_int64(statement, 1, state->id);
    (void)sqlite3_bind_int64(statement, 2, list->next_uid);
    (void)sqlite3_bind_int64(statement, 3, UINT32_MAX);
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            break;
        add(account, list,
            &(struct flag_row){ .uid = (uint32_t)sqlite3_column_int64(statement, 0),
                .flags = (uint64_t)sqlite3_column_int64(statement, 1),
                .modseq = (uint64_t)sqlite3_column_int64(statement, 2) });
    }
    list->next_uid = state->uidnext;
    return ERR_OK;
}

static void drop_gone(struct flag_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->at[i].modseq)
            list->at[kept++] = list->at[i];
    list->count = kept;
    list->gone = 0;
}

/* Whether reading all that the list lacks is worth it. */
static bool worth(struct account *account, const struct mailbox_state *state,
    const struct flag_list *list, const struct uidset *uids)
{
    if (!account->store)
        return false; /* a snapshot is read once */
    uint64_t all = uidset_members(&state->uids), lacks = all > list->count ? all - list->count : 0;
    if (uids && uidset_members(uids) < lacks / FEW)
        return false;
    return atomic_load(&account->store->flags_kept_bytes) + lacks * sizeof *list->at <=
           FLAGS_KEPT_BYTES;
}

static enum err follow(struct account *account, struct mailbox_state *state, struct flag_list *list)
{
    if (list->next_uid < state->uidnext)
        TRY(read_new(account, state, list));
    if (list->gone > list->count / 2)
        drop_gone(list);
    return ERR_OK;
}

enum err account_flag_list(struct account *account, int64_t mailbox, const struct uidset *uids,
    const struct flag_list **out_list)
{
    struct mailbox_state *state;
    *out_list = NULL;
    TRY(account_mailbox_state(account, mailbox, &state));
    if (!state ||
        (state->flags.next_uid < state->uidnext && !worth(account, state, &state->flags, uids)))
        return ERR_OK;
    enum err e = follow(account, state, &state->flags);
    if (e != ERR_OK)
        flag_list_drop(account, &state->flags);
    else
        *out_list = &state->flags;
    return e;
}

const struct flag_list *account_flag_list_known(struct account *account, int64_t mailbox)
{
    const struct mailbox_state *state = account_mailbox_known(account, mailbox);
    return state && state->flags.next_uid >= state->uidnext ? &state->flags : NULL;
}
