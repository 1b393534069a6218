/* The file of an account: damage, another program's and another account's are found and mended or kept out; older ones are upgraded. */
#include "message/text.h"
#include "store/account_fixture_test.h"
#include "store/vfs.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Size and time of change of one of the account's files; size -1: it is not there. */
struct file_state {
    int64_t size, changed_s, changed_ns;
};

static struct file_state file_state(const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/accounts/a1/%s", folder, name);
    if (stat(path, &st) != 0)
        return (struct file_state){ -1, 0, 0 };
    return (struct file_state){ st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
}

/* A full disk must not keep anybody from reading. */
static void opening_and_reading_write_nothing(void **state)
{
    (void)state;
    append("INBOX", message(1), 0);
    append("INBOX", message(9000), 0);
    static const char *const names[] = { "mail.db", "mail.db-wal" };
    close_all();
    struct file_state before[2] = { file_state(names[0]), file_state(names[1]) };
    open_all();
    assert_int_equal(read_box("INBOX", STORE_NEED_EMAIL | STORE_NEED_SUMMARY).count, 2);
    for (size_t i = 0; i < 2; i++) {
        struct file_state now = file_state(names[i]);
        assert_memory_equal(&now, &before[i], sizeof now);
    }
    assert_int_equal(file_state("mail.db-shm").size, -1);
}

/* A file that may grow no further is no room, also when the commit finds out: it was rolled back, and the account goes on. */
static void a_commit_without_room_leaves_the_account_as_it_was(void **state)
{
    struct rlimit before, less;
    struct store_append_result result;
    (void)state;
    append("INBOX", message(1), 0);
    struct mailbox box = box_named("INBOX");
    struct blob *blob = blob_of(message(2000));
    struct store_append item = { .blob = blob, .received_s = 1764000000 };
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    less = (struct rlimit){ .rlim_cur = (rlim_t)file_state("mail.db-wal").size,
        .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    enum err e = account_append(account, box.id, &item, 1, &result);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_err(ERR_NO_SPACE, e);
    assert_false(account_readonly(account));
    assert_int_equal(read_box("INBOX", STORE_NEED_EMAIL).count, 1);
    assert_ok(account_append(account, box.id, &item, 1, &result));
    blob_unref(blob);
    reopen();
    assert_int_equal(read_box("INBOX", STORE_NEED_EMAIL).count, 2);
}

static int findings;
static char last_finding[256];

static void count_finding(void *arg, const char *text, bool repaired)
{
    (void)arg;
    (void)repaired;
    (void)snprintf(last_finding, sizeof last_finding, "%s", text);
    findings++;
}

/* How many findings; the account is not open. */
static int findings_of(bool repair)
{
    struct err_note note = { "" };
    struct store_options options = { .root = folder };
    assert_ok(store_open(&options, &store, &note));
    findings = 0;
    assert_ok(store_fsck(store, SLICE("a1"), repair, count_finding, NULL));
    store_close(store);
    store = NULL;
    return findings;
}

static char *database_path(void)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/accounts/a1/mail.db", folder);
    return path;
}

/* Another program that writes into the file puts no checksums into its pages: that counts as damage until somebody says it is meant. */
static void what_another_program_wrote_is_taken_by_repair(void **state)
{
    (void)state;
    append("INBOX", message(1), 0);
    struct mailbox before = box_named("INBOX");
    close_all();
    sqlite3 *db;
    assert_int_equal(sqlite3_open(database_path(), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_true(findings_of(false) > 0);
    assert_true(findings_of(true) > 0);
    assert_int_equal(findings_of(false), 0);
    open_all();
    assert_true(box_named("INBOX").uidvalidity >
                before.uidvalidity); /* numbers may have been damaged too */
    assert_true(box_named("INBOX").modseq_max > before.modseq_max);
    append("INBOX", message(1), 0);
    assert_true(file_state("mail.db-wal").size > 0);
    assert_int_equal(box_named("INBOX").messages, 2);
}

static void change_byte(int fd, off_t at)
{
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Into the log alone, whose pages the program's own checkpoint takes over. */
static void alter(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(database_path(), &db), SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void rows_that_cannot_be_are_mended(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "UPDATE mailbox SET uidnext=4294967298 WHERE name='INBOX'",
        "UPDATE mailbox SET uidvalidity=4294967303 WHERE name='INBOX'",
        "UPDATE account SET uidvalidity=99999999999",
        "UPDATE account SET modseq=4000000000000000000",
        "UPDATE mailbox SET modseq=-4",
        "UPDATE entry SET uid=4294967297 WHERE email=(SELECT min(id) FROM email)",
        "UPDATE entry SET uid=-5 WHERE email=(SELECT min(id) FROM email)",
        "UPDATE entry SET mailbox=99 WHERE email=(SELECT min(id) FROM email); UPDATE mailbox SET "
        "name='Recovered 99' WHERE "
        "name='Junk'",
        "DELETE FROM keyword WHERE number=0",
        "DELETE FROM mailbox WHERE name='INBOX'",
        "DELETE FROM email WHERE id=(SELECT min(id) FROM email)",
        "DELETE FROM entry WHERE email=(SELECT min(id) FROM email)",
        "UPDATE entry SET flags=flags|0x4000000000000000|0x20",
    };
    static const struct slice keywords[] = { SLICE_CONST("one"), SLICE_CONST("two") };
    for (int i = 0; i < 3; i++)
        append("INBOX", message(3000), 0);
    struct uidset uids = set_of("1:3");
    struct store_flags_result set;
    assert_ok(account_flags(account,
        &(struct store_flags_args){ .mailbox = box_named("INBOX").id,
            .uids = &uids,
            .how = STORE_FLAGS_ADD,
            .flags = { .keywords = keywords, .keyword_count = 2 } },
        &set));
    uidset_done(&uids);
    uidset_done(&set.done);
    uidset_done(&set.modified);
    close_all();
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        alter(damages[i]);
        if (findings_of(false) == 0)
            fail_msg("not found: %s", damages[i]);
        assert_true(findings_of(true) > 0);
        if (findings_of(false) != 0)
            fail_msg("not mended: %s", damages[i]);
        open_all();
        struct account_usage usage;
        assert_ok(account_usage(account, &usage));
        if (usage.messages != 3)
            fail_msg("%llu messages after: %s", (unsigned long long)usage.messages, damages[i]);
        uint32_t uid = append("INBOX", message(100), 0);
        struct uidset one;
        uidset_init(&one);
        uidset_add(&one, uid);
        assert_ok(account_expunge(account,
            &(struct store_expunge_args){ .mailbox = box_named("INBOX").id, .uids = &one }, NULL));
        uidset_done(&one);
        close_all();
    }
    open_all();
}

/* As an older Barid left it: through the VFS, so that all of it is in the file. */
static void make_older(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(
        sqlite3_open_v2(database_path(), &db, SQLITE_OPEN_READWRITE, store_vfs()), SQLITE_OK);
    store_vfs_owner(db, SLICE("a1"));
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void keep_filter(int64_t email, struct slice bytes)
{
    struct store_derived filter = { .kind = STORE_DERIVED_FILTER, .email = email, .bytes = bytes };
    assert_ok(account_keep_derived(account, &filter, 1));
}

static void older_files_are_read_and_upgraded(void **state)
{
    (void)state;
    append("INBOX", message(100), 0);
    close_all();
    make_older(
        "DROP TABLE text_filter; DROP TABLE download; ALTER TABLE account DROP COLUMN warned;"
        "DROP INDEX summary_utf8; DROP TABLE uidl; PRAGMA user_version=2");

    struct account *snapshot;
    char parent[80];
    (void)snprintf(parent, sizeof parent, "%s/accounts", folder);
    int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_ok(store_snapshot(parent_fd, "a1", SLICE("a1"), &snapshot));
    struct mailbox inbox;
    assert_ok(account_mailbox(snapshot, SLICE("INBOX"), &arena, &inbox));
    struct store_rows rows;
    assert_ok(account_read(snapshot,
        &(struct store_read_args){ .mailbox = inbox.id, .need = STORE_NEED_FILTER }, &arena,
        &rows));
    assert_int_equal(rows.count, 1);
    assert_true(rows.at[0].summary.len > 0);
    assert_int_equal(rows.at[0].filter.len, 0);
    struct store_download_view view = { .mailboxes = &inbox.id, .mailbox_count = 1 };
    struct store_download *list;
    size_t count;
    bool damaged;
    struct buf uidls;
    buf_init(&uidls, 0);
    view.uidls = &uidls;
    assert_ok(account_downloads(snapshot, &view, &list, &count, &damaged));
    assert_int_equal(count, 1);
    assert_int_equal(list[0].uidl_len, 0);
    buf_done(&uidls);
    free(list);
    store_snapshot_close(snapshot);
    close(parent_fd);

    for (int i = 0; i < 2; i++) { /* the second time there is nothing to do */
        open_all();
        rows = read_box("INBOX", STORE_NEED_FILTER);
        keep_filter(rows.at[0].email, SLICE("\x63 of another version"));
        assert_true(read_box("INBOX", STORE_NEED_FILTER).at[0].filter.len > 0);
        close_all();
        assert_int_equal(findings_of(false), 0);
    }
    make_older("DROP TABLE download; ALTER TABLE account DROP COLUMN warned;"
               "DROP INDEX summary_utf8; DROP TABLE uidl; PRAGMA user_version=3");
    open_all();
    assert_downloads("INBOX");
    close_all();
    static const char *const unknown[] = { "PRAGMA user_version=1", "PRAGMA user_version=99" };
    for (int i = 0; i < 2; i++) {
        make_older(unknown[i]);
        open_all_but_account();
        assert_err(ERR_CORRUPT, store_account(store, SLICE("a1"), true, &account));
        store_close(store);
        assert_int_equal(findings_of(true), 1); /* and a repair leaves it as it is */
        assert_non_null(
            strstr(last_finding, i ? "by a newer Barid (format 99;" : "in a backup only"));
    }
    make_older("PRAGMA user_version=7");
    open_all();
    assert_int_equal(read_box("INBOX", STORE_NEED_BODY).count, 1);
}

/* One number from the file, as it lies there. */
static int64_t number_of(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    char uri[160];
    (void)snprintf(uri, sizeof uri, "file:%s?immutable=1", database_path());
    assert_int_equal(
        sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return number;
}

#define INDEXES "SELECT count(*) FROM sqlite_master WHERE name='summary_utf8'"

/* A page of summaries that is damaged harms its own rows, and neither the upgrade nor what is read beside it. */
static void a_damaged_summary_keeps_nobody_out(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++)
        append("INBOX", message(10), 0);
    close_all();
    make_older("DROP INDEX summary_utf8; DROP TABLE uidl; PRAGMA user_version=5");
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(database_path(), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                         "SELECT min(pageno) FROM dbstat WHERE name='summary' AND pagetype='leaf'",
                         -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t page = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    assert_true(page > 1);
    int fd = open(database_path(), O_RDWR | O_CLOEXEC);
    change_byte(fd, (page - 1) * 8192 + 4000);
    close(fd);
    open_all();
    int64_t id = box_named("INBOX").id;
    struct store_download_view view = { .mailboxes = &id, .mailbox_count = 1 };
    struct store_download *list;
    size_t count;
    bool damaged;
    assert_ok(account_downloads(account, &view, &list, &count, &damaged));
    assert_int_equal(count, 40);
    free(list);
    append("INBOX", message(10), 0);
    close_all();
    assert_int_equal(number_of(INDEXES), 0);
    assert_true(findings_of(true) > 0);
    assert_int_equal(number_of(INDEXES), 1); /* what the upgrade left out */
    open_all();
}

static void a_filter_lives_and_dies_with_its_message(void **state)
{
    (void)state;
    append("INBOX", message(100), 0);
    uint32_t big = append("INBOX", message(20000), 0);
    struct store_rows rows = read_box("INBOX", STORE_NEED_FILTER | STORE_NEED_SUMMARY);
    for (size_t i = 0; i < rows.count; i++) {
        struct msg_summary summary;
        struct store_body *body;
        struct buf filter;
        bool found;
        buf_init(&filter, 0);
        assert_ok(msg_summary_open(rows.at[i].summary, &summary));
        assert_ok(account_body(account, rows.at[i].email, &body));
        struct msg_source source = store_body_source(body);
        assert_ok(msg_text_contains(&summary, &source, SLICE_EMPTY, true, &filter, &found));
        keep_filter(rows.at[i].email, buf_slice(&filter));
        assert_true(
            slice_eq(read_box("INBOX", STORE_NEED_FILTER).at[i].filter, buf_slice(&filter)));
        store_body_close(body);
        buf_done(&filter);
    }
    keep_filter(4711, SLICE("of a message that has gone meanwhile"));
    close_all();
    assert_int_equal(findings_of(false), 0);

    open_all();
    struct buf wrong;
    buf_init(&wrong, 0);
    buf_add(&wrong, read_box("INBOX", STORE_NEED_FILTER).at[1].filter);
    wrong.mem[20] = (char)~wrong.mem[20];
    keep_filter(rows.at[1].email, buf_slice(&wrong));
    buf_done(&wrong);
    close_all();
    assert_int_equal(findings_of(false), 1);
    assert_int_equal(findings_of(true), 1);
    assert_int_equal(findings_of(false), 0);

    open_all();
    rows = read_box("INBOX", STORE_NEED_FILTER);
    assert_true(rows.at[0].filter.len > 0);
    assert_int_equal(rows.at[1].filter.len, 0);
    keep_filter(rows.at[1].email, SLICE("\x63"));
    struct uidset uids;
    uidset_init(&uids);
    uidset_add(&uids, big);
    assert_ok(account_expunge(account,
        &(struct store_expunge_args){ .mailbox = box_named("INBOX").id, .uids = &uids }, NULL));
    uidset_done(&uids);
    close_all();
    assert_int_equal(findings_of(false), 0); /* no filter without its message */
    open_all();
}

/* Nothing of it is served, neither before nor after somebody has looked. */
static void the_file_of_another_account_stays_shut(void **state)
{
    (void)state;
    struct account *other;
    char command[400];
    append("INBOX", message(3000), 0);
    assert_ok(store_account(store, SLICE("b1"), true, &other));
    struct account *first = account;
    account = other;
    append("INBOX", message(3000), 0);
    append("INBOX", message(4000), 0);
    account = first;
    account_unref(other);
    reopen();
    int from, to;
    (void)snprintf(command, sizeof command, "%s/accounts/b1/mail.db", folder);
    from = open(command, O_RDONLY | O_CLOEXEC);
    to = open(database_path(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    while (copy_file_range(from, NULL, to, NULL, 1 << 20, 0) > 0)
        ;
    close(from);
    close(to);
    findings = 0;
    assert_ok(account_fsck(account, false, count_finding, NULL));
    assert_true(findings > 0);
    assert_ok(account_fsck(account, true, count_finding, NULL));
    struct store_rows rows = { 0 };
    enum err e = account_read(
        account, &(struct store_read_args){ .mailbox = 1, .need = STORE_NEED_BODY }, &arena, &rows);
    for (size_t i = 0; e == ERR_OK && i < rows.count; i++)
        assert_true(rows.at[i].body.ptr == NULL);
    close_all();
    assert_true(findings_of(true) > 0);
    assert_true(findings_of(false) > 0);
    open_all_but_account();
    assert_err(ERR_CORRUPT, store_account(store, SLICE("a1"), false, &account));
    account = NULL;
    assert_ok(store_account_remove(store, SLICE("b1")));
}

static void one_bit_in_any_page_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        append("INBOX", message(3000), 0);
    close_all();
    assert_int_equal(findings_of(false), 0);
    int fd = open(database_path(), O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > 8 * 8192);
    for (off_t at = 0; at < size; at += 8192) {
        off_t byte = at + at * 7 / 3 % 8192;
        change_byte(fd, byte);
        assert_true(findings_of(false) > 0);
        change_byte(fd, byte);
        assert_int_equal(findings_of(false), 0);
    }
    unsigned char pages[2][8192]; /* two pages whole in themselves, in each other's place */
    assert_int_equal(pread(fd, pages, sizeof pages, size - 2 * 8192), (ssize_t)sizeof pages);
    assert_int_equal(pwrite(fd, pages[1], 8192, size - 2 * 8192), 8192);
    assert_int_equal(pwrite(fd, pages[0], 8192, size - 8192), 8192);
    assert_true(findings_of(false) >= 2);
    assert_int_equal(pwrite(fd, pages, sizeof pages, size - 2 * 8192), (ssize_t)sizeof pages);
    close(fd);
    open_all();
    assert_int_equal(read_box("INBOX", STORE_NEED_BODY).count, 6);
}

TEST_MAIN(IN_ACCOUNT(opening_and_reading_write_nothing),
    IN_ACCOUNT(a_commit_without_room_leaves_the_account_as_it_was),
    IN_ACCOUNT(what_another_program_wrote_is_taken_by_repair),
    IN_ACCOUNT(rows_that_cannot_be_are_mended), IN_ACCOUNT(the_file_of_another_account_stays_shut),
    IN_ACCOUNT(older_files_are_read_and_upgraded), IN_ACCOUNT(a_damaged_summary_keeps_nobody_out),
    IN_ACCOUNT(a_filter_lives_and_dies_with_its_message), IN_ACCOUNT(one_bit_in_any_page_is_found))
