/* One message in every folder, by its Message-ID: all folders are asked at once (RFC 9051 §5.5). */
#include "client/imap/imapc_mail.h"

#include "message/header.h"

#include <stdlib.h>

struct asking {
    const struct imapc_folder *folder;
    struct imapc_task examine, search;
    struct uidset uids;
    uint32_t uidvalidity;
    size_t answers;
};

static enum err examine_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct asking *one = task->owner;
    if (slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
        imap_value_u32(reply->code_values, &one->uidvalidity) != ERR_OK)
        one->uidvalidity = 0;
    return ERR_OK;
}

/* A folder that cannot be opened: what was asked behind it is about no folder. */
static enum err examine_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct asking *one = task->owner;
    if (reply->status != IMAP_STATUS_OK)
        one->folder = NULL;
    return ERR_OK;
}

static enum err search_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct asking *one = task->owner;
    if (!one->folder || !slice_eq_nocase(reply->name, SLICE("SEARCH")))
        return ERR_OK;
    if (++one->answers > IMAPC_SEARCH_ANSWERS_MAX)
        return ERR_LIMIT;
    for (const struct imap_value *value = reply->values; value; value = value->next) {
        uint32_t uid;
        if (value->kind == IMAP_VALUE_LIST) /* (MODSEQ …) */
            break;
        TRY(imap_value_u32(value, &uid));
        uidset_add(&one->uids, uid);
    }
    return ERR_OK;
}

static void queue_one(struct imapc *imap, struct asking *one, struct slice quoted)
{
    struct buf text;
    buf_init(&text, 0);
    buf_adds(&text, "EXAMINE ");
    if (imapc_add_string(&text, slice_of(one->folder->far_name)) == ERR_OK) {
        one->examine =
            (struct imapc_task){ .data = examine_data, .done = examine_done, .owner = one };
        one->search = (struct imapc_task){ .data = search_data, .owner = one };
        imapc_queue(imap, &one->examine, buf_slice(&text));
        imapc_queuef(
            imap, &one->search, "UID SEARCH HEADER \"Message-ID\" %.*s", SLICE_FMT(quoted));
    }
    buf_done(&text);
}

/* ---- what was found is looked at: SEARCH finds parts of a field too ---- */

struct checking {
    const struct asking *asked;
    struct slice id;
    imapc_found_fn each;
    void *arg;
};

static enum err check(void *arg, const struct imapc_message *message)
{
    const struct checking *c = arg;
    struct msg_field field;
    if (!msg_field_find(message->header, SLICE("Message-ID"), &field) ||
        !slice_eq(slice_trim(field.value), c->id))
        return ERR_OK;
    return c->each(c->arg, c->asked->folder, c->asked->uidvalidity, message);
}

static enum err check_one(
    struct imapc *imap, const struct asking *one, struct slice id, imapc_found_fn each, void *arg)
{
    struct imapc_box box = { 0 };
    struct checking c = { .asked = one, .id = id, .each = each, .arg = arg };
    if (!one->folder || uidset_empty(&one->uids))
        return ERR_OK;
    TRY(imapc_select(imap, one->folder->far_name, true, &box));
    enum err e = box.uidvalidity == one->uidvalidity
                     ? imapc_each_of(imap, &one->uids, "MESSAGE-ID", check, &c)
                     : ERR_OK; /* made anew at this moment */
    imapc_box_done(&box);
    return e;
}

/* An id with 8-bit goes as a literal (RFC 9051 §4.3), for which the server may have to say "go on": one folder after the other. */
static enum err search_one(struct imapc *imap, struct asking *one, struct slice id)
{
    struct imapc_box box = { 0 };
    struct imapc_query query = { .count = 1, .utf8 = true };
    enum err e = imapc_select(imap, one->folder->far_name, true, &box);
    if (e != ERR_OK)
        one->folder = NULL;
    if (e != ERR_OK)
        return imapc_is_broken(imap) ? e : ERR_OK;
    one->uidvalidity = box.uidvalidity;
    imapc_box_done(&box);
    buf_init(&query.text, 0);
    buf_adds(&query.text, "HEADER \"Message-ID\" ");
    query.literals[0] = (struct imapc_literal){ .at = buf_len(&query.text), .len = id.len };
    buf_add(&query.text, id);
    e = imapc_search(imap, &query, &one->uids);
    imapc_query_done(&query);
    return e == ERR_OK || imapc_is_broken(imap) ? e : ERR_OK;
}

enum err imapc_find_message(struct imapc *imap, const struct imapc_folders *folders,
    struct slice id, imapc_found_fn each, void *arg)
{
    struct buf quoted;
    struct asking *all = mem_zalloc(folders->count + 1, sizeof *all);
    buf_init(&quoted, 0);
    bool can_quote = imapc_add_string(&quoted, id) == ERR_OK;
    enum err e = ERR_OK;
    for (size_t i = 0; i < folders->count; i++) {
        uidset_init(&all[i].uids);
        all[i].folder = folders->all[i].noselect ? NULL : &folders->all[i];
        if (e == ERR_OK && all[i].folder && can_quote)
            queue_one(imap, &all[i], buf_slice(&quoted));
        else if (e == ERR_OK && all[i].folder)
            e = search_one(imap, &all[i], id);
    }
    if (e == ERR_OK && can_quote)
        e = imapc_run(imap, NULL);
    for (size_t i = 0; i < folders->count; i++) {
        if (e == ERR_OK)
            e = check_one(imap, &all[i], id, each, arg);
        uidset_done(&all[i].uids);
    }
    buf_done(&quoted);
    free(all);
    return e;
}
