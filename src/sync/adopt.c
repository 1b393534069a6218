/* A Maildir that mbsync or offlineimap kept is taken over: rows are written as if its runs had been ours, so that the first run here downloads nothing again, doubles nothing, and
 * does what was done on either side since the last run there.
 *
 * A-1  Nothing is believed alone. The server's UIDVALIDITY has to be that of the state; a file is bound to a UID when the message there has its Message-ID or, where there is
 *      none, its size.
 * A-2  That a message is missing on one side follows from the state alone; so it counts only where the state was right about every message that could be compared, and about
 *      one at least. Then it is a removal like any other, with brake and undo store. Else the message is brought to the side that lacks it.
 * A-3  Files of the other program are read and stay as they are. What is not understood is as if it were not there: then messages are told by what they hold (sync_match.c).
 *
 * mbsync puts a field "X-TUID: twelve letters" into every message that it writes here; the server's message has none. */
#include "sync/adopt.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "sync/adopt_text.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_BYTES_MAX  (256u << 20) /* of .mbsyncstate: ten million messages */
#define SMALL_BYTES_MAX  (1u << 20)   /* of a configuration, of a file with a number */
#define PIECE_BYTES      65536u
#define STATES_MAX       10000u /* files in ~/.mbsync */
#define PLACEHOLDER_MAX  65536u /* bytes of one */
#define PLACEHOLDER_TEXT SLICE("this message is over the MaxSize limit.")

struct adopting {
    struct sync_folder *folder;
    struct adopt_state state;
    struct near_file **by_uid; /* for each entry: its file here; NULL */
    bool unclear;              /* the state is half written */
    size_t agreed, differed;
    struct sync_row *rows; /* arena of the folder */
    size_t count;
    enum err result;
};

/* ---- files of the other program ---- */

static enum err read_file(int fd, size_t bytes_max, struct buf *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return ERR_DENIED;
    if ((uint64_t)st.st_size > bytes_max)
        return ERR_LIMIT;
    buf_init(out, bytes_max + PIECE_BYTES);
    for (;;) {
        char *room = buf_room(out, PIECE_BYTES);
        ssize_t got = room ? read(fd, room, PIECE_BYTES) : -1;
        if (got < 0 && room && errno == EINTR)
            continue;
        if (got == 0)
            return ERR_OK;
        if (got < 0) {
            buf_done(out);
            return room ? err_from_errno(errno) : ERR_LIMIT;
        }
        buf_wrote(out, (size_t)got);
    }
}

/* ERR_OK, and out is to be done. */
static enum err read_at(int folder_fd, const char *name, size_t bytes_max, struct buf *out)
{
    autoclose int fd =
        openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? err_from_errno(errno) : read_file(fd, bytes_max, out);
}

static uint32_t number_at(int folder_fd, const char *name)
{
    struct buf text;
    if (read_at(folder_fd, name, SMALL_BYTES_MAX, &text) != ERR_OK)
        return 0;
    uint32_t number = adopt_number(buf_slice(&text));
    buf_done(&text);
    return number;
}

