/* Folders of a server: LIST, STATUS, NAMESPACE, SELECT, CREATE. */
#include "client/imap/imapc_mail.h"

#include "base/cleanup.h"
#include "base/utf8.h"
#include "proto/imap/imap_utf7.h"

#include <stdlib.h>
#include <string.h>

static const char *const use_names[IMAPC_USES] = { [IMAPC_USE_NONE] = "",
    [IMAPC_USE_TRASH] = "\\Trash",
    [IMAPC_USE_SENT] = "\\Sent",
    [IMAPC_USE_DRAFTS] = "\\Drafts",
    [IMAPC_USE_JUNK] = "\\Junk",
    [IMAPC_USE_ARCHIVE] = "\\Archive",
    [IMAPC_USE_ALL] = "\\All",
    [IMAPC_USE_FLAGGED] = "\\Flagged" };

const char *imapc_use_name(enum imapc_use use)
{
    return use_names[use];
}

/* ---- LIST ---- */

struct listing {
    struct imapc_folders *folders;
    size_t cap, answers;
};

static void folder_done(struct imapc_folder *folder)
{
    free(folder->far_name);
    free(folder->name);
}

void imapc_folders_done(struct imapc_folders *folders)
{
    for (size_t i = 0; i < folders->count; i++)
        folder_done(&folders->all[i]);
    free(folders->all);
    free(folders->prefix);
    *folders = (struct imapc_folders){ 0 };
}

static char *decoded(struct slice far_name)
{
    struct buf name;
    buf_init(&name, 0);
    if (imap_utf7_decode(far_name, &name) != ERR_OK) {
        buf_clear(&name);
        buf_add(&name, far_name);
    }
    char *text = mem_strndup(buf_slice(&name).ptr, buf_len(&name));
    buf_done(&name);
    return text;
}

static struct imapc_folder *find_far(struct imapc_folders *folders, struct slice far_name)
{
    for (size_t i = folders->count; i-- > 0;)
        if (slice_eq(slice_of(folders->all[i].far_name), far_name))
            return &folders->all[i];
    return NULL;
}

static enum imapc_use use_of(const struct imap_value *attributes)
{
    for (enum imapc_use use = IMAPC_USE_TRASH; use < IMAPC_USES; use++)
        if (imap_value_has(attributes, slice_of(use_names[use])))
            return use;
    return IMAPC_USE_NONE;
}

static bool can_be_named(struct slice name)
{
    struct buf quoted;
    buf_init(&quoted, 0);
    bool ok = name.len && imapc_add_string(&quoted, name) == ERR_OK;
    buf_done(&quoted);
    return ok;
}

static enum err take_list(struct listing *listing, const struct imap_reply *reply)
{
    struct imapc_folders *folders = listing->folders;
    const struct imap_value *attributes = reply->values;
    const struct imap_value *delimiter = attributes ? attributes->next : NULL;
    const struct imap_value *name = delimiter ? delimiter->next : NULL;
    if (!name || attributes->kind != IMAP_VALUE_LIST || name->kind == IMAP_VALUE_LIST)
        return ERR_SYNTAX;
    if (imap_value_has(attributes, SLICE("\\NonExistent")) || !can_be_named(name->text))
        return ERR_OK;
    if (folders->count == listing->cap) {
        listing->cap = listing->cap ? 2 * listing->cap : 32;
        folders->all = mem_realloc(folders->all, listing->cap * sizeof *folders->all);
    }
    folders->all[folders->count++] =
        (struct imapc_folder){ .far_name = mem_strndup(name->text.ptr, name->text.len),
            .name = decoded(name->text),
            .delimiter = delimiter->kind == IMAP_VALUE_STRING && delimiter->text.len == 1
                             ? delimiter->text.ptr[0]
                             : '\0',
            .noselect = imap_value_has(attributes, SLICE("\\Noselect")),
            .use = use_of(attributes) };
    return ERR_OK;
}

static void take_status(struct listing *listing, const struct imap_reply *reply)
{
    const struct imap_value *name = reply->values;
    struct imapc_folder *folder =
        name && name->kind != IMAP_VALUE_LIST ? find_far(listing->folders, name->text) : NULL;
    if (folder)
        folder->has_status =
            imap_value_u32(imap_value_item(name->next, SLICE("MESSAGES")), &folder->messages) ==
                ERR_OK &&
            imap_value_u32(imap_value_item(name->next, SLICE("UNSEEN")), &folder->unseen) == ERR_OK;
}

