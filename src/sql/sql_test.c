/* Opening, errors, statements, transactions and formats, on files that are whole, broken, locked, newer, and on disks that are full. */
#include "sql/sql.h"

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    ST_ADD,
    ST_ADD_OR_ROLLBACK,
    ST_GET,
    ST_ALL,
    ST_COUNT_ROWS,
    ST_MAX,
    ST_FILL,
    ST_RAISE,
    ST_COUNT
};
static const char *const texts[ST_COUNT] = {
    [ST_ADD] = "INSERT INTO t VALUES(?1, ?2)",
    [ST_ADD_OR_ROLLBACK] = "INSERT OR ROLLBACK INTO t VALUES(?1, ?2)",
    [ST_GET] = "SELECT v FROM t WHERE k=?1",
    [ST_ALL] = "SELECT k FROM t ORDER BY k",
    [ST_COUNT_ROWS] = "SELECT count(*) FROM t",
    [ST_MAX] = "SELECT max(k) FROM t",
    [ST_FILL] = "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i+1 FROM n WHERE i<1999)"
                " INSERT INTO t SELECT i, zeroblob(1000) FROM n",
    [ST_RAISE] = "UPDATE t SET k=k+1 WHERE k=7 RETURNING k",
};
static const struct sql_options alone = { .texts = texts,
    .count = ST_COUNT,
    .sharing = SQL_ALONE,
    .make = true,
    .nofollow = true,
    .constraint = ERR_EXISTS };
static const struct sql_options shared = { .texts = texts,
    .count = ST_COUNT,
    .sharing = SQL_SHARED,
    .make = true,
    .constraint = ERR_CORRUPT };
static const char *const steps[] = { "CREATE TABLE t(k INTEGER PRIMARY KEY, v)",
    "CREATE TABLE second(x)", "CREATE TABLE third(x)" };
#define APPLICATION 0x42726469
static const struct sql_format format_1 = { .steps = steps, .version = 1 };
static const struct sql_format format_3 = {
    .steps = steps, .version = 3, .application_id = APPLICATION
};

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/barid-sql-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/a.db", folder);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    remove_database(path);
    return rmdir(folder);
}

static void open_ok(struct sql_db *sql, const struct sql_options *options)
{
    struct err_note note = { "" };
    assert_ok(sql_open(sql, path, options));
    if (sql_bring(sql, path, &format_1, &note) != ERR_OK)
        fail_msg("%s", note.text);
}

static enum err add(struct sql_db *sql, unsigned which, int64_t k, struct slice v)
{
    sqlite3_stmt *s;
    TRY(sql_get(sql, which, &s));
    (void)sqlite3_bind_int64(s, 1, k);
    sql_bind_bytes(s, 2, v);
    return sql_done(sql, s);
}

static int64_t count_rows(struct sql_db *sql)
{
    sqlite3_stmt *s;
    int64_t count = -1;
    assert_ok(sql_get(sql, ST_COUNT_ROWS, &s));
    assert_ok(sql_number(sql, s, &count, NULL));
    return count;
}

static void write_at(long at, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    close(fd);
}

/* ---- statements ---- */

static void test_statements(void **state)
{
    struct sql_db sql;
    sqlite3_stmt *s, *same;
    bool row;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(add(&sql, ST_ADD, 1, SLICE("a\0b")));
    assert_ok(add(&sql, ST_ADD, 2, SLICE_EMPTY));
    assert_ok(sql_get(&sql, ST_GET, &s));
    (void)sqlite3_bind_int64(s, 1, 1);
    assert_ok(sql_step(&sql, s, &row));
    assert_true(row);
    assert_slice("bytes", sql_bytes(s, 0), SLICE("a\0b"));
    assert_ok(sql_step(&sql, s, &row));
    assert_false(row);
    assert_ok(sql_get(&sql, ST_GET, &same));
    assert_ptr_equal(s, same); /* prepared once */
    assert_ok(sql_has(&sql, same, &row));
    assert_false(row); /* nothing is bound any more */
    (void)sqlite3_bind_int64(s, 1, 2);
    assert_ok(sql_step(&sql, s, &row));
    assert_true(row);
    assert_int_equal(sqlite3_column_type(s, 0), SQLITE_BLOB); /* empty is not NULL */
    sql_reset(s);
    assert_ok(sql_has(&sql, s, &row));
    assert_false(row);
    sql_bind_text(s, 1, (struct slice){ NULL, 0 });
    assert_ok(sql_has(&sql, s, &row));
    assert_false(row);
    (void)sqlite3_bind_int64(s, 1, 1);
    assert_ok(sql_has(&sql, s, &row));
    assert_true(row);
    sql_close(&sql);
}