static bool is_at(int folder_fd, const char *name)
{
    struct stat st;
    return fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- mbsync ---- */

/* What a run that was cut had not yet written into the state lies beside it. */
static bool has_journal(int folder_fd, const char *name)
{
    char journal[NAME_MAX + 1];
    return (size_t)snprintf(journal, sizeof journal, "%s.journal", name) >= sizeof journal ||
           is_at(folder_fd, journal);
}

static enum err take_mbsync(struct adopting *a, int folder_fd, const char *name)
{
    struct sync_folder *folder = a->folder;
    struct adopt_state state = { .count = 0 };
    struct buf text;
    TRY(read_at(folder_fd, name, STATE_BYTES_MAX, &text));
    enum err e = adopt_mbsync(buf_slice(&text), &folder->arena, &state);
    buf_done(&text);
    if (e == ERR_OK && state.near_uidvalidity != number_at(folder->near.fd, ".uidvalidity"))
        e = ERR_NOT_FOUND; /* of other files than these */
    if (e != ERR_OK)
        return e;
    a->state = state;
    a->unclear = has_journal(folder_fd, name);
    return ERR_OK;
}

/* ":far:Work!2026_:near:Work!2026": does it end with the path of this folder? */
static bool is_state_of(const char *name, const char *path)
{
    struct buf end;
    buf_init(&end, 0);
    buf_addc(&end, ':');
    for (const char *c = path; *c; c++)
        buf_addc(&end, *c == '/' ? '!' : *c);
    bool same = slice_ends_nocase(slice_of(name), buf_slice(&end));
    buf_done(&end);
    return same;
}

/* In ~/.mbsync; one that fits, or none: of two it cannot be known which it is. */
static enum err take_from_home(struct adopting *a)
{
    const char *home = a->folder->run->options->home;
    const char *path = a->folder->row.path;
    char chosen[NAME_MAX + 1] = "";
    size_t seen = 0, fits = 0;
    DIR *dir;
    autofree char *folder = NULL;
    if (!home || strcmp(path, ".") == 0)
        path = "INBOX";
    if (!home || asprintf(&folder, "%s/.mbsync", home) < 0)
        return ERR_NOT_FOUND;
    TRY(dir_open(AT_FDCWD, folder, &dir));
    for (const struct dirent *entry; (entry = readdir(dir)) && seen < STATES_MAX; seen++) {
        if (!is_state_of(entry->d_name, path) ||
            take_mbsync(a, dirfd(dir), entry->d_name) != ERR_OK)
            continue;
        if (a->folder->status.uidvalidity != a->state.far_uidvalidity)
            continue;
        snprintf(chosen, sizeof chosen, "%s", entry->d_name);
        fits++;
    }
    enum err e = fits == 1 ? take_mbsync(a, dirfd(dir), chosen) : ERR_NOT_FOUND;
    closedir(dir);
    return e;
}

/* ---- offlineimap ---- */

static enum err read_config(const char *home, struct buf *out)
{
    static const char *const places[] = { ".offlineimaprc", ".config/offlineimap/config" };
    enum err e = ERR_NOT_FOUND;
    for (size_t i = 0; i < 2 && e == ERR_NOT_FOUND; i++) {
        autofree char *path = NULL;
        if (asprintf(&path, "%s/%s", home, places[i]) < 0)
            abort();
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        e = fd < 0 ? err_from_errno(errno) : read_file(fd, SMALL_BYTES_MAX, out);
    }
    return e;
}

/* Its names of files have "." where folders are in folders; that of the folder at the top is "dot". */
static char *status_path(const struct adopt_offlineimap *config, bool status, const char *name)
{
    struct buf out;
    buf_init(&out, 0);
    if (status)
        buf_addf(&out, "%.*s/Account-%.*s/LocalStatus-sqlite/", SLICE_FMT(config->metadata),
            SLICE_FMT(config->account));
    else
        buf_addf(&out, "%.*s/Repository-%.*s/FolderValidity/", SLICE_FMT(config->metadata),
            SLICE_FMT(config->remote));
    if (strcmp(name, ".") == 0)
        name = "dot";
    for (; *name; name++)
        buf_addc(&out, *name == '/' ? '.' : *name);
    char *path = mem_strndup(buf_slice(&out).ptr, buf_len(&out));
    buf_done(&out);
    return path;
}

static enum err read_entries(struct adopting *a, sqlite3_stmt *rows)
{
    enum err e = ERR_OK;
    int code = SQLITE_DONE;
    while (e == ERR_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        int64_t uid = sqlite3_column_int64(rows, 0);
        const char *letters = (const char *)sqlite3_column_text(rows, 1);
        struct adopt_entry entry = { .kind = ADOPT_PAIR };
        if (uid <= 0 || uid > UINT32_MAX) /* of a message that was on its way */
            continue;
        entry.far_uid = entry.near_uid = (uint32_t)uid;
        if (adopt_flags(slice_of(letters), &entry.flags) != ERR_OK)
            entry.kind = ADOPT_OTHER;
        e = adopt_add(&a->state, &a->folder->arena, &entry);
    }
    return e == ERR_OK && code != SQLITE_DONE ? ERR_SYNTAX : e;
}

static enum err read_status(struct adopting *a, const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    enum err e = ERR_NOT_FOUND;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW, NULL) ==
            SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT id, flags FROM status", -1, &rows, NULL) == SQLITE_OK)
        e = read_entries(a, rows);
    (void)sqlite3_finalize(rows);
    (void)sqlite3_close(db);
    return e;
}

