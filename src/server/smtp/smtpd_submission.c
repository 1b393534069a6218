/* What a message of our user becomes before it is stored: trace field, no Bcc, Date and Message-ID where they are missing (RFC 6409 §8), and
 * only addresses of that user in From. */
#include "server/smtp/smtpd_int.h"

#include "base/clock.h"
#include "base/rand.h"
#include "message/address.h"
#include "message/header.h"

struct seen {
    unsigned fields, from;
    bool date, message_id;
};

/* NULL: every address is the user's; else the reply. */
static const char *from_trouble(struct smtpd_session *s, struct slice value)
{
    struct arena arena;
    struct msg_address *list;
    size_t count, addresses = 0;
    const char *reply = NULL;
    arena_init(&arena, MIME_ARENA_BYTES_MAX);
    if (msg_addresses(&arena, value, 100, &list, &count) != ERR_OK)
        reply = "550 5.6.0 The From field cannot be read";
    for (size_t i = 0; !reply && i < count; i++) {
        if (!list[i].mailbox.ptr || !list[i].host.ptr)
            continue;
        struct buf address;
        buf_init(&address, USER_NAME_BYTES_MAX);
        buf_addf(&address, "%.*s@%.*s", SLICE_FMT(list[i].mailbox), SLICE_FMT(list[i].host));
        if (buf_err(&address) != ERR_OK ||
            !directory_owns(s->server->directory, &s->user, buf_slice(&address)))
            reply = "550 5.7.1 The From field names an address that is not yours";
        buf_done(&address);
        addresses++;
    }
    if (!reply && addresses == 0)
        reply = "550 5.6.0 The From field names nobody";
    arena_done(&arena);
    return reply;
}

enum err smtpd_submission_header(
    struct smtpd_session *s, struct slice header, struct buf *out, const char **out_reply)
{
    static const struct slice dropped[] = { SLICE_CONST("Bcc"), SLICE_CONST("Return-Path") };
    struct seen seen = { 0 };
    struct slice left = header;
    struct msg_field field;
    const char *reply = NULL;
    while (msg_field_next(&left, &field)) {
        seen.fields++;
        if (slice_eq_nocase(field.name, SLICE("From"))) {
            seen.from++;
            reply = reply ? reply : from_trouble(s, field.value);
        }
        seen.date |= slice_eq_nocase(field.name, SLICE("Date"));
        seen.message_id |= slice_eq_nocase(field.name, SLICE("Message-ID"));
    }
    if (seen.from > 1)
        reply = "550 5.6.0 There is more than one From field";
    if (reply) {
        *out_reply = reply;
        return ERR_DENIED;
    }
    smtpd_write_received(s, out);
    msg_header_fields(header, dropped, 2, true, out);
    if (seen.from == 0)
        buf_addf(out, "From: <%s>\r\n", s->mail->from.path.address);
    if (!seen.date) {
        char date[40];
        size_t len = msg_date_write(clock_wall_s(), date);
        buf_addf(out, "Date: %.*s\r\n", (int)len, date);
    }
    if (!seen.message_id) {
        unsigned long long mark[2];
        rand_bytes(mark, sizeof mark);
        buf_addf(out, "Message-ID: <%016llx%016llx@%s>\r\n", mark[0], mark[1], s->config->hostname);
    }
    buf_adds(out, "\r\n");
    if (seen.fields == 0) /* no header at all: what came is text */
        buf_add(out, header);
    return ERR_OK;
}
