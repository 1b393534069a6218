/* What the server has: its folders, and what changed in them since the last run.
 *
 * Three ways, the first that the server can (imapc_caps):
 *     QRESYNC    SELECT tells of every change and what vanished (RFC 7162 §3.2.5)
 *     CONDSTORE  FETCH of what changed, SEARCH of what is still there
 *     plain      FETCH of all flags */
#include "sync/flags.h"
#include "sync/sync_int.h"

#include "proto/imap/imap_date.h"
#include "proto/imap/imap_utf7.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* ---- names and flags ---- */

void sync_add_name(struct buf *out, const struct sync_folder *folder)
{
    /* it was listed by the server or made by us; both ways imapc_add_string took it before */
    enum err e = imapc_add_string(out, slice_of(folder->row.far_name));
    if (e != ERR_OK)
        buf_adds(out, "\"\"");
}

uint32_t sync_far_flags(struct sync_folder *folder, const struct imap_value *list)
{
    bool is_new = false;
    uint32_t flags = sync_flag_bits(&folder->row.keywords, list, &is_new, NULL);
    folder->keywords_changed |= is_new;
    return flags;
}

void sync_queue_named(
    const struct sync_folder *folder, struct imapc_task *task, const char *verb, const char *behind)
{
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%s ", verb);
    sync_add_name(&text, folder);
    buf_adds(&text, behind);
    imapc_queue(folder->run->options->imap, task, buf_slice(&text));
    buf_done(&text);
}

static uint32_t system_flags(const struct imap_value *list)
{
    struct sync_keywords none = { .names = { NULL } };
    bool is_new = false;
    uint32_t flags = sync_flag_bits(&none, list, &is_new, NULL) & (SYNC_KEYWORD - 1u);
    sync_keywords_done(&none);
    return flags;
}

void sync_write_flags(const struct sync_folder *folder, uint32_t flags, struct buf *out)
{
    sync_flag_names(&folder->row.keywords, flags, out);
}

/* ---- rows and news ---- */

