/* Maildirs: finding them, reading them, and what moves inside them. Every step is by descriptor, so that a path which somebody changes meanwhile is
 * not followed. */
#include "sync/near.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/rand.h"
#include "base/utf8.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define NEAR_DEPTH_MAX 64 /* folders in folders */
#define NEAR_TMP_AGE_S                                                                             \
    (36 * 60 * 60) /* older files in tmp/ belong to no delivery any more (maildir(5)) */
#define NEAR_KEYWORDS_BYTES 65536u /* of dovecot-keywords */
#define NEAR_KEYWORD_MAX    255u   /* of one name; 26 of them fit the file */
#define NEAR_COPY_BYTES     65536u

static const char letters[] = "DFPRST"; /* the order of the bits, and of a name */

/* ---- keywords ---- */

void sync_keywords_done(struct sync_keywords *keywords)
{
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++) {
        free(keywords->names[i]);
        keywords->names[i] = NULL;
    }
}

/* An atom (RFC 9051 §9 "flag-keyword"): it can stand in a command, in the state and in a line of its own. */
static bool is_keyword(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = slice_at(name, i);
        if (c <= ' ' || c >= 0x7f || strchr("(){%*\"\\]", c))
            return false;
    }
    return name.len > 0 && name.len <= NEAR_KEYWORD_MAX;
}

uint32_t sync_keyword_bit(struct sync_keywords *keywords, struct slice name, bool *out_new)
{
    if (!is_keyword(name))
        return 0;
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++) {
        if (!keywords->names[i]) {
            keywords->names[i] = mem_strndup(name.ptr, name.len);
            *out_new = true;
            return (uint32_t)SYNC_KEYWORD << i;
        }
        if (slice_eq_nocase(name, slice_of(keywords->names[i]))) /* RFC 9051 §2.3.2 */
            return (uint32_t)SYNC_KEYWORD << i;
    }
    return 0;
}

/* "0 $Label1" in each line: which letter stands for what. */
static void read_keywords(struct near_folder *folder, struct sync_keywords *keywords)
{
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++)
        folder->letter_bits[i] = (uint32_t)SYNC_KEYWORD << i;
    autoclose int fd = openat(folder->fd, "dovecot-keywords", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    autofree char *text = mem_alloc(NEAR_KEYWORDS_BYTES);
    ssize_t len = read(fd, text, NEAR_KEYWORDS_BYTES);
    if (len <= 0)
        return;
    folder->has_keywords = true;
    memset(folder->letter_bits, 0, sizeof folder->letter_bits);
    struct slice rest = slice_from(text, (size_t)len), line, number;
    while (slice_cut(&rest, '\n', &line)) {
        uint64_t index;
        bool is_new;
        if (slice_cut(&line, ' ', &number) && line.len &&
            slice_to_u64(number, SYNC_KEYWORDS_MAX - 1, &index) == ERR_OK)
            folder->letter_bits[index] = sync_keyword_bit(keywords, slice_trim(line), &is_new);
    }
}

bool near_lacks_keywords(const struct near_folder *folder, const struct sync_keywords *keywords)
{
    if (keywords->names[0] && !folder->has_keywords)
        return true;
    for (size_t k = 0; k < SYNC_KEYWORDS_MAX && keywords->names[k]; k++) {
        bool has = false;
        for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++)
            has |= folder->letter_bits[i] == (uint32_t)SYNC_KEYWORD << k;
        if (!has)
            return true;
    }
    return false;
}

/* In the place of the old file, whole: letters that stand for something keep it, keywords without a letter get a free one. */
enum err near_write_keywords(struct near_folder *folder, const struct sync_keywords *keywords)
{
    struct buf text;
    buf_init(&text, NEAR_KEYWORDS_BYTES);
    for (size_t k = 0; k < SYNC_KEYWORDS_MAX; k++) {
        uint32_t bit = (uint32_t)SYNC_KEYWORD << k;
        bool has = false;
        for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++)
            has |= folder->letter_bits[i] == bit;
        for (size_t i = 0; keywords->names[k] && !has && i < SYNC_KEYWORDS_MAX; i++) {
            if (folder->letter_bits[i] == 0) {
                folder->letter_bits[i] = bit;
                has = true;
            }
        }
    }
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++)
        for (size_t k = 0; k < SYNC_KEYWORDS_MAX; k++)
            if (folder->letter_bits[i] == (uint32_t)SYNC_KEYWORD << k && keywords->names[k])
                buf_addf(&text, "%zu %s\n", i, keywords->names[k]);
    autoclose int fd = openat(folder->tmp_fd, "dovecot-keywords",
        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct slice all = buf_slice(&text);
    enum err e =
        fd < 0 || write(fd, all.ptr, all.len) != (ssize_t)all.len || fsync(fd) < 0 ||
                renameat(folder->tmp_fd, "dovecot-keywords", folder->fd, "dovecot-keywords") < 0
            ? err_from_errno(errno)
            : ERR_OK;
    buf_done(&text);
    return e;
}

