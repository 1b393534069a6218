/* Programs without a shell: posix_spawnp, a pipe, and an end to each wait. */
#include "client/core/command.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define READ_BYTES 4096u

/* input_fd -1: nothing. output_fd -1: our standard error, so that what a filter says does not mix with what we print. alone: a session of its own, without
 * our output. */
static enum err start(char *const *words, const char *name, int input_fd, int output_fd, bool alone,
    pid_t *out_pid, struct err_note *note)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual, none;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (input_fd < 0)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    else
        posix_spawn_file_actions_adddup2(&actions, input_fd, 0);
    if (alone) {
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    } else {
        posix_spawn_file_actions_adddup2(&actions, output_fd < 0 ? 2 : output_fd, 1);
    }
    /* we ignore SIGPIPE, which a program would inherit and most do not expect */
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes,
        (short)(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (alone ? POSIX_SPAWN_SETSID : 0)));
    int failed = posix_spawnp(out_pid, words[0], &actions, &attributes, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed)
        return err_noted(note, failed == ENOENT ? ERR_NOT_FOUND : ERR_IO,
            "%s: %s cannot be run: %s", name, words[0], strerror(failed));
    return ERR_OK;
}

/* A descriptor that is readable when the process has ended; -1 where the kernel has none. */
static int process_fd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Waits for its end, kills it at until_ms. *out_code as in the header. */
static enum err finish(pid_t pid, int64_t until_ms, int *out_code)
{
    int status = 0;
    enum err e = ERR_OK;
    autoclose int fd = process_fd(pid);
    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid)
            break;
        if (ended < 0 && errno != EINTR)
            return ERR_IO;
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0) {
            e = ERR_TIMEOUT;
            (void)kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
            break;
        }
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        (void)poll(&wait, fd >= 0, fd >= 0 ? (int)left_ms : 10);
    }
    *out_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return e;
}

static enum err read_output(int fd, int64_t until_ms, size_t bytes_max, struct buf *out)
{
    size_t had = buf_len(out);
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        int ready = left_ms <= 0 ? 0 : poll(&wait, 1, (int)left_ms);
        if (ready == 0)
            return ERR_TIMEOUT;
        if (ready < 0)
            continue;
        char *to = buf_room(out, READ_BYTES);
        if (!to)
            return ERR_LIMIT;
        ssize_t got = read(fd, to, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        if (got == 0)
            return ERR_OK;
        buf_wrote(out, (size_t)got);
        if (buf_len(out) - had > bytes_max)
            return ERR_LIMIT;
    }
}

enum err client_command_read(char *const *words, const char *name, int timeout_ms, size_t bytes_max,
    struct buf *out, struct err_note *note)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    int pipes[2], code = 0;
    pid_t pid = 0;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", name, strerror(errno));
    enum err e = start(words, name, -1, pipes[1], false, &pid, note);
    close(pipes[1]);
    if (e) {
        close(pipes[0]);
        return e;
    }
    e = read_output(pipes[0], until_ms, bytes_max, out);
    close(pipes[0]);
    enum err ended = finish(pid, e ? 0 : until_ms, &code);
    if (e == ERR_LIMIT)
        return err_noted(note, e, "%s: %s wrote more than %zu bytes", name, words[0], bytes_max);
    if (e == ERR_TIMEOUT || (!e && ended == ERR_TIMEOUT))
        return err_noted(note, ERR_TIMEOUT, "%s: %s took longer than %d seconds and was ended",
            name, words[0], timeout_ms / 1000);
    if (e || ended)
        return err_noted(note, ERR_IO, "%s: %s could not be read from", name, words[0]);
    if (code > 128)
        return err_noted(note, ERR_IO, "%s: %s was ended by signal %d", name, words[0], code - 128);
    if (code != 0)
        return err_noted(note, ERR_IO, "%s: %s ended with exit code %d", name, words[0], code);
    return ERR_OK;
}

enum err client_command_feed(char *const *words, const char *name, int timeout_ms, int input_fd,
    int *out_code, struct err_note *note)
{
    pid_t pid = 0;
    TRY(start(words, name, input_fd, -1, false, &pid, note));
    enum err e = finish(pid, clock_mono_ms() + timeout_ms, out_code);
    if (e == ERR_TIMEOUT)
        return err_noted(note, e, "%s: %s took longer than %d seconds and was ended", name,
            words[0], timeout_ms / 1000);
    return e ? err_noted(note, e, "%s: %s was lost sight of", name, words[0]) : ERR_OK;
}

enum err client_command_launch(char *const *words, const char *name, struct err_note *note)
{
    pid_t pid = 0;
    return start(words, name, -1, -1, true, &pid, note);
}
