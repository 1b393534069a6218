#include "import/names.h"

#include "base/encode.h"
#include "base/utf8.h"
#include "proto/imap/imap_utf7.h"
#include "store/store.h"

static void add_shown(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t len = utf8_decode(text, i, &c);
        bool plain = len > 0 && c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && c != '/';
        if (plain)
            buf_add(out, slice_sub(text, i, len));
        else
            buf_addc(out, '?');
        i += len ? len : 1;
    }
}

/* One level as it is shown. */
static void add_level(struct slice level, struct buf *out)
{
    struct buf decoded;
    buf_init(&decoded, 0);
    bool utf7 = imap_utf7_decode(level, &decoded) == ERR_OK;
    add_shown(utf7 ? buf_slice(&decoded) : level, out);
    buf_done(&decoded);
}

/* A "%" that begins no escape stays: of a level that was cut. */
static void add_exported(struct slice level, struct buf *out)
{
    struct buf decoded;
    buf_init(&decoded, 0);
    for (size_t i = 0; i < level.len; i++) {
        char byte = level.ptr[i];
        if (byte == '%' && i + 1 < level.len && level.ptr[i + 1] == '&')
            byte = level.ptr[++i];
        else if (byte == '%' && hex_decode(slice_sub(level, i + 1, 2), &byte, 1) == ERR_OK)
            i += 2;
        buf_addc(&decoded, byte);
    }
    add_shown(buf_slice(&decoded), out);
    buf_done(&decoded);
}

static void add_levels(struct slice name, char separator,
    void (*add)(struct slice level, struct buf *out), struct buf *out)
{
    struct slice level;
    bool first = true;
    while (slice_cut(&name, separator, &level)) {
        if (level.len == 0)
            continue;
        if (!first)
            buf_addc(out, '/');
        add(level, out);
        first = false;
    }
}

void import_folder_name(struct slice name, char separator, struct buf *out)
{
    add_levels(name, separator, add_level, out);
}

void import_exported_name(struct slice name, struct buf *out)
{
    add_levels(name, '/', add_exported, out);
}

int64_t import_name_time(struct slice name)
{
    uint64_t n;
    size_t len = 0;
    while (len < name.len && slice_at(name, len) >= '0' && slice_at(name, len) <= '9')
        len++;
    /* far beyond any clock: a number of another kind */
    return slice_to_u64(slice_sub(name, 0, len), UINT32_MAX, &n) == ERR_OK ? (int64_t)n : 0;
}

struct import_name_flags import_name_flags(struct slice name)
{
    static const struct {
        char letter;
        unsigned flag;
    } system[] = { { 'D', STORE_DRAFT }, { 'F', STORE_FLAGGED }, { 'R', STORE_ANSWERED },
        { 'S', STORE_SEEN }, { 'T', STORE_DELETED } };
    struct import_name_flags flags = { 0 };
    size_t at = slice_find(name, SLICE(":2,"));
    for (size_t i = at == SIZE_MAX ? name.len : at + 3; i < name.len; i++) {
        char c = name.ptr[i];
        for (size_t k = 0; k < sizeof system / sizeof system[0]; k++)
            flags.system |= c == system[k].letter ? system[k].flag : 0;
        flags.forwarded |= c == 'P';
        if (c >= 'a' && c <= 'z')
            flags.letters |= UINT32_C(1) << (c - 'a');
    }
    return flags;
}

enum err import_keyword_line(struct slice line, unsigned *out_letter, struct slice *out_name)
{
    struct slice number;
    uint64_t n;
    if (!slice_cut(&line, ' ', &number) || line.len == 0)
        return ERR_SYNTAX;
    TRY(slice_to_u64(number, 25, &n));
    *out_letter = (unsigned)n;
    *out_name = line;
    return ERR_OK;
}
