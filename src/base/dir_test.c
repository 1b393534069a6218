/* Trees go whole, and what a link points to stays. */
#include "base/dir.h"

#include "base/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int root;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/barid-dir-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root < 0;
}

static int tear_down(void **state)
{
    (void)state;
    int failed = dir_empty(AT_FDCWD, folder) != ERR_OK;
    close(root);
    return failed | rmdir(folder);
}

static void make_file(const char *path)
{
    int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static bool there(const char *path)
{
    return faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void a_path_is_made(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a/b/c", folder);
    assert_ok(dir_make_path(path));
    assert_true(there("a/b/c"));
    assert_ok(dir_make_path(path)); /* it is there */
    make_file("a/file");
    (void)snprintf(path, sizeof path, "%s/a/file/x", folder);
    assert_true(dir_make_path(path) != ERR_OK);
}

static void a_tree_goes(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(root, "tree", 0700), 0);
    assert_int_equal(mkdirat(root, "tree/inner", 0700), 0);
    make_file("tree/one");
    make_file("tree/inner/two");
    assert_ok(dir_empty(root, "tree"));
    assert_true(there("tree"));
    assert_false(there("tree/inner"));
    assert_ok(dir_remove(root, "tree"));
    assert_false(there("tree"));
    assert_ok(dir_remove(root, "tree"));
    assert_err(ERR_NOT_FOUND, dir_empty(root, "tree"));
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(root, "kept", 0700), 0);
    assert_int_equal(mkdirat(root, "tree", 0700), 0);
    make_file("kept/file");
    assert_int_equal(symlinkat("../kept", root, "tree/link"), 0);
    assert_int_equal(symlinkat("kept", root, "link"), 0);
    assert_ok(dir_remove(root, "tree"));
    assert_true(there("kept/file"));
    DIR *dir;
    assert_true(dir_open(root, "link", &dir) != ERR_OK);
    assert_null(dir);
    assert_true(dir_remove(root, "link") != ERR_OK);
    assert_true(there("kept/file"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TEST_MAIN(IN_FOLDER(a_tree_goes), IN_FOLDER(a_path_is_made), IN_FOLDER(a_link_is_not_followed))
