/* DATA and BDAT: the message's bytes on their way into a blob, whatever happens read to their end, and the answer after it.
 *
 * Several recipients of one message from another server get guids made of the message, the sender and the user, so that a sender who must try again
 * because one of them failed does not double the mail of the others. LMTP answers for each recipient and needs none. */
#include "server/smtp/smtpd_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "deliver/outbox.h"
#include "message/address.h"
#include "message/header.h"

#include <stdlib.h>
#include <string.h>

#define TRACE_BYTES_MAX 4096u

void smtpd_refuse(struct smtpd_mail *mail, enum err e, const char *reply)
{
    if (mail->error != ERR_OK)
        return;
    mail->error = e;
    mail->error_text = reply;
}

static const char *write_trouble(enum err e)
{
    switch (e) {
    case ERR_LIMIT:
        return "552 5.3.4 The message is too big";
    case ERR_NO_SPACE:
        return "452 4.3.1 No room on this server now; try again later";
    default:
        return "451 4.3.0 The message cannot be stored now; try again later";
    }
}

void smtpd_write_received(const struct smtpd_session *s, struct buf *out)
{
    const struct smtpd_mail *mail = s->mail;
    char date[40];
    size_t date_len = msg_date_write(clock_wall_s(), date);
    bool lmtp = s->protocol == PROTOCOL_LMTP, utf8 = mail->from.smtputf8;
    /* RFC 3848, RFC 6531 §4.3 */
    buf_addf(out, "Received: from %s (%s)\r\n\tby %s with %s%s%s%s id %s", s->name,
        conn_peer(s->conn), s->config->hostname, utf8 ? "UTF8" : "",
        lmtp                   ? "LMTP"
        : s->extended && !utf8 ? "ESMTP"
                               : "SMTP",
        conn_is_tls(s->conn) && s->extended ? "S" : "", s->logged_in ? "A" : "", mail->id);
    if (mail->recipient_count == 1)
        buf_addf(out, "\r\n\tfor <%.*s>", SLICE_FMT(mail->recipients[0].address));
    buf_addf(out, ";\r\n\t%.*s\r\n", (int)date_len, date);
}

/* The blob, with what stands before the message's own bytes. */
static void begin(struct smtpd_session *s)
{
    struct smtpd_mail *mail = s->mail;
    enum err e = blob_new(s->server->store,
        s->config->message_bytes_max + SMTP_HEADER_BYTES_MAX + TRACE_BYTES_MAX, &mail->blob);
    if (e == ERR_OK && s->protocol != PROTOCOL_SUBMISSION) {
        struct buf trace;
        buf_init(&trace, 0);
        buf_addf(&trace, "Return-Path: <%s>\r\n", mail->from.path.address);
        smtpd_write_received(s, &trace);
        e = blob_write(mail->blob, buf_slice(&trace));
        buf_done(&trace);
    }
    if (e != ERR_OK)
        smtpd_refuse(mail, e, write_trouble(e));
    (void)crypto_generichash_init(&mail->hash, NULL, 0, crypto_generichash_BYTES);
    const char *sender = mail->from.path.address;
    (void)crypto_generichash_update(&mail->hash, (const unsigned char *)sender, strlen(sender) + 1);
}

/* Whether it may come again for some of those who get it: then its bytes are part of the guids. The recipients are known when it begins. */
static bool is_repeatable(const struct smtpd_mail *mail)
{
    return mail->recipient_count > 1 || mail->recipients[0].user_count > 1;
}

static void store_bytes(struct smtpd_mail *mail, struct slice bytes)
{
    if (mail->error != ERR_OK)
        return;
    enum err e = blob_write(mail->blob, bytes);
    if (e != ERR_OK)
        smtpd_refuse(mail, e, write_trouble(e));
}

/* Length of the header section with its blank line; 0 while that is not there. looked_at is where the last search ended. */
static size_t header_end(struct slice bytes, size_t looked_at)
{
    if (slice_starts(bytes, SLICE("\r\n")))
        return 2;
    size_t from = looked_at > 3 ? looked_at - 3 : 0;
    size_t at = slice_find(slice_from_index(bytes, from), SLICE("\r\n\r\n"));
    return at == SIZE_MAX ? 0 : from + at + 4;
}

static void header_whole(struct smtpd_session *s, size_t len)
{
    struct smtpd_mail *mail = s->mail;
    struct slice all = buf_slice(&mail->header);
    struct buf out;
    const char *reply = NULL;
    buf_init(&out, 0);
    enum err e = smtpd_submission_header(s, slice_sub(all, 0, len), &out, &reply);
    if (e != ERR_OK)
        smtpd_refuse(mail, e, reply);
    store_bytes(mail, buf_slice(&out));
    store_bytes(mail, slice_from_index(all, len));
    buf_done(&out);
    buf_done(&mail->header);
    buf_init(&mail->header, 0);
    mail->header_done = true;
}

