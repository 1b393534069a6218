/* The one folding. Arabic, Latin, Greek, Cyrillic and Han, which most text is, go one character at a time through tables; everything
 * else goes through libunistring (NFKD with case folding, then NFC) and the same tables. Marks are dropped, so a
 * decomposed letter and a whole one come out alike. */
#include "message/fold_table.h"
#include "message/text.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

#define CHAR_NONE 0xffffffffu /* folds to nothing */

static bool is_mark(uint32_t c)
{
    return (c >= 0x0300 && c <= 0x036f) || (c >= 0x0591 && c <= 0x05bd) || c == 0x05bf ||
           c == 0x05c1 || c == 0x05c2 || c == 0x05c4 || c == 0x05c5 || c == 0x05c7 ||
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

/* Letters that Unicode does not take apart, and that people without the keyboard write in ASCII. */
static uint32_t fold_latin(uint32_t c)
{
    switch (c) {
    case 0xf0: /* eth, d with stroke */
    case 0x111:
        return 'd';
    case 0xf8:
        return 'o';
    case 0x127:
        return 'h';
    case 0x131: /* dotless i */
        return 'i';
    case 0x142:
        return 'l';
    case 0x167:
        return 't';
    case 0x2bc: /* modifier apostrophe */
        return '\'';
    default:
        return c;
    }
}

/* Quotes and dashes that programs put in place of those on the keyboard. */
static uint32_t fold_sign(uint32_t c)
{
    if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212)
        return '-';
    if (c >= 0x2018 && c <= 0x201b)
        return '\'';
    return c >= 0x201c && c <= 0x201f ? '"' : c;
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
    if (c < 0x0300)
        return fold_latin(c);
    if (c >= 0x2010 && c <= 0x2212)
        return fold_sign(c);
    if (c < 0x060c || c > 0x06f9)
        return c;
    if (c >= 0x0660 && c <= 0x0669) /* Arabic-Indic digits */
        return c - 0x0660 + '0';
    if (c >= 0x06f0 && c <= 0x06f9) /* their Persian and Urdu forms */
        return c - 0x06f0 + '0';
    switch (c) {
    case 0x060c: /* comma, thousands separator */
    case 0x066c:
        return ',';
    case 0x061b:
        return ';';
    case 0x061f:
        return '?';
    case 0x066a:
        return '%';
    case 0x066b:
        return '.';
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
    case 0x0629: /* ta marbuta; the forms of ha on Persian, Urdu and Kurdish keyboards */
    case 0x06be:
    case 0x06c0:
    case 0x06c1:
    case 0x06c2:
    case 0x06c3:
    case 0x06d5:
        return 0x0647;
    case 0x06a9: /* Persian kaf, swash kaf */
    case 0x06aa:
        return 0x0643;
    case 0x06d3:
        return 0x06d2;
    default:
        return c;
    }
}

#define FOLD_TABLE_END (FOLD_TABLE_FIRST + sizeof fold_table / sizeof fold_table[0])

/* The whole folding of c when it needs no look at its neighbours. False: Unicode's tables have to be asked. */
static bool fold_simple(uint32_t c, uint32_t *out_char)
{
    if (c >= FOLD_TABLE_FIRST && c < FOLD_TABLE_END) {
        uint32_t folded = fold_table[c - FOLD_TABLE_FIRST];
        if (!folded)
            return false;
        *out_char = folded == 0xffff ? CHAR_NONE : folded;
        return true;
    }
    bool arabic = c >= 0x0600 && c <= 0x06ff && !(c >= 0x0675 && c <= 0x0678);
    bool han = (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff);
    bool sign = c >= 0x2010 && c <= 0x2023 && c != 0x2017; /* the others fall apart into several */
    if (c >= 0x80 && !arabic && !han && !sign)
        return false;
    *out_char = fold_char(c);
    return true;
}

struct folder {
    struct buf *out;
    bool blank; /* the last character was one */
};

static void add_char(struct folder *folder, uint32_t c)
{
    if (c == 0xe6 || c == 0x153) { /* ae, oe as one letter */
        buf_adds(folder->out, c == 0xe6 ? "ae" : "oe");
        folder->blank = false;
        return;
    }
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

#define RUN_BYTES_MAX 4096u

/* Characters that fold one by one, up to the first that does not. What comes out is never longer than what goes in. Returns what
 * was used. */
static size_t add_simple(struct folder *folder, struct slice utf8)
{
    utf8 = slice_sub(utf8, 0, RUN_BYTES_MAX);
    char *room = buf_room(folder->out, utf8.len);
    if (!room)
        return utf8.len;
    size_t at = 0, len = 0;
    bool blank = folder->blank;
    while (at < utf8.len) {
        unsigned char byte = slice_at(utf8, at);
        uint32_t c = byte;
        size_t used = 1;
        if (byte < 0x80) {
            c = byte >= 'A' && byte <= 'Z' ? byte + 32u : byte;
        } else {
            used = utf8_decode(utf8, at, &c);
            if (!used || !fold_simple(c, &c))
                break;
        }
        at += used;
        if (c == CHAR_NONE)
            continue;
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            if (!blank)
                room[len++] = ' ';
            blank = true;
            continue;
        }
        blank = false;
        if (c < 0x80)
            room[len++] = (char)c;
        else
            len += utf8_encode(c, room + len);
    }
    folder->blank = blank;
    buf_wrote(folder->out, len);
    return at;
}

void text_fold(struct slice utf8, struct buf *out)
{
    struct folder folder = { .out = out };
    size_t at = 0;
    while (at < utf8.len && !out->over) {
        at += add_simple(&folder, slice_from_index(utf8, at));
        uint32_t c, folded;
        size_t len = utf8_decode(utf8, at, &c);
        if (!len) {
            if (at < utf8.len)
                add_char(&folder, 0xfffd);
            at++;
            continue;
        }
        /* The run ends where a simple character or no character begins. What is dropped does not end it: the marks on both sides of it come together, and have
         * an order of their own. */
        size_t end = at;
        while (
            len && (!fold_simple(c, &folded) || folded == CHAR_NONE) && end - at < RUN_BYTES_MAX) {
            end += len;
            len = utf8_decode(utf8, end, &c);
        }
        if (end > at)
            add_slow(&folder, slice_sub(utf8, at, end - at));
        at = end;
    }
}
