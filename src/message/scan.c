/* The one-pass scanner.
 *
 * Input is a stream of lines. Inside a body only a line that begins with "--" can matter, so everything else is passed
 * with memchr; such a line is gathered in `line` (it may come in pieces) and held against the open boundaries.
 * Header lines are gathered in `header` until the blank line, then turned into the strings of a node.
 *
 * Always true:
 *   open[0 .. open_count) are the parts that have not ended, outermost first; open[i] has depth i.
 *   Only the last open part can be a leaf or still be in its header.
 *   The state never depends on where the input was cut: what is kept between two bytes is all in the struct. */
#include "message/summary.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "message/address.h"
#include "message/downgrade.h"
#include "message/form.h"
#include "message/head.h"
#include "message/header.h"
#include "message/lex.h"
#include "message/node.h"
#include "message/param.h"
#include "message/preview.h"
#include "message/text_int.h"
#include "message/thread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum state {
    STATE_LINE_START,
    STATE_DASHES,    /* the line began with "-" and may be a boundary: gathered in `line` */
    STATE_IN_LINE,   /* inside a line that is no boundary */
    STATE_SKIP_LINE, /* the rest of a boundary line */
};

struct part { /* what a node is until the end of the message */
    enum node_kind kind;
    uint32_t depth;
    uint32_t flags; /* enum node_flag */
    uint64_t header_offset, header_len, body_offset, body_len;
    uint64_t lines; /* until its end: the count of lines where its body began */
    size_t strings_at, strings_len;
};

struct open {
    size_t part;
    char *boundary; /* owned; NULL when it is no multipart or its last boundary has passed */
    size_t boundary_len;
    bool digest; /* children are message/rfc822 unless they say otherwise (RFC 2046 §5.1.5) */
};

/* The start of a text part, for the preview. */
struct sample {
    struct buf bytes;
    struct slice encoding, charset; /* owned copies in sample_arena */
    uint32_t flags;                 /* enum node_flag */
    bool taken;
};

struct msg_scan {
    enum state state;
    uint64_t offset;       /* of the next byte */
    uint64_t lines;        /* line ends seen */
    uint64_t line_start;   /* offset of the line that `line` gathers */
    unsigned char eol_len; /* of the line end before the current line: 0, 1 (LF) or 2 (CRLF) */
    char last_byte;

    char line[MIME_BOUNDARY_BYTES_MAX + 4];
    size_t line_len;

    bool in_header;
    bool part_pending;        /* a part begins after the boundary line */
    uint64_t header_line_len; /* of the current header line, so far */
    char header_first;        /* its first byte */
    struct buf header;
    size_t field_start;   /* in `header`, of the current field */
    size_t headers_bytes; /* of all sections so far */
    bool field_cut, section_cut, section_utf8;

    struct part *parts; /* owned */
    size_t parts_count, parts_cap;
    struct open open[MIME_DEPTH_MAX + 1];
    size_t open_count;
    size_t boundaries; /* how many of open have one */

    struct buf strings; /* of all nodes */
    struct buf envelope;
    struct buf fields;
    struct buf facts_text;
    bool fields_whole;
    bool has_attachment;
    bool is_reply;
    bool needs_utf8, growth_unknown;
    int64_t growth; /* of the headers, in ASCII */
    int64_t date_s;
    int32_t date_tz_min;
    struct {
        size_t at, len;
    } facts[SUMMARY_TEXTS];

    struct sample plain, html;
    struct sample *sampling; /* the one being filled */
    struct arena arena;      /* of one header section */
    struct arena sample_arena;
};

static void part_start(struct msg_scan *scan);
static void header_finish(struct msg_scan *scan);

struct msg_scan *msg_scan_new(void)
{
    struct msg_scan *scan = mem_zalloc(1, sizeof *scan);
    buf_init(&scan->header, 0);
    buf_init(&scan->strings, SUMMARY_STRINGS_BYTES_MAX);
    buf_init(&scan->envelope, SUMMARY_ENVELOPE_BYTES_MAX);
    buf_init(&scan->fields, SUMMARY_FIELDS_BYTES_MAX);
    buf_init(&scan->facts_text, 0);
    buf_init(&scan->plain.bytes, 0);
    buf_init(&scan->html.bytes, 0);
    arena_init(&scan->arena, MIME_ARENA_BYTES_MAX);
    arena_init(&scan->sample_arena, 64u << 10);
    scan->fields_whole = true;
    scan->date_s = INT64_MIN;
    part_start(scan);
    return scan;
}

