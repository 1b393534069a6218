/* The words of accounts.conf, and what may stand in some of them. */
#include "base/arena.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "client/core/account_int.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES_MAX 255u /* RFC 1035 §2.3.4 */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What would turn the direction of a line, or cannot be seen, hides what a name really is. */
static bool is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           c == 0x061c;
}

static bool is_visible(struct slice text)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t c;
        size_t len = utf8_decode(text, at, &c);
        if (len == 0 || is_hidden(c))
            return false;
        at += len;
    }
    return true;
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

/* ---- values ---- */

bool client_account_name_ok(struct slice name)
{
    if (name.len == 0 || name.len > CLIENT_ACCOUNT_NAME_BYTES_MAX || name.ptr[0] == '.' ||
        name.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '/' || name.ptr[i] == '\\' || name.ptr[i] == ' ')
            return false;
    return is_visible(name);
}

bool client_address_ok(struct slice address)
{
    size_t at = SIZE_MAX;
    if (address.len > USER_NAME_BYTES_MAX || !is_visible(address))
        return false;
    for (size_t i = 0; i < address.len; i++) {
        if (strchr(" <>(),;:\\\"[]", address.ptr[i]))
            return false;
        if (address.ptr[i] == '@') {
            if (at != SIZE_MAX)
                return false;
            at = i;
        }
    }
    return at != SIZE_MAX && at > 0 && at + 1 < address.len;
}

/* Letters, digits, "-", "_" and dots between them. */
static bool is_host_name(struct slice host)
{
    struct slice rest = host, label;
    if (host.len == 0 || host.len > HOST_BYTES_MAX || host.ptr[host.len - 1] == '.')
        return false;
    while (slice_cut(&rest, '.', &label)) {
        if (label.len == 0 || label.len > 63 || label.ptr[0] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++) {
            char c = ascii_lower(label.ptr[i]);
            if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
                return false;
        }
    }
    return true;
}

static bool is_ip_address(const char *text)
{
    unsigned char binary[16];
    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

enum err client_host_canonical(struct slice text, char **out_host)
{
    if (text.len == 0 || text.len > 4 * HOST_BYTES_MAX || !is_visible(text))
        return ERR_SYNTAX;
    char *host = mem_strndup(text.ptr, text.len);
    if (host[0] != '/' && !slice_is_ascii(text)) {
        char *ascii = NULL;
        int failed = idn2_to_ascii_8z(host, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
        free(host);
        if (failed != IDN2_OK)
            return ERR_SYNTAX;
        host = mem_strdup(ascii);
        idn2_free(ascii);
    }
    if (host[0] != '/' && !is_ip_address(host) && !is_host_name(slice_of(host))) {
        free(host);
        return ERR_SYNTAX;
    }
    *out_host = host;
    return ERR_OK;
}

bool client_host_is_local(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (host[0] == '/' || slice_eq_nocase(slice_of(host), SLICE("localhost")))
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}
