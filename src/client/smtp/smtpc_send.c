/* One mail transaction (RFC 5321 §3.3): MAIL and RCPTs at once where the server can (RFC 2920), then the message, dots doubled, or as one BDAT
 * chunk (RFC 3030), which needs none. */
#include "client/smtp/smtpc_int.h"
#include "proto/wire/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536u

struct transaction {
    struct smtpc *smtpc;
    const struct smtpc_message *message;
    struct smtpc_outcome *outcomes;
    size_t accepted;
    size_t answered; /* recipients before this one have their final answer */
    bool *doubt;
};

/* ---- what cannot be sent at all ---- */

static void refuse_all(struct transaction *t, int code, const char *text)
{
    for (size_t i = 0; i < t->message->count; i++) {
        struct smtpc_outcome *outcome = &t->outcomes[i];
        outcome->fate = code >= 400 && code < 500 ? SMTPC_WAITS : SMTPC_REFUSED;
        outcome->code = code;
        (void)snprintf(outcome->text, sizeof outcome->text, "%s", text);
    }
}

/* The first address that needs SMTPUTF8; "" when it is the header. */
static const char *utf8_address(const struct smtpc_message *message)
{
    bool utf8 = false;
    if (message->from[0] && smtpc_address_ok(message->from, &utf8) && utf8)
        return message->from;
    for (size_t i = 0; i < message->count; i++)
        if (smtpc_address_ok(message->recipients[i], &utf8) && utf8)
            return message->recipients[i];
    return "";
}

/* Before a word is said about it. */
static bool fits(struct transaction *t)
{
    const struct smtpc_message *m = t->message;
    char number[32];
    if (t->smtpc->size_max > 0 && m->bytes > t->smtpc->size_max) {
        (void)snprintf(number, sizeof number, "%" PRIu64, t->smtpc->size_max);
        refuse_all(t, SMTPC_CODE_SIZE, number);
        return false;
    }
    if (m->needs_utf8 && !t->smtpc->has_utf8) {
        refuse_all(t, SMTPC_CODE_UTF8, utf8_address(m));
        return false;
    }
    if (m->has_8bit && !t->smtpc->has_8bit) {
        refuse_all(t, SMTPC_CODE_8BIT, "");
        return false;
    }
    return true;
}

/* ---- envelope ---- */

static void write_mail(const struct transaction *t, struct buf *out)
{
    const struct smtpc *s = t->smtpc;
    const struct smtpc_message *m = t->message;
    buf_addf(out, "MAIL FROM:<%s>", m->from);
    if (s->has_size)
        buf_addf(out, " SIZE=%" PRIu64, m->bytes);
    if (s->has_8bit && m->has_8bit)
        buf_adds(out, " BODY=8BITMIME");
    if (m->needs_utf8)
        buf_adds(out, " SMTPUTF8");
    if (s->has_dsn && m->ret)
        buf_addf(out, " RET=%s", m->ret);
    if (s->has_dsn && m->envid) {
        buf_adds(out, " ENVID=");
        smtp_write_xtext(slice_of(m->envid), out);
    }
    buf_adds(out, "\r\n");
}

static void write_rcpt(const struct transaction *t, size_t i, struct buf *out)
{
    buf_addf(out, "RCPT TO:<%s>", t->message->recipients[i]);
    if (t->smtpc->has_dsn && t->message->notify)
        buf_addf(out, " NOTIFY=%s", t->message->notify);
    buf_adds(out, "\r\n");
}

static void take_outcome(struct smtpc_outcome *outcome, const struct smtpc_reply *reply)
{
    bool ok = reply->code < 300;
    outcome->fate = ok ? SMTPC_SENT : reply->code >= 500 ? SMTPC_REFUSED : SMTPC_WAITS;
    outcome->code = reply->code;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", reply->text);
}

/* 421: the server ends the session (RFC 5321 §3.8). */
static enum err check_closing(struct smtpc *smtpc, const struct smtpc_reply *reply)
{
    return reply->code == 421 ? smtpc_failed(smtpc, reply, CLIENT_WHY_SYS_TEMP) : ERR_OK;
}

