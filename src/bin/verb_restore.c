/* barid restore: from a folder that barid backup wrote, everything, one mailbox owner's mail, one mailbox, or one message.
 *
 * The copy is put into incoming/ of the data folder first, where also a confined server may read it; then the server, or we when none runs, adds what
 * is missing or puts the copy in the account's place. */
#include "bin/verb_backup.h"

#include "auth/directory.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "bin/backup_files.h"
#include "bin/bring.h"
#include "bin/verb_backup_int.h"
#include "message/summary.h"
#include "message/text.h"
#include "server/core/control.h"
#include "server/core/data_dir.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct restore {
    const struct config *config;
    const char *address, *mailbox; /* NULL: not said */
    uint32_t uid;
    bool all, list, replace;
    int from_fd;                        /* the backup's folder; -1 when it is not open */
    struct directory *there, *here;     /* of the backup; of the data folder */
    struct store *store;                /* NULL: a server runs */
    struct store_restore_result result; /* of one account */
};

/* ---- looking ---- */

static enum err snapshot_of(const struct restore *r, const char *id, struct account **out_snapshot)
{
    char path[64];
    (void)snprintf(path, sizeof path, "accounts/%s", id);
    return store_snapshot(r->from_fd, path, slice_of(id), out_snapshot);
}

static enum err list_users(const struct restore *r, struct arena *arena)
{
    struct user *users;
    size_t count;
    TRY(directory_users(r->there, SLICE_EMPTY, arena, &users, &count));
    for (size_t i = 0; i < count; i++) {
        struct account *snapshot;
        struct account_usage usage = { 0 };
        enum err e = snapshot_of(r, users[i].id, &snapshot);
        if (e == ERR_OK) {
            e = account_usage(snapshot, &usage);
            store_snapshot_close(snapshot);
        }
        if (e == ERR_OK || e == ERR_NOT_FOUND)
            cli_say(MSG_RESTORE_USER, users[i].address, (unsigned long long)usage.messages,
                (double)usage.bytes / 1e6);
        else
            cli_error(MSG_BACKUP_FAILED, users[i].address, err_words(e));
    }
    return ERR_OK;
}