void msg_scan_free(struct msg_scan *scan)
{
    if (!scan)
        return;
    for (size_t i = 0; i < scan->open_count; i++)
        free(scan->open[i].boundary);
    free(scan->parts);
    buf_done(&scan->header);
    buf_done(&scan->strings);
    buf_done(&scan->envelope);
    buf_done(&scan->fields);
    buf_done(&scan->facts_text);
    buf_done(&scan->plain.bytes);
    buf_done(&scan->html.bytes);
    arena_done(&scan->arena);
    arena_done(&scan->sample_arena);
    free(scan);
}

/* ---- opening and closing parts ---- */

static struct part *part_current(struct msg_scan *scan)
{
    assert(scan->open_count > 0);
    return &scan->parts[scan->open[scan->open_count - 1].part];
}

/* A node about which nothing more can be said: the summary has grown over its limit, or the part is opaque. */
static void write_strings_opaque(struct buf *out, enum node_kind kind)
{
    static const struct {
        struct slice type, subtype;
    } names[NODE_KINDS] = {
        [NODE_LEAF] = { SLICE_CONST("application"), SLICE_CONST("octet-stream") },
        [NODE_TEXT] = { SLICE_CONST("text"), SLICE_CONST("plain") },
        [NODE_MULTIPART] = { SLICE_CONST("multipart"), SLICE_CONST("mixed") },
        [NODE_MESSAGE] = { SLICE_CONST("message"), SLICE_CONST("rfc822") },
    };
    size_t limit = out->limit;
    out->limit = 0; /* short strings of at most MIME_PARTS_MAX parts */
    node_write_string(out, names[kind].type);
    node_write_string(out, names[kind].subtype);
    node_write_string(out, SLICE("7bit"));
    for (int i = NODE_ENCODING + 1; i < NODE_STRINGS; i++)
        node_write_string(out, SLICE_EMPTY);
    out->limit = limit > buf_len(out) ? limit : buf_len(out);
}

/* What was written for the part has grown over a limit: nothing more is said about it than its kind. */
static void strings_give_up(struct msg_scan *scan, const struct part *part)
{
    scan->strings.over = false;
    buf_truncate(&scan->strings, part->strings_at);
    write_strings_opaque(&scan->strings, part->kind);
}

/* The last part that may be: no header, and all the rest of the message is its body. */
static void part_opaque(struct msg_scan *scan)
{
    for (size_t i = 0; i < scan->open_count; i++) {
        free(scan->open[i].boundary);
        scan->open[i].boundary = NULL;
    }
    scan->boundaries = 0;
    struct part *part = part_current(scan);
    part->kind = NODE_LEAF;
    part->strings_at = buf_len(&scan->strings);
    write_strings_opaque(&scan->strings, part->kind);
    part->strings_len = buf_len(&scan->strings) - part->strings_at;
    scan->in_header = false;
}

/* A part begins here, with its header. */
static void part_start(struct msg_scan *scan)
{
    assert(scan->open_count <= MIME_DEPTH_MAX);
    if (scan->parts_count == scan->parts_cap) {
        scan->parts_cap = scan->parts_cap ? scan->parts_cap * 2 : 8;
        scan->parts = mem_realloc(scan->parts, scan->parts_cap * sizeof *scan->parts);
    }
    scan->parts[scan->parts_count] = (struct part){
        .depth = (uint32_t)scan->open_count,
        .header_offset = scan->offset,
        .body_offset = scan->offset,
        .lines = scan->lines,
    };
    scan->open[scan->open_count++] = (struct open){ .part = scan->parts_count };
    scan->parts_count++;
    scan->part_pending = false;
    scan->sampling = NULL;
    if (scan->parts_count == MIME_PARTS_MAX) {
        part_opaque(scan);
        return;
    }
    buf_clear(&scan->header);
    scan->in_header = true;
    scan->field_start = 0;
    scan->field_cut = scan->section_cut = scan->section_utf8 = false;
    scan->header_line_len = 0;
}

/* Ends every part deeper than `depth` at that offset. */
static void parts_close(struct msg_scan *scan, size_t depth, uint64_t end, uint64_t lines)
{
    while (scan->in_header) /* twice when a message/rfc822 ends in its header */
        header_finish(scan);
    const struct part *innermost = scan->open_count ? part_current(scan) : NULL;
    if (innermost &&
        end < innermost->body_offset) { /* a header took the line end in front of the boundary */
        end = innermost->body_offset;
        lines = innermost->lines;
    }
    while (scan->open_count > depth) {
        struct open *open = &scan->open[--scan->open_count];
        struct part *part = &scan->parts[open->part];
        if (end > part->body_offset) {
            part->body_len = end - part->body_offset;
            part->lines = lines > part->lines ? lines - part->lines : 0;
        } else {
            part->body_len = 0;
            part->lines = 0;
        }
        if (open->boundary) {
            free(open->boundary);
            scan->boundaries--;
        }
    }
    scan->sampling = NULL;
}

/* ---- one header section ---- */

