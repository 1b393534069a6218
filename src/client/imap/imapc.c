/* The pipeline: commands out, answers in, each to the command that it belongs to. */
#include "client/imap/imapc_int.h"

#include "base/clock.h"
#include "proto/imap/imap_write.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAPC_APPEND_PIECE_BYTES 65536u
#define IMAPC_LITERAL_MINUS_MAX  4096u /* RFC 7888 §5 */
/* Of messages on their way out, kept together: small ones share a packet, and a large one goes in few. */
#define IMAPC_OUT_BYTES_MAX 65536u
#define IMAPC_ANSWERS_MAX                                                                          \
    500000u /* to one command: two for each of 100,000 folders, and room (ATTACKS §5) */
#define IMAPC_EXISTS_MAX                                                                           \
    10000000u /* twice the messages that a folder of sync has memory for; more is a lie */

enum err imapc_break(struct imapc *imap, enum err e)
{
    if (imap->broken == ERR_OK)
        imap->broken = e;
    return imap->broken;
}

void imapc_heard(struct imapc *imap, const struct imap_reply *reply)
{
    snprintf(imap->words, sizeof imap->words, "%.*s", SLICE_FMT(reply->text));
}

const char *imapc_words(const struct imapc *imap)
{
    return imap->words;
}

unsigned imapc_caps(const struct imapc *imap)
{
    return imap->caps;
}

bool imapc_qresync(const struct imapc *imap)
{
    return imap->qresync;
}

unsigned imapc_mechanism(const struct imapc *imap)
{
    return imap->mechanism;
}

size_t imapc_waiting(const struct imapc *imap)
{
    return imap->waiting;
}

enum err imapc_failed(const struct imapc *imap, struct client_failure *failure)
{
    if (imap->said_bye)
        return client_failed_said(failure, CLIENT_WHY_CLOSED, imap->broken, slice_of(imap->words));
    return client_failed_dial(failure, imap->broken);
}

bool imapc_is_broken(const struct imapc *imap)
{
    return imap->broken != ERR_OK;
}

/* ---- out ---- */

/* No part of a message goes out any more: what the server has of it can never become whole. */
static enum err cut(struct imapc *imap, enum err e)
{
    imap->appending = 0;
    buf_clear(&imap->out);
    return imapc_break(imap, e);
}

enum err imapc_flush(struct imapc *imap)
{
    if (imap->broken != ERR_OK)
        return imap->broken;
    if (buf_len(&imap->out) == 0)
        return ERR_OK;
    enum err e = dial_send(imap->dial, buf_slice(&imap->out));
    buf_clear(&imap->out);
    return e == ERR_OK ? ERR_OK : imapc_break(imap, e);
}

static void enqueue(struct imapc *imap, struct imapc_task *task)
{
    assert(!task->waits);
    task->waits = true;
    task->tag = ++imap->tag;
    task->next = NULL;
    if (imap->newest)
        imap->newest->next = task;
    else
        imap->oldest = task;
    imap->newest = task;
    imap->waiting++;
    buf_addf(&imap->out, "b%u ", task->tag);
}

void imapc_queue(struct imapc *imap, struct imapc_task *task, struct slice text)
{
    enqueue(imap, task);
    buf_add(&imap->out, text);
    buf_adds(&imap->out, "\r\n");
}

void imapc_queuef(struct imapc *imap, struct imapc_task *task, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    assert(len >= 0);
    imapc_queue(imap, task, slice_from(text, (size_t)len));
    free(text);
}

enum err imapc_add_string(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (slice_at(s, i) >= 0x80 || s.ptr[i] == '\0' || s.ptr[i] == '\r' || s.ptr[i] == '\n')
            return ERR_SYNTAX;
    buf_add_quoted(out, s);
    return ERR_OK;
}

/* ---- in ---- */