static enum err list_mailboxes(struct account *snapshot, struct arena *arena)
{
    struct mailbox *list;
    size_t count;
    TRY(account_mailboxes(snapshot, arena, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (list[i].exists && !list[i].noselect) {
            (void)printf("%10llu  ", (unsigned long long)list[i].messages);
            cli_print_safe(list[i].name);
            (void)putchar('\n');
        }
    return ERR_OK;
}

static void list_message(const struct store_row *row, struct buf *subject)
{
    struct msg_summary summary;
    char date[32] = "";
    struct tm utc;
    time_t at = row->received_s;
    if (gmtime_r(&at, &utc))
        (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M", &utc);
    buf_clear(subject);
    if (msg_summary_open(row->summary, &summary) == ERR_OK) {
        struct msg_facts facts;
        msg_facts(&summary, &facts);
        msg_decode_words(facts.subject, subject);
    }
    (void)printf("%10u  %s  %9llu  ", row->uid, date, (unsigned long long)row->size);
    cli_print_safe(buf_slice(subject));
    (void)putchar('\n');
}

static enum err list_messages(
    const struct restore *r, struct account *snapshot, struct arena *arena)
{
    struct mailbox box;
    TRY(account_mailbox(snapshot, slice_of(r->mailbox), arena, &box));
    struct store_read_args read = {
        .mailbox = box.id, .need = STORE_NEED_SUMMARY, .rows_max = 1000
    };
    struct store_rows rows;
    struct buf subject;
    buf_init(&subject, 0);
    enum err e = ERR_OK;
    do {
        arena_reset(arena);
        rows = (struct store_rows){ 0 };
        e = account_read(snapshot, &read, arena, &rows);
        for (size_t i = 0; i < rows.count && e == ERR_OK; i++)
            list_message(&rows.at[i], &subject);
        read.from_uid = rows.next_uid;
    } while (e == ERR_OK && rows.next_uid);
    buf_done(&subject);
    return e;
}

static enum err show(const struct restore *r)
{
    struct arena arena;
    struct user user;
    struct account *snapshot;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e;
    if (!r->address) {
        e = list_users(r, &arena);
    } else {
        e = directory_user(r->there, slice_of(r->address), &user);
        if (e == ERR_OK)
            e = snapshot_of(r, user.id, &snapshot);
        if (e == ERR_OK) {
            e = r->mailbox ? list_messages(r, snapshot, &arena) : list_mailboxes(snapshot, &arena);
            store_snapshot_close(snapshot);
        }
    }
    arena_done(&arena);
    return e;
}

/* ---- one account ---- */

static enum err stage(const struct restore *r, const char *id, const char *name, const char *path)
{
    char from_path[64];
    uint64_t bytes = 0;
    (void)snprintf(from_path, sizeof from_path, "accounts/%s", id);
    autoclose int from = openat(r->from_fd, from_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0)
        return err_from_errno(errno);
    if (mkdir(path, 0700) != 0)
        return err_from_errno(errno);
    autoclose int to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0)
        return err_from_errno(errno);
    TRY(backup_copy_file(from, to, "mail.db", &bytes));
    size_t unread; /* a row whose file is missing is told by who reads it */
    TRY(backup_copy_big(from, -1, to, &bytes, &unread));
    return backup_give_tree(r->config->data_dir, name);
}

static enum err bring_back(struct restore *r, const struct user *from, const struct user *to)
{
    char name[BRING_NAME_BYTES], path[PATH_MAX];
    bring_name("restore", name);
    (void)snprintf(path, sizeof path, "%s/%s", r->config->data_dir, name);
    struct store_restore_args args = { .folder = name,
        .from_id = slice_of(from->id),
        .mailbox = r->mailbox ? slice_of(r->mailbox) : SLICE_EMPTY,
        .uid = r->uid };
    r->result = (struct store_restore_result){ 0 };
    enum err e = stage(r, from->id, name, path);
    if (e == ERR_OK)
        e = (r->replace ? bring_replace : bring_add)(
            r->config, r->store, to->id, &args, &r->result);
    autoclose int data = open(r->config->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)!dir_remove(data, name); /* what stays is swept at the next start */
    return e;
}

static int tell(const struct restore *r, const char *address, enum err e)
{
    if (e == ERR_OK && r->replace)
        cli_say(MSG_RESTORE_REPLACED, address);
    else if (e == ERR_OK)
        cli_say(MSG_RESTORE_ADDED, address, (unsigned long long)r->result.added,
            (unsigned long long)r->result.there);
    else if (e == ERR_CORRUPT)
        cli_error(r->replace ? MSG_RESTORE_COPY_DAMAGED : MSG_RESTORE_HERE_DAMAGED, address);
    else if (e == ERR_NOT_FOUND)
        cli_error(MSG_RESTORE_NOT_THERE, address);
    else if (e == ERR_EXISTS)
        cli_error(MSG_RESTORE_ALIAS, address);
    else
        cli_error(MSG_BACKUP_FAILED, address, err_words(e));
    if (e == ERR_OK && r->result.damaged > 0) {
        cli_error(MSG_RESTORE_SOME_DAMAGED, address, (unsigned long long)r->result.damaged);
        return 1;
    }
    return e == ERR_OK ? EX_OK : cli_exit_code(e);
}

static int restore_one(struct restore *r)
{
    struct user from, to;
    enum err e = directory_user(r->there, slice_of(r->address), &from);
    if (e == ERR_OK)
        e = directory_user(r->here, slice_of(r->address), &to);
    if (e == ERR_NOT_FOUND)
        e = directory_restore_user(r->here, r->there, slice_of(r->address), &to);
    if (e == ERR_OK)
        e = bring_back(r, &from, &to);
    return tell(r, r->address, e);
}

/* ---- everything ---- */

/* Last, and in one step: without it the data folder has no users, and everything can be begun again. */
static enum err copy_directory(const struct restore *r)
{
    uint64_t bytes = 0;
    autoclose int data = open(r->config->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    autoclose int incoming = openat(data, "incoming", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data < 0 || incoming < 0)
        return err_from_errno(errno);
    (void)unlinkat(incoming, "directory.db", 0);
    TRY(backup_copy_file(r->from_fd, incoming, "directory.db", &bytes));
    if (syncfs(incoming) != 0 || renameat(incoming, "directory.db", data, "directory.db") != 0 ||
        fsync(data) != 0)
        return err_from_errno(errno);
    return ERR_OK;
}

static int restore_all(struct restore *r)
{
    struct arena arena;
    struct user *users;
    size_t count = 0;
    arena_init(&arena, SIZE_MAX);
    r->replace = true;
    enum err e = directory_users(r->there, SLICE_EMPTY, &arena, &users, &count);
    int worst = e == ERR_OK ? EX_OK : cli_exit_code(e);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "accounts/%s", users[i].id);
        if (faccessat(r->from_fd, path, F_OK, 0) != 0 && errno == ENOENT)
            continue; /* had no mail */
        enum err one = bring_back(r, &users[i], &users[i]);
        int code = tell(r, users[i].address, one);
        worst = code == EX_OK ? worst : code;
    }
    arena_done(&arena);
    if (e == ERR_OK)
        e = copy_directory(r);
    if (e != ERR_OK)
        cli_error(MSG_FAILED, err_words(e));
    return e == ERR_OK ? worst : cli_exit_code(e);
}

/* ---- opening ---- */

static enum err open_here(struct restore *r, struct err_note *note)
{
    char path[PATH_MAX];
    bool ok = false;
    bool running = control_ask(r->config->data_dir, "status\n", NULL, NULL, &ok) == ERR_OK;
    (void)snprintf(path, sizeof path, "%s/directory.db", r->config->data_dir);
    if (r->all && (running || access(path, F_OK) == 0))
        return ERR_EXISTS;
    if (r->all)
        TRY(data_dir_make(r->config, note));
    else
        TRY(directory_open(path, false, &r->here, note));
    struct store_options options = { .root = r->config->data_dir };
    return running ? ERR_OK : store_open(&options, &r->store, note);
}

static enum err open_there(struct restore *r, const char *folder)
{
    char path[PATH_MAX], name[BACKUP_NAME_BYTES];
    (void)snprintf(path, sizeof path, "%s", folder);
    if (backup_newest(folder, name))
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    r->from_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->from_fd < 0)
        return err_from_errno(errno);
    return directory_open_copy(r->from_fd, &r->there);
}

