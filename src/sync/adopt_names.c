/* Folders that mbsync or offlineimap made here under another name than ours: modified UTF-7 where we write letters, "Work.2026" for Work/2026, Inbox for INBOX. Such a folder is
 * the server's, under the name that it has: made anew it would be there twice, on both sides. */
#include "sync/adopt.h"

#include "proto/imap/imap_utf7.h"
#include "sync/adopt_text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool was_kept(int root_fd, const char *path)
{
    struct near_folder near;
    struct sync_keywords keywords = { .names = { NULL } };
    struct arena arena;
    struct stat st;
    bool kept = false;
    if (near_open(root_fd, path, NEAR_READ, &near, NULL) != ERR_OK)
        return false;
    arena_init(&arena, SYNC_ARENA_BYTES_MAX);
    if (fstatat(near.fd, ".uidvalidity", &st, AT_SYMLINK_NOFOLLOW) == 0)
        kept = true;
    else if (near_scan(&near, &arena, &keywords, NULL) == ERR_OK)
        for (size_t i = 0; !kept && i < near.count; i++)
            kept = adopt_uid(near.files[i].base) && adopt_folder_hash(near.files[i].base).len;
    sync_keywords_done(&keywords);
    arena_done(&arena);
    near_close(&near);
    return kept;
}

/* A name of the server's as one of them may write it: modified UTF-7 or UTF-8, levels parted by "/" or ".". */
static void spell(
    enum client_layout layout, const struct sync_folder *folder, unsigned how, struct buf *out)
{
    struct buf name;
    buf_init(&name, 0);
    if (how & 1 && imap_utf7_decode(slice_of(folder->row.far_name), &name) != ERR_OK)
        buf_clear(&name);
    if (buf_len(&name) == 0)
        buf_adds(&name, folder->row.far_name);
    if (layout == CLIENT_MAILDIR_PLUS)
        buf_addc(out, '.');
    for (size_t i = 0; i < buf_len(&name); i++) {
        char c = buf_slice(&name).ptr[i];
        bool parts = folder->delimiter && c == folder->delimiter;
        buf_addc(out, parts ? (how & 2 || layout == CLIENT_MAILDIR_PLUS ? '.' : '/') : c);
    }
    buf_done(&name);
}

static bool is_alone_here(const struct sync_folder *folder)
{
    return folder->near_exists && !folder->far_exists && !folder->known && !folder->row.far_name;
}

static bool is_alone_there(const struct sync_folder *folder)
{
    return folder->far_exists && !folder->near_exists && !folder->known && !folder->noselect;
}

/* INBOX in any case is INBOX here too, when nothing else is. */
static struct sync_folder *find_inbox(struct sync_run *run, const struct sync_folder *far)
{
    if (!slice_eq_nocase(slice_of(far->row.far_name), SLICE("INBOX")))
        return NULL;
    for (size_t i = 0; i < run->count; i++)
        if (is_alone_here(&run->folders[i]) &&
            slice_eq_nocase(slice_of(run->folders[i].row.path), SLICE("INBOX")))
            return &run->folders[i];
    return NULL;
}

static struct sync_folder *find_spelled(
    struct sync_run *run, const struct map *here, const struct sync_folder *far)
{
    struct sync_folder *found = find_inbox(run, far);
    for (unsigned how = 0; !found && how < 4; how++) {
        struct buf path;
        buf_init(&path, 0);
        spell(run->options->account->layout, far, how, &path);
        uintptr_t index = (uintptr_t)map_get(here, buf_slice(&path));
        found = index ? &run->folders[index - 1] : NULL;
        buf_done(&path);
    }
    return found && is_alone_here(found) && was_kept(run->root_fd, found->row.path) ? found : NULL;
}

/* The state keeps name and path apart, so that this is settled once. */
static void become_one(struct sync_folder *far, struct sync_folder *near)
{
    free(far->row.path);
    far->row.path = near->row.path;
    far->near_exists = true;
    near->row.path = mem_strdup("");
    near->near_exists = false;
    near->excluded = true;
}

enum err sync_adopt_names(struct sync_run *run)
{
    struct map here;
    if (run->root_fd < 0)
        return ERR_OK;
    map_init(&here);
    for (size_t i = 0; i < run->count; i++)
        if (is_alone_here(&run->folders[i]))
            (void)map_put(&here, slice_of(run->folders[i].row.path), (void *)(uintptr_t)(i + 1));
    for (size_t i = 0; i < run->count && here.count; i++) {
        struct sync_folder *far = &run->folders[i];
        struct sync_folder *near = is_alone_there(far) ? find_spelled(run, &here, far) : NULL;
        if (near)
            become_one(far, near);
    }
    map_done(&here);
    return ERR_OK;
}
