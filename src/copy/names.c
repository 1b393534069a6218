/* Names of folders, from one server's way of writing them to another's. */
#include "copy/names.h"

#include "proto/imap/imap_utf7.h"

#include <string.h>

static bool is_inbox(struct slice name)
{
    return slice_eq_nocase(name, SLICE("INBOX"));
}

static void add_level(struct slice level, char delimiter, struct buf *out)
{
    for (size_t i = 0; i < level.len; i++) {
        bool bad = slice_at(level, i) < ' ' || slice_at(level, i) == 0x7f;
        buf_addc(out, bad || (delimiter && level.ptr[i] == delimiter) ? '_' : level.ptr[i]);
    }
}

/* The prefix of personal folders, unless the name has it: "INBOX/Work" goes to "INBOX.Work". */
static void add_prefix(
    struct slice name, char delimiter, const struct imapc_folders *to, struct buf *out)
{
    struct slice prefix = slice_of(to->prefix), level = name;
    bool below_inbox = slice_starts_nocase(prefix, SLICE("INBOX"));
    if (delimiter)
        (void)slice_cut(&name, delimiter, &level);
    if (!below_inbox || !is_inbox(level))
        buf_add(out, prefix);
}

enum err copy_add_name(
    struct slice name, char delimiter, const struct imapc_folders *to, struct buf *out)
{
    struct buf whole;
    struct slice level;
    size_t levels = 0;
    buf_init(&whole, 0);
    add_prefix(name, delimiter, to, &whole);
    while (delimiter ? slice_cut(&name, delimiter, &level) : name.len > 0) {
        if (!delimiter) {
            level = name;
            name = SLICE_EMPTY;
        }
        if (level.len == 0)
            continue;
        if (levels++)
            buf_addc(&whole, to->delimiter ? to->delimiter : '_');
        add_level(level, to->delimiter, &whole);
    }
    enum err e = levels ? imap_utf7_encode(buf_slice(&whole), out) : ERR_SYNTAX;
    buf_done(&whole);
    return e;
}

/* The one of the other side, when this is the source's folder of a use. */
static const struct imapc_folder *of_same_use(const struct imapc_folders *from,
    const struct imapc_folder *folder, const struct imapc_folders *to)
{
    for (enum imapc_use use = IMAPC_USE_TRASH; use < IMAPC_USE_ALL; use++)
        if (folder->use == use || imapc_folder_of_use(from, use) == folder)
            return imapc_folder_of_use(to, use);
    return NULL;
}

static const struct imapc_folder *find_far(const struct imapc_folders *to, struct slice far_name)
{
    for (size_t i = 0; i < to->count; i++) {
        struct slice name = slice_of(to->all[i].far_name);
        if (slice_eq(name, far_name) || (is_inbox(name) && is_inbox(far_name)))
            return &to->all[i];
    }
    return NULL;
}

enum copy_way copy_find_name(const struct imapc_folders *from, const struct imapc_folder *folder,
    const struct imapc_folders *to, struct buf *out, bool *out_there)
{
    struct slice name = slice_of(folder->name), prefix = slice_of(from->prefix);
    const struct imapc_folder *there = NULL;
    if (folder->use == IMAPC_USE_ALL || folder->use == IMAPC_USE_FLAGGED)
        return COPY_VIEW;
    *out_there = true;
    if (is_inbox(name)) {
        buf_adds(out, "INBOX");
        return COPY_GOES;
    }
    there = of_same_use(from, folder, to);
    if (there) {
        buf_adds(out, there->far_name);
        return COPY_GOES;
    }
    if (prefix.len && slice_starts(name, prefix))
        name = slice_from_index(name, prefix.len);
    size_t start = buf_len(out);
    if (copy_add_name(name, folder->delimiter, to, out) != ERR_OK)
        return COPY_NO_NAME;
    there = find_far(to, slice_from_index(buf_slice(out), start));
    *out_there = there && !there->noselect;
    return COPY_GOES;
}
