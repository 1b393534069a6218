/* The surrogate of RFC 6858, field by field.
 *
 * Always true: whatever is appended for a field is ASCII, ends with CRLF or as the field did, and holds no line end that was not
 * folded: all text from the field goes through encoded-words, percent-encoding or a check of each byte. */
#include "message/downgrade.h"

#include "base/encode.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "message/address.h"
#include "message/header.h"
#include "message/param.h"
#include "message/text_int.h"

#include <string.h>

#define LINE_LEN_MAX    76u /* of a line with encoded-words: RFC 2047 §2 */
#define WORD_START      "=?utf-8?B?"
#define WORD_END        "?="
#define WORD_FRAME_LEN  (sizeof WORD_START + sizeof WORD_END - 2)
#define QUOTED_LEN_MAX  200u /* a longer name is folded, as encoded-words */
#define ADDRESS_LEN_MAX 900u /* stands on a line: RFC 5322 §2.1.1 */
#define SEGMENT_LEN_MAX 60u
#define INVALID_ADDRESS "<invalid@internationalized-address.invalid>"

/* ---- pieces of text ---- */

/* As many bytes of utf8 as fit, whole characters. */
static size_t whole_chars(struct slice utf8, size_t most)
{
    if (utf8.len <= most)
        return utf8.len;
    size_t len = most;
    while (len && (slice_at(utf8, len) & 0xc0) == 0x80)
        len--;
    return len ? len : most;
}

/* Encoded-words of a text, the first one at that column. */
static void add_words(struct buf *out, struct slice utf8, size_t column)
{
    while (utf8.len) {
        size_t room =
            column + WORD_FRAME_LEN < LINE_LEN_MAX ? LINE_LEN_MAX - column - WORD_FRAME_LEN : 0;
        if (room < 8) { /* two groups of base64 hold any character */
            buf_add(out, SLICE("\r\n "));
            column = 1;
            continue;
        }
        size_t len = whole_chars(utf8, room / 4 * 3);
        buf_add(out, SLICE(WORD_START));
        base64_encode(out, slice_sub(utf8, 0, len));
        buf_add(out, SLICE(WORD_END));
        utf8 = slice_from_index(utf8, len);
        column = LINE_LEN_MAX;
    }
}

static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (slice_at(s, i) < 0x20 || slice_at(s, i) >= 0x7f)
            return false;
    return true;
}

static bool is_of(struct slice s, const char *also)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || !strchr(also, c)))
            return false;
    }
    return s.len > 0;
}

static bool is_dot_atom(struct slice s)
{
    return is_of(s, "!#$%&'*+-/=?^_`{|}~.") && s.ptr[0] != '.' && s.ptr[s.len - 1] != '.' &&
           slice_find(s, SLICE("..")) == SIZE_MAX;
}

/* RFC 2045 §5.1 */
static bool is_token(struct slice s)
{
    return is_of(s, "!#$%&'*+-.^_`{|}~");
}

/* ---- text fields ---- */

static bool is_text_field(struct slice name)
{
    static const struct slice names[] = { SLICE_CONST("Subject"), SLICE_CONST("Comments"),
        SLICE_CONST("Keywords"), SLICE_CONST("Content-Description"), SLICE_CONST("Organization"),
        SLICE_CONST("Thread-Topic"), SLICE_CONST("User-Agent") };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq_nocase(name, names[i]))
            return true;
    return slice_starts_nocase(name, SLICE("X-")); /* RFC 2047 §5 (1) */
}

static void add_name(struct buf *out, struct slice name)
{
    buf_add(out, name);
    buf_add(out, SLICE(": "));
}

static void text_field(const struct msg_field *field, struct buf *out)
{
    struct buf text;
    buf_init(&text, 0);
    msg_decode_words(field->value, &text);
    add_name(out, field->name);
    add_words(out, buf_slice(&text), field->name.len + 2);
    buf_add(out, SLICE("\r\n"));
    buf_done(&text);
}

/* ---- addresses ---- */

