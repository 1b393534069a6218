/* Any words of a person, as the command that is made of them reaches a server: it is one frame with nothing behind it, and in it stands, for each word, the one key that the
 * word names, with its value as it was typed. What a word names is found out here once more, by other means. */
#include "base/limits.h"
#include "client/imap/imapc_mail.h"
#include "proto/imap/imap_frame.h"
#include "proto/imap/imap_parse.h"
#include "proto/imap/imap_write.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define WORDS_MAX (2 * IMAPC_QUERY_WORDS_MAX)

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

/* ---- what a word stands for ---- */

static const struct {
    const char *word;
    enum imap_search_kind kind;
    unsigned flag;
} flags[] = {
    { "seen", IMAP_SEARCH_FLAG, IMAP_SEEN },
    { "unseen", IMAP_SEARCH_UNFLAG, IMAP_SEEN },
    { "flagged", IMAP_SEARCH_FLAG, IMAP_FLAGGED },
    { "unflagged", IMAP_SEARCH_UNFLAG, IMAP_FLAGGED },
    { "answered", IMAP_SEARCH_FLAG, IMAP_ANSWERED },
    { "unanswered", IMAP_SEARCH_UNFLAG, IMAP_ANSWERED },
    { "draft", IMAP_SEARCH_FLAG, IMAP_DRAFT },
    { "deleted", IMAP_SEARCH_FLAG, IMAP_DELETED },
};

static const struct {
    const char *word;
    enum imap_search_kind kind;
} values[] = {
    { "from:", IMAP_SEARCH_HEADER },
    { "to:", IMAP_SEARCH_HEADER },
    { "cc:", IMAP_SEARCH_HEADER },
    { "subject:", IMAP_SEARCH_HEADER },
    { "body:", IMAP_SEARCH_BODY },
    { "text:", IMAP_SEARCH_TEXT },
    { "since:", IMAP_SEARCH_SINCE },
    { "before:", IMAP_SEARCH_BEFORE },
    { "on:", IMAP_SEARCH_ON },
    { "larger:", IMAP_SEARCH_LARGER },
    { "smaller:", IMAP_SEARCH_SMALLER },
    { "keyword:", IMAP_SEARCH_KEYWORD },
};

static bool starts(const char *word, const char *with)
{
    return strncasecmp(word, with, strlen(with)) == 0;
}

static void check_date(const struct imap_search_key *key, const char *value)
{
    char again[32];
    time_t at = (time_t)(key->day * 86400);
    struct tm tm;
    assert(gmtime_r(&at, &tm));
    assert(strftime(again, sizeof again, "%Y-%m-%d", &tm) > 0);
    while (strlen(again) < 10) { /* strftime has no zeros before the year */
        memmove(again + 1, again, strlen(again) + 1);
        again[0] = '0';
    }
    assert(strcmp(again, value) == 0);
}

static void check_size(const struct imap_search_key *key, const char *value)
{
    char *end;
    unsigned long long number = strtoull(value, &end, 10);
    const char *unit = *end ? strchr("kKmMgG", *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)((unit - "kKmMgG") / 2 + 1) : 0;
    assert(end != value);
    assert(*end == '\0' || (unit && end[1] == '\0'));
    assert(key->number == number << shift);
    assert(key->number <= UINT32_MAX);
}

static void check_text(const struct imap_search_key *key, const char *value)
{
    assert(*value);
    assert(slice_eq(key->text, slice_of(value)));
}

static void check_value(
    const struct imap_search_key *key, enum imap_search_kind kind, const char *word)
{
    const char *value = strchr(word, ':') + 1;
    assert(key->kind == kind);
    if (kind >= IMAP_SEARCH_BEFORE && kind <= IMAP_SEARCH_SINCE)
        check_date(key, value);
    else if (kind == IMAP_SEARCH_LARGER || kind == IMAP_SEARCH_SMALLER)
        check_size(key, value);
    else
        check_text(key, value);
    if (kind == IMAP_SEARCH_HEADER)
        assert(slice_eq_nocase(key->field, slice_from(word, (size_t)(value - 1 - word))));
}

