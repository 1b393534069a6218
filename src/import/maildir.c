/* A Maildir and its folders, and a mailbox of Cyrus: a message is a file.
 *
 * Always true: messages come in the order of their UIDs where these are known, else in that of their names, which begin with the time. */
#include "import/import_int.h"
#include "import/lines.h"
#include "import/names.h"
#include "import/uids.h"

#include "base/cleanup.h"
#include "base/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT_MARKER ".barid-export" /* of `barid export` */
#define DOVECOT_LIST "dovecot-uidlist"
#define COURIER_LIST "courierpop3dsizelist"
#define LIST_BYTES_MAX                                                                             \
    (1u << 30) /* of a file in which a server remembers UIDs: ten million messages */

/* One folder while it is read. */
struct folder {
    struct importing *import;
    int fd;           /* borrowed */
    const char *path; /* to tell of */
    struct slice mailbox;
    bool is_root; /* what POP3 showed */
    struct arena arena;
    struct map uids;       /* base name -> struct import_uid */
    bool knows_uids;       /* the server's list was there */
    unsigned list_version; /* of Dovecot's */
    uint32_t uidvalidity;
    struct slice keywords[26];
    struct file *files;
    size_t count, cap;
};

struct file {
    const char *sub;   /* "cur", "new", "" */
    struct slice name; /* with a NUL behind it */
    const struct import_uid *uid;
    int64_t name_s;
};

/* ---- what the server wrote down beside the messages ---- */

typedef enum err line_fn(struct folder *folder, struct slice line, bool first);

/* ERR_NOT_FOUND: there is no such file. A line that fn does not understand is passed over, but for the first. */
static enum err each_line(struct folder *folder, const char *name, line_fn *fn)
{
    autoclose int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_from_errno(errno);
    if (!S_ISREG(st.st_mode) || st.st_size > LIST_BYTES_MAX)
        return ERR_SYNTAX;
    struct import_lines lines;
    struct import_piece piece;
    import_lines_init(&lines, fd);
    enum err e;
    bool first = true;
    while ((e = import_lines_next(&lines, &piece)) == ERR_OK) {
        bool whole = piece.begins && piece.ends;
        struct slice line = slice_sub(piece.bytes, 0, slice_index(piece.bytes, '\n'));
        enum err one = whole ? fn(folder, slice_dup(&folder->arena, line), first) : ERR_SYNTAX;
        if (first && one != ERR_OK) {
            e = ERR_SYNTAX;
            break;
        }
        first = false;
    }
    import_lines_done(&lines);
    return e == ERR_NOT_FOUND ? (first ? ERR_SYNTAX : ERR_OK) : e;
}

static void remember(struct folder *folder, const struct import_uid *uid)
{
    struct import_uid *kept = arena_alloc(&folder->arena, sizeof *kept);
    *kept = *uid;
    (void)map_put(&folder->uids, kept->name, kept);
}

static enum err dovecot_line(struct folder *folder, struct slice line, bool first)
{
    struct import_uid uid;
    if (first)
        return import_dovecot_head(line, &folder->list_version, &folder->uidvalidity);
    TRY(import_dovecot_record(line, folder->list_version, folder->uidvalidity, &uid));
    remember(folder, &uid);
    return ERR_OK;
}

static enum err courier_line(struct folder *folder, struct slice line, bool first)
{
    struct import_uid uid;
    if (first)
        return import_courier_head(line);
    TRY(import_courier_record(line, &uid));
    remember(folder, &uid);
    return ERR_OK;
}

static enum err keyword_line(struct folder *folder, struct slice line, bool first)
{
    (void)first;
    unsigned letter;
    struct slice name;
    if (import_keyword_line(line, &letter, &name) == ERR_OK)
        folder->keywords[letter] = name;
    return ERR_OK;
}

/* The list of the server whose UIDLs are wanted. What is there and cannot be understood is an error: guessing would make programs fetch everything anew. */
static enum err read_list(struct folder *folder)
{
    bool dovecot = folder->import->result->uidls == IMPORT_UIDLS_DOVECOT;
    bool courier = folder->import->result->uidls == IMPORT_UIDLS_COURIER && folder->is_root;
    if (!dovecot && !courier)
        return ERR_OK;
    const char *name = dovecot ? DOVECOT_LIST : COURIER_LIST;
    enum err e = each_line(folder, name, dovecot ? dovecot_line : courier_line);
    folder->knows_uids = e == ERR_OK;
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        return ERR_OK;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    return import_problem(folder->import, e, IMPORT_LIST, path);
}