/* The literal of a message: to the task, as it comes. */
static enum err read_body(struct imapc *imap, struct imapc_task *task, uint64_t bytes)
{
    if (task && task->body_begin)
        TRY(task->body_begin(task, bytes));
    while (bytes) {
        struct slice have = dial_in(imap->dial);
        if (have.len == 0) {
            TRY(dial_more(imap->dial));
            continue;
        }
        struct slice piece = slice_sub(have, 0, bytes < have.len ? (size_t)bytes : have.len);
        if (task && task->body)
            TRY(task->body(task, piece));
        dial_consume(imap->dial, piece.len);
        bytes -= piece.len;
        imap->progress_ms = clock_mono_ms();
    }
    return ERR_OK;
}

struct slice imapc_head(const struct imapc *imap)
{
    return buf_slice(&imap->head);
}

/* Puts the piece before a message literal aside, with NIL where the literal was, and takes the literal. */
static enum err take_body(struct imapc *imap, struct imapc_task *task, struct slice in)
{
    struct slice piece = slice_sub(in, 0, imap->framer.seen);
    buf_add(&imap->head, slice_sub(piece, 0, piece.len - imap_reply_header_len(piece)));
    buf_adds(&imap->head, "NIL");
    uint64_t bytes = imap->framer.literal;
    dial_consume(imap->dial, piece.len);
    imap_reply_resume(&imap->framer);
    return read_body(imap, task, bytes);
}

/* A server that only says that it is there says so for ever (ATTACKS §5). */
static enum err check_progress(struct imapc *imap)
{
    int64_t quiet_ms = clock_mono_ms() - imap->progress_ms;
    return quiet_ms > 4 * (int64_t)imap->timeout_ms ? ERR_TIMEOUT : ERR_OK;
}

static enum err read_frame(struct imapc *imap, struct imapc_task *task, struct slice *out_frame)
{
    for (;;) {
        struct slice in = dial_in(imap->dial);
        switch (imap_reply_feed(&imap->framer, in)) {
        case IMAP_REPLY_MORE:
            TRY(dial_more(imap->dial));
            TRY(check_progress(imap));
            break;
        case IMAP_REPLY_DONE:
            imap->consume = imap->framer.seen;
            *out_frame = slice_sub(in, 0, imap->framer.seen);
            imap_reply_framer_init(&imap->framer);
            return ERR_OK;
        case IMAP_REPLY_BODY:
            TRY(take_body(imap, task, in));
            break;
        case IMAP_REPLY_TOO_LONG:
            return ERR_LIMIT;
        case IMAP_REPLY_BAD:
        default:
            return ERR_SYNTAX;
        }
    }
}

/* Answers of a kind that was asked for, without end: folders, or some for each message that there is said to be. */
static enum err check_count(struct imapc *imap, const struct imap_reply *reply)
{
    if (!slice_eq(reply->tag, SLICE("*"))) {
        imap->answers = 0;
        return ERR_OK;
    }
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXISTS")) &&
        reply->number > imap->exists)
        imap->exists = reply->number < IMAPC_EXISTS_MAX ? reply->number : IMAPC_EXISTS_MAX;
    return ++imap->answers > IMAPC_ANSWERS_MAX + 4 * (uint64_t)imap->exists ? ERR_LIMIT : ERR_OK;
}

/* Data that a command asked for, and each command's end, are progress; chatter is not. */
static bool is_progress(const struct imap_reply *reply)
{
    static const struct slice names[] = { SLICE_CONST("FETCH"), SLICE_CONST("LIST"),
        SLICE_CONST("STATUS"), SLICE_CONST("VANISHED"), SLICE_CONST("SEARCH"),
        SLICE_CONST("ESEARCH"), SLICE_CONST("EXPUNGE") };
    if (!slice_eq(reply->tag, SLICE("*")))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(reply->name, names[i]))
            return true;
    return false;
}

