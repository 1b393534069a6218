#include "import/uids.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct slice import_base_name(struct slice name)
{
    return slice_sub(name, 0, slice_index(name, ':'));
}

/* The next word; empty at the end. */
static struct slice word(struct slice *line)
{
    struct slice w = SLICE_EMPTY;
    while (w.len == 0 && slice_cut(line, ' ', &w))
        continue;
    return w;
}

static enum err number(struct slice text, uint32_t *out_number)
{
    uint64_t n;
    TRY(slice_to_u64(text, UINT32_MAX, &n));
    *out_number = (uint32_t)n;
    return ERR_OK;
}

/* ---- Dovecot ---- */

enum err import_dovecot_head(struct slice line, unsigned *out_version, uint32_t *out_uidvalidity)
{
    struct slice version = word(&line), field;
    uint32_t uidvalidity = 0;
    if (slice_eq(version, SLICE("1")))
        TRY(number(word(&line), &uidvalidity));
    else if (!slice_eq(version, SLICE("3")))
        return ERR_SYNTAX;
    while (uidvalidity == 0 && (field = word(&line)).len > 0)
        if (field.ptr[0] == 'V')
            TRY(number(slice_from_index(field, 1), &uidvalidity));
    if (uidvalidity == 0)
        return ERR_SYNTAX;
    *out_version = version.ptr[0] == '1' ? 1 : 3;
    *out_uidvalidity = uidvalidity;
    return ERR_OK;
}

/* UID, fields of a letter and a value, ":" and the name. */
enum err import_dovecot_record(
    struct slice line, unsigned version, uint32_t uidvalidity, struct import_uid *out_uid)
{
    struct import_uid uid = { .uidvalidity = uidvalidity };
    bool named = false; /* a P alone: the name is the UIDL */
    TRY(number(word(&line), &uid.uid));
    while (version == 3 && line.len > 0 && line.ptr[0] != ':') {
        struct slice field = word(&line);
        named |= slice_eq(field, SLICE("P"));
        if (field.len > 1 && field.ptr[0] == 'P')
            uid.uidl = slice_from_index(field, 1);
        else if (field.len > 1 && field.ptr[0] == 'G')
            uid.guid = slice_from_index(field, 1);
    }
    if (version == 3 && line.len == 0)
        return ERR_SYNTAX;
    uid.name = import_base_name(version == 3 ? slice_from_index(line, 1) : line);
    if (uid.name.len == 0 || uid.uid == 0)
        return ERR_SYNTAX;
    if (named)
        uid.uidl = uid.name;
    *out_uid = uid;
    return ERR_OK;
}

/* ---- Courier ---- */

/* "/3 NEXT UIDVALIDITY" */
enum err import_courier_head(struct slice line)
{
    uint32_t next;
    struct slice version = word(&line);
    if (!slice_eq(version, SLICE("/2")) && !slice_eq(version, SLICE("/3")))
        return ERR_SYNTAX;
    return number(word(&line), &next);
}

/* Cuts off what stands behind the last blank. */
static bool cut_last(struct slice *line, struct slice *out_last)
{
    size_t at = line->len;
    while (at > 0 && line->ptr[at - 1] != ' ')
        at--;
    if (at == 0)
        return false;
    *out_last = slice_from_index(*line, at);
    *line = slice_sub(*line, 0, at - 1);
    return true;
}

/* "NAME SIZE UID:UIDVALIDITY", version 3 with ":" and a digit more. Names may hold blanks. */
enum err import_courier_record(struct slice line, struct import_uid *out_uid)
{
    struct slice numbers, size, text;
    struct import_uid uid = { 0 };
    if (!cut_last(&line, &numbers) || !cut_last(&line, &size) || !slice_cut(&numbers, ':', &text))
        return ERR_SYNTAX;
    TRY(number(text, &uid.uid));
    if (!slice_cut(&numbers, ':', &text))
        return ERR_SYNTAX;
    TRY(number(text, &uid.uidvalidity));
    uid.name = import_base_name(line);
    if (uid.name.len == 0)
        return ERR_SYNTAX;
    *out_uid = uid;
    return ERR_OK;
}

void import_courier_uidl(const struct import_uid *uid, struct buf *out)
{
    if (uid->uid && uid->uidvalidity)
        buf_addf(out, "UID%u-%u", uid->uid, uid->uidvalidity);
    else if (uid->uid)
        buf_addf(out, "UID%u", uid->uid);
    for (size_t i = 0; i < uid->name.len && !uid->uid; i++) {
        unsigned char c = slice_at(uid->name, i);
        if (c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+')
            buf_addf(out, "+%02X", c);
        else
            buf_addc(out, (char)c);
    }
}

/* ---- Dovecot's pop3_uidl_format ---- */

#define WIDTH_MAX 20u

struct part {
    char letter; /* '\0': text */
    struct slice text;
    bool zeros, hex;
    unsigned width;
};

/* The next part of a format; false when there is none, or what stands there is none: then *format is not empty. */
static bool next_part(struct slice *format, struct part *out)
{
    struct part part = { 0 };
    if (format->len == 0)
        return false;
    if (format->ptr[0] != '%') {
        part.text = slice_sub(*format, 0, slice_index(*format, '%'));
        *format = slice_from_index(*format, part.text.len);
        *out = part;
        return true;
    }
    size_t i = 1;
    for (; i < format->len && slice_at(*format, i) >= '0' && slice_at(*format, i) <= '9'; i++) {
        part.zeros |= i == 1 && format->ptr[i] == '0';
        part.width = part.width * 10 + (unsigned)(format->ptr[i] - '0');
        if (part.width > WIDTH_MAX)
            return false;
    }
    if (i < format->len && format->ptr[i] == 'X') {
        part.hex = true;
        i++;
    }
    part.letter = i < format->len ? format->ptr[i] : '\0';
    bool known = part.letter && strchr("uvfg%", part.letter);
    bool bare = i == 1;
    if (!known || (!bare && part.letter != 'u' && part.letter != 'v'))
        return false;
    *format = slice_from_index(*format, i + 1);
    *out = part;
    return true;
}

bool import_format_ok(struct slice format)
{
    struct part part;
    bool varies = false;
    while (next_part(&format, &part))
        varies |= part.letter && part.letter != '%';
    return format.len == 0 && varies;
}

/* A width with a 0 before it is the least, and one without the most that is written. */
static void write_number(const struct part *part, uint32_t n, struct buf *out)
{
    char text[WIDTH_MAX + 12];
    int width = part->zeros ? (int)part->width : 0;
    if (part->hex)
        (void)snprintf(text, sizeof text, "%0*x", width, n);
    else
        (void)snprintf(text, sizeof text, "%0*u", width, n);
    bool cut = part->width && !part->zeros;
    buf_add(out, slice_sub(slice_of(text), 0, cut ? part->width : sizeof text));
}

void import_format_write(struct slice format, const struct import_uid *uid, struct buf *out)
{
    struct part part;
    while (next_part(&format, &part)) {
        if (part.letter == 'u' || part.letter == 'v')
            write_number(&part, part.letter == 'u' ? uid->uid : uid->uidvalidity, out);
        else if (part.letter == 'g' && uid->guid.len)
            buf_add(out, uid->guid);
        else if (part.letter == 'f' || part.letter == 'g')
            buf_add(out, uid->name);
        else if (part.letter == '%')
            buf_addc(out, '%');
        else
            buf_add(out, part.text);
    }
    assert(format.len == 0);
}
