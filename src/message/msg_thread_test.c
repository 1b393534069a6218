#include "message/thread.h"

#include "base/limits.h"
#include "base/test.h"

/* RFC 5256 §2.1, and what Dovecot and Cyrus make of odd ones. */
static void subjects(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *base;
        bool is_reply;
    } rows[] = {
        { "", "", false },
        { "Hello", "Hello", false },
        { " Hello  \r\n\tworld ", "Hello world", false },
        { "Re: Hello", "Hello", true },
        { "RE:hello", "hello", true },
        { "Re : Hello", "Hello", true },
        { "Re: re: FW: fwd:  Hello", "Hello", true },
        { "Re", "Re", false },
        { "Re:", "", true },
        { "Reply: x", "Reply: x", false },
        { "Re[2]: Hello", "Hello", true },
        { "Re [list] : Hello", "Hello", true },
        { "Fwd[2]:Hello", "Hello", true },
        { "Hello (fwd)", "Hello", true },
        { "Hello (FWD) (fwd)  ", "Hello", true },
        { "Hello (fwd) x", "Hello (fwd) x", false },
        { "[list] Hello", "Hello", false },
        { "[a] [b] Hello", "Hello", false },
        { "[a][b] Re: [c] Hello", "Hello", true },
        { "Re: [a] Fw: [b] Re: Hello", "Hello", true },
        { "[list]", "[list]", false },
        { "[a] [b]", "[b]", false },
        { "[a] (fwd)", "[a]", true },
        { "[a[b] Hello", "[a[b] Hello", false },
        { "[Fwd: Hello]", "Hello", true },
        { "[fwd: Re: Hello (fwd)]", "Hello", true },
        { "[Fwd: [Fwd: Hello]]", "Hello", true },
        { "[Fwd: [list] Hello]", "Hello", true },
        { "[Fwd: Hello] x", "x", false }, /* a blob with something behind it */
        { "Re: [Fwd:]", "", true },
        { "[Fwd: x", "[Fwd: x", false },
        { "=?utf-8?Q?Re:_=D9=85?=", "\xd9\x85", true },
        { "Re: =?utf-8?B?2KjYsdmK2K8=?=", "\xd8\xa8\xd8\xb1\xd9\x8a\xd8\xaf", true },
        { "\xd8\xb1\xd8\xaf: x", "\xd8\xb1\xd8\xaf: x", false }, /* the RFC knows English only */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        bool is_reply = !rows[i].is_reply;
        buf_init(&out, 0);
        msg_base_subject(slice_of(rows[i].raw), &out, &is_reply);
        assert_slice(rows[i].raw, buf_slice(&out), slice_of(rows[i].base));
        if (is_reply != rows[i].is_reply)
            fail_msg("%s: is_reply %d", rows[i].raw, is_reply);
        buf_done(&out);
    }
}

static void ids(void **state)
{
    (void)state;
    static const struct {
        const char *name, *header, *ids;
    } rows[] = {
        { "nothing", "", "\n" },
        { "own", "Message-ID: <a@b>\r\n", "a@b\n" },
        { "references", "References: <a@b> <c@d>\r\nMessage-ID: <e@f>\r\nIn-Reply-To: <x@y>\r\n",
            "e@f\na@b\nc@d\n" },
        { "folded, with other text", "References: <a@b>\r\n\t(x) <c@\r\n d>,<e@f\r\n >\r\n",
            "\na@b\nc@d\ne@f\n" },
        { "no references", "Message-ID: <e@f>\r\nIn-Reply-To: <x@y> <z@w>\r\n", "e@f\nx@y\n" },
        { "references without an id", "References: none <a>\r\nIn-Reply-To: Mail of <x@y>\r\n",
            "\nx@y\n" },
        { "quotes", "Message-ID: <\"a b\\\"c\"@d>\r\nReferences: <\"01KF\"@x>\r\n",
            "ab\"c@d\n01KF@x\n" },
        { "quotes around all", "References: <\"a@b\"@c>\r\n", "\na@b@c\n" },
        { "at in quotes only", "References: <\"a@b\">\r\n", "\n" },
        { "no end", "Message-ID: <a@b\r\nReferences: <c@d <e@f>\r\n", "\ne@f\n" },
        { "stray quote", "References: <a\"b@x> <c@d> <e@f>\r\n", "\nc@d\ne@f\n" },
        { "empty", "References: <> <@> <a@>\r\n", "\n@\na@\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        msg_thread_ids(slice_of(rows[i].header), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].ids));
        buf_done(&out);
    }
}

static size_t count_lines(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

static void limit_ids(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct buf header, out;
        buf_init(&header, 0);
        buf_init(&out, 0);
        buf_adds(&header, "References:");
        for (unsigned i = 0; i < THREAD_IDS_MAX + over; i++)
            buf_addf(&header, " <%u@x>", i);
        msg_thread_ids(buf_slice(&header), &out);
        assert_int_equal(count_lines(buf_slice(&out)), 1 + THREAD_IDS_MAX);
        assert_true(slice_starts(buf_slice(&out), over ? SLICE("\n0@x\n2@x\n") : SLICE("\n0@x\n1@x\n")));
        char last[32];
        int len = snprintf(last, sizeof last, "\n%u@x\n", THREAD_IDS_MAX + over - 1);
        struct slice all = buf_slice(&out);
        assert_slice("last", slice_from_index(all, all.len - (size_t)len), slice_of(last));
        buf_done(&header);
        buf_done(&out);
    }
}

static void limit_id_len(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct buf header, out;
        buf_init(&header, 0);
        buf_init(&out, 0);
        buf_adds(&header, "Message-ID: <@");
        for (unsigned i = 3; i < THREAD_ID_BYTES_MAX + 1 + over; i++)
            buf_addc(&header, 'x');
        buf_adds(&header, ">\r\n");
        msg_thread_ids(buf_slice(&header), &out);
        assert_int_equal(buf_len(&out), over ? 1 : THREAD_ID_BYTES_MAX);
        buf_done(&header);
        buf_done(&out);
    }
}

TEST_MAIN(cmocka_unit_test(subjects), cmocka_unit_test(ids), cmocka_unit_test(limit_ids),
    cmocka_unit_test(limit_id_len))
