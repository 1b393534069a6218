/* The node's folder: made, swept, accounts removed whole. */
#include "store/store.h"

#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void touch(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void make(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static bool there(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void an_account_goes_whole(void **state)
{
    (void)state;
    char dir[] = "/tmp/barid-store-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct store *store;
    struct err_note note;
    assert_ok(store_open(&(struct store_options){ .root = dir }, &store, &note));
    make(dir, "accounts/a1");
    make(dir, "accounts/a1/big");
    touch(dir, "accounts/a1/mail.db");
    touch(dir, "accounts/a1/big/x");
    make(dir, "accounts/a2");
    touch(dir, "accounts/a2/mail.db");
    assert_ok(store_account_remove(store, SLICE("a1")));
    assert_false(there(dir, "accounts/a1"));
    assert_false(there(dir, "removed/a1"));
    assert_true(there(dir, "accounts/a2/mail.db"));
    assert_err(ERR_NOT_FOUND, store_account_remove(store, SLICE("a1")));
    static const char *const bad[] = { "", "..", "a/b", "A1", "a1/../a2", "a.1" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_err(ERR_SYNTAX, store_account_remove(store, slice_of(bad[i])));
    char long_id[66];
    memset(long_id, 'a', sizeof long_id);
    assert_err(ERR_SYNTAX, store_account_remove(store, slice_from(long_id, 65)));
    assert_err(ERR_NOT_FOUND, store_account_remove(store, slice_from(long_id, 64)));
    assert_ok(store_account_remove(store, SLICE("a2")));
    store_close(store);
    char path[64];
    (void)snprintf(path, sizeof path, "%s/accounts", dir);
    rmdir(path);
    (void)snprintf(path, sizeof path, "%s/removed", dir);
    rmdir(path);
    (void)snprintf(path, sizeof path, "%s/incoming", dir);
    rmdir(path);
    assert_int_equal(rmdir(dir), 0);
}

/* A crash between the rename and the deletion leaves the folder in removed/, one in the middle of a message its file in incoming/. */
static void the_start_sweeps_what_a_crash_left(void **state)
{
    (void)state;
    char dir[] = "/tmp/barid-store-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct store *store;
    struct err_note note;
    make(dir, "removed");
    make(dir, "removed/a1");
    make(dir, "removed/a1/big");
    touch(dir, "removed/a1/big/x");
    make(dir, "incoming");
    touch(dir, "incoming/00ff");
    assert_ok(store_open(&(struct store_options){ .root = dir }, &store, &note));
    assert_false(there(dir, "removed/a1"));
    assert_false(there(dir, "incoming/00ff"));
    store_close(store);
    char path[64];
    (void)snprintf(path, sizeof path, "%s/accounts", dir);
    rmdir(path);
    (void)snprintf(path, sizeof path, "%s/removed", dir);
    rmdir(path);
    (void)snprintf(path, sizeof path, "%s/incoming", dir);
    rmdir(path);
    assert_int_equal(rmdir(dir), 0);
}

static void no_folder_no_store(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct err_note note = { "" };
    assert_err(ERR_NOT_FOUND,
        store_open(&(struct store_options){ .root = "/nonexistent/x" }, &store, &note));
    assert_non_null(strstr(note.text, "/nonexistent/x"));
    assert_null(store);
}

TEST_MAIN(cmocka_unit_test(an_account_goes_whole),
    cmocka_unit_test(the_start_sweeps_what_a_crash_left), cmocka_unit_test(no_folder_no_store))
