/* Reading a summary. It may come from a damaged database, so nothing in it is believed before it is checked. */
#include "message/summary.h"

#include "base/limits.h"
#include "message/head.h"
#include "message/header.h"
#include "message/node.h"

#include <endian.h>
#include <string.h>

/* private_offsets */
enum {
    AT_NODES,
    AT_ENVELOPE,
    AT_FIELDS,
    AT_FACTS,
    AT_PREVIEW,
    AT_END,
    AT_FLAGS,
};

static uint32_t get_u32(struct slice bytes, size_t at)
{
    uint32_t number;
    memcpy(&number, bytes.ptr + at, sizeof number);
    return le32toh(number);
}

static uint64_t get_u64(struct slice bytes, size_t at)
{
    return get_u32(bytes, at) | (uint64_t)get_u32(bytes, at + 4) << 32;
}

bool msg_summary_is_older(struct slice bytes)
{
    return bytes.len && slice_at(bytes, 0) > 0 && slice_at(bytes, 0) < MSG_SUMMARY_VERSION;
}

enum err msg_summary_open(struct slice bytes, struct msg_summary *out_summary)
{
    if (bytes.len < SUMMARY_HEAD_BYTES || slice_at(bytes, 0) != MSG_SUMMARY_VERSION)
        return ERR_CORRUPT;
    struct msg_summary summary = { .bytes = bytes };
    summary.private_offsets[AT_FLAGS] = slice_at(bytes, 1);
    for (size_t i = AT_NODES; i <= AT_PREVIEW; i++)
        summary.private_offsets[i] = get_u32(bytes, 12 + 4 * i);
    summary.private_offsets[AT_END] = get_u32(bytes, 4);
    if (summary.private_offsets[AT_NODES] != SUMMARY_HEAD_BYTES ||
        summary.private_offsets[AT_END] != bytes.len)
        return ERR_CORRUPT;
    for (size_t i = AT_NODES; i < AT_END; i++) {
        if (summary.private_offsets[i] > summary.private_offsets[i + 1])
            return ERR_CORRUPT;
    }
    if (summary.private_offsets[AT_PREVIEW] - summary.private_offsets[AT_FACTS] <
        SUMMARY_FACTS_BYTES)
        return ERR_CORRUPT;
    for (size_t i = 0; i < SUMMARY_TEXTS; i++) {
        uint32_t at = get_u32(bytes, summary.private_offsets[AT_FACTS] + SUMMARY_FACTS_TEXTS + 8 * i);
        uint32_t len = get_u32(bytes, summary.private_offsets[AT_FACTS] + SUMMARY_FACTS_TEXTS + 4 + 8 * i);
        if (at > bytes.len || len > bytes.len - at)
            return ERR_CORRUPT;
    }
    *out_summary = summary;
    return ERR_OK;
}

static struct slice section(const struct msg_summary *summary, size_t index)
{
    return slice_sub(summary->bytes, summary->private_offsets[index],
        summary->private_offsets[index + 1] - summary->private_offsets[index]);
}

/* ---- IMAP forms ---- */

static const struct slice envelope_nil = SLICE_CONST("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");

enum err msg_write_envelope(const struct msg_summary *summary, struct buf *out)
{
    struct slice envelope = section(summary, AT_ENVELOPE);
    buf_add(out, envelope.len ? envelope : envelope_nil);
    return buf_err(out);
}

/* Nodes in order with one read ahead. */
struct walk {
    struct slice rest;
    struct node next;
    bool has_next;
};

static void walk_init(struct walk *walk, const struct msg_summary *summary)
{
    walk->rest = section(summary, AT_NODES);
    walk->has_next = node_next(&walk->rest, &walk->next);
}

static bool walk_next(struct walk *walk, struct node *out_node)
{
    if (!walk->has_next)
        return false;
    *out_node = walk->next;
    walk->has_next = node_next(&walk->rest, &walk->next);
    return true;
}

static bool walk_has_child(const struct walk *walk, uint32_t depth)
{
    return walk->has_next && walk->next.depth == depth + 1;
}

static void add_quoted(struct buf *out, struct slice text)
{
    bool plain = true;
    for (size_t i = 0; i < text.len && plain; i++) {
        unsigned char c = slice_at(text, i);
        plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    }
    if (!plain) {
        buf_addf(out, "{%zu}\r\n", text.len);
        buf_add(out, text);
        return;
    }
    buf_addc(out, '"');
    buf_add(out, text);
    buf_addc(out, '"');
}

static void add_form(struct buf *out, struct slice form)
{
    buf_addc(out, ' ');
    buf_add(out, form.len ? form : SLICE("NIL"));
}

/* body-ext-1part and body-ext-mpart after their first member: disposition, language, location. */
static void add_extension(struct buf *out, const struct node *node)
{
    add_form(out, node->strings[NODE_DISPOSITION_FORM]);
    add_form(out, node->strings[NODE_LANGUAGE]);
    add_form(out, node->strings[NODE_LOCATION]);
}

