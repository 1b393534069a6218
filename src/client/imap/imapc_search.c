/* SEARCH: from a person's words to the command (RFC 9051 §6.4.4), and its answers. */
#include "client/imap/imapc_mail.h"

#include "base/utf8.h"
#include "proto/imap/imap_date.h"

#include <stdio.h>
#include <string.h>

/* ---- words ---- */

enum key_kind {
    KEY_FLAG,
    KEY_TEXT,
    KEY_DATE,
    KEY_SIZE,
    KEY_KEYWORD,
};

static const struct key {
    struct slice word;
    enum key_kind kind;
    const char *imap;
} keys[] = {
    { SLICE_CONST("unseen"), KEY_FLAG, "UNSEEN" },
    { SLICE_CONST("seen"), KEY_FLAG, "SEEN" },
    { SLICE_CONST("flagged"), KEY_FLAG, "FLAGGED" },
    { SLICE_CONST("unflagged"), KEY_FLAG, "UNFLAGGED" },
    { SLICE_CONST("answered"), KEY_FLAG, "ANSWERED" },
    { SLICE_CONST("unanswered"), KEY_FLAG, "UNANSWERED" },
    { SLICE_CONST("draft"), KEY_FLAG, "DRAFT" },
    { SLICE_CONST("deleted"), KEY_FLAG, "DELETED" },
    { SLICE_CONST("from:"), KEY_TEXT, "FROM" },
    { SLICE_CONST("to:"), KEY_TEXT, "TO" },
    { SLICE_CONST("cc:"), KEY_TEXT, "CC" },
    { SLICE_CONST("subject:"), KEY_TEXT, "SUBJECT" },
    { SLICE_CONST("body:"), KEY_TEXT, "BODY" },
    { SLICE_CONST("text:"), KEY_TEXT, "TEXT" },
    { SLICE_CONST("since:"), KEY_DATE, "SINCE" },
    { SLICE_CONST("before:"), KEY_DATE, "BEFORE" },
    { SLICE_CONST("on:"), KEY_DATE, "ON" },
    { SLICE_CONST("larger:"), KEY_SIZE, "LARGER" },
    { SLICE_CONST("smaller:"), KEY_SIZE, "SMALLER" },
    { SLICE_CONST("keyword:"), KEY_KEYWORD, "KEYWORD" },
};

static enum err add_text(struct imapc_query *query, struct slice text)
{
    if (text.len == 0 || memchr(text.ptr, '\0', text.len) || !utf8_valid(text))
        return ERR_SYNTAX;
    if (imapc_add_string(&query->text, text) == ERR_OK)
        return ERR_OK;
    if (query->count == IMAPC_QUERY_WORDS_MAX)
        return ERR_LIMIT;
    query->utf8 = true;
    query->literals[query->count++] =
        (struct imapc_literal){ .at = buf_len(&query->text), .len = text.len };
    buf_add(&query->text, text);
    return ERR_OK;
}

/* 2026-11-01 as 1-Nov-2026. */
static enum err add_date(struct imapc_query *query, struct slice text)
{
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
        "Oct", "Nov", "Dec" };
    uint64_t year, month, day;
    int64_t days;
    char date[32];
    if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-')
        return ERR_SYNTAX;
    TRY(slice_to_u64(slice_sub(text, 0, 4), 9999, &year));
    TRY(slice_to_u64(slice_sub(text, 5, 2), 12, &month));
    TRY(slice_to_u64(slice_sub(text, 8, 2), 31, &day));
    if (month == 0)
        return ERR_SYNTAX;
    int len =
        snprintf(date, sizeof date, "%u-%s-%04u", (unsigned)day, months[month - 1], (unsigned)year);
    TRY(imap_date_read(slice_from(date, (size_t)len), &days));
    buf_add(&query->text, slice_from(date, (size_t)len));
    return ERR_OK;
}

/* 1500, 20K, 5M, 1G; what is over 32 bits servers do not take. */
static enum err add_size(struct imapc_query *query, struct slice text)
{
    static const struct {
        char letter;
        uint64_t times;
    } units[] = { { 'k', 1u << 10 }, { 'm', 1u << 20 }, { 'g', 1u << 30 } };
    uint64_t number, times = 1;
    for (size_t i = 0; text.len && i < sizeof units / sizeof units[0]; i++)
        if (ascii_lower(text.ptr[text.len - 1]) == units[i].letter)
            times = units[i].times;
    if (times > 1)
        text.len--;
    TRY(slice_to_u64(text, UINT32_MAX, &number));
    if (number > UINT32_MAX / times)
        return ERR_LIMIT;
    buf_addu(&query->text, number * times);
    return ERR_OK;
}