static void check_key(const struct imap_search_key *key, const char *word)
{
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcasecmp(word, flags[i].word) == 0) {
            assert(key->kind == flags[i].kind);
            assert(key->number == flags[i].flag);
            return;
        }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (starts(word, values[i].word)) {
            check_value(key, values[i].kind, word);
            return;
        }
    assert(key->kind == IMAP_SEARCH_TEXT);
    check_text(key, word);
}

/* ---- the command ---- */

static void write_command(const struct imapc_query *query, struct buf *out)
{
    struct slice text = buf_slice(&query->text);
    size_t at = 0;
    buf_adds(out, "b1 UID SEARCH ");
    buf_adds(out, query->utf8 ? "CHARSET UTF-8 " : "");
    for (size_t i = 0; i < query->count; i++) {
        assert(query->literals[i].at >= at);
        assert(query->literals[i].at + query->literals[i].len <= text.len);
        buf_add(out, slice_sub(text, at, query->literals[i].at - at));
        buf_addf(out, "{%zu+}\r\n", query->literals[i].len);
        at = query->literals[i].at;
    }
    buf_add(out, slice_from_index(text, at));
    buf_adds(out, "\r\n");
}

static void check_frame(struct slice command)
{
    static const struct imap_frame_limits limits = { .line_bytes_max = IMAP_LINE_BYTES_MAX,
        .literal_bytes_max = IMAP_LITERAL_BYTES_MAX,
        .frame_bytes_max = IMAP_FRAME_BYTES_MAX,
        .literals_max = IMAP_LITERALS_MAX };
    struct imap_framer framer;
    imap_framer_init(&framer, &limits);
    enum imap_frame frame = imap_framer_feed(&framer, command);
    assert(frame == IMAP_FRAME_DONE);
    assert(framer.seen == command.len);
}

static void check_command(struct slice command, char *const *words, size_t count)
{
    struct imap_parse p;
    struct imap_search_args args;
    struct slice tag, name;
    struct arena arena;
    bool uid;
    check_frame(command);
    arena_init(&arena, 1u << 20);
    imap_parse_init(&p, command, &arena);
    enum err e = imap_parse_command(&p, &tag, &name, &uid);
    assert(e == ERR_OK);
    assert(uid && slice_eq(name, SLICE("SEARCH")));
    e = imap_parse_search(&p, &args);
    assert(e == ERR_OK);
    assert(args.root->kind == IMAP_SEARCH_AND);
    const struct imap_search_key *key = args.root->list;
    for (size_t i = 0; i < count; i++, key = key->next) {
        assert(key);
        check_key(key, words[i]);
    }
    assert(!key);
    arena_done(&arena);
}

/* ---- words ---- */

static size_t cut_words(const unsigned char *bytes, size_t len, char *words[WORDS_MAX])
{
    size_t count = 0;
    for (size_t at = 0; at < len && count < WORDS_MAX; count++) {
        const unsigned char *end = memchr(bytes + at, '\0', len - at);
        size_t word = end ? (size_t)(end - bytes) - at : len - at;
        words[count] = mem_strndup((const char *)bytes + at, word);
        at += word + 1;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    char *words[WORDS_MAX];
    size_t count = cut_words(bytes, len, words);
    struct imapc_query query;
    const char *bad = NULL;
    struct buf command;
    if (count == 0)
        return 0;
    enum err e = imapc_query_make(&query, words, count, &bad);
    assert(e == ERR_OK || e == ERR_SYNTAX || e == ERR_LIMIT);
    bool named = false;
    for (size_t i = 0; i < count; i++)
        named |= bad == words[i];
    assert(e != ERR_SYNTAX || named);
    if (e == ERR_OK) {
        buf_init(&command, 0);
        write_command(&query, &command);
        check_command(buf_slice(&command), words, count);
        buf_done(&command);
    }
    imapc_query_done(&query);
    for (size_t i = 0; i < count; i++)
        free(words[i]);
    return 0;
}