static bool is_address_field(struct slice name)
{
    static const struct slice names[] = { SLICE_CONST("Bcc"), SLICE_CONST("Cc"),
        SLICE_CONST("From"), SLICE_CONST("Reply-To"), SLICE_CONST("Resent-Bcc"),
        SLICE_CONST("Resent-Cc"), SLICE_CONST("Resent-From"), SLICE_CONST("Resent-Sender"),
        SLICE_CONST("Resent-To"), SLICE_CONST("Sender"), SLICE_CONST("To") };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq_nocase(name, names[i]))
            return true;
    return false;
}

/* A display name and the blank after it: as it is or as encoded-words. column: where it begins. */
static void add_phrase(struct buf *out, struct slice text, size_t column)
{
    if (text.len == 0)
        return;
    if (is_printable(text) && text.len <= QUOTED_LEN_MAX) {
        buf_add_quoted(out, text);
        buf_addc(out, ' ');
    } else {
        add_words(out, text, column);
        buf_add(out, SLICE("\r\n "));
    }
}

static bool is_presentable(const struct msg_address *address)
{
    if (!is_printable(address->mailbox) ||
        address->mailbox.len + address->host.len > ADDRESS_LEN_MAX)
        return false;
    if (address->mailbox.len == 0)
        return address->empty_mailbox;
    return address->host.len == 0 || is_of(address->host, "-._[]:+");
}

static void add_mailbox(struct buf *out, const struct msg_address *address)
{
    buf_addc(out, '<');
    if (is_dot_atom(address->mailbox))
        buf_add(out, address->mailbox);
    else
        buf_add_quoted(out, address->mailbox);
    if (address->host.len) {
        buf_addc(out, '@');
        buf_add(out, address->host);
    }
    buf_addc(out, '>');
}

/* Display name, and behind it the address that cannot be shown as one. */
static void add_invalid(
    struct buf *out, const struct msg_address *address, struct buf *name, size_t column)
{
    bool named = buf_len(name) > 0;
    if (named && address->mailbox.len)
        buf_adds(name, " <");
    text_guess_utf8(address->mailbox, name);
    if (address->host.len) {
        buf_addc(name, '@');
        text_guess_utf8(address->host, name);
    }
    if (named && address->mailbox.len)
        buf_addc(name, '>');
    add_phrase(out, buf_slice(name), column);
    buf_add(out, SLICE(INVALID_ADDRESS));
}

static void add_address(
    struct buf *out, const struct msg_address *address, struct buf *name, size_t column)
{
    buf_clear(name);
    if (address->name.ptr)
        msg_decode_words(address->name, name);
    if (is_presentable(address)) {
        add_phrase(out, buf_slice(name), column);
        add_mailbox(out, address);
    } else {
        add_invalid(out, address, name, column);
    }
}

static void add_list(struct buf *out, const struct msg_address *list, size_t count, size_t column)
{
    struct buf name;
    bool first = true; /* of the list or of a group */
    buf_init(&name, 0);
    for (size_t i = 0; i < count; i++) {
        const struct msg_address *address = &list[i];
        if (!address->mailbox.ptr) { /* the end of a group */
            buf_addc(out, ';');
            first = false;
            continue;
        }
        if (!first) {
            buf_add(out, SLICE(",\r\n "));
            column = 1;
        }
        first = false;
        if (address->host.ptr) {
            add_address(out, address, &name, column);
            continue;
        }
        buf_clear(&name);
        msg_decode_words(address->mailbox, &name);
        add_phrase(out, buf_slice(&name), column);
        buf_add(out, SLICE(":\r\n "));
        column = 1;
        first = true;
    }
    buf_done(&name);
}

static void address_field(struct arena *arena, const struct msg_field *field, struct buf *out)
{
    struct msg_address *list;
    size_t count = 0, column = field->name.len + 2;
    add_name(out, field->name);
    if (msg_addresses(arena, field->value, MIME_ADDRESSES_MAX, &list, &count) == ERR_OK && count)
        add_list(out, list, count, column);
    else /* a field without an address is none, and From must be there */
        buf_add(out, SLICE(INVALID_ADDRESS));
    buf_add(out, SLICE("\r\n"));
}

