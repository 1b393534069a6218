/* Downloads: which messages a device has taken, and which it is not to see again.
 *
 * Always true: a row of download names an email that is there; what a program removed is hidden from it, or gone, in the transaction that says so. */
#include "store/account.h"

#include "base/arena.h"
#include "message/summary.h"

#include <stdlib.h>
#include <string.h>

/* ---- what there is ---- */

struct downloads {
    struct store_download *at; /* owned */
    size_t count, cap;
};

/* The first 48 bits (guid_new). */
static int64_t filed_ms(const struct store_entry *entry)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | entry->guid[i];
    return ms;
}

static void add_wanted(struct downloads *all, const struct store_download_view *view,
    int64_t mailbox, const struct entry_list *list)
{
    if (all->count + list->count > all->cap) {
        all->cap = all->count + list->count;
        all->at = mem_realloc(all->at, all->cap * sizeof *all->at);
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct store_entry *entry = &list->at[i];
        if ((view->filed_from_ms == 0 || filed_ms(entry) >= view->filed_from_ms) &&
            (view->received_from_s == 0 || entry->received_s >= view->received_from_s))
            all->at[all->count++] = (struct store_download){
                .entry = *entry, .mailbox = mailbox, .surrogate_bytes = MSG_SURROGATE_UNKNOWN
            };
    }
}

static int by_email(const void *a, const void *b)
{
    const struct store_download *one = a, *two = b;
    if (one->entry.email != two->entry.email)
        return one->entry.email < two->entry.email ? -1 : 1;
    return one->mailbox < two->mailbox ? -1 : one->mailbox > two->mailbox;
}

/* In the order they came, each once. */
static void put_in_order(struct downloads *all)
{
    bool sorted = true;
    for (size_t i = 1; i < all->count && sorted; i++)
        sorted = all->at[i - 1].entry.email < all->at[i].entry.email;
    if (sorted)
        return;
    qsort(all->at, all->count, sizeof *all->at, by_email);
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++)
        if (kept == 0 || all->at[kept - 1].entry.email != all->at[i].entry.email)
            all->at[kept++] = all->at[i];
    all->count = kept;
}

static enum err read_all(struct account *account, const struct store_download_view *view,
    struct downloads *all, bool *out_damaged)
{
    *out_damaged = false;
    for (size_t i = 0; i < view->mailbox_count; i++) {
        const struct entry_list *list;
        bool damaged;
        enum err e = account_entries(account, view->mailboxes[i], &list, &damaged);
        if (e == ERR_NOT_FOUND)
            continue;
        TRY(e);
        add_wanted(all, view, view->mailboxes[i], list);
        account_entries_release(account, view->mailboxes[i], damaged);
        *out_damaged |= damaged;
    }
    put_in_order(all);
    return ERR_OK;
}

/* Goes through the rows of a statement that names emails in ascending order; keeps of all those that it names, or those that it does not. */
typedef bool row_counts_fn(const struct store_download_view *view, sqlite3_stmt *row);

static enum err sift(struct account *account, const struct store_download_view *view,
    sqlite3_stmt *statement, row_counts_fn *counts, bool keep_named, struct downloads *all)
{
    size_t at = 0, kept = 0;
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            break;
        int64_t email = sqlite3_column_int64(statement, 0);
        if (counts && !counts(view, statement))
            continue;
        for (; at < all->count && all->at[at].entry.email < email; at++)
            if (!keep_named)
                all->at[kept++] = all->at[at];
        if (at < all->count && all->at[at].entry.email == email) {
            if (keep_named)
                all->at[kept++] = all->at[at];
            at++;
        }
    }
    for (; at < all->count && !keep_named; at++)
        all->at[kept++] = all->at[at];
    all->count = kept;
    return ERR_OK;
}

static bool is_out_of_sight(const struct store_download_view *view, sqlite3_stmt *row)
{
    return sqlite3_column_int(row, 2) || (view->without_taken && sqlite3_column_int64(row, 1));
}

/* A copy of an older schema has no downloads. */
static enum err take_hidden_out(
    struct account *account, const struct store_download_view *view, struct downloads *all)
{
    sqlite3_stmt *statement;
    if (account->schema_version < STORE_SCHEMA_DOWNLOADS)
        return ERR_OK;
    TRY(sql_get(&account->sql, SQL_DOWNLOADS, &statement));
    (void)sqlite3_bind_int64(statement, 1, view->device);
    (void)sqlite3_bind_int64(statement, 2, STORE_DEVICE_ALL);
    return sift(account, view, statement, is_out_of_sight, false, all);
}