static enum err take_offlineimap(struct adopting *a)
{
    const struct sync_options *options = a->folder->run->options;
    struct sync_folder *folder = a->folder;
    struct adopt_offlineimap config;
    struct buf text;
    if (!options->home)
        return ERR_NOT_FOUND;
    TRY(read_config(options->home, &text));
    enum err e = adopt_offlineimap_config(buf_slice(&text), slice_of(options->home),
        slice_of(options->account->maildir), &folder->arena, &config);
    buf_done(&text);
    TRY(e);
    autofree char *status = status_path(&config, true, folder->row.path);
    autofree char *validity = status_path(&config, false, folder->row.far_name);
    a->state = (struct adopt_state){ .far_uidvalidity = number_at(AT_FDCWD, validity) };
    return a->state.far_uidvalidity ? read_status(a, status) : ERR_NOT_FOUND;
}

/* ---- which file is which entry's ---- */

/* Of offlineimap: a file that came from another folder has that one's hash in its name, and a UID that means nothing here. */
static struct slice usual_hash(const struct near_folder *near)
{
    struct slice hash = SLICE_EMPTY;
    size_t votes = 0;
    for (size_t i = 0; i < near->count; i++) {
        struct slice one = adopt_folder_hash(near->files[i].base);
        if (votes == 0)
            hash = one;
        if (slice_eq(one, hash))
            votes++;
        else
            votes--;
    }
    return hash;
}

static struct slice key_of(const uint32_t *uid)
{
    return slice_from(uid, sizeof *uid);
}

/* Two files with one UID: neither is meant. */
static void map_files(const struct near_folder *near, struct map *files)
{
    struct slice hash = usual_hash(near);
    for (size_t i = 0; i < near->count; i++) {
        uint32_t uid = adopt_uid(near->files[i].base);
        if (!uid || !slice_eq(adopt_folder_hash(near->files[i].base), hash))
            continue;
        uintptr_t index = map_get(files, key_of(&uid)) ? near->count + 1 : i + 1;
        (void)map_put(files, key_of(&uid), (void *)index);
    }
}

/* The same of two entries. */
static enum err find_files(struct adopting *a)
{
    struct near_folder *near = &a->folder->near;
    struct map files, entries; /* near UID -> index + 1 */
    a->by_uid = arena_zalloc(&a->folder->arena, a->state.count + 1, sizeof(struct near_file *));
    if (!a->by_uid)
        return ERR_LIMIT;
    map_init(&files);
    map_init(&entries);
    map_files(near, &files);
    for (size_t i = 0; i < a->state.count; i++) {
        struct adopt_entry *entry = &a->state.entries[i];
        uintptr_t index = (uintptr_t)map_get(&files, key_of(&entry->near_uid));
        uintptr_t other =
            (uintptr_t)map_put(&entries, key_of(&entry->near_uid), (void *)(uintptr_t)(i + 1));
        if (other && entry->near_uid)
            a->state.entries[other - 1].kind = entry->kind = ADOPT_OTHER;
        else if (index > near->count)
            entry->kind = ADOPT_OTHER;
        else if (index)
            a->by_uid[i] = &near->files[index - 1];
    }
    map_done(&files);
    map_done(&entries);
    return ERR_OK;
}

static int by_far_uid(const void *x, const void *y)
{
    const struct adopt_entry *one = x, *two = y;
    return one->far_uid < two->far_uid ? -1 : one->far_uid > two->far_uid;
}

static void drop_doubled(struct adopt_state *state)
{
    if (state->count == 0)
        return;
    qsort(state->entries, state->count, sizeof *state->entries, by_far_uid);
    for (size_t i = 1; i < state->count; i++)
        if (state->entries[i].far_uid == state->entries[i - 1].far_uid)
            state->entries[i].kind = state->entries[i - 1].kind = ADOPT_OTHER;
}

/* ---- what the server has ---- */

static enum err adopt_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct adopting *a = task->owner;
    struct sync_folder *folder = a->folder;
    uint32_t number;
    if (slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
        imap_value_u32(reply->code_values, &number) == ERR_OK)
        folder->status.uidvalidity = number;
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXISTS")))
        folder->exists = reply->number;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")) ||
        imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &number) != ERR_OK || !number)
        return ERR_OK;
    const struct imap_value *flags = imap_value_item(reply->values, SLICE("FLAGS"));
    if (!sync_add_new(folder, number, sync_far_flags(folder, flags)))
        return ERR_LIMIT;
    return sync_take_facts(folder, reply);
}