static enum err add_body(struct walk *walk, bool extensible, struct buf *out);

static enum err add_multipart(
    struct walk *walk, const struct node *node, bool extensible, struct buf *out)
{
    if (!walk_has_child(walk,
            node->depth)) /* the grammar wants at least one part: an empty text, as others say */
        buf_add(out, extensible
                         ? SLICE("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "
                                 "0 0 NIL NIL NIL NIL)")
                         : SLICE("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "
                                 "0 0)"));
    while (walk_has_child(walk, node->depth))
        TRY(add_body(walk, extensible, out));
    buf_addc(out, ' ');
    add_quoted(out, node->strings[NODE_SUBTYPE]);
    if (extensible) {
        add_form(out, node->strings[NODE_PARAMS]);
        add_extension(out, node);
    }
    return ERR_OK;
}

static enum err add_single(
    struct walk *walk, const struct node *node, bool extensible, struct buf *out)
{
    add_quoted(out, node->strings[NODE_TYPE]);
    buf_addc(out, ' ');
    add_quoted(out, node->strings[NODE_SUBTYPE]);
    add_form(out, node->strings[NODE_PARAMS]);
    add_form(out, node->strings[NODE_ID]);
    add_form(out, node->strings[NODE_DESCRIPTION]);
    buf_addc(out, ' ');
    add_quoted(out, node->strings[NODE_ENCODING]);
    buf_addc(out, ' ');
    buf_addu(out, node->body_len);
    if (node->kind == NODE_MESSAGE) {
        if (!walk_has_child(walk, node->depth))
            return ERR_CORRUPT;
        struct slice envelope = walk->next.strings[NODE_ENVELOPE];
        buf_addc(out, ' ');
        buf_add(out, envelope.len ? envelope : envelope_nil);
        buf_addc(out, ' ');
        TRY(add_body(walk, extensible, out));
    }
    if (node->kind == NODE_MESSAGE || node->kind == NODE_TEXT) {
        buf_addc(out, ' ');
        buf_addu(out, node->body_lines);
    }
    if (extensible) {
        add_form(out, node->strings[NODE_MD5]);
        add_extension(out, node);
    }
    return ERR_OK;
}

/* body = "(" (body-type-1part / body-type-mpart) ")"  RFC 3501 §9. Depth is at most MIME_DEPTH_MAX: node_next sees to it. */
static enum err add_body(struct walk *walk, bool extensible, struct buf *out)
{
    struct node node;
    if (!walk_next(walk, &node))
        return ERR_CORRUPT;
    buf_addc(out, '(');
    if (node.kind == NODE_MULTIPART)
        TRY(add_multipart(walk, &node, extensible, out));
    else
        TRY(add_single(walk, &node, extensible, out));
    buf_addc(out, ')');
    return ERR_OK;
}

enum err msg_write_bodystructure(
    const struct msg_summary *summary, bool extensible, struct buf *out)
{
    struct walk walk;
    walk_init(&walk, summary);
    TRY(add_body(&walk, extensible, out));
    return buf_err(out);
}

/* ---- sections ---- */

/* Moves to the number-th child of the node last taken. */
static bool walk_child(struct walk *walk, uint32_t parent_depth, uint32_t number, struct node *out)
{
    uint32_t at = 0;
    struct node node;
    while (walk->has_next && walk->next.depth > parent_depth) {
        if (!walk_next(walk, &node))
            return false;
        if (node.depth == parent_depth + 1 && ++at == number) {
            *out = node;
            return true;
        }
    }
    return false;
}

/* The node that part numbers name (RFC 3501 §6.4.5): multiparts are counted through, and a message that is no multipart
 * has one part, itself. */
static bool part_find(
    struct walk *walk, const uint32_t *numbers, size_t count, struct node *out_node)
{
    struct node node;
    if (!walk_next(walk, &node))
        return false;
    bool is_message = true; /* node is a whole message, not yet its part */
    for (size_t i = 0; i < count; i++) {
        if (!is_message && node.kind == NODE_MESSAGE) {
            if (!walk_child(walk, node.depth, 1, &node))
                return false;
            is_message = true;
        }
        if (node.kind == NODE_MULTIPART) {
            if (!walk_child(walk, node.depth, numbers[i], &node))
                return false;
        } else if (!is_message || numbers[i] != 1) {
            return false;
        }
        is_message = false;
    }
    *out_node = node;
    return true;
}

enum err msg_find_section(const struct msg_summary *summary, const uint32_t *numbers, size_t count,
    enum msg_section wanted, struct msg_range *out_range)
{
    struct walk walk;
    struct node node;
    walk_init(&walk, summary);
    if (!part_find(&walk, numbers, count, &node))
        return ERR_NOT_FOUND;
    if (count && (wanted == MSG_SECTION_HEADER || wanted == MSG_SECTION_TEXT)) {
        if (node.kind != NODE_MESSAGE || !walk_child(&walk, node.depth, 1, &node))
            return ERR_NOT_FOUND;
    }
    struct msg_range range = { node.body_offset, node.body_len };
    if (wanted == MSG_SECTION_MIME && !count)
        return ERR_NOT_FOUND;
    if (wanted == MSG_SECTION_HEADER || wanted == MSG_SECTION_MIME)
        range = (struct msg_range){ node.header_offset, node.header_len };
    else if (wanted == MSG_SECTION_ALL && !count)
        range = (struct msg_range){ 0, node.body_offset + node.body_len };
    *out_range = range;
    return ERR_OK;
}