/* ---- finding folders ---- */

static bool is_folder_at(int fd, const char *name)
{
    struct stat st;
    return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool is_maildir_part(const char *name)
{
    return strcmp(name, "cur") == 0 || strcmp(name, "new") == 0 || strcmp(name, "tmp") == 0;
}

static bool has_entries(int fd, const char *name)
{
    DIR *dir;
    bool any = false;
    enum err e = dir_open(fd, name, &dir);
    if (e != ERR_OK)
        return e != ERR_NOT_FOUND;
    for (const struct dirent *entry; !any && (entry = readdir(dir));)
        any = entry->d_name[0] != '.';
    closedir(dir);
    return any;
}

bool near_is_in_doubt(int root_fd, const char *path)
{
    autoclose int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
    struct slice rest = slice_of(path), part;
    struct stat st;
    while (fd >= 0 && slice_cut(&rest, '/', &part)) {
        autofree char *name = mem_strndup(part.ptr, part.len);
        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno != ENOENT;
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        close(fd);
        fd = next;
    }
    if (fd < 0 || fstatat(fd, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    return errno != ENOENT || has_entries(fd, "new");
}

struct walk {
    enum client_layout layout;
    near_folder_fn each;
    void *arg;
    struct err_note *note;
};

static enum err walk(
    const struct walk *w, int parent_fd, const char *name, const char *path, unsigned depth)
{
    DIR *dir;
    if (depth > NEAR_DEPTH_MAX)
        return err_noted(w->note, ERR_LIMIT, "%s: too many folders in folders", path);
    enum err e = dir_open(parent_fd, name, &dir);
    if (e == ERR_DENIED && depth == 1 && strcmp(name, "lost+found") == 0)
        return ERR_OK; /* the system's own, where a file system has its root; no mail is in it */
    if (e != ERR_OK)
        return err_noted(w->note, e, "%s: %s", *path ? path : ".", err_words(e));
    bool root = depth == 0;
    bool plus = w->layout == CLIENT_MAILDIR_PLUS;
    if (is_folder_at(dirfd(dir), "cur") && (plus || !root))
        e = w->each(w->arg, plus && root ? "." : path);
    errno = 0;
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir)); errno = 0) {
        /* nested: hidden folders are no mail; Maildir++: each folder lies in the root and begins with a dot */
        bool hidden = entry->d_name[0] == '.';
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (dots || hidden != plus || (plus && !root) || is_maildir_part(entry->d_name) ||
            !is_folder_at(dirfd(dir), entry->d_name))
            continue;
        char *below = NULL;
        if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", entry->d_name) < 0)
            abort();
        e = walk(w, dirfd(dir), entry->d_name, below, depth + 1);
        free(below);
    }
    if (e == ERR_OK && errno) /* half a list would look like folders that were deleted */
        e = err_noted(
            w->note, err_from_errno(errno), "%s: %s", *path ? path : ".", strerror(errno));
    closedir(dir);
    return e;
}

enum err near_list(const char *root, enum client_layout layout, near_folder_fn each, void *arg,
    struct err_note *note)
{
    struct walk w = { .layout = layout, .each = each, .arg = arg, .note = note };
    return walk(&w, AT_FDCWD, root, "", 0);
}

/* ---- one folder ---- */

static enum err open_at(int fd, const char *name, bool make, int *out_fd)
{
    if (make && mkdirat(fd, name, 0700) < 0 && errno != EEXIST)
        return err_from_errno(errno);
    *out_fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *out_fd < 0 ? err_from_errno(errno) : ERR_OK;
}

