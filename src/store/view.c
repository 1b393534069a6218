/* What an IMAP session's client knows of a mailbox, brought up to date from what the account remembers: runs of UIDs and the latest flag
 * changes. Only a view that is far behind makes the mailbox be scanned. */
#include "store/account.h"

#include <string.h>

/* Those from state->recent on are \Recent to the one who asks; with claim nobody else is told. */
static void take_recent(
    struct mailbox_state *state, const struct uidset *among, bool claim, struct uidset *recent)
{
    if (state->recent < state->uidnext) {
        struct uidset fresh;
        uidset_init(&fresh);
        uidset_add_run(&fresh, state->recent, UINT32_MAX);
        uidset_intersect(&fresh, among);
        uidset_union(recent, &fresh);
        uidset_done(&fresh);
    }
    if (claim && state->recent < state->uidnext) {
        state->recent = state->uidnext;
        state->recent_dirty = true;
    }
}

enum err store_view_open(
    struct account *account, int64_t mailbox, bool claim_recent, struct store_view *out_view)
{
    pthread_mutex_lock(&account->lock);
    struct mailbox_state *state;
    enum err e = account_mailbox_state(account, mailbox, &state);
    if (e == ERR_OK && !state)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK) {
        *out_view = (struct store_view){ .mailbox = mailbox,
            .uidvalidity = state->uidvalidity,
            .uidnext = state->uidnext,
            .modseq = state->modseq,
            .gone_modseq = state->modseq };
        uidset_init(&out_view->uids);
        uidset_init(&out_view->recent);
        uidset_copy(&out_view->uids, &state->uids);
        take_recent(state, &state->uids, claim_recent, &out_view->recent);
    }
    pthread_mutex_unlock(&account->lock);
    return e;
}

enum err account_uids(struct account *account, int64_t mailbox, struct uidset *out_uids)
{
    pthread_mutex_lock(&account->lock);
    struct mailbox_state *state;
    enum err e = account_mailbox_state(account, mailbox, &state);
    if (e == ERR_OK && state)
        uidset_copy(out_uids, &state->uids);
    else if (e == ERR_OK)
        uidset_clear(out_uids);
    pthread_mutex_unlock(&account->lock);
    return e;
}

static enum err first_unseen(struct account *account, int64_t mailbox, uint32_t *out_uid)
{
    struct mailbox_state *state;
    TRY(account_mailbox_state(account, mailbox, &state));
    if (!state)
        return ERR_NOT_FOUND;
    sqlite3_stmt *statement;
    int64_t uid = 0;
    bool found;
    TRY(sql_get(&account->sql, SQL_UID_UNSEEN, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, state->seen_below);
    TRY(sql_number(&account->sql, statement, &uid, &found));
    state->seen_below = found ? (uint32_t)uid : state->uidnext;
    *out_uid = (uint32_t)uid;
    return ERR_OK;
}

enum err account_first_unseen(struct account *account, int64_t mailbox, uint32_t *out_uid)
{
    pthread_mutex_lock(&account->lock);
    enum err e = first_unseen(account, mailbox, out_uid);
    pthread_mutex_unlock(&account->lock);
    return e;
}

void store_view_done(struct store_view *view)
{
    uidset_done(&view->uids);
    uidset_done(&view->recent);
}

void store_view_changes_done(struct store_view_changes *changes)
{
    uidset_done(&changes->vanished);
    uidset_done(&changes->added);
}

/* ---- changed flags: ERR_LIMIT when they are more than STORE_CHANGED_MAX ---- */

struct changed_rows {
    struct arena *arena;
    struct store_row *at;
    size_t count, cap;
};

static enum err keep_row(struct changed_rows *rows, const struct store_row *row)
{
    if (rows->count == STORE_CHANGED_MAX)
        return ERR_LIMIT;
    if (rows->count == rows->cap) {
        void *grown =
            arena_grow(rows->arena, rows->at, &rows->cap, rows->count + 1, sizeof *rows->at);
        if (!grown)
            return ERR_LIMIT;
        rows->at = grown;
    }
    rows->at[rows->count++] = *row;
    return ERR_OK;
}

/* Rows of one statement that are in known and changed after modseq. */
static enum err read_changed(struct account *account, sqlite3_stmt *statement,
    const struct uidset *known, uint64_t modseq, struct changed_rows *rows)
{
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        if ((uint64_t)sqlite3_column_int64(statement, 2) <= modseq ||
            !uidset_has(known, (uint32_t)sqlite3_column_int64(statement, 0)))
            continue;
        enum err e =
            keep_row(rows, &(struct store_row){ .uid = (uint32_t)sqlite3_column_int64(statement, 0),
                               .flags = (uint64_t)sqlite3_column_int64(statement, 1),
                               .modseq = (uint64_t)sqlite3_column_int64(statement, 2) });
        if (e != ERR_OK) {
            (void)sqlite3_reset(statement);
            return e;
        }
    }
}

static enum err scan_changed(struct account *account, const struct store_view *view,
    const struct uidset *known, struct changed_rows *rows)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_ENTRIES_CHANGED, &statement));
    (void)sqlite3_bind_int64(statement, 1, view->mailbox);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)view->modseq);
    return read_changed(account, statement, known, view->modseq, rows);
}

/* Those of the uids that changed after modseq, out of what is kept. */
static enum err kept_changed(const struct flag_list *list, const struct uidset *uids,
    uint64_t modseq, struct changed_rows *rows)
{
    for (size_t i = 0; i < uids->count; i++) {
        size_t at = flag_list_at(list, uids->runs[i].first);
        for (const struct flag_row *row; (row = flag_list_next(list, uids->runs[i], &at));)
            if (row->modseq > modseq)
                TRY(keep_row(
                    rows, &(struct store_row){
                              .uid = row->uid, .flags = row->flags, .modseq = row->modseq }));
    }
    return ERR_OK;
}