struct mime {
    struct slice type, subtype, encoding;
    struct slice boundary; /* ptr NULL when there is no such parameter */
    struct mime_value content, disposition;
    bool has_type; /* a Content-Type that could be read */
    bool has_disposition;
};

static struct slice lower(struct arena *arena, struct slice s)
{
    bool any = false;
    for (size_t i = 0; i < s.len && !any; i++)
        any = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z';
    if (!any)
        return s;
    char *out = arena_alloc(arena, s.len + 1);
    if (!out)
        return s;
    for (size_t i = 0; i < s.len; i++)
        out[i] = ascii_lower(s.ptr[i]);
    return slice_from(out, s.len);
}

static const struct mime_param charset_us_ascii = { SLICE_CONST("charset"),
    SLICE_CONST("us-ascii") };

static enum err mime_parse(
    struct arena *arena, const struct head *head, bool in_digest, struct mime *out_mime)
{
    struct mime mime = { .encoding = SLICE("7bit") };
    if (head->texts[HEAD_CONTENT_TYPE].ptr)
        TRY(mime_value_parse(arena, head->texts[HEAD_CONTENT_TYPE], &mime.content));
    mime.type = lower(arena, mime.content.type);
    mime.subtype = lower(arena, mime.content.subtype);
    const struct mime_param *boundary = mime_param_find(&mime.content, SLICE("boundary"));
    if (boundary)
        mime.boundary = boundary->value;
    mime.has_type = mime.type.len && mime.subtype.len;
    if (!mime.has_type && in_digest) {
        mime.type = SLICE("message");
        mime.subtype = SLICE("rfc822");
        mime.content.count = 0;
    } else if (!mime.has_type) { /* RFC 2045 §5.2 */
        mime.type = SLICE("text");
        mime.subtype = SLICE("plain");
        mime.content.params = arena_alloc(arena, sizeof charset_us_ascii);
        if (!mime.content.params)
            return ERR_LIMIT;
        mime.content.params[0] = charset_us_ascii;
        mime.content.count = 1;
    }
    if (head->texts[HEAD_ENCODING].ptr) {
        struct slice token = mime_token(head->texts[HEAD_ENCODING]);
        if (token.len)
            mime.encoding = lower(arena, token);
    }
    if (head->texts[HEAD_DISPOSITION].ptr) {
        TRY(mime_value_parse(arena, head->texts[HEAD_DISPOSITION], &mime.disposition));
        mime.has_disposition = mime.disposition.given;
    }
    *out_mime = mime;
    return ERR_OK;
}

/* Decodes RFC 2231 or, as many programs write it, RFC 2047 in a parameter. */
static void decode_param(const struct mime_param *param, struct buf *out)
{
    if (param->name.len && param->name.ptr[param->name.len - 1] == '*')
        msg_decode_extended(param->value, out);
    else
        msg_decode_words(param->value, out);
}

static void add_string_of(struct msg_scan *scan, const struct buf *text)
{
    node_write_string(&scan->strings, buf_slice(text));
}

/* Appends raw as an IMAP form, or "" when it is absent. */
static enum err add_text(struct msg_scan *scan, struct buf *scratch, struct slice raw)
{
    buf_clear(scratch);
    if (raw.ptr)
        TRY(form_text(&scan->arena, scratch, raw, ENVELOPE_TEXT_BYTES_MAX));
    add_string_of(scan, scratch);
    return ERR_OK;
}

static bool is_attachment(const struct mime *mime, struct slice filename, uint32_t depth)
{
    if (slice_eq(mime->type, SLICE("multipart")))
        return false;
    if (mime->has_disposition && slice_eq_nocase(mime->disposition.type, SLICE("attachment")))
        return true;
    if (depth == 0 && slice_eq(mime->type, SLICE("text")))
        return false;
    bool is_inline =
        mime->has_disposition && slice_eq_nocase(mime->disposition.type, SLICE("inline"));
    return filename.len && !is_inline;
}

static void write_filename(const struct mime *mime, struct buf *out)
{
    const struct mime_param *param = mime_param_find(&mime->disposition, SLICE("filename"));
    if (!param)
        param = mime_param_find(&mime->content, SLICE("name"));
    if (param)
        decode_param(param, out);
}

