/* INBOX of an IMAP server as a source (RFC 9051, RFC 3501): a copy in one direction, for those who want no more. A message is named by UIDVALIDITY and UID. It is read
 * without being marked as read, and deleted as \Deleted and UID EXPUNGE (RFC 4315); a server without that keeps it marked until somebody expunges, for EXPUNGE alone
 * would take what others marked. */
#include "base/uidset.h"
#include "client/imap/imapc_mail.h"
#include "fetch/fetch_int.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGES_MAX 1000000u
#define WINDOW_COUNT 200u       /* commands on their way */
#define WINDOW_BYTES (4u << 20) /* what they bring, but for the first of them */
#define HEADER_BYTES 4096u      /* what a header is taken for in the window */
#define ID_BYTES_MAX 24u        /* two numbers of 32 bits and a dot */

struct listed {
    uint32_t uid;
    uint64_t bytes;
    char id[ID_BYTES_MAX];
};

struct imap_drop {
    struct imapc *imap; /* owned */
    bool writes;        /* something is to be deleted */
    uint32_t uidvalidity;
    uint64_t exists;
    struct listed *listed;           /* owned */
    struct client_message *messages; /* owned; of each; number is the index and 1 */
    size_t count, cap;
    struct uidset marked;
};

/* Of a connection that is lost, or a command that was refused. */
static enum err failed(struct imap_drop *drop, enum err e, struct client_failure *failure)
{
    if (!e)
        return e;
    if (imapc_is_broken(drop->imap))
        return imapc_failed(drop->imap, failure);
    return client_failed_said(failure, CLIENT_WHY_REFUSED, e, slice_of(imapc_words(drop->imap)));
}

static const struct imap_value *item(const struct imap_reply *reply, struct slice name)
{
    bool fetch = reply->numbered && slice_eq_nocase(reply->name, SLICE("FETCH"));
    return fetch ? imap_value_item(reply->values, name) : NULL;
}

/* ---- the session ---- */

static const struct client_server *server(const struct client_account *account)
{
    return &account->imap;
}

static enum err open_session(const struct fetch_options *options, unsigned weakest,
    void **out_session, unsigned *out_mechanism, struct client_failure *failure)
{
    struct imapc_options how = { .account = options->account,
        .secret = options->secret,
        .token = options->token,
        .weakest = weakest,
        .timeout_ms = options->timeout_ms ? options->timeout_ms : CLIENT_TIMEOUT_MS };
    struct imapc *imap;
    TRY(imapc_open(&how, &imap, failure));
    struct imap_drop *drop = mem_zalloc(1, sizeof *drop);
    drop->imap = imap;
    drop->writes = !options->dry_run && (options->keep != CLIENT_KEEP || options->server_bytes_max);
    uidset_init(&drop->marked);
    *out_session = drop;
    *out_mechanism = imapc_mechanism(imap);
    return ERR_OK;
}

static void close_session(void *session)
{
    struct imap_drop *drop = session;
    if (!drop)
        return;
    imapc_close(drop->imap);
    uidset_done(&drop->marked);
    free(drop->messages);
    free(drop->listed);
    free(drop);
}

/* ---- what is there ---- */

static enum err add_message(struct imap_drop *drop, uint32_t uid, uint64_t bytes)
{
    if (drop->count == MESSAGES_MAX)
        return ERR_LIMIT;
    if (drop->count == drop->cap) {
        drop->cap = drop->cap ? drop->cap * 2 : 256;
        drop->listed = mem_realloc(drop->listed, drop->cap * sizeof *drop->listed);
    }
    drop->listed[drop->count++] = (struct listed){ .uid = uid, .bytes = bytes };
    return ERR_OK;
}

static enum err list_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct imap_drop *drop = task->owner;
    uint32_t uid;
    uint64_t bytes;
    if (slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
        imap_value_u32(reply->code_values, &drop->uidvalidity) != ERR_OK)
        return ERR_SYNTAX;
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXISTS")))
        drop->exists = reply->number;
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXPUNGE")) && drop->exists)
        drop->exists--;
    if (imap_value_u32(item(reply, SLICE("UID")), &uid) != ERR_OK || !uid ||
        imap_value_u64(item(reply, SLICE("RFC822.SIZE")), &bytes) != ERR_OK)
        return ERR_OK;
    return add_message(drop, uid, bytes);
}

static int by_uid(const void *a, const void *b)
{
    const struct listed *left = a, *right = b;
    return left->uid < right->uid ? -1 : left->uid > right->uid;
}

