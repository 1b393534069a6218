/* libidn2 between A-labels and U-labels (IDNA 2008), libpsl for the border between owners. */
#include "discover/name.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <idn2.h>
#include <libpsl.h>
#include <string.h>

#define LOCAL_BYTES_MAX 64u  /* RFC 5321 §4.5.3.1.1 */
#define HOST_BYTES_MAX  253u /* RFC 1035 §2.3.4, as text */

/* ---- characters ---- */

static bool is_atext(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

/* No controls and no blanks; past ASCII nothing below U+00A1, and nothing that turns the direction of writing or breaks a line. */
static bool is_seen(uint32_t c)
{
    if (c < 0x80)
        return c > ' ' && c != 0x7f;
    return c > 0xa0 && !(c >= 0x2000 && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202f) &&
           !(c >= 0x2060 && c <= 0x206f) && c != 0x3000 && c != 0xfeff && c != 0x61c;
}

static bool all_seen(struct slice text, bool ascii_only_atext)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t c;
        size_t step = utf8_decode(text, at, &c);
        if (step == 0 || !is_seen(c) || (ascii_only_atext && c < 0x80 && !is_atext((char)c)))
            return false;
        at += step;
    }
    return true;
}

bool name_is_user(struct slice text)
{
    return text.len > 0 && text.len <= USER_NAME_BYTES_MAX && all_seen(text, false);
}

/* ---- hosts ---- */

static bool is_label(struct slice label)
{
    if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return true;
}

/* Two labels at least, the last with a letter: neither "localhost" nor an address in any spelling. libidn2 has made capitals small. */
static bool is_host(struct slice host)
{
    struct slice rest = host, label = SLICE_EMPTY;
    size_t labels = 0;
    bool letter = false;
    if (host.len > HOST_BYTES_MAX || (host.len && host.ptr[host.len - 1] == '.'))
        return false;
    while (slice_cut(&rest, '.', &label)) {
        if (!is_label(label))
            return false;
        labels++;
    }
    for (size_t i = 0; i < label.len; i++)
        letter = letter || (label.ptr[i] >= 'a' && label.ptr[i] <= 'z');
    return labels >= 2 && letter;
}

enum err name_host(struct slice text, struct arena *arena, struct slice *out_host)
{
    char *ascii = NULL;
    if (text.len && text.ptr[text.len - 1] == '.')
        text.len--;
    /* a U-label may take more bytes than its A-label, but never four times as many */
    if (text.len == 0 || text.len > 4 * HOST_BYTES_MAX || memchr(text.ptr, 0, text.len))
        return ERR_SYNTAX;
    const char *typed = slice_cstr(arena, text);
    if (!typed)
        return ERR_LIMIT;
    if (idn2_to_ascii_8z(typed, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return ERR_SYNTAX;
    struct slice host = slice_dup(arena, slice_of(ascii));
    idn2_free(ascii);
    if (!host.ptr)
        return ERR_LIMIT;
    if (!is_host(host))
        return ERR_SYNTAX;
    *out_host = host;
    return ERR_OK;
}

struct slice name_base(struct slice host)
{
    const psl_ctx_t *list = psl_builtin();
    char text[HOST_BYTES_MAX + 1];
    if (!list || host.len > HOST_BYTES_MAX)
        return host;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    const char *base = psl_registrable_domain(list, text);
    return base ? slice_from_index(host, (size_t)(base - text)) : host;
}

/* Only a spelling that leads back to the same host is shown: what a person confirms is what is connected to. */
struct slice name_shown(struct slice host, struct arena *arena)
{
    char *unicode = NULL;
    struct slice back = SLICE_EMPTY;
    const char *ascii = slice_cstr(arena, host);
    if (!ascii)
        return (struct slice){ NULL, 0 };
    if (idn2_to_unicode_8z8z(ascii, &unicode, 0) != IDN2_OK)
        return slice_of(ascii);
    struct slice shown = slice_dup(arena, slice_of(unicode));
    idn2_free(unicode);
    if (!shown.ptr || !all_seen(shown, false) || name_host(shown, arena, &back) != ERR_OK ||
        !slice_eq(back, host))
        return slice_of(ascii);
    return shown;
}

/* ---- addresses ---- */

enum err name_read(struct slice address, struct arena *arena, struct name *out_name)
{
    struct name name = { .address = slice_dup(arena, slice_trim(address)) };
    size_t at = name.address.len;
    if (!name.address.ptr)
        return ERR_LIMIT;
    while (at && name.address.ptr[at - 1] != '@')
        at--;
    if (at < 2)
        return ERR_SYNTAX;
    name.local = slice_sub(name.address, 0, at - 1);
    name.domain_typed = slice_from_index(name.address, at);
    if (name.local.len > LOCAL_BYTES_MAX || !all_seen(name.local, true) ||
        !all_seen(name.domain_typed, false))
        return ERR_SYNTAX;
    TRY(name_host(name.domain_typed, arena, &name.domain));
    if (name.address.ptr[name.address.len - 1] ==
        '.') /* of DNS, or the end of a sentence: no part of an address (RFC 5321 §4.1.2) */
        name.address.len--, name.domain_typed.len--;
    name.base = name_base(name.domain);
    *out_name = name;
    return ERR_OK;
}

/* ---- patterns ---- */

static bool take(struct slice *rest, struct slice word)
{
    if (!slice_starts(*rest, word))
        return false;
    *rest = slice_from_index(*rest, word.len);
    return true;
}

enum err name_expand(const struct name *name, struct slice pattern, bool is_host,
    struct arena *arena, struct slice *out_text)
{
    struct buf out;
    enum err e = ERR_OK;
    struct slice domain = is_host ? name->domain : name->domain_typed;
    buf_init(&out, 2 * USER_NAME_BYTES_MAX);
    while (pattern.len && e == ERR_OK) {
        if (take(&pattern, SLICE("%EMAILADDRESS%")) || take(&pattern, SLICE("%e")))
            buf_add(&out, name->address);
        else if (take(&pattern, SLICE("%EMAILLOCALPART%")) || take(&pattern, SLICE("%l")))
            buf_add(&out, name->local);
        else if (take(&pattern, SLICE("%EMAILDOMAIN%")) || take(&pattern, SLICE("%d")))
            buf_add(&out, domain);
        else if (pattern.ptr[0] == '%')
            e = ERR_SYNTAX;
        else {
            buf_addc(&out, pattern.ptr[0]);
            pattern = slice_from_index(pattern, 1);
        }
    }
    if (e == ERR_OK)
        e = buf_err(&out);
    struct slice text = slice_dup(arena, buf_slice(&out));
    buf_done(&out);
    if (e == ERR_OK && !text.ptr)
        e = ERR_LIMIT;
    if (e == ERR_OK)
        *out_text = text;
    return e;
}
