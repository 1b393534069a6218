/* Words. */
#include "client/core/word.h"

#include "base/arena.h"
#include "base/utf8.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- words ---- */

/* quoted = DQUOTE *( any but DQUOTE and "\" / "\" DQUOTE / "\\" ) DQUOTE. *at stands on the first quote, then behind the last. */
static enum err quoted_word(struct arena *arena, struct slice line, size_t *at,
    struct slice *out_text, struct err_note *note)
{
    size_t len = 0, i = *at + 1;
    char *text = arena_alloc(arena, line.len + 1);
    if (!text)
        return ERR_LIMIT;
    for (; i < line.len && line.ptr[i] != '"'; i++) {
        if (line.ptr[i] == '\\') {
            i++;
            if (i == line.len || (line.ptr[i] != '"' && line.ptr[i] != '\\'))
                return err_noted(
                    note, ERR_SYNTAX, "in quotes a backslash stands before \" or \\ only");
        }
        text[len++] = line.ptr[i];
    }
    if (i == line.len)
        return err_noted(note, ERR_SYNTAX, "the closing quote is missing");
    *at = i + 1;
    if (*at < line.len && !is_blank(line.ptr[*at]))
        return err_noted(note, ERR_SYNTAX, "a blank is missing behind the closing quote");
    *out_text = slice_from(text, len);
    return ERR_OK;
}

static enum err bare_word(
    struct slice line, size_t *at, struct slice *out_text, struct err_note *note)
{
    size_t start = *at;
    if (line.ptr[start] == '\'') /* it would not mean what it means to a shell */
        return err_noted(note, ERR_SYNTAX, "words with blanks stand in \"...\", not in '...'");
    for (; *at < line.len && !is_blank(line.ptr[*at]); (*at)++)
        if (line.ptr[*at] == '"')
            return err_noted(note, ERR_SYNTAX, "a quote in the middle of a word");
    *out_text = slice_sub(line, start, *at - start);
    return ERR_OK;
}

enum err client_words(struct arena *arena, struct slice line,
    struct client_word out_words[CLIENT_WORDS_MAX], size_t *out_count, struct err_note *note)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < line.len; i++)
        if ((slice_at(line, i) < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f)
            return err_noted(note, ERR_SYNTAX, "a control character");
    if (!utf8_valid(line))
        return err_noted(note, ERR_SYNTAX, "text that is no UTF-8");
    for (;;) {
        while (at < line.len && is_blank(line.ptr[at]))
            at++;
        if (at == line.len || line.ptr[at] == '#')
            break;
        if (count == CLIENT_WORDS_MAX)
            return err_noted(note, ERR_LIMIT, "more than %u words", CLIENT_WORDS_MAX);
        struct client_word word = { .quoted = line.ptr[at] == '"' };
        TRY(word.quoted ? quoted_word(arena, line, &at, &word.text, note)
                        : bare_word(line, &at, &word.text, note));
        out_words[count++] = word;
    }
    *out_count = count;
    return ERR_OK;
}

void client_word_write(struct slice word, struct buf *out)
{
    bool plain = word.len > 0 && word.ptr[0] != '#' && word.ptr[0] != '~' && word.ptr[0] != '\'';
    for (size_t i = 0; i < word.len; i++)
        if (is_blank(word.ptr[i]) || word.ptr[i] == '"')
            plain = false;
    if (plain) {
        buf_add(out, word);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '"' || word.ptr[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, word.ptr[i]);
    }
    buf_addc(out, '"');
}