/* Rows are sorted by UID, those without one first. */
struct sync_row *sync_row_of_uid(struct sync_folder *folder, uint32_t uid)
{
    size_t low = 0, high = folder->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (folder->rows[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < folder->count && folder->rows[low].uid == uid ? &folder->rows[low] : NULL;
}

static int by_uid(const void *a, const void *b)
{
    const struct sync_new *x = a, *y = b;
    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return x->turn < y->turn ? -1 : x->turn > y->turn;
}

/* One message, told twice: what was said last counts. */
static void merge_new(struct sync_new *into, const struct sync_new *later)
{
    into->flags = later->flags;
    into->settled |= later->settled;
    if (later->received_s)
        into->received_s = later->received_s;
    if (later->has_facts)
        into->facts = later->facts;
    into->has_facts |= later->has_facts;
}

/* Servers tell them in order, or all of them the other way round: sorting once costs the same for any order. */
void sync_order_news(struct sync_folder *folder)
{
    size_t count = 0;
    if (!folder->out_of_order)
        return;
    qsort(folder->news, folder->new_count, sizeof *folder->news, by_uid);
    for (size_t i = 0; i < folder->new_count; i++) {
        if (count && folder->news[count - 1].uid == folder->news[i].uid)
            merge_new(&folder->news[count - 1], &folder->news[i]);
        else
            folder->news[count++] = folder->news[i];
    }
    for (size_t i = 0; i < count; i++)
        folder->news[i].turn = (uint32_t)i;
    folder->new_count = count;
    folder->out_of_order = false;
}

void sync_forget_news(struct sync_folder *folder)
{
    folder->new_count = 0;
    folder->out_of_order = false;
}

struct sync_new *sync_new_of_uid(struct sync_folder *folder, uint32_t uid)
{
    size_t low = 0, high;
    sync_order_news(folder);
    for (high = folder->new_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (folder->news[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < folder->new_count && folder->news[low].uid == uid ? &folder->news[low] : NULL;
}

struct sync_new *sync_add_new(struct sync_folder *folder, uint32_t uid, uint32_t flags)
{
    bool ascends = folder->new_count == 0 || folder->news[folder->new_count - 1].uid < uid;
    struct sync_new *found = ascends || folder->out_of_order ? NULL : sync_new_of_uid(folder, uid);
    if (found) {
        found->flags = flags;
        return found;
    }
    if (folder->new_count == folder->new_cap) {
        struct sync_new *grown = arena_grow(
            &folder->arena, folder->news, &folder->new_cap, folder->new_count + 1, sizeof *grown);
        if (!grown)
            return NULL;
        folder->news = grown;
    }
    folder->out_of_order |= !ascends;
    struct sync_new *new = &folder->news[folder->new_count];
    *new = (struct sync_new){ .uid = uid, .flags = flags, .turn = (uint32_t)folder->new_count };
    folder->new_count++;
    return new;
}

/* ---- LIST ---- */

static bool matches(const struct client_account *account, const char *name)
{
    bool chosen = !account->folders || !account->folders[0] || account->folders[0][0] == '!';
    for (char **pattern = account->folders; pattern && *pattern; pattern++) {
        bool excludes = **pattern == '!';
        if (fnmatch(*pattern + excludes, name, 0) == 0)
            chosen = !excludes;
    }
    return chosen;
}

static struct sync_folder *find_far(struct sync_run *run, struct slice name)
{
    for (size_t i = 0; i < run->count; i++)
        if (slice_eq(slice_of(run->folders[i].row.far_name), name))
            return &run->folders[i];
    return NULL;
}

/* INBOX is written in another case than the last time (RFC 9051 §5.1). */
static struct sync_folder *find_inbox(struct sync_run *run, struct slice name)
{
    if (!slice_eq_nocase(name, SLICE("INBOX")))
        return NULL;
    for (size_t i = 0; i < run->count; i++)
        if (!run->folders[i].far_exists &&
            slice_eq_nocase(slice_of(run->folders[i].row.far_name), name))
            return &run->folders[i];
    return NULL;
}

bool sync_is_in_inbox(struct slice far_name, char delimiter)
{
    size_t end = delimiter ? slice_index(far_name, delimiter) : far_name.len;
    return slice_eq_nocase(slice_sub(far_name, 0, end), SLICE("INBOX"));
}

/* "INBOX.Archive" where that is what folders of one's own are called is "Archive" here; "INBOX.INBOX" is none but itself. */
static struct slice without_prefix(const char *prefix, struct slice far_name, char delimiter)
{
    if (!prefix || !slice_starts(far_name, slice_of(prefix)))
        return far_name;
    struct slice rest = slice_from_index(far_name, strlen(prefix));
    return rest.len == 0 || sync_is_in_inbox(rest, delimiter) ? far_name : rest;
}

enum err sync_path_of(const struct sync_run *run, struct slice far_name, char delimiter,
    bool *out_raw, struct buf *out_path)
{
    struct slice own = without_prefix(run->far_prefix, far_name, delimiter);
    struct buf name;
    buf_init(&name, 0);
    bool raw = imap_utf7_decode(own, &name) != ERR_OK;
    enum err e = near_path_of(
        raw ? own : buf_slice(&name), raw, delimiter, run->options->account->layout, out_path);
    buf_done(&name);
    *out_raw = raw;
    return e;
}

/* The path of a listed folder; ERR_SYNTAX, ERR_LIMIT: it has none. */
static enum err path_of(struct sync_run *run, struct sync_folder *folder, char **out_path)
{
    struct buf path;
    buf_init(&path, 0);
    enum err e =
        sync_path_of(run, slice_of(folder->row.far_name), folder->delimiter, &folder->raw, &path);
    if (e == ERR_OK)
        *out_path = mem_strndup(buf_slice(&path).ptr, buf_len(&path));
    buf_done(&path);
    return e;
}

static bool path_taken(const struct sync_run *run, const char *path)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->folders[i].far_exists && strcmp(run->folders[i].row.path, path) == 0)
            return true;
    return false;
}

static enum err add_far(struct sync_run *run, struct slice name, char delimiter, bool noselect)
{
    struct sync_folder *known = find_far(run, name);
    if (!known)
        known = find_inbox(run, name);
    if (known) {
        known->far_exists = true;
        known->noselect = noselect;
        known->delimiter = delimiter;
        return ERR_OK;
    }
    if (run->count >= SYNC_FOLDERS_MAX)
        return ERR_LIMIT;
    struct sync_folder folder = {
        .delimiter = delimiter, .far_exists = true, .noselect = noselect
    };
    struct buf checked;
    buf_init(&checked, 0);
    folder.row.far_name = mem_strndup(name.ptr, name.len);
    char *path = NULL;
    bool speakable =
        imapc_add_string(&checked, name) == ERR_OK && strlen(folder.row.far_name) == name.len;
    buf_done(&checked);
    if (!speakable || path_of(run, &folder, &path) != ERR_OK || path_taken(run, path)) {
        /* A name with an empty part, with 8-bit, too long, or one that means the same folder as another (ATTACKS §5). */
        struct sync_event event = { .kind = SYNC_FOLDER_STOPPED,
            .reason = SYNC_STOP_NAME_HERE,
            .folder = folder.row.far_name,
            .text = "" };
        if (run->options->tell)
            run->options->tell(run->options->arg, &event);
        run->counts->stopped++;
        free(path);
        free(folder.row.far_name);
        return ERR_OK;
    }
    folder.row.path = path;
    if (run->count == run->cap) {
        run->cap = run->cap ? run->cap * 2 : 64;
        run->folders = mem_realloc(run->folders, run->cap * sizeof *run->folders);
    }
    run->folders[run->count++] = folder;
    return ERR_OK;
}

/* (\HasNoChildren) "/" name [extended] */
static enum err take_list(struct sync_run *run, const struct imap_reply *reply)
{
    const struct imap_value *attributes = reply->values;
    const struct imap_value *delimiter = attributes ? attributes->next : NULL;
    const struct imap_value *name = delimiter ? delimiter->next : NULL;
    if (!name || attributes->kind != IMAP_VALUE_LIST || name->kind == IMAP_VALUE_LIST)
        return ERR_SYNTAX;
    if (imap_value_has(attributes, SLICE("\\NonExistent")))
        return ERR_OK;
    char cut = delimiter->kind == IMAP_VALUE_STRING && delimiter->text.len == 1
                   ? delimiter->text.ptr[0]
                   : '\0';
    bool better = !run->far_delimiter || slice_eq_nocase(name->text, SLICE("INBOX"));
    if (cut && better && !run->has_delimiter)
        run->far_delimiter = cut;
    return add_far(run, name->text, cut, imap_value_has(attributes, SLICE("\\Noselect")));
}

static void take_status(struct sync_run *run, const struct imap_reply *reply)
{
    const struct imap_value *name = reply->values;
    struct sync_folder *folder =
        name && name->kind != IMAP_VALUE_LIST ? find_far(run, name->text) : NULL;
    if (!folder || !name->next)
        return;
    struct sync_far_state status = { 0 };
    bool whole = imap_value_u32(imap_value_item(name->next, SLICE("UIDVALIDITY")),
                     &status.uidvalidity) == ERR_OK;
    whole &=
        imap_value_u32(imap_value_item(name->next, SLICE("UIDNEXT")), &status.uidnext) == ERR_OK;
    whole &=
        imap_value_u32(imap_value_item(name->next, SLICE("MESSAGES")), &status.messages) == ERR_OK;
    whole &= imap_value_u64(imap_value_item(name->next, SLICE("HIGHESTMODSEQ")), &status.modseq) ==
             ERR_OK;
    folder->has_status = whole;
    if (whole)
        folder->status = status;
}

/* Folders that have the prefix here too, from a run before it was known: then all have. */
static bool has_prefix_here(const struct sync_run *run, const char *prefix, char delimiter)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct sync_folder *folder = &run->folders[i];
        struct slice far_name = slice_of(folder->row.far_name);
        if (!folder->known || without_prefix(prefix, far_name, delimiter).len == far_name.len)
            continue;
        struct buf path;
        bool raw;
        buf_init(&path, 0);
        bool same = sync_path_of(run, far_name, delimiter, &raw, &path) == ERR_OK &&
                    slice_eq(buf_slice(&path), slice_of(folder->row.path));
        buf_done(&path);
        if (same)
            return true;
    }
    return false;
}

/* Asked for before LIST, so that it is known when the names come. */
static void take_namespace(struct sync_run *run, const struct imap_reply *reply)
{
    struct slice text;
    char delimiter;
    if (run->far_prefix || !imapc_take_namespace(reply, &text, &delimiter) || !delimiter)
        return;
    run->far_delimiter = delimiter;
    run->has_delimiter = true;
    if (text.len < 2 || text.ptr[text.len - 1] != delimiter || memchr(text.ptr, '\0', text.len))
        return;
    char *prefix = mem_strndup(text.ptr, text.len);
    if (has_prefix_here(run, prefix, delimiter))
        free(prefix);
    else
        run->far_prefix = prefix;
}

static enum err list_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct sync_run *run = task->owner;
    if (slice_eq_nocase(reply->name, SLICE("LIST")))
        return take_list(run, reply);
    if (slice_eq_nocase(reply->name, SLICE("STATUS")))
        take_status(run, reply);
    if (slice_eq_nocase(reply->name, SLICE("NAMESPACE")))
        take_namespace(run, reply);
    return ERR_OK;
}