/* What waits to be sent stands in the accounts; the server makes its agenda of them anew. */
static void end_by_hand(const struct restore *r)
{
    static const char *const names[] = { "agenda.db", "agenda.db-wal" };
    char path[PATH_MAX];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", r->config->data_dir, names[i]);
        (void)unlink(path);
    }
    (void)!backup_give_tree(r->config->data_dir, ".");
}

static int run(struct restore *r, const char *folder)
{
    struct err_note note = { "" };
    enum err e = open_there(r, folder);
    if (e != ERR_OK) {
        cli_error(MSG_RESTORE_NO_BACKUP, folder);
        return cli_exit_code(e);
    }
    if (r->list) {
        e = show(r);
        if (e == ERR_NOT_FOUND)
            cli_error(MSG_RESTORE_NOT_THERE, r->address ? r->address : folder);
        else if (e != ERR_OK)
            cli_error(MSG_FAILED, err_words(e));
        return e == ERR_OK ? EX_OK : cli_exit_code(e);
    }
    e = open_here(r, &note);
    if (e != ERR_OK) {
        if (r->all && e == ERR_EXISTS)
            cli_error(MSG_RESTORE_NOT_EMPTY, r->config->data_dir);
        else
            cli_error_text(note.text[0] ? note.text : err_words(e));
        return cli_exit_code(e);
    }
    int code = r->all ? restore_all(r) : restore_one(r);
    bool by_us = r->store != NULL;
    store_close(r->store);
    if (by_us)
        end_by_hand(r);
    return code;
}

static bool take_words(struct restore *r, int argc, char **argv, const char **out_folder)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        uint64_t uid;
        if (strcmp(word, "--all") == 0) {
            r->all = true;
        } else if (strcmp(word, "--list") == 0) {
            r->list = true;
        } else if (strcmp(word, "--replace") == 0) {
            r->replace = true;
        } else if (strcmp(word, "--mailbox") == 0 && i + 1 < argc) {
            r->mailbox = argv[++i];
        } else if (strcmp(word, "--uid") == 0 && i + 1 < argc) {
            if (slice_to_u64(slice_of(argv[++i]), UINT32_MAX, &uid) != ERR_OK || uid == 0)
                return false;
            r->uid = (uint32_t)uid;
        } else if (word[0] == '-') {
            return false;
        } else if (!*out_folder) {
            *out_folder = word;
        } else if (!r->address) {
            r->address = word;
        } else {
            return false;
        }
    }
    if (!*out_folder || (r->uid && !r->mailbox) || (r->mailbox && (!r->address || r->replace)))
        return false;
    return r->list ? !r->all && !r->replace && !r->uid : r->all ? !r->address : r->address != NULL;
}

int verb_restore(const struct cli *cli, int argc, char **argv)
{
    struct restore r = { .from_fd = -1 };
    const char *folder = NULL;
    if (!take_words(&r, argc, argv, &folder)) {
        (void)fprintf(stderr, "%s\n", tr(MSG_RESTORE_USAGE));
        return EX_USAGE;
    }
    struct config *config;
    if (cli_config(cli, &config) != ERR_OK)
        return EX_CONFIG;
    r.config = config;
    int code = run(&r, folder);
    directory_close(r.here);
    directory_close(r.there);
    if (r.from_fd >= 0)
        close(r.from_fd);
    config_unref(config);
    return code;
}
