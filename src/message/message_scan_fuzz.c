/* Bytes as a message. Oracles: cut anywhere, the summary is the same; every range lies inside; what the writers give is
 * balanced IMAP (RFC 3501 §9); part numbers found by walking the tree are found by msg_find_section; a table finds in header fields what the message itself does. */
#include "message/text.h"

#include "base/limits.h"
#include "message/sort.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_balanced(struct slice form)
{
    size_t depth = 0;
    for (size_t i = 0; i < form.len; i++) {
        char c = form.ptr[i];
        assert(c != 0);
        if (c == '(') {
            depth++;
        } else if (c == ')') {
            assert(depth > 0);
            depth--;
            assert(depth > 0 || i + 1 == form.len);
        } else if (c == '"') {
            for (i++; i < form.len && form.ptr[i] != '"'; i++) {
                assert(form.ptr[i] != '\r' && form.ptr[i] != '\n' && slice_at(form, i) < 0x80);
                if (form.ptr[i] == '\\')
                    i++;
            }
            assert(i < form.len);
        } else if (c == '{') {
            size_t digits = slice_index(slice_from_index(form, i + 1), '}');
            uint64_t literal;
            enum err e = slice_to_u64(slice_sub(form, i + 1, digits), form.len, &literal);
            assert(e == ERR_OK);
            i += 1 + digits + 2 + literal;
            assert(i < form.len);
        } else {
            assert((c >= '0' && c <= '9') || c == ' ' || c == 'N' || c == 'I' || c == 'L');
        }
    }
    assert(depth == 0);
}

static void check_parts(const struct msg_summary *summary, size_t message_len)
{
    size_t cursor = 0, count = 0;
    uint32_t depth = 0;
    struct msg_part part;
    while (msg_part_next(summary, &cursor, &part)) {
        assert(part.header_offset + part.header_len <= message_len);
        assert(part.body_offset + part.body_len <= message_len);
        assert(part.header_offset + part.header_len == part.body_offset);
        assert(part.depth <= MIME_DEPTH_MAX);
        assert(count == 0 ? part.depth == 0 : part.depth <= depth + 1 && part.depth > 0);
        depth = part.depth;
        count++;
    }
    assert(count >= 1);
    assert(count <= MIME_PARTS_MAX);
}

static void check_sections(const struct msg_summary *summary, size_t message_len)
{
    for (uint32_t a = 0; a < 4; a++) {
        for (uint32_t b = 0; b < 4; b++) {
            uint32_t numbers[] = { a, b, 1 };
            for (size_t count = 0; count <= 3; count++) {
                for (int section = MSG_SECTION_ALL; section <= MSG_SECTION_MIME; section++) {
                    struct msg_range range;
                    if (msg_find_section(
                            summary, numbers, count, (enum msg_section)section, &range) == ERR_OK)
                        assert(range.offset + range.len <= message_len);
                }
            }
        }
    }
}

/* What the table of a mailbox finds is what the message itself says, for needles out of its own fields and others. */
static void check_fields(const struct msg_summary *summary, const struct msg_source *source)
{
    static const char *const names[] = { "subject", "from", "to", "cc", "message-id" };
    struct sort_table *table = sort_table_new(64u << 20);
    const unsigned facts = ((1u << SORT_FIELDS) - 1) * SORT_FACT_FIELD;
    enum err e = sort_table_add(
        table, facts, &(struct sort_message){ .uid = 7, .summary = summary, .source = source });
    assert(e == ERR_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct buf text;
        size_t fields;
        enum sort_field field;
        buf_init(&text, 0);
        e = msg_field_text(summary, source, slice_of(names[i]), &text, &fields);
        assert(e == ERR_OK && sort_field_of(slice_of(names[i]), &field));
        struct slice all = buf_slice(&text);
        for (size_t at = 0; at < 4; at++) {
            struct slice needle = slice_sub(all, all.len / 4 * at, at * 3 + 1);
            struct uidset uids, found, unsure;
            bool contains;
            if (!needle.len)
                needle = SLICE("e");
            uidset_init(&uids);
            uidset_init(&found);
            uidset_init(&unsure);
            uidset_add(&uids, 7);
            e = msg_field_contains(summary, source, slice_of(names[i]), needle, &contains);
            assert(e == ERR_OK);
            sort_table_find(table, field, needle, &uids, &found, &unsure);
            assert(uidset_has(&unsure, 7) == (all.len > SORT_FIELD_BYTES_MAX));
            assert(uidset_has(&found, 7) == (contains && uidset_empty(&unsure)));
            uidset_done(&uids);
            uidset_done(&found);
            uidset_done(&unsure);
        }
        buf_done(&text);
    }
    sort_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice message = slice_from(bytes, len);
    struct buf whole, pieces, out;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    buf_init(&out, 0);
    enum err e = msg_summary_make(message, &whole);
    assert(e == ERR_OK);

    struct msg_scan *scan = msg_scan_new();
    size_t step = len ? bytes[0] % 19u + 1 : 1;
    for (size_t at = 0; at < len; at += step)
        msg_scan_feed(scan, slice_sub(message, at, step));
    e = msg_scan_finish(scan, &pieces);
    assert(e == ERR_OK);
    msg_scan_free(scan);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));

    struct msg_summary summary;
    e = msg_summary_open(buf_slice(&whole), &summary);
    assert(e == ERR_OK);
    check_parts(&summary, len);
    check_sections(&summary, len);
    e = msg_write_envelope(&summary, &out);
    assert(e == ERR_OK);
    check_balanced(buf_slice(&out));
    for (int extensible = 0; extensible < 2; extensible++) {
        buf_clear(&out);
        e = msg_write_bodystructure(&summary, extensible, &out);
        assert(e == ERR_OK);
        check_balanced(buf_slice(&out));
    }
    struct msg_source source = msg_source_memory(message);
    bool found;
    e = msg_text_contains(&summary, &source, SLICE("needle"), true, NULL, &found);
    assert(e == ERR_OK);
    e = msg_field_contains(&summary, &source, SLICE("x-any"), SLICE("y"), &found);
    assert(e == ERR_OK);
    check_fields(&summary, &source);
    buf_done(&whole);
    buf_done(&pieces);
    buf_done(&out);
    return 0;
}
