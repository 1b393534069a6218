/* Every text a person can see on the command line, in English and Arabic: one catalogue.
 *
 * A message is a printf format; both languages have the same conversions in the same order (catalogue_test.c checks that). Use cli_say
 * and cli_error, which pick the language from --lang, BARID_LANG, LC_ALL, LC_MESSAGES, LANG in that order. */
#ifndef BIN_CATALOGUE_H
#define BIN_CATALOGUE_H

#include <stddef.h>

enum lang {
    LANG_EN,
    LANG_AR,
};

enum message_id {
#define M(id, en, ar) MSG_##id,
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
    MSG_COUNT
};

/* The text in the current language. Static. Never NULL. */
const char *tr(enum message_id id);
const char *tr_in(enum lang lang, enum message_id id);

/* What lower layers say of errors (base/err.h), in both languages. */
struct note_text {
    const char *en, *ar;
};
extern const struct note_text note_texts[];
extern const size_t note_text_count;

/* Of tr, and of notes. Before any thread. */
void lang_set(enum lang lang);
enum lang lang_get(void);
/* "ar", "ar_EG.UTF-8" ... : Arabic; everything else English. */
enum lang lang_from_text(const char *text);

#endif
