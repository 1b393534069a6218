/* The log in pieces: how often the system is asked to write, what an error of it does, and that all that was committed is there after an end at any moment. */
#include "store/vfs_log.h"

#include "base/test.h"
#include "store/vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a system VFS that counts, and fails when it is told to ---- */

struct counted_file {
    sqlite3_file base;
    bool is_log;
};

static sqlite3_vfs counting;
static sqlite3_vfs *usual;
static sqlite3_io_methods methods;
static int writes, syncs; /* of the log */
static int fail_at;       /* the nth write from now; 0: none */
static size_t longest;

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)((struct counted_file *)(void *)file + 1);
}

static bool is_log(sqlite3_file *file)
{
    return ((struct counted_file *)(void *)file)->is_log;
}

static int c_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int c_read(sqlite3_file *f, void *bytes, int len, sqlite3_int64 at)
{
    return real(f)->pMethods->xRead(real(f), bytes, len, at);
}

static int c_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 at)
{
    if (is_log(f)) {
        writes++;
        longest = (size_t)len > longest ? (size_t)len : longest;
        if (fail_at > 0 && --fail_at == 0)
            return SQLITE_FULL;
    }
    return real(f)->pMethods->xWrite(real(f), bytes, len, at);
}

static int c_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int c_sync(sqlite3_file *f, int flags)
{
    syncs += is_log(f);
    return real(f)->pMethods->xSync(real(f), flags);
}

static int c_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int c_lock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xLock(real(f), level);
}

static int c_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int c_reserved(sqlite3_file *f, int *reserved)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), reserved);
}

static int c_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int c_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int c_traits(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int c_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    (void)vfs;
    *(struct counted_file *)(void *)file =
        (struct counted_file){ .is_log = (flags & SQLITE_OPEN_WAL) != 0 };
    memset(real(file), 0, (size_t)usual->szOsFile);
    int rc = usual->xOpen(usual, name, real(file), flags, out_flags);
    if (real(file)->pMethods)
        file->pMethods = &methods;
    return rc;
}

/* Before the first use of store_vfs, which takes the default one. */
static void count_from_here(void)
{
    usual = sqlite3_vfs_find(NULL);
    counting = *usual;
    counting.zName = "counting";
    counting.pNext = NULL;
    counting.szOsFile = usual->szOsFile + (int)sizeof(struct counted_file);
    counting.xOpen = c_open;
    methods = (sqlite3_io_methods){ 1, c_close, c_read, c_write, c_truncate, c_sync, c_size, c_lock,
        c_unlock, c_reserved, c_control, c_sector, c_traits, NULL, NULL, NULL, NULL, NULL, NULL };
    assert_int_equal(sqlite3_vfs_register(&counting, 1), SQLITE_OK);
}

/* ---- a database in it ---- */

static char folder[64], path[96];
static sqlite3 *db;

static void run(const char *sql)
{
    char *said = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &said) != SQLITE_OK)
        fail_msg("%s: %s", sql, said);
}