/* Which headers are not ASCII. In the order of emails, as all is. */
static enum err mark_utf8(struct account *account, struct downloads *all)
{
    sqlite3_stmt *statement;
    size_t at = 0;
    TRY(sql_get(&account->sql, SQL_SUMMARIES_UTF8, &statement));
    for (;;) {
        bool row;
        enum err e = sql_step(&account->sql, statement, &row);
        for (; e == ERR_CORRUPT && at < all->count;
             at++) /* nobody can tell of the rest; it is looked at when it is sent */
            all->at[at].may_need_utf8 = true;
        if (e != ERR_OK || !row)
            return e == ERR_CORRUPT ? ERR_OK : e;
        int64_t email = sqlite3_column_int64(statement, 0);
        while (at < all->count && all->at[at].entry.email < email)
            at++;
        if (at == all->count || all->at[at].entry.email != email)
            continue;
        struct msg_summary summary;
        struct msg_facts facts = { .surrogate_bytes = MSG_SURROGATE_UNKNOWN };
        if (msg_summary_open(sql_bytes(statement, 1), &summary) == ERR_OK)
            msg_facts(&summary, &facts);
        all->at[at].may_need_utf8 = true;
        all->at[at].surrogate_bytes = facts.surrogate_bytes;
    }
}

/* What other servers called them, for whoever asks. In the order of emails, as all is. */
static enum err add_uidls(
    struct account *account, const struct store_download_view *view, struct downloads *all)
{
    sqlite3_stmt *statement;
    size_t at = 0;
    if (!view->uidls || account->schema_version < STORE_SCHEMA_UIDLS)
        return ERR_OK;
    TRY(sql_get(&account->sql, SQL_UIDLS, &statement));
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        int64_t email = sqlite3_column_int64(statement, 0);
        while (at < all->count && all->at[at].entry.email < email)
            at++;
        if (at == all->count || all->at[at].entry.email != email)
            continue;
        struct slice uidl = sql_text(statement, 1);
        all->at[at].uidl_at = (uint32_t)buf_len(view->uidls);
        all->at[at].uidl_len = (uint32_t)uidl.len;
        buf_add(view->uidls, uidl);
    }
}

static void leave_newest(const struct store_download_view *view, struct downloads *all)
{
    if (!view->newest || all->count <= view->newest)
        return;
    memmove(all->at, all->at + (all->count - view->newest), view->newest * sizeof *all->at);
    all->count = view->newest;
}

static enum err downloads(struct account *account, const struct store_download_view *view,
    struct downloads *all, bool *out_damaged)
{
    TRY(read_all(account, view, all, out_damaged));
    leave_newest(view, all); /* before: what was taken would make room for ever older ones */
    TRY(take_hidden_out(account, view, all));
    TRY(mark_utf8(account, all));
    return add_uidls(account, view, all);
}

static enum err give(
    enum err e, struct downloads *all, struct store_download **out_list, size_t *out_count)
{
    if (e == ERR_OK) {
        *out_list = all->at;
        *out_count = all->count;
    } else {
        free(all->at);
    }
    return e;
}

enum err account_downloads(struct account *account, const struct store_download_view *view,
    struct store_download **out_list, size_t *out_count, bool *out_damaged)
{
    struct downloads all = { 0 };
    pthread_mutex_lock(&account->lock);
    enum err e = downloads(account, view, &all, out_damaged);
    pthread_mutex_unlock(&account->lock);
    return give(e, &all, out_list, out_count);
}

/* Mostly nothing is due, and no list is made to find that out. */
static enum err any_due(struct account *account, int64_t device, int64_t before_s, bool *out_any)
{
    sqlite3_stmt *statement;
    int64_t any = 0;
    TRY(sql_get(&account->sql, SQL_DOWNLOADS_DUE_ANY, &statement));
    (void)sqlite3_bind_int64(statement, 1, device);
    (void)sqlite3_bind_int64(statement, 2, before_s);
    TRY(sql_number(&account->sql, statement, &any, NULL));
    *out_any = any != 0;
    return ERR_OK;
}

static enum err downloads_due(struct account *account, const struct store_download_view *view,
    int64_t before_s, struct downloads *all)
{
    bool damaged, any;
    sqlite3_stmt *statement;
    TRY(any_due(account, view->device, before_s, &any));
    if (!any)
        return ERR_OK;
    TRY(read_all(account, view, all, &damaged));
    TRY(take_hidden_out(account, view, all)); /* also what was hidden from all */
    TRY(sql_get(&account->sql, SQL_DOWNLOADS_DUE, &statement));
    (void)sqlite3_bind_int64(statement, 1, view->device);
    (void)sqlite3_bind_int64(statement, 2, before_s);
    return sift(account, view, statement, NULL, true, all);
}

