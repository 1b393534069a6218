/* Folders that are new, gone or renamed on one side.
 *
 *     known, gone there     with nothing new in it here: it goes here too (to the undo store); else it is made there again
 *     known, gone here      nothing changed there since: it is deleted there; else it comes again
 *     new there, new here   is made on the other side
 *     renamed               gone under one name and there under another, with the same messages: renamed on the other side */
#include "sync/sync_int.h"

#include "base/cleanup.h"
#include "proto/imap/imap_utf7.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool sync_is_inbox(const struct sync_folder *folder)
{
    return folder->row.far_name && slice_eq_nocase(slice_of(folder->row.far_name), SLICE("INBOX"));
}

static bool takes_part(const struct sync_folder *folder)
{
    return !folder->excluded && !folder->stopped && !folder->noselect;
}

static enum err run_named(struct sync_run *run, const char *verb, const struct sync_folder *folder,
    const struct sync_folder *to)
{
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%s ", verb);
    sync_add_name(&text, folder);
    if (to) {
        buf_addc(&text, ' ');
        sync_add_name(&text, to);
    }
    enum err e = imapc_command(run->options->imap, buf_slice(&text));
    buf_done(&text);
    run->selected = NULL;
    return e;
}

/* The far name of a folder that was made here. False: it cannot have one. */
static bool name_there(struct sync_run *run, struct sync_folder *folder)
{
    struct buf name, own, wire, quoted, path;
    bool raw;
    buf_init(&name, 0);
    buf_init(&own, 0);
    buf_init(&wire, 0);
    buf_init(&quoted, 0);
    buf_init(&path, 0);
    folder->delimiter = run->far_delimiter;
    enum err e = near_name_of(
        slice_of(folder->row.path), run->far_delimiter, run->options->account->layout, &name);
    if (e == ERR_OK)
        e = imap_utf7_encode(buf_slice(&name), &own);
    if (run->far_prefix && !sync_is_in_inbox(buf_slice(&own), run->far_delimiter))
        buf_adds(&wire, run->far_prefix);
    buf_add(&wire, buf_slice(&own));
    if (e == ERR_OK)
        e = imapc_add_string(&quoted, buf_slice(&wire));
    /* a name that comes back as another folder is that folder's: "Inbox" is INBOX, "%41" is "A" */
    if (e == ERR_OK)
        e = sync_path_of(run, buf_slice(&wire), run->far_delimiter, &raw, &path);
    if (e == ERR_OK && (raw || !slice_eq(buf_slice(&path), slice_of(folder->row.path))))
        e = ERR_EXISTS;
    if (e == ERR_OK)
        folder->row.far_name = mem_strndup(buf_slice(&wire).ptr, buf_len(&wire));
    buf_done(&path);
    buf_done(&quoted);
    buf_done(&wire);
    buf_done(&own);
    buf_done(&name);
    return e == ERR_OK;
}

/* ---- the state's view ---- */

static enum err save(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    TRY(state_begin(run->state));
    enum err e = folder->row.id ? state_folder_set(run->state, &folder->row)
                                : state_folder_add(run->state, &folder->row);
    if (e != ERR_OK) {
        state_rollback(run->state);
        return e;
    }
    folder->known = true;
    return state_commit(run->state);
}

static enum err forget(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    TRY(state_begin(run->state));
    enum err e = state_folder_remove(run->state, folder->row.id);
    if (e != ERR_OK) {
        state_rollback(run->state);
        return e;
    }
    folder->row.id = 0;
    folder->row.far = (struct sync_far_state){ 0 };
    folder->known = false;
    return state_commit(run->state);
}

/* Rows of a folder that is not open here. */
static enum err count_rows(struct sync_folder *folder, size_t *out_count)
{
    if (!folder->rows)
        TRY(state_rows(
            folder->run->state, folder->row.id, &folder->arena, &folder->rows, &folder->count));
    *out_count = folder->count;
    return ERR_OK;
}

/* ---- made on the other side ---- */

static enum err make_near(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    struct near_folder made;
    run->counts->near_folders++;
    if (run->options->dry_run) {
        near_none(folder->row.path, &folder->near);
        folder->near_open = folder->near_exists = true;
        return ERR_OK;
    }
    TRY(near_open(run->root_fd, folder->row.path, NEAR_MAKE, &made, run->note));
    near_close(&made);
    folder->near_exists = true;
    TRY(save(folder));
    return sync_load(folder);
}

