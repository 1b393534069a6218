/* One spelling for each address, so that what a person types, what a message says and what the directory holds can be compared as bytes.
 *
 * Local part: NFKC and case folding until nothing changes (folding may bring back what NFKC takes apart), then dot-atoms of ASCII
 * atext and letters, marks, numbers and symbols of other scripts (RFC 5321 §4.1.2, RFC 6531 §3.3). Quotes are taken off when what
 * they hold needs none. Domain: IDNA 2008 without the transitional mappings, written with U-labels, so that "xn--" and native
 * spelling meet. Plain ASCII, the usual case, takes neither library. */
#include "auth/directory.h"
#include "base/utf8.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>

#define LOCAL_BYTES_MAX  64u  /* RFC 5321 §4.5.3.1.1 */
#define DOMAIN_BYTES_MAX 253u /* RFC 1035 §2.3.4: 255 with length bytes; as A-labels */
#define LABEL_BYTES_MAX  63u

static bool is_atext(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Characters past ASCII that a name may hold: nothing unseen, unassigned or blank. */
static bool is_name_char(uint32_t c)
{
    if (uc_is_property_default_ignorable_code_point(c))
        return false;
    return !uc_is_general_category_withtable(c, UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Z);
}

/* Dot-string = Atom *("." Atom) */
static bool is_dot_string(struct slice s)
{
    bool atom = false;
    for (size_t at = 0; at < s.len;) {
        uint32_t c;
        size_t step = utf8_decode(s, at, &c);
        if (step == 0)
            return false;
        if (c == '.') {
            if (!atom)
                return false;
            atom = false;
        } else if (c < 0x80 ? is_atext((char)c) : is_name_char(c)) {
            atom = true;
        } else {
            return false;
        }
        at += step;
    }
    return atom;
}

/* Takes the quotes off; a backslash makes the next character plain (RFC 5321 §4.1.2). */
static enum err unquote(struct slice s, char *out, size_t *out_len)
{
    size_t len = 0;
    bool quoted = s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"';
    if (quoted)
        s = slice_sub(s, 1, s.len - 2);
    for (size_t i = 0; i < s.len; i++) {
        if (quoted && s.ptr[i] == '"')
            return ERR_SYNTAX;
        if (quoted && s.ptr[i] == '\\' && ++i == s.len)
            return ERR_SYNTAX;
        out[len++] = s.ptr[i];
    }
    *out_len = len;
    return ERR_OK;
}

#define FOLD_ROUNDS_MAX                                                                            \
    4 /* two do for every character of Unicode 14; more would be a fault of the tables */

/* NFKC, fold, NFKC, until stable. In and out may be the same memory of LOCAL_BYTES_MAX + 1 bytes. */
static enum err fold_local(struct slice in, char *out, size_t *out_len)
{
    uint8_t *text = u8_normalize(UNINORM_NFKC, (const uint8_t *)in.ptr, in.len, NULL, out_len);
    size_t len = *out_len;
    enum err e = text ? ERR_SYNTAX : ERR_IO;
    for (unsigned round = 0; text && e && round < FOLD_ROUNDS_MAX; round++) {
        size_t next_len = 0;
        uint8_t *next = u8_casefold(text, len, NULL, UNINORM_NFKC, NULL, &next_len);
        if (next && next_len == len && memcmp(next, text, len) == 0)
            e = ERR_OK;
        free(text);
        text = next;
        len = next_len;
    }
    if (text && !e) {
        if (len > LOCAL_BYTES_MAX) {
            e = ERR_LIMIT;
        } else {
            memcpy(out, text, len);
            *out_len = len;
        }
    }
    free(text);
    return e;
}

static enum err local_canonical(struct slice local, char out[LOCAL_BYTES_MAX + 1], size_t *out_len)
{
    char text[USER_NAME_BYTES_MAX * 2];
    size_t len = 0;
    if (local.len > sizeof text)
        return ERR_LIMIT;
    TRY(unquote(local, text, &len));
    if (len == 0 || !utf8_valid(slice_from(text, len)))
        return ERR_SYNTAX;
    if (len > LOCAL_BYTES_MAX)
        return ERR_LIMIT;
    if (slice_is_ascii(slice_from(text, len))) {
        for (size_t i = 0; i < len; i++)
            out[i] = ascii_lower(text[i]);
    } else {
        TRY(fold_local(slice_from(text, len), out, &len));
    }
    if (!is_dot_string(slice_from(out, len)))
        return ERR_SYNTAX;
    *out_len = len;
    return ERR_OK;
}

/* sub-domain = Let-dig [Ldh-str], RFC 5321 §4.1.2, each at most 63 bytes. */
static bool is_ldh(struct slice domain)
{
    struct slice rest = domain, label;
    if (domain.len == 0 || domain.ptr[domain.len - 1] == '.')
        return false;
    while (slice_cut(&rest, '.', &label)) {
        if (label.len == 0 || label.len > LABEL_BYTES_MAX || label.ptr[0] == '-' ||
            label.ptr[label.len - 1] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++) {
            char c = ascii_lower(label.ptr[i]);
            if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
                return false;
        }
    }
    return true;
}

/* Through A-labels and back, which maps, normalises and checks; the way there again must end in the same A-labels. */
static enum err idna_canonical(const char *domain, char *out)
{
    /* not IDN2_USE_STD3_ASCII_RULES: with it libidn2 2.3.3 drops what those rules forbid instead of refusing it; is_ldh refuses */
    const int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
    uint8_t *ascii = NULL, *again = NULL;
    char *native = NULL;
    enum err e = ERR_SYNTAX;
    int rc = idn2_lookup_u8((const uint8_t *)domain, &ascii, flags);
    if (rc == IDN2_TOO_BIG_DOMAIN || rc == IDN2_TOO_BIG_LABEL)
        e = ERR_LIMIT;
    if (rc == IDN2_OK && is_ldh(slice_of((char *)ascii)) &&
        idn2_to_unicode_8z8z((char *)ascii, &native, 0) == IDN2_OK &&
        idn2_lookup_u8((uint8_t *)native, &again, flags) == IDN2_OK &&
        strcmp((char *)ascii, (char *)again) == 0)
        e = strlen((char *)ascii) > DOMAIN_BYTES_MAX || strlen(native) > USER_NAME_BYTES_MAX
                ? ERR_LIMIT
                : ERR_OK;
    if (!e)
        memcpy(out, native, strlen(native) + 1);
    idn2_free(ascii);
    idn2_free(again);
    idn2_free(native);
    return e;
}

enum err domain_canonical(struct slice domain, char *out)
{
    char text[USER_NAME_BYTES_MAX * 2];
    if (domain.len == 0)
        return ERR_SYNTAX;
    if (domain.len >= sizeof text)
        return ERR_LIMIT;
    if (slice_index(domain, '\0') < domain.len || !utf8_valid(domain))
        return ERR_SYNTAX;
    if (!slice_is_ascii(domain) || slice_find_nocase(domain, SLICE("xn--")) != SIZE_MAX) {
        memcpy(text, domain.ptr, domain.len);
        text[domain.len] = '\0';
        return idna_canonical(text, out);
    }
    if (domain.len > DOMAIN_BYTES_MAX)
        return ERR_LIMIT;
    if (!is_ldh(domain))
        return ERR_SYNTAX;
    for (size_t i = 0; i < domain.len; i++)
        out[i] = ascii_lower(domain.ptr[i]);
    out[domain.len] = '\0';
    return ERR_OK;
}

enum err address_canonical(struct slice address, char *out)
{
    if (address.len > USER_NAME_BYTES_MAX * 2)
        return ERR_LIMIT;
    size_t at = address.len;
    while (at > 0 && address.ptr[at - 1] != '@')
        at--;
    if (at < 2)
        return ERR_SYNTAX;
    char local[LOCAL_BYTES_MAX + 1], domain[USER_NAME_BYTES_MAX + 1];
    size_t local_len = 0;
    TRY(local_canonical(slice_sub(address, 0, at - 1), local, &local_len));
    TRY(domain_canonical(slice_from_index(address, at), domain));
    size_t domain_len = strlen(domain);
    if (local_len + 1 + domain_len > USER_NAME_BYTES_MAX)
        return ERR_LIMIT;
    memcpy(out, local, local_len);
    out[local_len] = '@';
    memcpy(out + local_len + 1, domain, domain_len + 1);
    return ERR_OK;
}
