/* Flags of IMAP as bits. */
#include "sync/flags.h"

static const struct {
    struct slice name;
    uint32_t flag;
} flag_names[] = {
    { SLICE_CONST("\\Draft"), SYNC_DRAFT },
    { SLICE_CONST("\\Flagged"), SYNC_FLAGGED },
    { SLICE_CONST("$Forwarded"), SYNC_PASSED },
    { SLICE_CONST("\\Answered"), SYNC_ANSWERED },
    { SLICE_CONST("\\Seen"), SYNC_SEEN },
    { SLICE_CONST("\\Deleted"), SYNC_TRASHED },
};

static uint32_t flag_of(
    struct sync_keywords *keywords, struct slice name, bool *out_new, bool *out_left_out)
{
    for (size_t i = 0; i < sizeof flag_names / sizeof flag_names[0]; i++)
        if (slice_eq_nocase(name, flag_names[i].name))
            return flag_names[i].flag;
    if (name.len == 0 || name.ptr[0] == '\\')
        return 0;
    uint32_t bit = sync_keyword_bit(keywords, name, out_new);
    if (!bit && out_left_out)
        *out_left_out = true;
    return bit;
}

uint32_t sync_flag_bits(struct sync_keywords *keywords, const struct imap_value *list,
    bool *out_new, bool *out_left_out)
{
    uint32_t flags = 0;
    if (!list || list->kind != IMAP_VALUE_LIST)
        return 0;
    for (const struct imap_value *value = list->first; value; value = value->next)
        if (value->kind == IMAP_VALUE_ATOM)
            flags |= flag_of(keywords, value->text, out_new, out_left_out);
    return flags;
}

void sync_flag_names(const struct sync_keywords *keywords, uint32_t flags, struct buf *out)
{
    const char *blank = "";
    buf_addc(out, '(');
    for (size_t i = 0; i < sizeof flag_names / sizeof flag_names[0]; i++) {
        if (flags & flag_names[i].flag) {
            buf_addf(out, "%s%.*s", blank, SLICE_FMT(flag_names[i].name));
            blank = " ";
        }
    }
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++) {
        if (flags & (uint32_t)SYNC_KEYWORD << i && keywords->names[i]) {
            buf_addf(out, "%s%s", blank, keywords->names[i]);
            blank = " ";
        }
    }
    buf_addc(out, ')');
}