static void test_numbers(void **state)
{
    struct sql_db sql;
    sqlite3_stmt *s;
    int64_t number = 5;
    bool found = true;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(sql_get(&sql, ST_MAX, &s));
    assert_ok(sql_number(&sql, s, &number, &found));
    assert_false(found);
    assert_int_equal(number, 5); /* NULL is no number */
    assert_ok(add(&sql, ST_ADD, 7, SLICE("x")));
    assert_ok(sql_get(&sql, ST_RAISE, &s));
    assert_ok(sql_number(&sql, s, &number, &found));
    assert_true(found);
    assert_int_equal(number, 8);
    assert_ok(sql_get(&sql, ST_MAX, &s));
    assert_ok(sql_number(&sql, s, &number, NULL));
    assert_int_equal(number, 8); /* it was run to its end */
    assert_ok(sql_ask(&sql, "PRAGMA user_version", &number));
    assert_int_equal(number, 1);
    assert_err(ERR_NOT_FOUND, sql_ask(&sql, "SELECT k FROM t WHERE k=99", &number));
    assert_err(ERR_CORRUPT, sql_ask(&sql, "SELECT k FROM absent", &number));
    assert_ok(sql_prepare(&sql, "SELECT v FROM t", &s));
    assert_ok(sql_has(&sql, s, &found));
    assert_true(found);
    assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
    sql_close(&sql);
    sql_close(&sql); /* closed is closed */
}

/* ---- errors ---- */

static void test_constraints(void **state)
{
    struct sql_db sql;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(add(&sql, ST_ADD, 1, SLICE("x")));
    assert_err(ERR_EXISTS, add(&sql, ST_ADD, 1, SLICE("y")));
    sql_close(&sql);
    open_ok(&sql, &shared);
    assert_err(ERR_CORRUPT, add(&sql, ST_ADD, 1, SLICE("y")));
    assert_ok(add(&sql, ST_ADD, 2, SLICE("y"))); /* the statement is as good as new */
    sql_close(&sql);
}

static const struct code_row {
    int rc;
    enum err wanted, wanted_io; /* the second with access_is_io */
} code_rows[] = {
    { SQLITE_OK, ERR_OK, ERR_OK },
    { SQLITE_ROW, ERR_OK, ERR_OK },
    { SQLITE_DONE, ERR_OK, ERR_OK },
    { SQLITE_FULL, ERR_NO_SPACE, ERR_NO_SPACE },
    { SQLITE_NOMEM, ERR_NO_SPACE, ERR_NO_SPACE },
    { SQLITE_BUSY, ERR_BUSY, ERR_BUSY },
    { SQLITE_BUSY_SNAPSHOT, ERR_BUSY, ERR_BUSY },
    { SQLITE_LOCKED, ERR_BUSY, ERR_BUSY },
    { SQLITE_CORRUPT, ERR_CORRUPT, ERR_CORRUPT },
    { SQLITE_CORRUPT_INDEX, ERR_CORRUPT, ERR_CORRUPT },
    { SQLITE_NOTADB, ERR_CORRUPT, ERR_CORRUPT },
    { SQLITE_ERROR, ERR_CORRUPT, ERR_CORRUPT },
    { SQLITE_IOERR_DATA, ERR_CORRUPT, ERR_CORRUPT },
    { SQLITE_TOOBIG, ERR_LIMIT, ERR_LIMIT },
    { SQLITE_CONSTRAINT_UNIQUE, ERR_EXISTS, ERR_EXISTS },
    { SQLITE_READONLY, ERR_DENIED, ERR_IO },
    { SQLITE_READONLY_DBMOVED, ERR_DENIED, ERR_IO },
    { SQLITE_PERM, ERR_DENIED, ERR_IO },
    { SQLITE_CANTOPEN, ERR_IO, ERR_IO }, /* the system says nothing */
    { SQLITE_CANTOPEN_SYMLINK, ERR_DENIED, ERR_IO },
    { SQLITE_IOERR, ERR_IO, ERR_IO },
    { SQLITE_IOERR_WRITE, ERR_IO, ERR_IO },
    { SQLITE_IOERR_FSYNC, ERR_IO, ERR_IO },
    { SQLITE_PROTOCOL, ERR_IO, ERR_IO },
    { SQLITE_INTERNAL, ERR_IO, ERR_IO },
};