/* Part by part: none of them may be a symbolic link, which could lead out of the tree. */
static enum err open_path(int root_fd, const char *path, bool make, int *out_fd)
{
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return err_from_errno(errno);
    struct slice rest = slice_of(path), part;
    while (slice_cut(&rest, '/', &part)) {
        char name[256];
        int next = -1;
        if (part.len >= sizeof name) {
            close(fd);
            return ERR_LIMIT;
        }
        memcpy(name, part.ptr, part.len);
        name[part.len] = '\0';
        enum err e = open_at(fd, name, make, &next);
        if (e == ERR_OK && make)
            e = fsync(fd) < 0 ? err_from_errno(errno) : ERR_OK;
        close(fd);
        fd = next;
        if (e != ERR_OK) {
            if (next >= 0)
                close(next);
            return e;
        }
    }
    *out_fd = fd;
    return ERR_OK;
}

/* new/ or tmp/, which may be missing where nothing may be made. */
static enum err open_part(int fd, const char *name, enum near_make make, int *out_fd)
{
    enum err e = open_at(fd, name, make != NEAR_READ, out_fd);
    return e == ERR_NOT_FOUND && make == NEAR_READ ? ERR_OK : e;
}

enum err near_open(int root_fd, const char *path, enum near_make make,
    struct near_folder *out_folder, struct err_note *note)
{
    struct near_folder folder;
    near_none(path, &folder);
    enum err e = open_path(root_fd, path, make == NEAR_MAKE, &folder.fd);
    if (e == ERR_OK)
        e = open_at(folder.fd, "cur", make == NEAR_MAKE, &folder.cur_fd);
    if (e == ERR_OK)
        e = open_part(folder.fd, "new", make, &folder.new_fd);
    if (e == ERR_OK)
        e = open_part(folder.fd, "tmp", make, &folder.tmp_fd);
    if (e == ERR_OK && make == NEAR_MAKE && fsync(folder.fd) < 0)
        e = err_from_errno(errno);
    if (e != ERR_OK) {
        near_close(&folder);
        return err_noted(note, e, "%s: %s", path, err_words(e));
    }
    *out_folder = folder;
    return ERR_OK;
}

void near_none(const char *path, struct near_folder *out_folder)
{
    *out_folder =
        (struct near_folder){ .fd = -1, .new_fd = -1, .cur_fd = -1, .tmp_fd = -1, .path = path };
    map_init(&out_folder->by_base);
}

void near_close(struct near_folder *folder)
{
    int *const fds[] = { &folder->fd, &folder->new_fd, &folder->cur_fd, &folder->tmp_fd };
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    free(folder->files);
    folder->files = NULL;
    folder->count = folder->cap = 0;
    map_done(&folder->by_base);
}

/* "name:2,FS": where the base ends. Programs that are not maildir(5) to the letter write other things behind ":"; those are no flags of ours. */
uint32_t near_flags_in(const struct near_folder *folder, struct slice info)
{
    uint32_t flags = 0;
    if (!slice_starts(info, SLICE(":2,")))
        return 0;
    for (size_t i = 3; i < info.len; i++) {
        const char *letter = info.ptr[i] ? strchr(letters, info.ptr[i]) : NULL;
        if (letter)
            flags |= 1u << (letter - letters);
        else if (info.ptr[i] >= 'a' && info.ptr[i] <= 'z')
            flags |= folder->letter_bits[info.ptr[i] - 'a'];
    }
    return flags;
}

static uint32_t flags_of(
    const struct near_folder *folder, struct slice name, struct slice *out_base)
{
    size_t at = slice_index(name, ':');
    *out_base = slice_sub(name, 0, at);
    return near_flags_in(folder, slice_from_index(name, at));
}

static void name_with_flags(
    const struct near_folder *folder, struct slice base, uint32_t flags, struct buf *out)
{
    buf_add(out, base);
    buf_adds(out, ":2,");
    for (size_t i = 0; letters[i]; i++)
        if (flags & 1u << i)
            buf_addc(out, letters[i]);
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++)
        if (flags & folder->letter_bits[i])
            buf_addc(out, (char)('a' + i));
    buf_addc(out, '\0');
}

static enum err add_file(
    struct near_folder *folder, const char *name, bool in_new, bool odd, struct arena *arena)
{
    struct slice kept = slice_of(name);
    char *copy = slice_cstr(arena, kept);
    if (!copy)
        return ERR_LIMIT;
    struct near_file file = { .name = copy, .in_new = in_new, .odd = odd };
    file.flags = flags_of(folder, slice_from(copy, kept.len), &file.base);
    struct near_file *other = near_find(folder, file.base);
    if (other && other->odd && !odd)
        *other = file;
    else if (other && !odd && strcmp(other->name, name) != 0)
        other->twice = true;
    if (file.base.len == 0 || other)
        return ERR_OK; /* the second name of one message: a program is moving it at this moment, or a backup was put back over what is there */
    if (folder->count == folder->cap) {
        folder->cap = folder->cap ? folder->cap * 2 : 64;
        folder->files = mem_realloc(folder->files, folder->cap * sizeof *folder->files);
    }
    folder->files[folder->count++] = file;
    (void)map_put(&folder->by_base, file.base, (void *)(uintptr_t)folder->count);
    return ERR_OK;
}

