#include "message/summary.h"

#include "base/limits.h"
#include "base/test.h"
#include "message/header.h"

#include <stdlib.h>
#include <string.h>

static void make(struct slice message, struct buf *out)
{
    buf_init(out, 0);
    assert_ok(msg_summary_make(message, out));
}

/* The tree as text: "0 multipart/mixed h0+40 b40+100" a line, depth first. */
static void tree(const struct msg_summary *summary, struct buf *out)
{
    size_t cursor = 0;
    struct msg_part part;
    while (msg_part_next(summary, &cursor, &part))
        buf_addf(out, "%u %.*s/%.*s h%u+%u b%u+%u\n", part.depth, SLICE_FMT(part.type),
            SLICE_FMT(part.subtype), (unsigned)part.header_offset, (unsigned)part.header_len,
            (unsigned)part.body_offset, (unsigned)part.body_len);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n" /* 45 bytes */

static const struct row {
    const char *name;
    const char *message;
    const char *tree;
} rows[] = {
    { "empty", "", "0 text/plain h0+0 b0+0\n" },
    { "header only", "Subject: x\r\n", "0 text/plain h0+12 b12+0\n" },
    { "header and blank line", "Subject: x\r\n\r\n", "0 text/plain h0+14 b14+0\n" },
    { "body only", "\r\nhello\r\n", "0 text/plain h0+2 b2+7\n" },
    { "bare LF", "Subject: x\n\nhello\n", "0 text/plain h0+12 b12+6\n" },
    { "no last line end", "A: b\r\n\r\nhello", "0 text/plain h0+8 b8+5\n" },
    { "dashes in a plain body", "A: b\r\n\r\n--b\r\n--\r\n", "0 text/plain h0+8 b8+9\n" },
    { "two parts",
        MIXED "pre\r\n--b\r\nContent-Type: "
              "text/html\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\nepilogue\r\n",
        "0 multipart/mixed h0+45 b45+71\n1 text/html h55+27 b82+3\n1 text/plain h92+2 b94+3\n" },
    { "boundary is the first line", MIXED "--b\r\n\r\none\r\n--b--",
        "0 multipart/mixed h0+45 b45+17\n1 text/plain h50+2 b52+3\n" },
    { "trailing blanks after a boundary", MIXED "--b \t\r\n\r\none\r\n--b-- \r\nx",
        "0 multipart/mixed h0+45 b45+23\n1 text/plain h52+2 b54+3\n" },
    { "more after a boundary", MIXED "--bx\r\n\r\none\r\n--b--",
        "0 multipart/mixed h0+45 b45+18\n1 text/plain h51+2 b53+3\n" },
    { "no end boundary", MIXED "--b\r\n\r\none\r\n",
        "0 multipart/mixed h0+45 b45+12\n1 text/plain h50+2 b52+5\n" },
    { "no boundary at all", MIXED "one\r\n", "0 multipart/mixed h0+45 b45+5\n" },
    { "multipart without the parameter", "Content-Type: multipart/mixed\r\n\r\n--b\r\n",
        "0 multipart/mixed h0+33 b33+5\n1 text/plain h33+0 b33+5\n" },
    { "the same inside another",
        MIXED "--b\r\nContent-Type: multipart/x\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
        "0 multipart/mixed h0+45 b45+58\n1 multipart/x h50+29 b79+3\n2 text/plain h79+0 b79+3\n"
        "1 text/plain h89+2 b91+3\n" },
    { "the first Content-Type that can be read",
        "Content-Type: nothing\r\nContent-Type: text/html\r\nContent-Type: text/plain\r\n\r\n",
        "0 text/html h0+76 b76+0\n" },
    { "header that ends at a boundary", MIXED "--b\r\nA: b\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
        "0 multipart/mixed h0+45 b45+30\n1 text/plain h50+6 b56+0\n1 text/plain h61+2 b63+3\n" },
    { "end boundary only starts none", MIXED "--b--\r\n--b\r\n\r\none\r\n",
        "0 multipart/mixed h0+45 b45+19\n" },
    { "a boundary inside a line", MIXED "x --b\r\n--b\r\n\r\nx--b\r\n--b--",
        "0 multipart/mixed h0+45 b45+25\n1 text/plain h57+2 b59+4\n" },
    { "LF boundaries", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n",
        "0 multipart/mixed h0+43 b43+15\n1 text/plain h47+1 b48+3\n" },
    { "longest boundary wins",
        MIXED "--b\r\nContent-Type: multipart/mixed; "
              "boundary=b2\r\n\r\n--b2\r\n\r\nx\r\n--b2--\r\n\r\n--b--",
        "0 multipart/mixed h0+45 b45+77\n1 multipart/mixed h50+46 b96+19\n2 text/plain h102+2 "
        "b104+1\n" },
    { "outer boundary ends the inner",
        MIXED "--b\r\nContent-Type: multipart/alternative; "
              "boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--",
        NULL },
    { "message in a part",
        MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n--b--\r\n",
        "0 multipart/mixed h0+45 b45+65\n1 message/rfc822 h50+32 b82+19\n2 text/plain h82+15 "
        "b97+4\n" },
    { "digest",
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: "
        "in\r\n\r\nbody\r\n--b--\r\n",
        "0 multipart/digest h0+46 b46+35\n1 message/rfc822 h51+2 b53+19\n2 text/plain h53+15 "
        "b68+4\n" },
};

static void scan_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf bytes, out;
        struct msg_summary summary;
        make(slice_of(rows[i].message), &bytes);
        assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
        buf_init(&out, 0);
        tree(&summary, &out);
        if (getenv("BARID_TEST_PRINT"))
            printf("%s\n%.*s\n", rows[i].name, SLICE_FMT(buf_slice(&out)));
        if (rows[i].tree)
            assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].tree));
        buf_done(&out);
        buf_done(&bytes);
    }
}