static void test_codes(void **state)
{
    struct sql_options io = alone;
    (void)state;
    io.access_is_io = true;
    const struct sql_db one = { .options = &alone }, other = { .options = &io };
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++) {
        const struct code_row *row = &code_rows[i];
        errno = 0;
        if (sql_err(&one, row->rc) != row->wanted || sql_err(&other, row->rc) != row->wanted_io)
            fail_msg("%d: %s, %s", row->rc, err_name(sql_err(&one, row->rc)),
                err_name(sql_err(&other, row->rc)));
    }
    errno = EDQUOT; /* SQLITE_FULL is said of ENOSPC alone */
    assert_err(ERR_NO_SPACE, sql_err(&one, SQLITE_IOERR_WRITE));
    assert_err(ERR_NO_SPACE, sql_err(&other, SQLITE_IOERR_WRITE));
    assert_err(ERR_IO, sql_err(&one, SQLITE_IOERR_FSYNC)); /* cannot be rolled back */
}

/* ---- opening ---- */

static void test_absent(void **state)
{
    struct sql_options existing = shared;
    struct sql_db sql;
    char absent[128];
    (void)state;
    existing.make = false;
    assert_err(ERR_NOT_FOUND, sql_open(&sql, path, &existing));
    sql_close(&sql);
    existing.access_is_io = true;
    assert_err(ERR_IO, sql_open(&sql, path, &existing));
    assert_non_null(strstr(sql_words(&sql), "unable to open"));
    sql_close(&sql);
    assert_int_equal(access(path, F_OK), -1);
    (void)snprintf(absent, sizeof absent, "%s/absent/a.db", folder);
    assert_err(ERR_NOT_FOUND, sql_open(&sql, absent, &alone));
    sql_close(&sql);
}

static void assert_private(const char *end)
{
    char name[112];
    struct stat st;
    (void)snprintf(name, sizeof name, "%s%s", path, end);
    assert_int_equal(stat(name, &st), 0);
    if ((st.st_mode & 0777) != 0600)
        fail_msg("%s: %o", name, (unsigned)st.st_mode);
}

static void test_made_for_its_owner(void **state)
{
    struct sql_db sql;
    mode_t mask = umask(0);
    (void)state;
    open_ok(&sql, &shared);
    (void)umask(mask);
    assert_ok(add(&sql, ST_ADD, 1, SLICE("x")));
    assert_private("");
    assert_private("-wal");
    assert_private("-shm");
    sql_close(&sql);
}

static int64_t setting(struct sql_db *sql, const char *pragma)
{
    int64_t number = -1;
    assert_ok(sql_ask(sql, pragma, &number));
    return number;
}

