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

/* A run of UTF-8 without ASCII: title case one by one, then the decomposition. */
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

void text_casemap(struct slice text, struct buf *out)
{
    if (!slice_is_ascii(text) && !utf8_valid(text)) {
        buf_add(out, text);
        return;
    }
    size_t at = 0;
    while (at < text.len && !out->over) {
        size_t start = at;
        while (at < text.len && slice_at(text, at) < 0x80)
            at++;
        char *room = at > start ? buf_room(out, at - start) : NULL;
        for (size_t i = start; room && i < at; i++)
            room[i - start] = ascii_upper(text.ptr[i]);
        if (room)
            buf_wrote(out, at - start);
        start = at;
        uint32_t c;
        while (at < text.len && slice_at(text, at) >= 0x80 && at - start < RUN_BYTES_MAX)
            at += utf8_decode(text, at, &c);
        if (at > start)
            add_run(slice_sub(text, start, at - start), out);
    }
}
