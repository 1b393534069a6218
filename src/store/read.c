/* Committed rows, and handles on bodies.
 *
 * A damaged page must not hide the messages beside the one it holds: where a set of rows ends with ERR_CORRUPT, the row behind it is read with less, and
 * the set goes on after it. */
#include "store/account.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "store/xxh3.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_ROWS_MAX     10000
#define READ_BYTES_MAX    (4u << 20)
#define CHECK_PIECE_BYTES (128u << 10)

struct reading {
    const struct store_read_args *args;
    struct arena *arena;
    enum sql sql;
    size_t rows_max, bytes_max, bytes, cap;
    struct store_rows rows;
};

static bool wanted(const struct store_read_args *args, uint64_t flags, uint64_t modseq)
{
    return (flags & args->flags_all) == args->flags_all && (flags & args->flags_none) == 0 &&
           modseq > args->modseq_above;
}

static enum err keep(struct reading *r, sqlite3_stmt *statement, int column, struct slice *out)
{
    *out = slice_dup(r->arena, sql_bytes(statement, column));
    r->bytes += out->len;
    return out->ptr ? ERR_OK : ERR_LIMIT;
}

/* Room for one more; NULL: over the limit. */
static struct store_row *next_row(struct reading *r)
{
    if (r->rows.count == r->cap) {
        void *grown =
            arena_grow(r->arena, r->rows.at, &r->cap, r->rows.count + 1, sizeof *r->rows.at);
        if (!grown)
            return NULL;
        r->rows.at = grown;
    }
    return &r->rows.at[r->rows.count];
}

static enum err read_row(struct reading *r, sqlite3_stmt *statement)
{
    uint64_t flags = (uint64_t)sqlite3_column_int64(statement, 1);
    uint64_t modseq = (uint64_t)sqlite3_column_int64(statement, 2);
    if (!wanted(r->args, flags, modseq))
        return ERR_OK;
    struct store_row *row = next_row(r);
    if (!row)
        return ERR_LIMIT;
    *row = (struct store_row){
        .uid = (uint32_t)sqlite3_column_int64(statement, 0), .flags = flags, .modseq = modseq
    };
    if (r->sql != SQL_ENTRIES) {
        row->email = sqlite3_column_int64(statement, 3);
        struct slice guid = sql_bytes(statement, 4);
        if (guid.len != GUID_BYTES)
            return ERR_CORRUPT;
        memcpy(row->guid, guid.ptr, GUID_BYTES);
        row->size = (uint64_t)sqlite3_column_int64(statement, 5);
        row->received_s = sqlite3_column_int64(statement, 6);
        row->received_tz_min = (int32_t)sqlite3_column_int64(statement, 7);
    }
    if (r->sql == SQL_ENTRIES_SUMMARY || r->sql == SQL_ENTRIES_FILTER ||
        (r->sql == SQL_ENTRIES_BODY && r->args->need & STORE_NEED_SUMMARY))
        TRY(keep(r, statement, 8, &row->summary));
    if (r->sql == SQL_ENTRIES_FILTER)
        TRY(keep(r, statement, 9, &row->filter));
    if (r->sql == SQL_ENTRIES_BODY && sqlite3_column_type(statement, 9) != SQLITE_NULL)
        TRY(keep(r, statement, 9, &row->body));
    r->rows.count++;
    return ERR_OK;
}

