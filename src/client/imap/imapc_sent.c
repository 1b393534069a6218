/* The copy of a sent message, in Sent once whoever files it: the server itself, another program, or we. */
#include "client/imap/imapc.h"

#include "proto/imap/imap_date.h"

#include <stdlib.h>
#include <string.h>

#define SENT_NAME_BYTES_MAX 1000u

/* ---- which folder ---- */

struct sent_folder {
    char name[SENT_NAME_BYTES_MAX + 1]; /* as the server writes it; "": none */
    bool marked;                        /* it has \Sent (RFC 6154 §2): better than a name */
};

/* What servers and programs of the last thirty years called it. */
static bool is_sent_name(struct slice name, char delimiter)
{
    static const struct slice names[] = { SLICE_CONST("Sent"), SLICE_CONST("Sent Items"),
        SLICE_CONST("Sent Messages"), SLICE_CONST("Sent Mail"), SLICE_CONST("Sent-Mail") };
    if (delimiter == '.' && slice_starts_nocase(name, SLICE("INBOX.")))
        name = slice_from_index(name, 6);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(name, names[i]))
            return true;
    return false;
}

static enum err list_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct sent_folder *sent = task->owner;
    const struct imap_value *attributes = reply->values;
    const struct imap_value *delimiter = attributes ? attributes->next : NULL;
    const struct imap_value *name = delimiter ? delimiter->next : NULL;
    if (!slice_eq_nocase(reply->name, SLICE("LIST")) || !name ||
        attributes->kind != IMAP_VALUE_LIST || !imap_value_is_text(name) ||
        name->text.len > SENT_NAME_BYTES_MAX || memchr(name->text.ptr, '\0', name->text.len))
        return ERR_OK;
    char cut = delimiter->kind == IMAP_VALUE_STRING && delimiter->text.len == 1
                   ? delimiter->text.ptr[0]
                   : '\0';
    bool marked = imap_value_has(attributes, SLICE("\\Sent"));
    bool usable = !imap_value_has(attributes, SLICE("\\Noselect")) &&
                  !imap_value_has(attributes, SLICE("\\NonExistent"));
    if (!usable || sent->marked || !(marked || (is_sent_name(name->text, cut) && !sent->name[0])))
        return ERR_OK;
    memcpy(sent->name, name->text.ptr, name->text.len);
    sent->name[name->text.len] = '\0';
    sent->marked = marked;
    return ERR_OK;
}

static enum err find_folder(struct imapc *imap, struct sent_folder *sent)
{
    struct imapc_task task = { .data = list_data, .owner = sent };
    unsigned caps = imapc_caps(imap);
    bool asks = caps & IMAPC_SPECIAL_USE && caps & IMAPC_LIST_EXTENDED;
    imapc_queue(imap, &task,
        asks ? SLICE("LIST \"\" \"*\" RETURN (SPECIAL-USE)") : SLICE("LIST \"\" \"*\""));
    TRY(imapc_run(imap, &task));
    if (sent->name[0])
        return ERR_OK;
    memcpy(sent->name, "Sent", 5);
    enum err e = imapc_command(imap, SLICE("CREATE \"Sent\""));
    return e == ERR_EXISTS ? ERR_OK : e;
}

/* ---- whether it is there ---- */

static enum err search_data(struct imapc_task *task, const struct imap_reply *reply)
{
    if (slice_eq_nocase(reply->name, SLICE("SEARCH")) && reply->values)
        *(bool *)task->owner = true;
    return ERR_OK;
}

static enum err search_done(struct imapc_task *task, const struct imap_reply *reply)
{
    (void)task;
    (void)reply; /* a server that cannot search has not found it */
    return ERR_OK;
}

static enum err is_there(struct imapc *imap, const char *message_id, bool *out_there)
{
    struct imapc_task task = { .data = search_data, .done = search_done, .owner = out_there };
    struct buf text;
    buf_init(&text, 0);
    *out_there = false;
    buf_adds(&text, "UID SEARCH HEADER Message-ID ");
    enum err e = *message_id ? imapc_add_string(&text, slice_of(message_id)) : ERR_SYNTAX;
    if (e == ERR_OK) {
        imapc_queue(imap, &task, buf_slice(&text));
        e = imapc_run(imap, &task);
    } else {
        e = ERR_OK;
    }
    buf_done(&text);
    return e;
}

enum err imapc_file_sent(struct imapc *imap, const char *message_id, int64_t sent_s, uint64_t bytes,
    imapc_source_fn source, void *arg, bool *out_was_there)
{
    struct sent_folder sent = { .name = "" };
    struct buf name, command, date;
    uint32_t uidvalidity, uid;
    TRY(find_folder(imap, &sent));
    buf_init(&name, 0);
    buf_init(&command, 0);
    buf_init(&date, 0);
    bool there = false;
    enum err e = imapc_add_string(&name, slice_of(sent.name));
    if (e == ERR_OK) {
        buf_addf(&command, "SELECT %.*s", SLICE_FMT(buf_slice(&name)));
        e = imapc_command(imap, buf_slice(&command));
    }
    if (e == ERR_OK)
        e = is_there(imap, message_id, &there);
    if (e == ERR_OK && !there) {
        imap_datetime_write(&date, sent_s, 0);
        buf_addc(&date, '\0');
        e = imapc_append(imap, buf_slice(&name), "(\\Seen)", buf_slice(&date).ptr, bytes, source,
            arg, &uidvalidity, &uid);
    }
    buf_done(&name);
    buf_done(&command);
    buf_done(&date);
    if (e == ERR_OK)
        *out_was_there = there;
    return e;
}
