/* What a message of our user becomes before it is stored: trace field, no Bcc, Date and Message-ID where they are missing (RFC 6409 §8), the blank
 * line where the text began without one, and only addresses of that user in From. */
#include "server/smtp/smtpd_int.h"

#include "base/clock.h"
#include "base/rand.h"
#include "message/address.h"
#include "message/header.h"

#define FROM_ADDRESSES_MAX 100u

static const struct slice hidden[] = { SLICE_CONST("Bcc"), SLICE_CONST("Resent-Bcc"),
    SLICE_CONST("Return-Path") };
#define HIDDEN_COUNT (sizeof hidden / sizeof *hidden)

struct seen {
    unsigned from;
    bool date, message_id;
};

/* ---- where the fields end ---- */

/* The line that begins a message in an mbox, of some program that kept the message in one: no field, and no text either. */
static bool is_mbox_line(struct slice line)
{
    return (slice_starts(line, SLICE("From ")) || slice_starts(line, SLICE(">From "))) &&
           slice_index(line, '\n') + 1 >= line.len;
}

/* Bytes of the fields at the start of a header section: up to the blank line, or to the first line that is no field and begins the text. */
static size_t fields_len(struct slice header)
{
    struct slice left = header;
    struct msg_field field;
    size_t len = 0;
    while (msg_field_next(&left, &field)) {
        size_t at = (size_t)(field.whole.ptr - header.ptr);
        if (at > len && !is_mbox_line(slice_sub(header, len, at - len)))
            return len;
        len = at + field.whole.len;
    }
    return len;
}

/* The text that stood in the header section. A program that forgets the blank line may still mean a Bcc behind it. */
static void add_text(struct slice text, struct buf *out)
{
    struct slice left = text;
    struct msg_field field;
    if (slice_starts(text, SLICE("\r\n"))) /* the blank line, which is there already */
        text = left = slice_from_index(text, 2);
    const char *from = text.ptr;
    while (msg_field_next(&left, &field))
        for (size_t i = 0; i < HIDDEN_COUNT; i++)
            if (slice_eq_nocase(field.name, hidden[i])) {
                buf_add(out, slice_from(from, (size_t)(field.whole.ptr - from)));
                from = field.whole.ptr + field.whole.len;
            }
    buf_add(out, slice_from(from, (size_t)(text.ptr + text.len - from)));
}

/* ---- From ---- */

/* NULL: every address is the user's; else the reply. */
static const char *from_trouble(struct smtpd_session *s, struct slice value)
{
    struct arena arena;
    struct msg_address *list;
    size_t count, addresses = 0;
    const char *reply = NULL;
    arena_init(&arena, MIME_ARENA_BYTES_MAX);
    if (msg_addresses(&arena, value, FROM_ADDRESSES_MAX, &list, &count) != ERR_OK ||
        count == FROM_ADDRESSES_MAX) /* what stands behind them was not looked at */
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
    struct seen seen = { 0 };
    struct slice fields = slice_sub(header, 0, fields_len(header)), left = fields;
    struct msg_field field;
    const char *reply = NULL;
    while (msg_field_next(&left, &field)) {
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
    msg_header_fields(fields, hidden, HIDDEN_COUNT, true, out);
    if (!slice_ends_nocase(buf_slice(out), SLICE("\r\n"))) /* a last chunk may end anywhere */
        buf_adds(out, "\r\n");
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
    add_text(slice_from_index(header, fields.len), out);
    return ERR_OK;
}