static void take_header(struct smtpd_session *s, struct slice bytes)
{
    struct smtpd_mail *mail = s->mail;
    size_t had = buf_len(&mail->header);
    buf_add(&mail->header, bytes);
    size_t len = header_end(buf_slice(&mail->header), had);
    if (len)
        header_whole(s, len);
    else if (buf_len(&mail->header) > SMTP_HEADER_BYTES_MAX)
        smtpd_refuse(mail, ERR_LIMIT, "552 5.3.4 The header is too long");
}

void smtpd_take(struct smtpd_session *s, struct slice bytes)
{
    struct smtpd_mail *mail = s->mail;
    mail->size += bytes.len;
    if (mail->size > s->config->message_bytes_max)
        smtpd_refuse(mail, ERR_LIMIT, write_trouble(ERR_LIMIT));
    if (mail->error != ERR_OK)
        return;
    if (is_repeatable(mail))
        (void)crypto_generichash_update(&mail->hash, (const unsigned char *)bytes.ptr, bytes.len);
    if (s->protocol == PROTOCOL_SUBMISSION && !mail->header_done)
        take_header(s, bytes);
    else
        store_bytes(mail, bytes);
}

void smtpd_take_chunk(struct smtpd_session *s, struct slice bytes)
{
    struct smtpd_mail *mail = s->mail;
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if ((c == '\n') != mail->after_cr || c == 0)
            smtpd_refuse(mail, ERR_SYNTAX, "554 5.6.0 A bare CR, bare LF or NUL in the message");
        mail->after_cr = c == '\r';
    }
    smtpd_take(s, bytes);
}

/* ---- the end ---- */

static void answer_all(struct smtpd_session *s, const char *reply)
{
    size_t count = s->protocol == PROTOCOL_LMTP ? s->mail->recipient_count : 1;
    for (size_t i = 0; i < count; i++)
        buf_addf(conn_out(s->conn), "%s\r\n", reply);
}

/* A message that went round too often (RFC 5321 §6.3), or a header past all measure. */
static void check_header(struct smtpd_mail *mail)
{
    struct msg_source source = blob_source(mail->blob);
    struct buf room;
    buf_init(&room, 0);
    struct slice start = source.whole;
    if (!start.ptr) {
        uint64_t most = SMTP_HEADER_BYTES_MAX + TRACE_BYTES_MAX;
        enum err e =
            msg_source_read(&source, 0, (size_t)(source.size < most ? source.size : most), &room);
        if (e != ERR_OK)
            smtpd_refuse(mail, e, write_trouble(e));
        start = buf_slice(&room);
    }
    size_t len = msg_header_len(start);
    if (len > SMTP_HEADER_BYTES_MAX + TRACE_BYTES_MAX - 1)
        smtpd_refuse(mail, ERR_LIMIT, "552 5.3.4 The header is too long");
    struct slice header = slice_sub(start, 0, len);
    struct msg_field field;
    unsigned received = 0;
    while (msg_field_next(&header, &field))
        received += slice_eq_nocase(field.name, SLICE("Received"));
    if (received > SMTP_RECEIVED_MAX)
        smtpd_refuse(mail, ERR_LIMIT, "554 5.4.6 The message goes round in a loop");
    buf_done(&room);
}

static void finish_blob(struct smtpd_session *s)
{
    struct smtpd_mail *mail = s->mail;
    if (mail->after_cr)
        smtpd_refuse(mail, ERR_SYNTAX, "554 5.6.0 A bare CR, bare LF or NUL in the message");
    if (mail->error == ERR_OK && s->protocol == PROTOCOL_SUBMISSION && !mail->header_done)
        header_whole(s, buf_len(&mail->header));
    if (mail->error != ERR_OK)
        return;
    enum err e = blob_finish(mail->blob);
    if (e != ERR_OK)
        smtpd_refuse(mail, e, write_trouble(e));
    else
        check_header(mail);
}

bool smtpd_refuses_full(const struct smtpd_session *s)
{
    return strcmp(s->config->quota_full, "refuse") == 0;
}

static const char *file_trouble(const struct smtpd_session *s, enum err e, bool over_quota)
{
    if (over_quota)
        return smtpd_refuses_full(s) ? "552 5.2.2 The mailbox is full"
                                     : "452 4.2.2 The mailbox is full";
    return write_trouble(e == ERR_LIMIT ? ERR_IO : e);
}

