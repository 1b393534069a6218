/* What the confined process can no longer do, tried in a child. */
#include "server/core/sandbox.h"

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit codes of the child: 0 as wanted, 77 the kernel lacks it, others name the step. */
static int confined_child(const char *allowed, const char *other)
{
    const char *const write_dirs[] = { allowed, NULL };
    const char *const read_paths[] = { NULL };
    struct err_note note;
    char path[256];
    enum err e = sandbox_files(write_dirs, read_paths, &note);
    if (e == ERR_NOT_FOUND)
        return 77;
    if (e != ERR_OK)
        return 2;
    if (sandbox_calls(&note) != ERR_OK)
        return 3;
    (void)snprintf(path, sizeof path, "%s/inside", allowed);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    if (fd < 0)
        return 4;
    close(fd);
    (void)snprintf(path, sizeof path, "%s/outside", other);
    if (open(path, O_CREAT | O_WRONLY, 0600) >= 0 || errno != EACCES)
        return 5;
    if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
        return 6;
    char *const argv[] = { (char *)(uintptr_t) "true", NULL };
    execv("/bin/true", argv);
    if (errno != EPERM && errno != EACCES)
        return 7;
    return 0;
}

static void the_confined_process(void **state)
{
    (void)state;
    char allowed[] = "/tmp/barid-sandbox-XXXXXX", other[] = "/tmp/barid-sandbox-XXXXXX";
    assert_non_null(mkdtemp(allowed));
    assert_non_null(mkdtemp(other));
    pid_t child = fork();
    if (child == 0)
        _exit(confined_child(allowed, other));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    char path[256];
    (void)snprintf(path, sizeof path, "%s/inside", allowed);
    unlink(path);
    rmdir(allowed);
    rmdir(other);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void unknown_user(void **state)
{
    (void)state;
    struct err_note note;
    assert_err(ERR_NOT_FOUND, sandbox_become("no-such-user-here", &note));
    assert_non_null(strstr(note.text, "useradd"));
}

TEST_MAIN(cmocka_unit_test(the_confined_process), cmocka_unit_test(unknown_user))
