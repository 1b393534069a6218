/* Outgoing rows end once: delivered, bounced, or tried again; over crashes, full mailboxes and bytes that cannot be read. */
#include "deliver/outbox.h"

#include "base/clock.h"
#include "base/test.h"
#include "deliver/deliver.h"

#include <dirent.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS_MAX 20000 /* a guard against hanging: what is waited for takes milliseconds */

static char folder[64];
static struct store *store;
static struct directory *directory;
static struct outbox *outbox;
static struct arena arena;
static struct user salma, omar;

static void open_all(void)
{
    struct err_note note = { "" };
    char path[128];
    assert_ok(store_open(
        &(struct store_options){ .root = folder, .body_row_bytes_max = 4096 }, &store, &note));
    (void)snprintf(path, sizeof path, "%s/directory.db", folder);
    assert_ok(directory_open(path, true, &directory, &note));
    assert_ok(outbox_new(&(struct outbox_options){ .store = store,
                             .directory = directory,
                             .data_dir = folder,
                             .hostname = "mail.barid.test",
                             .test_addresses = true,
                             .slow_ms = 60000 },
        &outbox, &note));
}

static void close_all(void)
{
    outbox_stop(outbox);
    outbox_free(outbox);
    directory_close(directory);
    store_close(store);
}

static void reopen(void)
{
    close_all();
    open_all();
}

static struct user add_user(const char *address)
{
    const struct user_new user = { .address = slice_of(address),
        .imported_hash = SLICE("$5$saltsalt$f69r9cTe07zJ6bD2kR8nF0Yp1pE8N0b8tY3yG1m7ZcA"),
        .services = USER_IMAP };
    struct user out;
    assert_ok(directory_users_add(directory, &user, 1, NULL));
    assert_ok(directory_user(directory, user.address, &out));
    return out;
}

