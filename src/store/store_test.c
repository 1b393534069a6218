/* The node's folder: made, swept, one process at a time, accounts removed whole. */
#include "store/store.h"

#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct store *store; /* of the test; closed by tear_down */

static const char *below(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    store = NULL;
    (void)snprintf(folder, sizeof folder, "/tmp/barid-store-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = { "accounts", "removed", "incoming" };
    store_close(store);
    for (size_t i = 0; i < 3; i++)
        (void)rmdir(below(names[i]));
    return rmdir(folder); /* fails when a test left something behind */
}

static void open_store(void)
{
    struct err_note note = { "" };
    if (store_open(&(struct store_options){ .root = folder }, &store, &note) != ERR_OK)
        fail_msg("%s", note.text);
}

static void touch(const char *name)
{
    int fd = open(below(name), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void make(const char *name)
{
    assert_int_equal(mkdir(below(name), 0700), 0);
}

static bool there(const char *name)
{
    return access(below(name), F_OK) == 0;
}

static void an_account_goes_whole(void **state)
{
    (void)state;
    open_store();
    make("accounts/a1");
    make("accounts/a1/big");
    touch("accounts/a1/mail.db");
    touch("accounts/a1/big/x");
    make("accounts/a2");
    touch("accounts/a2/mail.db");
    assert_ok(store_account_remove(store, SLICE("a1")));
    assert_false(there("accounts/a1"));
    assert_false(there("removed/a1"));
    assert_true(there("accounts/a2/mail.db"));
    assert_err(ERR_NOT_FOUND, store_account_remove(store, SLICE("a1")));
    static const char *const bad[] = { "", "..", "a/b", "A1", "a1/../a2", "a.1" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_err(ERR_SYNTAX, store_account_remove(store, slice_of(bad[i])));
    char long_id[66];
    memset(long_id, 'a', sizeof long_id);
    assert_err(ERR_SYNTAX, store_account_remove(store, slice_from(long_id, 65)));
    assert_err(ERR_NOT_FOUND, store_account_remove(store, slice_from(long_id, 64)));
    assert_ok(store_account_remove(store, SLICE("a2")));
}

/* A crash between the rename and the deletion leaves the folder in removed/, one in the middle of a message its file in incoming/. */
static void the_start_sweeps_what_a_crash_left(void **state)
{
    (void)state;
    make("removed");
    make("removed/a1");
    make("removed/a1/big");
    touch("removed/a1/big/x");
    make("incoming");
    touch("incoming/00ff");
    open_store();
    assert_false(there("removed/a1"));
    assert_false(there("incoming/00ff"));
}

/* Else the second would sweep what the first is taking in. */
static void one_process_at_a_time(void **state)
{
    (void)state;
    open_store();
    touch("incoming/00ff");
    struct store *second = NULL;
    struct err_note note = { "" };
    assert_err(ERR_BUSY, store_open(&(struct store_options){ .root = folder }, &second, &note));
    assert_non_null(strstr(note.text, "in use"));
    assert_null(second);
    assert_true(there("incoming/00ff"));
    store_close(store);
    open_store(); /* free again */
    assert_false(there("incoming/00ff"));
}

static void no_folder_no_store(void **state)
{
    (void)state;
    struct store *none = NULL;
    struct err_note note = { "" };
    assert_err(ERR_NOT_FOUND,
        store_open(&(struct store_options){ .root = "/nonexistent/x" }, &none, &note));
    assert_non_null(strstr(note.text, "/nonexistent/x"));
    assert_null(none);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TEST_MAIN(IN_FOLDER(an_account_goes_whole), IN_FOLDER(the_start_sweeps_what_a_crash_left),
    IN_FOLDER(one_process_at_a_time), IN_FOLDER(no_folder_no_store))
