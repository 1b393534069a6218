/* What an open account remembers of its mailboxes, flag changes and keywords. Committed state only (S-1): filled by reads between
 * transactions, moved on by account_apply after a commit. */
#include "store/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct slice id_key(const int64_t *id)
{
    return slice_from(id, sizeof *id);
}

static void state_free(struct account *account, struct mailbox_state *state)
{
    if (!state)
        return;
    entry_list_drop(account, &state->entries);
    flag_list_drop(account, &state->flags);
    uidset_done(&state->uids);
    free(state);
}

void account_forget_mailboxes(struct account *account)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&account->mailboxes, &cursor, &key, &value))
        state_free(account, value);
    map_done(&account->mailboxes);
    map_init(&account->mailboxes);
    account->changes_floor = account->modseq;
}

static enum err read_uids(struct account *account, int64_t mailbox, struct uidset *out_uids)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_UIDS, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        uidset_add(out_uids, (uint32_t)sqlite3_column_int64(statement, 0));
    }
}

enum err account_mailbox_state(
    struct account *account, int64_t mailbox, struct mailbox_state **out_state)
{
    struct mailbox_state *state = map_get(&account->mailboxes, id_key(&mailbox));
    if (state) {
        *out_state = state;
        return ERR_OK;
    }
    struct mailbox_row row;
    enum err e = mailbox_row_selectable(account, mailbox, &row);
    if (e == ERR_NOT_FOUND)
        *out_state = NULL;
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    state = mem_zalloc(1, sizeof *state);
    state->id = mailbox;
    state->uidvalidity = row.uidvalidity;
    state->uidnext = row.uidnext;
    state->modseq = row.modseq;
    state->recent = row.recent;
    uidset_init(&state->uids);
    e = read_uids(account, mailbox, &state->uids);
    if (e != ERR_OK) {
        state_free(account, state);
        return e;
    }
    (void)map_put(&account->mailboxes, id_key(&mailbox), state);
    *out_state = state;
    return ERR_OK;
}

const struct mailbox_state *account_mailbox_known(struct account *account, int64_t mailbox)
{
    return map_get(&account->mailboxes, id_key(&mailbox));
}

static void remember_flags(struct account *account, const struct store_change *change)
{
    struct flag_change *slot = &account->changes[account->change_next];
    account->change_next = (account->change_next + 1) % CHANGES_KEPT;
    if (slot->modseq > account->changes_floor)
        account->changes_floor = slot->modseq;
    slot->mailbox = change->mailbox;
    slot->modseq = change->modseq;
    uidset_copy(&slot->uids, &change->uids);
}

void account_apply(struct account *account, const struct store_tx *tx)
{
    for (size_t i = 0; i < tx->change_count; i++) {
        const struct store_change *change = &tx->changes[i];
        if (change->kind == STORE_CHANGE_MAILBOX) {
            state_free(account, map_remove(&account->mailboxes, id_key(&change->mailbox)));
            continue;
        }
        if (change->kind == STORE_CHANGE_FLAGS)
            remember_flags(account, change);
        struct mailbox_state *state = map_get(&account->mailboxes, id_key(&change->mailbox));
        if (!state)
            continue;
        if (change->kind == STORE_CHANGE_FLAGS || change->kind == STORE_CHANGE_EXPUNGE)
            flag_list_apply(&state->flags, change);
        if (change->kind == STORE_CHANGE_FLAGS && uidset_min(&change->uids) < state->seen_below)
            state->seen_below = uidset_min(&change->uids);
        if (change->kind == STORE_CHANGE_ADD) {
            uidset_union(&state->uids, &change->uids);
            state->uidnext = uidset_max(&change->uids) + 1;
        } else if (change->kind == STORE_CHANGE_EXPUNGE) {
            uidset_subtract(&state->uids, &change->uids);
        }
        if (change->modseq > state->modseq)
            state->modseq = change->modseq;
    }
}

/* ---- keywords ---- */

void account_drop_keywords(struct account *account)
{
    for (size_t i = 0; i < account->keyword_count; i++)
        free((char *)(uintptr_t)account->keywords[i].ptr);
    account->keyword_count = 0;
}

static void keep_keyword(struct account *account, struct slice name)
{
    assert(account->keyword_count < KEYWORDS_MAX);
    account->keywords[account->keyword_count++] =
        slice_from(mem_strndup(name.ptr, name.len), name.len);
}

enum err account_load_keywords(struct account *account)
{
    account_drop_keywords(account);
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_KEYWORDS, &statement));
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        if (sqlite3_column_int64(statement, 0) != (int64_t)account->keyword_count ||
            account->keyword_count == KEYWORDS_MAX) {
            (void)sqlite3_reset(statement);
            return ERR_CORRUPT;
        }
        keep_keyword(account, sql_text(statement, 1));
    }
}

enum err account_keywords(
    struct account *account, struct arena *arena, struct slice **out_names, size_t *out_count)
{
    pthread_mutex_lock(&account->lock);
    size_t count = account->keyword_count;
    struct slice *names = arena_zalloc(arena, count + 1, sizeof *names);
    bool fits = names != NULL;
    for (size_t i = 0; fits && i < count; i++) {
        names[i] = slice_dup(arena, account->keywords[i]);
        fits = names[i].ptr != NULL;
    }
    pthread_mutex_unlock(&account->lock);
    if (!fits)
        return ERR_LIMIT;
    *out_names = names;
    *out_count = count;
    return ERR_OK;
}

static enum err keyword_bit(
    struct store_tx *tx, struct slice name, uint64_t *out_bit, bool *out_full)
{
    struct account *account = tx->account;
    for (size_t i = 0; i < account->keyword_count; i++)
        if (slice_eq_nocase(account->keywords[i], name)) {
            *out_bit = 1ull << (STORE_KEYWORD_BIT_FIRST + i);
            return ERR_OK;
        }
    *out_bit = 0;
    if (account->keyword_count == KEYWORDS_MAX || name.len > KEYWORD_BYTES_MAX) {
        *out_full = true;
        return ERR_OK;
    }
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_KEYWORD_INSERT, &statement));
    (void)sqlite3_bind_int64(statement, 1, (int64_t)account->keyword_count);
    sql_bind_text(statement, 2, name);
    TRY(sql_done(&account->sql, statement));
    tx->keywords_added = true;
    *out_bit = 1ull << (STORE_KEYWORD_BIT_FIRST + account->keyword_count);
    keep_keyword(account, name);
    return ERR_OK;
}

enum err tx_flag_bits(
    struct store_tx *tx, const struct store_flags *flags, uint64_t *out_bits, bool *out_full)
{
    uint64_t bits = flags->system & STORE_SYSTEM_FLAGS;
    for (size_t i = 0; i < flags->keyword_count; i++) {
        uint64_t bit;
        TRY(keyword_bit(tx, flags->keywords[i], &bit, out_full));
        bits |= bit;
    }
    *out_bits = bits;
    return ERR_OK;
}