enum err account_downloads_due(struct account *account, const struct store_download_view *view,
    int64_t before_s, struct store_download **out_list, size_t *out_count)
{
    struct downloads all = { 0 };
    struct store_download_view whatever = *view;
    whatever.without_taken = false;
    whatever.received_from_s = 0; /* what has left the window was promised to go all the same */
    whatever.filed_from_ms = 0;
    pthread_mutex_lock(&account->lock);
    enum err e = account->schema_version < STORE_SCHEMA_DOWNLOADS
                     ? ERR_OK
                     : downloads_due(account, &whatever, before_s, &all);
    pthread_mutex_unlock(&account->lock);
    return give(e, &all, out_list, out_count);
}

static enum err first_taken(struct account *account, int64_t device, int64_t *out_s)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_DOWNLOADS_FIRST, &statement));
    (void)sqlite3_bind_int64(statement, 1, device);
    return sql_number(&account->sql, statement, out_s, NULL);
}

enum err account_first_taken(struct account *account, int64_t device, int64_t *out_s)
{
    int64_t first_s = INT64_MAX;
    pthread_mutex_lock(&account->lock);
    enum err e = account->schema_version < STORE_SCHEMA_DOWNLOADS
                     ? ERR_OK
                     : first_taken(account, device, &first_s);
    pthread_mutex_unlock(&account->lock);
    if (e == ERR_OK)
        *out_s = first_s;
    return e;
}

/* ---- what has been taken ---- */

static enum err taken(
    struct account *account, struct arena *arena, struct store_taken **out_list, size_t *out_count)
{
    sqlite3_stmt *statement;
    size_t cap = 0;
    TRY(sql_get(&account->sql, SQL_DOWNLOADS_TAKEN, &statement));
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        if (*out_count == cap) {
            void *grown = arena_grow(arena, *out_list, &cap, *out_count + 1, sizeof **out_list);
            if (!grown) {
                (void)sqlite3_reset(statement);
                return ERR_LIMIT;
            }
            *out_list = grown;
        }
        (*out_list)[(*out_count)++] =
            (struct store_taken){ .device = sqlite3_column_int64(statement, 0),
                .messages = (uint64_t)sqlite3_column_int64(statement, 1) };
    }
}

enum err account_taken(
    struct account *account, struct arena *arena, struct store_taken **out_list, size_t *out_count)
{
    struct store_taken *list = NULL;
    size_t count = 0;
    pthread_mutex_lock(&account->lock);
    enum err e = account->schema_version < STORE_SCHEMA_DOWNLOADS
                     ? ERR_OK
                     : taken(account, arena, &list, &count);
    pthread_mutex_unlock(&account->lock);
    if (e == ERR_OK) {
        *out_list = list;
        *out_count = count;
    }
    return e;
}

/* ---- what becomes of it ---- */

struct end_write {
    const struct store_download_end *args;
    size_t removed;
};

/* The messages of one mailbox. */
struct of_mailbox {
    struct uidset seen, removed;
    size_t removed_count;
};

static enum err mark(
    struct store_tx *tx, enum sql sql, int64_t email, int64_t device, int64_t now_s)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, sql, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    (void)sqlite3_bind_int64(statement, 2, device);
    if (sql == SQL_DOWNLOAD_TAKEN)
        (void)sqlite3_bind_int64(statement, 3, now_s);
    return sql_done(&tx->account->sql, statement);
}

/* Whether the entry is there still, and read. */
static enum err look(
    struct store_tx *tx, const struct store_downloaded *one, bool *out_there, bool *out_seen)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_ENTRIES_COPY, &statement));
    (void)sqlite3_bind_int64(statement, 1, one->mailbox);
    (void)sqlite3_bind_int64(statement, 2, one->uid);
    (void)sqlite3_bind_int64(statement, 3, one->uid);
    TRY(sql_step(&tx->account->sql, statement, out_there));
    *out_seen = *out_there && sqlite3_column_int64(statement, 1) & STORE_SEEN;
    *out_there = *out_there && sqlite3_column_int64(statement, 2) == one->email;
    (void)sqlite3_reset(statement);
    return ERR_OK;
}

static enum err judge(struct store_tx *tx, const struct store_download_end *args,
    const struct store_downloaded *one, struct of_mailbox *of)
{
    bool there, seen;
    if (!one->taken && !one->seen && !one->removed && !one->may_go)
        return ERR_OK;
    TRY(look(tx, one, &there, &seen));
    bool removed = one->removed || (one->may_go && (seen || !args->unread_stays));
    if (one->taken)
        TRY(mark(tx, SQL_DOWNLOAD_TAKEN, one->email, args->device, tx->now_s));
    if (removed) /* also what another session has moved away meanwhile */
        TRY(mark(tx, SQL_DOWNLOAD_HIDE, one->email, args->hide_from, tx->now_s));
    if (removed && there) {
        uidset_add(&of->removed, one->uid);
        of->removed_count++;
    }
    if (one->seen && there)
        uidset_add(&of->seen, one->uid);
    return ERR_OK;
}