/* Only what POP3 showed has UIDLs that follow from UIDs; what was moved out of there keeps one that Dovecot wrote down. */
static void write_uidl(const struct folder *folder, const struct file *file, struct buf *out)
{
    const struct import_options *options = folder->import->options;
    struct import_uid by_name = { .name = import_base_name(file->name) };
    const struct import_uid *uid = file->uid;
    switch (folder->import->result->uidls) {
    case IMPORT_UIDLS_DOVECOT:
        if (uid && uid->uidl.len)
            buf_add(out, uid->uidl);
        else if (uid && folder->is_root)
            import_format_write(
                options->uidl_format.len ? options->uidl_format : SLICE(IMPORT_DOVECOT_FORMAT), uid,
                out);
        break;
    case IMPORT_UIDLS_COURIER:
        if (folder->is_root && (uid || !folder->knows_uids))
            import_courier_uidl(uid ? uid : &by_name, out);
        break;
    case IMPORT_UIDLS_CYRUS:
        if (folder->is_root)
            buf_addf(out, "%u.%u", options->uidvalidity, uid->uid);
        break;
    default:
        break;
    }
}

/* ---- one message ---- */

static size_t keywords_of(
    const struct folder *folder, const struct import_name_flags *flags, struct slice *out)
{
    size_t count = 0;
    for (size_t i = 0; i < 26; i++)
        if (flags->letters >> i & 1 && folder->keywords[i].len)
            out[count++] = folder->keywords[i];
    if (flags->forwarded)
        out[count++] = SLICE("$Forwarded");
    return count;
}

/* When it came: the file's time, as servers of Maildirs have it. A copy that did not keep the times has later ones; then the name says it. */
static int64_t received(const struct file *file, const struct stat *st)
{
    return file->name_s && file->name_s < st->st_mtime ? file->name_s : st->st_mtime;
}

static enum err file_message(struct folder *folder, const struct file *file, int fd,
    const struct stat *st, struct import_body *body)
{
    struct slice keywords[27];
    struct import_name_flags flags = import_name_flags(file->name);
    struct buf uidl;
    TRY(import_body_file(body, fd));
    buf_init(&uidl, 0);
    write_uidl(folder, file, &uidl);
    struct import_item item = { .mailbox = folder->mailbox,
        .flags = { .system = flags.system,
            .keywords = keywords,
            .keyword_count = keywords_of(folder, &flags, keywords) },
        .received_s = received(file, st),
        .uidl = import_uidl_checked(folder->import, buf_slice(&uidl)) };
    enum err e = import_body_end(body, &item, file->name_s ? file->name_s : item.received_s);
    buf_done(&uidl);
    return e;
}

static enum err read_message(struct folder *folder, const struct file *file)
{
    char name[NAME_MAX + 8], path[PATH_MAX];
    struct stat st;
    struct import_body body;
    (void)snprintf(
        name, sizeof name, "%s%s%.*s", file->sub, file->sub[0] ? "/" : "", SLICE_FMT(file->name));
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    /* NONBLOCK: a pipe that lies there by mistake is not waited for */
    autoclose int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        import_tell(folder->import, path, IMPORT_UNREADABLE);
        return ERR_OK;
    }
    enum err e = import_body_begin(folder->import, &body);
    if (e == ERR_OK)
        e = file_message(folder, file, fd, &st, &body);
    e = import_body_verdict(&body, path, e);
    import_body_done(&body);
    return e;
}

/* ---- one folder ---- */

static void add_file(struct folder *folder, const char *sub, const char *name)
{
    if (folder->count == folder->cap) {
        folder->cap = folder->cap ? folder->cap * 2 : 256;
        folder->files = mem_realloc(folder->files, folder->cap * sizeof *folder->files);
    }
    struct slice kept = slice_of(slice_cstr(&folder->arena, slice_of(name)));
    folder->files[folder->count++] = (struct file){ .sub = sub,
        .name = kept,
        .uid = map_get(&folder->uids, import_base_name(kept)),
        .name_s = import_name_time(kept) };
}

static int by_order(const void *a, const void *b)
{
    const struct file *one = a, *two = b;
    uint32_t first = one->uid ? one->uid->uid : 0, second = two->uid ? two->uid->uid : 0;
    if (first != second) /* those that the server has not seen yet come last */
        return first == 0 ? 1 : second == 0 ? -1 : first < second ? -1 : 1;
    if (one->name_s != two->name_s)
        return one->name_s < two->name_s ? -1 : 1;
    return slice_cmp(one->name, two->name);
}

static enum err list_files(struct folder *folder, const char *sub)
{
    DIR *dir;
    enum err e = dir_open(folder->fd, sub, &dir);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    const struct dirent *entry;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            add_file(folder, sub, entry->d_name);
    closedir(dir);
    return ERR_OK;
}