static enum err read_mail_reply(struct transaction *t, bool *out_ok)
{
    struct smtpc_reply reply;
    TRY(smtpc_reply(t->smtpc, &reply, NULL));
    TRY(check_closing(t->smtpc, &reply));
    *out_ok = reply.code == 250;
    if (!*out_ok)
        refuse_all(t, reply.code < 400 ? 451 : reply.code, reply.text);
    return ERR_OK;
}

/* ok false: MAIL was refused, and what is said of the recipients means nothing. */
static enum err read_rcpt_reply(struct transaction *t, size_t i, bool ok)
{
    struct smtpc_reply reply;
    TRY(smtpc_reply(t->smtpc, &reply, NULL));
    TRY(check_closing(t->smtpc, &reply));
    if (!ok)
        return ERR_OK;
    take_outcome(&t->outcomes[i], &reply);
    t->accepted += t->outcomes[i].fate == SMTPC_SENT;
    return ERR_OK;
}

static enum err envelope(struct transaction *t)
{
    bool ok = false, at_once = t->smtpc->has_pipelining;
    struct buf commands;
    enum err e = ERR_OK;
    buf_init(&commands, 0);
    write_mail(t, &commands);
    for (size_t i = 0; at_once && i < t->message->count; i++)
        write_rcpt(t, i, &commands);
    e = smtpc_say(t->smtpc, buf_slice(&commands));
    if (!e)
        e = read_mail_reply(t, &ok);
    for (size_t i = 0; !e && i < t->message->count && (ok || at_once); i++) {
        if (!at_once) {
            buf_clear(&commands);
            write_rcpt(t, i, &commands);
            e = smtpc_say(t->smtpc, buf_slice(&commands));
        }
        if (!e)
            e = read_rcpt_reply(t, i, ok);
    }
    buf_done(&commands);
    return e;
}

/* ---- the message ---- */

static enum err file_failed(struct smtpc *smtpc, int errno_value)
{
    (void)err_noted(&smtpc->failure->note, ERR_IO, "the message in the queue: %s",
        errno_value ? strerror(errno_value) : err_in("it is shorter than it was"));
    return client_failed(smtpc->failure, CLIENT_WHY_DISK, ERR_IO);
}

/* Exactly message->bytes of it; dots NULL: as they are. */
static enum err send_bytes(struct transaction *t, struct wire_dot_out *dots)
{
    /* without dots the last block ends the message: it may come through though its send fails */
    char block[READ_BYTES];
    struct buf out;
    enum err e = ERR_OK;
    buf_init(&out, 0);
    for (uint64_t at = 0; !e && at < t->message->bytes;) {
        uint64_t left = t->message->bytes - at;
        ssize_t got = pread(
            t->message->fd, block, left < sizeof block ? (size_t)left : sizeof block, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            e = file_failed(t->smtpc, got < 0 ? errno : 0);
            break;
        }
        struct slice piece = slice_from(block, (size_t)got);
        if (dots && !wire_dot_skip(dots, piece)) {
            buf_clear(&out);
            wire_dot_add(dots, piece, &out);
            piece = buf_slice(&out);
        }
        at += (uint64_t)got;
        *t->doubt = !dots && at == t->message->bytes;
        e = smtpc_say(t->smtpc, piece);
    }
    buf_done(&out);
    return e;
}

/* DATA. *out_go false: the server does not want it now, which the outcomes say. */
static enum err ask_data(struct transaction *t, bool *out_go)
{
    struct smtpc_reply reply;
    TRY(smtpc_say(t->smtpc, SLICE("DATA\r\n")));
    TRY(smtpc_reply(t->smtpc, &reply, NULL));
    TRY(check_closing(t->smtpc, &reply));
    *out_go = reply.code == 354;
    for (size_t i = 0; !*out_go && i < t->message->count; i++)
        if (t->outcomes[i].fate == SMTPC_SENT)
            take_outcome(&t->outcomes[i], &reply);
    if (!*out_go && reply.code < 400)
        return smtpc_failed(t->smtpc, &reply, CLIENT_WHY_NONSENSE);
    return ERR_OK;
}