static enum err list_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct sync_run *run = task->owner;
    enum err e = imapc_reply_err(reply);
    return e == ERR_OK ? e : client_failed_said(run->failure, CLIENT_WHY_REFUSED, e, reply->text);
}

enum err sync_list_far(struct sync_run *run)
{
    struct imapc *imap = run->options->imap;
    struct imapc_task task = { .data = list_data, .done = list_done, .owner = run };
    unsigned caps = imapc_caps(imap);
    bool with_status = caps & IMAPC_LIST_STATUS && caps & IMAPC_CONDSTORE;
    struct imapc_task namespace = { .data = list_data, .owner = run };
    if (caps & IMAPC_NAMESPACE)
        imapc_queue(imap, &namespace, SLICE("NAMESPACE"));
    if (with_status)
        imapc_queue(imap, &task,
            SLICE("LIST \"\" \"*\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))"));
    else
        imapc_queue(imap, &task, SLICE("LIST \"\" \"*\""));
    return imapc_run(imap, NULL);
}

void sync_choose(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++)
        run->folders[i].excluded = !matches(run->options->account, run->folders[i].row.path);
}

/* ---- what changed in a folder ---- */

static enum err row_changed(
    struct sync_folder *folder, uint32_t uid, const struct imap_value *items)
{
    const struct imap_value *flags = imap_value_item(items, SLICE("FLAGS"));
    struct sync_row *row = sync_row_of_uid(folder, uid);
    uint32_t mask = sync_far_flags(folder, flags);
    if (row) {
        row->far_seen = true;
        if (flags) {
            row->far_known = true;
            row->far_flags = mask;
        }
        return ERR_OK;
    }
    struct sync_new *new = sync_add_new(folder, uid, mask);
    if (!new)
        return ERR_LIMIT;
    const struct imap_value *date = imap_value_item(items, SLICE("INTERNALDATE"));
    int32_t zone;
    if (date && imap_datetime_read(date->text, &new->received_s, &zone) != ERR_OK)
        new->received_s = 0;
    return ERR_OK;
}