static enum err scan_one(
    struct near_folder *folder, const char *name, bool in_new, struct arena *arena)
{
    DIR *dir;
    TRY(dir_open(folder->fd, name, &dir));
    enum err e = ERR_OK;
    errno = 0;
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir)); errno = 0) {
        if (entry->d_name[0] == '.')
            continue;
        bool odd = entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN;
        e = add_file(folder, entry->d_name, in_new, odd, arena);
    }
    if (e == ERR_OK && errno) /* half a list would look like deletions */
        e = err_from_errno(errno);
    closedir(dir);
    return e;
}

/* cur/ twice: a message that a program moves from new/ to cur/ between the two readings is in one of the lists. */
enum err near_scan(struct near_folder *folder, struct arena *arena, struct sync_keywords *keywords,
    struct err_note *note)
{
    read_keywords(folder, keywords);
    enum err e = scan_one(folder, "cur", false, arena);
    if (e == ERR_OK && folder->new_fd >= 0)
        e = scan_one(folder, "new", true, arena);
    if (e == ERR_OK)
        e = scan_one(folder, "cur", false, arena);
    return e == ERR_OK ? e : err_noted(note, e, "%s: %s", folder->path, err_words(e));
}

struct near_file *near_find(const struct near_folder *folder, struct slice base)
{
    uintptr_t index = (uintptr_t)map_get(&folder->by_base, base);
    return index ? &folder->files[index - 1] : NULL;
}

void near_sweep(struct near_folder *folder)
{
    DIR *dir;
    if (dir_open(folder->fd, "tmp", &dir) != ERR_OK)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat st;
        if (fstatat(folder->tmp_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && st.st_ctime < clock_wall_s() - NEAR_TMP_AGE_S)
            (void)unlinkat(folder->tmp_fd, entry->d_name, 0);
    }
    closedir(dir);
}

/* ---- moving ---- */