/* The answers to the whole message: one, or with LMTP one for each recipient that was accepted (RFC 2033 §4.2). */
static enum err read_final(struct transaction *t)
{
    struct smtpc_reply reply = { .code = 0 };
    bool first = true;
    dial_set_timeout(t->smtpc->dial,
        SMTPC_FINAL_MS > t->smtpc->timeout_ms && t->smtpc->timeout_ms >= CLIENT_TIMEOUT_MS
            ? SMTPC_FINAL_MS
            : t->smtpc->timeout_ms);
    for (size_t i = 0; i < t->message->count; i++) {
        if (t->outcomes[i].fate != SMTPC_SENT)
            continue;
        if (first || t->smtpc->lmtp)
            TRY(smtpc_reply(t->smtpc, &reply, NULL));
        first = false;
        take_outcome(&t->outcomes[i], &reply);
        if (reply.code >= 300 && reply.code < 400)
            return smtpc_failed(t->smtpc, &reply, CLIENT_WHY_NONSENSE);
        if (t->outcomes[i].fate == SMTPC_SENT)
            t->smtpc->is_open = false;
        if (t->smtpc->lmtp)
            t->answered = i + 1;
    }
    t->answered = t->message->count;
    *t->doubt = false;
    dial_set_timeout(t->smtpc->dial, t->smtpc->timeout_ms);
    return ERR_OK;
}

static enum err send_data(struct transaction *t)
{
    struct wire_dot_out dots = { 0 };
    struct buf end;
    bool go = false;
    TRY(ask_data(t, &go));
    if (!go)
        return ERR_OK;
    TRY(send_bytes(t, &dots));
    buf_init(&end, 0);
    wire_dot_end(&dots, &end);
    *t->doubt = true; /* from the first byte of the end on: it may have come through */
    enum err e = smtpc_say(t->smtpc, buf_slice(&end));
    buf_done(&end);
    TRY(e);
    return read_final(t);
}

static enum err send_chunk(struct transaction *t)
{
    char command[64];
    int len = snprintf(command, sizeof command, "BDAT %" PRIu64 " LAST\r\n", t->message->bytes);
    TRY(smtpc_say(t->smtpc, slice_from(command, (size_t)len)));
    TRY(send_bytes(t, NULL));
    return read_final(t);
}

/* What the last transaction left open, nobody accepted, DATA or the message refused, is taken back before the next begins (RFC 5321 §4.1.4, RFC 3030 §2). */
static enum err reset(struct smtpc *smtpc)
{
    struct smtpc_reply reply;
    if (!smtpc->is_open)
        return ERR_OK;
    TRY(smtpc_say(smtpc, SLICE("RSET\r\n")));
    TRY(smtpc_reply(smtpc, &reply, NULL));
    smtpc->is_open = false;
    return check_closing(smtpc, &reply);
}

enum err smtpc_send(struct smtpc *smtpc, const struct smtpc_message *message,
    struct smtpc_outcome *out_outcomes, bool *out_doubt, struct client_failure *failure)
{
    struct transaction t = {
        .smtpc = smtpc, .message = message, .outcomes = out_outcomes, .doubt = out_doubt
    };
    smtpc->failure = failure;
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    *out_doubt = false;
    for (size_t i = 0; i < message->count; i++)
        out_outcomes[i] = (struct smtpc_outcome){ .fate = SMTPC_WAITS };
    if (!fits(&t))
        return ERR_OK;
    enum err e = reset(smtpc);
    smtpc->is_open = true;
    if (!e)
        e = envelope(&t);
    if (!e && t.accepted > 0)
        e = smtpc->has_chunking ? send_chunk(&t) : send_data(&t);
    for (size_t i = t.answered; e && i < message->count; i++)
        if (out_outcomes[i].fate ==
            SMTPC_SENT) /* accepted, but the message did not come through for sure */
            out_outcomes[i] = (struct smtpc_outcome){ .fate = SMTPC_WAITS };
    return e;
}
