/* Where each folder goes: by use, by name, through other delimiters and prefixes. */
#include "copy/names.h"

#include "base/test.h"

struct one {
    const char *name;
    char delimiter;
    enum imapc_use use;
    bool noselect;
};

struct side {
    const char *prefix;
    char delimiter;
    struct one all[5];
};

static void fill(const struct side *side, struct imapc_folder *all, struct imapc_folders *out)
{
    size_t count = 0;
    for (; count < 5 && side->all[count].name; count++)
        all[count] = (struct imapc_folder){ .far_name = (char *)(uintptr_t)side->all[count].name,
            .name = (char *)(uintptr_t)side->all[count].name,
            .delimiter = side->all[count].delimiter,
            .use = side->all[count].use,
            .noselect = side->all[count].noselect };
    *out = (struct imapc_folders){ .all = all,
        .count = count,
        .prefix = (char *)(uintptr_t)side->prefix,
        .delimiter = side->delimiter };
}

static void test_names(void **state)
{
    static const struct side plain = { "", '/', { { "INBOX", '/', 0, false } } };
    static const struct side dots = { "INBOX.", '.',
        { { "INBOX", '.', 0, false }, { "INBOX.Sent", '.', IMAPC_USE_SENT, false } } };
    static const struct side flat = { "", 0, { { "inbox", 0, 0, false } } };
    static const struct side full = { "", '/',
        { { "INBOX", '/', 0, false }, { "Sent Items", '/', IMAPC_USE_SENT, false },
            { "Bin", '/', 0, false }, { "Work/2026", '/', 0, false }, { "Work", '/', 0, true } } };
    static const struct {
        const char *title;
        struct side from;
        size_t which;
        const struct side *to;
        enum copy_way way;
        const char *wanted;
        bool there;
    } rows[] = {
        { "inbox", { "", '/', { { "Inbox", '/', 0, false } } }, 0, &flat, COPY_GOES, "INBOX",
            true },
        { "same name", { "", '/', { { "Work/2026", '/', 0, false } } }, 0, &full, COPY_GOES,
            "Work/2026", true },
        { "not there", { "", '/', { { "Work/2027", '/', 0, false } } }, 0, &full, COPY_GOES,
            "Work/2027", false },
        { "cannot have messages", { "", '/', { { "Work", '/', 0, false } } }, 0, &full, COPY_GOES,
            "Work", false },
        { "other delimiter", { "", '.', { { "Work.2026", '.', 0, false } } }, 0, &full, COPY_GOES,
            "Work/2026", true },
        { "prefix off", { "INBOX.", '.', { { "INBOX.Work.2026", '.', 0, false } } }, 0, &full,
            COPY_GOES, "Work/2026", true },
        { "prefix on", { "", '/', { { "Work/2026", '/', 0, false } } }, 0, &dots, COPY_GOES,
            "INBOX.Work.2026", false },
        { "below inbox", { "", '/', { { "INBOX/Work", '/', 0, false } } }, 0, &dots, COPY_GOES,
            "INBOX.Work", false },
        { "delimiter in a level", { "", '/', { { "v1.2/a", '/', 0, false } } }, 0, &dots, COPY_GOES,
            "INBOX.v1_2.a", false },
        { "no levels there", { "", '/', { { "a/b", '/', 0, false } } }, 0, &flat, COPY_GOES, "a_b",
            false },
        { "no levels here", { "", 0, { { "a/b", 0, 0, false } } }, 0, &full, COPY_GOES, "a_b",
            false },
        { "arabic", { "", '.', { { "\xd8\xb9\xd9\x85\xd9\x84.&", '.', 0, false } } }, 0, &full,
            COPY_GOES, "&BjkGRQZE-/&-", false },
        { "controls", { "", '/', { { "a\x01\x7f", '/', 0, false } } }, 0, &full, COPY_GOES, "a__",
            false },
        { "empty levels", { "", '/', { { "/a//b/", '/', 0, false } } }, 0, &full, COPY_GOES, "a/b",
            false },
        { "nothing left", { "", '/', { { "//", '/', 0, false } } }, 0, &full, COPY_NO_NAME, "",
            false },
        { "by mark", { "", '/', { { "Gesendet", '/', IMAPC_USE_SENT, false } } }, 0, &full,
            COPY_GOES, "Sent Items", true },
        { "by usual names", { "", '/', { { "Deleted Items", '/', 0, false } } }, 0, &full,
            COPY_GOES, "Bin", true },
        { "the second of a use goes by its name",
            { "", '/', { { "Sent", '/', 0, false }, { "Gesendet", '/', IMAPC_USE_SENT, false } } },
            0, &full, COPY_GOES, "Sent", false },
        { "a use that the other has not",
            { "", '/', { { "Entwurf", '/', IMAPC_USE_DRAFTS, false } } }, 0, &full, COPY_GOES,
            "Entwurf", false },
        { "all", { "", '/', { { "All Mail", '/', IMAPC_USE_ALL, false } } }, 0, &plain, COPY_VIEW,
            "", false },
        { "flagged", { "", '/', { { "Starred", '/', IMAPC_USE_FLAGGED, false } } }, 0, &plain,
            COPY_VIEW, "", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct imapc_folder from_all[5], to_all[5];
        struct imapc_folders from, to;
        struct buf name;
        bool there = false;
        fill(&rows[i].from, from_all, &from);
        fill(rows[i].to, to_all, &to);
        buf_init(&name, 0);
        enum copy_way way = copy_find_name(&from, &from_all[rows[i].which], &to, &name, &there);
        if (way != rows[i].way)
            fail_msg("%s: another way", rows[i].title);
        assert_slice(rows[i].title, buf_slice(&name), slice_of(rows[i].wanted));
        if (way == COPY_GOES && there != rows[i].there)
            fail_msg("%s: there", rows[i].title);
        buf_done(&name);
    }
}

TEST_MAIN(cmocka_unit_test(test_names))
