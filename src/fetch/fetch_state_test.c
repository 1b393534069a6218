/* pop3.db: what is remembered, of which mailbox, and what is durable when. */
#include "fetch/state.h"

#include "base/test.h"
#include "sql/sql.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/barid-state-XXXXXX");
    snprintf(path, sizeof path, "%s", mkdtemp(folder) ? folder : "/nowhere");
    strncat(path, "/pop3.db", sizeof path - strlen(path) - 1);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    remove_database(path);
    return rmdir(folder);
}

static struct fetch_state *open_state(const char *host, const char *user)
{
    struct fetch_state *state = NULL;
    struct err_note note = { "" };
    if (fetch_state_open(folder, host, user, &state, &note))
        fail_msg("%s", note.text);
    return state;
}

static enum fetch_known known(struct fetch_state *state, const char *key)
{
    struct fetch_record record = { .known = FETCH_UNKNOWN };
    assert_ok(fetch_state_get(state, slice_of(key), &record));
    return record.known;
}

static void test_remembers_what_was_committed(void **test_state)
{
    (void)test_state;
    struct fetch_state *state = open_state("h", "u");
    char tag[16];
    snprintf(tag, sizeof tag, "%s", fetch_state_tag(state));
    assert_int_equal(strlen(tag), FETCH_TAG_CHARS);
    assert_ok(fetch_state_set(state, SLICE("ua"), FETCH_FETCHED, 100, NULL, FETCH_UNKNOWN));
    assert_ok(fetch_state_commit(state));
    assert_ok(fetch_state_set(state, SLICE("ub"), FETCH_FETCHED, 100, NULL, FETCH_UNKNOWN));
    assert_int_equal(known(state, "ub"), FETCH_FETCHED);
    fetch_state_close(state); /* not committed: as a crash would have it */
    state = open_state("h", "u");
    assert_string_equal(fetch_state_tag(state), tag);
    assert_int_equal(known(state, "ua"), FETCH_FETCHED);
    assert_int_equal(known(state, "ub"), FETCH_UNKNOWN);
    assert_ok(fetch_state_set(state, SLICE("ua"), FETCH_DELETING, 200, NULL, FETCH_UNKNOWN));
    assert_ok(fetch_state_commit(state));
    struct fetch_record record;
    assert_ok(fetch_state_get(state, SLICE("ua"), &record));
    assert_int_equal(record.known, FETCH_DELETING);
    assert_int_equal(record.at_s, 200);
    fetch_state_close(state);
}

static void test_mailboxes_are_apart(void **test_state)
{
    (void)test_state;
    struct fetch_state *state = open_state("h", "u");
    assert_ok(fetch_state_set(state, SLICE("u1"), FETCH_FETCHED, 1, NULL, FETCH_UNKNOWN));
    assert_ok(fetch_state_commit(state));
    fetch_state_close(state);
    state = open_state("h", "other");
    assert_int_equal(known(state, "u1"), FETCH_UNKNOWN);
    fetch_state_close(state);
    state = open_state("H", "u"); /* the same host */
    assert_int_equal(known(state, "u1"), FETCH_FETCHED);
    fetch_state_close(state);
    state = open_state("H", "U");
    assert_int_equal(known(state, "u1"), FETCH_UNKNOWN);
    fetch_state_close(state);
    state = open_state("elsewhere", "u");
    assert_int_equal(known(state, "u1"), FETCH_UNKNOWN);
    fetch_state_close(state);
    state = open_state("h", "u");
    assert_int_equal(known(state, "u1"), FETCH_FETCHED);
    fetch_state_close(state);
}

static enum err count_file(void *arg, const char *file)
{
    assert_string_equal(file, "/mail/tmp/x");
    ++*(int *)arg;
    return ERR_OK;
}

static void test_arriving(void **test_state)
{
    (void)test_state;
    struct fetch_state *state = open_state("h", "u");
    int count = 0;
    assert_ok(fetch_state_set(state, SLICE("ua"), FETCH_ARRIVING, 1, "/mail/tmp/x", FETCH_FETCHED));
    assert_ok(fetch_state_set(state, SLICE("ub"), FETCH_ARRIVING, 1, "/mail/tmp/x", FETCH_NOTED));
    assert_ok(fetch_state_commit(state));
    fetch_state_close(state);
    state = open_state("h", "other"); /* the mailbox that was fetched may be another one now */
    assert_ok(fetch_state_arriving(state, count_file, &count));
    assert_int_equal(count, 2);
    assert_ok(fetch_state_arrived(state));
    assert_ok(fetch_state_commit(state));
    fetch_state_close(state);
    state = open_state("h", "u");
    assert_int_equal(known(state, "ua"), FETCH_FETCHED);
    assert_int_equal(known(state, "ub"), FETCH_NOTED);
    count = 0;
    assert_ok(fetch_state_arriving(state, count_file, &count));
    assert_int_equal(count, 0);
    fetch_state_close(state);
}