/* A server that makes the parents of a folder with it may say of them "already exists" in words alone, without a code (RFC 5530 §3). */
static enum err is_there(struct sync_folder *folder)
{
    struct buf text;
    buf_init(&text, 0);
    buf_adds(&text, "STATUS ");
    sync_add_name(&text, folder);
    buf_adds(&text, " (UIDVALIDITY)");
    enum err e = imapc_command(folder->run->options->imap, buf_slice(&text));
    buf_done(&text);
    return e;
}

/* CREATE; ERR_OK too when it is there already. */
static enum err create_far(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    enum err e = run_named(run, "CREATE", folder, NULL);
    if (e == ERR_OK || e == ERR_EXISTS || imapc_is_broken(run->options->imap))
        return e == ERR_EXISTS ? ERR_OK : e;
    autofree char *words = mem_strdup(imapc_words(run->options->imap));
    if (is_there(folder) == ERR_OK)
        return ERR_OK;
    if (imapc_is_broken(run->options->imap))
        return e;
    sync_stop_folder(folder, SYNC_STOP_REFUSED, slice_of(words));
    return e;
}

static enum err make_far(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    if (!folder->row.far_name && !name_there(run, folder)) {
        sync_stop_folder(folder, SYNC_STOP_NAME_THERE, SLICE_EMPTY);
        return ERR_OK;
    }
    if (run->options->dry_run) {
        run->counts->far_folders++;
        folder->far_exists = folder->imagined = true;
        return ERR_OK;
    }
    enum err e = create_far(folder);
    if (e != ERR_OK)
        return imapc_is_broken(run->options->imap) ? e : ERR_OK;
    run->counts->far_folders++;
    folder->far_exists = true;
    run->made_below |= strchr(folder->row.path, '/') != NULL || folder->row.path[0] == '.';
    return save(folder);
}

/* ---- removed on the other side ---- */

/* It holds a message that never came here because of its size: nobody who deletes the folder here has seen it. */
static bool has_taken(const struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        if (folder->rows[i].kind == SYNC_TAKEN)
            return true;
    return false;
}

/* Folders in it that stay: many servers delete none that has any (RFC 9051 §6.3.5). Then it comes again. */
static bool has_folders_there(const struct sync_folder *folder)
{
    size_t len = strlen(folder->row.far_name);
    for (size_t i = 0; i < folder->run->count; i++) {
        const struct sync_folder *other = &folder->run->folders[i];
        if (other->far_exists && folder->delimiter &&
            strncmp(other->row.far_name, folder->row.far_name, len) == 0 &&
            other->row.far_name[len] == folder->delimiter)
            return true;
    }
    return false;
}

static enum err delete_far(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    size_t count = 0;
    for (size_t i = 0; i < folder->count; i++)
        count += !folder->rows[i].settled;
    if (run->options->dry_run) {
        run->counts->far_removed += count;
        run->counts->far_folders++;
        return ERR_OK;
    }
    struct buf names;
    buf_init(&names, 0);
    enum err e = sync_keep_folder(folder, &names);
    if (e == ERR_OK)
        e = run_named(run, "DELETE", folder, NULL);
    if (e != ERR_OK && e != ERR_NOT_FOUND && !sync_is_fatal(run, e))
        sync_keep_nothing(folder, &names);
    buf_done(&names);
    if (e == ERR_BUSY)
        return ERR_OK; /* new mail came into it: the next run brings it here again */
    if (e != ERR_OK && sync_is_fatal(run, e))
        return e;
    if (e != ERR_OK && e != ERR_NOT_FOUND && has_folders_there(folder))
        return forget(folder);
    if (e != ERR_OK && e != ERR_NOT_FOUND) {
        sync_stop_refused(folder);
        return ERR_OK;
    }
    run->counts->far_removed += count;
    run->counts->far_folders++;
    folder->far_exists = false;
    return forget(folder);
}

static const struct sync_row *row_of(const struct near_file *file)
{
    return file->row;
}

/* What never was there: not announced yet, or announced and not gone up. */
static bool has_news_here(const struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->near.count; i++) {
        const struct near_file *file = &folder->near.files[i];
        if (!file->odd && (!row_of(file) || row_of(file)->kind == SYNC_UP))
            return true;
    }
    return false;
}

/* The Maildir, when nothing is in it. "cur" is what makes it one: it goes when "new" could, so that a message that just came keeps its folder. An
 * error of the disk is one: the next run tries again. */
