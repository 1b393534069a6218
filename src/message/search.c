/* Searching a message that no index knows: its parts go through transfer decoding, charset, HTML and folding as streams, in
 * windows of WINDOW_BYTES, so that memory does not grow with the message. */
#include "message/text_int.h"

#include "base/limits.h"
#include "message/filter.h"
#include "message/header.h"

#include <string.h>

#define WINDOW_BYTES (64u << 10)
#define TAIL_BYTES   8u /* two characters at least, for the filter */

/* Folded text, piece by piece, and the needle. What could be the start of the needle is carried over. */
struct finder {
    struct slice needle;
    struct msg_filter_maker
        *maker;        /* borrowed; NULL: the first place where the needle stands ends it */
    struct buf text;   /* UTF-8 not yet folded */
    struct buf folded; /* tail of what was searched, and the new piece */
    bool found;
    bool done; /* nothing more needs to be read */
};

static void finder_init(struct finder *finder, struct slice needle, struct msg_filter_maker *maker)
{
    *finder = (struct finder){ .needle = needle, .maker = maker };
    buf_init(&finder->text, 0);
    buf_init(&finder->folded, 0);
}

static void finder_done(struct finder *finder)
{
    buf_done(&finder->text);
    buf_done(&finder->folded);
}

/* What a filter is made from: the piece, and before it so much of the one before that every sequence across the cut is whole. The same whatever
 * is searched for, which may need more to be kept. */
static struct slice for_maker(struct slice all, size_t tail)
{
    size_t from = tail > TAIL_BYTES ? tail - TAIL_BYTES : 0;
    while (from < tail && (slice_at(all, from) & 0xc0) == 0x80)
        from++;
    return slice_from_index(all, from);
}

/* Folds and searches a piece that ends between two words. */
static void finder_take(struct finder *finder, struct slice utf8)
{
    size_t tail = buf_len(&finder->folded);
    text_fold(utf8, &finder->folded);
    struct slice all = buf_slice(&finder->folded);
    /* a run of blanks that was cut in two is still one blank */
    if (tail && tail < all.len && all.ptr[tail - 1] == ' ' && all.ptr[tail] == ' ') {
        memmove(finder->folded.mem + finder->folded.start + tail,
            finder->folded.mem + finder->folded.start + tail + 1, all.len - tail - 1);
        buf_truncate(&finder->folded, all.len - 1);
        all = buf_slice(&finder->folded);
    }
    finder->found =
        finder->found || (finder->needle.len && slice_find(all, finder->needle) != SIZE_MAX);
    finder->done = finder->found && !finder->maker;
    if (finder->maker)
        msg_filter_maker_take(finder->maker, for_maker(all, tail));
    size_t keep = finder->maker ? TAIL_BYTES : 1;
    if (finder->needle.len > keep)
        keep = finder->needle.len - 1;
    if (all.len > keep)
        buf_consume(&finder->folded, all.len - keep);
}

/* Where text may be cut: after the last blank, else between two characters. */
static size_t cut_place(struct slice text)
{
    for (size_t i = text.len; i > text.len / 2; i--) {
        if (text.ptr[i - 1] == ' ' || text.ptr[i - 1] == '\n')
            return i;
    }
    size_t i = text.len;
    while (i > 1 && (slice_at(text, i - 1) & 0xc0) == 0x80)
        i--;
    return i > 1 ? i - 1 : text.len;
}

static void finder_flush(struct finder *finder, bool final)
{
    struct slice text = buf_slice(&finder->text);
    if (!final && text.len < WINDOW_BYTES)
        return;
    size_t len = final ? text.len : cut_place(text);
    finder_take(finder, slice_sub(text, 0, len));
    buf_consume(&finder->text, len);
    if (final) {
        buf_clear(&finder->text);
        buf_clear(&finder->folded);
    }
}

static void finder_text(struct finder *finder, struct slice utf8)
{
    buf_add(&finder->text, utf8);
    finder_flush(finder, true);
}

/* ---- one part ---- */

static bool is_searched(const struct msg_part *part)
{
    return slice_eq(part->type, SLICE("text")) ||
           (slice_eq(part->type, SLICE("message")) &&
               (slice_eq(part->subtype, SLICE("delivery-status")) ||
                   slice_eq(part->subtype, SLICE("disposition-notification"))));
}

static enum err part_search(
    const struct msg_source *source, const struct msg_part *part, struct finder *finder)
{
    struct part_text_kind kind = { part->encoding, part->charset,
        slice_eq(part->subtype, SLICE("html")), part->flowed, part->del_sp };
    struct part_text text;
    struct buf raw;
    part_text_init(&text, &kind);
    buf_init(&raw, 0);
    enum err e = ERR_OK;
    uint64_t done = 0, body_len = msg_source_clip(source, part->body_offset, part->body_len);
    bool final = false;
    while (!final && e == ERR_OK) {
        uint64_t left = body_len - done;
        size_t len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        final = len == left || finder->done;
        buf_clear(&raw);
        if (!finder->done)
            e = msg_source_read(source, part->body_offset + done, len, &raw);
        final = final || e != ERR_OK;
        part_text_feed(&text, buf_slice(&raw), final, &finder->text);
        finder_flush(finder, final);
        done += len;
    }
    part_text_done(&text);
    buf_done(&raw);
    return e;
}