/* The strings of the current node, in the order of enum node_string. */
static enum err write_strings(struct msg_scan *scan, const struct head *head,
    const struct mime *mime, bool opaque, bool is_message)
{
    struct buf scratch __attribute__((cleanup(buf_done)));
    buf_init(&scratch, 0);
    struct buf *out = &scan->strings;
    node_write_string(out, opaque ? SLICE("application") : mime->type);
    node_write_string(out, opaque ? SLICE("octet-stream") : mime->subtype);
    node_write_string(out, mime->encoding);
    const struct mime_param *charset = mime_param_find(&mime->content, SLICE("charset"));
    node_write_string(out, charset && mime->has_type ? charset->value : SLICE_EMPTY);
    write_filename(mime, &scratch);
    if (is_attachment(mime, buf_slice(&scratch), part_current(scan)->depth))
        scan->has_attachment = true;
    add_string_of(scan, &scratch);
    node_write_string(
        out, mime->has_disposition ? lower(&scan->arena, mime->disposition.type) : SLICE_EMPTY);
    buf_clear(&scratch);
    if (mime->content.count && !opaque)
        form_params(&scratch, &mime->content);
    add_string_of(scan, &scratch);
    TRY(add_text(scan, &scratch, head->texts[HEAD_ID]));
    TRY(add_text(scan, &scratch, head->texts[HEAD_DESCRIPTION]));
    buf_clear(&scratch);
    if (mime->has_disposition)
        form_disposition(&scratch, &mime->disposition);
    add_string_of(scan, &scratch);
    buf_clear(&scratch);
    if (head->texts[HEAD_LANGUAGE].ptr)
        form_language(&scratch, head->texts[HEAD_LANGUAGE]);
    add_string_of(scan, &scratch);
    TRY(add_text(scan, &scratch, head->texts[HEAD_LOCATION]));
    TRY(add_text(scan, &scratch, head->texts[HEAD_MD5]));
    buf_clear(&scratch);
    if (is_message) {
        TRY(form_envelope(&scan->arena, head, &scratch));
        if (scan->open_count == 1) {
            buf_add(&scan->envelope, buf_slice(&scratch));
            buf_clear(&scratch);
        }
    }
    add_string_of(scan, &scratch);
    return buf_err(out);
}

static void take_facts(struct msg_scan *scan, const struct head *head)
{
    struct slice values[SUMMARY_TEXTS - 1] = { head->texts[HEAD_SUBJECT], { 0 }, { 0 }, { 0 }, { 0 },
        head->texts[HEAD_MESSAGE_ID] };
    static const enum head_list lists[] = { HEAD_FROM, HEAD_TO, HEAD_CC, HEAD_BCC };
    for (size_t i = 0; i < 4; i++) {
        if (head->lists[lists[i]].count)
            values[i + 1] = head->lists[lists[i]].at[0];
    }
    for (size_t i = 0; i < SUMMARY_TEXTS; i++) {
        scan->facts[i].at = buf_len(&scan->facts_text);
        if (i == SUMMARY_TEXTS - 1 && values[0].ptr)
            msg_base_subject(slice_sub(values[0], 0, SUMMARY_TEXT_BYTES_MAX), &scan->facts_text,
                &scan->is_reply);
        else if (i < SUMMARY_TEXTS - 1 && values[i].ptr)
            msg_unfold(slice_sub(values[i], 0, SUMMARY_TEXT_BYTES_MAX), &scan->facts_text);
        scan->facts[i].len = buf_len(&scan->facts_text) - scan->facts[i].at;
    }
    int64_t date_s;
    int32_t tz_min;
    if (head->texts[HEAD_DATE].ptr && msg_date(head->texts[HEAD_DATE], &date_s, &tz_min)) {
        scan->date_s = date_s;
        scan->date_tz_min = tz_min;
    }
}

static bool param_is(const struct mime *mime, struct slice name, struct slice value)
{
    const struct mime_param *param = mime_param_find(&mime->content, name);
    return param && slice_eq_nocase(slice_trim(param->value), value);
}

/* RFC 3676 §4.1 */
static uint32_t flowed_flags(const struct mime *mime)
{
    if (!slice_eq(mime->type, SLICE("text")) || !slice_eq(mime->subtype, SLICE("plain")) ||
        !param_is(mime, SLICE("format"), SLICE("flowed")))
        return 0;
    return param_is(mime, SLICE("delsp"), SLICE("yes")) ? NODE_FLOWED | NODE_DEL_SP : NODE_FLOWED;
}

/* Chooses the parts whose first bytes make the preview: the first text/plain and, if there is none, text/html. */
static void choose_sample(struct msg_scan *scan, const struct mime *mime)
{
    if (!slice_eq(mime->type, SLICE("text")) ||
        (mime->has_disposition && slice_eq_nocase(mime->disposition.type, SLICE("attachment"))))
        return;
    struct sample *sample = slice_eq(mime->subtype, SLICE("plain"))  ? &scan->plain
                            : slice_eq(mime->subtype, SLICE("html")) ? &scan->html
                                                                     : NULL;
    if (!sample || sample->taken)
        return;
    const struct mime_param *charset = mime_param_find(&mime->content, SLICE("charset"));
    sample->taken = true;
    sample->flags = part_current(scan)->flags;
    sample->encoding = slice_dup(&scan->sample_arena, mime->encoding);
    sample->charset = slice_dup(&scan->sample_arena, charset ? charset->value : SLICE_EMPTY);
    if (!sample->encoding.ptr || !sample->charset.ptr)
        return;
    scan->sampling = sample;
}

