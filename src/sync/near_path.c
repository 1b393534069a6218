/* Names of folders: far ones as paths, and paths as far ones. One is the exact inverse of the other. */
#include "sync/near.h"

#include "base/encode.h"

#include <string.h>

#define NEAR_PART_BYTES_MAX 240u /* a file name has 255; ext4, xfs, btrfs and the rest agree */

static bool is_reserved(struct slice part)
{
    return slice_eq(part, SLICE("cur")) || slice_eq(part, SLICE("new")) ||
           slice_eq(part, SLICE("tmp"));
}

/* One part of a name as a file name. In a raw name (no modified UTF-7) "&" is escaped: no decoded name is written so. */
static void add_part(struct slice part, bool raw, enum client_layout layout, struct buf *out)
{
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = slice_at(part, i);
        bool escape =
            c < 0x20 || c == 0x7f || c == '/' || c == '%' || (raw && (c == '&' || c >= 0x80));
        escape |= c == '.' && (i == 0 || layout == CLIENT_MAILDIR_PLUS);
        escape |= i == 0 && is_reserved(part);
        if (escape)
            buf_addf(out, "%%%02X", c);
        else
            buf_addc(out, (char)c);
    }
}

enum err near_path_of(
    struct slice name, bool raw, char delimiter, enum client_layout layout, struct buf *out_path)
{
    size_t start = buf_len(out_path);
    struct slice rest = name, part;
    for (bool first = true, more = true; more; first = false) {
        size_t end = delimiter ? slice_index(rest, delimiter) : rest.len;
        part = slice_sub(rest, 0, end);
        more = end < rest.len;
        rest = slice_from_index(rest, end + 1);
        if (part.len == 0)
            return ERR_SYNTAX;
        if (first && slice_eq_nocase(part, SLICE("INBOX"))) {
            part = SLICE("INBOX"); /* RFC 9051 §5.1: in any case */
            if (layout == CLIENT_MAILDIR_PLUS && !more) {
                buf_addc(out_path, '.'); /* the root itself */
                return ERR_OK;
            }
        }
        if (layout == CLIENT_MAILDIR_PLUS)
            buf_addc(out_path, '.');
        else if (!first)
            buf_addc(out_path, '/');
        size_t part_start = buf_len(out_path);
        add_part(part, raw, layout, out_path);
        if (buf_len(out_path) - part_start > NEAR_PART_BYTES_MAX)
            return ERR_LIMIT;
    }
    if (layout == CLIENT_MAILDIR_PLUS && buf_len(out_path) - start > NEAR_PART_BYTES_MAX)
        return ERR_LIMIT;
    return buf_err(out_path);
}

static enum err add_decoded(struct slice part, char delimiter, struct buf *out)
{
    if (part.len == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];
        if (c == '%') {
            unsigned char byte;
            if (i + 2 >= part.len || hex_decode(slice_sub(part, i + 1, 2), &byte, 1) != ERR_OK)
                return ERR_SYNTAX;
            c = (char)byte;
            i += 2;
        }
        if (c == delimiter || c == '\0' || c == '\r' || c == '\n')
            return ERR_SYNTAX;
        buf_addc(out, c);
    }
    return ERR_OK;
}

enum err near_name_of(
    struct slice path, char delimiter, enum client_layout layout, struct buf *out_name)
{
    if (layout == CLIENT_MAILDIR_PLUS && slice_eq(path, SLICE("."))) {
        buf_adds(out_name, "INBOX");
        return ERR_OK;
    }
    if (layout == CLIENT_MAILDIR_PLUS)
        path = slice_from_index(path, 1);
    struct slice part;
    for (bool first = true; slice_cut(&path, layout == CLIENT_MAILDIR_PLUS ? '.' : '/', &part);
         first = false) {
        if (!first) {
            if (!delimiter)
                return ERR_SYNTAX;
            buf_addc(out_name, delimiter);
        }
        TRY(add_decoded(part, delimiter, out_name));
    }
    return buf_err(out_name);
}
