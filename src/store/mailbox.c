/* Mailboxes: names, listing, create, delete, rename, subscribe.
 *
 * Always true: a UIDVALIDITY is given once in an account's life, growing, so that a name that comes back never names old messages (S-5). */
#include "store/account.h"

#include "base/utf8.h"

#include <assert.h>
#include <string.h>

/* ---- names ---- */

/* INBOX in any case, alone or as the first level, is INBOX (RFC 3501 §5.1). out has MAILBOX_NAME_BYTES_MAX bytes. */
static enum err name_canonical(struct slice name, char *out, struct slice *out_name)
{
    if (name.len == 0)
        return ERR_SYNTAX;
    if (name.len > MAILBOX_NAME_BYTES_MAX)
        return ERR_LIMIT;
    if (!utf8_valid(name))
        return ERR_SYNTAX;
    size_t levels = 1;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = slice_at(name, i);
        bool edge = i == 0 || i + 1 == name.len || name.ptr[i - 1] == '/';
        if (c < 0x20 || c == 0x7f || (c == '/' && edge))
            return ERR_SYNTAX;
        levels += c == '/';
    }
    if (levels > MAILBOX_LEVELS_MAX)
        return ERR_LIMIT;
    memcpy(out, name.ptr, name.len);
    size_t first = slice_index(name, '/');
    if (slice_eq_nocase(slice_sub(name, 0, first), SLICE("INBOX")))
        memcpy(out, "INBOX", 5);
    *out_name = slice_from(out, name.len);
    return ERR_OK;
}

static bool is_inbox(struct slice name)
{
    return slice_eq(name, SLICE("INBOX"));
}

/* ---- rows ---- */

void mailbox_row_read(sqlite3_stmt *statement, struct mailbox_row *out_row)
{
    *out_row = (struct mailbox_row){ .id = sqlite3_column_int64(statement, 0),
        .name = sql_text(statement, 1),
        .use = (enum store_special_use)sqlite3_column_int(statement, 2),
        .noselect = sqlite3_column_int(statement, 3) != 0,
        .uidvalidity = (uint32_t)sqlite3_column_int64(statement, 4),
        .uidnext = (uint32_t)sqlite3_column_int64(statement, 5),
        .modseq = (uint64_t)sqlite3_column_int64(statement, 6),
        .messages = (uint64_t)sqlite3_column_int64(statement, 7),
        .unseen = (uint64_t)sqlite3_column_int64(statement, 8),
        .deleted = (uint64_t)sqlite3_column_int64(statement, 9),
        .bytes = (uint64_t)sqlite3_column_int64(statement, 10),
        .recent = (uint32_t)sqlite3_column_int64(statement, 11),
        .gone_floor = (uint64_t)sqlite3_column_int64(statement, 12),
        .subscribed = sqlite3_column_int(statement, 13) != 0 };
}

/* The row of a statement that gives at most one; the name is not kept. */
static enum err only_row(
    struct account *account, sqlite3_stmt *statement, struct mailbox_row *out_row)
{
    bool row;
    TRY(sql_step(&account->sql, statement, &row));
    if (!row)
        return ERR_NOT_FOUND;
    mailbox_row_read(statement, out_row);
    out_row->name = SLICE_EMPTY;
    (void)sqlite3_reset(statement);
    return ERR_OK;
}

enum err mailbox_row_by_id(struct account *account, int64_t id, struct mailbox_row *out_row)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_MAILBOX_BY_ID, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    return only_row(account, statement, out_row);
}

enum err mailbox_row_selectable(struct account *account, int64_t id, struct mailbox_row *out_row)
{
    struct mailbox_row row;
    TRY(mailbox_row_by_id(account, id, &row));
    if (row.noselect)
        return ERR_NOT_FOUND;
    *out_row = row;
    return ERR_OK;
}

/* name is canonical. */
static enum err row_by_name(struct account *account, struct slice name, struct mailbox_row *out_row)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_MAILBOX_BY_NAME, &statement));
    sql_bind_text(statement, 1, name);
    return only_row(account, statement, out_row);
}