/* ---- MIME parameters ---- */

/* The value as "utf-8''%41...", on as many lines as it takes (RFC 2231 §3, §4). */
static void add_extended(struct buf *out, struct slice name, struct slice utf8)
{
    bool several = utf8.len * 3 > SEGMENT_LEN_MAX;
    size_t at = 0;
    for (unsigned segment = 0; at < utf8.len; segment++) {
        buf_add(out, SLICE(";\r\n "));
        buf_add(out, name);
        if (several)
            buf_addf(out, "*%u", segment);
        buf_add(out, segment == 0 ? SLICE("*=utf-8''") : SLICE("*="));
        for (size_t len = 0; at < utf8.len && len + 3 <= SEGMENT_LEN_MAX; at++) {
            struct slice byte = slice_sub(utf8, at, 1);
            if (is_of(byte, "-._"))
                buf_add(out, byte);
            else
                buf_addf(out, "%%%02X", slice_at(byte, 0));
            len += is_of(byte, "-._") ? 1 : 3;
        }
    }
}

static void add_plain(struct buf *out, struct slice name, struct slice value)
{
    buf_add(out, SLICE(";\r\n "));
    buf_add(out, name);
    buf_addc(out, '=');
    if (is_token(value))
        buf_add(out, value);
    else
        buf_add_quoted(out, value);
}

static void add_param(struct buf *out, const struct mime_param *param)
{
    struct slice name = param->name;
    bool extended = name.len && name.ptr[name.len - 1] == '*';
    name.len -= extended;
    if (!is_token(name) || name.len > SEGMENT_LEN_MAX)
        return;
    if (!extended && is_printable(param->value) && param->value.len <= ADDRESS_LEN_MAX) {
        add_plain(out, name, param->value);
        return;
    }
    struct buf value;
    buf_init(&value, 0);
    if (extended)
        msg_decode_extended(param->value, &value);
    else
        text_guess_utf8(param->value, &value);
    add_extended(out, name, buf_slice(&value));
    buf_done(&value);
}

static void mime_field(struct arena *arena, const struct msg_field *field, struct buf *out)
{
    struct mime_value value;
    if (mime_value_parse(arena, field->value, &value) != ERR_OK || !is_token(value.type) ||
        (value.subtype.len && !is_token(value.subtype)))
        return;
    add_name(out, field->name);
    buf_add(out, value.type);
    if (value.subtype.len) {
        buf_addc(out, '/');
        buf_add(out, value.subtype);
    }
    for (size_t i = 0; i < value.count; i++)
        add_param(out, &value.params[i]);
    buf_add(out, SLICE("\r\n"));
}

/* ---- one field ---- */

static void pass(struct slice piece, struct buf *out)
{
    for (size_t i = 0; i < piece.len; i++)
        buf_addc(out, slice_at(piece, i) < 0x80 ? piece.ptr[i] : '?');
}

static void add_field(struct arena *arena, struct slice whole, struct buf *out)
{
    struct msg_field field;
    if (slice_is_ascii(whole)) {
        buf_add(out, whole);
        return;
    }
    struct slice rest = whole;
    if (!msg_field_next(&rest, &field)) {
        pass(whole, out);
        return;
    }
    if (!slice_is_ascii(field.name))
        return;
    if (is_address_field(field.name)) {
        address_field(arena, &field, out);
    } else if (slice_eq_nocase(field.name, SLICE("Return-Path"))) { /* takes no display name */
        add_name(out, field.name);
        buf_add(out, SLICE(INVALID_ADDRESS "\r\n"));
    } else if (slice_eq_nocase(field.name, SLICE("Content-Type")) ||
               slice_eq_nocase(field.name, SLICE("Content-Disposition"))) {
        mime_field(arena, &field, out);
    } else if (is_text_field(field.name)) {
        text_field(&field, out);
    }
    arena_reset(arena);
}

/* ---- the stream ---- */

