/* What POP3 says to people, in English and Arabic (RFC 6856 §3): one table. */
#ifndef SERVER_POP3_POPD_TEXTS_H
#define SERVER_POP3_POPD_TEXTS_H

#include "base/buf.h"

enum popd_lang {
    POPD_EN,
    POPD_AR,
    POPD_LANGS
};

enum popd_text {
#define T(id, en, ar) POPD_##id,
#include "server/pop3/popd_texts.inc"
#undef T
    POPD_TEXTS
};

/* Static; a text with a number in it has one "%u". */
const char *popd_text(enum popd_lang lang, enum popd_text text);
/* Appends it with the number. */
void popd_text_add(enum popd_lang lang, enum popd_text text, uint64_t number, struct buf *out);

/* "en", and the language's name in the language itself. */
const char *popd_lang_tag(enum popd_lang lang);
const char *popd_lang_name(enum popd_lang lang);
/* The language that a range of RFC 4647 §2.1 means: itself or, shortened, what it belongs to ("ar-EG"); "*" is English. ERR_NOT_FOUND. */
enum err MUST_USE popd_lang_find(struct slice range, enum popd_lang *out_lang);

#endif