static void scan_pieces(struct slice message, size_t first, size_t then, struct buf *out)
{
    struct msg_scan *scan = msg_scan_new();
    msg_scan_feed(scan, slice_sub(message, 0, first));
    for (size_t at = first; at < message.len; at += then)
        msg_scan_feed(scan, slice_sub(message, at, then));
    buf_init(out, 0);
    assert_ok(msg_scan_finish(scan, out));
    msg_scan_free(scan);
}

/* Cutting the input anywhere gives the same summary. */
static void scan_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice message = slice_of(rows[i].message);
        struct buf whole, pieces;
        make(message, &whole);
        for (size_t cut = 0; cut <= message.len; cut++) {
            scan_pieces(message, cut, message.len, &pieces);
            assert_slice(rows[i].name, buf_slice(&pieces), buf_slice(&whole));
            buf_done(&pieces);
        }
        for (size_t step = 1; step < 4; step++) {
            scan_pieces(message, 0, step, &pieces);
            assert_slice(rows[i].name, buf_slice(&pieces), buf_slice(&whole));
            buf_done(&pieces);
        }
        buf_done(&whole);
    }
}

/* ---- limits, one over each ---- */

struct shape {
    uint32_t parts, depth_max;
    struct msg_part last;
};

static struct shape shape_of(const struct buf *bytes)
{
    struct msg_summary summary;
    assert_ok(msg_summary_open(buf_slice(bytes), &summary));
    struct shape shape = { 0 };
    size_t cursor = 0;
    struct msg_part part;
    while (msg_part_next(&summary, &cursor, &part)) {
        shape.parts++;
        shape.last = part;
        if (part.depth > shape.depth_max)
            shape.depth_max = part.depth;
    }
    struct buf out;
    buf_init(&out, 8u << 20); /* no reply is longer */
    assert_ok(msg_write_envelope(&summary, &out));
    assert_ok(msg_write_bodystructure(&summary, true, &out));
    buf_done(&out);
    return shape;
}

static void nested(struct buf *message, unsigned depth)
{
    buf_init(message, 0);
    for (unsigned i = 0; i < depth; i++)
        buf_addf(message, "Content-Type: multipart/mixed; boundary=\"%u.\"\r\n\r\n--%u.\r\n", i, i);
    buf_adds(message, "\r\ntext");
    for (unsigned i = depth; i-- > 0;)
        buf_addf(message, "\r\n--%u.--\r\n", i);
}