static void boundary_open(struct msg_scan *scan, struct slice boundary)
{
    /* a longer one is compared by its first bytes */
    boundary = slice_sub(boundary, 0, MIME_BOUNDARY_BYTES_MAX);
    struct open *open = &scan->open[scan->open_count - 1];
    open->boundary = mem_strndup(boundary.ptr, boundary.len);
    open->boundary_len = boundary.len;
    scan->boundaries++;
}

/* What the part is, by its type, and whether it has to be passed over as an opaque leaf. */
static enum node_kind kind_of(const struct mime *mime, size_t depth, bool *out_opaque)
{
    *out_opaque = false;
    if (slice_eq(mime->type, SLICE("text")))
        return NODE_TEXT;
    bool is_multipart = slice_eq(mime->type, SLICE("multipart"));
    bool is_message =
        slice_eq(mime->type, SLICE("message")) && slice_eq(mime->subtype, SLICE("rfc822"));
    if (!is_multipart && !is_message)
        return NODE_LEAF;
    if (depth < MIME_DEPTH_MAX && is_multipart)
        return NODE_MULTIPART;
    /* RFC 2045 §6.4 has no base64 around a message. Where it is there all the same, the message in it has no readable header,
     * but the type is still given, as Dovecot and Cyrus do. */
    if (depth < MIME_DEPTH_MAX && is_message)
        return NODE_MESSAGE;
    *out_opaque = true;
    return NODE_LEAF;
}

/* Turns the header just gathered into the part's strings, and opens what is inside. */
static enum err header_take(struct msg_scan *scan, struct mime *out_mime)
{
    struct part *part = part_current(scan);
    bool is_root = part->depth == 0;
    const struct open *parent = is_root ? NULL : &scan->open[scan->open_count - 2];
    bool is_message = is_root || scan->parts[parent->part].kind == NODE_MESSAGE;
    struct head head;
    TRY(head_parse(&scan->arena, buf_slice(&scan->header), is_root ? &scan->fields : NULL, &head));
    struct mime mime;
    TRY(mime_parse(&scan->arena, &head, parent && parent->digest, &mime));
    *out_mime = mime;
    bool opaque;
    part->kind = kind_of(&mime, part->depth, &opaque);
    part->flags = flowed_flags(&mime);
    if (is_root)
        take_facts(scan, &head);
    if (part->kind == NODE_MULTIPART) {
        if (mime.boundary.len)
            boundary_open(scan, mime.boundary);
        scan->open[scan->open_count - 1].digest = slice_eq(mime.subtype, SLICE("digest"));
    } else if (!opaque) {
        choose_sample(scan, &mime);
    }
    return write_strings(scan, &head, &mime, opaque, is_message);
}

/* The one part of a multipart that names no boundary: its whole body, as text, so that it can still be read. */
static void text_start(struct msg_scan *scan, const struct mime *multipart)
{
    part_start(scan);
    if (!scan->in_header) /* the last part that may be */
        return;
    scan->in_header = false;
    struct mime_param us_ascii = charset_us_ascii;
    struct mime text = { .type = SLICE("text"),
        .subtype = SLICE("plain"),
        .encoding = multipart->encoding,
        .content = { .params = &us_ascii, .count = 1 } };
    static const struct head no_head;
    struct part *part = part_current(scan);
    part->kind = NODE_TEXT;
    part->strings_at = buf_len(&scan->strings);
    choose_sample(scan, &text);
    if (write_strings(scan, &no_head, &text, false, false) != ERR_OK)
        strings_give_up(scan, part);
    part->strings_len = buf_len(&scan->strings) - part->strings_at;
}

/* What RFC 6858 makes of the section is longer or shorter by so much. */
static void measure_surrogate(struct msg_scan *scan)
{
    if (!scan->section_utf8)
        return;
    scan->needs_utf8 = true;
    scan->growth_unknown |= scan->section_cut;
    if (!scan->growth_unknown)
        scan->growth += (int64_t)msg_downgrade_header_len(buf_slice(&scan->header)) -
                        (int64_t)buf_len(&scan->header);
}

/* The header section of the current part ends here; its body begins. */
static void header_finish(struct msg_scan *scan)
{
    assert(scan->in_header);
    size_t index = scan->open[scan->open_count - 1].part;
    struct part *part = &scan->parts[index];
    part->header_len = scan->offset - part->header_offset;
    part->body_offset = scan->offset;
    part->lines = scan->lines;
    part->strings_at = buf_len(&scan->strings);
    scan->headers_bytes += buf_len(&scan->header);
    scan->in_header = false;
    measure_surrogate(scan);
    struct mime mime = { .encoding = SLICE("7bit") };
    if (header_take(scan, &mime) != ERR_OK)
        strings_give_up(scan, part);
    part->strings_len = buf_len(&scan->strings) - part->strings_at;
    enum node_kind kind = part->kind;
    if (kind == NODE_MESSAGE)
        part_start(scan);
    else if (kind == NODE_MULTIPART && !mime.boundary.ptr)
        text_start(scan, &mime);
    arena_reset(&scan->arena);
}