enum err imapc_read(struct imapc *imap, struct imapc_task *task, struct imap_reply *out_reply)
{
    struct slice frame;
    if (imap->broken != ERR_OK)
        return imap->broken;
    dial_consume(imap->dial, imap->consume);
    imap->consume = 0;
    buf_clear(&imap->head);
    arena_reset(&imap->arena);
    enum err e = read_frame(imap, task, &frame);
    if (e == ERR_OK && buf_len(&imap->head)) {
        buf_add(&imap->head, frame);
        frame = buf_slice(&imap->head);
    }
    if (e == ERR_OK)
        e = imap_reply_parse(&imap->arena, frame, out_reply);
    if (e != ERR_OK)
        return imapc_break(imap, e);
    if (is_progress(out_reply))
        imap->progress_ms = clock_mono_ms();
    else
        e = check_progress(imap);
    if (e == ERR_OK)
        e = check_count(imap, out_reply);
    if (slice_eq_nocase(out_reply->name, SLICE("CAPABILITY")))
        imapc_take_caps(imap, out_reply->values);
    if (slice_eq_nocase(out_reply->code, SLICE("CAPABILITY")))
        imapc_take_caps(imap, out_reply->code_values);
    if (out_reply->status != IMAP_STATUS_NONE && out_reply->status != IMAP_STATUS_OK)
        imapc_heard(imap, out_reply);
    imap->said_bye = out_reply->status == IMAP_STATUS_BYE;
    if (imap->said_bye)
        e = ERR_CLOSED;
    return e == ERR_OK ? ERR_OK : imapc_break(imap, e);
}

static bool is_tag(struct slice tag, unsigned number)
{
    char text[16];
    int len = snprintf(text, sizeof text, "b%u", number);
    return slice_eq(tag, slice_from(text, (size_t)len));
}

/* The oldest command has its answer. */
static enum err finish(struct imapc *imap, const struct imap_reply *reply)
{
    struct imapc_task *task = imap->oldest;
    if (!task || !is_tag(reply->tag, task->tag) || reply->status == IMAP_STATUS_NONE)
        return ERR_SYNTAX;
    imap->oldest = task->next;
    if (!imap->oldest)
        imap->newest = NULL;
    imap->waiting--;
    task->waits = false;
    task->next = NULL;
    return task->done ? task->done(task, reply) : ERR_OK;
}

static enum err step(struct imapc *imap)
{
    struct imap_reply reply;
    TRY(imapc_flush(imap));
    TRY(imapc_read(imap, imap->oldest, &reply));
    enum err e = ERR_OK;
    if (slice_eq(reply.tag, SLICE("+")))
        e = ERR_SYNTAX; /* nobody waits for one here */
    else if (!slice_eq(reply.tag, SLICE("*")))
        e = finish(imap, &reply);
    else if (imap->oldest && imap->oldest->data)
        e = imap->oldest->data(imap->oldest, &reply);
    return e == ERR_OK ? ERR_OK : imapc_break(imap, e);
}

enum err imapc_run(struct imapc *imap, struct imapc_task *task)
{
    imap->progress_ms = clock_mono_ms();
    while (task ? task->waits : imap->oldest != NULL)
        TRY(step(imap));
    return imapc_flush(imap);
}

/* ---- single commands ---- */

enum err imapc_reply_err(const struct imap_reply *reply)
{
    static const struct {
        struct slice code;
        enum err e;
    } rows[] = {
        { SLICE_CONST("NONEXISTENT"), ERR_NOT_FOUND },
        { SLICE_CONST("TRYCREATE"), ERR_NOT_FOUND },
        { SLICE_CONST("ALREADYEXISTS"), ERR_EXISTS },
        { SLICE_CONST("OVERQUOTA"), ERR_LIMIT }, /* ERR_NO_SPACE is our own disk */
        { SLICE_CONST("LIMIT"), ERR_LIMIT },
        { SLICE_CONST("TOOBIG"), ERR_LIMIT },
        { SLICE_CONST("NOPERM"), ERR_DENIED },
        { SLICE_CONST("PRIVACYREQUIRED"), ERR_DENIED },
        { SLICE_CONST("AUTHENTICATIONFAILED"), ERR_AUTH },
        { SLICE_CONST("AUTHORIZATIONFAILED"), ERR_AUTH },
        { SLICE_CONST("EXPIRED"), ERR_AUTH },
        { SLICE_CONST("UNAVAILABLE"), ERR_BUSY },
        { SLICE_CONST("INUSE"), ERR_BUSY },
        { SLICE_CONST("SERVERBUG"), ERR_BUSY },
        { SLICE_CONST("EXPUNGEISSUED"), ERR_BUSY },
    };
    if (reply->status == IMAP_STATUS_OK)
        return ERR_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq_nocase(reply->code, rows[i].code))
            return rows[i].e;
    return reply->status == IMAP_STATUS_BAD ? ERR_SYNTAX : ERR_DENIED;
}