static int set_up(void **state)
{
    (void)state;
    struct err_note note;
    (void)snprintf(folder, sizeof folder, "/tmp/barid-outbox-XXXXXX");
    assert_non_null(mkdtemp(folder));
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    open_all();
    assert_ok(directory_domain_add(directory, SLICE("barid.test"), &note));
    salma = add_user("salma@barid.test");
    omar = add_user("omar@barid.test");
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    close_all();
    arena_done(&arena);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct account *account_of(const struct user *user)
{
    struct account *account;
    assert_ok(store_account(store, slice_of(user->id), true, &account));
    return account;
}

static struct store_rows inbox(const struct user *user)
{
    struct account *account = account_of(user);
    struct mailbox box;
    struct store_rows rows;
    assert_ok(account_mailbox(account, SLICE("INBOX"), &arena, &box));
    assert_ok(account_read(account,
        &(struct store_read_args){ .mailbox = box.id, .need = STORE_NEED_EMAIL | STORE_NEED_BODY },
        &arena, &rows));
    account_unref(account);
    return rows;
}

static size_t waiting(struct store_outgoing **out_rows)
{
    struct account *account = account_of(&salma);
    size_t count;
    assert_ok(account_outgoing(account, INT64_MAX, 100, &arena, out_rows, &count));
    account_unref(account);
    return count;
}

static struct blob *blob_of(size_t body_bytes)
{
    struct blob *blob;
    char *text = arena_alloc(&arena, body_bytes + 256);
    int len = snprintf(text, 256,
        "From: salma@barid.test\r\nSubject: %zu\r\nMessage-ID: <%zu@barid.test>\r\n\r\n",
        body_bytes, body_bytes);
    memset(text + len, 'x', body_bytes);
    assert_ok(blob_new(store, MESSAGE_BYTES_MAX, &blob));
    assert_ok(blob_write(blob, slice_from(text, (size_t)len + body_bytes)));
    assert_ok(blob_finish(blob));
    return blob;
}

/* Accepts a message as submission does; the worker is not woken. */
static void submit_quietly(const char *sender, const char *recipient, size_t body_bytes)
{
    struct blob *blob = blob_of(body_bytes);
    const struct slice to = slice_of(recipient);
    struct account *account = account_of(&salma);
    bool over_quota;
    assert_ok(outbox_mark(outbox, slice_of(salma.id)));
    assert_ok(account_submit(account,
        &(struct store_submit){
            .blob = blob, .sender = slice_of(sender), .recipients = &to, .recipient_count = 1 },
        &over_quota));
    account_unref(account);
    blob_unref(blob);
}

static void submit(const char *sender, const char *recipient, size_t body_bytes)
{
    submit_quietly(sender, recipient, body_bytes);
    outbox_wake(outbox, slice_of(salma.id));
}

/* Until so many rows wait and each that does was tried at least so often. */
static void wait_for_rows(size_t count, unsigned attempts, struct store_outgoing **out_rows)
{
    for (int64_t ms = 0;; ms += 5) {
        size_t left = waiting(out_rows), tried = 0;
        for (size_t i = 0; i < left; i++)
            tried += (*out_rows)[i].attempts >= attempts;
        if (left == count && tried == left)
            return;
        if (ms > WAIT_MS_MAX)
            fail_msg("%zu rows wait, %zu of them tried %u times; wanted %zu", left, tried, attempts,
                count);
        (void)usleep(5000);
    }
}

static void wait_until_empty(void)
{
    struct store_outgoing *rows;
    wait_for_rows(0, 0, &rows);
}

/* Makes a waiting row due; returns when nothing waits. */
static void try_now(const struct store_outgoing *row)
{
    struct account *account = account_of(&salma);
    assert_ok(account_outgoing_retry(account, row->id, clock_wall_s(), SLICE("now")));
    account_unref(account);
    outbox_wake(outbox, slice_of(salma.id));
    wait_until_empty();
}

static bool has(struct slice text, const char *what)
{
    return memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

/* What agenda.db names, seen by another reader once the outbox is closed. */
static int agenda_rows(void)
{
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *statement;
    (void)snprintf(path, sizeof path, "%s/agenda.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*) FROM agenda", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int count = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return count;
}

static void a_message_is_delivered_once(void **state)
{
    (void)state;
    outbox_start(outbox);
    submit("salma@barid.test", "omar@barid.test", 100);
    submit("salma@barid.test", "omar@barid.test", 9000); /* bytes in a file of their own */
    wait_until_empty();
    struct store_rows rows = inbox(&omar);
    assert_int_equal(rows.count, 2);
    assert_true(slice_starts(rows.at[0].body, SLICE("Return-Path: <salma@barid.test>\r\nFrom: ")));
    assert_int_equal(inbox(&salma).count, 0);
}

static void replace_agenda(const char *with)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/agenda.db-wal", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/agenda.db", folder);
    assert_int_equal(unlink(path), 0);
    if (!with)
        return;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        assert_true(fputs(with, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* It is derived: what waits is in the accounts. */
static void a_lost_or_damaged_agenda_is_made_anew(void **state)
{
    (void)state;
    static const char *const with[] = { NULL, "this is no database\n" };
    for (size_t i = 0; i < 2; i++) {
        submit_quietly("salma@barid.test", "omar@barid.test", 100 + i);
        close_all();
        replace_agenda(with[i]);
        open_all();
        outbox_start(outbox);
        wait_until_empty();
        assert_int_equal(inbox(&omar).count, i + 1);
        close_all();
        open_all();
    }
}

/* A table that the statements do not fit is damage too. */
static void another_agenda_is_made_anew(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *db;
    submit_quietly("salma@barid.test", "omar@barid.test", 100);
    close_all();
    replace_agenda(NULL);
    (void)snprintf(path, sizeof path, "%s/agenda.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE agenda(other)", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    open_all();
    outbox_start(outbox);
    wait_until_empty();
    assert_int_equal(inbox(&omar).count, 1);
}

static void the_agenda_forgets_who_has_nothing(void **state)
{
    (void)state;
    outbox_start(outbox);
    submit("salma@barid.test", "omar@barid.test", 100);
    wait_until_empty();
    close_all();
    assert_int_equal(agenda_rows(), 0);
    open_all();
    outbox_start(outbox);
    submit("salma@barid.test", "omar+tempfail@barid.test", 100);
    struct store_outgoing *rows;
    wait_for_rows(1, 1, &rows);
    close_all();
    assert_int_equal(agenda_rows(), 1);
    open_all();
}

static void what_was_accepted_before_a_crash_is_sent_after_it(void **state)
{
    (void)state;
    submit_quietly("salma@barid.test", "omar@barid.test", 100); /* no wake: killed here */
    reopen();
    outbox_start(outbox);
    wait_until_empty();
    assert_int_equal(inbox(&omar).count, 1);
}

static void a_crash_after_filing_files_nothing_twice(void **state)
{
    (void)state;
    submit_quietly("salma@barid.test", "omar@barid.test", 100);
    struct store_outgoing *rows;
    bool over_quota;
    assert_int_equal(waiting(&rows), 1);
    struct blob *blob = blob_of(100);
    assert_ok(deliver_file(
        &(struct deliver_args){
            .store = store, .user = &omar, .blob = blob, .guid = rows[0].guid, .received_s = 1 },
        &over_quota));
    blob_unref(blob);
    reopen();
    outbox_start(outbox);
    wait_until_empty();
    assert_int_equal(inbox(&omar).count, 1);
}

static void what_cannot_be_delivered_comes_back(void **state)
{
    (void)state;
    outbox_start(outbox);
    submit("salma@barid.test", "nobody@barid.test", 100);
    submit("salma@barid.test", "omar+permfail@barid.test", 100);
    wait_until_empty();
    assert_int_equal(inbox(&omar).count, 0);
    struct store_rows rows = inbox(&salma);
    assert_int_equal(rows.count, 2);
    struct slice bounce = rows.at[0].body;
    assert_true(slice_starts(bounce, SLICE("Return-Path: <>\r\n")));
    assert_true(has(bounce, "Final-Recipient: rfc822; nobody@barid.test\r\n"));
    assert_true(has(bounce, "Action: failed\r\n"));
    assert_true(has(bounce, "\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n"
                            "Content-Type: multipart/report;"));
    assert_true(has(bounce, "Auto-Submitted: auto-replied\r\n"));
    assert_true(has(bounce, "Message-ID: <100@barid.test>\r\n")); /* the header of what was sent */
    assert_false(has(bounce, "xxxx"));                            /* and not its text */
}

/* RFC 6533 */
static void an_address_that_is_not_ascii_comes_back_in_types_of_its_own(void **state)
{
    (void)state;
    outbox_start(outbox);
    submit("salma@barid.test", "ليلى@barid.test", 100);
    wait_until_empty();
    struct store_rows rows = inbox(&salma);
    assert_int_equal(rows.count, 1);
    struct slice bounce = rows.at[0].body;
    assert_true(has(bounce,
        "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
    assert_true(has(bounce, "Final-Recipient: utf-8; ليلى@barid.test\r\n"));
    assert_true(has(bounce, "Content-Type: text/rfc822-headers\r\n"));
    assert_false(has(bounce, "message/delivery-status"));
}

static void a_bounce_never_bounces(void **state)
{
    (void)state;
    outbox_start(outbox);
    submit("", "nobody@barid.test", 100);
    wait_until_empty();
    assert_int_equal(inbox(&salma).count, 0);
}

static void a_full_mailbox_is_tried_again(void **state)
{
    (void)state;
    omar.quota_messages = 1;
    assert_ok(directory_user_set(directory, &omar));
    outbox_start(outbox);
    submit("salma@barid.test", "omar@barid.test", 1);
    wait_until_empty();
    submit("salma@barid.test", "omar@barid.test", 2);
    struct store_outgoing *rows;
    wait_for_rows(1, 1, &rows);
    assert_true(rows[0].next_s >= rows[0].created_s + 60);
    assert_true(has(rows[0].status, "full"));
    assert_int_equal(inbox(&salma).count, 0);

    omar.quota_messages = 0;
    assert_ok(directory_user_set(directory, &omar));
    try_now(&rows[0]);
    assert_int_equal(inbox(&omar).count, 2);
}

/* Changes rows of the sender's database while nobody has it open. */
static void change_outgoing(const char *sql)
{
    close_all();
    char path[256];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/accounts/%s/mail.db", folder, salma.id);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    /* into the log alone: SQLite itself would write pages without their checksums */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    (void)sqlite3_close(db);
    open_all();
}

static void after_five_days_the_sender_is_told(void **state)
{
    (void)state;
    submit_quietly("salma@barid.test", "omar+tempfail@barid.test", 100);
    outbox_wake(outbox, slice_of(salma.id));
    change_outgoing("UPDATE outgoing SET created=created-5*86400+600");
    outbox_start(outbox);
    struct store_outgoing *left;
    wait_for_rows(1, 1, &left); /* ten minutes are left */
    change_outgoing("UPDATE outgoing SET created=created-700, next=0, attempts=8");
    outbox_start(outbox);
    wait_until_empty();
    struct store_rows rows = inbox(&salma);
    assert_int_equal(rows.count, 1);
    assert_true(has(rows.at[0].body, "temporary failure"));
}

/* What was accepted while the clock was a year ahead does not wait for a year, nor is tried for one. */
static void a_clock_that_was_ahead(void **state)
{
    (void)state;
    submit_quietly("salma@barid.test", "omar@barid.test", 100);
    submit_quietly("salma@barid.test", "omar+tempfail@barid.test", 101);
    struct store_outgoing *rows;
    change_outgoing(
        "UPDATE outgoing SET created=created+366*86400, next=next+366*86400 WHERE id=1");
    change_outgoing(
        "UPDATE outgoing SET created=created+366*86400, next=next+366*86400 WHERE id=2");
    outbox_start(outbox);
    wait_for_rows(1, 1, &rows);
    assert_int_equal(inbox(&omar).count, 1);
    assert_true(rows[0].next_s <= clock_wall_s() + STORE_OUTGOING_WAIT_S_MAX);
    change_outgoing("UPDATE outgoing SET next=0, attempts=39");
    outbox_start(outbox);
    wait_until_empty();
    assert_int_equal(inbox(&salma).count, 1);
}

/* The clock of a machine that had no time yet says 1970: what it accepted then is not given up at its first try. */
static void a_clock_that_was_behind(void **state)
{
    (void)state;
    submit_quietly("salma@barid.test", "omar+tempfail@barid.test", 100);
    struct store_outgoing *rows;
    change_outgoing("UPDATE outgoing SET created=0, next=0");
    outbox_start(outbox);
    wait_for_rows(1, 1, &rows);
    assert_int_equal(inbox(&salma).count, 0);
}

/* A message whose bytes are damaged does not hold up the others, and its sender is told in the end. */
static void unreadable_bytes_hold_nobody_up(void **state)
{
    (void)state;
    submit_quietly("salma@barid.test", "omar@barid.test", 9000);
    char path[512];
    (void)snprintf(path, sizeof path, "%s/accounts/%s/big", folder, salma.id);
    DIR *big = opendir(path);
    assert_non_null(big);
    for (struct dirent *entry; (entry = readdir(big));)
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(big), entry->d_name, 0), 0);
    closedir(big);
    submit_quietly("salma@barid.test", "omar@barid.test", 100);
    outbox_start(outbox);
    outbox_wake(outbox, slice_of(salma.id));
    struct store_outgoing *rows;
    wait_for_rows(1, 1, &rows);
    assert_int_equal(inbox(&omar).count, 1);
    change_outgoing("UPDATE outgoing SET created=created-6*86400, next=0, attempts=8");
    outbox_start(outbox);
    wait_until_empty();
    struct store_rows bounces = inbox(&salma);
    assert_int_equal(bounces.count, 1);
    assert_true(has(bounces.at[0].body, "Final-Recipient: rfc822; omar@barid.test\r\n"));
}

static void an_alias_with_a_full_mailbox_fills_the_other_once(void **state)
{
    (void)state;
    struct user layla = add_user("layla@barid.test");
    assert_ok(
        directory_alias_add(directory, SLICE("all@barid.test"), SLICE("omar@barid.test"), NULL));
    assert_ok(
        directory_alias_add(directory, SLICE("all@barid.test"), SLICE("layla@barid.test"), NULL));
    layla.quota_bytes = 1;
    assert_ok(directory_user_set(directory, &layla));
    outbox_start(outbox);
    submit("salma@barid.test", "all@barid.test", 100);
    struct store_outgoing *rows;
    wait_for_rows(1, 1, &rows);
    assert_int_equal(inbox(&omar).count, 1); /* not kept waiting */
    assert_int_equal(inbox(&layla).count, 0);
    layla.quota_bytes = 0;
    assert_ok(directory_user_set(directory, &layla));
    try_now(&rows[0]);
    assert_int_equal(inbox(&omar).count, 1);
    assert_int_equal(inbox(&layla).count, 1);
}

#define IN_OUTBOX(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TEST_MAIN(IN_OUTBOX(a_message_is_delivered_once), IN_OUTBOX(the_agenda_forgets_who_has_nothing),
    IN_OUTBOX(a_lost_or_damaged_agenda_is_made_anew), IN_OUTBOX(another_agenda_is_made_anew),
    IN_OUTBOX(what_was_accepted_before_a_crash_is_sent_after_it),
    IN_OUTBOX(a_crash_after_filing_files_nothing_twice),
    IN_OUTBOX(what_cannot_be_delivered_comes_back),
    IN_OUTBOX(an_address_that_is_not_ascii_comes_back_in_types_of_its_own),
    IN_OUTBOX(a_bounce_never_bounces), IN_OUTBOX(a_full_mailbox_is_tried_again),
    IN_OUTBOX(after_five_days_the_sender_is_told), IN_OUTBOX(a_clock_that_was_ahead),
    IN_OUTBOX(a_clock_that_was_behind), IN_OUTBOX(unreadable_bytes_hold_nobody_up),
    IN_OUTBOX(an_alias_with_a_full_mailbox_fills_the_other_once))