static void test_settings(void **state)
{
    const struct sql_options *const both[] = { &alone, &shared };
    struct sql_db sql;
    sqlite3_stmt *s;
    bool row;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_ok(&sql, both[i]);
        assert_int_equal(setting(&sql, "PRAGMA synchronous"), 2);
        assert_int_equal(setting(&sql, "PRAGMA temp_store"), 2);
        assert_int_equal(setting(&sql, "PRAGMA trusted_schema"), 0);
        assert_int_equal(setting(&sql, "PRAGMA cell_size_check"), 1);
        assert_ok(sql_prepare(&sql, "PRAGMA journal_mode", &s));
        assert_ok(sql_step(&sql, s, &row));
        assert_slice("journal", sql_text(s, 0), SLICE("wal"));
        (void)sqlite3_finalize(s);
        sql_close(&sql);
    }
}

/* The file itself may be no link; the way to it may be one. */
static void test_links(void **state)
{
    struct sql_db sql;
    char way[128], through[144], link_path[128];
    (void)state;
    (void)snprintf(way, sizeof way, "%s-way", folder);
    (void)snprintf(through, sizeof through, "%s/a.db", way);
    (void)snprintf(link_path, sizeof link_path, "%s/link.db", folder);
    assert_int_equal(symlink(folder, way), 0);
    assert_int_equal(symlink("a.db", link_path), 0);
    assert_ok(sql_open(&sql, through, &alone));
    assert_int_equal(access(path, F_OK), 0);
    sql_close(&sql);
    assert_err(ERR_DENIED, sql_open(&sql, link_path, &alone));
    sql_close(&sql);
    assert_ok(sql_open(&sql, link_path, &shared));
    sql_close(&sql);
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(unlink(way), 0);
}

static void test_no_database(void **state)
{
    static const char text[] = "this is a text, and one that is long enough to be taken for a file";
    struct sql_db sql;
    (void)state;
    write_at(0, text, sizeof text);
    assert_err(ERR_CORRUPT, sql_open(&sql, path, &alone));
    sql_close(&sql);
    assert_err(ERR_CORRUPT, sql_open(&sql, path, &shared));
    sql_close(&sql);
    char kept[sizeof text];
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, kept, sizeof kept), sizeof kept);
    close(fd);
    assert_memory_equal(kept, text, sizeof text);
}

static enum err read_all(struct sql_db *sql)
{
    sqlite3_stmt *s;
    bool row;
    TRY(sql_get(sql, ST_ALL, &s));
    do {
        TRY(sql_step(sql, s, &row));
    } while (row);
    return ERR_OK;
}

static void test_broken_page(void **state)
{
    struct sql_db sql;
    char junk[4096];
    struct stat st;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(sql_run(&sql, ST_FILL));
    sql_close(&sql);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(stat(path, &st), 0);
    for (long at = 4096 * 20; at < 4096 * 30; at += 4096)
        write_at(at, junk, sizeof junk);
    open_ok(&sql, &alone);
    assert_err(ERR_CORRUPT, read_all(&sql));
    assert_err(ERR_CORRUPT, read_all(&sql)); /* and again: the statement was reset */
    sql_close(&sql);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    enum err e = sql_open(&sql, path, &alone);
    assert_err(ERR_CORRUPT, e != ERR_OK ? e : read_all(&sql));
    sql_close(&sql);
}

static void test_other_tables(void **state)
{
    struct sql_db sql;
    (void)state;
    assert_ok(sql_open(&sql, path, &alone));
    assert_ok(sql_exec(&sql, "CREATE TABLE other(x);PRAGMA user_version=1"));
    assert_ok(sql_bring(&sql, path, &format_1, NULL));
    assert_err(ERR_CORRUPT, sql_prepare_all(&sql));
    assert_ok(sql_exec(&sql, "CREATE TABLE t(k INTEGER PRIMARY KEY, v)"));
    assert_ok(sql_prepare_all(&sql));
    sql_close(&sql);
}

/* ---- locks ---- */

static void test_alone(void **state)
{
    const struct sql_options *const both[] = { &alone, &shared };
    struct sql_db sql, second;
    char index[112];
    (void)state;
    (void)snprintf(index, sizeof index, "%s-shm", path);
    for (int i = 0; i < 2; i++) { /* a file that is new, one that is there */
        assert_ok(sql_open(&sql, path, &alone));
        assert_err(ERR_BUSY, sql_open(&second, path, &alone));
        sql_close(&second);
        assert_int_equal(access(index, F_OK), -1);
        sql_close(&sql);
    }
    for (int i = 0; i < 2; i++) {
        open_ok(&sql, both[i]);
        sql_close(&sql);
    }
}