static enum err take_fetch(struct sync_folder *folder, const struct imap_reply *reply)
{
    uint32_t uid;
    const struct imap_value *value = imap_value_item(reply->values, SLICE("UID"));
    if (!value)
        return ERR_OK; /* something that nobody asked for */
    if (imap_value_u32(value, &uid) != ERR_OK || uid == 0)
        return ERR_SYNTAX;
    return row_changed(folder, uid, reply->values);
}

static void less(struct sync_folder *folder, uint64_t count)
{
    folder->exists -= count < folder->exists ? (uint32_t)count : folder->exists;
    folder->to_list -= count < folder->to_list ? (uint32_t)count : folder->to_list;
}

/* "41,43:116" of VANISHED: what is in it and has a row is gone. */
static enum err take_vanished(struct sync_folder *folder, const struct imap_value *set)
{
    struct uidset uids;
    bool earlier = set && set->kind == IMAP_VALUE_LIST;
    if (earlier)
        set = set->next;
    if (!set)
        return ERR_SYNTAX;
    uidset_init(&uids);
    enum err e = uidset_read(&uids, set->text, IMAP_REPLY_BYTES_MAX);
    for (size_t i = 0; e == ERR_OK && i < folder->count; i++)
        if (folder->rows[i].uid && uidset_has(&uids, folder->rows[i].uid))
            folder->rows[i].far_gone = true;
    if (e == ERR_OK && !earlier)
        less(folder, uidset_members(&uids));
    uidset_done(&uids);
    return e;
}