/* One more piece of a header line, or its end. Nothing is kept past the limits, but lines are still told apart. */
static void header_add(struct msg_scan *scan, struct slice piece, bool ends_line)
{
    bool starts_line = scan->header_line_len == 0;
    if (starts_line && piece.len) {
        scan->header_first = piece.ptr[0];
        if (piece.ptr[0] != ' ' && piece.ptr[0] != '\t') {
            scan->field_start = buf_len(&scan->header);
            scan->field_cut = false;
        }
    }
    scan->header_line_len += piece.len;
    scan->section_utf8 |= !slice_is_ascii(piece);
    if (ends_line) {
        bool blank = scan->header_line_len == 1 ||
                     (scan->header_line_len == 2 && scan->header_first == '\r');
        scan->header_line_len = 0;
        if (blank) {
            header_finish(scan);
            return;
        }
    }
    if (scan->field_cut)
        return;
    size_t used = scan->headers_bytes + buf_len(&scan->header);
    size_t field_len = buf_len(&scan->header) - scan->field_start;
    size_t room = used < MIME_HEADERS_BYTES_MAX ? MIME_HEADERS_BYTES_MAX - used : 0;
    if (room > MIME_HEADER_BYTES_MAX - field_len)
        room = MIME_HEADER_BYTES_MAX - field_len;
    if (piece.len <= room) {
        buf_add(&scan->header, piece);
        return;
    }
    scan->field_cut = scan->section_cut = true;
    if (scan->open_count == 1)
        scan->fields_whole = false;
    buf_add(&scan->header, slice_sub(piece, 0, room));
    if (field_len + room)
        buf_add(&scan->header, SLICE("\r\n"));
}

/* ---- boundaries ---- */

/* The open multipart whose boundary the line begins with: the longest one, of equal ones the innermost. An exact match of
 * the whole line is not required (RFC 2046 §5.1.1). SIZE_MAX when there is none. */
static size_t boundary_find(const struct msg_scan *scan)
{
    size_t best = SIZE_MAX, best_len = 0;
    if (scan->line_len < 2 || scan->line[1] != '-')
        return best;
    size_t len = scan->line_len - 2;
    const char *text = scan->line + 2;
    for (size_t i = scan->open_count; i-- > 0;) {
        const struct open *open = &scan->open[i];
        if (!open->boundary || open->boundary_len > len || open->boundary_len <= best_len)
            continue;
        if (text[open->boundary_len - 1] == open->boundary[open->boundary_len - 1] &&
            memcmp(text, open->boundary, open->boundary_len) == 0) {
            best = i;
            best_len = open->boundary_len;
        }
    }
    return best;
}

/* The line in `line` is a boundary of open[index]; scan->offset is where that line begins. */
static void boundary_take(struct msg_scan *scan, size_t index)
{
    struct open *open = &scan->open[index];
    const char *after = scan->line + 2 + open->boundary_len;
    size_t after_len = scan->line_len - 2 - open->boundary_len;
    bool last = after_len >= 2 && after[0] == '-' && after[1] == '-';
    uint64_t end = scan->offset - scan->eol_len; /* that line end belongs to the boundary */
    uint64_t lines = scan->lines - (scan->eol_len ? 1 : 0);
    parts_close(scan, index + 1, end, lines);
    if (last) {
        free(open->boundary);
        open->boundary = NULL;
        scan->boundaries--;
    }
}

static void sample_add(struct msg_scan *scan, struct slice bytes)
{
    struct sample *sample = scan->sampling;
    if (!sample)
        return;
    size_t max = sample == &scan->plain ? SAMPLE_PLAIN_BYTES_MAX : SAMPLE_HTML_BYTES_MAX;
    buf_add(&sample->bytes, slice_sub(bytes, 0, max - buf_len(&sample->bytes)));
    if (buf_len(&sample->bytes) >= max)
        scan->sampling = NULL;
}

static void line_ended(struct msg_scan *scan, bool crlf)
{
    scan->lines++;
    scan->eol_len = crlf ? 2 : 1;
    scan->state = STATE_LINE_START;
}

/* The end of a boundary line is that line's own: a boundary right after it does not take it away (Dovecot and Cyrus agree). */
static void boundary_ended(struct msg_scan *scan)
{
    line_ended(scan, false);
    scan->eol_len = 0;
    if (scan->part_pending)
        part_start(scan);
}