struct waiting {
    struct sql_db sql;
    pthread_barrier_t both_ready;
    enum err result;
};

static void *change(void *waiting_arg)
{
    struct waiting *waiting = waiting_arg;
    (void)pthread_barrier_wait(&waiting->both_ready);
    waiting->result = sql_begin_write(&waiting->sql); /* waits for the other */
    if (waiting->result == ERR_OK)
        waiting->result = sql_end(&waiting->sql, add(&waiting->sql, ST_ADD, 2, SLICE("y")));
    return NULL;
}

static void test_shared_waits(void **state)
{
    struct sql_db sql;
    struct waiting waiting;
    pthread_t thread;
    (void)state;
    open_ok(&sql, &shared);
    open_ok(&waiting.sql, &shared);
    assert_ok(sql_begin_write(&sql));
    assert_ok(add(&sql, ST_ADD, 1, SLICE("x")));
    assert_int_equal(count_rows(&waiting.sql), 0); /* who reads does not wait */
    (void)pthread_barrier_init(&waiting.both_ready, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, change, &waiting), 0);
    (void)pthread_barrier_wait(&waiting.both_ready);
    (void)usleep(50000); /* now it waits, or will not have to */
    assert_ok(sql_end(&sql, ERR_OK));
    pthread_join(thread, NULL);
    (void)pthread_barrier_destroy(&waiting.both_ready);
    assert_ok(waiting.result);
    assert_int_equal(count_rows(&sql), 2);
    sql_close(&waiting.sql);
    sql_close(&sql);
}

/* ---- a full disk ---- */

static struct rlimit limit_before;

static void disk_holds(rlim_t bytes)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit_before), 0);
    struct rlimit less = { .rlim_cur = bytes, .rlim_max = limit_before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
}

static void disk_has_room(void)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit_before), 0);
}

static void test_full_at_the_beginning(void **state)
{
    struct sql_db sql;
    struct err_note note = { "" };
    (void)state;
    disk_holds(0);
    enum err e = sql_open(&sql, path, &alone);
    if (e == ERR_OK)
        e = sql_bring(&sql, path, &format_1, &note);
    disk_has_room();
    assert_err(ERR_NO_SPACE, e);
    sql_close(&sql);
    open_ok(&sql, &alone); /* what is left is as good as nothing */
    sql_close(&sql);
}

static void test_full_in_between(void **state)
{
    struct sql_db sql;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(add(&sql, ST_ADD, 1, SLICE("x")));
    disk_holds(200000);
    assert_ok(sql_begin_write(&sql));
    enum err e = sql_end(&sql, sql_run(&sql, ST_FILL));
    disk_has_room();
    assert_err(ERR_NO_SPACE, e);
    assert_int_equal(count_rows(&sql), 1);
    assert_ok(add(&sql, ST_ADD, 2, SLICE("y")));
    sql_close(&sql);
    open_ok(&sql, &alone);
    assert_int_equal(count_rows(&sql), 2);
    sql_close(&sql);
}

/* Opening what is there writes nothing, but where processes share it, the index of its log. */
static void test_full_at_opening(void **state)
{
    struct sql_db sql;
    int64_t count = -1;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(add(&sql, ST_ADD, 1, SLICE("x")));
    sql_close(&sql);
    disk_holds(0);
    enum err e = sql_open(&sql, path, &alone);
    if (e == ERR_OK)
        count = count_rows(&sql);
    sql_close(&sql);
    enum err shared_e = sql_open(&sql, path, &shared);
    sql_close(&sql);
    disk_has_room();
    assert_ok(e);
    assert_int_equal(count, 1);
    assert_err(ERR_NO_SPACE, shared_e);
}

/* ---- transactions ---- */