/* SEARCH and ESEARCH ALL: what is there. */
static enum err take_search(struct sync_folder *folder, const struct imap_reply *reply)
{
    struct uidset uids;
    enum err e = ERR_OK;
    uidset_init(&uids);
    if (slice_eq_nocase(reply->name, SLICE("ESEARCH"))) {
        const struct imap_value *value = reply->values;
        while (value && !imap_value_is(value, SLICE("ALL")))
            value = value->next;
        if (value && value->next)
            e = uidset_read(&uids, value->next->text, IMAP_REPLY_BYTES_MAX);
    } else {
        for (const struct imap_value *value = reply->values; e == ERR_OK && value;
             value = value->next) {
            uint32_t uid;
            if (value->kind == IMAP_VALUE_LIST) /* (MODSEQ …) */
                break;
            e = imap_value_u32(value, &uid);
            if (e == ERR_OK)
                uidset_add(&uids, uid);
        }
    }
    for (size_t i = 0; e == ERR_OK && i < folder->count; i++)
        folder->rows[i].far_seen |= folder->rows[i].uid && uidset_has(&uids, folder->rows[i].uid);
    uidset_done(&uids);
    return e;
}

/* A keyword that is not kept there is ours alone. "\\*": any new one is kept, and those that are named need no letter before a message has them. */
static void take_permanent(struct sync_folder *folder, const struct imap_value *list)
{
    if (!list || list->kind != IMAP_VALUE_LIST)
        return;
    folder->permanent = 0;
    for (const struct imap_value *value = list->first; value; value = value->next)
        if (imap_value_is(value, SLICE("\\*")))
            folder->permanent = ~(SYNC_KEYWORD - 1u) | SYNC_PASSED; /* $Forwarded is one too */
    folder->permanent |= folder->permanent ? system_flags(list) : sync_far_flags(folder, list);
}

/* The answer to SELECT itself. */
static void take_selected(struct sync_folder *folder, const struct imap_reply *reply)
{
    folder->looked = reply->status == IMAP_STATUS_OK;
    if (folder->looked && slice_eq_nocase(reply->code, SLICE("READ-ONLY")))
        folder->permanent = 0;
}

static void take_code(struct sync_folder *folder, const struct imap_reply *reply)
{
    uint32_t number;
    uint64_t modseq;
    if (slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
        imap_value_u32(reply->code_values, &number) == ERR_OK)
        folder->status.uidvalidity = number;
    else if (slice_eq_nocase(reply->code, SLICE("UIDNEXT")) &&
             imap_value_u32(reply->code_values, &number) == ERR_OK)
        folder->status.uidnext = number;
    else if (slice_eq_nocase(reply->code, SLICE("HIGHESTMODSEQ")) &&
             imap_value_u64(reply->code_values, &modseq) == ERR_OK)
        folder->status.modseq = modseq;
    else if (slice_eq_nocase(reply->code, SLICE("NOMODSEQ")))
        folder->status.modseq = 0;
    else if (slice_eq_nocase(reply->code, SLICE("PERMANENTFLAGS")))
        take_permanent(folder, reply->code_values);
    else if (slice_eq_nocase(reply->code, SLICE("CLOSED")))
        folder->run->selected =
            folder; /* what came before was of the folder that was selected until now */
}

static enum err gather_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct sync_folder *folder = task->owner;
    if (reply->status == IMAP_STATUS_OK) {
        take_code(folder, reply);
        return ERR_OK;
    }
    bool selecting =
        task == &folder->task && folder->run->selected && folder->run->selected != folder;
    if (selecting && imapc_qresync(folder->run->options->imap))
        return ERR_OK; /* RFC 7162 §3.2.11: until CLOSED it is about the other one */
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXISTS")))
        folder->exists = reply->number;
    else if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXPUNGE")))
        less(folder, 1);
    else if (reply->numbered && slice_eq_nocase(reply->name, SLICE("FETCH")))
        return take_fetch(folder, reply);
    else if (slice_eq_nocase(reply->name, SLICE("VANISHED")))
        return take_vanished(folder, reply->values);
    else if (slice_eq_nocase(reply->name, SLICE("SEARCH")) ||
             slice_eq_nocase(reply->name, SLICE("ESEARCH")))
        return take_search(folder, reply);
    return ERR_OK;
}

