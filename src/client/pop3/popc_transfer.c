/* Messages on their way: a window of commands is sent ahead, answers come in order. Memory does not grow with a message: its bytes go to the
 * sink as they come.
 *
 * A server cannot hold us for ever: a message has BODY_MS and a second for each BODY_BYTES_PER_S of what LIST said, and at most twice the bytes
 * that LIST said and some (there are servers that count a line end as one). */
#include "base/clock.h"
#include "client/pop3/popc_int.h"
#include "proto/wire/wire.h"

#define BODY_MS          (10 * 60 * 1000)
#define BODY_BYTES_PER_S 1024
#define BODY_EXTRA_BYTES (1u << 20)
#define HEADER_BYTES     4096u /* what a header is taken for in the window */

struct transfer {
    struct popc *popc;
    const struct client_message *const *messages;
    size_t count;
    bool top; /* TOP n 0 instead of RETR */
    const struct client_sink *sink;
    size_t sent, received;
    uint64_t bytes_ahead;
};

static uint64_t bytes_of(const struct transfer *t, size_t i)
{
    return t->top ? HEADER_BYTES : t->messages[i]->bytes;
}

/* Sends as many commands as the window has room for; at least one is on its way. It is filled when it is half empty: fewer and larger packets. */
static enum err fill_window(struct transfer *t)
{
    size_t count_max = t->popc->has_pipelining ? POPC_WINDOW_COUNT : 1,
           ahead = t->sent - t->received;
    struct buf commands;
    if (t->sent == t->count ||
        (ahead > 0 && (ahead > count_max / 2 || t->bytes_ahead > POPC_WINDOW_BYTES / 2)))
        return ERR_OK;
    buf_init(&commands, 0);
    for (; t->sent < t->count && t->sent - t->received < count_max; t->sent++) {
        uint64_t bytes = bytes_of(t, t->sent);
        if (t->sent > t->received && t->bytes_ahead + bytes > POPC_WINDOW_BYTES)
            break;
        buf_addf(&commands, t->top ? "TOP %u 0\r\n" : "RETR %u\r\n", t->messages[t->sent]->number);
        t->bytes_ahead += bytes;
    }
    enum err e = popc_send(t->popc, buf_slice(&commands));
    buf_done(&commands);
    return e;
}

struct body_limit {
    uint64_t bytes_max, got;
    int64_t until_ms;
};

static struct body_limit limit_of(const struct transfer *t, const struct client_message *message)
{
    /* a header may be all of a message: who takes only its beginning lets the rest pass, for a session that ended here would end here each time */
    uint64_t bytes =
        t->top && message->bytes < POPC_HEADER_BYTES_MAX ? POPC_HEADER_BYTES_MAX : message->bytes;
    if (bytes > INT64_MAX / 4000)
        bytes = INT64_MAX / 4000;
    return (struct body_limit){
        .bytes_max = 2 * bytes + BODY_EXTRA_BYTES,
        .until_ms = clock_mono_ms() + BODY_MS + (int64_t)(bytes * 1000 / BODY_BYTES_PER_S),
    };
}

static enum err check_limit(
    struct popc *popc, const struct client_message *message, const struct body_limit *limit)
{
    if (limit->got > limit->bytes_max) {
        (void)err_noted(&popc->failure->note, ERR_LIMIT, "message %u is far longer than LIST said",
            message->number);
        return client_failed(popc->failure, CLIENT_WHY_LIMIT, ERR_LIMIT);
    }
    if (clock_mono_ms() > limit->until_ms)
        return client_failed(popc->failure, CLIENT_WHY_SILENT, ERR_TIMEOUT);
    return ERR_OK;
}

/* The body up to its dot. */
static enum err read_body(struct transfer *t, const struct client_message *message)
{
    struct popc *popc = t->popc;
    struct wire_dot_in dots = { 0 };
    struct body_limit limit = limit_of(t, message);
    for (;;) {
        struct slice in = dial_in(popc->dial), piece;
        size_t had = in.len;
        enum wire what;
        while ((what = wire_dot_next(&dots, &in, &piece)) == WIRE_PIECE) {
            limit.got += piece.len;
            TRY(t->sink->put(t->sink->arg, piece));
        }
        dial_consume(popc->dial, had - in.len);
        if (what == WIRE_DONE)
            return ERR_OK;
        TRY(check_limit(popc, message, &limit));
        enum err e = dial_more(popc->dial);
        if (e)
            return client_failed_dial(popc->failure, e);
    }
}

static enum err receive_one(struct transfer *t)
{
    const struct client_message *message = t->messages[t->received];
    struct pop_reply reply;
    enum err e = popc_reply(t->popc, &reply);
    bool ok = e == ERR_OK;
    if (!ok && !popc_goes_on(t->popc, e))
        return e;
    if (ok) {
        TRY(t->sink->begin(t->sink->arg));
        TRY(read_body(t, message));
    }
    t->bytes_ahead -= bytes_of(t, t->received);
    t->received++;
    return t->sink->ended(t->sink->arg, message, ok);
}

static enum err run(struct transfer *t)
{
    while (t->received < t->count) {
        TRY(fill_window(t));
        TRY(receive_one(t));
    }
    return ERR_OK;
}

enum err popc_retrieve(struct popc *popc, const struct client_message *const *messages,
    size_t count, const struct client_sink *sink, struct client_failure *failure)
{
    struct transfer t = { .popc = popc, .messages = messages, .count = count, .sink = sink };
    popc->failure = failure;
    return run(&t);
}

enum err popc_top(struct popc *popc, const struct client_message *const *messages, size_t count,
    const struct client_sink *sink, struct client_failure *failure)
{
    struct transfer t = {
        .popc = popc, .messages = messages, .count = count, .sink = sink, .top = true
    };
    popc->failure = failure;
    return run(&t);
}

enum err popc_delete(struct popc *popc, const struct client_message *const *messages, size_t count,
    bool *out_marked, struct client_failure *failure)
{
    size_t sent = 0, ahead_max = popc->has_pipelining ? POPC_WINDOW_COUNT : 1;
    struct buf commands;
    enum err e = ERR_OK;
    popc->failure = failure;
    buf_init(&commands, 0);
    for (size_t received = 0; !e && received < count; received++) {
        struct pop_reply reply;
        if (sent == received) {
            buf_clear(&commands);
            for (; sent < count && sent - received < ahead_max; sent++)
                buf_addf(&commands, "DELE %u\r\n", messages[sent]->number);
            e = popc_send(popc, buf_slice(&commands));
        }
        if (!e)
            e = popc_reply(popc, &reply);
        out_marked[received] = e == ERR_OK;
        if (popc_goes_on(popc, e))
            e = ERR_OK;
    }
    buf_done(&commands);
    return e;
}
