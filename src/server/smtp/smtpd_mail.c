/* MAIL and RCPT: who sends, who receives, and whether that is allowed. */
#include "server/smtp/smtpd_int.h"

#include "base/log.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err mail_syntax(struct smtpd_session *s, enum err e)
{
    if (e == ERR_NOT_FOUND)
        return smtpd_bad(s, 555, "5.5.4", "A parameter that is not known here");
    if (e == ERR_LIMIT)
        return smtpd_bad(s, 501, "5.1.7", "Too long");
    return smtpd_bad(s, 501, "5.1.7", "Not an address, or SMTPUTF8 is missing");
}

/* NULL: the sender is fine; else the reply. */
static const char *sender_trouble(struct smtpd_session *s, const struct smtp_mail *mail)
{
    if (mail->size > s->config->message_bytes_max)
        return "552 5.3.4 The message is too big";
    if (s->protocol != PROTOCOL_SUBMISSION)
        return NULL;
    if (!mail->path.address[0])
        return "550 5.7.1 Say who sends: MAIL FROM:<your address>";
    if (!directory_owns(s->server->directory, &s->user, slice_of(mail->path.address)))
        return "550 5.7.1 That is not your address";
    return NULL;
}

enum err smtpd_cmd_mail(struct smtpd_session *s, struct slice rest)
{
    struct smtp_mail from;
    if (!s->name[0])
        return smtpd_bad(
            s, 503, "5.5.1", s->protocol == PROTOCOL_LMTP ? "Say LHLO first" : "Say EHLO first");
    if (s->protocol == PROTOCOL_SUBMISSION && !s->logged_in)
        return smtpd_bad(s, 530, "5.7.0", "Log in first");
    if (s->mail)
        return smtpd_bad(s, 503, "5.5.1", "A transaction is open: RSET ends it");
    enum err e = smtp_parse_mail(rest, &from);
    if (e != ERR_OK)
        return mail_syntax(s, e);
    const char *trouble = sender_trouble(s, &from);
    if (trouble) {
        atomic_fetch_add(&s->server->counters.messages_refused, 1);
        buf_addf(conn_out(s->conn), "%s\r\n", trouble);
        return ERR_OK;
    }
    struct smtpd_mail *mail = mem_zalloc(1, sizeof *mail);
    unsigned long long id;
    rand_bytes(&id, sizeof id);
    (void)snprintf(mail->id, sizeof mail->id, "%016llx", id);
    arena_init(&mail->arena, 4u << 20);
    buf_init(&mail->header, 0);
    mail->from = from;
    s->mail = mail;
    return smtpd_reply(s, 250, "2.1.0", "Sender taken");
}

/* ---- RCPT ---- */

/* Postmaster without a domain is that of our oldest domain (RFC 5321 §4.5.1). */
static enum err resolve(struct smtpd_session *s, struct slice address, struct smtpd_recipient *out)
{
    struct directory *directory = s->server->directory;
    struct arena *arena = &s->mail->arena;
    if (slice_index(address, '@') == address.len) {
        struct slice *domains;
        size_t count;
        TRY(directory_domains(directory, arena, &domains, &count));
        if (count == 0)
            return ERR_NOT_FOUND;
        size_t bytes = address.len + domains[0].len + 2;
        char *full = arena_alloc(arena, bytes);
        if (!full)
            return ERR_LIMIT;
        int len = snprintf(full, bytes, "%.*s@%.*s", SLICE_FMT(address), SLICE_FMT(domains[0]));
        address = slice_from(full, (size_t)len);
    }
    out->address = slice_dup(arena, address);
    if (!out->address.ptr)
        return ERR_LIMIT;
    return directory_resolve(
        directory, address, arena, &out->users, &out->user_count, &out->detail);
}

static enum err refuse(
    struct smtpd_session *s, struct slice address, int code, const char *enhanced, const char *text)
{
    log_info("smtp.rcpt", "conn=%llu to=%s code=%d", conn_id(s->conn), LOG_S(address), code);
    return smtpd_reply(s, code, enhanced, "%s", text);
}

static enum err refuse_for(struct smtpd_session *s, struct slice address, enum err e)
{
    switch (e) {
    case ERR_DENIED:
        if (s->protocol == PROTOCOL_SUBMISSION)
            return refuse(s, address, 550, "5.7.1",
                "This server does not send to other domains yet; nothing was sent");
        return refuse(s, address, 550, "5.7.1", "Mail for that domain is not taken here");
    case ERR_NOT_FOUND:
        return refuse(s, address, 550, "5.1.1", "There is no such user here");
    case ERR_SYNTAX:
        return refuse(s, address, 553, "5.1.3", "That is not an address");
    case ERR_LIMIT:
        return refuse(s, address, 452, "4.5.3", "Too many recipients");
    default:
        return refuse(
            s, address, 451, "4.3.0", "The directory cannot be read now; try again later");
    }
}

/* All of an alias: one full mailbox keeps nobody else from getting the message. */
static bool all_full(struct smtpd_session *s, const struct smtpd_recipient *recipient)
{
    for (size_t i = 0; i < recipient->user_count; i++)
        if (!deliver_full(s->server->store, &recipient->users[i]))
            return false;
    return recipient->user_count > 0;
}

static enum err add(struct smtpd_session *s, const struct smtpd_recipient *recipient)
{
    struct smtpd_mail *mail = s->mail;
    void *grown = arena_grow(&mail->arena, mail->recipients, &mail->recipient_cap,
        mail->recipient_count + 1, sizeof *mail->recipients);
    if (!grown)
        return refuse_for(s, recipient->address, ERR_LIMIT);
    mail->recipients = grown;
    mail->recipients[mail->recipient_count++] = *recipient;
    return smtpd_reply(s, 250, "2.1.5", "Recipient taken");
}

enum err smtpd_cmd_rcpt(struct smtpd_session *s, struct slice rest)
{
    struct smtp_path path;
    if (!s->mail || s->mail->blob || s->mail->chunked)
        return smtpd_bad(s, 503, "5.5.1", "MAIL comes first");
    enum err e = smtp_parse_rcpt(rest, &path);
    if (e != ERR_OK)
        return mail_syntax(s, e);
    struct slice address = slice_of(path.address);
    if (s->mail->recipient_count >= SMTP_RCPTS_MAX)
        return refuse_for(s, address, ERR_LIMIT);
    if (path.utf8 && !s->mail->from.smtputf8)
        return smtpd_bad(s, 553, "5.6.7", "That address needs SMTPUTF8");
    struct smtpd_recipient recipient = { 0 };
    e = resolve(s, address, &recipient);
    if (e != ERR_OK)
        return refuse_for(s, address, e);
    if (s->config->test_addresses && s->protocol != PROTOCOL_SUBMISSION)
        switch (deliver_test_of(recipient.detail)) {
        case DELIVER_TEST_TEMPFAIL:
            return refuse(s, address, 451, "4.3.0", "The address asks for a temporary failure");
        case DELIVER_TEST_PERMFAIL:
            return refuse(s, address, 550, "5.1.1", "The address asks for a permanent failure");
        case DELIVER_TEST_SLOW:
            conn_pause(s->conn, s->config->slow_ms);
            s->stop_reading = true;
            break;
        case DELIVER_TEST_NONE:
            break;
        }
    if (s->protocol != PROTOCOL_SUBMISSION && all_full(s, &recipient))
        return smtpd_refuses_full(s) ? refuse(s, address, 552, "5.2.2", "The mailbox is full")
                                     : refuse(s, address, 452, "4.2.2", "The mailbox is full");
    return add(s, &recipient);
}