static enum err select_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct sync_folder *folder = task->owner;
    folder->run->selected = folder;
    folder->to_list = folder->exists;
    take_selected(folder, reply);
    if (reply->status != IMAP_STATUS_OK) {
        folder->run->selected = NULL;
        sync_stop_folder(folder, SYNC_STOP_REFUSED, reply->text);
    }
    return ERR_OK;
}

static enum err fetch_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct sync_folder *folder = task->owner;
    if (reply->status != IMAP_STATUS_OK && folder->exists && !folder->stopped)
        sync_stop_folder(folder, SYNC_STOP_REFUSED, reply->text);
    return ERR_OK;
}

static void queue_gather(struct sync_folder *folder, bool all)
{
    struct imapc *imap = folder->run->options->imap;
    struct sync_far_state *last = &folder->row.far;
    struct buf text;
    unsigned caps = imapc_caps(imap);
    bool since =
        !all && folder->known && last->modseq && last->uidvalidity && caps & IMAPC_CONDSTORE;
    bool qresync = since && imapc_qresync(imap);
    buf_init(&text, 0);
    buf_adds(&text, "SELECT ");
    sync_add_name(&text, folder);
    if (qresync)
        buf_addf(
            &text, " (QRESYNC (%u %llu))", last->uidvalidity, (unsigned long long)last->modseq);
    else if (caps & IMAPC_CONDSTORE)
        buf_adds(&text, " (CONDSTORE)");
    folder->task = (struct imapc_task){ .data = gather_data, .done = select_done, .owner = folder };
    folder->task2 = (struct imapc_task){ .data = gather_data, .done = fetch_done, .owner = folder };
    folder->status = (struct sync_far_state){ 0 };
    folder->exists = 0;
    folder->listed_all = !qresync;
    folder->since = since;
    folder->again = since && !qresync;
    imapc_queue(imap, &folder->task, buf_slice(&text));
    buf_done(&text);
    if (qresync)
        return;
    if (since) {
        imapc_queuef(imap, &folder->task2, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE %llu)",
            (unsigned long long)last->modseq);
    } else {
        imapc_queue(imap, &folder->task2, SLICE("UID FETCH 1:* (FLAGS)"));
    }
}

/* After all answers came. UIDs that mean something else than they did, or went back, mean nothing (new_uids). */
static void judge(struct sync_folder *folder)
{
    const struct sync_far_state *last = &folder->row.far, *now = &folder->status;
    if (folder->stopped)
        return;
    if (now->uidvalidity == 0) {
        sync_stop_folder(folder, SYNC_STOP_NO_UIDVALIDITY, SLICE_EMPTY);
        return;
    }
    folder->status.messages = folder->exists;
    bool other = now->uidvalidity != last->uidvalidity;
    bool back = now->uidnext && now->uidnext < last->uidnext;
    folder->new_uids = folder->known && last->uidvalidity && (other || back);
    folder->modseq_back = folder->since && now->modseq < last->modseq;
}

bool sync_is_clean(const struct sync_folder *folder)
{
    const struct sync_far_state *last = &folder->row.far, *now = &folder->status;
    return folder->known && folder->has_status && last->modseq &&
           last->uidvalidity == now->uidvalidity && last->uidnext == now->uidnext &&
           last->modseq == now->modseq && last->messages == now->messages;
}

static bool takes_part(const struct sync_folder *folder)
{
    return folder->far_exists && folder->near_open && !folder->noselect && !folder->excluded &&
           !folder->stopped && !folder->imagined;
}

/* Every UID that is there: for servers that tell of changes but not of what vanished. */
static enum err search_all(struct sync_folder *folder)
{
    struct imapc *imap = folder->run->options->imap;
    TRY(sync_select(folder));
    folder->task2 = (struct imapc_task){ .data = gather_data, .done = fetch_done, .owner = folder };
    bool short_form = imapc_caps(imap) & IMAPC_ESEARCH;
    imapc_queue(imap, &folder->task2,
        short_form ? SLICE("UID SEARCH RETURN (ALL) ALL") : SLICE("UID SEARCH ALL"));
    return imapc_run(imap, NULL);
}