/* ---- headers ---- */

static void field_search(struct finder *finder, struct slice value)
{
    struct buf decoded;
    buf_init(&decoded, 0);
    msg_decode_words(value, &decoded);
    finder_text(finder, buf_slice(&decoded));
    buf_done(&decoded);
}

/* The header of a part, as much of it as the scanner looks at. */
static enum err header_read(
    const struct msg_source *source, const struct msg_part *part, struct buf *out)
{
    size_t len = part->header_len < MIME_HEADERS_BYTES_MAX ? (size_t)part->header_len
                                                           : MIME_HEADERS_BYTES_MAX;
    return msg_source_read(source, part->header_offset, len, out);
}

static enum err header_search(
    const struct msg_source *source, const struct msg_part *part, struct finder *finder)
{
    struct buf header;
    buf_init(&header, 0);
    enum err e = header_read(source, part, &header);
    struct slice rest = buf_slice(&header);
    struct msg_field field;
    while (e == ERR_OK && !finder->done && msg_field_next(&rest, &field)) {
        field_search(finder, field.name);
        if (!finder->done)
            field_search(finder, field.value);
    }
    buf_done(&header);
    return e;
}

static bool is_message(const struct msg_part *part)
{
    return slice_eq(part->type, SLICE("message")) && slice_eq(part->subtype, SLICE("rfc822"));
}

static enum err text_search(const struct msg_summary *summary, const struct msg_source *source,
    bool with_headers, struct finder *finder)
{
    struct slice needle = finder->needle;
    size_t cursor = 0;
    struct msg_part part;
    bool whole_message = true; /* the next part is a message with a header of its own */
    while (!finder->done && msg_part_next(summary, &cursor, &part)) {
        if (whole_message && (with_headers || finder->maker)) {
            finder->needle = with_headers ? needle : SLICE_EMPTY;
            enum err e = header_search(source, &part, finder);
            finder->needle = needle;
            TRY(e);
        }
        whole_message = is_message(&part);
        if (!finder->done && part.filename.len)
            finder_text(finder, part.filename);
        if (!finder->done && is_searched(&part))
            TRY(part_search(source, &part, finder));
    }
    return ERR_OK;
}

enum err msg_text_contains(const struct msg_summary *summary, const struct msg_source *source,
    struct slice folded_needle, bool with_headers, struct buf *out_filter, bool *out_found)
{
    struct finder finder;
    struct msg_filter_maker *maker = out_filter ? msg_filter_maker_new() : NULL;
    finder_init(&finder, folded_needle, maker);
    finder.found = folded_needle.len == 0;
    finder.done = finder.found && !maker;
    enum err e = text_search(summary, source, with_headers, &finder);
    if (e == ERR_OK && maker)
        msg_filter_maker_write(maker, out_filter);
    msg_filter_maker_free(maker);
    finder_done(&finder);
    TRY(e);
    *out_found = finder.found;
    return ERR_OK;
}

enum err msg_field_text(const struct msg_summary *summary, const struct msg_source *source,
    struct slice name, struct buf *out_text, size_t *out_fields)
{
    struct buf header, decoded;
    buf_init(&header, 0);
    buf_init(&decoded, 0);
    enum err e = ERR_OK;
    size_t fields = 0;
    if (!msg_summary_fields(summary, &name, 1, &header)) {
        size_t cursor = 0;
        struct msg_part message;
        if (msg_part_next(summary, &cursor, &message))
            e = header_read(source, &message, &header);
        else
            e = ERR_CORRUPT;
    }
    struct slice rest = buf_slice(&header);
    struct msg_field field;
    while (e == ERR_OK && msg_field_next(&rest, &field)) {
        if (!slice_eq_nocase(field.name, name))
            continue;
        if (fields++)
            buf_addc(out_text, 0);
        buf_clear(&decoded);
        msg_decode_words(field.value, &decoded);
        text_fold(buf_slice(&decoded), out_text);
    }
    buf_done(&header);
    buf_done(&decoded);
    *out_fields = fields;
    return e;
}

enum err msg_field_contains(const struct msg_summary *summary, const struct msg_source *source,
    struct slice name, struct slice folded_needle, bool *out_found)
{
    struct buf text;
    size_t fields;
    buf_init(&text, 0);
    enum err e = msg_field_text(summary, source, name, &text, &fields);
    if (e == ERR_OK)
        *out_found = folded_needle.len ? slice_find(buf_slice(&text), folded_needle) != SIZE_MAX
                                       : fields > 0;
    buf_done(&text);
    return e;
}