static enum err note_result(struct imapc_task *task, const struct imap_reply *reply)
{
    *(enum err *)task->owner = imapc_reply_err(reply);
    return ERR_OK;
}

enum err imapc_command(struct imapc *imap, struct slice text)
{
    enum err result = ERR_OK;
    struct imapc_task task = { .done = note_result, .owner = &result };
    imapc_queue(imap, &task, text);
    TRY(imapc_run(imap, &task));
    return result;
}

/* Waits for "+"; *out_go false: the command has its answer instead. Nothing else waits for one. */
static enum err wait_go_ahead(struct imapc *imap, bool *out_go)
{
    for (;;) {
        struct imap_reply reply;
        TRY(imapc_read(imap, NULL, &reply));
        *out_go = slice_eq(reply.tag, SLICE("+"));
        if (*out_go)
            return ERR_OK;
        if (!slice_eq(reply.tag, SLICE("*"))) {
            enum err e = finish(imap, &reply);
            return e == ERR_OK ? ERR_OK : imapc_break(imap, e);
        }
    }
}

/* Whether a literal of that size goes without asking (RFC 7888). */
static bool goes_at_once(const struct imapc *imap, uint64_t bytes)
{
    return imap->caps & IMAPC_LITERAL_PLUS ||
           (imap->caps & IMAPC_LITERAL_MINUS && bytes <= IMAPC_LITERAL_MINUS_MAX);
}

/* ---- commands with literals ---- */

static void add_literal_header(struct imapc *imap, uint64_t bytes, bool now)
{
    buf_addf(&imap->out, "{%llu%s}\r\n", (unsigned long long)bytes, now ? "+" : "");
}

static enum err literal_begins(struct imapc *imap, uint64_t bytes, bool *out_go)
{
    bool now = goes_at_once(imap, bytes);
    *out_go = true;
    add_literal_header(imap, bytes, now);
    TRY(imapc_flush(imap));
    return now ? ERR_OK : wait_go_ahead(imap, out_go);
}

enum err imapc_talk(struct imapc *imap, struct imapc_task *task, struct slice text,
    const struct imapc_literal *literals, size_t count)
{
    size_t at = 0;
    bool go = true;
    TRY(imapc_run(imap, NULL));
    enqueue(imap, task);
    for (size_t i = 0; i < count && go; i++) {
        buf_add(&imap->out, slice_sub(text, at, literals[i].at - at));
        TRY(literal_begins(imap, literals[i].len, &go));
        at = literals[i].at;
    }
    if (!go)
        return ERR_OK; /* the task knows */
    buf_add(&imap->out, slice_from_index(text, at));
    buf_adds(&imap->out, "\r\n");
    return imapc_run(imap, task);
}

/* ---- APPEND ---- */

static enum err send_source(struct imapc *imap, uint64_t bytes, imapc_source_fn source, void *arg)
{
    char piece[IMAPC_APPEND_PIECE_BYTES];
    while (bytes) {
        size_t len = bytes < sizeof piece ? (size_t)bytes : sizeof piece;
        enum err e = source(arg, piece, len);
        if (e == ERR_OK)
            e = dial_send(imap->dial, slice_from(piece, len));
        if (e != ERR_OK)
            return imapc_break(imap, e);
        bytes -= len;
    }
    enum err e = dial_send(imap->dial, SLICE("\r\n"));
    return e == ERR_OK ? ERR_OK : imapc_break(imap, e);
}