static void limit_depth(void **state)
{
    (void)state;
    struct buf message, bytes;
    nested(&message, MIME_DEPTH_MAX);
    make(buf_slice(&message), &bytes);
    struct shape shape = shape_of(&bytes);
    assert_int_equal(shape.depth_max, MIME_DEPTH_MAX);
    assert_slice("at the limit", shape.last.type, SLICE("text"));
    assert_int_equal(shape.last.body_len, 4);
    buf_done(&message);
    buf_done(&bytes);
    nested(&message, MIME_DEPTH_MAX + 1);
    make(buf_slice(&message), &bytes);
    shape = shape_of(&bytes);
    assert_int_equal(shape.depth_max, MIME_DEPTH_MAX);
    assert_slice("one over", shape.last.type, SLICE("application"));
    assert_true(shape.last.body_len > 4);
    buf_done(&message);
    buf_done(&bytes);
}

static void siblings(struct buf *message, unsigned count)
{
    buf_init(message, 0);
    buf_adds(message, MIXED);
    for (unsigned i = 0; i < count; i++)
        buf_addf(message, "--b\r\n\r\n%u\r\n", i);
    buf_adds(message, "--b--\r\n");
}

static void limit_parts(void **state)
{
    (void)state;
    struct buf message, bytes;
    siblings(&message, MIME_PARTS_MAX - 2); /* with the multipart itself one below the limit */
    make(buf_slice(&message), &bytes);
    struct shape shape = shape_of(&bytes);
    assert_int_equal(shape.parts, MIME_PARTS_MAX - 1);
    assert_slice("below the limit", shape.last.type, SLICE("text"));
    buf_done(&message);
    buf_done(&bytes);
    siblings(&message, MIME_PARTS_MAX + 5);
    make(buf_slice(&message), &bytes);
    shape = shape_of(&bytes);
    assert_int_equal(shape.parts, MIME_PARTS_MAX);
    assert_slice("one over", shape.last.type, SLICE("application"));
    assert_int_equal(shape.last.body_offset + shape.last.body_len, buf_len(&message));
    buf_done(&message);
    buf_done(&bytes);
}

static void add_many(struct buf *out, char c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_addc(out, c);
}

static void limit_header(void **state)
{
    (void)state;
    struct buf message, bytes, fields;
    buf_init(&message, 0);
    buf_adds(&message, "Subject: ");
    add_many(&message, 'x', MIME_HEADER_BYTES_MAX);
    buf_adds(&message, "\r\nTo: a@b\r\n\r\nbody");
    make(buf_slice(&message), &bytes);
    struct msg_summary summary;
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    buf_init(&fields, 0);
    assert_ok(msg_write_envelope(&summary, &fields));
    assert_true(buf_len(&fields) > ENVELOPE_SUBJECT_BYTES_MAX);
    assert_true(buf_len(&fields) < ENVELOPE_SUBJECT_BYTES_MAX + 200);
    assert_true(slice_find(buf_slice(&fields), SLICE("((NIL NIL \"a\" \"b\"))")) != SIZE_MAX);
    /* what was cut is never given as the field itself */
    struct slice name = SLICE("Subject");
    buf_clear(&fields);
    assert_false(msg_summary_fields(&summary, &name, 1, &fields));
    struct shape shape = shape_of(&bytes);
    assert_int_equal(shape.last.body_len, 4);
    buf_done(&message);
    buf_done(&bytes);
    buf_done(&fields);
}

static void limit_headers(void **state)
{
    (void)state;
    struct buf message, bytes;
    buf_init(&message, 0);
    size_t lines = MIME_HEADERS_BYTES_MAX / 1000 + 10;
    for (size_t i = 0; i < lines; i++) {
        buf_adds(&message, "X-Long: ");
        add_many(&message, 'y', 990);
        buf_adds(&message, "\r\n");
    }
    buf_adds(&message, "Subject: too late\r\n\r\nbody");
    make(buf_slice(&message), &bytes);
    struct msg_summary summary;
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    struct msg_facts facts;
    msg_facts(&summary, &facts);
    assert_int_equal(facts.subject.len, 0);
    struct shape shape = shape_of(&bytes);
    assert_int_equal(shape.last.header_len + shape.last.body_len, buf_len(&message));
    assert_int_equal(shape.last.body_len, 4);
    buf_done(&message);
    buf_done(&bytes);
}