static void field_end(struct msg_downgrade *d, struct buf *out)
{
    if (buf_len(&d->field))
        add_field(&d->arena, buf_slice(&d->field), out);
    buf_clear(&d->field);
    d->passing = d->dropping = false;
}

/* A line or a part of one. The blank line is a field of its own. */
static void feed_line(struct msg_downgrade *d, struct slice piece, struct buf *out)
{
    if (d->line_start && piece.ptr[0] != ' ' && piece.ptr[0] != '\t')
        field_end(d, out);
    d->line_start = piece.ptr[piece.len - 1] == '\n';
    if (!d->passing && !d->dropping && buf_len(&d->field) + piece.len > MIME_HEADER_BYTES_MAX) {
        d->passing = slice_is_ascii(buf_slice(&d->field));
        d->dropping = !d->passing;
        if (d->passing)
            buf_add(out, buf_slice(&d->field));
        buf_clear(&d->field);
    }
    if (d->passing)
        pass(piece, out);
    else if (!d->dropping)
        buf_add(&d->field, piece);
}

static void feed_header(struct msg_downgrade *d, struct slice bytes, struct buf *out)
{
    while (bytes.len) {
        size_t len = slice_index(bytes, '\n');
        len += len < bytes.len;
        feed_line(d, slice_sub(bytes, 0, len), out);
        bytes = slice_from_index(bytes, len);
    }
}

/* The next section that is not behind; a summary that lies has sections anywhere. */
static void section_next(struct msg_downgrade *d)
{
    struct msg_part part;
    while (msg_part_next(d->summary, &d->cursor, &part)) {
        if (part.header_len && part.header_offset >= d->at &&
            part.header_len < UINT64_MAX - part.header_offset) {
            d->section = (struct msg_range){ part.header_offset, part.header_len };
            return;
        }
    }
    d->section = (struct msg_range){ UINT64_MAX, 0 };
}

void msg_downgrade_init(struct msg_downgrade *downgrade, const struct msg_summary *summary)
{
    *downgrade = (struct msg_downgrade){ .summary = summary, .line_start = true };
    buf_init(&downgrade->field, 0);
    arena_init(&downgrade->arena, MIME_ARENA_BYTES_MAX);
    section_next(downgrade);
}

void msg_downgrade_feed(struct msg_downgrade *downgrade, struct slice piece, struct buf *out)
{
    struct msg_downgrade *d = downgrade;
    while (piece.len) {
        bool inside = d->at >= d->section.offset;
        uint64_t next = inside ? d->section.offset + d->section.len : d->section.offset;
        size_t len = next - d->at < piece.len ? (size_t)(next - d->at) : piece.len;
        struct slice bytes = slice_sub(piece, 0, len);
        if (inside)
            feed_header(d, bytes, out);
        else
            buf_add(out, bytes);
        d->at += len;
        piece = slice_from_index(piece, len);
        if (inside && d->at == next) {
            msg_downgrade_end(d, out);
            section_next(d);
        }
    }
}

void msg_downgrade_end(struct msg_downgrade *downgrade, struct buf *out)
{
    field_end(downgrade, out);
    downgrade->line_start = true;
}

void msg_downgrade_done(struct msg_downgrade *downgrade)
{
    buf_done(&downgrade->field);
    arena_done(&downgrade->arena);
}

uint64_t msg_downgrade_header_len(struct slice header)
{
    struct msg_downgrade d = { .line_start = true };
    struct buf out;
    uint64_t len = 0;
    buf_init(&d.field, 0);
    buf_init(&out, 0);
    arena_init(&d.arena, MIME_ARENA_BYTES_MAX);
    while (header.len) {
        size_t line = slice_index(header, '\n');
        line += line < header.len;
        feed_line(&d, slice_sub(header, 0, line), &out);
        len += buf_len(&out);
        buf_clear(&out);
        header = slice_from_index(header, line);
    }
    field_end(&d, &out);
    len += buf_len(&out);
    msg_downgrade_done(&d);
    buf_done(&out);
    return len;
}