static enum err remove_near(const struct sync_folder *folder)
{
    static const char *const parts[] = { "new", "cur", "tmp" };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (unlinkat(folder->near.fd, parts[i], AT_REMOVEDIR) == 0 || errno == ENOENT)
            continue;
        return errno == ENOTEMPTY || errno == EEXIST ? ERR_OK : err_from_errno(errno);
    }
    (void)unlinkat(folder->near.fd, "dovecot-keywords", 0);
    /* stays when folders are in it */
    (void)unlinkat(folder->run->root_fd, folder->row.path, AT_REMOVEDIR);
    return ERR_OK;
}

/* Messages to the undo store; then the folder itself. */
static enum err delete_near(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    run->counts->near_folders++;
    for (size_t i = 0; i < folder->near.count; i++) {
        const struct sync_row *row = row_of(&folder->near.files[i]);
        if (folder->near.files[i].odd || (row && row->settled))
            continue; /* no message; moved, not removed */
        enum err e = run->options->dry_run ? ERR_OK : sync_take_out(folder, &folder->near.files[i]);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
            return e;
        run->counts->near_removed += e == ERR_OK;
    }
    if (run->options->dry_run)
        return ERR_OK;
    if (folder->undo_fd > 0 && fsync(folder->undo_fd) < 0)
        return err_from_errno(errno);
    TRY(remove_near(folder));
    TRY(forget(folder)); /* behind: an empty folder that no row knows would be made there again */
    near_close(&folder->near);
    folder->near_open = folder->near_exists = false;
    folder->excluded = true;
    return ERR_OK;
}

/* ---- renamed there ---- */

/* A few of the messages that we know are in the other folder under the same UIDs: UIDVALIDITY alone proves nothing, many servers give
 * folders that were made in one second the same. */
static enum err holds_ours(struct sync_folder *old, struct sync_folder *new, bool *out_same)
{
    *out_same = false;
    TRY(count_rows(old, &(size_t){ 0 }));
    for (size_t i = 0; i < old->count; i++)
        if (old->rows[i].uid && old->rows[i].kind == SYNC_PAIR && (i < 3 || i + 3 >= old->count))
            if (!sync_add_new(new, old->rows[i].uid, 0))
                return ERR_LIMIT;
    TRY(sync_identify(new, 1));
    bool any = false, differs = false;
    for (size_t i = 0; i < new->new_count; i++) {
        const struct sync_row *row = sync_row_of_uid(old, new->news[i].uid);
        if (!new->news[i].has_facts || !row)
            continue;
        bool same = row->facts.bytes == new->news[i].facts.bytes &&
                    row->facts.message_id == new->news[i].facts.message_id;
        any |= same;
        differs |= !same;
    }
    sync_forget_news(new);
    *out_same = any && !differs;
    return ERR_OK;
}

static bool may_be_renamed(const struct sync_folder *old, const struct sync_folder *new)
{
    return new->far_exists && !new->known && !new->near_exists &&takes_part(new) &&
           new->has_status &&new->status.uidvalidity ==
               old->row.far.uidvalidity &&new->status.uidnext >= old->row.far.uidnext;
}

/* The parent of a path, made when it is missing: folders in folders. */
static enum err make_parents(int root_fd, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        autofree char *parent = mem_strndup(path, (size_t)(slash - path));
        if (mkdirat(root_fd, parent, 0700) < 0 && errno != EEXIST)
            return err_from_errno(errno);
    }
    return ERR_OK;
}

/* "a/b" when "a" became "c": "c/b". NULL: it is not below. */
static char *name_below(const char *name, const char *old, char delimiter, const char *new)
{
    size_t len = strlen(old);
    char *out = NULL;
    if (!delimiter || strncmp(name, old, len) != 0 || name[len] != delimiter)
        return NULL;
    if (asprintf(&out, "%s%s", new, name + len) < 0)
        abort();
    return out;
}

/* Nested folders go with the one that they are in. */
static enum err paths_below(struct sync_run *run, const char *old, const char *new)
{
    if (run->options->account->layout == CLIENT_MAILDIR_PLUS)
        return ERR_OK;
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        char *path = folder->near_exists ? name_below(folder->row.path, old, '/', new) : NULL;
        if (!path)
            continue;
        free(folder->row.path);
        folder->row.path = path;
        if (folder->known)
            TRY(save(folder));
    }
    return ERR_OK;
}

