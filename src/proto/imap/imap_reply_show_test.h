/* An answer in canonical form: strings as literals or quoted, one blank between values. For the unit test and the fuzz oracle. */
#ifndef PROTO_IMAP_REPLY_SHOW_TEST_H
#define PROTO_IMAP_REPLY_SHOW_TEST_H

#include "base/buf.h"
#include "proto/imap/imap_reply.h"

static inline void show_quoted(struct slice s, struct buf *out)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"' || s.ptr[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, s.ptr[i]);
    }
    buf_addc(out, '"');
}

/* In a code everything is on one line. */
static inline void show_values(const struct imap_value *value, bool in_code, struct buf *out)
{
    for (; value; value = value->next) {
        if (value->kind == IMAP_VALUE_LIST) {
            buf_addc(out, '(');
            show_values(value->first, in_code, out);
            buf_addc(out, ')');
        } else if (value->kind == IMAP_VALUE_STRING && in_code) {
            show_quoted(value->text, out);
        } else if (value->kind == IMAP_VALUE_STRING) {
            buf_addf(out, "{%zu}\r\n", value->text.len);
            buf_add(out, value->text);
        } else {
            buf_add(out, value->text);
        }
        if (value->next)
            buf_addc(out, ' ');
    }
}

static inline void show_reply(const struct imap_reply *reply, struct buf *out)
{
    static const char *const words[] = { "", "OK", "NO", "BAD", "BYE", "PREAUTH" };
    buf_add(out, reply->tag);
    if (reply->numbered)
        buf_addf(out, " %u", reply->number);
    if (reply->name.len) {
        buf_addc(out, ' ');
        buf_add(out, reply->name);
        if (reply->values)
            buf_addc(out, ' ');
        show_values(reply->values, false, out);
    } else {
        if (reply->status)
            buf_addf(out, " %s", words[reply->status]);
        if (reply->code.len) {
            buf_adds(out, " [");
            buf_add(out, reply->code);
            if (reply->code_values)
                buf_addc(out, ' ');
            show_values(reply->code_values, true, out);
            buf_addc(out, ']');
        }
        buf_addc(out, ' ');
        buf_add(out, reply->text);
    }
    buf_adds(out, "\r\n");
}

#endif
