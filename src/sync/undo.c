/* The undo store: folders named by time, in them folders named by path, in them messages. */
#include "sync/undo.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/encode.h"
#include "sync/near.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_S         (24 * 60 * 60)
#define COMPARE_BYTES 16384u

/* A path as one name: "/", "%" and a first "." are "%XX". */
static void add_escaped(struct buf *out, const char *path)
{
    for (const char *c = path; *c; c++) {
        if (*c == '/' || *c == '%' || (*c == '.' && c == path))
            buf_addf(out, "%%%02X", (unsigned char)*c);
        else
            buf_addc(out, *c);
    }
}

static enum err unescape(const char *name, struct buf *out)
{
    struct slice rest = slice_of(name);
    for (size_t i = 0; i < rest.len; i++) {
        unsigned char c = slice_at(rest, i);
        if (c == '%') {
            if (hex_decode(slice_sub(rest, i + 1, 2), &c, 1) != ERR_OK)
                return ERR_SYNTAX;
            i += 2;
        }
        buf_addc(out, (char)c);
    }
    buf_addc(out, '\0');
    return buf_err(out);
}

enum err undo_open(
    const char *state_folder, int64_t begin_s, const char *path, int *out_fd, struct err_note *note)
{
    struct buf name;
    buf_init(&name, 0);
    buf_addf(&name, "%s/undo/%lld/", state_folder, (long long)begin_s);
    add_escaped(&name, path);
    buf_addc(&name, '\0');
    const char *whole = buf_slice(&name).ptr;
    enum err e = dir_make_path(whole);
    *out_fd = e == ERR_OK ? open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (e == ERR_OK && *out_fd < 0)
        e = err_from_errno(errno);
    if (e != ERR_OK)
        (void)err_noted(note, e, "%s: %s", whole, err_words(e));
    buf_done(&name);
    return e;
}

/* ---- the runs that are there ---- */

static bool time_of(const char *name, int64_t *out_s)
{
    uint64_t number;
    if (slice_to_u64(slice_of(name), INT64_MAX, &number) != ERR_OK)
        return false;
    *out_s = (int64_t)number;
    return true;
}

static enum err open_store(const char *state_folder, DIR **out_dir)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/undo", state_folder) < 0)
        abort();
    return dir_open(AT_FDCWD, path, out_dir);
}

void undo_sweep(const char *state_folder, int64_t now_s)
{
    DIR *dir;
    int64_t begin_s;
    if (open_store(state_folder, &dir) != ERR_OK)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (time_of(entry->d_name, &begin_s) && begin_s < now_s - SYNC_UNDO_DAYS * (int64_t)DAY_S)
            if (dir_remove(dirfd(dir), entry->d_name) != ERR_OK)
                break; /* tried again by the next run */
    closedir(dir);
}

/* Calls back for each message of a run. */
typedef enum err (*message_fn)(void *arg, int folder_fd, const char *path, const char *name);

static enum err each_in_folder(int run_fd, const char *escaped, message_fn each, void *arg)
{
    DIR *dir;
    struct buf path;
    buf_init(&path, 0);
    enum err e = unescape(escaped, &path);
    if (e == ERR_OK)
        e = dir_open(run_fd, escaped, &dir);
    if (e == ERR_OK) {
        for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir));)
            if (entry->d_name[0] != '.')
                e = each(arg, dirfd(dir), buf_slice(&path).ptr, entry->d_name);
        closedir(dir);
    }
    buf_done(&path);
    return e;
}

static enum err each_message(int store_fd, const char *name, message_fn each, void *arg)
{
    DIR *dir;
    TRY(dir_open(store_fd, name, &dir));
    enum err e = ERR_OK;
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            e = each_in_folder(dirfd(dir), entry->d_name, each, arg);
    closedir(dir);
    return e;
}

static enum err count_one(void *arg, int folder_fd, const char *path, const char *name)
{
    (void)folder_fd;
    (void)path;
    (void)name;
    ++*(size_t *)arg;
    return ERR_OK;
}

static int by_time(const void *a, const void *b)
{
    const struct undo_run *x = a, *y = b;
    return x->begin_s < y->begin_s ? -1 : x->begin_s > y->begin_s;
}

