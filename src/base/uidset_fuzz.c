/* Text -> set -> text -> set must be the same set; and operations named by the input must agree with a bitmap. */
#include "base/buf.h"
#include "base/uidset.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void text_round_trip(struct slice text)
{
    struct uidset set, again;
    uidset_init(&set);
    uidset_init(&again);
    if (uidset_read(&set, text, 1000) == ERR_OK) {
        assert(!uidset_empty(&set));
        struct buf buf;
        buf_init(&buf, 0);
        uidset_write(&set, &buf);
        enum err e = uidset_read(&again, buf_slice(&buf), 1000);
        assert(e == ERR_OK);
        assert(set.count == again.count);
        assert(memcmp(set.runs, again.runs, set.count * sizeof set.runs[0]) == 0);
        buf_done(&buf);
    }
    uidset_done(&set);
    uidset_done(&again);
}

static void operations(const unsigned char *bytes, size_t len)
{
    bool model[2][257] = { { false } };
    struct uidset set[2];
    uidset_init(&set[0]);
    uidset_init(&set[1]);
    for (size_t i = 0; i + 3 <= len; i += 3) {
        unsigned which = bytes[i] & 1, first = bytes[i + 1], last = bytes[i + 2];
        struct uidset *s = &set[which], *other = &set[1 - which];
        bool *m = model[which];
        const bool *om = model[1 - which];
        switch (bytes[i] >> 1 & 7) {
        case 0:
            uidset_remove(s, first);
            m[first] = false;
            break;
        case 1:
            uidset_union(s, other);
            for (size_t n = 0; n < 257; n++)
                m[n] = m[n] || om[n];
            break;
        case 2:
            uidset_intersect(s, other);
            for (size_t n = 0; n < 257; n++)
                m[n] = m[n] && om[n];
            break;
        case 3:
            uidset_subtract(s, other);
            for (size_t n = 0; n < 257; n++)
                m[n] = m[n] && !om[n];
            break;
        case 4:
            uidset_add(s, first);
            m[first] = first != 0;
            break;
        default:
            uidset_add_run(s, first, last);
            for (size_t n = first; n <= last && first != 0; n++)
                m[n] = true;
            break;
        }
    }
    for (size_t which = 0; which < 2; which++) {
        uint32_t rank = 0;
        for (uint32_t n = 1; n < 257; n++) {
            bool in = model[which][n];
            rank += in;
            assert(uidset_has(&set[which], n) == in);
            assert(uidset_rank(&set[which], n) == (in ? rank : 0));
            assert(!in || uidset_at(&set[which], rank) == n);
        }
        assert(uidset_members(&set[which]) == rank);
        uidset_done(&set[which]);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    text_round_trip(slice_from(bytes, len));
    operations(bytes, len);
    return 0;
}
