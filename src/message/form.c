/* Strings go out quoted whenever RFC 3501 §9 "quoted" lets them: 7-bit, no CR, LF or NUL. All else is a literal. */
#include "message/form.h"

#include "base/limits.h"
#include "message/address.h"
#include "message/lex.h"

#include <string.h>

static void form_literal(struct buf *out, struct slice text)
{
    size_t nuls = 0;
    for (size_t i = 0; i < text.len; i++)
        nuls += text.ptr[i] == 0;
    buf_addf(out, "{%zu}\r\n", text.len - nuls);
    if (!nuls) {
        buf_add(out, text);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i])
            buf_addc(out, text.ptr[i]);
    }
}

void form_nstring(struct buf *out, struct slice text)
{
    if (!text.ptr) {
        buf_add(out, SLICE("NIL"));
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        if (c >= 0x80 || c == 0 || c == '\r' || c == '\n') {
            form_literal(out, text);
            return;
        }
    }
    buf_add_quoted(out, text);
}

/* Only the blanks between the colon and the text are no part of the value; blanks at the end, and those of a fold right after
 * the colon, are. Dovecot and Cyrus give them so. */
enum err form_text(struct arena *arena, struct buf *out, struct slice raw, size_t bytes_max)
{
    if (raw.ptr) {
        raw = slice_sub(raw, 0, bytes_max);
        while (raw.len && (raw.ptr[0] == ' ' || raw.ptr[0] == '\t'))
            raw = slice_from_index(raw, 1);
        raw = lex_unfold(arena, raw);
        if (!raw.ptr)
            return ERR_LIMIT;
    }
    form_nstring(out, raw);
    return ERR_OK;
}

/* ---- ENVELOPE ---- */

/* address = "(" name route mailbox host ")". Host NIL marks a group, so a lost host gets a name that says so. */
static void form_address(struct buf *out, const struct msg_address *address)
{
    struct slice mailbox = address->mailbox, host = address->host;
    if (host.ptr && !host.len)
        host = SLICE("MISSING_DOMAIN");
    if (host.ptr && !mailbox.len && !address->empty_mailbox)
        mailbox = SLICE("MISSING_MAILBOX");
    buf_addc(out, '(');
    form_nstring(out, address->name);
    buf_addc(out, ' ');
    form_nstring(out, address->route);
    buf_addc(out, ' ');
    form_nstring(out, mailbox);
    buf_addc(out, ' ');
    form_nstring(out, host);
    buf_addc(out, ')');
}

/* The start of value that fits into *left bytes; cut between two addresses where that can be told. */
static struct slice cut_value(struct slice value, size_t *left)
{
    if (value.len > *left) {
        value = slice_sub(value, 0, *left);
        const char *comma = memrchr(value.ptr, ',', value.len);
        if (comma)
            value.len = (size_t)(comma - value.ptr);
        *left = 0;
    } else {
        *left -= value.len;
    }
    return value;
}

/* Appends the list and says whether there was anything; *left counts down the addresses that ENVELOPE may still give. */
static enum err form_addresses(struct arena *arena, const struct head_values *values,
    size_t bytes_max, size_t *left, struct buf *out, bool *out_any)
{
    size_t start = buf_len(out);
    bool any = false;
    for (size_t i = 0; i < values->count && *left && bytes_max; i++) {
        struct msg_address *list;
        size_t count;
        TRY(msg_addresses(arena, cut_value(values->at[i], &bytes_max), *left, &list, &count));
        for (size_t k = 0; k < count; k++) {
            if (!any)
                buf_addc(out, '(');
            any = true;
            form_address(out, &list[k]);
        }
        *left -= count;
    }
    if (any)
        buf_addc(out, ')');
    else
        buf_truncate(out, start);
    *out_any = any;
    return ERR_OK;
}

enum err form_envelope(struct arena *arena, const struct head *head, struct buf *out)
{
    size_t left = MIME_ADDRESSES_MAX;
    buf_addc(out, '(');
    TRY(form_text(arena, out, head->texts[HEAD_DATE], ENVELOPE_TEXT_BYTES_MAX));
    buf_addc(out, ' ');
    TRY(form_text(arena, out, head->texts[HEAD_SUBJECT], ENVELOPE_SUBJECT_BYTES_MAX));
    buf_addc(out, ' ');
    size_t from_start = buf_len(out);
    size_t from_len = 0;
    for (int i = HEAD_FROM; i < HEAD_LISTS; i++) {
        bool any;
        size_t bytes_max = i <= HEAD_REPLY_TO ? ENVELOPE_TEXT_BYTES_MAX : ENVELOPE_LIST_BYTES_MAX;
        TRY(form_addresses(arena, &head->lists[i], bytes_max, &left, out, &any));
        if (!any &&
            (i == HEAD_SENDER || i == HEAD_REPLY_TO)) { /* RFC 3501 §7.4.2: From stands in */
            char *room = buf_room(out, from_len);
            if (room) {
                memcpy(room, buf_slice(out).ptr + from_start, from_len);
                buf_wrote(out, from_len);
            }
        } else if (!any) {
            buf_add(out, SLICE("NIL"));
        }
        if (i == HEAD_FROM)
            from_len = buf_len(out) - from_start;
        buf_addc(out, ' ');
    }
    TRY(form_text(arena, out, head->texts[HEAD_IN_REPLY_TO], ENVELOPE_TEXT_BYTES_MAX));
    buf_addc(out, ' ');
    TRY(form_text(arena, out, head->texts[HEAD_MESSAGE_ID], ENVELOPE_TEXT_BYTES_MAX));
    buf_addc(out, ')');
    return buf_err(out);
}

/* ---- BODYSTRUCTURE ---- */

void form_params(struct buf *out, const struct mime_value *value)
{
    if (!value->count) {
        buf_add(out, SLICE("NIL"));
        return;
    }
    for (size_t i = 0; i < value->count; i++) {
        buf_addc(out, i ? ' ' : '(');
        form_nstring(out, value->params[i].name);
        buf_addc(out, ' ');
        form_nstring(out, value->params[i].value);
    }
    buf_addc(out, ')');
}

void form_disposition(struct buf *out, const struct mime_value *value)
{
    buf_addc(out, '(');
    form_nstring(out, value->type);
    buf_addc(out, ' ');
    form_params(out, value);
    buf_addc(out, ')');
}

static bool ends_tag(char c)
{
    return lex_is_blank(c) || memchr(",;:@\"(", c, 6);
}

/* What follows a tag without a "," is not read. */
void form_language(struct buf *out, struct slice raw)
{
    struct lex lex = { .rest = raw };
    bool any = false;
    for (;;) {
        lex_cfws(&lex, NULL);
        size_t len = 0;
        while (len < lex.rest.len && !ends_tag(lex.rest.ptr[len]))
            len++;
        if (len) {
            buf_addc(out, any ? ' ' : '(');
            form_nstring(out, slice_sub(lex.rest, 0, len));
            any = true;
        }
        lex_skip(&lex, len);
        lex_cfws(&lex, NULL);
        if (lex_peek(&lex) != ',')
            break;
        lex_skip(&lex, 1);
    }
    if (any)
        buf_addc(out, ')');
    else
        buf_add(out, SLICE("NIL"));
}
