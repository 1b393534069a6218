/* barid backup DIR: a folder named by the time, which is a whole data folder. What did not change since the last one is linked from there.
 *
 * Always true: a backup has its name only when it is whole and on the disk; earlier ones are never written to. Each mailbox is as it was at one moment
 * after the beginning, with all that was acknowledged before. */
#include "bin/verb_backup.h"

#include "auth/directory.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/dir.h"
#include "bin/backup_files.h"
#include "bin/verb_backup_int.h"
#include "server/core/control.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUSY_TRIES   100 /* of 100 ms: a check or another backup of the mailbox may end */
#define PARTIAL_NAME ".partial"
#define SETTLED_S    2
#define LOST_TRIES   3

struct backup {
    const struct config *config;
    struct store *store; /* NULL: a server runs, and holds the accounts for us */
    int data_fd;         /* accounts/ of the data folder */
    int old_fd, new_fd;  /* accounts/ of the last backup (-1: none) and of this one */
    unsigned long long copied, unchanged;
    uint64_t bytes;
    bool failed, damaged;
};

/* ---- one account ---- */

/* Where it is, in the last backup (old, -1: it is not), and whose. */
struct place {
    int from, old;
    const struct user *user;
};

/* What tells that mail.db is the one that was copied: nobody writes it but Barid, and each write changes its time. Clocks of file systems tick, so while an
 * account is held its modseq says the rest, and without a hold only a file that had not changed for a while when it was copied is the same. */
#define SOURCE_BYTES 160
#define SETTLED      "settled\n"