/* The gathered line is whole, or long enough to know. */
static void dashes_decide(struct msg_scan *scan)
{
    bool whole = scan->line_len > 0 && scan->line[scan->line_len - 1] == '\n';
    bool crlf = whole && scan->line_len > 1 && scan->line[scan->line_len - 2] == '\r';
    size_t index = boundary_find(scan);
    if (index != SIZE_MAX) {
        uint64_t line_end = scan->offset;
        scan->offset = line_end - scan->line_len;
        boundary_take(scan, index);
        scan->offset = line_end;
        scan->part_pending = scan->open[index].boundary != NULL;
        scan->state = STATE_SKIP_LINE;
        if (whole)
            boundary_ended(scan);
        return;
    }
    scan->state = STATE_IN_LINE;
    if (whole)
        line_ended(scan, crlf);
    if (scan->in_header)
        header_add(scan, slice_from(scan->line, scan->line_len), whole);
    else
        sample_add(scan, slice_from(scan->line, scan->line_len));
}

/* ---- input ---- */

/* Each takes what it can from the front of bytes, at least one byte. `before` is the byte in front of them. */

static size_t feed_dashes(struct msg_scan *scan, struct slice bytes)
{
    size_t room = sizeof scan->line - scan->line_len;
    struct slice piece = slice_sub(bytes, 0, room);
    const char *lf = memchr(piece.ptr, '\n', piece.len);
    if (lf)
        piece.len = (size_t)(lf - piece.ptr) + 1;
    memcpy(scan->line + scan->line_len, piece.ptr, piece.len);
    scan->line_len += piece.len;
    scan->offset += piece.len;
    if (lf || scan->line_len == sizeof scan->line)
        dashes_decide(scan);
    return piece.len;
}

static size_t feed_skip(struct msg_scan *scan, struct slice bytes)
{
    const char *lf = memchr(bytes.ptr, '\n', bytes.len);
    size_t len = lf ? (size_t)(lf - bytes.ptr) + 1 : bytes.len;
    scan->offset += len;
    if (lf)
        boundary_ended(scan);
    return len;
}

static size_t feed_header(struct msg_scan *scan, struct slice bytes, char before)
{
    const char *lf = memchr(bytes.ptr, '\n', bytes.len);
    size_t len = lf ? (size_t)(lf - bytes.ptr) + 1 : bytes.len;
    scan->offset += len;
    scan->state = STATE_IN_LINE;
    if (lf)
        line_ended(scan, (lf > bytes.ptr ? lf[-1] : before) == '\r');
    header_add(scan, slice_sub(bytes, 0, len), lf != NULL);
    return len;
}

/* Passes lines until one begins with "-" and there are boundaries to look for. */
static size_t feed_body(struct msg_scan *scan, struct slice bytes, char before)
{
    const char *p = bytes.ptr, *end = bytes.ptr + bytes.len, *last = NULL;
    bool watch = scan->boundaries > 0;
    uint64_t lines = 0;
    scan->state = STATE_IN_LINE;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf) {
            p = end;
            last = NULL; /* the line goes on: where the one before it ended no longer matters */
            break;
        }
        lines++;
        last = lf;
        p = lf + 1;
        if (p == end || (watch && *p == '-'))
            break;
    }
    size_t len = (size_t)(p - bytes.ptr);
    scan->offset += len;
    scan->lines += lines;
    if (last) {
        scan->lines--;
        line_ended(scan, (last > bytes.ptr ? last[-1] : before) == '\r');
    }
    sample_add(scan, slice_sub(bytes, 0, len));
    return len;
}

void msg_scan_feed(struct msg_scan *scan, struct slice bytes)
{
    while (bytes.len) {
        size_t len;
        char before = scan->last_byte;
        if (scan->state == STATE_LINE_START && bytes.ptr[0] == '-' && scan->boundaries) {
            scan->state = STATE_DASHES;
            scan->line_len = 0;
        }
        if (scan->state == STATE_DASHES)
            len = feed_dashes(scan, bytes);
        else if (scan->state == STATE_SKIP_LINE)
            len = feed_skip(scan, bytes);
        else if (scan->in_header)
            len = feed_header(scan, bytes, before);
        else
            len = feed_body(scan, bytes, before);
        scan->last_byte = bytes.ptr[len - 1];
        bytes = slice_from_index(bytes, len);
    }
}

/* ---- the end ---- */

static void put_u32(char *out, uint64_t number)
{
    assert(number <= UINT32_MAX);
    for (int i = 0; i < 4; i++)
        out[i] = (char)(number >> (8 * i));
}

