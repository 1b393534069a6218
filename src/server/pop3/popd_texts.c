/* The table of texts. */
#include "server/pop3/popd_texts.h"

static const char *const texts[POPD_LANGS][POPD_TEXTS] = {
    [POPD_EN] = {
#define T(id, en, ar) [POPD_##id] = (en),
#include "server/pop3/popd_texts.inc"
#undef T
    },
    [POPD_AR] = {
#define T(id, en, ar) [POPD_##id] = (ar),
#include "server/pop3/popd_texts.inc"
#undef T
    },
};

static const struct {
    const char *tag, *name;
} langs[POPD_LANGS] = {
    [POPD_EN] = { "en", "English" },
    [POPD_AR] = { "ar", "العربية" },
};

const char *popd_text(enum popd_lang lang, enum popd_text text)
{
    return texts[lang][text];
}

void popd_text_add(enum popd_lang lang, enum popd_text text, uint64_t number, struct buf *out)
{
    struct slice all = slice_of(popd_text(lang, text));
    size_t at = slice_find(all, SLICE("%u"));
    buf_add(out, slice_sub(all, 0, at));
    if (at == SIZE_MAX)
        return;
    buf_addu(out, number);
    buf_add(out, slice_from_index(all, at + 2));
}

const char *popd_lang_tag(enum popd_lang lang)
{
    return langs[lang].tag;
}

const char *popd_lang_name(enum popd_lang lang)
{
    return langs[lang].name;
}

/* The lookup of RFC 4647 §3.4 with one subtag in each tag: all but the first of the range falls away. */
enum err popd_lang_find(struct slice range, enum popd_lang *out_lang)
{
    struct slice first;
    if (slice_eq(range, SLICE("*")))
        range = slice_of(langs[POPD_EN].tag);
    if (!slice_cut(&range, '-', &first))
        return ERR_NOT_FOUND;
    for (int lang = 0; lang < POPD_LANGS; lang++)
        if (slice_eq_nocase(first, slice_of(langs[lang].tag))) {
            *out_lang = (enum popd_lang)lang;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}