/* RENAME takes the folders below along (RFC 9051 §6.3.6). */
static enum err names_below(struct sync_run *run, const char *old, char delimiter, const char *new)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        char *name =
            folder->far_exists ? name_below(folder->row.far_name, old, delimiter, new) : NULL;
        if (!name)
            continue;
        free(folder->row.far_name);
        folder->row.far_name = name;
        if (folder->known)
            TRY(save(folder));
    }
    return ERR_OK;
}

static enum err rename_near(struct sync_folder *old, struct sync_folder *new)
{
    struct sync_run *run = old->run;
    if (run->options->dry_run) {
        run->counts->near_folders++;
        old->excluded = new->excluded = true;
        return ERR_OK;
    }
    TRY(make_parents(run->root_fd, new->row.path));
    bool moved = strcmp(old->row.path, new->row.path) == 0; /* with the folder that it is in */
    if (!moved &&
        renameat2(run->root_fd, old->row.path, run->root_fd, new->row.path, RENAME_NOREPLACE) < 0) {
        sync_stop_folder(old, SYNC_STOP_DISK, slice_of(strerror(errno)));
        return ERR_OK;
    }
    run->counts->near_folders++;
    if (!moved)
        TRY(paths_below(run, old->row.path, new->row.path));
    free(old->row.far_name);
    free(old->row.path);
    old->row.far_name = new->row.far_name;
    old->row.path = new->row.path;
    new->row.far_name = NULL;
    new->row.path = mem_strdup("");
    new->excluded = true;
    new->far_exists = false;
    old->far_exists = true;
    old->delimiter = new->delimiter;
    old->status = new->status;
    old->has_status = new->has_status;
    old->row.far.modseq = 0; /* only a few were looked at: all of it is listed */
    run->selected = NULL;
    return save(old);
}

enum err sync_renames_there(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *old = &run->folders[i];
        if (!old->known || old->far_exists || !old->near_exists || !takes_part(old))
            continue;
        for (size_t k = 0; k < run->count && !old->far_exists; k++) {
            bool same = false;
            if (!may_be_renamed(old, &run->folders[k]))
                continue;
            TRY(holds_ours(old, &run->folders[k], &same));
            if (same)
                TRY(rename_near(old, &run->folders[k]));
        }
        old->rows = NULL; /* read again with its files */
        old->count = 0;
    }
    return ERR_OK;
}

/* ---- renamed here ---- */

/* More than half of its messages are in a folder that is new here. */
static bool moved_to(const struct sync_folder *old, const struct sync_folder *new)
{
    size_t found = 0, all = 0;
    if (!new->near_open || new->known || new->far_exists || !takes_part(new))
        return false;
    for (size_t i = 0; i < old->count; i++) {
        if (old->rows[i].kind != SYNC_PAIR)
            continue;
        all++;
        found += near_find(&new->near, slice_of(old->rows[i].base)) != NULL;
    }
    return found && found * 2 > all;
}

static enum err rename_far(struct sync_folder *old, struct sync_folder *new)
{
    struct sync_run *run = old->run;
    if (!name_there(run, new))
        return ERR_OK; /* told when it is to be made */
    if (run->options->dry_run) {
        run->counts->far_folders++;
        old->excluded = new->excluded = true;
        return ERR_OK;
    }
    bool renamed =
        strcmp(old->row.far_name, new->row.far_name) == 0; /* with the one that it is in */
    enum err e = renamed ? ERR_OK : run_named(run, "RENAME", old, new);
    if (e != ERR_OK && imapc_is_broken(run->options->imap))
        return e;
    if (e != ERR_OK) {
        free(new->row.far_name);
        new->row.far_name = NULL;
        return ERR_OK; /* then one is made and the other removed */
    }
    run->counts->far_folders++;
    char *path = old->row.path, *far_name = old->row.far_name;
    if (!renamed)
        TRY(names_below(run, far_name, old->delimiter, new->row.far_name));
    old->row.path = new->row.path;
    old->row.far_name = new->row.far_name;
    new->row.path = path;
    new->row.far_name = far_name;
    near_close(&new->near);
    new->near_open = new->near_exists = false;
    new->excluded = true;
    old->near_exists = true;
    TRY(save(old));
    old->rows = NULL;
    old->count = 0;
    return sync_load(old);
}