static int64_t number(const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

static void open_at(const char *where)
{
    assert_int_equal(
        sqlite3_open_v2(where, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, store_vfs()),
        SQLITE_OK);
    store_vfs_owner(db, SLICE("a1"));
    int reserve = STORE_PAGE_CHECKSUM_BYTES;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
    run("PRAGMA page_size=8192;PRAGMA locking_mode=EXCLUSIVE;PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=FULL;PRAGMA wal_autocheckpoint=0;PRAGMA cache_size=10");
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

static int set_up(void **state)
{
    (void)state;
    if (!usual)
        count_from_here();
    (void)snprintf(folder, sizeof folder, "/tmp/barid-log-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/mail.db", folder);
    fail_at = 0;
    open_at(path);
    run("CREATE TABLE t(id INTEGER PRIMARY KEY, bytes BLOB)");
    writes = syncs = 0;
    longest = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (const char *const *end = (const char *const[]){ "", "-wal", "-copy", "-copy-wal", NULL };
         *end; end++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s%s", path, *end);
        (void)unlink(name);
    }
    return rmdir(folder);
}

static void copy_file(const char *from, const char *to)
{
    char piece[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t got; (got = fread(piece, 1, sizeof piece, in)) > 0;)
        assert_int_equal(fwrite(piece, 1, got, out), got);
    (void)fclose(in);
    (void)fclose(out);
}

/* What somebody finds who opens the files as they lie there now: as after kill -9. */
static int64_t rows_after_an_end(void)
{
    char copy[128], log[128], copy_log[128];
    (void)snprintf(copy, sizeof copy, "%s-copy", path);
    (void)snprintf(log, sizeof log, "%s-wal", path);
    (void)snprintf(copy_log, sizeof copy_log, "%s-copy-wal", path);
    copy_file(path, copy);
    copy_file(log, copy_log);
    sqlite3 *before = db;
    open_at(copy);
    assert_int_equal(
        number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check<>'ok'"), 0);
    int64_t rows = number("SELECT count(*) FROM t");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    db = before;
    return rows;
}

/* ---- the tests ---- */

static void a_transaction_is_one_write(void **state)
{
    (void)state;
    run("PRAGMA cache_size=100");
    run("INSERT INTO t VALUES(1, randomblob(70000))"); /* nine pages and those above them */
    assert_int_equal(writes, 1);
    assert_int_equal(syncs, 1);
    assert_true(longest > 70000);
    run("UPDATE t SET bytes=x'00' WHERE id=1");
    assert_int_equal(writes, 2);
    assert_int_equal(rows_after_an_end(), 1);
    run("PRAGMA synchronous=OFF"); /* nothing is synced, and all of it is with the system all the same */
    run("INSERT INTO t VALUES(2, x'00')");
    assert_int_equal(syncs, 2);
    assert_int_equal(rows_after_an_end(), 2);
}

/* More than the cache holds goes out before the commit, and is read again from there. */
static void a_large_one_is_several(void **state)
{
    (void)state;
    run("BEGIN");
    for (int i = 0; i < 20; i++)
        run("INSERT INTO t(bytes) VALUES(randomblob(60000))");
    assert_int_equal(number("SELECT count(*) FROM t WHERE length(bytes)=60000"), 20);
    assert_int_equal(number("SELECT count(*) FROM t WHERE hex(bytes)=''"), 0);
    assert_int_equal(rows_after_an_end(), 0);
    run("UPDATE t SET bytes=randomblob(50000)"); /* the same pages once more in one transaction */
    run("COMMIT");
    assert_int_equal(rows_after_an_end(), 20);
    assert_true(longest < 1 << 17);
    run("BEGIN");
    run("DELETE FROM t");
    run("ROLLBACK");
    assert_int_equal(number("SELECT sum(length(bytes)) FROM t"), 20 * 50000);
    assert_int_equal(rows_after_an_end(), 20);
    run("PRAGMA wal_checkpoint(TRUNCATE)");
    run("INSERT INTO t(bytes) VALUES(x'01')");
    assert_int_equal(rows_after_an_end(), 21);
}

/* Each write of a transaction fails once: it is not there, all before it is, and the next goes through. */
static void a_write_that_fails_is_its_transactions(void **state)
{
    (void)state;
    int rows = 0;
    for (int nth = 1;; nth++) {
        fail_at = nth;
        int rc = sqlite3_exec(db,
            "BEGIN;INSERT INTO t(bytes) SELECT randomblob(60000) FROM "
            "(VALUES(1),(2),(3),(4),(5),(6));"
            "COMMIT",
            NULL, NULL, NULL);
        if (rc == SQLITE_OK && fail_at > 0) {
            assert_true(nth > 3);
            break;
        }
        fail_at = 0;
        assert_int_equal(rc, SQLITE_FULL);
        if (!sqlite3_get_autocommit(db))
            run("ROLLBACK");
        assert_int_equal(number("SELECT count(*) FROM t"), rows);
        assert_int_equal(rows_after_an_end(), rows);
        run("INSERT INTO t(bytes) VALUES(x'02')");
        assert_int_equal(rows_after_an_end(), ++rows);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TEST_MAIN(IN_FOLDER(a_transaction_is_one_write), IN_FOLDER(a_large_one_is_several),
    IN_FOLDER(a_write_that_fails_is_its_transactions))