static enum err has_children(struct account *account, struct slice name, bool *out_has)
{
    sqlite3_stmt *statement;
    int64_t number = 0;
    TRY(sql_get(&account->sql, SQL_MAILBOX_CHILD, &statement));
    sql_bind_text(statement, 1, name);
    TRY(sql_number(&account->sql, statement, &number, NULL));
    *out_has = number != 0;
    return ERR_OK;
}

/* ---- reading ---- */

static enum err fill(const struct mailbox_row *row, struct arena *arena, struct mailbox *out)
{
    *out = (struct mailbox){ .id = row->id,
        .name = slice_dup(arena, row->name),
        .uidvalidity = row->uidvalidity,
        .uidnext = row->uidnext,
        .modseq_max = row->modseq,
        .messages = row->messages,
        .unseen = row->unseen,
        .deleted = row->deleted,
        .bytes = row->bytes,
        .use = row->use,
        .subscribed = row->subscribed,
        .noselect = row->noselect,
        .exists = row->id != 0 };
    return out->name.ptr ? ERR_OK : ERR_LIMIT;
}

static uint64_t members_from(const struct uidset *uids, uint32_t from)
{
    uint64_t count = 0;
    for (size_t i = uids->count; i > 0 && uids->runs[i - 1].last >= from; i--) {
        uint32_t first = uids->runs[i - 1].first;
        count += (uint64_t)uids->runs[i - 1].last - (first > from ? first : from) + 1;
    }
    return count;
}

static enum err count_recent(struct account *account, int64_t mailbox, uint64_t *out_count)
{
    const struct mailbox_state *state =
        map_get(&account->mailboxes, slice_from(&mailbox, sizeof mailbox));
    if (state) {
        *out_count = members_from(&state->uids, state->recent);
        return ERR_OK;
    }
    struct mailbox_row row;
    sqlite3_stmt *statement;
    int64_t count = 0;
    TRY(mailbox_row_by_id(account, mailbox, &row));
    *out_count = row.recent <= 1 ? row.messages : 0;
    if (row.recent <= 1 || row.messages == 0 || row.recent >= row.uidnext)
        return ERR_OK;
    TRY(sql_get(&account->sql, SQL_UIDS_FROM_COUNT, &statement));
    (void)sqlite3_bind_int64(statement, 1, row.id);
    (void)sqlite3_bind_int64(statement, 2, row.recent);
    TRY(sql_number(&account->sql, statement, &count, NULL));
    *out_count = (uint64_t)count;
    return ERR_OK;
}

enum err account_recent(struct account *account, int64_t mailbox, uint64_t *out_count)
{
    pthread_mutex_lock(&account->lock);
    enum err e = count_recent(account, mailbox, out_count);
    pthread_mutex_unlock(&account->lock);
    return e;
}

static enum err list(
    struct account *account, struct arena *arena, struct mailbox **out_list, size_t *out_count)
{
    sqlite3_stmt *statement;
    struct mailbox *at = NULL;
    size_t count = 0, cap = 0;
    TRY(sql_get(&account->sql, SQL_MAILBOXES, &statement));
    for (;;) {
        bool found;
        TRY(sql_step(&account->sql, statement, &found));
        if (!found)
            break;
        struct mailbox_row row;
        mailbox_row_read(statement, &row);
        void *grown = arena_grow(arena, at, &cap, count + 1, sizeof *at);
        at = grown ? grown : at;
        enum err e = grown ? fill(&row, arena, &at[count]) : ERR_LIMIT;
        if (e != ERR_OK) {
            (void)sqlite3_reset(statement);
            return e;
        }
        count++;
    }
    /* Children stand behind their parent: INBOX's own are not next to it, it stands first. */
    for (size_t i = 0; i < count; i++) {
        size_t next = i + 1;
        if (is_inbox(at[i].name)) {
            TRY(has_children(account, at[i].name, &at[i].has_children));
            continue;
        }
        at[i].has_children = next < count && at[next].name.len > at[i].name.len + 1 &&
                             slice_starts(at[next].name, at[i].name) &&
                             at[next].name.ptr[at[i].name.len] == '/';
        if (at[i].has_children && !at[next].exists)
            TRY(has_children(account, at[i].name, &at[i].has_children));
    }
    *out_list = at;
    *out_count = count;
    return ERR_OK;
}