static enum err renames_here(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *old = &run->folders[i];
        if (!old->known || !old->far_exists || old->near_exists || !takes_part(old) ||
            sync_is_inbox(old))
            continue;
        size_t count;
        TRY(count_rows(old, &count));
        for (size_t k = 0; k < run->count && !old->near_exists; k++)
            if (k != i && moved_to(old, &run->folders[k]))
                TRY(rename_far(old, &run->folders[k]));
    }
    return ERR_OK;
}

/* ---- all of it ---- */

/* There it is only what folders are in (\Noselect), and here it is one of its own: CREATE makes it one there (RFC 9051 §6.3.4). */
static enum err make_selectable(struct sync_folder *folder)
{
    TRY(make_far(folder));
    folder->noselect = folder->stopped || folder->excluded;
    return ERR_OK;
}

/* It is as if it had never been synchronised. Not in the state of a dry run. */
static enum err begin_anew(struct sync_folder *folder)
{
    if (folder->known && !folder->run->options->dry_run)
        TRY(forget(folder));
    for (size_t i = 0; i < folder->near.count; i++)
        folder->near.files[i].row = NULL;
    folder->row.far = (struct sync_far_state){ 0 };
    folder->known = false;
    folder->rows = NULL;
    folder->count = folder->up_count = 0;
    return ERR_OK;
}

static enum err settle_one(struct sync_folder *folder)
{
    if (folder->noselect && folder->near_open && !folder->known && !folder->excluded &&
        !folder->stopped && !folder->run->blind)
        return make_selectable(folder);
    if (!takes_part(folder))
        return ERR_OK;
    if (folder->far_exists && folder->near_exists)
        return folder->known || folder->run->options->dry_run ? ERR_OK : save(folder);
    if (folder->run->blind && (folder->known || folder->near_exists))
        return ERR_OK; /* it may be the one that could not be read, under another name */
    if (folder->far_exists && folder->known && !sync_is_inbox(folder) && sync_is_clean(folder)) {
        TRY(count_rows(folder, &(size_t){ 0 }));
        if (!has_taken(folder)) {
            folder->goes = SYNC_GOES_THERE;
            return ERR_OK;
        }
    }
    if (folder->far_exists) {
        TRY(begin_anew(folder));
        return make_near(folder);
    }
    if (folder->near_exists && folder->known && !has_news_here(folder)) {
        folder->goes = SYNC_GOES_HERE;
        for (size_t i = 0; i < folder->count; i++)
            folder->rows[i].far_gone = true;
        return ERR_OK;
    }
    if (folder->near_exists && folder->near_open) {
        if (folder->known)
            TRY(begin_anew(folder));
        return make_far(folder);
    }
    if (folder->known && !folder->run->options->dry_run)
        return forget(folder);
    return ERR_OK;
}

enum err sync_folders(struct sync_run *run)
{
    if (!run->blind)
        TRY(renames_here(run));
    for (size_t i = 0; i < run->count; i++) {
        enum err e = settle_one(&run->folders[i]);
        if (e != ERR_OK && sync_is_fatal(run, e))
            return e;
        if (e != ERR_OK)
            sync_stop_folder(&run->folders[i], SYNC_STOP_DISK, slice_of(err_name(e)));
    }
    return ERR_OK;
}

static enum err remove_folder(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    enum err e = folder->goes == SYNC_GOES_THERE ? delete_far(folder) : delete_near(folder);
    if (e != ERR_OK && sync_is_fatal(run, e))
        return e;
    if (e != ERR_OK)
        sync_stop_folder(folder, SYNC_STOP_DISK, slice_of(err_name(e)));
    return ERR_OK;
}

static int longer_first(const void *a, const void *b)
{
    const struct sync_folder *const *x = a, *const *y = b;
    size_t lx = strlen((*x)->row.path), ly = strlen((*y)->row.path);
    return (lx < ly) - (lx > ly);
}

/* Folders in folders before those that they are in, which have shorter names on both sides. */
enum err sync_remove_folders(struct sync_run *run)
{
    struct sync_folder **going = mem_zalloc(run->count + 1, sizeof *going);
    size_t count = 0;
    enum err e = ERR_OK;
    for (size_t i = 0; i < run->count && !run->blind; i++)
        if (run->folders[i].goes != SYNC_STAYS && !run->folders[i].stopped)
            going[count++] = &run->folders[i];
    qsort(going, count, sizeof *going, longer_first);
    for (size_t i = 0; e == ERR_OK && i < count; i++)
        e = remove_folder(going[i]);
    free(going);
    return e;
}