enum err undo_list(
    const char *state_folder, struct undo_run **out_runs, size_t *out_count, struct err_note *note)
{
    DIR *dir;
    struct undo_run *runs = NULL;
    size_t count = 0;
    enum err e = open_store(state_folder, &dir);
    if (e == ERR_NOT_FOUND) {
        *out_runs = NULL;
        *out_count = 0;
        return ERR_OK;
    }
    if (e != ERR_OK)
        return err_noted(note, e, "%s/undo: %s", state_folder, err_words(e));
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir));) {
        struct undo_run run = { 0 };
        if (!time_of(entry->d_name, &run.begin_s))
            continue;
        e = each_message(dirfd(dir), entry->d_name, count_one, &run.messages);
        if (e != ERR_OK || run.messages == 0)
            continue;
        runs = mem_realloc(runs, (count + 1) * sizeof *runs);
        runs[count++] = run;
    }
    closedir(dir);
    if (e != ERR_OK) {
        free(runs);
        return err_noted(note, e, "%s/undo: %s", state_folder, err_words(e));
    }
    if (count)
        qsort(runs, count, sizeof *runs, by_time);
    *out_runs = runs;
    *out_count = count;
    return ERR_OK;
}

/* ---- back ---- */

struct putting {
    int root_fd;
    size_t messages;
    struct err_note *note;
};

/* Both are read whole: what is thrown away is surely there. */
static bool is_copy(int one_fd, int other_fd, const char *name)
{
    char one[COMPARE_BYTES], other[COMPARE_BYTES];
    autoclose int a = openat(one_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    autoclose int b = openat(other_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat of_a, of_b;
    if (a < 0 || b < 0 || fstat(a, &of_a) < 0 || fstat(b, &of_b) < 0 || !S_ISREG(of_a.st_mode) ||
        !S_ISREG(of_b.st_mode) || of_a.st_size != of_b.st_size)
        return false;
    for (off_t at = 0; at < of_a.st_size;) {
        ssize_t got = pread(a, one, sizeof one, at);
        if (got <= 0 || pread(b, other, (size_t)got, at) != got ||
            memcmp(one, other, (size_t)got) != 0)
            return false;
        at += got;
    }
    return true;
}

/* A run that was cut on the way to another file system left a copy there; another message of that name gets company. */
static enum err put_beside(int from_fd, const char *name, int to_fd)
{
    char base[80];
    autofree char *other = NULL;
    if (is_copy(from_fd, to_fd, name))
        return unlinkat(from_fd, name, 0) < 0 ? err_from_errno(errno) : ERR_OK;
    near_new_base(base);
    const char *flags = strchr(name, ':');
    if (asprintf(&other, "%s%s", base, flags ? flags : "") < 0)
        abort();
    return near_rename(from_fd, name, to_fd, other);
}

static enum err put_one(void *arg, int folder_fd, const char *path, const char *name)
{
    struct putting *p = arg;
    struct near_folder folder;
    TRY(near_open(p->root_fd, path, NEAR_MAKE, &folder, p->note));
    bool in_new = strchr(name, ':') == NULL;
    int to_fd = in_new ? folder.new_fd : folder.cur_fd;
    enum err e = near_rename(folder_fd, name, to_fd, name);
    if (e == ERR_EXISTS)
        e = put_beside(folder_fd, name, to_fd);
    if (e != ERR_OK)
        e = err_noted(p->note, e, "%s/%s: %s", path, name, err_words(e));
    near_close(&folder);
    p->messages += e == ERR_OK;
    return e;
}

enum err undo_run(const char *state_folder, const char *maildir, int64_t begin_s,
    size_t *out_messages, struct err_note *note)
{
    DIR *dir;
    char name[24];
    struct putting p = { .root_fd = open(maildir, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .note = note };
    if (p.root_fd < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", maildir, strerror(errno));
    snprintf(name, sizeof name, "%lld", (long long)begin_s);
    enum err e = open_store(state_folder, &dir);
    if (e == ERR_OK) {
        e = each_message(dirfd(dir), name, put_one, &p);
        if (e == ERR_OK)
            e = dir_remove(dirfd(dir), name);
        closedir(dir);
    }
    close(p.root_fd);
    *out_messages = p.messages;
    return e;
}
