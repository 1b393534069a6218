/* accounts.conf on disk: who may have written it, and how it is changed without ever being half there. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "client/core/account_int.h"

#include "base/dir.h"
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* ---- reading ---- */

/* It names commands that run as this user, and servers that get the password: whoever can write it is this user. */
static enum err check_owner(int fd, const char *path, struct err_note *note)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_noted(note, ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_noted(note, ERR_DENIED, "%s is no file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_noted(note, ERR_DENIED, "%s belongs to another user", path);
    if (st.st_mode & 022)
        return err_noted(note, ERR_DENIED,
            "others can write %s: chmod 600 it, after a look at what it says", path);
    return ERR_OK;
}

static enum err read_all(int fd, const char *path, struct buf *out, struct err_note *note)
{
    for (;;) {
        char *to = buf_room(out, 16384);
        if (!to)
            return err_noted(
                note, ERR_LIMIT, "%s is over %u bytes", path, CLIENT_ACCOUNTS_BYTES_MAX);
        ssize_t got = read(fd, to, 16384);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
        if (got == 0)
            return ERR_OK;
        buf_wrote(out, (size_t)got);
    }
}

static enum err read_text(const char *path, struct buf *out, struct err_note *note)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
    TRY(check_owner(fd, path, note));
    return read_all(fd, path, out, note);
}

enum err client_accounts_read(
    const char *path, struct client_accounts *out_accounts, struct err_note *note)
{
    struct buf text;
    buf_init(&text, CLIENT_ACCOUNTS_BYTES_MAX + 16384);
    enum err e = read_text(path, &text, note);
    if (!e)
        e = client_accounts_parse(buf_slice(&text), path, getenv("HOME"), out_accounts, note);
    buf_done(&text);
    return e;
}

/* ---- changing ---- */

/* The folder is locked while the file in it is changed: two that add an account at once both do. */
struct change {
    char *path; /* owned: of the file itself, not of a symbolic link to it */
    int folder;
    struct buf before, after;
};

static enum err open_folder(struct change *change, struct err_note *note)
{
    char *copy = mem_strdup(change->path);
    const char *folder = dirname(copy);
    enum err e = ERR_OK;
    (void)!dir_make_path(folder); /* whether it is there now, the next line tells */
    change->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (change->folder < 0)
        e = err_noted(note, err_from_errno(errno), "%s: %s", folder, strerror(errno));
    else if (flock(change->folder, LOCK_EX) < 0)
        e = err_noted(note, ERR_IO, "%s cannot be locked: %s", folder, strerror(errno));
    free(copy);
    return e;
}

/* Afterwards change_end, also on failure. An account file that is missing reads as an empty one. */
static enum err change_begin(struct change *change, const char *path, struct err_note *note)
{
    char real[PATH_MAX];
    *change = (struct change){ .folder = -1 };
    buf_init(&change->before, CLIENT_ACCOUNTS_BYTES_MAX + 16384);
    buf_init(&change->after, 2 * CLIENT_ACCOUNTS_BYTES_MAX);
    change->path = mem_strdup(realpath(path, real) ? real : path);
    TRY(open_folder(change, note));
    enum err e = read_text(change->path, &change->before, note);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err write_whole(int fd, struct slice bytes)
{
    TRY(file_write(fd, bytes));
    return fsync(fd) < 0 ? err_from_errno(errno) : ERR_OK;
}

/* change->after becomes the file: new file, fsync, rename, fsync of the folder. */
static enum err change_commit(struct change *change, struct err_note *note)
{
    char *fresh = NULL;
    if (asprintf(&fresh, "%s.new", change->path) < 0)
        return ERR_IO;
    (void)unlink(
        fresh); /* of one that was killed; nobody else is here while the folder is locked */
    autoclose int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum err e = fd < 0 ? err_from_errno(errno) : write_whole(fd, buf_slice(&change->after));
    if (!e && (rename(fresh, change->path) < 0 || fsync(change->folder) < 0))
        e = err_from_errno(errno);
    if (e) {
        (void)err_noted(note, e, "%s cannot be written: %s", change->path, strerror(errno));
        (void)unlink(fresh);
    }
    free(fresh);
    return e;
}

static void change_end(struct change *change)
{
    buf_done(&change->before);
    buf_done(&change->after);
    free(change->path);
    if (change->folder >= 0)
        close(change->folder); /* and unlocks it */
}

static enum err add_block(struct change *change, const struct client_accounts *there,
    const struct client_account *account, struct err_note *note)
{
    for (size_t i = 0; i < there->count; i++)
        if (strcmp(there->all[i].name, account->name) == 0 ||
            slice_eq_nocase(slice_of(there->all[i].address), slice_of(account->address)))
            return err_noted(note, ERR_EXISTS, "%s:%d: there is an account %s for %s already",
                change->path, there->all[i].line, there->all[i].name, there->all[i].address);
    if (there->count == CLIENT_ACCOUNTS_MAX)
        return err_noted(note, ERR_LIMIT, "more than %u accounts", CLIENT_ACCOUNTS_MAX);
    struct slice before = buf_slice(&change->before);
    buf_add(&change->after, before);
    if (before.len > 0 && before.ptr[before.len - 1] != '\n')
        buf_addc(&change->after, '\n');
    if (there->count > 0)
        buf_addc(&change->after, '\n');
    TRY(client_account_write(account, &change->after, note));
    TRY(buf_err(&change->after));
    if (buf_len(&change->after) > CLIENT_ACCOUNTS_BYTES_MAX) /* nothing could read it again */
        return err_noted(
            note, ERR_LIMIT, "%s is over %u bytes", change->path, CLIENT_ACCOUNTS_BYTES_MAX);
    return ERR_OK;
}

enum err client_accounts_add(
    const char *path, const struct client_account *account, struct err_note *note)
{
    struct change change;
    struct client_accounts there = { 0 };
    enum err e = change_begin(&change, path, note);
    if (!e)
        e = client_accounts_parse(
            buf_slice(&change.before), change.path, getenv("HOME"), &there, note);
    if (!e)
        e = add_block(&change, &there, account, note);
    if (!e)
        e = change_commit(&change, note);
    client_accounts_done(&there);
    change_end(&change);
    return e;
}

/* Copies all lines but first .. last. */
static void copy_without(struct change *change, int first, int last)
{
    struct slice rest = buf_slice(&change->before);
    for (int number = 1; rest.len > 0; number++) {
        size_t len = slice_index(rest, '\n');
        len += len < rest.len;
        if (number < first || number > last)
            buf_add(&change->after, slice_sub(rest, 0, len));
        rest = slice_from_index(rest, len);
    }
}

enum err client_accounts_remove(const char *path, const char *name, struct err_note *note)
{
    struct change change;
    struct client_accounts there = { 0 };
    const struct client_account *account = NULL;
    enum err e = change_begin(&change, path, note);
    if (!e)
        e = client_accounts_parse(
            buf_slice(&change.before), change.path, getenv("HOME"), &there, note);
    if (!e) {
        account = name && *name ? client_accounts_find(&there, name) : NULL;
        if (!account)
            e = err_noted(
                note, ERR_NOT_FOUND, "%s has no account %s", change.path, name ? name : "");
    }
    if (!e) {
        copy_without(&change, account->line, account->line_end);
        e = change_commit(&change, note);
    }
    client_accounts_done(&there);
    change_end(&change);
    return e;
}