static enum err add_value(struct imapc_query *query, enum key_kind kind, struct slice value)
{
    switch (kind) {
    case KEY_TEXT:
        return add_text(query, value);
    case KEY_DATE:
        return add_date(query, value);
    case KEY_SIZE:
        return add_size(query, value);
    case KEY_KEYWORD:
        if (!imapc_flag_ok(value) || value.ptr[0] == '\\')
            return ERR_SYNTAX;
        buf_add(&query->text, value);
        return ERR_OK;
    case KEY_FLAG:
    default:
        return ERR_OK;
    }
}

static enum err add_word(struct imapc_query *query, struct slice word)
{
    if (buf_len(&query->text))
        buf_addc(&query->text, ' ');
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool flag = keys[i].kind == KEY_FLAG;
        if (flag ? !slice_eq_nocase(word, keys[i].word) : !slice_starts_nocase(word, keys[i].word))
            continue;
        buf_addf(&query->text, flag ? "%s" : "%s ", keys[i].imap);
        return add_value(query, keys[i].kind, slice_from_index(word, keys[i].word.len));
    }
    buf_adds(&query->text, "TEXT ");
    return add_text(query, word);
}

enum err imapc_query_make(
    struct imapc_query *query, char *const *words, size_t count, const char **out_bad)
{
    buf_init(&query->text, IMAPC_QUERY_BYTES_MAX);
    query->count = 0;
    query->utf8 = false;
    if (count > IMAPC_QUERY_WORDS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        *out_bad = words[i];
        TRY(add_word(query, slice_of(words[i])));
    }
    return buf_err(&query->text);
}

void imapc_query_done(struct imapc_query *query)
{
    buf_done(&query->text);
}

/* ---- answers ---- */

struct searching {
    struct uidset *uids;
    size_t answers;
    enum err result;
};

static enum err take_esearch(struct searching *s, const struct imap_value *value)
{
    struct uidset found;
    while (value && !imap_value_is(value, SLICE("ALL")))
        value = value->next;
    if (!value || !value->next)
        return ERR_OK;
    uidset_init(&found);
    enum err e = uidset_read(&found, value->next->text, IMAP_REPLY_BYTES_MAX);
    if (e == ERR_OK)
        uidset_union(s->uids, &found);
    uidset_done(&found);
    return e;
}

static enum err search_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct searching *s = task->owner;
    bool extended = slice_eq_nocase(reply->name, SLICE("ESEARCH"));
    if (!extended && !slice_eq_nocase(reply->name, SLICE("SEARCH")))
        return ERR_OK;
    if (++s->answers > IMAPC_SEARCH_ANSWERS_MAX)
        return ERR_LIMIT;
    if (extended)
        return take_esearch(s, reply->values);
    for (const struct imap_value *value = reply->values; value; value = value->next) {
        uint32_t uid;
        if (value->kind == IMAP_VALUE_LIST) /* (MODSEQ …) */
            break;
        TRY(imap_value_u32(value, &uid));
        uidset_add(s->uids, uid);
    }
    return ERR_OK;
}

static enum err search_done(struct imapc_task *task, const struct imap_reply *reply)
{
    ((struct searching *)task->owner)->result = imapc_reply_err(reply);
    return ERR_OK;
}

enum err imapc_search(struct imapc *imap, const struct imapc_query *query, struct uidset *out_uids)
{
    struct searching s = { .uids = out_uids };
    struct imapc_task task = { .data = search_data, .done = search_done, .owner = &s };
    struct imapc_literal literals[IMAPC_QUERY_WORDS_MAX];
    struct buf text;
    uidset_clear(out_uids);
    buf_init(&text, 0);
    buf_addf(&text, "UID SEARCH %s%s", imapc_caps(imap) & IMAPC_ESEARCH ? "RETURN (ALL) " : "",
        query->utf8 ? "CHARSET UTF-8 " : "");
    for (size_t i = 0; i < query->count; i++) {
        literals[i] = query->literals[i];
        literals[i].at += buf_len(&text);
    }
    buf_add(&text, buf_slice(&query->text));
    enum err e = imapc_talk(imap, &task, buf_slice(&text), literals, query->count);
    buf_done(&text);
    return e == ERR_OK ? s.result : e;
}
