/* The messages of an account: their bytes, what was derived from them, and files that nothing names. */
#include "store/fsck_int.h"

#include "base/encode.h"
#include "message/filter.h"
#include "message/text.h"
#include "store/xxh3.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 10)

struct bytes_seen {
    XXH3_state_t *hash;
    struct msg_scan *scan;
};

static void see(struct bytes_seen *seen, struct slice piece)
{
    (void)XXH3_64bits_update(seen->hash, piece.ptr, piece.len);
    msg_scan_feed(seen->scan, piece);
}

static enum err see_big(
    struct check *c, const struct slice guid, uint64_t size, struct bytes_seen *seen)
{
    struct buf path, piece;
    buf_init(&path, 0);
    buf_init(&piece, 0);
    buf_adds(&path, "big/");
    hex_encode(&path, guid);
    buf_addc(&path, 0);
    int fd = openat(c->account->folder_fd, buf_slice(&path).ptr, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    buf_done(&path);
    struct stat about;
    enum err e =
        fd < 0 || fstat(fd, &about) != 0 || (uint64_t)about.st_size != size ? ERR_CORRUPT : ERR_OK;
    ssize_t got = 1;
    while (e == ERR_OK && got > 0) {
        char *room = buf_room(&piece, PIECE_BYTES);
        got = read(fd, room, PIECE_BYTES);
        if (got > 0)
            see(seen, slice_from(room, (size_t)got));
    }
    if (got < 0)
        e = ERR_CORRUPT;
    if (fd >= 0)
        close(fd);
    buf_done(&piece);
    return e;
}

static void xxh3_sql(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const void *bytes = sqlite3_value_blob(values[0]);
    size_t len = (size_t)sqlite3_value_bytes(values[0]);
    sqlite3_result_int64(context, (int64_t)XXH3_64bits(bytes ? bytes : "", len));
}

/* Where rows may be lost, a file that nothing names may be the bytes of one: it gets a row. */
static enum err adopt_file(struct check *c, const char *name, struct slice guid)
{
    struct stat about;
    if (fstatat(c->account->folder_fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return err_from_errno(errno);
    struct bytes_seen seen = { .hash = XXH3_createState(), .scan = msg_scan_new() };
    assert(seen.hash);
    (void)XXH3_64bits_reset(seen.hash);
    enum err e = see_big(c, guid, (uint64_t)about.st_size, &seen);
    sqlite3_stmt *insert = NULL;
    if (e == ERR_OK)
        e = sql_prepare(&c->account->sql,
            "INSERT INTO email SELECT max(?4, (SELECT ifnull(max(id), 0) FROM email)) + 1, 0, ?1,"
            " CAST(strftime('%s') AS INTEGER), 0, ?2, ?3 RETURNING id",
            &insert);
    if (e == ERR_OK) {
        (void)sqlite3_bind_int64(insert, 4, c->account->last_email); /* S-10 */
        (void)sqlite3_bind_int64(insert, 1, (int64_t)about.st_size);
        (void)sqlite3_bind_int64(insert, 2, (int64_t)XXH3_64bits_digest(seen.hash));
        sql_bind_bytes(insert, 3, guid);
        e = sql_number(&c->account->sql, insert, &c->account->last_email, NULL);
        fsck_found(c, e == ERR_OK, "%s belongs to nothing", name);
    }
    (void)sqlite3_finalize(insert);
    msg_scan_free(seen.scan);
    (void)XXH3_freeState(seen.hash);
    return e;
}

static enum err on_big_file(void *check_arg, const char *name, struct slice guid)
{
    enum err e = adopt_file(check_arg, name, guid);
    if (e != ERR_CORRUPT && e != ERR_IO)
        return e;
    fsck_found(check_arg, false, "%s belongs to nothing and cannot be read", name);
    return ERR_OK;
}

/* One row of: id, size, checksum, guid, bytes or NULL, summary or NULL. */
static enum err check_message(struct check *c, sqlite3_stmt *row)
{
    int64_t id = sqlite3_column_int64(row, 0);
    uint64_t size = (uint64_t)sqlite3_column_int64(row, 1);
    struct bytes_seen seen = { .hash = XXH3_createState(), .scan = msg_scan_new() };
    assert(seen.hash);
    (void)XXH3_64bits_reset(seen.hash);
    enum err bytes = ERR_OK;
    if (sqlite3_column_type(row, 4) == SQLITE_NULL)
        bytes = see_big(c, sql_bytes(row, 3), size, &seen);
    else if ((uint64_t)sqlite3_column_bytes(row, 4) == size)
        see(&seen, sql_bytes(row, 4));
    else
        bytes = ERR_CORRUPT;
    struct buf summary;
    buf_init(&summary, 0);
    enum err e = msg_scan_finish(seen.scan, &summary);
    if (bytes != ERR_OK)
        fsck_found(c, false, "the bytes of message %lld are missing or cut", (long long)id);
    else if ((int64_t)XXH3_64bits_digest(seen.hash) != sqlite3_column_int64(row, 2))
        fsck_found(c, false, "the bytes of message %lld are not those that came", (long long)id);
    if (e == ERR_OK && bytes == ERR_OK && !slice_eq(buf_slice(&summary), sql_bytes(row, 5))) {
        c->derived_changed++;
        if (c->repair) {
            sqlite3_stmt *set;
            e = sql_get(&c->account->sql, SQL_SUMMARY_KEEP, &set);
            if (e == ERR_OK) {
                (void)sqlite3_bind_int64(set, 1, id);
                sql_bind_bytes(set, 2, buf_slice(&summary));
                e = sql_done(&c->account->sql, set);
            }
        }
        if (!msg_summary_is_older(sql_bytes(row, 5))) /* what an upgrade left is no damage */
            fsck_found(c, c->repair && e == ERR_OK,
                "the summary of message %lld is missing or not that of its bytes", (long long)id);
    }
    buf_done(&summary);
    msg_scan_free(seen.scan);
    (void)XXH3_freeState(seen.hash);
    return e;
}

static enum err filter_fits(
    struct check *c, int64_t email, struct slice summary, struct slice filter, bool *out_fits)
{
    struct msg_summary opened;
    struct store_body *body = NULL;
    struct buf right;
    buf_init(&right, 0);
    bool found;
    enum err e = msg_summary_open(summary, &opened);
    if (e == ERR_OK)
        e = account_find_body(c->account, email, &body);
    if (e == ERR_OK) {
        struct msg_source source = store_body_source(body);
        e = msg_text_contains(&opened, &source, SLICE_EMPTY, true, &right, &found);
    }
    *out_fits = e == ERR_CORRUPT || slice_eq(buf_slice(&right), filter); /* what is told already */
    store_body_close(body);
    buf_done(&right);
    return e == ERR_CORRUPT ? ERR_OK : e;
}

/* One row of: email, filter, summary. What an upgrade left is no damage. */
static enum err check_filter(struct check *c, sqlite3_stmt *row)
{
    int64_t email = sqlite3_column_int64(row, 0);
    struct slice filter = sql_bytes(row, 1);
    bool older = filter.len && filter.ptr[0] != MSG_FILTER_VERSION, fits = false;
    if (!older)
        TRY(filter_fits(c, email, sql_bytes(row, 2), filter, &fits));
    if (fits)
        return ERR_OK;
    c->derived_changed++;
    enum err e = ERR_OK;
    sqlite3_stmt *remove; /* the next search makes it anew */
    if (c->repair)
        e = sql_get(&c->account->sql, SQL_FILTER_DELETE, &remove);
    if (c->repair && e == ERR_OK) {
        (void)sqlite3_bind_int64(remove, 1, email);
        e = sql_done(&c->account->sql, remove);
    }
    if (!older)
        fsck_found(c, c->repair && e == ERR_OK,
            "the filter of message %lld is not that of its text", (long long)email);
    return e;
}

typedef enum err check_row_fn(struct check *c, sqlite3_stmt *row);

/* One by one: a repair changes what is walked. sql gives the first row, in order of its first column, with that above ?1. */
static enum err walk(struct check *c, const char *sql, check_row_fn *check_row)
{
    sqlite3_stmt *statement;
    TRY(sql_prepare(&c->account->sql, sql, &statement));
    enum err e = ERR_OK;
    bool row = true;
    for (int64_t after = 0; e == ERR_OK && row;) {
        (void)sqlite3_bind_int64(statement, 1, after);
        e = sql_step(&c->account->sql, statement, &row);
        if (e == ERR_OK && row) {
            after = sqlite3_column_int64(statement, 0);
            e = check_row(c, statement);
            sql_reset(statement);
        }
    }
    (void)sqlite3_finalize(statement);
    return e;
}

enum err fsck_messages(struct check *c)
{
    return walk(c,
        "SELECT m.id, m.size, m.checksum, m.guid, b.bytes, s.bytes FROM email m"
        " LEFT JOIN body b ON b.email=m.id LEFT JOIN summary s ON s.email=m.id"
        " WHERE m.id>?1 ORDER BY m.id LIMIT 1",
        check_message);
}

enum err fsck_filters(struct check *c)
{
    if (c->account->schema_version < STORE_SCHEMA_FILTERS)
        return ERR_OK;
    return walk(c,
        "SELECT f.email, f.bytes, s.bytes FROM text_filter f JOIN summary s ON s.email=f.email"
        " WHERE f.email>?1 ORDER BY f.email LIMIT 1",
        check_filter);
}

enum err fsck_adopt_files(struct check *c)
{
    return account_big_unnamed(c->account, on_big_file, c);
}

enum err fsck_functions(struct check *c)
{
    struct sql_db *sql = &c->account->sql;
    return sql_err(sql,
        sqlite3_create_function(sql->db, "xxh3", 1,
            SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, xxh3_sql, NULL, NULL));
}