static void test_transactions(void **state)
{
    struct sql_db sql;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(sql_begin(&sql));
    assert_ok(add(&sql, ST_ADD, 1, SLICE("x")));
    assert_ok(sql_commit(&sql));
    assert_ok(sql_begin_write(&sql));
    assert_ok(add(&sql, ST_ADD, 2, SLICE("x")));
    assert_err(ERR_CANCELED, sql_end(&sql, ERR_CANCELED));
    assert_int_equal(count_rows(&sql), 1);
    assert_ok(sql_rollback(&sql)); /* there is none */
    assert_err(ERR_IO, sql_commit(&sql));
    /* SQLite has rolled it back: the commit says so */
    assert_ok(sql_begin_write(&sql));
    assert_ok(add(&sql, ST_ADD, 3, SLICE("x")));
    assert_err(ERR_EXISTS, add(&sql, ST_ADD_OR_ROLLBACK, 1, SLICE("x")));
    assert_err(ERR_IO, sql_end(&sql, ERR_OK));
    assert_int_equal(count_rows(&sql), 1);
    assert_ok(sql_begin_write(&sql));
    assert_ok(add(&sql, ST_ADD, 4, SLICE("x")));
    sql_close(&sql); /* in the middle */
    open_ok(&sql, &alone);
    assert_int_equal(count_rows(&sql), 1);
    sql_close(&sql);
}

static void test_batches(void **state)
{
    struct sql_db sql, reader;
    (void)state;
    open_ok(&sql, &shared);
    open_ok(&reader, &shared);
    assert_ok(sql_batch_commit(&sql)); /* there is none */
    for (int k = 1; k <= 3; k++) {
        assert_ok(sql_batch(&sql));
        assert_ok(add(&sql, ST_ADD, k, SLICE("x")));
    }
    assert_int_equal(count_rows(&sql), 3);
    assert_int_equal(count_rows(&reader), 0);
    assert_ok(sql_batch_commit(&sql));
    assert_int_equal(count_rows(&reader), 3);
    /* one that was lost is not gone on with, nor called written */
    assert_ok(sql_batch(&sql));
    assert_ok(add(&sql, ST_ADD, 4, SLICE("x")));
    assert_err(ERR_CORRUPT, add(&sql, ST_ADD_OR_ROLLBACK, 1, SLICE("x")));
    assert_err(ERR_IO, sql_batch(&sql));
    assert_err(ERR_IO, sql_batch_commit(&sql));
    assert_int_equal(count_rows(&sql), 3);
    assert_ok(sql_batch(&sql));
    assert_ok(add(&sql, ST_ADD, 5, SLICE("x")));
    assert_ok(sql_batch_commit(&sql));
    assert_int_equal(count_rows(&reader), 4);
    sql_close(&reader);
    sql_close(&sql);
}

/* ---- formats ---- */

static void test_steps(void **state)
{
    struct sql_db sql;
    (void)state;
    open_ok(&sql, &alone);
    assert_ok(add(&sql, ST_ADD, 1, SLICE("x")));
    assert_int_equal(setting(&sql, "PRAGMA application_id"), 0);
    assert_ok(sql_exec(&sql, "PRAGMA application_id=0x42726469"));
    assert_ok(sql_bring(&sql, path, &format_3, NULL));
    assert_int_equal(setting(&sql, "PRAGMA user_version"), 3);
    assert_int_equal(setting(&sql, "PRAGMA application_id"), APPLICATION);
    assert_int_equal(setting(&sql, "SELECT count(*) FROM sqlite_schema WHERE name='third'"), 1);
    assert_int_equal(count_rows(&sql), 1);
    sql_close(&sql);
}