static enum err read_files(struct folder *folder)
{
    const struct import_sink *sink = folder->import->sink;
    if (folder->count > 0)
        qsort(folder->files, folder->count, sizeof *folder->files, by_order);
    enum err e = sink->mailbox(sink->sink_arg, folder->mailbox);
    for (size_t i = 0; i < folder->count && e == ERR_OK; i++)
        e = read_message(folder, &folder->files[i]);
    return e;
}

static void folder_init(struct folder *folder)
{
    arena_init(&folder->arena, SIZE_MAX);
    map_init(&folder->uids);
}

static void folder_done(struct folder *folder)
{
    free(folder->files);
    map_done(&folder->uids);
    arena_done(&folder->arena);
}

static enum err read_folder(struct folder *folder)
{
    TRY(read_list(folder));
    enum err keywords = each_line(folder, "dovecot-keywords", keyword_line);
    (void)keywords; /* flags of fewer kinds; the mail matters more */
    enum err e = list_files(folder, "cur");
    if (e == ERR_OK)
        e = list_files(folder, "new");
    if (e != ERR_OK) {
        import_tell(folder->import, folder->path, IMPORT_UNREADABLE);
        return ERR_OK;
    }
    return read_files(folder);
}

/* ---- all folders ---- */

struct place {
    const char *path; /* below the top */
    struct slice mailbox;
};

struct places {
    struct importing *import;
    int top;          /* borrowed */
    bool exported;    /* names of folders are as an export writes them */
    struct place *at; /* owned */
    size_t count, cap;
};

static bool is_folder(int parent_fd, const char *name, bool *out_link)
{
    struct stat st;
    bool there = fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    *out_link = there && S_ISLNK(st.st_mode);
    return there && S_ISDIR(st.st_mode);
}

static bool is_maildir(int parent_fd, const char *name)
{
    char path[PATH_MAX];
    bool link;
    return (size_t)snprintf(path, sizeof path, "%s/cur", name) < sizeof path &&
           is_folder(parent_fd, path, &link);
}

/* Where a folder below the top goes. */
static struct slice mailbox_for(const struct places *places, struct slice name, char separator)
{
    struct importing *import = places->import;
    struct buf out;
    buf_init(&out, 0);
    if (import->options->mailbox.len) {
        buf_add(&out, import->options->mailbox);
        buf_addc(&out, '/');
    }
    if (places->exported && separator == '/')
        import_exported_name(name, &out);
    else
        import_folder_name(name, separator, &out);
    struct slice kept = slice_dup(&import->arena, buf_slice(&out));
    buf_done(&out);
    return kept;
}

static void add_place(struct places *places, const char *path, char separator)
{
    if (places->count == places->cap) {
        places->cap = places->cap ? places->cap * 2 : 32;
        places->at = mem_realloc(places->at, places->cap * sizeof *places->at);
    }
    struct slice name = slice_of(path);
    if (separator == '.')
        name = slice_from_index(name, 1);
    places->at[places->count++] =
        (struct place){ .path = slice_cstr(&places->import->arena, slice_of(path)),
            .mailbox = mailbox_for(places, name, separator) };
}

static bool is_special(const char *name)
{
    return name[0] == '.' || strcmp(name, "cur") == 0 || strcmp(name, "new") == 0 ||
           strcmp(name, "tmp") == 0;
}

/* Folders in folders. */
static void find_nested(struct places *places, const char *path, int depth)
{
    DIR *dir;
    if (depth == 0 || dir_open(places->top, path, &dir) != ERR_OK) {
        import_tell(places->import, path, IMPORT_UNREADABLE);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        char inner[PATH_MAX];
        bool link;
        bool top = strcmp(path, ".") == 0;
        if (is_special(entry->d_name) || !is_folder(dirfd(dir), entry->d_name, &link) ||
            (size_t)snprintf(inner, sizeof inner, "%s%s%s", top ? "" : path, top ? "" : "/",
                entry->d_name) >= sizeof inner)
            continue;
        if (is_maildir(places->top, inner))
            add_place(places, inner, '/');
        find_nested(places, inner, depth - 1);
    }
    closedir(dir);
}

/* Maildir++: folders beside each other, named by all of their levels. */
static void find_beside(struct places *places)
{
    DIR *dir;
    if (dir_open(places->top, ".", &dir) != ERR_OK)
        return; /* find_nested has told */
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        bool link;
        const char *name = entry->d_name;
        if (name[0] != '.' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        bool folder = is_folder(places->top, name, &link);
        if (folder && is_maildir(places->top, name))
            add_place(places, name, '.');
        else if (link) /* where it leads may be another person's mail */
            import_tell(places->import, name, IMPORT_UNREADABLE);
    }
    closedir(dir);
}

