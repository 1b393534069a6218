/* The catalogue: two rows of text with the same numbers. */
#include "bin/catalogue.h"

#include "base/err.h"
#include "base/slice.h"

#include <string.h>

static const char *const texts[2][MSG_COUNT] = {
    [LANG_EN] = {
#define M(id, en, ar) [MSG_##id] = (en),
#include "bin/catalogue_account.inc"
#include "bin/catalogue_client.inc"
#include "bin/catalogue_copy.inc"
#include "bin/catalogue_device.inc"
#include "bin/catalogue_discover.inc"
#include "bin/catalogue_files.inc"
#include "bin/catalogue_import.inc"
#include "bin/catalogue_mail.inc"
#include "bin/catalogue_main.inc"
#include "bin/catalogue_pop.inc"
#include "bin/catalogue_sync.inc"
#include "bin/catalogue_user.inc"
#undef M
    },
    [LANG_AR] = {
#define M(id, en, ar) [MSG_##id] = (ar),
#include "bin/catalogue_account.inc"
#include "bin/catalogue_client.inc"
#include "bin/catalogue_copy.inc"
#include "bin/catalogue_device.inc"
#include "bin/catalogue_discover.inc"
#include "bin/catalogue_files.inc"
#include "bin/catalogue_import.inc"
#include "bin/catalogue_mail.inc"
#include "bin/catalogue_main.inc"
#include "bin/catalogue_pop.inc"
#include "bin/catalogue_sync.inc"
#include "bin/catalogue_user.inc"
#undef M
    },
};

static enum lang current = LANG_EN; /* set once by main, before any thread */

const char *tr(enum message_id id)
{
    return texts[current][id];
}

const char *tr_in(enum lang lang, enum message_id id)
{
    return texts[lang][id];
}

/* Of lower layers: by what they say in English, since they know no numbers. */
const struct note_text note_texts[] = {
#define N(en, ar) { (en), (ar) },
#include "bin/catalogue_notes.inc"
#undef N
};
const size_t note_text_count = sizeof note_texts / sizeof note_texts[0];

static const char *arabic_note(const char *english)
{
    for (size_t i = 0; i < note_text_count; i++)
        if (strcmp(note_texts[i].en, english) == 0)
            return note_texts[i].ar;
    return english; /* of values and names only: tools/notes sees to it */
}

void lang_set(enum lang lang)
{
    current = lang;
    err_language(lang == LANG_AR ? arabic_note : NULL);
}

enum lang lang_get(void)
{
    return current;
}

enum lang lang_from_text(const char *text)
{
    struct slice s = slice_of(text);
    bool arabic =
        slice_starts_nocase(s, SLICE("ar")) &&
        (s.len == 2 || s.ptr[2] == '_' || s.ptr[2] == '-' || s.ptr[2] == '.' || s.ptr[2] == '@');
    return arabic ? LANG_AR : LANG_EN;
}
