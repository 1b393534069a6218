/* From standard input to the queue. */
#include "client/smtp/smtpc_intake.h"

#include "base/arena.h"
#include "base/encode.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "client/core/address.h"
#include "client/smtp/smtpc_compose.h"
#include "message/address.h"
#include "message/header.h"
#include "message/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536u

/* ---- lines in ---- */

void smtpc_intake_init(struct smtpc_intake *intake, int fd, bool dot_ends)
{
    *intake = (struct smtpc_intake){ .fd = fd, .dot_ends = dot_ends };
    buf_init(&intake->header, SMTPC_HEADER_BYTES_MAX);
    buf_init(&intake->ahead, 0);
}

void smtpc_intake_done(struct smtpc_intake *intake)
{
    buf_done(&intake->header);
    buf_done(&intake->ahead);
}

static enum err read_more(struct smtpc_intake *intake, struct err_note *note)
{
    char *to = buf_room(&intake->ahead, READ_BYTES);
    ssize_t got = -1;
    do
        got = read(intake->fd, to, READ_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_noted(note, ERR_IO, "the message cannot be read: %s", strerror(errno));
    intake->ended = got == 0;
    buf_wrote(&intake->ahead, (size_t)got);
    return ERR_OK;
}

static size_t line_end(struct slice text)
{
    size_t lf = slice_index(text, '\n'), cr = slice_index(slice_sub(text, 0, lf), '\r');
    return cr < lf ? cr : lf;
}

/* One line of the header without its end, borrowed until the next call; *out_more false at the end of the input. CRLF, LF and CR end lines. */
static enum err next_line(struct smtpc_intake *intake, struct slice *out_line, size_t *out_len,
    bool *out_more, struct err_note *note)
{
    for (;;) {
        struct slice have = buf_slice(&intake->ahead);
        size_t end = line_end(have);
        bool cut =
            end + 1 == have.len && have.ptr[end] == '\r'; /* whether an LF follows is not known */
        if (end < have.len && (!cut || intake->ended)) {
            bool crlf = have.ptr[end] == '\r' && end + 1 < have.len && have.ptr[end + 1] == '\n';
            *out_line = slice_sub(have, 0, end);
            *out_len = end + 1 + crlf;
            *out_more = true;
            return ERR_OK;
        }
        if (intake->ended) {
            *out_line = have;
            *out_len = have.len;
            *out_more = have.len > 0;
            return ERR_OK;
        }
        if (have.len > SMTPC_HEADER_BYTES_MAX)
            return err_noted(
                note, ERR_LIMIT, "the header is over %u bytes", SMTPC_HEADER_BYTES_MAX);
        TRY(read_more(intake, note));
    }
}

/* field-name = 1*(%d33-57 / %d59-126) before a colon; or folding, behind a field. RFC 5322 §3.6.8 */
static bool is_header_line(struct slice line, bool first)
{
    if (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
        return !first;
    size_t colon = slice_index(line, ':');
    if (colon == 0 || colon == line.len)
        return false;
    struct slice name = slice_trim(slice_sub(line, 0, colon));
    for (size_t i = 0; i < name.len; i++)
        if (slice_at(name, i) <= ' ' || slice_at(name, i) > '~')
            return false;
    return name.len > 0;
}

enum err smtpc_intake_header(struct smtpc_intake *intake, struct err_note *note)
{
    struct slice line;
    size_t len = 0;
    bool more = true;
    for (bool first = true;; first = false) {
        TRY(next_line(intake, &line, &len, &more, note));
        if (first && slice_starts(line, SLICE("From ")) && !is_header_line(line, true)) {
            buf_consume(&intake->ahead, len); /* the line that begins a message in an mbox */
            TRY(next_line(intake, &line, &len, &more, note));
        }
        bool dot = intake->dot_ends && slice_eq(line, SLICE("."));
        if (!more || dot || !is_header_line(line, first))
            break;
        if (slice_index(line, '\0') < line.len)
            return err_noted(note, ERR_SYNTAX, "the header has a NUL");
        buf_add(&intake->header, line);
        buf_adds(&intake->header, "\r\n");
        if (buf_err(&intake->header))
            return err_noted(
                note, ERR_LIMIT, "the header is over %u bytes", SMTPC_HEADER_BYTES_MAX);
        buf_consume(&intake->ahead, len);
    }
    if (more && line.len == 0)
        buf_consume(&intake->ahead, len); /* the blank line; anything else begins the text */
    return ERR_OK;
}

/* ---- addresses ---- */

static bool write_address(const struct msg_address *a, struct buf *out)
{
    return a->mailbox.ptr && a->host.ptr && !client_address_write(a->mailbox, a->host, out);
}

void smtpc_intake_from(const struct smtpc_intake *intake, struct buf *out)
{
    struct msg_field field;
    struct msg_address *list;
    struct arena arena;
    size_t count = 0;
    if (!msg_field_find(buf_slice(&intake->header), SLICE("From"), &field))
        return;
    arena_init(&arena, 4 * SMTPC_HEADER_BYTES_MAX);
    if (!msg_addresses(&arena, field.value, 1, &list, &count) && count > 0)
        (void)write_address(&list[0], out);
    arena_done(&arena);
}

static enum err add_address(
    struct smtpc_record *record, const struct msg_address *a, struct err_note *note)
{
    struct buf text;
    bool utf8 = false;
    if (!a->host.ptr) /* a group begins or ends */
        return ERR_OK;
    buf_init(&text, 0);
    bool ok = write_address(a, &text);
    buf_addc(&text, '\0');
    enum err e = ERR_OK;
    if (!ok || !smtpc_address_ok(buf_slice(&text).ptr, &utf8))
        e = err_noted(note, ERR_NOT_FOUND, "%.*s",
            (int)(a->mailbox.len < 100 ? a->mailbox.len : 100),
            a->mailbox.ptr ? a->mailbox.ptr : "");
    else if ((e = smtpc_record_add(record, buf_slice(&text).ptr)) != ERR_OK)
        (void)err_noted(note, e, "more than %u recipients", SMTPC_RECIPIENTS_MAX);
    if (!e)
        record->needs_utf8 |= utf8;
    buf_done(&text);
    return e;
}

enum err smtpc_add_addresses(struct smtpc_record *record, struct slice list, struct err_note *note)
{
    struct arena arena;
    struct msg_address *all;
    size_t count = 0;
    arena_init(&arena, 64u << 20);
    enum err e = msg_addresses(&arena, list, SMTPC_ADDRESSES_MAX, &all, &count);
    if (e || count == SMTPC_ADDRESSES_MAX) /* what stands behind them was not looked at */
        e = err_noted(note, ERR_LIMIT, "more than %u addresses", SMTPC_ADDRESSES_MAX - 1);
    if (!e && count == 0 && slice_trim(list).len > 0)
        e = err_noted(
            note, ERR_NOT_FOUND, "%.*s", (int)(list.len < 100 ? list.len : 100), list.ptr);
    for (size_t i = 0; !e && i < count; i++)
        e = add_address(record, &all[i], note);
    arena_done(&arena);
    return e;
}

static bool is_name(struct slice name, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        if (slice_eq_nocase(name, slice_of(names[i])))
            return true;
    return false;
}

/* To, Cc and Bcc; of a message that is sent on (RFC 5322 §3.6.6) the Resent fields, and only those. */
static enum err add_recipients(
    struct slice header, struct smtpc_record *record, struct err_note *note)
{
    static const char *const usual[] = { "To", "Cc", "Bcc", NULL };
    static const char *const resent[] = { "Resent-To", "Resent-Cc", "Resent-Bcc", NULL };
    const char *const *names = usual;
    struct msg_field field;
    for (struct slice rest = header; msg_field_next(&rest, &field);)
        if (is_name(field.name, resent))
            names = resent;
    for (struct slice rest = header; msg_field_next(&rest, &field);)
        if (is_name(field.name, names))
            TRY(smtpc_add_addresses(record, field.value, note));
    return ERR_OK;
}

/* ---- out ---- */

struct output {
    int fd;
    struct buf buf;
    uint64_t bytes;
    bool has_8bit;
};

static enum err flush(struct output *out, struct err_note *note)
{
    while (buf_len(&out->buf)) {
        struct slice bytes = buf_slice(&out->buf);
        ssize_t wrote = write(out->fd, bytes.ptr, bytes.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return err_noted(
                note, err_from_errno(errno), "the message cannot be kept: %s", strerror(errno));
        buf_consume(&out->buf, (size_t)wrote);
    }
    buf_clear(&out->buf);
    return ERR_OK;
}

static enum err put(struct output *out, struct slice bytes, struct err_note *note)
{
    buf_add(&out->buf, bytes);
    out->bytes += bytes.len;
    return buf_len(&out->buf) >= READ_BYTES ? flush(out, note) : ERR_OK;
}

/* A line goes, a line end behind it. */
static enum err put_line(struct output *out, struct slice line, struct err_note *note)
{
    out->has_8bit |= !slice_is_ascii(line);
    if (slice_index(line, '\0') < line.len)
        return err_noted(note, ERR_SYNTAX, "the message has a NUL: encode it");
    TRY(put(out, line, note));
    return put(out, SLICE("\r\n"), note);
}

/* A long line, or one without an end yet: a part of it. */
static enum err put_part(struct output *out, struct slice part, struct err_note *note)
{
    out->has_8bit |= !slice_is_ascii(part);
    if (slice_index(part, '\0') < part.len)
        return err_noted(note, ERR_SYNTAX, "the message has a NUL: encode it");
    return put(out, part, note);
}

/* The text. A line may be longer than the buffer: then it goes in parts. */
static enum err copy_body(struct smtpc_intake *intake, struct output *out, struct err_note *note)
{
    bool starts = true;
    for (;;) {
        struct slice have = buf_slice(&intake->ahead);
        size_t end = line_end(have);
        bool cut = end + 1 == have.len && have.ptr[end] == '\r';
        if (end < have.len && (!cut || intake->ended)) {
            bool crlf = have.ptr[end] == '\r' && end + 1 < have.len && have.ptr[end + 1] == '\n';
            struct slice line = slice_sub(have, 0, end);
            if (intake->dot_ends && starts && slice_eq(line, SLICE(".")))
                return ERR_OK;
            TRY(put_line(out, line, note));
            starts = true;
            buf_consume(&intake->ahead, end + 1 + crlf);
            continue;
        }
        if (intake->ended) {
            bool dot = intake->dot_ends && starts && slice_eq(have, SLICE("."));
            if (dot || (have.len == 0 && starts))
                return ERR_OK;
            return put_line(out, have, note);
        }
        if (end > READ_BYTES) {
            TRY(put_part(out, slice_sub(have, 0, end), note));
            buf_consume(&intake->ahead, end);
            starts = false;
        }
        TRY(read_more(intake, note));
    }
}

/* ---- header out ---- */

/* "<1795730029.1f2e3d4c5b6a7988@barid.test>": unique by its random part. Made once, so that a message that a server gets twice can be told. */
static void add_message_id(const char *address, int64_t now_s, struct buf *out)
{
    unsigned char random[8];
    const char *at = strrchr(address, '@');
    struct slice host = slice_of(at ? at + 1 : "localhost");
    struct buf domain;
    buf_init(&domain, 0);
    if (client_address_write(SLICE("x"), host, &domain)) {
        buf_clear(&domain);
        buf_adds(&domain, "x@localhost");
    }
    rand_bytes(random, sizeof random);
    buf_addf(out, "<%" PRId64 ".", now_s);
    hex_encode(out, slice_from(random, sizeof random));
    buf_add(out, slice_from_index(buf_slice(&domain), 1));
    buf_addc(out, '>');
    buf_done(&domain);
}

static char *text_of(struct buf *text, size_t bytes_max)
{
    struct slice all = buf_slice(text);
    size_t len = all.len < bytes_max ? all.len : bytes_max;
    while (len > 0 && len < all.len && (slice_at(all, len) & 0xc0) == 0x80)
        len--; /* not in the middle of a character */
    return mem_strndup(all.ptr, len);
}

static void note_subject(struct slice header, struct smtpc_record *record)
{
    struct msg_field field;
    struct buf text;
    buf_init(&text, 0);
    if (msg_field_find(header, SLICE("Subject"), &field))
        msg_decode_words(field.value, &text);
    free(record->subject);
    record->subject = text_of(&text, SMTPC_SUBJECT_BYTES_MAX);
    buf_done(&text);
}

/* The lines of smtpc_compose as they go over the wire. */
static void add_lines(struct slice text, struct buf *out)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        buf_add(out, line);
        buf_adds(out, "\r\n");
    }
}

/* What is missing: From, Date, Message-ID (RFC 6409 §8). The record gets the Message-ID. */
static void add_missing(const struct smtpc_intake_options *options, struct slice header,
    struct smtpc_record *record, struct buf *out)
{
    struct msg_field field;
    struct buf id;
    char date[32];
    buf_init(&id, 0);
    if (msg_field_find(header, SLICE("Message-ID"), &field)) {
        msg_unfold(field.value, &id);
    } else {
        add_message_id(options->address, options->now_s, &id);
        buf_addf(out, "Message-ID: %.*s\r\n", SLICE_FMT(buf_slice(&id)));
    }
    free(record->message_id);
    record->message_id = text_of(&id, 998);
    buf_done(&id);
    if (!msg_field_find(header, SLICE("Date"), &field)) {
        size_t len = msg_date_write(options->now_s, date);
        buf_addf(out, "Date: %.*s\r\n", (int)len, date);
    }
    if (!msg_field_find(header, SLICE("From"), &field)) {
        struct buf from;
        buf_init(&from, 0);
        buf_adds(&from, "From: ");
        smtpc_write_address(slice_of(options->real_name ? options->real_name : ""),
            slice_of(options->address), &from);
        add_lines(buf_slice(&from), out);
        buf_done(&from);
    }
}

enum err smtpc_intake_finish(struct smtpc_intake *intake,
    const struct smtpc_intake_options *options, int out_fd, struct smtpc_record *record,
    struct err_note *note)
{
    static const struct slice hidden[] = { SLICE_CONST("Bcc"), SLICE_CONST("Resent-Bcc") };
    struct slice header = buf_slice(&intake->header);
    struct output out = { .fd = out_fd };
    struct buf text;
    if (options->recipients)
        TRY(add_recipients(header, record, note));
    note_subject(header, record);
    buf_init(&text, 0);
    add_missing(options, header, record, &text);
    msg_header_fields(header, hidden, 2, true, &text);
    out.has_8bit = !slice_is_ascii(buf_slice(&text));
    record->needs_utf8 |= out.has_8bit;
    buf_adds(&text, "\r\n");
    buf_init(&out.buf, 0);
    enum err e = put(&out, buf_slice(&text), note);
    buf_done(&text);
    if (!e)
        e = copy_body(intake, &out, note);
    if (!e)
        e = flush(&out, note);
    buf_done(&out.buf);
    record->bytes = out.bytes;
    record->has_8bit = out.has_8bit;
    return e;
}
