/* Lines of words: how accounts.conf and the files of the queue are written. Blanks divide words; a word in "..." may hold blanks, and \" and \\; "#" where a
 * word could begin starts a comment. Control characters and what is no UTF-8 are errors. Pure. */
#ifndef CLIENT_CORE_WORD_H
#define CLIENT_CORE_WORD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define CLIENT_WORDS_MAX 64u /* of one line */

struct arena;

struct client_word {
    struct slice text; /* borrowed from the line, or from the arena when it had escapes */
    bool quoted;
};

/* Splits a line without its end into words. ERR_SYNTAX: note says why, without file and line; ERR_LIMIT over CLIENT_WORDS_MAX. */
enum err MUST_USE client_words(struct arena *arena, struct slice line,
    struct client_word out_words[CLIENT_WORDS_MAX], size_t *out_count, struct err_note *note);
/* Appends a word so that client_words reads it back. */
void client_word_write(struct slice word, struct buf *out);

#endif