/* UIDVALIDITY is another, or UIDs went back: no UID that we know means anything. Each file here is looked for there by what it holds. */
static void forget_uids(struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        row->uid = 0;
        row->far_gone = row->far_seen = row->far_known = false;
        if (row->kind == SYNC_PAIR || row->kind == SYNC_DOWN) {
            row->kind = SYNC_UP;
            row->bound = 1;
        }
    }
    sync_forget_news(folder);
}

static enum err write_forgotten(struct sync_folder *folder)
{
    struct state *state = folder->run->state;
    TRY(state_begin(state));
    enum err e = ERR_OK;
    folder->row.far = (struct sync_far_state){ .uidvalidity = folder->status.uidvalidity };
    for (size_t i = 0; e == ERR_OK && i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        e = row->kind == SYNC_UP ? state_row_set(state, row) : state_row_remove(state, row->id);
    }
    if (e == ERR_OK)
        e = state_folder_set(state, &folder->row);
    if (e != ERR_OK) {
        state_rollback(state);
        return e;
    }
    return state_commit(state);
}

static enum err list_anew(struct sync_folder *folder)
{
    forget_uids(folder);
    if (!folder->run->options->dry_run)
        TRY(write_forgotten(folder));
    queue_gather(folder, true);
    TRY(imapc_run(folder->run->options->imap, NULL));
    judge(folder);
    folder->new_uids = false;
    folder->listed_all = false; /* no row has a UID that could be missing */
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        if (row->kind == SYNC_UP && row->file)
            TRY(sync_remember_up(folder, row));
    }
    return ERR_OK;
}

/* A server that lost its index counts from 1 again, and its answer to "since" leaves out what changed. */
static enum err list_all(struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        row->far_gone = row->far_seen = row->far_known = false;
    }
    sync_forget_news(folder);
    queue_gather(folder, true);
    TRY(imapc_run(folder->run->options->imap, NULL));
    judge(folder);
    return ERR_OK;
}

/* What is missing from a list that is shorter than the server says the folder is may be what it left out. */
static void mark_gone(struct sync_folder *folder)
{
    size_t seen = folder->new_count, missing = 0;
    if (!folder->listed_all || folder->stopped)
        return;
    for (size_t i = 0; i < folder->count; i++) {
        seen += folder->rows[i].far_seen;
        missing += folder->rows[i].uid && !folder->rows[i].far_seen;
    }
    if (missing && seen < folder->exists) {
        sync_stop_folder(folder, SYNC_STOP_INCOMPLETE, SLICE_EMPTY);
        return;
    }
    if (seen < folder->to_list)
        sync_tell_short(folder);
    for (size_t i = 0; i < folder->count; i++)
        if (folder->rows[i].uid && !folder->rows[i].far_seen)
            folder->rows[i].far_gone = true;
}

enum err sync_gather_far(struct sync_run *run)
{
    struct imapc *imap = run->options->imap;
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        folder->far_dirty = takes_part(folder) && !sync_is_clean(folder);
        if (folder->far_dirty)
            queue_gather(folder, false);
    }
    TRY(imapc_run(imap, NULL));
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (!folder->far_dirty)
            continue;
        judge(folder);
        if (folder->stopped)
            continue;
        enum err e = ERR_OK;
        if (folder->new_uids)
            e = list_anew(folder);
        else if (folder->modseq_back)
            e = list_all(folder);
        else if (folder->again)
            e = search_all(folder);
        if (e != ERR_OK && sync_is_fatal(run, e))
            return e;
        if (e != ERR_OK)
            sync_stop_refused(folder);
        sync_order_news(folder);
        mark_gone(folder);
    }
    return ERR_OK;
}

void sync_check_uidvalidity(struct sync_folder *folder, const struct imap_reply *reply)
{
    uint32_t now;
    if (folder->status.uidvalidity && slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
        imap_value_u32(reply->code_values, &now) == ERR_OK && now != folder->status.uidvalidity)
        sync_stop_folder(folder, SYNC_STOP_REFUSED, reply->text);
}

struct selection {
    struct sync_folder *folder;
    enum err result;
};

static enum err selection_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct selection *selection = task->owner;
    sync_check_uidvalidity(selection->folder, reply);
    if (slice_eq_nocase(reply->code, SLICE("PERMANENTFLAGS")))
        take_permanent(selection->folder, reply->code_values);
    return ERR_OK;
}

