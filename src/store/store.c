/* The node's folder: where accounts lie, what is swept at the start, and how an account's folder goes.
 * Bodies on their way in lie in incoming/; what is there at the start belongs to nobody.
 *
 * Always true: an account's folder is whole or gone. Removal first renames it out of accounts/ (one step that survives a crash), then
 * deletes the files; what a crash leaves in removed/ is swept at the next start. */
#include "store/store_int.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Makes dir below parent when it is missing. */
enum err store_make_dir(int parent_fd, const char *name, struct err_note *note)
{
    if (mkdirat(parent_fd, name, 0700) != 0 && errno != EEXIST)
        return err_noted(
            note, err_from_errno(errno), "the folder %s cannot be made: %s", name, strerror(errno));
    return ERR_OK;
}

/* What root makes is for the user whose folder it is. */
static bool give_folders(int root)
{
    static const char *const names[] = { "accounts", "removed", "incoming" };
    struct stat owner;
    if (geteuid() != 0)
        return true;
    if (fstat(root, &owner) != 0)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (fchownat(root, names[i], owner.st_uid, owner.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
    return true;
}

enum err store_open(
    const struct store_options *options, struct store **out_store, struct err_note *note)
{
    if (mkdir(options->root, 0700) != 0 && errno != EEXIST)
        return err_noted(note, err_from_errno(errno), "the data folder %s cannot be made: %s",
            options->root, strerror(errno));
    autoclose int root = open(options->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_noted(note, err_from_errno(errno), "the data folder %s cannot be opened: %s",
            options->root, strerror(errno));
    /* What follows sweeps; in a folder that another process serves it would sweep that one's mail on its way in. */
    if (flock(root, LOCK_EX | LOCK_NB) != 0)
        return err_noted(note, err_from_errno(errno),
            "the data folder %s is in use by another Barid", options->root);
    TRY(store_make_dir(root, "accounts", note));
    TRY(store_make_dir(root, "removed", note));
    TRY(store_make_dir(root, "incoming", note));
    if (!give_folders(root))
        return err_noted(note, ERR_IO, "the folders in %s cannot be given to its owner: %s",
            options->root, strerror(errno));
    if (dir_empty(root, "removed") != ERR_OK)
        return err_noted(note, ERR_IO,
            "%s/removed cannot be emptied; look at its files and permissions", options->root);
    if (dir_empty(root, "incoming") != ERR_OK)
        return err_noted(note, ERR_IO,
            "%s/incoming cannot be emptied; look at its files and permissions", options->root);
    if (fsync(root) != 0)
        return err_noted(note, ERR_IO, "%s: %s", options->root, strerror(errno));
    struct store *store = mem_zalloc(1, sizeof *store);
    pthread_mutex_init(&store->lock, NULL);
    store->root_fd = root;
    store->body_row_bytes_max =
        options->body_row_bytes_max ? options->body_row_bytes_max : BLOB_MEMORY_BYTES_MAX;
    store->accounts_open_max = options->accounts_open_max ? options->accounts_open_max : 1000;
    store->checkpoint_pages = options->checkpoint_pages ? options->checkpoint_pages : 500;
    root = -1; /* the store's now */
    enum err e = store_accounts_start(store);
    if (e != ERR_OK) {
        close(store->root_fd);
        free(store);
        return err_noted(note, e, "the store's thread cannot be started");
    }
    *out_store = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_accounts_stop(store);
    close(store->root_fd);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

bool store_id_ok(struct slice id)
{
    if (id.len == 0 || id.len > ACCOUNT_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

/* Syncs a folder so that a rename in it is durable. */
enum err store_sync_dir(int parent_fd, const char *name)
{
    autoclose int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return ERR_IO;
    return ERR_OK;
}

enum err store_move_account(struct store *store, struct slice id, const char *from, const char *to)
{
    char from_path[16 + ACCOUNT_ID_BYTES_MAX], to_path[16 + ACCOUNT_ID_BYTES_MAX];
    (void)snprintf(from_path, sizeof from_path, "%s/%.*s", from, SLICE_FMT(id));
    (void)snprintf(to_path, sizeof to_path, "%s/%.*s", to, SLICE_FMT(id));
    if (renameat(store->root_fd, from_path, store->root_fd, to_path) != 0)
        return err_from_errno(errno);
    return store_sync_dir(store->root_fd, to);
}

enum err store_swap_folder(struct store *store, struct slice id, const char *folder)
{
    char path[16 + ACCOUNT_ID_BYTES_MAX];
    int root = store->root_fd;
    (void)snprintf(path, sizeof path, "accounts/%.*s", SLICE_FMT(id));
    bool swapped = renameat2(root, folder, root, path, RENAME_EXCHANGE) == 0;
    if (!swapped && (errno != ENOENT || renameat(root, folder, root, path) != 0))
        return err_from_errno(errno);
    return store_sync_dir(root, "accounts");
}

bool store_has_room(struct store *store, uint64_t bytes, bool file)
{
    struct statvfs disk;
    if (fstatvfs(store->root_fd, &disk) != 0)
        return true; /* the write will tell */
    uint64_t total = disk.f_blocks * disk.f_frsize, room = disk.f_bavail * disk.f_frsize;
    uint64_t least = total / 3 < RESERVE_BYTES_MIN ? total / 3 : RESERVE_BYTES_MIN;
    uint64_t reserve = total / 20 < RESERVE_BYTES_MAX ? total / 20 : RESERVE_BYTES_MAX;
    reserve = reserve > least ? reserve : least;
    uint64_t files = disk.f_files / 20 < RESERVE_FILES_MAX ? disk.f_files / 20 : RESERVE_FILES_MAX;
    return room >= reserve + bytes && (!file || disk.f_files == 0 || disk.f_favail > files);
}

bool store_disk_readonly(struct store *store)
{
    struct statvfs disk;
    if (fstatvfs(store->root_fd, &disk) == 0 && (disk.f_flag & ST_RDONLY))
        return true;
    /* After an error of the disk Linux refuses writes and does not say so there. */
    autoclose int probe =
        openat(store->root_fd, "incoming", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    return probe < 0 && (errno == EROFS || errno == EIO);
}

enum err store_account_ids(struct store *store, store_id_fn *fn, void *fn_arg)
{
    DIR *dir;
    enum err e = dir_open(store->root_fd, "accounts", &dir);
    if (e != ERR_OK)
        return e;
    const struct dirent *entry;
    while (e == ERR_OK && (entry = readdir(dir)))
        if (store_id_ok(slice_of(entry->d_name)))
            e = fn(fn_arg, slice_of(entry->d_name));
    closedir(dir);
    return e;
}

enum err store_account_remove(struct store *store, struct slice id)
{
    if (!store_id_ok(id))
        return ERR_SYNTAX;
    pthread_mutex_lock(&store->lock);
    enum err e = store_account_shut(store, id);
    if (e == ERR_OK)
        e = store_move_account(store, id, "accounts", "removed");
    if (e == ERR_OK)
        e = store_sync_dir(store->root_fd, "accounts"); /* it must not come back */
    if (e == ERR_OK)
        e = dir_empty(store->root_fd, "removed");
    pthread_mutex_unlock(&store->lock);
    return e;
}