static void write_facts(struct msg_scan *scan, size_t place, struct buf *out)
{
    char facts[SUMMARY_FACTS_BYTES];
    put_u32(facts, (uint64_t)scan->date_s & UINT32_MAX);
    put_u32(facts + 4, (uint64_t)scan->date_s >> 32);
    put_u32(facts + 8, (uint32_t)scan->date_tz_min);
    uint64_t surrogate = scan->growth_unknown || !scan->needs_utf8
                             ? MSG_SURROGATE_UNKNOWN
                             : scan->offset + (uint64_t)scan->growth;
    put_u32(facts + 12, surrogate & UINT32_MAX);
    put_u32(facts + 16, surrogate >> 32);
    for (size_t i = 0; i < SUMMARY_TEXTS; i++) {
        put_u32(facts + SUMMARY_FACTS_TEXTS + 8 * i, place + SUMMARY_FACTS_BYTES + scan->facts[i].at);
        put_u32(facts + SUMMARY_FACTS_TEXTS + 4 + 8 * i, scan->facts[i].len);
    }
    buf_add(out, slice_from(facts, sizeof facts));
    buf_add(out, buf_slice(&scan->facts_text));
}

static void write_sample(const struct sample *sample, bool is_html, struct buf *out)
{
    struct part_text_kind kind = { sample->encoding, sample->charset, is_html,
        sample->flags & NODE_FLOWED, sample->flags & NODE_DEL_SP };
    if (sample->taken)
        preview_make(buf_slice(&sample->bytes), &kind, out);
}

static void write_preview(struct msg_scan *scan, struct buf *out)
{
    size_t start = buf_len(out);
    write_sample(&scan->plain, false, out);
    if (buf_len(out) == start)
        write_sample(&scan->html, true, out);
}

static enum err write_summary(struct msg_scan *scan, struct buf *out)
{
    size_t start = buf_len(out);
    char head[SUMMARY_HEAD_BYTES] = { (char)MSG_SUMMARY_VERSION };
    buf_add(out, slice_from(head, sizeof head));
    put_u32(head + 8, scan->parts_count);
    put_u32(head + 12, buf_len(out) - start);
    struct slice strings = buf_slice(&scan->strings);
    for (size_t i = 0; i < scan->parts_count; i++) {
        const struct part *part = &scan->parts[i];
        struct node node = { .kind = part->kind,
            .depth = part->depth,
            .flags = part->flags,
            .header_offset = part->header_offset,
            .header_len = part->header_len,
            .body_offset = part->body_offset,
            .body_len = part->body_len,
            .body_lines = part->lines };
        node_write(out, &node, slice_sub(strings, part->strings_at, part->strings_len));
    }
    put_u32(head + 16, buf_len(out) - start);
    buf_add(out, buf_slice(&scan->envelope));
    put_u32(head + 20, buf_len(out) - start);
    if (!scan->fields.over && scan->fields_whole) {
        head[1] |= SUMMARY_FIELDS_WHOLE;
        buf_add(out, buf_slice(&scan->fields));
    }
    if (scan->has_attachment)
        head[1] |= SUMMARY_HAS_ATTACHMENT;
    if (scan->is_reply)
        head[1] |= SUMMARY_IS_REPLY;
    if (scan->needs_utf8)
        head[1] |= (char)SUMMARY_NEEDS_UTF8;
    put_u32(head + 24, buf_len(out) - start);
    write_facts(scan, buf_len(out) - start, out);
    put_u32(head + 28, buf_len(out) - start);
    write_preview(scan, out);
    put_u32(head + 4, buf_len(out) - start);
    TRY(buf_err(out));
    memcpy(out->mem + out->start + start, head, sizeof head);
    return ERR_OK;
}

enum err msg_scan_finish(struct msg_scan *scan, struct buf *out)
{
    if (scan->state == STATE_DASHES)
        dashes_decide(scan);
    parts_close(scan, 0, scan->offset, scan->lines);
    return write_summary(scan, out);
}

enum err msg_summary_make(struct slice message, struct buf *out)
{
    struct msg_scan *scan = msg_scan_new();
    msg_scan_feed(scan, message);
    enum err e = msg_scan_finish(scan, out);
    msg_scan_free(scan);
    return e;
}

#define FROM_BYTES (64u << 10)

enum err msg_summary_from(const struct msg_source *source, struct buf *out)
{
    if (source->whole.ptr)
        return msg_summary_make(source->whole, out);
    struct msg_scan *scan = msg_scan_new();
    struct buf piece;
    buf_init(&piece, 0);
    enum err e = ERR_OK;
    for (uint64_t at = 0; at < source->size && e == ERR_OK; at += FROM_BYTES) {
        buf_clear(&piece);
        e = msg_source_read(source, at, FROM_BYTES, &piece);
        msg_scan_feed(scan, buf_slice(&piece));
    }
    if (e == ERR_OK)
        e = msg_scan_finish(scan, out);
    buf_done(&piece);
    msg_scan_free(scan);
    return e;
}