static enum err selection_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct selection *selection = task->owner;
    take_selected(selection->folder, reply);
    selection->result = imapc_reply_err(reply);
    return ERR_OK;
}

enum err sync_select(struct sync_folder *folder)
{
    struct imapc *imap = folder->run->options->imap;
    struct selection selection = { .folder = folder };
    struct imapc_task task = {
        .data = selection_data, .done = selection_done, .owner = &selection
    };
    bool stopped = folder->stopped;
    if (folder->run->selected == folder && folder->looked)
        return ERR_OK;
    sync_queue_named(folder, &task, "SELECT", "");
    enum err e = imapc_run(imap, &task);
    if (e == ERR_OK)
        e = folder->stopped && !stopped ? ERR_BUSY : selection.result;
    folder->run->selected = e == ERR_OK ? folder : NULL;
    return e;
}

/* ---- size, Message-ID, date ---- */

enum err sync_take_facts(struct sync_folder *folder, const struct imap_reply *reply)
{
    uint32_t uid;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")) ||
        imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &uid) != ERR_OK)
        return ERR_OK;
    struct sync_new *new = sync_new_of_uid(folder, uid);
    const struct imap_value *size = imap_value_item(reply->values, SLICE("RFC822.SIZE"));
    const struct imap_value *date = imap_value_item(reply->values, SLICE("INTERNALDATE"));
    const struct imap_value *header = NULL;
    if (!new || reply->values->kind != IMAP_VALUE_LIST)
        return ERR_OK;
    for (const struct imap_value *value = reply->values->first; value && value->next;
         value = value->next->next)
        if (value->kind == IMAP_VALUE_ATOM &&
            slice_starts_nocase(value->text, SLICE("BODY[HEADER.FIELDS")))
            header = value->next;
    int32_t zone;
    if (imap_value_u64(size, &new->facts.bytes) != ERR_OK || !header)
        return ERR_OK;
    if (!date || imap_datetime_read(date->text, &new->received_s, &zone) != ERR_OK)
        new->received_s = 0;
    new->facts.message_id = imap_value_is_text(header) ? sync_message_id(header->text) : 0;
    new->has_facts = true;
    return ERR_OK;
}

static enum err facts_data(struct imapc_task *task, const struct imap_reply *reply)
{
    return sync_take_facts(task->owner, reply);
}

/* One command for each set that fits a line. */
enum err sync_identify(struct sync_folder *folder, uint32_t from)
{
    struct imapc *imap = folder->run->options->imap;
    struct uidset uids;
    enum err e = ERR_OK;
    uidset_init(&uids);
    sync_order_news(folder);
    for (size_t i = 0; i < folder->new_count; i++)
        if (!folder->news[i].has_facts && !folder->news[i].settled && folder->news[i].uid >= from)
            uidset_add(&uids, folder->news[i].uid);
    if (!uidset_empty(&uids))
        e = sync_select(folder);
    for (size_t at = 0; e == ERR_OK && at < uids.count;) {
        struct imapc_task task = { .data = facts_data, .owner = folder };
        struct buf text;
        buf_init(&text, 0);
        buf_adds(&text, "UID FETCH ");
        imapc_add_set(&text, &uids, &at);
        buf_adds(&text, " (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
        imapc_queue(imap, &task, buf_slice(&text));
        buf_done(&text);
        e = imapc_run(imap, &task);
    }
    uidset_done(&uids);
    return e;
}

/* ---- after uploads to a server without UIDPLUS ---- */

enum err sync_find_new(struct sync_folder *folder)
{
    struct imapc *imap = folder->run->options->imap;
    uint32_t from = UINT32_MAX;
    for (size_t i = 0; i < folder->up_count; i++)
        if (folder->ups[i]->kind == SYNC_UP && folder->ups[i]->bound < from)
            from = folder->ups[i]->bound;
    folder->task2 = (struct imapc_task){ .data = gather_data, .done = fetch_done, .owner = folder };
    imapc_queuef(imap, &folder->task2, "UID FETCH %u:* (FLAGS)", from);
    TRY(imapc_run(imap, NULL));
    sync_order_news(folder);
    return sync_match_ups(folder);
}