/* The guid that names the delivery to one user, the same when the message comes again. */
static const char *deliver_to(struct smtpd_session *s, const struct smtpd_recipient *recipient,
    const struct user *user, bool repeatable)
{
    unsigned char guid[crypto_generichash_BYTES];
    crypto_generichash_state hash = s->mail->hash;
    (void)crypto_generichash_update(&hash, (const unsigned char *)user->id, strlen(user->id));
    (void)crypto_generichash_final(&hash, guid, sizeof guid);
    bool over_quota;
    enum err e = deliver_file(&(struct deliver_args){ .store = s->server->store,
                                  .user = user,
                                  .detail = recipient->detail,
                                  .blob = s->mail->blob,
                                  .guid = repeatable ? guid : NULL,
                                  .hostname = s->config->hostname,
                                  .warn_percent = s->config->quota_warn_percent,
                                  .received_s = clock_wall_s() },
        &over_quota);
    if (e == ERR_OK) {
        atomic_fetch_add(&s->server->counters.messages_delivered, 1);
        return NULL;
    }
    log_warn("smtp.deliver", "conn=%llu msg=%s to=%s user=%s err=%s telling the sender",
        conn_id(s->conn), s->mail->id, LOG_S(recipient->address), LOG_S(slice_of(user->address)),
        err_name(e));
    return file_trouble(s, e, over_quota);
}

/* One that may pass is worth trying again. */
static const char *worse(const char *trouble, const char *other)
{
    return other && (!trouble || trouble[0] == '5') ? other : trouble;
}

/* Some have it: only those who have not are refused when it comes again. */
static const char *if_some_have_it(const char *trouble)
{
    return trouble && trouble[0] == '5' ? "452 4.2.2 A mailbox is full" : trouble;
}

/* NULL: filed for all users of one recipient. Who fails keeps the others from nothing. *out_filed: for one at least. */
static const char *deliver(struct smtpd_session *s, const struct smtpd_recipient *recipient,
    bool repeatable, bool *out_filed)
{
    const char *trouble = NULL;
    for (size_t i = 0; i < recipient->user_count; i++) {
        const char *failed = deliver_to(s, recipient, &recipient->users[i], repeatable);
        *out_filed |= !failed;
        trouble = worse(trouble, failed);
    }
    return *out_filed ? if_some_have_it(trouble) : trouble;
}

static bool same_user_before(const struct smtpd_mail *mail, size_t index)
{
    const struct smtpd_recipient *r = &mail->recipients[index];
    for (size_t i = 0; i < index; i++)
        if (slice_eq_nocase(mail->recipients[i].address, r->address))
            return true;
    return false;
}

static void accepted(struct smtpd_session *s)
{
    s->messages++;
    atomic_fetch_add(&s->server->counters.messages_in, 1);
    log_info("smtp.message", "conn=%llu msg=%s proto=%s from=%s size=%llu rcpts=%zu",
        conn_id(s->conn), s->mail->id, protocol_name(s->protocol),
        LOG_S(slice_of(s->mail->from.path.address)), (unsigned long long)blob_size(s->mail->blob),
        s->mail->recipient_count);
}

static void end_lmtp(struct smtpd_session *s)
{
    struct smtpd_mail *mail = s->mail;
    accepted(s);
    for (size_t i = 0; i < mail->recipient_count; i++) {
        bool filed = false; /* told for each recipient alone */
        bool repeatable =
            mail->recipients[i].user_count > 1; /* some may have it when it comes again */
        const char *trouble = deliver(s, &mail->recipients[i], repeatable, &filed);
        if (trouble)
            buf_addf(conn_out(s->conn), "%s\r\n", trouble);
        else
            (void)smtpd_reply(s, 250, "2.0.0", "Delivered as %s", mail->id);
    }
}

static void end_smtp(struct smtpd_session *s)
{
    struct smtpd_mail *mail = s->mail;
    const char *trouble = NULL;
    bool any_filed = false;
    bool repeatable = is_repeatable(mail);
    for (size_t i = 0; i < mail->recipient_count; i++) {
        if (same_user_before(mail, i))
            continue;
        bool filed = false;
        trouble = worse(trouble, deliver(s, &mail->recipients[i], repeatable, &filed));
        any_filed |= filed;
    }
    if (any_filed)
        trouble = if_some_have_it(trouble);
    if (trouble) {
        buf_addf(conn_out(s->conn), "%s\r\n", trouble);
        return;
    }
    accepted(s);
    (void)smtpd_reply(s, 250, "2.0.0", "Delivered as %s", mail->id);
}