/* *out_full: enough was read. *out_next: what comes before it is done with. */
static enum err read_rows(struct reading *r, struct account *account, struct uid_run range,
    bool *out_full, uint32_t *out_next)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, r->sql, &statement));
    (void)sqlite3_bind_int64(statement, 1, r->args->mailbox);
    (void)sqlite3_bind_int64(statement, 2, range.first);
    (void)sqlite3_bind_int64(statement, 3, range.last);
    if (r->sql != SQL_ENTRIES) {
        (void)sqlite3_bind_int64(statement, 4, (int64_t)r->args->flags_all);
        (void)sqlite3_bind_int64(statement, 5, (int64_t)r->args->flags_none);
        (void)sqlite3_bind_int64(statement, 6, (int64_t)r->args->modseq_above);
    }
    if (r->sql == SQL_ENTRIES_BODY)
        (void)sqlite3_bind_int(statement, 7, r->args->need & STORE_NEED_SUMMARY ? 1 : 0);
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        enum err e = ERR_OK;
        uint32_t uid = (uint32_t)sqlite3_column_int64(statement, 0);
        *out_full = r->rows.count >= r->rows_max || r->bytes >= r->bytes_max;
        if (*out_full)
            r->rows.next_uid = uid;
        else
            e = read_row(r, statement);
        if (*out_full || e != ERR_OK) {
            (void)sqlite3_reset(statement);
            return e;
        }
        *out_next = uid + 1;
    }
}

/* The first row from *next on, with as much as can be read of it. */
static enum err read_damaged(
    struct reading *r, struct account *account, uint32_t last, uint32_t *next)
{
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_get(&account->sql, SQL_ENTRIES, &statement));
    (void)sqlite3_bind_int64(statement, 1, r->args->mailbox);
    (void)sqlite3_bind_int64(statement, 2, *next);
    (void)sqlite3_bind_int64(statement, 3, last);
    bool is_wanted = false;
    struct uid_run one = { 0, 0 };
    while (!is_wanted) { /* those that were not asked for cannot be what is damaged */
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_CORRUPT;
        one.first = one.last = (uint32_t)sqlite3_column_int64(statement, 0);
        is_wanted = wanted(r->args, (uint64_t)sqlite3_column_int64(statement, 1),
            (uint64_t)sqlite3_column_int64(statement, 2));
    }
    (void)sqlite3_reset(statement);
    enum sql asked = r->sql;
    static const enum sql less[] = { SQL_ENTRIES_SUMMARY, SQL_ENTRIES_EMAIL };
    bool full = false, read = false;
    for (size_t i = 0; i < sizeof less / sizeof less[0] && !read; i++) {
        uint32_t after;
        r->sql = less[i];
        enum err e = read_rows(r, account, one, &full, &after);
        read = e == ERR_OK;
        if (e != ERR_OK && e != ERR_CORRUPT)
            return e;
    }
    r->sql = asked;
    r->rows.damaged |= !read;
    *next = one.last + 1;
    return ERR_OK;
}

static enum err read_range(
    struct reading *r, struct account *account, struct uid_run range, bool *out_full)
{
    for (;;) {
        enum err e = read_rows(r, account, range, out_full, &range.first);
        if (e != ERR_CORRUPT || r->sql == SQL_ENTRIES)
            return e;
        TRY(read_damaged(r, account, range.last, &range.first));
        if (range.first > range.last || range.first == 0)
            return ERR_OK;
    }
}

static enum err read_all(struct reading *r, struct account *account)
{
    static const struct uid_run everything = { 1, UINT32_MAX };
    const struct uidset *uids = r->args->uids;
    const struct uid_run *runs = uids ? uids->runs : &everything;
    size_t count = uids ? uids->count : 1;
    bool full = false;
    for (size_t i = 0; i < count && !full; i++) {
        struct uid_run range = runs[i];
        if (range.last < r->args->from_uid)
            continue;
        if (range.first < r->args->from_uid)
            range.first = r->args->from_uid;
        if (r->rows.count >= r->rows_max || r->bytes >= r->bytes_max) {
            r->rows.next_uid = range.first;
            return ERR_OK;
        }
        TRY(read_range(r, account, range, &full));
    }
    return ERR_OK;
}

