/* One small file that is replaced whole, or a secret of the key ring. */
#include "client/core/oauth_keep.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/core/command.h"
#include "proto/sasl/sasl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS  60000 /* longer than any request that is made under it */
#define LOCK_PAUSE_MS 50
#define KEY_RING_MS   (120 * 1000) /* somebody may have to type its phrase */

static char *path_in(const struct oauth_keep *keep, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", keep->folder, name) < 0)
        abort();
    return path;
}

/* ---- the lock ---- */

static enum err wait_for_lock(int fd)
{
    const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000 };
    for (int64_t until_ms = clock_mono_ms() + LOCK_WAIT_MS; clock_mono_ms() < until_ms;) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return ERR_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ERR_IO;
        (void)nanosleep(&pause, NULL);
    }
    return ERR_BUSY;
}

enum err oauth_keep_open(
    const struct client_account *account, struct oauth_keep *keep, struct err_note *note)
{
    *keep = (struct oauth_keep){ .account = account, .lock = -1, .fresh = -1 };
    TRY(client_state_folder(account->name, &keep->folder, note));
    autofree char *path = path_in(keep, "oauth.lock");
    keep->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (keep->lock < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
    enum err e = wait_for_lock(keep->lock);
    if (e == ERR_BUSY)
        return err_noted(note, e, "another barid has been getting a token for a minute");
    return e ? err_noted(note, e, "%s: %s", path, strerror(errno)) : ERR_OK;
}

void oauth_keep_close(struct oauth_keep *keep)
{
    if (keep->fresh >= 0) {
        autofree char *path = path_in(keep, "oauth.new");
        (void)unlink(path);
        close(keep->fresh);
    }
    if (keep->lock >= 0)
        close(keep->lock);
    free(keep->folder);
    *keep = (struct oauth_keep){ .lock = -1, .fresh = -1 };
}

/* ---- the key ring ---- */

static enum err read_key_ring(struct oauth_keep *keep, struct buf *out, struct err_note *note)
{
    static char program[] = "secret-tool", verb[] = "lookup", attribute[] = "barid-oauth";
    char *words[] = { program, verb, attribute, keep->account->name, NULL };
    enum err e =
        client_command_read(words, "secret-service", KEY_RING_MS, OAUTH_STATE_BYTES_MAX, out, note);
    if (e == ERR_IO || (e == ERR_OK && buf_len(out) == 0)) /* it has no such secret */
        return ERR_NOT_FOUND;
    if (e == ERR_OK && buf_slice(out).ptr[buf_len(out) - 1] != '\n')
        buf_addc(out, '\n'); /* it may take the last one off */
    return e;
}

static enum err write_key_ring(struct oauth_keep *keep, struct slice text, struct err_note *note)
{
    static char program[] = "secret-tool", verb[] = "store", label[] = "--label=Barid",
                attribute[] = "barid-oauth";
    char *words[] = { program, verb, label, attribute, keep->account->name, NULL };
    autoclose int fd = memfd_create("barid-oauth", MFD_CLOEXEC); /* never on a disk */
    int code = 0;
    if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len || lseek(fd, 0, SEEK_SET) != 0)
        return err_noted(note, ERR_IO, "secret-service: %s", strerror(errno));
    TRY(client_command_feed(words, "secret-service", KEY_RING_MS, fd, &code, note));
    if (code != 0)
        return err_noted(note, ERR_IO, "secret-service: secret-tool ended with exit code %d", code);
    return ERR_OK;
}

/* ---- the file ---- */

static enum err check_file(int fd, const char *path, struct err_note *note)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_noted(note, ERR_DENIED, "%s is no file", path);
    if (st.st_uid != geteuid() || (st.st_mode & 077))
        return err_noted(note, ERR_DENIED, "%s can be used by others: chmod 600 it", path);
    return ERR_OK;
}

