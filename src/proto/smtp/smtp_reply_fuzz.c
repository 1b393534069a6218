/* Whatever a server says. Oracles: what comes back lies inside the line; what was understood, written out again, is understood the same. xtext has neither blanks
 * nor controls, whatever went in, and nothing is lost in it. */
#include "base/encode.h"
#include "proto/smtp/smtp_reply.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void try_reply(struct slice line)
{
    struct smtp_reply_line got, again;
    struct buf text;
    if (smtp_parse_reply(line, &got))
        return;
    assert(lies_in(got.text, line));
    buf_init(&text, 0);
    buf_addf(&text, "%d%c", got.code, got.last ? ' ' : '-');
    buf_add(&text, got.text);
    enum err e = smtp_parse_reply(buf_slice(&text), &again);
    assert(e == ERR_OK);
    assert(again.code == got.code);
    assert(again.last == got.last);
    assert(slice_eq(again.text, got.text));
    buf_done(&text);
}

static void try_xtext(struct slice in)
{
    struct buf text;
    size_t at = 0;
    buf_init(&text, 0);
    smtp_write_xtext(in, &text);
    struct slice out = buf_slice(&text);
    for (size_t i = 0; i < in.len; i++) {
        assert(at < out.len);
        unsigned char c = slice_at(out, at);
        if (c == '+') {
            c = (unsigned char)(hex_digit(out.ptr[at + 1]) * 16 + hex_digit(out.ptr[at + 2]));
            at += 2;
        }
        assert(c == slice_at(in, i));
        at++;
    }
    assert(at == out.len);
    for (size_t i = 0; i < out.len; i++)
        assert(slice_at(out, i) > ' ' && slice_at(out, i) < 0x7f);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice line = slice_from(data, size), rest;
    try_reply(line);
    try_xtext(line);
    (void)smtp_parse_extension(line, &rest);
    assert(lies_in(rest, line));
    return 0;
}