bool imapc_append_uid(const struct imap_reply *reply, uint32_t *out_uidvalidity, uint32_t *out_uid)
{
    const struct imap_value *first = reply->code_values;
    uint32_t uidvalidity, uid;
    if (!slice_eq_nocase(reply->code, SLICE("APPENDUID")) || !first ||
        imap_value_u32(first, &uidvalidity) != ERR_OK ||
        imap_value_u32(first->next, &uid) != ERR_OK || !uid || !uidvalidity)
        return false;
    *out_uidvalidity = uidvalidity;
    *out_uid = uid;
    return true;
}

uint64_t imapc_append_limit(const struct imapc *imap)
{
    return imap->append_limit ? imap->append_limit : UINT64_MAX;
}

struct append {
    enum err result;
    uint32_t uidvalidity, uid;
};

static enum err append_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct append *append = task->owner;
    append->result = imapc_reply_err(reply);
    if (append->result == ERR_OK)
        (void)imapc_append_uid(reply, &append->uidvalidity, &append->uid);
    return ERR_OK;
}

static void append_header(struct imapc *imap, struct imapc_task *task, struct slice mailbox,
    struct slice flags, struct slice date)
{
    enqueue(imap, task);
    buf_adds(&imap->out, "APPEND ");
    buf_add(&imap->out, mailbox);
    if (flags.len)
        buf_addf(&imap->out, " %.*s", SLICE_FMT(flags));
    if (date.len)
        buf_addf(&imap->out, " %.*s", SLICE_FMT(date));
    buf_addc(&imap->out, ' ');
}

enum err imapc_append_begin(struct imapc *imap, struct imapc_task *task, struct slice mailbox,
    struct slice flags, struct slice date, uint64_t bytes, bool *out_go)
{
    bool now = goes_at_once(imap, bytes);
    assert(!imap->appending);
    if (!now)
        TRY(imapc_run(imap, NULL)); /* a go-ahead is of the only command that waits */
    append_header(imap, task, mailbox, flags, date);
    *out_go = true;
    if (now)
        add_literal_header(imap, bytes, true);
    else
        TRY(literal_begins(imap, bytes, out_go));
    if (*out_go)
        imap->appending = bytes + 1; /* so that an empty one is one too */
    return ERR_OK;
}

enum err imapc_append_piece(struct imapc *imap, struct slice piece)
{
    assert(imap->appending > piece.len);
    imap->appending -= piece.len;
    if (buf_len(&imap->out) + piece.len <= IMAPC_OUT_BYTES_MAX) {
        buf_add(&imap->out, piece);
        return imap->broken;
    }
    TRY(imapc_flush(imap));
    enum err e = dial_send(imap->dial, piece);
    return e == ERR_OK ? ERR_OK : imapc_break(imap, e);
}

enum err imapc_append_end(struct imapc *imap)
{
    if (imap->appending != 1)
        return cut(imap, ERR_SYNTAX);
    imap->appending = 0;
    buf_adds(&imap->out, "\r\n");
    return buf_len(&imap->out) > IMAPC_OUT_BYTES_MAX ? imapc_flush(imap) : imap->broken;
}

void imapc_append_cut(struct imapc *imap)
{
    if (imap->appending)
        (void)cut(imap, ERR_CANCELED);
}

enum err imapc_append(struct imapc *imap, struct slice mailbox, const char *flags, const char *date,
    uint64_t bytes, imapc_source_fn source, void *arg, uint32_t *out_uidvalidity, uint32_t *out_uid)
{
    TRY(imapc_run(imap, NULL));
    struct append append = { 0 };
    struct imapc_task task = { .done = append_done, .owner = &append };
    bool go;
    append_header(imap, &task, mailbox, slice_of(flags), slice_of(date));
    TRY(literal_begins(imap, bytes, &go));
    if (go) {
        TRY(send_source(imap, bytes, source, arg));
        TRY(imapc_run(imap, &task));
    } else if (append.result == ERR_OK) {
        return imapc_break(imap, ERR_SYNTAX); /* it took what it has not got */
    }
    if (append.result != ERR_OK)
        return append.result;
    *out_uidvalidity = append.uidvalidity;
    *out_uid = append.uid;
    return ERR_OK;
}
