/* Bytes as texts that are compared, and as the ENVELOPE of a damaged summary. Oracles: the collation of ASCII is capitals, that of UTF-8 is UTF-8, all
 * else stays as it is; what is taken out of an ENVELOPE lies inside it, and a name that was written is read again. */
#include "base/utf8.h"
#include "message/envelope.h"
#include "message/form.h"
#include "message/text.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_casemap(struct slice text)
{
    struct buf once;
    buf_init(&once, 0);
    text_casemap(text, &once);
    struct slice mapped = buf_slice(&once);
    if (!utf8_valid(text))
        assert(slice_eq(mapped, text));
    else
        assert(utf8_valid(mapped));
    if (slice_is_ascii(text)) {
        assert(mapped.len == text.len);
        for (size_t i = 0; i < text.len; i++)
            assert(mapped.ptr[i] == ascii_upper(text.ptr[i]));
    }
    buf_done(&once);
}

static void check_inside(struct slice all, const struct envelope_string *string)
{
    if (!string->bytes.ptr)
        return;
    assert(string->bytes.ptr >= all.ptr);
    assert(string->bytes.ptr + string->bytes.len <= all.ptr + all.len);
}

static void check_envelope(struct slice envelope)
{
    struct envelope_address firsts[ENVELOPE_FIRSTS];
    envelope_firsts(envelope, firsts);
    for (size_t i = 0; i < ENVELOPE_FIRSTS; i++) {
        check_inside(envelope, &firsts[i].name);
        check_inside(envelope, &firsts[i].mailbox);
        check_inside(envelope, &firsts[i].host);
    }
}

/* A string, written as a name, is the name that is read. */
static void check_written(struct slice text)
{
    if (memchr(text.ptr, 0, text.len)) /* NUL is left out */
        return;
    struct buf envelope, name;
    struct envelope_address firsts[ENVELOPE_FIRSTS];
    buf_init(&envelope, 0);
    buf_init(&name, 0);
    buf_adds(&envelope, "(NIL ");
    form_nstring(&envelope, text);
    buf_adds(&envelope, " NIL NIL NIL ((");
    form_nstring(&envelope, text);
    buf_adds(&envelope, " NIL \"a\" NIL)) NIL NIL NIL NIL)");
    envelope_firsts(buf_slice(&envelope), firsts);
    envelope_text(&firsts[ENVELOPE_TO].name, &name);
    assert(slice_eq(buf_slice(&name), text));
    buf_done(&envelope);
    buf_done(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice text = slice_from(len ? (const char *)bytes : "", len);
    check_casemap(text);
    check_envelope(text);
    check_written(text);
    return 0;
}
