/* i;unicode-casemap. SORT and THREAD do not use the folding of SEARCH: it drops marks and joins letters (the forms of alef, of ya and of ha, both
 * digit sets) so that more is found, and a person looks at what was found. Here equal texts become one thread, and clients that thread by themselves
 * compute the same (RFC 5256 §2.1), so what RFC 5051 tells apart stays apart. Arabic marks and hamza are taken off their letters by the decomposition
 * and follow them, so texts with and without them still sort side by side. */
#include "message/text.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

#define RUN_BYTES_MAX 4096u

/* Letters without case and decomposition, to which no mark before them can move: of Arabic those that most words are made of, and Han. */
static bool stays(uint32_t c)
{
    return c == 0x0621 || (c >= 0x0627 && c <= 0x063a) || (c >= 0x0641 && c <= 0x064a) ||
           (c >= 0x4e00 && c <= 0x9fff);
}

/* A run of UTF-8 that needs Unicode's tables: title case one by one, then the decomposition. */
static void add_run(struct slice run, struct buf *out)
{
    struct buf titled;
    buf_init(&titled, 0);
    uint32_t c;
    for (size_t at = 0; at < run.len;) {
        char bytes[4];
        at += utf8_decode(run, at, &c);
        buf_add(&titled, slice_from(bytes, utf8_encode(uc_totitle(c), bytes)));
    }
    struct slice all = buf_slice(&titled);
    size_t len = 0;
    uint8_t *apart = u8_normalize(UNINORM_NFKD, (const uint8_t *)all.ptr, all.len, NULL, &len);
    buf_add(out, apart ? slice_from(apart, len) : all);
    free(apart);
    buf_done(&titled);
}

/* Bytes from at on that are ASCII. */
static size_t ascii_len(struct slice text, size_t at)
{
    size_t end = at;
    while (end < text.len && slice_at(text, end) < 0x80)
        end++;
    return end - at;
}

/* Bytes from at on that are no ASCII and all stay, or that all do not. */
static size_t run_len(struct slice text, size_t at, bool *out_stays)
{
    uint32_t c;
    size_t len = utf8_decode(text, at, &c), end = at + len;
    *out_stays = stays(c);
    while (end < text.len && slice_at(text, end) >= 0x80 && end - at < RUN_BYTES_MAX) {
        len = utf8_decode(text, end, &c);
        if (stays(c) != *out_stays)
            break;
        end += len;
    }
    return end - at;
}

void text_casemap(struct slice text, struct buf *out)
{
    if (!slice_is_ascii(text) && !utf8_valid(text)) {
        buf_add(out, text);
        return;
    }
    for (size_t at = 0; at < text.len && !out->over;) {
        size_t len = ascii_len(text, at);
        char *room = len ? buf_room(out, len) : NULL;
        for (size_t i = 0; room && i < len; i++)
            room[i] = ascii_upper(text.ptr[at + i]);
        if (room)
            buf_wrote(out, len);
        at += len;
        if (at == text.len)
            break;
        bool all_stay;
        len = run_len(text, at, &all_stay);
        if (all_stay)
            buf_add(out, slice_sub(text, at, len));
        else
            add_run(slice_sub(text, at, len), out);
        at += len;
    }
}
