/* The one folding. ASCII and Arabic, which most text here is, go through a table one character at a time; everything else goes
 * through libunistring (NFKD with case folding, then NFC) and the same table. Marks are dropped, so a decomposed letter
 * and a whole one come out alike. */
#include "message/text.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

#define CHAR_NONE 0xffffffffu /* folds to nothing */

static bool is_mark(uint32_t c)
{
    return (c >= 0x0300 && c <= 0x036f) || (c >= 0x0591 && c <= 0x05bd) || c == 0x05bf ||
           (c >= 0x0610 && c <= 0x061a) || (c >= 0x064b && c <= 0x065f) || c == 0x0670 ||
           (c >= 0x06d6 && c <= 0x06dc) || (c >= 0x06df && c <= 0x06e8) ||
           (c >= 0x06ea && c <= 0x06ed) || (c >= 0x08d3 && c <= 0x08ff) ||
           (c >= 0x1ab0 && c <= 0x1aff) || (c >= 0x1dc0 && c <= 0x1dff) ||
           (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe20 && c <= 0xfe2f);
}

/* Characters that nobody sees: tatweel, soft hyphen, joiners, direction marks, byte order mark, variation selectors. */
static bool is_invisible(uint32_t c)
{
    return c == 0x0640 || c == 0x00ad || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff ||
           (c >= 0xfe00 && c <= 0xfe0f);
}

/* Folds one character of the scripts we treat specially; others are given back as they are. */
static uint32_t fold_char(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (is_mark(c) || is_invisible(c))
        return CHAR_NONE;
    if (c == 0x2028 || c == 0x2029 || c == 0x85)
        return ' ';
    if (c < 0x0621 || c > 0x06f9)
        return c;
    if (c >= 0x0660 && c <= 0x0669) /* Arabic-Indic digits */
        return c - 0x0660 + '0';
    if (c >= 0x06f0 && c <= 0x06f9) /* their Persian and Urdu forms */
        return c - 0x06f0 + '0';
    switch (c) {
    case 0x0622: /* alef with madda, hamza above, hamza below; alef wasla and its kind */
    case 0x0623:
    case 0x0625:
    case 0x0671:
    case 0x0672:
    case 0x0673:
        return 0x0627;
    case 0x0624: /* waw with hamza */
        return 0x0648;
    case 0x0626: /* ya with hamza, alef maqsura, Persian ya */
    case 0x0649:
    case 0x06cc:
        return 0x064a;
    case 0x0629: /* ta marbuta */
        return 0x0647;
    case 0x06a9: /* Persian kaf */
        return 0x0643;
    case 0x06c0:
        return 0x06d5;
    case 0x06c2:
        return 0x06c1;
    case 0x06d3:
        return 0x06d2;
    default:
        return c;
    }
}

/* True when fold_char alone is the whole folding of c. */
static bool is_simple(uint32_t c)
{
    if (c < 0x80)
        return true;
    return c >= 0x0600 && c <= 0x06ff && !(c >= 0x0675 && c <= 0x0678);
}

struct folder {
    struct buf *out;
    bool blank; /* the last character was one */
};

static void add_char(struct folder *folder, uint32_t c)
{
    c = fold_char(c);
    if (c == CHAR_NONE)
        return;
    bool blank = c == ' ' || (c >= '\t' && c <= '\r');
    if (blank && folder->blank)
        return;
    folder->blank = blank;
    char bytes[4];
    if (blank)
        buf_addc(folder->out, ' ');
    else
        buf_add(folder->out, slice_from(bytes, utf8_encode(c, bytes)));
}

static void add_all(struct folder *folder, struct slice utf8)
{
    uint32_t c;
    for (size_t at = 0; at < utf8.len;) {
        size_t len = utf8_decode(utf8, at, &c);
        if (!len) {
            c = 0xfffd;
            len = 1;
        }
        add_char(folder, c);
        at += len;
    }
}

/* Only what composing a string without marks can still change: Hangul syllables, Indic letters. */
static void add_composed(struct folder *folder, struct slice utf8)
{
    size_t len = 0;
    uint8_t *composed = u8_normalize(UNINORM_NFC, (const uint8_t *)utf8.ptr, utf8.len, NULL, &len);
    add_all(folder, composed ? slice_from(composed, len) : utf8);
    free(composed);
}

/* A run of characters that need Unicode's tables. It is valid UTF-8. */
static void add_slow(struct folder *folder, struct slice run)
{
    size_t len = 0;
    uint8_t *folded =
        u8_casefold((const uint8_t *)run.ptr, run.len, NULL, UNINORM_NFKD, NULL, &len);
    if (!folded) {
        add_all(folder, run);
        return;
    }
    struct buf without_marks;
    buf_init(&without_marks, 0);
    struct folder inner = { .out = &without_marks, .blank = folder->blank };
    add_all(&inner, slice_from(folded, len));
    free(folded);
    add_composed(folder, buf_slice(&without_marks));
    buf_done(&without_marks);
}

#define SLOW_RUN_BYTES_MAX 4096u

void text_fold(struct slice utf8, struct buf *out)
{
    struct folder folder = { .out = out };
    size_t at = 0;
    while (at < utf8.len && !out->over) {
        uint32_t c;
        size_t len = utf8_decode(utf8, at, &c);
        if (!len) {
            add_char(&folder, 0xfffd);
            at++;
            continue;
        }
        if (is_simple(c)) {
            add_char(&folder, c);
            at += len;
            continue;
        }
        size_t end = at; /* the run ends where a simple character or no character begins */
        while (len && !is_simple(c) && end - at < SLOW_RUN_BYTES_MAX) {
            end += len;
            len = utf8_decode(utf8, end, &c);
        }
        add_slow(&folder, slice_sub(utf8, at, end - at));
        at = end;
    }
}