/* In the order in which they came, each once, whatever order the server told them in. */
static void put_in_order(struct imap_drop *drop)
{
    size_t kept = 0;
    if (drop->count)
        qsort(drop->listed, drop->count, sizeof *drop->listed, by_uid);
    for (size_t i = 0; i < drop->count; i++)
        if (!kept || drop->listed[kept - 1].uid != drop->listed[i].uid)
            drop->listed[kept++] = drop->listed[i];
    drop->count = kept;
    drop->messages = mem_zalloc(kept + 1, sizeof *drop->messages);
    for (size_t i = 0; i < kept; i++) {
        struct listed *listed = &drop->listed[i];
        (void)snprintf(listed->id, sizeof listed->id, "%u.%u", (unsigned)drop->uidvalidity,
            (unsigned)listed->uid);
        drop->messages[i] = (struct client_message){
            .number = (uint32_t)i + 1, .bytes = listed->bytes, .id = listed->id
        };
    }
}

static enum err list(void *session, const struct client_message **out_messages, size_t *out_count,
    struct client_failure *failure)
{
    struct imap_drop *drop = session;
    struct imapc_task select = { .data = list_data, .owner = drop }, fetch = select;
    imapc_queue(
        drop->imap, &select, drop->writes ? SLICE("SELECT \"INBOX\"") : SLICE("EXAMINE \"INBOX\""));
    imapc_queue(drop->imap, &fetch, SLICE("UID FETCH 1:* (UID RFC822.SIZE)"));
    TRY(failed(drop, imapc_run(drop->imap, NULL), failure));
    /* an empty mailbox may refuse the second; one that could not be selected has no UIDVALIDITY */
    if (!drop->uidvalidity || (drop->exists && !drop->count))
        return client_failed_said(
            failure, CLIENT_WHY_REFUSED, ERR_DENIED, slice_of(imapc_words(drop->imap)));
    put_in_order(drop);
    *out_messages = drop->messages;
    *out_count = drop->count;
    return ERR_OK;
}

/* A list that is too short; the next run may see them. */
static size_t unlisted(const void *session)
{
    const struct imap_drop *drop = session;
    return drop->exists > drop->count ? (size_t)drop->exists - drop->count : 0;
}

static bool has_top(const void *session)
{
    (void)session;
    return true;
}

/* ---- messages come ---- */

struct transfer {
    struct imap_drop *drop;
    const struct client_message *const *messages;
    size_t count, sent, answered;
    const struct client_sink *sink;
    bool top, sink_failed;
    bool open; /* a body has begun */
    uint64_t bytes_ahead;
    bool *arrived; /* owned; of the messages of the list */
    struct imapc_task window[WINDOW_COUNT];
};

static uint64_t bytes_of(const struct transfer *t, size_t i)
{
    return t->top ? HEADER_BYTES : t->messages[i]->bytes;
}

/* An error of the sink's is the sink's to tell. */
static enum err sunk(struct transfer *t, enum err e)
{
    t->sink_failed |= e != ERR_OK;
    return e;
}

static enum err body_begin(struct imapc_task *task, uint64_t bytes)
{
    struct transfer *t = task->owner;
    (void)bytes;
    if (t->open)
        return ERR_SYNTAX; /* two messages in one answer */
    t->open = true;
    return sunk(t, t->sink->begin(t->sink->arg));
}

static enum err body(struct imapc_task *task, struct slice piece)
{
    struct transfer *t = task->owner;
    return piece.len ? sunk(t, t->sink->put(t->sink->arg, piece)) : ERR_OK;
}

/* The message of a UID that was asked for and has not come. */
static const struct client_message *awaited(const struct transfer *t, uint32_t uid)
{
    const struct listed key = { .uid = uid };
    const struct listed *found =
        t->drop->count ? bsearch(&key, t->drop->listed, t->drop->count, sizeof key, by_uid) : NULL;
    const struct client_message *message =
        found ? &t->drop->messages[found - t->drop->listed] : NULL;
    bool asked = message && t->sent && message->number <= t->messages[t->sent - 1]->number;
    return asked && !t->arrived[message->number - 1] ? message : NULL;
}

static enum err ended(struct transfer *t, const struct client_message *message, bool ok)
{
    t->arrived[message->number - 1] = true;
    return sunk(t, t->sink->ended(t->sink->arg, message, ok));
}

/* The answer that a body stood in, with NIL in its place; or one with a short body in quotes. Servers answer several commands together (Dovecot does), so it
 * is the UID that says whose it is, and not whose turn it is. */