bool imapc_take_namespace(
    const struct imap_reply *reply, struct slice *out_prefix, char *out_delimiter)
{
    const struct imap_value *personal = reply->values;
    const struct imap_value *one =
        personal && personal->kind == IMAP_VALUE_LIST ? personal->first : NULL;
    const struct imap_value *prefix = one && one->kind == IMAP_VALUE_LIST ? one->first : NULL;
    if (!prefix || prefix->kind != IMAP_VALUE_STRING || !prefix->next)
        return false;
    *out_prefix = prefix->text;
    *out_delimiter = prefix->next->kind == IMAP_VALUE_STRING && prefix->next->text.len == 1
                         ? prefix->next->text.ptr[0]
                         : '\0';
    return true;
}

static void take_namespace(struct listing *listing, const struct imap_reply *reply)
{
    struct slice prefix;
    char delimiter;
    if (!imapc_take_namespace(reply, &prefix, &delimiter))
        return;
    free(listing->folders->prefix);
    listing->folders->prefix = decoded(prefix);
    if (delimiter)
        listing->folders->delimiter = delimiter;
}

static enum err list_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct listing *listing = task->owner;
    if (++listing->answers > 3 * IMAPC_FOLDERS_MAX || listing->folders->count > IMAPC_FOLDERS_MAX)
        return ERR_LIMIT;
    if (slice_eq_nocase(reply->name, SLICE("LIST")))
        return take_list(listing, reply);
    if (slice_eq_nocase(reply->name, SLICE("STATUS")))
        take_status(listing, reply);
    if (slice_eq_nocase(reply->name, SLICE("NAMESPACE")))
        take_namespace(listing, reply);
    return ERR_OK;
}

static enum err run_list(struct imapc *imap, struct listing *listing, struct slice text)
{
    struct imapc_task task = { .data = list_data, .owner = listing };
    imapc_queue(imap, &task, text);
    return imapc_run(imap, &task);
}

/* For servers that cannot tell with LIST: one question for each folder, all at once. */
static enum err ask_status(struct imapc *imap, struct listing *listing)
{
    size_t count = listing->folders->count;
    struct imapc_task *tasks = mem_zalloc(count + 1, sizeof *tasks);
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < count; i++) {
        if (listing->folders->all[i].noselect)
            continue;
        buf_clear(&text);
        buf_adds(&text, "STATUS ");
        if (imapc_add_string(&text, slice_of(listing->folders->all[i].far_name)) != ERR_OK)
            continue;
        buf_adds(&text, " (MESSAGES UNSEEN)");
        tasks[i] = (struct imapc_task){ .data = list_data, .owner = listing };
        imapc_queue(imap, &tasks[i], buf_slice(&text));
    }
    enum err e = imapc_run(imap, NULL);
    buf_done(&text);
    free(tasks);
    return e;
}

static enum err list_all(struct imapc *imap, bool with_status, struct listing *listing)
{
    unsigned caps = imapc_caps(imap);
    bool uses = caps & IMAPC_SPECIAL_USE && caps & IMAPC_LIST_EXTENDED;
    bool status = with_status && caps & IMAPC_LIST_STATUS;
    struct buf text;
    buf_init(&text, 0);
    buf_adds(&text, "LIST \"\" \"*\"");
    if (uses || status)
        buf_addf(&text, " RETURN (%s%s%s)", uses ? "SPECIAL-USE" : "", uses && status ? " " : "",
            status ? "STATUS (MESSAGES UNSEEN)" : "");
    enum err e = run_list(imap, listing, buf_slice(&text));
    buf_done(&text);
    if (e == ERR_OK && listing->folders->count && !listing->folders->delimiter)
        listing->folders->delimiter = listing->folders->all[0].delimiter;
    if (e == ERR_OK && caps & IMAPC_NAMESPACE)
        e = run_list(imap, listing, SLICE("NAMESPACE"));
    if (e == ERR_OK && with_status && !status)
        e = ask_status(imap, listing);
    return e;
}

enum err imapc_list(struct imapc *imap, bool with_status, struct imapc_folders *out_folders)
{
    struct imapc_folders folders = { .prefix = mem_strdup("") };
    struct listing listing = { .folders = &folders };
    enum err e = list_all(imap, with_status, &listing);
    if (e == ERR_OK)
        *out_folders = folders;
    else
        imapc_folders_done(&folders);
    return e;
}