enum err account_mailboxes(
    struct account *account, struct arena *arena, struct mailbox **out_list, size_t *out_count)
{
    pthread_mutex_lock(&account->lock);
    enum err e = list(account, arena, out_list, out_count);
    pthread_mutex_unlock(&account->lock);
    return e;
}

/* Steps a bound statement of at most one mailbox. */
static enum err one(
    struct account *account, sqlite3_stmt *statement, struct arena *arena, struct mailbox *out)
{
    bool found;
    TRY(sql_step(&account->sql, statement, &found));
    if (!found)
        return ERR_NOT_FOUND;
    struct mailbox_row row;
    struct mailbox box;
    mailbox_row_read(statement, &row);
    enum err e = fill(&row, arena, &box);
    (void)sqlite3_reset(statement);
    if (e == ERR_OK)
        e = has_children(account, box.name, &box.has_children);
    if (e == ERR_OK)
        *out = box;
    return e;
}

enum err account_mailbox(
    struct account *account, struct slice name, struct arena *arena, struct mailbox *out_mailbox)
{
    char room[MAILBOX_NAME_BYTES_MAX];
    struct slice canonical;
    if (name_canonical(name, room, &canonical) != ERR_OK)
        return ERR_NOT_FOUND; /* no mailbox can have such a name */
    sqlite3_stmt *statement;
    pthread_mutex_lock(&account->lock);
    enum err e = sql_get(&account->sql, SQL_MAILBOX_BY_NAME, &statement);
    if (e == ERR_OK) {
        sql_bind_text(statement, 1, canonical);
        e = one(account, statement, arena, out_mailbox);
    }
    pthread_mutex_unlock(&account->lock);
    return e;
}

static enum err mailbox_by_number(struct account *account, enum sql sql, int64_t number,
    struct arena *arena, struct mailbox *out_mailbox)
{
    sqlite3_stmt *statement;
    pthread_mutex_lock(&account->lock);
    enum err e = sql_get(&account->sql, sql, &statement);
    if (e == ERR_OK) {
        (void)sqlite3_bind_int64(statement, 1, number);
        e = one(account, statement, arena, out_mailbox);
    }
    pthread_mutex_unlock(&account->lock);
    return e;
}

enum err account_mailbox_by_id(
    struct account *account, int64_t id, struct arena *arena, struct mailbox *out_mailbox)
{
    return mailbox_by_number(account, SQL_MAILBOX_BY_ID, id, arena, out_mailbox);
}

enum err account_mailbox_by_use(struct account *account, enum store_special_use use,
    struct arena *arena, struct mailbox *out_mailbox)
{
    return mailbox_by_number(account, SQL_MAILBOX_BY_USE, (int64_t)use, arena, out_mailbox);
}

enum err account_usage(struct account *account, struct account_usage *out_usage)
{
    pthread_mutex_lock(&account->lock);
    *out_usage = (struct account_usage){ account->usage_bytes, account->usage_messages };
    pthread_mutex_unlock(&account->lock);
    return ERR_OK;
}

/* ---- create ---- */

static enum err new_uidvalidity(struct store_tx *tx, int64_t *out_uidvalidity)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_ACCOUNT_UIDVALIDITY_SET, &statement));
    (void)sqlite3_bind_int64(statement, 1, tx->now_s);
    return sql_number(&tx->account->sql, statement, out_uidvalidity, NULL);
}

static enum err insert(
    struct store_tx *tx, struct slice name, enum store_special_use use, int64_t *out_id)
{
    struct account *account = tx->account;
    int64_t uidvalidity = 0;
    TRY(new_uidvalidity(tx, &uidvalidity));
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_MAILBOX_INSERT, &statement));
    sql_bind_text(statement, 1, name);
    (void)sqlite3_bind_int(statement, 2, (int)use);
    (void)sqlite3_bind_int64(statement, 3, uidvalidity);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)tx_modseq(tx));
    TRY(sql_number(&account->sql, statement, out_id, NULL));
    (void)tx_change(tx, STORE_CHANGE_MAILBOX, *out_id);
    return ERR_OK;
}

