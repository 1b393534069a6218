/* OpaqueString, the PRECIS profile for passwords (RFC 8265 §4.2) that took the place of SASLprep.
 *
 * The contextual rules of RFC 8264 §4.3.2 (joiners, middle dot, mixed digits) are not enforced: they protect people from
 * names that look alike, and a password is only ever compared. Everything else of FreeformClass is. */
#include "base/utf8.h"
#include "proto/sasl/sasl.h"

#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>

void sasl_buf_wipe(struct buf *buf)
{
    if (!buf)
        return;
    if (buf->mem)
        explicit_bzero(buf->mem, buf->cap);
    buf_done(buf);
}

/* OldHangulJamo (RFC 8264 §9.9): syllable types L, V and T. */
static bool is_old_jamo(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x11FF) || (c >= 0xA960 && c <= 0xA97C) ||
           (c >= 0xD7B0 && c <= 0xD7C6) || (c >= 0xD7CB && c <= 0xD7FB);
}

/* FreeformClass (RFC 8264 §4.3) without contextual rules, plus the joiners those would allow. */
static bool is_freeform(uint32_t c)
{
    if (c == 0x200C || c == 0x200D)
        return true;
    if (is_old_jamo(c) || uc_is_property_default_ignorable_code_point(c))
        return false;
    return !uc_is_general_category_withtable(
        c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Cs | UC_CATEGORY_MASK_Co |
               UC_CATEGORY_MASK_Cn | UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp);
}

enum err sasl_opaque_string(struct slice password, struct buf *out)
{
    if (password.len == 0)
        return ERR_SYNTAX;
    bool plain = true;
    struct buf mapped;
    buf_init(&mapped, 0);
    /* one piece, so that no copy of a secret is left behind by growing; a blank never maps to something longer */
    char *room = buf_room(&mapped, password.len);
    size_t len = 0;
    enum err e = ERR_OK;
    for (size_t at = 0; at < password.len;) {
        uint32_t c;
        size_t step = utf8_decode(password, at, &c);
        if (step == 0 || !is_freeform(c)) {
            e = ERR_SYNTAX;
            break;
        }
        if (c >= 0x80) {
            plain = false;
            if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Zs))
                c = ' ';
        }
        len += utf8_encode(c, room + len);
        at += step;
    }
    buf_wrote(&mapped, len);
    if (!e && plain) {
        buf_add(out, password);
    } else if (!e) {
        size_t nfc_len = 0;
        uint8_t *nfc = u8_normalize(UNINORM_NFC, (const uint8_t *)room, len, NULL, &nfc_len);
        if (!nfc) {
            e = ERR_SYNTAX;
        } else {
            buf_add(out, slice_from(nfc, nfc_len));
            explicit_bzero(nfc, nfc_len);
            free(nfc);
        }
    }
    sasl_buf_wipe(&mapped);
    return e ? e : buf_err(out);
}