enum err account_read_held(struct account *account, const struct store_read_args *args,
    struct arena *arena, struct store_rows *out_rows)
{
    unsigned need = args->need;
    if (need & STORE_NEED_FILTER && account->schema_version < STORE_SCHEMA_FILTERS)
        need = STORE_NEED_SUMMARY;
    struct reading r = { .args = args,
        .arena = arena,
        .sql = need & STORE_NEED_BODY      ? SQL_ENTRIES_BODY
               : need & STORE_NEED_FILTER  ? SQL_ENTRIES_FILTER
               : need & STORE_NEED_SUMMARY ? SQL_ENTRIES_SUMMARY
               : need & STORE_NEED_EMAIL   ? SQL_ENTRIES_EMAIL
                                           : SQL_ENTRIES,
        .rows_max = args->rows_max ? args->rows_max : READ_ROWS_MAX,
        .bytes_max = args->bytes_max ? args->bytes_max : READ_BYTES_MAX };
    TRY(read_all(&r, account));
    *out_rows = r.rows;
    return ERR_OK;
}

/* Rows out of what is kept, when nothing but flags is asked for. */
static enum err read_kept(struct reading *r, const struct flag_list *list)
{
    static const struct uid_run everything = { 1, UINT32_MAX };
    const struct uidset *uids = r->args->uids;
    const struct uid_run *runs = uids ? uids->runs : &everything;
    size_t count = uids ? uids->count : 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t first = runs[i].first > r->args->from_uid ? runs[i].first : r->args->from_uid;
        size_t at = flag_list_at(list, first);
        for (const struct flag_row *kept; (kept = flag_list_next(list, runs[i], &at));) {
            if (!wanted(r->args, kept->flags, kept->modseq))
                continue;
            if (r->rows.count >= r->rows_max) {
                r->rows.next_uid = kept->uid;
                return ERR_OK;
            }
            struct store_row *row = next_row(r);
            if (!row)
                return ERR_LIMIT;
            *row = (struct store_row){
                .uid = kept->uid, .flags = kept->flags, .modseq = kept->modseq
            };
            r->rows.count++;
        }
    }
    return ERR_OK;
}

static enum err read_flags(struct account *account, const struct store_read_args *args,
    struct arena *arena, struct store_rows *out_rows)
{
    const struct flag_list *list;
    struct reading r = {
        .args = args, .arena = arena, .rows_max = args->rows_max ? args->rows_max : READ_ROWS_MAX
    };
    TRY(account_flag_list(account, args->mailbox, args->uids, &list));
    if (!list)
        return account_read_held(account, args, arena, out_rows);
    TRY(read_kept(&r, list));
    *out_rows = r.rows;
    return ERR_OK;
}

enum err account_read(struct account *account, const struct store_read_args *args,
    struct arena *arena, struct store_rows *out_rows)
{
    pthread_mutex_lock(&account->lock);
    enum err e = args->need ? account_read_held(account, args, arena, out_rows)
                            : read_flags(account, args, arena, out_rows);
    pthread_mutex_unlock(&account->lock);
    return e;
}

/* ---- bodies ---- */

struct store_body {
    uint64_t size;
    char *bytes; /* owned; NULL for a file */
    int fd;      /* owned; -1 for bytes */
};