/* The mailbox, a \Noselect name made real (under a new id: who still holds the old one finds nothing), or ERR_EXISTS. */
static enum err create_level(
    struct store_tx *tx, struct slice name, enum store_special_use use, int64_t *out_id)
{
    struct mailbox_row row;
    enum err e = row_by_name(tx->account, name, &row);
    if (e == ERR_NOT_FOUND)
        return insert(tx, name, use, out_id);
    TRY(e);
    if (!row.noselect)
        return ERR_EXISTS;
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_MAILBOX_DELETE, &statement));
    (void)sqlite3_bind_int64(statement, 1, row.id);
    TRY(sql_done(&tx->account->sql, statement));
    return insert(tx, name, use, out_id);
}

static enum err check_count(struct store_tx *tx)
{
    sqlite3_stmt *statement;
    int64_t count = 0;
    TRY(sql_get(&tx->account->sql, SQL_MAILBOX_COUNT, &statement));
    TRY(sql_number(&tx->account->sql, statement, &count, NULL));
    return count >= MAILBOXES_MAX ? ERR_LIMIT : ERR_OK;
}

/* Superior names that are not there are made too (RFC 3501 §6.3.3). */
static enum err create_parents(struct store_tx *tx, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] != '/')
            continue;
        struct mailbox_row row;
        int64_t id;
        enum err e = row_by_name(tx->account, slice_sub(name, 0, i), &row);
        if (e == ERR_NOT_FOUND) {
            TRY(check_count(tx));
            e = insert(tx, slice_sub(name, 0, i), STORE_USE_NONE, &id);
        }
        TRY(e);
    }
    return ERR_OK;
}

static enum err subscribe(struct store_tx *tx, struct slice name, bool subscribed)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, subscribed ? SQL_SUBSCRIPTION_ADD : SQL_SUBSCRIPTION_REMOVE,
        &statement));
    sql_bind_text(statement, 1, name);
    return sql_done(&tx->account->sql, statement);
}

enum err mailbox_first_ones(struct store_tx *tx, void *unused)
{
    (void)unused;
    static const struct {
        struct slice name;
        enum store_special_use use;
    } first[] = {
        { SLICE_CONST("INBOX"), STORE_USE_NONE },
        { SLICE_CONST("Drafts"), STORE_USE_DRAFTS },
        { SLICE_CONST("Sent"), STORE_USE_SENT },
        { SLICE_CONST("Archive"), STORE_USE_ARCHIVE },
        { SLICE_CONST("Junk"), STORE_USE_JUNK },
        { SLICE_CONST("Trash"), STORE_USE_TRASH },
    };
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        int64_t id;
        TRY(insert(tx, first[i].name, first[i].use, &id));
        TRY(subscribe(tx, first[i].name, true));
    }
    return ERR_OK;
}

struct name_write {
    struct slice name, to; /* canonical */
    enum store_special_use use;
    bool subscribed;
    int64_t id;
};

static enum err create_write(struct store_tx *tx, void *write_arg)
{
    struct name_write *w = write_arg;
    TRY(check_count(tx));
    TRY(create_parents(tx, w->name));
    return create_level(tx, w->name, w->use, &w->id);
}

enum err mailbox_create(
    struct account *account, struct slice name, enum store_special_use use, int64_t *out_id)
{
    char room[MAILBOX_NAME_BYTES_MAX];
    struct name_write w = { .use = use };
    TRY(name_canonical(name, room, &w.name));
    TRY(account_write(account, create_write, &w));
    if (out_id)
        *out_id = w.id;
    return ERR_OK;
}

/* ---- delete ---- */

static enum err keep_modseq(struct store_tx *tx)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_ACCOUNT_MODSEQ_SET, &statement));
    (void)sqlite3_bind_int64(statement, 1, (int64_t)tx_modseq(tx));
    return sql_done(&tx->account->sql, statement);
}