static enum err see(struct store_tx *tx, int64_t mailbox, const struct uidset *uids)
{
    struct store_flags_result result = { 0 };
    uidset_init(&result.done);
    uidset_init(&result.modified);
    enum err e = tx_flags(tx,
        &(struct store_flags_args){ .mailbox = mailbox,
            .uids = uids,
            .how = STORE_FLAGS_ADD,
            .flags = { .system = STORE_SEEN } },
        &result);
    uidset_done(&result.done);
    uidset_done(&result.modified);
    return e;
}

static enum err expunge(struct store_tx *tx, int64_t mailbox, const struct uidset *uids)
{
    struct uidset gone;
    uidset_init(&gone);
    enum err e = tx_expunge(tx, &(struct tx_expunge){ .mailbox = mailbox, .uids = uids }, &gone);
    uidset_done(&gone);
    return e;
}

static enum err move(struct store_tx *tx, int64_t from, int64_t to, const struct uidset *uids)
{
    struct store_copy_result result = { 0 };
    uidset_init(&result.source);
    uidset_init(&result.target);
    enum err e = tx_copy(tx,
        &(struct store_copy_args){ .from = from, .to = to, .uids = uids, .move = true }, &result);
    uidset_done(&result.source);
    uidset_done(&result.target);
    return e;
}

static enum err act(
    struct store_tx *tx, struct end_write *w, int64_t mailbox, const struct of_mailbox *of)
{
    const struct store_download_end *args = w->args;
    if (!uidset_empty(&of->seen))
        TRY(see(tx, mailbox, &of->seen));
    w->removed += of->removed_count;
    if (of->removed_count == 0 || args->removal == STORE_REMOVE_HIDE)
        return ERR_OK;
    if (args->removal == STORE_REMOVE_EXPUNGE)
        return expunge(tx, mailbox, &of->removed);
    if (args->to != mailbox)
        return move(tx, mailbox, args->to, &of->removed);
    return args->expunge_there ? expunge(tx, mailbox, &of->removed) : ERR_OK;
}

/* count of them, all of one mailbox. */
static enum err end_mailbox(struct store_tx *tx, struct end_write *w,
    const struct store_downloaded *const *ones, size_t count)
{
    struct of_mailbox of = { .removed_count = 0 };
    struct mailbox_row row;
    enum err e = mailbox_row_selectable(tx->account, ones[0]->mailbox, &row);
    bool gone = e == ERR_NOT_FOUND; /* its messages may lie elsewhere now */
    if (e != ERR_OK && !gone)
        return e;
    e = ERR_OK;
    uidset_init(&of.seen);
    uidset_init(&of.removed);
    for (size_t i = 0; i < count && e == ERR_OK; i++)
        e = judge(tx, w->args, ones[i], &of);
    if (e == ERR_OK && !gone)
        e = act(tx, w, ones[0]->mailbox, &of);
    uidset_done(&of.seen);
    uidset_done(&of.removed);
    return e;
}

static int by_mailbox(const void *a, const void *b)
{
    const struct store_downloaded *const *one = a, *const *two = b;
    if ((*one)->mailbox != (*two)->mailbox)
        return (*one)->mailbox < (*two)->mailbox ? -1 : 1;
    return (*one)->uid < (*two)->uid ? -1 : (*one)->uid > (*two)->uid;
}

static enum err end_write(struct store_tx *tx, void *write_arg)
{
    struct end_write *w = write_arg;
    size_t count = w->args->count;
    const struct store_downloaded **sorted = mem_alloc(count * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &w->args->at[i];
    qsort(sorted, count, sizeof *sorted, by_mailbox);
    enum err e = ERR_OK;
    for (size_t from = 0, to = 0; from < count && e == ERR_OK; from = to) {
        while (to < count && sorted[to]->mailbox == sorted[from]->mailbox)
            to++;
        e = end_mailbox(tx, w, sorted + from, to - from);
    }
    free(sorted);
    return e;
}

enum err account_download_end(
    struct account *account, const struct store_download_end *args, size_t *out_removed)
{
    struct end_write w = { .args = args };
    enum err e = account_write(account, end_write, &w);
    *out_removed = e == ERR_OK ? w.removed : 0;
    return e;
}