/* What is gone with its place comes again; the rest is what it was to become. */
static void test_lost(void **test_state)
{
    (void)test_state;
    struct fetch_state *state = open_state("h", "u");
    assert_ok(fetch_state_set(state, SLICE("ua"), FETCH_ARRIVING, 1, "/mail/tmp/a", FETCH_FETCHED));
    assert_ok(fetch_state_set(state, SLICE("ub"), FETCH_ARRIVING, 1, "/mail/tmp/b", FETCH_FETCHED));
    assert_ok(fetch_state_lost(state, "/mail/tmp/a"));
    assert_ok(fetch_state_arrived(state));
    assert_ok(fetch_state_commit(state));
    assert_int_equal(known(state, "ua"), FETCH_UNKNOWN);
    assert_int_equal(known(state, "ub"), FETCH_FETCHED);
    fetch_state_close(state);
}

static void test_forgets_what_is_long_gone(void **test_state)
{
    (void)test_state;
    struct fetch_state *state = open_state("h", "u");
    int64_t day_s = 86400;
    assert_ok(fetch_state_set(state, SLICE("old"), FETCH_FETCHED, 10 * day_s, NULL, FETCH_UNKNOWN));
    assert_ok(
        fetch_state_set(state, SLICE("seen"), FETCH_FETCHED, 10 * day_s, NULL, FETCH_UNKNOWN));
    assert_ok(fetch_state_seen(state, SLICE("seen"), 300));
    assert_ok(fetch_state_forget(state, 10));
    assert_int_equal(known(state, "old"), FETCH_FETCHED);
    assert_ok(fetch_state_forget(state, 11));
    assert_int_equal(known(state, "old"), FETCH_UNKNOWN);
    assert_int_equal(known(state, "seen"), FETCH_FETCHED);
    assert_ok(fetch_state_commit(state));
    fetch_state_close(state);
}

static void test_keys_are_bytes(void **test_state)
{
    (void)test_state;
    struct fetch_state *state = open_state("h", "u");
    assert_ok(fetch_state_set(state, SLICE("u1"), FETCH_FETCHED, 1, NULL, FETCH_UNKNOWN));
    assert_int_equal(known(state, "U1"), FETCH_UNKNOWN);
    assert_int_equal(known(state, "u01"), FETCH_UNKNOWN);
    assert_int_equal(known(state, "u1.0"), FETCH_UNKNOWN);
    char text[8];
    assert_ok(fetch_state_text_set(state, "name", "value"));
    assert_ok(fetch_state_text(state, "name", text, sizeof text));
    assert_string_equal(text, "value");
    assert_ok(fetch_state_text(state, "none", text, sizeof text));
    assert_string_equal(text, "");
    fetch_state_close(state);
}

static void test_damaged(void **test_state)
{
    (void)test_state;
    struct fetch_state *state = NULL;
    struct err_note note = { "" };
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "no database at all\n", 19), 19);
    close(fd);
    assert_err(ERR_CORRUPT, fetch_state_open(folder, "h", "u", &state, &note));
    assert_non_null(strstr(note.text, "pop3.db"));
    assert_null(state);
    fetch_state_close(NULL);
}

/* A file of a newer Barid is not damaged: who moved it away would get all mail once more. */
static void test_newer(void **test_state)
{
    (void)test_state;
    static const struct sql_options options = { .sharing = SQL_SHARED, .constraint = ERR_CORRUPT };
    struct fetch_state *state = open_state("h", "u");
    struct err_note note = { "" };
    struct sql_db file;
    fetch_state_close(state);
    assert_ok(sql_open(&file, path, &options));
    assert_ok(sql_exec(&file, "PRAGMA user_version=2"));
    sql_close(&file);
    state = NULL;
    for (int i = 0; i < 2; i++) {
        assert_err(ERR_DENIED, fetch_state_open(folder, "h", "u", &state, &note));
        assert_non_null(strstr(note.text, "newer Barid (format 2; this one knows 1)"));
    }
    assert_null(state);
    assert_ok(sql_open(&file, path, &options));
    assert_ok(sql_exec(&file, "PRAGMA user_version=1;DROP TABLE setting"));
    sql_close(&file);
    assert_err(ERR_CORRUPT, fetch_state_open(folder, "h", "u", &state, &note));
    assert_non_null(strstr(note.text, "no such table"));
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

TEST_MAIN(IN_A_FOLDER(test_remembers_what_was_committed), IN_A_FOLDER(test_mailboxes_are_apart),
    IN_A_FOLDER(test_arriving), IN_A_FOLDER(test_lost), IN_A_FOLDER(test_forgets_what_is_long_gone),
    IN_A_FOLDER(test_keys_are_bytes), IN_A_FOLDER(test_damaged), IN_A_FOLDER(test_newer))
