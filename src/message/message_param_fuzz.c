/* Bytes as Content-Type or Content-Disposition, and as a value of RFC 2231. Oracles: never more than MIME_PARAMETERS_MAX; what is written out
 * in quoted form is read again as the same; a percent-encoded value comes back. */
#include "message/param.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "message/text_int.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void add_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"' || c == '\\' || c == '\r' || c == '\n')
            buf_addc(out, '\\');
        buf_addc(out, c);
    }
}

/* False when a name is left over from continuations: another reading may join it. */
static bool write_value(const struct mime_value *value, struct buf *out)
{
    buf_add(out, value->type);
    if (value->subtype.len) {
        buf_addc(out, '/');
        buf_add(out, value->subtype);
    }
    for (size_t i = 0; i < value->count; i++) {
        struct slice name = value->params[i].name;
        size_t star = slice_index(name, '*');
        if (star + 1 < name.len)
            return false;
        buf_addc(out, ';');
        buf_add(out, name);
        buf_adds(out, "=\"");
        add_escaped(out, value->params[i].value);
        buf_addc(out, '"');
    }
    return true;
}

static void check_value(struct slice text)
{
    struct arena arena;
    struct mime_value value, again;
    struct buf out;
    arena_init(&arena, 16u << 20);
    buf_init(&out, 0);
    enum err e = mime_value_parse(&arena, text, &value);
    assert(e == ERR_OK || e == ERR_LIMIT);
    if (e == ERR_OK) {
        assert(value.count <= MIME_PARAMETERS_MAX);
        for (size_t i = 0; i < value.count; i++)
            assert(value.params[i].name.ptr && value.params[i].value.ptr);
        if (write_value(&value, &out) && mime_value_parse(&arena, buf_slice(&out), &again) == ERR_OK) {
            assert(slice_eq(again.type, value.type) && slice_eq(again.subtype, value.subtype));
            assert(again.count == value.count);
            for (size_t i = 0; i < value.count; i++) {
                assert(slice_eq(again.params[i].name, value.params[i].name));
                assert(slice_eq(again.params[i].value, value.params[i].value));
            }
        }
    }
    assert(mime_token(text).len <= text.len);
    buf_done(&out);
    arena_done(&arena);
}

static void check_extended(struct slice text)
{
    struct buf out, encoded;
    buf_init(&out, 0);
    buf_init(&encoded, 0);
    msg_decode_extended(text, &out);
    assert(utf8_valid(buf_slice(&out)));
    assert(buf_len(&out) <= text.len * 12 + 16);
    if (utf8_valid(text)) {
        buf_adds(&encoded, "UTF-8'ar'");
        for (size_t i = 0; i < text.len; i++)
            buf_addf(&encoded, "%%%02x", slice_at(text, i));
        buf_clear(&out);
        msg_decode_extended(buf_slice(&encoded), &out);
        assert(slice_eq(buf_slice(&out), text));
    }
    buf_done(&out);
    buf_done(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice text = slice_from(bytes, len);
    check_value(text);
    check_extended(text);
    return 0;
}