enum err msg_find_binary(const struct msg_summary *summary, const uint32_t *numbers, size_t count,
    struct msg_range *out_range, struct slice *out_encoding)
{
    struct walk walk;
    struct node node;
    walk_init(&walk, summary);
    TRY(msg_find_section(summary, numbers, count, MSG_SECTION_ALL, out_range));
    *out_encoding = SLICE("binary");
    if (count && part_find(&walk, numbers, count, &node))
        *out_encoding = msg_part_encoding(
            node.strings[NODE_TYPE], node.strings[NODE_SUBTYPE], node.strings[NODE_ENCODING]);
    return ERR_OK;
}

struct slice msg_part_encoding(struct slice type, struct slice subtype, struct slice encoding)
{
    bool is_message = slice_eq(type, SLICE("message")) && slice_eq(subtype, SLICE("rfc822"));
    bool is_encoded = slice_eq_nocase(encoding, SLICE("base64")) ||
                      slice_eq_nocase(encoding, SLICE("quoted-printable"));
    if (slice_eq(type, SLICE("multipart")) || (is_message && !is_encoded))
        return SLICE("binary");
    return encoding;
}

/* ---- fields, preview, facts, parts ---- */

bool msg_summary_fields(
    const struct msg_summary *summary, const struct slice *names, size_t count, struct buf *out)
{
    if (!(summary->private_offsets[AT_FLAGS] & SUMMARY_FIELDS_WHOLE))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!head_keeps(names[i]))
            return false;
    }
    msg_header_fields(section(summary, AT_FIELDS), names, count, false, out);
    return true;
}

struct slice msg_envelope(const struct msg_summary *summary)
{
    return section(summary, AT_ENVELOPE);
}

bool msg_kept_header(const struct msg_summary *summary, struct slice *out_header)
{
    *out_header = section(summary, AT_FIELDS);
    return summary->private_offsets[AT_FLAGS] & SUMMARY_FIELDS_WHOLE;
}

struct slice msg_preview(const struct msg_summary *summary)
{
    return section(summary, AT_PREVIEW);
}

void msg_facts(const struct msg_summary *summary, struct msg_facts *out_facts)
{
    struct slice bytes = summary->bytes;
    size_t at = summary->private_offsets[AT_FACTS];
    struct slice texts[SUMMARY_TEXTS];
    for (size_t i = 0; i < SUMMARY_TEXTS; i++)
        texts[i] = slice_sub(bytes, get_u32(bytes, at + SUMMARY_FACTS_TEXTS + 8 * i),
            get_u32(bytes, at + SUMMARY_FACTS_TEXTS + 4 + 8 * i));
    uint64_t date = get_u64(bytes, at);
    *out_facts = (struct msg_facts){
        .date_s = (int64_t)date,
        .date_tz_min = (int32_t)get_u32(bytes, at + 8),
        .surrogate_bytes = get_u64(bytes, at + 12),
        .subject = texts[0],
        .from = texts[1],
        .to = texts[2],
        .cc = texts[3],
        .bcc = texts[4],
        .message_id = texts[5],
        .base_subject = texts[6],
        .is_reply = summary->private_offsets[AT_FLAGS] & SUMMARY_IS_REPLY,
        .has_attachment = summary->private_offsets[AT_FLAGS] & SUMMARY_HAS_ATTACHMENT,
        .needs_utf8 = summary->private_offsets[AT_FLAGS] & SUMMARY_NEEDS_UTF8,
    };
}

bool msg_part_next(const struct msg_summary *summary, size_t *cursor, struct msg_part *out_part)
{
    struct slice nodes = section(summary, AT_NODES);
    struct slice rest = slice_from_index(nodes, *cursor);
    struct node node;
    if (!node_next(&rest, &node))
        return false;
    *cursor = nodes.len - rest.len;
    *out_part = (struct msg_part){
        .header_offset = node.header_offset,
        .header_len = node.header_len,
        .body_offset = node.body_offset,
        .body_len = node.body_len,
        .depth = node.depth,
        .type = node.strings[NODE_TYPE],
        .subtype = node.strings[NODE_SUBTYPE],
        .charset = node.strings[NODE_CHARSET],
        .encoding = node.strings[NODE_ENCODING],
        .filename = node.strings[NODE_FILENAME],
        .disposition = node.strings[NODE_DISPOSITION],
        .flowed = node.flags & NODE_FLOWED,
        .del_sp = node.flags & NODE_DEL_SP,
    };
    return true;
}