/* True when the log is empty: all that was committed is in the file. */
static bool source_text(int folder_fd, char *out)
{
    struct stat db, log;
    out[0] = '\0';
    if (fstatat(folder_fd, "mail.db", &db, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    (void)snprintf(out, SOURCE_BYTES, "%llu %lld %lld.%09ld\n", (unsigned long long)db.st_ino,
        (long long)db.st_size, (long long)db.st_mtim.tv_sec, db.st_mtim.tv_nsec);
    return fstatat(folder_fd, "mail.db-wal", &log, AT_SYMLINK_NOFOLLOW) != 0 || log.st_size == 0;
}

static bool has_settled(int folder_fd)
{
    struct stat db;
    return fstatat(folder_fd, "mail.db", &db, AT_SYMLINK_NOFOLLOW) == 0 &&
           db.st_mtim.tv_sec + SETTLED_S < clock_wall_ms() / 1000;
}

static bool was_copied(int old_fd, const char *text, const char *end)
{
    char kept[SOURCE_BYTES * 2];
    autoclose int fd = old_fd < 0 ? -1 : openat(old_fd, "source", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, kept, sizeof kept);
    struct slice source = len > 0 ? slice_from(kept, (size_t)len) : SLICE_EMPTY;
    return text[0] && slice_starts(source, slice_of(text)) &&
           slice_ends_nocase(source, slice_of(end));
}

static enum err write_source(int new_fd, const char *text)
{
    autoclose int fd = openat(new_fd, "source", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(text);
    return fd >= 0 && write(fd, text, len) == (ssize_t)len ? ERR_OK : err_from_errno(errno);
}

/* An empty folder for the account, whatever an earlier try left. */
static enum err make_place(struct backup *b, const char *id, int *out_to)
{
    TRY(dir_remove(b->new_fd, id));
    if (mkdirat(b->new_fd, id, 0700) != 0)
        return err_from_errno(errno);
    *out_to = openat(b->new_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out_to < 0 ? err_from_errno(errno) : ERR_OK;
}

/* The same as in the last backup. text: its source; "" when it is not known to be the same. */
static enum err link_old(struct backup *b, const struct place *p, const char *text)
{
    autoclose int to = -1;
    TRY(make_place(b, p->user->id, &to));
    TRY(backup_link_account(p->old, to));
    return write_source(to, text);
}

static enum err copy_files(struct backup *b, const struct place *p, const char *text)
{
    autoclose int to = -1;
    size_t unread;
    TRY(make_place(b, p->user->id, &to));
    TRY(backup_copy_file(p->from, to, "mail.db", &b->bytes));
    TRY(backup_copy_big(p->from, p->old, to, &b->bytes, &unread));
    if (unread > 0) {
        b->damaged = true;
        cli_error(MSG_BACKUP_DAMAGED, p->user->address);
    }
    return write_source(to, unread > 0 ? "" : text);
}

/* Held by the server (fd) or by us. */
struct hold {
    int fd;
    struct store_hold *held;
    char said[64]; /* "modseq N", or why not */
};

static void on_line(void *hold_arg, struct slice line)
{
    struct hold *hold = hold_arg;
    (void)snprintf(hold->said, sizeof hold->said, "%.*s", SLICE_FMT(line));
}

static enum err hold_once(struct backup *b, const char *id, struct hold *hold)
{
    struct store_hold_state state;
    if (b->store) {
        TRY(store_hold(b->store, slice_of(id), &state, &hold->held));
        (void)snprintf(
            hold->said, sizeof hold->said, "modseq %llu", (unsigned long long)state.modseq);
        return ERR_OK;
    }
    TRY(control_hold(b->config->data_dir, id, on_line, hold, &hold->fd));
    if (hold->fd >= 0)
        return ERR_OK;
    return strcmp(hold->said, "failed: busy") == 0 ? ERR_BUSY : ERR_IO;
}

static enum err hold_patiently(struct backup *b, const char *id, struct hold *hold)
{
    for (int i = 0;; i++) {
        enum err e = hold_once(b, id, hold);
        if (e != ERR_BUSY || i == BUSY_TRIES)
            return e;
        (void)poll(NULL, 0, 100);
    }
}

/* A server that ends, or is killed, holds nothing any more; it closes the connection before it lets the files move. */
static bool still_held(const struct hold *hold)
{
    struct pollfd connection = { .fd = hold->fd, .events = POLLIN };
    return hold->fd < 0 || poll(&connection, 1, 0) == 0;
}

static enum err held_copy(struct backup *b, const struct place *p, bool *out_lost)
{
    char text[SOURCE_BYTES * 2];
    struct hold hold = { .fd = -1 };
    TRY(hold_patiently(b, p->user->id, &hold));
    (void)source_text(p->from, text);
    size_t len = strlen(text);
    (void)snprintf(text + len, sizeof text - len, "%s\n", hold.said);
    bool same = was_copied(p->old, text, "");
    if (has_settled(p->from)) {
        len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, SETTLED);
    }
    same = same && link_old(b, p, text) == ERR_OK;
    enum err e = same ? ERR_OK : copy_files(b, p, text);
    *out_lost = !still_held(&hold);
    store_release(hold.held);
    if (hold.fd >= 0)
        close(hold.fd);
    if (e == ERR_OK && !*out_lost) {
        b->unchanged += same;
        b->copied += !same;
    }
    return e;
}

static enum err copy_account(struct backup *b, const struct place *p)
{
    for (int i = 0; i < LOST_TRIES; i++) {
        bool lost = false;
        TRY(held_copy(b, p, &lost));
        if (!lost)
            return ERR_OK;
    }
    return ERR_CLOSED;
}

/* A copy of pages that a disk has damaged is kept, and told of. */
static enum err check_copy(struct backup *b, const struct user *user)
{
    struct account *snapshot;
    uint64_t pages = 0;
    enum err e = store_snapshot(b->new_fd, user->id, slice_of(user->id), &snapshot);
    if (e == ERR_OK) {
        e = store_snapshot_damage(snapshot, &pages);
        store_snapshot_close(snapshot);
    }
    if (e == ERR_CORRUPT || pages > 0) {
        b->damaged = true;
        cli_error(MSG_BACKUP_DAMAGED, user->address);
        return ERR_OK;
    }
    return e;
}

static enum err link_settled(struct backup *b, const struct place *p, const char *text)
{
    char all[SOURCE_BYTES * 2];
    (void)snprintf(all, sizeof all, "%s" SETTLED, text);
    return link_old(b, p, all);
}

static enum err backup_account(struct backup *b, const struct user *user)
{
    char text[SOURCE_BYTES];
    autoclose int from = openat(b->data_fd, user->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0)
        return errno == ENOENT ? ERR_OK : err_from_errno(errno); /* no mail yet */
    autoclose int old =
        b->old_fd < 0 ? -1 : openat(b->old_fd, user->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct place place = { .from = from, .old = old, .user = user };
    if (source_text(from, text) && was_copied(old, text, SETTLED) &&
        link_settled(b, &place, text) == ERR_OK) { /* nothing to hold: nothing has come since */
        b->unchanged++;
        return ERR_OK;
    }
    unsigned long long copied = b->copied;
    enum err e = copy_account(b, &place);
    if (e != ERR_OK && (old < 0 || link_old(b, &place, "") != ERR_OK))
        (void)!dir_remove(b->new_fd, user->id); /* no half of one under a finished name */
    if (e != ERR_OK || b->copied == copied)
        return e;
    return check_copy(b, user);
}

/* ---- all of them ---- */

static enum err backup_accounts(struct backup *b, struct directory *directory)
{
    struct arena arena;
    struct user *users;
    size_t count;
    arena_init(&arena, SIZE_MAX);
    enum err e = directory_users(directory, SLICE_EMPTY, &arena, &users, &count);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        enum err one = backup_account(b, &users[i]);
        if (one == ERR_NO_SPACE)
            e = one;
        if (one != ERR_OK) {
            b->failed = true;
            cli_error(MSG_BACKUP_FAILED, users[i].address, err_words(one));
        }
    }
    arena_done(&arena);
    return e;
}

static bool is_backup_name(const char *name)
{
    static const char shape[] = "dddd-dd-ddTdd-dd-ddZ";
    for (size_t i = 0; i < sizeof shape; i++)
        if (shape[i] == 'd' ? name[i] < '0' || name[i] > '9' : name[i] != shape[i])
            return false;
    return true;
}

bool backup_newest(const char *folder, char *out_name)
{
    DIR *dir = opendir(folder);
    out_name[0] = '\0';
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (is_backup_name(entry->d_name) && strcmp(entry->d_name, out_name) > 0)
            memcpy(out_name, entry->d_name, BACKUP_NAME_BYTES);
    if (dir)
        closedir(dir);
    return out_name[0] != '\0';
}

/* The finished folder gets its name. Two in one second: the later one waits. */
static enum err give_name(int root_fd, char *out_name)
{
    for (;;) {
        time_t now = clock_wall_ms() / 1000;
        struct tm utc;
        (void)gmtime_r(&now, &utc);
        (void)strftime(out_name, BACKUP_NAME_BYTES, "%Y-%m-%dT%H-%M-%SZ", &utc);
        if (renameat2(root_fd, PARTIAL_NAME, root_fd, out_name, RENAME_NOREPLACE) == 0)
            return fsync(root_fd) == 0 ? ERR_OK : ERR_IO;
        if (errno != EEXIST)
            return err_from_errno(errno);
        (void)poll(NULL, 0, 100);
    }
}

static enum err fill(struct backup *b, const char *root, int root_fd, struct directory *directory)
{
    char path[PATH_MAX], file[PATH_MAX + 16], newest[BACKUP_NAME_BYTES];
    if ((size_t)snprintf(path, sizeof path, "%s/" PARTIAL_NAME, root) >= sizeof path)
        return ERR_LIMIT;
    TRY(dir_remove(root_fd, PARTIAL_NAME)); /* one that was cut short */
    if (mkdirat(root_fd, PARTIAL_NAME, 0700) != 0 ||
        mkdirat(root_fd, PARTIAL_NAME "/accounts", 0700) != 0)
        return err_from_errno(errno);
    (void)snprintf(file, sizeof file, "%s/directory.db", path);
    TRY(directory_copy(directory, file));
    autoclose int new_fd =
        openat(root_fd, PARTIAL_NAME "/accounts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    autoclose int old_fd = -1;
    if (backup_newest(root, newest)) {
        (void)snprintf(path, sizeof path, "%s/accounts", newest);
        old_fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (new_fd < 0)
        return err_from_errno(errno);
    b->old_fd = old_fd;
    b->new_fd = new_fd;
    TRY(backup_accounts(b, directory));
    return syncfs(new_fd) == 0 ? ERR_OK : ERR_IO;
}

static enum err write_backup(struct backup *b, const char *root, struct directory *directory)
{
    char name[BACKUP_NAME_BYTES];
    if (mkdir(root, 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    autoclose int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_from_errno(errno);
    if (flock(root_fd, LOCK_EX | LOCK_NB) != 0)
        return ERR_BUSY; /* another backup into it */
    TRY(fill(b, root, root_fd, directory));
    TRY(give_name(root_fd, name));
    cli_say(MSG_BACKUP_DONE, root, name, b->copied, b->unchanged, (double)b->bytes / 1e6);
    char latest[BACKUP_NAME_BYTES];
    if (backup_newest(root, latest) && strcmp(latest, name) > 0) /* a clock was wrong */
        cli_error(MSG_BACKUP_NOT_LATEST, root, latest);
    return ERR_OK;
}

static enum err run(struct backup *b, const char *root, struct err_note *note)
{
    char path[PATH_MAX];
    struct directory *directory = NULL;
    struct store_options options = { .root = b->config->data_dir };
    bool ok = false;
    bool running = control_ask(options.root, "status\n", NULL, NULL, &ok) == ERR_OK;
    (void)snprintf(path, sizeof path, "%s/directory.db", options.root);
    TRY(directory_open(path, false, &directory, note));
    enum err e = running ? ERR_OK : store_open(&options, &b->store, note);
    (void)snprintf(path, sizeof path, "%s/accounts", options.root);
    autoclose int data_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    b->data_fd = data_fd;
    if (e == ERR_OK && data_fd < 0)
        e = err_from_errno(errno);
    if (e == ERR_OK)
        e = write_backup(b, root, directory);
    store_close(b->store);
    directory_close(directory);
    if (!running) /* what opening them made */
        (void)!backup_give_tree(options.root, ".");
    return e;
}

int verb_backup(const struct cli *cli, int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') {
        (void)fprintf(stderr, "%s\n", tr(MSG_BACKUP_USAGE));
        return EX_USAGE;
    }
    struct config *config;
    if (cli_config(cli, &config) != ERR_OK)
        return EX_CONFIG;
    struct backup b = { .config = config, .data_fd = -1, .old_fd = -1, .new_fd = -1 };
    struct err_note note = { "" };
    enum err e = run(&b, argv[1], &note);
    if (e != ERR_OK && note.text[0])
        cli_error_text(note.text);
    else if (e != ERR_OK)
        cli_error(MSG_BACKUP_NOT_DONE, argv[1], err_words(e));
    config_unref(config);
    if (e != ERR_OK)
        return cli_exit_code(e);
    return b.failed ? EX_IOERR : b.damaged ? 1 : EX_OK;
}