/* LSUB and LIST (RFC 5258 §3.1) alike: attributes, delimiter, name. */
static enum err subscribed_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct listing *listing = task->owner;
    const struct imap_value *name =
        reply->values && reply->values->next ? reply->values->next->next : NULL;
    if (++listing->answers > 3 * IMAPC_FOLDERS_MAX)
        return ERR_LIMIT;
    if (!name || name->kind == IMAP_VALUE_LIST ||
        (!slice_eq_nocase(reply->name, SLICE("LSUB")) &&
            !slice_eq_nocase(reply->name, SLICE("LIST"))))
        return ERR_OK;
    struct imapc_folder *folder = find_far(listing->folders, name->text);
    if (folder && !imap_value_has(reply->values, SLICE("\\Noselect")))
        folder->subscribed = true;
    return ERR_OK;
}

enum err imapc_list_subscribed(struct imapc *imap, struct imapc_folders *folders)
{
    struct listing listing = { .folders = folders };
    struct imapc_task task = { .data = subscribed_data, .owner = &listing };
    bool extended = imapc_caps(imap) & IMAPC_LIST_EXTENDED; /* LSUB is not in RFC 9051 */
    imapc_queue(
        imap, &task, extended ? SLICE("LIST (SUBSCRIBED) \"\" \"*\"") : SLICE("LSUB \"\" \"*\""));
    return imapc_run(imap, &task);
}

/* ---- one of them ---- */

/* Whether they are the same when "/" stands for the delimiter. */
static bool same_with_slash(const struct imapc_folder *folder, struct slice name)
{
    struct slice own = slice_of(folder->name);
    if (own.len != name.len || !folder->delimiter)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (own.ptr[i] != (name.ptr[i] == '/' ? folder->delimiter : name.ptr[i]))
            return false;
    return true;
}

static const struct imapc_folder *find_exact(
    const struct imapc_folders *folders, struct slice name, bool slash)
{
    for (size_t i = 0; i < folders->count; i++) {
        const struct imapc_folder *folder = &folders->all[i];
        bool inbox = slice_eq_nocase(slice_of(folder->name), SLICE("INBOX")) &&
                     slice_eq_nocase(name, SLICE("INBOX"));
        if (inbox ||
            (slash ? same_with_slash(folder, name) : slice_eq(slice_of(folder->name), name)))
            return folder;
    }
    return NULL;
}

const struct imapc_folder *imapc_folder_find(const struct imapc_folders *folders, struct slice name)
{
    const struct imapc_folder *folder = find_exact(folders, name, false);
    if (!folder)
        folder = find_exact(folders, name, true);
    if (folder || !folders->prefix[0])
        return folder;
    struct buf whole; /* "Work" where the server says "INBOX.Work" */
    buf_init(&whole, 0);
    buf_adds(&whole, folders->prefix);
    buf_add(&whole, name);
    folder = find_exact(folders, buf_slice(&whole), true);
    buf_done(&whole);
    return folder;
}

static const char *const usual_names[IMAPC_USES][6] = {
    [IMAPC_USE_TRASH] = { "Trash", "Deleted Items", "Deleted Messages", "Deleted", "Bin" },
    [IMAPC_USE_SENT] = { "Sent", "Sent Items", "Sent Messages", "Sent Mail", "Sent-Mail" },
    [IMAPC_USE_DRAFTS] = { "Drafts", "Draft" },
    [IMAPC_USE_JUNK] = { "Junk", "Spam", "Junk E-mail", "Bulk Mail" },
    [IMAPC_USE_ARCHIVE] = { "Archive", "Archives" },
};

const struct imapc_folder *imapc_folder_of_use(
    const struct imapc_folders *folders, enum imapc_use use)
{
    for (size_t i = 0; i < folders->count; i++)
        if (folders->all[i].use == use && !folders->all[i].noselect)
            return &folders->all[i];
    for (size_t n = 0; n < 6 && usual_names[use][n]; n++) {
        const struct imapc_folder *folder =
            imapc_folder_find(folders, slice_of(usual_names[use][n]));
        if (folder && !folder->noselect)
            return folder;
    }
    return NULL;
}