static enum err copy_bytes(int from, int to)
{
    autofree char *piece = mem_alloc(NEAR_COPY_BYTES);
    for (;;) {
        ssize_t got = read(from, piece, NEAR_COPY_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_from_errno(errno) : ERR_OK;
        for (ssize_t at = 0, wrote; at < got; at += wrote) {
            wrote = write(to, piece + at, (size_t)(got - at));
            if (wrote < 0 && errno == EINTR)
                wrote = 0;
            if (wrote < 0)
                return err_from_errno(errno);
        }
    }
}

/* To another file system: on disk there, under a hidden name first, before it goes here. A run that is killed between leaves it on both. */
static enum err copy_new(int from_fd, const char *from, int to_fd, const char *to)
{
    char hidden[96];
    struct stat st;
    near_new_base(hidden + 1);
    hidden[0] = '.';
    autoclose int in = openat(from_fd, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0 || fstat(in, &st) < 0)
        return err_from_errno(errno);
    autoclose int out = openat(to_fd, hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return err_from_errno(errno);
    enum err e = copy_bytes(in, out);
    struct timespec times[2] = { st.st_atim, st.st_mtim };
    if (e == ERR_OK && (futimens(out, times) < 0 || fsync(out) < 0))
        e = err_from_errno(errno);
    if (e == ERR_OK)
        e = near_rename(to_fd, hidden, to_fd, to);
    if (e != ERR_OK) {
        (void)unlinkat(to_fd, hidden, 0);
        return e;
    }
    return fsync(to_fd) < 0 || unlinkat(from_fd, from, 0) < 0 ? err_from_errno(errno) : ERR_OK;
}

/* rename that replaces nothing: two messages never become one. */
enum err near_rename(int from_fd, const char *from, int to_fd, const char *to)
{
    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
        return ERR_OK;
    if (errno == EXDEV)
        return copy_new(from_fd, from, to_fd, to);
    if (errno != EINVAL && errno != ENOSYS)
        return err_from_errno(errno);
    if (linkat(from_fd, from, to_fd, to, 0) < 0) /* a file system without it */
        return err_from_errno(errno);
    return unlinkat(from_fd, from, 0) < 0 ? err_from_errno(errno) : ERR_OK;
}

void near_name(const struct near_folder *folder, struct slice base, uint32_t flags, struct buf *out)
{
    if (flags) {
        name_with_flags(folder, base, flags, out);
        return;
    }
    buf_add(out, base);
    buf_addc(out, '\0');
}

enum err near_file_draft(struct near_folder *folder, const char *base, uint32_t flags)
{
    struct buf name;
    if (flags == 0)
        return near_rename(folder->tmp_fd, base, folder->new_fd, base);
    buf_init(&name, 0);
    name_with_flags(folder, slice_of(base), flags, &name);
    enum err e = near_rename(folder->tmp_fd, base, folder->cur_fd, buf_slice(&name).ptr);
    buf_done(&name);
    return e;
}

enum err near_set_flags(
    struct near_folder *folder, struct near_file *file, uint32_t flags, struct arena *arena)
{
    struct buf name;
    buf_init(&name, 0);
    name_with_flags(folder, file->base, flags, &name);
    char *kept = slice_cstr(arena, slice_of(buf_slice(&name).ptr));
    buf_done(&name);
    if (!kept)
        return ERR_LIMIT;
    TRY(near_rename(
        file->in_new ? folder->new_fd : folder->cur_fd, file->name, folder->cur_fd, kept));
    file->name = kept;
    file->base = slice_sub(slice_of(kept), 0, file->base.len);
    file->in_new = false;
    file->flags = flags;
    return ERR_OK;
}

/* The letters of one folder mean other keywords in another: the name is made anew. */
enum err near_move(struct near_folder *from, const struct near_file *file, struct near_folder *to,
    uint32_t flags, struct arena *arena, struct near_file *out_file)
{
    struct near_file moved = { .flags = flags, .in_new = file->in_new && flags == 0 };
    struct buf name;
    buf_init(&name, 0);
    if (moved.in_new)
        buf_adds(&name, file->name);
    else
        name_with_flags(to, file->base, flags, &name);
    buf_addc(&name, '\0');
    moved.name = slice_cstr(arena, slice_of(buf_slice(&name).ptr));
    buf_done(&name);
    if (!moved.name)
        return ERR_LIMIT;
    moved.base = slice_sub(slice_of(moved.name), 0, file->base.len);
    TRY(near_rename(file->in_new ? from->new_fd : from->cur_fd, file->name,
        moved.in_new ? to->new_fd : to->cur_fd, moved.name));
    if (out_file)
        *out_file = moved;
    return ERR_OK;
}

enum err near_take_out(struct near_folder *folder, const struct near_file *file, int undo_fd)
{
    int from_fd = file->in_new ? folder->new_fd : folder->cur_fd;
    enum err e = near_rename(from_fd, file->name, undo_fd, file->name);
    if (e != ERR_EXISTS)
        return e;
    /* it was taken out before and came back, or a killed run had copied it */
    char base[80];
    struct buf name;
    near_new_base(base);
    buf_init(&name, 0);
    buf_addf(&name, "%s%s", base, file->name + file->base.len);
    buf_addc(&name, '\0');
    e = near_rename(from_fd, file->name, undo_fd, buf_slice(&name).ptr);
    buf_done(&name);
    return e;
}

enum err near_sync(const struct near_folder *folder)
{
    return syncfs(folder->tmp_fd) < 0 ? err_from_errno(errno) : ERR_OK;
}

enum err near_sync_names(const struct near_folder *folder)
{
    if (fsync(folder->new_fd) < 0 || fsync(folder->cur_fd) < 0)
        return err_from_errno(errno);
    return ERR_OK;
}

void near_new_base(char out_base[80])
{
    static unsigned number;
    unsigned char random[8];
    char host[32];
    rand_bytes(random, sizeof random);
    if (gethostname(host, sizeof host) < 0)
        host[0] = '\0';
    host[sizeof host - 1] = '\0';
    for (char *c = host; *c; c++)
        if (*c == '/' || *c == ':' || (unsigned char)*c <= ' ')
            *c = '_';
    int64_t now_ms = clock_wall_ms();
    snprintf(out_base, 80, "%lld.M%lldQ%uR%02x%02x%02x%02x%02x%02x.%s", (long long)(now_ms / 1000),
        (long long)(now_ms % 1000), ++number, random[0], random[1], random[2], random[3], random[4],
        random[5], host);
}