static enum err open_big(
    struct account *account, struct slice guid, uint64_t size, struct store_body *body)
{
    struct buf path;
    buf_init(&path, 0);
    buf_adds(&path, "big/");
    hex_encode(&path, guid);
    buf_addc(&path, 0);
    body->fd = openat(account->folder_fd, buf_slice(&path).ptr, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int problem = errno;
    buf_done(&path);
    if (body->fd < 0)
        return problem == ENOENT ? ERR_CORRUPT : err_from_errno(problem);
    struct stat about;
    if (fstat(body->fd, &about) != 0)
        return ERR_IO;
    return (uint64_t)about.st_size == size ? ERR_OK : ERR_CORRUPT;
}

static enum err read_file(void *source_arg, uint64_t offset, size_t len, struct buf *out)
{
    const struct store_body *body = source_arg;
    char *room = buf_room(out, len);
    if (!room)
        return ERR_LIMIT;
    for (size_t have = 0; have < len;) {
        ssize_t got = pread(body->fd, room + have, len - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_from_errno(errno);
        if (got == 0)
            return ERR_CORRUPT;
        have += (size_t)got;
    }
    buf_wrote(out, len);
    return ERR_OK;
}

struct found_body {
    struct store_body *body;
    uint64_t checksum; /* of a file that is still to be checked */
    bool check;
};

static enum err find_body(struct account *account, int64_t email, struct found_body *found)
{
    struct store_body *body = found->body;
    sqlite3_stmt *statement, *rows;
    bool row;
    TRY(sql_get(&account->sql, SQL_BODY, &rows));
    (void)sqlite3_bind_int64(rows, 1, email);
    TRY(sql_step(&account->sql, rows, &row));
    if (row) {
        struct slice bytes = sql_bytes(rows, 0);
        body->bytes = mem_strndup(bytes.ptr, bytes.len);
        body->size = bytes.len;
        (void)sqlite3_reset(rows);
        return ERR_OK;
    }
    TRY(sql_get(&account->sql, SQL_EMAIL, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    TRY(sql_step(&account->sql, statement, &row));
    if (!row)
        return ERR_NOT_FOUND;
    body->size = (uint64_t)sqlite3_column_int64(statement, 1);
    found->checksum = (uint64_t)sqlite3_column_int64(statement, 2);
    found->check = email > UINT32_MAX || !uidset_has(&account->whole, (uint32_t)email);
    enum err e = open_big(account, sql_bytes(statement, 0), body->size, body);
    (void)sqlite3_reset(statement);
    return e;
}

/* Once, when its first piece is wanted: nothing later could take back bytes that are not those that came. */
static enum err check_big(struct account *account, int64_t email, const struct found_body *found)
{
    struct buf piece;
    XXH3_state_t *hash = XXH3_createState();
    assert(hash);
    (void)XXH3_64bits_reset(hash);
    buf_init(&piece, 0);
    enum err e = ERR_OK;
    for (uint64_t at = 0; at < found->body->size && e == ERR_OK; at += CHECK_PIECE_BYTES) {
        uint64_t left = found->body->size - at;
        buf_clear(&piece);
        e = read_file(
            found->body, at, (size_t)(left < CHECK_PIECE_BYTES ? left : CHECK_PIECE_BYTES), &piece);
        (void)XXH3_64bits_update(hash, buf_slice(&piece).ptr, buf_len(&piece));
    }
    if (e == ERR_OK && XXH3_64bits_digest(hash) != found->checksum)
        e = ERR_CORRUPT;
    (void)XXH3_freeState(hash);
    buf_done(&piece);
    TRY(e);
    pthread_mutex_lock(&account->lock);
    if (account->whole.count >= WHOLE_RUNS_MAX)
        uidset_clear(&account->whole);
    if (email <= UINT32_MAX)
        uidset_add(&account->whole, (uint32_t)email);
    pthread_mutex_unlock(&account->lock);
    return ERR_OK;
}

static struct found_body nothing_found(void)
{
    struct found_body found = { .body = mem_zalloc(1, sizeof *found.body) };
    found.body->fd = -1;
    return found;
}

enum err account_find_body(struct account *account, int64_t email, struct store_body **out_body)
{
    struct found_body found = nothing_found();
    enum err e = find_body(account, email, &found);
    if (e == ERR_OK)
        *out_body = found.body;
    else
        store_body_close(found.body);
    return e;
}

enum err account_body(struct account *account, int64_t email, struct store_body **out_body)
{
    struct found_body found = nothing_found();
    pthread_mutex_lock(&account->lock);
    enum err e = find_body(account, email, &found);
    pthread_mutex_unlock(&account->lock);
    if (e == ERR_OK && found.check)
        e = check_big(account, email, &found);
    if (e != ERR_OK) {
        store_body_close(found.body);
        return e;
    }
    *out_body = found.body;
    return ERR_OK;
}

struct msg_source store_body_source(struct store_body *body)
{
    if (body->bytes)
        return msg_source_memory(slice_from(body->bytes, body->size));
    return (struct msg_source){ .size = body->size, .read = read_file, .source_arg = body };
}

void store_body_close(struct store_body *body)
{
    if (!body)
        return;
    if (body->fd >= 0)
        close(body->fd);
    free(body->bytes);
    free(body);
}