static enum err adopt_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct adopting *a = task->owner;
    a->result = imapc_reply_err(reply);
    return ERR_OK;
}

static enum err examine(struct adopting *a)
{
    struct sync_folder *folder = a->folder;
    struct imapc *imap = folder->run->options->imap;
    struct imapc_task task = { .data = adopt_data, .done = adopt_done, .owner = a };
    folder->run->selected = NULL;
    sync_queue_named(folder, &task, "EXAMINE", "");
    TRY(imapc_run(imap, &task));
    return a->result;
}

static enum err list_there(struct adopting *a)
{
    struct imapc *imap = a->folder->run->options->imap;
    struct imapc_task task = { .data = adopt_data, .done = adopt_done, .owner = a };
    if (a->folder->exists == 0)
        return ERR_OK;
    imapc_queue(imap, &task,
        SLICE("UID FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS "
              "(MESSAGE-ID)])"));
    TRY(imapc_run(imap, &task));
    return a->result;
}

/* ---- one message ---- */

struct local {
    struct sync_facts facts, pure; /* as it is; without what mbsync put into it */
};

static enum err read_local(struct sync_folder *folder, struct near_file *file, struct local *out)
{
    int64_t received_s;
    return near_read_both_facts(&folder->near, file, &out->facts, &out->pure, &received_s);
}

static bool is_same(const struct local *here, const struct sync_new *far)
{
    if (here->pure.message_id || far->facts.message_id)
        return here->pure.message_id == far->facts.message_id;
    return here->pure.bytes == far->facts.bytes || here->facts.bytes == far->facts.bytes;
}

static void add_row(struct adopting *a, const struct adopt_entry *entry, struct near_file *file,
    const struct sync_facts *facts, uint32_t keywords)
{
    a->rows[a->count++] = (struct sync_row){ .kind = SYNC_PAIR,
        .uid = entry->far_uid,
        .base = file ? slice_cstr(&a->folder->arena, file->base) : "",
        .flags = entry->flags | (keywords & ~(SYNC_KEYWORD - 1u)),
        .facts = *facts,
        .file = file };
}

/* Both sides have it: only then can it be compared. A keyword counts as set before when both have it. */
static enum err bind_one(struct adopting *a, const struct adopt_entry *entry,
    struct near_file *file, const struct sync_new *far)
{
    struct local here;
    enum err e = read_local(a->folder, file, &here);
    if (e == ERR_NOT_FOUND || e == ERR_DENIED)
        return ERR_OK;
    TRY(e);
    if (!far->has_facts)
        return ERR_OK;
    if (!is_same(&here, far)) {
        a->differed++;
        return ERR_OK;
    }
    a->agreed++;
    struct sync_facts facts = far->facts;
    memcpy(facts.hash, here.facts.hash, sizeof facts.hash);
    add_row(a, entry, file, &facts, file->flags & far->flags);
    return ERR_OK;
}

/* one side lost it since. */
static enum err bind_missing(struct adopting *a, const struct adopt_entry *entry,
    struct near_file *file, const struct sync_new *far)
{
    struct local here;
    if (!file) {
        add_row(a, entry, NULL, &far->facts, far->flags);
        return ERR_OK;
    }
    enum err e = read_local(a->folder, file, &here);
    if (e == ERR_NOT_FOUND || e == ERR_DENIED)
        return ERR_OK;
    TRY(e);
    memcpy(here.pure.hash, here.facts.hash, sizeof here.pure.hash);
    add_row(a, entry, file, &here.pure, file->flags);
    return ERR_OK;
}

static enum err bind_all(struct adopting *a, bool missing)
{
    for (size_t i = 0; i < a->state.count; i++) {
        const struct adopt_entry *entry = &a->state.entries[i];
        const struct sync_new *far = sync_new_of_uid(a->folder, entry->far_uid);
        struct near_file *file = a->by_uid[i];
        if (entry->kind != ADOPT_PAIR)
            continue;
        if (!missing && file && far)
            TRY(bind_one(a, entry, file, far));
        if (missing && (!file ^ !far))
            TRY(bind_missing(a, entry, file, far));
    }
    return ERR_OK;
}

