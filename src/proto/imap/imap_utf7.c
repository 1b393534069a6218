/* Modified UTF-7. The decoder accepts the one canonical form only, so that a name comes back from LIST as it was given. */
#include "proto/imap/imap_utf7.h"

#include "base/utf8.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == ',' ? 63 : -1;
}

static bool is_direct(uint32_t c)
{
    return c >= 0x20 && c <= 0x7E;
}

/* One UTF-16 unit; *high holds a surrogate that waits for its other half. */
static enum err unit_decode(uint32_t unit, uint32_t *high, struct buf *out)
{
    uint32_t c = unit;
    if (unit >= 0xDC00 && unit <= 0xDFFF) {
        if (!*high)
            return ERR_SYNTAX;
        c = 0x10000 + ((*high - 0xD800) << 10) + (unit - 0xDC00);
        *high = 0;
    } else if (*high) {
        return ERR_SYNTAX;
    } else if (unit >= 0xD800 && unit <= 0xDBFF) {
        *high = unit;
        return ERR_OK;
    }
    if (c < 0x20 || c == 0x7F || is_direct(c))
        return ERR_SYNTAX;
    char bytes[4];
    buf_add(out, slice_from(bytes, utf8_encode(c, bytes)));
    return ERR_OK;
}

/* The run text[*at ..] behind "&", up to and with its "-". */
static enum err run_decode(struct slice text, size_t *at, struct buf *out)
{
    uint32_t bits = 0, high = 0;
    unsigned have = 0;
    size_t i = *at;
    for (; i < text.len && text.ptr[i] != '-'; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0)
            return ERR_SYNTAX;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have < 16)
            continue;
        have -= 16;
        TRY(unit_decode(bits >> have & 0xFFFF, &high, out));
        bits &= (1u << have) - 1;
    }
    bool whole = i < text.len && i > *at && have < 6 && bits == 0 && high == 0;
    if (!whole)
        return ERR_SYNTAX;
    *at = i + 1;
    return ERR_OK;
}

enum err imap_utf7_decode(struct slice text, struct buf *out)
{
    bool after_run = false;
    for (size_t i = 0; i < text.len;) {
        char c = text.ptr[i++];
        if (!is_direct((unsigned char)c))
            return ERR_SYNTAX;
        if (c != '&') {
            buf_addc(out, c);
            after_run = false;
        } else if (i < text.len && text.ptr[i] == '-') {
            i++;
            buf_addc(out, '&');
            after_run = false;
        } else {
            if (after_run)
                return ERR_SYNTAX;
            TRY(run_decode(text, &i, out));
            after_run = true;
        }
    }
    return buf_err(out);
}

struct run {
    uint32_t bits;
    unsigned have;
};

static void run_add(struct run *run, uint32_t unit, struct buf *out)
{
    run->bits = run->bits << 16 | unit;
    run->have += 16;
    while (run->have >= 6) {
        run->have -= 6;
        buf_addc(out, digits[run->bits >> run->have & 63]);
    }
    run->bits &= (1u << run->have) - 1;
}

static void run_end(struct run *run, struct buf *out)
{
    if (run->have)
        buf_addc(out, digits[run->bits << (6 - run->have) & 63]);
    buf_addc(out, '-');
    *run = (struct run){ 0 };
}

enum err imap_utf7_encode(struct slice utf8, struct buf *out)
{
    struct run run = { 0 };
    bool in_run = false;
    for (size_t i = 0; i < utf8.len;) {
        uint32_t c;
        size_t len = utf8_decode(utf8, i, &c);
        if (!len)
            return ERR_SYNTAX;
        i += len;
        if (is_direct(c)) {
            if (in_run)
                run_end(&run, out);
            in_run = false;
            buf_addc(out, (char)c);
            if (c == '&')
                buf_addc(out, '-');
            continue;
        }
        if (!in_run)
            buf_addc(out, '&');
        in_run = true;
        if (c >= 0x10000) {
            run_add(&run, 0xD800 + ((c - 0x10000) >> 10), out);
            run_add(&run, 0xDC00 + ((c - 0x10000) & 0x3FF), out);
        } else {
            run_add(&run, c, out);
        }
    }
    if (in_run)
        run_end(&run, out);
    return buf_err(out);
}