static int by_mailbox(const void *a, const void *b)
{
    const struct place *one = a, *two = b;
    int order = slice_cmp(one->mailbox, two->mailbox);
    return order ? order : strcmp(one->path, two->path);
}

static enum err read_place(struct importing *import, int top, const struct place *place)
{
    char path[PATH_MAX];
    bool is_root = strcmp(place->path, ".") == 0;
    if (is_root)
        (void)snprintf(path, sizeof path, "%s", import->options->path);
    else
        (void)snprintf(path, sizeof path, "%s/%s", import->options->path, place->path);
    autoclose int fd = openat(top, place->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        import_tell(import, path, IMPORT_UNREADABLE);
        return ERR_OK;
    }
    struct folder folder = {
        .import = import, .fd = fd, .path = path, .mailbox = place->mailbox, .is_root = is_root
    };
    folder_init(&folder);
    enum err e = read_folder(&folder);
    folder_done(&folder);
    return e;
}

/* Which server wrote down what POP3 showed. Of two, the one that wrote last. */
static enum import_uidls choose_uidls(const struct importing *import, int top)
{
    struct stat dovecot, courier;
    if (import->options->uidls != IMPORT_UIDLS_AUTO)
        return import->options->uidls;
    bool has_dovecot = fstatat(top, DOVECOT_LIST, &dovecot, AT_SYMLINK_NOFOLLOW) == 0;
    bool has_courier = fstatat(top, COURIER_LIST, &courier, AT_SYMLINK_NOFOLLOW) == 0;
    if (has_dovecot && has_courier)
        has_courier = courier.st_mtime > dovecot.st_mtime;
    return has_courier   ? IMPORT_UIDLS_COURIER
           : has_dovecot ? IMPORT_UIDLS_DOVECOT
                         : IMPORT_UIDLS_NONE;
}

static struct slice top_mailbox(const struct importing *import)
{
    return import->options->mailbox.len ? import->options->mailbox : SLICE("INBOX");
}

enum err import_maildir(struct importing *import)
{
    const char *path = import->options->path;
    autoclose int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return import_problem(import, err_from_errno(errno), IMPORT_NOT_OPENED, path);
    if (!is_maildir(top, "."))
        return import_problem(import, ERR_SYNTAX, IMPORT_NO_MAILDIR, path);
    import->result->uidls = choose_uidls(import, top);
    struct places places = { .import = import, .top = top };
    struct stat marker;
    places.exported = fstatat(top, EXPORT_MARKER, &marker, AT_SYMLINK_NOFOLLOW) == 0;
    find_nested(&places, ".", DIR_DEPTH_MAX);
    find_beside(&places);
    if (places.count > 0)
        qsort(places.at, places.count, sizeof *places.at, by_mailbox);
    enum err e =
        read_place(import, top, &(struct place){ .path = ".", .mailbox = top_mailbox(import) });
    for (size_t i = 0; i < places.count && e == ERR_OK; i++)
        e = read_place(import, top, &places.at[i]);
    free(places.at);
    return e;
}

/* ---- Cyrus: files "1.", "2." by UID; its flags lie in files of its own and stay behind ---- */

static enum err list_cyrus(struct folder *folder, DIR *dir)
{
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        uint64_t n;
        struct slice name = slice_of(entry->d_name);
        if (name.len < 2 || name.ptr[name.len - 1] != '.' ||
            slice_to_u64(slice_sub(name, 0, name.len - 1), UINT32_MAX, &n) != ERR_OK || n == 0)
            continue;
        struct import_uid uid = { .name = slice_dup(&folder->arena, name), .uid = (uint32_t)n };
        remember(folder, &uid);
        add_file(folder, "", entry->d_name);
        folder->files[folder->count - 1].name_s = 0; /* no time */
    }
    if (folder->count)
        return ERR_OK;
    return import_problem(folder->import, ERR_SYNTAX, IMPORT_NO_CYRUS, folder->path);
}

enum err import_cyrus(struct importing *import)
{
    const char *path = import->options->path;
    DIR *dir = opendir(path);
    if (!dir)
        return import_problem(import, err_from_errno(errno), IMPORT_NOT_OPENED, path);
    bool named = import->options->uidvalidity > 0 && import->options->uidls != IMPORT_UIDLS_NONE;
    import->result->uidls = named ? IMPORT_UIDLS_CYRUS : IMPORT_UIDLS_NONE;
    struct folder folder = { .import = import,
        .fd = dirfd(dir),
        .path = path,
        .mailbox = top_mailbox(import),
        .is_root = true };
    folder_init(&folder);
    enum err e = list_cyrus(&folder, dir);
    if (e == ERR_OK)
        e = read_files(&folder);
    folder_done(&folder);
    closedir(dir);
    return e;
}