static enum err submit(struct smtpd_session *s, struct account *account, bool *out_over_quota)
{
    struct smtpd_mail *mail = s->mail;
    struct mailbox sent = { 0 };
    struct slice *recipients =
        arena_zalloc(&mail->arena, mail->recipient_count, sizeof *recipients);
    size_t count = 0;
    if (!recipients)
        return ERR_LIMIT;
    for (size_t i = 0; i < mail->recipient_count; i++)
        if (!same_user_before(mail, i))
            recipients[count++] = mail->recipients[i].address;
    enum err e = account_mailbox_by_use(account, STORE_USE_SENT, &mail->arena, &sent);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e; /* without a Sent mailbox it is sent all the same */
    struct store_submit args = { .blob = mail->blob,
        .sent_mailbox = sent.id,
        .sender = slice_of(mail->from.path.address),
        .recipients = recipients,
        .recipient_count = count,
        .received_s = clock_wall_s() };
    TRY(outbox_mark(s->server->outbox, slice_of(s->user.id)));
    e = account_submit(account, &args, out_over_quota);
    outbox_wake(s->server->outbox, slice_of(s->user.id));
    return e;
}

static void end_submission(struct smtpd_session *s)
{
    struct account *account;
    bool over_quota = false;
    enum err e = server_account(s->server, &s->user, &account);
    if (e == ERR_OK) {
        e = submit(s, account, &over_quota);
        account_unref(account);
    }
    if (e != ERR_OK) {
        log_warn("smtp.submit", "conn=%llu msg=%s user=%s err=%s answering a temporary failure",
            conn_id(s->conn), s->mail->id, LOG_S(slice_of(s->user.address)), err_name(e));
        buf_addf(conn_out(s->conn), "%s\r\n",
            over_quota ? "452 4.2.2 Your mailbox is full: the copy in Sent has no room"
                       : write_trouble(e == ERR_LIMIT ? ERR_IO : e));
        return;
    }
    accepted(s);
    atomic_fetch_add(&s->server->counters.messages_submitted, 1);
    (void)smtpd_reply(s, 250, "2.0.0", "Sent as %s", s->mail->id);
}

enum err smtpd_message_end(struct smtpd_session *s)
{
    struct smtpd_mail *mail = s->mail;
    finish_blob(s);
    if (mail->error != ERR_OK) {
        atomic_fetch_add(&s->server->counters.messages_refused, 1);
        log_info("smtp.refused", "conn=%llu msg=%s from=%s reply=%s", conn_id(s->conn), mail->id,
            LOG_S(slice_of(mail->from.path.address)), LOG_S(slice_of(mail->error_text)));
        answer_all(s, mail->error_text);
    } else if (s->protocol == PROTOCOL_LMTP) {
        end_lmtp(s);
    } else if (s->protocol == PROTOCOL_SUBMISSION) {
        end_submission(s);
    } else {
        end_smtp(s);
    }
    smtpd_mail_free(s);
    return ERR_OK;
}

/* ---- commands ---- */

enum err smtpd_cmd_data(struct smtpd_session *s, struct slice rest)
{
    if (rest.len)
        return smtpd_bad(s, 501, "5.5.4", "DATA takes no argument");
    if (!s->mail || s->mail->chunked)
        return smtpd_bad(
            s, 503, "5.5.1", s->mail ? "The message comes in chunks" : "MAIL and RCPT come first");
    if (s->mail->recipient_count == 0)
        return smtpd_bad(
            s, s->protocol == PROTOCOL_LMTP ? 503 : 554, "5.5.1", "No valid recipient");
    begin(s);
    s->mode = SMTPD_DATA;
    return smtpd_reply(s, 354, "", "Send the message, end with a line of one dot");
}

enum err smtpd_cmd_bdat(struct smtpd_session *s, struct slice rest)
{
    uint64_t bytes;
    bool last;
    if (smtp_parse_bdat(rest, &bytes, &last) != ERR_OK) { /* nobody knows where the chunk ends */
        s->closing = true;
        return smtpd_bad(s, 501, "5.5.4", "BDAT takes a size and LAST");
    }
    s->chunk_left = bytes;
    s->chunk_last = last;
    s->chunk_drop = !s->mail || s->mail->recipient_count == 0;
    s->mode = SMTPD_CHUNK;
    if (!s->chunk_drop && !s->mail->chunked) {
        begin(s);
        s->mail->chunked = true;
    }
    return ERR_OK;
}