enum err imapc_far_name(const struct imapc_folders *folders, struct slice name, struct buf *out)
{
    struct buf whole;
    struct slice level;
    bool first = true;
    enum err e = name.len && name.ptr[name.len - 1] != '/' ? ERR_OK : ERR_SYNTAX;
    bool inbox = slice_eq_nocase(name, SLICE("INBOX"));
    bool prefixed = folders->prefix[0] && slice_starts(name, slice_of(folders->prefix));
    buf_init(&whole, 0);
    if (!prefixed && !inbox)
        buf_adds(&whole, folders->prefix);
    while (e == ERR_OK && slice_cut(&name, '/', &level)) {
        bool cut =
            folders->delimiter && !prefixed && slice_index(level, folders->delimiter) < level.len;
        if (level.len == 0 || cut || (!first && !folders->delimiter))
            e = ERR_SYNTAX;
        if (!first)
            buf_addc(&whole, folders->delimiter);
        buf_add(&whole, level);
        first = false;
    }
    for (size_t i = 0; i < buf_len(&whole); i++)
        if (slice_at(buf_slice(&whole), i) < ' ')
            e = ERR_SYNTAX;
    if (e == ERR_OK)
        e = imap_utf7_encode(buf_slice(&whole), out);
    buf_done(&whole);
    return e;
}

/* VERB "name" */
static enum err name_command(struct imapc *imap, const char *verb, const char *far_name)
{
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%s ", verb);
    enum err e = imapc_add_string(&text, slice_of(far_name));
    if (e == ERR_OK)
        e = imapc_command(imap, buf_slice(&text));
    buf_done(&text);
    return e;
}

enum err imapc_create(struct imapc *imap, const char *far_name)
{
    enum err e = name_command(imap, "CREATE", far_name);
    if (e != ERR_OK && e != ERR_EXISTS)
        return e;
    e = name_command(imap, "SUBSCRIBE", far_name); /* a server may have none */
    return imapc_is_broken(imap) ? e : ERR_OK;
}

/* ---- SELECT ---- */

struct selecting {
    struct imapc_box box;
    enum err result;
};

static void take_permanent(struct imapc_box *box, const struct imap_value *list)
{
    struct buf text;
    if (!list || list->kind != IMAP_VALUE_LIST)
        return;
    buf_init(&text, 0);
    buf_addc(&text, ' ');
    box->any_keyword = imap_value_has(list, SLICE("\\*"));
    for (const struct imap_value *value = list->first; value; value = value->next)
        if (value->kind == IMAP_VALUE_ATOM)
            buf_addf(&text, "%.*s ", SLICE_FMT(value->text));
    free(box->keywords);
    box->keywords = mem_strndup(buf_slice(&text).ptr, buf_len(&text));
    buf_done(&text);
}

static enum err select_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct imapc_box *box = &((struct selecting *)task->owner)->box;
    uint32_t number;
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXISTS")))
        box->exists = reply->number;
    if (slice_eq_nocase(reply->code, SLICE("PERMANENTFLAGS")))
        take_permanent(box, reply->code_values);
    else if (slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
             imap_value_u32(reply->code_values, &number) == ERR_OK)
        box->uidvalidity = number;
    else if (slice_eq_nocase(reply->code, SLICE("UIDNEXT")) &&
             imap_value_u32(reply->code_values, &number) == ERR_OK)
        box->uidnext = number;
    else if (slice_eq_nocase(reply->code, SLICE("HIGHESTMODSEQ")) &&
             imap_value_u64(reply->code_values, &box->modseq) != ERR_OK)
        box->modseq = 0;
    return ERR_OK;
}

static enum err select_done(struct imapc_task *task, const struct imap_reply *reply)
{
    ((struct selecting *)task->owner)->result = imapc_reply_err(reply);
    return ERR_OK;
}

void imapc_box_done(struct imapc_box *box)
{
    free(box->keywords);
    box->keywords = NULL;
}

enum err imapc_select(
    struct imapc *imap, const char *far_name, bool read_only, struct imapc_box *out_box)
{
    struct selecting s = { .result = ERR_OK };
    struct imapc_task task = { .data = select_data, .done = select_done, .owner = &s };
    struct buf text;
    buf_init(&text, 0);
    buf_adds(&text, read_only ? "EXAMINE " : "SELECT ");
    enum err e = imapc_add_string(&text, slice_of(far_name));
    if (e == ERR_OK) {
        imapc_queue(imap, &task, buf_slice(&text));
        e = imapc_run(imap, &task);
    }
    buf_done(&text);
    if (e == ERR_OK)
        e = s.result;
    if (e == ERR_OK)
        *out_box = s.box;
    else
        imapc_box_done(&s.box);
    return e;
}