static void test_step_that_fails(void **state)
{
    static const char *const bad[] = { "CREATE TABLE t(k INTEGER PRIMARY KEY, v)",
        "CREATE TABLE half(x);CREATE TABLE t(x)" };
    struct sql_db sql;
    struct err_note note = { "" };
    (void)state;
    assert_ok(sql_open(&sql, path, &alone));
    assert_err(ERR_CORRUPT,
        sql_bring(&sql, path, &(struct sql_format){ .steps = bad, .version = 2 }, &note));
    assert_non_null(strstr(note.text, path));
    assert_non_null(strstr(note.text, "already exists")); /* why, not what came after */
    assert_int_equal(setting(&sql, "PRAGMA user_version"), 1);
    assert_int_equal(setting(&sql, "SELECT count(*) FROM sqlite_schema WHERE name='half'"), 0);
    sql_close(&sql);
}

static const struct strange_row {
    const char *name, *pragmas;
    const struct sql_format *format;
    enum err wanted;
    const char *words;
} strange_rows[] = {
    { "newer", "PRAGMA user_version=2", &format_1, ERR_DENIED, "newer Barid (format 2;" },
    { "much newer", "PRAGMA user_version=2147483647", &format_1, ERR_DENIED, "newer" },
    { "below nothing", "PRAGMA user_version=-1", &format_1, ERR_CORRUPT, "another program" },
    { "lowest", "PRAGMA user_version=-2147483648", &format_3, ERR_CORRUPT, "another program" },
    { "of another program", "PRAGMA user_version=1;PRAGMA application_id=5", &format_3, ERR_CORRUPT,
        "another program" },
};

static void test_strange_formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strange_rows / sizeof strange_rows[0]; i++) {
        const struct strange_row *row = &strange_rows[i];
        struct sql_db sql;
        struct err_note note = { "" };
        open_ok(&sql, &alone);
        assert_ok(sql_exec(&sql, row->pragmas));
        int64_t version = setting(&sql, "PRAGMA user_version");
        enum err e = sql_bring(&sql, path, row->format, &note);
        if (e != row->wanted || !strstr(note.text, row->words))
            fail_msg("%s: %s, %s", row->name, err_name(e), note.text);
        assert_int_equal(setting(&sql, "PRAGMA user_version"), version);
        assert_int_equal(setting(&sql, "SELECT count(*) FROM sqlite_schema"), 1);
        sql_close(&sql);
        remove_database(path);
    }
}

static void *open_and_bring(void *result_arg)
{
    struct sql_db sql;
    enum err e = sql_open(&sql, path, &shared);
    if (e == ERR_OK)
        e = sql_bring(&sql, path, &format_3, NULL);
    sql_close(&sql);
    *(enum err *)result_arg = e;
    return NULL;
}

static void test_brought_by_several_at_once(void **state)
{
    pthread_t threads[8];
    enum err results[8];
    struct sql_db sql;
    (void)state;
    open_ok(&sql,
        &shared); /* a file that was just made is closed once, which takes this process's locks on it away */
    assert_ok(sql_exec(&sql, "PRAGMA application_id=0x42726469"));
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_bring, &results[i]), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 8; i++)
        assert_ok(results[i]);
    assert_int_equal(setting(&sql, "PRAGMA user_version"), 3);
    sql_close(&sql);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

TEST_MAIN(IN_A_FOLDER(test_statements), IN_A_FOLDER(test_numbers), IN_A_FOLDER(test_constraints),
    cmocka_unit_test(test_codes), IN_A_FOLDER(test_absent), IN_A_FOLDER(test_made_for_its_owner),
    IN_A_FOLDER(test_settings), IN_A_FOLDER(test_links), IN_A_FOLDER(test_no_database),
    IN_A_FOLDER(test_broken_page), IN_A_FOLDER(test_other_tables), IN_A_FOLDER(test_alone),
    IN_A_FOLDER(test_shared_waits), IN_A_FOLDER(test_full_at_the_beginning),
    IN_A_FOLDER(test_full_in_between), IN_A_FOLDER(test_full_at_opening),
    IN_A_FOLDER(test_transactions), IN_A_FOLDER(test_batches), IN_A_FOLDER(test_steps),
    IN_A_FOLDER(test_step_that_fails), IN_A_FOLDER(test_strange_formats),
    IN_A_FOLDER(test_brought_by_several_at_once))