/* What the parts say is more than a summary holds: they are still there, as opaque leaves. */
static void limit_strings(void **state)
{
    (void)state;
    struct buf message, bytes;
    buf_init(&message, 0);
    buf_adds(&message, MIXED);
    size_t count = SUMMARY_STRINGS_BYTES_MAX / 2000 + 10;
    for (size_t i = 0; i < count; i++) {
        buf_adds(&message, "--b\r\nContent-Type: image/png\r\nContent-Description: ");
        add_many(&message, 'd', 2000);
        buf_adds(&message, "\r\n\r\nx\r\n");
    }
    make(buf_slice(&message), &bytes);
    struct shape shape = shape_of(&bytes);
    assert_int_equal(shape.parts, count + 1);
    assert_slice("type", shape.last.type, SLICE("application"));
    assert_int_equal(shape.last.body_len, 3);
    buf_done(&message);
    buf_done(&bytes);
}

static void add_field(struct buf *message, const char *name, size_t len)
{
    buf_adds(message, name);
    buf_adds(message, ": \"");
    add_many(message, '\\', len);
    buf_adds(message, "\" <a@b>\r\n");
}

/* Every field of the ENVELOPE as long as can be, all of it to be escaped: it still fits, and nobody is hidden. */
static void limit_envelope(void **state)
{
    (void)state;
    static const char *const names[] = { "Subject", "From", "Sender", "Reply-To", "To", "Cc", "Bcc",
        "In-Reply-To" };
    struct buf message, bytes, out;
    buf_init(&message, 0);
    buf_adds(&message, "Message-ID: <m>\r\nTo: first@b\r\n");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add_field(&message, names[i], MIME_HEADER_BYTES_MAX - 100);
    make(buf_slice(&message), &bytes);
    struct msg_summary summary;
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    buf_init(&out, 8u << 20);
    assert_ok(msg_write_envelope(&summary, &out));
    assert_true(slice_find(buf_slice(&out), SLICE("((NIL NIL \"first\" \"b\")(")) != SIZE_MAX);
    assert_true(slice_ends_nocase(buf_slice(&out), SLICE(" \"<m>\")")));
    struct msg_facts facts;
    msg_facts(&summary, &facts);
    assert_true(facts.subject.len <= SUMMARY_TEXT_BYTES_MAX);
    buf_done(&message);
    buf_done(&bytes);
    buf_done(&out);
}

static void limit_boundary(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2;
         over++) { /* both are found; of the longer one the last byte is not looked at */
        struct buf message, bytes;
        buf_init(&message, 0);
        buf_adds(&message, "Content-Type: multipart/mixed; boundary=");
        add_many(&message, 'b', MIME_BOUNDARY_BYTES_MAX + over);
        for (int i = 0; i < 2; i++) {
            buf_adds(&message, i ? "\r\n--" : "\r\n\r\n--");
            add_many(&message, 'b', MIME_BOUNDARY_BYTES_MAX + over);
            buf_adds(&message, "\r\n\r\nx");
        }
        make(buf_slice(&message), &bytes);
        struct shape shape = shape_of(&bytes);
        assert_int_equal(shape.parts, 3);
        assert_int_equal(shape.last.body_len, 1);
        buf_done(&message);
        buf_done(&bytes);
    }
}

/* ---- heavy messages: ten times the input, at most about ten times the work ---- */

typedef void heavy_fn(struct buf *message, unsigned count);

static void heavy_to_lines(struct buf *m, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(m, "To: user%u@example.com\r\n", i);
}

static void heavy_one_to(struct buf *m, unsigned count)
{
    buf_adds(m, "To: x@y");
    for (unsigned i = 0; i < count * 2; i++)
        buf_addf(m, ",\r\n user%u@example.com", i);
}

