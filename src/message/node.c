/* Reading trusts no byte: a summary may come from a damaged database. */
#include "message/node.h"

#include "base/limits.h"

static size_t varint_put(char *out, uint64_t number)
{
    size_t len = 0;
    while (number >= 0x80) {
        out[len++] = (char)(number | 0x80);
        number >>= 7;
    }
    out[len++] = (char)number;
    return len;
}

static bool long_varint_get(struct slice *bytes, uint64_t *out_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes->len && i < 9; i++) {
        unsigned char c = slice_at(*bytes, i);
        number |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            *out_number = number;
            *bytes = slice_from_index(*bytes, i + 1);
            return true;
        }
    }
    return false;
}

/* Most numbers have one byte. */
static inline bool varint_get(struct slice *bytes, uint64_t *out_number)
{
    if (!bytes->len || slice_at(*bytes, 0) >= 0x80)
        return long_varint_get(bytes, out_number);
    *out_number = slice_at(*bytes, 0);
    *bytes = slice_from_index(*bytes, 1);
    return true;
}

void node_write_string(struct buf *out, struct slice string)
{
    char length[10];
    buf_add(out, slice_from(length, varint_put(length, string.len)));
    buf_add(out, string);
}

void node_write(struct buf *out, const struct node *node, struct slice strings)
{
    char head[80];
    size_t len = 0;
    head[len++] = (char)node->kind;
    len += varint_put(head + len, node->depth);
    len += varint_put(head + len, node->header_offset);
    len += varint_put(head + len, node->header_len);
    len += varint_put(head + len, node->body_offset);
    len += varint_put(head + len, node->body_len);
    len += varint_put(head + len, node->body_lines);
    len += varint_put(head + len, node->flags);
    char length[10];
    buf_add(out, slice_from(length, varint_put(length, len + strings.len)));
    buf_add(out, slice_from(head, len));
    buf_add(out, strings);
}

bool node_next(struct slice *nodes, struct node *out_node)
{
    struct slice rest = *nodes;
    uint64_t len, depth, flags;
    if (!varint_get(&rest, &len) || len > rest.len || len < 1)
        return false;
    struct slice body = slice_sub(rest, 0, (size_t)len);
    out_node->kind = (enum node_kind)slice_at(body, 0);
    body = slice_from_index(body, 1);
    if (out_node->kind >= NODE_KINDS || !varint_get(&body, &depth) || depth > MIME_DEPTH_MAX ||
        !varint_get(&body, &out_node->header_offset) || !varint_get(&body, &out_node->header_len) ||
        !varint_get(&body, &out_node->body_offset) || !varint_get(&body, &out_node->body_len) ||
        !varint_get(&body, &out_node->body_lines) || !varint_get(&body, &flags) ||
        flags > UINT32_MAX)
        return false;
    out_node->depth = (uint32_t)depth;
    out_node->flags = (uint32_t)flags;
    for (int i = 0; i < NODE_STRINGS; i++) {
        uint64_t string_len;
        if (!varint_get(&body, &string_len) || string_len > body.len)
            return false;
        out_node->strings[i] = slice_sub(body, 0, (size_t)string_len);
        body = slice_from_index(body, (size_t)string_len);
    }
    *nodes = slice_from_index(rest, (size_t)len);
    return true;
}