/* A note of mbsync's in the place of a large message goes into the undo store, and the message comes. */
static bool is_placeholder(struct sync_folder *folder, const struct near_file *file)
{
    struct buf text;
    if (read_at(file->in_new ? folder->near.new_fd : folder->near.cur_fd, file->name,
            PLACEHOLDER_MAX, &text) != ERR_OK)
        return false;
    bool is = slice_find(buf_slice(&text), PLACEHOLDER_TEXT) != SIZE_MAX;
    buf_done(&text);
    return is;
}

static enum err remove_placeholders(struct adopting *a)
{
    struct sync_folder *folder = a->folder;
    for (size_t i = 0; i < a->state.count; i++) {
        struct near_file *file = a->by_uid[i];
        if (a->state.entries[i].kind != ADOPT_PLACEHOLDER || !file ||
            !sync_new_of_uid(folder, a->state.entries[i].far_uid) || !is_placeholder(folder, file))
            continue;
        folder->run->counts->near_removed++;
        folder->changed++;
        if (!folder->run->options->dry_run)
            TRY(sync_take_out(folder, file));
    }
    return ERR_OK;
}

/* ---- a folder ---- */

static int by_uid(const void *x, const void *y)
{
    const struct sync_row *one = x, *two = y;
    return one->uid < two->uid ? -1 : one->uid > two->uid;
}

static enum err write_rows(struct adopting *a)
{
    struct sync_folder *folder = a->folder;
    struct state *state = folder->run->state;
    TRY(state_begin(state));
    enum err e = state_folder_set(state, &folder->row); /* with its keywords */
    for (size_t i = 0; e == ERR_OK && i < a->count; i++)
        e = state_row_add(state, folder->row.id, &a->rows[i]);
    if (e != ERR_OK) {
        state_rollback(state);
        return e;
    }
    return state_commit(state);
}

/* The rows are the folder's, as if the state had had them. */
static enum err take_over(struct adopting *a)
{
    struct sync_folder *folder = a->folder;
    if (a->count == 0)
        return ERR_OK;
    qsort(a->rows, a->count, sizeof *a->rows, by_uid);
    if (!folder->run->options->dry_run)
        TRY(write_rows(a));
    folder->rows = a->rows;
    folder->count = a->count;
    for (size_t i = 0; i < folder->count; i++)
        if (folder->rows[i].file)
            folder->rows[i].file->row = &folder->rows[i];
    folder->run->counts->adopted += a->agreed;
    return ERR_OK;
}

static enum err find_state(struct adopting *a)
{
    enum err e = take_mbsync(a, a->folder->near.fd, ".mbsyncstate");
    if (e != ERR_OK)
        e = take_from_home(a);
    if (e != ERR_OK)
        e = take_offlineimap(a);
    return e;
}

static enum err adopt_folder(struct adopting *a)
{
    struct sync_folder *folder = a->folder;
    TRY(examine(a));
    if (find_state(a) != ERR_OK || !folder->status.uidvalidity ||
        a->state.far_uidvalidity != folder->status.uidvalidity)
        return ERR_OK; /* */
    drop_doubled(&a->state);
    TRY(find_files(a));
    TRY(list_there(a));
    a->rows = arena_zalloc(&folder->arena, a->state.count + 1, sizeof *a->rows);
    if (!a->rows)
        return ERR_LIMIT;
    TRY(bind_all(a, false));
    if (a->agreed && !a->differed && !a->unclear)
        TRY(bind_all(a, true));
    TRY(remove_placeholders(a)); /* before the rows: a run that is cut here begins anew */
    return take_over(a);
}

static bool has_uids(const struct near_folder *near)
{
    for (size_t i = 0; i < near->count; i++)
        if (adopt_uid(near->files[i].base))
            return true;
    return false;
}

static bool may_be_adopted(const struct sync_folder *folder)
{
    return folder->far_exists && folder->near_open && !folder->noselect && !folder->excluded &&
           !folder->stopped && !folder->imagined && folder->row.far.uidvalidity == 0 &&
           folder->count == 0 && has_uids(&folder->near);
}

enum err sync_adopt(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (!may_be_adopted(folder))
            continue;
        struct adopting a = { .folder = folder };
        bool had_status = folder->has_status;
        struct sync_far_state status = folder->status;
        enum err e = adopt_folder(&a);
        folder->has_status = had_status; /* as it was: the folder is gathered like any other */
        folder->status = status;
        sync_forget_news(folder);
        if (e != ERR_OK && sync_is_fatal(run, e))
            return e;
        if (e != ERR_OK)
            sync_stop_refused(folder);
    }
    return ERR_OK;
}