static enum err read_these(struct account *account, const struct store_view *view,
    const struct uidset *uids, struct changed_rows *rows)
{
    const struct flag_list *list;
    TRY(account_flag_list(account, view->mailbox, uids, &list));
    if (list)
        return kept_changed(list, uids, view->modseq, rows);
    for (size_t i = 0; i < uids->count; i++) {
        sqlite3_stmt *statement;
        TRY(sql_get(&account->sql, SQL_ENTRIES, &statement));
        (void)sqlite3_bind_int64(statement, 1, view->mailbox);
        (void)sqlite3_bind_int64(statement, 2, uids->runs[i].first);
        (void)sqlite3_bind_int64(statement, 3, uids->runs[i].last);
        TRY(read_changed(account, statement, uids, view->modseq, rows));
    }
    return ERR_OK;
}

static enum err find_changed(struct account *account, const struct store_view *view,
    const struct uidset *known, struct changed_rows *rows)
{
    if (view->modseq < account->changes_floor)
        return scan_changed(account, view, known, rows);
    struct uidset uids;
    uidset_init(&uids);
    for (size_t i = 0; i < CHANGES_KEPT; i++)
        if (account->changes[i].mailbox == view->mailbox &&
            account->changes[i].modseq > view->modseq)
            uidset_union(&uids, &account->changes[i].uids);
    uidset_intersect(&uids, known);
    enum err e = uidset_empty(&uids) ? ERR_OK : read_these(account, view, &uids, rows);
    uidset_done(&uids);
    return e;
}

/* ---- bringing up to date ---- */

static enum err update(struct account *account, struct store_view *view, bool expunges,
    bool claim_recent, struct arena *arena, struct store_view_changes *out)
{
    struct mailbox_state *state;
    TRY(account_mailbox_state(account, view->mailbox, &state));
    if (!state || state->uidvalidity != view->uidvalidity) {
        out->mailbox_gone = true;
        return ERR_OK;
    }
    if (view->modseq == state->modseq && view->gone_modseq == state->modseq)
        return ERR_OK;
    struct changed_rows rows = { .arena = arena };
    if (view->modseq != state->modseq) {
        enum err e = find_changed(account, view, &view->uids, &rows);
        if (e == ERR_LIMIT) {
            rows.count = 0;
            out->changed_many = true;
            out->changed_above = view->modseq;
            e = ERR_OK;
        }
        TRY(e);
        if (view->uidnext < state->uidnext) {
            uidset_add_run(&out->added, view->uidnext, UINT32_MAX);
            uidset_intersect(&out->added, &state->uids);
        }
    }
    out->changed = rows.at;
    out->changed_count = rows.count;
    if (expunges && view->gone_modseq != state->modseq) {
        uidset_copy(&out->vanished, &view->uids);
        uidset_subtract(&out->vanished, &state->uids);
        uidset_subtract(&view->uids, &out->vanished);
        uidset_subtract(&view->recent, &out->vanished);
        view->gone_modseq = state->modseq;
    }
    uidset_union(&view->uids, &out->added);
    take_recent(state, &out->added, claim_recent, &view->recent);
    view->uidnext = state->uidnext;
    view->modseq = state->modseq;
    return ERR_OK;
}

enum err store_view_update(struct account *account, struct store_view *view, bool expunges,
    bool claim_recent, struct arena *arena, struct store_view_changes *out_changes)
{
    struct store_view_changes changes = { 0 };
    uidset_init(&changes.vanished);
    uidset_init(&changes.added);
    pthread_mutex_lock(&account->lock);
    enum err e = update(account, view, expunges, claim_recent, arena, &changes);
    pthread_mutex_unlock(&account->lock);
    if (e == ERR_OK)
        *out_changes = changes;
    else
        store_view_changes_done(&changes);
    return e;
}

/* ---- QRESYNC ---- */

static enum err vanished(
    struct account *account, int64_t mailbox, uint64_t modseq_above, struct uidset *out_uids)
{
    struct mailbox_row row;
    struct mailbox_state *state;
    TRY(mailbox_row_selectable(account, mailbox, &row));
    TRY(account_mailbox_state(account, mailbox, &state));
    if (!state)
        return ERR_NOT_FOUND;
    if (modseq_above < row.gone_floor) { /* history is short: all that is not there */
        if (state->uidnext > 1)
            uidset_add_run(out_uids, 1, state->uidnext - 1);
        uidset_subtract(out_uids, &state->uids);
        return ERR_OK;
    }
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_GONE, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)modseq_above);
    for (;;) {
        bool found;
        TRY(sql_step(&account->sql, statement, &found));
        if (!found)
            return ERR_OK;
        uidset_add_run(out_uids, (uint32_t)sqlite3_column_int64(statement, 0),
            (uint32_t)sqlite3_column_int64(statement, 1));
    }
}

enum err account_vanished(
    struct account *account, int64_t mailbox, uint64_t modseq_above, struct uidset *out_uids)
{
    struct uidset uids;
    uidset_init(&uids);
    pthread_mutex_lock(&account->lock);
    enum err e = vanished(account, mailbox, modseq_above, &uids);
    pthread_mutex_unlock(&account->lock);
    if (e == ERR_OK)
        uidset_swap(out_uids, &uids);
    uidset_done(&uids);
    return e;
}