static enum err read_file(struct oauth_keep *keep, struct buf *out, struct err_note *note)
{
    autofree char *path = path_in(keep, "oauth");
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
    TRY(check_file(fd, path, note));
    for (;;) {
        size_t room = OAUTH_STATE_BYTES_MAX + 1 - buf_len(out);
        ssize_t got = room ? read(fd, buf_room(out, room), room) : -1;
        if (got < 0 && room && errno == EINTR)
            continue;
        if (got < 0)
            return err_noted(note, room ? ERR_IO : ERR_CORRUPT, "%s cannot be read", path);
        if (got == 0)
            return ERR_OK;
        buf_wrote(out, (size_t)got);
    }
}

enum err oauth_keep_read(struct oauth_keep *keep, struct oauth_state *state, struct err_note *note)
{
    struct buf text;
    buf_init(&text, 0);
    (void)buf_room(&text, OAUTH_STATE_BYTES_MAX + 8192); /* it never grows: no copy stays behind */
    enum err e = keep->account->secret_service ? read_key_ring(keep, &text, note)
                                               : read_file(keep, &text, note);
    if (e == ERR_OK) {
        e = oauth_state_read(buf_slice(&text), state);
        if (e != ERR_OK)
            (void)err_noted(
                note, e, "what is kept of the login of %s is damaged", keep->account->name);
    }
    sasl_buf_wipe(&text);
    return e;
}

enum err oauth_keep_reserve(struct oauth_keep *keep, size_t bytes, struct err_note *note)
{
    if (keep->account->secret_service || keep->fresh >= 0)
        return ERR_OK;
    autofree char *path = path_in(keep, "oauth.new");
    (void)unlink(path); /* of one that was killed; nobody else is here while the lock is held */
    keep->fresh = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (keep->fresh < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
    int failed = posix_fallocate(keep->fresh, 0, (off_t)bytes);
    if (failed == EOPNOTSUPP || failed == EINVAL) /* a file system that cannot promise */
        return ERR_OK;
    return failed ? err_noted(note, err_from_errno(failed), "%s: %s", path, strerror(failed))
                  : ERR_OK;
}

static enum err write_all(int fd, struct slice text)
{
    off_t at = 0;
    while (text.len > 0) {
        ssize_t wrote = pwrite(fd, text.ptr, text.len, at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return err_from_errno(errno);
        at += wrote;
        text = slice_from_index(text, (size_t)wrote);
    }
    return ftruncate(fd, at) < 0 || fsync(fd) < 0 ? err_from_errno(errno) : ERR_OK;
}

/* O-2 */
static enum err write_file(struct oauth_keep *keep, struct slice text, struct err_note *note)
{
    TRY(oauth_keep_reserve(keep, text.len, note));
    autofree char *fresh = path_in(keep, "oauth.new"), *path = path_in(keep, "oauth");
    autoclose int folder = open(keep->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err e = folder < 0 ? err_from_errno(errno) : write_all(keep->fresh, text);
    if (e == ERR_OK && (rename(fresh, path) < 0 || fsync(folder) < 0))
        e = err_from_errno(errno);
    if (e != ERR_OK)
        return err_noted(note, e, "%s: %s", path, strerror(errno));
    close(keep->fresh);
    keep->fresh = -1;
    return ERR_OK;
}

enum err oauth_keep_write(
    struct oauth_keep *keep, const struct oauth_state *state, struct err_note *note)
{
    struct buf text;
    buf_init(&text, 0);
    (void)buf_room(&text, OAUTH_STATE_BYTES_MAX + 8192);
    enum err e = oauth_state_write(state, &text);
    if (e != ERR_OK)
        e = err_noted(note, e, "the server's tokens cannot be kept");
    else if (keep->account->secret_service)
        e = write_key_ring(keep, buf_slice(&text), note);
    else
        e = write_file(keep, buf_slice(&text), note);
    sasl_buf_wipe(&text);
    return e;
}

void oauth_keep_forget(struct oauth_keep *keep)
{
    static char program[] = "secret-tool", verb[] = "clear", attribute[] = "barid-oauth";
    char *words[] = { program, verb, attribute, keep->account->name, NULL };
    struct buf said;
    struct err_note note;
    if (!keep->account->secret_service) {
        autofree char *path = path_in(keep, "oauth");
        (void)unlink(path);
        return;
    }
    buf_init(&said, 0);
    (void)!client_command_read(words, "secret-service", KEY_RING_MS, 4096, &said, &note);
    buf_done(&said);
}