static void heavy_subject(struct buf *m, unsigned count)
{
    buf_adds(m, "Subject: ");
    for (unsigned i = 0; i < count * 9; i++)
        buf_adds(m, "xxxxxxxxx ");
}

static void heavy_nested(struct buf *m, unsigned count)
{
    for (unsigned i = 0; i < count / 10; i++)
        buf_addf(m, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n", i, i);
}

static void heavy_siblings(struct buf *m, unsigned count)
{
    buf_adds(m, MIXED);
    for (unsigned i = 0; i < count; i++)
        buf_adds(m, "--b\r\n\r\nx\r\n");
}

static void heavy_messages(struct buf *m, unsigned count)
{
    for (unsigned i = 0; i < count / 50; i++)
        buf_adds(m, "Content-Type: message/rfc822\r\nFrom: a@b\r\n\r\n");
}

static void heavy_parameters(struct buf *m, unsigned count)
{
    buf_adds(m, "Content-Type: text/plain");
    for (unsigned i = 0; i < count / 5; i++)
        buf_addf(m, ";\r\n name*%u*=%%41", i);
}

static void heavy_near_misses(struct buf *m, unsigned count)
{
    buf_adds(m,
        "Content-Type: multipart/mixed; boundary=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbx\r\n\r\n");
    for (unsigned i = 0; i < count / 5; i++)
        buf_adds(m, "--bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbby\r\n");
}

static void heavy_semicolons(struct buf *m, unsigned count)
{
    buf_adds(m, "To: ");
    add_many(m, ';', (size_t)count * 10);
}

static void heavy_comment(struct buf *m, unsigned count)
{
    buf_adds(m, "Date: ");
    add_many(m, '(', (size_t)count * 2);
}

static void heavy_words(struct buf *m, unsigned count)
{
    buf_adds(m, "Content-Type: text/plain; name=\"");
    for (unsigned i = 0; i < count / 10; i++)
        buf_adds(m, "=?koi8-r?Q?=C1?= =?iso-8859-6?B?yQ==?=");
    buf_addc(m, '"');
}

#define HEAVY_SUMMARY_BYTES_MAX (8u << 20)

/* Builds one, reads it and gives the size of its summary. */
static size_t heavy_summary_len(heavy_fn *fill, unsigned count)
{
    struct buf message, bytes;
    buf_init(&message, 0);
    fill(&message, count);
    buf_adds(&message, "\r\n\r\nbody\r\n");
    make(buf_slice(&message), &bytes);
    shape_of(&bytes);
    size_t len = buf_len(&bytes);
    buf_done(&message);
    buf_done(&bytes);
    return len;
}

/* How long they take is a figure, measured elsewhere; here: each is read whole and its summary stays small. */
static void heavy(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        heavy_fn *fill;
    } kinds[] = { { "To lines", heavy_to_lines }, { "one To", heavy_one_to },
        { "Subject", heavy_subject }, { "nested multiparts", heavy_nested },
        { "siblings", heavy_siblings }, { "nested messages", heavy_messages },
        { "parameters", heavy_parameters }, { "near misses", heavy_near_misses },
        { "semicolons", heavy_semicolons }, { "comment", heavy_comment },
        { "encoded-words", heavy_words } };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t small = heavy_summary_len(kinds[i].fill, 10000);
        size_t large = heavy_summary_len(kinds[i].fill, 100000);
        if (large > HEAVY_SUMMARY_BYTES_MAX || large > 12 * small)
            fail_msg("%s: summary of %zu bytes, ten times as much %zu", kinds[i].name, small, large);
    }
}

TEST_MAIN(cmocka_unit_test(scan_trees), cmocka_unit_test(scan_any_split),
    cmocka_unit_test(limit_depth), cmocka_unit_test(limit_parts), cmocka_unit_test(limit_header),
    cmocka_unit_test(limit_headers), cmocka_unit_test(limit_strings),
    cmocka_unit_test(limit_envelope), cmocka_unit_test(limit_boundary), cmocka_unit_test(heavy))