static enum err data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct transfer *t = task->owner;
    uint32_t uid;
    const struct imap_value *value = item(reply, t->top ? SLICE("BODY[HEADER]") : SLICE("BODY[]"));
    if (value && imap_value_is_text(value)) {
        TRY(body_begin(task, value->text.len));
        TRY(body(task, value->text));
    }
    if (!t->open)
        return ERR_OK; /* flags that somebody changed */
    const struct client_message *message = NULL;
    if (value && imap_value_u32(item(reply, SLICE("UID")), &uid) == ERR_OK)
        message = awaited(t, uid);
    if (!message)
        return ERR_SYNTAX; /* nobody asked for that */
    t->open = false;
    return ended(t, message, true);
}

static enum err done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct transfer *t = task->owner;
    const struct client_message *message = t->messages[t->answered];
    (void)reply;
    t->bytes_ahead -= bytes_of(t, t->answered++);
    return t->arrived[message->number - 1] ? ERR_OK : ended(t, message, false);
}

/* As many commands as the window has room for; one is always on its way. It is filled when it is half empty: fewer and larger packets. */
static void fill_window(struct transfer *t)
{
    if (t->sent > t->answered &&
        (t->sent - t->answered > WINDOW_COUNT / 2 || t->bytes_ahead > WINDOW_BYTES / 2))
        return;
    for (; t->sent < t->count && t->sent - t->answered < WINDOW_COUNT; t->sent++) {
        uint64_t bytes = bytes_of(t, t->sent);
        if (t->sent > t->answered && t->bytes_ahead + bytes > WINDOW_BYTES)
            return;
        struct imapc_task *task = &t->window[t->sent % WINDOW_COUNT];
        *task = (struct imapc_task){
            .data = data, .body_begin = body_begin, .body = body, .done = done, .owner = t
        };
        imapc_queuef(t->drop->imap, task, "UID FETCH %u BODY.PEEK[%s]",
            (unsigned)t->drop->listed[t->messages[t->sent]->number - 1].uid,
            t->top ? "HEADER" : "");
        t->bytes_ahead += bytes;
    }
}

static enum err transfer(struct imap_drop *drop, const struct client_message *const *messages,
    size_t count, const struct client_sink *sink, bool top, struct client_failure *failure)
{
    struct transfer *t = mem_zalloc(1, sizeof *t);
    t->drop = drop;
    t->messages = messages;
    t->count = count;
    t->sink = sink;
    t->top = top;
    t->arrived = mem_zalloc(drop->count + 1, sizeof *t->arrived);
    enum err e = ERR_OK;
    while (!e && t->answered < count) {
        fill_window(t);
        e = imapc_run(drop->imap, &t->window[t->answered % WINDOW_COUNT]);
    }
    if (!t->sink_failed)
        e = failed(drop, e, failure);
    free(t->arrived);
    free(t);
    return e;
}

static enum err top(void *session, const struct client_message *const *messages, size_t count,
    const struct client_sink *sink, struct client_failure *failure)
{
    return transfer(session, messages, count, sink, true, failure);
}

static enum err retrieve(void *session, const struct client_message *const *messages, size_t count,
    const struct client_sink *sink, struct client_failure *failure)
{
    struct imap_drop *drop = session;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += messages[i]->bytes;
    enum err e = imapc_expect(drop->imap, bytes);
    return e ? failed(drop, e, failure) : transfer(drop, messages, count, sink, false, failure);
}

/* ---- what goes there ---- */

static enum err delete_marked(void *session, const struct client_message *const *messages,
    size_t count, bool *out_marked, struct client_failure *failure)
{
    struct imap_drop *drop = session;
    for (size_t i = 0; i < count; i++)
        uidset_add(&drop->marked, drop->listed[messages[i]->number - 1].uid);
    enum err e = imapc_store(drop->imap, &drop->marked, '+', SLICE("\\Deleted"));
    if (e && imapc_is_broken(drop->imap))
        return failed(drop, e, failure);
    if (e) /* refused: nothing of it goes */
        uidset_clear(&drop->marked);
    for (size_t i = 0; i < count; i++)
        out_marked[i] = !e;
    return ERR_OK;
}

static enum err quit(void *session, struct client_failure *failure)
{
    struct imap_drop *drop = session;
    if (uidset_empty(&drop->marked) || !imapc_can_remove(drop->imap))
        return ERR_OK;
    return failed(drop, imapc_expunge(drop->imap, &drop->marked), failure);
}

const struct fetch_source fetch_source_imap = { .protocol = "imap",
    .server = server,
    .open = open_session,
    .close = close_session,
    .list = list,
    .unlisted = unlisted,
    .has_top = has_top,
    .top = top,
    .retrieve = retrieve,
    .delete = delete_marked,
    .quit = quit };