static enum err delete_row(struct store_tx *tx, int64_t id, bool children)
{
    struct account *account = tx->account;
    sqlite3_stmt *statement;
    int64_t uidvalidity = 0;
    if (children)
        TRY(new_uidvalidity(tx, &uidvalidity));
    TRY(sql_get(&account->sql, SQL_GONE_DELETE, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    TRY(sql_done(&account->sql, statement));
    TRY(sql_get(&account->sql, children ? SQL_MAILBOX_NOSELECT : SQL_MAILBOX_DELETE, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    if (children) {
        (void)sqlite3_bind_int64(statement, 2, uidvalidity);
        (void)sqlite3_bind_int64(statement, 3, (int64_t)tx_modseq(tx));
    }
    return sql_done(&account->sql, statement);
}

static enum err delete_write(struct store_tx *tx, void *write_arg)
{
    struct name_write *w = write_arg;
    struct mailbox_row row;
    TRY(row_by_name(tx->account, w->name, &row));
    bool children;
    TRY(has_children(tx->account, w->name, &children));
    if (is_inbox(w->name) || (row.noselect && children)) /* RFC 3501 §6.3.4 */
        return ERR_DENIED;
    struct uidset gone;
    uidset_init(&gone);
    enum err e = tx_expunge(tx, &(struct tx_expunge){ .mailbox = row.id }, &gone);
    uidset_done(&gone);
    TRY(e);
    TRY(delete_row(tx, row.id, children));
    TRY(keep_modseq(tx)); /* the mailbox that held the highest may be the one that goes (S-5) */
    (void)tx_change(tx, STORE_CHANGE_MAILBOX, row.id);
    return ERR_OK;
}

enum err mailbox_delete(struct account *account, struct slice name)
{
    char room[MAILBOX_NAME_BYTES_MAX];
    struct name_write w = { 0 };
    if (name_canonical(name, room, &w.name) != ERR_OK)
        return ERR_NOT_FOUND;
    return account_write(account, delete_write, &w);
}

/* ---- rename ---- */

static enum err rename_one(struct store_tx *tx, int64_t id, struct slice to)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_MAILBOX_RENAME, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    sql_bind_text(statement, 2, to);
    TRY(sql_done(&tx->account->sql, statement));
    (void)tx_modseq(tx);
    (void)tx_change(tx, STORE_CHANGE_MAILBOX, id);
    return ERR_OK;
}

/* to + what follows from in name. ERR_LIMIT when a child's name grows too long or too deep. */
static enum err moved_name(
    const struct name_write *w, struct slice name, struct arena *arena, struct slice *out)
{
    struct slice rest = slice_from_index(name, w->name.len);
    char *room = arena_alloc(arena, w->to.len + rest.len + 1);
    char check[MAILBOX_NAME_BYTES_MAX];
    struct slice canonical;
    if (!room)
        return ERR_LIMIT;
    memcpy(room, w->to.ptr, w->to.len);
    memcpy(room + w->to.len, rest.ptr, rest.len);
    *out = slice_from(room, w->to.len + rest.len);
    return name_canonical(*out, check, &canonical);
}

struct tree_item {
    int64_t id;
    struct slice from, to;
};

/* All below w->name; collected first, a table is not changed while it is walked. */
static enum err tree(struct store_tx *tx, const struct name_write *w, enum sql sql,
    struct arena *arena, struct tree_item **out_items, size_t *out_count)
{
    sqlite3_stmt *statement;
    struct tree_item *items = NULL;
    size_t count = 0, cap = 0;
    int text_column = sql == SQL_MAILBOX_TREE ? 1 : 0;
    TRY(sql_get(&tx->account->sql, sql, &statement));
    sql_bind_text(statement, 1, w->name);
    for (;;) {
        bool row;
        TRY(sql_step(&tx->account->sql, statement, &row));
        if (!row)
            break;
        struct tree_item *grown = arena_grow(arena, items, &cap, count + 1, sizeof *items);
        enum err e = grown ? ERR_OK : ERR_LIMIT;
        if (grown) {
            items = grown;
            items[count].id = text_column ? sqlite3_column_int64(statement, 0) : 0;
            items[count].from = slice_dup(arena, sql_text(statement, text_column));
            e = items[count].from.ptr ? moved_name(w, items[count].from, arena, &items[count].to)
                                      : ERR_LIMIT;
        }
        if (e != ERR_OK) {
            (void)sqlite3_reset(statement);
            return e;
        }
        count++;
    }
    *out_items = items;
    *out_count = count;
    return ERR_OK;
}

static enum err rename_subscription(struct store_tx *tx, struct slice from, struct slice to)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_SUBSCRIPTION_RENAME, &statement));
    sql_bind_text(statement, 1, from);
    sql_bind_text(statement, 2, to);
    return sql_done(&tx->account->sql, statement);
}

