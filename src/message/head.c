/* The table of field names that matter. What is kept for HEADER.FIELDS is what mail programs ask for when they list a mailbox:
 * Thunderbird, Apple Mail, K-9, mutt, Roundcube, Evolution, mbsync. One name that is not kept means that the message is read,
 * so names that are rarely there are on the list too: they cost nothing. */
#include "message/head.h"

#include "base/limits.h"
#include "message/header.h"
#include "message/param.h"

enum kind {
    KIND_KEPT,
    KIND_TEXT,
    KIND_LIST,
};

static const struct known {
    struct slice name;
    enum kind kind;
    bool kept;
    int slot;
} knowns[] = {
    { SLICE_CONST("From"), KIND_LIST, true, HEAD_FROM },
    { SLICE_CONST("Sender"), KIND_LIST, true, HEAD_SENDER },
    { SLICE_CONST("Reply-To"), KIND_LIST, true, HEAD_REPLY_TO },
    { SLICE_CONST("To"), KIND_LIST, true, HEAD_TO },
    { SLICE_CONST("Cc"), KIND_LIST, true, HEAD_CC },
    { SLICE_CONST("Bcc"), KIND_LIST, true, HEAD_BCC },
    { SLICE_CONST("Date"), KIND_TEXT, true, HEAD_DATE },
    { SLICE_CONST("Subject"), KIND_TEXT, true, HEAD_SUBJECT },
    { SLICE_CONST("In-Reply-To"), KIND_TEXT, true, HEAD_IN_REPLY_TO },
    { SLICE_CONST("Message-ID"), KIND_TEXT, true, HEAD_MESSAGE_ID },
    { SLICE_CONST("Content-Type"), KIND_TEXT, true, HEAD_CONTENT_TYPE },
    { SLICE_CONST("Content-Transfer-Encoding"), KIND_TEXT, true, HEAD_ENCODING },
    { SLICE_CONST("Content-ID"), KIND_TEXT, false, HEAD_ID },
    { SLICE_CONST("Content-Description"), KIND_TEXT, true, HEAD_DESCRIPTION },
    { SLICE_CONST("Content-Disposition"), KIND_TEXT, false, HEAD_DISPOSITION },
    { SLICE_CONST("Content-Language"), KIND_TEXT, false, HEAD_LANGUAGE },
    { SLICE_CONST("Content-Location"), KIND_TEXT, false, HEAD_LOCATION },
    { SLICE_CONST("Content-MD5"), KIND_TEXT, false, HEAD_MD5 },
    { SLICE_CONST("References"), KIND_KEPT, true, 0 },
    { SLICE_CONST("MIME-Version"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Importance"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Priority"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Priority"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Precedence"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Disposition-Notification-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Newsgroups"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Followup-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Mailer"), KIND_KEPT, true, 0 },
    { SLICE_CONST("User-Agent"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Spam-Flag"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Return-Path"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Delivered-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Original-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Mail-Reply-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Mail-Followup-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Return-Receipt-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Confirm-Reading-To"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Draft-Info"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Label"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-TUID"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Lines"), KIND_KEPT, true, 0 },
    { SLICE_CONST("Chat-Version"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-K9mail-Identity"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Uniform-Type-Identifier"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Universally-Unique-Identifier"), KIND_KEPT, true, 0 },
    { SLICE_CONST("BIMI-Indicator"), KIND_KEPT, true, 0 },
    { SLICE_CONST("BIMI-Location"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-BIMI-Indicator-Hash"), KIND_KEPT, true, 0 },
    { SLICE_CONST("X-Spam-Status"), KIND_KEPT, true, 0 },
};

static const struct known *known_find(struct slice name)
{
    for (size_t i = 0; i < sizeof knowns / sizeof knowns[0]; i++) {
        if (knowns[i].name.len == name.len &&
            ascii_lower(knowns[i].name.ptr[0]) == ascii_lower(name.ptr[0]) &&
            slice_eq_nocase(knowns[i].name, name))
            return &knowns[i];
    }
    return NULL;
}

static bool is_list_field(struct slice name)
{
    return slice_starts_nocase(name, SLICE("List-"));
}

bool head_keeps(struct slice name)
{
    if (!name.len)
        return false;
    const struct known *known = known_find(name);
    return known ? known->kept : is_list_field(name);
}

static enum err add_value(struct arena *arena, struct head_values *values, struct slice value)
{
    if (values->count >= MIME_ADDRESSES_MAX) /* more fields than addresses are given */
        return ERR_OK;
    struct slice *at = arena_grow(arena, values->at, &values->cap, values->count + 1, sizeof *at);
    if (!at)
        return ERR_LIMIT;
    values->at = at;
    at[values->count++] = value;
    return ERR_OK;
}

/* The last field of a name counts, but of Content-Types the first that can be read. */
static bool takes_text(const struct head *head, int slot)
{
    struct slice before = head->texts[slot];
    return slot != HEAD_CONTENT_TYPE || !before.ptr || !mime_names_type(before);
}

enum err head_parse(
    struct arena *arena, struct slice header, struct buf *kept, struct head *out_head)
{
    struct head head = { 0 };
    struct msg_field field;
    while (msg_field_next(&header, &field)) {
        const struct known *known = known_find(field.name);
        if (kept && (known ? known->kept : is_list_field(field.name)))
            buf_add(kept, field.whole);
        if (!known)
            continue;
        if (known->kind == KIND_TEXT && takes_text(&head, known->slot))
            head.texts[known->slot] = field.value;
        else if (known->kind == KIND_LIST)
            TRY(add_value(arena, &head.lists[known->slot], field.value));
    }
    *out_head = head;
    return ERR_OK;
}