static enum err rename_tree(
    struct store_tx *tx, const struct name_write *w, int64_t id, struct arena *arena)
{
    struct tree_item *items;
    size_t count;
    TRY(tree(tx, w, SQL_MAILBOX_TREE, arena, &items, &count));
    TRY(rename_one(tx, id, w->to));
    TRY(rename_subscription(tx, w->name, w->to));
    for (size_t i = 0; i < count; i++)
        TRY(rename_one(tx, items[i].id, items[i].to));
    TRY(tree(tx, w, SQL_SUBSCRIPTION_TREE, arena, &items, &count));
    for (size_t i = 0; i < count; i++)
        TRY(rename_subscription(tx, items[i].from, items[i].to));
    return ERR_OK;
}

/* INBOX keeps its name, its UIDVALIDITY and its children; the messages go (RFC 3501 §6.3.5). */
static enum err rename_inbox(struct store_tx *tx, const struct name_write *w, int64_t inbox)
{
    int64_t to = 0;
    TRY(insert(tx, w->to, STORE_USE_NONE, &to));
    struct uidset everything;
    uidset_init(&everything);
    uidset_add_run(&everything, 1, UINT32_MAX);
    struct store_copy_result moved = { 0 };
    uidset_init(&moved.source);
    uidset_init(&moved.target);
    const struct store_copy_args args = {
        .from = inbox, .to = to, .uids = &everything, .move = true
    };
    enum err e = tx_copy(tx, &args, &moved);
    uidset_done(&moved.source);
    uidset_done(&moved.target);
    uidset_done(&everything);
    return e;
}

static enum err rename_write(struct store_tx *tx, void *write_arg)
{
    const struct name_write *w = write_arg;
    struct mailbox_row from, to;
    TRY(row_by_name(tx->account, w->name, &from));
    enum err e = row_by_name(tx->account, w->to, &to);
    if (e == ERR_OK)
        return ERR_EXISTS;
    if (e != ERR_NOT_FOUND)
        return e;
    if (!is_inbox(w->name) && slice_starts(w->to, w->name) && w->to.ptr[w->name.len] == '/')
        return ERR_DENIED; /* below itself */
    TRY(create_parents(tx, w->to));
    if (is_inbox(w->name))
        return rename_inbox(tx, w, from.id);
    struct arena arena;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    e = rename_tree(tx, w, from.id, &arena);
    arena_done(&arena);
    return e;
}

enum err mailbox_rename(struct account *account, struct slice from, struct slice to)
{
    char room_from[MAILBOX_NAME_BYTES_MAX], room_to[MAILBOX_NAME_BYTES_MAX];
    struct name_write w = { 0 };
    if (name_canonical(from, room_from, &w.name) != ERR_OK)
        return ERR_NOT_FOUND;
    TRY(name_canonical(to, room_to, &w.to));
    return account_write(account, rename_write, &w);
}

/* ---- subscribe ---- */

static enum err subscribe_write(struct store_tx *tx, void *write_arg)
{
    const struct name_write *w = write_arg;
    sqlite3_stmt *statement;
    int64_t count = 0;
    TRY(subscribe(tx, w->name, w->subscribed));
    TRY(sql_get(&tx->account->sql, SQL_SUBSCRIPTION_COUNT, &statement));
    TRY(sql_number(&tx->account->sql, statement, &count, NULL));
    if (w->subscribed && count > MAILBOXES_MAX)
        return ERR_LIMIT; /* names need not exist, and a list has all of them */
    (void)tx_modseq(tx);
    struct mailbox_row row;
    if (row_by_name(tx->account, w->name, &row) == ERR_OK)
        (void)tx_change(tx, STORE_CHANGE_MAILBOX, row.id);
    return ERR_OK;
}

enum err mailbox_subscribe(struct account *account, struct slice name, bool subscribed)
{
    char room[MAILBOX_NAME_BYTES_MAX];
    struct name_write w = { .subscribed = subscribed };
    TRY(name_canonical(name, room, &w.name));
    return account_write(account, subscribe_write, &w);
}
